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
#include <linux/mm.h>
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

/* ---- files of listeners ---- */

/**
 * struct reader - somebody who has a file of listeners open
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
struct reader {
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
static pid_t caller_pid(struct reader *reader,
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

/* Which figures of a listener are known. */
static const struct traffic_known *
known_of(const struct reader *reader, const struct sock *sk,
	 const struct listener_view *view)
{
	static const struct traffic_known nothing;

	if (!view->record)
		return &nothing;
	return sk->sk_family == AF_INET6 ? &reader->known6 : &reader->known;
}

/* An MPTCP socket is accepted where its subflow is not seen. */
static bool accepts_known(const struct traffic_known *known,
			  const struct sock *sk)
{
	return known->counts[TRAFFIC_ACCEPTS] && !sk_is_mptcp(sk);
}

/*
 * What seq_file takes for a record is the header, or as many rows as fit into
 * the file's buffer: no listener is in anybody's hands between two of them.
 */
static void *reader_start(struct seq_file *m, loff_t *pos)
{
	struct reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;

	reader->caller = 0;
	if (*pos)
		return listener_walk_ends(walk) ? NULL : reader;

	listener_walk_begin(walk, seq_file_net(m));
	reader->row_size = ROW_SIZE / 2;
	reader->is_admin = file_ns_capable(m->file, walk->net->user_ns,
					   CAP_NET_ADMIN);
	reader->known = traffic_known(AF_INET);
	reader->known6 = traffic_known(AF_INET6);
	return SEQ_START_TOKEN;
}

static void *reader_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct reader *reader = m->private;

	++*pos;
	return listener_walk_ends(&reader->walk) ? NULL : reader;
}

static void reader_stop(struct seq_file *m, void *v)
{
}

/*
 * Rows, until the buffer is full but for a few. A listener that is gone by now
 * has none.
 */
