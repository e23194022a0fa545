/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of the live view: live.c decides, screen.c draws, terminal.c
 * takes the terminal and gives it back, history.c remembers, and help.c explains.
 */
#ifndef LISTENQ_TOOL_LIVE_H
#define LISTENQ_TOOL_LIVE_H

#include <signal.h>

#include "sink.h"

enum mode { LIST, DETAIL, HELP };

/**
 * struct history - how many clients listeners refused over the last minutes
 * @began_ms: since when listeners were watched; 0: never
 * @until_ms: until when
 * @pasts: a tree of the listeners that refused any
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
 * @scope: the listeners that are read
 * @filter: those of them that are shown
 * @key: what they are sorted by
 * @reverse: sorted the other way round
 * @interval_ms: the time between two reads
 * @snapshot: what was read last
 * @history: how many clients were refused over the last minutes
 * @help_top: the first line of the help on the screen
 * @why: why the last read failed; empty if it didn't
 * @chosen: the listeners that @filter lets through
 * @count: how many
 * @groups: SO_REUSEPORT groups are folded to rows
 * @unfolded: except this group; see name_group()
 * @folds: the folded rows
 * @row: the lines
 * @rows: how many lines
 * @mode: which kind of screen is shown
 * @typing: the user is typing a filter
 * @paused: nothing is read until the user goes on
 * @text: the filter, as typed
 * @netns: with @cookie, the marked listener; empty: whichever is first
 * @cookie: see @netns
 * @group: the marked group, if one is marked instead
 * @marked: the index of the marked line in @row
 * @top: the index in @row of the first line on the screen
 * @width: of the screen, at least 1; see screen_draw()
 * @height: the same
 * @reversed: text that is put on the screen is marked
 * @cut: the line had no room for all of its text
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

/* ---- terminal.c: the terminal ---- */

/**
 * struct terminal - the terminal while the live view has it
 * @screen: curses' own (a SCREEN)
 * @signals: the signals that were blocked before
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
