# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # read by those who source this
#
# What every script here needs: how to talk, where things are kept, how to
# fail, and how to become root in a namespace of one's own.

set -euo pipefail

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$vm/../.." && pwd -P)
user_locale=${LC_ALL:-${LC_CTYPE:-${LANG:-}}}
export LC_ALL=C
# Debian's PATH for users has none of what administrators run.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# One line per step, on stderr: stdout belongs to the results.
say()
{
	printf '== %s\n' "$*" >&2
}

# The one line of a failure says what to do.
die()
{
	printf 'listenq: %s\n' "$*" >&2
	exit 1
}

# A run that is interrupted ends there, whatever the command under way makes of it.
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
interrupted()
{
	trap '' INT TERM
	printf '\nlistenq: interrupted\n' >&2
	exit "$1"
}

cache=${LISTENQ_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/listenq}
[[ $cache == /* && $cache != *[[:space:]]* ]] ||
	die "the cache folder '$cache' must be an absolute path without blanks: set LISTENQ_CACHE"

# stop_jobs: ends those in the background, each a process group of its own (set -m).
stop_jobs()
{
	local job

	for job in $(jobs -p); do
		disown "$job"	# or bash tells of its end
		kill -TERM -- "-$job" 2>/dev/null || :
	done
}

# need COMMAND...: fail if one is missing.
need()
{
	local command

	for command in "$@"; do
		command -v "$command" >/dev/null ||
			die "$command is missing: run 'make deps' first"
	done
}

# has_kvm: it needs a processor that can, too: a /dev/kvm without vmx or svm behind it
# was seen to hang every guest.
has_kvm()
{
	grep -qwE 'vmx|svm' /proc/cpuinfo && { : <>/dev/kvm; } 2>/dev/null
}

# need_space MEGABYTES WHAT: fail before a download, not in the middle of it.
need_space()
{
	local free

	free=$(df --output=avail -BM "$cache" | tr -dc '0-9')
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MB in $cache, $free MB are free: make room or set LISTENQ_CACHE"
}

# lock NAME: one run at a time works on NAME; until unlock, or this process'
# end.
declare -A locks
lock()
{
	local fd

	{ mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null ||
		die "can't write to $cache: set LISTENQ_CACHE to a folder of yours"
	exec {fd}>>"$cache/$1.lock"
	flock --nonblock "$fd" || {
		say "another run is using $1: waiting for it"
		flock "$fd"
	}
	locks[$1]=$fd
}

unlock()
{
	local fd=${locks[$1]}

	exec {fd}>&-
}

# in_git: the working tree is a clone of its own, which git lets us look at. (A release
# tarball's is none, nor is another user's.)
in_git()
{
	[ "$(git -C "$top" rev-parse --show-toplevel 2>/dev/null)" = "$top" ]
}

# files [PATHSPEC]...: those of the working tree that git knows or would add, each
# ended by a NUL. A tree that is no clone is looked at through an empty repository.
files()
(
	cd "$top"
	if ! in_git; then
		repository=$(mktemp -d)
		trap 'rm -r "$repository"' EXIT
		git init --quiet --bare "$repository"
		export GIT_DIR=$repository GIT_WORK_TREE=$top
	fi
	git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
	while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done
)

# quietly LOG COMMAND...: the output goes to LOG.
quietly()
{
	local log=$1

	shift
	"$@" >"$log" 2>&1 </dev/null
}

# as_root COMMAND...: run as root of namespaces of its own: mounts made there
# are gone when it ends, however it ends. Needs no privilege: who isn't root
# gets the ids that /etc/subuid lends.
as_root()
{
	mmdebstrap --unshare-helper "$@"
}

# in_folder DIR COMMAND...: run in a folder made by folder.sh.
in_folder()
{
	local dir=$1

	shift
	# /proc: objtool reads it when a module is built. /dev: user namespaces
	# can't make device nodes.
	# shellcheck disable=SC2016 # expanded by the inner shell
	as_root sh -c 'cd "$1" && shift &&
		mount -t proc proc proc && mount --rbind /dev dev &&
		exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C "$@"' sh "$dir" "$@"
}

# remove DIR...: also what belongs to the ids that as_root uses.
remove()
{
	as_root rm -rf --one-file-system "$@"
}
