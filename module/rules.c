// SPDX-License-Identifier: GPL-2.0-only
/*
 * The grammar of rules: parses and prints them. Documentation/clamp.rst describes
 * them; clamp.c applies them.
 *
 *	SELECTOR somaxconn N [floor M]
 *	SELECTOR floor M
 *	SELECTOR force N
 *	SELECTOR clear
 *	flush
 *	# a comment
 *
 * SELECTOR is *, PORT or PORT-PORT; of AF_UNIX it is unix:*, unix:PATH or
 * unix:@NAME, with \ and three octal digits for any byte.
 *
 * For the file clamp, in process context, with no lock held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <net/net_namespace.h>

#include "clamp.h"
#include "row.h"
#include "rules.h"

/* Prefix of AF_UNIX selectors. */
#define PREFIX	"unix:"

/* ---- rules to text ---- */

static void put_clause(struct seq_file *m, const char *verb, int number)
{
	if (number >= 0)
		seq_printf(m, " %s %d", verb, number);
}

/**
 * put_rule() - print a rule as a line that can be written back
 * @m: the file
 * @rule: the rule
 * @name: of an AF_UNIX rule, its name
 *
 * Context: any.
 */
void put_rule(struct seq_file *m, const struct clamp_rule *rule,
	      struct unix_name name)
{
	char selector[sizeof(PREFIX) + 4 * UNIX_NAME_MAX];
	char *end;

	if (selector_is_unix(rule->selector))
		end = put_name_rule(selector, name, rule->selector);
	else
		end = put_ports(selector, rule->selector.first,
				rule->selector.last);
	*end = '\0';
	seq_puts(m, selector);
	put_clause(m, "force", rule->force);
	put_clause(m, "somaxconn", rule->somaxconn);
	put_clause(m, "floor", rule->floor);
	seq_putc(m, '\n');
}

/* ---- text to rules ---- */

/* Part of the text, not NUL-terminated: a write may hold any byte. */
struct word {
	const char *text;
	size_t length;
};

/**
 * struct parser - the place in the text that is parsed
 * @at: the next byte of the line
 * @line_end: end of the line
 * @line: number of the line, from 1
 * @word: the latest word; empty at the end of the line
 * @name: name in the latest AF_UNIX selector
 * @bytes: the bytes of @name
 * @expected: after an error: what was expected, or what is wrong with @word
 */
struct parser {
	const char *at;
	const char *line_end;
	unsigned int line;
	struct word word;
	struct unix_name name;
	char bytes[UNIX_NAME_MAX];
	const char *expected;
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

static bool is_word(struct word word, const char *text)
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
	if (next_word(parser))
		return refuse(parser, -EINVAL, "expected the end of the line");
	return 0;
}

/*
 * Parse a decimal number from @min to @max. Any other number is -ERANGE, however
 * many digits it has.
 */
static int parse_number(struct word word, int min, int max, int *number)
{
	bool negative = word.length > 1 && *word.text == '-';
	size_t i = negative;
	s64 value = 0;

	if (!word.length)
		return -EINVAL;
	for (; i < word.length; i++) {
		if (!isascii(word.text[i]) || !isdigit(word.text[i]))
			return -EINVAL;
		value = min_t(s64, value * 10 + (word.text[i] - '0'), S32_MAX + 1LL);
	}
	if (negative || value < min || value > max)
		return -ERANGE;
	*number = value;
	return 0;
}

static int parse_limit(struct parser *parser, int *limit)
{
	next_word(parser);
	return refuse(parser, parse_number(parser->word, 0, INT_MAX, limit),
		      "expected a number, 0 to 2147483647");
}

static int parse_port(struct parser *parser, struct word word, int *port)
{
	/* A leading dash is no sign: the first port is missing. */
	int err = word.length && *word.text == '-' ? -EINVAL :
		  parse_number(word, 1, U16_MAX, port);

	return refuse(parser, err,
		      "expected *, a port or PORT-PORT, 1 to 65535");
}

