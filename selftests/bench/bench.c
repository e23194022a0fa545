// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one piece of work costs, in nanoseconds, which are instructions where
 * the machine's clock counts those (bench.sh):
 *
 *	bench connect		connect, accept and close of one connection
 *	bench unix [full]	connect, accept and close of one connection of AF_UNIX;
 *				or a connect that gets EAGAIN
 *	bench listen		listen and close of one listener
 *	bench burst COUNT	one of so many first listen() calls in a row
 *	bench syn accept|SYN COOKIES	a SYN for a listener whose accept queue,
 *				or SYN queue, is full, with tcp_syncookies as
 *				said; the sender's part included
 *	bench drop		a segment whose checksum is wrong, so that no socket
 *				is looked for; likewise
 *	bench write FILE TEXT	a write() of TEXT to FILE
 *	bench run COMMAND...	a command, its output thrown away
 *	bench rate SECONDS	how many connections a second all processors make
 *	bench hold LISTENERS ESTABLISHED GROUP	holds that many sockets, GROUP
 *				of them listeners of one SO_REUSEPORT group, until its
 *				standard input ends; says when it has them
 *	bench fentry FUNCTION...	counts calls and returns of these by BPF, and
 *				says so, until its standard input ends
 *
 * Connect, unix, listen, syn and drop print the first decile of many, in a network namespace
 * of their own: what happens now and then (a timer's tick, a slab that is full)
 * is not part of the work. Their own clock is subtracted. Burst prints the mean,
 * with all that happens meanwhile. Write and run print the processor time that
 * the process was given, so waiting is free.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fentry.h"
#include "../listenq.h"

#define ROUNDS		2000
#define SYN_ROUNDS	400	/* of SYNS each */
#define PORT		80

static long long now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const long long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void nothing(int round)
{
}

static long long time_of(void (*work)(int round), int round)
{
	long long start = now(CLOCK_MONOTONIC);

	work(round);
	return now(CLOCK_MONOTONIC) - start;
}

/*
 * What @work(round) costs when nothing comes between: the first decile. Each
 * round is after @prepare(round).
 */
static long long cost_of(void (*work)(int round), void (*prepare)(int round),
			 int rounds)
{
	static long long cost[ROUNDS];

	for (int round = 0; round < rounds; round++) {
		prepare(round);
		/* ksoftirqd may have some of the last round's work left. */
		sched_yield();
		cost[round] = time_of(work, round) - time_of(nothing, round);
	}
	qsort(cost, rounds, sizeof(*cost), by_value);
	return cost[rounds / 10];
}

static void allow_files(rlim_t count)
{
	const struct rlimit files = { count, count };

	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
}

/* An address and a port of its own for each. */
static struct lq_addr nth(int net, int i)
{
	char host[INET_ADDRSTRLEN];

	snprintf(host, sizeof(host), "127.%d.%d.1", net + i / 200000,
		 1 + i / 1000 % 200);
	return lq_addr(AF_INET, host, 10000 + i % 1000);
}

static int socket_at(struct lq_addr addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, &addr.sa, addr.len))
		err(1, "a socket");
	return fd;
}

/* ---- connect ---- */

static int listener;

static void connection(int i)
{
	const struct linger abort = { .l_onoff = 1 };
	struct lq_addr from = lq_addr(AF_INET, "127.0.0.1", 10000 + i);
	struct lq_addr to = lq_addr(AF_INET, "127.0.0.1", PORT);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	int server;

	if (bind(client, &from.sa, from.len) ||
	    connect(client, &to.sa, to.len))
		err(1, "connect");
	server = accept(listener, NULL, NULL);
	if (server < 0)
		err(1, "accept");
	/* Nothing is left in TIME_WAIT for later rounds to meet. */
	if (setsockopt(server, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)))
		err(1, "SO_LINGER");
	close(server);
	close(client);
}

static void bench_connect(void)
{
	listener = lq_bound(AF_INET, "127.0.0.1", PORT);
	lq_listen(listener, 100);
	printf("%lld\n", cost_of(connection, nothing, ROUNDS));
}

/* ---- unix ---- */

static struct sockaddr_un local;
static socklen_t local_len;

static int unix_client(void)
{
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (client < 0)
		err(1, "socket");
	return client;
}

static void unix_connection(int i)
{
	int client = unix_client(), server;

	if (connect(client, (struct sockaddr *)&local, local_len))
		err(1, "connect");
	server = accept(listener, NULL, NULL);
	if (server < 0)
		err(1, "accept");
	close(server);
	close(client);
}

