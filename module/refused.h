/* SPDX-License-Identifier: GPL-2.0-only */
/* Refusals: the line in the kernel log. */
#ifndef LISTENQ_REFUSED_H
#define LISTENQ_REFUSED_H

#include <linux/jiffies.h>
#include <net/net_namespace.h>

#include "endpoint.h"
#include "record.h"

/* Seconds in which a listener's overflow silences later ones; 0: no line at all. */
extern const unsigned int *refused_interval;

/**
 * struct refused_closed - a listener that has ended with connections
 * @unaccepted: number of connections, at least 1
 * @limit: the limit of its accept queue
 * @local: where it listened
 * @client: the client of the last connection
 * @call: its latest listen()
 */
struct refused_closed {
	unsigned int unaccepted;
	unsigned int limit;
	struct endpoint local;
	struct endpoint client;
	struct listen_call call;
};

int refused_init(const unsigned int *interval);
void refused_exit(void);
void refused_report_now(const struct net *net, struct listener *listener,
			const struct endpoint *client, u32 then, u32 now);
void refused_report_closed(const struct net *net, const struct sock *sk,
			   const struct refused_closed *closed);

/**
 * refused_report() - have an overflow printed, unless the last line was too recent
 * @net: the namespace
 * @listener: the record of the listener
 * @client: the client that was refused
 *
 * Inline, since in a flood it is called for each SYN.
 *
 * Context: preemption off, an NMI too.
 */
static __always_inline void refused_report(const struct net *net,
					   struct listener *listener,
					   const struct endpoint *client)
{
	unsigned int interval = READ_ONCE(*refused_interval);
	u32 then = READ_ONCE(listener->reported);
	u32 now = (u32)jiffies ?: 1;

	if (interval && (!then || now - then >= (u64)interval * HZ))
		refused_report_now(net, listener, client, then, now);
}

#endif /* LISTENQ_REFUSED_H */
