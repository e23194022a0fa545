// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of listeners in the kernel log: accept queues that overflow, and
 * connections that are lost with a listener that ends.
 *
 * Overflows are made one by one: by SYNs that are forged, so that nobody sends them
 * again. Lines are told from others' by the namespace that they name.
 */

#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "strangers.h"

#define PARAMETER	"/sys/module/listenq/parameters/log_interval"
#define LEAD		"listenq: net:["
#define LINE		512
#define OVERFLOW	": accept queue full, "
#define CLOSED		": closed, "

/* Where lq_send_syns() sends to. */
#define HERE4		"10.9.255.254"
#define HERE6		"fd09::ffff"

/* For so long a line that must not come is waited for. */
#define SILENCE_MS	300

#define MANY		lq_scaled(1000)
/* What a namespace gets at once, and then one in so many seconds. */
#define LINES_AT_ONCE	10
#define LINE_SECONDS	90
#define UNLOADS		(getenv("LISTENQ_SLOW") ? 2 : 8)

FIXTURE(lines)
{
	bool loaded;
	char interval[64];
};

static int log_fd;

/* What a test has of lines is its namespace's own, which root has made. */
FIXTURE_SETUP(lines)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	strcpy(self->interval, lq_first_line(PARAMETER));
	log_fd = lq_open_log();
	if (log_fd < 0)
		SKIP(longjmp(_metadata->env, 1), "no kernel log to be read");
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

/*
 * The next line about this namespace that has @word, without what all of them begin
 * with.
 */
static bool next_line(const char *word, char *line)
{
	char lead[64], text[LINE];

	snprintf(lead, sizeof(lead), LEAD "%lu] ", lq_netns_inode());
	while (lq_read_log(log_fd, text, sizeof(text))) {
		if (strncmp(text, lead, strlen(lead)) || !strstr(text, word))
			continue;
		unescape(text);
		strcpy(line, text + strlen(lead));
		return true;
	}
	return false;
}

/* The next one is about @fd, on which @caller called listen(), and its last client. */
static void check_line_of(struct __test_metadata *_metadata, int fd,
			  const char *caller, int limit, long long times)
{
	char line[LINE] = "", expected[LINE];

	snprintf(expected, sizeof(expected),
		 "%s %s: accept queue full, limit %d, overflows %lld, last client %s",
		 lq_local(fd), caller, limit, times, last_turned_away());
	EXPECT_TRUE(lq_wait_until(next_line(OVERFLOW, line)));
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

	lq_wait_until(next_line("", line) || lq_now_ms() - start > SILENCE_MS);
	EXPECT_STREQ("", line);
}

static bool due(long long since, int interval_ms)
{
	return lq_now_ms() - since > interval_ms + LQ_SLACK_MS;
}

/*
 * A line at once, and no second one within the default of a minute: nor when a second
 * is over, which is more than 60 ticks of any kernel.
 */
TEST_F(lines, first_overflow_at_once)
{
	int fd = lq_full_any(1);
	long long start;

	EXPECT_STREQ("60", lq_first_line(PARAMETER));
	turn_away_strangers(fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 1);
	start = lq_now_ms();
	turn_away_strangers(fd, AF_INET, 8);
	check_silence(_metadata);
	EXPECT_TRUE(lq_wait_until(due(start, 1000)));
	turn_away_strangers(fd, AF_INET, 1);
	check_silence(_metadata);

	/* The minute is this listener's own. */
	fd = lq_full_any(2);
	turn_away_strangers(fd, AF_INET, 1);
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
		fd = lq_full(places[i].family, places[i].host, i);
		EXPECT_STREQ(lq_local(fd), lq_str(fd, "local"));
		turn_away_strangers(fd, places[i].syns, 1);
		check_line(_metadata, fd, i, 1);
	}
}

