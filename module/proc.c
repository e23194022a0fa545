// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/listenq: a directory in each network namespace.
 *
 * Makes the files, and prints those that are not tables of listeners; decides
 * nothing. Documentation/proc-net-listenq.rst describes the columns,
 * Documentation/clamp.rst the rules.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "clamp.h"
#include "compat.h"
#include "hook.h"
#include "known.h"
#include "listener.h"
#include "listenq.h"
#include "outcome.h"
#include "reader.h"
#include "refusals.h"
#include "row.h"
#include "rules.h"
#include "socket.h"
#include "sweep.h"
#include "tables.h"
#include "totals.h"

/* ---- totals ---- */

static const struct {
	struct column column;
	enum traffic_count count;
} totals_columns[] = {
	{ { "syns", 9 }, TRAFFIC_SYNS },
	{ { "accepts", 9 }, TRAFFIC_ACCEPTS },
	{ { "overflows", 10 }, TRAFFIC_OVERFLOWS },
	{ { "synq_drops", 11 }, TRAFFIC_SYNQ_DROPS },
	{ { "syncookies", 11 }, TRAFFIC_SYNCOOKIES },
	{ { "requests", 9 }, TRAFFIC_REQUESTS },
	{ { "finished", 9 }, TRAFFIC_FINISHED },
	{ { "expired", 8 }, TRAFFIC_EXPIRED },
	{ { "reset", 8 }, TRAFFIC_RESET },
	{ { "resent", 8 }, TRAFFIC_RESENT },
	{ { "cookies_finished", 17 }, TRAFFIC_COOKIES_FINISHED },
	{ { "cookies_failed", 15 }, TRAFFIC_COOKIES_FAILED },
	{ { "fastopens", 10 }, TRAFFIC_FASTOPENS },
	{ { "fastopen_overflows", 19 }, TRAFFIC_FASTOPEN_OVERFLOWS },
	{ { "failed", 7 }, TRAFFIC_FAILED },
	{ { "carried_requests", 17 }, TRAFFIC_CARRIED_REQUESTS },
	{ { "carried_connections", 20 }, TRAFFIC_CARRIED_CONNECTIONS },
	{ { "joined", 7 }, TRAFFIC_JOINED },
	{ { "overflows_ack", 14 }, TRAFFIC_OVERFLOWS_ACK },
	{ { "synq_reserved", 14 }, TRAFFIC_SYNQ_RESERVED },
	{ { "unaccepted", 11 }, TRAFFIC_UNACCEPTED },
	{ { "abandoned", 0 }, TRAFFIC_ABANDONED },
};

/* Derived figures are brought up to date first. */
static int totals_show(struct seq_file *m, void *v)
{
	struct net *net = seq_file_single_net(m);
	char *at = row_begin(m, 2 * ROW_SIZE);
	enum traffic_count count;
	struct known known;
	unsigned int i;
	int err;

	if (!at)
		return 0;
	sweep_check_hooks();
	outcome_settle(net);
	err = sweep_namespace(net, listener_derive);
	if (err)
		return err;
	known = known_now(AF_UNSPEC);
	for (i = 0; i < ARRAY_SIZE(totals_columns); i++)
		at = put_title(at, &totals_columns[i].column);
	at = row_end(at);
	for (i = 0; i < ARRAY_SIZE(totals_columns); i++) {
		count = totals_columns[i].count;
		at = put_figure(at, &totals_columns[i].column,
				if_known(known.counts[count],
					 totals_read(net, count)));
	}
	row_commit(m, row_end(at));
	return 0;
}

/* ---- clamp ---- */

/*
 * Largest write: room for CLAMP_RULES_MAX rules with the longest names in octal.
 */
#define CLAMP_WRITE_MAX 524288

static int clamp_show(struct seq_file *m, void *v)
{
	struct net *net = m->private;
	const struct clamp_rules *rules;
	char error[CLAMP_ERROR_SIZE];
	unsigned int i;

	rcu_read_lock();
	rules = clamp_rules(net);
	for (i = 0; rules && i < rules->count; i++)
		put_rule(m, &rules->rule[i], (struct unix_name) { });
	for (i = 0; rules && i < rules->named_count; i++)
		put_rule(m, &rules->named[i].rule,
			 clamp_name(&rules->named[i]));
	rcu_read_unlock();

	clamp_error(net, error);
	if (*error)
		seq_printf(m, "# last error: %s\n", error);
	return 0;
}

/*
 * A longer queue uses the host's memory, so a write needs a privilege over the host.
 * The opener must have it: the writer may have got the descriptor without knowing
 * what it is.
 */
