// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the two queues of a listener hold: connections that wait for accept()
 * against Recv-Q of ss, half-open requests against its syn-recv sockets.
 */

#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define LIMIT		5
#define HALF_OPEN	60

/* The kernel sends a SYN-ACK again after a second. */
#define RESEND_MS	1000

LQ_FIXTURE_FAMILIES(queues);

/* @fd's accept queue holds @n, its limit is @limit, and ss says the same. */
static void check_acceptq(struct __test_metadata *_metadata, int fd, int n,
			  int limit)
{
	struct lq_ss ss = {};

	/* A client's connect() may return before its ACK has arrived. */
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") >= n));
	EXPECT_EQ(n, lq_num(fd, "acceptq"));
	EXPECT_EQ(limit, lq_num(fd, "limit"));
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(n, ss.recvq);
	EXPECT_EQ(limit, ss.sendq);
}

/* 0, 1, ... limit, and the one more that a queue holds beyond its limit. */
TEST_F(queues, acceptq_fills)
{
	int fd = lq_listener(variant->family, LIMIT);

	for (int n = 0; n <= LIMIT + 1; n++) {
		if (n)
			lq_connect(fd);
		check_acceptq(_metadata, fd, n, LIMIT);
	}
	for (int n = LIMIT; n >= 0; n--) {
		lq_accept(fd);
		check_acceptq(_metadata, fd, n, LIMIT);
	}
}

TEST_F(queues, acceptq_of_limit_0)
{
	int fd = lq_listener(variant->family, 0);

	check_acceptq(_metadata, fd, 0, 0);
	lq_connect(fd);
	check_acceptq(_metadata, fd, 1, 0);
}

/* A client that leaves before it was accepted still takes its place. */
TEST_F(queues, acceptq_keeps_who_has_left)
{
	int fd = lq_listener(variant->family, LIMIT);
	int client = lq_connect(fd);

	check_acceptq(_metadata, fd, 1, LIMIT);
	close(client);
	check_acceptq(_metadata, fd, 1, LIMIT);
	lq_accept(fd);
	check_acceptq(_metadata, fd, 0, LIMIT);
}

TEST_F(queues, queues_of_several_listeners)
{
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = lq_listener(variant->family, LIMIT);
	for (int i = 0; i < 4; i++)
		for (int n = 0; n < i; n++)
			lq_connect(fds[i]);
	for (int i = 0; i < 4; i++)
		check_acceptq(_metadata, fds[i], i, LIMIT);
}

/* Lowering the limit throws nobody out. */
TEST_F(queues, limit_below_acceptq)
{
	int fd = lq_listener(variant->family, LIMIT);

	for (int i = 0; i < 4; i++)
		lq_connect(fd);
	check_acceptq(_metadata, fd, 4, LIMIT);
	lq_listen(fd, 2);
	check_acceptq(_metadata, fd, 4, 2);
}

/*
 * The head's age grows at the pace of the clock, and the next in the queue
 * has an age of its own. Each bound is measured around the calls that it is
 * about, so that a slow machine widens it and can't break it.
 */
TEST_F(queues, oldest_is_the_age_of_the_head)
{
	int fd = lq_listener(variant->family, LIMIT);
	long long before, after, asked, oldest;

	EXPECT_STREQ("-", lq_str(fd, "acceptq_oldest_ms"));

	before = lq_now_ms();
	lq_connect(fd);
	check_acceptq(_metadata, fd, 1, LIMIT);
	after = lq_now_ms();

	/* 300 ms of it, to tell the head from the next. */
	EXPECT_TRUE(lq_wait_until(lq_now_ms() - after > 300));
	asked = lq_now_ms();
	oldest = lq_num(fd, "acceptq_oldest_ms");
	EXPECT_LE(asked - after - LQ_SLACK_MS, oldest);
	EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, oldest);

	/* A second one doesn't make the head any younger. */
	before = lq_now_ms();
	lq_connect(fd);
	check_acceptq(_metadata, fd, 2, LIMIT);
	EXPECT_LE(oldest, lq_num(fd, "acceptq_oldest_ms"));

	lq_accept(fd);
	oldest = lq_num(fd, "acceptq_oldest_ms");
	EXPECT_LE(0, oldest);
	EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, oldest);

	lq_accept(fd);
	EXPECT_STREQ("-", lq_str(fd, "acceptq_oldest_ms"));
}

