# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of listenq(8) for bash.

_listenq()
{
	local cur prev clamp='' names='' netns=() word
	local keys='fill overflows oldest synq syns local process'

	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	for ((word = 1; word < COMP_CWORD; word++)); do
		case ${COMP_WORDS[word]} in
		clamp) clamp=y ;;
		-N|--netns) netns=(-N "${COMP_WORDS[word + 1]}") ;;
		esac
	done

	case $prev in
	-N|--netns)
		names=$(ls /run/netns 2>/dev/null)
		;;
	-s|--sort)
		names=$keys
		;;
	-f|--file|-o|--output)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--proc)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-p|--port|-P|--process|-A|--address|--max)
		return
		;;
	clamp)
		# What has a rule may be cleared or changed.
		names="flush -f $(listenq "${netns[@]}" clamp 2>/dev/null |
			sed -n 's/^\([0-9][0-9-]*\) .*/\1/p')"
		;;
	*)
		if [ -n "$clamp" ]; then
			names='somaxconn floor force clear'
		elif [[ $cur == -* ]]; then
			names='--all --netns --port --address --process --sort
				--reverse --watch --json --metrics --output
				--max --check --proc --help --version'
		else
			names=clamp
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$names" -- "$cur")
}

complete -F _listenq listenq
