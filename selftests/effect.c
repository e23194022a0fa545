// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq clamp: what it says of rules that can't do what they were written for,
 * and what --dry-run foresees, held against what the module does then.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "listenq.h"
#include "tool.h"

/* ---- saved files ---- */

FIXTURE(effect)
{
};

static void write_rules(const char *rules)
{
	FILE *file = fopen("net/listenq/clamp", "w");

	if (!file)
		err(1, "clamp");
	fputs(rules, file);
	if (fclose(file))
		err(1, "clamp");
}

/* 7001 and 7002 have asked for 8; of 7003 that is not known. */
FIXTURE_SETUP(effect)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	write_sample();
	change_sample("sockets", "NR == 4 { $8 = \"-\" } 1");
	write_rules("");
}

FIXTURE_TEARDOWN(effect)
{
	run("rm -rf %s", folder);
}

#define dry_run(rules)	tool("--proc . clamp --dry-run " rules)

#define NOTHING	"no listener's limit would change\n"
#define TABLE(rows)	"LOCAL          PROCESS LIMIT THEN RULE\n" rows

TEST_F(effect, changes)
{
	EXPECT_OUTPUT(NOTHING, dry_run("flush"));
	EXPECT_OUTPUT(TABLE("127.0.0.1:7001 all         8   20 7001 floor 20\n"
			    "127.0.0.1:7002 idle        8    3 7000-7002 force 3\n"),
		      dry_run("7001 floor 20, 7000-7002 force 3"));
	/* What is there counts, and what goes. */
	write_rules("7002 force 8\n* somaxconn 7\n# last error: line 1: 'x': what\n");
	EXPECT_OUTPUT(TABLE("127.0.0.1:7001 all         8    7 * somaxconn 7\n"
			    "127.0.0.1:7003 blind       8    7 * somaxconn 7\n"),
		      dry_run("'# nothing'"));
	EXPECT_OUTPUT(NOTHING, dry_run("flush"));
	/* Nothing was written. */
	EXPECT_SAYS("7002 force 8\n* somaxconn 7\n", tool("--proc . clamp"));
	run("echo '7001 force 6' >rules");
	EXPECT_SAYS("6 7001 force 6\n",
		    tool("--proc . clamp --dry-run -f rules"));
	change_sample("sockets", "NR == 2 { $9 = \"-\" } 1");
	EXPECT_SAYS("127.0.0.1:7001 all         8    - none\n",
		    dry_run("flush"));
}

/* What asks for all there is: without a sign, as the kernel compares. */
TEST_F(effect, no_sign)
{
	change_sample("sockets", "NR == 2 { $8 = -1 } 1");
	EXPECT_SAYS("8 4294967 * somaxconn 4294967\n",
		    dry_run("'*' somaxconn 4294967"));
}

static const struct {
	const char *rules;
	const char *why;
} wrong[] = {
	{ "80 farce 3", "line 1: 'farce': expected somaxconn, floor, force" },
	{ "80 force 3, 81",
	  "line 2: its end: expected somaxconn, floor, force" },
	{ "80 force 3 4", "line 1: '4': expected the end of the line" },
	{ "9-8 force 1", "line 1: '9-8': the range is reversed" },
	{ "80 floor 1 somaxconn 2",
	  "line 1: 'somaxconn': expected the end of the line" },
	{ "80 somaxconn 1 force 2",
	  "line 1: 'force': expected floor or the end of the line" },
	{ "65536 force 1",
	  "a number is out of range: line 1: '65536': expected *, a port" },
	{ "80 force 2147483648",
	  "a number is out of range: line 1: '2147483648': expected a number" },
	{ "80 clear",
	  "there is no such rule to clear: line 1: '80': has no rule to clear" },
	{ "80-90 force 1, 85-95 force 2",
	  "the range overlaps another rule's in part: line 2: '85-95': overlaps" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa force 1",
	  "line 1: 'aaaaaaaaaaaaaaaaaaaaaaaa'...: expected *" },
};

TEST_F(effect, refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_TROUBLE(tool("--proc . clamp --dry-run %s",
				    wrong[i].rules));
		EXPECT_TRUE(says(wrong[i].why));
	}
	run("seq -f '%%.0f force 1' 2000 3024 >rules");
	EXPECT_TROUBLE(tool("--proc . clamp --dry-run -f rules"));
	EXPECT_TRUE(says("more than 1024 rules: line 1025: '3024': one rule too many"));
	EXPECT_TROUBLE(dry_run(""));
	EXPECT_TROUBLE(tool("--proc . clamp -n"));
}

/* What is said of rules, by --dry-run and when they are written. */
#define EXPECT_TOLD(written, told)					\
do {									\
	const char *__told = "listenq: clamp: " told "\n";		\
	const char *__rules = (written);				\
									\
	EXPECT_SAYS(__told, tool("--proc . clamp --dry-run %s",		\
				 __rules));				\
	EXPECT_EQ(1, lines(strstr(output, "listenq: ")));		\
	run("cp net/listenq/clamp before");				\
	EXPECT_OUTPUT(__told, tool("--proc . clamp %s", __rules));	\
	run("mv before net/listenq/clamp");				\
} while (0)

#define EXPECT_SILENT(rules)						\
do {									\
	EXPECT_RUN(DONE, dry_run(rules));				\
	EXPECT_EQ(NULL, strstr(output, "listenq: "));			\
} while (0)

