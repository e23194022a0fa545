/* SPDX-License-Identifier: GPL-2.0-only */
/* What is counted, and what has been in a network namespace. */
#ifndef LISTENQ_TOTALS_H
#define LISTENQ_TOTALS_H

#include <linux/compiler.h>
#include <linux/percpu.h>
#include <net/net_namespace.h>

#include "listenq.h"

/**
 * enum traffic_count - what is counted, of a listener and of a namespace
 * @TRAFFIC_REQUESTS: SYNs that entered the SYN queue
 * @TRAFFIC_SYNCOOKIES: SYNs that the kernel chose to answer with a cookie
 * @TRAFFIC_FASTOPENS: SYNs that made a child at once
 * @TRAFFIC_OVERFLOWS_SYN: SYNs that the full accept queue turned away
 * @TRAFFIC_SYNQ_DROPS: SYNs dropped since the SYN queue was full
 * @TRAFFIC_SYNQ_RESERVED: SYNs dropped since the last quarter of the SYN queue
 *	is kept for peers that are proven to be alive
 * @TRAFFIC_FAILED: SYNs lost for any other reason
 * @TRAFFIC_SYN_ENDS: the first of what is not an end of a SYN
 * @TRAFFIC_OVERFLOWS_ACK: final ACKs that the full accept queue turned away
 * @TRAFFIC_RESET: requests that were reset
 * @TRAFFIC_JOINED: requests that became a subflow of an MPTCP connection
 * @TRAFFIC_EXPIRED: requests that were given up; derived (books.c)
 * @TRAFFIC_RESENT: SYN-ACKs sent again
 * @TRAFFIC_COOKIES_FINISHED: connections made from a cookie
 * @TRAFFIC_COOKIES_FAILED: ACKs whose cookie was not valid
 * @TRAFFIC_FASTOPEN_OVERFLOWS: SYNs that Fast Open's own limit refused; they
 *	become requests
 * @TRAFFIC_CARRIED_REQUESTS: requests that were in the SYN queue when the counting
 *	began, or came from another listener; in the totals also those that were
 *	taken for abandoned too early
 * @TRAFFIC_CARRIED_CONNECTIONS: the same of connections and the accept queue
 * @TRAFFIC_ACCEPTS: connections handed to accept(); in a record, those of which
 *	it is not known how long they waited
 * @TRAFFIC_RECORDED: how many of these a record has by this number
 * @TRAFFIC_FINISHED: requests that became connections; a record has them by the
 *	time that they took
 * @TRAFFIC_UNACCEPTED: connections that were in an accept queue when its listener
 *	ended; of namespaces only, as the next one
 * @TRAFFIC_ABANDONED: requests that were in its SYN queue then
 * @TRAFFIC_COUNTED: how many there are of these
 * @TRAFFIC_SYNS: SYNs; a sum, never counted itself, as the next one
 * @TRAFFIC_OVERFLOWS: SYNs and final ACKs that the full accept queue turned away
 * @TRAFFIC_COUNTS: how many there are
 *
 * The first TRAFFIC_SYN_ENDS are what may become of a SYN: each is counted in one
 * of them, when that is known.
 */
enum traffic_count {
	TRAFFIC_REQUESTS,
	TRAFFIC_SYNCOOKIES,
	TRAFFIC_FASTOPENS,
	TRAFFIC_OVERFLOWS_SYN,
	TRAFFIC_SYNQ_DROPS,
	TRAFFIC_SYNQ_RESERVED,
	TRAFFIC_FAILED,
	TRAFFIC_SYN_ENDS,
	TRAFFIC_OVERFLOWS_ACK = TRAFFIC_SYN_ENDS,
	TRAFFIC_RESET,
	TRAFFIC_JOINED,
	TRAFFIC_EXPIRED,
	TRAFFIC_RESENT,
	TRAFFIC_COOKIES_FINISHED,
	TRAFFIC_COOKIES_FAILED,
	TRAFFIC_FASTOPEN_OVERFLOWS,
	TRAFFIC_CARRIED_REQUESTS,
	TRAFFIC_CARRIED_CONNECTIONS,
	TRAFFIC_ACCEPTS,
	TRAFFIC_RECORDED,
	TRAFFIC_FINISHED = TRAFFIC_RECORDED,
	TRAFFIC_UNACCEPTED,
	TRAFFIC_ABANDONED,
	TRAFFIC_COUNTED,
	TRAFFIC_SYNS = TRAFFIC_COUNTED,
	TRAFFIC_OVERFLOWS,
	TRAFFIC_COUNTS,
};

/**
 * struct totals - what has been counted in a namespace, on a CPU
 * @counts: by &enum traffic_count
 */
struct totals {
	unsigned long counts[TRAFFIC_COUNTED];
};

/**
 * struct totals_net - what a network namespace has
 * @totals: there from before its first listener until nobody has a reference to
 *	it, and a grace period longer
 */
struct totals_net {
	struct totals __percpu *totals;
};

extern unsigned int totals_net_id;
DECLARE_PER_CPU(struct totals, totals_of_none);

int totals_init(void);
void totals_exit(void);
unsigned long totals_read(struct net *net, enum traffic_count what);

/**
 * totals_add() - something has happened in a namespace
 * @net: the namespace
 * @totals: its totals
 * @what: what
 * @count: how often
 *
 * A listener of the kernel's own may outlive its namespace by a moment, and the
 * totals. When these go, nobody has had a reference to the namespace for a grace
 * period at least (net/core/net_namespace.c, cleanup_net()): an RCU reader who has
 * seen that there is one may write.
 *
 * Context: any, preemption off.
 */
static __always_inline void totals_add(const struct net *net,
				       struct totals __percpu *totals,
				       enum traffic_count what,
				       unsigned long count)
{
	if (likely(check_net(net)))
		this_cpu_add(totals->counts[what], count);
}

/*
 * A namespace's totals; preemption is off. One that is being made has none, and
 * nobody to listen there but what might be the kernel's own.
 */
static inline struct totals __percpu *totals_of(const struct net *net)
{
	const struct totals_net *totals =
		net_generic_atomic(net, totals_net_id);

	return totals && totals->totals ? totals->totals : &totals_of_none;
}

#endif /* LISTENQ_TOTALS_H */
