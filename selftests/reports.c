// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of listeners beside the files: the kernel log's lines about
 * accept queues that overflow, and the tracepoints.
 *
 * Overflows are made one by one: by SYNs that are forged, so that nobody
 * sends them again, or by clients that leave at once. Lines and events are
 * told from others' by the namespace that they name.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define PARAMETER	"/sys/module/listenq/parameters/log_interval"
#define LEAD		"listenq: net:["
#define LINE		512

/* Where lq_send_syns() sends to. */
#define HERE4		"10.9.255.254"
#define HERE6		"fd09::ffff"

/* For so long a line that must not come is waited for. */
#define SILENCE_MS	300

#define MANY		lq_scaled(1000)
/* The kernel lets ten pass in five seconds. */
#define MOST_LINES	40
#define UNLOADS		lq_scaled(20)

#define INSTANCE	"lqtest"
#define MOST_EVENTS	64
#define MOST_CPUS	64

static unsigned long netns(void)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		err(1, "/proc/self/ns/net");
	return st.st_ino;
}

/* A file's first line. */
static const char *text_of(const char *path)
{
	static char text[64];
	FILE *file = fopen(path, "r");

	if (!file || !fgets(text, sizeof(text), file))
		err(1, "%s", path);
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* A listener at @host that holds all that it can, and knows no overflow. */
static int full(struct __test_metadata *_metadata, int family,
		const char *host, int backlog)
{
	int fd = lq_bound(family, host, 0);

	lq_listen(fd, backlog);
	for (int i = 0; i <= backlog; i++)
		close(lq_connect(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == backlog + 1));
	EXPECT_EQ(0, lq_num(fd, "overflows"));
	return fd;
}

static int full_any(struct __test_metadata *_metadata, int backlog)
{
	return full(_metadata, AF_INET, "0.0.0.0", backlog);
}

/* @count SYNs that the full queue of @fd turns away. */
static void flood(struct __test_metadata *_metadata, int fd, int family,
		  int count)
{
	static int first;
	long long overflows = lq_num(fd, "overflows");

	lq_send_syns(family, lq_port(fd), first, count);
	first += count;
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "overflows") >=
				  overflows + count));
	EXPECT_EQ(overflows + count, lq_num(fd, "overflows"));
}

/* The lines. */
FIXTURE(lines)
{
	bool loaded;
	char interval[64];
	int log;
};

/* The host's limit on lines starts anew with the module. */
FIXTURE_SETUP(lines)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	strcpy(self->interval, text_of(PARAMETER));
	self->log = lq_open_log();
	if (self->log < 0)
		SKIP(longjmp(_metadata->env, 1), "no kernel log to be read");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	lq_dummy_up();
}

FIXTURE_TEARDOWN(lines)
{
	close(self->log);
	if (!lq_loaded())
		EXPECT_EQ(0, lq_load());
	if (self->loaded)
		lq_write_file(PARAMETER, self->interval);
	else
		EXPECT_EQ(0, lq_unload());
}

/* /dev/kmsg says \x5c for a backslash, and so on. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int byte;

	while (*text) {
		if (sscanf(text, "\\x%2x", &byte) == 1) {
			*to++ = byte;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* The next line about this namespace, without what all of them begin with. */
static bool next_line(int log, char *line)
{
	char lead[64], text[LINE];

	snprintf(lead, sizeof(lead), LEAD "%lu] ", netns());
	while (lq_read_log(log, text, sizeof(text))) {
		if (strncmp(text, lead, strlen(lead)))
			continue;
		unescape(text);
		strcpy(line, text + strlen(lead));
		return true;
	}
	return false;
}

static void check_line(struct __test_metadata *_metadata, int log,
		       const char *local, const char *caller, int limit,
		       long long times)
{
	char line[LINE] = "", expected[LINE];

	snprintf(expected, sizeof(expected),
		 "%s %s: accept queue full, limit %d, overflows %lld", local,
		 caller, limit, times);
	EXPECT_TRUE(lq_wait_until(next_line(log, line)));
	EXPECT_STREQ(expected, line);
}

/* Nothing is said for a while, though the work may be done by others. */
static void check_silence(struct __test_metadata *_metadata, int log)
{
	long long start = lq_now_ms();
	char line[LINE] = "";

	lq_wait_until(next_line(log, line) ||
		      lq_now_ms() - start > SILENCE_MS);
	EXPECT_STREQ("", line);
}

/* "0.0.0.0:PORT" */
static const char *local_any(int fd)
{
	static char text[32];

	snprintf(text, sizeof(text), "0.0.0.0:%d", lq_port(fd));
	return text;
}

