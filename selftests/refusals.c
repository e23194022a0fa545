// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file refused: who was turned away, and why. Strangers come one by one, so each
 * row is known beforehand, and how many there are is held against what the kernel
 * counts.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "refusal.h"
#include "strangers.h"
#include "world.h"

#define USER		12370
#define CLIENTS		4

/* What jiffies may be ahead of the clock by, where processors are emulated. */
#define CATCH_UP_MS	1000

/* What was done to strangers, and what their rows should say of it. */
struct turned {
	char local[64];
	char cookie[20];
	int first;		/* the number of the first one */
	int count;
	int limit;
	int acceptq;		/* when the first one came */
	int acceptq_step;
	int synq;
};

struct reason {
	const char *why;
	void (*turn_away)(struct world *w, struct turned *turned);
	/* Who else counts them: the kernel, where it does, and a total. */
	const char *counter;
	const char *total;
};

static int new_listener(struct world *w, int backlog, struct turned *turned)
{
	int fd = world_listener(w, backlog);

	strcpy(turned->local, lq_local(fd));
	strcpy(turned->cookie, lq_cookie_str(fd));
	turned->limit = backlog;
	turned->count = CLIENTS;
	return fd;
}

static void by_acceptq_on_syn(struct world *w, struct turned *turned)
{
	int fd = new_listener(w, 1, turned);

	world_clients(w, fd, 2);
	turned->acceptq = 2;
	turned->first = world_syns(w, fd, CLIENTS);
}

/* They believe that they are connected. */
static void by_acceptq_on_ack(struct world *w, struct turned *turned)
{
	int fd = new_listener(w, 2 * CLIENTS, turned);
	unsigned int isns[CLIENTS];

	turned->first = world_strangers(w, fd, CLIENTS, isns);
	world_clients(w, fd, 2 * CLIENTS + 1);
	turned->acceptq = 2 * CLIENTS + 1;
	turned->synq = CLIENTS;
	for (int i = 0; i < CLIENTS; i++)
		stranger_acks(w->client, lq_port(fd), turned->first + i,
			      isns[i]);
}

/* Kernels differ by one in how many it holds. */
static void by_synq(struct world *w, struct turned *turned)
{
	int fd = new_listener(w, 3, turned);
	int first;

	try_sysctl("ipv4/tcp_syncookies", 0);
	first = world_syns(w, fd, 3 + CLIENTS);
	must_come(lq_num(fd, "syns") == 3 + CLIENTS);
	turned->synq = lq_ss_syn_recv(lq_port(fd));
	turned->first = first + turned->synq;
	turned->count = 3 + CLIENTS - turned->synq;
}

static void by_the_reserved_quarter(struct world *w, struct turned *turned)
{
	int fd = new_listener(w, 256, turned);

	try_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 64);
	turned->synq = 49;
	turned->first = world_syns(w, fd, 49 + CLIENTS) + 49;
}

/* Each was accepted by nobody: the kernel takes them out in their order. */
static void by_its_end(struct world *w, struct turned *turned)
{
	int fd = new_listener(w, 20, turned);
	unsigned int isns[CLIENTS];

	turned->first = world_strangers(w, fd, CLIENTS, isns);
	for (int i = 0; i < CLIENTS; i++) {
		stranger_acks(w->client, lq_port(fd), turned->first + i,
			      isns[i]);
		must_come(lq_num(fd, "acceptq") == i + 1);
	}
	turned->acceptq = CLIENTS;
	turned->acceptq_step = -1;
	turned->synq = 2;
	world_syns(w, fd, 2);
	must_come(lq_num(fd, "synq") == 2);
	close(w->listeners[--w->listener_count]);
}

static const struct reason reasons[] = {
	{ "acceptq-syn", by_acceptq_on_syn, "ListenOverflows", "overflows" },
	{ "acceptq-ack", by_acceptq_on_ack, "ListenOverflows", "overflows_ack" },
	{ "synq", by_synq, "TCPReqQFullDrop", "synq_drops" },
	{ "reserved", by_the_reserved_quarter, NULL, "synq_reserved" },
	{ "closed", by_its_end, NULL, "unaccepted" },
};