TEST_F(effect, cannot)
{
	/* Loaded after its listen(300), which was cut to 128. */
	EXPECT_TOLD("7003 somaxconn 1000",
		    "'7003 somaxconn 1000' can't raise 127.0.0.1:7003, 8: its backlog is not known; 'floor 1000' can");
	EXPECT_SILENT("7003 floor 1000");
	EXPECT_SILENT("7003 somaxconn 1000 floor 1000");
	EXPECT_SILENT("7003 somaxconn 3");

	EXPECT_TOLD("7001 somaxconn 1000",
		    "'7001 somaxconn 1000' does not raise 127.0.0.1:7001, which asked for 8; 'floor 1000' does");
	change_sample("sockets", "NR == 4 { $8 = 8 } 1");
	/* Most ask for less than what all may have at most. */
	EXPECT_SILENT("'*' somaxconn 1000");

	EXPECT_TOLD("7009 floor 3",
		    "'7009 floor 3' acts on nobody now: nobody listens there yet, or any more");
	run("echo '7009 floor 3' >rules");
	EXPECT_OUTPUT(NOTHING, tool("--proc . clamp --dry-run -f rules"));

	write_rules("7001-7002 force 6\n");
	EXPECT_TOLD("'*' floor 9",
		    "'* floor 9' does not act on 127.0.0.1:7001 and 1 more: '7001-7002 force 6' is narrower");
	EXPECT_TOLD("7000-7002 floor 9",
		    "'7000-7002 floor 9' does not act on 127.0.0.1:7001 and 1 more: '7001-7002 force 6' is narrower");
	/* That was meant so. */
	EXPECT_SILENT("'*' floor 9, 7001-7002 force 7");
}

/* ---- against the module ---- */

LQ_FIXTURE(real, LQ_SKIP_FOR(enter_folder()); lq_set_somaxconn(128));

static const int backlogs[] = { -1, 0, 1, 5, 127, 128, 129, 4096, INT_MAX };

static const char * const rules[] = {
	"'*' somaxconn 16", "'*' somaxconn 100000", "'*' floor 64",
	"'*' force 7", "'*' somaxconn 3 floor 9", "'*' somaxconn 2147483647",
	"'*' clear", "1-65535 floor 2147483647", "'*' force 0, 1-65535 somaxconn 0",
	"flush",
};

/* The rows of a dry run come true, and no others. */
TEST_F(real, foreseen)
{
	int fds[ARRAY_SIZE(backlogs)];
	char *table;

	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
		fds[i] = lq_listener(AF_INET, backlogs[i]);
	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		long long before[ARRAY_SIZE(backlogs)];

		for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
			before[i] = lq_num(fds[i], "limit");
		EXPECT_RUN(DONE, tool("clamp --dry-run %s 2>/dev/null",
				      rules[r]));
		table = strdup(output);
		for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++)
			EXPECT_EQ(before[i], lq_num(fds[i], "limit"));
		EXPECT_RUN(DONE, tool("clamp %s", rules[r]));
		for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++) {
			long long from = before[i], to;
			char local[64];
			const char *row;

			snprintf(local, sizeof(local), "\n%s ",
				 lq_local(fds[i]));
			row = strstr(table, local);
			if (row && sscanf(row, " %*s %*s %lld %lld", &from,
					  &to) != 2)
				to = -1;
			if (!row)
				to = from;
			EXPECT_EQ(before[i], from);
			EXPECT_EQ(lq_num(fds[i], "limit"), to) {
				TH_LOG("%s of %d: %s", rules[r], backlogs[i],
				       table);
			}
		}
		free(table);
	}
	run("rm -rf %s", folder);
}

/* It is written all the same, and the others' rules stand. */
TEST_F(real, told)
{
	int fd = lq_listener(AF_INET, 5);
	char text[128];

	EXPECT_OUTPUT("", tool("clamp %d floor 9", lq_port(fd)));
	EXPECT_RUN(DONE, tool("clamp '*' force 3"));
	snprintf(text, sizeof(text), "'* force 3' does not act on %s: '%d floor 9' is narrower",
		 lq_local(fd), lq_port(fd));
	EXPECT_TRUE(says(text));
	EXPECT_TRUE(is_complaint());
	EXPECT_SAYS("* force 3\n", tool("clamp"));
	EXPECT_EQ(9, lq_num(fd, "limit"));
	/* The listener of a rule is gone. */
	lq_end_listening(fd);
	EXPECT_SAYS("acts on nobody now", tool("clamp %d floor 10", lq_port(fd)));
	run("rm -rf %s", folder);
}

/* What nobody knows to have asked for more. */
LQ_FIXTURE_RELOADS(before_the_load, LQ_SKIP_FOR(enter_folder()));

TEST_F(before_the_load, told)
{
	char text[128];
	int fd;

	ASSERT_EQ(0, lq_unload());
	lq_set_somaxconn(128);
	fd = lq_listener(AF_INET, 300);
	ASSERT_EQ(0, lq_load());
	snprintf(text, sizeof(text), "can't raise %s, 128: ",
		 lq_local(fd));
	EXPECT_SAYS(text, tool("clamp %d somaxconn 1000", lq_port(fd)));
	EXPECT_EQ(128, lq_num(fd, "limit"));
	EXPECT_OUTPUT("", tool("clamp %d floor 1000", lq_port(fd)));
	EXPECT_EQ(1000, lq_num(fd, "limit"));
	run("rm -rf %s", folder);
}

TEST_HARNESS_MAIN
