// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes with a listener that ends: connections that waited, which the kernel
 * resets, and requests in its SYN queue. And what another one of its group takes
 * over.
 */

#define _GNU_SOURCE
#include <poll.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"
#include "refusal.h"

#define WAITING		8
#define HALF_OPEN	5
#define PORT		7100

LQ_FIXTURE_FAMILIES(closing, lq_dummy_up());

static int shared_listener(int family, int port)
{
	const char *any = family == AF_INET ? "0.0.0.0" : "::";
	int fd = lq_bound_shared(family, any, port);

	lq_listen(fd, 20);
	return fd;
}

/* Clients that wait, and strangers' requests. */
static void fill(struct __test_metadata *_metadata, int fd, int *clients)
{
	int family = lq_name(fd).ss.ss_family;
	struct lq_addr addr = lq_addr(family, lq_loopback(family), lq_port(fd));

	for (int i = 0; i < WAITING; i++) {
		clients[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ASSERT_LE(0, clients[i]);
		ASSERT_EQ(0, connect(clients[i], &addr.sa, addr.len));
	}
	lq_send_syns(family, lq_port(fd), 0, HALF_OPEN);
	ASSERT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == WAITING));
	ASSERT_TRUE(lq_wait_until(lq_num(fd, "synq") == HALF_OPEN));
}

static bool is_reset(int client)
{
	struct pollfd end = { .fd = client, .events = POLLIN };
	char byte;

	return poll(&end, 1, 60000) == 1 && read(client, &byte, 1) < 0 &&
	       errno == ECONNRESET;
}

static int count_reset(const int *clients)
{
	int count = 0;

	for (int i = 0; i < WAITING; i++)
		count += is_reset(clients[i]);
	return count;
}

/* What the totals had before, and what was lost since. */
struct lost {
	long long unaccepted;
	long long abandoned;
};

static struct lost lost_since(struct lost before)
{
	return (struct lost){
		.unaccepted = lq_total("unaccepted") - before.unaccepted,
		.abandoned = lq_total("abandoned") - before.abandoned,
	};
}

static const struct lost nothing;

/* How many have a row in the file refused: those, and nobody who was moved. */
static int rows_of_closed(void)
{
	struct refusals *refusals = refusals_read();
	int count = refusals_for(refusals, "closed");

	free(refusals);
	return count;
}

static void check_lost(struct __test_metadata *_metadata, struct lost before,
		       int unaccepted, int abandoned)
{
	struct lost lost = lost_since(before);

	EXPECT_EQ(unaccepted, lost.unaccepted);
	EXPECT_EQ(abandoned, lost.abandoned);
	EXPECT_EQ(lq_total("unaccepted"), rows_of_closed());
	EXPECT_EQ(0, ledger_check(0));
}

TEST_F(closing, closed)
{
	int fd = lq_listener_any(variant->family, 20), clients[WAITING];

	fill(_metadata, fd, clients);
	check_lost(_metadata, nothing, 0, 0);
	close(fd);
	check_lost(_metadata, nothing, WAITING, HALF_OPEN);
	EXPECT_EQ(WAITING, count_reset(clients));
	lq_close_all(clients, WAITING);
}

/* Each accepted one less is lost. */
TEST_F(closing, some_accepted)
{
	int fd = lq_listener_any(variant->family, 20), clients[WAITING];

	fill(_metadata, fd, clients);
	lq_accept_many(fd, 3);
	close(fd);
	check_lost(_metadata, nothing, WAITING - 3, HALF_OPEN);
	lq_close_all(clients, WAITING);
}

/* The socket stays, and may listen again: with the requests of before. */
TEST_F(closing, stopped)
{
	for (int i = 0; i < LQ_STOPS; i++) {
		int fd = lq_listener_any(variant->family, 20);
		struct lost before = lost_since(nothing);
		int clients[WAITING];

		fill(_metadata, fd, clients);
		lq_stops[i](fd);
		check_lost(_metadata, before, WAITING, HALF_OPEN);
		EXPECT_EQ(WAITING, count_reset(clients));
		lq_close_all(clients, WAITING);

		lq_listen(fd, 20);
		EXPECT_EQ(0, ledger_check(0));
		close(fd);
		EXPECT_EQ(0, ledger_check(0));
	}
}

/* With the process that listened. */
TEST_F(closing, killed)
{
	int clients[WAITING], *closed = lq_shared(sizeof(*closed));
	pid_t pid = lq_fork_ready();

	if (!pid) {
		int fd = lq_listener_any(variant->family, 20);

		fill(_metadata, fd, clients);
		/* They stay, in somebody else, who does not have the listener. */
		if (!lq_fork()) {
			close(fd);
			__atomic_store_n(closed, 1, __ATOMIC_RELEASE);
			for (;;)
				pause();
		}
		if (!lq_wait_until(__atomic_load_n(closed, __ATOMIC_ACQUIRE)))
			errx(1, "the listener is not closed");
		lq_stay();
	}
	ASSERT_LT(0, pid);
	lq_kill(pid);
	EXPECT_TRUE(lq_wait_until(lq_total("unaccepted") == WAITING));
	check_lost(_metadata, nothing, WAITING, HALF_OPEN);
}

