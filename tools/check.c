// SPDX-License-Identifier: GPL-2.0-only
/*
 * For monitoring: one line as the plugins of monitoring systems print it, what
 * it is about before the bar and figures behind it.
 */

#include <math.h>
#include <string.h>

#include "listenq.h"

static const struct {
	enum figure figure;
	const char *name;
} queues[] = {
	{ ACCEPTQ, "accept queue" },
	{ SYNQ, "SYN queue" },
};

/* Held against the limit without rounding. */
static bool is_above(const struct listener *listener, enum figure queue,
		     long long percent)
{
	long long held = listener->figure[queue];
	long long limit = listener->figure[LIMIT];

	return held != UNKNOWN && limit != UNKNOWN && held &&
	       held * 100 > limit * percent;
}

static void print_listener(const struct listener *listener, int queue)
{
	const char *comm = listener_comm(listener);

	if (listener->netns)
		printf("netns %s ", listener->netns);
	printf("%s%s%s: %s %lld of %lld", listener->word[LOCAL],
	       strcmp(comm, "-") ? " " : "", strcmp(comm, "-") ? comm : "",
	       queues[queue].name, listener->figure[queues[queue].figure],
	       listener->figure[LIMIT]);
}

/**
 * check_print() - say whether a queue is fuller than it should be
 * @listener: the listeners to look at
 * @count: how many
 * @percent: of the limit
 *
 * Return: DONE, ABOVE, or TROUBLE where that can't be known.
 */
int check_print(struct listener *const listener[], size_t count,
		long long percent)
{
	struct listener *fullest = NULL;
	long long overflows = 0;
	size_t above = 0, i;
	double most = 0, fill;
	int queue = 0, q;
	bool is;

	for (i = 0; i < count; i++) {
		if (listener[i]->figure[LIMIT] == UNKNOWN ||
		    listener[i]->figure[ACCEPTQ] == UNKNOWN) {
			printf("LISTENQ UNKNOWN - %s: queue or limit not known\n",
			       listener[i]->word[LOCAL]);
			return TROUBLE;
		}
		is = false;
		for (q = 0; q < (int)ARRAY_SIZE(queues); q++) {
			fill = listener_fill(listener[i], queues[q].figure);
			is |= is_above(listener[i], queues[q].figure, percent);
			if (!fullest || fill > most) {
				fullest = listener[i];
				most = fill;
				queue = q;
			}
		}
		above += is;
		if (listener[i]->figure[OVERFLOWS] != UNKNOWN)
			overflows += listener[i]->figure[OVERFLOWS];
	}

	printf("LISTENQ %s - ", above ? "WARNING" : "OK");
	if (above)
		printf("%zu of ", above);
	printf("%zu listener%s", count, count == 1 ? "" : "s");
	if (above)
		printf(" above %lld%% of %s limit", percent,
		       above == 1 ? "its" : "their");
	if (fullest) {
		process_find(&fullest, 1);
		printf(", fullest ");
		print_listener(fullest, queue);
	}
	/* A limit of 0 with one connection has no percentage. */
	printf(" | above=%zu;0 fullest=", above);
	if (isinf(most))
		printf("U");
	else
		printf("%.0f%%;%lld", floor(most * 100), percent);
	printf(" overflows=%lldc\n", overflows);
	return above ? ABOVE : DONE;
}
