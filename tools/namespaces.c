// SPDX-License-Identifier: GPL-2.0-only
/*
 * Find all network namespaces, and decide in which order they are visited. A user
 * who can make namespaces at will, such as a container's root, must not be able to
 * keep the tool from looking at other namespaces.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"

/* Order by device and inode, for tsearch(3). */
static int by_inode(const void *x, const void *y)
{
	const struct netns *a = x, *b = y;

	return (a->dev > b->dev) - (a->dev < b->dev) ?:
	       (a->ino > b->ino) - (a->ino < b->ino);
}

/* Whether @netns has not been met before. */
static bool is_new(void **known, const struct netns *netns)
{
	struct netns *key = allocate(NULL, 1, sizeof(*key)), **found;

	*key = *netns;
	found = tsearch(key, known, by_inode);
	if (!found)
		die("not enough memory");
	if (*found == key)
		return true;
	free(key);
	return false;
}

/* -N looks for a namespace's name before it looks for a process's number. */
static bool is_taken(const struct netns_list *list, const char *name)
{
	for (size_t i = 0; i < list->count && list->netns[i].named; i++)
		if (!strcmp(list->netns[i].name, name))
			return true;
	return false;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	long long x = atoll((*a)->d_name), y = atoll((*b)->d_name);

	return (x > y) - (x < y);
}

static int is_process(const struct dirent *entry)
{
	long long pid;

	return parse_number(entry->d_name, 1, INT_MAX, &pid);
}

static int is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/*
 * A hash (FNV-1a) of the unit or container of the process at @path; 0 where it has
 * none. Two owners with the same hash share one owner's limits.
 */
static unsigned long long owner_by_name(const char *path)
{
	struct membership *membership;
	unsigned long long hash = 0xcbf29ce484222325;
	const char *name;
	int pid;

	if (sscanf(path, "/proc/%d/", &pid) != 1)
		return 0;
	membership = membership_of(pid);
	name = membership_identity(membership);
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	name = membership_identity(membership);
	hash = *name ? hash | 1ULL << 63 : 0;
	membership_release(membership);
	return hash;
}

/*
 * The owner of the namespace at @fd. 0 if it belongs to the tool's own user
 * namespace, since making it took privileges. Otherwise the user who made its user
 * namespace; if that was root, the container or unit root is in, since a container's
 * root can make any number of them; failing that, the user namespace itself.
 */
static unsigned long long owner_of(int fd, const char *path)
{
	int space = ioctl(fd, NS_GET_USERNS), parent;
	struct stat own, stat, above;
	uid_t uid = 0;

	/* A user namespace outside the tool's own: no user inside can have made it. */
	if (space < 0)
		return 0;
	if (fstat(space, &stat) || fstatat(AT_FDCWD, "/proc/self/ns/user", &own, 0) ||
	    stat.st_ino == own.st_ino) {
		close(space);
		return 0;
	}
	/* Inside, a user has as many uids as were lent: who made the outermost counts. */
	while ((parent = ioctl(space, NS_GET_PARENT)) >= 0) {
		if (fstat(parent, &above) || above.st_ino == own.st_ino) {
			close(parent);
			break;
		}
		close(space);
		space = parent;
		stat = above;
	}
	if (ioctl(space, NS_GET_OWNER_UID, &uid))
		uid = 0;
	close(space);
	return uid ?: owner_by_name(path) ?: 1ULL << 32 | stat.st_ino;
}

/*
 * Whether @path is a network namespace that was not met yet; fills in @netns, and
 * adds to @hidden where the caller may not know. Namespaces of all kinds are on one
 * device, and any file can have a name, so the type is checked. Most processes share
 * a namespace that is known by then, which is not opened again.
 */
static bool is_another(const char *path, dev_t device, void **known,
		       struct netns *netns, size_t *hidden)
{
	struct stat stat;
	bool is;
	int fd;

	/* Don't open it yet: it may be a device, or a pipe. */
	if (fstatat(AT_FDCWD, path, &stat, 0)) {
		*hidden += errno == EACCES || errno == EPERM;
		return false;
	}
	if (stat.st_dev != device)
		return false;
	netns->dev = stat.st_dev;
	netns->ino = stat.st_ino;
	if (!is_new(known, netns))
		return false;
	fd = open_namespace(path);
	if (fd < 0)
		return false;
	is = ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET &&
	     !fstat(fd, &stat) && stat.st_ino == netns->ino;
	if (is)
		netns->owner = owner_of(fd, path);
	close(fd);
	return is;
}

/*
 * Add the namespaces of @dir/NAME@file that were not met yet. One that has gone
 * since, or a name without a namespace, is no error.
 */
static const char *add_all(struct netns_list *list, void **known,
			   const struct netns *own, const char *dir,
			   const char *file,
			   int (*is_one)(const struct dirent *entry),
			   int (*order)(const struct dirent **a,
					const struct dirent **b))
{
	struct dirent **entries;
	char path[PATH_MAX];
	int count, i;

	count = scandir(dir, &entries, is_one, order);
	if (count < 0)
		return errno == ENOENT ? NULL :
		       trouble("%s: %s", dir, strerror(errno));
	for (i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		struct netns netns = { .fd = -1, .named = !*file };

		snprintf(path, sizeof(path), "%s/%s%s", dir, name, file);
		if (is_another(path, own->dev, known, &netns,
			       &list->hidden)) {
			netns.own = !by_inode(&netns, own);
			netns_append(list, &netns, path,
				     is_taken(list, name) ? path : name);
		}
		free(entries[i]);
	}
	free(entries);
	return NULL;
}

/* Namespaces of one owner together, in the order in which they were found. */
static int by_owner(const void *x, const void *y)
{
	const struct netns *a = x, *b = y;

	return (a->owner > b->owner) - (a->owner < b->owner) ?:
	       (a->turn > b->turn) - (a->turn < b->turn);
}

static int by_turn(const void *x, const void *y)
{
	const struct netns *a = x, *b = y;

	return b->own - a->own ?: !!a->owner - !!b->owner ?:
	       (a->turn > b->turn) - (a->turn < b->turn) ?: by_owner(a, b);
}

/*
 * The tool's own namespace first, then those that took privileges to make, then the
 * first one of each other owner, the second one of each, and so on: an owner of
 * thousands comes after all owners of a few.
 */
static void take_turns(struct netns_list *list)
{
	struct netns *netns = list->netns;
	size_t i;

	for (i = 0; i < list->count; i++)
		netns[i].turn = i;
	qsort(netns, list->count, sizeof(*netns), by_owner);
	for (i = 0; i < list->count; i++)
		if (netns[i].owner)
			netns[i].turn = i && netns[i - 1].owner == netns[i].owner ?
					netns[i - 1].turn + 1 : 0;
	qsort(netns, list->count, sizeof(*netns), by_turn);
}

/**
 * netns_open_all() - find all namespaces that have a name or a process
 * @list: filled with each namespace once, in the order in which to visit them; for
 *	netns_close()
 *
 * Return: NULL or a reason.
 */
const char *netns_open_all(struct netns_list *list)
{
	struct netns own = { };
	void *known = NULL;
	const char *why;

	*list = (struct netns_list) { };
	if (!netns_self(&own))
		return trouble("/proc/self/ns/net: %s", strerror(errno));
	why = add_all(list, &known, &own, NETNS_NAMES, "", is_name, alphasort);
	if (!why)
		why = add_all(list, &known, &own, "/proc", "/ns/net",
			      is_process, by_number);
	tdestroy(known, free);
	take_turns(list);
	return why;
}
