// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each counter counts: SYNs and accepted connections against what was
 * done, overflows, drops and cookies against the kernel's own counters, which
 * know of no listener but begin at 0 in each network namespace.
 *
 * A probe may skip a hit, and the module says how many were: figures are
 * exact where none was, and that many too low at most where some were. On one
 * processor, to which each test is pinned, nothing else can part them.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Client and server, and neither of them asks for a cookie. */
#define FASTOPEN_WITHOUT_COOKIES	0x207

#define FLOOD		lq_scaled(50000)
#define BURST		500
#define BLOCKED		lq_scaled(500)
#define ROUNDS		lq_scaled(200)

/* Where a client sends its SYN again nobody knows how often it will. */
#define ANY		(-1)

/* The hits that had been skipped when the test began. */
static long long missed_before;

/* What a row and the totals have in common: lq_counters, but for the last. */
enum { SYNS, ACCEPTS, OVERFLOWS, SYNQ_DROPS, SYNCOOKIES, COLUMNS };

struct figures {
	long long of[COLUMNS];
};

#define FIGURES(...)	((struct figures){ .of = { __VA_ARGS__ } })

static struct figures figures_in(const struct lq_table *table, int row)
{
	struct figures figures;

	for (int i = 0; i < COLUMNS; i++)
		figures.of[i] = lq_cell_num(table, row, lq_counters[i]);
	return figures;
}

static struct figures figures_of(int fd)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	struct figures figures = figures_in(table, lq_row(table, fd));

	lq_free(table);
	return figures;
}

static struct figures totals(void)
{
	struct lq_table *table = lq_read(LQ_TOTALS);
	struct figures figures;

	if (table->nrows != 1)
		errx(1, LQ_TOTALS ": %d lines", table->nrows);
	figures = figures_in(table, 0);
	lq_free(table);
	return figures;
}

/* The kernel's, which knows nothing of the first two. */
static struct figures host(void)
{
	return FIGURES([OVERFLOWS] = lq_netstat("ListenOverflows"),
		       [SYNQ_DROPS] = lq_netstat("TCPReqQFullDrop"),
		       [SYNCOOKIES] = lq_netstat("SyncookiesSent"));
}

