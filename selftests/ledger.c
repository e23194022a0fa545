// SPDX-License-Identifier: GPL-2.0-only
/* The books of a network namespace; ledger.h says what for. */

#define _GNU_SOURCE
#include "kselftest.h"
#include "listenq.h"
#include "ledger.h"

const char * const term_names[TERMS] = {
	[SYNS] = "syns", [REQUESTS] = "requests", [FINISHED] = "finished",
	[EXPIRED] = "expired", [RESET] = "reset", [RESENT] = "resent",
	[COOKIES_FINISHED] = "cookies_finished",
	[COOKIES_FAILED] = "cookies_failed", [FASTOPENS] = "fastopens",
	[FASTOPEN_OVERFLOWS] = "fastopen_overflows", [FAILED] = "failed",
	[CARRIED_REQUESTS] = "carried_requests",
	[CARRIED_CONNECTIONS] = "carried_connections", [JOINED] = "joined",
	[OVERFLOWS] = "overflows", [OVERFLOWS_ACK] = "overflows_ack",
	[SYNQ_DROPS] = "synq_drops", [SYNQ_RESERVED] = "synq_reserved",
	[SYNCOOKIES] = "syncookies", [ACCEPTS] = "accepts",
	[UNACCEPTED] = "unaccepted", [ABANDONED] = "abandoned",
	[SYNQ] = "synq", [ACCEPTQ] = "acceptq",
};

const char * const kernel_names[KERNEL_COUNTERS] = {
	[PASSIVE_OPENS] = "PassiveOpens", [EMBRYONIC_RSTS] = "EmbryonicRsts",
	[SYN_RETRANS] = "TCPSynRetrans", [COOKIES_SENT] = "SyncookiesSent",
	[COOKIES_RECV] = "SyncookiesRecv", [COOKIES_BAD] = "SyncookiesFailed",
	[FASTOPEN_PASSIVE] = "TCPFastOpenPassive",
	[FASTOPEN_REFUSED] = "TCPFastOpenListenOverflow",
	[LISTEN_OVERFLOWS] = "ListenOverflows",
	[QUEUE_FULL_DROPS] = "TCPReqQFullDrop",
};

/* The first column of the handshakes' times. */
#define FIRST_COLUMN	"256us"
#define COLUMNS		16

static bool in_sockets(int term)
{
	return term == SYNS || (term >= OVERFLOWS && term <= ACCEPTS) ||
	       term >= SYNQ;
}

static bool in_rows(int term)
{
	return term != UNACCEPTED && term != ABANDONED;
}

static void read_row(struct ledger_row *row, const struct lq_table *sockets,
		     int i, const struct lq_table *handshakes)
{
	const char *cookie = lq_cell(sockets, i, "cookie");
	int j = lq_find(handshakes, "cookie", cookie);
	int first = lq_col(handshakes, FIRST_COLUMN);

	snprintf(row->cookie, sizeof(row->cookie), "%s", cookie);
	snprintf(row->local, sizeof(row->local), "%s",
		 lq_cell(sockets, i, "local"));
	if (j < 0)
		errx(1, "no handshakes of %s", row->local);
	for (int t = 0; t < TERMS; t++)
		if (in_rows(t))
			row->of[t] = in_sockets(t) ?
				lq_cell_num(sockets, i, term_names[t]) :
				lq_cell_num(handshakes, j, term_names[t]);
	/* Both files have it. */
	if (lq_cell_num(handshakes, j, "syns") != row->of[SYNS])
		row->of[SYNS] = LQ_NONE;
	row->count = lq_cell_num(handshakes, j, "count");
	row->sum_us = lq_cell_num(handshakes, j, "sum_us");
	for (int c = 0; c < COLUMNS; c++)
		row->columns += atoll(handshakes->cells[j][first + c]);
}

/* NULL where listeners came or went. */
static struct ledger *read_once(void)
{
	struct lq_table *handshakes = lq_read(LQ_HANDSHAKES);
	struct lq_table *sockets = lq_read(LQ_SOCKETS);
	struct lq_table *totals = lq_read(LQ_TOTALS);
	struct ledger *ledger = NULL;

	if (sockets->nrows != handshakes->nrows)
		goto out;
	ledger = calloc(1, sizeof(*ledger));
	ledger->rows = calloc(sockets->nrows + 1, sizeof(*ledger->rows));
	ledger->count = sockets->nrows;
	for (int i = 0; i < ledger->count; i++)
		read_row(&ledger->rows[i], sockets, i, handshakes);
	for (int t = 0; t < SYNQ; t++)
		ledger->totals[t] = lq_cell_num(totals, 0, term_names[t]);
	for (int t = SYNQ; t < TERMS; t++)
		for (int i = 0; i < ledger->count; i++)
			ledger->totals[t] += ledger->rows[i].of[t];
	lq_netstats(kernel_names, ledger->kernel, KERNEL_COUNTERS);
out:
	lq_free(totals);
	lq_free(sockets);
	lq_free(handshakes);
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	free(ledger->rows);
	free(ledger);
}

static bool same(const struct ledger *a, const struct ledger *b)
{
	return a && b && a->count == b->count &&
	       !memcmp(a->totals, b->totals, sizeof(a->totals)) &&
	       !memcmp(a->kernel, b->kernel, sizeof(a->kernel)) &&
	       !memcmp(a->rows, b->rows, a->count * sizeof(*a->rows));
}

