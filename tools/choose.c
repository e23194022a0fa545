// SPDX-License-Identifier: GPL-2.0-only
/* Which listeners are shown, and in which order. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "listenq.h"

const char * const sort_names[SORT_KEYS] = {
	[BY_FILL]	= "fill",
	[BY_OVERFLOWS]	= "overflows",
	[BY_OLDEST]	= "oldest",
	[BY_SYNQ]	= "synq",
	[BY_SYNS]	= "syns",
	[BY_LOCAL]	= "local",
	[BY_PROCESS]	= "process",
};

/* "80", "8000-8099" */
const char *filter_port(struct filter *filter, const char *text)
{
	char first[8] = "";
	size_t length = strcspn(text, "-");
	const char *last = text[length] ? text + length + 1 : text;
	long long from, to;

	if (length < sizeof(first))
		memcpy(first, text, length);
	if (!parse_number(first, 1, 65535, &from) ||
	    !parse_number(last, 1, 65535, &to) || from > to)
		return trouble("-p %s: no port (1 to 65535) and no range (8000-8099)",
			       text);
	filter->first_port = from;
	filter->last_port = to;
	return NULL;
}

/* "10.0.0.1", "10.0.0.0/8", "::1", "[::1]", "fd00::/8" */
const char *filter_address(struct filter *filter, const char *text)
{
	char address[INET6_ADDRSTRLEN + 2] = "";
	size_t length = strcspn(text, "/");
	bool v6 = strchr(text, ':');
	long long bits = v6 ? 128 : 32;
	char *start = address;

	if (length < sizeof(address))
		memcpy(address, text, length);
	if (*start == '[' && length > 1 && address[length - 1] == ']' &&
	    length < sizeof(address)) {
		address[length - 1] = '\0';
		start++;
	}
	filter->family = v6 ? AF_INET6 : AF_INET;
	if (inet_pton(filter->family, start, filter->address) != 1 ||
	    (text[length] && !parse_number(text + length + 1, 0, bits, &bits)))
		return trouble("-A %s: no address (10.0.0.1, ::1) and no prefix (10.0.0.0/8)",
			       text);
	filter->bits = bits;
	return NULL;
}

static bool in_prefix(const struct listener *listener,
		      const struct filter *filter)
{
	unsigned int whole = filter->bits / 8, rest = filter->bits % 8;

	if (listener->family != filter->family ||
	    memcmp(listener->address, filter->address, whole))
		return false;
	return !rest || !((listener->address[whole] ^ filter->address[whole]) >>
			  (8 - rest));
}

static bool is_process(const struct listener *listener, const char *process)
{
	long long pid;

	if (parse_number(process, 1, INT_MAX, &pid))
		return listener_pid(listener) == pid;
	return strcasestr(listener_comm(listener), process);
}

/* What was typed in is looked for in all that names a listener. */
static bool has_text(const struct listener *listener, const char *text)
{
	return strcasestr(listener->word[LOCAL], text) ||
	       strcasestr(listener_comm(listener), text) ||
	       strcasestr(listener->word[PROTO], text) ||
	       (listener->netns && strcasestr(listener->netns, text));
}

static bool is_wanted(const struct listener *listener,
		      const struct filter *filter)
{
	if ((filter->first_port > 0 || filter->last_port < 65535) &&
	    (!listener->family || listener->port < filter->first_port ||
	     listener->port > filter->last_port))
		return false;
	if (filter->family && !in_prefix(listener, filter))
		return false;
	if (filter->process && !is_process(listener, filter->process))
		return false;
	return !filter->text || has_text(listener, filter->text);
}

/* Negative where @a comes first: the larger. */
static int larger(double a, double b)
{
	return (a < b) - (a > b);
}

static int larger_figure(const struct listener *a, const struct listener *b,
			 enum figure figure)
{
	return (a->figure[figure] < b->figure[figure]) -
	       (a->figure[figure] > b->figure[figure]);
}

/* By what happens now, where that is known, then by what ever did. */
static int larger_rate(const struct listener *a, const struct listener *b,
		       enum figure figure)
{
	return larger(a->rate[figure], b->rate[figure]) ?:
	       larger_figure(a, b, figure);
}

static int by_local(const struct listener *a, const struct listener *b)
{
	return strcmp(a->netns ?: "", b->netns ?: "") ?:
	       a->port - b->port ?: a->family - b->family ?:
	       memcmp(a->address, b->address, sizeof(a->address)) ?:
	       strcmp(a->word[LOCAL], b->word[LOCAL]) ?:
	       strcmp(a->word[COOKIE], b->word[COOKIE]);
}

static int by_fill(const struct listener *a, const struct listener *b)
{
	return larger(listener_fill(a, ACCEPTQ), listener_fill(b, ACCEPTQ)) ?:
	       larger_figure(a, b, OVERFLOWS) ?:
	       larger(listener_fill(a, SYNQ), listener_fill(b, SYNQ)) ?:
	       larger_figure(a, b, SYNQ_DROPS);
}

struct order {
	enum sort_key key;
	bool reverse;
};

static int compare(const void *x, const void *y, void *arg)
{
	const struct listener *a = *(struct listener *const *)x;
	const struct listener *b = *(struct listener *const *)y;
	const struct order *order = arg;
	int is = 0;

	switch (order->key) {
	case BY_FILL:
		is = by_fill(a, b);
		break;
	case BY_OVERFLOWS:
		is = larger_rate(a, b, OVERFLOWS);
		break;
	case BY_OLDEST:
		is = larger_figure(a, b, ACCEPTQ_OLDEST_MS);
		break;
	case BY_SYNQ:
		is = larger_figure(a, b, SYNQ);
		break;
	case BY_SYNS:
		is = larger_rate(a, b, SYNS);
		break;
	case BY_PROCESS:
		is = strcasecmp(listener_comm(a), listener_comm(b));
		break;
	case BY_LOCAL:
	case SORT_KEYS:
		break;
	}
	is = is ?: by_local(a, b);
	return order->reverse ? -is : is;
}

/**
 * choose() - those listeners that are wanted, in order
 * @snapshot: all of them
 * @filter: which
 * @key: ordered by this: figures fall, names rise
 * @reverse: the other way round
 * @count: how many were chosen
 *
 * Processes are searched for where the choice depends on them; otherwise it is
 * up to who shows them.
 *
 * Return: what to free() when done with it.
 */
struct listener **choose(struct snapshot *snapshot,
			 const struct filter *filter, enum sort_key key,
			 bool reverse, size_t *count)
{
	struct order order = { key, reverse };
	struct listener **chosen;
	size_t i;

	chosen = allocate(NULL, snapshot->count, sizeof(*chosen));
	for (i = 0; i < snapshot->count; i++)
		chosen[i] = &snapshot->listener[i];
	if (filter->process || filter->text || key == BY_PROCESS)
		process_find(chosen, snapshot->count);
	*count = 0;
	for (i = 0; i < snapshot->count; i++)
		if (is_wanted(&snapshot->listener[i], filter))
			chosen[(*count)++] = &snapshot->listener[i];
	qsort_r(chosen, *count, sizeof(*chosen), compare, &order);
	return chosen;
}
