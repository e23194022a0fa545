// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks: places them, removes them, and knows their states.
 *
 * A source file describes the functions whose calls it wants to see in a const
 * table. This file has a probe placed on each (probe.c), tests whether probes see
 * calls, and has them removed. It knows nothing of TCP.
 *
 * Any user may open files that call hook_check(), so it takes no lock, except when
 * hooks have just fallen silent or see calls again.
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
 * struct placing - a hook and its state
 * @hook: the hook
 * @unneeded: HOOK_UNNEEDED of &enum hook_state
 * @unseen: its function must have been called, but the hook has no hit
 * @probe: its probe, if it is placed
 */
struct placing {
	const struct hook *hook;
	bool unneeded;
	bool unseen;
	struct probe probe;
};

/*
 * The first HOOK_WAYS are the hooks of listenq_hook_target(). hook_init() fills in
 * all but the probes before it sets placings_count; hook_free() frees them.
 */
static struct placing *placings;
static unsigned int placings_count;

static unsigned int placings_there(void)
{
	/* Pairs with hook_init(), which fills in the placings first. */
	return smp_load_acquire(&placings_count);
}

/* Bits by &enum hook_way: ways that are silent now, and ways that have ever been. */
static unsigned int silent_now;
static unsigned int silent_ever;

/* ---- ways ---- */

/* Calls of listenq_hook_target() that the hooks saw on a CPU. */
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
	const char *how;		/* the kind of probe */
	const char *switched_off_by;	/* for human readers */
	unsigned long __percpu *seen;
} ways[HOOK_WAYS] = {
	[HOOK_ENTRY] = { ENTRY_WAY, ENTRY_SWITCHED_OFF_BY, &self_entries },
	[HOOK_RETURN] = { "kretprobe", KPROBES_SWITCHED_OFF_BY, &self_returns },
};

static enum hook_way way_of(const struct hook *hook)
{
	return hook->end ? HOOK_RETURN : HOOK_ENTRY;
}

/* Ways that miss a call, as bits. With preemption off, no other call counts. */
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
 * hook_check() - test whether the hooks see calls
 * @doubt: called with the ways, as bits by &enum hook_way, that have fallen silent
 *	or see calls again: what their hooks serve may have missed some until now
 *
 * Calls a function of the module that is hooked in each way. Ways that have fallen
 * silent count as silent before @doubt is called; those that see calls again count
 * as on after that. Either is a line in the log.
 *
 * Context: process context, may sleep: only one caller at a time handles a change.
 */
void hook_check(void (*doubt)(unsigned int ways))
{
	static DEFINE_MUTEX(mutex);
	unsigned int silent, gone, back;

	/* Nothing to test while the probes are being placed or removed. */
	if (!placings_there() ||
	    !READ_ONCE(placings[HOOK_ENTRY].probe.placed) ||
	    !READ_ONCE(placings[HOOK_RETURN].probe.placed) ||
	    silent_ways() == READ_ONCE(silent_now))
		return;

	mutex_lock(&mutex);
	/* Again: another probe may have interrupted a call that was not seen. */
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
	/* Pairs with probe_place(), which makes the counters first. */
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
		/* The message about the other hook covers this one. */
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

/* A group finds its first hooks fastest, and the last tables are the hotter. */
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
 * @tables: tables of hooks, each ended by a hook without a symbol
 * @count: number of tables
 *
 * Places shared hooks first, all at once, then the rest in the order of the tables.
 * A hook that can't be placed is a line in the log if it has @lost; it fails
 * hook_init() if it is @required.
 *
 * Context: process context, may sleep. Handlers run, and files may ask for states,
 * before it returns.
 * Return: 0; -ENOMEM; or the error of register_ftrace_function()
 * (kernel/trace/ftrace.c; -EBUSY while it is switched off), register_kprobe() or
 * register_kretprobe() (kernel/kprobes.c). After an error, hook_free() remains to be
 * called.
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
	/* Readers of the count find the placings complete, except for the probes. */
	smp_store_release(&placings_count, total);

	err = place_shared() ?: place_others();
	if (err)
		hook_exit();
	return err;
}

/*
 * The exit of a module can't fail. So it hangs until the machine is shut down:
 * better a hanging rmmod than calls into freed memory.
 */
static void keep_module(void)
{
	pr_crit("ftrace has failed: the module can't be unloaded until the next boot\n");
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
}

/* Set if the kernel could not remove a probe: the probes' memory stays in use. */
static bool some_stay;

/**
 * hook_exit() - remove the hooks
 *
 * In the reverse order, shared hooks last. A hooked function that has not returned
 * yet returns through the kernel's own trampoline; its @end does not run.
 *
 * If ftrace has failed, which it logs, the kernel may go on calling this module's
 * handlers; then this function does not return.
 *
 * Context: process context, sleeps for grace periods. On return, no handler runs.
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
	/* Some kernels do not wait, if another hook is on the same function. */
	synchronize_rcu();
}

/**
 * hook_free() - free the placings and the probes' counters
 *
 * Context: process context, after hook_exit() or a hook_init() that failed, when no
 * file asks for states any more.
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

/* ---- states ---- */

/**
 * hook_check_hits() - find hooks that should have been hit by now
 * @proofs: what has been shown to have happened, as bits by the hooks' @proof
 *
 * A compiler that sees the whole kernel may inline a function. A hook without a hit
 * although its @proof is shown counts as silenced from then on, and is a line in the
 * log; unless its way has ever been silent, which would explain it.
 *
 * Context: process context, under sweep_mutex (sweep.c).
 * Return: the proofs of the hooks found in this call.
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
 * hook_status() - get the state and the counters of a hook
 * @index: its index in the tables, one after the other, from 0
 * @status: where to write them
 *
 * Context: any, before hook_free().
 * Return: false if there is no such hook, or none yet.
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
 * hook_is_on() - whether a hook is placed and sees calls
 * @symbol: its function
 *
 * Context: any, before hook_free().
 * Return: whether it does; false if no table has it.
 */
bool hook_is_on(const char *symbol)
{
	const struct placing *placing = placing_find(symbol);

	return placing && placing_state(placing) == HOOK_ON;
}

/**
 * hook_saw_all() - whether a hook is on, and its way has never been silent
 * @symbol: its function
 *
 * Context: any, before hook_free().
 * Return: whether that is so; false if no table has it.
 */
bool hook_saw_all(const char *symbol)
{
	const struct placing *placing = placing_find(symbol);

	return placing && placing_state(placing) == HOOK_ON &&
	       !(READ_ONCE(silent_ever) & BIT(way_of(placing->hook)));
}
