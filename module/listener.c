// SPDX-License-Identifier: GPL-2.0-only
/*
 * The listeners, and what is noted of them.
 *
 * The kernel's listening hash is the list of listeners: it is walked under
 * its own bucket locks, as /proc/net/tcp does, and nothing mirrors it. What
 * the kernel does not remember stands in records (struct listener), in a hash
 * of our own by the socket's address.
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
 * A limit is changed by compare-and-swap on the socket's sk_max_ack_backlog,
 * which the kernel reads and writes without knowing of us, and only under the
 * lock of the record's bucket: from the value that is known to be there to
 * what is decided for the listener. Who decides is told by
 * listener_decide_by().
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), a bucket of records (raw, interrupts off), the
 * pool's (raw, interrupts off). Taken alone inside the first: the accept
 * queue's rskq_lock (sleeps on PREEMPT_RT, bottom halves off).
 */
#include <linux/hash.h>
#include <linux/in6.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "listener.h"
#include "socket.h"

#define BUCKET_BITS 13

/*
 * The pool is refilled when POOL_STEP records are missing, so 1,024 listen()
 * calls find one before any work item has had a chance to run.
 */
#define POOL_STEP 64
#define POOL_SIZE (1024 + POOL_STEP)

#define SWEEP_INTERVAL (30 * HZ)

struct bucket {
	raw_spinlock_t lock;	/* guards @records and what they hold */
	struct hlist_head records;
};

static struct bucket buckets[1 << BUCKET_BITS];
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

/* One sweep at a time; the number of the latest. */
static DEFINE_MUTEX(sweep_mutex);
static unsigned int sweeps;

static atomic_long_t unrecorded;

/*
 * Calls of listen() between entry and return. A slot is claimed on entry,
 * without a lock, and freed on return, under the lock of the record's bucket.
 * There are more than instances of the hook that claims them.
 */
struct listener_change {
	const struct sock *sk;	/* NULL where the slot is free */
	unsigned int granted;	/* what the kernel stores, or has stored */
};

#define CHANGE_BITS 10
static struct listener_change changes[1 << CHANGE_BITS];
static atomic_t changes_count;

/* Read with preemption off; a grace period ends the use of an earlier one. */
static listener_decide_t *decide;

static void upkeep(struct work_struct *work);
static void upkeep_soon(struct irq_work *work);
static void sweep_again(struct work_struct *work);

static struct workqueue_struct *workqueue;
static DECLARE_WORK(upkeep_work, upkeep);
static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);
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

/* Process context. A pool that can't be filled is tried again later. */
static void pool_fill(void)
{
	struct listener *listener;

	while (READ_ONCE(pool.count) < POOL_SIZE) {
		listener = kmem_cache_alloc(record_cache,
					    GFP_KERNEL | __GFP_NOWARN);
		if (!listener)
			return;
		pool_put(listener);
	}
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

static struct bucket *bucket_of(const struct sock *sk)
{
	return &buckets[hash_ptr((void *)sk, BUCKET_BITS)];
}

static bool is_record_of(const struct listener *listener,
			 const struct sock *sk, u64 cookie)
{
	return listener->sk == sk && listener->cookie == cookie &&
	       !READ_ONCE(listener->retired);
}

/* Preemption is off, which makes an RCU reader, or the bucket is locked. */
static struct listener *record_find(struct bucket *bucket,
				    const struct sock *sk, u64 cookie)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &bucket->records, node)
		if (is_record_of(listener, sk, cookie))
			return listener;
	return NULL;
}

/* The caller holds the bucket's lock. */
static struct listener *record_add(struct bucket *bucket,
				   const struct sock *sk, u64 cookie)
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

/*
 * Any context. Takes no lock: the record leaves its bucket when upkeep() gets
 * to it, and until then nobody finds it. One record is not worth a work item.
 */
static void record_retire(struct listener *listener)
{
	if (xchg(&listener->retired, 1))
		return;
	llist_add(&listener->idle, &retired);
	if (atomic_inc_return(&retired_count) >= POOL_STEP)
		irq_work_queue(&upkeep_irq_work);
}

static void record_unlink(struct listener *listener)
{
	struct bucket *bucket = bucket_of(listener->sk);
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
	pool_fill();
}

/* A work item can't be queued from a probe handler, an irq_work can. */
static void upkeep_soon(struct irq_work *work)
{
	queue_work(workqueue, &upkeep_work);
}

