// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user without any capability hides of others by calls of listen()
 * that wait for ever, or that are many: nothing.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <linux/userfaultfd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "listenq.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

#define START		"inet_csk_listen_start"
#define ASK		"__sys_listen"

#define USER		1000
#define MOST_USERS	12
#define OTHER_USER	2000
#define SERVERS		2

/* What the user's listener asks for, and those who wait to adjust it. */
#define FIRST_BACKLOG	100
#define BACKLOG		1000

#define MOST_SOCKETS	7
#define ROUNDS		lq_scaled(12)
#define PASSERS		lq_scaled(4000)
#define FLOODS		2

/* What is asked of a listen(-1), and of nobody else. */
#define NOBODY_ASKS	77

/* ---- a socket's lock, held until a page comes ---- */

/*
 * IP_OPTIONS and TCP_MD5SIG read the option from user memory with the socket
 * locked (do_ip_setsockopt(), tcp_v4_parse_md5_keys()), in every kernel so
 * far and for everybody. The first four bytes are read before that in places,
 * so they are on a page that is there.
 */
struct option {
	int level;
	int name;
	int length;
};

static const struct option ip_options = { IPPROTO_IP, IP_OPTIONS, 40 };
static const struct option md5sig = {
	IPPROTO_TCP, TCP_MD5SIG, sizeof(struct tcp_md5sig),
};

struct hold {
	const struct option *option;
	int fd;
	char *page;	/* behind one that is there */
	pthread_t thread;
};

/* Of a process that holds locks: all else is in other processes. */
static struct {
	struct hold holds[MOST_SOCKETS];
	int count;
	int faults;
	int go;
	atomic_int error;
} holder;

static void *set_option(void *arg)
{
	const struct hold *hold = arg;
	const struct option *option = hold->option;

	if (setsockopt(hold->fd, option->level, option->name, hold->page - 4,
		       option->length))
		holder.error = errno;
	return NULL;
}

/* Once somebody says so, all pages come. */
static void *bring_pages(void *unused)
{
	char byte;

	if (read(holder.go, &byte, 1) != 1)
		return NULL;
	for (int i = 0; i < holder.count; i++) {
		struct uffdio_zeropage zero = {
			.range = {
				.start = (unsigned long)holder.holds[i].page,
				.len = getpagesize(),
			},
		};

		if (ioctl(holder.faults, UFFDIO_ZEROPAGE, &zero))
			err(1, "UFFDIO_ZEROPAGE");
	}
	return NULL;
}

/* Until all of them wait for their pages. */
static void wait_for_faults(void)
{
	struct pollfd fault = { .fd = holder.faults, .events = POLLIN };
	long long deadline = lq_now_ms() + 60000;
	struct uffd_msg message;
	int waiting = 0;

	while (waiting < holder.count) {
		if (holder.error == ENOPROTOOPT)
			lq_skip("the kernel has no such socket option");
		if (holder.error || lq_now_ms() > deadline)
			errx(1, "nobody asks for the page: %s",
			     strerror(holder.error));
		if (poll(&fault, 1, 10) == 1 &&
		    read(holder.faults, &message, sizeof(message)) > 0)
			waiting++;
	}
}

/*
 * The user's process that locks each of @fds, and unlocks them when it is
 * killed, or when there is something to read from @go. -1 where there can be
 * no such process.
 */
static pid_t hold_locks(const struct option *option, const int *fds, int count,
			int go)
{
	pid_t pid = lq_fork_ready();
	pthread_t thread;

	if (pid)
		return pid;
	/* While this is root still. */
	holder.faults = lq_open_faults();
	holder.count = count;
	holder.go = go;
	for (int i = 0; i < count; i++)
		holder.holds[i] = (struct hold){
			.option = option, .fd = fds[i],
			.page = lq_faulting_page(holder.faults),
		};
	lq_become_user(USER);
	for (int i = 0; i < count; i++)
		if (pthread_create(&holder.holds[i].thread, NULL, set_option,
				   &holder.holds[i]))
			errx(1, "no thread");
	wait_for_faults();
	if (pthread_create(&thread, NULL, bring_pages, NULL))
		errx(1, "no thread");
	lq_stay();
	return 0;
}

