/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules of network namespaces. */
#ifndef LISTENQ_CLAMP_H
#define LISTENQ_CLAMP_H

#include <linux/rcupdate.h>
#include <net/net_namespace.h>

#include "record.h"

/* How many rules a namespace may have. */
#define CLAMP_RULES_MAX 1024

/* Bytes of the text that says what was refused last, its end included. */
#define CLAMP_ERROR_SIZE 192

/**
 * struct clamp_rule - a rule, in its own words
 * @selector: the ports that it is for
 * @somaxconn: takes the place of net.core.somaxconn; these three are -1 where
 *	the rule does not say it
 * @floor: the limit is not below this
 * @force: the limit, whatever was asked for; alone
 */
struct clamp_rule {
	struct selector selector;
	int somaxconn;
	int floor;
	int force;
};

/**
 * struct clamp_rules - the rules of a namespace
 * @rcu: for its end
 * @serial: tells this set from all others there were
 * @hint: the port that was looked up last, and one more than its rule's index
 *	below it, in one word: it is true of this set as long as it lives
 * @count: how many there are
 * @capacity: how many there is room for
 * @rule: the rules, in order of precedence
 *
 * Changes until it is published, and not after that but for @hint.
 */
struct clamp_rules {
	struct rcu_head rcu;
	u32 serial;
	u32 hint;
	unsigned int count;
	unsigned int capacity;
	struct clamp_rule rule[];
};

int clamp_init(int somaxconn);
void clamp_exit(void);
void clamp_start(void);
void clamp_stop(void);

const struct clamp_rules *clamp_rules(struct net *net);
struct clamp_rules *clamp_edit(struct net *net, unsigned int more);
int clamp_set(struct clamp_rules *rules, const struct clamp_rule *rule);
int clamp_clear(struct clamp_rules *rules, struct selector selector);
void clamp_flush(struct clamp_rules *rules);
void clamp_publish(struct net *net, struct clamp_rules *rules);
void clamp_refuse(struct net *net, struct clamp_rules *rules,
		  const char *error);
void clamp_error(struct net *net, char error[CLAMP_ERROR_SIZE]);

#endif /* LISTENQ_CLAMP_H */
