/* SPDX-License-Identifier: GPL-2.0-only */
/* Hooks: functions of the kernel whose calls the module wants to see. */
#ifndef LISTENQ_HOOK_H
#define LISTENQ_HOOK_H

#include <linux/bits.h>
#include <linux/types.h>

#include "compat.h"

/**
 * struct hook - a function of the kernel whose calls a source file wants to see
 * @symbol: the function's name
 * @serves: the figures that depend on it, for human readers
 * @lost: which figures read `-` or are inexact without it, for human readers; NULL:
 *	none
 * @unless: symbol of an earlier hook of the same table; if that one is placed, this
 *	one is not needed. Or NULL.
 * @needs: symbol of an earlier hook without which this one would do harm: it is not
 *	placed if that one is not, and that one's @lost covers both. Or NULL.
 * @absent: this kernel can't have the function: nothing is placed
 * @required: failure to place it fails the load
 * @shared: placed and removed together with the other shared hooks, before the first
 *	and after the last of the rest. That takes a fraction of the time, and costs
 *	a few instructions for each call.
 * @brief: no call of the function sleeps or is preempted: one instance for each CPU
 *	is enough, and users need no shares
 * @proof: the bit among those given to hook_check_hits() that shows that the
 *	function must have been called; 0: nothing shows that
 * @entered: the ENTRY_CALLBACK() of the handler that runs on entry; NULL if the hook
 *	has @end
 * @wanted: of a hook with @end, whether a call matters; NULL: each does. A call that
 *	does not matter takes no share and never counts as missed by the hook.
 * @begin: of a hook with @end, runs on entry. Returns a positive value to have @end
 *	run for this call, 0 if it need not, a negative value to count the call as
 *	missed.
 * @end: runs on return, or NULL. Returns false to count the call as missed. From
 *	entry to return the call holds an instance from its user's share.
 * @data_size: size of the data that @begin writes and @end reads, zeroed first
 * @lost_later: per-CPU count of calls that were seen but count as missed, since what
 *	was noted of them was lost later; NULL: that can't happen
 *
 * Handlers run in the context of the hooked function with preemption off, which
 * makes them RCU readers. They do not sleep, allocate or print. A handler that runs
 * on entry may run in an exception that looks like an NMI (a breakpoint on x86), so
 * it takes no lock, and lockdep agrees. @end may take raw spinlocks with interrupts
 * off: it runs where the hooked function returns, even if that return is a
 * breakpoint (arm64 since 7.2), so it never interrupts code that holds one of them.
 */
struct hook {
	const char *symbol;
	const char *serves;
	const char *lost;
	const char *unless;
	const char *needs;
	bool absent;
	bool required;
	bool shared;
	bool brief;
	unsigned long proof;
	entry_callback_t entered;
	bool (*wanted)(struct pt_regs *regs);
	int (*begin)(struct pt_regs *regs, void *data);
	bool (*end)(unsigned long result, void *data);
	size_t data_size;
	unsigned long __percpu *lost_later;
};

/**
 * enum hook_way - how a function is hooked
 * @HOOK_ENTRY: on entry, the cheapest way that this kernel has (compat.h)
 * @HOOK_RETURN: on entry and return, by a return probe
 * @HOOK_WAYS: number of ways
 */
enum hook_way {
	HOOK_ENTRY,
	HOOK_RETURN,
	HOOK_WAYS,
};

/**
 * enum hook_state - the state of a hook
 * @HOOK_MISSING: it could not be placed
 * @HOOK_UNNEEDED: its @unless is placed, or this kernel can't have the function
 * @HOOK_ON: it is placed
 * @HOOK_SILENCED: it is placed, but sees no calls
 */
enum hook_state {
	HOOK_MISSING,
	HOOK_UNNEEDED,
	HOOK_ON,
	HOOK_SILENCED,
};

/**
 * struct hook_status - the state and the counters of a hook
 * @hook: the hook
 * @how: name of the way by which it is placed, or would be
 * @state: its state
 * @hits: how many calls it has seen
 * @missed: how many calls are missing from what it serves: the kernel skipped the
 *	probe (another probe's handler was running on that CPU), no instance was
 *	free, or the handler could not note what it saw or lost it later; these last
 *	are hits as well
 */
struct hook_status {
	const struct hook *hook;
	const char *how;
	enum hook_state state;
	unsigned long hits;
	unsigned long missed;
};

int hook_init(const struct hook *const tables[], unsigned int count);
void hook_exit(void);
void hook_free(void);
void hook_check(void (*doubt)(unsigned int ways));
unsigned long hook_check_hits(unsigned long proofs);
bool hook_status(unsigned int index, struct hook_status *status);
bool hook_is_on(const char *symbol);
bool hook_saw_all(const char *symbol);

void listenq_hook_target(void);

#endif /* LISTENQ_HOOK_H */
