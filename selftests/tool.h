/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of listenq(8) share: programs that are run and what they say,
 * and a listener that has something to show.
 */
#ifndef LISTENQ_SELFTEST_TOOL_H
#define LISTENQ_SELFTEST_TOOL_H

#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "listenq.h"

/* The exit codes of the manual page, and those of --check. */
enum { DONE, WRONG, TROUBLE, OK = 0, WARNING, CRITICAL, NOT_KNOWN };

/*
 * It takes its time where processors are emulated, and can't run what was built
 * with sanitizers: plain_path().
 */
#define VALGRIND	"valgrind -q --error-exitcode=99 --leak-check=full"

/* What was run last, and what it has printed. */
static char command[8192];
static char output[8 << 20];

static inline const char *tool_path(void)
{
	return getenv("LISTENQ_TOOL") ?: "listenq";
}

/* The tool as it is installed, where tool_path() has sanitizers. */
static inline const char *plain_path(void)
{
	return getenv("LISTENQ_PLAIN") ?: tool_path();
}

/* Runs a shell's command line; its exit code. */
__attribute__((format(printf, 1, 2)))
static inline int run(const char *format, ...)
{
	size_t length = 0, got;
	va_list args;
	FILE *pipe;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	fflush(NULL);
	pipe = popen(command, "r");
	if (!pipe)
		err(1, "popen");
	while ((got = fread(output + length, 1, sizeof(output) - 1 - length,
			    pipe)) > 0)
		length += got;
	output[length] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* The tool, in plain ASCII and 80 columns wide. */
#define tool(format, ...)						\
	run("LC_ALL=C COLUMNS=80 %s " format " 2>&1", tool_path(),	\
	    ##__VA_ARGS__)

static inline bool have(const char *program)
{
	return !run("command -v %s", program);
}

/* The reason to skip a test that needs it. */
static inline const char *lacks(const char *program)
{
	static char why[64];

	snprintf(why, sizeof(why), "no %s", program);
	return have(program) ? NULL : why;
}

/* The reason to skip a test that takes long, where `make check` alone or CI is run. */
static inline const char *hurry(void)
{
	return getenv("LISTENQ_QUICK") ? "takes long: TESTS=all has it" : NULL;
}

/* Whether the output has @text; if not, it is shown. */
static inline bool says(const char *text)
{
	if (strstr(output, text))
		return true;
	printf("# no '%s' in '%.1000s'\n", text, output);
	return false;
}

/* The line of the output that has @what; "" where there is none. */
static inline const char *line_with(const char *what)
{
	static char line[4096];
	size_t length;

	for (const char *at = output; *at; at += length + (at[length] == '\n')) {
		length = strcspn(at, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)length, at);
		if (strstr(line, what))
			return line;
	}
	return "";
}

/* Whether @line has that; if not, it is shown. */
__attribute__((format(printf, 2, 3)))
static inline bool line_has(const char *line, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (strstr(line, text))
		return true;
	printf("# no '%s' in '%.1000s'\n", text, line);
	return false;
}

static inline void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		err(1, "%s", path);
}

