#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs inside a folder, as `build-kernel.sh COMPILER FRAGMENT...`: builds Debian's
# linux-source from tiny.config and the fragments beside this script, and puts
# it where a packaged kernel would be. COMPILER is empty, for gcc, or LLVM=1.

set -euo pipefail
cd "$(dirname "$0")"
[ -z "$1" ] || export "${1?}"
shift
fragments=("${@/#/$PWD/}")

mkdir linux
tar -xf linux-source-*.tar.xz -C linux --strip-components=1
rm linux-source-*.tar.xz
cd linux
# -n: what neither tiny.config nor a fragment asks for is off.
scripts/kconfig/merge_config.sh -n kernel/configs/tiny.config "${fragments[@]}"

# What the kernel's own rules refused must not go unnoticed.
refused=0
while read -r wanted; do
	case $wanted in
	CONFIG_*) grep -qxF "$wanted" .config ;;
	\#*) ! grep -qxF "$(cut -d' ' -f2 <<<"$wanted")=y" .config ;;
	esac || { echo "refused: $wanted"; refused=1; }
done < <(cat "${fragments[@]}" | awk '
	# A later fragment has the last word.
	match($0, /CONFIG_[A-Z0-9_]+/) { last[substr($0, RSTART, RLENGTH)] = $0 }
	END { for (option in last) print last[option] }')
[ "$refused" -eq 0 ]

make "-j$(nproc)" bzImage modules
make INSTALL_MOD_STRIP=1 modules_install
release=$(make -s kernelrelease)
install -D arch/x86/boot/bzImage "/boot/vmlinuz-$release"
ln -s linux "/usr/src/linux-headers-$release"
# Objects are most of the folder; modules are built without them.
find . -name '*.o' -not -path './scripts/*' -not -path './tools/*' -delete
rm -f vmlinux vmlinux.a
