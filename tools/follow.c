// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is new in the file refused since it was last read, by the numbers of its
 * rows. The file has only the latest refusals, and one may get there a moment after
 * the one with the next number.
 */

#include <stdlib.h>

#include "log.h"

/**
 * struct followed_netns - what is known of a namespace's refusals
 * @dev: identifies the namespace, with @ino
 * @ino: see @dev
 * @seen: the numbers that the file had when it was last read, in order
 * @count: how many
 * @settled: refusals up to this number were shown, or are missed
 */
struct followed_netns {
	dev_t dev;
	ino_t ino;
	long long *seen;
	size_t count;
	long long settled;
};

static int by_number(const void *x, const void *y)
{
	const long long *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static bool has(const struct followed_netns *netns, long long number)
{
	return netns->count && bsearch(&number, netns->seen, netns->count,
				       sizeof(*netns->seen), by_number);
}

static long long latest(const struct followed_netns *netns)
{
	return netns->count ? netns->seen[netns->count - 1] : 0;
}

/* The file as it is now, which has the refusals from @refusal to @end. */
static struct followed_netns look(const struct netns *netns,
				  const struct refusal *refusal,
				  const struct refusal *end)
{
	struct followed_netns now = { .dev = netns->dev, .ino = netns->ino };

	now.seen = allocate(NULL, end - refusal, sizeof(*now.seen));
	for (; refusal < end; refusal++)
		if (refusal->listener.figure[REFUSAL_NUMBER] != UNKNOWN)
			now.seen[now.count++] =
				refusal->listener.figure[REFUSAL_NUMBER];
	qsort(now.seen, now.count, sizeof(*now.seen), by_number);
	return now;
}

/* How many numbers above @before->settled, up to @now->settled, were in neither file. */
static long long missed(const struct followed_netns *now,
			const struct followed_netns *before)
{
	long long count = now->settled - before->settled, number, last = 0;
	const struct followed_netns *both[] = { now, before };

	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < both[i]->count; j++) {
			number = both[i]->seen[j];
			if (number <= before->settled || number == last ||
			    number > now->settled)
				continue;
			last = number;
			count -= !i || !has(now, number);
		}
	}
	return count;
}

/*
 * Numbers that the file no longer has are settled, and so are those that were still
 * missing when it was read before: they have had time to get there.
 */
static void settle(struct followed_netns *now,
		   const struct followed_netns *before)
{
	now->settled = before->settled;
	if (now->settled < latest(before))
		now->settled = latest(before);
	if (now->count && now->settled < now->seen[0] - 1)
		now->settled = now->seen[0] - 1;
}

/* Replace @before by @now, and tell how many refusals were missed. */
static void move_on(struct followed_netns *now, struct followed_netns *before,
		    const struct netns *netns)
{
	const char *in = netns->name ? " in namespace " : "";
	const char *name = netns->name ?: "";
	long long count;

	if (latest(now) < latest(before)) {
		tell("the module was loaded anew: numbers begin with 1 again%s%s",
		     in, name);
		before->count = 0;
		before->settled = 0;
	}
	settle(now, before);
	count = missed(now, before);
	if (count > 0)
		tell("%lld missed%s%s: no longer in the file when it was read",
		     count, in, name);
}

/* Take what is known of @now's namespace; if that is nothing, none is missed. */
static struct followed_netns take(struct followed *followed,
				  const struct followed_netns *now)
{
	struct followed_netns known = { };

	for (size_t i = 0; i < followed->count; i++)
		if (followed->netns[i].dev == now->dev &&
		    followed->netns[i].ino == now->ino) {
			known = followed->netns[i];
			followed->netns[i] =
				followed->netns[--followed->count];
			return known;
		}
	if (now->count)
		known.settled = now->seen[0] - 1;
	return known;
}

/* Treat all refusals as new. */
void forget(struct followed *followed)
{
	for (size_t i = 0; i < followed->count; i++)
		free(followed->netns[i].seen);
	free(followed->netns);
	*followed = (struct followed) { };
}

/**
 * follow() - find the refusals that are new
 * @followed: what was known before; updated. Initially empty
 * @snapshot: the refusals that the file has
 * @fresh: filled with the new ones; has room for all of @snapshot's
 *
 * Return: how many are new.
 */
size_t follow(struct followed *followed, struct snapshot *snapshot,
	      struct refusal **fresh)
{
	struct refusal *refusal = snapshot->refusal, *from;
	struct refusal *end = refusal ? refusal + snapshot->refusals : NULL;
	struct followed after = { .count = snapshot->list.count };
	struct followed_netns before;
	size_t count = 0, i;

	after.netns = allocate(NULL, after.count, sizeof(*after.netns));
	for (i = 0; i < after.count; i++) {
		for (from = refusal; refusal < end &&
		     refusal->listener.place[REFUSED].rows ==
		     snapshot->rows[i][REFUSED]; refusal++)
			;
		after.netns[i] = look(&snapshot->list.netns[i], from, refusal);
		before = take(followed, &after.netns[i]);
		move_on(&after.netns[i], &before, &snapshot->list.netns[i]);
		for (; from < refusal; from++) {
			long long number = from->listener.figure[REFUSAL_NUMBER];

			if (number > before.settled && !has(&before, number))
				fresh[count++] = from;
		}
		free(before.seen);
	}
	forget(followed);
	*followed = after;
	return count;
}
