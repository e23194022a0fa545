// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands that a finding advises to run: they can be pasted into a shell, for the
 * finding's listener and namespace.
 */

#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"

/* Add a command that can be pasted into a shell. */
void command(struct report *report, enum kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(report, kind, true, format, args);
	va_end(args);
}

/* Write a word for a shell, in quotes if it needs them. */
static void shell_word(char *to, size_t size, const char *word)
{
	size_t length = 0, plain = 0;

	while (isalnum((unsigned char)word[plain]) ||
	       (word[plain] && strchr("_./:@-", word[plain])))
		plain++;
	if (plain && !word[plain]) {
		snprintf(to, size, "%s", word);
		return;
	}
	to[length++] = '\'';
	for (; *word && length + 6 < size; word++)
		length += sprintf(to + length, *word == '\'' ? "'\\''" : "%c",
				  *word);
	strcpy(to + length, "'");
}

/* The namespace to run a command in, as -N takes it; NULL to stay in this one. */
static const char *place_of(const struct listener *listener)
{
	return listener->in && listener->in->own ? NULL : listener->netns;
}

/* Add a command that has to run in @listener's namespace. */
void command_in(struct report *report, enum kind kind,
		const struct listener *listener, const char *format, ...)
{
	const char *netns = place_of(listener);
	char text[2 * NAME_SIZE], path[PATH_MAX], name[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!netns) {
		command(report, kind, "%s", text);
		return;
	}
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	if (strchr(netns, '/'))
		snprintf(path, sizeof(path), "%s", netns);
	else if (access(path, F_OK))
		snprintf(path, sizeof(path), "/proc/%s/ns/net", netns);
	shell_word(name, sizeof(name), path);
	command(report, kind, "nsenter --net=%s %s", name, text);
}

/* Add a command of this program, which enters the namespace itself. */
void command_listenq(struct report *report, enum kind kind,
		     const struct listener *listener, const char *format, ...)
{
	const char *netns = place_of(listener);
	char text[2 * NAME_SIZE], name[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	shell_word(name, sizeof(name), netns ?: "");
	command(report, kind, "listenq%s%s %s", netns ? " -N " : "",
		netns ? name : "", text);
}

/* Select the listener by this program's filters: "-p 80", or a Unix socket's name. */
const char *filter_of(const struct listener *listener)
{
	static char text[NAME_SIZE];
	char name[NAME_SIZE];

	if (!is_unix(listener)) {
		snprintf(text, sizeof(text), "-p %d", listener->local.port);
		return text;
	}
	/* A Unix socket that is not bound has no name. */
	if (!strcmp(listener->word[LOCAL], "-"))
		return "--unix";
	snprintf(name, sizeof(name), "%s%s",
		 strchr("/@", *listener->word[LOCAL]) ? "" : UNIX_PREFIX,
		 listener->word[LOCAL]);
	strcpy(text, "-A ");
	shell_word(text + strlen(text), sizeof(text) - strlen(text), name);
	return text;
}

/* Select it in a rule: "80", "unix:/run/php.sock". A comma would end the rule. */
const char *selector_of(const struct listener *listener)
{
	static char text[NAME_SIZE];
	char name[NAME_SIZE] = UNIX_PREFIX;
	size_t length = strlen(name);

	if (!is_unix(listener)) {
		snprintf(text, sizeof(text), "%d", listener->local.port);
		return text;
	}
	if (!strcmp(listener->word[LOCAL], "-"))
		return "'" UNIX_PREFIX "*'";
	for (const char *at = listener->word[LOCAL];
	     *at && length + 5 < sizeof(name); at++)
		length += *at == ',' ? (size_t)sprintf(name + length, "\\054") :
				       (size_t)sprintf(name + length, "%c", *at);
	shell_word(text, sizeof(text), name);
	return text;
}

/* Add a command for ss(8) that shows which process has the socket. */
void command_ss(struct report *report, enum kind kind,
		const struct listener *listener)
{
	if (is_unix(listener) && listener->figure[INODE] > 0)
		command_in(report, kind, listener, "ss -lxpe | grep -w %lld",
			   listener->figure[INODE]);
	else if (is_unix(listener))
		command_in(report, kind, listener, "ss -lxpe");
	else
		command_in(report, kind, listener, "ss -ltnpe 'sport = :%d'",
			   listener->local.port);
}