/* What is read between two reads that agree is of one moment. */
struct ledger *ledger_read(void)
{
	struct ledger *last = NULL, *next = read_once();
	bool settled = lq_wait_until(({
		ledger_free(last);
		last = next;
		next = read_once();
		same(last, next);
	}));

	if (!settled)
		errx(1, "the books never come to rest");
	ledger_free(last);
	return next;
}

const struct ledger_row *ledger_row(const struct ledger *ledger, int fd)
{
	const char *cookie = lq_cookie_str(fd), *local = lq_local(fd);
	const struct ledger_row *found = NULL;

	for (int i = 0; i < ledger->count; i++)
		if (!strcmp(ledger->rows[i].cookie, cookie))
			return &ledger->rows[i];
	/* A socket of MPTCP is not the one that listens. */
	for (int i = 0; i < ledger->count; i++)
		if (!strcmp(ledger->rows[i].local, local))
			found = &ledger->rows[i];
	if (!found)
		errx(1, "%s is not in the books", local);
	return found;
}

bool ledger_agrees(const char *whose, const char *what, long long expected,
		   long long value, long long slack)
{
	if (expected - slack <= value && value <= expected + slack)
		return true;
	if (value == LQ_NONE)
		printf("# %s: %s is -, not %lld\n", whose, what, expected);
	else
		printf("# %s: %s is %lld, not %lld\n", whose, what, value,
		       expected);
	fflush(stdout);
	return false;
}

static int count_unknown(const char *whose, const long long *of, int terms)
{
	int unknown = 0;

	for (int t = 0; t < terms; t++) {
		if (of[t] != LQ_NONE)
			continue;
		printf("# %s: %s is -\n", whose, term_names[t]);
		unknown++;
	}
	return unknown;
}

/* The three that hold for each listener and, with what went, for all. */
static int equations(const char *whose, const long long *of, long long slack)
{
	int faults = 0;

	faults += !ledger_agrees(whose, "syns",
				 of[REQUESTS] + of[SYNCOOKIES] + of[FASTOPENS] +
				 of[OVERFLOWS] - of[OVERFLOWS_ACK] +
				 of[SYNQ_DROPS] + of[SYNQ_RESERVED] +
				 of[FAILED], of[SYNS], slack);
	faults += !ledger_agrees(whose, "requests + carried_requests",
				 of[FINISHED] + of[EXPIRED] + of[RESET] +
				 of[JOINED] + of[ABANDONED] + of[SYNQ],
				 of[REQUESTS] + of[CARRIED_REQUESTS], slack);
	faults += !ledger_agrees(whose, "what entered the accept queue",
				 of[ACCEPTS] + of[UNACCEPTED] + of[ACCEPTQ],
				 of[FINISHED] + of[COOKIES_FINISHED] +
				 of[FASTOPENS] + of[CARRIED_CONNECTIONS],
				 slack);
	/* None is less than nothing, derived or not. */
	for (int t = 0; t < TERMS; t++)
		if (of[t] + slack < 0)
			faults += !ledger_agrees(whose, term_names[t], 0, of[t],
						 slack);
	if (faults) {
		printf("# %s:", whose);
		for (int t = 0; t < TERMS; t++)
			printf(" %s %lld", term_names[t], of[t]);
		printf("\n");
	}
	return faults;
}

static int row_faults(const struct ledger_row *row, long long slack)
{
	int faults = count_unknown(row->local, row->of, TERMS);

	if (faults)
		return faults;
	faults += equations(row->local, row->of, slack);
	faults += !ledger_agrees(row->local, "count", row->of[FINISHED],
				 row->count, slack);
	faults += !ledger_agrees(row->local, "the sum of all columns",
				 row->count, row->columns, 0);
	faults += row->sum_us < 0;
	return faults;
}

/* The rows' part of what totals has; what has moved is in no total. */
static int parts_faults(const struct ledger *ledger, long long slack)
{
	int faults = 0;

	for (int t = 0; t < UNACCEPTED; t++) {
		long long sum = 0;

		for (int i = 0; i < ledger->count; i++)
			sum += ledger->rows[i].of[t];
		if (t != CARRIED_CONNECTIONS && sum > ledger->totals[t] + slack)
			faults += !ledger_agrees("the rows' sum", term_names[t],
						 ledger->totals[t], sum, slack);
	}
	return faults;
}

int ledger_faults(const struct ledger *ledger, long long slack)
{
	int faults = count_unknown("totals", ledger->totals, TERMS);

	for (int i = 0; i < ledger->count; i++)
		faults += row_faults(&ledger->rows[i], slack);
	if (faults)
		return faults;
	faults += equations("totals", ledger->totals, slack);
	faults += parts_faults(ledger, slack);
	fflush(stdout);
	return faults;
}

int ledger_check(long long slack)
{
	struct ledger *ledger = ledger_read();
	int faults = ledger_faults(ledger, slack);

	ledger_free(ledger);
	return faults;
}

long long ledger_refused(const struct ledger *ledger)
{
	const long long *of = ledger->totals;

	return of[OVERFLOWS] + of[SYNQ_DROPS] + of[SYNQ_RESERVED] +
	       of[UNACCEPTED];
}
