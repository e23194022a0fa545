// SPDX-License-Identifier: GPL-2.0-only
/*
 * Segments for a listener that the kernel drops, by the kernel's reasons.
 *
 * The kernel passes the socket, but may have released its reference by then: so the
 * record is looked up by address alone.
 */
#include <linux/kernel.h>
#include <net/sock.h>

#include "compat.h"
#include "drops.h"
#include "record.h"

/* Reasons of noise have fixed entries; others take the first free one. */
static struct drop *drop_of(struct listener *listener, unsigned int reason)
{
	struct drop *drop = listener->drops;
	unsigned int i, has;

	for (i = 0; i < DROPS_OF_NOISE; i++, drop++) {
		if (drop_noise(i) != reason)
			continue;
		WRITE_ONCE(drop->reason, reason);
		return drop;
	}
	for (; i < DROPS_NAMED; i++, drop++) {
		has = READ_ONCE(drop->reason);
		if (!has)
			has = cmpxchg(&drop->reason, 0, reason) ?: reason;
		if (has == reason)
			return drop;
	}
	WRITE_ONCE(drop->reason, DROPS_OTHER);
	return drop;
}

/**
 * drops_count() - count a dropped segment
 * @sk: address of the socket that it was for, which is not followed
 * @reason: the enum skb_drop_reason
 *
 * Context: any, preemption off.
 */
void drops_count(const struct sock *sk, unsigned int reason)
{
	struct listener *listener = record_at(sk);

	if (listener && DROPS)
		atomic_long_inc(&drop_of(listener, reason)->count);
}
