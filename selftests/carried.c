// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module comes to a machine where listeners are there already, with something
 * in their queues, and with traffic: their books begin with that.
 */

#define _GNU_SOURCE
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"

#define LOADS		5
#define BUSY		3

LQ_FIXTURE_RELOADS(carried, lq_dummy_up());

static bool ss_queues(int fd, int waiting, int half_open)
{
	int now, limit;

	return lq_tcp_queue(fd, &now, &limit) && now == waiting &&
	       lq_ss_syn_recv(lq_port(fd)) == half_open;
}

static void check_row(struct __test_metadata *_metadata, int fd, int requests,
		      int connections)
{
	struct ledger *ledger = ledger_read();
	const struct ledger_row *row = ledger_row(ledger, fd);

	EXPECT_EQ(requests, row->of[CARRIED_REQUESTS]);
	EXPECT_EQ(connections, row->of[CARRIED_CONNECTIONS]);
	EXPECT_EQ(0, row->of[SYNS]);
	EXPECT_EQ(0, ledger_faults(ledger, 0));
	ledger_free(ledger);
}

/* And from there on they go on. */
TEST_F(carried, from_before_the_load)
{
	int fds[2], clients[2][8], held[2][2];

	ASSERT_EQ(0, lq_unload());
	for (int i = 0; i < lq_families(); i++) {
		int family = lq_family(i);

		fds[i] = lq_listener_any(family, 50);
		lq_connect_many(fds[i], clients[i], 8);
		ASSERT_TRUE(lq_wait_until(ss_queues(fds[i], 8, 0)));
		lq_hold_acks(fds[i]);
		lq_connect_many(fds[i], held[i], 2);
		lq_send_syns(family, lq_port(fds[i]), 0, 1);
		ASSERT_TRUE(lq_wait_until(ss_queues(fds[i], 8, 3)));
	}
	ASSERT_EQ(0, lq_load());
	for (int i = 0; i < lq_families(); i++)
		check_row(_metadata, fds[i], 3, 8);
	EXPECT_EQ(3 * lq_families(), lq_total("carried_requests"));
	EXPECT_EQ(8 * lq_families(), lq_total("carried_connections"));

	for (int i = 0; i < lq_families(); i++) {
		lq_accept_many(fds[i], 5);
		lq_pass_acks(fds[i]);
		lq_send_byte(held[i][0]);
		lq_send_byte(held[i][1]);
		EXPECT_TRUE(lq_wait_until(lq_num(fds[i], "acceptq") == 5));
		EXPECT_EQ(5, lq_num(fds[i], "accepts"));
	}
	/* The stranger's is given up when its SYN-ACK would be sent again. */
	lq_set_sysctl("ipv4/tcp_synack_retries", 0);
	for (int i = 0; i < lq_families(); i++)
		EXPECT_TRUE(lq_wait_until(lq_num(fds[i], "synq") == 0));
	EXPECT_EQ(2 * lq_families(), lq_total("finished"));
	EXPECT_EQ(0, ledger_check(0));
	for (int i = 0; i < lq_families(); i++)
		close(fds[i]);
	EXPECT_EQ(5 * lq_families(), lq_total("unaccepted"));
	EXPECT_EQ(0, ledger_check(0));
}

/* In a namespace where nobody looks, they begin at the load all the same. */
TEST_F(carried, of_other_namespaces)
{
	int home = lq_netns(), there, fd, clients[4];

	ASSERT_EQ(0, lq_unload());
	lq_new_netns();
	there = lq_netns();
	fd = lq_listener(AF_INET, 50);
	lq_connect_many(fd, clients, 4);
	ASSERT_TRUE(lq_wait_until(ss_queues(fd, 4, 0)));
	lq_enter_netns(home);
	ASSERT_EQ(0, lq_load());
	/* Nobody reads before these come and go. */
	lq_enter_netns(there);
	lq_connect_many(fd, clients, 2);
	lq_accept_many(fd, 3);
	EXPECT_EQ(4, lq_total("carried_connections"));
	EXPECT_EQ(3, lq_num(fd, "accepts"));
	EXPECT_EQ(0, ledger_check(0));
}

static void nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		err(1, "O_NONBLOCK");
}

/* All kinds of things to @fd, some of which stay in its queues. */
static pid_t start_traffic(int fd, int stream, atomic_int *stop)
{
	int family = lq_name(fd).ss.ss_family, clients[16];
	struct lq_addr addr = lq_addr(family, lq_loopback(family), lq_port(fd));
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_seed(stream);
	memset(clients, -1, sizeof(clients));
	for (int i = 0; !*stop; i++) {
		int *client = &clients[lq_chance(ARRAY_SIZE(clients))], child;

		if (*client >= 0)
			lq_abort(*client);
		*client = socket(family, SOCK_STREAM | SOCK_NONBLOCK |
				 SOCK_CLOEXEC, 0);
		if (*client < 0 || (connect(*client, &addr.sa, addr.len) &&
				    errno != EINPROGRESS))
			err(1, "connect");
		if (!lq_chance(10))
			lq_send_syns(family, lq_port(fd), lq_chance(60000), 2);
		child = lq_chance(4) ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) :
				       -1;
		if (child >= 0)
			close(child);
		if (i % 4 == 0)
			lq_pause();
	}
	_exit(0);
}

/* The load may fall between any two steps of the kernel's. */
TEST_F_TIMEOUT(carried, busy_at_the_load, 600)
{
	int fds[BUSY], loads = getenv("LISTENQ_SLOW") ? 2 : LOADS, faults = 0;
	atomic_int *stop = lq_shared(sizeof(*stop));
	long long start;
	pid_t pids[BUSY];

	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
	lq_set_sysctl("ipv4/tcp_synack_retries", 1);
	for (int i = 0; i < BUSY; i++) {
		fds[i] = lq_listener_any(lq_family(i), i == 2 ? 3 : 60);
		nonblocking(fds[i]);
	}
	for (int load = 0; load < loads && !faults; load++) {
		ASSERT_EQ(0, lq_unload());
		*stop = 0;
		for (int i = 0; i < BUSY; i++)
			pids[i] = start_traffic(fds[i], 10 * load + i, stop);
		for (int i = 0; i < 100; i++)
			lq_pause();
		start = lq_now_ms();
		ASSERT_EQ(0, lq_load());
		TH_LOG("loaded within %lld ms", lq_now_ms() - start);
		EXPECT_TRUE(lq_wait_until(lq_total("accepts") > 50));
		*stop = 1;
		for (int i = 0; i < BUSY; i++)
			EXPECT_EQ(0, lq_reap(pids[i]));
		faults = ledger_check(lq_missed());
		EXPECT_EQ(0, faults) {
			TH_LOG("load %d", load);
		}
	}
	lq_close_all(fds, BUSY);
	EXPECT_EQ(0, ledger_check(lq_missed()));
}

TEST_HARNESS_MAIN
