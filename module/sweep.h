/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks that nobody reads. */
#ifndef LISTENQ_SWEEP_H
#define LISTENQ_SWEEP_H

#include <net/net_namespace.h>

#include "limit.h"

void sweep_listeners(void);
void sweep_decide_by(limit_decide_t *by);
int sweep_reset_peaks(struct net *net);
void sweep_exit(void);

#endif /* LISTENQ_SWEEP_H */
