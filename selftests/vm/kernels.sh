# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # read by the scripts that source this
#
# The kernels that listenq is tested on, one short description each.

. "$vm/arches.sh"

default_kernel=bookworm
# The one that takes longest goes first.
all_kernels='debug bullseye bookworm trixie trixie-backports arm64 trixie-rt servers'
# Not part of KERNELS=all; together they are KERNELS=hand.
hand_kernels='debug-rt kcsan newest newest-clang experimental arm64-rt s390x riscv64'

# What listenq(8) is built with, and what its test drives it with: valgrind
# wants the loader's symbols.
tool_libraries='libjansson-dev libncurses-dev pkgconf'
tool_packages="libc6-dbg $tool_libraries tmux valgrind"

# describe NAME: sets what architecture() does, and
#   suite	the Debian release that compiler and userland come from
#   release	the suite that the kernel comes from; of several, the one that has the
#		newest
#   arch	the kernel's architecture, as Debian says it
#   image	the kernel's package; empty where it is built from source
#   extra	more packages that the folder needs
#   fragments	of configuration, for a kernel built from source
#   compiler	what tells kbuild to take another than gcc
#   moving	not empty: the suite gets new kernels all the time, so that the folder
#		is made anew in each week in which it is used
#   systemd	not empty: systemd boots the whole folder, the project installed
#		in it; else an initramfs has what the tests need
#   slowness	how many times as long as on bookworm its test programs take
describe()
{
	suite=$1 release='' arch=amd64 image=linux-image-amd64 extra='' later='' peers=''
	systemd='' fragments=() compiler='' moving='' cmdline='' slowness=1

	case $1 in
	bullseye) peers=bpftrace ;;
	trixie)
		extra='clang lld llvm'	# must not warn either
		extra+=" libclang-rt-19-dev $tool_libraries"	# make fuzz
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
	experimental) suite=sid release=$1 moving=y ;;
	newest | newest-clang)
		suite=sid release='experimental trixie-backports' moving=y
		image='' fragments=(base.config newest.config)
		[ "$1" = newest ] || {
			compiler=LLVM=1 extra='clang lld llvm python3'
			fragments+=(newest-clang.config)
		}
		;;
	servers)
		suite=trixie systemd=y
		# Tests start the servers, and udev need not look at what has been there.
		cmdline="systemd.unit=basic.target systemd.mask=systemd-udev-trigger.service"
		extra="squashfs-tools systemd-sysv dbus $tool_libraries nginx wrk redis-server haproxy"
		extra+=' nfs-kernel-server default-jre-headless nodejs xz-utils'
		extra+=' prometheus prometheus-node-exporter bpftrace php-fpm curl podman crun udev'
		;;
	arm64) suite=trixie arch=$1 image=linux-image-$1 ;;
	arm64-rt) suite=trixie arch=arm64 image=linux-image-rt-arm64 ;;
	riscv64) suite=sid arch=$1 image=linux-image-$1 moving=y ;;
	s390x) suite=bookworm arch=$1 image=linux-image-$1 ;;
	debug | debug-rt)
		suite=trixie image='' fragments=(base.config debug.config) slowness=4
		[ "$1" = debug ] || fragments+=(debug-rt.config)
		;;
	kcsan)
		suite=trixie image='' fragments=({base,debug,kcsan}.config) slowness=8
		# It warns of the kernel's own races; log-allow tells them apart.
		cmdline="panic_on_warn=0 kcsan.early_enable=1"
		;;
	*) die "no kernel '$1': known are $all_kernels $hand_kernels, all and hand" ;;
	esac
	release=${release:-$suite}
	architecture "$arch"
	if [ -z "$image" ]; then
		extra="linux-source bc bison flex libelf-dev libssl-dev xz-utils${extra:+ $extra}"
	elif [ -n "$cross" ]; then
		# kbuild's tools come with the headers, those of this machine
		# are needed.
		extra="gcc-$triplet libc6-dev-$arch-cross linux-headers-amd64"
	else
		extra+=" $image ${image/image/headers}"
		peers=${peers:-bpftrace libbpf-tools}
	fi
}

# kernels_named "NAME...": the list with 'all' and 'hand' put in full, each name checked.
kernels_named()
{
	local name

	for name in $1; do
		case $name in
		all) kernels_named "$all_kernels" ;;
		hand) kernels_named "$hand_kernels" ;;
		*)
			describe "$name"
			printf '%s\n' "$name"
			;;
		esac
	done
}

# programs_of NAME: a line "PROGRAM SECONDS" for each test program that TESTS asks
# for on kernel NAME, which describe has described: names, or core, ci or all; unset,
# what make check runs.
programs_of()
{
	awk -v kernel="$1" -v tests="${TESTS:-core}" -v slowness="$slowness" '
		BEGIN {
			members["usual"] = kernel != "servers"
			members["quick"] = members["usual"] && kernel != "debug"
			members["ends"] = kernel == "bullseye" || kernel == "trixie-backports"
			members["most"] = members["ends"] || kernel == "bookworm" || kernel == "debug"
			count = split(tests, named)
			for (i = 1; i <= count; i++)
				wanted[named[i]]
		}
		# Seconds, and behind a slash those on debug; or else those of its share of
		# make check alone.
		function seconds(column, share, of) {
			if (("core" in wanted || "ci" in wanted) && split(share, of, "/") == 2)
				return of[2] * slowness
			if (split(column, of, "/") == 2 && slowness > 1)
				return of[2] * slowness / 4
			return of[1] * slowness
		}
		/^#/ { next }
		{
			here = 0
			for (i = 4; i <= NF; i++)
				here = here || $i == kernel || members[$i]
			# What only servers has runs nowhere else, nor does by itself
			# what only bookworm has.
			fits = kernel == "servers" ? here : $4 != "servers"
			core = kernel == "servers" || $4 == "bookworm" && NF == 4 ? here : 1
		}
		$1 in wanted || "all" in wanted && fits || "ci" in wanted && here ||
			"core" in wanted && core && (kernel == "servers" || $3 ~ /^core/) {
			print $1, seconds($2, $3)
		}' "$vm/programs"
}

# share_out MACHINES: shares what programs_of prints out among so many VMs, so that
# each has about as much to do; a line of programs for each VM, in the table's order.
# stress and burst, which get more processors, are in one.
share_out()
{
	nl -ba | sort -rnk 3 | awk -v machines="$1" '
		{
			least = 1
			for (i = 2; i <= machines; i++)
				if (seconds[i] < seconds[least])
					least = i
			if ($2 == "burst" && stress)
				least = stress
			if ($2 == "stress")
				stress = least
			seconds[least] += $3
			print least, $1, $2
		}' | sort -nk 1,2 | awk '
		{ printf "%s%s", $1 == last ? " " : last ? "\n" : "", $3; last = $1 }
		END { if (last) print "" }'
}
