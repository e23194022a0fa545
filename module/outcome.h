/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel makes of a segment that a listener gets: known a moment later
 * than it comes.
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
 * enum outcome_of - what the kernel has to decide on
 * @OUTCOME_OF_SYN: a SYN, and perhaps some of what follows
 * @OUTCOME_FASTOPEN: the listener has Fast Open: an overflow need not be its end
 * @OUTCOME_RESERVED: it was looked whether the peer is proven, since the rest of
 *	the SYN queue is for such peers
 * @OUTCOME_ANSWERED: a cookie is sent
 * @OUTCOME_OF_ACK: a final ACK; it may be that of a SYN cookie
 * @OUTCOME_OF_COOKIE: what may be the ACK of a SYN cookie
 * @OUTCOME_OF_RESENT: a SYN-ACK that it tries to send again
 * @OUTCOME_OF_MOVED: a request that it is about to put into another SYN queue
 * @OUTCOME_OF_QUEUED: a connection that it is about to put into the accept queue,
 *	where it is not seen that this is accepted
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
 * enum outcome_counter - counters of the kernel's that tell what it has decided
 * @OUTCOME_OVERFLOWS: the accept queue was full
 * @OUTCOME_DROPS: of a SYN: the SYN queue was full, and cookies are off
 * @OUTCOME_COOKIES: of a SYN: it is to be answered with a cookie
 * @OUTCOME_FAILED: of a cookie: it was not valid
 * @OUTCOME_REFUSED: of a SYN: Fast Open's queue was full
 * @OUTCOME_SENT: of a SYN-ACK: it was sent again
 * @OUTCOME_COUNTERS: how many there are of these
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
 * struct outcome - what a CPU has been told of and the kernel had not decided yet
 * @number: tells this from all others of the CPU's; 0: there is nothing
 * @numbers: the latest number that was given
 * @of: what it is, by &enum outcome_of
 * @task: who was running, where that matters
 * @sk: the listener. It is compared, never followed.
 * @cookie: the listener's cookie
 * @net: its namespace; none ends before what is held of it here is gone
 * @counters: what the CPU's counters of the namespace were then, those that
 *	matter for @of
 * @when: the time, in jiffies
 * @arrived: the number of that which @arrival is about
 * @arrival: who has sent it, where the kernel may be about to turn it away
 *
 * The CPU's own handlers write it, with preemption off: all else before @number.
 * Others read, and take it by setting @number to 0, as the CPU itself does: who
 * succeeds counts.
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
 * A queue is looked at now, and the kernel looks later: so many may come in between, on
 * other CPUs, before it is not known who was turned away.
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

/* The kernel's name of a counter. */
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
 * Whether a listener may be about to turn somebody away. The sum is looked at first,
 * since it costs less than each queue. Of the SYN queue, whose reserved quarter has a
 * hook of its own, cookies take what it has no room for.
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
 * outcome_begin_from() - the kernel is about to decide on a segment of a listener's
 * @sk: the listener
 * @of: what it is
 * @skb: the segment, of a SYN
 * @req: the request, of an ACK
 *
 * Whether the queues are full is asked for two things alone: who was turned away is
 * to be told, and an overflow also where neither a segment nor a reader comes.
 *
 * Context: a handler of a hook: preemption off, an NMI too.
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
	/* Behind that call, or there would be more to save for it. */
	net = sock_net(sk);
	mib = net->mib.net_statistics;
	/* It is going, and what is noted of it has been forgotten. */
	if (unlikely(!check_net(net)))
		return;
	/* Whoever still reads the last one finds that it is over. */
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
	/* Whoever takes it finds the rest: pairs with outcome_settle_other(). */
	smp_wmb();
	__this_cpu_write(outcomes.number, number);
	/* ... and this before the kernel counts. */
	smp_wmb();
}

/* The same of what nobody is turned away by. */
static __always_inline void outcome_begin(const struct sock *sk,
					  enum outcome_of of)
{
	outcome_begin_from(sk, of, NULL, NULL);
}

/* Whether this CPU's latest segment is that which its handler is called for. */
static __always_inline bool outcome_is_own(void)
{
	return !SOFTIRQS_INTERLEAVE ||
	       __this_cpu_read(outcomes.task) == current;
}

/**
 * outcome_known() - it is seen elsewhere what has become of the segment
 *
 * Context: a handler of a hook that runs when the kernel has decided.
 */
static __always_inline void outcome_known(void)
{
	if (outcome_is_own())
		__this_cpu_write(outcomes.number, 0);
}

#endif /* LISTENQ_OUTCOME_H */
