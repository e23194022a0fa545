// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools of unused records.
 *
 * Handlers can't allocate. listen() takes records from a pool of its CPU, so that
 * calls on different CPUs share no lock; an interrupt refills that pool, so that a
 * task which never yields can't empty it. Walks take records from a common pool.
 * listen() falls back to that where the CPU's pool is empty: when GFP_NOWAIT fails,
 * and on PREEMPT_RT, where a thread does the refilling.
 */
#include <linux/irq_work.h>
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pool.h"
#include "record.h"

/* The common pool is refilled when it lacks POOL_STEP records. */
#define POOL_STEP 64
#define POOL_SIZE (1024 + POOL_STEP)

/* A CPU's pool is refilled when it is half empty, ... */
#define OWN_SIZE 64

/* ... unless so many retired records are still in their buckets. */
#define RETIRED_MAX 4096

static struct kmem_cache *cache;

static struct {
	raw_spinlock_t lock;	/* guards the rest; interrupts off */
	struct llist_node *records;
	unsigned int count;
} pool = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(pool.lock),
};

/**
 * struct own_pool - the pool of one CPU
 * @records: the records
 * @count: number of @records
 * @refill: allocates more, in an interrupt that comes as soon as interrupts are on
 *	again (at the next tick where the architecture has no such interrupt); on
 *	PREEMPT_RT in a thread of that CPU
 *
 * Used by its CPU alone, with interrupts off.
 */
struct own_pool {
	struct llist_node *records;
	unsigned int count;
	struct irq_work refill;
};

static DEFINE_PER_CPU(struct own_pool, own_pools);

static void fill(struct work_struct *work);

static DECLARE_WORK(fill_work, fill);
static struct irq_work fill_irq_work;

/* Any context but an NMI. */
static void pool_put(struct listener *listener)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&pool.lock, flags);
	listener->idle.next = pool.records;
	pool.records = &listener->idle;
	WRITE_ONCE(pool.count, pool.count + 1);
	raw_spin_unlock_irqrestore(&pool.lock, flags);
}

/**
 * pool_get() - take a record from the common pool
 *
 * Context: any but an NMI.
 * Return: the record, all zero but for @idle; NULL if the pool is empty.
 */
struct listener *pool_get(void)
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
		irq_work_queue(&fill_irq_work);
	return node ? llist_entry(node, struct listener, idle) : NULL;
}

/**
 * pool_fill() - allocate the records that the common pool lacks
 *
 * Gives up when there is no memory; the next call tries again.
 *
 * Context: process context, may sleep.
 * Return: whether the pool holds any record.
 */
bool pool_fill(void)
{
	struct listener *listener;

	while (READ_ONCE(pool.count) < POOL_SIZE) {
		listener = kmem_cache_zalloc(cache,
					     GFP_KERNEL | __GFP_NOWARN);
		if (!listener)
			break;
		pool_put(listener);
	}
	return READ_ONCE(pool.count);
}

/**
 * pool_get_own() - take a record from this CPU's pool
 *
 * Takes a lock shared with other CPUs only if this CPU's pool is empty.
 *
 * Context: interrupts off, not in an NMI.
 * Return: as pool_get(); NULL if the common pool is empty too.
 */
struct listener *pool_get_own(void)
{
	struct own_pool *own = this_cpu_ptr(&own_pools);
	struct llist_node *node = own->records;

	if (own->count <= OWN_SIZE / 2)
		irq_work_queue(&own->refill);
	if (!node)
		return pool_get();
	own->records = node->next;
	own->count--;
	return llist_entry(node, struct listener, idle);
}

/*
 * Stop when GFP_NOWAIT fails: the common pool has to do meanwhile. Stop also while
 * upkeep() lags behind: a program that restarts listen() on one socket retires
 * records faster than upkeep() can unlink them from the one bucket they share.
 */
static void own_refill(struct irq_work *work)
{
	struct own_pool *own = container_of(work, struct own_pool, refill);
	struct listener *listener;
	unsigned long flags;

	while (READ_ONCE(own->count) < OWN_SIZE &&
	       record_retired() < RETIRED_MAX) {
		listener = kmem_cache_zalloc(cache,
					     GFP_NOWAIT | __GFP_NOWARN);
		if (!listener)
			break;
		local_irq_save(flags);
		listener->idle.next = own->records;
		own->records = &listener->idle;
		own->count++;
		local_irq_restore(flags);
	}
}

static void free_all(struct llist_node *records)
{
	struct listener *listener, *next;

	llist_for_each_entry_safe(listener, next, records, idle)
		kmem_cache_free(cache, listener);
}

static void fill(struct work_struct *work)
{
	pool_fill();
}

/* A handler can't queue a work item, but it can queue an irq_work. */
static void fill_soon(struct irq_work *work)
{
	queue_work(record_workqueue, &fill_work);
}

/**
 * pool_free() - free a record
 * @listener: from pool_get() or pool_get_own(), out of use
 *
 * Context: any in which memory may be freed.
 */
void pool_free(struct listener *listener)
{
	kmem_cache_free(cache, listener);
}

/**
 * pool_init() - make the cache, and fill the common pool as far as memory allows
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int pool_init(void)
{
	int cpu;

	cache = kmem_cache_create("listenq_record", sizeof(struct listener),
				  __alignof__(struct listener), 0, NULL);
	if (!cache)
		return -ENOMEM;
	init_irq_work(&fill_irq_work, fill_soon);
	for_each_possible_cpu(cpu)
		init_irq_work(&per_cpu(own_pools, cpu).refill, own_refill);
	pool_fill();
	return 0;
}

/**
 * pool_stop() - stop refilling
 *
 * Context: process context, when nothing takes records any more, before
 * record_workqueue is destroyed.
 */
void pool_stop(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(own_pools, cpu).refill);
	irq_work_sync(&fill_irq_work);
	cancel_work_sync(&fill_work);
}

/**
 * pool_exit() - free the pools' records
 *
 * Context: process context, after pool_stop(), when all other records are freed.
 */
void pool_exit(void)
{
	int cpu;

	free_all(pool.records);
	for_each_possible_cpu(cpu)
		free_all(per_cpu(own_pools, cpu).records);
	kmem_cache_destroy(cache);
}
