// SPDX-License-Identifier: GPL-2.0-only
/*
 * The live view: the table, read again and again, with rates. A line can be marked,
 * and its listener looked at in detail.
 */

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "output.h"

#define ESCAPE	27

/* ---- what is shown ---- */

/* A name that no other group has. */
static void name_group(char name[2 * TEXT_SIZE], const struct listener *listener)
{
	snprintf(name, 2 * TEXT_SIZE, "%s %s %s", listener->word[PROTO],
		 listener->word[LOCAL], listener->netns ?: "");
}

static bool is_group(const char *name, const struct listener *listener)
{
	char own[2 * TEXT_SIZE];

	name_group(own, listener);
	return !strcmp(name, own);
}

static bool is_marked(const struct view *view, const struct listener *listener)
{
	if (listener->fold)
		return is_group(view->group, listener);
	return !*view->group && !strcmp(view->cookie, listener->word[COOKIE]) &&
	       !strncmp(view->netns, listener->netns ?: "",
			sizeof(view->netns) - 1);
}

static void mark(struct view *view, long long to)
{
	const struct listener *listener;

	if (!view->rows) {
		view->marked = 0;
		return;
	}
	if (to >= (long long)view->rows)
		to = view->rows - 1;
	view->marked = to > 0 ? to : 0;
	listener = view->row[view->marked];
	*view->group = '\0';
	if (listener->fold)
		name_group(view->group, listener);
	snprintf(view->cookie, sizeof(view->cookie), "%s",
		 listener->word[COOKIE]);
	snprintf(view->netns, sizeof(view->netns), "%s",
		 listener->netns ?: "");
}

/* Insert the members of the unfolded group below its row. */
static void unfold(struct view *view)
{
	const struct group *group;
	size_t at, i;

	for (at = 0; at < view->rows; at++)
		if (view->row[at]->fold && is_group(view->unfolded, view->row[at]))
			break;
	if (at == view->rows)
		return;
	group = &view->row[at++]->fold->group;
	/* There is room for all that were chosen, and for the group's own row. */
	memmove(&view->row[at + group->count], &view->row[at],
		(view->rows - at) * sizeof(*view->row));
	view->rows += group->count;
	for (i = 0; i < group->count; i++) {
		view->row[at + i] = group->listener[i];
		view->row[at + i]->member = true;
	}
}

static void free_rows(struct view *view)
{
	folds_free(&view->folds);
	free(view->row);
	view->row = NULL;
	view->rows = 0;
}

/* Turn the chosen listeners into lines. */
static void make_rows(struct view *view)
{
	struct listener **row = view->chosen;
	size_t i;

	free_rows(view);
	view->rows = view->count;
	for (i = 0; i < view->count; i++)
		view->chosen[i]->member = false;
	if (view->groups) {
		fold(&view->folds, view->chosen, view->count, view->key,
		     view->reverse);
		row = view->folds.row;
		view->rows = view->folds.count;
	}
	view->row = allocate(NULL, view->count + 1, sizeof(*view->row));
	memcpy(view->row, row, view->rows * sizeof(*view->row));
	if (view->groups)
		unfold(view);
}

/* After any change: choose again, and find the marked listener's new line. */
static void rechoose(struct view *view)
{
	size_t i;

	free(view->chosen);
	view->filter->text = *view->text ? view->text : NULL;
	view->chosen = choose(&view->snapshot, view->filter, view->key,
			      view->reverse, &view->count);
	process_find(view->chosen, view->count, true);
	make_rows(view);
	for (i = 0; i < view->rows; i++)
		if (is_marked(view, view->row[i]))
			break;
	if (i < view->rows) {
		view->marked = i;
		return;
	}
	/* It is gone, or no line was marked. */
	if (view->mode == DETAIL)
		*view->cookie = '\0';
	else if (*view->cookie)
		mark(view, view->marked);
	else
		view->marked = 0;
}

/* NULL or a reason. If only some namespaces could be read, these are shown. */
static const char *reread(struct view *view)
{
	struct snapshot snapshot;
	const char *why;

	why = snapshot_take(&view->scope, &snapshot);
	snprintf(view->why, sizeof(view->why), "%s", why ?: "");
	if (snapshot.unreads)
		snprintf(view->why, sizeof(view->why),
			 "%zu left out: namespace %s: %s", snapshot.unreads,
			 snapshot.unread->netns.name, snapshot.unread->why);
	else if (snapshot.list.hidden)
		snprintf(view->why, sizeof(view->why),
			 "namespaces of %zu processes left out: only root may know them",
			 snapshot.list.hidden);
	/* On failure it is empty: don't show figures that may be outdated. */
	snapshot_rates(&snapshot, &view->snapshot);
	history_add(&view->history, &snapshot, &view->snapshot);
	free_rows(view);
	free(view->chosen);
	view->chosen = NULL;
	snapshot_free(&view->snapshot);
	view->snapshot = snapshot;
	rechoose(view);
	return why;
}

/* ---- keys ---- */

