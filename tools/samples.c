// SPDX-License-Identifier: GPL-2.0-only
/*
 * Samples of metrics in the text format of Prometheus, or in the stricter one
 * of OpenMetrics. A sample is begun, given labels, and ended by its value.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listenq.h"

/* Return: NULL or a reason. */
const char *samples_open(struct samples *samples)
{
	struct stat stat;

	samples->to = stdout;
	if (!samples->file)
		return NULL;
	/* Its name is going to be taken: not that of a device. */
	if (!lstat(samples->file, &stat) && !S_ISREG(stat.st_mode))
		return trouble("%s: is there, and is no regular file",
			       samples->file);
	samples->to = open_memstream(&samples->text, &samples->size);
	if (!samples->to)
		die("not enough memory");
	return NULL;
}

/* 0 or an errno. Nobody interrupts it: see below. */
static int write_all(int fd, const char *text, size_t size)
{
	ssize_t written;

	for (; size; text += written, size -= written) {
		written = write(fd, text, size);
		if (written < 0)
			return errno;
	}
	return 0;
}

/*
 * Written beside it, so that it can take the name, with an ending that nobody
 * reads, and a name that no other run has, which could publish the half of it.
 * Who stops the program waits until that name is gone; what SIGKILL leaves is in
 * nobody's way. 0 or an errno.
 */
static int write_file(const char *name, const char *text, size_t size)
{
	mode_t mask = umask(0);
	sigset_t all, before;
	int fd, error;
	char *path;

	umask(mask);
	if (asprintf(&path, "%s.XXXXXX.tmp", name) < 0)
		die("not enough memory");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkostemps(path, strlen(".tmp"), O_CLOEXEC);
	error = fd < 0 ? errno : write_all(fd, text, size);
	if (!error && fchmod(fd, 0644 & ~mask))
		error = errno;
	if (fd >= 0 && close(fd) && !error)
		error = errno;
	if (!error && rename(path, name))
		error = errno;
	if (error && fd >= 0)
		unlink(path);
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(path);
	return error;
}

/**
 * samples_close() - end the text
 * @samples: which; the file has all of it afterwards, or is as it was
 *
 * Return: NULL or a reason.
 */
const char *samples_close(struct samples *samples)
{
	int error;

	if (samples->openmetrics)
		fputs("# EOF\n", samples->to);
	if (!samples->file)
		return NULL;
	if (fclose(samples->to))
		die("not enough memory");
	error = write_file(samples->file, samples->text, samples->size);
	free(samples->text);
	return error ? trouble("%s: %s", samples->file, strerror(error)) : NULL;
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

/* A family that has one sample, without labels. */
void sample_gauge(struct samples *samples, const char *name, const char *help,
		  long long count)
{
	const struct family family = { name, help, NULL, GAUGE };

	sample_begin(samples, &family, "");
	sample_count(samples, count);
	samples->family = NULL;
}
