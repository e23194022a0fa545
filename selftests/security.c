// SPDX-License-Identifier: GPL-2.0-only
/*
 * What those may see and do who aren't root of the machine: an unprivileged
 * user, root of a user namespace, root of a container. Documentation/security.rst
 * has the table that these tests, and some of other programs, are rows of.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define USER_UID	12360
#define INTERVAL_FILE	"/sys/module/listenq/parameters/log_interval"
#define SOMAXCONN_FILE	"/sys/module/listenq/parameters/somaxconn"

static const char * const files[] = {
	LQ_SOCKETS, LQ_WAITS, LQ_TOTALS, LQ_HOOKS, LQ_CLAMP, LQ_UNIX,
};

FIXTURE(security)
{
	int mine;		/* a listener of root's */
	char namespace[64];	/* its namespace's directory, by another way */
};

FIXTURE_VARIANT(security)
{
	void (*become)(void);
};

static void become_user(void)
{
	lq_become_user(USER_UID);
}

static void become_namespace_root(void)
{
	lq_become_user(USER_UID);
	lq_enter_user_namespace(USER_UID);
}

static void become_container_root(void)
{
	lq_enter_container(USER_UID);
}

FIXTURE_VARIANT_ADD(security, user) { become_user };
FIXTURE_VARIANT_ADD(security, user_namespace_root) { become_namespace_root };
FIXTURE_VARIANT_ADD(security, container_root) { become_container_root };

FIXTURE_SETUP(security)
{
	LQ_SETUP();
	self->mine = lq_listener(AF_INET, 5);
	snprintf(self->namespace, sizeof(self->namespace),
		 "/proc/%d/net/listenq", getpid());
}

FIXTURE_TEARDOWN(security) { }

/*
 * A child that looks around ends with 0 if all is as it should be, a number
 * from 11 on that tells where it isn't, or KSFT_SKIP.
 */
static void check_ended(struct __test_metadata *_metadata, pid_t pid)
{
	int status = lq_reap(pid);

	EXPECT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "users may make no such namespaces here");
	EXPECT_EQ(0, WEXITSTATUS(status));
}

/* What @look says when somebody else looks. */
static void check_as(struct __test_metadata *_metadata, void (*become)(void),
		     int (*look)(void *data), void *data)
{
	pid_t pid = lq_fork();

	if (!pid) {
		become();
		_exit(look(data));
	}
	check_ended(_metadata, pid);
}

/* The errno of opening @path, and of writing @text to it where there is one. */
static int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno;
	close(fd);
	return error;
}

/* Neither the file's mode lets it happen nor what the file asks for. */
static bool is_denied(int error)
{
	return error == EACCES || error == EPERM;
}

/* How much can be read; -1 where it can't. */
static ssize_t try_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text));
	close(fd);
	return len;
}

/* Each file of one's own namespace can be read, and holds what it should. */
static int read_all(void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ssize_t len = try_read(files[i]);

		if (len < 0 || (!len && strcmp(files[i], LQ_CLAMP)))
			return 11 + i;
	}
	return 0;
}

TEST_F(security, every_file_can_be_read)
{
	check_as(_metadata, variant->become, read_all, NULL);
}

/* Nothing of the namespace that is root's can be written. */
static int write_all(void *data)
{
	const char *directory = data;
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory,
			 strrchr(files[i], '/') + 1);
		if (!is_denied(try_write(path, "reset\n")) ||
		    !is_denied(try_write(path, "* force 1\n")))
			return 11 + i;
	}
	return 0;
}

TEST_F(security, nothing_of_others_can_be_written)
{
	EXPECT_EQ(0, lq_clamp("* floor 2\n"));
	check_as(_metadata, variant->become, write_all, self->namespace);
	EXPECT_EQ(5, lq_num(self->mine, "limit"));
	EXPECT_STREQ("* floor 2\n", lq_clamp_text());
}

/* By /proc/PID/net, as of /proc/net/tcp: the rows, and nobody's process. */
static int read_others(void *data)
{
	const char *const *what = data;
	char path[128];
	struct lq_table *table;
	int row;

	snprintf(path, sizeof(path), "%s/sockets", what[0]);
	table = lq_read(path);
	row = lq_find(table, "cookie", what[1]);
	if (row < 0)
		return 11;
	if (strcmp(lq_cell(table, row, "asked"), "5"))
		return 12;
	if (strcmp(lq_cell(table, row, "pid"), "-") ||
	    strcmp(lq_cell(table, row, "comm"), "-"))
		return 13;
	return 0;
}

