// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a file of /proc/net/listenq, or one in a directory that imitates it: its
 * content is not trusted. The kernel writes lines of printable ASCII, each with as
 * many values as the header has names, and between them notes for people, which
 * begin with "#".
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listenq.h"

/* Some 400,000 listeners; a larger file is not the kernel's. */
#define FILE_MAX	(128 << 20)
#define ROWS_MAX	1000000

/* No count gets larger; the sum of a row is still a number. */
#define COUNT_MAX	(LLONG_MAX / 256)

#define MODULE_DIR	"/sys/module/listenq"

const char *proc_dir = "/proc";
struct read_bounds read_bounds = { LLONG_MAX, LLONG_MAX };

const char *procfile_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/net/listenq/%s", proc_dir, name);
	return path;
}

/* The reason why @path can't be opened, by the errno. */
const char *procfile_trouble(const char *path, int error)
{
	if (error == ENOENT && !strcmp(proc_dir, "/proc") &&
	    access(MODULE_DIR, F_OK))
		return trouble("the module is not loaded: as root, run 'modprobe listenq'%s",
			       ", or 'insmod module/listenq.ko' where it was built");
	return trouble("%s: %s", path, strerror(error));
}

/**
 * procfile_text() - read a whole file
 * @name: its name in listenq/
 * @text: the text and a NUL, for the caller to free; NULL on failure
 * @length: its length
 *
 * Return: NULL or a reason.
 */
