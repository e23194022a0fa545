/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Outcomes: what the kernel decides on a segment for a listener, which is known only
 * a moment after the segment comes.
 */
#ifndef LISTENQ_OUTCOME_H
#define LISTENQ_OUTCOME_H

#include <linux/percpu.h>
#include <linux/snmp.h>
#include <net/inet_connection_sock.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "books.h"
#include "compat.h"
#include "ring.h"
#include "socket.h"

/**
 * enum outcome_of - what the kernel is deciding on
 * @OUTCOME_OF_SYN: a SYN; the next three are flags of it
 * @OUTCOME_FASTOPEN: the listener has Fast Open, so the SYN may survive an overflow
 * @OUTCOME_RESERVED: tcp_peer_is_proven() was called: only proven peers get the last
 *	quarter of the SYN queue
 * @OUTCOME_ANSWERED: a cookie has been sent
 * @OUTCOME_OF_ACK: a final ACK, perhaps of a SYN cookie
 * @OUTCOME_OF_COOKIE: an ACK that may carry a SYN cookie
 * @OUTCOME_OF_RESENT: a SYN-ACK about to be sent again
 * @OUTCOME_OF_MOVED: a request about to be put into another SYN queue
 * @OUTCOME_OF_QUEUED: a connection about to be put into the accept queue of a
 *	listener whose accept() the hooks do not see
 */
enum outcome_of {
	OUTCOME_OF_SYN = 0,
	OUTCOME_FASTOPEN = 1,
	OUTCOME_RESERVED = 2,
	OUTCOME_ANSWERED = 4,
	OUTCOME_OF_ACK = 8,
	OUTCOME_OF_COOKIE = 16,
	OUTCOME_OF_RESENT = 24,
	OUTCOME_OF_MOVED = 32,
	OUTCOME_OF_QUEUED = 40,
};

/**
 * enum outcome_counter - the kernel's counters that tell what it has decided
 * @OUTCOME_OVERFLOWS: the accept queue was full
 * @OUTCOME_DROPS: SYN: the SYN queue was full, and cookies are off
 * @OUTCOME_COOKIES: SYN: it is to be answered with a cookie
 * @OUTCOME_FAILED: cookie: it was not valid
 * @OUTCOME_REFUSED: SYN: Fast Open's queue was full
 * @OUTCOME_SENT: SYN-ACK: it was sent again
 * @OUTCOME_COUNTERS: number of counters
 */
enum outcome_counter {
	OUTCOME_OVERFLOWS,
	OUTCOME_DROPS,
	OUTCOME_COOKIES,
	OUTCOME_FAILED,
	OUTCOME_REFUSED,
	OUTCOME_SENT,
	OUTCOME_COUNTERS,
};

/**
 * struct outcome - the latest segment on a CPU whose outcome is not known yet
 * @number: identifies the segment on its CPU; 0: nothing is pending
 * @numbers: the latest number given out
 * @of: what the kernel is deciding on, by &enum outcome_of
 * @task: the task that was running, with SOFTIRQS_INTERLEAVE
 * @sk: the listener. It is compared, never followed.
 * @cookie: the listener's cookie
 * @net: its namespace, which is not freed before outcome_net_exit() has forgotten it
 * @counters: the namespace's counters on this CPU when the segment came, those that
 *	matter for @of
 * @when: when it came, in jiffies
 * @arrived: the number of the segment that @arrival describes
 * @arrival: the sender, if the kernel may be about to refuse it
 *
 * Handlers on this CPU write it with preemption off, @number last. To settle it,
 * this CPU or another one sets @number to 0 by compare-and-swap; the one that
 * succeeds counts the outcome.
 */
struct outcome {
	unsigned long number;
	unsigned long numbers;
	unsigned int of;
	const struct task_struct *task;
	const struct sock *sk;
	u64 cookie;
	struct net *net;
	unsigned long counters[OUTCOME_COUNTERS];
	unsigned long when;
	unsigned long arrived;
	struct arrival arrival;
};

/*
 * The handler reads a queue's length before the kernel does. If up to this many more
 * entries would fill the queue, note the sender: other CPUs may add them in between.
 */
extern unsigned int outcome_nearly;

DECLARE_PER_CPU(struct outcome, outcomes);

void outcome_settle_own(void);
void outcome_settle_fastopen(struct books books);
void outcome_arrival(const struct sock *sk, const struct sk_buff *skb,
		     const struct request_sock *req, unsigned long number);
void outcome_begin_arrival(const struct sock *sk, const struct sk_buff *skb,
			   const struct request_sock *req,
			   unsigned long number);
void outcome_settle(const struct net *net);
unsigned int outcome_queued(const struct sock *sk);
int outcome_init(void);
void outcome_exit(void);

