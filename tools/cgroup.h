/* SPDX-License-Identifier: GPL-2.0-only */
/* The systemd unit, the pod and the container that a process belongs to: cgroup.c. */
#ifndef LISTENQ_TOOL_CGROUP_H
#define LISTENQ_TOOL_CGROUP_H

#include "listenq.h"

/* So many digits of a container's id are enough to name it; engines list as many. */
#define SHORT_ID	12

/**
 * struct membership - what a process belongs to, by the path of its cgroup
 * @references: how many pointers lead here
 * @unit: the systemd unit, "user@1000/web.service" where a user's own systemd has it;
 *	"" where there is none, as for the others
 * @user: that user's slice, which the system named; names below it are the user's
 *	choice
 * @pod: the UID of the pod, in Kubernetes
 * @container: the id of the container, 64 hexadecimal digits as a rule
 * @engine: the engine that runs the container
 * @nested: the process is in a cgroup below its unit's, made by a process of the
 *	unit
 * @supervises: the process only looks after others in the unit, or in a container
 * @supervisor: the names, two at most, by one of which its cgroup knows such a
 *	process; NULL, or none: by any name
 * @payload: the unit has made the container, for itself (podman's Quadlet)
 */
struct membership {
	unsigned int references;
	char unit[288];
	char user[32];
	char pod[37];
	char container[65];
	char engine[16];
	bool nested;
	bool supervises;
	const char *const *supervisor;
	bool payload;
};

bool membership_parse(struct membership *membership, const char *text);
struct membership *membership_of(int pid);
struct membership *membership_share(struct membership *membership);
void membership_release(struct membership *membership);
const char *membership_text(const struct membership *membership,
			    char text[TEXT_SIZE]);
bool membership_is(const struct membership *membership, const char *name);
const char *membership_identity(const struct membership *membership);
bool membership_named(const struct membership *membership, const char *name);
const char *membership_lasting(const struct membership *membership,
			       bool trusted, const char **what);

#endif /* LISTENQ_TOOL_CGROUP_H */
