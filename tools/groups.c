// SPDX-License-Identifier: GPL-2.0-only
/*
 * Group the listeners that have something in common, and decide which groups have
 * samples; labels.c makes their labels.
 *
 * Each set of labels is some fifty series, which Prometheus keeps for hours, and a
 * container decides how many listeners it has, on which addresses, and how often new
 * ones replace them. So each namespace has a quota, for which older listeners come
 * first. In a namespace other than the tool's own that has more than a few, the more
 * there are, the older they also have to be: that bounds how many new series come in
 * an hour.
 */

#include <stdlib.h>
#include <string.h>

#include "metrics.h"

/* All namespaces but the tool's own have a quota of so many times --max together. */
#define OTHERS	10

/* The minimum age, times how many there are: 1,200 new ones in an hour at most. */
#define SETTLED_MS	3000

/* By address and port, namespace by namespace in the list's order. */
int by_place(const void *x, const void *y, void *unused)
{
	const struct listener *a = *(struct listener *const *)x;
	const struct listener *b = *(struct listener *const *)y;

	(void)unused;
	return (a->in > b->in) - (a->in < b->in) ?:
	       is_unix(a) - is_unix(b) ?:
	       a->local.port - b->local.port ?:
	       strcmp(a->word[LOCAL], b->word[LOCAL]) ?:
	       strcmp(a->word[PROTO], b->word[PROTO]);
}

/* With a module that doesn't give their age, all are equally old. */
static long long age_of(const struct listener *listener)
{
	long long since_ms = listener->figure[SINCE_MS];

	return since_ms == UNKNOWN ? LLONG_MAX : since_ms;
}

/**
 * group_listeners() - group listeners that are equal
 * @group: filled; room for @count
 * @listener: the listeners, which are sorted; the groups point into this array
 * @count: how many
 * @order: 0 for two that are equal, else which comes first
 * @arg: for @order
 *
 * Return: the number of groups.
 */
size_t group_listeners(struct group *group, struct listener *listener[],
		       size_t count, listener_order *order, void *arg)
{
	struct group *last = group;
	size_t groups = 0, i;

	qsort_r(listener, count, sizeof(*listener), order, arg);
	for (i = 0; i < count; i++) {
		if (!i || order(&listener[i - 1], &listener[i], arg)) {
			last = &group[groups++];
			*last = (struct group) { .listener = &listener[i] };
		}
		last->count++;
		if (age_of(listener[i]) > last->age_ms)
			last->age_ms = age_of(listener[i]);
	}
	return groups;
}

/* The kernel compares without a sign: -1 asks for as much as possible. */
static long long figure_of(const struct listener *listener, enum figure figure)
{
	long long value = listener->figure[figure];

	return figure == ASKED && value != UNKNOWN ? (uint32_t)value : value;
}

/* UNKNOWN if it is unknown for one: a sum without that one would look complete. */
long long group_sum(const struct group *group, enum figure figure)
{
	long long sum = 0;

	for (size_t i = 0; i < group->count; i++)
		sum = add_figures(sum, figure_of(group->listener[i], figure));
	return sum;
}

/* UNKNOWN is less than any number. */
long long group_most(const struct group *group, enum figure figure)
{
	long long most = UNKNOWN, value;

	for (size_t i = 0; i < group->count; i++) {
		value = figure_of(group->listener[i], figure);
		if (value > most)
			most = value;
	}
	return most;
}

long long group_least(const struct group *group, enum figure figure)
{
	long long least = UNKNOWN, value;

	for (size_t i = 0; i < group->count; i++) {
		value = figure_of(group->listener[i], figure);
		if (value != UNKNOWN && (least == UNKNOWN || value < least))
			least = value;
	}
	return least;
}

/*
 * Ages under a minute are equal, and so are those within a factor of two; then the
 * lower port comes first. So listeners that began at about one moment don't replace
 * each other from one run to the next.
 */
static int age_class(const struct group *group)
{
	return 63 - __builtin_clzll(group->age_ms / 60000 + 1);
}

static int by_age(const void *x, const void *y)
{
	const struct group *a = x, *b = y;

	return age_class(b) - age_class(a) ?:
	       (a->listener > b->listener) - (a->listener < b->listener);
}

/* How many sets of labels, and how many namespaces, an owner has. */
struct crowd {
	size_t groups;
	size_t namespaces;
};

