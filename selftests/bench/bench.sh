#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh PART...: run in the VM of `make bench`, whose clock counts
# instructions. Prints a line for each measurement, in three fields set apart
# by tabs: the work, by whom it was done or who was attached, and its cost.
# Peers that the kernel's Debian does not have are left out.
#
#	path	connections, SYNs, listen(), bursts of it
#	read	all listeners, with the module and its peers
#	change	rules, load and unload, memory
#	groups	read, of SO_REUSEPORT groups of 1,000 to 32,000 and as many spread
#	beside	connections, SYNs, beside others' probes of the same functions
#	large	SYNs and read, with 300,000 listeners
#	rate	connections a second; in a VM with an ordinary clock

set -eu
PATH=/bench:$PATH
sockets=/proc/net/listenq/sockets
clamp=/proc/net/listenq/clamp
many=10000
burst=24000
pipes=$(mktemp -d)
mkfifo "$pipes/release" "$pipes/held"

result()
{
	printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

# have COMMAND: where it comes from is the kernel's own Debian.
have()
{
	command -v "$1" >/dev/null
}

# start_holder WHAT ARGUMENT...: what bench.c does until release.
start_holder()
{
	local held

	bench "$@" <"$pipes/release" >"$pipes/held" &
	holder=$!
	exec 3>"$pipes/release"
	read -r held <"$pipes/held"
	[ "$held" = held ]
}

# hold LISTENERS ESTABLISHED GROUP, until release.
hold()
{
	start_holder hold "$@"
}

release()
{
	exec 3>&-
	wait "$holder"
}

# ---- attaching ----

traced=/sys/kernel/debug/tracing/enabled_functions

# attach FUNCTION COMMAND...: starts it, returns when it has hooked FUNCTION; false, and
# the reason on standard error, where it can't on this kernel.
attach()
{
	local function=$1 tries=0

	shift
	echo "# $1" >&2
	"$@" >/dev/null 2>/tmp/peer &
	peer=$!
	until grep -q "^$function " "$traced"; do
		tries=$((tries + 1))
		if [ "$tries" -ge 600 ] || ! kill -0 "$peer" 2>/dev/null; then
			echo "bench: $1 is left out: $(cat /tmp/peer)" >&2
			kill "$peer" 2>/dev/null || :
			return 1
		fi
		sleep 0.1
	done
}

detach()
{
	kill "$peer"
	wait "$peer" || :
}

# hooked CONDITION: the functions that listenq hooks on this kernel, set apart by commas;
# the condition is awk's, of symbol and how.
hooked()
{
	awk '
		NR == 1 {
			for (i = 1; i <= NF; i++)
				column[$i] = i
			local = "unix|skb_free_datagram"
			finer = "synack|proven|cookie|hashdance|reqsk|migrate|drop|disconnect|" local
			next
		}
		{
			symbol = $column["symbol"]
			how = $column["how"]
		}
		$column["state"] == "on" && ('"$1"') {
			list = list sep symbol
			sep = ","
		}
		END { print list }' /proc/net/listenq/hooks
}

# ---- the parts ----

# least RUNS COMMAND...: of what it prints in so many runs: the first finds caches
# cold, and each has a namespace of its own, whose hashes are another chance's.
least()
{
	local runs=$1

	shift
	while [ "$runs" -gt 0 ]; do
		"$@"
		runs=$((runs - 1))
	done | sort -n | head -n 1
}

measure()
{
	echo "# $1: $2" >&2
	case $1 in
	connection)
		result 'connect, accept, close' "$2" "$(least 3 bench connect)"
		;;
	listener)
		result 'listen, close' "$2" "$(least 3 bench listen)"
		;;
	unix)
		result 'unix: connect, accept, close' "$2" "$(least 3 bench unix)"
		result 'unix: connect, EAGAIN' "$2" "$(least 3 bench unix full)"
		;;
	burst)
		result "listen, one of a burst of $burst" "$2" "$(least 3 bench burst $burst)"
		;;
	drop)
		result 'segment, dropped elsewhere' "$2" "$(least 3 bench drop)"
		;;
	syn)
		local cookies queue

		for queue in accept SYN; do
			for cookies in 1 0; do
				result "SYN, $queue queue full, syncookies=$cookies" \
					"$2" "$(least 10 bench syn $queue $cookies)"
			done
		done
		;;
	esac
}

