#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# package.sh [bookworm|trixie|tarball|packages]...: what installs the module (make,
# Debian's dkms, the package), tried in copies of two folders, and what it installs,
# tried in VMs of those kernels; the release tarball, by an ordinary user; and the
# packages of other distributions. By default all four, as many side by side as there
# are processors.
# The last line is "N passed, N failed, N skipped".

. "$(dirname "$0")/lib.sh"
. "$vm/machine.sh"
. "$vm/packaging.sh"
. "$vm/claim.sh"

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$top/dkms.conf")
id=listenq/$version
memory=1024 processors=2 icount='' disk=''
VM_TIMEOUT=${VM_TIMEOUT:-300}
if [ "$*" = packages ]; then
	"$vm/deps.sh" packages
else
	"$vm/deps.sh" all
fi
export TESTS=rows

# copy NAME: a copy of its folder in $root, with the sources in /build/src.
copy()
{
	name=$1
	describe "$name"
	lock "$name-package"
	lock "$name"
	make_folder "$name"
	make_ksft
	folder=$name/package
	root=$cache/$folder/root
	out=$cache/$folder/out
	say "$name: copying the folder"
	remove "$root"
	rm -rf "$out"
	mkdir -p "$out"
	as_root cp -a "$cache/$name/root" "$root"
	unlock "$name"
	remove "$root/build"
	upload "$root"
	kernel=$(in_folder "$root" ls /lib/modules)
}

# inside COMMAND...: in the copy, as its root, in the sources.
inside()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_folder "$root" env KDIR="/lib/modules/$kernel/build" \
		sh -c 'cd /build/src && exec "$@"' sh "$@"
}

# status KERNEL WORD: what dkms says of the module there.
status()
{
	inside dkms status "$id" -k "$1" | diff - <(echo "$id, $1, x86_64: $2")
}

# loadable FILE: it is what modprobe would take, and of our version.
loadable()
{
	[ "$(inside modinfo -k "$kernel" -F filename listenq)" = "/lib/modules/$kernel/$1" ] &&
		[ "$(inside modinfo -k "$kernel" -F version listenq)" = "$version" ]
}

# tool PREFIX: listenq(8) runs, of our version, its manual page is found, and its
# completion is where bash looks for it.
tool()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	inside sh -euxc '"$1/sbin/listenq" --help
		[ "$("$1/sbin/listenq" --version)" = "listenq $2" ]
		[ "$("$1/sbin/listenq" 2>&1)" = "$3" ]
		man --where 8 listenq | grep "^$1/"
		bash -n "$1/share/bash-completion/completions/listenq"' sh "$1" "$version" \
		"listenq: the module is not loaded: as root, run 'modprobe listenq', or 'insmod module/listenq.ko' where it was built"
}

# snapshot: all files of the copy, but for logs, databases and dkms' own keys.
snapshot()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_folder "$root" sh -c 'depmod "$1" && find / -xdev \( -path /build -o \
		-path "/var/lib/dpkg/*" -o -path "/var/lib/apt/*" \
		-o -path "/var/log/*" -o -path "/var/cache/*" \
		-o -path "/var/lib/dkms/mok.*" -o -path "/tmp/*" \) -prune -o \
		\( -type d -printf "%p %m\n" \) -o -printf "%p %m %s %l\n" |
		sort' sh "$kernel"
}

# nothing_left: all is as it was when the snapshot was taken.
nothing_left()
{
	diff "$out/before" <(snapshot)
}

# image: builds what boot_vm boots, with the module that is installed.
image()
{
	local out=$out/vm

	build load rows locked
}

# boot_vm MODE [OPTION]...: leaves what the VM says in $out/verdict.
boot_vm()
{
	local status=0

	boot "$name" "$1" "$out/vm" "${@:2}" </dev/null >"$out/raw" || status=$?
	tr -d '\r' <"$out/raw" >"$out/verdict"
	[ "$status" -eq 0 ] && judge_log "$out/vm/console.log"
}

# loads: the VM's modprobe found the module, and then its test passed.
loads()
{
	boot_vm load "$@" || return
	tests_passed && grep -qx 'modprobe: 0' "$out/verdict"
}

