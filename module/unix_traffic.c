// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on the path of a connection to an AF_UNIX listener.
 *
 *	unix_stream_connect(sock, ...)		begins a note of the call
 *	  unix_find_other(...)			returns the listener; may take forever
 *	  then, with the listener locked,
 *	  unix_wait_for_peer(listener, timeo)	no room: waits, and starts over
 *	  security_unix_stream_connect(sk, listener, newsk)	there is room
 *	  or neither
 *	  unix_release_sock(newsk, 0)		the call has failed
 *	unix_accept(sock, ...)
 *	  unix_update_edges(child)		a connection has left the queue;
 *	  skb_free_datagram(listener, skb)	before 6.10, except in some stable releases
 *	unix_release_sock(sk, 0)		close
 *
 * EAGAIN has no function of its own, so it is told by elimination: the call has found
 * a listener, was neither let in nor made to wait, and releases the socket that it has
 * made for the connection. There are two other reasons to fail there: the caller's
 * socket is connected already, which is tested when the call begins; or the listener
 * does not listen or was shut down, which is tested when it is found.
 *
 * Tasks share a fixed number of notes, and a new note overwrites an old one, so that
 * no user can use them up. A call that waits needs no note: one that looks up its
 * listener without a note must have waited and lost it. A call whose path lookup hangs
 * holds an instance of a return probe, from its user's share (probe.c), unless it is a
 * call that would wait.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/un.h>
#include <net/sock.h>

#include "compat.h"
#include "hook.h"
#include "peak.h"
#include "record.h"
#include "socket.h"
#include "unix.h"

/* ---- notes ---- */

/**
 * struct dialing - a note of a connect() that is under way
 * @task: the task; NULL: free; WRITING while it is written
 * @other: the listener that the call has found and whose decision is pending; NULL:
 *	none. It is compared, never followed.
 * @cookie: the listener's cookie
 * @began: when the call began, in jiffies (32 bits)
 * @will_wait: the call waits if there is no room
 * @is_try: io_uring makes the call without waiting first, and again if it gets
 *	EAGAIN: the program does not get this EAGAIN
 * @has_begun: the kernel has begun to look for the listener: a hook will see how the
 *	call ends
 * @has_waited: the call has waited for room
 * @is_unused: the caller's socket was not connected when the call began
 * @was_full: there was no room when @other was found
 *
 * Its own task writes, reads and removes it; another task may overwrite it.
 */
struct dialing {
	const struct task_struct *task;
	const struct sock *other;
	u64 cookie;
	u32 began;
	bool will_wait : 1;
	bool is_try : 1;
	bool has_begun : 1;
	bool has_waited : 1;
	bool is_unused : 1;
	bool was_full : 1;
};

#define WRITING ((const struct task_struct *)ERR_PTR(-EBUSY))

/**
 * struct dialing_places - the notes of the tasks with one hash value
 * @next: the one to overwrite if all are taken; roughly the oldest
 * @notes: the notes
 */
struct dialing_places {
	unsigned int next;
	struct dialing notes[4];
};

#define DIALING_BITS 9
static struct dialing_places dialings[1 << DIALING_BITS];

/* Notes overwritten before their calls had ended or waited, on this CPU. */
static DEFINE_PER_CPU(unsigned long, dialings_lost);

static struct dialing_places *dialing_places(void)
{
	return &dialings[hash_ptr(current, DIALING_BITS)];
}

/* Take @task's note, or for NULL a free one, until dialing_put(). */
static struct dialing *dialing_get(struct dialing_places *places,
				   const struct task_struct *task)
{
	struct dialing *note;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places->notes); i++) {
		note = &places->notes[i];
		if (READ_ONCE(note->task) == task &&
		    cmpxchg(&note->task, task, WRITING) == task)
			return note;
	}
	return NULL;
}

/* Take the current task's note; NULL if it has none. */
static struct dialing *dialing_own(void)
{
	return dialing_get(dialing_places(), current);
}

static void dialing_put(struct dialing *note, const struct task_struct *task)
{
	/* Its next reader sees all of it. */
	smp_store_release(&note->task, task);
}

