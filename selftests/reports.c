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
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

/* From then on @fd holds all that @limit lets in, and knows no overflow. */
static void fill(struct __test_metadata *_metadata, int fd, int limit)
{
	for (int i = 0; i <= limit; i++)
		close(lq_connect(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == limit + 1));
	EXPECT_EQ(0, lq_num(fd, "overflows"));
}

static int full(struct __test_metadata *_metadata, int family,
		const char *host, int backlog)
{
	int fd = lq_bound(family, host, 0);

	lq_listen(fd, backlog);
	fill(_metadata, fd, backlog);
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
};

static int log_fd;

/* The host's limit on lines starts anew with the module. */
FIXTURE_SETUP(lines)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	strcpy(self->interval, text_of(PARAMETER));
	log_fd = lq_open_log();
	if (log_fd < 0)
		SKIP(longjmp(_metadata->env, 1), "no kernel log to be read");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	lq_dummy_up();
}

FIXTURE_TEARDOWN(lines)
{
	close(log_fd);
	EXPECT_EQ(0, lq_restore(self->loaded));
	if (self->loaded)
		lq_write_file(PARAMETER, self->interval);
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
static bool next_line(char *line)
{
	char lead[64], text[LINE];

	snprintf(lead, sizeof(lead), LEAD "%lu] ", lq_netns_inode());
	while (lq_read_log(log_fd, text, sizeof(text))) {
		if (strncmp(text, lead, strlen(lead)))
			continue;
		unescape(text);
		strcpy(line, text + strlen(lead));
		return true;
	}
	return false;
}

/* The next one is about @fd, and @caller called listen() on it. */
static void check_line_of(struct __test_metadata *_metadata, int fd,
			  const char *caller, int limit, long long times)
{
	char line[LINE] = "", expected[LINE];

	snprintf(expected, sizeof(expected),
		 "%s %s: accept queue full, limit %d, overflows %lld",
		 lq_local(fd), caller, limit, times);
	EXPECT_TRUE(lq_wait_until(next_line(line)));
	EXPECT_STREQ(expected, line);
}

/* The caller is this process, under the name @comm. */
static void check_line_by(struct __test_metadata *_metadata, int fd,
			  const char *comm, int limit, long long times)
{
	char caller[128];

	snprintf(caller, sizeof(caller), "%s[%d]", comm, getpid());
	check_line_of(_metadata, fd, caller, limit, times);
}

static void check_line(struct __test_metadata *_metadata, int fd,
		       int limit, long long times)
{
	check_line_by(_metadata, fd, "reports", limit, times);
}

/* Nothing is said for a while, though the work may be done by others. */
static void check_silence(struct __test_metadata *_metadata)
{
	long long start = lq_now_ms();
	char line[LINE] = "";

	lq_wait_until(next_line(line) || lq_now_ms() - start > SILENCE_MS);
	EXPECT_STREQ("", line);
}

/* A line at once, and no second one within the default of a minute. */
TEST_F(lines, first_overflow_at_once)
{
	int fd = full_any(_metadata, 1);

	EXPECT_STREQ("60", text_of(PARAMETER));
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 1);
	flood(_metadata, fd, AF_INET, 9);
	check_silence(_metadata);

	/* The minute is this listener's own. */
	fd = full_any(_metadata, 2);
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 2, 1);
	check_silence(_metadata);
}

/* All that the line says of the listener, as sockets says it. */
TEST_F(lines, name_the_listener)
{
	static const struct {
		int family;
		const char *host;
		int syns;
	} places[] = {
		{ AF_INET, "0.0.0.0", AF_INET },
		{ AF_INET, HERE4, AF_INET },
		{ AF_INET6, "::", AF_INET6 },
		{ AF_INET6, "::", AF_INET },
		{ AF_INET6, HERE6, AF_INET6 },
		{ AF_INET6, "::ffff:" HERE4, AF_INET },
	};

	for (int i = 0; i < (int)ARRAY_SIZE(places); i++) {
		int fd;

		if (!lq_has_family(places[i].family))
			continue;
		fd = full(_metadata, places[i].family, places[i].host, i);
		EXPECT_STREQ(lq_local(fd), lq_str(fd, "local"));
		flood(_metadata, fd, places[i].syns, 1);
		check_line(_metadata, fd, i, 1);
		close(fd);
	}
}