static bool same_figures(const struct figures *a, const struct figures *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Whether nothing moved while @sum, and @row of @fd, were read. */
static bool settled(int fd, struct figures *row, struct figures *sum,
		    struct figures *theirs)
{
	struct figures before = host(), again;

	*sum = totals();
	if (fd >= 0)
		*row = figures_of(fd);
	again = totals();
	*theirs = host();
	return same_figures(&before, theirs) && same_figures(sum, &again);
}

/* @shown, of which the hits that were skipped are missing at most. */
static void check_figure(struct __test_metadata *_metadata, const char *whose,
			 const char *what, long long expected, long long shown)
{
	long long skipped = lq_missed() - missed_before;

	EXPECT_GE(expected, shown) {
		TH_LOG("%s of the %s: too many", what, whose);
	}
	EXPECT_LE(expected - skipped, shown) {
		TH_LOG("%s of the %s: %lld hits were skipped", what, whose,
		       skipped);
	}
}

/* All of them; one that is ANY may be anything. */
static void check_figures(struct __test_metadata *_metadata, const char *whose,
			  struct figures expected, struct figures shown)
{
	for (int i = 0; i < COLUMNS; i++)
		if (expected.of[i] != ANY)
			check_figure(_metadata, whose, lq_counters[i],
				     expected.of[i], shown.of[i]);
}

static void check_row(struct __test_metadata *_metadata, int fd,
		      struct figures expected)
{
	check_figures(_metadata, "listener", expected, figures_of(fd));
}

/* What was done, beside what the kernel counted. */
static struct figures with(struct figures theirs, long long syns,
			   long long accepts)
{
	theirs.of[SYNS] = syns;
	theirs.of[ACCEPTS] = accepts;
	return theirs;
}

/* The namespace's figures, against the kernel's and what the test did. */
static void check_totals(struct __test_metadata *_metadata, long long syns,
			 long long accepts)
{
	struct figures sum, theirs;

	EXPECT_TRUE(lq_wait_until(settled(-1, NULL, &sum, &theirs)));
	check_figures(_metadata, "namespace", with(theirs, syns, accepts), sum);
}

/* The same of @fd, the only one that anything happened to. */
static void check_only(struct __test_metadata *_metadata, int fd,
		       long long syns, long long accepts)
{
	struct figures row, sum, theirs;

	EXPECT_TRUE(lq_wait_until(settled(fd, &row, &sum, &theirs)));
	EXPECT_TRUE(same_figures(&sum, &row));
	check_figures(_metadata, "listener", with(theirs, syns, accepts), row);
}

static bool same_drops(int fd, long long *ours, long long *theirs)
{
	struct lq_ss before, after;

	if (!lq_ss(fd, &before))
		errx(1, "a listener that ss doesn't list");
	*ours = lq_num(fd, "sk_drops");
	lq_ss(fd, &after);
	*theirs = after.drops;
	return before.drops == after.drops;
}

/* The kernel's own count, which needs no hook. */
static void check_drops(struct __test_metadata *_metadata, int fd)
{
	long long ours, theirs;

	EXPECT_TRUE(lq_wait_until(same_drops(fd, &ours, &theirs)));
	EXPECT_EQ(theirs, ours);
}

static int new_client(int family, int flags)
{
	int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (client < 0)
		err(1, "socket");
	return client;
}

/* The client's end of a connection to @port. */
static int connect_to(int family, int port)
{
	struct lq_addr addr = lq_addr(family, lq_loopback(family), port);
	int client = new_client(family, 0);

	if (connect(client, &addr.sa, addr.len))
		err(1, "connect");
	return client;
}

/* @count clients of @fd, whose server accepts both families. */
static void connect_all(int fd, int family, int *clients, int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = connect_to(family, lq_port(fd));
}

/* What ends their handshakes, once more: see lq_hold_acks(). */
static void send_bytes(const int *clients, int count)
{
	for (int i = 0; i < count; i++)
		lq_send_byte(clients[i]);
}

static void begin(void)
{
	lq_pin();
	lq_dummy_up();
	missed_before = lq_missed();
}

FIXTURE_VARIANT(counts)
{
	int server;
	int client;
};

LQ_FIXTURE(counts, lq_need_family(variant->server); begin());

FIXTURE_VARIANT_ADD(counts, ipv4) { .server = AF_INET, .client = AF_INET };
FIXTURE_VARIANT_ADD(counts, ipv6) { .server = AF_INET6, .client = AF_INET6 };
/* Through both families' functions, and to be counted once. */
FIXTURE_VARIANT_ADD(counts, mapped) { .server = AF_INET6, .client = AF_INET };

/* How many SYNs, or connections, each part of the matrix makes. */
#define TO_SYNQ		10
#define TO_ACCEPTQ	8
#define TO_ACKS		4
#define ACCEPTED	4

/* Requests that nobody completes, more than the SYN queue holds. */
static void full_syn_queue(struct __test_metadata *_metadata, int server,
			   int client, int cookies)
{
	int fd = lq_listener_any(server, 3);
	long long inside;

	lq_send_syns(client, lq_port(fd), 0, TO_SYNQ);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "syns") >= TO_SYNQ));
	inside = lq_num(fd, "synq");
	EXPECT_EQ(inside, lq_ss_syn_recv(lq_port(fd)));
	if (cookies == 2) {
		EXPECT_EQ(0, inside);
	} else {
		/* Kernels differ by one in what a full one is. */
		EXPECT_LE(3, inside);
		EXPECT_GE(4, inside);
	}
	check_row(_metadata, fd,
		  FIGURES([SYNS] = TO_SYNQ,
			  [SYNQ_DROPS] = cookies ? 0 : TO_SYNQ - inside,
			  [SYNCOOKIES] = cookies ? TO_SYNQ - inside : 0));
	check_drops(_metadata, fd);
	close(fd);
}

/* Clients that fill the accept queue, and SYNs that find it full. */
static void full_accept_queue(struct __test_metadata *_metadata, int server,
			      int client, int cookies)
{
	int fd = lq_listener_any(server, 2);
	int clients[3];

	connect_all(fd, client, clients, 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 3));
	lq_send_syns(client, lq_port(fd), 0, TO_ACCEPTQ - 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") >= TO_ACCEPTQ - 3));
	lq_accept_many(fd, 3);
	/* Who finds no room isn't worth a cookie. */
	check_row(_metadata, fd,
		  FIGURES([SYNS] = TO_ACCEPTQ, [ACCEPTS] = 3,
			  [OVERFLOWS] = TO_ACCEPTQ - 3,
			  [SYNCOOKIES] = cookies == 2 ? 3 : 0));
	check_drops(_metadata, fd);
	close(fd);
	lq_close_all(clients, 3);
}

