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
 * Of AF_UNIX:
 *
 *	__sys_listen(fd, backlog)	what is asked
 *	  the clamp by somaxconn
 *	  unix_listen(sock, backlog)	what is granted, a record
 *	    sk_max_ack_backlog = backlog
 *
 * io_uring enters by __sys_listen_socket() (6.11), which holds the clamp
 * since; MPTCP by __inet_listen_sk() or inet_listen() on its subflow; in-kernel
 * servers by inet_listen(), past the clamp.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/syscall.h>
#include <net/sock.h>

#include "closing.h"
#include "compat.h"
#include "limit.h"
#include "listenq.h"
#include "record.h"
#include "socket.h"
#include "sweep.h"
#include "trace.h"
#include "traffic.h"
#include "unix.h"

/**
 * struct asking - a note of what a task asked for
 * @task: the task; NULL: nobody's; WRITING while it is written
 * @call: the system call that the task was in, and its first arguments
 * @backlog: what it asked for
 *
 * Tasks share the places for notes: a newer note overwrites an older one. No call
 * holds anything, so that none can use up what others need, however long it
 * takes; a note is read microseconds later, unless its task has to wait for the
 * socket. It is written, read and taken away by its own task.
 */
struct asking {
	const struct task_struct *task;
	struct asking_call {
		long number;
		unsigned long arguments[2];
	} call;
	int backlog;
};

#define WRITING ((const struct task_struct *)ERR_PTR(-EBUSY))

/**
 * struct asking_places - where the notes of some tasks are
 * @next: which one is overwritten where all are taken; the oldest, about
 * @notes: the notes
 *
 * Tasks that have written a note and not read it yet are few at a time, unless
 * somebody makes them wait: four of them have to meet here to lose one.
 */
struct asking_places {
	unsigned int next;
	struct asking notes[4];
};

#define ASKING_BITS 9
static struct asking_places askings[1 << ASKING_BITS];

/* Notes that were lost and missed, on this CPU. */
static DEFINE_PER_CPU(unsigned long, askings_lost);

static struct asking_places *asking_places(void)
{
	return &askings[hash_ptr(current, ASKING_BITS)];
}

/* The note of @task's in @places, or a free place for NULL. */
static struct asking *asking_find(struct asking_places *places,
				  const struct task_struct *task)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places->notes); i++)
		if (READ_ONCE(places->notes[i].task) == task)
			return &places->notes[i];
	return NULL;
}

/*
 * Which system call the task is in: what a listen() leaves that failed before
 * it got to a socket is not for the next one, of a server in the kernel that the
 * same task starts by another call.
 */
static void asking_call_now(struct asking_call *call)
{
	struct pt_regs *regs = current_pt_regs();
	unsigned long arguments[6];

	call->number = syscall_get_nr(current, regs);
	syscall_get_arguments(current, regs, arguments);
	memcpy(call->arguments, arguments, sizeof(call->arguments));
}

static void asking_note(int backlog)
{
	struct asking_places *places = asking_places();
	struct asking *asking = asking_find(places, current);
	const struct task_struct *task;
	unsigned int next;

	if (!asking)
		asking = asking_find(places, NULL);
	if (!asking) {
		/* Two who do this at once may mean the same one. */
		next = READ_ONCE(places->next);
		WRITE_ONCE(places->next, next + 1);
		asking = &places->notes[next % ARRAY_SIZE(places->notes)];
	}
	task = READ_ONCE(asking->task);
	/* With another one's pen on it, that note is the newer one. */
	if (task == WRITING || cmpxchg(&asking->task, task, WRITING) != task)
		return;
	asking_call_now(&asking->call);
	asking->backlog = backlog;
	/* Its reader finds all of the note, or another one's. */
	smp_store_release(&asking->task, current);
}

/* Whether what the task asked for is known, in the call that it is in. */
static bool asking_read(int *backlog)
{
	const struct asking *asking = asking_find(asking_places(), current);
	struct asking_call now, call;

	if (!asking)
		return false;
	/*
	 * Nobody but current writes that name there: with it there before and
	 * behind, what was read between is current's.
	 */
	smp_rmb();
	/* Somebody may be overwriting it: */
	call = data_race(asking->call);
	/* ... this too. */
	*backlog = data_race(asking->backlog);
	/* As above. */
	smp_rmb();
	if (READ_ONCE(asking->task) != current)
		return false;
	asking_call_now(&now);
	return !memcmp(&now, &call, sizeof(now));
}

