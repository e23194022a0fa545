/* SPDX-License-Identifier: GPL-2.0-only */
/* Metrics as text, and the file that it becomes; a report is such a file, too. */
#ifndef LISTENQ_TOOL_SAMPLES_H
#define LISTENQ_TOOL_SAMPLES_H

#include "http.h"

/* ---- file.c: a file that is written whole or not at all ---- */

/**
 * struct output_file - a file that is going to be written
 * @path: as it was asked for
 * @name: of this, in @dir
 * @dir: the directory
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
 * @name: without the ending that the type gives it
 * @help: what it is
 * @unit: which its name ends with, too; NULL where it is a number of things
 * @type: what may be done with it
 */
struct family {
	const char *name;
	const char *help;
	const char *unit;
	enum family_type type;
};

/**
 * struct samples - a text in Prometheus' own format, or in that of OpenMetrics
 * @to: where it goes
 * @path: of the file that it becomes; NULL for standard output
 * @http: the request that it answers; NULL where there is none
 * @file: that file
 * @text: the text so far, where it goes out as a whole; valid once @to is closed
 * @size: its length
 * @openmetrics: in this format
 * @family: of the latest sample; those of a family stand together
 * @labels: how many the sample under way has
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
