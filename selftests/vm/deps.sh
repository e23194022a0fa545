#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deps.sh TARGET: checks the variables that make TARGET was given, and installs the
# Debian packages that it needs; silent when they are there. Who isn't root gets the
# command to run.

. "$(dirname "$0")/lib.sh"
. "$vm/variables.sh"

check_variables "$1"

[ "$(uname -m)" = x86_64 ] || [[ $1 == @(dist|packages) ]] ||
	die "the folders' compilers are x86-64 programs, this machine is $(uname -m): use another for this"

# A command and the package that has it.
wanted=git:git
packaging='rpmbuild:rpm rpmlint:rpmlint makepkg:makepkg pacman:pacman-package-manager bsdtar:libarchive-tools'
packaging+=' cpio:cpio fakeroot:fakeroot gcc:gcc make:make pkg-config:pkgconf'
case $1 in
dist) ;;
packages)
	wanted+=" $packaging"
	;;
*)
	wanted+=' mmdebstrap:mmdebstrap xz:xz-utils'
	# What emulates is in the cache.
	! has_kvm || wanted+=' qemu-system-x86_64:qemu-system-x86'
	{ [ "$(id -u)" -eq 0 ] && [ "$1" != all ]; } || wanted+=' newuidmap:uidmap'
	;;&
html)
	wanted=sphinx-build:python3-sphinx
	;;
lint|all)
	wanted+=' shellcheck:shellcheck codespell:codespell mandoc:mandoc perl:perl sphinx-build:python3-sphinx'
	;;&
all)
	wanted+=" $packaging"
	;;
esac

packages=()
for pair in $wanted; do
	command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
# The packages' program is built here.
if [[ " $wanted" == *" $packaging"* ]] && ! pkg-config --exists ncursesw jansson 2>/dev/null; then
	packages+=(libc6-dev libjansson-dev libncurses-dev)
fi
if [ "${#packages[@]}" -eq 0 ]; then
	[ "$1" != all ] || say 'deps: all there'
	exit 0
fi

install=(apt-get install --yes --no-install-recommends "${packages[@]}")
command -v apt-get >/dev/null ||
	die "this is no Debian: install what Debian calls ${packages[*]}"
[ "$(id -u)" -eq 0 ] ||
	die "run this first: sudo ${install[*]}"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly "$log" apt-get update || :	# what counts is whether install works
size=$("${install[@]}" --print-uris 2>/dev/null |
	sed -n 's/^Need to get \(.*\) of archives.*/\1/p' || :)
say "deps: installing ${packages[*]} and what they need (to download: ${size:-unknown})"
DEBIAN_FRONTEND=noninteractive quietly "$log" "${install[@]}" || {
	grep -E '^(E|W|Err):' "$log" >&2 || tail -n 5 "$log" >&2
	die "apt-get could not install ${packages[*]}: check network and package sources, then run this again"
}
