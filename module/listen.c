// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on the path of listen().
 *
 *	__sys_listen(fd, backlog)	what is asked
 *	  the clamp by somaxconn
 *	  inet_listen(sock, backlog)	what is granted
 *	    lock_sock()
 *	    __inet_listen_sk(sk, backlog)	the same, since 6.6
 *	      sk_max_ack_backlog = backlog
 *	      inet_csk_listen_start(sk)	the first listen() only: a record
 *	    release_sock()
 *
 *	inet_csk_listen_stop(sk)	close, shutdown, disconnect, abort
 *
 * io_uring enters by __sys_listen_socket() (6.11), which holds the clamp
 * since; MPTCP by __inet_listen_sk() or inet_listen() on its subflow; in-kernel
 * servers by inet_listen(), past the clamp.
 */
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <net/sock.h>

#include "compat.h"
#include "limit.h"
#include "listenq.h"
#include "record.h"
#include "socket.h"
#include "trace.h"

/*
 * How many calls may be inside a hooked function that can block: they wait
 * for the socket's lock, whose owner may take its time.
 */
#define LISTEN_ACTIVE 512

/**
 * struct asking - a task inside listen(2)
 * @task: the task; NULL where the slot is free
 * @backlog: what it asked for
 *
 * A slot is claimed and freed by its task, on entry to and return from the
 * system call, and read by the same task in between: a failed listen() leaves
 * nothing. There are more slots than instances of the hooks that claim one,
 * so that a claim finds a slot, soon.
 */
struct asking {
	struct task_struct *task;
	int backlog;
};

#define ASKING_BITS 11
static struct asking askings[1 << ASKING_BITS];

/* The slots in the order in which @task looks at them. */
static struct asking *asking_slot(const struct task_struct *task,
				  unsigned int n)
{
	return &askings[(hash_ptr((void *)task, ASKING_BITS) + n) %
			ARRAY_SIZE(askings)];
}

static struct asking *asking_claim(int backlog)
{
	struct asking *slot;
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(askings); n++) {
		slot = asking_slot(current, n);
		if (READ_ONCE(slot->task) ||
		    cmpxchg(&slot->task, NULL, current))
			continue;
		slot->backlog = backlog;
		return slot;
	}
	return NULL;
}

static const struct asking *asking_find(void)
{
	const struct asking *slot;
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(askings); n++) {
		slot = asking_slot(current, n);
		if (READ_ONCE(slot->task) == current)
			return slot;
	}
	return NULL;
}

struct ask_data {
	struct asking *slot;
};

/* __sys_listen(int fd, int backlog), which 32-bit programs reach too, and */
/* __sys_listen_socket(struct socket *sock, int backlog) */
static bool ask_enter(struct pt_regs *regs, void *data)
{
	struct ask_data *ask = data;

	ask->slot = asking_claim((int)regs_get_kernel_argument(regs, 1));
	return ask->slot;
}

static void ask_leave(unsigned long result, void *data)
{
	const struct ask_data *ask = data;

	/* Whoever claims the slot next writes behind our last read of it. */
	smp_store_release(&ask->slot->task, NULL);
}

/*
 * Who calls, and what was asked. Without a slot the caller is not in
 * listen(2): an in-kernel server, which nobody clamps, so that it asked for
 * what it got. Or a hit was skipped: then what was granted hides what was
 * asked only where it is all that somaxconn allows.
 */
static void call_describe(struct listen_call *call, const struct sock *sk,
			  unsigned int granted)
{
	const struct cred *cred = current_cred();
	const struct asking *asking = asking_find();
	const struct task_struct *leader;

	call->granted = granted;
	if (asking) {
		call->asked = asking->backlog;
		call->asked_known = true;
	} else {
		call->asked = granted;
		call->asked_known = current->flags & PF_KTHREAD ||
			granted != READ_ONCE(sock_net(sk)->core.sysctl_somaxconn);
	}

	call->uid = uid_eq(cred->uid, cred->euid) &&
		    uid_eq(cred->uid, cred->suid) ? cred->uid : INVALID_UID;

	/* Preemption is off: the leader stays, even when exec() replaces it. */
	leader = READ_ONCE(current->group_leader);
	call->pid = task_tgid_nr(current);
	call->started = leader->start_time;
	/* The leader may be renaming itself: a mixed name is still a name. */
	data_race(memcpy(call->comm, leader->comm, sizeof(call->comm)));
	call->comm[sizeof(call->comm) - 1] = '\0';
}

