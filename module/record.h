/* SPDX-License-Identifier: GPL-2.0-only */
/* Records: what the module notes about a listener. */
#ifndef LISTENQ_RECORD_H
#define LISTENQ_RECORD_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/llist.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "drops.h"
#include "endpoint.h"
#include "peak.h"
#include "socket.h"
#include "totals.h"

/**
 * enum record_proof - facts that show that a hooked function was called
 * @PROOF_STARTED: a walk met a listener whose start no hook has seen
 * @PROOF_CONNECTED: a listener that was seen to start has connections
 * @PROOF_ACCEPTED: a listener that was seen to start had more connections than now
 * @PROOF_REPEATED: the limit of a listener that was seen to start has changed unseen
 * @PROOF_STOPPED: a listener that was seen to start is gone, and no hook saw it stop
 * @PROOF_UNIX_LISTENED: PROOF_STARTED or PROOF_REPEATED of an AF_UNIX listener
 * @PROOF_UNIX_CONNECTED: PROOF_CONNECTED of an AF_UNIX listener
 * @PROOF_UNIX_ACCEPTED: PROOF_ACCEPTED of an AF_UNIX listener
 * @PROOF_UNIX_WAITED: a connect() to an AF_UNIX listener waits for room
 * @PROOF_UNIX_STOPPED: PROOF_STOPPED of an AF_UNIX listener
 */
enum record_proof {
	PROOF_STARTED,
	PROOF_CONNECTED,
	PROOF_ACCEPTED,
	PROOF_REPEATED,
	PROOF_STOPPED,
	PROOF_UNIX_LISTENED,
	PROOF_UNIX_CONNECTED,
	PROOF_UNIX_ACCEPTED,
	PROOF_UNIX_WAITED,
	PROOF_UNIX_STOPPED,
};

/* Bits numbered by &enum record_proof; record_prove() sets them, in any context. */
extern unsigned long record_proofs;

/**
 * struct listen_call - one successful listen()
 * @asked: the backlog as the caller passed it
 * @granted: what the kernel stored as the limit
 * @asked_known: whether @asked was seen; false where only the backlog clamped by the
 *	kernel was
 * @pid: the caller's thread group, in the initial PID namespace; 0: unknown. In one
 *	word with @asked_known, so that what is looked up of a record fits two cache
 *	lines.
 * @uid: the caller's user, who may be shown @pid and @comm; INVALID_UID where the
 *	real, effective and saved uids differ
 * @started: call_time() of the thread group's leader, which tells it from a later
 *	process with the same @pid
 * @comm: name of the thread group's leader
 */
struct listen_call {
	int asked;
	unsigned int granted;
	bool asked_known : 1;
	pid_t pid : 31;
	kuid_t uid;
	u32 started;
	char comm[TASK_COMM_LEN];
};

/* When a task started, in units of 1.05 ms; 32 bits tell reused pids apart. */
static inline u32 call_time(const struct task_struct *task)
{
	return task->start_time >> 20;
}

/**
 * struct selector - the ports that a rule is for
 * @first: the first port
 * @last: the last port
 *
 * 0 to 65535 stands for all ports. 0 to 0 stands for none, since no socket listens
 * on port 0.
 */
struct selector {
	u16 first;
	u16 last;
};

/*
 * Selectors of AF_UNIX rules, which no range of ports can equal: the rule for all
 * names, and a rule for one name.
 */
#define SELECTOR_EVERY_NAME	((struct selector) { .first = 1, .last = 0 })
#define SELECTOR_NAME		((struct selector) { .first = 2, .last = 0 })

static inline bool selector_is_unix(struct selector selector)
{
	return selector.first > selector.last;
}

static inline bool selector_is_every_name(struct selector selector)
{
	return selector.first == 1 && selector_is_unix(selector);
}

