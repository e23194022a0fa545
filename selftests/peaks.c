// SPDX-License-Identifier: GPL-2.0-only
/*
 * The most that the two queues of a listener held, since it listens or since
 * the reset: as much as ss saw there, one more at most, and never less than
 * the file itself has shown; and who may reset it.
 *
 * A read of the file raises a peak that lags behind, which would hide that
 * nothing else does: where a peak is to be tested, only ss looks before.
 */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* More than any test's queue holds, and less than any kernel's somaxconn. */
#define LIMIT		100

#define READS		lq_scaled(200)
#define GROUP		3
#define TO_GROUP	24

/* A user that needs no entry anywhere. */
#define OTHER_UID	12350

/* The hits that had been skipped when the test began. */
static long long missed_before;

/* @col of @fd is what ss saw, one more at most; less where hits were skipped. */
static void check_peak(struct __test_metadata *_metadata, int fd,
		       const char *col, long long seen)
{
	long long peak = lq_num(fd, col);
	long long skipped = lq_missed() - missed_before;

	EXPECT_LE(seen - skipped, peak) {
		TH_LOG("%s: %lld hits were skipped", col, skipped);
	}
	EXPECT_GE(seen + 1, peak) {
		TH_LOG("%s", col);
	}
}

static long long ss_acceptq(int fd)
{
	struct lq_ss ss;

	if (!lq_ss(fd, &ss))
		errx(1, "a listener that ss doesn't list");
	return ss.recvq;
}

static void connect_many(int fd, int *clients, int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = lq_connect(fd);
}

static void accept_many(int fd, int count)
{
	for (int i = 0; i < count; i++)
		lq_accept(fd);
}

FIXTURE(peaks)
{
};

FIXTURE_VARIANT(peaks)
{
	int family;
};

FIXTURE_VARIANT_ADD(peaks, ipv4)
{
	.family = AF_INET,
};

FIXTURE_VARIANT_ADD(peaks, ipv6)
{
	.family = AF_INET6,
};

static void begin(void)
{
	lq_pin();
	lq_dummy_up();
	missed_before = lq_missed();
}

FIXTURE_SETUP(peaks)
{
	LQ_SETUP();
	lq_need_family(variant->family);
	begin();
}

FIXTURE_TEARDOWN(peaks)
{
}

TEST_F(peaks, acceptq_peak_is_what_ss_saw)
{
	/* How many come, or go. */
	static const int steps[] = { 1, 3, -2, 1, -3, 6, -1, 4, -7, 2, -4 };
	int fd = lq_listener(variant->family, LIMIT);
	int inside = 0, seen = 0;
	int clients[16];

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i] > 0)
			connect_many(fd, clients, steps[i]);
		else
			accept_many(fd, -steps[i]);
		inside += steps[i];
		ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == inside));
		seen = inside > seen ? inside : seen;
	}
	ASSERT_EQ(0, inside);
	ASSERT_EQ(9, seen);
	check_peak(_metadata, fd, "acceptq_peak", seen);
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	/* Each of them was a request before, for a moment. */
	EXPECT_LE(1, lq_num(fd, "synq_peak"));
}

/* Requests come in two waves, and the first one is given up before. */
TEST_F(peaks, synq_peak_is_what_ss_saw)
{
	int fd, port;

	lq_set_sysctl("ipv4/tcp_synack_retries", 1);
	fd = lq_listener_any(variant->family, LIMIT);
	port = lq_port(fd);
	lq_send_syns(variant->family, port, 0, 8);
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(port) == 8));
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(port) == 0));
	lq_send_syns(variant->family, port, 8, 3);
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(port) == 3));
	check_peak(_metadata, fd, "synq_peak", 8);
	EXPECT_EQ(3, lq_num(fd, "synq"));
	EXPECT_EQ(0, lq_num(fd, "acceptq_peak"));
}

/* What finds a queue full isn't let in, and raises no peak. */
TEST_F(peaks, full_queues)
{
	int full = lq_listener_any(variant->family, 3);
	int half_open = lq_listener_any(variant->family, 3);
	long long seen;
	int clients[4];

	connect_many(full, clients, 4);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(full) == 4));
	lq_send_syns(variant->family, lq_port(full), 0, 20);
	ASSERT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") == 20));
	accept_many(full, 4);
	check_peak(_metadata, full, "acceptq_peak", 4);

	/* Those beyond the fourth get a cookie, or are dropped. */
	lq_send_syns(variant->family, lq_port(half_open), 0, 20);
	ASSERT_TRUE(lq_wait_until(lq_netstat("SyncookiesSent") +
				  lq_netstat("TCPReqQFullDrop") >= 16));
	seen = lq_ss_syn_recv(lq_port(half_open));
	EXPECT_LE(3, seen);
	EXPECT_GE(4, seen);
	check_peak(_metadata, half_open, "synq_peak", seen);
	EXPECT_EQ(0, lq_num(half_open, "acceptq_peak"));
	for (int i = 0; i < 4; i++)
		close(clients[i]);
}

