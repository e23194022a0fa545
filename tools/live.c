// SPDX-License-Identifier: GPL-2.0-only
/*
 * The live view: the table, read again and again, with rates; a line can be
 * chosen and looked at in detail.
 */

#include <ctype.h>
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "listenq.h"

enum mode { LIST, DETAIL, HELP };

#define ESCAPE	27

/**
 * struct view - what is on the screen
 * @scope: which listeners are read
 * @filter: which of them are shown
 * @key: in which order
 * @reverse: the other way round
 * @interval_ms: how often they are read
 * @snapshot: as they were read last
 * @why: why that failed; empty if it didn't
 * @chosen: those that are shown
 * @count: how many
 * @mode: what of them
 * @typing: a filter is being typed in
 * @paused: they are not read again
 * @text: the filter as typed
 * @netns: with @cookie, the listener that is marked; empty: whichever is first
 * @cookie: see @netns
 * @marked: where it is in @chosen
 * @top: the first of @chosen on the screen
 * @reversed: what is put on the screen is marked
 */
struct view {
	struct scope scope;
	struct filter *filter;
	enum sort_key key;
	bool reverse;
	long long interval_ms;
	struct snapshot snapshot;
	char why[256];
	struct listener **chosen;
	size_t count;
	enum mode mode;
	bool typing;
	bool paused;
	char text[64];
	char netns[TEXT_SIZE];
	char cookie[24];
	size_t marked;
	size_t top;
	bool reversed;
};

/* ---- the screen ---- */

static attr_t attributes[STYLES] = {
	[DIM] = A_DIM, [TITLE] = A_BOLD, [WARN] = A_BOLD, [BAD] = A_BOLD,
};

static void init_attributes(void)
{
	static const struct {
		enum style style;
		short colour;
		attr_t attribute;
	} colours[] = {
		{ GOOD, COLOR_GREEN, A_NORMAL },
		{ WARN, COLOR_YELLOW, A_NORMAL },
		{ BAD, COLOR_RED, A_BOLD },
		{ NOTE, COLOR_CYAN, A_NORMAL },
	};
	const char *no = getenv("NO_COLOR");

	attributes[NOTE] = A_UNDERLINE;
	if ((no && *no) || !has_colors() || start_color() != OK)
		return;
	use_default_colors();
	for (size_t i = 0; i < ARRAY_SIZE(colours); i++) {
		init_pair(i + 1, colours[i].colour, -1);
		attributes[colours[i].style] = colours[i].attribute |
					       COLOR_PAIR(i + 1);
	}
}

/* What is beyond the right edge is cut; below the last line there is none. */
static void put(const struct sink *sink, enum style style, const char *text)
{
	const struct view *view = sink->to;
	char cut[TEXT_SIZE];
	int y, x;

	getyx(stdscr, y, x);
	if (!strcmp(text, "\n")) {
		move(y + 1 < LINES ? y + 1 : y, y + 1 < LINES ? 0 : COLS - 1);
		return;
	}
	if (x >= COLS - 1 && y == LINES - 1)
		return;
	snprintf(cut, sizeof(cut), "%s", text);
	if (text_width(cut) > (size_t)(COLS - x))
		text_cut(cut, COLS - x);
	attrset(attributes[style] | (view->reversed ? A_REVERSE : 0));
	addstr(cut);
	/* At the right edge the cursor has gone to the next line. */
	if (getcury(stdscr) != y)
		move(y, COLS - 1);
	attrset(A_NORMAL);
}

__attribute__((format(printf, 3, 4)))
static void print(const struct sink *sink, enum style style,
		  const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(sink, style, text);
}

static void draw_rate(const struct view *view, const struct sink *sink,
		      const char *name, enum figure figure)
{
	enum style style = figure == OVERFLOWS ? BAD : TITLE;
	char text[TEXT_SIZE];
	double sum = -1;

	for (size_t i = 0; i < view->count; i++)
		if (view->chosen[i]->rate[figure] >= 0)
			sum = (sum < 0 ? 0 : sum) +
			      view->chosen[i]->rate[figure];
	text_rate(text, sum);
	print(sink, PLAIN, "  %s ", name);
	print(sink, sum > 0 ? style : PLAIN, "%s/s", text);
}

