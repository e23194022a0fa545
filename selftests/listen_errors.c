// SPDX-License-Identifier: GPL-2.0-only
/*
 * The errors that listen() is said to have, and what it is said to do to
 * connections that wait: claims err-1 to err-9, fd-1, again-1 and again-2 of
 * Documentation/listen.rst. Each test asserts what Linux does; where that
 * isn't the claim, the test refutes it. They run without the module, whose
 * columns are further evidence; tests of its rules are skipped.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kinds.h"

#define PORT		8080
#define LOW_PORT	80
#define SOMEBODY	65534

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

FIXTURE(listen)
{
	bool have_module;
	bool is_unix;
};

FIXTURE_VARIANT(listen)
{
	struct lq_kind kind;
};

FIXTURE_VARIANT_ADD(listen, ipv4)
{
	.kind = { AF_INET, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(listen, ipv6)
{
	.kind = { AF_INET6, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(listen, mptcp)
{
	.kind = { AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
};

FIXTURE_VARIANT_ADD(listen, unix_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(listen, unix_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, 0 },
};

FIXTURE_SETUP(listen)
{
	int fd;

	LQ_SETUP_PLAIN();
	/* Or one client's final ACK could overtake another's. */
	lq_pin();
	self->have_module = lq_have_module();
	self->is_unix = variant->kind.family == AF_UNIX;
	lq_set_somaxconn(SOMAXCONN_HERE);
	fd = lq_kind_socket(&variant->kind, 0);
	if (fd < 0)
		SKIP(longjmp(_metadata->env, 1), "the kernel has no MPTCP");
	close(fd);
}

FIXTURE_TEARDOWN(listen)
{
}

static bool listens(int fd)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len))
		err(1, "SO_ACCEPTCONN");
	return value;
}

static int accepted(int fd)
{
	int child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (child < 0)
		err(1, "accept");
	return child;
}

/* Neither end has closed or reset it. */
static bool alive(int client)
{
	struct pollfd both = { .fd = client, .events = POLLOUT | POLLRDHUP };

	return poll(&both, 1, 0) == 1 && both.revents == POLLOUT;
}

static void allow_reuse(int fd, int reuse)
{
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)))
		err(1, "SO_REUSEADDR");
}

/* 0 or an errno, @fd at PORT of @kind's loopback address. */
static int try_bind(const struct lq_kind *kind, int fd)
{
	struct lq_addr addr = lq_addr(kind->family, lq_loopback(kind->family),
				      PORT);

	return bind(fd, &addr.sa, addr.len) ? errno : 0;
}

static int reusing(struct __test_metadata *_metadata,
		   const struct lq_kind *kind)
{
	int fd = new_socket(kind, 0);

	allow_reuse(fd, 1);
	EXPECT_EQ(0, try_bind(kind, fd));
	return fd;
}

/*
 * It is bind() that finds most such conflicts. It is left to listen() where
 * both sockets were bound with SO_REUSEADDR before either of them listened.
 */
TEST_F(listen, err_1)
{
	int first, second, third;

	if (self->is_unix) {
		struct lq_addr name;

		/* All of it is bind()'s: a name can't be had twice. */
		first = lq_kind_listener(&variant->kind, 5);
		name = lq_name(first);
		second = new_socket(&variant->kind, 0);
		EXPECT_EQ(-1, bind(second, &name.sa, name.len));
		EXPECT_EQ(EADDRINUSE, errno);
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));
		return;
	}

	first = reusing(_metadata, &variant->kind);
	second = reusing(_metadata, &variant->kind);
	ASSERT_EQ(0, lq_try_listen(first, 5));
	EXPECT_EQ(EADDRINUSE, lq_try_listen(second, 6));
	EXPECT_FALSE(listens(second));
	if (self->have_module)
		EXPECT_EQ(1, lq_listed_at(first));
	/* The listener's backlog wasn't touched, and may be. */
	check_queue(_metadata, self->have_module, first, 0, 5);
	EXPECT_EQ(0, lq_try_listen(first, 7));
	check_queue(_metadata, self->have_module, first, 0, 7);

	third = new_socket(&variant->kind, 0);
	allow_reuse(third, 1);
	EXPECT_EQ(EADDRINUSE, try_bind(&variant->kind, third));

	/* The failure left the second one bound, and it is its turn now. */
	close(first);
	EXPECT_EQ(PORT, lq_port(second));
	EXPECT_EQ(0, lq_try_listen(second, 6));
	client_of(&variant->kind, second);
	check_queue(_metadata, self->have_module, second, 1, 6);
}

