// SPDX-License-Identifier: GPL-2.0-only
/*
 * A rule that goes leaves no trace, nor does the module: each listener has
 * the limit again that the kernel alone would have given it, also where a
 * listen() was under way, and what somebody else stored is left alone. After
 * the unload ss alone can tell, which asks the kernel's own sock_diag.
 */

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "model.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define KPROBES		"/sys/kernel/debug/kprobes/enabled"

#define MANY		lq_scaled(1000)
#define FIRST_PORT	1024
#define MOST_SHOWN	4096
#define GROUP		50

/* The rules that are tried. */
static const char * const verbs[] = {
	"somaxconn 7", "somaxconn 100000", "somaxconn 7 floor 20", "floor 20",
	"floor 600", "force 1", "force 2147483647",
};

static const int askeds[] = {
	0, 1, 5, 128, SOMAXCONN_HERE - 1, SOMAXCONN_HERE, SOMAXCONN_HERE + 1,
	5000, INT_MAX, -1,
};

/* The kernel compares without a sign: -1 is more than all there is. */
static unsigned int granted_of(int asked)
{
	unsigned int most = SOMAXCONN_HERE;

	return (unsigned int)asked < most ? asked : most;
}

/* What a rule makes of that; granted stands for asked if that isn't known. */
static unsigned int limit_of(const char *verb, int asked, bool asked_known)
{
	unsigned int granted = granted_of(asked);
	static struct model model;
	char text[64];

	snprintf(text, sizeof(text), "flush\n* %s", verb);
	if (model_write(&model, text, strlen(text)))
		errx(1, "no rule: %s", verb);
	return model_limit(&model, 1, asked_known ? asked : (int)granted,
			   granted);
}

/*
 * What a call of ss shows; how many. It passes over some while others come and
 * go: between two buffers the kernel remembers how many of a bucket it has
 * shown (inet_diag_dump_icsk()). Where @fds are all to be there it is asked
 * again.
 */
static int read_ss(struct lq_ss *shown, const int *fds, int count)
{
	int n = 0, missing = 1;

	for (int tries = 0; missing && tries < 10; tries++) {
		n = lq_ss_listeners(shown, MOST_SHOWN);
		missing = 0;
		for (int i = 0; i < count; i++)
			missing += !lq_ss_find(shown, n, lq_cookie(fds[i]));
	}
	return n;
}

/*
 * How many of @fds have another limit than @limits by ss. A socket that
 * doesn't listen has a wrong one, too, unless @unlisted counts those.
 */
static int wrong_by_ss(const int *fds, const unsigned int *limits, int count,
		       int *unlisted)
{
	static struct lq_ss shown[MOST_SHOWN];
	int wrong = 0, n;

	n = read_ss(shown, fds, unlisted ? 0 : count);
	for (int i = 0; i < count; i++) {
		const struct lq_ss *found = lq_ss_find(shown, n,
						       lq_cookie(fds[i]));

		if (!found && unlisted) {
			++*unlisted;
			continue;
		}
		if (found && found->sendq == limits[i])
			continue;
		/* The first one tells enough. */
		if (!wrong++)
			printf("# listener %d: ss has %lld, expected %u\n", i,
			       found ? found->sendq : -1, limits[i]);
	}
	return wrong;
}

static bool ss_has(int fd, unsigned int limit)
{
	return !wrong_by_ss(&fd, &limit, 1, NULL);
}

/* All that ss and rows say of the limits, for all of @fds at once. */
static void check_rows(struct __test_metadata *_metadata, const int *fds,
		       const unsigned int *granted, const unsigned int *limits,
		       int count, const char *rule)
{
	struct lq_table *table;

	/* First: a read of the file would mend what is missing. */
	EXPECT_EQ(0, wrong_by_ss(fds, limits, count, NULL));
	table = lq_read(LQ_SOCKETS);
	for (int i = 0; i < count; i++) {
		int row = lq_row(table, fds[i]);

		EXPECT_EQ(granted[i], lq_cell_num(table, row, "granted"));
		EXPECT_EQ(limits[i], lq_cell_num(table, row, "limit"));
		EXPECT_STREQ(rule, lq_cell(table, row, "rule"));
	}
	lq_free(table);
}

static void check_row(struct __test_metadata *_metadata, int fd,
		      unsigned int granted, unsigned int limit,
		      const char *rule)
{
	check_rows(_metadata, &fd, &granted, &limit, 1, rule);
}

FIXTURE(removed)
{
	int fds[ARRAY_SIZE(askeds)];
	unsigned int granted[ARRAY_SIZE(askeds)];
};

FIXTURE_VARIANT(removed)
{
	const char *text;
};

FIXTURE_VARIANT_ADD(removed, by_clear) { .text = "* clear\n" };
FIXTURE_VARIANT_ADD(removed, by_flush) { .text = "flush\n" };
/* By a rule for a port that nobody has. */
FIXTURE_VARIANT_ADD(removed, by_replacement) { .text = "flush\n1 force 3\n" };

