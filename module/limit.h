/* SPDX-License-Identifier: GPL-2.0-only */
/* The limits in force. */
#ifndef LISTENQ_LIMIT_H
#define LISTENQ_LIMIT_H

#include <net/sock.h>

#include "record.h"

/**
 * typedef limit_decide_t - a function that decides on a listener's limit
 * @sk: the listener
 * @call: its latest listen()
 * @decision: the decision in force, to be replaced
 *
 * Context: the lock of the record's bucket held, which makes it an RCU reader.
 * Return: false if @decision stays as it is.
 */
typedef bool limit_decide_t(const struct sock *sk,
			    const struct listen_call *call,
			    struct listener_decision *decision);

struct limit_change;

bool limit_start(struct sock *sk, const struct listen_call *call);
struct limit_change *limit_change_begin(const struct sock *sk,
					unsigned int granted);
bool limit_change_is_over(const struct limit_change *change);
int limit_change_end(struct limit_change *change, struct sock *sk,
		     const struct listen_call *call, bool starts);
bool limit_is_changing(const struct sock *sk);
void limit_decide(struct listener *listener, struct sock *sk);
void limit_decide_by(limit_decide_t *by);

#endif /* LISTENQ_LIMIT_H */
