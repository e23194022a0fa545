// SPDX-License-Identifier: GPL-2.0-only
/*
 * The listeners, and what is noted of them.
 *
 * The kernel's listening hash is the list of listeners: it is walked under
 * its own bucket locks, as /proc/net/tcp does, and nothing mirrors it. What
 * the kernel does not remember stands in records (record.c).
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), a bucket of records (raw, interrupts off), the
 * pool's (raw, interrupts off). Taken alone inside the first: the accept
 * queue's rskq_lock (sleeps on PREEMPT_RT, bottom halves off).
 */
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"

#define SWEEP_INTERVAL (30 * HZ)

/* One sweep at a time. */
static DEFINE_MUTEX(sweep_mutex);

static atomic_long_t unrecorded;

static void sweep_again(struct work_struct *work);

static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);

/* ---- the walk ---- */

/*
 * Fill the batch with the listeners of the locked bucket that come next. An
 * insertion sort: new listeners stand first in the kernel's chain, so cookies
 * mostly come falling, as the batch wants them.
 */
static void walk_fill(struct listener_walk *walk)
{
	unsigned int count = 0;
	struct sock *sk;
	unsigned int i;
	u64 cookie;

	walk->more = false;
	for (sk = bucket_first(walk->locked); sk; sk = bucket_next(sk)) {
		if (!listener_is_tcp(sk))
			continue;
		if (!net_eq(sock_net(sk), walk->net))
			continue;
		cookie = socket_cookie(sk);
		if (cookie < walk->cookie)
			continue;
		if (count < LISTENER_BATCH) {
			i = count++;
			for (; i && walk->batch[i - 1].cookie < cookie; i--)
				walk->batch[i] = walk->batch[i - 1];
		} else {
			walk->more = true;
			if (cookie > walk->batch[0].cookie)
				continue;
			for (i = 0; i + 1 < count &&
			     walk->batch[i + 1].cookie > cookie; i++)
				walk->batch[i] = walk->batch[i + 1];
		}
		walk->batch[i].sk = sk;
		walk->batch[i].cookie = cookie;
	}
	walk->count = count;
}

static struct sock *walk_take(struct listener_walk *walk)
{
	walk->cookie = walk->batch[--walk->count].cookie;
	return walk->batch[walk->count].sk;
}

/**
 * listener_walk_start() - begin or resume a walk
 * @walk: where; all zero but for @walk->net to begin
 *
 * Fills the pool first, so that whatever the walk meets can be annotated.
 *
 * Context: process context, may sleep. Returns a listener with its bucket
 * locked, until listener_walk_next() or listener_walk_stop().
 * Return: the first listener at or behind the place, NULL at the end.
 */
struct sock *listener_walk_start(struct listener_walk *walk)
{
	struct inet_hashinfo *hash = tcp_listening_hash();
	struct inet_listen_hashbucket *bucket;

	record_fill_pool();
	for (; walk->bucket <= hash->lhash2_mask; walk->bucket++) {
		bucket = &hash->lhash2[walk->bucket];
		if (!bucket_empty(bucket)) {
			spin_lock(&bucket->lock);
			__release(&bucket->lock); /* sparse: held for long */
			walk->locked = bucket;
			walk_fill(walk);
			if (walk->count)
				return walk_take(walk);
			listener_walk_stop(walk);
			cond_resched();
		}
		walk->cookie = 0;
	}
	return NULL;
}

/**
 * listener_walk_next() - go on with a walk
 * @walk: where; it has just returned a listener
 *
 * Context: process context. Lets go of the lock after LISTENER_BATCH
 * listeners and at the end of a bucket, and may sleep then.
 * Return: the next listener, NULL at the end.
 */
struct sock *listener_walk_next(struct listener_walk *walk)
{
	walk->cookie++;
	if (walk->count)
		return walk_take(walk);

	listener_walk_stop(walk);
	if (!walk->more) {
		walk->bucket++;
		walk->cookie = 0;
	}
	cond_resched();
	return listener_walk_start(walk);
}

/**
 * listener_walk_stop() - let go of the lock that a walk holds, if it does
 * @walk: where; listener_walk_start() resumes at the listener that was
 *	returned last, or behind it where it is gone
 *
 * Context: process context.
 */
void listener_walk_stop(struct listener_walk *walk)
{
	if (walk->locked) {
		__acquire(&walk->locked->lock);
		spin_unlock(&walk->locked->lock);
	}
	walk->locked = NULL;
	walk->count = 0;
}

/* Whether a system call has the socket, as far as that can be told. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

/* A record for a listener whose listen() was not seen. */
static noinline struct listener *record_found(struct record_bucket *bucket,
					      struct sock *sk, u64 cookie)
{
	struct listener *listener = record_add(bucket, sk, cookie);
	struct listen_call call;

	if (!listener)
		return NULL;
	atomic_long_inc(&unrecorded);
	listen_call_forget(&call, READ_ONCE(sk->sk_max_ack_backlog));
	record_set_call(listener, &call);
	return listener;
}

/*
 * A walk has met a listener, whose bucket in the listening hash is locked.
 * Find its record, or annotate it where its listen() was not seen. The caller
 * holds @bucket's lock.
 *
 * Whoever is inside listen() owns the socket from before it enters the hash
 * until after its record is made. So a socket that is owned is left alone:
 * its record may be on the way. Where nobody owns it, the record was made in
 * an earlier critical section of @bucket's.
 *
 * No limit is changed without a record, which remembers what to put back.
 */
