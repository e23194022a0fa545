// SPDX-License-Identifier: GPL-2.0-only
/* Find the processes that can accept, and read what they and their threads are doing. */

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "explain.h"

/* How many threads of a process, and processes of a listener, are looked at. */
#define THREADS_MAX	4096
#define ACCEPTORS_MAX	1024

/* For how long one listener's processes are looked at. */
#define LISTENER_MS	250
/* How often to look at the clock, in descriptors. */
#define DESCRIPTORS	256

/*
 * A process can have any number of descriptors, threads and children: the time until
 * which they are looked at, on the clock of now_ms(), and whether some were left out
 * so far.
 */
static long long until_ms;
static bool cut;

static bool is_late(void)
{
	cut = cut || now_ms() > until_ms;
	return cut;
}

static bool is_enough(size_t count, size_t max)
{
	cut = cut || count >= max;
	return is_late();
}

/* Copy text if all of it may be shown; else nothing. */
static void copy_name(char *to, size_t size, const char *from, const char *also)
{
	size_t length = 0;

	while (length + 1 < size &&
	       (isalnum((unsigned char)from[length]) ||
		(from[length] && strchr(also, from[length]))))
		length++;
	if (from[length] && from[length] != '\n')
		length = 0;
	memcpy(to, from, length);
	to[length] = '\0';
}

/* ---- a process ---- */

/* Parse the line of stat. */
static bool parse_stat(struct thread *thread, char *text)
{
	const char *value[STAT_VALUES];
	long long user, system;

	split_stat(text, value);
	if (!parse_number(value[STAT_UTIME], 0, LLONG_MAX / 4, &user) ||
	    !parse_number(value[STAT_STIME], 0, LLONG_MAX / 4, &system))
		return false;
	thread->state = *value[STAT_STATE];
	thread->ticks = user + system;
	thread->use = -1;
	return isalpha((unsigned char)thread->state);
}

static void add_thread(struct acceptor *process, int tid, const char *below)
{
	struct thread thread = { .tid = tid };
	char *text = proc_text(4096, "%s/stat", below);
	bool parsed = parse_stat(&thread, text);

	free(text);
	if (!parsed)
		return;
	text = proc_text(sizeof(thread.wchan), "%s/wchan", below);
	if (text && strcmp(text, "0"))
		copy_name(thread.wchan, sizeof(thread.wchan), text, "_.");
	free(text);
	process->thread = allocate(process->thread, process->threads + 1,
				   sizeof(*process->thread));
	process->thread[process->threads++] = thread;
}

/* Read a process's threads; in saved files without threads, the process itself. */
static void read_threads(struct acceptor *process)
{
	char path[PATH_MAX], below[300];
	struct dirent *entry;
	long long tid;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/task", proc_dir, process->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!parse_number(entry->d_name, 1, INT_MAX, &tid))
			continue;
		if (is_enough(process->threads, THREADS_MAX))
			break;
		snprintf(below, sizeof(below), "%d/task/%lld", process->pid, tid);
		add_thread(process, tid, below);
	}
	if (dir)
		closedir(dir);
	snprintf(below, sizeof(below), "%d", process->pid);
	if (!process->threads)
		add_thread(process, process->pid, below);
}

/*
 * Look at a process's descriptors. Return: whether one is the socket @inode; -1 if
 * the caller may not look, or time ran out.
 */
