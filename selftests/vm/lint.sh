#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The style and static checks; any finding fails. All of them run, as many side by
# side as there are processors, so that one run shows all there is.

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"
. "$vm/folder.sh"
. "$vm/build.sh"

folder=$default_kernel checks=0
need shellcheck codespell mandoc perl rst2html
cd "$top"
describe "$folder"
lock "$default_kernel"
make_folder "$folder"
make_ksft
root=$cache/$folder/root

# check NAME COMMAND...: starts it; its output is shown when it fails.
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
check()
{
	local name=$1 log=$logs/$((checks += 1))

	shift
	while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
		wait -n || :
	done
	say "lint: $name"
	{
		quietly "$log" "$@" || mv "$log" "$log.findings"
	} &
}

# lines PATHSPEC...: files of the working tree, one a line.
lines()
{
	files "$@" | tr '\0' '\n'
}

# shell_files: scripts, by their first line; what they source is checked with
# them.
shell_files()
{
	files . | xargs -0 awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME } { nextfile }'
}

# checkpatch IGNORED FILE...: run elsewhere, since it leaves a file where it
# runs.
checkpatch()
{
	local ignored=$1

	shift
	(cd "$cache" && perl "$ksft/scripts/checkpatch.pl" --no-tree --strict \
		--quiet --terse --no-summary --show-types --ignore "$ignored" \
		-f "${@/#/$top/}")
}

# compat.h alone exists to ask for the kernel's version, and names what compilers
# have (_Pragma()); a tracepoint's macro has a layout of its own; the tool and its
# test have no kernel headers.
style()
{
	local status=0

	checkpatch '' "${c[@]}" || status=1
	checkpatch LINUX_VERSION_CODE,CONSTANT_COMPARISON,CAMELCASE \
		module/compat.h || status=1
	checkpatch PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE \
		module/trace.h || status=1
	checkpatch PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_KERNEL_TYPES \
		"${tool[@]}" || status=1
	return "$status"
}

# sparse as kbuild calls it; its findings don't fail a build, so any line that
# names one of our files counts.
sparse()
{
	upload "$root"
	in_folder "$root" sh -c "rm -f /build/src/module/*.o &&
		make -C /build/src C=2 W=1 \
		KDIR=/usr/src/linux-headers-\$(ls /lib/modules)" || return
	! warnings "$log"
}

# The oldest kernel stands in several places, which must agree.
oldest_kernel()
{
	local version pattern

	pattern=$(sed -n 's/^BUILD_EXCLUSIVE_KERNEL="\(.*\)"$/\1/p' dkms.conf)
	version=$(sed -nE 's/^#if LINUX_VERSION_CODE < KERNEL_VERSION\(([0-9]+), ([0-9]+), 0\)$/\1.\2/p' \
		module/compat.h | head -n 1)
	[ -n "$version" ] &&
		grep -q "supports Linux $version and later\"" module/compat.h &&
		grep -q "^listenq supports Linux $version and later," Documentation/kernels.rst &&
		grep -q "running kernel, $version or later" README.md &&
		[[ $version.0 =~ $pattern ]] &&
		[[ ! ${version%.*}.$((${version#*.} - 1)).0 =~ $pattern ]]
}

# So does the module's own version, and what a kernel has to be configured with.
versions()
{
	local version

	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' dkms.conf)
	[ -n "$version" ] &&
		grep -qxF "#define LISTENQ_VERSION \"$version\"" module/listenq.h &&
		[[ $(head -n 1 debian/changelog) == "listenq ($version) "* ]]
}

options()
{
	diff <(sed -n 's/^#ifndef \(CONFIG_.*\)/\1/p' module/compat.h | sort) \
		<(sed -n 's/^BUILD_EXCLUSIVE_CONFIG="\(.*\)"$/\1/p' dkms.conf |
			tr ' ' '\n' | sort)
}

# Each claim of listen.rst has a test that begins with its id, and no such test
# is without a row.
claims()
{
	diff <(sed -nE 's/^   \* - ([a-z]+-[0-9]+)$/\1/p' \
			Documentation/listen.rst | sort -u) \
		<(sed -nE 's/^TEST(_F|_F_TIMEOUT|)\(([a-z_]+, )?([a-z]+)_([0-9]+)[,_)].*/\3-\4/p' \
			selftests/listen_*.c | sort -u)
}

# Each test that a row of security.rst names is there: fixture.test, which is
# what the test's own output has.
rows()
{
	local name status=0

	# shellcheck disable=SC2016 # backquotes of the page's
	while read -r name; do
		grep -qE "^TEST_F(_TIMEOUT)?\(${name%.*}, ${name#*.}[,)]" selftests/*.c || {
			echo "Documentation/security.rst: no test $name"
			status=1
		}
	done < <(grep -oE '``[a-z]+\.[a-z_]+``' Documentation/security.rst | tr -d '`')
	return "$status"
}

# Where CI runs a program stands in testing.rst too.
programs()
{
	# shellcheck disable=SC2016 # backquotes of the page's
	diff <(sed -E '/^#/d; s/^([a-z_]+)[[:blank:]]+[0-9]+[[:blank:]]+[a-z-]+[[:blank:]]+/\1 /' \
			"$vm/programs") \
		<(sed -n '/^Where they run$/,/^Exactness/s/^``\([a-z_]*\)`` *\([a-z ]*[a-z]\)  .*/\1 \2/p' \
			Documentation/testing.rst)
}

# nd: a macro of manual pages.
spelling()
{
	files . | xargs -0 codespell --ignore-words-list=nd
}

# Errors and warnings; each file, so that one run shows them all.
documents()
{
	local file status=0

	while read -r file; do
		rst2html --halt=2 "$file" /dev/null || status=1
	done < <(lines '*.rst')
	return "$status"
}

mapfile -t c < <(lines '*.c' '*.h' ':!module/compat.h' \
	':!module/trace.h' ':!*tool*')
mapfile -t tool < <(lines 'tools/*.c' 'tools/*.h' 'selftests/tool.[ch]')
mapfile -t shell < <(shell_files; echo dkms.conf; lines '*.bash')
check checkpatch style
check 'sparse and W=1' sparse
check shellcheck shellcheck --external-sources --check-sourced --source-path="$vm" "${shell[@]}"
check codespell spelling
check mandoc mandoc -T lint -W warning tools/listenq.8
check reStructuredText documents
check 'oldest kernel: compat.h, dkms.conf, kernels.rst, README.md' oldest_kernel
check 'version: dkms.conf, listenq.h, debian/changelog' versions
check 'options: compat.h, dkms.conf' options
check 'claims and tests: listen.rst' claims
check 'programs: vm/programs, testing.rst' programs
check 'rows and tests: security.rst' rows

wait
findings=0
for log in "$logs"/*.findings; do
	[ -e "$log" ] || continue
	cat "$log"
	findings=$((findings + 1))
done
[ "$findings" -eq 0 ] || die "lint: $findings of $checks checks have findings, above: fix them"
echo "lint: no finding in $((${#c[@]} + ${#tool[@]} + 2)) C files and ${#shell[@]} shell scripts"
