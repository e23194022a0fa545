// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many listeners: none is lost or shown twice, each has what it asked for,
 * and each costs little.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define MOST		10000
#define MANY		lq_scaled(MOST)
#define GROUP		lq_scaled(8000)
#define NAMESPACES	lq_scaled(200)
#define BACK_TO_BACK	1024
#define AT_ONCE		lq_scaled(2000)
/* Bytes of slab that a listener may cost: a record's. */
#define BUDGET		704
/* The same where the kernel tells why it drops a segment, and a record has 832. */
#define BUDGET_REASONS	880
/* The same where the allocator fills sheaves, from 6.18 on, which leaves slabs in part. */
#define BUDGET_SHEAVES	800
/* Listeners that come and go, and the bytes that may be left of each. */
#define LIVES		4000
#define LEFT		128
#define RECORD_CACHE	"/sys/kernel/slab/listenq_record"

/* Shared with children; whatever the scale, BACK_TO_BACK fit as well. */
static int *room_for_many(void)
{
	const struct rlimit files = { 2 * MOST, 2 * MOST };

	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	return lq_shared(MOST * sizeof(int));
}

FIXTURE(scale)
{
	int *fds;
};

FIXTURE_SETUP(scale)
{
	LQ_SETUP();
	self->fds = room_for_many();
}

FIXTURE_TEARDOWN(scale)
{
}

/* Bound to ports of their own, in blocks of an address each. */
static void bind_many(int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		char host[INET_ADDRSTRLEN];

		snprintf(host, sizeof(host), "127.0.1.%d", 1 + i / 1000);
		fds[i] = lq_bound(AF_INET, host, 1024 + i % 1000);
	}
}

static void close_many(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static int by_number(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* How many of the listeners @table does not show exactly once. */
static int not_once(const struct lq_table *table, const int *fds, int count)
{
	unsigned long long *shown = calloc(table->nrows + 1, sizeof(*shown));
	int bad = 0;

	if (!shown)
		err(1, "calloc");
	for (int i = 0; i < table->nrows; i++)
		shown[i] = strtoull(lq_cell(table, i, "cookie"), NULL, 16);
	qsort(shown, table->nrows, sizeof(*shown), by_number);

	for (int i = 0; i < count; i++) {
		unsigned long long cookie = lq_cookie(fds[i]);
		unsigned long long *at = bsearch(&cookie, shown, table->nrows,
						 sizeof(*shown), by_number);

		if (!at || (at > shown && at[-1] == cookie) ||
		    (at + 1 < shown + table->nrows && at[1] == cookie))
			bad++;
	}
	free(shown);
	return bad;
}

/* Bound to the port of an SO_REUSEPORT group; 0: the first of a new one. */
static int joined(int family, int port)
{
	struct lq_addr addr = lq_addr(family, family == AF_INET ?
				      "127.0.0.1" : "::1", port);
	int fd = socket(family, SOCK_STREAM, 0);
	const int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
				 sizeof(one)) ||
	    bind(fd, &addr.sa, addr.len))
		err(1, "a socket of the group");
	return fd;
}

static int member(int family, int port)
{
	int fd = joined(family, port);

	lq_listen(fd, 1);
	return fd;
}

/* @count of them; returns their port. */
static int make_group(int family, int *fds, int count)
{
	int port = 0;

	for (int i = 0; i < count; i++) {
		fds[i] = member(family, port);
		port = lq_port(fds[i]);
	}
	return port;
}

/*
 * Listens and closes, over and over: in the group of those that stay, or, with
 * no @port, anywhere; older and newer than them.
 */
static pid_t come_and_go(int family, int port)
{
	pid_t pid = lq_fork();
	unsigned int i = 0;
	int fds[64];

	if (pid)
		return pid;
	memset(fds, -1, sizeof(fds));
	for (;; i++) {
		int *fd = &fds[rand() % 64];

		if (*fd >= 0)
			close(*fd);
		*fd = port ? member(family, port) :
			     lq_listener(lq_family(i), 1);
		lq_pause();
	}
}

/* Each read() begins anew: byte by byte, a fifth of the listeners do. */
FIXTURE_VARIANT(scale)
{
	size_t chunk;
	int part;
};

FIXTURE_VARIANT_ADD(scale, by_1)
{
	.chunk = 1,
	.part = 5,
};

FIXTURE_VARIANT_ADD(scale, by_7)
{
	.chunk = 7,
	.part = 1,
};

FIXTURE_VARIANT_ADD(scale, by_4096)
{
	.chunk = 4096,
	.part = 1,
};

