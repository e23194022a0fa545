/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of "listenq explain" share: what it finds, and how it says so. */
#ifndef LISTENQ_SELFTEST_EXPLANATION_H
#define LISTENQ_SELFTEST_EXPLANATION_H

#include "tool.h"

/* The names of the findings in the output, which is JSON, set apart by blanks. */
static inline const char *found(void)
{
	static const char key[] = "\"finding\": \"";
	static char names[1024];
	size_t length = 0;

	*names = '\0';
	for (const char *at = strstr(output, key); at; at = strstr(at, key)) {
		at += strlen(key);
		length += snprintf(names + length, sizeof(names) - length,
				   "%s%.*s", length ? " " : "",
				   (int)strcspn(at, "\""), at);
		if (length >= sizeof(names))
			errx(1, "more findings than there can be");
	}
	return names;
}

/* The output without line breaks and the blanks behind them. */
static inline const char *unwrapped(void)
{
	static char text[sizeof(output)];
	char *to = text;

	for (const char *at = output; *at; at++) {
		if (*at == ' ' && to > text && to[-1] == ' ')
			continue;
		*to++ = *at == '\n' ? ' ' : *at;
	}
	*to = '\0';
	return text;
}

/* Whether each line of the output fits, and is printable ASCII. */
static inline bool fits(size_t width)
{
	size_t length;

	for (const char *line = output; *line;
	     line += length + (line[length] == '\n')) {
		length = strcspn(line, "\n");
		for (size_t i = 0; i < length; i++)
			if (line[i] < ' ' || line[i] > '~')
				return false;
		if (length > width) {
			printf("# %zu columns: %.*s\n", length, (int)length,
			       line);
			return false;
		}
	}
	return true;
}

#endif
