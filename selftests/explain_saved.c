// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq explain on saved files: each finding from the fewest figures that
 * carry it, and not from fewer. Needs no module.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "explanation.h"

#define PID	"121"

#define SOMAXCONN_FILE	"sys/net/core/somaxconn"

/* A server that has nothing to do, in each column of the three files. */
struct cell {
	const char *name;
	const char *value;
};

static const struct cell sockets[] = {
	{ "proto", "tcp" }, { "local", "0.0.0.0:8080" }, { "cookie", "a1" },
	{ "inode", "901" }, { "uid", "0" }, { "pid", PID }, { "comm", "server" },
	{ "asked", "8" }, { "granted", "8" }, { "limit", "8" }, { "rule", "-" },
	{ "acceptq", "0" }, { "acceptq_peak", "0" },
	{ "acceptq_oldest_ms", "-" }, { "synq", "0" }, { "synq_young", "0" },
	{ "synq_peak", "0" }, { "since_ms", "60000" }, { "syns", "0" },
	{ "accepts", "0" }, { "overflows", "0" }, { "synq_drops", "0" },
	{ "syncookies", "0" }, { "sk_drops", "0" },
	{ "since_overflow_ms", "-" }, { "overflows_ack", "0" },
	{ "synq_reserved", "0" }, { "acceptq_peak_1m", "0" },
	{ "synq_peak_1m", "0" }, { "group", "-" }, { "fastopenq", "-" },
	{ "fastopenq_limit", "-" },
};

static const struct cell handshakes[] = {
	{ "cookie", "a1" }, { "local", "0.0.0.0:8080" }, { "syns", "0" },
	{ "requests", "0" }, { "finished", "0" }, { "expired", "0" },
	{ "reset", "0" }, { "resent", "0" }, { "cookies_finished", "0" },
	{ "cookies_failed", "0" }, { "fastopens", "0" },
	{ "fastopen_overflows", "0" }, { "failed", "0" },
	{ "carried_requests", "0" }, { "carried_connections", "0" },
	{ "count", "0" }, { "sum_us", "0" }, { "256us", "0" }, { "more", "0" },
};

static const struct cell waits[] = {
	{ "cookie", "a1" }, { "local", "0.0.0.0:8080" }, { "count", "0" },
	{ "sum_ms", "0" }, { "4ms", "0" }, { "more", "0" },
};

/**
 * struct look - what differs from that at one moment
 * @row: cells, "acceptq=9 limit=8"
 * @other: the same of a second listener; NULL: there is none
 * @threads: "S ep_poll 100, R 0 200": state, wchan, ticks
 */
struct look {
	const char *row;
	const char *other;
	const char *threads;
};

/**
 * struct saved - two looks, or one, and what they show
 * @name: of the case
 * @finding: what is found; "" where nothing is
 * @before: the first look; @row is NULL where there is none
 * @now: the second one
 * @fds: how many descriptors the process has; its limit is 8
 * @nr_open: no process may have more; not known where 0
 * @refused: so many clients were turned away, each twice, by the full queue
 * @closed: so many went with a listener that was closed
 * @tcp: rows of /proc/net/tcp
 * @rules: of clamp
 * @cgroup: of the process; that of a service where NULL
 * @no_cookies: SYN cookies are off
 * @somaxconn: today; 4096 where 0
 * @says: what the text has
 */
struct saved {
	const char *name;
	const char *finding;
	struct look before;
	struct look now;
	int fds;
	int nr_open;
	int refused;
	int closed;
	const char *tcp;
	const char *rules;
	const char *cgroup;
	bool no_cookies;
	int somaxconn;
	const char *says[5];
};

/*
 * The value that @cells, "name=value name=value", have for a name, the last one
 * where there are several; or NULL.
 */
static const char *override(const char *cells, const char *name)
{
	size_t length = strlen(name);
	static char value[64];
	bool has = false;

	for (const char *at = cells; at && *at; at += strspn(at, " ")) {
		if (!strncmp(at, name, length) && at[length] == '=') {
			has = true;
			snprintf(value, sizeof(value), "%.*s",
				 (int)strcspn(at + length + 1, " "),
				 at + length + 1);
		}
		at += strcspn(at, " ");
	}
	return has ? value : NULL;
}

