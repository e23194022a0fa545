/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of a listener's queues share: clients that come one by one,
 * and what became of each, as client and kernel see it. None of it needs the
 * module. Each test is a process of its own, in a network namespace of its
 * own, so that all counters of /proc/net/netstat begin at 0.
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
	/* Of the namespace, when the listener was made. */
	long long overflows;
	long long full_drops;
	long long cookies;
};

/* NULL where the queue of such a listener can be looked at. */
static inline const char *no_such_queue(const struct lq_kind *kind)
{
	int fd = lq_kind_socket(kind, 0), waiting, limit;
	const char *why = NULL;

	if (fd < 0)
		return "the kernel has no such sockets";
	lq_listen(fd, 0);
	if (!lq_tcp_queue(fd, &waiting, &limit))
		why = "MPTCP that tells nothing of its listeners";
	close(fd);
	return why;
}

static inline void queue_open(struct queue *q, const struct lq_kind *kind,
			      int backlog)
{
	*q = (struct queue) { .kind = kind, .late = -1 };
	lq_write_file("/proc/sys/net/ipv4/ip_local_port_range", OTHER_PORTS);
	q->overflows = lq_netstat("ListenOverflows");
	q->full_drops = lq_netstat("TCPReqQFullDrop");
	q->cookies = lq_netstat("SyncookiesSent");
	q->fd = lq_kind_listener(kind, backlog);
}

static inline int queue_waiting(const struct queue *q)
{
	int waiting, limit;

	if (!lq_tcp_queue(q->fd, &waiting, &limit))
		errx(1, "a listener without TCP_INFO");
	return waiting;
}

static inline int queue_limit(const struct queue *q)
{
	int waiting, limit;

	if (!lq_tcp_queue(q->fd, &waiting, &limit))
		errx(1, "a listener without TCP_INFO");
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
	int error;
	socklen_t len = sizeof(error);

	if (getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len))
		err(1, "SO_ERROR");
	return error;
}

/* Those of MPTCP listeners are of plain TCP: it is the same queue. */
static inline int new_client(const struct lq_kind *kind, int flags)
{
	int client = socket(kind->family, kind->type | SOCK_CLOEXEC | flags, 0);

	if (client < 0)
		err(1, "socket");
	return client;
}

/* One more client: IN_QUEUE or TURNED_AWAY. Keeps the last one in @q->late. */
static inline enum fate one_more(struct queue *q)
{
	long long drops = lq_netstat("ListenDrops");
	int client = new_client(q->kind, SOCK_NONBLOCK);
	int waiting = 0, error;
	bool in = false, known;

	if (q->count == MAX_CLIENTS)
		errx(1, "too many clients");
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
	q->late = in ? -1 : client;
	q->clients[q->count++] = client;
	return in ? IN_QUEUE : TURNED_AWAY;
}

/* Forgets the client that was turned away, and with it its next SYN. */
static inline void drop_late(struct queue *q)
{
	if (q->late < 0)
		return;
	close(q->late);
	q->held[--q->count] = false;
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

	if (q->count == MAX_CLIENTS)
		errx(1, "too many clients");
	if (bind(client, &addr.sa, addr.len))
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
	q->late = fate == TURNED_AWAY ? client : -1;
	q->held[q->count] = true;
	q->clients[q->count++] = client;
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

/* A byte, which carries the final ACK again. */
static inline void send_byte(int client)
{
	if (send(client, "x", 1, MSG_NOSIGNAL) != 1)
		err(1, "send");
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

/* The hits that had been skipped when the test began. */
static long long missed_before;

/* A figure of the listener's that hooks count: too low by skipped hits. */
static inline void check_counted(struct __test_metadata *_metadata,
				 long long expected, const struct queue *q,
				 const char *col)
{
	long long shown = lq_num_at(q->fd, col);

	EXPECT_GE(expected, shown) {
		TH_LOG("%s: too many", col);
	}
	EXPECT_LE(expected - (lq_missed() - missed_before), shown) {
		TH_LOG("%s: too few", col);
	}
}

#endif