/* It doesn't take a listener: who is bound is enough without SO_REUSEADDR. */
TEST_F(listen, err_1_without_a_listener)
{
	int first, second;

	if (self->is_unix)
		SKIP(return, "bind() is where AF_UNIX finds that");
	first = reusing(_metadata, &variant->kind);
	second = reusing(_metadata, &variant->kind);
	allow_reuse(second, 0);
	EXPECT_EQ(EADDRINUSE, lq_try_listen(second, 5));
	allow_reuse(second, 1);
	EXPECT_EQ(0, lq_try_listen(second, 5));
	close(first);
}

/* Nor is a listener a conflict for others of its SO_REUSEPORT group. */
TEST_F(listen, err_1_not_in_a_group)
{
	const int one = 1;
	int fds[2];

	if (self->is_unix)
		SKIP(return, "AF_UNIX knows no SO_REUSEPORT groups");
	for (int i = 0; i < 2; i++) {
		fds[i] = new_socket(&variant->kind, 0);
		ASSERT_EQ(0, setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one,
					sizeof(one)));
		ASSERT_EQ(0, try_bind(&variant->kind, fds[i]));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, lq_try_listen(fds[i], 5));
	if (self->have_module)
		EXPECT_EQ(2, lq_listed_at(fds[0]));
}

/* Without bind(): when the range of ports to choose from is used up. */
TEST_F(listen, err_1_no_port_left)
{
	int fds[3];

	if (self->is_unix)
		SKIP(return, "AF_UNIX has no ports");
	lq_write_file("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001");
	for (int i = 0; i < 3; i++)
		fds[i] = new_socket(&variant->kind, 0);
	EXPECT_EQ(0, lq_try_listen(fds[0], 5));
	EXPECT_EQ(0, lq_try_listen(fds[1], 5));
	EXPECT_EQ(EADDRINUSE, lq_try_listen(fds[2], 5));
	EXPECT_EQ(0, lq_port(fds[2]));
	close(fds[0]);
	EXPECT_EQ(0, lq_try_listen(fds[2], 5));
}

