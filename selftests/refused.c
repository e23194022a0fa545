// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose lines in the kernel log are counted together, and that nobody's cost
 * anybody else a line.
 *
 * It is the namespace of a listener that counts, not who listens there. So all
 * is done by the test itself, in namespaces that others have made.
 */

#define _GNU_SOURCE
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define PARAMETER	"/sys/module/listenq/parameters/log_interval"
#define LEAD		"listenq: net:["
#define LINE		512

/* What nobody gets more of: at once, and then one in so many seconds. */
#define AT_ONCE		10
#define SECONDS		90

/* For so long a line that must not come is waited for. */
#define SILENCE_MS	300

#define ANEW		lq_scaled(20)
#define LISTENERS	(3 * AT_ONCE)
#define ROUNDS		5

#define USER		12361
#define OTHER_USER	12362
#define SUB_USER	123600

static int log_fd;
/* The numbers of the namespaces that lines were about, one for each line. */
static unsigned long lines[4096];
static int nlines;

FIXTURE(refused)
{
	bool loaded;
	int interval;
	int initial;		/* the namespace that the test was started in */
};

/* What is left of anybody's lines is forgotten with the module. */
FIXTURE_SETUP(refused)
{
	const struct rlimit files = { 4096, 4096 };

	self->loaded = lq_loaded();
	self->initial = lq_netns();
	LQ_SETUP();
	self->interval = lq_read_number(PARAMETER);
	log_fd = lq_open_log();
	if (log_fd < 0)
		lq_skip("no kernel log to be read");
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for listeners");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	/* So that each listener can have a line each second. */
	lq_write_number(PARAMETER, 1);
}

FIXTURE_TEARDOWN(refused)
{
	close(log_fd);
	EXPECT_EQ(0, lq_restore(self->loaded));
	if (self->loaded)
		lq_write_number(PARAMETER, self->interval);
}

static void network(int unused)
{
	lq_new_netns();
}

/* User and network namespace; of root's own too, as a container's are. */
static void container(int uid)
{
	lq_enter_container(uid);
}

/* In another user namespace in there. */
static void nested(int uid)
{
	char map[32];

	lq_enter_container(uid);
	/* A user namespace is made by who has a group, too. */
	snprintf(map, sizeof(map), "0 %d 1", uid);
	lq_write_file("/proc/self/gid_map", map);
	lq_enter_user_namespace(0);
	lq_new_netns();
}

/* Root lets @map be what the parent's user namespace has of users and groups. */
static void map_parent(const char *map)
{
	static const char * const files[] = { "uid_map", "gid_map" };

	for (int i = 0; i < 2; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), files[i]);
		lq_write_file(path, map);
	}
}

/* As a user id that the user @uid has beside his own, and nested. */
static void subordinate(int uid)
{
	int made[2];
	pid_t helper;
	char byte;

	if (pipe(made))
		err(1, "pipe");
	helper = lq_fork();
	if (!helper) {
		char map[64];

		snprintf(map, sizeof(map), "0 %d 1\n1 %d 1\n", uid, SUB_USER);
		if (read(made[0], &byte, 1) == 1)
			map_parent(map);
		_exit(0);
	}
	lq_become_user(uid);
	if (unshare(CLONE_NEWUSER))
		_exit(KSFT_SKIP);
	if (write(made[1], "", 1) != 1 || lq_reap(helper))
		errx(1, "a user namespace with two users");
	lq_become_user(1);
	lq_enter_user_namespace(1);
	lq_new_netns();
}

/* In the user namespace that @netns belongs to. */
static void beside(int netns)
{
	int fd = ioctl(netns, NS_GET_USERNS);

	if (fd < 0 || setns(fd, CLONE_NEWUSER))
		err(1, "the user namespace of a network namespace");
	lq_new_netns();
}

static void turn_away_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		lq_turn_away(fds[i]);
}

/* Listeners in @netns that are full. The caller is left in there. */
static void listen_in(int netns, int *fds, int count)
{
	lq_enter_netns(netns);
	for (int i = 0; i < count; i++) {
		fds[i] = lq_listener(AF_INET, 0);
		close(lq_enqueue(fds[i]));
	}
}

