// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program asked of listen(), what the kernel's clamp granted and the
 * limit in force: Send-Q is the kernel's word for the last.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define THREADS		2
#define PER_THREAD	200
#define TASKS		64
#define PER_TASK	4

FIXTURE(asked)
{
	bool loaded_rds;
};

LQ_FAMILIES(asked);

FIXTURE_SETUP(asked)
{
	LQ_SETUP();
	lq_need_family(variant->family);
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(asked)
{
	/* It would be listening in the namespaces of all tests to come. */
	if (self->loaded_rds)
		lq_run("modprobe -r rds_tcp");
}

struct expectation {
	int asked;
	int granted;
};

/* The kernel compares without a sign: below 0 is more than all there is. */
static const struct expectation expectations[] = {
	{ 0, 0 },
	{ 1, 1 },
	{ 5, 5 },
	{ SOMAXCONN_HERE - 1, SOMAXCONN_HERE - 1 },
	{ SOMAXCONN_HERE, SOMAXCONN_HERE },
	{ SOMAXCONN_HERE + 1, SOMAXCONN_HERE },
	{ INT_MAX, SOMAXCONN_HERE },
	{ -1, SOMAXCONN_HERE },
	{ INT_MIN, SOMAXCONN_HERE },
};

/* What the file and ss have of @count listeners. */
static void check_all(struct __test_metadata *_metadata, const int *fds,
		      const struct expectation *expected, int count)
{
	struct lq_ss rows[32];
	int listed = lq_ss_listeners(rows, ARRAY_SIZE(rows));

	for (int i = 0; i < count; i++) {
		const struct lq_ss *ss = lq_ss_find(rows, listed,
						    lq_cookie(fds[i]));

		EXPECT_EQ(expected[i].asked, lq_num(fds[i], "asked"));
		EXPECT_EQ(expected[i].granted, lq_num(fds[i], "granted"));
		EXPECT_EQ(expected[i].granted, lq_num(fds[i], "limit"));
		ASSERT_NE(NULL, ss);
		EXPECT_EQ(expected[i].granted, ss->sendq);
	}
}

static void check(struct __test_metadata *_metadata, int fd, int asked,
		  int granted)
{
	const struct expectation expected = { asked, granted };

	check_all(_metadata, &fd, &expected, 1);
}

TEST_F(asked, first_listen)
{
	int fds[ARRAY_SIZE(expectations)];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = lq_listener(variant->family, expectations[i].asked);
	check_all(_metadata, fds, expectations, ARRAY_SIZE(fds));
}

TEST_F(asked, repeated_listen)
{
	int fd = lq_listener(variant->family, 33);

	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		lq_listen(fd, expectations[i].asked);
		check_all(_metadata, &fd, &expectations[i], 1);
	}
}

/* The clamp acts at listen(), not when somaxconn changes. */
TEST_F(asked, somaxconn_changes)
{
	int fd = lq_listener(variant->family, 5000);

	lq_set_somaxconn(SOMAXCONN_HERE * 2);
	check(_metadata, fd, 5000, SOMAXCONN_HERE);
	lq_listen(fd, 5001);
	check(_metadata, fd, 5001, SOMAXCONN_HERE * 2);
	lq_set_somaxconn(3);
	check(_metadata, fd, 5001, SOMAXCONN_HERE * 2);
	lq_listen(fd, 5002);
	check(_metadata, fd, 5002, 3);
}

struct thread {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int asked;
	int fds[PER_THREAD];
};

static void *listen_often(void *arg)
{
	struct thread *thread = arg;

	pthread_barrier_wait(thread->barrier);
	for (int i = 0; i < PER_THREAD; i++)
		lq_listen(thread->fds[i], thread->asked);
	return NULL;
}

static void listen_at_once(struct __test_metadata *_metadata,
			   struct thread threads[THREADS])
{
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int t = 0; t < THREADS; t++) {
		threads[t].barrier = &barrier;
		ASSERT_EQ(0, pthread_create(&threads[t].thread, NULL,
					    listen_often, &threads[t]));
	}
	for (int t = 0; t < THREADS; t++)
		ASSERT_EQ(0, pthread_join(threads[t].thread, NULL));
}

