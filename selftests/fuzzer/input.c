// SPDX-License-Identifier: GPL-2.0-only
/*
 * From bytes to what the tool is run with. An input is a text:
 *
 *	@run WORDS	the command line
 *	@set NAME VALUE	its environment; TTY: a terminal; LIVE: files that change
 *	@size 24x80 1x1	of the terminal, at first and after each resize
 *	@keys KEYS	that are pressed, each a letter: see key_of()
 *	@file NAME	up to the next line with "@", the text of this file
 *	@netns NAME	what follows are files of this namespace
 *	@next		what follows replaces what is there, when the tool waits
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzzer.h"

/*
 * Words that begin with "-" are among these, and no word leads to a file of the
 * machine's: the fuzzer is run as root.
 */
static const char * const options[] = {
	"-a", "--all", "-g", "-r", "-w", "-j", "-t", "-m",
	"--metrics=openmetrics", "-o", "--check", "--allow-none", "--dry-run",
	"-f", "--top", "-v", "-h", "-V", "--unix", "--tcp",
}, * const options_with_value[] = {
	"-N", "-p", "-A", "-P", "-s", "--max", "--names", "--within",
	"-i",
};

static const char * const variables[] = {
	"COLUMNS", "LC_ALL", "NO_COLOR", "TERM",
};

/* @word as one of @list; NULL where it is none. */
static const char *known(const char *word, const char * const list[],
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(word, list[i]))
			return list[i];
	return NULL;
}

/* The next word of a line that strtok_r() takes apart; "" if there is none. */
static char *next_word(char **line)
{
	char *word = strtok_r(NULL, " ", line);

	return word ? word : "";
}

static bool is_option(const char *word)
{
	return known(word, options, ARRAY_SIZE(options));
}

static bool has_value(const char *word)
{
	return known(word, options_with_value, ARRAY_SIZE(options_with_value));
}

static void read_run(struct input *input, char **line)
{
	bool value = false;
	char *word;

	while (*(word = next_word(line)) && input->words < MAX_WORDS) {
		/* A record is a directory, wherever the word behind it leads. */
		if (strchr("/.", *word) || !strcmp(word, "record") ||
		    (*word == '-' &&
		     (value || !(is_option(word) || has_value(word)))))
			continue;
		input->value[input->words] = value;
		input->word[input->words++] = word;
		value = !value && has_value(word);
		if (!strcmp(word, "-a") || !strcmp(word, "--all") ||
		    !strcmp(word, "-N"))
			input->all = true;
		if ((!strcmp(word, "-o") || !strcmp(word, "report")) &&
		    input->words < MAX_WORDS)
			input->word[input->words++] = (char *)folder_output();
	}
}

static void read_set(struct input *input, char **line)
{
	const char *name = next_word(line), *value = next_word(line);

	if (!strcmp(name, "TTY"))
		input->tty = true;
	else if (!strcmp(name, "LIVE"))
		input->live = true;
	else if (!strchr(value, '/') &&
		 known(name, variables, ARRAY_SIZE(variables)))
		setenv(name, value, 1);
}

static void read_sizes(struct input *input, char **line)
{
	unsigned int height, width;
	char *word;

	while (*(word = next_word(line)) && input->sizes < MAX_SIZES)
		if (sscanf(word, "%3ux%3u", &height, &width) == 2 && height &&
		    width) {
			input->size[input->sizes][0] = height;
			input->size[input->sizes++][1] = width;
		}
}

static size_t netns_of(struct input *input, const char *name)
{
	for (size_t i = 1; i < input->namespaces; i++)
		if (!strcmp(input->netns[i], name))
			return i;
	if (!*name || input->namespaces == MAX_NETNS)
		return input->namespaces - 1;
	input->netns[input->namespaces] = name;
	return input->namespaces++;
}

/* A line that begins with "@"; false where it is none of those above. */
static bool read_line(struct input *input, size_t *netns, char *line)
{
	char *rest, *word = strtok_r(line, " ", &rest);
	const char *name;

	if (!strcmp(word, "@run")) {
		read_run(input, &rest);
	} else if (!strcmp(word, "@set")) {
		read_set(input, &rest);
	} else if (!strcmp(word, "@size")) {
		read_sizes(input, &rest);
	} else if (!strcmp(word, "@keys")) {
		input->key = rest ? rest : "";
	} else if (!strcmp(word, "@netns")) {
		*netns = netns_of(input, next_word(&rest));
	} else if (!strcmp(word, "@next")) {
		input->steps++;
		*netns = 0;
	} else if (!strcmp(word, "@file")) {
		name = folder_file(next_word(&rest));
		if (name && input->sections < MAX_SECTIONS)
			input->section[input->sections++] = (struct section) {
				.netns = *netns, .name = name,
				.step = input->steps,
			};
		return name;
	}
	return false;
}

/**
 * input_read() - take an input apart
 * @input: the result, for input_free()
 * @data: the bytes
 * @size: how many
 */
void input_read(struct input *input, const uint8_t *data, size_t size)
{
	struct section *section = NULL;
	char *line, *end, *next;
	size_t netns = 0;

	*input = (struct input) {
		.text = malloc(size + 1), .word = { "listenq" }, .words = 1,
		.key = "", .namespaces = 1, .steps = 0,
	};
	memcpy(input->text, data, size);
	input->text[size] = '\0';
	end = input->text + size;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	setenv("LC_ALL", "C", 1);

	for (line = input->text; line < end; line = next) {
		next = memchr(line, '\n', end - line);
		next = next ? next + 1 : end;
		if (*line != '@') {
			if (section)
				section->length = next - section->text;
			continue;
		}
		if (next[-1] == '\n')
			next[-1] = '\0';
		section = NULL;
		if (read_line(input, &netns, line)) {
			section = &input->section[input->sections - 1];
			section->text = next;
		}
	}
}

void input_free(struct input *input)
{
	free(input->text);
}
