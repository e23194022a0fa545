// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processors that go and come back: what each of them had counted, or had kept for
 * later, is there while it is off, and afterwards.
 */

#define _GNU_SOURCE
#include <poll.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "bustle.h"
#include "ledger.h"

#define CPUS		"/sys/devices/system/cpu"
#define MOST_CPUS	64
/* Listeners on one processor: more than half of its own pool, which is then refilled. */
#define LISTENERS	40
#define ROUNDS		lq_scaled(40)

/* Processors that can be switched off. */
static int cpus[MOST_CPUS];
static int cpu_count;

static bool is_on(int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	return lq_read_number(path);
}

static bool try_switch(int cpu, bool on)
{
	char path[64];
	int fd, error;

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	error = lq_write(fd, on ? "1" : "0", 1);
	close(fd);
	/* Somebody else may be switching one at the moment. */
	if (error && error != EBUSY)
		errx(1, "%s: %s", path, strerror(error));
	return !error;
}

static void switch_cpu(int cpu, bool on)
{
	if (!lq_wait_until(try_switch(cpu, on)))
		errx(1, "processor %d stays as it is", cpu);
}

static void all_on(void)
{
	for (int i = 0; i < cpu_count; i++)
		if (!is_on(cpus[i]))
			switch_cpu(cpus[i], true);
}

/* Why there is nothing to do here; NULL: there is. */
static const char *look(void)
{
	char path[64];

	cpu_count = 0;
	for (int cpu = 0; cpu < MOST_CPUS; cpu++) {
		snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
		if (!access(path, W_OK) && is_on(cpu))
			cpus[cpu_count++] = cpu;
	}
	/* Where each can be, one stays. */
	if (cpu_count && cpu_count == sysconf(_SC_NPROCESSORS_ONLN))
		cpu_count--;
	return cpu_count ? NULL :
	       "no processor can be switched off: needs two, and CONFIG_HOTPLUG_CPU";
}

FIXTURE(hotplug)
{
	bool loaded;
};

FIXTURE_SETUP(hotplug)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	/* A test that is killed leaves processors off. */
	if (!getenv("LISTENQ_VM"))
		LQ_SKIP_FOR("switches processors off: only in a VM (LISTENQ_VM)");
	LQ_SKIP_FOR(look());
	lq_dummy_up();
	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
}

