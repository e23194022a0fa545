/* SPDX-License-Identifier: GPL-2.0-only */
/* What listenq.c calls: one function for each output and for each command. */
#ifndef LISTENQ_TOOL_OUTPUT_H
#define LISTENQ_TOOL_OUTPUT_H

#include "choose.h"

struct http;

/**
 * struct metrics - how they are wanted
 * @openmetrics: in this format, not in Prometheus' own
 * @max: for at most so many sets of labels of a namespace
 * @names: whose processes' names are labels
 * @no_histograms: leave these out
 * @http: as the answer to this request; NULL where there is none
 * @file: here; NULL for standard output
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
 * struct check - what --check finds too much
 * @percent: a queue that holds more of its limit, or did in the last minute
 * @within: any refusal in the last so many seconds
 * @allow_none: but not that there is no listener
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
