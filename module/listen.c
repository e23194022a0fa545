// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on the path of listen().
 *
 *	__sys_listen(fd, backlog)	tells what was asked
 *	  the clamp by somaxconn
 *	  inet_listen(sock, backlog)	tells what is granted
 *	    lock_sock()
 *	    __inet_listen_sk(sk, backlog)	the same, since 6.6
 *	      sk_max_ack_backlog = backlog
 *	      inet_csk_listen_start(sk)	first listen() only: begins a record
 *	    release_sock()
 *
 *	inet_csk_listen_stop(sk)	close, shutdown, disconnect, abort: ends it
 *
 * AF_UNIX:
 *
 *	__sys_listen(fd, backlog)	tells what was asked
 *	  the clamp by somaxconn
 *	  unix_listen(sock, backlog)	tells what is granted, begins a record
 *	    sk_max_ack_backlog = backlog
 *
 * Clang makes __sys_listen() a part of listen(2), and __inet_listen_sk() a part of
 * inet_listen(): what was asked is an argument of the system call then, and a repeated
 * listen() is seen at inet_listen().
 *
 * io_uring calls __sys_listen_socket() (6.11), which has had the clamp since then;
 * MPTCP calls __inet_listen_sk() or inet_listen() for its subflow; servers in the
 * kernel call inet_listen(), which does not clamp.
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
#include <linux/sched/task_stack.h>
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
 * struct asking - a note of the backlog that a task asked for
 * @task: the task; NULL: free; WRITING while it is written
 * @call: the system call that the task was in, and its first arguments
 * @backlog: the backlog
 *
 * Tasks share a fixed number of notes, and a new note overwrites an old one. So no
 * call holds a note, and no user can use them up by making calls last. A note is
 * read microseconds later, unless its task has to wait for the socket. Only its own
 * task writes, reads and removes it.
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
 * struct asking_places - the notes of the tasks with one hash value
 * @next: the one to overwrite if all are taken; roughly the oldest
 * @notes: the notes
 *
 * Few tasks have an unread note at a time, unless a program makes them wait; a note
 * is lost only when four of them share a hash value.
 */
struct asking_places {
	unsigned int next;
	struct asking notes[4];
};

#define ASKING_BITS 9
static struct asking_places askings[1 << ASKING_BITS];

/* Notes that were lost although they were needed, on this CPU. */
static DEFINE_PER_CPU(unsigned long, askings_lost);

static struct asking_places *asking_places(void)
{
	return &askings[hash_ptr(current, ASKING_BITS)];
}

/* The note of @task in @places; for NULL a free note. */
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
 * Identify the system call that the task is in. A listen() that fails before it
 * reaches a socket leaves its note behind, and the task may then start a server in
 * the kernel by another call, which that note is not about.
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
		/* Two tasks at once may pick the same note. */
		next = READ_ONCE(places->next);
		WRITE_ONCE(places->next, next + 1);
		asking = &places->notes[next % ARRAY_SIZE(places->notes)];
	}
	task = READ_ONCE(asking->task);
	/* If another task is writing the note, that task's is the newer one. */
	if (task == WRITING || cmpxchg(&asking->task, task, WRITING) != task)
		return;
	asking_call_now(&asking->call);
	asking->backlog = backlog;
	/* The reader finds this note complete, or another task's. */
	smp_store_release(&asking->task, current);
}

