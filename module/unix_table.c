// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of AF_UNIX listeners.
 *
 * Documentation/proc-net-listenq.rst describes the columns.
 */
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <net/sock.h>

#include "compat.h"
#include "name.h"
#include "reader.h"
#include "row.h"
#include "tables.h"
#include "unix.h"
#include "walk.h"

enum {
	UNIX_TYPE, UNIX_PATH, UNIX_COOKIE, UNIX_INODE,
	UNIX_UID, UNIX_PID, UNIX_COMM,
	UNIX_ASKED, UNIX_GRANTED, UNIX_LIMIT, UNIX_RULE,
	UNIX_ACCEPTQ, UNIX_ACCEPTQ_PEAK, UNIX_ACCEPTQ_PEAK_1M,
	UNIX_SINCE_MS, UNIX_CONNECTS, UNIX_ACCEPTS, UNIX_WAITS, UNIX_EAGAINS,
};

static const struct column unix_columns[] = {
	[UNIX_TYPE]		= { "type", 10, COLUMN_WORD },
	[UNIX_PATH]		= { "path", 32, COLUMN_NAME },
	[UNIX_COOKIE]		= { "cookie", 7, COLUMN_HEX },
	[UNIX_INODE]		= { "inode", 8 },
	[UNIX_UID]		= { "uid", 6 },
	[UNIX_PID]		= { "pid", 8 },
	[UNIX_COMM]		= { "comm", 16, COLUMN_WORD },
	[UNIX_ASKED]		= { "asked", 11, COLUMN_SIGNED },
	[UNIX_GRANTED]		= { "granted", 8 },
	[UNIX_LIMIT]		= { "limit", 6 },
	[UNIX_RULE]		= { "rule", 12, COLUMN_NAME_RULE },
	[UNIX_ACCEPTQ]		= { "acceptq", 8 },
	[UNIX_ACCEPTQ_PEAK]	= { "acceptq_peak", 13 },
	[UNIX_ACCEPTQ_PEAK_1M]	= { "acceptq_peak_1m", 16 },
	[UNIX_SINCE_MS]		= { "since_ms", 9 },
	[UNIX_CONNECTS]		= { "connects", 9 },
	[UNIX_ACCEPTS]		= { "accepts", 9 },
	[UNIX_WAITS]		= { "waits", 9 },
	[UNIX_EAGAINS]		= { "eagains", 0 },
};

static const struct unix_known *known_of_unix(const struct reader *reader,
					      const struct unix_view *view)
{
	static const struct unix_known nothing;

	if (!view->record || READ_ONCE(view->record->doubted))
		return &nothing;
	return &reader->unix_known;
}

static char *put_unix(struct seq_file *m, char *at, const struct sock *sk,
		      struct unix_view *view)
{
	const struct unix_known *known = known_of_unix(m->private, view);
	pid_t pid = reader_caller(m->private, m->file->f_cred, &view->call);
	struct unix_name name = unix_name_of(sk);
	const union value values[] = {
		[UNIX_TYPE].word = sk->sk_type == SOCK_SEQPACKET ?
				   "seqpacket" : "stream",
		[UNIX_PATH].name = name,
		[UNIX_COOKIE].figure = view->cookie,
		[UNIX_INODE].figure = sock_ino(sk),
		[UNIX_UID].figure =
			from_kuid_munged(seq_user_ns(m), sk_uid(sk)),
		[UNIX_PID].figure = if_known(pid, pid),
		[UNIX_COMM].word = view->call.comm,

		[UNIX_ASKED].figure =
			if_known(view->call.asked_known, view->call.asked),
		[UNIX_GRANTED].figure = view->call.granted,
		[UNIX_LIMIT].figure = view->limit,
		[UNIX_RULE].name_rule = { name, view->rule },

		[UNIX_ACCEPTQ].figure = view->acceptq,
		[UNIX_ACCEPTQ_PEAK].figure =
			if_known(known->acceptq_peak, view->acceptq_peak),
		[UNIX_ACCEPTQ_PEAK_1M].figure =
			if_known(known->acceptq_peak, view->acceptq_lately),

		[UNIX_SINCE_MS].figure =
			if_known(view->record, view->since_ms),
		[UNIX_CONNECTS].figure =
			if_known(known->accepts, view->connects),
		[UNIX_ACCEPTS].figure =
			if_known(known->accepts, view->accepts),
		[UNIX_WAITS].figure = if_known(known->waits, view->waits),
		[UNIX_EAGAINS].figure = if_known(known->eagains, view->eagains),
	};

	return put_row(at, unix_columns, values, ARRAY_SIZE(values));
}

static void *unix_start(struct seq_file *m, loff_t *pos)
{
	struct reader *reader = m->private;
	void *v = reader_begin(m, pos, &unix_table);

	if (v == SEQ_START_TOKEN)
		reader->unix_known = unix_known_now();
	return v;
}

/* A name in octal takes up to 432 bytes, and may be in a row twice. */
LISTENERS_FILE_OF(unix, 2 * ROW_SIZE, unix_start, struct unix_view, unix_read,
		  unix_is_same);
