/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The books: each SYN, each request and each connection of each listener ends in
 * one column.
 *
 *	syns = what became of them
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
 * struct books - where something of a listener's is counted
 * @listener: its record; NULL: it has none, and nothing is counted, since no sum
 *	would be right that has it
 * @net: its namespace
 */
struct books {
	struct listener *listener;
	const struct net *net;
};

unsigned long books_sum(const struct histogram *histogram);
void books_turn(struct listener *listener, const struct sock *sk,
		unsigned int acceptq);
void books_carry(struct books books, const struct sock *sk);
void books_derive(struct books books, const struct sock *sk);
void books_close(struct books books, const struct sock *sk, bool moved);
void books_tell(struct books books, const struct sock *sk);
void books_late(struct books books);

/* Whether it is seen which connections of a listener are handed to accept(). */
static __always_inline bool accepts_are_seen(const struct sock *sk)
{
	return KERNEL_HAS(__inet_accept) && !sk_is_mptcp(sk);
}

/**
 * books_of() - where what happens to a listener is counted
 * @sk: the listener
 *
 * Context: any, preemption off.
 * Return: its books, to be used as long as preemption is off.
 */
static __always_inline struct books books_of(const struct sock *sk)
{
	return (struct books) {
		.listener = record_of(sk),
		.net = sock_net(sk),
	};
}

/* The same, where the record is known already. */
static inline struct books books_with(struct listener *listener,
				      const struct sock *sk)
{
	return (struct books) {
		.listener = listener,
		.net = sock_net(sk),
	};
}

/*
 * In the totals alone; the record has it already. Where the listener has ended
 * meanwhile, it is among what that has left behind.
 */
static __always_inline void books_add(struct books books,
				      enum traffic_count what,
				      unsigned long count)
{
	totals_add(books.net, books.listener->totals, what, count);
	/*
	 * Behind what the caller has done to the record, which is atomic; and with
	 * record_retire() and books_tell(): one of the two sees what the other does.
	 */
	smp_mb__after_atomic();
	if (unlikely(record_is_retired(books.listener)))
		books_late(books);
}

/**
 * books_count() - something has happened to a listener
 * @books: the listener's, with a record
 * @what: what, of those that a record has by this number
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
 * books_carry_in() - a listener gets a connection from another one that ends
 * @books: the listener's, with a record
 *
 * In the totals it has never been away.
 *
 * Context: any, preemption off.
 */
static inline void books_carry_in(struct books books)
{
	atomic_long_inc(&books.listener->traffic.counts[TRAFFIC_CARRIED_CONNECTIONS]);
	books_add(books, TRAFFIC_CARRIED_CONNECTIONS, 0);
}

/**
 * books_look() - look whether the window of a listener's peaks has ended
 * @listener: the record
 * @sk: the listener
 * @acceptq: connections in its accept queue, now or until now
 *
 * So what a queue has held for a while is a value of the window in which the first
 * thing happens that may change it.
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
 * books_time() - something has taken so long
 * @histogram: where it is counted
 * @time: how long, in the histogram's unit
 * @first: binary logarithm of the first column's end
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
