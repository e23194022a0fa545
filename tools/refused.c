// SPDX-License-Identifier: GPL-2.0-only
/* Refused clients: the rows of the file refused. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "log.h"
#include "procdir.h"

/* The age of the last file that was read: ages in it count from then. */
static long long file_age_ms;

/*
 * Only root may read the file, since it has clients' addresses. NULL for other
 * reasons.
 */
static const char *refused_trouble(const char *name)
{
	switch (procfile_error(name)) {
	case EACCES:
	case EPERM:
		return trouble("%s: only root may read it (CAP_NET_ADMIN over the namespace)",
			       procfile_path(name));
	case ENOENT:
		if (!procfile_error("sockets"))
			return trouble("%s: not there: the module is older than listenq log",
				       procfile_path(name));
	}
	return NULL;
}

static const char *parse_refusal(struct refusal *refusal,
				 const struct columns *columns, long long now)
{
	struct listener *listener = &refusal->listener;
	const char *why = parse_listener(listener, columns);
	long long ago = listener->figure[AGO_MS];

	if (why)
		return why;
	if (!parse_endpoint(listener->word[REMOTE], &refusal->network))
		return trouble("%s: line %zu: remote is '%.60s', not an address and port",
			       procfile_path("refused"),
			       listener->place[REFUSED].row + 2,
			       listener->word[REMOTE]);
	endpoint_network(&refusal->network);
	refusal->when_ms = ago == UNKNOWN ? UNKNOWN : now - ago;
	return NULL;
}

/**
 * refused_read() - read the refusals of a namespace
 * @snapshot: refusals are added
 * @index: the index of the namespace, which was entered
 * @needed: it is an error if the file can't be read
 *
 * Return: NULL or a reason.
 */
const char *refused_read(struct snapshot *snapshot, size_t index, bool needed)
{
	const char *name = files[REFUSED].name, *why;
	struct columns columns;
	const struct rows *rows;
	long long now;

	why = rows_read(name, &snapshot->rows[index][REFUSED]);
	if (why && !needed && procfile_error(name))
		return NULL;
	if (why)
		return refused_trouble(name) ?: why;
	now = now_ms();
	file_age_ms = proc_age_ms("net/listenq/refused");
	rows = snapshot->rows[index][REFUSED];
	find_columns(&columns, rows, REFUSED);
	if (columns.word[LOCAL] < 0 || columns.figure[REFUSAL_NUMBER] < 0)
		return trouble("%s: the header has no column 'local', or no 'number'",
			       procfile_path(name));

	snapshot->refusal = allocate(snapshot->refusal,
				     snapshot->refusals + rows->count,
				     sizeof(*snapshot->refusal));
	for (size_t i = 0; !why && i < rows->count; i++) {
		struct refusal *refusal =
			&snapshot->refusal[snapshot->refusals++];

		*refusal = (struct refusal) {
			.listener.netns = snapshot->list.netns[index].name,
			.listener.place[REFUSED] = { rows, i },
		};
		why = parse_refusal(refusal, &columns, now);
	}
	return why;
}

/*
 * Negative where @a comes first: it was earlier, or at the same time and earlier in
 * the file.
 */
static int earlier(const void *x, const void *y)
{
	const struct refusal *a = *(struct refusal *const *)x;
	const struct refusal *b = *(struct refusal *const *)y;

	return (a->when_ms > b->when_ms) - (a->when_ms < b->when_ms) ?:
	       (a > b) - (a < b);
}

/**
 * choose_refusals() - choose refusals by their listeners, the oldest first
 * @snapshot: has all refusals, and the listeners in case the filter is about
 *	processes
 * @filter: the listeners to choose
 * @refusal: the refusals; afterwards, those that were chosen
 * @count: how many
 *
 * Return: how many were chosen.
 */
size_t choose_refusals(struct snapshot *snapshot, const struct filter *filter,
		       struct refusal **refusal, size_t count)
{
	size_t chosen = 0;

	if (filter_is_about_holder(filter) && count)
		snapshot_callers(snapshot);
	for (size_t i = 0; i < count; i++)
		if (is_wanted(&refusal[i]->listener, filter))
			refusal[chosen++] = refusal[i];
	qsort(refusal, chosen, sizeof(*refusal), earlier);
	return chosen;
}

/* The wall-clock time of a refusal, as in RFC 3339 or for people. */
void refusal_time(char text[TEXT_SIZE], const struct refusal *refusal,
		  bool rfc3339)
{
	struct timespec now;
	long long wall;

	clock_gettime(CLOCK_REALTIME, &now);
	wall = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	text_clock(text, refusal->when_ms == UNKNOWN ? UNKNOWN :
		   wall - file_age_ms - (now_ms() - refusal->when_ms), rfc3339);
}

/* "203.0.113.0/24", "2001:db8::/64"; "-" if the client is unknown. */
void refusal_network(char text[TEXT_SIZE], const struct refusal *refusal)
{
	const struct endpoint *network = &refusal->network;
	char address[INET6_ADDRSTRLEN];

	if (inet_ntop(network->family, network->address, address,
		      sizeof(address)))
		snprintf(text, TEXT_SIZE, "%s/%d", address, network->port);
	else
		strcpy(text, "-");
}
