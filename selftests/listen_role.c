// SPDX-License-Identifier: GPL-2.0-only
/*
 * What listen() and accept() are said to do with a socket: claims role-1 to
 * role-6, accept-1 to accept-3, ret-1 and hdr-1 of Documentation/listen.rst.
 * Each test asserts what Linux does; where that isn't the claim, the test
 * refutes it. They run without the module, whose columns are further evidence.
 */

#define _GNU_SOURCE
/* hdr-1: alone and before all others, see listen_by_one_header(). */
#include <sys/socket.h>

static int listen_by_one_header(int fd, int backlog)
{
	return listen(fd, backlog);
}

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds.h"

/* From where listen() takes a port where there was no bind(). */
#define FIRST_PORT	40000
#define LAST_PORT	40099

static void set_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		err(1, "O_NONBLOCK");
}

static bool same_address(struct lq_addr a, struct lq_addr b)
{
	return a.len == b.len && !memcmp(&a.ss, &b.ss, a.len);
}

static struct lq_addr peer_of(int fd)
{
	struct lq_addr addr = { .len = sizeof(addr.ss) };

	if (getpeername(fd, &addr.sa, &addr.len))
		err(1, "getpeername");
	return addr;
}

/*
 * Bound alone, a socket refuses; listening, it queues those who come, and
 * is no use as a client any more.
 */
TEST_F(listen, role_1)
{
	int fd = lq_kind_bound(&variant->kind, 0);
	int other = lq_kind_listener(&variant->kind, 1);
	int client = new_socket(&variant->kind, 0);
	int clients[3];

	EXPECT_FALSE(listens(fd));
	EXPECT_EQ(ECONNREFUSED, lq_try_connect(client, fd));
	check_failed(_metadata, EINVAL, accept(fd, NULL, NULL));

	ASSERT_EQ(0, lq_try_listen(fd, 5));
	EXPECT_TRUE(listens(fd));
	check_queue(_metadata, fd, 0, 5);
	clients_of(&variant->kind, fd, clients, 3);
	check_queue(_metadata, fd, 3, 5);

	EXPECT_EQ(self->is_unix ? EINVAL : EISCONN, lq_try_connect(fd, other));
	EXPECT_TRUE(listens(fd));
	for (int i = 0; i < 3; i++) {
		int child = accepted(_metadata, fd);

		check_heard(_metadata, clients[i], child, 'a' + i);
	}
	check_queue(_metadata, fd, 0, 5);
}

/*
 * Under a backlog of 2, three connect() succeed while nobody accepts, and
 * what those clients send is acknowledged; the fourth is the first to wait.
 */
TEST_F(listen, role_2)
{
	int fd = lq_kind_listener(&variant->kind, 2);
	int clients[3], fourth;

	for (int i = 0; i < 3; i++) {
		clients[i] = client_of(&variant->kind, fd);
		EXPECT_TRUE(same_address(lq_reach(fd), peer_of(clients[i])));
		say(clients[i], 'a' + i);
	}
	check_queue(_metadata, fd, 3, 2);
	for (int i = 0; i < 3; i++) {
		int unacknowledged = 1;

		/* AF_UNIX counts what has not been read; MPTCP, nothing. */
		if (self->is_unix ||
		    (variant->kind.protocol && lq_kernel_before(5, 17)))
			break;
		EXPECT_TRUE(lq_wait_until(!ioctl(clients[i], SIOCOUTQ,
						 &unacknowledged) &&
					  !unacknowledged));
	}

	fourth = one_too_many(_metadata, &variant->kind, fd);
	check_queue(_metadata, fd, 3, 2);

	/* It only takes room. */
	for (int i = 0; i < 3; i++)
		check_next(_metadata, fd, 'a' + i);
	EXPECT_TRUE(lets_in(&variant->kind, fourth, fd));
	check_queue(_metadata, fd, 1, 2);
}

/*
 * accept() needs listen() before it, and bind() can't come after it; but
 * listen() without bind() is an error of AF_UNIX alone.
 */
