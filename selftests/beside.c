// SPDX-License-Identifier: GPL-2.0-only
/*
 * Others who look at the functions that the module looks at: their probes,
 * ftrace_ops, fprobes, BPF programs, livepatches, tracers. Nobody loses an
 * event, whoever comes or goes first.
 *
 * Two of these others take a kernel module: peers/ has them.
 */

#define _GNU_SOURCE
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "fentry.h"

#define ROUNDS		10
#define BACKLOG		100
#define LIVEPATCH	"/sys/kernel/livepatch/peer_livepatch"

#define ACCEPT		2

/* What peers look at, and how often a round calls it. */
static const struct {
	const char *symbol;
	int often;
} functions[] = {
	{ "tcp_conn_request", 1 },
	{ "tcp_v4_syn_recv_sock", 1 },
	[ACCEPT] = { "__inet_accept", 1 },	/* none on 5.10 */
	{ "__sys_listen", 2 },
	{ "inet_listen", 2 },
	{ "inet_csk_listen_start", 1 },
	{ "inet_csk_listen_stop", 1 },
};

#define FUNCTIONS	ARRAY_SIZE(functions)

static bool here[FUNCTIONS];

/* How often a round calls @symbol as far as probes see it. */
static int seen(const char *symbol, int often)
{
	return lq_is_inlined(symbol) ? 0 : often;
}

enum { ENTER, LEAVE, SIDES };

static const char * const sides[SIDES] = { "calls", "returns" };

/* What a peer has counted since it came; LQ_NONE where it does not look. */
struct hits {
	long long of[FUNCTIONS][SIDES];
};

/**
 * struct peer - somebody else who looks at these functions
 * @lacks: why this kernel can't have it, or NULL
 * @come: attaches it
 * @go: detaches it; nothing of it is left
 * @count: adds what it has counted to @hits, in which all are LQ_NONE
 */
struct peer {
	const char *(*lacks)(void);
	void (*come)(void);
	void (*go)(void);
	void (*count)(struct hits *hits);
};

/* ---- tracefs ---- */

/* An instance of its own: nobody else's events are in its buffer. */
#define INSTANCE	"instances/listenq_beside"

/* One write(); each %s of @format is @symbol. */
static void write_below(const char *name, int flags, const char *format,
			const char *symbol)
{
	char path[PATH_MAX], line[256];
	int n = snprintf(line, sizeof(line), format, symbol, symbol);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lq_tracefs("instances"), name);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	if (fd < 0 || write(fd, line, n) != n)
		err(1, "%s: %s", path, line);
	close(fd);
}

static FILE *open_below(const char *name)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", lq_tracefs("instances"), name);
	file = fopen(path, "r");
	if (!file)
		err(1, "%s", path);
	return file;
}

/* Whether a line of the file has @text. */
static bool has_text(const char *name, const char *text)
{
	FILE *file = open_below(name);
	char line[1024];
	bool has = false;

	while (!has && fgets(line, sizeof(line), file))
		has = strstr(line, text);
	fclose(file);
	return has;
}

static void make_instance(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" INSTANCE, lq_tracefs("instances"));
	if (mkdir(path, 0700) && errno != EEXIST)
		err(1, "%s", path);
}

static void remove_instance(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" INSTANCE, lq_tracefs("instances"));
	if (rmdir(path))
		err(1, "%s", path);
}

/* How many lines of the instance's buffer have @format, filled with a symbol. */
static void count_lines(struct hits *hits, int side, const char *format)
{
	char lines[FUNCTIONS][128];
	FILE *file = open_below(INSTANCE "/trace");
	char line[1024];

	for (size_t i = 0; i < FUNCTIONS; i++) {
		snprintf(lines[i], sizeof(lines[i]), format,
			 functions[i].symbol);
		if (here[i])
			hits->of[i][side] = 0;
	}
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < FUNCTIONS; i++)
			if (here[i] && strstr(line, lines[i]))
				hits->of[i][side]++;
	fclose(file);
}

/* ---- events by kprobes and return probes, and by fprobes ---- */

#define DYNAMIC	"dynamic_events"

static const char *lacks_kprobes(void)
{
	return lq_tracefs("kprobe_events") && lq_tracefs("instances") ?
	       NULL : "no kprobe_events or no instances";
}

static const char *lacks_fprobes(void)
{
	if (!lq_tracefs(DYNAMIC) || !has_text("README", "<func-name>[%return]"))
		return "no events by fprobes";
	return NULL;
}

