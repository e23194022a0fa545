/* SPDX-License-Identifier: GPL-2.0-only */
/* Records: what is noted of a listener. */
#ifndef LISTENQ_RECORD_H
#define LISTENQ_RECORD_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/cred.h>
#include <linux/llist.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/sock.h>

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
 *	one with the same @pid (task_struct.start_time)
 * @comm: name of the thread group's leader
 */
struct listen_call {
	int asked;
	unsigned int granted;
	bool asked_known : 1;
	pid_t pid : 31;
	kuid_t uid;
	u64 started;
	char comm[TASK_COMM_LEN];
};

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

/**
 * enum traffic_count - what is counted, of a listener and of a namespace
 * @TRAFFIC_SYNS: SYNs that reached it
 * @TRAFFIC_OVERFLOWS: times that the full accept queue turned somebody away
 * @TRAFFIC_SYNQ_DROPS: SYNs dropped since the SYN queue was full
 * @TRAFFIC_SYNCOOKIES: SYNs that the kernel chose to answer with a cookie
 * @TRAFFIC_ACCEPTS: connections handed to accept(); last, since a record has
 *	them by the time that they waited
 * @TRAFFIC_COUNTS: how many there are of these
 */
enum traffic_count {
	TRAFFIC_SYNS,
	TRAFFIC_OVERFLOWS,
	TRAFFIC_SYNQ_DROPS,
	TRAFFIC_SYNCOOKIES,
	TRAFFIC_ACCEPTS,
	TRAFFIC_COUNTS,
};

/* Columns of waits: up to 4 ms, 8, 16, ..., 65536, and more. */
#define TRAFFIC_WAITS 16

/**
 * struct listener_waits - how long accepted connections have waited
 * @ms: the sum
 * @counts: how many, by how long: up to 4 ms, 8, ..., and more
 */
struct listener_waits {
	atomic_long_t ms;
	atomic_long_t counts[TRAFFIC_WAITS];
};

/**
 * struct listener_traffic - what has happened to a listener
 * @counts: by &enum traffic_count; only ever grow
 * @overflowed: when the latest overflow was, in jiffies; 0: there was none
 * @reported: when one was reported in the log last, in jiffies (32 bits); 0:
 *	never
 * @overflows_reported: how many there had been then (32 bits); the reporter's
 * @acceptq_peak: the most connections in the accept queue, since the start or
 *	a reset
 * @synq_peak: the most requests in the SYN queue
 *
 * Handlers change these in whatever context the connection path runs, without
 * a lock, as RCU readers of the record.
 */
struct listener_traffic {
	atomic_long_t counts[TRAFFIC_ACCEPTS];
	unsigned long overflowed;
	u32 reported;
	u32 overflows_reported;
	unsigned int acceptq_peak;
	unsigned int synq_peak;
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
 * @seen: number of the latest sweep that met the socket
 * @since: when the counting began, in jiffies (64 bits)
 * @call: the latest listen(); under the bucket's lock
 * @decision: the limit in force; under the bucket's lock
 * @waits: counted by accept()
 * @traffic: counted by what comes in, so in a cache line of its own. What the
 *	connection path looks through, up to @retired, is in another.
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
	unsigned int seen;
	u64 since;
	struct listen_call call;
	struct listener_decision decision;
	struct listener_waits waits;
	struct listener_traffic traffic ____cacheline_aligned_in_smp;
};

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

/* Unbound; for what other rooms do now and then as well. */
extern struct workqueue_struct *record_workqueue;

int record_init(void);
void record_exit(void);
bool record_fill_pool(void);

struct record_bucket *record_bucket(const struct sock *sk);
struct listener *record_find(struct record_bucket *bucket,
			     const struct sock *sk, u64 cookie);
struct listener *record_add(struct record_bucket *bucket, const struct sock *sk,
			    u64 cookie);
struct listener *record_annotate(struct record_bucket *bucket,
				 const struct sock *sk, u64 cookie);
void record_set_call(struct listener *listener, const struct listen_call *call);
void record_retire(struct listener *listener);

struct listener *record_lookup(const struct sock *sk, u64 cookie);
void record_copy_call(struct listener *listener, struct listen_call *call);
void record_begin(struct sock *sk, const struct listen_call *call);
void record_end(const struct sock *sk);

void record_sweep_begin(void);
void record_met(struct listener *listener);
void record_sweep_end(void);

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
 * record_raise() - keep the highest of some values
 * @peak: where
 * @value: one of them
 *
 * Context: any. Writes only what is a new peak.
 */
static inline void record_raise(unsigned int *peak, unsigned int value)
{
	unsigned int was = READ_ONCE(*peak);
	unsigned int is;

	while (was < value) {
		is = cmpxchg(peak, was, value);
		if (is == was)
			break;
		was = is;
	}
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
