// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq explain: say what is wrong with listeners. It takes two looks, since most
 * of what can be wrong shows in what does not change between them. Saved files are
 * one look, or two if they have a directory "before".
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"

/* Until so long after the module was loaded, its counters say little. */
#define YOUNG_MS	60000

/* Look at the processes of so many listeners, for so long, in each look. */
#define LOOKED_MAX	64
#define LOOKED_MS	1500

/**
 * struct look - listeners and the processes that can accept, at one moment
 * @snapshot: all listeners
 * @chosen: the listeners asked for
 * @count: how many
 * @acceptors: for each listener of @snapshot, the processes; none if no connection
 *	waits
 * @left: how many listeners with waiting connections were not looked at, or only in
 *	part
 */
struct look {
	struct snapshot snapshot;
	struct listener **chosen;
	size_t count;
	struct acceptors *acceptors;
	size_t left;
};

/**
 * struct turn - a listener's place in the order in which processes are looked at
 * @listener: the listener
 * @number: how many listeners of its namespace come before it
 */
struct turn {
	const struct listener *listener;
	size_t number;
};

/* ---- looking ---- */

/* The tool's own namespace first, then a listener of each other, then another of each. */
static int by_turn(const void *x, const void *y)
{
	const struct turn *a = x, *b = y;
	bool own = a->listener->in->own;

	return b->listener->in->own - own ?:
	       (a->number > b->number) - (a->number < b->number) ?:
	       (a->listener->in > b->listener->in) -
	       (a->listener->in < b->listener->in);
}

/* Listeners with waiting connections, in the order to look at them; to free(). */
static struct turn *take_turns(const struct look *look, size_t *turns)
{
	const struct netns_list *list = &look->snapshot.list;
	struct turn *turn = allocate(NULL, look->count, sizeof(*turn));
	size_t *number = calloc(list->count + 1, sizeof(*number));

	if (!number)
		die("not enough memory");
	*turns = 0;
	for (size_t i = 0; i < look->count; i++)
		if (look->chosen[i]->figure[ACCEPTQ] > 0)
			turn[(*turns)++] = (struct turn) {
				.listener = look->chosen[i],
				.number = number[look->chosen[i]->in - list->netns]++,
			};
	free(number);
	if (*turns)
		qsort(turn, *turns, sizeof(*turn), by_turn);
	return turn;
}

/* Taking turns keeps one namespace with thousands of listeners from using up the time. */
static void look_at_processes(struct look *look)
{
	size_t turns;
	struct turn *turn = take_turns(look, &turns);
	long long end_ms;

	/* For all listeners: at the second look, connections may wait at others. */
	if (turns)
		process_find(look->chosen, look->count, true);
	end_ms = now_ms() + LOOKED_MS;
	for (size_t i = 0; i < turns; i++) {
		const struct listener *listener = turn[i].listener;
		struct acceptors *acceptors =
			&look->acceptors[listener - look->snapshot.listener];

		acceptors->left = true;
		if (i < LOOKED_MAX)
			acceptors_find(acceptors, listener, end_ms);
		look->left += acceptors->left;
	}
	free(turn);
}

static void look(struct look *look, const struct scope *scope,
		 const struct filter *filter, struct look *before)
{
	long long uptime_ms;
	const char *why;

	why = snapshot_take(scope, &look->snapshot);
	if (why)
		die("%s", why);
	/* For saved files, use the time when they were saved, not when they are read. */
	if (!proc_is_live()) {
		uptime_ms = proc_uptime_ms();
		look->snapshot.taken_ms = uptime_ms == UNKNOWN ? 0 : uptime_ms;
	}
	if (before)
		snapshot_rates(&look->snapshot, &before->snapshot);
	/* Processes that were found in another directory say nothing about this one. */
	for (size_t i = 0; !proc_is_live() && i < look->snapshot.count; i++)
		holder_free(&look->snapshot.listener[i].holder);
	look->chosen = choose(&look->snapshot, filter, BY_FILL, false,
			      &look->count);
	look->acceptors = calloc(look->snapshot.count + 1,
				 sizeof(*look->acceptors));
	if (!look->acceptors)
		die("not enough memory");
	look_at_processes(look);
}