static const char *caller_here(const char *comm)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s[%d]", comm, getpid());
	return text;
}

/* A line at once, and no second one within the default of a minute. */
TEST_F(lines, first_overflow_at_once)
{
	int fd = full_any(_metadata, 1);

	EXPECT_STREQ("60", text_of(PARAMETER));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   1, 1);
	flood(_metadata, fd, AF_INET, 9);
	check_silence(_metadata, self->log);

	/* The minute is this listener's own. */
	fd = full_any(_metadata, 2);
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   2, 1);
	check_silence(_metadata, self->log);
}

/* All that the line says of the listener, as sockets says it. */
TEST_F(lines, name_the_listener)
{
	static const struct {
		int family;
		const char *host;
		const char *shown;
		int syns;
	} places[] = {
		{ AF_INET, "0.0.0.0", "0.0.0.0", AF_INET },
		{ AF_INET, HERE4, HERE4, AF_INET },
		{ AF_INET6, "::", "[::]", AF_INET6 },
		{ AF_INET6, "::", "[::]", AF_INET },
		{ AF_INET6, HERE6, "[" HERE6 "]", AF_INET6 },
		{ AF_INET6, "::ffff:" HERE4, "[::ffff:" HERE4 "]", AF_INET },
	};

	for (int i = 0; i < (int)ARRAY_SIZE(places); i++) {
		char local[128];
		int fd;

		if (!lq_has_family(places[i].family))
			continue;
		fd = full(_metadata, places[i].family, places[i].host, i);
		snprintf(local, sizeof(local), "%s:%d", places[i].shown,
			 lq_port(fd));
		EXPECT_STREQ(local, lq_str(fd, "local"));
		flood(_metadata, fd, places[i].syns, 1);
		check_line(_metadata, self->log, local, caller_here("reports"),
			   i, 1);
		close(fd);
	}
}

/* The limit that the queue goes by, whatever was asked. */
TEST_F(lines, name_the_limit_in_force)
{
	int fd = lq_listener_any(AF_INET, 100);

	ASSERT_EQ(0, lq_clamp("* force 1\n"));
	for (int i = 0; i < 2; i++)
		close(lq_connect(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   1, 1);
}

/* A process names itself, and no terminal takes that for anything but text. */
TEST_F(lines, escape_the_name)
{
	static const struct {
		const char *comm;
		const char *shown;
	} names[] = {
		{ "a\033[1mb\nc d\\e", "a\\033[1mb\\012c\\040d\\134e" },
		{ "\r\tx\377\177", "\\015\\011x\\377\\177" },
		{ "\033\033\033\033\033\033\033\033\033\033\033\033\033\033\033",
		  "\\033\\033\\033\\033\\033\\033\\033\\033\\033\\033\\033"
		  "\\033\\033\\033\\033" },
		{ "fifteen-letters", "fifteen-letters" },
	};

	for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
		int fd;

		ASSERT_EQ(0, prctl(PR_SET_NAME, names[i].comm));
		fd = full_any(_metadata, 1);
		EXPECT_STREQ(names[i].shown, lq_str(fd, "comm"));
		flood(_metadata, fd, AF_INET, 1);
		check_line(_metadata, self->log, local_any(fd),
			   caller_here(names[i].shown), 1, 1);
	}
}

/* Of a listener from before the load nobody knows who called listen(). */
TEST_F(lines, from_before_the_load)
{
	int fd;

	ASSERT_EQ(0, lq_unload());
	fd = lq_listener_any(AF_INET, 1);
	for (int i = 0; i < 2; i++)
		close(lq_connect(fd));
	ASSERT_EQ(0, lq_load());
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), "-", 1, 1);

	/* Its next listen() is known, but doesn't make it another one. */
	lq_listen(fd, 1);
	flood(_metadata, fd, AF_INET, 3);
	check_silence(_metadata, self->log);
}

static bool due(long long since, int interval_ms)
{
	return lq_now_ms() - since > interval_ms + LQ_SLACK_MS;
}

/* How often a line says that it was. */
static long long times_of(const char *line)
{
	static const char name[] = ", overflows ";
	const char *figure = strstr(line, name);

	if (!figure)
		errx(1, "a line without overflows: %s", line);
	return atoll(figure + strlen(name));
}

