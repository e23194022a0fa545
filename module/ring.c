// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: the latest refusals of each network namespace.
 *
 * A handler takes the next number, the only cache line that all CPUs share, and
 * overwrites the refusal numbered RING_SIZE lower. Neither handlers nor readers take
 * a lock: a reader finds out afterwards whether its copy is consistent.
 *
 * A namespace gets its ring with its first refusal. Handlers can't allocate, so they
 * take a spare one, which a work item replaces. Namespaces that users can make have
 * a spare of their own, and owner.c limits the rings of each owner.
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
 * struct ring - the latest refusals of a network namespace
 * @number: number of the latest refusal
 * @unused: in leftovers, if another CPU was faster
 * @rcu: frees the ring
 * @refusals: the refusals, by number modulo RING_SIZE
 */
struct ring {
	atomic_long_t number;
	struct llist_node unused;
	struct rcu_head rcu;
	struct refusal refusals[RING_SIZE] ____cacheline_aligned_in_smp;
};

/**
 * struct ring_net - data of a network namespace
 * @ring: its ring, to which RCU readers may write; NULL: none
 * @open: whether handlers, which are RCU readers, may write
 * @denied: when the owner's share of rings was used up, in jiffies; 0: never
 * @unkept: how many refusals there was no room for
 * @claimed: in claims, until the owner's share is checked
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

/* How long to wait after that before asking again. */
#define DENIED_FOR	(60 * HZ)

/* Spare rings: [0] for namespaces that users can make, [1] for the host's. */
static struct ring *spares[2];
/* Spare rings that two CPUs took for one namespace. */
static LLIST_HEAD(leftovers);
/* Namespaces that have taken a spare ring. */
static LLIST_HEAD(claims);

static void supply_work(struct work_struct *work);
static void supply_soon(struct irq_work *work);

static DECLARE_WORK(supply, supply_work);
static DEFINE_IRQ_WORK(supply_irq_work, supply_soon);

/* Held while leftovers and claims are emptied and spares filled. */
static DEFINE_MUTEX(supply_lock);

/* ---- in handlers ---- */

/* A handler can't queue a work item, but it can queue an irq_work. */
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
	/* After the lists above are filled. */
	irq_work_queue(&supply_irq_work);
	return other ?: ring;
}

/**
 * ring_begin() - begin to write a refusal
 * @net: the network namespace
 *
 * Context: preemption off, an NMI too.
 * Return: where to write all fields but @state, before ring_end(); NULL if it can't
 * be kept.
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
	/* One writer is late by a whole round: the newer refusal stays. */
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
 * ring_missed() - count refusals of unknown clients
 * @net: the network namespace
 * @count: how many
 *
 * Context: preemption off, an NMI too.
 */
void ring_missed(const struct net *net, unsigned int count)
{
	struct ring_net *mine = net_generic_atomic(net, ring_net_id);

	/* A kernel socket may outlive the data of its namespace. */
	if (count && mine && check_net(net))
		atomic_long_add(count, &mine->unkept);
}

/* ---- readers ---- */

/* Copy a refusal; false if there is none, or it is being written. */
static bool refusal_copy(const struct refusal *refusal, struct refusal *copy)
{
	unsigned long state;

	do {
		/* Pairs with ring_end(). */
		state = smp_load_acquire(&refusal->state);
		if (!state || state & 1)
			return false;
		/* A handler may overwrite it meanwhile: */
		*copy = data_race(*refusal);
		/* ... then the state differs. */
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
 * ring_read() - copy the latest refusals
 * @net: the network namespace
 * @refusals: where to write them, oldest first; room for RING_SIZE
 *
 * Skips refusals that are being written.
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
 * ring_unkept() - how many refusals of a namespace there was no room for
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

/* Charge rings to their owners, and take back those beyond an owner's share. */
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
		/* Refusals that are being written at this moment are not counted. */
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
			/* A handler that takes it sees it zeroed. */
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

/* No handler writes to these rings any more. */
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
 * ring_init() - make the spare rings
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
 * ring_exit() - free all rings
 *
 * Context: process context, after all hooks and files are gone.
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