/* The limit that the queue goes by, whatever was asked. */
TEST_F(lines, name_the_limit_in_force)
{
	int fd = lq_listener_any(AF_INET, 100);

	ASSERT_EQ(0, lq_clamp("* force 1\n"));
	fill(_metadata, fd, 1);
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 1);
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
		check_line_by(_metadata, fd, names[i].shown, 1, 1);
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
	check_line_of(_metadata, fd, "-", 1, 1);

	/* Its next listen() is known, but doesn't make it another one. */
	lq_listen(fd, 1);
	flood(_metadata, fd, AF_INET, 3);
	check_silence(_metadata);
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
		EXPECT_TRUE(lq_wait_until(next_line(line)));
		count++;
		total += times_of(line);
		overflows = lq_num(fd, "overflows");
		EXPECT_EQ(overflows, total);
		if (round == 2)
			break;

		/* Untold, and remembered for the next one. */
		flood(_metadata, fd, AF_INET, 4);
		while (!due(last, 2000) && next_line(line)) {
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
	check_silence(_metadata);
	lq_write_file(PARAMETER, "60\n");
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 6);
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
		check_line(_metadata, fd, 1, 1);
		flood(_metadata, fd, AF_INET, 1);
		check_silence(_metadata);
	}
}

/* A socket that listens anew is another listener. */
TEST_F(lines, listening_again)
{
	int fd = full_any(_metadata, 1);

	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 1);
	flood(_metadata, fd, AF_INET, 6);
	check_silence(_metadata);

	lq_end_listening(fd);
	lq_listen(fd, 0);
	fill(_metadata, fd, 0);
	flood(_metadata, fd, AF_INET, 1);
	check_line(_metadata, fd, 0, 1);
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
			if (!next_line(line)) {
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
	lq_close_all(fds, MANY);
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
	check_silence(_metadata);

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("log_interval=3600"));
	EXPECT_STREQ("3600", text_of(PARAMETER));
	flood(_metadata, fd, AF_INET, 1);
	check_line_of(_metadata, fd, "-", 1, 1);

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
		while (next_line(line))
			count++;
	}
	EXPECT_GE(UNLOADS, count);
	flood(_metadata, fd, AF_INET, 1);
	check_line_of(_metadata, fd, "-", 1, 1);
}

/* The events, in an instance of their own: nobody else's are touched. */
FIXTURE(events)
{
	bool loaded;
};

static char dir[64];

static const char *path_below(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_below(const char *name, const char *text)
{
	lq_write_file(path_below(name), text);
}

static const char *text_below(const char *name)
{
	return text_of(path_below(name));
}

static FILE *open_below(const char *name)
{
	FILE *file = fopen(path_below(name), "r");

	if (!file)
		err(1, "%s/%s", dir, name);
	return file;
}

/* It is opening the file that empties it. */
static void clear_events(void)
{
	FILE *file = fopen(path_below("trace"), "w");

	if (!file)
		err(1, "%s/trace", dir);
	fclose(file);
}

#define ENABLE_ALL	"events/listenq/enable"
#define ENABLE_LISTEN	"events/listenq/listenq_listen/enable"
#define ENABLE_OVERFLOW	"events/listenq/listenq_overflow/enable"

FIXTURE_SETUP(events)
{
	const char *tracefs = lq_tracefs("instances");

	self->loaded = lq_loaded();
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	lq_dummy_up();
	LQ_SKIP_FOR(tracefs ? NULL : "no tracefs with instances");
	snprintf(dir, sizeof(dir), "%s/instances/" INSTANCE, tracefs);
	/* One that a test has left behind which was killed will do. */
	ASSERT_TRUE(!mkdir(dir, 0700) || errno == EEXIST);
	write_below(ENABLE_ALL, "0");
	clear_events();
	write_below(ENABLE_ALL, "1");
}

FIXTURE_TEARDOWN(events)
{
	if (lq_loaded())
		write_below(ENABLE_ALL, "0");
	EXPECT_EQ(0, rmdir(dir));
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/* This namespace's events, each as "name: text" without the namespace. */
struct events {
	int count;
	char lines[MOST_EVENTS][160];
};

static void parse_events(FILE *file, struct events *events)
{
	char line[1024], lead[64];

	snprintf(lead, sizeof(lead), ": net:[%lu] ", lq_netns_inode());
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

static struct events *events_in(void)
{
	static struct events events;
	FILE *file = open_below("trace");

	parse_events(file, &events);
	fclose(file);
	return &events;
}

/* There are @count events, the last of which says @expected. */
static void check_last(struct __test_metadata *_metadata, int count,
		       const char *expected)
{
	struct events *events;

	EXPECT_TRUE(lq_wait_until(events_in()->count >= count));
	events = events_in();
	ASSERT_EQ(count, events->count);
	EXPECT_STREQ(expected, events->lines[count - 1]);
}

/* What a listen() on @fd is to be told as. */
static const char *listen_event(int fd, int asked, int granted, int limit,
				const char *which)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "listenq_listen: local=%s asked=%d granted=%d limit=%d %s",
		 lq_local(fd), asked, granted, limit, which);
	return text;
}

static const char *overflow_event(int fd, int limit, const char *on)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "listenq_overflow: local=%s limit=%d on=%s",
		 lq_local(fd), limit, on);
	return text;
}

