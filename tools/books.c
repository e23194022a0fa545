// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the books for people: each line has a number of SYNs, requests or
 * connections, and what became of them.
 */

#include <stdlib.h>
#include <string.h>

#include "sink.h"

/**
 * struct term - one thing that became of them
 * @name: its name
 * @figure: how many
 * @less: without so many; INODE, which is 0: without any
 * @lost: a client waited in vain
 * @total: only a namespace has it, no listener
 */
struct term {
	const char *name;
	enum figure figure;
	enum figure less;
	bool lost;
	bool total;
};

/**
 * struct line - all SYNs, requests or connections, and what became of them
 * @label: the line's name
 * @all: the column with their number; INODE: it is the sum of the terms
 * @term: the terms; the last one has no name
 */
struct line {
	const char *label;
	enum figure all;
	struct term term[9];
};

static const struct line books[] = {
	{ "SYNs", SYNS, {
		{ "requests", .figure = REQUESTS },
		{ "cookies", .figure = SYNCOOKIES },
		{ "Fast Open", .figure = FASTOPENS },
		{ "accept queue full", .figure = OVERFLOWS, .less = OVERFLOWS_ACK,
		  .lost = true },
		{ "SYN queue full", .figure = SYNQ_DROPS, .lost = true },
		{ "reserved quarter", .figure = SYNQ_RESERVED, .lost = true },
		{ "failed", .figure = FAILED, .lost = true },
	} },
	{ "requests", INODE, {
		{ "finished", .figure = FINISHED },
		{ "expired", .figure = EXPIRED, .lost = true },
		{ "reset", .figure = RESET },
		{ "joined", .figure = JOINED },
		{ "abandoned", .figure = ABANDONED,
		  .lost = true, .total = true },
		{ "under way", .figure = SYNQ },
	} },
	{ "connections", INODE, {
		{ "accepted", .figure = ACCEPTS },
		{ "never accepted", .figure = UNACCEPTED,
		  .lost = true, .total = true },
		{ "waiting", .figure = ACCEPTQ },
	} },
};

/* Figures that are no part of such a sum. */
static const struct line notes = {
	"besides", INODE, {
		{ "SYN-ACKs resent", .figure = RESENT },
		{ "final ACKs refused", .figure = OVERFLOWS_ACK, .lost = true },
		{ "from cookies", .figure = COOKIES_FINISHED },
		{ "bad cookies", .figure = COOKIES_FAILED },
		{ "Fast Open refused", .figure = FASTOPEN_OVERFLOWS },
		{ "requests carried", .figure = CARRIED_REQUESTS },
		{ "connections carried", .figure = CARRIED_CONNECTIONS },
		{ "sk_drops", .figure = SK_DROPS },
	},
};

static bool is_total(const struct listener *listener)
{
	return listener->place[TOTALS].rows;
}

static long long count_of(const struct listener *listener,
			  const struct term *term)
{
	const long long *figure = listener->figure;
	long long less = term->less == INODE ? 0 : figure[term->less];

	if (figure[term->figure] == UNKNOWN || less == UNKNOWN)
		return UNKNOWN;
	return figure[term->figure] - less;
}

/* An older module has no books of listeners. */
static bool has_books(const struct listener *listener)
{
	return listener->place[HANDSHAKES].rows || is_total(listener);
}

/* A namespace has no sk_drops. */
static bool applies(const struct listener *listener, const struct term *term)
{
	if (!has_books(listener) && count_of(listener, term) == UNKNOWN)
		return false;
	return is_total(listener) ? term->figure != SK_DROPS : !term->total;
}

static long long sum_of(const struct listener *listener,
			const struct line *line)
{
	long long sum = 0;

	if (line->all != INODE)
		return listener->figure[line->all];
	for (const struct term *term = line->term; term->name; term++)
		if (applies(listener, term))
			sum = add_figures(sum, count_of(listener, term));
	return sum;
}

/* Put the terms that are not 0, in as many lines as needed at that width; 0: in one. */
static unsigned int put_terms(const struct listener *listener,
			      const struct line *line, unsigned int at,
			      unsigned int width, const struct sink *sink)
{
	unsigned int lines = 1;
	char text[TEXT_SIZE];

	for (const struct term *term = line->term; term->name; term++) {
		long long count = count_of(listener, term);

		if (!applies(listener, term) || !count)
			continue;
		if (count == UNKNOWN)
			snprintf(text, sizeof(text), "%s -", term->name);
		else
			snprintf(text, sizeof(text), "%s %lld", term->name,
				 count);
		if (width && at > INDENT && at + 2 + strlen(text) > width) {
			sink_end_line(sink);
			at = sink_label(sink, "");
			lines++;
		}
		at += sink_print(sink, count == UNKNOWN ? DIM :
				 term->lost ? WARN : PLAIN, "%s%s",
				 at > INDENT ? "  " : "", text);
	}
	sink_end_line(sink);
	return lines;
}

static bool has_any(const struct listener *listener, const struct line *line)
{
	for (const struct term *term = line->term; term->name; term++)
		if (applies(listener, term) && count_of(listener, term))
			return true;
	return false;
}

/**
 * books_print() - print what became of all SYNs, requests and connections
 * @listener: of this listener, or of a namespace
 * @width: of the screen; 0: unlimited
 * @sink: written to
 *
 * Return: how many lines were printed.
 */
unsigned int books_print(const struct listener *listener, unsigned int width,
			 const struct sink *sink)
{
	unsigned int lines = 0, at;

	for (size_t i = 0; has_books(listener) && i < ARRAY_SIZE(books); i++) {
		at = sink_label(sink, books[i].label);
		at += sink_number(sink, TITLE, "",
				  sum_of(listener, &books[i]), 0);
		lines += put_terms(listener, &books[i], at, width, sink);
	}
	if (!has_any(listener, &notes))
		return lines;
	at = sink_label(sink, notes.label);
	return lines + put_terms(listener, &notes, at, width, sink);
}

/**
 * totals_print() - print the books of namespaces
 * @snapshot: the namespaces
 *
 * Return: NULL or a reason.
 */
const char *totals_print(const struct snapshot *snapshot)
{
	const struct sink sink = sink_stdout();
	struct listener all;
	const char *why;

	for (size_t i = 0; i < snapshot->list.count; i++) {
		why = snapshot_totals(snapshot, i, &all);
		if (why)
			return why;
		if (all.netns) {
			sink_label(&sink, "namespace");
			sink_print(&sink, TITLE, "%s\n", all.netns);
		}
		books_print(&all, sink_width(), &sink);
	}
	return NULL;
}
