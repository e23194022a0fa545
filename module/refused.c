// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who was turned away: the line in the kernel log.
 *
 * The handler that finds an accept queue full takes no lock and prints
 * nothing: it fills a slot of its network namespace's, and a work item prints
 * from that. Namespaces share no slots, so that none can take another's; owner.c
 * limits the lines.
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
 * @net: its namespace, which waits for its reports before it goes
 * @unaccepted: it has ended with so many connections; 0: it is there, its accept
 *	queue was full, and its record tells how often
 * @limit: the limit of its accept queue
 * @local: where it listens
 * @client: who was turned away last
 * @pid: who called listen(), where it has ended; 0 unknown
 * @comm: the name of that process
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

/* What a namespace has fits 1024 bytes. */
#define REPORTS 7

/**
 * struct refused_net - what a network namespace has
 * @open: whether handlers, which are RCU readers, may claim a report
 * @reports: a handler claims a free one and fills it; print_reports() prints
 *	it and frees it. With none free nothing is reported: the kernel log is
 *	not a place for more.
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

/* Held by who prints: a namespace whose reports are printed is there. */
static DEFINE_MUTEX(print_lock);

/* ---- in handlers ---- */

/* A work item can't be queued from a probe handler, an irq_work can. */
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
 * @client: who was turned away
 * @then: when one was reported last, as listener.reported has it
 * @now: what it has from now on
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
		/* Another CPU reports it; nothing was filled in. */
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
 * refused_report_closed() - have it printed that a listener has ended with connections
 * @net: the namespace
 * @sk: the listener, which is not followed
 * @closed: what is known of it
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

/* "comm[pid]", the name as in the file sockets; "-" where it is not known. */
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

/* ", last client ADDRESS:PORT"; nothing where it is not known. */
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
	/* INET6_ADDRSTRLEN and what is around it. */
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

/* The listener may be gone by now, or all has been told already. */
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

/* All that were pending when it was called are printed when it returns. */
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
		/* Whoever claims it next fills it behind all of this. */
		smp_store_release(&report->sk, NULL);
	}
	mutex_unlock(&print_lock);
}

static void print_work(struct work_struct *work)
{
	print_reports();
}

/* ---- init and exit ---- */

/* It can't fail: then there would be no grace period before the memory goes. */
static int refused_net_init(struct net *net)
{
	struct refused_net *refused = net_generic(net, refused_net_id);

	WRITE_ONCE(refused->open, true);
	return 0;
}

/*
 * A listener of the kernel's own may outlive this by a moment. Between
 * pre_exit and exit is a grace period, and memory goes when all rooms' and
 * subsystems' exits have run (net/core/net_namespace.c).
 */
static void refused_net_pre_exit(struct net *net)
{
	struct refused_net *refused = net_generic(net, refused_net_id);

	WRITE_ONCE(refused->open, false);
}

/* No handler has a report of these any more, so what is left is pending. */
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
 * @interval: for how many seconds a listener whose overflows were reported in
 *	the log is left out; 0: none is reported. May change at any time.
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
 * refused_exit() - free what refused_init() made
 *
 * Context: process context, when no hook can call in any more.
 */
void refused_exit(void)
{
	irq_work_sync(&report_irq_work);
	cancel_work_sync(&report_work);
	unregister_pernet_subsys(&refused_namespaces);
}
