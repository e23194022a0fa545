// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that programs, clients, operators and the kernel can do to listeners and
 * to the module, all at once, by chance; and afterwards nothing of it is left.
 *
 * LISTENQ_SEED repeats what each task does, though not when. LISTENQ_LOADS is
 * how often the module is loaded, LISTENQ_SECONDS how long the rest takes.
 *
 * Programs ask for even numbers, and rules give odd ones: an odd limit that
 * outlives the rules is one that was not put back.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"
#include "unix.h"

/* The clamp of the kernel's own, below some of what is asked for. */
#define SOMAXCONN_HERE	200

/* Network namespaces whose listeners are there from beginning to end. */
#define PLACES		2
/* Those that one task each listens on, so that it is known what came last ... */
#define OWNERS		3
#define OWNED		(4 * OWNERS)
/* ... and those that several tasks listen on. */
#define KEPT		(OWNED + PLACES)

#define GROUP_PORT	7000
#define MEMBERS		4
#define CLIENTS		64

/* Of the module: what is kept ready, and how many ends make a batch. */
#define POOL		1088
#define OWN		64	/* each processor's own */
#define BATCH		64

#define SLAB		"/sys/kernel/slab/listenq_record"
#define KPROBES		"/sys/kernel/debug/kprobes"
#define EXPEDITED	"/sys/kernel/rcu_expedited"
#define NAMESPACES	"/proc/sys/user/max_net_namespaces"

/*
 * No single step may take more polls: then something is stuck. They are counted
 * since a slow machine takes longer for each, so that it has more time.
 */
#define STUCK_POLLS	60000

#define poll_until(cond)						\
({									\
	int __left = STUCK_POLLS;					\
									\
	while (!(cond) && --__left)					\
		lq_pause();						\
	__left > 0;							\
})

enum deed {
	LISTENS, SUSPENDS, CONNECTS, TAKES, ABORTS, FLOODS, EXITS, NEW_NAMESPACES,
	RULES, REFUSED, RESETS, READS, TRACES, SWITCHES, LOADS, BUSY, DEEDS,
};

static const char * const deeds[DEEDS] = {
	"listens", "suspends", "connects", "accepts", "aborts", "SYNs",
	"exits", "namespaces", "rules", "refused rules", "resets", "reads",
	"traces", "switches", "loads", "busy unloads",
};

static struct shared {
	atomic_int stop;
	bool module_stays;
	/* On average; see rest(). */
	int rest;
	atomic_llong done[DEEDS];
	/* In each place, as its totals have them. */
	atomic_llong accepts[PLACES];
	/* What its owner asked for last; -1: it does not listen. */
	atomic_int asked[OWNED];
	/* By a listen() that the module could see. */
	atomic_bool seen[OWNED];
} *shared;

/* Descriptors that all tasks have. */
static int places[PLACES];
static int kept[KEPT];
static int ports[KEPT];
static const char *events;

/* Of a task: which one of its job's it is, and where. */
static int number;
static int place;

static void did(enum deed deed)
{
	shared->done[deed]++;
}

/*
 * Of the listeners that are kept, each kind is in each place; where the kernel
 * has no MPTCP, plain TCP takes its part.
 */
static bool is_mptcp(int i)
{
	return i < OWNED && i / PLACES % 3 == 2 &&
	       !access("/proc/sys/net/mptcp", F_OK);
}

static int family_of(int i)
{
	return lq_family(i / PLACES % 3 == 1);
}

/* In the kernel log it is there even where the kernel panics. */
static void note(const char *what, unsigned long long number)
{
	char text[64];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(text, sizeof(text), "stress: %s%llu\n", what, number);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "/dev/kmsg");
	close(fd);
}

/*
 * Whoever has done something rests for a multiple of the time that it took, so
 * that few are at it at a time, however fast the machine: processors that are
 * all busy, and emulated in turns, would need seconds to agree on anything.
 */
static void rest(long long since)
{
	long long now = lq_now_ms(), until;

	until = now + (now - since + 1) * lq_chance(2 * shared->rest);
	for (; now < until && !shared->stop; now = lq_now_ms())
		poll(NULL, 0, until - now < 50 ? until - now : 50);
}

static int some_backlog(void)
{
	return 2 * lq_chance(SOMAXCONN_HERE);
}

static int granted_of(int asked)
{
	return asked < SOMAXCONN_HERE ? asked : SOMAXCONN_HERE;
}