static struct listener *record_meet(struct record_bucket *bucket, struct sock *sk,
				    u64 cookie)
{
	bool owned = is_owned(sk);
	struct listener *listener;

	listener = record_find(bucket, sk, cookie);
	if (!listener && !owned)
		listener = record_found(bucket, sk, cookie);
	if (!listener)
		return NULL;
	record_met(listener);
	limit_decide(listener, sk);
	return listener;
}

static s64 acceptq_oldest_ms(struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	const struct request_sock *req;
	s64 ms = -1;

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
#pragma GCC unroll 16
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
 * @sk: the listener, just returned by a walk
 * @view: where to write it
 *
 * Context: process context, the walk's lock held.
 */
void listener_read(struct sock *sk, struct listener_view *view)
{
	const struct request_sock_queue *queue =
		&inet_csk(sk)->icsk_accept_queue;
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, cookie);
	/* With a record, each of its fields is written below. */
	if (!listener)
		memset(view, 0, sizeof(*view));

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
	view->recorded = listener;
	if (listener)
		traffic_read(listener, view);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);

	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
}

/**
 * listener_read_waits() - how long connections have waited for accept()
 * @sk: the listener, just returned by a walk
 * @counts: where to write how many have, by &struct listener_waits
 * @ms: where to write the sum
 *
 * Context: process context, the walk's lock held.
 * Return: false where nothing is noted of the listener, nor written.
 */
bool listener_read_waits(const struct sock *sk,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms)
{
	const struct listener *listener;
	unsigned int i;

	rcu_read_lock();
	listener = record_lookup(sk, socket_cookie(sk));
	if (listener) {
		for (i = 0; i < TRAFFIC_WAITS; i++)
			counts[i] = atomic_long_read(&listener->waits.counts[i]);
		*ms = atomic_long_read(&listener->waits.ms);
	}
	rcu_read_unlock();
	return listener;
}

/**
 * listener_reset_peaks() - begin peaks anew
 * @net: whose listeners'
 *
 * Context: process context, may sleep.
 */
void listener_reset_peaks(struct net *net)
{
	struct listener_walk walk = { .net = net };
	struct listener *listener;
	struct sock *sk;

	for (sk = listener_walk_start(&walk); sk;
	     sk = listener_walk_next(&walk)) {
		rcu_read_lock();
		listener = record_lookup(sk, socket_cookie(sk));
		if (listener) {
			WRITE_ONCE(listener->traffic.acceptq_peak,
				   READ_ONCE(sk->sk_ack_backlog));
			WRITE_ONCE(listener->traffic.synq_peak,
				   synq_length(sk));
		}
		rcu_read_unlock();
	}
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

/* ---- the sweep ---- */

/*
 * Annotate those of a bucket of the listening hash that have no record. A
 * single pass, however many there are: an SO_REUSEPORT group is one bucket,
 * and anybody can make one of thousands. Returns whether the pool ran dry.
 */
static bool sweep_bucket(struct inet_listen_hashbucket *listeners)
{
	struct record_bucket *bucket;
	unsigned long flags;
	bool dry = false;
	struct sock *sk;

	spin_lock(&listeners->lock);
	for (sk = bucket_first(listeners); sk; sk = bucket_next(sk)) {
		if (!listener_is_tcp(sk))
			continue;
		bucket = record_bucket(sk);
		raw_spin_lock_irqsave(&bucket->lock, flags);
		if (!record_meet(bucket, sk, socket_cookie(sk)) && !is_owned(sk))
			dry = true;
		raw_spin_unlock_irqrestore(&bucket->lock, flags);
	}
	spin_unlock(&listeners->lock);
	return dry;
}

/**
 * listener_sweep() - make records and limits agree with the listening hash
 *
 * Annotates the listeners of all namespaces that have no record, decides on
 * the limits of those whose rules have changed, and retires the records of
 * sockets that do not listen any more, whatever the probes have missed. Once
 * begun, sweeps go on by themselves.
 *
 * Context: process context, may sleep.
 */
void listener_sweep(void)
{
	struct inet_hashinfo *hash = tcp_listening_hash();
	struct inet_listen_hashbucket *listeners;
	unsigned int i;

	mutex_lock(&sweep_mutex);
	record_sweep_begin();
	/*
	 * Rules that were published are seen by whoever enters a bucket that
	 * is found empty below.
	 */
	smp_mb();
	for (i = 0; i <= hash->lhash2_mask; i++) {
		listeners = &hash->lhash2[i];
		if (bucket_empty(listeners))
			continue;
		while (sweep_bucket(listeners)) {
			if (!record_fill_pool())
				break;	/* no memory: the next sweep */
			cond_resched();
		}
		cond_resched();
	}
	record_sweep_end();
	mutex_unlock(&sweep_mutex);
	queue_delayed_work(record_workqueue, &sweep_work, SWEEP_INTERVAL);
}

static void sweep_again(struct work_struct *work)
{
	listener_sweep();
}

/**
 * listener_decide_by() - who decides on the listeners' limits
 * @by: the function, or NULL: each gets what the kernel alone would give it
 *
 * When it returns, each listener's limit is decided on anew. A listen() that
 * is under way is decided on when it returns. What was met without a record
 * until somebody decides has not been missed: it was there before the hooks.
 *
 * Context: process context, sleeps for a grace period.
 */
void listener_decide_by(limit_decide_t *by)
{
	limit_decide_by(by);
	listener_sweep();
	if (by)
		atomic_long_set(&unrecorded, 0);
}

/**
 * listener_exit() - sweep no more
 *
 * Context: process context, when no file can call in any more.
 */
void listener_exit(void)
{
	cancel_delayed_work_sync(&sweep_work);
}
