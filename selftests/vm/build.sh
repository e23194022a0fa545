# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# From the working tree to what a VM boots. Everything is built in the
# kernel's folder by inside.sh; nothing is written into the working tree.

# sources: a tar of what git knows or would add, as it lies there now.
sources()
{
	cd "$top"
	git ls-files -z --cached --others --exclude-standard --deduplicate |
	while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done |
	tar -c --null --no-recursion --files-from=-
}

# upload ROOT: the sources and the test framework, to ROOT/build.
upload()
{
	in_folder "$1" sh -c 'rm -rf /build && mkdir -p /build/src /build/ksft'
	(sources) | in_folder "$1" tar -x --no-same-owner -C /build/src
	tar -c -C "$ksft" tools/testing/selftests/{lib.mk,run_kselftest.sh} \
		tools/testing/selftests/kselftest{,.h,_harness.h} |
		in_folder "$1" tar -x --no-same-owner -C /build/ksft
}

# warnings LOG: what compilers and modpost complained about. That the
# kernel's builder had another gcc revision is no concern of ours, nor is it that
# kbuild leaves depmod to us.
warnings()
{
	grep -iE '\b(warning|error):' "$1" | grep -vE \
		-e 'warning: the compiler differs from the one used to build' \
		-e "Warning: modules_install: missing 'System.map' file"
}

# build NAME MODE OUT: leaves vmlinuz and initramfs in OUT.
build()
{
	local name=$1 mode=$2 out=$3 log=$3/build.log root=$cache/$folder/root

	say "$name: building module, tests and initramfs"
	rm -rf "$out"
	mkdir -p "$out"
	upload "$root"
	if [ -n "${KERNEL:-}" ]; then
		own_module "$root" "$log"
		cp "$KERNEL" "$out/vmlinuz"
	fi
	in_folder "$root" bash /build/src/selftests/vm/inside.sh "$arch" "$mode" \
		"$systemd" "${TESTS:-}" ${COVERAGE:+GCOV_PROFILE=y} \
		>"$out/initramfs" 2>>"$log" || {
		warnings "$log" >&2 || tail -n 20 "$log" >&2
		die "$name: the build failed, its log is $log"
	}
	if warnings "$log" >&2; then
		die "$name: the compiler warned, the log is $log"
	fi
	[ -f "$out/vmlinuz" ] ||
		in_folder "$root" cat /build/vmlinuz >"$out/vmlinuz"
}

# own_module ROOT LOG: for KERNEL=, whose build folder KDIR= is not inside
# the folder: the module is built out here, by the compiler that built it.
own_module()
{
	local dir=$out/module

	mkdir "$dir"
	(sources) | tar -x -C "$dir"
	make -C "$dir" KDIR="$KDIR" W=1 >"$2" 2>&1 || {
		tail -n 20 "$2" >&2
		die "the build against KDIR=$KDIR failed, its log is $2"
	}
	tar -c -C "$dir/module" listenq.ko |
		in_folder "$1" sh -c 'mkdir /build/own && tar -x -C /build/own'
}
