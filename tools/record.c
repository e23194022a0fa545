// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq record: copy everything that this program reads, for --proc: the module's
 * files, the namespace's settings, and the state of the processes that can accept.
 * The copy is a new directory of the caller's, in which no other user can put a
 * link; links in /proc are copied as text and never followed.
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
#include "samples.h"

/*
 * What exceeds these is left out: a larger file; and further processes, threads and
 * descriptors. The last two limits are for the whole copy.
 */
#define SIZE_MAX_COPIED	(64 << 20)
#define PROCESSES_MAX	1024
#define THREADS_MAX	4096
#define DESCRIPTORS_MAX	65536
#define BYTES_MAX	(256 << 20)
#define ENTRIES_MAX	262144

/* Room for a name: all are names in /proc with numbers. */
#define NAME_SIZE	128

/**
 * struct record - a copy under way
 * @path: its path, as given
 * @dir: the directory, which only the caller can write to
 * @listeners: how many listeners it has
 * @processes: how many processes it has
 * @bytes: the size of all its files
 * @entries: how many files and links it has
 * @left_out: how many files and processes could not be copied
 */
struct record {
	const char *path;
	int dir;
	size_t listeners;
	size_t processes;
	size_t bytes;
	size_t entries;
	size_t left_out;
};

/* ---- files ---- */

static const char * const files_of_namespace[] = {
	"uptime", "version", "net/tcp", "net/tcp6",
	"sys/fs/nr_open", "sys/kernel/hostname", "sys/net/core/somaxconn",
	"sys/net/ipv4/tcp_abort_on_overflow", "sys/net/ipv4/tcp_fastopen",
	"sys/net/ipv4/tcp_max_syn_backlog", "sys/net/ipv4/tcp_migrate_req",
	"sys/net/ipv4/tcp_synack_retries", "sys/net/ipv4/tcp_syncookies",
};

static const char * const files_of_module[] = {
	"sockets", "waits", "handshakes", "totals", "refused", "drops", "unix",
	"hooks", "clamp",
};

static const char * const files_of_process[] = {
	"comm", "stat", "status", "limits", "cgroup",
};

static const char * const files_of_thread[] = { "stat", "wchan", "children" };

static void die_of_disk(const struct record *record, const char *name)
{
	die("%s/%s: %m", record->path, name);
}

/* Make the directories above @name, and @name itself if it ends with a slash. */
static void make_directories(const struct record *record, const char *name)
{
	char path[NAME_SIZE];

	for (const char *at = name; (at = strchr(at, '/')); at++) {
		snprintf(path, sizeof(path), "%.*s", (int)(at - name), name);
		if (mkdirat(record->dir, path, 0700) && errno != EEXIST)
			die_of_disk(record, path);
	}
}

/* Whether the copy may still grow: it must not fill the disk. */
static bool has_room(const struct record *record)
{
	return record->bytes < BYTES_MAX && record->entries < ENTRIES_MAX;
}

/*
 * False if the name exists: a thread has ended, and another one got its number and
 * was met in the same directory.
 */
static bool write_all(struct record *record, const char *name, const char *text,
		      size_t length)
{
	ssize_t written;
	int fd;

	make_directories(record, name);
	fd = openat(record->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
		    O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return false;
	if (fd < 0)
		die_of_disk(record, name);
	record->entries++;
	record->bytes += length;
	for (; length; text += written, length -= written) {
		written = write(fd, text, length);
		if (written < 0)
			die_of_disk(record, name);
	}
	if (close(fd))
		die_of_disk(record, name);
	return true;
}

/* Leave out and count a file that can't be read; one that doesn't exist isn't counted. */
static void copy(struct record *record, const char *name)
{
	size_t max = has_room(record) ? BYTES_MAX - record->bytes : 0, length;
	char *text;

	if (max > SIZE_MAX_COPIED)
		max = SIZE_MAX_COPIED;
	text = proc_bytes(name, max + 1, &length);
	if (!text)
		record->left_out += errno != ENOENT && errno != ESRCH;
	else if (length > max || !has_room(record) ||
		 !write_all(record, name, text, length))
		record->left_out++;
	free(text);
}

static void copy_all(struct record *record, const char *below,
		     const char * const names[], size_t count)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%s", below, names[i]);
		copy(record, name);
	}
}

