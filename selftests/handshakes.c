// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a handshake took, from the SYN-ACK to the final ACK: strangers who
 * answer after a time that is measured around them, and a delay on the way.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <time.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "strangers.h"
#include "ledger.h"

#define COLUMNS		16
#define FIRST_END_US	256

LQ_FIXTURE_FAMILIES(handshakes, lq_dummy_up());

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* A line of the file. */
struct times {
	long long count;
	long long sum_us;
	long long columns[COLUMNS];
};

static struct times times_of(int fd)
{
	struct lq_table *table = lq_read(LQ_HANDSHAKES);
	int row = lq_row(table, fd), first = lq_col(table, "256us");
	struct times times = {
		.count = lq_cell_num(table, row, "count"),
		.sum_us = lq_cell_num(table, row, "sum_us"),
	};

	for (int i = 0; i < COLUMNS; i++)
		times.columns[i] = atoll(table->cells[row][first + i]);
	lq_free(table);
	return times;
}

/* The column of so many microseconds: up to 256, 512, ... and more. */
static int column_of(long long us)
{
	long long end = FIRST_END_US;
	int column = 0;

	for (; column < COLUMNS - 1 && us > end; column++)
		end *= 2;
	return column;
}

/* The kernel's clock and ours are read apart from each other. */
#define SLACK_US	1000

/* One handshake, that took so long at least and at most. */
static void check_one(struct __test_metadata *_metadata, struct times times,
		      long long least, long long most)
{
	int first = column_of(least > SLACK_US ? least - SLACK_US : 0);
	long long inside = 0;

	EXPECT_EQ(1, times.count);
	EXPECT_LE(least - SLACK_US, times.sum_us);
	EXPECT_GE(most + SLACK_US, times.sum_us);
	for (int i = first; i <= column_of(most + SLACK_US); i++)
		inside += times.columns[i];
	EXPECT_EQ(1, inside);
	/* And the column is that of the sum. */
	EXPECT_EQ(1, times.columns[column_of(times.sum_us)]);
	TH_LOG("%lld to %lld us: %lld", least, most, times.sum_us);
}

static void wait_us(long long us)
{
	struct timespec ts = {
		.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000,
	};

	nanosleep(&ts, NULL);
}

/* A stranger's handshake with a listener of its own. */
struct handshake {
	long long wait;		/* at least, before the final ACK */
	int fd;
	unsigned int isn;
	/* When the SYN-ACK left at the earliest and at the latest, and so on. */
	long long sent, came, answered, arrived;
};

static void begin(struct handshake *h, int wire, int family, int i)
{
	h->fd = lq_listener_any(family, 5);
	h->sent = now_us();
	lq_send_syns(family, lq_port(h->fd), i, 1);
	wire_synacks(wire, i, 1, &h->isn);
	h->came = now_us();
}

static void finish(struct handshake *h, int family, int i)
{
	long long left = h->came + h->wait - now_us();
	int now, limit;

	if (left > 0)
		wait_us(left);
	h->answered = now_us();
	stranger_acks(family, lq_port(h->fd), i, h->isn);
	if (!lq_wait_until(lq_tcp_queue(h->fd, &now, &limit) && now == 1))
		errx(1, "no connection after %lld us", h->wait);
	h->arrived = now_us();
}

/*
 * The long ones at the same time. Those who take more than a second get their
 * SYN-ACK more than once, and the first one counts.
 */
TEST_F(handshakes, as_long_as_measured)
{
	struct handshake all[] = {
		{ 0 }, { 700 }, { 1500 }, { 5000 }, { 20000 }, { 90000 },
		{ 300000 }, { 700000 }, { 1600000 }, { 3500000 }, { 4700000 },
	};
	const int brief = 5, count = ARRAY_SIZE(all);
	int wire = wire_open(), family = variant->family;

	if (wire < 0)
		SKIP(return, "the kernel has no packet sockets");
	for (int i = 0; i < brief; i++) {
		begin(&all[i], wire, family, i);
		finish(&all[i], family, i);
	}
	for (int i = brief; i < count; i++)
		begin(&all[i], wire, family, i);
	for (int i = brief; i < count; i++)
		finish(&all[i], family, i);
	for (int i = 0; i < count; i++)
		check_one(_metadata, times_of(all[i].fd),
			  all[i].answered - all[i].came,
			  all[i].arrived - all[i].sent);
	EXPECT_EQ(0, ledger_check(0));
	close(wire);
}

