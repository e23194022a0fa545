/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The books: each SYN, each request and each connection of a listener is counted in
 * exactly one column in the end.
 *
 *	syns = the sum of the SYNs' outcomes
 *	requests + carried_requests =
 *		finished + expired + reset + joined + the SYN queue
 *	finished + cookies_finished + fastopens + carried_connections =
 *		accepts + the accept queue
 */
#ifndef LISTENQ_BOOKS_H
#define LISTENQ_BOOKS_H

#include <linux/percpu.h>
#include <net/mptcp.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "listenq.h"
#include "record.h"

/**
 * struct books - where events of a listener are counted
 * @listener: its record; NULL: it has none, and nothing is counted: an equation
 *	above holds only if all its terms are counted
 * @net: its namespace
 */
struct books {
	struct listener *listener;
	const struct net *net;
};

unsigned long books_sum(const struct histogram *histogram);
unsigned int books_synq(const struct listener *listener, const struct sock *sk);
void books_turn(struct listener *listener, const struct sock *sk,
		unsigned int acceptq);
void books_carry(struct books books, const struct sock *sk);
void books_start(struct books books, const struct sock *sk);
void books_derive(struct books books, const struct sock *sk);
void books_close(struct books books, const struct sock *sk, bool moved);
void books_tell(struct books books, const struct sock *sk);
void books_late(struct books books);

/* Whether the hooks see which connections of a listener accept() takes. */
static __always_inline bool accepts_are_seen(const struct sock *sk)
{
	return KERNEL_HAS(__inet_accept) && !sk_is_mptcp(sk);
}

/**
 * books_of() - look up where events of a listener are counted
 * @sk: the listener
 *
 * Context: any, preemption off.
 * Return: the books, valid as long as preemption is off.
 */
static __always_inline struct books books_of(const struct sock *sk)
{
	return (struct books) {
		.listener = record_of(sk),
		.net = sock_net(sk),
	};
}

/* The same for a record that the caller has looked up. */
static inline struct books books_with(struct listener *listener,
				      const struct sock *sk)
{
	return (struct books) {
		.listener = listener,
		.net = sock_net(sk),
	};
}

/*
 * Count in the totals what the caller has counted in the record. If the listener has
 * ended meanwhile, books_late() adds the change in what it leaves behind.
 */
static __always_inline void books_add(struct books books,
				      enum traffic_count what,
				      unsigned long count)
{
	totals_add(books.net, books.listener->totals, what, count);
	/*
	 * Orders the caller's atomic update of the record before this test. Pairs
	 * with record_retire() and books_tell(): one of the two sees what the other
	 * did.
	 */
	smp_mb__after_atomic();
	if (unlikely(record_is_retired(books.listener)))
		books_late(books);
}

/**
 * books_count() - count an event of a listener
 * @books: the listener's, with a record
 * @what: below TRAFFIC_RECORDED
 *
 * Context: any, preemption off.
 */
static __always_inline void books_count(struct books books,
					enum traffic_count what)
{
	atomic_long_inc(&books.listener->traffic.counts[what]);
	books_add(books, what, 1);
}

/**
 * books_carry_in() - count a connection moved here from a listener that ends
 * @books: the listener's, with a record
 *
 * Adds nothing to the totals, which the connection has never left.
 *
 * Context: any, preemption off.
 */
static inline void books_carry_in(struct books books)
{
	atomic_long_inc(&books.listener->traffic.counts[TRAFFIC_CARRIED_CONNECTIONS]);
	books_add(books, TRAFFIC_CARRIED_CONNECTIONS, 0);
}

/**
 * books_look() - begin a new window of a listener's peaks if the last has ended
 * @listener: the record
 * @sk: the listener
 * @acceptq: connections in its accept queue, now or until now
 *
 * Called before anything changes a queue, so that the length a queue has kept since
 * the last window counts for the new one too.
 *
 * Context: any, preemption off.
 */
static __always_inline void books_look(struct listener *listener,
				       const struct sock *sk,
				       unsigned int acceptq)
{
	if (unlikely(peak_window_has_ended(READ_ONCE(listener->peaks_until))))
		books_turn(listener, sk, acceptq);
}

/**
 * books_time() - count a time in a histogram
 * @histogram: the histogram
 * @time: the time, in the histogram's unit
 * @first: binary logarithm of the first column's upper end
 *
 * Context: any.
 */
static __always_inline void books_time(struct histogram *histogram, u64 time,
				       unsigned int first)
{
	unsigned int column = time ? fls64((time - 1) >> first) : 0;

	column = min_t(unsigned int, column, HISTOGRAM_COLUMNS - 1);
	atomic_long_inc(&histogram->counts[column]);
	atomic_long_add(time, &histogram->sum);
}

#endif /* LISTENQ_BOOKS_H */
