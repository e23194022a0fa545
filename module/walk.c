// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over the kernel's tables of listeners, under their own bucket locks, as
 * /proc/net/tcp does; and the listening hash, which is one of them.
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
 * In process context. A bucket's lock is a spinlock_t that is only taken there;
 * nothing else is locked under it, but for what get_random_u32() takes.
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
 * The end of the window that is to hold @most listeners, going by how many the
 * one before has held. Where those were few, that says little: there is none
 * then, so that the pass takes @most, if there are as many. So of two passes in
 * a row, one takes at least half of @most, whatever cookies there are.
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

/**
 * walk_overflow() - make room in a batch that is full before the pass is over
 * @walk: where
 * @most: only so many of the batch can be among those that the pass takes
 *
 * Context: the bucket's lock held.
 * Return: the largest cookie of these.
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
 * walk_make_cookie() - give a listener a cookie that has none
 * @sk: the listener
 *
 * Out of line: that keeps the register pressure of a rare call out of the loop.
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

/* Let go of those in the batch from @first on, before @end. */
static void walk_release(const struct listener_walk *walk, unsigned int first,
			 unsigned int end)
{
	if (!walk->table->release)
		return;
	for (; first < end; first++)
		walk->table->release(walk->batch[first]);
}

/*
 * Take in the listeners of a bucket in one window of cookies: all of them, or
 * the first @most.
 *
 * The first pass over a bucket sees all who are there. Whoever comes later,
 * with a larger cookie than any of these, is left out: there might be no end
 * to them. That pass has had the lock before they took it, so the hooks that
 * they met know what this walk was begun for. (Each processor takes cookies by
 * the batch, so some that come later have smaller ones and are met; and one that
 * was made inside of an interrupt counts down from U64_MAX: a bucket that has it
 * leaves nobody out. Nobody can aim at either.)
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
 * listener_walk_ends() - whether a walk is at its end
 * @walk: where
 *
 * Context: process context.
 */
bool listener_walk_ends(const struct listener_walk *walk)
{
	return walk->bucket > walk->last;
}

/**
 * listener_walk_take() - take in the next listeners
 * @walk: where
 * @most: how many, at most, not 0; half of the walk's room are the most there
 *	can be
 *
 * There may be none although the walk does not end here. They were in the table
 * when this was called, and may have left it by now; their memory lasts until
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
 * @walk: where
 * @table: over what
 * @net: whose listeners; NULL: everybody's
 * @batch: where the walk puts those that it takes in
 * @room: for how many that has room; even, not 0
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

/* The memory of a socket that listens is freed by RCU (SOCK_RCU_FREE). */
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