/* ---- limits ---- */

/* Whether a listen() is under way that stores @granted, or has just done so. */
static bool is_changing(const struct sock *sk, unsigned int granted)
{
	unsigned int i;

	if (!atomic_read(&changes_count))
		return false;
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		if (READ_ONCE(changes[i].sk) == sk &&
		    READ_ONCE(changes[i].granted) == granted)
			return true;
	return false;
}

/* Nobody decides: the kernel does. */
static bool decide_granted(const struct listen_call *call,
			   struct listener_decision *decision)
{
	if (!decision->serial)
		return false;
	memset(decision, 0, sizeof(*decision));
	decision->limit = call->granted;
	return true;
}

/* The limit is what @call left it at, and nobody has decided on it. */
static void record_call(struct listener *listener,
			const struct listen_call *call)
{
	listener->call = *call;
	memset(&listener->decision, 0, sizeof(listener->decision));
	listener->decision.limit = call->granted;
}

/* All that is known of a listen() that was not seen is what it granted. */
static void call_forget(struct listen_call *call, unsigned int granted)
{
	memset(call, 0, sizeof(*call));
	call->granted = granted;
	call->uid = INVALID_UID;
}

/*
 * A limit that is not the one which was decided on last is somebody else's: of
 * a listen() that was not seen, for one. It is left alone, until the rules
 * change.
 */
static noinline void record_replace(struct listener *listener,
				    unsigned int limit)
{
	u32 serial = listener->decision.serial;
	struct listen_call call;

	call_forget(&call, limit);
	record_call(listener, &call);
	listener->decision.serial = serial;
}

static void record_notice(struct listener *listener, const struct sock *sk)
{
	unsigned int limit = READ_ONCE(sk->sk_max_ack_backlog);

	if (limit != listener->decision.limit)
		record_replace(listener, limit);
}

/*
 * Decide on a listener's limit and put it in force. The caller holds the lock
 * of the record's bucket.
 *
 * The value that is to be replaced may be one that a listen() under way has
 * just stored, even where it is the number that was known to be there; and an
 * override that is the number which such a call stores could be taken for its
 * own afterwards. Then the limit stays as it is, and is decided on when that
 * call returns. Should we be gone by then, it stays as it should.
 *
 * Looking again behind the swap is for a call that has come since the first
 * look: its store comes after the claim of its slot.
 */
static void record_decide(struct listener *listener, struct sock *sk)
{
	listener_decide_t *by = READ_ONCE(decide);
	struct listener_decision decision = listener->decision;
	unsigned int limit = listener->decision.limit;

	if (by ? !by(sk, &listener->call, &decision) :
		 !decide_granted(&listener->call, &decision))
		return;
	if (decision.limit != limit) {
		if (is_changing(sk, limit) ||
		    (decision.limit != listener->call.granted &&
		     is_changing(sk, decision.limit)))
			return;
		if (cmpxchg(&sk->sk_max_ack_backlog, limit,
			    decision.limit) != limit) {
			record_notice(listener, sk);
			return;
		}
		if (is_changing(sk, limit)) {
			cmpxchg(&sk->sk_max_ack_backlog, decision.limit, limit);
			return;
		}
	}
	listener->decision = decision;
}

/* ---- what the hooks tell ---- */

/**
 * listener_lookup() - the record of what may be a listener
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, to be used as long as the caller is a reader, or NULL.
 */
struct listener *listener_lookup(const struct sock *sk, u64 cookie)
{
	return record_find(bucket_of(sk), sk, cookie);
}

/**
 * listener_call() - the latest listen() on a listener
 * @listener: its record; the caller is an RCU reader
 * @call: where to write it
 *
 * Context: process context.
 */