__attribute__((LQ_PRINTF))
static FILE *create(const char *format, ...)
{
	char path[256];
	va_list args;
	FILE *file;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	for (char *slash = strchr(path, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	file = fopen(path, "w");
	if (!file)
		err(1, "%s", path);
	return file;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	FILE *file = create("%s/%s", dir, name);

	fputs(text, file);
	if (fclose(file))
		err(1, "%s", name);
}

static void write_rows(const char *dir, const char *name,
		       const struct cell *cells, size_t count,
		       const struct look *look)
{
	const char *const rows[] = { look->row, look->other };
	FILE *file = create("%s/net/listenq/%s", dir, name);

	for (size_t i = 0; i < count; i++)
		fprintf(file, "%s ", cells[i].name);
	for (size_t row = 0; row < ARRAY_SIZE(rows) && rows[row]; row++) {
		fputc('\n', file);
		for (size_t i = 0; i < count; i++)
			fprintf(file, "%s ",
				override(rows[row], cells[i].name) ?:
				cells[i].value);
	}
	fputc('\n', file);
	if (fclose(file))
		err(1, "%s", name);
}

/* A thread for each part between commas, numbered from the process on. */
static void write_threads(const char *dir, const char *threads)
{
	char name[64], wchan[64], state;
	int tid = atoi(PID), ticks;
	FILE *file;

	for (; threads; threads = strchr(threads, ','), tid++) {
		threads += strspn(threads, ", ");
		if (sscanf(threads, "%c %63s %d", &state, wchan, &ticks) != 3)
			errx(1, "%s", threads);
		file = create("%s/" PID "/task/%d/stat", dir, tid);
		fprintf(file, "%d (a ) b) %c 1 1 1 0 -1 0 0 0 0 0 %d 0 0 0 20 0\n",
			tid, state, ticks);
		fclose(file);
		snprintf(name, sizeof(name), PID "/task/%d/wchan", tid);
		write_file(dir, name, wchan);
	}
}

static void write_process(const char *dir, const struct saved *saved,
			  const struct look *look)
{
	char path[256], target[64];

	write_file(dir, PID "/comm", "server\n");
	write_file(dir, PID "/limits",
		   "Limit             Soft Limit   Hard Limit   Units\n"
		   "Max open files    8            4096         files\n");
	write_file(dir, PID "/cgroup",
		   saved->cgroup ?: "0::/system.slice/server.service\n");
	snprintf(path, sizeof(path), "%s/" PID "/fd", dir);
	mkdir(path, 0755);
	for (int fd = 0; fd < (saved->fds ?: 4); fd++) {
		snprintf(path, sizeof(path), "%s/" PID "/fd/%d", dir, fd);
		snprintf(target, sizeof(target), "socket:[%s]",
			 fd == 3 ? "901" : "7");
		if (symlink(target, path))
			err(1, "%s", path);
	}
	write_threads(dir, look->threads);
}

#define REFUSED	"ago_ms local remote why limit acceptq synq cookie comm number\n"

static void write_refusals(const char *dir, const struct saved *saved)
{
	FILE *file = create("%s/net/listenq/refused", dir);

	fputs(REFUSED, file);
	for (int i = 0; i < 2 * saved->refused; i++)
		fprintf(file, "%d 0.0.0.0:8080 10.0.0.%d:4000 acceptq-syn 8 9 0 a1 server %d\n",
			2000 - i, i / 2 + 1, i + 1);
	for (int i = 0; i < saved->closed; i++)
		fprintf(file, "700 0.0.0.0:9090 10.0.0.%d:4000 closed 8 9 0 b2 old %d\n",
			i + 1, 900 + i);
	if (fclose(file))
		err(1, "refused");
}

/* Its files but those of rows. */
static const struct {
	const char *name;
	const char *text;
} others[] = {
	{ "net/listenq/hooks", "symbol how state hits nmissed serves\n"
			       "inet_listen ftrace on 1 0 asked\n" },
	{ "sys/net/ipv4/tcp_max_syn_backlog", "64\n" },
};

static void write_look(const char *dir, const struct saved *saved,
		       const struct look *look, const char *uptime)
{
	char number[16];

	write_rows(dir, "sockets", sockets, ARRAY_SIZE(sockets), look);
	write_rows(dir, "handshakes", handshakes, ARRAY_SIZE(handshakes), look);
	write_rows(dir, "waits", waits, ARRAY_SIZE(waits), look);
	write_refusals(dir, saved);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		write_file(dir, others[i].name, others[i].text);
	write_file(dir, "sys/net/ipv4/tcp_syncookies",
		   saved->no_cookies ? "0\n" : "1\n");
	write_file(dir, "net/listenq/clamp", saved->rules ?: "");
	snprintf(number, sizeof(number), "%d\n", saved->somaxconn ?: 4096);
	write_file(dir, SOMAXCONN_FILE, number);
	if (saved->nr_open) {
		snprintf(number, sizeof(number), "%d\n", saved->nr_open);
		write_file(dir, "sys/fs/nr_open", number);
	}
	write_file(dir, "uptime", uptime);
	write_file(dir, "net/tcp", saved->tcp ?: "");
	if (look->threads)
		write_process(dir, saved, look);
}

static void write_saved(const struct saved *saved)
{
	if (run("rm -rf saved"))
		err(1, "saved");
	write_look("saved", saved, &saved->now, "1001.00\n");
	if (saved->before.row)
		write_look("saved/before", saved, &saved->before, "1000.00\n");
}

/* ---- cases ---- */

#define STILL	"since_ms=59000 acceptq=5 acceptq_oldest_ms=2000"
#define STALLED	"acceptq=6 acceptq_oldest_ms=3000"
#define FULL	"acceptq=9 acceptq_oldest_ms=300 accepts=10 finished=10"
#define OTHER	"cookie=b2 inode=902 group=2"
#define SOME	"acceptq=3 acceptq_oldest_ms=9"
#define BURST	"acceptq_peak=9 acceptq_peak_1m=9 accepts=9 finished=9 overflows=12 since_overflow_ms=1000"
#define FLOOD	"synq=9 synq_young=1 synq_peak=9 synq_peak_1m=9 limit=8 syncookies=60 requests=40 expired=31 resent=60"

#define SYN_RECV(number, remote) \
	number ": 0100007F:1F90 " remote ":9C40 03 0:0 01:0 0 0 0 0 1\n"
#define CLOSE_WAIT(number) \
	number ": 0100007F:1F90 0100007F:9C40 08 0:0 00:0 0 0 0 0 1\n"

static const struct saved cases[] = {
	{ "idle", "", { "since_ms=59000" }, { "" },
	  .says = { "Nothing is wrong with 1 listener." } },
	{ "keeps up", "",
	  { "since_ms=59000 acceptq=2 acceptq_oldest_ms=3 accepts=900 finished=902" },
	  { "acceptq=3 acceptq_oldest_ms=2 accepts=1900 finished=1903" } },
	{ "one look, not long", "", { }, { "acceptq=6 acceptq_oldest_ms=900" },
	  .says = { "one moment" } },
	{ "one look", "waiting", { }, { STALLED, .threads = "S ep_poll 1" },
	  .says = { "a single look" } },
	{ "one look, stopped", "stopped", { },
	  { STALLED, .threads = "T do_signal_stop 1" },
	  .says = { "    kill -CONT " PID "\n" } },
	{ "stopped", "stopped", { STILL, .threads = "T do_signal_stop 1" },
	  { STALLED, .threads = "T do_signal_stop 1" },
	  .says = { "None was accepted in the 1.0s" } },
	{ "traced", "stopped", { STILL, .threads = "t ptrace_stop 1" },
	  { STALLED, .threads = "t ptrace_stop 1" } },
	{ "one thread of two stopped", "not-accepting",
	  { STILL, .threads = "T do_signal_stop 1, S ep_poll 1" },
	  { STALLED, .threads = "T do_signal_stop 1, S ep_poll 1" } },
	{ "disk", "uninterruptible", { STILL, .threads = "D io_schedule 1" },
	  { STALLED, .threads = "D io_schedule 1" },
	  .says = { "inside the kernel for a disk" } },
	{ "descriptors", "no-descriptors", { STILL, .threads = "S ep_poll 1" },
	  { STALLED, .threads = "S ep_poll 1" }, .fds = 8,
	  .says = { "has 8 of 8 descriptors open",
		    "    prlimit --pid " PID " --nofile=4096:\n",
		    "    systemctl edit server.service\n" } },
	{ "descriptors, as many as there may be", "no-descriptors",
	  { STILL, .threads = "S ep_poll 1" },
	  { STALLED, .threads = "S ep_poll 1" }, .fds = 8, .nr_open = 64,
	  .says = { "    sysctl -w fs.nr_open=4096\n" } },
	{ "descriptors, and spins", "no-descriptors",
	  { STILL, .threads = "R 0 1" }, { STALLED, .threads = "R 0 100" },
	  .fds = 8 },
	{ "busy", "busy", { STILL, .threads = "R 0 1" },
	  { STALLED, .threads = "R 0 99" },
	  .says = { "using 98% of a processor" } },
	{ "busy in the second thread", "busy",
	  { STILL, .threads = "S futex_wait_queue 1, R 0 0" },
	  { STALLED, .threads = "S futex_wait_queue 1, R 0 80" },
	  .says = { "Thread 122 computes: if it is the one that accepts" } },
	{ "gets no processor", "busy", { STILL, .threads = "R 0 1" },
	  { STALLED, .threads = "R 0 6" },
	  .says = { "gets 5% of a processor" } },
	{ "a lock", "blocked", { STILL, .threads = "S futex_wait_queue 1" },
	  { STALLED, .threads = "S futex_wait_queue 1" },
	  .says = { "(futex)" } },
	{ "locks", "blocked",
	  { STILL, .threads = "S futex_wait_queue 1, S futex_wait_queue 1" },
	  { STALLED, .threads = "S futex_wait_queue 1, S futex_wait_queue 2" },
	  .says = { "2 of 2 threads asleep" } },
	{ "works for others", "not-accepting", { STILL, .threads = "S ep_poll 1" },
	  { STALLED, .threads = "S ep_poll 21" } },
	{ "process unknown", "not-accepting", { STILL }, { STALLED " pid=-" },
	  .says = { "can't be looked at from here" } },
	{ "process another's by now", "not-accepting",
	  { STILL, .threads = "S futex_wait 1" },
	  { STALLED, .threads = "S futex_wait 1" }, .fds = 3,
	  .says = { "can't be looked at from here" } },
	{ "accepts unknown, same first", "blocked",
	  { STILL " accepts=-", .threads = "S futex_wait 1" },
	  { STALLED " accepts=-", .threads = "S futex_wait 1" } },
	{ "accepts unknown, another first", "",
	  { STILL " accepts=-", .threads = "S futex_wait 1" },
	  { STALLED " accepts=- acceptq_oldest_ms=1500",
	    .threads = "S futex_wait 1" } },
	{ "gone", "stopped", { STILL, .threads = "T do_signal_stop 1" },
	  { STALLED, .threads = "T do_signal_stop 1" },
	  .tcp = CLOSE_WAIT("0") CLOSE_WAIT("1"),
	  .says = { "2 of them were closed by the client" } },
	{ "gone, of a group", "stopped",
	  { STILL " group=2", .threads = "T do_signal_stop 1" },
	  { STALLED " group=2", .threads = "T do_signal_stop 1" },
	  .tcp = CLOSE_WAIT("0") CLOSE_WAIT("1"),
	  .says = { "In all queues at this address, 2 connections were closed" } },
	{ "one of a group", "group-starved",
	  { STILL " group=2", OTHER " since_ms=59000",
	    .threads = "S futex_wait 1" },
	  { STALLED " group=2", OTHER " accepts=9 finished=9",
	    .threads = "S futex_wait 1" },
	  .says = { "Of the 2 sockets" } },
	{ "a group, all of it", "blocked",
	  { STILL " group=2", OTHER " " SOME " since_ms=59000",
	    .threads = "S futex_wait 1" },
	  { STALLED " group=2", OTHER " " SOME " accepts=9 finished=12",
	    .threads = "S futex_wait 1" } },
	{ "slow", "slow", { FULL " since_ms=59000" },
	  { FULL " accepts=40 finished=40 overflows=20 since_overflow_ms=3" },
	  .says = { "30 connections came per second, 30 were accepted",
		    "20 SYNs and ACKs per second were refused",
		    "waits for 300ms" } },
	{ "slow, not full yet", "slow",
	  { "since_ms=59000 limit=100 acceptq=60 acceptq_oldest_ms=900 accepts=100 finished=160" },
	  { "limit=100 acceptq=81 acceptq_oldest_ms=900 accepts=150 finished=231" },
	  .says = { "full again in 952ms" } },
	{ "slow, since when unknown", "slow", { FULL " since_ms=-" },
	  { FULL " since_ms=- accepts=40 finished=40 overflows=20 since_overflow_ms=3" },
	  .says = { "30 connections came per second, 30 were accepted" } },
	{ "slow, limit unknown", "slow",
	  { "since_ms=59000 limit=- acceptq=9 acceptq_oldest_ms=2000 accepts=10" },
	  { "limit=- acceptq=9 acceptq_oldest_ms=2000 accepts=40" },
	  .says = { "(limit an unknown number)" } },
	{ "drains", "", { "since_ms=59000 acceptq=8 acceptq_oldest_ms=300 accepts=100" },
	  { "acceptq=5 acceptq_oldest_ms=200 accepts=130" } },
	{ "burst, asked", "burst-asked", { "since_ms=59000" }, { BURST },
	  .refused = 6,
	  .says = { "turned 6 clients away in the latest burst",
		    "a limit of 14 would", "asked for 8 itself",
		    "    listenq clamp 8080 floor 16\n" } },
	{ "burst, a longer queue once", "burst-asked", { "since_ms=59000" },
	  { BURST " acceptq_peak=3000" }, .refused = 6,
	  .says = { "The queue held 9 and turned 6", "a limit of 14 would" } },
	{ "burst, who is unknown", "burst-asked", { "since_ms=59000" }, { BURST },
	  .says = { "A limit of 20 would" } },
	{ "burst, cut", "burst-somaxconn", { "since_ms=59000 asked=511" },
	  { BURST " asked=511" }, .refused = 6, .somaxconn = 8,
	  .says = { "asked for 511, and net.core.somaxconn left 8",
		    "    listenq clamp 8080 somaxconn 511\n",
		    "    sysctl -w net.core.somaxconn=511\n" } },
	{ "burst, cut, and asked for little", "burst-somaxconn",
	  { "since_ms=59000 asked=12" }, { BURST " asked=12" }, .refused = 6,
	  .says = { "asked for 12, and net.core.somaxconn left 8",
		    "    listenq clamp 8080 floor 16\n",
		    "A backlog of 16 or more in the program's" } },
	{ "burst, cut then", "burst-somaxconn", { "since_ms=59000 asked=511" },
	  { BURST " asked=511" }, .refused = 6,
	  .says = { "Today somaxconn is 4096", "call listen() again (a reload" } },
	{ "burst, all there is", "burst-somaxconn",
	  { "since_ms=59000 asked=-1" }, { BURST " asked=-1" }, .refused = 6,
	  .somaxconn = 8,
	  .says = { "asked for -1 (all there is)", "clamp 8080 somaxconn 16" } },
	{ "burst, a rule", "burst-rule", { "since_ms=59000" },
	  { BURST " asked=511 granted=511 rule=8080" }, .rules = "8080 force 8\n",
	  .says = { "The rule for 8080 makes the limit 8" } },
	{ "burst, before the load", "burst", { "since_ms=59000 asked=-" },
	  { BURST " asked=-" }, .says = { "asked for is not known" } },
	{ "burst, a rule that can't act", "burst rule-idle",
	  { "since_ms=59000 asked=-" }, { BURST " asked=- rule=8080" },
	  .rules = "8080 somaxconn 1000\n", .says = { "can't raise it" } },
	{ "burst, long ago", "", { "since_ms=3999000" },
	  { BURST " since_ms=4000000 since_overflow_ms=3700000" } },
	{ "a rule that can't act", "rule-idle",
	  { "since_ms=59000 asked=- limit=128 granted=128" },
	  { "asked=- limit=128 granted=128 rule=8000-8099" },
	  .rules = "80 floor 9\n8000-8099 somaxconn 1000\n* force 5\n",
	  .says = { "The rule '8000-8099 somaxconn 1000'",
		    "    listenq clamp 8080 floor 1000\n" } },
	{ "a rule that has nothing to do", "",
	  { "since_ms=59000 asked=- limit=128 granted=128" },
	  { "asked=- limit=128 granted=128 rule=*" },
	  .rules = "* somaxconn 100\n" },
	{ "a rule, asked known", "", { "since_ms=59000 rule=*" },
	  { "rule=*" }, .rules = "* somaxconn 1000\n" },
	{ "reserved", "syn-reserved", { "since_ms=59000 limit=256" },
	  { "limit=256 synq=49 synq_young=40 synq_peak=49 requests=49 synq_reserved=151" },
	  .no_cookies = true,
	  .says = { "151 SYNs per second are dropped", "(now 64)", "from 48 requests on",
		    "    sysctl -w net.ipv4.tcp_syncookies=1\n",
		    "    sysctl -w net.ipv4.tcp_max_syn_backlog=4096\n" } },
	{ "reserved, a while ago", "syn-reserved",
	  { "since_ms=59000 synq_reserved=9" },
	  { "synq_reserved=9 requests=9 resent=-" },
	  .says = { "SYNs were dropped before the SYN queue was full",
		    "SYN cookies were off, and", "SYN cookies are on by now",
		    "sent again an unknown number of times" } },
	{ "reserved, unknown", "", { "since_ms=59000 synq_reserved=-" },
	  { "synq_reserved=-" } },
	{ "dropped", "syn-drops", { "since_ms=59000" },
	  { "synq=9 synq_young=9 synq_peak=9 synq_drops=30 requests=9" },
	  .no_cookies = true,
	  .says = { "30 SYNs per second are dropped",
		    "    sysctl -w net.ipv4.tcp_syncookies=1\n" } },
	{ "dropped, limit unknown", "syn-drops", { "since_ms=59000 limit=-" },
	  { "limit=- synq=9 synq_young=9 synq_peak=9 synq_drops=30 requests=9" } },
	{ "flood", "syn-flood", { "since_ms=59000" }, { FLOOD " synq=20" },
	  .tcp = SYN_RECV("0", "01006433") SYN_RECV("1", "02006433")
		 SYN_RECV("2", "0100A8C0"),
	  .says = { "from 2 networks; 2 of 3 from 51.100.0.0/24",
		    "Next to nobody finishes" } },
	{ "flood, a while ago", "syn-flood",
	  { "since_ms=59000 syncookies=60 requests=40 expired=40" },
	  { "syncookies=60 requests=40 expired=40" },
	  .says = { "the SYN queue was full of handshakes" } },
	{ "flood, the queue full too", "burst-asked", { "since_ms=59000" },
	  { FLOOD " overflows=3 since_overflow_ms=900" } },
	{ "cookies", "syn-cookies", { "since_ms=59000" },
	  { "synq_peak=9 synq_peak_1m=9 syncookies=20 cookies_finished=19" },
	  .says = { "19 of these became a connection" } },
	{ "cookies, limit unknown", "syn-cookies", { "since_ms=59000 limit=-" },
	  { "limit=- synq_peak=9 syncookies=20 cookies_finished=19" } },
	{ "unfinished", "unfinished", { "since_ms=59000" },
	  { "limit=128 synq=40 synq_young=3 synq_peak=40 requests=90 finished=50 resent=80" },
	  .says = { "Others finish theirs" } },
	{ "given up", "unfinished", { "since_ms=59000" },
	  { "requests=40 expired=40 resent=80" } },
	{ "some given up", "", { "since_ms=59000" },
	  { "requests=1040 finished=1000 expired=40 resent=80" } },
	{ "given up once", "", { "since_ms=3999000 requests=40 expired=40" },
	  { "since_ms=4000000 requests=40 expired=40" } },
	{ "Fast Open", "fastopen-full", { "since_ms=59000 fastopenq=0 fastopenq_limit=1" },
	  { "fastopenq=1 fastopenq_limit=1 fastopens=1 fastopen_overflows=9" },
	  .says = { "9 clients were refused Fast Open" } },
	{ "closed", "closed", { "since_ms=59000" }, { "" }, .closed = 8,
	  .says = { "0.0.0.0:9090 old: 8 connections were lost" } },
	{ "worst first", "stopped closed", { STILL, .threads = "T do_signal_stop 1" },
	  { STALLED, .threads = "T do_signal_stop 1" }, .closed = 80 },
	{ "began in between", "", { "cookie=c3 since_ms=59000" }, { STALLED },
	  .says = { "Of 1 listener only the second look is known" } },
	{ "began anew", "", { STILL }, { STALLED " since_ms=300" },
	  .says = { "Of 1 listener only the second look is known" } },
	{ "silenced", "", { "since_ms=59000 acceptq=6 acceptq_oldest_ms=- accepts=-" },
	  { "acceptq=6 acceptq_oldest_ms=- accepts=- overflows=- syncookies=-" },
	  .says = { "The counters of 1 listener are not known" } },
};

FIXTURE(explain_saved)
{
};

FIXTURE_SETUP(explain_saved)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
}

FIXTURE_TEARDOWN(explain_saved)
{
	run("rm -rf %s", folder);
}

/* What is found is that, and no other; and the text says why. */
TEST_F(explain_saved, findings)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct saved *saved = &cases[i];
		int status = *saved->finding ? WRONG : DONE;

		write_saved(saved);
		EXPECT_RUN(status, tool("--proc saved explain -j"));
		EXPECT_STREQ(saved->finding, found()) {
			TH_LOG("%s: %s", saved->name, output);
		}
		EXPECT_RUN(status, tool("explain --proc saved"));
		EXPECT_TRUE(fits(80)) {
			TH_LOG("%s", saved->name);
		}
		for (size_t j = 0; j < ARRAY_SIZE(saved->says); j++) {
			const char *text = saved->says[j] ?: "";

			EXPECT_TRUE(strstr(output, text) ||
				    strstr(unwrapped(), text)) {
				TH_LOG("%s: no '%s' in\n%s", saved->name, text,
				       output);
			}
		}
	}
}

