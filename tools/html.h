/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of "listenq report" share. report.c has the page's order, and says what
 * is wrong; report_lists.c has the listeners, and who was turned away; report_charts.c says
 * whose histograms are drawn, which chart.c does; html.c writes elements, and style.c is
 * how they look.
 *
 * The page is HTML that is XML as well: elements are ended, attributes have values in
 * quotation marks. It has no script, and nothing in it is loaded from anywhere.
 */
#ifndef LISTENQ_TOOL_HTML_H
#define LISTENQ_TOOL_HTML_H

#include "explain.h"

/* ---- html.c: elements ---- */

void html_begin(FILE *to, const char *title, const char *host);
void html_end(FILE *to);
void html_text(FILE *to, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void html_element(FILE *to, const char *tag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *html_class(enum style style);

/* ---- style.c: how they look ---- */

extern const char style_sheet[];

/* ---- chart.c: a histogram ---- */

/**
 * struct chart_text - what a chart says besides its counts
 * @listener: whose times they are
 * @title: what they are
 * @axis: what took that time
 * @one: what was counted, of one of them
 * @many: the same of several
 */
struct chart_text {
	const char *listener;
	const char *title;
	const char *axis;
	const char *one;
	const char *many;
};

void chart_put(FILE *to, const struct histogram *histogram,
	       const struct chart_text *text);

/* ---- report.c, report_lists.c, report_charts.c: the page ---- */

/**
 * struct page - a page under way
 * @to: where it goes
 * @outcome: what it is about
 * @scope: which namespaces were asked for
 * @filter: which listeners there
 * @form: how
 * @first: of each listener of the snapshot, which finding is its first, counted from
 *	1; 0 where there is none
 */
struct page {
	FILE *to;
	const struct outcome *outcome;
	const struct scope *scope;
	const struct filter *filter;
	const struct explain_form *form;
	size_t *first;
};

size_t page_finding(const struct page *page, const struct listener *listener);
void page_listeners(const struct page *page);
void page_refusals(const struct page *page);
void page_charts(const struct page *page);

#endif /* LISTENQ_TOOL_HTML_H */