path()
{
	local work count_syns local_enter local_leave

	for work in connection listener syn drop unix; do
		measure $work without
	done

	modprobe listenq
	# One for each step: the SYN, the final ACK, accept(), listen(), close().
	set -- "enter=$(hooked 'how != "kretprobe" && symbol !~ finer')" \
		"leave=$(hooked 'how == "kretprobe" && symbol !~ finer')"
	local_enter=$(hooked 'how != "kretprobe" && symbol ~ local')
	local_leave=$(hooked 'how == "kretprobe" && symbol ~ local')
	for work in connection listener syn drop unix; do
		measure $work listenq
	done
	rmmod listenq

	insmod /bench/empty_probes.ko "$@"
	for work in connection listener syn; do
		measure $work 'empty probes'
	done
	rmmod empty_probes
	insmod /bench/empty_probes.ko "enter=$local_enter" "leave=$local_leave"
	measure unix 'empty probes'
	rmmod empty_probes

	if have tcpsynbl && attach tcp_v4_syn_recv_sock tcpsynbl; then
		measure connection tcpsynbl
		measure syn tcpsynbl
		detach
	fi
	if have solisten && attach inet_listen solisten; then
		measure listener solisten
		detach
	fi
	if have bpftrace && attach inet_csk_accept tcpaccept.bt; then
		measure connection tcpaccept.bt
		detach
	fi
	# shellcheck disable=SC2016 # bpftrace's own
	count_syns='kprobe:tcp_conn_request {
		$sk = (struct sock *)arg2;
		@syns[$sk] = count();
		if ($sk->sk_ack_backlog > $sk->sk_max_ack_backlog) {
			@overflows[$sk] = count();
		}
	}'
	if have bpftrace &&
		attach tcp_conn_request bpftrace -e "$count_syns"; then
		measure syn bpftrace
		detach
	fi

	# Last: they leave slabs and hashes as no other work has found them.
	measure burst without
	modprobe listenq
	measure burst listenq
	rmmod listenq
	insmod /bench/empty_probes.ko "$@"
	measure burst 'empty probes'
	rmmod empty_probes
}

# ---- others' probes ----

# For each of them come_NAME, false where this kernel has none of it, and go_NAME. They
# look at $functions, those of a connection, set apart by commas.
others='kprobes ftrace_ops fprobes fentry livepatch tracer'
tracing=/sys/kernel/debug/tracing

come_kprobes()
{
	insmod /bench/empty_probes.ko "enter=$functions" "leave=$functions"
}

go_kprobes()
{
	rmmod empty_probes
}

come_ftrace_ops()
{
	insmod /bench/peer_ftrace.ko "functions=$functions"
}

go_ftrace_ops()
{
	rmmod peer_ftrace
}

