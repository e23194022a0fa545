/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pass over a bucket: what a walk does while it holds the bucket's lock, for each
 * table (walk.c, unix_walk.c).
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
 * walk_put_off() - a listener is for a pass behind this one
 * @walk: where
 * @cookie: the listener's
 *
 * Context: the bucket's lock held, or behind that.
 */
static inline void walk_put_off(struct listener_walk *walk, u64 cookie)
{
	walk->next = min(walk->next, cookie);
	walk->top = max(walk->top, cookie);
}

/**
 * walk_chain() - take in the listeners of a bucket
 * @walk: where; the walk's batch gets them
 * @sk: the first socket of the bucket
 * @next: what follows a socket
 * @wanted: whether a socket is one of those that the walk is for
 * @most: how many the pass wants, at most
 * @end: the largest cookie that the pass is for, and of those that it has taken
 * @all: whether it is the first pass over this bucket
 *
 * Those up to a cookie, or, where they are many, those that may be among the first
 * @most. Others wait for the lock meanwhile, so for those behind that there is
 * nothing to it but to compare cookies. Only the first pass has to know the largest
 * one, and how many there are.
 *
 * Inline, with functions and @all that are known where it is: it would be calls else.
 *
 * Context: the bucket's lock held.
 * Return: how many are in the batch, twice @most at most.
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
