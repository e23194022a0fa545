// SPDX-License-Identifier: GPL-2.0-only
/* listenq log: show the clients that were refused, and follow those being refused. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* How often the file is read: refusals that leave it sooner are missed. */
#define FOLLOW_MS	500

/* How much of a note is shown. */
#define NOTE_MAX	200

static void word_text(char text[TEXT_SIZE], const char *word)
{
	snprintf(text, TEXT_SIZE, "%s", word ?: "-");
}

static void number_text(char text[TEXT_SIZE], long long number)
{
	if (number == UNKNOWN)
		strcpy(text, "-");
	else
		snprintf(text, TEXT_SIZE, "%lld", number);
}

/* ---- refusals one by one ---- */

enum { TIME, NETNS, LISTENER, CLIENT, REASON, FULL, HELD, PENDING, PROCESS };

static const struct grid_column log_columns[] = {
	[TIME]		= { "TIME", .left = true, .style = DIM },
	[NETNS]		= { "NETNS", .left = true, .netns = true },
	[LISTENER]	= { "LOCAL", .left = true },
	[CLIENT]	= { "CLIENT", .left = true, .style = TITLE },
	[REASON]	= { "WHY", .left = true, .style = WARN },
	[FULL]		= { "LIMIT" },
	[HELD]		= { "ACCEPTQ" },
	[PENDING]	= { "SYNQ" },
	[PROCESS]	= { "PROCESS", .left = true },
};

static void log_cell(char text[TEXT_SIZE], const struct grid *grid,
		     size_t column, const void *row)
{
	const struct refusal *refusal = *(struct refusal *const *)row;
	const struct listener *listener = &refusal->listener;

	switch (column) {
	case TIME:
		refusal_time(text, refusal, grid->rfc3339);
		break;
	case NETNS:
		word_text(text, listener->netns);
		break;
	case LISTENER:
		word_text(text, listener->word[LOCAL]);
		break;
	case CLIENT:
		word_text(text, listener->word[REMOTE]);
		break;
	case REASON:
		word_text(text, listener->word[WHY]);
		break;
	case FULL:
		number_text(text, listener->figure[LIMIT]);
		break;
	case HELD:
		number_text(text, listener->figure[ACCEPTQ]);
		break;
	case PENDING:
		number_text(text, listener->figure[SYNQ]);
		break;
	case PROCESS:
		word_text(text, listener_caller(listener));
		break;
	}
}

/* For rows that are pointers to refusals. */
struct grid log_grid(bool netns)
{
	return (struct grid) {
		.column = log_columns,
		.columns = ARRAY_SIZE(log_columns),
		.cell = log_cell,
		.netns = netns,
	};
}

/* ---- sums of refusals ---- */

enum { COUNT, TOP_NETNS, NETWORK, TOP_REASON, TOP_LISTENER, TOP_PROCESS, LAST };

static const struct grid_column top_columns[] = {
	[COUNT]		= { "COUNT", .style = TITLE },
	[TOP_NETNS]	= { "NETNS", .left = true, .netns = true },
	[NETWORK]	= { "CLIENTS", .left = true, .style = TITLE },
	[TOP_REASON]	= { "WHY", .left = true, .style = WARN },
	[TOP_LISTENER]	= { "LOCAL", .left = true },
	[TOP_PROCESS]	= { "PROCESS", .left = true },
	[LAST]		= { "LAST", .left = true, .style = DIM },
};

static void top_cell(char text[TEXT_SIZE], const struct grid *grid,
		     size_t column, const void *row)
{
	const struct sum *sum = row;
	const struct listener *listener = &sum->latest->listener;

	switch (column) {
	case COUNT:
		number_text(text, sum->count);
		break;
	case TOP_NETNS:
		word_text(text, listener->netns);
		break;
	case NETWORK:
		refusal_network(text, sum->latest);
		break;
	case TOP_REASON:
		word_text(text, listener->word[WHY]);
		break;
	case TOP_LISTENER:
		word_text(text, listener->word[LOCAL]);
		break;
	case TOP_PROCESS:
		word_text(text, listener_caller(listener));
		break;
	case LAST:
		refusal_time(text, sum->latest, grid->rfc3339);
		break;
	}
}

struct grid top_grid(bool netns)
{
	return (struct grid) {
		.column = top_columns,
		.columns = ARRAY_SIZE(top_columns),
		.cell = top_cell,
		.netns = netns,
	};
}

static void print_sums(struct refusal **refusal, size_t count, bool json,
		       bool netns)
{
	struct grid grid = top_grid(netns);
	struct sum *sum;
	size_t sums;

	sum = sum_up(refusal, count, false, &sums);
	if (json)
		json_sums(sum, sums);
	else
		grid_print(&grid, sum, sizeof(*sum), sums);
	free(sum);
}

/* ---- the command ---- */

/* Notes, each one once; for free_notes(). */
struct notes {
	char **text;
	size_t count;
};

static bool has_note(const struct notes *notes, const char *text)
{
	for (size_t i = 0; i < notes->count; i++)
		if (!strcmp(notes->text[i], text))
			return true;
	return false;
}