TEST_F(listen, role_3)
{
	struct lq_addr addr = lq_kind_addr(&variant->kind, 0);
	int fd = lq_kind_socket(&variant->kind, 0);
	int client = new_socket(&variant->kind, 0);

	/* socket, accept, listen, bind. */
	check_failed(_metadata, EINVAL, accept(fd, NULL, NULL));
	EXPECT_EQ(self->is_unix ? EINVAL : 0, lq_try_listen(fd, 5));
	EXPECT_EQ(self->is_unix ? 0 : EINVAL, lq_try_bind(fd, &addr));
	close(fd);

	/* socket, bind, accept, listen, bind, accept. */
	fd = lq_kind_bound(&variant->kind, 0);
	check_failed(_metadata, EINVAL, accept(fd, NULL, NULL));
	EXPECT_EQ(ECONNREFUSED, lq_try_connect(client, fd));
	EXPECT_EQ(0, lq_try_listen(fd, 5));
	/* To ask AF_UNIX for any name at all is no error, for another one is. */
	EXPECT_EQ(self->is_unix ? 0 : EINVAL, lq_try_bind(fd, &addr));
	if (self->is_unix)
		addr.len += sizeof("x");
	EXPECT_EQ(EINVAL, lq_try_bind(fd, &addr));
	close(client);
	client = client_of(&variant->kind, fd);
	check_heard(_metadata, client, accepted(_metadata, fd), 'a');
	check_queue(_metadata, fd, 0, 5);
}

/*
 * Not so but for AF_UNIX: without bind(), listen() takes a free port of
 * ip_local_port_range, at all addresses.
 */
TEST_F(listen, role_4)
{
	int family = variant->kind.family;
	int fd = lq_kind_socket(&variant->kind, 0);
	int other = lq_kind_socket(&variant->kind, 0);
	struct lq_addr any;

	if (self->is_unix) {
		any = lq_kind_addr(&variant->kind, 0);
		EXPECT_EQ(EINVAL, lq_try_listen(fd, 5));
		EXPECT_FALSE(listens(fd));
		EXPECT_EQ(sizeof(sa_family_t), lq_name(fd).len);
		ASSERT_EQ(0, lq_try_bind(fd, &any));
		EXPECT_LT(sizeof(sa_family_t), lq_name(fd).len);
		EXPECT_EQ(0, lq_try_listen(fd, 5));
		EXPECT_TRUE(listens(fd));
		return;
	}

	lq_write_file("/proc/sys/net/ipv4/ip_local_port_range", "40000 40099");
	EXPECT_EQ(0, lq_port(fd));
	ASSERT_EQ(0, lq_try_listen(fd, 5));
	EXPECT_LE(FIRST_PORT, lq_port(fd));
	EXPECT_GE(LAST_PORT, lq_port(fd));
	any = lq_addr(family, family == AF_INET ? "0.0.0.0" : "::",
		      lq_port(fd));
	EXPECT_TRUE(same_address(any, lq_name(fd)));

	ASSERT_EQ(0, lq_try_listen(other, 5));
	EXPECT_NE(lq_port(fd), lq_port(other));
	client_of(&variant->kind, fd);
	check_queue(_metadata, fd, 1, 5);
	check_queue(_metadata, other, 0, 5);
}

/* In order of arrival, and each by a socket and a descriptor of its own. */
TEST_F(listen, accept_1)
{
	int fd = lq_kind_listener(&variant->kind, 5);
	int clients[3], children[3], lowest;

	for (int i = 0; i < 3; i++) {
		clients[i] = client_of(&variant->kind, fd);
		say(clients[i], 'a' + i);
		check_queue(_metadata, fd, i + 1, 5);
	}
	/* A file's flags, unlike options, aren't passed on. */
	set_nonblocking(fd);
	for (int i = 0; i < 3; i++) {
		lowest = dup(fd);
		close(lowest);
		children[i] = accept(fd, NULL, NULL);
		EXPECT_EQ(lowest, children[i]);
		EXPECT_EQ('a' + i, hear(children[i]));
		EXPECT_EQ(0, option(children[i], SO_ACCEPTCONN));
		EXPECT_EQ(0, fcntl(children[i], F_GETFL) & O_NONBLOCK);
		EXPECT_NE(lq_inode(fd), lq_inode(children[i]));
		if (i)
			EXPECT_NE(lq_inode(children[0]),
				  lq_inode(children[i]));
		check_queue(_metadata, fd, 2 - i, 5);
	}
	EXPECT_TRUE(listens(fd));
	check_failed(_metadata, EAGAIN, accept(fd, NULL, NULL));

	/* They outlive the listener. */
	close(fd);
	for (int i = 0; i < 3; i++)
		check_heard(_metadata, children[i], clients[i], 'A' + i);
}

