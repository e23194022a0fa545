// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic that not every kernel, or not every program, has: Fast Open, listeners
 * that move what they hold to each other, MPTCP and BPF. cases.h says what for.
 */

#define _GNU_SOURCE
#include <assert.h>
#include <linux/bpf.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "kselftest.h"
#include "cases.h"
#include "strangers.h"

/* Client and server; and the same where neither asks for a cookie. */
#define FASTOPEN_WITH_COOKIES		3
#define FASTOPEN_WITHOUT_COOKIES	0x207

#define JOIN_ADDR	"127.0.0.2"

/* A figure of a listener's handshakes; "-" is none. */
static long long handshakes_of(int fd, const char *col)
{
	struct lq_table *table = lq_read(LQ_HANDSHAKES);
	long long value = lq_cell_num(table, lq_row(table, fd), col);

	lq_free(table);
	return value;
}

/* ---- Fast Open ---- */

static int fastopen_listener(struct world *w, int setting, int limit)
{
	int fd = world_listener(w, 50);

	lq_set_sysctl("ipv4/tcp_fastopen", setting);
	/* Else a client that got no answer does without for an hour. */
	try_sysctl("ipv4/tcp_fastopen_blackhole_timeout_sec", 0);
	lq_set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, limit);
	return fd;
}

/* A client whose SYN has data, or asks for a cookie. */
static void fast_client(struct world *w, int fd)
{
	struct lq_addr addr = world_addr(w, fd);

	lq_fast_open(world_socket(w, SOCK_NONBLOCK), &addr);
}

static const char *fastopen(struct world *w)
{
	int fd = fastopen_listener(w, FASTOPEN_WITHOUT_COOKIES, 10);

	for (int i = 0; i < 5; i++)
		fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 5);
	lq_accept_many(fd, 2);
	did(w, SYNS, 5);
	did(w, FASTOPENS, 5);
	did(w, ACCEPTS, 2);
	world_expects(w, fd, FASTOPENS, 5);
	world_expects(w, fd, FINISHED, 0);
	return NULL;
}

/* The first one is given the cookie, the others have it. */
static const char *fastopen_with_cookies(struct world *w)
{
	int fd = fastopen_listener(w, FASTOPEN_WITH_COOKIES, 10);

	lq_run("ip tcp_metrics flush >/dev/null 2>&1");
	fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 1);
	for (int i = 0; i < 3; i++)
		fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 4);
	did_requests(w, 1);
	did(w, FINISHED, 1);
	did(w, SYNS, 3);
	did(w, FASTOPENS, 3);
	world_expects(w, fd, FASTOPENS, 3);
	return NULL;
}

/* One at a time, of ten: the others are let in as everybody is. */
static const char *fastopen_queue_full(struct world *w)
{
	int fd = fastopen_listener(w, FASTOPEN_WITHOUT_COOKIES, 1);
	long long resent = lq_netstat("TCPSynRetrans");

	lq_hold_acks(fd);
	for (int i = 0; i < 10; i++)
		fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 1 && lq_num(fd, "synq") == 9);
	w->faults += !ledger_agrees("the listener", "fastopenq", 1,
				    lq_num(fd, "fastopenq"), 0);
	w->faults += !ledger_agrees("the listener", "fastopenq_limit", 1,
				    lq_num(fd, "fastopenq_limit"), 0);
	/* The one that is in has its SYN-ACK sent again too. */
	must_come(lq_netstat("TCPSynRetrans") >= resent + 10);
	world_expects(w, fd, FASTOPEN_OVERFLOWS, 9);
	world_expects(w, fd, RESENT, lq_netstat("TCPSynRetrans") - resent);
	lq_pass_acks(fd);
	must_come(lq_num(fd, "acceptq") == 10);
	lq_accept_many(fd, 10);
	did_requests(w, 9);
	did(w, FINISHED, 9);
	did(w, SYNS, 1);
	did(w, FASTOPENS, 1);
	did(w, FASTOPEN_OVERFLOWS, 9);
	did(w, ACCEPTS, 10);
	return NULL;
}

