// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books: what is counted in a namespace, and what follows from what is counted
 * and from what the two queues hold.
 *
 * A figure that follows is kept in the record by the highest that it has been: it
 * is read while the kernel goes on, and what is under way makes it too low for a
 * moment and never too high, by the order in which its terms are read.
 */
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <net/mptcp.h>
#include <net/net_namespace.h>

#include "books.h"
#include "outcome.h"
#include "ring.h"
#include "socket.h"

static unsigned long counted(const struct listener *listener,
			     enum traffic_count what)
{
	return atomic_long_read(&listener->traffic.counts[what]);
}

/**
 * books_sum() - how many a histogram has
 * @histogram: the histogram
 *
 * Context: any.
 */
unsigned long books_sum(const struct histogram *histogram)
{
	unsigned long sum = 0;
	unsigned int i;

	/* Readers of many listeners notice. */
	unroll_loop(HISTOGRAM_COLUMNS)
	for (i = 0; i < HISTOGRAM_COLUMNS; i++)
		sum += atomic_long_read(&histogram->counts[i]);
	return sum;
}

/* A figure that follows from others is at least so much. */
static void derived(struct books books, enum traffic_count what,
		    unsigned long value)
{
	atomic_long_t *count = &books.listener->traffic.counts[what];
	long was = atomic_long_read(count);

	while ((long)(value - was) > 0) {
		if (atomic_long_try_cmpxchg(count, &was, value)) {
			books_add(books, what, value - was);
			break;
		}
	}
}

/*
 * What is known of requests and connections. The order in which these and the
 * queues are read keeps what follows too low.
 */
static long requests_begun(const struct listener *listener)
{
	return counted(listener, TRAFFIC_REQUESTS) +
	       counted(listener, TRAFFIC_CARRIED_REQUESTS);
}

static long requests_ended(const struct listener *listener)
{
	return books_sum(&listener->traffic.handshakes) +
	       counted(listener, TRAFFIC_RESET) +
	       counted(listener, TRAFFIC_JOINED);
}

static unsigned long connections_made(const struct listener *listener)
{
	return books_sum(&listener->traffic.handshakes) +
	       counted(listener, TRAFFIC_COOKIES_FINISHED) +
	       counted(listener, TRAFFIC_FASTOPENS);
}

static unsigned long connections_begun(const struct listener *listener)
{
	return connections_made(listener) +
	       counted(listener, TRAFFIC_CARRIED_CONNECTIONS);
}

static unsigned long connections_accepted(const struct listener *listener)
{
	return counted(listener, TRAFFIC_ACCEPTS) +
	       books_sum(&listener->traffic.waits);
}

static unsigned long acceptq_length(const struct sock *sk)
{
	return READ_ONCE(sk->sk_ack_backlog);
}

/**
 * books_turn() - the window of a listener's peaks has ended
 * @listener: the record
 * @sk: the listener
 * @acceptq: connections in its accept queue, now or until now
 *
 * Context: any, preemption off.
 */
void books_turn(struct listener *listener, const struct sock *sk,
		unsigned int acceptq)
{
	struct listener_traffic *traffic = &listener->traffic;

	peak_turn(&traffic->acceptq);
	peak_turn(&traffic->synq);
	peak_raise(&traffic->acceptq, acceptq);
	peak_raise(&traffic->synq, synq_length(sk));
	/* Who sees this has to raise the peaks of this window. */
	smp_wmb();
	WRITE_ONCE(listener->peaks_until, peak_window_end());
}

/**
 * books_carry() - what the queues hold when the counting begins
 * @books: the listener's, with a record that handlers see already
 * @sk: the listener
 *
 * A request that comes meanwhile may be counted twice, and will be taken for one
 * that was given up. A connection must not be: where it can be told later whether
 * there were any, books_derive() does.
 *
 * Context: preemption off.
 */
void books_carry(struct books books, const struct sock *sk)
{
	struct listener *listener = books.listener;
	unsigned long counted_already = counted(listener, TRAFFIC_REQUESTS);
	unsigned long requests;

	/* Those before the queue, or one that comes in between would be missing. */
	smp_rmb();
	requests = synq_length(sk);
	/* What leaves it from here on may be counted twice. */
	smp_rmb();
	derived(books, TRAFFIC_CARRIED_REQUESTS,
		requests + requests_ended(listener) - counted_already);
	books_turn(listener, sk, acceptq_length(sk));
	if (!accepts_are_seen(sk))
		derived(books, TRAFFIC_CARRIED_CONNECTIONS,
			acceptq_length(sk) - connections_made(listener));
}

/**
 * books_derive() - bring up to date what follows from other figures
 * @books: the listener's, with a record
 * @sk: the listener
 *
 * The connections that there were when the counting began follow as well, where it
 * is seen which are accepted: what is neither new nor gone was there.
 *
 * Context: preemption off, an NMI too.
 */
