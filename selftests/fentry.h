/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BPF programs that count calls and returns of kernel functions, attached by
 * fentry and fexit. No library and no compiler of BPF is needed.
 */
#ifndef LISTENQ_SELFTEST_FENTRY_H
#define LISTENQ_SELFTEST_FENTRY_H

#include <stdbool.h>

enum { FENTRY, FEXIT, FENTRY_SIDES };

#define FENTRY_MOST	16	/* functions */

/* Why this kernel has none of it, or NULL. */
const char *fentry_lacks(void);
/*
 * Counts calls and returns of each function, as the @index'th, from zero, until
 * fentry_detach(). False where this kernel can't attach to this function: x86
 * before 6.6 to one of more than six arguments.
 */
bool fentry_attach(unsigned int index, const char *function);
void fentry_detach(void);
long long fentry_hits(unsigned int index, int side);

#endif