static int by_owner(const void *x, const void *y, void *list)
{
	const struct netns *netns = list;
	const struct netns *a = &netns[*(const size_t *)x];
	const struct netns *b = &netns[*(const size_t *)y];

	return (a->owner > b->owner) - (a->owner < b->owner);
}

/*
 * The crowd of each namespace's owner, to free(). A namespace that took privileges
 * to make is its own owner.
 */
static struct crowd *count_crowds(const struct snapshot *snapshot,
				  const struct group *group, size_t groups)
{
	struct netns *netns = snapshot->list.netns;
	size_t count = snapshot->list.count, i, end;
	struct crowd *crowd = allocate(NULL, count, sizeof(*crowd)), sum;
	size_t *at = allocate(NULL, count, sizeof(*at));

	for (i = 0; i < count; i++) {
		crowd[i] = (struct crowd) { };
		at[i] = i;
	}
	for (i = 0; i < groups; i++)
		crowd[group[i].listener[0]->in - netns].groups++;
	qsort_r(at, count, sizeof(*at), by_owner, netns);
	for (i = 0; i < count; i = end) {
		sum = (struct crowd) { };
		for (end = i; end < count; end++) {
			if (end > i && (!netns[at[i]].owner ||
					netns[at[i]].owner != netns[at[end]].owner))
				break;
			sum.groups += crowd[at[end]].groups;
			sum.namespaces++;
		}
		for (size_t j = i; j < end; j++)
			crowd[at[j]] = sum;
	}
	free(at);
	return crowd;
}

static bool is_settled(const struct group *group, const struct netns *netns,
		       const struct crowd *crowd)
{
	return netns->own || crowd->groups <= CROWD ||
	       group->age_ms / SETTLED_MS >= (long long)crowd->groups;
}

/*
 * Select the groups of a namespace that have samples, at most @quota, and append
 * them to @shown. Groups that are not selected may be overwritten.
 */
static void select_groups(struct group *group, size_t count, long long quota,
			  const struct netns *netns, const struct crowd *crowd,
			  struct group *shown, struct group_netns *in)
{
	qsort(group, count, sizeof(*group), by_age);
	for (size_t i = 0; i < count; i++) {
		struct group one = group[i];

		in->listeners += one.count;
		if (!is_settled(&one, netns, crowd))
			in->left_out.young += one.count;
		else if ((long long)in->shown < quota)
			shown[in->shown++] = one;
		else
			in->left_out.omitted += one.count;
	}
	in->crowd = netns->owner && crowd->namespaces > CROWD;
}

/**
 * make_groups() - decide which listeners have samples
 * @groups: filled, for free_groups()
 * @metrics: the options
 * @snapshot: the snapshot that the listeners are from
 * @listener: the listeners; sorted, and @groups points into this array
 * @count: how many
 */
void make_groups(struct groups *groups, const struct metrics *metrics,
		 const struct snapshot *snapshot, struct listener *listener[],
		 size_t count)
{
	struct netns *netns = snapshot->list.netns;
	long long left = OTHERS * metrics->max, quota;
	struct group *group;
	struct crowd *crowd;
	size_t all, from, to = 0;

	find_names(metrics, snapshot, listener, count);
	group = allocate(NULL, count, sizeof(*group));
	all = group_listeners(group, listener, count, by_labels,
			      (void *)metrics);
	crowd = count_crowds(snapshot, group, all);
	*groups = (struct groups) {
		.group = group,
		.in = calloc(snapshot->list.count + 1, sizeof(*groups->in)),
	};
	if (!groups->in)
		die("not enough memory");
	for (size_t i = 0; i < snapshot->list.count; i++) {
		struct group_netns *in = &groups->in[i];

		for (from = to; to < all; to++)
			if (group[to].listener[0]->in != &netns[i])
				break;
		quota = metrics->max;
		if (!netns[i].own && left < quota)
			quota = left;
		select_groups(&group[from], to - from, quota, &netns[i],
			      &crowd[i], &group[groups->count], in);
		groups->count += in->shown;
		if (!netns[i].own)
			left -= in->shown;
		groups->all.omitted += in->left_out.omitted;
		groups->all.young += in->left_out.young;
	}
	free(crowd);
	for (size_t i = 0; i < groups->count; i++)
		group[i].labels = make_labels(metrics, group[i].listener[0]);
}

void free_groups(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		free(groups->group[i].labels);
	free(groups->group);
	free(groups->in);
	*groups = (struct groups) { };
}