/*
 * Half-open requests, or cookies, whose final ACKs come when there is room
 * for one of them only.
 */
static void final_acks(struct __test_metadata *_metadata, int server,
		       int client, int cookies, int abort_on_overflow)
{
	int fd = lq_listener_any(server, 10);
	bool aborted = abort_on_overflow && cookies < 2;
	long long before, overflows;
	struct figures row, sum, theirs;
	int clients[TO_ACKS];

	EXPECT_TRUE(lq_wait_until(settled(fd, &row, &sum, &theirs)));
	before = theirs.of[OVERFLOWS];
	lq_hold_acks(fd);
	connect_all(fd, client, clients, TO_ACKS);
	EXPECT_EQ(cookies == 2 ? 0 : TO_ACKS, lq_num(fd, "synq"));
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	EXPECT_EQ(0, lq_num(fd, "overflows"));

	lq_listen(fd, 0);
	lq_pass_acks(fd);
	send_bytes(clients, TO_ACKS);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") - before >=
				  TO_ACKS - 1));
	EXPECT_TRUE(lq_wait_until(settled(fd, &row, &sum, &theirs)));
	overflows = theirs.of[OVERFLOWS] - before;
	check_figure(_metadata, "listener", "overflows", overflows,
		     row.of[OVERFLOWS]);
	check_figure(_metadata, "listener", "syns", TO_ACKS, row.of[SYNS]);
	EXPECT_EQ(0, row.of[SYNQ_DROPS]);
	check_figure(_metadata, "listener", "syncookies",
		     cookies == 2 ? TO_ACKS : 0, row.of[SYNCOOKIES]);
	EXPECT_EQ(1, lq_num(fd, "acceptq"));
	if (aborted) {
		/* Each was reset and can't try again. */
		EXPECT_EQ(TO_ACKS - 1, overflows);
		EXPECT_EQ(0, lq_num(fd, "synq"));
	}
	check_drops(_metadata, fd);

	/* Before there is room for those who go on trying. */
	lq_close_all(clients, TO_ACKS);
	lq_accept(fd);
	close(fd);
}

/* One namespace for all, so that its totals span listeners that are gone. */
TEST_F(counts, matrix)
{
	int rounds = 0;

	for (int cookies = 0; cookies <= 2; cookies++) {
		for (int abort = 0; abort <= 1; abort++) {
			TH_LOG("tcp_syncookies %d, tcp_abort_on_overflow %d",
			       cookies, abort);
			lq_set_sysctl("ipv4/tcp_syncookies", cookies);
			lq_set_sysctl("ipv4/tcp_abort_on_overflow", abort);
			full_syn_queue(_metadata, variant->server,
				       variant->client, cookies);
			full_accept_queue(_metadata, variant->server,
					  variant->client, cookies);
			final_acks(_metadata, variant->server,
				   variant->client, cookies, abort);
			rounds++;
			check_totals(_metadata, rounds *
				     (TO_SYNQ + TO_ACCEPTQ + TO_ACKS),
				     rounds * ACCEPTED);
		}
	}
	EXPECT_LE(rounds * (TO_ACCEPTQ - 3 + TO_ACKS - 1),
		  lq_netstat("ListenOverflows"));
	EXPECT_LT(0, lq_netstat("TCPReqQFullDrop"));
	EXPECT_LT(0, lq_netstat("SyncookiesSent"));
}

/* Those that don't depend on the family. */
LQ_FIXTURE(others, begin());

/*
 * A client whose final ACK is turned away goes on sending, which is counted
 * each time. It gets in when there is room again.
 */
TEST_F(others, final_acks_repeated)
{
	int fd = lq_listener_any(AF_INET, 10);
	int clients[4];

	lq_hold_acks(fd);
	connect_all(fd, AF_INET, clients, 4);
	lq_listen(fd, 0);
	lq_pass_acks(fd);
	send_bytes(clients, 4);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 3 * 3));
	EXPECT_EQ(1, lq_num(fd, "acceptq"));
	check_only(_metadata, fd, 4, 0);
	check_drops(_metadata, fd);

	lq_listen(fd, 10);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 4));
	lq_accept_many(fd, 4);
	check_only(_metadata, fd, 4, 4);
	check_totals(_metadata, 4, 4);
}

