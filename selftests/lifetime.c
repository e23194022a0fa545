// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a listener begins and ends: each way to stop listening takes its row
 * away, and listening again on the same socket starts from nothing.
 */

#define _GNU_SOURCE
#include <err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

LQ_FIXTURE_FAMILIES(lifetime);

/* Another process calls listen(), and ends. */
static pid_t listen_by_another(int fd, int backlog)
{
	pid_t pid = lq_fork();

	if (!pid) {
		lq_listen(fd, backlog);
		_exit(0);
	}
	if (lq_reap(pid))
		errx(1, "listen() by another process");
	return pid;
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

	ASSERT_EQ(1, lq_rows(LQ_SOCKETS));
	close(fd);
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
}

/* A listener lives as long as any process has it open. */
TEST_F(lifetime, close_of_the_last_descriptor_ends_it)
{
	int fd = lq_listener(variant->family, 1);
	int copy = dup(fd);

	close(fd);
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_EQ(1, lq_num(copy, "asked"));
	close(copy);
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
}

TEST_F(lifetime, shutdown_and_disconnect_end_it)
{
	for (int i = 0; i < LQ_STOPS; i++) {
		int fd = lq_listener(variant->family, 1);

		EXPECT_TRUE(lq_listed(fd));
		lq_stops[i](fd);
		EXPECT_FALSE(lq_listed(fd));
		EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
		close(fd);
	}
}

/* Nothing of the first life is left in the second one. */
TEST_F(lifetime, listening_again_begins_anew)
{
	for (int i = 0; i < LQ_STOPS; i++) {
		int fd = lq_bound_loopback(variant->family);
		unsigned long long cookie = lq_cookie(fd);
		/* The first life is another process' doing. */
		pid_t pid = listen_by_another(fd, 40);
		long long before;

		lq_connect(fd);
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
		EXPECT_EQ(40, lq_num(fd, "asked"));
		EXPECT_EQ(pid, lq_num(fd, "pid"));
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "since_ms") >= 500));

		lq_stops[i](fd);
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
	int fd = lq_bound_loopback(variant->family);

	for (int i = 0; i < 300; i++) {
		lq_listen(fd, i);
		lq_stops[i % LQ_STOPS](fd);
		if (i % 50)
			continue;
		lq_listen(fd, i + 1000);
		EXPECT_EQ(i + 1000, lq_num(fd, "asked"));
		lq_stops[i % LQ_STOPS](fd);
	}
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
}

TEST_F(lifetime, the_end_of_its_process_ends_it)
{
	pid_t pid = lq_fork_ready();

	if (!pid) {
		lq_listener(variant->family, 1);
		lq_stay();
	}
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	lq_kill(pid);
	EXPECT_TRUE(lq_wait_until(lq_rows(LQ_SOCKETS) == 0));

	pid = lq_fork();
	if (!pid) {
		lq_listener(variant->family, 1);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_TRUE(lq_wait_until(lq_rows(LQ_SOCKETS) == 0));
}

/* The latest listen() on the socket counts, whoever it was. */
TEST_F(lifetime, listen_by_another_process)
{
	int fd = lq_listener(variant->family, 8);
	pid_t pid;

	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	pid = listen_by_another(fd, 9);
	EXPECT_EQ(9, lq_num(fd, "asked"));
	EXPECT_EQ(pid, lq_num(fd, "pid"));
}

/* Connections that wait go with their listener; a new one has none. */
TEST_F(lifetime, the_port_again_on_a_new_socket)
{
	int fd = lq_listener(variant->family, 5);
	struct lq_addr addr = lq_name(fd);
	char cookie[20];

	lq_connect(fd);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	strcpy(cookie, lq_cookie_str(fd));
	close(fd);
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));

	fd = socket(variant->family, SOCK_STREAM, 0);
	lq_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_TRUE(lq_wait_until(!lq_try_bind(fd, &addr)));
	lq_listen(fd, 6);
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_STRNE(cookie, lq_cookie_str(fd));
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	EXPECT_EQ(6, lq_num(fd, "asked"));
}

TEST_HARNESS_MAIN
