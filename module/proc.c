// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/listenq: one directory in every network namespace.
 *
 * Formats and parses, and decides nothing. Documentation/proc-net-listenq.rst
 * says what each column means, Documentation/clamp.rst what a rule does.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <net/inet_sock.h>
#include <net/mptcp.h>
#include <net/sock.h>

#include "clamp.h"
#include "compat.h"
#include "hook.h"
#include "listener.h"
#include "listenq.h"
#include "row.h"
#include "rules.h"
#include "socket.h"
#include "traffic.h"

/*
 * What a file of listeners holds at a time, however little its reader takes:
 * to resume in a bucket of thousands costs a pass over it.
 */
#define READ_SIZE 65536

/* For so little it takes no further pass. */
#define ROW_SPARE (READ_SIZE / 8)

/* ---- sockets ---- */

enum sockets_column {
	PROTO, LOCAL, COOKIE, INODE, UID, PID, COMM,
	ASKED, GRANTED, LIMIT, RULE,
	ACCEPTQ, ACCEPTQ_PEAK, ACCEPTQ_OLDEST_MS,
	SYNQ, SYNQ_YOUNG, SYNQ_PEAK,
	SINCE_MS, SYNS, ACCEPTS, OVERFLOWS, SYNQ_DROPS, SYNCOOKIES, SK_DROPS,
	SINCE_OVERFLOW_MS,
};

/* New ones are only ever appended. */
static const struct column columns[] = {
	[PROTO]			= { "proto", 7 },
	[LOCAL]			= { "local", 22 },
	[COOKIE]		= { "cookie", 7 },
	[INODE]			= { "inode", 8 },
	[UID]			= { "uid", 6 },
	[PID]			= { "pid", 8 },
	[COMM]			= { "comm", 16 },
	[ASKED]			= { "asked", 11 },
	[GRANTED]		= { "granted", 8 },
	[LIMIT]			= { "limit", 6 },
	[RULE]			= { "rule", 12 },
	[ACCEPTQ]		= { "acceptq", 8 },
	[ACCEPTQ_PEAK]		= { "acceptq_peak", 13 },
	[ACCEPTQ_OLDEST_MS]	= { "acceptq_oldest_ms", 18 },
	[SYNQ]			= { "synq", 5 },
	[SYNQ_YOUNG]		= { "synq_young", 11 },
	[SYNQ_PEAK]		= { "synq_peak", 10 },
	[SINCE_MS]		= { "since_ms", 9 },
	[SYNS]			= { "syns", 9 },
	[ACCEPTS]		= { "accepts", 9 },
	[OVERFLOWS]		= { "overflows", 10 },
	[SYNQ_DROPS]		= { "synq_drops", 11 },
	[SYNCOOKIES]		= { "syncookies", 11 },
	[SK_DROPS]		= { "sk_drops", 9 },
	[SINCE_OVERFLOW_MS]	= { "since_overflow_ms", 0 },
};

/**
 * struct sockets_reader - somebody who has a file of listeners open
 * @p: the namespace; seq_file_net() wants it first
 * @is_admin: whether the opener has CAP_NET_ADMIN over the namespace
 * @known: which figures of IPv4's listeners have all their hooks
 * @known6: the same of IPv6's
 * @walk: where the reader is
 * @row_size: what a row has taken on average, in bytes
 * @caller: the process that was looked up last in this read, in the initial
 *	PID namespace; 0: none was
 * @caller_started: when it started
 * @caller_pid: its number as the reader's PID namespace sees it, 0: it doesn't
 */
struct sockets_reader {
	struct seq_net_private p;
	bool is_admin;
	struct traffic_known known;
	struct traffic_known known6;
	struct listener_walk walk;
	unsigned int row_size;
	pid_t caller;
	u64 caller_started;
	pid_t caller_pid;
};

/* All are as long, padded: no need to look for their ends. */
static char *put_proto(char *at, const struct sock *sk)
{
	static const char names[2][2][8] = {
		{ "tcp    ", "tcp6   " }, { "mptcp  ", "mptcp6 " },
	};

	memcpy(at, names[sk_is_mptcp(sk)][sk->sk_family == AF_INET6], 8);
	return at + columns[PROTO].width;
}

