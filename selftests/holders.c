// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who can accept from a listener now, as listenq(8) says: of workers and their
 * master, of sockets that nobody has open, of groups; held against what the
 * processes did.
 */

#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "terminal.h"
#include "tool.h"

/* ---- a directory that looks like /proc ---- */

/* Process @pid, a child of @parent, has the sockets of these inodes open. */
static void save_process(int pid, const char *name, int parent,
			 const char *inodes)
{
	if (run("set -e; mkdir -p %d/fd; echo '%s' >%d/comm;"
		" echo '%d (%s) S %d 0' >%d/stat; cd %d/fd; rm -f *;"
		" for inode in %s; do ln -s \"socket:[$inode]\" $inode; done",
		pid, name, pid, pid, name, parent, pid, pid, inodes))
		errx(1, "%s", output);
}

FIXTURE(saved)
{
};

FIXTURE_SETUP(saved)
{
	const char *why = enter_folder();

	if (why)
		SKIP(return, "%s", why);
	write_sample();
	save_process(1, "init", 0, "");
}

FIXTURE_TEARDOWN(saved)
{
	run("rm -rf %s", folder);
}

/* Workers come first, whatever their numbers; then their master, then its own. */
TEST_F(saved, workers_before_their_master)
{
	save_process(40, "starter", 1, "901 902");
	save_process(77, "master", 40, "901 902");
	save_process(30, "late (x) S 9", 77, "901");
	save_process(80, "early", 77, "901");
	EXPECT_RUN(DONE, tool("-j --proc ."));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "\"holder_searched\": true, "));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "\"pid\": 30, \"comm\": \"late\\\\040(x)\\\\040S\\\\0409\""));
	EXPECT_TRUE(line_has(line_with(":7001\""), "\"others\": 3}, "));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "\"holders\": [{\"pid\": 30, "));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "{\"pid\": 80, \"comm\": \"early\"}, "));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "{\"pid\": 77, \"comm\": \"master\"}, "));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "{\"pid\": 40, \"comm\": \"starter\"}]"));
	EXPECT_TRUE(line_has(line_with(":7002\""),
			     "\"holders\": [{\"pid\": 77, \"comm\": \"master\"}, "));
	EXPECT_TRUE(line_has(line_with(":7002\""),
			     "{\"pid\": 40, \"comm\": \"starter\"}]"));
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=200 %s --proc .", tool_path()));
	EXPECT_TRUE(line_has(line_with(":7002"), " master "));
	EXPECT_TRUE(line_has(line_with(":7002"), " 77+1 "));

	/* Any of them is looked for, and who called listen(). */
	static const struct {
		const char *process, *ports;
	} wanted[] = {
		{ "30", "7001" }, { "80", "7001" }, { "LATE", "7001" },
		{ "40", "7001 7002" }, { "starter", "7001 7002" },
		{ "1", "7001 7002 7003" }, { "idle", "7002" },
		{ "blind", "7003" }, { "nobody", "" }, { "4", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		EXPECT_RUN(DONE, tool("-j --proc . -s local -P %s |\n"
				      "grep -o '700[0-9]\", \"cookie' | cut -c 1-4 | xargs",
				      wanted[i].process));
		EXPECT_EQ(0, strncmp(wanted[i].ports, output,
				     strlen(wanted[i].ports))) {
			TH_LOG("-P %s: %s", wanted[i].process, output);
		}
		EXPECT_EQ(strlen(wanted[i].ports) + 1, strlen(output));
	}

	/* Metrics have no series that a worker's name has made. */
	EXPECT_RUN(DONE, tool("-m --proc . | grep listenq_sockets"));
	EXPECT_TRUE(says("process=\"all\"} 1\n"));
}

/* A circle of parents, and a process that is its own, are nobody's. */
TEST_F(saved, parents_that_are_none)
{
	save_process(5, "a", 6, "901");
	save_process(6, "b", 5, "901");
	save_process(7, "c", 7, "901 902");
	save_process(8, "d", 99999999, "902");
	EXPECT_EQ(0, run("printf '8 (d' >8/stat"));
	EXPECT_RUN(DONE, tool("-j --proc ."));
	EXPECT_TRUE(line_has(line_with(":7001\""),
			     "\"holder\": {\"pid\": 7, \"comm\": \"c\", \"others\": 2}"));
	EXPECT_TRUE(line_has(line_with(":7002\""),
			     "\"holder\": {\"pid\": 7, \"comm\": \"c\", \"others\": 1}"));
}

