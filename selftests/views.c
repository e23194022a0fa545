// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be looked at with listenq(8), and how it is explained: graphs and help in
 * the live view, driven through tmux; ports and namespaces by whatever they are called.
 */

#define _GNU_SOURCE
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "terminal.h"
#include "tool.h"

#define USER	12380

/* ---- saved files ---- */

static const char *enter_saved(void)
{
	const char *why = enter_folder();

	if (!why)
		write_sample();
	return why;
}

FIXTURE(views)
{
};

FIXTURE_SETUP(views)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_saved());
}

FIXTURE_TEARDOWN(views)
{
	run("rm -rf %s", folder);
}

TEST_F(views, ports)
{
	static const struct {
		const char *ports;
		int lines;
	} cases[] = {
		{ "-p 7001", 2 }, { "-p 7001,7003", 3 }, { "-p 7001-7002,7003", 4 },
		{ "-p 7002,7002", 2 }, { "-p 7001 -p 7002", 3 },
		{ "-p 1-7001,7003-65535", 3 }, { "-p 1,2,3", 1 },
	};
	static const char * const wrong[] = {
		"''", ",", "7001,", ",7001", "7001,,7002", "7001,x", "1-2-3",
		"7001,7003-7002", "7001 7002", "0,7001", "7001,65536",
		"$(seq -s , 65)",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_RUN(DONE, tool("--proc . %s", cases[i].ports));
		EXPECT_EQ(cases[i].lines, lines(output)) {
			TH_LOG("%s", cases[i].ports);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TROUBLE(tool("--proc . -p %s", wrong[i]));
	EXPECT_RUN(DONE, tool("--proc . -p $(seq -s , 64)"));
}

/* The live view of the saved files, so wide and so high. */
static pid_t look(const char *environment, int width, int height)
{
	char arguments[64];
	pid_t server;

	snprintf(arguments, sizeof(arguments), "--proc %s -s local -w 0.2",
		 folder);
	server = start(environment, arguments);
	if (terminal("resize-window -t lq -x %d -y %d", width, height) ||
	    !lq_wait_until(shows("3 listeners")))
		errx(1, "no live view: %s", output);
	return server;
}

/* Every title of the table has a line of its own. */
TEST_F(views, help)
{
	/* Nothing of them is cut. */
	static const char * const first_page[] = {
		"PgDn: more", "!SET BY", "!\u2026", NULL
	};
	static const char * const last_page[] = {
		"SET BY", "!PgDn: more", "!\u2026", NULL
	};
	char titles[1024], line[64], *title;
	pid_t server;

	LQ_SKIP_FOR(lacks("tmux"));
	server = look("", 400, 60);
	ASSERT_TRUE(lq_wait_until(shows(" SET BY") &&
				  strstr(output, "q: quit")));
	title = strstr(output, "PROTO ");
	ASSERT_NE(NULL, title);
	snprintf(titles, sizeof(titles), "%.*s", (int)strcspn(title, "\n"),
		 title);
	press("?");
	EXPECT_TRUE(lq_wait_until(shows("\nSET BY ") &&
				  strstr(output, "q: quit")));
	for (title = strtok(titles, " "); title; title = strtok(NULL, " ")) {
		/* "SET BY" is one. */
		snprintf(line, sizeof(line), "\n%s ", title);
		EXPECT_TRUE(!strcmp(title, "BY") || strstr(output, line)) {
			TH_LOG("no %s", title);
		}
	}
	EXPECT_TRUE(says("\nNETNS "));

	/* In a usual terminal too, all of them can be reached. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 24"));
	EXPECT_TRUE(shows_all(first_page));
	press("PgDn PgDn");
	EXPECT_TRUE(shows_all(last_page));
	press("Home");
	EXPECT_TRUE(lq_wait_until(shows("PgDn: more")));
	press("Escape");
	EXPECT_TRUE(lq_wait_until(shows("LOCAL")));
	/* What matters of the last minute has room there. */
	EXPECT_TRUE(lq_wait_until(shows(" 1MIN ")));

	press("/ z z z");
	EXPECT_TRUE(lq_wait_until(shows("no such listener")));
	press("Escape");
	change_sample("sockets", "NR == 1");
	EXPECT_TRUE(lq_wait_until(shows("no listeners")));
	stop(server);
}

/* As many more as @refused, of both queues, since the file was read last. */
static void refuse(int refused)
{
	char program[128];

	snprintf(program, sizeof(program),
		 "NR == 2 { $18 += 1000; $21 += %d; $22 += %d } 1",
		 refused / 2, refused - refused / 2);
	change_sample("sockets", program);
}

FIXTURE(graph)
{
};

FIXTURE_VARIANT(graph)
{
	const char *environment;
	const char *level;
};

FIXTURE_VARIANT_ADD(graph, utf8)
{
	.environment = "LC_ALL=C.UTF-8",
	.level = "\u2588",
};

FIXTURE_VARIANT_ADD(graph, ascii)
{
	.environment = "LC_ALL=C",
	.level = "#",
};

FIXTURE_SETUP(graph)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_saved());
}

FIXTURE_TEARDOWN(graph)
{
	run("rm -rf %s", folder);
}

/* Wherever the span of time that has it stands by now. */
static bool has_level(const char *level)
{
	char *graph = strstr(output, "\nrefused/s ");

	if (!graph)
		return false;
	graph[1 + strcspn(graph + 1, "\n")] = '\0';
	return strstr(graph, level) && strstr(graph, "  most ");
}

