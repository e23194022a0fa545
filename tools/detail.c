// SPDX-License-Identifier: GPL-2.0-only
/* Everything there is to say about one listener. */

#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "live.h"
#include "log.h"
#include "output.h"

/* The width of a counter, of the widest bar, and of the widest histogram. */
#define COUNTER	10
#define BAR	40
#define CHART	70
/* How many refused clients are shown. */
#define LATEST	10
/* The least width for two histograms side by side. */
#define BESIDE	80

/* Put the first process that can accept, and the caller of listen() if it is another. */
static void put_process(const struct listener *listener,
			const struct sink *sink)
{
	const struct holder *holder = &listener->holder;
	bool nobodys = is_nobodys(listener);
	long long caller = listener->figure[PID];

	sink_label(sink, "process");
	sink_print(sink, nobodys ? WARN : TITLE, "%s",
		   listener_comm(listener));
	if (!nobodys)
		sink_number(sink, PLAIN, "  pid ", listener_pid(listener), 0);
	if (nobodys || holder->pid)
		sink_print(sink, DIM, "  has the socket open");
	else if (holder->unsearched)
		sink_print(sink, DIM, "  not found in time among all processes");
	if (caller != UNKNOWN && caller == listener_pid(listener))
		sink_print(sink, DIM, "%s called listen()",
			   holder->pid ? "," : " ");
	else if (caller != UNKNOWN)
		sink_print(sink, DIM, ", %s (%lld) called listen()",
			   listener_caller(listener), caller);
	sink_end_line(sink);
}

/* Put the process's unit or container. Return: how many lines. */
static unsigned int put_unit(const struct listener *listener,
			     const struct sink *sink)
{
	const struct membership *membership = listener->holder.membership;
	bool unit = membership && *membership->unit;

	if (!membership)
		return 0;
	sink_label(sink, unit ? "unit" : "container");
	if (unit)
		sink_print(sink, PLAIN, "%s", membership->unit);
	if (*membership->container)
		sink_print(sink, PLAIN, "%s%.*s", unit ? ", container " : "",
			   SHORT_ID, membership->container);
	if (*membership->engine)
		sink_print(sink, DIM, "  %s", membership->engine);
	if (*membership->pod)
		sink_print(sink, PLAIN, "  pod %s", membership->pod);
	sink_end_line(sink);
	return 1;
}

/* Put the other processes that can accept, as far as a line has room. Return: lines. */
static unsigned int put_others(const struct listener *listener,
			       unsigned int width, const struct sink *sink)
{
	const struct holder *holder = &listener->holder;
	char name[TEXT_SIZE];
	unsigned int used;

	if (!holder->others)
		return 0;
	used = sink_label(sink, "and");
	used += sink_print(sink, PLAIN, "%u more:", holder->others);
	for (unsigned int i = 0; i < holder->others; i++) {
		const struct process_name *other = &holder->other[i];

		snprintf(name, sizeof(name), "  %s %d", other->comm,
			 other->pid);
		if (i && used + strlen(name) > width)
			break;
		used += sink_print(sink, PLAIN, "%s", name);
	}
	sink_end_line(sink);
	return 1;
}

static void put_socket(const struct listener *listener,
		       const struct sink *sink)
{
	const long long *figure = listener->figure;
	char text[TEXT_SIZE];

	sink_label(sink, "socket");
	sink_print(sink, PLAIN, "%s  cookie %s", listener->word[PROTO],
		   listener->word[COOKIE]);
	sink_number(sink, PLAIN, "  inode ", figure[INODE], 0);
	sink_number(sink, PLAIN, "  uid ", figure[UID], 0);
	text_time(text, figure[SINCE_MS]);
	sink_print(sink, PLAIN, "  observed for %s", text);
	sink_end_line(sink);
}

static void put_limit(const struct listener *listener,
		      const struct sink *sink)
{
	const long long *figure = listener->figure;
	const char *rule = listener->word[RULE];

	sink_label(sink, "limit");
	sink_number(sink, TITLE, "", figure[LIMIT], 0);
	sink_number(sink, PLAIN, "  asked ", figure[ASKED], 0);
	sink_number(sink, PLAIN, "  granted ", figure[GRANTED], 0);
	if (listener_is_clamped(listener))
		sink_print(sink, WARN, "  clamped by somaxconn");
	if (strcmp(rule, "-"))
		sink_print(sink, NOTE, "  rule %s", rule);
	sink_end_line(sink);
}

