/* SPDX-License-Identifier: GPL-2.0-only */
/* Metrics as text, and the file it is written to, which a report uses as well. */
#ifndef LISTENQ_TOOL_SAMPLES_H
#define LISTENQ_TOOL_SAMPLES_H

#include "http.h"

/* ---- file.c: files that are written as a whole or not at all ---- */

/**
 * struct output_file - a file that will be written
 * @path: as it was given
 * @name: the file's name in @dir
 * @dir: the directory, opened
 */
struct output_file {
	const char *path;
	const char *name;
	int dir;
};

const char *file_find(struct output_file *file, const char *path);
const char *file_open(struct output_file *file, const char *path);
const char *file_write(struct output_file *file, const char *text, size_t size,
		       mode_t mode);

/* ---- samples.c: the formats of metrics ---- */

enum family_type { GAUGE, COUNTER, INFO, HISTOGRAM };

/**
 * struct family - a metric
 * @name: without the suffix for its type
 * @help: a description
 * @unit: the unit, with which the name ends, too; NULL for a number of things
 * @type: its type
 */
struct family {
	const char *name;
	const char *help;
	const char *unit;
	enum family_type type;
};

/**
 * struct samples - text in Prometheus' own format, or in that of OpenMetrics
 * @to: written to
 * @path: the file that is written; NULL for standard output
 * @http: the request that is answered; NULL if there is none
 * @file: the file at @path
 * @text: the text so far, if it is written as a whole; valid once @to is closed
 * @size: its length
 * @openmetrics: in the format OpenMetrics
 * @family: that of the latest sample; a family's samples have to be together
 * @labels: how many labels the latest sample has so far
 */
struct samples {
	FILE *to;
	const char *path;
	const struct http *http;
	struct output_file file;
	char *text;
	size_t size;
	bool openmetrics;
	const struct family *family;
	unsigned int labels;
};

const char *samples_open(struct samples *samples);
const char *samples_close(struct samples *samples);
void sample_begin(struct samples *samples, const struct family *family,
		  const char *ending);
void sample_label(struct samples *samples, const char *name,
		  const char *value);
void sample_labels(struct samples *samples, const char *labels);
void sample_count(struct samples *samples, long long count);
void sample_seconds(struct samples *samples, long long count,
		    long long second);
void sample_ratio(struct samples *samples, double ratio);
void sample_gauge(struct samples *samples, const char *name, const char *help,
		  long long count);

#endif /* LISTENQ_TOOL_SAMPLES_H */
