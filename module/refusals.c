// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file refused: the latest refusals.
 *
 * Documentation/proc-net-listenq.rst describes the columns.
 */
#include <linux/capability.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "known.h"
#include "outcome.h"
#include "refusals.h"
#include "ring.h"
#include "row.h"
#include "sweep.h"

/**
 * struct refused_reader - state of an open file
 * @net: the namespace
 * @now: when @refusals were read, in jiffies
 * @complete: whether all hooks that refusals need have seen all
 * @unkept: how many refusals there was no room for
 * @count: number of @refusals
 * @refusals: the refusals, copied when a read begins at the start of the file
 */
struct refused_reader {
	struct net *net;
	unsigned long now;
	bool complete;
	unsigned long unkept;
	unsigned int count;
	struct refusal refusals[RING_SIZE];
};

static const struct column refused_columns[] = {
	{ "ago_ms", 10 },
	{ "local", 22, COLUMN_ENDPOINT },
	{ "remote", 22, COLUMN_ENDPOINT },
	{ "why", 11, COLUMN_WORD },
	{ "limit", 6 },
	{ "acceptq", 8 },
	{ "synq", 5 },
	{ "cookie", 7, COLUMN_HEX },
	{ "comm", 16, COLUMN_WORD },
	{ "number", 0 },
};

static const char * const refused_reasons[] = {
	[REFUSED_ACCEPTQ_SYN]	= "acceptq-syn",
	[REFUSED_ACCEPTQ_ACK]	= "acceptq-ack",
	[REFUSED_SYNQ]		= "synq",
	[REFUSED_RESERVED]	= "reserved",
	[REFUSED_CLOSED]	= "closed",
};

/* Position 0 is the header; after the rows, one more for remarks. */
static void *refused_at(struct refused_reader *reader, loff_t pos)
{
	if (!pos)
		return SEQ_START_TOKEN;
	return pos <= reader->count + 1 ? &reader->refusals[pos - 1] : NULL;
}

static void *refused_start(struct seq_file *m, loff_t *pos)
{
	struct refused_reader *reader = m->private;

	if (!*pos) {
		sweep_check_hooks();
		outcome_settle(reader->net);
		reader->complete = known_now(AF_UNSPEC).refusals;
		reader->unkept = ring_unkept(reader->net);
		reader->count = ring_read(reader->net, reader->refusals);
		reader->now = jiffies;
	}
	return refused_at(reader, *pos);
}

static void *refused_next(struct seq_file *m, void *v, loff_t *pos)
{
	return refused_at(m->private, ++*pos);
}

static void refused_stop(struct seq_file *m, void *v)
{
}

static void refused_put(struct seq_file *m, const struct refusal *refusal)
{
	const struct refused_reader *reader = m->private;
	const struct arrival *arrival = &refusal->arrival;
	bool seen = arrival->client.family;
	const union value values[] = {
		{ .figure = jiffies64_to_msecs(reader->now - refusal->when) },
		{ .endpoint = &refusal->local },
		{ .endpoint = &arrival->client },
		{ .word = refused_reasons[refusal->why] },
		{ .figure = if_known(seen, arrival->limit) },
		{ .figure = if_known(seen, arrival->acceptq) },
		{ .figure = if_known(seen, arrival->synq) },
		{ .figure = refusal->cookie },
		{ .word = refusal->comm },
		{ .figure = refusal_number(refusal) },
	};
	char *at = row_begin(m, ROW_SIZE);

	if (at)
		row_commit(m, put_row(at, refused_columns, values,
				      ARRAY_SIZE(values)));
}

static int refused_show(struct seq_file *m, void *v)
{
	const struct refused_reader *reader = m->private;

	if (v == SEQ_START_TOKEN) {
		put_header(m, ROW_SIZE, refused_columns,
			   ARRAY_SIZE(refused_columns));
		return 0;
	}
	if (v != &reader->refusals[reader->count]) {
		refused_put(m, v);
		return 0;
	}
	if (!reader->complete)
		seq_puts(m, "# incomplete: a hook is silenced or missing, see hooks\n");
	if (reader->unkept)
		seq_printf(m, "# incomplete: there was no room for %lu\n",
			   reader->unkept);
	return 0;
}

static const struct seq_operations refused_ops = {
	.start	= refused_start,
	.next	= refused_next,
	.stop	= refused_stop,
	.show	= refused_show,
};

/* Only an administrator of the namespace may see who its clients are. */
static int refused_open(struct inode *inode, struct file *file)
{
	struct refused_reader *reader;
	struct net *net;
	int err;

	net = maybe_get_net(pde_data(inode));
	if (!net)
		return -ENXIO;
	err = -EPERM;
	if (!ns_capable(net->user_ns, CAP_NET_ADMIN))
		goto put;
	err = -ENOMEM;
	reader = kvmalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		goto put;
	err = seq_open(file, &refused_ops);
	if (err)
		goto free;
	reader->net = net;
	((struct seq_file *)file->private_data)->private = reader;
	return 0;

free:
	kvfree(reader);
put:
	put_net(net);
	return err;
}

static int refused_release(struct inode *inode, struct file *file)
{
	struct refused_reader *reader =
		((struct seq_file *)file->private_data)->private;

	put_net(reader->net);
	kvfree(reader);
	return seq_release(inode, file);
}

const struct proc_ops refusals_proc_ops = {
	.proc_open	= refused_open,
	.proc_read_iter	= seq_read_iter,
	.proc_lseek	= seq_lseek,
	.proc_release	= refused_release,
};