void listener_call(struct listener *listener, struct listen_call *call)
{
	struct bucket *bucket = bucket_of(listener->sk);
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	*call = listener->call;
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * listener_begin() - a socket has begun to listen
 * @sk: the socket, in the listening hash since a moment ago, locked by the
 *	caller of the function that is probed
 * @call: the listen() that did it
 *
 * Begins a new record, also where the socket has listened before. With the
 * pool empty there is none until a walk meets the listener.
 *
 * Context: preemption off, not in an NMI.
 */
void listener_begin(struct sock *sk, const struct listen_call *call)
{
	struct bucket *bucket = bucket_of(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_find(bucket, sk, cookie);
	if (listener)
		record_retire(listener);
	listener = record_add(bucket, sk, cookie);
	if (listener)
		record_call(listener, call);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * listener_change_begin() - a listen() is about to store its backlog
 * @sk: the socket
 * @granted: what it will store, if it gets that far
 *
 * Context: preemption off, an NMI too: takes no lock.
 * Return: what listener_change_end() wants; NULL if too many are under way.
 */
struct listener_change *listener_change_begin(const struct sock *sk,
					      unsigned int granted)
{
	unsigned int start = hash_ptr((void *)sk, CHANGE_BITS);
	struct listener_change *change;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		change = &changes[(start + i) % ARRAY_SIZE(changes)];
		if (READ_ONCE(change->sk) || cmpxchg(&change->sk, NULL, sk))
			continue;
		WRITE_ONCE(change->granted, granted);
		atomic_inc(&changes_count);
		/* is_changing() sees it before it sees the kernel's store. */
		smp_wmb();
		return change;
	}
	return NULL;
}

/**
 * listener_change_end() - a listen() has returned
 * @change: from listener_change_begin()
 * @sk: the socket
 * @call: the listen(), the first on this socket or a repeated one; NULL if it
 *	failed
 *
 * inet_listen() has let go of the socket when it returns. Another task's
 * listen() may have stored its backlog meanwhile: that one counts then, and
 * @call is forgotten. Or the socket listens no more.
 *
 * The slot is freed under the lock: before it, nobody may take what this call
 * has stored for something older; behind it, this call is known.
 *
 * Context: preemption off, not in an NMI.
 */
void listener_change_end(struct listener_change *change, struct sock *sk,
			 const struct listen_call *call)
{
	struct bucket *bucket = bucket_of(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	atomic_dec(&changes_count);
	/* Whoever claims the slot next writes behind all of this. */
	smp_store_release(&change->sk, NULL);

	listener = record_find(bucket, sk, cookie);
	if (call && READ_ONCE(sk->sk_max_ack_backlog) == call->granted) {
		if (!listener && inet_sk_state_load(sk) == TCP_LISTEN)
			listener = record_add(bucket, sk, cookie);
		if (listener)
			record_call(listener, call);
	}
	if (listener)
		record_decide(listener, sk);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/**
 * listener_end() - a socket has ceased to listen
 * @sk: the socket, out of the listening hash already
 *
 * Context: any, an NMI too: takes no lock. Preemption off.
 */
void listener_end(const struct sock *sk)
{
	struct listener *listener;

	listener = record_find(bucket_of(sk), sk, socket_cookie(sk));
	if (listener)
		record_retire(listener);
}

/* ---- the walk ---- */

/*
 * Fill the batch with the listeners of the locked bucket that come next. An
 * insertion sort: new listeners stand first in the kernel's chain, so cookies
 * mostly come falling, as the batch wants them.
 */
static void walk_fill(struct listener_walk *walk)
{
	unsigned int count = 0;
	struct sock *sk;
	unsigned int i;
	u64 cookie;

	walk->more = false;
	for (sk = bucket_first(walk->locked); sk; sk = bucket_next(sk)) {
		if (!listener_is_tcp(sk))
			continue;
		if (!net_eq(sock_net(sk), walk->net))
			continue;
		cookie = socket_cookie(sk);
		if (cookie < walk->cookie)
			continue;
		if (count < LISTENER_BATCH) {
			i = count++;
			for (; i && walk->batch[i - 1].cookie < cookie; i--)
				walk->batch[i] = walk->batch[i - 1];
		} else {
			walk->more = true;
			if (cookie > walk->batch[0].cookie)
				continue;
			for (i = 0; i + 1 < count &&
			     walk->batch[i + 1].cookie > cookie; i++)
				walk->batch[i] = walk->batch[i + 1];
		}
		walk->batch[i].sk = sk;
		walk->batch[i].cookie = cookie;
	}
	walk->count = count;
}

static struct sock *walk_take(struct listener_walk *walk)
{
	walk->cookie = walk->batch[--walk->count].cookie;
	return walk->batch[walk->count].sk;
}

/**
 * listener_walk_start() - begin or resume a walk
 * @walk: where; all zero but for @walk->net to begin
 *
 * Fills the pool first, so that whatever the walk meets can be annotated.
 *
 * Context: process context, may sleep. Returns a listener with its bucket
 * locked, until listener_walk_next() or listener_walk_stop().
 * Return: the first listener at or behind the place, NULL at the end.
 */
struct sock *listener_walk_start(struct listener_walk *walk)
{
	struct inet_hashinfo *hash = tcp_listening_hash();
	struct inet_listen_hashbucket *bucket;

	pool_fill();
	for (; walk->bucket <= hash->lhash2_mask; walk->bucket++) {
		bucket = &hash->lhash2[walk->bucket];
		if (!bucket_empty(bucket)) {
			spin_lock(&bucket->lock);
			__release(&bucket->lock); /* sparse: held for long */
			walk->locked = bucket;
			walk_fill(walk);
			if (walk->count)
				return walk_take(walk);
			listener_walk_stop(walk);
			cond_resched();
		}
		walk->cookie = 0;
	}
	return NULL;
}

/**
 * listener_walk_next() - go on with a walk
 * @walk: where; it has just returned a listener
 *
 * Context: process context. Lets go of the lock after LISTENER_BATCH
 * listeners and at the end of a bucket, and may sleep then.
 * Return: the next listener, NULL at the end.
 */
struct sock *listener_walk_next(struct listener_walk *walk)
{
	walk->cookie++;
	if (walk->count)
		return walk_take(walk);

	listener_walk_stop(walk);
	if (!walk->more) {
		walk->bucket++;
		walk->cookie = 0;
	}
	cond_resched();
	return listener_walk_start(walk);
}

/**
 * listener_walk_stop() - let go of the lock that a walk holds, if it does
 * @walk: where; listener_walk_start() resumes at the listener that was
 *	returned last, or behind it where it is gone
 *
 * Context: process context.
 */
void listener_walk_stop(struct listener_walk *walk)
{
	if (walk->locked) {
		__acquire(&walk->locked->lock);
		spin_unlock(&walk->locked->lock);
	}
	walk->locked = NULL;
	walk->count = 0;
}

/* Whether a system call has the socket, as far as that can be told. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

/* A record for a listener whose listen() was not seen. */
static noinline struct listener *record_found(struct bucket *bucket,
					      struct sock *sk, u64 cookie)
{
	struct listener *listener = record_add(bucket, sk, cookie);
	struct listen_call call;

	if (!listener)
		return NULL;
	atomic_long_inc(&unrecorded);
	call_forget(&call, READ_ONCE(sk->sk_max_ack_backlog));
	record_call(listener, &call);
	return listener;
}

/*
 * A walk has met a listener, whose bucket in the listening hash is locked.
 * Find its record, or annotate it where its listen() was not seen. The caller
 * holds @bucket's lock.
 *
 * Whoever is inside listen() owns the socket from before it enters the hash
 * until after its record is made. So a socket that is owned is left alone:
 * its record may be on the way. Where nobody owns it, the record was made in
 * an earlier critical section of @bucket's.
 *
 * No limit is changed without a record, which remembers what to put back.
 */
static struct listener *record_meet(struct bucket *bucket, struct sock *sk,
				    u64 cookie)
{
	bool owned = is_owned(sk);
	struct listener *listener;

	listener = record_find(bucket, sk, cookie);
	if (!listener && !owned)
		listener = record_found(bucket, sk, cookie);
	if (!listener)
		return NULL;
	listener->seen = READ_ONCE(sweeps);
	record_notice(listener, sk);
	record_decide(listener, sk);
	return listener;
}

static s64 acceptq_oldest_ms(struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	const struct request_sock *req;
	s64 ms = -1;

	spin_lock_bh(&queue->rskq_lock);
	req = queue->rskq_accept_head;
	if (req)
		ms = listener_waited_ms(req->sk);
	spin_unlock_bh(&queue->rskq_lock);
	return ms;
}

/*
 * What is counted, copied word by word: handlers go on counting. No peak is
 * below what somebody was shown. The caller holds the record's bucket.
 */
static void traffic_read(struct listener *listener,
			 struct listener_view *view)
{
	struct listener_traffic *traffic = &listener->traffic;
	unsigned long overflowed = READ_ONCE(traffic->overflowed);
	struct listener_waits *waits = &listener->waits;
	unsigned long accepts = 0;
	unsigned int i;
	long age;

	view->since_ms = jiffies64_to_msecs(get_jiffies_64() - listener->since);
	for (i = 0; i < TRAFFIC_ACCEPTS; i++)
		view->counts[i] = atomic_long_read(&traffic->counts[i]);
	/* Readers of many listeners notice. */
#pragma GCC unroll 16
	for (i = 0; i < TRAFFIC_WAITS; i++)
		accepts += atomic_long_read(&waits->counts[i]);
	view->counts[TRAFFIC_ACCEPTS] = accepts;

	/* Set again at this very moment, perhaps. */
	age = max_t(long, jiffies - overflowed, 0);
	view->overflowed_ms = overflowed ? (s64)jiffies64_to_msecs(age) : -1;

	listener_raise(&traffic->acceptq_peak, view->acceptq);
	listener_raise(&traffic->synq_peak, view->synq);
	view->acceptq_peak = READ_ONCE(traffic->acceptq_peak);
	view->synq_peak = READ_ONCE(traffic->synq_peak);
}

/**
 * listener_read() - what there is to know of a listener now
 * @sk: the listener, just returned by a walk
 * @view: where to write it
 *
 * Context: process context, the walk's lock held.
 */
void listener_read(struct sock *sk, struct listener_view *view)
{
	const struct request_sock_queue *queue =
		&inet_csk(sk)->icsk_accept_queue;
	struct bucket *bucket = bucket_of(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, cookie);
	/* With a record, each of its fields is written below. */
	if (!listener)
		memset(view, 0, sizeof(*view));

	view->cookie = cookie;
	view->acceptq = READ_ONCE(sk->sk_ack_backlog);
	view->synq = synq_length(sk);
	view->synq_young = max(reqsk_queue_len_young(queue), 0);
	view->drops = sk_drops_read(sk);
	view->limit = READ_ONCE(sk->sk_max_ack_backlog);
	if (listener && listener->decision.limit == view->limit) {
		view->call = listener->call;
		view->rule = listener->decision.rule;
	} else {
		/* A limit that is not known is what the kernel just stored. */
		call_forget(&view->call, view->limit);
		view->rule = (struct selector) { };
	}
	view->recorded = listener;
	if (listener)
		traffic_read(listener, view);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);

	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
}

/**
 * listener_read_waits() - how long connections have waited for accept()
 * @sk: the listener, just returned by a walk
 * @counts: where to write how many have, by &struct listener_waits
 * @ms: where to write the sum
 *
 * Context: process context, the walk's lock held.
 * Return: false where nothing is noted of the listener, nor written.
 */
bool listener_read_waits(const struct sock *sk,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms)
{
	const struct listener *listener;
	unsigned int i;

	rcu_read_lock();
	listener = listener_lookup(sk, socket_cookie(sk));
	if (listener) {
		for (i = 0; i < TRAFFIC_WAITS; i++)
			counts[i] = atomic_long_read(&listener->waits.counts[i]);
		*ms = atomic_long_read(&listener->waits.ms);
	}
	rcu_read_unlock();
	return listener;
}

/**
 * listener_reset_peaks() - begin peaks anew
 * @net: whose listeners'
 *
 * Context: process context, may sleep.
 */
void listener_reset_peaks(struct net *net)
{
	struct listener_walk walk = { .net = net };
	struct listener *listener;
	struct sock *sk;

	for (sk = listener_walk_start(&walk); sk;
	     sk = listener_walk_next(&walk)) {
		rcu_read_lock();
		listener = listener_lookup(sk, socket_cookie(sk));
		if (listener) {
			WRITE_ONCE(listener->traffic.acceptq_peak,
				   READ_ONCE(sk->sk_ack_backlog));
			WRITE_ONCE(listener->traffic.synq_peak,
				   synq_length(sk));
		}
		rcu_read_unlock();
	}
}

/**
 * listener_unrecorded() - how many listeners walks have met without a record
 *
 * Those that listened before the load do not count.
 *
 * Context: any.
 */
unsigned long listener_unrecorded(void)
{
	return atomic_long_read(&unrecorded);
}

/* ---- the sweep ---- */

/*
 * Retire the records that the latest sweep has not met. One that only the
 * sweep before has met is spared: it may be that of a listener which entered
 * its bucket behind the walk.
 */
static void drop_unseen(void)
{
	struct listener *listener;
	struct bucket *bucket;
	unsigned long flags;

	for (bucket = buckets; bucket < buckets + ARRAY_SIZE(buckets);
	     bucket++) {
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

/*
 * Annotate those of a bucket of the listening hash that have no record. A
 * single pass, however many there are: an SO_REUSEPORT group is one bucket,
 * and anybody can make one of thousands. Returns whether the pool ran dry.
 */
static bool sweep_bucket(struct inet_listen_hashbucket *listeners)
{
	struct bucket *bucket;
	unsigned long flags;
	bool dry = false;
	struct sock *sk;

	spin_lock(&listeners->lock);
	for (sk = bucket_first(listeners); sk; sk = bucket_next(sk)) {
		if (!listener_is_tcp(sk))
			continue;
		bucket = bucket_of(sk);
		raw_spin_lock_irqsave(&bucket->lock, flags);
		if (!record_meet(bucket, sk, socket_cookie(sk)) && !is_owned(sk))
			dry = true;
		raw_spin_unlock_irqrestore(&bucket->lock, flags);
	}
	spin_unlock(&listeners->lock);
	return dry;
}

/**
 * listener_sweep() - make records and limits agree with the listening hash
 *
 * Annotates the listeners of all namespaces that have no record, decides on
 * the limits of those whose rules have changed, and retires the records of
 * sockets that do not listen any more, whatever the probes have missed. Once
 * begun, sweeps go on by themselves.
 *
 * Context: process context, may sleep.
 */
void listener_sweep(void)
{
	struct inet_hashinfo *hash = tcp_listening_hash();
	struct inet_listen_hashbucket *listeners;
	unsigned int i;

	mutex_lock(&sweep_mutex);
	WRITE_ONCE(sweeps, sweeps + 1);
	/*
	 * Rules that were published are seen by whoever enters a bucket that
	 * is found empty below.
	 */
	smp_mb();
	for (i = 0; i <= hash->lhash2_mask; i++) {
		listeners = &hash->lhash2[i];
		if (bucket_empty(listeners))
			continue;
		while (sweep_bucket(listeners)) {
			pool_fill();
			if (!READ_ONCE(pool.count))
				break;	/* no memory: the next sweep */
			cond_resched();
		}
		cond_resched();
	}
	drop_unseen();
	mutex_unlock(&sweep_mutex);
	queue_delayed_work(workqueue, &sweep_work, SWEEP_INTERVAL);
}

static void sweep_again(struct work_struct *work)
{
	listener_sweep();
}

/**
 * listener_decide_by() - who decides on the listeners' limits
 * @by: the function, or NULL: each gets what the kernel alone would give it
 *
 * When it returns, each listener's limit is decided on anew. A listen() that
 * is under way is decided on when it returns. What was met without a record
 * until somebody decides has not been missed: it was there before the hooks.
 *
 * Context: process context, sleeps for a grace period.
 */
void listener_decide_by(listener_decide_t *by)
{
	WRITE_ONCE(decide, by);
	synchronize_rcu();
	listener_sweep();
	if (by)
		atomic_long_set(&unrecorded, 0);
}

/* ---- init and exit ---- */

/**
 * listener_init() - make room for records
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int listener_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		raw_spin_lock_init(&buckets[i].lock);
	init_irq_work(&upkeep_irq_work, upkeep_soon);

	record_cache = kmem_cache_create("listenq_record",
					 sizeof(struct listener),
					 __alignof__(struct listener), 0, NULL);
	if (!record_cache)
		return -ENOMEM;
	workqueue = alloc_workqueue("listenq", WQ_UNBOUND, 0);
	if (!workqueue)
		goto destroy_cache;
	pool_fill();
	return 0;

destroy_cache:
	kmem_cache_destroy(record_cache);
	return -ENOMEM;
}

/**
 * listener_exit() - free all records
 *
 * Context: process context, when no hook and no file can call in any more.
 */
void listener_exit(void)
{
	struct listener *listener;
	struct hlist_node *next;
	unsigned int i;

	cancel_delayed_work_sync(&sweep_work);
	irq_work_sync(&upkeep_irq_work);
	destroy_workqueue(workqueue);
	rcu_barrier();

	/* The retired that upkeep() has not got to are in their buckets too. */
	for (i = 0; i < ARRAY_SIZE(buckets); i++)
		hlist_for_each_entry_safe(listener, next, &buckets[i].records,
					  node)
			kmem_cache_free(record_cache, listener);
	pool_drain();
	kmem_cache_destroy(record_cache);
}
