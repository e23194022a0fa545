/* SPDX-License-Identifier: GPL-2.0-only */
/* The listeners, and what is noted of them. */
#ifndef LISTENQ_LISTENER_H
#define LISTENQ_LISTENER_H

#include <net/inet_hashtables.h>
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
 * @recorded: whether the rest is known
 * @since_ms: for how long the rest has been counted
 * @counts: by &enum traffic_count
 * @overflowed_ms: how long ago the latest overflow was; -1: there was none
 * @acceptq_peak: the most connections in the accept queue
 * @synq_peak: the most requests in the SYN queue
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

	bool recorded;
	u64 since_ms;
	unsigned long counts[TRAFFIC_COUNTS];
	s64 overflowed_ms;
	unsigned int acceptq_peak;
	unsigned int synq_peak;
};

/* So many rows a walk takes in while it holds a bucket's lock. */
#define LISTENER_BATCH 16

/**
 * struct listener_walk - a place in the kernel's listening hash
 * @net: whose listeners
 * @bucket: index of the bucket
 * @cookie: where in the bucket: at the first listener with this cookie or a
 *	larger one. Buckets are walked by rising cookie, so that whoever comes
 *	or goes between two reads can't shift those that stay.
 * @locked: the bucket whose lock the walk holds, or NULL
 * @more: whether the bucket holds more than @batch took in
 * @count: valid entries of @batch
 * @batch: the next listeners of the bucket by falling cookie; valid as long
 *	as the lock is held
 */
struct listener_walk {
	struct net *net;
	unsigned int bucket;
	u64 cookie;
	struct inet_listen_hashbucket *locked;
	bool more;
	unsigned int count;
	struct {
		struct sock *sk;
		u64 cookie;
	} batch[LISTENER_BATCH];
};

void listener_exit(void);
void listener_sweep(void);
void listener_decide_by(limit_decide_t *by);
unsigned long listener_unrecorded(void);

struct sock *listener_walk_start(struct listener_walk *walk);
struct sock *listener_walk_next(struct listener_walk *walk);
void listener_walk_stop(struct listener_walk *walk);
void listener_read(struct sock *sk, struct listener_view *view);
bool listener_read_waits(const struct sock *sk,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms);
void listener_reset_peaks(struct net *net);

#endif /* LISTENQ_LISTENER_H */