TEST_F(listen, err_2)
{
	int fd = lq_kind_bound(&variant->kind, 0);
	int closed = dup(fd), path_only;
	char path[32];

	close(closed);
	EXPECT_EQ(EBADF, lq_try_listen(closed, 5));
	EXPECT_EQ(EBADF, lq_try_listen(-1, 5));
	EXPECT_EQ(EBADF, lq_try_listen(INT_MIN, 5));
	EXPECT_EQ(EBADF, lq_try_listen(INT_MAX, 5));

	/* A descriptor of the socket's inode, not of the socket. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	path_only = open(path, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path_only);
	EXPECT_EQ(EBADF, lq_try_listen(path_only, 5));
	EXPECT_FALSE(listens(fd));
	EXPECT_EQ(0, lq_try_listen(fd, 5));
}

/*
 * EOPNOTSUPP is the type's, bound or not, connected or not; a socket of
 * another state gets EINVAL, see err_6.
 */
TEST_F(listen, err_4)
{
	struct lq_kind other = {
		variant->kind.family, SOCK_DGRAM, variant->kind.protocol,
	};
	int fd, peer;

	if (variant->kind.protocol) {
		/* MPTCP has no other type to begin with. */
		EXPECT_EQ(-1, lq_kind_socket(&other, 0));
		EXPECT_EQ(EPROTONOSUPPORT, errno);
		return;
	}
	fd = new_socket(&other, 0);
	EXPECT_EQ(EOPNOTSUPP, lq_try_listen(fd, 5));
	fd = lq_kind_bound(&other, 0);
	peer = lq_kind_bound(&other, 0);
	EXPECT_EQ(EOPNOTSUPP, lq_try_listen(fd, 5));
	ASSERT_EQ(0, lq_try_connect(fd, peer));
	EXPECT_EQ(EOPNOTSUPP, lq_try_listen(fd, 5));
	EXPECT_FALSE(listens(fd));

	/* For AF_UNIX it is another name of SOCK_DGRAM. */
	other.type = SOCK_RAW;
	other.protocol = self->is_unix ? 0 : IPPROTO_TCP;
	fd = new_socket(&other, 0);
	EXPECT_EQ(EOPNOTSUPP, lq_try_listen(fd, 5));
}

/* Only AF_UNIX; others bind themselves, see role_4 of listen_role. */
TEST_F(listen, err_5)
{
	int fd = new_socket(&variant->kind, 0);

	EXPECT_EQ(self->is_unix ? EINVAL : 0, lq_try_listen(fd, 5));
	EXPECT_EQ(!self->is_unix, listens(fd));
	if (self->is_unix)
		return;
	EXPECT_NE(0, lq_port(fd));
	client_of(&variant->kind, fd);
	check_queue(_metadata, self->have_module, fd, 1, 5);
}

/* EINVAL, whatever the connection has come to; it goes on unharmed. */
TEST_F(listen, err_6)
{
	int fd = lq_kind_listener(&variant->kind, 0);
	int client = lq_kind_bound(&variant->kind, 0);
	int nameless = new_socket(&variant->kind, 0);
	int child;
	char byte;

	ASSERT_EQ(0, lq_try_connect(client, fd));
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));
	child = accepted(fd);
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));
	EXPECT_EQ(EINVAL, lq_try_listen(child, 5));
	EXPECT_FALSE(listens(client));
	say(client, 'a');
	EXPECT_EQ('a', hear(child));
	say(child, 'b');
	EXPECT_EQ('b', hear(client));
	close(child);
	EXPECT_EQ(0, recv(client, &byte, 1, 0));
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));

	/* Not bound by itself, for AF_UNIX not even then. */
	ASSERT_EQ(0, lq_try_connect(nameless, fd));
	EXPECT_EQ(EINVAL, lq_try_listen(nameless, 5));
	check_queue(_metadata, self->have_module, fd, 1, 0);
}

/*
 * RLIMIT_NOFILE as low as the descriptors that are open. It binds no more
 * than new ones, and the module's files can't be read meanwhile.
 */
static void use_up_descriptors(void)
{
	struct rlimit files;
	int lowest = open("/dev/null", O_RDONLY);

	if (lowest < 0 || getrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	close(lowest);
	files.rlim_cur = lowest;
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	if (open("/dev/null", O_RDONLY) != -1 || errno != EMFILE)
		errx(1, "there still is a descriptor");
}

static void restore_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
}

/*
 * listen() makes no descriptor and doesn't miss any. It is accept() that
 * does, and before it looks at anything else: whether somebody waits, or
 * whether this is a socket at all.
 */
TEST_F(listen, err_7)
{
	int fd = lq_kind_bound(&variant->kind, 0);
	int file = open("/dev/null", O_RDONLY);

	use_up_descriptors();
	EXPECT_EQ(0, lq_try_listen(fd, 5));
	EXPECT_EQ(0, lq_try_listen(fd, 6));
	EXPECT_TRUE(listens(fd));
	EXPECT_EQ(-1, accept(fd, NULL, NULL));
	EXPECT_EQ(EMFILE, errno);
	EXPECT_EQ(-1, accept(file, NULL, NULL));
	EXPECT_EQ(EMFILE, errno);
	EXPECT_EQ(ENOTSOCK, lq_try_listen(file, 5));
	EXPECT_EQ(EBADF, lq_try_listen(-1, 5));
	restore_descriptors();
	EXPECT_EQ(-1, accept(file, NULL, NULL));
	EXPECT_EQ(ENOTSOCK, errno);
	check_queue(_metadata, self->have_module, fd, 0, 6);
}

static void set_lo(bool up)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ifr.ifr_flags = up ? IFF_UP : 0;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		err(1, "lo %s", up ? "up" : "down");
	close(fd);
}

/*
 * listen() doesn't ask for a network: it succeeds with the only device down.
 * A client's SYN is lost then (IPv6 has no address to send it from), and it
 * gets in once the device is up.
 */
