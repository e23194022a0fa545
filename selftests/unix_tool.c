// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq(8) and AF_UNIX listeners: of saved files, which need no module, each option
 * that shows them; and of a real one that overflows, a rule for its name.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "explanation.h"
#include "listenq.h"
#include "terminal.h"
#include "unix.h"

/* ---- saved files ---- */

FIXTURE(saved) { };

/* TCP's are those of write_sample(). */
FIXTURE_SETUP(saved)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	write_sample();
	write_text("net/listenq/unix",
		   "type path cookie inode uid pid comm asked granted limit rule acceptq acceptq_peak acceptq_peak_1m since_ms connects accepts waits eagains\n"
		   "stream /run/fpm.sock d4 200 33 - - 511 128 1024 unix:/run/fpm.sock 900 1025 1025 4000 20000 19100 3 77\n"
		   "seqpacket @a\\040b:5 e5 201 0 - - - 5 5 - 0 0 0 40 0 0 0 0\n");
	write_text("net/listenq/clamp",
		   "80 floor 5\nunix:/run/fpm.sock floor 1024\n");
}

FIXTURE_TEARDOWN(saved)
{
	run("rm -rf %s", folder);
}

/* Who parses the table or JSON goes on to see TCP alone. */
TEST_F(saved, tcp_alone_without_an_option)
{
	EXPECT_SAYS("127.0.0.1:7001", tool("--proc ."));
	EXPECT_FALSE(strstr(output, "fpm") || strstr(output, "WAITED"));
	EXPECT_SAYS("127.0.0.1:7001", tool("--proc . -j"));
	EXPECT_FALSE(strstr(output, "fpm"));
	EXPECT_SAYS("listenq_up 1", tool("--proc . -m"));
	EXPECT_FALSE(strstr(output, "listenq_unix"));
}

#define wide(options) \
	run("LC_ALL=C COLUMNS=400 %s --proc . " options " 2>&1", tool_path())

TEST_F(saved, table)
{
	EXPECT_SAYS("unix  /run/fpm.sock", wide("--unix"));
	EXPECT_TRUE(says("@a\\040b:5"));
	EXPECT_TRUE(says("WAITED"));
	EXPECT_TRUE(says("rule unix:/run/fpm.sock"));
	EXPECT_FALSE(strstr(output, "7001"));
	EXPECT_SAYS("/run/fpm.sock", wide("--unix --tcp"));
	EXPECT_TRUE(says("7001"));
	/* What matters most has room in 80 columns. */
	EXPECT_SAYS(" 77 ", tool("--proc . --unix"));
	EXPECT_SAYS("511->1024r", tool("--proc . --unix"));
	/* No Unix socket has a port or an address. */
	EXPECT_OUTPUT("no listeners\n", wide("--unix -p 5"));
	EXPECT_OUTPUT("no listeners\n", wide("--unix -A 0.0.0.0/0"));
}

TEST_F(saved, json)
{
	EXPECT_SAYS("\"proto\": \"unix\", \"type\": \"stream\", \"path\": \"/run/fpm.sock\"",
		    tool("--proc . --unix -j"));
	EXPECT_TRUE(says("\"waits\": 3, \"eagains\": 77"));
	EXPECT_TRUE(says("\"path\": \"@a\\\\040b:5\""));
	EXPECT_TRUE(says("\"asked\": null"));
}

TEST_F(saved, metrics)
{
	EXPECT_SAYS("listenq_unix_eagains_total{path=\"/run/fpm.sock\"} 77\n",
		    tool("--proc . -m --unix"));
	EXPECT_TRUE(says("listenq_unix_waits_total{path=\"/run/fpm.sock\"} 3\n"));
	EXPECT_TRUE(says("listenq_unix_rule_active{path=\"/run/fpm.sock\"} 1\n"));
	EXPECT_TRUE(says("listenq_backlog_limit{proto=\"tcp\""));
	EXPECT_FALSE(strstr(output, "listenq_backlog_limit{path"));
}

/* Both kinds, where nobody says which; and what became of calls of connect(). */
TEST_F(saved, live_view)
{
	static const char * const detail[] = {
		"connections   20000  accepted 19100\n",
		"no room       EAGAIN 77  waited 3\n", "refused/s",
		"/run/fpm.sock", NULL
	};
	char arguments[64];
	pid_t server;

	LQ_SKIP_FOR(lacks("tmux"));
	snprintf(arguments, sizeof(arguments), "--proc %s -w 0.2", folder);
	server = start("", arguments);
	EXPECT_TRUE(lq_wait_until(shows("5 listeners")));
	EXPECT_TRUE(says("/run/fpm.sock") && says("127.0.0.1:7001"));
	press("/ f p m Enter Enter");
	EXPECT_TRUE(shows_all(detail));
	EXPECT_FALSE(strstr(output, "SYN queue"));
	stop(server);
	snprintf(arguments, sizeof(arguments), "--proc %s -w 0.2 --tcp", folder);
	server = start("", arguments);
	EXPECT_TRUE(lq_wait_until(shows("3 listeners")));
	EXPECT_FALSE(strstr(output, "fpm"));
	stop(server);
}

