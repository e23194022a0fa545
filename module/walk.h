/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks over the kernel's tables of listeners. */
#ifndef LISTENQ_WALK_H
#define LISTENQ_WALK_H

#include <linux/types.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/*
 * So many listeners a reader's walk takes in at a time, at most: as many as a
 * file's buffer of 64 kB has rows, more or less.
 */
#define LISTENER_BATCH 400

struct listener_walk;

/**
 * struct walk_table - a table of the kernel's that listeners are in
 * @last: the index of its last bucket
 * @next: the first bucket from this one on that may have listeners, or the last one
 * @pass: takes in the listeners of the walk's bucket up to a cookie, or those that
 *	may be among the first so many, as walk_chain() does
 * @release: lets go of one that was taken in; NULL where nothing keeps it but the
 *	RCU reader
 */
struct walk_table {
	unsigned int (*last)(void);
	unsigned int (*next)(const struct listener_walk *walk,
			     unsigned int bucket);
	unsigned int (*pass)(struct listener_walk *walk, unsigned int most,
			     u64 *end, bool all);
	void (*release)(struct sock *sk);
};

extern const struct walk_table tcp_table;

/**
 * struct listener_walk - a place in a table of the kernel's
 * @table: the table
 * @net: whose listeners; NULL: everybody's
 * @last: index of the last bucket
 * @bucket: index of the bucket
 * @cookie: where in the bucket: at the first listener with this cookie or a
 *	larger one
 * @more: whether there are others in the bucket behind those taken in
 * @next: the smallest cookie of these; any number is a cookie but 0
 * @top: the largest cookie of these; 0: there are none
 * @end: the largest cookie in the bucket when the walk came there; U64_MAX
 *	before the first pass
 * @length: how many sockets, anybody's, the first pass over the bucket has seen
 * @span: how wide the latest window of cookies was
 * @held: how many listeners were taken in from it; 0: too few to go by
 * @count: how many of @batch were taken in
 * @batch: listeners by rising cookie; valid for the RCU reader that has taken
 *	them in. The memory is that of whoever walks.
 * @room: for how many @batch has room: twice as many as are taken in at a time,
 *	for a window that holds more
 */
struct listener_walk {
	const struct walk_table *table;
	struct net *net;
	unsigned int last;
	unsigned int bucket;
	u64 cookie;
	bool more;
	u64 next;
	u64 top;
	u64 end;
	unsigned int length;
	u64 span;
	unsigned int held;
	unsigned int count;
	struct sock **batch;
	unsigned int room;
};

void listener_walk_begin(struct listener_walk *walk,
			 const struct walk_table *table, struct net *net,
			 struct sock **batch, unsigned int room);
bool listener_walk_ends(const struct listener_walk *walk);
void listener_walk_take(struct listener_walk *walk, unsigned int most);
void listener_walk_leave(struct listener_walk *walk, unsigned int done);

#endif /* LISTENQ_WALK_H */
