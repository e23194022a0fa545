// SPDX-License-Identifier: GPL-2.0-only
/*
 * For how long connections have waited for accept(): each one's wait against
 * the clock, and the column that it is counted in.
 *
 * A wait is what an accept() adds to sum_ms, so that the column it must be in
 * is known exactly; the clock is read around the calls that begin and end it,
 * so that a slow machine widens the bounds and can't break them.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* The kernel counts waits in jiffies, which are up to so long. */
#define JIFFY_MS	10
/* A column for the quick: up to 16 ms. */
#define QUICK		2

/* What comes before the columns of the times. */
#define FIRST_TIME	4
#define TIMES		16

#define BACKLOG		300
#define MANY		lq_scaled(200)
#define GROUP		20

/* Client and server without a cookie, and data in the SYN is taken. */
#define FASTOPEN_ALL	0x207

static const char * const columns[] = {
	"cookie", "local", "count", "sum_ms", "4ms", "8ms", "16ms", "32ms",
	"64ms", "128ms", "256ms", "512ms", "1024ms", "2048ms", "4096ms",
	"8192ms", "16384ms", "32768ms", "65536ms", "more",
};

/* Whether the kernel has the function that tells of accept(). */
static bool has_hook(void)
{
	return lq_hook("__inet_accept", "hits") != LQ_NONE;
}

static const char *no_hook(void)
{
	return has_hook() ? NULL : "the kernel has no __inet_accept";
}

/* A listener's row. */
struct waits {
	long long count;
	long long sum_ms;
	long long times[TIMES];
};

static long long figure(const char *text)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (!*text || *end)
		errx(1, LQ_WAITS ": not a number: %s", text);
	return value;
}

static struct waits waits_of(int fd)
{
	struct lq_table *table = lq_read(LQ_WAITS);
	int row = lq_row(table, fd);
	struct waits waits = {
		.count = figure(lq_cell(table, row, "count")),
		.sum_ms = figure(lq_cell(table, row, "sum_ms")),
	};

	for (int i = 0; i < TIMES; i++)
		waits.times[i] = figure(table->cells[row][FIRST_TIME + i]);
	lq_free(table);
	return waits;
}

/* The column of a wait: up to 4 ms, 8, 16, ..., 65536, and more. */
static int time_of(long long ms)
{
	int i = 0;

	for (long long bound = 4; i < TIMES - 1 && ms > bound; bound *= 2)
		i++;
	return i;
}

/* @count accepted at @fd, as its other row and the sum of the times say. */
static void check_count(struct __test_metadata *_metadata, int fd,
			long long count)
{
	struct waits waits = waits_of(fd);
	long long sum = 0;

	for (int i = 0; i < TIMES; i++)
		sum += waits.times[i];
	EXPECT_EQ(count, waits.count);
	EXPECT_EQ(count, sum);
	EXPECT_EQ(count, lq_num(fd, "accepts"));
}

static void serve(int fd, int count)
{
	for (int i = 0; i < count; i++) {
		close(lq_connect(fd));
		lq_accept(fd);
	}
}

/* Between these the handshake of a connection has ended. */
struct held {
	long long from;
	long long until;
	int client;
};

/* A connection to @fd that is the number @place in its queue. */
static struct held hold(struct __test_metadata *_metadata, int fd, int place)
{
	struct held held = { .from = lq_now_ms() };

	held.client = lq_connect(fd);
	/* A client's connect() may return before its ACK has arrived. */
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") >= place));
	held.until = lq_now_ms();
	return held;
}

/* Lets a connection age; how old it is, is measured when it is accepted. */
static void wait_ms(const struct held *held, int ms)
{
	lq_wait_until(lq_now_ms() - held->until >= ms);
}

/*
 * Accepts @held, the head of the queue, by @accept_one; and finds it counted
 * once, in the column that is its wait's, which is as long as the clock and
 * acceptq_oldest_ms say. Returns that wait.
 */
