/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each kind of traffic that ends in a column of the books, and what the books
 * should have of it. A case makes it in a network namespace that others may
 * have been in before, waits until the kernel has seen all of it, and leaves
 * its listeners open.
 */
#ifndef LISTENQ_SELFTEST_CASES_H
#define LISTENQ_SELFTEST_CASES_H

#include "world.h"

struct books_case {
	const char *name;
	/* NULL, or why this kernel can't, or there is nothing to it here. */
	const char *(*run)(struct world *w);
};

extern const struct books_case plain_cases[];
extern const struct books_case special_cases[];
extern const int plain_count, special_count;

#endif