/* One line per interval; together they account for every overflow. */
TEST_F(lines, once_per_interval)
{
	long long start, last, total = 0, overflows;
	int fd = full_any(_metadata, 1), count = 0;
	char line[LINE];

	lq_write_file(PARAMETER, "2\n");
	start = lq_now_ms();
	for (int round = 0; round < 3; round++) {
		flood(_metadata, fd, AF_INET, 1);
		last = lq_now_ms();
		EXPECT_TRUE(lq_wait_until(next_line(self->log, line)));
		count++;
		total += times_of(line);
		overflows = lq_num(fd, "overflows");
		EXPECT_EQ(overflows, total);
		if (round == 2)
			break;

		/* Untold, and remembered for the next one. */
		flood(_metadata, fd, AF_INET, 4);
		while (!due(last, 2000) && next_line(self->log, line)) {
			count++;
			total += times_of(line);
		}
		/* On a machine that is fast enough for that. */
		if (!due(start, 2000 - 2 * LQ_SLACK_MS) && !round) {
			EXPECT_EQ(1, count);
			EXPECT_EQ(1, total);
		}
		EXPECT_TRUE(lq_wait_until(due(last, 2000)));
	}
	EXPECT_GE(1 + (lq_now_ms() - start + LQ_SLACK_MS) / 2000, count);
	EXPECT_LE(3, count);
	EXPECT_EQ(3 + 2 * 4, lq_num(fd, "overflows"));
	EXPECT_EQ(3 + 2 * 4, lq_netstat("ListenOverflows"));
	EXPECT_EQ(3 + 2 * 4, total);
}

/* 0 prints none; what was not told then is told by the first line after. */
TEST_F(lines, none_at_0)
{
	int fd = full_any(_metadata, 1);

	lq_write_file(PARAMETER, "0\n");
	flood(_metadata, fd, AF_INET, 5);
	check_silence(_metadata, self->log);
	lq_write_file(PARAMETER, "60\n");
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   1, 6);
}

/* As long as the parameter can be: no product of it comes round to little. */
TEST_F(lines, the_longest_interval)
{
	static const char * const intervals[] = {
		"4294967295", "2147483648", "17179870", "4294968",
	};

	for (int i = 0; i < (int)ARRAY_SIZE(intervals); i++) {
		int fd = full_any(_metadata, 1);

		lq_write_file(PARAMETER, intervals[i]);
		flood(_metadata, fd, AF_INET, 1);
		check_line(_metadata, self->log, local_any(fd),
			   caller_here("reports"), 1, 1);
		flood(_metadata, fd, AF_INET, 1);
		check_silence(_metadata, self->log);
	}
}

/* A socket that listens anew is another listener. */
TEST_F(lines, listening_again)
{
	int fd = full_any(_metadata, 1);

	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   1, 1);
	flood(_metadata, fd, AF_INET, 6);
	check_silence(_metadata, self->log);

	lq_end_listening(fd);
	lq_listen(fd, 0);
	close(lq_connect(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 1));
	EXPECT_EQ(0, lq_num(fd, "overflows"));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), caller_here("reports"),
		   0, 1);
}

/* All connections that wait in this namespace. */
static long long waiting(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	long long sum = 0;

	for (int row = 0; row < table->nrows; row++)
		sum += atoll(lq_cell(table, row, "acceptq"));
	lq_free(table);
	return sum;
}

/* However many overflow at once, the log stays readable. */
TEST_F(lines, bounded_for_many_listeners)
{
	const struct rlimit files = { 4096, 4096 };
	int *fds = calloc(MANY, sizeof(*fds));
	int count = 0, wrong = 0;
	char line[LINE];

	if (!fds || setrlimit(RLIMIT_NOFILE, &files))
		err(1, "room for %d listeners", MANY);
	for (int i = 0; i < MANY; i++) {
		fds[i] = lq_listener_any(AF_INET, 0);
		lq_connect(fds[i]);
	}
	EXPECT_TRUE(lq_wait_until(waiting() == MANY));
	EXPECT_EQ(0, lq_total("overflows"));
	for (int i = 0; i < MANY; i++)
		lq_send_syns(AF_INET, lq_port(fds[i]), i, 1);
	EXPECT_TRUE(lq_wait_until(lq_total("overflows") >= MANY));
	EXPECT_EQ(MANY, lq_total("overflows"));

	for (int i = 0; i < 2; i++) {
		long long start = lq_now_ms();

		while (lq_now_ms() - start < SILENCE_MS) {
			if (!next_line(self->log, line)) {
				lq_pause();
				continue;
			}
			count++;
			wrong += times_of(line) != 1;
		}
	}
	EXPECT_LE(1, count);
	EXPECT_GT(MOST_LINES, count);
	EXPECT_EQ(0, wrong);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	free(fds);
}

