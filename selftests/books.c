// SPDX-License-Identifier: GPL-2.0-only
/*
 * The books balance: each SYN, request and connection ends in one column, which
 * is what the test did and what the kernel counted. Each case of cases.c and
 * cases_special.c alone, and all of them one after another by chance, which
 * LISTENQ_SEED repeats.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "listenq.h"
#include "cases.h"
#include "refusal.h"
#include "strangers.h"

struct __test_metadata;

FIXTURE(books) { };

FIXTURE_VARIANT(books)
{
	int server;
	int client;
};

FIXTURE_VARIANT_ADD(books, ipv4) { .server = AF_INET, .client = AF_INET };
FIXTURE_VARIANT_ADD(books, ipv6) { .server = AF_INET6, .client = AF_INET6 };
/* Through both families' functions, and to be counted once. */
FIXTURE_VARIANT_ADD(books, mapped) { .server = AF_INET6, .client = AF_INET };

FIXTURE_SETUP(books)
{
	LQ_SETUP();
	lq_need_family(variant->server);
}

FIXTURE_TEARDOWN(books) { }

/* Each term is what was done ... */
static int compare_did(const struct world *w, const struct ledger *ledger,
		       long long slack)
{
	int faults = 0;

	for (int t = 0; t < SYNQ; t++)
		if (t != RESENT)
			faults += !ledger_agrees("the test", term_names[t],
						 w->did[t], ledger->totals[t],
						 slack);
	return faults;
}

/* ... and what the kernel counts, where it does. */
static int compare_kernel(const struct world *w, const struct ledger *ledger,
			  long long slack)
{
	const long long *of = ledger->totals;
	const struct {
		enum kernel_counter counter;
		long long ours;
	} pairs[] = {
		{ PASSIVE_OPENS, of[FINISHED] + of[COOKIES_FINISHED] +
				 of[FASTOPENS] + of[JOINED] },
		{ EMBRYONIC_RSTS, of[RESET] - w->other_resets },
		{ SYN_RETRANS, of[RESENT] + w->clients_resent },
		{ COOKIES_SENT, of[SYNCOOKIES] },
		{ COOKIES_RECV, of[COOKIES_FINISHED] + w->cookies_refused },
		{ COOKIES_BAD, of[COOKIES_FAILED] },
		{ FASTOPEN_PASSIVE, of[FASTOPENS] },
		{ FASTOPEN_REFUSED, of[FASTOPEN_OVERFLOWS] },
		{ LISTEN_OVERFLOWS, of[OVERFLOWS] },
		{ QUEUE_FULL_DROPS, of[SYNQ_DROPS] },
	};
	int faults = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		faults += !ledger_agrees("the kernel",
					 kernel_names[pairs[i].counter],
					 ledger->kernel[pairs[i].counter],
					 pairs[i].ours, slack);
	return faults;
}

static int check_books(const struct world *w, long long *left)
{
	struct ledger *ledger = ledger_read();
	long long slack = lq_missed() - w->missed;
	int faults = ledger_faults(ledger, slack);

	faults += compare_did(w, ledger, slack);
	faults += compare_kernel(w, ledger, slack);
	faults += !refused_agrees(ledger_refused(ledger), slack);
	if (slack)
		printf("# %lld hits were skipped\n", slack);
	if (left)
		memcpy(left, ledger->totals, sizeof(ledger->totals));
	ledger_free(ledger);
	return faults;
}

/* Listeners first, so that what they hold is what they held. */
static void close_all(struct world *w, const long long *left)
{
	lq_close_all(w->listeners, w->listener_count);
	did(w, UNACCEPTED, left[ACCEPTQ]);
	did(w, ABANDONED, left[SYNQ]);
	lq_close_all(w->clients, w->client_count);
	w->listener_count = 0;
	w->client_count = 0;
}

/* With its listeners open and with them gone; how much was wrong. */
static int run_case(struct world *w, const struct books_case *c)
{
	long long left[TERMS];
	const char *why;
	int faults;

	world_settle();
	w->faults = 0;
	why = c->run(w);
	faults = w->faults + check_books(w, left);
	close_all(w, left);
	faults += check_books(w, NULL);
	if (why)
		printf("# %s: skipped: %s\n", c->name, why);
	if (faults)
		printf("# %s: %d faults\n", c->name, faults);
	fflush(stdout);
	return faults;
}

static int case_count(void)
{
	return plain_count + special_count;
}

static const struct books_case *case_at(int i)
{
	return i < plain_count ? &plain_cases[i] :
				 &special_cases[i - plain_count];
}

/* Each in a namespace that nothing else was in. */
TEST_F_TIMEOUT(books, each_alone, 600)
{
	struct world w;
	int faults = 0;

	for (int i = 0; i < case_count(); i++) {
		lq_new_netns();
		world_begin(&w, variant->server, variant->client);
		faults += run_case(&w, case_at(i));
		close(w.wire);
	}
	EXPECT_EQ(0, faults);
}

static void shuffle(int *order, int count)
{
	for (int i = 0; i < count; i++)
		order[i] = i;
	for (int i = count - 1; i > 0; i--) {
		int j = lq_chance(i + 1), old = order[i];

		order[i] = order[j];
		order[j] = old;
	}
}

/* Of one family or the other, or of both. */
static void draw_families(struct world *w)
{
	w->server = lq_family(lq_chance(2));
	w->client = lq_chance(2) ? w->server : AF_INET;
}

LQ_FIXTURE(by_chance);

static void run_shuffled(struct __test_metadata *_metadata)
{
	int order[64], count = case_count(), faults = 0;
	struct world w;

	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
	ASSERT_GE(ARRAY_SIZE(order), count);
	shuffle(order, count);
	world_begin(&w, AF_INET, AF_INET);
	for (int i = 0; i < count && !faults; i++) {
		draw_families(&w);
		faults = run_case(&w, case_at(order[i]));
	}
	EXPECT_EQ(0, faults);
	close(w.wire);
}

TEST_F_TIMEOUT(by_chance, on_one_processor, 600)
{
	lq_pin();
	run_shuffled(_metadata);
}

TEST_F_TIMEOUT(by_chance, on_all_processors, 600)
{
	run_shuffled(_metadata);
}

TEST_HARNESS_MAIN
