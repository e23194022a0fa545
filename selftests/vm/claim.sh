# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # read, and set, by those who source this
#
# Scripts that are a test: claims, each a test case, and VMs of whose output they speak.

passed=0 failed=0

# claim TEXT COMMAND...: a test case; what COMMAND says is shown if it fails.
claim()
{
	local text="$name: $1" result=ok

	shift
	if "$@" >"$out/claim.log" 2>&1 </dev/null; then
		passed=$((passed + 1))
	else
		result='not ok'
		failed=$((failed + 1))
		sed 's/^/#   /' "$out/claim.log"
	fi
	echo "$result $((passed + failed)) $text"
}

# says TEXT: the VM had this in one of its lines.
says()
{
	cat "$out/verdict"
	grep -qF -- "$1" "$out/verdict"
}

# tests_passed: the VM's test programs came to their end, and none failed.
tests_passed()
{
	local p f _

	cat "$out/verdict"
	read -r p f _ < <(awk -f "$vm/verdict.awk" "$out/verdict")
	[ "$p" -gt 0 ] && [ "$f" -eq 0 ]
}
