// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offers to fail_function (Documentation/fault-injection of the kernel) what
 * the kernel itself doesn't: functions that listenq calls and that neither
 * failslab nor fail_page_alloc reaches. By itself it does nothing.
 */
#include <linux/error-injection.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

/* Since 6.10 and 6.12, macros around other functions. */
#ifdef __alloc_percpu
ALLOW_ERROR_INJECTION(pcpu_alloc_noprof, NULL);
#else
ALLOW_ERROR_INJECTION(__alloc_percpu, NULL);
#endif
#ifdef kmem_cache_create
ALLOW_ERROR_INJECTION(__kmem_cache_create_args, NULL);
#else
ALLOW_ERROR_INJECTION(kmem_cache_create, NULL);
#endif
ALLOW_ERROR_INJECTION(alloc_workqueue, NULL);
ALLOW_ERROR_INJECTION(ftrace_set_filter_ip, ERRNO);
ALLOW_ERROR_INJECTION(register_ftrace_function, ERRNO);
ALLOW_ERROR_INJECTION(register_kprobe, ERRNO);
ALLOW_ERROR_INJECTION(register_kretprobe, ERRNO);

MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Functions that listenq calls, offered to fail_function");
MODULE_LICENSE("GPL");
