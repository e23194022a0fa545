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
need shellcheck codespell mandoc perl sphinx-build
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
# test have no kernel headers, nor has the fuzzer, whose libraries have names and types of their own.
style()
{
	local status=0

	checkpatch '' "${c[@]}" || status=1
	checkpatch LINUX_VERSION_CODE,CONSTANT_COMPARISON,CAMELCASE \
		module/compat.h || status=1
	checkpatch CAMELCASE,PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_KERNEL_TYPES,USE_NEGATIVE_ERRNO,VOLATILE \
		"${fuzzer[@]}" || status=1
	checkpatch PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE \
		module/trace.h || status=1
	# An element of HTML is called thead; codespell has the rest.
	checkpatch PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_KERNEL_TYPES,TYPO_SPELLING \
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
	local version spec

	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' dkms.conf)
	[ -n "$version" ] &&
		grep -qxF "#define LISTENQ_VERSION \"$version\"" module/listenq.h &&
		[[ $(head -n 1 debian/changelog) == "listenq ($version) "* ]] &&
		grep -q "^## \[${version//./\\.}] - " CHANGELOG.md &&
		grep -qxF "pkgver=$version" packaging/arch/PKGBUILD || return
	for spec in packaging/rpm/*.spec; do
		if ! grep -qx "Version: *${version//./\\.}" "$spec" ||
			! grep -A 1 -x '%changelog' "$spec" | grep -q " - ${version//./\\.}-1$"; then
			echo "$spec is not of version $version"
			return 1
		fi
	done
}

options()
{
	diff <(sed -n 's/^#ifndef \(CONFIG_.*\)/\1/p' module/compat.h | sort) \
		<(sed -n 's/^BUILD_EXCLUSIVE_CONFIG="\(.*\)"$/\1/p' dkms.conf |
			tr ' ' '\n' | sort)
}

# What is asked of a kernel's headers, and of its version, stands in kernels.rst with what
# a backport does to it.
probes()
{
	# shellcheck disable=SC2016 # backquotes of the page's
	diff <({
		sed -nE 's/.*\$\(call have,[^,]*,([a-z_]+)\).*/\1/p; s/.*-DHAVE_([a-z_]+)\).*/\1/p' \
			module/Kbuild
		sed -nE 's/^#ifdef ([a-z]\w+)$/\1/p; s/^#ifdef (UNIX_HASH_SIZE)$/\1/p' \
			module/compat.h
		sed -nE 's/.*KERNEL_VERSION\(([0-9]+), ([0-9]+), 0\).*/version \1.\2/p' \
			module/compat.h
	} | sort -u) \
		<(sed -n '/^Backports$/,/^The sources of these/p' Documentation/kernels.rst |
			sed '/^   \* - /,/^     - /!d; /^     - /d; /^   \* - asked/d' |
			sed -E 's/^   \* - //' | grep -oE '[a-zA-Z_][a-zA-Z0-9_]{4,}( [0-9.]+)?' | sort -u)
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

# Each test that a row of security.rst or trust.rst names is there: fixture.test, which
# is what the test's own output has.
rows()
{
	local page name status=0

	# shellcheck disable=SC2016 # backquotes of the page's
	for page in security trust; do
		while read -r name; do
			grep -qE "^TEST_F(_TIMEOUT)?\(${name%.*}, ${name#*.}[,)]" selftests/*.c || {
				echo "Documentation/$page.rst: no test $name"
				status=1
			}
		done < <(grep -oE '``[a-z_]+\.[a-z0-9_]+``' "Documentation/$page.rst" | tr -d '`')
	done
	return "$status"
}

# Each alert has a section in alerts.rst, which its runbook_url leads to.
alerts()
{
	local rules=tools/monitoring/listenq.rules.yml

	diff <(sed -n 's/^  - alert: //p' "$rules" | sort) \
		<(grep -xE 'Listenq[A-Za-z]+' Documentation/alerts.rst | sort) &&
		diff <(sed -n 's/^  - alert: //p' "$rules" | tr '[:upper:]' '[:lower:]') \
			<(sed -n 's|^ *runbook_url: .*/alerts.html#\(.*\)"$|\1|p' "$rules")
}

# Where CI runs a program stands in testing.rst too.
programs()
{
	# shellcheck disable=SC2016 # backquotes of the page's
	diff <(sed -E '/^#/d; s/^([a-z_]+)[[:blank:]]+[0-9/]+[[:blank:]]+[a-z0-9/-]+[[:blank:]]+/\1 /' \
			"$vm/programs") \
		<(sed -n '/^Where they run$/,/^Exactness/s/^``\([a-z_]*\)`` *\([a-z0-9 -]*[a-z0-9]\)  .*/\1 \2/p' \
			Documentation/testing.rst)
}

# Each room has programs that look at its mutants, and they are there.
rooms()
{
	diff <(lines 'module/*.[ch]' | sed 's|module/||; s|\.[ch]$||' | sort -u) \
		<({
			sed '/^#/d; s/[[:blank:]].*//' "$vm/rooms"
			echo target	# has nothing to be changed
		} | sort) &&
		! sed '/^#/d' "$vm/rooms" | tr -s '[:blank:]' '\n' |
			grep -vxFf <(sed '/^#/d; s/[[:blank:]].*//' "$vm/rooms" "$vm/programs")
}

