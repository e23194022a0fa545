// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overflows are exact: as many as the kernel has counted, whenever one asks, with
 * clients and a server on all processors that meet at a queue of two.
 */

#define _GNU_SOURCE
#include <linux/futex.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"

#define ROUNDS		lq_scaled(1000)
#define CLIENTS		40
#define MOST_WORKERS	16
#define LIMIT		1

/* One for each round, so that a line of the log tells of which. */
#define FIRST_PORT	10000

/* What a round's clients have seen; shared with them. */
static struct shared {
	atomic_int round;	/* which may begin */
	atomic_int ready;	/* clients that have tried */
	atomic_int leave;	/* the round that may end */
	atomic_int left;
	atomic_int connected;	/* of this round, as their clients believe */
	atomic_int resent;	/* segments that came again */
	atomic_int accepted;
} *shared;

LQ_FIXTURE(overflows);

static int workers(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < 2 ? 2 : count > MOST_WORKERS ? MOST_WORKERS : count;
}

/* Each worker on a processor of its own, as far as there are that many. */
static void pin_to(int worker)
{
	lq_pin_to(worker % sysconf(_SC_NPROCESSORS_ONLN));
}

static int part_of(int worker, int count)
{
	return (worker + 1) * CLIENTS / count - worker * CLIENTS / count;
}

static bool is_connected(int client)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(client, SOL_TCP, TCP_INFO, &info, &len))
		err(1, "TCP_INFO");
	shared->resent += info.tcpi_total_retrans;
	/* The server may have closed it already. */
	return info.tcpi_state == TCP_ESTABLISHED ||
	       info.tcpi_state == TCP_CLOSE_WAIT;
}

/* All at once, without a wait for anything. */
static void try_all(int port, int *clients, int count)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);

	for (int i = 0; i < count; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
				    SOCK_CLOEXEC, 0);
		if (clients[i] < 0)
			err(1, "socket");
	}
	for (int i = 0; i < count; i++)
		if (connect(clients[i], &addr.sa, addr.len) &&
		    errno != EINPROGRESS)
			err(1, "connect");
}