FIXTURE_SETUP(removed)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	for (size_t i = 0; i < ARRAY_SIZE(askeds); i++) {
		self->fds[i] = lq_listener(lq_family(i), askeds[i]);
		self->granted[i] = granted_of(askeds[i]);
	}
}

FIXTURE_TEARDOWN(removed)
{
}

TEST_F(removed, gives_back_what_was_granted)
{
	unsigned int limits[ARRAY_SIZE(askeds)];

	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		for (size_t i = 0; i < ARRAY_SIZE(askeds); i++)
			limits[i] = limit_of(verbs[v], askeds[i], true);
		ASSERT_EQ(0, lq_clampf("* %s\n", verbs[v]));
		check_rows(_metadata, self->fds, self->granted, limits,
			   ARRAY_SIZE(askeds), "*");

		ASSERT_EQ(0, lq_clamp(variant->text));
		check_rows(_metadata, self->fds, self->granted, self->granted,
			   ARRAY_SIZE(askeds), "-");
		for (size_t i = 0; i < ARRAY_SIZE(askeds); i++)
			EXPECT_EQ(askeds[i], lq_num(self->fds[i], "asked"));
	}
}

/* The next one in order of precedence takes over from one that goes. */
TEST_F(removed, uncovers_the_next)
{
	int fd = self->fds[2], port = lq_port(fd);
	char own[16], range[32];

	snprintf(own, sizeof(own), "%d", port);
	snprintf(range, sizeof(range), "%d-%d", port - 1, port + 1);
	ASSERT_EQ(0, lq_clampf("* force 30\n%s force 20\n%s force 10\n", range,
			       own));
	check_row(_metadata, fd, 5, 10, own);
	ASSERT_EQ(0, lq_clampf("%s clear\n", own));
	check_row(_metadata, fd, 5, 20, range);
	ASSERT_EQ(0, lq_clampf("%s clear\n", range));
	check_row(_metadata, fd, 5, 30, "*");
	ASSERT_EQ(0, lq_clamp(variant->text));
	check_row(_metadata, fd, 5, 5, "-");
	EXPECT_TRUE(ss_has(fd, 5));
}

LQ_FIXTURE_RELOADS(unload, lq_set_somaxconn(SOMAXCONN_HERE));

/* How many rows have the limit that was granted. */
static int undisturbed(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int count = 0;

	for (int row = 0; row < table->nrows; row++)
		count += !strcmp(lq_cell(table, row, "granted"),
				 lq_cell(table, row, "limit"));
	lq_free(table);
	return count;
}

/*
 * A block of ports for each verb, and in each of them listeners from before
 * the load, from before the rule and from after it.
 */