# refuses: the VM's modprobe failed, with the words of Documentation/install.rst.
refuses()
{
	VM_APPEND="module.sig_enforce=1" boot_vm load &&
		says 'modprobe: 1' &&
		says "could not insert 'listenq': Key was rejected by service"
}

# secure_boot: a machine whose firmware says that Secure Boot is on, and trusts who
# has signed the kernel, and the key that dkms has made. It is the kernel that
# judges the module. (QEMU before 10 changes the header of a kernel that it hands
# over: OVMF finds its signature broken, and starts it nevertheless.)
secure_boot()
{
	local uefi=/usr/share/OVMF

	# shellcheck disable=SC2016 # expanded by the inner shell
	inside sh -ec 'mkdir /build/keys
		cd /build/keys
		pe-listsigs --extract /build/vmlinuz
		openssl x509 -inform DER -in /var/lib/dkms/mok.pub -out dkms.pem
		set -- --input "$1" --output ../vars.fd --enroll-generate test --no-microsoft
		for key in *.pem; do
			set -- "$@" --add-db "$(cat /proc/sys/kernel/random/uuid)" "$key"
		done
		virt-fw-vars "$@" --secure-boot' sh "$uefi/OVMF_VARS_4M.fd" || return
	in_folder "$root" cat /build/vars.fd >"$out/vars.fd"
	in_folder "$root" cat "$uefi/OVMF_CODE_4M.secboot.fd" >"$out/code.fd"
	TESTS='rows locked' loads -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on \
		-drive "if=pflash,unit=0,format=raw,readonly=on,file=$out/code.fd" \
		-drive "if=pflash,unit=1,format=raw,file=$out/vars.fd"
}

# systemd_disk: the copy itself, with what Documentation/examples has.
systemd_disk()
{
	say "$name: making a disk that systemd boots from"
	inside sh -c 'cp -r Documentation/examples/etc/* /etc/'
	make_disk "$root" "$out/vm/disk" || die "mksquashfs failed, see $out/vm/disk.log"
	inside sh -ec 'cd Documentation/examples/etc
		find . -type f -printf "/etc/%P\n" | xargs rm'
}

boots_systemd()
{
	disk=$out/vm/disk boot_vm boot_state && says 'init: systemd'
}

says_not()
{
	! says "$1" && says 'init: systemd'
}

# parameters: each has the value that the example gives it.
parameters()
{
	local pair

	while read -r pair; do
		says "/parameters/${pair%%=*}:${pair#*=}" || return
	done < <(sed -n 's/^options listenq //p' \
		"$top/Documentation/examples/etc/modprobe.d/listenq.conf" | tr ' ' '\n')
}

# rules WHEN: those of the examples.
rules()
{
	local examples=$top/Documentation/examples/etc

	diff <({
		sed -n 's/^w .* - - - - //p' "$examples/tmpfiles.d/listenq.conf" |
			sed 's/\\n/\n/g'
		sed -nE 's/^options .*(somaxconn)=([0-9]+).*/* \1 \2/p' \
			"$examples/modprobe.d/listenq.conf"
	} | sed '/^$/d') <(sed -n "s/^$1: //p" "$out/verdict" | grep -v '^# last error')
}

# later: the packages of another kernel are installed now.
later()
{
	inside sh -c 'dpkg --install /var/later/*.deb'
}

# pretend KERNEL SED: the headers of a kernel that is not to be had, made from
# those that are there.
pretend()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	inside sh -ec 'to=/usr/src/linux-headers-$2
		cp -r "/usr/src/linux-headers-$1" "$to"
		mkdir "/lib/modules/$2"
		ln -s "$to" "/lib/modules/$2/build"
		sed -i "$3" "$to/.config" "$to/include/config/auto.conf"' \
		sh "$kernel" "$1" "$2"
}

# excluded KERNEL SED: dkms refuses to build for it, and the hook that runs when
# such a kernel is installed finds nothing to do, without an error.
excluded()
{
	local state

	# shellcheck disable=SC2016 # expanded by the inner shell
	pretend "$1" "$2" &&
		inside sh -c 'dkms build "$1" -k "$2"; [ $? -eq 77 ]' \
			sh "$id" "$1" &&
		inside /etc/kernel/header_postinst.d/dkms "$1" &&
		state=$(inside dkms status "$id" -k "$1") &&
		[[ $state != *built* && $state != *installed* ]]
}