FIXTURE_VARIANT_ADD(scale, by_65536)
{
	.chunk = 65536,
	.part = 1,
};

TEST_F_TIMEOUT(scale, none_lost_or_twice, 240)
{
	pid_t churn = come_and_go(AF_UNSPEC, 0);
	int count = MANY / variant->part;
	struct lq_table *table;

	bind_many(self->fds, count);
	for (int i = 0; i < count; i++)
		lq_listen(self->fds[i], 1);

	table = lq_read_chunks(LQ_SOCKETS, variant->chunk);
	EXPECT_GE(table->nrows, count);
	EXPECT_EQ(0, not_once(table, self->fds, count));
	lq_free(table);

	kill(churn, SIGKILL);
	lq_reap(churn);
	close_many(self->fds, count);
}

/* One bucket of the hash holds them all, and those that come and go. */
static int group_not_once(int family, size_t chunk, int *fds, int count)
{
	int port = make_group(family, fds, count / 2);
	pid_t churn = come_and_go(family, port);
	struct lq_table *table;
	int bad;

	for (int i = count / 2; i < count; i++)
		fds[i] = member(family, port);
	table = lq_read_chunks(LQ_SOCKETS, chunk);
	bad = not_once(table, fds, count);
	lq_free(table);

	kill(churn, SIGKILL);
	lq_reap(churn);
	close_many(fds, count);
	return bad;
}

TEST_F_TIMEOUT(scale, group_none_lost_or_twice, 240)
{
	EXPECT_EQ(0, group_not_once(AF_INET, variant->chunk, self->fds,
				    GROUP / variant->part));
}

FIXTURE(many)
{
	int *fds;
};

FIXTURE_SETUP(many)
{
	LQ_SETUP();
	self->fds = room_for_many();
}

FIXTURE_TEARDOWN(many)
{
}

/* The kernel adds new members behind the others there, and not before them. */
TEST_F_TIMEOUT(many, reuseport_group6, 120)
{
	EXPECT_EQ(0, group_not_once(AF_INET6, 4096, self->fds, GROUP));
}

/* One bucket of the hash holds them all. */
TEST_F_TIMEOUT(many, reuseport_group, 120)
{
	struct lq_table *table;

	make_group(AF_INET, self->fds, GROUP);
	table = lq_read_chunks(LQ_SOCKETS, 4095);
	EXPECT_EQ(GROUP, table->nrows);
	EXPECT_EQ(0, not_once(table, self->fds, GROUP));
	lq_free(table);

	/* Every second one goes: the others stay. */
	for (int i = 0; i < GROUP; i += 2) {
		close(self->fds[i]);
		self->fds[i / 2] = self->fds[i + 1];
	}
	table = lq_read(LQ_SOCKETS);
	EXPECT_EQ(GROUP / 2, table->nrows);
	EXPECT_EQ(0, not_once(table, self->fds, GROUP / 2));
	lq_free(table);
	close_many(self->fds, GROUP / 2);
}

/* How many of these have another limit, as the kernel says it. */
static int other_limits(const int *fds, int count, int limit)
{
	int others = 0, waiting, is;

	for (int i = 0; i < count; i++)
		others += lq_tcp_queue(fds[i], &waiting, &is) && is != limit;
	return others;
}

/*
 * A bucket with more sockets than a sweep takes in eight of a reader's passes,
 * whatever the scale: a rule, which a sweep puts in force, forgets none of them.
 */
TEST_F_TIMEOUT(many, reuseport_group_under_a_rule, 120)
{
	const int count = 8 * 400 + 800;
	int port = make_group(AF_INET, self->fds, count);

	EXPECT_EQ(0, other_limits(self->fds, count, 1));
	ASSERT_EQ(0, lq_clampf("%d floor 7", port));
	EXPECT_EQ(0, other_limits(self->fds, count, 7));
	ASSERT_EQ(0, lq_clamp("flush"));
	EXPECT_EQ(0, other_limits(self->fds, count, 1));
	close_many(self->fds, count);
}

/* Cookies that nobody has. */
static void burn_cookies(int count)
{
	while (count--) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (fd < 0)
			err(1, "socket");
		lq_cookie(fd);
		close(fd);
	}
}

/* What it takes of this process' own time. */
static clock_t time_to_read(const char *path)
{
	clock_t start = clock();
	static char buffer[65536];
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		err(1, "%s", path);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (got < 0)
		err(1, "%s", path);
	close(fd);
	return clock() - start;
}

