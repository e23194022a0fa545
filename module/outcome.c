// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outcomes: what the kernel decides on a segment for a listener.
 *
 * A handler on the function's entry can't predict the decision, since other CPUs may
 * change the queues meanwhile. But the kernel counts each segment that it refuses,
 * per CPU and namespace. So each CPU notes its latest segment and those counters.
 * When the next segment comes, a counter that has grown shows what became of the
 * latest one. If that was accepted, another hook has shown it on the same CPU by
 * then.
 *
 * Unless it may be an overflow, a segment stays pending until the next one or a
 * reader. If no counter shows what became of a SYN, its CPU may still be deciding on
 * it. That is over after a grace period, since the kernel decides as an RCU reader.
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

/* Set before the first hook is placed: the number of CPUs, at most NEARLY_MAX. */
unsigned int outcome_nearly __read_mostly;
#define NEARLY_MAX	16

/* When an overflow is settled that neither a segment nor a reader has settled. */
#define SETTLE_DELAY	(HZ / 10)

DEFINE_PER_CPU(struct outcome, outcomes);

static void settle_work(struct work_struct *work);
static void settle_irq(struct irq_work *work);

static DECLARE_DELAYED_WORK(settle_later, settle_work);
static DEFINE_IRQ_WORK(settle_irq_work, settle_irq);

/* Whether settle_later is queued and has not begun. */
static unsigned int is_awaited;

/* Instead of a count: no counter shows what became of the segment. */
#define UNDECIDED	TRAFFIC_COUNTS

/* Instead of a CPU's number: this CPU, whose counters are cheaper to read. */
#define OWN_CPU		(-1)

/* A kernel counter of the CPU on which the segment came. */
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

/* The outcome of a segment, as far as the counters of its CPU show it. */
static __always_inline enum traffic_count
decided(const struct outcome *outcome, int cpu)
{
	/* SYNs are the most frequent. */
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

/* Whether the kernel may still decide otherwise, if its CPU is not done. */
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

/* The outcome of a segment that is over and that no counter shows. */
static __always_inline enum traffic_count left(const struct outcome *outcome)
{
	if (outcome->of == OUTCOME_OF_MOVED)
		return TRAFFIC_CARRIED_REQUESTS;
	if (!is_syn(outcome))
		return UNDECIDED;
	return outcome->of & OUTCOME_RESERVED ? TRAFFIC_SYNQ_RESERVED :
						TRAFFIC_FAILED;
}

/* The segment's sender; all zero if it was not noted. */
static __always_inline const struct arrival *
arrival_of(const struct outcome *outcome)
{
	static const struct arrival unseen;

	return likely(outcome->arrived == outcome->numbers) ?
	       &outcome->arrival : &unseen;
}

/* Write a row of the file refused. */
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
		/* It may be listening again; a mixed name does no harm. */
		data_race(memcpy(refusal->comm, listener->call.comm,
				 sizeof(refusal->comm)));
	} else {
		refusal->local.family = 0;
		refusal->comm[0] = '\0';
	}
	ring_end(refusal);
}

/* Report that the accept queue was full. */
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
 * A request was moved to a listener. If that has ended meanwhile, and the request
 * with it, its record still takes the count, and with it what the listener leaves
 * behind.
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

/* The totals also count for a listener that has ended meanwhile. */
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

/* The one that has taken the segment counts it, with preemption off. */
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
 * outcome_settle_own() - settle this CPU's pending segment
 *
 * Context: a handler that runs for the next segment.
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
	/* A reader may have taken it already. */
	if (likely(number && taken(outcome, number)))
		settled(outcome, what);
}

/**
 * outcome_settle_fastopen() - settle a SYN that was accepted by a listener with Fast
 *	Open
 * @books: the listener's, with a record
 *
 * Fast Open's own queue may have been full. Or the accept queue has filled up since
 * the handler looked: then the kernel counts an overflow and makes a request all the
 * same.
 *
 * Context: a handler, before outcome_known().
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
 * Settle another CPU's pending segment, if it is of @net; NULL: of any namespace.
 * Returns false if a segment from before @before may be undecided and that matters.
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
	/* The number is read before the rest: pairs with outcome_begin_from(). */
	smp_rmb();
	/* The CPU may be writing its next segment: */
	copy = data_race(*outcome);
	/* ... then it has changed the number before. */
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
		/* If a counter has grown, wait for this very jiffy only. */
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
		/* An RCU reader: a namespace found in an outcome stays. */
		preempt_disable();
		all &= outcome_settle_other(net, cpu, before, are_over);
		preempt_enable();
	}
	return all;
}

