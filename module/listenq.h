/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * listenq: what the queues of every TCP listener hold.
 *
 * The rooms of the module and what they say to each other. No arrow runs the
 * other way:
 *
 *	main.c	   -> all	init, exit, namespaces: the order of things
 *	proc.c	   -> traffic, clamp, listener, hook
 *					/proc/net/listenq: formats and parses,
 *					decides nothing
 *	traffic.c  -> listener, hook	hooks on the path of a connection
 *	listen.c   -> listener, hook	hooks on the path of listen()
 *	clamp.c	   -> listener		the rules, and what limit they give
 *	listener.c			the listeners and what is noted of them
 *	hook.c				probes; knows no TCP
 */
#ifndef LISTENQ_H
#define LISTENQ_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/cred.h>
#include <linux/in6.h>
#include <linux/kprobes.h>
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file_net.h>
#include <net/inet_connection_sock.h>
#include <net/netns/generic.h>
#include <net/sock.h>

#define LISTENQ_VERSION "0.1.0"

/*
 * Words may hold anything: a process can name itself with an escape sequence
 * or a line of its own. What isn't printable ASCII, a blank or a backslash
 * goes out in octal.
 */
static inline bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '\\';
}

#define OCTAL_FORMAT "\\%03o"

static inline const char *word_format(char c)
{
	return is_plain(c) ? "%c" : OCTAL_FORMAT;
}

/**
 * net_generic_atomic() - net_generic() where preemption is off
 * @net: the namespace
 * @id: of the room's pernet_operations
 *
 * Preemption that is off makes an RCU reader, so that the calls are saved by
 * which net_generic() becomes one (include/net/netns/generic.h).
 *
 * Context: any, preemption off.
 * Return: the room's part of the namespace; NULL while that is being made.
 */
static inline void *net_generic_atomic(const struct net *net, unsigned int id)
{
	return rcu_dereference_sched(net->gen)->ptr[id];
}

/* ---- hook.c ---- */

/**
 * struct hook - a function of the kernel's that a room wants to see called
 * @symbol: its name
 * @serves: what is read from it, for people
 * @lost: what reads `-` or is inexact where it can't be probed, for people;
 *	NULL where nothing is
 * @unless: symbol of an earlier hook of the same table that makes this one
 *	unneeded where it could be placed, or NULL
 * @absent: this kernel can't have such a function, so that nothing is placed
 * @required: a failure to place it fails the load
 * @enter: runs when the function is called. Returns whether @leave shall run
 *	for this call; what it says is ignored without @leave.
 * @leave: runs when the function returns, or NULL. With it the hook holds one
 *	of @active instances from entry to return.
 * @data_size: bytes that @enter may write and @leave may read, zero at first
 * @active: how many calls may be under way at a time; further ones count as
 *	missed. A function that can block needs more than one that can't.
 *
 * Both handlers run in the context of the probed function with preemption
 * off, so they are RCU read-side critical sections. Neither sleeps, allocates
 * or prints. @enter may run in an exception that looks like an NMI (a
 * breakpoint on x86): it takes no lock, and lockdep agrees. @leave may take
 * raw spinlocks, with interrupts off: it never interrupts code that holds one
 * of them, since it runs where a probed function returns, also where that
 * return is a breakpoint (arm64 since 7.2).
 */
struct hook {
	const char *symbol;
	const char *serves;
	const char *lost;
	const char *unless;
	bool absent;
	bool required;
	bool (*enter)(struct pt_regs *regs, void *data);
	void (*leave)(unsigned long result, void *data);
	size_t data_size;
	int active;
};

/**
 * enum hook_state - what became of a hook
 * @HOOK_MISSING: it could not be placed
 * @HOOK_UNNEEDED: the one that makes it unneeded is placed, or this kernel
 *	can't have the function
 * @HOOK_ON: it is placed
 */
enum hook_state {
	HOOK_MISSING,
	HOOK_UNNEEDED,
	HOOK_ON,
};

/**
 * struct hook_status - how a hook fares
 * @hook: the hook
 * @state: what became of it
 * @hits: how often the function was seen called
 * @missed: how often the kernel skipped the hook, on entry (another probe's
 *	handler was running on that CPU) or for want of an instance
 */
