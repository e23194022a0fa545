// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that is written whole or not at all, into a directory that others may
 * have a hand in: Debian lets the user prometheus own the one above node_exporter's.
 * It is found once, step by step, and all that follows is done there and nowhere
 * else, whatever becomes of its name.
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

/* As many as the kernel follows. */
#define LINKS_MAX	40

/* Names that others have taken, one after the other. */
#define NAMES_MAX	100

/* ---- its directory ---- */

static bool is_trusted(const struct stat *stat)
{
	return !stat->st_uid || stat->st_uid == geteuid();
}

/*
 * Whether only root or the caller can have made the link in @dir, and neither
 * another one there: in a sticky directory each moves and removes but one's own.
 */
static bool may_be_followed(const struct stat *link, const struct stat *dir)
{
	return is_trusted(link) && is_trusted(dir) &&
	       (!(dir->st_mode & 0022) || dir->st_mode & S_ISVTX);
}

/* Where a path begins that is seen from @dir. */
static int open_start(int dir, const char *path)
{
	return openat(dir, *path == '/' ? "/" : ".",
		      O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Puts where the link @fd leads before @rest; or false, and an errno. */
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

/* Takes the first name off @rest; false where there is none. */
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
 * From @dir to @name there, or to where a link leads that may be followed: then
 * that stands before @rest. The descriptor to go on with, or -1 and an errno.
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

/* Where @path leads; -1 and an errno. @name: how far it was seen. */
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
 * file_find() - find the directory in which something is going to be made
 * @file: has it afterwards, opened
 * @path: of what is
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
 * file_open() - find the directory of a file that is going to be written
 * @file: has it afterwards, for file_write(), which takes it
 * @path: of the file
 *
 * Return: NULL or a reason.
 */
const char *file_open(struct output_file *file, const char *path)
{
	const char *why = file_find(file, path);
	struct stat stat;

	if (why)
		return why;
	/* Its name is going to be taken: not that of a device. */
	if (*file->name && (fstatat(file->dir, file->name, &stat,
				    AT_SYMLINK_NOFOLLOW) ||
			    S_ISREG(stat.st_mode)))
		return NULL;
	close(file->dir);
	file->dir = -1;
	return trouble("%s: exists and is not a regular file", path);
}

/* ---- its content ---- */

/* 0 or an errno. Nobody interrupts it: see below. */
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

/* A name that no other run has, with an ending that nobody reads. */
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
 * That the name was taken is for the disk to keep, too. Who may not read the
 * directory can't ask for that, and not every filesystem can be asked.
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

/* Beside the file, so that it can take the name. 0 or an errno. */
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
 * @file: which; it has all of @text afterwards, or is as it was
 * @text: its content
 * @size: how long that is
 * @mode: who may do what with it; the umask takes some of that away
 *
 * Who stops the program waits until the name beside it is gone; what SIGKILL
 * leaves is in nobody's way.
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