/* It is the peer's address; the new socket's own is the listener's. */
TEST_F(listen, accept_2)
{
	int fd = lq_kind_listener(&variant->kind, 5);
	struct lq_addr reported = { .len = sizeof(reported.ss) };
	struct lq_addr part = { .len = sizeof(sa_family_t) };
	int client = lq_kind_bound(&variant->kind, 0);
	int child;

	ASSERT_EQ(0, lq_try_connect(client, fd));
	child = accept(fd, &reported.sa, &reported.len);
	ASSERT_LE(0, child);
	EXPECT_TRUE(same_address(reported, lq_name(client)));
	EXPECT_FALSE(same_address(reported, lq_name(child)));
	EXPECT_TRUE(same_address(lq_name(fd), lq_name(child)));

	/* What doesn't fit is cut off, and the length says what there is. */
	client = lq_kind_bound(&variant->kind, 0);
	ASSERT_EQ(0, lq_try_connect(client, fd));
	memset(&part.ss, 0xff, sizeof(part.ss));
	child = accept(fd, &part.sa, &part.len);
	ASSERT_LE(0, child);
	EXPECT_EQ(lq_name(client).len, part.len);
	EXPECT_EQ(variant->kind.family, part.ss.ss_family);
	EXPECT_EQ(0xff, ((unsigned char *)&part.ss)[sizeof(sa_family_t)]);

	if (!self->is_unix)
		return;
	/* A client without a name has no address to report. */
	reported.len = sizeof(reported.ss);
	client_of(&variant->kind, fd);
	child = accept(fd, &reported.sa, &reported.len);
	ASSERT_LE(0, child);
	EXPECT_EQ(sizeof(sa_family_t), reported.len);
	EXPECT_EQ(AF_UNIX, reported.ss.ss_family);
}

/* -1, which is what Winsock's INVALID_SOCKET is as an int; no such name. */
TEST_F(listen, accept_3)
{
	const struct lq_kind datagram = {
		.family = variant->kind.family, .type = SOCK_DGRAM,
	};
	int fd = lq_kind_listener(&variant->kind, 5);
	int pipes[2], wrong = new_socket(&datagram, 0);
	int idle = lq_kind_bound(&variant->kind, 0);
	int client;

#ifdef INVALID_SOCKET
	EXPECT_TRUE(false);
#endif
	ASSERT_EQ(0, pipe(pipes));
	check_failed(_metadata, EBADF, accept(-1, NULL, NULL));
	check_failed(_metadata, ENOTSOCK, accept(pipes[0], NULL, NULL));
	check_failed(_metadata, EOPNOTSUPP, accept(wrong, NULL, NULL));
	check_failed(_metadata, EINVAL, accept(idle, NULL, NULL));
	check_failed(_metadata, EINVAL, accept4(fd, NULL, NULL, INT_MAX));
	set_nonblocking(fd);
	check_failed(_metadata, EAGAIN, accept(fd, NULL, NULL));
	/* So too where a client waits, who isn't accepted by any of them. */
	client = client_of(&variant->kind, fd);
	check_queue(_metadata, fd, 1, 5);
	check_failed(_metadata, EINVAL, accept4(fd, NULL, NULL, INT_MAX));
	check_queue(_metadata, fd, 1, 5);
	close(client);
}

/* One failure costs a connection: where its address can't be written. */
TEST_F(listen, accept_3_bad_address)
{
	int fd = lq_kind_listener(&variant->kind, 5);
	int client = client_of(&variant->kind, fd);
	struct lq_addr addr = { .len = sizeof(addr.ss) };
	int negative = -1;
	char byte;

	check_queue(_metadata, fd, 1, 5);
	check_failed(_metadata, EFAULT,
		     accept(fd, (struct sockaddr *)1, &addr.len));
	check_queue(_metadata, fd, 0, 5);
	EXPECT_EQ(0, recv(client, &byte, 1, 0));

	client = client_of(&variant->kind, fd);
	check_failed(_metadata, EINVAL,
		     accept(fd, &addr.sa, (socklen_t *)&negative));
	check_queue(_metadata, fd, 0, 5);
	EXPECT_EQ(0, recv(client, &byte, 1, 0));
}

