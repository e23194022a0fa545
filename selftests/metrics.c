// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq -m: each value against the module's files and ss; that series are
 * unique, stay the same and are not too many; and that the file it writes is
 * whole.
 */

#define _GNU_SOURCE
#include <err.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "tool.h"

/* Of somebody who has waited, so that several buckets have some. */
#define WAIT_MS	60

static char folder[32];
/* A process whose number a namespace has for a name; 0 while there is none. */
static int named;

/*
 * The value of the only sample of @name whose labels have @labels in them; NAN
 * where there is none.
 */
static double sample(const char *name, const char *labels)
{
	size_t length = strlen(name);
	double value = NAN;
	char line[1024];

	for (const char *at = output; *at; at += strcspn(at, "\n") + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"),
			 at);
		if (strncmp(line, name, length) ||
		    (line[length] != ' ' && line[length] != '{') ||
		    !strstr(line, labels))
			continue;
		if (!isnan(value))
			errx(1, "two samples: %s %s", name, labels);
		value = atof(strrchr(line, ' ') + 1);
	}
	return value;
}

static long long nearest(double value)
{
	return value + 0.5;
}

/* The labels of a listener at the loopback address, as far as it takes. */
static const char *labels_of(int fd)
{
	static char text[64];

	snprintf(text, sizeof(text), "address=\"127.0.0.1\",port=\"%d\"",
		 lq_port(fd));
	return text;
}

/* How many samples of @name there are. */
static int samples(const char *name)
{
	size_t length = strlen(name);
	int count = 0;

	for (const char *at = output; *at; at += strcspn(at, "\n") + 1)
		count += !strncmp(at, name, length) &&
			 (at[length] == '{' || at[length] == ' ');
	return count;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two samples have both name and labels in common. */
static bool unique(void)
{
	char *text = strdup(output), **series, *save;
	int count = 0;
	bool is = true;

	series = calloc(lines(text) + 1, sizeof(*series));
	if (!series)
		err(1, "calloc");
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (*line == '#')
			continue;
		*strrchr(line, ' ') = '\0';
		series[count++] = line;
	}
	qsort(series, count, sizeof(*series), by_text);
	for (int i = 1; i < count; i++)
		if (!strcmp(series[i - 1], series[i])) {
			printf("# twice: %s\n", series[i]);
			is = false;
		}
	free(series);
	free(text);
	return is && count;
}

/* Which column each metric shows. */
static const struct {
	const char *name;
	const char *column;
	double scale;
} figures[] = {
	{ "listenq_accept_queue_length", "acceptq", 1 },
	{ "listenq_accept_queue_peak", "acceptq_peak", 1 },
	{ "listenq_syn_queue_length", "synq", 1 },
	{ "listenq_syn_queue_young", "synq_young", 1 },
	{ "listenq_syn_queue_peak", "synq_peak", 1 },
	{ "listenq_backlog_asked", "asked", 1 },
	{ "listenq_backlog_granted", "granted", 1 },
	{ "listenq_backlog_limit", "limit", 1 },
	{ "listenq_syns_total", "syns", 1 },
	{ "listenq_accepts_total", "accepts", 1 },
	{ "listenq_overflows_total", "overflows", 1 },
	{ "listenq_syn_queue_drops_total", "synq_drops", 1 },
	{ "listenq_syncookies_total", "syncookies", 1 },
	{ "listenq_socket_drops_total", "sk_drops", 1 },
	/* Time goes on, and never back. */
	{ "listenq_accept_queue_oldest_seconds", "acceptq_oldest_ms", 0.001 },
};

/* What each figure is, before the tool looks and after. */
struct look {
	long long figure[ARRAY_SIZE(figures)];
};

static struct look look(int fd)
{
	struct look look;

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		look.figure[i] = lq_num(fd, figures[i].column);
	return look;
}

FIXTURE(metrics)
{
};

