// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics that belong to no listener: totals of namespaces, which include listeners
 * that are gone, the hooks, and the module.
 */

#include <stdlib.h>
#include <string.h>

#include "metrics.h"

static const struct {
	struct family family;
	const char *column;
} totals[] = {
	{ { "listenq_namespace_syns",
	    "SYNs that came to listeners of the namespace, those that are gone included.",
	    NULL, COUNTER }, "syns" },
	{ { "listenq_namespace_requests",
	    "SYNs that entered a SYN queue, in the same way.", NULL, COUNTER },
	  "requests" },
	{ { "listenq_namespace_requests_finished",
	    "Requests that became a connection in an accept queue, in the same way.",
	    NULL, COUNTER }, "finished" },
	{ { "listenq_namespace_requests_expired",
	    "Requests given up because no final ACK came, or pruned, in the same way.",
	    NULL, COUNTER }, "expired" },
	{ { "listenq_namespace_requests_reset",
	    "Requests ended by the client's RST, by ICMP, by tcp_abort_on_overflow or by ss -K, in the same way.",
	    NULL, COUNTER }, "reset" },
	{ { "listenq_namespace_requests_joined",
	    "MPTCP: requests that became a subflow of a connection that is there, in the same way.",
	    NULL, COUNTER }, "joined" },
	{ { "listenq_namespace_requests_carried",
	    "Requests that were in a SYN queue when the counting began, or moved to another listener, in the same way.",
	    NULL, COUNTER }, "carried_requests" },
	{ { "listenq_namespace_requests_abandoned",
	    "Requests that were in the SYN queue when their listener was closed.",
	    NULL, COUNTER }, "abandoned" },
	{ { "listenq_namespace_synacks_resent",
	    "SYN-ACKs that were sent again, listeners that are gone included.",
	    NULL, COUNTER }, "resent" },
	{ { "listenq_namespace_accepts",
	    "Connections that accept() has returned, in the same way.", NULL,
	    COUNTER }, "accepts" },
	{ { "listenq_namespace_connections_carried",
	    "Connections that waited when the counting began, in the same way.",
	    NULL, COUNTER }, "carried_connections" },
	{ { "listenq_namespace_connections_unaccepted",
	    "Connections that waited for accept() when their listener was closed: the kernel resets them.",
	    NULL, COUNTER }, "unaccepted" },
	{ { "listenq_namespace_overflows",
	    "SYNs and final ACKs refused because an accept queue was full, listeners that are gone included.",
	    NULL, COUNTER }, "overflows" },
	{ { "listenq_namespace_overflows_ack",
	    "Of these, the final ACKs: their clients believed that they were connected.",
	    NULL, COUNTER }, "overflows_ack" },
	{ { "listenq_namespace_syn_queue_drops",
	    "SYNs dropped because a SYN queue was full, in the same way.", NULL,
	    COUNTER }, "synq_drops" },
	{ { "listenq_namespace_syn_queue_reserved_drops",
	    "SYNs dropped because SYN cookies are off and no more than the last quarter of tcp_max_syn_backlog was left, in the same way.",
	    NULL, COUNTER }, "synq_reserved" },
	{ { "listenq_namespace_syns_failed",
	    "SYNs lost for any other reason, no memory or no route, in the same way.",
	    NULL, COUNTER }, "failed" },
	{ { "listenq_namespace_syncookies",
	    "SYNs answered with a SYN cookie, in the same way.", NULL,
	    COUNTER }, "syncookies" },
	{ { "listenq_namespace_syncookies_finished",
	    "Connections made from a SYN cookie, in the same way.", NULL,
	    COUNTER }, "cookies_finished" },
	{ { "listenq_namespace_syncookies_failed",
	    "Final ACKs whose SYN cookie was not valid, in the same way.", NULL,
	    COUNTER }, "cookies_failed" },
	{ { "listenq_namespace_fastopens",
	    "Connections made by a SYN with a Fast Open cookie, in the same way.",
	    NULL, COUNTER }, "fastopens" },
	{ { "listenq_namespace_fastopen_overflows",
	    "SYNs to which Fast Open was refused because a queue of it was full, in the same way.",
	    NULL, COUNTER }, "fastopen_overflows" },
}, hook_counts[] = {
	{ { "listenq_hook_hits", "How often the kernel's function was seen called.",
	    NULL, COUNTER }, "hits" },
	{ { "listenq_hook_missed",
	    "How often the kernel has skipped the hook: what it counts is short of so many.",
	    NULL, COUNTER }, "nmissed" },
};

static const struct family module = {
	"listenq_module", "The version of the module.", NULL, INFO,
};

static const struct family hook_active = {
	"listenq_hook_active",
	"Whether the hook is in place and sees what is called; none for one that this kernel does without.",
	NULL, GAUGE,
};

static const struct family unrecorded = {
	"listenq_unrecorded_listeners",
	"Listeners met without having been seen to listen.", NULL, COUNTER,
};

static const struct family namespace_up = {
	"listenq_namespace_up", "Whether the namespace could be read.", NULL,
	GAUGE,
}, listeners[] = {
	{ "listenq_namespace_listeners",
	  "Listening sockets of the namespace, as far as they are asked for.",
	  NULL, GAUGE },
	{ "listenq_namespace_listeners_omitted",
	  "Those of them that have no samples, because there are more sets of labels.",
	  NULL, GAUGE },
	{ "listenq_namespace_listeners_young",
	  "Those of them that have no samples yet, because there are many and they are new.",
	  NULL, GAUGE },
};

static long long total(const struct snapshot *snapshot, size_t netns,
		       const char *column)
{
	const struct rows *rows = snapshot->rows[netns][TOTALS];

	if (!rows->count)
		return UNKNOWN;
	return rows_count(rows, 0, rows_column(rows, column));
}

