// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks in, probes out.
 *
 * A room describes the functions that it wants to see called in a const
 * table; this file places a probe on each, counts hits, and takes the probes
 * away. It knows kprobes and knows no TCP.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "hook.h"

/**
 * struct probe - a hook and what became of it
 * @hook: the hook
 * @state: written by hook_init() and hook_exit() only
 * @enter: a copy of hook->enter, which saves a hit a cache line
 * @hits: per CPU, so that a hit writes no shared cache line
 * @kretprobe: the probe; without hook->leave only the kprobe in it is used
 */
struct probe {
	const struct hook *hook;
	enum hook_state state;
	bool (*enter)(struct pt_regs *regs, void *data);
	unsigned long __percpu *hits;
	struct kretprobe kretprobe;
};

/*
 * Set before the first probe fires and freed after the last one did, under the
 * mutex, which keeps those who ask how hooks fare out meanwhile.
 */
static DEFINE_MUTEX(probes_mutex);
static struct probe *probes;
static unsigned int probes_count;

/* A hook without @leave: the function is entered. */
static int probe_hit(struct kprobe *kp, struct pt_regs *regs)
{
	struct probe *probe = container_of(kp, struct probe, kretprobe.kp);

	this_cpu_inc(*probe->hits);
	probe->enter(regs, NULL);
	return 0;
}

/*
 * NULL while the probe is being taken away on another CPU: the kernel checks
 * before it calls a handler (kernel/kprobes.c), but that may have been a
 * moment ago.
 */
static const struct probe *probe_of(struct kretprobe_instance *ri)
{
	struct kretprobe *rp = get_kretprobe(ri);

	return rp ? container_of(rp, struct probe, kretprobe) : NULL;
}

/* A hook with @leave: the function is entered; 0 asks for its return. */
static int probe_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct probe *probe = probe_of(ri);

	if (!probe)
		return 1;
	this_cpu_inc(*probe->hits);
	memset(ri->data, 0, probe->hook->data_size);
	return !probe->enter(regs, ri->data);
}

static int probe_leave(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct probe *probe = probe_of(ri);

	if (probe)
		probe->hook->leave(regs_return_value(regs), ri->data);
	return 0;
}

static int probe_place(struct probe *probe)
{
	const struct hook *hook = probe->hook;

	probe->kretprobe.kp.symbol_name = hook->symbol;
	if (!hook->leave) {
		probe->kretprobe.kp.pre_handler = probe_hit;
		return register_kprobe(&probe->kretprobe.kp);
	}
	probe->kretprobe.entry_handler = probe_enter;
	probe->kretprobe.handler = probe_leave;
	probe->kretprobe.data_size = hook->data_size;
	probe->kretprobe.maxactive = hook->active;
	return register_kretprobe(&probe->kretprobe);
}

/* Returns when no handler of the probe's runs any more. */
static void probe_remove(struct probe *probe)
{
	if (probe->state != HOOK_ON)
		return;
	if (probe->hook->leave)
		unregister_kretprobe(&probe->kretprobe);
	else
		unregister_kprobe(&probe->kretprobe.kp);
	probe->state = HOOK_MISSING;
}

/* The caller holds the mutex. */
static bool probe_is_on(const char *symbol)
{
	unsigned int i;

	for (i = 0; i < probes_count; i++)
		if (!strcmp(probes[i].hook->symbol, symbol))
			return probes[i].state == HOOK_ON;
	return false;
}

static int probe_init(struct probe *probe)
{
	const struct hook *hook = probe->hook;
	int err;

	probe->hits = alloc_percpu(unsigned long);
	if (!probe->hits)
		return -ENOMEM;
	if (hook->absent || (hook->unless && probe_is_on(hook->unless))) {
		probe->state = HOOK_UNNEEDED;
		return 0;
	}
	err = probe_place(probe);
	if (!err) {
		probe->state = HOOK_ON;
		return 0;
	}
	if (hook->required) {
		pr_err("cannot probe %s, which is required: error %d\n",
		       hook->symbol, err);
		return err;
	}
	if (hook->lost)
		pr_info("cannot probe %s (error %d): %s\n", hook->symbol, err,
			hook->lost);
	return 0;
}