/* Parse a byte before @end, plain or in octal. Returns NULL if malformed. */
static const char *parse_byte(const char *at, const char *end, char *byte)
{
	unsigned int value = 0;
	unsigned int i;

	if (*at != '\\') {
		*byte = *at;
		return at + 1;
	}
	if (end - at < 4)
		return NULL;
	for (i = 1; i < 4; i++) {
		if (at[i] < '0' || at[i] > '7')
			return NULL;
		value = value * 8 + (at[i] - '0');
	}
	*byte = value;
	return value <= U8_MAX ? at + 4 : NULL;
}

/* unix:*, unix:PATH or unix:@NAME */
static int parse_name(struct parser *parser, struct selector *selector)
{
	const char *at = parser->word.text + strlen(PREFIX);
	const char *end = parser->word.text + parser->word.length;
	bool is_abstract = at < end && *at == '@';
	unsigned int length = 0;

	parser->expected =
		"expected unix:*, unix:PATH or unix:@NAME, up to 108 bytes, a blank as \\040";
	parser->name.length = 0;
	if (end - at == 1 && *at == '*') {
		*selector = SELECTOR_EVERY_NAME;
		return 0;
	}
	if (is_abstract) {
		parser->bytes[length++] = '\0';
		at++;
	}
	while (at < end) {
		if (length == UNIX_NAME_MAX)
			return -EINVAL;
		at = parse_byte(at, end, &parser->bytes[length]);
		if (!at || (!parser->bytes[length] && !is_abstract))
			return -EINVAL;
		length++;
	}
	if (!length)
		return -EINVAL;
	parser->name.bytes = parser->bytes;
	parser->name.length = length;
	*selector = SELECTOR_NAME;
	return 0;
}

static bool is_of_unix(struct word word)
{
	return word.length >= strlen(PREFIX) &&
	       !memcmp(word.text, PREFIX, strlen(PREFIX));
}

/* *, PORT, PORT-PORT or an AF_UNIX selector */
static int parse_selector(struct parser *parser, struct selector *selector)
{
	struct word first = parser->word, last = parser->word;
	const char *dash = memchr(first.text, '-', first.length);
	int ports[2];
	int err;

	if (is_of_unix(parser->word))
		return parse_name(parser, selector);
	if (is_word(parser->word, "*")) {
		selector->first = 0;
		selector->last = U16_MAX;
		return 0;
	}
	if (dash) {
		first.length = dash - first.text;
		last.text = dash + 1;
		last.length = parser->word.length - first.length - 1;
	}
	err = parse_port(parser, first, &ports[0]);
	if (!err)
		err = parse_port(parser, last, &ports[1]);
	if (err)
		return err;
	if (ports[0] > ports[1])
		return refuse(parser, -EINVAL, "the range is reversed");
	selector->first = ports[0];
	selector->last = ports[1];
	return 0;
}

/* somaxconn N [floor M], floor M or force N; the first word has been read */
static int parse_rule(struct parser *parser, struct clamp_rule *rule)
{
	int err;

	rule->somaxconn = -1;
	rule->floor = -1;
	rule->force = -1;

	if (is_word(parser->word, "force")) {
		err = parse_limit(parser, &rule->force);
		return err ?: parse_end(parser);
	}
	if (is_word(parser->word, "floor")) {
		err = parse_limit(parser, &rule->floor);
		return err ?: parse_end(parser);
	}
	if (!is_word(parser->word, "somaxconn"))
		return refuse(parser, -EINVAL,
			      "expected somaxconn, floor, force or clear");
	err = parse_limit(parser, &rule->somaxconn);
	if (err || !next_word(parser))
		return err;
	if (!is_word(parser->word, "floor"))
		return refuse(parser, -EINVAL,
			      "expected floor or the end of the line");
	err = parse_limit(parser, &rule->floor);
	return err ?: parse_end(parser);
}