FIXTURE_SETUP(metrics)
{
	LQ_SETUP();
	if (!have(tool_path()))
		SKIP(longjmp(_metadata->env, 1),
		     "no listenq(8): make tools, set LISTENQ_TOOL");
	lq_set_somaxconn(4096);
	strcpy(folder, "/tmp/listenq-metrics.XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) || mkdir("net", 0755))
		err(1, "%s", folder);
	setenv("LISTENQ", tool_path(), 1);
}

FIXTURE_TEARDOWN(metrics)
{
	run("for name in lqmetrics lqidle %d; do ip netns delete $name 2>/dev/null; done",
	    named);
	run("umount small 2>/dev/null; rm -rf %s", folder);
}

TEST_F(metrics, values)
{
	int fds[3] = { full_listener(2), lq_listener(AF_INET, 100000),
		       lq_listener(AF_INET, -1) };
	struct look before[3], after[3];
	char rule[64];
	struct lq_ss ss;
	double value;

	snprintf(rule, sizeof(rule), "%d floor 9000", lq_port(fds[1]));
	ASSERT_EQ(0, lq_clamp(rule));
	lq_enqueue(fds[1]);
	for (int i = 0; i < 3; i++)
		before[i] = look(fds[i]);
	ASSERT_EQ(DONE, tool("-m"));
	for (int i = 0; i < 3; i++)
		after[i] = look(fds[i]);

	EXPECT_EQ(1, sample("listenq_up", ""));
	EXPECT_EQ(3, sample("listenq_listeners", ""));
	EXPECT_TRUE(unique());
	for (int i = 0; i < 3; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(figures); j++) {
			long long from = before[i].figure[j];

			value = sample(figures[j].name, labels_of(fds[i])) /
				figures[j].scale;
			if (from == LQ_NONE) {
				EXPECT_TRUE(isnan(value));
				continue;
			}
			/* Compared by the kernel without a sign. */
			if (from == -1) {
				EXPECT_EQ(4294967295, value);
				continue;
			}
			EXPECT_LE(from, nearest(value)) {
				TH_LOG("%d %s", i, figures[j].name);
			}
			EXPECT_GE(after[i].figure[j], nearest(value)) {
				TH_LOG("%d %s", i, figures[j].name);
			}
		}
		ASSERT_TRUE(lq_ss(fds[i], &ss));
		EXPECT_EQ(ss.recvq, sample("listenq_accept_queue_length",
					   labels_of(fds[i])));
		EXPECT_EQ(ss.sendq, sample("listenq_backlog_limit",
					   labels_of(fds[i])));
		value = sample("listenq_accept_queue_fill_ratio",
			       labels_of(fds[i]));
		EXPECT_GT(0.0001, fabs(value - (double)ss.recvq / ss.sendq));
		EXPECT_EQ(1, sample("listenq_sockets", labels_of(fds[i])));
		EXPECT_EQ(i == 1, sample("listenq_rule_active",
					 labels_of(fds[i])));
	}

	/* When, by the clock on the wall: since then, it is as long as that. */
	value = sample("listenq_last_overflow_timestamp_seconds",
		       labels_of(fds[0]));
	EXPECT_GT(2, fabs(time(NULL) - value -
			  lq_num(fds[0], "since_overflow_ms") / 1e3));
	EXPECT_EQ(nearest(value), value);
	EXPECT_TRUE(isnan(sample("listenq_last_overflow_timestamp_seconds",
				 labels_of(fds[1]))));
}

/* Each bucket has those before it, too; the last has all. */
TEST_F(metrics, histogram)
{
	int fd = lq_listener(AF_INET, 10), row, bounds = 0;
	long long sum = 0, start = lq_now_ms();
	struct lq_table *table;
	char labels[128];
	double waited;

	if (lq_num(fd, "accepts") == LQ_NONE)
		SKIP(return, "accepts are not known on this kernel");
	for (int i = 0; i < 4; i++)
		lq_connect(fd);
	lq_accept(fd);
	while (lq_now_ms() < start + WAIT_MS)
		lq_pause();
	lq_accept(fd);
	lq_accept(fd);
	ASSERT_EQ(DONE, tool("-m"));
	table = lq_read(LQ_WAITS);
	row = lq_find(table, "cookie", lq_cookie_str(fd));
	ASSERT_LE(0, row);
	for (int i = lq_col(table, "4ms"); i < table->ncols; i++) {
		sum += atoll(table->cells[row][i]);
		if (!strcmp(table->cols[i], "more"))
			snprintf(labels, sizeof(labels), "%s,process=\"metrics\",le=\"+Inf\"",
				 labels_of(fd));
		else
			snprintf(labels, sizeof(labels),
				 "%s,process=\"metrics\",le=\"%.3f\"",
				 labels_of(fd), atoi(table->cols[i]) / 1e3);
		EXPECT_EQ(sum, sample("listenq_accept_wait_seconds_bucket",
				      labels)) {
			TH_LOG("%s", labels);
		}
		bounds++;
	}
	EXPECT_EQ(16, bounds);
	EXPECT_EQ(bounds, samples("listenq_accept_wait_seconds_bucket"));
	EXPECT_EQ(3, sample("listenq_accept_wait_seconds_count",
			    labels_of(fd)));
	EXPECT_EQ(3, sample("listenq_accepts_total", labels_of(fd)));
	waited = 1e3 * sample("listenq_accept_wait_seconds_sum",
			      labels_of(fd));
	EXPECT_EQ(atoll(lq_cell(table, row, "sum_ms")), nearest(waited));
	EXPECT_LE(2 * WAIT_MS - LQ_SLACK_MS, waited);
	lq_free(table);
}

