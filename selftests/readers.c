// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who sees whose pid and comm, and how a name is printed that would break
 * the line or act on a terminal.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Users that need no entry anywhere. */
#define SERVER_UID	12340
#define OTHER_UID	12350
#define OVERFLOW_UID	65534

LQ_FIXTURE(readers);

/* What a reader saw of a listener; written by a child. */
struct seen {
	char pid[24];
	char comm[80];
	char uid[24];
	char asked[24];
	bool done;
};

static void look(const char *cookie, struct seen *seen)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "cookie", cookie);

	if (row < 0)
		errx(1, "no row");
	strcpy(seen->pid, lq_cell(table, row, "pid"));
	strcpy(seen->comm, lq_cell(table, row, "comm"));
	strcpy(seen->uid, lq_cell(table, row, "uid"));
	strcpy(seen->asked, lq_cell(table, row, "asked"));
	seen->done = true;
	lq_free(table);
}

static void become_server_user(void)
{
	lq_become_user(SERVER_UID);
}

static void become_other_user(void)
{
	lq_become_user(OTHER_UID);
}

static void become_other_net_admin(void)
{
	prctl(PR_SET_KEEPCAPS, 1);
	lq_become_user(OTHER_UID);
	lq_set_capabilities(1ULL << CAP_NET_ADMIN);
}

/* All capabilities, over a user namespace that doesn't own the listener's. */
static void become_root_of_a_user_namespace(void)
{
	lq_become_user(OTHER_UID);
	lq_enter_user_namespace(OTHER_UID);
}

/* @cookie's row as somebody sees it who has gone through @become. */
static const struct seen *look_as(void (*become)(void), const char *cookie)
{
	struct seen *seen = lq_shared(sizeof(*seen));
	pid_t pid = lq_fork();
	int status;

	if (!pid) {
		become();
		look(cookie, seen);
		_exit(0);
	}
	status = lq_reap(pid);
	if (status && !(WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP))
		errx(1, "a reader ended with %d", status);
	return seen;
}

/* A process of SERVER_UID that listens. */
struct server {
	char pid_str[24];
	char cookie[20];
};

static struct server *start_server(void)
{
	struct server *server = lq_shared(sizeof(*server));
	pid_t pid = lq_fork_ready();

	if (!pid) {
		become_server_user();
		prctl(PR_SET_NAME, "server");
		strcpy(server->cookie, lq_cookie_str(lq_listener(AF_INET, 5)));
		lq_stay();
	}
	snprintf(server->pid_str, sizeof(server->pid_str), "%d", pid);
	return server;
}

static void check_seen(struct __test_metadata *_metadata,
		       const struct seen *seen, const char *pid,
		       const char *comm, int uid)
{
	ASSERT_TRUE(seen->done);
	EXPECT_STREQ(pid, seen->pid);
	EXPECT_STREQ(comm, seen->comm);
	/* The rest is for everybody. */
	EXPECT_STREQ("5", seen->asked);
	EXPECT_EQ(uid, atoi(seen->uid));
}

/* Whether somebody who has gone through @become sees a server's process. */
static void check_sees(struct __test_metadata *_metadata, void (*become)(void),
		       bool sees)
{
	const struct server *server = start_server();
	const struct seen *seen = look_as(become, server->cookie);

	check_seen(_metadata, seen, sees ? server->pid_str : "-",
		   sees ? "server" : "-", SERVER_UID);
}

static void stay(void)
{
}

TEST_F(readers, root_sees_the_process)
{
	check_sees(_metadata, stay, true);
}

TEST_F(readers, same_user_sees_the_process)
{
	check_sees(_metadata, become_server_user, true);
}

TEST_F(readers, other_user_does_not)
{
	check_sees(_metadata, become_other_user, false);
}

TEST_F(readers, cap_net_admin_sees_the_process)
{
	check_sees(_metadata, become_other_net_admin, true);
}

TEST_F(readers, root_without_cap_net_admin_does_not)
{
	check_sees(_metadata, lq_drop_net_admin, false);
}

TEST_F(readers, root_of_another_user_namespace_does_not)
{
	const struct seen *seen = look_as(become_root_of_a_user_namespace,
					  start_server()->cookie);

	if (!seen->done)
		SKIP(return, "users may make no user namespaces here");
	/* uid as the reader's namespace has it: there, nobody's. */
	check_seen(_metadata, seen, "-", "-", OVERFLOW_UID);
}

