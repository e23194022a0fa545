// SPDX-License-Identifier: GPL-2.0-only
/* Where text for people is written, and how wide it may be. */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sink.h"

static void put_plain(const struct sink *sink, enum style style,
		      const char *text)
{
	(void)style;
	fputs(text, sink->to);
}

static void put_colour(const struct sink *sink, enum style style,
		       const char *text)
{
	static const char * const codes[STYLES] = {
		[DIM] = "2", [TITLE] = "1", [GOOD] = "32", [WARN] = "33",
		[BAD] = "1;31", [NOTE] = "36",
	};

	if (codes[style] && *text)
		fprintf(sink->to, "\033[%sm%s\033[0m", codes[style], text);
	else
		fputs(text, sink->to);
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term &&
	       strcmp(term, "dumb");
}

/* A sink for standard output. */
struct sink sink_stdout(void)
{
	return (struct sink) {
		.put = wants_colour() ? put_colour : put_plain,
		.to = stdout,
	};
}

/* COLUMNS, else the terminal's width, else 0: unlimited. */
unsigned int sink_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long long width;

	if (columns && parse_number(columns, 1, 10000, &width))
		return width;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return size.ws_col;
	return 0;
}

/* Return: how many columns were used. */
unsigned int sink_print(const struct sink *sink, enum style style,
			const char *format, ...)
{
	char text[2 * TEXT_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->put(sink, style, text);
	return text_width(text);
}

/* A number in full, after @before. Return: how many columns were used. */
unsigned int sink_number(const struct sink *sink, enum style style,
			 const char *before, long long number,
			 unsigned int width)
{
	unsigned int used = sink_print(sink, PLAIN, "%s", before);

	if (number == UNKNOWN)
		return used + sink_print(sink, DIM, "%*s", width, "-");
	return used + sink_print(sink, style, "%*lld", width, number);
}

/* Text in @width columns, which are less than TEXT_SIZE; cut if it is too long. */
void sink_padded(const struct sink *sink, enum style style, char *text,
		 unsigned int width, bool left)
{
	char blanks[TEXT_SIZE];
	unsigned int missing;

	text_cut(text, width);
	missing = width - text_width(text);
	memset(blanks, ' ', missing);
	blanks[missing] = '\0';
	if (!left)
		sink->put(sink, PLAIN, blanks);
	sink->put(sink, style, text);
	if (left)
		sink->put(sink, PLAIN, blanks);
}

/* A label at the beginning of a line, in INDENT columns. */
unsigned int sink_label(const struct sink *sink, const char *label)
{
	return sink_print(sink, DIM, "%-*s", INDENT, label);
}

void sink_end_line(const struct sink *sink)
{
	sink->put(sink, PLAIN, "\n");
}
