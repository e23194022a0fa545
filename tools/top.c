// SPDX-License-Identifier: GPL-2.0-only
/* The networks with the most refused clients. */

#include <stdlib.h>
#include <string.h>

#include "log.h"

static int by_network(const struct refusal *a, const struct refusal *b)
{
	return a->network.family - b->network.family ?:
	       memcmp(a->network.address, b->network.address,
		      sizeof(a->network.address));
}

/* 0 for refusals that are counted together. */
static int by_all(const struct refusal *a, const struct refusal *b)
{
	const struct listener *x = &a->listener, *y = &b->listener;

	return by_network(a, b) ?: strcmp(x->word[WHY], y->word[WHY]) ?:
	       strcmp(x->word[LOCAL], y->word[LOCAL]) ?:
	       strcmp(x->netns ?: "", y->netns ?: "");
}

static int compare(const void *x, const void *y, void *arg)
{
	const struct refusal *a = *(struct refusal *const *)x;
	const struct refusal *b = *(struct refusal *const *)y;
	const bool *alone = arg;

	return *alone ? by_network(a, b) : by_all(a, b);
}

/* Negative where @x comes first: it has more, or is later. */
static int larger(const void *x, const void *y)
{
	const struct sum *a = x, *b = y;

	return (a->count < b->count) - (a->count > b->count) ?:
	       (a->latest->when_ms < b->latest->when_ms) -
	       (a->latest->when_ms > b->latest->when_ms) ?:
	       by_all(a->latest, b->latest);
}

/**
 * sum_up() - count refusals by the clients' networks, the most first
 * @refusal: the refusals; their order changes
 * @count: how many
 * @alone: by networks only; else by reason and listener, too
 * @sums: how many sums there are
 *
 * Return: the sums, to free() when done with them.
 */
struct sum *sum_up(struct refusal **refusal, size_t count, bool alone,
		   size_t *sums)
{
	struct sum *sum = allocate(NULL, count, sizeof(*sum));
	struct sum *last = NULL;

	qsort_r(refusal, count, sizeof(*refusal), compare, &alone);
	*sums = 0;
	for (size_t i = 0; i < count; i++) {
		if (!last || compare(&last->latest, &refusal[i], &alone)) {
			last = &sum[(*sums)++];
			*last = (struct sum) { .latest = refusal[i] };
		}
		last->count++;
		if (refusal[i]->when_ms > last->latest->when_ms)
			last->latest = refusal[i];
	}
	qsort(sum, *sums, sizeof(*sum), larger);
	return sum;
}