TEST_F_TIMEOUT(unload, restores_many, 240)
{
	int count = MANY, block = count / ARRAY_SIZE(verbs), differ = 0;
	const struct rlimit files = { 4096, 4096 };
	unsigned int *granted = calloc(count, sizeof(*granted));
	unsigned int *limits = calloc(count, sizeof(*limits));
	int *fds = calloc(count, sizeof(*fds));
	char text[1024];
	int used = 0;

	if (!granted || !limits || !fds || setrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for %d listeners", count);
	used += snprintf(text, sizeof(text), "* force 9999\n");
	for (int v = 0; v < ARRAY_SIZE(verbs); v++) {
		int first = FIRST_PORT + v * block;
		int last = v + 1 == ARRAY_SIZE(verbs) ?
			   FIRST_PORT + count - 1 : first + block - 1;

		used += snprintf(text + used, sizeof(text) - used,
				 "%d-%d %s\n", first, last, verbs[v]);
	}

	ASSERT_EQ(0, lq_unload());
	for (int i = 0; i < count; i++) {
		int family = lq_family(i % 7 == 0);
		int asked = askeds[i % ARRAY_SIZE(askeds)];
		int v = i / block < ARRAY_SIZE(verbs) ?
			i / block : ARRAY_SIZE(verbs) - 1;

		fds[i] = lq_bound(family, lq_loopback(family), FIRST_PORT + i);
		granted[i] = granted_of(asked);
		limits[i] = limit_of(verbs[v], asked, i % 3);
		differ += granted[i] != limits[i];
	}
	/* Most of them have something to be restored from. */
	ASSERT_LT(count / 2, differ);

	for (int i = 0; i < count; i += 3)
		lq_listen(fds[i], askeds[i % ARRAY_SIZE(askeds)]);
	ASSERT_EQ(0, lq_load());
	for (int i = 1; i < count; i += 3)
		lq_listen(fds[i], askeds[i % ARRAY_SIZE(askeds)]);
	ASSERT_EQ(0, lq_clamp(text));
	for (int i = 2; i < count; i += 3)
		lq_listen(fds[i], askeds[i % ARRAY_SIZE(askeds)]);
	EXPECT_EQ(0, wrong_by_ss(fds, limits, count, NULL));
	EXPECT_EQ(count - differ, undisturbed());

	ASSERT_EQ(0, lq_unload());
	EXPECT_EQ(0, wrong_by_ss(fds, granted, count, NULL));
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(count, undisturbed());
	lq_close_all(fds, count);
	free(fds);
	free(limits);
	free(granted);
}

/* All of them are in one bucket of the kernel's. */
TEST_F(unload, restores_a_group)
{
	int fds[GROUP];
	unsigned int limits[GROUP];

	for (int i = 0; i < GROUP; i++) {
		fds[i] = lq_bound_shared(AF_INET, "127.0.0.1",
					 i ? lq_port(fds[0]) : 0);
		lq_listen(fds[i], 5);
		limits[i] = 50;
	}
	ASSERT_EQ(0, lq_clampf("%d force 50\n", lq_port(fds[0])));
	EXPECT_EQ(0, wrong_by_ss(fds, limits, GROUP, NULL));
	ASSERT_EQ(0, lq_unload());
	for (int i = 0; i < GROUP; i++)
		limits[i] = 5;
	EXPECT_EQ(0, wrong_by_ss(fds, limits, GROUP, NULL));
}

static void check_no_rules(struct __test_metadata *_metadata)
{
	char *text = lq_clamp_text();

	EXPECT_STREQ("", text);
	free(text);
}

/*
 * Three more namespaces: one that stays, one with files held open of which
 * one is half read, and one that nothing but its listeners keeps alive.
 */
TEST_F_TIMEOUT(unload, restores_other_namespaces, 120)
{
	static const int asked[2] = { 5, 5000 };
	static const unsigned int granted[2] = { 5, SOMAXCONN_HERE };
	int fds[3][2], netns[3], clamp = -1, sockets = -1;
	int home = lq_netns();
	int before = lq_listener(AF_INET, 6);
	char letter;

	ASSERT_EQ(0, lq_clamp("* force 60\n"));
	for (int n = 0; n < 3; n++) {
		unsigned int limit = 1000 + n;

		lq_new_netns();
		lq_set_somaxconn(SOMAXCONN_HERE);
		fds[n][0] = lq_listener(AF_INET, asked[0]);
		ASSERT_EQ(0, lq_clampf("* force %u\n", limit));
		fds[n][1] = lq_listener(lq_family(1), asked[1]);
		check_row(_metadata, fds[n][0], granted[0], limit, "*");
		check_row(_metadata, fds[n][1], granted[1], limit, "*");
		if (n == 1) {
			clamp = open(LQ_CLAMP, O_RDWR);
			sockets = open(LQ_SOCKETS, O_RDONLY);
			ASSERT_LE(0, clamp);
			ASSERT_EQ(1, read(sockets, &letter, 1));
		}
		netns[n] = n < 2 ? lq_netns() : -1;
		lq_enter_netns(home);
	}
	check_row(_metadata, before, 6, 60, "*");

	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(before, 6));
	for (int n = 0; n < 3; n++) {
		if (netns[n] < 0)
			netns[n] = ioctl(fds[n][0], SIOCGSKNS);
		ASSERT_LE(0, netns[n]);
		lq_enter_netns(netns[n]);
		EXPECT_EQ(0, wrong_by_ss(fds[n], granted, 2, NULL));
	}
	EXPECT_EQ(-1, read(clamp, &letter, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, read(sockets, &letter, 1));
	EXPECT_EQ(EIO, errno);
	close(clamp);
	close(sockets);

	/* A second module knows nothing of the first one's rules. */
	ASSERT_EQ(0, lq_load());
	for (int n = 0; n < 3; n++) {
		lq_enter_netns(netns[n]);
		check_no_rules(_metadata);
		check_row(_metadata, fds[n][0], granted[0], granted[0], "-");
	}
	lq_enter_netns(home);
}

/* A write by a file from before fails; what it names isn't there. */
TEST_F(unload, open_file_writes_nothing)
{
	static const char rule[] = "* force 50\n";
	int fd = lq_listener(AF_INET, 5);
	int clamp = open(LQ_CLAMP, O_RDWR);

	ASSERT_LE(0, clamp);
	ASSERT_EQ(strlen(rule), write(clamp, rule, strlen(rule)));
	check_row(_metadata, fd, 5, 50, "*");
	ASSERT_EQ(0, lq_unload());
	EXPECT_EQ(-1, write(clamp, rule, strlen(rule)));
	EXPECT_EQ(EIO, errno);
	EXPECT_TRUE(ss_has(fd, 5));
	EXPECT_EQ(-1, open(LQ_CLAMP, O_RDWR));
	EXPECT_EQ(ENOENT, errno);

	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(-1, write(clamp, rule, strlen(rule)));
	EXPECT_EQ(EIO, errno);
	check_no_rules(_metadata);
	check_row(_metadata, fd, 5, 5, "-");
	close(clamp);
}

/* Writes rules for ports that nobody has, as long as there is a file. */
static pid_t keep_writing(int first)
{
	pid_t pid = lq_fork();
	char text[128];

	if (pid)
		return pid;
	for (int i = 0;; i++) {
		int fd = open(LQ_CLAMP, O_WRONLY | O_CLOEXEC);

		if (fd < 0) {
			lq_pause();
			continue;
		}
		snprintf(text, sizeof(text),
			 "%d-%d floor %d\n%d force %d\n", first, first + 9,
			 i % 1000, first + i % 10, i);
		if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) &&
		    errno != EIO)
			err(1, "write %s", text);
		close(fd);
		lq_breathe(i);
	}
}

