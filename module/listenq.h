/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * listenq: what the queues of every TCP listener hold.
 *
 * What all rooms of the module share, and those that have no header of their
 * own. Documentation/design.rst says which rooms there are, and who calls whom.
 */
#ifndef LISTENQ_H
#define LISTENQ_H

#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "hook.h"

#define LISTENQ_VERSION "0.2.0"

/**
 * net_generic_atomic() - net_generic() where preemption is off
 * @net: the namespace
 * @id: of the room's pernet_operations
 *
 * Preemption that is off makes an RCU reader, so that the calls are saved by
 * which net_generic() becomes one (include/net/netns/generic.h).
 *
 * Context: any, preemption off.
 * Return: the room's part of the namespace; NULL while that is being made.
 */
static inline void *net_generic_atomic(const struct net *net, unsigned int id)
{
	return rcu_dereference_sched(net->gen)->ptr[id];
}

/* ---- the rooms that have no header of their own ---- */

extern const struct hook listen_hooks[];

int listenq_proc_init(struct net *net);
void listenq_proc_exit(struct net *net);

#endif /* LISTENQ_H */