/*
 * Whether a namespace has no name and has never had a listener: many services get a
 * new one at each start, just to have no network.
 */
static bool is_idle(const struct snapshot *snapshot, size_t netns)
{
	if (snapshot->list.netns[netns].named || !snapshot->list.netns[netns].name ||
	    snapshot->rows[netns][SOCKETS]->count)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		if (total(snapshot, netns, totals[i].column) > 0)
			return false;
	return true;
}

/* Whether it is one of a crowd of namespaces: its name may be new each time. */
static bool is_of_crowd(const struct groups *groups, size_t netns)
{
	return groups->in[netns].crowd && !groups->in[netns].shown;
}

static void put_up(struct samples *samples, const struct netns *netns, bool up)
{
	sample_begin(samples, &namespace_up, "");
	sample_label(samples, "netns", netns_label(netns));
	sample_count(samples, up);
}

/*
 * Whether a namespace was read, how many listeners it has, and how many have no
 * samples.
 */
static void put_namespaces(struct samples *samples,
			   const struct snapshot *snapshot,
			   const struct groups *groups,
			   const size_t *netns, size_t namespaces, long long max)
{
	const struct group_netns *in;
	size_t unread = 0, i, j;

	for (j = 0; j < namespaces; j++)
		put_up(samples, &snapshot->list.netns[netns[j]], true);
	for (j = 0; j < snapshot->unreads && (long long)unread < max; j++)
		if (!snapshot->unread[j].netns.owner ||
		    snapshot->unread[j].netns.turn < CROWD) {
			put_up(samples, &snapshot->unread[j].netns, false);
			unread++;
		}
	for (i = 0; i < ARRAY_SIZE(listeners); i++)
		for (j = 0; j < namespaces; j++) {
			in = &groups->in[netns[j]];
			sample_begin(samples, &listeners[i], "");
			sample_label(samples, "netns",
				     netns_label(&snapshot->list.netns[netns[j]]));
			sample_count(samples, !i ? (long long)in->listeners :
				     i == 1 ? in->left_out.omitted :
				     in->left_out.young);
		}
}

static void put_totals(struct samples *samples, const struct snapshot *snapshot,
		       const size_t *netns, size_t namespaces)
{
	long long count;

	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		for (size_t j = 0; j < namespaces; j++) {
			count = total(snapshot, netns[j], totals[i].column);
			if (count == UNKNOWN)
				continue;
			sample_begin(samples, &totals[i].family, "");
			sample_label(samples, "netns",
				     netns_label(&snapshot->list.netns[netns[j]]));
			sample_count(samples, count);
		}
}

/* The last row of the file is not a hook. */
static void put_hooks(struct samples *samples, const struct rows *hooks)
{
	int symbol = rows_column(hooks, "symbol");
	int state = rows_column(hooks, "state");
	const char *name, *is;
	long long count;
	size_t i, row;

	for (row = 0; row < hooks->count; row++) {
		name = rows_cell(hooks, row, symbol);
		is = rows_cell(hooks, row, state);
		if (strcmp(is, "on") && strcmp(is, "silenced") &&
		    strcmp(is, "missing"))
			continue;
		sample_begin(samples, &hook_active, "");
		sample_label(samples, "symbol", name);
		sample_count(samples, !strcmp(is, "on"));
	}
	for (i = 0; i < ARRAY_SIZE(hook_counts); i++)
		for (row = 0; row < hooks->count; row++) {
			name = rows_cell(hooks, row, symbol);
			count = rows_count(hooks, row,
					   rows_column(hooks, hook_counts[i].column));
			if (count == UNKNOWN || !strcmp(name, "unrecorded"))
				continue;
			sample_begin(samples, &hook_counts[i].family, "");
			sample_label(samples, "symbol", name);
			sample_count(samples, count);
		}
	for (row = 0; row < hooks->count; row++) {
		name = rows_cell(hooks, row, symbol);
		count = rows_count(hooks, row, rows_column(hooks, "hits"));
		if (count == UNKNOWN || strcmp(name, "unrecorded"))
			continue;
		sample_begin(samples, &unrecorded, "");
		sample_count(samples, count);
		break;
	}
}

/**
 * metrics_of_module() - print all metrics that belong to no listener
 * @samples: written to
 * @snapshot: the source of the metrics
 * @groups: which listeners have samples
 * @max: the largest number of namespaces
 */
void metrics_of_module(struct samples *samples, const struct snapshot *snapshot,
		       const struct groups *groups, long long max)
{
	size_t *netns = allocate(NULL, snapshot->list.count, sizeof(*netns));
	size_t busy = 0, omitted = 0, shown;

	for (size_t i = 0; i < snapshot->list.count; i++) {
		if (is_idle(snapshot, i))
			continue;
		if (is_of_crowd(groups, i))
			omitted++;
		else
			netns[busy++] = i;
	}
	shown = at_most(busy, max);

	if (*snapshot->version) {
		sample_begin(samples, &module, "");
		sample_label(samples, "version", snapshot->version);
		sample_count(samples, 1);
	}
	sample_gauge(samples, "listenq_namespaces",
		     "Network namespaces that were looked at.",
		     snapshot->list.count + snapshot->unreads);
	sample_gauge(samples, "listenq_namespaces_omitted",
		     "Those of them that have no samples because there are too many.",
		     omitted + busy - shown);
	sample_gauge(samples, "listenq_namespaces_unread",
		     "Those of them that could not be read.",
		     snapshot->unreads);
	put_hooks(samples, snapshot->hooks);
	put_namespaces(samples, snapshot, groups, netns, shown, max);
	put_totals(samples, snapshot, netns, shown);
	free(netns);
}
