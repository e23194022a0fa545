// SPDX-License-Identifier: GPL-2.0-only
/*
 * The labels of metrics, which have to be the same after a restart: a set of labels
 * is some fifty series, and Prometheus keeps each new one as long as any other.
 *
 * A namespace without a name is called after what its first process belongs to, not
 * by that process's number. A listener has the unit of the process that called
 * listen(), which does not change while it listens; in a container, it has the
 * container's.
 */

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "members.h"
#include "metrics.h"
#include "procdir.h"

/* Two clocks of /proc are read one after the other. */
#define SLACK_MS	2000

/* "-" is the kernel's word for nothing. */
static const char *known(const char *word)
{
	return strcmp(word, "-") ? word : "";
}

static bool has_process(const struct metrics *metrics,
			const struct listener *listener)
{
	return metrics->names == NAMES_ALL ||
	       (metrics->names == NAMES_OWN && listener->in->own);
}

static const char *process_of(const struct metrics *metrics,
			      const struct listener *listener)
{
	const char *comm;

	if (!has_process(metrics, listener))
		return "";
	comm = listener_caller(listener);
	return strcmp(comm, NOT_SEARCHED) ? known(comm) : "";
}

/* Whether it has no lasting name, so that only its first process can name it. */
static bool is_nameless(const struct netns *netns)
{
	return !netns->own && !netns->named;
}

static const char *unit_of(const struct metrics *metrics,
			   const struct listener *listener, const char **what)
{
	return membership_lasting(is_nameless(listener->in) ?
				  listener->in->membership :
				  listener->holder.membership,
				  metrics->names == NAMES_ALL, what);
}

/*
 * By everything that is a label and by nothing else, namespace by namespace in the
 * order of the list.
 */
int by_labels(const void *x, const void *y, void *metrics)
{
	const struct listener *a = *(struct listener *const *)x;
	const struct listener *b = *(struct listener *const *)y;
	const char *what, *other;

	return by_place(x, y, NULL) ?:
	       strcmp(process_of(metrics, a), process_of(metrics, b)) ?:
	       strcmp(unit_of(metrics, a, &what), unit_of(metrics, b, &other));
}

/*
 * Written once, for some sixty samples. An IPv6 address stands without the brackets
 * that separate it from a port.
 */
char *make_labels(const struct metrics *metrics, const struct listener *listener)
{
	const char *local = known(listener->word[LOCAL]);
	const char *colon = strrchr(local, ':') ?: local;
	char address[128], *bracket, *text = NULL;
	struct samples labels = { };
	const char *unit, *what;
	size_t size;

	snprintf(address, sizeof(address), "%.*s", (int)(colon - local), local);
	bracket = strchr(address, ']');
	if (*address == '[' && bracket) {
		memmove(bracket, bracket + 1, strlen(bracket));
		memmove(address, address + 1, strlen(address));
	}
	labels.to = open_memstream(&text, &size);
	if (!labels.to)
		die("not enough memory");
	sample_label(&labels, "netns", netns_label(listener->in));
	if (is_unix(listener)) {
		sample_label(&labels, "path", local);
	} else {
		sample_label(&labels, "proto", known(listener->word[PROTO]));
		sample_label(&labels, "address", address);
		sample_label(&labels, "port", *colon ? colon + 1 : colon);
	}
	sample_label(&labels, "process", process_of(metrics, listener));
	unit = unit_of(metrics, listener, &what);
	sample_label(&labels, what, unit);
	if (fclose(labels.to))
		die("not enough memory");
	return text;
}

/* ---- callers of listen() ---- */

/* A process that called listen(), if it still exists. */
struct caller {
	int pid;
	long long started_ms;
	struct membership *membership;
};

static int by_pid(const void *x, const void *y)
{
	const struct caller *a = x, *b = y;

	return (a->pid > b->pid) - (a->pid < b->pid);
}

static void free_caller(void *caller)
{
	membership_release(((struct caller *)caller)->membership);
	free(caller);
}

/* Look up a process just once: it may have called listen() for thousands. */
static const struct caller *look_up(void **callers, int pid)
{
	struct caller key = { .pid = pid }, *caller, **found;

	found = tfind(&key, callers, by_pid);
	if (found)
		return *found;
	caller = allocate(NULL, 1, sizeof(*caller));
	*caller = (struct caller) {
		.pid = pid,
		.started_ms = proc_started_ms(pid),
		.membership = membership_of(pid),
	};
	if (!tsearch(caller, callers, by_pid))
		die("not enough memory");
	return caller;
}

/*
 * The process that called listen(); NULL if it has ended. A process with that number
 * that began later is another one. @now: when listeners were read.
 */
static const struct caller *caller_of(void **callers,
				      const struct listener *listener,
				      long long now)
{
	const long long *figure = listener->figure;
	const struct caller *caller;

	if (figure[PID] == UNKNOWN || figure[PID] <= 0)
		return NULL;
	caller = look_up(callers, figure[PID]);
	if (caller->started_ms == UNKNOWN ||
	    (now != UNKNOWN && figure[SINCE_MS] != UNKNOWN &&
	     caller->started_ms > now - figure[SINCE_MS] + SLACK_MS))
		return NULL;
	return caller;
}

