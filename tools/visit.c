// SPDX-License-Identifier: GPL-2.0-only
/*
 * Visit one namespace after another. With -a, some may have been made by users
 * without privileges, and hold as much as these users liked: each gets a share of
 * time and memory, and one that can't be read does not affect the others.
 */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "listenq.h"

/*
 * How much may be read from one namespace, or from all of one owner; and from all
 * namespaces but the tool's own. In memory it takes seven times as many bytes, for
 * which listenq-metrics.service leaves room.
 */
static const struct read_bounds netns_bounds = { 16 << 20, 1000 };
struct read_bounds others_bounds = { 32 << 20, 10000 };

/**
 * struct share - what an owner may still have read; times are durations
 * @owner: see &struct netns.owner
 * @left: how much is left
 */
struct share {
	unsigned long long owner;
	struct read_bounds left;
};

static int by_owner(const void *x, const void *y)
{
	const struct share *a = x, *b = y;

	return (a->owner > b->owner) - (a->owner < b->owner);
}

/* The share of @netns's owner, kept in a tree of tsearch(3). */
static struct share *share_of(void **shares, const struct netns *netns)
{
	struct share *share = allocate(NULL, 1, sizeof(*share)), **found;

	*share = (struct share) { netns->owner, netns_bounds };
	found = tsearch(share, shares, by_owner);
	if (!found)
		die("not enough memory");
	if (*found != share)
		free(share);
	share = *found;
	/* Namespaces that took privileges to make have a share each. */
	if (!netns->owner)
		share->left = netns_bounds;
	return share;
}

static long long lesser(long long a, long long b)
{
	return a < b ? a : b;
}

/* Read a namespace that unprivileged users may have made, within its limits. */
static const char *read_bounded(struct snapshot *snapshot, size_t index,
				const struct scope *scope,
				struct read_bounds *own,
				struct read_bounds *all)
{
	long long start = now_ms(), bytes = lesser(own->bytes, all->bytes);
	long long left_ms = lesser(own->until_ms, all->until_ms);
	const char *why;

	if (bytes <= 0 || left_ms <= 0)
		return trouble("others have used up what may be read: use -N");
	read_bounds.bytes = bytes;
	read_bounds.until_ms = start + left_ms;
	why = read_netns(snapshot, index, scope);
	bytes -= read_bounds.bytes;
	own->bytes -= bytes;
	all->bytes -= bytes;
	own->until_ms -= now_ms() - start;
	all->until_ms -= now_ms() - start;
	read_bounds = (struct read_bounds) { LLONG_MAX, LLONG_MAX };
	return why;
}

/* Forget what was read of a namespace, from its first listener and refusal on. */
static void take_back(struct snapshot *snapshot, size_t index, size_t listeners,
		      size_t refusals)
{
	for (int file = 0; file < FILES; file++) {
		rows_free(snapshot->rows[index][file]);
		snapshot->rows[index][file] = NULL;
	}
	snapshot->count = listeners;
	snapshot->refusals = refusals;
}

/* Add @netns to the namespaces that could not be read. */
static void add_unread(struct snapshot *snapshot, const struct netns *netns,
		       const char *why)
{
	struct unread *unread;

	snapshot->unread = allocate(snapshot->unread, snapshot->unreads + 1,
				    sizeof(*snapshot->unread));
	unread = &snapshot->unread[snapshot->unreads++];
	*unread = (struct unread) { *netns, strdup(why) };
	if (!unread->why)
		die("not enough memory");
}

/**
 * visit() - read namespaces, one after another
 * @snapshot: has the list of namespaces; filled with what was read
 * @scope: what is asked for
 *
 * Leaves out namespaces that have gone meanwhile, and those that can't be read.
 * Failing to read the tool's own is an error: then others can hardly be read either.
 *
 * Return: NULL or a reason.
 */
const char *visit(struct snapshot *snapshot, const struct scope *scope)
{
	struct netns_list *list = &snapshot->list;
	struct read_bounds others = others_bounds;
	size_t all = list->count, i;
	const char *why = NULL;
	void *shares = NULL;
	bool gone;

	list->count = 0;
	for (i = 0; i < all && !why; i++) {
		size_t listeners = snapshot->count;
		size_t refusals = snapshot->refusals;
		struct netns *netns = &list->netns[list->count];

		/* Take the place of one that was left out. */
		*netns = list->netns[i];
		why = netns_reach(netns, &gone);
		if (!why && (netns->own || !scope->all))
			why = read_netns(snapshot, list->count, scope);
		else if (!why)
			why = read_bounded(snapshot, list->count, scope,
					   &share_of(&shares, netns)->left,
					   &others);
		if (scope->all)
			netns_let_go(netns);
		if (!why) {
			list->count++;
			continue;
		}
		take_back(snapshot, list->count, listeners, refusals);
		if (gone) {
			netns_free(netns);
			why = NULL;
		} else if (scope->all && !netns->own) {
			add_unread(snapshot, netns, why);
			why = NULL;
		} else {
			list->count++;
		}
	}
	for (; i < all; i++)
		netns_free(&list->netns[i]);
	tdestroy(shares, free);
	return why;
}
