/* SPDX-License-Identifier: GPL-2.0-only */
/* Columns of the table, and the contents of their cells: cells.c. */
#ifndef LISTENQ_TOOL_CELLS_H
#define LISTENQ_TOOL_CELLS_H

#include "sink.h"

enum kind {
	WORD_CELL, PROCESS_CELL, PID_CELL, UNIT_CELL, NETNS_CELL, SETTER_CELL,
	LIMIT_CELL, COUNT_CELL, TIME_CELL, RATE_CELL, BAR_CELL, FULLEST_CELL, SHARE_CELL,
};

/**
 * struct column - a column of the table
 * @title: the title; "" if the previous column's title spans both
 * @kind: how it is formatted
 * @figure: what it shows, by @kind
 * @word: what it shows, by @kind
 * @rank: columns of the lowest rank are left out first
 * @min: the width that it can be cut to; 0 if it can't be cut
 * @left: aligned to the left
 * @spans: the title is for the next column, too
 * @flag: shown only if table_layout() has this flag
 * @sort: the key that sorts by it plus 1
 */
struct column {
	const char *title;
	enum kind kind;
	int figure;
	int word;
	int rank;
	unsigned int min;
	bool left;
	bool spans;
	unsigned int flag;
	int sort;
};

double bar_filled(const struct column *column, const struct listener *listener);
enum style cell_format(const struct column *column, unsigned int width,
		       const struct listener *listener, char text[TEXT_SIZE]);

#endif /* LISTENQ_TOOL_CELLS_H */
