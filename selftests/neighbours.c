// SPDX-License-Identifier: GPL-2.0-only
/*
 * What containers can do to what listenq(8) shows of others: nothing. They have
 * namespaces of their own, and in these as many listeners, names, processes and
 * descriptors as they like.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "samples.h"

/* Where the host's own server listens. */
#define PORT	5432

/* The longest that a hostile container may take from the others. */
#define HOSTILE_MS	2000

/* What is run ends within @ms more than @before, which it took without. */
#define EXPECT_SOON(before, ms)						\
	EXPECT_GE((before) + (ms), took_ms)

static long long took_ms;

/* The tool, timed. */
#define timed(format, ...)						\
({									\
	long long __start = lq_now_ms();				\
	int __status = tool(format, ##__VA_ARGS__);			\
									\
	took_ms = lq_now_ms() - __start;				\
	__status;							\
})

static const char *netns_label(pid_t pid)
{
	static char label[48];

	snprintf(label, sizeof(label), "{netns=\"%d\"}", pid);
	return label;
}

static int listen_at(int port)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", port);

	lq_listen(fd, 1);
	return fd;
}

/* A container that listens on @count ports from 1 on. */
static pid_t crowd(int count)
{
	pid_t pid = lq_fork_ready();

	if (!pid) {
		struct rlimit limit = { count + 64, count + 64 };

		if (setrlimit(RLIMIT_NOFILE, &limit))
			err(1, "setrlimit");
		prctl(PR_SET_NAME, "crowd");
		lq_new_netns();
		for (int i = 0; i < count; i++)
			listen_at(i + 1);
		lq_stay();
	}
	return pid;
}

FIXTURE(neighbours)
{
	int server;
};

FIXTURE_SETUP(neighbours)
{
	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder());
	self->server = listen_at(PORT);
}

FIXTURE_TEARDOWN(neighbours)
{
	run("ip netns delete lqclosed 2>/dev/null; rm -rf %s", folder);
}

static bool has_server(void)
{
	return sample("listenq_sockets",
		      "port=\"5432\",process=\"neighbours\"}") == 1;
}

/* A container's listeners take no place from the host's. */
TEST_F(neighbours, each_namespace_has_a_quota)
{
	pid_t few = crowd(8), many;

	ASSERT_EQ(DONE, tool("-am --max 5"));
	EXPECT_TRUE(has_server());
	EXPECT_EQ(5, samples("listenq_sockets") - 1);
	EXPECT_TRUE(isnan(sample("listenq_sockets", "port=\"6\"")));
	EXPECT_EQ(3, sample("listenq_listeners_omitted", ""));
	EXPECT_EQ(3, sample("listenq_namespace_listeners_omitted",
			    netns_label(few)));
	EXPECT_EQ(8, sample("listenq_namespace_listeners", netns_label(few)));
	EXPECT_EQ(0, sample("listenq_namespace_listeners_omitted",
			    netns_label(getpid())));

	many = crowd(lq_scaled(1000));
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_TRUE(has_server());
	EXPECT_EQ(9, samples("listenq_sockets"));
	EXPECT_EQ(lq_scaled(1000), sample("listenq_namespace_listeners_young",
					  netns_label(many)));
	/* The namespace's own figures are there. */
	EXPECT_EQ(0, sample("listenq_namespace_syns_total",
			    netns_label(many)));
	EXPECT_EQ(1, sample("listenq_namespace_up", netns_label(many)));
	lq_kill(few);
	lq_kill(many);
}

/* Of many, each has to be older: no more than 1,200 come in an hour. */
TEST_F(neighbours, new_ones_wait)
{
	enum { COUNT = 9, EACH_MS = 3000 };
	long long start = lq_now_ms();
	pid_t child = crowd(COUNT);
	char label[32];

	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_EQ(COUNT, sample("listenq_listeners_young", ""));
	EXPECT_TRUE(lq_wait_until(!tool("-am") &&
				  !sample("listenq_listeners_young", "")));
	EXPECT_LE(COUNT * EACH_MS, lq_now_ms() - start);
	EXPECT_EQ(COUNT + 1, samples("listenq_sockets"));
	snprintf(label, sizeof(label), "netns=\"%d\"", child);
	EXPECT_FALSE(isnan(sample("listenq_namespace_up", label)));
	lq_kill(child);
}

