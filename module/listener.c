// SPDX-License-Identifier: GPL-2.0-only
/*
 * The listeners, and what is noted of them.
 *
 * The kernel's listening hash is the list of listeners: it is walked under
 * its own bucket locks, as /proc/net/tcp does, and nothing mirrors it. What
 * the kernel does not remember stands in records (struct listener), in a hash
 * of our own by the socket's address.
 *
 * A record's life:
 *
 *	pool -> a bucket -> retired -> (grace period) -> pool, or freed
 *
 * Probe handlers take records from the pool and retire them, and allocate and
 * free nothing; recycle_work does, from process context. A record is retired
 * once, by whoever sets its @retired first: the listener's stop, a new
 * start on the same socket, or a sweep that met no such listener.
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), a bucket of records (raw, interrupts off), the
 * pool's (raw, interrupts off). The accept queue's rskq_lock (spinlock_t,
 * bottom halves off) is taken alone inside the first.
 */
#include <linux/hash.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "listenq.h"

#define BUCKET_BITS 13

/*
 * The pool is refilled when POOL_STEP records are missing, so 1,024 listen()
 * calls find one before any work item has had a chance to run.
 */
#define POOL_STEP 64
#define POOL_SIZE (1024 + POOL_STEP)

#define SWEEP_INTERVAL (30 * HZ)

struct bucket {
	raw_spinlock_t lock;	/* guards @records and what they hold */
	struct hlist_head records;
};

static struct bucket buckets[1 << BUCKET_BITS];
static struct kmem_cache *record_cache;

static struct {
	raw_spinlock_t lock;	/* guards the rest */
	struct llist_node *records;
	unsigned int count;
} pool = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(pool.lock),
};

/* Out of use, perhaps still in their buckets. Any context adds. */
static LLIST_HEAD(retired);
static atomic_t retired_count;

/* One sweep at a time; the number of the latest. */
static DEFINE_MUTEX(sweep_mutex);
static unsigned int sweeps;

static atomic_long_t unrecorded;

static void recycle(struct work_struct *work);
static void recycle_soon(struct irq_work *work);
static void sweep_again(struct work_struct *work);

static DECLARE_WORK(recycle_work, recycle);
static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);
static struct irq_work recycle_irq_work;

/* ---- the pool ---- */

static void pool_put(struct listener *listener)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&pool.lock, flags);
	listener->idle.next = pool.records;
	pool.records = &listener->idle;
	WRITE_ONCE(pool.count, pool.count + 1);
	raw_spin_unlock_irqrestore(&pool.lock, flags);
}

/* Any context but an NMI. NULL where the pool is empty. */
static struct listener *pool_get(void)
{
	struct llist_node *node;
	unsigned long flags;
	bool low;

	raw_spin_lock_irqsave(&pool.lock, flags);
	node = pool.records;
	if (node) {
		pool.records = node->next;
		WRITE_ONCE(pool.count, pool.count - 1);
	}
	low = pool.count <= POOL_SIZE - POOL_STEP;
	raw_spin_unlock_irqrestore(&pool.lock, flags);

	if (low)
		irq_work_queue(&recycle_irq_work);
	return node ? llist_entry(node, struct listener, idle) : NULL;
}

/* Process context. A pool that can't be filled is tried again later. */
static void pool_fill(void)
{
	struct listener *listener;

	while (READ_ONCE(pool.count) < POOL_SIZE) {
		listener = kmem_cache_alloc(record_cache,
					    GFP_KERNEL | __GFP_NOWARN);
		if (!listener)
			return;
		pool_put(listener);
	}
}

static void pool_drain(void)
{
	struct llist_node *node = pool.records;
	struct listener *listener, *next;

	llist_for_each_entry_safe(listener, next, node, idle)
		kmem_cache_free(record_cache, listener);
	pool.records = NULL;
	pool.count = 0;
}

/* ---- records ---- */

static u64 cookie_of(const struct sock *sk)
{
	u32 words[2];

	sock_diag_save_cookie((struct sock *)sk, words);
	return words[0] | (u64)words[1] << 32;
}

static struct bucket *bucket_of(const struct sock *sk)
{
	return &buckets[hash_ptr((void *)sk, BUCKET_BITS)];
}

static bool is_record_of(const struct listener *listener,
			 const struct sock *sk, u64 cookie)
{
	return listener->sk == sk && listener->cookie == cookie &&
	       !READ_ONCE(listener->retired);
}

/* Preemption is off, which makes an RCU reader, or the bucket is locked. */
static struct listener *record_find(struct bucket *bucket,
				    const struct sock *sk, u64 cookie)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &bucket->records, node)
		if (is_record_of(listener, sk, cookie))
			return listener;
	return NULL;
}

/* The caller holds the bucket's lock. */
static struct listener *record_add(struct bucket *bucket,
				   const struct sock *sk, u64 cookie)
{
	struct listener *listener = pool_get();

	if (!listener)
		return NULL;
	memset(listener, 0, sizeof(*listener));
	listener->sk = sk;
	listener->cookie = cookie;
	listener->seen = READ_ONCE(sweeps);
	listener->since = get_jiffies_64();
	hlist_add_head_rcu(&listener->node, &bucket->records);
	return listener;
}

