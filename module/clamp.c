// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules: which limit a listener gets in place of the kernel's own.
 *
 * Each network namespace has a set of rules. A set never changes once it is
 * published. A writer edits a copy and publishes that; the code that decides on a
 * limit, perhaps in a handler, reads one set under RCU.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>

#include "clamp.h"
#include "compat.h"
#include "listenq.h"
#include "name.h"
#include "record.h"
#include "socket.h"
#include "sweep.h"

/**
 * struct clamp_net - the rules of a network namespace
 * @edit: guards the rest; held from clamp_edit() to clamp_publish() or
 *	clamp_refuse(), and never while user memory is accessed
 * @rules: read under RCU; NULL: the namespace has never had any
 * @error: why the last write was refused; empty if it was taken
 */
struct clamp_net {
	struct mutex edit;	/* one writer at a time */
	struct clamp_rules __rcu *rules;
	char error[CLAMP_ERROR_SIZE];
};

static unsigned int clamp_net_id;

/* Module parameter: N of `* somaxconn N` in each new namespace; 0: no rule. */
static int somaxconn_everywhere;

static atomic_t serials;

static struct clamp_net *clamp_net(const struct net *net)
{
	return net_generic(net, clamp_net_id);
}

static const struct selector all_ports = { 0, U16_MAX };

/* ---- deciding ---- */

/*
 * The first rule, in order of precedence, whose range holds the port. The hint is
 * for SO_REUSEPORT groups: thousands of listeners may ask for one port in a row. The
 * caller is an RCU reader.
 */
static const struct clamp_rule *rule_of(struct clamp_rules *rules, u16 port)
{
	u32 hint = READ_ONCE(rules->hint);
	const struct selector *ports;
	unsigned int i;

	if (hint && hint >> 16 == port) {
		i = (hint & U16_MAX) - 1;
	} else {
		for (i = 0; i < rules->count; i++) {
			ports = &rules->rule[i].selector;
			if (ports->first <= port && port <= ports->last)
				break;
		}
		WRITE_ONCE(rules->hint, (u32)port << 16 | (i + 1));
	}
	return i < rules->count ? &rules->rule[i] : NULL;
}

/*
 * The limit is unsigned, as it is for the kernel: an @asked of -1 is the largest. If
 * @asked is not known, @granted takes its place.
 */
static unsigned int rule_limit(const struct clamp_rule *rule,
			       const struct listen_call *call)
{
	unsigned int limit = call->granted;

	if (rule->force >= 0)
		return rule->force;
	if (rule->somaxconn >= 0) {
		if (call->asked_known)
			limit = call->asked;
		limit = min_t(unsigned int, limit, rule->somaxconn);
	}
	if (rule->floor >= 0)
		limit = max_t(unsigned int, limit, rule->floor);
	return limit;
}

static bool clamp_decide(const struct sock *sk, const struct listen_call *call,
			 struct listener_decision *decision)
{
	const struct net *net = sock_net(sk);
	const struct clamp_rule *rule;
	struct clamp_rules *rules;
	struct clamp_net *clamp;

	/*
	 * A namespace that is being cleaned up may have lost its rules, a grace
	 * period after its last reference (net/core/net_namespace.c, cleanup_net()).
	 * One whose setup fails loses them with a reference left (setup_net()), but
	 * is never listed: so look at the rules of listed namespaces only. A
	 * listener from before its namespace was listed is decided on by the next
	 * sweep.
	 */
	clamp = check_net(net) && READ_ONCE(net->list.next) ?
		net_generic_atomic(net, clamp_net_id) : NULL;
	rules = clamp ? rcu_dereference_sched(clamp->rules) : NULL;
	if (decision->serial == (rules ? rules->serial : 0))
		return false;

	memset(decision, 0, sizeof(*decision));
	decision->limit = call->granted;
	if (!rules)
		return true;
	decision->serial = rules->serial;
	rule = listener_is_unix(sk) ? named_rule(rules, unix_name_of(sk)) :
				      rule_of(rules, inet_sk(sk)->inet_num);
	if (rule) {
		decision->limit = rule_limit(rule, call);
		decision->rule = rule->selector;
	}
	return true;
}

/* ---- editing ---- */

static unsigned int width(struct selector selector)
{
	return selector.last - selector.first;
}

static bool is_same(struct selector a, struct selector b)
{
	return a.first == b.first && a.last == b.last;
}

/* Narrower ranges come first; that of disjoint ones is for human readers. */
static bool is_before(struct selector a, struct selector b)
{
	return width(a) < width(b) ||
	       (width(a) == width(b) && a.first < b.first);
}

static bool overlap_in_part(struct selector a, struct selector b)
{
	return (a.first < b.first && b.first <= a.last && a.last < b.last) ||
	       (b.first < a.first && a.first <= b.last && b.last < a.last);
}