/* One process, two threads: the argument is the thread's, not the process'. */
TEST_F(asked, threads_at_once)
{
	struct thread threads[THREADS] = {
		{ .asked = -1000 }, { .asked = 1000000 },
	};
	struct lq_table *table;

	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < PER_THREAD; i++)
			threads[t].fds[i] = lq_bound_loopback(variant->family);
	listen_at_once(_metadata, threads);

	table = lq_read(LQ_SOCKETS);
	ASSERT_EQ(THREADS * PER_THREAD, table->nrows);
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < PER_THREAD; i++) {
			int row = lq_row(table, threads[t].fds[i]);

			ASSERT_EQ(threads[t].asked,
				  lq_cell_num(table, row, "asked"));
			ASSERT_EQ(SOMAXCONN_HERE,
				  lq_cell_num(table, row, "granted"));
			ASSERT_EQ(getpid(), lq_cell_num(table, row, "pid"));
		}
	}
	lq_free(table);
}

struct task {
	pid_t pid;
	char locals[PER_TASK][64];
	char ready;
};

/* Many tasks listen at once, each for a figure of its own. */
TEST_F(asked, tasks_at_once)
{
	struct task *tasks = lq_shared(sizeof(*tasks) * TASKS);
	struct lq_table *table;
	int go[2], ready = 0;
	char c;

	ASSERT_EQ(0, pipe(go));
	for (int t = 0; t < TASKS; t++) {
		int fds[PER_TASK];
		pid_t pid = lq_fork();

		if (pid) {
			tasks[t].pid = pid;
			continue;
		}
		close(go[1]);
		for (int i = 0; i < PER_TASK; i++)
			fds[i] = lq_bound_loopback(variant->family);
		/* The end of the pipe starts all of them. */
		if (read(go[0], &c, 1))
			_exit(1);
		for (int i = 0; i < PER_TASK; i++) {
			lq_listen(fds[i], 1000 + t * PER_TASK + i);
			strcpy(tasks[t].locals[i], lq_local(fds[i]));
		}
		tasks[t].ready = 1;
		pause();
		_exit(0);
	}
	close(go[1]);
	EXPECT_TRUE(lq_wait_until(({
		ready = 0;
		for (int t = 0; t < TASKS; t++)
			ready += __atomic_load_n(&tasks[t].ready,
						 __ATOMIC_ACQUIRE);
		ready == TASKS;
	})));

	table = lq_read(LQ_SOCKETS);
	ASSERT_EQ(TASKS * PER_TASK, table->nrows);
	for (int t = 0; t < TASKS; t++) {
		for (int i = 0; i < PER_TASK; i++) {
			int row = lq_find(table, "local", tasks[t].locals[i]);

			ASSERT_LE(0, row);
			ASSERT_EQ(1000 + t * PER_TASK + i,
				  lq_cell_num(table, row, "asked"));
			ASSERT_EQ(tasks[t].pid, lq_cell_num(table, row, "pid"));
		}
	}
	lq_free(table);
	for (int t = 0; t < TASKS; t++)
		lq_kill(tasks[t].pid);
}

/* listen() on one socket by two threads: the row is one of the two's. */
TEST_F(asked, one_socket_two_threads)
{
	struct thread threads[THREADS] = { { .asked = 11 }, { .asked = 22 } };
	int fd = lq_bound_loopback(variant->family);
	struct lq_ss ss;
	long long last;

	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < PER_THREAD; i++)
			threads[t].fds[i] = fd;
	listen_at_once(_metadata, threads);

	last = lq_num(fd, "asked");
	EXPECT_TRUE(last == 11 || last == 22);
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(ss.sendq, lq_num(fd, "granted"));
	EXPECT_EQ(ss.sendq, lq_num(fd, "limit"));
}