/* A unit that is not the system's, whatever it is called. */
TEST_F(explain_saved, units_of_others)
{
	static const char * const cgroups[] = {
		"0::/system.slice/docker-1.scope/ssh.service\n",
		"0::/system.slice/web.service/ssh.service\n",
		"0::/user.slice/user-1.slice/user@1.service/app.slice/my.service\n",
		"0::/user.slice/user-1.slice/user@1.service\n",
		"0::/system.slice/-Hhost.service\n", "0::/system.slice/a b.service\n",
		"0::/../ssh.service\n", "0::/system.slice/$(id).service\n",
		"ssh.service\n", ".service\n", "/.service\n", "0::/.slice/a.service\n",
	};
	struct saved saved = {
		.now = { STALLED, .threads = "S ep_poll 1" }, .fds = 8,
	};

	for (size_t i = 0; i < ARRAY_SIZE(cgroups); i++) {
		saved.cgroup = cgroups[i];
		write_saved(&saved);
		EXPECT_RUN(WRONG, tool("--proc saved explain"));
		EXPECT_EQ(NULL, strstr(output, "systemctl")) {
			TH_LOG("%s", cgroups[i]);
		}
	}
	saved.cgroup = "12:pids:/x\n1:name=systemd:/a.slice/a-b.slice/c@1.service\n0::/y\n";
	write_saved(&saved);
	EXPECT_RUN(WRONG, tool("--proc saved explain"));
	EXPECT_TRUE(says("    systemctl edit c@1.service\n"));
}

