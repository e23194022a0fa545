/* SPDX-License-Identifier: GPL-2.0-only */
/* Segments for a listener that the kernel drops, by the kernel's reasons. */
#ifndef LISTENQ_DROPS_H
#define LISTENQ_DROPS_H

#include <linux/atomic.h>
#include <net/sock.h>

#include "compat.h"

/*
 * Each listener counts a few reasons by name, and all others in the last entry.
 * Anyone can cause the reasons of noise, so these have entries of their own, before
 * the rest.
 */
#define DROPS_NAMED	(DROPS_OF_NOISE + 4)
#define DROPS		(DROPS_ARE_SEEN ? DROPS_NAMED + 1 : 0)
#define DROPS_OTHER	U32_MAX

/**
 * struct drop - how many segments were dropped for a reason
 * @count: how many
 * @reason: an enum skb_drop_reason; 0: unused; DROPS_OTHER: all without an entry
 */
struct drop {
	atomic_long_t count;
	unsigned int reason;
};

void drops_count(const struct sock *sk, unsigned int reason);

#endif /* LISTENQ_DROPS_H */
