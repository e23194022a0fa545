// SPDX-License-Identifier: GPL-2.0-only
/* Figures in the form that people read, and messages. */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "listenq.h"

/* Room for a message, which may name a path. */
#define LINE_SIZE	(2 * PATH_MAX)

bool utf8;
void (*before_message)(void);
int (*instead_of_message)(const char *why);

/*
 * A message is one line of printable ASCII, whatever the arguments, paths and names
 * in it hold.
 */
static void format_line(char line[LINE_SIZE], const char *format, va_list args)
{
	char text[LINE_SIZE];

	vsnprintf(text, sizeof(text), format, args);
	quote_line(line, LINE_SIZE, text);
}

/* Keep the reason of a failure, for the caller to pass on. */
const char *trouble(const char *format, ...)
{
	static char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	format_line(line, format, args);
	va_end(args);
	return line;
}

/* Write a line to standard error, after everything that was printed before. */
static void tell_args(const char *format, va_list args)
{
	char line[LINE_SIZE];

	format_line(line, format, args);
	if (before_message)
		before_message();
	fflush(stdout);
	fprintf(stderr, "listenq: %s\n", line);
}

void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_args(format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	if (instead_of_message) {
		format_line(line, format, args);
		exit(instead_of_message(line));
	}
	tell_args(format, args);
	va_end(args);
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

void pause_for(double seconds)
{
	struct timespec pause = { .tv_sec = seconds };

	pause.tv_nsec = (seconds - pause.tv_sec) * 1e9;
	nanosleep(&pause, NULL);
}

/* The number of columns on a terminal: all characters that are shown have one. */
size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

/* Cut to @width columns, the last of which shows that text was cut. */
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
	/* The mark can have more bytes than it replaces. */
	if ((size_t)(at - text) + strlen(more) < TEXT_SIZE)
		strcpy(at, more);
	else
		*at = '\0';
}

/*
 * Add figures, which may be any numbers with --proc. UNKNOWN if one of them is; the
 * largest number if the sum exceeds it.
 */
long long add_figures(long long sum, long long more)
{
	if (sum == UNKNOWN || more == UNKNOWN)
		return UNKNOWN;
	if (__builtin_add_overflow(sum, more, &sum))
		return more < 0 ? -LLONG_MAX : LLONG_MAX;
	return sum;
}

/* At most five columns; rounded down, so that nothing looks larger than it is. */
void text_count(char text[TEXT_SIZE], long long count)
{
	static const char units[] = "\0kMGTPE";
	long long whole = count, tenths = 0;
	const char *unit = units;

	if (count == UNKNOWN) {
		strcpy(text, "-");
		return;
	}
	while (llabs(whole) >= (*unit ? 1000 : 100000)) {
		tenths = llabs(whole) / 100 % 10;
		whole /= 1000;
		unit++;
	}
	if (!*unit)
		snprintf(text, TEXT_SIZE, "%lld", whole);
	else if (llabs(whole) < 10)
		snprintf(text, TEXT_SIZE, "%lld.%lld%c", whole, tenths, *unit);
	else
		snprintf(text, TEXT_SIZE, "%lld%c", whole, *unit);
}

/* At most five columns, up to 273 years. */
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

/* The same for microseconds. */
void text_us(char text[TEXT_SIZE], long long us)
{
	if (us == UNKNOWN || us >= 10000)
		text_time(text, us == UNKNOWN ? us : us / 1000);
	else if (us < 1000)
		snprintf(text, TEXT_SIZE, "%lldus", us);
	else
		snprintf(text, TEXT_SIZE, "%lld.%lldms", us / 1000,
			 us / 100 % 10);
}

/* In seconds, in full; @second: how many units make a second. */
void text_seconds(char text[TEXT_SIZE], long long count, long long second)
{
	snprintf(text, TEXT_SIZE, "%lld.%0*lld", count / second,
		 second == 1000 ? 3 : 6, count % second);
}

/*
 * A time in ms since the Epoch: in local time for people, or in UTC as in RFC 3339.
 * "-" before the Epoch, or in a year without four digits.
 */
void text_clock(char text[TEXT_SIZE], long long ms, bool rfc3339)
{
	time_t second = ms / 1000;
	struct tm tm;

	if (ms < 0 || !(rfc3339 ? gmtime_r : localtime_r)(&second, &tm) ||
	    tm.tm_year > 9999 - 1900) {
		strcpy(text, "-");
		return;
	}
	strftime(text, TEXT_SIZE, rfc3339 ? "%Y-%m-%dT%H:%M:%S" :
		 "%m-%d %H:%M:%S", &tm);
	sprintf(text + strlen(text), ".%03lld%s", ms % 1000,
		rfc3339 ? "Z" : "");
}

void text_rate(char text[TEXT_SIZE], double rate)
{
	if (rate < 0)
		strcpy(text, "-");
	else if (rate > 0 && rate < 9.95)
		snprintf(text, TEXT_SIZE, "%.1f", rate);
	else	/* llround() has no larger result */
		text_count(text, rate < 9e18 ? llround(rate) : LLONG_MAX);
}

/*
 * A bar of @width columns. It is full only if @filled is 1, and empty only if
 * @filled is 0.
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

/* One column of a graph; blank if the level is unknown (negative). */
void text_level(char text[TEXT_SIZE], double level)
{
	static const char * const blocks[] = {
		"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█",
	};
	static const char * const ascii[] = {
		".", "_", "-", "=", "+", "*", "%", "@", "#",
	};
	int step = level >= 1 ? 8 : level > 0 ? 1 + (int)(level * 7.999) : 0;

	strcpy(text, level < 0 ? " " : (utf8 ? blocks : ascii)[step]);
}

/* Decimal digits and nothing else, with a sign only if @min is negative. */
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