# more_kernels: and then they are all gone.
more_kernels()
{
	local other=${kernel/amd64/cloud-amd64}

	claim "another kernel is installed" later
	claim 'dkms has built for it' status "$other" installed
	claim 'a kernel before 5.10 is passed over' excluded 5.9.0-1-amd64 ''
	claim 'one without kprobes is passed over' \
		excluded 6.0.0-1-amd64 '/^CONFIG_KPROBES=/d'
	claim 'one that has all is not' \
		pretend 6.0.0-2-amd64 ''
	claim 'dkms autoinstall builds for that' \
		inside dkms autoinstall -k 6.0.0-2-amd64
	claim 'and says so' status 6.0.0-2-amd64 installed
}

# all_gone: no file of the module is anywhere.
all_gone()
{
	inside find / -xdev -path /build -prune -o -name '*listenq*' -print |
		diff /dev/null -
}

# The user of the release tarball has the PATH that Debian gives users. Who runs this
# without being root is one already.
user=listenq-package home=''

# as_user COMMAND...
as_user()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	local as=(env -i "HOME=$home" TERM=dumb LISTENQ_CACHE="$home/cache" "KSFT=$home/ksft"
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
		sh -c 'cd "$HOME/listenq-$1" && shift && exec "$@"' sh "$version" "$@")

	if [ "$(id -u)" -eq 0 ]; then
		runuser -u "$user" -- "${as[@]}"
	else
		"${as[@]}"
	fi
}

remove_user()
{
	# What the user's lent ids own has to be removed by them.
	as_user mmdebstrap --unshare-helper rm -rf --one-file-system \
		"$home/cache/bookworm/root" || :
	rm -rf "$home"
	[ "$(id -u)" -ne 0 ] || userdel "$user" 2>/dev/null || :
}

# add_user: with the tarball unpacked, and the folder that there is.
add_user()
{
	home=$(mktemp -d /var/tmp/listenq-user.XXXXXX)
	trap 'remove_user' EXIT
	[ "$(id -u)" -ne 0 ] || useradd --home-dir "$home" --shell /bin/sh "$user"
	tar -xz -C "$home" <"$top/build/listenq-$version.tar.gz"
	cp -r "$ksft" "$home/ksft"
	mkdir -p "$home/cache/bookworm"
	cp "$cache/bookworm/recipe" "$home/cache/bookworm/"
	chmod 755 "$home"
	[ "$(id -u)" -ne 0 ] || chown -R "$user:" "$home"
	chmod 777 "$home/cache/bookworm"	# for the user's lent ids
	# shellcheck disable=SC2016 # expanded by the inner shell
	as_root tar -c -C "$cache/bookworm/root" --exclude=./dev --exclude=./proc \
		--exclude=./build --exclude='./peers*' . |
		as_user mmdebstrap --unshare-helper sh -c \
			'mkdir "$1" && cd "$1" && mkdir dev proc && tar -x' sh "$home/cache/bookworm/root"
}

# tells TEXT COMMAND...: it succeeds, and says this.
tells()
{
	local said

	said=$("${@:2}" 2>&1) || { echo "$said"; return 1; }
	echo "$said"
	grep -qF -- "$1" <<<"$said"
}

# In a shell that is piped into.
shell_shows()
{
	echo "listenq --version" | tells "listenq $version" as_user make shell
}

# same_again: the tree that a tarball has made makes that tarball.
same_again()
{
	as_user make dist
	cmp "$top/build/listenq-$version.tar.gz" \
		"$home/listenq-$version/build/listenq-$version.tar.gz"
}

