/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * listenq: what the queues of every TCP listener hold.
 *
 * What all source files of the module share, and the declarations of those without a
 * header of their own. Documentation/design.rst lists the files and their callers.
 */
#ifndef LISTENQ_H
#define LISTENQ_H

#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "hook.h"

#define LISTENQ_VERSION "0.2.0"

/**
 * net_generic_atomic() - net_generic() with preemption off
 * @net: the namespace
 * @id: a file's pernet_operations.id
 *
 * With preemption off the caller is an RCU reader, which saves the calls that
 * net_generic() makes (include/net/netns/generic.h).
 *
 * Context: any, preemption off.
 * Return: that file's data of the namespace; NULL while the namespace is being made.
 */
static inline void *net_generic_atomic(const struct net *net, unsigned int id)
{
	return rcu_dereference_sched(net->gen)->ptr[id];
}

/* ---- declarations of files without a header ---- */

extern const struct hook listen_hooks[];

int listenq_proc_init(struct net *net);
void listenq_proc_exit(struct net *net);

#endif /* LISTENQ_H */
