#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside a kernel's folder, as `inside.sh ARCH MODE SYSTEMD TESTS
# [VARIABLE=VALUE...]`: builds /build/src (module with W=1 and these variables of
# make, the test programs TESTS, and the demo static), as far as it is not built
# already, writes the VM's initramfs to stdout and leaves the kernel as
# /build/vmlinuz. Where SYSTEMD is not empty, the initramfs also has what
# `make install` lays over the folder. What is said on the way goes to stderr.

set -euo pipefail

# Programs of the guest that must be the real ones; busybox stands in for
# every other. (Its own shell would prefer its own applets to all of these.)
programs='bash dash cat chmod cut date dd dmesg env find grep head id ip kmod
	ls mawk mkdir mktemp nproc nsenter nstat od realpath rm sed seq setpriv
	sleep sort ss stat stty tail taskset tc tee timeout tr trace-cmd uname unshare wc
	xargs'
# Modules that tests load, where the kernel has them.
modules='dummy veth vrf inet_diag tcp_diag unix_diag mptcp_diag rds_tcp sch_netem fuse'
# Those that lead to a disk with a folder on it.
modules+=' virtio_pci virtio_blk squashfs overlay'
modules+=' virtio_console'	# and to the verdict's port, on s390x

. "${0%/*}/arches.sh"
architecture "$1"
sys=${cross:+/$1}	# another machine's Debian
mode=$2
systemd=$3
tests=$4
shift 4
variables=("$@")
# Debian's headers name gcc as the compiler, and options of its own: take them
# back for clang.
clang=(CC=clang CONFIG_CC_IS_GCC= CONFIG_CC_IS_CLANG=y
	CONFIG_FTRACE_MCOUNT_USE_CC= CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=
	CONFIG_CC_NO_ARRAY_BOUNDS=
	CONFIG_CC_IMPLICIT_FALLTHROUGH=-Wimplicit-fallthrough
	KCFLAGS="-Wno-duplicate-decl-specifier -Wno-unknown-warning-option")
src=/build/src
root=/build/root
exec 3>&1 1>&2		# stdout is for the initramfs alone

# runs PROGRAM...: one of these is among the tests.
runs()
{
	local program

	for program in "$@"; do
		[[ " $tests " != *" $program "* ]] || return 0
	done
	return 1
}

# by_clang: so was this kernel built, and so must its modules be.
by_clang()
{
	grep -qsx 'CONFIG_CC_IS_CLANG=y' "/usr/src/linux-headers-$release/.config"
}

# listenq(8), where someone uses it; its libraries are in some folders only.
tool=''
tool_users='tool units holders verdict effect views log explain explain_saved report_page
	metrics unix_tool hostile neighbours budgets saved scrape servers php_fpm monitoring
	recipes'
# shellcheck disable=SC2086 # a list
if { [ "$mode" = shell ] || runs $tool_users; } && [ -z "$cross" ] &&
	pkg-config --exists ncursesw jansson 2>/dev/null; then
	tool=y
fi

# The same with sanitizers, in its place: what they see ends it. Its tests run this
# one, but under valgrind the other.
sanitizers='-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all'
sanitized=''
if [ "$mode" = check ] && [ -n "$tool" ] && [ -z "$systemd" ]; then
	sanitized=/build/sanitized
fi