static void draw_title(const struct view *view, const struct sink *sink)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t full = 0, i;
	char text[16];

	for (i = 0; i < view->count; i++)
		full += listener_is_full(view->chosen[i], ACCEPTQ);
	move(0, 0);
	print(sink, TITLE, "listenq");
	if (view->scope.netns)
		print(sink, PLAIN, "  netns %s", view->scope.netns);
	if (view->count == view->snapshot.count)
		print(sink, PLAIN, "  %zu listener%s", view->count,
		      view->count == 1 ? "" : "s");
	else
		print(sink, PLAIN, "  %zu of %zu listeners", view->count,
		      view->snapshot.count);
	if (full)
		print(sink, BAD, ", %zu full", full);
	draw_rate(view, sink, "SYNs", SYNS);
	draw_rate(view, sink, "accepts", ACCEPTS);
	draw_rate(view, sink, "overflows", OVERFLOWS);
	localtime_r(&now, &tm);
	strftime(text, sizeof(text), " %H:%M:%S", &tm);
	if (getcurx(stdscr) + (int)strlen(text) < COLS) {
		move(0, COLS - strlen(text));
		put(sink, DIM, text);
	}
}

static void draw_foot(const struct view *view, const struct sink *sink)
{
	move(LINES - 1, 0);
	if (view->paused)
		put(sink, NOTE, "paused  ");
	if (view->typing) {
		print(sink, TITLE, "filter: %s_", view->text);
		print(sink, DIM, "  Enter: keep  Esc: all");
	} else if (*view->why) {
		print(sink, BAD, "%s", view->why);
	} else if (view->mode == LIST) {
		if (*view->text)
			print(sink, NOTE, "filter: %s  ", view->text);
		print(sink, DIM, "sort: ");
		print(sink, NOTE, "%s%s", sort_names[view->key],
		      view->reverse ? " reversed" : "");
		print(sink, DIM,
		      "  s: next  /: filter  Enter: detail  ?: help  q: quit  r: reverse  space: pause");
	} else {
		print(sink, DIM, "Esc: back to the table  q: quit");
	}
}

static int rows_on_screen(void)
{
	return LINES > 4 ? LINES - 3 : 1;
}

static void draw_list(struct view *view, struct sink *sink)
{
	size_t rows = rows_on_screen(), shown;
	struct table table;

	if (view->marked < view->top)
		view->top = view->marked;
	if (view->marked >= view->top + rows)
		view->top = view->marked - rows + 1;
	if (view->top && view->top + rows > view->count)
		view->top = view->count > rows ? view->count - rows : 0;
	shown = view->count - view->top < rows ? view->count - view->top : rows;

	table_layout(&table, view->chosen + view->top, shown, COLS,
		     TABLE_RATES | (view->scope.all ? TABLE_NETNS : 0));
	move(1, 0);
	table_header(&table, view->key, sink);
	for (size_t i = 0; i < shown; i++) {
		move(2 + i, 0);
		view->reversed = view->top + i == view->marked;
		table_row(&table, view->chosen[view->top + i], sink);
		while (view->reversed && getcurx(stdscr) < COLS - 1)
			put(sink, PLAIN, " ");
		view->reversed = false;
	}
}

static void draw_help(const struct sink *sink)
{
	static const char * const help[] = {
		"Up Down PgUp PgDn Home End   mark a listener",
		"Enter                        all about it, with its histogram of waits",
		"Esc                          back to the table; the filter off",
		"/                            filter by address, process, protocol, namespace",
		"s S                          sort by the next key, by the one before",
		"f o w y n l p                sort by fill, overflows, oldest wait, SYN queue,",
		"                             SYNs, address, process",
		"r                            the other way round",
		"space                        pause, and go on",
		"q                            quit",
		"",
		"OVF     overflows: refused because the accept queue was full; LAST: since then",
		"LIMIT   what was asked for, where it is not what is in force",
		"        !  somaxconn has clamped it    r  a rule acts on it",
	};

	move(2, 0);
	for (size_t i = 0; i < ARRAY_SIZE(help); i++) {
		put(sink, PLAIN, help[i]);
		put(sink, PLAIN, "\n");
	}
}

static void draw(struct view *view)
{
	struct sink sink = { .put = put, .to = view };

	erase();
	draw_title(view, &sink);
	if (view->mode == LIST) {
		draw_list(view, &sink);
	} else if (view->mode == HELP) {
		draw_help(&sink);
	} else {
		move(2, 0);
		if (view->count && *view->cookie)
			detail_print(view->chosen[view->marked], COLS,
				     LINES - 3, &sink);
		else
			put(&sink, WARN, "It does not listen any more.");
	}
	/* Whatever stood there goes. */
	move(LINES - 1, 0);
	clrtoeol();
	draw_foot(view, &sink);
	refresh();
}

