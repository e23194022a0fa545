// SPDX-License-Identifier: GPL-2.0-only
/*
 * Findings about SYNs that are dropped or answered with cookies, handshakes that are
 * not finished, and Fast Open. While the accept queue is full, final ACKs are
 * ignored, so the SYN queue fills up too: that says nothing about clients, and is
 * left to the findings about the accept queue.
 */

#include <stdlib.h>

#include "explain.h"

/* Fewer requests are no flood. */
#define MANY		10
/* For so long after an overflow, requests may be left over from it. */
#define ABOUT_OVERFLOW_MS	120000

/* Whether the accept queue was full when the events happened that recent() counts. */
static bool was_full(const struct subject *subject)
{
	const long long *figure = subject->listener->figure;

	if (figure[OVERFLOWS] == UNKNOWN || listener_is_full(subject->listener,
							     ACCEPTQ))
		return true;
	if (!figure[OVERFLOWS])
		return false;
	return (figure[SINCE_MS] != UNKNOWN && figure[SINCE_MS] <= RECENT_MS) ||
	       figure[SINCE_OVERFLOW_MS] <= ABOUT_OVERFLOW_MS;
}

/*
 * Most requests have waited so long that their SYN-ACK was sent again; or more than
 * one in twenty expired.
 */
static bool has_unfinished(const struct subject *subject)
{
	const long long *figure = subject->listener->figure;
	long long expired = recent(subject, EXPIRED);

	if (figure[SYNQ] >= MANY && figure[SYNQ_YOUNG] != UNKNOWN &&
	    figure[SYNQ_YOUNG] * 2 <= figure[SYNQ])
		return true;
	return expired >= MANY && expired > recent(subject, FINISHED) / 20;
}

/* Whether the SYN queue was full in the last minute, or ever if that is not known. */
static bool was_syn_queue_full(const struct listener *listener)
{
	enum figure peak = listener->figure[SYNQ_PEAK_1M] == UNKNOWN ?
			   SYNQ_PEAK : SYNQ_PEAK_1M;

	return listener->figure[peak] != UNKNOWN &&
	       listener->figure[LIMIT] != UNKNOWN &&
	       listener->figure[peak] >= listener->figure[LIMIT];
}

static void say_requests(struct report *report, const struct subject *subject)
{
	const struct listener *listener = subject->listener;
	const long long *figure = listener->figure;
	struct crowd crowd;

	if (figure[SYNQ])
		say(report, EVIDENCE,
		    "%s under way in the SYN queue (limit %s), %s of them\n"
		    "young: their SYN-ACK was sent once.",
		    count_of(figure[SYNQ], "handshake is", "handshakes are"),
		    number_of(figure[LIMIT]), number_of(figure[SYNQ_YOUNG]));
	if (figure[REQUESTS] != UNKNOWN)
		say(report, EVIDENCE,
		    "Of %s, %s were finished and %s given up; SYN-ACKs were\n"
		    "sent again %s.",
		    count_of(figure[REQUESTS], "request", "requests"),
		    number_of(figure[FINISHED]), number_of(figure[EXPIRED]),
		    count_of(figure[RESENT], "time", "times"));
	if (listener->rate[SYNS] > 0)
		say(report, EVIDENCE, "%s SYNs come per second.",
		    rate_of(listener->rate[SYNS]));
	subject_crowd(subject, &crowd);
	if (crowd.requests > 0)
		say(report, EVIDENCE,
		    "Those under way at this address are from %s; %lld of\n"
		    "%lld from %s.",
		    count_of(crowd.networks, "network", "networks"), crowd.most,
		    crowd.requests, crowd.network);
}

/* Say what the reason may be, judging by how many clients finish. */
static void say_who(struct report *report, const struct subject *subject)
{
	const long long *figure = subject->listener->figure;

	if (figure[FINISHED] > 0 && figure[FINISHED] != UNKNOWN &&
	    figure[FINISHED] > figure[EXPIRED] / 2)
		say(report, CAUSE,
		    "Others finish theirs: some clients' path loses packets,\n"
		    "or a flood comes among them.");
	else
		say(report, CAUSE,
		    "Next to nobody finishes: the addresses are forged (a\n"
		    "flood), or SYN-ACKs or ACKs do not get through (a\n"
		    "firewall, a route back that leads elsewhere).");
}

/* Cookies were off when SYNs were dropped: if unknown, assume that they still are. */
static bool are_cookies_off(const struct subject *subject)
{
	return subject->setting->syncookies <= 0;
}