/* Copies of the files, for the tool to read; @program of awk acts on @file. */
static void copy_files(const char *file, const char *program)
{
	if (run("rm -rf net/listenq && cp -r /proc/net/listenq net/") ||
	    run("awk '%s' /proc/net/listenq/%s >net/listenq/%s", program, file,
		file))
		errx(1, "%s", output);
}

/* What is not known has no sample, not one that is 0. */
TEST_F(metrics, unknown)
{
	int fd = full_listener(1);
	char program[256];

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		snprintf(program, sizeof(program),
			 "NR == 1 { while ($++at != \"%s\"); } NR > 1 { $at = \"-\" } 1",
			 figures[i].column);
		copy_files("sockets", program);
		ASSERT_EQ(DONE, tool("--proc . -m"));
		for (size_t j = 0; j < ARRAY_SIZE(figures); j++) {
			double value = sample(figures[j].name, labels_of(fd));

			EXPECT_EQ(i == j || lq_num(fd, figures[j].column) == LQ_NONE,
				  !!isnan(value)) {
				TH_LOG("%s without %s", figures[j].name,
				       figures[i].column);
			}
		}
	}
	copy_files("waits", "NR > 1 { for (i = 3; i <= NF; i++) $i = \"-\" } 1");
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_EQ(NULL, strstr(output, "listenq_accept_wait_seconds"));
	copy_files("totals", "NR > 1 { $2 = \"-\" } 1");
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_EQ(0, samples("listenq_namespace_accepts_total"));
	EXPECT_EQ(1, samples("listenq_namespace_syns_total"));
	/* It is nobody's module. */
	EXPECT_EQ(0, samples("listenq_module_info"));
}