/* A request that becomes a connection moves from one queue to the other. */
TEST_F(peaks, both_queues)
{
	/* SYNs pass, ACKs are dropped as if lost: these are TCP's flags. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {
		.len = ARRAY_SIZE(code), .filter = code,
	};
	int fd = lq_listener(variant->family, LIMIT);
	int clients[6];

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				sizeof(program)));
	connect_many(fd, clients, 6);
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(lq_port(fd)) == 6));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &program,
				sizeof(int)));
	/* The ACK again, with a byte of data. */
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(1, send(clients[i], "x", 1, MSG_NOSIGNAL));
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 6));
	accept_many(fd, 6);
	check_peak(_metadata, fd, "acceptq_peak", 6);
	check_peak(_metadata, fd, "synq_peak", 6);
	EXPECT_EQ(0, lq_num(fd, "synq"));
}

/* A rule that raises the limit lets in more; one that lowers it, no less. */
TEST_F(peaks, raised_by_a_rule)
{
	int fd = lq_listener(variant->family, 2);
	int clients[8];

	connect_many(fd, clients, 3);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 3));
	ASSERT_EQ(0, lq_clamp("* force 10\n"));
	connect_many(fd, clients + 3, 5);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 8));
	accept_many(fd, 6);
	ASSERT_EQ(0, lq_clamp("* force 1\n"));
	check_peak(_metadata, fd, "acceptq_peak", 8);
	EXPECT_EQ(2, lq_num(fd, "acceptq"));
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_peak(_metadata, fd, "acceptq_peak", 8);
}

/* Each listener of a group has peaks of its own. */
TEST_F(peaks, of_a_group)
{
	int fds[GROUP], clients[TO_GROUP], port = 0;
	long long seen[GROUP], sum = 0;

	for (int i = 0; i < GROUP; i++) {
		struct lq_addr addr = lq_addr(variant->family,
					      lq_loopback(variant->family),
					      port);
		const int one = 1;

		fds[i] = socket(variant->family, SOCK_STREAM, 0);
		ASSERT_EQ(0, setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one,
					sizeof(one)));
		ASSERT_EQ(0, bind(fds[i], &addr.sa, addr.len));
		lq_listen(fds[i], LIMIT);
		port = lq_port(fds[i]);
	}
	connect_many(fds[0], clients, TO_GROUP);
	ASSERT_TRUE(lq_wait_until(({
		sum = 0;
		for (int i = 0; i < GROUP; i++) {
			seen[i] = ss_acceptq(fds[i]);
			sum += seen[i];
		}
		sum == TO_GROUP;
	})));
	for (int i = 0; i < GROUP; i++)
		accept_many(fds[i], seen[i]);
	for (int i = 0; i < GROUP; i++) {
		check_peak(_metadata, fds[i], "acceptq_peak", seen[i]);
		EXPECT_EQ(0, lq_num(fds[i], "acceptq"));
	}
}

/* A repeated listen() goes on, a new listener begins anew. */
TEST_F(peaks, listening_again)
{
	int fd = lq_listener_any(variant->family, LIMIT);
	int clients[4];

	connect_many(fd, clients, 4);
	lq_send_syns(variant->family, lq_port(fd), 0, 6);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 4));
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(lq_port(fd)) == 6));
	accept_many(fd, 4);
	lq_listen(fd, LIMIT / 2);
	check_peak(_metadata, fd, "acceptq_peak", 4);
	check_peak(_metadata, fd, "synq_peak", 6);

	ASSERT_EQ(0, shutdown(fd, SHUT_RD));
	lq_listen(fd, LIMIT);
	EXPECT_EQ(0, lq_num(fd, "acceptq_peak"));
	/* The kernel lets requests of before time out. */
	EXPECT_EQ(lq_num(fd, "synq"), lq_num(fd, "synq_peak"));
	lq_connect(fd);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 1));
	lq_accept(fd);
	check_peak(_metadata, fd, "acceptq_peak", 1);
}

