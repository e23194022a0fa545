/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network namespace with listeners of one family, clients of one that reach these,
 * and strangers: what cases of traffic are made of, and a count of what was done.
 */
#ifndef LISTENQ_SELFTEST_WORLD_H
#define LISTENQ_SELFTEST_WORLD_H

#include "listenq.h"
#include "ledger.h"

#define WORLD_FDS	600

struct world {
	/* Families: of the listeners, and of who comes to them. */
	int server;
	int client;
	/* See strangers.h. */
	int wire;
	int stranger;		/* the number of the next source */
	/* The hits that had been skipped before. */
	long long missed;
	/* What the books' totals should be, but for what is now there. */
	long long did[TERMS];
	/* ... and the kernel's, beside what it says of the same. */
	long long other_resets;		/* that are no EmbryonicRsts */
	long long cookies_refused;	/* for want of room */
	long long clients_resent;	/* SYNs, by who is no stranger */
	int faults;
	/* What closes when the case is over: listeners, then clients. */
	int listeners[WORLD_FDS];
	int clients[WORLD_FDS];
	int listener_count;
	int client_count;
};

/* Ends the program where what a case needs to be so is not. */
#define must(cond)							\
do {									\
	if (!(cond))							\
		errx(1, "%s: %s", __func__, #cond);			\
} while (0)

#define must_come(cond)	must(lq_wait_until(cond))

/* Why a case whose strangers have to see what they are answered is left out. */
#define NO_WIRE		"the kernel has no packet sockets"

/* In this network namespace, with a dummy device. */
void world_begin(struct world *w, int server, int client);
/* What cases change, as they find it. */
void world_settle(void);

/* Whether the kernel has it; the next one is nothing to a kernel that hasn't. */
bool has_sysctl(const char *name);
void try_sysctl(const char *name, int value);

void did(struct world *w, enum term what, long long count);
/* SYNs that became requests. */
void did_requests(struct world *w, long long count);

/* Listeners at all addresses of the world's server family. */
int world_listener(struct world *w, int backlog);
/* The same of one that is there already. */
int world_keeps(struct world *w, int fd);
int world_client(struct world *w, int fd);
/* The client's end, with nothing done yet. */
int world_socket(struct world *w, int flags);
struct lq_addr world_addr(struct world *w, int fd);
/* Clients that wait in the accept queue when it returns. */
void world_clients(struct world *w, int fd, int count);
/* SYNs of strangers; the number of the first. */
int world_syns(struct world *w, int fd, int count);
/* The same, and their SYN-ACKs' numbers. */
int world_strangers(struct world *w, int fd, int count, unsigned int *isns);
/* One figure of a listener, against what was done with it alone. */
void world_expects(struct world *w, int fd, enum term what, long long value);

#endif
