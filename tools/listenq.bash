# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of listenq(8) for bash.
#
# What is completed may have been named by others. So names are quoted here, and
# none gets into text that bash expands, as that of compgen -W is.

# _listenq_quote NAME TYPED: NAME as it goes on after TYPED, which may have begun a
# quotation; in quoted.
_listenq_quote()
{
	quoted=$1
	case $2 in
	\'*)
		quoted=\'${quoted//\'/\'\\\'\'}
		;;
	\"*)
		quoted=${quoted//\\/\\\\}
		quoted=${quoted//\"/\\\"}
		quoted=${quoted//\$/\\\$}
		quoted=\"${quoted//\`/\\\`}
		;;
	*)
		printf -v quoted %q "$quoted"
		# Where readline would begin another word.
		if [[ $quoted != \$\'* ]]; then
			quoted=${quoted//:/\\:}
			quoted=${quoted//=/\\=}
			quoted=${quoted//@/\\@}
		fi
		;;
	esac
}

# _listenq_add NAME...: completes those that begin with what was typed.
_listenq_add()
{
	local typed=${COMP_WORDS[COMP_CWORD]} name quoted

	for name; do
		_listenq_quote "$name" "$typed"
		# A quotation that was begun stays where it is.
		if [[ $quoted == "$typed"* || $name == "$typed"* ]]; then
			[[ $typed != [\'\"]* ]] || quoted=${quoted:1}
			COMPREPLY+=("$quoted")
		fi
	done
}

# _listenq_namespaces: their names, in names.
_listenq_namespaces()
{
	local path

	names=()
	for path in /run/netns/*; do
		[ ! -e "$path" ] || names+=("${path##*/}")
	done
}

# _listenq_rules [TYPED]: ports that have a rule in the namespace that was typed, in
# names; of this one where none was.
_listenq_rules()
{
	local netns=() name quoted

	if [ $# -gt 0 ]; then
		netns=(-N "$1")
		_listenq_namespaces
		for name in "${names[@]}"; do
			_listenq_quote "$name" ''
			[ "$quoted" != "$1" ] || netns=(-N "$name")
		done
	fi
	mapfile -t names < <(listenq "${netns[@]}" clamp 2>/dev/null |
		sed -n 's/^\([0-9][0-9-]*\) .*/\1/p')
}

_listenq()
{
	local options=(--all --netns --tcp --unix --port --address --process --unit --sort --reverse
		--watch --groups --json --totals --metrics --output --max --names
		--no-histogram --http
		--check --within --allow-none --proc --help --version)
	local explain_options=(--all --netns --port --address --process --unit --verbose
		--interval --json --proc)
	local report_options=(--all --netns --port --address --process --unit --interval --proc)
	local log_options=(--all --netns --port --address --process --unit --follow --top
		--json --proc)
	local prev=${COMP_WORDS[COMP_CWORD - 1]} command='' names=() netns=() word

	COMPREPLY=()
	for ((word = 1; word < COMP_CWORD; word++)); do
		case ${COMP_WORDS[word]} in
		clamp|log|explain|record|report) command=${COMP_WORDS[word]} ;;
		-N|--netns) netns=("${COMP_WORDS[word + 1]}") ;;
		esac
	done

	case $command:$prev in
	*:-N|*:--netns)
		_listenq_namespaces
		;;
	*:-s|*:--sort)
		names=(fill overflows oldest synq syns local process)
		;;
	*:--names)
		names=(own all none)
		;;
	clamp:-f|clamp:--file|*:-o|*:--output)
		compopt -o default
		return
		;;
	*:--proc|record:record)
		compopt -o dirnames
		return
		;;
	*:-p|*:--port|*:-P|*:--process|*:-U|*:--unit|*:-A|*:--address|*:--max|*:-i|*:--interval|*:--within)
		return
		;;
	clamp:clamp|clamp:--dry-run)
		# What has a rule may be cleared or changed.
		_listenq_rules "${netns[@]}"
		names+=(flush -f --dry-run --save --restore)
		;;
	clamp:*)
		names=(somaxconn floor force clear)
		;;
	log:*)
		names=("${log_options[@]}")
		;;
	explain:*)
		names=("${explain_options[@]}")
		;;
	report:*)
		compopt -o default
		[[ ${COMP_WORDS[COMP_CWORD]} == -* ]] || return
		names=("${report_options[@]}")
		;;
	*)
		if [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then
			names=("${options[@]}")
		else
			names=(clamp explain log record report)
		fi
		;;
	esac
	_listenq_add "${names[@]}"
}

complete -F _listenq listenq
