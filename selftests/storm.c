// SPDX-License-Identifier: GPL-2.0-only
/*
 * All kinds of traffic at once on all processors, with listeners that come and go
 * among it and settings that change under it; then quiet, and the books balance.
 *
 * LISTENQ_SEED repeats what each task does, though not when; LISTENQ_SECONDS is
 * how long it takes.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"
#include "refusal.h"
#include "strangers.h"

#define GROUP_PORT	7000
#define MEMBERS		3
#define CLIENTS		32
/* Sources of SYNs, each of which may be anywhere in its handshake. */
#define SOURCES		2000

enum kind { PLAIN4, PLAIN6, FAST, DEFERRED, SMALL, MPTCP, KINDS };

static struct {
	int family;
	int fd;
	int port;
} kept[KINDS];

static atomic_int *stop;

LQ_FIXTURE(storm, lq_dummy_up());

static void nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		err(1, "O_NONBLOCK");
}

static int some_kept(void)
{
	return lq_chance(KINDS);
}

/* ---- clients ---- */

/* One that somebody else may end, or that never comes to be. */
static void hold_client(int family, int port, int flags)
{
	static int clients[CLIENTS];
	int *client = &clients[lq_chance(CLIENTS)];
	struct lq_addr to = lq_addr(family, lq_loopback(family), port);

	if (*client && lq_chance(2))
		lq_abort(*client);
	else if (*client)
		close(*client);
	*client = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*client < 0)
		err(1, "socket");
	sendto(*client, "data", 4, flags | MSG_NOSIGNAL, &to.sa, to.len);
	if (!flags)
		connect(*client, &to.sa, to.len);
	if (!lq_chance(3))
		send(*client, "x", 1, MSG_NOSIGNAL);
}

static void client_turn(void)
{
	int i = some_kept();

	hold_client(kept[i].family, kept[i].port, 0);
}

static void fast_turn(void)
{
	hold_client(AF_INET, kept[FAST].port, MSG_FASTOPEN);
}

static void mptcp_turn(void)
{
	struct lq_addr to = lq_addr(AF_INET, "127.0.0.1", kept[MPTCP].port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			    IPPROTO_MPTCP);

	if (client < 0) {
		lq_pause();
		return;
	}
	connect(client, &to.sa, to.len);
	lq_pause();
	send(client, "x", 1, MSG_NOSIGNAL);
	lq_pause();
	close(client);
}

/* ---- strangers ---- */

static void syn_turn(void)
{
	int i = some_kept(), first = lq_chance(SOURCES), n = 1 + lq_chance(12);
	int family = kept[i].family;

	/* Often enough one that is there already. */
	lq_send_syns(family, kept[i].port, first, n);
	if (!lq_chance(3))
		stranger_resets(family, kept[i].port, first);
	if (!lq_chance(4))
		stranger_acks(family, kept[i].port, lq_chance(SOURCES),
			      lq_chance(1000000));
}

/* Who is answered ends the handshake, one way or another. */
static void answer_turn(void)
{
	static int wire = -2;
	struct synack synack;

	if (wire == -2)
		wire = wire_open();
	if (wire < 0) {
		lq_pause();
		return;
	}
	while (!*stop && wire_synack(wire, 100, &synack)) {
		int family = synack.port == kept[PLAIN6].port ? AF_INET6 :
								AF_INET;

		switch (lq_chance(6)) {
		case 0:
			stranger_resets(family, synack.port, synack.source);
			break;
		case 1:
			stranger_unreachable(family, synack.port, synack.source,
					     synack.isn, lq_chance(2));
			break;
		case 2:
			break;
		default:
			stranger_acks(family, synack.port, synack.source,
				      synack.isn);
		}
	}
}

/* ---- servers ---- */

