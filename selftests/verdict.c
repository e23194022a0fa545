// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq --check: what it says to monitoring systems of the last minutes, by its
 * exit code and in its figures, of saved files and of real listeners.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "listenq.h"
#include "tool.h"

#define USER	12370

/* ---- saved files ---- */

FIXTURE(verdict)
{
};

FIXTURE_SETUP(verdict)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	write_sample();
	/* All that has happened has been long ago. */
	change_sample("sockets",
		      "NR == 2 { $12 = $15 = $28 = $29 = 4; $25 = 1e6 } 1");
}

FIXTURE_TEARDOWN(verdict)
{
	run("rm -rf %s", folder);
}

static void write_refusals(const char *rows)
{
	FILE *file = fopen("net/listenq/refused", "w");

	if (!file)
		err(1, "refused");
	fprintf(file, "ago_ms local remote why limit acceptq synq cookie comm number\n%s",
		rows);
	if (fclose(file))
		err(1, "refused");
}

/* The output is one line that says @state and has all of @texts. */
static bool is_verdict(int state, const char * const texts[])
{
	static const char * const states[] = {
		"OK", "WARNING", "CRITICAL", "UNKNOWN",
	};
	char start[64];
	bool is;

	snprintf(start, sizeof(start), "LISTENQ %s - ", states[state]);
	is = !strncmp(output, start, strlen(start)) && lines(output) == 1;
	for (; is && *texts; texts++)
		is = strstr(output, *texts);
	if (!is)
		printf("# no '%s' and '%s' in '%s'\n", start, *texts ?: "",
		       output);
	return is;
}

/* Of the saved files; behind the arguments stands what the line has. */
#define EXPECT_VERDICT(state, arguments, ...)				\
do {									\
	const char * const __texts[] = { "", ##__VA_ARGS__, NULL };	\
	int __state = (state);						\
									\
	EXPECT_RUN(__state, tool("--proc . --check " arguments));	\
	EXPECT_TRUE(is_verdict(__state, __texts));			\
} while (0)

TEST_F(verdict, healthy)
{
	EXPECT_VERDICT(OK, "-p 7001-7002",
		       "2 listeners, fullest 127.0.0.1:7001 all: accept queue 4 of 8 | ");
	EXPECT_VERDICT(OK, "-p 7001",
		       " | above=0;0;;0;1 fullest=50%;80;;0 peak=50%;80;;0 refusals=U;0;;0 overflows=203c;;;0 synq_drops=204c;;;0 synq_reserved=208c;;;0\n");
	EXPECT_VERDICT(WARNING, "49 -p 7001");
	EXPECT_VERDICT(OK, "50 -p 7001");
}

/* What no queue holds any more by the time of the check. */
TEST_F(verdict, peak)
{
	change_sample("sockets", "NR == 2 { $28 = 9 } 1");
	EXPECT_VERDICT(WARNING, "-p 7001", "1 of 1 listener above 80% of its limit",
		       ": accept queue 4 of 8, peak 9 | above=1;0;;0;1 fullest=50%;80;;0 peak=112%;");
	EXPECT_VERDICT(OK, "113 -p 7001");
	change_sample("sockets", "NR == 2 { $28 = 4; $29 = 7 } 1");
	EXPECT_VERDICT(WARNING, "", "SYN queue 4 of 8, peak 7 |");
	/* An older module's rows have none. */
	write_old_sample();
	EXPECT_VERDICT(OK, "-p 7002", " peak=0%;80;;0 ");
}

/* 106 overflows, the last one 1.2 seconds ago, and the queue is empty. */
TEST_F(verdict, overflow)
{
	change_sample("sockets",
		      "NR == 2 { $12 = 0; $21 = 106; $25 = 1200 } 1");
	EXPECT_VERDICT(WARNING, "-p 7001",
		       "refusals by 1 listener in the last 300s, the latest 1.2s ago by 127.0.0.1:7001 all",
		       " refusals=U;0;;0 overflows=106c;;;0 ");
	EXPECT_VERDICT(OK, "-p 7001 --within 1");
	EXPECT_VERDICT(WARNING, "-p 7001 --within 2");
}

/* Of all kinds, and by listeners that are gone, where that may be read. */
TEST_F(verdict, refusals)
{
	write_refusals("900000 127.0.0.1:7001 192.0.2.1:1 acceptq-ack 8 9 0 a1 all 1\n"
		       "200000 127.0.0.1:7001 192.0.2.1:1 reserved 8 9 0 a1 all 2\n"
		       "2500 127.0.0.1:7004 192.0.2.1:1 closed 8 9 0 d4 gone 3\n"
		       "- - - synq - - - - - 4\n");
	EXPECT_VERDICT(WARNING, "-p 7001-7004",
		       "3 listeners, 2 refusals in the last 300s, the latest 2.5s ago by 127.0.0.1:7004 gone",
		       " refusals=2;0;;0 ");
	EXPECT_VERDICT(WARNING, "-p 7001 --within 1000", " 2 refusals ");
	EXPECT_VERDICT(WARNING, "-P all", " 1 refusal ");
	EXPECT_VERDICT(OK, "-p 7001 --within 100", " refusals=0;0;;0 ");
	EXPECT_VERDICT(CRITICAL, "-p 7004", "no such listener, 1 refusal ");
	/* Others' have left no room for it: there was one, at least. */
	change_sample("sockets", "NR == 2 { $25 = 1000 } 1");
	EXPECT_VERDICT(WARNING, "-p 7001 --within 5",
		       "at least 1 refusal in the last 5s", " refusals=1;");
	/* The file holds no more than that. */
	change_sample("refused", "NR == 1; NR == 3 { for (i = 0; i < 1024; i++) print }");
	EXPECT_VERDICT(WARNING, "-p 7001", "at least 1024 refusals ");
	write_refusals("1 x 192.0.2.1:1 closed 8 9 0 d4 gone 3\n");
	EXPECT_VERDICT(NOT_KNOWN, "");
}

TEST_F(verdict, nobody)
{
	EXPECT_VERDICT(CRITICAL, "-p 1", "no such listener | above=0;0;;0;0 ");
	EXPECT_VERDICT(OK, "-p 1 --allow-none", "no such listener | ");
	change_sample("sockets", "NR == 1");
	EXPECT_VERDICT(CRITICAL, "", "no listeners | ");
	EXPECT_VERDICT(OK, "--allow-none");
}

/* "-" is not 0, and nothing that goes wrong is about the listeners. */
TEST_F(verdict, unknown)
{
	static const char * const wrong[] = {
		"--proc /nowhere --check", "--check 1001", "--check=5",
		"--check --within 0", "--within x --check", "--checks",
		"-p 0 --check", "--check -w", "-a -N 1 --check", "--check -t",
		"--proc . --check everything",
	};

	EXPECT_VERDICT(NOT_KNOWN, "-p 7003",
		       "1 listener, overflows not known of 127.0.0.1:7003 blind",
		       " overflows=U;;;0 synq_drops=U;;;0 synq_reserved=U;;;0\n");
	/* What is known of another one is worse. */
	EXPECT_VERDICT(WARNING, "40", "overflows not known of ");
	change_sample("sockets", "NR == 2 { $12 = \"-\" } 1");
	EXPECT_VERDICT(NOT_KNOWN, "-p 7001", "queue or limit not known\n");

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_RUN(NOT_KNOWN, run("$LISTENQ %s </dev/null", wrong[i]));
		EXPECT_TRUE(is_verdict(NOT_KNOWN, (const char *[]){ NULL })) {
			TH_LOG("%s", wrong[i]);
		}
	}
	/* Without it, they are what they are of the other outputs. */
	EXPECT_TROUBLE(tool("--within 3"));
	EXPECT_TROUBLE(tool("-j --allow-none"));
	EXPECT_TROUBLE(tool("--proc /nowhere"));
}

