// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of findings, and what their tests share. A test concludes nothing that
 * its subject's figures do not support: an UNKNOWN figure or a negative rate is no
 * reason for anything.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"

/*
 * How often the file of connections is read at most, in the tool's own namespace and
 * in all others together: it may be large.
 */
#define CROWDS_MAX	16

/*
 * Of each topic, the first finding that holds is reported. A program that does not
 * accept explains everything about its accept queue; that the queue was too short
 * comes last.
 */
const struct finding findings[] = {
	{ "stopped",		ACCEPTING,	is_stopped },
	{ "uninterruptible",	ACCEPTING,	is_uninterruptible },
	{ "no-descriptors",	ACCEPTING,	has_no_descriptors },
	{ "not-held",		ACCEPTING,	is_not_held },
	{ "group-starved",	ACCEPTING,	is_starved },
	{ "busy",		ACCEPTING,	is_busy },
	{ "blocked",		ACCEPTING,	is_blocked },
	{ "not-accepting",	ACCEPTING,	is_not_accepting },
	{ "waiting",		ACCEPTING,	is_waiting },
	{ "slow",		ACCEPTING,	is_slow },
	{ "burst-rule",		ACCEPTING,	burst_is_ruled },
	{ "burst-somaxconn",	ACCEPTING,	burst_is_cut },
	{ "burst-asked",	ACCEPTING,	burst_is_asked },
	{ "burst",		ACCEPTING,	burst_is_unknown },
	{ "syn-reserved",	HANDSHAKING,	has_reserved },
	{ "syn-drops",		HANDSHAKING,	has_syn_drops },
	{ "syn-flood",		HANDSHAKING,	is_flooded },
	{ "syn-cookies",	HANDSHAKING,	has_cookies },
	{ "unfinished",		HANDSHAKING,	is_unfinished },
	{ "fastopen-full",	FAST_OPEN,	has_fastopen_full },
	{ "rule-idle",		RULES,		rule_is_idle },
};

const size_t findings_count = ARRAY_SIZE(findings);

const char * const harm_names[] = {
	[MAY_BE] = "may be", [WERE] = "clients were lost",
	[ARE] = "clients are lost or wait",
	[NONE_SERVED] = "nobody is served",
};

const char * const kind_labels[KINDS] = {
	[EVIDENCE] = "seen", [CAUSE] = "cause", [NOW] = "now",
	[FOR_GOOD] = "for good",
};

/* ---- a report ---- */

const char *headline_of(const struct report *report)
{
	const char *headline = "";

	for (size_t i = 0; i < report->lines; i++)
		if (report->line[i].kind == HEADLINE)
			headline = report->line[i].text;
	return headline;
}

/* Add a line of text or a command. */
void add_line(struct report *report, enum kind kind, bool is_command,
	      const char *format, va_list args)
{
	struct line *line;

	report->line = allocate(report->line, report->lines + 1,
				sizeof(*report->line));
	line = &report->line[report->lines++];
	*line = (struct line) { .kind = kind, .command = is_command };
	if (vasprintf(&line->text, format, args) < 0)
		die("not enough memory");
	/* Line breaks in the source don't matter here. */
	for (char *end = line->text; (end = strchr(end, '\n')); )
		*end = ' ';
}

/* Add a sentence. */
void say(struct report *report, enum kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(report, kind, false, format, args);
	va_end(args);
}

struct report *report_add(struct report **report, size_t *reports)
{
	*report = allocate(*report, *reports + 1, sizeof(**report));
	(*report)[*reports] = (struct report) { };
	return &(*report)[(*reports)++];
}

/* ---- words; each has a few texts, for as many uses in one call of say() ---- */

static char *next_text(void)
{
	static char texts[16][2 * TEXT_SIZE];
	static unsigned int next;

	return texts[next++ % ARRAY_SIZE(texts)];
}

/* A number in full. */
const char *number_of(long long number)
{
	char *text = next_text();

	if (number == UNKNOWN)
		strcpy(text, "an unknown number");
	else
		snprintf(text, 2 * TEXT_SIZE, "%lld", number);
	return text;
}

const char *time_of(long long ms)
{
	char *text = next_text();

	text_time(text, ms);
	return text;
}

/* Of a quotient, which may be any number. */
const char *duration_of(double ms)
{
	return time_of(ms < 1e15 ? ms : 1e15);
}

const char *rate_of(double rate)
{
	char *text = next_text();

	text_rate(text, rate);
	return text;
}