/* What a reset leaves as it is. */
static const char * const counters[] = {
	"syns", "accepts", "overflows", "synq_drops", "syncookies", "sk_drops",
};

#define COUNTERS	((int)ARRAY_SIZE(counters))

static long long cell_num(const struct lq_table *table, int row,
			  const char *col)
{
	const char *text = lq_cell(table, row, col);

	return strcmp(text, "-") ? atoll(text) : LQ_NONE;
}

static void read_counters(int fd, long long *values)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "cookie", lq_cookie_str(fd));

	if (row < 0)
		errx(1, "a listener that isn't listed");
	for (int i = 0; i < COUNTERS; i++)
		values[i] = cell_num(table, row, counters[i]);
	lq_free(table);
}

/* To what there is now, and from there it goes up again. */
TEST_F(peaks, reset)
{
	static const char * const texts[] = { "reset", "reset\n" };

	/* Nobody listens yet. */
	EXPECT_EQ(0, lq_write_sockets("reset\n"));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int full = lq_listener_any(variant->family, 4);
		int fd = lq_listener_any(variant->family, LIMIT);
		long long before[COUNTERS], after[COUNTERS];
		long long overflows = lq_netstat("ListenOverflows");
		int clients[16], port = lq_port(fd);

		connect_many(full, clients, 5);
		ASSERT_TRUE(lq_wait_until(ss_acceptq(full) == 5));
		lq_send_syns(variant->family, lq_port(full), 0, 3);
		ASSERT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") ==
					  overflows + 3));
		accept_many(full, 3);
		connect_many(fd, clients + 5, 6);
		lq_send_syns(variant->family, port, 0, 4);
		ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 6));
		accept_many(fd, 5);
		ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(port) == 4));
		check_peak(_metadata, full, "acceptq_peak", 5);
		check_peak(_metadata, fd, "acceptq_peak", 6);
		check_peak(_metadata, fd, "synq_peak", 4);

		read_counters(full, before);
		ASSERT_EQ(0, lq_write_sockets(texts[i]));
		read_counters(full, after);
		for (int c = 0; c < COUNTERS; c++)
			EXPECT_EQ(before[c], after[c]);
		EXPECT_EQ(2, lq_num(full, "acceptq_peak"));
		EXPECT_EQ(0, lq_num(full, "synq_peak"));
		EXPECT_EQ(1, lq_num(fd, "acceptq_peak"));
		EXPECT_EQ(4, lq_num(fd, "synq_peak"));

		connect_many(fd, clients + 11, 3);
		ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 4));
		accept_many(fd, 4);
		check_peak(_metadata, fd, "acceptq_peak", 4);
		EXPECT_EQ(2, lq_num(full, "acceptq_peak"));
		for (int c = 0; c < 14; c++)
			close(clients[c]);
		close(fd);
		close(full);
	}
}

/* Those that don't depend on the family. */
FIXTURE(others)
{
};

FIXTURE_SETUP(others)
{
	LQ_SETUP();
	begin();
}

FIXTURE_TEARDOWN(others)
{
}

/* Away from the test's processor. */
static void spread_out(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	if (sched_setaffinity(0, sizeof(all), &all))
		err(1, "sched_setaffinity");
}

/* Both queues of @fd go up and down, until @stop. */
static pid_t start_traffic(int fd, atomic_int *stop)
{
	pid_t pid = lq_fork();
	int clients[8];

	if (pid)
		return pid;
	spread_out();
	for (int i = 0; !*stop; i++) {
		int count = 1 + i % 8;

		connect_many(fd, clients, count);
		lq_send_syns(AF_INET, lq_port(fd), i % 40, 1);
		accept_many(fd, count);
		for (int c = 0; c < count; c++)
			close(clients[c]);
	}
	_exit(0);
}

/* A line of the file, as of one moment. */
struct line {
	long long acceptq;
	long long acceptq_peak;
	long long synq;
	long long synq_peak;
	long long counters[COUNTERS];
};

static struct line read_line(int fd)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "cookie", lq_cookie_str(fd));
	struct line line;

	if (row < 0)
		errx(1, "a listener that isn't listed");
	line.acceptq = cell_num(table, row, "acceptq");
	line.acceptq_peak = cell_num(table, row, "acceptq_peak");
	line.synq = cell_num(table, row, "synq");
	line.synq_peak = cell_num(table, row, "synq_peak");
	for (int i = 0; i < COUNTERS; i++)
		line.counters[i] = cell_num(table, row, counters[i]);
	lq_free(table);
	return line;
}

