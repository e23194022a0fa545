// SPDX-License-Identifier: GPL-2.0-only
/*
 * Init, exit, network namespaces: the order of things.
 *
 * Exit is init backwards: first the rules act no more and each limit is the
 * kernel's own again, then no hook fires, then nobody reads or writes, then
 * what they used goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <net/net_namespace.h>

#include "clamp.h"
#include "hook.h"
#include "listenq.h"
#include "record.h"
#include "sweep.h"
#include "traffic.h"

static unsigned int somaxconn;
module_param(somaxconn, uint, 0444);
MODULE_PARM_DESC(somaxconn, "N of a rule '* somaxconn N' in every network namespace, from the start (0 to 2147483647; default 0: none)");

static unsigned int log_interval = 60;
module_param(log_interval, uint, 0644);
MODULE_PARM_DESC(log_interval, "seconds between two kernel log lines about one listener whose accept queue overflows (default 60; 0: no lines)");

static const struct hook *const hook_tables[] = {
	listen_hooks,
	traffic_hooks,
};

/* Set when no more files are to be made. */
static bool leaving;

static int namespace_init(struct net *net)
{
	return READ_ONCE(leaving) ? 0 : listenq_proc_init(net);
}

static struct pernet_operations namespaces = {
	.init	= namespace_init,
	.exit	= listenq_proc_exit,
};

/*
 * The namespace behind @net, or the first one for NULL; with a reference, for
 * that of @net, which keeps it in the list.
 */
static struct net *net_behind(struct net *net)
{
	struct list_head *at = net ? &net->list : &net_namespace_list;
	struct net *next;

	rcu_read_lock();
	next = list_entry_rcu(at->next, struct net, list);
	list_for_each_entry_from_rcu(next, &net_namespace_list, list)
		if (maybe_get_net(next))
			goto found;
	next = NULL;
found:
	rcu_read_unlock();
	if (net)
		put_net(net);
	return next;
}

/*
 * Who reads a file may take forever, into a page that never comes, and it
 * takes as long to remove that file. Then we wait alone: whoever waits inside
 * unregister_pernet_subsys() lets nobody make a namespace.
 */
static void remove_files(void)
{
	struct net *net = NULL;

	WRITE_ONCE(leaving, true);
	/* Whoever has not seen that is in the list behind this. */
	net_ns_barrier();
	while ((net = net_behind(net)))
		listenq_proc_exit(net);
}

static int __init listenq_init(void)
{
	int err;

	if (somaxconn > INT_MAX) {
		pr_err("somaxconn=%u is out of range: expected 0 to %d\n",
		       somaxconn, INT_MAX);
		return -ERANGE;
	}
	err = record_init();
	if (err)
		return err;
	err = clamp_init(somaxconn);
	if (err)
		goto exit_record;
	err = traffic_init(&log_interval);
	if (err)
		goto exit_clamp;
	err = register_pernet_subsys(&namespaces);
	if (err)
		goto exit_sweep;
	err = hook_init(hook_tables, ARRAY_SIZE(hook_tables));
	if (err)
		goto exit_namespaces;
	clamp_start();
	return 0;

exit_namespaces:
	remove_files();
	unregister_pernet_subsys(&namespaces);
exit_sweep:
	/* Who has found a file has written rules, perhaps. */
	sweep_exit();
	traffic_exit();
exit_clamp:
	clamp_exit();
exit_record:
	record_exit();
	return err;
}

static void __exit listenq_exit(void)
{
	clamp_stop();
	hook_exit();
	remove_files();
	unregister_pernet_subsys(&namespaces);
	sweep_exit();
	traffic_exit();
	clamp_exit();
	record_exit();
}

module_init(listenq_init);
module_exit(listenq_exit);

MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Shows what the queues of every TCP listener hold, overrides the somaxconn clamp");
MODULE_LICENSE("GPL");
MODULE_VERSION(LISTENQ_VERSION);
