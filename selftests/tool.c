// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq(8) as its users see it: what it prints of real listeners, held
 * against ss and the files; the live view, driven through tmux; and input that
 * is cut short, malformed or enormous, made from a real file, under valgrind
 * where that is there.
 */

#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "terminal.h"
#include "tool.h"

#define OTHER_UID	12360

/* Many screens, each of which takes a while where processors are emulated. */
#define DETAIL_TIMEOUT	200

/* The line of the output that begins with @start, without its end. */
static const char *line_of(const char *start)
{
	static char line[4096];
	const char *at = output;

	while (at && strncmp(at, start, strlen(start)))
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	if (!at || !*at)
		return "";
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

/* The same of one that has @what anywhere, and a blank behind it. */
static const char *row_of(const char *what)
{
	static char row[4096];
	const char *at = output;
	size_t length;

	for (; *at; at += length + (at[length] == '\n')) {
		char *found;

		length = strcspn(at, "\n");
		snprintf(row, sizeof(row), "%.*s", (int)length, at);
		found = strstr(row, what);
		if (found && found[strlen(what)] == ' ')
			return row;
	}
	return "";
}

/* The row below the header, which has @header, has @what. */
static bool is_first_below(const char *header, const char *what)
{
	const char *row = strstr(output, header), *at;

	row = row ? strchr(row, '\n') : NULL;
	at = row ? strstr(row + 1, what) : NULL;
	return at && !memchr(row + 1, '\n', at - row - 1);
}

static bool is_first(const char *what)
{
	return is_first_below("", what);
}

/* What the tool is asked for is there, in so many lines. */
#define EXPECT_LINES(count, ran)					\
do {									\
	EXPECT_RUN(DONE, ran);						\
	EXPECT_EQ(count, lines(output));				\
} while (0)

/* How long the longest line is. */
static size_t widest(const char *text)
{
	size_t most = 0, length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (length > most)
			most = length;
	}
	return most;
}

/* The @number-th word of @line, from 0. */
static const char *word(const char *line, int number)
{
	static char words[8][64];
	static int next;
	char *to = words[next++ % 8];

	*to = '\0';
	for (; *line; line += strcspn(line, " ")) {
		line += strspn(line, " ");
		if (!number--) {
			snprintf(to, sizeof(words[0]), "%.*s",
				 (int)strcspn(line, " "), line);
			break;
		}
	}
	return to;
}

/* What @row has below a title of the output, where the SYN queue has no bar. */
static const char *under(const char *title, const char *row)
{
	int at, bar = 0;

	for (at = 0; strcmp(word(output, at), title); at++) {
		if (!*word(output, at))
			return "";
		bar |= !strcmp(word(output, at), "ACCEPTQ");
	}
	return word(row, at + bar);
}

/* ---- a folder that looks like /proc ---- */

#define SOCKETS		"net/listenq/sockets"

static void write_sockets(const char *text, size_t length)
{
	int fd;

	unlink(SOCKETS);
	fd = open(SOCKETS, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || lq_write(fd, text, length))
		err(1, SOCKETS);
	close(fd);
}

static char *read_sockets(size_t *length)
{
	if (run("cat " LQ_SOCKETS))
		errx(1, "no " LQ_SOCKETS);
	*length = strlen(output);
	return strdup(output);
}

FIXTURE(tool)
{
};

FIXTURE_SETUP(tool)
{
	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder());
}

FIXTURE_TEARDOWN(tool)
{
	run("ip netns delete lqother 2>/dev/null; ip netns delete lqtool 2>/dev/null; rm -rf %s",
	    folder);
}

/* ---- the outputs ---- */

/* Each figure is ss' or the file's; the fullest stands first. */
TEST_F(tool, table)
{
	int empty = lq_listener(AF_INET, 100000);
	int ruled = lq_listener(AF_INET, 5);
	int full = full_listener(2);
	long long before, after;
	char rule[64];
	struct lq_ss ss;
	const char *row;
	int at;

	ASSERT_EQ(0, lq_clampf("%d floor 300", lq_port(ruled)));
	lq_enqueue(ruled);
	before = lq_num(full, "overflows");
	ASSERT_EQ(DONE, tool(""));
	after = lq_num(full, "overflows");
	ASSERT_TRUE(lq_ss(full, &ss));

	EXPECT_EQ(4, lines(output));
	EXPECT_GE(80, widest(output));
	/* Before it are more where there is room for them. */
	for (at = 0; at < 8 && strcmp("ACCEPTQ", word(output, at)); at++)
		;
	EXPECT_TRUE(says("SYNQ"));
	EXPECT_TRUE(is_first(lq_local(full)));
	row = row_of(lq_local(full));
	EXPECT_NE(NULL, strstr(row, " tool "));
	/* A full bar, and what is behind it. */
	EXPECT_LT(0, strlen(word(row, at)));
	EXPECT_EQ(strlen(word(row, at)), strspn(word(row, at), "#"));
	EXPECT_EQ(ss.recvq, atoll(word(row, at + 1)));
	EXPECT_EQ(lq_num(full, "acceptq_peak_1m"), atoll(under("1MIN", row)));
	EXPECT_NE(NULL, strchr(under("OLDEST", row), 's'));
	EXPECT_LE(before, atoll(under("OVF", row)));
	EXPECT_GE(after, atoll(under("OVF", row)));
	EXPECT_NE(NULL, strchr(under("LAST", row), 's'));
	EXPECT_NE(NULL, strstr(row, " 2 ")) {
		TH_LOG("%s", row);
	}

	/* What the clamp and the rule have made of it. */
	EXPECT_NE(NULL, strstr(row_of(lq_local(empty)), "100k->4096!"));
	EXPECT_NE(NULL, strstr(row_of(lq_local(ruled)), "5->300r"));
	EXPECT_SAYS("SET BY", run("LC_ALL=C COLUMNS=160 %s", tool_path()));
	snprintf(rule, sizeof(rule), "rule %d", lq_port(ruled));
	EXPECT_TRUE(says(rule));
	EXPECT_TRUE(says("100k->4096! somaxconn"));

	/* No screen is too narrow. */
	for (int width = 1; width < 200; width += 13) {
		ASSERT_EQ(DONE, run("LC_ALL=C COLUMNS=%d %s", width,
				    tool_path()));
		EXPECT_EQ(4, lines(output));
		EXPECT_GE(width < 15 ? 15 : width, widest(output));
	}
	/* Nor is it wider with characters that take several bytes. */
	EXPECT_SAYS("\u2588", run("LC_ALL=C.UTF-8 COLUMNS=80 %s", tool_path()));
	EXPECT_TRUE(says("100k\u21924096!"));
}

