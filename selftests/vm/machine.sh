# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # read, and set, by those who source this
#
# A kernel's VM: what it is like, what it boots, and what its test programs say.

. "$vm/kernels.sh"
. "$vm/folder.sh"
. "$vm/build.sh"
. "$vm/boot.sh"

# machine NAME MODE: sets what describe does, and
#   name folder	the kernel, and whose folder it is built in
#   out		where its image and its logs go
#   memory processors icount disk	for boot()
# KERNEL=bzImage KDIR=build takes a kernel of one's own.
machine()
{
	name=$1 folder=$1 memory=1024 processors=2 icount='' disk=''
	if [ "$name" = own ]; then
		folder=$default_kernel
		memory=2048	# it may be a debug kernel
	fi
	describe "$folder"
	if [ -n "$systemd" ]; then
		memory=2048 disk=$cache/$folder/disk
	fi
	[ "$2" != bench ] || memory=3072	# bpftrace's compiler is 200 MB
	if [ "$slowness" -gt 1 ]; then
		# Checkers cost memory and time.
		memory=2048
		VM_TIMEOUT=${VM_TIMEOUT:-2400}
	fi
	if [ -n "${LISTENQ_LOADS:-}${LISTENQ_SECONDS:-}" ]; then
		VM_TIMEOUT=$((${VM_TIMEOUT:-900} + 30 * ${LISTENQ_LOADS:-0} + ${LISTENQ_SECONDS:-0}))
	fi
	out=$cache/$name/$2
}

# make_image MODE PROGRAM...: makes the machine's folder where it isn't there, builds
# the module and these test programs in it, and leaves what the VM boots in $out,
# which the caller has locked.
make_image()
{
	lock "$folder"
	make_folder "$folder" || return
	make_ksft
	[ "$(accelerator)" = kvm ] || make_emulator
	[ "$1" != bench ] || make_peers "$folder"
	build "$@"
	unlock "$folder"
}

# show_programs SECONDS: of what a VM's test programs say, a line for each: how it
# went, how long it took, and why it skipped what it skipped; and before it what the
# tests that failed have said (V=1: all of them). Adds "PROGRAM KERNEL SECONDS" to the
# file SECONDS.
show_programs()
{
	local line said='' start=$SECONDS ok program took

	while IFS= read -r line; do
		line=${line%$'\r'}
		[[ $line != 'TAP version'* ]] || start=$SECONDS
		[[ $line != vm:* && $line != 'TAP version'* && $line != 1..* ]] || continue
		said+=$line$'\n'
		[[ $line =~ ^((not )?ok)\ [0-9]+\ selftests:\ listenq:\ ([a-z_]+) ]] || continue
		ok=${BASH_REMATCH[1]} program=${BASH_REMATCH[3]} took=$((SECONDS - start))
		echo "$program $name $took" >>"$1"
		flock "$1" printf '%s' "$(show_program)"$'\n'
		said='' start=$SECONDS
	done
	# What a program said that never came to its end.
	[ -z "$said" ] || flock "$1" printf '%s' "$said"
}

# show_program: of show_programs(), whose $said it prints.
show_program()
{
	local passed failed skipped

	failed=$(grep -c '^# not ok' <<<"$said") || :
	skipped=$(grep -c '^# ok .*# *SKIP' <<<"$said") || :
	passed=$(($(grep -c '^# ok' <<<"$said" || :) - skipped))
	if [ -n "${V:-}" ]; then
		printf '%s' "$said"
	elif [ "$ok" != ok ] || [ "$failed" -gt 0 ]; then
		printf '%s' "$said" | awk '
			/^# ok / { said = ""; next }
			{ said = said $0 "\n" }
			/^# not ok / { printf "%s", said; said = "" }
			END { printf "%s", said }'
	fi
	printf '%-6s %s %s: %d passed, %d failed, %d skipped, %d s\n' "$ok" "$name" \
		"$program" "$passed" "$failed" "$skipped" "$took"
	sed -nE 's/^# ok .*# *SKIP *(.*)/\1/p' <<<"$said" | sort | uniq -c |
		sed -E 's/^ *([0-9]+) /       skipped \1: /'
}

# run_tests NUMBER PROGRAM...: boots a VM, $out's NUMBERth, that runs these. Leaves
# "PASSED FAILED SKIPPED" in result.NUMBER, beside its log and its verdict.
run_tests()
{
	local console_log=$out/console.log.$1 verdict=$out/verdict.$1 result=$out/result.$1
	local passed failed skipped swap=$out/swap.$1 disks=()

	shift
	processors=2
	# Where QEMU emulates, one of its threads is all of them, and checkers take four
	# times as long already.
	[[ $slowness -gt 1 || " $* " != *' '@(burst|stress)' '* ]] || processors=4
	if [[ " $* " == *' asleep '* ]]; then
		truncate -s 1G "$swap"
		/sbin/mkswap "$swap" >/dev/null 2>&1
		disks=(-drive "file=$swap,format=raw,if=virtio")
	fi
	TESTS="$*" boot "$name" check "$out" "${disks[@]}" </dev/null | tee "$verdict" |
		show_programs "$out/seconds" || :
	read -r passed failed skipped < <(awk -f "$vm/verdict.awk" "$verdict")
	rm -f "$swap"
	judge_log "$console_log" || failed=$((failed + 1))
	echo "$passed $failed $skipped" >"$result"
}

# failed_programs VERDICT PROGRAM...: those of these for which it has no "ok".
failed_programs()
{
	local program

	for program in "${@:2}"; do
		grep -q "^ok [0-9]* selftests: listenq: $program\\b" "$1" || printf '%s ' "$program"
	done | sed 's/ $//'
}
