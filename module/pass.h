/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pass over a bucket: what a walk of either table does while it holds the bucket's
 * lock (walk.c, unix_walk.c).
 */
#ifndef LISTENQ_PASS_H
#define LISTENQ_PASS_H

#include <linux/minmax.h>
#include <net/sock.h>

#include "socket.h"
#include "walk.h"

u64 walk_overflow(struct listener_walk *walk, unsigned int most);
u64 walk_make_cookie(const struct sock *sk);

/**
 * walk_put_off() - leave a listener to a later pass
 * @walk: the walk
 * @cookie: the listener's cookie
 *
 * Context: the bucket's lock held, or after that.
 */
static inline void walk_put_off(struct listener_walk *walk, u64 cookie)
{
	walk->next = min(walk->next, cookie);
	walk->top = max(walk->top, cookie);
}

/**
 * walk_chain() - take in the listeners of a bucket
 * @walk: the walk, whose batch gets them
 * @sk: the first socket of the bucket
 * @next: gets the socket after a socket
 * @wanted: whether the walk wants a socket
 * @most: how many listeners the pass wants, at most
 * @end: largest cookie that the pass may take; then the largest that it may have
 *	taken
 * @all: whether it is the first pass over this bucket
 *
 * Takes listeners up to cookie @end; if there are too many, those that may be among
 * the first @most. Other CPUs wait for the lock meanwhile, so sockets beyond @end
 * cost no more than a comparison of cookies. Only the first pass finds out the
 * largest cookie and the number of sockets.
 *
 * Inline, with constant functions and @all: otherwise these would be calls.
 *
 * Context: the bucket's lock held.
 * Return: how many are in the batch, at most 2 * @most.
 */
static __always_inline unsigned int
walk_chain(struct listener_walk *walk, struct sock *sk,
	   struct sock *(*next)(const struct listener_walk *walk,
				struct sock *sk),
	   bool (*wanted)(const struct listener_walk *walk,
			  const struct sock *sk),
	   unsigned int most, u64 *end, const bool all)
{
	u64 behind = U64_MAX, top = 0, cookie;
	u64 first = walk->cookie, last = *end;
	unsigned int count = 0, length = 0;

	for (; sk; sk = next(walk, sk)) {
		if (all)
			length++;
		cookie = atomic64_read(&sk->sk_cookie);
		if (cookie < first) {
			if (likely(cookie))
				continue;
			cookie = walk_make_cookie(sk);
			if (cookie < first)
				continue;
		}
		if (cookie > last) {
			if (cookie < behind)
				behind = cookie;
			if (all && cookie > top)
				top = cookie;
			continue;
		}
		if (!wanted(walk, sk))
			continue;
		walk->batch[count++] = sk;
		if (unlikely(count == 2 * most)) {
			last = walk_overflow(walk, most);
			count = most;
		}
	}

	if (all)
		walk->length = length;
	if (all && top)
		walk_put_off(walk, top);
	if (all ? top : behind <= walk->end)
		walk_put_off(walk, behind);
	*end = last;
	return count;
}

#endif /* LISTENQ_PASS_H */
