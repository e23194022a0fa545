// SPDX-License-Identifier: GPL-2.0-only
/* Choose listeners, and sort them. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "cgroup.h"
#include "choose.h"

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
static bool parse_ports(const char *text, size_t length, struct ports *ports)
{
	char first[16] = "", *last;
	long long from, to;

	if (length >= sizeof(first))
		return false;
	memcpy(first, text, length);
	last = strchr(first, '-');
	if (last)
		*last++ = '\0';
	if (!parse_number(first, 1, 65535, &from) ||
	    !parse_number(last ?: first, 1, 65535, &to) || from > to)
		return false;
	*ports = (struct ports) { from, to };
	return true;
}

/* "80", "8000-8099", "80,443,8000-8099"; several times: any of them. */
const char *filter_port(struct filter *filter, const char *text)
{
	const char *at = text;
	size_t length;

	do {
		length = strcspn(at, ",");
		if (filter->port_ranges == FILTER_PORTS)
			return trouble("-p %s: more than %d ports and ranges",
				       text, FILTER_PORTS);
		if (!parse_ports(at, length,
				 &filter->ports[filter->port_ranges++]))
			return trouble("-p %s: not a list of ports or ranges, such as 80,8000-8099",
				       text);
		at += length;
	} while (*at++);
	return NULL;
}

/* A Unix socket's name in the form of LOCAL; NULL if it is none. */
static const char *parse_name(const char *text)
{
	size_t prefix = strlen(UNIX_PREFIX);

	if (!strncmp(text, UNIX_PREFIX, prefix) && text[prefix])
		return text + prefix;
	return *text == '/' || *text == '@' ? text : NULL;
}

/*
 * "10.0.0.1", "10.0.0.0/8", "::1", "[::1]", "fd00::/8"; "/run/php.sock", "@name",
 * "unix:a.sock". The last one counts.
 */
const char *filter_address(struct filter *filter, const char *text)
{
	char address[INET6_ADDRSTRLEN + 2] = "";
	size_t length = strcspn(text, "/");
	bool v6 = strchr(text, ':');
	long long bits = v6 ? 128 : 32;
	char *start = address;

	filter->family = 0;
	filter->name = parse_name(text);
	if (filter->name)
		return NULL;
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
		return trouble("-A %s: not an address, a prefix (10.0.0.0/8) or a Unix socket (@a)",
			       text);
	filter->bits = bits;
	return NULL;
}

static bool in_prefix(const struct listener *listener,
		      const struct filter *filter)
{
	unsigned int whole = filter->bits / 8, rest = filter->bits % 8;

	if (listener->local.family != filter->family ||
	    memcmp(listener->local.address, filter->address, whole))
		return false;
	return !rest || !((listener->local.address[whole] ^
			   filter->address[whole]) >>
			  (8 - rest));
}

static bool has_pid(const struct listener *listener, long long pid)
{
	const struct holder *holder = &listener->holder;

	if (listener->figure[PID] == pid || holder->pid == pid)
		return true;
	for (unsigned int i = 0; i < holder->others; i++)
		if (holder->other[i].pid == pid)
			return true;
	return false;
}

/* Part of the name of the process that called listen(), or of one that can accept. */
static bool has_name(const struct listener *listener, const char *name)
{
	const struct holder *holder = &listener->holder;

	if (strcasestr(listener->word[COMM], name) ||
	    (holder->pid && strcasestr(holder->comm, name)))
		return true;
	for (unsigned int i = 0; i < holder->others; i++)
		if (strcasestr(holder->other[i].comm, name))
			return true;
	return false;
}

static bool is_process(const struct listener *listener, const char *process)
{
	long long pid;

	if (parse_number(process, 1, INT_MAX, &pid))
		return has_pid(listener, pid);
	return has_name(listener, process);
}

/* Search everything that names a listener for the text that was typed. */
static bool has_text(const struct listener *listener, const char *text)
{
	return strcasestr(listener->word[LOCAL], text) ||
	       has_name(listener, text) ||
	       strcasestr(listener_comm(listener), text) ||
	       membership_is(listener->holder.membership, text) ||
	       strcasestr(listener->word[PROTO], text) ||
	       (listener->netns && strcasestr(listener->netns, text));
}

static bool at_port(const struct listener *listener,
		    const struct filter *filter)
{
	const struct endpoint *local = &listener->local;

	for (size_t i = 0; local->family && i < filter->port_ranges; i++)
		if (filter->ports[i].first <= local->port &&
		    local->port <= filter->ports[i].last)
			return true;
	return !filter->port_ranges;
}

/* Whether processes have to be searched for to apply the filter. */
bool filter_is_about_holder(const struct filter *filter)
{
	return filter->process || filter->unit;
}

bool is_wanted(const struct listener *listener, const struct filter *filter)
{
	if (!at_port(listener, filter))
		return false;
	if (filter->family && !in_prefix(listener, filter))
		return false;
	if ((filter->unix_alone || filter->name) && !is_unix(listener))
		return false;
	if (filter->name && strcmp(listener->word[LOCAL], filter->name))
		return false;
	if (filter->process && !is_process(listener, filter->process))
		return false;
	if (filter->unit && !membership_is(listener->holder.membership, filter->unit))
		return false;
	return !filter->text || has_text(listener, filter->text);
}

/* Negative where @a is larger, and comes first. */
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

/* By the rate, if that is known, then by the count so far. */
static int larger_rate(const struct listener *a, const struct listener *b,
		       enum figure figure)
{
	return larger(a->rate[figure], b->rate[figure]) ?:
	       larger_figure(a, b, figure);
}

static int by_local(const struct listener *a, const struct listener *b)
{
	return strcmp(a->netns ?: "", b->netns ?: "") ?:
	       is_unix(a) - is_unix(b) ?:
	       a->local.port - b->local.port ?:
	       a->local.family - b->local.family ?:
	       memcmp(a->local.address, b->local.address,
		      sizeof(a->local.address)) ?:
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

void sort_listeners(struct listener *listener[], size_t count,
		    enum sort_key key, bool reverse)
{
	struct order order = { key, reverse };

	qsort_r(listener, count, sizeof(*listener), compare, &order);
}

/**
 * choose() - choose listeners, and sort them
 * @snapshot: all listeners
 * @filter: those to choose
 * @key: what to sort by: figures fall, names rise
 * @reverse: sort the other way round
 * @count: how many were chosen
 *
 * Searches for processes if the choice or the order depends on them; otherwise the
 * caller does.
 *
 * Return: the chosen listeners, to free().
 */
struct listener **choose(struct snapshot *snapshot,
			 const struct filter *filter, enum sort_key key,
			 bool reverse, size_t *count)
{
	struct listener **chosen;
	size_t i;

	chosen = allocate(NULL, snapshot->count, sizeof(*chosen));
	for (i = 0; i < snapshot->count; i++)
		chosen[i] = &snapshot->listener[i];
	if (filter_is_about_holder(filter) || filter->text || key == BY_PROCESS)
		process_find(chosen, snapshot->count, true);
	*count = 0;
	for (i = 0; i < snapshot->count; i++)
		if (is_wanted(&snapshot->listener[i], filter))
			chosen[(*count)++] = &snapshot->listener[i];
	sort_listeners(chosen, *count, key, reverse);
	return chosen;
}