/* With TCP_DEFER_ACCEPT the first data ends the handshake, not the ACK. */
TEST_F(others, deferred_accept)
{
	int fd = lq_listener_any(AF_INET, 10);
	const int s = 30;
	int clients[3];

	ASSERT_EQ(0, setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &s,
				sizeof(s)));
	connect_all(fd, AF_INET, clients, 3);
	EXPECT_TRUE(lq_wait_until(lq_netstat("TCPDeferAcceptDrop") >= 3));
	EXPECT_EQ(3, lq_num(fd, "synq"));
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	check_row(_metadata, fd, FIGURES([SYNS] = 3));
	check_totals(_metadata, 3, 0);

	lq_listen(fd, 0);
	send_bytes(clients, 3);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 2));
	EXPECT_EQ(1, lq_num(fd, "acceptq"));
	check_only(_metadata, fd, 3, 0);

	lq_listen(fd, 10);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 3));
	EXPECT_EQ(0, lq_num(fd, "synq"));
	lq_accept_many(fd, 3);
	check_only(_metadata, fd, 3, 3);
	check_totals(_metadata, 3, 3);
	check_drops(_metadata, fd);
}

/* A client whose SYN has data; it doesn't wait for what comes of it. */
static int fast_client(int port)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);
	int client = new_client(AF_INET, SOCK_NONBLOCK);

	lq_fast_open(client, &addr);
	return client;
}

/* With TCP Fast Open a SYN makes the connection. */
TEST_F(others, fast_open)
{
	int fd = lq_listener_any(AF_INET, 1);
	const int requests = 10;
	int clients[3];

	lq_set_sysctl("ipv4/tcp_fastopen", FASTOPEN_WITHOUT_COOKIES);
	ASSERT_EQ(0, setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &requests,
				sizeof(requests)));
	for (int i = 0; i < 2; i++)
		clients[i] = fast_client(lq_port(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	ASSERT_EQ(2, lq_netstat("TCPFastOpenPassive"));
	check_row(_metadata, fd, FIGURES([SYNS] = 2));
	EXPECT_EQ(2, lq_num(fd, "acceptq_peak"));

	/* Its SYNs are turned away like any other's, until there is room. */
	clients[2] = fast_client(lq_port(fd));
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 1));
	check_only(_metadata, fd, ANY, 0);
	lq_accept(fd);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	lq_accept_many(fd, 2);
	check_only(_metadata, fd, 3 + lq_netstat("ListenOverflows"), 3);
	check_totals(_metadata, ANY, 3);
	check_drops(_metadata, fd);
	lq_close_all(clients, 3);
}

/*
 * What moves to another listener when its own goes was a SYN to the first
 * one, and is accepted, or turned away, by the second.
 */
TEST_F(others, migrated_connections)
{
	int first, second, waiting, half_open, port;
	struct figures row, sum, theirs;

	/* 5.10 has the setting, in its stable releases, and no more. */
	if (lq_run("grep -q TCPMigrateReqSuccess /proc/net/netstat"))
		SKIP(return, "the kernel doesn't migrate connections");
	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
	first = lq_bound_shared(AF_INET, "127.0.0.1", 0);
	lq_listen(first, 10);
	port = lq_port(first);
	waiting = connect_to(AF_INET, port);
	EXPECT_TRUE(lq_wait_until(lq_num(first, "acceptq") == 1));
	lq_hold_acks(first);
	half_open = connect_to(AF_INET, port);
	EXPECT_EQ(1, lq_num(first, "acceptq"));
	EXPECT_EQ(1, lq_num(first, "synq"));
	check_row(_metadata, first, FIGURES([SYNS] = 2));

	/* With what comes to it its queue is full. */
	second = lq_bound_shared(AF_INET, "127.0.0.1", port);
	lq_listen(second, 0);
	close(first);
	EXPECT_TRUE(lq_wait_until(lq_num(second, "acceptq") == 1));
	EXPECT_LE(1, lq_netstat("TCPMigrateReqSuccess"));
	check_row(_metadata, second, FIGURES());
	EXPECT_LE(1, lq_num(second, "acceptq_peak"));
	check_totals(_metadata, 2, 0);

	lq_send_byte(half_open);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 1));
	EXPECT_EQ(1, lq_num(second, "acceptq"));
	EXPECT_TRUE(lq_wait_until(settled(second, &row, &sum, &theirs)));
	check_figure(_metadata, "survivor", "overflows", theirs.of[OVERFLOWS],
		     row.of[OVERFLOWS]);

	lq_accept(second);
	EXPECT_TRUE(lq_wait_until(lq_num(second, "acceptq") == 1));
	lq_accept(second);
	EXPECT_TRUE(lq_wait_until(settled(second, &row, &sum, &theirs)));
	EXPECT_EQ(0, row.of[SYNS]);
	check_figure(_metadata, "survivor", "accepts", 2, row.of[ACCEPTS]);
	check_figure(_metadata, "survivor", "overflows", theirs.of[OVERFLOWS],
		     row.of[OVERFLOWS]);
	check_totals(_metadata, 2, 2);
	check_drops(_metadata, second);
	close(waiting);
	close(half_open);
}

