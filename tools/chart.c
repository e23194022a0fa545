// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draw a histogram in SVG: a bar for each range of time from the first one that has
 * a count to the last, and one empty range on either side.
 */

#include <string.h>

#include "html.h"

/* The size of the drawing, in units of its own, and of the margins around its bars. */
#define WIDTH		440
#define HEIGHT		190
#define SIDE		20
#define ABOVE		34
#define BELOW		38
#define BAR_MAX		48
/* The width of a bound's text below the bars. */
#define BOUND		46

/**
 * struct plot - a histogram being drawn
 * @histogram: the histogram
 * @first: the first range that is drawn
 * @end: the range after the last one
 * @most: the largest count of a range
 * @width: the width of a range
 */
struct plot {
	const struct histogram *histogram;
	size_t first;
	size_t end;
	long long most;
	double width;
};

static void fit(struct plot *plot)
{
	const struct histogram *histogram = plot->histogram;
	const struct bucket *bucket = histogram->bucket;

	plot->end = histogram->buckets;
	while (plot->end && !bucket[plot->end - 1].count)
		plot->end--;
	while (plot->first < plot->end && !bucket[plot->first].count)
		plot->first++;
	for (size_t i = plot->first; i < plot->end; i++)
		if (bucket[i].count > plot->most)
			plot->most = bucket[i].count;
	plot->first -= plot->first > 0;
	plot->end += plot->end < histogram->buckets;
	plot->width = (WIDTH - 2.0 * SIDE) / (plot->end - plot->first);
	if (plot->width > BAR_MAX)
		plot->width = BAR_MAX;
}

static double left_of(const struct plot *plot, size_t at)
{
	return SIDE + (at - plot->first) * plot->width;
}

/* Where a range begins; its bound is where the next one begins. */
static long long begin_of(const struct histogram *histogram, size_t at)
{
	return at ? histogram->bucket[at - 1].bound : 0;
}

/* A bound, which is below INT_MAX microseconds or milliseconds. */
static void bound_text(char text[TEXT_SIZE], const struct histogram *histogram,
		       long long bound)
{
	text_us(text, bound * (1000000 / histogram->second));
}

static bool is_long(const struct histogram *histogram, size_t at)
{
	return begin_of(histogram, at) >= histogram->second * LONG_MS / 1000;
}

/* "up to 8ms: 12" */
static void range_text(char text[2 * TEXT_SIZE],
		       const struct histogram *histogram, size_t at)
{
	const struct bucket *bucket = &histogram->bucket[at];
	bool last = bucket->bound == LLONG_MAX;
	char bound[TEXT_SIZE];

	bound_text(bound, histogram,
		   last ? begin_of(histogram, at) : bucket->bound);
	snprintf(text, 2 * TEXT_SIZE, "%s %s: %lld",
		 last ? "longer than" : "up to", bound, bucket->count);
}

/* At most four characters: there is no more room above a bar. */
static void count_text(char text[TEXT_SIZE], long long count)
{
	if (count >= 10000 && count < 100000)
		snprintf(text, TEXT_SIZE, "%lldk", count / 1000);
	else
		text_count(text, count);
}

static void put_bar(FILE *to, const struct plot *plot, size_t at)
{
	long long count = plot->histogram->bucket[at].count;
	double room = HEIGHT - ABOVE - BELOW, height, x = left_of(plot, at);
	char text[2 * TEXT_SIZE];

	if (!count)
		return;
	/* Make a bar visible, however small its count is. */
	height = room * count / plot->most;
	if (height < 2)
		height = 2;
	range_text(text, plot->histogram, at);
	fputs("<g>", to);
	html_element(to, "title", "%s", text);
	fprintf(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" rx=\"2\"",
		is_long(plot->histogram, at) ? "bar long" : "bar", x + 1.5,
		HEIGHT - BELOW - height);
	fprintf(to, " width=\"%.1f\" height=\"%.1f\"/>", plot->width - 3,
		height);
	count_text(text, count);
	fprintf(to, "<text class=\"count\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n",
		x + plot->width / 2, HEIGHT - BELOW - height - 4, text);
}

