// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of network namespaces, and their shares of limited resources: lines in the
 * kernel log, and rings.
 *
 * Each owner has its own limit, however many network namespaces it makes. So no
 * owner of a namespace can fill the log, or cost another owner a line. The initial
 * network namespace has one limit for all its listeners.
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
 * @full: when all LINES_AT_ONCE lines are available again, in jiffies (64 bits)
 *
 * Each line moves @full later by LINE_INTERVAL. So there are LINES_AT_ONCE lines,
 * and one more each LINE_INTERVAL: at most 970 a day.
 */
struct budget {
	u64 full;
};

#define LINES_AT_ONCE	10
#define LINE_INTERVAL	(90 * HZ)

/* Rings of one owner: 8 MiB, since a ring takes 128 KiB. */
#define RINGS		64

/**
 * struct account - what the owner of some network namespaces has used
 * @node: in accounts
 * @user: the user who made the user namespaces; INVALID_UID for root
 * @user_ns: user_namespace_id() of a user namespace made by root; 0 for a user
 * @budget: the lines that are left
 * @rings: number of rings that the owner's namespaces have
 *
 * An account is freed once its budget is full and it has no ring. So there is one
 * for each owner that had a line in the last 15 minutes or has a ring. It pins
 * nothing.
 */
struct account {
	struct list_head node;
	kuid_t user;
	u64 user_ns;
	struct budget budget;
	unsigned int rings;
};

/**
 * struct owner_net - data of a network namespace
 * @budget: lines about this namespace, if only the host's root can have made it
 */
struct owner_net {
	struct budget budget;
};

static unsigned int owner_net_id;

/* Guards accounts and all budgets. */
static DEFINE_MUTEX(accounts_lock);
static LIST_HEAD(accounts);

/* For the initial network namespace, where listeners' users are not told apart. */
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

/* Find or make an account, and free those not needed; NULL if there is no memory. */
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
 * Find the account of a network namespace that is not the host's. Go up from its
 * user namespace to the one just below the initial one. A user who made that one can
 * make any number of them, so the account is the user's. Root makes them for others,
 * as container runtimes do, who can't make any at that level: there the account is
 * the namespace's.
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
 * owner_take_line() - take a line of the kernel log from the owner's budget
 * @net: the network namespace that the line is about
 *
 * Context: process context.
 * Return: whether the line may be printed; if so, it counts as printed.
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
 * owner_take_ring() - take a ring from the owner's share
 * @net: a network namespace without a ring
 *
 * Context: process context.
 * Return: whether it may have one; if so, owner_give_ring() gives it back.
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
 * owner_give_ring() - give a ring back
 * @net: the network namespace that had it
 *
 * Context: process context.
 */
void owner_give_ring(const struct net *net)
{
	if (owner_is_host(net))
		return;
	mutex_lock(&accounts_lock);
	/* Never NULL: an account with a ring is not freed. */
	account_of(net)->rings--;
	mutex_unlock(&accounts_lock);
}

static struct pernet_operations owner_namespaces = {
	.id	= &owner_net_id,
	.size	= sizeof(struct owner_net),
};

/**
 * owner_init() - make room for budgets
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int owner_init(void)
{
	/* Don't log how many lines were suppressed. */
	ratelimit_set_flags(&initial_limit, RATELIMIT_MSG_ON_RELEASE);
	return register_pernet_subsys(&owner_namespaces);
}

/**
 * owner_exit() - free all accounts
 *
 * Context: process context, after all that prints lines or takes rings is gone.
 */
void owner_exit(void)
{
	struct account *account, *next;

	unregister_pernet_subsys(&owner_namespaces);
	list_for_each_entry_safe(account, next, &accounts, node)
		kfree(account);
}