static void add_events(const char *enter, const char *leave)
{
	make_instance();
	for (size_t i = 0; i < FUNCTIONS; i++) {
		const char *symbol = functions[i].symbol;

		if (!here[i])
			continue;
		write_below(DYNAMIC, O_APPEND, enter, symbol);
		write_below(DYNAMIC, O_APPEND, leave, symbol);
	}
	write_below(INSTANCE "/events/beside/enable", 0, "1", NULL);
}

static void kprobes_come(void)
{
	add_events("p:beside/%s_enter %s\n", "r:beside/%s_leave %s\n");
}

static void fprobes_come(void)
{
	add_events("f:beside/%s_enter %s\n", "f:beside/%s_leave %s%%return\n");
}

static void events_go(void)
{
	write_below(INSTANCE "/events/beside/enable", 0, "0", NULL);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		const char *symbol = functions[i].symbol;

		if (!here[i])
			continue;
		write_below(DYNAMIC, O_APPEND, "-:beside/%s_enter\n", symbol);
		write_below(DYNAMIC, O_APPEND, "-:beside/%s_leave\n", symbol);
	}
	remove_instance();
}

static void count_events(struct hits *hits)
{
	count_lines(hits, ENTER, " %s_enter: (");
	count_lines(hits, LEAVE, " %s_leave: (");
}

static const struct peer kprobes = {
	lacks_kprobes, kprobes_come, events_go, count_events,
};

static const struct peer fprobes = {
	lacks_fprobes, fprobes_come, events_go, count_events,
};

/* ---- the function tracer ---- */

static const char *lacks_tracer(void)
{
	char name[64];
	bool has = false;
	FILE *file;

	if (!lq_tracefs("instances"))
		return "no tracefs with instances";
	file = open_below("available_tracers");
	while (!has && fscanf(file, "%63s", name) == 1)
		has = !strcmp(name, "function");
	fclose(file);
	return has ? NULL : "no function tracer";
}

static void tracer_comes(void)
{
	make_instance();
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (here[i])
			write_below(INSTANCE "/set_ftrace_filter", O_APPEND,
				    "%s\n", functions[i].symbol);
	write_below(INSTANCE "/current_tracer", 0, "function", NULL);
}

static void tracer_goes(void)
{
	write_below(INSTANCE "/current_tracer", 0, "nop", NULL);
	remove_instance();
}

static void count_traced(struct hits *hits)
{
	count_lines(hits, ENTER, " %s <-");
}

static const struct peer tracer = {
	lacks_tracer, tracer_comes, tracer_goes, count_traced,
};

/* ---- BPF ---- */

static bool with_bpf[FUNCTIONS];

static void bpf_comes(void)
{
	for (size_t i = 0; i < FUNCTIONS; i++) {
		with_bpf[i] = here[i] && fentry_attach(i, functions[i].symbol);
		if (here[i] && !with_bpf[i])
			fprintf(stderr, "# this kernel's BPF can't attach to %s\n",
				functions[i].symbol);
	}
}

static void count_bpf(struct hits *hits)
{
	for (size_t i = 0; i < FUNCTIONS; i++) {
		if (!with_bpf[i])
			continue;
		hits->of[i][ENTER] = fentry_hits(i, FENTRY);
		hits->of[i][LEAVE] = fentry_hits(i, FEXIT);
	}
}

static const struct peer bpf = {
	fentry_lacks, bpf_comes, fentry_detach, count_bpf,
};

/* ---- modules ---- */

static const char *lacks_module(const char *module)
{
	static char why[128];
	char command[128];

	snprintf(command, sizeof(command), "modprobe -n -q %s", module);
	if (!lq_run(command))
		return NULL;
	snprintf(why, sizeof(why), "no module %s: build and install selftests/peers",
		 module);
	return why;
}

static void run(const char *command)
{
	if (lq_run(command))
		errx(1, "%s", command);
}

/* The counts of a module's, in the order of its functions. */
static void read_hits(const char *module, long long *counts, int count)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/hits", module);
	file = fopen(path, "r");
	if (!file)
		err(1, "%s", path);
	for (int i = 0; i < count; i++)
		if (fscanf(file, "%lld", &counts[i]) != 1)
			errx(1, "%s", path);
	fclose(file);
}

static const char *lacks_ops(void)
{
	return lacks_module("peer_ftrace");
}

static void ops_come(void)
{
	char command[512] = "modprobe peer_ftrace functions=";

	for (size_t i = 0; i < FUNCTIONS; i++)
		if (here[i])
			strcat(strcat(command, functions[i].symbol), ",");
	command[strlen(command) - 1] = '\0';
	run(command);
}

static void ops_go(void)
{
	run("rmmod peer_ftrace");
}

