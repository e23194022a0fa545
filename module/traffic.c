// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on the path of a connection.
 *
 *	SYN		tcp_conn_request(): the SYN queue full? a cookie? the
 *			accept queue full?
 *	final ACK	tcp_v4_syn_recv_sock(), tcp_v6_syn_recv_sock(): the
 *			accept queue full?
 *	accept()	__inet_accept()
 *
 * Each handler runs when its function is entered and asks the questions that
 * the function is about to ask, of the same fields: nobody tells what it has
 * decided. Between the two another CPU may change a queue by one. A handler
 * takes no lock and allocates nothing; it writes a counter of its CPU's, and
 * those of the listener's record that the event is about.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/inet_connection_sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "listenq.h"
#include "record.h"
#include "row.h"
#include "socket.h"
#include "trace.h"
#include "traffic.h"

/* ---- counting ---- */

struct traffic_counts {
	unsigned long counts[TRAFFIC_COUNTS];
};

/**
 * struct traffic_net - what a network namespace has
 * @totals: for handlers, which are RCU readers; NULL before and after
 * @memory: the same, as long as it is allocated
 */
struct traffic_net {
	struct traffic_counts __percpu *totals;
	struct traffic_counts __percpu *memory;
};

static unsigned int traffic_net_id;

/**
 * struct counters - where a handler counts
 * @listener: the socket's record, or NULL where it has none
 * @totals: the namespace's, or NULL
 */
struct counters {
	struct listener *listener;
	struct traffic_counts __percpu *totals;
};

static struct counters counters_of(const struct sock *sk)
{
	const struct traffic_net *traffic =
		net_generic_atomic(sock_net(sk), traffic_net_id);

	return (struct counters) {
		.listener = record_of(sk),
		.totals = traffic ? READ_ONCE(traffic->totals) : NULL,
	};
}

static void count(struct counters where, enum traffic_count what)
{
	if (where.totals)
		this_cpu_inc(where.totals->counts[what]);
	/* Of accepts, a record knows more. */
	if (where.listener && what < TRAFFIC_ACCEPTS)
		atomic_long_inc(&where.listener->traffic.counts[what]);
}

/* ---- the log line ---- */

/*
 * An overflow that is to be reported. A handler claims a free one and fills
 * it; report() prints it and frees it. With none free nothing is reported:
 * the kernel log is not a place for more.
 */
struct report {
	const struct sock *sk;	/* NULL: free. Compared, never followed. */
	bool ready;		/* filled */
	u64 cookie;
	unsigned int netns;
	unsigned int limit;
	struct sockaddr_in6 local;
};

static struct report reports[16];

static const unsigned int *log_interval;

static void report(struct work_struct *work);

static DECLARE_WORK(report_work, report);
static struct irq_work report_irq_work;

/* Beside each listener's own interval. */
static DEFINE_RATELIMIT_STATE(host_limit, 5 * HZ, 10);

/* A work item can't be queued from a probe handler, an irq_work can. */
static void report_soon(struct irq_work *work)
{
	schedule_work(&report_work);
}

static struct report *report_claim(const struct sock *sk)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reports); i++)
		if (!READ_ONCE(reports[i].sk) &&
		    !cmpxchg(&reports[i].sk, NULL, sk))
			return &reports[i];
	return NULL;
}

/* In a handler: have it printed, unless it is too soon after the last time. */
static void report_later(const struct sock *sk, struct listener *listener)
{
	struct listener_traffic *traffic = &listener->traffic;
	unsigned int interval = READ_ONCE(*log_interval);
	u32 then = READ_ONCE(traffic->reported);
	u32 now = (u32)jiffies ?: 1;
	struct report *report;

	if (!interval || (then && now - then < (u64)interval * HZ))
		return;
	report = report_claim(sk);
	if (!report)
		return;
	if (cmpxchg(&traffic->reported, then, now) != then) {
		/* Another CPU reports it; nothing was filled in. */
		WRITE_ONCE(report->sk, NULL);
		return;
	}
	report->cookie = listener->cookie;
	report->netns = sock_net(sk)->ns.inum;
	report->limit = READ_ONCE(sk->sk_max_ack_backlog);
	listener_local(sk, &report->local);
	/* report() reads what was filled in behind this. */
	smp_store_release(&report->ready, true);
	irq_work_queue(&report_irq_work);
}

/* "comm[pid]", the name as in the file sockets; "-" where it is not known. */
static void describe_caller(const struct listen_call *call, char *text,
			    size_t size)
{
	size_t length = 0;
	const char *c;

	for (c = call->comm; call->pid && *c; c++)
		length += scnprintf(text + length, size - length,
				    word_format(*c), (unsigned char)*c);
	if (call->pid)
		scnprintf(text + length, size - length, "[%d]", call->pid);
	else
		strscpy(text, "-", size);
}