static char *put_bound_device(char *at, const struct sock *sk)
{
	int index = READ_ONCE(sk->sk_bound_dev_if);
	const struct net_device *dev;

	if (!index)
		return at;
	at = put_char(at, '%');
	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), index);
	if (dev)
		at = put_escaped(at, dev->name);
	else
		at = put_decimal(at, index);
	rcu_read_unlock();
	return at;
}

static char *put_local(char *at, const struct column *column,
		       const struct sock *sk)
{
	char *start = at;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		at += sprintf(at, "[%pI6c]", &sk->sk_v6_rcv_saddr);
	else
#endif
		at = put_ipv4(at, sk->sk_rcv_saddr);
	at = put_bound_device(at, sk);
	at = put_decimal(put_char(at, ':'), ntohs(inet_sk(sk)->inet_sport));
	return pad(at, start, column);
}

/*
 * The caller's number as the reader's PID namespace sees it; 0 where it does
 * not. A record pins no process, so the number is looked up: it may be
 * nobody's by now, which leaves the initial namespace's as it was, or that of
 * another process or thread, which must not be taken for the caller.
 */
static pid_t find_caller(const struct listen_call *call)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	const struct task_struct *task;
	struct pid *pid;
	pid_t nr;

	rcu_read_lock();
	pid = find_pid_ns(call->pid, &init_pid_ns);
	task = pid_task(pid, PIDTYPE_TGID);
	if (task && task->start_time == call->started)
		nr = pid_nr_ns(pid, ns);
	else if (!pid_task(pid, PIDTYPE_PID))
		nr = ns == &init_pid_ns ? call->pid : 0;
	else
		nr = 0;
	rcu_read_unlock();
	return nr;
}

/* A process may have many listeners: the one that was found last is kept. */
static pid_t caller_pid(struct sockets_reader *reader,
			const struct listen_call *call)
{
	if (reader->caller != call->pid ||
	    reader->caller_started != call->started) {
		reader->caller = call->pid;
		reader->caller_started = call->started;
		reader->caller_pid = find_caller(call);
	}
	return reader->caller_pid;
}

/*
 * A process' number and name are for its user, as far as the user's own PID
 * namespace reaches, and for who administers the network namespace: others may
 * not see them in /proc either. As with other files, the credentials are the
 * opener's.
 */
static char *put_caller(char *at, struct sockets_reader *reader,
			const struct cred *opener,
			const struct listen_call *call)
{
	pid_t pid = 0;
	bool known;

	known = call->pid && (reader->is_admin ||
			      uid_eq(opener->fsuid, call->uid));
	if (known)
		pid = caller_pid(reader, call);
	at = put_if(at, &columns[PID], pid, pid);
	known = known && (pid || reader->is_admin);
	return put_word(at, &columns[COMM], known ? call->comm : "");
}

static char *put_rule_column(char *at, struct selector rule)
{
	if (!rule.last)
		return put_unknown(at, &columns[RULE]);
	return pad(put_selector(at, rule), at, &columns[RULE]);
}

/* Which figures of a listener are known. */
static const struct traffic_known *
known_of(const struct sockets_reader *reader, const struct sock *sk,
	 const struct listener_view *view)
{
	static const struct traffic_known nothing;

	if (!view->recorded)
		return &nothing;
	return sk->sk_family == AF_INET6 ? &reader->known6 : &reader->known;
}

/* An MPTCP socket is accepted where its subflow is not seen. */
static bool accepts_known(const struct traffic_known *known,
			  const struct sock *sk)
{
	return known->counts[TRAFFIC_ACCEPTS] && !sk_is_mptcp(sk);
}