static int row_faults(const struct world *w, const struct reason *reason,
		      const struct turned *turned, int i,
		      const struct refusal *row)
{
	const char *remote = stranger_name(w->server, w->client,
					   turned->first + i);
	long long acceptq = turned->acceptq + i * turned->acceptq_step;
	bool agrees = !strcmp(row->local, turned->local) &&
		      !strcmp(row->remote, remote) &&
		      !strcmp(row->why, reason->why) &&
		      row->limit == turned->limit && row->acceptq == acceptq &&
		      row->synq == turned->synq &&
		      !strcmp(row->cookie, turned->cookie) &&
		      !strcmp(row->comm, "refusals");

	if (!agrees)
		printf("# not %s %s %s %d %lld %d %s refusals,\n"
		       "# but %s %s %s %lld %lld %lld %s %s\n",
		       turned->local, remote, reason->why, turned->limit,
		       acceptq, turned->synq, turned->cookie, row->local,
		       row->remote, row->why, row->limit, row->acceptq,
		       row->synq, row->cookie, row->comm);
	return !agrees;
}

/* It was read just now, and nothing was before @begun. */
static int time_faults(const struct refusal *row, long long begun)
{
	long long most = lq_now_ms() - begun;

	if (row->ago_ms <= most + CATCH_UP_MS)
		return 0;
	printf("# %lld ms ago, but it began %lld ms ago\n", row->ago_ms, most);
	return 1;
}

static long long count_of(const char *counter)
{
	return counter ? lq_netstat(counter) : 0;
}

/* How much was wrong. */
static int check_reason(struct world *w, const struct reason *reason)
{
	long long newest = refused_newest(), counted = count_of(reason->counter);
	long long total = lq_total(reason->total), begun = lq_now_ms();
	struct turned turned = { };
	struct refusals *refusals;
	int faults = 0, first;

	world_settle();
	reason->turn_away(w, &turned);
	must_come(refused_since(newest) >= turned.count);
	refusals = refusals_read();
	faults += !ledger_agrees("refused", reason->why, turned.count,
				 refusals_since(refusals, newest), 0);
	first = refusals->count - turned.count;
	for (int i = 0; i < turned.count; i++) {
		const struct refusal *row = &refusals->of[first + i];

		faults += row_faults(w, reason, &turned, i, row);
		faults += !ledger_agrees("refused", "number", newest + 1 + i,
					 row->number, 0);
		faults += time_faults(row, begun);
	}
	if (reason->counter)
		faults += !ledger_agrees("the kernel", reason->counter,
					 lq_netstat(reason->counter) - counted,
					 turned.count, 0);
	faults += !ledger_agrees("totals", reason->total,
				 lq_total(reason->total) - total, turned.count,
				 0);
	faults += refusals->silenced || refusals->unkept;
	free(refusals);
	return faults;
}

/* ---- in a namespace of each kind ---- */

enum place { INITIAL, NETWORK, CONTAINER };

FIXTURE(refusals)
{
	struct world w;
};

FIXTURE_VARIANT(refusals)
{
	enum place place;
	int server;
	int client;
};

FIXTURE_VARIANT_ADD(refusals, initial_ipv4) { INITIAL, AF_INET, AF_INET };
FIXTURE_VARIANT_ADD(refusals, initial_ipv6) { INITIAL, AF_INET6, AF_INET6 };
FIXTURE_VARIANT_ADD(refusals, initial_mapped) { INITIAL, AF_INET6, AF_INET };
FIXTURE_VARIANT_ADD(refusals, network_ipv4) { NETWORK, AF_INET, AF_INET };
FIXTURE_VARIANT_ADD(refusals, network_ipv6) { NETWORK, AF_INET6, AF_INET6 };
FIXTURE_VARIANT_ADD(refusals, network_mapped) { NETWORK, AF_INET6, AF_INET };
FIXTURE_VARIANT_ADD(refusals, container_ipv4) { CONTAINER, AF_INET, AF_INET };
FIXTURE_VARIANT_ADD(refusals, container_ipv6) { CONTAINER, AF_INET6, AF_INET6 };
FIXTURE_VARIANT_ADD(refusals, container_mapped) { CONTAINER, AF_INET6, AF_INET };