static long long accept_held(struct __test_metadata *_metadata, int fd,
			     const struct held *held,
			     void (*accept_one)(int fd))
{
	struct waits was = waits_of(fd), is;
	long long start, end, oldest, ms;
	int time;

	start = lq_now_ms();
	oldest = lq_num(fd, "acceptq_oldest_ms");
	accept_one(fd);
	end = lq_now_ms();
	is = waits_of(fd);
	ms = is.sum_ms - was.sum_ms;
	time = time_of(ms);

	EXPECT_EQ(was.count + 1, is.count);
	for (int i = 0; i < TIMES; i++) {
		EXPECT_EQ(was.times[i] + (i == time), is.times[i]) {
			TH_LOG("a wait of %lld ms, column %s", ms,
			       columns[FIRST_TIME + i]);
		}
	}

	/* Of the same clock, and the later one. */
	EXPECT_LE(oldest, ms);
	EXPECT_GE(oldest + end - start + LQ_SLACK_MS, ms);
	EXPECT_LE(start - held->until - LQ_SLACK_MS, ms);
	EXPECT_GE(end - held->from + LQ_SLACK_MS, ms);
	/* Another column only where the true wait is a jiffy from its bound. */
	EXPECT_LE(time_of(start - held->until - JIFFY_MS), time);
	EXPECT_GE(time_of(end - held->from + JIFFY_MS), time);
	return ms;
}

/* Whatever the kernel has. */
LQ_FIXTURE(file);

TEST_F(file, header_names_the_bounds)
{
	struct lq_table *table = lq_read(LQ_WAITS);
	struct stat st;

	ASSERT_EQ(0, stat(LQ_WAITS, &st));
	EXPECT_EQ(S_IFREG | 0444, (int)st.st_mode);
	EXPECT_EQ(0, (int)st.st_uid);
	EXPECT_EQ(0, table->nrows);
	ASSERT_EQ((int)ARRAY_SIZE(columns), table->ncols);
	for (int i = 0; i < table->ncols; i++)
		EXPECT_STREQ(columns[i], table->cols[i]);
	lq_free(table);
}

/* Of the only listener, by where it is; how many were accepted is known. */
static void check_unknown(struct __test_metadata *_metadata, int fd)
{
	struct lq_table *table = lq_read(LQ_WAITS);
	int row = lq_find(table, "local", lq_local(fd));

	ASSERT_EQ(1, table->nrows);
	ASSERT_EQ(0, row);
	for (int i = 0; i < (int)ARRAY_SIZE(columns); i++) {
		if (strcmp(columns[i], "cookie") && strcmp(columns[i], "local"))
			EXPECT_STREQ("-", table->cells[row][i]);
	}
	lq_free(table);
	EXPECT_EQ(1, lq_listed_at(fd));
	EXPECT_EQ(1, lq_num_at(fd, "accepts"));
}

TEST_F(file, unknown_without_the_hook)
{
	int fd = lq_listener(AF_INET, BACKLOG);
	struct lq_table *table;

	if (has_hook())
		SKIP(return, "the kernel has __inet_accept");
	lq_connect(fd);
	lq_accept(fd);
	check_unknown(_metadata, fd);
	table = lq_read(LQ_WAITS);
	EXPECT_EQ(0, lq_row(table, fd));
	lq_free(table);
}

/* Its listener in the hash is a subflow, whose connections nobody accepts. */
TEST_F(file, unknown_of_mptcp)
{
	for (int i = 0; i < lq_families(); i++) {
		int family = lq_family(i);
		int fd = lq_bound_mptcp(family, lq_loopback(family), 0);

		lq_listen(fd, 5);
		lq_connect(fd);
		lq_accept(fd);
		check_unknown(_metadata, fd);
		close(fd);
	}
}

/* The same listeners as in sockets, each once. */
TEST_F(file, a_row_per_listener)
{
	struct lq_table *waits, *sockets;
	int fds[GROUP];

	for (int i = 0; i < GROUP; i++) {
		int family = lq_family(i);

		fds[i] = i % 3 ? lq_listener(family, i) :
				 lq_listener_any(family, i);
	}
	waits = lq_read(LQ_WAITS);
	sockets = lq_read(LQ_SOCKETS);
	ASSERT_EQ(GROUP, waits->nrows);
	ASSERT_EQ(GROUP, sockets->nrows);
	for (int i = 0; i < GROUP; i++) {
		const char *local = lq_cell(waits, lq_row(waits, fds[i]),
					    "local");

		EXPECT_STREQ(lq_cell(sockets, lq_row(sockets, fds[i]), "local"),
			     local);
		EXPECT_EQ(lq_port(fds[i]), atoi(strrchr(local, ':') + 1));
	}
	lq_free(sockets);
	lq_free(waits);

	close(fds[7]);
	EXPECT_EQ(GROUP - 1, lq_rows(LQ_WAITS));
}

