// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON: an array with an object per listener, which has all columns of the
 * file by name, those too that this program knows nothing of.
 */

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "listenq.h"

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

static json_t *object_of(const struct rows *rows, size_t row)
{
	json_t *object = json_object();
	const char *name;

	for (size_t i = 0; i < rows->columns; i++) {
		name = rows->text + rows->column[i];
		add(object, name, value_of(name, rows_cell(rows, row, i)));
	}
	return object;
}

/* Who has the socket open, where the caller of listen() is unknown. */
static json_t *holder_of(const struct holder *holder)
{
	json_t *object;

	if (!holder->pid)
		return json_null();
	object = json_object();
	add(object, "pid", json_integer(holder->pid));
	add(object, "comm", json_string(holder->comm));
	add(object, "others", json_integer(holder->others));
	return object;
}

void json_print(struct listener *const listener[], size_t count)
{
	json_t *object, *columns;

	/* One by one: a million of them take no memory at once. */
	putchar('[');
	for (size_t i = 0; i < count; i++) {
		object = json_object();
		add(object, "netns", listener[i]->netns ?
		    json_string(listener[i]->netns) : json_null());
		columns = object_of(listener[i]->rows, listener[i]->row);
		if (json_object_update(object, columns))
			die("not enough memory");
		json_decref(columns);
		add(object, "holder", holder_of(&listener[i]->holder));
		add(object, "waits", listener[i]->waits ?
		    object_of(listener[i]->waits, listener[i]->waits_row) :
		    json_null());
		fputs(i ? ",\n " : "\n ", stdout);
		json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
		json_decref(object);
	}
	fputs(count ? "\n]\n" : "]\n", stdout);
}
