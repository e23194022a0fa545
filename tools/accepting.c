// SPDX-License-Identifier: GPL-2.0-only
/* Findings about programs that do not accept, or not fast enough, and the reason. */

#include <math.h>
#include <string.h>

#include "explain.h"

/* Rows are read one after another, by clocks that tick in jiffies. */
#define SLACK_MS	50
/* How many processes a command names. */
#define PIDS_SHOWN	64

/* ---- whether connections are accepted ---- */

/* A connection has waited so long that its client notices. */
static bool waits_long(const struct subject *subject)
{
	const long long *figure = subject->listener->figure;

	return figure[ACCEPTQ] > 0 && figure[ACCEPTQ_OLDEST_MS] >= LONG_MS;
}

/*
 * No connection was accepted between the two looks. The accept queue is in order, so
 * the first connection has waited since before the first look. If the kernel doesn't
 * say for how long: the queue was not empty then, and is no shorter now.
 */
static bool is_stalled(const struct subject *subject)
{
	const struct listener *now = subject->listener, *was = subject->before;

	if (!was || now->figure[ACCEPTQ] <= 0 || was->figure[ACCEPTQ] <= 0 ||
	    now->rate[ACCEPTS] > 0)
		return false;
	if (now->figure[ACCEPTQ_OLDEST_MS] == UNKNOWN)
		return now->rate[ACCEPTS] == 0 &&
		       subject->elapsed_ms >= LONG_MS - SLACK_MS &&
		       now->figure[ACCEPTQ] >= was->figure[ACCEPTQ];
	/* Without a counter, check that the first connection is still the same one. */
	if (now->rate[ACCEPTS] < 0 &&
	    (was->figure[ACCEPTQ_OLDEST_MS] == UNKNOWN ||
	     fabs((double)now->figure[ACCEPTQ_OLDEST_MS] -
		  was->figure[ACCEPTQ_OLDEST_MS] - subject->elapsed_ms) >
	     SLACK_MS))
		return false;
	return now->figure[ACCEPTQ_OLDEST_MS] >= LONG_MS &&
	       now->figure[ACCEPTQ_OLDEST_MS] >= subject->elapsed_ms;
}

/* The same; or, with a single look, what can be told from that. */
static bool may_be_stalled(const struct subject *subject)
{
	return subject->before ? is_stalled(subject) : waits_long(subject);
}

static void begin(struct report *report, const struct subject *subject,
		  const char *what)
{
	report->harm = NONE_SERVED;
	report->clients = subject->listener->figure[ACCEPTQ];
	say(report, HEADLINE, "%s, %s", what,
	    count_of(subject->listener->figure[ACCEPTQ], "connection waits",
		     "connections wait"));
	say_queue(report, subject);
}

static void say_longer_queue(struct report *report)
{
	say(report, FOR_GOOD,
	    "A longer queue does not help: it makes more clients wait.");
}

/* ---- findings ---- */

static void say_others(struct report *report, size_t count)
{
	if (count)
		say(report, NOW, "And the same for %s.",
		    count_of(count, "more process", "more processes"));
}

static void say_continue(struct report *report, const struct acceptors *acceptors)
{
	char pids[12 * PIDS_SHOWN + 1];
	size_t length = 0, i;

	for (i = 0; i < acceptors->count && i < PIDS_SHOWN; i++)
		length += sprintf(pids + length, " %d", acceptors->acceptor[i].pid);
	command(report, NOW, "kill -CONT%s", pids);
	say_others(report, acceptors->count - i);
}

bool is_stopped(const struct subject *subject, struct report *report)
{
	const struct acceptor *process = subject->acceptors.acceptor;

	if (!may_be_stalled(subject) ||
	    !all_threads(subject, is_stopped_thread))
		return false;
	begin(report, subject, "the program is stopped");
	say_threads(report, subject);
	if (process->tracer > 0) {
		say(report, CAUSE, "Process %d traces it, a debugger perhaps.",
		    process->tracer);
		say(report, NOW, "Find out what that is, and let the process continue:");
		command(report, NOW, "ps -fp %d", process->tracer);
	} else if (process->thread->state == 't') {
		say(report, CAUSE, "A debugger has stopped it.");
		say(report, NOW, "Find out which, and let it go on:");
		command(report, NOW, "grep TracerPid /proc/%d/status",
			process->pid);
	} else {
		say(report, CAUSE,
		    "A signal has stopped it: SIGSTOP, SIGTSTP (Ctrl-Z), or\n"
		    "SIGTTIN or SIGTTOU, for using its terminal from the\n"
		    "background.");
		say(report, NOW, "Let it go on:");
		say_continue(report, &subject->acceptors);
	}
	say(report, FOR_GOOD,
	    "Find out who stopped it; run servers without a terminal, as a\n"
	    "service.");
	return true;
}

