// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq -m: each value against the module's files and ss; that series are
 * unique, stay the same and are not too many; and that the file it writes is
 * whole.
 */

#define _GNU_SOURCE
#include <math.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "samples.h"

/* Of somebody who has waited, so that several buckets have some. */
#define WAIT_MS	60

/* A process whose number a namespace has for a name; 0 while there is none. */
static int named;

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

/* The value of @name that is about @fd. */
static double of(int fd, const char *name)
{
	return sample(name, labels_of(fd));
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
	{ "listenq_overflows_ack_total", "overflows_ack", 1 },
	{ "listenq_syn_queue_reserved_drops_total", "synq_reserved", 1 },
	{ "listenq_accept_queue_peak_1m", "acceptq_peak_1m", 1 },
	{ "listenq_syn_queue_peak_1m", "synq_peak_1m", 1 },
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
	LQ_SKIP_FOR(enter_folder());
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
	struct lq_ss ss;
	double value;

	ASSERT_EQ(0, lq_clampf("%d floor 9000", lq_port(fds[1])));
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

			value = of(fds[i], figures[j].name) /
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
			EXPECT_TRUE(from <= nearest(value) &&
				    nearest(value) <= after[i].figure[j]) {
				TH_LOG("%d %s: %f", i, figures[j].name, value);
			}
		}
		ASSERT_TRUE(lq_ss(fds[i], &ss));
		EXPECT_EQ(ss.recvq, of(fds[i], "listenq_accept_queue_length"));
		EXPECT_EQ(ss.sendq, of(fds[i], "listenq_backlog_limit"));
		value = of(fds[i], "listenq_accept_queue_fill_ratio");
		EXPECT_GT(0.0001, fabs(value - (double)ss.recvq / ss.sendq));
		EXPECT_EQ(1, of(fds[i], "listenq_sockets"));
		EXPECT_EQ(i == 1, of(fds[i], "listenq_rule_active"));
	}

	/* When, by the clock on the wall: since then, it is as long as that. */
	value = of(fds[0], "listenq_last_overflow_timestamp_seconds");
	EXPECT_GT(2, fabs(time(NULL) - value -
			  lq_num(fds[0], "since_overflow_ms") / 1e3));
	EXPECT_EQ(nearest(value), value);
	EXPECT_TRUE(isnan(of(fds[1], "listenq_last_overflow_timestamp_seconds")));
}

/* Each bucket has those before it, too; the last has all. */
TEST_F(metrics, histogram)
{
	int fd = lq_listener(AF_INET, 10), row, bounds = 0;
	long long sum = 0, start;
	struct lq_table *table;
	char labels[128];
	double waited;

	if (lq_num(fd, "accepts") == LQ_NONE)
		SKIP(return, "accepts are not known on this kernel");
	for (int i = 0; i < 4; i++)
		lq_enqueue(fd);
	lq_accept(fd);
	start = lq_now_ms();
	lq_wait_until(lq_now_ms() >= start + WAIT_MS);
	lq_accept_many(fd, 2);
	ASSERT_EQ(DONE, tool("-m"));
	table = lq_read(LQ_WAITS);
	row = lq_row(table, fd);
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
	EXPECT_EQ(3, of(fd, "listenq_accept_wait_seconds_count"));
	EXPECT_EQ(3, of(fd, "listenq_accepts_total"));
	waited = 1e3 * of(fd, "listenq_accept_wait_seconds_sum");
	EXPECT_EQ(atoll(lq_cell(table, row, "sum_ms")), nearest(waited));
	EXPECT_LE(2 * WAIT_MS - LQ_SLACK_MS, waited);
	lq_free(table);
}

/* Of the copies of the files, for the tool to read: awk's @program makes one. */
static void change_file(const char *file, const char *program)
{
	if (run("awk '%s' /proc/net/listenq/%s >net/listenq/%s", program, file,
		file))
		errx(1, "%s", output);
}

/* The same where the others are as they should be. */
static void copy_files(const char *file, const char *program)
{
	if (run("rm -rf net/listenq && cp -r /proc/net/listenq net/"))
		errx(1, "%s", output);
	change_file(file, program);
}

/*
 * What each metric shows, of the files that tool.h has samples of. Of a listener
 * where nothing has happened, what is rare has no sample.
 */