/* How many lines there have been about @netns, from the line @first on. */
static int lines_about(int netns, int first)
{
	unsigned long number = lq_inode(netns);
	char text[LINE];
	int count = 0;

	while (lq_read_log(log_fd, text, sizeof(text))) {
		if (sscanf(text, LEAD "%lu]", &lines[nlines]) == 1 &&
		    ++nlines == ARRAY_SIZE(lines))
			errx(1, "more than %d lines", nlines);
	}
	for (int i = first; i < nlines; i++)
		count += lines[i] == number;
	return count;
}

/* The same, when no more have come for a while. */
static int all_lines_about(int netns, int first)
{
	int count = lines_about(netns, first);

	for (long long since = lq_now_ms(); lq_now_ms() - since < SILENCE_MS;) {
		int now = lines_about(netns, first);

		if (now != count)
			since = lq_now_ms();
		count = now;
		lq_pause();
	}
	return count;
}

/*
 * How many lines noise in @netns brings. It goes on until there are @hoped, but
 * not for ever.
 */
static int lines_to_be_had(int netns, int hoped)
{
	int fds[LISTENERS], first, count;
	long long start = lq_now_ms();

	/* Those before were about a namespace that had the same number. */
	lines_about(netns, 0);
	first = nlines;
	listen_in(netns, fds, LISTENERS);
	do {
		turn_away_all(fds, LISTENERS);
		count = all_lines_about(netns, first);
	} while (count < hoped && lq_now_ms() - start < 10000);
	/* There are listeners enough for more. */
	turn_away_all(fds, LISTENERS);
	count = all_lines_about(netns, first);
	lq_close_all(fds, LISTENERS);
	return count;
}

/* The most that one who began at @start may have had by now. */
static int most(long long start)
{
	return AT_ONCE + (lq_now_ms() - start) / (SECONDS * 1000);
}

/* In whatever namespaces: one after the other, side by side, nested. */
TEST_F(refused, a_user_has_ten_lines)
{
	long long start = lq_now_ms();
	int netns = lq_made_by(container, USER), sum;
	int sides[] = {
		lq_made_by(container, USER), lq_made_by(nested, USER),
		lq_made_by(subordinate, USER), lq_made_by(beside, netns),
	};

	sum = lines_to_be_had(netns, AT_ONCE);
	EXPECT_EQ(AT_ONCE, sum);
	for (int i = 0; i < (int)ARRAY_SIZE(sides); i++)
		sum += lines_to_be_had(sides[i], 0);
	close(netns);
	for (int i = 0; i < ANEW; i++) {
		netns = lq_made_by(i % 2 ? nested : container, USER);
		sum += lines_to_be_had(netns, 0);
		close(netns);
	}
	EXPECT_GE(most(start), sum);
}

/* Users have theirs, and nobody has another's. */
TEST_F(refused, each_user_has_ten_lines)
{
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(AT_ONCE,
			  lines_to_be_had(lq_made_by(container, USER + i),
					  AT_ONCE));
}

/* A network namespace that root has made without a user namespace. */
TEST_F(refused, a_namespace_of_root_s_has_ten_lines)
{
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(AT_ONCE,
			  lines_to_be_had(lq_made_by(network, 0), AT_ONCE));
}

/* Root may make user namespaces for others: each is somebody else's. */
TEST_F(refused, a_container_of_root_s_has_ten_lines)
{
	for (int i = 0; i < 3; i++) {
		long long start = lq_now_ms();
		int netns = lq_made_by(container, 0);
		int sum = lines_to_be_had(netns, AT_ONCE);

		EXPECT_EQ(AT_ONCE, sum);
		/* Who is in there may make more network namespaces. */
		for (int more = 0; more < 3; more++)
			sum += lines_to_be_had(lq_made_by(beside, netns), 0);
		EXPECT_GE(most(start), sum);
	}
}

