// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of TCP listeners: sockets, handshakes, waits, drops.
 *
 * Documentation/proc-net-listenq.rst describes the columns.
 */
#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/string.h>
#include <net/sock.h>

#include "books.h"
#include "compat.h"
#include "drops.h"
#include "known.h"
#include "listener.h"
#include "reader.h"
#include "row.h"
#include "socket.h"
#include "sweep.h"
#include "tables.h"

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
	SOCKETS_OVERFLOWS_ACK, SOCKETS_SYNQ_RESERVED,
	SOCKETS_ACCEPTQ_PEAK_1M, SOCKETS_SYNQ_PEAK_1M,
	SOCKETS_GROUP, SOCKETS_FASTOPENQ, SOCKETS_FASTOPENQ_LIMIT,
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
	[SOCKETS_SINCE_OVERFLOW_MS]	= { "since_overflow_ms", 18 },
	[SOCKETS_OVERFLOWS_ACK]		= { "overflows_ack", 14 },
	[SOCKETS_SYNQ_RESERVED]		= { "synq_reserved", 14 },
	[SOCKETS_ACCEPTQ_PEAK_1M]	= { "acceptq_peak_1m", 16 },
	[SOCKETS_SYNQ_PEAK_1M]		= { "synq_peak_1m", 13 },
	[SOCKETS_GROUP]			= { "group", 6 },
	[SOCKETS_FASTOPENQ]		= { "fastopenq", 10 },
	[SOCKETS_FASTOPENQ_LIMIT]	= { "fastopenq_limit", 0 },
};

static __always_inline char *
put_view(struct seq_file *m, char *at, const struct sock *sk,
	 const struct listener_view *view, const struct known *known,
	 pid_t pid)
{
	unsigned int fastopenq_limit = fastopenq_max(sk);
	unsigned int group = group_size(sk);
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
			if_known(accepts_are_known(known, sk),
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

		[SOCKETS_OVERFLOWS_ACK].figure =
			if_known(counts[TRAFFIC_OVERFLOWS_ACK],
				 view->counts[TRAFFIC_OVERFLOWS_ACK]),
		[SOCKETS_SYNQ_RESERVED].figure =
			if_known(counts[TRAFFIC_SYNQ_RESERVED],
				 view->counts[TRAFFIC_SYNQ_RESERVED]),
		[SOCKETS_ACCEPTQ_PEAK_1M].figure =
			if_known(known->acceptq_peak, view->acceptq_lately),
		[SOCKETS_SYNQ_PEAK_1M].figure =
			if_known(known->synq_peak, view->synq_lately),
		[SOCKETS_GROUP].figure = if_known(group > 1, group),
		[SOCKETS_FASTOPENQ].figure =
			if_known(fastopenq_limit, fastopenq_length(sk)),
		[SOCKETS_FASTOPENQ_LIMIT].figure =
			if_known(fastopenq_limit, fastopenq_limit),
	};

	return put_row(at, sockets_columns, values, ARRAY_SIZE(values));
}

static char *put_sockets(struct seq_file *m, char *at, const struct sock *sk,
			 struct listener_view *view)
{
	pid_t pid = reader_caller(m->private, m->file->f_cred, &view->call);

	return put_view(m, at, sk, view, known_of(m->private, sk, view), pid);
}

LISTENERS_FILE(sockets, ROW_SIZE);

