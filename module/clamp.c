// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules: which limit a listener gets in place of the kernel's own.
 *
 * Each network namespace has a set of rules. A set never changes once it is
 * published: who writes edits a copy and publishes that, and who decides, in
 * a probe handler perhaps, reads one set under RCU.
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
 * struct clamp_net - what a network namespace has
 * @edit: guards the rest; held from clamp_edit() to clamp_publish() or
 *	clamp_refuse(), and never while the memory of a user's is read or
 *	written
 * @rules: read under RCU; NULL where nobody ever wrote one
 * @error: what was refused last; empty since a write was taken
 */
struct clamp_net {
	struct mutex edit;	/* one writer at a time */
	struct clamp_rules __rcu *rules;
	char error[CLAMP_ERROR_SIZE];
};

static unsigned int clamp_net_id;

/* Of the load: what `* somaxconn` is in each new namespace; 0: no rule. */
static int somaxconn_everywhere;

static atomic_t serials;

static struct clamp_net *clamp_net(const struct net *net)
{
	return net_generic(net, clamp_net_id);
}

static const struct selector all_ports = { 0, U16_MAX };

/* ---- deciding ---- */

/*
 * The first rule in order of precedence that holds the port; the members of
 * an SO_REUSEPORT group, of which there can be thousands, ask for the same.
 * The caller is an RCU reader.
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
 * The kernel compares without a sign: -1 asks for all there is. Where it is
 * not known what was asked, what was granted stands for it.
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
	 * In a namespace that is going, the rules may be gone: between its last
	 * reference and that is a grace period (net/core/net_namespace.c,
	 * cleanup_net()). Where the making of one fails there is none
	 * (setup_net()), so it has rules from when it is listed, which is when
	 * it was made; the next sweep decides on who listens in it by then.
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

/* Narrower ones first; the order of those that are apart is for people. */
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
 * clamp_rules() - the rules of a namespace
 * @net: the namespace
 *
 * Context: an RCU read-side critical section, in which they may be read.
 * Return: the rules, or NULL where there never were any.
 */
const struct clamp_rules *clamp_rules(struct net *net)
{
	return rcu_dereference(clamp_net(net)->rules);
}

/**
 * clamp_edit() - begin to change a namespace's rules
 * @net: the namespace
 * @more: how many rules will be added, at most
 * @more_named: how many of them are for listeners of AF_UNIX, at most
 *
 * Context: process context, may sleep; others who edit wait until
 * clamp_publish() or clamp_refuse().
 * Return: a copy to be changed; NULL without memory, and nobody waits.
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
 * @name: of AF_UNIX, the name that it is for, not longer than UNIX_NAME_MAX; empty
 *	for all names
 *
 * Context: any.
 * Return: 0; -EEXIST: it overlaps another one in part; -ENOSPC: there are
 * CLAMP_RULES_MAX rules, or as many as clamp_edit() made room for.
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
 * clamp_clear() - take a rule away
 * @rules: from clamp_edit()
 * @selector: the rule's
 * @name: as that of clamp_set()
 *
 * Context: any.
 * Return: 0, or -ENOENT if there is none with just this selector.
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
 * clamp_flush() - take all rules away
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
 * clamp_publish() - put changed rules in the place of a namespace's
 * @net: the namespace
 * @rules: from clamp_edit(); not the caller's any more
 *
 * Forgets what was refused before. When it returns, the rules act on all
 * listeners of the namespace; on one whose listen() is under way when that
 * returns.
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
 * clamp_refuse() - leave a namespace's rules as they are
 * @net: the namespace
 * @rules: from clamp_edit(), or NULL if it was not called
 * @error: what was not understood, for people
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
 * clamp_error() - what was refused last
 * @net: the namespace
 * @error: where to write it; empty since a write was taken
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

/* Whoever meets a listener of the kernel's own there does not look any more. */
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
 * clamp_init() - give each namespace room for rules
 * @somaxconn: N of a rule `* somaxconn N` to begin with; 0: no rule
 *
 * Context: process context, before clamp_start() and anything that edits.
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
 * Context: process context, after clamp_stop(), when nobody edits any more. They go
 * with the grace period that record_exit() waits for.
 */
void clamp_exit(void)
{
	unregister_pernet_subsys(&clamp_namespaces);
}

/**
 * clamp_start() - let the rules act, on the listeners there are too
 *
 * Context: process context, may sleep.
 */
void clamp_start(void)
{
	sweep_decide_by(clamp_decide);
}

/**
 * clamp_stop() - let the rules act no more
 *
 * Each listener is given the limit that the kernel alone would have given it,
 * those too whose listen() is under way. Rules can still be written.
 *
 * Context: process context, sleeps for a grace period; the hooks are there.
 */
void clamp_stop(void)
{
	sweep_decide_by(NULL);
}