build()
{
	local make=(make "-j$(nproc)" "ARCH=$karch" "CROSS_COMPILE=$cross")
	local program kernel

	# No kernel-doc: it needs this or that interpreter, lint runs it.
	kbuild=("${make[@]}" W=1 cmd_checkdoc=)
	if [ -d /build/own ]; then
		ko=/build/own/listenq.ko
		release=$(modinfo -F vermagic "$ko" | cut -d' ' -f1)
	else
		release=$(ls "$sys/lib/modules")
		# Since 7.2 it is among the modules, until the package is installed.
		kernel=$sys/boot/vmlinuz-$release
		[ -e "$kernel" ] || kernel=$sys/lib/modules/$release/vmlinuz
		cp "$kernel" /build/vmlinuz
		# What is installed here already is taken as it is.
		ko=$(find "$sys/lib/modules/$release" -name 'listenq.ko*')
		! by_clang || kbuild+=(LLVM=1)
	fi
	if [ -z "$ko" ]; then
		ko=$src/module/listenq.ko
		# Where there is a clang too, nothing that it builds is kept for
		# the VM.
		if [ "$mode" = check ] && command -v clang >/dev/null && ! by_clang; then
			mkdir -p /build/clang/module
			cp -p "$src"/{Kbuild,Makefile} /build/clang/
			cp -p "$src"/module/{Kbuild,*.[ch]} /build/clang/module/
			"${kbuild[@]}" -C /build/clang LLVM=1 \
				KDIR="/usr/src/linux-headers-$release" "${clang[@]}"
			grep -q ':= clang ' /build/clang/module/.main.o.cmd
		fi
		"${kbuild[@]}" -C "$src" "${variables[@]}" \
			KDIR="/usr/src/linux-headers-$release"
	fi
	# Where the kernel lets functions fail on demand.
	if runs faults && grep -qs '^CONFIG_FAIL_FUNCTION=y' "/usr/src/linux-headers-$release/.config"; then
		"${kbuild[@]}" -C "/usr/src/linux-headers-$release" \
			M="$src/selftests/inject" modules
	fi
	# A kernel that the tests bring along has no headers here.
	if runs beside && [ -d "/usr/src/linux-headers-$release" ]; then
		"${kbuild[@]}" -C "/usr/src/linux-headers-$release" \
			M="$src/selftests/peers" modules
	fi
	rm -rf /build/kselftest
	if [ -n "$tests" ]; then
		"${make[@]}" -C "$src/selftests" KSFT=/build/ksft USERLDFLAGS=-static \
			"PROGRAMS=$tests" INSTALL_PATH=/build/kselftest/listenq install
	fi
	if [ -n "$tool" ]; then
		make "-j$(nproc)" -C "$src/tools" CFLAGS='-O2 -g -Werror'
	fi
	if [ -n "$sanitized" ]; then
		mkdir -p "$sanitized"/{tools,module}
		rm -f "$sanitized"/tools/*.[ch]
		cp -p "$src"/tools/{Makefile,*.[ch]} "$sanitized/tools/"
		cp -p "$src/module/listenq.h" "$sanitized/module/"
		make "-j$(nproc)" -C "$sanitized/tools" LDFLAGS="$sanitizers" \
			CFLAGS="-O1 -g -fno-omit-frame-pointer -Werror $sanitizers"
	fi
	mkdir -p /build/demo
	for program in "$src"/selftests/vm/demo/*.c; do
		"${cross}gcc" -O2 -Wall -Wextra -static \
			-o "/build/demo/$(basename "$program" .c)" "$program"
	done
}

# add_elf FILE PLACE: copies it and, once, each library that it asks for.
add_elf()
{
	local file library

	install -D "$1" "$root/$2"
	while read -r library; do
		if [[ $library == /* ]]; then	# the loader, by its full path
			file=$sys$library
		else
			for file in "$sys"{/usr,}/lib/"$triplet"/"$library"; do
				[ ! -e "$file" ] || break
			done
			if [ ! -e "$file" ]; then
				echo "error: $1 needs $library, which this Debian lacks: link it statically"
				return 1
			fi
			library=/usr/lib/$triplet/$library
		fi
		[ -e "$root$library" ] || add_elf "$file" "$library"
	done < <(readelf -ldW "$1" | sed -nE \
		's/.*(NEEDED\).*\[|interpreter: )(.*)\]$/\2/p')
}

# add_symbols FILE: those that libc6-dbg has of it.
add_symbols()
{
	local id name

	id=$(readelf -n "$1" | sed -n 's/.*Build ID: //p')
	name=usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
	install -D -m 644 "/$name" "$root/$name"
}

# What listenq(8) is tried with: a terminal that is wide and knows UTF-8, and a
# checker of memory, whose parts nothing names but itself.
add_tool_test()
{
	local name

	[ ! -e /usr/bin/tmux ] || add_elf /usr/bin/tmux usr/bin/tmux
	if [ -e /usr/bin/valgrind.bin ]; then
		for name in bin/valgrind{,.bin} libexec/valgrind/default.supp \
			libexec/valgrind/{memcheck-,vgpreload_{core,memcheck}-}amd64-linux{,.so}; do
			[ ! -e "/usr/$name" ] ||
				install -D "/usr/$name" "$root/usr/$name"
		done
		add_symbols /lib64/ld-linux-x86-64.so.2
	fi
	install -D -m 644 -t "$root/etc/terminfo/t" \
		/lib/terminfo/t/tmux-256color
}

# add_utf8: a locale whose terminals show more than ASCII.
add_utf8()
{
	mkdir -p "$root/usr/lib/locale"
	cp -r /usr/lib/locale/C.[Uu]* "$root/usr/lib/locale/"
}

# What make shell brings along: FILES, and the description of the terminal that it
# was called from.
add_shell()
{
	local file

	[ -n "$cross" ] || add_utf8
	[ ! -s /build/shell/terminfo ] ||
		tic -x -o "$root/etc/terminfo" /build/shell/terminfo ||
		rm -f /build/shell/terminfo
	for file in /build/shell/files/*; do
		[ -e "$file" ] || continue
		if [ -f "$file" ] && [ -x "$file" ] && readelf -h "$file" >/dev/null 2>&1; then
			add_elf "$file" "usr/local/bin/${file##*/}"
		elif [ -f "$file" ] && [ -x "$file" ]; then
			install -D "$file" "$root/usr/local/bin/${file##*/}"
		else
			cp -r "$file" "$root/root/"
		fi
	done
}