# An option of listenq(8) stands in a table and a string of letters, in the summary, in
# the manual page and in the completion, which has no letters: the same ones in each.
tool_options()
{
	local table letters

	table=$(sed -nE "s/^\t\{ \"([a-z-]+)\",.*NULL, ('(.)'|[A-Z_]+) \},$/\1 \3/p" \
		tools/listenq.c | sort)
	letters=$(sed -nE 's/.*letters\[\] = "[+:]*([^"]*)";/\1/p' tools/listenq.c)
	diff <(cut -d ' ' -f 2 <<<"$table" | sed '/^$/d' | sort) \
		<(tr -d ':' <<<"$letters" | fold -w 1 | sort) &&
		diff <(echo "$table") <(sed -nE 's/^"  (-(.),|   ) --([a-z-]+).*/\3 \2/p' \
			tools/usage.c | sort -u) &&
		diff <(echo "$table") <(sed -nE \
			's/^\.It Fl ((.) , (Fl )?)?-([a-z-]+)( .*|$)/\4 \2/p' \
			tools/listenq.8 | sort -u) &&
		diff <(cut -d ' ' -f 1 <<<"$table") \
			<(sed -nE '/^\tlocal ([a-z]+_)?options=/,/\)/p' tools/listenq.bash |
				grep -oE -- '--[a-z-]+' | cut -c 3- | sort -u)
}

# sk_drops grows by healthy segments too, so no text of ours may take it for a count
# of what a listener did to its clients. A text is what stands between two blank lines,
# rules of a table, or beginnings of an entry.
sk_drops()
{
	local findings

	# shellcheck disable=SC2016 # backquotes of the pages'
	findings=$(lines '*.md' '*.rst' '*.8' '*.yml' '*.json' tools/metrics.c |
		xargs awk '
		function end() {
			if (tolower(text) ~ /sk_?drops|socket_drops/)
				print place ":" text
			text = ""
		}
		FNR == 1 || /^[[:blank:]]*$/ || /^(``|\||=|\.[A-Z]| *[*-] |\t*{)/ {
			end()
			place = FILENAME ":" FNR
		}
		{ text = text " " $0 }
		END { end() }' |
		grep -iwE 'loss|losses|lost|loses?|fail(s|ed)?|failures?|drop(s|ped)?|refused|refusals?|turned away' ||
		:)
	[ -z "$findings" ] || {
		echo "sk_drops is no count of losses, see Documentation/traffic.rst:"
		echo "$findings"
		return 1
	}
}

# nd: a macro of manual pages; unx: a member of the kernel's struct net. The fuzzer's inputs are no texts.
spelling()
{
	files . ':!selftests/fuzzer/corpus' | xargs -0 codespell --ignore-words-list=nd,unx
}

# Warnings too: of a page that no index names, or a reference to none.
documents()
{
	sphinx-build -q -n -W --keep-going -b html Documentation "$logs/html"
}

mapfile -t c < <(lines '*.c' '*.h' ':!module/compat.h' \
	':!module/trace.h' ':!*tool*' ':!selftests/fuzzer')
mapfile -t tool < <(lines 'tools/*.c' 'tools/*.h' 'selftests/tool.[ch]')
mapfile -t fuzzer < <(lines 'selftests/fuzzer/*.c' 'selftests/fuzzer/*.h')
mapfile -t shell < <(shell_files; echo dkms.conf; lines '*.bash' '*/PKGBUILD')
check checkpatch style
check 'sparse and W=1' sparse
check shellcheck shellcheck --external-sources --check-sourced --source-path="$vm" "${shell[@]}"
check codespell spelling
check mandoc mandoc -T lint -W warning tools/listenq.8
check Sphinx documents
check 'oldest kernel: compat.h, dkms.conf, kernels.rst, README.md' oldest_kernel
check 'version: dkms.conf, listenq.h, debian/changelog, CHANGELOG.md, packaging/' versions
check 'options: compat.h, dkms.conf' options
check 'probes: Kbuild, compat.h, kernels.rst' probes
check 'claims and tests: listen.rst' claims
check 'options: listenq.c, usage.c, listenq.8, listenq.bash' tool_options
check 'programs: vm/programs, testing.rst' programs
check 'rooms: vm/rooms, vm/programs' rooms
check 'rows and tests: security.rst, trust.rst' rows
check 'alerts: listenq.rules.yml, alerts.rst' alerts
check 'sk_drops: all texts' sk_drops

wait
findings=0
for log in "$logs"/*.findings; do
	[ -e "$log" ] || continue
	cat "$log"
	findings=$((findings + 1))
done
[ "$findings" -eq 0 ] || die "lint: $findings of $checks checks have findings, above: fix them"
echo "lint: no finding in $((${#c[@]} + ${#tool[@]} + ${#fuzzer[@]} + 2)) C files and ${#shell[@]} shell scripts"
