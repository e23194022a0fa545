// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records: what is noted of a listener beside the kernel's own, in a hash by
 * the socket's address.
 *
 * A record's life:
 *
 *	allocated -> pool -> a bucket -> retired -> (grace period) -> freed
 *
 * Probe handlers take records from the pool and retire them, and allocate and
 * free nothing; upkeep_work does, from process context. A record is retired
 * once, by whoever sets its @retired first: the listener's stop, a new
 * start on the same socket, or a sweep that met no such listener.
 *
 * The hooks of listen() begin and end records, everybody looks them up. Locks,
 * innermost last, raw and with interrupts off: a bucket's, the pool's.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "record.h"
#include "socket.h"

/*
 * As many buckets as the machine's memory has room for listeners, more or
 * less, as with the kernel's own tables: one for 32 kB of it. A bucket is 16
 * bytes.
 */
#define BUCKET_BITS_MIN 10
#define BUCKET_BITS_MAX 16
#define BUCKET_SHARE_SHIFT 15

/*
 * The pool is refilled when POOL_STEP records are missing, so 1,024 listen()
 * calls find one before any work item has had a chance to run.
 */
#define POOL_STEP 64
#define POOL_SIZE (1024 + POOL_STEP)

/* Set before the first hook is placed. */
static struct record_bucket *buckets __read_mostly;
static unsigned int bucket_bits __read_mostly;

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

/* The number of the latest sweep; changed by one at a time. */
static unsigned int sweeps;

static void upkeep(struct work_struct *work);
static void upkeep_soon(struct irq_work *work);

struct workqueue_struct *record_workqueue;
static DECLARE_WORK(upkeep_work, upkeep);
static struct irq_work upkeep_irq_work;

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
		irq_work_queue(&upkeep_irq_work);
	return node ? llist_entry(node, struct listener, idle) : NULL;
}

/**
 * record_fill_pool() - allocate the records that the pool lacks
 *
 * A pool that can't be filled is tried again later.
 *
 * Context: process context, may sleep.
 * Return: whether the pool holds any.
 */
bool record_fill_pool(void)
{
	struct listener *listener;

	while (READ_ONCE(pool.count) < POOL_SIZE) {
		listener = kmem_cache_alloc(record_cache,
					    GFP_KERNEL | __GFP_NOWARN);
		if (!listener)
			break;
		pool_put(listener);
	}
	return READ_ONCE(pool.count);
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

/**
 * record_bucket() - where a socket's record is, if it has one
 * @sk: the socket's address, which is not followed
 *
 * Context: any.
 * Return: the bucket.
 */
struct record_bucket *record_bucket(const struct sock *sk)
{
	return &buckets[hash_ptr((void *)sk, bucket_bits)];
}

static bool is_record_of(const struct listener *listener,
			 const struct sock *sk, u64 cookie)
{
	return listener->sk == sk && listener->cookie == cookie &&
	       !record_is_retired(listener);
}

/**
 * record_find() - a socket's record in its bucket
 * @bucket: the bucket
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: an RCU reader, or the bucket is locked.
 * Return: the record, or NULL.
 */
struct listener *record_find(struct record_bucket *bucket,
			     const struct sock *sk, u64 cookie)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &bucket->records, node)
		if (is_record_of(listener, sk, cookie))
			return listener;
	return NULL;
}

/**
 * record_add() - begin a record
 * @bucket: the socket's
 * @sk: a listener, which has none
 * @cookie: the socket's cookie
 *
 * Context: @bucket's lock held.
 * Return: the record, in which nothing is known yet; NULL where the pool is
 * empty.
 */
struct listener *record_add(struct record_bucket *bucket, const struct sock *sk,
			    u64 cookie)
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

/**
 * record_annotate() - begin a record of a listener that may stop at any moment
 * @bucket: the socket's
 * @sk: a listener, which has none
 * @cookie: the socket's cookie
 *
 * The end of a listener looks for its record without a lock: it may have done so
 * before there was one, which would be kept until a sweep then.
 *
 * Context: @bucket's lock held, an RCU reader.
 * Return: as record_add(); ERR_PTR(-ENOTCONN) where @sk has stopped.
 */
struct listener *record_annotate(struct record_bucket *bucket,
				 const struct sock *sk, u64 cookie)
{
	struct listener *listener = record_add(bucket, sk, cookie);

	if (!listener)
		return NULL;
	/* With that of record_end(): one of the two sees what the other does. */
	smp_mb();
	if (listener_is_there(sk))
		return listener;
	record_retire(listener);
	return ERR_PTR(-ENOTCONN);
}

/**
 * record_set_call() - note a listen(), on whose limit nobody has decided
 * @listener: the record
 * @call: the listen(); the limit is what it was granted
 *
 * Context: the bucket's lock held.
 */
void record_set_call(struct listener *listener, const struct listen_call *call)
{
	listener->call = *call;
	memset(&listener->decision, 0, sizeof(listener->decision));
	listener->decision.limit = call->granted;
}

/**
 * record_retire() - take a record out of use
 * @listener: the record; the caller is an RCU reader
 *
 * It leaves its bucket when upkeep() gets to it, and until then nobody finds
 * it. One record is not worth a work item.
 *
 * Context: any, an NMI too: takes no lock.
 */
void record_retire(struct listener *listener)
{
	if (xchg(&listener->retired, 1))
		return;
	llist_add(&listener->idle, &retired);
	if (atomic_inc_return(&retired_count) >= POOL_STEP)
		irq_work_queue(&upkeep_irq_work);
}

