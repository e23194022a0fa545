// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints, in an instance of their own: nobody else's are touched. Events are
 * told from others' by the namespace that they name.
 */

#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "strangers.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define INSTANCE	"lqtest"
#define MOST_EVENTS	64
#define MOST_CPUS	64

#define WAIT_MS		1500
/* What jiffies may be ahead of the clock by, where processors are emulated. */
#define CATCH_UP_MS	1000

/* Where a client of this machine can be. */
static const struct {
	int family;
	const char *host;
} loopbacks[] = {
	{ AF_INET, "127.0.0.1" }, { AF_INET6, "::1" },
	{ AF_INET6, "::ffff:127.0.0.1" },
};

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
	return lq_first_line(path_below(name));
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
#define ENABLE_ACCEPT	"events/listenq/listenq_accept/enable"
#define ENABLE_CLOSE	"events/listenq/listenq_close/enable"

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
	write_below(ENABLE_LISTEN, "1");
	write_below(ENABLE_OVERFLOW, "1");
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
	char lines[MOST_EVENTS][200];
	char tasks[MOST_EVENTS][32];	/* "name-pid" */
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
		snprintf(events->lines[events->count], 200, "%.*s: %s",
			 (int)(text - name), name, text + strlen(lead));
		if (sscanf(line, " %31s", events->tasks[events->count++]) != 1)
			errx(1, "an event of nobody's: %s", line);
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

static const char *overflow_event(int fd, const char *client, int limit,
				  const char *on)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "listenq_overflow: local=%s client=%s limit=%d on=%s",
		 lq_local(fd), client, limit, on);
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
	check_last(_metadata, count,
		   overflow_event(fd, last_turned_away(), limit, on));
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
		  { "netns", "family", "saddr", "sport", "daddr", "dport",
		    "limit", "on_ack" } },
		{ "listenq_accept",
		  { "netns", "family", "saddr", "sport", "daddr", "dport",
		    "waited_ms" } },
		{ "listenq_close",
		  { "netns", "family", "saddr", "sport", "acceptq", "synq" } },
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

/*
 * Of the events in this CPU's buffer, how many IPv4 addresses have something in the rest
 * of their 28 bytes; -1: there is no such address.
 */
static int addresses_with_a_rest(int cpu)
{
	static const unsigned char nothing[20];
	unsigned char page[65536];
	unsigned long length;
	ssize_t count;
	int found = 0, dirty = 0, fd;
	char name[64];

	snprintf(name, sizeof(name), "per_cpu/cpu%d/trace_pipe_raw", cpu);
	fd = open(path_below(name), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", name);
	while ((count = read(fd, page, getpagesize())) > 16) {
		const struct sockaddr_in *address;

		/* A time, and how much follows. */
		memcpy(&length, page + 8, sizeof(length));
		count = 16 + (length & 0xfffff);
		for (ssize_t at = 16; at + 28 <= count; at += 4) {
			address = (void *)(page + at);
			if (address->sin_family != AF_INET ||
			    address->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
				continue;
			found++;
			dirty += !!memcmp(page + at + 8, nothing, 20);
		}
	}
	close(fd);
	return found ? dirty : -1;
}

/* An event shows nothing of one that was in its place. */
TEST_F(events, nothing_is_left_of_earlier_ones)
{
	static const char * const hosts[] = { "::1", "127.0.0.1" };

	if (!lq_has_family(AF_INET6))
		SKIP(return, "no IPv6");
	lq_pin_to(0);
	for (int i = 0; i < 2; i++) {
		int fd = lq_bound(i ? AF_INET : AF_INET6, hosts[i], 0);

		clear_events();
		for (int n = 0; n < 20; n++)
			lq_listen(fd, 5);
		close(fd);
	}
	EXPECT_EQ(0, addresses_with_a_rest(0));
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
		int fd = lq_full(family, i ? "::" : "0.0.0.0", 1 + i);

		for (int n = 0; n < 3; n++) {
			turn_away_strangers(fd, family, 1);
			check_overflow(_metadata, ++count, fd, 1 + i, "SYN");
		}
		turn_away_strangers(fd, family, 10);
		count += 10;
		check_overflow(_metadata, count, fd, 1 + i, "SYN");

		/* The limit in force. */
		ASSERT_EQ(0, lq_clamp("* force 0\n"));
		turn_away_strangers(fd, family, 1);
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
	const int seconds = 60, limit = 4;

	write_below(ENABLE_LISTEN, "0");
	for (int p = 0; p < (int)ARRAY_SIZE(loopbacks); p++) {
		long long before = lq_netstat("ListenOverflows"), overflows;
		char expected[256];
		struct lq_addr client;
		int fd, late;

		if (!lq_has_family(loopbacks[p].family))
			continue;
		fd = lq_bound(loopbacks[p].family, loopbacks[p].host, 0);
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

		client = lq_name(late);
		ASSERT_EQ(1, write(late, "a", 1));
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "overflows") >= 2));
		leave(late);
		overflows = lq_num(fd, "overflows");
		EXPECT_EQ(before + overflows, lq_netstat("ListenOverflows"));
		EXPECT_EQ(limit + 1, lq_num(fd, "acceptq"));
		snprintf(expected, sizeof(expected), "%s",
			 overflow_event(fd, lq_endpoint(&client), limit, "ACK"));
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
	fd = lq_full_any(1);
	turn_away_strangers(fd, AF_INET, 5);
	lq_listen(fd, 1);
	EXPECT_EQ(0, events_in()->count);

	write_below(ENABLE_OVERFLOW, "1");
	lq_listen(fd, 1);
	turn_away_strangers(fd, AF_INET, 1);
	check_overflow(_metadata, 1, fd, 1, "SYN");

	write_below(ENABLE_OVERFLOW, "0");
	write_below(ENABLE_LISTEN, "1");
	turn_away_strangers(fd, AF_INET, 5);
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
	int fd = lq_full_any(1);

	for (int i = 0; i < 2; i++) {
		int counters[MOST_CPUS];
		int count = open_counters(names[i], counters);
		pid_t elsewhere;

		if (!count)
			SKIP(return, "no perf that counts tracepoints");
		lq_listen(fd, 1);
		lq_listen(fd, 1);
		turn_away_strangers(fd, AF_INET, 3);
		EXPECT_EQ(i ? 3 : 2, counted(counters, count));

		EXPECT_EQ(EWOULDBLOCK, lq_unload());
		ASSERT_TRUE(lq_loaded());
		/* It goes on as if nothing had been. */
		lq_listen(fd, 1);
		turn_away_strangers(fd, AF_INET, 4);
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
TEST_F_TIMEOUT(events, by_trace_cmd, 240)
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
	fd = lq_full_any(1);
	turn_away_strangers(fd, AF_INET, 2);
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
		 overflow_event(fd, last_turned_away(), 1, "SYN"));
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

/* ---- what becomes of connections ---- */

/* Accepts @count by and by, under a name of its own. */
static pid_t start_worker(int fd, int count)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "lqworker");
	lq_accept_many(fd, count);
	_exit(0);
}

