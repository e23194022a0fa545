// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a network namespace is, and what its owner may have of what is scarce:
 * lines in the kernel log, and rings.
 *
 * Each owner has a limit, however many network namespaces that owner makes, and
 * owners share none: nobody with a namespace can fill the log, and nobody's
 * noise costs another owner a line. The initial network namespace has one limit for
 * all that listen there.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "compat.h"
#include "owner.h"

/**
 * struct budget - a token bucket of lines
 * @full: when all of LINES_AT_ONCE are available again, in jiffies (64 bits)
 *
 * Each line puts @full off by LINE_INTERVAL. So there are LINES_AT_ONCE, and
 * one more each LINE_INTERVAL: at most 970 in any day.
 */
struct budget {
	u64 full;
};

#define LINES_AT_ONCE	10
#define LINE_INTERVAL	(90 * HZ)

/* That is 8 MiB: each takes a power of 2. */
#define RINGS		64

/**
 * struct account - what an owner of any number of network namespaces has
 * @node: in accounts
 * @user: the user who made the user namespaces, or INVALID_UID
 * @user_ns: user_namespace_id() of one that root has made; 0 for a user
 * @budget: the lines that are left
 * @rings: how many rings the owner's namespaces have
 *
 * An account goes when its budget is full again and there is no ring: there are as
 * many as owners had a line in the last 15 minutes, or have a ring. It pins nothing.
 */
struct account {
	struct list_head node;
	kuid_t user;
	u64 user_ns;
	struct budget budget;
	unsigned int rings;
};

/**
 * struct owner_net - what a network namespace has
 * @budget: for lines about this namespace, where it has its own
 */
struct owner_net {
	struct budget budget;
};

static unsigned int owner_net_id;

/* Guards accounts and all budgets. */
static DEFINE_MUTEX(accounts_lock);
static LIST_HEAD(accounts);

/* Of the initial network namespace, where users can't be told apart. */
static DEFINE_RATELIMIT_STATE(initial_limit, 5 * HZ, 10);

static bool budget_is_full(const struct budget *budget)
{
	return time_after_eq64(get_jiffies_64(), budget->full);
}

static bool budget_take(struct budget *budget)
{
	u64 now = get_jiffies_64();
	u64 full = budget_is_full(budget) ? now : budget->full;

	if (full - now > (LINES_AT_ONCE - 1) * (u64)LINE_INTERVAL)
		return false;
	budget->full = full + LINE_INTERVAL;
	return true;
}

/* NULL where there is no memory: then there is nothing to be had either. */
static struct account *account_find(kuid_t user, u64 user_ns)
{
	struct account *account, *next;

	list_for_each_entry_safe(account, next, &accounts, node) {
		if (uid_eq(account->user, user) &&
		    account->user_ns == user_ns)
			return account;
		if (budget_is_full(&account->budget) && !account->rings) {
			list_del(&account->node);
			kfree(account);
		}
	}
	account = kzalloc(sizeof(*account), GFP_KERNEL);
	if (!account)
		return NULL;
	account->user = user;
	account->user_ns = user_ns;
	list_add(&account->node, &accounts);
	return account;
}

/*
 * The account of a network namespace that is not the host's. It leads upwards to a
 * user namespace just below the initial one. The user who made that one can make any
 * number, one after the other, too: the account is the user's. Root makes them for
 * others, as container runtimes do, and those can make none at that level: the account
 * is the user namespace's.
 */
static struct account *account_of(const struct net *net)
{
	const struct user_namespace *user_ns = net->user_ns;

	while (user_ns->parent != &init_user_ns)
		user_ns = user_ns->parent;
	if (uid_eq(user_ns->owner, GLOBAL_ROOT_UID))
		return account_find(INVALID_UID, user_namespace_id(user_ns));
	return account_find(user_ns->owner, 0);
}

static struct budget *budget_of(const struct net *net)
{
	struct owner_net *owner = net_generic(net, owner_net_id);
	struct account *account;

	if (owner_is_host(net))
		return &owner->budget;
	account = account_of(net);
	return account ? &account->budget : NULL;
}

/**
 * owner_take_line() - whether there may be another line in the kernel log
 * @net: the network namespace that it is about
 *
 * Context: process context.
 * Return: whether there may; it is counted as printed.
 */
bool owner_take_line(const struct net *net)
{
	struct budget *budget;
	bool taken;

	if (net_eq(net, &init_net))
		return __ratelimit(&initial_limit);
	mutex_lock(&accounts_lock);
	budget = budget_of(net);
	taken = budget && budget_take(budget);
	mutex_unlock(&accounts_lock);
	return taken;
}

/**
 * owner_take_ring() - whether a namespace may have a ring
 * @net: a network namespace that has none
 *
 * Context: process context.
 * Return: whether it may; then owner_give_ring() takes it back.
 */
bool owner_take_ring(const struct net *net)
{
	struct account *account;
	bool taken;

	if (owner_is_host(net))
		return true;
	mutex_lock(&accounts_lock);
	account = account_of(net);
	taken = account && account->rings < RINGS;
	if (taken)
		account->rings++;
	mutex_unlock(&accounts_lock);
	return taken;
}

/**
 * owner_give_ring() - a namespace has no ring any more
 * @net: the network namespace
 *
 * Context: process context.
 */
void owner_give_ring(const struct net *net)
{
	if (owner_is_host(net))
		return;
	mutex_lock(&accounts_lock);
	/* It is there: it has a ring. */
	account_of(net)->rings--;
	mutex_unlock(&accounts_lock);
}

static struct pernet_operations owner_namespaces = {
	.id	= &owner_net_id,
	.size	= sizeof(struct owner_net),
};

/**
 * owner_init() - nobody has had anything yet
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int owner_init(void)
{
	/* No line of its own for each that it suppresses. */
	ratelimit_set_flags(&initial_limit, RATELIMIT_MSG_ON_RELEASE);
	return register_pernet_subsys(&owner_namespaces);
}

/**
 * owner_exit() - forget what owners have had
 *
 * Context: process context, when nobody can call in any more.
 */
void owner_exit(void)
{
	struct account *account, *next;

	unregister_pernet_subsys(&owner_namespaces);
	list_for_each_entry_safe(account, next, &accounts, node)
		kfree(account);
}