TEST_F(security, other_namespaces_by_their_processes)
{
	char cookie[24];
	const char *what[2] = { self->namespace, cookie };

	strcpy(cookie, lq_cookie_str(self->mine));
	check_as(_metadata, variant->become, read_others, what);
}

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Who the clients are is told to who administers the namespace: root's, its own. */
static int read_refusals(void *data)
{
	const char *theirs = data;
	bool is_own = lq_netns_inode() != strtoul(theirs, NULL, 10);

	if (!is_denied(try_open(strchr(theirs, '/'))))
		return 11;
	if (is_own ? try_open(LQ_REFUSED) : !is_denied(try_open(LQ_REFUSED)))
		return 12;
	return 0;
}

TEST_F(security, refusals_are_the_administrator_s)
{
	char theirs[96];

	snprintf(theirs, sizeof(theirs), "%lu%s/refused", lq_netns_inode(),
		 self->namespace);
	EXPECT_EQ(0, try_open(LQ_REFUSED));
	check_as(_metadata, variant->become, read_refusals, theirs);
}

static int write_parameters(void *data)
{
	if (try_read(SOMAXCONN_FILE) <= 0)
		return 11;
	if (try_read(INTERVAL_FILE) <= 0)
		return 12;
	if (!is_denied(try_write(INTERVAL_FILE, "0\n")))
		return 13;
	if (!is_denied(try_write(SOMAXCONN_FILE, "1\n")))
		return 14;
	if (!chmod(INTERVAL_FILE, 0666) || !is_denied(errno))
		return 15;
	return 0;
}

TEST_F(security, parameters_can_only_be_read)
{
	check_as(_metadata, variant->become, write_parameters, NULL);
}

static bool perf_can_see(int event)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = event,
	};

	/* Of oneself, or of a processor. */
	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0 ||
	       syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0) >= 0;
}

#define TRACING	"/sys/kernel/tracing"

static int use_tracepoints(void *data)
{
	int error = try_write(TRACING "/events/listenq/enable", "1");

	/* Where tracefs isn't mounted, it can't be. */
	if (!is_denied(error) && error != ENOENT)
		return 11;
	if (open(TRACING "/trace", O_RDONLY | O_CLOEXEC) >= 0)
		return 12;
	if (!unshare(CLONE_NEWNS) &&
	    !mount("tracefs", "/mnt", "tracefs", 0, NULL))
		return 13;
	return perf_can_see(*(int *)data) ? 14 : 0;
}

/* The number that perf knows the event by; 0 where root can't see it. */
static int event_number(void)
{
	const char *id = "events/listenq/listenq_listen/id";
	const char *directory = lq_tracefs(id);
	char path[128];

	if (!directory)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", directory, id);
	return lq_read_number(path);
}

TEST_F(security, tracepoints_are_out_of_reach)
{
	int number = event_number();

	if (!number)
		SKIP(return, "no tracefs");
	check_as(_metadata, variant->become, use_tracepoints, &number);
}

static int load_and_unload(void *data)
{
	const char *path = data;

	if (lq_unload() != EPERM)
		return 11;
	if (path && lq_load_file(path) != EPERM)
		return 12;
	return 0;
}

TEST_F(security, the_module_stays)
{
	check_as(_metadata, variant->become, load_and_unload,
		 (char *)lq_module_path());
	EXPECT_TRUE(lq_loaded());
}

/* ---- a container ---- */

FIXTURE(container)
{
	int outside;
};

FIXTURE_SETUP(container)
{
	LQ_SETUP();
	self->outside = lq_listener(AF_INET, 6);
}

FIXTURE_TEARDOWN(container) { }

/*
 * A container: user, network, PID and mount namespaces of its own. Its first
 * process looks; the one that is returned waits for that, outside of the PID
 * namespace.
 */
static pid_t start_container(int (*look)(void *data), void *data)
{
	pid_t pid = lq_fork();
	int status;

	if (pid)
		return pid;
	lq_enter_container(USER_UID);
	if (unshare(CLONE_NEWPID | CLONE_NEWNS))
		_exit(KSFT_SKIP);
	pid = lq_fork();
	if (!pid) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("proc", "/proc", "proc", 0, NULL))
			_exit(KSFT_SKIP);
		_exit(look(data));
	}
	status = lq_reap(pid);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/*
 * Its own listeners with its own processes, numbers and counts, all that its
 * root may do there, and nothing of anybody else.
 */
