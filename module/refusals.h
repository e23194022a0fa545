/* SPDX-License-Identifier: GPL-2.0-only */
/* The file refused. */
#ifndef LISTENQ_REFUSALS_H
#define LISTENQ_REFUSALS_H

#include <linux/proc_fs.h>

extern const struct proc_ops refusals_proc_ops;

#endif /* LISTENQ_REFUSALS_H */
