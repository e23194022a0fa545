/* SPDX-License-Identifier: GPL-2.0-only */
/* Choosing, sorting and grouping listeners. */
#ifndef LISTENQ_TOOL_CHOOSE_H
#define LISTENQ_TOOL_CHOOSE_H

#include "listenq.h"

/* ---- groups.c: listeners that belong together ---- */

/**
 * struct group - listeners that have something in common
 * @listener: the listeners
 * @count: how many
 * @age_ms: the age of the oldest one
 * @labels: of metrics, as written in each sample; NULL without samples
 */
struct group {
	struct listener *const *listener;
	size_t count;
	long long age_ms;
	char *labels;
};

typedef int listener_order(const void *x, const void *y, void *arg);

int by_place(const void *x, const void *y, void *unused);
size_t group_listeners(struct group *group, struct listener *listener[],
		       size_t count, listener_order *order, void *arg);
long long group_sum(const struct group *group, enum figure figure);
long long group_most(const struct group *group, enum figure figure);
long long group_least(const struct group *group, enum figure figure);

/* ---- choose.c: choosing and sorting listeners ---- */

/* How many ports and ranges a filter may have. */
#define FILTER_PORTS	64

struct ports {
	int first, last;
};

struct filter {
	struct ports ports[FILTER_PORTS];
	size_t port_ranges;		/* 0 without -p */
	int family;			/* 0 without -A, or with a name */
	unsigned char address[16];
	unsigned int bits;
	const char *name;		/* of a Unix socket; NULL without -A of one */
	bool unix_alone;		/* no TCP listeners */
	const char *process;		/* NULL without -P */
	const char *unit;		/* NULL without -U */
	const char *text;		/* NULL, or the text typed after / */
};

enum sort_key {
	BY_FILL, BY_OVERFLOWS, BY_OLDEST, BY_SYNQ, BY_SYNS, BY_LOCAL,
	BY_PROCESS,
	SORT_KEYS,
};

extern const char * const sort_names[SORT_KEYS];

const char *filter_port(struct filter *filter, const char *text);
const char *filter_address(struct filter *filter, const char *text);
struct listener **choose(struct snapshot *snapshot,
			 const struct filter *filter, enum sort_key key,
			 bool reverse, size_t *count);
bool filter_is_about_holder(const struct filter *filter);
bool is_wanted(const struct listener *listener, const struct filter *filter);
void sort_listeners(struct listener *listener[], size_t count,
		    enum sort_key key, bool reverse);

/* ---- fold.c: SO_REUSEPORT groups as rows ---- */

/**
 * struct fold - a group that is shown as one row
 * @group: its listeners, in order
 * @fullest: the member with the fullest accept queue
 * @synq_fullest: the member with the fullest SYN queue
 * @busiest: the member that accepts most, at present if any does, else so far
 * @laziest: the member that accepts least
 * @most: the busiest member's share of all accepts; negative where unknown
 * @least: the laziest member's share
 */
struct fold {
	struct group group;
	const struct listener *fullest;
	const struct listener *synq_fullest;
	const struct listener *busiest;
	const struct listener *laziest;
	double most;
	double least;
};

/**
 * struct folds - listeners folded to rows
 * @row: each is a group or a listener; in order
 * @count: how many
 * @group: those rows that are groups
 * @fold: the groups
 * @member: the listeners, group by group
 */
struct folds {
	struct listener **row;
	size_t count;
	struct listener *group;
	struct fold *fold;
	struct listener **member;
};

void fold(struct folds *folds, struct listener *const listener[], size_t count,
	  enum sort_key key, bool reverse);
void folds_free(struct folds *folds);
const struct listener *fullest_of(const struct listener *listener,
				  enum figure queue);

#endif /* LISTENQ_TOOL_CHOOSE_H */