/* Who is turned away is counted, though the listener goes a moment later. */
TEST_F(closing, turned_away_just_before)
{
	int family = variant->family, clients[2], now, limit;

	for (int i = 0; i < 20; i++) {
		int fd = lq_listener_any(family, 1);
		struct lq_addr addr = lq_addr(family, lq_loopback(family),
					      lq_port(fd));

		for (int c = 0; c < 2; c++) {
			clients[c] = socket(family, SOCK_STREAM | SOCK_CLOEXEC,
					    0);
			ASSERT_EQ(0, connect(clients[c], &addr.sa, addr.len));
		}
		/* Nobody reads the books before it closes. */
		ASSERT_TRUE(lq_wait_until(lq_tcp_queue(fd, &now, &limit) &&
					  now == 2));
		lq_send_syns(family, lq_port(fd), i, 1);
		close(fd);
		lq_close_all(clients, 2);
	}
	EXPECT_EQ(20, lq_netstat("ListenOverflows"));
	EXPECT_EQ(20, lq_total("overflows"));
	EXPECT_EQ(0, ledger_check(0));
}

static int reused_listener(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct lq_addr addr = lq_addr(family, lq_loopback(family), PORT);

	lq_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, &addr.sa, addr.len))
		err(1, "port %d", PORT);
	lq_listen(fd, 50);
	return fd;
}

static pid_t start_connecting(int family, int port)
{
	struct lq_addr addr = lq_addr(family, lq_loopback(family), port);
	pid_t pid = lq_fork();
	int client;

	if (pid)
		return pid;
	for (;;) {
		client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (client < 0)
			err(1, "socket");
		connect(client, &addr.sa, addr.len);
		lq_abort(client);
	}
}

/* A handshake may end while its listener does: then the kernel resets what it made. */
TEST_F(closing, while_clients_come)
{
	int now, limit, rounds = lq_scaled(400);
	pid_t pid = start_connecting(variant->family, PORT);
	int unseen = 0;

	/*
	 * Who comes into the queue of one that is being closed has no row there: at most
	 * one a round, and ten of 400 were seen.
	 */
	if (strcmp(lq_hook_str("reuseport_migrate_sock", "state"), "on"))
		unseen = rounds / 10;
	lq_seed(0);
	for (int i = 0; i < rounds; i++) {
		int fd = reused_listener(variant->family);
		int some = 1 + lq_chance(3);

		ASSERT_TRUE(lq_wait_until(lq_tcp_queue(fd, &now, &limit) &&
					  now >= some));
		close(fd);
	}
	lq_kill(pid);
	EXPECT_LE(rounds, lq_total("unaccepted"));
	EXPECT_TRUE(refused_agrees(lq_total("unaccepted") +
				   lq_total("overflows"),
				   lq_missed() + unseen));
	EXPECT_EQ(0, ledger_check(lq_missed()));
}

/* Nobody of the group takes anything over. */
TEST_F(closing, of_a_group)
{
	int fd = shared_listener(variant->family, 0), other, clients[WAITING];

	fill(_metadata, fd, clients);
	other = shared_listener(variant->family, lq_port(fd));
	EXPECT_EQ(2, lq_num(fd, "group"));
	close(fd);
	check_lost(_metadata, nothing, WAITING, HALF_OPEN);
	EXPECT_EQ(WAITING, count_reset(clients));
	EXPECT_EQ(LQ_NONE, lq_num(other, "group"));
	EXPECT_EQ(0, lq_num(other, "acceptq"));
	lq_close_all(clients, WAITING);
	close(other);
}

static void need_migration(void)
{
	if (lq_run("grep -q TCPMigrateReqSuccess /proc/net/netstat"))
		lq_skip("the kernel doesn't migrate connections");
	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
}

/* What waits isn't lost, and of requests it shows when they are sent again. */
TEST_F(closing, of_a_group_that_takes_over)
{
	int fd, other, clients[WAITING];

	need_migration();
	fd = shared_listener(variant->family, 0);
	fill(_metadata, fd, clients);
	other = shared_listener(variant->family, lq_port(fd));
	close(fd);
	check_lost(_metadata, nothing, 0, HALF_OPEN);
	EXPECT_EQ(WAITING, lq_num(other, "acceptq"));
	EXPECT_TRUE(lq_wait_until(lq_num(other, "synq") == HALF_OPEN));
	check_lost(_metadata, nothing, 0, HALF_OPEN);

	/* When the last one goes, so does what it had taken. */
	close(other);
	check_lost(_metadata, nothing, WAITING, 2 * HALF_OPEN);
	EXPECT_EQ(WAITING, count_reset(clients));
	lq_close_all(clients, WAITING);
}

/* One after the other goes: nothing is lost until the last one does. */
TEST_F(closing, a_group_in_turn)
{
	int fd, next, clients[WAITING];

	need_migration();
	/* Requests are given up before they are moved that often. */
	fd = shared_listener(variant->family, 0);
	fill(_metadata, fd, clients);
	for (int i = 0; i < 4; i++) {
		next = shared_listener(variant->family, lq_port(fd));
		close(fd);
		fd = next;
		EXPECT_EQ(WAITING, lq_num(fd, "acceptq"));
		EXPECT_EQ(0, ledger_check(0));
	}
	EXPECT_EQ(0, lq_total("unaccepted"));
	lq_accept_many(fd, 2);
	close(fd);
	EXPECT_EQ(WAITING - 2, lq_total("unaccepted"));
	EXPECT_EQ(WAITING - 2, rows_of_closed());
	EXPECT_EQ(0, ledger_check(0));
	lq_close_all(clients, WAITING);
}

TEST_HARNESS_MAIN