/* Take a note for a new call of current, reset; NULL if there is none. */
static struct dialing *dialing_new(void)
{
	struct dialing_places *places = dialing_places();
	const struct task_struct *task;
	struct dialing *note;
	unsigned int next;

	note = dialing_get(places, current) ?: dialing_get(places, NULL);
	if (!note) {
		/* Two tasks at once may pick the same note. */
		next = READ_ONCE(places->next);
		WRITE_ONCE(places->next, next + 1);
		note = &places->notes[next % ARRAY_SIZE(places->notes)];
		task = READ_ONCE(note->task);
		if (task == WRITING ||
		    cmpxchg(&note->task, task, WRITING) != task) {
			this_cpu_inc(dialings_lost);
			return NULL;
		}
		/*
		 * A call that has not begun to look for its listener may be over,
		 * which no hook sees; but not within a second. Nor does a hook see a
		 * call let in if there is none on security_unix_stream_connect().
		 */
		if ((note->has_begun || (u32)jiffies - note->began < HZ) &&
		    !note->has_waited && ENTERING_IS_TOLD)
			this_cpu_inc(dialings_lost);
	}
	note->other = NULL;
	note->began = (u32)jiffies;
	note->will_wait = false;
	note->is_try = false;
	note->has_begun = false;
	note->has_waited = false;
	note->is_unused = true;
	note->was_full = false;
	return note;
}

/* ---- hooks ---- */

static bool is_full(const struct sock *sk)
{
	return unix_acceptq(sk) > READ_ONCE(sk->sk_max_ack_backlog);
}

/*
 * The kernel's first test of an address (net/unix/af_unix.c, unix_validate_addr()).
 * A call that fails it ends at once, which no hook sees, so it gets no note.
 */
static __always_inline bool is_address(const struct sockaddr_un *name, int length)
{
	return length > (int)offsetof(struct sockaddr_un, sun_path) &&
	       length <= (int)sizeof(*name) && name->sun_family == AF_UNIX;
}

/*
 * io_uring adds O_NONBLOCK to the file's own flags, which include O_RDWR. The
 * kernel's own calls (a core dumped to a socket) pass no such flags.
 */
static bool is_try(const struct socket *sock, int flags)
{
	return (flags & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDWR) &&
	       sock->file && !(READ_ONCE(sock->file->f_flags) & O_NONBLOCK);
}

/*
 * unix_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len,
 *		       int flags)
 */
static __always_inline void dial(struct entry_regs *regs)
{
	const struct socket *sock = (void *)entry_argument(regs, 0);
	const struct sockaddr_un *name = (void *)entry_argument(regs, 1);
	int length = (int)entry_argument(regs, 2);
	int flags = (int)entry_argument(regs, 3);
	const struct sock *sk = sock->sk;
	struct dialing *note;

	if (!is_address(name, length))
		return;
	note = dialing_new();
	if (!note)
		return;
	note->will_wait = !(flags & O_NONBLOCK) && READ_ONCE(sk->sk_sndtimeo);
	note->is_try = is_try(sock, flags);
	note->is_unused = READ_ONCE(sk->sk_state) == TCP_CLOSE;
	dialing_put(note, current);
}

ENTRY_CALLBACK(dial);

/*
 * unix_find_other(struct net *net, struct sockaddr_un *name, int len, int type, ...)
 *
 * A call that will wait needs no return probe until it has waited. A call without a
 * note has waited and lost it.
 */
static bool find_wanted(struct pt_regs *regs)
{
	int type = (int)regs_get_kernel_argument(regs, 3);
	struct dialing *note;
	bool wanted = true;

	if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
		return false;
	note = dialing_own();
	if (note) {
		/* The call may find another listener this time. */
		note->other = NULL;
		note->has_begun = true;
		wanted = !note->will_wait || note->has_waited;
		dialing_put(note, current);
	}
	return wanted;
}

static int find_begin(struct pt_regs *regs, void *data)
{
	return 1;
}