TEST_F(lines, given_at_the_load)
{
	int fd = full_any(_metadata, 1);

	if (!lq_module_path())
		SKIP(return, "no module file: set LISTENQ_KO");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("log_interval=0"));
	EXPECT_STREQ("0", text_of(PARAMETER));
	flood(_metadata, fd, AF_INET, 3);
	check_silence(_metadata, self->log);

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("log_interval=3600"));
	EXPECT_STREQ("3600", text_of(PARAMETER));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), "-", 1, 1);

	ASSERT_EQ(0, lq_unload());
	EXPECT_EQ(EINVAL, lq_load_with("log_interval=-1"));
	EXPECT_EQ(EINVAL, lq_load_with("log_interval=often"));
	EXPECT_FALSE(lq_loaded());
}

/* A line that is still to be printed goes out, or goes with the module. */
TEST_F(lines, unload_right_after_an_overflow)
{
	int fd = full_any(_metadata, 1), port = lq_port(fd);
	char line[LINE];
	int count = 0;

	for (int i = 0; i < UNLOADS; i++) {
		lq_send_syns(AF_INET, port, 10 * i, 10);
		ASSERT_EQ(0, lq_unload());
		EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") ==
					  10 * (i + 1)));
		ASSERT_EQ(0, lq_load());
		while (next_line(self->log, line))
			count++;
	}
	EXPECT_GE(UNLOADS, count);
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, self->log, local_any(fd), "-", 1, 1);
}

/* The events, in an instance of their own: nobody else's are touched. */
FIXTURE(events)
{
	bool loaded;
	char dir[64];
};

static void write_below(const char *dir, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	lq_write_file(path, text);
}

/* It is opening the file that empties it. */
static void clear_events(const char *dir)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/trace", dir);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	close(fd);
}

static const char *text_below(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return text_of(path);
}

#define ENABLE_ALL	"events/listenq/enable"
#define ENABLE_LISTEN	"events/listenq/listenq_listen/enable"
#define ENABLE_OVERFLOW	"events/listenq/listenq_overflow/enable"

FIXTURE_SETUP(events)
{
	static const char * const dirs[] = {
		"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
	};

	self->loaded = lq_loaded();
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	lq_dummy_up();
	for (int i = 0; i < 2; i++) {
		snprintf(self->dir, sizeof(self->dir), "%s/instances",
			 dirs[i]);
		if (access(self->dir, W_OK))
			continue;
		snprintf(self->dir, sizeof(self->dir),
			 "%s/instances/" INSTANCE, dirs[i]);
		/* One that a test has left behind which was killed will do. */
		ASSERT_TRUE(!mkdir(self->dir, 0700) || errno == EEXIST);
		write_below(self->dir, ENABLE_ALL, "0");
		clear_events(self->dir);
		write_below(self->dir, ENABLE_ALL, "1");
		return;
	}
	SKIP(longjmp(_metadata->env, 1), "no tracefs with instances");
}

FIXTURE_TEARDOWN(events)
{
	int error = 0;

	if (lq_loaded())
		write_below(self->dir, ENABLE_ALL, "0");
	EXPECT_EQ(0, rmdir(self->dir));
	if (self->loaded && !lq_loaded())
		error = lq_load();
	else if (!self->loaded && lq_loaded())
		error = lq_unload();
	EXPECT_EQ(0, error);
}

/* This namespace's events, each as "name: text" without the namespace. */
struct events {
	int count;
	char lines[MOST_EVENTS][160];
};

static void parse_events(FILE *file, struct events *events)
{
	char line[1024], lead[64];

	snprintf(lead, sizeof(lead), ": net:[%lu] ", netns());
	events->count = 0;
	while (fgets(line, sizeof(line), file)) {
		char *name = strstr(line, "listenq_");
		char *text = strstr(line, lead);

		if (*line == '#' || !name || !text || text < name)
			continue;
		if (events->count == MOST_EVENTS)
			errx(1, "more than %d events", MOST_EVENTS);
		text[strcspn(text, "\n")] = '\0';
		snprintf(events->lines[events->count++], 160, "%.*s: %s",
			 (int)(text - name), name, text + strlen(lead));
	}
}

static struct events *events_in(const char *dir)
{
	static struct events events;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/trace", dir);
	file = fopen(path, "r");
	if (!file)
		err(1, "%s", path);
	parse_events(file, &events);
	fclose(file);
	return &events;
}

/* There are @count events, the last of which says @expected. */
static void check_last(struct __test_metadata *_metadata, const char *dir,
		       int count, const char *expected)
{
	struct events *events;

	EXPECT_TRUE(lq_wait_until(events_in(dir)->count >= count));
	events = events_in(dir);
	ASSERT_EQ(count, events->count);
	EXPECT_STREQ(expected, events->lines[count - 1]);
}

