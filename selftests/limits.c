// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rules do to listeners: which limit each kind of rule gives whom, with
 * ss's Send-Q for a witness, and that the queue itself goes by it.
 */

#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define PORT		8080
#define GROUP		50

/* A client's SYN that was dropped is sent again after a second. */
#define RESEND_MS	60000

#define CLIENTS		3
#define CHANGES		60
#define LEAST_EACH	30

#define LATE_ROUNDS	25
#define LATE_MS		400

LQ_FIXTURE_FAMILIES(limits, lq_set_somaxconn(SOMAXCONN_HERE));

/* A row of the file, and what ss has of the same listener. */
static void check_row(struct __test_metadata *_metadata,
		      const struct lq_table *table, int row,
		      const struct lq_ss *shown, int count, const char *rule,
		      long long asked, int granted, int limit)
{
	const char *cookie;
	const struct lq_ss *ss;

	ASSERT_LE(0, row);
	EXPECT_STREQ(rule, lq_cell(table, row, "rule"));
	EXPECT_EQ(asked, lq_cell_num(table, row, "asked"));
	EXPECT_EQ(granted, lq_cell_num(table, row, "granted"));
	EXPECT_EQ(limit, lq_cell_num(table, row, "limit")) {
		TH_LOG("rule %s, asked %lld", rule, asked);
	}
	cookie = lq_cell(table, row, "cookie");
	ss = lq_ss_find(shown, count, strtoull(cookie, NULL, 16));
	ASSERT_NE(NULL, ss);
	EXPECT_EQ(limit, ss->sendq);
}

/* The listener at @local, whose descriptor isn't always to be had. */
static void check_local(struct __test_metadata *_metadata, const char *local,
			const char *rule, long long asked, int granted,
			int limit)
{
	struct lq_ss shown[16];
	/* First: a read of the file would mend what is missing. */
	int count = lq_ss_listeners(shown, ARRAY_SIZE(shown));
	struct lq_table *table = lq_read(LQ_SOCKETS);

	check_row(_metadata, table, lq_find(table, "local", local), shown,
		  count, rule, asked, granted, limit);
	lq_free(table);
}

static void check(struct __test_metadata *_metadata, int fd, const char *rule,
		  long long asked, int granted, int limit)
{
	check_local(_metadata, lq_local(fd), rule, asked, granted, limit);
}

/* Each kind of rule, below somaxconn, above it and at the ends. */
#define ASKED		5

struct kind {
	const char *words;
	int limits[ASKED];
};

static const int all_asked[ASKED] = { -1, 0, 5, 128, INT_MAX };
static const int all_granted[ASKED] = {
	SOMAXCONN_HERE, 0, 5, 128, SOMAXCONN_HERE,
};

static const struct kind kinds[] = {
	{ "somaxconn 20", { 20, 0, 5, 20, 20 } },
	{ "somaxconn 500", { 500, 0, 5, 128, 500 } },
	{ "somaxconn 0", { 0, 0, 0, 0, 0 } },
	{ "somaxconn 2147483647", { INT_MAX, 0, 5, 128, INT_MAX } },
	{ "somaxconn 20 floor 10", { 20, 10, 10, 20, 20 } },
	{ "somaxconn 20 floor 300", { 300, 300, 300, 300, 300 } },
	{ "somaxconn 500 floor 200", { 500, 200, 200, 200, 500 } },
	{ "floor 20", { SOMAXCONN_HERE, 20, 20, 128, SOMAXCONN_HERE } },
	{ "floor 500", { 500, 500, 500, 500, 500 } },
	{ "floor 0", { SOMAXCONN_HERE, 0, 5, 128, SOMAXCONN_HERE } },
	{ "floor 2147483647",
	  { INT_MAX, INT_MAX, INT_MAX, INT_MAX, INT_MAX } },
	{ "force 20", { 20, 20, 20, 20, 20 } },
	{ "force 500", { 500, 500, 500, 500, 500 } },
	{ "force 0", { 0, 0, 0, 0, 0 } },
	{ "force 2147483647",
	  { INT_MAX, INT_MAX, INT_MAX, INT_MAX, INT_MAX } },
};

#define KINDS		((int)ARRAY_SIZE(kinds))

/* A kind has ten ports, and a listener for each figure on one of them. */
static int port_of(int kind)
{
	return 1100 + 10 * kind;
}

