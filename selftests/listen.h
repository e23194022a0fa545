/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of a listener's queues share: clients that come one by one,
 * and what became of each, as client and kernel see it.
 */
#ifndef LISTENQ_SELFTEST_LISTEN_H
#define LISTENQ_SELFTEST_LISTEN_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kinds.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

/* More than the longest queue that any test fills. */
#define MAX_CLIENTS	400

/* Held clients have source ports from here on, and nobody else has. */
#define HELD_PORT	50000
#define OTHER_PORTS	"30000 39999"

/* What becomes of a client. */
enum fate {
	IN_QUEUE,	/* The accept queue; held clients: the SYN queue. */
	COOKIE,		/* It has a SYN cookie, and the server nothing. */
	TURNED_AWAY,
};

struct queue {
	const struct lq_kind *kind;
	int fd;
	int clients[MAX_CLIENTS];
	int count;
	int late;	/* The last one, if it was turned away; else -1. */
	bool held[MAX_CLIENTS];
	/* When the listener was made: of the namespace, and of the hooks. */
	long long overflows;
	long long full_drops;
	long long cookies;
	long long missed;
};

static inline bool is_tcp(const struct lq_kind *kind)
{
	return kind->family != AF_UNIX;
}

/* Skips the test where the queue can't be looked at. */
static inline struct queue *queue_open(struct __test_metadata *_metadata,
				       const struct lq_kind *kind, int backlog)
{
	struct queue *q = calloc(1, sizeof(*q));
	int waiting, limit;

	if (!q)
		err(1, "calloc");
	lq_write_file("/proc/sys/net/ipv4/ip_local_port_range", OTHER_PORTS);
	q->kind = kind;
	q->late = -1;
	q->overflows = lq_netstat("ListenOverflows");
	q->full_drops = lq_netstat("TCPReqQFullDrop");
	q->cookies = lq_netstat("SyncookiesSent");
	q->missed = have_module ? lq_missed() : 0;
	q->fd = lq_kind_listener(kind, backlog);
	if (is_tcp(kind) && !lq_tcp_queue(q->fd, &waiting, &limit))
		SKIP(longjmp(_metadata->env, 1),
		     "MPTCP that tells nothing of its listeners");
	return q;
}

static inline int queue_waiting(const struct queue *q)
{
	int waiting, limit;

	lq_tcp_queue(q->fd, &waiting, &limit);
	return waiting;
}

static inline int queue_limit(const struct queue *q)
{
	int waiting, limit;

	lq_tcp_queue(q->fd, &waiting, &limit);
	return limit;
}

/* What has been counted since the listener was made. */
static inline long long overflows(const struct queue *q)
{
	return lq_netstat("ListenOverflows") - q->overflows;
}

static inline long long full_drops(const struct queue *q)
{
	return lq_netstat("TCPReqQFullDrop") - q->full_drops;
}

static inline long long cookies(const struct queue *q)
{
	return lq_netstat("SyncookiesSent") - q->cookies;
}

/*
 * The requests of @q that wait for their final ACK: state 3 is SYN_RECV. The
 * kernel walks all sockets of the machine for this: not for each client.
 */
static inline int half_open(const struct queue *q)
{
	FILE *file = fopen(q->kind->family == AF_INET6 ? "/proc/net/tcp6" :
							 "/proc/net/tcp", "r");
	int port = lq_port(q->fd), count = 0;
	unsigned int local, state;
	char line[512];

	if (!file)
		err(1, "/proc/net/tcp");
	while (fgets(line, sizeof(line), file))
		count += sscanf(line, "%*s %*[^:]:%x %*[^:]:%*x %x", &local,
				&state) == 2 &&
			 local == port && state == 3;
	fclose(file);
	return count;
}

static inline struct tcp_info client_info(int client)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(client, SOL_TCP, TCP_INFO, &info, &len))
		err(1, "TCP_INFO of a client");
	return info;
}

/* How many SYNs a client has sent that isn't connected yet, or just is. */
static inline long long syns_sent(int client)
{
	return 1 + client_info(client).tcpi_total_retrans;
}

/* Whether @client's connect() has come to an end within @ms. */
static inline bool finished(int client, int ms)
{
	struct pollfd poll_out = { .fd = client, .events = POLLOUT };

	return poll(&poll_out, 1, ms) == 1;
}

static inline int client_error(int client)
{
	return option(client, SO_ERROR);
}

/* Those of MPTCP listeners are of plain TCP: it is the same queue. */
static inline int new_client(const struct lq_kind *kind, int flags)
{
	int client = socket(kind->family, kind->type | SOCK_CLOEXEC | flags, 0);

	if (client < 0)
		err(1, "socket");
	return client;
}

static inline void add_client(struct queue *q, int client, bool held, bool late)
{
	if (q->count == MAX_CLIENTS)
		errx(1, "too many clients");
	q->late = late ? client : -1;
	q->held[q->count] = held;
	q->clients[q->count++] = client;
}

