// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sweeps: walks that nobody reads.
 *
 * A sweep of all namespaces makes records and limits agree with the kernel's
 * listening hash: when the rules change, when they begin or cease to act, and
 * now and then, for what the probes have missed. One at a time, and only root
 * and a work item begin one. Peaks are reset and sums are made by a walk of one
 * namespace; anybody can own one, so those hold up nobody.
 *
 * In process context, with no lock held; who calls may sleep.
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
 * In so many passes, more or less, a sweep is done with a bucket, however long
 * its chain is: anybody can make it as long as memory and descriptors allow.
 */
#define SWEEP_PASSES 8

static void sweep_again(struct work_struct *work);

static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);
/* Somebody waits for this one, so that an idle processor is woken for it. */
static DECLARE_DELAYED_WORK(soon_work, sweep_again);

/*
 * Make room to do the bucket that @walk is in within SWEEP_PASSES; without
 * memory it takes more of them. Returns the memory that the walk has now.
 */
static struct sock **sweep_make_room(struct listener_walk *walk,
				     struct sock **memory)
{
	unsigned int room = 2 * DIV_ROUND_UP(walk->length, SWEEP_PASSES);
	struct sock **batch;

	walk->length = 0;	/* once a bucket */
	batch = kvmalloc_array(room, sizeof(*batch), GFP_KERNEL | __GFP_NOWARN);
	if (!batch)
		return memory;
	kvfree(memory);
	walk->batch = batch;
	walk->room = room;
	return batch;
}

/**
 * namespace_behind() - one network namespace after the other
 * @net: the one before; NULL: none
 *
 * Context: process context.
 * Return: the namespace behind @net, with a reference to it, for that to @net, which
 * keeps @net in the list; NULL where there is none.
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

/* Hooks have fallen silent, or see again. */
static void doubt(unsigned int ways)
{
	if (ways & BIT(HOOK_RETURN))
		record_doubt_calls(RECORDS_OF_ALL);
	if (ways & BIT(HOOK_ENTRY))
		record_doubt_traffic(RECORDS_OF_ALL);
	else if (ways & BIT(HOOK_RETURN))
		record_doubt_traffic(RECORDS_OF_UNIX);
}

/* What hooks serve that must have been hit, by what shows it. */
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
 * sweep_check_hooks() - admit what silenced hooks have missed
 *
 * Who shows figures calls this first: what a hook may have missed reads `-` from
 * then on, of listeners that were there.
 *
 * Context: process context, may sleep.
 */
void sweep_check_hooks(void)
{
	hook_check(doubt);
}

/* Meet all listeners of a table; of a namespace, or of all. One at a time. */
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
		/* Without memory, the next sweep annotates the others. */
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

/* Where each namespace has a table, one that is made meanwhile has nobody from before. */
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
 * Annotates the listeners of all namespaces that have no record, decides on
 * the limits of those whose rules have changed, and retires the records of
 * sockets that do not listen any more, whatever the probes have missed. Once
 * begun, sweeps go on by themselves.
 *
 * Context: process context, may sleep.
 */
void sweep_listeners(void)
{
	/* One at a time: sweeps are numbered, and a batch is large. */
	static DEFINE_MUTEX(sweep_mutex);

	sweep_check_hooks();
	mutex_lock(&sweep_mutex);
	record_sweep_begin();
	/*
	 * Rules that were published are seen by whoever enters a bucket that
	 * is found empty below.
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
	/* One that is under way already is not put off. */
	queue_delayed_work(record_workqueue, &soon_work, HZ);
}

static DEFINE_IRQ_WORK(soon_irq_work, sweep_work_soon);

/**
 * sweep_soon() - sweep within a second or so: a listener has no record, or has to
 *	be met for those who wait for it
 *
 * Context: any but an NMI.
 */
void sweep_soon(void)
{
	irq_work_queue(&soon_irq_work);
}

/**
 * sweep_decide_by() - who decides on the listeners' limits
 * @by: the function, or NULL: each gets what the kernel alone would give it
 *
 * When it returns, each listener's limit is decided on anew. A listen() that
 * is under way is decided on when it returns. What was met without a record
 * until somebody decides has not been missed: it was there before the hooks.
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
 * sweep_namespace() - do something with each listener of a namespace
 * @net: the namespace
 * @what: what; it is an RCU reader
 *
 * Whoever made the namespace may have this done. So nobody waits for it but who
 * does: it takes no lock for longer than a pass, and its memory is the caller's.
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
 * sweep_exit() - sweep no more
 *
 * Context: process context, when no file can call in any more.
 */
void sweep_exit(void)
{
	irq_work_sync(&soon_irq_work);
	/* Who waits is not left behind. */
	if (cancel_delayed_work_sync(&soon_work))
		sweep_listeners();
	cancel_delayed_work_sync(&sweep_work);
}
