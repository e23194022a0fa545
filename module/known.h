/* SPDX-License-Identifier: GPL-2.0-only */
/* Which figures are known: those whose hooks are all on. */
#ifndef LISTENQ_KNOWN_H
#define LISTENQ_KNOWN_H

#include <linux/types.h>
#include <net/sock.h>

#include "books.h"
#include "record.h"

/**
 * struct known - which figures are known
 * @counts: by &enum traffic_count
 * @derived_accepts: accepts, for listeners where they are derived
 * @waits: how long connections waited for accept()
 * @acceptq_peak: the peak of the accept queue
 * @synq_peak: the peak of the SYN queue
 * @drops: what the kernel drops, by reason
 * @refusals: the file refused is complete
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
struct known known_without_returns(int family);

/* Whether the number of a listener's accepted connections is known. */
static inline bool accepts_are_known(const struct known *known,
				     const struct sock *sk)
{
	return accepts_are_seen(sk) ? known->counts[TRAFFIC_ACCEPTS] :
				      known->derived_accepts;
}

#endif /* LISTENQ_KNOWN_H */
