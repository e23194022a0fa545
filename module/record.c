// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records: what the module notes about listeners, in a hash by the socket's address.
 *
 * A record's life:
 *
 *	allocated -> a pool -> a bucket -> retired -> (grace period) -> freed
 *
 * Handlers take records from the pools (pool.c) and retire them. They free none:
 * upkeep_work does, in process context. A record is retired once, by whichever sets
 * @retired first: the listener's stop, a new start on the same socket, or a sweep
 * that did not meet the listener.
 *
 * The hooks of listen() begin and end records; handlers, readers and sweeps look
 * them up. Locks, innermost last, raw and with interrupts off: a bucket's, the
 * pool's.
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
 * One bucket, of 16 bytes, for each 32 kB of memory: about as many as there is
 * memory for listeners, as in the kernel's own tables.
 */
#define BUCKET_BITS_MIN 10
#define BUCKET_BITS_MAX 16
#define BUCKET_SHARE_SHIFT 15

/* Queue upkeep_work once this many records are retired. */
#define RETIRED_STEP 64

/* Set before the first hook is placed. */
struct record_hash record_hash __read_mostly;
static unsigned int buckets_count;

/* Retired records, perhaps still in their buckets. Any context adds. */
static LLIST_HEAD(retired);
static atomic_t retired_count;

/* Number of the latest sweep; written under sweep_mutex (sweep.c). */
static unsigned int sweeps;

static void upkeep(struct work_struct *work);
static void upkeep_soon(struct irq_work *work);

unsigned long record_proofs;
struct workqueue_struct *record_workqueue;
static DECLARE_WORK(upkeep_work, upkeep);
static struct irq_work upkeep_irq_work;

/* ---- records ---- */

/*
 * Put an all-zero record from pool_get() or pool_get_own() into its bucket; NULL
 * gives NULL. The caller holds @bucket's lock.
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
	/* Makes the first look at the peaks begin a window. */
	listener->peaks_until = (u32)jiffies;
	hlist_add_head_rcu(&listener->node, &bucket->records);
	return listener;
}

/**
 * record_begin() - begin the record of a socket that begins to listen
 * @bucket: the socket's
 * @sk: the socket, just put into the listening hash, locked by the caller of the
 *	hooked function
 * @cookie: the socket's cookie
 *
 * Retires the record that the socket may have from an earlier listen().
 *
 * Context: @bucket's lock held, preemption off, not in an NMI.
 * Return: the record, all unknown; NULL if the pools are empty.
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
 * @sk: a listener without a record
 * @cookie: the socket's cookie
 *
 * record_end() looks for the record without a lock. Where it looked before this put
 * one there, this retires it, or it would stay until a sweep.
 *
 * Context: @bucket's lock held, an RCU reader.
 * Return: the record, all unknown; NULL if the pool is empty; ERR_PTR(-ENOTCONN) if
 * @sk has stopped.
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
	/* Pairs with record_end(): one of the two sees what the other did. */
	smp_mb();
	if (listener_is_there(sk))
		return listener;
	record_retire(listener);
	return ERR_PTR(-ENOTCONN);
}

/**
 * record_set_call() - note a listen() whose limit no rule has been applied to yet
 * @listener: the record
 * @call: the listen(); what it was granted becomes the limit
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
 * Nothing finds the record any more, but it stays in its bucket until upkeep()
 * unlinks it. upkeep() is queued for RETIRED_STEP records at a time.
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
 * record_has_ended() - whether a socket has a retired record
 * @bucket: the socket's
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: @bucket's lock held.
 * Return: whether one is in the bucket; upkeep() removes them.
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
 * record_retired() - how many retired records upkeep() has not unlinked yet
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

/* Unlink and free the retired records, in process context. */
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

/* A handler can't queue a work item, but it can queue an irq_work. */
static void upkeep_soon(struct irq_work *work)
{
	queue_work(record_workqueue, &upkeep_work);
}

/* ---- lookups, and the end of a listener ---- */

/**
 * record_copy_call() - copy the latest listen() on a listener
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
 * record_end() - retire the record of a socket that has stopped listening
 * @sk: the socket, out of the listening hash already
 *
 * Context: any, an NMI too: takes no lock. Preemption off.
 */
void record_end(const struct sock *sk)
{
	struct listener *listener;

	/* The socket has left the hash before this: pairs with record_annotate(). */
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

/* Call @what for each record of @whose, with its bucket locked. */
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
 * record_met() - note that a walk has met the listener of a record
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
 * record_sweep_end() - retire the records that neither this sweep nor the last met
 *
 * One sweep alone may miss a listener that entered its bucket after the walk had
 * passed it.
 *
 * Context: process context, may sleep.
 */
void record_sweep_end(void)
{
	records_each(retire_unmet, RECORDS_OF_ALL);
}

/* ---- calls that silenced hooks have missed ---- */

static void forget_call(struct listener *listener)
{
	listen_call_forget(&listener->call, listener->call.granted);
}

static void doubt_traffic(struct listener *listener)
{
	listener->doubted |= DOUBTED_TRAFFIC;
}

static void doubt_returns(struct listener *listener)
{
	listener->doubted |= DOUBTED_RETURNS;
}

/**
 * record_doubt_calls() - forget what was asked, since hooks may have missed a
 *	listen()
 * @whose: of which records, by RECORDS_OF_*
 *
 * Context: process context, may sleep.
 */
void record_doubt_calls(unsigned int whose)
{
	records_each(forget_call, whose);
}

/**
 * record_doubt_traffic() - doubt the counters, since hooks may have missed traffic
 * @whose: of which records, by RECORDS_OF_*
 *
 * Context: process context, may sleep.
 */
void record_doubt_traffic(unsigned int whose)
{
	records_each(doubt_traffic, whose);
}

/**
 * record_doubt_returns() - doubt the counters that need return probes, which may have
 *	missed something
 * @whose: of which records, by RECORDS_OF_*
 *
 * Context: process context, may sleep.
 */
void record_doubt_returns(unsigned int whose)
{
	records_each(doubt_returns, whose);
}

/* ---- init and exit ---- */

/**
 * record_init() - allocate the hash, the workqueue and the pools
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
 * Context: process context, after all hooks, files and sweeps are gone.
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

	/* Includes the retired records that upkeep() has not unlinked. */
	for (i = 0; i < buckets_count; i++)
		hlist_for_each_entry_safe(listener, next,
					  &record_hash.buckets[i].records, node)
			pool_free(listener);
	pool_exit();
	kvfree(record_hash.buckets);
}
