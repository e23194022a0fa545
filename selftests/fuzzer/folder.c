// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of an input, where the tool finds them: a folder for each namespace
 * that looks like /proc, in one that ends with the fuzzer.
 */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzzer.h"

/* A process that has sockets open. */
#define PROCESS		"7"
#define THREAD		PROCESS "/task/" PROCESS

static const char * const directories[] = {
	"net", "net/listenq", "sys", "sys/net", "sys/net/core", "sys/net/ipv4",
	PROCESS, PROCESS "/fd", PROCESS "/task", THREAD,
};

static const char * const files[] = {
	"net/listenq/sockets", "net/listenq/waits", "net/listenq/handshakes",
	"net/listenq/totals", "net/listenq/refused", "net/listenq/hooks",
	"net/listenq/clamp", "net/tcp", "net/tcp6", "uptime",
	"sys/net/core/somaxconn", "sys/net/ipv4/tcp_max_syn_backlog",
	"sys/net/ipv4/tcp_syncookies", PROCESS "/comm", PROCESS "/limits",
	PROCESS "/status", PROCESS "/cgroup", THREAD "/stat", THREAD "/wchan",
	THREAD "/children",
};

static char root[PATH_MAX / 2];
static char path[MAX_NETNS][PATH_MAX];
static int folder[MAX_NETNS];

/* Where the file of that name is, below the folder; NULL where there is none. */
const char *folder_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!strcmp(strrchr(files[i], '/') ?
			    strrchr(files[i], '/') + 1 : files[i], name))
			return files[i];
	return NULL;
}

/* What can be read as the /proc of a namespace. */
const char *folder_path(size_t netns)
{
	return path[netns];
}

/* For -o. */
const char *folder_output(void)
{
	static char output[PATH_MAX];

	snprintf(output, sizeof(output), "%s/output", root);
	return output;
}

static void remove_folder(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (system(command))
		warnx("%s", command);
}

static int make_below(const char *below, const char *name)
{
	char at[2 * PATH_MAX];
	int fd;

	snprintf(at, sizeof(at), "%s/%s", below, name);
	fd = mkdir(at, 0755) ? -1 : open(at, O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", at);
	return fd;
}

/* Once, before anything else. */
void folder_make(void)
{
	static const char * const held[] = {
		"socket:[901]", "socket:[902]", "socket:[]", "pipe:[903]",
	};
	const char *below = getenv("TMPDIR");
	char name[32];

	snprintf(root, sizeof(root), "%s/listenq-fuzzer.XXXXXX",
		 below ? below : "/tmp");
	if (!mkdtemp(root))
		err(1, "%s", root);
	atexit(remove_folder);
	for (int i = 0; i < MAX_NETNS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(path[i], sizeof(path[i]), "%s/%d", root, i);
		folder[i] = make_below(root, name);
		for (size_t j = 0; j < ARRAY_SIZE(directories); j++)
			close(make_below(path[i], directories[j]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		snprintf(name, sizeof(name), PROCESS "/fd/%zu", i);
		if (symlinkat(held[i], folder[0], name))
			err(1, "%s", name);
	}
}

static void write_section(const struct section *section)
{
	int fd = openat(folder[section->netns], section->name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, section->text, section->length) !=
	    (ssize_t)section->length)
		err(1, "%s", section->name);
	close(fd);
}

/**
 * folder_write() - bring the files up to date
 * @input: what they have
 * @step: which of its changes; at 0 nothing is left of an input before
 */
void folder_write(const struct input *input, size_t step)
{
	static struct section written[MAX_SECTIONS];
	static size_t count;

	if (!step) {
		while (count) {
			const struct section *old = &written[--count];

			unlinkat(folder[old->netns], old->name, 0);
		}
		unlink(folder_output());
	}
	for (size_t i = 0; i < input->sections; i++) {
		if (input->section[i].step != step)
			continue;
		write_section(&input->section[i]);
		if (count < MAX_SECTIONS)
			written[count++] = input->section[i];
	}
}