/* What the table shows of the peaks where there is no room for both. */
TEST_F(tool, minute)
{
	int fewest = 400, width;

	write_sample();
	for (width = 40; width < 250; width += 6) {
		ASSERT_EQ(DONE, run("LC_ALL=C COLUMNS=%d %s --proc .", width,
				    tool_path()));
		if (strstr(output, " PEAK ")) {
			EXPECT_NE(NULL, strstr(output, " 1MIN "));
			continue;
		}
		if (strstr(output, " 1MIN "))
			fewest = width;
	}
	EXPECT_GT(100, fewest);
	EXPECT_TRUE(says(" SYN1MIN "));
	EXPECT_TRUE(says(" RESERVED "));
	EXPECT_TRUE(says(" GROUP "));
	for (int i = 0; *word(output, i); i++) {
		const char *title = word(output, i);
		int value = !strcmp(title, "GROUP") ? 3 :
			    !strcmp(title, "1MIN") ? 80 :
			    !strcmp(title, "SYN1MIN") ? 40 :
			    !strcmp(title, "RESERVED") ? 208 : 0;
		char cell[16];
		const char *row;

		if (!value)
			continue;
		/* Both end in the same column. */
		snprintf(cell, sizeof(cell), " %d", value);
		row = row_of("127.0.0.1:7001");
		EXPECT_EQ(0, strncmp(row + (strstr(output, title) - output) +
				     strlen(title) - strlen(cell), cell,
				     strlen(cell))) {
			TH_LOG("%s: %s", title, row);
		}
	}
	/* Of an older module, it is the one that there is. */
	write_old_sample();
	EXPECT_SAYS(" PEAK ", tool("--proc ."));
	EXPECT_EQ(NULL, strstr(output, "1MIN"));
}

/* @all has blanks around each. */
static bool is_among(const char *name, const char *all)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), " %s ", name);
	return strstr(all, wanted);
}

/* Every cell of the file, under its name. */
TEST_F(tool, json)
{
	int full = full_listener(1);
	char expected[256], *object;
	struct lq_table *table;

	lq_listener(lq_family(1), -1);
	/* What moves with the clock is left out. */
	static const char moving[] =
		" acceptq_oldest_ms since_ms since_overflow_ms overflows syns sk_drops ";
	static const char strings[] = " proto local cookie comm rule ";

	ASSERT_EQ(DONE, tool("-j"));
	table = lq_read(LQ_SOCKETS);
	ASSERT_EQ(2, table->nrows);
	for (int row = 0; row < 2; row++) {
		snprintf(expected, sizeof(expected), "\"cookie\": \"%s\"",
			 lq_cell(table, row, "cookie"));
		object = strstr(output, expected);
		ASSERT_NE(NULL, object);
		while (*object != '\n')
			object--;
		object = strndup(object + 1, strcspn(object + 1, "\n"));
		for (int i = 0; i < table->ncols; i++) {
			const char *name = table->cols[i];
			const char *cell = table->cells[row][i];
			const char *quote = "";

			if (is_among(name, strings) && strcmp(cell, "-"))
				quote = "\"";
			if (is_among(name, moving))
				snprintf(expected, sizeof(expected), "\"%s\": ",
					 name);
			else
				snprintf(expected, sizeof(expected),
					 "\"%s\": %s%s%s", name, quote,
					 strcmp(cell, "-") ? cell : "null",
					 quote);
			EXPECT_NE(NULL, strstr(object, expected)) {
				TH_LOG("no %s in %s", expected, object);
			}
		}
		EXPECT_NE(NULL, strstr(object, "\"waits\": {"));
		EXPECT_NE(NULL, strstr(object, "\"netns\": null"));
		free(object);
	}
	lq_free(table);
	close(full);

	EXPECT_OUTPUT("[]\n", tool("-p 1 -j"));
}

/* An object has all columns of the row of @path that has @cookie. */
static bool has_columns(const char *object, const char *path, const char *cookie)
{
	struct lq_table *table = lq_read(path);
	int row = cookie ? lq_find(table, "cookie", cookie) : 0;
	char expected[128];
	bool has = row >= 0 && row < table->nrows;

	for (int i = 0; has && i < table->ncols; i++) {
		const char *cell = table->cells[row][i];
		const char *quote = "";

		if (is_among(table->cols[i], " local cookie "))
			quote = "\"";
		snprintf(expected, sizeof(expected), "\"%s\": %s%s%s",
			 table->cols[i], quote,
			 strcmp(cell, "-") ? cell : "null", quote);
		has = strstr(object, expected);
		if (!has)
			printf("# no %s in %s\n", expected, object);
	}
	lq_free(table);
	return has;
}

