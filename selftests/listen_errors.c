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
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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

/* 0 or an errno, @fd at PORT of @kind's loopback address. */
static int try_bind(const struct lq_kind *kind, int fd)
{
	struct lq_addr addr = lq_kind_addr(kind, PORT);

	return lq_try_bind(fd, &addr);
}

static int reusing(struct __test_metadata *_metadata,
		   const struct lq_kind *kind)
{
	int fd = new_socket(kind, 0);

	lq_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
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
		EXPECT_EQ(EADDRINUSE, lq_try_bind(second, &name));
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));
		return;
	}

	first = reusing(_metadata, &variant->kind);
	second = reusing(_metadata, &variant->kind);
	ASSERT_EQ(0, lq_try_listen(first, 5));
	EXPECT_EQ(EADDRINUSE, lq_try_listen(second, 6));
	EXPECT_FALSE(listens(second));
	if (have_module)
		EXPECT_EQ(1, lq_listed_at(first));
	/* The listener's backlog wasn't touched, and may be. */
	check_queue(_metadata, first, 0, 5);
	EXPECT_EQ(0, lq_try_listen(first, 7));
	check_queue(_metadata, first, 0, 7);

	third = new_socket(&variant->kind, 0);
	lq_set_option(third, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(EADDRINUSE, try_bind(&variant->kind, third));

	/* The failure left the second one bound, and it is its turn now. */
	close(first);
	EXPECT_EQ(PORT, lq_port(second));
	EXPECT_EQ(0, lq_try_listen(second, 6));
	client_of(&variant->kind, second);
	check_queue(_metadata, second, 1, 6);
}

/* It doesn't take a listener: who is bound is enough without SO_REUSEADDR. */
TEST_F(listen, err_1_without_a_listener)
{
	int first, second;

	if (self->is_unix)
		SKIP(return, "bind() is where AF_UNIX finds that");
	first = reusing(_metadata, &variant->kind);
	second = reusing(_metadata, &variant->kind);
	lq_set_option(second, SOL_SOCKET, SO_REUSEADDR, 0);
	EXPECT_EQ(EADDRINUSE, lq_try_listen(second, 5));
	lq_set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(0, lq_try_listen(second, 5));
	close(first);
}

/* Nor is a listener a conflict for others of its SO_REUSEPORT group. */
TEST_F(listen, err_1_not_in_a_group)
{
	int fds[2];

	if (self->is_unix)
		SKIP(return, "AF_UNIX knows no SO_REUSEPORT groups");
	for (int i = 0; i < 2; i++) {
		fds[i] = new_socket(&variant->kind, 0);
		lq_set_option(fds[i], SOL_SOCKET, SO_REUSEPORT, 1);
		ASSERT_EQ(0, try_bind(&variant->kind, fds[i]));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, lq_try_listen(fds[i], 5));
	if (have_module)
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
		check_failed(_metadata, EPROTONOSUPPORT,
			     lq_kind_socket(&other, 0));
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
	check_queue(_metadata, fd, 1, 5);
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
	child = accepted(_metadata, fd);
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));
	EXPECT_EQ(EINVAL, lq_try_listen(child, 5));
	EXPECT_FALSE(listens(client));
	check_heard(_metadata, client, child, 'a');
	check_heard(_metadata, child, client, 'b');
	close(child);
	EXPECT_EQ(0, recv(client, &byte, 1, 0));
	EXPECT_EQ(EINVAL, lq_try_listen(client, 5));

	/* Not bound by itself, for AF_UNIX not even then. */
	ASSERT_EQ(0, lq_try_connect(nameless, fd));
	EXPECT_EQ(EINVAL, lq_try_listen(nameless, 5));
	check_queue(_metadata, fd, 1, 0);
}

static void allow_descriptors(rlim_t count)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	files.rlim_cur = count < files.rlim_max ? count : files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
}

/* The limit binds new ones only; the module's files can't be read meanwhile. */
static void use_up_descriptors(void)
{
	int lowest = open("/dev/null", O_RDONLY);

	close(lowest);
	allow_descriptors(lowest);
	if (open("/dev/null", O_RDONLY) != -1 || errno != EMFILE)
		errx(1, "there still is a descriptor");
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
	check_failed(_metadata, EMFILE, accept(fd, NULL, NULL));
	check_failed(_metadata, EMFILE, accept(file, NULL, NULL));
	EXPECT_EQ(ENOTSOCK, lq_try_listen(file, 5));
	EXPECT_EQ(EBADF, lq_try_listen(-1, 5));
	allow_descriptors(RLIM_INFINITY);
	check_failed(_metadata, ENOTSOCK, accept(file, NULL, NULL));
	check_queue(_metadata, fd, 0, 6);
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

	lq_set_lo(false);
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
	check_queue(_metadata, fd, 0, 5);

	lq_set_lo(true);
	if (error == EADDRNOTAVAIL)
		EXPECT_EQ(EINPROGRESS, lq_try_connect(client, fd));
	EXPECT_TRUE(lq_wait_until(alive(client)));
	check_queue(_metadata, fd, 1, 5);
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
		struct lq_addr addr = lq_kind_addr(kind, LOW_PORT + 1);

		did->low_bind = lq_try_bind(fd, &addr);
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
	lq_set_somaxconn(SOMAXCONN_HERE);
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
	check_queue(_metadata, low, 0, SOMAXCONN_HERE);
}

