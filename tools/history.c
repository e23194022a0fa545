// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many clients a listener has refused per second over the last minutes, as seen
 * by the live view itself, for a graph of one line.
 */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

/*
 * The time that a column of the graph stands for, and the number of columns: five
 * minutes.
 */
#define SPAN_MS		5000
#define SPANS		60

/* How many listeners that refused clients are remembered: 10 MB. */
#define PASTS_MAX	10000

/**
 * struct past - how many clients a listener has refused
 * @netns: with @cookie, identifies the listener
 * @cookie: see @netns
 * @span: counts by span of time, at the span's number modulo their number
 */
struct past {
	char *netns;
	char *cookie;
	struct {
		long long number;
		double refused;
	} span[SPANS];
};

static int by_listener(const void *x, const void *y)
{
	const struct past *a = x, *b = y;

	return strcmp(a->cookie, b->cookie) ?: strcmp(a->netns, b->netns);
}

static void free_past(void *past)
{
	free(((struct past *)past)->netns);
	free(((struct past *)past)->cookie);
	free(past);
}

/* For searching; the strings still belong to the listener. */
static struct past key_of(const struct listener *listener)
{
	return (struct past) {
		.netns = (char *)(listener->netns ?: ""),
		.cookie = (char *)listener->word[COOKIE],
	};
}

static const struct past *find_past(const struct history *history,
				    const struct listener *listener)
{
	struct past key = key_of(listener), **found;

	found = tfind(&key, &history->pasts, by_listener);
	return found ? *found : NULL;
}

static struct past *add_past(struct history *history,
			     const struct listener *listener)
{
	struct past *past = allocate(NULL, 1, sizeof(*past)), **found;

	*past = key_of(listener);
	past->netns = strdup(past->netns);
	past->cookie = strdup(past->cookie);
	if (!past->netns || !past->cookie)
		die("not enough memory");
	found = tsearch(past, &history->pasts, by_listener);
	if (!found)
		die("not enough memory");
	if (*found == past)
		history->count++;
	else
		free_past(past);
	return *found;
}

/* A negative rate is unknown. */
static double refusals_per_second(const struct listener *listener)
{
	static const enum figure refusals[] = {
		OVERFLOWS, SYNQ_DROPS, SYNQ_RESERVED,
	};
	double sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (listener->rate[refusals[i]] > 0)
			sum += listener->rate[refusals[i]];
	return sum;
}

/* Spread evenly over all spans between @from and @to. */
static void spread(struct past *past, double per_second, long long from,
		   long long to)
{
	if (from < to - SPANS * SPAN_MS)
		from = to - SPANS * SPAN_MS;
	while (from < to) {
		long long number = from / SPAN_MS;
		long long end = (number + 1) * SPAN_MS;
		size_t place = number % SPANS;

		if (end > to)
			end = to;
		if (past->span[place].number != number) {
			past->span[place].number = number;
			past->span[place].refused = 0;
		}
		past->span[place].refused += per_second * (end - from) / 1000;
		from = end;
	}
}

/**
 * history_add() - add what happened between two snapshots
 * @history: added to
 * @now: the newer snapshot, with rates
 * @before: the older one; empty if it could not be read
 */
void history_add(struct history *history, const struct snapshot *now,
		 const struct snapshot *before)
{
	if (!before->taken_ms || !now->taken_ms)
		return;
	if (!history->began_ms)
		history->began_ms = before->taken_ms;
	/* Most of these listeners are gone by then: start again, which is rare. */
	if (history->count == PASTS_MAX &&
	    now->taken_ms - history->began_ms > SPANS * SPAN_MS) {
		history_forget(history);
		history->began_ms = before->taken_ms;
	}
	history->until_ms = now->taken_ms;
	for (size_t i = 0; i < now->count; i++) {
		const struct listener *listener = &now->listener[i];
		double per_second = refusals_per_second(listener);

		if (per_second > 0 && (history->count < PASTS_MAX ||
				       find_past(history, listener)))
			spread(add_past(history, listener), per_second,
			       before->taken_ms, now->taken_ms);
	}
}

void history_forget(struct history *history)
{
	tdestroy(history->pasts, free_past);
	*history = (struct history) { };
}

/* Refusals per second in a span; negative if the view was not watching. */
static double rate_in(const struct history *history, const struct past *past,
		      long long number)
{
	size_t place = number % SPANS;
	long long from = number * SPAN_MS, to = from + SPAN_MS;

	if (from < history->began_ms)
		from = history->began_ms;
	if (to > history->until_ms)
		to = history->until_ms;
	if (from >= to)
		return -1;
	return past && past->span[place].number == number ?
	       past->span[place].refused * 1000 / (to - from) : 0;
}

/**
 * history_print() - print the graph of a listener, the latest on the right
 * @history: what is known
 * @listener: the listener
 * @width: of the screen
 * @sink: written to
 *
 * Return: how many lines were printed.
 */
unsigned int history_print(const struct history *history,
			   const struct listener *listener, unsigned int width,
			   const struct sink *sink)
{
	const struct past *past = find_past(history, listener);
	long long last = (history->until_ms - 1) / SPAN_MS;
	char text[TEXT_SIZE], most_text[TEXT_SIZE];
	double most = 0, rate;
	unsigned int spans;

	if (history->until_ms <= history->began_ms)
		return 0;
	spans = width > INDENT + 24 ? width - INDENT - 16 : 8;
	if (spans > SPANS)
		spans = SPANS;
	for (unsigned int i = 0; i < spans; i++) {
		rate = rate_in(history, past, last - i);
		most = rate > most ? rate : most;
	}
	sink_label(sink, "refused/s");
	for (unsigned int i = spans; i--;) {
		rate = rate_in(history, past, last - i);
		text_level(text, most > 0 && rate > 0 ? rate / most : rate);
		sink_print(sink, rate > 0 ? BAD : DIM, "%s", text);
	}
	text_rate(most_text, most);
	text_time(text, spans * SPAN_MS);
	sink_print(sink, PLAIN, "  most %s in %s", most_text, text);
	sink_end_line(sink);
	return 1;
}