TEST_F(listen, err_8)
{
	int family = variant->kind.family;
	int fd = lq_kind_bound(&variant->kind, 0);
	int client = new_socket(&variant->kind, SOCK_NONBLOCK);
	int second = new_socket(&variant->kind, 0);
	int error;

	set_lo(false);
	EXPECT_EQ(0, lq_try_listen(fd, 5));
	EXPECT_TRUE(listens(fd));
	error = lq_try_connect(client, fd);
	EXPECT_EQ(family == AF_INET ? EINPROGRESS :
		  family == AF_INET6 ? EADDRNOTAVAIL : 0, error);
	if (self->is_unix)
		return;
	EXPECT_FALSE(alive(client));
	/* Nor does it need one that is up to choose a port. */
	EXPECT_EQ(0, lq_try_listen(second, 5));
	check_queue(_metadata, self->have_module, fd, 0, 5);

	set_lo(true);
	if (error == EADDRNOTAVAIL)
		EXPECT_EQ(EINPROGRESS, lq_try_connect(client, fd));
	EXPECT_TRUE(lq_wait_until(alive(client)));
	check_queue(_metadata, self->have_module, fd, 1, 5);
}

/* What somebody without privileges may do; 0 or an errno for each. */
struct attempts {
	int low_bind;
	int low_listen;
	int any_listen;
	int again;
};

static void attempt(struct attempts *did, const struct lq_kind *kind, int low)
{
	int own = lq_kind_bound(kind, 0);
	int fd = new_socket(kind, 0);

	lq_become_user(SOMEBODY);
	if (kind->family != AF_UNIX) {
		struct lq_addr addr = lq_addr(kind->family,
					      lq_loopback(kind->family),
					      LOW_PORT + 1);

		did->low_bind = bind(fd, &addr.sa, addr.len) ? errno : 0;
	}
	did->low_listen = lq_try_listen(low, 5);
	did->again = lq_try_listen(low, INT_MAX);
	did->any_listen = lq_try_listen(own, 5);
}

/* None: it is bind() to a low port that may be refused, not listen() on it. */
TEST_F(listen, err_9)
{
	struct attempts *did = lq_shared(sizeof(*did));
	int low;
	pid_t pid;

	lq_set_sysctl("ipv4/ip_unprivileged_port_start", LOW_PORT + 2);
	low = lq_kind_bound(&variant->kind, LOW_PORT);
	memset(did, 0xff, sizeof(*did));
	pid = lq_fork();
	if (!pid) {
		attempt(did, &variant->kind, low);
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	if (!self->is_unix)
		EXPECT_EQ(EACCES, did->low_bind);
	EXPECT_EQ(0, did->low_listen);
	EXPECT_EQ(0, did->again);
	EXPECT_EQ(0, did->any_listen);
	EXPECT_TRUE(listens(low));
	/* Not even for the largest backlog there is. */
	check_queue(_metadata, self->have_module, low, 0, SOMAXCONN_HERE);
}

/*
 * Connections are made and stay, up to the limit; accept() fails and takes
 * none; another listen() neither helps nor harms; with descriptors again,
 * accept() gets them all, in order and with what they have sent.
 */
TEST_F(listen, fd_1)
{
	int fd = lq_kind_listener(&variant->kind, 2);
	int clients[4], error;

	for (int i = 0; i < 4; i++)
		clients[i] = new_socket(&variant->kind,
					i == 3 ? SOCK_NONBLOCK : 0);
	use_up_descriptors();
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, lq_try_connect(clients[i], fd));
		say(clients[i], 'a' + i);
		EXPECT_EQ(-1, accept(fd, NULL, NULL));
		EXPECT_EQ(EMFILE, errno);
	}
	error = lq_try_connect(clients[3], fd);
	EXPECT_EQ(self->is_unix ? EAGAIN : EINPROGRESS, error);
	EXPECT_EQ(0, lq_try_listen(fd, 2));
	EXPECT_EQ(-1, accept(fd, NULL, NULL));
	EXPECT_EQ(EMFILE, errno);
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(alive(clients[i]));

	restore_descriptors();
	check_queue(_metadata, self->have_module, fd, 3, 2);
	for (int i = 0; i < 3; i++) {
		int child = accepted(fd);

		EXPECT_EQ('a' + i, hear(child));
		say(child, 'A' + i);
		EXPECT_EQ('A' + i, hear(clients[i]));
	}
	if (self->is_unix)
		EXPECT_EQ(0, lq_try_connect(clients[3], fd));
	/* It has sent its SYN again. */
	EXPECT_TRUE(lq_wait_until(alive(clients[3])));
	check_queue(_metadata, self->have_module, fd, 1, 2);
}