/* The quickest of some reads of each: others take their time, too. */
static void quickest(const char * const paths[2], clock_t times[2])
{
	for (int i = 0; i < 10; i++) {
		clock_t now = time_to_read(paths[i % 2]);

		if (i < 2 || now < times[i % 2])
			times[i % 2] = now;
	}
}

/*
 * Whoever makes a group chooses cookies and order: lots of neighbours, with gaps
 * that widen behind each, and those among the gaps first in the bucket.
 */
TEST_F_TIMEOUT(many, reuseport_group_with_gaps, 120)
{
	static const char * const paths[] = { LQ_SOCKETS, "/proc/net/tcp" };
	static bool late[MOST];
	struct lq_table *table;
	int n = 0, port = 0;
	clock_t times[2];

	lq_pin();
	while (n < GROUP) {
		for (int i = 0; i < 419 && n < GROUP; i++, n++) {
			self->fds[n] = joined(AF_INET, port);
			lq_cookie(self->fds[n]);
			port = lq_port(self->fds[n]);
		}
		for (int gap = 20; gap < 400 && n < GROUP; gap += gap / 3) {
			burn_cookies(gap);
			self->fds[n] = joined(AF_INET, port);
			lq_cookie(self->fds[n]);
			late[n++] = true;
		}
	}
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < GROUP; i++)
			if (late[i] == turn)
				lq_listen(self->fds[i], 1);

	table = lq_read(LQ_SOCKETS);
	EXPECT_EQ(GROUP, table->nrows);
	EXPECT_EQ(0, not_once(table, self->fds, GROUP));
	lq_free(table);
	quickest(paths, times);
	EXPECT_LT(times[0], times[1]);
	close_many(self->fds, GROUP);
}

/* Each namespace has as many listeners as its number says. */
TEST_F_TIMEOUT(many, namespaces, 300)
{
	long long deadline = lq_now_ms() + 150000;
	pid_t *pids = calloc(NAMESPACES, sizeof(*pids));
	atomic_int *ready = lq_shared(sizeof(*ready));
	int wrong = 0, go[2];
	char byte;

	ASSERT_EQ(0, pipe(go));
	for (int i = 0; i < NAMESPACES; i++) {
		struct lq_table *table;
		int right;

		pids[i] = lq_fork();
		if (pids[i])
			continue;
		close(go[1]);
		lq_new_netns();
		for (int n = 0; n < 1 + i % 7; n++)
			self->fds[n] = lq_listener(AF_INET, 1);
		(*ready)++;
		/* The pipe's end is the word for all of them. */
		if (read(go[0], &byte, 1))
			_exit(1);
		table = lq_read(LQ_SOCKETS);
		right = table->nrows == 1 + i % 7;
		for (int n = 0; n < table->nrows; n++)
			if (atoi(lq_cell(table, n, "pid")) != getpid())
				right = 0;
		_exit(!right);
	}
	/* Making one takes a tenth of a second where processors are emulated. */
	while (*ready < NAMESPACES && lq_now_ms() < deadline)
		lq_pause();
	ASSERT_EQ(NAMESPACES, *ready);
	close(go[1]);
	close(go[0]);
	for (int i = 0; i < NAMESPACES; i++)
		wrong += lq_reap(pids[i]) != 0;
	EXPECT_EQ(0, wrong);
	free(pids);
}

