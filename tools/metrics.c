// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics: one family after the other, in each a sample for each set of labels.
 *
 * Listeners with the same labels (SO_REUSEPORT) have one sample together, a
 * group's. No label tells them apart that is not used again after their end,
 * such as a cookie or an inode: the series of a machine would only get more. The
 * exception is a namespace without a name, for which there is only the number of
 * a process: its series end with that.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "listenq.h"

/**
 * struct group - listeners with the same labels
 * @listener: these
 * @count: how many
 * @labels: as they stand in each sample; NULL without samples
 */
struct group {
	struct listener *const *listener;
	size_t count;
	char *labels;
};

/* ---- groups ---- */

/* "-" is what the kernel writes where it has nothing to say. */
static const char *known(const char *word)
{
	return strcmp(word, "-") ? word : "";
}

/* By all that is a label, and by nothing else: a busy listener keeps its place. */
static int by_labels(const void *x, const void *y)
{
	const struct listener *a = *(struct listener *const *)x;
	const struct listener *b = *(struct listener *const *)y;

	return a->port - b->port ?:
	       strcmp(a->word[LOCAL], b->word[LOCAL]) ?:
	       strcmp(a->word[PROTO], b->word[PROTO]) ?:
	       strcmp(listener_comm(a), listener_comm(b)) ?:
	       strcmp(a->netns ?: "", b->netns ?: "");
}

static struct group *make_groups(struct listener *listener[], size_t count,
				 size_t *groups)
{
	struct group *group = allocate(NULL, count, sizeof(*group));

	qsort(listener, count, sizeof(*listener), by_labels);
	*groups = 0;
	for (size_t i = 0; i < count; i++) {
		if (!i || by_labels(&listener[i - 1], &listener[i]))
			group[(*groups)++] = (struct group) { .listener = &listener[i] };
		group[*groups - 1].count++;
	}
	return group;
}

/*
 * Written once for some forty samples. An IPv6 address stands without the
 * brackets that its port needs.
 */
static char *make_labels(const struct group *group)
{
	const struct listener *listener = group->listener[0];
	const char *local = known(listener->word[LOCAL]);
	const char *colon = strrchr(local, ':') ?: local;
	char address[128], *bracket, *text = NULL;
	struct samples labels = { };
	size_t size;

	snprintf(address, sizeof(address), "%.*s", (int)(colon - local), local);
	bracket = strchr(address, ']');
	if (*address == '[' && bracket) {
		memmove(bracket, bracket + 1, strlen(bracket));
		memmove(address, address + 1, strlen(address));
	}
	labels.to = open_memstream(&text, &size);
	if (!labels.to)
		die("not enough memory");
	sample_label(&labels, "netns", listener->netns);
	sample_label(&labels, "proto", known(listener->word[PROTO]));
	sample_label(&labels, "address", address);
	sample_label(&labels, "port", *colon ? colon + 1 : colon);
	sample_label(&labels, "process", known(listener_comm(listener)));
	if (fclose(labels.to))
		die("not enough memory");
	return text;
}

/* The kernel compares without a sign: -1 asks for all there is. */
static long long figure_of(const struct listener *listener, enum figure figure)
{
	long long value = listener->figure[figure];

	return figure == ASKED && value != UNKNOWN ? (uint32_t)value : value;
}

/* A sum that lacks somebody would look like one: it is not known then. */
static long long sum_of(const struct group *group, enum figure figure)
{
	long long sum = 0, value;

	for (size_t i = 0; i < group->count; i++) {
		value = figure_of(group->listener[i], figure);
		if (value == UNKNOWN)
			return UNKNOWN;
		if (__builtin_add_overflow(sum, value, &sum))
			return LLONG_MAX;
	}
	return sum;
}

/* UNKNOWN is less than all that is known. */
static long long most_of(const struct group *group, enum figure figure)
{
	long long most = UNKNOWN, value;

	for (size_t i = 0; i < group->count; i++) {
		value = figure_of(group->listener[i], figure);
		if (value > most)
			most = value;
	}
	return most;
}

