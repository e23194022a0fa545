/* SPDX-License-Identifier: GPL-2.0-only */
/* Totals: the counts of a network namespace; and what is counted. */
#ifndef LISTENQ_TOTALS_H
#define LISTENQ_TOTALS_H

#include <linux/compiler.h>
#include <linux/percpu.h>
#include <net/net_namespace.h>

#include "listenq.h"

/**
 * enum traffic_count - what is counted, for a listener and for a namespace
 * @TRAFFIC_REQUESTS: SYNs that entered the SYN queue
 * @TRAFFIC_SYNCOOKIES: SYNs that the kernel chose to answer with a cookie
 * @TRAFFIC_FASTOPENS: SYNs that made a connection at once
 * @TRAFFIC_OVERFLOWS_SYN: SYNs refused because the accept queue was full
 * @TRAFFIC_SYNQ_DROPS: SYNs dropped because the SYN queue was full
 * @TRAFFIC_SYNQ_RESERVED: SYNs dropped because the last quarter of the SYN queue is
 *	kept for peers known to be alive
 * @TRAFFIC_FAILED: SYNs lost for any other reason
 * @TRAFFIC_SYN_ENDS: number of counts above, one of which each SYN is counted in
 *	once its outcome is known
 * @TRAFFIC_OVERFLOWS_ACK: final ACKs refused because the accept queue was full
 * @TRAFFIC_RESET: requests that were reset
 * @TRAFFIC_JOINED: requests that became a subflow of an MPTCP connection
 * @TRAFFIC_EXPIRED: requests that were given up; derived (books.c)
 * @TRAFFIC_RESENT: SYN-ACKs sent again
 * @TRAFFIC_COOKIES_FINISHED: connections made from a cookie
 * @TRAFFIC_COOKIES_FAILED: ACKs whose cookie was not valid
 * @TRAFFIC_FASTOPEN_OVERFLOWS: SYNs that exceeded Fast Open's own limit; they become
 *	requests
 * @TRAFFIC_CARRIED_REQUESTS: requests that were in the SYN queue when counting
 *	began, or came from another listener; in the totals also those that were
 *	counted as abandoned too early
 * @TRAFFIC_CARRIED_CONNECTIONS: the same for connections and the accept queue
 * @TRAFFIC_ACCEPTS: connections handed to accept(); in a record only those that are
 *	not in its histogram of waits
 * @TRAFFIC_RECORDED: number of counts above, which a record has in an array
 * @TRAFFIC_FINISHED: requests that became connections; a record has them in its
 *	histogram of handshakes
 * @TRAFFIC_UNACCEPTED: connections in the accept queue of a listener that ended; in
 *	the totals only
 * @TRAFFIC_ABANDONED: requests in the SYN queue of a listener that ended; in the
 *	totals only
 * @TRAFFIC_COUNTED: number of counts above
 * @TRAFFIC_SYNS: SYNs; a sum, as the next one
 * @TRAFFIC_OVERFLOWS: SYNs and final ACKs refused because the accept queue was full
 * @TRAFFIC_COUNTS: number of all counts
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
 * struct totals - the totals of a namespace on one CPU
 * @counts: by &enum traffic_count
 */
struct totals {
	unsigned long counts[TRAFFIC_COUNTED];
};

/**
 * struct totals_net - data of a network namespace
 * @totals: allocated before its first listener, freed at least a grace period after
 *	its last reference
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
 * totals_add() - add to a total of a namespace
 * @net: the namespace
 * @totals: its totals
 * @what: which one
 * @count: how much
 *
 * A kernel socket may outlive its namespace and the totals by a moment. The totals
 * are freed at least a grace period after the last reference to the namespace
 * (net/core/net_namespace.c, cleanup_net()): an RCU reader that has seen a reference
 * may write.
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
 * The totals of a namespace, with preemption off. A namespace that is being made has
 * none yet, and no listeners but perhaps kernel sockets.
 */
static inline struct totals __percpu *totals_of(const struct net *net)
{
	const struct totals_net *totals =
		net_generic_atomic(net, totals_net_id);

	return totals && totals->totals ? totals->totals : &totals_of_none;
}

#endif /* LISTENQ_TOTALS_H */