static const char *selector_of(int kind)
{
	static char text[24];

	snprintf(text, sizeof(text), "%d-%d", port_of(kind), port_of(kind) + 9);
	return text;
}

static void bind_all(int family, int (*fds)[ASKED])
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < ASKED; i++)
			fds[k][i] = lq_bound(family, lq_loopback(family),
					     port_of(k) + i);
}

static void listen_all(int (*fds)[ASKED], const int *backlogs)
{
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < ASKED; i++)
			lq_listen(fds[k][i], backlogs[i]);
}

static int write_kinds(void)
{
	char text[4096], *to = text;

	for (int k = 0; k < KINDS; k++)
		to += sprintf(to, "%s %s\n", selector_of(k), kinds[k].words);
	return lq_clamp(text);
}

/* All listeners in one look at the file and one at ss. */
static void check_all(struct __test_metadata *_metadata, int (*fds)[ASKED],
		      bool ruled)
{
	struct lq_ss shown[KINDS * ASKED];
	int count = lq_ss_listeners(shown, KINDS * ASKED);
	struct lq_table *table = lq_read(LQ_SOCKETS);

	ASSERT_EQ(KINDS * ASKED, table->nrows);
	ASSERT_EQ(KINDS * ASKED, count);
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < ASKED; i++)
			check_row(_metadata, table, lq_row(table, fds[k][i]),
				  shown, count, ruled ? selector_of(k) : "-",
				  all_asked[i], all_granted[i],
				  ruled ? kinds[k].limits[i] : all_granted[i]);
	lq_free(table);
}

TEST_F(limits, first_listen)
{
	int fds[KINDS][ASKED];

	ASSERT_EQ(0, write_kinds());
	bind_all(variant->family, fds);
	listen_all(fds, all_asked);
	check_all(_metadata, fds, true);
	ASSERT_EQ(0, lq_clamp("flush"));
	check_all(_metadata, fds, false);
}

TEST_F(limits, repeated_listen)
{
	static const int before[ASKED] = { 33, 1000, -1, 0, 128 };
	int fds[KINDS][ASKED];

	ASSERT_EQ(0, write_kinds());
	bind_all(variant->family, fds);
	listen_all(fds, before);
	listen_all(fds, all_asked);
	check_all(_metadata, fds, true);
	/* The same once more: what a rule gave is no one's argument. */
	listen_all(fds, all_asked);
	check_all(_metadata, fds, true);
	ASSERT_EQ(0, lq_clamp("flush"));
	check_all(_metadata, fds, false);
}

TEST_F(limits, live_listeners)
{
	int fds[KINDS][ASKED];

	bind_all(variant->family, fds);
	listen_all(fds, all_asked);
	check_all(_metadata, fds, false);
	ASSERT_EQ(0, write_kinds());
	check_all(_metadata, fds, true);
	ASSERT_EQ(0, lq_clamp("flush"));
	check_all(_metadata, fds, false);
}

/* Rules take each other's place over one listener, by precedence. */
TEST_F(limits, rules_come_and_go)
{
	static const struct {
		const char *written;
		const char *rule;
		int limit;
	} steps[] = {
		{ "* somaxconn 20", "*", 20 },
		{ "* somaxconn 30", "*", 30 },
		{ "1-65535 force 40", "1-65535", 40 },
		{ "8000-8100 floor 200", "8000-8100", 200 },
		{ "8080 force 50", "8080", 50 },
		{ "8080 somaxconn 60", "8080", 60 },
		/* Those of other ports, whatever they say. */
		{ "8079 force 1\n8081 force 2\n8090-8099 force 3", "8080", 60 },
		{ "8080 clear", "8000-8100", 200 },
		{ "8070-8085 somaxconn 500", "8070-8085", 100 },
		{ "8000-8100 clear", "8070-8085", 100 },
		{ "8070-8085 clear", "1-65535", 40 },
		{ "* clear", "1-65535", 40 },
		{ "1-65535 clear", "-", 100 },
		{ "flush\n* force 7", "*", 7 },
		{ "flush", "-", 100 },
	};
	int fd = lq_bound(variant->family, lq_loopback(variant->family), PORT);

	lq_listen(fd, 100);
	check(_metadata, fd, "-", 100, 100, 100);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(0, lq_clamp(steps[i].written));
		check(_metadata, fd, steps[i].rule, 100, 100, steps[i].limit);
	}
}