/* ---- those who wait inside listen() ---- */

/*
 * Asleep inside listen(): of a task that sleeps in a system call,
 * /proc/PID/syscall has the number.
 */
static bool is_in_listen(pid_t pid, const char *tid)
{
	char path[300];
	FILE *file;
	int call = -1;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, tid);
	file = fopen(path, "r");
	if (!file)
		err(1, "%s", path);
	if (fscanf(file, "%d", &call) != 1)
		call = -1;
	fclose(file);
	return call == SYS_listen;
}

/* Polls until all threads of @pid's but the first one are. */
static int wait_in_listen(pid_t pid)
{
	struct dirent *entry;
	char path[32];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		err(1, "%s", path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == pid)
			continue;
		if (!lq_wait_until(is_in_listen(pid, entry->d_name)))
			errx(1, "a thread is not in listen()");
		count++;
	}
	closedir(dir);
	return count;
}

static atomic_int *returned;

static void *call_listen(void *arg)
{
	const int *fd = arg;

	if (!listen(*fd, BACKLOG))
		++*returned;
	return NULL;
}

/* A process of @uid's with @threads inside listen(), dealt out among @fds. */
static pid_t crowd(int uid, const int *fds, int count, int threads)
{
	const struct rlimit many = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = lq_fork_ready();
	pthread_attr_t small;
	pthread_t thread;

	if (pid) {
		if (wait_in_listen(pid) != threads)
			errx(1, "there are other threads than %d", threads);
		return pid;
	}
	if (setrlimit(RLIMIT_NPROC, &many))
		err(1, "RLIMIT_NPROC");
	lq_become_user(uid);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread, &small, call_listen,
				   (void *)&fds[i % count]))
			errx(1, "no thread number %d", i);
	lq_stay();
	return 0;
}

/* A socket of @uid's, which listens already or not yet. */
static int socket_of(int uid, bool listens)
{
	int fd;

	if (seteuid(uid))
		err(1, "seteuid(%d)", uid);
	fd = lq_bound_loopback(AF_INET);
	if (listens)
		lq_listen(fd, FIRST_BACKLOG);
	if (seteuid(0))
		err(1, "seteuid(0)");
	return fd;
}

/* ---- the servers of root and of another user ---- */

struct order {
	int backlog;
	bool again;
};

struct answer {
	int port;
	int limit;	/* -1 where this kernel doesn't tell */
};

struct server {
	pid_t pid;
	int uid;
	int orders;
	struct answer answer;
	int asked;
};

static void serve(int orders)
{
	struct order order;
	int fd = -1;

	while (recv(orders, &order, sizeof(order), 0) == sizeof(order)) {
		struct answer answer;
		int waiting;

		if (!order.again) {
			close(fd);
			fd = lq_bound_loopback(AF_INET);
		}
		lq_listen(fd, order.backlog);
		answer.port = lq_port(fd);
		if (!lq_tcp_queue(fd, &waiting, &answer.limit))
			answer.limit = -1;
		if (send(orders, &answer, sizeof(answer), 0) != sizeof(answer))
			err(1, "send");
	}
	_exit(0);
}

static void start_servers(struct server *servers)
{
	static const int uids[SERVERS] = { 0, OTHER_USER };

	for (int i = 0; i < SERVERS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			err(1, "socketpair");
		servers[i] = (struct server){ .uid = uids[i] };
		servers[i].pid = lq_fork();
		if (!servers[i].pid) {
			close(pair[0]);
			if (uids[i])
				lq_become_user(uids[i]);
			serve(pair[1]);
		}
		close(pair[1]);
		servers[i].orders = pair[0];
	}
}

static void stop_servers(struct server *servers)
{
	for (int i = 0; i < SERVERS; i++) {
		close(servers[i].orders);
		lq_kill(servers[i].pid);
	}
}

