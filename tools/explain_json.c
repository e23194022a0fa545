// SPDX-License-Identifier: GPL-2.0-only
/* Print what listenq explain finds as one JSON object. */

#include <jansson.h>
#include <string.h>

#include "explain.h"

static const char * const kind_names[KINDS] = {
	[EVIDENCE] = "evidence", [CAUSE] = "cause", [NOW] = "now",
	[FOR_GOOD] = "for_good",
};

static void add(json_t *object, const char *name, json_t *value)
{
	if (!object || !value || json_object_set_new(object, name, value))
		die("not enough memory");
}

static json_t *text_of(const char *text)
{
	return text && strcmp(text, "-") ? json_string(text) : json_null();
}

/* Lines as an array of strings; for what to do, commands and sentences apart. */
static json_t *lines_of(const struct report *report, enum kind kind,
			bool commands)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->lines; i++)
		if (report->line[i].kind == kind &&
		    report->line[i].command == commands &&
		    json_array_append_new(array,
					  json_string(report->line[i].text)))
			die("not enough memory");
	return array;
}

static json_t *report_object(const struct report *report)
{
	const struct listener *listener = report->listener;
	long long pid = listener_pid(listener);
	json_t *object = json_object(), *advice;

	add(object, "finding", json_string(report->finding));
	add(object, "harm", json_string(harm_names[report->harm]));
	add(object, "netns", text_of(listener->netns));
	add(object, "local", text_of(listener->word[LOCAL]));
	add(object, "cookie", text_of(listener->word[COOKIE]));
	add(object, "pid", pid == UNKNOWN ? json_null() : json_integer(pid));
	add(object, "comm", text_of(listener_comm(listener)));
	add(object, "headline", json_string(headline_of(report)));
	for (int kind = EVIDENCE; kind <= CAUSE; kind++)
		add(object, kind_names[kind], lines_of(report, kind, false));
	for (int kind = NOW; kind < KINDS; kind++) {
		advice = json_object();
		add(advice, "text", lines_of(report, kind, false));
		add(advice, "commands", lines_of(report, kind, true));
		add(object, kind_names[kind], advice);
	}
	return object;
}

static json_t *unknown_object(const struct unknown *unknown)
{
	json_t *object = json_object();

	add(object, "name", json_string(unknown->name));
	add(object, "text", json_string(unknown->text));
	return object;
}

/* Print one object at a time: a million of them would take too much memory. */
static void print(json_t *object, bool first)
{
	fputs(first ? "\n  " : ",\n  ", stdout);
	json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
	json_decref(object);
}

/* Print everything as one object. */
void explain_json(const struct outcome *outcome)
{
	size_t i;

	printf("{\n \"listeners\": %zu,\n \"unknown\": [", outcome->count);
	for (i = 0; i < outcome->unknowns; i++)
		print(unknown_object(&outcome->unknown[i]), !i);
	fputs("],\n \"findings\": [", stdout);
	for (i = 0; i < outcome->reports; i++)
		print(report_object(&outcome->report[i]), !i);
	fputs("]\n}\n", stdout);
}
