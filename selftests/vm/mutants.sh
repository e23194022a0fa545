#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests the tests: changes one thing of module/, or of FILE, builds that, and has the
# programs that the table `rooms` names for the file look at it, each until the first
# test that fails. Of a change that none of them sees, a mutant that survives, either a
# test is missing, or the change is none: then Documentation/testing.rst lists it with
# the reason. COUNT is how many mutants (50); SEED repeats a run, and KERNELS= takes
# another kernel. A change that doesn't compile, or whose object code is the same, is
# no mutant: another one is drawn. CHANGE=number FILE=name tries that one alone, and
# TESTS= has other programs look at it.
#
# Prints the change, and a line for each mutant; the last line counts them. Fails when
# less than 95 % of those that are not listed are killed.
#
# The working tree is left alone: what is changed is a copy in the kernel's folder.

. "$(dirname "$0")/lib.sh"
. "$vm/machine.sh"

least=95
count=${COUNT:-50} seed=${SEED:-$RANDOM}
[ -z "${CHANGE:-}" ] || count=1
machine "${KERNELS:-$default_kernel}" mutants
VM_TIMEOUT=86400	# each program has a limit of its own
root=$cache/$folder/root
# Another run with the same image waits until this process ends.
lock "$name-mutants"
work=$(mktemp -d)
trap 'stop' EXIT
set -m	# a process group for each job, to be stopped as one

stop()
{
	stop_jobs
	rm -rf "$work"
}

# programs_for FILE: those of its room, in their order.
programs_for()
{
	local room=${1##*/}

	if [ -n "${TESTS:-}" ]; then
		tr -s '[:space:]' '\n' <<<"$TESTS"
		return
	fi
	awk -v room="${room%.*}" '
		/^#/ { next }
		$1 == room { for (i = 2; i <= NF; i++) print $i }' "$vm/rooms"
}

# changes: a line "FILE NUMBER" for each change, in an order that follows from the seed.
changes()
{
	local file number

	if [ -n "${CHANGE:-}" ]; then
		echo "$FILE $CHANGE"
		return
	fi
	while IFS= read -r -d '' file; do
		number=$(awk -f "$vm/mutate.awk" "$top/$file")
		for ((; number > 0; number--)); do
			echo "$file $number"
		done
	done < <(files "${FILE:-module/*.[ch]}" | sort -z) |
		awk -v seed="$seed" '
			{ line[NR] = $0 }
			END {
				# Of Park and Miller: the same from every awk.
				for (i = NR; i > 0; i--) {
					seed = (seed % 2147483646 + 1) * 16807 % 2147483647
					n = seed % i + 1
					print line[n]
					line[n] = line[i]
				}
			}'
}

# inside COMMAND [ARGUMENT]...: runs these commands of a shell beside the mutants.
inside()
{
	in_folder "$root" env -C /build/mutants "release=$release_built" sh -euc "$1" sh "${@:2}"
}

# prepare: the module as it is, built, and its object code. What was built before is
# kept.
prepare()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	quietly "$out/mutants.log" in_folder "$root" sh -euc '
		mkdir -p /build/mutants/whole
		cd /build/mutants
		rsync -a --delete whole/ work/
		rsync -a --checksum --include=Kbuild --include="*.[ch]" --exclude="*" \
			--delete /build/src/module/ work/module/
		make "-j$(nproc)" -C "/usr/src/linux-headers-$1" M="$PWD/work/module" modules
		objcopy --strip-debug work/module/listenq.o whole.o
		rsync -a --delete work/ whole/' sh "$release_built" ||
		die "$name: the build failed, its log is $out/mutants.log"
}

# build_mutant FILE INITRAMFS: builds the module with what is on stdin in place of FILE.
# What the VM unpacks last is what it boots: the module is put behind the image. Sets
# made: broken if it doesn't compile, same if its code is what it was, else mutant. (What
# a command in the folder returns gets lost on the way.)
build_mutant()
{
	# shellcheck disable=SC2016
	inside '
		rsync -a --delete whole/ work/
		cat >"work/$1"
		touch "work/$1"
		if ! make "-j$(nproc)" -C "/usr/src/linux-headers-$release" \
			M="$PWD/work/module" modules >log 2>&1 </dev/null; then
			echo broken
			exit
		fi
		objcopy --strip-debug work/module/listenq.o new.o
		if cmp -s new.o whole.o; then
			echo same
			exit
		fi
		to=usr/lib/modules/$release/updates
		rm -rf over
		mkdir -p "over/$to"
		cp work/module/listenq.ko "over/$to/"
		cd over
		echo "$to/listenq.ko" | busybox cpio -o -H newc 2>/dev/null' "$1" >"$work/over"
	case $(head -c 6 "$work/over") in
	broken) made=broken ;;
	same*) made=same ;;
	*) made=mutant; cat "$out/initramfs" "$work/over" >"$2" ;;
	esac
}

# next_mutant DIR: draws changes until one makes a mutant. Leaves there what boots, the
# change as a diff, and "FILE LINE"; nothing where no change is left.
next_mutant()
{
	local dir=$1 file number made

	rm -rf "$dir"
	mkdir "$dir"
	while read -r file number; do
		sed -i 1d "$work/changes"
		awk -v number="$number" -f "$vm/mutate.awk" "$top/$file" >"$dir/mutant"
		build_mutant "$file" "$dir/initramfs" <"$dir/mutant"
		if [ "$made" != mutant ]; then
			echo "$file $number" >>"$work/$made"
			continue
		fi
		ln -s "$out/vmlinuz" "$dir/vmlinuz"
		diff "$top/$file" "$dir/mutant" >"$dir/diff" || :
		echo "$file $(sed -n '1s/[^0-9].*//p' "$dir/diff") $number" >"$dir/place"
		return
	done < <(cat "$work/changes")
}

