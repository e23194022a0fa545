// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module comes and goes while clients of AF_UNIX listeners are in the queue, wait
 * for room, are turned away, or none of that: each limit is the kernel's own again, and
 * who waits goes on waiting. How much room there is, clients tell who would not wait.
 */

#define _GNU_SOURCE
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "unix.h"

#define LOADS	lq_scaled(10)

LQ_FIXTURE_RELOADS(unix_undo);

/* How many more a listener has room for; they stay in its queue. */
static int room(int fd)
{
	int count = 0, client;

	while (!unix_dial(fd, SOCK_STREAM, &client)) {
		close(client);
		if (++count > 10000)
			errx(1, "everybody gets in");
	}
	return count;
}

static void accept_many(int fd, int count)
{
	while (count--)
		unix_accept(fd);
}

/* Known from the load on, and what was there before it came from nowhere. */
TEST_F(unix_undo, listeners_from_before_the_load)
{
	int fd, clients[2];
	pid_t pid;

	ASSERT_EQ(0, lq_unload());
	fd = unix_listener(SOCK_STREAM, 1);
	ASSERT_EQ(2, unix_fill(fd, SOCK_STREAM, clients, 2));
	pid = unix_waiter(fd, SOCK_STREAM, 0);
	ASSERT_EQ(0, lq_load());
	EXPECT_STREQ("-", unix_str(fd, "asked"));
	EXPECT_STREQ("-", unix_str(fd, "pid"));
	EXPECT_EQ(1, unix_num(fd, "granted"));
	EXPECT_EQ(2, unix_num(fd, "acceptq"));
	EXPECT_EQ(2, unix_num(fd, "acceptq_peak"));
	CHECK_UNIX(fd, 0, 0, 0, 0);
	EXPECT_EQ(0, room(fd));
	CHECK_UNIX(fd, 0, 0, 0, 1);
	unix_accept(fd);
	EXPECT_EQ(0, unix_waited(pid));
	CHECK_UNIX(fd, 1, 1, 0, 1);
	accept_many(fd, 2);
	CHECK_UNIX(fd, 1, 3, 0, 1);
	lq_listen(fd, 9);
	EXPECT_EQ(9, unix_num(fd, "asked"));
	EXPECT_EQ(0, lq_hook("unrecorded", "hits"));
}

/* With nothing, with some in the queue, with a full one, and with one that waits. */
TEST_F(unix_undo, the_limit_is_the_kernels_again)
{
	static const int fills[] = { 0, 2, 4, 5 };
	pid_t pid;

	for (int i = 0; i < 4; i++) {
		int fd = unix_listener(SOCK_STREAM, 3), client;

		ASSERT_EQ(0, lq_clamp("unix:* force 1"));
		EXPECT_EQ(2, room(fd));
		accept_many(fd, 2);
		ASSERT_EQ(0, lq_clamp("unix:* floor 10"));
		for (int j = 0; j < fills[i]; j++)
			ASSERT_EQ(0, unix_dial(fd, SOCK_STREAM, &client));
		ASSERT_EQ(0, lq_unload());
		pid = fills[i] > 3 ? unix_waiter(fd, SOCK_STREAM, 0) : 0;
		EXPECT_EQ(fills[i] > 4 ? 0 : 4 - fills[i], room(fd));
		accept_many(fd, fills[i] > 4 ? fills[i] : 4);
		if (pid) {
			EXPECT_EQ(0, unix_waited(pid));
			unix_accept(fd);
		}
		EXPECT_EQ(4, room(fd));
		close(fd);
		ASSERT_EQ(0, lq_load());
	}
}

/* The call began with the module, and ends without it; and the other way round. */
TEST_F(unix_undo, a_client_waits_through_it)
{
	int fd = unix_listener(SOCK_STREAM, 0), client;
	pid_t pids[2];

	ASSERT_EQ(0, unix_dial(fd, SOCK_STREAM, &client));
	pids[0] = unix_waiter(fd, SOCK_STREAM, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 1));
	ASSERT_EQ(0, lq_unload());
	pids[1] = unix_waiter(fd, SOCK_STREAM, 0);
	unix_accept(fd);
	EXPECT_EQ(0, unix_waited(pids[0]));
	ASSERT_EQ(0, lq_load());
	unix_accept(fd);
	EXPECT_EQ(0, unix_waited(pids[1]));
	CHECK_UNIX(fd, 1, 1, 0, 0);
	close(fd);
}

struct storm {
	atomic_llong in;
	atomic_llong out;
	atomic_int over;
};

static void storm(int fd, struct storm *sums)
{
	for (int i = 0; !sums->over; i++) {
		unix_try(fd, SOCK_STREAM, &sums->in, &sums->out);
		lq_breathe(i);
	}
	_exit(0);
}

static void serve(int fd, struct storm *sums)
{
	int child;

	for (int i = 0; !sums->over; i++) {
		child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (child >= 0)
			close(child);
		lq_breathe(i);
	}
	_exit(0);
}

/* Listeners come and go meanwhile. */
static void listen_and_close(struct storm *sums)
{
	for (int i = 0; !sums->over; i++) {
		close(unix_listener(i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, i % 9));
		lq_breathe(i);
	}
	_exit(0);
}

TEST_F(unix_undo, loads_while_all_goes_on)
{
	struct storm *sums = lq_shared(sizeof(*sums));
	int fd = unix_listener(SOCK_STREAM, 2);
	pid_t pids[4];

	lq_unpin();
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	for (int i = 0; i < 4; i++) {
		pids[i] = lq_fork();
		if (pids[i])
			continue;
		if (i < 2)
			storm(fd, sums);
		else if (i == 2)
			serve(fd, sums);
		else
			listen_and_close(sums);
	}
	for (int i = 0; i < LOADS; i++) {
		ASSERT_EQ(0, lq_clampf("unix:* floor %d", i % 5));
		EXPECT_LE(0, unix_num(fd, "eagains"));
		ASSERT_EQ(0, lq_unload());
		ASSERT_EQ(0, lq_load());
	}
	sums->over = 1;
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	EXPECT_LT(0, sums->in);
	EXPECT_EQ(1, lq_rows(LQ_UNIX));
	accept_many(fd, unix_num(fd, "acceptq"));
	EXPECT_EQ(3, room(fd));
}

TEST_HARNESS_MAIN
