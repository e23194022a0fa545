// SPDX-License-Identifier: GPL-2.0-only
/*
 * The most of the last minute: shown until 60 s after it was last reached, gone
 * after 75 s, whoever reads and resets meanwhile, and where nobody reads. One test
 * takes as long as that takes, and watches several listeners at once.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "listenq.h"
#include "strangers.h"

#define SHOWN_MS	60000
#define GONE_MS		75000

#define LIMIT		100
#define MOST_SPELLS	24
#define MOST_INSIDE	12

/* A queue held so many, at least from and to, at most since and until. */
struct spell {
	int value;
	long long since;
	long long from;
	long long to;
	long long until;
};

struct watched {
	const char *what;
	bool is_synq;
	/* What it is to hold from some second on; -1: the end. */
	struct {
		int second;
		int value;
	} plan[12];

	int fd;
	int step;
	int inside;
	int clients[MOST_INSIDE];	/* the oldest first */
	int strangers;			/* the number of the oldest */
	struct spell spells[MOST_SPELLS];
	int count;
};

static struct watched all[] = {
	{ "a burst", false, { { 1, 12 }, { 1, 0 }, { -1 } } },
	{ "one that stands for more than a minute", false,
	  { { 1, 7 }, { 71, 0 }, { -1 } } },
	{ "a value that is reached again", false,
	  { { 1, 9 }, { 2, 0 }, { 31, 9 }, { 32, 0 }, { -1 } } },
	{ "a lower one later", false,
	  { { 1, 9 }, { 2, 0 }, { 31, 4 }, { 32, 0 }, { -1 } } },
	{ "one that is drained slowly", false,
	  { { 1, 5 }, { 11, 4 }, { 21, 3 }, { 31, 2 }, { 41, 1 }, { 51, 0 },
	    { -1 } } },
	{ "one that is gone and comes again", false,
	  { { 1, 6 }, { 2, 0 }, { 77, 3 }, { 78, 0 }, { -1 } } },
	{ "a burst of requests", true, { { 1, 10 }, { 1, 0 }, { -1 } } },
	{ "requests that stand for more than a minute", true,
	  { { 1, 6 }, { 71, 0 }, { -1 } } },
	{ "requests as many again", true,
	  { { 1, 8 }, { 2, 0 }, { 31, 8 }, { 32, 0 }, { -1 } } },
	{ "fewer requests later", true,
	  { { 1, 8 }, { 2, 2 }, { 31, 5 }, { 32, 0 }, { -1 } } },
};

/* When the last of them is gone. */
#define END_S		(78 + GONE_MS / 1000 + 3)

LQ_FIXTURE(minute, lq_dummy_up());

static void hold(struct watched *w, int value)
{
	int family = AF_INET, port = lq_port(w->fd);
	const char *col = w->is_synq ? "synq" : "acceptq";
	bool there;

	for (; w->inside < value; w->inside++) {
		if (w->is_synq)
			lq_send_syns(family, port, w->strangers + w->inside, 1);
		else
			w->clients[w->inside] = lq_connect(w->fd);
	}
	for (; w->inside > value; w->inside--) {
		if (w->is_synq) {
			stranger_resets(family, port, w->strangers++);
			continue;
		}
		lq_accept(w->fd);
		close(w->clients[0]);
		memmove(w->clients, w->clients + 1,
			sizeof(w->clients) - sizeof(w->clients[0]));
	}
	there = lq_wait_until(lq_num(w->fd, col) == value);
	if (!there)
		errx(1, "%s: %s is not %d", w->what, col, value);
}

/* What is due; the spell that it ends, and the one that begins. */
static void go_on(struct watched *w, long long start)
{
	while (w->plan[w->step].second >= 0) {
		int value = w->plan[w->step].value;
		long long now = lq_now_ms();
		struct spell *last = w->count ? &w->spells[w->count - 1] : NULL;

		if (now < start + 1000LL * w->plan[w->step].second)
			return;
		if (last)
			last->to = now;
		hold(w, value);
		if (last)
			last->until = lq_now_ms();
		w->spells[w->count++] = (struct spell){
			.value = value, .since = now, .from = lq_now_ms(),
			.to = LLONG_MAX / 2, .until = LLONG_MAX / 2,
		};
		w->step++;
	}
}

/* What a read that took from @begin to @end may show, and has to. */
static int check_shown(const struct watched *w, long long shown, long long begin,
		       long long end)
{
	int least = 0, most = 0;

	for (int i = 0; i < w->count; i++) {
		const struct spell *spell = &w->spells[i];

		if (begin >= spell->from && spell->value > least &&
		    end <= spell->to + SHOWN_MS - LQ_SLACK_MS)
			least = spell->value;
		if (end >= spell->since && spell->value > most &&
		    begin <= spell->until + GONE_MS + LQ_SLACK_MS)
			most = spell->value;
	}
	if (least <= shown && shown <= most)
		return 0;
	printf("# %s: %lld is shown, not %d to %d\n", w->what, shown, least,
	       most);
	return 1;
}

