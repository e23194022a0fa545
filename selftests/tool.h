/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of listenq(8) share: programs that are run and what they say,
 * and a listener that has something to show.
 */
#ifndef LISTENQ_SELFTEST_TOOL_H
#define LISTENQ_SELFTEST_TOOL_H

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "listenq.h"

/* The exit codes of the manual page. */
enum { DONE, ABOVE, TROUBLE };

/* What the tool has printed last, errors too. */
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
	char command[8192];
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
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null",
		 program);
	return !lq_run(command);
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