FIXTURE_SETUP(refusals)
{
	int initial = lq_netns();

	LQ_SETUP();
	lq_need_family(variant->server);
	if (variant->place == INITIAL) {
		if (!getenv("LISTENQ_VM"))
			lq_skip("changes this machine's own network: only in a VM (LISTENQ_VM)");
		lq_enter_netns(initial);
	} else if (variant->place == CONTAINER) {
		lq_enter_netns(lq_made_by(lq_enter_container, USER));
	}
	close(initial);
	world_begin(&self->w, variant->server, variant->client);
	if (self->w.wire < 0)
		lq_skip("the kernel has no packet sockets");
	/* Of one processor's, the order is known, too. */
	lq_pin();
}

FIXTURE_TEARDOWN(refusals)
{
	world_settle();
	lq_close_all(self->w.listeners, self->w.listener_count);
	lq_close_all(self->w.clients, self->w.client_count);
	close(self->w.wire);
	lq_run("ip link del " LQ_DUMMY);
}

TEST_F(refusals, each_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		EXPECT_EQ(0, check_reason(&self->w, &reasons[i])) {
			TH_LOG("%s", reasons[i].why);
		}
	}
}

/* ---- */

FIXTURE(one)
{
	bool loaded;
	struct world w;
};

FIXTURE_SETUP(one)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	world_begin(&self->w, AF_INET, AF_INET);
	lq_pin();
}

FIXTURE_TEARDOWN(one)
{
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/* @count strangers at a full accept queue, who have rows when it returns. */
static void turn_away(struct world *w, int count)
{
	static int fd;
	long long newest = refused_newest();

	if (!fd) {
		fd = world_listener(w, 0);
		world_clients(w, fd, 1);
	}
	world_syns(w, fd, count);
	must_come(refused_newest() == newest + count);
}

/* The queue is nearly full all the time, and nobody is turned away. */
TEST_F(one, nobody)
{
	for (int i = 0; i < 2; i++) {
		int family = lq_family(i), fd = lq_listener(family, 3);

		for (int n = 0; n < lq_scaled(500); n++) {
			int client = lq_connect(fd);

			lq_accept(fd);
			lq_abort(client);
		}
		close(fd);
	}
	EXPECT_EQ(0, refused_newest());
}

/* A ring is made by who comes first, and holds that one and all who follow. */
TEST_F(one, the_first_burst)
{
	struct refusals *refusals;

	turn_away(&self->w, 200);
	refusals = refusals_read();
	EXPECT_EQ(200, refusals->count);
	for (int i = 0; i < refusals->count; i++) {
		EXPECT_EQ(i + 1, refusals->of[i].number);
		EXPECT_STREQ(stranger_name(AF_INET, AF_INET, i),
			     refusals->of[i].remote);
	}
	EXPECT_EQ(0, refusals->unkept);
	free(refusals);
}

TEST_F(one, the_last_1024)
{
	struct refusals *refusals;

	turn_away(&self->w, REFUSALS + 10);
	refusals = refusals_read();
	EXPECT_EQ(REFUSALS, refusals->count);
	EXPECT_EQ(11, refusals->of[0].number);
	EXPECT_STREQ(stranger_name(AF_INET, AF_INET, 10), refusals->of[0].remote);
	EXPECT_STREQ(stranger_name(AF_INET, AF_INET, REFUSALS + 9),
		     refusals->of[REFUSALS - 1].remote);
	free(refusals);
}

/* It grows as the clock goes on. */
TEST_F(one, how_long_ago)
{
	struct refusals *then, *now;
	long long read_first, read_last;

	turn_away(&self->w, 1);
	read_first = lq_now_ms();
	then = refusals_read();
	ASSERT_TRUE(lq_wait_until(lq_now_ms() - read_first > 3000));
	now = refusals_read();
	read_last = lq_now_ms();
	EXPECT_LE(3000 - CATCH_UP_MS, now->of[0].ago_ms - then->of[0].ago_ms);
	EXPECT_GE(read_last - read_first + CATCH_UP_MS,
		  now->of[0].ago_ms - then->of[0].ago_ms);
	free(then);
	free(now);
}

/* Lowers and raises the limit of @fd for ever, on another processor. */
static pid_t start_shaking(int fd)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	lq_unpin();
	for (;;) {
		lq_listen(fd, 0);
		lq_listen(fd, 1000);
	}
}