/* The books of each listener are beside it, and those of the namespace alone. */
TEST_F(tool, json_books)
{
	static const char * const cookies[] = { "a1", "b2", "c3" };
	static const char what[] = "\"handshakes\": {";
	char row[32], *object;

	write_sample();
	ASSERT_EQ(DONE, tool("--proc . -j"));
	for (size_t i = 0; i < ARRAY_SIZE(cookies); i++) {
		snprintf(row, sizeof(row), "\"cookie\": \"%s\"", cookies[i]);
		object = strstr(strstr(output, row), what);
		ASSERT_NE(NULL, object);
		object = strndup(object, strcspn(object, "}"));
		EXPECT_TRUE(has_columns(object, "net/listenq/handshakes",
					cookies[i]));
		free(object);
	}
	EXPECT_TRUE(says("\"fastopenq_limit\": 18"));
	EXPECT_TRUE(says("\"fastopenq_limit\": null"));

	EXPECT_LINES(3, tool("--proc . -tj"));
	EXPECT_TRUE(has_columns(output, "net/listenq/totals", NULL));
	EXPECT_TRUE(says("\"netns\": null"));

	write_old_sample();
	EXPECT_SAYS("\"handshakes\": null", tool("--proc . -j"));
	EXPECT_LINES(3, tool("--proc . -tj"));
	EXPECT_EQ(NULL, strstr(output, "unaccepted"));
}

/* Of real ones, those that are gone included. */
TEST_F(tool, totals)
{
	int port;
	pid_t child = listen_elsewhere("there", 3, &port);
	int fd = lq_listener(AF_INET, 5);
	char text[64];

	lq_connect(fd);
	lq_enqueue(fd);
	lq_accept(fd);
	EXPECT_SAYS("\nconnections   ", tool("-t"));
	snprintf(text, sizeof(text), "SYNs          %lld ", lq_total("syns"));
	EXPECT_EQ(0, strncmp(output, text, strlen(text)));
	EXPECT_TRUE(says("  waiting 1\n"));

	/* Each namespace by its name, with what waits there alone. */
	ASSERT_EQ(0, run("ip netns attach lqtool %d", child));
	EXPECT_RUN(DONE, tool("-at"));
	EXPECT_TRUE(says("namespace     lqtool\nSYNs          3 "));
	EXPECT_TRUE(says("  waiting 1\n"));
	EXPECT_TRUE(says("  waiting 3\n"));
	close(fd);
	EXPECT_EQ(DONE, tool("-t"));
	EXPECT_EQ(0, strncmp(output, text, strlen(text)));
	EXPECT_EQ(NULL, strstr(output, "waiting"));
	EXPECT_SAYS("\"netns\": \"lqtool\", \"syns\": 3, ",
		    tool("-N lqtool -tj"));
	EXPECT_EQ(3, lines(output));
	EXPECT_EQ(0, run("ip netns delete lqtool"));
	lq_kill(child);
}

/* All terms, as they add up, and no more of them than there are. */
TEST_F(tool, books)
{
	write_sample();
	EXPECT_OUTPUT("SYNs          401  requests 406  cookies 405  Fast Open 413\n"
		      "              accept queue full 84  SYN queue full 404  reserved quarter 420\n"
		      "              failed 415\n"
		      "requests      2069  finished 407  expired 408  reset 409  joined 418\n"
		      "              abandoned 422  under way 5\n"
		      "connections   832  accepted 402  never accepted 421  waiting 9\n"
		      "besides       SYN-ACKs resent 410  final ACKs refused 419  from cookies 411\n"
		      "              bad cookies 412  Fast Open refused 414  requests carried 416\n"
		      "              connections carried 417\n",
		      tool("--proc . -t"));
	/* 0 is left out, what is not known is not. */
	change_sample("totals", "NR > 1 { for (i = 3; i <= NF; i++) $i = 0; $8 = \"-\" } 1");
	EXPECT_OUTPUT("SYNs          401\n"
		      "requests      -  expired -  under way 5\n"
		      "connections   411  accepted 402  waiting 9\n",
		      tool("--proc . -t"));

	/* What is no number is no figure. */
	write_sample();
	change_sample("handshakes", "{ sub(/ 303 /, \" 3e3 \"); print }");
	EXPECT_TROUBLE(tool("--proc . -j"));
	EXPECT_TRUE(says("handshakes: line 2: expired is '3e3'"));
	change_sample("totals", "{ sub(/ 421 /, \" -1 \"); print }");
	EXPECT_TROUBLE(tool("--proc . -t"));
	EXPECT_TRUE(says("totals: line 2: unaccepted is '-1'"));
	change_sample("totals", "NR == 1");
	EXPECT_TROUBLE(tool("--proc . -t"));
}

#define SAME_LABELS	"{proto=\"tcp\",address=\"10.0.0.1\",port=\"1\",process=\"same\"}"

/* More than a number holds is the largest one, and never less than its parts. */
TEST_F(tool, sums)
{
	write_sample();
	change_sample("sockets",
		      "NR > 1 { $2 = \"10.0.0.1:1\"; $7 = \"same\"; $21 = \"9223372036854775807\" } 1");
	change_sample("handshakes", "NR > 1 { $5 = $6 = $7 = \"9223372036854775807\" } 1");
	change_sample("totals", "NR > 1 { $7 = $8 = $9 = \"9223372036854775807\" } 1");
	EXPECT_EQ(WARNING, tool("--proc . --check"));
	EXPECT_TRUE(says(" overflows=9223372036854775807c;"));
	EXPECT_SAYS("9.2E", tool("--proc ."));
	EXPECT_RUN(DONE, tool("--proc . -m"));
	EXPECT_TRUE(says("listenq_overflows_total" SAME_LABELS " 9223372036854775807\n"));
	EXPECT_SAYS("\nrequests      9223372036854775807  finished 9223372036854775807",
		    tool("--proc . -t"));
}

