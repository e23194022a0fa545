// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table: one line per listener, as wide as the screen. On a narrow screen, the
 * columns that matter for dropped connections stay; those that say nothing about any
 * listener go first.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"

/* From this rank on, columns are kept in preference to full names. */
#define ESSENTIAL	50
/* The rank of the column that tells rows apart that are otherwise alike. */
#define TELLS_APART	93
/* How much a column loses in rank if it says nothing. */
#define EMPTY		45
/* Longer names are cut even if there is room. */
#define NAME_MAX_WIDTH	120
#define NO_SORT		SORT_KEYS

static const struct column columns[] = {
	{ .title = "NETNS", .kind = NETNS_CELL, .rank = 98, .min = 5,
	  .left = true, .flag = TABLE_NETNS },
	{ .title = "PROTO", .kind = WORD_CELL, .word = PROTO, .rank = 30,
	  .left = true },
	{ .title = "LOCAL", .kind = WORD_CELL, .word = LOCAL, .rank = 100,
	  .min = 21, .left = true, .sort = BY_LOCAL + 1 },
	{ .title = "PROCESS", .kind = PROCESS_CELL, .rank = 90, .min = 8,
	  .left = true, .sort = BY_PROCESS + 1 },
	{ .title = "PID", .kind = PID_CELL, .rank = 36 },
	{ .title = "UNIT", .kind = UNIT_CELL, .rank = 38, .min = 8,
	  .left = true },
	{ .title = "SOCKET", .kind = WORD_CELL, .word = COOKIE, .rank = 92,
	  .left = true, .flag = TABLE_SOCKETS },
	{ .title = "GROUP", .kind = COUNT_CELL, .figure = GROUP, .rank = 28 },
	{ .title = "ACCEPTQ", .kind = BAR_CELL, .figure = ACCEPTQ, .rank = 80,
	  .left = true, .spans = true, .sort = BY_FILL + 1 },
	{ .title = "", .kind = COUNT_CELL, .figure = ACCEPTQ, .rank = 99 },
	{ .title = "FULLEST", .kind = FULLEST_CELL, .figure = ACCEPTQ,
	  .rank = 94, .flag = TABLE_GROUPS },
	{ .title = "BUSIEST", .kind = SHARE_CELL, .figure = true, .rank = 91,
	  .flag = TABLE_GROUPS },
	{ .title = "LAZIEST", .kind = SHARE_CELL, .figure = false, .rank = 92,
	  .flag = TABLE_GROUPS },
	{ .title = "PEAK", .kind = COUNT_CELL, .figure = ACCEPTQ_PEAK,
	  .rank = 60 },
	{ .title = "1MIN", .kind = COUNT_CELL, .figure = ACCEPTQ_PEAK_1M,
	  .rank = 76 },
	{ .title = "OLDEST", .kind = TIME_CELL, .figure = ACCEPTQ_OLDEST_MS,
	  .rank = 85, .sort = BY_OLDEST + 1,
	  .flag = TABLE_TCP },
	{ .title = "ACC/S", .kind = RATE_CELL, .figure = ACCEPTS, .rank = 62,
	  .flag = TABLE_RATES },
	{ .title = "ACCEPTS", .kind = COUNT_CELL, .figure = ACCEPTS,
	  .rank = 22 },
	{ .title = "OVF/S", .kind = RATE_CELL, .figure = OVERFLOWS, .rank = 70,
	  .flag = TABLE_RATES },
	{ .title = "OVF", .kind = COUNT_CELL, .figure = OVERFLOWS,
	  .rank = 95, .sort = BY_OVERFLOWS + 1 },
	{ .title = "LAST", .kind = TIME_CELL, .figure = SINCE_OVERFLOW_MS,
	  .rank = 94, .flag = TABLE_TCP },
	{ .title = "WAITED", .kind = COUNT_CELL, .figure = WAITED,
	  .rank = 66, .flag = TABLE_UNIX },
	{ .title = "SYNQ", .kind = BAR_CELL, .figure = SYNQ, .rank = 40,
	  .left = true, .spans = true, .sort = BY_SYNQ + 1,
	  .flag = TABLE_TCP },
	{ .title = "", .kind = COUNT_CELL, .figure = SYNQ, .rank = 88,
	  .flag = TABLE_TCP },
	{ .title = "SYNPEAK", .kind = COUNT_CELL, .figure = SYNQ_PEAK,
	  .rank = 26, .flag = TABLE_TCP },
	{ .title = "SYN1MIN", .kind = COUNT_CELL, .figure = SYNQ_PEAK_1M,
	  .rank = 27, .flag = TABLE_TCP },
	{ .title = "SYN/S", .kind = RATE_CELL, .figure = SYNS, .rank = 64,
	  .flag = TABLE_RATES | TABLE_TCP, .sort = BY_SYNS + 1 },
	{ .title = "SYNS", .kind = COUNT_CELL, .figure = SYNS, .rank = 24,
	  .flag = TABLE_TCP },
	{ .title = "SYNDROPS", .kind = COUNT_CELL, .figure = SYNQ_DROPS,
	  .rank = 75, .flag = TABLE_TCP },
	{ .title = "RESERVED", .kind = COUNT_CELL, .figure = SYNQ_RESERVED,
	  .rank = 74, .flag = TABLE_TCP },
	{ .title = "COOKIES", .kind = COUNT_CELL, .figure = SYNCOOKIES,
	  .rank = 34, .flag = TABLE_TCP },
	{ .title = "SKDROPS", .kind = COUNT_CELL, .figure = SK_DROPS,
	  .rank = 20, .flag = TABLE_TCP },
	{ .title = "LIMIT ", .kind = LIMIT_CELL, .rank = 97 },
	{ .title = "SET BY", .kind = SETTER_CELL, .rank = 32, .left = true },
};