/* @fds[i] listens for the sake of @backlogs[i], stops, and listens again. */
static pid_t keep_listening(const int *fds, const unsigned int *backlogs,
			    int count)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	for (int i = 0;; i++) {
		int n = i % count;

		if (i / count % 2)
			lq_end_listening(fds[n]);
		lq_listen(fds[n], backlogs[n]);
		lq_listen(fds[n], backlogs[n]);
		lq_breathe(i);
	}
}

#define STILL	20
#define MOVING	24

/* In and out, while rules are written and others listen. */
TEST_F_TIMEOUT(unload, under_load, 240)
{
	unsigned int backlogs[STILL + MOVING];
	int rounds = getenv("LISTENQ_SLOW") ? 2 : 4;
	int fds[STILL + MOVING], unlisted = 0;
	pid_t pids[4];

	for (int i = 0; i < STILL + MOVING; i++) {
		fds[i] = lq_bound(AF_INET, "127.0.0.1", 0);
		backlogs[i] = i + 1;
		if (i < STILL)
			lq_listen(fds[i], backlogs[i]);
	}
	pids[0] = keep_writing(1000);
	pids[1] = keep_writing(2000);
	pids[2] = keep_listening(fds + STILL, backlogs + STILL, MOVING / 2);
	pids[3] = keep_listening(fds + STILL + MOVING / 2,
				 backlogs + STILL + MOVING / 2, MOVING / 2);
	ASSERT_TRUE(lq_wait_until(lq_rows(LQ_SOCKETS) >= STILL + MOVING - 2));

	for (int i = 0; i < rounds; i++) {
		ASSERT_EQ(0, lq_unload());
		ASSERT_EQ(0, lq_load());
		ASSERT_EQ(0, lq_clamp("* force 777\n"));
		check_row(_metadata, fds[i], backlogs[i], 777, "*");
	}
	ASSERT_EQ(0, lq_unload());
	EXPECT_EQ(0, wrong_by_ss(fds, backlogs, STILL, NULL));

	/* None had given up before. */
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		EXPECT_TRUE(WIFSIGNALED(lq_kill(pids[i])));
	EXPECT_EQ(0, wrong_by_ss(fds, backlogs, STILL + MOVING, &unlisted));
	/* Each of the two was at most between the end and the beginning. */
	EXPECT_GE(2, unlisted);
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(STILL + MOVING - unlisted, undisturbed());
}

/* What one module has given back is what the next one finds. */
TEST_F(unload, many_times_in_a_row)
{
	int fd = lq_listener(AF_INET, 5);

	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, lq_clamp("* floor 500\n"));
		check_row(_metadata, fd, 5, 500, "*");
		ASSERT_EQ(0, lq_unload());
		ASSERT_TRUE(ss_has(fd, 5));
		ASSERT_EQ(0, lq_load());
		check_row(_metadata, fd, 5, 5, "-");
	}
}

LQ_FIXTURE_RELOADS(reuse, lq_set_somaxconn(SOMAXCONN_HERE));

/* A second life has nothing of the first one's limit. */
TEST_F(reuse, socket_that_listens_again)
{
	for (size_t i = 0; i < LQ_STOPS; i++) {
		int fd = lq_listener(AF_INET, 5);

		ASSERT_EQ(0, lq_clamp("* force 50\n"));
		check_row(_metadata, fd, 5, 50, "*");
		lq_stops[i](fd);
		lq_listen(fd, 6);
		check_row(_metadata, fd, 6, 50, "*");

		/* The rule goes while nobody listens. */
		lq_stops[i](fd);
		ASSERT_EQ(0, lq_clamp("flush\n"));
		lq_listen(fd, 7);
		check_row(_metadata, fd, 7, 7, "-");
		EXPECT_TRUE(ss_has(fd, 7));

		/* It comes and goes while nobody listens. */
		lq_stops[i](fd);
		ASSERT_EQ(0, lq_clamp("* force 40\n"));
		ASSERT_EQ(0, lq_clamp("flush\n"));
		lq_listen(fd, 8);
		check_row(_metadata, fd, 8, 8, "-");

		/* The module goes while nobody listens. */
		ASSERT_EQ(0, lq_clamp("* force 30\n"));
		check_row(_metadata, fd, 8, 30, "*");
		lq_stops[i](fd);
		ASSERT_EQ(0, lq_unload());
		lq_listen(fd, 9);
		EXPECT_TRUE(ss_has(fd, 9));
		ASSERT_EQ(0, lq_load());
		check_row(_metadata, fd, 9, 9, "-");
		close(fd);
	}
}

