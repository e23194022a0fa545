// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a listener begins and ends: each way to stop listening takes its row
 * away, and listening again on the same socket starts from nothing.
 */

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

FIXTURE(lifetime)
{
};

FIXTURE_VARIANT(lifetime)
{
	int family;
};

FIXTURE_VARIANT_ADD(lifetime, ipv4)
{
	.family = AF_INET,
};

FIXTURE_VARIANT_ADD(lifetime, ipv6)
{
	.family = AF_INET6,
};

FIXTURE_SETUP(lifetime)
{
	LQ_SETUP();
	lq_need_family(variant->family);
}

FIXTURE_TEARDOWN(lifetime)
{
}

static int row_count(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int n = table->nrows;

	lq_free(table);
	return n;
}

/* since_ms lies within what has passed since @before. */
static void check_since(struct __test_metadata *_metadata, int fd,
			long long before)
{
	long long since = lq_num(fd, "since_ms");

	EXPECT_LE(0, since);
	EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, since);
}

TEST_F(lifetime, since_ms_is_the_time_since_listen)
{
	long long before, after, asked, since;
	int fd;

	before = lq_now_ms();
	fd = lq_listener(variant->family, 1);
	after = lq_now_ms();
	check_since(_metadata, fd, before);

	EXPECT_TRUE(lq_wait_until(lq_now_ms() - after > 200));
	asked = lq_now_ms();
	since = lq_num(fd, "since_ms");
	EXPECT_LE(asked - after - LQ_SLACK_MS, since);
	EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, since);

	/* listen() on a listener adjusts it, and begins nothing. */
	lq_listen(fd, 2);
	EXPECT_LE(since, lq_num(fd, "since_ms"));
}

TEST_F(lifetime, close_ends_it)
{
	int fd = lq_listener(variant->family, 1);

	ASSERT_EQ(1, row_count());
	close(fd);
	EXPECT_EQ(0, row_count());
}

/* A listener lives as long as any process has it open. */
TEST_F(lifetime, close_of_the_last_descriptor_ends_it)
{
	int fd = lq_listener(variant->family, 1);
	int copy = dup(fd);

	close(fd);
	EXPECT_EQ(1, row_count());
	EXPECT_EQ(1, lq_num(copy, "asked"));
	close(copy);
	EXPECT_EQ(0, row_count());
}

/* Ways to stop listening that leave the socket. */
static void by_shutdown(int fd)
{
	if (shutdown(fd, SHUT_RD))
		abort();
}

static void (*const stops[])(int fd) = {
	by_shutdown, lq_end_listening,
};

TEST_F(lifetime, shutdown_and_disconnect_end_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		int fd = lq_listener(variant->family, 1);

		EXPECT_TRUE(lq_listed(fd));
		stops[i](fd);
		EXPECT_FALSE(lq_listed(fd));
		EXPECT_EQ(0, row_count());
		close(fd);
	}
}

/* Nothing of the first life is left in the second one. */
TEST_F(lifetime, listening_again_begins_anew)
{
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		int fd = lq_bound(variant->family,
				  lq_loopback(variant->family), 0);
		unsigned long long cookie = lq_cookie(fd);
		long long before;
		pid_t pid;

		/* The first life is another process' doing. */
		pid = lq_fork();
		if (!pid) {
			lq_listen(fd, 40);
			_exit(0);
		}
		ASSERT_EQ(0, lq_reap(pid));
		lq_connect(fd);
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
		EXPECT_EQ(40, lq_num(fd, "asked"));
		EXPECT_EQ(pid, lq_num(fd, "pid"));
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "since_ms") >= 500));

		stops[i](fd);
		ASSERT_FALSE(lq_listed(fd));
		before = lq_now_ms();
		lq_listen(fd, 3);
		check_since(_metadata, fd, before);
		EXPECT_EQ(cookie, lq_cookie(fd));
		EXPECT_EQ(3, lq_num(fd, "asked"));
		EXPECT_EQ(3, lq_num(fd, "granted"));
		EXPECT_EQ(3, lq_num(fd, "limit"));
		EXPECT_EQ(0, lq_num(fd, "acceptq"));
		EXPECT_EQ(getpid(), lq_num(fd, "pid"));
		EXPECT_STREQ("-", lq_str(fd, "acceptq_oldest_ms"));
		close(fd);
	}
}

/* The same, over and over: a record that is left behind would show. */
TEST_F(lifetime, listening_again_often)
{
	int fd = lq_bound(variant->family, lq_loopback(variant->family), 0);

	for (int i = 0; i < 300; i++) {
		lq_listen(fd, i);
		stops[i % ARRAY_SIZE(stops)](fd);
		if (i % 50)
			continue;
		lq_listen(fd, i + 1000);
		EXPECT_EQ(i + 1000, lq_num(fd, "asked"));
		stops[i % ARRAY_SIZE(stops)](fd);
	}
	EXPECT_EQ(0, row_count());
}

static pid_t child_that_listens(int family, int fd)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		abort();
	pid = lq_fork();
	if (!pid) {
		int own = lq_listener(family, 1);

		close(fd);
		if (own < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		abort();
	close(ready[0]);
	return pid;
}

TEST_F(lifetime, the_end_of_its_process_ends_it)
{
	pid_t pid = child_that_listens(variant->family, -1);

	EXPECT_EQ(1, row_count());
	kill(pid, SIGKILL);
	lq_reap(pid);
	EXPECT_TRUE(lq_wait_until(row_count() == 0));

	pid = lq_fork();
	if (!pid) {
		lq_listener(variant->family, 1);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_TRUE(lq_wait_until(row_count() == 0));
}

/* The latest listen() on the socket counts, whoever it was. */
TEST_F(lifetime, listen_by_another_process)
{
	int fd = lq_listener(variant->family, 8);
	pid_t pid;

	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	pid = lq_fork();
	if (!pid) {
		lq_listen(fd, 9);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_EQ(9, lq_num(fd, "asked"));
	EXPECT_EQ(pid, lq_num(fd, "pid"));
}

/* Connections that wait go with their listener; a new one has none. */
TEST_F(lifetime, the_port_again_on_a_new_socket)
{
	int fd = lq_bound(variant->family, lq_loopback(variant->family), 0);
	int port = lq_port(fd);
	char cookie[20];

	lq_listen(fd, 5);
	lq_connect(fd);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	strcpy(cookie, lq_cookie_str(fd));
	close(fd);
	EXPECT_EQ(0, row_count());

	EXPECT_TRUE(lq_wait_until(({
		struct lq_addr addr = lq_addr(variant->family,
					      lq_loopback(variant->family),
					      port);
		int one = 1;

		fd = socket(variant->family, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, &addr.sa, addr.len)) {
			close(fd);
			fd = -1;
		}
		fd >= 0;
	})));
	lq_listen(fd, 6);
	EXPECT_EQ(1, row_count());
	EXPECT_STRNE(cookie, lq_cookie_str(fd));
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	EXPECT_EQ(6, lq_num(fd, "asked"));
}

TEST_HARNESS_MAIN
