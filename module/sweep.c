// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sweeps: walks over all listeners, for the module's own upkeep.
 *
 * A sweep makes records and limits agree with the kernel's tables in all namespaces:
 * when rules change, when they start or stop acting, and periodically, for what
 * hooks have missed. Sweeps run one at a time; only privileged writers of rules and
 * work items begin them. To reset peaks and derive totals, sweep_namespace() walks
 * one namespace; any user may own one, so that must not delay others.
 *
 * In process context, with no lock held; may sleep.
 */
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "hook.h"
#include "limit.h"
#include "listener.h"
#include "pool.h"
#include "record.h"
#include "socket.h"
#include "sweep.h"
#include "unix.h"
#include "walk.h"

#define SWEEP_INTERVAL (30 * HZ)

/*
 * Sweep a bucket in about this many passes, however long its chain is: users can
 * make it as long as their memory and descriptors allow.
 */
#define SWEEP_PASSES 8

static void sweep_again(struct work_struct *work);

static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);
/* Not deferrable: something waits for this sweep, so it wakes an idle CPU. */
static DECLARE_DELAYED_WORK(soon_work, sweep_again);

/*
 * Enlarge the batch so that SWEEP_PASSES are enough for @walk's bucket; without
 * memory, it takes more passes. Returns the memory that the batch is in.
 */
static struct sock **sweep_make_room(struct listener_walk *walk,
				     struct sock **memory)
{
	unsigned int room = 2 * DIV_ROUND_UP(walk->length, SWEEP_PASSES);
	struct sock **batch;

	walk->length = 0;	/* once for each bucket */
	batch = kvmalloc_array(room, sizeof(*batch), GFP_KERNEL | __GFP_NOWARN);
	if (!batch)
		return memory;
	kvfree(memory);
	walk->batch = batch;
	walk->room = room;
	return batch;
}

/**
 * namespace_behind() - get the next network namespace
 * @net: the one before; NULL: get the first one
 *
 * Context: process context.
 * Return: the next namespace, with a reference to it; NULL if there is none. Drops
 * the reference to @net, which has kept @net in the list.
 */
struct net *namespace_behind(struct net *net)
{
	struct list_head *at = net ? &net->list : &net_namespace_list;
	struct net *next;

	rcu_read_lock();
	next = list_entry_rcu(at->next, struct net, list);
	list_for_each_entry_from_rcu(next, &net_namespace_list, list)
		if (maybe_get_net(next))
			goto found;
	next = NULL;
found:
	rcu_read_unlock();
	if (net)
		put_net(net);
	return next;
}

/* Called by hook_check() when ways have fallen silent or see calls again. */
static void doubt(unsigned int ways)
{
	if (ways & BIT(HOOK_ENTRY))
		record_doubt_traffic(RECORDS_OF_ALL);
	if (ways & BIT(HOOK_RETURN)) {
		record_doubt_calls(RECORDS_OF_ALL);
		record_doubt_returns(RECORDS_OF_TCP);
		record_doubt_traffic(RECORDS_OF_UNIX);
	}
}

/* Doubt what the hooks serve that hook_check_hits() has found. */
static void doubt_unseen(unsigned long proofs)
{
	if (proofs & (BIT(PROOF_STARTED) | BIT(PROOF_REPEATED)))
		record_doubt_calls(RECORDS_OF_TCP);
	if (proofs & (BIT(PROOF_CONNECTED) | BIT(PROOF_ACCEPTED)))
		record_doubt_traffic(RECORDS_OF_TCP);
	if (proofs & BIT(PROOF_UNIX_LISTENED))
		record_doubt_calls(RECORDS_OF_UNIX);
	if (proofs & (BIT(PROOF_UNIX_CONNECTED) | BIT(PROOF_UNIX_ACCEPTED) |
		      BIT(PROOF_UNIX_WAITED)))
		record_doubt_traffic(RECORDS_OF_UNIX);
}

/**
 * sweep_check_hooks() - doubt what silenced hooks may have missed
 *
 * Called before figures are shown: those that a hook may have missed read `-` from
 * then on, for the listeners that exist.
 *
 * Context: process context, may sleep.
 */
void sweep_check_hooks(void)
{
	hook_check(doubt);
}

