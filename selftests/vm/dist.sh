#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dist.sh: makes the release tarball of the working tree, of what git knows or would
# add. The same tree makes the same bytes: files are in order, nobody's, and of one
# time: SOURCE_DATE_EPOCH, else the last commit's, else that of dkms.conf, which a
# tarball's tree has from the tarball.

. "$(dirname "$0")/lib.sh"

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$top/dkms.conf")
tarball=build/listenq-$version.tar.gz
cd "$top"
if in_git; then
	epoch=$(git log -1 --format=%ct)
else
	epoch=$(stat -c %Y dkms.conf)
fi
epoch=${SOURCE_DATE_EPOCH:-$epoch}

mkdir -p build
files . | sort -z |
	tar -c --null --no-recursion --files-from=- --transform="s,^,listenq-$version/,S" \
		--format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
		--mode=u+rw,go=rX |
	gzip -n9 >"$tarball.$$"
mv "$tarball.$$" "$tarball"
echo "$tarball"
