// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose the histograms that a report draws: of listeners that have times, the worst
 * first.
 */

#include <stdlib.h>

#include "html.h"

/* How many listeners, or groups of them, have charts. */
#define CHARTS_MAX	24

/**
 * struct drawn - a listener or group whose histograms may be drawn
 * @row: its row
 * @finding: the number of its first finding; SIZE_MAX where it has none
 * @mean_us: the mean time that connections waited; -1 where none did
 */
struct drawn {
	const struct listener *row;
	size_t finding;
	long long mean_us;
};

/* Sum over all members of a group. False if there is nothing to draw. */
static bool sum_up_times(struct histogram *histogram, enum file file,
			 const struct listener *row)
{
	const struct group *group = row->fold ? &row->fold->group : NULL;

	*histogram = (struct histogram) { };
	for (size_t i = 0; group && i < group->count; i++)
		if (!histogram_add(histogram, file, group->listener[i]))
			return false;
	return (group || histogram_add(histogram, file, row)) &&
	       histogram->count;
}

static size_t first_finding(const struct page *page, const struct listener *row)
{
	const struct group *group = row->fold ? &row->fold->group : NULL;
	size_t first = SIZE_MAX, finding;

	for (size_t i = 0; i < (group ? group->count : 1); i++) {
		finding = page_finding(page, group ? group->listener[i] : row);
		if (finding && finding < first)
			first = finding;
	}
	return first;
}

/* Negative where @x comes first: it is worse. */
static int worse(const void *x, const void *y)
{
	const struct drawn *a = x, *b = y;

	return (a->finding > b->finding) - (a->finding < b->finding) ?:
	       (a->mean_us < b->mean_us) - (a->mean_us > b->mean_us) ?:
	       (a->row > b->row) - (a->row < b->row);
}

/* The rows that have something to draw, the worst first; to free(). */
static struct drawn *choose_drawn(const struct page *page,
				  const struct folds *folds, size_t *count)
{
	struct drawn *drawn = allocate(NULL, folds->count, sizeof(*drawn));
	struct histogram waits, handshakes;

	*count = 0;
	for (size_t i = 0; i < folds->count; i++) {
		const struct listener *row = folds->row[i];
		bool waited = sum_up_times(&waits, WAITS, row);

		if (!waited && !sum_up_times(&handshakes, HANDSHAKES, row))
			continue;
		drawn[(*count)++] = (struct drawn) {
			.row = row,
			.finding = first_finding(page, row),
			.mean_us = waited ? histogram_mean_us(&waits) : -1,
		};
	}
	if (*count)
		qsort(drawn, *count, sizeof(*drawn), worse);
	return drawn;
}

static void put_charts(FILE *to, const struct listener *row)
{
	static const struct {
		enum file file;
		struct chart_text text;
	} kinds[] = {
		{ WAITS, { .title = "Accept queue",
			   .axis = "time until accept()",
			   .one = "connection", .many = "connections" } },
		{ HANDSHAKES, { .title = "Handshakes",
				.axis = "time from SYN to ACK",
				.one = "handshake", .many = "handshakes" } },
	};
	struct histogram histogram;

	fputs("<section class=\"charts\"><h3>", to);
	if (row->netns)
		html_element(to, "span class=\"netns\"", "netns %s", row->netns);
	html_text(to, " %s ", row->word[LOCAL]);
	html_element(to, "span class=\"dim\"", "%s", listener_comm(row));
	if (row->fold)
		html_element(to, "span class=\"dim\"",
			     ", a group of %zu sockets", row->fold->group.count);
	fputs("</h3>\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct chart_text text = kinds[i].text;

		text.listener = row->word[LOCAL];
		if (sum_up_times(&histogram, kinds[i].file, row))
			chart_put(to, &histogram, &text);
	}
	fputs("</section>\n", to);
}

/* Draw how long connections waited, and how long handshakes took. */
void page_charts(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	size_t count, shown, i;
	struct folds folds;
	struct drawn *drawn;

	fold(&folds, outcome->chosen, outcome->count, BY_FILL, false);
	drawn = choose_drawn(page, &folds, &count);
	shown = at_most(count, CHARTS_MAX);
	fputs("<section id=\"times\"><h2>Times</h2>\n", page->to);
	if (!count)
		html_element(page->to, "p class=\"dim\"",
			     "No listener has histograms with anything in them.");
	else if (shown < count)
		html_element(page->to, "p class=\"dim\"",
			     "Of %s with something to show, the worst %zu: those with findings, then those where connections have waited longest. %zu are left out.",
			     count_of(count, "listener or group",
				      "listeners and groups"),
			     shown, count - shown);
	fputs("<div class=\"grid\">\n", page->to);
	for (i = 0; i < shown; i++)
		put_charts(page->to, drawn[i].row);
	fputs("</div></section>\n", page->to);
	free(drawn);
	folds_free(&folds);
}