/* Call @meet for all listeners of a table, of @net or of all. Under sweep_mutex. */
static void sweep_table(const struct walk_table *table, struct net *net,
			bool (*meet)(struct sock *sk))
{
	static struct sock *batch[2 * LISTENER_BATCH];
	struct sock **more = NULL;
	struct listener_walk walk;
	bool memory = true;
	unsigned int i;

	listener_walk_begin(&walk, table, net, batch, ARRAY_SIZE(batch));
	while (!listener_walk_ends(&walk)) {
		/* Without memory, the next sweep makes the missing records. */
		if (memory)
			memory = pool_fill();
		if (walk.length / SWEEP_PASSES > walk.room / 2)
			more = sweep_make_room(&walk, more);
		rcu_read_lock();
		listener_walk_take(&walk, walk.room / 2);
		for (i = 0; i < walk.count; i++)
			if (!meet(walk.batch[i]) && memory)
				break;
		listener_walk_leave(&walk, i);
		rcu_read_unlock();
		cond_resched();
	}
	kvfree(more);
}

/* A namespace made during the walk may be skipped: its listeners are younger. */
static void sweep_unix(void)
{
	struct net *net = NULL;

	if (UNIX_TABLE_IS_SHARED) {
		sweep_table(&unix_table, NULL, unix_meet);
		return;
	}
	while ((net = namespace_behind(net)))
		sweep_table(&unix_table, net, unix_meet);
}

/**
 * sweep_listeners() - make records and limits agree with the kernel's tables
 *
 * In all namespaces, makes records for listeners without one, decides on limits
 * where rules have changed, and retires records of sockets that no longer listen,
 * whatever hooks have missed. Queues the next sweep.
 *
 * Context: process context, may sleep.
 */
void sweep_listeners(void)
{
	/* Sweeps are numbered, and the batch is static. */
	static DEFINE_MUTEX(sweep_mutex);

	sweep_check_hooks();
	mutex_lock(&sweep_mutex);
	record_sweep_begin();
	/*
	 * A listener that enters a bucket after the walk has found it empty sees the
	 * new rules: pairs with limit_start().
	 */
	smp_mb();
	sweep_table(&tcp_table, NULL, listener_meet);
	sweep_unix();
	record_sweep_end();
	if (listener_settled())
		doubt_unseen(hook_check_hits(READ_ONCE(record_proofs)));
	mutex_unlock(&sweep_mutex);
	queue_delayed_work(record_workqueue, &sweep_work, SWEEP_INTERVAL);
}

static void sweep_again(struct work_struct *work)
{
	sweep_listeners();
}

static void sweep_work_soon(struct irq_work *work)
{
	/* Does not put off a sweep that is queued already. */
	queue_delayed_work(record_workqueue, &soon_work, HZ);
}

static DEFINE_IRQ_WORK(soon_irq_work, sweep_work_soon);

/**
 * sweep_soon() - sweep within about a second: a listener lacks a record, or
 *	connect() calls that wait for its limit must be woken
 *
 * Context: any but an NMI.
 */
void sweep_soon(void)
{
	irq_work_queue(&soon_irq_work);
}

/**
 * sweep_decide_by() - set the function that decides on limits, and sweep
 * @by: the function; NULL: each listener gets what the kernel alone would give it
 *
 * On return, all limits have been decided on by @by, except where a listen() is
 * under way: there when that returns. Listeners met without a record before the
 * first @by do not count as missed: they are older than the hooks.
 *
 * Context: process context, sleeps for a grace period.
 */
void sweep_decide_by(limit_decide_t *by)
{
	limit_decide_by(by);
	sweep_listeners();
	if (by)
		listener_unrecorded_forget();
}

/**
 * sweep_namespace() - call a function for each listener of a namespace
 * @net: the namespace
 * @what: the function, called as an RCU reader
 *
 * The owner of the namespace may have this done at any time. So it delays only its
 * caller: it holds a lock for one pass at most, and its memory is charged to the
 * caller.
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int sweep_namespace(struct net *net, void (*what)(struct sock *sk))
{
	unsigned int room = 2 * LISTENER_BATCH;
	struct listener_walk walk;
	struct sock **batch;
	unsigned int i;

	batch = kmalloc_array(room, sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	listener_walk_begin(&walk, &tcp_table, net, batch, room);
	while (!listener_walk_ends(&walk) && !fatal_signal_pending(current)) {
		rcu_read_lock();
		listener_walk_take(&walk, LISTENER_BATCH);
		for (i = 0; i < walk.count; i++)
			what(batch[i]);
		listener_walk_leave(&walk, walk.count);
		rcu_read_unlock();
		cond_resched();
	}
	kfree(batch);
	return 0;
}

/**
 * sweep_exit() - stop sweeping
 *
 * Context: process context, after all files are gone.
 */
void sweep_exit(void)
{
	irq_work_sync(&soon_irq_work);
	/* A queued sweep may have to wake waiting connect() calls. */
	if (cancel_delayed_work_sync(&soon_work))
		sweep_listeners();
	cancel_delayed_work_sync(&sweep_work);
}
