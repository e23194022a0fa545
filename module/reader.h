/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files of listeners: the common part. The work for each listener is inlined here,
 * where calls would be a good part of the cost of a read. Runs in process context,
 * with no lock held.
 */
#ifndef LISTENQ_READER_H
#define LISTENQ_READER_H

#include <linux/build_bug.h>
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <net/mptcp.h>
#include <net/sock.h>

#include "known.h"
#include "listener.h"
#include "pool.h"
#include "record.h"
#include "row.h"
#include "unix.h"
#include "walk.h"

/*
 * Size of the file's buffer, however little a read() asks for: to resume a walk in a
 * bucket of thousands costs a pass over it.
 */
#define READ_SIZE 65536

/* Stop filling it when less than this is free: a pass would yield few rows. */
#define ROW_SPARE (READ_SIZE / 8)

/**
 * struct reader - state of an open file of listeners
 * @p: the namespace; seq_file_net() expects it first
 * @is_admin: whether the opener has CAP_NET_ADMIN over the namespace
 * @known: which figures of listeners are known: of IPv4, of IPv6; in each, of all
 *	others, and of those with DOUBTED_RETURNS
 * @unix_known: which figures of AF_UNIX listeners are known
 * @walk: the place in the walk
 * @batch: the walk's batch
 * @row_size: average size of a row, in bytes
 * @caller: the process looked up last in this read, as numbered in the initial PID
 *	namespace; 0: none
 * @caller_started: when @caller started; see call_time()
 * @caller_pid: its number in the reader's PID namespace; 0: it has none
 */
struct reader {
	struct seq_net_private p;
	bool is_admin;
	struct known known[2][2];
	struct unix_known unix_known;
	struct listener_walk walk;
	struct sock *batch[2 * LISTENER_BATCH];
	unsigned int row_size;
	pid_t caller;
	u32 caller_started;
	pid_t caller_pid;
};

/* kmalloc() takes 8 kB for it, and would take 16 kB for more. */
static_assert(sizeof(struct reader) <= 8192);

void *reader_begin(struct seq_file *m, loff_t *pos,
		   const struct walk_table *table);
void *reader_start(struct seq_file *m, loff_t *pos);
void *reader_next(struct seq_file *m, void *v, loff_t *pos);
void reader_stop(struct seq_file *m, void *v);
pid_t reader_find_caller(const struct listen_call *call);

/* Caches the last lookup, since a process may have many listeners. */
static inline pid_t reader_caller_pid(struct reader *reader,
				      const struct listen_call *call)
{
	if (reader->caller != call->pid ||
	    reader->caller_started != call->started) {
		reader->caller = call->pid;
		reader->caller_started = call->started;
		reader->caller_pid = reader_find_caller(call);
	}
	return reader->caller_pid;
}

/*
 * The number and the name of a process are shown to its user, if the user's PID
 * namespace has the process, and to an administrator of the network namespace; /proc
 * hides them from others too. The credentials are those of the opener, as with other
 * files. Returns the number, 0 if unknown, and clears a name that must not be shown.
 */
static inline pid_t reader_caller(struct reader *reader,
				  const struct cred *opener,
				  struct listen_call *call)
{
	pid_t pid = 0;
	bool known;

	known = call->pid && (reader->is_admin ||
			      uid_eq(opener->fsuid, call->uid));
	if (known)
		pid = reader_caller_pid(reader, call);
	if (!known || !(pid || reader->is_admin))
		call->comm[0] = '\0';
	return pid;
}

/* Which figures of this listener are known. */
static inline const struct known *
known_of(const struct reader *reader, const struct sock *sk,
	 const struct listener_view *view)
{
	static const struct known nothing;
	u8 doubted;

	if (!view->record)
		return &nothing;
	doubted = READ_ONCE(view->record->doubted);
	if (doubted & DOUBTED_TRAFFIC)
		return &nothing;
	return &reader->known[sk->sk_family == AF_INET6][!!doubted];
}

/*
 * Put rows until the buffer is nearly full. A listener that is gone by now has no
 * row; the rows of one take at most @size bytes.
 */
static __always_inline void
put_listeners(struct seq_file *m,
	      char *(*put)(struct seq_file *m, char *at, struct sock *sk),
	      size_t size)
{
	struct reader *reader = m->private;
	struct listener_walk *walk = &reader->walk;
	char *at = row_begin(m, ROW_SPARE);
	char *first, *end;
	unsigned int i;

	if (!at)
		return;
	end = at + seq_get_buf(m, &first);
	pool_fill();
	while (end - at >= ROW_SPARE && !listener_walk_ends(walk)) {
		first = at;
		rcu_read_lock();
		listener_walk_take(walk, (end - at) / reader->row_size);
		for (i = 0; i < walk->count && end - at >= size; i++)
			at = put(m, at, walk->batch[i]);
		listener_walk_leave(walk, i);
		rcu_read_unlock();
		if (at > first)
			reader->row_size = (at - first) / i + 1;
		cond_resched();
	}
	row_commit(m, at);
}

/*
 * Define a file of listeners, from a table of its columns, to which new ones may
 * only be appended, and put_NAME(), which puts a listener's rows in at most @size
 * bytes. @read fills a @type for it, and @is_same tells afterwards whether the rows
 * are valid.
 */
#define LISTENERS_FILE_OF(name, size, starts, type, read, is_same)	\
static __always_inline char *put_one_of_##name(struct seq_file *m,	\
					       char *at, struct sock *sk) \
{									\
	type view;							\
	char *next;							\
									\
	read(sk, &view);						\
	next = put_##name(m, at, sk, &view);				\
	return is_same(sk, &view) ? next : at;				\
}									\
									\
static int name##_show(struct seq_file *m, void *v)			\
{									\
	if (v == SEQ_START_TOKEN)					\
		put_header(m, READ_SIZE, name##_columns,		\
			   ARRAY_SIZE(name##_columns));			\
	else								\
		put_listeners(m, put_one_of_##name, size);		\
	return 0;							\
}									\
									\
const struct seq_operations name##_ops = {				\
	.start	= starts,						\
	.next	= reader_next,						\
	.stop	= reader_stop,						\
	.show	= name##_show,						\
}

#define LISTENERS_FILE(name, size)					\
	LISTENERS_FILE_OF(name, size, reader_start, struct listener_view, \
			  listener_read, listener_is_same)

#endif /* LISTENQ_READER_H */