/* No room in the accept queue: it comes again without data, until there is. */
static const char *fastopen_accept_queue_full(struct world *w)
{
	long long before = lq_netstat("ListenOverflows"), overflows;
	int fd = fastopen_listener(w, FASTOPEN_WITHOUT_COOKIES, 10);

	lq_listen(fd, 1);
	for (int i = 0; i < 2; i++)
		fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 2);
	fast_client(w, fd);
	must_come(lq_netstat("ListenOverflows") > before);
	lq_accept_many(fd, 2);
	must_come(lq_num(fd, "acceptq") == 1);
	overflows = lq_netstat("ListenOverflows") - before;
	w->clients_resent += overflows;
	did(w, SYNS, 3 + overflows);
	did(w, OVERFLOWS, overflows);
	/* The kernel may not take a SYN for Fast Open's that came again. */
	did(w, FASTOPENS, handshakes_of(fd, "fastopens"));
	did(w, REQUESTS, 3 - handshakes_of(fd, "fastopens"));
	did(w, FINISHED, 3 - handshakes_of(fd, "fastopens"));
	did(w, ACCEPTS, 2);
	return NULL;
}

/* Let in and reset before the handshake is over, it is accepted all the same. */
static const char *fastopen_reset(struct world *w)
{
	int fd = fastopen_listener(w, FASTOPEN_WITHOUT_COOKIES, 5);

	lq_hold_acks(fd);
	fast_client(w, fd);
	fast_client(w, fd);
	must_come(lq_num(fd, "acceptq") == 2);
	lq_abort(w->clients[--w->client_count]);
	lq_accept_many(fd, 2);
	did(w, SYNS, 2);
	did(w, FASTOPENS, 2);
	did(w, ACCEPTS, 2);
	return NULL;
}

/* ---- tcp_migrate_req ---- */

static int shared_listener(struct world *w, int port)
{
	const char *any = w->server == AF_INET ? "0.0.0.0" : "::";
	int fd = lq_bound_shared(w->server, any, port);

	lq_listen(fd, 20);
	return fd;
}

/* 5.10 has the setting, in its stable releases, and no more. */
static bool can_migrate(void)
{
	return !lq_run("grep -q TCPMigrateReqSuccess /proc/net/netstat");
}

/*
 * What waits moves at once; a request when its final ACK comes, or when its
 * SYN-ACK is to be sent again.
 */
static const char *migrated(struct world *w)
{
	int first, second;

	if (!can_migrate())
		return "the kernel doesn't migrate connections";
	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
	first = shared_listener(w, 0);
	world_clients(w, first, 3);
	lq_hold_acks(first);
	world_client(w, first);
	world_client(w, first);
	world_syns(w, first, 4);
	must_come(lq_num(first, "synq") == 6);
	must(lq_num(first, "acceptq") == 3);
	second = world_keeps(w, shared_listener(w, lq_port(first)));
	close(first);
	must_come(lq_num(second, "acceptq") == 3);
	did_requests(w, 9);
	did(w, FINISHED, 3);
	did(w, ABANDONED, 6);
	world_expects(w, second, CARRIED_CONNECTIONS, 3);
	world_expects(w, second, REQUESTS, 0);
	world_expects(w, second, SYNS, 0);

	lq_send_byte(w->clients[w->client_count - 1]);
	lq_send_byte(w->clients[w->client_count - 2]);
	must_come(lq_num(second, "acceptq") == 5);
	must_come(lq_num(second, "synq") == 4);
	did(w, FINISHED, 2);
	did(w, CARRIED_REQUESTS, 6);
	world_expects(w, second, CARRIED_REQUESTS, 6);
	world_expects(w, second, FINISHED, 2);
	world_expects(w, second, EXPIRED, 0);
	return NULL;
}

/*
 * A group's listener that closes with @count requests, of strangers from @source on;
 * returns the one that they will move to.
 */
