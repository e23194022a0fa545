// SPDX-License-Identifier: GPL-2.0-only
/* Figures as people read them, and how to tell them what went wrong. */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "listenq.h"

bool utf8;

/* The reason of a failure, for the caller to pass on. */
const char *trouble(const char *format, ...)
{
	static char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("listenq: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(TROUBLE);
}

void *allocate(void *old, size_t count, size_t size)
{
	void *memory = reallocarray(old, count ? count : 1, size);

	if (!memory)
		die("not enough memory for %zu times %zu bytes", count, size);
	return memory;
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/**
 * escape() - write a string as the kernel's files do
 * @to: where, @size bytes; what has no room is left out
 * @size: see @to
 * @from: the string
 *
 * Return: @to.
 */
const char *escape(char *to, size_t size, const char *from)
{
	bool dash = !strcmp(from, "-");
	size_t length = 0;

	for (; *from && length + 4 < size; from++)
		if (*from > ' ' && *from <= '~' && *from != '\\' && !dash)
			to[length++] = *from;
		else
			length += sprintf(to + length, "\\%03o",
					  (unsigned char)*from);
	to[length] = '\0';
	return to;
}

/* Columns on a terminal: all that is ever shown is one column wide. */
size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

/* Leaves @width columns, the last of which says that there was more. */
void text_cut(char *text, size_t width)
{
	const char *more = utf8 ? "…" : "~";
	char *at = text;

	if (text_width(text) <= width)
		return;
	if (!width) {
		*text = '\0';
		return;
	}
	for (width--; width; width--)
		do
			at++;
		while ((*at & 0xc0) == 0x80);
	/* What is cut off is at least as long as one column of text. */
	if ((size_t)(at - text) + strlen(more) < TEXT_SIZE)
		strcpy(at, more);
	else
		*at = '\0';
}

/* At most five columns; rounded down, so that nothing looks larger. */
void text_count(char text[TEXT_SIZE], long long count)
{
	static const char units[] = "kMGTPE";
	const char *unit = units - 1;
	long long whole = count, tenths = 0;

	if (count == UNKNOWN) {
		strcpy(text, "-");
		return;
	}
	while (llabs(whole) >= (unit < units ? 100000 : 1000)) {
		tenths = llabs(whole) / 100 % 10;
		whole /= 1000;
		unit++;
	}
	if (unit < units)
		snprintf(text, TEXT_SIZE, "%lld", whole);
	else if (llabs(whole) < 10)
		snprintf(text, TEXT_SIZE, "%lld.%lld%c", whole, tenths, *unit);
	else
		snprintf(text, TEXT_SIZE, "%lld%c", whole, *unit);
}

/* At most five columns, for 273 years. */
void text_time(char text[TEXT_SIZE], long long ms)
{
	long long s = ms / 1000;

	if (ms == UNKNOWN)
		strcpy(text, "-");
	else if (ms < 1000)
		snprintf(text, TEXT_SIZE, "%lldms", ms);
	else if (s < 10)
		snprintf(text, TEXT_SIZE, "%lld.%llds", s, ms / 100 % 10);
	else if (s < 100)
		snprintf(text, TEXT_SIZE, "%llds", s);
	else if (s < 100 * 60)
		snprintf(text, TEXT_SIZE, "%lldm", s / 60);
	else if (s < 100 * 60 * 60)
		snprintf(text, TEXT_SIZE, "%lldh", s / 60 / 60);
	else
		snprintf(text, TEXT_SIZE, "%lldd", s / 60 / 60 / 24);
}

void text_rate(char text[TEXT_SIZE], double rate)
{
	if (rate < 0)
		strcpy(text, "-");
	else if (rate > 0 && rate < 9.95)
		snprintf(text, TEXT_SIZE, "%.1f", rate);
	else
		text_count(text, llround(rate));
}

/*
 * A bar of @width columns. It is only full where @filled is 1, and only empty
 * where @filled is 0.
 */
void text_bar(char text[TEXT_SIZE], double filled, unsigned int width)
{
	static const char * const blocks[] = {
		"·", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█",
	};
	static const char * const ascii[] = { ".", "-", "#" };
	const char * const *parts = utf8 ? blocks : ascii;
	unsigned int steps = utf8 ? 8 : 2;
	unsigned int all = width * steps;
	unsigned int on, i;
	char *at = text;

	if (width > (TEXT_SIZE - 1) / strlen("█")) {
		width = (TEXT_SIZE - 1) / strlen("█");
		all = width * steps;
	}
	if (filled >= 1) {
		on = all;
	} else {
		on = filled * all;
		if (filled > 0 && !on)
			on = 1;
		if (on == all && all)
			on--;
	}
	for (i = 0; i < width; i++) {
		unsigned int part = on < steps ? on : steps;

		on -= part;
		at = stpcpy(at, parts[part]);
	}
	*at = '\0';
}

/* Decimal digits and nothing else, a sign where @min allows for one. */
bool parse_number(const char *text, long long min, long long max,
		  long long *number)
{
	const char *digits = text + (min < 0 && *text == '-');
	char *end;

	if (!*digits || digits[strspn(digits, "0123456789")])
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return !errno && *number >= min && *number <= max;
}

/* From a tenth of a second to an hour. */
bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	if (!*text || text[strspn(text, "0123456789.")])
		return false;
	*seconds = strtod(text, &end);
	return !*end && *seconds >= 0.1 && *seconds <= 3600;
}