static void say_switch_on(struct report *report, const struct subject *subject)
{
	if (!are_cookies_off(subject)) {
		say(report, NOW, "Nothing: SYN cookies are on by now.");
		return;
	}
	say(report, NOW, "Switch SYN cookies on:");
	command_in(report, NOW, subject->listener,
		   "sysctl -w net.ipv4.tcp_syncookies=1");
}

static void say_flood_advice(struct report *report, const struct subject *subject)
{
	say(report, NOW, "See where they come from:");
	command_in(report, NOW, subject->listener,
		   "ss -tn state syn-recv 'sport = :%d'",
		   subject->listener->local.port);
	if (subject->setting->syncookies == 0) {
		say(report, NOW,
		    "Let cookies carry those for whom there is no room:");
		command_in(report, NOW, subject->listener,
			   "sysctl -w net.ipv4.tcp_syncookies=1");
	}
	say(report, FOR_GOOD,
	    "Against a flood: SYN cookies (they are on by default), and a\n"
	    "filter before this machine. A path that loses packets one way\n"
	    "is to be found with tcpdump at both ends.");
}

/* Advise twice the limit, or twice the peak of the queue. Return: true. */
static bool double_advice(const struct subject *subject, struct report *report)
{
	const long long *figure = subject->listener->figure;
	long long most = figure[SYNQ_PEAK];

	if (figure[LIMIT] == UNKNOWN)
		return true;
	if (most <= figure[LIMIT])
		most = figure[LIMIT] + 1;
	return limit_advice(subject, report, 2 * most);
}

/* @when: "since" the SYN queue is full, or "before" it is. */
static void say_lost(struct report *report, const struct subject *subject,
		     enum figure counter, const char *when)
{
	const struct listener *listener = subject->listener;
	long long count = recent(subject, counter);
	bool now = listener->rate[counter] > 0;

	report->harm = now ? ARE : WERE;
	report->clients = now ? listener->rate[counter] : count;
	say(report, HEADLINE, "SYNs %s dropped %s the SYN queue %s full",
	    now ? "are" : "were", when, now ? "is" : "was");
	if (now)
		say(report, EVIDENCE,
		    "%s SYNs per second are dropped for that; %lld were\n"
		    "since it was first observed, %s ago.",
		    rate_of(listener->rate[counter]), listener->figure[counter],
		    time_of(listener->figure[SINCE_MS]));
	else
		say(report, EVIDENCE,
		    "%s dropped for that in the %s for which it was\n"
		    "observed.",
		    count_of(count, "SYN was", "SYNs were"),
		    time_of(listener->figure[SINCE_MS]));
}

bool has_reserved(const struct subject *subject, struct report *report)
{
	const char *off = are_cookies_off(subject) ? "are" : "were";
	long long max = subject->setting->max_syn_backlog;

	if (recent(subject, SYNQ_RESERVED) <= 0)
		return false;
	say_lost(report, subject, SYNQ_RESERVED, "before");
	say_requests(report, subject);
	if (max != UNKNOWN)
		say(report, CAUSE,
		    "SYN cookies %s off, and the kernel keeps the last\n"
		    "quarter of net.ipv4.tcp_max_syn_backlog (now %lld) for\n"
		    "clients that it knows: others are dropped from %lld\n"
		    "requests on.",
		    off, max, max - (max >> 2));
	else
		say(report, CAUSE,
		    "SYN cookies %s off, and the kernel keeps the last\n"
		    "quarter of net.ipv4.tcp_max_syn_backlog for clients\n"
		    "that it knows.",
		    off);
	if (has_unfinished(subject))
		say_who(report, subject);
	say_switch_on(report, subject);
	say(report, FOR_GOOD,
	    "Find out who has switched them off, or allow for more requests.\n"
	    "The backlog and rules change nothing here:");
	command_in(report, FOR_GOOD, subject->listener,
		   "sysctl -w net.ipv4.tcp_max_syn_backlog=%lld",
		   max == UNKNOWN || max < 2048 ? 4096 : 2 * max);
	return true;
}

bool has_syn_drops(const struct subject *subject, struct report *report)
{
	if (recent(subject, SYNQ_DROPS) <= 0 || was_full(subject))
		return false;
	say_lost(report, subject, SYNQ_DROPS, "since");
	say_requests(report, subject);
	say(report, CAUSE,
	    "SYN cookies %s off: then a full SYN queue drops who comes.",
	    are_cookies_off(subject) ? "are" : "were");
	if (has_unfinished(subject)) {
		say_who(report, subject);
		say_flood_advice(report, subject);
		return true;
	}
	say_switch_on(report, subject);
	return double_advice(subject, report);
}