/* ---- rules, and what they give ---- */

struct rule {
	const char *text;
	const char *selector;
	unsigned int somaxconn;
	int floor;
};

static const struct rule rules[] = {
	{ "flush\n* somaxconn 50\n", "*", 50, 0 },
	{ "flush\n* somaxconn 500\n", "*", 500, 0 },
	{ "flush\n* floor 300\n", "*", SOMAXCONN_HERE, 300 },
	{ "flush\n", "-", SOMAXCONN_HERE, 0 },
};

#define RESTRICTIVE	(&rules[0])

/* As the kernel compares: below 0 is more than all there is. */
static int at_most(unsigned int asked, unsigned int most)
{
	return asked < most ? asked : most;
}

static int limit_of(const struct rule *rule, int asked)
{
	int limit = at_most(asked, rule->somaxconn);

	return limit < rule->floor ? rule->floor : limit;
}

static void check_server(struct __test_metadata *_metadata,
			 const struct lq_table *table,
			 const struct server *server, const struct rule *rule)
{
	char local[32];
	int row;

	snprintf(local, sizeof(local), "127.0.0.1:%d", server->answer.port);
	row = lq_find(table, "local", local);
	ASSERT_LE(0, row);
	ASSERT_EQ(server->uid, lq_cell_num(table, row, "uid"));
	ASSERT_EQ(server->pid, lq_cell_num(table, row, "pid"));
	ASSERT_EQ(server->asked, lq_cell_num(table, row, "asked"));
	ASSERT_EQ(at_most(server->asked, SOMAXCONN_HERE),
		  lq_cell_num(table, row, "granted"));
	ASSERT_STREQ(rule->selector, lq_cell(table, row, "rule"));
	ASSERT_EQ(limit_of(rule, server->asked),
		  lq_cell_num(table, row, "limit")) {
		TH_LOG("uid %d asked %d under %s", server->uid, server->asked,
		       rule->text);
	}
}

/* Listens as it is told, and has its limit by the time that it returns. */
static void order_listen(struct __test_metadata *_metadata,
			 struct server *server, bool again, int backlog,
			 const struct rule *rule)
{
	struct order order = { .backlog = backlog, .again = again };

	server->asked = backlog;
	ASSERT_EQ(sizeof(order),
		  send(server->orders, &order, sizeof(order), 0));
	ASSERT_EQ(sizeof(server->answer),
		  recv(server->orders, &server->answer, sizeof(server->answer),
		       0));
	if (server->answer.limit >= 0) {
		ASSERT_EQ(limit_of(rule, backlog), server->answer.limit) {
			TH_LOG("uid %d asked %d under %s", server->uid,
			       backlog, rule->text);
		}
	}
}

/* Of the user's own listener: what is said of it is true. */
static void check_own(struct __test_metadata *_metadata,
		      const struct lq_table *table, int fd,
		      const struct rule *rule)
{
	int row = lq_row(table, fd);

	if (strcmp(lq_cell(table, row, "rule"), "-"))
		ASSERT_EQ(limit_of(rule, FIRST_BACKLOG),
			  lq_cell_num(table, row, "limit"));
}

/* All servers listen for the first time, and again, under each rule. */
static void play_round(struct __test_metadata *_metadata,
		       struct server *servers, int round, const int *own,
		       int owned)
{
	static const int backlogs[] = { 5, 100, 1000, -1, INT_MAX, 128, 0 };
	const int n = ARRAY_SIZE(backlogs);

	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		const struct rule *rule = &rules[r];

		ASSERT_EQ(0, lq_clamp(rule->text));
		/* First: those that listen since the last rule. */
		for (int step = 0; step < 3; step++) {
			struct lq_table *table;

			if (!step && !round && !r)
				continue;
			for (int s = 0; step && s < SERVERS; s++)
				order_listen(_metadata, &servers[s], step == 2,
					     backlogs[(round + r + step + s) % n],
					     rule);
			table = lq_read(LQ_SOCKETS);
			for (int s = 0; s < SERVERS; s++)
				check_server(_metadata, table, &servers[s],
					     rule);
			for (int i = 0; i < owned; i++)
				check_own(_metadata, table, own[i], rule);
			lq_free(table);
		}
	}
}

