// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bursts of first listen() calls, on all processors at once and from realtime
 * tasks that let nothing else run: each listener has its record, or its miss
 * is counted.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define START		"inet_csk_listen_start"

/* More than any somaxconn, and one for each listener. */
#define FIRST_BACKLOG	1000000000

/* A process has an address of its own, with as many ports as it needs. */
#define FIRST_PORT	10000

#define LEAST_PROCESSES	3
#define MOST_PROCESSES	64
#define PRIORITY	50

/* The processes that make a burst; shared by them. */
struct crew {
	atomic_int ready;
	atomic_int done;
	int processes;
	int each;
	pid_t pids[MOST_PROCESSES];
};

FIXTURE(burst)
{
	struct crew *crew;
};

FIXTURE_VARIANT(burst)
{
	int listeners;
	bool realtime;
	bool alone;
};

FIXTURE_VARIANT_ADD(burst, all_processors) { .listeners = 24000 };
FIXTURE_VARIANT_ADD(burst, one_realtime_task)
{
	.listeners = 3000, .realtime = true, .alone = true,
};

FIXTURE_VARIANT_ADD(burst, realtime_tasks_everywhere)
{
	.listeners = 6000, .realtime = true,
};

static int set_scheduler(int policy, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, policy, &param) ? errno : 0;
}

FIXTURE_SETUP(burst)
{
	int processes = sysconf(_SC_NPROCESSORS_ONLN);
	struct crew *crew;
	int error;

	LQ_SETUP();
	if (variant->realtime) {
		error = set_scheduler(SCHED_FIFO, PRIORITY);
		if (error == EPERM)
			lq_skip("realtime tasks are not permitted");
		ASSERT_EQ(0, error);
		ASSERT_EQ(0, set_scheduler(SCHED_OTHER, 0));
	}
	if (processes > MOST_PROCESSES)
		processes = MOST_PROCESSES;
	if (variant->alone)
		processes = 1;
	else if (!variant->realtime && processes < LEAST_PROCESSES)
		processes = LEAST_PROCESSES;

	crew = lq_shared(sizeof(*crew));
	crew->processes = processes;
	crew->each = lq_scaled(variant->listeners) / processes;
	self->crew = crew;
}

FIXTURE_TEARDOWN(burst)
{
	for (int i = 0; i < self->crew->processes; i++)
		if (self->crew->pids[i])
			lq_kill(self->crew->pids[i]);
}

static int asked_by(const struct crew *crew, int process, int i)
{
	return FIRST_BACKLOG + process * crew->each + i;
}

/* On a processor of its own, where nothing else runs from here on. */
static void become_realtime(int process)
{
	cpu_set_t allowed, here;
	int cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		err(1, "sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE - 1; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !process--)
			break;
	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here) ||
	    set_scheduler(SCHED_FIFO, PRIORITY))
		err(1, "a realtime task on processor %d", cpu);
}

/* Binds, waits for all the others, and then does nothing but listen. */
static void burst(struct crew *crew, int process, bool realtime, int go)
{
	const struct rlimit files = { crew->each + 100, crew->each + 100 };
	int *fds = calloc(crew->each, sizeof(*fds));
	char host[32], byte;

	if (!fds || setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	snprintf(host, sizeof(host), "127.0.%d.1", process);
	for (int i = 0; i < crew->each; i++)
		fds[i] = lq_bound(AF_INET, host, FIRST_PORT + i);
	if (realtime)
		become_realtime(process);
	crew->ready++;
	/* The end of the pipe starts all of them. */
	if (read(go, &byte, 1))
		_exit(1);
	for (int i = 0; i < crew->each; i++)
		if (listen(fds[i], asked_by(crew, process, i)))
			_exit(1);
	if (realtime && set_scheduler(SCHED_OTHER, 0))
		_exit(1);
	crew->done++;
	for (;;)
		pause();
}

/* Returns with all of them listening. */
static void burst_at_once(struct __test_metadata *_metadata, struct crew *crew,
			  bool realtime)
{
	int go[2];

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	for (int i = 0; i < crew->processes; i++) {
		pid_t pid = lq_fork();

		if (!pid) {
			close(go[1]);
			burst(crew, i, realtime, go[0]);
		}
		crew->pids[i] = pid;
	}
	close(go[0]);
	ASSERT_TRUE(lq_wait_until(crew->ready == crew->processes));
	close(go[1]);
	ASSERT_TRUE(lq_wait_until(crew->done == crew->processes));
}

/* How many of them have no record; of all others each figure is right. */
static int count_unrecorded(struct __test_metadata *_metadata,
			    const struct crew *crew)
{
	int total = crew->processes * crew->each;
	struct lq_table *table = lq_read(LQ_SOCKETS);
	char *seen = calloc(total, 1);
	int unrecorded = 0;

	ASSERT_NE(NULL, seen);
	ASSERT_EQ(total, table->nrows);
	for (int row = 0; row < total; row++) {
		const char *local = lq_cell(table, row, "local");
		long long asked = lq_cell_num(table, row, "asked");
		long long pid = lq_cell_num(table, row, "pid");
		int process, port, i;

		if (sscanf(local, "127.0.%d.1:%d", &process, &port) != 2)
			errx(1, "who listens at %s?", local);
		i = port - FIRST_PORT;
		ASSERT_TRUE(process < crew->processes && i < crew->each);
		ASSERT_EQ(0, seen[process * crew->each + i]++);
		if (asked == LQ_NONE) {
			ASSERT_EQ(LQ_NONE, pid);
			unrecorded++;
			continue;
		}
		ASSERT_EQ(asked_by(crew, process, i), asked);
		ASSERT_EQ(crew->pids[process], pid);
	}
	free(seen);
	lq_free(table);
	return unrecorded;
}

/* There, interrupts that refill a pool are threads, and wait for their turn. */
static bool is_preempt_rt(void)
{
	struct utsname name;

	if (uname(&name))
		err(1, "uname");
	return strstr(name.version, "PREEMPT_RT") ||
	       strstr(name.version, "PREEMPT RT");
}

TEST_F(burst, recorded_or_counted_as_missed)
{
	long long missed = lq_hook(START, "nmissed");
	int unrecorded;

	burst_at_once(_metadata, self->crew, variant->realtime);
	unrecorded = count_unrecorded(_metadata, self->crew);
	missed = lq_hook(START, "nmissed") - missed;
	TH_LOG("%d of %d without a record", unrecorded,
	       self->crew->processes * self->crew->each);
	EXPECT_EQ(unrecorded, missed);
	if (variant->realtime && !is_preempt_rt())
		EXPECT_EQ(0, unrecorded);
}

TEST_HARNESS_MAIN