/* Cookies are sent because the queue is full of clients that do not answer. */
bool is_flooded(const struct subject *subject, struct report *report)
{
	const struct listener *listener = subject->listener;
	long long cookies = recent(subject, SYNCOOKIES);

	if (was_full(subject) || !has_unfinished(subject) || cookies <= 0 ||
	    recent(subject, COOKIES_FINISHED) >= cookies - cookies / 2)
		return false;
	report->harm = MAY_BE;
	report->clients = listener->rate[SYNS] > 0 ? listener->rate[SYNS] :
			  cookies;
	say(report, HEADLINE,
	    "the SYN queue %s full of handshakes that nobody finishes",
	    listener->figure[LIMIT] != UNKNOWN &&
	    listener->figure[SYNQ] >= listener->figure[LIMIT] ? "is" : "was");
	say_requests(report, subject);
	say(report, EVIDENCE,
	    "%s answered with a SYN cookie; %s of these came back.",
	    count_of(listener->figure[SYNCOOKIES], "SYN was", "SYNs were"),
	    number_of(listener->figure[COOKIES_FINISHED]));
	say_who(report, subject);
	say(report, CAUSE, "Who answers still gets in, by a SYN cookie.");
	say_flood_advice(report, subject);
	return true;
}

/*
 * Cookies are sent, and clients finish their handshakes: the queue was too short for
 * them.
 */
bool has_cookies(const struct subject *subject, struct report *report)
{
	const long long *figure = subject->listener->figure;
	long long cookies = recent(subject, SYNCOOKIES);
	long long finished = recent(subject, COOKIES_FINISHED);

	if (was_full(subject) || cookies <= 0 || finished < cookies - cookies / 2 ||
	    (subject->setting->syncookies != 1 &&
	     !was_syn_queue_full(subject->listener)))
		return false;
	report->harm = MAY_BE;
	report->clients = finished;
	say(report, HEADLINE, "SYN cookies hide that the queue is too short");
	say(report, EVIDENCE,
	    "%s answered with a SYN cookie since the SYN queue was full; %s\n"
	    "of these became a connection.",
	    count_of(figure[SYNCOOKIES], "SYN was", "SYNs were"),
	    number_of(figure[COOKIES_FINISHED]));
	say(report, EVIDENCE, "The SYN queue has held %s, its limit is %s.",
	    number_of(figure[SYNQ_PEAK]), number_of(figure[LIMIT]));
	say(report, CAUSE,
	    "These are real clients, more at once than the limit allows for.\n"
	    "Nobody was lost, but a connection from a cookie may lack window\n"
	    "scaling and SACK, and an ACK that is lost is not asked for\n"
	    "again.");
	return double_advice(subject, report);
}

bool is_unfinished(const struct subject *subject, struct report *report)
{
	if (was_full(subject) || !has_unfinished(subject))
		return false;
	report->harm = MAY_BE;
	report->clients = subject->listener->figure[SYNQ];
	say(report, HEADLINE, "handshakes are not finished");
	say_requests(report, subject);
	say_who(report, subject);
	say_flood_advice(report, subject);
	return true;
}

bool has_fastopen_full(const struct subject *subject, struct report *report)
{
	const struct listener *listener = subject->listener;
	const long long *figure = listener->figure;
	long long refused = recent(subject, FASTOPEN_OVERFLOWS);

	if (figure[FASTOPENQ_LIMIT] == UNKNOWN || !figure[FASTOPENQ_LIMIT] ||
	    (refused <= 0 && figure[FASTOPENQ] < figure[FASTOPENQ_LIMIT]))
		return false;
	report->harm = MAY_BE;
	report->clients = refused;
	say(report, HEADLINE, "the queue of Fast Open is too short");
	say(report, EVIDENCE,
	    "Taken by connections whose handshake is not finished: %s of %lld.",
	    number_of(figure[FASTOPENQ]), figure[FASTOPENQ_LIMIT]);
	if (figure[FASTOPEN_OVERFLOWS] != UNKNOWN)
		say(report, EVIDENCE, "%s Fast Open, %s came in by it.",
		    count_of(figure[FASTOPEN_OVERFLOWS], "client was refused",
			     "clients were refused"),
		    number_of(figure[FASTOPENS]));
	say(report, CAUSE,
	    "The limit is the program's own (the socket option\n"
	    "TCP_FASTOPEN). Clients that it refuses lose time, and nothing\n"
	    "else.");
	say(report, NOW,
	    "Nothing that a command could do: no rule changes this limit.");
	say(report, FOR_GOOD,
	    "A larger number for TCP_FASTOPEN in the program's configuration\n"
	    "(nginx: listen ... fastopen=%lld).",
	    2 * figure[FASTOPENQ_LIMIT] > 256 ? 2 * figure[FASTOPENQ_LIMIT] : 256);
	return true;
}