FIXTURE_TEARDOWN(hotplug)
{
	all_on();
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/* In random order, while tasks are at it on all that there are. */
TEST_F(hotplug, under_load)
{
	int switched = 0;

	bustle_begin();
	ASSERT_TRUE(bustle_goes_on(1));
	for (int i = 0; i < ROUNDS; i++) {
		int cpu = cpus[lq_chance(cpu_count)];

		switch_cpu(cpu, !is_on(cpu));
		switched++;
		poll(NULL, 0, lq_chance(20));
		if (!lq_chance(4))
			ASSERT_TRUE(bustle_goes_on(1));
	}
	all_on();
	ASSERT_TRUE(bustle_goes_on(1));
	EXPECT_EQ(0, bustle_end());
	TH_LOG("%d times a processor was switched", switched);
	EXPECT_EQ(0, lq_unload());
	EXPECT_EQ(0, lq_load());
}

/*
 * What became of a SYN, the module learns from the next one on that processor. If none
 * comes, since there is no such processor any more, a reader sees to it.
 */
TEST_F(hotplug, what_a_processor_was_about_to_count)
{
	int full = lq_full_any(1), unanswered = lq_listener_any(AF_INET, 5);

	for (int i = 0; i < cpu_count; i++) {
		struct ledger *ledger;

		lq_dummy_routes(false);
		lq_pin_to(cpus[i]);
		lq_turn_away(full);
		/* The last: nothing but a reader will ask what became of it. */
		lq_send_syns(AF_INET, lq_port(unanswered), i, 1);
		lq_unpin();
		switch_cpu(cpus[i], false);

		ledger = ledger_read();
		EXPECT_EQ(i + 1, ledger_row(ledger, full)->of[OVERFLOWS]);
		EXPECT_EQ(i + 1, ledger->kernel[LISTEN_OVERFLOWS]);
		EXPECT_EQ(i + 1, ledger_row(ledger, unanswered)->of[SYNS]);
		EXPECT_EQ(i + 1, ledger_row(ledger, unanswered)->of[FAILED]);
		EXPECT_EQ(0, ledger_faults(ledger, 0));
		ledger_free(ledger);
		EXPECT_EQ(i + 1, lq_rows(LQ_REFUSED));

		switch_cpu(cpus[i], true);
		EXPECT_EQ(i + 1, lq_num(full, "overflows"));
		EXPECT_EQ(i + 1, lq_num(unanswered, "syns"));
		EXPECT_EQ(0, ledger_check(0));
		lq_dummy_routes(true);
	}
}

static void listen_on(int cpu, int *fds)
{
	lq_pin_to(cpu);
	for (int i = 0; i < LISTENERS; i++)
		fds[i] = lq_listener(AF_INET, i + 1);
	lq_unpin();
}

static void check_listeners(struct __test_metadata *_metadata, const int *fds)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);

	for (int i = 0; i < LISTENERS; i++) {
		int row = lq_row(table, fds[i]);

		EXPECT_EQ(i + 1, lq_cell_num(table, row, "asked"));
		EXPECT_EQ(i + 1, lq_cell_num(table, row, "limit"));
	}
	lq_free(table);
}

/* Hooks see what happens on @cpu. */
static void check_calls(struct __test_metadata *_metadata, int cpu)
{
	long long missed = lq_missed(), hits = lq_hook("__sys_listen", "hits");
	int fds[LISTENERS];

	listen_on(cpu, fds);
	check_listeners(_metadata, fds);
	if (lq_missed() == missed)
		EXPECT_EQ(hits + LISTENERS, lq_hook("__sys_listen", "hits"));
	for (int i = 0; i < LISTENERS; i++)
		close(lq_connect(fds[i]));
	EXPECT_EQ(0, ledger_check(lq_missed() - missed));
	lq_close_all(fds, LISTENERS);
}

/* Records that were made there stay, and its pool of unused ones. */
TEST_F(hotplug, records_of_a_processor_that_goes)
{
	int fds[LISTENERS];

	for (int i = 0; i < cpu_count; i++) {
		long long unrecorded = lq_hook("unrecorded", "hits");
		long long hits = lq_hook("__sys_listen", "hits"), missed = lq_missed();

		listen_on(cpus[i], fds);
		switch_cpu(cpus[i], false);
		if (lq_missed() == missed)
			EXPECT_EQ(hits + LISTENERS, lq_hook("__sys_listen", "hits"));
		check_listeners(_metadata, fds);
		EXPECT_EQ(unrecorded, lq_hook("unrecorded", "hits"));
		lq_close_all(fds, LISTENERS);
		switch_cpu(cpus[i], true);
		check_calls(_metadata, cpus[i]);
	}
}

/* What the module has of a processor goes with the module, whether that is on or not. */
TEST_F(hotplug, module_comes_and_goes_meanwhile)
{
	for (int i = 0; i < cpu_count; i++) {
		int cpu = cpus[i], fds[LISTENERS];

		listen_on(cpu, fds);
		switch_cpu(cpu, false);
		ASSERT_EQ(0, lq_unload());
		lq_close_all(fds, LISTENERS);
		/* Its probes are placed where that one is not. */
		ASSERT_EQ(0, lq_load());
		switch_cpu(cpu, true);
		check_calls(_metadata, cpu);
		ASSERT_EQ(0, lq_unload());
		ASSERT_EQ(0, lq_load());
	}
}

TEST_HARNESS_MAIN