/* Data that arrives in the meantime isn't the end of the handshake. */
TEST_F(queues, oldest_is_not_reset_by_data)
{
	int fd = lq_listener(variant->family, LIMIT);
	int client = lq_connect(fd);
	long long oldest;

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq_oldest_ms") >= 100));
	ASSERT_EQ(4, write(client, "data", 4));
	oldest = lq_num(fd, "acceptq_oldest_ms");
	EXPECT_LE(100, oldest);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq_oldest_ms") > oldest));
}

/* @fd's SYN queue holds @n, and ss counts as many. */
static void check_synq(struct __test_metadata *_metadata, int fd, int n)
{
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") >= n));
	EXPECT_EQ(n, lq_num(fd, "synq"));
	EXPECT_EQ(n, lq_ss_syn_recv(lq_port(fd)));
}

TEST_F(queues, synq_fills)
{
	static const int steps[] = { 0, 1, 2, HALF_OPEN };
	int fd, sent = 0;

	lq_dummy_up();
	fd = lq_listener_any(variant->family, 2 * HALF_OPEN);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		lq_send_syns(variant->family, lq_port(fd), sent,
			     steps[i] - sent);
		sent = steps[i];
		check_synq(_metadata, fd, sent);
	}
	/* Half-open requests are no connections yet. */
	check_acceptq(_metadata, fd, 0, 2 * HALF_OPEN);

	/* A SYN that meets its own request is no second one. */
	lq_send_syns(variant->family, lq_port(fd), 0, 10);
	check_synq(_metadata, fd, HALF_OPEN);
}

TEST_F(queues, synq_of_several_listeners)
{
	int fds[3];

	lq_dummy_up();
	for (int i = 0; i < 3; i++)
		fds[i] = lq_listener_any(variant->family, HALF_OPEN);
	for (int i = 0; i < 3; i++)
		lq_send_syns(variant->family, lq_port(fds[i]), 0, i);
	for (int i = 0; i < 3; i++)
		check_synq(_metadata, fds[i], i);
}

/* Requests are young until their SYN-ACK is sent a second time. */
TEST_F(queues, synq_young_falls_when_syn_acks_are_resent)
{
	bool in_time = false;
	long long young = 0;
	int fd = -1;

	lq_dummy_up();
	/* All of this within the first second, or it shows nothing. */
	for (int i = 0; i < 10 && !in_time; i++) {
		long long start;

		fd = lq_listener_any(variant->family, HALF_OPEN);
		start = lq_now_ms();
		lq_send_syns(variant->family, lq_port(fd), 0, 10);
		lq_wait_until(lq_num(fd, "synq") == 10);
		young = lq_num(fd, "synq_young");
		in_time = lq_now_ms() - start < RESEND_MS - LQ_SLACK_MS;
	}
	ASSERT_TRUE(in_time);
	EXPECT_EQ(10, young);

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq_young") == 0));
	check_synq(_metadata, fd, 10);

	/* Younger ones beside them. */
	lq_send_syns(variant->family, lq_port(fd), 10, 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == 13));
	EXPECT_GE(3, lq_num(fd, "synq_young"));
}

/* Requests that nobody completes are given up, one by one. */
TEST_F(queues, synq_empties_when_requests_time_out)
{
	int fd;

	lq_write_file("/proc/sys/net/ipv4/tcp_synack_retries", "1");
	lq_dummy_up();
	fd = lq_listener_any(variant->family, HALF_OPEN);
	lq_send_syns(variant->family, lq_port(fd), 0, 5);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == 5));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == 0));
	EXPECT_EQ(0, lq_ss_syn_recv(lq_port(fd)));
	EXPECT_EQ(0, lq_num(fd, "synq_young"));
}

/*
 * A full accept queue drops SYNs: this listener's alone, as ListenDrops of
 * the namespace and the drops of ss say.
 */
TEST_F(queues, sk_drops)
{
	int fd, other;
	struct lq_ss ss;

	lq_dummy_up();
	fd = lq_listener_any(variant->family, 0);
	other = lq_listener_any(variant->family, 0);
	lq_connect(fd);
	check_acceptq(_metadata, fd, 1, 0);
	EXPECT_EQ(0, lq_num(fd, "sk_drops"));
	EXPECT_EQ(0, lq_netstat("ListenDrops"));

	lq_send_syns(variant->family, lq_port(fd), 0, 7);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") >= 7));
	EXPECT_EQ(7, lq_num(fd, "sk_drops"));
	EXPECT_EQ(7, lq_netstat("ListenDrops"));
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(7, ss.drops);
	EXPECT_EQ(0, lq_num(other, "sk_drops"));
	check_acceptq(_metadata, fd, 1, 0);
	check_synq(_metadata, fd, 0);
}

TEST_HARNESS_MAIN
