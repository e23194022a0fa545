/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts that user space reads: /sys/module/MODULE/parameters/hits. */
#ifndef PEER_HITS_H
#define PEER_HITS_H

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static atomic_long_t hits[16];

static int hits_get(char *buffer, const struct kernel_param *kp)
{
	unsigned int i;
	int length = 0;

	for (i = 0; i < ARRAY_SIZE(hits); i++)
		length += scnprintf(buffer + length, PAGE_SIZE - length,
				    "%ld ", atomic_long_read(&hits[i]));
	return length;
}

static const struct kernel_param_ops hits_ops = {
	.get = hits_get,
};

module_param_cb(hits, &hits_ops, NULL, 0444);
MODULE_PARM_DESC(hits, "how often each function was called");

#endif /* PEER_HITS_H */