/* The limit that the queue goes by, whatever was asked. */
TEST_F(lines, name_the_limit_in_force)
{
	int fd = lq_listener_any(AF_INET, 100);

	ASSERT_EQ(0, lq_clamp("* force 1\n"));
	lq_fill(fd, 2);
	turn_away_strangers(fd, AF_INET, 1);
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
		fd = lq_full_any(1);
		EXPECT_STREQ(names[i].shown, lq_str(fd, "comm"));
		turn_away_strangers(fd, AF_INET, 1);
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
	turn_away_strangers(fd, AF_INET, 1);
	check_line_of(_metadata, fd, "-", 1, 1);

	/* Its next listen() is known, but doesn't make it another one. */
	lq_listen(fd, 1);
	turn_away_strangers(fd, AF_INET, 3);
	check_silence(_metadata);
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
	int fd = lq_full_any(1), count = 0;
	char line[LINE];

	lq_write_file(PARAMETER, "2\n");
	start = lq_now_ms();
	for (int round = 0; round < 3; round++) {
		turn_away_strangers(fd, AF_INET, 1);
		ASSERT_TRUE(lq_wait_until(next_line(OVERFLOW, line)));
		/* The interval begins when the overflow is known. */
		last = lq_now_ms();
		count++;
		total += times_of(line);
		overflows = lq_num(fd, "overflows");
		EXPECT_EQ(overflows, total);
		if (round == 2)
			break;

		/* Untold, and remembered for the next one. */
		turn_away_strangers(fd, AF_INET, 4);
		while (!due(last, 2000) && next_line(OVERFLOW, line)) {
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
	int fd = lq_full_any(1);

	lq_write_file(PARAMETER, "0\n");
	turn_away_strangers(fd, AF_INET, 5);
	check_silence(_metadata);
	lq_write_file(PARAMETER, "60\n");
	turn_away_strangers(fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 6);
}

/* As long as the parameter can be: no product of it comes round to little. */
TEST_F(lines, the_longest_interval)
{
	static const char * const intervals[] = {
		"4294967295", "2147483648", "17179870", "4294968",
	};

	for (int i = 0; i < (int)ARRAY_SIZE(intervals); i++) {
		int fd = lq_full_any(1);

		lq_write_file(PARAMETER, intervals[i]);
		turn_away_strangers(fd, AF_INET, 1);
		check_line(_metadata, fd, 1, 1);
		turn_away_strangers(fd, AF_INET, 1);
		check_silence(_metadata);
	}
}

/* A socket that listens anew is another listener. */
TEST_F(lines, listening_again)
{
	int fd = lq_full_any(1);

	turn_away_strangers(fd, AF_INET, 1);
	check_line(_metadata, fd, 1, 1);
	turn_away_strangers(fd, AF_INET, 6);
	check_silence(_metadata);

	lq_end_listening(fd);
	lq_listen(fd, 0);
	lq_fill(fd, 1);
	turn_away_strangers(fd, AF_INET, 1);
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
	long long begun = lq_now_ms();
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
			if (!next_line(OVERFLOW, line)) {
				lq_pause();
				continue;
			}
			count++;
			wrong += times_of(line) != 1;
		}
	}
	EXPECT_LE(1, count);
	EXPECT_GE(LINES_AT_ONCE +
		  (lq_now_ms() - begun) / (LINE_SECONDS * 1000), count);
	EXPECT_EQ(0, wrong);
	lq_close_all(fds, MANY);
	free(fds);
}

TEST_F(lines, given_at_the_load)
{
	int fd = lq_full_any(1);

	if (!lq_module_path())
		SKIP(return, "no module file: set LISTENQ_KO");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("log_interval=0"));
	EXPECT_STREQ("0", lq_first_line(PARAMETER));
	turn_away_strangers(fd, AF_INET, 3);
	check_silence(_metadata);

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("log_interval=3600"));
	EXPECT_STREQ("3600", lq_first_line(PARAMETER));
	turn_away_strangers(fd, AF_INET, 1);
	check_line_of(_metadata, fd, "-", 1, 1);

	ASSERT_EQ(0, lq_unload());
	EXPECT_EQ(EINVAL, lq_load_with("log_interval=-1"));
	EXPECT_EQ(EINVAL, lq_load_with("log_interval=often"));
	EXPECT_FALSE(lq_loaded());
}

/* A line that is still to be printed goes out, or goes with the module. */
TEST_F(lines, unload_right_after_an_overflow)
{
	int fd = lq_full_any(1), port = lq_port(fd);
	char line[LINE];
	int count = 0;

	for (int i = 0; i < UNLOADS; i++) {
		lq_send_syns(AF_INET, port, 10 * i, 10);
		ASSERT_EQ(0, lq_unload());
		EXPECT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") ==
					  10 * (i + 1)));
		ASSERT_EQ(0, lq_load());
		while (next_line(OVERFLOW, line))
			count++;
	}
	EXPECT_GE(UNLOADS, count);
	turn_away_strangers(fd, AF_INET, 1);
	check_line_of(_metadata, fd, "-", 1, 1);
}

