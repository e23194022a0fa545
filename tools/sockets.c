// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read the files of some namespaces into a snapshot: their listeners, each with its
 * rows in all files that are read, and what has changed since another snapshot.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* How long a listener's processes are kept: searching for them is expensive. */
#define HOLDER_MS	10000

/* How many unreadable namespaces have a line each. */
#define UNREADS_TOLD	8

/* Read a file whose rows are listeners: SOCKETS or UNIX. */
static const char *read_listeners(struct snapshot *snapshot, size_t index,
				  enum file file)
{
	const struct rows *rows = snapshot->rows[index][file];
	struct columns columns;
	const char *why;
	size_t i;

	find_columns(&columns, rows, file);
	if (columns.word[LOCAL] < 0)
		return trouble("%s: the header has no column '%s'",
			       procfile_path(files[file].name),
			       file == UNIX ? "path" : "local");

	snapshot->listener = allocate(snapshot->listener,
				      snapshot->count + rows->count,
				      sizeof(*snapshot->listener));
	for (i = 0; i < rows->count; i++) {
		struct listener *listener =
			&snapshot->listener[snapshot->count++];

		*listener = (struct listener) {
			.netns = snapshot->list.netns[index].name,
			.in = &snapshot->list.netns[index],
		};
		listener->place[file] = (struct place) { rows, i };
		why = parse_listener(listener, &columns);
		if (why)
			return why;
	}
	return NULL;
}

/* Identifies a listener across files and snapshots, and gives its index. */
struct entry {
	const char *netns;
	const char *cookie;
	size_t index;
};

static int by_cookie(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->netns ?: "", y->netns ?: "");

	return order ?: strcmp(x->cookie, y->cookie);
}

/*
 * Read another file with a row for each listener. If a socket began to listen, or
 * was closed, between the two reads, a row has no listener, or a listener no row:
 * that is no error.
 */
static const char *read_beside(struct snapshot *snapshot, size_t index,
			       enum file file, size_t first)
{
	const struct rows *rows = snapshot->rows[index][file];
	struct entry *entry, *found, key = { };
	const char *why = NULL;
	struct columns columns;
	size_t i;

	find_columns(&columns, rows, file);
	entry = allocate(NULL, rows->count, sizeof(*entry));
	for (i = 0; i < rows->count; i++)
		entry[i] = (struct entry) {
			.cookie = rows_cell(rows, i, columns.word[COOKIE]),
			.index = i,
		};
	qsort(entry, rows->count, sizeof(*entry), by_cookie);
	for (i = first; !why && i < snapshot->count; i++) {
		struct listener *listener = &snapshot->listener[i];
		struct place *place = &listener->place[file];

		key.cookie = listener->word[COOKIE];
		found = bsearch(&key, entry, rows->count, sizeof(*entry),
				by_cookie);
		if (!found || !strcmp(key.cookie, "-"))
			continue;
		*place = (struct place) { rows, found->index };
		why = parse_figures(place, &columns, listener->figure);
	}
	free(entry);
	return why;
}

/* Read one file; a file that an older module lacks is an error only if @must. */
static const char *read_file(struct snapshot *snapshot, size_t index,
			     enum file file, size_t first, bool must)
{
	const char *name = files[file].name, *why;

	if (files[file].optional && procfile_error(name) == ENOENT)
		return must ? trouble("%s: this module has no such file: it is older",
				      procfile_path(name)) : NULL;
	why = rows_read(name, &snapshot->rows[index][file]);
	if (why || file == TOTALS)
		return why;
	return file == SOCKETS || file == UNIX ?
	       read_listeners(snapshot, index, file) :
	       read_beside(snapshot, index, file, first);
}

