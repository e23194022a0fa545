// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that can't be had and probes that are refused: each allocation of
 * the module fails once, one after the other, and each of the functions that
 * inject/listenq_inject.c offers. What comes of it is an error or a `-`, never
 * a wrong figure, and never another result for the program that listens.
 *
 * It is the kernel's own fault injection that does it:
 * Documentation/fault-injection/fault-injection.rst of the kernel.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "listenq.h"

#define DEBUGFS		"/sys/kernel/debug"
#define EXPEDITED	"/sys/kernel/rcu_expedited"
#define RECORDS		"/sys/kernel/slab/listenq_record"
/* What a probe is refused with: no other error of a load's. */
#define REFUSED		EBUSY
#define NEAR		(16UL << 20)
/* Frames of the stack that are looked through, at most. */
#define MOST_DEPTH	32
#define DEPTH		8
/* Larger than any: pages take no part. */
#define NO_ORDER	99
#define SOMAXCONN_HERE	5
/* An end to a sweep that would not find its own. */
#define MOST_FAULTS	5000

/* ---- the kernel's fault injection ---- */

#define SLAB		"failslab"
#define PAGES		"fail_page_alloc"
#define FUNCTIONS	"fail_function"
#define MEMORY		2	/* the first two */

static const char * const mechanisms[] = { SLAB, PAGES, FUNCTIONS };

/* Before 6.10 or 6.12 they had other names. */
static const struct {
	const char *name;
	bool is_probe;
} functions[] = {
	{ "pcpu_alloc_noprof" }, { "__alloc_percpu" },
	{ "__kmem_cache_create_args" }, { "kmem_cache_create" },
	{ "alloc_workqueue" },
	{ "ftrace_set_filter_ip", true }, { "register_ftrace_function", true },
	{ "register_kprobe", true }, { "register_kretprobe", true },
};

static void set(const char *mechanism, const char *name, const char *format,
		...)
{
	char path[128], text[32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", mechanism, name);
	lq_write_file(path, text);
}

/* The start of a function, and where the next one starts. */
static bool find_function(const char *module, const char *name,
			  unsigned long *start, unsigned long *end)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], symbol[256], of[64];
	unsigned long address;

	if (!file)
		err(1, "/proc/kallsyms");
	*start = 0;
	*end = 0;
	for (int pass = 0; pass < 2; pass++) {
		rewind(file);
		while (fgets(line, sizeof(line), file)) {
			*of = '\0';
			if (sscanf(line, "%lx %*c %255s [%63[^]]]", &address,
				   symbol, of) < 2 || strcmp(of, module))
				continue;
			if (!pass && !strcmp(symbol, name))
				*start = address;
			else if (pass && *start && address > *start &&
				 (!*end || address < *end))
				*end = address;
		}
	}
	fclose(file);
	return *start;
}

static unsigned long text_start(void)
{
	FILE *file = fopen("/sys/module/listenq/sections/.text", "r");
	unsigned long address;

	if (!file || fscanf(file, "%lx", &address) != 1)
		err(1, "the module's address");
	fclose(file);
	return address;
}

/*
 * Only calls that come from @from to @to. By far not all that happens below
 * them, or a sweep would take hours: what they call, and what that calls.
 */
static void limit_to(unsigned long from, unsigned long to, int depth)
{
	for (int i = 0; i < MEMORY; i++) {
		set(mechanisms[i], "require-start", "%#lx", from);
		set(mechanisms[i], "require-end", "%#lx", to);
		set(mechanisms[i], "stacktrace-depth", "%d", depth);
	}
}

static void limit_to_nothing(void)
{
	limit_to(0, ULONG_MAX, MOST_DEPTH);
}

/* Only what the module calls, wherever near here it is loaded the next time. */
static void limit_to_module(int depth)
{
	unsigned long text = text_start();

	limit_to(text - NEAR, text + NEAR, depth);
}

/*
 * Making a cache of objects fails as a whole, at its entry, or the kernel would
 * print a stack, and leak a name (sysfs_slab_add() of 6.12).
 */
