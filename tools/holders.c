// SPDX-License-Identifier: GPL-2.0-only
/* Put the processes that have a socket open in order, and name them. */

#include <stdlib.h>
#include <string.h>

#include "process.h"

/* Ancestors that are counted: in a saved record, parents can form a circle. */
#define GENERATIONS	16

static int by_pid(const void *x, const void *y)
{
	const struct hold *a = x, *b = y;

	return (a->listener > b->listener) - (a->listener < b->listener) ?:
	       (a->process->pid > b->process->pid) -
	       (a->process->pid < b->process->pid);
}

/*
 * Workers come before the master that opened the socket for them: first processes
 * without a child that has it open, then children before their parents.
 */
static int by_precedence(const void *x, const void *y)
{
	const struct hold *a = x, *b = y;

	return a->follows - b->follows ?:
	       (a->follows ? b->generation - a->generation : 0) ?:
	       by_pid(a, b);
}

/* The hold of @process's parent, among holds of one socket sorted by pid. */
static struct hold *parent_of(const struct process *process, struct hold *hold,
			      size_t count)
{
	struct process parent = { .pid = process->parent };
	const struct hold key = {
		.listener = hold->listener,
		.process = &parent,
	};

	return process->parent == process->pid ? NULL :
	       bsearch(&key, hold, count, sizeof(*hold), by_pid);
}

static void put_in_order(struct hold *hold, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct hold *parent = parent_of(hold[i].process, hold, count);

		if (parent)
			parent->follows = true;
		for (; parent && hold[i].generation < GENERATIONS;
		     parent = parent_of(parent->process, hold, count))
			hold[i].generation++;
	}
	qsort(hold, count, sizeof(*hold), by_precedence);
}

/* Fill in @holder from the holds of one socket. */
static void name_them(struct holder *holder, const struct hold *hold,
		      size_t count)
{
	holder->pid = hold->process->pid;
	strcpy(holder->comm, hold->process->comm);
	holder->membership = membership_share(hold->process->membership);
	holder->others = count - 1;
	if (!holder->others)
		return;
	holder->other = allocate(NULL, holder->others, sizeof(*holder->other));
	for (size_t i = 1; i < count; i++) {
		struct process_name *name = &holder->other[i - 1];

		name->pid = hold[i].process->pid;
		strcpy(name->comm, hold[i].process->comm);
	}
}

/**
 * name_holders() - give each listener the processes that have its socket open
 * @listener: the listeners, to which the numbers in @hold refer
 * @hold: what was found; it is sorted
 * @holds: how many entries @hold has
 * @others: every process was searched for: workers come before their master; else
 *	the order is by number
 */
void name_holders(struct listener *const listener[], struct hold *hold,
		  size_t holds, bool others)
{
	size_t count = 0, i, end;

	if (!holds)
		return;
	qsort(hold, holds, sizeof(*hold), by_pid);
	for (i = 0; i < holds; i++)
		if (!i || by_pid(&hold[i], &hold[count - 1]))
			hold[count++] = hold[i];
	for (i = 0; i < count; i = end) {
		for (end = i; end < count; end++)
			if (hold[end].listener != hold[i].listener)
				break;
		if (others)
			put_in_order(&hold[i], end - i);
		name_them(&listener[hold[i].listener]->holder, &hold[i],
			  end - i);
	}
}

void holder_free(struct holder *holder)
{
	free(holder->other);
	membership_release(holder->membership);
	*holder = (struct holder) { };
}
