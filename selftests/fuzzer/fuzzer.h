/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rooms of the fuzzer of listenq(8) share. */
#ifndef LISTENQ_FUZZER_H
#define LISTENQ_FUZZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- input.c: from bytes to what the tool is run with ---- */

enum { MAX_WORDS = 24, MAX_SECTIONS = 64, MAX_SIZES = 8, MAX_NETNS = 6 };

/**
 * struct section - a file
 * @netns: of which namespace, by its place in &struct input.netns
 * @name: where it is, below the folder
 * @step: from when on it has this text
 * @text: all of it
 * @length: of @text
 */
struct section {
	size_t netns;
	const char *name;
	size_t step;
	const char *text;
	size_t length;
};

/**
 * struct input - what the tool is run with
 * @text: a copy of the bytes, which all the others point into
 * @word: the command line; the first is the program's name
 * @words: how many
 * @value: it is the value of an option
 * @tty: standard input and output are a terminal
 * @live: the files are not saved ones: what explain looks at twice
 * @utf8: it knows more than ASCII, as the tool has seen it
 * @all: -a or -N is among the words
 * @size: lines and columns of the terminal, at first and after each resize
 * @sizes: how many
 * @key: the keys that are pressed; never NULL
 * @netns: names of the namespaces; the first is the tool's own, NULL
 * @namespaces: how many
 * @section: the files
 * @sections: how many
 * @steps: how often they change
 */
struct input {
	char *text;
	char *word[MAX_WORDS + 1];
	int words;
	bool value[MAX_WORDS + 1];
	bool tty;
	bool live;
	bool utf8;
	bool all;
	int size[MAX_SIZES][2];
	size_t sizes;
	const char *key;
	const char *netns[MAX_NETNS];
	size_t namespaces;
	struct section section[MAX_SECTIONS];
	size_t sections;
	size_t steps;
};

void input_read(struct input *input, const uint8_t *data, size_t size);
void input_free(struct input *input);

/* ---- folder.c: the files, where the tool finds them ---- */

const char *folder_path(size_t netns);
const char *folder_output(void);
const char *folder_file(const char *name);
void folder_make(void);
void folder_write(const struct input *input, size_t step);

/* ---- surroundings.c: what the tool gets in place of libc's and curses' ---- */

/* The tool's main(). */
int tool_main(int argc, char **argv);
/* Called in place of tools/procdir.c's. */
bool __wrap_proc_is_live(void);
/* Runs it; its exit code. */
int tool_run(struct input *input);

/* ---- output.c: what it may have printed ---- */

void output_open(void);
void output_begin(void);
void output_end(void);
void output_judge(const struct input *input, int status);

#endif /* LISTENQ_FUZZER_H */