/* Make a link; the process may have chosen a path too long for the disk. */
static void write_link(struct record *record, const char *name,
		       const char *target)
{
	if (!has_room(record))
		record->left_out++;
	else if (!symlinkat(target, record->dir, name))
		record->entries++;
	else if (errno == EEXIST || errno == ENAMETOOLONG)
		record->left_out++;
	else
		die_of_disk(record, name);
}

/* Copy the link @name with its target as text. */
static void copy_link(struct record *record, const char *name)
{
	char target[PATH_MAX];

	if (proc_link(target, "%s", name))
		write_link(record, name, target);
}

/* ---- processes ---- */

/*
 * Visit the entries of a directory that are numbers, at most @most. False if the
 * directory can't be opened.
 */
static bool each_number(struct record *record, const char *below, size_t most,
			void (*copy_one)(struct record *record,
					 const char *name))
{
	char path[PATH_MAX], name[NAME_SIZE];
	struct dirent *entry;
	long long number;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", proc_dir, below);
	dir = opendir(path);
	if (!dir)
		return false;
	make_directories(record, below);
	while ((entry = readdir(dir))) {
		if (!parse_number(entry->d_name, 0, INT_MAX, &number))
			continue;
		if (!most-- || !has_room(record)) {
			record->left_out++;
			break;
		}
		snprintf(name, sizeof(name), "%s%lld", below, number);
		copy_one(record, name);
	}
	closedir(dir);
	return true;
}

/* Only sockets are recorded as such: which other files a process has open is private. */
static void copy_descriptor(struct record *record, const char *name)
{
	char target[PATH_MAX];

	if (!proc_link(target, "%s", name))
		return;
	if (strncmp(target, "socket:[", strlen("socket:[")))
		strcpy(target, "other:");
	write_link(record, name, target);
}

static void copy_thread(struct record *record, const char *name)
{
	char below[NAME_SIZE + 1];

	snprintf(below, sizeof(below), "%s/", name);
	copy_all(record, below, files_of_thread, ARRAY_SIZE(files_of_thread));
}

static void copy_process(struct record *record, int pid)
{
	char name[64];
	struct stat stat;

	snprintf(name, sizeof(name), "%d", pid);
	/* It was copied for another listener. */
	if (!fstatat(record->dir, name, &stat, AT_SYMLINK_NOFOLLOW))
		return;
	snprintf(name, sizeof(name), "%d/", pid);
	if (record->processes == PROCESSES_MAX || !has_room(record)) {
		record->left_out++;
		return;
	}
	make_directories(record, name);
	record->processes++;
	copy_all(record, name, files_of_process, ARRAY_SIZE(files_of_process));
	snprintf(name, sizeof(name), "%d/exe", pid);
	copy_link(record, name);
	snprintf(name, sizeof(name), "%d/task/", pid);
	each_number(record, name, THREADS_MAX, copy_thread);
	snprintf(name, sizeof(name), "%d/fd/", pid);
	if (!each_number(record, name, DESCRIPTORS_MAX, copy_descriptor))
		record->left_out++;
}

static void copy_processes(struct record *record,
			   const struct snapshot *snapshot)
{
	struct listener **all = allocate(NULL, snapshot->count, sizeof(*all));
	bool searched = false;
	size_t i;

	for (i = 0; i < snapshot->count; i++)
		all[i] = &snapshot->listener[i];
	process_find(all, snapshot->count, true);
	for (i = 0; i < snapshot->count; i++) {
		const struct listener *listener = all[i];
		const struct holder *holder = &listener->holder;

		searched |= holder->searched;
		if (holder->pid)
			copy_process(record, holder->pid);
		for (unsigned int j = 0; j < holder->others; j++)
			copy_process(record, holder->other[j].pid);
		if (listener->figure[PID] != UNKNOWN)
			copy_process(record, listener->figure[PID]);
	}
	/* Tells the reader of the copy that every process was searched: see process.c. */
	if (searched)
		make_directories(record, "1/fd/");
	free(all);
}

