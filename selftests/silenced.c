// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes that do not fire, probes of others, and namespaces that go: the list
 * of listeners and their occupancy stay right, and what is not known is
 * admitted.
 */

#define _GNU_SOURCE
#include <net/if.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define KPROBES	"/sys/kernel/debug/kprobes/enabled"
#define HOOK	"inet_csk_listen_start"
#define SOME	5

FIXTURE(silenced)
{
};

FIXTURE_VARIANT(silenced)
{
	const char *path;
};

FIXTURE_VARIANT_ADD(silenced, ftrace)
{
	.path = "/proc/sys/kernel/ftrace_enabled",
};

FIXTURE_VARIANT_ADD(silenced, kprobes)
{
	.path = KPROBES,
};

FIXTURE_SETUP(silenced)
{
	LQ_SETUP();
	if (access(variant->path, W_OK))
		SKIP(longjmp(_metadata->env, 1), "no %s", variant->path);
}

FIXTURE_TEARDOWN(silenced)
{
	if (!access(variant->path, W_OK))
		lq_write_file(variant->path, "1");
}

/* Whether the kernel calls no hook now. */
static bool is_silent(void)
{
	long long hits = lq_hook(HOOK, "hits");

	close(lq_listener(AF_INET, 1));
	return lq_hook(HOOK, "hits") == hits;
}

/* From 7.3 on ftrace_enabled is there and refuses to be 0. */
static bool switch_off(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = write(fd, "0", 1);

	if (n != 1 && errno != EOPNOTSUPP)
		err(1, "%s", path);
	close(fd);
	return n == 1;
}

TEST_F(silenced, listed_with_true_occupancy)
{
	long long unrecorded = lq_hook("unrecorded", "hits");
	int known = lq_listener(AF_INET, 7);
	int gone = lq_listener(AF_INET, 7);
	int fds[SOME], clients[SOME];

	if (!switch_off(variant->path))
		SKIP(return, "this kernel does not switch it off any more");
	if (!is_silent())
		SKIP(return, "this kernel's probes don't depend on it");

	for (int i = 0; i < SOME; i++) {
		fds[i] = lq_listener(AF_INET, 10 + i);
		clients[i] = lq_connect(fds[i]);
	}
	close(gone);
	for (int i = 0; i < SOME; i++) {
		ASSERT_TRUE(lq_wait_until(lq_num(fds[i], "acceptq") == 1));
		EXPECT_EQ(10 + i, lq_num(fds[i], "limit"));
		EXPECT_EQ(10 + i, lq_num(fds[i], "granted"));
		EXPECT_EQ(LQ_NONE, lq_num(fds[i], "asked"));
		EXPECT_EQ(LQ_NONE, lq_num(fds[i], "pid"));
	}
	EXPECT_EQ(unrecorded + SOME, lq_hook("unrecorded", "hits"));
	EXPECT_EQ(7, lq_num(known, "asked"));

	/* Adjusted unseen: the limit is true, what was asked not known. */
	lq_listen(known, 9);
	EXPECT_EQ(9, lq_num(known, "limit"));
	EXPECT_EQ(9, lq_num(known, "granted"));
	EXPECT_EQ(LQ_NONE, lq_num(known, "asked"));

	lq_write_file(variant->path, "1");
	EXPECT_FALSE(is_silent());
	for (int i = 0; i < SOME; i++) {
		lq_listen(fds[i], 20 + i);
		EXPECT_EQ(20 + i, lq_num(fds[i], "asked"));
		EXPECT_EQ(1, lq_num(fds[i], "acceptq"));
	}
	EXPECT_EQ(unrecorded + SOME, lq_hook("unrecorded", "hits"));

	lq_close_all(clients, SOME);
	lq_close_all(fds, SOME);
	close(known);
}

LQ_FIXTURE(gone);

static void listen_there(void)
{
	lq_listener(AF_INET, 3);
}

/* The records that the module has of its listeners don't keep it alive. */
TEST_F(gone, nobody_reads)
{
	pid_t pid = lq_elsewhere("lq0", listen_there);

	if (pid < 0)
		SKIP(return, "no veth devices");
	lq_kill(pid);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* Nor where the end of the listener was missed. */
TEST_F(gone, end_was_missed)
{
	pid_t pid;

	if (access(KPROBES, W_OK))
		SKIP(return, "no " KPROBES);
	pid = lq_elsewhere("lq0", listen_there);
	if (pid < 0)
		SKIP(return, "no veth devices");
	lq_write_file(KPROBES, "0");
	lq_kill(pid);
	lq_write_file(KPROBES, "1");
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* An open file does, as every file of /proc/net does, until it is closed. */
TEST_F(gone, file_held_open)
{
	pid_t pid = lq_elsewhere("lq0", listen_there);
	char path[64], line[4096];
	FILE *file;
	int lines = 0;

	if (pid < 0)
		SKIP(return, "no veth devices");
	snprintf(path, sizeof(path), "/proc/%d/net/listenq/sockets", pid);
	file = fopen(path, "r");
	ASSERT_NE(NULL, file);
	lq_kill(pid);
	while (fgets(line, sizeof(line), file))
		lines++;
	EXPECT_EQ(1, lines);
	EXPECT_NE(0, if_nametoindex("lq0"));
	fclose(file);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

static void append(const char *dir, const char *name, const char *line)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		err(1, "%s: %s", path, line);
	close(fd);
}

LQ_FIXTURE(others);

/* Probes and return probes of others, on the functions of ours. */
TEST_F(others, probes)
{
	static const char * const symbols[] = {
		"__sys_listen", "inet_listen", "inet_csk_listen_start",
		"inet_csk_listen_stop",
	};
	const char *dir = lq_tracefs("kprobe_events");
	long long hits, missed;
	char line[128];

	if (!dir)
		SKIP(return, "no kprobe_events");
	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "p:lq/p%d %s\nr:lq/r%d %s\n", i,
			 symbols[i], i, symbols[i]);
		append(dir, "kprobe_events", line);
	}
	append(dir, "events/lq/enable", "1");

	for (int i = 0; i < SOME; i++) {
		int fd;

		hits = lq_hook(HOOK, "hits");
		missed = lq_hook(HOOK, "nmissed");
		fd = lq_listener(AF_INET, INT_MAX - i);
		EXPECT_EQ(INT_MAX - i, lq_num(fd, "asked"));
		EXPECT_EQ(getpid(), lq_num(fd, "pid"));
		EXPECT_EQ(hits + 1, lq_hook(HOOK, "hits"));
		EXPECT_EQ(missed, lq_hook(HOOK, "nmissed"));
		lq_listen(fd, 4);
		EXPECT_EQ(4, lq_num(fd, "asked"));
		close(fd);
	}

	append(dir, "events/lq/enable", "0");
	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "-:lq/p%d\n-:lq/r%d\n", i, i);
		append(dir, "kprobe_events", line);
	}
	EXPECT_FALSE(is_silent());
}

TEST_HARNESS_MAIN