/* ---- real ones ---- */

LQ_FIXTURE(real, LQ_SKIP_FOR(enter_folder()));

TEST_F(real, queues)
{
	int fd = lq_listener(AF_INET, 9);

	EXPECT_RUN(OK, tool("--check"));
	EXPECT_EQ(0, strncmp(output, "LISTENQ OK - 1 listener", 23));
	for (int i = 0; i < 9; i++)
		lq_enqueue(fd);
	/* 9 of 9: as much as the limit, and one less than full. */
	EXPECT_RUN(WARNING, tool("--check"));
	EXPECT_RUN(WARNING, tool("--check 99"));
	EXPECT_RUN(OK, tool("--check 100"));
	EXPECT_TRUE(says("fullest=100%;100"));
	lq_enqueue(fd);
	EXPECT_RUN(WARNING, tool("--check 100"));
	EXPECT_TRUE(says("1 of 1 listener above 100% of its limit"));
	EXPECT_TRUE(says(lq_local(fd)));
	EXPECT_TRUE(says("accept queue 10 of 9"));
	/* They have gone, and it remembers. */
	for (int i = 0; i < 10; i++)
		lq_accept(fd);
	EXPECT_RUN(WARNING, tool("--check 100"));
	EXPECT_TRUE(says("accept queue 0 of 9, peak 10 | "));
	EXPECT_TRUE(says(" refusals=0;"));
	run("rm -rf %s", folder);
}

/* Clients were refused, and the server has caught up since. */
TEST_F(real, refused)
{
	int fd = full_listener(2);
	pid_t user;

	for (int i = 0; i < 3; i++)
		lq_accept(fd);
	EXPECT_RUN(WARNING, tool("--check 1000"));
	EXPECT_TRUE(says(" in the last 300s, the latest "));
	EXPECT_EQ(NULL, strstr(output, "refusals by"));
	EXPECT_TRUE(lq_wait_until(tool("--check 1000 --within 1") == OK));
	/* Who may not read whom learns that it was. */
	user = lq_fork();
	if (!user) {
		lq_become_user(USER);
		_exit(tool("--check 1000") == WARNING &&
		      says("refusals by 1 listener in the last 300s") ? 0 : 1);
	}
	EXPECT_EQ(0, lq_reap(user));
	EXPECT_RUN(CRITICAL, tool("--check -p 1"));
	run("rm -rf %s", folder);
}

TEST_HARNESS_MAIN