/* It has been read for the last time. */
static void asking_forget(void)
{
	struct asking *asking = asking_find(asking_places(), current);

	if (asking)
		cmpxchg(&asking->task, current, NULL);
}

/* __sys_listen(int fd, int backlog), which 32-bit programs reach too, and */
/* __sys_listen_socket(struct socket *sock, int backlog) */
static void ask(struct entry_regs *regs)
{
	asking_note((int)entry_argument(regs, 1));
}

ENTRY_CALLBACK(ask);

/*
 * Who calls, and what was asked. Without a note the caller is not in
 * listen(2): an in-kernel server, which nobody clamps, so that it asked for
 * what it got. Or the note was lost: then what was granted hides what was
 * asked only where it is all that somaxconn allows. That counts as a miss, also
 * where it may have been such a server. No clamp grants more than was asked: such
 * a note is somebody else's.
 */
static void call_describe(struct listen_call *call, const struct sock *sk,
			  unsigned int granted)
{
	const struct cred *cred = current_cred();
	const struct task_struct *leader;

	call->granted = granted;
	if (asking_read(&call->asked) && (unsigned int)call->asked >= granted) {
		call->asked_known = true;
	} else {
		call->asked = granted;
		call->asked_known = current->flags & PF_KTHREAD ||
			granted != READ_ONCE(sock_net(sk)->core.sysctl_somaxconn);
		if (!call->asked_known)
			this_cpu_inc(askings_lost);
	}

	call->uid = uid_eq(cred->uid, cred->euid) &&
		    uid_eq(cred->uid, cred->suid) ? cred->uid : INVALID_UID;

	/* Preemption is off: the leader stays, even when exec() replaces it. */
	leader = READ_ONCE(current->group_leader);
	call->pid = task_tgid_nr(current);
	call->started = call_time(leader);
	/* The leader may be renaming itself: a mixed name is still a name. */
	data_race(memcpy(call->comm, leader->comm, sizeof(call->comm)));
	call->comm[sizeof(call->comm) - 1] = '\0';
}

struct listen_data {
	struct sock *sk;
	unsigned int granted;
	bool starts;	/* of AF_UNIX: the socket did not listen before */
	struct limit_change *change;
};

static int listen_begin(struct listen_data *listen, struct sock *sk,
			unsigned long granted)
{
	listen->sk = sk;
	listen->granted = (unsigned int)granted;
	listen->change = limit_change_begin(sk, listen->granted);
	return listen->change ? 1 : -EBUSY;
}

/*
 * inet_listen(struct socket *sock, int backlog)
 *
 * The socket is not locked yet, and by then somebody else may have made it a
 * listener: each call is waited for.
 */
static int inet_listen_begin(struct pt_regs *regs, void *data)
{
	struct socket *sock = (void *)regs_get_kernel_argument(regs, 0);

	if (!listener_is_tcp(sock->sk))
		return 0;
	return listen_begin(data, sock->sk, regs_get_kernel_argument(regs, 1));
}

/*
 * __inet_listen_sk(struct sock *sk, int backlog)
 *
 * The socket is locked. A first listen() is seen where it starts.
 */
static int inet_listen_sk_begin(struct pt_regs *regs, void *data)
{
	struct sock *sk = (void *)regs_get_kernel_argument(regs, 0);

	if (!listener_is_tcp(sk) || inet_sk_state_load(sk) != TCP_LISTEN)
		return 0;
	return listen_begin(data, sk, regs_get_kernel_argument(regs, 1));
}

static bool listen_end(unsigned long result, void *data)
{
	const struct listen_data *listen = data;
	struct listen_call call;

	/* It has started a listener, and was noted there. */
	if (limit_change_is_over(listen->change))
		return true;
	if (!(int)result)
		call_describe(&call, listen->sk, listen->granted);
	asking_forget();
	limit_change_end(listen->change, listen->sk,
			 (int)result ? NULL : &call, false);
	if (!(int)result)
		trace_listenq_listen(listen->sk, &call, true);
	return true;
}

/*
 * unix_listen(struct socket *sock, int backlog)
 *
 * The first call on a socket begins its record when it returns: from when it has begun
 * until then, limit_is_changing() says so. Where two are the first, the one that
 * returns first does. It stores its limit before the socket listens. Nothing that it
 * waits for is a user's to hold.
 */
