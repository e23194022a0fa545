/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks over the kernel's listening hash. */
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

/**
 * struct listener_walk - a place in the kernel's listening hash
 * @net: whose listeners; NULL: everybody's
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
	struct net *net;
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

void listener_walk_begin(struct listener_walk *walk, struct net *net,
			 struct sock **batch, unsigned int room);
bool listener_walk_ends(const struct listener_walk *walk);
void listener_walk_take(struct listener_walk *walk, unsigned int most);
void listener_walk_leave(struct listener_walk *walk, unsigned int done);

#endif /* LISTENQ_WALK_H */