static void accept_turn(void)
{
	int i = some_kept(), fd;

	for (int n = lq_chance(10); n; n--) {
		fd = accept4(kept[i].fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		if (lq_chance(2))
			lq_abort(fd);
		else
			close(fd);
	}
	lq_pause();
}

static void limit_turn(void)
{
	int i = some_kept();

	if (lq_chance(4)) {
		lq_listen(kept[i].fd, i == SMALL ? lq_chance(4) :
						   lq_chance(80));
	} else if (i != MPTCP) {
		lq_hold_acks(kept[i].fd);
		lq_pause();
		lq_pass_acks(kept[i].fd);
	}
	lq_pause();
}

/* Members leave what they hold to each other. */
static void group_turn(void)
{
	static int members[MEMBERS];
	int *member = &members[lq_chance(MEMBERS)], child;

	hold_client(AF_INET, GROUP_PORT, 0);
	lq_send_syns(AF_INET, GROUP_PORT, lq_chance(SOURCES), 2);
	if (*member && lq_chance(3)) {
		child = accept4(*member, NULL, NULL, SOCK_CLOEXEC);
		if (child >= 0)
			close(child);
	} else if (*member) {
		close(*member);
		*member = 0;
	} else {
		*member = lq_bound_shared(AF_INET, "0.0.0.0", GROUP_PORT);
		nonblocking(*member);
		lq_listen(*member, lq_chance(30));
	}
}

/* A listener that ends with something in both queues, and may begin again. */
static void brief_turn(void)
{
	int family = lq_family(lq_chance(2));
	int fd = lq_listener_any(family, lq_chance(20));
	int port = lq_port(fd);

	for (int life = lq_chance(3); life >= 0; life--) {
		for (int n = lq_chance(6); n; n--)
			hold_client(family, port, 0);
		lq_send_syns(family, port, lq_chance(SOURCES), lq_chance(5));
		if (!lq_chance(4))
			lq_pause();
		lq_stops[lq_chance(LQ_STOPS)](fd);
		if (life)
			lq_listen(fd, lq_chance(20));
	}
	close(fd);
}

/* ---- all else ---- */

static void try_set(const char *name, int value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	if (!access(path, F_OK))
		lq_write_number(path, value);
}

static void setting_turn(void)
{
	try_set("tcp_syncookies", lq_chance(3));
	try_set("tcp_abort_on_overflow", lq_chance(2));
	try_set("tcp_max_syn_backlog", lq_chance(2) ? 32 : 4096);
	try_set("tcp_migrate_req", lq_chance(4) > 0);
	try_set("tcp_synack_retries", lq_chance(3));
	if (!lq_chance(10)) {
		lq_dummy_routes(false);
		lq_pause();
		lq_dummy_routes(true);
	}
	poll(NULL, 0, 40);
}

static void ss_turn(void)
{
	lq_run("ss -K state syn-recv >/dev/null 2>&1");
	poll(NULL, 0, 200);
}

static void read_turn(void)
{
	static const char * const paths[] = {
		LQ_SOCKETS, LQ_HANDSHAKES, LQ_TOTALS, LQ_WAITS, LQ_REFUSED,
		LQ_DROPS,
	};

	lq_free(lq_read(paths[lq_chance(ARRAY_SIZE(paths))]));
	if (!lq_chance(8))
		lq_write_sockets("reset");
	lq_pause();
}

static const struct {
	const char *name;
	void (*turn)(void);
	int tasks;
} jobs[] = {
	{ "client", client_turn, 2 },
	{ "fast", fast_turn, 1 },
	{ "mptcp", mptcp_turn, 1 },
	{ "syn", syn_turn, 2 },
	{ "answer", answer_turn, 1 },
	{ "accept", accept_turn, 2 },
	{ "limit", limit_turn, 1 },
	{ "group", group_turn, 1 },
	{ "brief", brief_turn, 2 },
	{ "setting", setting_turn, 1 },
	{ "ss", ss_turn, 1 },
	{ "read", read_turn, 1 },
};

#define MOST_TASKS	32

/* How often each has had its turn. */
static atomic_int *turns;

static pid_t start(int job, int stream)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_seed(stream);
	for (int i = 0; !*stop; i++) {
		jobs[job].turn();
		turns[job]++;
		lq_breathe(i);
	}
	_exit(0);
}

static void keep(int kind, int family, int fd)
{
	nonblocking(fd);
	lq_listen(fd, 50);
	kept[kind].family = family;
	kept[kind].fd = fd;
	kept[kind].port = lq_port(fd);
}