/* ---- the command ---- */

static void make_record(struct record *record)
{
	struct output_file file;
	const char *why;
	char *path = strdup(record->path);

	if (!path)
		die("not enough memory");
	for (size_t length = strlen(path); length > 1 && path[length - 1] == '/';)
		path[--length] = '\0';
	why = file_find(&file, path);
	if (why)
		die("%s", why);
	if (mkdirat(file.dir, file.name, 0700))
		die("%s: %m", path);
	record->dir = openat(file.dir, file.name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (record->dir < 0)
		die("%s: %m", path);
	close(file.dir);
	free(path);
}

/* Copy the files of the namespace asked for. */
static void copy_files(struct record *record, const struct scope *scope)
{
	struct netns_list list;
	const char *why;

	why = netns_open(scope->netns, &list) ?: netns_enter(&list.netns[0]);
	if (!why)
		copy_all(record, "net/listenq/", files_of_module,
			 ARRAY_SIZE(files_of_module));
	if (!why)
		copy_all(record, "", files_of_namespace,
			 ARRAY_SIZE(files_of_namespace));
	why = why ?: netns_leave();
	netns_close(&list);
	if (why)
		die("%s", why);
}

/*
 * Copy the files at one moment, then the processes that hold the sockets in them.
 * Processes that were found for the first moment are kept, since the next search has
 * to wait for a while.
 */
static void copy_moment(struct record *record, const struct scope *scope,
			struct snapshot *snapshot, struct snapshot *before)
{
	const char *from = proc_dir, *why;

	copy_files(record, scope);
	proc_dir = record->path;
	why = snapshot_take(&(struct scope) { }, snapshot);
	proc_dir = from;
	if (why)
		die("%s", why);
	/* Processes that were found in another directory say nothing about this one. */
	if (proc_is_live())
		snapshot_rates(snapshot, before);
	copy_processes(record, snapshot);
	record->listeners = snapshot->count;
	close(record->dir);
}

/* Copy the first look that explain compares with; of saved files, if they have one. */
static void copy_before(const struct record *record, const struct scope *scope,
			struct snapshot *snapshot)
{
	char path[PATH_MAX], source[PATH_MAX];
	struct record before = { .path = path };
	const char *from = proc_dir;
	bool live = proc_is_live();

	if (!live && !proc_before(source))
		return;
	snprintf(path, sizeof(path), "%s/" BEFORE, record->path);
	make_record(&before);
	if (!live)
		proc_dir = source;
	copy_moment(&before, scope, snapshot, &(struct snapshot) { });
	proc_dir = from;
	if (live)
		pause_for(1);
}

/**
 * record_main() - copy two moments, a second apart
 * @path: a directory that must not exist yet
 * @scope: the namespace
 */
void record_main(const char *path, const struct scope *scope)
{
	struct record record = { .path = path };
	struct snapshot snapshot, before = { };
	char quoted[PATH_MAX];
	const char *why;

	/* Make nothing if there is nothing to read. */
	why = snapshot_take(&(struct scope) { .netns = scope->netns }, &snapshot);
	if (why)
		die("%s", why);
	snapshot_free(&snapshot);
	make_record(&record);
	copy_before(&record, scope, &before);
	copy_moment(&record, scope, &snapshot, &before);
	snapshot_free(&snapshot);
	snapshot_free(&before);
	printf("%s: %zu listener%s, %zu process%s",
	       quote_line(quoted, sizeof(quoted), path), record.listeners,
	       record.listeners == 1 ? "" : "s", record.processes,
	       record.processes == 1 ? "" : "es");
	if (record.left_out)
		printf(", %zu left out", record.left_out);
	putchar('\n');
}
