// SPDX-License-Identifier: GPL-2.0-only
/*
 * Init, exit, network namespaces: the order of things.
 *
 * Exit is init backwards: first nobody reads any more, then no hook fires,
 * then what they used goes.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <net/net_namespace.h>

#include "listenq.h"

static const struct hook *const hook_tables[] = {
	listen_hooks,
};

static struct pernet_operations namespaces = {
	.init	= listenq_proc_init,
	.exit	= listenq_proc_exit,
};

static int __init listenq_init(void)
{
	int err;

	err = listener_init();
	if (err)
		return err;
	err = hook_init(hook_tables, ARRAY_SIZE(hook_tables));
	if (err)
		goto exit_listener;
	listener_sweep();
	err = register_pernet_subsys(&namespaces);
	if (err)
		goto exit_hook;
	return 0;

exit_hook:
	hook_exit();
exit_listener:
	listener_exit();
	return err;
}

static void __exit listenq_exit(void)
{
	unregister_pernet_subsys(&namespaces);
	hook_exit();
	listener_exit();
}

module_init(listenq_init);
module_exit(listenq_exit);

MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Shows what the queues of every TCP listener hold");
MODULE_LICENSE("GPL");
MODULE_VERSION(LISTENQ_VERSION);