/**
 * outcome_settle() - count the outcomes of all segments so far
 * @net: of the listeners of this namespace; NULL: of all namespaces
 *
 * Called before figures are shown. Segments of the current jiffy may be missing.
 *
 * Context: process context. Sleeps for a grace period if a SYN was lost that no
 * counter shows and no other segment has come to that CPU since; or if what a
 * counter shows may not be final.
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
 * outcome_queued() - count connections that may not be in a listener's accept queue
 *	yet
 * @sk: the listener, whose accept() the hooks do not see
 *
 * These are counted as made already. Call it after reading that count and before
 * reading the queue.
 *
 * Context: any, preemption off.
 * Return: how many; some of them may be in the queue.
 */
unsigned int outcome_queued(const struct sock *sk)
{
	const struct outcome *outcome;
	unsigned int queued = 0;
	int cpu, idle = -1;

	/* Softirqs are not preempted: outside of one, this CPU has none. */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) && !in_serving_softirq())
		idle = smp_processor_id();
	/* After the count of connections made, ... */
	smp_rmb();
	for_each_possible_cpu(cpu) {
		if (cpu == idle)
			continue;
		outcome = per_cpu_ptr(&outcomes, cpu);
		queued += READ_ONCE(outcome->number) &&
			  READ_ONCE(outcome->of) == OUTCOME_OF_QUEUED &&
			  READ_ONCE(outcome->sk) == sk;
	}
	/* ... and before the queue. */
	smp_rmb();
	return queued;
}

static void settle_work(struct work_struct *work)
{
	/* Before the search: an overflow after it queues the work again. */
	xchg(&is_awaited, 0);
	/* One in progress is undecided, and one of this jiffy would be skipped. */
	schedule_timeout_uninterruptible(1);
	outcome_settle(NULL);
}

/* A handler can't queue a work item, but it can queue an irq_work. */
static void settle_irq(struct irq_work *work)
{
	queue_delayed_work(record_workqueue, &settle_later, SETTLE_DELAY);
}

/**
 * outcome_arrival() - note the sender of a segment, and the queues
 * @sk: the listener
 * @skb: the segment, used without @req
 * @req: the request, or NULL
 * @number: the segment's number
 *
 * Context: a handler: preemption off, an NMI too.
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
	/* A reader finds @arrival complete, or another number. */
	smp_wmb();
	WRITE_ONCE(outcome->arrived, number);
}

/**
 * outcome_begin_arrival() - finish outcome_begin_from() for a segment that may be
 *	refused
 * @sk: the listener
 * @skb: of a SYN, the segment
 * @req: of an ACK, the request
 * @number: the segment's number
 *
 * Context: a handler: preemption off, an NMI too.
 */
void outcome_begin_arrival(const struct sock *sk, const struct sk_buff *skb,
			   const struct request_sock *req,
			   unsigned long number)
{
	const struct arrival *arrival = this_cpu_ptr(&outcomes.arrival);

	outcome_arrival(sk, skb, req, number);
	/* Pairs with outcome_settle_other(): with the number it sees the rest. */
	smp_wmb();
	__this_cpu_write(outcomes.number, number);
	/* settle_work() finds it or is queued; and this before the kernel counts. */
	smp_mb();
	if (arrival->acceptq + outcome_nearly > arrival->limit &&
	    !READ_ONCE(is_awaited) && !xchg(&is_awaited, 1))
		irq_work_queue(&settle_irq_work);
}

/* Drop the pending segments of a namespace whose listeners get no more. */
static void forget(const struct net *net)
{
	struct outcome *outcome;
	unsigned long number;
	int cpu;

	for_each_possible_cpu(cpu) {
		outcome = per_cpu_ptr(&outcomes, cpu);
		number = READ_ONCE(outcome->number);
		/* With the number, the rest is there: see outcome_begin_from(). */
		smp_rmb();
		if (number && READ_ONCE(outcome->net) == net)
			taken(outcome, number);
	}
}

/* Later the kernel frees the counters: wait for RCU readers that may use them. */
static void outcome_net_exit(struct list_head *nets)
{
	const struct net *net;

	list_for_each_entry(net, nets, exit_list)
		forget(net);
	/* Expedited: the cleanup of all namespaces waits for this. */
	synchronize_rcu_expedited();
}

static struct pernet_operations outcome_namespaces = {
	.exit_batch	= outcome_net_exit,
};

/**
 * outcome_init() - begin to drop the pending segments of namespaces that go away
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
 * outcome_exit() - stop settling segments
 *
 * Context: process context, after all hooks and files are gone.
 */
void outcome_exit(void)
{
	irq_work_sync(&settle_irq_work);
	cancel_delayed_work_sync(&settle_later);
	unregister_pernet_subsys(&outcome_namespaces);
}