TEST_F(tool, filters_and_order)
{
	int a = lq_listener(AF_INET, 10), b = lq_listener(AF_INET, 10);
	int six = lq_listener(AF_INET6, 10);
	int low = lq_port(a) < lq_port(b) ? a : b;
	char name[16];

	prctl(PR_GET_NAME, name);
	EXPECT_LINES(2, tool("-p %d", lq_port(a)));
	EXPECT_STRNE("", row_of(lq_local(a)));
	EXPECT_LINES(4, tool("-p 1-65535"));
	EXPECT_LINES(3, tool("-A 127.0.0.0/8"));
	EXPECT_LINES(2, tool("-A ::1"));
	EXPECT_TRUE(is_first("[::1]:"));
	EXPECT_LINES(1, tool("-A 127.0.0.2"));
	EXPECT_LINES(4, tool("-P %d", getpid()));
	EXPECT_LINES(4, tool("-P %.3s", name));
	EXPECT_LINES(1, tool("-P nobody"));

	ASSERT_EQ(DONE, tool("-A 127.0.0.1 -s local"));
	EXPECT_TRUE(is_first(lq_local(low)));
	ASSERT_EQ(DONE, tool("-A 127.0.0.1 -s local -r"));
	EXPECT_FALSE(is_first(lq_local(low)));
	lq_enqueue(six);
	ASSERT_EQ(DONE, tool("-s oldest"));
	EXPECT_TRUE(is_first("[::1]:"));

	static const char * const wrong[] = {
		"-p 0", "-p 65536", "-p 9-8", "-p x", "-A 1.2.3", "-A ::/129",
		"-A 10.0.0.0/x", "-s color", "-w 0", "-w 2h",
		"-j -w", "-a -N 1", "-a --proc /nowhere", "everything", "-N nope",
		"-N 999999999", "-N /etc/passwd", "--proc /nowhere", "-w",
		"-t -p 80", "-t -A ::1", "-P x -t", "-t -w", "-tm",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TROUBLE(run("{ $LISTENQ %s; } 2>&1 </dev/null", wrong[i]));
}

/* A name can hold what a terminal obeys: it stays as the kernel wrote it. */
TEST_F(tool, escapes)
{
	prctl(PR_SET_NAME, "\033[31mx\ty\\");
	lq_listener(AF_INET, 1);
	ASSERT_EQ(DONE, tool(""));
	EXPECT_EQ(NULL, strchr(output, '\033'));
	ASSERT_EQ(DONE, tool("-P x -j"));
	EXPECT_TRUE(says("\"comm\": \"\\\\033[31mx\\\\011y\\\\134\""));
}

/* ---- namespaces and processes ---- */

TEST_F(tool, namespaces)
{
	int here = lq_listener(AF_INET, 1), there;
	pid_t child = listen_elsewhere("there", 0, &there);
	char text[64], port[24];

	snprintf(port, sizeof(port), "%s", lq_local(here));
	snprintf(text, sizeof(text), "%d", there);
	ASSERT_EQ(0, run("ip netns attach lqtool %d", child));

	EXPECT_LINES(2, tool("-N %d", child));
	EXPECT_TRUE(says(text));
	EXPECT_LINES(2, tool("-N lqtool"));
	EXPECT_LINES(2, tool("-N /proc/%d/ns/net", child));
	EXPECT_TRUE(says(text));

	EXPECT_LINES(2, tool("--proc /proc/%d", child));
	EXPECT_TRUE(says(text));

	/* Rules go there too, and not here. */
	EXPECT_EQ(DONE, tool("-N lqtool clamp '*' force 99"));
	EXPECT_OUTPUT("* force 99\n", tool("-N %d clamp", child));
	EXPECT_OUTPUT("", tool("clamp"));
	EXPECT_SAYS("7->99r", tool("-N lqtool"));

	/* All, each once: by its name, and this one by a process of it. */
	EXPECT_EQ(DONE, tool("-a -s local"));
	EXPECT_STREQ("NETNS", word(output, 0));
	EXPECT_NE(NULL, strstr(line_of("lqtool "), text));
	snprintf(text, sizeof(text), "%d ", getpid());
	EXPECT_NE(NULL, strstr(line_of(text), port));
	EXPECT_EQ(DONE, tool("-aj -p %s", strrchr(port, ':') + 1));
	snprintf(text, sizeof(text), "\"netns\": \"%d\"", getpid());
	EXPECT_TRUE(says(text));
	EXPECT_EQ(3, lines(output));

	/* Another kind of namespace that has a name there is left alone. */
	ASSERT_EQ(0, run("set -e; touch /run/netns/lqother;"
			 " mount --bind /proc/self/ns/uts /run/netns/lqother"));
	EXPECT_RUN(DONE, tool("-a"));
	EXPECT_EQ(NULL, strstr(output, "lqother"));
	EXPECT_TROUBLE(tool("-N lqother"));

	EXPECT_EQ(0, run("ip netns delete lqother && ip netns delete lqtool"));
	lq_kill(child);

	/* Who isn't root is told so. */
	child = lq_fork();
	if (!child) {
		lq_become_user(OTHER_UID);
		_exit(tool("-a") == TROUBLE && says(port) && says("root") ?
		      0 : 1);
	}
	EXPECT_EQ(0, lq_reap(child));
}

/* Who asks for all there is has got it; and no two columns have one title. */
TEST_F(tool, titles_and_marks)
{
	int fds[] = { lq_listener(AF_INET, INT_MAX), lq_listener(AF_INET, -1) };
	char title[64];

	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=400 %s", tool_path()));
	EXPECT_EQ(3, lines(output));
	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++)
		EXPECT_EQ(NULL, strchr(row_of(lq_local(fds[i])), '!'));
	EXPECT_EQ(NULL, strstr(output, "somaxconn"));
	*strchr(output, '\n') = '\0';
	for (int i = 0; *word(output, i); i++) {
		strcpy(title, word(output, i));
		for (int other = i + 1; *word(output, other); other++)
			EXPECT_STRNE(title, word(output, other));
	}

	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++)
		close(fds[i]);
	EXPECT_OUTPUT("no listeners\n", tool(""));
}