static const struct {
	const char *name, *file, *column;
	bool rare;
} books[] = {
	{ "listenq_overflows_ack_total", "sockets", "overflows_ack" },
	{ "listenq_syn_queue_reserved_drops_total", "sockets", "synq_reserved" },
	{ "listenq_accept_queue_peak_1m", "sockets", "acceptq_peak_1m" },
	{ "listenq_syn_queue_peak_1m", "sockets", "synq_peak_1m" },
	{ "listenq_reuseport_sockets", "sockets", "group" },
	{ "listenq_fastopen_queue_length", "sockets", "fastopenq" },
	{ "listenq_fastopen_queue_limit", "sockets", "fastopenq_limit" },
	{ "listenq_requests_total", "handshakes", "requests" },
	{ "listenq_requests_finished_total", "handshakes", "finished" },
	{ "listenq_requests_expired_total", "handshakes", "expired" },
	{ "listenq_requests_reset_total", "handshakes", "reset" },
	{ "listenq_requests_joined_total", "handshakes", "joined", true },
	{ "listenq_requests_carried_total", "handshakes", "carried_requests", true },
	{ "listenq_connections_carried_total", "handshakes", "carried_connections", true },
	{ "listenq_synacks_resent_total", "handshakes", "resent" },
	{ "listenq_syncookies_finished_total", "handshakes", "cookies_finished", true },
	{ "listenq_syncookies_failed_total", "handshakes", "cookies_failed", true },
	{ "listenq_syns_failed_total", "handshakes", "failed" },
	{ "listenq_fastopens_total", "handshakes", "fastopens", true },
	{ "listenq_fastopen_overflows_total", "handshakes", "fastopen_overflows", true },
	{ "listenq_handshake_seconds_count", "handshakes", "count", true },
}, sums[] = {
	{ "listenq_namespace_syns_total", "totals", "syns" },
	{ "listenq_namespace_requests_total", "totals", "requests" },
	{ "listenq_namespace_requests_finished_total", "totals", "finished" },
	{ "listenq_namespace_requests_expired_total", "totals", "expired" },
	{ "listenq_namespace_requests_reset_total", "totals", "reset" },
	{ "listenq_namespace_requests_joined_total", "totals", "joined" },
	{ "listenq_namespace_requests_carried_total", "totals", "carried_requests" },
	{ "listenq_namespace_requests_abandoned_total", "totals", "abandoned" },
	{ "listenq_namespace_synacks_resent_total", "totals", "resent" },
	{ "listenq_namespace_accepts_total", "totals", "accepts" },
	{ "listenq_namespace_connections_carried_total", "totals", "carried_connections" },
	{ "listenq_namespace_connections_unaccepted_total", "totals", "unaccepted" },
	{ "listenq_namespace_overflows_total", "totals", "overflows" },
	{ "listenq_namespace_overflows_ack_total", "totals", "overflows_ack" },
	{ "listenq_namespace_syn_queue_drops_total", "totals", "synq_drops" },
	{ "listenq_namespace_syn_queue_reserved_drops_total", "totals", "synq_reserved" },
	{ "listenq_namespace_syns_failed_total", "totals", "failed" },
	{ "listenq_namespace_syncookies_total", "totals", "syncookies" },
	{ "listenq_namespace_syncookies_finished_total", "totals", "cookies_finished" },
	{ "listenq_namespace_syncookies_failed_total", "totals", "cookies_failed" },
	{ "listenq_namespace_fastopens_total", "totals", "fastopens" },
	{ "listenq_namespace_fastopen_overflows_total", "totals", "fastopen_overflows" },
};

static long long sample_cell(const char *file, int row, const char *column)
{
	struct lq_table *table;
	long long value;
	char path[64];

	snprintf(path, sizeof(path), "net/listenq/%s", file);
	table = lq_read(path);
	value = lq_cell_num(table, row, column);
	lq_free(table);
	return value;
}

/* How many samples of @output have @label. */
static int labelled(const char *label)
{
	int count = 0;

	for (const char *at = output; (at = strstr(at, label)); at++)
		count++;
	return count;
}

