/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of a namespace, as a slow and simple parser of the tests' own has
 * them: what each write makes of them, how they are printed, and what limit
 * they give a listener.
 */
#ifndef LISTENQ_SELFTEST_MODEL_H
#define LISTENQ_SELFTEST_MODEL_H

#include "listenq.h"

/* What the file takes. */
#define MOST_RULES	1024
#define MOST_BYTES	524288

/* "*" is 0 to 65535, so it is wider than all that have ports. */
struct rule {
	int first;
	int last;
	long long somaxconn;	/* -1 where the rule doesn't have it */
	long long floor;
	long long force;
};

/* In order of precedence. */
struct model {
	int count;
	bool refused;
	int error_line;		/* 0: the error is not a line's */
	struct rule rules[MOST_RULES];
};

static inline void model_copy(struct model *to, const struct model *from)
{
	to->count = from->count;
	to->refused = from->refused;
	to->error_line = from->error_line;
	memcpy(to->rules, from->rules, from->count * sizeof(from->rules[0]));
}

static inline int model_find(const struct model *model, const struct rule *rule)
{
	for (int i = 0; i < model->count; i++)
		if (model->rules[i].first == rule->first &&
		    model->rules[i].last == rule->last)
			return i;
	return -1;
}

static inline bool precedes(const struct rule *a, const struct rule *b)
{
	int widths[2] = { a->last - a->first, b->last - b->first };

	if (widths[0] != widths[1])
		return widths[0] < widths[1];
	return a->first < b->first;
}

static inline bool has(const struct rule *rule, int port)
{
	return rule->first <= port && port <= rule->last;
}

/* They share ports, and each has one that the other hasn't. */
static inline bool overlap_in_part(const struct rule *a, const struct rule *b)
{
	bool a_in_b = has(b, a->first) && has(b, a->last);
	bool b_in_a = has(a, b->first) && has(a, b->last);

	return a->first <= b->last && b->first <= a->last && !a_in_b && !b_in_a;
}

static inline int model_set(struct model *model, const struct rule *rule)
{
	int at = model_find(model, rule);

	if (at >= 0) {
		model->rules[at] = *rule;
		return 0;
	}
	for (int i = 0; i < model->count; i++)
		if (overlap_in_part(&model->rules[i], rule))
			return -EEXIST;
	if (model->count == MOST_RULES)
		return -ENOSPC;
	for (at = model->count++; at; at--) {
		if (precedes(&model->rules[at - 1], rule))
			break;
		model->rules[at] = model->rules[at - 1];
	}
	model->rules[at] = *rule;
	return 0;
}

static inline int model_clear(struct model *model, const struct rule *rule)
{
	int at = model_find(model, rule);

	if (at < 0)
		return -ENOENT;
	model->count--;
	for (; at < model->count; at++)
		model->rules[at] = model->rules[at + 1];
	return 0;
}

/* A word is a number or it isn't; then it may be too large, or below 0. */
static inline int parse_number(const char *word, long long min, long long max,
			       long long *number)
{
	bool negative = word && word[0] == '-';
	long long value = 0;

	if (!word)
		return -EINVAL;
	if (negative)
		word++;
	if (!*word || strspn(word, "0123456789") != strlen(word))
		return -EINVAL;
	for (; *word; word++)
		if (value <= INT_MAX)
			value = value * 10 + (*word - '0');
	if (negative || value < min || value > max)
		return -ERANGE;
	*number = value;
	return 0;
}

static inline int parse_port(const char *word, int *port)
{
	long long number = 0;
	int error;

	if (word[0] == '-')
		return -EINVAL;
	error = parse_number(word, 1, 65535, &number);
	*port = number;
	return error;
}

/* From left to right: the first thing that is wrong is what is wrong. */
static inline int parse_selector(char *word, struct rule *rule)
{
	char *dash = strchr(word, '-');
	int error;

	if (!strcmp(word, "*")) {
		rule->first = 0;
		rule->last = 65535;
		return 0;
	}
	if (dash)
		*dash = '\0';
	error = parse_port(word, &rule->first);
	if (error)
		return error;
	rule->last = rule->first;
	if (dash)
		error = parse_port(dash + 1, &rule->last);
	if (error)
		return error;
	return rule->first > rule->last ? -EINVAL : 0;
}

static inline char *next_word(char **rest)
{
	return strtok_r(NULL, " \t", rest);
}

static inline int parse_verb(char *verb, char **rest, struct rule *rule)
{
	char *word;
	int error;

	rule->somaxconn = -1;
	rule->floor = -1;
	rule->force = -1;
	if (!strcmp(verb, "force"))
		return parse_number(next_word(rest), 0, INT_MAX, &rule->force);
	if (!strcmp(verb, "floor"))
		return parse_number(next_word(rest), 0, INT_MAX, &rule->floor);
	if (strcmp(verb, "somaxconn"))
		return -EINVAL;
	error = parse_number(next_word(rest), 0, INT_MAX, &rule->somaxconn);
	if (error)
		return error;
	word = next_word(rest);
	if (!word)
		return 0;
	if (strcmp(word, "floor"))
		return -EINVAL;
	return parse_number(next_word(rest), 0, INT_MAX, &rule->floor);
}

