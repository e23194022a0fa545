# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # read by the scripts that source this
#
# The kernels that listenq is tested on, one short description each.

default_kernel=bookworm
# The one that takes longest goes first.
all_kernels='debug bullseye bookworm trixie trixie-backports arm64 trixie-rt servers'
hand_kernels='debug-rt kcsan experimental'	# not part of KERNELS=all

# What listenq(8) is built with, and what its test drives it with: valgrind
# wants the loader's symbols.
tool_libraries='libjansson-dev libncurses-dev pkgconf'
tool_packages="libc6-dbg $tool_libraries tmux valgrind"

# describe NAME: sets
#   suite	the Debian release that compiler and userland come from
#   release	the suite that the kernel comes from
#   arch	the kernel's architecture, as Debian says it
#   image	the kernel's package; empty where it is built from source
#   extra	more packages that the folder needs
#   fragments	of configuration, for a kernel built from source
#   systemd	not empty: systemd boots the whole folder, the project installed
#		in it; else an initramfs has what the tests need
#   programs	the test programs, where not the usual ones
#   share	how many test programs a VM runs, one VM after the other, so that
#		each takes less than four minutes
describe()
{
	suite=$1 release='' arch=amd64 image=linux-image-amd64 extra='' later='' peers=''
	systemd='' programs='' fragments=() cmdline='' share=4 alone=''

	case $1 in
	bullseye) peers=bpftrace ;;
	trixie)
		extra='clang lld llvm'	# must not warn either
		extra+=' dkms openssl systemd-sysv squashfs-tools ovmf python3-virt-firmware'	# package.sh
		later=linux-headers-cloud-amd64
		;;
	bookworm)
		extra="sparse $tool_packages"	# make lint works in this folder
		extra+=' build-essential debhelper dh-dkms dkms lintian'	# package.sh
		later=linux-headers-cloud-amd64
		;;
	trixie-backports) suite=trixie release=$1 ;;
	trixie-rt) suite=trixie image=linux-image-rt-amd64 ;;
	experimental) suite=sid release=$1 ;;
	servers)
		suite=trixie systemd=y programs='servers monitoring'
		cmdline=systemd.unit=basic.target	# tests start the servers
		extra="squashfs-tools systemd-sysv dbus $tool_libraries nginx wrk redis-server haproxy"
		extra+=' nfs-kernel-server default-jre-headless nodejs xz-utils'
		extra+=' prometheus prometheus-node-exporter'
		;;
	arm64) suite=trixie arch=arm64 image=linux-image-arm64 share=3 ;;
	debug | debug-rt)
		suite=trixie image='' fragments=(debug.config)
		[ "$1" = debug ] || fragments+=(debug-rt.config)
		share=2 alone='counts listen_backlog limits reports'
		;;
	kcsan)
		suite=trixie image='' share=1 fragments=(debug.config kcsan.config)
		# It warns of the kernel's own races; log-allow tells them apart.
		cmdline="panic_on_warn=0 kcsan.early_enable=1"
		;;
	*) die "no kernel '$1': known are $all_kernels $hand_kernels, and all" ;;
	esac
	release=${release:-$suite}
	if [ -z "$image" ]; then
		extra='linux-source bc bison flex libelf-dev libssl-dev xz-utils'
	elif [ "$arch" = arm64 ]; then
		# kbuild's tools come with the headers, those of this machine
		# are needed.
		extra="gcc-aarch64-linux-gnu libc6-dev-arm64-cross linux-headers-amd64"
	else
		extra+=" $image ${image/image/headers}"
		peers=${peers:-bpftrace libbpf-tools}
	fi
}

# kernels_named "NAME...": the list with 'all' put in full, each name checked.
kernels_named()
{
	local name

	for name in $1; do
		if [ "$name" = all ]; then
			kernels_named "$all_kernels"
		else
			describe "$name"
			printf '%s\n' "$name"
		fi
	done
}