/* The series of what the tool prints, without values, in the file @name. */
static void save_series(const char *options, const char *name)
{
	if (run("$LISTENQ -am %s | sed '/^#/d; s/ [^ ]*$//' | grep '^listenq_[a-z_]*{' >%s",
		options, name))
		errx(1, "%s", output);
}

/* Its series are the same, whatever it calls itself. */
TEST_F(neighbours, names_make_no_series)
{
	static const char * const names[] = { "one", "two" };
	int home = lq_netns(), there, fd;
	pid_t child;

	lq_new_netns();
	there = lq_netns();
	child = lq_fork_ready();
	if (!child)
		lq_stay();
	for (int i = 0; i < 2; i++) {
		lq_enter_netns(there);
		prctl(PR_SET_NAME, names[i]);
		fd = listen_at(80);
		lq_enter_netns(home);
		save_series("", names[i]);
		save_series("--names all", i ? "all2" : "all1");
		EXPECT_EQ(DONE, tool("-am"));
		EXPECT_TRUE(has_server());
		EXPECT_EQ(1, sample("listenq_sockets", "port=\"80\"}"));
		EXPECT_EQ(DONE, tool("-am --names none"));
		EXPECT_EQ(NULL, strstr(output, "process="));
		EXPECT_EQ(DONE, tool("-am --names all"));
		EXPECT_EQ(1, sample("listenq_sockets", i ?
				    "port=\"80\",process=\"two\"}" :
				    "port=\"80\",process=\"one\"}"));
		close(fd);
	}
	EXPECT_RUN(0, run("diff one two 2>&1"));
	EXPECT_EQ(1, run("cmp -s all1 all2"));
	lq_kill(child);
}

/* The tool, as the root of @root's namespaces. */
static int tool_of(pid_t root, const char *options)
{
	return run("LC_ALL=C COLUMNS=80 nsenter -U --net --preserve-credentials -t %d %s %s 2>&1",
		   root, tool_path(), options);
}

/*
 * One that can't be read costs the others nothing: here since it belongs to the
 * host, and the tool's root is a user namespace's.
 */
TEST_F(neighbours, one_that_is_not_read)
{
	static const struct {
		const char *options, *text;
		int status;
	} others[] = {
		{ "-a", "127.0.0.1:5432", TROUBLE },
		{ "-aj", "127.0.0.1:5432", TROUBLE },
		{ "-at", "\nSYNs  ", TROUBLE },
		{ "-a --check", "LISTENQ UNKNOWN - 1 namespace not read, namespaces of ",
		  NOT_KNOWN },
		{ "-a log", "nobody was turned away", DONE },
	};
	int port;
	pid_t closed = listen_elsewhere("closed", 0, &port), root;

	ASSERT_EQ(0, run("ip netns attach lqclosed %d", closed));
	root = lq_fork_ready();
	if (!root) {
		lq_enter_user_namespace(0);
		lq_new_netns();
		listen_at(PORT);
		lq_stay();
	}
	if (root < 0)
		SKIP(return, "no user namespaces here");

	ASSERT_EQ(DONE, tool_of(root, "-am"));
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"5432\""));
	EXPECT_EQ(1, sample("listenq_up", ""));
	EXPECT_EQ(0, sample("listenq_namespace_up", "{netns=\"lqclosed\"}"));
	EXPECT_EQ(1, sample("listenq_namespaces_unread", ""));
	EXPECT_TRUE(says("listenq: namespace lqclosed left out: "));

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		EXPECT_RUN(others[i].status, tool_of(root, others[i].options));
		EXPECT_TRUE(says(others[i].text));
		EXPECT_TRUE(says("listenq: namespace lqclosed left out: "));
	}
	lq_kill(root);
	lq_kill(closed);
}

