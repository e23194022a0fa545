/* SPDX-License-Identifier: GPL-2.0-only */
/* Columns of the table, and what stands in their cells: cells.c. */
#ifndef LISTENQ_TOOL_CELLS_H
#define LISTENQ_TOOL_CELLS_H

#include "sink.h"

enum kind {
	WORD_CELL, PROCESS_CELL, PID_CELL, UNIT_CELL, NETNS_CELL, SETTER_CELL,
	LIMIT_CELL, COUNT_CELL, TIME_CELL, RATE_CELL, BAR_CELL, FULLEST_CELL, SHARE_CELL,
};

/**
 * struct column - what stands in one
 * @title: at its top; "" under a title that spans two
 * @kind: how it is formatted
 * @figure: of what, by @kind
 * @word: of what, by @kind
 * @rank: those of the lowest rank go first
 * @min: width that it can be cut to; 0 if it can't
 * @left: aligned there
 * @spans: the title is for the next column too
 * @flag: only where table_layout() has it in its flags
 * @sort: the key that sorts by it, plus 1
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
