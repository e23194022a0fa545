#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vm.sh check|soak|demo|shell|bench [NAME]: makes what kernel NAME needs, builds
# the working tree for it, boots it and does the named thing in it.
# KERNEL=bzImage KDIR=build takes a kernel of one's own.
#
# COVERAGE=y builds the module so that it tells which of its lines ran.
#
# check leaves "PASSED FAILED SKIPPED" in the file result; soak is check with
# one seed after the other, for MINUTES. bench prints what bench.sh measures, or the PARTS of
# it, and fails when a budget is broken. Status 4: this kernel can't be had.

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"
. "$vm/folder.sh"
. "$vm/build.sh"
. "$vm/boot.sh"

mode=$1 name=${2:-$default_kernel}
folder=$name
memory=1024 processors=2 icount='' disk=''
if [ -n "${KERNEL:-}" ]; then
	[ -f "$KERNEL" ] || die "KERNEL=$KERNEL is no file: name a bzImage"
	[ -f "${KDIR:-}/Makefile" ] ||
		die "KDIR='${KDIR:-}' is no kernel's build folder: it comes with KERNEL"
	name=own folder=$default_kernel
	memory=2048	# it may be a debug kernel
fi
describe "$folder"
if [ -n "$systemd" ]; then
	memory=2048 disk=$cache/$folder/disk
fi
[ "$mode" != bench ] || memory=3072	# bpftrace's compiler is 200 MB
if [ -z "$image" ]; then
	# Checkers cost memory and time.
	memory=2048
	VM_TIMEOUT=${VM_TIMEOUT:-2400}
fi
if [ -n "${LISTENQ_LOADS:-}${LISTENQ_SECONDS:-}" ]; then
	VM_TIMEOUT=$((${VM_TIMEOUT:-900} + 30 * ${LISTENQ_LOADS:-0} + ${LISTENQ_SECONDS:-0}))
fi
out=$cache/$name/$mode
for test in ${TESTS:-}; do
	[ -f "$top/selftests/$test.c" ] ||
		die "TESTS: no program '$test': Documentation/testing.rst has them all"
done

lock "$name-$mode"
lock "$folder"
make_folder "$folder"
make_ksft
[ "$mode" != bench ] || make_peers "$folder"
build "$name" "$mode" "$out"
unlock "$folder"

# piped OUT: what is piped into make shell, from the moment there is someone to
# read it; then the shell is left.
piped()
{
	local tries

	for ((tries = 0; tries < 300; tries++)); do
		! grep -qs '^Leave with exit' "$1/console.log" || break
		sleep 0.2
	done
	cat
	echo exit
}

if [ "$mode" = shell ]; then
	if [ -t 0 ]; then
		boot "$name" shell "$out"
	else
		piped "$out" | boot "$name" shell "$out"
	fi
	exit
fi

# run TESTS: boots a VM that runs them, or the demo, with its output as it
# comes.
run()
{
	TESTS=$1 boot "$name" "${mode/soak/check}" "$out" </dev/null | tee "$out/verdict" |
		grep -v --line-buffered '^vm: ' || :
}

# check TESTS: runs them and adds their figures to those of the VMs before.
passed=0 failed=0 skipped=0
check()
{
	local start=$SECONDS p f s

	processors=2
	[[ $1 != *stress* ]] || processors=4
	run "$1"
	say "$name: these took $((SECONDS - start)) s: $1"
	read -r p f s < <(awk -f "$vm/verdict.awk" "$out/verdict")
	judge_log "$out/console.log" || f=$((f + 1))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

if [ "$mode" = demo ]; then
	run ''
	judge_log "$out/console.log"
	grep -qx 'vm: end 0' "$out/verdict" ||
		die "the demo stopped early; the kernel's log is $out/console.log"
	exit
fi

# soak: what a seed decides on, until MINUTES are over or something fails.
soak()
{
	local end=$((SECONDS + 60 * ${MINUTES:-30})) round=0 first=${LISTENQ_SEED:-$RANDOM}

	: >"$out/did"
	while [ "$failed" -eq 0 ] && { [ "$round" -eq 0 ] || [ "$SECONDS" -lt "$end" ]; }; do
		export LISTENQ_SEED=$((first + round))
		check "${TESTS:-stress fuzz}"
		cat "$out/verdict" >>"$out/did"
		round=$((round + 1))
	done
	[ "$failed" -eq 0 ] ||
		say "$name: to repeat it: make check KERNELS=$name TESTS='${TESTS:-stress fuzz}' LISTENQ_SEED=$LISTENQ_SEED"
	printf '# soak: %d rounds, seeds %d to %d:' "$round" "$first" "$LISTENQ_SEED"
	sed -n 's/.*:did: //p' "$out/did" | tr -d '\r' | awk -F ', ' '
		{
			for (i = 1; i <= NF; i++) {
				count = name = $i
				sub(/ .*/, "", count)
				sub(/[^ ]* /, "", name)
				if (!(name in sum))
					names[++n] = name
				sum[name] += count
			}
		}
		END {
			for (i = 1; i <= n; i++)
				printf " %d %s%s", sum[names[i]], names[i], i < n ? "," : ""
			print ""
		}'
	echo "$passed passed, $failed failed, $skipped skipped"
	exit "$((failed != 0))"
}

# bench: one part after the other, and a table of them all.
bench()
{
	local part

	rm -f "$out"/verdict.*
	for part in ${PARTS:-path read change}; do
		say "$name: measuring: $part"
		if [ "$part" = rate ]; then icount='' processors=4; else icount=yes; fi
		run "$part" | { grep --line-buffered '^#' || :; } >&2
		judge_log "$out/console.log" >&2
		grep -qx 'vm: end 0' "$out/verdict" ||
			die "$name: the benchmark stopped early, see $out/verdict"
		mv "$out/verdict" "$out/verdict.$part"
	done
	cat "$out"/verdict.* | grep -v '^vm:' >"$out/measured"
	awk -v kernel="$name" -f "$top/selftests/bench/table.awk" "$out/measured"
}

if [ "$mode" = bench ]; then
	bench
	exit
elif [ "$mode" = soak ]; then
	soak
elif [ -n "${TESTS:-}" ]; then
	check "$TESTS"
else
	programs=${programs:-$(sed -n 's/^TEST_GEN_PROGS := //p' "$top/selftests/Makefile")}
	{
		tr ' ' '\n' <<<"$alone"
		tr ' ' '\n' <<<"$programs" | grep -vxF "${alone// /$'\n'}" |
			xargs -n "$share"
	} | grep . >"$out/shares"
	number=0
	while read -r tests; do
		check "$tests"
		number=$((number + 1))
		for file in console.log verdict; do
			mv "$out/$file" "$out/$file.$number"
		done
	done <"$out/shares"
fi
echo "$passed $failed $skipped" >"$out/result"