static int look_around(void *data)
{
	struct lq_table *table;
	int fd = lq_listener(AF_INET, 3);

	table = lq_read(LQ_SOCKETS);
	if (table->nrows != 1 || strcmp(lq_cell(table, 0, "asked"), "3"))
		return 11;
	if (strcmp(lq_cell(table, 0, "pid"), "1") ||
	    strcmp(lq_cell(table, 0, "uid"), "0") ||
	    strcmp(lq_cell(table, 0, "comm"), "security"))
		return 12;
	lq_connect(fd);
	lq_accept(fd);
	if (lq_total("syns") > 1)
		return 13;
	if (lq_write_sockets("reset"))
		return 14;
	if (lq_num(fd, "acceptq_peak") > 0)
		return 15;
	if (lq_clamp("* force 9\n") != EPERM || lq_num(fd, "limit") != 3)
		return 16;
	/* Its /proc knows no process of another network namespace. */
	if (!access("/proc/2/net/listenq", F_OK))
		return 17;
	return 0;
}

TEST_F(container, sees_and_resets_its_own)
{
	long long peak;

	for (int i = 0; i < 2; i++)
		lq_connect(self->outside);
	ASSERT_TRUE(lq_wait_until(lq_num(self->outside, "acceptq") == 2));
	lq_accept(self->outside);
	peak = lq_num(self->outside, "acceptq_peak");

	check_ended(_metadata, start_container(look_around, NULL));
	EXPECT_EQ(peak, lq_num(self->outside, "acceptq_peak"));
}

/* One who was turned away there, and nobody of outside. */
static bool has_one_row(int fd)
{
	char text[1024], *row;
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	row = strchr(text, '\n');
	return row && strstr(row, "acceptq-syn") && strstr(row, " 1\n") &&
	       !strchr(strstr(row, " 1\n") + 3, '\n');
}

/* It is at the open that somebody has to be allowed to read it. */
static int look_at_refusals(void *data)
{
	int fd = lq_listener(AF_INET, 0);
	int refused = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);

	if (refused < 0)
		return 11;
	close(lq_enqueue(fd));
	lq_turn_away(fd);
	if (!lq_wait_until(has_one_row(refused)))
		return 12;
	lq_drop_net_admin();
	if (try_open(LQ_REFUSED) != EPERM)
		return 13;
	return has_one_row(refused) ? 0 : 14;
}

TEST_F(container, sees_who_was_turned_away_there)
{
	int fd = lq_listener(AF_INET, 0);

	close(lq_enqueue(fd));
	for (int i = 0; i < 2; i++)
		lq_turn_away(fd);
	ASSERT_TRUE(lq_wait_until(lq_rows(LQ_REFUSED) == 2));
	check_ended(_metadata, start_container(look_at_refusals, NULL));
	EXPECT_EQ(2, lq_rows(LQ_REFUSED));
}

/* Hits are the machine's: how busy others are can be seen, not who. */
static int look_at_hooks(void *data)
{
	return lq_hook("inet_csk_listen_start", "hits") < *(long long *)data;
}

TEST_F(container, hooks_are_the_machine_s)
{
	long long hits = lq_hook("inet_csk_listen_start", "hits");

	check_ended(_metadata, start_container(look_at_hooks, &hits));
}

/* A rule that root has made for it acts, and can be read there. */
static int obey(void *data)
{
	int *pipes = data;
	int fd = lq_listener(AF_INET, 3);
	char c;

	if (write(pipes[1], "", 1) != 1 || read(pipes[0], &c, 1) != 1)
		return 21;
	if (lq_num(fd, "limit") != 9 || strcmp(lq_str(fd, "rule"), "*"))
		return 22;
	if (strcmp(lq_clamp_text(), "* force 9\n"))
		return 23;
	return lq_clamp("flush\n") == EPERM ? 0 : 24;
}

TEST_F(container, rules_are_the_host_s)
{
	int out[2], in[2], pipes[2];
	char path[64], c;
	pid_t pid;

	ASSERT_EQ(0, pipe(out));
	ASSERT_EQ(0, pipe(in));
	pipes[0] = in[0];
	pipes[1] = out[1];
	pid = start_container(obey, pipes);
	close(out[1]);
	/* Nothing comes from one that has ended. */
	if (read(out[0], &c, 1) != 1) {
		check_ended(_metadata, pid);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/net/listenq/clamp", pid);
	EXPECT_EQ(0, try_write(path, "* force 9\n"));
	ASSERT_EQ(1, write(in[1], "", 1));
	check_ended(_metadata, pid);
	EXPECT_EQ(6, lq_num(self->outside, "limit"));
}

TEST_HARNESS_MAIN