static void look_end(struct look *look)
{
	for (size_t i = 0; i < look->snapshot.count; i++)
		acceptors_free(&look->acceptors[i]);
	free(look->acceptors);
	free(look->chosen);
	snapshot_free(&look->snapshot);
}

/* Take the first look; false if saved files have none. */
static bool look_before(struct look *first, const struct scope *scope,
			const struct filter *filter, double seconds)
{
	const char *dir = proc_dir;
	char before[PATH_MAX];

	if (proc_is_live()) {
		look(first, scope, filter, NULL);
		pause_for(seconds);
		return true;
	}
	if (!proc_before(before))
		return false;
	proc_dir = before;
	look(first, scope, filter, NULL);
	proc_dir = dir;
	return true;
}

/* ---- findings ---- */

static void test(const struct subject *subject, struct outcome *outcome)
{
	bool found[TOPICS] = { };

	for (size_t i = 0; i < findings_count; i++) {
		struct report one = {
			.finding = findings[i].name,
			.listener = subject->listener,
		};

		if (found[findings[i].topic] ||
		    !findings[i].test(subject, &one))
			continue;
		found[findings[i].topic] = true;
		*report_add(&outcome->report, &outcome->reports) = one;
	}
}

static struct setting *read_settings(const struct snapshot *snapshot)
{
	struct setting *setting = allocate(NULL, snapshot->list.count,
					   sizeof(*setting));
	const char *why;

	for (size_t i = 0; i < snapshot->list.count; i++) {
		why = netns_enter(&snapshot->list.netns[i]);
		setting_read(&setting[i], !why);
		why = why ? NULL : netns_leave();
		if (why)
			die("%s", why);
	}
	return setting;
}

/* The group of each listener, in the order of the snapshot. */
static struct members *count_members(const struct snapshot *snapshot)
{
	struct listener **all = allocate(NULL, snapshot->count, sizeof(*all));
	struct group *group = allocate(NULL, snapshot->count, sizeof(*group));
	struct members *members = allocate(NULL, snapshot->count,
					   sizeof(*members)), in;
	size_t groups, i, j;

	for (i = 0; i < snapshot->count; i++)
		all[i] = &snapshot->listener[i];
	groups = group_listeners(group, all, snapshot->count, by_place, NULL);
	for (i = 0; i < groups; i++) {
		in = (struct members) { };
		for (j = 0; j < group[i].count; j++) {
			const long long *figure = group[i].listener[j]->figure;

			in.count += figure[GROUP] > 1;
			in.idle += figure[GROUP] > 1 && !figure[ACCEPTQ];
		}
		for (j = 0; j < group[i].count; j++)
			members[group[i].listener[j] - snapshot->listener] = in;
	}
	free(group);
	free(all);
	return members;
}

/* The time between the looks at a listener; 0 or less if it had only one. */
static long long elapsed_ms(const struct look *now, const struct look *then,
			    const struct listener *listener)
{
	const struct listener *before = listener->before;

	if (!before)
		return 0;
	if (listener->figure[SINCE_MS] != UNKNOWN &&
	    before->figure[SINCE_MS] != UNKNOWN)
		return listener->figure[SINCE_MS] - before->figure[SINCE_MS];
	return now->snapshot.taken_ms - then->snapshot.taken_ms;
}

static void test_all(struct look *now, struct look *then,
		     struct outcome *outcome)
{
	struct setting *setting = read_settings(&now->snapshot);
	struct members *members = count_members(&now->snapshot);
	struct overflows overflows;

