/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules of clamp, and what they do: rules.c reads them, effect.c says it. */
#ifndef LISTENQ_TOOL_RULES_H
#define LISTENQ_TOOL_RULES_H

#include "listenq.h"

/* How many rules a namespace may have. */
#define RULES_COUNT_MAX	1024

/* So many bytes a name of AF_UNIX may have. */
#define UNIX_NAME_MAX	108

/**
 * struct rule - a rule
 * @first: with @last, the ports that it is for; 0 to 65535 is "*"
 * @last: see @first
 * @somaxconn: takes the place of net.core.somaxconn; these three are -1 where
 *	the rule does not say it
 * @floor: the limit is not below this
 * @force: the limit, whatever was asked for; alone
 * @fresh: it was added, or changed, by what is going to be written
 * @name: of AF_UNIX, the name that it is for as the file `unix` has it, or "*"; else ""
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
 * struct rules - those of a namespace
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

/* ---- saved.c: rules that stay ---- */

const char *saved_write(const struct scope *scope);
const char *saved_restore(void);

/* ---- effect.c ---- */

void effect_print(const struct rules *rules, const struct snapshot *snapshot);
void effect_tell(const struct rules *rules, const struct snapshot *snapshot,
		 bool nobody);

#endif /* LISTENQ_TOOL_RULES_H */
