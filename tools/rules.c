// SPDX-License-Identifier: GPL-2.0-only
/*
 * The grammar of rules, and the limit that a rule gives a listener. Both are the
 * module's, but are needed for rules that are not written yet.
 */

#include <errno.h>
#include <string.h>

#include "rules.h"

/* How much of a word that was not understood is shown. */
#define WORD_SHOWN	24

/* ---- parsing rules ---- */

/* A part of a text, without a NUL: a file can hold any byte. */
struct piece {
	const char *text;
	size_t length;
};

/**
 * struct parser - the place in the text
 * @at: the next byte of the line
 * @line_end: the end of the line
 * @line: its number, from 1 on
 * @word: the last word; empty at the end of the line
 * @expected: on error: what should be in place of @word, or what is wrong with it
 * @fresh: see &struct rule.fresh
 */
struct parser {
	const char *at;
	const char *line_end;
	unsigned int line;
	struct piece word;
	const char *expected;
	bool fresh;
};

static bool next_word(struct parser *parser)
{
	while (parser->at < parser->line_end &&
	       (*parser->at == ' ' || *parser->at == '\t'))
		parser->at++;
	parser->word.text = parser->at;
	while (parser->at < parser->line_end &&
	       *parser->at != ' ' && *parser->at != '\t')
		parser->at++;
	parser->word.length = parser->at - parser->word.text;
	return parser->word.length;
}

static bool is_word(struct piece word, const char *text)
{
	return word.length == strlen(text) &&
	       !memcmp(word.text, text, word.length);
}

static int refuse(struct parser *parser, int error, const char *expected)
{
	parser->expected = expected;
	return error;
}

static int parse_end(struct parser *parser)
{
	return next_word(parser) ?
	       refuse(parser, -EINVAL, "expected the end of the line") : 0;
}

/* A number that is not from @min to @max is out of range. */
static int word_number(struct piece word, int min, int max, int *number)
{
	bool negative = word.length > 1 && *word.text == '-';
	size_t i = negative;
	long long value = 0;

	if (!word.length)
		return -EINVAL;
	for (; i < word.length; i++) {
		if (word.text[i] < '0' || word.text[i] > '9')
			return -EINVAL;
		value = value * 10 + (word.text[i] - '0');
		if (value > INT_MAX)
			value = INT_MAX + 1LL;
	}
	if (negative || value < min || value > max)
		return -ERANGE;
	*number = value;
	return 0;
}

static int parse_limit(struct parser *parser, int *limit)
{
	next_word(parser);
	return refuse(parser, word_number(parser->word, 0, INT_MAX, limit),
		      "expected a number, 0 to 2147483647");
}

static int parse_port(struct parser *parser, struct piece word, int *port)
{
	/* A selector has no sign: the port before the dash is missing. */
	int error = word.length && *word.text == '-' ? -EINVAL :
		    word_number(word, 1, 65535, port);

	return refuse(parser, error,
		      "expected *, a port or PORT-PORT, 1 to 65535");
}

/* Read a byte from @at, before @end: itself, or in octal; NULL if it is neither. */
static const char *parse_byte(const char *at, const char *end, char *byte)
{
	unsigned int value = 0;

	if (*at != '\\') {
		*byte = *at;
		return at + 1;
	}
	if (end - at < 4)
		return NULL;
	for (int i = 1; i < 4; i++) {
		if (at[i] < '0' || at[i] > '7')
			return NULL;
		value = value * 8 + (at[i] - '0');
	}
	*byte = value;
	return value <= UCHAR_MAX ? at + 4 : NULL;
}

/* Write a byte of a name as in the file `unix`. */
static char *put_byte(char *to, char byte, bool octal)
{
	if (octal || byte <= ' ' || byte > '~' || byte == '\\')
		return to + sprintf(to, "\\%03o", (unsigned char)byte);
	*to = byte;
	return to + 1;
}

/* "unix:*", "unix:PATH", "unix:@NAME"; stored as in the file, whatever was in octal. */
static int parse_name(struct parser *parser, struct rule *rule)
{
	const char *at = parser->word.text + strlen(UNIX_PREFIX);
	const char *end = parser->word.text + parser->word.length;
	bool is_abstract = at < end && *at == '@';
	bool is_one = end - at == 1;
	char bytes[UNIX_NAME_MAX] = "", *to = rule->name;
	int length = is_abstract, i;

	parser->expected =
		"expected unix:*, unix:PATH or unix:@NAME, up to 108 bytes, a blank as \\040";
	if (is_one && *at == '*') {
		strcpy(rule->name, "*");
		return 0;
	}
	for (at += is_abstract; at < end; length++) {
		if (length == UNIX_NAME_MAX)
			return -EINVAL;
		at = parse_byte(at, end, &bytes[length]);
		if (!at || (!bytes[length] && !is_abstract))
			return -EINVAL;
	}
	if (!length)
		return -EINVAL;
	i = is_abstract;
	if (is_abstract)
		*to++ = '@';
	else
		to = put_byte(to, bytes[i++],
			      *bytes == '@' || (length == 1 &&
						(*bytes == '-' || *bytes == '*')));
	for (; i < length; i++)
		to = put_byte(to, bytes[i], false);
	*to = '\0';
	return 0;
}

