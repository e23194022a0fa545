/* SPDX-License-Identifier: GPL-2.0-only */
/* Listeners that end, and what becomes of the connections in their queues. */
#ifndef LISTENQ_CLOSING_H
#define LISTENQ_CLOSING_H

#include <net/sock.h>

#include "hook.h"

extern const struct hook closing_hooks[];

void closing_stop(const struct sock *sk);
int closing_init(void);
void closing_exit(void);

#endif /* LISTENQ_CLOSING_H */