/* Two listeners that no label tells apart. */
TEST_F(metrics, groups)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", 0);
	int one = socket(AF_INET, SOCK_STREAM, 0);
	int two = socket(AF_INET, SOCK_STREAM, 0);
	int fuller, other, on = 1;
	long long sum = 0;
	double value;

	ASSERT_EQ(0, setsockopt(one, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	ASSERT_EQ(0, setsockopt(two, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	ASSERT_EQ(0, bind(one, &addr.sa, addr.len));
	addr = lq_name(one);
	ASSERT_EQ(0, bind(two, &addr.sa, addr.len));
	lq_listen(one, 10);
	lq_listen(two, 30);
	for (int i = 0; i < 8; i++)
		lq_connect(one);
	EXPECT_TRUE(lq_wait_until(lq_num(one, "acceptq") +
				  lq_num(two, "acceptq") == 8));
	fuller = lq_num(one, "acceptq") * 3 >= lq_num(two, "acceptq") ? one : two;
	other = fuller == one ? two : one;

	ASSERT_EQ(DONE, tool("-m"));
	EXPECT_TRUE(unique());
	EXPECT_EQ(1, samples("listenq_sockets"));
	EXPECT_EQ(2, sample("listenq_sockets", labels_of(one)));
	EXPECT_EQ(2, sample("listenq_listeners", ""));
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		long long a = lq_num(one, figures[i].column);
		long long b = lq_num(two, figures[i].column);

		value = sample(figures[i].name, labels_of(one));
		if (strstr(figures[i].name, "_peak")) {
			EXPECT_EQ(a > b ? a : b, value);
		} else if (figures[i].scale == 1 && a != LQ_NONE) {
			EXPECT_EQ(a + b, value) {
				TH_LOG("%s", figures[i].name);
			}
			sum += a + b;
		}
	}
	EXPECT_LT(8, sum);
	value = sample("listenq_accept_queue_fill_ratio", labels_of(one));
	EXPECT_GT(0.0001, fabs(value - (double)lq_num(fuller, "acceptq") /
				     lq_num(fuller, "limit")));
	EXPECT_LE((double)lq_num(other, "acceptq") / lq_num(other, "limit"),
		  value + 0.0001);

	/* Half a sum would fall and rise, and look like something happening. */
	copy_files("sockets", "NR == 2 { for (i = 8; i <= NF; i++) $i = \"-\" } 1");
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_EQ(2, sample("listenq_sockets", labels_of(one)));
	EXPECT_EQ(0, samples("listenq_syns_total"));
	EXPECT_EQ(0, samples("listenq_backlog_asked"));
	EXPECT_EQ(1, samples("listenq_accept_queue_peak"));
}

/* A name can be anything, and stays one label of one line. */
TEST_F(metrics, names)
{
	static const struct {
		const char *name, *label;
	} odd[] = {
		{ "\"", "\\\"" },
		{ "a\"} 1\n# x", "a\\\"}\\\\0401\\\\012#\\\\040x" },
		{ "\\\\n", "\\\\134\\\\134n" },
		{ "\xff{}=,", "\\\\377{}=," },
		{ "-", "\\\\055" },
	};
	char labels[128];

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		int fd;

		prctl(PR_SET_NAME, odd[i].name);
		fd = lq_listener(AF_INET, 5);
		ASSERT_EQ(DONE, tool("-m"));
		snprintf(labels, sizeof(labels), "%s,process=\"%s\"}",
			 labels_of(fd), odd[i].label);
		EXPECT_EQ(5, sample("listenq_backlog_limit", labels)) {
			TH_LOG("%s", labels);
		}
		EXPECT_TRUE(unique());
		close(fd);
	}
}

/* Whose ports are the lowest are kept, whatever the others do. */
TEST_F(metrics, cap)
{
	enum { PORT = 20000, COUNT = 12, MAX = 5 };
	char label[32];
	int fds[COUNT];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COUNT; i++) {
			if (!round) {
				/* The lowest does not come first. */
				fds[i] = lq_bound(AF_INET, "127.0.0.1",
						  PORT + i * 7 % COUNT);
				lq_listen(fds[i], 1);
			} else if (lq_port(fds[i]) == PORT + COUNT - 1) {
				lq_enqueue(fds[i]);
				lq_enqueue(fds[i]);
			}
		}
		ASSERT_EQ(DONE, tool("-m --max %d", MAX));
		EXPECT_EQ(MAX, samples("listenq_sockets"));
		EXPECT_EQ(COUNT, sample("listenq_listeners", ""));
		EXPECT_EQ(COUNT - MAX, sample("listenq_listeners_omitted", ""));
		EXPECT_EQ(MAX, sample("listenq_label_sets_max", ""));
		for (int i = 0; i < COUNT; i++) {
			snprintf(label, sizeof(label), "port=\"%d\"", PORT + i);
			EXPECT_EQ(i < MAX, !isnan(sample("listenq_sockets",
							 label)));
		}
	}
	/* Totals are not about any of them. */
	EXPECT_LE(2, sample("listenq_namespace_syns_total", ""));
	ASSERT_EQ(DONE, tool("-m --max 0"));
	EXPECT_EQ(0, samples("listenq_sockets"));
	EXPECT_EQ(0, samples("listenq_namespace_syns_total"));
	EXPECT_EQ(1, sample("listenq_namespaces_omitted", ""));
	ASSERT_EQ(DONE, tool("-m --max %d", COUNT));
	EXPECT_EQ(0, sample("listenq_listeners_omitted", ""));
	/* Filters come first. */
	ASSERT_EQ(DONE, tool("-m --max 1 -p %d", PORT + COUNT - 1));
	EXPECT_EQ(1, samples("listenq_sockets"));
	EXPECT_EQ(0, sample("listenq_listeners_omitted", ""));
}

