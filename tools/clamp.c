// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq clamp: print the rules, write them, or tell what they would do. The kernel
 * has the grammar; this file explains its errors.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "rules.h"

/* The module's limit on a write of rules. */
#define RULES_MAX	524288

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
	{ E2BIG, "more than 524288 bytes" },
	{ EPERM, "only root of the host may write rules (CAP_NET_ADMIN there)" },
	{ EACCES, "only root of the host may write rules" },
	{ EROFS, "/proc is mounted for reading only: run this where it isn't" },
};

/* The kernel's text is printable ASCII; a saved file may hold anything. */
static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
			return false;
	return !length || text[length - 1] == '\n';
}

/**
 * clamp_read() - read the rules of the namespace the tool is in
 * @text: the rules as the module prints them, for the caller to free
 *
 * Return: NULL or a reason.
 */
const char *clamp_read(char **text)
{
	const char *why;
	size_t length;

	why = procfile_text("clamp", text, &length);
	if (!why && !is_plain(*text, length)) {
		free(*text);
		*text = NULL;
		why = trouble("%s: not a text that the module writes",
			      procfile_path("clamp"));
	}
	return why;
}

/* What the kernel says about the last write that it refused, for the caller to free. */
static char *last_error(void)
{
	char *text, *line, *found = NULL;

	if (clamp_read(&text))
		return NULL;
	line = strstr(text, LAST_ERROR);
	if (line) {
		line += strlen(LAST_ERROR);
		found = strndup(line, strcspn(line, "\n"));
	}
	free(text);
	return found;
}

/* @said: what the parser says; NULL: nothing. */
static const char *refusal(int error, const char *said)
{
	const char *meaning = strerror(error);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].error == error)
			meaning = meanings[i].meaning;
	return said ? trouble("clamp: %s: %s", meaning, said) :
		      trouble("clamp: %s", meaning);
}

static const char *write_refusal(int error)
{
	char *said = NULL;
	const char *why;

	/* The file has a message only if the module read the text and refused it. */
	if (error == EINVAL || error == ERANGE || error == EEXIST ||
	    error == ENOENT || error == ENOSPC)
		said = last_error();
	why = refusal(error, said);
	free(said);
	return why;
}

/**
 * clamp_write() - write rules
 * @text: lines of the grammar
 * @length: their length
 *
 * Writes all rules at once, so that all of them take effect or none. Meanwhile the
 * module may be unloaded and loaded again, without these rules: then the file that
 * was opened can't be read any more.
 *
 * Return: NULL or a reason.
 */
const char *clamp_write(const char *text, size_t length)
{
	const char *path = procfile_path("clamp"), *why = NULL;
	ssize_t written;
	char byte;
	int fd;

	if (!length)
		return trouble("clamp: there is nothing to write");
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? procfile_trouble(path, errno) :
					 write_refusal(errno);
	written = write(fd, text, length);
	if (written < 0)
		why = write_refusal(errno);
	else if ((size_t)written != length)
		why = trouble("clamp: only %zd of %zu bytes were taken",
			      written, length);
	else if (pread(fd, &byte, 1, 0) < 0)
		why = trouble("clamp: the module was unloaded meanwhile: write the rules again");
	close(fd);
	return why;
}

/* Join words to a line; a comma begins another line. */
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

/**
 * clamp_read_file() - read rules from a file
 * @path: the file; "-" for standard input
 * @text: the rules, for the caller to free, with room for a NUL
 * @length: their length
 *
 * Return: NULL or a reason.
 */
const char *clamp_read_file(const char *path, char **text, size_t *length)
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

/* Work out the rules as they will be. NULL or a reason. */
static const char *foresee(struct rules *rules, const char *text, size_t length)
{
	char said[TEXT_SIZE];
	const char *why;
	char *now;
	int error;

	why = clamp_read(&now);
	if (why)
		return why;
	*rules = (struct rules) { };
	error = rules_take(rules, now, strlen(now), false, said);
	free(now);
	if (error)
		return trouble("%s: %s: from another version of the module, or cut short",
			       procfile_path("clamp"), said);
	if (length > RULES_MAX)
		return refusal(E2BIG, NULL);
	error = rules_take(rules, text, length, true, said);
	return error ? refusal(-error, said) : NULL;
}

/* @snapshot: the listeners; NULL if they are not known. */
static const char *change(int argc, char **argv, const char *file, bool dry_run,
			  const struct snapshot *snapshot)
{
	static struct rules rules;
	const char *why = NULL;
	bool foreseen;
	size_t length;
	char *text;

	if (file)
		why = clamp_read_file(file, &text, &length);
	else
		text = join(argc, argv, &length);
	if (!why && dry_run)
		why = foresee(&rules, text, length);
	if (!why && dry_run)
		effect_print(&rules, snapshot);
	foreseen = !why && (dry_run ||
			    (snapshot && !foresee(&rules, text, length)));
	if (!why && !dry_run)
		why = clamp_write(text, length);
	/*
	 * A file may be written before servers start: don't mind rules without
	 * listeners.
	 */
	if (!why && foreseen)
		effect_tell(&rules, snapshot, !file);
	free(text);
	return why;
}

static const char *print_rules(void)
{
	const char *why;
	char *text;

	why = clamp_read(&text);
	if (!why)
		fputs(text, stdout);
	free(text);
	return why;
}

/**
 * clamp_main() - print rules, or write them
 * @argc: how many words
 * @argv: "clamp", then options, "-f FILE" or the words of a rule
 * @scope: the namespace
 *
 * Return: an exit code.
 */
int clamp_main(int argc, char **argv, const struct scope *scope)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "save", no_argument, NULL, 's' },
		{ "restore", no_argument, NULL, 'r' },
		{ }
	};
	struct scope all = *scope;
	struct snapshot snapshot = { };
	const char *file = NULL, *why = NULL;
	struct netns_list list = { };
	bool dry_run = false, save = false, restore = false, is_read;
	int option;

	optind = 0;	/* start again */
	while ((option = getopt_long(argc, argv, "+:f:", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			file = optarg;
			break;
		case 'n':
			dry_run = true;
			break;
		case 's':
			save = true;
			break;
		case 'r':
			restore = true;
			break;
		default:
			die("clamp: %s: -f FILE, --dry-run, --save and --restore are its options",
			    argv[optind - 1]);
		}
	}
	argc -= optind;
	argv += optind;
	if (file && argc)
		die("clamp: give -f FILE or rules, not both");
	if (dry_run && !file && !argc)
		die("clamp: --dry-run needs rules or -f FILE");
	if ((save || restore) && (file || argc || dry_run || save == restore))
		die("clamp: --save and --restore take nothing else");
	if (restore && scope->netns)
		die("clamp: --restore: it is for all namespaces, without -N");
	if (scope->all)
		die("clamp: rules are per namespace: use -N, not -a");

	if (save || restore) {
		why = save ? saved_write(scope) : saved_restore();
		if (why)
			die("%s", why);
		return DONE;
	}
	all.unix_too = true;
	/*
	 * Read listeners before the rules act. If that fails, rules are written all
	 * the same.
	 */
	if (argc || file)
		why = snapshot_take(&all, &snapshot);
	is_read = !why;
	if (!dry_run)
		why = NULL;
	if (!why)
		why = netns_open(scope->netns, &list);
	if (!why)
		why = netns_enter(&list.netns[0]);
	if (!why)
		why = argc || file ? change(argc, argv, file, dry_run,
					    is_read ? &snapshot : NULL) :
				     print_rules();
	netns_close(&list);
	snapshot_free(&snapshot);
	if (why)
		die("%s", why);
	return DONE;
}