TEST_F(saved, one_by_its_name)
{
	EXPECT_SAYS("/run/fpm.sock", tool("--proc . -A /run/fpm.sock"));
	EXPECT_FALSE(strstr(output, "7001") || strstr(output, "@a"));
	EXPECT_SAYS("@a\\\\040b:5", tool("--proc . -j -A '@a\\040b:5'"));
	EXPECT_FALSE(strstr(output, "fpm"));
	EXPECT_SAYS("@a", tool("--proc . --unix -A 'unix:@a\\040b:5'"));
	EXPECT_OUTPUT("no listeners\n", tool("--proc . -A /run/fpm"));
	/* The last one counts. */
	EXPECT_SAYS("7001", tool("--proc . -A @x -A 127.0.0.1"));
	EXPECT_TROUBLE(tool("--proc . --tcp -A /run/fpm.sock"));
	EXPECT_TROUBLE(tool("--proc . -A /run/fpm.sock log"));
	EXPECT_TROUBLE(tool("--proc . -A unix:"));
	EXPECT_TROUBLE(tool("--proc . -A run/fpm.sock"));
}

TEST_F(saved, check)
{
	int status = tool("--proc . --check --unix");

	EXPECT_EQ(1, status);
	EXPECT_TRUE(says("1 of 2 listeners above 80% of its limit, fullest"));
	EXPECT_TRUE(says("/run/fpm.sock"));
	EXPECT_TRUE(says(": accept queue 900 of 1024, peak 1025 |"));
	EXPECT_TRUE(says(" eagains=77c;;;0\n"));
	EXPECT_FALSE(strstr(output, "overflows"));
	/* As ever where nobody asks for it. */
	EXPECT_EQ(1, tool("--proc . --check"));
	EXPECT_TRUE(says(" overflows="));
	EXPECT_FALSE(strstr(output, "eagains"));
	EXPECT_EQ(1, tool("--proc . --check --unix --tcp"));
	EXPECT_TRUE(says(" overflows=203c;;;0 "));
	EXPECT_TRUE(says(" eagains=77c;;;0\n"));
}

/**
 * struct saved_case - one socket at two looks, or one, and what is wrong with it
 * @finding: its name; "" where nothing is
 * @name: of the socket
 * @limits: asked, granted, limit and the rule
 * @before: acceptq, and connects, accepts, waits, eagains; NULL: no such look
 * @now: the same
 * @says: what the text has
 * @is_young: it has been there for a minute; else for two hours
 * @peak: of its queue, in the last minute, too
 */
struct saved_case {
	const char *finding;
	const char *name;
	const char *limits;
	const char *before;
	const char *now;
	const char *says[4];
	bool is_young;
	int peak;
};

static const struct saved_case saved_cases[] = {
	{ "", "/s", "8 8 8 -", "3 10 7 0 0", "3 20 17 0 0", { } },
	{ "", "/s", "8 8 8 -", "0 10 10 0 5", "0 10 10 0 5", { } },
	{ "", "/s", "8 8 8 -", "3 10 7 - -", "4 11 - - -", { } },
	/* Where the retries of a few clients are counted. */
	{ "burst-asked", "/s", "8 8 8 -", "0 10 10 0 0", "0 11 11 0 90000",
	  { "A limit of 90008 would", "clamp unix:/s floor 512", "More workers" } },
	{ "not-accepting", "/s", "8 8 8 -", "3 10 7 0 0", "3 10 7 0 0",
	  { "3 connections wait", "ss -lxpe | grep -w 200" } },
	{ "slow", "/s", "8 8 8 -", "9 19 10 0 0", "9 29 20 9 0",
	  { "9.0 calls of connect() per second had to wait for room",
	    "10 connections came per second, 10 were accepted" } },
	{ "slow", "/s", "8 8 8 -", "9 19 10 0 0", "9 29 20 0 7",
	  { "7.0 calls of connect() per second got EAGAIN" } },
	{ "burst-somaxconn", "/s", "511 128 128 -", "0 10 10 0 0", "0 139 139 0 60",
	  { "60 calls of connect() got EAGAIN", "60 of them in the",
	    "listenq clamp unix:/s somaxconn 511" } },
	{ "burst-asked", "@a,b\\040c", "8 8 8 -", "0 0 0 0 0", "0 9 9 0 1",
	  { "1 call of connect() got EAGAIN", "A limit of 9 would have",
	    "listenq clamp 'unix:@a\\054b\\040c' floor 16" } },
	{ "burst-rule", "rel", "8 8 9 unix:rel", "0 0 0 0 0", "0 10 10 0 1",
	  { "The rule for unix:rel makes the limit 9" } },
	{ "burst", "-", "- 8 8 -", "0 0 0 0 0", "0 9 9 0 1",
	  { "'unix:*' floor 16" } },
	{ "", "/s", "8 8 8 -", NULL, "0 9 9 0 2", { } },
	/* What the counters of a socket say that is young. */
	{ "burst-asked", "/s", "8 8 8 -", NULL, "0 9 9 0 2", { "2 calls" }, true, 9 },
	{ "burst-asked", "/s", "8 8 8 -", "0 9 9 0 2", "0 9 9 0 2",
	  { "got EAGAIN: the queue was full" }, true, 9 },
	/* It was never full with the limit that it has now. */
	{ "", "/s", "8 8 9 unix:/s", "0 9 9 0 2", "0 9 9 0 2", { }, true, 9 },
	{ "", "/s", "8 8 8 -", NULL, "3 9 6 0 0", { }, true },
};