/* Errors that a task may get, whatever the module is doing at the moment. */
static void check_error(const char *path)
{
	static const int expected[] = {
		ENOENT,		/* no module, no file; no such rule */
		ENODEV, EIO,	/* the file is that of a module that has gone */
		EINVAL, EEXIST, E2BIG,	/* a rule that is wrong */
		EBUSY,		/* the kernel can't switch it now ... */
		EOPNOTSUPP,	/* ... or never */
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (errno == expected[i])
			return;
	err(1, "%s", path);
}

/* Whether it was taken. */
static bool try_write(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done = -1;

	if (fd >= 0)
		done = write(fd, text, length);
	if (done < 0)
		check_error(path);
	if (fd >= 0)
		close(fd);
	return done >= 0;
}

/* -1: it does not listen, or its kind does not tell. */
static int limit_of(int fd)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len) ||
	    info.tcpi_state != TCP_LISTEN)
		return -1;
	return info.tcpi_sacked;
}

/* ---- what programs do ---- */

static void own_turn(void)
{
	int i = number + OWNERS * lq_chance(OWNED / OWNERS);
	int asked = some_backlog(), error = -1;

	if (!lq_chance(6) && !is_mptcp(i)) {
		lq_end_listening(kept[i]);
		shared->asked[i] = -1;
		did(SUSPENDS);
		return;
	}
	if (!lq_chance(4))
		error = lq_uring_listen(kept[i], asked);
	if (error)
		lq_listen(kept[i], asked);
	shared->asked[i] = asked;
	shared->seen[i] = true;
	did(LISTENS);
}

/* Several on one socket, also while it is being suspended. */
static void ask_turn(void)
{
	int fd = kept[OWNED + lq_chance(PLACES)];

	if (lq_chance(8)) {
		lq_listen(fd, some_backlog());
		did(LISTENS);
	} else {
		lq_end_listening(fd);
		did(SUSPENDS);
	}
}

static void finish_connection(int fd)
{
	const struct linger abort = { .l_onoff = 1 };

	if (lq_chance(2)) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
		did(ABORTS);
	}
	close(fd);
}

/* A connection that somebody else may end, or that never comes to be. */
static void hold_client(int family, int port)
{
	static int clients[CLIENTS];
	int *client = &clients[lq_chance(CLIENTS)];
	struct lq_addr to = lq_addr(family, lq_loopback(family), port);

	if (*client)
		finish_connection(*client);
	*client = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*client < 0)
		err(1, "socket");
	if (!connect(*client, &to.sa, to.len) || errno == EINPROGRESS)
		did(CONNECTS);
	else if (errno != ECONNREFUSED && errno != EADDRNOTAVAIL)
		err(1, "connect");
}

static int some_kept(void)
{
	return place + PLACES * lq_chance(KEPT / PLACES);
}

static void connect_turn(void)
{
	int i = some_kept();

	hold_client(family_of(i), ports[i]);
}

