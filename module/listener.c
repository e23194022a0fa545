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
#include <net/request_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"

static atomic_long_t unrecorded;

/* Whether a system call has the socket, as far as that can be told. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
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
	atomic_long_inc(&unrecorded);
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
		if (is_owned(sk))
			return NULL;
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

/*
 * What is counted, copied word by word: handlers go on counting. No peak is
 * below what somebody was shown. The caller holds the record's bucket.
 */
static void traffic_read(struct listener *listener,
			 struct listener_view *view)
{
	struct listener_traffic *traffic = &listener->traffic;
	unsigned long overflowed = READ_ONCE(traffic->overflowed);
	struct listener_waits *waits = &listener->waits;
	unsigned long accepts = 0;
	unsigned int i;
	long age;

	view->since_ms = jiffies64_to_msecs(get_jiffies_64() - listener->since);
	for (i = 0; i < TRAFFIC_ACCEPTS; i++)
		view->counts[i] = atomic_long_read(&traffic->counts[i]);
	/* Readers of many listeners notice. */
	unroll_loop(TRAFFIC_WAITS)
	for (i = 0; i < TRAFFIC_WAITS; i++)
		accepts += atomic_long_read(&waits->counts[i]);
	view->counts[TRAFFIC_ACCEPTS] = accepts;

	/* Set again at this very moment, perhaps. */
	age = max_t(long, jiffies - overflowed, 0);
	view->overflowed_ms = overflowed ? (s64)jiffies64_to_msecs(age) : -1;

	record_raise(&traffic->acceptq_peak, view->acceptq);
	record_raise(&traffic->synq_peak, view->synq);
	view->acceptq_peak = READ_ONCE(traffic->acceptq_peak);
	view->synq_peak = READ_ONCE(traffic->synq_peak);
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
		listener_local(sk, &view->local);
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
		traffic_read(listener, view);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);

	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
}

/**
 * listener_read_waits() - how long connections have waited for accept()
 * @view: of the listener, with a record
 * @counts: where to write how many have, by &struct listener_waits
 * @ms: where to write the sum
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_read_waits(const struct listener_view *view,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms)
{
	const struct listener_waits *waits = &view->record->waits;
	unsigned int i;

	for (i = 0; i < TRAFFIC_WAITS; i++)
		counts[i] = atomic_long_read(&waits->counts[i]);
	*ms = atomic_long_read(&waits->ms);
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
	struct sockaddr_in6 local;

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
	listener_local(sk, &local);
	return !memcmp(&local, &view->local, sizeof(local));
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
	unsigned long flags;
	bool dry = false;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	record_meet(bucket, sk, socket_cookie(sk), &dry);
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
}