/* Whether current's note is there, and is from the system call that it is in. */
static bool asking_read(int *backlog)
{
	const struct asking *asking = asking_find(asking_places(), current);
	struct asking_call now, call;

	if (!asking)
		return false;
	/*
	 * Only current writes current into @task. If it is there before and after,
	 * what was read in between is current's note.
	 */
	smp_rmb();
	/* Another task may be overwriting it: */
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

/*
 * Whether current is in listen(), whose second argument the backlog is. No hook notes
 * it if the compiler has made the hooked function a part of that. A worker of io_uring
 * may have a copy of another task's registers (x86's copy_thread()).
 */
static bool asking_in_call(int *backlog)
{
	struct asking_call now;

	if (!LISTEN_IS_INLINED || current->flags & (PF_KTHREAD | PF_IO_WORKER))
		return false;
	asking_call_now(&now);
	*backlog = (int)now.arguments[1];
	return is_listen_call(now.number);
}

/* Free current's note. */
static void asking_forget(void)
{
	struct asking *asking = asking_find(asking_places(), current);

	if (asking)
		cmpxchg(&asking->task, current, NULL);
}

/* __sys_listen(int fd, int backlog), compat syscalls included, and */
/* __sys_listen_socket(struct socket *sock, int backlog) */
static void ask(struct entry_regs *regs)
{
	asking_note((int)entry_argument(regs, 1));
}

ENTRY_CALLBACK(ask);

/*
 * Describe the caller and what it asked for. No note: either the caller is a server
 * in the kernel, which nothing clamps, so that it got what it asked for; or the note
 * was lost. A lost note matters only if @granted is all that somaxconn allows, and
 * counts as missed then, even though it may have been such a server. A note that
 * asks for less than was granted is another call's, since no clamp raises a backlog.
 */
static void call_describe(struct listen_call *call, const struct sock *sk,
			  unsigned int granted)
{
	const struct cred *cred = current_cred();
	const struct task_struct *leader;

	call->granted = granted;
	if ((asking_read(&call->asked) || asking_in_call(&call->asked)) &&
	    (unsigned int)call->asked >= granted) {
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

	/* With preemption off the leader stays, even if exec() replaces it. */
	leader = READ_ONCE(current->group_leader);
	call->pid = task_tgid_nr(current);
	call->started = call_time(leader);
	/* The leader may be renaming itself; a mixed name does no harm. */
	data_race(memcpy(call->comm, leader->comm, sizeof(call->comm)));
	call->comm[sizeof(call->comm) - 1] = '\0';
}

struct listen_data {
	struct sock *sk;
	unsigned int granted;
	bool starts;	/* AF_UNIX: the socket did not listen before */
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
 * The socket is not locked yet, and another task may make it a listener before it
 * is: so follow each call to its return.
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
 * The socket is locked. inet_csk_listen_start() covers the first listen(). If
 * inet_listen() is hooked as well, only calls from elsewhere matter: those of MPTCP,
 * whose TCP sockets belong to the struct socket of another.
 */
static bool inet_listen_sk_wanted(struct pt_regs *regs)
{
	struct sock *sk = (void *)regs_get_kernel_argument(regs, 0);
	const struct socket *socket = READ_ONCE(sk->sk_socket);

	if (!listener_is_tcp(sk) || inet_sk_state_load(sk) != TCP_LISTEN)
		return false;
	return !LISTEN_IS_INLINED || !socket || socket->sk != sk;
}

static int inet_listen_sk_begin(struct pt_regs *regs, void *data)
{
	return listen_begin(data, (void *)regs_get_kernel_argument(regs, 0),
			    regs_get_kernel_argument(regs, 1));
}

static bool listen_end(unsigned long result, void *data)
{
	const struct listen_data *listen = data;
	struct listen_call call;

	/* The call has started a listener: start_end() has noted it. */
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
 * The record begins when the first call on the socket returns; limit_is_changing()
 * is true from that call's entry until then. If two calls are the first, the one
 * that returns first begins the record. The kernel stores the limit before the
 * socket listens. The call waits for nothing that a user can hold.
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
	/* A sweep makes the record, or wakes the waiting connect() calls. */
	if (err)
		sweep_soon();
	return err != -ENOMEM;
}

struct start_data {
	struct sock *sk;
	unsigned int granted;
};

/*
 * inet_csk_listen_start(struct sock *sk); until 5.16 with the backlog as a second
 * argument. The caller has locked the socket and stored the limit, and no other task
 * sees a listener yet.
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
 * Outermost first, so that a call whose start is seen has had its backlog noted; and
 * the stop before the start, so that a listener whose start is seen has its stop
 * seen.
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
		.proof		= LISTEN_IS_INLINED ? 0 : BIT(PROOF_REPEATED),
		.absent		= !KERNEL_HAS(__inet_listen_sk),
		.wanted		= inet_listen_sk_wanted,
		.begin		= inet_listen_sk_begin,
		.end		= listen_end,
		.data_size	= sizeof(struct listen_data),
	}, {
		.symbol		= "inet_listen",
		.serves		= "granted, when listen() is repeated",
		.proof		= BIT(PROOF_REPEATED),
		.unless		= LISTEN_IS_INLINED ? NULL : "__inet_listen_sk",
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
		/* Without it, nothing would end the record of a closed listener. */
		.needs		= "unix_release_sock",
		.absent		= !UNIX_IS_THERE,
		.begin		= unix_listen_begin,
		.end		= unix_listen_end,
		.data_size	= sizeof(struct listen_data),
	},
	{ }
};