/* There are @count events, the last of which is that. */
static void check_listen(struct __test_metadata *_metadata, int count, int fd,
			 int asked, int granted, int limit, const char *which)
{
	check_last(_metadata, count,
		   listen_event(fd, asked, granted, limit, which));
}

static void check_overflow(struct __test_metadata *_metadata, int count, int fd,
			   int limit, const char *on)
{
	check_last(_metadata, count, overflow_event(fd, limit, on));
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

		/* "field:type name;" or "field:type name[size];" */
		for (; *field; field++) {
			char command[256];

			snprintf(command, sizeof(command),
				 "grep -q 'field:[^;[]* %s[;[]' %s/events/listenq/%s/format",
				 *field, dir, formats[i].event);
			EXPECT_EQ(0, lq_run(command)) {
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
	} places[] = {
		{ AF_INET, "127.0.0.1" }, { AF_INET, "0.0.0.0" },
		{ AF_INET6, "::1" }, { AF_INET6, "::" },
		{ AF_INET6, "::ffff:127.0.0.1" },
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

			lq_listen(fd, steps[i].asked);
			check_listen(_metadata, ++count, fd, steps[i].asked,
				     granted, granted, i ? "again" : "first");
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
		check_listen(_metadata, i, fd, i, i, i, "first");
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
	check_listen(_metadata, 2, fd, 6, 6, 6, "again");
}

TEST_F(events, listen_under_a_rule)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 8080);

	ASSERT_EQ(0, lq_clamp("8080 somaxconn 500 floor 20\n"));
	lq_listen(fd, 50);
	check_listen(_metadata, 1, fd, 50, 50, 50, "first");
	lq_listen(fd, 3);
	check_listen(_metadata, 2, fd, 3, 3, 20, "again");
	lq_listen(fd, -1);
	check_listen(_metadata, 3, fd, -1, SOMAXCONN_HERE, 500, "again");

	/* A rule that comes later calls no listen(). */
	ASSERT_EQ(0, lq_clamp("8080 force 7\n"));
	EXPECT_EQ(7, lq_num(fd, "limit"));
	EXPECT_EQ(3, events_in()->count);
}

TEST_F(events, listen_by_io_uring)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", 0);
	int error = lq_uring_listen(fd, INT_MAX);

	if (error == -1 || error == EINVAL)
		SKIP(return, "the kernel has no io_uring that listens");
	ASSERT_EQ(0, error);
	check_listen(_metadata, 1, fd, INT_MAX, SOMAXCONN_HERE, SOMAXCONN_HERE,
		     "first");
	ASSERT_EQ(0, lq_uring_listen(fd, 3));
	check_listen(_metadata, 2, fd, 3, 3, 3, "again");
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
		check_last(_metadata, 1 + i, expected);

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

	write_below(ENABLE_LISTEN, "0");
	for (int i = 0; i < lq_families(); i++) {
		int family = lq_family(i);
		int fd = full(_metadata, family, i ? "::" : "0.0.0.0", 1 + i);

		for (int n = 0; n < 3; n++) {
			flood(_metadata, fd, family, 1);
			check_overflow(_metadata, ++count, fd, 1 + i, "SYN");
		}
		flood(_metadata, fd, family, 10);
		count += 10;
		check_overflow(_metadata, count, fd, 1 + i, "SYN");

		/* The limit in force. */
		ASSERT_EQ(0, lq_clamp("* force 0\n"));
		flood(_metadata, fd, family, 1);
		check_overflow(_metadata, ++count, fd, 0, "SYN");
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

	write_below(ENABLE_LISTEN, "0");
	for (int p = 0; p < (int)ARRAY_SIZE(places); p++) {
		long long before = lq_netstat("ListenOverflows"), overflows;
		char expected[256];
		int fd, late;

		if (!lq_has_family(places[p].family))
			continue;
		fd = lq_bound(places[p].family, places[p].host, 0);
		clear_events();
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
		check_last(_metadata, overflows, expected);
		for (int i = 0; i < overflows; i++)
			EXPECT_STREQ(expected, events_in()->lines[i]);
		close(fd);
	}
}

