/* SPDX-License-Identifier: GPL-2.0-only */
/* The listeners, and what is noted of them. */
#ifndef LISTENQ_LISTENER_H
#define LISTENQ_LISTENER_H

#include <linux/in6.h>
#include <net/sock.h>

#include "limit.h"
#include "record.h"

/**
 * struct listener_view - a listener at one moment
 * @cookie: the socket's cookie
 * @limit: the limit in force
 * @acceptq: connections that wait for accept()
 * @oldest_ms: since when the first of them waits, in ms; -1: none waits
 * @synq: requests in the SYN queue
 * @synq_young: those whose SYN-ACK was sent once
 * @drops: the kernel's count of drops for this socket
 * @call: the latest listen(). Where somebody else has changed the limit since,
 *	@call.granted is that limit, and the rest is not known.
 * @rule: the rule that acts on the listener
 * @record: what is noted of it; NULL: nothing, and the rest is not known
 * @since_ms: for how long the rest has been counted
 * @counts: by &enum traffic_count
 * @overflowed_ms: how long ago the latest overflow was; -1: there was none
 * @acceptq_peak: the most connections in the accept queue
 * @synq_peak: the most requests in the SYN queue
 * @local: where it listens; without a record only
 */
struct listener_view {
	u64 cookie;
	unsigned int limit;
	unsigned int acceptq;
	s64 oldest_ms;
	unsigned int synq;
	unsigned int synq_young;
	unsigned int drops;
	struct listen_call call;
	struct selector rule;

	const struct listener *record;
	u64 since_ms;
	unsigned long counts[TRAFFIC_COUNTS];
	s64 overflowed_ms;
	unsigned int acceptq_peak;
	unsigned int synq_peak;

	struct sockaddr_in6 local;
};

/* So many listeners a walk takes in at a time, at most. */
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
 * @span: how wide the latest window of cookies was
 * @held: how many listeners were taken in from it; 0: too few to go by
 * @count: how many of @batch were taken in
 * @batch: listeners by rising cookie; valid for the RCU reader that has taken
 *	them in. Twice as large, for a window that holds more.
 */
struct listener_walk {
	struct net *net;
	unsigned int bucket;
	u64 cookie;
	bool more;
	u64 next;
	u64 top;
	u64 end;
	u64 span;
	unsigned int held;
	unsigned int count;
	struct sock *batch[2 * LISTENER_BATCH];
};

void listener_exit(void);
void listener_sweep(void);
void listener_decide_by(limit_decide_t *by);
unsigned long listener_unrecorded(void);

void listener_walk_begin(struct listener_walk *walk, struct net *net);
bool listener_walk_ends(const struct listener_walk *walk);
void listener_walk_take(struct listener_walk *walk, unsigned int most);
void listener_walk_leave(struct listener_walk *walk, unsigned int done);
void listener_read(struct sock *sk, struct listener_view *view);
void listener_read_waits(const struct listener_view *view,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms);
bool listener_is_same(const struct sock *sk, const struct listener_view *view);
int listener_reset_peaks(struct net *net);

#endif /* LISTENQ_LISTENER_H */
