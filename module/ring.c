// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last who were turned away, of each network namespace.
 *
 * A handler that writes one takes a number, the one cache line that all of them share,
 * and overwrites what had the number RING_SIZE before. It takes no lock, and readers
 * take none that it takes: they find out whether what they have copied was whole.
 *
 * A namespace has no ring until somebody is turned away there. Handlers allocate
 * nothing, so a spare one is ready, which a work item replaces. Namespaces that users
 * can make have a spare of their own, and no owner has more than some rings.
 */
#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "listenq.h"
#include "owner.h"
#include "record.h"
#include "ring.h"

/**
 * struct ring - the last who were turned away
 * @number: of the latest refusal
 * @unused: among the leftovers, where another CPU was faster
 * @rcu: for its end
 * @refusals: by their numbers, modulo RING_SIZE
 */
struct ring {
	atomic_long_t number;
	struct llist_node unused;
	struct rcu_head rcu;
	struct refusal refusals[RING_SIZE] ____cacheline_aligned_in_smp;
};

/**
 * struct ring_net - what a network namespace has
 * @ring: its ring, which RCU readers may write to; NULL: none
 * @open: whether handlers, which are RCU readers, may write there
 * @denied: when its owner had no ring left for it, in jiffies; 0: never
 * @unkept: how many refusals there was no room for
 * @claimed: among those whose owners have to be asked
 * @net: the namespace
 */
struct ring_net {
	struct ring *ring;
	bool open;
	unsigned long denied;
	atomic_long_t unkept;
	struct llist_node claimed;
	const struct net *net;
};

static unsigned int ring_net_id;

/* For so long an owner that has no ring left is not asked again. */
#define DENIED_FOR	(60 * HZ)

/* Ready to be claimed by a namespace that users can make, and by one of the host's. */
static struct ring *spares[2];
/* Claimed by two at once. */
static LLIST_HEAD(leftovers);
/* Namespaces that have claimed one. */
static LLIST_HEAD(claims);

static void supply_work(struct work_struct *work);
static void supply_soon(struct irq_work *work);

static DECLARE_WORK(supply, supply_work);
static DEFINE_IRQ_WORK(supply_irq_work, supply_soon);

/* Held by who empties leftovers and claims and fills spares. */
static DEFINE_MUTEX(supply_lock);

/* ---- in handlers ---- */

/* A work item can't be queued from a probe handler, an irq_work can. */
static void supply_soon(struct irq_work *work)
{
	queue_work(record_workqueue, &supply);
}

static noinline struct ring *ring_claim(const struct net *net,
					struct ring_net *mine)
{
	struct ring **spare = &spares[owner_is_host(net)];
	struct ring *ring, *other;

	if (READ_ONCE(mine->denied) &&
	    time_before(jiffies, READ_ONCE(mine->denied) + DENIED_FOR))
		return NULL;
	ring = READ_ONCE(*spare) ? xchg(spare, NULL) : NULL;
	other = ring ? cmpxchg(&mine->ring, NULL, ring) : READ_ONCE(mine->ring);
	if (ring && other) {
		llist_add(&ring->unused, &leftovers);
	} else if (ring) {
		mine->net = net;
		llist_add(&mine->claimed, &claims);
	}
	/* Behind what it has to do. */
	irq_work_queue(&supply_irq_work);
	return other ?: ring;
}

/**
 * ring_begin() - somebody was turned away
 * @net: the network namespace
 *
 * Context: preemption off, an NMI too.
 * Return: where to write all of it but the state, before ring_end(); NULL where it
 * can't be kept.
 */
struct refusal *ring_begin(const struct net *net)
{
	struct ring_net *mine = net_generic_atomic(net, ring_net_id);
	struct refusal *refusal;
	unsigned long number, state;
	struct ring *ring;

	if (!mine || !READ_ONCE(mine->open))
		return NULL;
	ring = READ_ONCE(mine->ring) ?: ring_claim(net, mine);
	if (!ring)
		goto unkept;
	number = atomic_long_inc_return(&ring->number);
	refusal = &ring->refusals[number % RING_SIZE];
	state = READ_ONCE(refusal->state);
	/* One of us is late by a whole round: the newer one stays. */
	if (state & 1 || (long)(state - 2 * number) > 0 ||
	    cmpxchg(&refusal->state, state, 2 * number + 1) != state)
		goto unkept;
	/* cmpxchg() is a barrier: nothing is written before it. */
	return refusal;

unkept:
	atomic_long_inc(&mine->unkept);
	return NULL;
}

/**
 * ring_missed() - some were turned away, and it is not known who
 * @net: the network namespace
 * @count: how many
 *
 * Context: preemption off, an NMI too.
 */
void ring_missed(const struct net *net, unsigned int count)
{
	struct ring_net *mine = net_generic_atomic(net, ring_net_id);

	/* A listener of the kernel's own may outlive what is kept of its namespace. */
	if (count && mine && check_net(net))
		atomic_long_add(count, &mine->unkept);
}

/* ---- readers ---- */