static void rules_free(struct clamp_rules *rules)
{
	if (rules)
		kvfree(rules->named);
	kfree(rules);
}

static void rules_free_rcu(struct rcu_head *rcu)
{
	rules_free(container_of(rcu, struct clamp_rules, rcu));
}

static struct clamp_rules *rules_alloc(unsigned int capacity,
				       unsigned int named_capacity)
{
	struct clamp_rules *rules;

	rules = kmalloc(struct_size(rules, rule, capacity),
			GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!rules)
		return NULL;
	rules->named = NULL;
	if (named_capacity) {
		rules->named = kvmalloc_array(named_capacity,
					      sizeof(*rules->named),
					      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!rules->named) {
			kfree(rules);
			return NULL;
		}
	}
	do
		rules->serial = atomic_inc_return(&serials);
	while (!rules->serial);
	rules->hint = 0;
	rules->count = 0;
	rules->capacity = capacity;
	rules->named_count = 0;
	rules->named_capacity = named_capacity;
	return rules;
}

/**
 * clamp_rules() - get the rules of a namespace
 * @net: the namespace
 *
 * Context: an RCU reader, as long as it uses the rules.
 * Return: the rules, or NULL if the namespace has never had any.
 */
const struct clamp_rules *clamp_rules(struct net *net)
{
	return rcu_dereference(clamp_net(net)->rules);
}

/**
 * clamp_edit() - copy a namespace's rules in order to change them
 * @net: the namespace
 * @more: for how many more rules to make room
 * @more_named: for how many more rules for AF_UNIX listeners to make room
 *
 * Context: process context, may sleep. Locks @edit until clamp_publish() or
 * clamp_refuse().
 * Return: the copy; NULL, with nothing locked, if there is no memory.
 */
struct clamp_rules *clamp_edit(struct net *net, unsigned int more,
			       unsigned int more_named)
{
	struct clamp_net *clamp = clamp_net(net);
	const struct clamp_rules *old;
	struct clamp_rules *rules;
	unsigned int count = 0, named = 0;

	mutex_lock(&clamp->edit);
	old = rcu_dereference_protected(clamp->rules,
					lockdep_is_held(&clamp->edit));
	if (old) {
		count = old->count;
		named = old->named_count;
	}
	rules = rules_alloc(min_t(unsigned int, count + more, CLAMP_RULES_MAX),
			    min_t(unsigned int, named + more_named,
				  CLAMP_RULES_MAX));
	if (!rules) {
		mutex_unlock(&clamp->edit);
		return NULL;
	}
	if (old)
		memcpy(rules->rule, old->rule, count * sizeof(*rules->rule));
	if (named)
		memcpy(rules->named, old->named, named * sizeof(*rules->named));
	rules->count = count;
	rules->named_count = named;
	return rules;
}

/**
 * clamp_set() - add a rule, or replace the one with the same selector
 * @rules: from clamp_edit()
 * @rule: the rule
 * @name: of an AF_UNIX rule, its name, at most UNIX_NAME_MAX bytes; empty for all
 *	names
 *
 * Context: any.
 * Return: 0; -EEXIST: its range overlaps another one in part; -ENOSPC: there are
 * CLAMP_RULES_MAX rules, or clamp_edit() made no room for one more.
 */
int clamp_set(struct clamp_rules *rules, const struct clamp_rule *rule,
	      struct unix_name name)
{
	unsigned int place = 0;
	unsigned int i;

	if (selector_is_unix(rule->selector))
		return named_set(rules, rule, name);
	for (i = 0; i < rules->count; i++) {
		if (is_same(rules->rule[i].selector, rule->selector)) {
			rules->rule[i] = *rule;
			return 0;
		}
		if (overlap_in_part(rules->rule[i].selector, rule->selector))
			return -EEXIST;
		if (is_before(rules->rule[i].selector, rule->selector))
			place = i + 1;
	}
	if (rules_are_full(rules) || rules->count == rules->capacity)
		return -ENOSPC;
	memmove(&rules->rule[place + 1], &rules->rule[place],
		(rules->count - place) * sizeof(*rule));
	rules->rule[place] = *rule;
	rules->count++;
	return 0;
}

/**
 * clamp_clear() - remove a rule
 * @rules: from clamp_edit()
 * @selector: the rule's
 * @name: as in clamp_set()
 *
 * Context: any.
 * Return: 0, or -ENOENT if no rule has exactly this selector.
 */
int clamp_clear(struct clamp_rules *rules, struct selector selector,
		struct unix_name name)
{
	unsigned int i;

	if (selector_is_unix(selector))
		return named_clear(rules, name);
	for (i = 0; i < rules->count; i++) {
		if (!is_same(rules->rule[i].selector, selector))
			continue;
		rules->count--;
		memmove(&rules->rule[i], &rules->rule[i + 1],
			(rules->count - i) * sizeof(*rules->rule));
		return 0;
	}
	return -ENOENT;
}