struct hook_status {
	const struct hook *hook;
	enum hook_state state;
	unsigned long hits;
	unsigned long missed;
};

int hook_init(const struct hook *const tables[], unsigned int count);
void hook_exit(void);
bool hook_status(unsigned int index, struct hook_status *status);
bool hook_is_on(const char *symbol);

/* ---- listener.c ---- */

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
 * typedef listener_decide_t - decides on a listener's limit
 * @sk: the listener
 * @call: its latest listen()
 * @decision: the decision in force, and where to write another
 *
 * Context: a raw lock held, interrupts off: an RCU reader.
 * Return: false if there is nothing new to decide.
 */
typedef bool listener_decide_t(const struct sock *sk,
			       const struct listen_call *call,
			       struct listener_decision *decision);

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
 * until the next sweep.
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
 * struct listener_view - a listener at one moment
 * @cookie: the socket's cookie
 * @limit: the limit in force
 * @acceptq: connections that wait for accept()
 * @oldest_ms: since when the first of them waits, in ms; -1: none waits
 * @synq: requests in the SYN queue
 * @synq_young: those whose SYN-ACK was sent once
 * @drops: the kernel's count of drops for this socket
 * @call: the latest listen(). Where somebody else has changed the limit since,
 *	@call.granted is that limit, and the rest is not known.
 * @rule: the rule that acts on the listener
 * @recorded: whether the rest is known
 * @since_ms: for how long the rest has been counted
 * @counts: by &enum traffic_count
 * @overflowed_ms: how long ago the latest overflow was; -1: there was none
 * @acceptq_peak: the most connections in the accept queue
 * @synq_peak: the most requests in the SYN queue
 */
struct listener_view {
	u64 cookie;
	unsigned int limit;
	unsigned int acceptq;
	s64 oldest_ms;
	unsigned int synq;
	unsigned int synq_young;
	unsigned int drops;
	struct listen_call call;
	struct selector rule;

	bool recorded;
	u64 since_ms;
	unsigned long counts[TRAFFIC_COUNTS];
	s64 overflowed_ms;
	unsigned int acceptq_peak;
	unsigned int synq_peak;
};

/* So many rows a walk takes in while it holds a bucket's lock. */
#define LISTENER_BATCH 16

/**
 * struct listener_walk - a place in the kernel's listening hash
 * @net: whose listeners
 * @bucket: index of the bucket
 * @cookie: where in the bucket: at the first listener with this cookie or a
 *	larger one. Buckets are walked by rising cookie, so that whoever comes
 *	or goes between two reads can't shift those that stay.
 * @locked: the bucket whose lock the walk holds, or NULL
 * @more: whether the bucket holds more than @batch took in
 * @count: valid entries of @batch
 * @batch: the next listeners of the bucket by falling cookie; valid as long
 *	as the lock is held
 */
struct listener_walk {
	struct net *net;
	unsigned int bucket;
	u64 cookie;
	struct inet_listen_hashbucket *locked;
	bool more;
	unsigned int count;
	struct {
		struct sock *sk;
		u64 cookie;
	} batch[LISTENER_BATCH];
};

int listener_init(void);
void listener_exit(void);
void listener_sweep(void);
void listener_decide_by(listener_decide_t *by);
unsigned long listener_unrecorded(void);

void listener_begin(struct sock *sk, const struct listen_call *call);
struct listener_change *listener_change_begin(const struct sock *sk,
					      unsigned int granted);
void listener_change_end(struct listener_change *change, struct sock *sk,
			 const struct listen_call *call);
void listener_end(const struct sock *sk);

struct sock *listener_walk_start(struct listener_walk *walk);
struct sock *listener_walk_next(struct listener_walk *walk);
void listener_walk_stop(struct listener_walk *walk);
void listener_read(struct sock *sk, struct listener_view *view);
bool listener_read_waits(const struct sock *sk,
			 unsigned long counts[TRAFFIC_WAITS],
			 unsigned long *ms);
void listener_reset_peaks(struct net *net);

struct listener *listener_lookup(const struct sock *sk, u64 cookie);
void listener_call(struct listener *listener, struct listen_call *call);
void listener_local(const struct sock *sk, struct sockaddr_in6 *local);
u64 listener_waited_ms(const struct sock *child);