/* New sockets where old ones have been, the rule there every second time. */
TEST_F(reuse, sockets_that_come_and_go)
{
	for (int i = 0; i < 200; i++) {
		unsigned int granted[3], limits[3];
		int fds[3];

		ASSERT_EQ(0, lq_clamp(i % 2 ? "* force 50\n" : "flush\n"));
		for (int n = 0; n < 3; n++) {
			granted[n] = 1 + i % 40 + n;
			limits[n] = i % 2 ? 50 : granted[n];
			fds[n] = lq_listener(AF_INET, granted[n]);
		}
		if (i % 20 < 2)
			check_rows(_metadata, fds, granted, limits, 3,
				   i % 2 ? "*" : "-");
		lq_close_all(fds, 3);
	}
}

static void listen_under_rules(void)
{
	for (int i = 1; i <= 100; i++)
		if (lq_clampf("%d force 1\n", i))
			_exit(1);
	lq_listener(AF_INET, 3);
	if (lq_clamp("* floor 70\n"))
		_exit(1);
	lq_listener(lq_family(1), 4);
}

/* Rules keep no namespace alive, nor do listeners that they act on. */
TEST_F_TIMEOUT(reuse, namespaces_that_go, 180)
{
	int fd = lq_listener(AF_INET, 5);
	int sockets = -1, clamp = -1;
	char path[64], text[64];
	pid_t pid;

	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	for (int i = 0; i < 4; i++) {
		pid = lq_elsewhere("lq0", listen_under_rules);
		if (pid < 0)
			SKIP(return, "no veth devices");
		/* The last one's file is open: then it is that which does. */
		if (i == 3) {
			snprintf(path, sizeof(path),
				 "/proc/%d/net/listenq/sockets", pid);
			sockets = open(path, O_RDONLY);
			snprintf(path, sizeof(path),
				 "/proc/%d/net/listenq/clamp", pid);
			clamp = open(path, O_RDWR);
		}
		lq_kill(pid);
		if (i < 3)
			ASSERT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
	}
	ASSERT_LE(0, sockets);
	ASSERT_LE(0, clamp);
	ASSERT_EQ(20, read(clamp, text, 20));
	EXPECT_EQ(0, strncmp(text, "1 force 1\n2 force 1\n", 20));
	EXPECT_NE(0, if_nametoindex("lq0"));
	EXPECT_EQ(6, write(clamp, "flush\n", 6));
	EXPECT_EQ(0, pread(clamp, text, sizeof(text), 0));

	/* Whether clamp alone would keep it is nobody's promise. */
	close(sockets);
	close(clamp);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));

	/* Nobody here was any of that flush's business. */
	check_row(_metadata, fd, 5, 50, "*");
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(fd, 5));
}