add_programs()
{
	local name dir applet

	mkdir -p "$root"/usr/{bin,sbin,lib,lib64} \
		"$root"/{dev,etc,proc,root,run,sys,tmp,var}
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$root/$dir"
	done
	for name in $programs; do
		for dir in usr/bin usr/sbin bin sbin; do
			[ ! -e "$sys/$dir/$name" ] || break
		done
		add_elf "$sys/$dir/$name" "usr/bin/$name"
	done
	ln -s dash "$root/usr/bin/sh"
	ln -s mawk "$root/usr/bin/awk"
	for name in modprobe insmod rmmod lsmod modinfo depmod; do
		ln -s ../bin/kmod "$root/usr/sbin/$name"
	done
	# The applets' names are those of this machine's busybox: same release.
	install "$sys/bin/busybox" "$root/usr/bin/busybox"
	for applet in $(busybox --list); do
		[ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] ||
			ln -s busybox "$root/usr/bin/$applet"
	done
	if [ -n "$tool" ] && [ -z "$systemd" ]; then	# else it is installed
		add_elf "${sanitized:-$src}/tools/listenq" usr/sbin/listenq
	fi
	[ -z "$sanitized" ] || add_elf "$src/tools/listenq" usr/libexec/listenq
	if [ -n "$tool" ] && runs hostile; then
		install -D -m 644 "$src/tools/listenq.bash" \
			"$root/usr/share/bash-completion/completions/listenq"
	fi
	if [ -n "$tool" ] && runs tool holders views log report_page; then
		add_tool_test
		add_utf8
	fi
	# For the line editor of make shell.
	install -D -m 644 -t "$root/etc/terminfo/v" \
		"$(find /{usr/share,lib}/terminfo/v/vt100 2>/dev/null | head -n 1)"
	echo 'set enable-bracketed-paste off' >"$root/etc/inputrc"
	printf 'root:x:0:0::/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' \
		>"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
}

