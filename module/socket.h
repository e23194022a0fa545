/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel knows of a socket that listens. Nothing here uses records.
 */
#ifndef LISTENQ_SOCKET_H
#define LISTENQ_SOCKET_H

#include <linux/jiffies.h>
#include <linux/kconfig.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/wait.h>
#include <net/af_unix.h>
#include <net/inet_connection_sock.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/sock_reuseport.h>
#include <net/tcp.h>

/**
 * listener_is_tcp() - whether a socket is TCP over IPv4 or IPv6
 * @sk: a socket that listens or is about to
 *
 * An MPTCP listener listens by its TCP subflow. DCCP, SMC and SCTP use the same
 * functions of the kernel.
 *
 * Context: any.
 */
static inline bool listener_is_tcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP && sk->sk_type == SOCK_STREAM &&
	       (sk->sk_family == AF_INET || sk->sk_family == AF_INET6);
}

/**
 * listener_is_unix() - whether a socket is an AF_UNIX socket
 * @sk: a socket that listens or is about to
 *
 * Context: any.
 */
static inline bool listener_is_unix(const struct sock *sk)
{
	return sk->sk_family == AF_UNIX;
}

/**
 * listener_is_waited_for() - whether a connect() waits for room
 * @sk: the listener, of AF_UNIX
 *
 * connect() enters the wait queue before it looks for room (net/unix/af_unix.c,
 * unix_wait_for_peer()).
 *
 * Context: any.
 */
static inline bool listener_is_waited_for(struct sock *sk)
{
	/* A caller that has changed the limit did so by cmpxchg(), a barrier. */
	return waitqueue_active(&unix_sk(sk)->peer_wait);
}

/**
 * socket_cookie() - get the number that tells a socket from all others, past ones
 *	too
 * @sk: the socket, which gets a cookie if it has none
 *
 * Context: any.
 * Return: the cookie, never 0.
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
 * @sk: a socket that has listened; it may have stopped, and may listen again
 *
 * Context: any.
 */
static inline bool listener_is_there(const struct sock *sk)
{
	return inet_sk_state_load(sk) == TCP_LISTEN &&
	       !hlist_unhashed_lockless(&sk->sk_node);
}

/**
 * synq_length() - how long the kernel takes the SYN queue to be
 * @sk: the listener
 *
 * The kernel's figure may be below 0: for a moment, if a request is dropped before
 * the CPU that made it has counted it; for good, if requests were taken off that it
 * never held (see books_synq()).
 *
 * Context: any.
 */
static inline unsigned int synq_length(const struct sock *sk)
{
	return max(inet_csk_reqsk_queue_len(sk), 0);
}

/**
 * syn_cookies_are_on() - whether SYNs get cookies when the SYN queue is full
 * @net: the namespace
 *
 * Context: any.
 */
static inline bool syn_cookies_are_on(const struct net *net)
{
	return IS_ENABLED(CONFIG_SYN_COOKIES) &&
	       READ_ONCE(net->ipv4.sysctl_tcp_syncookies);
}

/**
 * fastopenq_max() - the limit of a listener's Fast Open queue
 * @sk: the listener
 *
 * Context: any.
 * Return: the limit; 0 if Fast Open is off.
 */
static inline unsigned int fastopenq_max(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_accept_queue.fastopenq.max_qlen);
}

/**
 * fastopenq_length() - how many Fast Open connections have not finished their
 *	handshake
 * @sk: the listener
 *
 * Context: any.
 */
static inline unsigned int fastopenq_length(const struct sock *sk)
{
	/* The kernel changes it under a lock, without marking it. */
	return data_race(READ_ONCE(inet_csk(sk)->icsk_accept_queue.fastopenq.qlen));
}

/**
 * group_size() - how many sockets are in a listener's SO_REUSEPORT group
 * @sk: the listener
 *
 * Context: an RCU reader.
 * Return: how many, this one included; 0 if there is no group.
 */
static inline unsigned int group_size(const struct sock *sk)
{
	const struct sock_reuseport *group =
		rcu_dereference(sk->sk_reuseport_cb);

	/* The kernel changes it under a lock, without marking it. */
	return group ? data_race(READ_ONCE(group->num_socks)) : 0;
}

/**
 * listener_waited_ms() - how long a connection has waited for accept()
 * @child: its socket, not accepted yet
 *
 * The end of the handshake is in lsndtime, when data was last sent: the kernel sets
 * it when it makes the child (tcp_create_openreq_child()) and when the connection
 * gets established (tcp_rcv_state_process()), and nothing is sent before accept().
 *
 * Context: any.
 * Return: milliseconds; the resolution is a jiffy.
 */
static inline u64 listener_waited_ms(const struct sock *child)
{
	/* A child in the queue may become established at this moment. */
	u32 age = tcp_jiffies32 - data_race(READ_ONCE(tcp_sk(child)->lsndtime));

	/* The kernel may have set it after jiffies was read. */
	if (age > U32_MAX - HZ)
		age = 0;
	/* Without a call if HZ divides 1000: accept() waits for this. */
	if (MSEC_PER_SEC % HZ == 0)
		return (u64)age * (MSEC_PER_SEC / HZ);
	return jiffies64_to_msecs(age);
}

#endif /* LISTENQ_SOCKET_H */
