// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function to hook, as the kernel's are: a call shows whether hooks see it. In a
 * file of its own, since the rest of the module is not compiled for the function
 * tracer.
 */
#include "hook.h"

/**
 * listenq_hook_target() - do nothing, for hook_check() to call
 *
 * Context: any.
 */
noinline void listenq_hook_target(void)
{
	/* Keep the compiler from dropping calls of an empty function. */
	barrier();
}
