// SPDX-License-Identifier: GPL-2.0-only
/*
 * Elements of a page. All text goes through quote_html(), wherever it is from; tags
 * are written by this program alone.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

static void put_text(FILE *to, const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		die("not enough memory");
	quote_html(to, text);
	free(text);
}

void html_text(FILE *to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_text(to, format, args);
	va_end(args);
}

/**
 * html_element() - write an element with text in it
 * @to: written to
 * @tag: what the start tag holds: the name, and attributes
 * @format: the text, as for printf()
 */
void html_element(FILE *to, const char *tag, const char *format, ...)
{
	va_list args;

	fprintf(to, "<%s>", tag);
	va_start(args, format);
	put_text(to, format, args);
	va_end(args);
	fprintf(to, "</%.*s>", (int)strcspn(tag, " "), tag);
}

/* The class of text with that meaning; "" for ordinary text. */
const char *html_class(enum style style)
{
	static const char * const classes[STYLES] = {
		[PLAIN] = "", [DIM] = "dim", [TITLE] = "title",
		[GOOD] = "good", [WARN] = "warn", [BAD] = "bad",
		[NOTE] = "note",
	};

	return classes[style];
}

/* Keeps browsers from loading anything, even if the page asked for it. */
#define POLICY	"default-src 'none'; style-src 'unsafe-inline'"

void html_begin(FILE *to, const char *title, const char *host)
{
	static const struct {
		const char *name;
		const char *content;
	} metas[] = {
		{ "http-equiv=\"Content-Security-Policy\"", POLICY },
		{ "name=\"viewport\"", "width=device-width, initial-scale=1" },
		{ "name=\"color-scheme\"", "light dark" },
	};

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	      "<meta charset=\"utf-8\"/>\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(metas); i++)
		fprintf(to, "<meta %s content=\"%s\"/>\n", metas[i].name,
			metas[i].content);
	html_element(to, "title", "%s%s%s", host, *host ? ": " : "", title);
	fprintf(to, "\n<style>\n%s</style>\n</head>\n<body>\n", style_sheet);
}

void html_end(FILE *to)
{
	fputs("</body>\n</html>\n", to);
}
