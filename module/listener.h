/* SPDX-License-Identifier: GPL-2.0-only */
/* What a walk reads of a TCP listener. */
#ifndef LISTENQ_LISTENER_H
#define LISTENQ_LISTENER_H

#include <net/sock.h>

#include "endpoint.h"
#include "record.h"
#include "socket.h"

/**
 * struct listener_view - a listener at one moment
 * @cookie: the socket's cookie
 * @limit: the limit in force
 * @acceptq: connections that wait for accept()
 * @oldest_ms: for how long the first of them has waited, in ms; -1: unknown, or none
 *	waits
 * @synq: requests in the SYN queue
 * @synq_young: requests whose SYN-ACK was sent once
 * @drops: the kernel's count of drops for this socket
 * @call: the latest listen(). If the limit was changed behind the module's back,
 * @call.granted is that limit and the rest is unknown.
 * @rule: the rule that acts on the listener
 * @record: its record; NULL: it has none, and the fields from @since_ms to
 *	@synq_lately are unknown
 * @since_ms: for how long traffic has been counted
 * @counts: by &enum traffic_count; derived counts may lag behind
 * @overflowed_ms: how long ago the latest overflow was; -1: there was none
 * @acceptq_peak: the most connections in the accept queue
 * @acceptq_lately: the most in the last minute
 * @synq_peak: the most requests in the SYN queue
 * @synq_lately: the most in the last minute
 * @place: where it listens; set only without a record
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
	unsigned int acceptq_lately;
	unsigned int synq_peak;
	unsigned int synq_lately;

	struct endpoint place;
};

void listener_read(struct sock *sk, struct listener_view *view);
void listener_read_books(struct sock *sk, struct listener_view *view);
void listener_derive(struct sock *sk);
void listener_reset_peaks(struct sock *sk);
bool listener_meet(struct sock *sk);
bool listener_is_same(const struct sock *sk, const struct listener_view *view);

void listener_count_unrecorded(enum record_proof proof);
void listener_count_left_alone(void);
unsigned long listener_unrecorded(void);
void listener_unrecorded_forget(void);
bool listener_settled(void);

#endif /* LISTENQ_LISTENER_H */