static void count_ops(struct hits *hits)
{
	long long counts[FUNCTIONS];
	int index = 0;

	read_hits("peer_ftrace", counts, FUNCTIONS);
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (here[i])
			hits->of[i][ENTER] = counts[index++];
}

static const struct peer ops = { lacks_ops, ops_come, ops_go, count_ops };

/* Two of the functions, in this order. */
static const char * const patched[] = {
	"tcp_conn_request", "inet_csk_listen_start",
};

static const char *lacks_livepatch(void)
{
	if (access("/sys/kernel/livepatch", F_OK))
		return "no livepatches";
	return lacks_module("peer_livepatch");
}

/* When no task is in the function as it was before. */
static bool livepatch_is_settled(void)
{
	return lq_read_number(LIVEPATCH "/transition") == 0;
}

static void livepatch_comes(void)
{
	run("modprobe peer_livepatch");
	if (!lq_wait_until(livepatch_is_settled()))
		errx(1, "a livepatch that does not come into force");
}

static void livepatch_goes(void)
{
	lq_write_file(LIVEPATCH "/enabled", "0");
	if (!lq_wait_until(access(LIVEPATCH, F_OK)))
		errx(1, "a livepatch that does not go");
	run("rmmod peer_livepatch");
}

static void count_patched(struct hits *hits)
{
	long long counts[ARRAY_SIZE(patched)];

	read_hits("peer_livepatch", counts, ARRAY_SIZE(patched));
	for (size_t i = 0; i < FUNCTIONS; i++)
		for (size_t p = 0; p < ARRAY_SIZE(patched); p++)
			if (!strcmp(functions[i].symbol, patched[p]))
				hits->of[i][ENTER] = counts[p];
}

static const struct peer livepatch = {
	lacks_livepatch, livepatch_comes, livepatch_goes, count_patched,
};

/* ---- the tests ---- */

#define MOST_PEERS	4

/* Those of this test, after whom a NULL stands, and whether they are there. */
static const struct peer * const *peers;
static bool are_there;

FIXTURE(beside)
{
	bool loaded;
	int log;
};

FIXTURE_VARIANT(beside)
{
	const struct peer *peers[MOST_PEERS + 1];
};

FIXTURE_VARIANT_ADD(beside, kprobes) { .peers = { &kprobes } };
FIXTURE_VARIANT_ADD(beside, ftrace_ops) { .peers = { &ops } };
FIXTURE_VARIANT_ADD(beside, fprobes) { .peers = { &fprobes } };
FIXTURE_VARIANT_ADD(beside, bpf) { .peers = { &bpf } };
FIXTURE_VARIANT_ADD(beside, livepatch) { .peers = { &livepatch } };
FIXTURE_VARIANT_ADD(beside, function_tracer) { .peers = { &tracer } };

/* Those that don't want tracefs for themselves. */
FIXTURE_VARIANT_ADD(beside, everybody)
{
	.peers = { &kprobes, &ops, &bpf, &livepatch },
};

FIXTURE_SETUP(beside)
{
	peers = variant->peers;
	self->loaded = lq_loaded();
	LQ_SETUP();
	for (int i = 0; peers[i]; i++)
		LQ_SKIP_FOR(peers[i]->lacks());
	if (peers[1] && lq_kernel_before(6, 0))
		lq_skip("BPF and livepatches exclude each other before 6.0");
	for (size_t i = 0; i < FUNCTIONS; i++)
		here[i] = i != ACCEPT ||
			  lq_hook("__inet_accept", "hits") != LQ_NONE;
	self->log = lq_open_log();
}

/* In the order in which they came. */
static void let_go(void)
{
	are_there = false;
	for (int i = 0; peers[i]; i++)
		peers[i]->go();
}