static void record_unlink(struct listener *listener)
{
	struct record_bucket *bucket = record_bucket(listener->sk);
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	hlist_del_rcu(&listener->node);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

static void record_free(struct rcu_head *rcu)
{
	kmem_cache_free(record_cache, container_of(rcu, struct listener, rcu));
}

/*
 * Process context: fill the pool, free the retired. The pool does not wait for
 * a grace period: somebody who listens and closes in a loop would leave it
 * empty for all others.
 */
static void upkeep(struct work_struct *work)
{
	struct llist_node *batch = llist_del_all(&retired);
	struct listener *listener, *next;
	int count = 0;

	llist_for_each_entry_safe(listener, next, batch, idle) {
		record_unlink(listener);
		call_rcu(&listener->rcu, record_free);
		count++;
	}
	atomic_sub(count, &retired_count);
	record_fill_pool();
}

/* A work item can't be queued from a probe handler, an irq_work can. */
static void upkeep_soon(struct irq_work *work)
{
	queue_work(record_workqueue, &upkeep_work);
}

/* ---- lookups, and what the hooks of listen() tell ---- */

/**
 * record_lookup() - the record of what may be a listener
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, to be used as long as the caller is a reader, or NULL.
 */
struct listener *record_lookup(const struct sock *sk, u64 cookie)
{
	return record_find(record_bucket(sk), sk, cookie);
}

/**
 * record_copy_call() - the latest listen() on a listener
 * @listener: its record; the caller is an RCU reader
 * @call: where to write it
 *
 * Context: process context.
 */
void record_copy_call(struct listener *listener, struct listen_call *call)
{
	struct record_bucket *bucket = record_bucket(listener->sk);
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	*call = listener->call;
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * record_begin() - a socket has begun to listen
 * @sk: the socket, in the listening hash since a moment ago, locked by the
 *	caller of the function that is probed
 * @call: the listen() that did it
 *
 * Begins a new record, also where the socket has listened before. With the
 * pool empty there is none until a walk meets the listener.
 *
 * Context: preemption off, not in an NMI.
 */
void record_begin(struct sock *sk, const struct listen_call *call)
{
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_find(bucket, sk, cookie);
	if (listener)
		record_retire(listener);
	listener = record_add(bucket, sk, cookie);
	if (listener)
		record_set_call(listener, call);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * record_end() - a socket has ceased to listen
 * @sk: the socket, out of the listening hash already
 *
 * Context: any, an NMI too: takes no lock. Preemption off.
 */
void record_end(const struct sock *sk)
{
	struct listener *listener;

	/* Out of the hash before we look: who adds a record looks there next. */
	smp_mb();
	listener = record_find(record_bucket(sk), sk, socket_cookie(sk));
	if (listener)
		record_retire(listener);
}

/* ---- sweeps ---- */

/**
 * record_sweep_begin() - begin to look for records whose listener is gone
 *
 * Context: process context, one sweep at a time.
 */
void record_sweep_begin(void)
{
	WRITE_ONCE(sweeps, sweeps + 1);
}

/**
 * record_met() - somebody has met the listener of a record
 * @listener: the record
 *
 * Context: any.
 */
void record_met(struct listener *listener)
{
	listener->seen = READ_ONCE(sweeps);
}

/**
 * record_sweep_end() - retire the records that the sweep has not met
 *
 * One that only the sweep before has met is spared: it may be that of a
 * listener which entered its bucket behind the walk.
 *
 * Context: process context, may sleep.
 */
void record_sweep_end(void)
{
	struct listener *listener;
	struct record_bucket *bucket;
	unsigned long flags;

	for (bucket = buckets; bucket < buckets + BIT(bucket_bits); bucket++) {
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

/* ---- init and exit ---- */

/**
 * record_init() - make room for records
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int record_init(void)
{
	u64 share = ((u64)totalram_pages() << PAGE_SHIFT) >> BUCKET_SHARE_SHIFT;
	unsigned int i;

	init_irq_work(&upkeep_irq_work, upkeep_soon);
	bucket_bits = clamp_t(unsigned int, share ? ilog2(share) : 0,
			      BUCKET_BITS_MIN, BUCKET_BITS_MAX);
	buckets = kvcalloc(BIT(bucket_bits), sizeof(*buckets), GFP_KERNEL);
	if (!buckets)
		return -ENOMEM;
	for (i = 0; i < BIT(bucket_bits); i++)
		raw_spin_lock_init(&buckets[i].lock);

	record_cache = kmem_cache_create("listenq_record",
					 sizeof(struct listener),
					 __alignof__(struct listener), 0, NULL);
	if (!record_cache)
		goto free_buckets;
	record_workqueue = alloc_workqueue("listenq", WQ_UNBOUND, 0);
	if (!record_workqueue)
		goto destroy_cache;
	record_fill_pool();
	return 0;

destroy_cache:
	kmem_cache_destroy(record_cache);
free_buckets:
	kvfree(buckets);
	return -ENOMEM;
}

/**
 * record_exit() - free all records
 *
 * Context: process context, when nobody can call in any more.
 */
void record_exit(void)
{
	struct listener *listener;
	struct hlist_node *next;
	unsigned int i;

	irq_work_sync(&upkeep_irq_work);
	destroy_workqueue(record_workqueue);
	rcu_barrier();

	/* The retired that upkeep() has not got to are in their buckets too. */
	for (i = 0; i < BIT(bucket_bits); i++)
		hlist_for_each_entry_safe(listener, next, &buckets[i].records,
					  node)
			kmem_cache_free(record_cache, listener);
	pool_drain();
	kmem_cache_destroy(record_cache);
	kvfree(buckets);
}