#define ENTRY		16

static void leave_out_caches(void)
{
	static const char * const names[] = {
		"__kmem_cache_create_args", "kmem_cache_create",
	};
	unsigned long from, to;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!find_function("", names[i], &from, &to))
			continue;
		for (size_t n = 0; n < ARRAY_SIZE(mechanisms); n++) {
			set(mechanisms[n], "reject-start", "%#lx",
			    from + ENTRY);
			set(mechanisms[n], "reject-end", "%#lx", to);
		}
		return;
	}
}

/* Not one call, but all of them, of every task. */
static void without_memory(bool without)
{
	for (int i = 0; i < MEMORY; i++) {
		set(mechanisms[i], "times", without ? "-1" : "1");
		set(mechanisms[i], "probability", without ? "100" : "0");
	}
}

static int fail_nth;

/* The @n'th call from here on fails. */
static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fail_nth, text, len, 0) != len)
		err(1, "fail-nth");
}

/* Whether it has failed. */
static bool disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		err(1, "fail-nth");
	if (atoi(text))
		arm(0);
	return !atoi(text);
}

/*
 * Objects that checkers keep for each allocation: without them they check less,
 * and nobody else notices.
 */
static const char * const checkers[] = {
	"kmemleak_object", "debug_objects_cache",
};

/* Whatever comes from one of the kernel's caches may fail, but for those. */
static void choose_caches(bool choose)
{
	struct dirent *entry;
	char path[512];
	DIR *dir;
	int fd;

	dir = opendir("/sys/kernel/slab");
	if (!dir)
		err(1, "/sys/kernel/slab");
	while ((entry = readdir(dir))) {
		bool chosen = choose && *entry->d_name != '.';

		for (size_t i = 0; i < ARRAY_SIZE(checkers); i++)
			if (!strcmp(entry->d_name, checkers[i]))
				chosen = false;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab",
			 entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* Refused for one that goes by several names. */
		if (write(fd, chosen ? "1" : "0", 1) != 1 && errno != EINVAL)
			err(1, "%s", path);
		close(fd);
	}
	closedir(dir);
	set(SLAB, "cache-filter", choose ? "Y" : "N");
}

/* NULL, or why nothing can be made to fail. */
static const char *faults_begin(void)
{
	char path[128];

	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth < 0)
		return "the kernel lacks CONFIG_FAULT_INJECTION";
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		snprintf(path, sizeof(path), DEBUGFS "/%s/require-start",
			 mechanisms[i]);
		if (access(path, W_OK))
			return "the kernel lacks one of selftests/config's FAULT_INJECTION options";
	}
	if (access("/sys/kernel/slab", R_OK))
		return "the kernel lacks CONFIG_SLUB_SYSFS";
	if (access("/sys/module/listenq_inject", F_OK) &&
	    lq_run("modprobe -q listenq_inject"))
		return "no module listenq_inject: build selftests/inject and load it";
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		set(mechanisms[i], "verbose", "0");
	for (int i = 0; i < MEMORY; i++)
		set(mechanisms[i], "ignore-gfp-wait", "N");
	set(PAGES, "ignore-gfp-highmem", "N");
	set(PAGES, "min-order", "0");
	choose_caches(true);
	leave_out_caches();
	/* Also where a test that was killed has left them. */
	without_memory(false);
	limit_to_nothing();
	set(FUNCTIONS, "inject", "\n");
	return NULL;
}

static void faults_end(void)
{
	arm(0);
	without_memory(false);
	choose_caches(false);
	for (int i = 0; i < MEMORY; i++)
		set(mechanisms[i], "ignore-gfp-wait", "Y");
	set(PAGES, "ignore-gfp-highmem", "Y");
	set(PAGES, "min-order", "1");
	limit_to_nothing();
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		set(mechanisms[i], "reject-start", "0");
		set(mechanisms[i], "reject-end", "0");
		set(mechanisms[i], "verbose", "2");
	}
	set(FUNCTIONS, "inject", "\n");
	close(fail_nth);
}