/* ---- connections that are lost ---- */

#define WAITING		8
#define LISTENERS	6

/* Clients that wait in the accept queue, one behind the other. */
static void wait_at(int fd, int *clients, int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = lq_enqueue(fd);
}

/* What the line says of the listener @local of @caller's, and of its last client. */
static const char *closed_line(const char *local, pid_t caller, int count,
			       int client)
{
	struct lq_addr addr = lq_name(client);
	static char line[LINE];

	snprintf(line, sizeof(line),
		 "%s reports[%d]: closed, limit 20, unaccepted %d, last client %s",
		 local, caller, count, lq_endpoint(&addr));
	return line;
}

static void check_closed(struct __test_metadata *_metadata,
			 const char *expected)
{
	char line[LINE] = "";

	EXPECT_TRUE(lq_wait_until(next_line(CLOSED, line)));
	EXPECT_STREQ(expected, line);
}

TEST_F(lines, closed)
{
	int clients[WAITING];
	char local[64];

	for (int i = 0; i < lq_families(); i++) {
		int fd = lq_listener(lq_family(i), 20);

		wait_at(fd, clients, WAITING);
		lq_accept(fd);
		strcpy(local, lq_local(fd));
		close(fd);
		check_closed(_metadata,
			     closed_line(local, getpid(), WAITING - 1,
					 clients[WAITING - 1]));
		lq_close_all(clients, WAITING);
	}
	/* There is nothing to tell of one that nobody waits at. */
	close(lq_listener(AF_INET, 20));
	check_silence(_metadata);
}

TEST_F(lines, closed_at_0)
{
	int fd = lq_listener(AF_INET, 20), clients[WAITING];

	lq_write_file(PARAMETER, "0\n");
	wait_at(fd, clients, WAITING);
	close(fd);
	check_silence(_metadata);
	lq_close_all(clients, WAITING);
}

/* Each of a process that ends; in what order the kernel closes them is its affair. */
TEST_F(lines, closed_one_after_another)
{
	static int fds[LISTENERS], clients[LISTENERS][WAITING];
	char locals[LISTENERS][64], line[LINE];
	int told[LISTENERS] = { };
	pid_t pid;

	for (int i = 0; i < LISTENERS; i++) {
		fds[i] = lq_bound_loopback(lq_family(i));
		strcpy(locals[i], lq_local(fds[i]));
	}
	pid = lq_fork_ready();
	if (!pid) {
		for (int i = 0; i < LISTENERS; i++)
			lq_listen(fds[i], 20);
		lq_stay();
	}
	for (int i = 0; i < LISTENERS; i++) {
		wait_at(fds[i], clients[i], WAITING);
		close(fds[i]);
	}
	check_silence(_metadata);
	lq_kill(pid);
	for (int n = 0; n < LISTENERS; n++) {
		ASSERT_TRUE(lq_wait_until(next_line(CLOSED, line)));
		for (int i = 0; i < LISTENERS; i++)
			told[i] += !strcmp(line, closed_line(locals[i], pid,
							     WAITING,
							     clients[i][WAITING - 1]));
	}
	for (int i = 0; i < LISTENERS; i++) {
		EXPECT_EQ(1, told[i]);
		lq_close_all(clients[i], WAITING);
	}
}

/* Who is moved to another one of the group is not lost. */
TEST_F(lines, closed_in_a_group)
{
	int fd = lq_bound_shared(AF_INET, "127.0.0.1", 0), other;
	int clients[WAITING];
	char local[64];

	if (lq_run("grep -q TCPMigrateReqSuccess /proc/net/netstat"))
		SKIP(return, "the kernel doesn't migrate connections");
	lq_set_sysctl("ipv4/tcp_migrate_req", 1);
	strcpy(local, lq_local(fd));
	lq_listen(fd, 20);
	wait_at(fd, clients, WAITING);
	other = lq_bound_shared(AF_INET, "127.0.0.1", lq_port(fd));
	lq_listen(other, 20);
	close(fd);
	check_silence(_metadata);
	close(other);
	check_closed(_metadata, closed_line(local, getpid(), WAITING,
					    clients[WAITING - 1]));
	lq_close_all(clients, WAITING);
}

TEST_HARNESS_MAIN