/* "1 connection", "2 connections" */
const char *count_of(long long count, const char *one, const char *many)
{
	char *text = next_text();

	if (count == UNKNOWN)
		snprintf(text, 2 * TEXT_SIZE, "an unknown number of %s", many);
	else
		snprintf(text, 2 * TEXT_SIZE, "%lld %s", count,
			 count == 1 ? one : many);
	return text;
}

/* The process that can accept, if it is known. */
const char *who(const struct subject *subject)
{
	const struct acceptors *acceptors = &subject->acceptors;
	const struct acceptor *first = acceptors->acceptor;
	const char *comm = listener_comm(subject->listener);
	char *text = next_text();

	if (acceptors->count > 1)
		snprintf(text, 2 * TEXT_SIZE, "%s (pid %d and %zu more)",
			 first->comm, first->pid, acceptors->count - 1);
	else if (acceptors->count)
		snprintf(text, 2 * TEXT_SIZE, "%s (pid %d)", first->comm,
			 first->pid);
	else if (strcmp(comm, "-"))
		snprintf(text, 2 * TEXT_SIZE, "%s", comm);
	else
		strcpy(text, "The program");
	return text;
}

/* ---- figures ---- */

/* Connections that entered the accept queue, per second; negative if unknown. */
double arrivals(const struct subject *subject)
{
	static const enum figure ways[] = { FINISHED, COOKIES_FINISHED, FASTOPENS };
	double sum = 0;

	if (is_unix(subject->listener))
		return subject->listener->rate[CONNECTS];
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (subject->listener->rate[ways[i]] < 0)
			return -1;
		sum += subject->listener->rate[ways[i]];
	}
	return sum;
}

/*
 * How much a counter has grown recently: between the two looks, or since the
 * listener was first observed if that is not long ago. 0 if that is not known.
 */
long long recent(const struct subject *subject, enum figure counter)
{
	const long long *figure = subject->listener->figure;

	if (figure[counter] == UNKNOWN)
		return 0;
	if (figure[SINCE_MS] != UNKNOWN && figure[SINCE_MS] <= RECENT_MS)
		return figure[counter];
	/* Both looks have the counter, and it has grown. */
	return subject->listener->rate[counter] > 0 ?
	       figure[counter] - subject->before->figure[counter] : 0;
}

/* Count the clients in the queues, by the files of the listener's namespace. */
void subject_crowd(const struct subject *subject, struct crowd *crowd)
{
	const struct netns *netns = subject->listener->in;
	static unsigned int crowds[2];

	*crowd = (struct crowd) { .requests = UNKNOWN, .closed = UNKNOWN };
	if (crowds[netns->own]++ >= CROWDS_MAX || netns_enter(netns))
		return;
	crowd_read(crowd, subject->listener);
	if (netns_leave())
		die("cannot return to the original network namespace");
}

/* Say what became of connect() calls when a Unix socket had no room. */
static void say_calls(struct report *report, const long long *figure)
{
	if (figure[EAGAINS] > 0)
		say(report, EVIDENCE,
		    "%s got EAGAIN (\"Resource temporarily unavailable\")\n"
		    "so far, since there was no room.",
		    count_of(figure[EAGAINS], "call of connect()",
			     "calls of connect()"));
	if (figure[WAITED] > 0)
		say(report, EVIDENCE, "%s had to wait for room so far.",
		    count_of(figure[WAITED], "call of connect()",
			     "calls of connect()"));
}

/* Begin a report about the accept queue. */
void say_queue(struct report *report, const struct subject *subject)
{
	const long long *figure = subject->listener->figure;
	struct crowd crowd;

	if (!figure[ACCEPTQ])
		say(report, EVIDENCE,
		    "The accept queue is empty now (limit %s).",
		    number_of(figure[LIMIT]));
	else if (figure[ACCEPTQ_OLDEST_MS] != UNKNOWN)
		say(report, EVIDENCE,
		    "%s in the accept queue (limit %s), the first for %s.",
		    count_of(figure[ACCEPTQ], "connection waits",
			     "connections wait"),
		    number_of(figure[LIMIT]), time_of(figure[ACCEPTQ_OLDEST_MS]));
	else
		say(report, EVIDENCE, "%s in the accept queue (limit %s).",
		    count_of(figure[ACCEPTQ], "connection waits",
			     "connections wait"), number_of(figure[LIMIT]));
	if (figure[ACCEPTQ] > 0 && subject->listener->rate[ACCEPTS] == 0)
		say(report, EVIDENCE,
		    "None was accepted in the %s between two looks.",
		    time_of(subject->elapsed_ms));
	if (is_unix(subject->listener))
		say_calls(report, figure);
	else if (figure[OVERFLOWS] > 0)
		say(report, EVIDENCE,
		    "The full queue has refused SYNs and ACKs %s, last %s\n"
		    "ago.",
		    count_of(figure[OVERFLOWS], "time", "times"),
		    time_of(figure[SINCE_OVERFLOW_MS]));
	if (figure[ACCEPTQ] <= 0 || figure[ACCEPTQ_OLDEST_MS] < LONG_MS)
		return;
	subject_crowd(subject, &crowd);
	if (crowd.closed <= 0)
		return;
	if (figure[GROUP] > 1 || crowd.closed > figure[ACCEPTQ])
		say(report, EVIDENCE,
		    "In all queues at this address, %s closed by the client\n"
		    "while waiting (CLOSE_WAIT).",
		    count_of(crowd.closed, "connection was", "connections were"));
	else
		say(report, EVIDENCE,
		    "%s closed by the client while waiting (CLOSE_WAIT).",
		    count_of(crowd.closed, "of them was", "of them were"));
}

