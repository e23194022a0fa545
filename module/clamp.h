/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules of network namespaces. */
#ifndef LISTENQ_CLAMP_H
#define LISTENQ_CLAMP_H

#include <linux/rcupdate.h>
#include <net/net_namespace.h>

#include "name.h"
#include "record.h"

/* How many rules a namespace may have. */
#define CLAMP_RULES_MAX 1024

/* Bytes of the text that says what was refused last, its end included. */
#define CLAMP_ERROR_SIZE 192

/**
 * struct clamp_rule - a rule, in its own words
 * @selector: the ports that it is for, or which names of AF_UNIX
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
 * struct clamp_named - a rule for listeners of AF_UNIX
 * @rule: the rule; its selector says whether it is for a name
 * @length: how long the name is; 0: it is for all names
 * @bytes: the name, as struct unix_name has it
 */
struct clamp_named {
	struct clamp_rule rule;
	unsigned int length;
	char bytes[UNIX_NAME_MAX];
};

/**
 * struct clamp_rules - the rules of a namespace
 * @rcu: for its end
 * @serial: tells this set from all others there were
 * @hint: the port that was looked up last, and one more than its rule's index
 *	below it, in one word: it is true of this set as long as it lives
 * @count: how many there are
 * @capacity: how many there is room for
 * @named_count: how many there are for listeners of AF_UNIX, beside those
 * @named_capacity: how many of these there is room for
 * @named: these, in order of precedence: longer names first, and those of a length
 *	in order; NULL where there is no room for any
 * @rule: the rules for ports, in order of precedence
 *
 * Changes until it is published, and not after that but for @hint.
 */
struct clamp_rules {
	struct rcu_head rcu;
	u32 serial;
	u32 hint;
	unsigned int count;
	unsigned int capacity;
	unsigned int named_count;
	unsigned int named_capacity;
	struct clamp_named *named;
	struct clamp_rule rule[];
};

static inline struct unix_name clamp_name(const struct clamp_named *named)
{
	return (struct unix_name) {
		.bytes = named->bytes,
		.length = named->length,
	};
}

static inline bool rules_are_full(const struct clamp_rules *rules)
{
	return rules->count + rules->named_count >= CLAMP_RULES_MAX;
}

const struct clamp_rule *named_rule(const struct clamp_rules *rules,
				    struct unix_name name);
int named_set(struct clamp_rules *rules, const struct clamp_rule *rule,
	      struct unix_name name);
int named_clear(struct clamp_rules *rules, struct unix_name name);

int clamp_init(int somaxconn);
void clamp_exit(void);
void clamp_start(void);
void clamp_stop(void);

const struct clamp_rules *clamp_rules(struct net *net);
struct clamp_rules *clamp_edit(struct net *net, unsigned int more,
			       unsigned int more_named);
int clamp_set(struct clamp_rules *rules, const struct clamp_rule *rule,
	      struct unix_name name);
int clamp_clear(struct clamp_rules *rules, struct selector selector,
		struct unix_name name);
void clamp_flush(struct clamp_rules *rules);
void clamp_publish(struct net *net, struct clamp_rules *rules);
void clamp_refuse(struct net *net, struct clamp_rules *rules,
		  const char *error);
void clamp_error(struct net *net, char error[CLAMP_ERROR_SIZE]);

#endif /* LISTENQ_CLAMP_H */
