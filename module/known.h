/* SPDX-License-Identifier: GPL-2.0-only */
/* Which figures are known: those whose hooks are all there and see. */
#ifndef LISTENQ_KNOWN_H
#define LISTENQ_KNOWN_H

#include <linux/types.h>
#include <net/sock.h>

#include "books.h"
#include "record.h"

/**
 * struct known - which figures have all the hooks that they need
 * @counts: by &enum traffic_count
 * @derived_accepts: accepts where they follow from other figures
 * @waits: how long connections waited for accept()
 * @acceptq_peak: the accept queue's
 * @synq_peak: the SYN queue's
 * @drops: what the kernel drops, by its reasons
 * @refusals: everybody who is turned away
 */
struct known {
	bool counts[TRAFFIC_COUNTS];
	bool derived_accepts;
	bool waits;
	bool acceptq_peak;
	bool synq_peak;
	bool drops;
	bool refusals;
};

struct known known_now(int family);

/* Whether it is known how many connections of a listener were accepted. */
static inline bool accepts_are_known(const struct known *known,
				     const struct sock *sk)
{
	return accepts_are_seen(sk) ? known->counts[TRAFFIC_ACCEPTS] :
				      known->derived_accepts;
}

#endif /* LISTENQ_KNOWN_H */
