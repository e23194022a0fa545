// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/listenq: one directory in every network namespace.
 *
 * Which files there are, and what stands in them; decides nothing.
 * Documentation/proc-net-listenq.rst says what each column means,
 * Documentation/clamp.rst what a rule does.
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
#include "listener.h"
#include "listenq.h"
#include "reader.h"
#include "row.h"
#include "rules.h"
#include "socket.h"
#include "sweep.h"
#include "traffic.h"

static s64 if_known(bool known, s64 figure)
{
	return known ? figure : VALUE_UNKNOWN;
}

/* ---- sockets ---- */

enum {
	SOCKETS_PROTO, SOCKETS_LOCAL, SOCKETS_COOKIE, SOCKETS_INODE,
	SOCKETS_UID, SOCKETS_PID, SOCKETS_COMM,
	SOCKETS_ASKED, SOCKETS_GRANTED, SOCKETS_LIMIT, SOCKETS_RULE,
	SOCKETS_ACCEPTQ, SOCKETS_ACCEPTQ_PEAK, SOCKETS_ACCEPTQ_OLDEST_MS,
	SOCKETS_SYNQ, SOCKETS_SYNQ_YOUNG, SOCKETS_SYNQ_PEAK,
	SOCKETS_SINCE_MS, SOCKETS_SYNS, SOCKETS_ACCEPTS, SOCKETS_OVERFLOWS,
	SOCKETS_SYNQ_DROPS, SOCKETS_SYNCOOKIES, SOCKETS_SK_DROPS,
	SOCKETS_SINCE_OVERFLOW_MS,
};

static const struct column sockets_columns[] = {
	[SOCKETS_PROTO]			= { "proto", 7, COLUMN_PROTO },
	[SOCKETS_LOCAL]			= { "local", 22, COLUMN_LOCAL },
	[SOCKETS_COOKIE]		= { "cookie", 7, COLUMN_HEX },
	[SOCKETS_INODE]			= { "inode", 8 },
	[SOCKETS_UID]			= { "uid", 6 },
	[SOCKETS_PID]			= { "pid", 8 },
	[SOCKETS_COMM]			= { "comm", 16, COLUMN_WORD },
	[SOCKETS_ASKED]			= { "asked", 11, COLUMN_SIGNED },
	[SOCKETS_GRANTED]		= { "granted", 8 },
	[SOCKETS_LIMIT]			= { "limit", 6 },
	[SOCKETS_RULE]			= { "rule", 12, COLUMN_PORTS },
	[SOCKETS_ACCEPTQ]		= { "acceptq", 8 },
	[SOCKETS_ACCEPTQ_PEAK]		= { "acceptq_peak", 13 },
	[SOCKETS_ACCEPTQ_OLDEST_MS]	= { "acceptq_oldest_ms", 18 },
	[SOCKETS_SYNQ]			= { "synq", 5 },
	[SOCKETS_SYNQ_YOUNG]		= { "synq_young", 11 },
	[SOCKETS_SYNQ_PEAK]		= { "synq_peak", 10 },
	[SOCKETS_SINCE_MS]		= { "since_ms", 9 },
	[SOCKETS_SYNS]			= { "syns", 9 },
	[SOCKETS_ACCEPTS]		= { "accepts", 9 },
	[SOCKETS_OVERFLOWS]		= { "overflows", 10 },
	[SOCKETS_SYNQ_DROPS]		= { "synq_drops", 11 },
	[SOCKETS_SYNCOOKIES]		= { "syncookies", 11 },
	[SOCKETS_SK_DROPS]		= { "sk_drops", 9 },
	[SOCKETS_SINCE_OVERFLOW_MS]	= { "since_overflow_ms", 0 },
};