bool is_uninterruptible(const struct subject *subject, struct report *report)
{
	const struct acceptor *process = subject->acceptors.acceptor;
	const char *meaning;

	if (!is_stalled(subject) || !all_threads(subject, is_blocked_thread))
		return false;
	begin(report, subject, "the program is in uninterruptible sleep");
	say_threads(report, subject);
	meaning = wchan_meaning(process->thread->wchan);
	if (meaning)
		say(report, CAUSE,
		    "It waits inside the kernel for %s. No signal reaches it\n"
		    "before that answers.",
		    meaning);
	else
		say(report, CAUSE,
		    "It waits inside the kernel, for a disk or a file server\n"
		    "as a rule. No signal reaches it before that answers.");
	say(report, NOW,
	    "See where, and whether the kernel complains of a device:");
	command(report, NOW, "cat /proc/%d/stack", process->pid);
	command(report, NOW, "dmesg | tail");
	say(report, FOR_GOOD,
	    "Keep files on slow or remote file systems out of the thread\n"
	    "that accepts.");
	say_longer_queue(report);
	return true;
}

/*
 * Every process that can accept has used up its descriptors; if one has not, it is
 * another finding.
 */
bool has_no_descriptors(const struct subject *subject, struct report *report)
{
	const struct acceptor *process = subject->acceptors.acceptor;
	long long wanted, most = proc_number("sys/fs/nr_open");
	size_t i;

	if (!may_be_stalled(subject) || !subject->acceptors.count ||
	    subject->acceptors.left)
		return false;
	for (i = 0; i < subject->acceptors.count; i++)
		if (process[i].fds == UNKNOWN || process[i].nofile == UNKNOWN ||
		    process[i].fds < process[i].nofile)
			return false;
	begin(report, subject, "the program is out of file descriptors");
	say(report, EVIDENCE,
	    "%s (pid %d) has %lld of %lld descriptors open; %s.",
	    process->comm, process->pid, process->fds, process->nofile,
	    count_of(process->sockets, "is a socket", "are sockets"));
	say(report, CAUSE, "accept() fails with EMFILE until it closes one.");
	wanted = process->nofile < 32768 ? 65536 : 2 * process->nofile;
	if (process->nofile_hard != UNKNOWN && process->nofile_hard < wanted &&
	    process->nofile_hard > process->nofile)
		wanted = process->nofile_hard;
	say(report, NOW,
	    "Raise its limit without a restart, and see what it has open:");
	/* No process may have more, not even one of root's. */
	if (most != UNKNOWN && wanted > most)
		command(report, NOW, "sysctl -w fs.nr_open=%lld", wanted);
	for (i = 0; i < subject->acceptors.count && i < SHOWN; i++)
		command(report, NOW, "prlimit --pid %d --nofile=%lld%s",
			process[i].pid, wanted,
			process[i].nofile_hard >= wanted ? ":" : "");
	say_others(report, subject->acceptors.count - i);
	command(report, NOW, "ls -l /proc/%d/fd", process->pid);
	if (*process->unit) {
		say(report, FOR_GOOD,
		    "Give the service a higher limit (LimitNOFILE=%lld),\n"
		    "unless it leaks descriptors:",
		    wanted);
		command(report, FOR_GOOD, "systemctl edit %s", process->unit);
	} else {
		say(report, FOR_GOOD,
		    "Start it with a higher limit (ulimit -n %lld), unless\n"
		    "it leaks descriptors.",
		    wanted);
	}
	return true;
}

bool is_not_held(const struct subject *subject, struct report *report)
{
	if (!may_be_stalled(subject) || !subject->acceptors.nobody)
		return false;
	begin(report, subject, "no process has the socket open");
	say(report, EVIDENCE,
	    "None of the processes in /proc has inode %lld among its\n"
	    "descriptors.",
	    subject->listener->figure[INODE]);
	say(report, CAUSE,
	    "The kernel listens there itself (NFS, say), or only io_uring or\n"
	    "a message between processes holds the socket, or a process in\n"
	    "another PID namespace that is not seen from here.");
	say(report, NOW,
	    "Look from the host, or for a service of the kernel's:");
	command_ss(report, NOW, subject->listener);
	return true;
}