/* What an MPTCP socket accepts follows from what came to its subflow. */
TEST_F(others, mptcp)
{
	struct lq_addr here = lq_addr(AF_INET, "127.0.0.1", 8080);
	int fd = lq_bound_mptcp(AF_INET, "0.0.0.0", 8080);
	int clients[2];

	lq_listen(fd, 1);

	/* A client that speaks MPTCP, and one that doesn't. */
	clients[0] = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	ASSERT_EQ(0, connect(clients[0], &here.sa, here.len));
	clients[1] = connect_to(AF_INET, 8080);
	EXPECT_TRUE(lq_wait_until(lq_num_at(fd, "acceptq") == 2));
	check_figure(_metadata, "subflow", "accepts", 0,
		     lq_num_at(fd, "accepts"));
	lq_send_syns(AF_INET, 8080, 0, 3);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 3));
	check_figure(_metadata, "subflow", "syns", 5, lq_num_at(fd, "syns"));
	check_figure(_metadata, "subflow", "overflows", 3,
		     lq_num_at(fd, "overflows"));
	EXPECT_EQ(2, lq_num_at(fd, "acceptq_peak"));

	lq_accept_many(fd, 2);
	check_figure(_metadata, "subflow", "accepts", 2,
		     lq_num_at(fd, "accepts"));
	EXPECT_EQ(0, lq_num_at(fd, "acceptq"));
	check_totals(_metadata, 5, 2);
	EXPECT_EQ(3, lq_netstat("ListenOverflows"));
	lq_close_all(clients, 2);
}

/* From as many sources, at a listener whose accept queue is full. */
TEST_F(others, flood)
{
	int fd = lq_listener_any(AF_INET, 0);
	int client = connect_to(AF_INET, lq_port(fd));
	long long start = lq_now_ms(), took;

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	/* In bursts that a device's own queue has room for. */
	for (int sent = 0; sent < FLOOD; sent += BURST) {
		lq_send_syns(AF_INET, lq_port(fd), sent, BURST);
		if (!lq_wait_until(lq_netstat("ListenOverflows") >=
				   sent + BURST))
			break;
	}
	took = lq_now_ms() - start;
	TH_LOG("%d SYNs in %lld ms", FLOOD, took);
	EXPECT_EQ(FLOOD, lq_netstat("ListenOverflows"));
	check_row(_metadata, fd,
		  FIGURES([SYNS] = FLOOD + 1, [OVERFLOWS] = FLOOD));
	check_only(_metadata, fd, FLOOD + 1, 0);
	check_totals(_metadata, FLOOD + 1, 0);
	EXPECT_EQ(FLOOD, lq_num(fd, "sk_drops"));
	check_drops(_metadata, fd);
	EXPECT_EQ(1, lq_num(fd, "acceptq"));
	EXPECT_EQ(0, lq_num(fd, "synq"));
	close(client);
}

/* A bound socket that may use a port of which something is left. */
static int reusing_client(int port, int flags)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);
	int client = new_client(AF_INET, flags);
	const int one = 1;

	if (setsockopt(client, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(client, &addr.sa, addr.len))
		err(1, "a client at port %d", port);
	return client;
}

/* A connection that the server ends first: it waits; the client's port. */
static int leave_time_wait(int fd)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", lq_port(fd));
	int client = reusing_client(0, 0);
	int port = lq_port(client);
	char byte;

	if (connect(client, &addr.sa, addr.len))
		err(1, "connect");
	lq_accept(fd);
	if (read(client, &byte, 1))
		errx(1, "the server didn't end the connection");
	close(client);
	return port;
}

