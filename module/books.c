// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books: what is derived from counters and from the lengths of the two queues.
 *
 * The kernel goes on while the terms are read. They are read in an order that makes
 * a derived figure too low for a moment and never too high, and the record keeps the
 * highest value so far.
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
 * books_sum() - how many times a histogram holds
 * @histogram: the histogram
 *
 * Context: any.
 */
unsigned long books_sum(const struct histogram *histogram)
{
	unsigned long sum = 0;
	unsigned int i;

	/* Unrolled: a reader of many listeners sums many histograms. */
	unroll_loop(HISTOGRAM_COLUMNS)
	for (i = 0; i < HISTOGRAM_COLUMNS; i++)
		sum += atomic_long_read(&histogram->counts[i]);
	return sum;
}

/**
 * books_synq() - how many requests are in the SYN queue
 * @listener: the record
 * @sk: the listener
 *
 * That is what synq_length() says and, of a listener that was passed requests, those
 * that the kernel has taken off in vain: see reset_count().
 *
 * Context: any.
 */
unsigned int books_synq(const struct listener *listener, const struct sock *sk)
{
	int length = inet_csk_reqsk_queue_len(sk);

	/* Saves the cache line of @misplaced. */
	if (unlikely(counted(listener, TRAFFIC_CARRIED_REQUESTS))) {
		/* reset_count() raises @misplaced first. */
		smp_rmb();
		length += atomic_read(&listener->misplaced);
	}
	return max(length, 0);
}

/* Raise a derived figure to @value, if that is higher. */
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
 * Terms of derived figures. books_carry() and books_derive() read these and the
 * queues in the order that keeps the results too low.
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
 * books_turn() - begin a new window of a listener's peaks
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
	peak_raise(&traffic->synq, books_synq(listener, sk));
	/* A handler that sees the new end raises the peaks of the new window. */
	smp_wmb();
	WRITE_ONCE(listener->peaks_until, peak_window_end());
}

/**
 * books_carry() - count what the queues hold when counting begins
 * @books: the listener's, with a record that handlers see already
 * @sk: the listener
 *
 * A request that comes meanwhile may be counted twice; it ends as an expired one. A
 * connection must not be counted twice: where the hooks see accept(), books_derive()
 * derives later how many there were.
 *
 * Context: preemption off.
 */
void books_carry(struct books books, const struct sock *sk)
{
	struct listener *listener = books.listener;
	unsigned long counted_already = counted(listener, TRAFFIC_REQUESTS);
	unsigned long requests;

	/* The count before the queue: a request in between must not be missing. */
	smp_rmb();
	requests = books_synq(listener, sk);
	/* A request that leaves the queue from here on may be counted twice. */
	smp_rmb();
	derived(books, TRAFFIC_CARRIED_REQUESTS,
		requests + requests_ended(listener) - counted_already);
	books_turn(listener, sk, acceptq_length(sk));
	if (!accepts_are_seen(sk))
		derived(books, TRAFFIC_CARRIED_CONNECTIONS,
			acceptq_length(sk) - connections_made(listener));
}

/*
 * Of the requests that have begun, those that neither are in the queue nor have ended
 * where a hook sees it. Never too many: in this order, what happens meanwhile lowers it.
 */
static long requests_missing(const struct listener *listener, const struct sock *sk)
{
	long begun = requests_begun(listener), now;

	/* Those that begin from here on are in the queue or have ended. */
	smp_rmb();
	now = books_synq(listener, sk);
	/* Those that leave the queue from here on have ended. */
	smp_rmb();
	return begun - now - requests_ended(listener);
}

/**
 * books_derive() - bring a listener's derived figures up to date
 * @books: the listener's, with a record
 * @sk: the listener
 *
 * Where the hooks see accept(), carried connections are derived too: those in the
 * queue or accepted that were not made since counting began.
 *
 * Context: preemption off, an NMI too.
 */
void books_derive(struct books books, const struct sock *sk)
{
	const struct listener *listener = books.listener;
	enum traffic_count what = TRAFFIC_CARRIED_CONNECTIONS;
	long expired = requests_missing(listener, sk);
	long begun, now, other;

	/* Again: a request that had left the queue uncounted is counted by now. */
	expired = min(expired, requests_missing(listener, sk));

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

	/* The kernel empties the queues of a listener only after it is retired. */
	smp_rmb();
	if (record_is_retired(listener))
		return;
	derived(books, TRAFFIC_EXPIRED, expired);
	derived(books, what, other);
}

/**
 * books_start() - count what the queues of a listener held when it started
 * @books: the listener's, with a record that handlers see already
 * @sk: the listener
 *
 * What has left a queue since handlers see the record, they have counted, but for a
 * subflow that is between the queue and joined(), and for what has expired.
 *
 * Context: preemption off.
 */
void books_start(struct books books, const struct sock *sk)
{
	unsigned long any;

	/*
	 * A SYN whose handler has seen no record is in the queue by now: pairs with
	 * let_in().
	 */
	smp_mb();
	any = synq_length(sk) | acceptq_length(sk);
	/* A reset or finished request is counted before it leaves the queue. */
	smp_rmb();
	if (unlikely(any | requests_ended(books.listener)))
		books_carry(books, sk);
}

/* Whether no request and no connection has ever been in the queues. */
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
 * @what: the total to count it in
 * @carried: the total that takes back what was counted in @what too early
 * @known: how many of them refused accounts for already (closing.c)
 * @count: counts them by the books
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
 * The last to change @told is one that saw the latest counts. No total is lowered
 * here: what was counted in @what too early is counted in @carried as well.
 */
static void tell_left(struct books books, const struct left *left, u32 *told)
{
	u32 was, now;

	for (;;) {
		was = READ_ONCE(*told);
		/* A handler that counts later comes here too: see books_add(). */
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
 * books_late() - count what came to a listener after it had ended
 * @books: the listener's, with a record, which is retired
 *
 * A handler that looked up the record before it was retired may count after
 * books_tell(). Of connections that come so late, no row of refused says whose they
 * are.
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

	/* A sweep or a new start may have retired it without books_close(). */
	if (!smp_load_acquire(&end->is_known))
		return;
	connections.known = end->waiting;
	tell_left(books, &requests, &end->abandoned);
	tell_left(books, &connections, &end->unaccepted);
}

/**
 * books_close() - note what the queues of an ending listener hold
 * @books: the listener's, with a record, which the caller retires next
 * @sk: the listener, whose queues are not emptied yet
 * @moved: whether migrate_end() counts what becomes of each connection
 *
 * Context: preemption off, an NMI too.
 */
void books_close(struct books books, const struct sock *sk, bool moved)
{
	struct listener_end *end = &books.listener->end;
	u32 waiting = 0;

	if (!are_empty(books.listener, sk)) {
		books_derive(books, sk);
		/* Without a hook on accept(), some may have been accepted. */
		if (!accepts_are_seen(sk))
			waiting = outcome_queued(sk);
		waiting += acceptq_length(sk);
	}
	end->moved = moved ? acceptq_length(sk) : 0;
	end->waiting = moved ? 0 : waiting;
	/* Pairs with books_late(), which reads the rest once this is set. */
	smp_store_release(&end->is_known, true);
}

/**
 * books_tell() - add what a listener leaves behind to the totals
 * @books: the listener's, with a record, after books_close() and record_end()
 * @sk: the listener, whose queues are not emptied yet
 *
 * Context: as books_close().
 */
void books_tell(struct books books, const struct sock *sk)
{
	if (!are_empty(books.listener, sk))
		books_late(books);
}
