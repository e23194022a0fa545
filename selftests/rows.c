// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is listed in sockets, and under which name: against /proc/net/tcp and
 * /proc/net/tcp6, which walk the same sockets, and against ss.
 */

#define _GNU_SOURCE
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define TCP_ST_LISTEN	0x0a
#define GROUP		8
#define CROWD		100

LQ_FIXTURE(rows);

/* One listener as /proc/net/tcp has it. */
struct tcp_row {
	unsigned int acceptq;
	unsigned int uid;
	unsigned long inode;
	int port;
};

/* Those of one of the kernel's files; how many. */
static int read_tcp(const char *path, struct tcp_row *rows, int max)
{
	FILE *file = fopen(path, "r");
	char line[512];
	int n = 0;

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		unsigned int state;
		struct tcp_row row;

		if (sscanf(line,
			   "%*s %*[^:]:%x %*s %x %*x:%x %*s %*s %u %*d %lu",
			   &row.port, &state, &row.acceptq, &row.uid,
			   &row.inode) != 5 || state != TCP_ST_LISTEN)
			continue;
		if (n == max)
			errx(1, "more than %d listeners", max);
		rows[n++] = row;
	}
	fclose(file);
	return n;
}

static int read_all_tcp(struct tcp_row *rows, int max)
{
	int n = read_tcp("/proc/net/tcp", rows, max);

	if (!lq_has_family(AF_INET6))
		return n;
	return n + read_tcp("/proc/net/tcp6", rows + n, max - n);
}

/* @fd's row has @proto, @host and its own port, and ss gives the same. */
static void check_local(struct __test_metadata *_metadata, int fd,
			const char *proto, const char *host)
{
	char expected[128];
	struct lq_ss ss;

	snprintf(expected, sizeof(expected), "%s:%d", host, lq_port(fd));
	EXPECT_STREQ(proto, lq_str(fd, "proto"));
	EXPECT_STREQ(expected, lq_str(fd, "local"));
	ASSERT_TRUE(lq_ss(fd, &ss));
	/* ss has a way of its own to write a socket of both families. */
	if (!strcmp(host, "[::]"))
		snprintf(expected, sizeof(expected), "*:%d", lq_port(fd));
	EXPECT_STREQ(expected, ss.local);
}

TEST_F(rows, columns_stand_in_their_order)
{
	static const char * const cols[] = {
		"proto", "local", "cookie", "inode", "uid", "pid", "comm",
		"asked", "granted", "limit", "rule", "acceptq",
		"acceptq_peak", "acceptq_oldest_ms", "synq", "synq_young",
		"synq_peak", "since_ms", "syns", "accepts", "overflows",
		"synq_drops", "syncookies", "sk_drops", "since_overflow_ms",
		"overflows_ack", "synq_reserved", "acceptq_peak_1m",
		"synq_peak_1m", "group", "fastopenq", "fastopenq_limit",
	};
	struct lq_table *table = lq_read(LQ_SOCKETS);

	ASSERT_LE((int)ARRAY_SIZE(cols), table->ncols);
	for (int i = 0; i < (int)ARRAY_SIZE(cols); i++)
		EXPECT_STREQ(cols[i], table->cols[i]);
	lq_free(table);
}

TEST_F(rows, modes_of_the_files)
{
	static const struct {
		const char *path;
		int mode;
	} files[] = {
		{ LQ_SOCKETS, 0644 }, { LQ_HOOKS, 0444 }, { LQ_CLAMP, 0644 },
		{ LQ_TOTALS, 0444 }, { LQ_WAITS, 0444 },
		{ LQ_HANDSHAKES, 0444 }, { LQ_REFUSED, 0400 },
		{ LQ_DROPS, 0444 }, { LQ_UNIX, 0444 },
	};
	struct stat st;

	for (int i = 0; i < (int)ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, stat(files[i].path, &st));
		EXPECT_EQ(S_IFREG | files[i].mode, (int)st.st_mode);
		EXPECT_EQ(0, (int)st.st_uid);
	}
}

