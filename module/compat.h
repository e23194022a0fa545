/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernel versions and architectures.
 *
 * No other source file depends on either. module/Kbuild defines the HAVE_* macros
 * after looking into the headers of the target kernel.
 */
#ifndef LISTENQ_COMPAT_H
#define LISTENQ_COMPAT_H

#include <linux/build_bug.h>
#include <linux/compat.h>
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
#include <asm/unistd.h>
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
 * Whether this kernel can have a function that some kernels lack and that
 * module/Kbuild looks for. It may be out of a probe's reach all the same: inlined,
 * or in a module.
 */
#define KERNEL_HAS(function)	__is_defined(HAVE_##function)

/*
 * Whether the compiler may have made __sys_listen() a part of the system call, and
 * __inet_listen_sk() a part of inet_listen(), whose hooks then see no call from there:
 * clang does, gcc does not. Other callers (socketcall(2), MPTCP) call them.
 */
#define LISTEN_IS_INLINED	IS_ENABLED(CONFIG_CC_IS_CLANG)

/*
 * Whether a system call is listen(), by the number of the one that current is in. Of
 * compat tasks, only i386's are known.
 */
static inline bool is_listen_call(long number)
{
	if (!in_compat_syscall())
		return number == __NR_listen;
#ifdef __NR_ia32_listen
	return number == __NR_ia32_listen;
#else
	return false;
#endif
}

/* Unroll the loop that follows; 6.15 has this under another name. */
#define unroll_loop(count) _Pragma(__stringify(GCC unroll count))

/*
 * s390 does not export what its regs_get_kernel_argument() calls. Arguments on the
 * stack are beyond the frame that the caller provides.
 */
#ifdef CONFIG_S390
static __always_inline unsigned long s390_argument(const struct pt_regs *regs,
						   unsigned int n)
{
	const unsigned long *stack = (const unsigned long *)(regs->gprs[15] +
							     STACK_FRAME_OVERHEAD);

	return n < 5 ? regs->gprs[2 + n] : stack[n - 5];
}

#define regs_get_kernel_argument s390_argument
#endif

/* 5.11 moved the pointer to the return probe out of the instance. */
#ifndef HAVE_get_kretprobe
static inline struct kretprobe *get_kretprobe(struct kretprobe_instance *ri)
{
	return ri->rp;
}
#endif

/* 5.17 gave PDE_DATA() a name in lower case. */
#ifndef HAVE_pde_data
static inline void *pde_data(const struct inode *inode)
{
	return PDE_DATA(inode);
}
#endif

/*
 * Since 6.11, the function that drops segments gets the socket. A segment that is
 * consumed, and not dropped, has a reason too.
 */
#ifdef HAVE_sk_skb_reason_drop
#include <net/dropreason.h>

/* Drops of non-SYNs that belong to no connection, and drops without a reason. */
#define DROPS_OF_NOISE	4

static inline unsigned int drop_noise(unsigned int i)
{
	static const unsigned int reasons[] = {
		SKB_DROP_REASON_NOT_SPECIFIED,
		SKB_DROP_REASON_TCP_CSUM,
		SKB_DROP_REASON_TCP_FLAGS,
		SKB_DROP_REASON_TCP_RESET,
	};

	static_assert(ARRAY_SIZE(reasons) == DROPS_OF_NOISE);
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

/* 6.18 made drop counters that may be per NUMA node. */
#ifndef HAVE_sk_drops_read
static inline int sk_drops_read(const struct sock *sk)
{
	return atomic_read(&sk->sk_drops);
}
#endif

/*
 * Before 6.17 the user of a listener is in its inode, which the kernel reads under a
 * lock. RCU is enough here: the inode lives as long as the socket is in the
 * listening hash, and a grace period longer (net/socket.c, sock_free_inode()).
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
 * Before 6.18 the same goes for the inode number; since then the socket has it.
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
 * user_namespace_id() - get a number that identifies a user namespace
 * @user_ns: the user namespace
 *
 * Since 6.18 namespaces have an ID that is never reused. Before, this is the inode
 * number, which may be reused: two namespaces that never exist at the same time may
 * have the same.
 *
 * Return: the number, never 0.
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
 * tcp_listening_hash() - get the tables of the kernel's TCP sockets
 *
 * All namespaces share the listening hash, also those with their own table of
 * established connections (net/ipv4/inet_hashtables.c,
 * inet_pernet_hashinfo_alloc()), so the initial namespace leads to it. From 5.17 to
 * 6.0 the way there differed, but the tables were still exported.
 *
 * Return: the tables, which are never freed.
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
 * Whether an RCU reader may take the lock of a listener's accept queue although the
 * listener may stop. Since 6.8, and in stable releases, the lock is initialized with
 * the socket; before that, by each listen(), even while somebody held it.
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
 * Whether a softirq may preempt another one on the same CPU: on PREEMPT_RT since
 * 6.18, unless configured otherwise.
 */
#define SOFTIRQS_INTERLEAVE						\
	(IS_ENABLED(CONFIG_PREEMPT_RT) &&				\
	 !IS_ENABLED(CONFIG_PREEMPT_RT_NEEDS_BH_LOCK) &&		\
	 LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0))

