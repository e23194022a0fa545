// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read small files below the proc directory. --proc may have replaced it by a
 * directory of saved files, so their content is not trusted.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "procdir.h"

/**
 * proc_bytes() - read a file below the proc directory
 * @name: the file's name there
 * @max: read at most so many bytes
 * @length: how many were read
 *
 * Return: the content and a NUL, for the caller to free; NULL and an errno if it
 * can't be read.
 */
char *proc_bytes(const char *name, size_t max, size_t *length)
{
	size_t size = max < 4096 ? max + 1 : 4096;
	char path[PATH_MAX], *text;
	ssize_t got = 0;
	int fd, error;

	*length = 0;
	snprintf(path, sizeof(path), "%s/%s", proc_dir, name);
	/* Don't wait for a writer if it is a pipe. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	text = allocate(NULL, size, 1);
	while (*length < max &&
	       (got = read(fd, text + *length, size - *length - 1)) > 0) {
		*length += got;
		if (size - *length == 1 && *length < max) {
			size = 2 * size < max + 1 ? 2 * size : max + 1;
			text = allocate(text, size, 1);
		}
	}
	error = errno;
	close(fd);
	text[*length] = '\0';
	if (got >= 0)
		return text;
	free(text);
	errno = error;
	return NULL;
}

/**
 * proc_text() - read a file below the proc directory
 * @max: read at most so many bytes
 * @format: the file's name there
 *
 * Return: the text, for the caller to free; NULL if it can't be read.
 */
char *proc_text(size_t max, const char *format, ...)
{
	char name[PATH_MAX];
	va_list args;
	size_t length;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	return proc_bytes(name, max, &length);
}

/* Whether there is a process with that number. */
bool proc_has(int pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", proc_dir, pid);
	return !access(path, F_OK);
}

/* A process's name, escaped as in the kernel's files; "?" if unknown. */
void proc_comm(int pid, char *comm, size_t size)
{
	char *text = proc_text(64, "%d/comm", pid);
	size_t length = text ? strlen(text) : 0;

	/* The last line break is the file's; others are part of the name. */
	if (length && text[length - 1] == '\n')
		text[--length] = '\0';
	escape(comm, size, length ? text : "?");
	free(text);
}

/* The target of a link below the proc directory; false if it can't be read. */
bool proc_link(char target[PATH_MAX], const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	ssize_t length = snprintf(path, sizeof(path), "%s/", proc_dir);

	if (length >= PATH_MAX)
		return false;
	va_start(args, format);
	vsnprintf(path + length, sizeof(path) - length, format, args);
	va_end(args);
	length = readlink(path, target, PATH_MAX - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	return true;
}

/* The only number in a file, such as a sysctl; UNKNOWN. */
long long proc_number(const char *name)
{
	char *text = proc_text(64, "%s", name);
	long long number = UNKNOWN;

	if (!text)
		return UNKNOWN;
	text[strcspn(text, "\n")] = '\0';
	if (!parse_number(text, 0, INT_MAX, &number))
		number = UNKNOWN;
	free(text);
	return number;
}

/* The host's uptime when the file was read; UNKNOWN. */
long long proc_uptime_ms(void)
{
	char *text = proc_text(64, "uptime"), *end;
	double uptime = text ? strtod(text, &end) : -1;

	free(text);
	return uptime >= 0 && uptime < 1e12 ? uptime * 1000 : UNKNOWN;
}

/*
 * Split the line of a process' or thread's stat, or NULL, into @value, whose texts are
 * in @text; "" is what is missing. The name before them may hold any byte, so look for
 * its end from the right.
 */
void split_stat(char *text, const char *value[STAT_VALUES])
{
	char *rest, *at = text ? strrchr(text, ')') : NULL;

	at = at ? strtok_r(at + 1, "\n ", &rest) : NULL;
	for (int i = 0; i < STAT_VALUES; i++) {
		value[i] = at ?: "";
		at = at ? strtok_r(NULL, "\n ", &rest) : NULL;
	}
}

/* When a process began, on the clock of proc_uptime_ms(); UNKNOWN. */
long long proc_started_ms(int pid)
{
	char *text = proc_text(1024, "%d/stat", pid);
	const char *value[STAT_VALUES];
	long long ticks, ms = UNKNOWN;

	split_stat(text, value);
	if (parse_number(value[STAT_STARTTIME], 0, LLONG_MAX / 1000, &ticks))
		ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
	free(text);
	return ms;
}

/* Whether files change; saved ones don't, and are read once. */
bool proc_is_live(void)
{
	struct statfs fs;

	return !statfs(proc_dir, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/* How long ago a saved file was written, if copies kept its time; else 0. */
long long proc_age_ms(const char *name)
{
	char path[PATH_MAX];
	struct timespec now;
	struct stat file;

	snprintf(path, sizeof(path), "%s/%s", proc_dir, name);
	if (proc_is_live() || stat(path, &file))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	if (file.st_mtim.tv_sec < 0 || file.st_mtim.tv_sec >= now.tv_sec)
		return 0;
	return (now.tv_sec - file.st_mtim.tv_sec) * 1000LL +
	       (now.tv_nsec - file.st_mtim.tv_nsec) / 1000000;
}

/* The directory of an earlier moment in saved files; false if there is none. */
bool proc_before(char dir[PATH_MAX])
{
	snprintf(dir, PATH_MAX, "%s/" BEFORE, proc_dir);
	return !access(dir, F_OK);
}