/* That nobody has it open is said only where all could be looked at. */
TEST_F(saved, nobody)
{
	save_process(77, "holder", 1, "901");
	EXPECT_SAYS("nobody", tool("--proc ."));
	EXPECT_TRUE(line_has(line_with(":7001"), " holder "));
	EXPECT_TRUE(line_has(line_with(":7002"), " nobody "));
	EXPECT_RUN(DONE, tool("-j --proc ."));
	EXPECT_TRUE(line_has(line_with(":7002\""),
			     "\"holder_searched\": true, \"holder\": null, \"holders\": []"));
	EXPECT_RUN(DONE, tool("-m --proc ."));
	EXPECT_EQ(NULL, strstr(output, "nobody"));

	/* Of MPTCP, it is not known whose socket it is. */
	change_sample("sockets", "NR == 3 { $1 = \"mptcp\" } 1");
	EXPECT_RUN(DONE, tool("-j --proc ."));
	EXPECT_TRUE(line_has(line_with(":7002\""),
			     "\"holder_searched\": null, \"holder\": null, \"holders\": []"));
	EXPECT_RUN(DONE, tool("--proc ."));
	EXPECT_TRUE(line_has(line_with(":7002"), " idle "));
	EXPECT_TRUE(line_has(line_with(":7003"), " nobody "));

	/* A directory without its first process is not all there is. */
	EXPECT_EQ(0, run("rm -r 1"));
	EXPECT_RUN(DONE, tool("--proc ."));
	EXPECT_TRUE(line_has(line_with(":7001"), " holder "));
	EXPECT_TRUE(line_has(line_with(":7003"), " blind "));
	EXPECT_RUN(DONE, tool("-j --proc ."));
	EXPECT_TRUE(line_has(line_with(":7003\""),
			     "\"holder_searched\": false, \"holder\": null"));
}

/* The live view, for one. */
TEST_F(saved, live)
{
	static const char * const held[] = {
		"process       worker  pid 78  has the socket open, all (1) called listen()\n",
		"and           2 more:  worker 79  master 77\n", NULL
	};
	static const char * const nobodys[] = {
		"process       nobody  has the socket open, idle (1) called listen()\n",
		NULL
	};
	char arguments[64];
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	save_process(77, "master", 1, "901");
	save_process(78, "worker", 77, "901");
	save_process(79, "worker", 77, "901");
	snprintf(arguments, sizeof(arguments), "--proc %s -s local -w 0.2",
		 folder);
	server = start("LC_ALL=C.UTF-8", arguments);
	ASSERT_TRUE(lq_wait_until(shows("3 listeners")));
	press("Home Enter");
	EXPECT_TRUE(shows_all(held));
	press("Escape Down Enter");
	EXPECT_TRUE(shows_all(nobodys));
	/* It is found out again within ten seconds. */
	save_process(80, "new", 1, "902");
	EXPECT_TRUE(lq_wait_until(shows("process       new  pid 80  has the socket open")));
	press("q");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	stop(server);
}

/* ---- groups ---- */

/*
 * A group of three, of which the first is full and accepts nothing, and one more
 * port; what each accepts, and what waits.
 */
static void write_group(void)
{
	write_sample();
	change_sample("sockets", "NR > 1 { $2 = \"127.0.0.1:7001\"; $30 = 3 }\n"
		      "NR == 2 { $12 = 9; $19 = 20; $20 = 0 }\n"
		      "NR == 3 { $12 = 2; $19 = 62; $20 = 60 }\n"
		      "NR == 4 { $12 = 1; $19 = 41; $20 = 40; $21 = 0 }\n"
		      "1; NR == 4 { $2 = \"127.0.0.1:7009\"; $3 = \"d4\"; $4 = 904; $30 = \"-\"; print }");
	save_process(77, "master", 1, "901 902 903 904");
	save_process(81, "one", 77, "901");
	save_process(82, "two", 77, "902");
	save_process(83, "three", 77, "903");
}

