// SPDX-License-Identifier: GPL-2.0-only
/*
 * The listeners, and what is noted of them.
 *
 * The kernel's listening hash is the list of listeners: it is walked under
 * its own bucket locks, as /proc/net/tcp does, and nothing mirrors it. What
 * the kernel does not remember stands in records (record.c).
 *
 * A walk takes in some listeners of a bucket at a time, and looks at them when
 * it has let go of the bucket's lock: it is a reader under RCU meanwhile. A
 * bucket may be a long chain: an SO_REUSEPORT group is in one, and anybody can
 * make one of thousands. So a pass over it, which is what the lock is held for,
 * does as little as can be, and there are about as few passes as listeners fit
 * into the batch: each takes those in a window of cookies, which is sized to
 * hold about that many. Because the place is a cookie, listeners that come or
 * go do not shift the others.
 *
 * Locks, innermost last: a bucket of the kernel's listening hash (spinlock_t,
 * process context only), held for a pass alone; an accept queue's rskq_lock
 * (sleeps on PREEMPT_RT, bottom halves off), alone; a bucket of records (raw,
 * interrupts off); the pool's (raw, interrupts off). The first three are never
 * held together.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "limit.h"
#include "listener.h"
#include "record.h"
#include "socket.h"

#define SWEEP_INTERVAL (30 * HZ)

static atomic_long_t unrecorded;

static void sweep_again(struct work_struct *work);

static DECLARE_DEFERRABLE_WORK(sweep_work, sweep_again);

/* ---- the walk ---- */

static void walk_turn(struct listener_walk *walk)
{
	walk->bucket++;
	walk->cookie = 1;
	walk->end = U64_MAX;
	walk->held = 0;
}

/*
 * The end of the window that is to hold @most listeners, going by how many the
 * one before has held. Where those were few, that says little: there is none
 * then, so that the pass takes @most, if there are as many. So of two passes in
 * a row one does, whatever cookies there are.
 */
static u64 walk_last(const struct listener_walk *walk, unsigned int most)
{
	u64 width;

	if (!walk->held || walk->span > U64_MAX / LISTENER_BATCH)
		return walk->end;
	width = max(mul_u64_u32_div(walk->span, most, walk->held), 1ULL);
	if (width > walk->end - walk->cookie)
		return walk->end;
	return walk->cookie + width - 1;
}

static u64 batch_cookie(const struct listener_walk *walk, unsigned int i)
{
	return atomic64_read(&walk->batch[i]->sk_cookie);
}

/*
 * Move the @most listeners with the smallest cookies to the front of the batch,
 * which holds twice as many, the last of them to the end of these.
 *
 * Somebody who orders a chain of thousands is to gain nothing by it, so the
 * pivots are random (C. A. R. Hoare's FIND). But the first: in a chain that is
 * sorted, as most are, the middle is the right one, or next to it.
 */
static void walk_part(struct listener_walk *walk, unsigned int most)
{
	struct sock **batch = walk->batch;
	int low = 0, high = 2 * most - 1;
	int at = most, i, j;
	u64 pivot;

	while (low < high) {
		pivot = batch_cookie(walk, at);
		i = low;
		j = high;
		do {
			while (batch_cookie(walk, i) < pivot)
				i++;
			while (batch_cookie(walk, j) > pivot)
				j--;
			if (i <= j) {
				swap(batch[i], batch[j]);
				i++;
				j--;
			}
		} while (i <= j);
		if (j >= (int)most - 1)
			high = j;
		else if (i <= (int)most - 1)
			low = i;
		else
			break;
		at = low + reciprocal_scale(get_random_u32(), high - low + 1);
	}
}

/* The listener with this cookie is for a pass behind this one. */
static void walk_put_off(struct listener_walk *walk, u64 cookie)
{
	walk->next = min(walk->next, cookie);
	walk->top = max(walk->top, cookie);
}

/*
 * The batch is full, the pass is not over: only @most of it can be among those
 * that the pass takes. Returns the largest cookie of these.
 */
static noinline u64 walk_overflow(struct listener_walk *walk, unsigned int most)
{
	unsigned int i;

	walk_part(walk, most);
	for (i = most; i < 2 * most; i++)
		walk_put_off(walk, batch_cookie(walk, i));
	return batch_cookie(walk, most - 1);
}

