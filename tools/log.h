/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files about refused clients. refused.c reads the file refused into a
 * snapshot; follow.c finds what is new in it, top.c sums it up, and log.c is the
 * command.
 */
#ifndef LISTENQ_TOOL_LOG_H
#define LISTENQ_TOOL_LOG_H

#include "choose.h"

/* ---- refused.c: refused clients ---- */

/* How many the module keeps for each namespace. */
#define REFUSALS_KEPT	1024

/**
 * struct refusal - a client that was refused
 * @listener: the listener that refused it, as it was then
 * @network: the client's network; its port is the number of bits
 * @when_ms: when, on the clock of now_ms(); UNKNOWN
 */
struct refusal {
	struct listener listener;
	struct endpoint network;
	long long when_ms;
};

const char *refused_read(struct snapshot *snapshot, size_t index, bool needed);
void refusal_time(char text[TEXT_SIZE], const struct refusal *refusal,
		  bool rfc3339);
void refusal_network(char text[TEXT_SIZE], const struct refusal *refusal);
size_t choose_refusals(struct snapshot *snapshot, const struct filter *filter,
		       struct refusal **refusal, size_t count);

/* ---- follow.c: what is new ---- */

/**
 * struct followed - what is known of the refusals of some namespaces
 * @netns: what is known of each
 * @count: how many
 */
struct followed {
	struct followed_netns *netns;
	size_t count;
};

size_t follow(struct followed *followed, struct snapshot *snapshot,
	      struct refusal **fresh);
void forget(struct followed *followed);

/* ---- top.c: networks with the most refused clients ---- */

/**
 * struct sum - refusals that are counted together
 * @latest: the latest one
 * @count: how many there are
 */
struct sum {
	const struct refusal *latest;
	long long count;
};

struct sum *sum_up(struct refusal **refusal, size_t count, bool alone,
		   size_t *sums);

/* ---- json.c ---- */

void json_refusals(struct refusal *const refusal[], size_t count);
void json_sums(const struct sum sum[], size_t count);

/* ---- grid.c: endless tables ---- */

/**
 * struct grid_column - a column of a grid
 * @title: the title
 * @left: aligned to the left, since it is text
 * @netns: it shows the namespace
 * @style: the style of its cells
 */
struct grid_column {
	const char *title;
	bool left;
	bool netns;
	enum style style;
};

/* At most so many. */
#define GRID_COLUMNS	10

/**
 * struct grid - a table without an end
 * @column: the columns
 * @columns: how many of them
 * @cell: writes the text of a row's cell
 * @netns: namespaces are shown
 * @rfc3339: times are in UTC, with the year
 * @begun: the header was printed
 * @width: of each column
 */
struct grid {
	const struct grid_column *column;
	size_t columns;
	void (*cell)(char text[TEXT_SIZE], const struct grid *grid,
		     size_t column, const void *row);
	bool netns;
	bool rfc3339;
	bool begun;
	unsigned int width[GRID_COLUMNS];
};

static inline bool grid_shows(const struct grid *grid, size_t column)
{
	return grid->netns || !grid->column[column].netns;
}

void grid_print(struct grid *grid, const void *rows, size_t size, size_t count);

/* ---- log.c: the command ---- */

/* The form of the output: follow new refusals, sums, JSON objects. */
struct log_form {
	bool follow;
	bool top;
	bool json;
};

struct grid log_grid(bool netns);
struct grid top_grid(bool netns);
void log_print(const struct scope *scope, const struct filter *filter,
	       const struct log_form *form);

#endif /* LISTENQ_TOOL_LOG_H */