/* The module goes while namespaces do. */
TEST_F_TIMEOUT(reuse, namespaces_that_go_with_the_module, 180)
{
	int fd = lq_listener(AF_INET, 5);
	int count = lq_scaled(30), ready[2], go[2];
	pid_t pids[30];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	for (int i = 0; i < count; i++) {
		pids[i] = lq_fork();
		if (pids[i])
			continue;
		close(go[1]);
		lq_new_netns();
		lq_listener(AF_INET, 3);
		if (lq_clamp("* force 30\n1-1000 floor 3\n") ||
		    lq_num(lq_listener(AF_INET, 4), "limit") != 30 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		/* The end of the pipe ends all of them. */
		_exit(read(go[0], &byte, 1));
	}
	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	for (int i = 0; i < count; i++)
		ASSERT_EQ(1, read(ready[0], &byte, 1));
	close(go[1]);
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(fd, 5));
	for (int i = 0; i < count; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	ASSERT_EQ(0, lq_load());
	check_row(_metadata, fd, 5, 5, "-");
}

/*
 * A listen() that waits for the socket's lock. Whoever attaches a filter
 * reads it from memory while holding that lock, here from a page that comes
 * when the test wants it to.
 */
struct hold {
	int fd;
	int faults;
	size_t page_size;
	struct sock_filter *filter;
	pthread_t holder;
	pthread_t caller;
	int backlog;
	pid_t tid;
	int attached;
	int listened;
};

static void hold_init(struct hold *hold)
{
	hold->page_size = sysconf(_SC_PAGESIZE);
	hold->faults = lq_open_faults();
	hold->filter = lq_faulting_page(hold->faults);
}

static void *attach(void *arg)
{
	struct hold *hold = arg;
	struct sock_fprog program = { .len = 1, .filter = hold->filter };

	hold->attached = setsockopt(hold->fd, SOL_SOCKET, SO_ATTACH_FILTER,
				    &program, sizeof(program)) ? errno : 0;
	return NULL;
}

static void *call_listen(void *arg)
{
	struct hold *hold = arg;

	__atomic_store_n(&hold->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	hold->listened = listen(hold->fd, hold->backlog) ? errno : 0;
	return NULL;
}

/* Not just for a moment: then it is the socket's lock that it waits for. */
static bool is_blocked(const struct hold *hold)
{
	pid_t tid = __atomic_load_n(&hold->tid, __ATOMIC_ACQUIRE);

	for (int i = 0; i < 4; i++) {
		if (!tid || lq_state(tid) != 'D')
			return false;
		lq_pause();
	}
	return true;
}

/* Returns with somebody inside listen(@fd, @backlog). */
static void block(struct hold *hold, int fd, int backlog)
{
	struct pollfd fault = { .fd = hold->faults, .events = POLLIN };
	struct uffd_msg message;

	hold->fd = fd;
	hold->backlog = backlog;
	hold->tid = 0;
	if (pthread_create(&hold->holder, NULL, attach, hold))
		errx(1, "no thread");
	if (poll(&fault, 1, 60000) != 1 ||
	    read(hold->faults, &message, sizeof(message)) != sizeof(message) ||
	    message.event != UFFD_EVENT_PAGEFAULT)
		errx(1, "nobody asks for the page");
	if (pthread_create(&hold->caller, NULL, call_listen, hold))
		errx(1, "no thread");
	if (!lq_wait_until(is_blocked(hold)))
		errx(1, "listen() does not wait for the socket's lock");
}

/* Lets it return. */
static void unblock(struct __test_metadata *_metadata, struct hold *hold)
{
	static const struct sock_filter all =
		BPF_STMT(BPF_RET | BPF_K, UINT_MAX);
	char *page = calloc(1, hold->page_size);
	struct uffdio_copy copy = {
		.dst = (unsigned long)hold->filter,
		.src = (unsigned long)page,
		.len = hold->page_size,
	};

	if (!page)
		err(1, "calloc");
	EXPECT_EQ('D', lq_state(hold->tid));
	memcpy(page, &all, sizeof(all));
	if (ioctl(hold->faults, UFFDIO_COPY, &copy))
		err(1, "UFFDIO_COPY");
	pthread_join(hold->holder, NULL);
	pthread_join(hold->caller, NULL);
	free(page);
	EXPECT_EQ(0, hold->attached);
	EXPECT_EQ(0, hold->listened);
}

/* In a namespace of its own: the file alone holds the one it belongs to. */
static void *read_into_nothing(void *arg)
{
	struct hold *hold = arg;

	if (unshare(CLONE_NEWNET))
		err(1, "unshare");
	if (read(hold->fd, hold->filter, hold->page_size) < 0)
		err(1, "read");
	return NULL;
}

/* A child whose reader waits in a namespace that nobody else is in. */
static pid_t hang_in(const char *name)
{
	struct pollfd fault = { .events = POLLIN };
	struct hold hold = { .fd = -1 };
	pid_t pid = lq_fork_ready();

	if (pid)
		return pid;
	hold_init(&hold);
	lq_new_netns();
	if (lq_clamp("* force 30\n"))
		_exit(1);
	hold.fd = open(name, O_RDONLY);
	if (hold.fd < 0 || pthread_create(&hold.holder, NULL,
					  read_into_nothing, &hold))
		_exit(1);
	fault.fd = hold.faults;
	if (poll(&fault, 1, 60000) != 1 || unshare(CLONE_NEWNET))
		_exit(1);
	lq_stay();
	return 0;
}

/* Who reads into a page that never comes holds up no other namespace's end. */
TEST_F_TIMEOUT(reuse, readers_that_hang, 240)
{
	static const char * const names[] = { LQ_CLAMP, LQ_SOCKETS, LQ_HOOKS };
	pid_t hung[3], pid;

	/* Where there can be no such page, the test ends here. */
	close(lq_open_faults());
	for (int i = 0; i < 3; i++) {
		hung[i] = hang_in(names[i]);
		ASSERT_LT(0, hung[i]);
	}
	pid = lq_elsewhere("lq0", listen_under_rules);
	if (pid > 0) {
		lq_kill(pid);
		EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
	}
	for (int i = 0; i < 3; i++)
		lq_kill(hung[i]);
	if (pid < 0)
		SKIP(return, "no veth devices");
}

FIXTURE(blocked)
{
	struct hold hold;
	int fd;
};

FIXTURE_VARIANT(blocked)
{
	bool listens;
};

FIXTURE_VARIANT_ADD(blocked, first_listen) { .listens = false };
FIXTURE_VARIANT_ADD(blocked, repeated_listen) { .listens = true };

FIXTURE_SETUP(blocked)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	hold_init(&self->hold);
	self->fd = lq_bound(AF_INET, "127.0.0.1", 0);
	if (variant->listens)
		lq_listen(self->fd, 5);
}

FIXTURE_TEARDOWN(blocked)
{
	/* A test that gave up half-way leaves nobody to wait for a page. */
	close(self->hold.faults);
	close(self->fd);
	EXPECT_EQ(0, lq_restore(true));
}

/* A listen(100) waits that began under @rule. */
static void block_under(struct __test_metadata *_metadata, struct hold *hold,
			int fd, const char *rule)
{
	ASSERT_EQ(0, lq_clamp(rule));
	block(hold, fd, 100);
}

/* It is over, no rule acts, and the kernel's own limit is in force. */
static void check_undone(struct __test_metadata *_metadata, int fd)
{
	check_row(_metadata, fd, 100, 100, "-");
	EXPECT_TRUE(ss_has(fd, 100));
}

/* For what the other tests show to be due to the rule's going. */
TEST_F(blocked, rule_stays)
{
	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 50, "*");
	EXPECT_EQ(100, lq_num(self->fd, "asked"));
	EXPECT_TRUE(ss_has(self->fd, 50));
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	check_undone(_metadata, self->fd);
}

