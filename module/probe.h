/* SPDX-License-Identifier: GPL-2.0-only */
/* A probe on one function. */
#ifndef LISTENQ_PROBE_H
#define LISTENQ_PROBE_H

#include <linux/kprobes.h>
#include <linux/types.h>

#include "compat.h"

struct hook;

/**
 * struct probe - what is placed for a hook
 * @hook: the hook
 * @placed: whether the kernel has taken it
 * @hits: calls seen, per CPU, so that a hit writes no shared cache line
 * @missed: calls that probe_begin() or the hook itself gave up, per CPU
 * @entry: the probe of a hook without @end
 * @kretprobe: the probe of a hook with @end
 * @holders: the user that holds each instance; 0: free
 * @instances: how many instances there are
 *
 * Only probe_place() and probe_remove() write @placed, one at a time; any context
 * reads it. Once it has been true, the counters exist until probe_free(). Handlers
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