/* What a listen() on @fd is to be told as; @asked may be unknown. */
static const char *listen_event(int fd, const char *asked, int granted,
				int limit, const char *which)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "listenq_listen: local=%s asked=%s granted=%d limit=%d %s",
		 lq_str(fd, "local"), asked, granted, limit, which);
	return text;
}

static const char *overflow_event(int fd, int limit, const char *on)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "listenq_overflow: local=%s limit=%d on=%s",
		 lq_str(fd, "local"), limit, on);
	return text;
}

/* For filters and for programs that read events in binary. */
TEST_F(events, format_lists_the_fields)
{
	static const struct {
		const char *event;
		const char *fields[10];
	} formats[] = {
		{ "listenq_listen",
		  { "netns", "family", "saddr", "sport", "asked",
		    "asked_known", "granted", "limit", "again" } },
		{ "listenq_overflow",
		  { "netns", "family", "saddr", "sport", "limit" } },
	};

	for (int i = 0; i < (int)ARRAY_SIZE(formats); i++) {
		const char *const *field = formats[i].fields;
		char path[256], text[8192], wanted[64];
		size_t len;
		FILE *file;

		snprintf(path, sizeof(path), "%s/events/listenq/%s/format",
			 self->dir, formats[i].event);
		file = fopen(path, "r");
		ASSERT_NE(NULL, file);
		len = fread(text, 1, sizeof(text) - 1, file);
		text[len] = '\0';
		fclose(file);
		for (; *field; field++) {
			char *line = strstr(text, "field:");
			bool found = false;

			/* "field:type name;" or "field:type name[size];" */
			for (; line && !found;
			     line = strstr(line + 1, "field:")) {
				size_t end = strcspn(line, ";[");

				snprintf(wanted, sizeof(wanted), " %s",
					 *field);
				found = end > strlen(wanted) &&
					!strncmp(line + end - strlen(wanted),
						 wanted, strlen(wanted));
			}
			EXPECT_TRUE(found) {
				TH_LOG("%s: no field %s", formats[i].event,
				       *field);
			}
		}
	}
}

TEST_F(events, first_and_repeated_listen)
{
	static const struct {
		int family;
		const char *host;
		const char *shown;
	} places[] = {
		{ AF_INET, "127.0.0.1", "127.0.0.1" },
		{ AF_INET, "0.0.0.0", "0.0.0.0" },
		{ AF_INET6, "::1", "[::1]" },
		{ AF_INET6, "::", "[::]" },
		{ AF_INET6, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]" },
	};
	static const struct {
		int asked;
		int granted;
	} steps[] = {
		{ 5, 5 }, { 0, 0 }, { -1, SOMAXCONN_HERE },
		{ SOMAXCONN_HERE, SOMAXCONN_HERE },
		{ INT_MAX, SOMAXCONN_HERE }, { INT_MIN, SOMAXCONN_HERE },
		{ SOMAXCONN_HERE - 1, SOMAXCONN_HERE - 1 },
	};
	int count = 0;

	for (int p = 0; p < (int)ARRAY_SIZE(places); p++) {
		int fd;

		if (!lq_has_family(places[p].family))
			continue;
		fd = lq_bound(places[p].family, places[p].host, 0);
		for (int i = 0; i < (int)ARRAY_SIZE(steps); i++) {
			int granted = steps[i].granted;
			char expected[256];

			snprintf(expected, sizeof(expected),
				 "listenq_listen: local=%s:%d asked=%d granted=%d limit=%d %s",
				 places[p].shown, lq_port(fd), steps[i].asked,
				 granted, granted, i ? "again" : "first");
			lq_listen(fd, steps[i].asked);
			check_last(_metadata, self->dir, ++count, expected);
		}
		close(fd);
	}
}

/* It stopped in between. */
TEST_F(events, listening_again_is_a_first_one)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 0);

	for (int i = 1; i <= 3; i++) {
		lq_listen(fd, i);
		check_last(_metadata, self->dir, i,
			   listen_event(fd, i == 1 ? "1" : i == 2 ? "2" : "3",
					i, i, "first"));
		lq_end_listening(fd);
	}
}

TEST_F(events, failed_listen)
{
	int fd = lq_listener(AF_INET, 5);
	int client = lq_connect(fd);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT_EQ(-1, listen(client, 9));
	EXPECT_EQ(-1, listen(udp, 9));
	EXPECT_EQ(-1, listen(-1, 9));
	lq_listen(fd, 6);
	check_last(_metadata, self->dir, 2,
		   listen_event(fd, "6", 6, 6, "again"));
}