/* @result is NULL or an error if there is none; the kernel has a reference to it. */
static bool find_end(unsigned long result, void *data)
{
	const struct sock *other = (const struct sock *)result;
	struct dialing *note;

	if (IS_ERR_OR_NULL(other) || READ_ONCE(other->sk_state) != TCP_LISTEN ||
	    READ_ONCE(other->sk_shutdown) & RCV_SHUTDOWN)
		return true;
	note = dialing_own();
	if (!note) {
		note = dialing_new();
		if (!note)
			return true;
		note->has_waited = true;
	}
	note->other = other;
	note->cookie = atomic64_read(&other->sk_cookie);
	note->was_full = is_full(other);
	dialing_put(note, current);
	return true;
}

/*
 * security_unix_stream_connect(struct sock *sk, struct sock *other,
 *				struct sock *newsk)
 *
 * There is room in the queue, and the lock keeps others from taking it: the
 * connection enters it next, unless a security module forbids that.
 */
static __always_inline void let_in(struct entry_regs *regs)
{
	const struct sock *other = (void *)entry_argument(regs, 1);
	struct listener *listener = record_of(other);
	struct dialing *note = dialing_own();
	unsigned int acceptq;

	if (note)
		dialing_put(note, NULL);
	if (!listener)
		return;
	acceptq = unix_acceptq(other);
	unix_look(listener, acceptq);
	peak_raise(&listener->unix_traffic.acceptq, acceptq + 1);
}

ENTRY_CALLBACK(let_in);

/*
 * unix_wait_for_peer(struct sock *other, long timeo)
 *
 * Senders of datagrams wait here too. A call is counted when it waits for the first
 * time.
 */
static __always_inline void wait(struct entry_regs *regs)
{
	const struct sock *other = (void *)entry_argument(regs, 0);
	struct listener *listener;
	struct dialing *note;
	bool is_first;

	if (READ_ONCE(other->sk_state) != TCP_LISTEN)
		return;
	note = dialing_own();
	if (!note)
		return;
	is_first = !note->has_waited;
	note->has_waited = true;
	note->other = NULL;
	dialing_put(note, current);
	if (!is_first)
		return;
	listener = record_of(other);
	if (listener)
		atomic_long_inc(&listener->unix_traffic.waits);
}

ENTRY_CALLBACK(wait);

/* The call has failed; its listener may be gone by now. */
static void fail(void)
{
	struct dialing *note = dialing_own();
	struct listener *listener = NULL;

	if (!note)
		return;
	if (note->other && !note->is_try &&
	    (note->is_unused || note->was_full))
		listener = record_lookup(note->other, note->cookie);
	dialing_put(note, NULL);
	if (listener)
		atomic_long_inc(&listener->unix_traffic.eagains);
}

/*
 * unix_release_sock(struct sock *sk, int embrion)
 *
 * The socket that connect() has made for the other end and gives up has no struct
 * socket, unlike a socket that a process closes.
 */
static __always_inline void release(struct entry_regs *regs)
{
	const struct sock *sk = (void *)entry_argument(regs, 0);
	struct listener *listener;

	if (unlikely(READ_ONCE(sk->sk_state) == TCP_LISTEN)) {
		listener = record_of(sk);
		if (listener)
			record_retire(listener);
	} else if (unlikely(!READ_ONCE(sk->sk_socket)) &&
		   !(int)entry_argument(regs, 1)) {
		fail();
	}
}

ENTRY_CALLBACK(release);

/* A connection has left the queue. */
static __always_inline void accepted(const struct sock *sk)
{
	struct listener *listener = record_of(sk);
	unsigned int acceptq;

	if (!listener)
		return;
	/* Pairs with traffic_read(): it left the queue before it is counted. */
	smp_mb__before_atomic();
	atomic_long_inc(&listener->unix_traffic.accepts);
	acceptq = unix_acceptq(sk);
	unix_look(listener, acceptq + 1);
	/* Without a hook on connections that enter the queue. */
	if (!ENTERING_IS_TOLD)
		peak_raise(&listener->unix_traffic.acceptq, acceptq + 1);
}

/* unix_update_edges(struct unix_sock *receiver) */
static __always_inline void edges(struct entry_regs *regs)
{
	const struct unix_sock *u = (void *)entry_argument(regs, 0);
	const struct sock *sk = unix_listener_of(u);

	if (sk)
		accepted(sk);
}