static ssize_t clamp_write(struct file *file, const char __user *from,
			   size_t length, loff_t *pos)
{
	struct net *net = pde_data(file_inode(file));
	char *text;
	int err;

	if (!file_ns_capable(file, &init_user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (!length)
		return 0;
	if (length > CLAMP_WRITE_MAX) {
		rules_refuse(net, NULL, "more than 524288 bytes in a write");
		return -E2BIG;
	}
	text = kvmalloc(length, GFP_KERNEL_ACCOUNT);
	if (!text)
		return -ENOMEM;
	err = copy_from_user(text, from, length) ? -EFAULT :
	      rules_take(net, text, length);
	kvfree(text);
	return err ?: length;
}

/*
 * Pin the namespace while the file is open, as the other files do: its cleanup would
 * wait for readers and block the cleanup of all other namespaces.
 */
static int clamp_open(struct inode *inode, struct file *file)
{
	struct net *net = maybe_get_net(pde_data(inode));
	int err;

	if (!net)
		return -ENXIO;
	err = single_open(file, clamp_show, net);
	if (err)
		put_net(net);
	return err;
}

static int clamp_release(struct inode *inode, struct file *file)
{
	put_net(pde_data(inode));
	return single_release(inode, file);
}

static const struct proc_ops clamp_ops = {
	.proc_open	= clamp_open,
	.proc_read_iter	= seq_read_iter,
	.proc_lseek	= seq_lseek,
	.proc_write	= clamp_write,
	.proc_release	= clamp_release,
};

/* ---- hooks ---- */

static const char * const hook_states[] = {
	[HOOK_MISSING]	= "missing",
	[HOOK_UNNEEDED]	= "unneeded",
	[HOOK_ON]	= "on",
	[HOOK_SILENCED]	= "silenced",
};

static int hooks_show(struct seq_file *m, void *v)
{
	struct hook_status status;
	unsigned int i;
	bool placed;

	sweep_check_hooks();
	seq_printf(m, "%-33s %-9s %-9s %10s %8s  serves\n",
		   "symbol", "how", "state", "hits", "nmissed");
	for (i = 0; hook_status(i, &status); i++) {
		placed = status.state == HOOK_ON ||
			 status.state == HOOK_SILENCED;
		seq_printf(m, "%-33s %-9s %-9s ", status.hook->symbol,
			   placed ? status.how : "-",
			   hook_states[status.state]);
		if (placed)
			seq_printf(m, "%10lu %8lu", status.hits, status.missed);
		else
			seq_printf(m, "%10s %8s", "-", "-");
		seq_printf(m, "  %s", status.hook->serves);
		if (status.state == HOOK_MISSING && status.hook->lost)
			seq_printf(m, " (without it %s)", status.hook->lost);
		seq_putc(m, '\n');
	}
	seq_printf(m, "%-33s %-9s %-9s %10lu %8s  %s\n", "unrecorded", "-",
		   "-", listener_unrecorded(), "-",
		   "listeners that a walk met without a record");
	return 0;
}

/* ---- namespaces ---- */

/**
 * listenq_proc_init() - make the directory and files of a network namespace
 * @net: the namespace
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int listenq_proc_init(struct net *net)
{
	struct proc_dir_entry *dir;

	dir = proc_net_mkdir(net, "listenq", net->proc_net);
	if (!dir)
		return -ENOMEM;
	if (!proc_create_net_data_write("sockets", 0644, dir, &sockets_ops,
					sockets_write,
					sizeof(struct reader), NULL) ||
	    !proc_create_net("handshakes", 0444, dir, &handshakes_ops,
			     sizeof(struct reader)) ||
	    !proc_create_net("waits", 0444, dir, &waits_ops,
			     sizeof(struct reader)) ||
	    !proc_create_net("drops", 0444, dir, &drops_ops,
			     sizeof(struct reader)) ||
	    !proc_create_net("unix", 0444, dir, &unix_ops,
			     sizeof(struct reader)) ||
	    !proc_create_data("refused", 0400, dir, &refusals_proc_ops, net) ||
	    !proc_create_net_single("totals", 0444, dir, totals_show, NULL) ||
	    !proc_create_data("clamp", 0644, dir, &clamp_ops, net) ||
	    !proc_create_net_single("hooks", 0444, dir, hooks_show, NULL)) {
		listenq_proc_exit(net);
		return -ENOMEM;
	}
	return 0;
}

/**
 * listenq_proc_exit() - remove the directory and files of a network namespace
 * @net: the namespace
 *
 * Waits for reads and writes in progress; later ones on open files fail
 * (fs/proc/inode.c, proc_entry_rundown()). May be called twice.
 *
 * Context: process context.
 */
void listenq_proc_exit(struct net *net)
{
	remove_proc_subtree("listenq", net->proc_net);
}
