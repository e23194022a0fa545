/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools of unused records. */
#ifndef LISTENQ_POOL_H
#define LISTENQ_POOL_H

#include <linux/types.h>

struct listener;

int pool_init(void);
void pool_stop(void);
void pool_exit(void);
bool pool_fill(void);
struct listener *pool_get(void);
struct listener *pool_get_own(void);
void pool_free(struct listener *listener);

#endif /* LISTENQ_POOL_H */