/* ---- the tests ---- */

FIXTURE(blind)
{
	struct server servers[SERVERS];
	int fds[MOST_SOCKETS];
	int go[2];
};

FIXTURE_VARIANT(blind)
{
	const struct option *option;
	int sockets;
	int users;
	int threads;	/* of each user */
	bool listens;
	bool killed;
};

FIXTURE_VARIANT_ADD(blind, first_listen)
{
	.option = &ip_options, .sockets = 1, .users = 1, .threads = 700,
};

FIXTURE_VARIANT_ADD(blind, repeated_listen)
{
	.option = &ip_options, .sockets = 1, .users = 1, .threads = 700,
	.listens = true, .killed = true,
};

FIXTURE_VARIANT_ADD(blind, first_listen_of_several)
{
	.option = &ip_options, .sockets = MOST_SOCKETS, .users = 1,
	.threads = 700, .killed = true,
};

FIXTURE_VARIANT_ADD(blind, repeated_listen_of_several)
{
	.option = &ip_options, .sockets = MOST_SOCKETS, .users = 1,
	.threads = 700, .listens = true,
};

FIXTURE_VARIANT_ADD(blind, by_another_option)
{
	.option = &md5sig, .sockets = 1, .users = 1, .threads = 700,
	.listens = true,
};

/* One person is many users, where /etc/subuid says so. */
FIXTURE_VARIANT_ADD(blind, several_users)
{
	.option = &ip_options, .sockets = 1, .users = MOST_USERS,
	.threads = 70, .listens = true,
};

FIXTURE_SETUP(blind)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	returned = lq_shared(sizeof(*returned));
	start_servers(self->servers);
	for (int i = 0; i < variant->sockets; i++)
		self->fds[i] = socket_of(USER, variant->listens);
	if (pipe2(self->go, O_CLOEXEC))
		err(1, "pipe");
}

FIXTURE_TEARDOWN(blind)
{
	stop_servers(self->servers);
}

static bool is_ruled(int fd, const struct rule *rule, int asked)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_row(table, fd);
	bool ruled = !strcmp(lq_cell(table, row, "rule"), rule->selector) &&
		     lq_cell_num(table, row, "limit") == limit_of(rule, asked);

	lq_free(table);
	return ruled;
}

/*
 * The user has as many calls of listen() under way as it likes, and nobody
 * else loses a figure or a rule; nor do the user's own listeners escape one.
 */
TEST_F(blind, others_lose_nothing)
{
	int each = lq_scaled(variant->threads), inside = 0;
	int threads = variant->users * each;
	pid_t holds, waits[MOST_USERS];
	long long missed, missed_asks;
	int owned = 0;
	struct lq_ss ss;

	missed = lq_hook(START, "nmissed");
	missed_asks = lq_hook(ASK, "nmissed");
	if (variant->listens)
		owned = variant->sockets;

	holds = hold_locks(variant->option, self->fds, variant->sockets,
			   self->go[0]);
	if (holds < 0)
		SKIP(return, "nobody can be made to hold a socket's lock");
	for (int i = 0; i < variant->users; i++)
		waits[i] = crowd(USER + i, self->fds, variant->sockets, each);

	for (int round = 0; round < ROUNDS; round++)
		play_round(_metadata, self->servers, round, self->fds, owned);
	for (int i = 0; i < variant->users; i++)
		inside += wait_in_listen(waits[i]);
	EXPECT_EQ(threads, inside);
	EXPECT_EQ(0, *returned);
	EXPECT_EQ(missed, lq_hook(START, "nmissed"));
	EXPECT_EQ(missed_asks, lq_hook(ASK, "nmissed"));

	ASSERT_EQ(0, lq_clamp(RESTRICTIVE->text));
	if (variant->killed)
		lq_kill(holds);
	else
		ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_TRUE(lq_wait_until(*returned == threads));
	for (int i = 0; i < variant->sockets; i++) {
		EXPECT_TRUE(lq_wait_until(is_ruled(self->fds[i], RESTRICTIVE,
						   BACKLOG)));
		EXPECT_TRUE(lq_ss(self->fds[i], &ss));
		EXPECT_EQ(limit_of(RESTRICTIVE, BACKLOG), ss.sendq);
	}
	EXPECT_EQ(missed, lq_hook(START, "nmissed"));

	for (int i = 0; i < variant->users; i++)
		lq_kill(waits[i]);
	if (!variant->killed)
		lq_kill(holds);
}