static void unix_refusal(int i)
{
	int client = unix_client();

	if (!connect(client, (struct sockaddr *)&local, local_len) ||
	    errno != EAGAIN)
		err(1, "connect");
	close(client);
}

/* By an abstract name, which costs the kernel least to find. */
static void bench_unix(bool full)
{
	local.sun_family = AF_UNIX;
	local_len = sizeof(local.sun_family) + 6;
	memcpy(local.sun_path, "\0bench", 6);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&local, local_len))
		err(1, "bind");
	lq_listen(listener, 0);
	if (full && connect(unix_client(), (struct sockaddr *)&local, local_len))
		err(1, "connect");
	printf("%lld\n", cost_of(full ? unix_refusal : unix_connection, nothing,
				 ROUNDS));
}

/* ---- listen ---- */

/* Bound ones, made before the clock runs. */
static int bound[ROUNDS];

static void listen_and_close(int i)
{
	listen(bound[i], 100);
	close(bound[i]);
}

static void bench_listen(void)
{
	allow_files(ROUNDS + 100);
	for (int i = 0; i < ROUNDS; i++)
		bound[i] = lq_bound(AF_INET, "127.0.0.1", 1024 + i);
	printf("%lld\n", cost_of(listen_and_close, nothing, ROUNDS));
}

/* ---- burst ---- */

/* Whoever has to make room for more runs meanwhile, too. */
static void bench_burst(int count)
{
	int *fds = calloc(count, sizeof(*fds));
	long long start;

	if (!fds)
		err(1, "calloc");
	allow_files(count + 100);
	for (int i = 0; i < count; i++)
		fds[i] = socket_at(nth(1, i));
	start = now(CLOCK_MONOTONIC);
	for (int i = 0; i < count; i++)
		lq_listen(fds[i], 100);
	printf("%lld\n", (now(CLOCK_MONOTONIC) - start) / count);
}

/* ---- syn ---- */

/* As many as are timed at once, made before the clock runs. */
#define SYNS	16

static struct {
	int fd;
	struct lq_addr to;
	char packets[SYNS][LQ_SYN_SIZE];
	size_t length;
} flood;

static void prepare_syns(int round)
{
	for (int i = 0; i < SYNS; i++)
		flood.length = lq_make_syn(AF_INET, PORT, round * SYNS + i,
					   flood.packets[i]);
}

static void send_syns(int round)
{
	for (int i = 0; i < SYNS; i++)
		sendto(flood.fd, flood.packets[i], flood.length, 0,
		       &flood.to.sa, flood.to.len);
}

static void prepare_drops(int round)
{
	prepare_syns(round);
	for (int i = 0; i < SYNS; i++)
		flood.packets[i][flood.length - 1] ^= 1;
}

static void flood_open(void)
{
	lq_dummy_up();
	flood.fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (flood.fd < 0)
		err(1, "raw socket");
	flood.to = lq_dummy_addr(AF_INET);
}

static void bench_drop(void)
{
	flood_open();
	printf("%lld\n", cost_of(send_syns, prepare_drops, SYN_ROUNDS) / SYNS);
}

static void bench_syn(const char *queue, int cookies)
{
	const int backlog = 4;

	flood_open();
	listener = lq_bound(AF_INET, "0.0.0.0", PORT);
	lq_listen(listener, backlog);
	lq_set_sysctl("ipv4/tcp_syncookies", cookies);
	if (!strcmp(queue, "SYN")) {
		lq_send_syns(AF_INET, PORT, SYN_ROUNDS * SYNS,
			     2 * backlog);
	} else {
		for (int i = 0; i <= backlog; i++)
			lq_connect(listener);
	}
	printf("%lld\n", cost_of(send_syns, prepare_syns, SYN_ROUNDS) / SYNS);
}

/* ---- commands ---- */

static void bench_write(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	size_t length = strlen(text);
	long long start;

	if (fd < 0)
		err(1, "%s", file);
	start = now(CLOCK_THREAD_CPUTIME_ID);
	if (write(fd, text, length) != (ssize_t)length)
		err(1, "write %s", file);
	printf("%lld\n", now(CLOCK_THREAD_CPUTIME_ID) - start);
}

static long long microseconds(struct timeval time)
{
	return time.tv_sec * 1000000LL + time.tv_usec;
}