static int closed_with_requests(struct world *w, int count, int *source)
{
	int first = shared_listener(w, 0), second;

	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
	*source = world_syns(w, first, count);
	must_come(lq_num(first, "synq") == count);
	second = world_keeps(w, shared_listener(w, lq_port(first)));
	close(first);
	return second;
}

/*
 * Reset before it has moved, a request is booked with the listener that would have
 * got it. The kernel takes it off the SYN queue of that, which never had it: its
 * length is below zero then, and counts as full (tcp_check_req()).
 */
static const char *reset_before_it_moved(struct world *w)
{
	long long before = lq_netstat("EmbryonicRsts"), cookies;
	int second, source;

	if (!can_migrate())
		return "the kernel doesn't migrate connections";
	second = closed_with_requests(w, 2, &source);
	for (int i = 0; i < 2; i++)
		stranger_resets(w->client, lq_port(second), source + i);
	must_come(lq_netstat("EmbryonicRsts") == before + 2);
	did_requests(w, 2);
	did(w, ABANDONED, 2);
	did(w, CARRIED_REQUESTS, 2);
	did(w, RESET, 2);
	world_expects(w, second, CARRIED_REQUESTS, 2);
	world_expects(w, second, RESET, 2);
	world_expects(w, second, SYNQ, 0);
	world_expects(w, second, EXPIRED, 0);

	/* Who comes next is given a cookie, since the queue is so full. */
	cookies = lq_netstat("SyncookiesSent");
	world_clients(w, second, 1);
	cookies = lq_netstat("SyncookiesSent") - cookies;
	did(w, SYNS, 1);
	did(w, cookies ? SYNCOOKIES : REQUESTS, 1);
	did(w, cookies ? COOKIES_FINISHED : FINISHED, 1);
	printf("# a request of less than none: %lld cookie\n", cookies);
	return NULL;
}

/*
 * The same where that queue holds requests of its own. The kernel then takes it for
 * one shorter than it is, and nobody has expired for all that.
 */
static const char *reset_beside_others(struct world *w)
{
	long long before = lq_netstat("EmbryonicRsts");
	int second, source, other;
	unsigned int isns[2];

	if (!can_migrate())
		return "the kernel doesn't migrate connections";
	if (w->wire < 0)
		return NO_WIRE;
	second = closed_with_requests(w, 1, &source);
	other = world_strangers(w, second, 2, isns);
	must_come(lq_num(second, "synq") == 2);
	stranger_resets(w->client, lq_port(second), source);
	must_come(lq_netstat("EmbryonicRsts") == before + 1);
	world_expects(w, second, SYNQ, 2);
	world_expects(w, second, EXPIRED, 0);
	stranger_acks(w->client, lq_port(second), other, isns[0]);
	must_come(lq_num(second, "acceptq") == 1);
	world_expects(w, second, SYNQ, 1);
	world_expects(w, second, EXPIRED, 0);
	stranger_acks(w->client, lq_port(second), other + 1, isns[1]);
	must_come(lq_num(second, "acceptq") == 2);
	did_requests(w, 3);
	did(w, ABANDONED, 1);
	did(w, CARRIED_REQUESTS, 1);
	did(w, RESET, 1);
	did(w, FINISHED, 2);
	return NULL;
}

/* Moved to where there is no room, it tries again. */
static const char *moved_to_a_full_queue(struct world *w)
{
	long long before = lq_netstat("ListenOverflows"), overflows;
	int first, second;

	if (!can_migrate())
		return "the kernel doesn't migrate connections";
	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
	first = shared_listener(w, 0);
	lq_hold_acks(first);
	world_client(w, first);
	must_come(lq_num(first, "synq") == 1);
	second = world_keeps(w, shared_listener(w, lq_port(first)));
	close(first);
	lq_listen(second, 0);
	world_clients(w, second, 1);
	lq_send_byte(w->clients[w->client_count - 2]);
	must_come(lq_netstat("ListenOverflows") > before);
	lq_listen(second, 20);
	must_come(lq_num(second, "acceptq") == 2);
	overflows = lq_netstat("ListenOverflows") - before;
	did_requests(w, 2);
	did(w, ABANDONED, 1);
	did(w, CARRIED_REQUESTS, 1);
	did(w, FINISHED, 2);
	did(w, OVERFLOWS, overflows);
	did(w, OVERFLOWS_ACK, overflows);
	world_expects(w, second, CARRIED_REQUESTS, 1);
	return NULL;
}