static void try_fast_open(const struct lq_addr *to, int count)
{
	for (int i = 0; i < count; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		must(client >= 0);
		lq_fast_open(client, to);
		close(client);
	}
}

/*
 * With Fast Open the kernel looks at the accept queue twice. Where the limit falls in
 * between, a SYN counts as an overflow, and becomes a request all the same.
 */
TEST_F(one, fast_open_falls_back)
{
	int fd = world_listener(&self->w, 1000);
	struct lq_addr to = world_addr(&self->w, fd);
	struct refusals *refusals;
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two processors");
	lq_set_sysctl("ipv4/tcp_fastopen", 0x207);
	try_sysctl("ipv4/tcp_fastopen_blackhole_timeout_sec", 0);
	lq_set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, 1000);
	world_clients(&self->w, fd, 2);
	/* No final ACK comes, so what overflows on one is such a SYN. */
	lq_hold_acks(fd);
	pid = start_shaking(fd);
	for (int i = 0; i < 20000 && !lq_num(fd, "overflows_ack"); i += 100) {
		try_fast_open(&to, 100);
		lq_accept_many(fd, lq_num(fd, "acceptq") - 2);
	}
	lq_kill(pid);
	world_settle();
	must_come(refused_newest() == lq_total("overflows"));
	refusals = refusals_read();
	EXPECT_LT(0, lq_num(fd, "overflows_ack"));
	EXPECT_EQ(lq_num(fd, "overflows_ack"),
		  refusals_for(refusals, "acceptq-ack"));
	free(refusals);
}

/* Another process' name, with what no column may hold. */
TEST_F(one, comm_is_escaped)
{
	struct refusals *refusals;

	lq_write_file("/proc/self/comm", "a b\\c");
	turn_away(&self->w, 1);
	refusals = refusals_read();
	ASSERT_EQ(1, refusals->count);
	EXPECT_STREQ("a\\040b\\134c", refusals->of[0].comm);
	free(refusals);
}

/* A listener from before the load is known by where it listens, not by its caller. */
TEST_F(one, from_before_the_load)
{
	int fd = world_listener(&self->w, 0);
	struct refusals *refusals;

	world_clients(&self->w, fd, 1);
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	world_syns(&self->w, fd, 1);
	ASSERT_TRUE(lq_wait_until(refused_newest() == 1));
	refusals = refusals_read();
	EXPECT_STREQ(lq_local(fd), refusals->of[0].local);
	EXPECT_STREQ(lq_cookie_str(fd), refusals->of[0].cookie);
	EXPECT_STREQ("-", refusals->of[0].comm);
	EXPECT_EQ(0, refusals->of[0].limit);
	free(refusals);
}

/* ---- how it can be read ---- */

/* All that it is now, by so many bytes at a time; to be freed. */
static char *read_by(int fd, size_t bytes)
{
	size_t size = REFUSALS * 512, length = 0;
	char *text = calloc(1, size);
	ssize_t len;

	must(text && lseek(fd, 0, SEEK_SET) == 0);
	while ((len = read(fd, text + length,
			   bytes < size - length ? bytes : size - length)) > 0)
		length += len;
	must(!len && length < size);
	return text;
}

