/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernel versions and architectures.
 *
 * Nothing of the kind stands anywhere else. The HAVE_* macros come from
 * module/Kbuild, which asks the headers of the kernel that is built for.
 */
#ifndef LISTENQ_COMPAT_H
#define LISTENQ_COMPAT_H

#include <linux/kconfig.h>
#include <linux/kprobes.h>
#include <linux/proc_fs.h>
#include <linux/stringify.h>
#include <linux/version.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "listenq supports Linux 5.10 and later"
#endif

#ifndef CONFIG_HAVE_FUNCTION_ARG_ACCESS_API
#error "listenq needs an architecture with regs_get_kernel_argument()"
#endif

#ifndef CONFIG_INET
#error "listenq needs a kernel with CONFIG_INET=y"
#endif

#ifndef CONFIG_KPROBES
#error "listenq needs a kernel with CONFIG_KPROBES=y"
#endif

#ifndef CONFIG_KRETPROBES
#error "listenq needs a kernel with CONFIG_KRETPROBES=y"
#endif

#ifndef CONFIG_PROC_FS
#error "listenq needs a kernel with CONFIG_PROC_FS=y"
#endif

/*
 * Whether this kernel can have a function that not every one has, and that
 * module/Kbuild asks for. A function that it can have need not be in reach of
 * a probe: a compiler or a module of the kernel's may have taken it away.
 */
#define KERNEL_HAS(function)	__is_defined(HAVE_##function)

/* Unroll the loop that follows. 6.15 has this, by another name. */
#define unroll_loop(count) _Pragma(__stringify(GCC unroll count))

/* 5.11 moved the return probe out of its instance. */
#ifndef HAVE_get_kretprobe
static inline struct kretprobe *get_kretprobe(struct kretprobe_instance *ri)
{
	return ri->rp;
}
#endif

/* 5.17 gave it a name in lower case. */
#ifndef HAVE_pde_data
static inline void *pde_data(const struct inode *inode)
{
	return PDE_DATA(inode);
}
#endif

/* 6.18 lets a socket count its drops per NUMA node. */
#ifndef HAVE_sk_drops_read
static inline int sk_drops_read(const struct sock *sk)
{
	return atomic_read(&sk->sk_drops);
}
#endif

/*
 * Before 6.17 a listener's user is that of its inode, which the kernel reads
 * under a lock. That lock is not needed: the inode is there as long as the
 * socket is in the listening hash, and a grace period longer (net/socket.c,
 * sock_free_inode()).
 */
#ifndef HAVE_sk_uid
static inline kuid_t sk_uid(const struct sock *sk)
{
	kuid_t uid = GLOBAL_ROOT_UID;
	struct socket *socket;

	rcu_read_lock();
	socket = READ_ONCE(sk->sk_socket);
	if (socket)
		uid = READ_ONCE(SOCK_INODE(socket)->i_uid);
	rcu_read_unlock();
	return uid;
}
#endif

/*
 * The same of the inode's number before 6.18; since then the socket has it.
 */
static inline u64 sock_ino(const struct sock *sk)
{
#ifdef HAVE_sk_ino
	return READ_ONCE(sk->sk_ino);
#else
	struct socket *socket;
	u64 number;

	rcu_read_lock();
	socket = READ_ONCE(sk->sk_socket);
	number = socket ? SOCK_INODE(socket)->i_ino : 0;
	rcu_read_unlock();
	return number;
#endif
}

/**
 * tcp_listening_hash() - the tables that the kernel's TCP sockets are in
 *
 * All namespaces share the listening hash, also those with a table of
 * established connections of their own (net/ipv4/inet_hashtables.c,
 * inet_pernet_hashinfo_alloc()), so the initial namespace leads to it. From
 * 5.17 to 6.0 the way there was another, but the tables were still exported.
 *
 * Return: the tables; they live as long as the kernel.
 */
static inline struct inet_hashinfo *tcp_listening_hash(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
	return &tcp_hashinfo;
#else
	return init_net.ipv4.tcp_death_row.hashinfo;
#endif
}

/*
 * Whether the lock of a listener's accept queue may be taken under RCU alone,
 * by somebody who does not keep the listener from stopping. Since 6.8, and in
 * stable releases since, it is made with the socket; before that each listen()
 * made it anew, under the feet of whoever held it.
 */
static inline bool acceptq_lock_lasts(void)
{
#ifdef HAVE_inet_init_csk_locks
	return true;
#else
	return false;
#endif
}

/*
 * Whether a SYN takes over a socket in TIME_WAIT. From 6.10 until it was
 * taken back in 6.12's stable releases, that was noted for the CPU instead of
 * the packet.
 */
static inline bool takes_over_time_wait(const struct sk_buff *skb)
{
#ifdef HAVE_percpu_tcp_tw_isn
	return __this_cpu_read(tcp_tw_isn);
#else
	return TCP_SKB_CB(skb)->tcp_tw_isn;
#endif
}

/*
 * The sockets in a bucket of the listening hash, whose lock the caller holds;
 * whether there are any is asked without it. 5.19 replaced the list through
 * icsk_listen_portaddr_node, and with it a macro to walk it, by one through
 * the socket's usual node.
 */
#ifdef inet_lhash2_for_each_icsk_rcu
static inline bool bucket_empty(const struct inet_listen_hashbucket *bucket)
{
	return hlist_empty(&bucket->head);
}

static inline struct sock *bucket_sock(struct hlist_node *node)
{
	return (struct sock *)hlist_entry_safe(node, struct inet_connection_sock,
					       icsk_listen_portaddr_node);
}

static inline struct sock *
bucket_first(const struct inet_listen_hashbucket *bucket)
{
	return bucket_sock(bucket->head.first);
}

static inline struct sock *bucket_next(const struct sock *sk)
{
	return bucket_sock(inet_csk(sk)->icsk_listen_portaddr_node.next);
}
#else
static inline bool bucket_empty(const struct inet_listen_hashbucket *bucket)
{
	return hlist_nulls_empty(&bucket->nulls_head);
}

static inline struct sock *
bucket_first(const struct inet_listen_hashbucket *bucket)
{
	return sk_nulls_head(&bucket->nulls_head);
}

static inline struct sock *bucket_next(const struct sock *sk)
{
	return sk_nulls_next(sk);
}
#endif

#endif /* LISTENQ_COMPAT_H */
