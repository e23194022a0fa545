// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else's livepatch of two functions: tcp_conn_request(), where listenq
 * looks at the call, and inet_csk_listen_start(), where it looks at the return.
 *
 * Neither can be written anew with what the kernel exports. So the replacement
 * counts and goes on in the original, behind the call of ftrace's at its begin:
 * what it does is what the running kernel does, whatever its version.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <net/tcp.h>

#include "hits.h"

/* 5.10 passes the backlog; elsewhere the second argument is nobody's. */
static int patched_listen_start(struct sock *sk, int backlog);

/*
 * Static calls are direct: an indirect one may have to land on an endbr (IBT),
 * and behind ftrace's call there is none.
 */
DEFINE_STATIC_CALL_NULL(conn_request, tcp_conn_request);
DEFINE_STATIC_CALL_NULL(listen_start, patched_listen_start);

static int patched_conn_request(struct request_sock_ops *rsk_ops,
				const struct tcp_request_sock_ops *af_ops,
				struct sock *sk, struct sk_buff *skb)
{
	atomic_long_inc(&hits[0]);
	return static_call(conn_request)(rsk_ops, af_ops, sk, skb);
}

static int patched_listen_start(struct sock *sk, int backlog)
{
	atomic_long_inc(&hits[1]);
	return static_call(listen_start)(sk, backlog);
}

static struct klp_func funcs[] = {
	{
		.old_name = "tcp_conn_request",
		.new_func = patched_conn_request,
	},
	{
		.old_name = "inet_csk_listen_start",
		.new_func = patched_listen_start,
	},
	{ }
};

static struct klp_object objs[] = {
	{ .funcs = funcs },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

/* Where @function goes on behind ftrace's call; NULL if there is none. */
static void *body_of(const char *function)
{
	struct kprobe kp = {
		.symbol_name	= function,
		.flags		= KPROBE_FLAG_DISABLED,
	};
	void *call;

	/* A probe of a function's begin would be put on that call. */
	if (register_kprobe(&kp))
		return NULL;
	call = kp.addr;
	unregister_kprobe(&kp);
	return call + MCOUNT_INSN_SIZE;
}

static int __init peer_livepatch_init(void)
{
	typeof(tcp_conn_request) *request = body_of("tcp_conn_request");
	typeof(patched_listen_start) *start = body_of("inet_csk_listen_start");

	if (!request || !start)
		return -ENOENT;
	static_call_update(conn_request, request);
	static_call_update(listen_start, start);
	return klp_enable_patch(&patch);
}

/* The livepatch has been taken back by then, through its enabled file. */
static void __exit peer_livepatch_exit(void)
{
}

module_init(peer_livepatch_init);
module_exit(peer_livepatch_exit);
MODULE_INFO(livepatch, "Y");
MODULE_AUTHOR("The listenq authors");
MODULE_DESCRIPTION("Counts calls of functions by a livepatch");
MODULE_LICENSE("GPL");
