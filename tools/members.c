// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network namespace meant by the name of a unit, pod or container is that of its
 * oldest process. Other processes in it may have made other namespaces, such as a
 * browser's sandbox, or one made to be taken for the service.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "members.h"
#include "procdir.h"

/* How long all processes may take: a container decides how many it has. */
#define SEARCH_MS	500

static int by_name(const void *x, const void *y)
{
	const struct member *a = x, *b = y;

	return strcmp(a->name, b->name);
}

/* By name, then the oldest first. */
static int by_age(const void *x, const void *y)
{
	const struct member *a = x, *b = y;

	return by_name(x, y) ?:
	       (a->started_ms > b->started_ms) - (a->started_ms < b->started_ms) ?:
	       a->pid - b->pid;
}

/* False if the process belongs to nothing, or to nothing called @name. */
static bool read_member(struct member *member, int pid, const char *name)
{
	struct membership *membership = membership_of(pid);
	bool is = *membership_identity(membership) &&
		  (!name || membership_named(membership, name));
	struct stat stat;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	*member = (struct member) {
		.pid = pid,
		.started_ms = is ? proc_started_ms(pid) : UNKNOWN,
	};
	is = member->started_ms != UNKNOWN && !fstatat(AT_FDCWD, path, &stat, 0);
	if (is) {
		member->dev = stat.st_dev;
		member->ino = stat.st_ino;
		member->name = strdup(membership_identity(membership));
		if (!member->name)
			die("not enough memory");
	}
	membership_release(membership);
	return is;
}

/**
 * members_read() - find the oldest process of each unit, pod and container
 * @members: filled, for members_free()
 * @name: find only those called so, see membership_named(); NULL: all
 */
void members_read(struct members *members, const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct member member;
	long long until_ms = now_ms() + SEARCH_MS, pid;
	bool late = false;
	size_t all = 0, i;

	*members = (struct members) { };
	while (proc && (entry = readdir(proc))) {
		late = !name && now_ms() > until_ms;
		if (late)
			break;
		if (!parse_number(entry->d_name, 1, INT_MAX, &pid) ||
		    !read_member(&member, pid, name))
			continue;
		/* Grow by powers of two. */
		if (!(all & (all - 1)))
			members->member = allocate(members->member, 2 * all + 1,
						   sizeof(member));
		members->member[all++] = member;
	}
	if (proc)
		closedir(proc);
	if (all)
		qsort(members->member, all, sizeof(member), by_age);
	for (i = 0; i < all; i++)
		if (i && !strcmp(members->member[members->count - 1].name,
				 members->member[i].name))
			free(members->member[i].name);
		else
			members->member[members->count++] = members->member[i];
	/* The oldest may not be among them. */
	if (late)
		members_free(members);
}

/* The oldest process of what is called @name; NULL if there is none. */
const struct member *members_find(const struct members *members, const char *name)
{
	const struct member key = { .name = (char *)name };

	return members->count ? bsearch(&key, members->member, members->count,
					sizeof(key), by_name) : NULL;
}

void members_free(struct members *members)
{
	for (size_t i = 0; i < members->count; i++)
		free(members->member[i].name);
	free(members->member);
	*members = (struct members) { };
}