static inline int lines(const char *text)
{
	int count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* One line on the way of errors, of printable ASCII. */
static inline bool is_complaint(void)
{
	for (const char *at = output; *at; at++)
		if ((*at < ' ' || *at > '~') && *at != '\n')
			return false;
	return lines(output) == 1 && !strncmp(output, "listenq: ", 9);
}

/* What is run ends with @status, or what it has printed is shown. */
#define EXPECT_RUN(status, ran)						\
do {									\
	int __ran = (ran);						\
									\
	EXPECT_EQ(status, __ran) {					\
		TH_LOG("%.500s", output);				\
	}								\
} while (0)

/* The same of what must go wrong: one line says why. */
#define EXPECT_TROUBLE(ran)						\
do {									\
	EXPECT_RUN(TROUBLE, ran);					\
	EXPECT_TRUE(is_complaint()) {					\
		TH_LOG("%.500s", output);				\
	}								\
} while (0)

/* What goes well prints @text; or has @text in what it prints. */
#define EXPECT_OUTPUT(text, ran)					\
do {									\
	EXPECT_RUN(DONE, ran);						\
	EXPECT_STREQ(text, output);					\
} while (0)

#define EXPECT_SAYS(text, ran)						\
do {									\
	EXPECT_RUN(DONE, ran);						\
	EXPECT_TRUE(says(text));					\
} while (0)

static char folder[32];

/*
 * For set-ups: in a folder of the test's own that can be read as /proc; the
 * reason if there is nothing to be tested.
 */
static inline const char *enter_folder(void)
{
	if (!have(tool_path()))
		return "no listenq(8): make tools, set LISTENQ_TOOL";
	lq_set_somaxconn(4096);
	setenv("LISTENQ", tool_path(), 1);
	setenv("LISTENQ_PLAIN", plain_path(), 1);
	unsetenv("NO_COLOR");
	strcpy(folder, "/tmp/listenq-test.XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) || run("mkdir -p net/listenq"))
		err(1, "%s", folder);
	return NULL;
}

/* ---- files that a module could write, to be read with --proc ---- */

/*
 * Three listeners: one of which all is known, no two figures alike; one where
 * nothing has happened; and one of which nothing is known.
 */
enum { SAMPLES = 3 };

struct sample_column {
	const char *name;
	const char *value[SAMPLES];
};

#define COLUMN(name, all, idle, blind)	{ name, { all, idle, blind } }
#define COUNT(name, all)		COLUMN(name, all, "0", "-")
#define SAME(name, all)			{ name, { [0 ... SAMPLES - 1] = (all) } }
#define ADDRESS COLUMN("local", "127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003")
#define COOKIE	COLUMN("cookie", "a1", "b2", "c3")

static const struct sample_column sample_sockets[] = {
	SAME("proto", "tcp"), ADDRESS, COOKIE,
	COLUMN("inode", "901", "902", "903"), SAME("uid", "0"),
	SAME("pid", "1"), COLUMN("comm", "all", "idle", "blind"),
	SAME("asked", "8"), SAME("granted", "8"), SAME("limit", "8"),
	SAME("rule", "-"), COLUMN("acceptq", "9", "0", "0"),
	COUNT("acceptq_peak", "90"), COLUMN("acceptq_oldest_ms", "1000", "-", "-"),
	COLUMN("synq", "5", "0", "0"), COLUMN("synq_young", "4", "0", "0"),
	COUNT("synq_peak", "50"), SAME("since_ms", "60000"),
	COUNT("syns", "201"), COUNT("accepts", "202"),
	COUNT("overflows", "203"), COUNT("synq_drops", "204"),
	COUNT("syncookies", "205"),
	COLUMN("sk_drops", "206", "0", "0"),
	COLUMN("since_overflow_ms", "1500", "-", "-"),
	COUNT("overflows_ack", "107"), COUNT("synq_reserved", "208"),
	COUNT("acceptq_peak_1m", "80"), COUNT("synq_peak_1m", "40"),
	COLUMN("group", "3", "-", "-"), COLUMN("fastopenq", "17", "-", "-"),
	COLUMN("fastopenq_limit", "18", "-", "-"),
}, sample_waits[] = {
	COOKIE, ADDRESS, COUNT("count", "136"), COUNT("sum_ms", "272000"),
	COUNT("4ms", "1"), COUNT("8ms", "2"), COUNT("16ms", "3"),
	COUNT("32ms", "4"), COUNT("64ms", "5"), COUNT("128ms", "6"),
	COUNT("256ms", "7"), COUNT("512ms", "8"), COUNT("1024ms", "9"),
	COUNT("2048ms", "10"), COUNT("4096ms", "11"), COUNT("8192ms", "12"),
	COUNT("16384ms", "13"), COUNT("32768ms", "14"), COUNT("65536ms", "15"),
	COUNT("more", "16"),
}, sample_handshakes[] = {
	COOKIE, ADDRESS, COUNT("syns", "201"),
	COUNT("requests", "301"), COUNT("finished", "302"),
	COUNT("expired", "303"), COUNT("reset", "304"), COUNT("resent", "305"),
	COUNT("cookies_finished", "306"), COUNT("cookies_failed", "307"),
	COUNT("fastopens", "308"), COUNT("fastopen_overflows", "309"),
	COUNT("failed", "310"), COUNT("carried_requests", "311"),
	COUNT("carried_connections", "312"),
	COUNT("count", "136"), COUNT("sum_us", "4200000"),
	COUNT("256us", "1"), COUNT("512us", "2"), COUNT("1024us", "3"),
	COUNT("2048us", "4"), COUNT("4096us", "5"), COUNT("8192us", "6"),
	COUNT("16384us", "7"), COUNT("32768us", "8"), COUNT("65536us", "9"),
	COUNT("131072us", "10"), COUNT("262144us", "11"),
	COUNT("524288us", "12"), COUNT("1048576us", "13"),
	COUNT("2097152us", "14"), COUNT("4194304us", "15"),
	COUNT("more", "16"),
	COUNT("joined", "313"),
}, sample_totals[] = {
	COUNT("syns", "401"), COUNT("accepts", "402"),
	COUNT("overflows", "503"), COUNT("synq_drops", "404"),
	COUNT("syncookies", "405"), COUNT("requests", "406"),
	COUNT("finished", "407"), COUNT("expired", "408"),
	COUNT("reset", "409"), COUNT("resent", "410"),
	COUNT("cookies_finished", "411"), COUNT("cookies_failed", "412"),
	COUNT("fastopens", "413"), COUNT("fastopen_overflows", "414"),
	COUNT("failed", "415"), COUNT("carried_requests", "416"),
	COUNT("carried_connections", "417"), COUNT("joined", "418"),
	COUNT("overflows_ack", "419"), COUNT("synq_reserved", "420"),
	COUNT("unaccepted", "421"), COUNT("abandoned", "422"),
}, sample_hooks[] = {
	SAME("symbol", "inet_listen"), SAME("how", "ftrace"),
	SAME("serves", "asked"), SAME("state", "on"), SAME("hits", "3"),
	SAME("nmissed", "0"),
};

static const struct {
	const char *name;
	const struct sample_column *column;
	size_t columns;
	int rows;
} sample_files[] = {
#define SAMPLE(name, rows) \
	{ #name, sample_##name, ARRAY_SIZE(sample_##name), rows }
	SAMPLE(sockets, SAMPLES), SAMPLE(waits, SAMPLES),
	SAMPLE(handshakes, SAMPLES), SAMPLE(totals, 1), SAMPLE(hooks, 1),
#undef SAMPLE
};

#undef COLUMN
#undef COUNT
#undef SAME
#undef ADDRESS
#undef COOKIE

static inline void write_sample(void)
{
	char path[64];
	FILE *file;

	for (size_t i = 0; i < ARRAY_SIZE(sample_files); i++) {
		snprintf(path, sizeof(path), "net/listenq/%s",
			 sample_files[i].name);
		unlink(path);
		file = fopen(path, "w");
		if (!file)
			err(1, "%s", path);
		for (int row = -1; row < sample_files[i].rows; row++)
			for (size_t j = 0; j < sample_files[i].columns; j++) {
				const struct sample_column *column =
					&sample_files[i].column[j];

				fprintf(file, "%s%s", row < 0 ? column->name :
					column->value[row],
					j + 1 < sample_files[i].columns ? " " :
					"\n");
			}
		if (fclose(file))
			err(1, "%s", path);
	}
}

/* Makes of one of its files what awk's @program says. */
static inline void change_sample(const char *name, const char *program)
{
	if (run("cd net/listenq && awk '%s' %s >x && mv x %s", program, name,
		name))
		errx(1, "%s", output);
}

/* As if it had been saved at 04:05:06 UTC on 3 February 2020. */
static inline void date_sample(const char *path)
{
	const struct timespec time = { .tv_sec = 1580702706 };

	if (utimensat(AT_FDCWD, path, (struct timespec[]) { time, time }, 0))
		err(1, "%s", path);
}

/* The same as by a module from before the books. */
static inline void write_old_sample(void)
{
	write_sample();
	if (run("set -e; cd net/listenq; rm handshakes; for old in sockets-25 totals-5;"
		" do file=${old%%-*}; cut -d ' ' -f -${old#*-} $file >x; mv x $file; done"))
		errx(1, "%s", output);
}

/*
 * A process called @name that listens in a namespace of its own, where @clients
 * connect, until it is killed.
 */
static inline pid_t listen_elsewhere(const char *name, int clients, int *port)
{
	int *there = lq_shared(sizeof(*there));
	pid_t pid = lq_fork_ready();
	int fd;

	if (!pid) {
		prctl(PR_SET_NAME, name);
		lq_new_netns();
		fd = lq_listener(AF_INET, 7);
		while (clients--)
			lq_connect(fd);
		*there = lq_port(fd);
		lq_stay();
	}
	*port = *there;
	return pid;
}

/* A listener whose queue is full, and which has turned somebody away. */
static inline int full_listener(int backlog)
{
	int fd = lq_listener(AF_INET, backlog);
	struct lq_addr addr = lq_name(fd);
	int client, waiting, limit;

	/*
	 * One after the other: of two ACKs that arrive at once both may find
	 * the last place free.
	 */
	for (int i = 0; i <= backlog; i++)
		lq_enqueue(fd);
	client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client < 0 || !connect(client, &addr.sa, addr.len) ||
	    errno != EINPROGRESS)
		err(1, "a client too many");
	if (lq_wait_until(lq_num(fd, "overflows") > 0))
		return fd;
	lq_tcp_queue(fd, &waiting, &limit);
	run("cat " LQ_SOCKETS " " LQ_TOTALS " " LQ_HOOKS);
	errx(1, "no overflow of %d: %d of %d wait, the kernel counts %lld\n%s",
	     lq_port(fd), waiting, limit, lq_netstat("ListenOverflows"),
	     output);
}

#endif
