// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts limits in force and takes them back.
 *
 * A limit is changed by compare-and-swap on the socket's sk_max_ack_backlog,
 * which the kernel reads and writes without knowing of us, and only under the
 * lock of the record's bucket: from the value that is known to be there to
 * what is decided for the listener. Who decides is told by limit_decide_by().
 *
 * The hooks of listen() tell which calls are under way; walks call
 * limit_decide() for what they meet.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "compat.h"
#include "limit.h"
#include "record.h"
#include "socket.h"

/*
 * Calls of listen() between entry and return. A slot is claimed on entry,
 * without a lock, and freed under the lock of the record's bucket: on return, or
 * where the call is seen to start a listener.
 */
struct limit_change {
	const struct sock *sk;	/* NULL where the slot is free */
	unsigned int granted;	/* what the kernel stores, or has stored */
	const struct task_struct *task;	/* who is in the call; NULL: it is over */
	bool overtaken;		/* a rule has put the same number there meanwhile */
	bool replaced;		/* a rule has replaced the same number meanwhile */
};

#define CHANGE_BITS 11
static struct limit_change changes[1 << CHANGE_BITS];
static atomic_t changes_count;

/* Read with preemption off; a grace period ends the use of an earlier one. */
static limit_decide_t *decide;

/* The call under way on @sk behind @change, or the first one for NULL. */
static struct limit_change *change_next(const struct sock *sk,
					struct limit_change *change)
{
	if (!atomic_read(&changes_count))
		return NULL;
	change = change ? change + 1 : changes;
	for (; change < changes + ARRAY_SIZE(changes); change++)
		if (READ_ONCE(change->sk) == sk)
			return change;
	return NULL;
}

/*
 * Whether a listen() is under way that stores @granted, or has just done so. One
 * that current is in has: whoever asks from inside of it comes behind its store.
 */
static bool is_changing(const struct sock *sk, unsigned int granted)
{
	struct limit_change *change = NULL;

	while ((change = change_next(sk, change)))
		if (READ_ONCE(change->granted) == granted &&
		    READ_ONCE(change->task) != current)
			return true;
	return false;
}

/**
 * limit_is_changing() - whether a listen() is under way
 * @sk: on this socket
 *
 * Context: any.
 */
bool limit_is_changing(const struct sock *sk)
{
	return change_next(sk, NULL);
}

/* A rule has lowered a limit from or to the number that these calls store. */
static void changes_lowered(const struct sock *sk, unsigned int from,
			    unsigned int to)
{
	struct limit_change *change = NULL;

	while ((change = change_next(sk, change))) {
		if (READ_ONCE(change->task) == current)
			continue;
		if (READ_ONCE(change->granted) == from)
			WRITE_ONCE(change->replaced, true);
		if (READ_ONCE(change->granted) == to)
			WRITE_ONCE(change->overtaken, true);
	}
}

/* A call counts that has stored its limit behind those of these. */
static void changes_are_older(const struct sock *sk)
{
	struct limit_change *change = NULL;

	while ((change = change_next(sk, change)))
		WRITE_ONCE(change->replaced, false);
}

/*
 * What the call stores is known. Frees the slot, with the bucket locked: before
 * it, nobody may take what this call has stored for something older; behind it,
 * this call is known.
 */
static void change_end(struct limit_change *change)
{
	atomic_dec(&changes_count);
	WRITE_ONCE(change->overtaken, false);
	WRITE_ONCE(change->replaced, false);
	WRITE_ONCE(change->task, NULL);
	/* Who claims it next writes behind all of this. */
	smp_store_release(&change->sk, NULL);
}

/* The call that current is in, on @sk. Where it began there is a slot for it. */
static struct limit_change *change_of_current(const struct sock *sk)
{
	unsigned int start = hash_ptr((void *)sk, CHANGE_BITS);
	struct limit_change *change;
	unsigned int i;

	if (!atomic_read(&changes_count))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		change = &changes[(start + i) % ARRAY_SIZE(changes)];
		if (READ_ONCE(change->sk) == sk &&
		    READ_ONCE(change->task) == current)
			return change;
	}
	return NULL;
}

/* Nobody decides: the kernel does. */
static bool decide_granted(const struct listen_call *call,
			   struct listener_decision *decision)
{
	if (!decision->serial)
		return false;
	memset(decision, 0, sizeof(*decision));
	decision->limit = call->granted;
	return true;
}

/*
 * A limit that is not the one which was decided on last is that of a listen()
 * which was not seen: it is what was granted, and nobody has decided on it yet.
 */
