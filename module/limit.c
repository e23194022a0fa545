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
 * without a lock, and freed on return, under the lock of the record's bucket.
 * There are more than instances of the hook that claims them.
 */
struct limit_change {
	const struct sock *sk;	/* NULL where the slot is free */
	unsigned int granted;	/* what the kernel stores, or has stored */
};

#define CHANGE_BITS 10
static struct limit_change changes[1 << CHANGE_BITS];
static atomic_t changes_count;

/* Read with preemption off; a grace period ends the use of an earlier one. */
static limit_decide_t *decide;

/* Whether a listen() is under way that stores @granted, or has just done so. */
static bool is_changing(const struct sock *sk, unsigned int granted)
{
	unsigned int i;

	if (!atomic_read(&changes_count))
		return false;
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		if (READ_ONCE(changes[i].sk) == sk &&
		    READ_ONCE(changes[i].granted) == granted)
			return true;
	return false;
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
 * A limit that is not the one which was decided on last is somebody else's: of
 * a listen() that was not seen, for one. It is left alone, until the rules
 * change.
 */
static noinline void limit_replace(struct listener *listener,
				   unsigned int limit)
{
	u32 serial = listener->decision.serial;
	struct listen_call call;

	listen_call_forget(&call, limit);
	record_set_call(listener, &call);
	listener->decision.serial = serial;
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
 * The value that is to be replaced may be one that a listen() under way has
 * just stored, even where it is the number that was known to be there; and an
 * override that is the number which such a call stores could be taken for its
 * own afterwards. Then the limit stays as it is, and is decided on when that
 * call returns. Should we be gone by then, it stays as it should.
 *
 * Looking again behind the swap is for a call that has come since the first
 * look: its store comes after the claim of its slot.
 */
static void limit_swap(struct listener *listener, struct sock *sk)
{
	limit_decide_t *by = READ_ONCE(decide);
	struct listener_decision decision = listener->decision;
	unsigned int limit = listener->decision.limit;

	if (by ? !by(sk, &listener->call, &decision) :
		 !decide_granted(&listener->call, &decision))
		return;
	if (decision.limit != limit) {
		if (is_changing(sk, limit) ||
		    (decision.limit != listener->call.granted &&
		     is_changing(sk, decision.limit)))
			return;
		if (cmpxchg(&sk->sk_max_ack_backlog, limit,
			    decision.limit) != limit) {
			limit_notice(listener, sk);
			return;
		}
		if (is_changing(sk, limit)) {
			cmpxchg(&sk->sk_max_ack_backlog, decision.limit, limit);
			return;
		}
	}
	listener->decision = decision;
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
		atomic_inc(&changes_count);
		/* is_changing() sees it before it sees the kernel's store. */
		smp_wmb();
		return change;
	}
	return NULL;
}

/**
 * limit_change_end() - a listen() has returned
 * @change: from limit_change_begin()
 * @sk: the socket
 * @call: the listen(), the first on this socket or a repeated one; NULL if it
 *	failed
 *
 * inet_listen() has let go of the socket when it returns. Another task's
 * listen() may have stored its backlog meanwhile: that one counts then, and
 * @call is forgotten. Or the socket listens no more.
 *
 * The slot is freed under the lock: before it, nobody may take what this call
 * has stored for something older; behind it, this call is known.
 *
 * Context: preemption off, not in an NMI.
 */
void limit_change_end(struct limit_change *change, struct sock *sk,
		      const struct listen_call *call)
{
	struct record_bucket *bucket = record_bucket(sk);
	u64 cookie = socket_cookie(sk);
	struct listener *listener;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	/*
	 * The kernel has hashed the socket, the rules are read below: with that of
	 * sweep_listeners(), either this sees new rules or the sweep the listener.
	 */
	smp_mb__after_spinlock();
	atomic_dec(&changes_count);
	/* Whoever claims the slot next writes behind all of this. */
	smp_store_release(&change->sk, NULL);

	listener = record_find(bucket, sk, cookie);
	if (call && READ_ONCE(sk->sk_max_ack_backlog) == call->granted) {
		if (!listener && inet_sk_state_load(sk) == TCP_LISTEN)
			listener = record_annotate(bucket, sk, cookie);
		if (!IS_ERR_OR_NULL(listener))
			record_set_call(listener, call);
	}
	if (!IS_ERR_OR_NULL(listener))
		limit_swap(listener, sk);
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
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