/* Whether this kernel has that function, and inject/ has offered it. */
static bool is_offered(const char *name)
{
	char line[256], symbol[128];
	bool found = false;
	FILE *file;

	file = fopen(DEBUGFS "/error_injection/list", "r");
	if (!file)
		err(1, "error_injection/list");
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%127s", symbol) == 1 &&
			!strcmp(symbol, name);
	fclose(file);
	return found;
}

/* The functions take part, too; probes are refused with REFUSED. */
static void inject_functions(void)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!is_offered(functions[i].name))
			continue;
		set(FUNCTIONS, "inject", "%s", functions[i].name);
		if (!functions[i].is_probe)
			continue;
		snprintf(name, sizeof(name), "%s/retval", functions[i].name);
		set(FUNCTIONS, name, "%#llx",
		    (unsigned long long)-REFUSED);
	}
}

/* ---- what is right ---- */

static int lines_in(const char *path)
{
	FILE *file = fopen(path, "r");
	int lines = 0, c;

	if (!file)
		err(1, "%s", path);
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static int probes(void)
{
	return lines_in(DEBUGFS "/kprobes/list");
}

static int traced_functions(void)
{
	return lines_in(DEBUGFS "/tracing/enabled_functions");
}

static void check_nothing_left(struct __test_metadata *_metadata,
			       int probes_before, int traced_before)
{
	EXPECT_FALSE(lq_loaded());
	EXPECT_NE(0, access("/proc/net/listenq", F_OK));
	EXPECT_NE(0, access(RECORDS, F_OK));
	EXPECT_NE(0, access("/sys/kernel/tracing/events/listenq", F_OK));
	EXPECT_EQ(probes_before, probes());
	EXPECT_EQ(traced_before, traced_functions());
}

static bool is_on(const char *symbol)
{
	return lq_hook(symbol, "hits") != LQ_NONE;
}

/* Listeners of IPv6 get IPv4's segments, too. */
static bool on_for(int family, const char *ipv4, const char *ipv6)
{
	return is_on(ipv4) && (family == AF_INET || is_on(ipv6));
}

/* Whether it is seen what enters accept queues, but for Fast Open's. */
static bool fills_are_seen(void)
{
	return is_on("inet_csk_complete_hashdance") &&
	       is_on("inet_csk_reqsk_queue_add");
}

/* A figure is right, or it is `-` and the hook behind it is missing. */
static void check_cell(struct __test_metadata *_metadata, const char *cell,
		       long long right, bool known)
{
	char text[24] = "-";

	if (known)
		snprintf(text, sizeof(text), "%lld", right);
	EXPECT_STREQ(text, cell);
}

/*
 * All figures of a listener that has just accepted one of two connections;
 * `* somaxconn 70000` is the rule.
 */
static void check_figures(struct __test_metadata *_metadata, int family)
{
	bool requests = on_for(family, "tcp_v4_send_synack", "tcp_v6_send_synack");
	bool syn = requests && is_on("tcp_conn_request");
	bool ack = on_for(family, "tcp_v4_syn_recv_sock", "tcp_v6_syn_recv_sock");
	bool accepted = is_on("__inet_accept");
	int fd = lq_listener(family, 7);
	int clients[2] = { lq_connect(fd), lq_connect(fd) };
	/* The latter knows as well, or the system call, as the compiler has it. */
	bool asked = is_on("__sys_listen") || lq_is_inlined("__sys_listen") ||
		     lq_hook("__sys_listen_socket", "hits") > 0;
	struct lq_ss ss;

	ASSERT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	lq_accept(fd);
	ASSERT_TRUE(lq_ss(fd, &ss));

	EXPECT_EQ(asked ? 7 : SOMAXCONN_HERE, ss.sendq);
	check_cell(_metadata, lq_str(fd, "asked"), 7, asked);
	check_cell(_metadata, lq_str(fd, "granted"), SOMAXCONN_HERE, true);
	check_cell(_metadata, lq_str(fd, "limit"), ss.sendq, true);
	EXPECT_STREQ("*", lq_str(fd, "rule"));
	check_cell(_metadata, lq_str(fd, "pid"), getpid(), true);
	check_cell(_metadata, lq_str(fd, "acceptq"), ss.recvq, true);
	check_cell(_metadata, lq_str(fd, "synq"), 0, true);
	check_cell(_metadata, lq_str(fd, "sk_drops"), ss.drops, true);
	check_cell(_metadata, lq_str(fd, "syns"), 2, syn);
	check_cell(_metadata, lq_str(fd, "synq_drops"), 0, syn);
	check_cell(_metadata, lq_str(fd, "syncookies"), 0, syn);
	check_cell(_metadata, lq_str(fd, "synq_peak"), 1, requests);
	check_cell(_metadata, lq_str(fd, "overflows"), 0, syn && ack);
	check_cell(_metadata, lq_str(fd, "acceptq_peak"), 2,
		   requests && fills_are_seen());
	check_cell(_metadata, lq_str(fd, "accepts"), 1, accepted);
	EXPECT_NE(LQ_NONE, lq_num(fd, "since_ms"));
	for (int i = 0; i < 2; i++)
		close(clients[i]);
	close(fd);
}

/* Counts what was missing since the load; a namespace's totals know of IPv6. */
static void check_totals(struct __test_metadata *_metadata)
{
	int family = lq_has_family(AF_INET6) ? AF_INET6 : AF_INET;
	bool requests = on_for(family, "tcp_v4_send_synack", "tcp_v6_send_synack");
	bool syn = requests && is_on("tcp_conn_request");
	bool ack = on_for(family, "tcp_v4_syn_recv_sock", "tcp_v6_syn_recv_sock");
	bool accepted = is_on("__inet_accept") && requests && fills_are_seen();

	EXPECT_EQ(syn ? 4 : LQ_NONE, lq_total("syns"));
	EXPECT_EQ(syn ? 0 : LQ_NONE, lq_total("synq_drops"));
	EXPECT_EQ(syn && ack ? 0 : LQ_NONE, lq_total("overflows"));
	EXPECT_EQ(accepted ? 2 : LQ_NONE, lq_total("accepts"));
}

/* ---- the load ---- */

FIXTURE(load)
{
	bool loaded;
	int expedited;
};

static void leave_as_it_was(struct __test_metadata *_metadata, bool loaded)
{
	/* As it was: without the rule that a test has loaded it with, too. */
	if (lq_loaded())
		EXPECT_EQ(0, lq_unload());
	if (loaded)
		EXPECT_EQ(0, lq_load());
}

FIXTURE_SETUP(load)
{
	const char *why;

	self->loaded = lq_loaded();
	LQ_SETUP();
	if (!lq_module_path())
		SKIP(longjmp(_metadata->env, 1),
		     "no module file: set LISTENQ_KO");
	why = faults_begin();
	if (why)
		SKIP(longjmp(_metadata->env, 1), "%s", why);
	/* Hundreds of loads wait for some twenty grace periods each. */
	self->expedited = lq_read_number(EXPEDITED);
	lq_write_number(EXPEDITED, 1);
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(load)
{
	lq_write_number(EXPEDITED, self->expedited);
	faults_end();
	leave_as_it_was(_metadata, self->loaded);
}

/* What a line of the log names as not to be hooked; "" if none. */
static void refused_symbol(int log, char symbol[64])
{
	static const char lead[] = "listenq: cannot hook ";
	char text[1024];

	*symbol = '\0';
	while (lq_read_log(log, text, sizeof(text))) {
		if (strncmp(text, lead, sizeof(lead) - 1))
			continue;
		if (*symbol)
			errx(1, "two lines: %s and %s", symbol, text);
		snprintf(symbol, 64, "%.*s",
			 (int)strcspn(text + sizeof(lead) - 1, " ,"),
			 text + sizeof(lead) - 1);
	}
}

/* These alone have nothing that stands in for them, and "functions" at all. */
static bool is_required(const char *symbol)
{
	return !strcmp(symbol, "inet_csk_listen_start") ||
	       !strcmp(symbol, "inet_csk_listen_stop") ||
	       !strcmp(symbol, "functions");
}

/* The hooks that are missing, by their places in the file. */
static unsigned long long missing_hooks(void)
{
	struct lq_table *table = lq_read(LQ_HOOKS);
	unsigned long long mask = 0;

	for (int i = 0; i < table->nrows; i++)
		if (!strcmp(lq_cell(table, i, "state"), "missing"))
			mask |= 1ULL << i;
	lq_free(table);
	return mask;
}

/* Those that can go missing here: the others are required, or stand in. */
static unsigned long long optional_hooks(void)
{
	struct lq_table *table = lq_read(LQ_HOOKS);
	unsigned long long mask = 0;

	for (int i = 0; i < table->nrows; i++)
		if (!is_required(lq_cell(table, i, "symbol")) &&
		    strcmp(lq_cell(table, i, "state"), "unneeded") &&
		    strcmp(lq_cell(table, i, "state"), "-"))
			mask |= 1ULL << i;
	lq_free(table);
	return mask;
}

/* CI has no time for each call of a load: it tries one of so many. */
#define SHARE		4

/*
 * Each call fails in turn, while the module is loaded. That is an error, by
 * which nothing is left, or a load without what an optional probe serves.
 */
TEST_F_TIMEOUT(load, each_call_fails_in_turn, 600)
{
	unsigned long long already = missing_hooks(), seen = 0;
	int failed = 0, refused[2] = { 0 }, without = 0, as_ever = 0;
	int share = getenv("LISTENQ_QUICK") ? SHARE : 1;
	int probes_before, traced_before, n;
	char symbol[64], last[64] = "";

	limit_to_module(DEPTH);
	/* The pool takes many, one like the other: without_memory does it. */
	set(PAGES, "min-order", "%d", NO_ORDER);
	ASSERT_EQ(0, lq_unload());
	inject_functions();
	probes_before = probes();
	traced_before = traced_functions();

	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
	for (n = 1 + lq_chance(share); n < MOST_FAULTS; n += share) {
		int log = lq_open_log(), error;
		unsigned long long missing;

		arm(n);
		error = lq_load_with("somaxconn=70000");
		if (!disarm()) {
			ASSERT_EQ(0, error);
			close(log);
			break;
		}
		refused_symbol(log, symbol);
		close(log);
		/* To add one to many functions takes many calls, all alike. */
		if (*symbol && !strcmp(symbol, last) && !is_required(symbol))
			n += 2;
		strcpy(last, symbol);
		if (error) {
			failed++;
			EXPECT_TRUE(error == ENOMEM || error == REFUSED);
			/* One of a probe's, for want of memory, has its line. */
			EXPECT_TRUE(error == ENOMEM || is_required(symbol));
			EXPECT_TRUE(!*symbol || is_required(symbol));
			if (error == REFUSED)
				refused[!strcmp(symbol, "inet_csk_listen_stop")]++;
			check_nothing_left(_metadata, probes_before,
					   traced_before);
			continue;
		}
		missing = missing_hooks() & ~already;
		without += missing != 0;
		as_ever += missing == 0;
		if (missing & ~seen) {
			lq_new_netns();
			lq_set_somaxconn(SOMAXCONN_HERE);
			check_figures(_metadata, AF_INET);
			check_figures(_metadata, lq_family(1));
			check_totals(_metadata);
		}
		seen |= missing;
		ASSERT_EQ(0, lq_unload());
		check_nothing_left(_metadata, probes_before, traced_before);
	}
	TH_LOG("%d calls, one of %d tried: %d failed the load, %d cost a hook, %d nothing",
	       n - 1, share, failed, without, as_ever);
	ASSERT_GT(MOST_FAULTS, n);
	EXPECT_EQ(already, missing_hooks());
	lq_new_netns();
	lq_set_somaxconn(SOMAXCONN_HERE);
	check_figures(_metadata, AF_INET);

	/*
	 * Each probe was refused: those that are required, and with them the
	 * load, and those that are optional.
	 */
	EXPECT_LE(20 / share, failed);
	EXPECT_EQ(0, seen & ~optional_hooks());
	EXPECT_NE(0, seen);
	if (share > 1)
		return;
	EXPECT_LE(1, refused[0]);
	EXPECT_LE(1, refused[1]);
	EXPECT_EQ(optional_hooks(), seen | already);
}

/* A namespace has all of its files, or it is not made. */
TEST_F(load, namespaces)
{
	int failed = 0;

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("somaxconn=70000"));
	limit_to_module(MOST_DEPTH);
	inject_functions();

	for (int n = 1; ; n++) {
		int *done = lq_shared(sizeof(*done));
		pid_t pid = lq_fork();
		int status;

		ASSERT_GT(MOST_FAULTS, n);
		if (!pid) {
			int error;

			fail_nth = open("/proc/self/fail-nth", O_RDWR);
			arm(n);
			error = unshare(CLONE_NEWNET) ? errno : 0;
			*done = !disarm();
			if (error)
				_exit(error == ENOMEM && !*done ? 0 : 1);
			for (int i = 0; i < 5; i++) {
				static const char * const files[] = {
					LQ_SOCKETS, LQ_WAITS, LQ_TOTALS,
					LQ_CLAMP, LQ_HOOKS,
				};

				if (access(files[i], R_OK))
					_exit(2);
			}
			_exit(strcmp("* somaxconn 70000\n", lq_clamp_text()) ?
			      3 : 0);
		}
		status = lq_reap(pid);
		ASSERT_EQ(0, status) {
			TH_LOG("call %d: status %d", n, WEXITSTATUS(status));
		}
		if (*done)
			break;
		failed++;
	}
	TH_LOG("%d calls", failed);
	/* A counter per CPU, a rule, a directory and five files. */
	EXPECT_LE(8, failed);
}

/* ---- files and listen() ---- */

FIXTURE(use)
{
	bool loaded;
};

FIXTURE_SETUP(use)
{
	const char *why;

	self->loaded = lq_loaded();
	LQ_SETUP();
	why = faults_begin();
	if (why)
		SKIP(longjmp(_metadata->env, 1), "%s", why);
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(use)
{
	faults_end();
	leave_as_it_was(_metadata, self->loaded);
}

/* Rules are as they were, or as written; the same of limits. */
TEST_F(use, rules)
{
	static const char before[] = "80 force 1\n* somaxconn 100\n";
	static const char after[] = "90-99 floor 4\n* force 3\n";
	static const char write_it[] = "flush\n90-99 floor 4\n* force 3\n";
	/* The second one is more than the allocator of small things has. */
	const size_t sizes[] = { strlen(write_it), 65536 };
	int clamp = open(LQ_CLAMP, O_WRONLY | O_CLOEXEC);
	char *text = malloc(sizes[1]);
	int fd, failed = 0;

	ASSERT_NE(NULL, text);
	memset(text, '\n', sizes[1]);
	memcpy(text, write_it, sizes[0]);
	fd = lq_listener(AF_INET, 50);

	limit_to_module(MOST_DEPTH);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int n = 1; ; n++) {
			bool met;
			int error;

			ASSERT_GT(MOST_FAULTS, n);
			ASSERT_EQ(0, lq_clamp("flush\n* somaxconn 100\n80 force 1\n"));
			EXPECT_EQ(50, lq_num(fd, "limit"));
			arm(n);
			error = write(clamp, text, sizes[i]) < 0 ? errno : 0;
			met = disarm();
			if (error) {
				failed++;
				EXPECT_EQ(ENOMEM, error);
			}
			EXPECT_STREQ(error ? before : after, lq_clamp_text());
			EXPECT_EQ(error ? 50 : 3, lq_num(fd, "limit"));
			if (!met)
				break;
		}
	}
	/* The text and its rules, twice; where it is large, pages stand in. */
	EXPECT_LE(3, failed);
	close(clamp);
	free(text);
}