/* The same client again. */
static int take_over(int fd, int port)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", lq_port(fd));
	int client = reusing_client(port, SOCK_NONBLOCK);

	if (connect(client, &addr.sa, addr.len) && errno != EINPROGRESS)
		err(1, "connect");
	return client;
}

/* What the kernel counts of a SYN, as often as the listener does. */
static void check_like_kernel(struct __test_metadata *_metadata, int fd,
			      struct figures expected, struct figures before)
{
	struct figures after = figures_of(fd), now = host();

	for (int i = OVERFLOWS; i < COLUMNS; i++)
		check_figure(_metadata, "listener", lq_counters[i],
			     expected.of[i] + now.of[i] - before.of[i],
			     after.of[i]);
}

/*
 * Who has just been served is real: the SYN that takes over a socket in
 * TIME_WAIT passes by the SYN queue's check and gets no cookie, but has no
 * place in a full accept queue either. Not so on kernels that forget on the
 * way (5.10, 6.1) that it does: there it is a SYN like others.
 */
TEST_F(others, time_wait_takeover)
{
	static const char cookies_sysctl[] = "ipv4/tcp_syncookies";

	for (int cookies = 0; cookies <= 2; cookies++) {
		int fd = lq_listener_any(AF_INET, 3);
		int ports[2], client;

		/* A cookie on the first one would be one of the figures. */
		lq_set_sysctl(cookies_sysctl, 1);
		for (int i = 0; i < 2; i++)
			ports[i] = leave_time_wait(fd);
		lq_set_sysctl(cookies_sysctl, cookies);
		lq_send_syns(AF_INET, lq_port(fd), 0, 10);
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "syns") >= 12));

		for (int i = 0; i < 2; i++) {
			struct figures row = figures_of(fd), kernel = host();

			client = take_over(fd, ports[i]);
			EXPECT_TRUE(lq_wait_until(lq_num(fd, "syns") > row.of[SYNS]));
			/* Or it sends again, with nothing to take over. */
			close(client);
			check_like_kernel(_metadata, fd, row, kernel);
			TH_LOG("tcp_syncookies %d: %lld in the accept queue",
			       cookies, lq_num(fd, "acceptq"));
			/* Now the accept queue is full if it let one in. */
			lq_listen(fd, 0);
		}
		close(fd);
	}
}

/* Counters go on when listen() is called again, until the listener ends. */
TEST_F(others, listening_again)
{
	int fd = lq_listener_any(AF_INET, 2);
	const struct figures first = FIGURES([SYNS] = 5, [ACCEPTS] = 1,
					     [OVERFLOWS] = 2);
	long long before;
	int clients[4];

	connect_all(fd, AF_INET, clients, 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 3));
	lq_send_syns(AF_INET, lq_port(fd), 0, 2);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 2));
	lq_accept(fd);
	check_row(_metadata, fd, first);

	before = lq_num(fd, "since_ms");
	lq_listen(fd, 10);
	check_row(_metadata, fd, first);
	EXPECT_LE(before, lq_num(fd, "since_ms"));
	clients[3] = connect_to(AF_INET, lq_port(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 3));
	check_row(_metadata, fd,
		  FIGURES([SYNS] = 6, [ACCEPTS] = 1, [OVERFLOWS] = 2));
	EXPECT_NE(LQ_NONE, lq_num(fd, "since_overflow_ms"));

	for (int i = 0; i < 2; i++) {
		before = lq_now_ms();
		if (i)
			lq_end_listening(fd);
		else
			ASSERT_EQ(0, shutdown(fd, SHUT_RD));
		lq_listen(fd, 10);
		check_row(_metadata, fd, FIGURES());
		EXPECT_EQ(LQ_NONE, lq_num(fd, "since_overflow_ms"));
		EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS,
			  lq_num(fd, "since_ms"));
		/* The socket's own count is older than this listener. */
		check_drops(_metadata, fd);
		check_totals(_metadata, 6, 1);
	}
	lq_close_all(clients, 4);
}