static void type(struct view *view, int key)
{
	size_t length = strlen(view->text);

	switch (key) {
	case '\n':
	case '\r':
	case KEY_ENTER:
		view->typing = false;
		break;
	case ESCAPE:
		view->typing = false;
		*view->text = '\0';
		break;
	case KEY_BACKSPACE:
	case 127:
	case '\b':
		if (length)
			view->text[length - 1] = '\0';
		break;
	default:
		if (key >= ' ' && key <= '~' &&
		    length + 1 < sizeof(view->text)) {
			view->text[length] = key;
			view->text[length + 1] = '\0';
		}
	}
	rechoose(view);
}

static void sort_by(struct view *view, int key)
{
	view->key = (key + SORT_KEYS) % SORT_KEYS;
	rechoose(view);
}

static void go_back(struct view *view)
{
	if (view->mode == LIST)
		*view->text = '\0';
	view->mode = LIST;
	rechoose(view);
}

/* Go into a listener, or unfold or fold a group. */
static void enter(struct view *view)
{
	const struct listener *listener;

	mark(view, view->marked);
	listener = view->row[view->marked];
	if (!listener->fold) {
		view->mode = DETAIL;
		return;
	}
	if (is_group(view->unfolded, listener))
		*view->unfolded = '\0';
	else
		name_group(view->unfolded, listener);
	rechoose(view);
}

static void scroll_help(struct view *view, int key)
{
	long long rows = screen_rows(view), top = view->help_top;
	long long last = help_lines() > (size_t)rows ? help_lines() - rows : 0;

	switch (key) {
	case KEY_UP:
	case 'k':
		top--;
		break;
	case KEY_DOWN:
	case 'j':
		top++;
		break;
	case KEY_PPAGE:
		top -= rows;
		break;
	case KEY_NPAGE:
		top += rows;
		break;
	case KEY_HOME:
		top = 0;
		break;
	case KEY_END:
		top = last;
		break;
	}
	if (top > last)
		top = last;
	view->help_top = top > 0 ? top : 0;
}

/* Act on a key; false if it ends the view. */
static bool obey(struct view *view, int key)
{
	static const char sort_letters[] = "fowynlp";
	const char *letter;

	if (view->typing && key != KEY_RESIZE) {
		type(view, key);
		return true;
	}
	switch (key) {
	case 'q':
		return false;
	case ESCAPE:
	case KEY_BACKSPACE:
	case KEY_LEFT:
		go_back(view);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
	case KEY_RIGHT:
		if (view->rows)
			enter(view);
		break;
	case '?':
	case 'h':
		view->mode = HELP;
		view->help_top = 0;
		break;
	case ' ':
		view->paused = !view->paused;
		break;
	}
	if (view->mode == HELP)
		scroll_help(view, key);
	if (view->mode != LIST)
		return true;

	switch (key) {
	case KEY_UP:
	case 'k':
		mark(view, (long long)view->marked - 1);
		break;
	case KEY_DOWN:
	case 'j':
		mark(view, view->marked + 1);
		break;
	case KEY_PPAGE:
		mark(view, (long long)view->marked - screen_rows(view));
		break;
	case KEY_NPAGE:
		mark(view, view->marked + screen_rows(view));
		break;
	case KEY_HOME:
		/* From now on the first line, whichever listener that is. */
		view->marked = 0;
		*view->cookie = '\0';
		*view->group = '\0';
		break;
	case KEY_END:
		mark(view, view->rows);
		break;
	case '/':
		view->typing = true;
		break;
	case 'g':
		view->groups = !view->groups;
		rechoose(view);
		break;
	case 's':
		sort_by(view, view->key + 1);
		break;
	case 'S':
		sort_by(view, view->key - 1);
		break;
	case 'r':
		view->reverse = !view->reverse;
		rechoose(view);
		break;
	default:
		letter = key > 0 && key < 128 ? strchr(sort_letters, key) :
						NULL;
		if (letter)
			sort_by(view, letter - sort_letters);
	}
	return true;
}

/**
 * live() - show the live view until the user leaves it
 * @scope: the listeners to read
 * @filter: those of them to show
 * @key: what to sort by
 * @reverse: sort the other way round
 * @groups: show one line for each SO_REUSEPORT group
 * @seconds: the time between two reads
 */
void live(const struct scope *scope, struct filter *filter, enum sort_key key,
	  bool reverse, bool groups, double seconds)
{
	struct view view = {
		.scope = *scope,
		.filter = filter,
		.key = key,
		.reverse = reverse,
		.groups = groups,
		.interval_ms = seconds * 1000,
	};
	const char *why;
	struct terminal terminal;
	long long next;
	int pressed;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		die("-w needs a terminal: without one, run listenq repeatedly");
	view.scope.histograms = true;
	view.scope.refused = REFUSED_ALLOWED;
	why = reread(&view);
	if (why)
		die("%s", why);

	terminal_enter(&terminal);
	next = now_ms() + view.interval_ms;
	do {
		screen_draw(&view);
		pressed = getch();
		if (pressed == ERR) {
			if (!terminal_wait(&terminal, next - now_ms()))
				break;
			pressed = getch();
		}
		if (now_ms() >= next) {
			if (!view.paused)
				reread(&view);
			next = now_ms() + view.interval_ms;
		}
	} while (pressed == ERR || obey(&view, pressed));

	terminal_leave(&terminal);
	free_rows(&view);
	free(view.chosen);
	snapshot_free(&view.snapshot);
	history_forget(&view.history);
	terminal_end(&terminal);
}