static char *read_whole(const char *path, int *error)
{
	char *text = calloc(1, 65536);
	size_t len = 0;
	ssize_t n = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	*error = fd < 0 ? errno : 0;
	while (fd >= 0 && len < 65535 &&
	       (n = read(fd, text + len, 65535 - len)) > 0)
		len += n;
	if (n < 0)
		*error = errno;
	if (fd >= 0)
		close(fd);
	return text;
}

/* Times go on: nothing else may differ. */
static bool is_same(char *a, char *b)
{
	struct lq_table *x = lq_parse(a), *y = lq_parse(b);
	bool same = x->nrows == y->nrows && x->ncols == y->ncols;

	for (int row = 0; same && row < x->nrows; row++)
		for (int col = 0; col < x->ncols; col++)
			if (strcmp(x->cols[col], "since_ms") &&
			    strcmp(x->cells[row][col], y->cells[row][col]))
				same = false;
	lq_free(x);
	lq_free(y);
	return same;
}

/* Whoever reads gets an error or what is right, whose memory it ever was. */
TEST_F(use, reads)
{
	static const char * const files[] = {
		LQ_SOCKETS, LQ_WAITS, LQ_TOTALS, LQ_HOOKS, LQ_CLAMP, LQ_UNIX,
	};
	int fd = lq_listener(AF_INET, 7);
	int error, failed = 0;

	lq_connect(fd);
	lq_accept(fd);
	ASSERT_EQ(0, lq_clamp("* somaxconn 100\n80 force 1\n"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *right = read_whole(files[i], &error);

		ASSERT_EQ(0, error);
		for (int n = 1; ; n++) {
			char *text;
			bool met;

			ASSERT_GT(MOST_FAULTS, n);
			arm(n);
			text = read_whole(files[i], &error);
			met = disarm();
			if (error) {
				failed++;
				EXPECT_EQ(ENOMEM, error);
				EXPECT_STREQ("", text);
				free(text);
			} else {
				EXPECT_TRUE(is_same(strdup(right), text)) {
					TH_LOG("%s, call %d", files[i], n);
				}
			}
			if (!met)
				break;
		}
		free(right);
	}
	EXPECT_LE(10, failed);
	close(fd);
}

/* What listen() comes to when the @n'th of the kernel's own calls fails. */
static int listen_with_fault(int kind, int n, bool *met)
{
	int fd, error;

	fd = kind ? lq_bound(AF_INET, "127.0.0.1", 0) :
		    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (kind == 2)
		lq_listen(fd, 2);
	arm(n);
	error = listen(fd, 7) ? errno : 0;
	*met = disarm();
	/* And the file says the same. */
	if (lq_loaded() && lq_listed(fd) != (kind == 2 || !error))
		errx(1, "listed though it failed, or not listed");
	if (lq_loaded() && lq_listed(fd) &&
	    lq_num(fd, "limit") != (error ? 2 : SOMAXCONN_HERE))
		errx(1, "a limit of %s", lq_str(fd, "limit"));
	close(fd);
	return error;
}

#define MOST_CALLS	64

/* Errors of listen() by the call that failed; how many calls there are. */
static int listen_errors(int kind, int errors[MOST_CALLS])
{
	bool met;

	for (int n = 0; n < MOST_CALLS; n++) {
		errors[n] = listen_with_fault(kind, n + 1, &met);
		if (!met)
			return n;
	}
	errx(1, "more than %d calls", MOST_CALLS);
}

/*
 * A program that listens is told what it would be told without the module, on
 * a socket that the kernel binds, on one that is bound, and again.
 */
TEST_F(use, listen)
{
	int errors[3][MOST_CALLS], without[MOST_CALLS];
	int calls[3], failed = 0;

	/*
	 * A cache of objects takes pages now and then, and tries for more of
	 * them than it needs.
	 */
	set(PAGES, "min-order", "%d", NO_ORDER);
	for (int kind = 0; kind < 3; kind++)
		calls[kind] = listen_errors(kind, errors[kind]);
	ASSERT_EQ(0, lq_unload());
	for (int kind = 0; kind < 3; kind++) {
		EXPECT_EQ(listen_errors(kind, without), calls[kind]);
		for (int n = 0; n < calls[kind]; n++) {
			EXPECT_EQ(without[n], errors[kind][n]);
			failed += without[n] != 0;
		}
	}
	ASSERT_EQ(0, lq_load());
	EXPECT_LE(1, failed);
}

/* ---- no memory at all ---- */

/* More than the pool holds. */
#define MANY	1200

/* How many rows have a `-` there; the others must read @right. */
static int dashes(struct __test_metadata *_metadata, const char *col,
		  const char *right)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int count = 0, wrong = 0;

	for (int row = 0; row < table->nrows; row++) {
		const char *cell = lq_cell(table, row, col);

		if (!strcmp(cell, "-"))
			count++;
		else if (right && strcmp(cell, right))
			wrong++;
	}
	EXPECT_EQ(MANY, table->nrows);
	EXPECT_EQ(0, wrong);
	lq_free(table);
	return count;
}

