// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes that do not fire, probes of others, and namespaces that go: the list
 * of listeners and their occupancy stay right, and what is not known is
 * admitted.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define DEBUGFS	"/sys/kernel/debug"
#define SOME	5

FIXTURE(silenced)
{
};

FIXTURE_VARIANT(silenced)
{
	const char *path;
	const char *off;
	const char *on;
};

FIXTURE_VARIANT_ADD(silenced, ftrace)
{
	.path = "/proc/sys/kernel/ftrace_enabled",
	.off = "0",
	.on = "1",
};

FIXTURE_VARIANT_ADD(silenced, kprobes)
{
	.path = DEBUGFS "/kprobes/enabled",
	.off = "0",
	.on = "1",
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
		lq_write_file(variant->path, variant->on);
}

/* Whether the kernel calls no hook now. */
static bool is_silent(void)
{
	long long hits = lq_hook("inet_csk_listen_start", "hits");

	close(lq_listener(AF_INET, 1));
	return lq_hook("inet_csk_listen_start", "hits") == hits;
}

/* From 7.3 on ftrace_enabled is there and refuses to be 0. */
static bool can_be_off(const char *path, const char *off)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = write(fd, off, 1);

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

	if (!can_be_off(variant->path, variant->off))
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

	lq_write_file(variant->path, variant->on);
	EXPECT_FALSE(is_silent());
	for (int i = 0; i < SOME; i++) {
		lq_listen(fds[i], 20 + i);
		EXPECT_EQ(20 + i, lq_num(fds[i], "asked"));
		EXPECT_EQ(1, lq_num(fds[i], "acceptq"));
	}
	EXPECT_EQ(unrecorded + SOME, lq_hook("unrecorded", "hits"));

	for (int i = 0; i < SOME; i++) {
		close(clients[i]);
		close(fds[i]);
	}
	close(known);
}

FIXTURE(gone)
{
};

FIXTURE_SETUP(gone)
{
	LQ_SETUP();
}

FIXTURE_TEARDOWN(gone)
{
}

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
	kill(pid, SIGKILL);
	lq_reap(pid);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* Nor where the end of the listener was missed. */
TEST_F(gone, end_was_missed)
{
	const char *path = DEBUGFS "/kprobes/enabled";
	pid_t pid;

	if (access(path, W_OK))
		SKIP(return, "no %s", path);
	pid = lq_elsewhere("lq0", listen_there);
	if (pid < 0)
		SKIP(return, "no veth devices");
	lq_write_file(path, "0");
	kill(pid, SIGKILL);
	lq_reap(pid);
	lq_write_file(path, "1");
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
	kill(pid, SIGKILL);
	lq_reap(pid);
	while (fgets(line, sizeof(line), file))
		lines++;
	EXPECT_EQ(1, lines);
	EXPECT_NE(0, if_nametoindex("lq0"));
	fclose(file);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

FIXTURE(others)
{
	char dir[64];
};

FIXTURE_SETUP(others)
{
	static const char * const dirs[] = {
		"/sys/kernel/tracing", DEBUGFS "/tracing",
	};

	LQ_SETUP();
	for (int i = 0; i < 2; i++) {
		snprintf(self->dir, sizeof(self->dir), "%s/kprobe_events",
			 dirs[i]);
		if (access(self->dir, W_OK))
			continue;
		snprintf(self->dir, sizeof(self->dir), "%s", dirs[i]);
		return;
	}
	SKIP(longjmp(_metadata->env, 1), "no kprobe_events");
}

FIXTURE_TEARDOWN(others)
{
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

/* Probes and return probes of others, on the functions of ours. */
TEST_F(others, probes)
{
	static const char * const symbols[] = {
		"__sys_listen", "inet_listen", "inet_csk_listen_start",
		"inet_csk_listen_stop",
	};
	long long hits, missed;
	char line[128];

	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "p:lq/p%d %s\n", i, symbols[i]);
		append(self->dir, "kprobe_events", line);
		snprintf(line, sizeof(line), "r:lq/r%d %s\n", i, symbols[i]);
		append(self->dir, "kprobe_events", line);
	}
	append(self->dir, "events/lq/enable", "1");

	for (int i = 0; i < SOME; i++) {
		int fd;

		hits = lq_hook("inet_csk_listen_start", "hits");
		missed = lq_hook("inet_csk_listen_start", "nmissed");
		fd = lq_listener(AF_INET, INT_MAX - i);
		EXPECT_EQ(INT_MAX - i, lq_num(fd, "asked"));
		EXPECT_EQ(getpid(), lq_num(fd, "pid"));
		EXPECT_EQ(hits + 1, lq_hook("inet_csk_listen_start", "hits"));
		EXPECT_EQ(missed, lq_hook("inet_csk_listen_start", "nmissed"));
		lq_listen(fd, 4);
		EXPECT_EQ(4, lq_num(fd, "asked"));
		close(fd);
	}

	append(self->dir, "events/lq/enable", "0");
	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "-:lq/p%d\n-:lq/r%d\n", i, i);
		append(self->dir, "kprobe_events", line);
	}
	EXPECT_FALSE(is_silent());
}

TEST_HARNESS_MAIN