/* The peak isn't below the occupancy beside it, nor below an earlier one. */
TEST_F(others, never_below_what_was_shown)
{
	atomic_int *stop = lq_shared(sizeof(*stop));
	int fd = lq_listener_any(AF_INET, LIMIT);
	pid_t pid = start_traffic(fd, stop);
	struct line last = { };
	int below = 0, fell = 0, some = 0;

	for (int i = 0; i < READS; i++) {
		struct line line = read_line(fd);

		below += line.acceptq_peak < line.acceptq;
		below += line.synq_peak < line.synq;
		fell += line.acceptq_peak < last.acceptq_peak;
		fell += line.synq_peak < last.synq_peak;
		some += line.counters[0] > last.counters[0];
		last = line;
		lq_pause();
	}
	*stop = 1;
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(0, below);
	EXPECT_EQ(0, fell);
	/* There was traffic between reads. */
	EXPECT_LT(READS / 10, some);
	EXPECT_GE(9, last.acceptq_peak);
}

/* Counters don't notice, and no peak is ever below its queue. */
TEST_F(others, reset_during_traffic)
{
	atomic_int *stop = lq_shared(sizeof(*stop));
	int fd = lq_listener_any(AF_INET, LIMIT);
	pid_t pid = start_traffic(fd, stop);
	int below = 0, fell = 0, some = 0;
	struct line last = read_line(fd);
	struct line line;

	for (int i = 0; i < READS; i++) {
		ASSERT_EQ(0, lq_write_sockets("reset"));
		line = read_line(fd);
		below += line.acceptq_peak < line.acceptq;
		below += line.synq_peak < line.synq;
		for (int c = 0; c < COUNTERS; c++)
			fell += line.counters[c] < last.counters[c];
		some += line.counters[0] > last.counters[0];
		last = line;
		lq_pause();
	}
	*stop = 1;
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(0, below);
	EXPECT_EQ(0, fell);
	EXPECT_LT(READS / 10, some);

	/* When it is over, the last reset has the last word. */
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	EXPECT_EQ(0, lq_write_sockets("reset"));
	line = read_line(fd);
	EXPECT_EQ(0, line.acceptq_peak);
	EXPECT_LE(line.synq, line.synq_peak);
	EXPECT_LT(0, line.counters[0]);
}

/* A reset is of one namespace. */
TEST_F(others, reset_of_other_namespace)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fds[2], clients[4];

	ASSERT_LE(0, home);
	fds[0] = lq_listener(AF_INET, LIMIT);
	connect_many(fds[0], clients, 2);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fds[0]) == 2));
	accept_many(fds[0], 2);

	lq_new_netns();
	fds[1] = lq_listener(AF_INET, LIMIT);
	connect_many(fds[1], clients + 2, 2);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fds[1]) == 2));
	accept_many(fds[1], 2);
	EXPECT_EQ(0, lq_write_sockets("reset"));
	EXPECT_EQ(0, lq_num(fds[1], "acceptq_peak"));

	ASSERT_EQ(0, setns(home, CLONE_NEWNET));
	check_peak(_metadata, fds[0], "acceptq_peak", 2);
}

static void become_root_without_net_admin(void)
{
	lq_set_capabilities(~0ULL >> (63 - CAP_LAST_CAP) &
			    ~(1ULL << CAP_NET_ADMIN));
}

static void become_other_user(void)
{
	lq_become_user(OTHER_UID);
}

/*
 * Root, of whom the file thinks so: all capabilities, but in a namespace that
 * the network isn't of.
 */
static void become_root_of_nothing(void)
{
	lq_enter_user_namespace(0);
}

static void become_root_of_a_container(void)
{
	lq_become_user(OTHER_UID);
	lq_enter_user_namespace(OTHER_UID);
	lq_new_netns();
}

