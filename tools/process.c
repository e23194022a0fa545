// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a socket open, and so can accept from it now: the way of ss -p, through
 * all descriptors of all processes that we may look at. An MPTCP listener's inode
 * is that of a subflow, which no process has open: these are left out.
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
 * For how long, of a processor's time, so that names don't go when the machine is
 * busy; for how long by the clock; and at how many descriptors of each process at
 * first.
 */
#define SEARCH_CPU_MS	1000
#define SEARCH_MS	1500
#define DESCRIPTORS	1024

/* A search is followed by a rest that is so many times as long. */
#define REST		9

/* The number that the host's own PID namespace has (include/linux/proc_ns.h). */
#define INIT_PID_NAMESPACE	0xeffffffc

/**
 * struct search - what is searched for, and what was found
 * @wanted: listeners, by inode
 * @last: the process that each was seen with last
 * @count: how many
 * @missing: how many of them nobody was found for
 * @process: where they are searched for
 * @processes: how many
 * @hold: what was found; a process may be there twice for one socket
 * @holds: how many
 * @hidden: some could not be looked at
 * @until_ms: for so long
 * @cpu_until_ms: the same of the processor's time
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

/* "12 (a (name)) S 11 ...": a name may have anything in it, the rest has not. */
static int read_parent(int pid)
{
	char *text = proc_text(512, "%d/stat", pid);
	char *at = text ? strrchr(text, ')') : NULL;
	long long parent = 0;

	if (at && strlen(at) > 4) {
		at += strlen(") S ");
		at[strcspn(at, " ")] = '\0';
		if (!parse_number(at, 1, INT_MAX, &parent))
			parent = 0;
	}
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
 * @process has what is at @target open. It may have it open a million times, which
 * is one hold as long as no other process is looked at in between.
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
	/* By powers of two. */
	if (!(search->holds & (search->holds - 1)))
		search->hold = allocate(search->hold, 2 * search->holds + 1,
					sizeof(*search->hold));
	search->hold[search->holds++] = (struct hold) {
		.listener = listener,
		.process = process,
	};
}

/* Looks at @most more descriptors. */
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
		/* Not ours to look at, or gone. */
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
		/* Those of one that has gone meanwhile give EACCES, too. */
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

/* The namespaces of what is wanted, in order; to free(). */
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
 * All processes: first those in the tool's own namespace, then those in others
 * where something is wanted, then the rest.
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
		/* By powers of two. */
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
 * Goes through all of them, so many descriptors of each, then through those that
 * have more: who opens a million hides nobody behind them. False where there was
 * not time enough.
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
 * Whether all processes that there are were listed. Who may look at the first one
 * may look at all; a container has a first one of its own, and a directory that
 * only has copies of some files has none.
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

/* Whether somebody is to be searched for; those have not been. */
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
 * process_find() - search for those who can accept from listeners
 * @listener: some of a snapshot's, all of which are searched for if any was not yet
 * @count: how many
 * @others: who else can matters, too: workers are named before their master. Else
 *	one for each is enough, that of the lowest number as a rule
 *
 * Looks at no process where nothing is wanted, and takes no longer than a second
 * of a processor's time, nor a tenth of all time: those for whom nobody was found
 * until then are said not to have been searched.
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
	/* Saved files are nobody's load, and another directory may come next. */
	if (proc_is_live())
		rest_until_ms = now_ms() + REST * (cpu_ms() - start_cpu_ms);
}

/* How many of @snapshot's may have a holder that was not found in time. */
size_t process_unsearched(const struct snapshot *snapshot)
{
	size_t unsearched = 0;

	for (size_t i = 0; i < snapshot->count; i++)
		unsearched += snapshot->listener[i].holder.unsearched;
	return unsearched;
}

/* The same, for people, where there is any. */
void process_tell(const struct snapshot *snapshot)
{
	size_t unsearched = process_unsearched(snapshot);

	if (unsearched)
		tell("no time to find the processes that hold %zu socket%s",
		     unsearched, unsearched == 1 ? "" : "s");
}
