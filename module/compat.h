/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernel versions and architectures.
 *
 * Nothing of the kind stands anywhere else. The HAVE_* macros come from
 * module/Kbuild, which asks the headers of the kernel that is built for.
 */
#ifndef LISTENQ_COMPAT_H
#define LISTENQ_COMPAT_H

#include <linux/build_bug.h>
#include <linux/ftrace.h>
#include <linux/kconfig.h>
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/proc_fs.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/user_namespace.h>
#include <linux/version.h>
#include <net/af_unix.h>
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

/*
 * 6.11 passes the socket to where segments are dropped. What is not dropped has a
 * reason as well.
 */
#ifdef HAVE_sk_skb_reason_drop
#include <net/dropreason.h>

/* Whatever is no SYN and belongs to nothing, and what the kernel gives no reason for. */
#define DROPS_OF_NOISE	4

static inline unsigned int drop_noise(unsigned int i)
{
	static const unsigned int reasons[DROPS_OF_NOISE] = {
		SKB_DROP_REASON_NOT_SPECIFIED,
		SKB_DROP_REASON_TCP_CSUM,
		SKB_DROP_REASON_TCP_FLAGS,
		SKB_DROP_REASON_TCP_RESET,
	};

	return reasons[i];
}

static inline const char *drop_reason(unsigned int reason)
{
	unsigned int subsystem = reason >> SKB_DROP_REASON_SUBSYS_SHIFT;
	const struct drop_reason_list *list;

	reason &= ~SKB_DROP_REASON_SUBSYS_MASK;
	if (subsystem >= SKB_DROP_REASON_SUBSYS_NUM)
		return NULL;
	list = rcu_dereference(drop_reasons_by_subsys[subsystem]);
	return list && reason < list->n_reasons ? list->reasons[reason] : NULL;
}
#else
#define DROPS_OF_NOISE	0
#define SKB_CONSUMED	1

static inline unsigned int drop_noise(unsigned int i)
{
	return 0;
}

static inline const char *drop_reason(unsigned int reason)
{
	return NULL;
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
 * user_namespace_id() - the number that tells a user namespace from others
 * @user_ns: the user namespace
 *
 * Since 6.18 namespaces have one that is never used again. The inode's, before
 * that, may be another namespace's when this one is gone. Who compares them
 * then takes two for one that have not been there at the same time.
 *
 * Return: the number; 0 is none.
 */
static inline u64 user_namespace_id(const struct user_namespace *user_ns)
{
#ifdef HAVE_ns_id
	return user_ns->ns.ns_id;
#else
	return user_ns->ns.inum;
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
 * Whether what comes in may be interrupted by something else that comes in on the
 * same CPU: on PREEMPT_RT since 6.18, unless it is asked for otherwise.
 */
#define SOFTIRQS_INTERLEAVE						\
	(IS_ENABLED(CONFIG_PREEMPT_RT) &&				\
	 !IS_ENABLED(CONFIG_PREEMPT_RT_NEEDS_BH_LOCK) &&		\
	 LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0))

#define KPROBES_SWITCHED_OFF_BY \
	"is /sys/kernel/debug/kprobes/enabled 0, or kernel.ftrace_enabled"

#define ENTRY_GROUP_MAX	24

/*
 * What hooks a function's entry, by the cheapest way that this kernel has.
 *
 *	struct entry_regs	what a handler gets
 *	entry_argument()	an argument of the function, from that
 *	ENTRY_CALLBACK(handler)	makes handler_entered(), which the kernel calls
 *	entry_callback_t	such a function
 *	struct entry_probe	such a hook, and where it counts
 *	entry_probe_place()	0 or an error
 *	entry_probe_remove()	false where it could not be taken away
 *	struct entry_group	such hooks that come and go together, all zero at first
 *	entry_group_add()	as entry_probe_place(), and it may be called yet or not
 *	entry_group_place()	0 or an error: then all are
 *	entry_group_remove()	false where they could not be taken away
 *
 * A callback runs in the context of the hooked function. It counts and turns
 * preemption off, which makes the handler an RCU reader.
 */
#if defined(CONFIG_DYNAMIC_FTRACE) && \
	(defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS) || \
	 defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS))

