# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# package.sh's part that builds what packaging/ describes, RPMs and Arch Linux' packages,
# by Debian's rpmbuild and makepkg, and compares what is in them with what `make install`
# puts there. Nothing is installed: neither has a database here that knows what they need.

# As Fedora's rpm and systemd-rpm-macros define them. (Debian's rpm has brp-compress run
# by dash, which it is not written for.)
rpm_macros=(
	'_docdir_fmt %%{NAME}'
	'_unitdir /usr/lib/systemd/system' '_udevrulesdir /usr/lib/udev/rules.d'
	'systemd_post true'
	'systemd_preun true'
	'systemd_postun true'
	'__os_install_post bash %{_rpmconfigdir}/brp-compress; strip %{buildroot}%{_sbindir}/*'
)

# unprivileged COMMAND...: not as root, which makepkg refuses to be.
unprivileged()
{
	local as=()

	[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	"${as[@]}" env -i "HOME=$out" TERM=dumb "PATH=$out/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@"
}

# rpm_tool COMMAND...: with these macros.
rpm_tool()
{
	local macro options=(--define "_topdir $out/rpm")

	for macro in "${rpm_macros[@]}"; do
		options+=(--define "$macro")
	done
	unprivileged "$1" "${options[@]}" "${@:2}"
}

# A kmodtool that writes what akmods' does, as far as the spec goes by it.
stub_kmodtool()
{
	mkdir -p "$out/bin"
	cat >"$out/bin/kmodtool" <<-'STUB'
		#!/bin/sh
		echo '%define kmodinstdir_prefix /lib/modules/'
		echo '%define kmodinstdir_postfix /extra/listenq/'
		case $* in
		*' --for-kernels '*)
			name=kmod-listenq-5.14.0-1
			echo '%define kernel_versions 5.14.0-1___/usr/src/kernels/5.14.0-1'
			;;
		*' --akmod')
			name=akmod-listenq
			;;
		*)
			exit 1
			;;
		esac
		echo "%package -n $name"
		echo 'Summary: Kernel module'
		echo 'Requires: listenq-kmod-common >= %{version}'
		echo 'Provides: listenq-kmod = %{version}-%{release}'
		echo "%description -n $name"
		echo 'Kernel module.'
		echo "%files -n $name"
	STUB
	chmod 755 "$out/bin/kmodtool"
}

# expected FOLDER SBIN PACKAGE: what the packages are to have, put into FOLDER. Programs
# are in SBIN, and the documents are PACKAGE's.
expected()
{
	local source=$out/source/listenq-$version doc=$1/usr/share/doc/$3

	make -C "$source/tools" install DESTDIR="$1" PREFIX=/usr SBINDIR="$2" &&
		make -C "$source" dkms-install DESTDIR="$1" || return
	mkdir -p "$doc/examples"
	# Those that debian/ names, and the changelog, which debhelper finds.
	# shellcheck disable=SC2046 # patterns
	(cd "$source" && cp CHANGELOG.md $(cat debian/listenq-dkms.docs) "$doc" &&
		cp -r $(cat debian/listenq-dkms.examples) "$doc/examples")
}

# contents FOLDER: each file with its checksum, but for the program's; manual pages as
# they were before packing.
contents()
{
	(
		cd "$1" || exit
		find . -name '*.gz' -path './usr/share/man/*' -exec gunzip {} + &&
			find . -type f ! -path '*bin/listenq' -exec sha256sum {} + &&
			find . -type f -path '*bin/listenq' -printf '%m  %p\n'
	) | sort -k 2
}

# same FOLDER EXPECTED
same()
{
	contents "$1" >"$out/list" && contents "$2" >"$out/list.expected" &&
		[ -s "$out/list" ] && diff "$out/list.expected" "$out/list"
}

# runs FOLDER SBIN: the program that was packed, of our version; and the unit starts it.
runs()
{
	[ "$("$1$2/listenq" --version)" = "listenq $version" ] &&
		grep -q "^ExecStart=$2/listenq " \
			"$1/usr/lib/systemd/system/listenq-metrics.service"
}

# of_version "FILE..." PACKAGE...: these files are those packages, of our version.
of_version()
{
	local file

	diff <(printf '%s\n' "${@:2}") <(for file in $1; do
		echo "${file%%-"$version"-1[.-]*}"
	done)
}

build_rpms()
{
	mkdir -p "$out/rpm/SOURCES"
	cp "$top/build/listenq-$version.tar.gz" "$out/rpm/SOURCES/"
	cp "$top"/packaging/rpm/*.spec "$out/rpm/"
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$out/rpm"
	rpm_tool rpmbuild -ba --nodeps "$out/rpm/listenq.spec"
}

unpack_rpms()
{
	local rpm

	mkdir "$out/rpm-root"
	for rpm in "$out"/rpm/RPMS/*/*.rpm; do
		rpm2cpio "$rpm" | (cd "$out/rpm-root" && cpio -id --quiet) || return
	done
	# Each package has the licence.
	[ "$(find "$out/rpm-root/usr/share/licenses" -name COPYING -exec cmp "$top/COPYING" {} \; -print | wc -l)" -eq 3 ] &&
		rm -r "$out/rpm-root/usr/share/licenses"
}