/* An accept of @client's, who waited between so many ms. */
static void check_accept(struct __test_metadata *_metadata, int i, int fd,
			 int client, long long least, long long most,
			 pid_t worker)
{
	struct events *events = events_in();
	struct lq_addr addr = lq_name(client);
	char lead[200], task[32];
	long long waited = -1;

	snprintf(lead, sizeof(lead),
		 "listenq_accept: local=%s client=%s waited=", lq_local(fd),
		 lq_endpoint(&addr));
	ASSERT_LT(i, events->count);
	EXPECT_EQ(0, strncmp(lead, events->lines[i], strlen(lead))) {
		TH_LOG("%s, not %s", events->lines[i], lead);
	}
	EXPECT_EQ(1, sscanf(events->lines[i] + strlen(lead), "%lldms", &waited));
	EXPECT_LE(least, waited);
	EXPECT_GE(most, waited);
	snprintf(task, sizeof(task), "lqworker-%d", worker);
	EXPECT_STREQ(task, events->tasks[i]);
}

TEST_F(events, accepts)
{
	if (lq_hook("__inet_accept", "hits") == LQ_NONE)
		SKIP(return, "the kernel has no __inet_accept()");
	write_below(ENABLE_ALL, "0");
	write_below(ENABLE_ACCEPT, "1");
	for (int p = 0; p < (int)ARRAY_SIZE(loopbacks); p++) {
		long long begun[2], ready[2], taken, ended;
		int fd, clients[2];
		pid_t worker;

		if (!lq_has_family(loopbacks[p].family))
			continue;
		clear_events();
		fd = lq_bound(loopbacks[p].family, loopbacks[p].host, 0);
		lq_listen(fd, 5);
		for (int i = 0; i < 2; i++) {
			begun[i] = lq_now_ms();
			clients[i] = lq_enqueue(fd);
			ready[i] = lq_now_ms();
			ASSERT_TRUE(lq_wait_until(lq_now_ms() >
						  ready[i] + WAIT_MS));
		}
		taken = lq_now_ms();
		worker = start_worker(fd, 2);
		EXPECT_EQ(0, lq_reap(worker));
		ended = lq_now_ms();
		EXPECT_EQ(2, events_in()->count);
		for (int i = 0; i < 2; i++)
			check_accept(_metadata, i, fd, clients[i],
				     taken - ready[i] - CATCH_UP_MS,
				     ended - begun[i] + CATCH_UP_MS, worker);
		lq_close_all(clients, 2);
		close(fd);
	}
}

/* What waits and what is half open, by each way to end. */
TEST_F(events, closes)
{
	int count = 0;

	write_below(ENABLE_ALL, "0");
	write_below(ENABLE_CLOSE, "1");
	for (int i = 0; i < 2 * (LQ_STOPS + 1); i++) {
		int family = lq_family(i), way = i / 2;
		int fd = lq_listener_any(family, 20);
		char expected[200];

		lq_fill(fd, i);
		lq_send_syns(family, lq_port(fd), i, 3);
		ASSERT_TRUE(lq_wait_until(lq_num(fd, "synq") == 3));
		snprintf(expected, sizeof(expected),
			 "listenq_close: local=%s acceptq=%d synq=3",
			 lq_local(fd), i);
		if (way < LQ_STOPS)
			lq_stops[way](fd);
		else
			close(fd);
		check_last(_metadata, ++count, expected);
		/* It has ended already. */
		if (way < LQ_STOPS)
			close(fd);
		EXPECT_EQ(count, events_in()->count);
	}
}

/* Those that nobody has asked for. */
TEST_F(events, none_of_connections_while_disabled)
{
	int fd, client;

	write_below(ENABLE_ALL, "0");
	fd = lq_listener(AF_INET, 5);
	client = lq_enqueue(fd);
	lq_accept(fd);
	close(client);
	close(fd);
	EXPECT_EQ(0, events_in()->count);
}

TEST_HARNESS_MAIN

