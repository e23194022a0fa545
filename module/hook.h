/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions of the kernel's that a room wants to see called. */
#ifndef LISTENQ_HOOK_H
#define LISTENQ_HOOK_H

#include <linux/bits.h>
#include <linux/types.h>

#include "compat.h"

/**
 * struct hook - a function of the kernel's that a room wants to see called
 * @symbol: its name
 * @serves: what is read from it, for people
 * @lost: what reads `-` or is inexact where it can't be hooked, for people;
 *	NULL where nothing is
 * @unless: symbol of an earlier hook of the same table that makes this one
 *	unneeded where it could be placed, or NULL
 * @needs: symbol of an earlier hook without which this one would do harm: it is missing
 *	where that one is, whose @lost says what that costs; or NULL
 * @absent: this kernel can't have such a function, so that nothing is placed
 * @required: a failure to place it fails the load
 * @shared: it is placed and removed with all others that say so, before the first
 *	and after the last of the rest, for a fraction of the time that takes; a
 *	call costs some instructions more
 * @brief: no call of it waits or is preempted, so that an instance for each CPU
 *	does and no user needs a share
 * @proof: a bit that is among those given to hook_check_hits() once the function
 *	must have been called; 0: nothing shows that
 * @entered: made by ENTRY_CALLBACK() of the handler that runs when the function
 *	is called; NULL where the hook is for its return too
 * @wanted: whether anything is wanted of a call, of a hook that has @end; NULL: of
 *	each. Where it says no, the call costs no share and is not missed by us.
 * @begin: runs when the function is called, of a hook that has @end. Positive:
 *	@end shall run for this call; 0: it need not; negative: the call has to
 *	be counted as missed.
 * @end: runs when the function returns, or NULL. Returns false if the call has
 *	to be counted as missed. From call to return the hook holds one of the
 *	instances that this user has a share of.
 * @data_size: bytes that @begin may write and @end may read, zero at first
 * @lost_later: counts, per CPU, calls that were seen and have to be counted as
 *	missed all the same, since what was read from them was lost later; NULL
 *	where that can't happen
 *
 * Handlers run in the context of the hooked function with preemption off, so
 * they are RCU read-side critical sections. None sleeps, allocates or prints.
 * Those that run on entry may run in an exception that looks like an NMI (a
 * breakpoint on x86): they take no lock, and lockdep agrees. @end may take
 * raw spinlocks, with interrupts off: it never interrupts code that holds one
 * of them, since it runs where a hooked function returns, also where that
 * return is a breakpoint (arm64 since 7.2).
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
 * @HOOK_ENTRY: when it is called, by the cheapest way that there is
 * @HOOK_RETURN: when it returns too: a return probe
 * @HOOK_WAYS: how many there are of these
 */
enum hook_way {
	HOOK_ENTRY,
	HOOK_RETURN,
	HOOK_WAYS,
};

/**
 * enum hook_state - what became of a hook
 * @HOOK_MISSING: it could not be placed
 * @HOOK_UNNEEDED: the one that makes it unneeded is placed, or this kernel
 *	can't have the function
 * @HOOK_ON: it is placed
 * @HOOK_SILENCED: it is placed and sees nothing
 */
enum hook_state {
	HOOK_MISSING,
	HOOK_UNNEEDED,
	HOOK_ON,
	HOOK_SILENCED,
};

/**
 * struct hook_status - how a hook fares
 * @hook: the hook
 * @how: by what it is placed, or would be
 * @state: what became of it
 * @hits: how often the function was seen called
 * @missed: how often what it serves has missed a call: the kernel skipped the
 *	probe (another one's handler was running on that CPU), there was no
 *	instance for the call, or the hook's room had no place for what it saw,
 *	or lost it; these last were hits
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
