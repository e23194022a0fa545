// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel makes of a segment that a listener gets.
 *
 * A handler runs when a function is entered, and what the function decides is not
 * to be guessed: another CPU may change a queue meanwhile. But the kernel counts
 * each segment that it turns away, for the CPU and the namespace. So a CPU keeps
 * the latest segment and what those counters were, and one that has grown when the
 * next segment comes tells what became of this one. A segment that is let in is
 * seen again in another function on the same CPU before that.
 *
 * What nobody waits for is left there until somebody reads. A SYN of which no
 * counter tells anything may still be looked at by its CPU: a grace period later it
 * is not, since all of that is a read-side critical section.
 */
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "books.h"
#include "compat.h"
#include "endpoint.h"
#include "outcome.h"
#include "record.h"
#include "refused.h"
#include "ring.h"
#include "socket.h"
#include "totals.h"
#include "trace.h"

/* Set before the first hook is placed: one for each CPU, as long as it is cheap. */
unsigned int outcome_nearly __read_mostly;
#define NEARLY_MAX	16

/* How soon an overflow is told where neither a segment nor a reader comes. */
#define SETTLE_DELAY	(HZ / 10)

DEFINE_PER_CPU(struct outcome, outcomes);

static void settle_work(struct work_struct *work);
static void settle_irq(struct irq_work *work);

static DECLARE_DELAYED_WORK(settle_later, settle_work);
static DEFINE_IRQ_WORK(settle_irq_work, settle_irq);

/* Whether settle_later has been asked for, and has not begun. */
static unsigned int is_awaited;

/* Not a count: nothing has told what became of it. */
#define UNDECIDED	TRAFFIC_COUNTS

/* Not a CPU's number: this one, whose counters are read with less. */
#define OWN_CPU		(-1)

/* A counter of the kernel's, of the CPU that the segment has come to. */
static __always_inline unsigned long counter_now(const struct outcome *outcome,
						 int cpu,
						 enum outcome_counter counter)
{
	struct linux_mib __percpu *mib = outcome->net->mib.net_statistics;

	if (cpu == OWN_CPU)
		return __this_cpu_read(mib->mibs[outcome_mib(counter)]);
	return READ_ONCE(per_cpu_ptr(mib, cpu)->mibs[outcome_mib(counter)]);
}

static __always_inline bool has_counted(const struct outcome *outcome, int cpu,
					enum outcome_counter counter)
{
	return counter_now(outcome, cpu, counter) !=
	       outcome->counters[counter];
}

static __always_inline bool is_syn(const struct outcome *outcome)
{
	return outcome->of < OUTCOME_OF_ACK;
}

/* What became of it, as far as the counters of its CPU tell by now. */
static __always_inline enum traffic_count
decided(const struct outcome *outcome, int cpu)
{
	/* Most of those that are many. */
	if (likely(is_syn(outcome))) {
		if (has_counted(outcome, cpu, OUTCOME_OVERFLOWS))
			return TRAFFIC_OVERFLOWS_SYN;
		if (has_counted(outcome, cpu, OUTCOME_COOKIES))
			return TRAFFIC_SYNCOOKIES;
		if (has_counted(outcome, cpu, OUTCOME_DROPS))
			return TRAFFIC_SYNQ_DROPS;
	} else if (outcome->of == OUTCOME_OF_ACK) {
		if (has_counted(outcome, cpu, OUTCOME_OVERFLOWS))
			return TRAFFIC_OVERFLOWS_ACK;
	} else if (outcome->of == OUTCOME_OF_COOKIE) {
		if (has_counted(outcome, cpu, OUTCOME_FAILED))
			return TRAFFIC_COOKIES_FAILED;
	} else if (outcome->of == OUTCOME_OF_RESENT) {
		if (has_counted(outcome, cpu, OUTCOME_SENT))
			return TRAFFIC_RESENT;
	}
	return UNDECIDED;
}

/* Whether the kernel may decide otherwise yet, while its CPU is at it. */
static bool may_change(const struct outcome *outcome, enum traffic_count what)
{
	switch (what) {
	case TRAFFIC_OVERFLOWS_SYN:
		return outcome->of & OUTCOME_FASTOPEN;
	case TRAFFIC_SYNCOOKIES:
		return !(outcome->of & OUTCOME_ANSWERED);
	default:
		return what == UNDECIDED;
	}
}

