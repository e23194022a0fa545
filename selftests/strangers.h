/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients that are nobody's sockets: the sources behind the dummy device, who
 * see what the kernel answers them and do with it what a test wants.
 */
#ifndef LISTENQ_SELFTEST_STRANGERS_H
#define LISTENQ_SELFTEST_STRANGERS_H

#include <stdbool.h>

/* What leaves by the dummy device from here on; -1: the kernel can't tell. */
int wire_open(void);
/* A SYN-ACK that has left: from which port, and to which source. */
struct synack {
	int port;
	int source;
	unsigned int isn;
};

/* The next one; false where there is none within @ms. */
bool wire_synack(int wire, int ms, struct synack *synack);
/*
 * The sequence numbers of the SYN-ACKs to @count sources from number @first on;
 * it waits until each has come.
 */
void wire_synacks(int wire, int first, int count, unsigned int *isns);

/* Source @i of the family @client as a listener of @server's sees it. */
const char *stranger_name(int server, int client, int i);

/*
 * @count SYNs that the full accept queue of the listener @fd turns away; it has counted
 * all of them when this returns. And who sent the last one, as @fd sees it.
 */
void turn_away_strangers(int fd, int family, int count);
const char *last_turned_away(void);

/* The final ACK of source @i, to whom @isn was sent. */
void stranger_acks(int family, int port, int i, unsigned int isn);
void stranger_resets(int family, int port, int i);

/* Says of source @i that it can't be reached, by an ICMP error or ICMPv6's. */
enum unreachable { HOST, PORT };
void stranger_unreachable(int family, int port, int i, unsigned int isn,
			  enum unreachable what);

#endif