TEST_F(listen, ret_1)
{
	static const int backlogs[] = { 5, 0, -1, INT_MIN, INT_MAX, 1 };
	int fd = lq_kind_bound(&variant->kind, 0);
	int closed = dup(fd);

	close(closed);
	/* Success leaves errno alone, on the first call and on others. */
	for (size_t i = 0; i < ARRAY_SIZE(backlogs); i++) {
		errno = ENOTTY;
		EXPECT_EQ(0, listen(fd, backlogs[i]));
		EXPECT_EQ(ENOTTY, errno);
	}
	check_queue(_metadata, fd, 0, 1);
	if (have_module && !self->is_unix)
		EXPECT_EQ(1, lq_num_at(fd, "asked"));

	check_failed(_metadata, EBADF, listen(closed, 5));
	/* A failure leaves the socket alone. */
	close(fd);
	fd = lq_kind_socket(&variant->kind, 0);
	if (self->is_unix) {
		check_failed(_metadata, EINVAL, listen(fd, 5));
		EXPECT_FALSE(listens(fd));
	}
}

/* See the top of this file: that it compiles is half of the test. */
TEST_F(listen, hdr_1)
{
	int fd = lq_kind_bound(&variant->kind, 0);

	EXPECT_EQ(0, listen_by_one_header(fd, 5));
	EXPECT_TRUE(listens(fd));
	check_queue(_metadata, fd, 0, 5);
	check_failed(_metadata, EBADF, listen_by_one_header(-1, 5));
}

/* What doesn't go by the family, or is TCP's alone. */
FIXTURE(role) { };

FIXTURE_SETUP(role)
{
	LQ_SETUP_PLAIN();
	have_module = lq_have_module();
}

FIXTURE_TEARDOWN(role) { }

static const struct lq_kind tcp = { AF_INET, SOCK_STREAM, 0 };

/* Servers without TCP do, and a socket that was TCP's client before. */
TEST_F(role, role_5)
{
	static const struct lq_kind others[] = {
		{ AF_UNIX, SOCK_STREAM, 0 }, { AF_UNIX, SOCK_SEQPACKET, 0 },
	};
	int fd = lq_kind_listener(&tcp, 5);
	int client;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		int local = lq_kind_listener(&others[i], 5);

		EXPECT_EQ(others[i].type, option(local, SO_TYPE));
		EXPECT_TRUE(listens(local));
		client = client_of(&others[i], local);
		check_heard(_metadata, client, accepted(_metadata, local), 'a');
	}

	client = client_of(&tcp, fd);
	check_queue(_metadata, fd, 1, 5);
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));
	lq_end_listening(client);
	ASSERT_EQ(0, lq_try_listen(client, 3));
	client_of(&tcp, client);
	check_queue(_metadata, client, 1, 3);
}

/*
 * SOCK_STREAM of TCP and AF_UNIX, SOCK_SEQPACKET of AF_UNIX; TCP has no
 * SOCK_SEQPACKET (where there is one, it is SCTP's), and no other type can.
 */
