/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of "listenq explain". explain.c looks twice, and has
 * explain_text.c, explain_json.c or report.c (html.h) show what it finds; findings.c
 * has the table of findings, and accepting.c (with threads.c), backlog.c and
 * handshaking.c have their tests; state.c (with wchan.c), setting.c and
 * connections.c read what the tests need besides the module's figures.
 */
#ifndef LISTENQ_TOOL_EXPLAIN_H
#define LISTENQ_TOOL_EXPLAIN_H

#include <stdarg.h>

#include "log.h"
#include "procdir.h"
#include "rules.h"
#include "samples.h"

/* Events in that time are worth a finding. */
#define RECENT_MS	3600000
/* Clients notice a wait of that length. */
#define LONG_MS		1000

/* ---- state.c: the state of a process ---- */

/**
 * struct thread - a thread at one moment
 * @tid: its number
 * @state: its state, a letter as in /proc
 * @ticks: the processor time used so far
 * @use: the share of a processor used since the previous look; negative where
 *	unknown
 * @stayed: it was in the same state at the previous look
 * @wchan: the kernel function in which it sleeps; "" where unknown
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
 * @comm: its name, escaped as in the kernel's files
 * @uptime_ms: the host's uptime then; UNKNOWN
 * @thread: its threads, or the first ones if there are very many
 * @threads: how many threads @thread has
 * @tracer: the process that traces it; 0: none
 * @fds: how many descriptors below @nofile are open; UNKNOWN
 * @sockets: how many of them are sockets
 * @nofile: the limit on the number of descriptors
 * @nofile_hard: the limit up to which the process may raise @nofile
 * @unit: its systemd unit; "" where there is none
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
 * struct acceptors - the processes that can accept from a listener
 * @acceptor: the processes
 * @count: how many
 * @nobody: all processes were searched, and none has the socket open
 * @left: some processes, or some of their threads, were not looked at
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

/* ---- wchan.c: what a thread waits for ---- */

const char *wchan_meaning(const char *wchan);

/* ---- setting.c: the settings of a network namespace ---- */

/**
 * struct setting - sysctls and rules of a namespace
 * @somaxconn: net.core.somaxconn; this and the next two are UNKNOWN where they can't
 *	be read
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
 * struct crowd - clients in a listener's queues, by /proc/net/tcp
 * @requests: requests in the SYN queue; UNKNOWN where the file can't be read
 * @networks: how many networks these come from
 * @most: how many come from the most frequent network
 * @network: that network
 * @closed: connections in the accept queue that the client has closed
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
 * @count: how many listeners are in it
 * @idle: how many of these have no connection waiting
 */
struct members {
	long long count;
	long long idle;
};

/**
 * struct overflows - clients that were refused because an accept queue was full
 * @refusal: their refusals, listener by listener
 * @count: how many
 */
struct overflows {
	const struct refusal **refusal;
	size_t count;
};

/**
 * struct subject - everything that is known of a listener
 * @listener: as it was at the second look, or the only one
 * @before: as it was at the first look; NULL where there was none
 * @overflows: those of all listeners
 * @elapsed_ms: the time between the two looks, by the listener's clock
 * @setting: its namespace's settings
 * @members: its SO_REUSEPORT group
 * @acceptors: the processes that can accept, if connections wait
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
	HEADLINE,	/* which clients are hurt, and by what */
	EVIDENCE,	/* figures */
	CAUSE,		/* what the figures say about the reason */
	NOW,		/* what to do */
	FOR_GOOD,
	KINDS,
};

struct line {
	enum kind kind;
	bool command;
	char *text;
};

/*
 * How badly clients are hurt: they may be lost, were lost, are lost, or none is
 * served.
 */
enum harm { MAY_BE, WERE, ARE, NONE_SERVED };

/**
 * struct report - a finding about a listener
 * @finding: its name, see &struct finding.name
 * @listener: the listener, as it is or was
 * @harm: how badly clients are hurt
 * @clients: about how many clients are hurt
 * @line: the text
 * @lines: how many lines
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
 * @name: its name for programs; never changed
 * @topic: of the findings on one topic, only the first is reported
 * @test: whether the figures show it; if so, writes the report
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

/* ---- commands.c: commands to run ---- */

/* A Unix socket's name with each byte in octal, quoted. */
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

/* A thread that uses more of a processor is busy. */
#define BUSY	0.5
/* How many processes, and kinds of threads, a report names. */
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
 * struct unknown - something that can't be known at present
 * @name: its name for programs
 * @text: for people
 */
struct unknown {
	const char *name;
	char text[400];
};

/* At most so many. */
#define UNKNOWNS	9

/**
 * struct outcome - everything that explain prints
 * @snapshot: the second look
 * @chosen: the listeners of @snapshot that were asked for
 * @count: how many
 * @twice: there was a first look, too
 * @once: how many of the listeners were not looked at then
 * @unknown: what can't be known
 * @unknowns: how many entries @unknown has
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
 * struct explain_form - the form of the output
 * @seconds: the time between the two looks
 * @verbose: name the listeners that nothing is wrong with, too
 * @json: print one JSON object
 * @page: write a page into this file; NULL: don't
 * @command: the command line, for the page
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