/* How long ago the latest overflow was, in bounds that are measured. */
TEST_F(others, since_overflow)
{
	int fd = lq_listener_any(AF_INET, 0);
	int client = connect_to(AF_INET, lq_port(fd));
	long long before, after, asked, since;

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	EXPECT_STREQ("-", lq_str(fd, "since_overflow_ms"));
	for (int i = 0; i < 2; i++) {
		before = lq_now_ms();
		lq_send_syns(AF_INET, lq_port(fd), i, 1);
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == i + 1));
		after = lq_now_ms();
		since = lq_num(fd, "since_overflow_ms");
		EXPECT_LE(0, since);
		EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, since);

		/* Enough to tell the second one's age from the first one's. */
		EXPECT_TRUE(lq_wait_until(lq_now_ms() - after > 300));
		asked = lq_now_ms();
		since = lq_num(fd, "since_overflow_ms");
		EXPECT_LE(asked - after - LQ_SLACK_MS, since);
		EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, since);
	}
	close(client);
}

/* Each namespace counts its own. */
TEST_F(others, other_namespace)
{
	int home = lq_netns();
	int fd = lq_listener(AF_INET, 5);
	struct figures before, after;
	int client = lq_connect(fd);
	int there;

	lq_accept(fd);
	check_totals(_metadata, 1, 1);
	before = totals();

	lq_new_netns();
	lq_dummy_up();
	check_totals(_metadata, 0, 0);
	there = lq_listener_any(AF_INET, 0);
	lq_connect(there);
	EXPECT_TRUE(lq_wait_until(lq_num(there, "acceptq") == 1));
	lq_send_syns(AF_INET, lq_port(there), 0, 7);
	EXPECT_TRUE(lq_wait_until(lq_num(there, "sk_drops") == 7));
	lq_accept(there);
	check_totals(_metadata, 8, 1);
	EXPECT_EQ(7, lq_netstat("ListenOverflows"));

	lq_enter_netns(home);
	after = totals();
	EXPECT_TRUE(same_figures(&before, &after));
	check_totals(_metadata, 1, 1);
	close(client);
}

/* To one listener that accepts, a full one, and one after another. */
static pid_t start_traffic(int fd, int full, atomic_int *done)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_unpin();
	for (int i = 0; i < ROUNDS; i++) {
		int brief = lq_listener(AF_INET, 0);
		int client = lq_connect(fd);

		lq_accept(fd);
		close(client);
		lq_send_syns(AF_INET, lq_port(full), 2 * i, 2);
		client = lq_connect(brief);
		close(brief);
		close(client);
		/* For the reader to see it on the way. */
		lq_pause();
	}
	*done = 1;
	_exit(0);
}

/* How many of @count counters fell since the read that @before is of. */
static int fallen(const struct lq_table *table, int row, long long *before,
		  int count)
{
	int fell = 0;

	for (int i = 0; i < count; i++) {
		long long now = lq_cell_num(table, row, lq_counters[i]);

		fell += now < before[i];
		before[i] = now;
	}
	return fell;
}

TEST_F(others, counters_never_fall)
{
	long long rows[2][LQ_COUNTERS] = { }, sum[LQ_COUNTERS] = { };
	atomic_int *done = lq_shared(sizeof(*done));
	int fds[2], client, fell = 0, reads = 0;
	bool last = false;
	pid_t pid;

	fds[0] = lq_listener(AF_INET, 100);
	fds[1] = lq_listener_any(AF_INET, 0);
	client = lq_connect(fds[1]);
	EXPECT_TRUE(lq_wait_until(lq_num(fds[1], "acceptq") == 1));

	pid = start_traffic(fds[0], fds[1], done);
	while (!last) {
		struct lq_table *table;

		last = *done;
		table = lq_read(LQ_SOCKETS);
		for (int i = 0; i < 2; i++) {
			int row = lq_row(table, fds[i]);

			fell += fallen(table, row, rows[i], LQ_COUNTERS);
		}
		lq_free(table);
		/* The totals know no drops of sockets. */
		table = lq_read(LQ_TOTALS);
		fell += fallen(table, 0, sum, LQ_COUNTERS - 1);
		lq_free(table);
		reads++;
	}
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(0, fell);
	EXPECT_LT(ROUNDS / 10, reads);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") >= 2 * ROUNDS));

	check_row(_metadata, fds[0],
		  FIGURES([SYNS] = ROUNDS, [ACCEPTS] = ROUNDS));
	check_row(_metadata, fds[1],
		  FIGURES([SYNS] = 2 * ROUNDS + 1, [OVERFLOWS] = 2 * ROUNDS));
	/* One SYN each to those that are gone. */
	check_totals(_metadata, 4 * ROUNDS + 1, ROUNDS);
	close(client);
}

static struct {
	int fd;
	atomic_int entered;
	atomic_int accepted;
} at_accept;

