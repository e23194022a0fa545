// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics: one family after another, each with a sample for each set of labels.
 * groups.c decides which sets of labels have samples.
 *
 * Listeners with the same labels (SO_REUSEPORT) are a group, with one sample in
 * common. No label has a value that is never used again, such as a cookie or an
 * inode: the number of series of a host would only grow. The exception is a
 * namespace without a lasting name, labelled by a process's number: its series end
 * with that process.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metrics.h"

/* ---- samples of groups ---- */

/**
 * struct metric - a family with a sample for each group
 * @family: the metric
 * @figure: the column that it is the sum of
 * @with: a sum of 0 is left out where this figure is 0 or unknown: hardly any
 *	listener ever has one, so the others need no series; INODE, which is 0: never
 *	left out
 */
static const struct metric {
	struct family family;
	enum figure figure;
	enum figure with;
} sums[] = {
	{ { "listenq_accept_queue_length",
	    "Connections that wait for accept().", NULL, GAUGE },
	  .figure = ACCEPTQ },
	{ { "listenq_syn_queue_length",
	    "Requests in the SYN queue: handshakes under way.", NULL, GAUGE },
	  .figure = SYNQ },
	{ { "listenq_syn_queue_young",
	    "Of these, those whose SYN-ACK was sent once.", NULL, GAUGE },
	  .figure = SYNQ_YOUNG },
	{ { "listenq_fastopen_queue_length",
	    "Fast Open: connections handed on whose handshake is not finished.",
	    NULL, GAUGE }, .figure = FASTOPENQ },
	{ { "listenq_fastopen_queue_limit",
	    "Fast Open: how many of these there may be.", NULL, GAUGE },
	  .figure = FASTOPENQ_LIMIT },
	{ { "listenq_backlog_asked",
	    "The backlog that listen() was called with, without a sign.", NULL,
	    GAUGE }, .figure = ASKED },
	{ { "listenq_backlog_granted",
	    "What net.core.somaxconn has left of it.", NULL, GAUGE },
	  .figure = GRANTED },
	{ { "listenq_backlog_limit",
	    "The limit in force: the queue holds one connection more.", NULL,
	    GAUGE }, .figure = LIMIT },
	{ { "listenq_syns", "SYNs that came.", NULL, COUNTER },
	  .figure = SYNS },
	{ { "listenq_requests", "SYNs that entered the SYN queue.", NULL,
	    COUNTER }, .figure = REQUESTS },
	{ { "listenq_requests_finished",
	    "Requests that became a connection in the accept queue.", NULL,
	    COUNTER }, .figure = FINISHED },
	{ { "listenq_requests_expired",
	    "Requests given up because no final ACK came, or pruned.", NULL,
	    COUNTER }, .figure = EXPIRED },
	{ { "listenq_requests_reset",
	    "Requests ended by the client's RST, by ICMP, by tcp_abort_on_overflow or by ss -K.",
	    NULL, COUNTER }, .figure = RESET },
	{ { "listenq_requests_joined",
	    "MPTCP: requests that became a subflow of a connection that is there.",
	    NULL, COUNTER }, .figure = JOINED, .with = JOINED },
	{ { "listenq_requests_carried",
	    "Requests that were in the SYN queue when the counting began, or moved here from another listener.",
	    NULL, COUNTER },
	  .figure = CARRIED_REQUESTS, .with = CARRIED_REQUESTS },
	{ { "listenq_connections_carried",
	    "Connections that waited when the counting began, or moved here from another listener.",
	    NULL, COUNTER },
	  .figure = CARRIED_CONNECTIONS, .with = CARRIED_CONNECTIONS },
	{ { "listenq_synacks_resent", "SYN-ACKs that were sent again.", NULL,
	    COUNTER }, .figure = RESENT },
	{ { "listenq_accepts",
	    "Connections that accept() has returned.", NULL, COUNTER },
	  .figure = ACCEPTS },
	{ { "listenq_overflows",
	    "SYNs and final ACKs refused because the accept queue was full.",
	    NULL, COUNTER }, .figure = OVERFLOWS },
	{ { "listenq_overflows_ack",
	    "Of these, the final ACKs: their clients believed that they were connected.",
	    NULL, COUNTER }, .figure = OVERFLOWS_ACK },
	{ { "listenq_syn_queue_drops",
	    "SYNs dropped because the SYN queue was full.", NULL, COUNTER },
	  .figure = SYNQ_DROPS },
	{ { "listenq_syn_queue_reserved_drops",
	    "SYNs dropped because SYN cookies are off and no more than the last quarter of tcp_max_syn_backlog was left.",
	    NULL, COUNTER }, .figure = SYNQ_RESERVED },
	{ { "listenq_syns_failed",
	    "SYNs lost for any other reason: no memory, no route.", NULL,
	    COUNTER }, .figure = FAILED },
	{ { "listenq_syncookies",
	    "SYNs answered with a SYN cookie.", NULL, COUNTER },
	  .figure = SYNCOOKIES },
	{ { "listenq_syncookies_finished",
	    "Connections made from a SYN cookie.", NULL, COUNTER },
	  .figure = COOKIES_FINISHED, .with = SYNCOOKIES },
	{ { "listenq_syncookies_failed",
	    "Final ACKs whose SYN cookie was not valid.", NULL, COUNTER },
	  .figure = COOKIES_FAILED, .with = SYNCOOKIES },
	{ { "listenq_fastopens",
	    "Connections made by a SYN with a Fast Open cookie.", NULL,
	    COUNTER }, .figure = FASTOPENS, .with = FASTOPENQ_LIMIT },
	{ { "listenq_fastopen_overflows",
	    "SYNs to which Fast Open was refused because its queue was full; they became requests.",
	    NULL, COUNTER },
	  .figure = FASTOPEN_OVERFLOWS, .with = FASTOPENQ_LIMIT },
	{ { "listenq_socket_drops",
	    "The kernel's own count for the socket, sk_drops, which segments of healthy connections move too.",
	    NULL, COUNTER }, .figure = SK_DROPS },
}, peaks[] = {
	{ { "listenq_accept_queue_peak",
	    "The most connections that have waited in the accept queue of one of the sockets.",
	    NULL, GAUGE }, .figure = ACCEPTQ_PEAK },
	{ { "listenq_syn_queue_peak",
	    "The most requests that were in the SYN queue of one of the sockets.",
	    NULL, GAUGE }, .figure = SYNQ_PEAK },
	{ { "listenq_accept_queue_peak_1m",
	    "The most connections that have waited in the last minute, in one of the sockets.",
	    NULL, GAUGE }, .figure = ACCEPTQ_PEAK_1M },
	{ { "listenq_syn_queue_peak_1m",
	    "The most requests that were in the SYN queue in the last minute, of one of the sockets.",
	    NULL, GAUGE }, .figure = SYNQ_PEAK_1M },
	{ { "listenq_reuseport_sockets",
	    "How many sockets the SO_REUSEPORT group has; no sample where the socket is alone.",
	    NULL, GAUGE }, .figure = GROUP },
}, fills[] = {
	{ { "listenq_accept_queue_fill_ratio",
	    "The accept queue against its limit, of the fullest socket; above 1 it is full.",
	    "ratio", GAUGE }, .figure = ACCEPTQ },
	{ { "listenq_syn_queue_fill_ratio",
	    "The SYN queue against its limit, of the fullest socket.",
	    "ratio", GAUGE }, .figure = SYNQ },
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
	"When the full accept queue has refused a SYN or a final ACK last.",
	"seconds", GAUGE,
};