/* Read the files that @scope asks for of the namespace at @index. NULL or a reason. */
const char *read_netns(struct snapshot *snapshot, size_t index,
		       const struct scope *scope)
{
	const bool asked[FILES] = {
		[SOCKETS] = scope->refused != REFUSED_ALONE && !scope->no_tcp,
		[UNIX] = scope->unix_too,
		[WAITS] = scope->histograms && !scope->no_tcp,
		[HANDSHAKES] = scope->histograms && !scope->no_tcp,
		[TOTALS] = scope->totals,
	};
	size_t first = snapshot->count;
	const char *why;

	why = netns_enter(&snapshot->list.netns[index]);
	if (why)
		return why;
	snapshot->list.netns[index].read_ms = now_ms();
	for (int file = 0; !why && file < FILES; file++)
		if (asked[file])
			why = read_file(snapshot, index, file, first,
					file == UNIX && scope->no_tcp);
	if (!why && scope->refused)
		why = refused_read(snapshot, index,
				   scope->refused >= REFUSED_NEEDED);
	return netns_leave() ?: why;
}

/**
 * snapshot_take() - read all listeners, and what else is asked for
 * @scope: what is asked for
 * @snapshot: filled, for snapshot_free(); empty on failure
 *
 * Return: NULL or a reason.
 */
const char *snapshot_take(const struct scope *scope,
			  struct snapshot *snapshot)
{
	const char *why;

	*snapshot = (struct snapshot) { };
	if (scope->all)
		why = netns_open_all(&snapshot->list);
	else
		why = netns_open(scope->netns, &snapshot->list);
	snapshot->rows = calloc(snapshot->list.count + 1,
				sizeof(*snapshot->rows));
	if (!snapshot->rows)
		die("not enough memory");
	if (!why)
		why = visit(snapshot, scope);
	if (!why && scope->module)
		why = rows_read_text("hooks", &snapshot->hooks);
	if (scope->module)
		module_version(snapshot->version, sizeof(snapshot->version));
	snapshot->taken_ms = now_ms();
	if (why)
		snapshot_free(snapshot);
	return why;
}

void snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->list.count; i++)
		for (int file = 0; file < FILES; file++)
			rows_free(snapshot->rows[i][file]);
	for (size_t i = 0; i < snapshot->unreads; i++) {
		netns_free(&snapshot->unread[i].netns);
		free(snapshot->unread[i].why);
	}
	for (size_t i = 0; i < snapshot->count; i++)
		holder_free(&snapshot->listener[i].holder);
	rows_free(snapshot->hooks);
	free(snapshot->rows);
	free(snapshot->unread);
	free(snapshot->listener);
	free(snapshot->refusal);
	netns_close(&snapshot->list);
	*snapshot = (struct snapshot) { };
}

/* Whether a part of what was asked for could not be read. */
bool snapshot_lacks(const struct snapshot *snapshot)
{
	return snapshot->unreads || snapshot->list.hidden;
}

/*
 * Tell people what could not be read, in a few lines. Return: whether a namespace
 * could not be read.
 */
bool snapshot_tell(const struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < snapshot->unreads && i < UNREADS_TOLD; i++)
		tell("namespace %s left out: %s",
		     snapshot->unread[i].netns.name, snapshot->unread[i].why);
	if (i < snapshot->unreads)
		tell("%zu more namespaces left out", snapshot->unreads - i);
	if (snapshot->list.hidden)
		tell("namespaces of %zu processes left out: only root may know them",
		     snapshot->list.hidden);
	return snapshot_lacks(snapshot);
}

static long long sum_in(const struct snapshot *snapshot, size_t index,
			enum figure figure)
{
	const struct rows *rows = snapshot->rows[index][SOCKETS];
	long long sum = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		if (snapshot->listener[i].place[SOCKETS].rows == rows)
			sum = add_figures(sum,
					  snapshot->listener[i].figure[figure]);
	return sum;
}

/**
 * snapshot_totals() - the totals of a namespace, as figures of a listener
 * @snapshot: the snapshot, taken with totals
 * @index: the namespace's index
 * @all: filled; its queues are the sums of the namespace's listeners
 *
 * Return: NULL or a reason.
 */
const char *snapshot_totals(const struct snapshot *snapshot, size_t index,
			    struct listener *all)
{
	const struct rows *rows = snapshot->rows[index][TOTALS];
	struct columns columns;