/* @clients have said a, b, ...: they come in this order, and get an answer. */
static void check_answered(struct __test_metadata *_metadata, int fd,
			   const int *clients, int count)
{
	for (int i = 0; i < count; i++)
		check_heard(_metadata, check_next(_metadata, fd, 'a' + i),
			    clients[i], 'A' + i);
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
		check_failed(_metadata, EMFILE, accept(fd, NULL, NULL));
	}
	error = lq_try_connect(clients[3], fd);
	EXPECT_EQ(self->is_unix ? EAGAIN : EINPROGRESS, error);
	EXPECT_EQ(0, lq_try_listen(fd, 2));
	check_failed(_metadata, EMFILE, accept(fd, NULL, NULL));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(alive(clients[i]));

	allow_descriptors(RLIM_INFINITY);
	check_queue(_metadata, fd, 3, 2);
	check_answered(_metadata, fd, clients, 3);
	if (self->is_unix)
		EXPECT_EQ(0, lq_try_connect(clients[3], fd));
	/* It has sent its SYN again. */
	EXPECT_TRUE(lq_wait_until(alive(clients[3])));
	check_queue(_metadata, fd, 1, 2);
}

/* Larger and smaller, and at once; it was the third who had no room. */
TEST_F(listen, again_1)
{
	int fd = lq_kind_listener(&variant->kind, 1);
	int clients[6];

	clients_of(&variant->kind, fd, clients, 2);
	check_queue(_metadata, fd, 2, 1);
	clients[2] = one_too_many(_metadata, &variant->kind, fd);

	ASSERT_EQ(0, lq_try_listen(fd, 3));
	EXPECT_TRUE(lets_in(&variant->kind, clients[2], fd));
	clients[3] = client_of(&variant->kind, fd);
	check_queue(_metadata, fd, 4, 3);
	clients[4] = one_too_many(_metadata, &variant->kind, fd);
	close(clients[4]);

	/* A backlog of 0 has room for one. */
	ASSERT_EQ(0, lq_try_listen(fd, 0));
	for (int i = 0; i < 4; i++)
		close(accepted(_metadata, fd));
	check_queue(_metadata, fd, 0, 0);
	clients[4] = client_of(&variant->kind, fd);
	check_queue(_metadata, fd, 1, 0);
	clients[5] = one_too_many(_metadata, &variant->kind, fd);
	close(clients[5]);

	/* Cut as the first one is: to somaxconn of now, below 0 too. */
	lq_set_somaxconn(SOMAXCONN_HERE);
	ASSERT_EQ(0, lq_try_listen(fd, INT_MAX));
	check_queue(_metadata, fd, 1, SOMAXCONN_HERE);
	lq_set_somaxconn(7);
	check_queue(_metadata, fd, 1, SOMAXCONN_HERE);
	ASSERT_EQ(0, lq_try_listen(fd, -1));
	check_queue(_metadata, fd, 1, 7);
	if (have_module && !self->is_unix) {
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
	if (!have_module)
		SKIP(return, "no listenq module");
	fd = lq_kind_listener(&variant->kind, 1);
	ASSERT_EQ(0, lq_clamp("* somaxconn 5\n"));
	ASSERT_EQ(0, lq_try_listen(fd, 100));
	EXPECT_EQ(100, lq_num_at(fd, "asked"));
	EXPECT_EQ(100, lq_num_at(fd, "granted"));
	check_queue(_metadata, fd, 0, 5);
	ASSERT_EQ(0, lq_try_listen(fd, 3));
	check_queue(_metadata, fd, 0, 3);
	/* One that forces a number leaves the program no say at all. */
	ASSERT_EQ(0, lq_clamp("* force 9\n"));
	ASSERT_EQ(0, lq_try_listen(fd, 4));
	check_queue(_metadata, fd, 0, 9);
	ASSERT_EQ(0, lq_clamp("flush"));
	check_queue(_metadata, fd, 0, 4);
}

/*
 * The four who wait at a limit of 0 get through, and don't notice; the next is
 * kept out until there are no more than the limit.
 */
static void check_kept(struct __test_metadata *_metadata,
		       const struct lq_kind *kind, int fd, const int *clients)
{
	int next;

	check_queue(_metadata, fd, 4, 0);
	next = one_too_many(_metadata, kind, fd);
	for (int i = 0; i < 4; i++) {
		EXPECT_TRUE(alive(clients[i]));
		say(clients[i], 'a' + i);
	}
	check_answered(_metadata, fd, clients, 4);
	EXPECT_TRUE(lets_in(kind, next, fd));
	check_queue(_metadata, fd, 1, 0);
}

/* Not so: those who are over the new backlog stay, and accept() gets them. */
TEST_F(listen, again_2)
{
	int fd = lq_kind_listener(&variant->kind, 3), clients[4];

	clients_of(&variant->kind, fd, clients, 4);
	check_queue(_metadata, fd, 4, 3);
	ASSERT_EQ(0, lq_try_listen(fd, 0));
	check_kept(_metadata, &variant->kind, fd, clients);
}

/* A rule brings back a number only: it resets nobody either. */
TEST_F(listen, again_2_by_rule)
{
	int clients[4], fd;

	if (self->is_unix)
		SKIP(return, "rules are not for AF_UNIX");
	if (!have_module)
		SKIP(return, "no listenq module");
	fd = lq_kind_listener(&variant->kind, 3);
	clients_of(&variant->kind, fd, clients, 4);
	check_queue(_metadata, fd, 4, 3);
	ASSERT_EQ(0, lq_clamp("* somaxconn 0\n"));
	check_queue(_metadata, fd, 4, 0);
	ASSERT_EQ(0, lq_try_listen(fd, 3));
	check_kept(_metadata, &variant->kind, fd, clients);
}

/* What doesn't go by the family, or is TCP's alone. */
FIXTURE(errors) { };

FIXTURE_SETUP(errors)
{
	LQ_SETUP_PLAIN();
	have_module = lq_have_module();
}

FIXTURE_TEARDOWN(errors) { }

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

		check_queue(_metadata, fd, 1, 0);
		second = one_too_many(_metadata, &both[i], fd);
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));
		/* It still gets there. */
		close(accepted(_metadata, fd));
		EXPECT_TRUE(lq_wait_until(alive(second)));
		EXPECT_EQ(EINVAL, lq_try_listen(second, 5));

		refused = lq_kind_bound(&both[i], 0);
		EXPECT_EQ(ECONNREFUSED, lq_try_connect(refused, idle));
		EXPECT_EQ(0, lq_try_listen(refused, 5));
		client_of(&both[i], refused);
		check_queue(_metadata, refused, 1, 5);

		lq_end_listening(second);
		EXPECT_EQ(0, lq_try_listen(second, 5));
		client_of(&both[i], second);
		check_queue(_metadata, second, 1, 5);
		close(first);
		close(second);
	}
}

