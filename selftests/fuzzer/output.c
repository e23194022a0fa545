// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tool has printed, and what it may have: no byte that acts on a
 * terminal, whole lines, and what a reader of JSON, of metrics or of a
 * monitoring plugin takes for what it is.
 */

#include <ctype.h>
#include <err.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzzer.h"

/**
 * struct stream - one of the two that it prints to
 * @fd: a file in memory, empty when a run begins
 * @text: what is in it when a run has ended
 * @size: how much is
 * @room: of @text
 */
struct stream {
	int fd;
	char *text;
	size_t size;
	size_t room;
};

static struct stream out, complaints;
static FILE *own, *tools;

static void open_stream(struct stream *stream, const char *name)
{
	stream->fd = memfd_create(name, MFD_CLOEXEC);
	if (stream->fd < 0)
		err(1, "memfd_create");
}

/* Once. Standard error stays the fuzzer's. */
void output_open(void)
{
	open_stream(&out, "output");
	open_stream(&complaints, "complaints");
	if (dup2(out.fd, STDOUT_FILENO) < 0)
		err(1, "standard output");
	own = stderr;
	tools = fdopen(complaints.fd, "w");
	if (!tools)
		err(1, "fdopen");
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	setvbuf(tools, NULL, _IOFBF, BUFSIZ);
}

static void empty(struct stream *stream)
{
	if (ftruncate(stream->fd, 0) || lseek(stream->fd, 0, SEEK_SET))
		err(1, "ftruncate");
}

void output_begin(void)
{
	empty(&out);
	empty(&complaints);
	stderr = tools;
}

static void fetch(struct stream *stream, FILE *file)
{
	fflush(file);
	clearerr(file);
	stream->size = lseek(stream->fd, 0, SEEK_END);
	if (stream->size >= stream->room) {
		stream->room = 2 * stream->size + 1;
		free(stream->text);
		stream->text = malloc(stream->room);
		if (!stream->text)
			err(1, "malloc");
	}
	if (pread(stream->fd, stream->text, stream->size, 0) !=
	    (ssize_t)stream->size)
		err(1, "pread");
	stream->text[stream->size] = '\0';
}

void output_end(void)
{
	stderr = own;
	fetch(&out, stdout);
	fetch(&complaints, tools);
}

/* ---- what it is held against ---- */

static void fail(const char *what)
{
	fprintf(stderr, "== %s; standard output:\n%s\n== standard error:\n%s\n",
		what, out.text, complaints.text);
	abort();
}

#define EXPECT(condition, what)						\
do {									\
	if (!(condition))						\
		fail(what);						\
} while (0)

static bool has_word(const struct input *input, const char *word)
{
	for (int i = 1; i < input->words; i++)
		if (!input->value[i] && !strcmp(input->word[i], word))
			return true;
	return false;
}

/* "\033[31m" where colours are wanted. */
static size_t colour_at(const char *text)
{
	size_t length;

	if (strncmp(text, "\033[", 2))
		return 0;
	length = 2 + strspn(text + 2, "0123456789;");
	return text[length] == 'm' ? length + 1 : 0;
}

/* What the tool has beyond ASCII, in bars, limits, and texts that were cut. */
static size_t symbol_at(const char *text)
{
	static const char * const symbols[] = {
		"·", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█", "→", "…",
	};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		if (!strncmp(text, symbols[i], strlen(symbols[i])))
			return strlen(symbols[i]);
	return 0;
}

/* Text for people: printable lines. */
static void judge_text(const struct stream *stream, bool colours, bool utf8)
{
	const char *at = stream->text, *end = at + stream->size;
	size_t length;

	while (at < end) {
		length = *at == '\n' || (*at >= ' ' && *at <= '~');
		if (!length && colours)
			length = colour_at(at);
		if (!length && utf8)
			length = symbol_at(at);
		EXPECT(length, "a byte that may act on a terminal");
		at += length;
	}
	EXPECT(!stream->size || end[-1] == '\n', "a line without an end");
}

static void judge_json(bool lines)
{
	char *at = out.text, *end;

	while (*at) {
		json_error_t error;
		json_t *value;

		end = lines ? strchr(at, '\n') : out.text + out.size - 1;
		EXPECT(end && *end == '\n', "JSON: a line without an end");
		value = json_loadb(at, end - at, 0, &error);
		EXPECT(value, error.text);
		json_decref(value);
		at = end + 1;
	}
}

