/* SPDX-License-Identifier: GPL-2.0-only */
/* The last who were turned away, of each network namespace. */
#ifndef LISTENQ_RING_H
#define LISTENQ_RING_H

#include <linux/sched.h>
#include <linux/types.h>
#include <net/net_namespace.h>

#include "endpoint.h"

/**
 * enum refusal_reason - why somebody was turned away
 * @REFUSED_ACCEPTQ_SYN: the accept queue was full when the SYN came
 * @REFUSED_ACCEPTQ_ACK: ... when the final ACK came
 * @REFUSED_SYNQ: the SYN queue was full, and cookies are off
 * @REFUSED_RESERVED: what is left of it is for peers that are proven to be alive
 * @REFUSED_CLOSED: the listener has ended with the connection in its accept queue
 */
enum refusal_reason {
	REFUSED_ACCEPTQ_SYN,
	REFUSED_ACCEPTQ_ACK,
	REFUSED_SYNQ,
	REFUSED_RESERVED,
	REFUSED_CLOSED,
};

/**
 * struct arrival - who came, and what there was
 * @client: who; family 0 where it was not seen, nor the rest
 * @limit: the listener's limit then
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
 * struct refusal - somebody was turned away
 * @state: its number times 2, and 1 more while it is being written; 0: it is none
 * @when: the time, in jiffies
 * @cookie: the listener's cookie
 * @local: where that listens; family 0 where it is not known
 * @why: the reason
 * @arrival: who, and what there was
 * @comm: the name of the process that called listen(); empty where it is not known
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

/* How many of them a namespace keeps; a power of 2. */
#define RING_SIZE 1024

struct refusal *ring_begin(const struct net *net);
void ring_missed(const struct net *net, unsigned int count);
unsigned int ring_read(struct net *net, struct refusal *refusals);
unsigned long ring_unkept(struct net *net);
int ring_init(void);
void ring_exit(void);

/**
 * refusal_number() - by which number a refusal is known
 * @refusal: from ring_read()
 *
 * Context: any.
 */
static inline unsigned long refusal_number(const struct refusal *refusal)
{
	return refusal->state >> 1;
}

/**
 * ring_end() - a refusal is written
 * @refusal: from ring_begin()
 *
 * Context: preemption off since then, an NMI too.
 */
static inline void ring_end(struct refusal *refusal)
{
	/* Who sees this finds the rest: pairs with refusal_copy(). */
	smp_store_release(&refusal->state, refusal->state & ~1UL);
}

#endif /* LISTENQ_RING_H */
