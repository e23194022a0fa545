// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules for AF_UNIX listeners, by their names: kept in order, so that there can be many
 * and none costs much to find. clamp.c publishes them, with those for ports.
 */
#include <linux/errno.h>
#include <linux/string.h>

#include "clamp.h"
#include "name.h"

/* Where a name stands among others: below 0, before; 0: it is the same. */
static int compare_names(struct unix_name a, struct unix_name b)
{
	if (a.length != b.length)
		return a.length > b.length ? -1 : 1;
	return memcmp(a.bytes, b.bytes, a.length);
}

/*
 * The index of the rule for a name, or for all where its length is 0; where there is
 * none, the index that it would have, and @found is false.
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
 * Return: that for its name, or that for all names, or NULL.
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
 * named_set() - add a rule for AF_UNIX listeners, or replace that of the same name
 * @rules: from clamp_edit()
 * @rule: the rule
 * @name: the name; empty for all names
 *
 * Context: any.
 * Return: 0, or -ENOSPC where there is no room.
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
 * named_clear() - take a rule for AF_UNIX listeners away
 * @rules: from clamp_edit()
 * @name: the name; empty for all names
 *
 * Context: any.
 * Return: 0, or -ENOENT if there is none for just this.
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
