/* SPDX-License-Identifier: GPL-2.0-only */
/* Records: what is noted of a listener. */
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
 * enum record_proof - what shows that functions of the kernel's were called
 * @PROOF_STARTED: a listener has appeared that was not seen to start
 * @PROOF_CONNECTED: one that was seen to start has connections
 * @PROOF_ACCEPTED: one that was seen to start had more of them
 * @PROOF_REPEATED: the limit of one that was seen to start has changed unseen
 * @PROOF_STOPPED: one that was seen to start is gone, and that was not seen
 * @PROOF_UNIX_LISTENED: the same two as PROOF_STARTED and PROOF_REPEATED of an
 *	AF_UNIX listener
 * @PROOF_UNIX_CONNECTED: one has connections
 * @PROOF_UNIX_ACCEPTED: one had more of them
 * @PROOF_UNIX_WAITED: somebody waits in connect() to one
 * @PROOF_UNIX_STOPPED: one is gone, and that was not seen
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

/* By these, as bits; whoever finds one sets it, in any context. */
extern unsigned long record_proofs;

/**
 * struct listen_call - one successful listen()
 * @asked: the backlog as the caller passed it
 * @granted: what the kernel stored as the limit
 * @asked_known: whether @asked was seen; it is not where only the kernel's
 *	clamped value was
 * @pid: the caller's thread group, in the initial PID namespace; 0 unknown.
 *	In one word with @asked_known: five cache lines hold a record.
 * @uid: the caller's user where its real, effective and saved ones agree,
 *	INVALID_UID where not: who may know @pid and @comm
 * @started: when that group's leader started, which tells it from a later
 *	one with the same @pid, as call_time() says
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

/* When a task started, in units of 1.05 ms: 32 bits of them do for a pid. */
static inline u32 call_time(const struct task_struct *task)
{
	return task->start_time >> 20;
}

/**
 * struct selector - the ports that a rule is for
 * @first: the first one
 * @last: the last one
 *
 * All ports are 0 to 65535; nobody listens on port 0, so that 0 to 0 is none.
 */
struct selector {
	u16 first;
	u16 last;
};

/*
 * Of AF_UNIX listeners, no range: the rule for all names, and that for the listener's
 * own.
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
 * struct listener_decision - what was decided of a listener's limit
 * @serial: number of the set of rules that decided; 0: there are none
 * @limit: the limit, as it was put in force: what is in sk_max_ack_backlog
 *	unless somebody else has stored another one
 * @rule: the rule that acts on the listener
 */
struct listener_decision {
	u32 serial;
	unsigned int limit;
	struct selector rule;
};

/* Columns of a histogram: up to some time, twice that, and so on, and more. */
#define HISTOGRAM_COLUMNS 16

/**
 * struct histogram - how long something has taken
 * @sum: of all, in the histogram's unit
 * @counts: how many, by how long
 */
struct histogram {
	atomic_long_t sum;
	atomic_long_t counts[HISTOGRAM_COLUMNS];
};

/**
 * struct listener_traffic - what has happened to a listener
 * @counts: by &enum traffic_count; only ever grow
 * @overflowed: when the latest overflow was, in jiffies; 0: there was none
 * @acceptq: the most connections in the accept queue
 * @synq: the most requests in the SYN queue
 * @handshakes: of the requests that became connections, in us from the first
 *	SYN-ACK to the final ACK; the first column is up to 256
 * @waits: of the connections handed to accept(), in ms from the final ACK; the
 *	first column is up to 4
 *
 * Handlers change these in whatever context the connection path runs, without
 * a lock, as RCU readers of the record.
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
 * struct unix_traffic - what has happened to an AF_UNIX listener
 * @connects: connections that have entered its queue; follows from others, and is
 *	what somebody was shown last
 * @accepts: connections handed to accept()
 * @waits: connect() calls that had to wait for room
 * @eagains: those that got EAGAIN in place of room
 * @carried: connections that were in the queue when the counting began
 * @acceptq: the most connections in the queue
 * @raised: a limit was put in force that is above the one before, while somebody
 *	waited for room, and nobody has been woken since; under the bucket's lock
 *
 * Changed as struct listener_traffic is, but for @raised.
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
 * struct listener_end - what the totals have of a listener that has ended
 * @moved: connections of its accept queue of each of which is told what becomes
 * @waiting: those of which that is not told, at most
 * @unaccepted: these and all that have come too late, in the totals by now
 * @abandoned: requests, in the totals by now
 * @is_known: whether the others are set
 */
struct listener_end {
	u32 moved;
	u32 waiting;
	u32 unaccepted;
	u32 abandoned;
	bool is_known;
};

