// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the documents say of listen()'s backlog, and what Linux does: one test
 * for each claim of Documentation/listen.rst, `len-7` is `len_7`. The queue's
 * length is measured by filling it. Where a rule of listenq brings an old
 * limit back, a second test shows how far.
 */

#define _GNU_SOURCE
#include <limits.h>

#include "listen.h"

/* What a program was compiled with may be older than the kernel. */
#define MOST_EVER	4096

/* What became of the backlog; AF_UNIX doesn't tell. */
static void check_limit(struct __test_metadata *_metadata, struct queue *q,
			int asked, int granted, int limit)
{
	if (!is_tcp(q->kind))
		return;
	EXPECT_EQ(limit, queue_limit(q));
	check_shown(_metadata, asked, q, "asked");
	check_shown(_metadata, granted, q, "granted");
	check_shown(_metadata, limit, q, "limit");
}

/*
 * The queue holds @room and not one more: the next client of TCP gets no
 * answer and goes on trying, that of AF_UNIX has got EAGAIN.
 */
static void check_room(struct __test_metadata *_metadata, struct queue *q,
		       int room)
{
	EXPECT_EQ(room, fill(q));
	if (is_tcp(q->kind)) {
		long long seen;

		EXPECT_EQ(room, queue_waiting(q));
		EXPECT_FALSE(finished(q->late, 0));
		EXPECT_EQ(0, client_error(q->late));
		check_met(_metadata, q, ACCEPT_QUEUE);
		drop_late(q);
		seen = overflows(q);
		check_shown(_metadata, room, q, "acceptq");
		check_counted(_metadata, room, q, "acceptq_peak");
		check_counted(_metadata, room + seen, q, "syns");
		check_counted(_metadata, seen, q, "overflows");
	}
	EXPECT_EQ(room, accept_all(q));
}

/* listen(@backlog) says nothing, and gives room for @room. */
static void check_listen(struct __test_metadata *_metadata,
			 const struct lq_kind *kind, int backlog, int room)
{
	struct queue *q = queue_open(_metadata, kind, backlog);

	check_limit(_metadata, q, backlog, room - 1, room - 1);
	check_room(_metadata, q, room);
	queue_close(q);
}

/* The limit alone, for queues that are too long to be filled. */
static void check_granted(struct __test_metadata *_metadata,
			  const struct lq_kind *kind, int backlog, int granted)
{
	struct queue *q = queue_open(_metadata, kind, backlog);

	check_limit(_metadata, q, backlog, granted, granted);
	queue_close(q);
}

/* "The maximum length of the queue of pending connections": one less. */
TEST_F(listen, len_0)
{
	static const int backlogs[] = { 0, 1, 3, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
		check_listen(_metadata, &variant->kind, backlogs[i],
			     backlogs[i] + 1);
}

/* "The number of connections that the server can have": it bounds none. */
TEST_F(listen, len_1)
{
	struct queue *q = queue_open(_metadata, &variant->kind, 1);
	int children[20];

	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(IN_QUEUE, one_more(q));
		children[i] = accept4(q->fd, NULL, NULL, SOCK_CLOEXEC);
		ASSERT_LE(0, children[i]);
	}
	/* All of them at once, ten times what the queue has room for. */
	for (int i = 0; i < 20; i++) {
		char byte = 0;

		ASSERT_EQ(1, write(q->clients[i], "x", 1));
		EXPECT_EQ(1, read(children[i], &byte, 1));
		EXPECT_EQ('x', byte);
	}
	EXPECT_EQ(0, overflows(q));
	if (self->is_unix)
		return;
	EXPECT_EQ(0, queue_waiting(q));
	/* "-" for MPTCP, and where there is no place to count at. */
	if (have_module && lq_num_at(q->fd, "accepts") != LQ_NONE)
		check_counted(_metadata, 20, q, "accepts");
	check_counted(_metadata, 1, q, "acceptq_peak");
	check_shown(_metadata, 0, q, "overflows");
}

/* "A hint; it may be reduced in silence": it is, to somaxconn. */
TEST_F(listen, len_2)
{
	lq_set_somaxconn(5);
	check_listen(_metadata, &variant->kind, 5, 6);
	check_listen(_metadata, &variant->kind, 6, 6);
	check_listen(_metadata, &variant->kind, 100, 6);
}

/* "Larger backlog, larger or equal queue": except from -1 to 0. */
TEST_F(listen, len_3)
{
	static const int backlogs[] = { 0, 1, 2, 5, 6, 7, 100, INT_MAX };
	static const int room[] = { 1, 2, 3, 6, 7, 7, 7, 7 };

	lq_set_somaxconn(6);
	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
		check_listen(_metadata, &variant->kind, backlogs[i], room[i]);
	check_listen(_metadata, &variant->kind, -1, 7);
}

