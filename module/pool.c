// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools of records that are not in use.
 *
 * Handlers of hooks can't allocate. listen() takes records from its CPU's own
 * pool, which an interrupt refills, so that calls on different CPUs don't meet
 * and a task that lets nobody else run does not empty it. Walks take them from a
 * common one, which is there for listen() too where no memory is to be had at
 * once, and on PREEMPT_RT, where a thread refills the own ones.
 */
#include <linux/irq_work.h>
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pool.h"
#include "record.h"

/* The common pool is refilled when POOL_STEP records are missing. */
#define POOL_STEP 64
#define POOL_SIZE (1024 + POOL_STEP)

/* A CPU's own is refilled when it is half empty. */
#define OWN_SIZE 64

/* With more records than this that are out of use in their buckets, it is not. */
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
 * struct own_pool - a CPU's own pool
 * @records: the records
 * @count: how many there are
 * @refill: allocates others: in an interrupt, which comes as soon as interrupts
 *	are on again, whatever runs on that CPU (at the next tick where there is
 *	no such interrupt); on PREEMPT_RT in a thread of the CPU's
 *
 * Its CPU alone uses it, with interrupts off.
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
 * Return: the record, all zero but for its place in the pool; NULL where the pool
 * is empty.
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
 * A pool that can't be filled is tried again later.
 *
 * Context: process context, may sleep.
 * Return: whether the pool holds any.
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
 * pool_get_own() - take a record from the CPU's own pool
 *
 * No lock is shared with other CPUs, unless the CPU's own pool is empty.
 *
 * Context: interrupts off, not in an NMI.
 * Return: as pool_get(); NULL where the common pool is empty too.
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
 * Where there is no memory at once, the common pool is there meanwhile; and where
 * somebody retires records faster than a work item takes them out of their
 * buckets, since all of one socket's are in one.
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

/* A work item can't be queued from a handler of a hook, an irq_work can. */
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
 * pool_init() - fill the common pool, as far as there is memory
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
 * pool_stop() - refill no more
 *
 * Context: process context, when nobody takes records any more, and
 * record_workqueue is there.
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
 * pool_exit() - free all records that are in no use
 *
 * Context: process context, after pool_stop(), when all others are freed.
 */
void pool_exit(void)
{
	int cpu;

	free_all(pool.records);
	for_each_possible_cpu(cpu)
		free_all(per_cpu(own_pools, cpu).records);
	kmem_cache_destroy(cache);
}
