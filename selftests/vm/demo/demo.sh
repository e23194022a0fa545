#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tour of `make demo`, run in the VM: a slow server, clients, and what
# /proc/net/listenq/sockets says while they meet.

set -eu
cd "$(dirname "$0")/demo"
sockets=/proc/net/listenq/sockets
columns='local comm asked granted limit rule acceptq acceptq_peak acceptq_oldest_ms
	synq syns accepts overflows'

tell()
{
	echo
	printf '%s\n' "$@"
}

# The columns of interest, found by the header's names; those that know
# nothing yet ("-" in each row) are left out. show [FILE COLUMNS [COMMAND]]
show()
{
	printf '\n  $ %s\n' "${3:-cat ${1:-$sockets}}"
	awk -v columns="${2:-$columns}" '
		NR == 1 {
			n = split(columns, name)
			for (i = 1; i <= NF; i++)
				at[$i] = i
		}
		{
			for (c = 1; c <= n; c++) {
				cell[NR, c] = name[c] in at ? $at[name[c]] : "-"
				if (length(cell[NR, c]) > width[c])
					width[c] = length(cell[NR, c])
				if (NR > 1 && cell[NR, c] != "-")
					known[c] = 1
			}
		}
		END {
			for (r = 1; r <= NR; r++) {
				line = " "
				for (c = 1; c <= n; c++)
					if (NR == 1 || known[c])
						line = line sprintf(" %-" width[c] "s", cell[r, c])
				sub(/ +$/, "", line)
				print line
			}
		}' "${1:-$sockets}"
}

# The refusals of the client that was turned away last.
show_client()
{
	local refused=/proc/net/listenq/refused client

	client=$(awk '!/^#/ { client = $3 } END { print client }' $refused)
	awk -v client="$client" 'NR == 1 || $3 == client' $refused >rows
	show rows 'ago_ms local remote why limit acceptq comm' \
		"grep -e remote -e $client $refused"
}

# value PORT COLUMN
value()
{
	awk -v port=":$1" -v column="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		substr($at["local"], length($at["local"]) - length(port) + 1) == port {
			print $at[column]
		}' "$sockets"
}

# wait_for PORT COLUMN OPERATOR NUMBER: the reader never sees it half done.
wait_for()
{
	local tries=0 is

	until is=$(value "$1" "$2") && test "$is" "$3" "$4" 2>/dev/null; do
		tries=$((tries + 1))
		if [ "$tries" -ge 200 ]; then
			echo "demo: port $1: $2 is '$is', not $3 $4"
			exit 1
		fi
		sleep 0.1
	done
}

tell "insmod listenq.ko on Linux $(uname -r). Nothing listens yet, so there is only a header" \
	"(cut to the columns that matter here; the file has more)."
insmod "$LISTENQ_KO"
show

tell 'A web server starts on port 8080 and asks for a backlog of 8; a second one, on 9090, asks for' \
	"100000. The kernel clamps what is more than net.core.somaxconn ($(cat /proc/sys/net/core/somaxconn)): see asked and granted."
./slow-server 8080 8 20000 &
slow=$!
./slow-server 9090 100000 20000 &
greedy=$!
wait_for 8080 limit -eq 8
wait_for 9090 limit -ge 1
show

tell 'Six clients connect to 8080. The server accepts the first and takes 20 seconds over it. The' \
	'kernel has finished the handshake for the five others: they wait in the accept queue.'
./clients 8080 6 &
six=$!
wait_for 8080 acceptq -eq 5
sleep 1
show

tell 'Ten more come. A queue with a limit of 8 holds 9, then it is full: the kernel drops the SYNs' \
	'of the rest, who wait and try again without knowing why. To them the server looks dead.'
./clients 8080 10 &
ten=$!
wait_for 8080 acceptq -eq 9
wait_for 8080 overflows -ge 1
show

tell 'Two seconds later nothing has moved but the clock: acceptq_oldest_ms is how long the connection' \
	'at the head has been waiting, and overflows counts how often somebody has knocked in vain.'
sleep 2
show

tell 'Who were they? The last 1,024 are kept, each with its address. This is one of them, whose SYN' \
	'the kernel has dropped as often as it came.'
show_client

tell 'Nobody has to restart the server to give it a longer queue. With a rule for its port the limit' \
	'is 64 at once; those who were turned away get in when they knock the next time.'
printf '\n  $ echo "8080 floor 64" >/proc/net/listenq/clamp\n'
echo '8080 floor 64' >/proc/net/listenq/clamp
wait_for 8080 acceptq -eq 15
show

tell 'Now the server hurries and accepts without a pause, and the queue drains. The rule is taken away,' \
	'and the limit is what the kernel had granted.'
printf '\n  $ echo flush >/proc/net/listenq/clamp\n'
echo flush >/proc/net/listenq/clamp
kill -USR1 "$slow"
wait_for 8080 acceptq -eq 0
show

tell 'The other queue: 40 SYNs reach port 9090 from addresses where nobody is at home. The kernel' \
	'answers each, keeps it in the SYN queue, and waits for an ACK that does not come.'
echo 1 >/proc/sys/net/ipv4/tcp_synack_retries
modprobe dummy
[ -e /sys/class/net/dummy0 ] || ip link add dummy0 type dummy
ip link set dummy0 up
ip addr add 10.9.255.254/16 dev dummy0
./half-open 10.9.255.254 9090 40
wait_for 9090 synq -eq 40
show

tell 'No program ever saw these 40. After a few seconds the kernel gives up on them.'
wait_for 9090 synq -eq 0
show

tell 'What became of each SYN and each request is in the books: of the 40 on port 9090 all have' \
	'expired, after the kernel had sent its SYN-ACKs again.'
show /proc/net/listenq/handshakes 'local syns requests finished expired reset resent failed'

tell 'The servers exit, their rows go with them, and the module can be taken out at any time.'
kill "$slow" "$greedy" "$six" "$ten"
wait 2>/dev/null || :
show
rmmod listenq
tell 'That was all. Look around yourself with: make shell'