/* A reader that takes a byte at a time gets what a single read gives. */
TEST_F(file, read_in_chunks)
{
	static const size_t chunks[] = { 1, 7, 4096 };
	struct lq_table *whole;

	for (int i = 0; i < 5 * GROUP; i++) {
		int fd = lq_listener(lq_family(i), 5);

		lq_connect(fd);
		lq_accept(fd);
	}
	whole = lq_read(LQ_WAITS);
	ASSERT_EQ(5 * GROUP, whole->nrows);
	for (int i = 0; i < (int)ARRAY_SIZE(chunks); i++) {
		struct lq_table *parts = lq_read_chunks(LQ_WAITS, chunks[i]);

		ASSERT_EQ(whole->ncols, parts->ncols);
		ASSERT_EQ(whole->nrows, parts->nrows);
		for (int row = 0; row < whole->nrows; row++)
			for (int col = 0; col < whole->ncols; col++)
				EXPECT_STREQ(whole->cells[row][col],
					     parts->cells[row][col]);
		lq_free(parts);
	}
	lq_free(whole);
}

FIXTURE(waits)
{
	int fd;
};

FIXTURE_VARIANT(waits)
{
	int family;
	const char *host;
};

FIXTURE_VARIANT_ADD(waits, ipv4) { AF_INET, "127.0.0.1" };
FIXTURE_VARIANT_ADD(waits, ipv6) { AF_INET6, "::1" };
FIXTURE_VARIANT_ADD(waits, v4_mapped) { AF_INET6, "::ffff:127.0.0.1" };

static int listener_at(int family, const char *host)
{
	int fd = lq_bound(family, host, 0);

	lq_listen(fd, BACKLOG);
	return fd;
}

FIXTURE_SETUP(waits)
{
	LQ_SETUP();
	lq_need_family(variant->family);
	LQ_SKIP_FOR(no_hook());
	self->fd = listener_at(variant->family, variant->host);
	check_count(_metadata, self->fd, 0);
}

FIXTURE_TEARDOWN(waits)
{
}

/* All of them are in the queue at a time, the oldest in front. */
TEST_F(waits, held_for_known_times)
{
	static const int ages[] = { 1500, 300, 48, 6, 0 };
	struct held held[ARRAY_SIZE(ages)];
	long long sum = 0, shorter = 0;
	struct waits waits;

	for (int i = 0; i < (int)ARRAY_SIZE(ages); i++) {
		if (i)
			wait_ms(&held[0], ages[0] - ages[i]);
		held[i] = hold(_metadata, self->fd, i + 1);
	}
	for (int i = 0; i < (int)ARRAY_SIZE(ages); i++) {
		long long ms;

		/* On a slow machine they wait longer than was meant. */
		wait_ms(&held[i], ages[i]);
		ms = accept_held(_metadata, self->fd, &held[i], lq_accept);
		EXPECT_LE(ages[i] - LQ_SLACK_MS, ms);
		sum += ms;
	}
	check_count(_metadata, self->fd, ARRAY_SIZE(ages));
	waits = waits_of(self->fd);
	EXPECT_EQ(sum, waits.sum_ms);
	/* Whoever waited for 1.5 s isn't in the columns up to 1024 as well. */
	for (int i = 0; i < time_of(1024) + 1; i++)
		shorter += waits.times[i];
	EXPECT_GE((int)ARRAY_SIZE(ages) - 1, shorter);
}

/*
 * Who is accepted as soon as he is there hasn't waited, whatever else the
 * machine has to do in between.
 */
TEST_F(waits, not_held)
{
	long long start = lq_now_ms(), from, quick = 0;
	struct waits waits;

	for (int i = 0; i < GROUP; i++) {
		from = lq_now_ms();
		serve(self->fd, 1);
		quick += time_of(lq_now_ms() - from + JIFFY_MS) <= QUICK;
	}
	check_count(_metadata, self->fd, GROUP);
	waits = waits_of(self->fd);
	for (int i = 0; i <= QUICK; i++)
		quick -= waits.times[i];
	EXPECT_GE(0, quick);
	EXPECT_GE(lq_now_ms() - start + GROUP * JIFFY_MS, waits.sum_ms);
}

/* Data that arrives meanwhile isn't the handshake's end, nor is a FIN. */
TEST_F(waits, from_the_handshake_not_from_data)
{
	struct held held = hold(_metadata, self->fd, 1);

	wait_ms(&held, 60);
	ASSERT_EQ(4, write(held.client, "data", 4));
	wait_ms(&held, 120);
	close(held.client);
	EXPECT_LE(120 - LQ_SLACK_MS,
		  accept_held(_metadata, self->fd, &held, lq_accept));
	check_count(_metadata, self->fd, 1);
}