/* Sums, the fullest, and how unequal they are. */
TEST_F(saved, groups)
{
	write_group();
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=120 %s --proc . -g", tool_path()));
	EXPECT_EQ(3, lines(output));
	EXPECT_TRUE(line_has(line_with(":7001"), " one "));
	EXPECT_TRUE(line_has(line_with(":7001"), " 81+1 "));
	EXPECT_TRUE(line_has(line_with(":7001"), " 3 "));
	EXPECT_TRUE(line_has(line_with(":7001"), "   12       9     60%%      0%% "));
	EXPECT_TRUE(line_has(line_with(":7009"), " master "));
	/* No screen is too narrow for the number of members. */
	EXPECT_SAYS("GROUP", tool("--proc . -g"));

	EXPECT_RUN(DONE, tool("--proc . -gj"));
	EXPECT_TRUE(line_has(line_with(":7001"), "\"members\": 3, \"acceptq\": 12, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"syns\": 123, \"accepts\": 100, \"overflows\": 203, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"fullest\": {\"cookie\": \"a1\", \"acceptq\": 9, \"limit\": 8}, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"busiest\": {\"cookie\": \"b2\", \"share\": 0.6000}, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"laziest\": {\"cookie\": \"a1\", \"share\": 0.0000}, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"listeners\": [{\"netns\": null, \"proto\": \"tcp\""));
	EXPECT_TRUE(line_has(line_with(":7009"), "\"cookie\": \"d4\""));
	EXPECT_RUN(DONE, tool("--proc . -gj | grep -o .cookie.: | wc -l"));
	EXPECT_STREQ("13\n", output);

	/* One that is left of it is a listener. */
	EXPECT_RUN(DONE, tool("--proc . -gj -P two"));
	EXPECT_EQ(NULL, strstr(output, "members"));
	EXPECT_EQ(3, lines(output));
	/* What one of them does not know, nobody does. */
	change_sample("sockets", "NR == 3 { $20 = \"-\" } 1");
	EXPECT_RUN(DONE, tool("--proc . -gj"));
	EXPECT_TRUE(line_has(line_with(":7001"), "\"accepts\": null"));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"share\": null}, "));
	EXPECT_TRUE(line_has(line_with(":7001"),
			     "\"laziest\": {\"cookie\": \"b2\", \"share\": null}"));

	static const char * const wrong[] = {
		"-g -m", "-g -t", "-g log", "log -g", "-g explain",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TROUBLE(tool("--proc . %s", wrong[i]));
	EXPECT_RUN(NOT_KNOWN, tool("--proc . -g --check"));
}

/* Rows of a group that are alike are told apart, however narrow. */
TEST_F(saved, alike)
{
	write_group();
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=60 %s --proc .", tool_path()));
	EXPECT_TRUE(says(" 82+1 "));
	EXPECT_EQ(NULL, strstr(output, "SOCKET"));
	EXPECT_EQ(0, run("rm -r 81 82 83"));
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=60 %s --proc .", tool_path()));
	EXPECT_TRUE(says("SOCKET"));
	EXPECT_TRUE(line_has(line_with(" a1 "), ":7001"));
	EXPECT_TRUE(line_has(line_with(" b2 "), ":7001"));
	/* Where there is no group, there is nothing to be told. */
	write_sample();
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=300 %s --proc .", tool_path()));
	EXPECT_EQ(NULL, strstr(output, "SOCKET"));
}

static bool shows_lines(int count)
{
	int found = 0;

	if (terminal("capture-pane -p -t lq"))
		return false;
	for (const char *at = output; (at = strstr(at, "127.0.0.1:")); at++)
		found++;
	return found == count;
}

