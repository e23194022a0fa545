/* SPDX-License-Identifier: GPL-2.0-only */
/* What listenq.c calls: a function for each output and each command. */
#ifndef LISTENQ_TOOL_OUTPUT_H
#define LISTENQ_TOOL_OUTPUT_H

#include "choose.h"

struct http;

/**
 * struct metrics - the options of metrics
 * @openmetrics: in the format OpenMetrics, not in Prometheus' own
 * @max: the largest number of sets of labels in a namespace
 * @names: the listeners whose processes' names are labels
 * @no_histograms: leave out histograms
 * @http: answer this request; NULL: none
 * @file: write to this file; NULL: to standard output
 */
struct metrics {
	bool openmetrics;
	long long max;
	enum names { NAMES_OWN, NAMES_ALL, NAMES_NONE } names;
	bool no_histograms;
	const struct http *http;
	const char *file;
};

/**
 * struct check - what --check considers too much
 * @percent: a queue that holds, or held in the last minute, more of its limit
 * @within: any refusal in so many seconds
 * @allow_none: but not that there are no listeners
 */
struct check {
	long long percent;
	long long within;
	bool allow_none;
};

void live(const struct scope *scope, struct filter *filter, enum sort_key key,
	  bool reverse, bool groups, double seconds);
void json_print(struct listener *const listener[], size_t count);
const char *json_totals(const struct snapshot *snapshot);
const char *metrics_print(const struct metrics *metrics,
			  const struct snapshot *snapshot,
			  struct listener *listener[], size_t count);
int check_trouble(const char *why);
int check_print(const struct check *check, struct snapshot *snapshot,
		const struct filter *filter, struct listener *const listener[],
		size_t count);
struct history;
struct sink;

void detail_print(const struct listener *listener,
		  const struct snapshot *snapshot,
		  const struct history *history, unsigned int width,
		  unsigned int height, const struct sink *sink);

/* ---- usage.c ---- */

extern const char usage[];

/* ---- record.c: a copy for --proc ---- */

void record_main(const char *path, const struct scope *scope);

/* ---- clamp.c: rules ---- */

int clamp_main(int argc, char **argv, const struct scope *scope);

#endif /* LISTENQ_TOOL_OUTPUT_H */