/* Totals and listeners of each namespace, and who has which. */
TEST_F(metrics, namespaces)
{
	char text[16] = "", label[64], labels[128];
	int sync[2], here = lq_listener(AF_INET, 1), there;
	pid_t child, other, idle;

	lq_connect(here);
	ASSERT_EQ(0, pipe(sync));
	child = lq_fork();
	if (!child) {
		lq_new_netns();
		there = lq_listener(AF_INET, 7);
		for (int i = 0; i < 3; i++)
			lq_connect(there);
		dprintf(sync[1], "%d", lq_port(there));
		pause();
	}
	ASSERT_LT(0, read(sync[0], text, sizeof(text) - 1));
	ASSERT_EQ(0, run("ip netns attach lqmetrics %d", child));
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_TRUE(unique());
	snprintf(labels, sizeof(labels),
		 "{netns=\"lqmetrics\",proto=\"tcp\",address=\"127.0.0.1\",port=\"%s\",",
		 text);
	EXPECT_EQ(7, sample("listenq_backlog_limit", labels));
	EXPECT_EQ(3, sample("listenq_namespace_syns_total",
			    "{netns=\"lqmetrics\"}"));
	snprintf(label, sizeof(label), "{netns=\"%d\"}", getpid());
	EXPECT_EQ(lq_total("syns"), sample("listenq_namespace_syns_total",
					   label));
	EXPECT_EQ(1, lq_total("syns"));
	EXPECT_LE(2, sample("listenq_namespaces", ""));

	/* Nothing happens where nobody listens, unless it has a name. */
	idle = lq_fork();
	if (!idle) {
		lq_new_netns();
		dprintf(sync[1], "x");
		pause();
	}
	ASSERT_LT(0, read(sync[0], text, 1));
	snprintf(label, sizeof(label), "netns=\"%d\"", idle);
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_EQ(0, sample("listenq_namespaces_omitted", ""));
	EXPECT_EQ(NULL, strstr(output, label));
	ASSERT_EQ(0, run("ip netns attach lqidle %d", idle));
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_EQ(0, sample("listenq_namespace_syns_total",
			    "{netns=\"lqidle\"}"));
	ASSERT_EQ(0, run("ip netns delete lqidle"));
	kill(idle, SIGKILL);
	lq_reap(idle);

	/* A name that is a number, of a process that is somewhere else. */
	other = lq_fork();
	if (!other) {
		lq_new_netns();
		lq_listener(AF_INET, 1);
		dprintf(sync[1], "x");
		pause();
	}
	ASSERT_LT(0, read(sync[0], text, 1));
	named = other;
	ASSERT_EQ(0, run("ip netns attach %d %d", named, child));
	ASSERT_EQ(0, run("ip netns delete lqmetrics"));
	EXPECT_EQ(DONE, tool("-am"));
	EXPECT_TRUE(unique());
	snprintf(label, sizeof(label), "netns=\"%d\"", other);
	EXPECT_EQ(3, sample("listenq_namespace_syns_total", label));
	snprintf(label, sizeof(label), "netns=\"/proc/%d/ns/net\"", other);
	EXPECT_EQ(0, sample("listenq_namespace_syns_total", label));
	EXPECT_EQ(0, run("ip netns delete %d", other));
	kill(child, SIGKILL);
	lq_reap(child);
	kill(other, SIGKILL);
	lq_reap(other);
}

TEST_F(metrics, hooks)
{
	struct lq_table *table;
	char label[96];
	int on = 0;

	lq_listener(AF_INET, 1);
	ASSERT_EQ(DONE, tool("-m"));
	table = lq_read(LQ_HOOKS);
	for (int row = 0; row < table->nrows; row++) {
		const char *state = lq_cell(table, row, "state");

		snprintf(label, sizeof(label), "{symbol=\"%s\"}",
			 lq_cell(table, row, "symbol"));
		if (!strcmp(state, "on")) {
			EXPECT_EQ(1, sample("listenq_hook_active", label));
			EXPECT_EQ(atof(lq_cell(table, row, "hits")),
				  sample("listenq_hook_hits_total", label));
			EXPECT_EQ(atof(lq_cell(table, row, "nmissed")),
				  sample("listenq_hook_missed_total", label));
			on++;
		} else {
			/* No sample is equal to nothing. */
			EXPECT_EQ(!strcmp(state, "missing"),
				  sample("listenq_hook_active", label) == 0);
			EXPECT_TRUE(isnan(sample("listenq_hook_hits_total",
						 label)));
		}
	}
	EXPECT_LT(3, on);
	EXPECT_EQ(on, samples("listenq_hook_hits_total"));
	EXPECT_EQ(lq_hook("unrecorded", "hits"),
		  sample("listenq_unrecorded_listeners_total", ""));
	lq_free(table);
	ASSERT_EQ(0, run("cat /sys/module/listenq/version"));
	snprintf(label, sizeof(label), "{version=\"%.*s\"}",
		 (int)strcspn(output, "\n"), output);
	ASSERT_EQ(DONE, tool("-m"));
	EXPECT_EQ(1, sample("listenq_module_info", label));
}

