// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq log: who was turned away, as files say that a module could write, and
 * as the module does; who is, while such a file grows; and the same in the live
 * view.
 */

#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <time.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "terminal.h"
#include "tool.h"

#define OTHER_UID	12361

/* ---- a folder that looks like /proc ---- */

#define REFUSED		"net/listenq/refused"
#define HEADER \
	"ago_ms local remote why limit acceptq synq cookie comm number\n"

/* Three clients, and what is known of a fourth. */
#define SAMPLE \
	"60000 0.0.0.0:8080  203.0.113.7:40122      acceptq-syn 128 129 3 2a nginx 15\n" \
	"1500  0.0.0.0:8080  203.0.113.250:9        acceptq-syn 128 129 4 2a nginx 17\n" \
	"881   [::]:443      [::ffff:10.0.0.7]:1999 acceptq-ack 16  17  5 a1 -     16\n" \
	"10    -             -                      closed      -   -   - -  -     18\n"

/* Whole at each moment, like the kernel's. */
static void write_refused(const char *header, const char *rows)
{
	FILE *file = fopen("new", "w");

	if (!file || fputs(header, file) < 0 || fputs(rows, file) < 0 ||
	    fclose(file) || rename("new", REFUSED))
		err(1, REFUSED);
}

/* A refusal at port 8080 for each of these numbers; the last one is 0. */
static void write_numbers(int number, ...)
{
	char rows[4096] = "";
	size_t length = 0;
	va_list args;

	va_start(args, number);
	for (; number; number = va_arg(args, int))
		length += sprintf(rows + length,
				  "10 0.0.0.0:8080 10.0.0.1:%d acceptq-syn 8 9 0 2a nginx %d\n",
				  number, number);
	va_end(args);
	write_refused(HEADER, rows);
}

