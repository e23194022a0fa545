// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network namespace: find it by name or by process, enter it to read its files,
 * and leave it again. /proc/net shows the namespace of the thread that reads it, and
 * this program has one thread. namespaces.c finds all namespaces.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "members.h"
#include "procdir.h"

/* Process numbers are smaller (PID_MAX_LIMIT), and namespaces' inodes larger. */
#define PIDS_MAX	(4 << 20)

/* The namespace that the tool was started in; false with errno. */
bool netns_self(struct netns *own)
{
	struct stat stat;

	if (fstatat(AT_FDCWD, "/proc/self/ns/net", &stat, 0))
		return false;
	own->dev = stat.st_dev;
	own->ino = stat.st_ino;
	own->own = true;
	return true;
}

void netns_append(struct netns_list *list, const struct netns *netns,
		  const char *path, const char *name)
{
	char escaped[NAME_MAX * 4 + 1];
	struct netns *last;

	list->netns = allocate(list->netns, list->count + 1,
			       sizeof(*list->netns));
	last = &list->netns[list->count++];
	*last = *netns;
	last->path = strdup(path);
	last->name = strdup(escape(escaped, sizeof(escaped), name));
	if (!last->path || !last->name)
		die("not enough memory");
}

static bool is_namespace(int fd)
{
	struct statfs filesystem;

	return !fstatfs(fd, &filesystem) && filesystem.f_type == NSFS_MAGIC;
}

/*
 * Check before opening: a pipe would wait for a writer, and opening a device may
 * have effects. -1 and an errno, EINVAL if it is no namespace.
 */
int open_namespace(const char *path)
{
	char found[32];
	int at = open(path, O_PATH | O_CLOEXEC), fd = -1, error;

	if (at < 0)
		return -1;
	error = EINVAL;
	if (is_namespace(at)) {
		snprintf(found, sizeof(found), "/proc/self/fd/%d", at);
		fd = open(found, O_RDONLY | O_CLOEXEC);
		error = errno;
	}
	close(at);
	errno = error;
	return fd;
}

/* Find the name in /run/netns of a namespace; false where it has none. */
static bool find_name(const struct stat *netns, char name[NAME_MAX + 1])
{
	DIR *names = opendir(NETNS_NAMES);
	struct dirent *entry;
	struct stat stat;
	bool found = false;

	while (names && !found && (entry = readdir(names))) {
		found = !fstatat(dirfd(names), entry->d_name, &stat, 0) &&
			stat.st_dev == netns->st_dev &&
			stat.st_ino == netns->st_ino;
		if (found)
			strcpy(name, entry->d_name);
	}
	if (names)
		closedir(names);
	return found;
}

/* Show a namespace by the name that people gave it, however it was found. */
static const char *list_add(struct netns_list *list, const char *path,
			    const char *name)
{
	char known[NAME_MAX + 1];
	int fd = open_namespace(path);
	char escaped[NAME_MAX * 4 + 1];
	struct netns netns = { .fd = fd }, own = { };
	struct stat stat;

	escape(escaped, sizeof(escaped), name);
	if (fd < 0 && errno == EINVAL)
		return trouble("%s is not a network namespace", escaped);
	if (fd < 0)
		return trouble("network namespace %s: %s", escaped,
			       strerror(errno));
	if (fstat(fd, &stat)) {
		close(fd);
		return trouble("network namespace %s: %s", escaped,
			       strerror(errno));
	}
	netns.dev = stat.st_dev;
	netns.ino = stat.st_ino;
	netns.own = netns_self(&own) && own.dev == netns.dev &&
		    own.ino == netns.ino;
	netns.named = find_name(&stat, known);
	netns_append(list, &netns, path, netns.named ? known : name);
	return NULL;
}

/* "4026531992", "net:[4026531992]" */
static bool parse_inode(const char *name, long long *inode)
{
	char number[24] = "";
	size_t length = strlen(name);

	if (strncmp(name, "net:[", 5) || name[length - 1] != ']')
		return parse_number(name, PIDS_MAX + 1, LLONG_MAX, inode);
	if (length - 6 < sizeof(number))
		memcpy(number, name + 5, length - 6);
	return parse_number(number, 1, LLONG_MAX, inode);
}

/*
 * Find it by its inode's number, as shown by lsns(8) and the kernel's log. This
 * needs a name in /run/netns or a process in it.
 */
static const char *open_by_inode(const char *name, long long inode,
				 struct netns_list *list)
{
	const struct netns *found = NULL;
	struct netns_list all;
	const char *why;

	why = netns_open_all(&all);
	for (size_t i = 0; !why && i < all.count && !found; i++)
		if (all.netns[i].ino == (ino_t)inode)
			found = &all.netns[i];
	if (found)
		why = list_add(list, found->path, found->name);
	/* The process may have ended, and its number may belong to another one. */
	if (!why && found && list->netns[0].ino != (ino_t)inode)
		why = trouble("network namespace %s: no longer exists", name);
	else if (!why && !found)
		why = trouble("network namespace %s: no name and no process leads there%s",
			      name, all.hidden ? " that you may know" : "");
	netns_close(&all);
	return why;
}

