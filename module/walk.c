// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over the kernel's tables of listeners, under the kernel's own bucket locks,
 * as /proc/net/tcp does; and one of these tables, the listening hash.
 *
 * A walk takes in some listeners of a bucket at a time and releases the bucket's
 * lock before it looks at them, as an RCU reader. A bucket may be a long chain,
 * since an SO_REUSEPORT group is in one bucket and any user can make one of
 * thousands. The lock is held for one pass over the chain, so a pass does as little
 * as possible, and there are few: each takes the listeners in a window of cookies
 * that should just fill the batch. Since the place in the walk is a cookie,
 * listeners that come or go do not shift it.
 *
 * In process context. A bucket's lock is a spinlock_t taken in process context only;
 * the only lock taken inside is that of get_random_u32().
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "pass.h"
#include "socket.h"
#include "walk.h"

static void walk_turn(struct listener_walk *walk, unsigned int bucket)
{
	walk->bucket = bucket;
	walk->cookie = 1;
	walk->end = U64_MAX;
	walk->length = 0;
	walk->held = 0;
}

/*
 * The end of a window that should hold @most listeners, judging by the window
 * before. If that held few, it tells little: then the window has no end, and the
 * pass takes the first @most. So of any two passes in a row, one takes at least half
 * of @most.
 */
static u64 walk_last(const struct listener_walk *walk, unsigned int most)
{
	u64 width;

	if (!walk->held || walk->span > U64_MAX / most)
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
 * Move the @most listeners with the smallest cookies to the front of the full batch,
 * and the largest of these to the end of this part.
 *
 * The pivots are random (C. A. R. Hoare's FIND), so that no user can slow this down
 * by the order of a chain. Only the first is not: most chains are sorted, and there
 * the middle is right, or next to it.
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

/**
 * walk_overflow() - make room in a batch that is full before the pass is over
 * @walk: the walk
 * @most: keep this many listeners, those with the smallest cookies
 *
 * Context: the bucket's lock held.
 * Return: the largest cookie kept.
 */
noinline u64 walk_overflow(struct listener_walk *walk, unsigned int most)
{
	unsigned int i;

	walk_part(walk, most);
	for (i = most; i < 2 * most; i++)
		walk_put_off(walk, batch_cookie(walk, i));
	return batch_cookie(walk, most - 1);
}

/**
 * walk_make_cookie() - give a cookie to a listener without one
 * @sk: the listener
 *
 * Out of line, to keep the registers that this rare call needs out of the loop.
 *
 * Context: the bucket's lock held.
 * Return: the cookie.
 */
noinline u64 walk_make_cookie(const struct sock *sk)
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
 * Sort the batch. Most are sorted already, in one direction or the other: the kernel
 * puts new listeners first in the chain (members of IPv6 SO_REUSEPORT groups last).
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

/* Release the listeners in the batch from @first on, before @end. */
static void walk_release(const struct listener_walk *walk, unsigned int first,
			 unsigned int end)
{
	if (!walk->table->release)
		return;
	for (; first < end; first++)
		walk->table->release(walk->batch[first]);
}

/*
 * Take in the listeners of a bucket in one window of cookies: all, or the first
 * @most.
 *
 * The first pass over a bucket finds the largest cookie. Listeners that come later
 * get larger ones and are left out, or a walk might never end. They may be: they
 * enter the bucket after that pass has held its lock, so their hooks see whatever
 * this walk was begun for. Two kinds of cookies break the order, and no user can
 * choose them: a CPU takes cookies in batches, so a later listener may have a
 * smaller one and is met; and cookies made inside an interrupt count down from
 * U64_MAX, so that a bucket with one leaves no listener out.
 */
static void walk_window(struct listener_walk *walk, unsigned int most)
{
	u64 first = walk->cookie, last = walk_last(walk, most);
	unsigned int count;

	walk->next = U64_MAX;
	walk->top = 0;
	count = walk->table->pass(walk, most, &last, walk->end == U64_MAX);

	walk->count = count;
	if (count > 1)
		walk_sort(walk);
	if (count > most) {
		walk_put_off(walk, batch_cookie(walk, most));
		walk_put_off(walk, batch_cookie(walk, count - 1));
		last = batch_cookie(walk, most - 1);
		walk_release(walk, most, count);
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
 * listener_walk_ends() - whether a walk has ended
 * @walk: the walk
 *
 * Context: process context.
 */
bool listener_walk_ends(const struct listener_walk *walk)
{
	return walk->bucket > walk->last;
}

/**
 * listener_walk_take() - take in the next listeners
 * @walk: the walk
 * @most: how many at most, not 0; half of @walk->room is the upper bound
 *
 * There may be none although the walk has not ended. The listeners were in the table
 * when this was called, and may have left it since; their memory lasts until
 * listener_walk_leave(), as long as the caller is an RCU reader.
 *
 * Context: process context, an RCU reader.
 */
void listener_walk_take(struct listener_walk *walk, unsigned int most)
{
	unsigned int bucket = walk->table->next(walk, walk->bucket);

	if (bucket != walk->bucket)
		walk_turn(walk, bucket);
	walk_window(walk, min(most, walk->room / 2));
}

/**
 * listener_walk_begin() - begin a walk
 * @walk: the walk
 * @table: the table to walk over
 * @net: whose listeners to take in; NULL: all
 * @batch: where to put listeners
 * @room: size of @batch; even, not 0
 *
 * Context: any.
 */
void listener_walk_begin(struct listener_walk *walk,
			 const struct walk_table *table, struct net *net,
			 struct sock **batch, unsigned int room)
{
	walk->table = table;
	walk->last = table->last();
	walk->batch = batch;
	walk->room = room;
	walk->net = net;
	walk->count = 0;
	walk_turn(walk, 0);
}

/**
 * listener_walk_leave() - release the listeners taken in, and go on
 * @walk: the walk
 * @done: how many of them are done; the others will be taken in again
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
		walk_turn(walk, walk->bucket + 1);
	walk_release(walk, 0, walk->count);
	walk->count = 0;
}

/* ---- the listening hash ---- */

static unsigned int hash_last(void)
{
	return tcp_listening_hash()->lhash2_mask;
}

static unsigned int hash_next(const struct listener_walk *walk,
			      unsigned int bucket)
{
	const struct inet_hashinfo *hash = tcp_listening_hash();

	while (bucket < hash->lhash2_mask && bucket_empty(&hash->lhash2[bucket]))
		bucket++;
	return bucket;
}

static bool is_wanted(const struct listener_walk *walk, const struct sock *sk)
{
	return listener_is_tcp(sk) &&
	       (!walk->net || net_eq(sock_net(sk), walk->net));
}

static struct sock *next_in_bucket(const struct listener_walk *walk,
				   struct sock *sk)
{
	return bucket_next(sk);
}

/* The memory of a listening socket is freed by RCU (SOCK_RCU_FREE). */
static unsigned int hash_pass(struct listener_walk *walk, unsigned int most,
			      u64 *end, bool all)
{
	struct inet_listen_hashbucket *bucket =
		&tcp_listening_hash()->lhash2[walk->bucket];
	unsigned int count;

	spin_lock(&bucket->lock);
	if (all)
		count = walk_chain(walk, bucket_first(bucket), next_in_bucket,
				   is_wanted, most, end, true);
	else
		count = walk_chain(walk, bucket_first(bucket), next_in_bucket,
				   is_wanted, most, end, false);
	spin_unlock(&bucket->lock);
	return count;
}

const struct walk_table tcp_table = {
	.last	= hash_last,
	.next	= hash_next,
	.pass	= hash_pass,
};
