// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refusals: the line in the kernel log.
 *
 * A handler takes no lock and prints nothing: it fills one of its network
 * namespace's reports, which a work item prints. Namespaces share no reports, so
 * that none can use up another's; owner.c limits the lines.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "compat.h"
#include "endpoint.h"
#include "listenq.h"
#include "owner.h"
#include "record.h"
#include "refused.h"
#include "row.h"
#include "socket.h"

/**
 * struct report - a line that is to be printed
 * @pending: in pending_reports, once it is filled
 * @sk: the listener; NULL: free. It is compared, never followed.
 * @cookie: the listener's cookie
 * @net: its namespace, whose cleanup prints its reports first
 * @unaccepted: with how many connections the listener has ended; 0: its accept queue
 *	was full, and its record has the number of overflows
 * @limit: the limit of its accept queue
 * @local: where it listens
 * @client: the client refused last
 * @pid: with @unaccepted, the process that called listen(); 0: unknown
 * @comm: with @unaccepted, the name of that process
 */
struct report {
	struct llist_node pending;
	const struct sock *sk;
	u64 cookie;
	const struct net *net;
	unsigned int unaccepted;
	unsigned int limit;
	struct endpoint local;
	struct endpoint client;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/* Keeps struct refused_net below 1024 bytes. */
#define REPORTS 7

/**
 * struct refused_net - the reports of a network namespace
 * @open: whether handlers, which are RCU readers, may claim a report
 * @reports: a handler claims a free one and fills it; print_reports() prints and
 *	frees it. If none is free, the event is not logged.
 */
struct refused_net {
	bool open;
	struct report reports[REPORTS];
};

static unsigned int refused_net_id;

const unsigned int *refused_interval;

static LLIST_HEAD(pending_reports);

static void print_work(struct work_struct *work);

static DECLARE_WORK(report_work, print_work);
static struct irq_work report_irq_work;

/* Held while reports are printed: refused_net_exit() waits for it. */
static DEFINE_MUTEX(print_lock);

/* ---- in handlers ---- */

/* A handler can't queue a work item, but it can queue an irq_work. */
static void print_soon(struct irq_work *work)
{
	schedule_work(&report_work);
}

static struct report *report_claim(const struct net *net,
				   const struct sock *sk)
{
	struct refused_net *refused = net_generic_atomic(net, refused_net_id);
	unsigned int i;

	if (!refused || !READ_ONCE(refused->open))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(refused->reports); i++) {
		struct report *report = &refused->reports[i];

		if (!READ_ONCE(report->sk) && !cmpxchg(&report->sk, NULL, sk))
			return report;
	}
	return NULL;
}

static void report_push(struct report *report)
{
	llist_add(&report->pending, &pending_reports);
	irq_work_queue(&report_irq_work);
}

/**
 * refused_report_now() - have an overflow printed
 * @net: the namespace
 * @listener: the record of the listener
 * @client: the client that was refused
 * @then: value of @listener->reported that the caller has tested
 * @now: its new value
 *
 * Context: preemption off, an NMI too.
 */
void refused_report_now(const struct net *net, struct listener *listener,
			const struct endpoint *client, u32 then, u32 now)
{
	struct report *report = report_claim(net, listener->sk);

	if (!report)
		return;
	if (cmpxchg(&listener->reported, then, now) != then) {
		/* Another CPU reports it: free the report, which is still empty. */
		WRITE_ONCE(report->sk, NULL);
		return;
	}
	report->cookie = listener->cookie;
	report->net = net;
	report->limit = READ_ONCE(listener->decision.limit);
	report->local = listener->place;
	report->client = *client;
	report->unaccepted = 0;
	report_push(report);
}

/**
 * refused_report_closed() - have a listener printed that has ended with connections
 * @net: the namespace
 * @sk: the listener's address, which is not followed
 * @closed: what is known of the listener
 *
 * Context: preemption off, an NMI too.
 */
void refused_report_closed(const struct net *net, const struct sock *sk,
			   const struct refused_closed *closed)
{
	struct report *report;

	if (!READ_ONCE(*refused_interval))
		return;
	report = report_claim(net, sk);
	if (!report)
		return;
	report->net = net;
	report->unaccepted = closed->unaccepted;
	report->limit = closed->limit;
	report->local = closed->local;
	report->client = closed->client;
	report->pid = closed->call.pid;
	memcpy(report->comm, closed->call.comm, sizeof(report->comm));
	report_push(report);
}

/* ---- printing ---- */

/* "comm[pid]", with the name as in the file sockets; "-" if it is not known. */
static void describe_caller(const char *comm, pid_t pid, char *text,
			    size_t size)
{
	size_t length = 0;

	if (!pid) {
		strscpy(text, "-", size);
		return;
	}
	for (; *comm; comm++)
		length += scnprintf(text + length, size - length,
				    word_format(*comm), (unsigned char)*comm);
	scnprintf(text + length, size - length, "[%d]", pid);
}

