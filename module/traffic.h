/* SPDX-License-Identifier: GPL-2.0-only */
/* What connections do to listeners. */
#ifndef LISTENQ_TRAFFIC_H
#define LISTENQ_TRAFFIC_H

#include "record.h"

/**
 * struct traffic_known - which figures have all the hooks that they need
 * @counts: by &enum traffic_count; accepts stand for the waits too
 * @acceptq_peak: the accept queue's
 * @synq_peak: the SYN queue's
 */
struct traffic_known {
	bool counts[TRAFFIC_COUNTS];
	bool acceptq_peak;
	bool synq_peak;
};

int traffic_init(const unsigned int *interval);
void traffic_exit(void);
struct traffic_known traffic_known(int family);
unsigned long traffic_total(struct net *net, enum traffic_count what);

#endif /* LISTENQ_TRAFFIC_H */
