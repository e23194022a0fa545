// SPDX-License-Identifier: GPL-2.0-only
/*
 * The labels of metrics, which have to be the same after a restart: a set of labels is
 * some fifty series, and each new one stays in Prometheus for as long as the rest.
 *
 * A namespace without a name is called after what its first process belongs to, not
 * by that process' number; a listener has the unit of the process that called listen(),
 * which does not change while it listens, and in a container the container's.
 */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "metrics.h"
#include "procdir.h"

/* Two clocks of /proc, read one after the other. */
#define SLACK_MS	2000

/* "-" is what the kernel writes where it has nothing to say. */
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

/* Whether it is called after a process, so that only its first process names it. */
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
 * By all that is a label, namespace by namespace in the order of these, and by
 * nothing else.
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
 * Written once for some sixty samples. An IPv6 address stands without the
 * brackets that its port needs.
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

/* ---- who called listen() ---- */

/* A process that called listen(), as far as it is still there. */
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

/* One process may have called for thousands. */
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
 * What the caller of listen() belongs to; NULL where it has gone. A process that has
 * its number now, and has begun since, is another one.
 */
static struct membership *membership_of_caller(void **callers,
					       const struct listener *listener,
					       long long now)
{
	const long long *figure = listener->figure;
	const struct caller *caller;

	if (figure[PID] == UNKNOWN || figure[PID] <= 0 || now == UNKNOWN)
		return NULL;
	caller = look_up(callers, figure[PID]);
	if (caller->started_ms == UNKNOWN ||
	    (figure[SINCE_MS] != UNKNOWN &&
	     caller->started_ms > now - figure[SINCE_MS] + SLACK_MS))
		return NULL;
	return caller->membership;
}

/*
 * Searches for processes where their names or units are labels, and callers unknown or
 * gone.
 */
static void find_processes(const struct metrics *metrics,
			   struct listener *const listener[], size_t count)
{
	struct listener **named = allocate(NULL, count, sizeof(*named));
	struct membership **of = allocate(NULL, count, sizeof(*of));
	long long now = proc_uptime_ms();
	void *callers = NULL;
	size_t number = 0, i;

	for (i = 0; i < count; i++) {
		of[i] = is_nameless(listener[i]->in) ? NULL :
			membership_of_caller(&callers, listener[i], now);
		if (has_process(metrics, listener[i]) &&
		    (listener[i]->figure[PID] == UNKNOWN ||
		     (!of[i] && !is_nameless(listener[i]->in) &&
		      !proc_has(listener[i]->figure[PID]))))
			named[number++] = listener[i];
	}
	process_find(named, number, false);
	for (i = 0; i < count; i++)
		if (of[i]) {
			membership_release(listener[i]->holder.membership);
			listener[i]->holder.membership = membership_share(of[i]);
		}
	tdestroy(callers, free_caller);
	free(named);
	free(of);
}

/* ---- namespaces ---- */

/* A namespace that has no name, and one that it could have. */
struct nameless {
	struct netns *netns;
	char name[TEXT_SIZE];
	long long started_ms;
};

/* Of one name, those that have begun first. */
static int by_name(const void *x, const void *y)
{
	const struct nameless *a = x, *b = y;

	return strcmp(a->name, b->name) ?:
	       (a->started_ms > b->started_ms) - (a->started_ms < b->started_ms) ?:
	       (a->netns->ino > b->netns->ino) - (a->netns->ino < b->netns->ino);
}

/* What it could be called; false where nothing that lasts is known. */
static bool read_nameless(struct nameless *nameless, struct netns *netns,
			  bool trusted)
{
	const char *name, *what;
	int pid;

	if (!is_nameless(netns) || !netns->path ||
	    sscanf(netns->path, "/proc/%d/", &pid) != 1)
		return false;
	membership_release(netns->membership);
	netns->membership = membership_of(pid);
	name = membership_lasting(netns->membership, trusted, &what);
	if (!*name || (*netns->membership->user && !trusted))
		return false;
	*nameless = (struct nameless) {
		.netns = netns,
		.started_ms = proc_started_ms(pid),
	};
	snprintf(nameless->name, sizeof(nameless->name), "%.*s",
		 strcmp(what, "container") ? TEXT_SIZE - 1 : SHORT_ID, name);
	return true;
}

static bool is_taken(const struct netns_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->netns[i].named && !strcmp(list->netns[i].name, name))
			return true;
	return false;
}

/*
 * A unit or a container may have several namespaces, as that of a browser's sandbox:
 * the one of its oldest process has its name, the others keep the number.
 */
static void name_namespaces(const struct snapshot *snapshot, bool trusted)
{
	const struct netns_list *list = &snapshot->list;
	size_t most = list->count + snapshot->unreads, count = 0, i;
	struct nameless *nameless = allocate(NULL, most, sizeof(*nameless));

	for (i = 0; i < most; i++)
		count += read_nameless(&nameless[count], i < list->count ?
				       &list->netns[i] :
				       &snapshot->unread[i - list->count].netns,
				       trusted);
	qsort(nameless, count, sizeof(*nameless), by_name);
	for (i = 0; i < count; i++) {
		if ((i && !strcmp(nameless[i].name, nameless[i - 1].name)) ||
		    is_taken(list, nameless[i].name))
			continue;
		nameless[i].netns->label = strdup(nameless[i].name);
		if (!nameless[i].netns->label)
			die("not enough memory");
	}
	free(nameless);
}

/**
 * find_names() - find out what by_labels() and make_labels() want to know
 * @metrics: how metrics are wanted
 * @snapshot: where the listeners are from, whose namespaces get labels
 * @listener: the listeners
 * @count: how many
 */
void find_names(const struct metrics *metrics, const struct snapshot *snapshot,
		struct listener *const listener[], size_t count)
{
	name_namespaces(snapshot, metrics->names == NAMES_ALL);
	find_processes(metrics, listener, count);
}