/* The port isn't known before listen() returns. */
TEST_F(limits, bound_by_listen_itself)
{
	int first = socket(variant->family, SOCK_STREAM, 0);
	int second = socket(variant->family, SOCK_STREAM, 0);

	lq_write_file("/proc/sys/net/ipv4/ip_local_port_range", "40000 40009");
	ASSERT_EQ(0, lq_clamp("* somaxconn 500\n40000-40009 force 7\n"));
	lq_listen(first, INT_MAX);
	EXPECT_LE(40000, lq_port(first));
	EXPECT_GE(40009, lq_port(first));
	check(_metadata, first, "40000-40009", INT_MAX, SOMAXCONN_HERE, 7);

	ASSERT_EQ(0, lq_clamp("40000-40009 clear\n"));
	check(_metadata, first, "*", INT_MAX, SOMAXCONN_HERE, 500);
	lq_listen(second, 400);
	check(_metadata, second, "*", 400, SOMAXCONN_HERE, 400);
	lq_listen(second, 6);
	check(_metadata, second, "*", 6, 6, 6);
	ASSERT_EQ(0, lq_clamp("flush"));
	check(_metadata, first, "-", INT_MAX, SOMAXCONN_HERE, SOMAXCONN_HERE);
	check(_metadata, second, "-", 6, 6, 6);
}

/* Each life of a socket as a listener begins with the rules of its time. */
TEST_F(limits, listening_again)
{
	for (size_t i = 0; i < LQ_STOPS; i++) {
		int fd = lq_bound(variant->family,
				  lq_loopback(variant->family), PORT);

		ASSERT_EQ(0, lq_clamp("8080 somaxconn 20\n"));
		lq_listen(fd, 50);
		check(_metadata, fd, "8080", 50, 50, 20);
		lq_stops[i](fd);
		EXPECT_FALSE(lq_listed(fd));
		lq_listen(fd, 60);
		ASSERT_EQ(PORT, lq_port(fd));
		check(_metadata, fd, "8080", 60, 60, 20);

		/* Rules that go and come while it doesn't listen. */
		lq_stops[i](fd);
		ASSERT_EQ(0, lq_clamp("flush"));
		lq_listen(fd, 70);
		check(_metadata, fd, "-", 70, 70, 70);
		lq_stops[i](fd);
		ASSERT_EQ(0, lq_clamp("* floor 300"));
		lq_listen(fd, 80);
		check(_metadata, fd, "*", 80, 80, 300);
		ASSERT_EQ(0, lq_clamp("flush"));
		check(_metadata, fd, "-", 80, 80, 80);
		close(fd);
	}
}

/* @fd's accept queue holds @n under @limit, and ss says the same. */
static void check_acceptq(struct __test_metadata *_metadata, int fd, int n,
			  int limit)
{
	struct lq_ss ss;

	/* A client's connect() may return before its ACK has arrived. */
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") >= n));
	EXPECT_EQ(n, lq_num(fd, "acceptq"));
	EXPECT_EQ(limit, lq_num(fd, "limit"));
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(n, ss.recvq);
	EXPECT_EQ(limit, ss.sendq);
}

/* A client that doesn't wait for its connection to @fd. */
static int begin_to_connect(int family, int fd)
{
	struct lq_addr addr = lq_addr(family, lq_loopback(family), lq_port(fd));
	int client = socket(family,
			    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (client < 0 ||
	    (connect(client, &addr.sa, addr.len) && errno != EINPROGRESS))
		err(1, "connect");
	return client;
}

/* Whether it is connected, within @ms. */
static bool connected(int client, int ms)
{
	struct pollfd poll_out = { .fd = client, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&poll_out, 1, ms) != 1)
		return false;
	if (getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len) || error)
		errx(1, "a connection failed: %s", strerror(error));
	return true;
}

/* One more than the queue of @fd has room for: its SYN is dropped. */
static int one_too_many(struct __test_metadata *_metadata, int family, int fd)
{
	long long overflows = lq_netstat("ListenOverflows");
	long long waiting = lq_num(fd, "acceptq");
	int client = begin_to_connect(family, fd);

	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") > overflows));
	EXPECT_FALSE(connected(client, 0));
	EXPECT_EQ(waiting, lq_num(fd, "acceptq"));
	return client;
}