/* "*", "PORT", "PORT-PORT", or a Unix socket's name. */
static int parse_selector(struct parser *parser, struct rule *rule)
{
	struct piece first = parser->word, last = parser->word;
	const char *dash = memchr(first.text, '-', first.length);
	int error;

	*rule = (struct rule) { 0, 65535, -1, -1, -1, parser->fresh, "" };
	if (parser->word.length >= strlen(UNIX_PREFIX) &&
	    !memcmp(parser->word.text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return parse_name(parser, rule);
	if (is_word(parser->word, "*"))
		return 0;
	if (dash) {
		first.length = dash - first.text;
		last.text = dash + 1;
		last.length = parser->word.length - first.length - 1;
	}
	error = parse_port(parser, first, &rule->first) ?:
		parse_port(parser, last, &rule->last);
	if (!error && rule->first > rule->last)
		error = refuse(parser, -EINVAL, "the range is reversed");
	return error;
}

/* "somaxconn N [floor M]", "floor M", "force N"; the first word was read. */
static int parse_rule(struct parser *parser, struct rule *rule)
{
	int error;

	if (is_word(parser->word, "force"))
		return parse_limit(parser, &rule->force) ?: parse_end(parser);
	if (is_word(parser->word, "floor"))
		return parse_limit(parser, &rule->floor) ?: parse_end(parser);
	if (!is_word(parser->word, "somaxconn"))
		return refuse(parser, -EINVAL,
			      "expected somaxconn, floor, force or clear");
	error = parse_limit(parser, &rule->somaxconn);
	if (error || !next_word(parser))
		return error;
	if (!is_word(parser->word, "floor"))
		return refuse(parser, -EINVAL,
			      "expected floor or the end of the line");
	return parse_limit(parser, &rule->floor) ?: parse_end(parser);
}

/* ---- a set of rules ---- */

static bool is_same(const struct rule *a, const struct rule *b)
{
	return a->first == b->first && a->last == b->last &&
	       !strcmp(a->name, b->name);
}

/* Narrower rules come first. */
static bool is_before(const struct rule *a, const struct rule *b)
{
	int wider = (a->last - a->first) - (b->last - b->first);

	/* Rules for Unix sockets come last, and of these the one for all names. */
	if (*a->name || *b->name)
		return !*a->name || (*b->name && strcmp(a->name, "*") &&
				     (!strcmp(b->name, "*") ||
				      strcmp(a->name, b->name) < 0));
	return wider < 0 || (!wider && a->first < b->first);
}

static bool overlap_in_part(const struct rule *a, const struct rule *b)
{
	if (*a->name || *b->name)
		return false;
	return (a->first < b->first && b->first <= a->last && a->last < b->last) ||
	       (b->first < a->first && a->first <= b->last && b->last < a->last);
}

/* Adds a rule, or replaces the one with the same selector. */
static int set(struct rules *rules, const struct rule *rule)
{
	size_t place = 0;

	for (size_t i = 0; i < rules->count; i++) {
		if (is_same(&rules->rule[i], rule)) {
			rules->rule[i] = *rule;
			return 0;
		}
		if (overlap_in_part(&rules->rule[i], rule))
			return -EEXIST;
		if (is_before(&rules->rule[i], rule))
			place = i + 1;
	}
	if (rules->count == RULES_COUNT_MAX)
		return -ENOSPC;
	memmove(&rules->rule[place + 1], &rules->rule[place],
		(rules->count - place) * sizeof(*rule));
	rules->rule[place] = *rule;
	rules->count++;
	return 0;
}

static int clear(struct rules *rules, const struct rule *like)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (!is_same(&rules->rule[i], like))
			continue;
		rules->count--;
		memmove(&rules->rule[i], &rules->rule[i + 1],
			(rules->count - i) * sizeof(*like));
		return 0;
	}
	return -ENOENT;
}