static int read_fds(int pid, long long inode, struct acceptor *process)
{
	char path[PATH_MAX], target[64], wanted[64];
	unsigned int looked = 0;
	struct dirent *entry;
	long long number;
	ssize_t length;
	int found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/fd", proc_dir, pid);
	snprintf(wanted, sizeof(wanted), "socket:[%lld]", inode);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (found >= 0 && (entry = readdir(dir))) {
		if (!(++looked % DESCRIPTORS) && is_late())
			found = -1;
		if (found < 0 || !parse_number(entry->d_name, 0, INT_MAX, &number))
			continue;
		length = readlinkat(dirfd(dir), entry->d_name, target,
				    sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		found |= !strcmp(target, wanted);
		if (!process)
			continue;
		if (process->nofile == UNKNOWN || number < process->nofile)
			process->fds++;
		process->sockets += !strncmp(target, "socket:", 7);
	}
	closedir(dir);
	return found;
}

static void read_limits(struct acceptor *process)
{
	static const char name[] = "\nMax open files ";
	char *text = proc_text(8192, "%d/limits", process->pid);
	char *line = text ? strstr(text, name) : NULL, *rest, *value;

	process->nofile = UNKNOWN;
	process->nofile_hard = UNKNOWN;
	if (line) {
		value = strtok_r(line + strlen(name), "\n ", &rest);
		if (value && parse_number(value, 0, INT_MAX, &process->nofile)) {
			value = strtok_r(NULL, "\n ", &rest);
			if (!value || !parse_number(value, 0, INT_MAX,
						    &process->nofile_hard))
				process->nofile_hard = UNKNOWN;
		} else {
			process->nofile = UNKNOWN;
		}
	}
	free(text);
}

/* Read the number after "TracerPid:". */
static void read_tracer(struct acceptor *process)
{
	static const char name[] = "\nTracerPid:\t";
	char *text = proc_text(8192, "%d/status", process->pid);
	char *line = text ? strstr(text, name) : NULL;

	if (line)
		process->tracer = atoi(line + strlen(name));
	free(text);
}

/*
 * Name only services of the system's own systemd: what a login session or a
 * container runs is not the unit's, whatever it is called.
 */
static void read_unit(struct acceptor *process)
{
	struct membership *membership = membership_of(process->pid);
	size_t length = membership ? strlen(membership->unit) : 0;

	if (length > strlen(".service") && length < sizeof(process->unit) &&
	    !*membership->user && !*membership->container && !membership->nested &&
	    isalnum((unsigned char)*membership->unit) &&
	    !strchr(membership->unit, '\\') &&
	    !strcmp(membership->unit + length - strlen(".service"), ".service"))
		strcpy(process->unit, membership->unit);
	membership_release(membership);
}

/*
 * Read a process. False if it has ended, or does not have the socket @inode open:
 * then its number belongs to another one by now. With 0, any sockets will do.
 */
static bool process_read(struct acceptor *process, int pid, long long inode)
{
	int has;

	*process = (struct acceptor) { .pid = pid };
	read_limits(process);
	has = read_fds(pid, inode, process);
	if (inode && has <= 0)
		return false;
	if (has < 0) {
		process->fds = UNKNOWN;
		process->sockets = UNKNOWN;
	}
	proc_comm(pid, process->comm, sizeof(process->comm));
	process->uptime_ms = proc_uptime_ms();
	read_threads(process);
	if (!process->threads)
		return false;
	read_tracer(process);
	read_unit(process);
	return true;
}

/* ---- processes that can accept ---- */

static void add_acceptor(struct acceptors *acceptors, int pid, long long inode)
{
	struct acceptor process;

	if (!process_read(&process, pid, inode))
		return;
	acceptors->acceptor = allocate(acceptors->acceptor, acceptors->count + 1,
				       sizeof(*acceptors->acceptor));
	acceptors->acceptor[acceptors->count++] = process;
}

/* A child that runs another program has inherited the socket by mistake. */
static bool is_same_program(int pid, int child)
{
	char program[PATH_MAX], other[PATH_MAX];

	return !proc_link(program, "%d/exe", pid) ||
	       !proc_link(other, "%d/exe", child) || !strcmp(program, other);
}

/* Add those children of @pid that have the socket: a master's workers. */
static void add_children(struct acceptors *acceptors, int pid, long long inode)
{
	char path[PATH_MAX], *text, *rest, *word;
	struct dirent *entry;
	long long tid, child;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/task", proc_dir, pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!parse_number(entry->d_name, 1, INT_MAX, &tid))
			continue;
		if (is_late())
			break;
		text = proc_text(65536, "%d/task/%lld/children", pid, tid);
		if (!text)
			continue;
		for (word = strtok_r(text, "\n ", &rest);
		     word && !is_enough(acceptors->count, ACCEPTORS_MAX);
		     word = strtok_r(NULL, "\n ", &rest))
			if (parse_number(word, 1, INT_MAX, &child) &&
			    is_same_program(pid, child))
				add_acceptor(acceptors, child, inode);
		free(text);
	}
	if (dir)
		closedir(dir);
}

