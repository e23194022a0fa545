// SPDX-License-Identifier: GPL-2.0-only
/* All there is to say about one listener. */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "listenq.h"

/* Where values begin. */
#define INDENT	14

/* How wide a counter is, and the widest bar. */
#define COUNTER	10
#define BAR	40

__attribute__((format(printf, 3, 4)))
static void put(const struct sink *sink, enum style style, const char *format,
		...)
{
	char text[2 * TEXT_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->put(sink, style, text);
}

static void put_label(const struct sink *sink, const char *label)
{
	put(sink, DIM, "%-*s", INDENT, label);
}

static void end_line(const struct sink *sink)
{
	sink->put(sink, PLAIN, "\n");
}

/* All digits: here is room. */
static void put_number(const struct sink *sink, enum style style,
		       const char *before, long long number, unsigned int width)
{
	put(sink, PLAIN, "%s", before);
	if (number == UNKNOWN)
		put(sink, DIM, "%*s", width, "-");
	else
		put(sink, style, "%*lld", width, number);
}

static void put_process(const struct listener *listener,
			const struct sink *sink)
{
	const struct holder *holder = &listener->holder;

	put_label(sink, "process");
	put(sink, TITLE, "%s", listener_comm(listener));
	put_number(sink, PLAIN, "  pid ", listener_pid(listener), 0);
	if (listener->figure[PID] != UNKNOWN)
		put(sink, DIM, "  called listen()");
	else if (holder->pid && holder->others)
		put(sink, DIM, "  has the socket open, with %u more",
		    holder->others);
	else if (holder->pid)
		put(sink, DIM, "  has the socket open");
	end_line(sink);
}

static void put_socket(const struct listener *listener,
		       const struct sink *sink)
{
	const long long *figure = listener->figure;
	char text[TEXT_SIZE];

	put_label(sink, "socket");
	put(sink, PLAIN, "%s  cookie %s", listener->word[PROTO],
	    listener->word[COOKIE]);
	put_number(sink, PLAIN, "  inode ", figure[INODE], 0);
	put_number(sink, PLAIN, "  uid ", figure[UID], 0);
	text_time(text, figure[SINCE_MS]);
	put(sink, PLAIN, "  observed for %s", text);
	end_line(sink);
}

static void put_limit(const struct listener *listener,
		      const struct sink *sink)
{
	const long long *figure = listener->figure;
	const char *rule = listener->word[RULE];

	put_label(sink, "limit");
	put_number(sink, TITLE, "", figure[LIMIT], 0);
	put_number(sink, PLAIN, "  asked ", figure[ASKED], 0);
	put_number(sink, PLAIN, "  granted ", figure[GRANTED], 0);
	if (listener_is_clamped(listener))
		put(sink, WARN, "  clamped by somaxconn");
	if (strcmp(rule, "-"))
		put(sink, NOTE, "  rule %s", rule);
	end_line(sink);
}

static void put_queue(const struct listener *listener, const char *label,
		      enum figure queue, enum figure peak, unsigned int width,
		      const struct sink *sink)
{
	const long long *figure = listener->figure;
	bool full = listener_is_full(listener, queue);
	char text[TEXT_SIZE];

	put_label(sink, label);
	if (listener_fill(listener, queue) >= 0) {
		text_bar(text, figure[queue] / (figure[LIMIT] + 1.0), width);
		put(sink, full ? BAD : GOOD, "%s", text);
	}
	put_number(sink, full ? BAD : TITLE, " ", figure[queue], 0);
	put_number(sink, PLAIN, " of ", figure[LIMIT], 0);
	put(sink, full ? BAD : PLAIN, "%s", full ? ": full" : "");
	put_number(sink, PLAIN, "  peak ", figure[peak], 0);
	if (queue == ACCEPTQ) {
		text_time(text, figure[ACCEPTQ_OLDEST_MS]);
		put(sink, PLAIN, "  oldest %s", text);
	} else {
		put_number(sink, PLAIN, "  young ", figure[SYNQ_YOUNG], 0);
	}
	end_line(sink);
}

/* The counters, side by side; how many lines they take. */
static unsigned int put_counters(const struct listener *listener,
				 const struct sink *sink)
{
	static const struct {
		const char *title;
		enum figure counter;
	} counters[] = {
		{ "SYNs", SYNS }, { "accepts", ACCEPTS },
		{ "overflows", OVERFLOWS }, { "SYN drops", SYNQ_DROPS },
		{ "cookies", SYNCOOKIES }, { "all drops", SK_DROPS },
	};
	long long ago = listener->figure[SINCE_OVERFLOW_MS];
	char text[TEXT_SIZE];
	double rate;
	size_t i;

	put_label(sink, "");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		put(sink, DIM, "%*s", COUNTER, counters[i].title);
	end_line(sink);
	put_label(sink, "total");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		put_number(sink, PLAIN, "",
			   listener->figure[counters[i].counter], COUNTER);
	end_line(sink);
	put_label(sink, "per second");
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		rate = listener->rate[counters[i].counter];
		text_rate(text, rate);
		put(sink, rate <= 0 ? DIM :
		    counters[i].counter == OVERFLOWS ? BAD : PLAIN,
		    "%*s", COUNTER, text);
	}
	end_line(sink);
	if (ago == UNKNOWN)
		return 3;
	put_label(sink, "the last ago");
	text_time(text, ago);
	put(sink, ago < 60000 ? BAD : PLAIN, "%*s", 3 * COUNTER, text);
	end_line(sink);
	return 4;
}