struct listen_data {
	struct sock *sk;
	unsigned int granted;
	bool again;
	struct limit_change *change;
};

static bool listen_enter(struct listen_data *listen, struct sock *sk,
			 unsigned long granted)
{
	if (!listener_is_tcp(sk))
		return false;
	listen->sk = sk;
	listen->granted = (unsigned int)granted;
	listen->again = inet_sk_state_load(sk) == TCP_LISTEN;
	listen->change = limit_change_begin(sk, listen->granted);
	return listen->change;
}

/* inet_listen(struct socket *sock, int backlog) */
static bool inet_listen_enter(struct pt_regs *regs, void *data)
{
	struct socket *sock = (void *)regs_get_kernel_argument(regs, 0);

	return listen_enter(data, sock->sk, regs_get_kernel_argument(regs, 1));
}

/* __inet_listen_sk(struct sock *sk, int backlog) */
static bool inet_listen_sk_enter(struct pt_regs *regs, void *data)
{
	return listen_enter(data, (void *)regs_get_kernel_argument(regs, 0),
			    regs_get_kernel_argument(regs, 1));
}

static void listen_leave(unsigned long result, void *data)
{
	const struct listen_data *listen = data;
	struct listen_call call;

	if (!(int)result)
		call_describe(&call, listen->sk, listen->granted);
	limit_change_end(listen->change, listen->sk,
			 (int)result ? NULL : &call);
	if (!(int)result)
		trace_listenq_listen(listen->sk, &call, listen->again);
}

struct start_data {
	struct sock *sk;
	unsigned int granted;
};

/*
 * inet_csk_listen_start(struct sock *sk); until 5.16 the backlog came behind
 * it. The caller has locked the socket and stored the limit, and nobody else
 * knows the socket as a listener yet.
 */
static bool start_enter(struct pt_regs *regs, void *data)
{
	struct start_data *start = data;

	start->sk = (void *)regs_get_kernel_argument(regs, 0);
	start->granted = READ_ONCE(start->sk->sk_max_ack_backlog);
	return listener_is_tcp(start->sk);
}

static void start_leave(unsigned long result, void *data)
{
	const struct start_data *start = data;
	struct listen_call call;

	if ((int)result)
		return;
	call_describe(&call, start->sk, start->granted);
	record_begin(start->sk, &call);
}

/* inet_csk_listen_stop(struct sock *sk) */
static bool stop_enter(struct pt_regs *regs, void *data)
{
	record_end((void *)regs_get_kernel_argument(regs, 0));
	return false;
}

/*
 * Outermost first, so that a call which is seen to start has been seen to
 * ask; a name without a star is not everywhere.
 */
const struct hook listen_hooks[] = {
	{
		.symbol		= "__sys_listen",
		.serves		= "asked",
		.lost		= "asked reads - where somaxconn clamps",
		.enter		= ask_enter,
		.leave		= ask_leave,
		.data_size	= sizeof(struct ask_data),
		.active		= LISTEN_ACTIVE,
	}, {
		.symbol		= "__sys_listen_socket",
		.serves		= "asked, through io_uring",
		.lost		= "asked reads - where somaxconn clamps io_uring",
		.absent		= !KERNEL_HAS(__sys_listen_socket),
		.enter		= ask_enter,
		.leave		= ask_leave,
		.data_size	= sizeof(struct ask_data),
		.active		= LISTEN_ACTIVE,
	}, {
		.symbol		= "__inet_listen_sk",
		.serves		= "granted",
		.absent		= !KERNEL_HAS(__inet_listen_sk),
		.enter		= inet_listen_sk_enter,
		.leave		= listen_leave,
		.data_size	= sizeof(struct listen_data),
		.active		= LISTEN_ACTIVE,
	}, {
		.symbol		= "inet_listen",
		.serves		= "granted",
		.unless		= "__inet_listen_sk",
		.required	= true,
		.enter		= inet_listen_enter,
		.leave		= listen_leave,
		.data_size	= sizeof(struct listen_data),
		.active		= LISTEN_ACTIVE,
	}, {
		.symbol		= "inet_csk_listen_start",
		.serves		= "a record begins",
		.required	= true,
		.enter		= start_enter,
		.leave		= start_leave,
		.data_size	= sizeof(struct start_data),
		.active		= LISTEN_ACTIVE,
	}, {
		.symbol		= "inet_csk_listen_stop",
		.serves		= "a record ends",
		.required	= true,
		.enter		= stop_enter,
	},
	{ }
};
