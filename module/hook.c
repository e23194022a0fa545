// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks in, probes out.
 *
 * A room describes the functions that it wants to see called in a const
 * table; this file has a probe placed on each (probe.c), tells whether the
 * probes see anything, and has them taken away. It knows no TCP.
 *
 * Anybody may open files that ask how hooks fare, so nobody waits for another
 * one here, but in the moment in which hooks have fallen silent or see again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "hook.h"
#include "probe.h"

/**
 * struct placing - a hook and what became of it
 * @hook: the hook
 * @unneeded: see &enum hook_state
 * @unseen: its function has been called by now, and no hit was seen
 * @probe: its probe, perhaps
 */
struct placing {
	const struct hook *hook;
	bool unneeded;
	bool unseen;
	struct probe probe;
};

/*
 * The first HOOK_WAYS are of listenq_hook_target(). Set by hook_init(), with all
 * that is in them but the probes, before the count; freed by hook_free().
 */
static struct placing *placings;
static unsigned int placings_count;

static unsigned int placings_there(void)
{
	/* And what is in them: pairs with hook_init(). */
	return smp_load_acquire(&placings_count);
}

/* Ways, as bits: which are silent, and which were since the load. */
static unsigned int silent_now;
static unsigned int silent_ever;

/* ---- ways ---- */

/* Calls of listenq_hook_target() that were seen on a CPU. */
static DEFINE_PER_CPU(unsigned long, self_entries);
static DEFINE_PER_CPU(unsigned long, self_returns);

static void self(struct entry_regs *regs)
{
	this_cpu_inc(self_entries);
}

ENTRY_CALLBACK(self);

static int self_begin(struct pt_regs *regs, void *data)
{
	this_cpu_inc(self_returns);
	return 0;
}

static bool self_end(unsigned long result, void *data)
{
	return true;
}

static const struct hook self_hooks[HOOK_WAYS] = {
	[HOOK_ENTRY] = {
		.symbol		= "listenq_hook_target",
		.required	= true,
		.shared		= true,
		.entered	= self_entered,
	},
	[HOOK_RETURN] = {
		.symbol		= "listenq_hook_target",
		.required	= true,
		.brief		= true,
		.begin		= self_begin,
		.end		= self_end,
	},
};

static const struct {
	const char *how;		/* what the probes are */
	const char *switched_off_by;	/* for people */
	unsigned long __percpu *seen;
} ways[HOOK_WAYS] = {
	[HOOK_ENTRY] = { ENTRY_WAY, ENTRY_SWITCHED_OFF_BY, &self_entries },
	[HOOK_RETURN] = { "kretprobe", KPROBES_SWITCHED_OFF_BY, &self_returns },
};

static enum hook_way way_of(const struct hook *hook)
{
	return hook->end ? HOOK_RETURN : HOOK_ENTRY;
}

/* The ways in which a call is not seen, as bits. Nobody else calls meanwhile. */
static unsigned int silent_ways(void)
{
	unsigned long seen[HOOK_WAYS];
	unsigned int silent = 0;
	unsigned int i;

	preempt_disable();
	for (i = 0; i < HOOK_WAYS; i++)
		seen[i] = this_cpu_read(*ways[i].seen);
	listenq_hook_target();
	for (i = 0; i < HOOK_WAYS; i++)
		if (READ_ONCE(placings[i].probe.placed) &&
		    this_cpu_read(*ways[i].seen) == seen[i])
			silent |= BIT(i);
	preempt_enable();
	return silent;
}

static void tell(unsigned int gone, unsigned int back)
{
	unsigned int i;

	for (i = 0; i < HOOK_WAYS; i++) {
		if (gone & BIT(i))
			pr_warn("hooks by %s are silenced, what they serve reads -: %s?\n",
				ways[i].how, ways[i].switched_off_by);
		if (back & BIT(i))
			pr_notice("hooks by %s see again; what they have missed reads -\n",
				  ways[i].how);
	}
}

/**
 * hook_check() - find out whether the hooks see anything
 * @doubt: is told the ways, as bits by &enum hook_way, that have fallen silent
 *	or see again: what they serve may have missed something until now
 *
 * Calls a function of the module's own that is hooked in each way. Hooks that
 * have fallen silent are so before @doubt is called, and those that see again are
 * on after that. One line of the log for either.
 *
 * Context: process context, may sleep. Who comes while it is found out waits.
 */