static noinline void limit_replace(struct listener *listener,
				   unsigned int limit)
{
	struct listen_call call;

	if (listener->started)
		record_prove(record_is_unix(listener) ? PROOF_UNIX_LISTENED :
							PROOF_REPEATED);
	listen_call_forget(&call, limit);
	record_set_call(listener, &call);
}

static void limit_notice(struct listener *listener, const struct sock *sk)
{
	unsigned int limit = READ_ONCE(sk->sk_max_ack_backlog);

	if (limit != listener->decision.limit)
		limit_replace(listener, limit);
}

/*
 * Ask for a decision and put it in force.
 *
 * The value that is to be replaced, where it is not what the kernel granted, may
 * be one that a listen() under way has just stored, for the kernel to keep; and a
 * limit that is put there could be taken for the number which such a call stores.
 * Then the limit stays as it is, no rule is shown as acting, and it is decided on
 * when that call returns, or somebody meets the listener behind that. Should we
 * be gone by then, it stays as it should.
 *
 * But a rule that lowers the limit does so at once: before 6.6, whoever makes
 * calls wait could else keep a limit above what a rule allows. The calls that
 * store either number are told, for change_adopt(): where one stores the very
 * number that the limit was lowered to, that is taken for the rule's.
 *
 * Looking again behind the swap is for a call that has come since the first
 * look: its store comes after the claim of its slot.
 */
static void limit_swap(struct listener *listener, struct sock *sk)
{
	limit_decide_t *by = READ_ONCE(decide);
	struct listener_decision decision = listener->decision;
	unsigned int limit = listener->decision.limit;
	unsigned int granted = listener->call.granted;
	bool lowers;

	if (by ? !by(sk, &listener->call, &decision) :
		 !decide_granted(&listener->call, &decision))
		return;
	if (decision.limit == limit)
		goto decided;

	lowers = by && decision.limit < limit;
	if (!lowers &&
	    ((limit != granted && is_changing(sk, limit)) ||
	     (decision.limit != granted && is_changing(sk, decision.limit))))
		goto put_off;
	if (cmpxchg(&sk->sk_max_ack_backlog, limit, decision.limit) != limit) {
		/* Decided on when the listener is met next. */
		limit_notice(listener, sk);
		return;
	}
	if (lowers) {
		changes_lowered(sk, limit, decision.limit);
	} else if (limit != granted && is_changing(sk, limit)) {
		cmpxchg(&sk->sk_max_ack_backlog, decision.limit, limit);
		goto put_off;
	}
	/* The swap is a barrier: who begins to wait behind it sees the new limit. */
	if (record_is_unix(listener) && decision.limit > limit &&
	    listener_is_waited_for(sk))
		listener->unix_traffic.raised = true;
decided:
	listener->decision = decision;
	return;
put_off:
	memset(&listener->decision.rule, 0, sizeof(listener->decision.rule));
}

/**
 * limit_decide() - put in force what is decided of a listener's limit
 * @listener: the listener's record
 * @sk: the listener
 *
 * Context: the lock of the record's bucket held.
 */
void limit_decide(struct listener *listener, struct sock *sk)
{
	limit_notice(listener, sk);
	limit_swap(listener, sk);
}

/**
 * limit_start() - a socket has begun to listen
 * @sk: the socket, in the listening hash since a moment ago, locked by the
 *	caller of the function that is hooked
 * @call: the listen() that did it, which has stored its limit
 *
 * Begins a new record, also where the socket has listened before, and decides on
 * the limit. Somebody may have met it already, and have put a rule in force: a
 * walk, where the end before was missed, or before 6.6 the return of another call.
 * With no record to be had, a walk does this when it meets the listener.
 *
 * Context: preemption off, not in an NMI.
 * Return: whether there was a record to be had.
 */
