// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the rows of sockets and waits to listeners. Columns are found by their
 * names: one that this module doesn't have is unknown, and one that this
 * program doesn't know is left alone.
 */

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "listenq.h"

/* For how long it is believed who holds a socket: the search is expensive. */
#define HOLDER_MS	10000

static const char * const words[WORDS] = {
	[PROTO]		= "proto",
	[LOCAL]		= "local",
	[COOKIE]	= "cookie",
	[COMM]		= "comm",
	[RULE]		= "rule",
};

/* What the kernel's types can hold: more is not the kernel's. */
static const struct {
	const char *name;
	long long min, max;
} figures[FIGURES] = {
	[INODE]			= { "inode", 0, LLONG_MAX },
	[UID]			= { "uid", 0, UINT32_MAX },
	[PID]			= { "pid", 1, INT32_MAX },
	[ASKED]			= { "asked", INT32_MIN, INT32_MAX },
	[GRANTED]		= { "granted", 0, UINT32_MAX },
	[LIMIT]			= { "limit", 0, UINT32_MAX },
	[ACCEPTQ]		= { "acceptq", 0, UINT32_MAX },
	[ACCEPTQ_PEAK]		= { "acceptq_peak", 0, UINT32_MAX },
	[ACCEPTQ_OLDEST_MS]	= { "acceptq_oldest_ms", 0, LLONG_MAX },
	[SYNQ]			= { "synq", 0, UINT32_MAX },
	[SYNQ_YOUNG]		= { "synq_young", 0, UINT32_MAX },
	[SYNQ_PEAK]		= { "synq_peak", 0, UINT32_MAX },
	[SINCE_MS]		= { "since_ms", 0, LLONG_MAX },
	[SYNS]			= { "syns", 0, LLONG_MAX },
	[ACCEPTS]		= { "accepts", 0, LLONG_MAX },
	[OVERFLOWS]		= { "overflows", 0, LLONG_MAX },
	[SYNQ_DROPS]		= { "synq_drops", 0, LLONG_MAX },
	[SYNCOOKIES]		= { "syncookies", 0, LLONG_MAX },
	[SK_DROPS]		= { "sk_drops", 0, LLONG_MAX },
	[SINCE_OVERFLOW_MS]	= { "since_overflow_ms", 0, LLONG_MAX },
};

bool is_word_column(const char *name)
{
	for (size_t i = 0; i < WORDS; i++)
		if (!strcmp(words[i], name))
			return true;
	return false;
}

/* "127.0.0.1:80", "[::1]:80", with "%eth0" before the colon; or "-". */
static bool parse_local(struct listener *listener)
{
	const char *local = listener->word[LOCAL];
	const char *colon = strrchr(local, ':');
	char address[INET6_ADDRSTRLEN];
	bool v6 = *local == '[';
	long long port;
	size_t length;

	if (!strcmp(local, "-"))
		return true;
	if (!colon || !parse_number(colon + 1, 0, 65535, &port))
		return false;
	listener->port = port;
	listener->family = v6 ? AF_INET6 : AF_INET;
	length = strcspn(local + v6, v6 ? "]" : "%:");
	if (length >= sizeof(address))
		return false;
	memcpy(address, local + v6, length);
	address[length] = '\0';
	return inet_pton(listener->family, address, listener->address) == 1;
}

/* Where the columns of a file are that this program knows. */
struct columns {
	int word[WORDS];
	int figure[FIGURES];
};

static const char *parse_listener(struct listener *listener,
				  const struct columns *columns)
{
	const struct rows *rows = listener->rows;
	size_t line = listener->row + 2;
	const char *cell;
	int i;

	for (i = 0; i < WORDS; i++)
		listener->word[i] = rows_cell(rows, listener->row,
					      columns->word[i]);
	if (!parse_local(listener))
		return trouble("%s: line %zu: local is '%.60s', no address and port",
			       procfile_path("sockets"), line,
			       listener->word[LOCAL]);
	for (i = 0; i < FIGURES; i++) {
		cell = rows_cell(rows, listener->row, columns->figure[i]);
		listener->figure[i] = UNKNOWN;
		listener->rate[i] = -1;
		if (strcmp(cell, "-") &&
		    !parse_number(cell, figures[i].min, figures[i].max,
				  &listener->figure[i]))
			return trouble("%s: line %zu: %s is '%.60s', no number or out of range",
				       procfile_path("sockets"), line,
				       figures[i].name, cell);
	}
	return NULL;
}