static void report_print(const struct report *report)
{
	/* A name in octal, and "[pid]". */
	char caller[4 * TASK_COMM_LEN + 16];
	struct listener *listener;
	struct listen_call call;
	u32 overflows, times = 0;

	rcu_read_lock();
	listener = record_lookup(report->sk, report->cookie);
	if (listener) {
		record_copy_call(listener, &call);
		overflows = atomic_long_read(&listener->traffic.counts[TRAFFIC_OVERFLOWS]);
		times = overflows - listener->traffic.overflows_reported;
	}
	/* It may be gone by now, or all has been told already. */
	if (times && __ratelimit(&host_limit)) {
		listener->traffic.overflows_reported = overflows;
		describe_caller(&call, caller, sizeof(caller));
		pr_notice("net:[%u] %pISpc %s: accept queue full, limit %u, overflows %u\n",
			  report->netns, &report->local, caller, report->limit,
			  times);
	}
	rcu_read_unlock();
}

/* Process context; one at a time. */
static void report(struct work_struct *work)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reports); i++) {
		/* Pairs with report_later(). */
		if (!smp_load_acquire(&reports[i].ready))
			continue;
		report_print(&reports[i]);
		reports[i].ready = false;
		/* Whoever claims it next fills it behind all of this. */
		smp_store_release(&reports[i].sk, NULL);
	}
}

/* ---- the hooks ---- */

/* The accept queue is full, and somebody is turned away. */
static void overflow(const struct sock *sk, struct counters where,
		     bool on_ack)
{
	count(where, TRAFFIC_OVERFLOWS);
	trace_listenq_overflow(sk, on_ack);
	if (!where.listener)
		return;
	WRITE_ONCE(where.listener->traffic.overflowed, jiffies ?: 1);
	report_later(sk, where.listener);
}

/* tcp_conn_request(rsk_ops, af_ops, struct sock *sk, struct sk_buff *skb) */
static bool syn_enter(struct pt_regs *regs, void *data)
{
	struct sock *sk = (void *)regs_get_kernel_argument(regs, 2);
	struct sk_buff *skb = (void *)regs_get_kernel_argument(regs, 3);
	struct counters where = counters_of(sk);
	bool want_cookie = false;
	int syncookies;

	count(where, TRAFFIC_SYNS);
	if (!takes_over_time_wait(skb)) {
		syncookies = READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_syncookies);
		if (syncookies == 2 || inet_csk_reqsk_queue_is_full(sk)) {
			want_cookie = IS_ENABLED(CONFIG_SYN_COOKIES) &&
				      syncookies;
			if (!want_cookie) {
				count(where, TRAFFIC_SYNQ_DROPS);
				return false;
			}
		}
	}
	if (sk_acceptq_is_full(sk)) {
		overflow(sk, where, false);
		return false;
	}
	if (want_cookie)
		count(where, TRAFFIC_SYNCOOKIES);
	else if (where.listener)
		record_raise(&where.listener->traffic.synq_peak,
			     synq_length(sk) + 1);
	return false;
}

static __always_inline void ack(const struct sock *sk)
{
	struct listener *listener;

	if (sk_acceptq_is_full(sk)) {
		overflow(sk, counters_of(sk), true);
		return;
	}
	listener = record_of(sk);
	if (listener)
		record_raise(&listener->traffic.acceptq_peak,
			     READ_ONCE(sk->sk_ack_backlog) + 1);
}

/* tcp_v4_syn_recv_sock(const struct sock *sk, struct sk_buff *skb, ...) */
static bool ack4_enter(struct pt_regs *regs, void *data)
{
	ack((void *)regs_get_kernel_argument(regs, 0));
	return false;
}

/* tcp_v6_syn_recv_sock(), which hands IPv4's segments to that for IPv4 */
static bool ack6_enter(struct pt_regs *regs, void *data)
{
	const struct sk_buff *skb = (void *)regs_get_kernel_argument(regs, 1);

	if (skb->protocol != htons(ETH_P_IP))
		ack((void *)regs_get_kernel_argument(regs, 0));
	return false;
}

/*
 * The column of the waits that holds so many milliseconds: up to 4, 8, ...,
 * 65536, and more.
 */
static unsigned int wait_column(u64 ms)
{
	return min_t(unsigned int, ms ? fls64((ms - 1) >> 2) : 0,
		     TRAFFIC_WAITS - 1);
}

/*
 * __inet_accept(struct socket *sock, struct socket *newsock,
 *		 struct sock *newsk)
 *
 * MPTCP's sockets come through here too, and are not ours to look into: those
 * that a listener of TCP's gives are its own kind.
 */
static bool accept_enter(struct pt_regs *regs, void *data)
{
	struct socket *sock = (void *)regs_get_kernel_argument(regs, 0);
	struct sock *child = (void *)regs_get_kernel_argument(regs, 2);
	struct counters where;
	struct listener_waits *waits;
	u64 ms;

	if (!listener_is_tcp(sock->sk))
		return false;
	where = counters_of(sock->sk);
	count(where, TRAFFIC_ACCEPTS);
	if (where.listener) {
		waits = &where.listener->waits;
		ms = listener_waited_ms(child);
		atomic_long_inc(&waits->counts[wait_column(ms)]);
		atomic_long_add(ms, &waits->ms);
	}
	return false;
}