/**
 * listener_is_tcp() - whether a socket is one of those that listenq is about
 * @sk: a socket that somebody listens on or wants to
 *
 * An MPTCP listener's is its TCP subflow. DCCP, SMC and SCTP pass through the
 * same functions of the kernel.
 *
 * Context: any.
 */
static inline bool listener_is_tcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP && sk->sk_type == SOCK_STREAM &&
	       (sk->sk_family == AF_INET || sk->sk_family == AF_INET6);
}

/**
 * listener_find() - the record of a listener
 * @sk: the listener
 *
 * Context: any, preemption off, which makes an RCU reader.
 * Return: the record, to be used as long as preemption is off, or NULL.
 */
static inline struct listener *listener_find(const struct sock *sk)
{
	return listener_lookup(sk, atomic64_read(&sk->sk_cookie));
}

/**
 * synq_length() - how many requests are in the SYN queue
 * @sk: the listener
 *
 * A request may be dropped before the CPU that has made it counts it: the
 * kernel's own figure is below 0 for a moment then.
 *
 * Context: any.
 */
static inline unsigned int synq_length(const struct sock *sk)
{
	return max(inet_csk_reqsk_queue_len(sk), 0);
}

/**
 * listener_raise() - keep the highest of some values
 * @peak: where
 * @value: one of them
 *
 * Context: any. Writes only what is a new peak.
 */
static inline void listener_raise(unsigned int *peak, unsigned int value)
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

/* ---- clamp.c ---- */

/* How many rules a namespace may have. */
#define CLAMP_RULES_MAX 1024

/* Bytes of the text that says what was refused last, its end included. */
#define CLAMP_ERROR_SIZE 192

/**
 * struct clamp_rule - a rule, in its own words
 * @selector: the ports that it is for
 * @somaxconn: takes the place of net.core.somaxconn; these three are -1 where
 *	the rule does not say it
 * @floor: the limit is not below this
 * @force: the limit, whatever was asked for; alone
 */
struct clamp_rule {
	struct selector selector;
	int somaxconn;
	int floor;
	int force;
};

/**
 * struct clamp_rules - the rules of a namespace
 * @rcu: for its end
 * @serial: tells this set from all others there were
 * @hint: the port that was looked up last, and one more than its rule's index
 *	below it, in one word: it is true of this set as long as it lives
 * @count: how many there are
 * @capacity: how many there is room for
 * @rule: the rules, in order of precedence
 *
 * Changes until it is published, and not after that but for @hint.
 */
struct clamp_rules {
	struct rcu_head rcu;
	u32 serial;
	u32 hint;
	unsigned int count;
	unsigned int capacity;
	struct clamp_rule rule[];
};

int clamp_init(int somaxconn);
void clamp_exit(void);
void clamp_start(void);
void clamp_stop(void);

const struct clamp_rules *clamp_rules(struct net *net);
struct clamp_rules *clamp_edit(struct net *net, unsigned int more);
int clamp_set(struct clamp_rules *rules, const struct clamp_rule *rule);
int clamp_clear(struct clamp_rules *rules, struct selector selector);
void clamp_flush(struct clamp_rules *rules);
void clamp_publish(struct net *net, struct clamp_rules *rules);
void clamp_refuse(struct net *net, struct clamp_rules *rules,
		  const char *error);
void clamp_error(struct net *net, char error[CLAMP_ERROR_SIZE]);

/* ---- listen.c ---- */

extern const struct hook listen_hooks[];

/* ---- traffic.c ---- */

/**
 * struct traffic_known - which figures have all the hooks that they need
 * @counts: by &enum traffic_count; accepts stand for the waits too
 * @acceptq_peak: the accept queue's
 * @synq_peak: the SYN queue's
 */
struct traffic_known {
	bool counts[TRAFFIC_COUNTS];
	bool acceptq_peak;
	bool synq_peak;
};

extern const struct hook traffic_hooks[];

int traffic_init(const unsigned int *interval);
void traffic_exit(void);
struct traffic_known traffic_known(int family);
unsigned long traffic_total(struct net *net, enum traffic_count what);

/* ---- proc.c ---- */

int listenq_proc_init(struct net *net);
void listenq_proc_exit(struct net *net);

#endif /* LISTENQ_H */