/* The same samples, described otherwise. */
TEST_F(metrics, openmetrics)
{
	full_listener(1);
	ASSERT_EQ(DONE, tool("--metrics=openmetrics"));
	ASSERT_LT(6, strlen(output));
	EXPECT_STREQ("# EOF\n", output + strlen(output) - 6);
	EXPECT_NE(NULL, strstr(output, "# TYPE listenq_overflows counter\n"));
	EXPECT_NE(NULL, strstr(output, "\nlistenq_overflows_total{"));
	EXPECT_NE(NULL, strstr(output, "# TYPE listenq_module info\n"));
	EXPECT_NE(NULL, strstr(output, "# UNIT listenq_accept_wait_seconds seconds\n"));
	ASSERT_EQ(0, run("$LISTENQ -m >a && $LISTENQ --metrics=prometheus >b"));
	ASSERT_EQ(0, run("$LISTENQ --metrics=openmetrics >c"));
	for (const char *name = "abc"; *name; name++)
		run("sed '/^#/d; s/ [^ ]*$//' %c >%c.names", *name, *name);
	ASSERT_EQ(0, run("cmp a.names b.names && cmp a.names c.names 2>&1")) {
		TH_LOG("%s", output);
	}
	run("grep -c '^# TYPE listenq_overflows_total counter$' a");
	EXPECT_STREQ("1\n", output);
}

/* It is whole, or it is not there; and it does not say what was true once. */
TEST_F(metrics, file)
{
	struct stat stat;

	lq_listener(AF_INET, 1);
	ASSERT_EQ(DONE, tool("-m -o x.prom"));
	EXPECT_STREQ("", output);
	EXPECT_EQ(0, run("ls && cat x.prom"));
	EXPECT_EQ(0, strncmp(output, "net\nx.prom\n", 11));
	EXPECT_EQ(1, sample("listenq_up", ""));
	EXPECT_EQ(1, samples("listenq_sockets"));
	ASSERT_EQ(0, lstat("x.prom", &stat));
	EXPECT_EQ(0644, stat.st_mode & 0777);

	EXPECT_EQ(TROUBLE, tool("--proc /nowhere -m -o x.prom"));
	EXPECT_TRUE(is_complaint());
	EXPECT_EQ(0, run("cat x.prom"));
	EXPECT_EQ(3, lines(output));
	EXPECT_EQ(0, sample("listenq_up", ""));
	EXPECT_EQ(TROUBLE, tool("--proc /nowhere -m"));
	EXPECT_TRUE(is_complaint());

	/* No room for it. */
	ASSERT_EQ(0, run("mkdir small && mount -t tmpfs -o size=4k none small"));
	ASSERT_EQ(0, run("echo old >small/x.prom"));
	EXPECT_EQ(TROUBLE, tool("-m -o small/x.prom"));
	EXPECT_TRUE(is_complaint());
	EXPECT_EQ(0, run("ls small && cat small/x.prom"));
	EXPECT_STREQ("x.prom\nold\n", output);
	ASSERT_EQ(0, run("umount small && rmdir small"));

	static const char * const wrong[] = {
		"-m -o /nowhere/x.prom", "-m -o /tmp", "-o /tmp/x", "--max 4",
		"-m -o /dev/null", "-m --max -1", "-m --max x", "-m -j",
		"--metrics=json", "-m >/dev/full",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(TROUBLE, run("{ %s %s; } 2>&1", tool_path(),
				       wrong[i])) {
			TH_LOG("%s", wrong[i]);
		}
		EXPECT_TRUE(is_complaint()) {
			TH_LOG("%s: %s", wrong[i], output);
		}
	}
	ASSERT_EQ(0, lstat("/dev/null", &stat));
	EXPECT_TRUE(S_ISCHR(stat.st_mode));
}

