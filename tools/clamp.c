// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq clamp: the rules, printed and written. The kernel knows the grammar;
 * here stands what its errors mean.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listenq.h"

/* What one write(2) may hold, and one byte that tells that there is more. */
#define RULES_MAX	65536

#define LAST_ERROR	"# last error: "

static const struct {
	int error;
	const char *meaning;
} meanings[] = {
	{ EINVAL, "not a rule" },
	{ ERANGE, "a number is out of range" },
	{ EEXIST, "the range overlaps another rule's in part" },
	{ ENOENT, "there is no such rule to clear" },
	{ ENOSPC, "more than 1024 rules" },
	{ E2BIG, "more than 65536 bytes" },
	{ EPERM, "only root of the host may write rules (CAP_NET_ADMIN there)" },
	{ EACCES, "only root of the host may write rules" },
	{ EROFS, "/proc is mounted for reading only: run this where it isn't" },
};

/* The kernel's text is printable ASCII; a folder's may be anything. */
static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
			return false;
	return !length || text[length - 1] == '\n';
}

static const char *read_rules(char **text)
{
	const char *why;
	size_t length;

	why = procfile_text("clamp", text, &length);
	if (!why && !is_plain(*text, length)) {
		free(*text);
		*text = NULL;
		why = trouble("%s: not the module's text",
			      procfile_path("clamp"));
	}
	return why;
}

/* What the kernel says of the latest refused write, for the caller to free. */
static char *last_error(void)
{
	char *text, *line, *found = NULL;

	if (read_rules(&text))
		return NULL;
	line = strstr(text, LAST_ERROR);
	if (line) {
		line += strlen(LAST_ERROR);
		found = strndup(line, strcspn(line, "\n"));
	}
	free(text);
	return found;
}

static const char *refusal(int error)
{
	const char *meaning = strerror(error);
	char *said = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].error == error)
			meaning = meanings[i].meaning;
	/* Only what was read and not understood is told in the file. */
	if (error == EINVAL || error == ERANGE || error == EEXIST ||
	    error == ENOENT || error == ENOSPC)
		said = last_error();
	meaning = said ? trouble("clamp: %s: %s", meaning, said) :
			 trouble("clamp: %s", meaning);
	free(said);
	return meaning;
}

/* All rules in one write, so that all of them take effect or none. */
static const char *write_rules(const char *text, size_t length)
{
	const char *path = procfile_path("clamp");
	ssize_t written;
	int fd, error;

	if (!length)
		return trouble("clamp: there is nothing to write");
	if (access(path, F_OK)) {
		char *unused;

		/* Which says that there is no module. */
		return read_rules(&unused);
	}
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return refusal(errno);
	written = write(fd, text, length);
	error = written < 0 ? errno : 0;
	close(fd);
	if (error)
		return refusal(error);
	if ((size_t)written != length)
		return trouble("clamp: only %zd of %zu bytes were taken",
			       written, length);
	return NULL;
}

/* Words become a line; a comma begins another. */
static char *join(int argc, char **argv, size_t *length)
{
	char *text, *at;
	int i;

	*length = 1;
	for (i = 0; i < argc; i++)
		*length += strlen(argv[i]) + 1;
	text = allocate(NULL, *length, 1);
	at = text;
	for (i = 0; i < argc; i++) {
		at = stpcpy(at, argv[i]);
		*at++ = ' ';
	}
	at[-1] = '\n';
	*length = at - text;
	for (at = text; at < text + *length; at++)
		if (*at == ',')
			*at = '\n';
	return text;
}

static const char *read_file(const char *path, char **text, size_t *length)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) :
				     STDIN_FILENO;
	const char *why = NULL;
	ssize_t got = -1;

	*text = allocate(NULL, RULES_MAX + 1, 1);
	*length = 0;
	while (fd >= 0 && *length <= RULES_MAX &&
	       (got = read(fd, *text + *length,
			   RULES_MAX + 1 - *length)) > 0)
		*length += got;
	if (fd < 0 || got < 0)
		why = trouble("%s: %s", path, strerror(errno));
	else if (*length > RULES_MAX)
		why = trouble("%s: more than %d bytes", path, RULES_MAX);
	if (fd > STDIN_FILENO)
		close(fd);
	return why;
}

static const char *change(int argc, char **argv, const char *file)
{
	const char *why = NULL;
	size_t length;
	char *text;

	if (file)
		why = read_file(file, &text, &length);
	else
		text = join(argc, argv, &length);
	why = why ?: write_rules(text, length);
	free(text);
	return why;
}

static const char *print_rules(void)
{
	const char *why;
	char *text;

	why = read_rules(&text);
	if (!why)
		fputs(text, stdout);
	free(text);
	return why;
}

/**
 * clamp_main() - print rules, or write some
 * @argc: how many words
 * @argv: "clamp", then "-f FILE" or the words of a rule
 * @scope: in which namespace
 *
 * Return: an exit code.
 */
int clamp_main(int argc, char **argv, const struct scope *scope)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ }
	};
	const char *file = NULL, *why;
	struct netns_list list;
	int option;

	optind = 0;	/* once more from the start */
	while ((option = getopt_long(argc, argv, "+f:", options, NULL)) != -1) {
		if (option != 'f')
			return TROUBLE;
		file = optarg;
	}
	argc -= optind;
	argv += optind;
	if (file && argc)
		die("clamp: -f and a rule as well: name one of them");
	if (scope->all)
		die("clamp: -a: rules are for one namespace: name it with -N");

	why = netns_open(scope->netns, &list);
	if (!why)
		why = netns_enter(&list.netns[0]);
	if (!why)
		why = argc || file ? change(argc, argv, file) : print_rules();
	netns_close(&list);
	if (why)
		die("%s", why);
	return DONE;
}
