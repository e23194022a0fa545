// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules for AF_UNIX listeners, sorted by name, so that a lookup among many is a
 * binary search. clamp.c publishes them together with the rules for ports.
 */
#include <linux/errno.h>
#include <linux/string.h>

#include "clamp.h"
#include "name.h"

/* Order of two names: below 0 if @a comes first, 0 if they are equal. */
static int compare_names(struct unix_name a, struct unix_name b)
{
	if (a.length != b.length)
		return a.length > b.length ? -1 : 1;
	return memcmp(a.bytes, b.bytes, a.length);
}

/*
 * Index of the rule for @name, where length 0 stands for all names. Without such a
 * rule, @found is false and the result is the index at which to insert it.
 */
static unsigned int named_index(const struct clamp_rules *rules,
				struct unix_name name, bool *found)
{
	unsigned int low = 0, high = rules->named_count, at;
	int order;

	*found = false;
	while (low < high) {
		at = low + (high - low) / 2;
		order = compare_names(name, clamp_name(&rules->named[at]));
		if (!order) {
			*found = true;
			return at;
		}
		if (order < 0)
			high = at;
		else
			low = at + 1;
	}
	return low;
}

/**
 * named_rule() - the rule for an AF_UNIX listener
 * @rules: the rules of its namespace; the caller is an RCU reader
 * @name: its name
 *
 * Context: any.
 * Return: the rule for its name, else the rule for all names, else NULL.
 */
const struct clamp_rule *named_rule(const struct clamp_rules *rules,
				    struct unix_name name)
{
	const struct clamp_named *last;
	unsigned int i;
	bool found;

	if (!rules->named_count)
		return NULL;
	i = named_index(rules, name, &found);
	if (found)
		return &rules->named[i].rule;
	last = &rules->named[rules->named_count - 1];
	return last->length ? NULL : &last->rule;
}

/**
 * named_set() - add a rule for AF_UNIX listeners, or replace the one with its name
 * @rules: from clamp_edit()
 * @rule: the rule
 * @name: the name; empty for all names
 *
 * Context: any.
 * Return: 0, or -ENOSPC if there is no room.
 */
int named_set(struct clamp_rules *rules, const struct clamp_rule *rule,
	      struct unix_name name)
{
	struct clamp_named *named;
	unsigned int place;
	bool found;

	place = named_index(rules, name, &found);
	named = rules->named + place;
	if (!found) {
		if (rules_are_full(rules) ||
		    rules->named_count == rules->named_capacity)
			return -ENOSPC;
		memmove(named + 1, named,
			(rules->named_count - place) * sizeof(*named));
		rules->named_count++;
		named->length = name.length;
		memcpy(named->bytes, name.bytes, name.length);
	}
	named->rule = *rule;
	return 0;
}

/**
 * named_clear() - remove a rule for AF_UNIX listeners
 * @rules: from clamp_edit()
 * @name: the name; empty for all names
 *
 * Context: any.
 * Return: 0, or -ENOENT if no rule has exactly this name.
 */
int named_clear(struct clamp_rules *rules, struct unix_name name)
{
	unsigned int i;
	bool found;

	i = named_index(rules, name, &found);
	if (!found)
		return -ENOENT;
	rules->named_count--;
	memmove(&rules->named[i], &rules->named[i + 1],
		(rules->named_count - i) * sizeof(*rules->named));
	return 0;
}
