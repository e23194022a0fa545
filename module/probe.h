/* SPDX-License-Identifier: GPL-2.0-only */
/* A probe. */
#ifndef LISTENQ_PROBE_H
#define LISTENQ_PROBE_H

#include <linux/kprobes.h>
#include <linux/types.h>

#include "compat.h"

struct hook;

/**
 * struct probe - what is placed for a hook
 * @hook: the hook
 * @placed: whether it could be
 * @hits: per CPU, so that a hit writes no shared cache line
 * @missed: calls that the hook itself let go, in the same way
 * @entry: the probe of a hook without an end
 * @kretprobe: the probe of one with an end
 * @holders: whose instances are in use
 * @instances: how many there are
 *
 * @placed is changed by who places and removes it, one at a time, and read by
 * anybody: where it is true, the counters are there, until probe_free(). Handlers
 * read the rest, and write @hits, @missed and @holders.
 */
struct probe {
	const struct hook *hook;
	bool placed;
	unsigned long __percpu *hits;
	unsigned long __percpu *missed;
	struct entry_probe entry;
	struct kretprobe kretprobe;
	unsigned long *holders;
	unsigned int instances;
};

int probe_place(struct probe *probe, const struct hook *hook);
bool probe_remove(struct probe *probe);
int probe_place_shared(void);
bool probe_remove_shared(void);
void probe_free(struct probe *probe);
unsigned long probe_hits(const struct probe *probe);
unsigned long probe_missed(const struct probe *probe);

#endif /* LISTENQ_PROBE_H */