TEST_F(rows, what_does_not_apply_reads_as_a_dash)
{
	static const char * const cols[] = {
		"rule", "acceptq_oldest_ms", "since_overflow_ms", "group",
		"fastopenq", "fastopenq_limit",
	};
	int fd = lq_listener(AF_INET, 1);

	for (int i = 0; i < (int)ARRAY_SIZE(cols); i++)
		EXPECT_STREQ("-", lq_str(fd, cols[i]));
}

TEST_F(rows, ipv4)
{
	check_local(_metadata, lq_listener(AF_INET, 1), "tcp", "127.0.0.1");
	check_local(_metadata, lq_listener_any(AF_INET, 1), "tcp", "0.0.0.0");
}

TEST_F(rows, ipv6)
{
	check_local(_metadata, lq_listener(AF_INET6, 1), "tcp6", "[::1]");
	check_local(_metadata, lq_listener_any(AF_INET6, 1), "tcp6", "[::]");
}

TEST_F(rows, v4_mapped)
{
	int fd = lq_bound(AF_INET6, "::ffff:127.0.0.1", 0);

	lq_listen(fd, 1);
	check_local(_metadata, fd, "tcp6", "[::ffff:127.0.0.1]");
}

TEST_F(rows, bound_to_a_device)
{
	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_bound_loopback(lq_family(i));

		ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo",
					sizeof("lo")));
		lq_listen(fd, 1);
		check_local(_metadata, fd, i ? "tcp6" : "tcp",
			    i ? "[::1]%lo" : "127.0.0.1%lo");
	}
}

/* listen() binds a socket that has no port yet. */
TEST_F(rows, in_a_vrf)
{
	struct lq_addr any = lq_addr(AF_INET, "0.0.0.0", 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (lq_run("ip link add lqvrf type vrf table 10 2>/dev/null && ip link set lqvrf up"))
		SKIP(return, "no vrf devices");
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lqvrf",
				sizeof("lqvrf")));
	/* In this order: the kernel warns when a bound socket changes domain. */
	ASSERT_EQ(0, bind(fd, &any.sa, any.len));
	lq_listen(fd, 1);
	check_local(_metadata, fd, "tcp", "0.0.0.0%lqvrf");

	/* The device goes, the listener stays: its index is all there is. */
	ASSERT_EQ(0, lq_run("ip link del lqvrf"));
	EXPECT_EQ(0, strncmp(lq_str(fd, "local"), "0.0.0.0%", 8));
	EXPECT_GT(atoi(lq_str(fd, "local") + 8), 1);
}

TEST_F(rows, bound_by_listen_itself)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_LE(0, fd);
	lq_listen(fd, 3);
	ASSERT_NE(0, lq_port(fd));
	check_local(_metadata, fd, "tcp", "0.0.0.0");
	EXPECT_EQ(3, lq_num(fd, "asked"));
	EXPECT_EQ(3, lq_num(fd, "limit"));
}

/* An MPTCP listener is listed as its TCP subflow, which alone is hashed. */
TEST_F(rows, mptcp)
{
	static const struct {
		struct lq_kind kind;
		const char *proto;
	} kinds[] = {
		{ { AF_INET, SOCK_STREAM, IPPROTO_MPTCP }, "mptcp" },
		{ { AF_INET6, SOCK_STREAM, IPPROTO_MPTCP }, "mptcp6" },
	};

	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_kind_listener(&kinds[i].kind, 7);
		struct lq_table *table = lq_read(LQ_SOCKETS);
		int row = lq_find(table, "local", lq_local(fd));
		struct lq_ss listeners[ARRAY_SIZE(kinds)];
		const struct lq_ss *ss;

		ASSERT_LE(0, row);
		EXPECT_STREQ(kinds[i].proto, lq_cell(table, row, "proto"));
		EXPECT_STREQ("7", lq_cell(table, row, "asked"));
		EXPECT_STREQ("7", lq_cell(table, row, "granted"));
		EXPECT_STREQ("7", lq_cell(table, row, "limit"));
		EXPECT_STREQ("0", lq_cell(table, row, "acceptq"));
		EXPECT_EQ(getpid(), lq_cell_num(table, row, "pid"));
		ss = lq_ss_find(listeners, lq_ss_listeners(listeners, 2),
				strtoull(lq_cell(table, row, "cookie"), NULL,
					 16));
		ASSERT_NE(NULL, ss);
		EXPECT_STREQ(ss->local, lq_cell(table, row, "local"));
		/* A subflow has no inode of its own on every kernel. */
		EXPECT_EQ(ss->inode == LQ_NONE ? 0 : ss->inode,
			  lq_cell_num(table, row, "inode"));
		lq_free(table);
	}
}

