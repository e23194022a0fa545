#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the kselftests on each of KERNELS and adds up. The last line is
# "N passed, N failed, N skipped".

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"

if [ -n "${KERNEL:-}" ]; then
	names=own
else
	names=$(kernels_named "${KERNELS:-$default_kernel}")
fi
results=$(mktemp -d)
trap 'stop' EXIT
set -m	# a process group for each kernel, to be stopped as one

stop()
{
	local job

	for job in $(jobs -p); do
		kill -TERM -- "-$job" 2>/dev/null || :
	done
	rm -rf "$results"
}

# check NAME: leaves its output and, at the end, its row of the table.
check()
{
	local start=$SECONDS status=0 passed=0 failed=1 skipped=0

	"$vm/vm.sh" check "$1" </dev/null || status=$?
	case $status in
	0) read -r passed failed skipped <"$cache/$1/check/result" ;;
	4) failed=0 skipped=1 ;;	# its suite is gone, and it said so
	esac
	echo "$1 $passed $failed $skipped $((SECONDS - start))" >"$results/row.$1"
}

# print_done: the output of the kernels that are done, each in one piece.
print_done()
{
	local row name

	for row in "$results"/row.*; do
		name=${row##*/row.}
		[ -e "$results/out.$name" ] || continue
		cat "$results/out.$name"
		rm "$results/out.$name"
	done
}

# As many at a time as there are processors: where QEMU emulates, a VM takes
# one. A single kernel's output is shown as it comes.
if [ "$(wc -w <<<"$names")" -eq 1 ]; then
	check "$names"
else
	for name in $names; do
		while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
			wait -n || :
			print_done
		done
		check "$name" >"$results/out.$name" &
	done
	while [ -n "$(jobs -pr)" ]; do
		wait -n || :
		print_done
	done
fi

for name in $names; do
	cat "$results/row.$name"
done | awk '
	function row(name, passed, failed, skipped, seconds) {
		printf "# %-18s %8s %8s %8s %8s\n", name, passed, failed, skipped, seconds
	}
	BEGIN { row("kernel", "passed", "failed", "skipped", "seconds") }
	{
		row($1, $2, $3, $4, $5)
		passed += $2; failed += $3; skipped += $4
	}
	END {
		if (passed + failed + skipped == 0) {
			print "# nothing ran"
			failed = 1
		}
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed || !passed
	}'
