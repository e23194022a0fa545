/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of "listenq explain" share. explain.c looks twice, and has
 * explain_text.c, explain_json.c or report.c (html.h) show what it finds;
 * findings.c has the table of what can be wrong, and accepting.c (with threads.c),
 * backlog.c and handshaking.c the tests in it; state.c (with wchan.c), setting.c
 * and connections.c read what the tests want to know besides the module's figures.
 */
#ifndef LISTENQ_TOOL_EXPLAIN_H
#define LISTENQ_TOOL_EXPLAIN_H

#include <stdarg.h>

#include "log.h"
#include "procdir.h"
#include "rules.h"
#include "samples.h"

/* What happened within that time is still worth a finding. */
#define RECENT_MS	3600000
/* A wait from here on is one that a client feels. */
#define LONG_MS		1000

/* ---- state.c: what a process is doing ---- */

/**
 * struct thread - a thread at one moment
 * @tid: its number
 * @state: the letter that /proc has for what it is doing
 * @ticks: the processor time that it has used so far
 * @use: how much of a processor it has used since the look before; negative
 *	where unknown
 * @stayed: it was in the same state then
 * @wchan: in which function of the kernel it sleeps; "" where unknown
 */
struct thread {
	int tid;
	char state;
	long long ticks;
	double use;
	bool stayed;
	char wchan[64];
};

/**
 * struct acceptor - a process at one moment
 * @pid: its number
 * @comm: its name, escaped as the kernel's files are
 * @uptime_ms: when that was; UNKNOWN
 * @thread: its threads, the first ones where there are very many
 * @threads: how many of these
 * @tracer: who traces it; 0: nobody
 * @fds: descriptors that are open, of those that the limit allows; UNKNOWN
 * @sockets: how many of them are sockets
 * @nofile: the limit on them, and up to which the process may raise it
 * @nofile_hard: see @nofile
 * @unit: the systemd unit that it belongs to; "" where there is none
 */
struct acceptor {
	int pid;
	char comm[64];
	long long uptime_ms;
	struct thread *thread;
	size_t threads;
	int tracer;
	long long fds, sockets;
	long long nofile, nofile_hard;
	char unit[96];
};

/**
 * struct acceptors - who can accept from a listener
 * @acceptor: those processes
 * @count: how many
 * @nobody: it was looked for in all processes, and none has the socket open
 * @left: not all of them were looked at, or not at all of their threads
 */
struct acceptors {
	struct acceptor *acceptor;
	size_t count;
	bool nobody;
	bool left;
};

void acceptors_find(struct acceptors *acceptors,
		    const struct listener *listener, long long end_ms);
void acceptors_compare(struct acceptors *acceptors,
		       const struct acceptors *before);
void acceptors_free(struct acceptors *acceptors);

/* ---- wchan.c: what it waits for ---- */

const char *wchan_meaning(const char *wchan);

/* ---- setting.c: what a network namespace is set to ---- */

/**
 * struct setting - sysctls and rules of a namespace
 * @somaxconn: net.core.somaxconn; UNKNOWN, as the others
 * @max_syn_backlog: net.ipv4.tcp_max_syn_backlog
 * @syncookies: net.ipv4.tcp_syncookies
 * @rules: the rules; NULL where they can't be read
 */
struct setting {
	long long somaxconn;
	long long max_syn_backlog;
	long long syncookies;
	struct rules *rules;
};

void setting_read(struct setting *setting, bool entered);
void setting_free(struct setting *setting);

/* ---- connections.c: the connections of a listener ---- */

/**
 * struct crowd - whom a listener has in its queues, by /proc/net/tcp
 * @requests: handshakes under way; UNKNOWN where that can't be read
 * @networks: from so many networks
 * @most: so many of them from one
 * @network: which one that is
 * @closed: connections in the accept queue that their client has closed
 */
struct crowd {
	long long requests;
	size_t networks;
	long long most;
	char network[64];
	long long closed;
};

void crowd_read(struct crowd *crowd, const struct listener *listener);

/* ---- findings.c: what is wrong ---- */

/**
 * struct members - the SO_REUSEPORT group that a listener is in
 * @count: how many are in it
 * @idle: how many of them have nobody waiting
 */
struct members {
	long long count;
	long long idle;
};

/**
 * struct overflows - whom full accept queues have turned away
 * @refusal: those, listener by listener
 * @count: how many
 */
struct overflows {
	const struct refusal **refusal;
	size_t count;
};

/**
 * struct subject - all that is known of a listener
 * @listener: as it was at the second look, or the only one
 * @before: as it was at the first; NULL where there was none
 * @overflows: of all listeners
 * @elapsed_ms: between the two, by the listener's clock
 * @setting: of its namespace
 * @members: of its group
 * @acceptors: who can accept, where connections wait
 */
struct subject {
	const struct listener *listener;
	const struct listener *before;
	const struct overflows *overflows;
	long long elapsed_ms;
	const struct setting *setting;
	struct members members;
	struct acceptors acceptors;
};

enum kind {
	HEADLINE,	/* who is hurt, and by what */
	EVIDENCE,	/* figures */
	CAUSE,		/* as far as they go */
	NOW,		/* what to do */
	FOR_GOOD,
	KINDS,
};

struct line {
	enum kind kind;
	bool command;
	char *text;
};

/* How badly: nobody is served, clients are lost, were lost, may be. */
enum harm { MAY_BE, WERE, ARE, NONE_SERVED };

/**
 * struct report - a finding of one listener
 * @finding: its name
 * @listener: whose, as it is or was
 * @harm: how badly clients are hurt
 * @clients: how many are, about
 * @line: what there is to say
 * @lines: how many
 */
struct report {
	const char *finding;
	const struct listener *listener;
	enum harm harm;
	double clients;
	struct line *line;
	size_t lines;
};