/*
 * A program that its user did not start as just that user, a setuid program, is not
 * for that user to look at: as in /proc, all three have to agree.
 */
TEST_F(readers, a_setuid_program_is_not_its_user_s)
{
	static const uid_t uids[][3] = {
		{ SERVER_UID, 0, 0 },
		{ SERVER_UID, 0, SERVER_UID },
		{ SERVER_UID, SERVER_UID, 0 },
		{ 0, SERVER_UID, SERVER_UID },
		{ 0, 0, SERVER_UID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		struct server *server = lq_shared(sizeof(*server));
		pid_t pid = lq_fork_ready();

		if (!pid) {
			if (setresuid(uids[i][0], uids[i][1], uids[i][2]))
				err(1, "setresuid");
			prctl(PR_SET_NAME, "setuid");
			strcpy(server->cookie,
			       lq_cookie_str(lq_listener(AF_INET, 5)));
			lq_stay();
		}
		snprintf(server->pid_str, sizeof(server->pid_str), "%d", pid);
		check_seen(_metadata, look_as(become_server_user, server->cookie),
			   "-", "-", uids[i][1]);
		check_seen(_metadata, look_as(stay, server->cookie),
			   server->pid_str, "setuid", uids[i][1]);
		lq_kill(pid);
	}
}

/* Who has the file open and who reads it may be two: the opener counts. */
TEST_F(readers, the_opener_counts)
{
	const struct server *server = start_server();
	int mine = open(LQ_SOCKETS, O_RDONLY);
	struct seen *seen = lq_shared(sizeof(*seen));
	pid_t pid;

	/* Root's file, read by another user, shows what root may see. */
	ASSERT_LE(0, mine);
	pid = lq_fork();
	if (!pid) {
		char text[16384], wanted[48];
		ssize_t len;

		become_other_user();
		len = read(mine, text, sizeof(text) - 1);
		if (len <= 0)
			_exit(1);
		text[len] = '\0';
		snprintf(wanted, sizeof(wanted), " %s ", server->pid_str);
		seen->done = strstr(text, wanted);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_TRUE(seen->done);
}

TEST_F(readers, root_sees_into_a_user_namespace)
{
	struct server *server = lq_shared(sizeof(*server));
	char path[64], pid_str[24];
	pid_t pid;
	int net;

	pid = lq_fork_ready();
	if (!pid) {
		/* The owner of the namespace that the network's belongs to. */
		lq_become_user(OTHER_UID);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
			_exit(KSFT_SKIP);
		strcpy(server->cookie,
		       lq_cookie_str(lq_listener_any(AF_INET, 5)));
		lq_stay();
	}
	if (pid < 0)
		SKIP(return, "users may make no user namespaces here");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	net = open(path, O_RDONLY);
	ASSERT_LE(0, net);
	lq_enter_netns(net);
	snprintf(pid_str, sizeof(pid_str), "%d", pid);
	check_seen(_metadata, look_as(stay, server->cookie), pid_str,
		   "readers", OTHER_UID);
	check_seen(_metadata, look_as(become_other_user, server->cookie),
		   pid_str, "readers", OTHER_UID);
	check_seen(_metadata, look_as(become_server_user, server->cookie),
		   "-", "-", OTHER_UID);
	lq_kill(pid);
}

/* A child in a PID namespace of its own, with a /proc of that namespace. */
static void mount_own_proc(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		err(1, "/proc of the namespace");
}

TEST_F(readers, other_pid_namespace)
{
	char outside[20], outer[24];
	struct seen *of_outside = lq_shared(sizeof(*of_outside));
	struct seen *of_inside = lq_shared(sizeof(*of_inside));
	struct server *inside = lq_shared(sizeof(*inside));
	struct seen *seen = lq_shared(sizeof(*seen));
	pid_t pid;

	strcpy(outside, lq_cookie_str(lq_listener(AF_INET, 5)));
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	pid = lq_fork_ready();
	if (!pid) {
		mount_own_proc();
		strcpy(inside->cookie,
		       lq_cookie_str(lq_listener(AF_INET, 5)));
		look(outside, of_outside);
		look(inside->cookie, of_inside);
		lq_stay();
	}
	/* Its numbers are its own, and the caller outside has none there. */
	ASSERT_TRUE(of_outside->done && of_inside->done);
	EXPECT_STREQ("-", of_outside->pid);
	EXPECT_STREQ("1", of_inside->pid);
	/* The namespace's administrator is told the name all the same. */
	EXPECT_STREQ("readers", of_outside->comm);
	EXPECT_STREQ("readers", of_inside->comm);

	/* From outside, both have numbers of this namespace's. */
	look(inside->cookie, seen);
	snprintf(outer, sizeof(outer), "%d", pid);
	EXPECT_STREQ(outer, seen->pid);
	look(outside, seen);
	snprintf(outer, sizeof(outer), "%d", getpid());
	EXPECT_STREQ(outer, seen->pid);
	lq_kill(pid);
}

/* To the same user, in a PID namespace that it is not in, a process has no name. */
TEST_F(readers, same_user_in_another_pid_namespace)
{
	struct seen *seen = lq_shared(sizeof(*seen));
	struct server *server = start_server();
	pid_t pid;

	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	pid = lq_fork();
	if (!pid) {
		mount_own_proc();
		become_server_user();
		look(server->cookie, seen);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	check_seen(_metadata, seen, "-", "-", SERVER_UID);
}

/* A process that becomes number @pid; ENOSYS and EPERM are for the caller. */
static pid_t fork_as(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (unsigned long)&pid,
		.set_tid_size = 1,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * The caller is gone, its listener isn't: the number stays in view, until it
 * is another process'.
 */
TEST_F(readers, the_process_has_ended)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid, again;

	pid = lq_fork();
	if (!pid) {
		prctl(PR_SET_NAME, "gone");
		lq_listen(fd, 5);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_EQ(pid, lq_num(fd, "pid"));
	EXPECT_STREQ("gone", lq_str(fd, "comm"));

	again = fork_as(pid);
	if (!again) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	if (again < 0)
		SKIP(return, "clone3(set_tid): %s", strerror(errno));
	ASSERT_EQ(pid, again);
	EXPECT_STREQ("-", lq_str(fd, "pid"));
	lq_kill(again);
}

struct name {
	const char *comm;
	const char *printed;
};

TEST_F(readers, names_are_escaped)
{
	static const struct name names[] = {
		{ "plain", "plain" },
		{ "", "-" },
		{ "-", "\\055" },
		{ "--", "--" },
		{ "two words", "two\\040words" },
		{ " ", "\\040" },
		{ "back\\slash", "back\\134slash" },
		{ "\033[2J", "\\033[2J" },
		{ "a\nb\tc\rd", "a\\012b\\011c\\015d" },
		{ "caf\303\251\177", "caf\\303\\251\\177" },
		{ "fifteen-letters", "fifteen-letters" },
		{ "\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1",
		  "\\001\\002\\003\\004\\005\\006\\007"
		  "\\001\\002\\003\\004\\005\\006\\007\\001" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd;

		ASSERT_EQ(0, prctl(PR_SET_NAME, names[i].comm));
		fd = lq_listener(AF_INET, 5);
		EXPECT_STREQ(names[i].printed, lq_str(fd, "comm"));
		/* And what comes behind it stands under its column still. */
		EXPECT_EQ(5, lq_num(fd, "asked"));
		close(fd);
	}
}

/* A later change of name isn't the name of the one who called listen(). */
TEST_F(readers, name_at_the_time_of_listen)
{
	int fd;

	prctl(PR_SET_NAME, "before");
	fd = lq_listener(AF_INET, 5);
	prctl(PR_SET_NAME, "after");
	EXPECT_STREQ("before", lq_str(fd, "comm"));
	lq_listen(fd, 6);
	EXPECT_STREQ("after", lq_str(fd, "comm"));
}

static void *listen_in_a_thread(void *arg)
{
	prctl(PR_SET_NAME, "thread");
	lq_listen(*(int *)arg, 5);
	return NULL;
}

/* A thread's listener is its process'. */
TEST_F(readers, threads)
{
	int fd = lq_bound_loopback(AF_INET);
	pthread_t thread;

	prctl(PR_SET_NAME, "leader");
	ASSERT_EQ(0, pthread_create(&thread, NULL, listen_in_a_thread, &fd));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	EXPECT_STREQ("leader", lq_str(fd, "comm"));
}

TEST_HARNESS_MAIN