/**
 * clamp_flush() - remove all rules
 * @rules: from clamp_edit()
 *
 * Context: any.
 */
void clamp_flush(struct clamp_rules *rules)
{
	rules->count = 0;
	rules->named_count = 0;
}

/**
 * clamp_publish() - replace a namespace's rules
 * @net: the namespace
 * @rules: from clamp_edit(); must not be used after this
 *
 * Clears the last error. On return, the rules act on all listeners of the namespace,
 * except one with a listen() under way: on that they act when the call returns.
 *
 * Context: process context, may sleep.
 */
void clamp_publish(struct net *net, struct clamp_rules *rules)
{
	struct clamp_net *clamp = clamp_net(net);
	struct clamp_rules *old;

	old = rcu_replace_pointer(clamp->rules, rules,
				  lockdep_is_held(&clamp->edit));
	*clamp->error = '\0';
	mutex_unlock(&clamp->edit);
	if (old)
		call_rcu(&old->rcu, rules_free_rcu);
	sweep_listeners();
}

/**
 * clamp_refuse() - keep a namespace's rules, and note why a write was refused
 * @net: the namespace
 * @rules: from clamp_edit(), or NULL if it was not called
 * @error: the reason, for human readers
 *
 * Context: process context, may sleep.
 */
void clamp_refuse(struct net *net, struct clamp_rules *rules,
		  const char *error)
{
	struct clamp_net *clamp = clamp_net(net);

	if (!rules)
		mutex_lock(&clamp->edit);
	strscpy(clamp->error, error, sizeof(clamp->error));
	mutex_unlock(&clamp->edit);
	rules_free(rules);
}

/**
 * clamp_error() - get the reason why the last write was refused
 * @net: the namespace
 * @error: where to write it; empty if the write was taken
 *
 * Context: process context, may sleep.
 */
void clamp_error(struct net *net, char error[CLAMP_ERROR_SIZE])
{
	struct clamp_net *clamp = clamp_net(net);

	mutex_lock(&clamp->edit);
	strscpy(error, clamp->error, CLAMP_ERROR_SIZE);
	mutex_unlock(&clamp->edit);
}

/* ---- namespaces ---- */

static int clamp_net_init(struct net *net)
{
	const struct clamp_rule rule = {
		.selector	= all_ports,
		.somaxconn	= somaxconn_everywhere,
		.floor		= -1,
		.force		= -1,
	};
	struct clamp_net *clamp = clamp_net(net);
	struct clamp_rules *rules;

	mutex_init(&clamp->edit);
	if (!somaxconn_everywhere)
		return 0;
	rules = rules_alloc(1, 0);
	if (!rules)
		return -ENOMEM;
	clamp_set(rules, &rule, (struct unix_name) { });
	RCU_INIT_POINTER(clamp->rules, rules);
	return 0;
}

/* clamp_decide() no longer looks here: check_net() fails, or it was never listed. */
static void clamp_net_exit(struct net *net)
{
	struct clamp_net *clamp = clamp_net(net);
	struct clamp_rules *rules;

	rules = rcu_replace_pointer(clamp->rules, NULL, true);
	if (rules)
		call_rcu(&rules->rcu, rules_free_rcu);
}

static struct pernet_operations clamp_namespaces = {
	.init	= clamp_net_init,
	.exit	= clamp_net_exit,
	.id	= &clamp_net_id,
	.size	= sizeof(struct clamp_net),
};

/**
 * clamp_init() - make room for the rules of each namespace
 * @somaxconn: N of a rule `* somaxconn N` in each new namespace; 0: no rule
 *
 * Context: process context, before clamp_start() and the first clamp_edit().
 * Return: 0 or -ENOMEM.
 */
int clamp_init(int somaxconn)
{
	somaxconn_everywhere = somaxconn;
	return register_pernet_subsys(&clamp_namespaces);
}

/**
 * clamp_exit() - free all rules
 *
 * Context: process context, after clamp_stop() and the last clamp_edit().
 * record_exit() waits for the RCU callbacks that free the rules.
 */
void clamp_exit(void)
{
	unregister_pernet_subsys(&clamp_namespaces);
}

/**
 * clamp_start() - let the rules act, also on listeners that exist already
 *
 * Context: process context, may sleep.
 */
void clamp_start(void)
{
	sweep_decide_by(clamp_decide);
}

/**
 * clamp_stop() - stop the rules from acting
 *
 * Gives each listener the limit that the kernel alone would have given it, also
 * those with a listen() under way. Rules can still be written.
 *
 * Context: process context, sleeps for a grace period; before hook_exit().
 */
void clamp_stop(void)
{
	sweep_decide_by(NULL);
}
