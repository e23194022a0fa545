// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on the path of a connection.
 *
 *	tcp_conn_request()		a SYN (outcome.c finds out what becomes of it)
 *	  tcp_peer_is_proven()		only such peers get the rest of the SYN queue
 *	  tcp_v4_send_synack()		it is in the SYN queue, or is a connection
 *	reqsk_timer_handler()		a request may expire
 *	  tcp_v4_send_synack()		a SYN-ACK is sent again; for a repeated SYN too
 *	cookie_v4_check()		an ACK that may carry a SYN cookie
 *	  tcp_v4_syn_recv_sock()	as below
 *	  inet_csk_reqsk_queue_add()	a connection enters the accept queue
 *	tcp_check_req()
 *	  tcp_v4_syn_recv_sock()	a final ACK
 *	  inet_csk_complete_hashdance()	a connection enters the accept queue
 *	  inet_csk_reqsk_queue_drop_and_put()	an MPTCP subflow, which needs no accept()
 *	  inet_csk_reqsk_queue_drop()	the request is reset; by ICMP too
 *	__inet_accept()			accept() takes a connection
 *	sk_skb_reason_drop()		the kernel drops a segment for a listener
 *
 * The same functions exist for IPv6; closing.c has the end of a listener. If the
 * outcome is certain when the function is called, its handler counts it. Handlers take
 * no lock and allocate nothing; they write a counter of their CPU and the record of the
 * listener that the event is about.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/timekeeping.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/tcp.h>

#include "books.h"
#include "compat.h"
#include "drops.h"
#include "listenq.h"
#include "outcome.h"
#include "record.h"
#include "socket.h"
#include "trace.h"
#include "traffic.h"

/* ---- SYNs and requests ---- */

/* tcp_conn_request(rsk_ops, af_ops, struct sock *sk, struct sk_buff *skb) */
static __always_inline void syn(struct entry_regs *regs)
{
	outcome_begin_from((void *)entry_argument(regs, 2), OUTCOME_OF_SYN,
			   (void *)entry_argument(regs, 3), NULL);
}

ENTRY_CALLBACK(syn);

static __always_inline struct sock *listener_of(const struct request_sock *req)
{
	return READ_ONCE(req->rsk_listener);
}

/*
 * tcp_peer_is_proven(struct request_sock *req, struct dst_entry *dst)
 *
 * Only tcp_conn_request() calls it, and drops the SYN if the peer is not proven.
 */
static __always_inline void reserved(struct entry_regs *regs)
{
	const struct request_sock *req = (void *)entry_argument(regs, 0);

	if (!outcome_is_own())
		return;
	__this_cpu_or(outcomes.of, OUTCOME_RESERVED);
	outcome_arrival(listener_of(req), NULL, req,
			__this_cpu_read(outcomes.number));
}

ENTRY_CALLBACK(reserved);

/* Let in. Without a hook on accept(), it matters that it may not be queued yet. */
static __always_inline void enters_acceptq(const struct sock *sk)
{
	if (likely(accepts_are_seen(sk)))
		outcome_known();
	else
		outcome_begin(sk, OUTCOME_OF_QUEUED);
}

/* A SYN has entered the SYN queue, or has become a connection. */
static noinline void let_in(const struct sock *sk, bool has_child)
{
	struct books books;

	/* In the queue, then the record: pairs with books_start(). */
	smp_mb__after_atomic();
	books = books_of(sk);
	if (unlikely(__this_cpu_read(outcomes.of) & OUTCOME_FASTOPEN) &&
	    books.listener)
		outcome_settle_fastopen(books);
	outcome_known();
	if (unlikely(has_child))
		enters_acceptq(sk);
	if (!books.listener)
		return;
	books_count(books, has_child ? TRAFFIC_FASTOPENS : TRAFFIC_REQUESTS);
	books_look(books.listener, sk, READ_ONCE(sk->sk_ack_backlog));
	peak_raise(&books.listener->traffic.synq, synq_length(sk));
}

static noinline void resent(const struct sock *sk)
{
	outcome_begin(sk, OUTCOME_OF_RESENT);
}