/* The caller of listen() from before the load, by way of /proc/PID/fd. */
TEST_F(tool, from_before_the_load)
{
	char holder[128], name[16];
	int fd;

	ASSERT_EQ(0, lq_unload());
	EXPECT_TROUBLE(tool(""));
	EXPECT_TRUE(says("modprobe listenq"));
	EXPECT_EQ(TROUBLE, tool("clamp"));
	EXPECT_TRUE(says("modprobe listenq"));
	EXPECT_EQ(TROUBLE, tool("clamp flush"));
	EXPECT_TRUE(says("modprobe listenq"));
	fd = lq_listener(AF_INET, 6);
	ASSERT_EQ(0, lq_load());

	prctl(PR_GET_NAME, name);
	EXPECT_STREQ("-", lq_str(fd, "pid"));
	ASSERT_EQ(DONE, tool(""));
	EXPECT_NE(NULL, strstr(row_of(lq_local(fd)), name));
	ASSERT_EQ(DONE, tool("-P %d -j", getpid()));
	snprintf(holder, sizeof(holder),
		 "\"holder\": {\"pid\": %d, \"comm\": \"%s\", \"others\": 0}",
		 getpid(), name);
	EXPECT_TRUE(says(holder));
	EXPECT_TRUE(says("\"pid\": null"));
}

/* ---- rules ---- */

TEST_F(tool, clamp)
{
	char *all;
	pid_t child;

	EXPECT_SAYS("'8080 floor 1024' acts on nobody now",
		    tool("clamp 8080 floor 1024"));
	EXPECT_EQ(DONE, tool("clamp '*' somaxconn 50, 90-99 force 3"));
	EXPECT_OUTPUT("8080 floor 1024\n90-99 force 3\n* somaxconn 50\n",
		      tool("clamp"));
	all = lq_clamp_text();
	EXPECT_STREQ(all, output);
	free(all);

	/* Each errno has its words, and the kernel's own. */
	static const struct {
		const char *words, *meaning, *detail;
	} refused[] = {
		{ "80 somaxcon 5", "not a rule", "'somaxcon': expected" },
		{ "80", "not a rule", "expected" },
		{ "80 floor 99999999999", "out of range", "'99999999999'" },
		{ "0 floor 9", "out of range", "'0'" },
		{ "95-120 floor 1", "overlaps", "'95-120'" },
		{ "81 clear", "no such rule", "'81'" },
		{ "82 force 2, 83 farce 2", "not a rule", "line 2: 'farce'" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_TROUBLE(tool("clamp %s", refused[i].words));
		EXPECT_TRUE(says(refused[i].meaning));
		EXPECT_TRUE(says(refused[i].detail));
	}
	EXPECT_EQ(DONE, tool("clamp"));
	EXPECT_EQ(NULL, strstr(output, "82 "));	/* all or nothing */
	EXPECT_TRUE(says("# last error: line 2"));

	/* Files: what was printed can be written. */
	EXPECT_EQ(DONE, run("$LISTENQ clamp >rules && $LISTENQ clamp flush"));
	EXPECT_OUTPUT("", tool("clamp"));
	EXPECT_EQ(DONE, tool("clamp -f - <rules"));
	EXPECT_OUTPUT("8080 floor 1024\n90-99 force 3\n* somaxconn 50\n",
		      tool("clamp"));
	EXPECT_EQ(DONE, tool("clamp 8080 clear, 90-99 clear"));
	EXPECT_OUTPUT("* somaxconn 50\n", tool("clamp"));

	EXPECT_TROUBLE(tool("clamp -f /nowhere"));
	run("seq -f '%%.0f force 1' 2000 3100 >rules");
	EXPECT_EQ(TROUBLE, tool("clamp -f rules"));
	EXPECT_TRUE(says("more than 1024 rules"));
	run("head -c 530000 /dev/zero | tr '\\0' '\\n' >rules");
	EXPECT_EQ(TROUBLE, tool("clamp -f rules"));
	EXPECT_TRUE(says("more than 524288 bytes"));
	EXPECT_TRUE(is_complaint());

	/* Who may not, in two ways. */
	for (int user = 0; user < 2; user++) {
		child = lq_fork();
		if (!child) {
			if (user)
				lq_drop_net_admin();
			/* A shell of root's that execs would have it again. */
			prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN);
			if (user)
				lq_become_user(OTHER_UID);
			_exit(tool("clamp flush") == TROUBLE &&
			      is_complaint() && says("only root of the host") ?
			      0 : 1);
		}
		EXPECT_EQ(0, lq_reap(child));
	}
	EXPECT_SAYS("* somaxconn 50\n", tool("clamp"));
}