static void put_queue(const struct listener *listener, const char *label,
		      enum figure queue, enum figure peak, enum figure peak_1m,
		      unsigned int width, const struct sink *sink)
{
	const long long *figure = listener->figure;
	bool full = listener_is_full(listener, queue);
	char text[TEXT_SIZE];

	sink_label(sink, label);
	if (listener_fill(listener, queue) >= 0) {
		text_bar(text, figure[queue] / (figure[LIMIT] + 1.0), width);
		sink_print(sink, full ? BAD : GOOD, "%s", text);
	}
	sink_number(sink, full ? BAD : TITLE, " ", figure[queue], 0);
	sink_number(sink, PLAIN, " of ", figure[LIMIT], 0);
	sink_print(sink, full ? BAD : PLAIN, "%s", full ? ": full" : "");
	sink_number(sink, PLAIN, "  peak ", figure[peak], 0);
	if (figure[peak_1m] != UNKNOWN)
		sink_number(sink, PLAIN, "  1 min ", figure[peak_1m], 0);
	if (queue == ACCEPTQ) {
		text_time(text, figure[ACCEPTQ_OLDEST_MS]);
		sink_print(sink, PLAIN, "  oldest %s", text);
	} else {
		sink_number(sink, PLAIN, "  young ", figure[SYNQ_YOUNG], 0);
	}
	sink_end_line(sink);
}

/* Put what became of connect() calls to a Unix socket. */
static void put_calls(const struct listener *listener, const struct sink *sink)
{
	const long long *figure = listener->figure;

	sink_label(sink, "connections");
	sink_number(sink, TITLE, "", figure[CONNECTS], 0);
	sink_number(sink, PLAIN, "  accepted ", figure[ACCEPTS], 0);
	sink_end_line(sink);
	sink_label(sink, "no room");
	sink_number(sink, figure[EAGAINS] > 0 ? BAD : PLAIN, "EAGAIN ",
		    figure[EAGAINS], 0);
	sink_number(sink, figure[WAITED] > 0 ? WARN : PLAIN, "  waited ",
		    figure[WAITED], 0);
	sink_end_line(sink);
}

/* Put Fast Open, if the listener has it on; how many lines. */
static unsigned int put_fastopen(const struct listener *listener,
				 const struct sink *sink)
{
	const long long *figure = listener->figure;
	bool full = figure[FASTOPENQ] >= figure[FASTOPENQ_LIMIT];

	if (figure[FASTOPENQ_LIMIT] == UNKNOWN)
		return 0;
	sink_label(sink, "Fast Open");
	sink_number(sink, full ? BAD : TITLE, "", figure[FASTOPENQ], 0);
	sink_number(sink, PLAIN, " of ", figure[FASTOPENQ_LIMIT], 0);
	sink_print(sink, full ? BAD : PLAIN, "%s", full ? ": full" : "");
	sink_number(sink, PLAIN, "  made ", figure[FASTOPENS], 0);
	sink_number(sink, figure[FASTOPEN_OVERFLOWS] > 0 ? WARN : PLAIN,
		    "  refused ", figure[FASTOPEN_OVERFLOWS], 0);
	sink_end_line(sink);
	return 1;
}

/* Put the counters, side by side; how many lines. */
static unsigned int put_counters(const struct listener *listener,
				 const struct sink *sink)
{
	static const struct {
		const char *title;
		enum figure counter;
	} counters[] = {
		{ "SYNs", SYNS }, { "accepts", ACCEPTS },
		{ "overflows", OVERFLOWS }, { "SYN drops", SYNQ_DROPS },
		{ "reserved", SYNQ_RESERVED }, { "cookies", SYNCOOKIES },
	};
	long long ago = listener->figure[SINCE_OVERFLOW_MS];
	char text[TEXT_SIZE];
	double rate;
	size_t i;

	sink_label(sink, "");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		sink_print(sink, DIM, "%*s", COUNTER, counters[i].title);
	sink_end_line(sink);
	sink_label(sink, "total");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		sink_number(sink, PLAIN, "",
			    listener->figure[counters[i].counter], COUNTER);
	sink_end_line(sink);
	sink_label(sink, "per second");
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		rate = listener->rate[counters[i].counter];
		text_rate(text, rate);
		sink_print(sink, rate <= 0 ? DIM :
			   counters[i].counter == OVERFLOWS ? BAD : PLAIN,
			   "%*s", COUNTER, text);
	}
	sink_end_line(sink);
	if (ago == UNKNOWN)
		return 3;
	sink_label(sink, "the last ago");
	text_time(text, ago);
	sink_print(sink, ago < 60000 ? BAD : PLAIN, "%*s", 3 * COUNTER, text);
	sink_end_line(sink);
	return 4;
}

/* ---- refused clients ---- */

/*
 * The listener's refusals, the latest one last; to free(). None where the file can't
 * be read.
 */
