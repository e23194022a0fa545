// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records: what is noted of a listener beside the kernel's own, in a hash by
 * the socket's address.
 *
 * A record's life:
 *
 *	allocated -> a pool -> a bucket -> retired -> (grace period) -> freed
 *
 * Handlers of hooks take records from the pools (pool.c) and retire them, and
 * free none; upkeep_work does, from process context. A record is retired once,
 * by whoever sets its @retired first: the listener's stop, a new start on the
 * same socket, or a sweep that met no such listener.
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
#include "pool.h"
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

/* How many retired records are worth a work item. */
#define RETIRED_STEP 64

/* Set before the first hook is placed. */
struct record_hash record_hash __read_mostly;
static unsigned int buckets_count;

/* Out of use, perhaps still in their buckets. Any context adds. */
static LLIST_HEAD(retired);
static atomic_t retired_count;

/* The number of the latest sweep; changed by one at a time. */
static unsigned int sweeps;

static void upkeep(struct work_struct *work);
static void upkeep_soon(struct irq_work *work);

unsigned long record_proofs;
struct workqueue_struct *record_workqueue;
static DECLARE_WORK(upkeep_work, upkeep);
static struct irq_work upkeep_irq_work;

/* ---- records ---- */

/*
 * A record in which nothing is known yet, from what pool_get() or pool_get_own()
 * has given, all zero; NULL for NULL. The bucket is locked.
 */
static struct listener *record_add(struct record_bucket *bucket,
				   struct listener *listener,
				   const struct sock *sk, u64 cookie)
{
	if (!listener)
		return NULL;
	listener->sk = sk;
	listener->cookie = cookie;
	listener->totals = totals_of(sock_net(sk));
	listener_endpoint(sk, &listener->place);
	listener->seen = READ_ONCE(sweeps);
	listener->since = get_jiffies_64();
	/* The first who looks finds a window that has ended. */
	listener->peaks_until = (u32)jiffies;
	hlist_add_head_rcu(&listener->node, &bucket->records);
	return listener;
}

/**
 * record_begin() - begin a record of a socket that begins to listen
 * @bucket: the socket's
 * @sk: the socket, in the listening hash since a moment ago, locked by the
 *	caller of the function that is hooked
 * @cookie: the socket's cookie
 *
 * One that it has from before it listened the last time ends.
 *
 * Context: @bucket's lock held, preemption off, not in an NMI.
 * Return: the record, in which nothing is known yet; NULL where the pools are
 * empty.
 */
struct listener *record_begin(struct record_bucket *bucket,
			      const struct sock *sk, u64 cookie)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (listener)
		record_retire(listener);
	listener = record_add(bucket, pool_get_own(), sk, cookie);
	if (listener)
		listener->started = true;
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
 * Return: the record, in which nothing is known yet; NULL where the pool is
 * empty; ERR_PTR(-ENOTCONN) where @sk has stopped.
 */
struct listener *record_annotate(struct record_bucket *bucket,
				 const struct sock *sk, u64 cookie)
{
	struct listener *listener = record_add(bucket, pool_get(), sk, cookie);

	if (!listener)
		return NULL;
	if (record_is_unix(listener))
		listener->unix_traffic.carried =
			skb_queue_len_lockless(&sk->sk_receive_queue);
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
	if (atomic_inc_return(&retired_count) >= RETIRED_STEP)
		irq_work_queue(&upkeep_irq_work);
}

/**
 * record_has_ended() - whether a socket has a record that is out of use
 * @bucket: the socket's
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: @bucket's lock held.
 * Return: whether there is one; none when upkeep() has been there.
 */
bool record_has_ended(const struct record_bucket *bucket,
		      const struct sock *sk, u64 cookie)
{
	const struct listener *listener;

	hlist_for_each_entry(listener, &bucket->records, node)
		if (listener->sk == sk && listener->cookie == cookie &&
		    record_is_retired(listener))
			return true;
	return false;
}