/* Nobody takes them without it. */
static const char *not_migrated(struct world *w)
{
	int first = shared_listener(w, 0);
	int second;

	world_clients(w, first, 3);
	world_syns(w, first, 4);
	must_come(lq_num(first, "synq") == 4);
	second = world_keeps(w, shared_listener(w, lq_port(first)));
	close(first);
	did_requests(w, 7);
	did(w, FINISHED, 3);
	did(w, UNACCEPTED, 3);
	did(w, ABANDONED, 4);
	world_expects(w, second, ACCEPTQ, 0);
	world_expects(w, second, CARRIED_CONNECTIONS, 0);
	return NULL;
}

/* ---- MPTCP ---- */

static int mptcp_client(struct world *w, int port)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	must(client >= 0);
	w->clients[w->client_count++] = client;
	must(!connect(client, &addr.sa, addr.len));
	return client;
}

static const char *no_mptcp(struct world *w)
{
	if (!has_sysctl("mptcp"))
		return "the kernel has no MPTCP";
	return w->server == AF_INET ? NULL : "as by IPv4";
}

static int mptcp_listener(struct world *w)
{
	int fd = world_keeps(w, lq_bound_mptcp(AF_INET, "0.0.0.0", 0));

	lq_listen(fd, 20);
	return fd;
}

/* Clients that speak it, and that don't. */
static const char *mptcp(struct world *w)
{
	const char *why = no_mptcp(w);
	int fd;

	if (why)
		return why;
	fd = mptcp_listener(w);
	for (int i = 0; i < 3; i++)
		mptcp_client(w, lq_port(fd));
	for (int i = 0; i < 2; i++)
		world_client(w, fd);
	must_come(lq_num_at(fd, "acceptq") == 5);
	lq_accept_many(fd, 3);
	must_come(lq_num_at(fd, "acceptq") == 2);
	did_requests(w, 5);
	did(w, FINISHED, 5);
	did(w, ACCEPTS, 3);
	world_expects(w, fd, ACCEPTS, 3);
	return NULL;
}

/* A second way into a connection that is there enters no accept queue. */
static const char *mptcp_join(struct world *w)
{
	const char *why = no_mptcp(w);
	long long before, joins;
	int fd, client, child;

	if (why)
		return why;
	if (lq_run("ip mptcp limits set subflow 2 add_addr_accepted 2 &&\n"
		   "ip mptcp endpoint flush &&\n"
		   "ip mptcp endpoint add " JOIN_ADDR " dev lo subflow"))
		return "no second way can be had: ip mptcp";
	before = lq_netstat("MPJoinAckRx");
	fd = mptcp_listener(w);
	client = mptcp_client(w, lq_port(fd));
	child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	must(child >= 0);
	must(write(client, "x", 1) == 1 && write(child, "y", 1) == 1);
	must_come(lq_netstat("MPJoinAckRx") > before);
	w->clients[w->client_count++] = child;
	lq_run("ip mptcp endpoint flush");
	joins = lq_netstat("MPJoinAckRx") - before;
	did_requests(w, 1 + joins);
	did(w, FINISHED, 1);
	did(w, JOINED, joins);
	did(w, ACCEPTS, 1);
	world_expects(w, fd, JOINED, joins);
	world_expects(w, fd, ACCEPTS, 1);
	return NULL;
}

/* ---- a socket that BPF's sk_lookup chooses ---- */

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