/* Five workers, all of which have to go on, and may have more. */
TEST_F(explain_saved, all_workers)
{
	static const struct saved saved = {
		.now = { STALLED, .threads = "T do_signal_stop 1" },
	};

	write_saved(&saved);
	EXPECT_EQ(0, run("set -e; cd saved\n"
			 "for pid in 131 132 133 134 135; do\n"
			 "  cp -r " PID " $pid; mv $pid/task/" PID " $pid/task/$pid\n"
			 "done\n"
			 "echo 131 132 133 134 135 >" PID "/task/" PID "/children"));
	EXPECT_RUN(WRONG, tool("--proc saved explain"));
	EXPECT_TRUE(says("    kill -CONT 131 132 133 134 135\n"));
	EXPECT_TRUE(says("2 more processes can accept, too."));
	EXPECT_EQ(0, run("cd saved; for pid in 131 132 133 134 135; do\n"
			 "  echo \"$pid (a) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0\" >$pid/task/$pid/stat\n"
			 "  for fd in 4 5 6 7; do ln -s 'socket:[7]' $pid/fd/$fd; done; done"));
	EXPECT_RUN(WRONG, tool("--proc saved explain"));
	EXPECT_TRUE(says("    prlimit --pid 133 --nofile=4096:\n"));
	EXPECT_TRUE(says("And the same for 2 more processes."));
}