static const struct {
	struct family family;
	enum file file;
} histograms[] = {
	{ { "listenq_accept_wait_seconds",
	    "How long accepted connections had waited for accept().",
	    "seconds", HISTOGRAM }, WAITS },
	{ { "listenq_handshake_seconds",
	    "Time from SYN-ACK to final ACK of the requests that were finished.",
	    "seconds", HISTOGRAM }, HANDSHAKES },
};

/**
 * put_fill() - write how full the fullest queue of a group is
 * @samples: written to; nothing if it is unknown for all listeners
 * @family: the metric
 * @group: the group
 * @queue: the queue
 */
void put_fill(struct samples *samples, const struct family *family,
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

/**
 * put_count() - write a number of a group
 * @samples: written to
 * @family: the metric
 * @group: the group
 * @count: the number; nothing is written for UNKNOWN
 */
void put_count(struct samples *samples, const struct family *family,
	       const struct group *group, long long count)
{
	if (count == UNKNOWN)
		return;
	sample_begin(samples, family, "");
	sample_labels(samples, group->labels);
	sample_count(samples, count);
}

/**
 * put_rule() - write whether a rule acts on any listener of a group
 * @samples: written to
 * @family: the metric
 * @group: the group
 */
void put_rule(struct samples *samples, const struct family *family,
	      const struct group *group)
{
	bool active = false;

	for (size_t i = 0; i < group->count; i++)
		active |= !!strcmp(group->listener[i]->word[RULE], "-");
	put_count(samples, family, group, active);
}

static void put_bucket(struct samples *samples, const struct family *family,
		       const struct group *group, const char *bound,
		       long long count)
{
	sample_begin(samples, family, "_bucket");
	sample_labels(samples, group->labels);
	sample_label(samples, "le", bound);
	sample_count(samples, count);
}

/* Counts are cumulative: each bucket includes those below it. */
static void put_histogram(struct samples *samples, const struct family *family,
			  const struct group *group, enum file file)
{
	struct histogram histogram = { };
	char seconds[TEXT_SIZE];
	long long sofar = 0;
	size_t i;

	for (i = 0; i < group->count; i++)
		if (!histogram_add(&histogram, file, group->listener[i]))
			return;
	/* Many listeners have few clients: no histogram before the first handshake. */
	if (file == HANDSHAKES && !histogram.count)
		return;
	for (i = 0; i < histogram.buckets; i++) {
		sofar += histogram.bucket[i].count;
		if (histogram.bucket[i].bound == LLONG_MAX)
			strcpy(seconds, "+Inf");
		else
			text_seconds(seconds, histogram.bucket[i].bound,
				     histogram.second);
		put_bucket(samples, family, group, seconds, sofar);
	}
	sample_begin(samples, family, "_sum");
	sample_labels(samples, group->labels);
	sample_seconds(samples, histogram.sum, histogram.second);
	sample_begin(samples, family, "_count");
	sample_labels(samples, group->labels);
	sample_count(samples, histogram.count);
}

static void put_ms(struct samples *samples, const struct family *family,
		   const struct group *group, long long ms)
{
	if (ms == UNKNOWN)
		return;
	sample_begin(samples, family, "");
	sample_labels(samples, group->labels);
	sample_seconds(samples, ms, 1000);
}

static void put_sum(struct samples *samples, const struct metric *metric,
		    const struct group *group)
{
	long long sum = group_sum(group, metric->figure);

	if (!sum && metric->with != INODE && group_most(group, metric->with) <= 0)
		return;
	put_count(samples, &metric->family, group, sum);
}

static void put_histograms(struct samples *samples, const struct group *group,
			   size_t groups)
{
	for (size_t i = 0; i < ARRAY_SIZE(histograms); i++)
		for (size_t j = 0; j < groups; j++)
			put_histogram(samples, &histograms[i].family,
				      &group[j], histograms[i].file);
}

static void put_groups(struct samples *samples, const struct group *group,
		       size_t groups)
{
	long long offset, taken, ago;
	struct timespec now;
	size_t i, j;

	for (j = 0; j < groups; j++)
		put_count(samples, &sockets, &group[j], group[j].count);
	for (i = 0; i < ARRAY_SIZE(sums); i++)
		for (j = 0; j < groups; j++)
			put_sum(samples, &sums[i], &group[j]);
	for (i = 0; i < ARRAY_SIZE(peaks); i++)
		for (j = 0; j < groups; j++)
			put_count(samples, &peaks[i].family, &group[j],
				  group_most(&group[j], peaks[i].figure));
	for (i = 0; i < ARRAY_SIZE(fills); i++)
		for (j = 0; j < groups; j++)
			put_fill(samples, &fills[i].family, &group[j],
				 fills[i].figure);
	for (j = 0; j < groups; j++)
		if (rows_column(group[j].listener[0]->place[SOCKETS].rows,
				"rule") >= 0)
			put_rule(samples, &rule_active, &group[j]);
	for (j = 0; j < groups; j++)
		put_ms(samples, &oldest, &group[j],
		       group_most(&group[j], ACCEPTQ_OLDEST_MS));

	/*
	 * Count back from the time when the files were read: what followed, such as
	 * the search for processes, does not always take equally long. In whole
	 * seconds, so that the next run gives the same number.
	 */
	clock_gettime(CLOCK_REALTIME, &now);
	offset = now.tv_sec * 1000LL + now.tv_nsec / 1000000 - now_ms();
	for (j = 0; j < groups; j++) {
		taken = group[j].listener[0]->in->read_ms + offset;
		ago = group_least(&group[j], SINCE_OVERFLOW_MS);
		put_count(samples, &last_overflow, &group[j],
			  ago == UNKNOWN || ago > taken ? UNKNOWN :
			  (taken - ago) / 1000);
	}
}

/* ---- all of it ---- */

static const struct family up = {
	"listenq_up", "Whether what was asked for could be read.", NULL, GAUGE,
};

/* Move groups of TCP listeners before those of Unix sockets; returns their number. */
static size_t part_groups(struct groups *groups)
{
	struct group *part = allocate(NULL, groups->count, sizeof(*part));
	size_t tcp = 0, unix_too, i;

	for (i = 0; i < groups->count; i++)
		tcp += !is_unix(groups->group[i].listener[0]);
	unix_too = tcp;
	tcp = 0;
	for (i = 0; i < groups->count; i++)
		if (is_unix(groups->group[i].listener[0]))
			part[unix_too++] = groups->group[i];
		else
			part[tcp++] = groups->group[i];
	memcpy(groups->group, part, groups->count * sizeof(*part));
	free(part);
	return tcp;
}

static void put_all(struct samples *samples, const struct metrics *metrics,
		    const struct snapshot *snapshot,
		    struct listener *listener[], size_t count)
{
	struct groups groups;
	size_t tcp;

	make_groups(&groups, metrics, snapshot, listener, count);
	sample_gauge(samples, "listenq_label_sets_max",
		     "For how many sets of labels of a namespace there are samples at most.",
		     metrics->max);
	sample_gauge(samples, "listenq_listeners", "Listening sockets.", count);
	sample_gauge(samples, "listenq_listeners_omitted",
		     "Those of them that have no samples, because there are more sets of labels.",
		     groups.all.omitted);
	sample_gauge(samples, "listenq_listeners_young",
		     "Those of them that have no samples yet, because there are many in their namespace, which is another one, and they are new.",
		     groups.all.young);
	sample_gauge(samples, "listenq_listeners_unsearched",
		     "Those of them whose process was not found in the time that the search may take.",
		     process_unsearched(snapshot));
	metrics_of_module(samples, snapshot, &groups, metrics->max);
	tcp = part_groups(&groups);
	put_groups(samples, groups.group, tcp);
	if (!metrics->no_histograms)
		put_histograms(samples, groups.group, tcp);
	metrics_of_unix(samples, groups.group + tcp, groups.count - tcp);
	free_groups(&groups);
}

/**
 * metrics_print() - print metrics, to a file or a client, as a whole or not at all
 * @metrics: the options
 * @snapshot: the source of all metrics but listeners'; NULL if reading failed, in
 *	which case the file says that, and keeps no old values
 * @listener: the listeners; left in another order
 * @count: how many
 *
 * Return: NULL or a reason.
 */
const char *metrics_print(const struct metrics *metrics,
			  const struct snapshot *snapshot,
			  struct listener *listener[], size_t count)
{
	struct samples samples = {
		.path = metrics->file,
		.http = metrics->http,
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