static __always_inline char *
put_view(struct seq_file *m, char *at, const struct sock *sk,
	 const struct listener_view *view, const struct traffic_known *known,
	 pid_t pid)
{
	const bool *counts = known->counts;
	const union value values[] = {
		[SOCKETS_PROTO].sk = sk,
		[SOCKETS_LOCAL].sk = sk,
		[SOCKETS_COOKIE].figure = view->cookie,
		[SOCKETS_INODE].figure = sock_ino(sk),
		[SOCKETS_UID].figure =
			from_kuid_munged(seq_user_ns(m), sk_uid(sk)),
		[SOCKETS_PID].figure = if_known(pid, pid),
		[SOCKETS_COMM].word = view->call.comm,

		[SOCKETS_ASKED].figure =
			if_known(view->call.asked_known, view->call.asked),
		[SOCKETS_GRANTED].figure = view->call.granted,
		[SOCKETS_LIMIT].figure = view->limit,
		[SOCKETS_RULE].ports = { view->rule.first, view->rule.last },

		[SOCKETS_ACCEPTQ].figure = view->acceptq,
		[SOCKETS_ACCEPTQ_PEAK].figure =
			if_known(known->acceptq_peak, view->acceptq_peak),
		[SOCKETS_ACCEPTQ_OLDEST_MS].figure =
			if_known(view->oldest_ms >= 0, view->oldest_ms),
		[SOCKETS_SYNQ].figure = view->synq,
		[SOCKETS_SYNQ_YOUNG].figure = view->synq_young,
		[SOCKETS_SYNQ_PEAK].figure =
			if_known(known->synq_peak, view->synq_peak),

		[SOCKETS_SINCE_MS].figure =
			if_known(view->record, view->since_ms),
		[SOCKETS_SYNS].figure =
			if_known(counts[TRAFFIC_SYNS],
				 view->counts[TRAFFIC_SYNS]),
		[SOCKETS_ACCEPTS].figure =
			if_known(accepts_known(known, sk),
				 view->counts[TRAFFIC_ACCEPTS]),
		[SOCKETS_OVERFLOWS].figure =
			if_known(counts[TRAFFIC_OVERFLOWS],
				 view->counts[TRAFFIC_OVERFLOWS]),
		[SOCKETS_SYNQ_DROPS].figure =
			if_known(counts[TRAFFIC_SYNQ_DROPS],
				 view->counts[TRAFFIC_SYNQ_DROPS]),
		[SOCKETS_SYNCOOKIES].figure =
			if_known(counts[TRAFFIC_SYNCOOKIES],
				 view->counts[TRAFFIC_SYNCOOKIES]),
		[SOCKETS_SK_DROPS].figure = view->drops,
		[SOCKETS_SINCE_OVERFLOW_MS].figure =
			if_known(counts[TRAFFIC_OVERFLOWS] &&
				 view->overflowed_ms >= 0, view->overflowed_ms),
	};

	return put_row(at, sockets_columns, values, ARRAY_SIZE(values));
}

static char *put_sockets(struct seq_file *m, char *at, const struct sock *sk,
			 struct listener_view *view)
{
	pid_t pid = reader_caller(m->private, m->file->f_cred, &view->call);

	return put_view(m, at, sk, view, known_of(m->private, sk, view), pid);
}

LISTENERS_FILE(sockets);

