/* SPDX-License-Identifier: GPL-2.0-only */
/* Owners of network namespaces, and their shares of limited resources. */
#ifndef LISTENQ_OWNER_H
#define LISTENQ_OWNER_H

#include <linux/types.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

/**
 * owner_is_host() - whether only the host's root can have made a network namespace
 * @net: a network namespace
 *
 * Context: any.
 */
static inline bool owner_is_host(const struct net *net)
{
	return net->user_ns == &init_user_ns;
}

bool owner_take_line(const struct net *net);
bool owner_take_ring(const struct net *net);
void owner_give_ring(const struct net *net);
int owner_init(void);
void owner_exit(void);

#endif /* LISTENQ_OWNER_H */
