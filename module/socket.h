/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What any room may ask a socket that somebody listens on. The kernel has it;
 * nothing here knows of records.
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
 * listener_is_unix() - whether a socket is one of AF_UNIX
 * @sk: a socket that somebody listens on or wants to
 *
 * Context: any.
 */
static inline bool listener_is_unix(const struct sock *sk)
{
	return sk->sk_family == AF_UNIX;
}

/**
 * listener_is_waited_for() - whether somebody waits in connect() for room
 * @sk: the listener, of AF_UNIX
 *
 * Who waits looks for room behind entering the queue of those who wait
 * (net/unix/af_unix.c, unix_wait_for_peer()).
 *
 * Context: any.
 */
static inline bool listener_is_waited_for(struct sock *sk)
{
	/* Whoever asks has stored the limit by a compare-and-swap: a barrier. */
	return waitqueue_active(&unix_sk(sk)->peer_wait);
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
 * syn_cookies_are_on() - whether a SYN that meets a full SYN queue gets a cookie
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
 * Return: the limit; 0: Fast Open is off.
 */
static inline unsigned int fastopenq_max(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_accept_queue.fastopenq.max_qlen);
}

/**
 * fastopenq_length() - how many connections were handed on before their handshake
 *	was finished, and have not finished it
 * @sk: the listener
 *
 * Context: any.
 */
static inline unsigned int fastopenq_length(const struct sock *sk)
{
	/* The kernel changes it under a lock, and unmarked. */
	return data_race(READ_ONCE(inet_csk(sk)->icsk_accept_queue.fastopenq.qlen));
}

/**
 * group_size() - how many sockets there are in a listener's SO_REUSEPORT group
 * @sk: the listener
 *
 * Context: an RCU reader.
 * Return: how many, itself included; 0 where there is no group.
 */
static inline unsigned int group_size(const struct sock *sk)
{
	const struct sock_reuseport *group =
		rcu_dereference(sk->sk_reuseport_cb);

	/* Changed under a lock of the kernel's, and unmarked. */
	return group ? data_race(READ_ONCE(group->num_socks)) : 0;
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
	/* Without a call where it is that easy: accept() waits for it. */
	if (MSEC_PER_SEC % HZ == 0)
		return (u64)age * (MSEC_PER_SEC / HZ);
	return jiffies64_to_msecs(age);
}

#endif /* LISTENQ_SOCKET_H */
