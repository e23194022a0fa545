# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2153,SC2154 # machine.sh and folder.sh set them
#
# From the working tree to what a VM boots. Everything is built in the
# kernel's folder by inside.sh; nothing is written into the working tree.

# update ROOT PLACE: makes ROOT/build/PLACE what the tar on stdin has. A file that is
# the same keeps its time, so that what was built of it before is up to date.
update()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_folder "$1" sh -euc '
		rm -rf /build/new && mkdir -p "/build/$1" /build/new && cd /build/new
		tar -x --no-same-owner
		find . ! -type d | sort >/build/list.new
		touch "/build/list.$1"
		comm -23 "/build/list.$1" /build/list.new |
			(cd "/build/$1" && xargs -r -d "\n" rm -f)
		rsync --recursive --links --perms --checksum ./ "/build/$1"
		mv /build/list.new "/build/list.$1"
		rm -r /build/new' sh "$2"
}

# sources: a tar of the working tree.
sources()
{
	files . | tar -c -C "$top" --null --no-recursion --files-from=-
}

# upload ROOT: the sources and the test framework, to ROOT/build.
upload()
{
	sources | update "$1" src
	tar -c -C "$ksft" tools/testing/selftests/{lib.mk,run_kselftest.sh} \
		tools/testing/selftests/kselftest{,.h,_harness.h} |
		update "$1" ksft
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

# build MODE PROGRAM...: leaves vmlinuz and initramfs in $out.
build()
{
	local mode=$1 log=$out/build.log root=$cache/$folder/root

	shift
	say "$name: building the module${*:+, its tests} and an initramfs"
	rm -rf "$out"
	mkdir -p "$out"
	upload "$root"
	in_folder "$root" rm -rf /build/own /build/shell
	if [ "$name" = own ]; then
		own_module "$root" "$log"
		cp "$KERNEL" "$out/vmlinuz"
	fi
	[ "$mode" != shell ] || shell_files "$root"
	in_folder "$root" bash /build/src/selftests/vm/inside.sh "$arch" "$mode" \
		"$systemd" "$*" ${COVERAGE:+GCOV_PROFILE=y} \
		>"$out/initramfs" 2>>"$log" || {
		warnings "$log" >&2 || tail -n 20 "$log" >&2
		die "$name: the build failed, its log is $log"
	}
	if warnings "$log" >&2; then
		# What is up to date would not be compiled, and warned of, again.
		in_folder "$root" rm -rf /build/src /build/clang
		die "$name: the compiler warned, the log is $log"
	fi
	[ -f "$out/vmlinuz" ] ||
		in_folder "$root" cat /build/vmlinuz >"$out/vmlinuz"
}

# shell_files ROOT: FILES, which make shell brings along, and the description of this
# terminal.
shell_files()
{
	local file

	in_folder "$1" mkdir -p /build/shell/files
	for file in ${FILES:-}; do
		tar -c -C "$(dirname "$file")" --dereference "$(basename "$file")" |
			in_folder "$1" tar -x --no-same-owner -C /build/shell/files
	done
	! infocmp -x "${TERM:-}" >"$out/terminfo" 2>/dev/null ||
		in_folder "$1" sh -c 'cat >/build/shell/terminfo' <"$out/terminfo"
}

# own_module ROOT LOG: for KERNEL=, whose build folder KDIR= is not inside
# the folder: the module is built out here, by the compiler that built it.
# Of the kernel's own modules the VM gets those in MODULES=, a folder named after
# the release; else those that were built in KDIR; else those that are installed here.
own_module()
{
	local dir=$out/module release modules=${MODULES:-}

	mkdir "$dir"
	sources | tar -x -C "$dir"
	make -C "$dir" KDIR="$KDIR" W=1 >"$2" 2>&1 || {
		tail -n 20 "$2" >&2
		die "the build against KDIR=$KDIR failed, its log is $2"
	}
	tar -c -C "$dir/module" listenq.ko |
		in_folder "$1" sh -c 'mkdir /build/own && tar -x -C /build/own'
	release=$(sed -n 's/^.define UTS_RELEASE "\(.*\)"$/\1/p' \
		"$KDIR/include/generated/utsrelease.h")
	if [ -z "$modules" ] && [ -s "$KDIR/modules.order" ]; then
		modules=$out/modules/lib/modules/$release
		make -C "$KDIR" INSTALL_MOD_PATH="$out/modules" INSTALL_MOD_STRIP=1 \
			DEPMOD=true modules_install >>"$2" 2>&1 || {
			tail -n 20 "$2" >&2
			die "modules_install in KDIR=$KDIR failed, its log is $2: set MODULES="
		}
	fi
	modules=${modules:-/lib/modules/$release}
	[ -d "$modules/kernel" ] || return 0
	# The tests want none of these, which are most of a distribution's.
	# shellcheck disable=SC2016 # expanded by the inner shell
	tar -c -C "$modules" --exclude=./build --exclude=./source \
		--exclude=./kernel/drivers/{gpu,media} --exclude=./kernel/sound . |
		in_folder "$1" sh -euc 'mkdir -p "/build/own/lib/modules/$1"
			tar -x --no-same-owner -C "/build/own/lib/modules/$1"
			depmod -b /build/own "$1"' sh "$release"
}
