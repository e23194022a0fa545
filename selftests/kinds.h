/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the claims in Documentation/listen.rst share: a fixture
 * that has each kind of socket that can listen, and what they do with one.
 * They run without the module, whose columns are further evidence. Each test
 * is a process of its own, in a network namespace of its own.
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

/* Set by each fixture's set-up. */
static bool have_module;

/* For tests that don't go by the kind of socket, or are TCP's alone. */
static const struct lq_kind both[] = {
	{ AF_INET, SOCK_STREAM, 0 }, { AF_INET6, SOCK_STREAM, 0 },
};

FIXTURE(listen)
{
	bool is_unix;
};

FIXTURE_VARIANT(listen)
{
	struct lq_kind kind;
};

FIXTURE_VARIANT_ADD(listen, ipv4) { { AF_INET, SOCK_STREAM, 0 } };
FIXTURE_VARIANT_ADD(listen, ipv6) { { AF_INET6, SOCK_STREAM, 0 } };
FIXTURE_VARIANT_ADD(listen, mptcp) { { AF_INET, SOCK_STREAM, IPPROTO_MPTCP } };
/* listen_full.c has tests of its own for AF_UNIX. */
#ifndef LISTEN_TCP_ONLY
FIXTURE_VARIANT_ADD(listen, unix_stream) { { AF_UNIX, SOCK_STREAM, 0 } };
FIXTURE_VARIANT_ADD(listen, unix_seqpacket) { { AF_UNIX, SOCK_SEQPACKET, 0 } };
#endif

FIXTURE_SETUP(listen)
{
	int fd;

	LQ_SETUP_PLAIN();
	/* Or one client's final ACK could overtake another's. */
	lq_pin();
	have_module = lq_have_module();
	self->is_unix = variant->kind.family == AF_UNIX;
	fd = lq_kind_socket(&variant->kind, 0);
	LQ_SKIP_FOR(fd < 0 ? "the kernel has no such sockets" : NULL);
	close(fd);
}

FIXTURE_TEARDOWN(listen) { }

/* A client's connect() may return before its ACK has arrived. */
static inline bool queue_is(int fd, int waiting, int limit)
{
	int now, its_limit;

	return !lq_tcp_queue(fd, &now, &its_limit) ||
	       (now == waiting && its_limit == limit);
}

/* AF_UNIX doesn't tell. */
static inline void check_queue(struct __test_metadata *_metadata, int fd,
			       int waiting, int limit)
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

static inline void clients_of(const struct lq_kind *kind, int fd, int *clients,
			      int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = client_of(kind, fd);
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

/* The next connection of @fd's queue. */
static inline int accepted(struct __test_metadata *_metadata, int fd)
{
	int child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	ASSERT_LE(0, child);
	return child;
}

/* The same, of a client that has said @byte. */
static inline int check_next(struct __test_metadata *_metadata, int fd,
			     char byte)
{
	int child = accepted(_metadata, fd);

	EXPECT_EQ(byte, hear(child));
	return child;
}

/* @to hears @byte from @from. */
static inline void check_heard(struct __test_metadata *_metadata, int from,
			       int to, char byte)
{
	say(from, byte);
	EXPECT_EQ(byte, hear(to));
}

/* What a call has @returned is a failure, with @error in errno. */
static inline void check_failed(struct __test_metadata *_metadata, int error,
				long returned)
{
	int seen = errno;

	EXPECT_EQ(-1, returned);
	EXPECT_EQ(error, seen);
}

static inline int option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &len))
		err(1, "getsockopt(%d)", name);
	return value;
}

static inline bool listens(int fd)
{
	return option(fd, SO_ACCEPTCONN);
}

/* Neither end has closed or reset it. */
static inline bool alive(int client)
{
	struct pollfd ends = { .fd = client, .events = POLLOUT | POLLRDHUP };

	return poll(&ends, 1, 0) == 1 && ends.revents == POLLOUT;
}

/* A client for whom there is no room; of AF_UNIX, it has to try again. */
static inline int one_too_many(struct __test_metadata *_metadata,
			       const struct lq_kind *kind, int fd)
{
	int client = new_socket(kind, SOCK_NONBLOCK);
	long long overflows;

	if (kind->family == AF_UNIX) {
		EXPECT_EQ(EAGAIN, lq_try_connect(client, fd));
		return client;
	}
	overflows = lq_netstat("ListenOverflows");
	EXPECT_EQ(EINPROGRESS, lq_try_connect(client, fd));
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") > overflows));
	EXPECT_FALSE(alive(client));
	return client;
}

/* Such a client gets in; of TCP, with its next SYN. */
static inline bool lets_in(const struct lq_kind *kind, int client, int fd)
{
	return kind->family == AF_UNIX ? !lq_try_connect(client, fd) :
					 lq_wait_until(alive(client));
}

#endif