#define KPROBES_SWITCHED_OFF_BY \
	"is /sys/kernel/debug/kprobes/enabled 0, or kernel.ftrace_enabled"

#define ENTRY_GROUP_MAX	24

/*
 * Hooks on function entry, in the cheapest way that this kernel has.
 *
 *	struct entry_regs	what the handler gets
 *	entry_argument()	gets an argument of the function from that
 *	ENTRY_CALLBACK(handler)	defines handler_entered(), called by the kernel
 *	entry_callback_t	the type of handler_entered()
 *	struct entry_probe	a hook
 *	entry_probe_place()	returns 0 or an error
 *	entry_probe_remove()	returns false if it could not be removed
 *	struct entry_group	hooks placed and removed together; zeroed at first
 *	entry_group_add()	as entry_probe_place(); calls may begin later, with
 *				entry_group_place()
 *	entry_group_place()	returns 0, with all placed, or an error
 *	entry_group_remove()	returns false if they could not be removed
 *
 * The callback runs in the context of the hooked function. It counts the hit and
 * turns preemption off, which makes the handler an RCU reader.
 */
#if defined(CONFIG_DYNAMIC_FTRACE) && \
	(defined(CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS) || \
	 defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS))

/*
 * One ftrace_ops for each function: the kernel calls the callback from the
 * function's first instruction. ftrace need not guard against recursion, since each
 * op has one function, which its handler never calls.
 *
 * Since 5.11 on x86-64 and 6.2 on arm64, ftrace saves only a function's arguments;
 * before that, all registers on request. struct ftrace_regs came with 5.11.
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
	/* Used in a group only: */
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
 * Set the filter by address, since by name ftrace compares with every function. A
 * probe that never fires resolves the address. If ftrace has no call site at that
 * address, fall back to the name.
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
 * If ftrace fails midway, it leaves the op enabled and may go on calling it
 * (kernel/trace/ftrace.c, ftrace_startup()): count it as placed, though it can't be
 * removed. Resetting the filter frees it.
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
 * One ftrace_ops for all of them, since unregistering each would wait for all tasks
 * to leave the trampolines (kernel/trace/ftrace.c, ftrace_shutdown()). The callback
 * finds the function by the address of the call site, a few bytes into the function.
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

/* A kprobe, by a breakpoint or by a jump. */
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

/* unregister_kprobe() clears the address, unless the probe is still armed. */
static inline bool entry_probe_remove(struct entry_probe *probe)
{
	unregister_kprobe(&probe->kprobe);
	return !!probe->kprobe.addr;
}

static inline unsigned long entry_probe_missed(const struct entry_probe *probe)
{
	return probe->kprobe.nmissed;
}

/* With kprobes, a group gains nothing and costs nothing. */
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
 * The sockets in a bucket of the listening hash. The caller holds the bucket's lock,
 * except for bucket_empty(). Up to 5.18 they are linked by
 * icsk_listen_portaddr_node, for which there was a macro; since 5.19 by the socket's
 * usual node.
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
 * The kernel's table of AF_UNIX sockets, of UNIX_BUCKETS buckets. Up to 5.19 all
 * namespaces share one, which is exported and up to 5.16 has a single lock; since
 * 6.0 each namespace has its own. The headers of 7.x no longer give the number of
 * buckets. AF_UNIX built as a module (possible up to 6.3) is not supported.
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
 * How many buckets a walk visits. Without a number in the headers, at most as many
 * as the table has memory for: a later kernel may have fewer.
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
 * The listener from which accept() is about to take a connection. The kernel knows
 * it since its garbage collector for descriptors in flight tracks connections (6.10,
 * and stable releases).
 */
static inline const struct sock *unix_listener_of(const struct unix_sock *u)
{
#ifdef HAVE_unix_update_edges
	return READ_ONCE(u->listener);
#else
	return NULL;
#endif
}

/* Whether a hook sees a connection that is about to enter an AF_UNIX queue. */
#define ENTERING_IS_TOLD	IS_ENABLED(CONFIG_SECURITY_NETWORK)

/*
 * Whether drops are hooked: not by a breakpoint, since the hooked function sees all
 * that the kernel drops.
 */
#define DROPS_ARE_SEEN	(KERNEL_HAS(sk_skb_reason_drop) && ENTRY_IS_CHEAP)

#endif /* LISTENQ_COMPAT_H */
