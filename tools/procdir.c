// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files below the proc directory, which --proc may have replaced by a
 * directory of saved ones: nothing is believed of their content.
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
 * @name: its name there
 * @max: at most so many bytes of it
 * @length: how many these are
 *
 * Return: what is in it, and a NUL, for the caller to free; NULL and an errno where
 * it can't be read.
 */
char *proc_bytes(const char *name, size_t max, size_t *length)
{
	size_t size = max < 4096 ? max + 1 : 4096;
	char path[PATH_MAX], *text;
	ssize_t got = 0;
	int fd, error;

	*length = 0;
	snprintf(path, sizeof(path), "%s/%s", proc_dir, name);
	/* Not to wait for a writer where it is a pipe. */
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
 * @max: at most so many bytes of it
 * @format: its name there
 *
 * Return: its text, for the caller to free; NULL where it can't be read.
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

/* Whether there is such a process. */
bool proc_has(int pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", proc_dir, pid);
	return !access(path, F_OK);
}

/* The name of a process, escaped as the kernel's files are; "?" where unknown. */
void proc_comm(int pid, char *comm, size_t size)
{
	char *text = proc_text(64, "%d/comm", pid);
	size_t length = text ? strlen(text) : 0;

	/* The line break is the file's; a name can hold others. */
	if (length && text[length - 1] == '\n')
		text[--length] = '\0';
	escape(comm, size, length ? text : "?");
	free(text);
}

/* What a link below the proc directory leads to; false where that can't be read. */
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

/* The number that is all of a file, as sysctls are; UNKNOWN. */
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

/* For how long the machine was up when the file was read; UNKNOWN. */
long long proc_uptime_ms(void)
{
	char *text = proc_text(64, "uptime"), *end;
	double uptime = text ? strtod(text, &end) : -1;

	free(text);
	return uptime >= 0 && uptime < 1e12 ? uptime * 1000 : UNKNOWN;
}

/*
 * When a process began, by the clock of proc_uptime_ms(); UNKNOWN. In its stat, a name
 * may have anything in it, what follows has not.
 */
long long proc_started_ms(int pid)
{
	enum { STATE, STARTTIME = 19 };
	char *text = proc_text(1024, "%d/stat", pid), *value, *rest;
	long long ticks, ms = UNKNOWN;

	value = text ? strrchr(text, ')') : NULL;
	value = value ? strtok_r(value + 1, "\n ", &rest) : NULL;
	for (int i = STATE; value && i < STARTTIME; i++)
		value = strtok_r(NULL, "\n ", &rest);
	if (value && parse_number(value, 0, LLONG_MAX / 1000, &ticks))
		ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
	free(text);
	return ms;
}

/* Whether the files change: those that were saved are looked at once. */
bool proc_is_live(void)
{
	struct statfs fs;

	return !statfs(proc_dir, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/* How long ago a saved file was written, as far as a copy keeps that; else 0. */
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

/* Where saved files have those of a moment before; false where they have none. */
bool proc_before(char dir[PATH_MAX])
{
	snprintf(dir, PATH_MAX, "%s/" BEFORE, proc_dir);
	return !access(dir, F_OK);
}
