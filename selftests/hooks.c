// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the file hooks counts, against what was done. Its figures are the
 * whole machine's: a test that found somebody else's listen() among its own
 * tries again, and a hook that miscounts does so each time.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define TRIES	5
#define ROUNDS	20

/* The hook that sees each listen() on a TCP socket, on this kernel. */
static const char *innermost;

FIXTURE(hooks) { };

FIXTURE_SETUP(hooks)
{
	LQ_SETUP();
	innermost = lq_hook("inet_listen", "hits") == LQ_NONE ?
		    "__inet_listen_sk" : "inet_listen";
}

FIXTURE_TEARDOWN(hooks) { }

enum { ASK, ADJUST, START, STOP, HOOKS };

static const char *symbol(int hook)
{
	static const char * const symbols[] = {
		[ASK] = "__sys_listen",
		[START] = "inet_csk_listen_start",
		[STOP] = "inet_csk_listen_stop",
	};

	return hook == ADJUST ? innermost : symbols[hook];
}

/* @action, done ROUNDS times, makes each hook fire as @often each time. */
static void check_hits(struct __test_metadata *_metadata,
		       void (*action)(int round), const int often[HOOKS])
{
	long long before[HOOKS], missed[HOOKS], hits[HOOKS], expected[HOOKS];
	bool exact = false;

	for (int h = 0; h < HOOKS; h++)
		expected[h] = lq_is_inlined(symbol(h)) ? 0 : ROUNDS * often[h];
	for (int i = 0; i < TRIES && !exact; i++) {
		for (int h = 0; h < HOOKS; h++) {
			before[h] = lq_hook(symbol(h), "hits");
			missed[h] = lq_hook(symbol(h), "nmissed");
		}
		for (int round = 0; round < ROUNDS; round++)
			action(round);
		exact = true;
		for (int h = 0; h < HOOKS; h++) {
			/* What was missed isn't counted: no verdict then. */
			if (lq_hook(symbol(h), "nmissed") != missed[h])
				exact = false;
			hits[h] = lq_hook(symbol(h), "hits") - before[h];
			if (hits[h] != expected[h])
				exact = false;
		}
	}
	for (int h = 0; h < HOOKS; h++) {
		EXPECT_EQ(expected[h], hits[h]) {
			TH_LOG("%s", symbol(h));
		}
	}
	EXPECT_TRUE(exact);
}

static int listener(int round)
{
	return lq_listener(lq_family(round), round);
}

static void listen_and_close(int round)
{
	close(listener(round));
}

static void listen_twice_and_close(int round)
{
	int fd = listener(round);

	lq_listen(fd, round + 1);
	close(fd);
}

static void listen_again_and_close(int round)
{
	int fd = listener(round);

	lq_end_listening(fd);
	lq_listen(fd, round);
	close(fd);
}

static void fail_to_listen(int round)
{
	if (lq_try_listen(-1, round) != EBADF)
		abort();
}

static void do_nothing(int round)
{
}

/* Connections are none of these hooks' business. */
static void connect_and_accept(int round)
{
	static int fd = -1;
	int client;

	if (fd < 0)
		fd = lq_listener(AF_INET, 5);
	client = lq_connect(fd);
	lq_accept(fd);
	close(client);
}

static const int none[HOOKS];

TEST_F(hooks, one_hit_for_each_call)
{
	static const int once[HOOKS] = { 1, 1, 1, 1 };

	check_hits(_metadata, do_nothing, none);
	check_hits(_metadata, listen_and_close, once);
}

TEST_F(hooks, repeated_listen_starts_nothing)
{
	static const int often[HOOKS] = {
		[ASK] = 2, [ADJUST] = 2, [START] = 1, [STOP] = 1,
	};

	check_hits(_metadata, listen_twice_and_close, often);
}

TEST_F(hooks, listening_again_starts)
{
	static const int twice[HOOKS] = { 2, 2, 2, 2 };

	check_hits(_metadata, listen_again_and_close, twice);
}

TEST_F(hooks, failed_listen_is_asked_only)
{
	static const int often[HOOKS] = { [ASK] = 1 };

	check_hits(_metadata, fail_to_listen, often);
}

TEST_F(hooks, connections_hit_nothing)
{
	connect_and_accept(0);
	check_hits(_metadata, connect_and_accept, none);
}

static const char *state(const struct lq_table *table, const char *symbol)
{
	int row = lq_find(table, "symbol", symbol);

	if (row < 0)
		errx(1, "no hook %s", symbol);
	return lq_cell(table, row, "state");
}

/* Whether the kernel has the function, or one of its modules here. */
static bool kernel_has(const char *function)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[1024], name[512];
	bool has = false;

	if (!file)
		err(1, "/proc/kallsyms");
	while (!has && fgets(line, sizeof(line), file))
		has = sscanf(line, "%*s %*[tT] %511s", name) == 1 &&
		      !strcmp(name, function);
	fclose(file);
	return has;
}

/*
 * The symbols in their order, each in a state that has a name: those of
 * functions that this kernel can't have are no loss.
 */
TEST_F(hooks, states)
{
	static const char * const required[] = {
		"inet_csk_listen_start", "inet_csk_listen_stop",
	};
	static const char * const optional[] = {
		"__sys_listen", "__sys_listen_socket", "tcp_conn_request",
		"tcp_v4_syn_recv_sock", "__inet_accept",
	};
	struct lq_table *table = lq_read(LQ_HOOKS);
	const char *inner = state(table, "__inet_listen_sk");
	const char *outer = state(table, "inet_listen");

	EXPECT_STREQ("symbol", table->cols[0]);
	EXPECT_STREQ("how", table->cols[1]);
	EXPECT_STREQ("state", table->cols[2]);
	EXPECT_STREQ("hits", table->cols[3]);
	EXPECT_STREQ("nmissed", table->cols[4]);
	EXPECT_STREQ("serves", table->cols[5]);

	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		EXPECT_STREQ("on", state(table, required[i]));
	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		bool on = kernel_has(optional[i]);

		EXPECT_STREQ(on ? "on" : "unneeded", state(table, optional[i]));
		EXPECT_EQ(on, lq_hook(optional[i], "hits") != LQ_NONE);
	}

	/* IPv6 may be there and off, or a module that came after ours. */
	EXPECT_EQ(lq_has_family(AF_INET6) || kernel_has("tcp_v6_syn_recv_sock"),
		  !!strcmp("unneeded", state(table, "tcp_v6_syn_recv_sock")));

	/* One of the two serves, not both, unless the inner one has two callers. */
	if (kernel_has("__inet_listen_sk")) {
		EXPECT_STREQ("on", inner);
		EXPECT_STREQ(lq_is_inlined("__inet_listen_sk") ? "on" : "unneeded",
			     outer);
	} else {
		EXPECT_STREQ("unneeded", inner);
		EXPECT_STREQ("on", outer);
	}

	EXPECT_STREQ("unrecorded",
		     lq_cell(table, table->nrows - 1, "symbol"));
	lq_free(table);
}

/* Nothing that the tests of this file did went past the hooks. */
TEST_F(hooks, no_listener_without_a_record)
{
	long long before = lq_hook("unrecorded", "hits");

	ASSERT_LE(0, before);
	for (int i = 0; i < ROUNDS; i++)
		EXPECT_EQ(i, lq_num(lq_listener(AF_INET, i), "asked"));
	EXPECT_EQ(before, lq_hook("unrecorded", "hits"));
}

TEST_HARNESS_MAIN