/* One more client: IN_QUEUE or TURNED_AWAY. */
static inline enum fate one_more(struct queue *q)
{
	long long drops = lq_netstat("ListenDrops");
	int client = new_client(q->kind, SOCK_NONBLOCK);
	int waiting = 0, error;
	bool in = false, known;

	if (is_tcp(q->kind))
		waiting = queue_waiting(q);
	error = lq_try_connect(client, q->fd);
	if (!is_tcp(q->kind)) {
		in = !error;
		if (error && error != EAGAIN)
			errx(1, "connect: %s", strerror(error));
	} else {
		if (error != EINPROGRESS)
			errx(1, "connect: %s", strerror(error));
		/* The ACK may come after connect() has done its part. */
		known = lq_wait_until(({
			in = finished(client, 0) &&
			     queue_waiting(q) > waiting;
			in || lq_netstat("ListenDrops") > drops;
		}));
		if (!known)
			errx(1, "a client that is neither in nor turned away");
	}
	add_client(q, client, false, !in);
	return in ? IN_QUEUE : TURNED_AWAY;
}

/* Forgets the client that was turned away, and with it its next SYN. */
static inline void drop_late(struct queue *q)
{
	if (q->late < 0)
		return;
	close(q->late);
	q->count--;
	q->late = -1;
}

/* Until one is turned away; how many got in now. */
static inline int fill(struct queue *q)
{
	int in = 0;

	drop_late(q);
	while (one_more(q) == IN_QUEUE)
		in++;
	return in;
}

/* Takes all that wait, until there is none (EAGAIN); how many. */
static inline int accept_all(struct queue *q)
{
	int flags = fcntl(q->fd, F_GETFL), taken = 0, child;

	drop_late(q);
	fcntl(q->fd, F_SETFL, flags | O_NONBLOCK);
	for (;;) {
		child = accept4(q->fd, NULL, NULL, SOCK_CLOEXEC);
		if (child < 0)
			break;
		close(child);
		taken++;
	}
	if (errno != EAGAIN)
		err(1, "accept");
	fcntl(q->fd, F_SETFL, flags);
	return taken;
}

static inline void queue_close(struct queue *q)
{
	for (int i = 0; i < q->count; i++)
		close(q->clients[i]);
	close(q->fd);
	free(q);
}

static inline void attach(int fd, struct sock_filter *code, int len)
{
	struct sock_fprog program = { .len = len, .filter = code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)))
		err(1, "SO_ATTACH_FILTER");
}

static inline void detach(int fd)
{
	const int unused = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
		       sizeof(unused)))
		err(1, "SO_DETACH_FILTER");
}

/*
 * Holds handshakes back before they end, as if packets were lost: at the
 * listener, which drops all of held clients but their SYNs, so that these
 * are connected and their requests half-open. MPTCP's listener takes no
 * filter: there, each client drops the SYN-ACK, and believes in nothing.
 */
static inline bool held_by_clients(const struct queue *q)
{
	return q->kind->protocol == IPPROTO_MPTCP;
}

