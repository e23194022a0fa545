// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes: places one in the way that its hook wants, counts its calls, and removes
 * it; and gives users shares of the instances of return probes. The functions that
 * the kernel calls are here; hook.c has the list of probes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "hook.h"
#include "probe.h"

/* ---- shares ---- */

/*
 * Each user has a share of a return probe's instances. A user who makes tasks sleep
 * inside a hooked function, or be preempted there, uses up that share alone; to use
 * up all instances takes as many users as there are shares.
 */
#define SHARES		16
#define SHARE_MIN	64

/*
 * Identify the user whose share to use, by a number that is never 0. Usually the
 * task's real uid. In a user namespace, uids cost nothing, so the user who made the
 * outermost one; if root made that, as for a container, the user namespace itself.
 * In a network namespace that root made, a uid is apart from the host's. A task that
 * may change its uid can be many users.
 */
static unsigned long whose_share(void)
{
	const struct cred *cred = current_cred();
	const struct user_namespace *ns = cred->user_ns;
	const struct nsproxy *nsproxy = current->nsproxy;
	const struct net *net = nsproxy ? nsproxy->net_ns : &init_net;
	kuid_t owner = cred->uid;
	unsigned long base = 0;

	if (ns->level) {
		while (ns->level > 1)
			ns = ns->parent;
		owner = ns->owner;
		if (uid_eq(owner, GLOBAL_ROOT_UID))
			return (unsigned long)ns;
	} else if (net != &init_net && net->user_ns == &init_user_ns) {
		base = (unsigned long)net;
	}
	return base + 2 * (unsigned long)__kuid_val(owner) + 1;
}

/*
 * Claim an instance. A user's claims are next to each other, as far as those of
 * others let them. Returns a place in @holders for release_share(); NULL if the
 * share is used up. Takes no lock, so two claims at once may exceed the share by a
 * little.
 */
static unsigned long *claim_share(const struct probe *probe)
{
	unsigned long user = whose_share();
	unsigned int start = hash_long(user, 32) % probe->instances;
	unsigned int share = probe->instances / SHARES;
	unsigned long *holder, held;
	unsigned int own = 0;
	unsigned int i;

	for (i = 0; i < probe->instances; i++) {
		holder = &probe->holders[(start + i) % probe->instances];
		held = READ_ONCE(*holder);
		if (!held)
			held = cmpxchg(holder, 0, user);
		if (!held)
			return holder;
		own += held == user;
		if (own >= share)
			break;
	}
	return NULL;
}

static void release_share(unsigned long *holder)
{
	WRITE_ONCE(*holder, 0);
}

/* ---- return probes ---- */

/* The data of an instance: its claim, and what the hook notes of the call. */
struct call {
	unsigned long *holder;
	unsigned long data[];
};

/*
 * NULL while another CPU is removing the probe: the kernel tests that before it
 * calls a handler (kernel/kprobes.c), but it may have changed since.
 */
static const struct probe *probe_of(struct kretprobe_instance *ri)
{
	struct kretprobe *rp = get_kretprobe(ri);

	return rp ? container_of(rp, struct probe, kretprobe) : NULL;
}

/* Runs on entry; returns 0 to have probe_end() run on return. */
static int probe_begin(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct probe *probe = probe_of(ri);
	struct call *call = (void *)ri->data;
	int wanted = -EAGAIN;

	if (!probe)
		return 1;
	this_cpu_inc(*probe->hits);
	if (probe->hook->wanted && !probe->hook->wanted(regs))
		return 1;
	if (probe->hook->brief)
		return !probe->hook->begin(regs, NULL);
	call->holder = claim_share(probe);
	if (call->holder) {
		memset(call->data, 0, probe->hook->data_size);
		wanted = probe->hook->begin(regs, call->data);
		if (wanted > 0)
			return 0;
		release_share(call->holder);
	}
	if (wanted < 0)
		this_cpu_inc(*probe->missed);
	return 1;
}

static int probe_end(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct probe *probe = probe_of(ri);
	struct call *call = (void *)ri->data;

	if (!probe)
		return 0;
	if (!probe->hook->end(regs_return_value(regs), call->data))
		this_cpu_inc(*probe->missed);
	release_share(call->holder);
	return 0;
}

static int kretprobe_place(struct probe *probe)
{
	const struct hook *hook = probe->hook;

	probe->instances = num_possible_cpus();
	if (!hook->brief) {
		/* A user may call on all CPUs at once, and have more tasks wait. */
		probe->instances = SHARES * max_t(unsigned int, SHARE_MIN,
						  num_possible_cpus());
		probe->holders = kvcalloc(probe->instances,
					  sizeof(*probe->holders), GFP_KERNEL);
		if (!probe->holders)
			return -ENOMEM;
	}
	probe->kretprobe.kp.symbol_name = hook->symbol;
	probe->kretprobe.entry_handler = probe_begin;
	probe->kretprobe.handler = probe_end;
	probe->kretprobe.data_size = sizeof(struct call) + hook->data_size;
	probe->kretprobe.maxactive = probe->instances;
	return register_kretprobe(&probe->kretprobe);
}

