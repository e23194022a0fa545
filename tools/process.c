// SPDX-License-Identifier: GPL-2.0-only
/*
 * Find the processes that have a socket open, and so can accept from it now: like ss
 * -p, by all descriptors of all processes that we may look at. An MPTCP listener's
 * inode is that of a subflow, which no process has open, so MPTCP listeners are not
 * searched for.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

/*
 * Limits of a search: processor time, so that a busy machine does not make names
 * disappear; time by the clock; and how many descriptors of each process are looked
 * at in the first pass.
 */
#define SEARCH_CPU_MS	1000
#define SEARCH_MS	1500
#define DESCRIPTORS	1024

/* After a search, the next one has to wait for so many times as long. */
#define REST		9

/* The inode of the host's own PID namespace (include/linux/proc_ns.h). */
#define INIT_PID_NAMESPACE	0xeffffffc

/**
 * struct search - sockets to search for, and the processes found
 * @wanted: the listeners, by inode
 * @last: the process that each listener was last seen with
 * @count: how many listeners
 * @missing: how many of these have no process yet
 * @process: the processes to look at
 * @processes: how many processes
 * @hold: what was found; may have a process twice for one socket
 * @holds: how many entries @hold has
 * @hidden: some process could not be looked at
 * @until_ms: when the search has to end
 * @cpu_until_ms: the same, in processor time
 */
struct search {
	struct listener **wanted;
	struct process **last;
	size_t count;
	size_t missing;
	struct process *process;
	size_t processes;
	struct hold *hold;
	size_t holds;
	bool hidden;
	long long until_ms;
	long long cpu_until_ms;
};

static long long cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool is_late(const struct search *search)
{
	return now_ms() > search->until_ms || cpu_ms() > search->cpu_until_ms;
}

/* ---- one process ---- */

static int read_parent(int pid)
{
	char *text = proc_text(1024, "%d/stat", pid);
	const char *value[STAT_VALUES];
	long long parent = 0;

	split_stat(text, value);
	if (!parse_number(value[STAT_PARENT], 1, INT_MAX, &parent))
		parent = 0;
	free(text);
	return parent;
}

static void identify(struct process *process)
{
	proc_comm(process->pid, process->comm, sizeof(process->comm));
	process->parent = read_parent(process->pid);
	process->membership = membership_of(process->pid);
}

static int by_inode(const void *a, const void *b)
{
	long long x = (*(struct listener *const *)a)->figure[INODE];
	long long y = (*(struct listener *const *)b)->figure[INODE];

	return (x > y) - (x < y);
}

/*
 * Note that @process has @target open. It may have one socket open a million times:
 * that is one hold, as long as no other process is looked at in between.
 */
static void look_at(struct search *search, struct process *process,
		    char *target)
{
	struct listener key = { }, *at = &key, **found;
	size_t length = strlen(target), listener;
	long long inode;

	if (strncmp(target, "socket:[", 8) || target[length - 1] != ']')
		return;
	target[length - 1] = '\0';
	if (!parse_number(target + 8, 1, LLONG_MAX, &inode))
		return;
	key.figure[INODE] = inode;
	found = bsearch(&at, search->wanted, search->count,
			sizeof(*search->wanted), by_inode);
	if (!found)
		return;
	listener = found - search->wanted;
	if (search->last[listener] == process)
		return;
	search->missing -= !search->last[listener];
	search->last[listener] = process;
	if (!*process->comm)
		identify(process);
	/* Grow by powers of two. */
	if (!(search->holds & (search->holds - 1)))
		search->hold = allocate(search->hold, 2 * search->holds + 1,
					sizeof(*search->hold));
	search->hold[search->holds++] = (struct hold) {
		.listener = listener,
		.process = process,
	};
}

