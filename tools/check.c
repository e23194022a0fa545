// SPDX-License-Identifier: GPL-2.0-only
/*
 * For monitoring: print one line like a plugin of a monitoring system, with text
 * before the bar and figures after it. The verdict is about the last minutes:
 * between two checks, a queue can fill up, refuse clients, and be empty again.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "output.h"

static const struct {
	enum figure now;
	enum figure peak;	/* of the last minute */
	const char *name;
} queues[] = {
	{ ACCEPTQ, ACCEPTQ_PEAK_1M, "accept queue" },
	{ SYNQ, SYNQ_PEAK_1M, "SYN queue" },
};

/* Lost clients, for graphs. */
static const struct {
	enum figure figure;
	const char *name;
	bool of_unix;
} losses[] = {
	{ OVERFLOWS, "overflows", false },
	{ SYNQ_DROPS, "synq_drops", false },
	{ SYNQ_RESERVED, "synq_reserved", false },
	{ EAGAINS, "eagains", true },
};

/* Compare with the limit, without rounding. */
static bool is_above(const struct listener *listener, enum figure queue,
		     long long percent)
{
	long long held = listener->figure[queue];
	long long limit = listener->figure[LIMIT];

	return held != UNKNOWN && limit != UNKNOWN && held &&
	       held * 100 > limit * percent;
}

static void print_quoted(const char *text)
{
	char quoted[1024];

	fputs(quote_plugin(quoted, sizeof(quoted), text), stdout);
}

static void print_name(const struct listener *listener)
{
	const char *comm = listener_comm(listener);

	if (listener->netns) {
		printf("netns ");
		print_quoted(listener->netns);
		putchar(' ');
	}
	print_quoted(listener->word[LOCAL]);
	if (strcmp(comm, "-")) {
		putchar(' ');
		print_quoted(comm);
	}
}

/* Print the line where the answer can't be known. Return: an exit code. */
int check_trouble(const char *why)
{
	printf("LISTENQ UNKNOWN - ");
	print_quoted(why);
	putchar('\n');
	return CHECK_UNKNOWN;
}

/* ---- how full queues are, and were in the last minute ---- */

/**
 * struct fullness - how full queues are
 * @above: how many listeners have a queue that is fuller than allowed
 * @now: how full the fullest queue is
 * @peak: how full the fullest queue was in the last minute
 * @fullest: the listener with the larger one of the two
 * @queue: which of its queues
 */
struct fullness {
	size_t above;
	double now;
	double peak;
	struct listener *fullest;
	int queue;
};

static void look_at_queues(struct fullness *fullness,
			   struct listener *listener, long long percent)
{
	double most = fullness->now > fullness->peak ? fullness->now :
						       fullness->peak;
	bool above = false;

	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		double now = listener_fill(listener, queues[i].now);
		double peak = listener_fill(listener, queues[i].peak);

		above |= is_above(listener, queues[i].now, percent) ||
			 is_above(listener, queues[i].peak, percent);
		fullness->now = fmax(fullness->now, now);
		fullness->peak = fmax(fullness->peak, peak);
		if (fullness->fullest && fmax(now, peak) <= most)
			continue;
		fullness->fullest = listener;
		fullness->queue = i;
		most = fmax(now, peak);
	}
	fullness->above += above;
}

static void print_fullest(const struct fullness *fullness)
{
	const long long *figure = fullness->fullest->figure;
	long long now = figure[queues[fullness->queue].now];
	long long peak = figure[queues[fullness->queue].peak];

	printf(", fullest ");
	print_name(fullness->fullest);
	printf(": %s %lld of %lld", queues[fullness->queue].name, now,
	       figure[LIMIT]);
	if (peak > now)
		printf(", peak %lld", peak);
}

/* ---- recent refusals ---- */

/**
 * struct lately - refusals in the last seconds
 * @count: how many; UNKNOWN where the caller may not read the file
 * @more: there may have been more than @count
 * @by: how many listeners have had overflows
 * @last: the listener that refused a client last; NULL: none did
 * @ago_ms: how long ago
 * @unknown: a listener of which it is not known whether it refused any
 */
struct lately {
	long long count;
	bool more;
	size_t by;
	struct listener *last;
	long long ago_ms;
	struct listener *unknown;
};