FIXTURE(flood)
{
	struct server servers[SERVERS];
};

FIXTURE_SETUP(flood)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	returned = lq_shared(sizeof(*returned));
	start_servers(self->servers);
}

FIXTURE_TEARDOWN(flood)
{
	stop_servers(self->servers);
}

static void *pass_by(void *unused)
{
	listen(-1, NOBODY_ASKS);
	return NULL;
}

/* A task that has never been seen before, in listen() and out again. */
static void passer(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, pass_by, NULL))
		errx(1, "no thread");
	pthread_join(thread, NULL);
}

/* The same of as many tasks and calls as there is time for. */
static pid_t start_flood(void)
{
	pid_t pid = lq_fork_ready();
	int fd;

	if (pid)
		return pid;
	lq_become_user(USER);
	fd = lq_listener(AF_INET, FIRST_BACKLOG);
	passer();
	if (!lq_fork()) {
		for (;;) {
			passer();
			for (int i = 0; i < 10; i++) {
				lq_try_listen(-1, NOBODY_ASKS);
				lq_listen(fd, FIRST_BACKLOG);
			}
		}
	}
	lq_stay();
	return 0;
}

/* Calls that are many, and new tasks for them, push nobody else's out. */
TEST_F(flood, others_lose_nothing)
{
	long long missed = lq_hook(START, "nmissed");
	pid_t pids[FLOODS];

	for (int i = 0; i < FLOODS; i++)
		pids[i] = start_flood();
	for (int round = 0; round < lq_scaled(10); round++)
		play_round(_metadata, self->servers, round, NULL, 0);
	for (int i = 0; i < FLOODS; i++)
		lq_kill(pids[i]);
	EXPECT_EQ(missed, lq_hook(START, "nmissed"));
}

/*
 * While somebody's listen() waits for long, thousands of other tasks pass by:
 * what it asked for may be forgotten, which counts as a miss, but not be taken
 * for another's.
 */
TEST_F(flood, a_long_wait_takes_no_other_s_figure)
{
	int fd = socket_of(0, false), go[2];
	long long missed = lq_hook(ASK, "nmissed");
	pid_t holds, waits, passes;
	long long asked;

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	ASSERT_EQ(0, lq_clamp(RESTRICTIVE->text));
	holds = hold_locks(&ip_options, &fd, 1, go[0]);
	if (holds < 0)
		SKIP(return, "nobody can be made to hold a socket's lock");
	waits = crowd(USER, &fd, 1, 1);

	passes = lq_fork();
	if (!passes) {
		lq_become_user(OTHER_USER);
		for (int i = 0; i < PASSERS; i++)
			passer();
		_exit(0);
	}
	EXPECT_EQ(0, lq_reap(passes));

	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_TRUE(lq_wait_until(*returned == 1));
	asked = lq_num(fd, "asked");
	EXPECT_TRUE(asked == BACKLOG || asked == LQ_NONE) {
		TH_LOG("asked is %lld", asked);
	}
	EXPECT_LE(asked == LQ_NONE, lq_hook(ASK, "nmissed") - missed);
	EXPECT_EQ(waits, lq_num(fd, "pid"));
	EXPECT_TRUE(is_ruled(fd, RESTRICTIVE, BACKLOG));
	lq_kill(waits);
	lq_kill(holds);
}

TEST_HARNESS_MAIN