/* A client for whom there is no room; of AF_UNIX, it has to try again. */
static int one_too_many(struct __test_metadata *_metadata,
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

static bool lets_in(const struct lq_kind *kind, int client, int fd)
{
	return kind->family == AF_UNIX ? !lq_try_connect(client, fd) :
					 lq_wait_until(alive(client));
}

/* Larger and smaller, and at once; it was the third who had no room. */
TEST_F(listen, again_1)
{
	int fd = lq_kind_listener(&variant->kind, 1);
	int clients[6];

	for (int i = 0; i < 2; i++)
		clients[i] = client_of(&variant->kind, fd);
	check_queue(_metadata, self->have_module, fd, 2, 1);
	clients[2] = one_too_many(_metadata, &variant->kind, fd);

	ASSERT_EQ(0, lq_try_listen(fd, 3));
	EXPECT_TRUE(lets_in(&variant->kind, clients[2], fd));
	clients[3] = client_of(&variant->kind, fd);
	check_queue(_metadata, self->have_module, fd, 4, 3);
	clients[4] = one_too_many(_metadata, &variant->kind, fd);
	close(clients[4]);

	/* A backlog of 0 has room for one. */
	ASSERT_EQ(0, lq_try_listen(fd, 0));
	for (int i = 0; i < 4; i++)
		close(accepted(fd));
	check_queue(_metadata, self->have_module, fd, 0, 0);
	clients[4] = client_of(&variant->kind, fd);
	check_queue(_metadata, self->have_module, fd, 1, 0);
	clients[5] = one_too_many(_metadata, &variant->kind, fd);
	close(clients[5]);

	/* Cut as the first one is: to somaxconn of now, below 0 too. */
	ASSERT_EQ(0, lq_try_listen(fd, INT_MAX));
	check_queue(_metadata, self->have_module, fd, 1, SOMAXCONN_HERE);
	lq_set_somaxconn(7);
	check_queue(_metadata, self->have_module, fd, 1, SOMAXCONN_HERE);
	ASSERT_EQ(0, lq_try_listen(fd, -1));
	check_queue(_metadata, self->have_module, fd, 1, 7);
	if (self->have_module && !self->is_unix) {
		EXPECT_EQ(-1, lq_num_at(fd, "asked"));
		EXPECT_EQ(7, lq_num_at(fd, "granted"));
	}
}

/* Where a rule has its say, it has it at each listen(). */
TEST_F(listen, again_1_by_rule)
{
	int fd;

	if (self->is_unix)
		SKIP(return, "rules are not for AF_UNIX");
	if (!self->have_module)
		SKIP(return, "no listenq module");
	fd = lq_kind_listener(&variant->kind, 1);
	ASSERT_EQ(0, lq_clamp("* somaxconn 5\n"));
	ASSERT_EQ(0, lq_try_listen(fd, 100));
	EXPECT_EQ(100, lq_num_at(fd, "asked"));
	EXPECT_EQ(100, lq_num_at(fd, "granted"));
	check_queue(_metadata, true, fd, 0, 5);
	ASSERT_EQ(0, lq_try_listen(fd, 3));
	check_queue(_metadata, true, fd, 0, 3);
	/* One that forces a number leaves the program no say at all. */
	ASSERT_EQ(0, lq_clamp("* force 9\n"));
	ASSERT_EQ(0, lq_try_listen(fd, 4));
	check_queue(_metadata, true, fd, 0, 9);
	ASSERT_EQ(0, lq_clamp("flush"));
	check_queue(_metadata, true, fd, 0, 4);
}

/* All who wait get through, and nobody notices. */
static void check_kept(struct __test_metadata *_metadata, int fd,
		       const int *clients, int count)
{
	for (int i = 0; i < count; i++) {
		EXPECT_TRUE(alive(clients[i]));
		say(clients[i], 'a' + i);
	}
	for (int i = 0; i < count; i++) {
		int child = accepted(fd);

		EXPECT_EQ('a' + i, hear(child));
		say(child, 'A' + i);
		EXPECT_EQ('A' + i, hear(clients[i]));
	}
}

/*
 * Not so: those who are over the new backlog stay, and accept() gets them.
 * It is the next who is kept out, until there are no more than the backlog.
 */
TEST_F(listen, again_2)
{
	int fd = lq_kind_listener(&variant->kind, 3);
	int clients[4], next;

	for (int i = 0; i < 4; i++)
		clients[i] = client_of(&variant->kind, fd);
	check_queue(_metadata, self->have_module, fd, 4, 3);
	ASSERT_EQ(0, lq_try_listen(fd, 0));
	check_queue(_metadata, self->have_module, fd, 4, 0);
	next = one_too_many(_metadata, &variant->kind, fd);
	check_kept(_metadata, fd, clients, 4);
	EXPECT_TRUE(lets_in(&variant->kind, next, fd));
	check_queue(_metadata, self->have_module, fd, 1, 0);
}

/* A rule brings back a number only: it resets nobody either. */
TEST_F(listen, again_2_by_rule)
{
	int clients[4], next, fd;

	if (self->is_unix)
		SKIP(return, "rules are not for AF_UNIX");
	if (!self->have_module)
		SKIP(return, "no listenq module");
	fd = lq_kind_listener(&variant->kind, 3);
	for (int i = 0; i < 4; i++)
		clients[i] = client_of(&variant->kind, fd);
	check_queue(_metadata, true, fd, 4, 3);
	ASSERT_EQ(0, lq_clamp("* somaxconn 0\n"));
	check_queue(_metadata, true, fd, 4, 0);
	ASSERT_EQ(0, lq_try_listen(fd, 3));
	check_queue(_metadata, true, fd, 4, 0);
	next = one_too_many(_metadata, &variant->kind, fd);
	check_kept(_metadata, fd, clients, 4);
	EXPECT_TRUE(lets_in(&variant->kind, next, fd));
	check_queue(_metadata, true, fd, 1, 0);
}

/* What doesn't go by the family, or is TCP's alone. */
FIXTURE(errors)
{
	bool have_module;
};

FIXTURE_SETUP(errors)
{
	LQ_SETUP_PLAIN();
	self->have_module = lq_have_module();
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(errors)
{
}

static const struct lq_kind both[] = {
	{ AF_INET, SOCK_STREAM, 0 }, { AF_INET6, SOCK_STREAM, 0 },
};

TEST_F(errors, err_3)
{
	int fds[6];

	fds[0] = memfd_create("listen", MFD_CLOEXEC);
	fds[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[3] = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, pipe2(fds + 4, O_CLOEXEC));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(ENOTSOCK, lq_try_listen(fds[i], 5));
		EXPECT_EQ(ENOTSOCK, lq_try_listen(fds[i], -1));
	}
}

/* EINVAL while it still connects; a refused or dissolved one may listen. */
TEST_F(errors, err_6_around_a_connection)
{
	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_kind_listener(&both[i], 0);
		int idle = lq_kind_bound(&both[i], 0);
		int first = client_of(&both[i], fd), second, refused;

		check_queue(_metadata, self->have_module, fd, 1, 0);
		second = one_too_many(_metadata, &both[i], fd);
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));
		/* It still gets there. */
		close(accepted(fd));
		EXPECT_TRUE(lq_wait_until(alive(second)));
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));

		refused = lq_kind_bound(&both[i], 0);
		EXPECT_EQ(ECONNREFUSED, lq_try_connect(refused, idle));
		EXPECT_EQ(0, lq_try_listen(refused, 5));
		client_of(&both[i], refused);
		check_queue(_metadata, self->have_module, refused, 1, 5);

		lq_end_listening(second);
		EXPECT_EQ(0, lq_try_listen(second, 5));
		client_of(&both[i], second);
		check_queue(_metadata, self->have_module, second, 1, 5);
		close(first);
		close(second);
	}
}

