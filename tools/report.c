// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq report: what explain finds, and the figures behind it, as one page that
 * can be attached to a ticket. What is wrong comes first, then the figures.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "html.h"

/* How many findings the page has, and how many of these are unfolded. */
#define FINDINGS_MAX	500
#define FINDINGS_OPEN	10
/* How many namespaces are named. */
#define NAMES_MAX	20

/* The number of a listener's first finding, from 1 on; 0: it has none. */
size_t page_finding(const struct page *page, const struct listener *listener)
{
	return page->first[listener - page->outcome->snapshot->listener];
}

/* A finding that its listener was closed is not about a listener that exists. */
static bool is_closed(const struct report *report)
{
	return !strcmp(report->finding, "closed");
}

static void find_first(struct page *page)
{
	const struct outcome *outcome = page->outcome;

	page->first = calloc(outcome->snapshot->count + 1,
			     sizeof(*page->first));
	if (!page->first)
		die("not enough memory");
	for (size_t i = at_most(outcome->reports, FINDINGS_MAX); i--;) {
		const struct report *report = &outcome->report[i];

		if (!is_closed(report))
			page->first[report->listener -
				    outcome->snapshot->listener] = i + 1;
	}
}

/* ---- where and when ---- */

static void put_fact(FILE *to, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put_fact(FILE *to, const char *name, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		die("not enough memory");
	va_end(args);
	html_element(to, "dt", "%s", name);
	html_element(to, "dd", "%s", *text ? text : "not known");
	putc('\n', to);
	free(text);
}

/* The only line of a file below the proc directory, to free(). */
static char *line_of(const char *name)
{
	char *text = proc_text(512, "%s", name);

	if (!text && asprintf(&text, "%s", "") < 0)
		die("not enough memory");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* "6.1.0-49-amd64 #1 SMP ...", without the builder and the compiler. */
static void put_kernel(FILE *to)
{
	static const char linux_version[] = "Linux version ";
	char *text = line_of("version"), *build = strstr(text, " #");
	const char *release = text;

	if (!strncmp(text, linux_version, strlen(linux_version)))
		release += strlen(linux_version);
	put_fact(to, "Kernel", "%.*s%s", (int)strcspn(release, " "), release,
		 build ?: "");
	free(text);
}

/* When the files were read, or saved. */
static void put_time(FILE *to)
{
	struct timespec now;
	char text[TEXT_SIZE];
	long long ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	text_clock(text, ms - proc_age_ms("net/listenq/sockets"), true);
	fprintf(to, "<dt>%s</dt><dd><time datetime=\"%s\">%s</time></dd>\n",
		proc_is_live() ? "Time" : "Saved", text, text);
}

static void put_namespaces(FILE *to, const struct page *page)
{
	const struct snapshot *snapshot = page->outcome->snapshot;
	const struct netns_list *list = &snapshot->list;
	size_t shown = at_most(list->count, NAMES_MAX), i;

	fputs("<dt>Namespaces</dt><dd>", to);
	if (page->scope->all)
		html_text(to, "all: %zu, ", list->count);
	for (i = 0; i < shown; i++)
		html_text(to, "%s%s", i ? ", " : "",
			  list->netns[i].name ?: proc_is_live() ?
			  "the one that the report was made in" :
			  "the one of the saved files");
	if (shown < list->count)
		html_text(to, " and %zu more", list->count - shown);
	fputs("</dd>\n", to);
}

static void put_facts(const struct page *page, const char *host)
{
	const struct outcome *outcome = page->outcome;
	FILE *to = page->to;

	fputs("<dl class=\"facts\">\n", to);
	put_fact(to, "Host", "%s", host);
	put_time(to);
	put_kernel(to);
	put_fact(to, "Module", "%s", outcome->snapshot->version);
	put_fact(to, "Tool", "listenq " LISTENQ_VERSION);
	put_namespaces(to, page);
	put_fact(to, "Looks", "%s", outcome->twice ?
		 "two: rates are per second between them" : "one");
	put_fact(to, "Command", "%s", page->form->command);
	fputs("</dl>\n", to);
}

/* What can't be known, and the namespaces that could not be read. */
static void put_unknowns(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	const struct snapshot *snapshot = outcome->snapshot;
	size_t shown = at_most(snapshot->unreads, NAMES_MAX), i;
	FILE *to = page->to;

	if (!outcome->unknowns && !snapshot->unreads)
		return;
	fputs("<section id=\"unknown\" class=\"unknown\"><h2>What is not known</h2>\n<ul>\n",
	      to);
	for (i = 0; i < outcome->unknowns; i++) {
		fputs("<li>", to);
		html_text(to, "%s ", outcome->unknown[i].text);
		html_element(to, "code", "[%s]", outcome->unknown[i].name);
		fputs("</li>\n", to);
	}
	for (i = 0; i < shown; i++)
		html_element(to, "li", "namespace %s left out: %s",
			     snapshot->unread[i].netns.name,
			     snapshot->unread[i].why);
	if (shown < snapshot->unreads)
		html_element(to, "li", "%zu more namespaces left out",
			     snapshot->unreads - shown);
	fputs("</ul></section>\n", to);
}

/* ---- what is wrong ---- */

/* How many listeners have a finding. */
static size_t count_listeners(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	const struct listener *first = outcome->snapshot->listener;
	bool *has = calloc(outcome->snapshot->count + 1, sizeof(*has));
	size_t count = 0;

	if (!has)
		die("not enough memory");
	for (size_t i = 0; i < outcome->reports; i++) {
		const struct report *report = &outcome->report[i];

		if (is_closed(report) || has[report->listener - first])
			continue;
		has[report->listener - first] = true;
		count++;
	}
	free(has);
	return count;
}

static void put_verdict(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	enum harm harm = outcome->reports ? outcome->report[0].harm : MAY_BE;
	size_t wrong = count_listeners(page);
	FILE *to = page->to;

	if (!outcome->reports) {
		html_element(to, outcome->count ? "p class=\"verdict good\"" :
			     "p class=\"verdict\"", "%s%s",
			     outcome->count ? "Nothing is wrong with " : "",
			     outcome->count ?
			     count_of(outcome->count, "listener", "listeners") :
			     "No listeners.");
		return;
	}
	fputs(harm >= ARE ? "<p class=\"verdict bad\">" :
	      "<p class=\"verdict warn\">", to);
	html_text(to, "%s", count_of(outcome->reports, "finding", "findings"));
	/* Listeners that were closed are not counted here. */
	if (wrong)
		html_text(to, ": something is wrong with %zu of %s", wrong,
			  count_of(outcome->count, "listener", "listeners"));
	else
		html_text(to, ": %s", headline_of(outcome->report));
	fputs("</p>\n", to);
}

static void put_line(FILE *to, const struct line *line)
{
	if (line->command)
		html_element(to, "pre", "%s", line->text);
	else
		html_element(to, "p", "%s", line->text);
}

static void put_lines(FILE *to, const struct report *report, enum kind kind)
{
	bool begun = false;

	for (size_t i = 0; i < report->lines; i++) {
		if (report->line[i].kind != kind)
			continue;
		if (!begun) {
			html_element(to, "dt", "%s", kind_labels[kind]);
			fputs("<dd>", to);
		}
		begun = true;
		put_line(to, &report->line[i]);
	}
	if (begun)
		fputs("</dd>\n", to);
}

static void put_finding(FILE *to, const struct report *report, size_t number)
{
	const struct listener *listener = report->listener;
	const char *comm = listener_comm(listener);

	fprintf(to, "<details class=\"finding %s\" id=\"finding-%zu\"%s>\n<summary>",
		report->harm >= ARE ? "bad" : "warn", number,
		number <= FINDINGS_OPEN ? " open=\"open\"" : "");
	html_element(to, "span class=\"harm\"", "%s",
		     report->harm == MAY_BE ? "clients may be lost" :
		     harm_names[report->harm]);
	fputs("<span class=\"headline\"><b>", to);
	if (listener->netns)
		html_element(to, "span class=\"netns\"", "netns %s ",
			     listener->netns);
	html_text(to, "%s%s%s", listener->word[LOCAL],
		  strcmp(comm, "-") ? " " : "", strcmp(comm, "-") ? comm : "");
	fputs("</b> ", to);
	html_text(to, "%s ", headline_of(report));
	html_element(to, "code", "[%s]", report->finding);
	fputs("</span></summary>\n<dl>\n", to);
	for (int kind = EVIDENCE; kind < KINDS; kind++)
		put_lines(to, report, kind);
	fputs("</dl></details>\n", to);
}

/* How many findings of each kind there are, if there are too many to read. */
static void put_overview(FILE *to, const struct outcome *outcome)
{
	const struct report *report = outcome->report;
	size_t count, i, j;

	fputs("<p class=\"overview\">", to);
	for (i = 0; i < outcome->reports; i++) {
		count = 0;
		for (j = 0; j < i; j++)
			if (!strcmp(report[j].finding, report[i].finding))
				break;
		if (j < i)
			continue;
		for (j = i; j < outcome->reports; j++)
			count += !strcmp(report[j].finding, report[i].finding);
		html_element(to, "span", "%s %zu", report[i].finding, count);
		putc(' ', to);
	}
	fputs("</p>\n", to);
}

static void put_findings(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	size_t shown = at_most(outcome->reports, FINDINGS_MAX);
	FILE *to = page->to;

	if (!shown)
		return;
	fputs("<section id=\"findings\"><h2>What is wrong</h2>\n", to);
	if (outcome->reports > FINDINGS_OPEN)
		put_overview(to, outcome);
	if (shown < outcome->reports)
		html_element(to, "p class=\"dim\"",
			     "The worst %zu of %zu; %zu are left out.", shown,
			     outcome->reports, outcome->reports - shown);
	fputs("<div class=\"list\">\n", to);
	for (size_t i = 0; i < shown; i++)
		put_finding(to, &outcome->report[i], i + 1);
	fputs("</div></section>\n", to);
}

/* ---- the page ---- */

static void put_page(const struct page *page)
{
	char *host = line_of("sys/kernel/hostname");

	html_begin(page->to, "listenq report", host);
	fputs("<header>\n", page->to);
	html_element(page->to, "h1", "listenq report%s%s", *host ? ": " : "",
		     host);
	put_verdict(page);
	put_facts(page, host);
	free(host);
	fputs("</header>\n<main>\n", page->to);
	put_unknowns(page);
	put_findings(page);
	page_listeners(page);
	page_charts(page);
	page_refusals(page);
	fputs("</main>\n<footer>", page->to);
	html_element(page->to, "p",
		     "This page has names of programs and addresses of clients in it. Nothing in it is loaded from anywhere.");
	fputs("</footer>\n", page->to);
	html_end(page->to);
}

/**
 * report_write() - write what was found into a file, as a page
 * @file: from file_open(); has all of the page afterwards, or is unchanged
 * @outcome: what was found
 * @scope: the namespaces that were asked for
 * @filter: the listeners that were asked for
 * @form: the options
 *
 * Return: NULL or a reason.
 */
const char *report_write(struct output_file *file,
			 const struct outcome *outcome,
			 const struct scope *scope, const struct filter *filter,
			 const struct explain_form *form)
{
	struct page page = {
		.outcome = outcome,
		.scope = scope,
		.filter = filter,
		.form = form,
	};
	char path[PATH_MAX];
	const char *why;
	char *text;
	size_t size;

	page.to = open_memstream(&text, &size);
	if (!page.to)
		die("not enough memory");
	/* Whatever the caller's terminal can show: the page declares its own encoding. */
	utf8 = true;
	find_first(&page);
	put_page(&page);
	free(page.first);
	if (fclose(page.to))
		die("not enough memory");
	/* The page has clients' addresses. */
	why = file_write(file, text, size, 0600);
	free(text);
	if (why)
		return why;
	printf("%s: %s, %s; only its owner may read it: it has clients' addresses\n",
	       quote_line(path, sizeof(path), form->page),
	       count_of(outcome->count, "listener", "listeners"),
	       count_of(outcome->reports, "finding", "findings"));
	return NULL;
}
