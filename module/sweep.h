/* SPDX-License-Identifier: GPL-2.0-only */
/* Sweeps: walks over all listeners, for the module's own upkeep. */
#ifndef LISTENQ_SWEEP_H
#define LISTENQ_SWEEP_H

#include <net/net_namespace.h>
#include <net/sock.h>

#include "limit.h"

void sweep_check_hooks(void);
void sweep_listeners(void);
void sweep_soon(void);
void sweep_decide_by(limit_decide_t *by);
int sweep_namespace(struct net *net, void (*what)(struct sock *sk));
void sweep_exit(void);
struct net *namespace_behind(struct net *net);

#endif /* LISTENQ_SWEEP_H */