/* One that was reset has no connection any more, and may not listen yet. */
TEST_F(errors, err_6_after_a_reset)
{
	for (int i = 0; i < lq_families(); i++) {
		const struct linger now = { .l_onoff = 1 };
		int fd = lq_kind_listener(&both[i], 5);
		int client = client_of(&both[i], fd);
		int child = accepted(fd);
		char byte;

		ASSERT_EQ(0, setsockopt(child, SOL_SOCKET, SO_LINGER, &now,
					sizeof(now)));
		close(child);
		EXPECT_EQ(-1, recv(client, &byte, 1, 0));
		EXPECT_EQ(ECONNRESET, errno);
		EXPECT_EQ(EINVAL, lq_try_listen(client, 5));
		lq_end_listening(client);
		EXPECT_EQ(0, lq_try_listen(client, 5));
	}
}

static void write_to(int fd, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	/* Neither file can be seeked in, nor needs to be. */
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "fault injection");
}

/* The count that is left of @fd's; 0 when it has made something fail. */
static int left_of(int fd)
{
	char text[16] = "";

	/* Where copies to user space can fail too, it may be this one. */
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return atoi(text);
}

#define VERBOSE		"/sys/kernel/debug/failslab/verbose"

/*
 * Memory that can't be had is no ENOBUFS: for the port that listen() itself
 * takes it reads as EADDRINUSE, the only thing the kernel expects to go wrong
 * there, and a socket that is bound needs none at all. One allocation after
 * the other is made to fail.
 */