const struct hook traffic_hooks[] = {
	{
		.symbol		= "tcp_conn_request",
		.serves		= "syns, overflows, synq_drops, syncookies, synq_peak",
		.lost		= "these read -",
		.enter		= syn_enter,
	}, {
		.symbol		= "tcp_v4_syn_recv_sock",
		.serves		= "overflows, acceptq_peak",
		.lost		= "these read -",
		.enter		= ack4_enter,
	}, {
		.symbol		= "tcp_v6_syn_recv_sock",
		.serves		= "overflows, acceptq_peak of tcp6",
		.lost		= "these read - there and in totals",
		.absent		= !IS_ENABLED(CONFIG_IPV6),
		.enter		= ack6_enter,
	}, {
		.symbol		= "__inet_accept",
		.serves		= "accepts, waits",
		.lost		= "these read -",
		.absent		= !KERNEL_HAS(__inet_accept),
		.enter		= accept_enter,
	},
	{ }
};

/**
 * traffic_known() - which figures have all the hooks that they need
 * @family: AF_INET or AF_INET6 for a listener's, AF_UNSPEC for the totals'
 *
 * Context: process context; waits for those who place or remove hooks.
 * Return: them.
 */
struct traffic_known traffic_known(int family)
{
	bool syn = hook_is_on("tcp_conn_request");
	bool ack = hook_is_on("tcp_v4_syn_recv_sock");

	if (family == AF_INET6 ||
	    (family == AF_UNSPEC && IS_ENABLED(CONFIG_IPV6)))
		ack = ack && hook_is_on("tcp_v6_syn_recv_sock");
	return (struct traffic_known) {
		.counts[TRAFFIC_SYNS]		= syn,
		.counts[TRAFFIC_ACCEPTS]	= hook_is_on("__inet_accept"),
		.counts[TRAFFIC_OVERFLOWS]	= syn && ack,
		.counts[TRAFFIC_SYNQ_DROPS]	= syn,
		.counts[TRAFFIC_SYNCOOKIES]	= syn,
		.acceptq_peak			= ack,
		.synq_peak			= syn,
	};
}

/**
 * traffic_total() - what has happened to all listeners of a namespace
 * @net: the namespace
 * @what: what
 *
 * Context: process context.
 * Return: how often since the load, or since the namespace was made.
 */
unsigned long traffic_total(struct net *net, enum traffic_count what)
{
	struct traffic_net *traffic = net_generic(net, traffic_net_id);
	unsigned long total = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		total += READ_ONCE(per_cpu_ptr(traffic->memory,
					       cpu)->counts[what]);
	return total;
}

/* ---- init and exit ---- */

static int traffic_net_init(struct net *net)
{
	struct traffic_net *traffic = net_generic(net, traffic_net_id);

	traffic->memory = alloc_percpu(struct traffic_counts);
	if (!traffic->memory)
		return -ENOMEM;
	WRITE_ONCE(traffic->totals, traffic->memory);
	return 0;
}

/*
 * A listener of the kernel's own may outlive this by a moment. Between
 * pre_exit and exit is a grace period (net/core/net_namespace.c).
 */
static void traffic_net_pre_exit(struct net *net)
{
	struct traffic_net *traffic = net_generic(net, traffic_net_id);

	WRITE_ONCE(traffic->totals, NULL);
}

static void traffic_net_exit(struct net *net)
{
	struct traffic_net *traffic = net_generic(net, traffic_net_id);

	free_percpu(traffic->memory);
}

static struct pernet_operations traffic_namespaces = {
	.init		= traffic_net_init,
	.pre_exit	= traffic_net_pre_exit,
	.exit		= traffic_net_exit,
	.id		= &traffic_net_id,
	.size		= sizeof(struct traffic_net),
};

/**
 * traffic_init() - make room for totals
 * @interval: for how many seconds a listener whose overflows were reported in
 *	the log is left out; 0: none is reported. May change at any time.
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int traffic_init(const unsigned int *interval)
{
	log_interval = interval;
	init_irq_work(&report_irq_work, report_soon);
	/* No line of its own for each that it suppresses. */
	ratelimit_set_flags(&host_limit, RATELIMIT_MSG_ON_RELEASE);
	return register_pernet_subsys(&traffic_namespaces);
}

/**
 * traffic_exit() - free what traffic_init() made
 *
 * Context: process context, when no hook and no file can call in any more.
 */
void traffic_exit(void)
{
	irq_work_sync(&report_irq_work);
	cancel_work_sync(&report_work);
	unregister_pernet_subsys(&traffic_namespaces);
}