/* The index of a counter in the kernel's struct linux_mib. */
static __always_inline unsigned int outcome_mib(enum outcome_counter counter)
{
	static const unsigned int mibs[OUTCOME_COUNTERS] = {
		[OUTCOME_OVERFLOWS]	= LINUX_MIB_LISTENOVERFLOWS,
		[OUTCOME_DROPS]		= LINUX_MIB_TCPREQQFULLDROP,
		[OUTCOME_COOKIES]	= LINUX_MIB_TCPREQQFULLDOCOOKIES,
		[OUTCOME_FAILED]	= LINUX_MIB_SYNCOOKIESFAILED,
		[OUTCOME_REFUSED]	= LINUX_MIB_TCPFASTOPENLISTENOVERFLOW,
		[OUTCOME_SENT]		= LINUX_MIB_TCPSYNRETRANS,
	};

	return mibs[counter];
}

static __always_inline void outcome_note(struct linux_mib __percpu *mib,
					 enum outcome_counter counter)
{
	__this_cpu_write(outcomes.counters[counter],
			 __this_cpu_read(mib->mibs[outcome_mib(counter)]));
}

/*
 * Whether the kernel may be about to refuse a segment. Tests the sum of both queues
 * first, which is cheaper. A full SYN queue refuses nothing while cookies are on,
 * and its reserved quarter has a hook of its own.
 */
static __always_inline bool queues_are_nearly_full(const struct sock *sk,
						   enum outcome_of of)
{
	unsigned int acceptq = READ_ONCE(sk->sk_ack_backlog) + outcome_nearly;
	unsigned int limit = READ_ONCE(sk->sk_max_ack_backlog);

	if (of != OUTCOME_OF_SYN)
		return unlikely(acceptq > limit);
	return unlikely(acceptq + inet_csk_reqsk_queue_len(sk) > limit) &&
	       (acceptq > limit || !syn_cookies_are_on(sock_net(sk)));
}

/**
 * outcome_begin_from() - note a segment that the kernel is about to decide on
 * @sk: the listener
 * @of: what the kernel is deciding on
 * @skb: of a SYN, the segment
 * @req: of an ACK, the request
 *
 * The lengths of the queues serve two purposes only: to note the sender of a segment
 * that may be refused, and to report an overflow even if no further segment and no
 * reader settles it.
 *
 * Context: a handler: preemption off, an NMI too.
 */
static __always_inline void outcome_begin_from(const struct sock *sk,
					       enum outcome_of of,
					       const struct sk_buff *skb,
					       const struct request_sock *req)
{
	struct linux_mib __percpu *mib;
	unsigned long number;
	struct net *net;

	if (unlikely(__this_cpu_read(outcomes.number)))
		outcome_settle_own();
	/* After that call, or there would be more to save across it. */
	net = sock_net(sk);
	mib = net->mib.net_statistics;
	/* In cleanup_net(), and outcome_net_exit() may be done with it. */
	if (unlikely(!check_net(net)))
		return;
	/* A reader of the previous one sees number 0 before any of this. */
	smp_wmb();
	__this_cpu_write(outcomes.of, of);
	if (SOFTIRQS_INTERLEAVE)
		__this_cpu_write(outcomes.task, current);
	__this_cpu_write(outcomes.sk, sk);
	__this_cpu_write(outcomes.cookie, atomic64_read(&sk->sk_cookie));
	__this_cpu_write(outcomes.net, net);
	outcome_note(mib, OUTCOME_OVERFLOWS);
	if (of == OUTCOME_OF_SYN) {
		outcome_note(mib, OUTCOME_DROPS);
		outcome_note(mib, OUTCOME_COOKIES);
		if (unlikely(fastopenq_max(sk))) {
			outcome_note(mib, OUTCOME_REFUSED);
			__this_cpu_write(outcomes.of, OUTCOME_FASTOPEN);
		}
	}
	if (of == OUTCOME_OF_COOKIE)
		outcome_note(mib, OUTCOME_FAILED);
	if (of == OUTCOME_OF_RESENT)
		outcome_note(mib, OUTCOME_SENT);
	__this_cpu_write(outcomes.when, jiffies);
	number = __this_cpu_read(outcomes.numbers) + 1;
	__this_cpu_write(outcomes.numbers, number);
	if ((of == OUTCOME_OF_SYN || of == OUTCOME_OF_ACK) &&
	    queues_are_nearly_full(sk, of)) {
		outcome_begin_arrival(sk, skb, req, number);
		return;
	}
	/* Pairs with outcome_settle_other(): with the number it sees the rest. */
	smp_wmb();
	__this_cpu_write(outcomes.number, number);
	/* The number is visible before the kernel counts. */
	smp_wmb();
}

/* The same for what the kernel does not refuse. */
static __always_inline void outcome_begin(const struct sock *sk,
					  enum outcome_of of)
{
	outcome_begin_from(sk, of, NULL, NULL);
}

/* Whether the CPU's pending segment is the one that this handler is called for. */
static __always_inline bool outcome_is_own(void)
{
	return !SOFTIRQS_INTERLEAVE ||
	       __this_cpu_read(outcomes.task) == current;
}

/**
 * outcome_known() - drop the pending segment, whose outcome another hook has shown
 *
 * Context: a handler that runs once the kernel has decided.
 */
static __always_inline void outcome_known(void)
{
	if (outcome_is_own())
		__this_cpu_write(outcomes.number, 0);
}

#endif /* LISTENQ_OUTCOME_H */