/*
 * Many write the same file at once, then many that are stopped: nobody sees the
 * half of one, or what somebody has left.
 */
TEST_F(metrics, writers)
{
	static const char * const ends[] = {
		"wait $run || echo failed", "kill $run 2>/dev/null",
	};
	enum { RUNS = 20, LISTENERS = 40 };

	for (int i = 0; i < LISTENERS; i++)
		lq_listener(AF_INET, 1);
	ASSERT_EQ(DONE, tool("--metrics=openmetrics -o x.prom"));
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		run("for i in $(seq %d);"
		    " do $LISTENQ --metrics=openmetrics -o x.prom & runs=\"$runs $!\";"
		    " done 2>&1; for run in $runs; do tail -n 1 x.prom; %s; done; wait",
		    RUNS, ends[i]);
		EXPECT_EQ(RUNS, lines(output));
		for (char *line = strtok(output, "\n"); line;
		     line = strtok(NULL, "\n"))
			EXPECT_STREQ("# EOF", line);
		EXPECT_EQ(0, run("ls; tail -n 1 x.prom"));
		EXPECT_STREQ("net\nx.prom\n# EOF\n", output);
	}
}

/* Files that are cut short or hold what no kernel writes. */
TEST_F(metrics, broken)
{
	static const struct {
		const char *file, *program;
		int status;
		bool checked;
	} files[] = {
		{ "hooks", "NR < 3 { print } END { printf \"x on 1\" }", TROUBLE },
		{ "hooks", "NR == 2 { print \"x on\" } 1", TROUBLE },
		{ "totals", "{ printf \"%s\", $0 }", TROUBLE },
		{ "waits", "NR == 1 { print $1, $2 }", DONE, true },
		{ "waits", "NR == 1 { gsub(/4ms/, \"9999999999ms\") } 1", DONE },
		{ "waits", "{ gsub(/ 0/, \" 9223372036854775807\"); print }", DONE, true },
		{ "waits", "NR == 1 { gsub(/8ms/, \"4ms\") } 1", DONE },
		{ "totals", "NR == 1", DONE },
		{ "hooks", "NR == 1", DONE },
		{ "sockets", "NR == 1", DONE },
		{ "sockets", "NR > 1 { $15 = \"9223372036854775807\" } 1", TROUBLE },
		{ "sockets", "NR > 1 { $2 = \"-\"; $7 = \"-\" } 1", DONE },
	};
	const char *valgrind = "";

	/* It takes its time where processors are emulated. */
	if (have("valgrind"))
		valgrind = "valgrind -q --error-exitcode=99 --leak-check=full";
	full_listener(1);
	lq_listener(lq_family(1), 1);
	EXPECT_EQ(DONE, run("%s %s -am 2>&1", valgrind, tool_path())) {
		TH_LOG("%s", output);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		copy_files(files[i].file, files[i].program);
		EXPECT_EQ(files[i].status, run("%s $LISTENQ --proc . -m 2>&1",
					       files[i].checked ? valgrind : "")) {
			TH_LOG("%zu: %.300s", i, output);
		}
		EXPECT_EQ(files[i].status == TROUBLE, is_complaint()) {
			TH_LOG("%zu: %.300s", i, output);
		}
		EXPECT_TRUE(files[i].status != DONE || unique());
	}
	/* Of 256 listeners, each bucket is a number still; all of them are not. */
	copy_files("sockets", "NR == 1; NR == 2 { for ($3 = 0; $3 < 256; $3++) print }");
	for (int most = 0; most < 2; most++) {
		ASSERT_EQ(0, run("from=/proc/net/listenq/waits;"
				 " awk 'NR == 1; NR == 2 { for (i = 2; i <= NF; i++) $i = \"%lld\";"
				 " for ($1 = 0; $1 < 256; $1++) print }' $from >net/listenq/waits",
				 most ? LLONG_MAX / 256 : 1));
		ASSERT_EQ(DONE, tool("--proc . -m"));
		EXPECT_EQ(256, sample("listenq_sockets", ""));
		EXPECT_EQ(most ? 0 : 16, samples("listenq_accept_wait_seconds_bucket"));
	}
}

TEST_HARNESS_MAIN
