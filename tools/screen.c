// SPDX-License-Identifier: GPL-2.0-only
/* What the live view shows on the screen. */

#include <curses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "live.h"
#include "output.h"

static attr_t attributes[STYLES] = {
	[DIM] = A_DIM, [TITLE] = A_BOLD, [WARN] = A_BOLD, [BAD] = A_BOLD,
};

/* Set colours; called once there is a screen. */
void screen_init(void)
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

/*
 * Set the size for everything that is drawn. Only this function asks curses for it:
 * curses changes it in getch() alone, which is not called meanwhile.
 */
static void measure(struct view *view)
{
	view->width = COLS > 1 ? COLS : 1;
	view->height = LINES > 1 ? LINES : 1;
}

/* Go to the beginning of a line; false if the screen doesn't have it. */
static bool begin_line(const struct view *view, int line)
{
	return line < view->height && move(line, 0) == OK;
}

/* Cut text at the right edge, and leave out what is below the last line. */
static void put(const struct sink *sink, enum style style, const char *text)
{
	struct view *view = sink->to;
	char cut[TEXT_SIZE];
	int y, x, room;

	getyx(stdscr, y, x);
	if (!strcmp(text, "\n")) {
		if (!begin_line(view, y + 1))
			move(y, view->width - 1);
		return;
	}
	/* A figure without room must not leave its last digit behind. */
	view->cut &= x > 0;
	room = view->width - x;
	if (view->cut || room < 1 || (room == 1 && y == view->height - 1))
		return;
	snprintf(cut, sizeof(cut), "%s", text);
	view->cut = text_width(cut) > (size_t)room;
	if (view->cut)
		text_cut(cut, room);
	attrset(attributes[style] | (view->reversed ? A_REVERSE : 0));
	addstr(cut);
	/* At the right edge the cursor has moved to the next line. */
	if (getcury(stdscr) != y) {
		move(y, view->width - 1);
		view->cut = true;
	}
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
	char text[16], name[TEXT_SIZE];

	for (i = 0; i < view->count; i++)
		full += listener_is_full(view->chosen[i], ACCEPTQ);
	begin_line(view, 0);
	print(sink, TITLE, "listenq");
	if (view->scope.netns)
		print(sink, PLAIN, "  netns %s",
		      escape(name, sizeof(name), view->scope.netns));
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
	if (getcurx(stdscr) + (int)strlen(text) < view->width) {
		move(0, view->width - strlen(text));
		put(sink, DIM, text);
	}
}

static void draw_foot(const struct view *view, const struct sink *sink)
{
	begin_line(view, view->height - 1);
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
		if (view->mode == HELP &&
		    view->help_top + screen_rows(view) < help_lines())
			print(sink, NOTE, "Down PgDn: more  ");
		print(sink, DIM, "Esc: back to the table  q: quit");
	}
}

/* How many listeners the screen has room for. */
int screen_rows(const struct view *view)
{
	return view->height > 4 ? view->height - 3 : 1;
}

static void draw_list(struct view *view, struct sink *sink)
{
	size_t rows = screen_rows(view), shown;
	struct table table;

	if (view->marked < view->top)
		view->top = view->marked;
	if (view->marked >= view->top + rows)
		view->top = view->marked - rows + 1;
	if (view->top && view->top + rows > view->rows)
		view->top = view->rows > rows ? view->rows - rows : 0;
	shown = view->rows - view->top < rows ? view->rows - view->top : rows;

	if (!view->count && begin_line(view, 2))
		put(sink, PLAIN, view->snapshot.count ?
		    "no such listener: Esc shows all" : "no listeners");
	table_layout(&table, view->row + view->top, shown, view->width,
		     TABLE_RATES | (view->scope.all ? TABLE_NETNS : 0) |
		     (view->groups ? TABLE_GROUPS : 0));
	if (begin_line(view, 1))
		table_header(&table, view->key, sink);
	for (size_t i = 0; i < shown && begin_line(view, 2 + i); i++) {
		view->reversed = view->top + i == view->marked;
		table_row(&table, view->row[view->top + i], sink);
		for (int x = getcurx(stdscr); view->reversed &&
		     x < view->width - 1; x++)
			put(sink, PLAIN, " ");
		view->reversed = false;
	}
}

static void draw_help(const struct view *view, const struct sink *sink)
{
	const char *line;

	for (int i = 0; i < screen_rows(view) && begin_line(view, 2 + i); i++) {
		line = help_line(view->help_top + i);
		if (line)
			put(sink, PLAIN, line);
	}
}

void screen_draw(struct view *view)
{
	struct sink sink = { .put = put, .to = view };

	measure(view);
	erase();
	draw_title(view, &sink);
	if (view->mode == LIST) {
		draw_list(view, &sink);
	} else if (view->mode == HELP) {
		draw_help(view, &sink);
	} else if (begin_line(view, 2)) {
		if (view->rows && *view->cookie)
			detail_print(view->row[view->marked],
				     &view->snapshot, &view->history, view->width,
				     view->height > 3 ? view->height - 3 : 0,
				     &sink);
		else
			put(&sink, WARN, "It does not listen any more.");
	}
	/* Clear the last line. */
	begin_line(view, view->height - 1);
	clrtoeol();
	draw_foot(view, &sink);
	refresh();
}