/* accept() takes the oldest, whose wait is its own. */
TEST_F(waits, many_in_their_order)
{
	struct held *held = calloc(MANY, sizeof(*held));
	long long own[TIMES] = { 0 };
	long long sum = 0, first = 0, last = 0;
	struct waits waits;

	ASSERT_NE(NULL, held);
	for (int i = 0; i < MANY; i++) {
		/* Two ages that nobody can mistake for each other. */
		if (i == MANY / 2)
			wait_ms(&held[i - 1], 150);
		held[i] = hold(_metadata, self->fd, i + 1);
	}
	EXPECT_EQ(MANY, lq_num(self->fd, "acceptq"));
	check_count(_metadata, self->fd, 0);
	for (int i = 0; i < MANY; i++) {
		last = accept_held(_metadata, self->fd, &held[i], lq_accept);
		if (!i)
			first = last;
		own[time_of(last)]++;
		sum += last;
	}
	EXPECT_LE(150, first);

	check_count(_metadata, self->fd, MANY);
	waits = waits_of(self->fd);
	EXPECT_EQ(sum, waits.sum_ms);
	for (int i = 0; i < TIMES; i++)
		EXPECT_EQ(own[i], waits.times[i]);
	EXPECT_EQ(0, lq_num(self->fd, "acceptq"));
	free(held);
}

static void end_accepted(int child)
{
	if (child < 0)
		err(1, "accept");
	close(child);
}

static void by_accept(int fd)
{
	end_accepted(accept(fd, NULL, NULL));
}