static_assert(ARRAY_SIZE(columns) <= TABLE_COLUMNS,
	      "a struct table has room for all columns");

/* ---- layout ---- */

static unsigned int total_width(const struct table *table)
{
	unsigned int total = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (table->width[i])
			total += table->width[i] + 1;
	return total ? total - 1 : 0;
}

/*
 * The width that a column needs, and whether any cell of it says something. A rate
 * of 0 does if the next look may find another.
 */
static unsigned int natural_width(const struct column *column,
				  struct listener *const listener[],
				  size_t count, unsigned int flags, bool *says)
{
	unsigned int width = column->spans ? 0 : strlen(column->title);
	char text[TEXT_SIZE];
	size_t i, length;

	if (column->kind == COUNT_CELL && width < 4)
		width = 4;
	if (column->kind == TIME_CELL || column->kind == RATE_CELL)
		width = width < 5 ? 5 : width;
	*says = false;
	for (i = 0; i < count; i++) {
		if (cell_format(column, 4, listener[i], text) != DIM ||
		    (column->kind == RATE_CELL && !(flags & TABLE_BRIEF) &&
		     strcmp(text, "-")))
			*says = true;
		length = text_width(text);
		if (length > NAME_MAX_WIDTH)
			length = NAME_MAX_WIDTH;
		if (length > width)
			width = length;
	}
	return width;
}

static void make_room(struct table *table, size_t column, const char *title)
{
	if (table->width[column] && table->width[column] < strlen(title))
		table->width[column] = strlen(title);
}

/*
 * Make the table narrower: remove columns of low rank, then shorten the longest
 * names, then remove more columns. False if only the address is left.
 */
static bool narrow(struct table *table, const int rank[TABLE_COLUMNS])
{
	size_t lowest = 0, longest = 0, i;
	unsigned int spare, most = 0;

	for (i = 0; i < ARRAY_SIZE(columns); i++)
		if (table->width[i] &&
		    (!table->width[lowest] || rank[i] < rank[lowest]))
			lowest = i;
	if (rank[lowest] >= ESSENTIAL) {
		for (i = 0; i < ARRAY_SIZE(columns); i++) {
			if (!columns[i].min || !table->width[i] ||
			    table->width[i] <= columns[i].min)
				continue;
			spare = table->width[i] - columns[i].min;
			if (spare > most) {
				most = spare;
				longest = i;
			}
		}
		if (most) {
			table->width[longest]--;
			return true;
		}
	}
	if (columns[lowest].rank == 100)
		return false;
	table->width[lowest] = 0;
	/* The title was above two columns; now it has to fit above one. */
	if (columns[lowest].spans)
		make_room(table, lowest + 1, columns[lowest].title);
	else if (!*columns[lowest].title)
		make_room(table, lowest - 1, columns[lowest - 1].title);
	return true;
}

