// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq clamp --save and --restore: write the rules of a namespace to a file, and
 * from there to a module that was loaded again. The file is where ip-netns(8) keeps
 * configuration: in /etc for the host's own namespace, below /etc/netns for one with
 * a name. A namespace without a name has nothing that is the same after a restart.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "procdir.h"
#include "rules.h"
#include "samples.h"

#define NETNS_DIR	"/etc/netns"

/* How long a module may take to load, on slow processors. */
#define LOAD_MS		30000
/* ip-netns(8) makes a name's file first, and mounts the namespace there later. */
#define NAME_MS		1000
/* For how long names that come meanwhile are looked for. */
#define ALL_MS		20000
#define STEP_SECONDS	0.05

static void file_of(char path[PATH_MAX], const char *name)
{
	if (*name)
		snprintf(path, PATH_MAX, NETNS_DIR "/%s/listenq/clamp", name);
	else
		strcpy(path, "/etc/listenq/clamp");
}

/* ---- save ---- */

/* Whether it is the host's own namespace, which process 1 is in. */
static const char *is_first(const struct netns *netns, bool *is)
{
	struct netns_list first;
	const char *why = netns_open("/proc/1/ns/net", &first);

	*is = !why && first.netns[0].ino == netns->ino &&
	      first.netns[0].dev == netns->dev;
	netns_close(&first);
	return why;
}

/*
 * The namespace's name in /run/netns; if there are several, the one asked for. ""
 * for the host's own, which has no name at boot.
 */
static const char *name_of(const struct netns *netns, const char *asked,
			   char name[NAME_MAX + 1])
{
	char path[PATH_MAX];
	const char *why;
	struct stat stat;
	bool first;

	*name = '\0';
	why = is_first(netns, &first);
	if (why || first)
		return why;
	snprintf(path, sizeof(path), NETNS_NAMES "/%s", asked ?: "");
	if (asked && !strchr(asked, '/') && !fstatat(AT_FDCWD, path, &stat, 0) &&
	    stat.st_ino == netns->ino && stat.st_dev == netns->dev)
		snprintf(name, NAME_MAX + 1, "%s", asked);
	else if (netns->named && !strchr(netns->name, '\\'))
		/* An escaped name is no longer a directory's name. */
		snprintf(name, NAME_MAX + 1, "%s", netns->name);
	if (!*name || *name == '.')
		return trouble("clamp: the namespace has no name: ip netns attach NAME PID");
	return NULL;
}

/* Make those directories above @path that don't exist. */
static const char *make_folders(const char *path)
{
	char folder[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path),
			 path);
		if (mkdir(folder, 0755) && errno != EEXIST)
			return trouble("%s: %s", folder, strerror(errno));
	}
	return NULL;
}

/* The module's rules, without comments. */
static char *without_comments(const char *text, size_t *rules)
{
	char *kept = allocate(NULL, strlen(text) + 1, 1), *to = kept;
	size_t length;

	for (*rules = 0; *text; text += length) {
		length = strcspn(text, "\n");
		length += text[length] == '\n';
		if (*text == '#')
			continue;
		to = mempcpy(to, text, length);
		++*rules;
	}
	*to = '\0';
	return kept;
}

/**
 * saved_write() - write the rules of a namespace to its file
 * @scope: the namespace
 *
 * The file is written as a whole or not at all: after a failure it is unchanged.
 *
 * Return: NULL or a reason.
 */
const char *saved_write(const struct scope *scope)
{
	char name[NAME_MAX + 1], path[PATH_MAX], *text = NULL, *kept;
	struct output_file file;
	struct netns_list list;
	const char *why;
	size_t rules;

	why = netns_open(scope->netns ?: "/proc/self/ns/net", &list);
	if (!why)
		why = name_of(&list.netns[0], scope->netns, name);
	if (!why)
		why = netns_enter(&list.netns[0]);
	if (!why)
		why = clamp_read(&text);
	if (!why)
		why = netns_leave();
	netns_close(&list);
	if (why)
		goto out;
	kept = without_comments(text, &rules);
	file_of(path, name);
	why = make_folders(path);
	if (!why)
		why = file_open(&file, path);
	if (!why)
		why = file_write(&file, kept, strlen(kept), 0644);
	if (!why)
		printf("%s: %zu rule%s\n", path, rules, rules == 1 ? "" : "s");
	free(kept);
out:
	free(text);
	return why;
}

/* ---- restore ---- */

static bool is_being_loaded(void)
{
	FILE *file = fopen("/sys/module/listenq/initstate", "r");
	char state[16] = "";

	if (file && !fgets(state, sizeof(state), file))
		*state = '\0';
	if (file)
		fclose(file);
	return !strncmp(state, "coming", strlen("coming"));
}

/*
 * Wait until the module has made its files in all namespaces, which takes one after
 * the other. NULL or a reason.
 */
static const char *wait_for_module(void)
{
	long long until_ms = now_ms() + LOAD_MS;

	while (is_being_loaded()) {
		if (now_ms() > until_ms)
			return trouble("the module is not ready after %d s",
				       LOAD_MS / 1000);
		pause_for(STEP_SECONDS);
	}
	return access(procfile_path("clamp"), F_OK) ?
	       procfile_trouble(procfile_path("clamp"), ENOENT) : NULL;
}