TEST_F(role, role_6)
{
	static const struct {
		struct lq_kind kind;
		int of_socket;
		int of_listen;
	} types[] = {
		{ { AF_INET, SOCK_STREAM, 0 }, 0, 0 },
		{ { AF_INET6, SOCK_STREAM, 0 }, 0, 0 },
		{ { AF_UNIX, SOCK_STREAM, 0 }, 0, 0 },
		{ { AF_UNIX, SOCK_SEQPACKET, 0 }, 0, 0 },
		{ { AF_INET, SOCK_DGRAM, 0 }, 0, EOPNOTSUPP },
		{ { AF_INET6, SOCK_DGRAM, 0 }, 0, EOPNOTSUPP },
		{ { AF_INET, SOCK_RAW, IPPROTO_TCP }, 0, EOPNOTSUPP },
		{ { AF_INET6, SOCK_RAW, IPPROTO_TCP }, 0, EOPNOTSUPP },
		{ { AF_UNIX, SOCK_DGRAM, 0 }, 0, EOPNOTSUPP },
		{ { AF_NETLINK, SOCK_RAW, 0 }, 0, EOPNOTSUPP },
		{ { AF_INET, SOCK_SEQPACKET, 0 }, ESOCKTNOSUPPORT, 0 },
		{ { AF_INET6, SOCK_SEQPACKET, 0 }, ESOCKTNOSUPPORT, 0 },
		{ { AF_INET, SOCK_SEQPACKET, IPPROTO_TCP },
		  ESOCKTNOSUPPORT, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const struct lq_kind *kind = &types[i].kind;
		int fd;

		if (!lq_has_family(kind->family))
			continue;
		fd = lq_kind_socket(kind, 0);
		if (fd >= 0 && types[i].of_socket) {
			EXPECT_EQ(IPPROTO_SCTP, option(fd, SO_PROTOCOL));
			EXPECT_EQ(0, lq_try_listen(fd, 5));
			close(fd);
			continue;
		}
		EXPECT_EQ(types[i].of_socket, fd < 0 ? errno : 0) {
			TH_LOG("family %d, type %d, protocol %d", kind->family,
			       kind->type, kind->protocol);
		}
		if (fd < 0)
			continue;
		if (kind->family == AF_UNIX) {
			struct lq_addr name = lq_kind_addr(kind, 0);

			ASSERT_EQ(0, lq_try_bind(fd, &name));
		}
		EXPECT_EQ(types[i].of_listen, lq_try_listen(fd, 5)) {
			TH_LOG("family %d, type %d, protocol %d", kind->family,
			       kind->type, kind->protocol);
		}
		EXPECT_EQ(!types[i].of_listen, listens(fd));
		close(fd);
	}
}

/*
 * The first is who was the first to finish: a server may ask the kernel to
 * wait for data, and a client that sends some overtakes one that is silent.
 */
TEST_F(role, accept_1_first_to_finish)
{
	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_kind_bound(&both[i], 0);
		int silent, eager;

		lq_set_option(fd, SOL_TCP, TCP_DEFER_ACCEPT, 30);
		ASSERT_EQ(0, lq_try_listen(fd, 5));
		silent = client_of(&both[i], fd);
		check_queue(_metadata, fd, 0, 5);
		if (have_module)
			EXPECT_EQ(1, lq_num_at(fd, "synq"));
		eager = client_of(&both[i], fd);
		say(eager, 'b');
		check_queue(_metadata, fd, 1, 5);
		say(silent, 'a');
		check_queue(_metadata, fd, 2, 5);

		check_next(_metadata, fd, 'b');
		check_next(_metadata, fd, 'a');
	}
}

/* The peer of an IPv6 socket may be an IPv4 one, and reads like that. */
TEST_F(role, accept_2_mapped)
{
	static const struct lq_kind tcp6 = { AF_INET6, SOCK_STREAM, 0 };
	struct lq_addr reported = { .len = sizeof(reported.ss) };
	int fd = lq_kind_socket(&tcp6, 0), client, child;
	struct lq_addr to;

	lq_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	ASSERT_EQ(0, lq_try_listen(fd, 5));
	client = new_socket(&tcp, 0);
	to = lq_addr(AF_INET, "127.0.0.1", lq_port(fd));
	ASSERT_EQ(0, connect(client, &to.sa, to.len));
	child = accept(fd, &reported.sa, &reported.len);
	ASSERT_LE(0, child);
	EXPECT_TRUE(same_address(lq_addr(AF_INET6, "::ffff:127.0.0.1",
					 lq_port(client)), reported));
}

/*
 * A client that has gone again, by RST even, is accepted all the same: there
 * is no ECONNABORTED, the error is the new socket's.
 */
TEST_F(role, accept_3_never_aborted)
{
	for (int i = 0; i < lq_families(); i++) {
		struct lq_addr reported = { .len = sizeof(reported.ss) };
		int fd = lq_kind_listener(&both[i], 5);
		int client = client_of(&both[i], fd);
		struct lq_addr clients = lq_name(client);
		int child;
		char byte;

		check_queue(_metadata, fd, 1, 5);
		lq_abort(client);
		check_queue(_metadata, fd, 1, 5);
		child = accept(fd, &reported.sa, &reported.len);
		ASSERT_LE(0, child);
		EXPECT_TRUE(same_address(clients, reported));
		check_failed(_metadata, ECONNRESET, recv(child, &byte, 1, 0));
	}
}

TEST_HARNESS_MAIN
