// SPDX-License-Identifier: GPL-2.0-only
/*
 * Init and exit of the module and of network namespaces.
 *
 * Exit undoes init in the reverse order: restore the kernel's limits, remove the
 * hooks, remove the files, free what hooks and files have used.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include <net/net_namespace.h>

#include "clamp.h"
#include "closing.h"
#include "hook.h"
#include "listenq.h"
#include "outcome.h"
#include "owner.h"
#include "record.h"
#include "refused.h"
#include "ring.h"
#include "sweep.h"
#include "totals.h"
#include "traffic.h"
#include "unix.h"

static unsigned int somaxconn;
module_param(somaxconn, uint, 0444);
MODULE_PARM_DESC(somaxconn, "N of a rule '* somaxconn N' in every network namespace, from the start (0 to 2147483647; default 0: none)");

static unsigned int log_interval = 60;
module_param(log_interval, uint, 0644);
MODULE_PARM_DESC(log_interval, "seconds between two kernel log lines about one listener whose accept queue overflows (default 60; 0: no lines)");

/* In this order, no traffic of a listener that was seen to start is missed. */
static const struct hook *const hook_tables[] = {
	traffic_hooks,
	closing_hooks,
	unix_hooks,
	listen_hooks,
};

/* Set by remove_files(): namespaces made from then on get no files. */
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
 * Remove the files before unregister_pernet_subsys(). Removing one waits for its
 * readers, which a page fault can keep inside read() forever, and waiting inside
 * unregister_pernet_subsys() would block the making of namespaces.
 */
static void remove_files(void)
{
	struct net *net = NULL;

	WRITE_ONCE(leaving, true);
	/* A namespace whose init has not seen @leaving is in the list after this. */
	net_ns_barrier();
	while ((net = namespace_behind(net)))
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
	err = owner_init();
	if (err)
		goto exit_clamp;
	err = ring_init();
	if (err)
		goto exit_owner;
	err = refused_init(&log_interval);
	if (err)
		goto exit_ring;
	err = closing_init();
	if (err)
		goto exit_refused;
	err = totals_init();
	if (err)
		goto exit_closing;
	err = outcome_init();
	if (err)
		goto exit_totals;
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
	/* A process may have written rules by now, which begins sweeps. */
	sweep_exit();
	hook_free();
	outcome_exit();
exit_totals:
	totals_exit();
exit_closing:
	closing_exit();
exit_refused:
	refused_exit();
exit_ring:
	ring_exit();
exit_owner:
	owner_exit();
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
	hook_free();
	outcome_exit();
	totals_exit();
	closing_exit();
	refused_exit();
	ring_exit();
	owner_exit();
	clamp_exit();
	record_exit();
}

module_init(listenq_init);
module_exit(listenq_exit);

MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Shows what the queues of every TCP listener hold, overrides the somaxconn clamp");
MODULE_LICENSE("GPL");
MODULE_VERSION(LISTENQ_VERSION);
