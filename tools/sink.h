/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for people: a stream or a window, and printing to either. */
#ifndef LISTENQ_TOOL_SINK_H
#define LISTENQ_TOOL_SINK_H

#include "choose.h"

/* ---- sink.c: where text for people goes ---- */

/* The column where values begin, after their labels. */
#define INDENT	14

/* A stream or a window. Only "\n" ends a line. */
struct sink {
	void (*put)(const struct sink *sink, enum style style,
		    const char *text);
	void *to;
};

struct sink sink_stdout(void);
unsigned int sink_width(void);
unsigned int sink_print(const struct sink *sink, enum style style,
			const char *format, ...)
	__attribute__((format(printf, 3, 4)));
unsigned int sink_number(const struct sink *sink, enum style style,
			 const char *before, long long number,
			 unsigned int width);
unsigned int sink_label(const struct sink *sink, const char *label);
void sink_padded(const struct sink *sink, enum style style, char *text,
		 unsigned int width, bool left);
void sink_end_line(const struct sink *sink);

/* ---- table.c: rows for people ---- */

/* Room for the columns in table.c. */
#define TABLE_COLUMNS	40

/**
 * struct table - the columns that are shown, and their widths
 * @width: of each column; 0 if it is left out
 */
struct table {
	unsigned int width[TABLE_COLUMNS];
};

/* Options of a table. */
enum {
	TABLE_NETNS = 1, TABLE_RATES = 2, TABLE_GROUPS = 4, TABLE_SOCKETS = 8,
	TABLE_UNIX = 16, TABLE_TCP = 32,
	/* Leave out columns that say nothing about any listener. */
	TABLE_BRIEF = 64,
};

/**
 * struct cell - a cell of a table, for outputs with a layout of their own
 * @text: the text; empty if it is a bar
 * @style: what the text means
 * @left: aligned to the left, since it is text
 * @spans: a title: it is the next column's title, too
 * @names: it is the listener's name, perhaps cut
 * @filled: how full the bar is, from 0 to 1; negative if it is no bar, or that is
 *	unknown
 */
struct cell {
	char text[TEXT_SIZE];
	enum style style;
	bool left;
	bool spans;
	bool names;
	double filled;
};

bool table_title(const struct table *table, size_t column, struct cell *cell);
bool table_cell(const struct table *table, size_t column,
		const struct listener *listener, struct cell *cell);

void table_layout(struct table *table, struct listener *const listener[],
		  size_t count, unsigned int width, unsigned int flags);
void table_header(const struct table *table, enum sort_key key,
		  const struct sink *sink);
void table_row(const struct table *table, const struct listener *listener,
	       const struct sink *sink);
void table_print(struct listener *const listener[], size_t count,
		 unsigned int flags);

/* ---- books.c: what became of SYNs, requests and connections ---- */

unsigned int books_print(const struct listener *listener, unsigned int width,
			 const struct sink *sink);
const char *totals_print(const struct snapshot *snapshot);

#endif /* LISTENQ_TOOL_SINK_H */