static long long least_of(const struct group *group, enum figure figure)
{
	long long least = UNKNOWN, value;

	for (size_t i = 0; i < group->count; i++) {
		value = figure_of(group->listener[i], figure);
		if (value != UNKNOWN && (least == UNKNOWN || value < least))
			least = value;
	}
	return least;
}

/* ---- what groups have ---- */

static const struct {
	struct family family;
	enum figure figure;
} sums[] = {
	{ { "listenq_accept_queue_length",
	    "Connections that wait for accept().", NULL, GAUGE }, ACCEPTQ },
	{ { "listenq_syn_queue_length",
	    "Handshakes under way.", NULL, GAUGE }, SYNQ },
	{ { "listenq_syn_queue_young",
	    "Of these, those whose SYN-ACK was sent once.", NULL, GAUGE },
	  SYNQ_YOUNG },
	{ { "listenq_backlog_asked",
	    "The backlog that listen() was called with, without a sign.", NULL,
	    GAUGE }, ASKED },
	{ { "listenq_backlog_granted",
	    "What net.core.somaxconn has left of it.", NULL, GAUGE }, GRANTED },
	{ { "listenq_backlog_limit",
	    "The limit in force: the queue holds one connection more.", NULL,
	    GAUGE }, LIMIT },
	{ { "listenq_syns", "SYNs that came.", NULL, COUNTER }, SYNS },
	{ { "listenq_accepts",
	    "Connections that accept() has returned.", NULL, COUNTER },
	  ACCEPTS },
	{ { "listenq_overflows",
	    "How often the full accept queue has turned somebody away.", NULL,
	    COUNTER }, OVERFLOWS },
	{ { "listenq_syn_queue_drops",
	    "SYNs dropped because the SYN queue was full.", NULL, COUNTER },
	  SYNQ_DROPS },
	{ { "listenq_syncookies",
	    "SYNs answered with a SYN cookie.", NULL, COUNTER }, SYNCOOKIES },
	{ { "listenq_socket_drops",
	    "All that the kernel has dropped as this listener.", NULL,
	    COUNTER }, SK_DROPS },
}, peaks[] = {
	{ { "listenq_accept_queue_peak",
	    "The most connections that have waited in the accept queue of one of the sockets.",
	    NULL, GAUGE }, ACCEPTQ_PEAK },
	{ { "listenq_syn_queue_peak",
	    "The most handshakes that were under way at one of the sockets.",
	    NULL, GAUGE }, SYNQ_PEAK },
}, fills[] = {
	{ { "listenq_accept_queue_fill_ratio",
	    "The accept queue against its limit, of the fullest socket; above 1 it is full.",
	    "ratio", GAUGE }, ACCEPTQ },
	{ { "listenq_syn_queue_fill_ratio",
	    "The SYN queue against its limit, of the fullest socket.",
	    "ratio", GAUGE }, SYNQ },
};

static const struct family sockets = {
	"listenq_sockets", "Listening sockets that have these labels.", NULL,
	GAUGE,
};

static const struct family rule_active = {
	"listenq_rule_active", "Whether a rule sets the limit.", NULL, GAUGE,
};

static const struct family oldest = {
	"listenq_accept_queue_oldest_seconds",
	"For how long the first connection has waited for accept().",
	"seconds", GAUGE,
};

static const struct family last_overflow = {
	"listenq_last_overflow_timestamp_seconds",
	"When the accept queue has turned somebody away last.", "seconds",
	GAUGE,
};

static const struct family waits = {
	"listenq_accept_wait_seconds",
	"How long accepted connections had waited for accept().", "seconds",
	HISTOGRAM,
};

static void put_fill(struct samples *samples, const struct family *family,
		     const struct group *group, enum figure queue)
{
	double most = -1, fill;

	for (size_t i = 0; i < group->count; i++) {
		fill = listener_fill(group->listener[i], queue);
		if (fill > most)
			most = fill;
	}
	if (most < 0)
		return;
	sample_begin(samples, family, "");
	sample_labels(samples, group->labels);
	sample_ratio(samples, most);
}

