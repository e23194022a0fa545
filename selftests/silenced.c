// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks that the kernel does not call any more, and namespaces that go: the list
 * of listeners and their occupancy stay right, what is not known is admitted, and
 * what is silenced says so.
 */

#define _GNU_SOURCE
#include <net/if.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define FTRACE	"/proc/sys/kernel/ftrace_enabled"
#define KPROBES	"/sys/kernel/debug/kprobes/enabled"
#define HOOK	"inet_csk_listen_start"
#define SOME	5

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

/* ---- what the file hooks says ---- */

/* A kprobe or a kretprobe; both go silent by one switch. */
static bool is_probe(const char *how)
{
	return strstr(how, "probe");
}

static bool is_placed(const char *how)
{
	return is_probe(how) || !strcmp(how, "ftrace");
}

/* How many hooks have @value in the column @col. */
static int count_rows(const char *col, const char *value)
{
	struct lq_table *table = lq_read(LQ_HOOKS);
	int count = 0;

	for (int row = 0; row < table->nrows; row++)
		count += !strcmp(lq_cell(table, row, col), value);
	lq_free(table);
	return count;
}

static bool any_placed(const char *how)
{
	return count_rows("how", how);
}

/* Ways to place hooks, in use, that the kprobes' switch silences. */
static int silent_ways(void)
{
	return any_placed("kprobe") + any_placed("kretprobe");
}

/* Every hook is on; or, with the kprobes' switch at 0, those of ftrace are. */
static void check_hooks(struct __test_metadata *_metadata, bool silent)
{
	struct lq_table *table = lq_read(LQ_HOOKS);

	for (int row = 0; row < table->nrows; row++) {
		const char *how = lq_cell(table, row, "how");
		const char *state = lq_cell(table, row, "state");

		if (is_placed(how)) {
			EXPECT_STREQ(silent && is_probe(how) ? "silenced" :
				     "on", state) {
				TH_LOG("%s", lq_cell(table, row, "symbol"));
			}
		} else {
			EXPECT_STREQ("-", how);
			EXPECT_STRNE("on", state);
			EXPECT_STRNE("silenced", state);
		}
	}
	EXPECT_STREQ("kretprobe",
		     lq_cell(table, lq_find(table, "symbol", HOOK), "how"));
	lq_free(table);
}

static bool is_alive(const struct lq_table *hooks, const char *symbol)
{
	int row = lq_find(hooks, "symbol", symbol);

	return row >= 0 && !strcmp(lq_cell(hooks, row, "state"), "on");
}

#define MOST_HOOKS	6

/* The hooks without which a column reads "-": of a listener of IPv4. */
struct column {
	const char *name;
	const char *hooks[MOST_HOOKS];
	/* Only where the kernel can't have this one. */
	const char *unless;
};

static const struct column own_columns[] = {
	{ "asked", { HOOK } },
	{ "pid", { HOOK } },
	{ "comm", { HOOK } },
	{ "syns", { "tcp_conn_request", "tcp_v4_send_synack" } },
	{ "synq_drops", { "tcp_conn_request" } },
	{ "syncookies", { "tcp_conn_request" } },
	{ "synq_peak", { "tcp_v4_send_synack" } },
	{ "overflows", { "tcp_conn_request", "tcp_v4_syn_recv_sock" } },
	{ "overflows_ack", { "tcp_conn_request", "tcp_v4_syn_recv_sock" } },
	{ "synq_reserved", { "tcp_conn_request", "tcp_peer_is_proven" } },
	{ "acceptq_peak", { "tcp_v4_send_synack",
			    "inet_csk_complete_hashdance",
			    "inet_csk_reqsk_queue_add" } },
	{ "accepts", { "__inet_accept" } },
	{ "accepts", { "tcp_v4_send_synack", "inet_csk_complete_hashdance",
		       "inet_csk_reqsk_queue_add" }, "__inet_accept" },
};

static const struct column total_columns[] = {
	{ "syns", { "tcp_conn_request", "tcp_v4_send_synack",
		    "tcp_v6_send_synack" } },
	{ "requests", { "tcp_v4_send_synack", "tcp_v6_send_synack" } },
	{ "finished", { "inet_csk_complete_hashdance" } },
	{ "reset", { "inet_csk_reqsk_queue_drop" } },
	{ "synq_drops", { "tcp_conn_request" } },
	{ "syncookies", { "tcp_conn_request" } },
	{ "overflows", { "tcp_conn_request", "tcp_v4_syn_recv_sock",
			 "tcp_v6_syn_recv_sock" } },
	{ "accepts", { "__inet_accept", "tcp_v4_send_synack",
		       "tcp_v6_send_synack", "inet_csk_complete_hashdance",
		       "inet_csk_reqsk_queue_add" } },
};