FIXTURE_TEARDOWN(beside)
{
	if (are_there)
		let_go();
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static struct hits hits_of(const struct peer *peer)
{
	struct hits hits;

	for (size_t i = 0; i < FUNCTIONS; i++)
		for (int side = 0; side < SIDES; side++)
			hits.of[i][side] = LQ_NONE;
	peer->count(&hits);
	return hits;
}

/* A listener, adjusted once, that takes one connection. */
static void listen_and_connect(struct __test_metadata *_metadata, int round)
{
	int fd = lq_listener(AF_INET, BACKLOG + round);
	int client = lq_connect(fd);

	if (lq_loaded())
		EXPECT_EQ(BACKLOG + round, lq_num(fd, "asked"));
	lq_accept(fd);
	lq_listen(fd, round);
	if (lq_loaded()) {
		struct lq_table *table = lq_read(LQ_SOCKETS);
		int row = lq_row(table, fd);

		EXPECT_EQ(round, lq_cell_num(table, row, "asked"));
		EXPECT_EQ(getpid(), lq_cell_num(table, row, "pid"));
		EXPECT_EQ(1, lq_cell_num(table, row, "syns"));
		/* Seen, or derived from the books. */
		EXPECT_EQ(1, lq_cell_num(table, row, "accepts"));
		lq_free(table);
	}
	close(client);
	close(fd);
}

static void check_peer(struct __test_metadata *_metadata,
		       const struct hits *before, const struct hits *after)
{
	int looked = 0;

	for (size_t i = 0; i < FUNCTIONS; i++) {
		for (int side = 0; side < SIDES; side++) {
			if (after->of[i][side] == LQ_NONE)
				continue;
			looked++;
			EXPECT_EQ(ROUNDS * seen(functions[i].symbol,
						functions[i].often),
				  after->of[i][side] - before->of[i][side]) {
				TH_LOG("the peer's %s of %s", sides[side],
				       functions[i].symbol);
			}
		}
	}
	EXPECT_LT(0, looked);
}

/* The hits of the module's hook, which need not be there, since @before. */
static void check_hook(struct __test_metadata *_metadata, const char *symbol,
		       int often, const struct lq_table *before,
		       const struct lq_table *after)
{
	int row = lq_find(before, "symbol", symbol);
	long long hits = lq_cell_num(before, row, "hits");

	if (hits == LQ_NONE)
		return;
	EXPECT_EQ(ROUNDS * seen(symbol, often),
		  lq_cell_num(after, row, "hits") - hits) {
		TH_LOG("the module's hits of %s", symbol);
	}
}

static void check_module(struct __test_metadata *_metadata,
			 const struct lq_table *before,
			 const struct lq_table *after)
{
	for (size_t i = 0; i < FUNCTIONS; i++)
		check_hook(_metadata, functions[i].symbol, functions[i].often,
			   before, after);
	/* Where there is such a function, the module looks at no outer one. */
	check_hook(_metadata, "__inet_listen_sk", 2, before, after);
	check_hook(_metadata, "unrecorded", 0, before, after);
	/* A hook that couldn't be placed, or sees nothing, has no hits. */
	for (int row = 0; row < after->nrows; row++) {
		EXPECT_STRNE("missing", lq_cell(after, row, "state"));
		EXPECT_STRNE("silenced", lq_cell(after, row, "state"));
	}
}

/* Whoever is there sees all of what is done, and exactly that. */
static void check(struct __test_metadata *_metadata)
{
	struct lq_table *before = NULL, *after;
	struct hits peers_before[MOST_PEERS], peer_after;
	long long missed = 0;

	for (int i = 0; are_there && peers[i]; i++)
		peers_before[i] = hits_of(peers[i]);
	if (lq_loaded()) {
		missed = lq_missed();
		before = lq_read(LQ_HOOKS);
	}
	for (int round = 0; round < ROUNDS; round++)
		listen_and_connect(_metadata, round);
	for (int i = 0; are_there && peers[i]; i++) {
		peer_after = hits_of(peers[i]);
		check_peer(_metadata, &peers_before[i], &peer_after);
	}
	if (lq_loaded()) {
		after = lq_read(LQ_HOOKS);
		check_module(_metadata, before, after);
		EXPECT_EQ(missed, lq_missed());
		lq_free(before);
		lq_free(after);
	}
}

static void come(struct __test_metadata *_metadata)
{
	are_there = true;
	for (int i = 0; peers[i]; i++)
		peers[i]->come();
	check(_metadata);
}

static void go(struct __test_metadata *_metadata)
{
	let_go();
	check(_metadata);
}

static void load(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, lq_load());
	check(_metadata);
}

static void unload(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, lq_unload());
	check(_metadata);
}

/*
 * Each order of coming with each order of going. Several peers take seconds to
 * go: there, who comes first goes first.
 */
TEST_F(beside, whoever_comes_or_goes_first)
{
	char text[1024];

	come(_metadata);	/* the module was first, */
	unload(_metadata);	/* and goes first */
	load(_metadata);	/* the peer was first, */
	if (!peers[1]) {
		unload(_metadata);	/* and goes last */
		load(_metadata);	/* the peer was first, */
		go(_metadata);		/* and goes first */
		come(_metadata);	/* the module was first, */
	}
	go(_metadata);		/* and goes last; several peers: they go first */

	while (lq_read_log(self->log, text, sizeof(text)))
		EXPECT_NE(0, strncmp(text, "listenq: ", 9));
}

TEST_HARNESS_MAIN