/* Linux' queue under a limit of N, as ever, holds N + 1. */
static void fill(struct __test_metadata *_metadata, int fd, int limit)
{
	long long overflows = lq_netstat("ListenOverflows");

	for (int i = lq_num(fd, "acceptq"); i <= limit; i++)
		lq_connect(fd);
	check_acceptq(_metadata, fd, limit + 1, limit);
	EXPECT_EQ(overflows, lq_netstat("ListenOverflows"));
}

TEST_F(limits, queue_goes_by_the_limit)
{
	int fd = lq_listener(variant->family, 100);
	int first, second, third;

	ASSERT_EQ(0, lq_clamp("* somaxconn 3\n"));
	fill(_metadata, fd, 3);
	first = one_too_many(_metadata, variant->family, fd);

	/* The rule is raised, and the client's next SYN gets in. */
	ASSERT_EQ(0, lq_clamp("* somaxconn 4\n"));
	EXPECT_TRUE(connected(first, RESEND_MS));
	check_acceptq(_metadata, fd, 5, 4);
	second = one_too_many(_metadata, variant->family, fd);

	/* So does one that the rule alone had kept out, when that goes. */
	ASSERT_EQ(0, lq_clamp("flush"));
	EXPECT_TRUE(connected(second, RESEND_MS));
	check_acceptq(_metadata, fd, 6, 100);

	/* A lower limit throws nobody out, and keeps out who comes. */
	ASSERT_EQ(0, lq_clamp("* force 1\n"));
	check_acceptq(_metadata, fd, 6, 1);
	third = one_too_many(_metadata, variant->family, fd);
	lq_accept_many(fd, 5);
	EXPECT_TRUE(connected(third, RESEND_MS));
	check_acceptq(_metadata, fd, 2, 1);
	lq_accept_many(fd, 2);
	check_acceptq(_metadata, fd, 0, 1);
}

/* A small backlog that is built in holds more where a rule says so. */
TEST_F(limits, queue_goes_by_a_floor)
{
	int fd = lq_listener(variant->family, 0);

	fill(_metadata, fd, 0);
	ASSERT_EQ(0, lq_clamp("* floor 10\n"));
	fill(_metadata, fd, 10);
	close(one_too_many(_metadata, variant->family, fd));
}

/* What doesn't depend on the family, or brings its own. */
FIXTURE(others)
{
	bool loaded_rds;
};

FIXTURE_SETUP(others)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(others)
{
	/* It would be listening in the namespaces of all tests to come. */
	if (self->loaded_rds)
		lq_run("modprobe -r rds_tcp");
}

/* The limits that Linux and others have had for years, and their queue. */
TEST_F(others, limits_of_old)
{
	static const int limits[] = { 5, 128 };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		int fd = lq_bound(AF_INET, "127.0.0.1", PORT + i);

		ASSERT_EQ(0, lq_clampf("* somaxconn %d\n", limits[i]));
		lq_listen(fd, INT_MAX);
		check(_metadata, fd, "*", INT_MAX, SOMAXCONN_HERE, limits[i]);
		fill(_metadata, fd, limits[i]);
		close(one_too_many(_metadata, AF_INET, fd));
		close(fd);
	}
}

TEST_F(others, mptcp)
{
	for (int i = 0; i < lq_families(); i++) {
		int family = lq_family(i);
		int fd = lq_bound_mptcp(family, lq_loopback(family), PORT);

		ASSERT_EQ(0, lq_clamp("8080 somaxconn 500\n"));
		lq_listen(fd, INT_MAX);
		check(_metadata, fd, "8080", INT_MAX, SOMAXCONN_HERE, 500);
		lq_listen(fd, 300);
		check(_metadata, fd, "8080", 300, SOMAXCONN_HERE, 300);
		ASSERT_EQ(0, lq_clamp("8080 force 9\n"));
		check(_metadata, fd, "8080", 300, SOMAXCONN_HERE, 9);
		ASSERT_EQ(0, lq_clamp("flush"));
		check(_metadata, fd, "-", 300, SOMAXCONN_HERE, SOMAXCONN_HERE);
		close(fd);
	}
}

