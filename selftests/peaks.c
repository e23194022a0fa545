// SPDX-License-Identifier: GPL-2.0-only
/*
 * The most that the two queues of a listener held, since it listens or since
 * the reset: as much as ss saw there, and never less than the file itself has
 * shown; and who may reset it.
 *
 * A read of the file raises a peak that lags behind, which would hide that
 * nothing else does: where a peak is to be tested, only ss looks before.
 */

#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdatomic.h>
#include <sys/syscall.h>

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

/* @col of @fd is what ss saw; less where hits were skipped. */
static void check_peak(struct __test_metadata *_metadata, int fd,
		       const char *col, long long seen)
{
	long long peak = lq_num(fd, col);
	long long skipped = lq_missed() - missed_before;

	EXPECT_LE(seen - skipped, peak) {
		TH_LOG("%s: %lld hits were skipped", col, skipped);
	}
	EXPECT_GE(seen, peak) {
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

/* @count more come to @fd, whose queue holds @inside then. */
static void come(struct __test_metadata *_metadata, int fd, int *clients,
		 int count, int inside)
{
	lq_connect_many(fd, clients, count);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == inside));
}

static void begin(void)
{
	lq_pin();
	lq_dummy_up();
	missed_before = lq_missed();
}

LQ_FIXTURE_FAMILIES(peaks, begin());

TEST_F(peaks, acceptq_peak_is_what_ss_saw)
{
	/* How many come, or go. */
	static const int steps[] = { 1, 3, -2, 1, -3, 6, -1, 4, -7, 2, -4 };
	int fd = lq_listener(variant->family, LIMIT);
	int inside = 0, seen = 0;
	int clients[16];

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i] > 0)
			lq_connect_many(fd, clients, steps[i]);
		else
			lq_accept_many(fd, -steps[i]);
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

	come(_metadata, full, clients, 4, 4);
	lq_send_syns(variant->family, lq_port(full), 0, 20);
	ASSERT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") == 20));
	lq_accept_many(full, 4);
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
	lq_close_all(clients, 4);
}

/* A request that becomes a connection moves from one queue to the other. */
TEST_F(peaks, both_queues)
{
	int fd = lq_listener(variant->family, LIMIT);
	int clients[6];

	lq_hold_acks(fd);
	lq_connect_many(fd, clients, 6);
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(lq_port(fd)) == 6));
	lq_pass_acks(fd);
	for (int i = 0; i < 6; i++)
		lq_send_byte(clients[i]);
	ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 6));
	lq_accept_many(fd, 6);
	check_peak(_metadata, fd, "acceptq_peak", 6);
	check_peak(_metadata, fd, "synq_peak", 6);
	EXPECT_EQ(0, lq_num(fd, "synq"));
}

/* A rule that raises the limit lets in more; one that lowers it, no less. */
TEST_F(peaks, raised_by_a_rule)
{
	int fd = lq_listener(variant->family, 2);
	int clients[8];

	come(_metadata, fd, clients, 3, 3);
	ASSERT_EQ(0, lq_clamp("* force 10\n"));
	come(_metadata, fd, clients + 3, 5, 8);
	lq_accept_many(fd, 6);
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
		fds[i] = lq_bound_shared(variant->family,
					 lq_loopback(variant->family), port);
		lq_listen(fds[i], LIMIT);
		port = lq_port(fds[i]);
	}
	lq_connect_many(fds[0], clients, TO_GROUP);
	ASSERT_TRUE(lq_wait_until(({
		sum = 0;
		for (int i = 0; i < GROUP; i++) {
			seen[i] = ss_acceptq(fds[i]);
			sum += seen[i];
		}
		sum == TO_GROUP;
	})));
	for (int i = 0; i < GROUP; i++)
		lq_accept_many(fds[i], seen[i]);
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

	lq_send_syns(variant->family, lq_port(fd), 0, 6);
	come(_metadata, fd, clients, 4, 4);
	ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(lq_port(fd)) == 6));
	lq_accept_many(fd, 4);
	lq_listen(fd, LIMIT / 2);
	check_peak(_metadata, fd, "acceptq_peak", 4);
	/* Each client was a request for a moment. */
	check_peak(_metadata, fd, "synq_peak", 6 + 1);

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

/* A line of the file, as of one moment. */
struct line {
	long long acceptq;
	long long acceptq_peak;
	long long synq;
	long long synq_peak;
	/* What a reset leaves as it is. */
	long long counters[LQ_COUNTERS];
};