	overflows_find(&overflows, &now->snapshot);
	for (size_t i = 0; i < now->count; i++) {
		struct listener *listener = now->chosen[i];
		size_t place = listener - now->snapshot.listener;
		size_t netns = listener->in - now->snapshot.list.netns;
		struct subject subject = {
			.listener = listener,
			.overflows = &overflows,
			.setting = &setting[netns],
			.members = members[place],
			.acceptors = now->acceptors[place],
		};

		if (then) {
			subject.elapsed_ms = elapsed_ms(now, then, listener);
			if (subject.elapsed_ms <= 0) {
				listener->before = NULL;
				outcome->once++;
				continue;
			}
			subject.before = listener->before;
			acceptors_compare(&subject.acceptors,
					  &then->acceptors[subject.before -
							   then->snapshot.listener]);
		}
		test(&subject, outcome);
	}
	for (size_t i = 0; i < now->snapshot.list.count; i++)
		setting_free(&setting[i]);
	overflows_free(&overflows);
	free(members);
	free(setting);
}

/* Negative where @a comes first: clients are hurt more badly, or more of them. */
static int worse(const void *x, const void *y)
{
	const struct report *a = x, *b = y;

	return (int)b->harm - (int)a->harm ?:
	       (a->clients < b->clients) - (a->clients > b->clients) ?:
	       a->listener->local.port - b->listener->local.port ?:
	       strcmp(a->listener->word[COOKIE], b->listener->word[COOKIE]);
}

/* ---- what can't be known ---- */

__attribute__((format(printf, 3, 4)))
static void unknown_add(struct unknown **unknown, const char *name,
			const char *format, ...)
{
	va_list args;

	(*unknown)->name = name;
	va_start(args, format);
	vsnprintf((*unknown)->text, sizeof((*unknown)->text), format, args);
	va_end(args);
	for (char *end = (*unknown)->text; (end = strchr(end, '\n')); )
		*end = ' ';
	(*unknown)++;
}

/* The first hook in that state, and how many there are. */
static const char *hooks_in(const struct rows *hooks, const char *state,
			    size_t *count)
{
	int symbol = rows_column(hooks, "symbol");
	int column = rows_column(hooks, "state");
	const char *first = NULL;

	*count = 0;
	for (size_t i = 0; i < hooks->count; i++) {
		if (strcmp(rows_cell(hooks, i, column), state))
			continue;
		first = first ?: rows_cell(hooks, i, symbol);
		(*count)++;
	}
	return first;
}

/* How long ago the module was loaded, by listeners that are older; UNKNOWN. */
static long long loaded_ms(const struct look *look)
{
	long long since = UNKNOWN;

	for (size_t i = 0; i < look->count; i++) {
		const long long *figure = look->chosen[i]->figure;

		if (figure[ASKED] == UNKNOWN && figure[SINCE_MS] != UNKNOWN &&
		    (since == UNKNOWN || figure[SINCE_MS] > since))
			since = figure[SINCE_MS];
	}
	return since;
}

/* How many listeners have counters that may have missed something. */
static size_t count_blind(const struct look *look)
{
	size_t count = 0;

	for (size_t i = 0; i < look->count; i++)
		count += look->chosen[i]->figure[OVERFLOWS] == UNKNOWN ||
			 (look->chosen[i]->figure[SYNS] == UNKNOWN &&
			  !is_unix(look->chosen[i]));
	return count;
}