/**
 * struct listener_decision - the limit decided on for a listener
 * @serial: number of the set of rules that decided; 0: there are no rules
 * @limit: the limit put in force, which is in sk_max_ack_backlog unless another
 *	writer has replaced it
 * @rule: the rule that acts on the listener
 */
struct listener_decision {
	u32 serial;
	unsigned int limit;
	struct selector rule;
};

/* Each column ends at twice the end of the one before; the last has no end. */
#define HISTOGRAM_COLUMNS 16

/**
 * struct histogram - a distribution of times
 * @sum: sum of the times, in the histogram's unit
 * @counts: number of times in each column
 */
struct histogram {
	atomic_long_t sum;
	atomic_long_t counts[HISTOGRAM_COLUMNS];
};

/**
 * struct listener_traffic - what the hooks have counted for a TCP listener
 * @counts: by &enum traffic_count; never fall, but for what reset_end() takes back
 * @overflowed: when the latest overflow was, in jiffies; 0: there was none
 * @acceptq: the most connections in the accept queue
 * @synq: the most requests in the SYN queue
 * @handshakes: times from a request's first SYN-ACK to its final ACK, in us; the
 *	first column is up to 256
 * @waits: times from the final ACK to accept(), in ms; the first column is up to 4
 *
 * Handlers change these without a lock, as RCU readers of the record, in whatever
 * context the connection path runs.
 */
struct listener_traffic {
	atomic_long_t counts[TRAFFIC_RECORDED];
	unsigned long overflowed;
	struct peak acceptq;
	struct peak synq;
	struct histogram handshakes;
	struct histogram waits;
};

/**
 * struct unix_traffic - what the hooks have counted for an AF_UNIX listener
 * @connects: connections that have entered the queue; derived (unix.c), the highest
 *	value that a reader was shown
 * @accepts: connections handed to accept()
 * @waits: connect() calls that had to wait for room
 * @eagains: connect() calls that got EAGAIN for want of room
 * @carried: connections that were in the queue when the counting began
 * @acceptq: the most connections in the queue
 * @raised: a rule has raised the limit while a connect() waited for room, and
 *	nothing has woken it since; under the lock of the record's bucket
 *
 * All but @raised change as &struct listener_traffic does.
 */
struct unix_traffic {
	atomic_long_t connects;
	atomic_long_t accepts;
	atomic_long_t waits;
	atomic_long_t eagains;
	unsigned long carried;
	struct peak acceptq;
	bool raised;
};

/**
 * struct listener_end - what a listener that has ended has added to the totals
 * @moved: connections of its accept queue that migrate_end() counts one by one
 * @waiting: connections of its accept queue, at most; 0 where @moved has them
 * @unaccepted: connections counted as TRAFFIC_UNACCEPTED by now, late ones included
 * @abandoned: requests counted as TRAFFIC_ABANDONED by now
 * @is_known: whether @moved and @waiting are set; see books_close()
 */
struct listener_end {
	u32 moved;
	u32 waiting;
	u32 unaccepted;
	u32 abandoned;
	bool is_known;
};

/* All of a listener's counters may have missed something, or those of return probes. */
#define DOUBTED_TRAFFIC	BIT(0)
#define DOUBTED_RETURNS	BIT(1)

