// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq explain on real processes, each brought into one of the states that it
 * tells apart: that finding, and no other. And none of servers that are well.
 */

#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "explanation.h"

#define BACKLOG		8
#define LOOKS		10

static const char *prepare(void)
{
	if (!have(tool_path()))
		return "no listenq(8): make tools, set LISTENQ_TOOL";
	lq_set_somaxconn(4096);
	return NULL;
}

LQ_FIXTURE_RELOADS(explain, LQ_SKIP_FOR(prepare()));

/* ---- servers ---- */

/*
 * A process that listens at @fd, which is bound, and goes on with @serve; in the
 * parent this returns when it listens.
 */
static pid_t serve(int fd, int backlog, void (*serving)(int fd))
{
	int *listens = lq_shared(sizeof(*listens));
	pid_t pid = lq_fork();

	if (!pid) {
		prctl(PR_SET_NAME, "server");
		lq_listen(fd, backlog);
		__atomic_store_n(listens, 1, __ATOMIC_RELEASE);
		serving(fd);
		_exit(1);
	}
	if (!lq_wait_until(__atomic_load_n(listens, __ATOMIC_ACQUIRE)))
		errx(1, "a server does not come up");
	return pid;
}

static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

static void waits(int fd)
{
	for (;;)
		pause();
}

static void accepts(int fd)
{
	for (;;)
		close(accept(fd, NULL, NULL));
}

static void accepts_slowly(int fd)
{
	for (;;) {
		close(accept(fd, NULL, NULL));
		pause_ms(100);
	}
}

static void spins(int fd)
{
	for (;;)
		;
}

static void *spins_too(void *fd)
{
	spins(0);
	return NULL;
}

static void has_a_thread_that_spins(int fd)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, spins_too, NULL))
		pthread_join(thread, NULL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *locks(void *unused)
{
	pthread_mutex_lock(&mutex);
	return NULL;
}

static void waits_for_a_lock(int fd)
{
	pthread_mutex_lock(&mutex);
	locks(NULL);
}

static void waits_for_locks(int fd)
{
	pthread_t thread;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, locks, NULL))
			err(1, "a thread");
	locks(NULL);
}

/* A parent is in uninterruptible sleep until its vfork()ed child lets it go. */
static void sleeps_uninterruptibly(int fd)
{
	pid_t pid = vfork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd);
		for (;;)
			pause();
	}
}

/* As a server that looks again and again whether there is a descriptor now. */
static void has_no_descriptors(int fd)
{
	int next = dup(fd);
	const struct rlimit limit = { next, 4096 };

	close(next);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "RLIMIT_NOFILE");
	for (;;) {
		accept(fd, NULL, NULL);
		pause_ms(20);
	}
}

/* ---- clients ---- */

/* Some that wait, and do so for long enough to be felt. */
static void wait_long(int fd)
{
	for (int i = 0; i < 3; i++)
		lq_enqueue(fd);
	if (!lq_wait_until(lq_num(fd, "acceptq_oldest_ms") > 1000))
		errx(1, "nobody waits");
}

/* So many at once, each of which stays until it is accepted or given up. */
static void burst(int fd, int count)
{
	struct lq_addr addr = lq_name(fd);
	int client;

	for (int i = 0; i < count; i++) {
		client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (client < 0 ||
		    (connect(client, &addr.sa, addr.len) &&
		     errno != EINPROGRESS))
			err(1, "client %d", i);
	}
}

/*
 * Clients who come and go until they are killed, one after the other: at a distance of
 * @pause milliseconds; 0: each when the server has closed the connection before, so that
 * no more than one waits, however late the server gets its processor.
 */
static pid_t come_and_go(int fd, int pause)
{
	pid_t pid = lq_fork();
	int client;
	char byte;

	if (pid)
		return pid;
	for (int i = 0; ; i++) {
		client = lq_connect(fd);
		if (!pause && read(client, &byte, 1))
			errx(1, "the server has something to say");
		close(client);
		if (pause)
			pause_ms(pause);
		else
			lq_breathe(i);
	}
}

