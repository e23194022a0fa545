/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the live view share: tmux, which is its terminal. */
#ifndef LISTENQ_SELFTEST_TERMINAL_H
#define LISTENQ_SELFTEST_TERMINAL_H

#include "tool.h"

/* Asks the test's own tmux; what it says is in output afterwards. */
__attribute__((LQ_PRINTF))
static inline int terminal(const char *format, ...)
{
	char arguments[512];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	return run("LC_ALL=C.UTF-8 TMUX_TMPDIR=%s tmux -N %s 2>&1", folder,
		   arguments);
}

static inline bool shows(const char *text)
{
	if (terminal("capture-pane -p -t lq"))
		return false;
	return strstr(output, text);
}

/*
 * The tool in a terminal of 80 columns and 24 lines, which outlives it. All of
 * it ends with the test.
 */
static inline pid_t start(const char *environment, const char *arguments)
{
	pid_t server = lq_fork();

	if (!server) {
		setenv("LC_ALL", "C.UTF-8", 1);
		setenv("TMUX_TMPDIR", folder, 1);
		execlp("tmux", "tmux", "-D", "-f", "/dev/null", NULL);
		err(1, "tmux");
	}
	if (!lq_wait_until(!terminal("list-sessions")) ||
	    terminal("new-session -d -x 80 -y 24 -s lq '%s %s %s; echo code $?; sleep 99'",
		     environment, tool_path(), arguments))
		errx(1, "tmux: %s", output);
	return server;
}

static inline void stop(pid_t server)
{
	kill(server, SIGTERM);
	lq_reap(server);
}

static inline void press(const char *keys)
{
	if (terminal("send-keys -t lq %s", keys))
		errx(1, "tmux: %s", output);
}

/* The first of @texts for which the screen is not as shows_all() has it, or NULL. */
static inline const char *lacking(const char * const texts[])
{
	if (terminal("capture-pane -p -t lq"))
		return "a screen";
	while (*texts && (**texts == '!' ? !strstr(output, *texts + 1) :
					   !!strstr(output, *texts)))
		texts++;
	return *texts;
}

/*
 * All of @texts are on one screen, and none of those that begin with "!". What a key or
 * another size changes comes later: to look at once would be to look at what was there
 * before, or at half of it.
 */
static inline bool shows_all(const char * const texts[])
{
	if (lq_wait_until(!lacking(texts)))
		return true;
	printf("# not as '%s' has it:\n%s\n", lacking(texts), output);
	return false;
}

#endif