static void accept_turn(void)
{
	int i = some_kept();
	int fd;

	for (int n = lq_chance(8); n; n--) {
		fd = accept4(kept[i], NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		did(TAKES);
		shared->accepts[place]++;
		finish_connection(fd);
	}
}

static void flood_turn(void)
{
	int i = some_kept(), count = 1 + lq_chance(10);

	lq_send_syns(family_of(i), ports[i], lq_chance(60000), count);
	shared->done[FLOODS] += count;
	if (!lq_chance(8) && !access("/proc/sys/net/ipv4/tcp_syncookies", F_OK))
		lq_set_sysctl("ipv4/tcp_syncookies", lq_chance(3));
}

/* Members come and go, and leave what they hold to each other. */
static void group_turn(void)
{
	static int members[MEMBERS];
	int *member = &members[lq_chance(MEMBERS)];

	if (lq_chance(2)) {
		hold_client(AF_INET, GROUP_PORT);
		return;
	}
	if (*member) {
		close(*member);
		*member = 0;
		return;
	}
	*member = lq_bound_shared(AF_INET, "0.0.0.0", GROUP_PORT);
	lq_listen(*member, some_backlog());
	did(LISTENS);
}

/* A process that ends, by itself or not, while it listens. */
static void exit_turn(void)
{
	int family = lq_family(lq_chance(2));
	int fd = lq_listener(family, some_backlog());
	bool first = lq_chance(2);
	pid_t pid;

	did(LISTENS);
	pid = lq_fork();
	if (!pid) {
		for (int n = lq_chance(4); n; n--) {
			lq_listener(family, some_backlog());
			did(LISTENS);
		}
		lq_listen(fd, some_backlog());
		did(LISTENS);
		hold_client(family, lq_port(fd));
		if (lq_chance(2))
			_exit(0);
		for (;;)
			pause();
	}
	if (first)
		close(fd);
	lq_pause();
	lq_kill(pid);
	if (!first)
		close(fd);
	did(EXITS);
}

/* ---- what operators do ---- */

/* The figures are: odd ones, a port, and another odd one. */
static const char * const rules[] = {
	"flush\n",
	"flush\n* somaxconn %1$d\n%2$d force %3$d\n",
	"%2$d floor %1$d\n",
	"%2$d clear\n",
	"1024-65535 somaxconn %1$d floor %3$d\n",
	"* force %1$d\n* clear\n",
	"* floor %1$d\n1000-2000 force 1\n1500-2500 force 1\n", /* overlaps */
	"%2$d force\n",
	"* force %1$d\n",
};

static void write_rules(void)
{
	int odd = 2 * lq_chance(SOMAXCONN_HERE) + 1;
	int port = lq_chance(2) ? ports[some_kept()] : GROUP_PORT;
	const char *rule = rules[lq_chance(ARRAY_SIZE(rules))];
	char text[256];

	snprintf(text, sizeof(text), rule, odd, port, odd / 4 * 2 + 1);
	did(try_write(LQ_CLAMP, text, strlen(text)) ? RULES : REFUSED);
}

/* Rules are what most of it is about, but none of the others comes late. */
static void rules_turn(void)
{
	static char too_long[65537];
	static int turn;

	switch (turn++ % 8) {
	case 0:
		if (try_write(LQ_SOCKETS, "reset\n", 6))
			did(RESETS);
		else if (!shared->done[RESETS])
			turn = 0;	/* no module yet */
		break;
	case 1:
		try_write(LQ_CLAMP, too_long, sizeof(too_long));
		did(REFUSED);
		break;
	case 2:
		try_write(LQ_SOCKETS, "rest", 4);
		break;
	default:
		write_rules();
	}
}

/* In a namespace that goes with the process, rules and listeners and all. */
static void namespace_turn(void)
{
	pid_t pid = lq_fork();
	char text[512];
	int fd, file;

	if (pid) {
		lq_reap(pid);
		did(NEW_NAMESPACES);
		return;
	}
	lq_new_netns();
	fd = lq_listener(AF_INET, some_backlog());
	did(LISTENS);
	write_rules();
	file = open(lq_chance(2) ? LQ_SOCKETS : LQ_CLAMP, O_RDONLY | O_CLOEXEC);
	if (file >= 0 && lq_chance(2) && read(file, text, sizeof(text)) < 0)
		check_error("a file of a namespace that goes");
	hold_client(AF_INET, lq_port(fd));
	_exit(0);
}

/* An AF_UNIX listener, with clients of each kind; some go with it. */
static void unix_turn(void)
{
	int type = lq_chance(2) ? SOCK_STREAM : SOCK_SEQPACKET;
	int fd = unix_listener(type, lq_chance(4)), client, child;
	struct timeval soon = { .tv_usec = 1 + lq_chance(20000) };

	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		err(1, "fcntl");
	for (int n = lq_chance(12); n; n--) {
		switch (lq_chance(4)) {
		case 0:
			client = unix_socket(type);
			if (setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &soon,
				       sizeof(soon)))
				err(1, "SO_SNDTIMEO");
			lq_try_connect(client, fd);
			close(client);
			break;
		case 1:
			child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
			if (child >= 0)
				close(child);
			break;
		case 2:
			lq_listen(fd, lq_chance(4));
			break;
		default:
			unix_dial(fd, type, &client);
			if (client >= 0)
				close(client);
		}
	}
	close(fd);
}

/* Pieces of any size, from anywhere in the file. */
static void read_turn(void)
{
	static const char * const paths[] = {
		LQ_SOCKETS, LQ_WAITS, LQ_TOTALS, LQ_CLAMP, LQ_HOOKS, LQ_REFUSED,
		LQ_DROPS, LQ_UNIX,
	};
	const char *path = paths[lq_chance(ARRAY_SIZE(paths))];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	static char text[20000];
	ssize_t n = 0;

	if (fd < 0) {
		check_error(path);
		return;
	}
	for (int i = lq_chance(8); i && n >= 0; i--) {
		if (!lq_chance(4))
			n = lseek(fd, lq_chance(sizeof(text)), SEEK_SET);
		else if (!lq_chance(3))
			n = pread(fd, text, lq_chance(300), lq_chance(4000));
		else
			n = read(fd, text, 1 + lq_chance(sizeof(text)));
		did(READS);
	}
	if (n < 0)
		check_error(path);
	close(fd);
}