/*
 * An ftrace_ops of its own for each function: the kernel calls the callback
 * from the function's first instruction. Since each op filters one function,
 * which its handler never calls, ftrace need not guard it against recursion.
 *
 * Since 5.11 on x86-64, 6.2 on arm64, ftrace saves a function's arguments alone;
 * before that, all registers on demand. struct ftrace_regs came with 5.11.
 */
#define ENTRY_WAY		"ftrace"
#define ENTRY_IS_CHEAP		true
#define ENTRY_SWITCHED_OFF_BY	"is kernel.ftrace_enabled 0"

#if defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS)
#define ENTRY_FLAGS	FTRACE_OPS_FL_PERMANENT
#elif defined(HAVE_ftrace_get_regs)
#define ENTRY_FLAGS	(FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_SAVE_REGS)
#else
#define ENTRY_FLAGS	(FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_SAVE_REGS | \
			 FTRACE_OPS_FL_RECURSION_SAFE)
#endif

#ifdef HAVE_ftrace_get_regs
#define entry_regs	ftrace_regs
#else
#define entry_regs	pt_regs
#endif

static __always_inline unsigned long entry_argument(struct entry_regs *regs,
						    unsigned int n)
{
#if defined(HAVE_ftrace_regs_get_argument)
	return ftrace_regs_get_argument(regs, n);
#elif defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS)
	return regs_get_kernel_argument(&regs->regs, n);
#elif defined(HAVE_ftrace_get_regs)
	return regs_get_kernel_argument(ftrace_get_regs(regs), n);
#else
	return regs_get_kernel_argument(regs, n);
#endif
}

#define entry_callback_t	ftrace_func_t

struct entry_probe {
	struct ftrace_ops ops;
	unsigned long __percpu *hits;
	/* In a group: */
	unsigned long address;
	entry_callback_t callback;
};

#define ENTRY_CALLBACK(handler)						\
static void notrace							\
handler##_entered(unsigned long ip, unsigned long parent_ip,		\
		  struct ftrace_ops *ops, struct entry_regs *regs)	\
{									\
	const struct entry_probe *probe =				\
		container_of(ops, struct entry_probe, ops);		\
									\
	preempt_disable_notrace();					\
	this_cpu_inc(*probe->hits);					\
	handler(regs);							\
	preempt_enable_notrace();					\
}

/*
 * By address, which a probe tells that never fires: by name, ftrace compares with
 * each function that there is. That is left for where it does not find the place
 * of its call by the function's address.
 */
static inline int entry_probe_filter(struct ftrace_ops *ops, const char *symbol,
				     unsigned long *address)
{
	struct kprobe where = {
		.symbol_name	= symbol,
		.flags		= KPROBE_FLAG_DISABLED,
	};
	int err;

	err = register_kprobe(&where);
	if (err)
		return err;
	*address = (unsigned long)where.addr;
	err = ftrace_set_filter_ip(ops, *address, 0, 0);
	unregister_kprobe(&where);
	if (err == -EINVAL)
		err = ftrace_set_filter(ops, (unsigned char *)symbol,
					strlen(symbol), 0);
	return err;
}

/*
 * Where ftrace fails on the way, it leaves the op enabled, and may go on calling
 * it (kernel/trace/ftrace.c, ftrace_startup()): then it is placed, and can't be
 * removed. Resetting a filter frees it.
 */
static inline int entry_ops_place(struct ftrace_ops *ops)
{
	int err = register_ftrace_function(ops);

	if (err && ops->flags & FTRACE_OPS_FL_ENABLED)
		return 0;
	if (err)
		ftrace_set_filter(ops, NULL, 0, 1);
	return err;
}

static inline bool entry_ops_remove(struct ftrace_ops *ops)
{
	if (unregister_ftrace_function(ops))
		return false;
	ftrace_set_filter(ops, NULL, 0, 1);
	return true;
}