/* A line may end between the words of a command, not within quotes. */
TEST_F(explain_saved, quotes_of_commands)
{
	static const struct saved saved = {
		.before = { STILL, .threads = "S futex_wait 1" },
		.now = { STALLED, .threads = "S futex_wait 1" },
	};

	write_saved(&saved);
	write_file("saved", PID "/comm", "a\nb\n");
	EXPECT_RUN(WRONG, run("LC_ALL=C COLUMNS=48 %s --proc saved explain",
			      tool_path()));
	EXPECT_TRUE(says(" 'thread apply all bt'\n"));
	EXPECT_TRUE(says(" -ex \\\n"));
	/* A name can have a line break, too. */
	EXPECT_TRUE(says("a\\012b (pid " PID ")"));
}

/* What is said of all threads is said where all of them were looked at. */
TEST_F(explain_saved, threads_without_end)
{
	static const struct saved saved = {
		.now = { STALLED, .threads = "T do_signal_stop 1" },
	};
	FILE *file;

	write_saved(&saved);
	for (int tid = 1000; tid < 1000 + 4200; tid++) {
		file = create("saved/" PID "/task/%d/stat", tid);
		fprintf(file, "%d (a) T 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0\n", tid);
		fclose(file);
	}
	EXPECT_RUN(WRONG, tool("--proc saved explain -j"));
	EXPECT_STREQ("waiting", found());
	EXPECT_TRUE(says("\"name\": \"many-wait\""));
	EXPECT_RUN(WRONG, tool("--proc saved explain"));
	EXPECT_TRUE(strstr(unwrapped(),
			   "not the time to look at all processes and threads of 1 listener"));
}

