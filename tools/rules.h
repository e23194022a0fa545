/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of clamp, and their effect: rules.c reads them, effect.c says what they
 * do.
 */
#ifndef LISTENQ_TOOL_RULES_H
#define LISTENQ_TOOL_RULES_H

#include "listenq.h"

/* The largest number of rules of a namespace. */
#define RULES_COUNT_MAX	1024

/* The largest length of a Unix socket's name. */
#define UNIX_NAME_MAX	108

/**
 * struct rule - a rule
 * @first: with @last, its ports; 0 to 65535 is "*"
 * @last: see @first
 * @somaxconn: replaces net.core.somaxconn; this and the next two are -1 if the rule
 *	doesn't have them
 * @floor: the least limit
 * @force: the limit, whatever was asked for; alone
 * @fresh: it was added or changed by the text that is going to be written
 * @name: the Unix socket's name, as in the file `unix`, or "*"; "" for TCP
 */
struct rule {
	int first;
	int last;
	int somaxconn;
	int floor;
	int force;
	bool fresh;
	char name[4 * UNIX_NAME_MAX + 1];
};

/**
 * struct rules - the rules of a namespace
 * @rule: the rules, in order of precedence
 * @count: how many
 */
struct rules {
	struct rule rule[RULES_COUNT_MAX];
	size_t count;
};

/* ---- rules.c ---- */

int rules_take(struct rules *rules, const char *text, size_t length,
	       bool fresh, char said[TEXT_SIZE]);
bool rule_holds(const struct rule *rule, const struct listener *listener);
const struct rule *rule_of(const struct rules *rules,
			   const struct listener *listener);
long long rule_limit(const struct rule *rule, const struct listener *listener);
void rule_ports(char text[TEXT_SIZE], const struct rule *rule);
void rule_text(char text[TEXT_SIZE], const struct rule *rule);

/* ---- clamp.c ---- */

const char *clamp_read(char **text);
const char *clamp_read_file(const char *path, char **text, size_t *length);
const char *clamp_write(const char *text, size_t length);

/* ---- saved.c: rules in files ---- */

const char *saved_write(const struct scope *scope);
const char *saved_restore(void);

/* ---- effect.c ---- */

void effect_print(const struct rules *rules, const struct snapshot *snapshot);
void effect_tell(const struct rules *rules, const struct snapshot *snapshot,
		 bool nobody);

#endif /* LISTENQ_TOOL_RULES_H */