TEST_F(events, listen_under_a_rule)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 8080);

	ASSERT_EQ(0, lq_clamp("8080 somaxconn 500 floor 20\n"));
	lq_listen(fd, 50);
	check_last(_metadata, self->dir, 1,
		   listen_event(fd, "50", 50, 50, "first"));
	lq_listen(fd, 3);
	check_last(_metadata, self->dir, 2,
		   listen_event(fd, "3", 3, 20, "again"));
	lq_listen(fd, -1);
	check_last(_metadata, self->dir, 3,
		   listen_event(fd, "-1", SOMAXCONN_HERE, 500, "again"));

	/* A rule that comes later calls no listen(). */
	ASSERT_EQ(0, lq_clamp("8080 force 7\n"));
	EXPECT_EQ(7, lq_num(fd, "limit"));
	EXPECT_EQ(3, events_in(self->dir)->count);
}

TEST_F(events, listen_by_io_uring)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 0);
	int error = lq_uring_listen(fd, INT_MAX);

	if (error == -1 || error == EINVAL)
		SKIP(return, "the kernel has no io_uring that listens");
	ASSERT_EQ(0, error);
	check_last(_metadata, self->dir, 1,
		   listen_event(fd, "2147483647", SOMAXCONN_HERE,
				SOMAXCONN_HERE, "first"));
	ASSERT_EQ(0, lq_uring_listen(fd, 3));
	check_last(_metadata, self->dir, 2,
		   listen_event(fd, "3", 3, 3, "again"));
}

/*
 * MPTCP's path manager asks for 1024, which nobody clamps. Where that is all
 * that somaxconn allows, it could have been more.
 */
TEST_F(events, listen_by_the_kernel)
{
	static const struct {
		int somaxconn;
		const char *asked;
	} steps[] = {
		{ SOMAXCONN_HERE, "1024" }, { 1024, "1024?" },
	};

	for (int i = 0; i < 2; i++) {
		char command[128], expected[256];
		struct lq_table *table;
		int row;

		lq_set_somaxconn(steps[i].somaxconn);
		snprintf(command, sizeof(command),
			 "ip mptcp endpoint add 127.0.0.1 port %d signal 2>/dev/null",
			 7770 + i);
		if (lq_run(command))
			SKIP(return, "no MPTCP endpoint with a port");
		snprintf(expected, sizeof(expected),
			 "listenq_listen: local=127.0.0.1:%d asked=%s granted=1024 limit=1024 first",
			 7770 + i, steps[i].asked);
		check_last(_metadata, self->dir, 1 + i, expected);

		snprintf(expected, sizeof(expected), "127.0.0.1:%d", 7770 + i);
		table = lq_read(LQ_SOCKETS);
		row = lq_find(table, "local", expected);
		ASSERT_LE(0, row);
		EXPECT_STREQ(strchr(steps[i].asked, '?') ? "-" : steps[i].asked,
			     lq_cell(table, row, "asked"));
		lq_free(table);
		/* One address takes one endpoint. */
		lq_run("ip mptcp endpoint flush 2>/dev/null");
	}
}

TEST_F(events, overflow_on_a_syn)
{
	int count = 0;

	write_below(self->dir, ENABLE_LISTEN, "0");
	for (int i = 0; i < lq_families(); i++) {
		int fd = full(_metadata, lq_family(i), i ? "::" : "0.0.0.0",
			      1 + i);

		for (int n = 0; n < 3; n++) {
			flood(_metadata, fd, lq_family(i), 1);
			check_last(_metadata, self->dir, ++count,
				   overflow_event(fd, 1 + i, "SYN"));
		}
		flood(_metadata, fd, lq_family(i), 10);
		count += 10;
		check_last(_metadata, self->dir, count,
			   overflow_event(fd, 1 + i, "SYN"));

		/* The limit in force. */
		ASSERT_EQ(0, lq_clamp("* force 0\n"));
		flood(_metadata, fd, lq_family(i), 1);
		check_last(_metadata, self->dir, ++count,
			   overflow_event(fd, 0, "SYN"));
		ASSERT_EQ(0, lq_clamp("flush"));
	}
}

/* One whose connection isn't made before it sends data. */
static int begin(struct __test_metadata *_metadata, int fd)
{
	long long synq = lq_num(fd, "synq");
	int client = lq_connect(fd);

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == synq + 1));
	return client;
}

