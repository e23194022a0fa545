// SPDX-License-Identifier: GPL-2.0-only
/*
 * What many listeners and many processes cost listenq(8), in the time of a
 * processor. Since that may be emulated, or shared, it is compared with what other
 * programs take for the same files.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "tool.h"

/* The words of its files are counted in the same time, so many times. */
#define JSON_WORDS	12

FIXTURE(budgets)
{
};

FIXTURE_SETUP(budgets)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
}

FIXTURE_TEARDOWN(budgets)
{
	run("rm -rf %s", folder);
}

/* The time of processors that was taken by all that was run so far. */
static long long used_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000LL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* That of @command. */
static long long time_of(const char *command_line)
{
	long long before = used_ms();

	if (run("export LC_ALL=C; %s", command_line))
		errx(1, "%s: %s", command_line, output);
	return used_ms() - before;
}

/* The least of three times, which is not that of what runs beside it. */
static long long least_time_of(const char *command_line)
{
	long long least = LLONG_MAX, time;

	for (int i = 0; i < 3; i++) {
		time = time_of(command_line);
		if (time < least)
			least = time;
	}
	return least;
}

/* @count processes with @each descriptors, in a PID namespace of their own. */
static pid_t start_many(int count, int each)
{
	pid_t pid = lq_fork_first();

	if (pid)
		return pid;
	for (int fd = open("/dev/null", O_RDONLY); each; each--)
		if (dup(fd) < 0)
			err(1, "dup");
	for (; count; count--)
		if (!fork())
			for (;;)
				pause();
	lq_stay();
	return 0;
}

/* find(1) takes longer to look at the same: what a search adds is less than that. */
TEST_F(budgets, search_among_many_processes)
{
	long long without, find, with;
	pid_t child;

	write_sample();
	change_sample("sockets", "NR > 1 { $6 = $7 = \"-\" } 1");
	without = least_time_of("$LISTENQ_PLAIN --proc . -j");
	child = start_many(lq_scaled(200), 20);
	ASSERT_EQ(0, run("for name in /proc/[0-9]*; do ln -s $name .; done"));
	find = least_time_of("find /proc/[0-9]*/fd -lname \"socket:*\" 2>&1; :");
	with = least_time_of("$LISTENQ_PLAIN --proc . -j");
	EXPECT_GE(find, with - without) {
		TH_LOG("%lld ms, %lld with a search, find %lld", without, with, find);
	}
	EXPECT_TRUE(says("\"holder_searched\": true"));
	lq_kill(child);
}

/* Rows of each file that --proc reads, all like the first, of other listeners. */
static void many_rows(int count)
{
	static const char * const files[] = { "sockets", "waits", "handshakes" };

	write_sample();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (run("cd net/listenq; awk 'NR == 1; NR == 2 { for (i = 0; i < %d; i++) {"
			" $2 = \"10.\" int(i / 60000) \".0.1:\" i %% 60000 + 1;"
			" $%d = i; print } }' %s >x && mv x %s",
			count, i ? 1 : 3, files[i], files[i]))
			errx(1, "%s", output);
}

/*
 * JSON of 100,000 listeners may take 2 seconds where wc takes 0.2 to count the words
 * of their files.
 */
TEST_F_TIMEOUT(budgets, json_of_many, 180)
{
	long long words, json;

	many_rows(lq_scaled(30000));
	words = least_time_of("wc -w net/listenq/*");
	json = least_time_of("$LISTENQ_PLAIN --proc . -j >/dev/null");
	EXPECT_GE(JSON_WORDS * words + 50, json) {
		TH_LOG("wc took %lld ms", words);
	}
}

TEST_HARNESS_MAIN