TEST_F(metrics, books)
{
	static const char * const ports[] = {
		"port=\"7001\"", "port=\"7002\"", "port=\"7003\"",
	};
	int all, idle;

	write_sample();
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_TRUE(unique());
	for (size_t i = 0; i < ARRAY_SIZE(books); i++)
		for (size_t row = 0; row < ARRAY_SIZE(ports); row++) {
			long long value = sample_cell(books[i].file, row,
						      books[i].column);
			double shown = sample(books[i].name, ports[row]);
			bool none = value == LQ_NONE ||
				    (!value && books[i].rare);

			EXPECT_TRUE(row || (value != LQ_NONE && value));
			EXPECT_TRUE(none ? isnan(shown) : shown == value) {
				TH_LOG("%s: %f", books[i].name, shown);
			}
		}
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++)
		EXPECT_EQ(sample_cell("totals", 0, sums[i].column),
			  sample(sums[i].name, ""));
	/* Documentation/monitoring.rst says how many. */
	all = labelled(ports[0]);
	idle = labelled(ports[1]);
	EXPECT_EQ(76, all);
	EXPECT_EQ(46, idle);
	EXPECT_GT(18, labelled(ports[2]));

	/* Once there may be some, they are counted from 0. */
	change_sample("sockets", "$3 == \"b2\" { $23 = 1; $NF = 5 } 1");
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_EQ(0, sample("listenq_fastopens_total", ports[1]));
	EXPECT_EQ(0, sample("listenq_fastopen_overflows_total", ports[1]));
	EXPECT_EQ(0, sample("listenq_syncookies_failed_total", ports[1]));

	/* An older module has none of it, and all of the rest. */
	write_old_sample();
	ASSERT_EQ(DONE, tool("--proc . -m"));
	for (size_t i = 0; i < ARRAY_SIZE(books); i++)
		EXPECT_EQ(0, samples(books[i].name));
	EXPECT_EQ(201, sample("listenq_syns_total", ports[0]));
	EXPECT_EQ(0, samples("listenq_namespace_requests_total"));
	EXPECT_EQ(405, sample("listenq_namespace_syncookies_total", ""));
}

/* In seconds, each bucket with those before it. */
TEST_F(metrics, handshakes)
{
	static const char name[] = "listenq_handshake_seconds_bucket";
	char label[64];
	int sum = 0;

	write_sample();
	ASSERT_EQ(DONE, tool("--proc . -m"));
	for (int i = 0; i < 16; i++) {
		sum += i + 1;
		if (i < 15)
			snprintf(label, sizeof(label), "le=\"%.6f\"",
				 (256 << i) / 1e6);
		else
			strcpy(label, "le=\"+Inf\"");
		EXPECT_EQ(sum, sample(name, label)) {
			TH_LOG("%s", label);
		}
	}
	EXPECT_EQ(16, samples(name));
	EXPECT_EQ(4.2, sample("listenq_handshake_seconds_sum", ""));
	EXPECT_TRUE(says("# TYPE listenq_handshake_seconds histogram\n"));
	/* That of the waits is the same as ever. */
	EXPECT_EQ(1, sample("listenq_accept_wait_seconds_bucket",
			    "port=\"7001\",process=\"all\",le=\"0.004\""));
	EXPECT_EQ(272, sample("listenq_accept_wait_seconds_sum", "7001"));

	/* Two with the same labels are one; half of them are none. */
	for (int known = 1; known >= 0; known--) {
		write_sample();
		ASSERT_EQ(0, run("cd net/listenq;"
				 " sed -i 's/:7002/:7001/; s/idle/all/' *;"
				 " sed -i '/^b2/s/ 0/ %s/g' handshakes",
				 known ? "7" : "-"));
		ASSERT_EQ(DONE, tool("--proc . -m"));
		EXPECT_EQ(known ? 16 : 0, samples(name));
		if (!known)
			continue;
		EXPECT_EQ(136 + 16 * 7, sample(name, "le=\"+Inf\""));
		EXPECT_EQ(8, sample(name, "le=\"0.000256\""));
		EXPECT_EQ(301 + 7, sample("listenq_requests_total", "7001"));
		EXPECT_EQ(80, sample("listenq_accept_queue_peak_1m", "7001"));
	}
}

