/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that listen, connect, are turned away and accept, while something happens to
 * the machine; and whether the module's figures are then what the tasks have done.
 */
#ifndef LISTENQ_SELFTEST_BUSTLE_H
#define LISTENQ_SELFTEST_BUSTLE_H

#include <stdbool.h>

/* In this network namespace, which has a dummy device and nobody else's listeners. */
void bustle_begin(void);
/* Each task has had @turns more turns since this was asked last; false after a minute. */
bool bustle_goes_on(int turns);
/* The tasks stop. What is wrong is printed; how much of it there is. */
int bustle_end(void);

#endif