/*
 * tcp_v4_send_synack(const struct sock *sk, dst, fl, struct request_sock *req,
 *		      struct tcp_fastopen_cookie *foc,
 *		      enum tcp_synack_type type, struct sk_buff *syn)
 *
 * For Fast Open, @sk is the child. A SYN-ACK that is sent again has no @foc
 * (tcp_rtx_synack()).
 */
static __always_inline void synack(struct entry_regs *regs)
{
	struct sock *sk = listener_of((void *)entry_argument(regs, 3));
	int type;

	/* The request for a cookie has no listener. */
	if (!sk) {
		if (outcome_is_own())
			__this_cpu_or(outcomes.of, OUTCOME_ANSWERED);
		return;
	}
	if (unlikely(!entry_argument(regs, 4))) {
		resent(sk);
		return;
	}
	type = (int)entry_argument(regs, 5);
	let_in(sk, type == TCP_SYNACK_FASTOPEN);
}

ENTRY_CALLBACK(synack);

/*
 * reqsk_timer_handler(struct timer_list *t)
 *
 * A request may be about to expire.
 */
static __always_inline void timer(struct entry_regs *regs)
{
	const struct request_sock *req =
		container_of((struct timer_list *)entry_argument(regs, 0),
			     struct request_sock, rsk_timer);
	const struct sock *sk = listener_of(req);
	struct books books = books_of(sk);

	if (books.listener)
		books_look(books.listener, sk, READ_ONCE(sk->sk_ack_backlog));
}

ENTRY_CALLBACK(timer);

struct reset_data {
	struct books books;
	bool is_moved;
};

/*
 * A request of a listener that has ended may be on its way to another one when it is
 * reset. It comes and goes at once: first what lowers the expired ones. The kernel
 * (tcp_check_req()) takes it off the SYN queue of that listener, which never held it,
 * and so finds the queue too short from then on.
 */
static void reset_count(const struct reset_data *reset)
{
	struct books books = reset->books;

	if (unlikely(reset->is_moved))
		atomic_inc(&books.listener->misplaced);
	books_count(books, TRAFFIC_RESET);
	if (unlikely(reset->is_moved))
		books_count(books, TRAFFIC_CARRIED_REQUESTS);
}

static void take_back(struct books books, enum traffic_count what)
{
	atomic_long_dec(&books.listener->traffic.counts[what]);
	books_add(books, what, -1);
}

static void reset_take_back(const struct reset_data *reset)
{
	struct books books = reset->books;

	if (unlikely(reset->is_moved))
		take_back(books, TRAFFIC_CARRIED_REQUESTS);
	take_back(books, TRAFFIC_RESET);
	if (unlikely(reset->is_moved))
		atomic_dec(&books.listener->misplaced);
}

/*
 * inet_csk_reqsk_queue_drop(struct sock *sk, struct request_sock *req)
 *
 * Some callers have removed the request from the SYN queue already: ignore those.
 * The reset is counted before the request leaves the queue, as books_derive() needs
 * it, and taken back if another CPU has removed it: from the same record, even if the
 * listener has ended meanwhile and listens again. All callers have bottom halves off,
 * so that they are RCU readers and the record stays until the return.
 */
static int reset_begin(struct pt_regs *regs, void *data)
{
	const struct sock *sk = (void *)regs_get_kernel_argument(regs, 0);
	struct request_sock *req = (void *)regs_get_kernel_argument(regs, 1);
	struct reset_data *reset = data;
	struct books books;

	if (sk_unhashed(req_to_sk(req)))
		return 0;
	books = books_of(sk);
	if (!books.listener)
		return 0;
	books_look(books.listener, sk, READ_ONCE(sk->sk_ack_backlog));
	reset->books = books;
	reset->is_moved = sk != listener_of(req);
	reset_count(reset);
	return 1;
}

static bool reset_end(unsigned long result, void *data)
{
	if (!(bool)(u8)result)
		reset_take_back(data);
	return true;
}

/*
 * inet_csk_reqsk_queue_drop_and_put(struct sock *sk, struct request_sock *req)
 *
 * tcp_check_req() calls it for a request that has joined, when the subflow has taken
 * its place in the hash; others, for one that they give up, on two CPUs perhaps.
 */
