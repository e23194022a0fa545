/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for people: a stream or a window, and what is printed to either. */
#ifndef LISTENQ_TOOL_SINK_H
#define LISTENQ_TOOL_SINK_H

#include "choose.h"

/* ---- sink.c: where text for people goes ---- */

/* Where values begin behind their labels. */
#define INDENT	14

/* A stream, or a window. A line is ended by "\n" alone. */
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

/* A table's columns are table.c's affair. */
#define TABLE_COLUMNS	40

/**
 * struct table - which columns are shown, and how wide
 * @width: of each column; 0 where it is left out
 */
struct table {
	unsigned int width[TABLE_COLUMNS];
};

/* What a table shows besides what every table does. */
enum {
	TABLE_NETNS = 1, TABLE_RATES = 2, TABLE_GROUPS = 4, TABLE_SOCKETS = 8,
	TABLE_UNIX = 16, TABLE_TCP = 32,
	/* Not the columns that say nothing of any listener. */
	TABLE_BRIEF = 64,
};

/**
 * struct cell - one of a table, for an output that sets out cells itself
 * @text: what stands in it; nothing where it is a bar
 * @style: what that means
 * @left: it is text
 * @spans: of a header: it is that of the next column, too
 * @names: it is the listener's name, of which @text may have a part
 * @filled: of a bar, from 0 to 1; negative where it is none, or it is not known
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
