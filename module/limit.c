// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts limits in force and takes them back.
 *
 * The kernel reads and writes sk_max_ack_backlog without knowing of this module, so
 * it is changed by compare-and-swap only, from the value known to be there to the
 * decided one, and only under the lock of the record's bucket. limit_decide_by()
 * sets the function that decides.
 *
 * The hooks of listen() say which calls are under way; walks call limit_decide() for
 * each listener that they meet.
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
 * A listen() between entry and return. A slot is claimed on entry, without a lock,
 * and freed under the lock of the record's bucket: on return, or by limit_start().
 */
struct limit_change {
	const struct sock *sk;	/* NULL: the slot is free */
	unsigned int granted;	/* the limit that the kernel stores */
	const struct task_struct *task;	/* the caller; NULL: the call is over */
	bool overtaken;		/* a rule has lowered the limit to this number */
	bool replaced;		/* a rule has lowered the limit from this number */
};

#define CHANGE_BITS 11
static struct limit_change changes[1 << CHANGE_BITS];
static atomic_t changes_count;

/* Read with preemption off: limit_decide_by() waits for a grace period. */
static limit_decide_t *decide;

/* The next listen() under way on @sk after @change; NULL: the first one. */
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
 * Whether a listen() under way may be about to store @granted, or may just have
 * stored it. A call of current itself has stored it: the hooks inside it come after
 * that.
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
 * limit_is_changing() - whether a listen() is under way on a socket
 * @sk: the socket
 *
 * Context: any.
 */
bool limit_is_changing(const struct sock *sk)
{
	return change_next(sk, NULL);
}

/* Tell the calls that store @from or @to that a rule has lowered the limit. */
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

/* A call has been adopted: what the others stored before it no longer counts. */
static void changes_are_older(const struct sock *sk)
{
	struct limit_change *change = NULL;

	while ((change = change_next(sk, change)))
		WRITE_ONCE(change->replaced, false);
}

/*
 * Free the slot, with the record's bucket locked. A reader of the bucket sees either
 * the slot, and takes no stored limit for an older one, or this call in the record.
 */
static void change_end(struct limit_change *change)
{
	atomic_dec(&changes_count);
	WRITE_ONCE(change->overtaken, false);
	WRITE_ONCE(change->replaced, false);
	WRITE_ONCE(change->task, NULL);
	/* The next claim of the slot comes after all of this. */
	smp_store_release(&change->sk, NULL);
}

/* The slot of the call on @sk that current is in; NULL if it got none. */
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

/* Decide as the kernel does, without rules. */
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
 * The limit is not the one last decided on: a listen() that was not seen has stored
 * it. So it is what that call was granted, and no rule has been applied to it yet.
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
 * Put off: a listen() under way complicates both numbers. The limit in place, if it
 * is not the granted one, may be what such a call has just stored for good; and a
 * new limit may be the number that such a call stores. Then the limit stays, no rule
 * is shown as acting, and the decision is made when that call returns or a walk
 * meets the listener after that. If the module is unloaded before, the limit is
 * right as it is.
 *
 * A rule that lowers the limit does not wait: where inet_listen() is hooked (before
 * 6.6, or built by clang), a program that keeps calls waiting for the socket's lock
 * could keep a limit above what a rule allows. The calls that store either number are
 * told, for change_adopt(): if one stores the number to which the rule lowered the
 * limit, that counts as the rule's.
 *
 * The second look, after the swap, is for calls that came after the first one: they
 * claim a slot before they store.
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
		/* The next walk that meets the listener decides. */
		limit_notice(listener, sk);
		return;
	}
	if (lowers) {
		changes_lowered(sk, limit, decision.limit);
	} else if (limit != granted && is_changing(sk, limit)) {
		cmpxchg(&sk->sk_max_ack_backlog, decision.limit, limit);
		goto put_off;
	}
	/* The swap is a barrier: a connect() that waits later sees the new limit. */
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
 * limit_decide() - decide on a listener's limit and put it in force
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
 * limit_start() - note that a socket has started to listen
 * @sk: the socket, just put into the listening hash, locked by the caller of the
 *	hooked function
 * @call: the listen() that did it, which has stored its limit
 *
 * Begins a new record, also for a socket that has listened before, and decides on
 * the limit. A walk may have met the socket already and applied a rule, if the
 * earlier stop was missed; where inet_listen() is hooked, so may the return of another
 * listen(). If there is no memory for a record, the next walk makes one.
 *
 * Context: preemption off, not in an NMI.
 * Return: whether there is a record.
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
	 * The kernel has hashed the socket; the rules are read below. Pairs with
	 * sweep_listeners(): either this sees new rules, or the sweep sees the
	 * listener.
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
 * limit_change_begin() - note that a listen() is about to store its backlog
 * @sk: the socket
 * @granted: what it will store, if it gets that far
 *
 * Context: preemption off, an NMI too: takes no lock.
 * Return: a slot for limit_change_end(); NULL if too many calls are under way.
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
		/* is_changing() sees the slot before the kernel's store. */
		smp_wmb();
		return change;
	}
	return NULL;
}

/*
 * The listen() that @call describes has returned. It becomes the record's latest
 * call if the limit is still what it stored, or what a rule has made of that;
 * @change tells what rules have done while the call was under way.
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
		/* No set of rules has this number: limit_swap() decides anew. */
		listener->decision.serial = U32_MAX;
		changes_are_older(sk);
	}
}

/**
 * limit_change_is_over() - whether limit_start() has noted all of a listen()
 * @change: from limit_change_begin(), in the same call
 *
 * Context: preemption off, in the task that is in the call.
 * Return: whether it has; then another call may be using @change.
 */
bool limit_change_is_over(const struct limit_change *change)
{
	return READ_ONCE(change->task) != current;
}

/**
 * limit_change_end() - note that a listen() has returned
 * @change: from limit_change_begin()
 * @sk: the socket
 * @call: the listen(); NULL if it failed
 * @starts: the socket did not listen when the call began: make its record if it
 *	still has none
 *
 * inet_listen() and unix_listen() have unlocked the socket by now. If another task's
 * listen() has stored its backlog since, that one counts and @call is forgotten. The
 * socket may also have stopped.
 *
 * Context: preemption off, not in an NMI.
 * Return: 0; -ENOMEM if there was no memory for a record; -EAGAIN if a rule has
 * raised the limit of an AF_UNIX listener and a connect() waits for that: the next
 * walk that meets the listener wakes it.
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
 * limit_decide_by() - set the function that decides on limits
 * @by: the function; NULL: each listener gets what the kernel alone would give it
 *
 * On return, no other function is being asked. Limits change when limit_decide() is
 * called next.
 *
 * Context: process context, sleeps for a grace period.
 */
void limit_decide_by(limit_decide_t *by)
{
	WRITE_ONCE(decide, by);
	synchronize_rcu();
}
