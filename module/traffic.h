/* SPDX-License-Identifier: GPL-2.0-only */
/* Hooks on the path of a connection. */
#ifndef LISTENQ_TRAFFIC_H
#define LISTENQ_TRAFFIC_H

#include <net/sock.h>

#include "hook.h"

/**
 * enum traffic_hook - the hooks on the path of a connection
 *
 * In the order of traffic_hooks and, from CLOSING_HOOKS on, of closing_hooks;
 * TRAFFIC_HOOKS is their number.
 */
enum traffic_hook {
	HOOK_SYN,
	HOOK_RESERVED,
	HOOK_SYNACK4,
	HOOK_SYNACK6,
	HOOK_ACK4,
	HOOK_ACK6,
	HOOK_COOKIE4,
	HOOK_COOKIE6,
	HOOK_FINISHED,
	HOOK_QUEUED,
	HOOK_TIMER,
	HOOK_RESET,
	HOOK_JOINED,
	HOOK_ACCEPTED,
	HOOK_DROPPED,
	CLOSING_HOOKS,
	HOOK_MIGRATE = CLOSING_HOOKS,
	HOOK_FORGOTTEN,
	TRAFFIC_HOOKS,
};

extern const struct hook traffic_hooks[];

void traffic_start(const struct sock *sk);

#endif /* LISTENQ_TRAFFIC_H */
