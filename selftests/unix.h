/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of AF_UNIX listeners share: names, clients that wait and clients that
 * don't, and rows.
 */
#ifndef LISTENQ_SELFTEST_UNIX_H
#define LISTENQ_SELFTEST_UNIX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "listenq.h"

/* @length bytes, of which the first is a NUL where the name is abstract. */
static inline struct lq_addr unix_addr(const char *bytes, size_t length)
{
	struct lq_addr addr = { };
	struct sockaddr_un *un = (struct sockaddr_un *)&addr.ss;

	if (length > sizeof(un->sun_path))
		errx(1, "a name of %zu bytes", length);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, bytes, length);
	addr.len = offsetof(struct sockaddr_un, sun_path) + length;
	return addr;
}

static inline struct lq_addr unix_path(const char *path)
{
	return unix_addr(path, strlen(path));
}

/* Names of files begin in a directory of the test's own from now on. */
static inline void unix_enter_dir(char dir[32])
{
	strcpy(dir, "/tmp/listenq-unix-XXXXXX");
	if (mkdir("/tmp", 01777) && errno != EEXIST)
		err(1, "/tmp");
	if (!mkdtemp(dir) || chdir(dir) || chmod(dir, 0755))
		err(1, "%s", dir);
}

static inline void unix_leave_dir(const char *dir)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	lq_run(command);
}

static inline int unix_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static inline int unix_bound(int type, struct lq_addr addr)
{
	int fd = unix_socket(type);

	if (bind(fd, &addr.sa, addr.len))
		err(1, "bind");
	return fd;
}

static inline int unix_listener_at(int type, struct lq_addr addr, int backlog)
{
	int fd = unix_bound(type, addr);

	lq_listen(fd, backlog);
	return fd;
}

/* To a name that the kernel chooses. */
static inline int unix_autobound(int type)
{
	int fd = unix_socket(type);
	struct sockaddr_un none = { .sun_family = AF_UNIX };

	if (bind(fd, (struct sockaddr *)&none, sizeof(none.sun_family)))
		err(1, "bind");
	return fd;
}

/* At such a name. */
static inline int unix_listener(int type, int backlog)
{
	int fd = unix_autobound(type);

	lq_listen(fd, backlog);
	return fd;
}

/* A client that would not wait: 0 or an errno. It is closed where it failed. */
static inline int unix_dial(int fd, int type, int *client)
{
	int error;

	*client = unix_socket(type | SOCK_NONBLOCK);
	error = lq_try_connect(*client, fd);
	if (error) {
		close(*client);
		*client = -1;
	}
	return error;
}

/* A client that would not wait, and goes at once: whether it got in is counted. */
static inline void unix_try(int fd, int type, atomic_llong *in, atomic_llong *out)
{
	int client, error = unix_dial(fd, type, &client);

	if (!error) {
		(*in)++;
		close(client);
	} else if (error == EAGAIN) {
		(*out)++;
	} else {
		_exit(1);
	}
}

/* So many clients that would not wait, which stay; how many got in. */
static inline int unix_fill(int fd, int type, int *clients, int count)
{
	int in = 0;

	for (int i = 0; i < count; i++) {
		int error = unix_dial(fd, type, &clients[in]);

		if (!error)
			in++;
		else if (error != EAGAIN)
			errx(1, "connect: %s", strerror(error));
	}
	return in;
}

static inline void unix_accept(int fd)
{
	int child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (child < 0)
		err(1, "accept");
	close(child);
}

static inline void unix_nothing(int sig)
{
}

/*
 * A process whose connect() to @fd waits: it ends with the errno, after @ms where that
 * is not 0, or when it gets SIGUSR1. Returns when it sleeps.
 */
static inline pid_t unix_waiter(int fd, int type, int ms)
{
	struct timeval after = { ms / 1000, ms % 1000 * 1000 };
	/* No SA_RESTART. */
	struct sigaction action = { .sa_handler = unix_nothing };
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe2(ready, O_CLOEXEC))
		err(1, "pipe");
	pid = lq_fork();
	if (!pid) {
		int client = unix_socket(type);

		sigaction(SIGUSR1, &action, NULL);
		if (ms)
			setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &after,
				   sizeof(after));
		close(ready[0]);
		close(ready[1]);
		_exit(lq_try_connect(client, fd));
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1))
		errx(1, "a pipe that nobody closes");
	close(ready[0]);
	if (!ms && !lq_wait_until(lq_state(pid) == 'S'))
		errx(1, "a client that does not wait");
	return pid;
}

/* To a path: 0 or the errno of a call that would not wait. */
static inline int unix_try_path(int type, const char *path)
{
	struct lq_addr addr = unix_path(path);
	int client = unix_socket(type | SOCK_NONBLOCK);
	int error = connect(client, &addr.sa, addr.len) ? errno : 0;

	close(client);
	return error;
}

/* The errno that it has ended with. */
static inline int unix_waited(pid_t pid)
{
	int status = lq_reap(pid);

	if (!WIFEXITED(status))
		errx(1, "a client that was killed");
	return WEXITSTATUS(status);
}

/* A cell of a listener's row; "" where it isn't listed. */
static inline const char *unix_str(int fd, const char *col)
{
	static char text[512];
	struct lq_table *table = lq_read(LQ_UNIX);
	int row = lq_find(table, "cookie", lq_cookie_str(fd));

	snprintf(text, sizeof(text), "%s",
		 row < 0 ? "" : lq_cell(table, row, col));
	lq_free(table);
	return text;
}

/* LQ_NONE for "-", and where it isn't listed. */
static inline long long unix_num(int fd, const char *col)
{
	const char *text = unix_str(fd, col);

	return *text && strcmp(text, "-") ? atoll(text) : LQ_NONE;
}

static inline bool unix_listed(int fd)
{
	return *unix_str(fd, "type");
}

/* What has happened to a listener, but for what comes and goes. */
struct unix_row {
	long long connects;
	long long accepts;
	long long waits;
	long long eagains;
};

#define CHECK_UNIX(fd, ...)						\
do {									\
	const struct unix_row expected = { __VA_ARGS__ };		\
	int _fd = (fd);							\
									\
	EXPECT_EQ(expected.connects, unix_num(_fd, "connects"));	\
	EXPECT_EQ(expected.accepts, unix_num(_fd, "accepts"));		\
	EXPECT_EQ(expected.waits, unix_num(_fd, "waits"));		\
	EXPECT_EQ(expected.eagains, unix_num(_fd, "eagains"));		\
} while (0)

#endif
