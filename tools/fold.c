// SPDX-License-Identifier: GPL-2.0-only
/*
 * SO_REUSEPORT groups as rows: sums, and figures of the fullest, the busiest and the
 * laziest member. The kernel distributes connections evenly, so a member that does
 * not accept has a full queue while others are idle.
 */

#include <stdlib.h>
#include <string.h>

#include "choose.h"

/* The fullest member of a group; a listener itself. */
const struct listener *fullest_of(const struct listener *listener,
				  enum figure queue)
{
	if (!listener->fold)
		return listener;
	return queue == SYNQ ? listener->fold->synq_fullest :
			       listener->fold->fullest;
}

static const struct listener *find_fullest(const struct group *group,
					   enum figure queue)
{
	const struct listener *fullest = group->listener[0];

	for (size_t i = 1; i < group->count; i++)
		if (listener_fill(group->listener[i], queue) >
		    listener_fill(fullest, queue))
			fullest = group->listener[i];
	return fullest;
}

/* Negative where one of them is unknown. */
static double sum_rates(const struct group *group, enum figure figure)
{
	double sum = 0;

	for (size_t i = 0; i < group->count; i++) {
		if (group->listener[i]->rate[figure] < 0)
			return -1;
		sum += group->listener[i]->rate[figure];
	}
	return sum;
}

/* What to compare: accepts per second if there are any, else all so far. */
static double accepts_of(const struct listener *listener, bool now)
{
	if (now)
		return listener->rate[ACCEPTS];
	return listener->figure[ACCEPTS] == UNKNOWN ? -1 :
	       (double)listener->figure[ACCEPTS];
}

static void find_shares(struct fold *fold)
{
	const struct group *group = &fold->group;
	bool now = sum_rates(group, ACCEPTS) > 0;
	double sum = 0, most, least;

	fold->busiest = group->listener[0];
	fold->laziest = group->listener[0];
	for (size_t i = 0; i < group->count; i++) {
		const struct listener *member = group->listener[i];

		sum += accepts_of(member, now);
		if (accepts_of(member, now) > accepts_of(fold->busiest, now))
			fold->busiest = member;
		if (accepts_of(member, now) < accepts_of(fold->laziest, now))
			fold->laziest = member;
	}
	most = accepts_of(fold->busiest, now);
	least = accepts_of(fold->laziest, now);
	fold->most = sum > 0 && least >= 0 ? most / sum : -1;
	fold->least = sum > 0 && least >= 0 ? least / sum : -1;
}

/*
 * Counters and queues are sums, times and peaks maxima; all else is that of the
 * fullest member, which the row is about.
 */
static void make_row(struct listener *row, struct fold *fold)
{
	const struct group *group = &fold->group;

	fold->fullest = find_fullest(group, ACCEPTQ);
	fold->synq_fullest = find_fullest(group, SYNQ);
	find_shares(fold);
	*row = *fold->fullest;
	row->fold = fold;
	row->word[COOKIE] = "-";
	row->figure[INODE] = UNKNOWN;
	for (int i = 0; i < FIGURES; i++)
		if (is_sum(i)) {
			row->figure[i] = group_sum(group, i);
			row->rate[i] = sum_rates(group, i);
		}
	row->figure[ACCEPTQ_PEAK] = group_most(group, ACCEPTQ_PEAK);
	row->figure[ACCEPTQ_PEAK_1M] = group_most(group, ACCEPTQ_PEAK_1M);
	row->figure[ACCEPTQ_OLDEST_MS] = group_most(group, ACCEPTQ_OLDEST_MS);
	row->figure[SYNQ_PEAK] = group_most(group, SYNQ_PEAK);
	row->figure[SYNQ_PEAK_1M] = group_most(group, SYNQ_PEAK_1M);
	row->figure[SINCE_MS] = group_most(group, SINCE_MS);
	row->figure[SINCE_OVERFLOW_MS] = group_least(group, SINCE_OVERFLOW_MS);
	row->figure[GROUP] = group->count;
}

/**
 * fold() - make one row of each SO_REUSEPORT group
 * @folds: filled, for folds_free(); the listeners must exist until then
 * @listener: the listeners, in the order for members
 * @count: how many; the only listener of a group is not folded
 * @key: what to sort rows by
 * @reverse: sort the other way round
 */
void fold(struct folds *folds, struct listener *const listener[], size_t count,
	  enum sort_key key, bool reverse)
{
	struct group *group = allocate(NULL, count, sizeof(*group));
	size_t groups, members = 0, made = 0, i;

	*folds = (struct folds) {
		.row = allocate(NULL, count, sizeof(*folds->row)),
		.group = allocate(NULL, count / 2, sizeof(*folds->group)),
		.fold = allocate(NULL, count / 2, sizeof(*folds->fold)),
		.member = allocate(NULL, count, sizeof(*folds->member)),
	};
	for (i = 0; i < count; i++)
		if (listener[i]->figure[GROUP] == UNKNOWN)
			folds->row[folds->count++] = listener[i];
		else
			folds->member[members++] = listener[i];
	groups = group_listeners(group, folds->member, members, by_place, NULL);
	for (i = 0; i < groups; i++) {
		struct listener **first = (struct listener **)group[i].listener;

		if (group[i].count == 1) {
			folds->row[folds->count++] = *first;
			continue;
		}
		sort_listeners(first, group[i].count, key, reverse);
		folds->fold[made] = (struct fold) { .group = group[i] };
		make_row(&folds->group[made], &folds->fold[made]);
		folds->row[folds->count++] = &folds->group[made++];
	}
	free(group);
	sort_listeners(folds->row, folds->count, key, reverse);
}

void folds_free(struct folds *folds)
{
	free(folds->row);
	free(folds->group);
	free(folds->fold);
	free(folds->member);
	*folds = (struct folds) { };
}