static __always_inline void joined(struct entry_regs *regs)
{
	struct request_sock *req = (void *)entry_argument(regs, 1);
	struct sock *sk = listener_of(req);
	struct books books;

	if (!sk || !rsk_drop_req(req) || !sk_unhashed(req_to_sk(req)))
		return;
	books = books_of(sk);
	if (books.listener)
		books_count(books, TRAFFIC_JOINED);
}

ENTRY_CALLBACK(joined);

/* ---- ACKs and connections ---- */

/*
 * tcp_v4_syn_recv_sock(const struct sock *sk, struct sk_buff *skb,
 *			struct request_sock *req, struct dst_entry *dst,
 *			struct request_sock *req_unhash, ...)
 *
 * Fast Open calls it for a SYN, whose outcome is pending already, without the last
 * two. A cookie comes with @dst, any other ACK with @req_unhash.
 */
static __always_inline void ack(struct entry_regs *regs)
{
	if (likely(entry_argument(regs, 4) || entry_argument(regs, 3)))
		outcome_begin_from((void *)entry_argument(regs, 0),
				   OUTCOME_OF_ACK, NULL,
				   (void *)entry_argument(regs, 2));
}

static __always_inline void ack4(struct entry_regs *regs)
{
	ack(regs);
}

ENTRY_CALLBACK(ack4);

/* tcp_v6_syn_recv_sock(), which passes IPv4 segments on to tcp_v4_syn_recv_sock() */
static __always_inline void ack6(struct entry_regs *regs)
{
	const struct sk_buff *skb = (void *)entry_argument(regs, 1);

	if (skb->protocol != htons(ETH_P_IP))
		ack(regs);
}

ENTRY_CALLBACK(ack6);

/* cookie_v4_check(struct sock *sk, struct sk_buff *skb), cookie_v6_check() */
static __always_inline void cookie(struct entry_regs *regs)
{
	outcome_begin((void *)entry_argument(regs, 0), OUTCOME_OF_COOKIE);
}

ENTRY_CALLBACK(cookie);

/*
 * Called before the connection is in the accept queue, and the request out of the
 * SYN queue.
 */
static __always_inline void acceptq_grows(struct books books,
					  const struct sock *sk)
{
	unsigned int acceptq = READ_ONCE(sk->sk_ack_backlog) + 1;

	books_look(books.listener, sk, acceptq);
	peak_raise(&books.listener->traffic.acceptq, acceptq);
}

/*
 * The time from a request's first SYN-ACK to now, in us. If the SYN-ACK was sent
 * once, the kernel has just taken that for the child's first round trip
 * (tcp_synack_rtt_meas()), which saves reading the clock.
 */
static __always_inline u64 handshake_us(struct request_sock *req,
					const struct sock *child)
{
	u32 us = tcp_sk(child)->srtt_us >> 3;
	u64 now;

	if (likely(us && !req->num_retrans))
		return us;
	now = ktime_get_mono_fast_ns() / NSEC_PER_USEC;
	return max_t(s64, now - tcp_rsk(req)->snt_synack, 1);
}

/*
 * inet_csk_complete_hashdance(struct sock *sk, struct sock *child,
 *			       struct request_sock *req, bool own_req)
 *
 * If @own_req is false, another CPU has made the connection. The request of a
 * listener that has ended may have been moved to @sk just now.
 */
static __always_inline void finished(struct entry_regs *regs)
{
	struct sock *sk = (void *)entry_argument(regs, 0);
	struct sock *child = (void *)entry_argument(regs, 1);
	struct request_sock *req = (void *)entry_argument(regs, 2);
	struct listener_traffic *traffic;
	struct books books;

	enters_acceptq(sk);
	if (!(bool)(u8)entry_argument(regs, 3))
		return;
	books = books_of(sk);
	if (!books.listener)
		return;
	traffic = &books.listener->traffic;
	books_time(&traffic->handshakes, handshake_us(req, child), 8);
	books_add(books, TRAFFIC_FINISHED, 1);
	acceptq_grows(books, sk);
	if (unlikely(sk != listener_of(req)))
		books_count(books, TRAFFIC_CARRIED_REQUESTS);
}

