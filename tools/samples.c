// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples of metrics in the text format of Prometheus, or in the stricter one
 * of OpenMetrics. A sample is begun, given labels, and ended by its value.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listenq.h"

/*
 * Beside the file, so that it can take its name; with another ending, so that
 * nobody takes it for one that is whole.
 */
static const char *temporary(const struct samples *samples)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.tmp", samples->file);
	return path;
}

/* Return: NULL or a reason. */
const char *samples_open(struct samples *samples)
{
	const char *path;
	struct stat stat;
	int fd;

	samples->to = stdout;
	if (!samples->file)
		return NULL;
	/* Its name is going to be taken: not that of a device. */
	if (!lstat(samples->file, &stat) && !S_ISREG(stat.st_mode))
		return trouble("%s: is there, and is no regular file",
			       samples->file);
	path = temporary(samples);
	/* One of that name was left by a run that was killed. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return trouble("%s: %s", path, strerror(errno));
	samples->to = fdopen(fd, "w");
	if (!samples->to)
		die("not enough memory");
	return NULL;
}

/**
 * samples_close() - end the text
 * @samples: which; the file has all of it afterwards, or is as it was
 *
 * Return: NULL or a reason.
 */
const char *samples_close(struct samples *samples)
{
	const char *path;
	int error;

	if (samples->openmetrics)
		fputs("# EOF\n", samples->to);
	if (!samples->file)
		return NULL;
	path = temporary(samples);
	error = ferror(samples->to) ? EIO : 0;
	if (fclose(samples->to))
		error = errno;
	if (!error && rename(path, samples->file))
		error = errno;
	if (!error)
		return NULL;
	unlink(path);
	return trouble("%s: %s", samples->file, strerror(error));
}

/*
 * In Prometheus' own format a family has the name of its samples, and there is
 * no type for constants.
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

/* @ending: of the name, where the type leaves a choice; else "" */
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

/* What is not known, NULL or "", is no label. */
void sample_label(struct samples *samples, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	fprintf(samples->to, "%c%s=\"", samples->labels++ ? ',' : '{', name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', samples->to);
		fputc(*value, samples->to);
	}
	fputc('"', samples->to);
}

/* Several at once, as these here have written them before, to a text alone. */
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

/* In seconds: formats of metrics know no other unit of time. */
void sample_ms(struct samples *samples, long long ms)
{
	end_labels(samples);
	fprintf(samples->to, "%lld.%03lld\n", ms / 1000, ms % 1000);
}

void sample_ratio(struct samples *samples, double ratio)
{
	end_labels(samples);
	if (isinf(ratio))
		fputs("+Inf\n", samples->to);
	else
		fprintf(samples->to, "%.4f\n", ratio);
}
