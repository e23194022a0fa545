#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds listenq(8) with clang's sanitizers and libFuzzer (selftests/fuzzer), in the
# folder of the kernel that has clang, and runs it for MINUTES; or once with each of
# FILES, inputs that failed. What fails is left in build/. Inputs that reach something
# new are kept in the folder, where the next run begins with them.

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"
. "$vm/folder.sh"
. "$vm/build.sh"

folder=trixie
root=$cache/$folder/root log=$cache/$folder/fuzz.log
describe "$folder"
lock "$folder-fuzz"
lock "$folder"
make_folder "$folder"

say 'fuzz: building listenq(8) with sanitizers and libFuzzer'
sources | update "$root" src
quietly "$log" in_folder "$root" sh -euc '
	cd /build && rm -rf fuzzer && mkdir -p found fuzzer/failed fuzzer/again fuzzer/tmp
	make -C src/selftests/fuzzer OUT=/build/fuzzer
	cp -r src/selftests/fuzzer/corpus fuzzer/' || {
	tail -n 20 "$log" >&2
	die "fuzz: the build failed, its log is $log"
}
unlock "$folder"

# fuzzer ARGUMENT...: what a run may take is far above what any takes, on a machine too
# that has no time for it: VMs beside it have made 11 seconds of a fifth of one.
fuzzer()
{
	quietly "$log" in_folder "$root" env -C /build/fuzzer TMPDIR=/build/fuzzer/tmp \
		nice ./fuzzer -timeout=60 -rss_limit_mb=1024 -artifact_prefix=failed/ "$@"
}

status=0
if [ -n "${FILES:-}" ]; then
	for file in $FILES; do
		in_folder "$root" sh -c 'cat >/build/fuzzer/again/input' <"$file"
		one=0
		fuzzer again/input || one=$?
		grep -vE '^(INFO|NOTE|Running|\./fuzzer)' "$log" || :
		echo "# $file: status $one"
		[ "$one" -eq 0 ] || status=1
	done
	exit "$status"
fi

minutes=${MINUTES:-1}
say "fuzz: running for $minutes min"
fuzzer -max_total_time=$((60 * minutes)) -max_len=8192 ../found corpus || status=$?
sed -nE 's/^#([0-9]+)[[:blank:]]+DONE +cov: ([0-9]+) .*/# fuzz: \1 inputs, \2 edges reached/p' "$log"
[ "$status" -ne 0 ] || exit 0

mkdir -p "$top/build"
in_folder "$root" tar -c -C /build/fuzzer/failed . | tar -x --no-same-owner -C "$top/build"
# From the finding on, without libFuzzer's own frames.
grep -vE '^(INFO|NOTE|MS|E|artifact_prefix|#[0-9]+|[[:blank:]]*NEW_FUNC)|in (fuzzer::|main |_start|__libc_start)' "$log" |
	tail -n 100
for file in $(in_folder "$root" ls /build/fuzzer/failed); do
	echo "# fuzz: to repeat it: make fuzz FILES=build/$file"
done
die "fuzz: listenq(8) failed, see above (status $status; the log is $log)"