static struct refusal **refusals_of(const struct listener *listener,
				    const struct snapshot *snapshot,
				    size_t *count)
{
	struct refusal **refusal = allocate(NULL, snapshot->refusals,
					    sizeof(*refusal));

	*count = 0;
	for (size_t i = 0; i < snapshot->refusals; i++) {
		const struct listener *by = &snapshot->refusal[i].listener;

		if (by->netns == listener->netns &&
		    strcmp(by->word[COOKIE], "-") &&
		    !strcmp(by->word[COOKIE], listener->word[COOKIE]))
			refusal[(*count)++] = &snapshot->refusal[i];
	}
	return refusal;
}

/* Put the networks with most refused clients, as far as a line has room. */
static void put_networks(struct refusal **refusal, size_t count,
			 unsigned int width, const struct sink *sink)
{
	char network[TEXT_SIZE], number[24];
	unsigned int at;
	struct sum *sum;
	size_t sums;

	sum = sum_up(refusal, count, true, &sums);
	at = sink_label(sink, "from");
	for (size_t i = 0; i < sums; i++) {
		refusal_network(network, sum[i].latest);
		snprintf(number, sizeof(number), " %lld", sum[i].count);
		if (i && at + 2 + strlen(network) + strlen(number) > width)
			break;
		at += sink_print(sink, PLAIN, "%s%s", i ? "  " : "", network);
		at += sink_print(sink, WARN, "%s", number);
	}
	sink_end_line(sink);
	free(sum);
}

/* Put refusals in at most @height lines; how many lines. */
static unsigned int put_refusals(const struct listener *listener,
				 const struct snapshot *snapshot,
				 unsigned int width, unsigned int height,
				 const struct sink *sink)
{
	unsigned int lines = 0;
	struct refusal **refusal;
	char text[TEXT_SIZE];
	size_t count;

	refusal = refusals_of(listener, snapshot, &count);
	for (size_t i = count; i && lines < LATEST && lines + 1 < height; i--) {
		const struct listener *was = &refusal[i - 1]->listener;

		sink_label(sink, lines++ ? "" : "turned away");
		text_time(text, was->figure[AGO_MS]);
		sink_print(sink, PLAIN, "%5s ago  ", text);
		sink_print(sink, WARN, "%-11s", was->word[WHY]);
		sink_print(sink, PLAIN, "  %s", was->word[REMOTE]);
		sink_number(sink, PLAIN, "  acceptq ", was->figure[ACCEPTQ], 0);
		sink_number(sink, PLAIN, "  synq ", was->figure[SYNQ], 0);
		sink_number(sink, PLAIN, "  limit ", was->figure[LIMIT], 0);
		sink_end_line(sink);
	}
	if (lines) {
		put_networks(refusal, count, width, sink);
		lines++;
	}
	free(refusal);
	return lines;
}

/* ---- histograms ---- */

/**
 * struct chart - a histogram on the screen
 * @label: the text in its first line
 * @of: what was measured
 * @histogram: the histogram; buckets before @first were added to that one
 * @known: the histogram is known
 * @first: the first bucket that is shown
 * @end: the bucket after the last one shown
 * @most: the largest count of a bucket
 */
struct chart {
	const char *label;
	const char *of;
	struct histogram histogram;
	bool known;
	size_t first;
	size_t end;
	long long most;
};

/*
 * Show the ranges from the first with a count to the last. If there are more than
 * @lines, the first line includes all faster ones.
 */
static void chart_fit(struct chart *chart, size_t lines)
{
	struct bucket *bucket = chart->histogram.bucket;
	size_t i;

	chart->end = chart->known ? chart->histogram.buckets : 0;
	while (chart->end && !bucket[chart->end - 1].count)
		chart->end--;
	for (chart->first = 0; chart->first < chart->end; chart->first++)
		if (bucket[chart->first].count)
			break;
	if (!lines)
		chart->first = chart->end;
	for (; chart->end - chart->first > lines; chart->first++)
		bucket[chart->first + 1].count += bucket[chart->first].count;
	for (i = chart->first; i < chart->end; i++)
		if (bucket[i].count > chart->most)
			chart->most = bucket[i].count;
}

static unsigned int put_head(const struct chart *chart, const struct sink *sink)
{
	const struct histogram *histogram = &chart->histogram;
	unsigned int used = sink_label(sink, chart->label);
	char text[TEXT_SIZE];

	if (!chart->known)
		return used + sink_print(sink, DIM, "not known");
	text_us(text, histogram_mean_us(histogram));
	return used + sink_print(sink, PLAIN, "%lld %s, mean %s",
				 histogram->count, chart->of, text);
}