static void put_rule(struct samples *samples, const struct group *group)
{
	const struct listener *listener = group->listener[0];
	bool active = false;

	if (rows_column(listener->rows, "rule") < 0)
		return;
	for (size_t i = 0; i < group->count; i++)
		active |= *known(group->listener[i]->word[RULE]);
	sample_begin(samples, &rule_active, "");
	sample_labels(samples, group->labels);
	sample_count(samples, active);
}

/* How many of a group have waited that long; UNKNOWN where one does not say. */
static long long waited(const struct group *group, const char *column)
{
	const struct listener *listener;
	long long sum = 0, count;

	for (size_t i = 0; i < group->count; i++) {
		listener = group->listener[i];
		count = UNKNOWN;
		if (listener->waits)
			count = rows_count(listener->waits, listener->waits_row,
					   rows_column(listener->waits, column));
		if (count == UNKNOWN ||
		    __builtin_add_overflow(sum, count, &sum))
			return UNKNOWN;
	}
	return sum;
}

/* "16ms" in milliseconds; UNKNOWN for what is no such column. */
static long long bound_of(const char *column)
{
	size_t length = strlen(column);
	char digits[20] = "";
	long long ms;

	if (length < 3 || length >= sizeof(digits) ||
	    strcmp(column + length - 2, "ms"))
		return UNKNOWN;
	memcpy(digits, column, length - 2);
	return parse_number(digits, 0, INT_MAX, &ms) ? ms : UNKNOWN;
}

static void put_bucket(struct samples *samples, const struct group *group,
		       const char *bound, long long count)
{
	sample_begin(samples, &waits, "_bucket");
	sample_labels(samples, group->labels);
	sample_label(samples, "le", bound);
	sample_count(samples, count);
}

/*
 * Each bucket has those of the ones before it, too. All are added up before
 * the first is written, since there is half a histogram in no format.
 */
static void put_waits(struct samples *samples, const struct group *group)
{
	const struct rows *rows = group->listener[0]->waits;
	long long sum = waited(group, "sum_ms"), bound, before = -1, count;
	long long sofar = 0;
	struct {
		long long bound, count;
	} bucket[ARRAY_SIZE(rows->column)];
	size_t buckets = 0, i;
	char seconds[32];

	if (sum == UNKNOWN)
		return;
	for (i = 0; i < rows->columns; i++) {
		bound = bound_of(rows->text + rows->column[i]);
		if (bound == UNKNOWN)
			continue;
		count = waited(group, rows->text + rows->column[i]);
		if (count == UNKNOWN || bound <= before)
			return;
		before = bound;
		bucket[buckets].bound = bound;
		if (__builtin_add_overflow(sofar, count, &sofar))
			return;
		bucket[buckets].count = sofar;
		buckets++;
	}
	count = waited(group, "more");
	if (count == UNKNOWN || !buckets ||
	    __builtin_add_overflow(sofar, count, &sofar))
		return;

	for (i = 0; i < buckets; i++) {
		snprintf(seconds, sizeof(seconds), "%lld.%03lld",
			 bucket[i].bound / 1000, bucket[i].bound % 1000);
		put_bucket(samples, group, seconds, bucket[i].count);
	}
	put_bucket(samples, group, "+Inf", sofar);
	sample_begin(samples, &waits, "_sum");
	sample_labels(samples, group->labels);
	sample_ms(samples, sum);
	sample_begin(samples, &waits, "_count");
	sample_labels(samples, group->labels);
	sample_count(samples, sofar);
}

static void put_count(struct samples *samples, const struct family *family,
		      const struct group *group, long long count)
{
	if (count == UNKNOWN)
		return;
	sample_begin(samples, family, "");
	sample_labels(samples, group->labels);
	sample_count(samples, count);
}

static void put_ms(struct samples *samples, const struct family *family,
		   const struct group *group, long long ms)
{
	if (ms == UNKNOWN)
		return;
	sample_begin(samples, family, "");
	sample_labels(samples, group->labels);
	sample_ms(samples, ms);
}

