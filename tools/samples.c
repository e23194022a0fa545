// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples of metrics in the text format of Prometheus, or in the stricter one of
 * OpenMetrics. A sample is begun, gets labels, and is ended by its value.
 */

#include <math.h>
#include <stdlib.h>

#include "samples.h"

/* Return: NULL or a reason. */
const char *samples_open(struct samples *samples)
{
	const char *why = NULL;

	samples->to = stdout;
	if (!samples->path && !samples->http)
		return NULL;
	if (samples->path)
		why = file_open(&samples->file, samples->path);
	if (why)
		return why;
	samples->to = open_memstream(&samples->text, &samples->size);
	if (!samples->to)
		die("not enough memory");
	return NULL;
}

/**
 * samples_close() - end the text
 * @samples: the samples; the file has all of them afterwards, or is unchanged
 *
 * Return: NULL or a reason.
 */
const char *samples_close(struct samples *samples)
{
	const char *why = NULL;

	if (samples->openmetrics)
		fputs("# EOF\n", samples->to);
	if (samples->to == stdout)
		return NULL;
	if (fclose(samples->to))
		die("not enough memory");
	if (samples->path)
		why = file_write(&samples->file, samples->text, samples->size,
				 0644);
	else
		http_send(samples->http, samples->openmetrics, samples->text,
			  samples->size);
	free(samples->text);
	return why;
}

/*
 * In Prometheus' own format, a family has the name of its samples, and there is no
 * type for constants.
 */
static void put_family(struct samples *samples, const struct family *family)
{
	static const char * const types[] = {
		[GAUGE] = "gauge", [COUNTER] = "counter", [INFO] = "info",
		[HISTOGRAM] = "histogram",
	};
	const char *type = types[family->type], *ending = "";

	samples->family = family;
	if (!samples->openmetrics && family->type == COUNTER)
		ending = "_total";
	if (!samples->openmetrics && family->type == INFO) {
		ending = "_info";
		type = "gauge";
	}
	fprintf(samples->to, "# HELP %s%s %s\n", family->name, ending,
		family->help);
	fprintf(samples->to, "# TYPE %s%s %s\n", family->name, ending, type);
	if (samples->openmetrics && family->unit)
		fprintf(samples->to, "# UNIT %s %s\n", family->name,
			family->unit);
}

/* @ending: the end of the name, if the type allows several; else "" */
void sample_begin(struct samples *samples, const struct family *family,
		  const char *ending)
{
	if (samples->family != family)
		put_family(samples, family);
	if (family->type == COUNTER)
		ending = "_total";
	if (family->type == INFO)
		ending = "_info";
	fputs(family->name, samples->to);
	fputs(ending, samples->to);
	samples->labels = 0;
}

/* An unknown value, NULL or "", makes no label. */
void sample_label(struct samples *samples, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	fprintf(samples->to, "%c%s=\"", samples->labels++ ? ',' : '{', name);
	quote_label(samples->to, value);
	fputc('"', samples->to);
}

/* Several labels at once, written by sample_label() before into a text of their own. */
void sample_labels(struct samples *samples, const char *labels)
{
	fputs(labels, samples->to);
	samples->labels += *labels == '{';
}

static void end_labels(struct samples *samples)
{
	fputs(samples->labels ? "} " : " ", samples->to);
}

void sample_count(struct samples *samples, long long count)
{
	end_labels(samples);
	fprintf(samples->to, "%lld\n", count);
}

/* In seconds: the formats have no other unit of time. */
void sample_seconds(struct samples *samples, long long count, long long second)
{
	char text[TEXT_SIZE];

	text_seconds(text, count, second);
	end_labels(samples);
	fprintf(samples->to, "%s\n", text);
}

void sample_ratio(struct samples *samples, double ratio)
{
	end_labels(samples);
	if (isinf(ratio))
		fputs("+Inf\n", samples->to);
	else
		fprintf(samples->to, "%.4f\n", ratio);
}

/* Write a family with one sample and no labels. */
void sample_gauge(struct samples *samples, const char *name, const char *help,
		  long long count)
{
	const struct family family = { name, help, NULL, GAUGE };

	sample_begin(samples, &family, "");
	sample_count(samples, count);
	samples->family = NULL;
}
