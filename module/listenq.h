/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * listenq: what the queues of every TCP listener hold.
 *
 * The rooms of the module and what they say to each other. No arrow runs the
 * other way:
 *
 *	main.c	   -> all	init, exit, namespaces: the order of things
 *	proc.c	   -> clamp, listener, hook	/proc/net/listenq: formats and
 *						parses, decides nothing
 *	listen.c   -> listener, hook	hooks on the path of listen()
 *	clamp.c	   -> listener		the rules, and what limit they give
 *	listener.c			the listeners and what is noted of them
 *	hook.c				probes; knows no TCP
 */
#ifndef LISTENQ_H
#define LISTENQ_H

#include <linux/cred.h>
#include <linux/kprobes.h>
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file_net.h>
#include <net/sock.h>

#define LISTENQ_VERSION "0.1.0"

/* ---- hook.c ---- */

/**
 * struct hook - a function of the kernel's that a room wants to see called
 * @symbol: its name
 * @serves: what is read from it, for people
 * @lost: what reads `-` or is inexact where it can't be probed, for people;
 *	NULL where nothing is
 * @unless: symbol of an earlier hook of the same table that makes this one
 *	unneeded where it could be placed, or NULL
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
	bool required;
	bool (*enter)(struct pt_regs *regs, void *data);
	void (*leave)(unsigned long result, void *data);
	size_t data_size;
	int active;
};

/**
 * enum hook_state - what became of a hook
 * @HOOK_MISSING: it could not be placed
 * @HOOK_UNNEEDED: the one that makes it unneeded is placed
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

/* ---- listener.c ---- */

/**
 * struct listen_call - one successful listen()
 * @asked: the backlog as the caller passed it
 * @asked_known: whether @asked was seen; it is not where only the kernel's
 *	clamped value was
 * @granted: what the kernel stored as the limit
 * @pid: the caller's thread group, in the initial PID namespace; 0 unknown
 * @started: when that group's leader started, which tells it from a later
 *	one with the same @pid (task_struct.start_time)
 * @uid: the caller's user where its real, effective and saved ones agree,
 *	INVALID_UID where not: who may know @pid and @comm
 * @comm: name of the thread group's leader
 */
struct listen_call {
	int asked;
	bool asked_known;
	unsigned int granted;
	pid_t pid;
	u64 started;
	kuid_t uid;
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
 * @recorded: whether @record holds
 * @record: a copy. Where somebody else has changed the limit since, its
 *	@call.granted is that limit, the rest of @call is not known, and no
 *	rule acts.
 */
struct listener_view {
	u64 cookie;
	unsigned int limit;
	unsigned int acceptq;
	s64 oldest_ms;
	unsigned int synq;
	unsigned int synq_young;
	unsigned int drops;
	bool recorded;
	struct listener record;
};

/* A page of /proc holds about this many rows. */
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

bool listener_is_tcp(const struct sock *sk);
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

/* ---- proc.c ---- */

int listenq_proc_init(struct net *net);
void listenq_proc_exit(struct net *net);

#endif /* LISTENQ_H */