static void put_bounds(FILE *to, const struct plot *plot)
{
	size_t step = 1, at;
	char text[TEXT_SIZE];

	while (step * plot->width < BOUND)
		step++;
	fprintf(to, "<path class=\"axis\" d=\"M%.1f %dH%.1f", left_of(plot, plot->first),
		HEIGHT - BELOW, left_of(plot, plot->end));
	for (at = plot->first; at <= plot->end; at += step)
		fprintf(to, "M%.1f %dv4", left_of(plot, at), HEIGHT - BELOW);
	fputs("\"/>", to);
	for (at = plot->first; at <= plot->end; at += step) {
		if (at < plot->histogram->buckets)
			bound_text(text, plot->histogram,
				   begin_of(plot->histogram, at));
		else
			strcpy(text, "more");
		fprintf(to, "<text class=\"bound\" x=\"%.1f\" y=\"%d\">%s</text>",
			left_of(plot, at), HEIGHT - BELOW + 16,
			at ? text : "0");
	}
	putc('\n', to);
}

/* How many took longer than a client puts up with. */
static long long count_long(const struct histogram *histogram)
{
	long long count = 0;

	for (size_t i = 0; i < histogram->buckets; i++)
		if (is_long(histogram, i))
			count += histogram->bucket[i].count;
	return count;
}

/* The time within which nine of ten were done; false where that is not known. */
static bool most_within(const struct histogram *histogram, char text[TEXT_SIZE])
{
	long long left = histogram->count - histogram->count / 10;

	for (size_t i = 0; i + 1 < histogram->buckets; i++) {
		left -= histogram->bucket[i].count;
		if (left > 0)
			continue;
		bound_text(text, histogram, histogram->bucket[i].bound);
		return true;
	}
	return false;
}

static void put_caption(FILE *to, const struct histogram *histogram,
			const struct chart_text *text)
{
	long long late = count_long(histogram);
	char time[TEXT_SIZE], bound[TEXT_SIZE];

	html_element(to, "b", "%s", text->title);
	text_us(time, histogram_mean_us(histogram));
	fputs(" <span>", to);
	html_text(to, "%s, mean %s",
		  count_of(histogram->count, text->one, text->many), time);
	if (most_within(histogram, bound))
		html_text(to, ", 9 of 10 within %s", bound);
	fputs("</span>", to);
	if (!late)
		return;
	text_time(time, LONG_MS);
	html_element(to, "span class=\"warn\"", " %lld longer than %s (outlined)",
		     late, time);
}

static void put_description(FILE *to, const struct plot *plot,
			    const struct chart_text *text)
{
	const struct histogram *histogram = plot->histogram;
	char range[2 * TEXT_SIZE], mean[TEXT_SIZE];

	html_element(to, "title", "%s: %s", text->listener, text->title);
	fputs("<desc>", to);
	text_us(mean, histogram_mean_us(histogram));
	html_text(to, "%s, mean %s. ",
		  count_of(histogram->count, text->one, text->many), mean);
	for (size_t i = plot->first; i < plot->end; i++) {
		range_text(range, histogram, i);
		html_text(to, "%s%s", range, i + 1 < plot->end ? ", " : ".");
	}
	fputs("</desc>\n", to);
}

/**
 * chart_put() - draw a histogram
 * @to: written to
 * @histogram: a histogram that is not empty
 * @text: its words
 */
void chart_put(FILE *to, const struct histogram *histogram,
	       const struct chart_text *text)
{
	struct plot plot = { .histogram = histogram };

	fit(&plot);
	fputs("<figure><figcaption>", to);
	put_caption(to, histogram, text);
	fprintf(to, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">",
		WIDTH, HEIGHT);
	put_description(to, &plot, text);
	fprintf(to, "<text class=\"label\" x=\"%d\" y=\"12\">", SIDE);
	html_text(to, "%s", text->many);
	fputs("</text>", to);
	for (size_t i = plot.first; i < plot.end; i++)
		put_bar(to, &plot, i);
	put_bounds(to, &plot);
	fprintf(to, "<text class=\"label\" x=\"%d\" y=\"%d\">", SIDE,
		HEIGHT - 5);
	html_text(to, "%s", text->axis);
	fputs("</text></svg></figure>\n", to);
}
