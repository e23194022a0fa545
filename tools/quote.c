// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quote text from outside, with one function for each format: names of processes,
 * devices and namespaces, paths, arguments. Whoever chose the text must not be able
 * to make the output say anything else. The shell's completion does its own quoting
 * (listenq.bash).
 */

#include <string.h>

#include "listenq.h"

/*
 * What Nagios removes from a plugin's output by default: "|" ends the text and
 * begins the figures; the others act on a shell, which gets the text for
 * notifications.
 */
#define PLUGIN_SPECIAL	"`~$&|'\"<>"

static bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/*
 * Write each byte that is not printable ASCII, or is in @special, as a backslash and
 * three octal digits, as in the kernel's files. Cuts off what has no room.
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
 * @to: written to; what has no room is cut off
 * @size: of @to, in bytes
 * @from: the string
 *
 * Return: @to.
 */
const char *escape(char *to, size_t size, const char *from)
{
	/* "-" alone means nothing there. */
	return quote(to, size, from, strcmp(from, "-") ? " \\" : "-");
}

/*
 * The same for a line for people, in which blanks stay. Text that was quoted before
 * stays as it is.
 */
const char *quote_line(char *to, size_t size, const char *from)
{
	return quote(to, size, from, "");
}

/* The same for what a monitoring plugin prints before its "|". */
const char *quote_plugin(char *to, size_t size, const char *from)
{
	return quote(to, size, from, PLUGIN_SPECIAL);
}

/* The value of a label of metrics, to be put between quotation marks. */
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
 * Text of HTML or XML, or an attribute's value between quotation marks. The arrow is
 * this program's own (table.c): all other text is printable ASCII by then, or made
 * so.
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

/* A JSON string with its quotation marks. */
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