/* What was refused stays in sight for minutes, of that listener alone. */
TEST_F(graph, of_refusals)
{
	pid_t server;

	LQ_SKIP_FOR(lacks("tmux"));
	server = look(variant->environment, 80, 40);
	press("Home Enter");
	EXPECT_TRUE(lq_wait_until(shows("\nrefused/s ")));
	EXPECT_TRUE(lq_wait_until(shows("most 0 in ")));
	refuse(1000);
	EXPECT_TRUE(lq_wait_until(!shows("most 0 in ")));
	EXPECT_TRUE(lq_wait_until(shows("\nrefused/s ") &&
				  has_level(variant->level)));
	press("Escape Down Enter");
	EXPECT_TRUE(lq_wait_until(shows("127.0.0.1:7002") &&
				  strstr(output, "most 0 in ")));
	press("Escape Up Enter");
	EXPECT_TRUE(lq_wait_until(shows("127.0.0.1:7001") &&
				  !strstr(output, "most 0 in ")));
	/* However little room there is. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 20 -y 9"));
	ASSERT_EQ(0, terminal("resize-window -t lq -x 90 -y 40"));
	EXPECT_TRUE(lq_wait_until(shows(" in 5m")));
	stop(server);
}

/* ---- namespaces ---- */

FIXTURE(namespaces)
{
	pid_t child;
	unsigned long inode;
	int port;
};

FIXTURE_SETUP(namespaces)
{
	char path[64];
	struct stat stat;

	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder());
	self->child = listen_elsewhere("there", 0, &self->port);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", self->child);
	ASSERT_EQ(0, fstatat(AT_FDCWD, path, &stat, 0));
	self->inode = stat.st_ino;
}

FIXTURE_TEARDOWN(namespaces)
{
	run("ip netns delete lqviews 2>/dev/null; rm -rf %s", folder);
	lq_kill(self->child);
}

/* The one namespace in the output is called @name, and is the right one. */
#define EXPECT_NAMESPACE(name, arguments, ...)				\
do {									\
	char __name[64], __local[64];					\
									\
	snprintf(__name, sizeof(__name), "\"netns\": \"%s\"", name);	\
	snprintf(__local, sizeof(__local), "\"local\": \"127.0.0.1:%d\"",\
		 self->port);						\
	EXPECT_RUN(DONE, tool(arguments " -j", ##__VA_ARGS__));		\
	EXPECT_EQ(3, lines(output));					\
	EXPECT_TRUE(says(__name));					\
	EXPECT_TRUE(says(__local));					\
} while (0)

TEST_F(namespaces, names)
{
	char pid[16];

	/* A process is all that is known of it. */
	snprintf(pid, sizeof(pid), "%d", self->child);
	EXPECT_NAMESPACE(pid, "-N %d", self->child);
	EXPECT_NAMESPACE(pid, "-N %lu", self->inode);
	EXPECT_NAMESPACE(pid, "-N 'net:[%lu]'", self->inode);
	/* It has a name. */
	ASSERT_EQ(0, run("ip netns attach lqviews %d", self->child));
	EXPECT_NAMESPACE("lqviews", "-N lqviews");
	EXPECT_NAMESPACE("lqviews", "-N %d", self->child);
	EXPECT_NAMESPACE("lqviews", "-N /proc/%d/ns/net", self->child);
	EXPECT_NAMESPACE("lqviews", "-N %lu", self->inode);
	EXPECT_NAMESPACE("lqviews", "-N 'net:[%lu]'", self->inode);
	EXPECT_RUN(DONE, tool("-N 'net:[%lu]' clamp '*' force 3", self->inode));
	EXPECT_OUTPUT("* force 3\n", tool("-N lqviews clamp"));

	EXPECT_TROUBLE(tool("-N 'net:[1]'"));
	EXPECT_TROUBLE(tool("-N 'net:[%lu'", self->inode));
	EXPECT_TROUBLE(tool("-N 'net:[ %lu]'", self->inode));
	EXPECT_TROUBLE(tool("-N 4026500000"));
	EXPECT_TRUE(says("no name and no process leads there"));
}

/* What a user may see, and a line about what it may not. */
TEST_F(namespaces, of_a_user)
{
	int here = lq_listener(AF_INET, 3);
	pid_t user;

	ASSERT_EQ(0, run("ip netns attach lqviews %d", self->child));
	user = lq_fork();
	if (!user) {
		lq_become_user(USER);
		EXPECT_RUN(TROUBLE, tool("-a"));
		EXPECT_TRUE(says(lq_local(here)));
		EXPECT_TRUE(says("listenq: namespace lqviews left out: "));
		EXPECT_TRUE(says("only root may enter it\n"));
		EXPECT_TRUE(says(" processes left out: only root may know them\n"));
		EXPECT_RUN(NOT_KNOWN, tool("-a --check"));
		EXPECT_TRUE(says("1 namespace not read, namespaces of "));
		EXPECT_TROUBLE(tool("-N lqviews"));
		EXPECT_RUN(DONE, tool(""));
		_exit(!_metadata->passed);
	}
	EXPECT_EQ(0, lq_reap(user));
	EXPECT_RUN(DONE, tool("-a"));
	EXPECT_EQ(NULL, strstr(output, "left out"));
}

TEST_HARNESS_MAIN
