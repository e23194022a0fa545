// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which listeners belong together: those that have something in common.
 *
 * Which of them have samples; labels.c says under which labels. Each set of labels is
 * some fifty series, which Prometheus keeps for hours, and a container chooses
 * how many listeners it has, where, and how often others take their place. So
 * each namespace has a quota, in which the older ones come first, and where a
 * namespace that is not the tool's own has more than a few, they have to be the
 * older the more there are: that bounds how many new ones come in an hour.
 */

#include <stdlib.h>
#include <string.h>

#include "metrics.h"

/* All namespaces but the tool's own together have so many times --max. */
#define OTHERS	10

/* How old one in a crowd has to be, for each that there is: 1,200 in an hour. */
#define SETTLED_MS	3000

/* Where they listen, namespace by namespace in the order of these. */
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

/* A module that doesn't say how old they are makes no difference between them. */
static long long age_of(const struct listener *listener)
{
	long long since_ms = listener->figure[SINCE_MS];

	return since_ms == UNKNOWN ? LLONG_MAX : since_ms;
}

/**
 * group_listeners() - put those together that are equal
 * @group: filled; there are no more than listeners
 * @listener: some, which are sorted; the groups point there
 * @count: how many
 * @order: whether two are equal, and which comes first if not
 * @arg: for @order
 *
 * Return: how many groups there are.
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

/* The kernel compares without a sign: -1 asks for all there is. */
static long long figure_of(const struct listener *listener, enum figure figure)
{
	long long value = listener->figure[figure];

	return figure == ASKED && value != UNKNOWN ? (uint32_t)value : value;
}

/* A sum that lacks somebody would look like one: it is not known then. */
long long group_sum(const struct group *group, enum figure figure)
{
	long long sum = 0;

	for (size_t i = 0; i < group->count; i++)
		sum = add_figures(sum, figure_of(group->listener[i], figure));
	return sum;
}

/* UNKNOWN is less than all that is known. */
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
 * Ages under a minute are alike, and those that differ by less than a factor of
 * two; then the lower port comes first: those that began at about one moment
 * don't take each other's place from one time to the next.
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

/* How many sets of labels, and namespaces, an owner has. */
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
 * Those of the owner of each namespace, to free(). One that took privileges to
 * make stands for itself.
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
 * Those of a namespace, of which @quota may be shown, to where @shown ends; what
 * is not shown may be overwritten.
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
 * @metrics: how they are wanted
 * @snapshot: where the listeners are from
 * @listener: the listeners; left in another order, to which @groups points
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