/*
 * Any context. Takes no lock: the record leaves its bucket when recycle()
 * gets to it, and until then nobody finds it. Recycling soon is not worth a
 * work item for each record.
 */
static void record_retire(struct listener *listener)
{
	if (xchg(&listener->retired, 1))
		return;
	llist_add(&listener->idle, &retired);
	if (atomic_inc_return(&retired_count) >= POOL_STEP)
		irq_work_queue(&recycle_irq_work);
}

static void record_unlink(struct listener *listener)
{
	struct bucket *bucket = bucket_of(listener->sk);
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	hlist_del_rcu(&listener->node);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/* Process context: give the retired back after a grace period; fill up. */
static void recycle(struct work_struct *work)
{
	struct llist_node *batch = llist_del_all(&retired);
	struct listener *listener, *next;
	int count = 0;

	llist_for_each_entry(listener, batch, idle) {
		record_unlink(listener);
		count++;
	}
	atomic_sub(count, &retired_count);
	if (batch)
		synchronize_rcu();
	llist_for_each_entry_safe(listener, next, batch, idle) {
		if (READ_ONCE(pool.count) < POOL_SIZE)
			pool_put(listener);
		else
			kmem_cache_free(record_cache, listener);
	}
	pool_fill();
}

/* A work item can't be queued from a probe handler, an irq_work can. */
static void recycle_soon(struct irq_work *work)
{
	schedule_work(&recycle_work);
}

/**
 * listener_is_tcp() - whether a socket is one of those that listenq is about
 * @sk: a socket that somebody listens on or wants to
 *
 * An MPTCP listener's is its TCP subflow. DCCP, SMC and SCTP pass through the
 * same functions of the kernel.
 *
 * Context: any.
 */
bool listener_is_tcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP && sk->sk_type == SOCK_STREAM &&
	       (sk->sk_family == AF_INET || sk->sk_family == AF_INET6);
}

/**
 * listener_begin() - a socket has begun to listen
 * @sk: the socket, in the listening hash since a moment ago, locked by the
 *	caller of the function that is probed
 * @call: the listen() that did it
 *
 * Begins a new record, also where the socket has listened before. With the
 * pool empty there is none until a walk meets the listener.
 *
 * Context: preemption off, not in an NMI.
 */