static int unix_listen_begin(struct pt_regs *regs, void *data)
{
	struct socket *sock = (void *)regs_get_kernel_argument(regs, 0);
	struct listen_data *listen = data;

	listen->starts = READ_ONCE(sock->sk->sk_state) != TCP_LISTEN;
	return listen_begin(listen, sock->sk, regs_get_kernel_argument(regs, 1));
}

static bool unix_listen_end(unsigned long result, void *data)
{
	const struct listen_data *listen = data;
	struct sock *sk = listen->sk;
	struct listen_call call;
	int err;

	if (!(int)result)
		call_describe(&call, sk, listen->granted);
	asking_forget();
	err = limit_change_end(listen->change, sk, (int)result ? NULL : &call,
			       listen->starts);
	/* A sweep makes the record, or wakes who waits. */
	if (err)
		sweep_soon();
	return err != -ENOMEM;
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
static int start_begin(struct pt_regs *regs, void *data)
{
	struct start_data *start = data;

	start->sk = (void *)regs_get_kernel_argument(regs, 0);
	start->granted = READ_ONCE(start->sk->sk_max_ack_backlog);
	return listener_is_tcp(start->sk);
}

static bool start_end(unsigned long result, void *data)
{
	const struct start_data *start = data;
	struct listen_call call;
	bool noted;

	if ((int)result)
		return true;
	call_describe(&call, start->sk, start->granted);
	asking_forget();
	noted = limit_start(start->sk, &call);
	if (noted)
		traffic_start(start->sk);
	else
		sweep_soon();
	trace_listenq_listen(start->sk, &call, false);
	return noted;
}

/* inet_csk_listen_stop(struct sock *sk) */
static void stop(struct entry_regs *regs)
{
	closing_stop((void *)entry_argument(regs, 0));
}

ENTRY_CALLBACK(stop);

/*
 * Outermost first, so that a call which is seen to start has been seen to ask, and
 * the end before the start, so that what is seen to start is seen to end.
 */
const struct hook listen_hooks[] = {
	{
		.symbol		= "__sys_listen",
		.serves		= "asked",
		.lost		= "asked reads - where somaxconn clamps",
		.shared		= true,
		.entered	= ask_entered,
		.lost_later	= &askings_lost,
	}, {
		.symbol		= "__sys_listen_socket",
		.serves		= "asked, through io_uring",
		.lost		= "asked reads - where somaxconn clamps io_uring",
		.absent		= !KERNEL_HAS(__sys_listen_socket),
		.shared		= true,
		.entered	= ask_entered,
	}, {
		.symbol		= "__inet_listen_sk",
		.serves		= "granted, when listen() is repeated",
		.proof		= BIT(PROOF_REPEATED),
		.absent		= !KERNEL_HAS(__inet_listen_sk),
		.begin		= inet_listen_sk_begin,
		.end		= listen_end,
		.data_size	= sizeof(struct listen_data),
	}, {
		.symbol		= "inet_listen",
		.serves		= "granted, when listen() is repeated",
		.proof		= BIT(PROOF_REPEATED),
		.unless		= "__inet_listen_sk",
		.required	= true,
		.begin		= inet_listen_begin,
		.end		= listen_end,
		.data_size	= sizeof(struct listen_data),
	}, {
		.symbol		= "inet_csk_listen_stop",
		.serves		= "a record ends, unaccepted, abandoned",
		.proof		= BIT(PROOF_STOPPED),
		.required	= true,
		.shared		= true,
		.entered	= stop_entered,
	}, {
		.symbol		= "inet_csk_listen_start",
		.serves		= "granted, a record begins",
		.proof		= BIT(PROOF_STARTED),
		.required	= true,
		.begin		= start_begin,
		.end		= start_end,
		.data_size	= sizeof(struct start_data),
	}, {
		.symbol		= "unix_listen",
		.serves		= "unix: asked, granted, a record begins",
		.lost		= "asked of unix reads -",
		.proof		= BIT(PROOF_UNIX_LISTENED),
		/* Nothing else ends a record when its listener is closed. */
		.needs		= "unix_release_sock",
		.absent		= !UNIX_IS_THERE,
		.begin		= unix_listen_begin,
		.end		= unix_listen_end,
		.data_size	= sizeof(struct listen_data),
	},
	{ }
};
