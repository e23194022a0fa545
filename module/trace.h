/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracepoints. Both fire in probe handlers, in whatever context the
 * probed function runs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM listenq

#if !defined(LISTENQ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LISTENQ_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

#include "record.h"
#include "socket.h"

/* A listen() has succeeded; @again: on a socket that was listening already. */
TRACE_EVENT(listenq_listen,
	TP_PROTO(const struct sock *sk, const struct listen_call *call,
		 bool again),
	TP_ARGS(sk, call, again),

	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__field(int, asked)
		__field(bool, asked_known)
		__field(unsigned int, granted)
		__field(unsigned int, limit)
		__field(bool, again)
	),

	TP_fast_assign(
		__entry->netns = sock_net(sk)->ns.inum;
		__entry->family = sk->sk_family;
		__entry->sport = sk->sk_num;
		listener_local(sk, (struct sockaddr_in6 *)__entry->saddr);
		__entry->asked = call->asked;
		__entry->asked_known = call->asked_known;
		__entry->granted = call->granted;
		__entry->limit = READ_ONCE(sk->sk_max_ack_backlog);
		__entry->again = again;
	),

	/* Where it is not known what was asked, what was granted stands there. */
	TP_printk("net:[%u] local=%pISpc asked=%d%s granted=%u limit=%u %s",
		  __entry->netns, __entry->saddr, __entry->asked,
		  __entry->asked_known ? "" : "?", __entry->granted,
		  __entry->limit, __entry->again ? "again" : "first")
);

/* The full accept queue has turned away a SYN, or a final ACK. */
TRACE_EVENT(listenq_overflow,
	TP_PROTO(const struct sock *sk, bool on_ack),
	TP_ARGS(sk, on_ack),

	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__field(unsigned int, limit)
		__field(bool, on_ack)
	),

	TP_fast_assign(
		__entry->netns = sock_net(sk)->ns.inum;
		__entry->family = sk->sk_family;
		__entry->sport = sk->sk_num;
		listener_local(sk, (struct sockaddr_in6 *)__entry->saddr);
		__entry->limit = READ_ONCE(sk->sk_max_ack_backlog);
		__entry->on_ack = on_ack;
	),

	TP_printk("net:[%u] local=%pISpc limit=%u on=%s",
		  __entry->netns, __entry->saddr, __entry->limit,
		  __entry->on_ack ? "ACK" : "SYN")
);

#endif /* LISTENQ_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