/*
 * Add the workers among the processes that have it open, or else all of these. The
 * master is the last process that process_find() found.
 */
static void add_holders(struct acceptors *acceptors, const struct holder *holder,
			long long inode)
{
	if (holder->others)
		add_children(acceptors, holder->other[holder->others - 1].pid,
			     inode);
	else
		add_children(acceptors, holder->pid, inode);
	if (acceptors->count)
		return;
	add_acceptor(acceptors, holder->pid, inode);
	for (unsigned int i = 0; i < holder->others &&
	     !is_enough(acceptors->count, ACCEPTORS_MAX); i++)
		add_acceptor(acceptors, holder->other[i].pid, inode);
}

/*
 * The process that called listen() may leave accept() to its children, or have
 * ended. An MPTCP listener's inode is that of a socket that no process has open.
 */
static void find_acceptors(struct acceptors *acceptors,
			   const struct listener *listener)
{
	const struct holder *holder = &listener->holder;
	long long caller = listener->figure[PID];
	long long inode = listener->figure[INODE];
	bool known = inode > 0 && strncmp(listener->word[PROTO], "mptcp", 5);
	int has = -1;

	if (known && caller != UNKNOWN)
		add_children(acceptors, caller, inode);
	if (acceptors->count)
		return;
	if (known && caller != UNKNOWN)
		has = read_fds(caller, inode, NULL);
	if (known && holder->pid && (caller == UNKNOWN || !has ||
				     !proc_has(caller)))
		add_holders(acceptors, holder, inode);
	else if (caller != UNKNOWN && has)
		add_acceptor(acceptors, caller, 0);
}

/**
 * acceptors_find() - find the processes that can accept, and look at them
 * @acceptors: filled, for acceptors_free()
 * @listener: a listener for which process_find() has searched
 * @end_ms: when to stop, on the clock of now_ms(); it stops sooner for one listener
 */
void acceptors_find(struct acceptors *acceptors, const struct listener *listener,
		    long long end_ms)
{
	*acceptors = (struct acceptors) { .nobody = is_nobodys(listener) };
	until_ms = now_ms() + LISTENER_MS;
	if (until_ms > end_ms)
		until_ms = end_ms;
	cut = false;
	if (!acceptors->nobody && !is_late())
		find_acceptors(acceptors, listener);
	acceptors->left = !acceptors->nobody && cut;
}

/* The same thread as @like. Most threads are at the same index @at in both looks. */
static const struct thread *thread_of(const struct acceptor *process,
				      const struct thread *like, size_t at)
{
	if (at < process->threads && process->thread[at].tid == like->tid)
		return &process->thread[at];
	for (size_t i = 0; i < process->threads; i++)
		if (process->thread[i].tid == like->tid)
			return &process->thread[i];
	return NULL;
}

static void compare(struct acceptor *process, const struct acceptor *before)
{
	long ticks = sysconf(_SC_CLK_TCK);
	long long elapsed = 0;

	if (process->uptime_ms != UNKNOWN && before->uptime_ms != UNKNOWN)
		elapsed = process->uptime_ms - before->uptime_ms;
	for (size_t i = 0; i < process->threads; i++) {
		struct thread *thread = &process->thread[i];
		const struct thread *old = thread_of(before, thread, i);

		if (!old || elapsed <= 0 || ticks <= 0)
			continue;
		thread->stayed = thread->state == old->state;
		thread->use = (double)(thread->ticks - old->ticks) * 1000 /
			      ticks / elapsed;
	}
}

/* Compare with the previous look, @before. */
void acceptors_compare(struct acceptors *acceptors,
		       const struct acceptors *before)
{
	for (size_t i = 0; i < acceptors->count; i++)
		for (size_t j = 0; j < before->count; j++)
			if (acceptors->acceptor[i].pid == before->acceptor[j].pid)
				compare(&acceptors->acceptor[i],
					&before->acceptor[j]);
}

void acceptors_free(struct acceptors *acceptors)
{
	for (size_t i = 0; i < acceptors->count; i++)
		free(acceptors->acceptor[i].thread);
	free(acceptors->acceptor);
	*acceptors = (struct acceptors) { };
}
