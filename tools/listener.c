// SPDX-License-Identifier: GPL-2.0-only
/*
 * Turn a row of a file into a listener, and explain its figures. Columns are found
 * by name: one that the module doesn't have is unknown, and one that this program
 * doesn't know is ignored.
 */

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "choose.h"

/* How many bits of an address tell the client's site or provider. */
#define NETWORK_BITS	24
#define NETWORK_BITS_V6	64

static const char * const words[WORDS] = {
	[PROTO]		= "proto",
	[LOCAL]		= "local",
	[COOKIE]	= "cookie",
	[COMM]		= "comm",
	[RULE]		= "rule",
	[REMOTE]	= "remote",
	[WHY]		= "why",
};

const struct file_kind files[FILES] = {
	[SOCKETS]	= { "sockets" },
	[WAITS]		= { "waits" },
	[HANDSHAKES]	= { "handshakes", .optional = true },
	[TOTALS]	= { "totals", .shares = true },
	[REFUSED]	= { "refused", .optional = true, .shares = true },
	[UNIX]		= { "unix", .optional = true, .shares = true },
};

/* The ranges of the kernel's types: nothing else comes from the kernel. */
#define COUNT(name)	{ name, SOCKETS, 0, LLONG_MAX, true }
#define BOOK(name)	{ name, HANDSHAKES, 0, LLONG_MAX, true }
#define SUM(name)	{ name, TOTALS, 0, LLONG_MAX, true }
#define DIALED(name)	{ name, UNIX, 0, LLONG_MAX, true }
/* A time that can be subtracted from another one. */
#define REFUSAL(name, min)	{ name, REFUSED, min, LLONG_MAX / 4, false }
#define NUMBER(name, min, max)	{ name, SOCKETS, min, max, false }
#define LENGTH(name)	NUMBER(name, 0, UINT32_MAX)
#define TIME(name)	NUMBER(name, 0, LLONG_MAX)

static const struct {
	const char *name;
	enum file file;
	long long min, max;
	bool counter;
} figures[FIGURES] = {
	[INODE]			= NUMBER("inode", 0, LLONG_MAX),
	[UID]			= NUMBER("uid", 0, UINT32_MAX),
	[PID]			= NUMBER("pid", 1, INT32_MAX),
	[ASKED]			= NUMBER("asked", INT32_MIN, INT32_MAX),
	[GRANTED]		= LENGTH("granted"),
	[LIMIT]			= LENGTH("limit"),
	[ACCEPTQ]		= LENGTH("acceptq"),
	[ACCEPTQ_PEAK]		= LENGTH("acceptq_peak"),
	[ACCEPTQ_OLDEST_MS]	= TIME("acceptq_oldest_ms"),
	[SYNQ]			= LENGTH("synq"),
	[SYNQ_YOUNG]		= LENGTH("synq_young"),
	[SYNQ_PEAK]		= LENGTH("synq_peak"),
	[SINCE_MS]		= TIME("since_ms"),
	[SYNS]			= COUNT("syns"),
	[ACCEPTS]		= COUNT("accepts"),
	[OVERFLOWS]		= COUNT("overflows"),
	[SYNQ_DROPS]		= COUNT("synq_drops"),
	[SYNCOOKIES]		= COUNT("syncookies"),
	[SK_DROPS]		= COUNT("sk_drops"),
	[SINCE_OVERFLOW_MS]	= TIME("since_overflow_ms"),
	[OVERFLOWS_ACK]		= COUNT("overflows_ack"),
	[SYNQ_RESERVED]		= COUNT("synq_reserved"),
	[ACCEPTQ_PEAK_1M]	= LENGTH("acceptq_peak_1m"),
	[SYNQ_PEAK_1M]		= LENGTH("synq_peak_1m"),
	[GROUP]			= LENGTH("group"),
	[FASTOPENQ]		= LENGTH("fastopenq"),
	[FASTOPENQ_LIMIT]	= LENGTH("fastopenq_limit"),
	[REQUESTS]		= BOOK("requests"),
	[FINISHED]		= BOOK("finished"),
	[EXPIRED]		= BOOK("expired"),
	[RESET]			= BOOK("reset"),
	[RESENT]		= BOOK("resent"),
	[COOKIES_FINISHED]	= BOOK("cookies_finished"),
	[COOKIES_FAILED]	= BOOK("cookies_failed"),
	[FASTOPENS]		= BOOK("fastopens"),
	[FASTOPEN_OVERFLOWS]	= BOOK("fastopen_overflows"),
	[FAILED]		= BOOK("failed"),
	[CARRIED_REQUESTS]	= BOOK("carried_requests"),
	[CARRIED_CONNECTIONS]	= BOOK("carried_connections"),
	[JOINED]		= BOOK("joined"),
	[UNACCEPTED]		= SUM("unaccepted"),
	[ABANDONED]		= SUM("abandoned"),
	[AGO_MS]		= REFUSAL("ago_ms", 0),
	[REFUSAL_NUMBER]	= REFUSAL("number", 1),
	[CONNECTS]		= DIALED("connects"),
	[WAITED]		= DIALED("waits"),
	[EAGAINS]		= DIALED("eagains"),
};