/* @count listeners of one port; they ask for @backlog and up. */
static void listen_as_group(int *fds, int count, int backlog)
{
	for (int i = 0; i < count; i++) {
		fds[i] = lq_bound_shared(AF_INET, "127.0.0.1",
					 i ? lq_port(fds[0]) : 0);
		lq_listen(fds[i], backlog + i);
	}
}

/* Each of a group is a listener, with a queue of its own. */
TEST_F(rows, reuseport_group)
{
	struct lq_ss listeners[GROUP];
	long long waiting = 0;
	int fds[GROUP];

	listen_as_group(fds, GROUP, 50);
	ASSERT_EQ(GROUP, lq_rows(LQ_SOCKETS));

	for (int i = 0; i < 5 * GROUP; i++)
		lq_connect(fds[0]);
	EXPECT_TRUE(lq_wait_until(({
		waiting = 0;
		for (int i = 0; i < GROUP; i++)
			waiting += lq_num(fds[i], "acceptq");
		waiting == 5 * GROUP;
	})));
	ASSERT_EQ(GROUP, lq_ss_listeners(listeners, GROUP));
	for (int i = 0; i < GROUP; i++) {
		const struct lq_ss *ss = lq_ss_find(listeners, GROUP,
						    lq_cookie(fds[i]));

		ASSERT_NE(NULL, ss);
		EXPECT_EQ(ss->recvq, lq_num(fds[i], "acceptq"));
		EXPECT_EQ(50 + i, lq_num(fds[i], "asked"));
		EXPECT_EQ(ss->sendq, lq_num(fds[i], "limit"));
	}
	close(fds[3]);
	EXPECT_EQ(GROUP - 1, lq_rows(LQ_SOCKETS));
}

/* Every row is in the kernel's own lists, and the other way round. */
TEST_F(rows, same_as_proc_net_tcp_and_ss)
{
	struct lq_ss listeners[128];
	struct tcp_row rows[128];
	struct lq_table *table;
	int fds[40];
	int n;

	for (int i = 0; i < 40; i++) {
		fds[i] = lq_listener(lq_family(i), i);
		/* An uneven number of waiting connections, up to the limit. */
		for (int j = 0; j < i % 7; j++)
			lq_connect(fds[i]);
		ASSERT_EQ(0, fchown(fds[i], 1000 + i, -1));
	}
	for (int i = 0; i < 40; i++)
		ASSERT_TRUE(lq_wait_until(lq_num(fds[i], "acceptq") == i % 7));

	table = lq_read(LQ_SOCKETS);
	n = read_all_tcp(rows, ARRAY_SIZE(rows));
	ASSERT_EQ(n, table->nrows);
	for (int i = 0; i < n; i++) {
		char inode[24];
		int row;

		snprintf(inode, sizeof(inode), "%lu", rows[i].inode);
		row = lq_find(table, "inode", inode);
		ASSERT_LE(0, row);
		EXPECT_EQ(rows[i].uid, lq_cell_num(table, row, "uid"));
		EXPECT_EQ(rows[i].acceptq, lq_cell_num(table, row, "acceptq"));
		EXPECT_EQ(rows[i].port,
			  atoi(strrchr(lq_cell(table, row, "local"), ':') + 1));
	}
	ASSERT_EQ(n, lq_ss_listeners(listeners, ARRAY_SIZE(listeners)));
	for (int i = 0; i < 40; i++) {
		const struct lq_ss *ss = lq_ss_find(listeners, n,
						    lq_cookie(fds[i]));
		int row = lq_row(table, fds[i]);

		ASSERT_NE(NULL, ss);
		EXPECT_EQ(ss->inode, lq_cell_num(table, row, "inode"));
		EXPECT_EQ((long long)lq_inode(fds[i]), ss->inode);
		EXPECT_STREQ(ss->local, lq_cell(table, row, "local"));
		EXPECT_EQ(ss->recvq, lq_cell_num(table, row, "acceptq"));
		EXPECT_EQ(ss->sendq, lq_cell_num(table, row, "limit"));
	}
	lq_free(table);
}