/* ---- what is found ---- */

/* That and nothing else, of all listeners; and the text of it fits. */
#define EXPECT_FOUND(finding)						\
do {									\
	const char *__finding = (finding);				\
	int __status = *__finding ? WRONG : DONE;			\
									\
	EXPECT_RUN(__status, tool("explain -j"));			\
	EXPECT_STREQ(__finding, found()) {				\
		TH_LOG("%s", output);					\
	}								\
	EXPECT_RUN(__status, tool("explain -i 0.5"));			\
	EXPECT_TRUE(fits(80));						\
	printf("# %s\n", unwrapped());					\
} while (0)

/* A server that does not accept, as @serving does not. */
#define EXPECT_STALLED(finding, serving)				\
do {									\
	int __fd = lq_bound_loopback(AF_INET);				\
	pid_t __pid = serve(__fd, BACKLOG, serving);			\
									\
	wait_long(__fd);						\
	EXPECT_FOUND(finding);						\
	lq_kill(__pid);							\
	close(__fd);							\
} while (0)

TEST_F(explain, stopped)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid = serve(fd, BACKLOG, accepts);
	char text[64];

	kill(pid, SIGSTOP);
	if (!lq_wait_until(lq_state(pid) == 'T'))
		errx(1, "it goes on");
	wait_long(fd);
	EXPECT_FOUND("stopped");
	snprintf(text, sizeof(text), "kill -CONT %d\n", pid);
	EXPECT_TRUE(says(text));

	/* What it says helps. */
	run("%s", text);
	if (!lq_wait_until(!lq_num(fd, "acceptq")))
		errx(1, "it does not go on");
	EXPECT_FOUND("");
	lq_kill(pid);
}

TEST_F(explain, uninterruptible)
{
	EXPECT_STALLED("uninterruptible", sleeps_uninterruptibly);
}

TEST_F(explain, no_descriptors)
{
	EXPECT_STALLED("no-descriptors", has_no_descriptors);
}

TEST_F(explain, busy)
{
	EXPECT_STALLED("busy", spins);
}

TEST_F(explain, busy_thread)
{
	EXPECT_STALLED("busy", has_a_thread_that_spins);
}

TEST_F(explain, blocked)
{
	EXPECT_STALLED("blocked", waits_for_a_lock);
	EXPECT_TRUE(says("(futex)"));
}

TEST_F(explain, all_blocked)
{
	EXPECT_STALLED("blocked", waits_for_locks);
	EXPECT_TRUE(says("4 of 4 threads asleep"));
}

/* A master that only opened the socket, and the worker that has it. */
static void has_a_stopped_worker(int fd)
{
	pid_t pid = lq_fork();

	if (!pid) {
		prctl(PR_SET_NAME, "worker");
		kill(getpid(), SIGSTOP);
	}
	close(fd);
	waits(fd);
}

TEST_F(explain, worker)
{
	EXPECT_STALLED("stopped", has_a_stopped_worker);
	EXPECT_TRUE(says("worker (pid"));
}

/* Who called listen() is gone, and so are all others. */
TEST_F(explain, orphan)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid = serve(fd, BACKLOG, waits);

	lq_kill(pid);
	wait_long(fd);
	EXPECT_FOUND("blocked");
	close(fd);
}

/* One of two workers of a group does something else. */
TEST_F(explain, group)
{
	int lazy = lq_bound_shared(AF_INET, "127.0.0.1", 0);
	int diligent = lq_bound_shared(AF_INET, "127.0.0.1", lq_port(lazy));
	pid_t pids[] = {
		serve(lazy, BACKLOG, waits_for_a_lock),
		serve(diligent, BACKLOG, accepts),
	};
	int waiting = 0, limit;

	while (waiting < 3) {
		lq_connect(lazy);
		lq_tcp_queue(lazy, &waiting, &limit);
	}
	if (!lq_wait_until(lq_num(lazy, "acceptq_oldest_ms") > 1000 &&
			   !lq_num(diligent, "acceptq")))
		errx(1, "nobody waits");
	EXPECT_FOUND("group-starved");
	EXPECT_TRUE(says("Of the 2 sockets"));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		lq_kill(pids[i]);
}