/* Whoever makes noise, and in whatever namespaces: others have their lines. */
TEST_F(refused, noise_costs_nobody_a_line)
{
	int noisy[] = {
		lq_made_by(container, USER), lq_made_by(nested, USER),
		lq_made_by(network, 0), lq_made_by(container, 0),
	};
	int quiet[] = {
		self->initial, lq_made_by(network, 0), lq_made_by(container, 0),
		lq_made_by(container, OTHER_USER),
	};
	pid_t pids[ARRAY_SIZE(noisy)];
	int fds[ARRAY_SIZE(quiet)];

	for (int i = 0; i < (int)ARRAY_SIZE(noisy); i++) {
		pids[i] = lq_fork_ready();
		if (!pids[i]) {
			int loud[LISTENERS];

			listen_in(noisy[i], loud, LISTENERS);
			turn_away_all(loud, LISTENERS);
			/* A child of its own says that it is ready. */
			if (!lq_fork())
				lq_stay();
			for (int turn = 0;; turn++) {
				turn_away_all(loud, LISTENERS);
				lq_breathe(turn);
			}
		}
	}
	for (int i = 0; i < (int)ARRAY_SIZE(quiet); i++)
		listen_in(quiet[i], &fds[i], 1);
	for (int round = 0; round < ROUNDS; round++) {
		long long start;

		for (int i = 0; i < (int)ARRAY_SIZE(quiet); i++) {
			int before = lines_about(quiet[i], 0);

			lq_enter_netns(quiet[i]);
			lq_turn_away(fds[i]);
			lq_wait_until(lines_about(quiet[i], 0) > before);
			/* After one that is late, the next would be too soon. */
			ASSERT_EQ(before + 1, lines_about(quiet[i], 0)) {
				TH_LOG("round %d, namespace %d, %lld overflows",
				       round, i, lq_num(fds[i], "overflows"));
			}
		}
		/* Another line about the last one of them has to be due. */
		start = lq_now_ms();
		EXPECT_TRUE(lq_wait_until(lq_now_ms() - start >
					  1000 + LQ_SLACK_MS));
	}
	for (int i = 0; i < (int)ARRAY_SIZE(noisy); i++) {
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG));
		lq_kill(pids[i]);
	}
}

/* One at a time comes back, however long the noise goes on. */
TEST_F_TIMEOUT(refused, one_line_more_in_90_seconds, 240)
{
	int fds[LISTENERS], netns;
	long long start, since;

	if (getenv("LISTENQ_SLOW"))
		SKIP(return, "a minute and a half of waiting, where checkers see nothing");
	netns = lq_made_by(container, USER);
	EXPECT_EQ(0, lines_about(netns, 0));
	listen_in(netns, fds, LISTENERS);
	start = lq_now_ms();
	while (lines_about(netns, 0) < AT_ONCE &&
	       lq_now_ms() - start < 30000) {
		turn_away_all(fds, LISTENERS);
		lq_pause();
	}
	ASSERT_EQ(AT_ONCE, all_lines_about(netns, 0));
	do {
		since = lq_now_ms() - start;
		turn_away_all(fds, LISTENERS);
		usleep(200 * 1000);
	} while (lines_about(netns, 0) == AT_ONCE &&
		 since < (SECONDS + 60) * 1000);
	/* It came behind the turn's beginning, and by now. */
	EXPECT_LE(SECONDS * 1000 - LQ_SLACK_MS, lq_now_ms() - start);
	EXPECT_GT((SECONDS + 15) * 1000, since);

	/* All that a new namespace can have of it is nothing. */
	turn_away_all(fds, LISTENERS);
	EXPECT_EQ(AT_ONCE + 1, all_lines_about(netns, 0));
	EXPECT_EQ(0, lines_to_be_had(lq_made_by(container, USER), 0));
}

/* Reports that are under way go with their namespace. */
TEST_F(refused, namespaces_go_while_they_report)
{
	int here = lq_netns(), netns;
	pid_t pids[2];

	for (int i = 0; i < 2; i++) {
		pids[i] = lq_fork();
		if (pids[i])
			continue;
		for (int round = 0; round < ANEW; round++) {
			int fd;

			lq_new_netns();
			fd = lq_listener(AF_INET, 0);
			close(lq_enqueue(fd));
			for (int n = 0; n < 20; n++)
				lq_turn_away(fd);
			close(fd);
		}
		_exit(0);
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	lq_enter_netns(here);
	netns = lq_made_by(network, 0);
	EXPECT_EQ(AT_ONCE, lines_to_be_had(netns, AT_ONCE));
}

TEST_HARNESS_MAIN