/* Let bars use the remaining width, the accept queue's first and most. */
static void widen_bars(struct table *table, unsigned int spare)
{
	static const struct {
		enum figure figure;
		unsigned int width;
	} steps[] = { { ACCEPTQ, 8 }, { SYNQ, 8 }, { ACCEPTQ, 20 } };

	for (size_t step = 0; step < ARRAY_SIZE(steps); step++)
		for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
			while (spare && table->width[i] &&
			       columns[i].kind == BAR_CELL &&
			       columns[i].figure == (int)steps[step].figure &&
			       table->width[i] < steps[step].width) {
				table->width[i]++;
				spare--;
			}
}

/* What tells the rows of a group apart. */
enum alike { DIFFERENT, ALIKE_PLACE, ALIKE_PROCESS };

static int by_process(const void *x, const void *y, void *unused)
{
	const struct listener *a = *(struct listener *const *)x;
	const struct listener *b = *(struct listener *const *)y;
	long long pid = listener_pid(a), other = listener_pid(b);

	return by_place(x, y, unused) ?: (pid > other) - (pid < other);
}

static enum alike how_alike(struct listener *const listener[], size_t count)
{
	struct listener **member = allocate(NULL, count, sizeof(*member));
	enum alike alike = DIFFERENT;
	size_t members = 0, i;

	for (i = 0; i < count; i++)
		if (listener[i]->figure[GROUP] != UNKNOWN && !listener[i]->fold)
			member[members++] = listener[i];
	qsort_r(member, members, sizeof(*member), by_process, NULL);
	for (i = 1; i < members && alike != ALIKE_PROCESS; i++)
		if (!by_process(&member[i - 1], &member[i], NULL))
			alike = ALIKE_PROCESS;
		else if (!by_place(&member[i - 1], &member[i], NULL))
			alike = ALIKE_PLACE;
	free(member);
	return alike;
}

/**
 * table_layout() - decide which columns fit, and how wide they are
 * @table: filled
 * @listener: the listeners that will be shown
 * @count: how many
 * @width: of the screen; 0: unlimited
 * @flags: TABLE_NETNS, TABLE_RATES, TABLE_GROUPS, TABLE_BRIEF
 */
void table_layout(struct table *table, struct listener *const listener[],
		  size_t count, unsigned int width, unsigned int flags)
{
	enum alike alike = how_alike(listener, count);
	int rank[TABLE_COLUMNS] = { };
	unsigned int used;
	bool says;
	size_t i;

	*table = (struct table) { };
	if (alike == ALIKE_PROCESS)
		flags |= TABLE_SOCKETS;
	if (!count)
		flags |= TABLE_TCP;
	for (i = 0; i < count; i++)
		flags |= is_unix(listener[i]) ? TABLE_UNIX : TABLE_TCP;
	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		const struct column *column = &columns[i];

		if ((column->flag & flags) != column->flag)
			continue;
		table->width[i] = natural_width(column, listener, count, flags,
						&says);
		rank[i] = column->rank;
		if (!says && column->rank < 80) {
			rank[i] -= EMPTY;
			if (flags & TABLE_BRIEF)
				table->width[i] = 0;
		}
		if (column->kind == PID_CELL && alike != DIFFERENT)
			rank[i] = TELLS_APART;
		/* It shows how many listeners a row stands for. */
		if (column->figure == GROUP && flags & TABLE_GROUPS)
			rank[i] = TELLS_APART;
	}
	while (width && total_width(table) > width)
		if (!narrow(table, rank))
			break;
	used = total_width(table);
	if (!width || used < width)
		widen_bars(table, width ? width - used : 24);
}

/* ---- output ---- */

/* Whether the column is the listener's name. */
static bool is_name(const struct column *column)
{
	return column->kind == WORD_CELL && column->word == LOCAL;
}