/* A reader that takes a byte at a time gets what a single read gives. */
TEST_F(rows, read_in_chunks)
{
	static const size_t chunks[] = { 1, 7, 4096 };
	struct lq_table *whole;
	int fds[CROWD];

	/* Many buckets of the kernel's hash, and many listeners in one. */
	for (int i = 0; i < CROWD; i++)
		lq_listener(lq_family(i), i);
	listen_as_group(fds, CROWD, 1000);

	whole = lq_read(LQ_SOCKETS);
	ASSERT_EQ(2 * CROWD, whole->nrows);
	for (int i = 0; i < CROWD; i++)
		EXPECT_LE(0, lq_find(whole, "cookie", lq_cookie_str(fds[i])));
	for (int i = 0; i < (int)ARRAY_SIZE(chunks); i++) {
		struct lq_table *parts = lq_read_chunks(LQ_SOCKETS, chunks[i]);

		ASSERT_EQ(whole->ncols, parts->ncols);
		ASSERT_EQ(whole->nrows, parts->nrows);
		for (int row = 0; row < whole->nrows; row++) {
			for (int col = 0; col < whole->ncols; col++) {
				const char *name = whole->cols[col];

				/* The one figure here that time changes. */
				if (!strcmp(name, "since_ms"))
					continue;
				EXPECT_STREQ(whole->cells[row][col],
					     parts->cells[row][col]);
			}
		}
		lq_free(parts);
	}
	lq_free(whole);
}

/* A reader sees the listeners of the namespace that its /proc/net is of. */
TEST_F(rows, other_namespaces_are_not_listed)
{
	int here = lq_listener(AF_INET, 1), there, net = lq_netns();

	lq_new_netns();
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
	there = lq_listener(AF_INET, 2);
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_EQ(2, lq_num(there, "asked"));
	EXPECT_FALSE(lq_listed(here));

	lq_enter_netns(net);
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_EQ(1, lq_num(here, "asked"));
	EXPECT_FALSE(lq_listed(there));
}

/* A listener stays in its namespace, though its process goes elsewhere. */
TEST_F(rows, a_namespace_that_its_process_has_left)
{
	int fd = lq_listener(AF_INET, 1);

	lq_new_netns();
	ASSERT_EQ(0, listen(fd, 6));
	EXPECT_EQ(0, lq_rows(LQ_SOCKETS));
}

TEST_F(rows, what_does_not_listen_is_not_listed)
{
	static const struct lq_kind local = { AF_UNIX, SOCK_STREAM, 0 };
	static const struct lq_kind udp = { AF_INET, SOCK_DGRAM, 0 };
	int listener = lq_listener(AF_INET, 4);
	int fds[6];

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = lq_bound_loopback(AF_INET);
	fds[2] = lq_connect(listener);
	fds[3] = accept(listener, NULL, NULL);
	fds[4] = lq_kind_bound(&udp, 0);
	fds[5] = lq_kind_listener(&local, 9);

	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_TRUE(lq_listed(listener));
	for (int i = 0; i < 6; i++)
		EXPECT_FALSE(lq_listed(fds[i]));
}

TEST_HARNESS_MAIN
