/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracepoints. They fire in handlers, in the context of the hooked function; an
 * overflow fires where it is settled, which may be in process context.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM listenq

#if !defined(LISTENQ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LISTENQ_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

#include "books.h"
#include "endpoint.h"
#include "record.h"

/* A listen() has succeeded; @again: the socket was listening already. */
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

	/* If @asked is not known, it is what was granted. */
	TP_printk("net:[%u] local=%pISpc asked=%d%s granted=%u limit=%u %s",
		  __entry->netns, __entry->saddr, __entry->asked,
		  __entry->asked_known ? "" : "?", __entry->granted,
		  __entry->limit, __entry->again ? "again" : "first")
);

/* A SYN or a final ACK was refused because the accept queue was full. */
TRACE_EVENT(listenq_overflow,
	TP_PROTO(const struct net *net, const struct listener *listener,
		 const struct endpoint *client, bool on_ack),
	TP_ARGS(net, listener, client, on_ack),

	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__array(__u8, daddr, sizeof(struct sockaddr_in6))
		__array(__u8, daddr_v6, sizeof(struct in6_addr))
		__field(__u16, dport)
		__field(unsigned int, limit)
		__field(bool, on_ack)
	),

	TP_fast_assign(
		__entry->netns = net->ns.inum;
		__entry->family = listener->place.family;
		__entry->sport = listener->place.port;
		__entry->dport = client->port;
		endpoint_address(&listener->place,
				 (struct sockaddr_in6 *)__entry->saddr);
		endpoint_address(client,
				 (struct sockaddr_in6 *)__entry->daddr);
		endpoint_mapped(client, (struct in6_addr *)__entry->daddr_v6);
		__entry->limit = READ_ONCE(listener->decision.limit);
		__entry->on_ack = on_ack;
	),

	/* A client that was not seen is all zero. */
	TP_printk("net:[%u] local=%pISpc client=%pISpc limit=%u on=%s",
		  __entry->netns, __entry->saddr, __entry->daddr,
		  __entry->limit, __entry->on_ack ? "ACK" : "SYN")
);

/* accept() takes a connection, in the task that has called it. */
TRACE_EVENT(listenq_accept,
	TP_PROTO(const struct net *net, const struct listener *listener,
		 const struct sock *child, u64 waited_ms),
	TP_ARGS(net, listener, child, waited_ms),

	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__array(__u8, daddr, sizeof(struct sockaddr_in6))
		__array(__u8, daddr_v6, sizeof(struct in6_addr))
		__field(__u16, dport)
		__field(__u64, waited_ms)
	),

	TP_fast_assign(
		struct endpoint client;

		client_endpoint(child, &client);
		__entry->netns = net->ns.inum;
		__entry->family = listener->place.family;
		__entry->sport = listener->place.port;
		__entry->dport = client.port;
		endpoint_address(&listener->place,
				 (struct sockaddr_in6 *)__entry->saddr);
		endpoint_address(&client,
				 (struct sockaddr_in6 *)__entry->daddr);
		endpoint_mapped(&client, (struct in6_addr *)__entry->daddr_v6);
		__entry->waited_ms = waited_ms;
	),

	TP_printk("net:[%u] local=%pISpc client=%pISpc waited=%llums",
		  __entry->netns, __entry->saddr, __entry->daddr,
		  __entry->waited_ms)
);

/* A listener ends, with what its queues hold unless another listener gets that. */
TRACE_EVENT(listenq_close,
	TP_PROTO(const struct listener *listener, const struct sock *sk),
	TP_ARGS(listener, sk),

	TP_STRUCT__entry(
		__field(unsigned int, netns)
		__field(__u16, family)
		__field(__u16, sport)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__field(unsigned int, acceptq)
		__field(unsigned int, synq)
	),

	TP_fast_assign(
		__entry->netns = sock_net(sk)->ns.inum;
		__entry->family = listener->place.family;
		__entry->sport = listener->place.port;
		endpoint_address(&listener->place,
				 (struct sockaddr_in6 *)__entry->saddr);
		__entry->acceptq = READ_ONCE(sk->sk_ack_backlog);
		__entry->synq = books_synq(listener, sk);
	),

	TP_printk("net:[%u] local=%pISpc acceptq=%u synq=%u",
		  __entry->netns, __entry->saddr, __entry->acceptq,
		  __entry->synq)
);

#endif /* LISTENQ_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