static long long wait_number(const struct listener *listener, int column)
{
	return rows_count(listener->waits, listener->waits_row, column);
}

static void put_bucket(const struct sink *sink, const char *name,
		       long long count, long long most, unsigned int width)
{
	bool last = !strcmp(name, "more");
	char text[TEXT_SIZE];

	put(sink, DIM, "  %6s %s", last ? "" : "up to", "");
	put(sink, PLAIN, "%-8s", name);
	put_number(sink, PLAIN, "", count, 10);
	put(sink, PLAIN, "  ");
	text_bar(text, most ? (double)count / most : 0, width);
	/* The dots would only make noise in a histogram. */
	text[strcspn(text, utf8 ? "\xc2" : ".")] = '\0';
	put(sink, GOOD, "%s", text);
	end_line(sink);
}

/*
 * From the first range that has somebody to the last. Where there are more than
 * @lines of them, the first line has all that were quicker, too.
 */
static void put_waits(const struct listener *listener, unsigned int width,
		      unsigned int lines, const struct sink *sink)
{
	const struct rows *rows = listener->waits;
	long long count = UNKNOWN, sum = UNKNOWN, most = 0, quicker = 0;
	int first = 0, last = 0, begin = 0, end = 0, i;
	char text[TEXT_SIZE];

	put_label(sink, "waits");
	if (rows) {
		count = wait_number(listener, rows_column(rows, "count"));
		sum = wait_number(listener, rows_column(rows, "sum_ms"));
		begin = rows_column(rows, "sum_ms") + 1;
		end = rows_column(rows, "more") + 1;
	}
	for (i = begin; i < end; i++)
		if (wait_number(listener, i) == UNKNOWN)
			count = UNKNOWN;
	if (count == UNKNOWN) {
		put(sink, DIM, "for accept() are not known");
		end_line(sink);
		return;
	}
	text_time(text, count && sum != UNKNOWN ? sum / count : UNKNOWN);
	put(sink, PLAIN, "of %lld accepted connection%s, %s on average", count,
	    count == 1 ? "" : "s", text);
	end_line(sink);

	for (i = begin; i < end; i++) {
		if (!wait_number(listener, i))
			continue;
		first = first ?: i;
		last = i;
	}
	if (!first || !lines)
		return;
	for (; last - first >= (int)lines; first++)
		quicker += wait_number(listener, first);
	for (i = first; i <= last; i++) {
		count = wait_number(listener, i) + (i == first ? quicker : 0);
		if (count > most)
			most = count;
	}
	for (i = first; i <= last; i++)
		put_bucket(sink, rows->text + rows->column[i],
			   wait_number(listener, i) +
			   (i == first ? quicker : 0), most, width);
}

/**
 * detail_print() - all that is known of a listener, and its histogram
 * @listener: which
 * @width: of the screen
 * @height: in lines, those of the histogram among them
 * @sink: where it goes
 */
void detail_print(const struct listener *listener, unsigned int width,
		  unsigned int height, const struct sink *sink)
{
	unsigned int bar = width > 60 ? width - 52 : 8;
	unsigned int lines = 7;

	if (bar > BAR)
		bar = BAR;
	put_label(sink, "listener");
	put(sink, TITLE, "%s", listener->word[LOCAL]);
	if (listener->netns)
		put(sink, PLAIN, "  netns %s", listener->netns);
	end_line(sink);
	put_process(listener, sink);
	put_socket(listener, sink);
	put_limit(listener, sink);
	put_queue(listener, "accept queue", ACCEPTQ, ACCEPTQ_PEAK, bar, sink);
	put_queue(listener, "SYN queue", SYNQ, SYNQ_PEAK, bar, sink);
	lines += put_counters(listener, sink);
	put_waits(listener, bar, height > lines ? height - lines : 0, sink);
}