/* Anyone may read peaks; an administrator of the namespace may reset them. */
int sockets_write(struct file *file, char *text, size_t length)
{
	struct seq_file *m = file->private_data;
	struct net *net = seq_file_net(m);

	if (!file_ns_capable(file, net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (length && text[length - 1] == '\n')
		text[--length] = '\0';
	if (length != strlen("reset") || strcmp(text, "reset"))
		return -EINVAL;
	return sweep_namespace(net, listener_reset_peaks);
}

/* ---- handshakes ---- */

/*
 * The columns of a histogram; the last one is for all longer times.
 */
static unsigned long put_histogram(union value values[HISTOGRAM_COLUMNS],
				   const struct histogram *histogram,
				   bool known)
{
	unsigned long sum = 0, count;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_COLUMNS; i++) {
		count = known ? atomic_long_read(&histogram->counts[i]) : 0;
		values[i].figure = if_known(known, count);
		sum += count;
	}
	return sum;
}

enum {
	HANDSHAKES_COOKIE, HANDSHAKES_LOCAL,
	HANDSHAKES_COUNTS,
	HANDSHAKES_COUNT = HANDSHAKES_COUNTS + 13,
	HANDSHAKES_SUM_US, HANDSHAKES_FIRST,
	HANDSHAKES_JOINED = HANDSHAKES_FIRST + HISTOGRAM_COLUMNS,
	HANDSHAKES_COLUMNS,
};

static const struct column handshakes_columns[HANDSHAKES_COLUMNS] = {
	[HANDSHAKES_COOKIE]	= { "cookie", 7, COLUMN_HEX },
	[HANDSHAKES_LOCAL]	= { "local", 22, COLUMN_LOCAL },
	[HANDSHAKES_COUNTS]	= { "syns", 9 }, { "requests", 9 },
	{ "finished", 9 }, { "expired", 8 }, { "reset", 8 }, { "resent", 8 },
	{ "cookies_finished", 17 }, { "cookies_failed", 15 },
	{ "fastopens", 10 }, { "fastopen_overflows", 19 }, { "failed", 7 },
	{ "carried_requests", 17 }, { "carried_connections", 20 },
	[HANDSHAKES_COUNT]	= { "count", 9 },
	[HANDSHAKES_SUM_US]	= { "sum_us", 12 },
	[HANDSHAKES_FIRST]	= { "256us", 8 }, { "512us", 8 },
	{ "1024us", 8 }, { "2048us", 8 }, { "4096us", 8 }, { "8192us", 8 },
	{ "16384us", 8 }, { "32768us", 8 }, { "65536us", 8 },
	{ "131072us", 9 }, { "262144us", 9 }, { "524288us", 9 },
	{ "1048576us", 10 }, { "2097152us", 10 }, { "4194304us", 10 },
	{ "more", 8 },
	[HANDSHAKES_JOINED]	= { "joined", 0 },
};

/* The counts in the columns from HANDSHAKES_COUNTS on. */
static const enum traffic_count handshakes_counts[] = {
	TRAFFIC_SYNS, TRAFFIC_REQUESTS, TRAFFIC_FINISHED, TRAFFIC_EXPIRED,
	TRAFFIC_RESET, TRAFFIC_RESENT, TRAFFIC_COOKIES_FINISHED,
	TRAFFIC_COOKIES_FAILED, TRAFFIC_FASTOPENS, TRAFFIC_FASTOPEN_OVERFLOWS,
	TRAFFIC_FAILED, TRAFFIC_CARRIED_REQUESTS, TRAFFIC_CARRIED_CONNECTIONS,
};

static_assert(ARRAY_SIZE(handshakes_counts) ==
	      HANDSHAKES_COUNT - HANDSHAKES_COUNTS);

static char *put_handshakes(struct seq_file *m, char *at, const struct sock *sk,
			    struct listener_view *view)
{
	const struct known *known = known_of(m->private, sk, view);
	const struct histogram *times = NULL;
	union value values[HANDSHAKES_COLUMNS];
	bool finished = known->counts[TRAFFIC_FINISHED];
	unsigned long count, us = 0;
	enum traffic_count what;
	unsigned int i;

	if (view->record) {
		listener_read_books((struct sock *)sk, view);
		times = &view->record->traffic.handshakes;
		us = atomic_long_read(&times->sum);
	}
	values[HANDSHAKES_COOKIE].figure = view->cookie;
	values[HANDSHAKES_LOCAL].sk = sk;
	for (i = 0; i < ARRAY_SIZE(handshakes_counts); i++) {
		what = handshakes_counts[i];
		values[HANDSHAKES_COUNTS + i].figure =
			if_known(known->counts[what], view->counts[what]);
	}
	count = put_histogram(&values[HANDSHAKES_FIRST], times, finished);
	values[HANDSHAKES_COUNT].figure = if_known(finished, count);
	values[HANDSHAKES_SUM_US].figure = if_known(finished, us);
	values[HANDSHAKES_JOINED].figure =
		if_known(known->counts[TRAFFIC_JOINED],
			 view->counts[TRAFFIC_JOINED]);
	return put_row(at, handshakes_columns, values, ARRAY_SIZE(values));
}

LISTENERS_FILE(handshakes, ROW_SIZE);

/* ---- waits ---- */

enum {
	WAITS_COOKIE, WAITS_LOCAL, WAITS_COUNT, WAITS_SUM_MS, WAITS_FIRST,
	WAITS_COLUMNS = WAITS_FIRST + HISTOGRAM_COLUMNS,
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
	bool known = known_of(m->private, sk, view)->waits &&
		     accepts_are_seen(sk);
	const struct histogram *waits =
		known ? &view->record->traffic.waits : NULL;
	union value values[WAITS_COLUMNS];
	unsigned long count;

	values[WAITS_COOKIE].figure = view->cookie;
	values[WAITS_LOCAL].sk = sk;
	count = put_histogram(&values[WAITS_FIRST], waits, known);
	values[WAITS_COUNT].figure = if_known(known, count);
	values[WAITS_SUM_MS].figure =
		if_known(known, known ? atomic_long_read(&waits->sum) : 0);
	return put_row(at, waits_columns, values, ARRAY_SIZE(values));
}

LISTENERS_FILE(waits, ROW_SIZE);

/* ---- drops ---- */

enum { DROPS_COOKIE, DROPS_LOCAL, DROPS_REASON, DROPS_COUNT };

static const struct column drops_columns[] = {
	[DROPS_COOKIE]	= { "cookie", 7, COLUMN_HEX },
	[DROPS_LOCAL]	= { "local", 22, COLUMN_LOCAL },
	[DROPS_REASON]	= { "reason", 24, COLUMN_WORD },
	[DROPS_COUNT]	= { "count", 0 },
};

static char *put_drop(char *at, const struct sock *sk,
		      const struct listener_view *view, const char *reason,
		      s64 count)
{
	const union value values[] = {
		[DROPS_COOKIE].figure = view->cookie,
		[DROPS_LOCAL].sk = sk,
		[DROPS_REASON].word = reason,
		[DROPS_COUNT].figure = count,
	};

	return put_row(at, drops_columns, values, ARRAY_SIZE(values));
}

/* A row for each reason counted; a single "-" if drops are not known. */
static char *put_drops(struct seq_file *m, char *at, const struct sock *sk,
		       struct listener_view *view)
{
	const struct drop *drop, *end;
	unsigned int reason;

	if (!known_of(m->private, sk, view)->drops)
		return put_drop(at, sk, view, "", VALUE_UNKNOWN);
	drop = view->record->drops;
	for (end = drop + DROPS; drop < end; drop++) {
		reason = READ_ONCE(drop->reason);
		if (reason)
			at = put_drop(at, sk, view,
				      drop_reason(reason) ?: "OTHER",
				      atomic_long_read(&drop->count));
	}
	return at;
}

/* Nine rows, of an address with a device's name in octal and a reason: 1,600. */
LISTENERS_FILE(drops, 2 * ROW_SIZE);