/* Look at up to @most more descriptors. */
static void look_on(struct search *search, struct process *process,
		    size_t most)
{
	struct dirent *entry = NULL;
	char path[PATH_MAX];
	char target[64];
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/fd", proc_dir, process->pid);
	dir = opendir(path);
	if (!dir) {
		/* We may not look at it, or it has ended. */
		search->hidden |= errno != ENOENT && errno != ESRCH;
		process->done = true;
		return;
	}
	if (process->at)
		seekdir(dir, process->at);
	while (most-- && (entry = readdir(dir))) {
		if (!(most % DESCRIPTORS) && is_late(search))
			break;
		length = readlinkat(dirfd(dir), entry->d_name, target,
				    sizeof(target) - 1);
		/* The links of a process that has just ended give EACCES, too. */
		if (length < 0 && errno == EACCES)
			search->hidden = search->hidden || proc_has(process->pid);
		if (length <= 0)
			continue;
		target[length] = '\0';
		look_at(search, process, target);
	}
	process->at = telldir(dir);
	process->done = !entry;
	closedir(dir);
}

/* ---- all of them ---- */

static int by_number(const void *x, const void *y)
{
	const ino_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

static int by_rank(const void *x, const void *y)
{
	const struct process *a = x, *b = y;

	return a->rank - b->rank ?: (a->pid > b->pid) - (a->pid < b->pid);
}

/* The namespaces of the wanted listeners, in order; to free(). */
static ino_t *namespaces_of(struct listener *const wanted[], size_t count,
			    size_t *namespaces)
{
	ino_t *inode = allocate(NULL, count, sizeof(*inode));

	*namespaces = 0;
	for (size_t i = 0; i < count; i++)
		if (!i || wanted[i]->in != wanted[i - 1]->in)
			inode[(*namespaces)++] = wanted[i]->in->ino;
	qsort(inode, *namespaces, sizeof(*inode), by_number);
	return inode;
}

/*
 * List all processes: first those in the tool's own namespace, then those in the
 * namespaces of wanted listeners, then the rest.
 */
static void list_processes(struct search *search)
{
	DIR *proc = opendir(proc_dir);
	struct netns own = { };
	struct dirent *entry;
	struct process *next;
	size_t namespaces;
	char path[PATH_MAX];
	struct stat stat;
	long long pid;
	ino_t *inode;

	if (!proc)
		return;
	netns_self(&own);
	inode = namespaces_of(search->wanted, search->count, &namespaces);
	while ((entry = readdir(proc))) {
		if (!parse_number(entry->d_name, 1, INT_MAX, &pid))
			continue;
		/* Grow by powers of two. */
		if (!(search->processes & (search->processes - 1)))
			search->process = allocate(search->process,
						   2 * search->processes + 1,
						   sizeof(*search->process));
		next = &search->process[search->processes++];
		*next = (struct process) { .pid = pid, .rank = 2 };
		snprintf(path, sizeof(path), "%s/ns/net", entry->d_name);
		if (fstatat(dirfd(proc), path, &stat, 0))
			continue;
		if (stat.st_ino == own.ino)
			next->rank = 0;
		else if (bsearch(&stat.st_ino, inode, namespaces,
				 sizeof(*inode), by_number))
			next->rank = 1;
	}
	closedir(proc);
	free(inode);
	if (search->processes)
		qsort(search->process, search->processes,
		      sizeof(*search->process), by_rank);
}

/*
 * Look at some descriptors of each process, then go on with the processes that have
 * more: one that opens a million must not hide those behind it. False if time ran
 * out.
 */
static bool search_all(struct search *search, bool others)
{
	size_t most = DESCRIPTORS, left = search->processes, i;

	for (; left; most *= 4)
		for (i = left = 0; i < search->processes; i++) {
			if (!search->missing && !others)
				return true;
			if (search->process[i].done)
				continue;
			if (is_late(search))
				return false;
			look_on(search, &search->process[i], most);
			left += !search->process[i].done;
		}
	return true;
}

/*
 * Whether every existing process was listed. A caller who may look at process 1 may
 * look at all. But a container has a process 1 of its own, and a directory with
 * copies of only some files has none.
 */
static bool are_all_listed(const struct search *search)
{
	char path[PATH_MAX];
	struct stat stat;
	size_t i;

	for (i = 0; i < search->processes; i++)
		if (search->process[i].pid == 1)
			break;
	snprintf(path, sizeof(path), "%s/1/fd", proc_dir);
	if (i == search->processes || access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "%s/self/ns/pid", proc_dir);
	return fstatat(AT_FDCWD, path, &stat, 0) ||
	       stat.st_ino == INIT_PID_NAMESPACE;
}

/* ---- the search ---- */

static bool can_be_found(const struct listener *listener)
{
	return listener->figure[INODE] > 0 &&
	       strncmp(listener->word[PROTO], "mptcp", strlen("mptcp"));
}

/* Whether any listener was not searched for yet; unless @now, marks these as such. */
static bool is_needed(struct listener *const listener[], size_t count,
		      bool now)
{
	bool needed = false;

	for (size_t i = 0; i < count; i++)
		if (can_be_found(listener[i]) && !listener[i]->holder.found_ms) {
			needed = true;
			listener[i]->holder.unsearched = !now;
		}
	return needed;
}

static void search_for(struct search *search, bool others)
{
	bool in_time, searched;

	list_processes(search);
	search->last = calloc(search->count, sizeof(*search->last));
	if (!search->last)
		die("not enough memory");
	qsort(search->wanted, search->count, sizeof(*search->wanted),
	      by_inode);
	search->missing = search->count;
	in_time = search_all(search, others);
	searched = in_time && !search->hidden && are_all_listed(search);
	name_holders(search->wanted, search->hold, search->holds, others);
	for (size_t i = 0; i < search->count; i++) {
		struct holder *holder = &search->wanted[i]->holder;

		holder->found_ms = now_ms();
		holder->searched = searched;
		holder->unsearched = !in_time && !holder->pid;
	}
	for (size_t i = 0; i < search->processes; i++)
		membership_release(search->process[i].membership);
	free(search->last);
	free(search->hold);
	free(search->process);
}

/**
 * process_find() - find the processes that can accept from listeners
 * @listener: listeners of a snapshot; all are searched for if one was not yet
 * @count: how many
 * @others: find every process, and name workers before their master; else one
 *	process for each listener is enough, usually the one with the lowest number
 *
 * Looks at no process if no listener needs it. Takes at most a second of processor
 * time, and a tenth of all time: listeners without a process by then are marked as
 * not searched for.
 */
void process_find(struct listener *const listener[], size_t count, bool others)
{
	static long long rest_until_ms;
	long long start_ms = now_ms(), start_cpu_ms = cpu_ms();
	struct search search = {
		.until_ms = start_ms + SEARCH_MS,
		.cpu_until_ms = start_cpu_ms + SEARCH_CPU_MS,
	};

	if (!is_needed(listener, count, start_ms >= rest_until_ms) ||
	    start_ms < rest_until_ms)
		return;
	search.wanted = allocate(NULL, count, sizeof(*search.wanted));
	for (size_t i = 0; i < count; i++)
		if (can_be_found(listener[i])) {
			holder_free(&listener[i]->holder);
			search.wanted[search.count++] = listener[i];
		}
	search_for(&search, others);
	free(search.wanted);
	/* Reading saved files is no load, and another directory may come next. */
	if (proc_is_live())
		rest_until_ms = now_ms() + REST * (cpu_ms() - start_cpu_ms);
}

/* How many listeners of @snapshot may have a holder that was not found in time. */
size_t process_unsearched(const struct snapshot *snapshot)
{
	size_t unsearched = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		unsearched += snapshot->listener[i].holder.unsearched;
	return unsearched;
}

/* Tell people that number, unless it is 0. */
void process_tell(const struct snapshot *snapshot)
{
	size_t unsearched = process_unsearched(snapshot);

	if (unsearched)
		tell("no time to find the processes that hold %zu socket%s",
		     unsearched, unsearched == 1 ? "" : "s");
}
