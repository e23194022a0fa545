# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Makes a kernel's folder: a Debian of its release in $cache/NAME/root, with
# the kernel, its headers, the compiler that fits and the userland that the VM
# takes its programs from. Made once; made anew when its description changed
# or when a run was interrupted before the end.

# bash and coreutils come with every Debian.
common_packages='gcc make libc6-dev rsync busybox-static iproute2 kmod trace-cmd'
# What an emulated machine's own Debian has to have.
guest_packages='bash dash busybox-static coreutils findutils grep iproute2 kmod mawk sed trace-cmd util-linux'

# mmdebstrap's failure in one line. status 4: the suite can't be had.
folder_failed()
{
	local log=$1 what=$2

	if grep -q 'No space left on device' "$log"; then
		die "$what: no space left: make room in $cache and run this again"
	elif grep -qE 'Could not (resolve|connect)|Temporary failure|Connection (failed|timed out)|Network is unreachable' "$log"; then
		die "$what: no package mirror can be reached: check the network (http_proxy is used when set) and run this again"
	elif grep -qE '(Release file|^E: .*404 )' "$log"; then
		printf 'listenq: %s: the suite has left the mirror, see %s\n' \
			"$what" "$log" >&2
		return 4
	fi
	die "$what: mmdebstrap failed, see $log"
}

# sources_of SUITE: the mirrors of this machine's own Debian with another
# suite's name; nothing where there are none: then mmdebstrap has a default.
sources_of()
{
	local label uri

	apt-get indextargets --format "\$(LABEL) \$(REPO_URI)" \
		'Created-By: Packages' 2>/dev/null | sort -u |
	while read -r label uri; do
		case $label in
		Debian)
			echo "deb $uri $1 main"
			[ "$1" = sid ] || echo "deb $uri $1-updates main"
			;;
		Debian-Security)
			[ "$1" = sid ] || echo "deb $uri $1-security main"
			;;
		esac
	done
}