/**
 * struct finding - something that can be wrong
 * @name: what programs know it by; never changed
 * @topic: of those about one topic only the first is reported
 * @test: whether the figures say so; writes the report if they do
 */
struct finding {
	const char *name;
	enum topic { ACCEPTING, HANDSHAKING, FAST_OPEN, RULES, TOPICS } topic;
	bool (*test)(const struct subject *subject, struct report *report);
};

extern const struct finding findings[];
extern const size_t findings_count;
extern const char * const harm_names[];
extern const char * const kind_labels[KINDS];

const char *headline_of(const struct report *report);

void say(struct report *report, enum kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void add_line(struct report *report, enum kind kind, bool is_command,
	      const char *format, va_list args);
const char *who(const struct subject *subject);
void say_queue(struct report *report, const struct subject *subject);
const char *number_of(long long number);
const char *time_of(long long ms);
const char *duration_of(double ms);
const char *rate_of(double rate);
void subject_crowd(const struct subject *subject, struct crowd *crowd);
long long recent(const struct subject *subject, enum figure figure);
double arrivals(const struct subject *subject);
const char *count_of(long long count, const char *one, const char *many);
void reports_closed(struct report **report, size_t *reports,
		    const struct snapshot *snapshot,
		    const struct filter *filter);
struct report *report_add(struct report **report, size_t *reports);

/* ---- commands.c: what to run ---- */

/* A name of a Unix socket in octal, each byte of it quoted. */
#define NAME_SIZE	2048

void command(struct report *report, enum kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void command_in(struct report *report, enum kind kind,
		const struct listener *listener, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void command_listenq(struct report *report, enum kind kind,
		     const struct listener *listener, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void command_ss(struct report *report, enum kind kind,
		const struct listener *listener);
const char *filter_of(const struct listener *listener);
const char *selector_of(const struct listener *listener);

/* threads.c */

/* A thread that uses so much of a processor is busy. */
#define BUSY	0.5
/* So many processes, and kinds of their threads, are named in one report. */
#define SHOWN	3

bool is_stopped_thread(const struct thread *thread);
bool is_blocked_thread(const struct thread *thread);
bool is_asleep_thread(const struct thread *thread);
bool all_threads(const struct subject *subject,
		 bool (*are)(const struct thread *thread));
const struct thread *busiest(const struct subject *subject,
			     const struct acceptor **of);
void say_threads(struct report *report, const struct subject *subject);

/* accepting.c */
bool is_stopped(const struct subject *subject, struct report *report);
bool is_uninterruptible(const struct subject *subject, struct report *report);
bool has_no_descriptors(const struct subject *subject, struct report *report);
bool is_not_held(const struct subject *subject, struct report *report);
bool is_starved(const struct subject *subject, struct report *report);
bool is_busy(const struct subject *subject, struct report *report);
bool is_blocked(const struct subject *subject, struct report *report);
bool is_not_accepting(const struct subject *subject, struct report *report);
bool is_waiting(const struct subject *subject, struct report *report);
bool is_slow(const struct subject *subject, struct report *report);

/* backlog.c */
void overflows_find(struct overflows *overflows,
		    const struct snapshot *snapshot);
void overflows_free(struct overflows *overflows);
bool burst_is_cut(const struct subject *subject, struct report *report);
bool burst_is_ruled(const struct subject *subject, struct report *report);
bool burst_is_asked(const struct subject *subject, struct report *report);
bool burst_is_unknown(const struct subject *subject, struct report *report);
bool rule_is_idle(const struct subject *subject, struct report *report);
bool limit_advice(const struct subject *subject, struct report *report,
		  long long least);

/* handshaking.c */
bool has_reserved(const struct subject *subject, struct report *report);
bool has_syn_drops(const struct subject *subject, struct report *report);
bool is_flooded(const struct subject *subject, struct report *report);
bool has_cookies(const struct subject *subject, struct report *report);
bool is_unfinished(const struct subject *subject, struct report *report);
bool has_fastopen_full(const struct subject *subject, struct report *report);

/* ---- explain.c, explain_text.c, explain_json.c, report.c ---- */

/**
 * struct unknown - something that can't be known now
 * @name: what programs know it by
 * @text: for people
 */
struct unknown {
	const char *name;
	char text[400];
};

/* At most. */
#define UNKNOWNS	9

/**
 * struct outcome - all that is told
 * @snapshot: the second look
 * @chosen: those listeners of it that were asked for
 * @count: how many
 * @twice: there was a look before
 * @once: how many of them that one does not have
 * @unknown: what can't be known
 * @unknowns: how much of that
 * @report: the findings, worst first
 * @reports: how many
 */
struct outcome {
	struct snapshot *snapshot;
	struct listener *const *chosen;
	size_t count;
	bool twice;
	size_t once;
	struct unknown unknown[UNKNOWNS];
	size_t unknowns;
	struct report *report;
	size_t reports;
};

void explain_text(const struct outcome *outcome, bool verbose);
void explain_json(const struct outcome *outcome);

/**
 * struct explain_form - how it is wanted
 * @seconds: between two looks
 * @verbose: those too that nothing is wrong with
 * @json: as an object in JSON
 * @page: as a page in this file; NULL: not so
 * @command: what was typed, for that
 */
struct explain_form {
	double seconds;
	bool verbose;
	bool json;
	const char *page;
	const char *command;
};

const char *report_write(struct output_file *file,
			 const struct outcome *outcome,
			 const struct scope *scope, const struct filter *filter,
			 const struct explain_form *form);

int explain(const struct scope *scope, const struct filter *filter,
	    const struct explain_form *form);

#endif /* LISTENQ_TOOL_EXPLAIN_H */