TEST_F(blocked, rule_goes)
{
	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	/* Nor does the writer wait until it can have the lock. */
	if (variant->listens)
		check_row(_metadata, self->fd, 5, 5, "-");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 100, "-");
	EXPECT_EQ(100, lq_num(self->fd, "asked"));
	EXPECT_TRUE(ss_has(self->fd, 100));
}

TEST_F(blocked, rule_comes)
{
	block(&self->hold, self->fd, 100);
	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	if (variant->listens)
		check_row(_metadata, self->fd, 5, 50, "*");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 50, "*");
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_undone(_metadata, self->fd);
}

TEST_F(blocked, rule_goes_and_another_comes)
{
	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	ASSERT_EQ(0, lq_clamp("* somaxconn 60\n"));
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 60, "*");
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_undone(_metadata, self->fd);
}

TEST_F(blocked, module_goes)
{
	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	ASSERT_EQ(0, lq_unload());
	if (variant->listens)
		EXPECT_TRUE(ss_has(self->fd, 5));
	unblock(_metadata, &self->hold);
	EXPECT_TRUE(ss_has(self->fd, 100));
	ASSERT_EQ(0, lq_load());
	check_undone(_metadata, self->fd);
}

/* Who entered under the first module may or may not be met by the second. */
TEST_F(blocked, module_goes_and_comes)
{
	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	ASSERT_EQ(0, lq_clamp("* force 60\n"));
	unblock(_metadata, &self->hold);
	EXPECT_EQ(100, lq_num(self->fd, "granted"));
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_row(_metadata, self->fd, 100, 100, "-");
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(self->fd, 100));
}

/*
 * What the rule gives is what listen() is about to store: the figure alone
 * doesn't say whose it is.
 */
TEST_F(blocked, equal_figure_and_the_rule_goes)
{
	block_under(_metadata, &self->hold, self->fd, "* force 100\n");
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	/* Nothing is stored yet, and no limit stays above what it should be. */
	if (variant->listens)
		EXPECT_TRUE(ss_has(self->fd, 5));
	unblock(_metadata, &self->hold);
	check_undone(_metadata, self->fd);
}

/* A call that waits keeps no limit above what a rule allows now. */
TEST_F(blocked, equal_figure_and_the_rule_gets_stricter)
{
	lq_listen(self->fd, 100);
	ASSERT_EQ(0, lq_clamp("* somaxconn 20\n"));
	check_row(_metadata, self->fd, 100, 20, "*");
	block(&self->hold, self->fd, 20);
	ASSERT_EQ(0, lq_clamp("* somaxconn 10\n"));
	check_row(_metadata, self->fd, 100, 10, "*");
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_row(_metadata, self->fd, 100, 100, "-");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 20, 20, "-");
	EXPECT_EQ(20, lq_num(self->fd, "asked"));
}

/* Where the hook is behind the lock, a call that waits is not seen. */
static bool waiting_is_seen(void)
{
	return !strcmp("on", lq_hook_str("inet_listen", "state"));
}

/*
 * A limit is not raised to what the call may just be storing. Until it returns no rule
 * is shown as acting, the one before neither.
 */
TEST_F(blocked, equal_figure_is_put_off)
{
	bool seen = waiting_is_seen();

	block_under(_metadata, &self->hold, self->fd, "* force 50\n");
	ASSERT_EQ(0, lq_clamp("* force 100\n"));
	if (variant->listens)
		check_row(_metadata, self->fd, 5, seen ? 50 : 100,
			  seen ? "-" : "*");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 100, "*");
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	check_undone(_metadata, self->fd);
}

TEST_F(blocked, equal_figure_and_the_rule_goes_later)
{
	block_under(_metadata, &self->hold, self->fd, "* force 100\n");
	unblock(_metadata, &self->hold);
	check_row(_metadata, self->fd, 100, 100, "*");
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	check_undone(_metadata, self->fd);
}

TEST_F(blocked, equal_figure_and_the_module_goes)
{
	bool seen = waiting_is_seen();

	block_under(_metadata, &self->hold, self->fd, "* force 100\n");
	ASSERT_EQ(0, lq_unload());
	/* As that call may just have stored it, it is not taken back. */
	if (variant->listens)
		EXPECT_TRUE(ss_has(self->fd, seen ? 100 : 5));
	unblock(_metadata, &self->hold);
	EXPECT_TRUE(ss_has(self->fd, 100));
}

/*
 * A value that somebody else has stored: listen() while no probe fires is as
 * good as a stranger's hand.
 */
FIXTURE(foreign)
{
	int fd;
};

FIXTURE_SETUP(foreign)
{
	LQ_SETUP();
	if (access(KPROBES, W_OK))
		SKIP(longjmp(_metadata->env, 1), "no %s", KPROBES);
	lq_set_somaxconn(SOMAXCONN_HERE);
	self->fd = lq_listener(AF_INET, 5);
}