/* What log prints, each time of day alike. */
#define untimed(format, ...)						\
	run("LC_ALL=C %s log --proc . " format " 2>err |"		\
	    " sed -E 's/[0-9]{2}-[0-9]{2} [0-9:.]{12}/mm-dd hh:mm:ss.000/'",	\
	    tool_path(), ##__VA_ARGS__)

#define AT_TITLE	"TIME               "
#define AT		"mm-dd hh:mm:ss.000 "

static bool has(const char *path, const char *text)
{
	return !run("cat %s 2>&1", path) && strstr(output, text);
}

/* `listenq log @arguments`, whose output goes to the files out and err. */
static pid_t begin(const char *arguments)
{
	pid_t pid = lq_fork();
	char line[256];

	if (!pid) {
		snprintf(line, sizeof(line), "exec %s log %s >out 2>err",
			 tool_path(), arguments);
		setenv("LC_ALL", "C", 1);
		execl("/bin/sh", "sh", "-c", line, NULL);
		err(1, "sh");
	}
	return pid;
}

/* How many lines of JSON it has written, and how many it says that it missed. */
static int shown(void)
{
	return has("out", "") ? lines(output) : -1;
}

static int lost(void)
{
	return run("awk '/ missed/ { sum += $2 } END { print sum + 0 }' err") ?
	       -1 : atoi(output);
}

/* Its status, as a shell has it. */
static int interrupt(pid_t pid, int signal)
{
	int status;

	kill(pid, signal);
	status = lq_reap(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

FIXTURE(log)
{
};

FIXTURE_SETUP(log)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	setenv("TZ", "UTC", 1);
	write_refused(HEADER, SAMPLE);
}

FIXTURE_TEARDOWN(log)
{
	run("ip netns delete lqlog 2>/dev/null; rm -rf %s", folder);
}

/* ---- what there is ---- */

TEST_F(log, rows)
{
	static const char rows[] =
	AT_TITLE "LOCAL        CLIENT                 WHY         LIMIT ACCEPTQ SYNQ PROCESS\n"
	AT "0.0.0.0:8080 203.0.113.7:40122      acceptq-syn   128     129    3 nginx\n"
	AT "0.0.0.0:8080 203.0.113.250:9        acceptq-syn   128     129    4 nginx\n"
	AT "[::]:443     [::ffff:10.0.0.7]:1999 acceptq-ack    16      17    5 -\n"
	AT "-            -                      closed          -       -    - -\n";

	EXPECT_OUTPUT(rows, untimed(""));
	EXPECT_OUTPUT("", run("cat err"));

	/* More columns, and in another order. */
	EXPECT_EQ(0, run("awk '{ print $10, $1, \"new\" NR, $3, $2, $4, $9, $8 }' "
			 REFUSED " >x && mv x " REFUSED));
	EXPECT_SAYS(AT "0.0.0.0:8080 203.0.113.250:9        acceptq-syn     -       -    - nginx\n",
		    untimed(""));
	EXPECT_SAYS("\"new1\": \"new3\"", tool("log -j --proc ."));
}

/* The time of day is that of the refusal. */
TEST_F(log, times)
{
	long long before = time(NULL), when;
	char *at;
	struct tm tm = { };

	EXPECT_RUN(DONE, tool("log -j --proc ."));
	at = strstr(output, "\"time\": \"");
	ASSERT_NE(NULL, at);
	at = strptime(at + strlen("\"time\": \""), "%Y-%m-%dT%H:%M:%S.", &tm);
	ASSERT_NE(NULL, at);
	EXPECT_EQ('Z', at[3]);
	when = timegm(&tm);
	EXPECT_LE(before - 61, when);
	EXPECT_GE(time(NULL) - 60, when);

	/* Of files that were saved, since they were. */
	date_sample(REFUSED);
	EXPECT_SAYS("\"time\": \"2020-02-03T04:04:0", tool("--proc . log -j"));
	EXPECT_EQ(0, run("touch " REFUSED));

	/* In local time for people. */
	EXPECT_RUN(DONE, run("TZ=XXX-3 %s log --proc .", tool_path()));
	at = strchr(output, '\n');
	ASSERT_NE(NULL, at);
	tm.tm_hour += 3;
	when = timegm(&tm);
	ASSERT_NE(NULL, strptime(at + 1, "%m-%d %H:%M:%S.", &tm));
	EXPECT_LE(when - 1, timegm(&tm));
	EXPECT_GE(when + 60, timegm(&tm));

	/* What nobody can have seen is not known. */
	write_refused(HEADER, "2305843009213693951 - - closed - - - - - 1\n");
	EXPECT_SAYS("\n-    -     -      closed ", untimed(""));
	EXPECT_SAYS("\"time\": null, \"ago_ms\": 2305843009213693951, ",
		    tool("log --proc . -j"));
	write_refused(HEADER, "- - - closed - - - - - 1\n");
	EXPECT_SAYS("\"time\": null, \"ago_ms\": null, ",
		    tool("log --proc . -j"));
}

/* A line for each, with every cell of the file under its name. */
TEST_F(log, json)
{
	EXPECT_RUN(DONE, tool("log -j --proc ."));
	EXPECT_EQ(4, lines(output));
	EXPECT_TRUE(says("{\"netns\": null, \"time\": \"2"));
	EXPECT_TRUE(says("\", \"ago_ms\": 881, \"local\": \"[::]:443\", \"remote\": \"["));
	EXPECT_TRUE(says(":10.0.0.7]:1999\", \"why\": \"acceptq-ack\", \"limit\": 16, "));
	EXPECT_TRUE(says("\"synq\": 5, \"cookie\": \"a1\", \"comm\": null, \"number\": 16}\n"));
	EXPECT_TRUE(says("\"remote\": null, \"why\": \"closed\", \"limit\": null, "));
	EXPECT_OUTPUT("", tool("log -j --proc . -p 1"));
}

TEST_F(log, filters)
{
	static const struct {
		const char *before, *behind;
		int rows;
	} asked[] = {
		{ "-p 8080", "", 2 }, { "", "-p 8080", 2 }, { "-p 400-500", "", 1 },
		{ "-A 0.0.0.0", "-p 8080", 2 }, { "", "-A ::/0 -p 443", 1 },
		{ "-A ::", "-p 8080", 0 }, { "", "-p 1", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		EXPECT_RUN(DONE, tool("%s --proc . log -j %s", asked[i].before,
				      asked[i].behind));
		EXPECT_EQ(asked[i].rows, lines(output)) {
			TH_LOG("'%s' '%s'", asked[i].before, asked[i].behind);
		}
	}

	/* By the process: its name stands there, all else the listeners know. */
	EXPECT_TROUBLE(tool("log --proc . -P ngin"));
	write_sample();
	EXPECT_RUN(DONE, tool("log --proc . -j -P NGIN"));
	EXPECT_EQ(2, lines(output));
	EXPECT_RUN(DONE, tool("log --proc . -j -P 1"));
	EXPECT_EQ(1, lines(output));
	EXPECT_TRUE(says("\"cookie\": \"a1\""));
	EXPECT_OUTPUT("", tool("log --proc . -j -P 2"));

	/* Who had the socket before the module was there is found by that. */
	change_sample("sockets", "{ sub(/ 901 0 1 all /, \" 901 0 - - \"); print }");
	EXPECT_EQ(0, run("mkdir -p 77/fd && echo holder >77/comm && ln -s 'socket:[901]' 77/fd/3"));
	EXPECT_RUN(DONE, untimed("-P hold"));
	EXPECT_TRUE(says(" acceptq-ack    16      17    5 holder\n"));
	EXPECT_EQ(2, lines(output));
}

TEST_F(log, wrong)
{
	static const char * const wrong[] = {
		"log -r", "log -s local", "log -w", "-m log", "log -t",
		"log -f --top", "-f", "--top", "log log",
		"log clamp", "log -p 0", "log everything", "-f clamp",
		"log -o x", "log --max 1", "log -a -N 1", "log -a --proc .",
		"log -N nope", "log --proc /nowhere",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TROUBLE(run("{ $LISTENQ %s; } 2>&1 </dev/null", wrong[i]));
	/* For monitoring, that is not to know. */
	EXPECT_RUN(NOT_KNOWN, run("$LISTENQ --check log"));
}

/* ---- sums ---- */

TEST_F(log, top)
{
	static const char most[] =
		"{\"netns\": null, \"count\": 2, \"network\": \"10.1.2.0/24\", ";

	write_refused(HEADER,
		      "9 0.0.0.0:80 10.1.2.3:1 acceptq-syn 1 2 0 a old 1\n"
		      "8 0.0.0.0:80 10.1.2.200:1 acceptq-syn 1 2 0 b new 2\n"
		      "8 0.0.0.0:80 10.1.3.3:1 acceptq-syn 1 2 0 a new 3\n"
		      "8 0.0.0.0:80 10.1.2.3:1 synq 1 2 0 a new 4\n"
		      "8 [::]:80 [::ffff:10.1.2.3]:1 acceptq-syn 1 2 0 c new 5\n"
		      "8 [::]:80 [::ffff:10.1.2.4]:1 acceptq-syn 1 2 0 c new 6\n"
		      "8 [::]:80 [::ffff:10.1.2.255]:1 acceptq-syn 1 2 0 c new 7\n"
		      "7 [::]:80 [2001:db8:1:2::1]:1 acceptq-syn 1 2 0 c new 8\n"
		      "7 [::]:80 [2001:db8:1:2:ffff::1]:1 acceptq-syn 1 2 0 c new 9\n"
		      "7 [::]:80 [2001:db8:1:2:ffff::2]:1 acceptq-syn 1 2 0 c new 10\n"
		      "7 [::]:80 [2001:db8:1:2:ffff::3]:1 acceptq-syn 1 2 0 c new 11\n"
		      "6 [::]:80 [2001:db8:1:3::1]:1 acceptq-syn 1 2 0 c new 12\n"
		      "5 [::]:80 [fe80::1%eth0]:1 acceptq-syn 1 2 0 c new 13\n"
		      "4 [::]:80 - closed 1 2 0 c new 14\n");
	EXPECT_OUTPUT("COUNT CLIENTS           WHY         LOCAL      PROCESS LAST\n"
		      "    4 2001:db8:1:2::/64 acceptq-syn [::]:80    new     mm-dd hh:mm:ss.000\n"
		      "    3 10.1.2.0/24       acceptq-syn [::]:80    new     mm-dd hh:mm:ss.000\n"
		      "    2 10.1.2.0/24       acceptq-syn 0.0.0.0:80 new     mm-dd hh:mm:ss.000\n"
		      "    1 -                 closed      [::]:80    new     mm-dd hh:mm:ss.000\n"
		      "    1 fe80::/64         acceptq-syn [::]:80    new     mm-dd hh:mm:ss.000\n"
		      "    1 2001:db8:1:3::/64 acceptq-syn [::]:80    new     mm-dd hh:mm:ss.000\n"
		      "    1 10.1.2.0/24       synq        0.0.0.0:80 new     mm-dd hh:mm:ss.000\n"
		      "    1 10.1.3.0/24       acceptq-syn 0.0.0.0:80 new     mm-dd hh:mm:ss.000\n",
		      untimed("--top"));
	EXPECT_RUN(DONE, tool("log --top -j --proc . -A 0.0.0.0"));
	EXPECT_EQ(3, lines(output));
	EXPECT_EQ(0, strncmp(output, most, strlen(most))) {
		TH_LOG("%s", output);
	}
	EXPECT_TRUE(says("\"synq\", \"local\": \"0.0.0.0:80\", \"comm\": \"new\", \"last\": \"2"));
	EXPECT_SAYS("\"network\": null, \"why\": \"closed\"",
		    tool("log --top -j --proc ."));
	EXPECT_OUTPUT("nobody was turned away\n", tool("log --top -p 1 --proc ."));
	EXPECT_OUTPUT("", tool("log --top -jp 1 --proc ."));

	/* More of them than there are. */
	EXPECT_EQ(0, run("awk -v n=200000 'NR == 2 { while (--n) print } 1' " REFUSED
			 " >x && mv x " REFUSED));
	EXPECT_SAYS("\n200001 10.1.2.0/24 ", tool("log --top -A 0.0.0.0 --proc . -p 80"));
}

/* ---- nobody, nothing, and nobody knows ---- */

TEST_F(log, nobody)
{
	write_refused(HEADER, "");
	EXPECT_OUTPUT("nobody was turned away\n", tool("log --proc ."));
	EXPECT_OUTPUT("", tool("log -j --proc ."));
	write_refused(HEADER, SAMPLE);
	EXPECT_OUTPUT("nobody was turned away\n", tool("log --proc . -p 1"));
}

/* What the module says of itself goes to standard error. */
TEST_F(log, incomplete)
{
	write_refused(HEADER "# incomplete: a hook is silenced\n", "");
	EXPECT_OUTPUT("listenq: incomplete: a hook is silenced\n"
		      "nobody was turned away\n",
		      tool("log --proc ."));
	write_refused(HEADER,
		      SAMPLE "# incomplete: a hook is silenced\n"
		      "# incomplete: no room for 5\n");
	EXPECT_RUN(DONE, untimed("-j"));
	EXPECT_EQ(4, lines(output));
	EXPECT_TRUE(has("err", "listenq: incomplete: a hook is silenced\n"));
	EXPECT_TRUE(has("err", "listenq: incomplete: no room for 5\n"));
	EXPECT_EQ(2, lines(output));
	write_refused("# incomplete\n" HEADER, SAMPLE);
	EXPECT_SAYS("listenq: incomplete\nCOUNT ", tool("log --top --proc ."));

	/* It is no more than a line, and nothing that a terminal obeys. */
	write_refused(HEADER, "# \033[2J\n");
	EXPECT_TROUBLE(tool("log --proc ."));
	write_refused(HEADER, "# cut");
	EXPECT_TROUBLE(tool("log --proc ."));
	write_refused("# all\n", "");
	EXPECT_TROUBLE(tool("log --proc ."));
	write_refused(HEADER, "");
	EXPECT_EQ(0, run("{ printf '# '; head -c 100000 /dev/zero | tr '\\0' x; echo; } >>"
			 REFUSED));
	EXPECT_RUN(DONE, tool("log --proc ."));
	EXPECT_EQ(2, lines(output));
	EXPECT_GE(400, strlen(output));
}

/* An older module has no such file, and who is not root may not read it. */
TEST_F(log, absent)
{
	pid_t child;

	ASSERT_EQ(0, unlink(REFUSED));
	EXPECT_TROUBLE(tool("log --proc ."));
	write_sample();
	EXPECT_TROUBLE(tool("log --proc ."));
	EXPECT_TRUE(says("older than listenq log"));
	EXPECT_TROUBLE(tool("log -f --proc ."));

	write_refused(HEADER, SAMPLE);
	ASSERT_EQ(0, run("chmod 755 . && chmod 400 " REFUSED));
	child = lq_fork();
	if (!child) {
		lq_become_user(OTHER_UID);
		_exit(tool("log --proc .") == TROUBLE && is_complaint() &&
		      says("only root") && says("CAP_NET_ADMIN") &&
		      tool("--proc .") == DONE ? 0 : 1);
	}
	EXPECT_EQ(0, lq_reap(child));
}

/* ---- input that nobody promised ---- */

TEST_F(log, hostile)
{
	static const char * const bad[] = {
		"-1 - - x - - - - - 1\n", "1 - - x - - - - - 0\n",
		"1 - - x - - - - - -1\n", "1 - - x 99999999999 - - - - 1\n",
		"9223372036854775807 - - x - - - - - 1\n",
		"1 - - x - - - - - 9223372036854775807\n",
		"1 here - x - - - - - 1\n", "1 - there x - - - - - 1\n",
		"1 - 1.2.3.4 x - - - - - 1\n", "1 - 1.2.3.256:1 x - - - - - 1\n",
		"1 - 1.2.3.4:65536 x - - - - - 1\n", "1 - [::1:1 x - - - - - 1\n",
		"1 - [::1]:\033[2J x - - - - - 1\n", "1 - - x - - - - \033]0;\a 1\n",
		"1 - - \xe2\x96\x88 - - - - - 1\n", "1 - - x - - - - - 1 1\n",
		"1 - - x - - - - 1\n", "\n", "1 - - x - - - - - 1", "1",
		"1 - [1111:2222:3333:4444:5555:6666:7777:8888:9999:1]:1 x - - - - - 1\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_refused(HEADER, bad[i]);
		EXPECT_TROUBLE(tool("log --proc ."));
	}
	write_refused("ago_ms remote why number\n", "1 - x 1\n");
	EXPECT_TROUBLE(tool("log --proc ."));
	write_refused("local remote why\n", "- - x\n");
	EXPECT_TROUBLE(tool("log --proc ."));

	/* What the kernel has escaped stays so, however long it is. */
	write_refused(HEADER, "1 0.0.0.0:80 1.2.3.4:5 \\033[31m 1 2 3 a \\033]0;x\\007 1\n");
	EXPECT_RUN(DONE, tool("log --proc ."));
	EXPECT_TRUE(says(" \\033[31m "));
	EXPECT_TRUE(says(" \\033]0;x\\007\n"));
	EXPECT_SAYS("\"comm\": \"\\\\033]0;x\\\\007\"", tool("log -j --proc ."));
	run("head -c 100000 /dev/zero | tr '\\0' x >name");
	ASSERT_EQ(0, run("awk 'NR > 1 { getline $4 <\"name\"; $9 = $4 } 1' "
			 REFUSED " >x && mv x " REFUSED));
	EXPECT_RUN(DONE, tool("log --proc ."));
	EXPECT_GE(1000, strlen(output));
	EXPECT_RUN(DONE, tool("log --top --proc ."));
	EXPECT_GE(1000, strlen(output));

	/* A number twice, and the largest that there is. */
	write_refused(HEADER,
		      "1 - - x - - - - - 7\n1 - - x - - - - - 7\n"
		      "1 - - x - - - - - 2305843009213693951\n");
	EXPECT_RUN(DONE, tool("log --proc . -j"));
	EXPECT_EQ(3, lines(output));
}

/* It takes its time where processors are emulated. */
TEST_F_TIMEOUT(log, valgrind, 400)
{
	static const char * const arguments[] = { "-P 1", "--top -j" };
	pid_t pid;
	int status;

	if (!have("valgrind"))
		SKIP(return, "no valgrind");
	write_sample();
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
		EXPECT_RUN(DONE, run(VALGRIND " %s log --proc . %s 2>&1",
				     plain_path(), arguments[i]));

	pid = lq_fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c",
		      "exec " VALGRIND " $LISTENQ_PLAIN log -f --proc . >out 2>err",
		      NULL);
		err(1, "sh");
	}
	EXPECT_TRUE(lq_wait_until(has("out", " 203.0.113.7:40122 ")));
	write_numbers(17, 18, 300, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:300 ")));
	write_numbers(1, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:1 ")));
	status = interrupt(pid, SIGINT);
	EXPECT_EQ(DONE, status) {
		run("cat err");
		TH_LOG("%s", output);
	}
}

/* ---- what comes ---- */

/* Each is shown once, and what nobody could see is said. */
TEST_F(log, follow)
{
	pid_t pid;

	write_refused(HEADER, "");
	pid = begin("-f --proc .");
	EXPECT_TRUE(lq_wait_until(has("out", "nobody was turned away yet\n")));
	write_numbers(1, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:1 ")));
	write_numbers(1, 2, 3, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:3 ")));
	/* In the order of the file, that of time. */
	write_numbers(1, 2, 3, 5, 4, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:4 ")));
	EXPECT_OUTPUT("1\n2\n3\n5\n4\n",
		      run("sed -n 's/.* 10.0.0.1:\\([0-9]*\\) .*/\\1/p' out"));
	EXPECT_OUTPUT("", run("cat err"));

	/* 6 to 16 have come and gone; so has 18, which may yet come at first. */
	write_numbers(17, 19, 0);
	EXPECT_TRUE(lq_wait_until(has("err", "listenq: 11 missed: ")));
	EXPECT_TRUE(lq_wait_until(has("err", "listenq: 1 missed: ")));
	EXPECT_TRUE(has("out", " 10.0.0.1:19 "));
	write_numbers(17, 19, 20, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:20 ")));
	EXPECT_EQ(2, has("err", "") ? lines(output) : -1);

	EXPECT_EQ(DONE, interrupt(pid, SIGINT));
	EXPECT_OUTPUT("10\n", run("sort -u out | wc -l"));
	EXPECT_OUTPUT("10\n", run("wc -l <out"));
}

/*
 * What gets there a moment after the next number is not lost; where that moment
 * was a long one, since nobody let this test run, it counts as missed.
 */
TEST_F(log, late)
{
	char text[32];
	pid_t pid;

	write_numbers(1, 0);
	pid = begin("-fj --proc .");
	EXPECT_TRUE(lq_wait_until(has("out", "\"number\": 1}")));
	for (int i = 2; i < 22; i += 2) {
		write_numbers(i - 1, i + 1, 0);
		usleep(30000);
		write_numbers(i - 1, i, i + 1, 0);
		snprintf(text, sizeof(text), "\"number\": %d}", i + 1);
		EXPECT_TRUE(lq_wait_until(has("out", text)));
	}
	write_numbers(21, 22, 23, 0);
	EXPECT_TRUE(lq_wait_until(has("out", "\"number\": 23}")));
	EXPECT_EQ(DONE, interrupt(pid, SIGTERM));
	EXPECT_EQ(23, shown() + lost());
	EXPECT_LT(13, shown());
	EXPECT_OUTPUT("", run("sort out | uniq -d"));
}

/* The filters hold for what comes as well; the format is that of the rest. */
TEST_F(log, follow_filtered)
{
	pid_t pid;

	write_sample();
	pid = begin("-f -j -P 1 --proc .");
	EXPECT_TRUE(lq_wait_until(has("out", "\"number\": 16}")));
	write_refused(HEADER, SAMPLE
		      "9 [::]:443 [::1]:7 synq 16 17 5 a1 - 19\n"
		      "9 [::]:444 [::1]:7 synq 16 17 5 ff - 20\n"
		      "9 [::]:443 [::1]:7 closed 16 17 5 a1 - 21\n"
		      "# incomplete: this and that\n");
	EXPECT_TRUE(lq_wait_until(has("out", "\"number\": 21}")));
	EXPECT_EQ(DONE, interrupt(pid, SIGINT));
	EXPECT_EQ(3, has("out", "") ? lines(output) : -1);
	EXPECT_OUTPUT("listenq: incomplete: this and that\n", run("cat err"));
}

/* The module goes and comes: numbers begin with 1 again. */
TEST_F(log, anew)
{
	pid_t pid;

	write_numbers(7, 8, 9, 0);
	pid = begin("-f --proc .");
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:9 ")));
	write_numbers(1, 2, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:2 ")));
	EXPECT_TRUE(has("err", "listenq: the module was loaded anew"));
	EXPECT_EQ(1, lines(output));

	ASSERT_EQ(0, unlink(REFUSED));
	EXPECT_TRUE(lq_wait_until(has("err", "No such file")));
	/* Once, however long that takes. */
	usleep(1200000);
	EXPECT_TRUE(has("err", "listenq: "));
	EXPECT_EQ(2, lines(output));
	write_numbers(1, 2, 3, 0);
	EXPECT_TRUE(lq_wait_until(has("out", " 10.0.0.1:3 ")));
	EXPECT_TRUE(has("err", "listenq: the module is there again\n"));
	EXPECT_EQ(3, lines(output));
	EXPECT_EQ(DONE, interrupt(pid, SIGINT));
	EXPECT_OUTPUT("2\n", run("grep -c ' 10.0.0.1:1 ' out"));
}

/* Nobody reads it any more: it ends, though nothing comes. */
TEST_F(log, closed_pipe)
{
	EXPECT_OUTPUT("TIME\n",
		      run("timeout 30 $LISTENQ log -f --proc . 2>&1 | head -n 1 | cut -c -4"));
	EXPECT_EQ(0, run("{ timeout 30 %s log -f --proc . 2>&1; echo $? >status; } | sleep 1",
			 tool_path()));
	EXPECT_OUTPUT("0\n", run("cat status"));
	if (!access("/dev/full", W_OK)) {
		EXPECT_TROUBLE(run("$LISTENQ log --proc . 2>&1 >/dev/full"));
		EXPECT_TROUBLE(run("$LISTENQ log -f --proc . 2>&1 >/dev/full"));
	}
}

/* ---- the live view ---- */

#define DETAIL_ROW(ago, number)						\
	#ago " 127.0.0.1:7001 192.0.2." #number ":" #number		\
	" acceptq-syn 8 9 5 a1 all " #number "\n"

TEST_F_TIMEOUT(log, detail, 200)
{
	static const char * const latest[] = {
		"turned away    1.0s ago  closed       [2001:db8::7]:7  acceptq 9  synq 5",
		"               2.0s ago  acceptq-syn  192.0.2.12:12  acceptq 9  synq 5  limit 8\n",
		"                10s ago  acceptq-syn  192.0.2.4:4  acceptq 9",
		"from          192.0.2.0/24 12  2001:db8::/64 1\n",
		"waits         136 accepted",
		"!192.0.2.3:3", "!198.51.100", NULL
	};
	static const char * const few[] = {
		"listenq  3 listeners", "turned away    1.0s ago  closed",
		"from          192.0.2.0/24 12", "handshakes ", "more ",
		"!192.0.2.4:4", NULL
	};
	static const char * const other[] = {
		"synq         198.51.100.1:1",
		"from          198.51.100.0/24 1\n", NULL
	};
	static const char * const nobody[] = {
		"handshakes    not known", "!turned away", NULL
	};
	static const char * const unknown[] = {
		"waits         136 accepted", "!turned away", NULL
	};
	char arguments[64];
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	write_sample();
	write_refused(HEADER,
		      DETAIL_ROW(13000, 1) DETAIL_ROW(12000, 2)
		      DETAIL_ROW(11000, 3) DETAIL_ROW(10000, 4)
		      DETAIL_ROW(9000, 5) DETAIL_ROW(8000, 6)
		      DETAIL_ROW(7000, 7) DETAIL_ROW(6000, 8)
		      DETAIL_ROW(5000, 9) DETAIL_ROW(4000, 10)
		      DETAIL_ROW(3000, 11) DETAIL_ROW(2000, 12)
		      "1500 127.0.0.1:7002 198.51.100.1:1 synq 8 9 5 b2 idle 13\n"
		      "1000 127.0.0.1:7001 [2001:db8::7]:7 closed 8 9 5 a1 all 14\n");
	snprintf(arguments, sizeof(arguments), "--proc %s -s local -w 0.2",
		 folder);
	server = start("LC_ALL=C.UTF-8", arguments);
	ASSERT_TRUE(lq_wait_until(shows("3 listeners")));
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 60"));
	press("Home Enter");
	EXPECT_TRUE(shows_all(latest));
	/* Where there is less room, the latest are left, and the histograms. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 32"));
	EXPECT_TRUE(shows_all(few));
	for (int width = 1; width < 80; width += 11) {
		ASSERT_EQ(0, terminal("resize-window -t lq -x %d -y %d", width,
				      width % 30 + 1));
		EXPECT_TRUE(lq_wait_until(!terminal("display -p -t lq '#{window_width}'") &&
					  atoi(output) == width));
	}
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 60"));
	EXPECT_TRUE(shows_all(latest));

	/* Of another one; of one that turned nobody away; and of nobody. */
	press("Escape Down Enter");
	EXPECT_TRUE(shows_all(other));
	press("Escape Down Enter");
	EXPECT_TRUE(shows_all(nobody));
	ASSERT_EQ(0, unlink(REFUSED));
	press("Escape Home Enter");
	EXPECT_TRUE(shows_all(unknown));
	press("q");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	stop(server);
}

/* ---- the module's own file ---- */

LQ_FIXTURE_RELOADS(real, LQ_SKIP_FOR(enter_folder()); setenv("TZ", "UTC", 1));

/* Who was turned away is the client that the test knows of. */
TEST_F(real, client)
{
	int fd = full_listener(2), other = full_listener(1);
	char text[256];

	EXPECT_RUN(DONE, tool("log -j -p %d", lq_port(fd)));
	EXPECT_LE(1, lines(output));
	snprintf(text, sizeof(text), ", \"local\": \"%s\", \"remote\": \"127.0.0.1:",
		 lq_local(fd));
	EXPECT_TRUE(says(text));
	snprintf(text, sizeof(text),
		 ", \"synq\": 0, \"cookie\": \"%s\", \"comm\": \"log\", \"number\": 1}",
		 lq_cookie_str(fd));
	EXPECT_TRUE(says(text));
	EXPECT_TRUE(says(", \"why\": \"acceptq-syn\", \"limit\": 2, \"acceptq\": 3, "));
	EXPECT_SAYS(text, tool("log -j -P %d", getpid()));
	snprintf(text, sizeof(text), " 127.0.0.0/24 acceptq-syn %s log ",
		 lq_local(other));
	EXPECT_SAYS(text, tool("log --top"));
	EXPECT_OUTPUT("nobody was turned away\n", tool("log -P nobody"));

	/* The kernel resets those who wait when the listener closes. */
	close(fd);
	EXPECT_TRUE(lq_wait_until(tool("log --top") == DONE &&
				  strstr(output, "    3 127.0.0.0/24 closed ")));
}

TEST_F(real, namespaces)
{
	char text[64];
	pid_t child;
	int fd;

	child = lq_fork_ready();
	if (!child) {
		lq_new_netns();
		full_listener(1);
		lq_stay();
	}
	ASSERT_EQ(0, run("ip netns attach lqlog %d", child));
	fd = full_listener(1);
	EXPECT_RUN(DONE, tool("-a log"));
	EXPECT_TRUE(says("NETNS"));
	EXPECT_TRUE(says(" lqlog "));
	snprintf(text, sizeof(text), " %d ", getpid());
	EXPECT_TRUE(says(text));
	EXPECT_SAYS("{\"netns\": \"lqlog\", ", tool("log -N lqlog -j"));
	EXPECT_RUN(DONE, tool("log -N lqlog"));
	EXPECT_EQ(NULL, strstr(output, "NETNS"));
	EXPECT_EQ(NULL, strstr(output, lq_local(fd)));
	lq_kill(child);

	/* Those who may not are told what it takes. */
	for (int user = 0; user < 2; user++) {
		child = lq_fork();
		if (!child) {
			if (user)
				lq_become_user(OTHER_UID);
			else
				lq_drop_net_admin();
			prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN);
			_exit(tool("log") == TROUBLE && is_complaint() &&
			      says("only root") && says("CAP_NET_ADMIN") ?
			      0 : 1);
		}
		EXPECT_EQ(0, lq_reap(child));
	}
}

/* So many at once that the file can't hold them: each is shown, or missed. */
TEST_F(real, flood)
{
	int count = lq_scaled(5000), port;
	char text[32];
	long long all;
	pid_t pid;
	int fd;

	lq_dummy_up();
	fd = lq_listener_any(AF_INET, 1);
	port = lq_port(fd);
	lq_enqueue(fd);
	lq_enqueue(fd);
	lq_send_syns(AF_INET, port, 0, 1);
	pid = begin("-fj");
	EXPECT_TRUE(lq_wait_until(has("out", "\"number\": 1}")));
	lq_send_syns(AF_INET, port, 1, count);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "overflows") > count));
	all = lq_num(fd, "overflows");
	snprintf(text, sizeof(text), "\"number\": %lld}", all);
	EXPECT_TRUE(lq_wait_until(has("out", text)));
	EXPECT_TRUE(lq_wait_until(shown() + lost() >= all));
	EXPECT_EQ(all, shown() + lost());
	EXPECT_OUTPUT("", run("grep -o '\"number\".*' out | sort | uniq -d"));
	EXPECT_EQ(DONE, interrupt(pid, SIGINT));
}

/* It waits for the module, and goes on. */
TEST_F(real, reload)
{
	pid_t pid;
	int fd;

	full_listener(1);
	pid = begin("-f");
	EXPECT_TRUE(lq_wait_until(has("out", " acceptq-syn ")));
	ASSERT_EQ(0, lq_unload());
	EXPECT_TRUE(lq_wait_until(has("err", "the module is not loaded")));
	ASSERT_EQ(0, lq_load());
	EXPECT_TRUE(lq_wait_until(has("err", "the module is there again")));
	fd = full_listener(1);
	EXPECT_TRUE(lq_wait_until(has("out", lq_local(fd))));
	EXPECT_EQ(DONE, interrupt(pid, SIGINT));
}

TEST_HARNESS_MAIN
