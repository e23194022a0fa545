/* SPDX-License-Identifier: GPL-2.0-only */
/* Rings: the latest refusals of each network namespace. */
#ifndef LISTENQ_RING_H
#define LISTENQ_RING_H

#include <linux/sched.h>
#include <linux/types.h>
#include <net/net_namespace.h>

#include "endpoint.h"

/**
 * enum refusal_reason - why the kernel refused a SYN, an ACK or a connection
 * @REFUSED_ACCEPTQ_SYN: the accept queue was full when the SYN came
 * @REFUSED_ACCEPTQ_ACK: the accept queue was full when the final ACK came
 * @REFUSED_SYNQ: the SYN queue was full, and cookies are off
 * @REFUSED_RESERVED: the last quarter of the SYN queue is for peers known to be
 *	alive
 * @REFUSED_CLOSED: the listener ended with the connection in its accept queue
 */
enum refusal_reason {
	REFUSED_ACCEPTQ_SYN,
	REFUSED_ACCEPTQ_ACK,
	REFUSED_SYNQ,
	REFUSED_RESERVED,
	REFUSED_CLOSED,
};

/**
 * struct arrival - a client, and the listener's queues when it came
 * @client: the client; family 0: it was not seen, and the rest is not known
 * @limit: the listener's limit
 * @acceptq: connections in its accept queue
 * @synq: requests in its SYN queue
 */
struct arrival {
	struct endpoint client;
	unsigned int limit;
	unsigned int acceptq;
	unsigned int synq;
};

/**
 * struct refusal - one SYN, ACK or connection that was refused
 * @state: its number times 2, plus 1 while it is being written; 0: unused
 * @when: the time, in jiffies
 * @cookie: the listener's cookie
 * @local: where the listener listens; family 0: not known
 * @why: the reason
 * @arrival: the client, and the queues when it came
 * @comm: the name of the process that called listen(); empty: not known
 */
struct refusal {
	unsigned long state;
	unsigned long when;
	u64 cookie;
	struct endpoint local;
	enum refusal_reason why;
	struct arrival arrival;
	char comm[TASK_COMM_LEN];
};

/* How many refusals a namespace keeps; a power of 2. */
#define RING_SIZE 1024

struct refusal *ring_begin(const struct net *net);
void ring_missed(const struct net *net, unsigned int count);
unsigned int ring_read(struct net *net, struct refusal *refusals);
unsigned long ring_unkept(struct net *net);
int ring_init(void);
void ring_exit(void);

/**
 * refusal_number() - get the number of a refusal
 * @refusal: from ring_read()
 *
 * Context: any.
 */
static inline unsigned long refusal_number(const struct refusal *refusal)
{
	return refusal->state >> 1;
}

/**
 * ring_end() - finish writing a refusal
 * @refusal: from ring_begin()
 *
 * Context: preemption off since ring_begin(), an NMI too.
 */
static inline void ring_end(struct refusal *refusal)
{
	/* Pairs with refusal_copy(), which sees the rest if it sees this. */
	smp_store_release(&refusal->state, refusal->state & ~1UL);
}

#endif /* LISTENQ_RING_H */