static void by_accept4_nonblocking(int fd)
{
	end_accepted(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static void by_io_uring(int fd)
{
	end_accepted(lq_uring_accept(fd));
}

static void (*const accepts[])(int fd) = {
	by_accept, by_accept4_nonblocking, lq_accept,
};

TEST_F(waits, each_way_to_accept)
{
	for (int i = 0; i < (int)ARRAY_SIZE(accepts); i++) {
		struct held held = hold(_metadata, self->fd, 1);

		wait_ms(&held, 30);
		accept_held(_metadata, self->fd, &held, accepts[i]);
	}
	check_count(_metadata, self->fd, ARRAY_SIZE(accepts));
}

TEST_F(waits, by_io_uring)
{
	struct held held;
	int probe;

	/* So as to know before one is held. */
	lq_connect(self->fd);
	probe = lq_uring_accept(self->fd);
	if (probe < 0)
		SKIP(return, "the kernel has no io_uring");
	close(probe);
	check_count(_metadata, self->fd, 1);

	held = hold(_metadata, self->fd, 1);
	wait_ms(&held, 30);
	accept_held(_metadata, self->fd, &held, by_io_uring);
	check_count(_metadata, self->fd, 2);
}

/* An accept() that gave nobody anything counts nothing. */
TEST_F(waits, failed_accept)
{
	int flags = fcntl(self->fd, F_GETFL);
	int bound = lq_bound(variant->family, variant->host, 0);

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, flags | O_NONBLOCK));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-1, accept(self->fd, NULL, NULL));
		EXPECT_EQ(EAGAIN, errno);
	}
	EXPECT_EQ(-1, accept(bound, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	check_count(_metadata, self->fd, 0);
	EXPECT_EQ(0, waits_of(self->fd).sum_ms);
}

/* Then it is accept() that has waited, and not the connection. */
TEST_F(waits, blocked_accept)
{
	long long from, until;
	pid_t pid = lq_fork();

	if (!pid) {
		lq_accept(self->fd);
		_exit(0);
	}
	ASSERT_TRUE(lq_wait_until(lq_state(pid) == 'S'));
	/* It has been in there for longer than it may be counted. */
	from = lq_now_ms();
	lq_wait_until(lq_now_ms() - from >= 200);

	from = lq_now_ms();
	lq_connect(self->fd);
	EXPECT_EQ(0, lq_reap(pid));
	until = lq_now_ms();
	check_count(_metadata, self->fd, 1);
	EXPECT_GE(until - from + LQ_SLACK_MS, waits_of(self->fd).sum_ms);
}

/* The kernel puts such a connection into the queue with its SYN. */
TEST_F(waits, fast_open)
{
	const struct sockaddr *sa;
	struct lq_addr addr;
	struct held held;
	int backlog = 5;

	lq_set_sysctl("ipv4/tcp_fastopen", FASTOPEN_ALL);
	ASSERT_EQ(0, setsockopt(self->fd, IPPROTO_TCP, TCP_FASTOPEN, &backlog,
				sizeof(backlog)));
	addr = lq_addr(variant->family, variant->host, lq_port(self->fd));
	sa = &addr.sa;
	for (int i = 0; i < 2; i++) {
		held.from = lq_now_ms();
		held.client = socket(variant->family, SOCK_STREAM, 0);
		ASSERT_EQ(4, sendto(held.client, "data", 4, MSG_FASTOPEN, sa,
				    addr.len));
		ASSERT_TRUE(lq_wait_until(lq_num(self->fd, "acceptq") == 1));
		held.until = lq_now_ms();
		/* By no handshake of three. */
		ASSERT_EQ(i + 1, lq_netstat("TCPFastOpenPassive"));
		wait_ms(&held, i ? 100 : 0);
		accept_held(_metadata, self->fd, &held, lq_accept);
		check_count(_metadata, self->fd, i + 1);
	}
}

/* A repeated listen() goes on counting, one on a stopped socket begins anew. */
TEST_F(waits, listening_again)
{
	struct held held = hold(_metadata, self->fd, 1);
	long long sum;

	wait_ms(&held, 60);
	sum = accept_held(_metadata, self->fd, &held, lq_accept);
	EXPECT_LE(60 - LQ_SLACK_MS, sum);
	lq_listen(self->fd, 7);
	check_count(_metadata, self->fd, 1);
	EXPECT_EQ(sum, waits_of(self->fd).sum_ms);

	for (int i = 0; i < LQ_STOPS; i++) {
		lq_stops[i](self->fd);
		EXPECT_EQ(0, lq_rows(LQ_WAITS));
		lq_listen(self->fd, BACKLOG);
		check_count(_metadata, self->fd, 0);
		EXPECT_EQ(0, waits_of(self->fd).sum_ms);
		held = hold(_metadata, self->fd, 1);
		accept_held(_metadata, self->fd, &held, lq_accept);
		check_count(_metadata, self->fd, 1);
	}
}

/* "reset" is for the peaks. */
TEST_F(waits, stay_when_peaks_are_reset)
{
	struct held held = hold(_metadata, self->fd, 1);
	long long ms;

	wait_ms(&held, 20);
	ms = accept_held(_metadata, self->fd, &held, lq_accept);
	ASSERT_EQ(0, lq_write_sockets("reset\n"));
	check_count(_metadata, self->fd, 1);
	EXPECT_EQ(ms, waits_of(self->fd).sum_ms);
	EXPECT_EQ(1, waits_of(self->fd).times[time_of(ms)]);
}

/* Each listener has its own, and so has each namespace. */
TEST_F(waits, others_are_not_counted)
{
	int fds[3], there, net, client;
	struct lq_table *table;

	for (int i = 0; i < 3; i++) {
		fds[i] = listener_at(variant->family, variant->host);
		serve(fds[i], 2 + i);
	}
	check_count(_metadata, self->fd, 0);
	for (int i = 0; i < 3; i++)
		check_count(_metadata, fds[i], 2 + i);

	net = lq_netns();
	lq_new_netns();
	there = listener_at(variant->family, variant->host);
	serve(there, 7);
	check_count(_metadata, there, 7);
	EXPECT_EQ(1, lq_rows(LQ_WAITS));

	lq_enter_netns(net);
	serve(fds[0], 1);
	/* It is in the socket's namespace that an accept() counts. */
	client = lq_connect(self->fd);
	lq_new_netns();
	lq_accept(self->fd);
	lq_enter_netns(net);
	table = lq_read(LQ_WAITS);
	EXPECT_EQ(4, table->nrows);
	EXPECT_EQ(-1, lq_find(table, "cookie", lq_cookie_str(there)));
	lq_free(table);
	check_count(_metadata, fds[0], 3);
	check_count(_metadata, fds[2], 4);
	check_count(_metadata, self->fd, 1);
	close(client);
}

LQ_FIXTURE_RELOADS(before_the_load, LQ_SKIP_FOR(no_hook()));

/* What is accepted counts from the load on; a wait is the whole of it. */
TEST_F(before_the_load, counted_from_the_load_on)
{
	int fd = lq_listener(AF_INET, BACKLOG);
	struct held held;

	lq_connect(fd);
	lq_accept(fd);
	check_count(_metadata, fd, 1);
	held = hold(_metadata, fd, 1);

	ASSERT_EQ(0, lq_unload());
	wait_ms(&held, 300);
	ASSERT_EQ(0, lq_load());
	check_count(_metadata, fd, 0);
	EXPECT_LE(300 - LQ_SLACK_MS,
		  accept_held(_metadata, fd, &held, lq_accept));
	check_count(_metadata, fd, 1);
}

TEST_HARNESS_MAIN