/* More than a work item can make room for while they run. */
TEST_F_TIMEOUT(many, back_to_back, 120)
{
	long long unrecorded = lq_hook("unrecorded", "hits");
	struct lq_table *table;
	int wrong = 0;

	lq_pin();

	bind_many(self->fds, BACK_TO_BACK);
	for (int i = 0; i < BACK_TO_BACK; i++)
		listen(self->fds[i], INT_MAX - i);

	table = lq_read(LQ_SOCKETS);
	ASSERT_EQ(BACK_TO_BACK, table->nrows);
	for (int i = 0; i < BACK_TO_BACK; i++) {
		int row = lq_find(table, "cookie", lq_cookie_str(self->fds[i]));
		char asked[16];

		snprintf(asked, sizeof(asked), "%d", INT_MAX - i);
		if (row < 0 || strcmp(lq_cell(table, row, "asked"), asked))
			wrong++;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(unrecorded, lq_hook("unrecorded", "hits"));
	lq_free(table);
	close_many(self->fds, BACK_TO_BACK);
}

static struct {
	pthread_barrier_t start;
	const int *fds;
} at_once;

static void *listen_at_once(void *arg)
{
	int i = (long)arg;

	pthread_barrier_wait(&at_once.start);
	listen(at_once.fds[i], INT_MAX - i);
	return NULL;
}

static long long all_missed(void)
{
	struct lq_table *table = lq_read(LQ_HOOKS);
	long long sum = 0;

	for (int i = 0; i < table->nrows; i++)
		sum += atoll(lq_cell(table, i, "nmissed"));
	lq_free(table);
	return sum + lq_hook("unrecorded", "hits");
}

/* What isn't known is admitted, and what is known is right. */
TEST_F_TIMEOUT(many, at_once, 120)
{
	pthread_t *threads = lq_shared(AT_ONCE * sizeof(*threads));
	long long missed = all_missed();
	int unknown = 0, wrong = 0;
	struct lq_table *table;
	pthread_attr_t small;

	bind_many(self->fds, AT_ONCE);
	at_once.fds = self->fds;
	ASSERT_EQ(0, pthread_barrier_init(&at_once.start, NULL, AT_ONCE));
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (long i = 0; i < AT_ONCE; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], &small, listen_at_once,
					    (void *)i));
	for (int i = 0; i < AT_ONCE; i++)
		pthread_join(threads[i], NULL);

	table = lq_read(LQ_SOCKETS);
	ASSERT_EQ(AT_ONCE, table->nrows);
	for (int i = 0; i < AT_ONCE; i++) {
		int row = lq_find(table, "cookie", lq_cookie_str(self->fds[i]));
		const char *asked;
		char right[16];

		ASSERT_GE(row, 0);
		asked = lq_cell(table, row, "asked");
		snprintf(right, sizeof(right), "%d", INT_MAX - i);
		if (!strcmp(asked, "-"))
			unknown++;
		else if (strcmp(asked, right))
			wrong++;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_LE(unknown, all_missed() - missed);
	lq_free(table);
	close_many(self->fds, AT_ONCE);
}

static long long file_number(const char *dir, const char *name)
{
	long long number;
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lld", &number) != 1)
		err(1, "%s", path);
	fclose(file);
	return number;
}

/*
 * What the kernel's allocator has taken for records, less what checkers keep
 * beside each; -1 where it won't say.
 */
static long long record_bytes(void)
{
	static const char dir[] = RECORD_CACHE;
	long long slabs, order;

	/* Without CONFIG_SLUB_DEBUG the folder is there, and this is not. */
	if (access(RECORD_CACHE "/slabs", F_OK))
		return -1;
	slabs = file_number(dir, "slabs");
	order = file_number(dir, "order");
	return (slabs * sysconf(_SC_PAGESIZE) << order) *
		file_number(dir, "object_size") / file_number(dir, "slab_size");
}

TEST_F_TIMEOUT(many, memory, 200)
{
	bool sheaves = !access(RECORD_CACHE "/sheaf_capacity", F_OK);
	bool reasons = !strcmp("on", lq_hook_str("sk_skb_reason_drop", "state"));
	long long before = record_bytes();
	long long each;

	if (before < 0)
		SKIP(return, "the kernel lacks CONFIG_SLUB_SYSFS or _DEBUG");
	bind_many(self->fds, MANY);
	for (int i = 0; i < MANY; i++)
		lq_listen(self->fds[i], 1);
	each = (record_bytes() - before) / MANY;
	TH_LOG("%lld bytes of slab a listener", each);
	EXPECT_LE(each, sheaves ? BUDGET_SHEAVES :
			reasons ? BUDGET_REASONS : BUDGET);
	/* They do have records, the first 1,088 of them from the pool. */
	if (MANY > 5000)
		EXPECT_GE(each, 64);
	EXPECT_EQ(MANY, lq_read(LQ_SOCKETS)->nrows);
	EXPECT_EQ(1, lq_num(self->fds[MANY - 1], "asked"));
	close_many(self->fds, MANY);
}

/*
 * What a listener costs goes soon after its end, and not when a sweep finds that it is
 * gone: the third of those, which are half a minute apart.
 */
TEST_F(many, memory_of_those_that_end)
{
	long long before = record_bytes(), start, left;

	if (before < 0)
		SKIP(return, "the kernel lacks CONFIG_SLUB_SYSFS or _DEBUG");
	if (getenv("LISTENQ_SLOW"))
		SKIP(return, "checkers keep what is freed");
	for (int i = 0; i < LIVES; i++)
		close(lq_listener(AF_INET, 1));
	start = lq_now_ms();
	lq_wait_until((left = record_bytes() - before) < LIVES * LEFT ||
		      lq_now_ms() - start > 10000);
	EXPECT_GT(LIVES * LEFT, left);
}

TEST_HARNESS_MAIN