/* Connections wait at one listener of the group, while another's queue is empty. */
bool is_starved(const struct subject *subject, struct report *report)
{
	const struct listener *listener = subject->listener;

	if (listener->figure[GROUP] <= 1 || !subject->members.idle ||
	    !is_stalled(subject))
		return false;
	begin(report, subject, "one of a group does not accept, others are idle");
	say(report, EVIDENCE,
	    "Of the %lld sockets of its SO_REUSEPORT group, %s an empty queue.",
	    subject->members.count,
	    count_of(subject->members.idle, "has", "have"));
	say_threads(report, subject);
	say(report, CAUSE,
	    "The kernel spreads clients over the group by a hash of their\n"
	    "addresses. Those that it gives to this socket wait for this one\n"
	    "worker, whatever the others do.");
	if (subject->acceptors.count) {
		say(report, NOW,
		    "See what the worker does; restart it alone if that can\n"
		    "be done:");
		command(report, NOW, "cat /proc/%d/stack",
			subject->acceptors.acceptor->pid);
	} else {
		say(report, NOW,
		    "Find the worker by the socket's cookie (sk:%s):",
			listener->word[COOKIE]);
		command_ss(report, NOW, listener);
	}
	say(report, FOR_GOOD,
	    "One socket for all workers, or a worker that accepts whatever\n"
	    "else it does. Close the sockets of workers that are gone.");
	return true;
}

bool is_busy(const struct subject *subject, struct report *report)
{
	const struct acceptor *process = NULL;
	const struct thread *thread;

	if (!is_stalled(subject))
		return false;
	thread = busiest(subject, &process);
	if (!thread)
		return false;
	begin(report, subject, "the program is busy with other work");
	say_threads(report, subject);
	if (thread->use >= BUSY && process->threads == 1)
		say(report, CAUSE,
		    "Thread %d computes, and does not come back to accept().",
		    thread->tid);
	else if (thread->use >= BUSY)
		say(report, CAUSE,
		    "Thread %d computes: if it is the one that accepts, it\n"
		    "does not come back to that; else it may keep a lock.",
		    thread->tid);
	else
		say(report, CAUSE,
		    "Thread %d is ready to run and gets %.0f%% of a\n"
		    "processor: others take it, or a quota (cpu.max of its\n"
		    "cgroup).",
		    thread->tid, thread->use < 0 ? 0 : thread->use * 100);
	say(report, NOW, "See what it computes:");
	command(report, NOW, "top -H -p %d", process->pid);
	command(report, NOW, "perf top -p %d", process->pid);
	say(report, FOR_GOOD,
	    "Take long work out of the thread that accepts, or run more\n"
	    "workers.");
	say_longer_queue(report);
	return true;
}

/* All threads sleep though connections wait: say what the first thread waits for. */
bool is_blocked(const struct subject *subject, struct report *report)
{
	const struct acceptor *process = subject->acceptors.acceptor;
	const char *meaning;
	bool many;

	if (!is_stalled(subject) || !all_threads(subject, is_asleep_thread))
		return false;
	many = process->threads > 1 || subject->acceptors.count > 1;
	begin(report, subject, many ? "all threads of the program are blocked" :
	      "the program is blocked");
	say_threads(report, subject);
	meaning = wchan_meaning(process->thread->wchan);
	if (meaning)
		say(report, CAUSE,
		    "%s waits for %s, and not for clients of this listener.",
		    many ? "Its first thread" : "It", meaning);
	else if (*process->thread->wchan)
		say(report, CAUSE,
		    "%s waits in %s(), and not for clients of this listener.",
		    many ? "Its first thread" : "It", process->thread->wchan);
	else
		say(report, CAUSE,
		    "It waits for something, and not for clients of this\n"
		    "listener. The kernel does not say for what (wchan is\n"
		    "for root).");
	say(report, NOW, "See where its threads are:");
	command(report, NOW, "cat /proc/%d/task/*/stack", process->pid);
	command(report, NOW, "gdb -p %d -batch -ex 'thread apply all bt'",
		process->pid);
	say(report, FOR_GOOD,
	    "Time limits on what it waits for, or more threads.");
	say_longer_queue(report);
	return true;
}

