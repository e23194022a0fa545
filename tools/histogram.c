// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms in the files waits and handshakes: a sum, and counts by time under
 * names that end with its unit, such as "16ms"; the last one is "more".
 */

#include <string.h>

#include "listenq.h"

static const struct {
	const char *sum;
	const char *unit;
	long long second;
} kinds[FILES] = {
	[WAITS]		= { "sum_ms", "ms", 1000 },
	[HANDSHAKES]	= { "sum_us", "us", 1000000 },
};

/* "16ms" in milliseconds; UNKNOWN if it is no such column. */
static long long bound_of(const char *column, const char *unit)
{
	size_t length = strlen(column), end = strlen(unit);
	char digits[20] = "";
	long long bound;

	if (!strcmp(column, "more"))
		return LLONG_MAX;
	if (length <= end || length >= sizeof(digits) ||
	    strcmp(column + length - end, unit))
		return UNKNOWN;
	memcpy(digits, column, length - end);
	return parse_number(digits, 0, INT_MAX, &bound) ? bound : UNKNOWN;
}

/* False if a sum gets too large, since then it has no mean. */
static bool add(long long *to, long long count)
{
	*to = add_figures(*to, count);
	return *to != UNKNOWN && *to != LLONG_MAX;
}

/**
 * histogram_add() - add a listener's times
 * @histogram: added to; all zero before the first
 * @file: WAITS or HANDSHAKES
 * @listener: the listener; all that are added are from one namespace, so from one
 *	file
 *
 * Return: false if any of it is not known: half a histogram would mislead.
 */
bool histogram_add(struct histogram *histogram, enum file file,
		   const struct listener *listener)
{
	const struct place *place = &listener->place[file];
	const struct rows *rows = place->rows;
	long long bound, before = -1, count;
	struct bucket *bucket = histogram->bucket;
	const char *name;

	histogram->second = kinds[file].second;
	if (!rows || !add(&histogram->sum,
			  rows_count(rows, place->row,
				     rows_column(rows, kinds[file].sum))))
		return false;
	for (size_t i = 0; i < rows->columns && before < LLONG_MAX; i++) {
		name = rows->text + rows->column[i];
		bound = bound_of(name, kinds[file].unit);
		if (bound == UNKNOWN)
			continue;
		count = rows_count(rows, place->row, i);
		if (bound <= before || !add(&bucket->count, count) ||
		    !add(&histogram->count, count))
			return false;
		bucket->name = name;
		bucket->bound = bound;
		bucket++;
		before = bound;
	}
	histogram->buckets = bucket - histogram->bucket;
	return histogram->buckets > 1 && before == LLONG_MAX;
}

/* In microseconds; UNKNOWN if nothing was counted. */
long long histogram_mean_us(const struct histogram *histogram)
{
	long long mean;

	if (!histogram->count)
		return UNKNOWN;
	if (__builtin_mul_overflow(histogram->sum / histogram->count,
				   1000000 / histogram->second, &mean))
		return LLONG_MAX;
	return mean;
}