# Debian 12: by make, and by the packages.
on_bookworm()
{
	copy bookworm
	snapshot >"$out/before"
	claim 'make tools' inside make tools
	claim 'make install' inside make install
	claim 'listenq(8) is there, and says that the module is not' tool /usr/local
	claim 'modprobe would find it' loadable updates/listenq.ko
	image
	claim 'unsigned, it is refused where signatures are enforced' refuses
	claim 'the kernel says why' says 'Loading of unsigned module is rejected'
	claim 'make uninstall' inside make uninstall
	claim 'nothing is left' nothing_left

	inside chown -R nobody .
	claim 'make deb, by an ordinary user' \
		inside setpriv --reuid=nobody --clear-groups make deb
	claim 'lintian' inside setpriv --reuid=nobody --clear-groups \
		sh -c 'lintian --fail-on error,warning build/*.changes'
	claim 'the packages are installed' inside sh -c \
		'apt-get install --yes -o Dpkg::Options::=--path-include="/usr/share/man/*" \
			./build/*.deb'
	claim 'listenq(8) is there, and says that the module is not' tool /usr
	claim 'dkms has built it' status "$kernel" installed
	claim 'modprobe would find it' loadable updates/dkms/listenq.ko
	claim 'make dkms-install leaves a package alone' \
		inside sh -c '! make dkms-install'
	inside ln -s /usr/lib/systemd/system/listenq-metrics.timer \
		/etc/systemd/system/timers.target.wants/	# as systemctl enable does
	claim 'the packages are purged' inside dpkg --purge listenq-dkms listenq-tools
	claim 'nothing is left' nothing_left

	claim 'make dkms-install' inside make dkms-install
	claim 'make dkms-install once more' inside make dkms-install
	claim 'dkms has built it' status "$kernel" installed
	image
	claim 'modprobe loads it, its test passes' loads
	more_kernels
	claim 'make dkms-remove' inside make dkms-remove
	claim 'nothing is left' all_gone
}

# Debian 13: by dkms, signed, and under systemd.
on_trixie()
{
	copy trixie
	claim 'make dkms-install DESTDIR= takes the source alone' \
		inside make dkms-install DESTDIR=/build/tree
	claim 'dkms add' inside dkms add "/build/tree/usr/src/listenq-$version"
	claim 'dkms build' inside dkms build "$id" -k "$kernel"
	claim 'dkms install' inside dkms install "$id" -k "$kernel"
	claim 'dkms status' status "$kernel" installed
	claim 'modprobe would find it' loadable updates/dkms/listenq.ko.xz
	image
	claim 'modprobe loads it, its test passes' loads
	claim 'signed by dkms, it is refused while its key is not enrolled' refuses
	claim 'the kernel says why' \
		says 'Loading of module with unavailable key is rejected'
	claim 'with Secure Boot and its key enrolled, it is loaded' secure_boot
	claim 'Secure Boot was on' says 'Secure boot enabled'
	claim 'and the kernel locked down' says '[integrity]'
	systemd_disk
	claim 'systemd boots' boots_systemd
	claim 'no unit has failed' says_not 'failed unit'
	claim 'parameters: those of modprobe.d' parameters
	claim 'rules: those of tmpfiles.d, and of the parameter' rules boot
	claim 'a line with one wrong rule changes nothing' rules after
	more_kernels
	claim 'dkms remove' inside dkms remove "$id" --all
	inside rm -r "/usr/src/listenq-$version"
	claim 'nothing is left' all_gone
}

by_tarball()
{
	name=tarball out=$cache/tarball
	mkdir -p "$out"
	make_ksft
	claim 'make dist' make -C "$top" dist
	add_user
	claim 'make dist in its tree makes the same one' same_again
	claim 'make demo' tells 'That was all.' as_user make demo
	claim 'make check' tells ' 0 failed' as_user make check TESTS=rows
	claim 'make shell' shell_shows
	claim 'make lint' tells 'lint: no finding' as_user make lint
}

# part NAME: the one that runs in this process.
part()
{
	"$1"
	echo "$passed passed, $failed failed, 0 skipped"
	[ "$failed" -eq 0 ]
}

[ $# -gt 0 ] || set -- trixie bookworm tarball packages
case $* in
bookworm | trixie) part "on_$*" ;;
tarball | packages) part "by_$*" ;;
*)
	logs=$(mktemp -d)
	trap 'rm -rf "$logs"' EXIT
	for name; do
		while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
			wait -n || :
		done
		"$0" "$name" </dev/null >"$logs/$name" &
	done
	wait
	cat "$logs"/* | sed '/^[0-9]* passed, /d'
	tail -qn 1 "$logs"/* | awk '
		/^[0-9]+ passed, [0-9]+ failed/ { passed += $1; failed += $3; next }
		{ failed++ }	# it ended early
		END {
			print passed + 0 " passed, " failed + 0 " failed, 0 skipped"
			exit failed || !passed
		}'
	;;
esac