/* Parse one line, and apply it to @rules. */
static int parse_line(struct parser *parser, struct rules *rules)
{
	struct rule rule;
	struct piece selector;
	int error;

	if (!next_word(parser) || *parser->word.text == '#')
		return 0;
	if (is_word(parser->word, "flush")) {
		rules->count = 0;
		return parse_end(parser);
	}
	selector = parser->word;
	error = parse_selector(parser, &rule);
	if (error)
		return error;

	next_word(parser);
	if (is_word(parser->word, "clear")) {
		error = parse_end(parser);
		if (error)
			return error;
		error = clear(rules, &rule);
		parser->expected = "has no rule to clear";
	} else {
		error = parse_rule(parser, &rule);
		if (error)
			return error;
		error = set(rules, &rule);
		parser->expected = error == -EEXIST ?
			"overlaps the range of another rule in part" :
			"one rule too many, 1024 are the limit";
	}
	/* An error from here on is about the selector. */
	parser->word = selector;
	return error;
}

/* "line 3: 'foo': expected ..." */
static void describe(const struct parser *parser, char said[TEXT_SIZE])
{
	size_t length = parser->word.length;

	if (length)
		snprintf(said, TEXT_SIZE, "line %u: '%.*s'%s: %s", parser->line,
			 length < WORD_SHOWN ? (int)length : WORD_SHOWN,
			 parser->word.text, length > WORD_SHOWN ? "..." : "",
			 parser->expected);
	else
		snprintf(said, TEXT_SIZE, "line %u: its end: %s", parser->line,
			 parser->expected);
}

/**
 * rules_take() - change rules as a text says
 * @rules: the rules
 * @text: lines; may hold any byte
 * @length: its length
 * @fresh: mark rules that are changed as fresh
 * @said: on error: what is wrong
 *
 * Return: 0, or the negative errno that writing the text would have.
 */
int rules_take(struct rules *rules, const char *text, size_t length,
	       bool fresh, char said[TEXT_SIZE])
{
	struct parser parser = { .fresh = fresh };
	const char *end = text + length;
	int error = 0;

	for (; text < end && !error; text = parser.line_end + 1) {
		parser.line++;
		parser.at = text;
		parser.line_end = memchr(text, '\n', end - text) ?: end;
		error = parse_line(&parser, rules);
	}
	if (error)
		describe(&parser, said);
	return error;
}

/* ---- what rules do ---- */

/* Whether the rule is for the listener, unless another one is narrower. */
bool rule_holds(const struct rule *rule, const struct listener *listener)
{
	if (*rule->name || is_unix(listener))
		return is_unix(listener) &&
		       (!strcmp(rule->name, "*") ||
			!strcmp(rule->name, listener->word[LOCAL]));
	return listener->local.family && rule->first <= listener->local.port &&
	       listener->local.port <= rule->last;
}

/* The rule that acts; NULL if none does. */
const struct rule *rule_of(const struct rules *rules,
			   const struct listener *listener)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rule_holds(&rules->rule[i], listener))
			return &rules->rule[i];
	return NULL;
}

/**
 * rule_limit() - the limit that a rule gives a listener
 * @rule: the rule; NULL for none
 * @listener: the listener
 *
 * The kernel compares without a sign: -1 asks for as much as possible. If the
 * backlog that was asked for is unknown, the one that was granted is used.
 *
 * Return: the limit, or UNKNOWN.
 */
long long rule_limit(const struct rule *rule, const struct listener *listener)
{
	long long limit = listener->figure[GRANTED];
	long long asked = listener->figure[ASKED];

	if (!rule)
		return limit;
	if (rule->force >= 0)
		return rule->force;
	if (rule->somaxconn >= 0) {
		if (asked != UNKNOWN)
			limit = (uint32_t)asked;
		if (limit > rule->somaxconn)
			limit = rule->somaxconn;
	}
	if (rule->floor >= 0 && limit != UNKNOWN && limit < rule->floor)
		limit = rule->floor;
	return limit;
}

/* ---- writing rules ---- */

/* "*", "8080", "8000-8099", "unix:@name"; cut if it is too long. */
void rule_ports(char text[TEXT_SIZE], const struct rule *rule)
{
	if (*rule->name)
		snprintf(text, TEXT_SIZE, UNIX_PREFIX "%.*s", TEXT_SIZE - 64,
			 rule->name);
	else if (!rule->first)
		strcpy(text, "*");
	else if (rule->first == rule->last)
		snprintf(text, TEXT_SIZE, "%d", rule->first);
	else
		snprintf(text, TEXT_SIZE, "%d-%d", rule->first, rule->last);
}

static void put_clause(char text[TEXT_SIZE], const char *verb, int number)
{
	size_t length = strlen(text);

	if (number >= 0)
		snprintf(text + length, TEXT_SIZE - length, " %s %d", verb,
			 number);
}

/* In the form of the file. */
void rule_text(char text[TEXT_SIZE], const struct rule *rule)
{
	rule_ports(text, rule);
	put_clause(text, "force", rule->force);
	put_clause(text, "somaxconn", rule->somaxconn);
	put_clause(text, "floor", rule->floor);
}