FIXTURE_TEARDOWN(foreign)
{
	if (!access(KPROBES, W_OK))
		lq_write_file(KPROBES, "1");
	EXPECT_EQ(0, lq_restore(true));
}

/* Unseen by the module; @fd listens already or does not. */
static void listen_unseen(struct __test_metadata *_metadata, int fd,
			  int backlog)
{
	long long hits = lq_hook("inet_csk_listen_start", "hits");

	lq_write_file(KPROBES, "0");
	lq_listen(fd, backlog);
	/* The machine is silent: one more start isn't counted. */
	close(lq_listener(AF_INET, 1));
	lq_write_file(KPROBES, "1");
	ASSERT_EQ(hits, lq_hook("inet_csk_listen_start", "hits"));
	ASSERT_TRUE(lq_wait_until(({
		close(lq_listener(AF_INET, 1));
		lq_hook("inet_csk_listen_start", "hits") > hits;
	})));
}

/*
 * Where a rule acts, somebody stores 7; with a read that finds it, and puts the
 * rule in force, or none.
 */
static void store_unseen(struct __test_metadata *_metadata, int fd, bool read)
{
	lq_listen(fd, 5);
	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	check_row(_metadata, fd, 5, 50, "*");
	listen_unseen(_metadata, fd, 7);
	EXPECT_TRUE(ss_has(fd, 7));
	if (!read)
		return;
	lq_free(lq_read(LQ_SOCKETS));
	check_row(_metadata, fd, 7, 50, "*");
	EXPECT_EQ(LQ_NONE, lq_num(fd, "asked"));
}

TEST_F(foreign, outlives_the_rule)
{
	for (int i = 0; i < 2; i++) {
		store_unseen(_metadata, self->fd, i);
		ASSERT_EQ(0, lq_clamp("* clear\n"));
		check_row(_metadata, self->fd, 7, 7, "-");
		EXPECT_EQ(LQ_NONE, lq_num(self->fd, "asked"));
		EXPECT_TRUE(ss_has(self->fd, 7));
	}
}

TEST_F(foreign, outlives_the_module)
{
	for (int i = 0; i < 2; i++) {
		store_unseen(_metadata, self->fd, i);
		ASSERT_EQ(0, lq_unload());
		EXPECT_TRUE(ss_has(self->fd, 7));
		ASSERT_EQ(0, lq_load());
	}
}

/* A rule that is written later acts on it, and gives it back. */
TEST_F(foreign, is_what_a_later_rule_gives_back)
{
	for (int i = 0; i < 2; i++) {
		store_unseen(_metadata, self->fd, i);

		ASSERT_EQ(0, lq_clamp("* force 60\n"));
		check_row(_metadata, self->fd, 7, 60, "*");
		EXPECT_EQ(LQ_NONE, lq_num(self->fd, "asked"));
		ASSERT_EQ(0, lq_clamp("* clear\n"));
		check_row(_metadata, self->fd, 7, 7, "-");
		EXPECT_TRUE(ss_has(self->fd, 7));

		/* As of a listener from before, granted stands for asked. */
		ASSERT_EQ(0, lq_clamp("* somaxconn 100\n"));
		check_row(_metadata, self->fd, 7, 7, "*");
		ASSERT_EQ(0, lq_clamp("* somaxconn 6\n"));
		check_row(_metadata, self->fd, 7, 6, "*");
		ASSERT_EQ(0, lq_clamp("flush\n"));
		check_row(_metadata, self->fd, 7, 7, "-");
	}
}

/* The next listen() that is seen is as any other. */
TEST_F(foreign, ends_with_the_next_listen)
{
	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	listen_unseen(_metadata, self->fd, 7);
	lq_listen(self->fd, 8);
	check_row(_metadata, self->fd, 8, 50, "*");
	EXPECT_EQ(8, lq_num(self->fd, "asked"));
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	check_row(_metadata, self->fd, 8, 8, "-");
	EXPECT_TRUE(ss_has(self->fd, 8));
}

/* A listener that nobody knew gets the rule by being read. */
TEST_F(foreign, newcomer_gets_the_rule)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 0);

	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	listen_unseen(_metadata, fd, 9);
	lq_free(lq_read(LQ_SOCKETS));
	EXPECT_TRUE(ss_has(fd, 50));
	check_row(_metadata, fd, 9, 50, "*");
	EXPECT_EQ(LQ_NONE, lq_num(fd, "asked"));
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(fd, 9));
	EXPECT_TRUE(ss_has(self->fd, 5));
	close(fd);
}

/* One whose end nobody saw, either: its record is not the next socket's. */
TEST_F(foreign, unseen_end)
{
	ASSERT_EQ(0, lq_clamp("* force 50\n"));
	check_row(_metadata, self->fd, 5, 50, "*");
	lq_write_file(KPROBES, "0");
	lq_end_listening(self->fd);
	lq_listen(self->fd, 11);
	lq_write_file(KPROBES, "1");
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(ss_has(self->fd, 11));
}

TEST_HARNESS_MAIN
