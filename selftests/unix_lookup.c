// SPDX-License-Identifier: GPL-2.0-only
/*
 * connect() calls to AF_UNIX listeners that wait for ever, for room or for a path that
 * never comes; that go by another mount namespace, or by io_uring.
 */

#define _GNU_SOURCE
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "unix.h"

#define USER_UID	12362
/* How many places a user has, and how many calls want one. */
#define PLACES		(get_nprocs_conf() > 64 ? get_nprocs_conf() : 64)
#define BLOCKED		150

/* More than there are places for notes of calls, which are 2,048. */
#define VAIN		3000
#define FILE_MAX	"/proc/sys/fs/file-max"

FIXTURE(unix_lookup)
{
	bool loaded;
	char dir[32];
	int clients[64];
	pid_t pids[BLOCKED];
	int count;
};

FIXTURE_SETUP(unix_lookup)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	unix_enter_dir(self->dir);
}

/* One of them may hold a lock that the others wait for: all are killed first. */
static void kill_all(pid_t pids[], int count)
{
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < count; i++)
		lq_reap(pids[i]);
}

FIXTURE_TEARDOWN(unix_lookup)
{
	kill_all(self->pids, self->count);
	umount2("nowhere", MNT_DETACH);
	unix_leave_dir(self->dir);
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/* ---- a path that never comes ---- */

/* A directory in which no name is ever found, nor found missing; -1: no FUSE. */
static int mount_nowhere(const char *dir)
{
	struct {
		struct fuse_out_header head;
		struct fuse_init_out init;
	} answer = {
		/* As of protocol 7.22 it is shorter. */
		.head.len = sizeof(answer.head) + 24,
		.init.major = 7,
		.init.minor = 22,
		.init.max_write = 4096,
	};
	struct fuse_in_header *ask;
	char options[128], request[8192];
	int fuse;

	lq_run("modprobe -q fuse 2>/dev/null");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		return -1;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	if (mkdir(dir, 0777) ||
	    mount("nowhere", dir, "fuse", MS_NOSUID | MS_NODEV, options))
		err(1, "mount of fuse");
	ask = (void *)request;
	if (read(fuse, request, sizeof(request)) < (ssize_t)sizeof(*ask) ||
	    ask->opcode != FUSE_INIT)
		errx(1, "fuse does not begin");
	answer.head.unique = ask->unique;
	if (write(fuse, &answer, answer.head.len) != answer.head.len)
		err(1, "fuse");
	return fuse;
}

/* A call of a user's that would not wait for room, and waits for its path. */
static pid_t look_up(int number)
{
	pid_t pid = lq_fork();
	char path[32];

	if (pid)
		return pid;
	lq_become_user(USER_UID);
	snprintf(path, sizeof(path), "nowhere/%d", number);
	_exit(unix_try_path(SOCK_STREAM, path));
}

/* So many of the user's calls to a listener that has no room. */
static void try_as_user(const char *path, int count)
{
	pid_t pid = lq_fork();

	if (!pid) {
		lq_become_user(USER_UID);
		while (count--)
			if (unix_try_path(SOCK_STREAM, path) != EAGAIN)
				_exit(1);
		_exit(0);
	}
	if (lq_reap(pid))
		errx(1, "a user who is not turned away");
}

static void send_as_user(const char *path, int count)
{
	struct lq_addr addr = unix_path(path);
	pid_t pid = lq_fork();
	int fd;

	if (!pid) {
		lq_become_user(USER_UID);
		fd = unix_socket(SOCK_DGRAM | SOCK_NONBLOCK);
		while (count--)
			if (sendto(fd, "", 1, 0, &addr.sa, addr.len) != 1)
				_exit(1);
		_exit(0);
	}
	if (lq_reap(pid))
		errx(1, "a user who can't send");
}

/* Only that user's own calls are missed, and no more of them than are told. */
TEST_F(unix_lookup, blocked_lookups_hide_nobody_elses)
{
	int fd = unix_listener_at(SOCK_STREAM, unix_path("full"), 0);
	int to = unix_bound(SOCK_DGRAM, unix_path("datagrams"));
	long long hits = lq_hook("unix_find_other", "hits");
	long long missed = lq_hook("unix_find_other", "nmissed");

	chmod("full", 0777);
	chmod("datagrams", 0777);
	ASSERT_EQ(1, unix_fill(fd, SOCK_STREAM, self->clients, 1));
	if (mount_nowhere("nowhere") < 0)
		SKIP(return, "the kernel has no FUSE");
	for (; self->count < BLOCKED; self->count++)
		self->pids[self->count] = look_up(self->count);
	EXPECT_TRUE(lq_wait_until(lq_hook("unix_find_other", "hits") >=
				  hits + 1 + BLOCKED));
	/* All but those who have a place each. */
	EXPECT_TRUE(lq_wait_until(lq_hook("unix_find_other", "nmissed") >=
				  missed + BLOCKED - PLACES));
	missed = lq_hook("unix_find_other", "nmissed");

	/* Datagrams, and calls that wait, need no place. */
	send_as_user("datagrams", 5);
	EXPECT_EQ(missed, lq_hook("unix_find_other", "nmissed"));
	try_as_user("full", 7);
	EXPECT_EQ(missed + 7, lq_hook("unix_find_other", "nmissed"));
	CHECK_UNIX(fd, 1, 0, 0, 0);

	for (int i = 0; i < 9; i++)
		EXPECT_EQ(EAGAIN, unix_try_path(SOCK_STREAM, "full"));
	EXPECT_EQ(EAGAIN, unix_waited(unix_waiter(fd, SOCK_STREAM, 100)));
	CHECK_UNIX(fd, 1, 0, 1, 10);
	EXPECT_EQ(missed + 7, lq_hook("unix_find_other", "nmissed"));

	/* And it is over when they are. */
	kill_all(self->pids, self->count);
	self->count = 0;
	try_as_user("full", 3);
	CHECK_UNIX(fd, 1, 0, 1, 13);
	close(to);
}

/* The module goes and comes while the kernel is looking. */
TEST_F(unix_lookup, the_module_goes_meanwhile)
{
	int fd = unix_listener_at(SOCK_STREAM, unix_path("full"), 0);

	if (mount_nowhere("nowhere") < 0)
		SKIP(return, "the kernel has no FUSE");
	ASSERT_EQ(1, unix_fill(fd, SOCK_STREAM, self->clients, 1));
	for (int stays = 0; stays < 2; stays++) {
		long long hits = lq_hook("unix_find_other", "hits");

		for (; self->count < 10; self->count++)
			self->pids[self->count] = look_up(self->count);
		EXPECT_TRUE(lq_wait_until(lq_hook("unix_find_other", "hits") >=
					  hits + 10));
		ASSERT_EQ(0, lq_unload());
		/* The calls end without the module, or with another one. */
		if (!stays)
			kill_all(self->pids, self->count);
		ASSERT_EQ(0, lq_load());
		if (stays)
			kill_all(self->pids, self->count);
		self->count = 0;
		EXPECT_EQ(EAGAIN, unix_try_path(SOCK_STREAM, "full"));
		CHECK_UNIX(fd, 0, 0, 0, 1);
	}
}

/* ---- room that never comes ---- */

TEST_F(unix_lookup, blocked_calls_hide_nothing)
{
	int full = unix_listener_at(SOCK_STREAM, unix_path("full"), 0);
	int fd = unix_listener_at(SOCK_STREAM, unix_path("other"), 2);

	chmod("full", 0777);
	ASSERT_EQ(1, unix_fill(full, SOCK_STREAM, self->clients, 1));
	for (; self->count < BLOCKED; self->count++) {
		self->pids[self->count] = lq_fork();
		if (self->pids[self->count])
			continue;
		lq_become_user(USER_UID);
		_exit(lq_try_connect(unix_socket(SOCK_STREAM), full));
	}
	EXPECT_TRUE(lq_wait_until(unix_num(full, "waits") == BLOCKED));

	EXPECT_EQ(3, unix_fill(fd, SOCK_STREAM, self->clients + 1, 40));
	EXPECT_EQ(EAGAIN, unix_waited(unix_waiter(fd, SOCK_STREAM, 100)));
	unix_accept(fd);
	CHECK_UNIX(fd, 3, 1, 1, 38);
	try_as_user("full", 4);
	CHECK_UNIX(full, 1, 0, BLOCKED, 4);
}

/* ---- calls that come to nothing ---- */

struct in_vain {
	pthread_barrier_t *barrier;
	int fd;
	bool failed;
};

/* All at once; each stays until all have been. */
static void *call_in_vain(void *arg)
{
	struct lq_addr addr = unix_path("nobody");
	struct in_vain *call = arg;

	pthread_barrier_wait(call->barrier);
	/* Before 5.18 the kernel says ENOMEM. */
	call->failed = connect(call->fd, &addr.sa, addr.len) != -1 ||
		       (errno != ENFILE && errno != ENOMEM);
	pthread_barrier_wait(call->barrier);
	return NULL;
}

/* So many threads that do; how many notes have been lost by that. */
static long long lost_by(struct __test_metadata *_metadata, int count, int fd)
{
	long long missed = lq_hook("unix_stream_connect", "nmissed");
	static struct in_vain calls[VAIN];
	static pthread_t threads[VAIN];
	pthread_barrier_t barrier;
	pthread_attr_t small;
	int failed = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&barrier, NULL, count + 1);
	for (int i = 0; i < count; i++) {
		calls[i] = (struct in_vain){ &barrier, fd, false };
		if (pthread_create(&threads[i], &small, call_in_vain, &calls[i]))
			err(1, "%d threads", count);
	}
	for (int i = 0; i < 2; i++)
		pthread_barrier_wait(&barrier);
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		failed += calls[i].failed;
	}
	EXPECT_EQ(0, failed);
	return lq_hook("unix_stream_connect", "nmissed") - missed;
}