static char *put_listener(struct seq_file *m, char *at, struct sock *sk)
{
	const struct traffic_known *known;
	struct listener_view view;

	listener_read(sk, &view);
	known = known_of(m->private, sk, &view);

	at = put_proto(at, sk);
	at = put_local(at, &columns[LOCAL], sk);
	at = put_cookie(at, &columns[COOKIE], view.cookie);
	at = put_unsigned(at, &columns[INODE], sock_ino(sk));
	at = put_unsigned(at, &columns[UID],
			  from_kuid_munged(seq_user_ns(m), sk_uid(sk)));
	at = put_caller(at, m->private, m->file->f_cred, &view.call);

	if (view.call.asked_known)
		at = put_signed(at, &columns[ASKED], view.call.asked);
	else
		at = put_unknown(at, &columns[ASKED]);
	at = put_unsigned(at, &columns[GRANTED], view.call.granted);
	at = put_unsigned(at, &columns[LIMIT], view.limit);
	at = put_rule_column(at, view.rule);

	at = put_unsigned(at, &columns[ACCEPTQ], view.acceptq);
	at = put_if(at, &columns[ACCEPTQ_PEAK], known->acceptq_peak,
		    view.acceptq_peak);
	at = put_if(at, &columns[ACCEPTQ_OLDEST_MS], view.oldest_ms >= 0,
		    view.oldest_ms);
	at = put_unsigned(at, &columns[SYNQ], view.synq);
	at = put_unsigned(at, &columns[SYNQ_YOUNG], view.synq_young);
	at = put_if(at, &columns[SYNQ_PEAK], known->synq_peak, view.synq_peak);

	at = put_if(at, &columns[SINCE_MS], view.recorded, view.since_ms);
	at = put_if(at, &columns[SYNS], known->counts[TRAFFIC_SYNS],
		    view.counts[TRAFFIC_SYNS]);
	at = put_if(at, &columns[ACCEPTS], accepts_known(known, sk),
		    view.counts[TRAFFIC_ACCEPTS]);
	at = put_if(at, &columns[OVERFLOWS], known->counts[TRAFFIC_OVERFLOWS],
		    view.counts[TRAFFIC_OVERFLOWS]);
	at = put_if(at, &columns[SYNQ_DROPS],
		    known->counts[TRAFFIC_SYNQ_DROPS],
		    view.counts[TRAFFIC_SYNQ_DROPS]);
	at = put_if(at, &columns[SYNCOOKIES],
		    known->counts[TRAFFIC_SYNCOOKIES],
		    view.counts[TRAFFIC_SYNCOOKIES]);
	at = put_unsigned(at, &columns[SK_DROPS], view.drops);
	at = put_if(at, &columns[SINCE_OVERFLOW_MS],
		    known->counts[TRAFFIC_OVERFLOWS] && view.overflowed_ms >= 0,
		    view.overflowed_ms);
	return row_end(at);
}

/*
 * What seq_file takes for a record is the header, or as many rows as fit into
 * the file's buffer: no listener is in anybody's hands between two of them.
 */
static void *sockets_start(struct seq_file *m, loff_t *pos)
{
	struct sockets_reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;

	reader->caller = 0;
	if (*pos)
		return listener_walk_ends(walk) ? NULL : reader;

	memset(walk, 0, sizeof(*walk));
	walk->net = seq_file_net(m);
	reader->row_size = ROW_SIZE / 2;
	reader->is_admin = file_ns_capable(m->file, walk->net->user_ns,
					   CAP_NET_ADMIN);
	reader->known = traffic_known(AF_INET);
	reader->known6 = traffic_known(AF_INET6);
	return SEQ_START_TOKEN;
}

static void *sockets_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct sockets_reader *reader = m->private;

	++*pos;
	return listener_walk_ends(&reader->walk) ? NULL : reader;
}

static void sockets_stop(struct seq_file *m, void *v)
{
}

/*
 * Rows, until the buffer is full but for a few. A listener that is gone by now
 * has none.
 */
static __always_inline void
put_rows(struct seq_file *m,
	 char *(*put_row)(struct seq_file *m, char *at, struct sock *sk))
{
	struct sockets_reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;
	char *at = row_begin(m, ROW_SPARE);
	char *first, *next, *end;
	unsigned int i;

	if (!at)
		return;
	end = at + seq_get_buf(m, &first);
	record_fill_pool();
	while (end - at >= ROW_SPARE && !listener_walk_ends(walk)) {
		first = at;
		rcu_read_lock();
		listener_walk_take(walk, (end - at) / reader->row_size);
		for (i = 0; i < walk->count && end - at >= ROW_SIZE; i++) {
			next = put_row(m, at, walk->batch[i]);
			if (listener_is_there(walk->batch[i]))
				at = next;
		}
		listener_walk_leave(walk, i);
		rcu_read_unlock();
		if (at > first)
			reader->row_size = (at - first) / i + 1;
		cond_resched();
	}
	row_commit(m, at);
}