come_fprobes()
{
	local function

	grep -q '<func-name>\[%return\]' "$tracing/README" || return
	for function in ${functions//,/ }; do
		printf 'f:beside/%s_enter %s\n' "$function" "$function"
		printf 'f:beside/%s_leave %s%%return\n' "$function" "$function"
	done >"$tracing/dynamic_events"
	echo 1 >"$tracing/events/beside/enable"
}

go_fprobes()
{
	echo 0 >"$tracing/events/beside/enable"
	: >"$tracing/dynamic_events"
}

come_fentry()
{
	[ -e /sys/kernel/btf/vmlinux ] || return
	# shellcheck disable=SC2086 # a list
	start_holder fentry ${functions//,/ }
}

go_fentry()
{
	release
}

livepatch=/sys/kernel/livepatch/peer_livepatch

come_livepatch()
{
	[ -e /bench/peer_livepatch.ko ] || return
	insmod /bench/peer_livepatch.ko
	while [ "$(cat $livepatch/transition)" -ne 0 ]; do
		sleep 0.1
	done
}

go_livepatch()
{
	echo 0 >$livepatch/enabled
	while [ -e $livepatch ]; do
		sleep 0.1
	done
	rmmod peer_livepatch
}

come_tracer()
{
	grep -qw function "$tracing/available_tracers" || return
	tr , '\n' <<<"$functions" >"$tracing/set_ftrace_filter"
	echo function >"$tracing/current_tracer"
}

go_tracer()
{
	echo nop >"$tracing/current_tracer"
	: >"$tracing/set_ftrace_filter"
}

# measure_beside OTHER: both works, with the module and without.
measure_beside()
{
	local who

	for who in without listenq; do
		echo "# beside ${1:-nobody}: $who" >&2
		[ "$who" = without ] || modprobe listenq
		result "connect, accept, close${1:+, beside $1}" "$who" \
			"$(least 3 bench connect)"
		result "SYN, accept queue full, syncookies=1${1:+, beside $1}" "$who" \
			"$(least 3 bench syn accept 1)"
		[ "$who" = without ] || rmmod listenq
	done
}

beside()
{
	local other functions

	modprobe listenq
	functions=$(hooked 'symbol ~ /^(tcp_conn_request|tcp_v4_syn_recv_sock|__inet_accept)$/')
	rmmod listenq
	measure_beside ''
	for other in $others; do
		if "come_$other"; then
			measure_beside "$other"
			"go_$other"
		fi
	done
}

# What each reader takes where there are no listeners.
declare -A none

# readers WORK LISTENERS: what each takes for a listener.
readers()
{
	local work=$1 count=$2 who cost

	for who in "$sockets" /proc/net/tcp 'ss -ltnH' 'ss -ltnmpe'; do
		# What it takes does not depend on the shape.
		[[ $work != *group* || $who != *mpe ]] || continue
		case $who in
		/*) set -- cat "$who" ;;
		*)
			# shellcheck disable=SC2086 # its arguments
			set -- $who
			;;
		esac
		cost=$(bench run "$@")
		if [ "$count" -eq 0 ]; then
			none[$who]=$cost
		else
			result "$work" "$who" "$(((cost - ${none[$who]}) / count))"
		fi
	done
}

read_listeners()
{
	local count

	modprobe -a inet_diag tcp_diag listenq
	# Twice: the programs' pages have been read then.
	readers '' 0
	readers '' 0
	for count in "$@"; do
		hold "$count" 0 0
		readers "read, a listener of $count" "$count"
		release
	done
	rmmod listenq
}

# The same of the listeners of one group.
read_groups()
{
	local count

	modprobe -a inet_diag tcp_diag listenq
	for count in "$@"; do
		hold 0 0 "$count"
		readers "read, a listener of a group of $count" "$count"
		release
	done
	rmmod listenq
}

read_established()
{
	modprobe -a inet_diag tcp_diag listenq
	hold $many 50000 0
	readers "read, a listener of $many, 50000 connections beside" $many
	release
	rmmod listenq
}

# What listenq adds to a SYN while there are so many other listeners.
syn_share()
{
	local without with

	without=$(least 3 bench syn accept 1)
	modprobe listenq
	with=$(least 3 bench syn accept 1)
	rmmod listenq
	result "SYN, $1 other listeners" 'listenq adds' "$((with - without))"
}

large()
{
	syn_share 0
	hold 300000 0 0
	syn_share 300000
	release
	read_listeners $many 300000
}

# median COMMAND...: of what it prints in seven runs.
median()
{
	local _

	for _ in 1 2 3 4 5 6 7; do
		"$@"
	done | sort -n | sed -n 4p
}

load()
{
	bench run modprobe listenq
	rmmod listenq
}

unload()
{
	modprobe listenq
	bench run rmmod listenq
}

# A rule that changes each limit.
rule()
{
	bench write $clamp '* somaxconn 50'
	echo flush >$clamp
}

# Bytes of slab that records take.
slab()
{
	local dir=/sys/kernel/slab/listenq_record slabs order

	read -r slabs _ <$dir/slabs
	read -r order <$dir/order
	echo $((slabs * (4096 << order)))
}

change()
{
	local count before

	none[load]=$(median load)
	none[unload]=$(median unload)
	modprobe listenq
	none[rule]=$(median rule)
	rmmod listenq
	for count in $many $((2 * many)); do
		hold "$count" 0 0
		result "load, a listener of $count" listenq \
			"$((($(median load) - none[load]) / count))"
		result "unload, a listener of $count" listenq \
			"$((($(median unload) - none[unload]) / count))"
		modprobe listenq
		result "rule, a listener of $count" listenq \
			"$((($(median rule) - none[rule]) / count))"
		rmmod listenq
		release
	done

	modprobe listenq
	before=$(slab)
	hold $many 0 0
	result "memory, bytes a listener of $many" listenq \
		"$((($(slab) - before) / many))"
	release
	rmmod listenq
}

# Alternately, since such figures drift.
rate()
{
	local _

	for _ in 1 2 3 4 5; do
		result 'connections a second' without "$(bench rate 2)"
		modprobe listenq
		result 'connections a second' listenq "$(bench rate 2)"
		rmmod listenq
	done
}

for part in "$@"; do
	case $part in
	path) path ;;
	read)
		read_listeners 1000 $many
		read_established
		read_groups 8000
		;;
	groups)
		read_listeners 1000 8000 32000
		read_groups 1000 8000 32000
		;;
	beside) beside ;;
	large) large ;;
	change) change ;;
	rate) rate ;;
	*)
		echo "bench: no part '$part'" >&2
		exit 2
		;;
	esac
done
