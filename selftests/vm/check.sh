#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the selftests that TESTS asks for on each of KERNELS, in VMs side by side. Ends
# with the seconds that each program took, the slowest first, and a table of the
# kernels; the last line is "N passed, N failed, N skipped".
#
# COVERAGE=y builds the module so that it tells which of its lines ran. LAST_BOOT=3600:
# no VM is booted when so many seconds are over; each program that was still to come is
# named, and counts as skipped. RETRY=y: programs that failed run once more in a VM
# that has nothing else to do, and what passes then counts as passed, but is named
# before the last table: it is a test to be mended, or a rare bug. What the kernel's
# log has, and a VM that did not come to its end, is never tried again.

. "$(dirname "$0")/lib.sh"
. "$vm/machine.sh"

if [ -n "${KERNEL:-}" ]; then
	names=own
else
	names=$(kernels_named "${KERNELS:-$default_kernel}" | xargs)
fi
# A share of the programs that take long shows what is to be shown.
case ${TESTS:-core} in
core | ci) export LISTENQ_QUICK=1 ;;
*) unset LISTENQ_QUICK ;;
esac
# How many VMs run side by side goes by what they take of the processors, in thirds of
# one. Where QEMU emulates, a VM takes one at most, and tests wait for a third of their
# time; under a debug kernel's checkers they hardly do.
declare -A thirds
# Seconds, roughly, of what a VM is given to do. A debug kernel's takes a minute to boot
# and to look for leaks.
longest=200 longest_debug=800
results=$(mktemp -d)
trap 'stop' EXIT
set -m	# a process group for each job, to be stopped as one

stop()
{
	stop_jobs
	rm -rf "$results"
}

# A job is a line: a number, the larger the sooner, its function, and arguments. Those
# that wait are in the file todo, which is the main process' alone; new.NAME holds
# those that a job has made. A job leaves its row of the table in row.ID: kernel,
# passed, failed, skipped, seconds.

# prepare NAME: makes its image, and jobs of the VMs that boot it. A kernel that is
# alone has as many VMs as there are processors, at least.
prepare()
{
	local status=0 seconds machines most=$longest_debug

	machine "$1" check
	programs_of "$1" >"$results/programs.$1"
	# shellcheck disable=SC2046 # a list
	(make_image check $(cut -d' ' -f1 "$results/programs.$1")) || status=$?
	case $status in
	0) ;;
	4) skipped=1; return ;;		# its suite is gone, and it said so
	*) failed=1; return ;;
	esac
	seconds=$(awk '{ sum += $2 } END { print sum }' "$results/programs.$1")
	[ "$slowness" -gt 1 ] || most=$longest
	machines=$((1 + seconds / most))
	if [ "$(wc -w <<<"$names")" -eq 1 ] && [ "$machines" -lt "$(nproc)" ]; then
		machines=$(nproc)
	fi
	share_out "$machines" <"$results/programs.$1" |
		awk -v each="$((seconds / machines))" -v name="$1" \
			'{ print each, "run", name, NR, $0 }' >"$results/shares.$1"
	mv "$results/shares.$1" "$results/new.$1"
}