	*all = (struct listener) {
		.netns = snapshot->list.netns[index].name,
		.place[TOTALS] = { rows, 0 },
	};
	know_nothing(all);
	all->figure[ACCEPTQ] = sum_in(snapshot, index, ACCEPTQ);
	all->figure[SYNQ] = sum_in(snapshot, index, SYNQ);
	find_columns(&columns, rows, TOTALS);
	return rows->count ? parse_figures(&all->place[TOTALS], &columns,
					   all->figure) :
	       trouble("%s: nothing after the header", procfile_path("totals"));
}

/*
 * The listener's own clock, since_ms, gives the time between the two reads. If it or
 * a counter went back, the listener is observed anew, and there is no rate.
 */
static void rates_of(struct listener *listener, const struct listener *before,
		     long long elapsed_ms)
{
	const long long *now = listener->figure, *then = before->figure;
	int i;

	if (now[SINCE_MS] != UNKNOWN && then[SINCE_MS] != UNKNOWN) {
		if (now[SINCE_MS] < then[SINCE_MS])
			return;
		elapsed_ms = now[SINCE_MS] - then[SINCE_MS];
	}
	if (elapsed_ms <= 0)
		return;
	for (i = 0; i < FIGURES; i++)
		if (is_counter(i) && now[i] != UNKNOWN && then[i] != UNKNOWN &&
		    now[i] >= then[i])
			listener->rate[i] = (now[i] - then[i]) * 1000.0 /
					    elapsed_ms;
}

/* Entries for the snapshot's listeners, sorted for find_listener(); to free(). */
static struct entry *index_listeners(const struct snapshot *snapshot)
{
	struct entry *entry = allocate(NULL, snapshot->count, sizeof(*entry));

	for (size_t i = 0; i < snapshot->count; i++)
		entry[i] = (struct entry) {
			.netns = snapshot->listener[i].netns,
			.cookie = snapshot->listener[i].word[COOKIE],
			.index = i,
		};
	qsort(entry, snapshot->count, sizeof(*entry), by_cookie);
	return entry;
}

/* The listener of @snapshot with the same cookie; NULL if there is none. */
static struct listener *find_listener(const struct snapshot *snapshot,
				      const struct entry *entry,
				      const struct listener *like)
{
	const struct entry key = {
		.netns = like->netns,
		.cookie = like->word[COOKIE],
	};
	const struct entry *found = bsearch(&key, entry, snapshot->count,
					    sizeof(*entry), by_cookie);

	return found && strcmp(key.cookie, "-") ?
	       &snapshot->listener[found->index] : NULL;
}

/**
 * snapshot_callers() - find the processes that hold the listeners of refusals
 * @snapshot: each refusal gets the processes of its listener, if that still listens;
 *	they still belong to the listener
 */
void snapshot_callers(struct snapshot *snapshot)
{
	struct listener **all = allocate(NULL, snapshot->count, sizeof(*all));
	struct entry *entry = index_listeners(snapshot);
	const struct listener *found;
	size_t i;

	for (i = 0; i < snapshot->count; i++)
		all[i] = &snapshot->listener[i];
	process_find(all, snapshot->count, true);
	for (i = 0; i < snapshot->refusals; i++) {
		struct listener *listener = &snapshot->refusal[i].listener;

		found = find_listener(snapshot, entry, listener);
		if (!found)
			continue;
		listener->figure[PID] = found->figure[PID];
		listener->holder = found->holder;
	}
	free(entry);
	free(all);
}

/**
 * snapshot_rates() - work out what has changed, per second
 * @snapshot: the newer snapshot, whose listeners get rates
 * @before: the older one; for some time, its listeners' holders move to @snapshot
 */
void snapshot_rates(struct snapshot *snapshot, struct snapshot *before)
{
	struct entry *entry = index_listeners(before);
	struct listener *old;

	for (size_t i = 0; i < snapshot->count; i++) {
		struct listener *listener = &snapshot->listener[i];

		old = find_listener(before, entry, listener);
		if (!old)
			continue;
		listener->before = old;
		if (now_ms() - old->holder.found_ms < HOLDER_MS) {
			listener->holder = old->holder;
			old->holder = (struct holder) { };
		}
		rates_of(listener, old,
			 snapshot->taken_ms - before->taken_ms);
	}
	free(entry);
}
