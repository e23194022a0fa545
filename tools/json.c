// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON: an array with an object for each listener, or each namespace. An object has
 * all columns of the file by name, including those this program does not know.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "log.h"
#include "output.h"

/* How many processes that have a socket open are listed. */
#define HOLDERS_MAX	64

/* "-" is null; a number is a number, unless it is a name or too large. */
static json_t *value_of(const char *name, const char *cell)
{
	long long number;

	if (!strcmp(cell, "-"))
		return json_null();
	if (!is_word_column(name) &&
	    parse_number(cell, LLONG_MIN, LLONG_MAX, &number))
		return json_integer(number);
	return json_string(cell);
}

static void add(json_t *object, const char *name, json_t *value)
{
	if (!object || !value || json_object_set_new(object, name, value))
		die("not enough memory");
}

/* A row; null if there is none. */
static json_t *object_of(const struct place *place)
{
	const struct rows *rows = place->rows;
	json_t *object;
	const char *name;

	if (!rows)
		return json_null();
	object = json_object();
	for (size_t i = 0; i < rows->columns; i++) {
		name = rows->text + rows->column[i];
		add(object, name,
		    value_of(name, rows_cell(rows, place->row, i)));
	}
	return object;
}

static void add_netns(json_t *object, const char *netns)
{
	add(object, "netns", netns ? json_string(netns) : json_null());
}

static void add_columns(json_t *object, const struct place *place)
{
	json_t *columns = object_of(place);

	if (json_object_update(object, columns))
		die("not enough memory");
	json_decref(columns);
}

/* Print one object at a time: a million of them would take too much memory. */
static void print(json_t *object, bool first)
{
	fputs(first ? "\n " : ",\n ", stdout);
	json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
	json_decref(object);
}

/* ---- listeners: as text, since objects of 100,000 would take seconds ---- */

/* Like value_of(). */
static void put_value(const char *name, const char *cell)
{
	long long number;

	if (!strcmp(cell, "-"))
		fputs_unlocked("null", stdout);
	else if (!parse_number(cell, LLONG_MIN, LLONG_MAX, &number) ||
		 is_word_column(name))
		quote_json(stdout, cell);
	else if (*cell == '0' || *cell == '-')
		printf("%lld", number);
	else
		fputs_unlocked(cell, stdout);
}

static void put_number(long long number)
{
	if (number == UNKNOWN)
		fputs_unlocked("null", stdout);
	else
		printf("%lld", number);
}

/* Put a name, after a comma unless it is the @first. */
static void put_name(const char *name, bool first)
{
	if (!first)
		fputs_unlocked(", ", stdout);
	quote_json(stdout, name);
	fputs_unlocked(": ", stdout);
}

/* What a listener's object has besides the columns of its row. */
static const char * const besides[] = {
	"netns", "holder", "holder_searched", "holders", "unit", "container",
	"engine", "pod_uid", "waits", "handshakes",
};

static bool is_besides(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(besides); i++)
		if (*besides[i] == *name && !strcmp(besides[i], name))
			return true;
	return false;
}

/* Put a row's columns. One with a name in besides[] is not the module's: skip it. */
static void put_columns(const struct place *place, bool first)
{
	const struct rows *rows = place->rows;

	for (size_t i = 0; i < rows->columns; i++) {
		const char *name = rows->text + rows->column[i];

		if (!first && is_besides(name))
			continue;
		put_name(name, first && !i);
		put_value(name, rows_cell(rows, place->row, i));
	}
}

static void put_row(const char *name, const struct place *place)
{
	put_name(name, false);
	if (!place->rows) {
		fputs_unlocked("null", stdout);
		return;
	}
	putchar_unlocked('{');
	put_columns(place, true);
	putchar_unlocked('}');
}

static void put_process(int pid, const char *comm)
{
	printf("{\"pid\": %d, \"comm\": ", pid);
	quote_json(stdout, comm);
}

static void put_text(const char *name, const char *text)
{
	put_name(name, false);
	if (*text)
		quote_json(stdout, text);
	else
		fputs_unlocked("null", stdout);
}

/* What the first process that has the socket open belongs to. */
static void put_membership(const struct membership *membership)
{
	static const struct membership none;

	if (!membership)
		membership = &none;
	put_text("unit", membership->unit);
	put_text("container", membership->container);
	put_text("engine", membership->engine);
	put_text("pod_uid", membership->pod);
}

/*
 * The processes that have the socket open: the first one, all in a list, and whether
 * all processes were searched.
 */
static void put_holder(const struct holder *holder)
{
	put_membership(holder->membership);
	put_name("holder_searched", false);
	fputs_unlocked(holder->searched ? "true" :
		       holder->found_ms || holder->unsearched ? "false" :
		       "null", stdout);
	put_name("holder", false);
	if (!holder->pid) {
		fputs_unlocked("null", stdout);
		put_name("holders", false);
		fputs_unlocked("[]", stdout);
		return;
	}
	put_process(holder->pid, holder->comm);
	printf(", \"others\": %u}", holder->others);
	put_name("holders", false);
	putchar_unlocked('[');
	put_process(holder->pid, holder->comm);
	for (unsigned int i = 0; i < holder->others && i < HOLDERS_MAX - 1; i++) {
		fputs_unlocked("}, ", stdout);
		put_process(holder->other[i].pid, holder->other[i].comm);
	}
	fputs_unlocked("}]", stdout);
}