/* Whether it only ever grows, and so has a rate. */
bool is_counter(enum figure figure)
{
	return figures[figure].counter;
}

/* Whether a group's figure is the sum of its members'. */
bool is_sum(enum figure figure)
{
	return is_counter(figure) || figure == ACCEPTQ || figure == SYNQ ||
	       figure == SYNQ_YOUNG || figure == FASTOPENQ;
}

const char *figure_name(enum figure figure)
{
	return figures[figure].name;
}

/* Compare first letters first, for speed: this is called for every number in JSON. */
bool is_word_column(const char *name)
{
	for (size_t i = 0; i < WORDS; i++)
		if (*words[i] == *name && !strcmp(words[i], name))
			return true;
	return *name == 'p' && !strcmp(name, "path");
}

/* "127.0.0.1:80", "[::1]:80", with "%eth0" before the colon; or "-". */
bool parse_endpoint(const char *text, struct endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');
	char address[INET6_ADDRSTRLEN];
	bool v6 = *text == '[';
	long long port;
	size_t length;

	*endpoint = (struct endpoint) { };
	if (!strcmp(text, "-"))
		return true;
	if (!colon || !parse_number(colon + 1, 0, 65535, &port))
		return false;
	endpoint->port = port;
	endpoint->family = v6 ? AF_INET6 : AF_INET;
	length = strcspn(text + v6, v6 ? "%]" : "%:");
	if (length >= sizeof(address) || !text[v6 + length])
		return false;
	memcpy(address, text + v6, length);
	address[length] = '\0';
	return inet_pton(endpoint->family, address, endpoint->address) == 1;
}

/*
 * Turn an address into its network, with the number of bits as the port. A mapped
 * IPv4 address is that of a client that uses IPv4.
 */
void endpoint_network(struct endpoint *network)
{
	unsigned char *address = network->address;
	bool v6 = network->family == AF_INET6;

	if (v6 && IN6_IS_ADDR_V4MAPPED((struct in6_addr *)address)) {
		network->family = AF_INET;
		memmove(address, address + 12, 4);
		v6 = false;
	}
	network->port = v6 ? NETWORK_BITS_V6 : NETWORK_BITS;
	memset(address + network->port / 8, 0,
	       sizeof(network->address) - network->port / 8);
}

void find_columns(struct columns *columns, const struct rows *rows,
		  enum file file)
{
	int i;

	columns->file = file;
	for (i = 0; i < WORDS; i++)
		columns->word[i] = rows_column(rows, words[i]);
	if (file == UNIX)
		columns->word[LOCAL] = rows_column(rows, "path");
	for (i = 0; i < FIGURES; i++)
		columns->figure[i] =
			files[file].shares || figures[i].file == file ?
			rows_column(rows, figures[i].name) : -1;
}