TEST_F(errors, err_8_no_memory)
{
	int nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	int verbose = open(VERBOSE, O_RDWR | O_CLOEXEC);
	char text[16] = "";

	if (nth < 0 || verbose < 0)
		SKIP(return, "no fault injection: needs CONFIG_FAILSLAB");
	ASSERT_LT(0, read(verbose, text, sizeof(text) - 1));
	/* Or each would be a backtrace in the log. */
	write_to(verbose, 0);
	for (int i = 0; i < lq_families(); i++) {
		int failed = 0, left = 0;

		for (int n = 1; n < 100 && !left; n++) {
			int fd = new_socket(&both[i], 0);
			int error;

			write_to(nth, n);
			error = lq_try_listen(fd, 5);
			left = left_of(nth);
			write_to(nth, 0);
			/* Success: what failed was the module's own. */
			EXPECT_TRUE(!error || error == EADDRINUSE);
			EXPECT_EQ(!error, listens(fd));
			failed += error == EADDRINUSE;
			close(fd);
		}
		EXPECT_LT(0, left);
		EXPECT_LT(0, failed);
	}
	write_to(verbose, atoi(text));
}

/*
 * Nor are requests dropped that are under way: the SYN queue, whose limit is
 * the same number, keeps what it has too. The kernel is asked to wait for data
 * before a connection counts as one: so it is the clients who say when.
 */
TEST_F(errors, again_2_half_open)
{
	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_kind_bound(&both[i], 0);
		const int seconds = 60;
		int clients[3];

		ASSERT_EQ(0, setsockopt(fd, SOL_TCP, TCP_DEFER_ACCEPT,
					&seconds, sizeof(seconds)));
		ASSERT_EQ(0, lq_try_listen(fd, 5));
		for (int j = 0; j < 3; j++)
			clients[j] = client_of(&both[i], fd);
		EXPECT_EQ(3, lq_ss_syn_recv(lq_port(fd)));
		ASSERT_EQ(0, lq_try_listen(fd, 0));
		EXPECT_EQ(3, lq_ss_syn_recv(lq_port(fd)));
		check_queue(_metadata, self->have_module, fd, 0, 0);
		if (self->have_module)
			EXPECT_EQ(3, lq_num_at(fd, "synq"));

		/* There is room for one; the others' data is sent again. */
		for (int j = 0; j < 3; j++) {
			EXPECT_TRUE(alive(clients[j]));
			say(clients[j], 'a' + j);
			check_queue(_metadata, self->have_module, fd, 1, 0);
		}
		EXPECT_EQ(2, lq_ss_syn_recv(lq_port(fd)));
		EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") > 0));
		for (int j = 0; j < 3; j++) {
			char byte = hear(accepted(fd));

			EXPECT_TRUE(byte >= 'a' && byte <= 'c');
			EXPECT_TRUE(j || byte == 'a');
		}
		check_queue(_metadata, self->have_module, fd, 0, 0);
		EXPECT_EQ(0, lq_ss_syn_recv(lq_port(fd)));
	}
}

TEST_HARNESS_MAIN
