/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of metrics share. labels.c names listeners and namespaces, groups.c
 * decides which listeners have samples, metrics.c has these, metrics_unix.c those of Unix
 * sockets, and totals.c those of namespaces and of the module.
 */
#ifndef LISTENQ_TOOL_METRICS_H
#define LISTENQ_TOOL_METRICS_H

#include "output.h"
#include "samples.h"

/* So many sets of labels, or namespaces, of one owner are no crowd. */
#define CROWD	8

/**
 * struct left_out - listeners without samples
 * @omitted: because there are too many sets of labels
 * @young: because they are too young for how many there are
 */
struct left_out {
	long long omitted;
	long long young;
};

/**
 * struct groups - which listeners have samples
 * @group: those that have
 * @count: how many
 * @in: what became of the others, and how many there are, by namespace
 * @all: the same of all namespaces
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
