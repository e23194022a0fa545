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

/* Size of the text about the last refused write, its NUL included. */
#define CLAMP_ERROR_SIZE 192

/**
 * struct clamp_rule - one rule
 * @selector: the ports or AF_UNIX names that it is for
 * @somaxconn: stands in for net.core.somaxconn. This and the next two are -1 if
 *	absent.
 * @floor: lower bound of the limit
 * @force: the limit, whatever listen() asked for; excludes the other two
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
 * @length: length of the name; 0: the rule is for all names
 * @bytes: the name, as in struct unix_name
 */
struct clamp_named {
	struct clamp_rule rule;
	unsigned int length;
	char bytes[UNIX_NAME_MAX];
};

/**
 * struct clamp_rules - the rules of a namespace
 * @rcu: frees the set
 * @serial: tells this set from all earlier ones
 * @hint: result of the latest lookup: the port in the upper half, its rule's index
 *	plus one in the lower half; written and read as one word, by RCU readers
 * @count: number of rules for ports
 * @capacity: for how many of them there is memory
 * @named_count: number of rules for AF_UNIX listeners
 * @named_capacity: for how many of them there is memory
 * @named: rules for AF_UNIX listeners, in order of precedence: longer names first,
 *	names of one length in memcmp() order; NULL if @named_capacity is 0
 * @rule: the rules for ports, in order of precedence
 *
 * Once published, nothing but @hint changes.
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