/*
 * The entry of 32-bit programs, which a 64-bit program reaches as well; no
 * 32-bit libc is needed for it.
 */
#ifdef __x86_64__
#define I386_SOCKETCALL		102
#define I386_LISTEN		363
#define SOCKETCALL_LISTEN	4

static int i386_syscall(int nr, int a, int b)
{
	int ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(nr), "b"(a), "c"(b)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static int i386_listen(int fd, int backlog)
{
	return i386_syscall(I386_LISTEN, fd, backlog);
}

static int i386_socketcall_listen(int fd, int backlog)
{
	unsigned int *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
				  0);
	int ret;

	if (args == MAP_FAILED)
		err(1, "mmap");
	args[0] = fd;
	args[1] = backlog;
	ret = i386_syscall(I386_SOCKETCALL, SOCKETCALL_LISTEN,
			   (int)(unsigned long)args);
	munmap(args, 4096);
	return ret;
}

/* A kernel without the entry answers with SIGSEGV. */
static bool have_i386(void)
{
	pid_t pid = lq_fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(i386_listen(-1, 0) != -EBADF);
	}
	return !lq_reap(pid);
}

TEST_F(asked, by_a_32_bit_program)
{
	int (*const entries[])(int fd, int backlog) = {
		i386_listen, i386_socketcall_listen,
	};

	if (!have_i386())
		SKIP(return, "the kernel runs no 32-bit programs");

	for (size_t e = 0; e < ARRAY_SIZE(entries); e++) {
		int fds[ARRAY_SIZE(expectations)];

		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			fds[i] = lq_bound_loopback(variant->family);
			ASSERT_EQ(0, entries[e](fds[i], expectations[i].asked));
		}
		check_all(_metadata, fds, expectations, ARRAY_SIZE(fds));
	}
}
#endif

/* Bound to a port at which somebody listens already. */
static int bound_too_late(struct __test_metadata *_metadata, int family)
{
	int fds[2];

	for (int i = 0; i < 2; i++) {
		struct lq_addr addr = lq_addr(family, lq_loopback(family),
					      i ? lq_port(fds[0]) : 0);

		fds[i] = socket(family, SOCK_STREAM, 0);
		lq_set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
		ASSERT_EQ(0, lq_try_bind(fds[i], &addr));
	}
	lq_listen(fds[0], 1);
	return fds[1];
}

/* Each way for listen() to fail; all of them leave @backlog unused. */
static void fail_to_listen(struct __test_metadata *_metadata, int family,
			   int backlog)
{
	int late = bound_too_late(_metadata, family);
	int connected = lq_connect(lq_listener(family, 1));
	int udp = socket(family, SOCK_DGRAM, 0);
	int files[2];

	ASSERT_EQ(0, pipe(files));
	EXPECT_EQ(EINVAL, lq_try_listen(connected, backlog));
	EXPECT_EQ(EOPNOTSUPP, lq_try_listen(udp, backlog));
	EXPECT_EQ(ENOTSOCK, lq_try_listen(files[0], backlog));
	EXPECT_EQ(EBADF, lq_try_listen(-1, backlog));
	/* The last one, since it gets furthest. */
	EXPECT_EQ(EADDRINUSE, lq_try_listen(late, backlog));
	EXPECT_FALSE(lq_listed(connected));
	EXPECT_FALSE(lq_listed(late));
}

TEST_F(asked, by_io_uring)
{
	int fd = lq_bound_loopback(variant->family);
	int error = lq_uring_listen(fd, INT_MAX);

	if (error == -1 || error == EINVAL)
		SKIP(return, "the kernel has no io_uring that listens");
	ASSERT_EQ(0, error);
	check(_metadata, fd, INT_MAX, SOMAXCONN_HERE);
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));

	ASSERT_EQ(0, lq_uring_listen(fd, 3));
	check(_metadata, fd, 3, 3);
}

