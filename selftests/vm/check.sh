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
all_passed=0 all_failed=0 all_skipped=0 table=

for name in $names; do
	start=$SECONDS status=0
	"$vm/vm.sh" check "$name" || status=$?
	passed=0 failed=1 skipped=0
	case $status in
	0) read -r passed failed skipped <"$cache/$name/check/result" ;;
	4) failed=0 skipped=1 ;;	# its suite is gone, and it said so
	130|143) exit "$status" ;;
	esac
	table+="$name $passed $failed $skipped $((SECONDS - start))"$'\n'
	all_passed=$((all_passed + passed))
	all_failed=$((all_failed + failed))
	all_skipped=$((all_skipped + skipped))
done

awk 'BEGIN { row("kernel passed failed skipped seconds") }
	NF { row($0) }
	function row(line) {
		split(line, f)
		printf "# %-18s %8s %8s %8s %8s\n", f[1], f[2], f[3], f[4], f[5]
	}' <<<"$table"
if [ $((all_passed + all_failed + all_skipped)) -eq 0 ]; then
	echo "# nothing ran"
	all_failed=1
fi
echo "$all_passed passed, $all_failed failed, $all_skipped skipped"
[ "$all_failed" -eq 0 ] && [ "$all_passed" -gt 0 ]