static void put_groups(struct samples *samples, const struct group *group,
		       size_t groups, long long taken_ms)
{
	long long taken, ago;
	struct timespec now;
	size_t i, j;

	for (j = 0; j < groups; j++)
		put_count(samples, &sockets, &group[j], group[j].count);
	for (i = 0; i < ARRAY_SIZE(sums); i++)
		for (j = 0; j < groups; j++)
			put_count(samples, &sums[i].family, &group[j],
				  sum_of(&group[j], sums[i].figure));
	for (i = 0; i < ARRAY_SIZE(peaks); i++)
		for (j = 0; j < groups; j++)
			put_count(samples, &peaks[i].family, &group[j],
				  most_of(&group[j], peaks[i].figure));
	for (i = 0; i < ARRAY_SIZE(fills); i++)
		for (j = 0; j < groups; j++)
			put_fill(samples, &fills[i].family, &group[j],
				 fills[i].figure);
	for (j = 0; j < groups; j++)
		put_rule(samples, &group[j]);
	for (j = 0; j < groups; j++)
		put_ms(samples, &oldest, &group[j],
		       most_of(&group[j], ACCEPTQ_OLDEST_MS));

	/*
	 * It is counted back from when the files were read: what came after, such
	 * as the search for processes, takes longer at one time than at another.
	 * In whole seconds, so that the next run says the same.
	 */
	clock_gettime(CLOCK_REALTIME, &now);
	taken = now.tv_sec * 1000LL + now.tv_nsec / 1000000 -
		(now_ms() - taken_ms);
	for (j = 0; j < groups; j++) {
		ago = least_of(&group[j], SINCE_OVERFLOW_MS);
		put_count(samples, &last_overflow, &group[j],
			  ago == UNKNOWN || ago > taken ? UNKNOWN :
			  (taken - ago) / 1000);
	}
	for (j = 0; j < groups; j++)
		put_waits(samples, &group[j]);
}

/* ---- all of it ---- */

static const struct family up = {
	"listenq_up", "Whether what was asked for could be read.", NULL, GAUGE,
};

static void put_all(struct samples *samples, const struct metrics *metrics,
		    const struct snapshot *snapshot,
		    struct listener *listener[], size_t count)
{
	size_t groups, shown, omitted = 0, i;
	struct group *group;

	group = make_groups(listener, count, &groups);
	shown = at_most(groups, metrics->max);
	for (i = 0; i < shown; i++)
		group[i].labels = make_labels(&group[i]);
	for (; i < groups; i++)
		omitted += group[i].count;

	sample_gauge(samples, "listenq_label_sets_max",
		     "For how many sets of labels there are samples at most.",
		     metrics->max);
	sample_gauge(samples, "listenq_listeners", "Listening sockets.", count);
	sample_gauge(samples, "listenq_listeners_omitted",
		     "Those of them that have no samples, because there are more sets of labels.",
		     omitted);
	metrics_of_module(samples, snapshot, metrics->max);
	put_groups(samples, group, shown, snapshot->taken_ms);
	for (i = 0; i < shown; i++)
		free(group[i].labels);
	free(group);
}

/**
 * metrics_print() - print metrics, to a file as a whole or not at all
 * @metrics: how
 * @snapshot: of which all is told but listeners; NULL where there is nothing
 *	to tell, which the file says then instead of what was true once
 * @listener: the listeners to tell of; left in another order
 * @count: how many
 *
 * Return: NULL or a reason.
 */
const char *metrics_print(const struct metrics *metrics,
			  const struct snapshot *snapshot,
			  struct listener *listener[], size_t count)
{
	struct samples samples = {
		.file = metrics->file,
		.openmetrics = metrics->openmetrics,
	};
	const char *why = samples_open(&samples);

	if (why)
		return why;
	sample_begin(&samples, &up, "");
	sample_count(&samples, !!snapshot);
	if (snapshot)
		put_all(&samples, metrics, snapshot, listener, count);
	return samples_close(&samples);
}