static unsigned int put_bucket(const struct chart *chart, size_t at,
			       unsigned int width, const struct sink *sink)
{
	const struct bucket *bucket = &chart->histogram.bucket[at];
	bool last = bucket->bound == LLONG_MAX;
	unsigned int used;
	char text[TEXT_SIZE];

	used = sink_print(sink, DIM, "%7s", last ? "" : "up to");
	used += sink_print(sink, PLAIN, " %-9s", bucket->name);
	used += sink_number(sink, PLAIN, "", bucket->count, 9);
	text_bar(text, (double)bucket->count / chart->most,
		 width > used + 3 ? width - used - 3 : 0);
	/* Dots for the rest of a bar would only make a histogram harder to read. */
	text[strcspn(text, utf8 ? "\xc2" : ".")] = '\0';
	return used + sink_print(sink, GOOD, "  %s", text);
}

static size_t chart_lines(const struct chart *chart)
{
	return 1 + chart->end - chart->first;
}

/* Put its head, or one of its ranges, in @width columns. */
static void put_chart(const struct chart *chart, size_t line,
		      unsigned int width, const struct sink *sink)
{
	unsigned int used = 0;

	if (!line)
		used = put_head(chart, sink);
	else if (line < chart_lines(chart))
		used = put_bucket(chart, chart->first + line - 1, width, sink);
	if (used < width)
		sink_print(sink, PLAIN, "%*s", width - used, "");
}

/* Put them side by side if there is room, else one below the other. */
static void put_histograms(const struct listener *listener, unsigned int width,
			   unsigned int height, const struct sink *sink)
{
	struct chart charts[] = {
		{ .label = "waits", .of = "accepted" },
		{ .label = "handshakes", .of = "finished" },
	};
	static const enum file files[] = { WAITS, HANDSHAKES };
	size_t count = listener->place[HANDSHAKES].rows ? 2 : 1;
	size_t beside = width >= BESIDE ? count : 1;
	size_t each = height / (count / beside), lines, line, i, j;

	width = width / beside < CHART ? width / beside : CHART;
	for (i = 0; i < count; i++) {
		charts[i].known = histogram_add(&charts[i].histogram, files[i],
						listener);
		chart_fit(&charts[i], each ? each - 1 : 0);
	}
	for (i = 0; i < count && each; i += beside) {
		lines = 0;
		for (j = i; j < i + beside; j++)
			if (chart_lines(&charts[j]) > lines)
				lines = chart_lines(&charts[j]);
		for (line = 0; line < lines; line++) {
			for (j = i; j < i + beside; j++)
				put_chart(&charts[j], line, width, sink);
			sink_end_line(sink);
		}
	}
}

/**
 * detail_print() - print all that is known of a listener, and its histograms
 * @listener: the listener
 * @snapshot: the snapshot it is from
 * @history: clients that were refused over the last minutes
 * @width: of the screen
 * @height: in lines, including histograms
 * @sink: written to
 */
void detail_print(const struct listener *listener,
		  const struct snapshot *snapshot,
		  const struct history *history, unsigned int width,
		  unsigned int height, const struct sink *sink)
{
	unsigned int bar = width > 76 ? width - 68 : 8;
	unsigned int lines = 6;

	if (bar > BAR)
		bar = BAR;
	sink_label(sink, "listener");
	sink_print(sink, TITLE, "%s", listener->word[LOCAL]);
	if (listener->netns)
		sink_print(sink, PLAIN, "  netns %s", listener->netns);
	if (listener->figure[GROUP] != UNKNOWN)
		sink_print(sink, PLAIN, "  one of %lld in its SO_REUSEPORT group",
			   listener->figure[GROUP]);
	sink_end_line(sink);
	put_process(listener, sink);
	lines += put_unit(listener, sink);
	lines += put_others(listener, width, sink);
	put_socket(listener, sink);
	put_limit(listener, sink);
	put_queue(listener, "accept queue", ACCEPTQ, ACCEPTQ_PEAK,
		  ACCEPTQ_PEAK_1M, bar, sink);
	if (is_unix(listener)) {
		put_calls(listener, sink);
		history_print(history, listener, width, sink);
		return;
	}
	put_queue(listener, "SYN queue", SYNQ, SYNQ_PEAK, SYNQ_PEAK_1M, bar,
		  sink);
	lines += put_fastopen(listener, sink);
	lines += put_counters(listener, sink);
	lines += history_print(history, listener, width, sink);
	lines += books_print(listener, width, sink);
	/* Half of the remaining lines are for refusals, the rest for histograms. */
	height = height > lines ? height - lines : 0;
	height -= put_refusals(listener, snapshot, width, (height + 1) / 2,
			       sink);
	put_histograms(listener, width, height, sink);
}
