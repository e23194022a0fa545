// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sweeps: walks that nobody reads.
 *
 * A sweep of all namespaces makes records and limits agree with the kernel's
 * listening hash: when the rules change, when they begin or cease to act, and
 * now and then, for what the probes have missed. One at a time, and only root
 * and a work item begin one. Peaks are reset by a walk of one namespace; anybody
 * can own one, so those hold up nobody.
 *
 * In process context, with no lock held; who calls may sleep.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"
#include "sweep.h"
#include "walk.h"

#define SWEEP_INTERVAL (30 * HZ)

/*
 * In so many passes, more or less, a sweep is done with a bucket, however long
 * its chain is: anybody can make it as long as memory and descriptors allow.
 */
#define SWEEP_PASSES 8

static void sweep_again(struct work_struct *work);

static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);

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
 * sweep_listeners() - make records and limits agree with the listening hash
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
	static struct sock *batch[2 * LISTENER_BATCH];
	struct sock **more = NULL;
	struct listener_walk walk;
	bool memory = true;
	unsigned int i;

	mutex_lock(&sweep_mutex);
	listener_walk_begin(&walk, NULL, batch, ARRAY_SIZE(batch));
	record_sweep_begin();
	/*
	 * Rules that were published are seen by whoever enters a bucket that
	 * is found empty below.
	 */
	smp_mb();
	while (!listener_walk_ends(&walk)) {
		/* Without memory, the next sweep annotates the others. */
		if (memory)
			memory = record_fill_pool();
		if (walk.length / SWEEP_PASSES > walk.room / 2)
			more = sweep_make_room(&walk, more);
		rcu_read_lock();
		listener_walk_take(&walk, walk.room / 2);
		for (i = 0; i < walk.count; i++)
			if (!listener_meet(walk.batch[i]) && memory)
				break;
		listener_walk_leave(&walk, i);
		rcu_read_unlock();
		cond_resched();
	}
	kvfree(more);
	record_sweep_end();
	mutex_unlock(&sweep_mutex);
	queue_delayed_work(record_workqueue, &sweep_work, SWEEP_INTERVAL);
}

static void sweep_again(struct work_struct *work)
{
	sweep_listeners();
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

static void reset_peaks(struct sock *sk)
{
	struct listener *listener = record_lookup(sk, socket_cookie(sk));

	if (!listener)
		return;
	WRITE_ONCE(listener->traffic.acceptq_peak,
		   READ_ONCE(sk->sk_ack_backlog));
	WRITE_ONCE(listener->traffic.synq_peak, synq_length(sk));
}

/**
 * sweep_reset_peaks() - begin peaks anew
 * @net: whose listeners'
 *
 * Whoever made the namespace may do this. So nobody waits for it but who does:
 * it takes no lock for longer than a pass, and its memory is the caller's.
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int sweep_reset_peaks(struct net *net)
{
	unsigned int room = 2 * LISTENER_BATCH;
	struct listener_walk walk;
	struct sock **batch;
	unsigned int i;

	batch = kmalloc_array(room, sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	listener_walk_begin(&walk, net, batch, room);
	while (!listener_walk_ends(&walk) && !fatal_signal_pending(current)) {
		rcu_read_lock();
		listener_walk_take(&walk, LISTENER_BATCH);
		for (i = 0; i < walk.count; i++)
			reset_peaks(batch[i]);
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
	cancel_delayed_work_sync(&sweep_work);
}