/* A listener that didn't succeed in listening again is as it was. */
TEST_F(asked, failed_listen_changes_nothing)
{
	int fd = lq_listener(variant->family, 9);

	fail_to_listen(_metadata, variant->family, 77);
	check(_metadata, fd, 9, 9);
	lq_listen(fd, 10);
	check(_metadata, fd, 10, 10);
}

/*
 * What the file has of a listener that the kernel made by itself and for which
 * it asked for @backlog, all of which it got. Where that is what somaxconn
 * would have left of more, it may not be known what was asked.
 */
static void check_in_kernel(struct __test_metadata *_metadata,
			    const char *proto, const char *local, int backlog,
			    bool may_be_unknown)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "local", local);
	long long asked;

	ASSERT_LE(0, row);
	EXPECT_STREQ(proto, lq_cell(table, row, "proto"));
	asked = lq_cell_num(table, row, "asked");
	if (!may_be_unknown || asked != LQ_NONE)
		EXPECT_EQ(backlog, asked);
	EXPECT_EQ(backlog, lq_cell_num(table, row, "granted"));
	EXPECT_EQ(backlog, lq_cell_num(table, row, "limit"));
	lq_free(table);
}

#define MPTCP_BACKLOG	1024

/*
 * MPTCP's path manager listens within the system call of ip, whose task's own
 * listen(@backlog) has succeeded once and failed in each way since. False
 * where the kernel can't do it.
 */
static bool listen_by_mptcp(struct __test_metadata *_metadata, int family,
			    int backlog)
{
	pid_t pid = lq_fork();

	if (!pid) {
		lq_listener(family, backlog);
		fail_to_listen(_metadata, family, backlog);
		execlp("ip", "ip", "mptcp", "endpoint", "add",
		       lq_loopback(family), "port", "7777", "signal", NULL);
		_exit(127);
	}
	return !lq_reap(pid);
}

static void check_mptcp(struct __test_metadata *_metadata, int family,
			bool may_be_unknown)
{
	if (family == AF_INET)
		check_in_kernel(_metadata, "mptcp", "127.0.0.1:7777",
				MPTCP_BACKLOG, may_be_unknown);
	else
		check_in_kernel(_metadata, "mptcp6", "[::1]:7777",
				MPTCP_BACKLOG, may_be_unknown);
}

/*
 * A listener that the kernel makes by itself, in the context of a task whose
 * own listen() has just failed, shows what the kernel asked for: neither the
 * task's figure nor one that somaxconn has clamped.
 */
TEST_F(asked, failed_listen_before_an_in_kernel_one)
{
	if (!listen_by_mptcp(_metadata, variant->family, 100000))
		SKIP(return, "no MPTCP endpoint with a port");
	check_mptcp(_metadata, variant->family, false);
}

/* Nor where the task would have been granted the same. */
TEST_F(asked, failed_listen_that_would_be_granted_the_same)
{
	lq_set_somaxconn(MPTCP_BACKLOG);
	if (!listen_by_mptcp(_metadata, variant->family, 100000))
		SKIP(return, "no MPTCP endpoint with a port");
	check_mptcp(_metadata, variant->family, true);
}

/* RDS listens in each new namespace, within unshare(). */
TEST_F(asked, failed_listen_before_rds)
{
	bool loaded = !access("/sys/module/rds_tcp", F_OK);

	/* Loading it opens a port of the machine's own, too. */
	if (!loaded && !getenv("LISTENQ_VM"))
		SKIP(return, "not loading rds_tcp outside a VM");
	if (!loaded && lq_run("modprobe -q rds_tcp 2>/dev/null"))
		SKIP(return, "the kernel has no rds_tcp");
	self->loaded_rds = !loaded;
	fail_to_listen(_metadata, variant->family, 77);
	lq_new_netns();
	if (lq_has_family(AF_INET6))
		check_in_kernel(_metadata, "tcp6", "[::]:16385", 64, false);
	else
		check_in_kernel(_metadata, "tcp", "0.0.0.0:16385", 64, false);
}

TEST_HARNESS_MAIN