TEST_F(others, by_io_uring)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", PORT), error;

	ASSERT_EQ(0, lq_clamp("8080 somaxconn 500 floor 10\n"));
	error = lq_uring_listen(fd, INT_MAX);
	if (error == -1 || error == EINVAL)
		SKIP(return, "the kernel has no io_uring that listens");
	ASSERT_EQ(0, error);
	check(_metadata, fd, "8080", INT_MAX, SOMAXCONN_HERE, 500);
	ASSERT_EQ(0, lq_uring_listen(fd, 3));
	check(_metadata, fd, "8080", 3, 3, 10);
	ASSERT_EQ(0, lq_clamp("flush"));
	check(_metadata, fd, "-", 3, 3, 3);
}

/* The kernel's own servers asked for what they got. */
TEST_F(others, in_kernel_server)
{
	/* Loading it opens a port of the machine's own, too. */
	bool loaded = !access("/sys/module/rds_tcp", F_OK);
	const char *local = lq_has_family(AF_INET6) ? "[::]:16385" :
						      "0.0.0.0:16385";
	static const struct {
		const char *words;
		int limit;
	} steps[] = {
		{ "somaxconn 10", 10 }, { "somaxconn 500", 64 },
		{ "floor 500", 500 }, { "force 7", 7 },
	};

	if (!loaded && !getenv("LISTENQ_VM"))
		SKIP(return, "not loading rds_tcp outside a VM");
	if (!loaded && lq_run("modprobe -q rds_tcp 2>/dev/null"))
		SKIP(return, "the kernel has no rds_tcp");
	self->loaded_rds = !loaded;
	/* It listens in each new namespace. */
	lq_new_netns();
	check_local(_metadata, local, "-", 64, 64, 64);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(0, lq_clampf("16385 %s\n", steps[i].words));
		check_local(_metadata, local, "16385", 64, 64, steps[i].limit);
	}
	ASSERT_EQ(0, lq_clamp("flush"));
	check_local(_metadata, local, "-", 64, 64, 64);
}

/* One that begins to listen under a rule: MPTCP's path manager. */
TEST_F(others, in_kernel_server_under_a_rule)
{
	static const char local[] = "127.0.0.1:7777";

	ASSERT_EQ(0, lq_clamp("7777 somaxconn 100\n"));
	if (lq_run("ip mptcp endpoint add 127.0.0.1 port 7777 signal 2>/dev/null"))
		SKIP(return, "no MPTCP endpoint with a port");
	check_local(_metadata, local, "7777", 1024, 1024, 100);
	ASSERT_EQ(0, lq_clamp("7777 floor 2000\n"));
	check_local(_metadata, local, "7777", 1024, 1024, 2000);
	ASSERT_EQ(0, lq_clamp("7777 clear\n"));
	check_local(_metadata, local, "-", 1024, 1024, 1024);
}

/* All listeners of one port, each by what it asked for. */
TEST_F(others, reuseport_group)
{
	static const struct {
		const char *rule;
		const char *selector;
		int most;
		int least;
	} steps[] = {
		{ "8080 force 7\n", "8080", 7, 7 },
		{ "8080 somaxconn 20\n", "8080", 20, 0 },
		{ "8080 clear\n* floor 30\n", "*", INT_MAX, 30 },
		{ "8000-8099 somaxconn 25 floor 10\n", "8000-8099", 25, 10 },
		{ "flush\n", "-", INT_MAX, 0 },
	};
	int fds[GROUP];

	for (int i = 0; i < GROUP; i++) {
		fds[i] = lq_bound_shared(AF_INET, "127.0.0.1", PORT);
		lq_listen(fds[i], i);
	}
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		struct lq_ss shown[GROUP];
		struct lq_table *table;

		ASSERT_EQ(0, lq_clamp(steps[s].rule));
		table = lq_read(LQ_SOCKETS);
		ASSERT_EQ(GROUP, table->nrows);
		ASSERT_EQ(GROUP, lq_ss_listeners(shown, GROUP));
		for (int i = 0; i < GROUP; i++) {
			int limit = i < steps[s].most ? i : steps[s].most;

			if (limit < steps[s].least)
				limit = steps[s].least;
			check_row(_metadata, table, lq_row(table, fds[i]),
				  shown, GROUP, steps[s].selector, i, i, limit);
		}
		lq_free(table);
	}
}

/* A program that listens on @fd, and stays. */
static pid_t other_program(int fd, int backlog)
{
	pid_t pid = lq_fork_ready();

	if (!pid) {
		lq_listen(fd, backlog);
		lq_stay();
	}
	return pid;
}

/*
 * Who takes another program's listener by pidfd_getfd() and calls listen() on
 * it has the last word on what was asked; the rule acts on that.
 */