/**
 * record_retired() - how many records are out of use and in their buckets yet
 *
 * Context: any.
 */
unsigned int record_retired(void)
{
	return atomic_read(&retired_count);
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
	pool_free(container_of(rcu, struct listener, rcu));
}

/* Process context: free the retired. */
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
}

/* A work item can't be queued from a probe handler, an irq_work can. */
static void upkeep_soon(struct irq_work *work)
{
	queue_work(record_workqueue, &upkeep_work);
}

/* ---- lookups, and what the hooks of listen() tell ---- */

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

static unsigned int whose_record(const struct listener *listener)
{
	return record_is_unix(listener) ? RECORDS_OF_UNIX : RECORDS_OF_TCP;
}

/* Do @what to each record of these, under the lock of its bucket. */
static void records_each(void (*what)(struct listener *listener),
			 unsigned int whose)
{
	struct listener *listener;
	struct record_bucket *bucket;
	unsigned long flags;

	for (bucket = record_hash.buckets;
	     bucket < record_hash.buckets + buckets_count; bucket++) {
		if (hlist_empty(&bucket->records))
			continue;
		raw_spin_lock_irqsave(&bucket->lock, flags);
		hlist_for_each_entry(listener, &bucket->records, node)
			if (whose & whose_record(listener))
				what(listener);
		raw_spin_unlock_irqrestore(&bucket->lock, flags);
		cond_resched();
	}
}

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

static void retire_unmet(struct listener *listener)
{
	if ((u16)(sweeps - listener->seen) <= 1)
		return;
	if (listener->started && !record_is_retired(listener))
		record_prove(record_is_unix(listener) ? PROOF_UNIX_STOPPED :
							PROOF_STOPPED);
	record_retire(listener);
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
	records_each(retire_unmet, RECORDS_OF_ALL);
}

/* ---- what silenced hooks have missed ---- */

static void forget_call(struct listener *listener)
{
	listen_call_forget(&listener->call, listener->call.granted);
}

static void doubt_traffic(struct listener *listener)
{
	listener->traffic_doubted = true;
}

/**
 * record_doubt_calls() - a listen() may have been missed on any listener
 * @whose: on any of these
 *
 * Context: process context, may sleep.
 */
void record_doubt_calls(unsigned int whose)
{
	records_each(forget_call, whose);
}

/**
 * record_doubt_traffic() - what came to any listener may have been missed
 * @whose: to any of these
 *
 * Context: process context, may sleep.
 */
void record_doubt_traffic(unsigned int whose)
{
	records_each(doubt_traffic, whose);
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
	unsigned int bits, i;

	init_irq_work(&upkeep_irq_work, upkeep_soon);
	bits = clamp_t(unsigned int, share ? ilog2(share) : 0,
		       BUCKET_BITS_MIN, BUCKET_BITS_MAX);
	buckets_count = BIT(bits);
	record_hash.shift = BITS_PER_LONG - bits;
	record_hash.buckets = kvcalloc(buckets_count,
				       sizeof(*record_hash.buckets), GFP_KERNEL);
	if (!record_hash.buckets)
		return -ENOMEM;
	for (i = 0; i < buckets_count; i++)
		raw_spin_lock_init(&record_hash.buckets[i].lock);

	record_workqueue = alloc_workqueue("listenq", WQ_UNBOUND, 0);
	if (!record_workqueue)
		goto free_buckets;
	if (pool_init())
		goto destroy_workqueue;
	return 0;

destroy_workqueue:
	destroy_workqueue(record_workqueue);
free_buckets:
	kvfree(record_hash.buckets);
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
	pool_stop();
	destroy_workqueue(record_workqueue);
	rcu_barrier();

	/* The retired that upkeep() has not got to are in their buckets too. */
	for (i = 0; i < buckets_count; i++)
		hlist_for_each_entry_safe(listener, next,
					  &record_hash.buckets[i].records, node)
			pool_free(listener);
	pool_exit();
	kvfree(record_hash.buckets);
}