/* The same rows; but for the time, which goes on. */
static bool same_rows(const char *one, const char *other)
{
	struct refusals *a = refusals_parse(one), *b = refusals_parse(other);
	bool same = a->count == b->count;

	for (int i = 0; same && i < a->count; i++) {
		b->of[i].ago_ms = a->of[i].ago_ms;
		same = !memcmp(&a->of[i], &b->of[i], sizeof(a->of[i]));
	}
	free(a);
	free(b);
	return same;
}

TEST_F(one, in_small_reads)
{
	static const size_t sizes[] = { 1, 2, 100, 4095, 4096, 4097 };
	int fd;
	char *whole;

	turn_away(&self->w, 300);
	fd = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	whole = read_by(fd, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = read_by(fd, sizes[i]);

		EXPECT_TRUE(same_rows(whole, text)) {
			TH_LOG("by %zu bytes", sizes[i]);
		}
		free(text);
	}
	free(whole);
	close(fd);
}

/* What is read from the beginning is of then, and the rest belongs to it. */
TEST_F(one, a_snapshot_each_time)
{
	char half[2][4096] = { }, text[512];
	int fds[2];
	char *whole;

	turn_away(&self->w, 10);
	for (int i = 0; i < 2; i++) {
		fds[i] = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(200, read(fds[i], half[i], 200));
	}
	turn_away(&self->w, 5);
	EXPECT_LT(0, read(fds[0], half[0] + 200, sizeof(half[0]) - 201));
	EXPECT_EQ(0, read(fds[0], text, sizeof(text)));

	/* Each has one of its own; and a new one from the beginning on. */
	whole = read_by(fds[0], SIZE_MAX);
	turn_away(&self->w, 1);
	EXPECT_LT(0, read(fds[1], half[1] + 200, sizeof(half[1]) - 201));
	EXPECT_TRUE(same_rows(half[0], half[1]));
	for (int i = 0; i < 2; i++) {
		struct refusals *refusals = refusals_parse(i ? whole : half[0]);

		EXPECT_EQ(i ? 15 : 10, refusals->count);
		free(refusals);
	}
	ASSERT_LT(0, pread(fds[0], half[0], sizeof(half[0]) - 1, 0));
	EXPECT_NE(NULL, strstr(half[0], " 16\n"));
	free(whole);
	lq_close_all(fds, 2);
}

/* ---- a hook that is silenced ---- */

#define KPROBES	"/sys/kernel/debug/kprobes/enabled"

/* Whether a function that the rows depend on isn't seen now. */
static bool any_is_silenced(void)
{
	static const char * const symbols[] = {
		"tcp_conn_request", "tcp_peer_is_proven", "tcp_v4_send_synack",
		"tcp_v6_send_synack", "tcp_v4_syn_recv_sock",
		"tcp_v6_syn_recv_sock", "reuseport_migrate_sock",
		"tcp_disconnect",
	};
	bool silenced = false;

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		silenced |= !strcmp(lq_hook_str(symbols[i], "state"),
				    "silenced");
	return silenced;
}

static bool says_so(void)
{
	struct refusals *refusals = refusals_read();
	bool silenced = refusals->silenced;

	free(refusals);
	return silenced;
}

/* It says so from then on: those of meanwhile are missing for ever. */
TEST_F(one, a_hook_is_silenced)
{
	bool silenced;

	if (access(KPROBES, W_OK))
		SKIP(return, "no " KPROBES);
	turn_away(&self->w, 1);
	EXPECT_FALSE(says_so());
	lq_write_file(KPROBES, "0");
	silenced = any_is_silenced();
	EXPECT_EQ(silenced, says_so());
	lq_write_file(KPROBES, "1");
	EXPECT_FALSE(any_is_silenced());
	EXPECT_EQ(silenced, says_so());
	/* The totals say so too, of what return probes serve: for who comes next. */
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	EXPECT_FALSE(says_so());
	if (!silenced)
		SKIP(return, "no hook of those is a probe on this kernel");
}

TEST_HARNESS_MAIN