/* One that was reset has no connection any more, and may not listen yet. */
TEST_F(errors, err_6_after_a_reset)
{
	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_kind_listener(&both[i], 5);
		int client = client_of(&both[i], fd);
		int child = accepted(_metadata, fd);
		char byte;

		lq_abort(child);
		check_failed(_metadata, ECONNRESET, recv(client, &byte, 1, 0));
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
		int clients[3];

		lq_set_option(fd, SOL_TCP, TCP_DEFER_ACCEPT, 60);
		ASSERT_EQ(0, lq_try_listen(fd, 5));
		clients_of(&both[i], fd, clients, 3);
		EXPECT_EQ(3, lq_ss_syn_recv(lq_port(fd)));
		ASSERT_EQ(0, lq_try_listen(fd, 0));
		EXPECT_EQ(3, lq_ss_syn_recv(lq_port(fd)));
		check_queue(_metadata, fd, 0, 0);
		if (have_module)
			EXPECT_EQ(3, lq_num_at(fd, "synq"));

		/* There is room for one; the others' data is sent again. */
		for (int j = 0; j < 3; j++) {
			EXPECT_TRUE(alive(clients[j]));
			say(clients[j], 'a' + j);
			check_queue(_metadata, fd, 1, 0);
		}
		EXPECT_EQ(2, lq_ss_syn_recv(lq_port(fd)));
		EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") > 0));
		for (int j = 0; j < 3; j++) {
			char byte = hear(accepted(_metadata, fd));

			EXPECT_TRUE(byte >= 'a' && byte <= 'c');
			EXPECT_TRUE(j || byte == 'a');
		}
		check_queue(_metadata, fd, 0, 0);
		EXPECT_EQ(0, lq_ss_syn_recv(lq_port(fd)));
	}
}

TEST_HARNESS_MAIN