TEST_F(explain, slow)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t server = serve(fd, 16 * BACKLOG, accepts_slowly);
	pid_t clients = come_and_go(fd, 20);

	/* Before it is full: a client whose SYN is refused comes again a second later. */
	if (!lq_wait_until(lq_num(fd, "acceptq_oldest_ms") > 2000))
		errx(1, "the queue does not fill");
	EXPECT_FOUND("slow");
	lq_kill(clients);
	lq_kill(server);
}

/* A burst of 20 that the queue of a server at @fd has no room for, and is over. */
static pid_t burst_and_drain(int fd, int backlog)
{
	pid_t pid = serve(fd, backlog, accepts);

	kill(pid, SIGSTOP);
	burst(fd, 20);
	if (!lq_wait_until(lq_num(fd, "overflows") > 0))
		errx(1, "no overflow");
	kill(pid, SIGCONT);
	if (!lq_wait_until(!lq_num(fd, "acceptq") && !lq_num(fd, "synq")))
		errx(1, "the queue does not drain");
	return pid;
}

TEST_F(explain, burst_asked)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid = burst_and_drain(fd, BACKLOG);

	EXPECT_FOUND("burst-asked");
	EXPECT_TRUE(says("asked for 8 itself"));
	lq_kill(pid);
}

/* What was true when listen() was called need not be true any more. */
TEST_F(explain, burst_somaxconn)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid;

	lq_set_somaxconn(BACKLOG);
	pid = burst_and_drain(fd, 511);
	EXPECT_FOUND("burst-somaxconn");
	EXPECT_TRUE(says("sysctl -w net.core.somaxconn="));
	EXPECT_FALSE(strstr(output, "Today"));
	lq_set_somaxconn(4096);
	EXPECT_FOUND("burst-somaxconn");
	EXPECT_TRUE(says("Today somaxconn is 4096"));
	lq_kill(pid);
}

TEST_F(explain, burst_rule)
{
	int fd = lq_bound_loopback(AF_INET);
	pid_t pid;

	ASSERT_EQ(0, lq_clampf("%d force %d", lq_port(fd), BACKLOG));
	pid = burst_and_drain(fd, 511);
	EXPECT_FOUND("burst-rule");
	lq_kill(pid);
}

/* A listener from before the load has no "asked" that a rule could work on. */
TEST_F(explain, rule_idle)
{
	int fd = lq_bound_loopback(AF_INET);
	char text[64];
	pid_t pid;

	ASSERT_EQ(0, lq_unload());
	pid = serve(fd, 128, accepts);
	ASSERT_EQ(0, lq_load());
	ASSERT_EQ(0, lq_clampf("%d somaxconn 1000", lq_port(fd)));
	EXPECT_FOUND("rule-idle");
	EXPECT_TRUE(says("The module has been counting for"));

	/* What it says helps. */
	snprintf(text, sizeof(text), "clamp %d floor 1000", lq_port(fd));
	EXPECT_TRUE(says(text));
	ASSERT_EQ(0, lq_clampf("%d floor 1000", lq_port(fd)));
	EXPECT_EQ(1000, lq_num(fd, "limit"));
	EXPECT_FOUND("");
	lq_kill(pid);
}

/* ---- SYNs that nobody's clients send ---- */

/* A server at all addresses, and @count SYNs to it whose SYN-ACKs go nowhere. */
static pid_t flood(int *fd, int backlog, int count)
{
	pid_t pid;

	lq_dummy_up();
	*fd = lq_bound(AF_INET, "0.0.0.0", 0);
	pid = serve(*fd, backlog, accepts);
	lq_send_syns(AF_INET, lq_port(*fd), 0, count);
	return pid;
}