/* Whether there is one, and it could be copied as a whole. */
static bool refusal_copy(const struct refusal *refusal, struct refusal *copy)
{
	unsigned long state;

	do {
		/* Pairs with ring_end(). */
		state = smp_load_acquire(&refusal->state);
		if (!state || state & 1)
			return false;
		/* It may be overwritten meanwhile: */
		*copy = data_race(*refusal);
		/* ... then the state is another one. */
		smp_rmb();
	} while (READ_ONCE(refusal->state) != state);
	return true;
}

static int refusal_order(const void *one, const void *other)
{
	const struct refusal *a = one, *b = other;

	if (a->when != b->when)
		return time_after(a->when, b->when) ? 1 : -1;
	return (long)(a->state - b->state) > 0 ? 1 : -1;
}

/**
 * ring_read() - who was turned away last
 * @net: the network namespace
 * @refusals: where to write them, oldest first: RING_SIZE at most
 *
 * One whose writer is not done is missing.
 *
 * Context: process context.
 * Return: how many there are.
 */
unsigned int ring_read(struct net *net, struct refusal *refusals)
{
	const struct ring_net *mine = net_generic(net, ring_net_id);
	unsigned int i, count = 0;
	const struct ring *ring;

	rcu_read_lock();
	ring = READ_ONCE(mine->ring);
	for (i = 0; ring && i < RING_SIZE; i++)
		count += refusal_copy(&ring->refusals[i], &refusals[count]);
	rcu_read_unlock();
	sort(refusals, count, sizeof(*refusals), refusal_order, NULL);
	return count;
}

/**
 * ring_unkept() - how many refusals a namespace had no room for
 * @net: the network namespace
 *
 * Context: process context.
 */
unsigned long ring_unkept(struct net *net)
{
	const struct ring_net *mine = net_generic(net, ring_net_id);

	return atomic_long_read(&mine->unkept);
}

/* ---- supply ---- */

/* Whoever has claimed a ring that is not to be had gives it back. */
static void settle_claims(void)
{
	struct llist_node *claimed = llist_del_all(&claims);
	struct ring_net *mine, *next;
	struct ring *ring;

	llist_for_each_entry_safe(mine, next, claimed, claimed) {
		if (owner_take_ring(mine->net))
			continue;
		WRITE_ONCE(mine->denied, jiffies ?: 1);
		ring = xchg(&mine->ring, NULL);
		/* Who comes at this moment is missing there. */
		atomic_long_add(atomic_long_read(&ring->number), &mine->unkept);
		kvfree_rcu(ring, rcu);
	}
}

static void free_leftovers(void)
{
	struct llist_node *unused = llist_del_all(&leftovers);
	struct ring *ring, *next;

	llist_for_each_entry_safe(ring, next, unused, unused)
		kvfree(ring);
}

static void fill_spares(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spares); i++)
		if (!READ_ONCE(spares[i]))
			/* Whoever takes it finds it empty. */
			smp_store_release(&spares[i],
					  kvzalloc(sizeof(struct ring),
						   GFP_KERNEL | __GFP_NOWARN));
}

static void supply_work(struct work_struct *work)
{
	mutex_lock(&supply_lock);
	fill_spares();
	settle_claims();
	free_leftovers();
	mutex_unlock(&supply_lock);
}

/* ---- init and exit ---- */

static int ring_net_init(struct net *net)
{
	struct ring_net *mine = net_generic(net, ring_net_id);

	WRITE_ONCE(mine->open, true);
	return 0;
}

/* As refused_net_pre_exit(). */
static void ring_net_pre_exit(struct net *net)
{
	struct ring_net *mine = net_generic(net, ring_net_id);

	WRITE_ONCE(mine->open, false);
}

/* No handler writes to these any more. */
static void ring_net_exit(struct list_head *nets)
{
	struct ring_net *mine;
	struct net *net;

	mutex_lock(&supply_lock);
	settle_claims();
	mutex_unlock(&supply_lock);
	list_for_each_entry(net, nets, exit_list) {
		mine = net_generic(net, ring_net_id);
		if (!mine->ring)
			continue;
		kvfree(mine->ring);
		owner_give_ring(net);
	}
}

static struct pernet_operations ring_namespaces = {
	.init		= ring_net_init,
	.pre_exit	= ring_net_pre_exit,
	.exit_batch	= ring_net_exit,
	.id		= &ring_net_id,
	.size		= sizeof(struct ring_net),
};

/**
 * ring_init() - make room for who is turned away
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int ring_init(void)
{
	int err;

	fill_spares();
	err = spares[0] && spares[1] ?
	      register_pernet_subsys(&ring_namespaces) : -ENOMEM;
	if (err) {
		kvfree(spares[0]);
		kvfree(spares[1]);
	}
	return err;
}

/**
 * ring_exit() - free what ring_init() made, and all rings
 *
 * Context: process context, when no hook and no file can call in any more.
 */
void ring_exit(void)
{
	irq_work_sync(&supply_irq_work);
	cancel_work_sync(&supply);
	unregister_pernet_subsys(&ring_namespaces);
	free_leftovers();
	kvfree(spares[0]);
	kvfree(spares[1]);
}
