/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the kernel's that a room wants to see called. */
#ifndef LISTENQ_HOOK_H
#define LISTENQ_HOOK_H

#include <linux/kprobes.h>
#include <linux/types.h>

/**
 * struct hook - a function of the kernel's that a room wants to see called
 * @symbol: its name
 * @serves: what is read from it, for people
 * @lost: what reads `-` or is inexact where it can't be probed, for people;
 *	NULL where nothing is
 * @unless: symbol of an earlier hook of the same table that makes this one
 *	unneeded where it could be placed, or NULL
 * @absent: this kernel can't have such a function, so that nothing is placed
 * @required: a failure to place it fails the load
 * @enter: runs when the function is called. Returns whether @leave shall run
 *	for this call; what it says is ignored without @leave.
 * @leave: runs when the function returns, or NULL. With it the hook holds one
 *	of @active instances from entry to return.
 * @data_size: bytes that @enter may write and @leave may read, zero at first
 * @active: how many calls may be under way at a time; further ones count as
 *	missed. A function that can block needs more than one that can't.
 *
 * Both handlers run in the context of the probed function with preemption
 * off, so they are RCU read-side critical sections. Neither sleeps, allocates
 * or prints. @enter may run in an exception that looks like an NMI (a
 * breakpoint on x86): it takes no lock, and lockdep agrees. @leave may take
 * raw spinlocks, with interrupts off: it never interrupts code that holds one
 * of them, since it runs where a probed function returns, also where that
 * return is a breakpoint (arm64 since 7.2).
 */
struct hook {
	const char *symbol;
	const char *serves;
	const char *lost;
	const char *unless;
	bool absent;
	bool required;
	bool (*enter)(struct pt_regs *regs, void *data);
	void (*leave)(unsigned long result, void *data);
	size_t data_size;
	int active;
};

/**
 * enum hook_state - what became of a hook
 * @HOOK_MISSING: it could not be placed
 * @HOOK_UNNEEDED: the one that makes it unneeded is placed, or this kernel
 *	can't have the function
 * @HOOK_ON: it is placed
 */
enum hook_state {
	HOOK_MISSING,
	HOOK_UNNEEDED,
	HOOK_ON,
};

/**
 * struct hook_status - how a hook fares
 * @hook: the hook
 * @state: what became of it
 * @hits: how often the function was seen called
 * @missed: how often the kernel skipped the hook, on entry (another probe's
 *	handler was running on that CPU) or for want of an instance
 */
struct hook_status {
	const struct hook *hook;
	enum hook_state state;
	unsigned long hits;
	unsigned long missed;
};

int hook_init(const struct hook *const tables[], unsigned int count);
void hook_exit(void);
bool hook_status(unsigned int index, struct hook_status *status);
bool hook_is_on(const char *symbol);

#endif /* LISTENQ_HOOK_H */