/* ---- input that nobody promised ---- */

/* More columns, fewer, and in another order. */
TEST_F(tool, other_versions)
{
	char *text, *table, *at, *end, *other;
	size_t length;

	full_listener(3);
	lq_listener(lq_family(1), 1000000);
	text = read_sockets(&length);
	write_sockets(text, length);
	EXPECT_LINES(3, tool("--proc ."));
	table = strdup(output);

	/* Two new columns, behind and before. */
	other = malloc(2 * length);
	ASSERT_NE(NULL, other);
	for (at = text, end = other; *at; at = strchr(at, '\n') + 1) {
		size_t line = strcspn(at, "\n");

		end += sprintf(end, "%s %.*s %s\n",
			       at == text ? "zone" : "blue", (int)line, at,
			       at == text ? "new_count" : "4711");
	}
	write_sockets(other, end - other);
	ASSERT_EQ(DONE, tool("--proc ."));
	EXPECT_STREQ(table, output);
	ASSERT_EQ(TROUBLE, tool("--proc . -j"));	/* no waits */
	EXPECT_TRUE(is_complaint());
	run("cp " LQ_WAITS " net/listenq");
	EXPECT_SAYS("\"zone\": \"blue\"", tool("--proc . -j"));
	EXPECT_TRUE(says("\"new_count\": 4711"));

	/* What an older module doesn't have is unknown. */
	ASSERT_EQ(0, run("awk '{ print $2, $10, $12 }' " LQ_SOCKETS
			 " >" SOCKETS));
	EXPECT_LINES(3, tool("--proc ."));
	EXPECT_TRUE(says("ACCEPTQ"));
	ASSERT_EQ(DONE, tool("--proc . -j"));
	EXPECT_EQ(NULL, strstr(output, "overflows"));
	ASSERT_EQ(WARNING, tool("--proc . --check"));
	ASSERT_EQ(0, run("awk '{ print $2, $12 }' " LQ_SOCKETS " >" SOCKETS));
	ASSERT_EQ(NOT_KNOWN, tool("--proc . --check"));

	free(other);
	free(table);
	free(text);
}

/* Cut anywhere: an error, or whole lines and no other. */
TEST_F(tool, cut_short)
{
	size_t length, cut, step;
	char *text;

	full_listener(1);
	lq_listener(AF_INET, 1);
	text = read_sockets(&length);
	/* Some of them, the ends of lines among them. */
	step = length / (getenv("LISTENQ_SLOW") ? 20 : 80) + 1;
	for (cut = 0; cut <= length; cut++) {
		bool whole = cut && text[cut - 1] == '\n';

		if (cut % step && !whole && text[cut] != '\n')
			continue;
		write_sockets(text, cut);
		ASSERT_EQ(whole ? DONE : TROUBLE, tool("--proc .")) {
			TH_LOG("cut at %zu: %s", cut, output);
		}
		if (!whole) {
			EXPECT_TRUE(is_complaint());
			continue;
		}
		text[cut - 1] = '\0';
		EXPECT_EQ(lines(text) + 1, lines(output));
		text[cut - 1] = '\n';
	}
	free(text);
}

/* Text that may hold a NUL. */
struct bytes {
	const char *text;
	size_t length;
};

#define BYTES(s)	((struct bytes){ (s), sizeof(s) - 1 })

/* @text with the first @what behind the header replaced by @with. */
static void write_changed(const char *text, const char *what,
			  struct bytes with)
{
	const char *rows = strchr(text, '\n');
	const char *at = strstr(rows, what);
	size_t length = strlen(text) - strlen(what) + with.length;
	char *other = malloc(length), *to = other;

	if (!at || !other)
		errx(1, "no '%s' in the file", what);
	to = mempcpy(to, text, at - text);
	to = mempcpy(to, with.text, with.length);
	at += strlen(what);
	memcpy(to, at, strlen(at));
	write_sockets(other, length);
	free(other);
}

static const struct bytes bad[] = {
	BYTES(" 4e3 "),
	BYTES(" -1 "),
	BYTES(" 0x1 "),
	BYTES(" 4294967296 "),
	BYTES(" 99999999999999999999999 "),
	BYTES(" \0 "),
	BYTES(" \033[2J "),
	BYTES(" \xe2\x96\x88 "),
	BYTES(" "),
	BYTES(" 1 1 "),
	BYTES("\n"),
	BYTES("\r\n"),
};

/* A wrong byte, figure or number of figures: never a row that looks right. */
TEST_F(tool, malformed)
{
	char limit[] = " 4093 ", *text;
	size_t length;

	lq_set_somaxconn(4093);
	lq_listener(AF_INET, 5000);
	text = read_sockets(&length);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_changed(text, limit, bad[i]);
		EXPECT_TROUBLE(tool("--proc ."));
	}
	write_changed(text, "127.0.0.1:", BYTES("127.0.0.1;"));
	EXPECT_EQ(TROUBLE, tool("--proc ."));
	write_changed(text, "127.0.0.1:", BYTES("127.0.0.256:"));
	EXPECT_EQ(TROUBLE, tool("--proc ."));

	/* What is no file of rows at all. */
	static const char * const others[] = {
		"ln -s /dev/zero", "mkfifo", "mkdir", "ln -s sockets",
		"ln -s /proc/cpuinfo", "ln -s /dev/null", "truncate -s 200M",
	};
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		run("rm -rf " SOCKETS);
		ASSERT_EQ(0, run("%s " SOCKETS, others[i]));
		EXPECT_TROUBLE(tool("--proc ."));
	}
	run("rm -rf " SOCKETS);
	free(text);
}