static void keep_all(void)
{
	const char *any6 = lq_has_family(AF_INET6) ? "::" : "0.0.0.0";

	keep(PLAIN4, AF_INET, lq_bound(AF_INET, "0.0.0.0", 0));
	keep(PLAIN6, lq_family(1), lq_bound(lq_family(1), any6, 0));
	keep(FAST, AF_INET, lq_bound(AF_INET, "0.0.0.0", 0));
	keep(DEFERRED, AF_INET, lq_bound(AF_INET, "0.0.0.0", 0));
	keep(SMALL, AF_INET, lq_bound(AF_INET, "0.0.0.0", 0));
	keep(MPTCP, AF_INET, access("/proc/sys/net/mptcp", F_OK) ?
			     lq_bound(AF_INET, "0.0.0.0", 0) :
			     lq_bound_mptcp(AF_INET, "0.0.0.0", 0));
	lq_set_option(kept[FAST].fd, IPPROTO_TCP, TCP_FASTOPEN, 4);
	lq_set_option(kept[DEFERRED].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	lq_listen(kept[SMALL].fd, 1);
	lq_set_sysctl("ipv4/tcp_fastopen", 0x207);
	try_set("tcp_fastopen_blackhole_timeout_sec", 0);
	/* A second way, by which connections of MPTCP are joined. */
	lq_run("ip mptcp limits set subflow 2 add_addr_accepted 2 2>/dev/null &&\n"
	       "ip mptcp endpoint add 127.0.0.2 dev lo subflow");
}

/*
 * As many as the kernel has counted, or as many at most: it counts children of
 * which another processor has made a twin, and SYNs that clients send again.
 */
static int compare_kernel(const struct ledger *ledger)
{
	const long long *of = ledger->totals;
	const struct {
		enum kernel_counter counter;
		long long ours;
		bool at_most;
	} pairs[] = {
		{ LISTEN_OVERFLOWS, of[OVERFLOWS] },
		{ QUEUE_FULL_DROPS, of[SYNQ_DROPS] },
		{ FASTOPEN_PASSIVE, of[FASTOPENS] },
		{ FASTOPEN_REFUSED, of[FASTOPEN_OVERFLOWS] },
		{ COOKIES_BAD, of[COOKIES_FAILED] },
		{ COOKIES_RECV, of[COOKIES_FINISHED], true },
		{ PASSIVE_OPENS, of[FINISHED] + of[COOKIES_FINISHED] +
				 of[FASTOPENS] + of[JOINED], true },
		{ SYN_RETRANS, of[RESENT], true },
	};
	int faults = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		long long theirs = ledger->kernel[pairs[i].counter];

		if (pairs[i].at_most && pairs[i].ours <= theirs)
			continue;
		faults += !ledger_agrees("the kernel",
					 kernel_names[pairs[i].counter],
					 theirs, pairs[i].ours, lq_missed());
	}
	return faults;
}

/*
 * Before 5.14 whoever enters the queue of a listener that is being closed has no row in
 * refused (traffic.rst).
 */
static long long without_row(const struct ledger *ledger)
{
	if (!strcmp(lq_hook_str("reuseport_migrate_sock", "state"), "on"))
		return 0;
	return 1 + ledger->totals[UNACCEPTED] / 50;
}

/* What it consisted of, and whether that is right. */
static int report(void)
{
	struct ledger *ledger = ledger_read();
	int faults = ledger_faults(ledger, lq_missed());

	for (int t = 0; t < TERMS; t++)
		printf("# %s %lld%s", term_names[t], ledger->totals[t],
		       t % 6 == 5 ? "\n" : "\t");
	printf("\n");
	faults += compare_kernel(ledger);
	faults += !refused_agrees(ledger_refused(ledger),
				  lq_missed() + without_row(ledger));
	/* Few come in the moment before a listener that starts has its record. */
	if (ledger->totals[CARRIED_CONNECTIONS] >
	    ledger->totals[ACCEPTS] / 50 + lq_missed()) {
		printf("# more connections were carried than can have been\n");
		faults++;
	}
	fflush(stdout);
	ledger_free(ledger);
	return faults;
}

TEST_F_TIMEOUT(storm, then_quiet, 36000)
{
	const char *given = getenv("LISTENQ_SECONDS");
	int seconds = given && *given ? atoi(given) : 15, count = 0;
	long long end = lq_now_ms() + 1000LL * seconds;
	pid_t pids[MOST_TASKS];

	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
	stop = lq_shared(sizeof(*stop));
	turns = lq_shared(ARRAY_SIZE(jobs) * sizeof(*turns));
	keep_all();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		for (int n = 0; n < jobs[i].tasks; n++, count++)
			pids[count] = start(i, count);
	while (lq_now_ms() < end)
		lq_pause();
	*stop = 1;
	for (int i = 0; i < count; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		TH_LOG("%s: %d turns", jobs[i].name, turns[i]);
		EXPECT_LT(0, turns[i]);
	}
	EXPECT_EQ(0, report());
	for (int i = 0; i < KINDS; i++)
		close(kept[i].fd);
	EXPECT_EQ(0, report());
}

TEST_HARNESS_MAIN
