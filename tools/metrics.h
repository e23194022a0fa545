/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of metrics. labels.c labels listeners and namespaces, and
 * groups.c decides which listeners have samples; these are in metrics.c for TCP and
 * in metrics_unix.c for Unix sockets, and those of namespaces and the module are in
 * totals.c.
 */
#ifndef LISTENQ_TOOL_METRICS_H
#define LISTENQ_TOOL_METRICS_H

#include "output.h"
#include "samples.h"

/* An owner with more sets of labels, or namespaces, is a crowd. */
#define CROWD	8

/**
 * struct left_out - listeners without samples
 * @omitted: because their namespace has too many sets of labels
 * @young: because they are too young in a crowd of that size
 */
struct left_out {
	long long omitted;
	long long young;
};

/**
 * struct groups - which listeners have samples
 * @group: the groups that have samples
 * @count: how many
 * @in: by namespace: how many listeners there are, and how many have no samples
 * @all: how many have no samples, in all namespaces
 */
struct groups {
	struct group *group;
	size_t count;
	struct group_netns {
		size_t listeners;
		size_t shown;
		bool crowd;
		struct left_out left_out;
	} *in;
	struct left_out all;
};

int by_labels(const void *x, const void *y, void *metrics);
char *make_labels(const struct metrics *metrics, const struct listener *listener);
void find_names(const struct metrics *metrics, const struct snapshot *snapshot,
		struct listener *const listener[], size_t count);

void make_groups(struct groups *groups, const struct metrics *metrics,
		 const struct snapshot *snapshot, struct listener *listener[],
		 size_t count);
void free_groups(struct groups *groups);

void put_count(struct samples *samples, const struct family *family,
	       const struct group *group, long long count);
void put_fill(struct samples *samples, const struct family *family,
	      const struct group *group, enum figure queue);
void put_rule(struct samples *samples, const struct family *family,
	      const struct group *group);

void metrics_of_unix(struct samples *samples, const struct group *group,
		     size_t groups);
void metrics_of_module(struct samples *samples, const struct snapshot *snapshot,
		       const struct groups *groups, long long max);

#endif /* LISTENQ_TOOL_METRICS_H */