ENTRY_CALLBACK(finished);

/*
 * inet_csk_reqsk_queue_add(struct sock *sk, struct request_sock *req,
 *			    struct sock *child)
 *
 * The request of a cookie has no listener. Other connections were seen before,
 * except those of Fast Open, which may be moved here from a listener that ends.
 */
static __always_inline void queued(struct entry_regs *regs)
{
	struct sock *sk = (void *)entry_argument(regs, 0);
	struct request_sock *req = (void *)entry_argument(regs, 1);
	struct books books;
	bool is_cookie;

	is_cookie = !listener_of(req);
	if (!is_cookie && !tcp_rsk(req)->tfo_listener)
		return;
	if (is_cookie)
		enters_acceptq(sk);
	books = books_of(sk);
	if (!books.listener)
		return;
	if (is_cookie)
		books_count(books, TRAFFIC_COOKIES_FINISHED);
	acceptq_grows(books, sk);
}

ENTRY_CALLBACK(queued);

static noinline void trace_accepted(const struct sock *sk,
				    const struct sock *child)
{
	const struct listener *listener = record_of(sk);

	if (listener)
		trace_listenq_accept(sock_net(sk), listener, child,
				     listener_waited_ms(child));
}

/*
 * __inet_accept(struct socket *sock, struct socket *newsock,
 *		 struct sock *newsk)
 *
 * Sockets of MPTCP and other protocols are accepted here too, but have no record.
 * What a TCP listener hands out is a TCP socket.
 */
static __always_inline void accepted(struct entry_regs *regs)
{
	struct socket *sock = (void *)entry_argument(regs, 0);
	struct sock *child = (void *)entry_argument(regs, 2);
	struct sock *sk = sock->sk;
	struct books books;

	/* First, where the compiler has the least to save across the call. */
	if (trace_listenq_accept_enabled())
		trace_accepted(sk, child);
	books = books_of(sk);
	if (!books.listener)
		return;
	books_time(&books.listener->traffic.waits, listener_waited_ms(child), 2);
	books_add(books, TRAFFIC_ACCEPTS, 1);
	/*
	 * The queue may have had this length for a while. It is no new peak: another
	 * connection may have come after this one left.
	 */
	books_look(books.listener, sk,
		   min(READ_ONCE(sk->sk_ack_backlog) + 1,
		       READ_ONCE(books.listener->traffic.acceptq.highest)));
}

ENTRY_CALLBACK(accepted);

/* ---- drops ---- */

/*
 * sk_skb_reason_drop(struct sock *sk, struct sk_buff *skb,
 *		      enum skb_drop_reason reason)
 *
 * The kernel drops everything by this, mostly without a socket; except SYNs that
 * tcp_conn_request() drops (tcp_rcv_state_process()).
 */
static __always_inline void dropped(struct entry_regs *regs)
{
	const struct sock *sk = (void *)entry_argument(regs, 0);
	unsigned int reason = (unsigned int)entry_argument(regs, 2);

	if (unlikely(sk) && reason > SKB_CONSUMED)
		drops_count(sk, reason);
}

ENTRY_CALLBACK(dropped);

/* ---- listeners that start ---- */

/**
 * traffic_start() - count what the queues of a listener held when it started
 * @sk: the listener, with a record if there was memory for one
 *
 * Connections and requests may have come before the record was made. The kernel also
 * leaves requests in the SYN queue from when the socket listened before.
 *
 * Context: a handler: preemption off.
 */
void traffic_start(const struct sock *sk)
{
	struct books books = books_of(sk);

	if (books.listener)
		books_start(books, sk);
}

/* ---- the hooks ---- */

#define NO_IPV6		(!IS_ENABLED(CONFIG_IPV6))
#define NO_COOKIES	(!IS_ENABLED(CONFIG_SYN_COOKIES))

