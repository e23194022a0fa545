#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# coverage.sh [report]: runs the selftests, or TESTS, on the kernel with gcov, and
# prints which lines and branches of the module they reached, by file, and each
# line that none of them did. Documentation/testing.rst says why of those that are
# left. Fails when a test does, and below 90 % of the lines. With report, it is of
# the latest run, which had COVERAGE=y.

. "$(dirname "$0")/lib.sh"

kernel=debug least=90 status=0
root=$cache/$kernel/root out=$cache/$kernel/check

if [ "${1-}" != report ]; then
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	COVERAGE=y KERNELS=$kernel TESTS=${TESTS:-all} "$vm/check.sh" | tee "$log" ||
		status=$?
fi

# One machine's figures after the other's, added up beside the objects.
lock "$kernel"
in_folder "$root" sh -c 'rm -rf /build/gcov && mkdir /build/gcov'
for verdict in "$out"/verdict*; do
	sed -n 's/^vm: gcov //p' "$verdict" | base64 -d |
		in_folder "$root" sh -euc '
			cd /build/gcov && mkdir new && tar -xz -C new
			if [ -d all ]; then
				gcov-tool merge -o sum all new
				rm -r all new && mv sum all
			else
				mv new all
			fi' ||
		die "$verdict has no coverage data: the machine ended early"
done
# -r -s: of this source tree only, not of the kernel's headers.
in_folder "$root" sh -euc '
	cd /build/src
	rm -f *.gcov module/*.gcda
	cp /build/gcov/all/build/src/module/*.gcda module/
	gcov -b -r -s /build/src module/*.gcda >&2
	grep -H "" *.gcov' >"$out/lines.gcov" 2>"$out/gcov.log" ||
	die "gcov failed, see $out/gcov.log"
unlock "$kernel"

# A line of an inline function stands there once for each file that has it.
awk -F: -v least="$least" '
	function row(name, lines, reached, branches, taken) {
		printf "# %-12s %6d %8.1f %9d %8.1f\n", name, lines,
			100 * reached / (lines + !lines), branches,
			100 * taken / (branches + !branches)
	}
	{ file = $1; sub(/\.gcov$/, "", file) }
	$2 ~ /^ *[0-9#=]/ && $3 ~ /^ *[1-9]/ {
		at = file ":" $3 + 0
		if (!(at in text)) {
			order[++count] = at
			of[at] = file
			text[at] = substr($0, index($0, $3) + length($3))
		}
		reached[at] += $2 ~ /[0-9]/
	}
	$2 ~ /^branch/ {
		branches[file]++
		taken[file] += $2 ~ /taken [0-9]*[1-9]/
	}
	END {
		print "# not reached:"
		for (i = 1; i <= count; i++) {
			file = of[order[i]]
			lines[file]++
			if (reached[order[i]])
				hit[file]++
			else
				print "#   " order[i] text[order[i]]
		}
		printf "# %-12s %6s %8s %9s %8s\n", "file", "lines",
			"% of them", "branches", "% taken"
		for (file in lines) {
			row(file, lines[file], hit[file], branches[file], taken[file])
			all_lines += lines[file]; all_hit += hit[file]
			all_branches += branches[file]; all_taken += taken[file]
		}
		row("all", all_lines, all_hit, all_branches, all_taken)
		exit !all_lines || 100 * all_hit < least * all_lines
	}' "$out/lines.gcov" ||
	die "less than $least % of the lines were reached"
[ "${1-}" = report ] || tail -n 1 "$log"
exit "$status"