/*
 * If the kernel can't disarm a return probe, it leaves it in its table, though some
 * kernels free its instances (kernel/kprobes.c, unregister_kretprobes()). So don't
 * unregister it then, but make it call nothing any more.
 */
static bool kretprobe_remove(struct probe *probe)
{
	struct kretprobe *rp = &probe->kretprobe;

	if (!disable_kretprobe(rp)) {
		unregister_kretprobe(rp);
		return true;
	}
	WRITE_ONCE(rp->entry_handler, NULL);
	WRITE_ONCE(rp->handler, NULL);
	synchronize_rcu();
	return false;
}

/* ---- probes ---- */

/* The probes of shared hooks. */
static struct entry_group group;

static int entry_place(struct probe *probe)
{
	const struct hook *hook = probe->hook;

	if (hook->shared)
		return entry_group_add(&group, &probe->entry, hook->symbol,
				       hook->entered);
	return entry_probe_place(&probe->entry, hook->symbol, hook->entered);
}

/**
 * probe_place() - place a probe
 * @probe: the probe, all zero
 * @hook: the hook that it is for
 *
 * Context: process context, may sleep. Handlers run before it returns; those of
 * shared hooks, by the time that probe_place_shared() returns.
 * Return: 0, with @probe->placed true; -ENOMEM; or the kernel's error. Call
 * probe_remove() and probe_free() in any case.
 */
int probe_place(struct probe *probe, const struct hook *hook)
{
	int err;

	probe->hook = hook;
	probe->hits = alloc_percpu(unsigned long);
	probe->missed = alloc_percpu(unsigned long);
	if (!probe->hits || !probe->missed)
		return -ENOMEM;
	probe->entry.hits = probe->hits;
	err = hook->end ? kretprobe_place(probe) : entry_place(probe);
	/* The counters exist before this says so. */
	smp_store_release(&probe->placed, !err);
	return err;
}

/**
 * probe_remove() - remove a probe
 * @probe: from probe_place()
 *
 * Context: process context, sleeps for grace periods. Once it returns true, no
 * handler of the probe runs; of a shared hook, once probe_remove_shared() does.
 * Return: false if the kernel can't remove it, which is logged.
 */
bool probe_remove(struct probe *probe)
{
	if (!probe->placed)
		return true;
	WRITE_ONCE(probe->placed, false);
	if (probe->hook->shared)
		return true;
	if (probe->hook->end ? kretprobe_remove(probe) :
			       entry_probe_remove(&probe->entry))
		return true;
	pr_err("cannot remove the probe on %s: its memory is not freed\n",
	       probe->hook->symbol);
	return false;
}

/**
 * probe_place_shared() - place the probes of all shared hooks
 *
 * Context: process context, may sleep.
 * Return: 0, or the kernel's error.
 */
int probe_place_shared(void)
{
	return entry_group_place(&group);
}

/**
 * probe_remove_shared() - remove the probes of all shared hooks
 *
 * Context: process context, sleeps for grace periods.
 * Return: false if the kernel can't remove them, which is logged.
 */
bool probe_remove_shared(void)
{
	if (entry_group_remove(&group))
		return true;
	pr_err("cannot remove probes: their memory is not freed\n");
	return false;
}

/**
 * probe_free() - free a probe's counters and shares
 * @probe: from probe_place(), removed
 *
 * Context: process context, when no file asks for its counters any more.
 */
void probe_free(struct probe *probe)
{
	kvfree(probe->holders);
	free_percpu(probe->missed);
	free_percpu(probe->hits);
}

static unsigned long sum(const unsigned long __percpu *counter)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

/**
 * probe_hits() - how many calls a probe has seen
 * @probe: the probe, which was placed once
 *
 * Context: any.
 */
unsigned long probe_hits(const struct probe *probe)
{
	return sum(probe->hits);
}

/**
 * probe_missed() - how many calls a probe has not seen, or has seen to no avail
 * @probe: the probe, which was placed once
 *
 * Context: any.
 */
unsigned long probe_missed(const struct probe *probe)
{
	unsigned long missed = sum(probe->missed);

	if (probe->hook->lost_later)
		missed += sum(probe->hook->lost_later);
	/* The kernel increments these without a lock and without marking it. */
	return missed + data_race(entry_probe_missed(&probe->entry) +
				  READ_ONCE(probe->kretprobe.kp.nmissed) +
				  READ_ONCE(probe->kretprobe.nmissed));
}