/* Where IPv6, or another way than accept() has, is not to be had. */
static bool is_needed(const struct lq_table *hooks, const char *symbol)
{
	int row = lq_find(hooks, "symbol", symbol);

	return row < 0 || strcmp(lq_cell(hooks, row, "state"), "unneeded");
}

/* A "-" wherever a hook is not on, and nowhere else. */
static void check_columns(struct __test_metadata *_metadata,
			  const struct lq_table *table, int row,
			  const struct column *columns, int count)
{
	struct lq_table *hooks = lq_read(LQ_HOOKS);

	for (int i = 0; i < count; i++) {
		const char *unless = columns[i].unless;
		bool known = true, needed = false;

		if (unless && is_needed(hooks, unless))
			continue;
		for (int h = 0; h < MOST_HOOKS && columns[i].hooks[h]; h++) {
			if (!is_needed(hooks, columns[i].hooks[h]))
				continue;
			known &= is_alive(hooks, columns[i].hooks[h]);
			needed = true;
		}
		if (!needed)
			continue;
		EXPECT_EQ(!known, !strcmp(lq_cell(table, row, columns[i].name),
					  "-")) {
			TH_LOG("%s", columns[i].name);
		}
	}
	lq_free(hooks);
}

static void check_listener(struct __test_metadata *_metadata, int fd)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);

	check_columns(_metadata, table, lq_row(table, fd), own_columns,
		      ARRAY_SIZE(own_columns));
	lq_free(table);
}

static void check_totals(struct __test_metadata *_metadata)
{
	struct lq_table *table = lq_read(LQ_TOTALS);

	check_columns(_metadata, table, 0, total_columns,
		      ARRAY_SIZE(total_columns));
	lq_free(table);
}

/* The totals that a probe which may go silent has a part in read "-". */
static void check_lost_totals(struct __test_metadata *_metadata)
{
	struct lq_table *hooks = lq_read(LQ_HOOKS);

	for (size_t i = 0; i < ARRAY_SIZE(total_columns); i++) {
		const struct column *column = &total_columns[i];
		bool lost = false;

		for (int h = 0; h < MOST_HOOKS && column->hooks[h]; h++) {
			int row = lq_find(hooks, "symbol", column->hooks[h]);

			lost |= row >= 0 &&
				is_probe(lq_cell(hooks, row, "how"));
		}
		if (lost)
			EXPECT_EQ(LQ_NONE, lq_total(column->name));
	}
	lq_free(hooks);
}

/* The limit is true; who asked for how much is not known. */
static void check_unknown(struct __test_metadata *_metadata, int fd,
			  int granted, int limit)
{
	long long shown = lq_num(fd, "granted");

	EXPECT_EQ(limit, lq_num(fd, "limit"));
	EXPECT_TRUE(shown == granted || shown == LQ_NONE);
	EXPECT_EQ(LQ_NONE, lq_num(fd, "asked"));
	EXPECT_EQ(LQ_NONE, lq_num(fd, "pid"));
	EXPECT_STREQ("-", lq_str(fd, "comm"));
}

static void check_known(struct __test_metadata *_metadata, int fd, int asked)
{
	EXPECT_EQ(asked, lq_num(fd, "asked"));
	EXPECT_EQ(asked, lq_num(fd, "granted"));
	EXPECT_EQ(asked, lq_num(fd, "limit"));
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	check_listener(_metadata, fd);
}

/* A figure of the file handshakes. */
static long long handshakes_of(int fd, const char *name)
{
	struct lq_table *table = lq_read(LQ_HANDSHAKES);
	long long figure = lq_cell_num(table, lq_row(table, fd), name);

	lq_free(table);
	return figure;
}

/* What a return probe may have missed of a listener, and what it can't have. */
static void check_missed_returns(struct __test_metadata *_metadata, int fd,
				 bool missed)
{
	static const char * const by_returns[] = { "reset", "expired" };

	for (size_t i = 0; i < ARRAY_SIZE(by_returns); i++) {
		EXPECT_EQ(missed, handshakes_of(fd, by_returns[i]) == LQ_NONE) {
			TH_LOG("%s", by_returns[i]);
		}
	}
	if (!any_placed("kprobe"))
		EXPECT_NE(LQ_NONE, handshakes_of(fd, "requests"));
}