/* It is not for the loop that walks a bucket to make room for this. */
static noinline u64 make_cookie(const struct sock *sk)
{
	return socket_cookie(sk);
}

static int by_cookie(const void *a, const void *b)
{
	const struct sock *const *x = a, *const *y = b;
	u64 cookie = atomic64_read(&(*x)->sk_cookie);
	u64 other = atomic64_read(&(*y)->sk_cookie);

	return cookie < other ? -1 : cookie > other;
}

/*
 * Sort the batch. New listeners stand first in the kernel's chain (members of
 * IPv6's SO_REUSEPORT groups last), so it mostly is sorted, one way or the
 * other.
 */
static void walk_sort(struct listener_walk *walk)
{
	unsigned int last = walk->count - 1;
	unsigned int i;

	if (batch_cookie(walk, 0) > batch_cookie(walk, last))
		for (i = 0; i < walk->count / 2; i++)
			swap(walk->batch[i], walk->batch[last - i]);
	for (i = 0; i < last; i++) {
		if (batch_cookie(walk, i) < batch_cookie(walk, i + 1))
			continue;
		sort(walk->batch, walk->count, sizeof(*walk->batch), by_cookie,
		     NULL);
		break;
	}
}

/*
 * Take in the listeners of a bucket in one window of cookies: all of them, or
 * the first @most. Others wait for the lock meanwhile, so for those outside of
 * the window there is nothing to it but to compare cookies.
 *
 * The first pass over a bucket sees all who are there. Whoever comes later,
 * with a larger cookie than any of these, is left out: there might be no end
 * to them. That pass has had the lock before they took it, so the hooks that
 * they met know what this walk was begun for.
 */
static void walk_window(struct listener_walk *walk,
			struct inet_listen_hashbucket *bucket,
			unsigned int most)
{
	u64 first = walk->cookie, last = walk_last(walk, most);
	u64 next = U64_MAX, top = 0, cookie;
	unsigned int count = 0;
	struct sock *sk;

	spin_lock(&bucket->lock);
	for (sk = bucket_first(bucket); sk; sk = bucket_next(sk)) {
		cookie = atomic64_read(&sk->sk_cookie);
		if (cookie < first) {
			if (likely(cookie))
				continue;
			cookie = make_cookie(sk);
			if (cookie < first)
				continue;
		}
		if (cookie > last) {
			if (cookie < next)
				next = cookie;
			if (cookie > top)
				top = cookie;
			continue;
		}
		if (!listener_is_tcp(sk) ||
		    (walk->net && !net_eq(sock_net(sk), walk->net)))
			continue;
		walk->batch[count++] = sk;
		if (unlikely(count == 2 * most)) {
			last = walk_overflow(walk, most);
			count = most;
		}
	}
	spin_unlock(&bucket->lock);

	if (top) {
		walk_put_off(walk, next);
		walk_put_off(walk, top);
	}
	walk->count = count;
	if (count > 1)
		walk_sort(walk);
	if (count > most) {
		walk_put_off(walk, batch_cookie(walk, most));
		walk_put_off(walk, batch_cookie(walk, count - 1));
		last = batch_cookie(walk, most - 1);
		walk->count = most;
	}
	walk->span = last - first + 1;
	walk->held = walk->count < most / 2 ? 0 : walk->count;

	if (walk->end == U64_MAX && walk->top)
		walk->end = walk->top;
	else if (walk->end == U64_MAX && walk->count)
		walk->end = batch_cookie(walk, walk->count - 1);
	walk->more = walk->top && walk->next <= walk->end;
}

/**
 * listener_walk_ends() - whether a walk is at its end
 * @walk: where
 *
 * Context: process context.
 */
bool listener_walk_ends(const struct listener_walk *walk)
{
	return walk->bucket > tcp_listening_hash()->lhash2_mask;
}

/**
 * listener_walk_take() - take in the next listeners
 * @walk: where
 * @most: how many, at most, not 0; LISTENER_BATCH are the most there can be
 *
 * There may be none although the walk does not end here. They were in the
 * listening hash when this was called, and may have left it by now; their
 * memory lasts as long as the RCU reader does, since that of a socket which
 * listens is freed by RCU (SOCK_RCU_FREE).
 *
 * Context: process context, an RCU reader.
 */