const char *procfile_text(const char *name, char **text, size_t *length)
{
	const char *path = procfile_path(name);
	const char *why = NULL;
	size_t size = 1 << 16;
	ssize_t got;
	int fd;

	*text = NULL;
	*length = 0;
	/* Don't wait for a writer if it is a pipe. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return procfile_trouble(path, errno);

	*text = allocate(NULL, size, 1);
	while ((got = read(fd, *text + *length, size - *length - 1)) > 0) {
		*length += got;
		read_bounds.bytes -= got;
		if (read_bounds.bytes < 0 || now_ms() > read_bounds.until_ms) {
			why = trouble("%s: more than is read of one namespace among others: use -N",
				      path);
			break;
		}
		if (*length > FILE_MAX) {
			why = trouble("%s: larger than %d MB", path,
				      FILE_MAX >> 20);
			break;
		}
		if (size - *length == 1) {
			size *= 2;
			*text = allocate(*text, size, 1);
		}
	}
	if (got < 0)
		why = trouble("%s: %s", path, strerror(errno));
	close(fd);

	if (why) {
		free(*text);
		*text = NULL;
		return why;
	}
	(*text)[*length] = '\0';
	return NULL;
}

/*
 * End each word of the line at *@at by a NUL, and note where the first @max words
 * begin. With @rest, the last of these has the rest of the line. Moves *@at to the
 * next line. Return: how many words there are, or -1 for a byte that the kernel does
 * not write.
 */
static int split_line(struct rows *rows, size_t *at, uint32_t *word,
		      size_t max, bool rest)
{
	char *text = rows->text;
	size_t count = 0;
	bool inside = false;

	for (;; (*at)++) {
		char c = text[*at];

		if (c == ' ' && inside && rest && count == max)
			continue;
		if (c == ' ' || c == '\n') {
			text[*at] = '\0';
			inside = false;
			if (c == '\n') {
				(*at)++;
				return count;
			}
		} else if (c < '!' || c > '~') {
			return -1;
		} else if (!inside) {
			if (count < max)
				word[count] = *at;
			count++;
			inside = true;
		}
	}
}

/* Move *@at past notes, and keep the first ones. False for a byte of another kind. */
static bool skip_notes(struct rows *rows, size_t *at)
{
	for (char *note; *(note = rows->text + *at) == '#'; (*at)++) {
		if (rows->notes < ARRAY_SIZE(rows->note))
			rows->note[rows->notes++] = note + strspn(note, "# ");
		for (; rows->text[*at] != '\n'; (*at)++)
			if (rows->text[*at] < ' ' || rows->text[*at] > '~')
				return false;
		rows->text[*at] = '\0';
	}
	return true;
}

static const char *parse(const char *path, struct rows *rows, size_t length,
			 bool rest)
{
	size_t at = 0, room = 0;
	int words;

	if (!length)
		return trouble("%s: is empty", path);
	/* The last figure may have lost digits. */
	if (rows->text[length - 1] != '\n')
		return trouble("%s: is cut short", path);

	if (!skip_notes(rows, &at))
		return trouble("%s: a note with a byte that is not printable",
			       path);
	words = split_line(rows, &at, rows->column, ARRAY_SIZE(rows->column),
			   false);
	if (words <= 0 || (size_t)words > ARRAY_SIZE(rows->column))
		return trouble("%s: the first line is not a header", path);
	rows->columns = words;

	for (;;) {
		if (!skip_notes(rows, &at))
			return trouble("%s: a note with a byte that is not printable",
				       path);
		if (at == length)
			return NULL;
		if (rows->count == ROWS_MAX)
			return trouble("%s: more than %d listeners", path,
				       ROWS_MAX);
		if (rows->count == room) {
			room = room ? 2 * room : 64;
			rows->cell = allocate(rows->cell, room,
					      rows->columns *
					      sizeof(*rows->cell));
		}
		words = split_line(rows, &at,
				   rows->cell + rows->count * rows->columns,
				   rows->columns, rest);
		if (words < 0)
			return trouble("%s: line %zu: a byte that is not printable",
				       path, rows->count + 2);
		if ((size_t)words != rows->columns)
			return trouble("%s: line %zu: %d values under a header of %zu",
				       path, rows->count + 2, words,
				       rows->columns);
		rows->count++;
	}
}

static const char *read_rows(const char *name, bool rest, struct rows **rows)
{
	const char *why;
	size_t length;

	*rows = allocate(NULL, 1, sizeof(**rows));
	**rows = (struct rows) { };
	why = procfile_text(name, &(*rows)->text, &length);
	if (!why)
		why = parse(procfile_path(name), *rows, length, rest);
	if (why) {
		rows_free(*rows);
		*rows = NULL;
	}
	return why;
}

/**
 * rows_read() - read a file of rows under a header
 * @name: its name in listenq/
 * @rows: the rows, for rows_free(); NULL on failure
 *
 * Return: NULL or a reason.
 */
const char *rows_read(const char *name, struct rows **rows)
{
	return read_rows(name, false, rows);
}

/* Like rows_read(), for a file whose last column is text with blanks. */
const char *rows_read_text(const char *name, struct rows **rows)
{
	return read_rows(name, true, rows);
}

/* The errno of opening a file, which an older module may not have. */
int procfile_error(const char *name)
{
	int fd = open(procfile_path(name), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	free(rows->text);
	free(rows->cell);
	free(rows);
}

/* The index of the column with that name; -1 if there is none. */
int rows_column(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->columns; i++)
		if (!strcmp(rows->text + rows->column[i], name))
			return i;
	return -1;
}

/* The cell's text; "-" if there is no such column. */
const char *rows_cell(const struct rows *rows, size_t row, int column)
{
	if (column < 0)
		return "-";
	return rows->text + rows->cell[row * rows->columns + column];
}

/* The cell's count; UNKNOWN if it is none. */
long long rows_count(const struct rows *rows, size_t row, int column)
{
	long long count;

	if (!parse_number(rows_cell(rows, row, column), 0, COUNT_MAX, &count))
		return UNKNOWN;
	return count;
}

/* The version of the loaded module; "" for saved files, which are not its own. */
void module_version(char *version, size_t size)
{
	FILE *file = NULL;

	*version = '\0';
	if (!strcmp(proc_dir, "/proc"))
		file = fopen(MODULE_DIR "/version", "re");
	if (!file)
		return;
	if (fgets(version, size, file))
		version[strcspn(version, "\n")] = '\0';
	fclose(file);
}
