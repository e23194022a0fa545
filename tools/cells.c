// SPDX-License-Identifier: GPL-2.0-only
/* The contents of the table's cells, and their meaning. */

#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cgroup.h"

/* The limit, with the reason for it: what was asked for, if that is another number. */
static void limit_text(const struct listener *listener, char text[TEXT_SIZE])
{
	const long long *figure = listener->figure;
	long long from = figure[ASKED];
	char number[TEXT_SIZE];

	if (from == UNKNOWN)
		from = figure[GRANTED];
	*text = '\0';
	if (from != UNKNOWN && from != figure[LIMIT]) {
		text_count(text, from);
		strcat(text, utf8 ? "→" : "->");
	}
	text_count(number, figure[LIMIT]);
	strcat(text, number);
}

/* The process's number in full, and how many more processes can accept. */
static void pid_text(const struct listener *listener, char text[TEXT_SIZE])
{
	if (listener_pid(listener) == UNKNOWN)
		strcpy(text, "-");
	else if (listener->holder.others)
		snprintf(text, TEXT_SIZE, "%d+%u", listener->holder.pid,
			 listener->holder.others);
	else
		snprintf(text, TEXT_SIZE, "%lld", listener_pid(listener));
}

/* The share of a group's accepts that the busiest, or the laziest, member has. */
static void share_text(const struct listener *listener, bool busiest,
		       char text[TEXT_SIZE])
{
	double share = !listener->fold ? -1 :
		       busiest ? listener->fold->most : listener->fold->least;

	if (share < 0)
		strcpy(text, "-");
	else
		snprintf(text, TEXT_SIZE, "%.0f%%", share * 100);
}

/* The rule in force, or that somaxconn cut the backlog that was asked for. */
static const char *setter(const struct listener *listener)
{
	if (strcmp(listener->word[RULE], "-"))
		return "rule";
	return listener_is_clamped(listener) ? "somaxconn" : "";
}

static enum style setter_style(const struct listener *listener)
{
	if (strcmp(listener->word[RULE], "-"))
		return NOTE;
	return listener_is_clamped(listener) ? WARN : PLAIN;
}

static enum style count_style(const struct listener *listener,
			      enum figure figure)
{
	long long count = listener->figure[figure];
	long long ago = listener->figure[SINCE_OVERFLOW_MS];

	if (count == UNKNOWN || !count)
		return DIM;
	switch (figure) {
	case ACCEPTQ:
	case SYNQ:
		if (listener_is_full(listener, figure))
			return BAD;
		return listener_fill(listener, figure) > 0.5 ? WARN : PLAIN;
	case OVERFLOWS:
		return ago != UNKNOWN && ago < 60000 ? BAD : WARN;
	case SYNQ_DROPS:
	case SYNQ_RESERVED:
		return WARN;
	default:
		return PLAIN;
	}
}

static enum style time_style(const struct listener *listener,
			     enum figure figure)
{
	long long ms = listener->figure[figure];

	if (ms == UNKNOWN)
		return DIM;
	if (figure == SINCE_OVERFLOW_MS)
		return count_style(listener, OVERFLOWS);
	return figure == ACCEPTQ_OLDEST_MS && ms >= 1000 ? WARN : PLAIN;
}

/* How full a bar is: full when the queue is, which holds one more than its limit. */
double bar_filled(const struct column *column, const struct listener *listener)
{
	const struct listener *fullest = fullest_of(listener, column->figure);

	if (listener_fill(fullest, column->figure) < 0)
		return -1;
	return fullest->figure[column->figure] /
	       (fullest->figure[LIMIT] + 1.0);
}

/**
 * cell_format() - format a cell
 * @column: the column
 * @width: of a bar, in characters
 * @listener: the row
 * @text: filled
 *
 * Return: its meaning; DIM if it says nothing.
 */
enum style cell_format(const struct column *column, unsigned int width,
		       const struct listener *listener, char text[TEXT_SIZE])
{
	const long long *figure = listener->figure;
	enum style style = PLAIN;
	double rate, filled;

	switch (column->kind) {
	case WORD_CELL:
		snprintf(text, TEXT_SIZE, "%s%s",
			 column->word == LOCAL && listener->member ? "  " : "",
			 listener->word[column->word]);
		break;
	case PROCESS_CELL:
		snprintf(text, TEXT_SIZE, "%s", listener_comm(listener));
		if (is_nobodys(listener))
			return WARN;
		if (!strcmp(text, NOT_SEARCHED))
			return DIM;
		break;
	case PID_CELL:
		pid_text(listener, text);
		break;
	case UNIT_CELL:
		membership_text(listener->holder.membership, text);
		break;
	case NETNS_CELL:
		snprintf(text, TEXT_SIZE, "%s", listener->netns ?: "-");
		break;
	case SETTER_CELL:
		snprintf(text, TEXT_SIZE, "%s%s%s", setter(listener),
			 strcmp(listener->word[RULE], "-") ? " " : "",
			 strcmp(listener->word[RULE], "-") ?
			 listener->word[RULE] : "");
		return *text ? setter_style(listener) : DIM;
	case LIMIT_CELL:
		limit_text(listener, text);
		strcat(text, *setter(listener) == 'r' ? "r" :
		       *setter(listener) ? "!" : " ");
		return setter_style(listener);
	case COUNT_CELL:
		text_count(text, figure[column->figure]);
		return count_style(listener, column->figure);
	case TIME_CELL:
		text_time(text, figure[column->figure]);
		return time_style(listener, column->figure);
	case RATE_CELL:
		rate = listener->rate[column->figure];
		text_rate(text, rate);
		if (rate > 0 && column->figure == OVERFLOWS)
			return BAD;
		return rate > 0 ? PLAIN : DIM;
	case FULLEST_CELL:
		if (!listener->fold) {
			strcpy(text, "-");
			return DIM;
		}
		listener = fullest_of(listener, column->figure);
		text_count(text, listener->figure[column->figure]);
		return count_style(listener, column->figure);
	case SHARE_CELL:
		share_text(listener, column->figure, text);
		break;
	case BAR_CELL:
		filled = bar_filled(column, listener);
		if (filled < 0) {
			*text = '\0';
			return DIM;
		}
		text_bar(text, filled, width);
		style = count_style(listener, column->figure);
		return style == PLAIN ? GOOD : style;
	}
	return strcmp(text, "-") ? PLAIN : DIM;
}