/* ---- what is shown ---- */

static bool is_marked(const struct view *view, const struct listener *listener)
{
	return !strcmp(view->cookie, listener->word[COOKIE]) &&
	       !strncmp(view->netns, listener->netns ?: "",
			sizeof(view->netns) - 1);
}

static void mark(struct view *view, long long to)
{
	const struct listener *listener;

	if (!view->count) {
		view->marked = 0;
		return;
	}
	if (to >= (long long)view->count)
		to = view->count - 1;
	view->marked = to > 0 ? to : 0;
	listener = view->chosen[view->marked];
	snprintf(view->cookie, sizeof(view->cookie), "%s",
		 listener->word[COOKIE]);
	snprintf(view->netns, sizeof(view->netns), "%s",
		 listener->netns ?: "");
}

/* After any change: chooses anew, and finds the marked one where it is now. */
static void rechoose(struct view *view)
{
	size_t i;

	free(view->chosen);
	view->filter->text = *view->text ? view->text : NULL;
	view->chosen = choose(&view->snapshot, view->filter, view->key,
			      view->reverse, &view->count);
	process_find(view->chosen, view->count);
	for (i = 0; i < view->count; i++)
		if (is_marked(view, view->chosen[i]))
			break;
	if (i < view->count) {
		view->marked = i;
		return;
	}
	/* It is gone, or none was marked. */
	if (view->mode == DETAIL)
		*view->cookie = '\0';
	else if (*view->cookie)
		mark(view, view->marked);
	else
		view->marked = 0;
}

static void reread(struct view *view)
{
	struct snapshot snapshot;
	const char *why;

	why = snapshot_take(&view->scope, &snapshot);
	snprintf(view->why, sizeof(view->why), "%s", why ?: "");
	/* On failure it is empty: no figure stays that may be wrong by now. */
	snapshot_rates(&snapshot, &view->snapshot);
	free(view->chosen);
	view->chosen = NULL;
	snapshot_free(&view->snapshot);
	view->snapshot = snapshot;
	rechoose(view);
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

/* False when it was the last one. */
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
		if (view->count) {
			mark(view, view->marked);
			view->mode = DETAIL;
		}
		break;
	case '?':
	case 'h':
		view->mode = HELP;
		break;
	case ' ':
		view->paused = !view->paused;
		break;
	}
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
		mark(view, (long long)view->marked - rows_on_screen());
		break;
	case KEY_NPAGE:
		mark(view, view->marked + rows_on_screen());
		break;
	case KEY_HOME:
		/* The first from now on, whichever that is. */
		view->marked = 0;
		*view->cookie = '\0';
		break;
	case KEY_END:
		mark(view, view->count);
		break;
	case '/':
		view->typing = true;
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

/* Waits for a key until then; false when the terminal has gone. */
static bool wait_for_key(long long ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int ready = poll(&input, 1, ms > 0 ? ms : 0);

	/* Interrupted: the size has changed, which getch() tells. */
	if (ready < 0)
		return errno == EINTR;
	return !ready || input.revents & POLLIN;
}

/**
 * live() - the live view, until it is left
 * @scope: which listeners
 * @filter: which of them
 * @key: in which order
 * @reverse: the other way round
 * @seconds: how often
 */
void live(const struct scope *scope, struct filter *filter, enum sort_key key,
	  bool reverse, double seconds)
{
	struct view view = {
		.scope = *scope,
		.filter = filter,
		.key = key,
		.reverse = reverse,
		.interval_ms = seconds * 1000,
	};
	long long next;
	SCREEN *screen;
	int pressed;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		die("-w needs a terminal: without one, call listenq again and again");
	view.scope.waits = true;
	reread(&view);
	if (*view.why)
		die("%s", view.why);

	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		die("terminal '%s' is not known: set TERM",
		    getenv("TERM") ?: "");
	init_attributes();
	set_escdelay(25);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, true);
	curs_set(0);
	timeout(0);

	next = now_ms() + view.interval_ms;
	do {
		draw(&view);
		pressed = getch();
		if (pressed == ERR) {
			if (!wait_for_key(next - now_ms()))
				break;
			pressed = getch();
		}
		if (now_ms() >= next) {
			if (!view.paused)
				reread(&view);
			next = now_ms() + view.interval_ms;
		}
	} while (pressed == ERR || obey(&view, pressed));

	endwin();
	delscreen(screen);
	free(view.chosen);
	snapshot_free(&view.snapshot);
}