/* @line ends with a NUL; @length tells of one that is inside. */
static inline int model_line(struct model *model, char *line, size_t length)
{
	char *rest = NULL, *word = line + strspn(line, " \t"), *verb;
	struct rule rule;
	int error;

	/* A comment is whatever is in the line. */
	if (*word == '#')
		return 0;
	/* No word has a NUL, so this is EINVAL unless ERANGE comes before. */
	for (size_t i = 0; i < length; i++)
		if (!line[i])
			line[i] = '\1';

	word = strtok_r(line, " \t", &rest);
	if (!word)
		return 0;
	if (!strcmp(word, "flush")) {
		model->count = 0;
		return next_word(&rest) ? -EINVAL : 0;
	}
	error = parse_selector(word, &rule);
	if (error)
		return error;
	verb = next_word(&rest);
	if (!verb)
		return -EINVAL;
	if (!strcmp(verb, "clear"))
		return next_word(&rest) ? -EINVAL : model_clear(model, &rule);
	error = parse_verb(verb, &rest, &rule);
	if (error)
		return error;
	return next_word(&rest) ? -EINVAL : model_set(model, &rule);
}

static inline int model_lines(struct model *model, char *text, size_t length,
			      int *number)
{
	char *end = text + length;

	while (text < end) {
		char *newline = memchr(text, '\n', end - text);
		int error;

		if (!newline)
			newline = end;
		*newline = '\0';
		++*number;
		error = model_line(model, text, newline - text);
		if (error)
			return error;
		text = newline + 1;
	}
	return 0;
}

/*
 * What a write of these bytes ends with, 0 or an errno; the model is then as
 * the file is.
 */
static inline int model_write(struct model *model, const char *bytes,
			      size_t length)
{
	static struct model next;
	int number = 0, error;
	char *copy;

	if (!length)
		return 0;
	if (length > MOST_BYTES) {
		model->refused = true;
		model->error_line = 0;
		return E2BIG;
	}
	copy = malloc(length + 1);
	if (!copy)
		err(1, "malloc");
	memcpy(copy, bytes, length);
	model_copy(&next, model);
	error = -model_lines(&next, copy, length, &number);
	free(copy);
	if (error) {
		model->refused = true;
		model->error_line = number;
		return error;
	}
	next.refused = false;
	model_copy(model, &next);
	return 0;
}

/* As the file prints it; NULL is no rule. */
static inline int print_selector(char *to, size_t size, const struct rule *rule)
{
	if (!rule)
		return snprintf(to, size, "-");
	if (!rule->first)
		return snprintf(to, size, "*");
	if (rule->first == rule->last)
		return snprintf(to, size, "%d", rule->first);
	return snprintf(to, size, "%d-%d", rule->first, rule->last);
}

/* @count of them, in their order. */
static inline char *print_rules(const struct rule *rules, int count)
{
	static char text[MOST_RULES * 64];
	char *to = text, *end = text + sizeof(text);

	*to = '\0';
	for (int i = 0; i < count; i++) {
		const struct rule *rule = &rules[i];

		to += print_selector(to, end - to, rule);
		if (rule->force >= 0)
			to += snprintf(to, end - to, " force %lld",
				       rule->force);
		if (rule->somaxconn >= 0)
			to += snprintf(to, end - to, " somaxconn %lld",
				       rule->somaxconn);
		if (rule->floor >= 0)
			to += snprintf(to, end - to, " floor %lld",
				       rule->floor);
		to += snprintf(to, end - to, "\n");
	}
	return text;
}

static inline char *model_text(const struct model *model)
{
	return print_rules(model->rules, model->count);
}

static inline const struct rule *model_rule_of(const struct model *model,
					       int port)
{
	for (int i = 0; i < model->count; i++)
		if (has(&model->rules[i], port))
			return &model->rules[i];
	return NULL;
}

static inline long long model_limit(const struct model *model, int port,
				    int asked, long long granted)
{
	const struct rule *rule = model_rule_of(model, port);
	long long limit = granted;

	if (!rule)
		return granted;
	if (rule->force >= 0)
		return rule->force;
	if (rule->somaxconn >= 0) {
		limit = (unsigned int)asked;
		if (limit > rule->somaxconn)
			limit = rule->somaxconn;
	}
	if (limit < rule->floor)
		limit = rule->floor;
	return limit;
}

/* Whether @fd has the limit and the rule that the model gives it. */
static inline bool model_row_agrees(const struct model *model,
				    const struct lq_table *table, int fd,
				    int asked, int granted)
{
	int row = lq_row(table, fd), port = lq_port(fd);
	long long limit = model_limit(model, port, asked, granted);
	char selector[16];

	print_selector(selector, sizeof(selector), model_rule_of(model, port));
	if (lq_cell_num(table, row, "limit") == limit &&
	    lq_cell_num(table, row, "granted") == granted &&
	    !strcmp(lq_cell(table, row, "rule"), selector))
		return true;
	printf("# port %d has %s by %s, not %lld by %s\n", port,
	       lq_cell(table, row, "limit"), lq_cell(table, row, "rule"), limit,
	       selector);
	return false;
}

#endif
