// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rules do to existing listeners when they are written: which limits change;
 * and the reason if a rule can't do what it seems to be for.
 */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "rules.h"

/* How many rules have a line each. */
#define RULES_TOLD	8

/* ---- listeners that change ---- */

/**
 * struct change - a listener whose limit changes
 * @listener: the listener
 * @to: its new limit
 * @rule: the rule that sets it; NULL: none any more
 */
struct change {
	const struct listener *listener;
	long long to;
	const struct rule *rule;
};

enum { LISTENER, PROCESS, NOW, THEN, BY };

static const struct grid_column change_columns[] = {
	[LISTENER]	= { "LOCAL", .left = true },
	[PROCESS]	= { "PROCESS", .left = true },
	[NOW]		= { "LIMIT" },
	[THEN]		= { "THEN", .style = TITLE },
	[BY]		= { "RULE", .left = true, .style = NOTE },
};

static void limit_text(char text[TEXT_SIZE], long long limit)
{
	if (limit == UNKNOWN)
		strcpy(text, "-");
	else
		snprintf(text, TEXT_SIZE, "%lld", limit);
}

static void change_cell(char text[TEXT_SIZE], const struct grid *grid,
			size_t column, const void *row)
{
	const struct change *change = row;

	(void)grid;
	switch (column) {
	case LISTENER:
		snprintf(text, TEXT_SIZE, "%s", change->listener->word[LOCAL]);
		break;
	case PROCESS:
		snprintf(text, TEXT_SIZE, "%s",
			 listener_comm(change->listener));
		break;
	case NOW:
		limit_text(text, change->listener->figure[LIMIT]);
		break;
	case THEN:
		limit_text(text, change->to);
		break;
	case BY:
		strcpy(text, "none");
		if (change->rule)
			rule_text(text, change->rule);
		break;
	}
}

/**
 * effect_print() - print the listeners whose limit would change
 * @rules: the rules as they would be
 * @snapshot: the listeners
 */
void effect_print(const struct rules *rules, const struct snapshot *snapshot)
{
	struct grid grid = {
		.column = change_columns,
		.columns = ARRAY_SIZE(change_columns),
		.cell = change_cell,
	};
	struct listener **chosen;
	struct change *changes;
	size_t count, changed = 0;

	chosen = allocate(NULL, snapshot->count, sizeof(*chosen));
	changes = allocate(NULL, snapshot->count, sizeof(*changes));
	for (count = 0; count < snapshot->count; count++) {
		struct listener *listener = &snapshot->listener[count];
		struct change change = {
			.listener = listener,
			.rule = rule_of(rules, listener),
		};

		change.to = rule_limit(change.rule, listener);
		if (change.to == listener->figure[LIMIT])
			continue;
		chosen[changed] = listener;
		changes[changed++] = change;
	}
	process_find(chosen, changed, true);
	grid_print(&grid, changes, sizeof(*changes), changed);
	if (!changed)
		puts("no listener's limit would change");
	free(changes);
	free(chosen);
}

/* ---- what a rule can't do ---- */

/**
 * struct effect - what a rule does
 * @holds: how many listeners it matches
 * @acts: how many of these it acts on
 * @changes: how many get another limit by it
 * @blind: a listener whose limit it might raise, if its backlog were known
 * @small: a listener that asked for less
 * @other: a listener that an older, narrower rule acts on
 * @others: how many such listeners
 */
struct effect {
	size_t holds;
	size_t acts;
	size_t changes;
	const struct listener *blind;
	const struct listener *small;
	const struct listener *other;
	size_t others;
};

/* @by: the rule that acts on @listener. */
static void look(struct effect *effect, const struct rule *rule,
		 const struct rule *by, const struct listener *listener)
{
	long long limit;

	if (!rule_holds(rule, listener))
		return;
	effect->holds++;
	if (by != rule) {
		/* Rules that were written together are meant to overlap. */
		effect->others += !by->fresh;
		if (!by->fresh && !effect->other)
			effect->other = listener;
		return;
	}
	effect->acts++;
	limit = rule_limit(rule, listener);
	effect->changes += limit != listener->figure[LIMIT];
	if (rule->somaxconn < 0 || limit == UNKNOWN || limit >= rule->somaxconn)
		return;
	if (listener->figure[ASKED] == UNKNOWN)
		effect->blind = effect->blind ?: listener;
	else
		effect->small = effect->small ?: listener;
}

static void tell_other(const struct effect *effect, const struct rules *rules,
		       const char *rule)
{
	char other[TEXT_SIZE], more[32] = "";

	rule_text(other, rule_of(rules, effect->other));
	if (effect->others > 1)
		snprintf(more, sizeof(more), " and %zu more",
			 effect->others - 1);
	tell("clamp: '%s' does not act on %s%s: '%s' is narrower", rule,
	     effect->other->word[LOCAL], more, other);
}

/* Say it in one line. Return: whether there was something to say. */
static bool tell_of(const struct effect *effect, const struct rules *rules,
		    const struct rule *rule, bool nobody)
{
	const struct listener *blind = effect->blind, *small = effect->small;
	bool everywhere = *rule->name ? !strcmp(rule->name, "*") : !rule->first;
	char text[TEXT_SIZE];

	rule_text(text, rule);
	if (blind)
		tell("clamp: '%s' can't raise %s, %lld: its backlog is not known; 'floor %d' can",
		     text, blind->word[LOCAL], rule_limit(rule, blind),
		     rule->somaxconn);
	else if (effect->other)
		tell_other(effect, rules, text);
	else if (small && !effect->changes && !everywhere)
		tell("clamp: '%s' does not raise %s, which asked for %lld; 'floor %d' does",
		     text, small->word[LOCAL], small->figure[ASKED],
		     rule->somaxconn);
	else if (!effect->holds && nobody && !everywhere)
		tell("clamp: '%s' acts on nobody now: nobody listens there yet, or any more",
		     text);
	else
		return false;
	return true;
}

/**
 * effect_tell() - tell people about rules that can't do what they seem to be for
 * @rules: the rules as written, or as they would be; only fresh ones count
 * @snapshot: the listeners
 * @nobody: tell about rules without listeners, too
 */
void effect_tell(const struct rules *rules, const struct snapshot *snapshot,
		 bool nobody)
{
	const struct rule **by = allocate(NULL, snapshot->count, sizeof(*by));
	size_t told = 0;

	for (size_t j = 0; j < snapshot->count; j++)
		by[j] = rule_of(rules, &snapshot->listener[j]);
	for (size_t i = 0; i < rules->count && told < RULES_TOLD; i++) {
		struct effect effect = { };

		if (!rules->rule[i].fresh)
			continue;
		for (size_t j = 0; j < snapshot->count; j++)
			look(&effect, &rules->rule[i], by[j],
			     &snapshot->listener[j]);
		told += tell_of(&effect, rules, &rules->rule[i], nobody);
	}
	free(by);
}
