// SPDX-License-Identifier: GPL-2.0-only
/*
 * A listener that a walk has met (walk.c): reads the kernel's socket and the record
 * (record.c).
 *
 * The caller is still the RCU reader that the walk was in. The listener may stop at
 * any moment.
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), during a pass; an accept queue's rskq_lock (sleeps on
 * PREEMPT_RT, bottom halves off); a bucket of records (raw, interrupts off); the
 * pool's (raw, interrupts off). No two of the first three are ever held together.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "books.h"
#include "compat.h"
#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"

static atomic_long_t unrecorded;

/* Set once the listeners from before the hooks have been met, and have records. */
static bool settled;
/* How many of those were left alone: as many met later prove nothing. */
static atomic_long_t left_alone;

/* Whether a system call owns the socket, as far as can be told without its lock. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

/**
 * listener_count_unrecorded() - count a listener that a walk met without a record
 * @proof: what that shows, if the hooks are older than the listener
 *
 * Context: any.
 */
void listener_count_unrecorded(enum record_proof proof)
{
	if (atomic_long_inc_return(&unrecorded) > atomic_long_read(&left_alone) &&
	    READ_ONCE(settled))
		record_prove(proof);
}

/**
 * listener_count_left_alone() - count one whose record may be about to be made
 *
 * Context: any.
 */
void listener_count_left_alone(void)
{
	if (!READ_ONCE(settled))
		atomic_long_inc(&left_alone);
}

/* Make the record of a listener whose listen() was not seen. */
static noinline struct listener *record_found(struct record_bucket *bucket,
					      struct sock *sk, u64 cookie,
					      bool *dry)
{
	struct listener *listener = record_annotate(bucket, sk, cookie);
	struct listen_call call;

	if (IS_ERR_OR_NULL(listener)) {
		*dry = !listener;
		return NULL;
	}
	listen_call_forget(&call, READ_ONCE(sk->sk_max_ack_backlog));
	record_set_call(listener, &call);
	books_carry(books_with(listener, sk), sk);
	listener_count_unrecorded(PROOF_STARTED);
	return listener;
}

/*
 * Find the record of a listener that a walk has met, or make one if its listen() was
 * not seen. The caller holds @bucket's lock.
 *
 * A socket inside listen() is owned from before it enters the hash until after its
 * record is made under @bucket's lock. So a socket without a record is left alone if
 * it is owned, since its record may be about to be made; and if it has left the
 * hash, since its record was retired after that. The order of the three tests
 * matters: lock_sock() comes before the hash, and the hash before the record.
 *
 * Without a record no limit is changed, since nothing would remember what to
 * restore.
 *
 * Returns NULL without a record; @dry tells whether an empty pool is the reason.
 */
static struct listener *record_meet(struct record_bucket *bucket,
				    struct sock *sk, u64 cookie, bool *dry)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (unlikely(!listener)) {
		/* The record is looked up first, ... */
		smp_rmb();
		if (!listener_is_there(sk))
			return NULL;
		/* ... then the hash, then the owner. */
		smp_rmb();
		if (is_owned(sk)) {
			listener_count_left_alone();
			return NULL;
		}
		listener = record_found(bucket, sk, cookie, dry);
		if (!listener)
			return NULL;
	}
	record_met(listener);
	limit_decide(listener, sk);
	return listener;
}

static s64 acceptq_oldest_ms(struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	const struct request_sock *req;
	s64 ms = -1;

	if (!acceptq_lock_lasts())
		return ms;
	spin_lock_bh(&queue->rskq_lock);
	req = queue->rskq_accept_head;
	if (req)
		ms = listener_waited_ms(req->sk);
	spin_unlock_bh(&queue->rskq_lock);
	return ms;
}

/* Copy the counters one by one, while handlers go on counting. */
static void counts_read(const struct listener *listener,
			unsigned long counts[TRAFFIC_COUNTS])
{
	const struct listener_traffic *traffic = &listener->traffic;
	unsigned long syns = 0;
	unsigned int i;

	/* Unrolled: a reader of many listeners notices. */
	unroll_loop(TRAFFIC_RECORDED)
	for (i = 0; i < TRAFFIC_RECORDED; i++)
		counts[i] = atomic_long_read(&traffic->counts[i]);
	unroll_loop(TRAFFIC_SYN_ENDS)
	for (i = 0; i < TRAFFIC_SYN_ENDS; i++)
		syns += counts[i];
	counts[TRAFFIC_SYNS] = syns;
	counts[TRAFFIC_OVERFLOWS] = counts[TRAFFIC_OVERFLOWS_SYN] +
				    counts[TRAFFIC_OVERFLOWS_ACK];
	counts[TRAFFIC_ACCEPTS] += books_sum(&traffic->waits);
}

/* Raises the peaks to the lengths shown. The record's bucket is locked. */
static void traffic_read(struct listener *listener, const struct sock *sk,
			 struct listener_view *view)
{
	struct listener_traffic *traffic = &listener->traffic;
	unsigned long overflowed = READ_ONCE(traffic->overflowed);
	long age;

	view->since_ms = jiffies64_to_msecs(get_jiffies_64() - listener->since);
	if (unlikely(!accepts_are_seen(sk)))
		books_derive(books_with(listener, sk), sk);
	counts_read(listener, view->counts);
	view->synq = books_synq(listener, sk);

	/* A handler may set it to a later time at this moment. */
	age = max_t(long, jiffies - overflowed, 0);
	view->overflowed_ms = overflowed ? (s64)jiffies64_to_msecs(age) : -1;