/* Each segment takes its time, so that SYN-ACK and ACK take two. */
TEST_F(handshakes, of_a_slow_network)
{
	const int delay_ms = 30, count = 5;
	int fd = lq_listener(variant->family, 10);
	long long start = now_us(), most;
	struct times times;

	if (lq_run("tc qdisc add dev lo root netem delay 30ms 2>/dev/null"))
		SKIP(return, "no tc, or the kernel has no netem");
	/* One after the other: when connect() returns, the ACK is on its way. */
	for (int i = 0; i < count; i++)
		lq_enqueue(fd);
	most = now_us() - start;
	times = times_of(fd);
	EXPECT_EQ(count, times.count);
	EXPECT_LE(count * 2 * delay_ms * 1000 - SLACK_US, times.sum_us);
	/* The SYNs' own way is not in it. */
	EXPECT_GE(most - count * delay_ms * 1000 + SLACK_US, times.sum_us);
	for (int i = 0; i < column_of(2 * delay_ms * 1000 - SLACK_US); i++)
		EXPECT_EQ(0, times.columns[i]);
}

/* On loopback, hardly any. */
TEST_F(handshakes, of_neighbours)
{
	int fd = lq_listener(variant->family, 20);
	long long start = now_us(), most;
	struct times times;
	int clients[20];

	lq_connect_many(fd, clients, 20);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 20));
	most = now_us() - start;
	times = times_of(fd);
	EXPECT_EQ(20, times.count);
	EXPECT_LT(0, times.sum_us);
	EXPECT_GE(most, times.sum_us);
	TH_LOG("%lld us on average", times.sum_us / 20);
	lq_close_all(clients, 20);
}

/* What has no request has no time of one. */
TEST_F(handshakes, not_of_cookies_and_fast_open)
{
	struct lq_addr addr;
	struct times times;
	int fd, client;

	lq_set_sysctl("ipv4/tcp_syncookies", 2);
	fd = lq_listener(variant->family, 10);
	lq_connect(fd);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	times = times_of(fd);
	EXPECT_EQ(0, times.count);
	EXPECT_EQ(0, times.sum_us);

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	lq_set_sysctl("ipv4/tcp_fastopen", 0x207);
	addr = lq_name(fd);
	lq_set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, 5);
	client = socket(variant->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_EQ(1, sendto(client, "x", 1, MSG_FASTOPEN, &addr.sa, addr.len));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	EXPECT_EQ(1, lq_netstat("TCPFastOpenPassive"));
	times = times_of(fd);
	EXPECT_EQ(0, times.count);
	EXPECT_EQ(0, times.sum_us);
	EXPECT_EQ(0, ledger_check(0));
}

/* The header names where each column ends. */
TEST_F(handshakes, columns)
{
	struct lq_table *table = lq_read(LQ_HANDSHAKES);
	static const char * const names[] = {
		"cookie", "local", "syns", "requests", "finished", "expired",
		"reset", "resent", "cookies_finished", "cookies_failed",
		"fastopens", "fastopen_overflows", "failed", "carried_requests",
		"carried_connections", "count", "sum_us",
	};
	int n = ARRAY_SIZE(names);
	long long end = FIRST_END_US;
	char name[32];

	ASSERT_EQ(n + COLUMNS + 1, table->ncols);
	for (int i = 0; i < n; i++)
		EXPECT_STREQ(names[i], table->cols[i]);
	for (int i = 0; i < COLUMNS - 1; i++, end *= 2) {
		snprintf(name, sizeof(name), "%lldus", end);
		EXPECT_STREQ(name, table->cols[n + i]);
	}
	EXPECT_STREQ("more", table->cols[n + COLUMNS - 1]);
	EXPECT_STREQ("joined", table->cols[n + COLUMNS]);
	lq_free(table);
}

TEST_HARNESS_MAIN
