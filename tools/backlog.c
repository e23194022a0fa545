// SPDX-License-Identifier: GPL-2.0-only
/*
 * Findings about bursts that were larger than the queue, and about the reason why
 * the queue was no longer: the backlog the program asked for, what
 * net.core.somaxconn left of it, and rules.
 */

#include <stdlib.h>
#include <string.h>

#include "explain.h"

/* Refusals further apart belong to two bursts. */
#define BURST_MS	10000
/* A program that asks for more wants as much as possible, and not that number. */
#define LIMIT_MAX	65535
/* Where only calls were counted, not clients, advise at most so many times the limit. */
#define TIMES_LONGER	32
#define SYSCTL_FILE	"/etc/sysctl.d/60-listenq.conf"

/* ---- the size of a burst ---- */

static int by_remote(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By listener; the latest first. */
static int by_listener(const void *x, const void *y)
{
	const struct refusal *a = *(struct refusal *const *)x;
	const struct refusal *b = *(struct refusal *const *)y;

	return strcmp(a->listener.netns ?: "", b->listener.netns ?: "") ?:
	       strcmp(a->listener.word[COOKIE], b->listener.word[COOKIE]) ?:
	       (a->when_ms < b->when_ms) - (a->when_ms > b->when_ms);
}

/**
 * overflows_find() - sort the refusals of full accept queues by listener
 * @overflows: filled, for overflows_free()
 * @snapshot: the snapshot, with refusals
 */
void overflows_find(struct overflows *overflows, const struct snapshot *snapshot)
{
	*overflows = (struct overflows) {
		.refusal = allocate(NULL, snapshot->refusals,
				    sizeof(*overflows->refusal)),
	};
	for (size_t i = 0; i < snapshot->refusals; i++) {
		const struct refusal *refusal = &snapshot->refusal[i];

		if (refusal->when_ms != UNKNOWN &&
		    !strncmp(refusal->listener.word[WHY], "acceptq", 7))
			overflows->refusal[overflows->count++] = refusal;
	}
	qsort(overflows->refusal, overflows->count, sizeof(*overflows->refusal),
	      by_listener);
}

void overflows_free(struct overflows *overflows)
{
	free(overflows->refusal);
}

/* The index of the latest refusal by @listener. */
static size_t first_of(const struct overflows *overflows,
		       const struct listener *listener)
{
	const struct refusal latest = {
		.listener.netns = listener->netns,
		.listener.word[COOKIE] = listener->word[COOKIE],
		.when_ms = LLONG_MAX,
	}, *key = &latest;
	size_t low = 0, high = overflows->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (by_listener(&overflows->refusal[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_of(const struct refusal *refusal, const struct listener *listener)
{
	return refusal->listener.netns == listener->netns &&
	       !strcmp(refusal->listener.word[COOKIE], listener->word[COOKIE]);
}

/**
 * struct burst - the latest burst
 * @held: how many connections the queue held
 * @clients: how many clients were refused, each counted once however often it tried;
 *	UNKNOWN where the file can't be read or has none
 */
struct burst {
	long long held;
	long long clients;
};

static struct burst find_burst(const struct subject *subject)
{
	const struct overflows *overflows = subject->overflows;
	const struct listener *listener = subject->listener;
	size_t first = first_of(overflows, listener), count, i;
	struct burst burst = { .held = UNKNOWN, .clients = UNKNOWN };
	const struct refusal *const *refusal = overflows->refusal + first;
	const char **remote;

	for (count = 0; first + count < overflows->count; count++)
		if (!is_of(refusal[count], listener) ||
		    (count && refusal[count - 1]->when_ms -
			      refusal[count]->when_ms > BURST_MS))
			break;
	remote = allocate(NULL, count, sizeof(*remote));
	for (i = 0; i < count; i++) {
		const struct listener *then = &refusal[i]->listener;

		remote[i] = then->word[REMOTE];
		if (then->figure[ACCEPTQ] > burst.held)
			burst.held = then->figure[ACCEPTQ];
	}
	qsort(remote, count, sizeof(*remote), by_remote);
	if (count)
		burst.clients = 0;
	for (i = 0; i < count; i++)
		burst.clients += !i || strcmp(remote[i], remote[i - 1]);
	free(remote);
	/* A full queue holds one more than its limit. */
	if (burst.held <= 0)
		burst.held = listener->figure[LIMIT] + 1;
	return burst;
}

/* ---- the reason for the limit ---- */

/* Compared without a sign, as in the kernel. */
static bool is_cut(const struct listener *listener)
{
	const long long *figure = listener->figure;

	return figure[ASKED] != UNKNOWN && figure[GRANTED] != UNKNOWN &&
	       (uint32_t)figure[ASKED] > figure[GRANTED] &&
	       figure[LIMIT] == figure[GRANTED];
}

static bool is_ruled(const struct listener *listener)
{
	return strcmp(listener->word[RULE], "-") &&
	       listener->figure[GRANTED] != UNKNOWN &&
	       listener->figure[LIMIT] != listener->figure[GRANTED];
}

/*
 * A somaxconn rule that does nothing for this listener. Such a rule limits the
 * backlog that was asked for. That is unknown for a listener from before the module
 * was loaded, and the backlog that was granted is used instead.
 */
static const struct rule *idle_rule(const struct subject *subject)
{
	const struct rules *rules = subject->setting->rules;
	const long long *figure = subject->listener->figure;
	const struct rule *rule;

	if (!rules || figure[ASKED] != UNKNOWN || figure[LIMIT] == UNKNOWN ||
	    figure[LIMIT] != figure[GRANTED])
		return NULL;
	rule = rule_of(rules, subject->listener);
	return rule && rule->force < 0 && rule->somaxconn > figure[LIMIT] &&
	       rule->floor <= figure[LIMIT] ? rule : NULL;
}

static long long power_of_two(long long from)
{
	long long power = 16;

	while (power < from && power < 1 << 30)
		power *= 2;
	return power;
}

static void say_limit(struct report *report, const struct subject *subject,
		      long long wanted)
{
	const struct listener *listener = subject->listener;
	const long long *figure = listener->figure;
	long long today = subject->setting->somaxconn;
	const struct rule *idle = idle_rule(subject);
	char ports[TEXT_SIZE];

	if (is_ruled(listener)) {
		say(report, CAUSE,
		    "The rule for %s makes the limit %lld; without it the\n"
		    "kernel grants %lld.",
		    listener->word[RULE], figure[LIMIT], figure[GRANTED]);
	} else if (is_cut(listener)) {
		say(report, CAUSE,
		    "The program asked for %lld%s, and net.core.somaxconn\n"
		    "left %lld of that when it called listen().",
		    figure[ASKED], (uint32_t)figure[ASKED] < INT_MAX ? "" :
		    " (all there is)", figure[GRANTED]);
		if (today != UNKNOWN && today != figure[GRANTED])
			say(report, CAUSE,
			    "Today somaxconn is %lld: what the program gets\n"
			    "when it calls listen() again, and not before.",
			    today);
	} else if (figure[ASKED] != UNKNOWN) {
		say(report, CAUSE,
		    "The program asked for %lld itself, and got %lld.",
		    figure[ASKED], figure[LIMIT]);
		if (today != UNKNOWN && today < wanted)
			say(report, CAUSE,
			    "If it asked for more, net.core.somaxconn would\n"
			    "leave %lld.",
			    today);
	} else {
		say(report, CAUSE,
		    "What the program asked for is not known: it was\n"
		    "listening before the module was loaded, or its listen()\n"
		    "was missed.");
	}
	if (!idle)
		return;
	rule_ports(ports, idle);
	say(report, CAUSE,
	    "The rule '%s somaxconn %d' can't raise it: it works\n"
	    "on what was asked for.", ports, idle->somaxconn);
}

static void say_somaxconn(struct report *report, const struct subject *subject,
			  long long wanted)
{
	const struct listener *listener = subject->listener;

	say(report, FOR_GOOD,
	    "Let the kernel grant that, from the next listen() on:");
	command_in(report, FOR_GOOD, listener, "sysctl -w net.core.somaxconn=%lld",
		   wanted);
	if (!listener->in->own)
		say(report, FOR_GOOD,
		    "And again wherever this namespace is made, a\n"
		    "container's configuration for example.");
	else
		command(report, FOR_GOOD,
			"echo net.core.somaxconn=%lld >" SYSCTL_FILE, wanted);
}

/**
 * limit_advice() - give the reason for a listener's limit, and how to raise it
 * @subject: the listener
 * @report: gets the reason, and the advice
 * @least: the limit that it should have at least
 *
 * Return: true.
 */
bool limit_advice(const struct subject *subject, struct report *report,
		  long long least)
{
	const struct listener *listener = subject->listener;
	long long asked = listener->figure[ASKED];
	long long today = subject->setting->somaxconn;
	long long wanted = power_of_two(least);
	bool cut = is_cut(listener), is_asked;

	/* The backlog that it asked for, where that is enough. */
	if (cut && asked >= wanted && asked <= LIMIT_MAX)
		wanted = asked;
	is_asked = asked != UNKNOWN && (uint32_t)asked >= wanted;
	say_limit(report, subject, wanted);
	if (cut && is_asked && today != UNKNOWN && today >= wanted)
		say(report, NOW,
		    "Let the program call listen() again (a reload, or a\n"
		    "restart). Without that:");
	else
		say(report, NOW,
		    "A longer queue, without a restart, for as long as the\n"
		    "module is loaded:");
	command_listenq(report, NOW, listener, "clamp %s %s %lld",
			selector_of(listener),
			cut && is_asked ? "somaxconn" : "floor", wanted);

	if (is_ruled(listener))
		say(report, FOR_GOOD,
		    "Change the rule for %s where it is set at boot.",
		    listener->word[RULE]);
	if (!is_asked)
		say(report, FOR_GOOD,
		    "A backlog of %lld or more in the program's\n"
		    "configuration.",
		    wanted);
	if (today != UNKNOWN && today < wanted)
		say_somaxconn(report, subject, wanted);
	return true;
}

/* ---- findings ---- */

static bool has_burst(const struct subject *subject)
{
	const long long *figure = subject->listener->figure;

	/* Recently, and under the present limit. */
	if (is_unix(subject->listener))
		return recent(subject, EAGAINS) > 0 &&
		       figure[LIMIT] != UNKNOWN &&
		       (subject->listener->rate[EAGAINS] > 0 ||
			figure[ACCEPTQ_PEAK] == UNKNOWN ||
			figure[ACCEPTQ_PEAK] > figure[LIMIT]);
	return figure[OVERFLOWS] > 0 && figure[SINCE_OVERFLOW_MS] != UNKNOWN &&
	       figure[SINCE_OVERFLOW_MS] <= RECENT_MS &&
	       figure[LIMIT] != UNKNOWN;
}

/* A Unix socket's clients, and the times of their calls, are not known. */
static bool report_eagains(const struct subject *subject, struct report *report)
{
	const long long *figure = subject->listener->figure;
	long long count = recent(subject, EAGAINS);
	long long wanted = figure[LIMIT] + at_most(count, INT_MAX);

	report->harm = subject->listener->rate[EAGAINS] > 0 ? ARE : WERE;
	report->clients = count;
	say(report, HEADLINE, "connect() got EAGAIN: the queue was full");
	say_queue(report, subject);
	if (subject->listener->rate[EAGAINS] > 0)
		say(report, EVIDENCE, "%s of them in the %s between two looks.",
		    number_of(figure[EAGAINS] - subject->before->figure[EAGAINS]),
		    time_of(subject->elapsed_ms));
	say(report, EVIDENCE,
	    "A limit of %lld would have held all of them, had they come at\n"
	    "once; less does where they did not, or tried more than once.",
	    wanted);
	say(report, FOR_GOOD,
	    "More workers, where it accepts too slowly: a longer queue only\n"
	    "holds bursts.");
	/* A client that keeps trying makes many calls. */
	if (wanted > TIMES_LONGER * (figure[LIMIT] + 1))
		wanted = TIMES_LONGER * (figure[LIMIT] + 1);
	return limit_advice(subject, report, at_most(wanted, LIMIT_MAX));
}

static bool report_burst(const struct subject *subject, struct report *report)
{
	const long long *figure = subject->listener->figure;
	struct burst burst;
	long long wanted;

	if (is_unix(subject->listener))
		return report_eagains(subject, report);
	burst = find_burst(subject);
	report->harm = subject->listener->rate[OVERFLOWS] > 0 ? ARE : WERE;
	report->clients = burst.clients != UNKNOWN ? burst.clients :
						     figure[OVERFLOWS];
	say(report, HEADLINE, "a burst was larger than the queue, %s ago",
	    time_of(figure[SINCE_OVERFLOW_MS]));
	say_queue(report, subject);
	if (burst.clients != UNKNOWN) {
		wanted = burst.held + burst.clients - 1;
		say(report, EVIDENCE,
		    "The queue held %lld and turned %s away in the latest\n"
		    "burst: a limit of %lld would have held %s.",
		    burst.held, count_of(burst.clients, "client", "clients"),
		    wanted, burst.clients >= REFUSALS_KEPT ?
		    "these, if there were no more" : "all of them");
	} else {
		wanted = burst.held + at_most(figure[OVERFLOWS], INT_MAX) - 1;
		say(report, EVIDENCE,
		    "A limit of %lld would have held all of them; less would\n"
		    "have done, where clients tried more than once. Root may\n"
		    "see who they were.",
		    wanted);
	}
	return limit_advice(subject, report, wanted);
}

bool burst_is_cut(const struct subject *subject, struct report *report)
{
	return has_burst(subject) && is_cut(subject->listener) &&
	       report_burst(subject, report);
}

bool burst_is_ruled(const struct subject *subject, struct report *report)
{
	return has_burst(subject) && is_ruled(subject->listener) &&
	       report_burst(subject, report);
}

bool burst_is_asked(const struct subject *subject, struct report *report)
{
	return has_burst(subject) &&
	       subject->listener->figure[ASKED] != UNKNOWN &&
	       report_burst(subject, report);
}

bool burst_is_unknown(const struct subject *subject, struct report *report)
{
	return has_burst(subject) && report_burst(subject, report);
}

bool rule_is_idle(const struct subject *subject, struct report *report)
{
	const struct listener *listener = subject->listener;
	const struct rule *rule = idle_rule(subject);
	char ports[TEXT_SIZE];

	if (!rule)
		return false;
	rule_ports(ports, rule);
	report->harm = MAY_BE;
	report->clients = 0;
	say(report, HEADLINE, "a rule can't act on it");
	say(report, EVIDENCE,
	    "The rule '%s somaxconn %d' is for this listener, and its limit is\n"
	    "still %lld.",
	    ports, rule->somaxconn, listener->figure[LIMIT]);
	say(report, CAUSE,
	    "Such a rule works on what the program asked for, which is not\n"
	    "known here: it was listening before the module was loaded, or\n"
	    "its listen() was missed.");
	say(report, NOW, "A rule that does not need to know:");
	command_listenq(report, NOW, listener, "clamp %s floor %d",
			selector_of(listener), rule->somaxconn);
	say(report, FOR_GOOD,
	    "Load the module before the program starts; or let it call\n"
	    "listen() again, as many do on reload: then the rule acts.");
	return true;
}