const struct hook traffic_hooks[] = {
	[HOOK_SYN] = {
		.symbol		= "tcp_conn_request",
		.serves		= "syns, overflows, synq_drops, syncookies, failed",
		.lost		= "these, synq_reserved, expired and abandoned read -",
		.proof		= BIT(PROOF_CONNECTED),
		.entered	= syn_entered,
	},
	[HOOK_RESERVED] = {
		.symbol		= "tcp_peer_is_proven",
		.serves		= "synq_reserved",
		.lost		= "synq_reserved and failed read -",
		.shared		= true,
		.entered	= reserved_entered,
	},
	[HOOK_SYNACK4] = {
		.symbol		= "tcp_v4_send_synack",
		.serves		= "syns, requests, fastopens, resent, synq_peak",
		.lost		= "these, overflows and acceptq_peak read -",
		.entered	= synack_entered,
	},
	[HOOK_SYNACK6] = {
		.symbol		= "tcp_v6_send_synack",
		.serves		= "syns, requests, fastopens, resent, synq_peak of tcp6",
		.lost		= "these read - there and in totals",
		.absent		= NO_IPV6,
		.entered	= synack_entered,
	},
	[HOOK_ACK4] = {
		.symbol		= "tcp_v4_syn_recv_sock",
		.serves		= "overflows",
		.lost		= "overflows read -",
		.entered	= ack4_entered,
	},
	[HOOK_ACK6] = {
		.symbol		= "tcp_v6_syn_recv_sock",
		.serves		= "overflows of tcp6",
		.lost		= "these read - there and in totals",
		.absent		= NO_IPV6,
		.entered	= ack6_entered,
	},
	[HOOK_COOKIE4] = {
		.symbol		= "cookie_v4_check",
		.serves		= "cookies_failed",
		.lost		= "cookies_failed reads -",
		.absent		= NO_COOKIES,
		.shared		= true,
		.entered	= cookie_entered,
	},
	[HOOK_COOKIE6] = {
		.symbol		= "cookie_v6_check",
		.serves		= "cookies_failed of tcp6",
		.lost		= "cookies_failed reads - there and in totals",
		.absent		= NO_COOKIES || NO_IPV6,
		.shared		= true,
		.entered	= cookie_entered,
	},
	[HOOK_FINISHED] = {
		.symbol		= "inet_csk_complete_hashdance",
		.serves		= "finished, handshakes, acceptq_peak",
		.lost		= "these, expired and unaccepted read -",
		.entered	= finished_entered,
	},
	[HOOK_QUEUED] = {
		.symbol		= "inet_csk_reqsk_queue_add",
		.serves		= "cookies_finished, acceptq_peak",
		.lost		= "these and unaccepted read -",
		.shared		= true,
		.entered	= queued_entered,
	},
	[HOOK_TIMER] = {
		.symbol		= "reqsk_timer_handler",
		.serves		= "synq_peak_1m",
		.lost		= "synq_peak_1m forgets earlier",
		.shared		= true,
		.entered	= timer_entered,
	},
	[HOOK_RESET] = {
		.symbol		= "inet_csk_reqsk_queue_drop",
		.serves		= "reset",
		.lost		= "reset and expired read -",
		.begin		= reset_begin,
		.end		= reset_end,
		.data_size	= sizeof(struct reset_data),
	},
	[HOOK_JOINED] = {
		.symbol		= "inet_csk_reqsk_queue_drop_and_put",
		.serves		= "joined",
		.lost		= "joined and expired read -",
		.absent		= !IS_ENABLED(CONFIG_MPTCP),
		.shared		= true,
		.entered	= joined_entered,
	},
	[HOOK_ACCEPTED] = {
		.symbol		= "__inet_accept",
		.serves		= "accepts, waits",
		.lost		= "these read -",
		.proof		= BIT(PROOF_ACCEPTED),
		.absent		= !KERNEL_HAS(__inet_accept),
		.entered	= accepted_entered,
	},
	[HOOK_DROPPED] = {
		.symbol		= "sk_skb_reason_drop",
		.serves		= "drops",
		.lost		= "these read -",
		.absent		= !DROPS_ARE_SEEN,
		.entered	= dropped_entered,
	},
	{ }
};