/* UNKNOWN if the time is not known. */
static long long ago(const struct refusal *refusal,
		     const struct snapshot *snapshot)
{
	return refusal->when_ms == UNKNOWN ? UNKNOWN :
	       snapshot->taken_ms - refusal->when_ms;
}

static void note_last(struct lately *lately, struct listener *listener,
		      long long ago_ms)
{
	if (lately->last && lately->ago_ms <= ago_ms)
		return;
	lately->last = listener;
	lately->ago_ms = ago_ms;
}

/* Check that the file of each namespace was read, and that it goes back far enough. */
static void look_at_files(struct lately *lately,
			  const struct snapshot *snapshot, long long within_ms)
{
	const struct rows *rows;
	size_t held = 0;

	for (size_t i = 0; i < snapshot->list.count; i++) {
		rows = snapshot->rows[i][REFUSED];
		if (!rows) {
			lately->count = UNKNOWN;
			return;
		}
		lately->more |= rows->count >= REFUSALS_KEPT &&
				ago(&snapshot->refusal[held], snapshot) <=
				within_ms;
		held += rows->count;
	}
}

/*
 * The file refused has refusals of all kinds, and by listeners that are gone; the
 * rows of sockets, which every user may read, have the time of the latest overflow.
 */
static void look_at_refusals(struct lately *lately, struct snapshot *snapshot,
			     const struct filter *filter, long long within_ms)
{
	struct refusal **refusal = allocate(NULL, snapshot->refusals,
					    sizeof(*refusal));
	size_t count;

	for (size_t i = 0; i < snapshot->refusals; i++)
		refusal[i] = &snapshot->refusal[i];
	count = choose_refusals(snapshot, filter, refusal, snapshot->refusals);
	for (size_t i = 0; i < count; i++) {
		long long ago_ms = ago(refusal[i], snapshot);

		if (ago_ms == UNKNOWN || ago_ms > within_ms)
			continue;
		lately->count++;
		note_last(lately, &refusal[i]->listener, ago_ms);
	}
	free(refusal);
	look_at_files(lately, snapshot, within_ms);
}

static void look_at_overflows(struct lately *lately, struct listener *listener,
			      long long within_ms)
{
	long long ago_ms = listener->figure[SINCE_OVERFLOW_MS];

	/* The times of EAGAINs are not known. */
	if (is_unix(listener))
		return;
	if (listener->figure[OVERFLOWS] == UNKNOWN) {
		lately->unknown = lately->unknown ?: listener;
	} else if (ago_ms != UNKNOWN && ago_ms <= within_ms) {
		lately->by++;
		note_last(lately, listener, ago_ms);
	}
}

static void print_refusals(const struct lately *lately, long long within)
{
	char text[TEXT_SIZE];

	if (lately->count != UNKNOWN)
		printf("%s%lld refusal%s", lately->more ? "at least " : "",
		       lately->count, lately->count == 1 ? "" : "s");
	else
		printf("refusals by %zu listener%s", lately->by,
		       lately->by == 1 ? "" : "s");
	text_time(text, lately->ago_ms);
	printf(" in the last %llds, the latest %s ago by ", within, text);
	print_name(lately->last);
}

/* ---- figures behind the bar: label=value[UOM];warn;crit;min;max ---- */

/* One connection at a limit of 0 has no percentage. */
static void print_percentage(const char *label, double fill, long long percent)
{
	printf(" %s=", label);
	if (isinf(fill))
		printf("U;%lld;;0", percent);
	else
		printf("%.0f%%;%lld;;0", floor(fill * 100), percent);
}

/* Sum over listeners that know it; U if none does, and nothing if none can have it. */
static void print_loss(struct listener *const listener[], size_t count,
		       enum figure figure, const char *label, bool of_unix)
{
	long long sum = UNKNOWN, loss;
	bool is_any = !count && !of_unix;

	if (is_any)
		sum = 0;
	for (size_t i = 0; i < count; i++) {
		if (is_unix(listener[i]) != of_unix)
			continue;
		is_any = true;
		loss = listener[i]->figure[figure];
		if (loss != UNKNOWN)
			sum = sum == UNKNOWN ? loss : add_figures(sum, loss);
	}
	if (!is_any)
		return;
	if (sum == UNKNOWN)
		printf(" %s=U;;;0", label);
	else
		printf(" %s=%lldc;;;0", label, sum);
}