/* ---- several namespaces ---- */

/* A process in a namespace of its own, which has that; it ends with its parent. */
static void be_another(const char *somaxconn, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET))
		_exit(1);
	write_file("/proc", SOMAXCONN_FILE, somaxconn);
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

/*
 * The tool itself, in a namespace of its own beside another, both of which have the
 * files of saved/ for the module's.
 */
static void be_the_tool(void)
{
	int ready[2];
	char byte;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET))
		_exit(KSFT_SKIP);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || pipe(ready))
		_exit(KSFT_SKIP);
	if (!fork())
		be_another("200\n", ready[1]);
	close(ready[1]);
	write_file("/proc", SOMAXCONN_FILE, "100\n");
	if (read(ready[0], &byte, 1) != 1 ||
	    mount("saved/net", "/proc/self/net", NULL, MS_BIND, NULL))
		_exit(KSFT_SKIP);
	execl("/bin/sh", "sh", "-c",
	      "exec $LISTENQ -a explain -i 0.1 >said 2>&1", NULL);
	_exit(1);
}

/* Each has its own sysctls, which say what to do there. */
TEST_F(explain_saved, of_all_namespaces)
{
	static const struct saved saved = {
		.now = { BURST " asked=511 since_ms=-" },
	};
	int status;
	pid_t tool;

	write_saved(&saved);
	tool = fork();
	ASSERT_LE(0, tool);
	if (!tool)
		be_the_tool();
	ASSERT_EQ(tool, waitpid(tool, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no namespace can be made");
	EXPECT_EQ(WRONG, WEXITSTATUS(status));
	EXPECT_EQ(0, run("cat said"));
	EXPECT_TRUE(strstr(unwrapped(), "Today somaxconn is 100: "));
	EXPECT_TRUE(strstr(unwrapped(), "Today somaxconn is 200: "));
	/* Where the tool is, nobody has to go. */
	EXPECT_TRUE(says("    sysctl -w net.core.somaxconn=511\n"));
	EXPECT_TRUE(says("    listenq clamp 8080 somaxconn 511\n"));
	EXPECT_TRUE(says("    nsenter --net=/proc/"));
}

TEST_HARNESS_MAIN