static void write_look(const struct saved_case *at, const char *figures,
		       const char *dir, int since_ms)
{
	long long acceptq;
	char path[64], row[1024];
	int length;

	sscanf(figures, "%lld%n", &acceptq, &length);
	snprintf(row, sizeof(row),
		 "type path cookie inode uid pid comm asked granted limit rule acceptq acceptq_peak acceptq_peak_1m since_ms connects accepts waits eagains\n"
		 "stream %s d4 200 33 - - %s %lld %d %d %d%s\n", at->name,
		 at->limits, acceptq, at->peak, at->peak, since_ms,
		 figures + length);
	snprintf(path, sizeof(path), "%snet/listenq/unix", dir);
	write_text(path, row);
}

TEST_F(saved, explained)
{
	for (size_t i = 0; i < ARRAY_SIZE(saved_cases); i++) {
		const struct saved_case *at = &saved_cases[i];

		int since_ms = at->is_young ? 60000 : 7200000;

		run("rm -rf before");
		if (at->before) {
			run("mkdir before && cp -r net before/");
			write_look(at, at->before, "before/", since_ms - 1000);
		}
		write_look(at, at->now, "", since_ms);
		EXPECT_EQ(!!*at->finding, tool("--proc . explain --unix -j"));
		EXPECT_STREQ(at->finding, found()) {
			TH_LOG("case %zu", i);
		}
		EXPECT_EQ(!!*at->finding, tool("--proc . explain --unix"));
		EXPECT_TRUE(fits(80));
		for (size_t j = 0; j < ARRAY_SIZE(at->says) && at->says[j]; j++) {
			EXPECT_TRUE(strstr(unwrapped(), at->says[j])) {
				TH_LOG("case %zu: no '%s' in %s", i,
				       at->says[j], output);
			}
		}
	}
}

TEST_F(saved, check_without_eagains)
{
	change_sample("unix", "NR > 1 { $NF = \"-\"; $12 = $13 = $14 = 0 } 1");
	EXPECT_RUN(DONE, tool("--proc . --check --unix"));
	EXPECT_TRUE(says(" eagains=U;;;0\n"));
}

#define dry_run(rules)	tool("--proc . clamp --dry-run " rules)

TEST_F(saved, rules)
{
	EXPECT_SAYS("unix:@a\\040b:5 force 9",
		    dry_run("'unix:@a\\040b:\\065' force 9"));
	EXPECT_SAYS("1024  128 none", dry_run("unix:/run/fpm.sock clear"));
	EXPECT_SAYS("7001", dry_run("'*' force 9"));
	EXPECT_FALSE(strstr(output, "fpm"));
	EXPECT_SAYS("acts on nobody", dry_run("unix:/nobody force 9"));
	EXPECT_TROUBLE(dry_run("unix: force 9"));
	EXPECT_TRUE(says("unix:PATH"));
}

TEST_F(saved, an_older_module)
{
	ASSERT_EQ(0, unlink("net/listenq/unix"));
	EXPECT_TROUBLE(tool("--proc . --unix"));
	EXPECT_TRUE(says("older"));
	EXPECT_SAYS("7001", tool("--proc . --unix --tcp"));
	EXPECT_TROUBLE(tool("--proc . --unix -t"));
}

/* ---- a real one ---- */

LQ_FIXTURE(real, LQ_SKIP_FOR(enter_folder()));

TEST_F(real, overflowed_seen_and_mended)
{
	int clients[32], fd;

	fd = unix_listener_at(SOCK_STREAM, unix_addr("\0listenq tool", 13), 3);
	ASSERT_EQ(4, unix_fill(fd, SOCK_STREAM, clients, 10));
	EXPECT_SAYS("\"path\": \"@listenq\\\\040tool\"", tool("--unix -j"));
	EXPECT_TRUE(says("\"eagains\": 6"));
	EXPECT_OUTPUT("", tool("clamp 'unix:@listenq\\040tool' floor 20"));
	EXPECT_EQ(17, unix_fill(fd, SOCK_STREAM, clients + 4, 17));
	EXPECT_SAYS("unix:@listenq\\\\040tool", tool("--unix -j"));
	EXPECT_OUTPUT("", tool("clamp flush"));
	EXPECT_EQ(3, unix_num(fd, "limit"));
	run("rm -rf %s", folder);
}

TEST_HARNESS_MAIN
