// SPDX-License-Identifier: GPL-2.0-only
/*
 * A listener that a walk has met (walk.c): what the kernel's socket says of it,
 * and what its record remembers beside that (record.c).
 *
 * The caller is still the RCU reader that the walk was in, and nobody keeps the
 * listener from stopping meanwhile.
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), held for a pass alone; an accept queue's rskq_lock
 * (sleeps on PREEMPT_RT, bottom halves off), alone; a bucket of records (raw,
 * interrupts off); the pool's (raw, interrupts off). The first three are never
 * held together.
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

/* Whether those that were there before the hooks have been met: then they are. */
static bool settled;
/* How many of these were left alone: others are met without a record for them. */
static atomic_long_t left_alone;

/* Whether a system call has the socket, as far as that can be told. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

/**
 * listener_count_unrecorded() - a walk has met a listener without a record
 * @proof: what that shows, where the hooks were there before the listener
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
 * listener_count_left_alone() - a walk has met one whose record is on the way, perhaps
 *
 * Context: any.
 */
void listener_count_left_alone(void)
{
	if (!READ_ONCE(settled))
		atomic_long_inc(&left_alone);
}

/* A record for a listener whose listen() was not seen. */
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
 * A walk has met a listener: find its record, or annotate it where its listen()
 * was not seen. The caller holds @bucket's lock.
 *
 * Whoever is inside listen() owns the socket from before it enters the hash
 * until after its record is made, under @bucket's lock. So a socket without a
 * record that is owned is left alone: its record may be on the way. So is one
 * that has left the hash: its record went behind that. The order of the three
 * questions matters: lock_sock() comes before the hash, and that before the
 * record.
 *
 * No limit is changed without a record, which remembers what to put back.
 *
 * Returns NULL where there is none; @dry says whether the pool was to blame.
 */
static struct listener *record_meet(struct record_bucket *bucket,
				    struct sock *sk, u64 cookie, bool *dry)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (unlikely(!listener)) {
		/* No record first, ... */
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

/* What is counted, copied word by word: handlers go on counting. */
static void counts_read(const struct listener *listener,
			unsigned long counts[TRAFFIC_COUNTS])
{
	const struct listener_traffic *traffic = &listener->traffic;
	unsigned long syns = 0;
	unsigned int i;

	/* Readers of many listeners notice. */
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

/* No peak is below what somebody was shown. The record's bucket is locked. */
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

	/* Set again at this very moment, perhaps. */
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
 * listener_read() - what there is to know of a listener now
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
	/* With a record, each of its fields is written below. */
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
		/* A limit that is not known is what the kernel just stored. */
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
 * listener_read_books() - read what is counted again, and what follows from it
 * @sk: the listener, taken in by a walk
 * @view: what listener_read() has written, with a record
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
 * listener_derive() - bring up to date what follows from what is counted
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
 * listener_reset_peaks() - look anew for the most in each queue
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
	peak_reset(&listener->traffic.synq, synq_length(sk));
}

/**
 * listener_is_same() - whether what was read of a listener is true
 * @sk: the listener, taken in by a walk
 * @view: what listener_read() has written; other fields of @sk were read behind
 *	that
 *
 * All of it is where the listener listens, and has listened since. What rows
 * show is taken from a socket when it has left the listening hash; one that is
 * there again, elsewhere perhaps, has lost its record in between. Without a
 * record, the place tells, as far as it can.
 *
 * Context: process context, the RCU reader that the walk was in.
 */
bool listener_is_same(const struct sock *sk, const struct listener_view *view)
{
	struct endpoint place;

	/* Whoever takes something from a socket has unhashed it before. */
	smp_rmb();
	if (!listener_is_there(sk))
		return false;
	/*
	 * Whoever hashes it again has retired its record before, unless the
	 * probe at its stop was missed.
	 */
	smp_rmb();
	if (likely(view->record))
		return !record_is_retired(view->record);
	listener_endpoint(sk, &place);
	return !memcmp(&place, &view->place, sizeof(place));
}

/*
 * What shows that connections have come to a listener that was seen to start, and
 * were accepted. Members of a group may have been passed them by others. A peak is
 * 1 high if a listener was just ending when a request became a connection.
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
 * listener_meet() - make the record and the limit of a listener right
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, the RCU reader that the walk was in.
 * Return: false if it has to be met again, since there is no memory for its
 * record.
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
		/* Now and then: before its end is taken for one to come. */
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
 * Those that listened before the load do not count.
 *
 * Context: any.
 */
unsigned long listener_unrecorded(void)
{
	return atomic_long_read(&unrecorded);
}

/**
 * listener_unrecorded_forget() - those met so far have not been missed
 *
 * Context: any.
 */
void listener_unrecorded_forget(void)
{
	atomic_long_set(&unrecorded, 0);
	WRITE_ONCE(settled, true);
}

/**
 * listener_settled() - whether those that were there before the hooks were met
 *
 * Context: any.
 */
bool listener_settled(void)
{
	return READ_ONCE(settled);
}
