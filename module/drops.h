/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel drops that has reached a listener, by its own reasons. */
#ifndef LISTENQ_DROPS_H
#define LISTENQ_DROPS_H

#include <linux/atomic.h>
#include <net/sock.h>

#include "compat.h"

/*
 * A listener has counts of the first few reasons that there are, and all others go into
 * the last. Anybody can send what is dropped for the reasons of noise: these have counts
 * of their own, before those.
 */
#define DROPS_NAMED	(DROPS_OF_NOISE + 4)
#define DROPS		(DROPS_ARE_SEEN ? DROPS_NAMED + 1 : 0)
#define DROPS_OTHER	U32_MAX

/**
 * struct drop - how often something was dropped for a reason
 * @count: how often
 * @reason: an enum skb_drop_reason; 0: none yet. DROPS_OTHER: any that has no count
 */
struct drop {
	atomic_long_t count;
	unsigned int reason;
};

void drops_count(const struct sock *sk, unsigned int reason);

#endif /* LISTENQ_DROPS_H */
