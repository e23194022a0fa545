// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of listeners: begins and continues a read, and decides whose processes it
 * may show.
 *
 * Called by the seq_files, in process context, with no lock held.
 */
#include <linux/capability.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/user_namespace.h>

#include "outcome.h"
#include "reader.h"
#include "sweep.h"

/*
 * The caller's number in the reader's PID namespace; 0 if it has none there. A
 * record pins no process, so look the number up. If no process or thread has it now,
 * it is shown in the initial PID namespace only. If another one has it now, it is
 * not the caller's and is not shown.
 */
pid_t reader_find_caller(const struct listen_call *call)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	const struct task_struct *task;
	struct pid *pid;
	pid_t nr;

	rcu_read_lock();
	pid = find_pid_ns(call->pid, &init_pid_ns);
	task = pid_task(pid, PIDTYPE_TGID);
	if (task && call_time(task) == call->started)
		nr = pid_nr_ns(pid, ns);
	else if (!pid_task(pid, PIDTYPE_PID))
		nr = ns == &init_pid_ns ? call->pid : 0;
	else
		nr = 0;
	rcu_read_unlock();
	return nr;
}

/*
 * One seq_file record is the header, or as many rows as fit into the buffer: so no
 * listener is held from one record to the next.
 */
void *reader_begin(struct seq_file *m, loff_t *pos,
		   const struct walk_table *table)
{
	struct reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;

	reader->caller = 0;
	if (*pos)
		return listener_walk_ends(walk) ? NULL : reader;

	sweep_check_hooks();
	listener_walk_begin(walk, table, seq_file_net(m), reader->batch,
			    ARRAY_SIZE(reader->batch));
	reader->row_size = ROW_SIZE / 2;
	reader->is_admin = file_ns_capable(m->file, walk->net->user_ns,
					   CAP_NET_ADMIN);
	return SEQ_START_TOKEN;
}

void *reader_start(struct seq_file *m, loff_t *pos)
{
	struct reader *reader = m->private;
	void *v = reader_begin(m, pos, &tcp_table);

	if (v != SEQ_START_TOKEN)
		return v;
	outcome_settle(seq_file_net(m));
	reader->known[0][0] = known_now(AF_INET);
	reader->known[0][1] = known_without_returns(AF_INET);
	reader->known[1][0] = known_now(AF_INET6);
	reader->known[1][1] = known_without_returns(AF_INET6);
	return v;
}

void *reader_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct reader *reader = m->private;

	++*pos;
	return listener_walk_ends(&reader->walk) ? NULL : reader;
}

void reader_stop(struct seq_file *m, void *v)
{
}