/* ---- what happens to the probes ---- */

static void trace_turn(void)
{
	char path[PATH_MAX], text[4096];
	int fd;

	if (!events)
		return;
	snprintf(path, sizeof(path), "%s/events/listenq/enable", events);
	if (try_write(path, "1", 1))
		did(TRACES);
	lq_pause();
	try_write(path, "0", 1);

	/* The module may be gone when what was traced is read. */
	snprintf(path, sizeof(path), "%s/trace", events);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	for (int n = lq_chance(8); n && read(fd, text, sizeof(text)) > 0; n--)
		;
	close(fd);
}

static const char * const switches[] = {
	KPROBES "/enabled", "/proc/sys/kernel/ftrace_enabled",
};

/*
 * The second one only as long as all probes stay where they are: when some come
 * or go while ftrace is off, anybody's, Linux 6.12 warns later on and gives
 * ftrace up for good (kernel/trace/ftrace.c, ftrace_shutdown()).
 */
static void switch_turn(void)
{
	const char *path = switches[lq_chance(shared->module_stays ? 2 : 1)];

	if (try_write(path, "0", 1))
		did(SWITCHES);
	lq_pause();
	try_write(path, "1", 1);
}

/* ---- the module comes and goes ---- */

/* Without the module, who has an odd limit has it from a rule. */
static void check_left_alone(void)
{
	for (int i = 0; i < KEPT; i++) {
		int limit = limit_of(kept[i]);

		if (limit >= 0 && (limit % 2 || limit > SOMAXCONN_HERE))
			errx(1, "load %lld: a limit of %d is left on listener %d",
			     shared->done[LOADS], limit, i);
	}
}

/* At times with rules in all namespaces from the start. */
static int load(void)
{
	bool rule = lq_chance(2);

	return rule && lq_module_path() ? lq_load_with("somaxconn=51") :
					  lq_load();
}

static void load_turn(void)
{
	int polls = 0, error;

	/* There are some twenty grace periods in this. Most times, hurry. */
	try_write(EXPEDITED, lq_chance(4) ? "1" : "0", 1);
	for (;;) {
		error = lq_unload();
		if (!error)
			break;
		/* Somebody traces. */
		if (error != EAGAIN)
			errx(1, "unload: %s", strerror(error));
		did(BUSY);
		if (++polls > STUCK_POLLS)
			errx(1, "the module can't be unloaded");
		lq_pause();
	}
	check_left_alone();
	error = load();
	if (error)
		errx(1, "load: %s", strerror(error));
	did(LOADS);
	note("loads: ", shared->done[LOADS]);
}

/* ---- all of them ---- */

/* What is done to the module, if that is what a test is about. */
enum extra {
	NONE = 0,
	SWITCHING = 1,
	LOADING = 2,
};

static const struct job {
	const char *name;
	void (*turn)(void);
	int tasks;
	enum extra only;
} jobs[] = {
	{ "own", own_turn, OWNERS },
	{ "ask", ask_turn, 2 },
	{ "connect", connect_turn, 3 },
	{ "accept", accept_turn, 2 },
	{ "flood", flood_turn, 2 },
	{ "group", group_turn, 4 },
	{ "exit", exit_turn, 2 },
	{ "namespace", namespace_turn, 1 },
	{ "unix", unix_turn, 2 },
	{ "rules", rules_turn, 2 },
	{ "read", read_turn, 2 },
	{ "trace", trace_turn, 1 },
	{ "switch", switch_turn, 1, SWITCHING },
	{ "load", load_turn, 1, LOADING },
};

#define MOST_TASKS 32

static struct task {
	const struct job *job;
	pid_t pid;	/* 0: it has ended */
	int status;
} tasks[MOST_TASKS];

static int task_count;
static long long started;

