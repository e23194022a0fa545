# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Checks what `make TARGET VARIABLE=...` was given, before anything is downloaded or
# built: a wrong word ends the run, with the words there are.

. "$vm/kernels.sh"

# is_number VARIABLE: it is unset, empty or a whole number above 0.
is_number()
{
	[[ ${!1:-1} =~ ^[1-9][0-9]{0,17}$ ]] || die "$1='${!1}' is not a whole number above 0"
}

# are_words VARIABLE WORD...: each of its words is among these.
are_words()
{
	local variable=$1 word

	shift
	for word in ${!variable:-}; do
		[[ " $* " == *" $word "* ]] ||
			die "$variable: '$word' is not one of: $*"
	done
}

# check_variables TARGET
check_variables()
{
	local target=$1 variable file programs

	programs=$(sed -n 's/^\([a-z_]*\)[[:blank:]].*/\1/p' "$vm/programs" | xargs)
	# shellcheck disable=SC2086 # lists
	are_words KERNELS $all_kernels $hand_kernels all hand
	# shellcheck disable=SC2086
	case $target in
	check | coverage) are_words TESTS core ci all $programs ;;
	soak | kexec | mutants) are_words TESTS $programs ;;
	bench) are_words PARTS path read change beside groups large rate ;;
	esac
	case $target in
	shell | soak | kexec | mutants)
		[[ ${KERNELS:-one} != @(*[[:space:]]*|all|hand) ]] ||
			die "KERNELS='$KERNELS': make $target takes one kernel"
		;;
	esac
	for variable in MINUTES LISTENQ_LOADS LISTENQ_SECONDS LISTENQ_SEED COUNT SEED CHANGE; do
		is_number "$variable"
	done
	if [ "$target" = check ] && [ -n "${KERNEL:-}" ]; then
		[ -f "$KERNEL" ] || die "KERNEL='$KERNEL' is not a file: name a bzImage"
		[ -f "${KDIR:-}/include/generated/utsrelease.h" ] ||
			die "KDIR='${KDIR:-}' is not a kernel's build directory: KERNEL= takes both"
		[ -z "${MODULES:-}" ] || [ -d "$MODULES/kernel" ] ||
			die "MODULES='$MODULES' is not a kernel's module directory: name one like /lib/modules/RELEASE"
	elif [ -n "${KERNEL:-}${MODULES:-}" ]; then
		die "KERNEL= and MODULES= are for make check, which takes KERNEL=bzImage KDIR=build"
	fi
	if [ "$target" = mutants ]; then
		describe "${KERNELS:-$default_kernel}"
		[ "$arch$systemd" = amd64 ] ||
			die "KERNELS='$KERNELS': make mutants takes a kernel for amd64 that boots the tests alone"
		[ -z "${FILE:-}" ] || [[ $FILE == module/*.[ch] && -f $top/$FILE ]] ||
			die "FILE='$FILE' is not a C file of module/"
		[ -z "${CHANGE:-}" ] || [ -n "${FILE:-}" ] ||
			die "CHANGE='$CHANGE' is a number in a file: name it by FILE="
	fi
	[ -z "${KSFT:-}" ] || [ -f "$KSFT/tools/testing/selftests/lib.mk" ] ||
		die "KSFT='$KSFT' is not a kernel tree: it lacks tools/testing/selftests/lib.mk"
	for file in ${FILES:-}; do
		[ -e "$file" ] || die "FILES: there is no '$file'"
	done
}