/* Find it by a unit, container or pod in it. @found: one of that name exists. */
static const char *open_by_member(const char *name, struct netns_list *list,
				  bool *found)
{
	const char *why = NULL;
	struct members members;
	char path[PATH_MAX];

	members_read(&members, name);
	*found = members.count;
	if (*found) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net",
			 members.member->pid);
		why = list_add(list, path, name);
		/*
		 * The process may have ended, and its number may belong to another
		 * one.
		 */
		if (!why && (list->netns[0].ino != members.member->ino ||
			     list->netns[0].dev != members.member->dev))
			why = trouble("network namespace %s: no longer exists", name);
	}
	members_free(&members);
	/* Rules for a unit that has not unshared its network yet would be the host's. */
	if (!why && *found && list->netns[0].own)
		why = trouble("network namespace %s: is the one listenq runs in: leave out -N",
			      name);
	return why;
}

/**
 * netns_open() - find one namespace
 * @name: one of these, in this order: a path, a name in /run/netns, the number of a
 *	process in it, the number of its inode, or a unit, container or pod in it;
 *	NULL for the tool's own
 * @list: filled; for netns_close()
 *
 * Return: NULL or a reason.
 */
const char *netns_open(const char *name, struct netns_list *list)
{
	char path[PATH_MAX];
	long long pid, inode;
	char escaped[NAME_MAX * 4 + 1];
	const char *why;
	bool found;

	*list = (struct netns_list) { };
	if (!name) {
		list->netns = allocate(NULL, 1, sizeof(*list->netns));
		list->netns[0] = (struct netns) { .fd = -1, .own = true };
		netns_self(&list->netns[0]);
		list->count = 1;
		return NULL;
	}
	if (!*name)
		return trouble("-N: the name of a namespace is empty");
	if (strchr(name, '/'))
		return list_add(list, name, name);
	snprintf(path, sizeof(path), NETNS_NAMES "/%s", name);
	/*
	 * A container's id may happen to have no letters; an inode's number is
	 * shorter.
	 */
	if (access(path, F_OK) &&
	    strspn(name, "0123456789abcdef") < SHORT_ID &&
	    parse_inode(name, &inode))
		return open_by_inode(name, inode, list);
	if (access(path, F_OK) && strlen(name) < SHORT_ID &&
	    parse_number(name, 1, INT_MAX, &pid)) {
		snprintf(path, sizeof(path), "/proc/%lld/ns/net", pid);
		if (access(path, F_OK) && errno == ENOENT)
			return trouble("network namespace %s: no such name and no such process",
				       name);
	} else if (access(path, F_OK)) {
		why = open_by_member(name, list, &found);
		if (found)
			return why;
		return trouble("network namespace %s: no such name, process, unit or container",
			       escape(escaped, sizeof(escaped), name));
	}
	return list_add(list, path, name);
}

/**
 * netns_reach() - open a namespace that was found, if it still exists
 * @netns: the namespace; to be closed by netns_let_go()
 * @gone: set if it no longer exists; its path may lead to another one now
 *
 * Return: NULL or a reason.
 */
const char *netns_reach(struct netns *netns, bool *gone)
{
	struct stat stat;

	*gone = false;
	if (netns->fd >= 0 || !netns->path)
		return NULL;
	netns->fd = open_namespace(netns->path);
	if (netns->fd < 0) {
		*gone = errno == ENOENT || errno == ESRCH;
		return trouble("network namespace %s: %s", netns->name,
			       strerror(errno));
	}
	*gone = fstat(netns->fd, &stat) || stat.st_dev != netns->dev ||
		stat.st_ino != netns->ino;
	return *gone ? trouble("network namespace %s: no longer exists", netns->name) :
		       NULL;
}

void netns_let_go(struct netns *netns)
{
	if (netns->fd >= 0)
		close(netns->fd);
	netns->fd = -1;
}

void netns_free(struct netns *netns)
{
	netns_let_go(netns);
	free(netns->name);
	free(netns->path);
	free(netns->label);
	membership_release(netns->membership);
}

void netns_close(struct netns_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		netns_free(&list->netns[i]);
	free(list->netns);
	*list = (struct netns_list) { };
}

static int own = -1;
static bool entered;

/* Enter the namespace that @netns->fd refers to. NULL or a reason. */
static const char *join(const struct netns *netns)
{
	if (own < 0)
		own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return trouble("/proc/self/ns/net: %s", strerror(errno));
	if (!setns(netns->fd, CLONE_NEWNET)) {
		entered = true;
		return NULL;
	}
	if (errno == EPERM)
		return trouble("network namespace %s: only root may enter it",
			       netns->name);
	if (errno == EINVAL)
		return trouble("%s is not a network namespace", netns->name);
	return trouble("network namespace %s: %s", netns->name,
		       strerror(errno));
}

/**
 * netns_enter() - read the files of another namespace from here on
 * @netns: the namespace; staying in the tool's own takes no privileges. With -a it
 *	is not open yet, and is opened for this
 *
 * Return: NULL or a reason.
 */
const char *netns_enter(const struct netns *netns)
{
	struct netns way = *netns;
	const char *why;
	bool gone;

	if (!netns->path || (netns->own && !entered))
		return NULL;
	why = netns_reach(&way, &gone) ?: join(&way);
	if (netns->fd < 0)
		netns_let_go(&way);
	return why;
}

/* Return to the namespace that the tool was started in. */
const char *netns_leave(void)
{
	if (entered && setns(own, CLONE_NEWNET))
		return trouble("cannot return to the original network namespace: %s",
			       strerror(errno));
	entered = false;
	return NULL;
}