static int check_all(long long start)
{
	long long begin = lq_now_ms(), end;
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int faults = 0;

	end = lq_now_ms();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct watched *w = &all[i];
		int row = lq_row(table, w->fd), fault;
		long long shown = lq_cell_num(table, row, w->is_synq ?
					      "synq_peak_1m" : "acceptq_peak_1m");

		fault = check_shown(w, shown, begin, end);
		if (fault)
			printf("# that was at %lld ms\n", begin - start);
		faults += fault;
	}
	lq_free(table);
	return faults;
}

/* Somebody else, who resets and reads all the time. */
static pid_t start_monitor(void)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	for (;;) {
		lq_write_sockets("reset\n");
		lq_free(lq_read(LQ_SOCKETS));
		for (int i = 0; i < 20; i++)
			lq_pause();
	}
}

/*
 * The module looks by itself each 30 s, and when the kernel sends a SYN-ACK again, which it
 * does after 31 s, and then after 63 s. Of several queues that are emptied in between, one
 * after the other, some have not been looked at for long.
 */
#define UNREAD		6
#define UNREAD_FIRST_MS	46000
#define UNREAD_APART_MS	3000
#define HELD		4

static void wait_for(long long until)
{
	while (lq_now_ms() < until)
		lq_pause();
}

/*
 * Queues of another namespace, at which nobody looks while they stand and after they
 * were emptied: who empties them has to tell what they held until then. Exits with the
 * number of those that do not show it a minute later.
 */
static pid_t start_unread(void)
{
	long long start = lq_now_ms(), emptied[UNREAD];
	int synq[UNREAD], acceptq[UNREAD], faults = 0;
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_new_netns();
	lq_dummy_up();
	lq_set_sysctl("ipv4/tcp_synack_retries", 8);
	for (int i = 0; i < UNREAD; i++) {
		synq[i] = lq_listener_any(AF_INET, LIMIT);
		acceptq[i] = lq_listener(AF_INET, LIMIT);
		lq_send_syns(AF_INET, lq_port(synq[i]), HELD * i, HELD);
		for (int n = 0; n < HELD; n++)
			lq_connect(acceptq[i]);
		if (!lq_wait_until(lq_num(synq[i], "synq") == HELD &&
				   lq_num(acceptq[i], "acceptq") == HELD))
			errx(1, "%d are not there", HELD);
	}
	for (int i = 0; i < UNREAD; i++) {
		wait_for(start + UNREAD_FIRST_MS + UNREAD_APART_MS * i);
		emptied[i] = lq_now_ms();
		for (int n = 0; n < HELD; n++) {
			stranger_resets(AF_INET, lq_port(synq[i]), HELD * i + n);
			lq_accept(acceptq[i]);
		}
	}
	for (int i = 0; i < UNREAD; i++) {
		wait_for(emptied[i] + SHOWN_MS - 1000);
		if (lq_num(synq[i], "synq_peak_1m") != HELD ||
		    lq_num(acceptq[i], "acceptq_peak_1m") != HELD) {
			printf("# unread, number %d: %lld and %lld, not %d\n", i,
			       lq_num(synq[i], "synq_peak_1m"),
			       lq_num(acceptq[i], "acceptq_peak_1m"), HELD);
			faults++;
		}
		if (lq_num(synq[i], "synq") || lq_num(acceptq[i], "acceptq"))
			errx(1, "number %d is not empty", i);
	}
	fflush(stdout);
	_exit(faults);
}

TEST_F_TIMEOUT(minute, no_less_than_60_s_and_no_more_than_75, 400)
{
	long long start;
	int faults = 0, reads = 0;
	pid_t pids[2], unread = start_unread();

	lq_set_sysctl("ipv4/tcp_synack_retries", 8);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i].fd = lq_listener_any(AF_INET, LIMIT);
		all[i].strangers = 1000 * i;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = start_monitor();
	start = lq_now_ms();
	while (lq_now_ms() < start + 1000LL * END_S && faults < 10) {
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			go_on(&all[i], start);
		faults += check_all(start);
		reads++;
		for (int i = 0; i < 50; i++)
			lq_pause();
	}
	TH_LOG("%d reads", reads);
	EXPECT_EQ(0, faults);
	EXPECT_LT(END_S, reads);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		EXPECT_EQ(-1, all[i].plan[all[i].step].second);
		EXPECT_EQ(0, lq_num(all[i].fd, all[i].is_synq ?
				    "synq_peak_1m" : "acceptq_peak_1m"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		lq_kill(pids[i]);
	EXPECT_EQ(0, lq_reap(unread));
}

TEST_HARNESS_MAIN