/* Peaks are for who looks on; who administers the namespace may reset them. */
static int sockets_write(struct file *file, char *text, size_t length)
{
	struct seq_file *m = file->private_data;
	struct net *net = seq_file_net(m);

	if (!file_ns_capable(file, net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (length && text[length - 1] == '\n')
		text[--length] = '\0';
	if (length != strlen("reset") || strcmp(text, "reset"))
		return -EINVAL;
	return sweep_reset_peaks(net);
}

/* ---- totals ---- */

static const struct column totals_columns[] = {
	{ "syns", 9 }, { "accepts", 9 }, { "overflows", 10 },
	{ "synq_drops", 11 }, { "syncookies", 0 },
};

/* What stands in these columns. */
static const enum traffic_count totals_counts[] = {
	TRAFFIC_SYNS, TRAFFIC_ACCEPTS, TRAFFIC_OVERFLOWS,
	TRAFFIC_SYNQ_DROPS, TRAFFIC_SYNCOOKIES,
};

static int totals_show(struct seq_file *m, void *v)
{
	struct traffic_known known = traffic_known(AF_UNSPEC);
	union value values[ARRAY_SIZE(totals_columns)];
	struct net *net = seq_file_single_net(m);
	unsigned int i;
	char *at;

	put_header(m, ROW_SIZE, totals_columns, ARRAY_SIZE(totals_columns));
	at = row_begin(m, ROW_SIZE);
	if (!at)
		return 0;
	for (i = 0; i < ARRAY_SIZE(totals_counts); i++)
		values[i].figure = if_known(known.counts[totals_counts[i]],
					    traffic_total(net, totals_counts[i]));
	row_commit(m, put_row(at, totals_columns, values, ARRAY_SIZE(values)));
	return 0;
}

/* ---- waits ---- */

enum {
	WAITS_COOKIE, WAITS_LOCAL, WAITS_COUNT, WAITS_SUM_MS, WAITS_FIRST,
	WAITS_COLUMNS = WAITS_FIRST + TRAFFIC_WAITS,
};

static const struct column waits_columns[WAITS_COLUMNS] = {
	[WAITS_COOKIE]	= { "cookie", 7, COLUMN_HEX },
	[WAITS_LOCAL]	= { "local", 22, COLUMN_LOCAL },
	[WAITS_COUNT]	= { "count", 9 },
	[WAITS_SUM_MS]	= { "sum_ms", 11 },
	[WAITS_FIRST]	= { "4ms", 8 }, { "8ms", 8 }, { "16ms", 8 },
	{ "32ms", 8 }, { "64ms", 8 }, { "128ms", 8 }, { "256ms", 8 },
	{ "512ms", 8 }, { "1024ms", 8 }, { "2048ms", 8 }, { "4096ms", 8 },
	{ "8192ms", 8 }, { "16384ms", 8 }, { "32768ms", 8 }, { "65536ms", 8 },
	{ "more", 0 },
};

static char *put_waits(struct seq_file *m, char *at, const struct sock *sk,
		       struct listener_view *view)
{
	unsigned long counts[TRAFFIC_WAITS] = { };
	union value values[WAITS_COLUMNS];
	unsigned long count = 0, ms = 0;
	unsigned int i;
	bool known;

	known = accepts_known(known_of(m->private, sk, view), sk);
	if (known)
		listener_read_waits(view, counts, &ms);

	for (i = 0; i < TRAFFIC_WAITS; i++) {
		values[WAITS_FIRST + i].figure = if_known(known, counts[i]);
		count += counts[i];
	}
	values[WAITS_COOKIE].figure = view->cookie;
	values[WAITS_LOCAL].sk = sk;
	values[WAITS_COUNT].figure = if_known(known, count);
	values[WAITS_SUM_MS].figure = if_known(known, ms);
	return put_row(at, waits_columns, values, ARRAY_SIZE(values));
}

LISTENERS_FILE(waits);

/* ---- clamp ---- */

/* Bytes that a write may have. */
#define CLAMP_WRITE_MAX 65536

static int clamp_show(struct seq_file *m, void *v)
{
	struct net *net = m->private;
	const struct clamp_rules *rules;
	char error[CLAMP_ERROR_SIZE];
	unsigned int i;

	rcu_read_lock();
	rules = clamp_rules(net);
	for (i = 0; rules && i < rules->count; i++)
		put_rule(m, &rules->rule[i]);
	rcu_read_unlock();

	clamp_error(net, error);
	if (*error)
		seq_printf(m, "# last error: %s\n", error);
	return 0;
}

/*
 * A larger queue is memory of the host's, so it takes a privilege over the
 * host, and it is the opener who needs it: a descriptor may have been handed
 * to somebody who doesn't know what it is.
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
		rules_refuse(net, NULL, "more than 65536 bytes in a write");
		return -E2BIG;
	}
	text = kvmalloc(length, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	err = copy_from_user(text, from, length) ? -EFAULT :
	      rules_take(net, text, length);
	kvfree(text);
	return err ?: length;
}

/*
 * Who has it open holds the namespace, as with the other files: its end would
 * wait for who reads, and the ends of all other namespaces with it.
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
};

static int hooks_show(struct seq_file *m, void *v)
{
	struct hook_status status;
	unsigned int i;

	seq_printf(m, "%-22s %-9s %10s %8s  serves\n",
		   "symbol", "state", "hits", "nmissed");
	for (i = 0; hook_status(i, &status); i++) {
		seq_printf(m, "%-22s %-9s ", status.hook->symbol,
			   hook_states[status.state]);
		if (status.state == HOOK_ON)
			seq_printf(m, "%10lu %8lu", status.hits, status.missed);
		else
			seq_printf(m, "%10s %8s", "-", "-");
		seq_printf(m, "  %s", status.hook->serves);
		if (status.state == HOOK_MISSING && status.hook->lost)
			seq_printf(m, " (without it %s)", status.hook->lost);
		seq_putc(m, '\n');
	}
	seq_printf(m, "%-22s %-9s %10lu %8s  %s\n", "unrecorded", "-",
		   listener_unrecorded(), "-",
		   "listeners that a walk met without a record");
	return 0;
}

/* ---- namespaces ---- */

/**
 * listenq_proc_init() - give a network namespace its directory
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
	    !proc_create_net("waits", 0444, dir, &waits_ops,
			     sizeof(struct reader)) ||
	    !proc_create_net_single("totals", 0444, dir, totals_show, NULL) ||
	    !proc_create_data("clamp", 0644, dir, &clamp_ops, net) ||
	    !proc_create_net_single("hooks", 0444, dir, hooks_show, NULL)) {
		listenq_proc_exit(net);
		return -ENOMEM;
	}
	return 0;
}

/**
 * listenq_proc_exit() - take the directory away
 * @net: the namespace
 *
 * Waits for those who are reading or writing; who has a file open gets an
 * error from then on (fs/proc/inode.c, proc_entry_rundown()). May be called
 * twice.
 *
 * Context: process context.
 */
void listenq_proc_exit(struct net *net)
{
	remove_proc_subtree("listenq", net->proc_net);
}