static struct line read_line(int fd)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_row(table, fd);
	struct line line = {
		.acceptq = lq_cell_num(table, row, "acceptq"),
		.acceptq_peak = lq_cell_num(table, row, "acceptq_peak"),
		.synq = lq_cell_num(table, row, "synq"),
		.synq_peak = lq_cell_num(table, row, "synq_peak"),
	};

	for (int i = 0; i < LQ_COUNTERS; i++)
		line.counters[i] = lq_cell_num(table, row, lq_counters[i]);
	lq_free(table);
	return line;
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
		struct line before, after;
		long long overflows = lq_netstat("ListenOverflows");
		int clients[16], port = lq_port(fd);

		come(_metadata, full, clients, 5, 5);
		lq_send_syns(variant->family, lq_port(full), 0, 3);
		ASSERT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") ==
					  overflows + 3));
		lq_accept_many(full, 3);
		lq_send_syns(variant->family, port, 0, 4);
		come(_metadata, fd, clients + 5, 6, 6);
		lq_accept_many(fd, 5);
		ASSERT_TRUE(lq_wait_until(lq_ss_syn_recv(port) == 4));
		check_peak(_metadata, full, "acceptq_peak", 5);
		check_peak(_metadata, fd, "acceptq_peak", 6);
		/* Each client was a request for a moment. */
		check_peak(_metadata, fd, "synq_peak", 4 + 1);

		before = read_line(full);
		ASSERT_EQ(0, lq_write_sockets(texts[i]));
		after = read_line(full);
		for (int c = 0; c < LQ_COUNTERS; c++)
			EXPECT_EQ(before.counters[c], after.counters[c]);
		EXPECT_EQ(2, after.acceptq_peak);
		EXPECT_EQ(0, after.synq_peak);
		EXPECT_EQ(1, lq_num(fd, "acceptq_peak"));
		EXPECT_EQ(4, lq_num(fd, "synq_peak"));

		lq_connect_many(fd, clients + 11, 3);
		ASSERT_TRUE(lq_wait_until(ss_acceptq(fd) == 4));
		lq_accept_many(fd, 4);
		check_peak(_metadata, fd, "acceptq_peak", 4);
		EXPECT_EQ(2, lq_num(full, "acceptq_peak"));
		lq_close_all(clients, 14);
		close(fd);
		close(full);
	}
}

/* Those that don't depend on the family. */
LQ_FIXTURE(others, begin());

/* Both queues of @fd go up and down, until @stop. */
static pid_t start_traffic(int fd, atomic_int *stop)
{
	pid_t pid = lq_fork();
	int clients[8];

	if (pid)
		return pid;
	lq_unpin();
	for (int i = 0; !*stop; i++) {
		int count = 1 + i % 8;

		lq_connect_many(fd, clients, count);
		lq_send_syns(AF_INET, lq_port(fd), i % 40, 1);
		lq_accept_many(fd, count);
		lq_close_all(clients, count);
	}
	_exit(0);
}

/* What was wrong of many lines, and how often there was traffic in between. */
struct faults {
	int below;	/* a peak that is less than what is there */
	int fell;	/* a peak, or a counter */
	int some;
};

static void compare_lines(struct faults *faults, const struct line *last,
			  const struct line *line, bool was_reset)
{
	faults->below += line->acceptq_peak < line->acceptq;
	faults->below += line->synq_peak < line->synq;
	faults->some += line->counters[0] > last->counters[0];
	for (int i = 0; i < LQ_COUNTERS; i++)
		faults->fell += line->counters[i] < last->counters[i];
	if (was_reset)
		return;
	faults->fell += line->acceptq_peak < last->acceptq_peak;
	faults->fell += line->synq_peak < last->synq_peak;
}

/* Reads during traffic, all of them after a reset or none. */
static struct line check_traffic(struct __test_metadata *_metadata, int fd,
				 bool resets)
{
	atomic_int *stop = lq_shared(sizeof(*stop));
	pid_t pid = start_traffic(fd, stop);
	struct line last = read_line(fd);
	struct faults faults = { };

	for (int i = 0; i < READS; i++) {
		struct line line;

		if (resets)
			ASSERT_EQ(0, lq_write_sockets("reset"));
		line = read_line(fd);
		compare_lines(&faults, &last, &line, resets);
		last = line;
		lq_pause();
	}
	*stop = 1;
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(0, faults.below);
	EXPECT_EQ(0, faults.fell);
	EXPECT_LT(READS / 10, faults.some);
	return last;
}

/* The peak isn't below the occupancy beside it, nor below an earlier one. */
TEST_F(others, never_below_what_was_shown)
{
	int fd = lq_listener_any(AF_INET, LIMIT);

	EXPECT_GE(9, check_traffic(_metadata, fd, false).acceptq_peak);
}

/* Counters don't notice, and no peak is ever below its queue. */
TEST_F(others, reset_during_traffic)
{
	int fd = lq_listener_any(AF_INET, LIMIT);
	struct line line;

	check_traffic(_metadata, fd, true);
	/* When it is over, the last reset has the last word. */
	EXPECT_EQ(0, lq_num(fd, "acceptq"));
	EXPECT_EQ(0, lq_write_sockets("reset"));
	line = read_line(fd);
	EXPECT_EQ(0, line.acceptq_peak);
	EXPECT_LE(line.synq, line.synq_peak);
	EXPECT_LT(0, line.counters[0]);
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
	lq_enter_container(OTHER_UID);
}

static int reset_as(void (*become)(void))
{
	return lq_write_as(become, LQ_SOCKETS, "reset");
}

/* Two come and go: a peak that a reset would take away. */
static int listener_with_a_peak(struct __test_metadata *_metadata)
{
	int fd = lq_listener(AF_INET, LIMIT);
	int clients[2];

	come(_metadata, fd, clients, 2, 2);
	lq_accept_many(fd, 2);
	check_peak(_metadata, fd, "acceptq_peak", 2);
	return fd;
}

/* A reset is of one namespace. */
TEST_F(others, reset_of_other_namespace)
{
	int here = listener_with_a_peak(_metadata), home = lq_netns(), there;

	lq_new_netns();
	there = listener_with_a_peak(_metadata);
	EXPECT_EQ(0, lq_write_sockets("reset"));
	EXPECT_EQ(0, lq_num(there, "acceptq_peak"));

	lq_enter_netns(home);
	check_peak(_metadata, here, "acceptq_peak", 2);
}

TEST_F(others, reset_without_the_capability)
{
	int fd = listener_with_a_peak(_metadata);

	EXPECT_EQ(EPERM, reset_as(lq_drop_net_admin));
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
		lq_drop_net_admin();
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