void listener_begin(struct sock *sk, const struct listen_call *call)
{
	struct bucket *bucket = bucket_of(sk);
	u64 cookie = cookie_of(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_find(bucket, sk, cookie);
	if (listener)
		record_retire(listener);
	listener = record_add(bucket, sk, cookie);
	if (listener)
		listener->call = *call;
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * listener_adjust() - a listen() has returned
 * @sk: the socket
 * @call: the listen(), the first on this socket or a repeated one
 *
 * inet_listen() has let go of the socket when it returns, so another task's
 * listen() may have stored its backlog meanwhile; that one counts then, and
 * @call is forgotten.
 *
 * Context: preemption off, not in an NMI.
 */
void listener_adjust(struct sock *sk, const struct listen_call *call)
{
	struct bucket *bucket = bucket_of(sk);
	u64 cookie = cookie_of(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	if (READ_ONCE(sk->sk_max_ack_backlog) != call->granted)
		goto unlock;
	listener = record_find(bucket, sk, cookie);
	if (!listener)
		listener = record_add(bucket, sk, cookie);
	if (listener)
		listener->call = *call;
unlock:
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * listener_end() - a socket has ceased to listen
 * @sk: the socket, out of the listening hash already
 *
 * Context: any, an NMI too: takes no lock. Preemption off.
 */
void listener_end(const struct sock *sk)
{
	struct listener *listener;

	listener = record_find(bucket_of(sk), sk, cookie_of(sk));
	if (listener)
		record_retire(listener);
}

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
		if (walk->net && !net_eq(sock_net(sk), walk->net))
			continue;
		cookie = cookie_of(sk);
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

	pool_fill();
	for (; walk->bucket <= hash->lhash2_mask; walk->bucket++) {
		bucket = &hash->lhash2[walk->bucket];
		if (bucket_first(bucket)) {
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

/*
 * A walk has met a listener, whose bucket in the listening hash is locked.
 * Annotate it where its listen() was not seen, and copy the record.
 *
 * Whoever is inside listen() owns the socket from before it enters the hash
 * until after its record is made. So a socket that is owned is left alone:
 * its record may be on the way.
 */
static bool record_meet(struct sock *sk, u64 cookie, struct listener *copy)
{
	struct bucket *bucket = bucket_of(sk);
	struct listener *listener;
	unsigned long flags;
	bool owned;

	owned = sock_owned_by_user_nocheck(sk);
	/*
	 * Nobody owns it: then the record that listen() made is there to be
	 * found. Pairs with the lock's release in release_sock().
	 */
	smp_rmb();

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_find(bucket, sk, cookie);
	if (!listener && !owned) {
		atomic_long_inc(&unrecorded);
		listener = record_add(bucket, sk, cookie);
		if (listener) {
			listener->call.granted =
				READ_ONCE(sk->sk_max_ack_backlog);
			listener->call.uid = INVALID_UID;
		}
	}
	if (listener) {
		listener->seen = READ_ONCE(sweeps);
		*copy = *listener;
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
	return listener;
}

/*
 * The time of a handshake's end is where the kernel notes when data was sent
 * last: set with the child (tcp_create_openreq_child()) and when it gets
 * established (tcp_rcv_state_process()), and nobody sends before accept().
 */
static s64 acceptq_oldest_ms(struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	const struct request_sock *req;
	s32 age = -1;

	spin_lock_bh(&queue->rskq_lock);
	req = queue->rskq_accept_head;
	if (req) {
		age = tcp_jiffies32 - READ_ONCE(tcp_sk(req->sk)->lsndtime);
		age = max(age, 0);
	}
	spin_unlock_bh(&queue->rskq_lock);
	return req ? jiffies_to_msecs(age) : -1;
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
	const struct inet_connection_sock *icsk = inet_csk(sk);
	struct listen_call *call = &view->record.call;

	view->cookie = cookie_of(sk);
	view->recorded = record_meet(sk, view->cookie, &view->record);
	view->limit = READ_ONCE(sk->sk_max_ack_backlog);
	view->acceptq = READ_ONCE(sk->sk_ack_backlog);
	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
	view->synq = reqsk_queue_len(&icsk->icsk_accept_queue);
	view->synq_young = reqsk_queue_len_young(&icsk->icsk_accept_queue);
	view->drops = sk_drops_read(sk);

	/* A limit that listenq does not know is the kernel's latest. */
	if (!view->recorded || call->granted != view->limit) {
		memset(call, 0, sizeof(*call));
		call->granted = view->limit;
		call->uid = INVALID_UID;
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
 * Retire the records that the latest sweep has not met. One that only the
 * sweep before has met is spared: it may be that of a listener which entered
 * its bucket behind the walk.
 */
static void drop_unseen(void)
{
	struct listener *listener;
	struct bucket *bucket;
	unsigned long flags;

	for (bucket = buckets; bucket < buckets + ARRAY_SIZE(buckets);
	     bucket++) {
		if (hlist_empty(&bucket->records))
			continue;
		raw_spin_lock_irqsave(&bucket->lock, flags);
		hlist_for_each_entry(listener, &bucket->records, node)
			if (sweeps - listener->seen > 1)
				record_retire(listener);
		raw_spin_unlock_irqrestore(&bucket->lock, flags);
		cond_resched();
	}
}

/**
 * listener_sweep() - make the records agree with the listening hash
 *
 * Annotates the listeners of all namespaces that have no record, and retires
 * the records of sockets that do not listen any more, whatever the probes
 * have missed. The first sweep is the load's: what it meets without a record
 * was not missed.
 *
 * Context: process context, may sleep.
 */
void listener_sweep(void)
{
	struct listener_walk walk = { };
	struct listener ignored;
	struct sock *sk;

	mutex_lock(&sweep_mutex);
	WRITE_ONCE(sweeps, sweeps + 1);
	for (sk = listener_walk_start(&walk); sk;
	     sk = listener_walk_next(&walk))
		record_meet(sk, cookie_of(sk), &ignored);
	drop_unseen();
	if (sweeps == 1)
		atomic_long_set(&unrecorded, 0);
	mutex_unlock(&sweep_mutex);
}

static void sweep_again(struct work_struct *work)
{
	listener_sweep();
	schedule_delayed_work(&sweep_work, SWEEP_INTERVAL);
}

/* ---- init and exit ---- */

/**
 * listener_init() - make room for records
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int listener_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		raw_spin_lock_init(&buckets[i].lock);
	init_irq_work(&recycle_irq_work, recycle_soon);

	record_cache = kmem_cache_create("listenq_record",
					 sizeof(struct listener), 0, 0, NULL);
	if (!record_cache)
		return -ENOMEM;
	pool_fill();
	schedule_delayed_work(&sweep_work, SWEEP_INTERVAL);
	return 0;
}

/**
 * listener_exit() - free all records
 *
 * Context: process context, when no hook and no file can call in any more.
 */
void listener_exit(void)
{
	struct listener *listener;
	struct hlist_node *next;
	unsigned int i;

	cancel_delayed_work_sync(&sweep_work);
	irq_work_sync(&recycle_irq_work);
	cancel_work_sync(&recycle_work);

	/* The last readers are gone; the retired are still in their buckets. */
	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		hlist_for_each_entry_safe(listener, next, &buckets[i].records,
					  node)
			kmem_cache_free(record_cache, listener);
	pool_drain();
	kmem_cache_destroy(record_cache);
}