static void *accept_one(void *arg)
{
	int child;

	at_accept.entered++;
	child = accept4(at_accept.fd, NULL, NULL, SOCK_CLOEXEC);
	if (child >= 0)
		at_accept.accepted++;
	close(child);
	return arg;
}

/* How many threads of this process sleep. */
static int sleeping(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		err(1, "/proc/self/task");
	while ((entry = readdir(dir)))
		count += atoi(entry->d_name) &&
			 lq_state(atoi(entry->d_name)) == 'S';
	closedir(dir);
	return count;
}

/* A probe that held something for each call would run out of it. */
TEST_F(others, many_blocked_in_accept)
{
	const struct rlimit files = { 2048, 2048 };
	int *clients = calloc(BLOCKED, sizeof(*clients));
	pthread_t *threads = calloc(BLOCKED, sizeof(*threads));
	/* Elsewhere it is derived. */
	bool hooked = lq_hook("__inet_accept", "hits") != LQ_NONE;
	pthread_attr_t small;
	long long missed = 0;

	if (!clients || !threads || setrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for %d threads", BLOCKED);
	lq_set_somaxconn(2 * BLOCKED);
	at_accept.fd = lq_listener(AF_INET, 2 * BLOCKED);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	if (hooked)
		missed = lq_hook("__inet_accept", "nmissed");
	for (int i = 0; i < BLOCKED; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], &small, accept_one,
					    NULL));
	EXPECT_TRUE(lq_wait_until(at_accept.entered == BLOCKED));
	EXPECT_TRUE(lq_wait_until(sleeping() == BLOCKED));
	check_row(_metadata, at_accept.fd, FIGURES());

	for (int i = 0; i < BLOCKED; i++)
		clients[i] = lq_connect(at_accept.fd);
	for (int i = 0; i < BLOCKED; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(BLOCKED, at_accept.accepted);
	check_row(_metadata, at_accept.fd,
		  FIGURES([SYNS] = BLOCKED, [ACCEPTS] = BLOCKED));
	check_totals(_metadata, BLOCKED, BLOCKED);
	if (hooked)
		EXPECT_EQ(missed, lq_hook("__inet_accept", "nmissed"));
	lq_close_all(clients, BLOCKED);
	free(threads);
	free(clients);
}

LQ_FIXTURE_RELOADS(before_the_load, begin());

static bool ss_acceptq(int fd, int count)
{
	struct lq_ss ss;

	return lq_ss(fd, &ss) && ss.recvq == count;
}

/* Also before the first look at the file. */
TEST_F(before_the_load, counts_from_the_load)
{
	long long load;
	int clients[4];
	int fd;

	ASSERT_EQ(0, lq_unload());
	fd = lq_listener_any(AF_INET, 2);
	connect_all(fd, AF_INET, clients, 3);
	EXPECT_TRUE(lq_wait_until(ss_acceptq(fd, 3)));
	lq_send_syns(AF_INET, lq_port(fd), 0, 2);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") == 2));
	load = lq_now_ms();
	ASSERT_EQ(0, lq_load());
	missed_before = lq_missed();

	lq_send_syns(AF_INET, lq_port(fd), 2, 3);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") == 5));
	lq_accept(fd);
	lq_accept(fd);
	clients[3] = connect_to(AF_INET, lq_port(fd));
	EXPECT_TRUE(lq_wait_until(ss_acceptq(fd, 2)));
	check_row(_metadata, fd,
		  FIGURES([SYNS] = 4, [ACCEPTS] = 2, [OVERFLOWS] = 3));
	check_figure(_metadata, "namespace", "syns", 4, lq_total("syns"));
	check_figure(_metadata, "namespace", "accepts", 2, lq_total("accepts"));
	check_figure(_metadata, "namespace", "overflows", 3,
		     lq_total("overflows"));
	EXPECT_LE(0, lq_num(fd, "since_ms"));
	EXPECT_GE(lq_now_ms() - load + LQ_SLACK_MS, lq_num(fd, "since_ms"));
	EXPECT_LE(0, lq_num(fd, "since_overflow_ms"));
	/* The three that waited at the load. */
	EXPECT_EQ(3, lq_num(fd, "acceptq_peak"));
	/* The kernel's count of drops goes back to the socket's beginning. */
	EXPECT_EQ(5, lq_num(fd, "sk_drops"));
	check_drops(_metadata, fd);
	lq_close_all(clients, 4);
}

TEST_HARNESS_MAIN
