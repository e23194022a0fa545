// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics of what is no listener's: the totals of namespaces, which have those
 * of listeners that are gone, the hooks, and the module.
 */

#include <stdlib.h>
#include <string.h>

#include "listenq.h"

static const struct {
	struct family family;
	const char *column;
} totals[] = {
	{ { "listenq_namespace_syns",
	    "SYNs that came to listeners of the namespace, those that are gone included.",
	    NULL, COUNTER }, "syns" },
	{ { "listenq_namespace_accepts",
	    "Connections that accept() has returned, in the same way.", NULL,
	    COUNTER }, "accepts" },
	{ { "listenq_namespace_overflows",
	    "How often full accept queues have turned somebody away, in the same way.",
	    NULL, COUNTER }, "overflows" },
	{ { "listenq_namespace_syn_queue_drops",
	    "SYNs dropped because a SYN queue was full, in the same way.", NULL,
	    COUNTER }, "synq_drops" },
	{ { "listenq_namespace_syncookies",
	    "SYNs answered with a SYN cookie, in the same way.", NULL,
	    COUNTER }, "syncookies" },
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
	"Whether the hook is in place; none for one that this kernel does without.",
	NULL, GAUGE,
};

static const struct family unrecorded = {
	"listenq_unrecorded_listeners",
	"Listeners met without having been seen to listen.", NULL, COUNTER,
};

static long long total(const struct snapshot *snapshot, size_t netns,
		       const char *column)
{
	const struct rows *rows = snapshot->totals[netns];

	if (!rows->count)
		return UNKNOWN;
	return rows_count(rows, 0, rows_column(rows, column));
}

/*
 * One without a name in which nobody listens or ever has: many a service has
 * one that is there to have no network, a new one at each start.
 */
static bool is_idle(const struct snapshot *snapshot, size_t netns)
{
	const struct netns_list *list = &snapshot->list;

	if (netns < list->count - list->unnamed || snapshot->sockets[netns]->count)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		if (total(snapshot, netns, totals[i].column) > 0)
			return false;
	return true;
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
				     snapshot->list.netns[netns[j]].name);
			sample_count(samples, count);
		}
}

/* The last row of the file is no hook's. */
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
		if (strcmp(is, "on") && strcmp(is, "missing"))
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
 * metrics_of_module() - print the metrics of all but listeners
 * @samples: where
 * @snapshot: of what
 * @max: for at most so many namespaces
 */
void metrics_of_module(struct samples *samples, const struct snapshot *snapshot,
		       long long max)
{
	size_t *netns = allocate(NULL, snapshot->list.count, sizeof(*netns));
	size_t busy = 0, shown;

	for (size_t i = 0; i < snapshot->list.count; i++)
		if (!is_idle(snapshot, i))
			netns[busy++] = i;
	shown = at_most(busy, max);

	if (*snapshot->version) {
		sample_begin(samples, &module, "");
		sample_label(samples, "version", snapshot->version);
		sample_count(samples, 1);
	}
	sample_gauge(samples, "listenq_namespaces",
		     "Network namespaces that were looked at.",
		     snapshot->list.count);
	sample_gauge(samples, "listenq_namespaces_omitted",
		     "Those of them that have no samples because there are too many.",
		     busy - shown);
	put_hooks(samples, snapshot->hooks);
	put_totals(samples, snapshot, netns, shown);
	free(netns);
}