static void add_note(struct notes *notes, const char *text)
{
	notes->text = allocate(notes->text, notes->count + 1,
			       sizeof(*notes->text));
	notes->text[notes->count] = strdup(text);
	if (!notes->text[notes->count++])
		die("not enough memory");
}

static void free_notes(struct notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free(notes->text[i]);
	free(notes->text);
	*notes = (struct notes) { };
}

/*
 * Tell the module's notes, which say that it does not see all refusals. Notes in
 * @told were told before, and most namespaces have the same.
 */
static void tell_notes(const struct snapshot *snapshot, struct notes *told)
{
	struct notes now = { };

	for (size_t i = 0; i < snapshot->list.count; i++) {
		const struct rows *rows = snapshot->rows[i][REFUSED];

		for (size_t j = 0; j < rows->notes; j++) {
			if (has_note(&now, rows->note[j]))
				continue;
			add_note(&now, rows->note[j]);
			if (!has_note(told, rows->note[j]))
				tell("%.*s", NOTE_MAX, rows->note[j]);
		}
	}
	free_notes(told);
	*told = now;
}

static atomic_bool stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = true;
}

/* A write is finished first; a second signal ends the program at once. */
static void stop_by(int signal)
{
	struct sigaction action = {
		.sa_handler = stop,
		.sa_flags = SA_RESTART | SA_RESETHAND,
	};

	sigaction(signal, &action, NULL);
}

/* Wait for new refusals. False if interrupted, or if the reader has gone. */
static bool wait_for_more(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO };
	int ready = poll(&output, 1, FOLLOW_MS);

	return !stopped && ready <= 0;
}

/**
 * struct log - a running log command
 * @scope: the namespaces
 * @filter: the listeners
 * @form: the form of the output
 * @grid: its columns
 * @followed: the refusals that were read before
 * @told: the module's notes that were told
 * @why: why the last read failed; empty if it didn't
 * @unreads: how many namespaces could not be read when that was last told
 * @begun: something has been read
 * @gone: the module was not loaded at the last read
 */
struct log {
	const struct scope *scope;
	const struct filter *filter;
	const struct log_form *form;
	struct grid grid;
	struct followed followed;
	struct notes told;
	char why[256];
	size_t unreads;
	bool begun;
	bool gone;
};

static void show(struct log *log, struct snapshot *snapshot)
{
	const struct log_form *form = log->form;
	struct refusal **refusal;
	size_t count, i;

	refusal = allocate(NULL, snapshot->refusals, sizeof(*refusal));
	tell_notes(snapshot, &log->told);
	count = snapshot->refusals;
	for (i = 0; i < count; i++)
		refusal[i] = &snapshot->refusal[i];
	if (form->follow)
		count = follow(&log->followed, snapshot, refusal);
	count = choose_refusals(snapshot, log->filter, refusal, count);

	if (!count && !log->begun && !form->json)
		printf("nobody was turned away%s\n", form->follow ? " yet" : "");
	else if (form->top)
		print_sums(refusal, count, form->json, log->scope->all);
	else if (form->json)
		json_refusals(refusal, count);
	else
		grid_print(&log->grid, refusal, sizeof(*refusal), count);
	log->begun = true;
	free(refusal);
}

/* Read and show once. The module may be unloaded and loaded: say so, and go on. */
static void look(struct log *log)
{
	struct snapshot snapshot;
	const char *why;

	why = snapshot_take(log->scope, &snapshot);
	if (why && !log->begun)
		die("%s", why);
	if (why && strncmp(why, log->why, sizeof(log->why) - 1))
		tell("%s", why);
	snprintf(log->why, sizeof(log->why), "%s", why ?: "");
	if (why) {
		log->gone |= procfile_error("refused") == ENOENT;
		return;
	}
	if (log->unreads != snapshot.unreads)
		snapshot_tell(&snapshot);
	log->unreads = snapshot.unreads;
	if (log->gone) {
		tell("the module is there again");
		forget(&log->followed);
		log->gone = false;
	}
	show(log, &snapshot);
	snapshot_free(&snapshot);
	if (fflush(stdout))
		die("standard output: %m");
}

/**
 * log_print() - show refusals: all there are, or until interrupted
 * @scope: the namespaces
 * @filter: the listeners
 * @form: the form of the output
 */
void log_print(const struct scope *scope, const struct filter *filter,
	       const struct log_form *form)
{
	const struct scope refused = {
		.netns = scope->netns,
		.all = scope->all,
		.refused = filter_is_about_holder(filter) ?
			   REFUSED_NEEDED : REFUSED_ALONE,
	};
	struct log log = {
		.scope = &refused,
		.filter = filter,
		.form = form,
		.grid = log_grid(scope->all),
	};

	if (form->follow) {
		stop_by(SIGINT);
		stop_by(SIGTERM);
	}
	do
		look(&log);
	while (form->follow && wait_for_more());
	forget(&log.followed);
	free_notes(&log.told);
}