/* It is over, and no counter has told anything. */
static __always_inline enum traffic_count left(const struct outcome *outcome)
{
	if (outcome->of == OUTCOME_OF_MOVED)
		return TRAFFIC_CARRIED_REQUESTS;
	if (!is_syn(outcome))
		return UNDECIDED;
	return outcome->of & OUTCOME_RESERVED ? TRAFFIC_SYNQ_RESERVED :
						TRAFFIC_FAILED;
}

/* Who has sent it; none where that was not seen. */
static __always_inline const struct arrival *
arrival_of(const struct outcome *outcome)
{
	static const struct arrival unseen;

	return likely(outcome->arrived == outcome->numbers) ?
	       &outcome->arrival : &unseen;
}

/* Somebody was turned away. */
static void refused(const struct outcome *outcome,
		    const struct listener *listener, enum refusal_reason why)
{
	struct refusal *refusal = ring_begin(outcome->net);

	if (!refusal)
		return;
	refusal->when = outcome->when;
	refusal->cookie = outcome->cookie;
	refusal->why = why;
	refusal->arrival = *arrival_of(outcome);
	if (likely(listener)) {
		refusal->local = listener->place;
		/* It may be listening again: a mixed name is still a name. */
		data_race(memcpy(refusal->comm, listener->call.comm,
				 sizeof(refusal->comm)));
	} else {
		refusal->local.family = 0;
		refusal->comm[0] = '\0';
	}
	ring_end(refusal);
}

/* The accept queue was full. */
static void overflow(const struct outcome *outcome, struct listener *listener)
{
	const struct endpoint *client = &arrival_of(outcome)->client;
	struct listener_traffic *traffic = &listener->traffic;
	unsigned long then;

	then = READ_ONCE(traffic->overflowed);
	if (!then || time_after(outcome->when, then))
		WRITE_ONCE(traffic->overflowed, outcome->when ?: 1);
	trace_listenq_overflow(outcome->net, listener, client,
			       outcome->of == OUTCOME_OF_ACK);
	refused_report(outcome->net, listener, client);
}

/*
 * A request has been moved to a listener, which may have ended meanwhile, and the request
 * before that: its record knows what is left then.
 */
static noinline void count_moved(const struct outcome *outcome)
{
	struct books books = {
		.listener = record_find_ended(outcome->sk, outcome->cookie),
		.net = outcome->net,
	};

	if (books.listener)
		books_count(books, TRAFFIC_CARRIED_REQUESTS);
}

/* In the totals there is also what a listener got that has ended meanwhile. */
static __always_inline void count(const struct outcome *outcome,
				  struct listener *listener,
				  enum traffic_count what)
{
	if (unlikely(what == TRAFFIC_CARRIED_REQUESTS)) {
		count_moved(outcome);
	} else if (likely(listener)) {
		atomic_long_inc(&listener->traffic.counts[what]);
		totals_add(outcome->net, listener->totals, what, 1);
	} else {
		totals_add(outcome->net, totals_of(outcome->net), what, 1);
	}
}

/* Who has taken it counts it; preemption is off. */
static __always_inline void settled(const struct outcome *outcome,
				    enum traffic_count what)
{
	struct listener *listener = record_lookup(outcome->sk, outcome->cookie);

	count(outcome, listener, what);
	switch (what) {
	case TRAFFIC_OVERFLOWS_SYN:
		refused(outcome, listener, REFUSED_ACCEPTQ_SYN);
		break;
	case TRAFFIC_OVERFLOWS_ACK:
		refused(outcome, listener, REFUSED_ACCEPTQ_ACK);
		break;
	case TRAFFIC_SYNQ_DROPS:
		refused(outcome, listener, REFUSED_SYNQ);
		return;
	case TRAFFIC_SYNQ_RESERVED:
		refused(outcome, listener, REFUSED_RESERVED);
		return;
	default:
		return;
	}
	if (listener)
		overflow(outcome, listener);
}

static __always_inline bool taken(struct outcome *outcome, unsigned long number)
{
	return cmpxchg(&outcome->number, number, 0) == number;
}

/**
 * outcome_settle_own() - what became of this CPU's latest segment
 *
 * Context: a handler of a hook that runs when the next one comes; there is one that
 * is not settled.
 */
void outcome_settle_own(void)
{
	struct outcome *outcome = this_cpu_ptr(&outcomes);
	unsigned long number = READ_ONCE(outcome->number);
	enum traffic_count what = decided(outcome, OWN_CPU);

	if (unlikely(what == UNDECIDED)) {
		if (outcome_is_own())
			what = left(outcome);
		if (what == UNDECIDED) {
			WRITE_ONCE(outcome->number, 0);
			return;
		}
	}
	/* A reader may have been faster. */
	if (likely(number && taken(outcome, number)))
		settled(outcome, what);
}