TEST_F(events, none_while_disabled)
{
	int fd;

	write_below(ENABLE_ALL, "0");
	fd = full_any(_metadata, 1);
	flood(_metadata, fd, AF_INET, 5);
	lq_listen(fd, 1);
	EXPECT_EQ(0, events_in()->count);

	write_below(ENABLE_OVERFLOW, "1");
	lq_listen(fd, 1);
	flood(_metadata, fd, AF_INET, 1);
	check_overflow(_metadata, 1, fd, 1, "SYN");

	write_below(ENABLE_OVERFLOW, "0");
	write_below(ENABLE_LISTEN, "1");
	flood(_metadata, fd, AF_INET, 5);
	lq_listen(fd, 1);
	check_listen(_metadata, 2, fd, 1, 1, 1, "again");
}

/* Another namespace's name themselves so. */
TEST_F(events, name_the_namespace)
{
	unsigned long here = lq_netns_inode();
	struct events *events;

	lq_listener(AF_INET, 5);
	lq_new_netns();
	ASSERT_NE(here, lq_netns_inode());
	EXPECT_EQ(0, events_in()->count);
	lq_listener(AF_INET, 6);
	events = events_in();
	ASSERT_EQ(1, events->count);
	EXPECT_NE(NULL, strstr(events->lines[0], "asked=6 "));
}

/*
 * The kernel switches events off that go with their module, and forgets them;
 * it is who reads them by perf that keeps the module in.
 */
TEST_F(events, unload_while_enabled)
{
	int fd;

	lq_listener(AF_INET, 5);
	EXPECT_EQ(1, events_in()->count);
	ASSERT_EQ(0, lq_unload());
	EXPECT_NE(0, access(path_below("events/listenq"), F_OK));
	EXPECT_EQ(0, events_in()->count);

	ASSERT_EQ(0, lq_load());
	EXPECT_STREQ("0", text_below(ENABLE_LISTEN));
	EXPECT_STREQ("0", text_below(ENABLE_OVERFLOW));
	fd = lq_listener(AF_INET, 6);
	EXPECT_EQ(0, events_in()->count);
	write_below(ENABLE_ALL, "1");
	lq_listen(fd, 7);
	check_listen(_metadata, 1, fd, 7, 7, 7, "again");
}

/* A counter of @event on each processor; how many, 0 where there is no perf. */
static int open_counters(const char *event, int *counters)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr),
	};
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char name[128], filter[64];

	snprintf(name, sizeof(name), "events/listenq/%s/id", event);
	attr.config = atoi(text_below(name));
	snprintf(filter, sizeof(filter), "netns == %lu", lq_netns_inode());
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
		int count = open_counters(names[i], counters);
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
		lq_close_all(counters, count);
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
	write_below(ENABLE_ALL, "0");
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
	read = events_in();
	ASSERT_EQ(4, shown.count);
	ASSERT_EQ(4, read->count);
	for (int i = 0; i < 4; i++)
		EXPECT_STREQ(read->lines[i], shown.lines[i]);
	snprintf(expected, sizeof(expected), "%s",
		 listen_event(fd, 1, 1, 1, "first"));
	EXPECT_STREQ(expected, shown.lines[0]);
	snprintf(expected, sizeof(expected), "%s",
		 overflow_event(fd, 1, "SYN"));
	EXPECT_STREQ(expected, shown.lines[1]);
	EXPECT_STREQ(expected, shown.lines[2]);
	EXPECT_STREQ(listen_event(fd, -1, SOMAXCONN_HERE, SOMAXCONN_HERE,
				  "again"), shown.lines[3]);

	/* It resets more than the instance that it is asked to. */
	if (!getenv("LISTENQ_VM"))
		return;
	EXPECT_EQ(0, lq_run("trace-cmd reset -B " INSTANCE " >/dev/null 2>&1"));
	EXPECT_STREQ("0", text_below(ENABLE_LISTEN));
	EXPECT_STREQ("0", text_below(ENABLE_OVERFLOW));
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
}

TEST_HARNESS_MAIN
