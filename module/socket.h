/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What any room may ask a socket that somebody listens on. The kernel has it;
 * nothing here knows of records.
 */
#ifndef LISTENQ_SOCKET_H
#define LISTENQ_SOCKET_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/jiffies.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

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
 * socket_cookie() - the number that tells a socket from all others there were
 * @sk: the socket, which gets one if nobody has asked for it before
 *
 * Context: any.
 * Return: the cookie; 0 is none.
 */
static inline u64 socket_cookie(const struct sock *sk)
{
	u64 cookie = atomic64_read(&sk->sk_cookie);
	u32 words[2];

	if (cookie)
		return cookie;
	sock_diag_save_cookie((struct sock *)sk, words);
	return words[0] | (u64)words[1] << 32;
}

/**
 * listener_is_there() - whether a socket listens
 * @sk: one that did before; perhaps it has stopped and listens again
 *
 * Context: any.
 */
static inline bool listener_is_there(const struct sock *sk)
{
	return inet_sk_state_load(sk) == TCP_LISTEN &&
	       !hlist_unhashed_lockless(&sk->sk_node);
}

/**
 * listener_local() - where a socket listens
 * @sk: the socket
 * @local: where to write it; in case of IPv4 a struct sockaddr_in
 *
 * Context: any.
 */
static inline void listener_local(const struct sock *sk,
				  struct sockaddr_in6 *local)
{
	struct sockaddr_in *local4 = (struct sockaddr_in *)local;

	memset(local, 0, sizeof(*local));
	local->sin6_family = sk->sk_family;
	local->sin6_port = htons(sk->sk_num);	/* sin_port is there too */
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		local->sin6_addr = sk->sk_v6_rcv_saddr;
		return;
	}
#endif
	local4->sin_addr.s_addr = sk->sk_rcv_saddr;
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
 * listener_waited_ms() - for how long a connection has waited for accept()
 * @child: its socket, which nobody has been given yet
 *
 * The time of a handshake's end is where the kernel notes when data was sent
 * last: set with the child (tcp_create_openreq_child()) and when it gets
 * established (tcp_rcv_state_process()), and nobody sends before accept().
 *
 * Context: any.
 * Return: milliseconds; the resolution is a jiffy.
 */
static inline u64 listener_waited_ms(const struct sock *child)
{
	/* A child that is already in the queue may be getting established. */
	u32 age = tcp_jiffies32 - data_race(READ_ONCE(tcp_sk(child)->lsndtime));

	/* Set again at this very moment. */
	if (age > U32_MAX - HZ)
		age = 0;
	return jiffies64_to_msecs(age);
}

#endif /* LISTENQ_SOCKET_H */