TEST_F(others, listen_by_another_program)
{
	int own = lq_bound(AF_INET, "127.0.0.1", PORT), fd;
	pid_t pid;

	ASSERT_EQ(0, lq_clamp("8080 somaxconn 20\n"));
	pid = other_program(own, 50);
	EXPECT_EQ(pid, lq_num(own, "pid"));
	check(_metadata, own, "8080", 50, 50, 20);

	fd = lq_take_fd(pid, own);
	/* Where that may not be called: what was there before the fork. */
	if (fd < 0)
		fd = own;
	else
		close(own);

	lq_listen(fd, 10);
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	check(_metadata, fd, "8080", 10, 10, 10);
	lq_listen(fd, 90);
	check(_metadata, fd, "8080", 90, 90, 20);
	ASSERT_EQ(0, lq_clamp("8080 somaxconn 60\n"));
	check(_metadata, fd, "8080", 90, 90, 60);
	ASSERT_EQ(0, lq_clamp("8080 floor 200\n"));
	check(_metadata, fd, "8080", 90, 90, 200);
	ASSERT_EQ(0, lq_clamp("8080 clear\n"));
	check(_metadata, fd, "-", 90, 90, 90);
	lq_kill(pid);
}

/* What clients and the writer of rules tell of themselves. */
struct traffic {
	atomic_int stop;
	atomic_int finished;
	atomic_int failed;
	atomic_int wrong_limits;
	atomic_int connections[CLIENTS];
};

/* A byte there, a byte back. */
static bool exchange(const struct lq_addr *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte = 'a';
	bool done;

	done = fd >= 0 && !connect(fd, &addr->sa, addr->len) &&
	       write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 &&
	       byte == 'b';
	close(fd);
	return done;
}

static pid_t start_client(struct traffic *traffic, int number, int port)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);
	atomic_int *connections = &traffic->connections[number];
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	while (!traffic->stop || *connections < LEAST_EACH) {
		if (!exchange(&addr)) {
			traffic->failed++;
			break;
		}
		++*connections;
	}
	traffic->finished++;
	_exit(0);
}

/* Never below what these few clients need. */
static pid_t start_writer(struct traffic *traffic, int fd)
{
	static const struct {
		const char *rules;
		int limit;
	} steps[] = {
		{ "flush\n* somaxconn 64\n", 64 },
		{ "flush\n* floor 500\n", 500 },
		{ "8080 force 16\n", 16 },
		{ "8080 clear\n", 500 },
		{ "flush\n", 100 },
		{ "* force 2147483647\n", INT_MAX },
		{ "flush\n8000-8100 somaxconn 32 floor 8\n", 32 },
	};
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	for (int i = 0; i < CHANGES; i++) {
		int step = i % ARRAY_SIZE(steps);

		if (lq_clamp(steps[step].rules))
			traffic->failed++;
		/* By the time that the write has returned. */
		if (lq_num(fd, "limit") != steps[step].limit)
			traffic->wrong_limits++;
	}
	traffic->stop = 1;
	_exit(0);
}

static void serve(struct traffic *traffic, int fd)
{
	long long deadline = lq_now_ms() + 90000;

	while (traffic->finished < CLIENTS && lq_now_ms() < deadline) {
		struct pollfd poll_in = { .fd = fd, .events = POLLIN };
		int child;
		char byte;

		if (poll(&poll_in, 1, 50) != 1)
			continue;
		child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (child < 0 || read(child, &byte, 1) != 1 ||
		    write(child, "b", 1) != 1)
			traffic->failed++;
		close(child);
	}
}