/* So many listeners that nobody has them: all there, or an error. */
TEST_F(tool, enormous)
{
	int count = getenv("LISTENQ_SLOW") ? 2000 : 10000;
	size_t length;

	lq_listener(AF_INET, 1);
	free(read_sockets(&length));
	ASSERT_EQ(0, run("awk -v n=%d '{ print } NR == 2 { while (--n) print }' "
			 LQ_SOCKETS " >" SOCKETS, count));
	ASSERT_EQ(DONE, tool("--proc ."));
	EXPECT_EQ(count + 1, lines(output));
	ASSERT_EQ(0, run("yes local | head -n 1000002 >" SOCKETS));
	EXPECT_TROUBLE(tool("--proc ."));
	EXPECT_TRUE(says("more than 1000000 listeners"));
	/* A header of a thousand names, a name of a megabyte. */
	ASSERT_EQ(0, run("echo $(seq 1000) >" SOCKETS));
	EXPECT_TROUBLE(tool("--proc ."));
	run("head -c 1000000 /dev/zero | tr '\\0' x >name");
	ASSERT_EQ(0, run("awk 'NR > 1 { getline $7 <\"name\" } 1' "
			 LQ_SOCKETS " >" SOCKETS));
	EXPECT_EQ(DONE, tool("--proc ."));
	EXPECT_GE(80, widest(output));
}

/* None of it reads or writes where it may not. */
TEST_F(tool, valgrind)
{
	static const struct {
		int status;
		const char *arguments;
		bool cut;	/* of a file that is cut short */
	} runs[] = {
		{ DONE, "-P tool" }, { DONE, "-j" },
		{ TROUBLE, "clamp 80 farce 3" }, { TROUBLE, "--proc .", true },
		{ TROUBLE, "--proc ." },
	};
	char *text;
	size_t length;

	LQ_SKIP_FOR(hurry() ?: lacks("valgrind"));
	full_listener(2);
	lq_set_somaxconn(4093);
	lq_listener(AF_INET, 5000);
	text = read_sockets(&length);

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		if (runs[i].cut)
			write_sockets(text, length / 2);
		else
			write_changed(text, " 4093 ", BYTES(" "));
		EXPECT_RUN(runs[i].status,
			   run("LC_ALL=C.UTF-8 COLUMNS=80 " VALGRIND " %s %s 2>&1",
			       plain_path(), runs[i].arguments));
	}
	free(text);
}

/* ---- the live view ---- */

static bool shows_first(const char *text)
{
	return shows("LOCAL") && is_first_below("LOCAL", text);
}

TEST_F(tool, live)
{
	int full, other;
	char text[64];
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	other = lq_listener(AF_INET, 50);
	full = full_listener(4);
	for (int i = 0; i < 3; i++) {
		lq_connect(other);
		lq_accept(other);
	}
	/* tmux has a Unix socket. */
	server = start("LC_ALL=C.UTF-8", "-w 0.5 --tcp");

	/* The fullest first. */
	ASSERT_TRUE(lq_wait_until(shows("2 listeners, 1 full"))) {
		TH_LOG("%s", output);
	}
	EXPECT_TRUE(lq_wait_until(shows_first(lq_local(full))));
	EXPECT_TRUE(lq_wait_until(shows("SYN/S")));
	EXPECT_TRUE(says("\u2588"));
	/* Rates are known from the second look on. */
	EXPECT_TRUE(lq_wait_until(shows("accepts 0/s")));

	/* Sorted by another key, and the other way round. */
	press("l");
	EXPECT_TRUE(lq_wait_until(shows("sort: local")));
	EXPECT_TRUE(lq_wait_until(shows_first(lq_port(full) < lq_port(other) ?
					      lq_local(full) : lq_local(other))));
	press("r");
	EXPECT_TRUE(lq_wait_until(shows("sort: local reversed")));
	EXPECT_TRUE(lq_wait_until(shows_first(lq_port(full) > lq_port(other) ?
					      lq_local(full) : lq_local(other))));
	press("r f");
	EXPECT_TRUE(lq_wait_until(shows_first(lq_local(full))));

	/* Filtered, and not. */
	snprintf(text, sizeof(text), "/ %d", lq_port(other));
	press(text);
	EXPECT_TRUE(lq_wait_until(shows("1 of 2 listeners")));
	EXPECT_TRUE(lq_wait_until(shows_first(lq_local(other))));
	press("Enter");
	snprintf(text, sizeof(text), "filter: %d  sort", lq_port(other));
	EXPECT_TRUE(lq_wait_until(shows(text)));

	/* All about that one: three waited, and the histogram has them. */
	press("Enter");
	EXPECT_TRUE(lq_wait_until(shows("waits         3 accepted")));
	EXPECT_TRUE(says("up to"));
	EXPECT_TRUE(says("asked 50  granted 50"));
	EXPECT_TRUE(says(lq_local(other)));
	lq_connect(other);
	EXPECT_TRUE(lq_wait_until(shows(" 1 of 50")));
	lq_end_listening(other);
	EXPECT_TRUE(lq_wait_until(shows("does not listen any more")));
	press("Escape");
	EXPECT_TRUE(lq_wait_until(shows("0 of 1 listeners")));
	press("Escape");
	EXPECT_TRUE(lq_wait_until(shows("1 listener, 1 full") &&
				  !strstr(output, "SET BY")));

	/* A wider window has more columns, a small one still a row. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 230 -y 8"));
	EXPECT_TRUE(lq_wait_until(shows("SET BY"))) {
		TH_LOG("%s", output);
	}
	ASSERT_EQ(0, terminal("resize-window -t lq -x 20 -y 5"));
	EXPECT_TRUE(lq_wait_until(!shows("SET BY")));
	EXPECT_TRUE(lq_wait_until(shows(lq_local(full))));
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 24"));
	EXPECT_TRUE(lq_wait_until(shows("LAST")));
	press("? End");
	EXPECT_TRUE(lq_wait_until(shows("a rule acts on it")));
	press("Escape Space");
	EXPECT_TRUE(lq_wait_until(shows("paused")));

	/* It leaves the terminal as it was. */
	press("q");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	EXPECT_EQ(NULL, strstr(output, "listeners"));
	stop(server);
}