/* In the opposite order. */
static void probes_remove(void)
{
	unsigned int i;

	for (i = probes_count; i--;)
		probe_remove(&probes[i]);
	for (i = probes_count; i--;)
		free_percpu(probes[i].hits);
	probes_count = 0;
	kfree(probes);
	probes = NULL;
}

/**
 * hook_init() - place the hooks
 * @tables: tables of hooks, each ended by one without a symbol
 * @count: number of tables
 *
 * Places them in the order of the tables. A hook that can't be placed costs
 * one line of the log where anything is lost by it, unless this kernel can't
 * have the function; a required one fails the whole.
 *
 * Context: process context, may sleep. Handlers run before it returns.
 * Return: 0, -ENOMEM, or the error of register_kprobe() or
 * register_kretprobe() (kernel/kprobes.c); then nothing is left behind.
 */
int hook_init(const struct hook *const tables[], unsigned int count)
{
	const struct hook *hook;
	unsigned int total = 0;
	unsigned int i;
	int err;

	for (i = 0; i < count; i++)
		for (hook = tables[i]; hook->symbol; hook++)
			total++;

	mutex_lock(&probes_mutex);
	err = -ENOMEM;
	probes = kcalloc(total, sizeof(*probes), GFP_KERNEL);
	if (!probes)
		goto unlock;

	for (i = 0; i < count; i++) {
		for (hook = tables[i]; hook->symbol; hook++) {
			probes[probes_count].hook = hook;
			probes[probes_count].enter = hook->enter;
			err = probe_init(&probes[probes_count++]);
			if (err)
				goto remove;
		}
	}
	mutex_unlock(&probes_mutex);
	return 0;

remove:
	probes_remove();
unlock:
	mutex_unlock(&probes_mutex);
	return err;
}

/**
 * hook_exit() - take the hooks away
 *
 * A function that is under way keeps its return address in the kernel's own
 * trampoline; its @leave does not run.
 *
 * Context: process context, sleeps for grace periods. No handler runs any
 * more when it returns.
 */
void hook_exit(void)
{
	mutex_lock(&probes_mutex);
	probes_remove();
	mutex_unlock(&probes_mutex);
}

/**
 * hook_status() - how a hook fares
 * @index: which one, from 0, in the order of the tables
 * @status: where to write it
 *
 * Context: process context; waits for those who place or remove hooks.
 * Return: false past the last hook, and while there are none.
 */
bool hook_status(unsigned int index, struct hook_status *status)
{
	const struct probe *probe;
	bool known;
	int cpu;

	mutex_lock(&probes_mutex);
	known = index < probes_count;
	if (!known)
		goto unlock;

	probe = &probes[index];
	status->hook = probe->hook;
	status->state = probe->state;
	status->hits = 0;
	for_each_possible_cpu(cpu)
		status->hits += READ_ONCE(*per_cpu_ptr(probe->hits, cpu));
	/* The kernel adds to these without a lock and unmarked. */
	status->missed = data_race(READ_ONCE(probe->kretprobe.kp.nmissed) +
				   READ_ONCE(probe->kretprobe.nmissed));
unlock:
	mutex_unlock(&probes_mutex);
	return known;
}

/**
 * hook_is_on() - whether a hook is placed
 * @symbol: its function
 *
 * Context: process context; waits for those who place or remove hooks.
 * Return: whether it is; false where no table has it.
 */
bool hook_is_on(const char *symbol)
{
	bool is_on;

	mutex_lock(&probes_mutex);
	is_on = probe_is_on(symbol);
	mutex_unlock(&probes_mutex);
	return is_on;
}
