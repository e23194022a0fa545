/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of listenq(8) share: programs that are run and what they say,
 * and a listener that has something to show.
 */
#ifndef LISTENQ_SELFTEST_TOOL_H
#define LISTENQ_SELFTEST_TOOL_H

#include <stdarg.h>
#include <sys/prctl.h>

#include "listenq.h"

/* The exit codes of the manual page. */
enum { DONE, ABOVE, TROUBLE };

/* It takes its time where processors are emulated. */
#define VALGRIND	"valgrind -q --error-exitcode=99 --leak-check=full"

/* What was run last, and what it has printed. */
static char command[8192];
static char output[8 << 20];

static inline const char *tool_path(void)
{
	return getenv("LISTENQ_TOOL") ?: "listenq";
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

/* Whether the output has @text; if not, it is shown. */
static inline bool says(const char *text)
{
	if (strstr(output, text))
		return true;
	printf("# no '%s' in '%.1000s'\n", text, output);
	return false;
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
	unsetenv("NO_COLOR");
	strcpy(folder, "/tmp/listenq-test.XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) || run("mkdir -p net/listenq"))
		err(1, "%s", folder);
	return NULL;
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
