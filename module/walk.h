/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks over the kernel's tables of listeners. */
#ifndef LISTENQ_WALK_H
#define LISTENQ_WALK_H

#include <linux/types.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/*
 * How many listeners a reader's walk takes in at a time: roughly the rows that fit
 * into a file's buffer of 64 kB.
 */
#define LISTENER_BATCH 400

struct listener_walk;

/**
 * struct walk_table - a table of the kernel's that holds listeners
 * @last: gets the index of its last bucket
 * @next: gets the first bucket, from the given one on, that may hold listeners, or
 *	the last
 * @pass: takes in listeners of the walk's bucket, as walk_chain() does
 * @release: releases a listener that was taken in; NULL if RCU alone keeps it
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
 * struct listener_walk - the place in a table of the kernel's
 * @table: the table
 * @net: whose listeners; NULL: all
 * @last: index of the last bucket
 * @bucket: index of the current bucket
 * @cookie: where in the bucket: at the first listener with this cookie or a larger
 *	one
 * @more: whether the bucket has listeners after those taken in
 * @next: the smallest cookie of those; U64_MAX is a cookie too
 * @top: the largest cookie of those; 0: there are none
 * @end: the largest cookie in the bucket at the first pass; U64_MAX before that
 * @length: how many sockets, of all namespaces, the first pass over the bucket has
 *	seen
 * @span: width of the latest window of cookies
 * @held: how many listeners were taken in from it; 0: too few to go by
 * @count: how many listeners in @batch were taken in
 * @batch: listeners by rising cookie; valid as long as the walk's RCU reader. The
 *	memory is the caller's.
 * @room: size of @batch: twice the number taken in at a time, for a window that
 *	holds more
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