/* All who wait go on at the same time; nobody spins meanwhile. */
static void go_on_to(atomic_int *number, int value)
{
	*number = value;
	syscall(SYS_futex, number, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_for(atomic_int *number, int value)
{
	int now;

	while ((now = *number) < value)
		syscall(SYS_futex, number, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void is_done(atomic_int *count)
{
	(*count)++;
	syscall(SYS_futex, count, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static pid_t start_clients(int worker, int count)
{
	int mine = part_of(worker, count), clients[CLIENTS];
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	pin_to(worker);
	for (int round = 1; ; round++) {
		wait_for(&shared->round, round);
		try_all(FIRST_PORT + round, clients, mine);
		is_done(&shared->ready);
		wait_for(&shared->leave, round);
		for (int i = 0; i < mine; i++)
			shared->connected += is_connected(clients[i]);
		for (int i = 0; i < mine; i++)
			lq_abort(clients[i]);
		is_done(&shared->left);
	}
}

static long long waiting(int fd)
{
	int now, limit;

	if (!lq_tcp_queue(fd, &now, &limit))
		errx(1, "TCP_INFO doesn't tell");
	return now;
}

static void accept_all(int fd)
{
	int child;

	while ((child = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(child);
		shared->accepted++;
	}
	if (errno != EAGAIN)
		err(1, "accept");
}

/* What a round's listener says, and the kernel. */
struct figures {
	long long overflows, ack;
	long long theirs;
	bool since_known;
};

static const char * const counters[] = {
	"ListenOverflows", "SyncookiesRecv", "SyncookiesFailed", "PassiveOpens",
	"TCPSynRetrans",
};

/* Whether nothing moved meanwhile, not even a while ago. */
static bool read_figures(int fd, struct figures *figures)
{
	long long before[ARRAY_SIZE(counters)], after[ARRAY_SIZE(counters)];
	struct lq_table *table;
	int row;

	lq_netstats(counters, before, ARRAY_SIZE(counters));
	for (int i = 0; i < 5; i++)
		lq_pause();
	table = lq_read(LQ_SOCKETS);
	row = lq_row(table, fd);
	figures->overflows = lq_cell_num(table, row, "overflows");
	figures->ack = lq_cell_num(table, row, "overflows_ack");
	figures->since_known = lq_cell_num(table, row, "since_overflow_ms") !=
			       LQ_NONE;
	lq_free(table);
	lq_netstats(counters, after, ARRAY_SIZE(counters));
	figures->theirs = after[0];
	return !memcmp(before, after, sizeof(before));
}

/* How much is wrong when it is over. */
static int check_round(int round, int fd, long long before, int workers)
{
	struct figures figures;
	bool settled = lq_wait_until(read_figures(fd, &figures));
	int faults = !settled;

	go_on_to(&shared->leave, round);
	wait_for(&shared->left, workers);
	faults += !ledger_agrees("the listener", "overflows",
				 figures.theirs - before, figures.overflows, 0);
	/*
	 * A client whose last ACK was refused learns nothing of that, until
	 * segments come again: then it is refused more than once.
	 */
	if (!shared->resent && !lq_netstat("TCPSynRetrans"))
		faults += !ledger_agrees("the listener", "overflows_ack",
					 shared->connected - shared->accepted -
					 waiting(fd), figures.ack, 0);
	faults += !ledger_agrees("since_overflow_ms", "being known",
				 figures.overflows > 0, figures.since_known, 0);
	if (faults)
		printf("# in round %d: %d connected, %d accepted, %lld wait\n",
		       round, shared->connected, shared->accepted, waiting(fd));
	return faults;
}

/* The ports that lines of the log are about, of rounds without an overflow. */
static int false_lines(int log, const char *none)
{
	char text[1024];
	int faults = 0;

	while (lq_read_log(log, text, sizeof(text))) {
		const char *at = strstr(text, "0.0.0.0:");
		int port;

		if (strncmp(text, "listenq: ", 9) ||
		    !strstr(text, "accept queue full") || !at ||
		    sscanf(at, "0.0.0.0:%d", &port) != 1 ||
		    port <= FIRST_PORT || port > FIRST_PORT + ROUNDS)
			continue;
		if (none[port - FIRST_PORT]) {
			printf("# no overflow, but: %s\n", text);
			faults++;
		}
	}
	return faults;
}

TEST_F_TIMEOUT(overflows, as_the_kernel_counts, 1200)
{
	char *none = calloc(ROUNDS + 1, 1);
	int count = workers(), faults = 0, quiet = 0;
	pid_t pids[MOST_WORKERS];
	int log = lq_open_log();

	ASSERT_NE(NULL, none);
	shared = lq_shared(sizeof(*shared));
	for (int i = 0; i < count; i++)
		pids[i] = start_clients(i, count);
	for (int i = 1; i <= ROUNDS && !faults; i++) {
		long long before = lq_netstat("ListenOverflows");
		int fd = lq_bound(AF_INET, "0.0.0.0", FIRST_PORT + i);

		ASSERT_EQ(0, fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK));
		/* In some rounds a server is fast enough, or nearly so. */
		lq_listen(fd, i % 4 ? LIMIT : CLIENTS / 2);
		shared->connected = 0;
		shared->accepted = 0;
		shared->resent = 0;
		shared->ready = 0;
		shared->left = 0;
		go_on_to(&shared->round, i);
		while (i % 2 == 0 && shared->ready < count)
			accept_all(fd);
		wait_for(&shared->ready, count);
		faults = check_round(i, fd, before, count);
		none[i] = lq_netstat("ListenOverflows") == before;
		quiet += none[i];
		close(fd);
	}
	for (int i = 0; i < count; i++)
		lq_kill(pids[i]);
	TH_LOG("%lld overflows, %d of %d rounds without one",
	       lq_netstat("ListenOverflows"), quiet, ROUNDS);
	EXPECT_EQ(0, faults);
	EXPECT_EQ(lq_netstat("ListenOverflows"), lq_total("overflows"));
	if (log >= 0)
		EXPECT_EQ(0, false_lines(log, none));
	EXPECT_EQ(0, ledger_check(0));
	free(none);
}

TEST_HARNESS_MAIN