/*
 * A call that ends before it looks for its listener tells nobody. Its note, when it is
 * written over within a second, may be that of a call which goes on, and counts as a
 * miss; when it is older it does not.
 */
TEST_F(unix_lookup, calls_that_come_to_nothing)
{
	long long lost = 0, late, max;
	char text[32];
	int fd;

	if (!getenv("LISTENQ_VM"))
		SKIP(return, "lets nobody make a socket: only in a VM (LISTENQ_VM)");
	/* There they take longer than a second. */
	if (getenv("LISTENQ_SLOW"))
		SKIP(return, "this kernel's checkers are on");
	fd = unix_socket(SOCK_STREAM);
	max = strtoll(lq_first_line(FILE_MAX), NULL, 10);
	lq_write_file(FILE_MAX, "0");
	/* A busy machine may need more than a second for them, and then loses none. */
	for (int tries = 0; tries < 10; tries++) {
		lost = lost_by(_metadata, VAIN, fd);
		if (lost >= VAIN / 10)
			break;
	}
	usleep(1200 * 1000);
	late = lost_by(_metadata, 50, fd);
	snprintf(text, sizeof(text), "%lld", max);
	lq_write_file(FILE_MAX, text);
	EXPECT_LE(VAIN / 10, lost);
	EXPECT_EQ(0, late);
	close(fd);
}

