// SPDX-License-Identifier: GPL-2.0-only
/* The settings of a network namespace: the sysctls that matter, and the rules. */

#include <stdlib.h>
#include <string.h>

#include "explain.h"

/* The module's limit on a write of rules. */
#define RULES_MAX	524288

static struct rules *read_rules(void)
{
	char *text = proc_text(RULES_MAX, "net/listenq/clamp");
	char said[TEXT_SIZE];
	struct rules *rules;

	if (!text)
		return NULL;
	rules = allocate(NULL, 1, sizeof(*rules));
	rules->count = 0;
	if (rules_take(rules, text, strlen(text), false, said)) {
		free(rules);
		rules = NULL;
	}
	free(text);
	return rules;
}

/* Read the settings of the namespace that was entered; UNKNOWN if none could be. */
void setting_read(struct setting *setting, bool entered)
{
	*setting = (struct setting) {
		UNKNOWN, UNKNOWN, UNKNOWN, NULL
	};
	if (!entered)
		return;
	*setting = (struct setting) {
		.somaxconn = proc_number("sys/net/core/somaxconn"),
		.max_syn_backlog = proc_number("sys/net/ipv4/tcp_max_syn_backlog"),
		.syncookies = proc_number("sys/net/ipv4/tcp_syncookies"),
		.rules = read_rules(),
	};
}

void setting_free(struct setting *setting)
{
	free(setting->rules);
	setting->rules = NULL;
}