void books_derive(struct books books, const struct sock *sk)
{
	const struct listener *listener = books.listener;
	enum traffic_count what = TRAFFIC_CARRIED_CONNECTIONS;
	long begun = requests_begun(listener);
	long now = synq_length(sk);
	long expired, other;

	expired = begun - now - requests_ended(listener);
	/* Once more: what has just left the queue is counted by now. */
	begun = requests_begun(listener);
	now = synq_length(sk);
	expired = min(expired, begun - now - requests_ended(listener));

	if (accepts_are_seen(sk)) {
		begun = connections_accepted(listener);
		now = acceptq_length(sk);
		other = begun + now - connections_made(listener);
	} else {
		what = TRAFFIC_ACCEPTS;
		begun = connections_begun(listener);
		begun -= outcome_queued(sk);
		other = begun - acceptq_length(sk);
	}

	/* Of a listener that has ended, the kernel empties the queues behind that. */
	smp_rmb();
	if (record_is_retired(listener))
		return;
	derived(books, TRAFFIC_EXPIRED, expired);
	derived(books, what, other);
}

/* Whether nothing but what was turned away has ever come. */
static bool are_empty(const struct listener *listener, const struct sock *sk)
{
	unsigned long any = requests_begun(listener);

	any |= synq_length(sk) | acceptq_length(sk);
	any |= counted(listener, TRAFFIC_COOKIES_FINISHED);
	any |= counted(listener, TRAFFIC_FASTOPENS);
	any |= counted(listener, TRAFFIC_CARRIED_CONNECTIONS);
	return !any;
}

static long requests_left(const struct listener *listener)
{
	return requests_begun(listener) - requests_ended(listener) -
	       counted(listener, TRAFFIC_EXPIRED);
}

static long connections_left(const struct listener *listener)
{
	return connections_begun(listener) - connections_accepted(listener) -
	       listener->end.moved;
}

/**
 * struct left - what a listener leaves behind
 * @what: where it is counted
 * @carried: where it is counted if it was told too early
 * @known: of how many refused has rows
 * @count: how many there are
 */
struct left {
	enum traffic_count what;
	enum traffic_count carried;
	u32 known;
	long (*count)(const struct listener *listener);
};

static u32 unknown(const struct left *left, u32 told)
{
	return told > left->known ? told - left->known : 0;
}

/*
 * Whoever sees the latest of what was counted is the last to change @told. The totals
 * only ever grow: what was told too early goes on as one that is carried.
 */
static void tell_left(struct books books, const struct left *left, u32 *told)
{
	u32 was, now;

	for (;;) {
		was = READ_ONCE(*told);
		/* Who counts behind this comes here, too: see books_add(). */
		smp_mb();
		now = max(left->count(books.listener), 0L);
		if (now == was)
			return;
		if (cmpxchg(told, was, now) != was)
			continue;
		if (now > was)
			ring_missed(books.net,
				    unknown(left, now) - unknown(left, was));
		totals_add(books.net, books.listener->totals,
			   now > was ? left->what : left->carried,
			   now > was ? now - was : was - now);
	}
}

/**
 * books_late() - something was counted of a listener that may have ended meanwhile
 * @books: the listener's, with a record, which is retired
 *
 * A handler that has found the record before it was retired may count behind
 * books_tell(). Of a connection that has come too late, nobody tells whose it is.
 *
 * Context: preemption off since the record was looked up, an NMI too.
 */
void __cold books_late(struct books books)
{
	struct listener_end *end = &books.listener->end;
	struct left requests = {
		.what		= TRAFFIC_ABANDONED,
		.carried	= TRAFFIC_CARRIED_REQUESTS,
		.known		= U32_MAX,
		.count		= requests_left,
	};
	struct left connections = {
		.what		= TRAFFIC_UNACCEPTED,
		.carried	= TRAFFIC_CARRIED_CONNECTIONS,
		.count		= connections_left,
	};

	/* It may have been retired without an end that was seen (books_close()). */
	if (!smp_load_acquire(&end->is_known))
		return;
	connections.known = end->waiting;
	tell_left(books, &requests, &end->abandoned);
	tell_left(books, &connections, &end->unaccepted);
}

/**
 * books_close() - a listener ends, and with it what its queues hold
 * @books: the listener's, with a record, which is to be retired next
 * @sk: the listener, whose queues are not empty yet
 * @moved: whether it is told of each connection what becomes of it
 *
 * Context: preemption off, an NMI too.
 */
void books_close(struct books books, const struct sock *sk, bool moved)
{
	struct listener_end *end = &books.listener->end;
	u32 waiting = 0;

	if (!are_empty(books.listener, sk)) {
		books_derive(books, sk);
		/* Where accept() is not seen, some may have been accepted. */
		if (!accepts_are_seen(sk))
			waiting = outcome_queued(sk);
		waiting += acceptq_length(sk);
	}
	end->moved = moved ? acceptq_length(sk) : 0;
	end->waiting = moved ? 0 : waiting;
	/* Whoever finds it set finds the rest: pairs with books_late(). */
	smp_store_release(&end->is_known, true);
}

/**
 * books_tell() - tell what a listener has left behind
 * @books: the listener's, with a record, which books_close() has seen and is retired
 * @sk: the listener, whose queues are not empty yet
 *
 * Context: as books_close().
 */
void books_tell(struct books books, const struct sock *sk)
{
	if (!are_empty(books.listener, sk))
		books_late(books);
}