static void print_figures(struct listener *const listener[], size_t count,
			  const struct fullness *fullness,
			  const struct lately *lately, long long percent)
{
	printf(" | above=%zu;0;;0;%zu", fullness->above, count);
	print_percentage("fullest", fullness->now, percent);
	print_percentage("peak", fullness->peak, percent);
	if (lately->count == UNKNOWN)
		printf(" refusals=U;0;;0");
	else
		printf(" refusals=%lld;0;;0", lately->count);
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++)
		print_loss(listener, count, losses[i].figure, losses[i].name,
			   losses[i].of_unix);
	putchar('\n');
}

/* ---- the verdict ---- */

static const char * const states[] = {
	[CHECK_OK] = "OK", [CHECK_WARNING] = "WARNING",
	[CHECK_CRITICAL] = "CRITICAL", [CHECK_UNKNOWN] = "UNKNOWN",
};

/* In one search; the listener that refused last may be the fullest as well. */
static void name_processes(const struct fullness *fullness,
			   const struct lately *lately)
{
	struct listener *named[2];
	size_t count = 0;

	if (fullness->fullest)
		named[count++] = fullness->fullest;
	if (lately->last && lately->last->in &&
	    lately->last != fullness->fullest)
		named[count++] = lately->last;
	process_find(named, count, true);
}

/**
 * check_print() - say whether clients are refused, or soon will be
 * @check: the limits
 * @snapshot: read with the refusals, if the caller may read these
 * @filter: the filter by which listeners were chosen
 * @listener: the listeners to check
 * @count: how many
 *
 * Return: an exit code.
 */
int check_print(const struct check *check, struct snapshot *snapshot,
		const struct filter *filter, struct listener *const listener[],
		size_t count)
{
	long long within_ms = check->within * 1000;
	struct fullness fullness = { };
	struct lately lately = { };
	int state = CHECK_OK;
	size_t i;

	for (i = 0; i < count; i++) {
		if (listener[i]->figure[LIMIT] == UNKNOWN ||
		    listener[i]->figure[ACCEPTQ] == UNKNOWN)
			return check_trouble(trouble("%s: queue or limit not known",
						     listener[i]->word[LOCAL]));
		look_at_queues(&fullness, listener[i], check->percent);
		look_at_overflows(&lately, listener[i], within_ms);
	}
	look_at_refusals(&lately, snapshot, filter, within_ms);
	/* The file no longer has all: each of these listeners refused at least one. */
	if (lately.count != UNKNOWN && lately.count < (long long)lately.by) {
		lately.count = lately.by;
		lately.more = true;
	}

	if (lately.unknown || snapshot_lacks(snapshot))
		state = CHECK_UNKNOWN;
	else if (!count && !check->allow_none)
		state = CHECK_CRITICAL;
	if (state != CHECK_CRITICAL && (fullness.above || lately.last))
		state = CHECK_WARNING;
	name_processes(&fullness, &lately);

	printf("LISTENQ %s - ", states[state]);
	if (snapshot->unreads)
		printf("%zu namespace%s not read, ", snapshot->unreads,
		       snapshot->unreads == 1 ? "" : "s");
	if (snapshot->list.hidden)
		printf("namespaces of %zu processes not known, ",
		       snapshot->list.hidden);
	if (fullness.above)
		printf("%zu of ", fullness.above);
	if (count)
		printf("%zu listener%s", count, count == 1 ? "" : "s");
	else
		printf("no %s", snapshot->count ? "such listener" :
						  "listeners");
	if (fullness.above)
		printf(" above %lld%% of %s limit", check->percent,
		       fullness.above == 1 ? "its" : "their");
	if (lately.last) {
		printf(", ");
		print_refusals(&lately, check->within);
	}
	if (lately.unknown) {
		printf(", overflows not known of ");
		print_name(lately.unknown);
	}
	if (fullness.fullest)
		print_fullest(&fullness);
	print_figures(listener, count, &fullness, &lately, check->percent);
	return state;
}
