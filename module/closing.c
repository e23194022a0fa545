// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listeners that end, and what becomes of the connections in their queues.
 *
 *	inet_csk_listen_stop()		hooked in listen.c
 *	  reuseport_migrate_sock()	moves or resets a connection
 *	  tcp_disconnect()		resets it, in kernels that move none
 *
 * The task that closes the listener takes the connections out of the accept queue
 * one by one, and the kernel resets each or moves it to another listener of the
 * group. The record is retired before that, so struct closing keeps what it knew
 * until the last connection is done.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "books.h"
#include "closing.h"
#include "compat.h"
#include "endpoint.h"
#include "listenq.h"
#include "outcome.h"
#include "record.h"
#include "refused.h"
#include "ring.h"
#include "socket.h"
#include "trace.h"
#include "traffic.h"

/**
 * struct closing - a listener that is being closed
 * @task: the task that closes it; NULL: free. It is compared, never followed.
 * @user: the user of @task
 * @sk: the listener. It is compared, never followed.
 * @cookie: the listener's cookie
 * @since: when @task last began to close a listener, in jiffies
 * @waiting: how many of its connections no hook has reported yet
 * @synq: requests in its SYN queue when it ended
 * @closed: what the log is told once all are reported
 *
 * Only @task writes the other fields, with preemption off, or a task that takes over
 * after CLOSING_MAX. Others read @since and @user.
 */
struct closing {
	const struct task_struct *task;
	kuid_t user;
	const struct sock *sk;
	u64 cookie;
	unsigned long since;
	unsigned int waiting;
	unsigned int synq;
	struct refused_closed closed;
};

/* In total and per user; beyond that, rows lack the name and the log its line. */
#define CLOSINGS	12
#define SHARE		4

/* If closing takes longer than this, a hook has missed the end of it. */
#define CLOSING_MAX	(10 * HZ)

struct closing_net {
	struct closing closings[CLOSINGS];
};

static unsigned int closing_net_id;

/* Whether another task is using it, and has not exceeded CLOSING_MAX. */
static bool closing_is_held(const struct closing *closing)
{
	/* A task closes one listener at a time: a leftover of current is free. */
	const struct task_struct *task = smp_load_acquire(&closing->task);

	return task && task != current &&
	       time_before(jiffies, READ_ONCE(closing->since) + CLOSING_MAX);
}

/* cmpxchg() is a barrier: a reader that sees the task sees @since. */
static bool closing_claim(struct closing *closing)
{
	const struct task_struct *task = READ_ONCE(closing->task);

	if (closing_is_held(closing))
		return false;
	WRITE_ONCE(closing->since, jiffies);
	return cmpxchg(&closing->task, task, current) == task;
}

/* A task that gets no CPU time may be closing forever, so each user has a share. */
static bool user_has_share(const struct closing_net *mine)
{
	unsigned int i, held = 0;

	for (i = 0; i < CLOSINGS; i++)
		held += closing_is_held(&mine->closings[i]) &&
			uid_eq(mine->closings[i].user, current_uid());
	return held < SHARE;
}

/* What current is closing: @sk or, where the hook can't tell, any listener. */
static struct closing *closing_find(const struct net *net,
				    const struct sock *sk)
{
	struct closing_net *mine = net_generic_atomic(net, closing_net_id);
	struct closing *closing;
	unsigned int i;

	for (i = 0; mine && i < CLOSINGS; i++) {
		closing = &mine->closings[i];
		if (READ_ONCE(closing->task) == current &&
		    (!sk || closing->sk == sk))
			return closing;
	}
	return NULL;
}

/* A struct closing for the current task: the one it has, or a free one. */
static struct closing *closing_place(const struct net *net)
{
	struct closing_net *mine = net_generic_atomic(net, closing_net_id);
	struct closing *own = closing_find(net, NULL);
	unsigned int i;

	if (own || !mine || !user_has_share(mine))
		return own;
	for (i = 0; i < CLOSINGS; i++)
		if (closing_claim(&mine->closings[i]))
			return &mine->closings[i];
	return NULL;
}