	books_look(listener, sk, view->acceptq);
	peak_raise(&traffic->acceptq, view->acceptq);
	peak_raise(&traffic->synq, view->synq);
	view->acceptq_peak = READ_ONCE(traffic->acceptq.highest);
	view->acceptq_lately = peak_lately(&traffic->acceptq);
	view->synq_peak = READ_ONCE(traffic->synq.highest);
	view->synq_lately = peak_lately(&traffic->synq);
}

/**
 * listener_read() - read what is known of a listener
 * @sk: the listener, taken in by a walk
 * @view: where to write it
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_read(struct sock *sk, struct listener_view *view)
{
	const struct request_sock_queue *queue =
		&inet_csk(sk)->icsk_accept_queue;
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;
	bool dry;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, cookie, &dry);
	/* With a record, all fields but @place are written below. */
	if (!listener) {
		memset(view, 0, sizeof(*view));
		listener_endpoint(sk, &view->place);
	}
	view->cookie = cookie;
	view->acceptq = READ_ONCE(sk->sk_ack_backlog);
	view->synq = synq_length(sk);
	view->synq_young = max(reqsk_queue_len_young(queue), 0);
	view->drops = sk_drops_read(sk);
	view->limit = READ_ONCE(sk->sk_max_ack_backlog);
	if (listener && listener->decision.limit == view->limit) {
		view->call = listener->call;
		view->rule = listener->decision.rule;
	} else {
		/* Not the decided limit: a listen() has just stored it. */
		listen_call_forget(&view->call, view->limit);
		view->rule = (struct selector) { };
	}
	view->record = listener;
	if (listener)
		traffic_read(listener, sk, view);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);

	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
}

/**
 * listener_read_books() - read the counters again, with derived ones up to date
 * @sk: the listener, taken in by a walk
 * @view: written by listener_read(), with a record
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_read_books(struct sock *sk, struct listener_view *view)
{
	struct listener *listener = (struct listener *)view->record;

	preempt_disable();
	books_derive(books_with(listener, sk), sk);
	counts_read(listener, view->counts);
	view->counts[TRAFFIC_FINISHED] =
		books_sum(&listener->traffic.handshakes);
	preempt_enable();
}

/**
 * listener_derive() - bring a listener's derived figures up to date
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_derive(struct sock *sk)
{
	struct books books;

	preempt_disable();
	books = books_of(sk);
	if (books.listener)
		books_derive(books, sk);
	preempt_enable();
}

/**
 * listener_reset_peaks() - reset both peaks of a listener to the queues' lengths
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_reset_peaks(struct sock *sk)
{
	struct listener *listener = record_lookup(sk, socket_cookie(sk));

	if (!listener)
		return;
	peak_reset(&listener->traffic.acceptq, READ_ONCE(sk->sk_ack_backlog));
	peak_reset(&listener->traffic.synq, books_synq(listener, sk));
}

/**
 * listener_is_same() - whether what was read of a listener belongs together
 * @sk: the listener, taken in by a walk
 * @view: written by listener_read(); the caller has read other fields of @sk since
 *
 * True if the socket has listened in one place all the time. The kernel changes what
 * rows show of a socket only once it has left the listening hash. A socket that is
 * back in the hash, perhaps elsewhere, has had its record retired in between;
 * without a record, compare the place.
 *
 * Context: process context, the RCU reader that the walk was in.
 */
bool listener_is_same(const struct sock *sk, const struct listener_view *view)
{
	struct endpoint place;

	/* The socket leaves the hash before the kernel changes it. */
	smp_rmb();
	if (!listener_is_there(sk))
		return false;
	/*
	 * A socket that is back in the hash has had its record retired before that,
	 * unless the hook missed the stop.
	 */
	smp_rmb();
	if (likely(view->record))
		return !record_is_retired(view->record);
	listener_endpoint(sk, &place);
	return !memcmp(&place, &view->place, sizeof(place));
}

/*
 * Note what shows that connections came to a listener that was seen to start, and
 * were accepted. The first does not hold in a group, whose members may pass
 * connections on. A peak may be 1 too high if the listener ended while a request
 * became a connection.
 */
static void prove(const struct listener *listener, const struct sock *sk)
{
	unsigned int peak = READ_ONCE(listener->traffic.acceptq.highest);
	unsigned int length = READ_ONCE(sk->sk_ack_backlog);

	if (length && !rcu_access_pointer(sk->sk_reuseport_cb))
		record_prove(PROOF_CONNECTED);
	if (peak > length + 1 && !sk_is_mptcp(sk))
		record_prove(PROOF_ACCEPTED);
}

/**
 * listener_meet() - make a listener's record if it has none, and decide on its limit
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, the RCU reader that the walk was in.
 * Return: false if there was no memory for a record: the walk must meet it again.
 */
bool listener_meet(struct sock *sk)
{
	struct record_bucket *bucket = record_bucket(sk);
	struct listener *listener;
	unsigned long flags;
	bool dry = false;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, socket_cookie(sk), &dry);
	if (listener) {
		/* In time: once 32 bits wrap, an old end would seem to lie ahead. */
		books_look(listener, sk, READ_ONCE(sk->sk_ack_backlog));
		if (listener->started)
			prove(listener, sk);
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
	return !dry;
}

/**
 * listener_unrecorded() - how many listeners walks have met without a record
 *
 * Without those that listened before the module was loaded.
 *
 * Context: any.
 */
unsigned long listener_unrecorded(void)
{
	return atomic_long_read(&unrecorded);
}

/**
 * listener_unrecorded_forget() - note that those met so far are older than the hooks
 *
 * Context: any.
 */
void listener_unrecorded_forget(void)
{
	atomic_long_set(&unrecorded, 0);
	WRITE_ONCE(settled, true);
}

/**
 * listener_settled() - whether the listeners from before the hooks have been met
 *
 * Context: any.
 */
bool listener_settled(void)
{
	return READ_ONCE(settled);
}
