// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listeners that end, and what becomes of what their queues hold.
 *
 *	inet_csk_listen_stop()		in listen.c
 *	  reuseport_migrate_sock()	another listener gets what is waiting, or nobody
 *	  tcp_disconnect()		the same where nothing is ever moved
 *
 * The kernel takes the connections out of the accept queue one by one, in the task
 * that closes the listener, and resets each or gives it to another listener of the
 * group. The record has ended before that, so what it knew is kept here until the
 * last one is told of.
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
 * @task: by whom; NULL: free. It is compared, never followed.
 * @user: whose task that is
 * @sk: the listener; it is compared, never followed
 * @cookie: its cookie
 * @since: since when, in jiffies
 * @waiting: how many of its connections nobody has told of yet
 * @synq: requests in its SYN queue then
 * @closed: what is told of it in the end
 *
 * All but @task is for that task alone, which has preemption off then; or for
 * who gives up on it.
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

/* More at once, or of a user's, are told of without a name, and not in the log. */
#define CLOSINGS	12
#define SHARE		4

/* For so long one may be closing; if it takes longer, a hook has missed something. */
#define CLOSING_MAX	(10 * HZ)

struct closing_net {
	struct closing closings[CLOSINGS];
};

static unsigned int closing_net_id;

/* Whether it is another task's, and may go on. */
static bool closing_is_held(const struct closing *closing)
{
	/* A task closes one at a time; of what it left over, something was missed. */
	const struct task_struct *task = smp_load_acquire(&closing->task);

	return task && task != current &&
	       time_before(jiffies, READ_ONCE(closing->since) + CLOSING_MAX);
}

/* Whoever sees the task sees since when: cmpxchg() is a barrier. */
static bool closing_claim(struct closing *closing)
{
	const struct task_struct *task = READ_ONCE(closing->task);

	if (closing_is_held(closing))
		return false;
	WRITE_ONCE(closing->since, jiffies);
	return cmpxchg(&closing->task, task, current) == task;
}

/* A task that gets no turn may be closing for ever: no user has more than a share. */
static bool user_has_share(const struct closing_net *mine)
{
	unsigned int i, held = 0;

	for (i = 0; i < CLOSINGS; i++)
		held += closing_is_held(&mine->closings[i]) &&
			uid_eq(mine->closings[i].user, current_uid());
	return held < SHARE;
}

/* What the current task closes: @sk, or where that is not known, any. */
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

/* A place for what the current task closes: that which it has, or another one. */
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

/* It ends with connections in its accept queue. */
static void closing_begin(const struct net *net, struct listener *listener,
			  const struct sock *sk)
{
	struct closing *closing = closing_place(net);

	if (!closing) {
		/* Nothing tells of which listener a connection is, then. */
		if (!KERNEL_HAS(reuseport_migrate_sock))
			ring_missed(net, READ_ONCE(sk->sk_ack_backlog));
		return;
	}
	WRITE_ONCE(closing->since, jiffies);
	closing->user = current_uid();
	closing->sk = sk;
	closing->cookie = listener->cookie;
	closing->waiting = READ_ONCE(sk->sk_ack_backlog);
	closing->synq = synq_length(sk);
	closing->closed.unaccepted = 0;
	closing->closed.limit = READ_ONCE(sk->sk_max_ack_backlog);
	closing->closed.local = listener->place;
	/* A listen() that has just ended may be noted: a mixed name is one. */
	closing->closed.call = data_race(listener->call);
}

/* Of one that there was no room for, less is known. */
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
		/* This one has been taken out. */
		refusal->arrival.acceptq = READ_ONCE(sk->sk_ack_backlog) + 1;
		refusal->arrival.synq = synq_length(sk);
		refusal->comm[0] = '\0';
	}
}

/* The kernel is about to reset it. */
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
 * What becomes of one of the connections of a listener that ends: whether the kernel
 * resets it, or another listener gets it. @sk is NULL where it is not told whose it is.
 */
static void closing_connection(const struct net *net, const struct sock *sk,
			       const struct sock *child, bool is_reset)
{
	struct closing *closing;

	/* A listener of the kernel's own may outlive what is kept of its namespace. */
	if (unlikely(!check_net(net)))
		return;
	closing = closing_find(net, sk);
	/* It may be of none that is being closed, or of another protocol's. */
	if (!closing && (!sk || !listener_is_tcp(sk)))
		return;
	if (is_reset)
		note_reset(net, sk, closing, child);
	if (!closing)
		return;
	closing->waiting--;
	/* One that has come meanwhile is among them where the listener is known. */
	if (sk ? READ_ONCE(sk->sk_ack_backlog) : closing->waiting)
		return;
	if (closing->closed.unaccepted)
		refused_report_closed(net, closing->sk, &closing->closed);
	/* Whoever claims it next has all of this behind it. */
	smp_store_release(&closing->task, NULL);
}

/* ---- hooks ---- */

/* Whether what waits in a listener's queues may be another's when it ends. */
static bool moves(const struct sock *sk)
{
	return KERNEL_HAS(reuseport_migrate_sock) &&
	       rcu_access_pointer(sk->sk_reuseport_cb);
}

/**
 * closing_stop() - a listener ends, and its record
 * @sk: the listener, out of the listening hash, its queues as they were
 *
 * Context: a handler of a hook: preemption off, an NMI too.
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
 * With a segment, the request is seen when it becomes a connection.
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
		/* It is not in the SYN queue yet. */
		outcome_begin(sk, OUTCOME_OF_MOVED);
		return true;
	}
	books = books_of(sk);
	if (books.listener) {
		books_carry_in(books);
		return true;
	}
	unaccepted(migrate->sk);
	/* Where it has just begun, its record will have it. */
	if (READ_ONCE(sk->sk_state) != TCP_LISTEN)
		ring_missed(books.net, 1);
	return true;
}

/*
 * tcp_disconnect(struct sock *sk, int flags)
 *
 * Where no connection is moved, inet_csk_listen_stop() calls it for each that waited
 * (inet_child_forget()). What a process disconnects or closes is a socket of its own.
 */
static __always_inline void forgotten(struct entry_regs *regs)
{
	const struct sock *sk = (void *)entry_argument(regs, 0);

	/* In a softirq it is one that has come too late for its listener. */
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
		.lost		= "refused lacks what was closed",
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
 * closing_init() - nobody closes a listener yet
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int closing_init(void)
{
	return register_pernet_subsys(&closing_namespaces);
}

/**
 * closing_exit() - undo closing_init()
 *
 * Context: process context, when no hook can call in any more.
 */
void closing_exit(void)
{
	unregister_pernet_subsys(&closing_namespaces);
}