static __always_inline void
put_listeners(struct seq_file *m,
	      char *(*put)(struct seq_file *m, char *at, const struct sock *sk,
			   struct listener_view *view))
{
	struct reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;
	char *at = row_begin(m, ROW_SPARE);
	struct listener_view view;
	char *first, *next, *end;
	struct sock *sk;
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
			sk = walk->batch[i];
			listener_read(sk, &view);
			next = put(m, at, sk, &view);
			if (listener_is_same(sk, &view))
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

/*
 * A file of listeners is a table of its columns, new ones only ever appended,
 * and a function that puts a listener's row.
 */
#define LISTENERS_FILE(name)						\
static int name##_show(struct seq_file *m, void *v)			\
{									\
	if (v == SEQ_START_TOKEN)					\
		put_header(m, READ_SIZE, name##_columns,		\
			   ARRAY_SIZE(name##_columns));			\
	else								\
		put_listeners(m, put_##name);				\
	return 0;							\
}									\
									\
static const struct seq_operations name##_ops = {			\
	.start	= reader_start,						\
	.next	= reader_next,						\
	.stop	= reader_stop,						\
	.show	= name##_show,						\
}

static s64 if_known(bool known, s64 figure)
{
	return known ? figure : VALUE_UNKNOWN;
}

/* ---- sockets ---- */

enum {
	PROTO, LOCAL, COOKIE, INODE, UID, PID, COMM,
	ASKED, GRANTED, LIMIT, RULE,
	ACCEPTQ, ACCEPTQ_PEAK, ACCEPTQ_OLDEST_MS,
	SYNQ, SYNQ_YOUNG, SYNQ_PEAK,
	SINCE_MS, SYNS, ACCEPTS, OVERFLOWS, SYNQ_DROPS, SYNCOOKIES, SK_DROPS,
	SINCE_OVERFLOW_MS,
};

static const struct column sockets_columns[] = {
	[PROTO]			= { "proto", 7, COLUMN_PROTO },
	[LOCAL]			= { "local", 22, COLUMN_LOCAL },
	[COOKIE]		= { "cookie", 7, COLUMN_HEX },
	[INODE]			= { "inode", 8 },
	[UID]			= { "uid", 6 },
	[PID]			= { "pid", 8 },
	[COMM]			= { "comm", 16, COLUMN_WORD },
	[ASKED]			= { "asked", 11, COLUMN_SIGNED },
	[GRANTED]		= { "granted", 8 },
	[LIMIT]			= { "limit", 6 },
	[RULE]			= { "rule", 12, COLUMN_PORTS },
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

/*
 * A process' number and name are for its user, as far as the user's own PID
 * namespace reaches, and for who administers the network namespace: others may
 * not see them in /proc either. As with other files, the credentials are the
 * opener's. Returns the number, 0: unknown, and forgets a name that is not to
 * be shown.
 */
static pid_t show_caller(struct reader *reader, const struct cred *opener,
			 struct listen_call *call)
{
	pid_t pid = 0;
	bool known;

	known = call->pid && (reader->is_admin ||
			      uid_eq(opener->fsuid, call->uid));
	if (known)
		pid = caller_pid(reader, call);
	if (!known || !(pid || reader->is_admin))
		call->comm[0] = '\0';
	return pid;
}

static __always_inline char *
put_view(struct seq_file *m, char *at, const struct sock *sk,
	 const struct listener_view *view, const struct traffic_known *known,
	 pid_t pid)
{
	const bool *counts = known->counts;
	const union value values[] = {
		[PROTO].sk = sk,
		[LOCAL].sk = sk,
		[COOKIE].figure = view->cookie,
		[INODE].figure = sock_ino(sk),
		[UID].figure = from_kuid_munged(seq_user_ns(m), sk_uid(sk)),
		[PID].figure = if_known(pid, pid),
		[COMM].word = view->call.comm,

		[ASKED].figure = if_known(view->call.asked_known,
					  view->call.asked),
		[GRANTED].figure = view->call.granted,
		[LIMIT].figure = view->limit,
		[RULE].ports = { view->rule.first, view->rule.last },

		[ACCEPTQ].figure = view->acceptq,
		[ACCEPTQ_PEAK].figure = if_known(known->acceptq_peak,
						 view->acceptq_peak),
		[ACCEPTQ_OLDEST_MS].figure = if_known(view->oldest_ms >= 0,
						      view->oldest_ms),
		[SYNQ].figure = view->synq,
		[SYNQ_YOUNG].figure = view->synq_young,
		[SYNQ_PEAK].figure = if_known(known->synq_peak, view->synq_peak),

		[SINCE_MS].figure = if_known(view->record, view->since_ms),
		[SYNS].figure = if_known(counts[TRAFFIC_SYNS],
					 view->counts[TRAFFIC_SYNS]),
		[ACCEPTS].figure = if_known(accepts_known(known, sk),
					    view->counts[TRAFFIC_ACCEPTS]),
		[OVERFLOWS].figure = if_known(counts[TRAFFIC_OVERFLOWS],
					      view->counts[TRAFFIC_OVERFLOWS]),
		[SYNQ_DROPS].figure = if_known(counts[TRAFFIC_SYNQ_DROPS],
					       view->counts[TRAFFIC_SYNQ_DROPS]),
		[SYNCOOKIES].figure = if_known(counts[TRAFFIC_SYNCOOKIES],
					       view->counts[TRAFFIC_SYNCOOKIES]),
		[SK_DROPS].figure = view->drops,
		[SINCE_OVERFLOW_MS].figure =
			if_known(counts[TRAFFIC_OVERFLOWS] &&
				 view->overflowed_ms >= 0, view->overflowed_ms),
	};

	return put_row(at, sockets_columns, values, ARRAY_SIZE(values));
}

static char *put_sockets(struct seq_file *m, char *at, const struct sock *sk,
			 struct listener_view *view)
{
	pid_t pid = show_caller(m->private, m->file->f_cred, &view->call);

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
	return listener_reset_peaks(net);
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