static void task_start(const struct job *job, int n)
{
	struct task *task = &tasks[task_count++];

	task->job = job;
	task->status = 0;
	task->pid = lq_fork();
	if (task->pid)
		return;
	lq_seed(task_count);
	number = n;
	place = n % PLACES;
	lq_enter_netns(places[place]);
	while (!shared->stop) {
		long long since = lq_now_ms();

		job->turn();
		if (job->only != LOADING)
			rest(since);
	}
	_exit(0);
}

static void tasks_start(unsigned int extras)
{
	started = lq_now_ms();
	shared->module_stays = !(extras & LOADING);
	shared->rest = extras ? 20 : 4;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		for (int n = 0; n < jobs[i].tasks; n++)
			if ((jobs[i].only & extras) == jobs[i].only)
				task_start(&jobs[i], n);
}

/* How many tasks have come to an end, and how many of them by an error. */
static int tasks_ended(int *failed)
{
	int ended = 0, status;

	for (int i = 0; i < task_count; i++) {
		struct task *task = &tasks[i];

		if (task->pid && waitpid(task->pid, &status, WNOHANG)) {
			task->pid = 0;
			task->status = status;
			if (status)
				printf("# %s ended with status %#x\n",
				       task->job->name, status);
		}
		ended += !task->pid;
		*failed += !task->pid && task->status;
	}
	return ended;
}

/* Who does not end hangs in the kernel: say where. */
static void tasks_show(void)
{
	for (int i = 0; i < task_count; i++) {
		char command[128];

		if (!tasks[i].pid)
			continue;
		printf("# %s does not end:\n", tasks[i].job->name);
		snprintf(command, sizeof(command),
			 "sed 's/^/# /' /proc/%d/wchan /proc/%d/stack",
			 tasks[i].pid, tasks[i].pid);
		lq_run(command);
	}
}

static void tasks_kill(void)
{
	int failed = 0;

	for (int i = 0; i < task_count; i++)
		if (tasks[i].pid)
			kill(tasks[i].pid, SIGKILL);
	/* One that hangs must not take us with it. */
	poll_until(tasks_ended(&failed) == task_count);
}

/* ---- what is left ---- */

/*
 * Whether one more network namespace can be made when there may be @most: the
 * kernel lowers the count when one is gone for good.
 */
static bool netns_fits(int most)
{
	pid_t pid;

	lq_write_number(NAMESPACES, most);
	pid = lq_fork();
	if (!pid)
		_exit(!!unshare(CLONE_NEWNET));
	return !lq_reap(pid);
}

static int netns_count(void)
{
	int count = 0;

	while (!netns_fits(count + 1))
		count++;
	return count;
}

static int line_count(const char *path)
{
	FILE *file = fopen(path, "r");
	int count = 0, c;

	if (!file)
		return -1;
	while ((c = getc(file)) != EOF)
		count += c == '\n';
	fclose(file);
	return count;
}

/*
 * Objects in use, by /proc/slabinfo; -1 where that counts objects which a CPU
 * keeps for itself as well, and where the cache has been merged with others.
 */