/* ---- listeners that were closed ---- */

struct closed {
	const struct refusal *latest;
	long long count;
};

static int by_listener(const void *x, const void *y)
{
	const struct refusal *a = *(struct refusal *const *)x;
	const struct refusal *b = *(struct refusal *const *)y;

	return strcmp(a->listener.netns ?: "", b->listener.netns ?: "") ?:
	       strcmp(a->listener.word[LOCAL], b->listener.word[LOCAL]) ?:
	       strcmp(a->listener.word[COOKIE], b->listener.word[COOKIE]) ?:
	       (a->when_ms > b->when_ms) - (a->when_ms < b->when_ms);
}

static void report_closed(struct report *report, const struct closed *closed)
{
	const struct listener *listener = &closed->latest->listener;
	const char *comm = listener->word[COMM];

	report->finding = "closed";
	report->listener = listener;
	report->harm = WERE;
	report->clients = closed->count;
	say(report, HEADLINE, "%s lost when the listener was closed",
	    count_of(closed->count, "connection was", "connections were"));
	say(report, EVIDENCE,
	    "%s for accept() when %s closed it, %s ago. The kernel has reset\n"
	    "%s.",
	    count_of(closed->count, "connection was waiting",
		     "connections were waiting"),
	    strcmp(comm, "-") ? comm : "the program",
	    time_of(listener->figure[AGO_MS]),
	    closed->count == 1 ? "it" : "them");
	say(report, CAUSE,
	    "The server was stopped, restarted or reloaded while clients\n"
	    "waited for it.");
	say(report, NOW,
	    "Nothing: the clients have to come again. Who they were:");
	command_listenq(report, NOW, listener, "%s log", filter_of(listener));
	say(report, FOR_GOOD,
	    "Hand the socket on to the next process: a reload in place of a\n"
	    "restart, or socket activation by systemd. In an SO_REUSEPORT\n"
	    "group the others take over with:");
	command_in(report, FOR_GOOD, listener,
		   "sysctl -w net.ipv4.tcp_migrate_req=1");
}

/**
 * reports_closed() - report connections that went with their listener
 * @report: gets a report for each such listener
 * @reports: how many there are
 * @snapshot: has the refusals
 * @filter: the listeners that were asked for
 */
void reports_closed(struct report **report, size_t *reports,
		    const struct snapshot *snapshot, const struct filter *filter)
{
	struct refusal **refusal = allocate(NULL, snapshot->refusals,
					    sizeof(*refusal));
	size_t count = 0, i;
	struct closed closed = { };

	for (i = 0; i < snapshot->refusals; i++) {
		struct refusal *one = &snapshot->refusal[i];
		long long ago = one->listener.figure[AGO_MS];

		if (!strcmp(one->listener.word[WHY], "closed") &&
		    ago != UNKNOWN && ago <= RECENT_MS &&
		    is_wanted(&one->listener, filter))
			refusal[count++] = one;
	}
	qsort(refusal, count, sizeof(*refusal), by_listener);
	for (i = 0; i < count; i++) {
		closed.latest = refusal[i];
		closed.count++;
		if (i + 1 < count &&
		    !strcmp(refusal[i]->listener.word[COOKIE],
			    refusal[i + 1]->listener.word[COOKIE]) &&
		    refusal[i]->listener.netns == refusal[i + 1]->listener.netns)
			continue;
		report_closed(report_add(report, reports), &closed);
		closed = (struct closed) { };
	}
	free(refusal);
}