/* The end of a name, of a metric or of a label. */
static char *name_end(char *at)
{
	EXPECT(isalpha(*at) || *at == '_', "metrics: no name");
	while (isalnum(*at) || *at == '_')
		at++;
	return at;
}

/* A sample: name{label="value",...} value */
static char *judge_sample(char *at)
{
	char *value, *end;

	at = name_end(at);
	if (*at == '{') {
		do {
			at = name_end(at + 1);
			EXPECT(!strncmp(at, "=\"", 2), "metrics: no value");
			for (at += 2; *at != '"'; at++) {
				at += *at == '\\';
				EXPECT(*at >= ' ' && *at <= '~',
				       "metrics: a value without an end");
			}
			at++;
		} while (*at == ',');
		EXPECT(*at == '}', "metrics: labels without an end");
		at++;
	}
	EXPECT(*at == ' ', "metrics: no blank before the value");
	value = at;
	strtod(at + 1, &end);
	EXPECT(end > at + 1 && *end == '\n', "metrics: no number");
	*value = '\0';
	return end + 1;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * Each series once: Prometheus refuses all of a text that has one twice. That each
 * hook has one row in hooks is the module's word, which the tool takes.
 */
static void judge_metrics(bool openmetrics)
{
	size_t count = 0, most = 64, i;
	char **series, *text, *at;

	/* Of a copy, which is cut to pieces. */
	text = strdup(out.text);
	series = malloc(most * sizeof(*series));
	for (at = text; *at;) {
		if (*at == '#') {
			if (openmetrics && !strcmp(at, "# EOF\n"))
				break;
			at = strchr(at, '\n') + 1;
			continue;
		}
		if (count == most) {
			most *= 2;
			series = realloc(series, most * sizeof(*series));
		}
		series[count++] = at;
		at = judge_sample(at);
	}
	EXPECT(!openmetrics || *at, "OpenMetrics: no end");
	qsort(series, count, sizeof(*series), by_text);
	for (i = 1; i < count; i++)
		EXPECT(strcmp(series[i - 1], series[i]) ||
		       !strncmp(series[i], "listenq_hook_", 13), series[i]);
	free(series);
	free(text);
}

/* One line, "LISTENQ STATE - text | name=value[unit];warn;crit;min;max ..." */
static void judge_check(void)
{
	char *at = out.text, *bar;

	EXPECT(!strncmp(at, "LISTENQ ", 8), "check: another beginning");
	EXPECT(strchr(at, '\n') == out.text + out.size - 1,
	       "check: more than a line");
	bar = strchr(at, '|');
	if (!bar)
		return;
	EXPECT(!strchr(bar + 1, '|'), "check: a bar in the text");
	for (at = bar + 1; *at == ' ';) {
		char *end = name_end(at + 1);

		EXPECT(*end == '=', "check: no value");
		end++;
		at = end + strspn(end, "0123456789");
		if (at == end) {
			EXPECT(*end == 'U', "check: no number");
			at++;
		}
		at += *at == 'c' || *at == '%';
		for (int i = 0; i < 4 && *at == ';'; i++)
			at += 1 + strspn(at + 1, "0123456789");
	}
	EXPECT(*at == '\n', "check: something behind the figures");
}

/**
 * output_judge() - abort where it is not what it should be
 * @input: what the tool was run with
 * @status: how it has ended
 */
void output_judge(const struct input *input, int status)
{
	bool metrics = has_word(input, "-m") || has_word(input, "--metrics=openmetrics");
	bool log = has_word(input, "log");

	EXPECT(status >= 0 && status <= 3, "another exit code");
	EXPECT((status != 1 && status != 3) || has_word(input, "--check") ||
	       (status == 1 && has_word(input, "explain")),
	       "an exit code that is --check's");
	judge_text(&complaints, false, false);
	if (status >= 2) {
		EXPECT(complaints.size || out.size, "no word of what is wrong");
		return;
	}
	if (has_word(input, "-w"))
		return;		/* curses' */
	judge_text(&out, input->tty, input->utf8);
	if (has_word(input, "-h") || has_word(input, "-V") ||
	    has_word(input, "clamp"))
		return;
	if (has_word(input, "-j"))
		judge_json(log);
	else if (metrics && !has_word(input, "-o"))
		judge_metrics(has_word(input, "--metrics=openmetrics"));
	else if (has_word(input, "--check"))
		judge_check();
}
