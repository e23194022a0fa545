// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text from outside, one function for each format that it goes into: names of
 * processes, devices and namespaces, paths, arguments. Whoever chose it must
 * not be able to say anything but that text. The shell's completion quotes for
 * itself (listenq.bash).
 */

#include <string.h>

#include "listenq.h"

/*
 * What Nagios takes out of a plugin's output by default: "|" ends the text and
 * begins figures, the others act on a shell, to which notifications are handed.
 */
#define PLUGIN_SPECIAL	"`~$&|'\"<>"

static bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/*
 * What is not printable ASCII, or is one of @special, stands as three octal
 * digits behind a backslash, as in the kernel's files. What has no room is left
 * out.
 */
static const char *quote(char *to, size_t size, const char *from,
			 const char *special)
{
	size_t length = 0;

	for (; *from && length + 4 < size; from++)
		if (is_printable(*from) && !strchr(special, *from))
			to[length++] = *from;
		else
			length += sprintf(to + length, "\\%03o",
					  (unsigned char)*from);
	to[length] = '\0';
	return to;
}

/**
 * escape() - write a string as a value of the kernel's files
 * @to: where, @size bytes; what has no room is left out
 * @size: see @to
 * @from: the string
 *
 * Return: @to.
 */
const char *escape(char *to, size_t size, const char *from)
{
	/* "-" by itself stands for nothing there. */
	return quote(to, size, from, strcmp(from, "-") ? " \\" : "-");
}

/*
 * The same of a line for people, whose blanks stay. A text that was quoted
 * before stays as it is.
 */
const char *quote_line(char *to, size_t size, const char *from)
{
	return quote(to, size, from, "");
}

/* The same of what a plugin of a monitoring system prints before its "|". */
const char *quote_plugin(char *to, size_t size, const char *from)
{
	return quote(to, size, from, PLUGIN_SPECIAL);
}

/* The value of a label, to be put between quotation marks, in metrics. */
void quote_label(FILE *to, const char *value)
{
	for (; *value; value++)
		if (*value == '"' || *value == '\\')
			fprintf(to, "\\%c", *value);
		else if (is_printable(*value))
			fputc(*value, to);
		else
			fprintf(to, "\\\\%03o", (unsigned char)*value);
}

/*
 * Text of HTML or XML, or a value of an attribute between quotation marks. The arrow is
 * this program's own (table.c): all other text is printable ASCII by then, or made so.
 */
void quote_html(FILE *to, const char *value)
{
	static const char arrow[] = "→";

	for (; *value; value++)
		if (strchr("&<>\"'", *value))
			fprintf(to, "&#%d;", *value);
		else if (is_printable(*value))
			putc_unlocked(*value, to);
		else if (!strncmp(value, arrow, strlen(arrow)))
			value += fprintf(to, "%s", arrow) - 1;
		else
			fprintf(to, "\\%03o", (unsigned char)*value);
}

/* A string of JSON's, with its quotation marks. */
void quote_json(FILE *to, const char *value)
{
	putc_unlocked('"', to);
	for (; *value; value++)
		if (*value == '"' || *value == '\\')
			fprintf(to, "\\%c", *value);
		else if (is_printable(*value))
			putc_unlocked(*value, to);
		else
			fprintf(to, "\\u%04X", (unsigned char)*value);
	putc_unlocked('"', to);
}