ENTRY_CALLBACK(edges);

/*
 * skb_free_datagram(struct sock *sk, struct sk_buff *skb)
 *
 * For all datagram sockets too, but those do not listen.
 */
static __always_inline void freed(struct entry_regs *regs)
{
	const struct sock *sk = (void *)entry_argument(regs, 0);

	if (unlikely(listener_is_unix(sk)) &&
	    READ_ONCE(sk->sk_state) == TCP_LISTEN)
		accepted(sk);
}

ENTRY_CALLBACK(freed);

#define NO_UNIX		(!UNIX_IS_THERE)

/* Not by a breakpoint, since all received datagrams pass here. */
#define FREED_IS_SEEN	(!KERNEL_HAS(unix_update_edges) && ENTRY_IS_CHEAP)

const struct hook unix_hooks[] = {
	{
		.symbol		= "unix_release_sock",
		.serves		= "unix: eagains, a record ends",
		.lost		= "eagains and asked of unix read -",
		.proof		= BIT(PROOF_UNIX_STOPPED),
		.absent		= NO_UNIX,
		.entered	= release_entered,
	}, {
		.symbol		= "unix_wait_for_peer",
		.serves		= "unix: waits, eagains",
		.lost		= "these read -",
		.proof		= BIT(PROOF_UNIX_WAITED),
		.absent		= NO_UNIX,
		.shared		= true,
		.entered	= wait_entered,
	}, {
		.symbol		= "security_unix_stream_connect",
		.serves		= "unix: acceptq_peak, eagains",
		.lost		= "these read -",
		.proof		= BIT(PROOF_UNIX_CONNECTED),
		.absent		= NO_UNIX || !ENTERING_IS_TOLD,
		.entered	= let_in_entered,
	}, {
		.symbol		= "unix_update_edges",
		.serves		= "unix: connects, accepts",
		.lost		= "these read -",
		.proof		= BIT(PROOF_UNIX_ACCEPTED),
		.absent		= NO_UNIX || !KERNEL_HAS(unix_update_edges),
		.entered	= edges_entered,
	}, {
		.symbol		= "skb_free_datagram",
		.serves		= "unix: connects, accepts",
		.lost		= "these read -",
		.proof		= BIT(PROOF_UNIX_ACCEPTED),
		.absent		= NO_UNIX || !FREED_IS_SEEN,
		.entered	= freed_entered,
	}, {
		.symbol		= "unix_find_other",
		.serves		= "unix: eagains",
		.lost		= "eagains of unix reads -",
		.proof		= BIT(PROOF_UNIX_CONNECTED),
		.absent		= NO_UNIX,
		.wanted		= find_wanted,
		.begin		= find_begin,
		.end		= find_end,
	}, {
		.symbol		= "unix_stream_connect",
		.serves		= "unix: waits, eagains",
		.lost		= "these read -",
		.proof		= BIT(PROOF_UNIX_CONNECTED),
		.absent		= NO_UNIX,
		.entered	= dial_entered,
		.lost_later	= &dialings_lost,
	},
	{ }
};

/* ---- what is known ---- */

/**
 * unix_known_now() - find out which figures of AF_UNIX listeners are known
 *
 * Context: any, before hook_free().
 * Return: what is known.
 */
struct unix_known unix_known_now(void)
{
	bool is_told = hook_is_on("security_unix_stream_connect");
	bool is_dialed = hook_is_on("unix_stream_connect") &&
			 hook_is_on("unix_wait_for_peer");
	struct unix_known known = {
		.accepts = hook_is_on(KERNEL_HAS(unix_update_edges) ?
				      "unix_update_edges" : "skb_free_datagram"),
		.waits = is_dialed,
		.eagains = is_dialed && hook_is_on("unix_find_other") &&
			   hook_is_on("unix_release_sock"),
	};

	if (ENTERING_IS_TOLD) {
		known.acceptq_peak = is_told;
		known.eagains &= is_told;
	} else {
		known.acceptq_peak = known.accepts;
	}
	return known;
}
