// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's table of AF_UNIX sockets, for walks.
 *
 * It holds all AF_UNIX sockets, most of them not listening: a pass skips those and
 * gives them no cookie. Their memory is not freed by RCU, so a pass takes a
 * reference to each listener, and the walk drops it when it goes on. That delays the
 * freeing of the memory, not the close.
 */
#include <linux/rculist.h>
#include <linux/spinlock.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "pass.h"
#include "unix.h"
#include "walk.h"

static unsigned int table_last(void)
{
	return unix_buckets() - 1;
}

static unsigned int table_next(const struct listener_walk *walk,
			       unsigned int bucket)
{
	while (bucket < walk->last &&
	       hlist_empty(unix_bucket(walk->net, bucket)))
		bucket++;
	return bucket;
}

/* The first listener from @sk on; in a shared table, the first of @walk->net. */
static __always_inline struct sock *
listening_from(const struct listener_walk *walk, struct sock *sk)
{
	while (sk && (READ_ONCE(sk->sk_state) != TCP_LISTEN ||
		      (UNIX_TABLE_IS_SHARED && walk->net &&
		       !net_eq(sock_net(sk), walk->net))))
		sk = sk_next(sk);
	return sk;
}

static __always_inline struct sock *
next_listening(const struct listener_walk *walk, struct sock *sk)
{
	return listening_from(walk, sk_next(sk));
}

static __always_inline bool is_wanted(const struct listener_walk *walk,
				      const struct sock *sk)
{
	return true;
}

static unsigned int table_pass(struct listener_walk *walk, unsigned int most,
			       u64 *end, bool all)
{
	spinlock_t *lock = unix_bucket_lock(walk->net, walk->bucket);
	unsigned int count, i;
	struct sock *sk;

	spin_lock(lock);
	sk = listening_from(walk, sk_head(unix_bucket(walk->net, walk->bucket)));
	count = walk_chain(walk, sk, next_listening, is_wanted, most, end, all);
	for (i = 0; i < count; i++)
		sock_hold(walk->batch[i]);
	spin_unlock(lock);
	return count;
}

/* With a table per namespace, a walk needs @net; in a shared one it may be NULL. */
const struct walk_table unix_table = {
	.last		= table_last,
	.next		= table_next,
	.pass		= table_pass,
	.release	= sock_put,
};