/* Cut an address in the middle: the port says more. */
static void cut_local(char text[TEXT_SIZE], unsigned int width)
{
	char *port = *text == '/' ? NULL : strrchr(text, ':');
	char tail[TEXT_SIZE];

	if (!port || text_width(text) <= width || strlen(port) >= width)
		return;
	strcpy(tail, port);
	text_cut(text, width - strlen(tail));
	strcat(text, tail);
}

void table_header(const struct table *table, enum sort_key key,
		  const struct sink *sink)
{
	char text[TEXT_SIZE];
	unsigned int width;
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const struct column *column = &columns[i];
		bool left = column->left;

		width = table->width[i];
		if (!width)
			continue;
		if (!first)
			sink->put(sink, PLAIN, " ");
		first = false;
		if (column->spans && table->width[i + 1]) {
			width += 1 + table->width[++i];
		} else if (!*column->title) {
			/* The column with the title had no room. */
			column--;
			left = false;
		}
		strcpy(text, column->title);
		sink_padded(sink, column->sort == (int)key + 1 ? NOTE : TITLE,
			    text, width, left);
	}
}

void table_row(const struct table *table, const struct listener *listener,
	       const struct sink *sink)
{
	char text[TEXT_SIZE];
	enum style style;
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const struct column *column = &columns[i];

		if (!table->width[i])
			continue;
		if (!first)
			sink->put(sink, PLAIN, " ");
		first = false;
		style = cell_format(column, table->width[i], listener, text);
		if (is_name(column))
			cut_local(text, table->width[i]);
		sink_padded(sink, style, text, table->width[i],
			    column->left && column->kind != COUNT_CELL);
	}
}

/* ---- single cells ---- */

/**
 * table_title() - the title of a column
 * @table: laid out
 * @column: below TABLE_COLUMNS
 * @cell: filled
 *
 * Return: false if the column is left out, or has no title of its own.
 */
bool table_title(const struct table *table, size_t column, struct cell *cell)
{
	const struct column *of;

	if (!table->width[column])
		return false;
	of = &columns[column];
	*cell = (struct cell) { .style = TITLE, .filled = -1 };
	if (!*of->title) {
		/* The title is above the bar, unless that is left out. */
		if (table->width[column - 1])
			return false;
		of--;
	} else {
		cell->spans = of->spans && table->width[column + 1];
	}
	cell->left = of->left && of->kind != BAR_CELL;
	cell->names = is_name(of);
	snprintf(cell->text, TEXT_SIZE, "%.*s", (int)strcspn(of->title, " "),
		 of->title);
	if (of->kind == SETTER_CELL)
		strcpy(cell->text, of->title);
	return true;
}

/**
 * table_cell() - the contents of a cell
 * @table: laid out
 * @column: below TABLE_COLUMNS
 * @listener: the row
 * @cell: filled
 *
 * Return: false if the column is left out.
 */
bool table_cell(const struct table *table, size_t column,
		const struct listener *listener, struct cell *cell)
{
	const struct column *of;
	size_t length;

	if (!table->width[column])
		return false;
	of = &columns[column];
	*cell = (struct cell) { .left = of->left, .filled = -1 };
	cell->names = is_name(of);
	cell->style = cell_format(of, 1, listener, cell->text);
	if (of->kind == BAR_CELL) {
		cell->filled = bar_filled(of, listener);
		*cell->text = '\0';
	}
	/* Remove the room for a limit's mark. */
	length = strlen(cell->text);
	if (length && cell->text[length - 1] == ' ')
		cell->text[length - 1] = '\0';
	return true;
}

/**
 * table_print() - print the table on standard output
 * @listener: the listeners, in order
 * @count: how many
 * @flags: TABLE_NETNS, TABLE_GROUPS
 */
void table_print(struct listener *const listener[], size_t count,
		 unsigned int flags)
{
	const struct sink sink = sink_stdout();
	struct table table;

	if (!count) {
		puts("no listeners");
		return;
	}
	table_layout(&table, listener, count, sink_width(), flags);
	table_header(&table, NO_SORT, &sink);
	putchar('\n');
	for (size_t i = 0; i < count; i++) {
		table_row(&table, listener[i], &sink);
		putchar('\n');
	}
}
