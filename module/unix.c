// SPDX-License-Identifier: GPL-2.0-only
/*
 * An AF_UNIX listener that a walk has met: what the kernel's socket says of it, and
 * what its record remembers beside that (record.c).
 *
 * The walk has a reference to the socket, which may end meanwhile: it is out of the
 * kernel's table before it ceases to listen (net/unix/af_unix.c,
 * unix_release_sock()), and no such socket listens twice in its life.
 *
 * Locks, innermost last: a bucket of the kernel's table (spinlock_t, process context
 * only), held for a pass alone; a bucket of records (raw, interrupts off); the pool's
 * (raw, interrupts off). A listener's queue is read without its lock, as connect()
 * itself does.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <net/sock.h>

#include "compat.h"
#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"
#include "unix.h"

/* ---- records ---- */

/* A record for a listener whose listen() was not seen. */
static struct listener *record_found(struct record_bucket *bucket,
				     const struct sock *sk, u64 cookie,
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
	listener_count_unrecorded(PROOF_UNIX_LISTENED);
	return listener;
}

/*
 * A walk has met a listener: find its record, or annotate it where its listen() was
 * not seen. The caller holds @bucket's lock.
 *
 * A listen() that is under way makes the record when it returns, and is known from
 * before the socket listens until then, under @bucket's lock: without a record, and
 * with such a call, it is left alone. So is one whose record has ended: the end is
 * seen before the socket leaves the table.
 *
 * Returns NULL where there is none; @dry says whether the pool was to blame.
 */
static struct listener *record_meet(struct record_bucket *bucket,
				    struct sock *sk, u64 cookie, bool *dry)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (unlikely(!listener)) {
		if (record_has_ended(bucket, sk, cookie))
			return NULL;
		/* No record first, ... */
		smp_rmb();
		if (!listener_is_there(sk))
			return NULL;
		/* ... then the socket, then the call. */
		smp_rmb();
		if (limit_is_changing(sk)) {
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

/*
 * Whether those who wait in connect() are to be woken: who waits looks at the limit when
 * woken, and it was raised since, as listen() may do, which wakes them too. Nobody is
 * woken for anything else: who reads changes nothing. The bucket is locked.
 */
static bool take_raised(struct listener *listener)
{
	bool raised = listener->unix_traffic.raised;

	listener->unix_traffic.raised = false;
	return raised;
}

static void wake_waiting(struct sock *sk)
{
	wake_up_interruptible_all(&unix_sk(sk)->peer_wait);
}

/* What shows that functions were called, of one that was seen to start. */
static void prove(const struct listener *listener, struct sock *sk)
{
	unsigned int peak = READ_ONCE(listener->unix_traffic.acceptq.highest);
	unsigned int length = unix_acceptq(sk);

	if (length)
		record_prove(PROOF_UNIX_CONNECTED);
	if (peak > length + 1)
		record_prove(PROOF_UNIX_ACCEPTED);
	if (listener_is_waited_for(sk))
		record_prove(PROOF_UNIX_WAITED);
}

/**
 * unix_meet() - make the record and the limit of a listener right
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, the walk's.
 * Return: false if it has to be met again, since there is no memory for its record.
 */
bool unix_meet(struct sock *sk)
{
	struct record_bucket *bucket = record_bucket(sk);
	struct listener *listener;
	bool dry = false, raised = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, socket_cookie(sk), &dry);
	if (listener) {
		raised = take_raised(listener);
		unix_look(listener, unix_acceptq(sk));
		if (listener->started)
			prove(listener, sk);
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
	if (raised)
		wake_waiting(sk);
	return !dry;
}

/* ---- what a row shows ---- */

/**
 * unix_turn() - the window of a listener's peak has ended
 * @listener: the record
 * @acceptq: connections in its queue, now or until now
 *
 * Context: any, preemption off.
 */
void unix_turn(struct listener *listener, unsigned int acceptq)
{
	peak_turn(&listener->unix_traffic.acceptq);
	peak_raise(&listener->unix_traffic.acceptq, acceptq);
	/* Who sees this has to raise the peak of this window. */
	smp_wmb();
	WRITE_ONCE(listener->peaks_until, peak_window_end());
}

/*
 * What has come is what was accepted and what waits, but for what waited when the
 * counting began. Nothing else takes a connection out of the queue. One that is
 * being accepted is in neither for a moment: the figure never falls.
 */
static unsigned long connects(struct unix_traffic *traffic,
			      unsigned long accepts, unsigned int acceptq)
{
	long value = accepts + acceptq - traffic->carried;
	long was = atomic_long_read(&traffic->connects);

	while (value - was > 0)
		if (atomic_long_try_cmpxchg(&traffic->connects, &was, value))
			return value;
	return was;
}

/* The record's bucket is locked. */
static void traffic_read(struct listener *listener, const struct sock *sk,
			 struct unix_view *view)
{
	struct unix_traffic *traffic = &listener->unix_traffic;

	view->since_ms = jiffies64_to_msecs(get_jiffies_64() - listener->since);
	view->accepts = atomic_long_read(&traffic->accepts);
	/* With that of accepted(): what is counted there has left the queue. */
	smp_rmb();
	view->acceptq = unix_acceptq(sk);
	view->connects = connects(traffic, view->accepts, view->acceptq);
	view->waits = atomic_long_read(&traffic->waits);
	view->eagains = atomic_long_read(&traffic->eagains);

	unix_look(listener, view->acceptq);
	peak_raise(&traffic->acceptq, view->acceptq);
	view->acceptq_peak = READ_ONCE(traffic->acceptq.highest);
	view->acceptq_lately = peak_lately(&traffic->acceptq);
}

/**
 * unix_read() - what there is to know of a listener now
 * @sk: the listener, taken in by a walk
 * @view: where to write it
 *
 * Context: process context, the walk's.
 */
void unix_read(struct sock *sk, struct unix_view *view)
{
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;
	bool raised, dry;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, cookie, &dry);
	raised = listener && take_raised(listener);
	if (!listener)
		memset(view, 0, sizeof(*view));
	view->cookie = cookie;
	view->acceptq = unix_acceptq(sk);
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
	if (raised)
		wake_waiting(sk);
}

/**
 * unix_is_same() - whether what was read of a listener is true
 * @sk: the listener, taken in by a walk
 * @view: what unix_read() has written; other fields of @sk were read behind that
 *
 * Context: process context, the walk's.
 */
bool unix_is_same(const struct sock *sk, const struct unix_view *view)
{
	/* Whoever takes something from a socket has taken it out of the table before. */
	smp_rmb();
	return listener_is_there(sk) &&
	       (!view->record || !record_is_retired(view->record));
}