static int sockets_show(struct seq_file *m, void *v)
{
	if (v == SEQ_START_TOKEN)
		put_header(m, READ_SIZE, columns, ARRAY_SIZE(columns));
	else
		put_rows(m, put_listener);
	return 0;
}

static const struct seq_operations sockets_ops = {
	.start	= sockets_start,
	.next	= sockets_next,
	.stop	= sockets_stop,
	.show	= sockets_show,
};

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
	listener_reset_peaks(net);
	return 0;
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
	struct net *net = seq_file_single_net(m);
	unsigned int i;
	char *at;

	put_header(m, ROW_SIZE, totals_columns, ARRAY_SIZE(totals_columns));
	at = row_begin(m, ROW_SIZE);
	if (!at)
		return 0;
	for (i = 0; i < ARRAY_SIZE(totals_counts); i++)
		at = put_if(at, &totals_columns[i],
			    known.counts[totals_counts[i]],
			    traffic_total(net, totals_counts[i]));
	row_commit(m, row_end(at));
	return 0;
}

/* ---- waits ---- */

enum waits_column {
	WAITS_COOKIE, WAITS_LOCAL, WAITS_COUNT, WAITS_SUM_MS, WAITS_FIRST,
	WAITS_COLUMNS = WAITS_FIRST + TRAFFIC_WAITS,
};

static const struct column waits_columns[WAITS_COLUMNS] = {
	[WAITS_COOKIE]	= { "cookie", 7 },
	[WAITS_LOCAL]	= { "local", 22 },
	[WAITS_COUNT]	= { "count", 9 },
	[WAITS_SUM_MS]	= { "sum_ms", 11 },
	[WAITS_FIRST]	= { "4ms", 8 }, { "8ms", 8 }, { "16ms", 8 },
	{ "32ms", 8 }, { "64ms", 8 }, { "128ms", 8 }, { "256ms", 8 },
	{ "512ms", 8 }, { "1024ms", 8 }, { "2048ms", 8 }, { "4096ms", 8 },
	{ "8192ms", 8 }, { "16384ms", 8 }, { "32768ms", 8 }, { "65536ms", 8 },
	{ "more", 0 },
};

static char *put_waits(struct seq_file *m, char *at, struct sock *sk)
{
	unsigned long counts[TRAFFIC_WAITS] = { };
	unsigned long count = 0, ms = 0;
	struct listener_view view;
	unsigned int i;
	bool known;

	listener_read(sk, &view);
	known = accepts_known(known_of(m->private, sk, &view), sk) &&
		listener_read_waits(sk, counts, &ms);
	for (i = 0; i < TRAFFIC_WAITS; i++)
		count += counts[i];

	at = put_cookie(at, &waits_columns[WAITS_COOKIE], view.cookie);
	at = put_local(at, &waits_columns[WAITS_LOCAL], sk);
	at = put_if(at, &waits_columns[WAITS_COUNT], known, count);
	at = put_if(at, &waits_columns[WAITS_SUM_MS], known, ms);
	for (i = 0; i < TRAFFIC_WAITS; i++)
		at = put_if(at, &waits_columns[WAITS_FIRST + i], known,
			    counts[i]);
	return row_end(at);
}

static int waits_show(struct seq_file *m, void *v)
{
	if (v == SEQ_START_TOKEN)
		put_header(m, READ_SIZE, waits_columns, ARRAY_SIZE(waits_columns));
	else
		put_rows(m, put_waits);
	return 0;
}

static const struct seq_operations waits_ops = {
	.start	= sockets_start,
	.next	= sockets_next,
	.stop	= sockets_stop,
	.show	= waits_show,
};

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
					sizeof(struct sockets_reader), NULL) ||
	    !proc_create_net("waits", 0444, dir, &waits_ops,
			     sizeof(struct sockets_reader)) ||
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