#define INSN(c, d, s, o, i)						\
	((struct bpf_insn){						\
		.code = (c), .dst_reg = (d), .src_reg = (s),		\
		.off = (o), .imm = (i) })
#define COPY(to, from)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define CALL(function)	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)

/* The first socket of @map gets what comes to @port. */
static int lookup_program(int map, int port)
{
	const struct bpf_insn code[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1,
		     offsetof(struct bpf_sk_lookup, local_port), 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 15, port),
		COPY(6, 1),
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		COPY(2, 10),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7, 0),
		COPY(7, 0),
		COPY(1, 6),
		COPY(2, 7),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
		CALL(BPF_FUNC_sk_assign),
		COPY(1, 7),
		CALL(BPF_FUNC_sk_release),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, SK_PASS),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SK_LOOKUP,
		.expected_attach_type = BPF_SK_LOOKUP,
		.insns = (unsigned long)code,
		.insn_cnt = ARRAY_SIZE(code),
		.license = (unsigned long)"GPL",
	};

	/* Both jumps go to where the packet passes. */
	static_assert(ARRAY_SIZE(code) == 19, "the jumps' distances");
	return bpf(BPF_PROG_LOAD, &attr);
}

static int map_of(int fd)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4,
		.value_size = 8, .max_entries = 1,
	};
	unsigned long long value = fd;
	int map = bpf(BPF_MAP_CREATE, &attr), key = 0;

	if (map < 0)
		return -1;
	attr = (union bpf_attr){
		.map_fd = map, .key = (unsigned long)&key,
		.value = (unsigned long)&value,
	};
	must(!bpf(BPF_MAP_UPDATE_ELEM, &attr));
	return map;
}

/* Until it is closed; -1 where the kernel has none. */
static int steer(int fd, int port)
{
	int netns = lq_netns(), map = map_of(fd), program, link;
	union bpf_attr attr = { };

	if (map < 0)
		return -1;
	program = lookup_program(map, port);
	if (program < 0)
		return -1;
	attr.link_create.prog_fd = program;
	attr.link_create.target_fd = netns;
	attr.link_create.attach_type = BPF_SK_LOOKUP;
	link = bpf(BPF_LINK_CREATE, &attr);
	close(program);
	close(map);
	close(netns);
	return link;
}

static const char *chosen_by_bpf(struct world *w)
{
	int fd = world_listener(w, 20), other, port, link;
	struct lq_addr addr;

	/* A port at which nobody listens. */
	other = lq_bound_loopback(w->client);
	port = lq_port(other);
	close(other);
	link = steer(fd, port);
	if (link < 0)
		return "the kernel has no BPF that chooses sockets";
	addr = lq_addr(w->client, lq_loopback(w->client), port);
	for (int i = 0; i < 5; i++)
		must(!connect(world_socket(w, 0), &addr.sa, addr.len));
	must_come(lq_num(fd, "acceptq") == 5);
	lq_accept_many(fd, 2);
	close(link);
	did_requests(w, 5);
	did(w, FINISHED, 5);
	did(w, ACCEPTS, 2);
	world_expects(w, fd, FINISHED, 5);
	return NULL;
}

const struct books_case special_cases[] = {
	{ "fastopen", fastopen },
	{ "fastopen_with_cookies", fastopen_with_cookies },
	{ "fastopen_queue_full", fastopen_queue_full },
	{ "fastopen_accept_queue_full", fastopen_accept_queue_full },
	{ "fastopen_reset", fastopen_reset },
	{ "migrated", migrated },
	{ "not_migrated", not_migrated },
	{ "reset_before_it_moved", reset_before_it_moved },
	{ "reset_beside_others", reset_beside_others },
	{ "moved_to_a_full_queue", moved_to_a_full_queue },
	{ "mptcp", mptcp },
	{ "mptcp_join", mptcp_join },
	{ "chosen_by_bpf", chosen_by_bpf },
};

const int special_count = ARRAY_SIZE(special_cases);