/* "Values up to SOMAXCONN are supported": as far as somaxconn says so. */
TEST_F(listen, len_4)
{
	static const int backlogs[] = { 1, 5, 30, 128, SOMAXCONN };
	int most = default_somaxconn();

	/* What the headers have isn't asked of the kernel. */
	EXPECT_TRUE(SOMAXCONN == 128 || SOMAXCONN == MOST_EVER);
	EXPECT_EQ(most, lq_read_number("/proc/sys/net/core/somaxconn"));
	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
		check_granted(_metadata, &variant->kind, backlogs[i],
			      backlogs[i] < most ? backlogs[i] : most);
	check_listen(_metadata, &variant->kind, 30, 31);
	lq_set_somaxconn(20);
	check_listen(_metadata, &variant->kind, 20, 21);
	check_listen(_metadata, &variant->kind, SOMAXCONN, 21);
}

/* "SOMAXCONN asks for the most that is reasonable": it is a number. */
TEST_F(listen, len_5)
{
	const int more = SOMAXCONN + 1000;

	if (self->is_unix)
		SKIP(return, "AF_UNIX doesn't tell its limit");
	lq_set_somaxconn(more);
	check_granted(_metadata, &variant->kind, SOMAXCONN, SOMAXCONN);
	check_granted(_metadata, &variant->kind, SOMAXCONN + 1,
		      SOMAXCONN + 1);
	/* These do ask for the most that there is. */
	check_granted(_metadata, &variant->kind, INT_MAX, more);
	check_granted(_metadata, &variant->kind, -1, more);
}

/*
 * "Past the limit the length is the limit; it may be global or per socket":
 * it is the network namespace's, read at listen() and not again.
 */
TEST_F(listen, len_6)
{
	struct queue *q;

	lq_set_somaxconn(3);
	check_listen(_metadata, &variant->kind, INT_MAX, 4);
	lq_new_netns();
	EXPECT_EQ(default_somaxconn(),
		  lq_read_number("/proc/sys/net/core/somaxconn"));
	lq_set_somaxconn(5);
	check_listen(_metadata, &variant->kind, INT_MAX, 6);

	q = queue_open(_metadata, &variant->kind, INT_MAX);
	lq_set_somaxconn(8);
	EXPECT_EQ(6, fill(q));
	drop_late(q);
	check_limit(_metadata, q, INT_MAX, 5, 5);
	lq_listen(q->fd, INT_MAX);
	check_limit(_metadata, q, INT_MAX, 8, 8);
	EXPECT_EQ(9 - 6, fill(q));
	EXPECT_EQ(9, accept_all(q));
}

/* "Below 0 is as 0": it is as the most that there is. */
TEST_F(listen, len_7)
{
	static const int negative[] = { -1, -128, INT_MIN };

	lq_set_somaxconn(3);
	check_listen(_metadata, &variant->kind, 0, 1);
	for (size_t i = 0; i < ARRAY_SIZE(negative); i++)
		check_listen(_metadata, &variant->kind, negative[i], 4);
}

/* "0 may accept connections, at an implementation's minimum": of 1. */
TEST_F(listen, len_8)
{
	bool one_more_request = synq_holds_one_more();
	struct queue *q;

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	check_listen(_metadata, &variant->kind, 0, 1);
	if (self->is_unix)
		return;
	/* Where an empty SYN queue was full, cookies alone let it in. */
	EXPECT_EQ(!one_more_request, !!lq_netstat("SyncookiesSent"));

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	q = queue_open(_metadata, &variant->kind, 0);
	EXPECT_EQ(one_more_request, fill(q));
	check_met(_metadata, q, one_more_request ? ACCEPT_QUEUE : SYN_QUEUE);
	EXPECT_EQ(one_more_request, accept_all(q));
}

/* "Illegal values become the nearest legal one": the largest, all of them. */
TEST_F(listen, len_9)
{
	static const int illegal[] = { 5, 4096, INT_MAX, -1, -5, INT_MIN };

	lq_set_somaxconn(4);
	for (size_t i = 0; i < ARRAY_SIZE(illegal); i++)
		check_listen(_metadata, &variant->kind, illegal[i], 5);
}

/* "5 to 10 is usual": of 20 that come at once, 9 or more have to wait. */
TEST_F(listen, len_10)
{
	static const int backlogs[] = { 5, 10 };

	EXPECT_LT(10, lq_read_number("/proc/sys/net/core/somaxconn"));
	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++) {
		struct queue *q = queue_open(_metadata, &variant->kind,
					     backlogs[i]);
		int room = backlogs[i] + 1;

		for (int client = 0; client < 20; client++)
			EXPECT_EQ(client < room ? IN_QUEUE : TURNED_AWAY,
				  one_more(q));
		if (!self->is_unix) {
			EXPECT_TRUE(lq_wait_until(overflows(q) ==
						  all_syns(q, room)));
			EXPECT_EQ(room, queue_waiting(q));
			check_counted(_metadata, room, q, "acceptq_peak");
		}
		/* Before there is room for those who go on trying. */
		while (q->count > room)
			close(q->clients[--q->count]);
		q->late = -1;
		EXPECT_EQ(room, accept_all(q));
		queue_close(q);
	}
}