/* Rules change under a listener at work, and no client notices. */
TEST_F(others, live_change_under_load)
{
	struct traffic *traffic = lq_shared(sizeof(*traffic));
	int fd = lq_bound(AF_INET, "127.0.0.1", PORT);
	pid_t pids[CLIENTS + 1];

	lq_listen(fd, 100);
	for (int i = 0; i < CLIENTS; i++)
		pids[i] = start_client(traffic, i, PORT);
	pids[CLIENTS] = start_writer(traffic, fd);
	serve(traffic, fd);

	EXPECT_EQ(1, traffic->stop);
	ASSERT_EQ(CLIENTS, traffic->finished);
	for (int i = 0; i <= CLIENTS; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	EXPECT_EQ(0, traffic->failed);
	EXPECT_EQ(0, traffic->wrong_limits);
	for (int i = 0; i < CLIENTS; i++)
		EXPECT_LE(LEAST_EACH, traffic->connections[i]);
	/* Nor was a SYN lost that came through by being sent again. */
	EXPECT_EQ(0, lq_netstat("ListenOverflows"));
	EXPECT_EQ(0, lq_netstat("ListenDrops"));
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
}

/* Two threads that call listen() on one socket, each with a backlog of its own. */
struct late {
	int fd;
	atomic_uint calls[2];
	atomic_bool over;
	bool seen;	/* one of the calls has returned late */
	long long end;
};

/* Until the other one has made two calls during one of this one's, or for a while. */
static void *call_late(void *arg)
{
	struct late *late = arg;

	while (!late->over) {
		unsigned int others = late->calls[1];

		lq_listen(late->fd, 100);
		late->seen = late->calls[1] - others >= 2;
		if (late->seen || lq_now_ms() > late->end)
			late->over = true;
		late->calls[0]++;
	}
	return NULL;
}

/* Two calls for each that returns to the other one. */
static void *call_twice(void *arg)
{
	struct late *late = arg;
	unsigned int others;

	while (!late->over) {
		others = late->calls[0];
		for (int i = 0; i < 2; i++) {
			lq_listen(late->fd, 101);
			late->calls[1]++;
		}
		while (late->calls[0] == others && !late->over)
			;
	}
	return NULL;
}

/*
 * Of two calls of listen(), the one that has stored its limit first may be the last to
 * return: what is known is who asked for the limit in force. Where processors are
 * emulated in turns, a call is held up in each part of it now and then.
 */
TEST_F(others, a_call_that_returns_late)
{
	struct lq_ss ss;
	int seen = 0;

	for (int round = 0; round < LATE_ROUNDS; round++) {
		struct late late = {
			.fd = lq_listener(AF_INET, 100),
			.end = lq_now_ms() + LATE_MS,
		};
		pthread_t threads[2];

		ASSERT_EQ(0, pthread_create(&threads[0], NULL, call_late, &late));
		ASSERT_EQ(0, pthread_create(&threads[1], NULL, call_twice, &late));
		for (int i = 0; i < 2; i++)
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
		seen += late.seen;
		ASSERT_TRUE(lq_ss(late.fd, &ss));
		ASSERT_EQ(ss.sendq, lq_num(late.fd, "asked"));
		ASSERT_EQ(ss.sendq, lq_num(late.fd, "granted"));
		close(late.fd);
	}
	TH_LOG("%d of %d calls were late", seen, LATE_ROUNDS);
}

LQ_FIXTURE_RELOADS(before_the_load, lq_set_somaxconn(SOMAXCONN_HERE));

/*
 * What a listener from before the load asked for isn't known: `somaxconn` can
 * lower it and can't raise it, `floor` and `force` can.
 */
TEST_F(before_the_load, granted_stands_for_asked)
{
	static const struct {
		const char *rule;
		int limit;
	} steps[] = {
		{ "* somaxconn 500\n", 50 },
		{ "* somaxconn 20\n", 20 },
		{ "* somaxconn 500 floor 60\n", 60 },
		{ "* floor 200\n", 200 },
		{ "* floor 20\n", 50 },
		{ "* force 500\n", 500 },
		{ "* force 9\n", 9 },
	};
	int fds[2];

	ASSERT_EQ(0, lq_unload());
	for (int i = 0; i < 2; i++)
		fds[i] = lq_listener(lq_family(i), 50);
	ASSERT_EQ(0, lq_load());
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		ASSERT_EQ(0, lq_clamp(steps[s].rule));
		for (int i = 0; i < 2; i++)
			check(_metadata, fds[i], "*", LQ_NONE, 50,
			      steps[s].limit);
	}
	ASSERT_EQ(0, lq_clamp("flush"));
	for (int i = 0; i < 2; i++)
		check(_metadata, fds[i], "-", LQ_NONE, 50, 50);

	/* When it listens again, it is known what it asked for. */
	ASSERT_EQ(0, lq_clamp("* somaxconn 500\n"));
	for (int i = 0; i < 2; i++) {
		lq_listen(fds[i], 300);
		check(_metadata, fds[i], "*", 300, SOMAXCONN_HERE, 300);
	}
}

TEST_HARNESS_MAIN