/* Opened and written by somebody who has gone through @become; the errno. */
static int reset_as(void (*become)(void))
{
	int *error = lq_shared(sizeof(*error));
	pid_t pid = lq_fork();
	int status;

	if (!pid) {
		int fd;

		become();
		fd = open(LQ_SOCKETS, O_WRONLY | O_CLOEXEC);
		*error = fd < 0 || write(fd, "reset", 5) != 5 ? errno : 0;
		_exit(0);
	}
	status = lq_reap(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		return -1;
	if (status)
		errx(1, "a writer failed");
	return *error;
}

/* Two come and go: a peak that a reset would take away. */
static int listener_with_a_peak(struct __test_metadata *_metadata)
{
	int fd = lq_listener(AF_INET, LIMIT);
	int clients[2];

	connect_many(fd, clients, 2);
	EXPECT_TRUE(lq_wait_until(ss_acceptq(fd) == 2));
	accept_many(fd, 2);
	check_peak(_metadata, fd, "acceptq_peak", 2);
	return fd;
}

TEST_F(others, reset_without_the_capability)
{
	int fd = listener_with_a_peak(_metadata);

	EXPECT_EQ(EPERM, reset_as(become_root_without_net_admin));
	check_peak(_metadata, fd, "acceptq_peak", 2);
	/* The file's mode keeps everybody else away. */
	EXPECT_EQ(EACCES, reset_as(become_other_user));
	check_peak(_metadata, fd, "acceptq_peak", 2);
}

/* Who has the file open and who writes may be two: the opener counts. */
TEST_F(others, the_opener_counts)
{
	int fd = listener_with_a_peak(_metadata);
	int file = open(LQ_SOCKETS, O_RDWR | O_CLOEXEC);
	int *error = lq_shared(sizeof(*error));
	pid_t pid;

	ASSERT_LE(0, file);
	pid = lq_fork();
	if (!pid) {
		become_root_without_net_admin();
		*error = write(file, "reset", 5) != 5 ? errno : 0;
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_EQ(0, *error);
	EXPECT_EQ(0, lq_num(fd, "acceptq_peak"));
	close(file);

	/* The file outlives the loss, and the return, of the capability. */
	fd = listener_with_a_peak(_metadata);
	pid = lq_fork();
	if (!pid) {
		struct __user_cap_header_struct header = {
			.version = _LINUX_CAPABILITY_VERSION_3,
		};
		struct __user_cap_data_struct data[2], less[2];

		if (syscall(SYS_capget, &header, data))
			err(1, "capget");
		memcpy(less, data, sizeof(less));
		less[0].effective &= ~(1U << CAP_NET_ADMIN);
		if (syscall(SYS_capset, &header, less))
			err(1, "capset");
		file = open(LQ_SOCKETS, O_WRONLY | O_CLOEXEC);
		if (syscall(SYS_capset, &header, data))
			err(1, "capset");
		*error = write(file, "reset", 5) != 5 ? errno : 0;
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_EQ(EPERM, *error);
	check_peak(_metadata, fd, "acceptq_peak", 2);
}

/* A container's root may in the container, and not outside. */
TEST_F(others, reset_in_a_user_namespace)
{
	int fd = listener_with_a_peak(_metadata);
	int error = reset_as(become_root_of_nothing);

	if (error < 0)
		SKIP(return, "users may make no user namespaces here");
	EXPECT_EQ(EPERM, error);
	check_peak(_metadata, fd, "acceptq_peak", 2);
	EXPECT_EQ(0, reset_as(become_root_of_a_container));
	check_peak(_metadata, fd, "acceptq_peak", 2);
}

TEST_F(others, wrong_words)
{
	static const char * const texts[] = {
		"r", "rese", "resets", "reset\n\n", "reset\nreset\n", " reset",
		"reset ", "reset\t", "RESET", "Reset\n", "\n", "0", "1\n",
		"flush\n", "* force 5\n", "reset 80\n",
	};
	int fd = listener_with_a_peak(_metadata);
	char *text = calloc(1, 100001);
	int file;

	ASSERT_NE(NULL, text);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(EINVAL, lq_write_sockets(texts[i])) {
			TH_LOG("'%s'", texts[i]);
		}
		check_peak(_metadata, fd, "acceptq_peak", 2);
	}
	/* The word and much behind it, blanks included. */
	memset(text, ' ', 100000);
	memcpy(text, "reset\n", 6);
	EXPECT_EQ(EINVAL, lq_write_sockets(text));
	free(text);

	/* A NUL belongs to no word; one in two parts is none. */
	file = open(LQ_SOCKETS, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, file);
	EXPECT_EQ(-1, write(file, "reset", 6));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(file, "res", 3));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(file, "et\n", 3));
	EXPECT_EQ(EINVAL, errno);
	check_peak(_metadata, fd, "acceptq_peak", 2);

	/* The same file still takes the right one, more than once. */
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(6, write(file, "reset\n", 6));
	EXPECT_EQ(0, lq_num(fd, "acceptq_peak"));
	close(file);
}

TEST_HARNESS_MAIN