/* ", last client ADDRESS:PORT"; nothing if it is not known. */
static void describe_client(const struct endpoint *client, char *text,
			    size_t size)
{
	struct sockaddr_in6 address;

	*text = '\0';
	if (!client->family)
		return;
	endpoint_address(client, &address);
	scnprintf(text, size, ", last client %pISpc", &address);
}

static void report_print(const struct report *report, const char *comm,
			 pid_t pid, unsigned int count)
{
	/* A name in octal, and "[pid]". */
	char caller[4 * TASK_COMM_LEN + 16];
	/* INET6_ADDRSTRLEN and the text around it. */
	char client[80];
	struct sockaddr_in6 local;

	describe_caller(comm, pid, caller, sizeof(caller));
	describe_client(&report->client, client, sizeof(client));
	endpoint_address(&report->local, &local);
	pr_notice("net:[%u] %pISpc %s: %s, limit %u, %s %u%s\n",
		  report->net->ns.inum, &local, caller,
		  report->unaccepted ? "closed" : "accept queue full",
		  report->limit,
		  report->unaccepted ? "unaccepted" : "overflows", count, client);
}

static u32 listener_overflows(const struct listener *listener)
{
	const atomic_long_t *counts = listener->traffic.counts;

	return atomic_long_read(&counts[TRAFFIC_OVERFLOWS_SYN]) +
	       atomic_long_read(&counts[TRAFFIC_OVERFLOWS_ACK]);
}

/* The record may be gone, or an earlier line may cover these overflows. */
static void print_overflows(const struct report *report)
{
	struct listener *listener;
	struct listen_call call;
	u32 overflows, times = 0;

	rcu_read_lock();
	listener = record_lookup(report->sk, report->cookie);
	if (listener) {
		record_copy_call(listener, &call);
		overflows = listener_overflows(listener);
		times = overflows - listener->overflows_reported;
	}
	rcu_read_unlock();
	if (!times || !owner_take_line(report->net))
		return;
	report_print(report, call.comm, call.pid, times);
	rcu_read_lock();
	listener = record_lookup(report->sk, report->cookie);
	if (listener)
		listener->overflows_reported = overflows;
	rcu_read_unlock();
}

static void print_closed(const struct report *report)
{
	if (owner_take_line(report->net))
		report_print(report, report->comm, report->pid,
			     report->unaccepted);
}

/* Prints at least the reports that were pending when it was called. */
static void print_reports(void)
{
	struct report *report, *next;
	struct llist_node *pending;

	mutex_lock(&print_lock);
	pending = llist_reverse_order(llist_del_all(&pending_reports));
	llist_for_each_entry_safe(report, next, pending, pending) {
		if (report->unaccepted)
			print_closed(report);
		else
			print_overflows(report);
		/* The next handler to claim it fills it after all of this. */
		smp_store_release(&report->sk, NULL);
	}
	mutex_unlock(&print_lock);
}

static void print_work(struct work_struct *work)
{
	print_reports();
}

/* ---- init and exit ---- */

/* Must not fail: ops_init() would free the memory without a grace period. */
static int refused_net_init(struct net *net)
{
	struct refused_net *refused = net_generic(net, refused_net_id);

	WRITE_ONCE(refused->open, true);
	return 0;
}

/*
 * A kernel socket may outlive its namespace's cleanup by a moment. Between pre_exit
 * and exit there is a grace period, and the memory is freed after all exits
 * (net/core/net_namespace.c).
 */
static void refused_net_pre_exit(struct net *net)
{
	struct refused_net *refused = net_generic(net, refused_net_id);

	WRITE_ONCE(refused->open, false);
}

/* No handler fills reports of these any more: what is left is pending. */
static void refused_net_exit(struct list_head *nets)
{
	print_reports();
}

static struct pernet_operations refused_namespaces = {
	.init		= refused_net_init,
	.pre_exit	= refused_net_pre_exit,
	.exit_batch	= refused_net_exit,
	.id		= &refused_net_id,
	.size		= sizeof(struct refused_net),
};

/**
 * refused_init() - make room for reports
 * @interval: for how many seconds an overflow of a listener silences later ones; 0:
 *	no line at all. May change at any time.
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int refused_init(const unsigned int *interval)
{
	refused_interval = interval;
	init_irq_work(&report_irq_work, print_soon);
	return register_pernet_subsys(&refused_namespaces);
}

/**
 * refused_exit() - free what refused_init() has made
 *
 * Context: process context, after hook_exit().
 */
void refused_exit(void)
{
	irq_work_sync(&report_irq_work);
	cancel_work_sync(&report_work);
	unregister_pernet_subsys(&refused_namespaces);
}