static void wait_until_old(int fd)
{
	if (!lq_wait_until(lq_num(fd, "synq") >= 9 &&
			   lq_num(fd, "synq_young") * 2 <= lq_num(fd, "synq")))
		errx(1, "SYN-ACKs are not sent again");
}

TEST_F(explain, flood)
{
	pid_t pid;
	int fd;

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	pid = flood(&fd, 2 * BACKLOG, 60);
	wait_until_old(fd);
	EXPECT_FOUND("syn-flood");
	EXPECT_TRUE(says("network"));
	lq_kill(pid);
}

TEST_F(explain, dropped)
{
	pid_t pid;
	int fd;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 4096);
	pid = flood(&fd, BACKLOG, 60);
	EXPECT_FOUND("syn-drops");
	lq_kill(pid);
}

TEST_F(explain, reserved)
{
	pid_t pid;
	int fd;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 64);
	pid = flood(&fd, 256, 200);
	EXPECT_FOUND("syn-reserved");
	EXPECT_TRUE(strstr(unwrapped(), "from 48 requests on"));
	lq_kill(pid);
}

TEST_F(explain, unfinished)
{
	pid_t pid;
	int fd;

	pid = flood(&fd, 128, 40);
	wait_until_old(fd);
	EXPECT_FOUND("unfinished");
	lq_kill(pid);
}

/* Strangers take the SYN queue; real clients get in by cookies. */
TEST_F(explain, cookies)
{
	pid_t pid;
	int fd;

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	pid = flood(&fd, BACKLOG, BACKLOG + 1);
	/* One by one: the accept queue is never full. */
	for (int i = 0; i < 20; i++) {
		lq_connect(fd);
		ASSERT_TRUE(lq_wait_until(!lq_num(fd, "acceptq")));
	}
	EXPECT_FOUND("syn-cookies");
	lq_kill(pid);
}

TEST_F(explain, closed)
{
	int other = lq_listener(AF_INET, BACKLOG);
	int fd = lq_listener(AF_INET, BACKLOG);

	for (int i = 0; i < 5; i++)
		lq_enqueue(fd);
	close(fd);
	EXPECT_FOUND("closed");
	EXPECT_TRUE(says("5 connections were lost"));
	EXPECT_TRUE(strstr(unwrapped(), "Nothing is wrong with 1 listener"));
	close(other);
}

/* In another namespace, by the number of a process in it. */
TEST_F(explain, elsewhere)
{
	int port;
	pid_t pid = listen_elsewhere("elsewhere", 3, &port);
	char text[64];

	EXPECT_FOUND("");
	if (!lq_wait_until(tool("-N %d explain -j", pid) == WRONG))
		errx(1, "%s", output);
	EXPECT_STREQ("blocked", found());
	snprintf(text, sizeof(text), "\"netns\": \"%d\"", pid);
	EXPECT_TRUE(says(text));
	EXPECT_RUN(WRONG, tool("-a explain -p %d", port));
	EXPECT_TRUE(says("elsewhere: the program is blocked"));
	EXPECT_TRUE(fits(80));
	lq_kill(pid);
}

/* ---- servers that are well ---- */

/* One that is idle, one under load, and two of a group. */
TEST_F(explain, healthy)
{
	int fds[4];
	pid_t pids[5];
	int count = 0;

	fds[0] = lq_bound_loopback(AF_INET);
	fds[1] = lq_bound_loopback(AF_INET);
	fds[2] = lq_bound_shared(AF_INET, "127.0.0.1", 0);
	fds[3] = lq_bound_shared(AF_INET, "127.0.0.1", lq_port(fds[2]));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		pids[count++] = serve(fds[i], 128, accepts);
	pids[count++] = come_and_go(fds[1], 0);
	for (int i = 0; i < LOOKS; i++) {
		lq_connect(fds[2]);
		EXPECT_FOUND("");
		EXPECT_STREQ("Nothing is wrong with 4 listeners.\n", output);
	}
	while (count--)
		lq_kill(pids[count]);
}

TEST_HARNESS_MAIN