void hook_check(void (*doubt)(unsigned int ways))
{
	static DEFINE_MUTEX(mutex);
	unsigned int silent, gone, back;

	/* While they come or go, there is nothing to tell. */
	if (!placings_there() ||
	    !READ_ONCE(placings[HOOK_ENTRY].probe.placed) ||
	    !READ_ONCE(placings[HOOK_RETURN].probe.placed) ||
	    silent_ways() == READ_ONCE(silent_now))
		return;

	mutex_lock(&mutex);
	/* A call that was not seen may have been interrupted by a probe. */
	silent = silent_ways();
	silent &= silent_ways();
	silent &= silent_ways();
	gone = silent & ~silent_now;
	back = silent_now & ~silent;
	WRITE_ONCE(silent_ever, silent_ever | gone);
	WRITE_ONCE(silent_now, silent_now | gone);
	if (gone | back) {
		tell(gone, back);
		doubt(gone | back);
	}
	WRITE_ONCE(silent_now, silent);
	mutex_unlock(&mutex);
}

/* ---- placing ---- */

static enum hook_state placing_state(const struct placing *placing)
{
	const struct probe *probe = &placing->probe;

	if (placing->unneeded)
		return HOOK_UNNEEDED;
	/* Pairs with probe_place(): its counters are there. */
	if (!smp_load_acquire(&probe->placed))
		return HOOK_MISSING;
	if (READ_ONCE(silent_now) & BIT(way_of(placing->hook)) ||
	    READ_ONCE(placing->unseen))
		return HOOK_SILENCED;
	return HOOK_ON;
}

static const struct placing *placing_find(const char *symbol)
{
	unsigned int count = placings_there();
	unsigned int i;

	for (i = HOOK_WAYS; i < count; i++)
		if (!strcmp(placings[i].hook->symbol, symbol))
			return &placings[i];
	return NULL;
}

static void tell_way(enum hook_way way, int err)
{
	pr_err("cannot hook functions by %s: error %d%s%s%s\n", ways[way].how,
	       err, err == -EBUSY ? ", " : "",
	       err == -EBUSY ? ways[way].switched_off_by : "",
	       err == -EBUSY ? "?" : "");
}

static int placing_init(struct placing *placing)
{
	const struct hook *hook = placing->hook;
	const struct placing *other = NULL;
	int err;

	if (hook->unless)
		other = placing_find(hook->unless);
	placing->unneeded = hook->absent || (other && other->probe.placed);
	if (placing->unneeded)
		return 0;
	if (hook->needs) {
		other = placing_find(hook->needs);
		/* The line about the other one says what is lost by this. */
		if (!other || !other->probe.placed)
			return 0;
	}
	err = probe_place(&placing->probe, hook);
	if (!err)
		return 0;
	if (placing < placings + HOOK_WAYS)
		tell_way(way_of(hook), err);
	else if (hook->required)
		pr_err("cannot hook %s, which is required: error %d\n",
		       hook->symbol, err);
	else if (hook->lost)
		pr_info("cannot hook %s (error %d): %s\n", hook->symbol, err,
			hook->lost);
	return hook->required ? err : 0;
}

/* What is placed first is found first, and those of the last table are the hotter. */
static int place_shared(void)
{
	unsigned int i;
	int err = 0;

	for (i = placings_count; !err && i--; )
		if (placings[i].hook->shared)
			err = placing_init(&placings[i]);
	if (err)
		return err;
	err = probe_place_shared();
	if (err)
		tell_way(HOOK_ENTRY, err);
	return err;
}

static int place_others(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < placings_count; i++)
		if (!placings[i].hook->shared)
			err = placing_init(&placings[i]);
	return err;
}

/**
 * hook_init() - place the hooks
 * @tables: tables of hooks, each ended by one without a symbol
 * @count: number of tables
 *
 * Places them in the order of the tables, those that are shared before the rest. A
 * hook that can't be placed costs one line of the log where anything is lost by it,
 * unless this kernel can't have the function; a required one fails the whole.
 *
 * Context: process context, may sleep. Handlers run before it returns, and others
 * may ask how hooks fare.
 * Return: 0, -ENOMEM, or the error of register_ftrace_function()
 * (kernel/trace/ftrace.c; -EBUSY while it is switched off), register_kprobe()
 * or register_kretprobe() (kernel/kprobes.c); then hook_free() is left to do.
 */
int hook_init(const struct hook *const tables[], unsigned int count)
{
	unsigned int total = HOOK_WAYS;
	const struct hook *hook;
	struct placing *placing;
	unsigned int i;
	int err;

	for (i = 0; i < count; i++)
		for (hook = tables[i]; hook->symbol; hook++)
			total++;
	placings = kcalloc(total, sizeof(*placings), GFP_KERNEL);
	if (!placings)
		return -ENOMEM;
	placing = placings;
	for (i = 0; i < HOOK_WAYS; i++)
		placing++->hook = &self_hooks[i];
	for (i = 0; i < count; i++)
		for (hook = tables[i]; hook->symbol; hook++)
			placing++->hook = hook;
	/* Who asks how hooks fare finds them complete, but for the probes. */
	smp_store_release(&placings_count, total);

	err = place_shared() ?: place_others();
	if (err)
		hook_exit();
	return err;
}

