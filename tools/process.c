// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a socket open: for listeners whose caller of listen() is unknown,
 * those from before the load above all. The way of ss -p: through all
 * descriptors of all processes that we may look at.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listenq.h"

static int by_inode(const void *a, const void *b)
{
	long long x = (*(struct listener *const *)a)->figure[INODE];
	long long y = (*(struct listener *const *)b)->figure[INODE];

	return (x > y) - (x < y);
}

static void read_comm(int pid, char *comm, size_t size)
{
	char path[PATH_MAX], name[64] = "";
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%s/%d/comm", proc_dir, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		strcpy(comm, "-");
		return;
	}
	length = read(fd, name, sizeof(name) - 1);
	close(fd);
	name[length > 0 ? length : 0] = '\0';
	/* The line break is the file's; a name can hold others. */
	if (length > 0 && name[length - 1] == '\n')
		name[length - 1] = '\0';
	escape(comm, size, *name ? name : "?");
}

/* @pid has @listener's socket open; a process may have it open twice. */
static void hold(struct listener *listener, int pid, int *last)
{
	struct holder *holder = &listener->holder;

	if (*last == pid)
		return;
	*last = pid;
	if (holder->pid) {
		holder->others++;
		if (holder->pid < pid)
			return;
	}
	holder->pid = pid;
	read_comm(pid, holder->comm, sizeof(holder->comm));
}

static void search(int pid, struct listener **wanted, int *last, size_t count)
{
	struct listener key = { }, *at = &key, **found;
	struct dirent *entry;
	char target[64];
	char path[PATH_MAX];
	long long inode;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/fd", proc_dir, pid);
	dir = opendir(path);
	if (!dir)
		return;		/* not ours to look at, or gone */
	while ((entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, target,
				    sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		if (strncmp(target, "socket:[", 8) ||
		    target[length - 1] != ']')
			continue;
		target[length - 1] = '\0';
		if (!parse_number(target + 8, 1, LLONG_MAX, &inode))
			continue;
		key.figure[INODE] = inode;
		found = bsearch(&at, wanted, count, sizeof(*wanted), by_inode);
		if (found)
			hold(*found, pid, &last[found - wanted]);
	}
	closedir(dir);
}

/**
 * process_find() - search for those who hold sockets of unknown callers
 * @listener: some listeners; of those without a pid where nobody has looked yet,
 *	who holds them. That of the lowest number is named.
 * @count: how many
 *
 * Looks at no process where nothing is wanted.
 */
void process_find(struct listener *const listener[], size_t count)
{
	struct listener **wanted = allocate(NULL, count, sizeof(*wanted));
	struct dirent *entry;
	size_t number = 0, i;
	long long pid;
	int *last;
	DIR *proc;

	for (i = 0; i < count; i++)
		if (listener[i]->figure[PID] == UNKNOWN &&
		    listener[i]->figure[INODE] > 0 &&
		    !listener[i]->holder.found_ms) {
			listener[i]->holder.found_ms = now_ms();
			wanted[number++] = listener[i];
		}
	proc = number ? opendir(proc_dir) : NULL;
	if (proc) {
		last = calloc(number, sizeof(*last));
		if (!last)
			die("not enough memory");
		qsort(wanted, number, sizeof(*wanted), by_inode);
		while ((entry = readdir(proc)))
			if (parse_number(entry->d_name, 1, INT_MAX, &pid))
				search(pid, wanted, last, number);
		closedir(proc);
		free(last);
	}
	free(wanted);
}