lint_rpms()
{
	rpmlint --strict -c "$top/packaging/rpm/rpmlint.toml" \
		"$top"/packaging/rpm/*.spec "$out/rpm/SRPMS" "$out/rpm/RPMS"
}

# scriptlet TAG ARGUMENT: what listenq-dkms runs then, with a dkms that knows an older
# version and this one's older release, and says what it is asked to do.
scriptlet()
{
	cat >"$out/bin/dkms" <<-STUB
		#!/bin/sh
		case \$1 in
		status) printf 'listenq/%s, 5.14.0-1, x86_64: installed\n' 0.0.1 $version ;;
		*) echo "\$*" ;;
		esac
	STUB
	chmod 755 "$out/bin/dkms"
	rpm -qp --qf "%{$1}" "$out"/rpm/RPMS/noarch/listenq-dkms-*.rpm >"$out/scriptlet"
	unprivileged sh "$out/scriptlet" "$2"
}

# dkms_calls TAG ARGUMENT CALL...
dkms_calls()
{
	local calls

	calls=$(scriptlet "$1" "$2") || return
	diff <(printf '%s' "${3:+$(printf '%s\n' "${@:3}")}") <(printf '%s' "$calls")
}

# The names of the binary packages that it makes.
kmod_spec()
{
	diff <(echo "$1") <(rpm_tool rpmspec -q --builtrpms --qf '%{name}-%{version}\n' "${@:2}" \
		"$top/packaging/rpm/listenq-kmod.spec")
}

build_arch()
{
	mkdir "$out/arch"
	cp "$top/packaging/arch/PKGBUILD" "$top/build/listenq-$version.tar.gz" "$out/arch/"
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$out/arch"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unprivileged PKGEXT=.pkg.tar sh -c 'cd "$HOME/arch" && exec makepkg --nodeps'
}

unpack_arch()
{
	local package

	mkdir "$out/arch-root"
	for package in "$out"/arch/*.pkg.tar; do
		tar -x -C "$out/arch-root" --exclude='.[A-Z]*' -f "$package" || return
	done
}

by_packages()
{
	name=packages
	out=$(mktemp -d /var/tmp/listenq-packages.XXXXXX)
	trap 'rm -rf "$out"' EXIT
	chmod 755 "$out"
	claim 'make dist' make -C "$top" dist
	mkdir "$out/source"
	tar -xz -C "$out/source" <"$top/build/listenq-$version.tar.gz"
	claim 'make install, for RPMs' \
		expected "$out/expected" /usr/sbin listenq-kmod-common
	claim 'make install, for Arch' \
		expected "$out/expected-arch" /usr/bin listenq-dkms
	stub_kmodtool

	claim 'rpmbuild, by an ordinary user' build_rpms
	claim 'it makes these RPMs' of_version "$(cd "$out" && find rpm/RPMS -name '*.rpm' -printf '%f\n' | sort)" \
		listenq-dkms listenq-kmod-common listenq-tools
	claim 'rpmlint' lint_rpms
	claim 'the RPMs are unpacked' unpack_rpms
	claim 'listenq(8) of the RPM runs, by its unit too' runs "$out/rpm-root" /usr/sbin
	claim 'what is in them is what make install puts there' \
		same "$out/rpm-root" "$out/expected"
	claim 'installed or upgraded, the RPM has dkms build it anew' dkms_calls POSTIN 2 \
		'remove listenq/0.0.1 -q --all' "remove listenq/$version -q --all" \
		"add listenq/$version -q" "install listenq/$version -q"
	claim 'the older one has nothing removed then' dkms_calls PREUN 1
	claim 'uninstalled, the RPM has dkms remove it' dkms_calls PREUN 0 \
		"remove listenq/$version -q --all"
	claim 'listenq-kmod.spec makes akmod-listenq' \
		kmod_spec "akmod-listenq-$version"
	claim 'listenq-kmod.spec makes the package of one kernel' \
		kmod_spec "kmod-listenq-5.14.0-1-$version" --define 'kernels 5.14.0-1'

	claim 'makepkg, by an ordinary user' build_arch
	claim 'it makes these packages' of_version "$(cd "$out" && find arch -name '*.pkg.tar' -printf '%f\n' | sort)" \
		listenq-dkms listenq-tools
	claim 'the packages are unpacked' unpack_arch
	claim 'listenq(8) of the package runs, by its unit too' runs "$out/arch-root" /usr/bin
	claim 'what is in them is what make install puts there' \
		same "$out/arch-root" "$out/expected-arch"
}