/*
 * Search for processes where names or units are labels, and the caller of listen()
 * is unknown or has ended.
 */
static void find_processes(const struct metrics *metrics,
			   const struct snapshot *snapshot,
			   struct listener *const listener[], size_t count)
{
	struct listener **named = allocate(NULL, count, sizeof(*named));
	const struct caller **caller = allocate(NULL, count, sizeof(*caller));
	long long now = proc_uptime_ms();
	void *callers = NULL;
	size_t number = 0, i;

	if (now != UNKNOWN)
		now -= now_ms() - snapshot->taken_ms;
	for (i = 0; i < count; i++) {
		bool nameless = is_nameless(listener[i]->in);

		caller[i] = nameless ? NULL :
			    caller_of(&callers, listener[i], now);
		if (has_process(metrics, listener[i]) &&
		    (listener[i]->figure[PID] == UNKNOWN ||
		     (!nameless && !caller[i])))
			named[number++] = listener[i];
	}
	process_find(named, number, false);
	for (i = 0; i < count; i++)
		if (caller[i]) {
			membership_release(listener[i]->holder.membership);
			listener[i]->holder.membership =
				membership_share(caller[i]->membership);
		}
	tdestroy(callers, free_caller);
	free(named);
	free(caller);
}

/* ---- namespaces ---- */

/* A lasting name for @netns; "" if none is known. */
static const char *read_nameless(struct netns *netns, const char **what)
{
	struct stat stat;
	int pid;

	*what = "unit";
	if (!is_nameless(netns) || !netns->path ||
	    sscanf(netns->path, "/proc/%d/", &pid) != 1)
		return "";
	membership_release(netns->membership);
	netns->membership = membership_of(pid);
	/* The process may have ended, and its number may belong to another one. */
	if (netns->membership &&
	    (fstatat(AT_FDCWD, netns->path, &stat, 0) ||
	     stat.st_dev != netns->dev || stat.st_ino != netns->ino)) {
		membership_release(netns->membership);
		netns->membership = NULL;
	}
	if (!*membership_identity(netns->membership))
		return "";
	return membership_lasting(netns->membership, false, what);
}

static struct netns *netns_at(const struct snapshot *snapshot, size_t index)
{
	const struct netns_list *list = &snapshot->list;

	return index < list->count ? &list->netns[index] :
	       &snapshot->unread[index - list->count].netns;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(x, y);
}

/* Whether @name is new; it is kept. */
static bool is_new(void **names, const char *name)
{
	const char **found = tsearch(name, names, by_text);

	if (!found)
		die("not enough memory");
	return *found == name;
}

static void keep(void *name)
{
	(void)name;
}

/*
 * A namespace gets the name of a unit or container only if -N finds it by that name;
 * else it keeps a process's number: one that a service has unshared must not be
 * taken for the service's own.
 */
static void name_namespaces(const struct snapshot *snapshot)
{
	size_t count = snapshot->list.count + snapshot->unreads, i;
	struct members members = { };
	const struct member *member;
	const char *name, *what;
	struct netns *netns;
	bool is_read = false;
	char text[sizeof(netns->membership->unit)], path[PATH_MAX];
	void *names = NULL;

	for (i = 0; i < count; i++)
		if (netns_at(snapshot, i)->named)
			is_new(&names, netns_at(snapshot, i)->name);
	for (i = 0; i < count; i++) {
		netns = netns_at(snapshot, i);
		name = read_nameless(netns, &what);
		if (!*name)
			continue;
		if (!is_read)
			members_read(&members, NULL);
		is_read = true;
		member = members_find(&members, name);
		snprintf(text, sizeof(text), "%.*s",
			 strcmp(what, "container") ? (int)sizeof(text) - 1 : SHORT_ID,
			 name);
		/* -N looks there first. */
		snprintf(path, sizeof(path), NETNS_NAMES "/%s", text);
		if (!member || member->dev != netns->dev ||
		    member->ino != netns->ino || !access(path, F_OK))
			continue;
		netns->label = strdup(text);
		if (!netns->label)
			die("not enough memory");
		if (!is_new(&names, netns->label)) {
			free(netns->label);
			netns->label = NULL;
		}
	}
	tdestroy(names, keep);
	members_free(&members);
}

/**
 * find_names() - find out what by_labels() and make_labels() need
 * @metrics: the options
 * @snapshot: the snapshot the listeners are from, whose namespaces get labels
 * @listener: the listeners
 * @count: how many
 */
void find_names(const struct metrics *metrics, const struct snapshot *snapshot,
		struct listener *const listener[], size_t count)
{
	name_namespaces(snapshot);
	find_processes(metrics, snapshot, listener, count);
}
