// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other network namespaces: found by name or by process, entered to read their
 * files, and left again. /proc/net is that of the thread that reads, and this
 * program has one.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listenq.h"

/* Where ip-netns(8) keeps names. */
#define NAMES_DIR	"/run/netns"

static const char *list_add(struct netns_list *list, const char *path,
			    const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char escaped[NAME_MAX * 4 + 1];
	struct netns *netns;
	struct stat stat;

	escape(escaped, sizeof(escaped), name);
	if (fd < 0 || fstat(fd, &stat))
		return trouble("network namespace %s: %s", escaped,
			       strerror(errno));
	list->netns = allocate(list->netns, list->count + 1,
			       sizeof(*list->netns));
	netns = &list->netns[list->count++];
	netns->fd = fd;
	netns->dev = stat.st_dev;
	netns->ino = stat.st_ino;
	netns->name = strdup(escaped);
	if (!netns->name)
		die("not enough memory");
	return NULL;
}

/**
 * netns_open() - find one namespace
 * @name: a path, a name in /run/netns, or the number of a process in it, in
 *	this order; NULL for the tool's own
 * @list: has it afterwards; for netns_close()
 *
 * Return: NULL or a reason.
 */
const char *netns_open(const char *name, struct netns_list *list)
{
	char path[PATH_MAX];
	long long pid;

	*list = (struct netns_list) { };
	if (!name) {
		list->netns = allocate(NULL, 1, sizeof(*list->netns));
		list->netns[0] = (struct netns) { .fd = -1 };
		list->count = 1;
		return NULL;
	}
	if (strchr(name, '/'))
		return list_add(list, name, name);
	snprintf(path, sizeof(path), NAMES_DIR "/%s", name);
	if (access(path, F_OK) && parse_number(name, 1, INT_MAX, &pid)) {
		snprintf(path, sizeof(path), "/proc/%lld/ns/net", pid);
		if (access(path, F_OK) && errno == ENOENT)
			return trouble("network namespace %s: no such name and no such process",
				       name);
	}
	return list_add(list, path, name);
}

static bool is_known(const struct netns_list *list, const struct stat *stat)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->netns[i].dev == stat->st_dev &&
		    list->netns[i].ino == stat->st_ino)
			return true;
	return false;
}

/* -N would find the namespace of that name, where a process has its number. */
static bool is_taken(const struct netns_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
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

/* Namespaces of all kinds are on one device, and any file can have a name. */
static bool is_other_kind(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int kind = fd < 0 ? -1 : ioctl(fd, NS_GET_NSTYPE);

	if (fd >= 0)
		close(fd);
	return kind >= 0 && kind != CLONE_NEWNET;
}

/* Adds those namespaces of @dir/NAME@file that aren't in @list yet. */
static const char *add_all(struct netns_list *list, const char *dir,
			   const char *file,
			   int (*is_one)(const struct dirent *entry),
			   int (*order)(const struct dirent **a,
					const struct dirent **b))
{
	const char *why = NULL;
	struct dirent **entries;
	struct stat own, other;
	char path[PATH_MAX];
	int count, i;

	if (stat("/proc/self/ns/net", &own))
		return trouble("/proc/self/ns/net: %s", strerror(errno));

	count = scandir(dir, &entries, is_one, order);
	if (count < 0)
		return errno == ENOENT ? NULL :
		       trouble("%s: %s", dir, strerror(errno));
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s%s", dir,
			 entries[i]->d_name, file);
		/* What has gone since, or is only a name, is no trouble. */
		if (!why && !stat(path, &other) &&
		    other.st_dev == own.st_dev && !is_known(list, &other) &&
		    !is_other_kind(path)) {
			why = list_add(list, path,
				       is_taken(list, entries[i]->d_name) ?
				       path : entries[i]->d_name);
			if (why && (errno == ENOENT || errno == ESRCH))
				why = NULL;
		}
		free(entries[i]);
	}
	free(entries);
	return why;
}

/**
 * netns_open_all() - find all namespaces that have a name or a process
 * @list: has each once, those with a name first; for netns_close()
 *
 * Return: NULL or a reason.
 */
const char *netns_open_all(struct netns_list *list)
{
	const char *why;
	size_t named;

	*list = (struct netns_list) { };
	why = add_all(list, NAMES_DIR, "", is_name, alphasort);
	named = list->count;
	if (!why)
		why = add_all(list, "/proc", "/ns/net", is_process, by_number);
	list->unnamed = list->count - named;
	return why;
}

void netns_close(struct netns_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->netns[i].fd >= 0)
			close(list->netns[i].fd);
		free(list->netns[i].name);
	}
	free(list->netns);
	*list = (struct netns_list) { };
}

static int own = -1;

/**
 * netns_enter() - read the files of another namespace from here on
 * @netns: which
 *
 * Return: NULL or a reason.
 */
const char *netns_enter(const struct netns *netns)
{
	if (netns->fd < 0)
		return NULL;
	if (own < 0)
		own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return trouble("/proc/self/ns/net: %s", strerror(errno));
	if (!setns(netns->fd, CLONE_NEWNET))
		return NULL;
	if (errno == EPERM)
		return trouble("network namespace %s: only root may enter it",
			       netns->name);
	if (errno == EINVAL)
		return trouble("%s is no network namespace", netns->name);
	return trouble("network namespace %s: %s", netns->name,
		       strerror(errno));
}

/* Back to where the tool was started. */
const char *netns_leave(void)
{
	if (own >= 0 && setns(own, CLONE_NEWNET))
		return trouble("back to the own network namespace: %s",
			       strerror(errno));
	return NULL;
}
