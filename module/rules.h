/* SPDX-License-Identifier: GPL-2.0-only */
/* The grammar of rules. */
#ifndef LISTENQ_RULES_H
#define LISTENQ_RULES_H

#include <linux/seq_file.h>
#include <linux/types.h>
#include <net/net_namespace.h>

#include "clamp.h"

void put_rule(struct seq_file *m, const struct clamp_rule *rule,
	      struct unix_name name);
int rules_take(struct net *net, const char *text, size_t length);
void rules_refuse(struct net *net, struct clamp_rules *rules,
		  const char *error);

#endif /* LISTENQ_RULES_H */
