// SPDX-License-Identifier: GPL-2.0-only
/*
 * The terminal of the live view. It is restored whatever ends the view: a key, a
 * signal, an error, or the terminal going away.
 */

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "live.h"

static atomic_int stopped_by;

static const int endings[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

static void stop(int signal)
{
	stopped_by = signal;
}

/*
 * Block the signals that end the view, except those that are ignored: from here on
 * they arrive only in terminal_wait(), so that the view can leave the screen. A
 * signal with a handler before newterm() gets none from curses. @before: what was
 * blocked.
 */
static void hold_signals(sigset_t *before)
{
	struct sigaction action = { .sa_handler = stop }, was;
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		sigaction(endings[i], NULL, &was);
		if (was.sa_handler == SIG_IGN)
			continue;
		sigaction(endings[i], &action, NULL);
		sigaddset(&held, endings[i]);
	}
	sigprocmask(SIG_BLOCK, &held, before);
}

/* Leave the screen until something is drawn again. */
static void leave_screen(void)
{
	if (!isendwin())
		endwin();
}

/* From here on, a message leaves the screen first, above all that of die(). */
static SCREEN *enter_screen(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		die("terminal '%s' is not known: set TERM",
		    getenv("TERM") ?: "");
	before_message = leave_screen;
	screen_init();
	set_escdelay(25);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, true);
	curs_set(0);
	timeout(0);
	return screen;
}

/* Take the terminal; fills in @terminal for the three functions below. */
void terminal_enter(struct terminal *terminal)
{
	hold_signals(&terminal->signals);
	terminal->screen = enter_screen();
}

/* Let pending signals in: ppoll() does not if there is something to read. */
static void let_signals_in(const sigset_t *signals)
{
	sigset_t held;

	sigprocmask(SIG_SETMASK, signals, &held);
	sigprocmask(SIG_SETMASK, &held, NULL);
}

/* Wait @ms for a key; false if the terminal has gone, or a signal has come. */
bool terminal_wait(const struct terminal *terminal, long long ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec time = { };
	int ready;

	if (ms > 0) {
		time.tv_sec = ms / 1000;
		time.tv_nsec = ms % 1000 * 1000000;
	}
	ready = ppoll(&input, 1, &time, &terminal->signals);
	/* The hangup may be visible before its signal is sent. */
	if (ready > 0 && input.revents & POLLHUP)
		raise(SIGHUP);
	let_signals_in(&terminal->signals);
	if (stopped_by)
		return false;
	/* Interrupted: the size has changed, and getch() will say so. */
	if (ready < 0)
		return errno == EINTR;
	/* A terminal that has gone is always readable, with nothing to read. */
	return !ready || (input.revents & POLLIN && !(input.revents & POLLHUP));
}

void terminal_leave(const struct terminal *terminal)
{
	leave_screen();
	before_message = NULL;
	delscreen(terminal->screen);
}

/* End like the signal would have ended the program; returns if none has come. */
void terminal_end(const struct terminal *terminal)
{
	const struct sigaction action = { .sa_handler = SIG_DFL };
	int signal = stopped_by;

	if (!signal)
		return;
	sigaction(signal, &action, NULL);
	raise(signal);
	sigprocmask(SIG_SETMASK, &terminal->signals, NULL);
}
