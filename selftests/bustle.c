// SPDX-License-Identifier: GPL-2.0-only
/* Tasks at work, and what of it the module has seen; bustle.h says what for. */

#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>

#include "kselftest.h"
#include "listenq.h"
#include "ledger.h"
#include "bustle.h"

/* Sources of SYNs that nobody answers. */
#define SOURCES		60000

enum deed { LISTENS, BEGINS, CONNECTS, TAKES, TURNED_AWAY, STRANGERS, LEFT, DEEDS };

enum job { CLIENT, SERVER, UNLUCKY, BRIEF, STRANGER, READER, JOBS };

static struct shared {
	atomic_int stop;
	atomic_llong done[DEEDS];
	atomic_int turns[JOBS];
} *shared;

/* One with room for all, one without any, and one of SYNs without an answer. */
static int roomy, full, half;
static pid_t pids[JOBS];

/* What the hooks had seen before. */
static const char * const symbols[] = {
	"__sys_listen", "inet_csk_listen_start", "inet_csk_listen_stop", "__inet_accept",
	"unrecorded",
};

static long long hits_before[ARRAY_SIZE(symbols)];
static long long missed_before;

static void did(enum deed deed)
{
	shared->done[deed]++;
}

static void client_turn(void)
{
	int client = lq_connect(roomy);

	did(CONNECTS);
	close(client);
}

static void server_turn(void)
{
	struct pollfd ready = { .fd = roomy, .events = POLLIN };
	int child;

	if (poll(&ready, 1, 50) < 0)
		err(1, "poll");
	for (;;) {
		child = accept4(roomy, NULL, NULL, SOCK_CLOEXEC);
		if (child < 0)
			return;
		did(TAKES);
		close(child);
	}
}

static void unlucky_turn(void)
{
	lq_turn_away(full);
	did(TURNED_AWAY);
	lq_pause();
}

/* A listener that is asked twice, and ends with one who waits. */
static void brief_turn(void)
{
	int fd = lq_listener(lq_family(lq_chance(2)), 5);

	did(LISTENS);
	did(BEGINS);
	close(lq_enqueue(fd));
	did(LEFT);
	lq_listen(fd, 6);
	did(LISTENS);
	close(fd);
}

static void stranger_turn(void)
{
	static int next;

	lq_send_syns(AF_INET, lq_port(half), next, 1);
	next = (next + 1) % SOURCES;
	did(STRANGERS);
	lq_pause();
}

static void reader_turn(void)
{
	static const char * const paths[] = {
		LQ_SOCKETS, LQ_HANDSHAKES, LQ_TOTALS, LQ_WAITS, LQ_REFUSED, LQ_UNIX,
	};

	lq_free(lq_read(paths[lq_chance(ARRAY_SIZE(paths))]));
	lq_pause();
}

static void (*const turns[JOBS])(void) = {
	client_turn, server_turn, unlucky_turn, brief_turn, stranger_turn, reader_turn,
};

static pid_t start(int job)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_seed(job + 1);
	for (int i = 0; !shared->stop; i++) {
		turns[job]();
		shared->turns[job]++;
		lq_breathe(i);
	}
	_exit(0);
}

void bustle_begin(void)
{
	shared = lq_shared(sizeof(*shared));
	roomy = lq_bound(AF_INET, "127.0.0.1", 0);
	if (fcntl(roomy, F_SETFL, O_RDWR | O_NONBLOCK))
		err(1, "O_NONBLOCK");
	lq_listen(roomy, 1000);
	full = lq_full(AF_INET, "127.0.0.1", 1);
	half = lq_listener_any(AF_INET, 500);
	/* Requests are given up after a second. */
	lq_set_sysctl("ipv4/tcp_synack_retries", 0);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		hits_before[i] = lq_hook(symbols[i], "hits");
	missed_before = lq_missed();
	for (int i = 0; i < JOBS; i++)
		pids[i] = start(i);
}

static bool all_had(const int *before, int turns)
{
	for (int i = 0; i < JOBS; i++) {
		if (shared->turns[i] < before[i] + turns)
			return false;
	}
	return true;
}

bool bustle_goes_on(int turns)
{
	int before[JOBS];

	for (int i = 0; i < JOBS; i++)
		before[i] = shared->turns[i];
	return lq_wait_until(all_had(before, turns));
}

/* @done of our calls: all were hit, but for those that are known to be missed. */
static int compare_hits(int symbol, long long done, long long missed)
{
	long long hits = lq_hook(symbols[symbol], "hits");

	if (hits == LQ_NONE)
		return 0;
	return !ledger_agrees("hits", symbols[symbol], done,
			      hits - hits_before[symbol], missed);
}

int bustle_end(void)
{
	const atomic_llong *done = shared->done;
	struct ledger *ledger;
	long long missed;
	int faults = 0, status;

	shared->stop = 1;
	for (int i = 0; i < JOBS; i++) {
		status = lq_reap(pids[i]);
		if (status) {
			printf("# task %d ended with %#x\n", i, status);
			faults++;
		}
	}
	if (faults)
		return faults;
	/* Those in whose connect() the final ACK was still under way. */
	if (!lq_wait_until((server_turn(), done[TAKES] == done[CONNECTS]))) {
		printf("# %lld of %lld connections were accepted\n", done[TAKES],
		       done[CONNECTS]);
		return 1;
	}

	missed = lq_missed() - missed_before;
	faults += compare_hits(0, done[LISTENS], missed);
	faults += compare_hits(1, done[BEGINS], missed);
	faults += compare_hits(2, done[BEGINS], missed);
	faults += compare_hits(3, done[TAKES], missed);
	faults += compare_hits(4, 0, missed);

	ledger = ledger_read();
	faults += ledger_faults(ledger, missed);
	faults += !ledger_agrees("totals", "accepts", done[TAKES],
				 ledger->totals[ACCEPTS], missed);
	faults += !ledger_agrees("totals", "unaccepted", done[LEFT],
				 ledger->totals[UNACCEPTED], missed);
	faults += !ledger_agrees("totals", "overflows of the kernel's",
				 ledger->kernel[LISTEN_OVERFLOWS],
				 ledger->totals[OVERFLOWS], missed);
	faults += !ledger_agrees("the full listener", "overflows", done[TURNED_AWAY],
				 ledger_row(ledger, full)->of[OVERFLOWS], missed);
	faults += !ledger_agrees("the listener of strangers", "syns", done[STRANGERS],
				 ledger_row(ledger, half)->of[SYNS], missed);
	ledger_free(ledger);
	printf("# %lld listen() calls, %lld connections, %lld turned away, %lld strangers; ",
	       done[LISTENS], done[CONNECTS], done[TURNED_AWAY], done[STRANGERS]);
	printf("missed: %lld\n", missed);
	fflush(stdout);
	close(roomy);
	close(full);
	close(half);
	return faults;
}