/* The listener ends with connections in its accept queue. */
static void closing_begin(const struct net *net, struct listener *listener,
			  const struct sock *sk)
{
	struct closing *closing = closing_place(net);

	if (!closing) {
		/* No later hook can tell then which listener they belong to. */
		if (!KERNEL_HAS(reuseport_migrate_sock))
			ring_missed(net, READ_ONCE(sk->sk_ack_backlog));
		return;
	}
	WRITE_ONCE(closing->since, jiffies);
	closing->user = current_uid();
	closing->sk = sk;
	closing->cookie = listener->cookie;
	closing->waiting = READ_ONCE(sk->sk_ack_backlog);
	closing->synq = books_synq(listener, sk);
	closing->closed.unaccepted = 0;
	closing->closed.limit = READ_ONCE(sk->sk_max_ack_backlog);
	closing->closed.local = listener->place;
	/* A listen() may be noted at this moment; a mixed name does no harm. */
	closing->closed.call = data_race(listener->call);
}

/* Without a struct closing, less is known of the listener. */
static void describe(const struct sock *sk, const struct closing *closing,
		     struct refusal *refusal)
{
	if (closing) {
		refusal->cookie = closing->cookie;
		refusal->local = closing->closed.local;
		refusal->arrival.limit = closing->closed.limit;
		refusal->arrival.acceptq = closing->waiting;
		refusal->arrival.synq = closing->synq;
		memcpy(refusal->comm, closing->closed.call.comm,
		       sizeof(refusal->comm));
	} else {
		refusal->cookie = atomic64_read(&sk->sk_cookie);
		listener_endpoint(sk, &refusal->local);
		refusal->local.port = ntohs(inet_sk(sk)->inet_sport);
		refusal->arrival.limit = READ_ONCE(sk->sk_max_ack_backlog);
		/* The kernel has taken out this connection already. */
		refusal->arrival.acceptq = READ_ONCE(sk->sk_ack_backlog) + 1;
		refusal->arrival.synq = synq_length(sk);
		refusal->comm[0] = '\0';
	}
}

/* The kernel is about to reset @child. */
static void note_reset(const struct net *net, const struct sock *sk,
		       struct closing *closing, const struct sock *child)
{
	struct refusal *refusal = ring_begin(net);

	if (refusal) {
		refusal->when = jiffies;
		refusal->why = REFUSED_CLOSED;
		client_endpoint(child, &refusal->arrival.client);
		describe(sk, closing, refusal);
		ring_end(refusal);
	}
	if (closing) {
		client_endpoint(child, &closing->closed.client);
		closing->closed.unaccepted++;
	}
}

/*
 * The kernel has decided on one connection of a listener that ends: it resets it, or
 * another listener gets it. @sk is NULL where the hook can't tell the listener.
 */
static void closing_connection(const struct net *net, const struct sock *sk,
			       const struct sock *child, bool is_reset)
{
	struct closing *closing;

	/* A kernel socket may outlive the data of its namespace. */
	if (unlikely(!check_net(net)))
		return;
	closing = closing_find(net, sk);
	/* No listener is being closed, or one of another protocol. */
	if (!closing && (!sk || !listener_is_tcp(sk)))
		return;
	if (is_reset)
		note_reset(net, sk, closing, child);
	if (!closing)
		return;
	closing->waiting--;
	/* With @sk known, connections that came meanwhile count too. */
	if (sk ? READ_ONCE(sk->sk_ack_backlog) : closing->waiting)
		return;
	if (closing->closed.unaccepted)
		refused_report_closed(net, closing->sk, &closing->closed);
	/* The next task to claim it sees all of this done. */
	smp_store_release(&closing->task, NULL);
}

/* ---- hooks ---- */

/* Whether another listener may get what a listener's queues hold when it ends. */
static bool moves(const struct sock *sk)
{
	return KERNEL_HAS(reuseport_migrate_sock) &&
	       rcu_access_pointer(sk->sk_reuseport_cb);
}

/**
 * closing_stop() - end the record of a listener that ends
 * @sk: the listener, out of the listening hash, its queues not emptied yet
 *
 * Context: a handler: preemption off, an NMI too.
 */
void closing_stop(const struct sock *sk)
{
	struct books books = books_of(sk);

	if (books.listener) {
		trace_listenq_close(books.listener, sk);
		books_close(books, sk, moves(sk));
		if (unlikely(READ_ONCE(sk->sk_ack_backlog)) &&
		    check_net(books.net))
			closing_begin(books.net, books.listener, sk);
	}
	record_end(sk);
	if (books.listener)
		books_tell(books, sk);
}