/* What is not known has no sample, not one that is 0. */
TEST_F(metrics, unknown)
{
	int fd = full_listener(1);
	struct look known = look(fd);
	char program[256];

	copy_files("sockets", "1");
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		snprintf(program, sizeof(program),
			 "NR == 1 { while ($++at != \"%s\"); } NR > 1 { $at = \"-\" } 1",
			 figures[i].column);
		change_file("sockets", program);
		ASSERT_EQ(DONE, tool("--proc . -m"));
		for (size_t j = 0; j < ARRAY_SIZE(figures); j++) {
			double value = of(fd, figures[j].name);

			EXPECT_EQ(i == j || known.figure[j] == LQ_NONE,
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
	int one = lq_bound_shared(AF_INET, "127.0.0.1", 0);
	int two = lq_bound_shared(AF_INET, "127.0.0.1", lq_port(one));
	int fuller, other;
	long long sum = 0;
	double value;

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
	EXPECT_EQ(2, of(one, "listenq_sockets"));
	EXPECT_EQ(2, of(one, "listenq_reuseport_sockets"));
	EXPECT_EQ(2, sample("listenq_listeners", ""));
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		long long a = lq_num(one, figures[i].column);
		long long b = lq_num(two, figures[i].column);

		value = of(one, figures[i].name);
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
	value = of(one, "listenq_accept_queue_fill_ratio");
	EXPECT_GT(0.0001, fabs(value - (double)lq_num(fuller, "acceptq") /
				     lq_num(fuller, "limit")));
	EXPECT_LE((double)lq_num(other, "acceptq") / lq_num(other, "limit"),
		  value + 0.0001);

	/* Half a sum would fall and rise, and look like something happening. */
	copy_files("sockets", "NR == 2 { for (i = 8; i <= NF; i++) $i = \"-\" } 1");
	ASSERT_EQ(DONE, tool("--proc . -m"));
	EXPECT_EQ(2, of(one, "listenq_sockets"));
	EXPECT_EQ(0, samples("listenq_syns_total"));
	EXPECT_EQ(0, samples("listenq_backlog_asked"));
	EXPECT_EQ(1, samples("listenq_accept_queue_peak"));
}

/* The books of a real listener, and of its namespace when it is gone. */
TEST_F(metrics, real_books)
{
	int fd = lq_listener(AF_INET, 5), strangers;
	struct lq_table *table;
	char labels[128];

	for (int i = 0; i < 3; i++)
		lq_enqueue(fd);
	lq_accept(fd);
	lq_dummy_up();
	strangers = lq_listener_any(AF_INET, 50);
	lq_send_syns(AF_INET, lq_port(strangers), 0, 7);
	EXPECT_TRUE(lq_wait_until(lq_num(strangers, "synq") == 7));
	ASSERT_EQ(DONE, tool("-m"));
	EXPECT_EQ(3, of(fd, "listenq_requests_total"));
	EXPECT_EQ(3, of(fd, "listenq_requests_finished_total"));
	EXPECT_EQ(0, of(fd, "listenq_requests_expired_total"));
	EXPECT_EQ(3, of(fd, "listenq_handshake_seconds_count"));
	EXPECT_EQ(3, of(fd, "listenq_accept_queue_peak_1m"));

	table = lq_read("/proc/net/listenq/handshakes");
	snprintf(labels, sizeof(labels), "%s,process=\"metrics\",le=\"+Inf\"",
		 labels_of(fd));
	EXPECT_EQ(atoll(lq_cell(table, lq_row(table, fd), "count")),
		  sample("listenq_handshake_seconds_bucket", labels));
	EXPECT_EQ(atoll(lq_cell(table, lq_row(table, fd), "sum_us")),
		  nearest(1e6 * of(fd, "listenq_handshake_seconds_sum")));
	lq_free(table);

	snprintf(labels, sizeof(labels), "port=\"%d\"", lq_port(strangers));
	EXPECT_EQ(7, sample("listenq_requests_total", labels));
	EXPECT_EQ(7, sample("listenq_syn_queue_peak_1m", labels));

	close(fd);
	close(strangers);
	ASSERT_EQ(DONE, tool("-m"));
	EXPECT_EQ(2, sample("listenq_namespace_connections_unaccepted_total", ""));
	EXPECT_EQ(7, sample("listenq_namespace_requests_abandoned_total", ""));
	EXPECT_EQ(10, sample("listenq_namespace_requests_total", ""));
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

/* Of those of one age, whose ports are the lowest are kept, whatever the others do. */
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
	/* The oldest come first, if they are older than the others by far. */
	write_sample();
	change_sample("sockets", "$3 == \"c3\" { $18 = 3600000 } 1");
	ASSERT_EQ(DONE, tool("--proc . -m --max 1"));
	EXPECT_EQ(1, sample("listenq_sockets", "port=\"7003\""));
	EXPECT_EQ(2, sample("listenq_listeners_omitted", ""));
	/* Filters come first. */
	ASSERT_EQ(DONE, tool("-m --max 1 -p %d", PORT + COUNT - 1));
	EXPECT_EQ(1, samples("listenq_sockets"));
	EXPECT_EQ(0, sample("listenq_listeners_omitted", ""));
}

/* Totals and listeners of each namespace, and who has which. */
TEST_F(metrics, namespaces)
{
	int here = lq_listener(AF_INET, 1), port, unused;
	pid_t child = listen_elsewhere("there", 3, &port), other, idle;
	char label[64], labels[128];

	lq_connect(here);
	ASSERT_EQ(0, run("ip netns attach lqmetrics %d", child));
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_TRUE(unique());
	snprintf(labels, sizeof(labels),
		 "{netns=\"lqmetrics\",proto=\"tcp\",address=\"127.0.0.1\",port=\"%d\"}",
		 port);
	EXPECT_EQ(7, sample("listenq_backlog_limit", labels));
	EXPECT_EQ(3, sample("listenq_namespace_syns_total",
			    "{netns=\"lqmetrics\"}"));
	snprintf(label, sizeof(label), "{netns=\"%d\"}", getpid());
	EXPECT_EQ(lq_total("syns"), sample("listenq_namespace_syns_total",
					   label));
	EXPECT_EQ(1, lq_total("syns"));
	EXPECT_LE(2, sample("listenq_namespaces", ""));

	/* Nothing happens where nobody listens, unless it has a name. */
	idle = lq_fork_ready();
	if (!idle) {
		lq_new_netns();
		lq_stay();
	}
	snprintf(label, sizeof(label), "netns=\"%d\"", idle);
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_EQ(0, sample("listenq_namespaces_omitted", ""));
	EXPECT_EQ(NULL, strstr(output, label));
	ASSERT_EQ(0, run("ip netns attach lqidle %d", idle));
	ASSERT_EQ(DONE, tool("-am"));
	EXPECT_EQ(0, sample("listenq_namespace_syns_total",
			    "{netns=\"lqidle\"}"));
	ASSERT_EQ(0, run("ip netns delete lqidle"));
	lq_kill(idle);

	/* A name that is a number, of a process that is somewhere else. */
	other = listen_elsewhere("other", 0, &unused);
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
	lq_kill(child);
	lq_kill(other);
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
		} else if (!strcmp(state, "silenced")) {
			EXPECT_EQ(0, sample("listenq_hook_active", label));
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
	EXPECT_TRUE(says("# TYPE listenq_overflows counter\n"));
	EXPECT_TRUE(says("\nlistenq_overflows_total{"));
	EXPECT_TRUE(says("# TYPE listenq_module info\n"));
	EXPECT_TRUE(says("# UNIT listenq_accept_wait_seconds seconds\n"));
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
	EXPECT_OUTPUT("", tool("-m -o x.prom"));
	EXPECT_EQ(0, run("ls && cat x.prom"));
	EXPECT_EQ(0, strncmp(output, "net\nx.prom\n", 11));
	EXPECT_EQ(1, sample("listenq_up", ""));
	EXPECT_EQ(1, samples("listenq_sockets"));
	ASSERT_EQ(0, lstat("x.prom", &stat));
	EXPECT_EQ(0644, stat.st_mode & 0777);

	EXPECT_TROUBLE(tool("--proc /nowhere -m -o x.prom"));
	EXPECT_EQ(0, run("cat x.prom"));
	EXPECT_EQ(3, lines(output));
	EXPECT_EQ(0, sample("listenq_up", ""));
	EXPECT_TROUBLE(tool("--proc /nowhere -m"));

	/* No room for it. */
	ASSERT_EQ(0, run("mkdir small && mount -t tmpfs -o size=4k none small"));
	ASSERT_EQ(0, run("echo old >small/x.prom"));
	EXPECT_TROUBLE(tool("-m -o small/x.prom"));
	EXPECT_OUTPUT("x.prom\nold\n", run("ls small && cat small/x.prom"));
	ASSERT_EQ(0, run("umount small && rmdir small"));

	static const char * const wrong[] = {
		"-m -o /nowhere/x.prom", "-m -o /tmp", "-o /tmp/x", "--max 4",
		"-m -o /dev/null", "-m --max -1", "-m --max x", "-m -j",
		"-m --names x", "--names own",
		"--metrics=json", "-m >/dev/full",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_TROUBLE(run("{ $LISTENQ %s; } 2>&1 </dev/null", wrong[i]));
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
	const char *valgrind = hurry() || !have("valgrind") ? "$LISTENQ" :
			       VALGRIND " $LISTENQ_PLAIN";

	full_listener(1);
	lq_listener(lq_family(1), 1);
	EXPECT_RUN(DONE, run("%s -am 2>&1", valgrind));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		copy_files(files[i].file, files[i].program);
		EXPECT_RUN(files[i].status, run("%s --proc . -m 2>&1",
						files[i].checked ? valgrind :
								   "$LISTENQ"));
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