void know_nothing(struct listener *listener)
{
	for (int i = 0; i < FIGURES; i++) {
		listener->figure[i] = UNKNOWN;
		listener->rate[i] = -1;
	}
}

/* Read the figures in the row @place. NULL or a reason. */
const char *parse_figures(const struct place *place,
			  const struct columns *columns,
			  long long figure[FIGURES])
{
	const char *cell;

	for (int i = 0; i < FIGURES; i++) {
		if (columns->figure[i] < 0)
			continue;
		cell = rows_cell(place->rows, place->row, columns->figure[i]);
		if (strcmp(cell, "-") &&
		    !parse_number(cell, figures[i].min, figures[i].max,
				  &figure[i]))
			return trouble("%s: line %zu: %s is '%.60s', not a number or out of range",
				       procfile_path(files[columns->file].name),
				       place->row + 2, figures[i].name, cell);
	}
	return NULL;
}

/* Read a row about a listener, whose place is set. NULL or a reason. */
const char *parse_listener(struct listener *listener,
			   const struct columns *columns)
{
	const struct place *place = &listener->place[columns->file];
	const char *why;
	int i;

	for (i = 0; i < WORDS; i++)
		listener->word[i] = rows_cell(place->rows, place->row,
					      columns->word[i]);
	if (columns->file == UNIX) {
		listener->word[PROTO] = "unix";
		listener->local.family = AF_UNIX;
	} else if (!parse_endpoint(listener->word[LOCAL], &listener->local)) {
		return trouble("%s: line %zu: local is '%.60s', not an address and port",
			       procfile_path(files[columns->file].name),
			       place->row + 2, listener->word[LOCAL]);
	}
	know_nothing(listener);
	why = parse_figures(place, columns, listener->figure);
	if (columns->file == UNIX)
		listener->figure[OVERFLOWS] = listener->figure[EAGAINS];
	return why;
}

/*
 * How full a queue is. A full queue holds one more than its limit, so more than 1 is
 * full; infinity is one connection at a limit of 0; negative is unknown. For a group,
 * how full its fullest queue is.
 */
double listener_fill(const struct listener *listener, enum figure queue)
{
	const long long *figure = fullest_of(listener, queue)->figure;
	long long held = figure[queue];
	long long limit = figure[LIMIT];

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
 * Whether it got less than it asked for. The kernel compares without a sign, so both
 * -1 and INT_MAX ask for as much as possible, and get that.
 */
bool listener_is_clamped(const struct listener *listener)
{
	const long long *figure = listener->figure;

	return figure[ASKED] != UNKNOWN && figure[GRANTED] != UNKNOWN &&
	       (uint32_t)figure[ASKED] < INT_MAX &&
	       figure[GRANTED] < figure[ASKED];
}

/* No process has it open, as far as the tool can see. */
bool is_nobodys(const struct listener *listener)
{
	return listener->holder.searched && !listener->holder.pid;
}

/*
 * The process that can accept from it now, or if unknown, the one that called
 * listen(). No name has a blank, so none can be taken for the text that says there
 * was no time to search.
 */
const char *listener_comm(const struct listener *listener)
{
	if (listener->holder.pid)
		return listener->holder.comm;
	return is_nobodys(listener) ? NOBODY : listener_caller(listener);
}

long long listener_pid(const struct listener *listener)
{
	if (listener->holder.pid)
		return listener->holder.pid;
	return is_nobodys(listener) ? UNKNOWN : listener->figure[PID];
}

/*
 * The process that called listen(), which does not change while it listens; if
 * unknown, the one that has the socket open.
 */
const char *listener_caller(const struct listener *listener)
{
	if (strcmp(listener->word[COMM], "-"))
		return listener->word[COMM];
	if (listener->holder.unsearched)
		return NOT_SEARCHED;
	return listener->holder.pid ? listener->holder.comm : "-";
}