/* Lines of ours in the log, all of them or those that have @word. */
static int log_lines(int log, const char *word)
{
	char text[1024];
	int count = 0;

	while (lq_read_log(log, text, sizeof(text)))
		count += strstr(text, "listenq: ") &&
			 (!word || strstr(text, word));
	return count;
}

/* Whether the kernel calls no hook now. */
static bool is_silent(void)
{
	long long hits = lq_hook(HOOK, "hits");

	close(lq_listener(AF_INET, 1));
	return lq_hook(HOOK, "hits") == hits;
}

/* ---- kprobes are switched off ---- */

FIXTURE(silenced)
{
	bool loaded;
	int log;
};

FIXTURE_SETUP(silenced)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	if (access(KPROBES, W_OK))
		lq_skip("no " KPROBES);
	/* A test that ended early has left it as it was. */
	lq_write_file(KPROBES, "1");
	lq_set_somaxconn(SOMAXCONN_HERE);
	self->log = lq_open_log();
}

FIXTURE_TEARDOWN(silenced)
{
	if (!access(KPROBES, W_OK))
		lq_write_file(KPROBES, "1");
	/* A module that was blind says so in totals for as long as it is loaded. */
	EXPECT_EQ(0, lq_restore(false));
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/* Listeners from before, from meanwhile and from afterwards. */
TEST_F(silenced, while_loaded)
{
	long long unrecorded = lq_hook("unrecorded", "hits");
	int known = lq_listener(AF_INET, 7);
	int gone = lq_listener(AF_INET, 7);
	int fds[SOME], clients[SOME];
	long long hits;
	int fresh;

	check_hooks(_metadata, false);
	check_known(_metadata, known, 7);
	hits = lq_hook(HOOK, "hits");
	EXPECT_LE(2, hits);
	lq_write_file(KPROBES, "0");
	check_hooks(_metadata, true);
	EXPECT_EQ(hits, lq_hook(HOOK, "hits"));
	if (self->log >= 0)
		EXPECT_EQ(silent_ways(), log_lines(self->log, "silen"));

	for (int i = 0; i < SOME; i++) {
		fds[i] = lq_listener(AF_INET, 10 + i);
		check_unknown(_metadata, fds[i], 10 + i, 10 + i);
		clients[i] = lq_connect(fds[i]);
	}
	close(gone);
	for (int i = 0; i < SOME; i++) {
		ASSERT_TRUE(lq_wait_until(lq_num(fds[i], "acceptq") == 1));
		check_unknown(_metadata, fds[i], 10 + i, 10 + i);
		check_listener(_metadata, fds[i]);
		/* What is not silent goes on. */
		if (!any_placed("kprobe")) {
			EXPECT_EQ(1, lq_num(fds[i], "syns"));
			EXPECT_EQ(1, lq_num(fds[i], "acceptq_peak"));
			EXPECT_LE(i + 1, lq_total("syns"));
		}
	}
	check_totals(_metadata);
	EXPECT_EQ(unrecorded + SOME, lq_hook("unrecorded", "hits"));

	/* This one may have been adjusted unseen; then it is. */
	check_unknown(_metadata, known, 7, 7);
	check_listener(_metadata, known);
	lq_listen(known, 9);
	check_unknown(_metadata, known, 9, 9);
	/* It was said once. */
	if (self->log >= 0)
		EXPECT_EQ(0, log_lines(self->log, "silen"));

	lq_write_file(KPROBES, "1");
	check_hooks(_metadata, false);
	EXPECT_FALSE(is_silent());
	fresh = lq_listener(AF_INET, 55);
	check_known(_metadata, fresh, 55);
	/* What was missed stays unknown until there is something to know. */
	check_unknown(_metadata, known, 9, 9);
	for (int i = 0; i < SOME; i++) {
		check_unknown(_metadata, fds[i], 10 + i, 10 + i);
		check_missed_returns(_metadata, fds[i], true);
	}
	check_missed_returns(_metadata, fresh, false);
	check_lost_totals(_metadata);
	lq_end_listening(known);
	lq_listen(known, 11);
	check_known(_metadata, known, 11);
	for (int i = 0; i < SOME; i++) {
		lq_listen(fds[i], 20 + i);
		EXPECT_EQ(20 + i, lq_num(fds[i], "asked"));
		EXPECT_EQ(getpid(), lq_num(fds[i], "pid"));
		EXPECT_EQ(1, lq_num(fds[i], "acceptq"));
	}
	EXPECT_EQ(unrecorded + SOME, lq_hook("unrecorded", "hits"));

	lq_close_all(clients, SOME);
	lq_close_all(fds, SOME);
	close(known);
	close(fresh);
}

/* A rule acts when somebody looks, if not at once, and claims no more. */
TEST_F(silenced, a_rule_claims_no_more_than_it_does)
{
	bool claimed = false;
	long long limit = 0;
	int fd;

	ASSERT_EQ(0, lq_clamp("* somaxconn 50\n"));
	lq_write_file(KPROBES, "0");
	check_hooks(_metadata, true);
	fd = lq_listener(AF_INET, 1000);
	EXPECT_TRUE(lq_wait_until(({
		struct lq_table *table = lq_read(LQ_SOCKETS);
		int row = lq_row(table, fd);

		limit = lq_cell_num(table, row, "limit");
		claimed |= limit != 50 &&
			   strcmp(lq_cell(table, row, "rule"), "-");
		lq_free(table);
		limit == 50;
	})));
	EXPECT_FALSE(claimed);
	check_unknown(_metadata, fd, SOMAXCONN_HERE, 50);
	EXPECT_STREQ("*", lq_str(fd, "rule"));

	lq_write_file(KPROBES, "1");
	ASSERT_EQ(0, lq_clamp("flush\n"));
	EXPECT_EQ(SOMAXCONN_HERE, lq_num(fd, "limit"));
	lq_listen(fd, 60);
	EXPECT_EQ(60, lq_num(fd, "asked"));
	EXPECT_EQ(60, lq_num(fd, "limit"));
}

static int limit_of_kernel(int fd)
{
	int waiting, limit;

	return lq_tcp_queue(fd, &waiting, &limit) ? limit : -1;
}

/* Where nobody opens a file, a sweep does what a reader would. */
TEST_F(silenced, a_sweep_finds_out)
{
	bool told = self->log < 0;
	int fd;

	ASSERT_EQ(0, lq_clamp("* somaxconn 50\n"));
	lq_write_file(KPROBES, "0");
	fd = lq_listener(AF_INET, 1000);
	EXPECT_TRUE(lq_wait_until(limit_of_kernel(fd) == 50));
	EXPECT_TRUE(lq_wait_until(told |= log_lines(self->log, "silen")));
	check_unknown(_metadata, fd, SOMAXCONN_HERE, 50);
}

/* Loaded while they are off: it says so, and is whole when they are on. */
TEST_F(silenced, before_the_load)
{
	int before, fresh;

	ASSERT_EQ(0, lq_unload());
	if (self->log >= 0)
		log_lines(self->log, NULL);
	lq_write_file(KPROBES, "0");
	ASSERT_EQ(0, lq_load());
	if (self->log >= 0)
		EXPECT_EQ(silent_ways(), log_lines(self->log, "silen"));
	check_hooks(_metadata, true);
	before = lq_listener(AF_INET, 7);
	check_unknown(_metadata, before, 7, 7);
	check_listener(_metadata, before);
	check_totals(_metadata);

	lq_write_file(KPROBES, "1");
	check_hooks(_metadata, false);
	fresh = lq_listener(AF_INET, 8);
	check_known(_metadata, fresh, 8);
	check_unknown(_metadata, before, 7, 7);
	lq_end_listening(before);
	lq_listen(before, 9);
	check_known(_metadata, before, 9);
	check_lost_totals(_metadata);

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	check_hooks(_metadata, false);
	check_totals(_metadata);
}

static void become_user(void)
{
	lq_become_user(1000);
}

static void become_container_root(void)
{
	lq_enter_container(1000);
}

/* Neither switch is in anybody else's reach. */
TEST_F(silenced, by_root_alone)
{
	static const char * const paths[] = { KPROBES, FTRACE };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int error;

		if (access(paths[i], W_OK))
			continue;
		EXPECT_EQ(EACCES, lq_write_as(become_user, paths[i], "0"));
		error = lq_write_as(become_container_root, paths[i], "0");
		EXPECT_TRUE(error == EACCES || error == -1);
	}
	EXPECT_FALSE(is_silent());
}