static long long records(void)
{
	FILE *file;
	char line[256];
	long long count = -1;

	if (access(SLAB "/sanity_checks", F_OK) ||
	    !lq_read_number(SLAB "/sanity_checks"))
		return -1;
	file = fopen("/proc/slabinfo", "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		sscanf(line, "listenq_record %lld", &count);
	fclose(file);
	return count;
}

static int listening(void)
{
	int count = 0;

	for (int i = 0; i < PLACES; i++) {
		lq_enter_netns(places[i]);
		count += lq_rows(LQ_SOCKETS);
	}
	return count;
}

static long long calls(const char *symbol)
{
	long long hits = lq_hook(symbol, "hits");

	return hits == LQ_NONE ? 0 : hits + lq_hook(symbol, "nmissed");
}

FIXTURE(stress)
{
	int kprobes;
	int netns;
	int most_netns;
	int expedited;
};

static int listener_kept(int i)
{
	int family = family_of(i), fd;
	const char *host = family == AF_INET ? "0.0.0.0" : "::";

	lq_enter_netns(places[i % PLACES]);
	if (is_mptcp(i))
		fd = lq_bound_mptcp(family, host, 0);
	else
		fd = lq_bound(family, host, 0);
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		err(1, "O_NONBLOCK");
	lq_listen(fd, 0);
	return fd;
}

FIXTURE_SETUP(stress)
{
	LQ_SETUP();
	note("LISTENQ_SEED=", lq_seed(0));
	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
	events = lq_tracefs("trace");
	ASSERT_EQ(0, lq_unload());
	self->kprobes = line_count(KPROBES "/list");

	self->most_netns = lq_read_number(NAMESPACES);
	self->expedited = lq_read_number(EXPEDITED);
	for (int i = 0; i < PLACES; i++) {
		lq_new_netns();
		lq_dummy_up();
		lq_set_somaxconn(SOMAXCONN_HERE);
		/* Who is gone does not keep the namespace for long. */
		lq_set_sysctl("ipv4/tcp_orphan_retries", 1);
		lq_set_sysctl("ipv4/tcp_fin_timeout", 1);
		if (!access("/proc/sys/net/ipv4/tcp_migrate_req", F_OK))
			lq_set_sysctl("ipv4/tcp_migrate_req", 1);
		places[i] = lq_netns();
	}
	self->netns = netns_count();
	lq_write_number(NAMESPACES, 100000);

	shared = lq_shared(sizeof(*shared));
	for (int i = 0; i < KEPT; i++) {
		kept[i] = listener_kept(i);
		ports[i] = lq_port(kept[i]);
	}
	ASSERT_EQ(0, lq_load());
}

FIXTURE_TEARDOWN(stress)
{
	shared->stop = 1;
	tasks_kill();
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		try_write(switches[i], "1", 1);
	lq_write_number(EXPEDITED, self->expedited);
	lq_write_number(NAMESPACES, self->most_netns);
	if (!lq_loaded())
		EXPECT_EQ(0, lq_load());
}

static void report(struct __test_metadata *_metadata)
{
	char text[512];
	int used = 0;

	for (int i = 0; i < DEEDS; i++)
		used += snprintf(text + used, sizeof(text) - used, "%s %lld %s",
				 i ? "," : "", shared->done[i], deeds[i]);
	TH_LOG("did:%s", text);
}

/* No task may fail, and each comes to its end. */
static void stop_tasks(struct __test_metadata *_metadata)
{
	int failed = 0;

	shared->stop = 1;
	EXPECT_TRUE(poll_until(tasks_ended(&failed) == task_count)) {
		tasks_show();
	}
	failed = 0;
	tasks_ended(&failed);
	EXPECT_EQ(0, failed);
	TH_LOG("these took %lld ms", lq_now_ms() - started);
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		try_write(switches[i], "1", 1);
	report(_metadata);
}

/* What the kernel alone would have given each. */
static void check_limits(struct __test_metadata *_metadata)
{
	for (int i = 0; i < OWNED; i++) {
		int asked = shared->asked[i], limit = limit_of(kept[i]);

		/* Not every kernel's MPTCP tells. */
		if (is_mptcp(i) && limit < 0)
			continue;
		EXPECT_EQ(asked < 0 ? -1 : granted_of(asked), limit);
	}
	for (int i = OWNED; i < KEPT; i++) {
		int limit = limit_of(kept[i]);

		if (limit >= 0) {
			EXPECT_EQ(0, limit % 2);
			EXPECT_GE(SOMAXCONN_HERE, limit);
		}
	}
}

/* Rules go, the module goes: nothing of either stays. */
static void check_nothing_left(struct __test_metadata *_metadata, int kprobes,
			       int netns)
{
	bool own_slab;

	for (int i = 0; i < PLACES; i++) {
		lq_enter_netns(places[i]);
		EXPECT_EQ(0, lq_clamp("flush\n"));
	}
	check_limits(_metadata);
	own_slab = records() >= 0;
	if (own_slab) {
		/* Each that fills the pool may find the same one missing. */
		int fillers = task_count + 1;
		int own = OWN * sysconf(_SC_NPROCESSORS_CONF);
		int most = POOL + own + fillers + listening() + BATCH - 1;

		EXPECT_TRUE(poll_until(records() <= most)) {
			TH_LOG("%lld records", records());
		}
	}

	ASSERT_EQ(0, lq_unload());
	check_limits(_metadata);
	EXPECT_EQ(kprobes, line_count(KPROBES "/list"));
	if (own_slab)
		EXPECT_NE(0, access(SLAB, F_OK));
	for (int i = 0; i < PLACES; i++) {
		lq_enter_netns(places[i]);
		EXPECT_NE(0, access("/proc/net/listenq", F_OK));
	}

	lq_close_all(kept, KEPT);
	EXPECT_TRUE(poll_until(netns_fits(netns + 1))) {
		TH_LOG("%d namespaces, there were %d", netns_count(), netns);
	}
}

static int setting(const char *name, int value)
{
	const char *given = getenv(name);

	return given && *given ? atoi(given) : value;
}

/* What has not been done yet; NULL: nothing. Not every kernel lets all be. */
static const char *undone(unsigned int extras)
{
	for (int i = 0; i < DEEDS; i++) {
		if (i == BUSY || (i == TRACES && !events) ||
		    (i == SWITCHES && !(extras & SWITCHING)) ||
		    (i == LOADS && !(extras & LOADING)))
			continue;
		if (!shared->done[i])
			return deeds[i];
	}
	return NULL;
}

/* However slow the machine, all is done once. A task that failed ends it. */
static void wait_for_all(struct __test_metadata *_metadata, unsigned int extras)
{
	int failed = 0;

	EXPECT_TRUE(poll_until(!undone(extras) || tasks_ended(&failed))) {
		TH_LOG("no %s", undone(extras));
	}
}

TEST_F_TIMEOUT(stress, module_comes_and_goes, 36000)
{
	int few = getenv("LISTENQ_SLOW") ? 3 : 6;
	int loads = setting("LISTENQ_LOADS", few), failed = 0;

	tasks_start(SWITCHING | LOADING);
	for (int i = 1; i <= loads; i++)
		ASSERT_TRUE(poll_until(shared->done[LOADS] >= i ||
				       tasks_ended(&failed))) {
			tasks_show();
		}
	wait_for_all(_metadata, SWITCHING | LOADING);
	stop_tasks(_metadata);
	if (!lq_loaded())
		ASSERT_EQ(0, lq_load());
	check_nothing_left(_metadata, self->kprobes, self->netns);
}

/* Where the module and its probes stay, each call is seen or missed. */
static void check_hooks(struct __test_metadata *_metadata, int listeners)
{
	long long missed = lq_missed(), unknown = 0;

	EXPECT_LE(lq_is_inlined("__sys_listen") ? 0 : shared->done[LISTENS],
		  calls("__sys_listen") + calls("__sys_listen_socket")) {
		TH_LOG("%lld + %lld, %lld missed", calls("__sys_listen"),
		       calls("__sys_listen_socket"), missed);
	}
	EXPECT_GE(missed, lq_hook("unrecorded", "hits"));
	if (getenv("LISTENQ_VM"))	/* nobody else listens */
		EXPECT_EQ(listening() - listeners,
			  calls("inet_csk_listen_start") -
			  calls("inet_csk_listen_stop"));

	for (int i = 0; i < OWNED; i++) {
		lq_enter_netns(places[i % PLACES]);
		if (shared->seen[i] && shared->asked[i] >= 0 &&
		    lq_num_at(kept[i], "asked") != shared->asked[i])
			unknown++;
	}
	EXPECT_GE(missed, unknown);

	for (int i = 0; i < PLACES; i++) {
		long long accepts, doubt = 0;

		lq_enter_netns(places[i]);
		accepts = lq_total("accepts");
		/* Derived: when a listener ends it may not be known yet. */
		if (lq_hook("__inet_accept", "hits") == LQ_NONE)
			doubt = lq_total("unaccepted");
		EXPECT_GE(shared->accepts[i], accepts);
		EXPECT_LE(shared->accepts[i], accepts + missed + doubt);
		EXPECT_EQ(0, ledger_check(missed));
	}
}

static void run_for_seconds(struct __test_metadata *_metadata,
			    unsigned int extras)
{
	int few = getenv("LISTENQ_SLOW") ? 2 : 5;
	int seconds = setting("LISTENQ_SECONDS", few), failed = 0;
	long long deadline = lq_now_ms() + seconds * 1000LL;

	tasks_start(extras);
	while (lq_now_ms() < deadline && !tasks_ended(&failed))
		lq_pause();
	wait_for_all(_metadata, extras);
	stop_tasks(_metadata);
}

TEST_F_TIMEOUT(stress, probes_are_switched, 36000)
{
	run_for_seconds(_metadata, SWITCHING);
	check_nothing_left(_metadata, self->kprobes, self->netns);
}

TEST_F_TIMEOUT(stress, module_stays, 36000)
{
	int listeners = listening();

	run_for_seconds(_metadata, NONE);
	check_hooks(_metadata, listeners);
	check_nothing_left(_metadata, self->kprobes, self->netns);
}

TEST_HARNESS_MAIN
