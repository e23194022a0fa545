// SPDX-License-Identifier: GPL-2.0-only
/*
 * An AF_UNIX listener that a walk has met: reads the kernel's socket and the record
 * (record.c).
 *
 * The walk holds a reference to the socket. The socket may be closed meanwhile: it
 * leaves the kernel's table before it stops listening (net/unix/af_unix.c,
 * unix_release_sock()), and it never listens again.
 *
 * Locks, innermost last: a bucket of the kernel's table (spinlock_t, process context
 * only), during a pass; a bucket of records (raw, interrupts off); the pool's (raw,
 * interrupts off). The queue is read without its lock, as by connect().
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

/* Make the record of a listener whose listen() was not seen. */
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
 * Find the record of a listener that a walk has met, or make one if its listen() was
 * not seen. The caller holds @bucket's lock.
 *
 * A listen() makes the record when it returns; limit_is_changing() is true from
 * before the socket listens until then, under @bucket's lock. So a socket without a
 * record is left alone during such a call; and if its record is retired, since the
 * hook sees the end before the socket leaves the table.
 *
 * Returns NULL without a record; @dry tells whether an empty pool is the reason.
 */
static struct listener *record_meet(struct record_bucket *bucket,
				    struct sock *sk, u64 cookie, bool *dry)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (unlikely(!listener)) {
		if (record_has_ended(bucket, sk, cookie))
			return NULL;
		/* The record is looked up first, ... */
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
 * Whether to wake waiting connect() calls, which look at the limit only when woken:
 * if a rule has raised it, as listen() does when it raises a limit. A read wakes
 * them for no other reason. The record's bucket is locked.
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

/* Note what shows that hooks must have been hit; of one that was seen to start. */
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
 * unix_meet() - make a listener's record if it has none, and decide on its limit
 * @sk: the listener, taken in by a walk
 *
 * Context: process context, in a walk.
 * Return: false if there was no memory for a record: the walk must meet it again.
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
 * unix_turn() - begin a new window of a listener's peak
 * @listener: the record
 * @acceptq: connections in its queue, now or until now
 *
 * Context: any, preemption off.
 */
void unix_turn(struct listener *listener, unsigned int acceptq)
{
	peak_turn(&listener->unix_traffic.acceptq);
	peak_raise(&listener->unix_traffic.acceptq, acceptq);
	/* A handler that sees the new end raises the peak of the new window. */
	smp_wmb();
	WRITE_ONCE(listener->peaks_until, peak_window_end());
}

/*
 * Derive the connections that have come: those accepted or in the queue, without
 * those carried. Only accept() takes connections out of the queue. While it does, a
 * connection is in neither for a moment, so keep the highest value.
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
	/* Pairs with accepted(): a connection counted there has left the queue. */
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
 * unix_read() - read what is known of a listener
 * @sk: the listener, taken in by a walk
 * @view: where to write it
 *
 * Context: process context, in a walk.
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
		/* Not the decided limit: a listen() has just stored it. */
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
 * unix_is_same() - whether what was read of a listener belongs together
 * @sk: the listener, taken in by a walk
 * @view: written by unix_read(); the caller has read other fields of @sk since
 *
 * Context: process context, in a walk.
 */
bool unix_is_same(const struct sock *sk, const struct unix_view *view)
{
	/* The socket leaves the table before the kernel changes it. */
	smp_rmb();
	return listener_is_there(sk) &&
	       (!view->record || !record_is_retired(view->record));
}