/**
 * outcome_settle_fastopen() - what Fast Open has made of a SYN that was let in
 * @books: the listener's, with a record
 *
 * Its own queue may have been full; or the accept queue since it was looked at, so
 * that the kernel counts an overflow, and makes a request.
 *
 * Context: a handler of a hook, before outcome_known().
 */
void outcome_settle_fastopen(struct books books)
{
	struct outcome *outcome = this_cpu_ptr(&outcomes);
	unsigned long number = READ_ONCE(outcome->number);

	if (!number || !is_syn(outcome) || !outcome_is_own() ||
	    !taken(outcome, number))
		return;
	if (has_counted(outcome, OWN_CPU, OUTCOME_REFUSED))
		books_count(books, TRAFFIC_FASTOPEN_OVERFLOWS);
	if (has_counted(outcome, OWN_CPU, OUTCOME_OVERFLOWS)) {
		books_count(books, TRAFFIC_OVERFLOWS_ACK);
		refused(outcome, books.listener, REFUSED_ACCEPTQ_ACK);
		overflow(outcome, books.listener);
	}
}

/*
 * What became of another CPU's latest segment, of @net or of any namespace. Returns
 * false where that may not be known, and it matters, and is from before @before.
 */
static bool outcome_settle_other(const struct net *net, int cpu,
				 unsigned long before, bool is_over)
{
	struct outcome *outcome = per_cpu_ptr(&outcomes, cpu);
	unsigned long number = READ_ONCE(outcome->number);
	struct outcome copy;
	enum traffic_count what;

	if (!number)
		return true;
	/* It was there: what is noted of it is, too. */
	smp_rmb();
	/* The CPU may be writing the next one: */
	copy = data_race(*outcome);
	/* ... then it has taken this one before. */
	smp_rmb();
	if (READ_ONCE(outcome->number) != number ||
	    (net && copy.net != net))
		return true;
	if (copy.of == OUTCOME_OF_QUEUED) {
		if (is_over && !time_after(copy.when, before))
			taken(outcome, number);
		return is_over;
	}
	what = decided(&copy, cpu);
	if (may_change(&copy, what)) {
		/* Of what a counter has told, this very jiffy's is waited for. */
		if (what != UNDECIDED)
			before++;
		else
			what = left(&copy);
		if (what == UNDECIDED || !time_before(copy.when, before))
			return true;
		if (!is_over)
			return false;
	}
	if (taken(outcome, number))
		settled(&copy, what);
	return true;
}

static bool settle_all(const struct net *net, unsigned long before,
		       bool are_over)
{
	bool all = true;
	int cpu;

	for_each_possible_cpu(cpu) {
		/* An RCU reader: the namespace stays as long as it is there. */
		preempt_disable();
		all &= outcome_settle_other(net, cpu, before, are_over);
		preempt_enable();
	}
	return all;
}

/**
 * outcome_settle() - count what is known of all segments by now
 * @net: of the listeners of this namespace; NULL: of all
 *
 * Who shows figures calls this first. What came in this very jiffy may be missing.
 *
 * Context: process context. Sleeps for a grace period where a SYN was lost that no
 * counter of the kernel's tells of, and nothing has come to that CPU since; or where
 * what one tells may not be the end.
 */
void outcome_settle(const struct net *net)
{
	unsigned long now = jiffies;

	if (settle_all(net, now, false))
		return;
	synchronize_rcu();
	settle_all(net, now, true);
}

/**
 * outcome_queued() - how many connections may not be in a listener's accept queue yet
 * @sk: the listener, where it is not seen which connections are accepted
 *
 * They are counted already. To be called between the looks at that count and at
 * the queue.
 *
 * Context: any, preemption off.
 * Return: how many; some of them may be there.
 */
unsigned int outcome_queued(const struct sock *sk)
{
	const struct outcome *outcome;
	unsigned int queued = 0;
	int cpu, idle = -1;

	/* A softirq is not preempted: whoever is none has none under way on his CPU. */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) && !in_serving_softirq())
		idle = smp_processor_id();
	/* The count before this, ... */
	smp_rmb();
	for_each_possible_cpu(cpu) {
		if (cpu == idle)
			continue;
		outcome = per_cpu_ptr(&outcomes, cpu);
		queued += READ_ONCE(outcome->number) &&
			  READ_ONCE(outcome->of) == OUTCOME_OF_QUEUED &&
			  READ_ONCE(outcome->sk) == sk;
	}
	/* ... and this before the queue. */
	smp_rmb();
	return queued;
}