static void find_unknowns(const struct look *look, struct outcome *outcome)
{
	static const char * const states[] = { "silenced", "missing" };
	struct unknown *end = outcome->unknown;
	size_t unsearched = process_unsearched(&look->snapshot);
	long long since = loaded_ms(look);
	const char *first;
	size_t count, i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		first = hooks_in(look->snapshot.hooks, states[i], &count);
		if (first)
			unknown_add(&end, i ? "hooks-missing" : "hooks-silenced",
				    "%s (%.60s%s): what they serve is not\n"
				    "known, and nothing is concluded from\n"
				    "it. See /proc/net/listenq/hooks.",
				    count_of(count, i ? "hook is missing" :
					     "hook is silenced",
					     i ? "hooks are missing" :
					     "hooks are silenced"),
				    first, count > 1 ? " and others" : "");
	}
	if (since != UNKNOWN && since < YOUNG_MS)
		unknown_add(&end, "loaded-lately",
			    "The module has been counting for %s: what was\n"
			    "before is not known.",
			    time_of(since));
	count = count_blind(look);
	if (count)
		unknown_add(&end, "counters-unknown",
			    "The counters of %s are not known, so nothing is concluded from them.",
			    count_of(count, "listener", "listeners"));
	if (outcome->once)
		unknown_add(&end, "seen-once",
			    "Of %s only the second look is known, so nothing\n"
			    "is said of what %s.",
			    count_of(outcome->once, "listener", "listeners"),
			    outcome->once == 1 ? "it does" : "they do");
	if (!outcome->twice)
		unknown_add(&end, "one-look",
			    "These are saved files of one moment: what goes\n"
			    "on per second is not known.");
	else if (proc_is_live() && geteuid())
		unknown_add(&end, "not-root",
			    "Only root sees what others' processes do, and\n"
			    "who was turned away.");
	if (snapshot_lacks(&look->snapshot))
		unknown_add(&end, "namespaces-left-out",
			    "Some network namespaces could not be read: nothing\n"
			    "is said of the listeners there.");
	if (unsearched)
		unknown_add(&end, "not-searched",
			    "There was not the time to find out who has %s open.",
			    count_of(unsearched, "socket", "sockets"));
	if (look->left)
		unknown_add(&end, "many-wait",
			    "There was not the time to look at all processes\n"
			    "and threads of %s where connections wait%s.",
			    count_of(look->left, "listener", "listeners"),
			    look->left > 1 ? ": name one of them with -p or -A" : "");
	outcome->unknowns = end - outcome->unknown;
}

/**
 * explain() - say what is wrong with listeners
 * @scope: the namespaces
 * @filter: the listeners
 * @form: the form of the output
 *
 * Return: DONE, or WRONG if something is wrong and the output is not a page.
 */
int explain(const struct scope *scope, const struct filter *filter,
	    const struct explain_form *form)
{
	struct look first = { }, second = { };
	struct outcome outcome = { };
	struct scope all = *scope;
	struct output_file file;
	const char *why = NULL;
	size_t i, j;
	bool twice;

	/* Before anything else, and relative to the caller's own directory. */
	if (form->page)
		why = file_open(&file, form->page);
	if (why)
		die("%s", why);
	all.histograms = true;
	all.module = true;
	all.refused = REFUSED_ALLOWED;
	twice = look_before(&first, &all, filter, form->seconds ?: 1);
	look(&second, &all, filter, twice ? &first : NULL);
	outcome.snapshot = &second.snapshot;
	outcome.chosen = second.chosen;
	outcome.count = second.count;
	outcome.twice = twice;
	test_all(&second, twice ? &first : NULL, &outcome);
	/* The page's table names the processes of all listeners. */
	if (form->page)
		process_find(second.chosen, second.count, true);
	find_unknowns(&second, &outcome);
	reports_closed(&outcome.report, &outcome.reports, &second.snapshot,
		       filter);
	if (outcome.reports)
		qsort(outcome.report, outcome.reports, sizeof(*outcome.report),
		      worse);

	if (form->page)
		why = report_write(&file, &outcome, scope, filter, form);
	else if (form->json)
		explain_json(&outcome);
	else
		explain_text(&outcome, form->verbose);
	if (why)
		die("%s", why);

	for (i = 0; i < outcome.reports; i++) {
		for (j = 0; j < outcome.report[i].lines; j++)
			free(outcome.report[i].line[j].text);
		free(outcome.report[i].line);
	}
	free(outcome.report);
	look_end(&second);
	if (twice)
		look_end(&first);
	return outcome.reports && !form->page ? WRONG : DONE;
}