/* Whether there are no rules but the one made by the module's parameter. */
static bool is_as_loaded(const char *rules)
{
	char made[64] = "";
	long long somaxconn = 0;
	char text[32] = "";
	FILE *file = fopen("/sys/module/listenq/parameters/somaxconn", "r");

	if (file && fgets(text, sizeof(text), file))
		text[strcspn(text, "\n")] = '\0';
	if (file)
		fclose(file);
	if (parse_number(text, 1, INT_MAX, &somaxconn))
		snprintf(made, sizeof(made), "* somaxconn %lld\n", somaxconn);
	return !*rules || !strcmp(rules, made);
}

/* Write rules to the namespace that was entered. @what: its name for people. */
static const char *put_rules(const char *path, const char *what)
{
	char *text = NULL, *rules = NULL, *saved = NULL, *kept = NULL, *all = NULL;
	size_t count, length;
	const char *why;

	why = clamp_read(&text);
	if (!why)
		why = clamp_read_file(path, &saved, &length);
	if (why)
		goto out;
	rules = without_comments(text, &count);
	if (!is_as_loaded(rules)) {
		printf("%s: has %zu rule%s, left as %s\n", what, count,
		       count == 1 ? "" : "s", count == 1 ? "it is" : "they are");
		goto out;
	}
	saved[length] = '\0';
	if (strlen(saved) != length) {
		why = trouble("%s: has a NUL in it", path);
		goto out;
	}
	kept = without_comments(saved, &count);
	/* Flush the rule of the parameter, which is among the saved rules. */
	if (asprintf(&all, "%s%s", *rules ? "flush\n" : "", saved) < 0)
		die("not enough memory");
	if (*rules || count)
		why = clamp_write(all, strlen(all));
	if (!why)
		printf("%s: %zu rule%s\n", what, count, count == 1 ? "" : "s");
out:
	free(text);
	free(rules);
	free(saved);
	free(kept);
	free(all);
	return why;
}

static const char *restore(const char *netns, const char *path, const char *what)
{
	struct netns_list list;
	const char *why;

	why = netns_open(netns, &list);
	if (!why)
		why = netns_enter(&list.netns[0]);
	if (!why) {
		why = put_rules(path, what);
		if (why)
			netns_leave();
		else
			why = netns_leave();
	}
	netns_close(&list);
	return why;
}

/* The name may exist before the namespace does, or be left over. */
static const char *restore_named(const char *name, const char *path)
{
	long long until_ms = now_ms() + NAME_MS;
	char netns[PATH_MAX];
	int fd;

	snprintf(netns, sizeof(netns), NETNS_NAMES "/%s", name);
	if (access(netns, F_OK))
		return NULL;
	while ((fd = open_namespace(netns)) < 0 && errno == EINVAL &&
	       now_ms() < until_ms)
		pause_for(STEP_SECONDS);
	if (fd < 0 && errno != EINVAL)
		return errno == ENOENT ? NULL : trouble("%s: %s", netns, strerror(errno));
	if (fd < 0) {
		tell("%s: not a network namespace", netns);
		return NULL;
	}
	close(fd);
	return restore(netns, path, name);
}

static bool tell_failure(const char *what, const char *why)
{
	if (why)
		tell("%s: %s", what, why);
	return why;
}

/* When a name was last added or removed. */
static struct timespec names_changed(void)
{
	struct stat stat = { };

	fstatat(AT_FDCWD, NETNS_NAMES, &stat, 0);
	return stat.st_mtim;
}

/* Restore all namespaces that have a name; true if one failed. */
static bool restore_all_named(void)
{
	char path[PATH_MAX];
	struct dirent **entry;
	bool failed = false;
	int count;

	count = scandir(NETNS_DIR, &entry, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		file_of(path, entry[i]->d_name);
		if (*entry[i]->d_name != '.' && !access(path, F_OK) &&
		    tell_failure(path, restore_named(entry[i]->d_name, path)))
			failed = true;
		free(entry[i]);
	}
	if (count >= 0)
		free(entry);
	return failed;
}

/**
 * saved_restore() - put the saved rules of all existing namespaces in force
 *
 * A namespace that has rules keeps them, since they were written after the module
 * was loaded. If one fails, the others are still restored.
 *
 * Return: NULL or a reason.
 */
const char *saved_restore(void)
{
	const char *why = wait_for_module();
	long long until_ms = now_ms() + ALL_MS;
	struct timespec before, after;
	char path[PATH_MAX];
	bool failed = false;

	if (why)
		return why;
	file_of(path, "");
	if (!access(path, F_OK))
		failed = tell_failure(path, restore("/proc/1/ns/net", path,
						    "the host"));
	/* Names that are added while this runs don't start listenq-clamp.path again. */
	after = names_changed();
	do {
		before = after;
		failed |= restore_all_named();
		after = names_changed();
	} while ((before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec) &&
		 now_ms() < until_ms);
	return failed ? trouble("clamp: not all saved rules are in force") : NULL;
}