/* "The limit is generally under 30": it is 4096, and was 128. */
TEST_F(listen, len_11)
{
	EXPECT_EQ(default_somaxconn(),
		  lq_read_number("/proc/sys/net/core/somaxconn"));
	check_listen(_metadata, &variant->kind, 30, 31);
	check_listen(_metadata, &variant->kind, 100, 101);
}

/* "BSD limits it to 5": Linux doesn't. */
TEST_F(listen, len_12)
{
	check_listen(_metadata, &variant->kind, 6, 7);
	check_listen(_metadata, &variant->kind, 100, 101);
}

/* An old limit by rule, for who asks for @asked. */
static struct queue *open_by_rule(struct __test_metadata *_metadata,
				  const struct lq_kind *kind, int limit,
				  int asked)
{
	struct queue *q;
	char rule[40];

	snprintf(rule, sizeof(rule), "* somaxconn %d\n", limit);
	ASSERT_EQ(0, lq_clamp(rule));
	q = queue_open(_metadata, kind, asked);
	check_limit(_metadata, q, asked, asked, limit);
	return q;
}

/* What a rule gives is the number ... */
static void check_number(struct __test_metadata *_metadata,
			 const struct lq_kind *kind, int limit, int asked)
{
	struct queue *q = open_by_rule(_metadata, kind, limit, asked);

	/* Rules are for TCP: nobody else has such a limit. */
	check_room(_metadata, q, is_tcp(kind) ? limit + 1 : asked + 1);
	queue_close(q);
	ASSERT_EQ(0, lq_clamp("flush\n"));
}

/*
 * ... and not the queue of old, which had place for connections finished
 * and under way together: Linux holds one more than the number, and as many
 * again that are under way.
 */
static void check_two_queues(struct __test_metadata *_metadata,
			     const struct lq_kind *kind, int limit, int asked)
{
	struct queue *q;

	if (!is_tcp(kind))
		return;
	/* Or tcp_max_syn_backlog might be what turns requests away. */
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 4096);
	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	q = open_by_rule(_metadata, kind, limit, asked);
	EXPECT_EQ(synq_room(limit), fill_both(_metadata, q, limit));
	check_queues(_metadata, q, limit, synq_room(limit));
	check_met(_metadata, q, SYN_QUEUE);
	queue_close(q);
}

TEST_F(listen, len_12_by_rule)
{
	if (!have_module)
		SKIP(return, "no listenq module");
	check_number(_metadata, &variant->kind, 5, 100);
	check_two_queues(_metadata, &variant->kind, 5, 100);
}

/* "For AF_INET, over 128 is cut to SOMAXCONN": for all, and to somaxconn. */
TEST_F(listen, len_13)
{
	if (default_somaxconn() > 128)
		check_listen(_metadata, &variant->kind, 129, 130);
	lq_set_somaxconn(128);
	check_listen(_metadata, &variant->kind, 128, 129);
	check_listen(_metadata, &variant->kind, 129, 129);
	check_listen(_metadata, &variant->kind, SOMAXCONN, 129);
}

TEST_F(listen, len_13_by_rule)
{
	if (!have_module)
		SKIP(return, "no listenq module");
	lq_set_somaxconn(200);
	check_number(_metadata, &variant->kind, 128, 129);
	check_number(_metadata, &variant->kind, 128, 200);
}

/* An errno, or 0. */
static int write_somaxconn(const char *text)
{
	int fd = open("/proc/sys/net/core/somaxconn", O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		err(1, "somaxconn");
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* "somaxconn cuts it in silence; its default is 128": it is 4096 by now. */
TEST_F(listen, len_14)
{
	EXPECT_EQ(default_somaxconn(),
		  lq_read_number("/proc/sys/net/core/somaxconn"));
	lq_set_somaxconn(2);
	check_listen(_metadata, &variant->kind, 100, 3);
	lq_set_somaxconn(0);
	check_listen(_metadata, &variant->kind, 100, 1);

	/* No number is fixed any more: any int from 0 will do. */
	EXPECT_EQ(EINVAL, write_somaxconn("-1\n"));
	EXPECT_EQ(EINVAL, write_somaxconn("2147483648\n"));
	EXPECT_EQ(0, lq_read_number("/proc/sys/net/core/somaxconn"));
	EXPECT_EQ(0, write_somaxconn("2147483647\n"));
	check_granted(_metadata, &variant->kind, INT_MAX, INT_MAX);
	check_granted(_metadata, &variant->kind, 65536, 65536);
}

/* CentOS 4.8's and Linux 2.4's. */
TEST_F(listen, len_14_by_rule)
{
	if (!have_module)
		SKIP(return, "no listenq module");
	check_number(_metadata, &variant->kind, 128, 300);
	check_two_queues(_metadata, &variant->kind, 128, 300);
}

TEST_HARNESS_MAIN
