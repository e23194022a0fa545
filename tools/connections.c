// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clients in a listener's queues, by /proc/net/tcp: those that do not finish a
 * handshake, and those that have gone while they waited. Read only for listeners
 * with a finding, since the file has all connections.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "explain.h"

/* Some 400,000 connections; of more, only the first ones are read. */
#define FILE_MAX	(64 << 20)

/* States in the file. */
enum { SYN_RECV = 3, CLOSE_WAIT = 8 };

struct networks {
	struct endpoint *network;
	size_t count;
	size_t room;
};

/* "0100007F:1F90": the words of an address in the host's byte order. */
static bool parse_hex(struct endpoint *endpoint, const char *text, bool v6)
{
	unsigned int words = v6 ? 4 : 1, word, port;
	int used;

	*endpoint = (struct endpoint) { .family = v6 ? AF_INET6 : AF_INET };
	for (unsigned int i = 0; i < words; i++, text += 8) {
		if (sscanf(text, "%8x%n", &word, &used) != 1 || used != 8)
			return false;
		memcpy(endpoint->address + 4 * i, &word, 4);
	}
	if (sscanf(text, ":%4x", &port) != 1)
		return false;
	endpoint->port = port;
	return true;
}

/* A listener at the wildcard address accepts at all addresses. */
static bool is_at(const struct endpoint *local, const struct endpoint *listener)
{
	static const unsigned char any[16];

	return local->port == listener->port &&
	       (!memcmp(listener->address, any, sizeof(any)) ||
		!memcmp(listener->address, local->address, sizeof(any)));
}

static int by_network(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	return x->family - y->family ?:
	       memcmp(x->address, y->address, sizeof(x->address));
}

/* Find the most frequent network. */
static void sum_up_networks(struct crowd *crowd, struct networks *networks)
{
	long long run = 0;

	if (networks->count)
		qsort(networks->network, networks->count,
		      sizeof(*networks->network), by_network);
	for (size_t i = 0; i < networks->count; i++) {
		const struct endpoint *network = &networks->network[i];
		char address[INET6_ADDRSTRLEN];

		if (!i || by_network(network, network - 1)) {
			crowd->networks++;
			run = 0;
		}
		if (++run <= crowd->most)
			continue;
		crowd->most = run;
		inet_ntop(network->family, network->address, address,
			  sizeof(address));
		snprintf(crowd->network, sizeof(crowd->network), "%s/%d",
			 address, network->port);
	}
}

/*
 * A connection that was not accepted yet has no inode. One that its program has
 * closed has none either, but is never in CLOSE_WAIT.
 */
static void count_line(struct crowd *crowd, struct networks *networks,
		       const char *line, const struct endpoint *at, bool v6)
{
	char local[48], remote[48];
	struct endpoint endpoint;
	unsigned long inode;
	unsigned int state;

	if (sscanf(line, " %*u: %47s %47s %2x %*s %*s %*s %*s %*s %lu", local,
		   remote, &state, &inode) != 4 ||
	    !parse_hex(&endpoint, local, v6) || !is_at(&endpoint, at))
		return;
	if (state == CLOSE_WAIT && !inode)
		crowd->closed++;
	if (state != SYN_RECV || !parse_hex(&endpoint, remote, v6))
		return;
	crowd->requests++;
	endpoint_network(&endpoint);
	if (networks->count == networks->room) {
		networks->room = networks->room ? 2 * networks->room : 64;
		networks->network = allocate(networks->network, networks->room,
					     sizeof(*networks->network));
	}
	networks->network[networks->count++] = endpoint;
}

/**
 * crowd_read() - count the clients in a listener's queues
 * @crowd: filled; UNKNOWN for what can't be known
 * @listener: the listener; the tool is in its namespace
 *
 * If several sockets listen at the address, counts the clients of all of them.
 */
void crowd_read(struct crowd *crowd, const struct listener *listener)
{
	bool v6 = listener->local.family == AF_INET6;
	struct networks networks = { };
	char *text = NULL, *line, *next;

	*crowd = (struct crowd) { .requests = UNKNOWN, .closed = UNKNOWN };
	if (listener->local.family)
		text = proc_text(FILE_MAX, "net/%s", v6 ? "tcp6" : "tcp");
	if (!text)
		return;
	crowd->requests = 0;
	crowd->closed = 0;
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		count_line(crowd, &networks, line, &listener->local, v6);
	}
	sum_up_networks(crowd, &networks);
	free(networks.network);
	free(text);
}