static const char *read_sockets(struct snapshot *snapshot, size_t index)
{
	struct rows *rows;
	struct columns columns;
	const char *why;
	size_t i;

	why = rows_read("sockets", &snapshot->sockets[index]);
	if (why)
		return why;
	rows = snapshot->sockets[index];
	for (i = 0; i < WORDS; i++)
		columns.word[i] = rows_column(rows, words[i]);
	for (i = 0; i < FIGURES; i++)
		columns.figure[i] = rows_column(rows, figures[i].name);
	if (columns.word[LOCAL] < 0)
		return trouble("%s: the header has no column 'local'",
			       procfile_path("sockets"));

	snapshot->listener = allocate(snapshot->listener,
				      snapshot->count + rows->count,
				      sizeof(*snapshot->listener));
	for (i = 0; i < rows->count; i++) {
		struct listener *listener =
			&snapshot->listener[snapshot->count++];

		*listener = (struct listener) {
			.netns = snapshot->list.netns[index].name,
			.rows = rows,
			.row = i,
		};
		why = parse_listener(listener, &columns);
		if (why)
			return why;
	}
	return NULL;
}

/* A listener's key across files and time, and what it leads to. */
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
 * Waits of who began to listen between the two reads have no listener, and the
 * other way round: that is no trouble.
 */
static const char *read_waits(struct snapshot *snapshot, size_t index,
			      size_t first)
{
	struct entry *entry, *found, key = { };
	const char *why;
	struct rows *rows;
	int cookie;
	size_t i;

	why = rows_read("waits", &snapshot->waits[index]);
	if (why)
		return why;
	rows = snapshot->waits[index];
	cookie = rows_column(rows, "cookie");
	entry = allocate(NULL, rows->count, sizeof(*entry));
	for (i = 0; i < rows->count; i++)
		entry[i] = (struct entry) {
			.cookie = rows_cell(rows, i, cookie),
			.index = i,
		};
	qsort(entry, rows->count, sizeof(*entry), by_cookie);
	for (i = first; i < snapshot->count; i++) {
		key.cookie = snapshot->listener[i].word[COOKIE];
		found = bsearch(&key, entry, rows->count, sizeof(*entry),
				by_cookie);
		if (!found || !strcmp(key.cookie, "-"))
			continue;
		snapshot->listener[i].waits = rows;
		snapshot->listener[i].waits_row = found->index;
	}
	free(entry);
	return NULL;
}

static const char *read_netns(struct snapshot *snapshot, size_t index,
			      const struct scope *scope)
{
	size_t first = snapshot->count;
	const char *why;

	why = netns_enter(&snapshot->list.netns[index]);
	if (why)
		return why;
	why = read_sockets(snapshot, index);
	if (!why && scope->waits)
		why = read_waits(snapshot, index, first);
	if (!why && scope->totals)
		why = rows_read("totals", &snapshot->totals[index]);
	return netns_leave() ?: why;
}

/**
 * snapshot_take() - read what is asked for
 * @scope: what is
 * @snapshot: filled, for snapshot_free(); empty on failure
 *
 * Return: NULL or a reason.
 */
const char *snapshot_take(const struct scope *scope,
			  struct snapshot *snapshot)
{
	const char *why;
	size_t i;

	*snapshot = (struct snapshot) { };
	if (scope->all)
		why = netns_open_all(&snapshot->list);
	else
		why = netns_open(scope->netns, &snapshot->list);
	snapshot->sockets = calloc(snapshot->list.count + 1,
				   sizeof(*snapshot->sockets));
	snapshot->waits = calloc(snapshot->list.count + 1,
				 sizeof(*snapshot->waits));
	snapshot->totals = calloc(snapshot->list.count + 1,
				  sizeof(*snapshot->totals));
	if (!snapshot->sockets || !snapshot->waits || !snapshot->totals)
		die("not enough memory");
	for (i = 0; !why && i < snapshot->list.count; i++)
		why = read_netns(snapshot, i, scope);
	if (!why && scope->totals)
		why = rows_read_text("hooks", &snapshot->hooks);
	if (scope->totals)
		module_version(snapshot->version, sizeof(snapshot->version));
	snapshot->taken_ms = now_ms();
	if (why)
		snapshot_free(snapshot);
	return why;
}

void snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->list.count; i++) {
		rows_free(snapshot->sockets[i]);
		rows_free(snapshot->waits[i]);
		rows_free(snapshot->totals[i]);
	}
	rows_free(snapshot->hooks);
	free(snapshot->sockets);
	free(snapshot->waits);
	free(snapshot->totals);
	free(snapshot->listener);
	netns_close(&snapshot->list);
	*snapshot = (struct snapshot) { };
}

/*
 * A listener's own clock, since_ms, says how long it is since it was read
 * before. That it went back, or a counter, means that it is observed anew.
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
	for (i = SYNS; i <= SK_DROPS; i++)
		if (now[i] != UNKNOWN && then[i] != UNKNOWN &&
		    now[i] >= then[i])
			listener->rate[i] = (now[i] - then[i]) * 1000.0 /
					    elapsed_ms;
}

/**
 * snapshot_rates() - work out what has changed, per second
 * @snapshot: the newer one, whose listeners get their rates
 * @before: the older one; its listeners' holders are taken over for a while
 */
void snapshot_rates(struct snapshot *snapshot, const struct snapshot *before)
{
	struct entry *entry = allocate(NULL, before->count, sizeof(*entry));
	const struct listener *old;
	struct entry *found;
	size_t i;

	for (i = 0; i < before->count; i++)
		entry[i] = (struct entry) {
			.netns = before->listener[i].netns,
			.cookie = before->listener[i].word[COOKIE],
			.index = i,
		};
	qsort(entry, before->count, sizeof(*entry), by_cookie);
	for (i = 0; i < snapshot->count; i++) {
		struct listener *listener = &snapshot->listener[i];
		struct entry key = {
			.netns = listener->netns,
			.cookie = listener->word[COOKIE],
		};

		found = bsearch(&key, entry, before->count, sizeof(*entry),
				by_cookie);
		if (!found || !strcmp(key.cookie, "-"))
			continue;
		old = &before->listener[found->index];
		if (now_ms() - old->holder.found_ms < HOLDER_MS)
			listener->holder = old->holder;
		rates_of(listener, old,
			 snapshot->taken_ms - before->taken_ms);
	}
	free(entry);
}

/*
 * How full a queue is against its limit, which holds one more than it says:
 * more than 1 is full, infinity one connection where the limit is 0; negative
 * where unknown.
 */
double listener_fill(const struct listener *listener, enum figure queue)
{
	long long held = listener->figure[queue];
	long long limit = listener->figure[LIMIT];

	if (held == UNKNOWN || limit == UNKNOWN)
		return -1;
	if (!held)
		return 0;
	return limit ? (double)held / limit : INFINITY;
}

bool listener_is_full(const struct listener *listener, enum figure queue)
{
	return listener_fill(listener, queue) > 1;
}

/*
 * Whether it has less than it asked for. Who asks for all there is has got that:
 * the kernel compares without a sign, so by -1 as well as by INT_MAX.
 */
bool listener_is_clamped(const struct listener *listener)
{
	const long long *figure = listener->figure;

	return figure[ASKED] != UNKNOWN && figure[GRANTED] != UNKNOWN &&
	       (uint32_t)figure[ASKED] < INT_MAX &&
	       figure[GRANTED] < figure[ASKED];
}

/* Who called listen(), or else who has the socket open. */
const char *listener_comm(const struct listener *listener)
{
	if (strcmp(listener->word[COMM], "-") || !listener->holder.pid)
		return listener->word[COMM];
	return listener->holder.comm;
}

long long listener_pid(const struct listener *listener)
{
	if (listener->figure[PID] != UNKNOWN || !listener->holder.pid)
		return listener->figure[PID];
	return listener->holder.pid;
}