/**
 * struct listener - a record: what the module notes about a listener
 * @node: in its bucket; changed under the bucket's lock, read under RCU
 * @idle: in a pool, or in the list of retired records
 * @rcu: frees the record once it is retired and out of its bucket
 * @sk: the listening socket's address. It is compared, never followed.
 * @cookie: the socket's cookie, which is never used again: together with @sk it
 *	names one socket, even if the address is reused
 * @retired: set once, by the first that takes the record out of use
 * @seen: number of the latest sweep when a walk last met the socket (16 bits)
 * @started: whether the socket was seen to start listening
 * @doubted: what of @traffic may have been missed, by DOUBTED_*; under the bucket's
 *	lock
 * @totals: the totals of its namespace, which may be freed first: see totals_add()
 * @since: when the counting began, in jiffies (64 bits)
 * @call: the latest listen(); under the bucket's lock
 * @decision: the limit in force; under the bucket's lock
 * @peaks_until: when the window of both peaks ends, in jiffies (32 bits)
 * @reported: when the log last got an overflow of this listener, in jiffies (32
 *	bits); 0: never
 * @counted: begins a cache line. Counters are in lines of their own; what the
 *	connection path looks up, to @retired, is in another.
 * @traffic: counters of a TCP listener
 * @unix_traffic: counters of an AF_UNIX listener
 * @overflows_reported: number of overflows at the latest line in the log (32 bits);
 *	under print_lock (refused.c)
 * @place: where the socket listens; of AF_UNIX, the family alone
 * @drops: segments for this listener that the kernel has dropped; changes as
 *	@traffic
 * @misplaced: requests that the kernel has taken off the listener's SYN queue, which
 *	never held them: its length is that much too low. Changes as @traffic, and
 *	counts only if TRAFFIC_CARRIED_REQUESTS, which has them too, is not 0.
 * @end: what a TCP listener has left behind, once it has ended
 *
 * A record annotates a socket in the kernel's listening hash and pins nothing. A
 * lost record costs a `-`; one kept too long costs its memory until a sweep retires
 * it, which spares it once (record_sweep_end()).
 */
struct listener {
	struct hlist_node node;
	union {
		struct llist_node idle;
		struct rcu_head rcu;
	};
	const struct sock *sk;
	u64 cookie;
	unsigned int retired;
	u16 seen;
	bool started;
	u8 doubted;
	struct totals __percpu *totals;
	u64 since;
	struct listen_call call;
	struct listener_decision decision;
	u32 peaks_until;
	u32 reported;
	struct { } counted ____cacheline_aligned_in_smp;
	union {
		struct listener_traffic traffic;
		struct unix_traffic unix_traffic;
	};
	u32 overflows_reported;
	struct endpoint place;
	struct drop drops[DROPS];
	atomic_t misplaced;
	struct listener_end end;
};

/*
 * Ten cache lines of 64 bytes, without the drops; lookups use the first two. Where
 * lines are longer (256 bytes on s390), @counted takes a record beyond that.
 */
static_assert(SMP_CACHE_BYTES > 64 || offsetof(struct listener, drops) <= 640);

/**
 * struct record_bucket - a bucket of the hash of records
 * @lock: guards @records and their fields, except where &struct listener says
 *	otherwise; raw, interrupts off
 * @records: by &struct listener.node
 */
struct record_bucket {
	raw_spinlock_t lock;
	struct hlist_head records;
};

/**
 * struct record_hash - all records, hashed by their sockets' addresses
 * @buckets: a power of 2 of them; allocated before the first hook, freed after the
 *	last
 * @shift: how far record_bucket() shifts the product of an address to get an index
 */
struct record_hash {
	struct record_bucket *buckets;
	unsigned int shift;
};

extern struct record_hash record_hash;

/* Unbound; runs the work items of other files too. */
extern struct workqueue_struct *record_workqueue;

int record_init(void);
void record_exit(void);

struct listener *record_begin(struct record_bucket *bucket,
			      const struct sock *sk, u64 cookie);
struct listener *record_annotate(struct record_bucket *bucket,
				 const struct sock *sk, u64 cookie);
void record_set_call(struct listener *listener, const struct listen_call *call);
void record_retire(struct listener *listener);

void record_copy_call(struct listener *listener, struct listen_call *call);
void record_end(const struct sock *sk);

void record_sweep_begin(void);
void record_met(struct listener *listener);
void record_sweep_end(void);

unsigned int record_retired(void);
bool record_has_ended(const struct record_bucket *bucket,
		      const struct sock *sk, u64 cookie);

/* Which records, as bits. */
#define RECORDS_OF_TCP		1
#define RECORDS_OF_UNIX		2
#define RECORDS_OF_ALL		(RECORDS_OF_TCP | RECORDS_OF_UNIX)