void listener_walk_take(struct listener_walk *walk, unsigned int most)
{
	struct inet_hashinfo *hash = tcp_listening_hash();

	walk->count = 0;
	walk->more = false;
	walk->next = U64_MAX;
	walk->top = 0;
	while (bucket_empty(&hash->lhash2[walk->bucket])) {
		if (walk->bucket == hash->lhash2_mask)
			return;
		walk_turn(walk);
	}
	walk_window(walk, &hash->lhash2[walk->bucket],
		    min_t(unsigned int, most, LISTENER_BATCH));
}

/**
 * listener_walk_begin() - begin a walk
 * @walk: where
 * @net: whose listeners; NULL: everybody's
 *
 * Context: any.
 */
void listener_walk_begin(struct listener_walk *walk, struct net *net)
{
	walk->net = net;
	walk->bucket = 0;
	walk->cookie = 1;
	walk->end = U64_MAX;
	walk->held = 0;
	walk->count = 0;
}

/**
 * listener_walk_leave() - go on with a walk
 * @walk: where
 * @done: so many of those taken in are done; the others come again
 *
 * Context: any.
 */
void listener_walk_leave(struct listener_walk *walk, unsigned int done)
{
	if (done < walk->count)
		walk->cookie = batch_cookie(walk, done);
	else if (walk->more)
		walk->cookie = walk->next;
	else
		walk_turn(walk);
}

/* ---- what is known of a listener ---- */

/* Whether a system call has the socket, as far as that can be told. */
static bool is_owned(const struct sock *sk)
{
	/* A stale answer is either "owned" or as good as the right one. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

/* Whether a listener that a walk took in listens, perhaps again. */
static bool is_there(const struct sock *sk)
{
	return inet_sk_state_load(sk) == TCP_LISTEN &&
	       !hlist_unhashed_lockless(&sk->sk_node);
}

/* A record for a listener whose listen() was not seen. */
static noinline struct listener *record_found(struct record_bucket *bucket,
					      struct sock *sk, u64 cookie,
					      bool *dry)
{
	struct listener *listener = record_add(bucket, sk, cookie);
	struct listen_call call;

	if (!listener) {
		*dry = true;
		return NULL;
	}
	listen_call_forget(&call, READ_ONCE(sk->sk_max_ack_backlog));
	record_set_call(listener, &call);

	/* It may have stopped, and its end looked for a record, before this. */
	smp_mb();
	if (!is_there(sk)) {
		record_retire(listener);
		return NULL;
	}
	atomic_long_inc(&unrecorded);
	return listener;
}

/*
 * A walk has met a listener: find its record, or annotate it where its listen()
 * was not seen. The caller holds @bucket's lock.
 *
 * Whoever is inside listen() owns the socket from before it enters the hash
 * until after its record is made, under @bucket's lock. So a socket without a
 * record that is owned is left alone: its record may be on the way. So is one
 * that has left the hash: its record went behind that. The order of the three
 * questions matters.
 *
 * No limit is changed without a record, which remembers what to put back.
 *
 * Returns NULL where there is none; @dry says whether the pool was to blame.
 */
static struct listener *record_meet(struct record_bucket *bucket,
				    struct sock *sk, u64 cookie, bool *dry)
{
	struct listener *listener = record_find(bucket, sk, cookie);

	if (unlikely(!listener)) {
		if (!is_there(sk) || is_owned(sk))
			return NULL;
		listener = record_found(bucket, sk, cookie, dry);
		if (!listener)
			return NULL;
	}
	record_met(listener);
	limit_decide(listener, sk);
	return listener;
}

static s64 acceptq_oldest_ms(struct sock *sk)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	const struct request_sock *req;
	s64 ms = -1;

	if (!acceptq_lock_lasts())
		return ms;
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

	record_raise(&traffic->acceptq_peak, view->acceptq);
	record_raise(&traffic->synq_peak, view->synq);
	view->acceptq_peak = READ_ONCE(traffic->acceptq_peak);
	view->synq_peak = READ_ONCE(traffic->synq_peak);
}