LQ_FIXTURE(gone);

static void listen_there(void)
{
	lq_listener(AF_INET, 3);
}

/* The records that the module has of its listeners don't keep it alive. */
TEST_F(gone, nobody_reads)
{
	pid_t pid = lq_elsewhere("lq0", listen_there);

	if (pid < 0)
		SKIP(return, "no veth devices");
	lq_kill(pid);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* Nor where the end of the listener was missed. */
TEST_F(gone, end_was_missed)
{
	pid_t pid;

	if (access(KPROBES, W_OK))
		SKIP(return, "no " KPROBES);
	pid = lq_elsewhere("lq0", listen_there);
	if (pid < 0)
		SKIP(return, "no veth devices");
	lq_write_file(KPROBES, "0");
	lq_kill(pid);
	lq_write_file(KPROBES, "1");
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* An open file does, as every file of /proc/net does, until it is closed. */
TEST_F(gone, file_held_open)
{
	pid_t pid = lq_elsewhere("lq0", listen_there);
	char path[64], line[4096];
	FILE *file;
	int lines = 0;

	if (pid < 0)
		SKIP(return, "no veth devices");
	snprintf(path, sizeof(path), "/proc/%d/net/listenq/sockets", pid);
	file = fopen(path, "r");
	ASSERT_NE(NULL, file);
	lq_kill(pid);
	while (fgets(line, sizeof(line), file))
		lines++;
	EXPECT_EQ(1, lines);
	EXPECT_NE(0, if_nametoindex("lq0"));
	fclose(file);
	EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
}

/* ---- ftrace is switched off ---- */

FIXTURE(ftrace)
{
	bool loaded;
};

FIXTURE_SETUP(ftrace)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	if (access(FTRACE, W_OK))
		lq_skip("no " FTRACE);
	lq_write_file(FTRACE, "1");
}

FIXTURE_TEARDOWN(ftrace)
{
	if (!access(FTRACE, W_OK))
		lq_write_file(FTRACE, "1");
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static int switch_off_ftrace(void)
{
	int fd = open(FTRACE, O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		err(1, FTRACE);
	error = lq_write(fd, "0", 1);
	close(fd);
	return error;
}

/* Some hook is ftrace's, so that it isn't switched off below us. */
TEST_F(ftrace, stays_on)
{
	long long hits;
	int error, fd;

	if (!any_placed("ftrace"))
		SKIP(return, "no hook is ftrace's on this kernel");
	error = switch_off_ftrace();
	EXPECT_TRUE(error == EBUSY || error == EOPNOTSUPP) {
		TH_LOG("%s", strerror(error));
	}
	EXPECT_EQ(1, lq_read_number(FTRACE));
	check_hooks(_metadata, false);
	fd = lq_listener(AF_INET, 7);
	check_known(_metadata, fd, 7);
	hits = lq_hook("tcp_conn_request", "hits");
	close(lq_connect(fd));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "syns") == 1));
	EXPECT_EQ(hits + 1, lq_hook("tcp_conn_request", "hits"));
}