TEST_F(saved, unfold)
{
	static const char * const folded[] = { "4 listeners", "LAZIEST", NULL };
	static const char * const unfolded[] = {
		"\n127.0.0.1:7001 ", "\n  127.0.0.1:7001 ", NULL
	};
	char arguments[64];
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	write_group();
	snprintf(arguments, sizeof(arguments), "--proc %s -w 0.2", folder);
	server = start("LC_ALL=C.UTF-8", arguments);
	ASSERT_TRUE(lq_wait_until(shows("4 listeners") && shows_lines(4)));
	press("g");
	EXPECT_TRUE(shows_all(folded));
	EXPECT_TRUE(lq_wait_until(shows_lines(2)));
	press("Home Enter");
	EXPECT_TRUE(lq_wait_until(shows_lines(5)));
	EXPECT_TRUE(shows_all(unfolded));
	/* The second of its members, and back again. */
	press("Down Down Enter");
	EXPECT_TRUE(lq_wait_until(shows("process       two  pid 82")));
	press("Escape");
	EXPECT_TRUE(lq_wait_until(shows_lines(5)));
	/* Its mark stays with the group, which is folded again. */
	press("Up Up Enter");
	EXPECT_TRUE(lq_wait_until(shows_lines(2)));
	press("Enter");
	EXPECT_TRUE(lq_wait_until(shows_lines(5)));
	/* It may end meanwhile. */
	change_sample("sockets", "NR == 1 || /7009/");
	EXPECT_TRUE(lq_wait_until(shows("1 listener ") && shows_lines(1)));
	write_group();
	EXPECT_TRUE(lq_wait_until(shows_lines(5)));
	press("g");
	EXPECT_TRUE(lq_wait_until(shows_lines(4)));
	press("q");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	stop(server);
}

/* ---- a copy ---- */

/* All outputs of @from are those of @to. */
static void expect_alike(struct __test_metadata *_metadata, const char *from,
			 const char *to)
{
	static const char * const asked[] = {
		"", "-s local", "-j", "-gj", "-t", "-P 81", "-P two",
	};

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		EXPECT_RUN(DONE, run("for dir in %s %s; do\n"
				     "LC_ALL=C %s --proc $dir %s >$dir.out || exit; done\n"
				     "cmp %s.out %s.out",
				     from, to, tool_path(), asked[i], from, to));
}

/* What is read of a copy is what is read of the original. */
TEST_F(saved, record)
{
	struct stat stat;

	write_group();
	EXPECT_EQ(0, run("set -e; mkdir old; mv [!o]* old; cd old/77;"
			 " ln -s /etc/passwd fd/9; ln -s /bin/false exe; mkdir -p task/78;"
			 " echo '78 (x) S 1' >task/78/stat; echo 0 >task/78/wchan"));
	EXPECT_OUTPUT("new: 4 listeners, 5 processes\n",
		      run("umask 0; %s --proc old record new 2>&1",
			  tool_path()));
	expect_alike(_metadata, "old", "new");
	EXPECT_EQ(0, run("set -e; cd new; cmp 77/stat ../old/77/stat;"
			 " cmp 77/task/78/stat ../old/77/task/78/stat;"
			 " for link in exe fd/9 fd/901; do readlink 77/$link; done"));
	EXPECT_STREQ("/bin/false\nother:\nsocket:[901]\n", output);
	ASSERT_EQ(0, lstat("new", &stat));
	EXPECT_EQ(0700, stat.st_mode & 07777);
	EXPECT_OUTPUT("", run("find new -type f -perm /077; find new -type d -perm /077"));
	EXPECT_OUTPUT("a\\033b: 4 listeners, 5 processes\n",
		      tool("--proc old record \"$(printf 'a\\033b')\""));
	/* And so is a copy of the copy, and what it has of a moment before. */
	EXPECT_EQ(0, run("cp -r new moment && mv moment new/before"));
	EXPECT_RUN(DONE, tool("--proc new record newer"));
	expect_alike(_metadata, "new", "newer");
	expect_alike(_metadata, "new/before", "newer/before");

	/* What is there is left as it is, and so is what a link leads to. */
	EXPECT_EQ(0, run("mkdir empty && ln -s empty link &&\n"
			 "ln -s nowhere dangling && touch file"));
	static const char * const there[] = {
		"new", "empty", "link", "link/", "dangling", "file",
		"nowhere/x", "", "a b",
	};
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		EXPECT_TROUBLE(tool("--proc old record %s", there[i]));
	EXPECT_OUTPUT("", run("ls -A empty nowhere 2>/dev/null | grep -v :; :"));
	EXPECT_TROUBLE(tool("--proc old -j record x"));
	EXPECT_TROUBLE(tool("--proc old -g record x"));
	EXPECT_TROUBLE(tool("--proc old -p 80 record x"));
	EXPECT_TROUBLE(tool("--proc /nowhere record x"));
	EXPECT_OUTPUT("", run("ls -d x 2>/dev/null; :"));
}

