/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the claims in Documentation/listen.rst do with a socket of
 * any kind.
 */
#ifndef LISTENQ_SELFTEST_KINDS_H
#define LISTENQ_SELFTEST_KINDS_H

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "listenq.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

static inline bool is_tcp(const struct lq_kind *kind)
{
	return kind->family != AF_UNIX;
}

/* A client's connect() may return before its ACK has arrived. */
static inline bool queue_is(int fd, int waiting, int limit)
{
	int now, its_limit;

	return !lq_tcp_queue(fd, &now, &its_limit) ||
	       (now == waiting && its_limit == limit);
}

static inline void check_queue(struct __test_metadata *_metadata,
			       bool have_module, int fd, int waiting,
			       int limit)
{
	if (lq_name(fd).ss.ss_family == AF_UNIX)
		return;
	EXPECT_TRUE(lq_wait_until(queue_is(fd, waiting, limit)));
	if (!have_module)
		return;
	/* For the kernel whose MPTCP doesn't tell by itself. */
	EXPECT_TRUE(lq_wait_until(lq_num_at(fd, "acceptq") == waiting));
	EXPECT_EQ(limit, lq_num_at(fd, "limit"));
}

static inline int new_socket(const struct lq_kind *kind, int flags)
{
	int fd = lq_kind_socket(kind, flags);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

static inline int client_of(const struct lq_kind *kind, int fd)
{
	int client = new_socket(kind, 0);
	int error = lq_try_connect(client, fd);

	if (error)
		errx(1, "connect: %s", strerror(error));
	return client;
}

static inline void say(int fd, char byte)
{
	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		err(1, "send");
}

static inline char hear(int fd)
{
	struct pollfd said = { .fd = fd, .events = POLLIN };
	char byte = 0;

	if (poll(&said, 1, 60000) != 1)
		errx(1, "nobody says anything");
	if (recv(fd, &byte, 1, 0) != 1)
		err(1, "recv");
	return byte;
}

#endif
