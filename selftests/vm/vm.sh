#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vm.sh soak|kexec|demo|shell|bench [NAME]: makes what kernel NAME needs, builds the
# working tree for it, boots it and does the named thing in it. (check.sh does the
# tests, on several kernels.)
#
# soak is the test programs that a seed decides on, with one seed after the other,
# for MINUTES. kexec boots the kernel from itself while the module is in use, and runs
# TESTS after that. bench prints what bench.sh measures, or the PARTS of it, and fails
# when a budget is broken.

. "$(dirname "$0")/lib.sh"
. "$vm/machine.sh"

mode=$1
machine "${2:-$default_kernel}" "$mode"
# Another run with the same image waits until this process ends.
lock "$name-$mode"

# piped: what is piped into make shell, from the moment there is someone to
# read it; then the shell is left.
piped()
{
	local tries

	for ((tries = 0; tries < 300; tries++)); do
		! grep -qs '^Leave with exit' "$out/console.log" || break
		sleep 0.2
	done
	cat
	echo exit
}

shell()
{
	make_image shell
	if [ -t 0 ]; then
		boot "$name" shell "$out"
	else
		piped | boot "$name" shell "$out"
	fi
}

# run PART: boots a VM that does one thing that is no test, with its output as it
# comes, and left in $out/verdict.
run()
{
	TESTS=$1 boot "$name" "$mode" "$out" </dev/null | tee "$out/verdict" |
		grep -v --line-buffered '^vm: ' || :
}

demo()
{
	make_image demo
	run ''
	judge_log "$out/console.log"
	grep -qx 'vm: end 0' "$out/verdict" ||
		die "the demo stopped early; the kernel's log is $out/console.log"
}

# soak: until MINUTES are over or something fails.
soak()
{
	local end=$((SECONDS + 60 * ${MINUTES:-30})) round=0 first=${LISTENQ_SEED:-$RANDOM}
	local passed=0 failed=0 skipped=0 p f s tests=${TESTS:-stress fuzz}

	# shellcheck disable=SC2086 # a list
	make_image soak $tests
	: >"$out/did"
	while [ "$failed" -eq 0 ] && { [ "$round" -eq 0 ] || [ "$SECONDS" -lt "$end" ]; }; do
		export LISTENQ_SEED=$((first + round))
		# shellcheck disable=SC2086
		run_tests "$round" $tests
		read -r p f s <"$out/result.$round"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		cat "$out/verdict.$round" >>"$out/did"
		round=$((round + 1))
	done
	[ "$failed" -eq 0 ] ||
		say "$name: to repeat it: make check KERNELS=$name TESTS='$tests' LISTENQ_SEED=$LISTENQ_SEED"
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
	[ "$failed" -eq 0 ]
}

# kexec: the second boot is the first one's, as it tells the first to.
kexec()
{
	local tests=${TESTS:-rows hooks asked counts load} boots passed failed skipped

	memory=2048
	# shellcheck disable=SC2086 # a list
	make_image kexec $tests
	TESTS=$tests boot "$name" kexec "$out" \
		-drive "file=$out/vmlinuz,format=raw,if=virtio,readonly=on" \
		-drive "file=$out/initramfs,format=raw,if=virtio,readonly=on" \
		</dev/null | tee "$out/verdict" | show_programs "$out/seconds" || :
	read -r passed failed skipped < <(awk -f "$vm/verdict.awk" "$out/verdict")
	judge_log "$out/console.log" || failed=$((failed + 1))
	boots=$(grep -ac 'Linux version' "$out/console.log") || :
	if [ "$boots" -ne 2 ]; then
		say "$name: booted $boots times, not twice: see $out/console.log"
		failed=$((failed + 1))
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

# bench: one part after the other, and a table of them all.
bench()
{
	local part

	make_image bench
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

"$mode"