static void bench_run(char *argv[])
{
	struct rusage usage;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		err(1, "%s", argv[0]);
	}
	if (wait4(pid, &status, 0, &usage) != pid || status)
		errx(1, "%s failed", argv[0]);
	printf("%lld\n", 1000 * (microseconds(usage.ru_utime) +
				 microseconds(usage.ru_stime)));
}

/* ---- rate ---- */

/* A server and a client on each processor, all of them at the same time. */
static long connections(int cpu, long long end)
{
	const struct linger abort = { .l_onoff = 1 };
	struct lq_addr to = lq_addr(AF_INET, "127.0.0.1", PORT + cpu);
	int server = lq_bound(AF_INET, "127.0.0.1", PORT + cpu);
	cpu_set_t cpus;
	long count;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	lq_listen(server, 100);
	for (count = 0; now(CLOCK_MONOTONIC) < end; count++) {
		int client = socket(AF_INET, SOCK_STREAM, 0);
		int accepted;

		if (connect(client, &to.sa, to.len))
			err(1, "connect");
		accepted = accept(server, NULL, NULL);
		if (accepted < 0)
			err(1, "accept");
		setsockopt(accepted, SOL_SOCKET, SO_LINGER, &abort,
			   sizeof(abort));
		close(accepted);
		close(client);
	}
	return count;
}

static void bench_rate(int seconds)
{
	long long start = now(CLOCK_MONOTONIC);
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long *counts = lq_shared(cpus * sizeof(*counts));
	pid_t pids[cpus];
	long sum = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		pids[cpu] = lq_fork();
		if (!pids[cpu]) {
			counts[cpu] = connections(cpu, start +
						  seconds * 1000000000LL);
			_exit(0);
		}
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		if (lq_reap(pids[cpu]))
			errx(1, "a client failed");
		sum += counts[cpu];
	}
	printf("%ld\n", sum / seconds);
}

/* ---- hold ---- */

/* Established without a peer, as checkpoint/restore does it (TCP_REPAIR). */
static void establish(int i)
{
	struct lq_addr to = lq_addr(AF_INET, "127.0.0.1", 9);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct lq_addr from = nth(64, i);
	int on = 1;

	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    bind(fd, &from.sa, from.len) || connect(fd, &to.sa, to.len))
		err(1, "an established socket");
}

/* All of a group are in one bucket of the kernel's hash. */
static int group_socket(void)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", 9999);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const int on = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    bind(fd, &addr.sa, addr.len))
		err(1, "a socket of the group");
	return fd;
}

static void until_released(void)
{
	char byte;

	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static void bench_hold(int listeners, int established, int group)
{
	allow_files(listeners + established + group + 100);
	for (int i = 0; i < listeners; i++)
		lq_listen(socket_at(nth(1, i)), 100);
	for (int i = 0; i < established; i++)
		establish(i);
	for (int i = 0; i < group; i++)
		lq_listen(group_socket(), 100);
	until_released();
}

static void bench_fentry(char *functions[])
{
	const char *lacks = fentry_lacks();

	if (lacks)
		errx(1, "%s", lacks);
	for (int i = 0; functions[i]; i++)
		if (!fentry_attach(i, functions[i]))
			warnx("BPF can't attach to %s", functions[i]);
	until_released();
	fentry_detach();
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "run") && argc > 2) {
		bench_run(argv + 2);
	} else if (!strcmp(what, "write") && argc == 4) {
		bench_write(argv[2], argv[3]);
	} else if (!strcmp(what, "hold") && argc == 5) {
		bench_hold(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	} else if (!strcmp(what, "fentry") && argc > 2) {
		bench_fentry(argv + 2);
	} else {
		lq_new_netns();
		if (!strcmp(what, "connect"))
			bench_connect();
		else if (!strcmp(what, "unix"))
			bench_unix(argc > 2);
		else if (!strcmp(what, "listen"))
			bench_listen();
		else if (!strcmp(what, "burst") && argc == 3)
			bench_burst(atoi(argv[2]));
		else if (!strcmp(what, "syn") && argc == 4)
			bench_syn(argv[2], atoi(argv[3]));
		else if (!strcmp(what, "drop"))
			bench_drop();
		else if (!strcmp(what, "rate") && argc == 3)
			bench_rate(atoi(argv[2]));
		else
			errx(2, "see the top of bench.c");
	}
	return 0;
}
