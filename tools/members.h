/* SPDX-License-Identifier: GPL-2.0-only */
/* The namespaces of units, pods and containers: members.c. */
#ifndef LISTENQ_TOOL_MEMBERS_H
#define LISTENQ_TOOL_MEMBERS_H

#include "cgroup.h"

/**
 * struct member - a process of a unit, pod or container
 * @name: the unit's, pod's or container's name, see membership_identity()
 * @pid: the process's number
 * @started_ms: when the process began
 * @dev: its network namespace, with @ino
 * @ino: see @dev
 */
struct member {
	char *name;
	int pid;
	long long started_ms;
	dev_t dev;
	ino_t ino;
};

/**
 * struct members - the oldest process of each unit, pod and container
 * @member: these processes, by name
 * @count: how many
 */
struct members {
	struct member *member;
	size_t count;
};

void members_read(struct members *members, const char *name);
const struct member *members_find(const struct members *members,
				  const char *name);
void members_free(struct members *members);

#endif /* LISTENQ_TOOL_MEMBERS_H */
