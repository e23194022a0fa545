// SPDX-License-Identifier: GPL-2.0-only
/* What the threads that could accept are doing, in words. */

#include <string.h>

#include "explain.h"

/* A thread that uses less is asleep, but for waking up now and then. */
#define ASLEEP		0.02

bool is_stopped_thread(const struct thread *thread)
{
	return thread->state == 'T' || thread->state == 't';
}

/* Blocked all the time, as far as two looks can tell. */
bool is_blocked_thread(const struct thread *thread)
{
	return thread->state == 'D' && thread->stayed && thread->use == 0;
}

static bool is_busy_thread(const struct thread *thread)
{
	return thread->use >= BUSY || (thread->state == 'R' && thread->stayed);
}

bool is_asleep_thread(const struct thread *thread)
{
	return thread->stayed && strchr("SDI", thread->state) &&
	       thread->use <= ASLEEP;
}

bool all_threads(const struct subject *subject,
		 bool (*are)(const struct thread *thread))
{
	const struct acceptors *acceptors = &subject->acceptors;

	for (size_t i = 0; i < acceptors->count; i++)
		for (size_t j = 0; j < acceptors->acceptor[i].threads; j++)
			if (!are(&acceptors->acceptor[i].thread[j]))
				return false;
	return acceptors->count && !acceptors->left;
}

/* The thread that uses most; NULL if none is busy. */
const struct thread *busiest(const struct subject *subject,
			     const struct acceptor **of)
{
	const struct acceptors *acceptors = &subject->acceptors;
	const struct thread *most = NULL;

	for (size_t i = 0; i < acceptors->count; i++)
		for (size_t j = 0; j < acceptors->acceptor[i].threads; j++) {
			const struct thread *thread =
				&acceptors->acceptor[i].thread[j];

			if (!is_busy_thread(thread) ||
			    (most && thread->use <= most->use))
				continue;
			most = thread;
			*of = &acceptors->acceptor[i];
		}
	return most;
}

static const char *state_word(char state)
{
	switch (state) {
	case 'R': return "running or ready to run";
	case 'D': return "in uninterruptible sleep";
	case 'T': return "stopped";
	case 't': return "stopped by a debugger";
	case 'Z': return "dead, but not reaped (a zombie)";
	default: return "asleep";
	}
}

static bool is_alike(const struct thread *a, const struct thread *b)
{
	return a->state == b->state && !strcmp(a->wchan, b->wchan);
}

/* "pid 12 nginx: 3 of 4 threads asleep in futex_wait_queue" */
static void say_kind(struct report *report, const struct acceptor *process,
		     size_t first)
{
	const struct thread *thread = &process->thread[first];
	char number[64] = "", where[96] = "", use[64] = "";
	size_t count = 0;
	double sum = 0;

	for (size_t i = 0; i < process->threads; i++)
		if (is_alike(&process->thread[i], thread)) {
			count++;
			sum += process->thread[i].use;
		}
	if (process->threads > 1)
		snprintf(number, sizeof(number), " %zu of %zu threads", count,
			 process->threads);
	if (*thread->wchan && thread->state != 'R')
		snprintf(where, sizeof(where), " in %s()", thread->wchan);
	if (thread->use >= 0)
		snprintf(use, sizeof(use), ", using %.0f%% of a processor",
			 sum * 100);
	say(report, EVIDENCE, "%s (pid %d):%s %s%s%s.", process->comm,
	    process->pid, number, state_word(thread->state), where, use);
}

void say_threads(struct report *report, const struct subject *subject)
{
	const struct acceptors *acceptors = &subject->acceptors;

	for (size_t i = 0; i < acceptors->count && i < SHOWN; i++) {
		const struct acceptor *process = &acceptors->acceptor[i];
		size_t kinds = 0;

		for (size_t j = 0; j < process->threads && kinds < SHOWN; j++) {
			size_t k = 0;

			while (!is_alike(&process->thread[k],
					 &process->thread[j]))
				k++;
			if (k < j)
				continue;
			kinds++;
			say_kind(report, process, j);
		}
	}
	if (acceptors->count > SHOWN)
		say(report, EVIDENCE, "%s can accept, too.",
		    count_of(acceptors->count - SHOWN, "more process",
			     "more processes"));
}
