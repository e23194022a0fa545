// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print rows in batches: each column is as wide as any row so far needed. No line is
 * cut.
 */

#include <string.h>

#include "log.h"
#include "sink.h"

static void get_cell(const struct grid *grid, size_t column, const void *row,
		     char text[TEXT_SIZE])
{
	if (row)
		grid->cell(text, grid, column, row);
	else
		strcpy(text, grid->column[column].title);
}

/* Widen columns to hold a row; no @row: the header. */
static void fit(struct grid *grid, const void *row)
{
	char text[TEXT_SIZE];

	for (size_t i = 0; i < grid->columns; i++) {
		get_cell(grid, i, row, text);
		if (text_width(text) > grid->width[i])
			grid->width[i] = text_width(text);
	}
}

static void put(const struct grid *grid, const void *row,
		const struct sink *sink)
{
	bool first = true;
	char text[TEXT_SIZE];

	for (size_t i = 0; i < grid->columns; i++) {
		const struct grid_column *column = &grid->column[i];
		unsigned int width = grid->width[i];

		if (!grid_shows(grid, i))
			continue;
		get_cell(grid, i, row, text);
		/* No blanks at the end of a line. */
		if (column->left && i + 1 == grid->columns)
			width = text_width(text);
		sink->put(sink, PLAIN, first ? "" : " ");
		first = false;
		sink_padded(sink, row ? column->style : TITLE, text, width,
			    column->left);
	}
	sink_end_line(sink);
}

/**
 * grid_print() - print a batch of rows, the first one below a header
 * @grid: its columns
 * @rows: the rows
 * @size: the size of a row
 * @count: how many
 */
void grid_print(struct grid *grid, const void *rows, size_t size, size_t count)
{
	const struct sink sink = sink_stdout();
	const char *row = rows;
	size_t i;

	fit(grid, NULL);
	for (i = 0; i < count; i++)
		fit(grid, row + i * size);
	if (count && !grid->begun)
		put(grid, NULL, &sink);
	grid->begun |= count;
	for (i = 0; i < count; i++)
		put(grid, row + i * size, &sink);
}