static inline int entry_probe_place(struct entry_probe *probe,
				    const char *symbol,
				    entry_callback_t callback)
{
	int err;

	probe->ops.func = callback;
	probe->ops.flags = ENTRY_FLAGS;
	err = entry_probe_filter(&probe->ops, symbol, &probe->address);
	return err ?: entry_ops_place(&probe->ops);
}

static inline bool entry_probe_remove(struct entry_probe *probe)
{
	return entry_ops_remove(&probe->ops);
}

static inline unsigned long entry_probe_missed(const struct entry_probe *probe)
{
	return 0;
}

/*
 * One ftrace_ops of all of them, since each that is unregistered waits for all
 * tasks to leave the trampolines (kernel/trace/ftrace.c, ftrace_shutdown()). It
 * finds the function by its address, which is a bit below that of the call.
 */
struct entry_group {
	struct ftrace_ops ops;
	bool placed;
	unsigned int count;
	struct entry_probe *probes[ENTRY_GROUP_MAX];
};

static inline void notrace
entry_group_entered(unsigned long ip, unsigned long parent_ip,
		    struct ftrace_ops *ops, struct entry_regs *regs)
{
	const struct entry_group *group =
		container_of(ops, struct entry_group, ops);
	struct entry_probe *probe;
	unsigned int i;

	for (i = 0; i < group->count; i++) {
		probe = group->probes[i];
		if (ip - probe->address < 16) {
			probe->callback(ip, parent_ip, &probe->ops, regs);
			return;
		}
	}
}

static inline int entry_group_add(struct entry_group *group,
				  struct entry_probe *probe, const char *symbol,
				  entry_callback_t callback)
{
	int err;

	if (group->count == ENTRY_GROUP_MAX)
		return -ENOSPC;
	err = entry_probe_filter(&group->ops, symbol, &probe->address);
	if (err)
		return err;
	probe->callback = callback;
	group->probes[group->count++] = probe;
	return 0;
}

static inline int entry_group_place(struct entry_group *group)
{
	int err;

	if (!group->count)
		return 0;
	group->ops.func = entry_group_entered;
	group->ops.flags |= ENTRY_FLAGS;
	err = entry_ops_place(&group->ops);
	group->placed = !err;
	return err;
}

static inline bool entry_group_remove(struct entry_group *group)
{
	if (group->placed)
		return entry_ops_remove(&group->ops);
	ftrace_set_filter(&group->ops, NULL, 0, 1);
	return true;
}

#else

/* A kprobe, which is a breakpoint then, or jumps. */
#define ENTRY_WAY		"kprobe"
#define ENTRY_IS_CHEAP		false
#define ENTRY_SWITCHED_OFF_BY	KPROBES_SWITCHED_OFF_BY

#define entry_regs	pt_regs
#define entry_argument	regs_get_kernel_argument

struct entry_probe {
	struct kprobe kprobe;
	unsigned long __percpu *hits;
};

#define entry_callback_t	kprobe_pre_handler_t

#define ENTRY_CALLBACK(handler)						\
static int notrace							\
handler##_entered(struct kprobe *kprobe, struct entry_regs *regs)	\
{									\
	const struct entry_probe *probe =				\
		container_of(kprobe, struct entry_probe, kprobe);	\
									\
	this_cpu_inc(*probe->hits);					\
	handler(regs);							\
	return 0;							\
}

static inline int entry_probe_place(struct entry_probe *probe,
				    const char *symbol,
				    entry_callback_t callback)
{
	probe->kprobe.symbol_name = symbol;
	probe->kprobe.pre_handler = callback;
	return register_kprobe(&probe->kprobe);
}

/* One that could not be disarmed has lost its address. */
static inline bool entry_probe_remove(struct entry_probe *probe)
{
	unregister_kprobe(&probe->kprobe);
	return !!probe->kprobe.addr;
}

static inline unsigned long entry_probe_missed(const struct entry_probe *probe)
{
	return probe->kprobe.nmissed;
}

/* Nothing is gained where they go together, nor lost. */
struct entry_group {
	unsigned int count;
	struct entry_probe *probes[ENTRY_GROUP_MAX];
};