bool is_not_accepting(const struct subject *subject, struct report *report)
{
	if (!is_stalled(subject))
		return false;
	begin(report, subject, "the program does not accept");
	say_threads(report, subject);
	if (subject->acceptors.count) {
		say(report, CAUSE,
		    "%s accepts nobody from this listener. Why, does not\n"
		    "show in what its threads do.",
		    who(subject));
		say(report, NOW, "See what it does instead:");
		command(report, NOW, "strace -f -p %d",
			subject->acceptors.acceptor->pid);
	} else if (subject->acceptors.left) {
		say(report, CAUSE,
		    "Not known: its process was not looked at, with so much\n"
		    "else to look at.");
		say(report, NOW, "Look at it alone:");
		command_listenq(report, NOW, subject->listener,
				"explain %s", filter_of(subject->listener));
	} else {
		say(report, CAUSE,
		    "Not known: its process can't be looked at from here.");
		say(report, NOW, "Find out, as root, who has the socket open:");
		command_ss(report, NOW, subject->listener);
	}
	say_longer_queue(report);
	return true;
}

/* With a single look: connections wait, and more can't be told. */
bool is_waiting(const struct subject *subject, struct report *report)
{
	if (subject->before || !waits_long(subject))
		return false;
	report->harm = ARE;
	report->clients = subject->listener->figure[ACCEPTQ];
	say(report, HEADLINE, "%s for %s",
	    count_of(subject->listener->figure[ACCEPTQ], "connection waits",
		     "connections wait"),
	    time_of(subject->listener->figure[ACCEPTQ_OLDEST_MS]));
	say_queue(report, subject);
	say_threads(report, subject);
	say(report, CAUSE,
	    "The program does not accept, or is too slow: a single look at\n"
	    "saved files does not tell which.");
	say(report, NOW, "On the machine itself, look twice:");
	command_listenq(report, NOW, subject->listener, "explain %s",
			filter_of(subject->listener));
	return true;
}

/* Whether the queue was more than half full at both looks. */
static bool stays_full(const struct subject *subject)
{
	return subject->before &&
	       listener_fill(subject->before, ACCEPTQ) > 0.5 &&
	       listener_fill(subject->listener, ACCEPTQ) > 0.5;
}

bool is_slow(const struct subject *subject, struct report *report)
{
	const struct listener *listener = subject->listener;
	const long long *figure = listener->figure;
	double accepts = listener->rate[ACCEPTS], come = arrivals(subject);
	long long all = figure[LIMIT] == UNKNOWN ? 0 : figure[LIMIT] + 1;
	bool waited;

	if (!subject->before || accepts <= 0)
		return false;
	waited = waits_long(subject) && waits_long(&(struct subject) {
		.listener = subject->before });
	if (!waited && !(stays_full(subject) &&
			 (listener->rate[OVERFLOWS] > 0 ||
			  listener->rate[WAITED] > 0 || come > accepts)))
		return false;
	report->harm = ARE;
	report->clients = listener->rate[OVERFLOWS] > 0 ?
			  listener->rate[OVERFLOWS] : figure[ACCEPTQ];
	say(report, HEADLINE,
	    "the program accepts more slowly than clients come");
	say_queue(report, subject);
	if (come >= 0)
		say(report, EVIDENCE,
		    "%s connections came per second, %s were accepted.",
		    rate_of(come), rate_of(accepts));
	else
		say(report, EVIDENCE,
		    "%s connections per second were accepted.",
		    rate_of(accepts));
	if (listener->rate[OVERFLOWS] > 0)
		say(report, EVIDENCE, is_unix(listener) ?
		    "%s calls of connect() per second got EAGAIN." :
		    "%s SYNs and ACKs per second were refused.",
		    rate_of(listener->rate[OVERFLOWS]));
	if (listener->rate[WAITED] > 0)
		say(report, EVIDENCE,
		    "%s calls of connect() per second had to wait for room.",
		    rate_of(listener->rate[WAITED]));
	say_threads(report, subject);
	say(report, CAUSE, "Who comes now waits for %s before it is accepted.",
	    duration_of(figure[ACCEPTQ] * 1000 / accepts));
	if (all > figure[ACCEPTQ] && come > accepts)
		say(report, CAUSE, "The queue is full again in %s.",
		    duration_of((all - figure[ACCEPTQ]) * 1000 /
				(come - accepts)));
	say(report, NOW,
	    "More workers or threads, or fewer clients. Where its time goes:");
	if (subject->acceptors.count)
		command(report, NOW, "top -H -p %d",
			subject->acceptors.acceptor->pid);
	else
		command_listenq(report, NOW, listener, "%s -w",
				filter_of(listener));
	say(report, FOR_GOOD, "Make it accept faster.");
	if (all)
		say(report, FOR_GOOD,
		    "At this rate a queue of %lld means a wait of %s; a longer\n"
		    "one only makes the wait longer.",
		    figure[LIMIT], duration_of(all * 1000 / accepts));
	return true;
}