static inline void hold(struct queue *q)
{
	/* A filter of TCP begins at its header: source port, then flags. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, HELD_PORT, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	if (!held_by_clients(q))
		attach(q->fd, code, ARRAY_SIZE(code));
}

/* Whether the held @client has got a SYN-ACK, or dropped it. */
static inline bool answered(const struct queue *q, int client)
{
	__u32 info[SK_MEMINFO_VARS] = { };
	socklen_t len = sizeof(info);

	if (!held_by_clients(q))
		return finished(client, 0);
	if (getsockopt(client, SOL_SOCKET, SO_MEMINFO, &info, &len))
		err(1, "SO_MEMINFO");
	return info[SK_MEMINFO_DROPS];
}

/* One more client that is held, and not waited for. */
static inline enum fate one_more_held(struct queue *q)
{
	static int next_port = HELD_PORT;
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	const char *host = lq_loopback(q->kind->family);
	struct lq_addr addr = lq_addr(q->kind->family, host, next_port++);
	long long drops = lq_netstat("ListenDrops"), sent = cookies(q);
	int client = new_client(q->kind, SOCK_NONBLOCK);
	enum fate fate = TURNED_AWAY;
	bool known;

	if (lq_try_bind(client, &addr))
		err(1, "bind");
	if (held_by_clients(q))
		attach(client, nothing, ARRAY_SIZE(nothing));
	if (lq_try_connect(client, q->fd) != EINPROGRESS)
		err(1, "connect");
	known = lq_wait_until(({
		if (answered(q, client))
			fate = cookies(q) > sent ? COOKIE : IN_QUEUE;
		fate != TURNED_AWAY || lq_netstat("ListenDrops") > drops;
	}));
	if (!known)
		errx(1, "a request that nothing became of");
	add_client(q, client, true, fate == TURNED_AWAY);
	return fate;
}

/* Until one doesn't get into the SYN queue; how many did. */
static inline int fill_held(struct queue *q)
{
	int in = 0;

	while (one_more_held(q) == IN_QUEUE)
		in++;
	return in;
}

/* Lets go of the held clients. */
static inline void release(struct queue *q)
{
	if (!held_by_clients(q))
		detach(q->fd);
	for (int i = 0; i < q->count && held_by_clients(q); i++)
		if (q->held[i])
			detach(q->clients[i]);
}

/* How many SYNs clients @first and up have sent. */
static inline long long all_syns(const struct queue *q, int first)
{
	long long sum = 0;

	for (int i = first; i < q->count; i++)
		sum += syns_sent(q->clients[i]);
	return sum;
}

/*
 * A full SYN queue is one that holds more than its limit since "tcp/dccp:
 * allow a connection when sk_max_ack_backlog is zero", as the accept queue
 * always was, and held as many before. The change is in 6.13 and was taken
 * into the stable releases of January 2025. No kernel in Documentation/
 * kernels.rst is older.
 */
static inline bool synq_holds_one_more(void)
{
	static const struct {
		int major;
		int minor;
		int patch;
	} since[] = {
		{ 5, 4, 290 }, { 5, 10, 234 }, { 5, 15, 177 }, { 6, 1, 125 },
		{ 6, 6, 72 }, { 6, 12, 10 },
	};
	int major, minor, patch = 0;
	struct utsname name;
	const char *debian;

	if (uname(&name))
		err(1, "uname");
	/* Debian's release names an ABI, its version the stable release. */
	debian = strstr(name.version, "Debian ");
	if (sscanf(debian ? debian + strlen("Debian ") : name.release,
		   "%d.%d.%d", &major, &minor, &patch) < 2)
		errx(1, "which kernel is this?");
	for (size_t i = 0; i < ARRAY_SIZE(since); i++)
		if (major == since[i].major && minor == since[i].minor)
			return patch >= since[i].patch;
	return major > 6 || (major == 6 && minor >= 13);
}

/* How many requests a SYN queue holds under @limit. */
static inline int synq_room(int limit)
{
	return synq_holds_one_more() ? limit + 1 : limit;
}

/* The value of net.core.somaxconn in a new namespace. */
static inline int default_somaxconn(void)
{
	return lq_kernel_before(5, 4) ? 128 : 4096;
}

/* What the module shows of the listener. */
static inline void check_shown(struct __test_metadata *_metadata,
			       long long expected, const struct queue *q,
			       const char *col)
{
	if (!have_module)
		return;
	EXPECT_EQ(expected, lq_num_at(q->fd, col)) {
		TH_LOG("%s", col);
	}
}

/* The same for a figure that hooks count: too low by skipped hits. */
static inline void check_counted(struct __test_metadata *_metadata,
				 long long expected, const struct queue *q,
				 const char *col)
{
	long long lacking;

	if (!have_module)
		return;
	lacking = expected - lq_num_at(q->fd, col);
	EXPECT_LE(0, lacking) {
		TH_LOG("%s: too many", col);
	}
	/* All hooks are read only where it matters. */
	EXPECT_LE(lacking, lacking > 0 ? lq_missed() - q->missed : 0) {
		TH_LOG("%s: too few", col);
	}
}

enum full {
	ACCEPT_QUEUE,
	SYN_QUEUE,
};

/*
 * Each SYN of the client that was turned away last met that @full queue, and
 * none the other one.
 */
static inline void check_met(struct __test_metadata *_metadata,
			     const struct queue *q, enum full full)
{
	bool synq = full == SYN_QUEUE;

	EXPECT_TRUE(lq_wait_until(syns_sent(q->late) ==
				  (synq ? full_drops(q) : overflows(q))));
	EXPECT_EQ(0, synq ? overflows(q) : full_drops(q));
}

/* @complete connections, and then requests until one is turned away. */
static inline int fill_both(struct __test_metadata *_metadata, struct queue *q,
			    int complete)
{
	hold(q);
	for (int i = 0; i < complete; i++)
		EXPECT_EQ(IN_QUEUE, one_more(q));
	return fill_held(q);
}

static inline void check_queues(struct __test_metadata *_metadata,
				const struct queue *q, int acceptq, int synq)
{
	EXPECT_EQ(acceptq, queue_waiting(q));
	/*
	 * A child is queued before it is no longer in SYN_RECV, and requests
	 * outlive their listener, whose port this one may have got.
	 */
	lq_wait_until(half_open(q) == synq);
	EXPECT_EQ(synq, half_open(q));
	check_shown(_metadata, acceptq, q, "acceptq");
	check_shown(_metadata, synq, q, "synq");
}

#endif
