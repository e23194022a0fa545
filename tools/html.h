/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of "listenq report". report.c has the order of the page, and
 * the findings; report_lists.c has the listeners and the refused clients;
 * report_charts.c decides whose histograms are drawn, and chart.c draws them; html.c
 * writes elements, and style.c is the style sheet.
 *
 * The page is HTML and XML at once: all elements are ended, and all attributes have
 * values in quotation marks. It has no script, and loads nothing.
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

/* ---- style.c: the style sheet ---- */

extern const char style_sheet[];

/* ---- chart.c: a histogram ---- */

/**
 * struct chart_text - the words of a chart
 * @listener: the listener's name
 * @title: what was measured
 * @axis: the label of the time axis
 * @one: what is counted, in the singular
 * @many: and in the plural
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
 * @to: written to
 * @outcome: what was found
 * @scope: the namespaces that were asked for
 * @filter: the listeners that were asked for
 * @form: the options
 * @first: for each listener of the snapshot, the number of its first finding, from 1
 *	on; 0 where it has none
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