/* ---- other ways ---- */

/* The same file by another path, and a path that is somebody else's there. */
TEST_F(unix_lookup, from_another_mount_namespace)
{
	int fd = unix_listener_at(SOCK_STREAM, unix_path("here"), 0), other;
	pid_t pid;

	ASSERT_EQ(0, mkdir("there", 0755));
	ASSERT_EQ(1, unix_fill(fd, SOCK_STREAM, self->clients, 1));
	pid = lq_fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(".", "there", NULL, MS_BIND, NULL))
			err(1, "mount");
		_exit(unix_try_path(SOCK_STREAM, "there/here"));
	}
	EXPECT_EQ(EAGAIN, WEXITSTATUS(lq_reap(pid)));
	CHECK_UNIX(fd, 1, 0, 0, 1);

	/* Bound there to the path that is bound here: two listeners, one name. */
	pid = lq_fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "there", "tmpfs", 0, NULL) || chdir("there"))
			err(1, "mount");
		other = unix_listener_at(SOCK_STREAM, unix_path("here"), 0);
		if (unix_try_path(SOCK_STREAM, "here") ||
		    unix_try_path(SOCK_STREAM, "here") != EAGAIN ||
		    unix_num(other, "connects") != 1 ||
		    unix_num(other, "eagains") != 1 ||
		    strcmp(unix_str(other, "path"), "here") ||
		    lq_rows(LQ_UNIX) != 2)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, lq_reap(pid));
	CHECK_UNIX(fd, 1, 0, 0, 1);
}

/* What io_uring tries before it waits is no call of the program's. */
TEST_F(unix_lookup, by_io_uring)
{
	int fd = unix_listener(SOCK_STREAM, 0), client = unix_socket(SOCK_STREAM);
	struct lq_addr addr = lq_name(fd);
	pid_t pid;

	if (lq_uring_connect(client, &addr))
		SKIP(return, "the kernel has no io_uring that connects");
	CHECK_UNIX(fd, 1, 0, 0, 0);
	pid = lq_fork();
	if (!pid)
		_exit(lq_uring_connect(unix_socket(SOCK_STREAM), &addr));
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 1));
	CHECK_UNIX(fd, 1, 0, 1, 0);
	unix_accept(fd);
	EXPECT_EQ(0, unix_waited(pid));
	CHECK_UNIX(fd, 2, 1, 1, 0);

	/* One that would not wait, however often it was tried. */
	EXPECT_EQ(EAGAIN, lq_uring_connect(unix_socket(SOCK_STREAM |
						       SOCK_NONBLOCK), &addr));
	EXPECT_LE(1, unix_num(fd, "eagains"));
	EXPECT_EQ(1, unix_num(fd, "waits"));
}

TEST_HARNESS_MAIN
