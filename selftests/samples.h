/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of listenq -m share: samples in what it has printed. */
#ifndef LISTENQ_SELFTEST_SAMPLES_H
#define LISTENQ_SELFTEST_SAMPLES_H

#include <math.h>

#include "tool.h"

/*
 * The value of the only sample of @name whose labels have @labels in them; NAN
 * where there is none.
 */
static inline double sample(const char *name, const char *labels)
{
	size_t length = strlen(name);
	double value = NAN;
	char line[1024];

	for (const char *at = output; *at; at += strcspn(at, "\n") + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"),
			 at);
		if (strncmp(line, name, length) ||
		    (line[length] != ' ' && line[length] != '{') ||
		    !strstr(line, labels))
			continue;
		if (!isnan(value))
			errx(1, "two samples: %s %s", name, labels);
		value = atof(strrchr(line, ' ') + 1);
	}
	return value;
}

/* How many samples of @name there are. */
static inline int samples(const char *name)
{
	size_t length = strlen(name);
	int count = 0;

	for (const char *at = output; *at; at += strcspn(at, "\n") + 1)
		count += !strncmp(at, name, length) &&
			 (at[length] == '{' || at[length] == ' ');
	return count;
}

#endif
