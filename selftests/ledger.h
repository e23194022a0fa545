/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The books of a network namespace: what the module says became of each SYN,
 * each request and each connection, whether it adds up, and whether the
 * kernel's own counters say the same.
 */
#ifndef LISTENQ_SELFTEST_LEDGER_H
#define LISTENQ_SELFTEST_LEDGER_H

#include <stdbool.h>

enum term {
	SYNS, REQUESTS, FINISHED, EXPIRED, RESET, RESENT, COOKIES_FINISHED,
	COOKIES_FAILED, FASTOPENS, FASTOPEN_OVERFLOWS, FAILED, CARRIED_REQUESTS,
	CARRIED_CONNECTIONS, JOINED, OVERFLOWS, OVERFLOWS_ACK, SYNQ_DROPS,
	SYNQ_RESERVED, SYNCOOKIES, ACCEPTS,
	UNACCEPTED, ABANDONED,	/* of totals alone */
	SYNQ, ACCEPTQ,		/* now: in totals, the sum of all rows */
	TERMS
};

extern const char * const term_names[TERMS];

struct ledger_row {
	char local[64];
	char cookie[20];
	long long of[TERMS];
	/* Of the handshakes' times. */
	long long count;
	long long sum_us;
	long long columns;	/* added up */
};

/* What the kernel counts for the namespace, by names of its own. */
enum kernel_counter {
	PASSIVE_OPENS, EMBRYONIC_RSTS, SYN_RETRANS, COOKIES_SENT, COOKIES_RECV,
	COOKIES_BAD, FASTOPEN_PASSIVE, FASTOPEN_REFUSED, LISTEN_OVERFLOWS,
	QUEUE_FULL_DROPS,
	KERNEL_COUNTERS
};

extern const char * const kernel_names[KERNEL_COUNTERS];

struct ledger {
	int count;
	struct ledger_row *rows;
	long long totals[TERMS];
	long long kernel[KERNEL_COUNTERS];
};

/* As of one moment at which nothing moved; it waits for that. */
struct ledger *ledger_read(void);
void ledger_free(struct ledger *ledger);
/* The row of @fd, which may be of MPTCP; it must be there. */
const struct ledger_row *ledger_row(const struct ledger *ledger, int fd);

/* All who were turned away, as the totals have it. */
long long ledger_refused(const struct ledger *ledger);

/*
 * What does not add up, or reads "-", is printed; how much of it there is.
 * @slack: how many hits of the hooks were skipped.
 */
int ledger_faults(const struct ledger *ledger, long long slack);
/* Reads, says what is wrong, and how much of it there is. */
int ledger_check(long long slack);
/* Whether @value is @expected, at most @slack less; said, if not. */
bool ledger_agrees(const char *whose, const char *what, long long expected,
		   long long value, long long slack);

#endif
