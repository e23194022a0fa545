// SPDX-License-Identifier: GPL-2.0-only
/* Print what listenq explain finds as text for people. */

#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "sink.h"

/* The columns where texts and commands begin. */
#define LABEL		10
/* The limits of a line's length, for easy reading. */
#define WIDTH		80
#define WIDTH_MIN	40

static unsigned int width(void)
{
	unsigned int width = sink_width();

	if (!width || width > WIDTH)
		return WIDTH;
	return width < WIDTH_MIN ? WIDTH_MIN : width;
}

/* The length of a command's next word, which may have blanks in quotes. */
static int word_length(const char *text)
{
	bool quoted = false;
	int length = 0;

	for (; text[length] && (quoted || text[length] != ' '); length++)
		if (text[length] == '\'')
			quoted = !quoted;
		else if (!quoted && text[length] == '\\' && text[length + 1])
			length++;
	return length;
}

/*
 * Print text in lines of at most width() columns, the first after @used columns, the
 * others indented by @indent. A command is broken so that it can still be pasted.
 */
static void put_wrapped(const struct sink *sink, enum style style,
			const char *text, unsigned int used,
			unsigned int indent, bool is_command)
{
	unsigned int end = width() - (is_command ? 2 : 0);
	bool first = true;

	for (; *text; text += strspn(text, " ")) {
		int length = is_command ? word_length(text) :
					  (int)strcspn(text, " ");

		if (!first && used + 1 + length > end) {
			sink_print(sink, PLAIN, "%s\n%*s",
				   is_command ? " \\" : "", indent, "");
			used = indent;
			first = true;
		}
		if (!first)
			used += sink_print(sink, PLAIN, " ");
		first = false;
		/* No more at a time than sink_print() can take. */
		for (int more; length; text += more, length -= more) {
			more = at_most(length, TEXT_SIZE);
			used += sink_print(sink, style, "%.*s", more, text);
		}
	}
	sink_end_line(sink);
}

static void put_lines(const struct sink *sink, const struct report *report,
		      enum kind kind, const char *label)
{
	for (size_t i = 0; i < report->lines; i++) {
		const struct line *line = &report->line[i];
		unsigned int indent = LABEL + (line->command ? 2 : 0);

		if (line->kind != kind)
			continue;
		sink_print(sink, DIM, "%-*s", indent, label);
		label = "";
		put_wrapped(sink, line->command ? NOTE : PLAIN, line->text,
			    indent, indent + (line->command ? 2 : 0),
			    line->command);
	}
}

static void put_head(const struct sink *sink, enum style style,
		     const struct listener *listener, const char *headline,
		     const char *name)
{
	const char *comm = listener_comm(listener);
	char *text;

	if (asprintf(&text, "%s%s%s%s%s%s: %s%s%s%s",
		     listener->netns ? "netns " : "", listener->netns ?: "",
		     listener->netns ? " " : "", listener->word[LOCAL],
		     strcmp(comm, "-") ? " " : "",
		     strcmp(comm, "-") ? comm : "", headline,
		     name ? " [" : "", name ?: "", name ? "]" : "") < 0)
		die("not enough memory");
	put_wrapped(sink, style, text, 0, 2, false);
	free(text);
}

static void put_report(const struct sink *sink, const struct report *report)
{
	put_head(sink, report->harm >= ARE ? BAD : WARN, report->listener,
		 headline_of(report), report->finding);
	for (int kind = EVIDENCE; kind < KINDS; kind++)
		put_lines(sink, report, kind, kind_labels[kind]);
	sink_end_line(sink);
}

static void put_well(const struct sink *sink, const struct listener *listener)
{
	const long long *figure = listener->figure;

	put_head(sink, GOOD, listener, "nothing is wrong", NULL);
	sink_print(sink, DIM, "%-*s", LABEL, "seen");
	if (is_unix(listener))
		sink_print(sink, PLAIN, "accept queue %s of %s, EAGAINs %s",
			   number_of(figure[ACCEPTQ]), number_of(figure[LIMIT]),
			   number_of(figure[EAGAINS]));
	else
		sink_print(sink, PLAIN,
			   "accept queue %s of %s, SYN queue %s, overflows %s",
			   number_of(figure[ACCEPTQ]), number_of(figure[LIMIT]),
			   number_of(figure[SYNQ]), number_of(figure[OVERFLOWS]));
	sink_end_line(sink);
	sink_end_line(sink);
}

/*
 * How many of the listeners asked for have no report, though they were looked at as
 * often as others; @show: print them.
 */
static size_t count_well(const struct outcome *outcome, bool show,
			 const struct sink *sink)
{
	const struct listener *first = outcome->snapshot->listener;
	size_t listeners = outcome->snapshot->count, well = 0, i;
	bool *reported = calloc(listeners + 1, sizeof(*reported));

	if (!reported)
		die("not enough memory");
	for (i = 0; i < outcome->reports; i++)
		if (strcmp(outcome->report[i].finding, "closed"))
			reported[outcome->report[i].listener - first] = true;
	for (i = 0; i < outcome->count; i++) {
		if (reported[outcome->chosen[i] - first] ||
		    (outcome->twice && !outcome->chosen[i]->before))
			continue;
		well++;
		if (show)
			put_well(sink, outcome->chosen[i]);
	}
	free(reported);
	return well;
}

/**
 * explain_text() - print what was found as text for people
 * @outcome: everything that was found
 * @verbose: name the listeners that nothing is wrong with, too
 */
void explain_text(const struct outcome *outcome, bool verbose)
{
	const struct sink sink = sink_stdout();
	size_t well, i;

	for (i = 0; i < outcome->unknowns; i++)
		put_wrapped(&sink, WARN, outcome->unknown[i].text, 0, 0, false);
	if (outcome->unknowns)
		sink_end_line(&sink);
	for (i = 0; i < outcome->reports; i++)
		put_report(&sink, &outcome->report[i]);
	well = count_well(outcome, verbose, &sink);
	if (!outcome->count)
		sink_print(&sink, PLAIN, "no listeners\n");
	else if (well)
		sink_print(&sink, outcome->reports ? PLAIN : GOOD,
			   "Nothing is wrong with %s.\n",
			   well == outcome->count ?
			   count_of(well, "listener", "listeners") :
			   well == 1 ? "the other listener" :
			   count_of(well, "other", "others"));
}
