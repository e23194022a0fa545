/* SPDX-License-Identifier: GPL-2.0-only */
/* AF_UNIX listeners. */
#ifndef LISTENQ_UNIX_H
#define LISTENQ_UNIX_H

#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/sock.h>

#include "hook.h"
#include "peak.h"
#include "record.h"
#include "walk.h"

/**
 * struct unix_view - an AF_UNIX listener at one moment
 * @cookie: the socket's cookie
 * @limit: the limit in force
 * @acceptq: connections that wait for accept()
 * @call: the latest listen(), as in &struct listener_view
 * @rule: the rule that acts on the listener
 * @record: its record; NULL: it has none, and the fields below are unknown
 * @since_ms: for how long traffic has been counted
 * @connects: connections that have entered the queue
 * @accepts: connections handed to accept()
 * @waits: connect() calls that had to wait for room
 * @eagains: connect() calls that got EAGAIN for want of room
 * @acceptq_peak: the most connections in the queue
 * @acceptq_lately: the most in the last minute
 */
struct unix_view {
	u64 cookie;
	unsigned int limit;
	unsigned int acceptq;
	struct listen_call call;
	struct selector rule;

	const struct listener *record;
	u64 since_ms;
	unsigned long connects;
	unsigned long accepts;
	unsigned long waits;
	unsigned long eagains;
	unsigned int acceptq_peak;
	unsigned int acceptq_lately;
};

/**
 * struct unix_known - which figures of AF_UNIX listeners are known
 * @accepts: connects and accepts
 * @waits: connect() calls that had to wait
 * @eagains: connect() calls that got EAGAIN
 * @acceptq_peak: the peak of the queue
 */
struct unix_known {
	bool accepts;
	bool waits;
	bool eagains;
	bool acceptq_peak;
};

extern const struct walk_table unix_table;
extern const struct hook unix_hooks[];

void unix_read(struct sock *sk, struct unix_view *view);
bool unix_meet(struct sock *sk);
bool unix_is_same(const struct sock *sk, const struct unix_view *view);
void unix_turn(struct listener *listener, unsigned int acceptq);
struct unix_known unix_known_now(void);

/**
 * unix_acceptq() - how many connections wait for accept()
 * @sk: the listener
 *
 * Context: any.
 */
static inline unsigned int unix_acceptq(const struct sock *sk)
{
	return skb_queue_len_lockless(&sk->sk_receive_queue);
}

/**
 * unix_look() - begin a new window of a listener's peak if the last has ended
 * @listener: the record
 * @acceptq: connections in its queue, now or until now
 *
 * Context: any, preemption off.
 */
static __always_inline void unix_look(struct listener *listener,
				      unsigned int acceptq)
{
	if (unlikely(peak_window_has_ended(READ_ONCE(listener->peaks_until))))
		unix_turn(listener, acceptq);
}

#endif /* LISTENQ_UNIX_H */