static void settle_work(struct work_struct *work)
{
	/* Before what is looked for: an overflow behind that asks again. */
	xchg(&is_awaited, 0);
	/* One that is under way has not, and of this very jiffy it would be left. */
	schedule_timeout_uninterruptible(1);
	outcome_settle(NULL);
}

/* A work item can't be queued from a probe handler, an irq_work can. */
static void settle_irq(struct irq_work *work)
{
	queue_delayed_work(record_workqueue, &settle_later, SETTLE_DELAY);
}

/**
 * outcome_arrival() - who has sent a segment, and what there is
 * @sk: the listener
 * @skb: the segment, of a SYN
 * @req: the request, where there is one
 * @number: the segment's
 *
 * Context: a handler of a hook: preemption off, an NMI too.
 */
void outcome_arrival(const struct sock *sk, const struct sk_buff *skb,
		     const struct request_sock *req, unsigned long number)
{
	struct outcome *outcome = this_cpu_ptr(&outcomes);
	struct arrival *arrival = &outcome->arrival;

	if (req)
		client_endpoint(req_to_sk((struct request_sock *)req),
				&arrival->client);
	else
		sender_endpoint(sk, skb, &arrival->client);
	arrival->limit = READ_ONCE(sk->sk_max_ack_backlog);
	arrival->acceptq = READ_ONCE(sk->sk_ack_backlog);
	arrival->synq = synq_length(sk);
	/* Whoever reads this finds it whole, or another number. */
	smp_wmb();
	WRITE_ONCE(outcome->arrived, number);
}

/**
 * outcome_begin_arrival() - the rest of outcome_begin_from(), where somebody may be
 *	turned away
 * @sk: the listener
 * @skb: the segment, of a SYN
 * @req: the request, of an ACK
 * @number: the segment's
 *
 * Context: a handler of a hook: preemption off, an NMI too.
 */
void outcome_begin_arrival(const struct sock *sk, const struct sk_buff *skb,
			   const struct request_sock *req,
			   unsigned long number)
{
	const struct arrival *arrival = this_cpu_ptr(&outcomes.arrival);

	outcome_arrival(sk, skb, req, number);
	/* Whoever takes it finds the rest: pairs with outcome_settle_other(). */
	smp_wmb();
	__this_cpu_write(outcomes.number, number);
	/* settle_work() finds it, or is asked for; and this before the kernel counts. */
	smp_mb();
	if (arrival->acceptq + outcome_nearly > arrival->limit &&
	    !READ_ONCE(is_awaited) && !xchg(&is_awaited, 1))
		irq_work_queue(&settle_irq_work);
}

/* What is noted of a namespace whose listeners get nothing more. */
static void forget(const struct net *net)
{
	struct outcome *outcome;
	unsigned long number;
	int cpu;

	for_each_possible_cpu(cpu) {
		outcome = per_cpu_ptr(&outcomes, cpu);
		number = READ_ONCE(outcome->number);
		/* It was there: what is noted of it is, too. */
		smp_rmb();
		if (number && READ_ONCE(outcome->net) == net)
			taken(outcome, number);
	}
}

/* The kernel's counters go behind this: who looks at them is an RCU reader. */
static void outcome_net_exit(struct list_head *nets)
{
	const struct net *net;

	list_for_each_entry(net, nets, exit_list)
		forget(net);
	/* Others' ends wait for this one. */
	synchronize_rcu_expedited();
}

static struct pernet_operations outcome_namespaces = {
	.exit_batch	= outcome_net_exit,
};

/**
 * outcome_init() - see to it that nothing is noted of namespaces that are gone
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int outcome_init(void)
{
	outcome_nearly = min_t(unsigned int, nr_cpu_ids, NEARLY_MAX);
	return register_pernet_subsys(&outcome_namespaces);
}

/**
 * outcome_exit() - look no more what became of segments
 *
 * Context: process context, when no hook and no file can call in any more.
 */
void outcome_exit(void)
{
	irq_work_sync(&settle_irq_work);
	cancel_delayed_work_sync(&settle_later);
	unregister_pernet_subsys(&outcome_namespaces);
}
