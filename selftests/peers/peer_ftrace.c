// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else's ftrace_ops, which count:
 *
 *	insmod peer_ftrace.ko functions=SYMBOL,...
 *
 * One for each function; one that the kernel doesn't have fails the load.
 */
#include <linux/ftrace.h>
#include <linux/module.h>

#include "hits.h"

static char *functions[ARRAY_SIZE(hits)];
static unsigned int count;
module_param_array(functions, charp, &count, 0444);
MODULE_PARM_DESC(functions, "functions whose calls are counted");

static struct ftrace_ops ops[ARRAY_SIZE(functions)];

#ifndef HAVE_ftrace_regs
#define ftrace_regs pt_regs
#endif

static void called(unsigned long ip, unsigned long parent_ip,
		   struct ftrace_ops *op, struct ftrace_regs *regs)
{
	atomic_long_inc(&hits[op - ops]);
}

static int place(struct ftrace_ops *op, char *function)
{
	int err;

	op->func = called;
	err = ftrace_set_filter(op, function, strlen(function), 1);
	return err ?: register_ftrace_function(op);
}

static void remove(struct ftrace_ops *op)
{
	unregister_ftrace_function(op);
	ftrace_set_filter(op, NULL, 0, 1);
}

static void remove_all(unsigned int placed)
{
	while (placed--)
		remove(&ops[placed]);
}

static int __init peer_ftrace_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = place(&ops[i], functions[i]);
		if (err) {
			remove_all(i);
			return err;
		}
	}
	return 0;
}

static void __exit peer_ftrace_exit(void)
{
	remove_all(count);
}

module_init(peer_ftrace_init);
module_exit(peer_ftrace_exit);
MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Counts calls of functions by ftrace_ops");
MODULE_LICENSE("GPL");