/**
 * listener_read() - what there is to know of a listener now
 * @sk: the listener, taken in by a walk
 * @view: where to write it
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_read(struct sock *sk, struct listener_view *view)
{
	const struct request_sock_queue *queue =
		&inet_csk(sk)->icsk_accept_queue;
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;
	bool dry;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	listener = record_meet(bucket, sk, cookie, &dry);
	/* With a record, each of its fields is written below. */
	if (!listener) {
		memset(view, 0, sizeof(*view));
		listener_local(sk, &view->local);
	}
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
		listen_call_forget(&view->call, view->limit);
		view->rule = (struct selector) { };
	}
	view->record = listener;
	if (listener)
		traffic_read(listener, view);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);

	view->oldest_ms = view->acceptq ? acceptq_oldest_ms(sk) : -1;
}

/**
 * listener_read_waits() - how long connections have waited for accept()
 * @view: of the listener, with a record
 * @counts: where to write how many have, by &struct listener_waits
 * @ms: where to write the sum
 *
 * Context: process context, the RCU reader that the walk was in.
 */
void listener_read_waits(const struct listener_view *view,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms)
{
	const struct listener_waits *waits = &view->record->waits;
	unsigned int i;

	for (i = 0; i < TRAFFIC_WAITS; i++)
		counts[i] = atomic_long_read(&waits->counts[i]);
	*ms = atomic_long_read(&waits->ms);
}

/**
 * listener_is_same() - whether what was read of a listener is true
 * @sk: the listener, taken in by a walk
 * @view: what listener_read() has written; other fields of @sk were read behind
 *	that
 *
 * All of it is where the listener listens, and has listened since. What rows
 * show is taken from a socket when it has left the listening hash; one that is
 * there again, elsewhere perhaps, has lost its record in between. Without a
 * record, the place tells, as far as it can.
 *
 * Context: process context, the RCU reader that the walk was in.
 */
bool listener_is_same(const struct sock *sk, const struct listener_view *view)
{
	struct sockaddr_in6 local;

	/* Whoever takes something from a socket has unhashed it before. */
	smp_rmb();
	if (!is_there(sk))
		return false;
	/* Whoever hashes it again has retired its record before. */
	smp_rmb();
	if (likely(view->record))
		return !record_is_retired(view->record);
	listener_local(sk, &local);
	return !memcmp(&local, &view->local, sizeof(local));
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
 * listener_reset_peaks() - begin peaks anew
 * @net: whose listeners'
 *
 * Whoever made the namespace may do this. So nobody waits for it but who does:
 * it takes no lock for longer than a pass, and its memory is the caller's.
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int listener_reset_peaks(struct net *net)
{
	struct listener_walk *walk;
	unsigned int i;

	walk = kmalloc(sizeof(*walk), GFP_KERNEL_ACCOUNT);
	if (!walk)
		return -ENOMEM;
	listener_walk_begin(walk, net);
	while (!listener_walk_ends(walk)) {
		rcu_read_lock();
		listener_walk_take(walk, LISTENER_BATCH);
		for (i = 0; i < walk->count; i++)
			reset_peaks(walk->batch[i]);
		listener_walk_leave(walk, walk->count);
		rcu_read_unlock();
		cond_resched();
	}
	kfree(walk);
	return 0;
}

/* Returns whether the pool ran dry before. */
static bool sweep_listener(struct sock *sk)
{
	struct record_bucket *bucket = record_bucket(sk);
	unsigned long flags;
	bool dry = false;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	record_meet(bucket, sk, socket_cookie(sk), &dry);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
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
	/* One at a time: sweeps are numbered, and a place is large. */
	static DEFINE_MUTEX(sweep_mutex);
	static struct listener_walk walk;
	bool memory = true;
	unsigned int i;

	mutex_lock(&sweep_mutex);
	listener_walk_begin(&walk, NULL);
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
		rcu_read_lock();
		listener_walk_take(&walk, LISTENER_BATCH);
		for (i = 0; i < walk.count; i++)
			if (sweep_listener(walk.batch[i]) && memory)
				break;
		listener_walk_leave(&walk, i);
		rcu_read_unlock();
		cond_resched();
	}
	record_sweep_end();
	mutex_unlock(&sweep_mutex);
	queue_delayed_work(record_workqueue, &sweep_work, SWEEP_INTERVAL);
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
void listener_decide_by(limit_decide_t *by)
{
	limit_decide_by(by);
	listener_sweep();
	if (by)
		atomic_long_set(&unrecorded, 0);
}

/**
 * listener_exit() - sweep no more
 *
 * Context: process context, when no file can call in any more.
 */
void listener_exit(void)
{
	cancel_delayed_work_sync(&sweep_work);
}
