// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write a file as a whole or not at all, in a directory in which other users may
 * make changes: on Debian, the user prometheus owns the directory above
 * node_exporter's. The directory is opened once, component by component, and all
 * else is done by its descriptor, whatever its path leads to by then.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "samples.h"

/* The kernel follows as many. */
#define LINKS_MAX	40

/* How many names to try, if each exists already. */
#define NAMES_MAX	100

/* ---- the file's directory ---- */

static bool is_trusted(const struct stat *stat)
{
	return !stat->st_uid || stat->st_uid == geteuid();
}

/*
 * Whether only root or the caller can have made @link, and can have put it there: in
 * a sticky directory, users can move and remove only their own entries.
 */
static bool may_be_followed(const struct stat *link, const struct stat *dir)
{
	return is_trusted(link) && is_trusted(dir) &&
	       (!(dir->st_mode & 0022) || dir->st_mode & S_ISVTX);
}

/* The directory from which @path starts, if it is relative to @dir. */
static int open_start(int dir, const char *path)
{
	return openat(dir, *path == '/' ? "/" : ".",
		      O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Put the target of the link @fd before @rest; false and an errno. */
static bool lead(int fd, char rest[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(fd, "", target, sizeof(target));
	size_t behind = strlen(rest);

	if (length < 0)
		return false;
	if (length + 1 + behind >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memmove(rest + length + 1, rest, behind + 1);
	memcpy(rest, target, length);
	rest[length] = '/';
	return true;
}

/* Move the first name of @rest to @name; false if there is none. */
static bool take_name(char rest[PATH_MAX], char name[NAME_MAX + 1], int *error)
{
	size_t start = strspn(rest, "/");
	size_t length = strcspn(rest + start, "/");

	*error = length > NAME_MAX ? ENAMETOOLONG : 0;
	if (!length || *error)
		return false;
	memcpy(name, rest + start, length);
	name[length] = '\0';
	memmove(rest, rest + start + length,
		strlen(rest + start + length) + 1);
	return true;
}

/*
 * From @dir, step to @name. If that is a link that may be followed, put its target
 * before @rest. The descriptor to go on from, or -1 and an errno.
 */
static int step(int dir, const char *name, char rest[PATH_MAX], int *links)
{
	int next = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat stat, above;
	int error = 0;

	if (next < 0)
		return -1;
	if (fstat(next, &stat) || fstat(dir, &above))
		error = errno;
	else if (!S_ISLNK(stat.st_mode))
		return next;
	else if (!may_be_followed(&stat, &above) || ++*links > LINKS_MAX)
		error = ELOOP;
	else if (!lead(next, rest))
		error = errno;
	close(next);
	if (!error) {
		next = open_start(dir, rest);
		if (next >= 0)
			return next;
		error = errno;
	}
	errno = error;
	return -1;
}

/* Open the directory @path; -1 and an errno. @name: the last component looked at. */
static int open_directory(const char *path, char name[NAME_MAX + 1])
{
	char rest[PATH_MAX];
	int dir = open_start(AT_FDCWD, path), links = 0, next, error;
	struct stat stat;

	strcpy(rest, path);
	strcpy(name, *path == '/' ? "/" : ".");
	while (dir >= 0 && take_name(rest, name, &error)) {
		next = step(dir, name, rest, &links);
		error = errno;
		close(dir);
		errno = error;
		dir = next;
	}
	if (dir < 0)
		return -1;
	if (!error && fstat(dir, &stat))
		error = errno;
	if (!error && !S_ISDIR(stat.st_mode))
		error = ENOTDIR;
	if (!error)
		return dir;
	close(dir);
	errno = error;
	return -1;
}

/**
 * file_find() - open the directory in which a file or directory will be made
 * @file: filled
 * @path: path of what will be made
 *
 * Return: NULL or a reason.
 */
const char *file_find(struct output_file *file, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char dir[PATH_MAX] = "", seen[NAME_MAX + 1];

	file->path = path;
	file->name = name;
	file->dir = -1;
	if (strlen(path) >= PATH_MAX || strlen(name) > NAME_MAX)
		return trouble("%s: %s", path, strerror(ENAMETOOLONG));
	memcpy(dir, path, name - path);
	file->dir = open_directory(dir, seen);
	if (file->dir < 0 && errno == ELOOP)
		return trouble("%s: %s is a link that others can change, or there are too many",
			       path, seen);
	return file->dir < 0 ? trouble("%s: %s", path, strerror(errno)) : NULL;
}

/**
 * file_open() - open the directory of a file that will be written
 * @file: filled, for file_write(), which closes it
 * @path: the file's path
 *
 * Return: NULL or a reason.
 */
const char *file_open(struct output_file *file, const char *path)
{
	const char *why = file_find(file, path);
	struct stat stat;

	if (why)
		return why;
	/* The file will be replaced: refuse to replace a device. */
	if (*file->name && (fstatat(file->dir, file->name, &stat,
				    AT_SYMLINK_NOFOLLOW) ||
			    S_ISREG(stat.st_mode)))
		return NULL;
	close(file->dir);
	file->dir = -1;
	return trouble("%s: exists and is not a regular file", path);
}

/* ---- the file's content ---- */

/* 0 or an errno. Never EINTR, since file_write() blocks all signals. */
static int write_all(int fd, const char *text, size_t size)
{
	ssize_t written;

	for (; size; text += written, size -= written) {
		written = write(fd, text, size);
		if (written < 0)
			return errno;
	}
	return 0;
}

/* A new file with a name that no other run uses, and an ending that no program reads. */
static int create(const struct output_file *file, char *name, size_t size)
{
	unsigned int number;
	int fd = -1;

	for (int i = 0; i < NAMES_MAX && fd < 0; i++) {
		if (getrandom(&number, sizeof(number), 0) < 0)
			return -1;
		snprintf(name, size, "%s.%06x.tmp", file->name,
			 number & 0xffffff);
		fd = openat(file->dir, name, O_WRONLY | O_CREAT | O_EXCL |
			    O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd;
}

/*
 * Sync the directory as well, since the new name is in it. A caller who may not read
 * the directory can't do that, and some filesystems can't.
 */
static int keep_name(const struct output_file *file)
{
	int fd = openat(file->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return 0;
	if (fsync(fd) && errno != EINVAL)
		error = errno;
	close(fd);
	return error;
}

/* Write a new file in the same directory, and rename it. 0 or an errno. */
static int replace(const struct output_file *file, const char *text, size_t size,
		   mode_t mode)
{
	char name[NAME_MAX + sizeof(".XXXXXX.tmp")];
	int fd = create(file, name, sizeof(name)), error;

	if (fd < 0)
		return errno;
	error = write_all(fd, text, size);
	if (!error && (fchmod(fd, mode) || fsync(fd)))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && renameat(file->dir, name, file->dir, file->name))
		error = errno;
	if (error) {
		unlinkat(file->dir, name, 0);
		return error;
	}
	return keep_name(file);
}

/**
 * file_write() - write all of a file
 * @file: the file; has all of @text afterwards, or is unchanged
 * @text: its content
 * @size: its length
 * @mode: its permissions, without those in the umask
 *
 * A signal that ends the program is delivered only when the temporary file is gone;
 * one that SIGKILL leaves behind does no harm.
 *
 * Return: NULL or a reason.
 */
const char *file_write(struct output_file *file, const char *text, size_t size,
		       mode_t mode)
{
	mode_t mask = umask(0);
	sigset_t all, before;
	int error;

	umask(mask);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	error = replace(file, text, size, mode & ~mask);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(file->dir);
	file->dir = -1;
	return error ? trouble("%s: %s", file->path, strerror(error)) : NULL;
}