void record_doubt_calls(unsigned int whose);
void record_doubt_traffic(unsigned int whose);
void record_doubt_returns(unsigned int whose);

/**
 * record_is_unix() - whether a record is that of an AF_UNIX listener
 * @listener: the record
 *
 * Context: any.
 */
static inline bool record_is_unix(const struct listener *listener)
{
	return listener->place.family == AF_UNIX;
}

/**
 * record_is_retired() - whether a listener has stopped, or started again since
 * @listener: its record
 *
 * Context: any, as the RCU reader that has looked the record up.
 */
static inline bool record_is_retired(const struct listener *listener)
{
	return READ_ONCE(listener->retired);
}

/**
 * record_bucket() - the bucket that a socket's record belongs in
 * @sk: the socket's address, which is not followed
 *
 * Context: any.
 * Return: the bucket.
 */
static inline struct record_bucket *record_bucket(const struct sock *sk)
{
	/* hash_ptr(), without the parts that this path does not need. */
	return &record_hash.buckets[(unsigned long)sk * GOLDEN_RATIO_PRIME >>
				    record_hash.shift];
}

/**
 * record_find() - find a socket's record in its bucket
 * @bucket: the bucket
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: an RCU reader, or @bucket's lock held.
 * Return: the record, or NULL.
 */
static inline struct listener *record_find(struct record_bucket *bucket,
					   const struct sock *sk, u64 cookie)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &bucket->records, node)
		if (listener->sk == sk && listener->cookie == cookie &&
		    !record_is_retired(listener))
			return listener;
	return NULL;
}

/**
 * record_find_ended() - find a socket's record, retired or not
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record; NULL if there is none, or none any more.
 */
static inline struct listener *record_find_ended(const struct sock *sk,
						 u64 cookie)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &record_bucket(sk)->records, node)
		if (listener->sk == sk && listener->cookie == cookie)
			return listener;
	return NULL;
}

/**
 * record_at() - find a socket's record by its address alone
 * @sk: the address, which is not followed
 *
 * If the hooks missed a socket's end and another socket has its address now, this
 * returns the old record until a sweep retires it.
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, valid as long as the caller is an RCU reader, or NULL.
 */
static inline struct listener *record_at(const struct sock *sk)
{
	struct listener *listener;

	hlist_for_each_entry_rcu(listener, &record_bucket(sk)->records, node)
		if (listener->sk == sk && !record_is_retired(listener))
			return listener;
	return NULL;
}

/**
 * record_lookup() - find a socket's record
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Inline, for the connection path.
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, valid as long as the caller is an RCU reader, or NULL.
 */
static inline struct listener *record_lookup(const struct sock *sk, u64 cookie)
{
	return record_find(record_bucket(sk), sk, cookie);
}

/**
 * record_of() - find a listener's record
 * @sk: the listener
 *
 * Context: any, preemption off, which makes the caller an RCU reader.
 * Return: the record, valid as long as preemption is off, or NULL.
 */
static inline struct listener *record_of(const struct sock *sk)
{
	return record_lookup(sk, atomic64_read(&sk->sk_cookie));
}

/**
 * record_prove() - note that a hooked function must have been called
 * @proof: what shows it
 *
 * Context: any.
 */
static inline void record_prove(enum record_proof proof)
{
	if (!test_bit(proof, &record_proofs))
		set_bit(proof, &record_proofs);
}

/**
 * listen_call_forget() - describe a listen() that was not seen
 * @call: where to write it
 * @granted: the limit that the call has left, which is all that is known
 *
 * Context: any.
 */
static inline void listen_call_forget(struct listen_call *call,
				      unsigned int granted)
{
	memset(call, 0, sizeof(*call));
	call->granted = granted;
	call->uid = INVALID_UID;
}

#endif /* LISTENQ_RECORD_H */