# debian SUITE OPTION... TARGET: mmdebstrap as all folders want it.
# Old suites are older than they promised; nobody reads documentation here. dpkg
# need not wait for the disk with each package: make_folder does once. For each package
# mmdebstrap starts a python3, which takes five times as long where somebody has put
# another one, or a script that looks for one, before Debian's.
debian()
{
	local suite=$1 target=${*: -1} mirrors

	shift
	mapfile -t mirrors < <(sources_of "$suite")
	# INITRD=No: the VM has an initramfs of its own.
	PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH INITRD=No TMPDIR=$cache \
		mmdebstrap --mode=unshare \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/gpu/*' \
		--dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/media/*' \
		--dpkgopt='path-exclude=/lib/modules/*/kernel/sound/*' \
		"${@:1:$#-1}" "$suite" "$target" "${mirrors[@]}"
}

# accessible: who isn't root works with lent ids, they must get at the cache.
accessible()
{
	as_root test -x "$cache" 2>/dev/null ||
		die "$cache can't be entered by the ids that /etc/subuid lends: chmod o+x its parents, set LISTENQ_CACHE, or be root"
}

# add_architecture ROOT LOG: another machine's kernel, headers and userland
# below ROOT/$arch. They are only unpacked, so nothing of them has to run here.
add_architecture()
{
	local packages="$guest_packages $image ${image/image/headers}"

	debian "$suite" --variant=extract --architectures="$arch" \
		--skip=check/qemu --format=tar --include="${packages// /,}" - \
		2>>"$2" </dev/null |
		in_folder "$1" sh -c "mkdir /$arch && tar -x -C /$arch &&
			cp -an /$arch/usr/src/linux-headers-* /usr/src/ &&
			depmod -b /$arch \$(ls /$arch/lib/modules)" 2>>"$2"
}

# make_peers NAME: what the benchmark measures beside us, in ROOT/peers.
make_peers()
{
	local dir=$cache/$1

	[ -n "$peers" ] && [ ! -d "$dir/root/peers" ] || return 0
	need_space 800 'the tools to measure beside'
	say "$1: downloading about 70 MB of tools to measure beside: $peers"
	debian "$suite" --variant=extract --format=tar \
		--include="${peers// /,}" - 2>"$dir/peers.log" </dev/null |
		in_folder "$dir/root" sh -c 'rm -rf /peers.tmp && mkdir /peers.tmp &&
			tar -x -C /peers.tmp && mv /peers.tmp /peers' \
			2>>"$dir/peers.log" ||
		folder_failed "$dir/peers.log" 'the tools to measure beside'
}

# add_kernel ROOT LOG: a kernel built from Debian's source, by $compiler, configured
# by $fragments.
add_kernel()
{
	tar -c -C "$vm" build-kernel.sh "${fragments[@]}" |
		in_folder "$1" tar -x --no-same-owner -C /usr/src
	in_folder "$1" bash /usr/src/build-kernel.sh "$compiler" "${fragments[@]}" \
		>>"$2" 2>&1 </dev/null
}

# make_disk ROOT DISK: what systemd is booted from: the folder without what is
# for building alone.
make_disk()
{
	in_folder "$1" mksquashfs / /tmp/disk -one-file-system -comp lz4 \
		-no-progress -wildcards -e build peers boot tmp/disk usr/src \
		usr/include 'usr/lib/gcc*' 'usr/lib/llvm*' var/later \
		'var/cache/*' 'var/lib/apt/*' >"$2.log" 2>&1 &&
		in_folder "$1" cat /tmp/disk >"$2" &&
		in_folder "$1" rm /tmp/disk
}

# make_folder NAME: status 4 when its suite can't be had.
make_folder()
{
	local dir=$cache/$1 packages recipe space from lines options=()

	describe "$1"
	packages="$common_packages $extra"
	recipe="$suite $release $packages $arch ${later:+$later }$(cd "$vm" && cat "${fragments[@]}" </dev/null | cksum)"
	recipe+=${compiler:+ $compiler}${moving:+ $(date +%G-W%V)}
	[ "$(cat "$dir/recipe" 2>/dev/null)" = "$recipe" ] && return

	need mmdebstrap
	space=1500
	[ -z "$systemd" ] || space=3000
	[ -n "$image" ] || space=7000
	need_space "$space" "the folder of kernel $1"
	mkdir -p "$dir"
	accessible
	rm -f "$dir/recipe"
	remove "$dir/root" "$dir/root.tmp"

	if [ "$release" != "$suite" ]; then
		lines='h;p'
		for from in $release; do
			lines+=";g;s/ $suite main/ $from main/p"
		done
		options+=(--setup-hook="sed -ni '$lines' \"\$1/etc/apt/sources.list\"")
	fi
	case $release in
	"$suite") ;;
	*' '*)	# apt has a preference among suites, for all but these
		options+=(--setup-hook="printf '%s\\n' 'Package: linux-source*' 'Pin: version *' \
			'Pin-Priority: 990' >\"\$1/etc/apt/preferences.d/newest\"")
		;;
	*) options+=(--aptopt="APT::Default-Release \"$release\"") ;;
	esac
	if [ -n "$later" ]; then
		# mmdebstrap's own apt, which knows the mirrors.
		options+=(--customize-hook="mkdir -p \"\$1/var/later/partial\" &&
			APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get --yes --download-only \
			-o Dir::Cache::Archives=\"\$1/var/later\" install $later &&
			rm -r \"\$1/var/later/partial\" \"\$1/var/later/lock\"")
	fi
	# Java's package leaves a link to its manual page.
	# shellcheck disable=SC2016 # expanded by mmdebstrap
	[ -z "$systemd" ] ||
		options+=(--essential-hook='mkdir -p "$1/usr/share/man/man1"')
	say "$1: downloading about 200 MB of packages and unpacking them into $dir (a minute or two)"
	quietly "$dir/folder.log" debian "$suite" --variant=apt \
		--format=directory --include="${packages// /,}" \
		"${options[@]}" "$dir/root.tmp" ||
		folder_failed "$dir/folder.log" "kernel $1" || return
	if [ -n "$cross" ]; then
		say "$1: the same for $arch"
		add_architecture "$dir/root.tmp" "$dir/folder.log" ||
			folder_failed "$dir/folder.log" "kernel $1" || return
	fi
	if [ -z "$image" ]; then
		say "$1: building the kernel (minutes; its log is $dir/folder.log)"
		add_kernel "$dir/root.tmp" "$dir/folder.log" || {
			tail -n 20 "$dir/folder.log" >&2
			die "kernel $1: the build failed, see $dir/folder.log"
		}
	fi
	if [ -n "$systemd" ]; then
		say "$1: making a disk of it"
		make_disk "$dir/root.tmp" "$dir/disk" ||
			die "kernel $1: mksquashfs failed, see $dir/disk.log"
	fi
	sync --file-system "$dir/root.tmp"
	mv "$dir/root.tmp" "$dir/root"
	printf '%s\n' "$recipe" >"$dir/recipe"
}

# make_emulator: the QEMU of $arch, in $cache/$emulator. Debian 13's takes half the
# processor time of Debian 12's, and whatever machine this is, one QEMU counts instructions.
make_emulator()
{
	local dir=$cache/$emulator

	[ ! -d "$dir" ] || return 0
	lock "$emulator"
	if [ ! -d "$dir" ]; then
		need mmdebstrap
		need_space 400 "$emulator"
		accessible
		rm -rf "$dir.tmp"
		mkdir -p "$dir.tmp"
		say "$emulator: downloading about 40 MB of packages, to emulate $arch"
		debian trixie --variant=extract --format=tar \
			--include="$emulator" - \
			2>"$cache/$emulator.log" </dev/null |
			tar -x -C "$dir.tmp" --no-same-owner ./usr ||
			folder_failed "$cache/$emulator.log" "$emulator" || exit 1
		mv "$dir.tmp" "$dir"
	fi
	unlock "$emulator"
}

# make_ksft: the kernel's own test framework and style checker from Debian's
# source package, in $ksft; KSFT=/kernel/tree takes another.
make_ksft()
{
	local selftests='*/tools/testing/selftests'

	ksft=${KSFT:-$cache/ksft}
	if [ -n "${KSFT:-}" ]; then
		[ -f "$ksft/tools/testing/selftests/lib.mk" ] ||
			die "KSFT=$KSFT is no kernel tree: it lacks tools/testing/selftests/lib.mk"
		return
	fi
	[ -d "$ksft" ] && return

	lock ksft
	if [ ! -d "$ksft" ]; then
		unpack_ksft
	fi
	unlock ksft
}

unpack_ksft()
{
	need mmdebstrap xz
	need_space 800 "the kernel's test framework"
	accessible
	rm -rf "$ksft.tmp"
	mkdir -p "$ksft.tmp"
	say "kselftest and checkpatch: downloading about 150 MB of kernel source, keeping what is needed"
	debian bookworm --variant=extract --format=tar --include=linux-source - \
		2>"$cache/ksft.log" |
		tar -x --to-stdout --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -xJ -C "$ksft.tmp" --strip-components=1 --wildcards \
			"$selftests/lib.mk" "$selftests/kselftest*" \
			"$selftests/run_kselftest.sh" '*/scripts/checkpatch.pl' \
			'*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' \
			2>>"$cache/ksft.log" ||
		folder_failed "$cache/ksft.log" 'the kernel source' || exit 1
	mv "$ksft.tmp" "$ksft"
}