/* Ends @client with a RST: it sends nothing again. */
static void leave(int client)
{
	const struct linger linger = { .l_onoff = 1 };

	if (setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		err(1, "SO_LINGER");
	close(client);
}

/*
 * With TCP_DEFER_ACCEPT it is the first data that ends a handshake, when it
 * suits the client: here, after others have filled the accept queue. It sends
 * them again until it leaves, and each time counts.
 */
TEST_F(events, overflow_on_an_ack)
{
	static const struct {
		int family;
		const char *host;
	} places[] = {
		{ AF_INET, "127.0.0.1" }, { AF_INET6, "::1" },
		{ AF_INET6, "::ffff:127.0.0.1" },
	};
	const int seconds = 60, limit = 4;

	write_below(self->dir, ENABLE_LISTEN, "0");
	for (int p = 0; p < (int)ARRAY_SIZE(places); p++) {
		long long before = lq_netstat("ListenOverflows"), overflows;
		char expected[256];
		int fd, late;

		if (!lq_has_family(places[p].family))
			continue;
		fd = lq_bound(places[p].family, places[p].host, 0);
		clear_events(self->dir);
		ASSERT_EQ(0, setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
					&seconds, sizeof(seconds)));
		lq_listen(fd, limit);
		late = begin(_metadata, fd);
		for (int i = 0; i <= limit; i++) {
			int client = begin(_metadata, fd);

			ASSERT_EQ(1, write(client, "a", 1));
			EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") ==
						  i + 1));
		}
		EXPECT_EQ(1, lq_num(fd, "synq"));
		EXPECT_EQ(0, lq_num(fd, "overflows"));

		ASSERT_EQ(1, write(late, "a", 1));
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "overflows") >= 2));
		leave(late);
		overflows = lq_num(fd, "overflows");
		EXPECT_EQ(before + overflows, lq_netstat("ListenOverflows"));
		EXPECT_EQ(limit + 1, lq_num(fd, "acceptq"));
		snprintf(expected, sizeof(expected), "%s",
			 overflow_event(fd, limit, "ACK"));
		check_last(_metadata, self->dir, overflows, expected);
		for (int i = 0; i < overflows; i++)
			EXPECT_STREQ(expected,
				     events_in(self->dir)->lines[i]);
		close(fd);
	}
}

TEST_F(events, none_while_disabled)
{
	int fd;

	write_below(self->dir, ENABLE_ALL, "0");
	fd = full_any(_metadata, 1);
	flood(_metadata, fd, AF_INET, 5);
	lq_listen(fd, 1);
	EXPECT_EQ(0, events_in(self->dir)->count);

	write_below(self->dir, ENABLE_OVERFLOW, "1");
	lq_listen(fd, 1);
	flood(_metadata, fd, AF_INET, 1);
	check_last(_metadata, self->dir, 1, overflow_event(fd, 1, "SYN"));

	write_below(self->dir, ENABLE_OVERFLOW, "0");
	write_below(self->dir, ENABLE_LISTEN, "1");
	flood(_metadata, fd, AF_INET, 5);
	lq_listen(fd, 1);
	check_last(_metadata, self->dir, 2,
		   listen_event(fd, "1", 1, 1, "again"));
}

/* Another namespace's name themselves so. */
TEST_F(events, name_the_namespace)
{
	unsigned long here = netns();
	struct events *events;

	lq_listener(AF_INET, 5);
	lq_new_netns();
	ASSERT_NE(here, netns());
	EXPECT_EQ(0, events_in(self->dir)->count);
	lq_listener(AF_INET, 6);
	events = events_in(self->dir);
	ASSERT_EQ(1, events->count);
	EXPECT_NE(NULL, strstr(events->lines[0], "asked=6 "));
}

/*
 * The kernel switches events off that go with their module, and forgets them;
 * it is who reads them by perf that keeps the module in.
 */
TEST_F(events, unload_while_enabled)
{
	char path[256];
	int fd;

	lq_listener(AF_INET, 5);
	EXPECT_EQ(1, events_in(self->dir)->count);
	ASSERT_EQ(0, lq_unload());
	snprintf(path, sizeof(path), "%s/events/listenq", self->dir);
	EXPECT_NE(0, access(path, F_OK));
	EXPECT_EQ(0, events_in(self->dir)->count);

	ASSERT_EQ(0, lq_load());
	EXPECT_STREQ("0", text_below(self->dir, ENABLE_LISTEN));
	EXPECT_STREQ("0", text_below(self->dir, ENABLE_OVERFLOW));
	fd = lq_listener(AF_INET, 6);
	EXPECT_EQ(0, events_in(self->dir)->count);
	write_below(self->dir, ENABLE_ALL, "1");
	lq_listen(fd, 7);
	check_last(_metadata, self->dir, 1,
		   listen_event(fd, "7", 7, 7, "again"));
}