struct migrate_data {
	const struct sock *sk;
	const struct sock *migrating;
	bool is_request;
};

/*
 * reuseport_migrate_sock(struct sock *sk, struct sock *migrating_sk,
 *			  struct sk_buff *skb)
 *
 * A call with a segment moves a request that finished() sees become a connection.
 */
static int migrate_begin(struct pt_regs *regs, void *data)
{
	const struct sock *migrating = (void *)regs_get_kernel_argument(regs, 1);
	struct migrate_data *migrate = data;

	migrate->sk = (void *)regs_get_kernel_argument(regs, 0);
	migrate->migrating = migrating;
	migrate->is_request = migrating->sk_state == TCP_NEW_SYN_RECV;
	return !regs_get_kernel_argument(regs, 2);
}

static void unaccepted(const struct sock *sk)
{
	const struct net *net = sock_net(sk);

	totals_add(net, totals_of(net), TRAFFIC_UNACCEPTED, 1);
}

static bool migrate_end(unsigned long result, void *data)
{
	const struct migrate_data *migrate = data;
	const struct sock *sk = (void *)result;
	struct books books;

	if (!migrate->is_request)
		closing_connection(sock_net(migrate->sk), migrate->sk,
				   migrate->migrating, !sk);
	if (!sk) {
		if (!migrate->is_request && moves(migrate->sk))
			unaccepted(migrate->sk);
		return true;
	}
	if (migrate->is_request) {
		/* The kernel has not put it into the SYN queue yet. */
		outcome_begin(sk, OUTCOME_OF_MOVED);
		return true;
	}
	books = books_of(sk);
	if (books.listener) {
		books_carry_in(books);
		return true;
	}
	unaccepted(migrate->sk);
	/* If that listener has just started, its record will count it as carried. */
	if (READ_ONCE(sk->sk_state) != TCP_LISTEN)
		ring_missed(books.net, 1);
	return true;
}

/*
 * tcp_disconnect(struct sock *sk, int flags)
 *
 * Where the kernel moves no connections, inet_csk_listen_stop() calls this for each
 * connection in the accept queue (inet_child_forget()), which has no struct socket;
 * the sockets that processes disconnect or close have one.
 */
static __always_inline void forgotten(struct entry_regs *regs)
{
	const struct sock *sk = (void *)entry_argument(regs, 0);

	/* In a softirq, it is a connection that came after the end. */
	if (!READ_ONCE(sk->sk_socket) && !in_serving_softirq() &&
	    (int)entry_argument(regs, 1) == O_NONBLOCK)
		closing_connection(sock_net(sk), NULL, sk, true);
}

ENTRY_CALLBACK(forgotten);

const struct hook closing_hooks[] = {
	[HOOK_MIGRATE - CLOSING_HOOKS] = {
		.symbol		= "reuseport_migrate_sock",
		.serves		= "carried_requests, carried_connections, unaccepted, refused",
		.lost		= "unaccepted and what tcp_migrate_req moves read -",
		.absent		= !KERNEL_HAS(reuseport_migrate_sock),
		.begin		= migrate_begin,
		.end		= migrate_end,
		.data_size	= sizeof(struct migrate_data),
	},
	[HOOK_FORGOTTEN - CLOSING_HOOKS] = {
		.symbol		= "tcp_disconnect",
		.serves		= "refused",
		.lost		= "refused lacks the rows with closed",
		.absent		= KERNEL_HAS(reuseport_migrate_sock),
		.shared		= true,
		.entered	= forgotten_entered,
	},
	{ }
};

/* ---- init and exit ---- */

static struct pernet_operations closing_namespaces = {
	.id	= &closing_net_id,
	.size	= sizeof(struct closing_net),
};

/**
 * closing_init() - make room for listeners that are being closed
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int closing_init(void)
{
	return register_pernet_subsys(&closing_namespaces);
}

/**
 * closing_exit() - free what closing_init() has made
 *
 * Context: process context, after hook_exit().
 */
void closing_exit(void)
{
	unregister_pernet_subsys(&closing_namespaces);
}
