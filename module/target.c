// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function of the module's own, hooked as the kernel's are: whoever calls it
 * knows whether hooks are seen. Alone in this file, since the rest of the module
 * is not compiled for the function tracer.
 */
#include "hook.h"

/**
 * listenq_hook_target() - what hook_check() calls
 *
 * Context: any.
 */
noinline void listenq_hook_target(void)
{
	/* Not to be taken for a function without effect. */
	barrier();
}