/* A user who makes namespaces by the dozen gets into nobody's way. */
TEST_F(neighbours, namespaces_by_the_dozen)
{
	enum { COUNT = 12, USER = 12345 };
	pid_t many[COUNT], child;
	char label[32];
	int port;

	for (int i = 0; i < COUNT; i++) {
		many[i] = lq_fork_ready();
		if (!many[i]) {
			lq_enter_container(USER);
			listen_at(1);
			lq_stay();
		}
		if (many[i] < 0)
			SKIP(return, "users may make no namespaces here");
	}
	child = listen_elsewhere("good", 0, &port);
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_TRUE(has_server());
	snprintf(label, sizeof(label), "port=\"%d\"}", port);
	EXPECT_EQ(1, sample("listenq_sockets", label));
	EXPECT_EQ(COUNT, sample("listenq_listeners_young", ""));
	EXPECT_EQ(COUNT, sample("listenq_namespaces_omitted", ""));
	for (int i = 0; i < COUNT; i++)
		EXPECT_TRUE(isnan(sample("listenq_namespace_syns_total",
					 netns_label(many[i]))));
	EXPECT_EQ(0, sample("listenq_namespace_syns_total",
			    netns_label(child)));

	/* What there is room for goes to those that take privileges first. */
	ASSERT_EQ(DONE, tool("-am --max 2"));
	EXPECT_EQ(1, sample("listenq_namespace_up", netns_label(getpid())));
	for (int i = 0; i < COUNT; i++)
		EXPECT_TRUE(isnan(sample("listenq_namespace_up",
					 netns_label(many[i]))));
	for (int i = 0; i < COUNT; i++)
		lq_kill(many[i]);
	lq_kill(child);
}

/* ---- who holds a socket ---- */

/* So many processes, which share as many descriptors. */
#define PROCESSES	50
#define DESCRIPTORS	200000

static void open_and_stay(void)
{
	struct rlimit limit = { DESCRIPTORS + 64, DESCRIPTORS + 64 };
	int fd = open("/dev/null", O_RDONLY);
	pid_t pid;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
	lq_new_netns();
	listen_at(1);
	for (int i = 0; i < DESCRIPTORS; i++)
		if (dup(fd) < 0)
			err(1, "dup");
	for (int i = 0; i < PROCESSES; i++) {
		pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
		if (pid < 0)
			err(1, "clone");
		while (!pid)
			pause();
	}
	lq_stay();
}

static pid_t start_hostile(void)
{
	pid_t pid = lq_fork_first();

	if (!pid)
		open_and_stay();
	return pid;
}

FIXTURE(holders)
{
	bool loaded;
};

FIXTURE_SETUP(holders)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder());
}

FIXTURE_TEARDOWN(holders)
{
	lq_restore(self->loaded);
	run("rm -rf %s", folder);
}

/*
 * Ten million descriptors take a second, and no name from the others: one who
 * holds a listener from before the load is found, and of one that nobody holds it
 * is not said that nobody does.
 */
TEST_F(holders, are_searched_for_a_second)
{
	int held, nobody, pair[2], before;
	pid_t holder, hostile;

	ASSERT_EQ(0, lq_unload());
	held = listen_at(PORT);
	nobody = listen_at(PORT + 1);
	holder = lq_fork_ready();
	if (!holder) {
		prctl(PR_SET_NAME, "holder");
		close(nobody);
		lq_stay();
	}
	close(held);
	ASSERT_EQ(0, lq_load());
	/* On its way between two processes. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	lq_send_away(pair[0], nobody);
	close(nobody);

	ASSERT_EQ(DONE, timed("-am"));
	before = took_ms;
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"5432\",process=\"holder\"}"));
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"5433\"}"));
	EXPECT_EQ(0, sample("listenq_listeners_unsearched", ""));
	EXPECT_RUN(DONE, tool("-j -p 5433"));
	EXPECT_TRUE(says("\"holder_searched\": true, \"holder\": null"));

	hostile = start_hostile();
	ASSERT_EQ(DONE, timed("-am"));
	EXPECT_SOON(before, HOSTILE_MS);
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"5432\",process=\"holder\"}"));
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"5433\"}"));
	EXPECT_EQ(1, sample("listenq_listeners_unsearched", ""));
	EXPECT_TRUE(says("listenq: no time to find the processes that hold 1 socket\n"));
	EXPECT_EQ(DONE, timed("-a"));
	EXPECT_SOON(before, HOSTILE_MS);
	/* As far as there is room. */
	EXPECT_TRUE(says("not sea"));
	EXPECT_TRUE(says(" holder "));
	EXPECT_EQ(DONE, timed("-j -p 5433"));
	EXPECT_SOON(before, HOSTILE_MS);
	EXPECT_TRUE(says("\"holder_searched\": false, \"holder\": null"));
	lq_kill(hostile);
	lq_kill(holder);
}

TEST_HARNESS_MAIN