/* ---- processes that are there ---- */

LQ_FIXTURE_RELOADS(holders, LQ_SKIP_FOR(enter_folder()));

#define WORKERS	4

/*
 * A master that opens the sockets of a group, and workers of which each keeps one;
 * until they are killed.
 */
struct servers {
	pid_t master;
	pid_t worker[WORKERS];
	int port;
	unsigned long long cookie[WORKERS];
};

static void serve(struct servers *servers, const int fds[WORKERS], int mine)
{
	char name[16];

	snprintf(name, sizeof(name), "worker%d", mine);
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < WORKERS; i++)
		if (i != mine)
			close(fds[i]);
	servers->worker[mine] = getpid();
	for (;;)
		pause();
}

static void open_group(struct servers *servers)
{
	int fds[WORKERS];

	prctl(PR_SET_NAME, "master");
	for (int i = 0; i < WORKERS; i++) {
		fds[i] = lq_bound_shared(AF_INET, "127.0.0.1", servers->port);
		lq_listen(fds[i], 8);
		servers->port = lq_port(fds[i]);
		servers->cookie[i] = lq_cookie(fds[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		if (!lq_fork())
			serve(servers, fds, i);
	for (int i = 0; i < WORKERS; i++)
		if (!lq_wait_until(servers->worker[i]))
			errx(1, "no worker");
}

static void start_servers(struct servers *servers)
{
	servers->master = lq_fork_ready();
	if (!servers->master) {
		open_group(servers);
		lq_stay();
	}
}

/* Each row of a group has its own worker, and the caller is one more. */
TEST_F(holders, workers_of_a_group)
{
	struct servers *servers = lq_shared(sizeof(*servers));
	char text[64];

	start_servers(servers);
	EXPECT_RUN(DONE, tool("-j"));
	for (int i = 0; i < WORKERS; i++) {
		const char *line;

		snprintf(text, sizeof(text), "\"cookie\": \"%llx\"",
			 servers->cookie[i]);
		line = line_with(text);
		EXPECT_TRUE(line_has(line, "\"pid\": %d, \"comm\": \"master\", \"asked\"",
				     servers->master));
		EXPECT_TRUE(says("\"holder_searched\": true, "));
		EXPECT_TRUE(line_has(line,
				     "\"holder\": {\"pid\": %d, \"comm\": \"worker%d\", \"others\": 1}",
				servers->worker[i], i));
		EXPECT_TRUE(line_has(line, "[{\"pid\": %d, \"comm\": \"worker%d\"}, {\"pid\": %d, ",
				     servers->worker[i], i, servers->master));
	}
	for (int i = 0; i < WORKERS; i++) {
		EXPECT_RUN(DONE, tool("-P %d", servers->worker[i]));
		EXPECT_EQ(2, lines(output));
		snprintf(text, sizeof(text), " worker%d ", i);
		EXPECT_TRUE(says(text));
	}
	EXPECT_RUN(DONE, tool("-P %d", servers->master));
	EXPECT_EQ(1 + WORKERS, lines(output));
	EXPECT_RUN(DONE, tool("-P orker2"));
	EXPECT_EQ(2, lines(output));
	EXPECT_RUN(DONE, tool("-gj"));
	EXPECT_EQ(3, lines(output));
	EXPECT_TRUE(says("\"members\": 4, \"acceptq\": 0, "));

	/* A copy outlives them: the same processes, in the same order. */
	EXPECT_RUN(DONE, tool("-j -s local | grep -o '\"holder_searched.*\"waits' >live"));
	EXPECT_SAYS("copy: 4 listeners, 5 processes", tool("record copy"));
	EXPECT_EQ(NULL, strstr(output, "left out"));
	for (int i = 0; i < WORKERS; i++) {
		EXPECT_EQ(0, run("set -e; cd copy/%d\n"
				 "for name in limits status cgroup task/%d/wchan; do\n"
				 "[ -s $name ]; done; grep -q 'S %d ' stat",
				 servers->worker[i], servers->worker[i],
				 servers->master));
	}
	lq_kill(servers->master);
	EXPECT_OUTPUT("", tool("--proc copy -j -s local | grep -o '\"holder_searched.*\"waits' |\n"
			       "cmp - live"));
	EXPECT_SAYS("4096\n", run("cat copy/sys/net/core/somaxconn"));
	/* Two moments, so that rates can be told. */
	EXPECT_RUN(DONE, tool("--proc copy explain -j"));
	EXPECT_FALSE(says("one-look"));
	EXPECT_EQ(0, run("rm -r copy/before"));
	EXPECT_RUN(DONE, tool("--proc copy explain -j"));
	EXPECT_TRUE(says("one-look"));
}

/* Who called listen() has ended; the one that has the socket is found by its number. */
TEST_F(holders, of_a_caller_that_has_ended)
{
	int *port = lq_shared(sizeof(*port)), fd;
	pid_t worker = lq_fork_ready(), caller;

	if (!worker) {
		prctl(PR_SET_NAME, "heir");
		fd = lq_bound_loopback(AF_INET);
		caller = lq_fork();
		if (!caller) {
			lq_listen(fd, 3);
			_exit(0);
		}
		if (lq_reap(caller))
			errx(1, "listen()");
		*port = lq_port(fd);
		lq_stay();
	}
	EXPECT_RUN(DONE, tool("-P %d", worker));
	EXPECT_EQ(2, lines(output));
	EXPECT_TRUE(says(" heir "));
	EXPECT_RUN(DONE, tool("-p %d -P heir -j", *port));
	EXPECT_TRUE(line_has(output, "\"holders\": [{\"pid\": %d, \"comm\": \"heir\"}]",
			     worker));
	lq_kill(worker);
}

/* Who was turned away by a worker's socket. */
TEST_F(holders, log)
{
	int full = full_listener(1);
	pid_t worker = lq_fork_ready();

	if (!worker) {
		prctl(PR_SET_NAME, "worker");
		lq_stay();
	}
	EXPECT_RUN(DONE, tool("log -j -P %d", worker));
	EXPECT_LT(0, lines(output));
	EXPECT_TRUE(says(lq_cookie_str(full)));
	EXPECT_RUN(DONE, tool("log -j -P worker"));
	EXPECT_LT(0, lines(output));
	lq_kill(worker);
	EXPECT_OUTPUT("", tool("log -j -P %d", worker));
}

/* On its way between two processes: its caller is there, and can't accept. */
TEST_F(holders, nobody)
{
	int fd = lq_listener(AF_INET, 4), pair[2], port = lq_port(fd);
	char name[16];
	pid_t child;

	prctl(PR_GET_NAME, name);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	lq_send_away(pair[0], fd);
	EXPECT_SAYS(name, tool("-p %d", port));
	close(fd);
	EXPECT_SAYS(" nobody ", tool("-p %d", port));
	EXPECT_RUN(DONE, tool("-j -p %d", port));
	EXPECT_TRUE(line_has(output, "\"pid\": %d, ", getpid()));
	EXPECT_TRUE(says("\"holder_searched\": true, \"holder\": null, "));
	EXPECT_TRUE(says("\"holders\": []"));
	/* Who called listen() finds it still. */
	EXPECT_SAYS(" nobody ", tool("-P %d", getpid()));

	/* Who may not look at all processes can't say so. */
	child = lq_fork();
	if (!child) {
		lq_become_user(12361);
		_exit(tool("-p %d", port) == DONE && !strstr(output, "nobody") &&
		      lines(output) == 2 ? 0 : 1);
	}
	EXPECT_EQ(0, lq_reap(child));
	close(pair[0]);
	close(pair[1]);
}

TEST_HARNESS_MAIN