/*
 * A module can't refuse to go. Its end is put off to that of the machine: an
 * rmmod that hangs is better than calls into memory that is somebody else's.
 */
static void keep_module(void)
{
	pr_crit("ftrace has failed: the module has to stay until the next boot\n");
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
}

/* What the kernel could not take away is its own from now on. */
static bool some_stay;

/**
 * hook_exit() - take the hooks away
 *
 * In the opposite order. A function that is under way keeps its return address
 * in the kernel's own trampoline; its @end does not run.
 *
 * Where ftrace has failed (it says so in the log), the kernel may go on calling
 * this module's handlers. Then it does not return.
 *
 * Context: process context, sleeps for grace periods. No handler runs any
 * more when it returns.
 */
void hook_exit(void)
{
	bool calls = false;
	unsigned int i;

	for (i = placings_count; i--;) {
		if (probe_remove(&placings[i].probe))
			continue;
		some_stay = true;
		calls |= way_of(placings[i].hook) == HOOK_ENTRY;
	}
	if (!probe_remove_shared())
		calls = true;
	some_stay |= calls;
	if (calls)
		keep_module();
	/* Some kernels don't, where others hook the same function. */
	synchronize_rcu();
}

/**
 * hook_free() - free what the hooks have counted in
 *
 * Context: process context, after hook_exit(), or hook_init() that has failed,
 * when nobody asks how hooks fare any more.
 */
void hook_free(void)
{
	unsigned int i;

	if (some_stay)
		return;
	for (i = 0; i < placings_count; i++)
		probe_free(&placings[i].probe);
	kfree(placings);
}

/* ---- how hooks fare ---- */

/**
 * hook_check_hits() - find hooks that must have been hit by now
 * @proofs: what is known to have happened, as bits by the hooks' @proof
 *
 * A compiler that sees the whole kernel may have made a function a part of its
 * callers. A hook that was not hit by then is taken for silenced from then on, and
 * costs one line of the log; not one that was silenced, as far as is known.
 *
 * Context: process context, one at a time.
 * Return: the proofs of those that were found just now.
 */
unsigned long hook_check_hits(unsigned long proofs)
{
	unsigned int count = placings_there();
	struct placing *placing;
	unsigned long found = 0;
	unsigned int i;

	for (i = HOOK_WAYS; i < count; i++) {
		placing = &placings[i];
		if (!(placing->hook->proof & proofs) ||
		    placing_state(placing) != HOOK_ON ||
		    READ_ONCE(silent_ever) & BIT(way_of(placing->hook)) ||
		    probe_hits(&placing->probe))
			continue;
		WRITE_ONCE(placing->unseen, true);
		pr_warn("%s is hooked and was never seen called: what it serves reads -\n",
			placing->hook->symbol);
		found |= placing->hook->proof;
	}
	return found;
}

/**
 * hook_status() - how a hook fares
 * @index: which one, from 0, in the order of the tables
 * @status: where to write it
 *
 * Context: any, before hook_free().
 * Return: false past the last hook, and while there are none.
 */
bool hook_status(unsigned int index, struct hook_status *status)
{
	const struct placing *placing;

	index += HOOK_WAYS;
	if (index >= placings_there())
		return false;
	placing = &placings[index];
	memset(status, 0, sizeof(*status));
	status->hook = placing->hook;
	status->how = ways[way_of(placing->hook)].how;
	status->state = placing_state(placing);
	if (status->state == HOOK_ON || status->state == HOOK_SILENCED) {
		status->hits = probe_hits(&placing->probe);
		status->missed = probe_missed(&placing->probe);
	}
	return true;
}

/**
 * hook_is_on() - whether a hook is placed and sees what is called
 * @symbol: its function
 *
 * Context: any, before hook_free().
 * Return: whether it does; false where no table has it.
 */
bool hook_is_on(const char *symbol)
{
	const struct placing *placing = placing_find(symbol);

	return placing && placing_state(placing) == HOOK_ON;
}

/**
 * hook_saw_all() - whether a hook is on and was never found silent
 * @symbol: its function
 *
 * Context: any, before hook_free().
 * Return: whether it was not; false where no table has it.
 */
bool hook_saw_all(const char *symbol)
{
	const struct placing *placing = placing_find(symbol);

	return placing && placing_state(placing) == HOOK_ON &&
	       !(READ_ONCE(silent_ever) & BIT(way_of(placing->hook)));
}