# run NAME NUMBER PROGRAM...: runs these in a VM of their own.
run()
{
	if [ "$start" -ge "${LAST_BOOT:-$((start + 1))}" ]; then
		say "$1: no time left for ${*:3}"
		skipped=$(($# - 2))
		return
	fi
	machine "$1" check
	shift
	run_tests "$@"
	read -r passed failed skipped <"$out/result.$1"
	[ -z "${RETRY:-}" ] || [ "$failed" -eq 0 ] || retry "$@"
}

# retry NUMBER PROGRAM...: once more those of run() that failed, unless they are not all
# that did. Nothing of the first time is lost: it was printed.
retry()
{
	local again program f

	judge_log "$out/console.log.$1" >/dev/null || return 0
	again=$(failed_programs "$out/verdict.$1" "${@:2}")
	[ -n "$again" ] || return 0
	say "$name: once more: $again"
	# shellcheck disable=SC2086 # a list
	run_tests "$1.again" $again
	read -r _ f _ <"$out/result.$1.again"
	[ "$f" -eq 0 ] || return 0
	for program in $again; do
		echo "$program on $name" >>"$results/flaky"
	done
	passed=$((passed + failed)) failed=0
}

# work ID FUNCTION NAME ARGUMENT...
work()
{
	local start=$SECONDS passed=0 failed=0 skipped=0

	"${@:2}"
	echo "$3 $passed $failed $skipped $((SECONDS - start))" >"$results/row.$1"
}

# next_job: takes it from todo; false if there is none.
next_job()
{
	local file

	for file in "$results"/new.*; do
		[ -e "$file" ] || continue
		cat "$file" >>"$results/todo"
		rm "$file"
	done
	[ -s "$results/todo" ] || return
	sort -s -rnk 1,1 "$results/todo" >"$results/sorted"
	sed 1d "$results/sorted" >"$results/todo"
	read -r _ job <"$results/sorted"
}

# taken: of the processors, in thirds, by the jobs that run.
taken()
{
	local job sum=0

	for job in $(jobs -pr); do
		sum=$((sum + thirds[$job]))
	done
	echo "$sum"
}

# Another run waits until this process ends: a job's own lock would end with the job,
# before the image is booted. In one order, or two runs could wait for each other.
for name in $(tr ' ' '\n' <<<"$names" | sort); do
	lock "$name-check"
done
first=1000000 id=0
for name in $names; do
	echo "$first prepare $name" >>"$results/todo"
	first=$((first - 1))
done
while :; do
	if [ "$(taken)" -le "$((3 * $(nproc) - 2))" ] && next_job; then
		id=$((id + 1))
		# What a job that ends early has to show.
		echo "$(cut -d' ' -f2 <<<"$job") 0 1 0 0" >"$results/row.$id"
		# shellcheck disable=SC2086 # a list
		work "$id" $job </dev/null &
		thirds[$!]=2
		[[ $job != *\ @(debug|debug-rt|kcsan)* ]] || thirds[$!]=3
	elif [ -n "$(jobs -pr)" ]; then
		wait -n || :
	else
		break
	fi
done

# Each kernel has a column, each program a row, the slowest first.
for name in $names; do
	cat "$cache/$name/check/seconds" 2>/dev/null || :
done | awk -v names="$names" '
	BEGIN { columns = split(names, kernel) }
	{ seconds[$1, $2] += $3; sum[$1] += $3 }
	END {
		printf "# %-15s %6s", "seconds", "all"
		for (i = 1; columns > 1 && i <= columns; i++)
			printf " %s", kernel[i]
		print ""
		for (program in sum) {
			row = sprintf("# %-15s %6d", program, sum[program])
			for (i = 1; columns > 1 && i <= columns; i++)
				row = row sprintf(" %" length(kernel[i]) "s",
					((program, kernel[i]) in seconds) ? seconds[program, kernel[i]] : "-")
			print sum[program], row | "sort -rn | cut -d\" \" -f2-"
		}
	}'
if [ -e "$results/flaky" ]; then
	sed 's/^/# failed, and passed when it ran once more: /' "$results/flaky"
fi
if [ -z "${TESTS:-}" ]; then
	echo "# This was what shows README.md's promises. All tests of this kernel: make check TESTS=all;"
	echo "# all there are: make check KERNELS=all TESTS=all (more than an hour). Output of one: V=1 TESTS=name"
fi
cat "$results"/row.* | awk -v names="$names" '
	function row(name, passed, failed, skipped, seconds) {
		printf "# %-18s %8s %8s %8s %8s\n", name, passed, failed, skipped, seconds
	}
	{
		passed[$1] += $2; failed[$1] += $3; skipped[$1] += $4; seconds[$1] += $5
	}
	END {
		row("kernel", "passed", "failed", "skipped", "seconds")
		count = split(names, kernel)
		for (i = 1; i <= count; i++) {
			name = kernel[i]
			row(name, passed[name], failed[name], skipped[name], seconds[name])
			all_passed += passed[name]
			all_failed += failed[name]
			all_skipped += skipped[name]
		}
		if (all_passed + all_failed + all_skipped == 0) {
			print "# nothing ran"
			all_failed = 1
		}
		printf "%d passed, %d failed, %d skipped\n",
			all_passed, all_failed, all_skipped
		exit all_failed || !all_passed
	}'