/* How many the ranges below @title have together. */
static int charted(const char *title)
{
	const char *at = strstr(output, title);
	int sum = 0, count;

	while (at && (at = strchr(at + 1, '\n')) &&
	       (sscanf(at, " up to %*s %d", &count) == 1 ||
		sscanf(at, " more %d", &count) == 1))
		sum += count;
	return sum;
}

/* One listener, whatever there is to say and however small the screen is. */
TEST_F_TIMEOUT(tool, detail, DETAIL_TIMEOUT)
{
	static const char * const all[] = {
		"one of 3 in its SO_REUSEPORT group",
		" 9 of 8: full  peak 90  1 min 80  oldest 1.0s",
		" 5 of 8  peak 50  1 min 40  young 4",
		"Fast Open     17 of 18  made 308  refused 309",
		"SYNs          201  requests 301  cookies 205  Fast Open 308",
		"accept queue full 96  SYN queue full 204  reserved quarter 208",
		"failed 310",
		"requests      1227  finished 302  expired 303  reset 304  joined 313",
		"connections   211  accepted 202  waiting 9",
		"SYN-ACKs resent 305  final ACKs refused 107",
		"requests carried 311", "connections carried 312",
		"waits         136 accepted, mean 2.0s",
		"handshakes    136 finished, mean 30ms",
		NULL
	};
	/* Side by side, and each has all of its ranges. */
	static const char * const ranges[] = {
		"up to 4ms              1  ", "up to 256us            1  ",
		"more            16  ", NULL
	};
	static const char * const below[] = {
		"\nwaits         136 accepted, mean 2.0s",
		"\nhandshakes    136 finished, mean 30ms", "!up to 4ms", NULL
	};
	static const char * const idle[] = {
		"SYNs          0\n", "requests      0\n", "connections   0\n",
		"waits         0 accepted, mean -",
		"handshakes    0 finished, mean -",
		"!Fast Open", "!one of", "!besides", NULL
	};
	static const char * const blind[] = {
		"SYNs          -  requests -", "handshakes    not known", NULL
	};
	static const char * const old[] = {
		" 9 of 8: full  peak 90  oldest 1.0s", "besides       sk_drops 206",
		"waits         136 accepted, mean 2.0s", "!handshakes",
		"!Fast Open", NULL
	};
	char arguments[64];
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	write_sample();
	snprintf(arguments, sizeof(arguments), "--proc %s -s local -w 0.2",
		 folder);
	server = start("LC_ALL=C.UTF-8", arguments);
	ASSERT_TRUE(lq_wait_until(shows("3 listeners")));
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 44"));
	press("Home Enter");
	EXPECT_TRUE(shows_all(all));
	EXPECT_TRUE(shows_all(ranges));

	/* Below each other; the quicker ones are in the first. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 79 -y 30"));
	EXPECT_TRUE(lq_wait_until(!lacking(below) &&
				  charted("\nhandshakes") == 136 &&
				  charted("\nwaits") == 136)) {
		TH_LOG("%s", output);
	}
	/* What is cut shows no digit of what had no room. */
	ASSERT_EQ(0, terminal("resize-window -t lq -x 40 -y 20"));
	EXPECT_TRUE(lq_wait_until(shows(" 5 of 8  peak 50 \u2026\n")));
	for (int width = 1; width < 79; width += 25) {
		ASSERT_EQ(0, terminal("resize-window -t lq -x %d -y %d", width,
				      width / 2 + 1));
		EXPECT_TRUE(lq_wait_until(!terminal("display -p -t lq '#{window_width}'") &&
					  atoi(output) == width));
	}
	ASSERT_EQ(0, terminal("resize-window -t lq -x 80 -y 40"));
	EXPECT_TRUE(shows_all(all));

	press("Escape Down Enter");
	EXPECT_TRUE(shows_all(idle));
	press("Escape Down Enter");
	EXPECT_TRUE(shows_all(blind));

	press("Escape Home Enter");
	EXPECT_TRUE(shows_all(all));
	/* The tool may have met it half-written, and the listener gone. */
	write_old_sample();
	press("Escape Home Enter");
	EXPECT_TRUE(shows_all(old));
	press("q");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	stop(server);
}

/* Colours are for terminals that want them. */
TEST_F(tool, colours)
{
	pid_t server;

	if (!have("tmux"))
		SKIP(return, "no tmux");
	full_listener(1);
	server = start("", "");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	terminal("capture-pane -e -p -t lq");
	EXPECT_TRUE(says("\033[1m\033[31m"));
	stop(server);
	server = start("NO_COLOR=1", "");
	EXPECT_TRUE(lq_wait_until(shows("code 0")));
	terminal("capture-pane -e -p -t lq");
	EXPECT_EQ(NULL, strchr(output, '\033'));
	stop(server);
	EXPECT_EQ(DONE, tool(""));
	EXPECT_EQ(NULL, strchr(output, '\033'));
}

TEST_HARNESS_MAIN