add_modules()
{
	local from to=$root/lib/modules/$release file

	[ ! -d /build/own ] || sys=/build/own
	from=$sys/lib/modules/$release

	if [[ $ko == "$from"/* ]]; then
		install -D -m 644 "$ko" "$to/${ko#"$from/"}"
	else
		install -D -m 644 "$ko" "$to/updates/listenq.ko"
	fi
	for file in "$src"/selftests/{inject,peers}/*.ko; do
		[ ! -e "$file" ] || install -D -m 644 -t "$to/updates" "$file"
	done
	if [ -d "$from" ]; then
		cp "$from"/modules.{builtin,order}* "$to" || :	# some lack some
		# shellcheck disable=SC2086 # a list; not every kernel has all
		{ modprobe -d "$sys/" -S "$release" -a --show-depends $modules \
			2>/dev/null || :; } |
			sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u |
		while read -r file; do
			install -D -m 644 "$file" "$root/${file#"$sys/"}"
		done
	else
		touch "$to"/modules.{builtin,builtin.modinfo,order}
	fi
	depmod -b "$root" "$release"
}

add_tests()
{
	local selftests=$src/selftests framework=/build/ksft/tools/testing/selftests

	cp -r /build/kselftest "$root/"
	cp -r "$framework/kselftest" "$framework/run_kselftest.sh" "$root/kselftest/"
	make -s --no-print-directory -C "$selftests" KSFT=/build/ksft \
		"PROGRAMS=$tests" COLLECTION=listenq emit_tests >"$root/kselftest/kselftest-list.txt"
}

# What a user's `make install` would have put into the folder, below /over; its
# depmod has to see the other modules too.
add_installed()
{
	local to=$root/over/lib/modules

	mkdir -p "$root/over/usr/lib"
	ln -s usr/lib "$root/over/lib"
	make -C "$src" W=1 cmd_checkdoc= "${variables[@]}" \
		KDIR="/usr/src/linux-headers-$release" "DESTDIR=$root/over" install
	cp -al "/lib/modules/$release" "$to/"
	depmod -b "$root/over" "$release"
	rm -r "$to/$release/kernel"
}

# add_peer FILE PLACE: if there is one; Debian has renamed some.
add_peer()
{
	[ ! -e "/peers/$1" ] || add_elf "/peers/$1" "$2"
}

# What boots a kernel without the firmware, and without stopping anything before.
add_kexec()
{
	"${cross}gcc" -O2 -Wall -Wextra -static -o "$root/usr/bin/kexec-now" \
		"$src/selftests/vm/kexec.c"
}

# The benchmark, and those that it measures beside us: /peers holds what this
# Debian has of them, unpacked.
add_bench()
{
	local bench=$src/selftests/bench to=$root/bench file dir

	for dir in "$bench" "$src/selftests/peers"; do
		"${kbuild[@]}" -C "/usr/src/linux-headers-$release" "M=$dir" modules
	done
	mkdir "$to"
	cp "$bench/bench.sh" "$bench"/*.ko "$src"/selftests/peers/*.ko "$to"
	"${cross}gcc" -O2 -Wall -Wextra -Wno-unused-parameter -static -pthread \
		-isystem /build/ksft/tools/testing/selftests \
		-o "$to/bench" "$bench/bench.c" "$src"/selftests/{listenq,fentry}.c
	sys=/peers
	add_peer usr/bin/bpftrace usr/bin/bpftrace
	for file in tcpsynbl solisten; do
		add_peer "usr/sbin/$file" "usr/sbin/$file"
		add_peer "usr/sbin/$file-libbpf" "usr/sbin/$file"
	done
	# A script, which wants the C library's headers.
	file=usr/sbin/tcpaccept.bt
	if [ -e "/peers/$file" ]; then
		install -D "/peers/$file" "$root/$file"
		mkdir -p "$root/usr/include"
		cp -r /usr/include/. "$root/usr/include"
	fi
}

rm -rf "$root"
build
add_programs
add_modules
cp -r /build/demo "$src/selftests/vm/demo/demo.sh" "$root/"
install "$src/selftests/vm/init" "$root/init"
# Where systemd boots a disk, this unit runs init once more.
mkdir -p "$root/kselftest"
install -D -m 644 -t "$root/over/etc/systemd/system" "$src/selftests/vm/selftests.service"
[ -z "$tests" ] || add_tests
[ "$mode" != shell ] || add_shell
[ "$mode" != bench ] || add_bench
[ "$mode" != kexec ] || add_kexec
[ -z "$systemd" ] || add_installed
cd "$root"
find . | busybox cpio -o -H newc >&3