/* Parse one line, and apply it to @rules. */
static int parse_line(struct parser *parser, struct clamp_rules *rules)
{
	struct clamp_rule rule;
	struct word selector;
	int err;

	if (!next_word(parser) || *parser->word.text == '#')
		return 0;
	if (is_word(parser->word, "flush")) {
		clamp_flush(rules);
		return parse_end(parser);
	}
	selector = parser->word;
	err = parse_selector(parser, &rule.selector);
	if (err)
		return err;

	next_word(parser);
	if (is_word(parser->word, "clear")) {
		err = parse_end(parser);
		if (err)
			return err;
		err = clamp_clear(rules, rule.selector, parser->name);
		parser->expected = "has no rule to clear";
	} else {
		err = parse_rule(parser, &rule);
		if (err)
			return err;
		err = clamp_set(rules, &rule, parser->name);
		parser->expected = err == -EEXIST ?
			"overlaps the range of another rule in part" :
			"one rule too many, 1024 are the limit";
	}
	/* Any error from here on is about the selector. */
	parser->word = selector;
	return err;
}

static int parse_rules(struct parser *parser, const char *text, size_t length,
		       struct clamp_rules *rules)
{
	const char *end = text + length;
	int err = 0;

	for (; text < end && !err; text = parser->line_end + 1) {
		parser->line++;
		parser->at = text;
		parser->line_end = memchr(text, '\n', end - text) ?: end;
		err = parse_line(parser, rules);
		cond_resched();
	}
	return err;
}

/* How many bytes of the word to show in an error. */
#define WORD_SHOWN 24

/* "line 3: 'foo': expected ..."; the word may hold any bytes. */
static void describe_error(const struct parser *parser,
			   char error[CLAMP_ERROR_SIZE])
{
	char word[4 * WORD_SHOWN + 1];
	size_t length = 0;
	size_t i;

	for (i = 0; i < min_t(size_t, parser->word.length, WORD_SHOWN); i++)
		length += scnprintf(word + length, sizeof(word) - length,
				    word_format(parser->word.text[i]),
				    (unsigned char)parser->word.text[i]);
	word[length] = '\0';
	if (length)
		snprintf(error, CLAMP_ERROR_SIZE, "line %u: '%s'%s: %s",
			 parser->line, word,
			 i < parser->word.length ? "..." : "",
			 parser->expected);
	else
		snprintf(error, CLAMP_ERROR_SIZE, "line %u: its end: %s",
			 parser->line, parser->expected);
}

/**
 * rules_refuse() - keep a namespace's rules, and report why a write was refused
 * @net: the namespace
 * @rules: from clamp_edit(), or NULL if it was not called
 * @error: the reason, for human readers
 *
 * Context: process context, may sleep; for privileged writers only, since it prints
 * a line in the kernel log.
 */
void rules_refuse(struct net *net, struct clamp_rules *rules, const char *error)
{
	clamp_refuse(net, rules, error);
	pr_notice_ratelimited("clamp of net:[%u]: %s\n", net->ns.inum, error);
}

static unsigned int count_lines(const char *text, size_t length)
{
	unsigned int count = 1;

	while (length--)
		count += *text++ == '\n';
	return count;
}

/* Upper bound of the number of AF_UNIX rules in a text. */
static unsigned int count_names(const char *text, size_t length)
{
	const char *end = text + length;
	unsigned int count = 0;

	for (; end - text >= (long)strlen(PREFIX); text++)
		count += !memcmp(text, PREFIX, strlen(PREFIX));
	return count;
}

/**
 * rules_take() - change a namespace's rules by a text, all of it or nothing
 * @net: the namespace
 * @text: lines of any bytes
 * @length: number of bytes
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOMEM; or, if the text was refused, -EINVAL, -ERANGE, -EEXIST,
 * -ENOENT or -ENOSPC.
 */
int rules_take(struct net *net, const char *text, size_t length)
{
	struct parser parser = { };
	struct clamp_rules *rules;
	char error[CLAMP_ERROR_SIZE];
	int err;

	rules = clamp_edit(net, count_lines(text, length),
			   count_names(text, length));
	if (!rules)
		return -ENOMEM;
	err = parse_rules(&parser, text, length, rules);
	if (!err) {
		clamp_publish(net, rules);
		return 0;
	}
	describe_error(&parser, error);
	rules_refuse(net, rules, error);
	return err;
}
