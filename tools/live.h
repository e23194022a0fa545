/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of the live view share: live.c decides, screen.c draws, terminal.c
 * takes the terminal and gives it back, history.c remembers, and help.c explains.
 */
#ifndef LISTENQ_TOOL_LIVE_H
#define LISTENQ_TOOL_LIVE_H

#include <signal.h>

#include "sink.h"

enum mode { LIST, DETAIL, HELP };

/**
 * struct history - what listeners have refused over the last minutes
 * @began_ms: since when anybody has looked; 0: nobody has
 * @until_ms: until when
 * @pasts: a tree of those that have refused somebody
 * @count: how many
 */
struct history {
	long long began_ms;
	long long until_ms;
	void *pasts;
	size_t count;
};

/**
 * struct view - what is on the screen
 * @scope: which listeners are read
 * @filter: which of them are shown
 * @key: in which order
 * @reverse: the other way round
 * @interval_ms: how often they are read
 * @snapshot: as they were read last
 * @history: what they have refused over the last minutes
 * @help_top: the first line of the help on the screen
 * @why: why that failed; empty if it didn't
 * @chosen: those that are shown, or folded
 * @count: how many
 * @groups: they are folded to rows
 * @unfolded: but for this group; see name_group()
 * @folds: these rows
 * @row: what there is a line for
 * @rows: how many
 * @mode: what of them
 * @typing: a filter is being typed in
 * @paused: they are not read again
 * @text: the filter as typed
 * @netns: with @cookie, the listener that is marked; empty: whichever is first
 * @cookie: see @netns
 * @group: the group that is marked instead; empty: none is
 * @marked: where it is in @row
 * @top: the first of @row on the screen
 * @width: of the screen, at least 1; see screen_draw()
 * @height: the same
 * @reversed: what is put on the screen is marked
 * @cut: the line had no room for all of what was put there
 */
struct view {
	struct scope scope;
	struct filter *filter;
	enum sort_key key;
	bool reverse;
	long long interval_ms;
	struct snapshot snapshot;
	struct history history;
	size_t help_top;
	char why[256];
	struct listener **chosen;
	size_t count;
	bool groups;
	char unfolded[2 * TEXT_SIZE];
	struct folds folds;
	struct listener **row;
	size_t rows;
	enum mode mode;
	bool typing;
	bool paused;
	char text[64];
	char netns[TEXT_SIZE];
	char cookie[24];
	char group[2 * TEXT_SIZE];
	size_t marked;
	size_t top;
	int width;
	int height;
	bool reversed;
	bool cut;
};

void screen_init(void);
int screen_rows(const struct view *view);
void screen_draw(struct view *view);

/* ---- terminal.c: given back as it was ---- */

/**
 * struct terminal - the terminal while it is the view's
 * @screen: curses' own (a SCREEN)
 * @signals: those that were blocked before
 */
struct terminal {
	void *screen;
	sigset_t signals;
};

void terminal_enter(struct terminal *terminal);
bool terminal_wait(const struct terminal *terminal, long long ms);
void terminal_leave(const struct terminal *terminal);
void terminal_end(const struct terminal *terminal);

/* ---- history.c: refusals per second ---- */

void history_add(struct history *history, const struct snapshot *now,
		 const struct snapshot *before);
void history_forget(struct history *history);
unsigned int history_print(const struct history *history,
			   const struct listener *listener, unsigned int width,
			   const struct sink *sink);

/* ---- help.c: keys and columns ---- */

const char *help_line(size_t line);
bool help_column(const char *title, char text[TEXT_SIZE]);
size_t help_lines(void);

#endif /* LISTENQ_TOOL_LIVE_H */