bool limit_start(struct sock *sk, const struct listen_call *call)
{
	struct limit_change *change = change_of_current(sk);
	struct record_bucket *bucket = record_bucket(sk);
	struct listener *listener, *old;
	u64 cookie = socket_cookie(sk);
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	/*
	 * The kernel has hashed the socket, the rules are read below: with that of
	 * sweep_listeners(), either this sees new rules or the sweep the listener.
	 */
	smp_mb__after_spinlock();
	if (change)
		change_end(change);
	old = record_find(bucket, sk, cookie);
	listener = record_begin(bucket, sk, cookie);
	if (listener) {
		record_set_call(listener, call);
		if (old && old->call.granted == call->granted &&
		    old->decision.limit == READ_ONCE(sk->sk_max_ack_backlog))
			listener->decision = old->decision;
		limit_swap(listener, sk);
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
	return !!listener;
}

/**
 * limit_change_begin() - a listen() is about to store its backlog
 * @sk: the socket
 * @granted: what it will store, if it gets that far
 *
 * Context: preemption off, an NMI too: takes no lock.
 * Return: what limit_change_end() wants; NULL if too many are under way.
 */
struct limit_change *limit_change_begin(const struct sock *sk,
					unsigned int granted)
{
	unsigned int start = hash_ptr((void *)sk, CHANGE_BITS);
	struct limit_change *change;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		change = &changes[(start + i) % ARRAY_SIZE(changes)];
		if (READ_ONCE(change->sk) || cmpxchg(&change->sk, NULL, sk))
			continue;
		WRITE_ONCE(change->granted, granted);
		WRITE_ONCE(change->task, current);
		atomic_inc(&changes_count);
		/* is_changing() sees it before it sees the kernel's store. */
		smp_wmb();
		return change;
	}
	return NULL;
}

/*
 * A listen() has returned, which @call describes: it counts if the limit is still
 * what it has stored, or what a rule has made of that meanwhile. @change says what
 * rules have done while it was under way.
 */
static void change_adopt(struct listener *listener, const struct sock *sk,
			 const struct listen_call *call,
			 const struct limit_change *change)
{
	unsigned int limit = READ_ONCE(sk->sk_max_ack_backlog);
	unsigned int granted = listener->call.granted;
	bool is_ours = limit == listener->decision.limit;

	if (limit == call->granted &&
	    !(is_ours && limit != granted && READ_ONCE(change->overtaken))) {
		record_set_call(listener, call);
		changes_are_older(sk);
	} else if (is_ours && limit != granted &&
		   (granted == call->granted || READ_ONCE(change->replaced))) {
		listener->call = *call;
		/* No set of rules has this number: decide anew. */
		listener->decision.serial = U32_MAX;
		changes_are_older(sk);
	}
}

/**
 * limit_change_is_over() - whether limit_start() has seen all of a listen()
 * @change: from limit_change_begin(), in the same call
 *
 * Context: preemption off, of the task that is in the call.
 * Return: whether it has; then @change is somebody else's, perhaps.
 */
bool limit_change_is_over(const struct limit_change *change)
{
	return READ_ONCE(change->task) != current;
}

/**
 * limit_change_end() - a listen() has returned
 * @change: from limit_change_begin()
 * @sk: the socket
 * @call: the listen(), a repeated one or, where limit_start() has seen it
 *	already, the first on this socket; NULL if it failed
 * @starts: the socket did not listen when the call began, and nobody has seen it
 *	start: where there is no record, this begins one
 *
 * inet_listen() has let go of the socket when it returns, and unix_listen() too.
 * Another task's listen() may have stored its backlog meanwhile: that one counts
 * then, and @call is forgotten. Or the socket listens no more.
 *
 * Context: preemption off, not in an NMI.
 * Return: 0; -ENOMEM where there was no record to be had; -EAGAIN where a rule has
 * raised the limit of an AF_UNIX listener and somebody waits for that in connect():
 * who meets the listener next wakes them.
 */
int limit_change_end(struct limit_change *change, struct sock *sk,
		     const struct listen_call *call, bool starts)
{
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;
	int err = 0;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	/* As in limit_start(). */
	smp_mb__after_spinlock();
	listener = record_find(bucket, sk, cookie);
	if (call) {
		if (!listener && starts)
			listener = record_begin(bucket, sk, cookie);
		else if (!listener && inet_sk_state_load(sk) == TCP_LISTEN)
			listener = record_annotate(bucket, sk, cookie);
		if (!IS_ERR_OR_NULL(listener))
			change_adopt(listener, sk, call, change);
	}
	change_end(change);
	if (!IS_ERR_OR_NULL(listener)) {
		limit_swap(listener, sk);
		if (record_is_unix(listener) && listener->unix_traffic.raised)
			err = -EAGAIN;
	} else if (!listener && call) {
		err = -ENOMEM;
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
	return err;
}

/**
 * limit_decide_by() - who decides from now on
 * @by: the function, or NULL: each gets what the kernel alone would give it
 *
 * When it returns, nobody asks another one any more. Limits stay as they are
 * until limit_decide().
 *
 * Context: process context, sleeps for a grace period.
 */
void limit_decide_by(limit_decide_t *by)
{
	WRITE_ONCE(decide, by);
	synchronize_rcu();
}