/*
 * Loaded while ftrace is off: refused, with a line that says why, or all that
 * depends on it says that it is silenced. Last, and where kernels are known to
 * live on: later ones may give ftrace up until they boot again, for probes
 * that are placed meanwhile (Documentation/kernels.rst).
 */
TEST_F(ftrace, off_before_the_load)
{
	int log = lq_open_log(), error, fd;

	if (!lq_kernel_before(6, 2))
		SKIP(return, "this kernel might give ftrace up");
	if (!any_placed("ftrace"))
		SKIP(return, "no hook is ftrace's on this kernel");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, switch_off_ftrace());
	if (log >= 0)
		log_lines(log, NULL);
	/* By its file, where it has one: modprobe does not tell the error. */
	error = lq_module_path() ? lq_load_with("") : lq_load();
	if (error) {
		EXPECT_EQ(lq_module_path() ? EBUSY : ENOENT, error);
		EXPECT_FALSE(lq_loaded());
		if (log >= 0)
			EXPECT_EQ(1, log_lines(log, "ftrace_enabled"));
		lq_write_file(FTRACE, "1");
		ASSERT_EQ(0, lq_load());
	} else {
		EXPECT_LT(0, count_rows("state", "silenced"));
		fd = lq_listener(AF_INET, 6);
		check_unknown(_metadata, fd, 6, 6);
		check_listener(_metadata, fd);
		check_totals(_metadata);
		close(fd);
		lq_write_file(FTRACE, "1");
	}
	check_hooks(_metadata, false);
	fd = lq_listener(AF_INET, 7);
	check_known(_metadata, fd, 7);
}

TEST_HARNESS_MAIN