static inline int entry_group_add(struct entry_group *group,
				  struct entry_probe *probe, const char *symbol,
				  entry_callback_t callback)
{
	int err;

	if (group->count == ENTRY_GROUP_MAX)
		return -ENOSPC;
	err = entry_probe_place(probe, symbol, callback);
	if (!err)
		group->probes[group->count++] = probe;
	return err;
}

static inline int entry_group_place(struct entry_group *group)
{
	return 0;
}

static inline bool entry_group_remove(struct entry_group *group)
{
	bool removed = true;

	while (group->count)
		removed &= entry_probe_remove(group->probes[--group->count]);
	return removed;
}

#endif

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

/*
 * The kernel's table of AF_UNIX sockets, in as many buckets. Until 5.19 all namespaces
 * share one, which is exported, and until 5.16 its buckets have one lock; since 6.0
 * each namespace has a table of its own. What 7.x has taken out of the headers is the
 * number of buckets, and AF_UNIX as a module (until 6.3) is none of ours.
 */
#define UNIX_IS_THERE	IS_BUILTIN(CONFIG_UNIX)
#define UNIX_BUCKETS	512

#if !UNIX_IS_THERE
#define UNIX_TABLE_IS_SHARED	true

static inline struct hlist_head *unix_bucket(const struct net *net,
					     unsigned int bucket)
{
	static struct hlist_head none;

	return &none;
}

static inline spinlock_t *unix_bucket_lock(const struct net *net,
					   unsigned int bucket)
{
	static DEFINE_SPINLOCK(lock);

	return &lock;
}
#elif defined(HAVE_unix_table_lock) || defined(HAVE_unix_table_locks)
#define UNIX_TABLE_IS_SHARED	true

static_assert(2 * UNIX_HASH_SIZE == UNIX_BUCKETS);

static inline struct hlist_head *unix_bucket(const struct net *net,
					     unsigned int bucket)
{
	return &unix_socket_table[bucket];
}

static inline spinlock_t *unix_bucket_lock(const struct net *net,
					   unsigned int bucket)
{
#ifdef HAVE_unix_table_lock
	return &unix_table_lock;
#else
	return &unix_table_locks[bucket];
#endif
}
#else
#define UNIX_TABLE_IS_SHARED	false

#ifdef UNIX_HASH_SIZE
static_assert(UNIX_HASH_SIZE == UNIX_BUCKETS);
#else
#define UNIX_BUCKETS_ARE_GUESSED
#endif

static inline struct hlist_head *unix_bucket(const struct net *net,
					     unsigned int bucket)
{
	return &net->unx.table.buckets[bucket];
}

static inline spinlock_t *unix_bucket_lock(const struct net *net,
					   unsigned int bucket)
{
	return &net->unx.table.locks[bucket];
}
#endif

/*
 * How many buckets a walk goes through. Where no header says how many there are, not
 * more than there is memory of: a kernel to come may have fewer.
 */
static inline unsigned int unix_buckets(void)
{
#ifdef UNIX_BUCKETS_ARE_GUESSED
	return min_t(size_t, UNIX_BUCKETS, ksize(init_net.unx.table.buckets) /
					   sizeof(struct hlist_head));
#else
	return UNIX_BUCKETS;
#endif
}

/*
 * The listener that a connection has come to and that is about to be handed to
 * accept(): known where the kernel's collector of descriptors in flight follows
 * connections (6.10, and stable releases since).
 */
static inline const struct sock *unix_listener_of(const struct unix_sock *u)
{
#ifdef HAVE_unix_update_edges
	return READ_ONCE(u->listener);
#else
	return NULL;
#endif
}

/* Whether a function is called before a connection enters an AF_UNIX listener's queue. */
#define ENTERING_IS_TOLD	IS_ENABLED(CONFIG_SECURITY_NETWORK)

/*
 * Whether drops are hooked: everything that the kernel drops comes through, and should
 * not pay for a breakpoint.
 */
#define DROPS_ARE_SEEN	(KERNEL_HAS(sk_skb_reason_drop) && ENTRY_IS_CHEAP)

#endif /* LISTENQ_COMPAT_H */