static void put_netns(const struct listener *listener)
{
	put_name("netns", true);
	if (listener->netns)
		quote_json(stdout, listener->netns);
	else
		fputs_unlocked("null", stdout);
}

static void put_word(const char *name, const struct listener *listener,
		     enum word word)
{
	put_name(name, false);
	put_value(name, listener->word[word]);
}

/* A Unix socket: `proto` tells it from the others, and `waits` is a column. */
static void put_unix(const struct listener *listener)
{
	const struct place *place = &listener->place[UNIX];
	const struct rows *rows = place->rows;

	put_word("proto", listener, PROTO);
	for (size_t i = 0; i < rows->columns; i++) {
		const char *name = rows->text + rows->column[i];

		if (!strcmp(name, "proto") ||
		    (is_besides(name) && strcmp(name, "waits")))
			continue;
		put_name(name, false);
		put_value(name, rows_cell(rows, place->row, i));
	}
	put_holder(&listener->holder);
	putchar_unlocked('}');
}

static void put_listener(const struct listener *listener)
{
	const struct place *place = listener->place;

	putchar_unlocked('{');
	put_netns(listener);
	if (is_unix(listener)) {
		put_unix(listener);
		return;
	}
	put_columns(&place[SOCKETS], false);
	put_holder(&listener->holder);
	put_row("waits", &place[WAITS]);
	put_row("handshakes", &place[HANDSHAKES]);
	putchar_unlocked('}');
}

static void put_share(const char *name, const struct listener *listener,
		      double share)
{
	put_name(name, false);
	fputs_unlocked("{\"cookie\": ", stdout);
	put_value("cookie", listener->word[COOKIE]);
	if (share < 0)
		fputs_unlocked(", \"share\": null}", stdout);
	else
		printf(", \"share\": %.4f}", share);
}

/* A group: sums, the members that stand out, and all members. */
static void put_group(const struct listener *listener)
{
	const struct fold *fold = listener->fold;
	const struct listener *fullest = fold->fullest;

	putchar_unlocked('{');
	put_netns(listener);
	put_word("proto", listener, PROTO);
	put_word("local", listener, LOCAL);
	put_name("members", false);
	printf("%zu", fold->group.count);
	for (int i = 0; i < REQUESTS; i++) {
		if (!is_sum(i))
			continue;
		put_name(figure_name(i), false);
		put_number(listener->figure[i]);
	}
	put_name("fullest", false);
	fputs_unlocked("{\"cookie\": ", stdout);
	put_value("cookie", fullest->word[COOKIE]);
	put_name("acceptq", false);
	put_number(fullest->figure[ACCEPTQ]);
	put_name("limit", false);
	put_number(fullest->figure[LIMIT]);
	putchar_unlocked('}');
	put_share("busiest", fold->busiest, fold->most);
	put_share("laziest", fold->laziest, fold->least);
	put_name("listeners", false);
	putchar_unlocked('[');
	for (size_t i = 0; i < fold->group.count; i++) {
		if (i)
			fputs_unlocked(", ", stdout);
		put_listener(fold->group.listener[i]);
	}
	fputs_unlocked("]}", stdout);
}

void json_print(struct listener *const listener[], size_t count)
{
	putchar('[');
	for (size_t i = 0; i < count; i++) {
		fputs_unlocked(i ? ",\n " : "\n ", stdout);
		if (listener[i]->fold)
			put_group(listener[i]);
		else
			put_listener(listener[i]);
	}
	fputs(count ? "\n]\n" : "]\n", stdout);
}

/* ---- the rest ---- */

/* Print an object on a line of its own. */
static void print_line(json_t *object)
{
	json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(object);
}

static void add_time(json_t *object, const char *name,
		     const struct refusal *refusal)
{
	char text[TEXT_SIZE];

	refusal_time(text, refusal, true);
	add(object, name, value_of(name, text));
}

/* Refusals, one per line. */
void json_refusals(struct refusal *const refusal[], size_t count)
{
	json_t *object;

	for (size_t i = 0; i < count; i++) {
		object = json_object();
		add_netns(object, refusal[i]->listener.netns);
		add_time(object, "time", refusal[i]);
		add_columns(object, &refusal[i]->listener.place[REFUSED]);
		print_line(object);
	}
}

/* Sums of refusals, one per line. */
void json_sums(const struct sum sum[], size_t count)
{
	char network[TEXT_SIZE];
	json_t *object;

	for (size_t i = 0; i < count; i++) {
		const struct listener *listener = &sum[i].latest->listener;

		object = json_object();
		add_netns(object, listener->netns);
		add(object, "count", json_integer(sum[i].count));
		refusal_network(network, sum[i].latest);
		add(object, "network", value_of("network", network));
		add(object, "why", value_of("why", listener->word[WHY]));
		add(object, "local", value_of("local", listener->word[LOCAL]));
		add(object, "comm", value_of("comm", listener->word[COMM]));
		add_time(object, "last", sum[i].latest);
		print_line(object);
	}
}

/* Namespaces, by their totals. NULL or a reason. */
const char *json_totals(const struct snapshot *snapshot)
{
	struct listener all;
	const char *why;
	json_t *object;
	size_t i;

	putchar('[');
	for (i = 0; i < snapshot->list.count; i++) {
		why = snapshot_totals(snapshot, i, &all);
		if (why)
			return why;
		object = json_object();
		add_netns(object, all.netns);
		add_columns(object, &all.place[TOTALS]);
		print(object, !i);
	}
	fputs(i ? "\n]\n" : "]\n", stdout);
	return NULL;
}