/* A counter of @event on each processor; how many, 0 where there is no perf. */
static int open_counters(const char *dir, const char *event, int *counters)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr),
	};
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char name[128], filter[64];

	snprintf(name, sizeof(name), "events/listenq/%s/id", event);
	attr.config = atoi(text_below(dir, name));
	snprintf(filter, sizeof(filter), "netns == %lu", netns());
	if (cpus > MOST_CPUS)
		return 0;
	for (int i = 0; i < cpus; i++) {
		counters[i] = syscall(SYS_perf_event_open, &attr, -1, i, -1,
				      PERF_FLAG_FD_CLOEXEC);
		if (counters[i] < 0 && !i)
			return 0;
		if (counters[i] < 0)
			err(1, "perf_event_open");
		if (ioctl(counters[i], PERF_EVENT_IOC_SET_FILTER, filter))
			err(1, "a filter: %s", filter);
	}
	return cpus;
}

static long long counted(const int *counters, int count)
{
	long long total = 0, value;

	for (int i = 0; i < count; i++) {
		if (read(counters[i], &value, sizeof(value)) != sizeof(value))
			err(1, "read from perf");
		total += value;
	}
	return total;
}

TEST_F(events, unload_while_perf_reads)
{
	static const char * const names[] = {
		"listenq_listen", "listenq_overflow",
	};
	int fd = full_any(_metadata, 1);

	for (int i = 0; i < 2; i++) {
		int counters[MOST_CPUS];
		int count = open_counters(self->dir, names[i], counters);
		pid_t elsewhere;

		if (!count)
			SKIP(return, "no perf that counts tracepoints");
		lq_listen(fd, 1);
		lq_listen(fd, 1);
		flood(_metadata, fd, AF_INET, 3);
		EXPECT_EQ(i ? 3 : 2, counted(counters, count));

		EXPECT_EQ(EWOULDBLOCK, lq_unload());
		ASSERT_TRUE(lq_loaded());
		/* It goes on as if nothing had been. */
		lq_listen(fd, 1);
		flood(_metadata, fd, AF_INET, 4);
		EXPECT_EQ(i ? 7 : 3, counted(counters, count));

		/* Its filter knows whose they are. */
		elsewhere = lq_fork();
		if (!elsewhere) {
			lq_new_netns();
			lq_listener(AF_INET, 3);
			_exit(0);
		}
		EXPECT_EQ(0, lq_reap(elsewhere));
		EXPECT_EQ(i ? 7 : 3, counted(counters, count));
		for (int n = 0; n < count; n++)
			close(counters[n]);
		EXPECT_TRUE(lq_wait_until(!lq_unload()));
		ASSERT_EQ(0, lq_load());
	}
}

/* trace-cmd in the same instance. */
TEST_F(events, by_trace_cmd)
{
	struct events shown, *read;
	char expected[256];
	FILE *pipe;
	int fd;

	if (lq_run("command -v trace-cmd >/dev/null"))
		SKIP(return, "no trace-cmd");
	write_below(self->dir, ENABLE_ALL, "0");
	ASSERT_EQ(0, lq_run("trace-cmd start -B " INSTANCE
			    " -e listenq >/dev/null 2>&1"));
	fd = full_any(_metadata, 1);
	flood(_metadata, fd, AF_INET, 2);
	lq_listen(fd, -1);

	fflush(NULL);
	pipe = popen("trace-cmd show -B " INSTANCE, "r");
	ASSERT_NE(NULL, pipe);
	parse_events(pipe, &shown);
	ASSERT_EQ(0, pclose(pipe));
	read = events_in(self->dir);
	ASSERT_EQ(4, shown.count);
	ASSERT_EQ(4, read->count);
	for (int i = 0; i < 4; i++)
		EXPECT_STREQ(read->lines[i], shown.lines[i]);
	snprintf(expected, sizeof(expected), "%s",
		 listen_event(fd, "1", 1, 1, "first"));
	EXPECT_STREQ(expected, shown.lines[0]);
	snprintf(expected, sizeof(expected), "%s",
		 overflow_event(fd, 1, "SYN"));
	EXPECT_STREQ(expected, shown.lines[1]);
	EXPECT_STREQ(expected, shown.lines[2]);
	EXPECT_STREQ(listen_event(fd, "-1", SOMAXCONN_HERE, SOMAXCONN_HERE,
				  "again"), shown.lines[3]);

	/* It resets more than the instance that it is asked to. */
	if (!getenv("LISTENQ_VM"))
		return;
	EXPECT_EQ(0, lq_run("trace-cmd reset -B " INSTANCE " >/dev/null 2>&1"));
	EXPECT_STREQ("0", text_below(self->dir, ENABLE_LISTEN));
	EXPECT_STREQ("0", text_below(self->dir, ENABLE_OVERFLOW));
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
}

TEST_HARNESS_MAIN