# limit_of PROGRAM: the seconds after which it hangs, beside other work too.
limit_of()
{
	awk -v name="$1" '$1 == name { split($2, seconds, "/"); print 120 + 10 * seconds[1] }' \
		"$vm/programs"
}

# try DIR PROGRAM...: boots what is there. Sets killer: what was seen first, empty
# where all programs pass.
try()
{
	local dir=$1 line='' part program=boot limit=120 status job fd started=$SECONDS

	shift
	killer=''
	rm -f "$work/verdict"
	mkfifo "$work/verdict"
	TESTS="$*" boot "$name" mutants "$dir" >"$work/verdict" </dev/null 2>"$work/said" &
	job=$!
	exec {fd}<"$work/verdict"
	while :; do
		status=0
		# For a second: a signal is not seen before.
		IFS= read -r -t 1 -u "$fd" part || status=$?
		line+=${part%$'\r'}
		if [ "$status" -gt 128 ]; then
			[ "$SECONDS" -ge "$((started + limit))" ] || continue
			killer="$program (hangs)"
		elif [ "$status" -ne 0 ]; then
			killer="$program (crashes)"
		elif [[ $line == 'vm: program '* ]]; then
			program=${line##* } started=$SECONDS limit=$(limit_of "$program")
			limit=${limit:-60} line=''
			continue
		elif [[ $line =~ ^not\ ok\ [0-9]+\ (.*) ]]; then
			killer="$program (${BASH_REMATCH[1]})"
		elif [[ $line == 'vm: end '[1-9]* ]]; then
			killer="$program (ends with ${line##* })"
		elif [ "$line" != 'vm: end 0' ]; then
			line=''
			continue
		fi
		break
	done
	if [ -z "$killer" ]; then
		cat <&"$fd" >/dev/null
		wait "$job" || :
		judge_log "$dir/console.log" >/dev/null || killer='the kernel log'
	else
		kill -TERM -- "-$job" 2>/dev/null || :
		wait "$job" 2>/dev/null || :
	fi
	exec {fd}<&-
}

# function_at FILE LINE: the name of the function that this line is in; none outside.
function_at()
{
	awk -v line="$2" '
		/^[a-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^{/ { inside = 1 }
		/^}/ { inside = 0 }
		NR == line { if (inside) print name; exit }' "$top/$1"
}

# is_listed FILE LINE DIFF: the change is among those that Documentation/testing.rst lists
# as none.
is_listed()
{
	local from to place

	from=$(sed -n 's/^< //p' "$3" | tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//')
	to=$(sed -n 's/^> //p' "$3" | tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//')
	place=$(function_at "$1" "$2")
	place="\`\`$1\`\`${place:+, \`\`$place()\`\`}"
	tr -s '[:space:]' ' ' <"$top/Documentation/testing.rst" |
		grep -qF "$place: \`\`$from\`\` becomes \`\`$to\`\`"
}

[ -z "${FILE:-}" ] || [ -n "$(programs_for "$FILE")" ] ||
	die "FILE: selftests/vm/rooms names no program for $FILE"
mapfile -t programs < <(
	if [ -n "${FILE:-}${TESTS:-}" ]; then
		programs_for "${FILE:-}"
	else
		awk '!/^#/ { for (i = 2; i <= NF; i++) print $i }' "$vm/rooms"
	fi | sort -u)
make_image mutants "${programs[@]}"
release_built=$(in_folder "$root" ls /lib/modules)
say "$name: building what is to be changed"
prepare
changes >"$work/changes"
touch "$work/same" "$work/broken"
total=$(wc -l <"$work/changes")
say "$name: $count of $total changes, SEED=$seed"

declare -A killers
killed=0 survived=0 listed=0
next_mutant "$work/next"
for ((i = 0; i < count; i++)); do
	[ -e "$work/next/place" ] || break
	rm -rf "$work/mutant"
	mv "$work/next" "$work/mutant"
	next_mutant "$work/next" &
	builder=$!
	read -r file line number <"$work/mutant/place"
	mapfile -t programs < <(programs_for "$file")
	try "$work/mutant" "${programs[@]}"
	if [ -n "$killer" ]; then
		killed=$((killed + 1)) said="killed by $killer"
		[[ " ${programs[*]} " != *" ${killer%% *} "* ]] || killers[${killer%% *}]=y
	elif is_listed "$file" "$line" "$work/mutant/diff"; then
		listed=$((listed + 1)) said='listed as the same'
	else
		survived=$((survived + 1)) said=survived
	fi
	sed -n 's/^\([<>]\) /\1/p' "$work/mutant/diff" | sed 's/^</  -/; s/^>/  +/'
	echo "$file:$line: $said (CHANGE=$number)"
	wait "$builder" || die "$name: a mutant can't be built, see /build/mutants/log in $root"
done
# A program that fails anyway kills nothing.
mkdir "$work/whole"
ln -s "$out/vmlinuz" "$out/initramfs" "$work/whole/"
killer=''
[ "${#killers[@]}" -eq 0 ] || try "$work/whole" "${!killers[@]}"
[ -z "$killer" ] ||
	die "$name: without a mutant, too, there fails $killer: mend it, and run this again"
echo "# SEED=$seed; $(wc -l <"$work/broken") did not compile"
echo "$killed killed, $survived survived, $listed listed as the same, $(wc -l <"$work/same") of same code"
[ "$((100 * killed))" -ge "$((least * (killed + survived)))" ] && [ "$killed" -gt 0 ]