/**
 * struct listener - what is noted of a listener beside the kernel's own
 * @node: in its bucket; changed under the bucket's lock, read under RCU
 * @idle: in the pool, or among the retired
 * @rcu: for its end, when it was retired and is out of its bucket
 * @sk: the listening socket's address. It is compared, never followed.
 * @cookie: the socket's cookie; cookies are never used twice, so @sk and
 *	@cookie together name one socket even when the address is reused
 * @retired: set once, by whoever takes the record out of use
 * @seen: number of the latest sweep that met the socket (16 bits)
 * @started: whether the socket was seen to start listening
 * @traffic_doubted: whether some of @traffic may have been missed; under the
 *	bucket's lock
 * @totals: its namespace's, which may be gone before it: see totals_add()
 * @since: when the counting began, in jiffies (64 bits)
 * @call: the latest listen(); under the bucket's lock
 * @decision: the limit in force; under the bucket's lock
 * @peaks_until: when the window of both peaks ends, in jiffies (32 bits)
 * @reported: when an overflow was reported in the log last, in jiffies (32 bits);
 *	0: never
 * @counted: begins a cache line. What is counted by what comes in is in lines of its
 *	own; what the connection path looks through, up to @retired, is in another.
 * @traffic: what has happened to a TCP listener
 * @unix_traffic: the same of an AF_UNIX listener
 * @overflows_reported: how many overflows there had been when one was reported
 *	(32 bits); the reporter's
 * @place: where the socket listens; of AF_UNIX, the family alone
 * @drops: what the kernel has dropped that was for it; counted as @traffic is
 * @end: what a TCP listener has left behind, when it has ended
 *
 * A record: it annotates a socket that the kernel's listening hash holds. It
 * pins nothing. Losing one costs a `-`, keeping one too long costs its bytes
 * until a sweep, which spares it once.
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
	bool traffic_doubted;
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
	struct listener_end end;
};

/* Ten cache lines of 64 bytes, two of them for what is looked up, beside the drops. */
static_assert(offsetof(struct listener, drops) <= 640);

/**
 * struct record_bucket - a bucket of the hash of records
 * @lock: guards @records and, but for what &struct listener says otherwise,
 *	what they hold; raw, interrupts off
 * @records: by &struct listener.node
 */
struct record_bucket {
	raw_spinlock_t lock;
	struct hlist_head records;
};

/**
 * struct record_hash - all records, by their sockets' addresses
 * @buckets: they are there as long as any hook is; a power of 2
 * @shift: by how much the product of an address is shifted to be an index of them
 */
struct record_hash {
	struct record_bucket *buckets;
	unsigned int shift;
};

extern struct record_hash record_hash;

/* Unbound; for what other rooms do now and then as well. */
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

/* Whose records, as bits. */
#define RECORDS_OF_TCP		1
#define RECORDS_OF_UNIX		2
#define RECORDS_OF_ALL		(RECORDS_OF_TCP | RECORDS_OF_UNIX)

void record_doubt_calls(unsigned int whose);
void record_doubt_traffic(unsigned int whose);

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
 * record_is_retired() - whether a listener has ceased to listen, or begun anew
 * @listener: its record
 *
 * Context: any, the RCU reader that has looked the record up.
 */
static inline bool record_is_retired(const struct listener *listener)
{
	return READ_ONCE(listener->retired);
}

/**
 * record_bucket() - where a socket's record is, if it has one
 * @sk: the socket's address, which is not followed
 *
 * Context: any.
 * Return: the bucket.
 */
static inline struct record_bucket *record_bucket(const struct sock *sk)
{
	/* hash_ptr(), without what does not matter on this path. */
	return &record_hash.buckets[(unsigned long)sk * GOLDEN_RATIO_PRIME >>
				    record_hash.shift];
}

/**
 * record_find() - a socket's record in its bucket
 * @bucket: the bucket
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: an RCU reader, or the bucket is locked.
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
 * record_find_ended() - the record of what was a listener, be it retired or not
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record; NULL where there is none any more.
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
 * record_at() - the record of what may be a listener, by nothing but its address
 * @sk: the address, which is not followed
 *
 * A socket whose end was not seen, and whose address another one has now, is taken for
 * that one until the next sweep.
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, to be used as long as the caller is a reader, or NULL.
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
 * record_lookup() - the record of what may be a listener
 * @sk: the socket's address, which is not followed
 * @cookie: the socket's cookie
 *
 * Inline: the connection path looks records up.
 *
 * Context: any, as an RCU reader: takes no lock.
 * Return: the record, to be used as long as the caller is a reader, or NULL.
 */
static inline struct listener *record_lookup(const struct sock *sk, u64 cookie)
{
	return record_find(record_bucket(sk), sk, cookie);
}

/**
 * record_of() - the record of a listener
 * @sk: the listener
 *
 * Context: any, preemption off, which makes an RCU reader.
 * Return: the record, to be used as long as preemption is off, or NULL.
 */
static inline struct listener *record_of(const struct sock *sk)
{
	return record_lookup(sk, atomic64_read(&sk->sk_cookie));
}

/**
 * record_prove() - note that functions were called
 * @proof: by what that is shown
 *
 * Context: any.
 */
static inline void record_prove(enum record_proof proof)
{
	if (!test_bit(proof, &record_proofs))
		set_bit(proof, &record_proofs);
}

/**
 * listen_call_forget() - what is known of a listen() that was not seen
 * @call: where to write it
 * @granted: the limit that it left, which is all there is to know
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