/*
 * Whoever allocates for the module gets nothing, work items too: the pool runs
 * dry, and listeners have no records until there is memory again.
 */
TEST_F_TIMEOUT(use, without_memory, 120)
{
	const struct rlimit files = { MANY + 100, MANY + 100 };
	long long unrecorded = lq_hook("unrecorded", "hits");
	int clamp = open(LQ_CLAMP, O_RDWR | O_CLOEXEC);
	int *fds = calloc(MANY, sizeof(*fds));
	struct lq_ss ss;
	int unknown;
	char byte;

	ASSERT_NE(NULL, fds);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	limit_to(text_start(), text_start() + NEAR, MOST_DEPTH);
	without_memory(true);
	for (int i = 0; i < MANY; i++)
		fds[i] = lq_listener(AF_INET, 4);

	/*
	 * All are there, each with the right limit, or it would be full. The
	 * pools have some records: 1,088, and 64 on each processor.
	 */
	unknown = dashes(_metadata, "asked", "4");
	EXPECT_LE(MANY - 1088 - 64 * sysconf(_SC_NPROCESSORS_CONF), unknown);
	EXPECT_GT(MANY, unknown);
	EXPECT_EQ(unknown, dashes(_metadata, "since_ms", NULL));
	EXPECT_EQ(unknown, dashes(_metadata, "syns", "0"));
	EXPECT_EQ(0, dashes(_metadata, "limit", "4"));
	EXPECT_EQ(0, dashes(_metadata, "granted", "4"));
	EXPECT_EQ(unrecorded, lq_hook("unrecorded", "hits"));
	lq_connect(fds[MANY - 1]);
	EXPECT_TRUE(lq_wait_until(lq_num(fds[MANY - 1], "acceptq") == 1));
	EXPECT_EQ(LQ_NONE, lq_num(fds[MANY - 1], "acceptq_peak"));
	EXPECT_EQ(-1, write(clamp, "* force 3\n", 10));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, pread(clamp, &byte, 1, 0));
	EXPECT_EQ(-1, open(LQ_CLAMP, O_RDONLY | O_CLOEXEC));
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_TRUE(lq_ss(fds[MANY - 1], &ss));
	EXPECT_EQ(4, ss.sendq);
	/* A listener that goes makes room for nobody, and is gone. */
	close(fds[0]);
	fds[0] = lq_listener(AF_INET, 4);
	EXPECT_EQ(LQ_NONE, lq_num(fds[0], "asked"));
	unknown++;

	/* Met by a read, each is known from now on. */
	without_memory(false);
	EXPECT_EQ(unknown, dashes(_metadata, "asked", "4"));
	EXPECT_EQ(0, dashes(_metadata, "since_ms", NULL));
	EXPECT_EQ(unrecorded + unknown, lq_hook("unrecorded", "hits"));
	EXPECT_EQ(0, lq_clamp("* force 3\n"));
	EXPECT_EQ(0, dashes(_metadata, "limit", "3"));
	ASSERT_TRUE(lq_ss(fds[MANY - 1], &ss));
	EXPECT_EQ(3, ss.sendq);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	free(fds);
}

TEST_HARNESS_MAIN
