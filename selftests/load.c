// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading: with listeners there before, with files open, and
 * where a function can't be probed. The module is in the kernel afterwards
 * if it was before.
 */

#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"

LQ_FIXTURE_RELOADS(load);

TEST_F(load, unload_with_files_open)
{
	int fd = lq_listener(AF_INET, 5);
	int sockets = open(LQ_SOCKETS, O_RDONLY);
	int hooks = open(LQ_HOOKS, O_RDONLY);
	int half_read = open(LQ_SOCKETS, O_RDONLY);
	char text[64];

	ASSERT_LE(0, sockets);
	ASSERT_LE(0, hooks);
	ASSERT_EQ(10, read(half_read, text, 10));
	ASSERT_EQ(0, lq_unload());
	EXPECT_FALSE(lq_loaded());

	EXPECT_EQ(-1, read(sockets, text, sizeof(text)));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, read(hooks, text, sizeof(text)));
	EXPECT_EQ(-1, read(half_read, text, sizeof(text)));
	EXPECT_EQ(-1, open(LQ_SOCKETS, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);

	/* A second module's files are no reason for the first one's to work. */
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(-1, read(sockets, text, sizeof(text)));
	close(sockets);
	close(hooks);
	close(half_read);
	EXPECT_TRUE(lq_listed(fd));
}

/* What the kernel does with its listeners is none of the module's doing. */
TEST_F(load, listeners_go_on)
{
	int fd = lq_listener(AF_INET, 5);
	struct lq_ss ss;

	lq_connect(fd);
	ASSERT_EQ(0, lq_unload());
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(1, ss.recvq);
	EXPECT_EQ(5, ss.sendq);
	lq_connect(fd);
	lq_accept(fd);
	lq_accept(fd);
	lq_listen(fd, 6);
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(0, ss.recvq);
	EXPECT_EQ(6, ss.sendq);
	close(fd);
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(1, lq_num(lq_listener(AF_INET, 1), "asked"));
}

/* Of a listener that was there before, what the kernel knows is known. */
TEST_F(load, listeners_from_before)
{
	long long before, after;
	int fd, other;

	ASSERT_EQ(0, lq_unload());
	fd = lq_listener(AF_INET, 5);
	other = lq_listener(lq_family(1), 17);
	lq_connect(fd);
	lq_connect(fd);
	before = lq_now_ms();
	ASSERT_EQ(0, lq_load());
	after = lq_now_ms();

	EXPECT_STREQ("-", lq_str(fd, "asked"));
	EXPECT_STREQ("-", lq_str(fd, "pid"));
	EXPECT_STREQ("-", lq_str(fd, "comm"));
	EXPECT_EQ(5, lq_num(fd, "granted"));
	EXPECT_EQ(5, lq_num(fd, "limit"));
	EXPECT_EQ(17, lq_num(other, "granted"));
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 2));
	EXPECT_EQ(0, lq_num(other, "acceptq"));

	/* Counted from the load on. */
	EXPECT_TRUE(lq_wait_until(lq_now_ms() - after > 100));
	EXPECT_LE(100 - LQ_SLACK_MS, lq_num(fd, "since_ms"));
	EXPECT_GE(lq_now_ms() - before + LQ_SLACK_MS, lq_num(fd, "since_ms"));

	/* Its next listen() is seen as any other. */
	lq_listen(fd, 9);
	EXPECT_EQ(9, lq_num(fd, "asked"));
	EXPECT_EQ(9, lq_num(fd, "granted"));
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	EXPECT_STREQ("load", lq_str(fd, "comm"));
	EXPECT_STREQ("-", lq_str(other, "asked"));
	close(fd);
	close(other);
}

/* Records for listeners that come at once, which a call can't wait for. */
TEST_F(load, records_lie_ready)
{
	static const char path[] = "/sys/kernel/slab/listenq_record/objects";

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	if (access(path, F_OK))
		SKIP(return, "the kernel lacks CONFIG_SLUB_SYSFS or _DEBUG");
	EXPECT_LE(1024, lq_read_number(path));
}

/* What was known before the module went away isn't remembered. */
TEST_F(load, a_second_load_starts_from_nothing)
{
	int fd = lq_listener(AF_INET, 5);

	EXPECT_EQ(5, lq_num(fd, "asked"));
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	EXPECT_STREQ("-", lq_str(fd, "asked"));
	EXPECT_EQ(5, lq_num(fd, "granted"));
	EXPECT_EQ(0, lq_hook("inet_csk_listen_start", "hits"));
}

static pid_t keep_listening(int family)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	for (int i = 0;; i++) {
		int fd = lq_listener(family, i % 100);

		lq_listen(fd, i % 100 + 1);
		close(lq_connect(fd));
		close(fd);
		lq_breathe(i);
	}
}

static pid_t keep_reading(void)
{
	pid_t pid = lq_fork();
	char text[512];

	if (pid)
		return pid;
	for (int i = 0;; i++) {
		int fd = open(LQ_SOCKETS, O_RDONLY);

		if (fd < 0) {
			lq_pause();
			continue;
		}
		lq_breathe(i);
		while (read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
	}
}

/*
 * In and out while others listen, connect and read. A preemptible kernel waits for
 * each of its tasks to be scheduled, for each function that is hooked by ftrace.
 */
TEST_F_TIMEOUT(load, under_load, 240)
{
	pid_t pids[3] = {
		keep_listening(AF_INET), keep_listening(lq_family(1)),
		keep_reading(),
	};

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, lq_unload());
		ASSERT_EQ(0, lq_load());
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		lq_kill(pids[i]);
	EXPECT_EQ(3, lq_num(lq_listener(AF_INET, 3), "asked"));
}

TEST_F(load, twice_is_an_error)
{
	const char *path = lq_module_path();

	if (!path)
		SKIP(return, "no module file: set LISTENQ_KO");
	EXPECT_EQ(EEXIST, lq_load_file(path));
	EXPECT_TRUE(lq_loaded());
}

/*
 * A function that can't be probed is asked for by a copy of the module's
 * file, in which its name is overwritten with one as long, or shorter: one
 * that no function has, or that of a function of the kprobes' own, which
 * they refuse.
 */
#define NO_SYMBOL	"no_function"
#define NO_KPROBE	"get_kprobe"

/* How many lines of the log name @symbol. */
static int count_log(int log, const char *symbol)
{
	char text[1024];
	int count = 0;

	while (lq_read_log(log, text, sizeof(text)))
		count += !strncmp(text, "listenq: ", 9) &&
			 strstr(text, symbol);
	close(log);
	return count;
}

/* Loads it; how many lines of the log name what isn't there. */
static int load_copy(struct __test_metadata *_metadata,
		     const char *const *symbols, const char *other, int *lines)
{
	char path[] = "/tmp/listenq-test-XXXXXX";
	const char *from = lq_module_path();
	int fd, log, error;
	struct stat st;
	char *image;

	fd = open(from, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", from);
	image = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		     0);
	if (image == MAP_FAILED)
		err(1, "mmap");
	close(fd);

	for (; *symbols; symbols++) {
		size_t len = strlen(*symbols);
		char *end = image + st.st_size;
		int found = 0;

		/* Whole strings only: with the NUL on either side. */
		for (char *p = image;
		     (p = memmem(p, end - p, *symbols, len + 1)); p += len) {
			if (p[-1])
				continue;
			strcpy(p, other);
			found++;
		}
		EXPECT_LE(1, found);
	}

	fd = mkstemp(path);
	if (fd < 0 || write(fd, image, st.st_size) != st.st_size)
		err(1, "%s", path);
	close(fd);
	munmap(image, st.st_size);

	log = lq_open_log();
	error = lq_load_file(path);
	unlink(path);
	*lines = count_log(log, other);
	return error;
}

/* One that is required fails the load, with its errno and one line. */
TEST_F(load, a_required_function_that_cannot_be_probed)
{
	static const struct {
		const char *symbols[3];
		const char *other;
		int error;
	} failures[] = {
		{ { "inet_csk_listen_start" }, NO_SYMBOL, ENOENT },
		{ { "inet_csk_listen_stop" }, NO_SYMBOL, ENOENT },
		{ { "inet_listen", "__inet_listen_sk" }, NO_SYMBOL, ENOENT },
		{ { "inet_csk_listen_start" }, NO_KPROBE, EINVAL },
		{ { "inet_csk_listen_stop" }, NO_KPROBE, EINVAL },
	};

	if (!lq_module_path())
		SKIP(return, "no module file: set LISTENQ_KO");
	ASSERT_EQ(0, lq_unload());
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		int lines, error;

		error = load_copy(_metadata, failures[i].symbols,
				  failures[i].other, &lines);
		if (error == EKEYREJECTED)
			SKIP(return, "only signed modules may be loaded");
		EXPECT_EQ(failures[i].error, error);
		EXPECT_EQ(1, lines);
		EXPECT_FALSE(lq_loaded());
		EXPECT_NE(0, access(LQ_SOCKETS, F_OK));
	}
	/* None of them left anything behind that a whole module would meet. */
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(4, lq_num(lq_listener(AF_INET, 4), "asked"));
}

/* Only one that is missing costs a line: not what this kernel can't have. */
TEST_F(load, a_function_that_this_kernel_cannot_have)
{
	struct lq_table *table;
	int missing = 0, log;

	ASSERT_EQ(0, lq_unload());
	log = lq_open_log();
	ASSERT_EQ(0, lq_load());
	table = lq_read(LQ_HOOKS);
	for (int row = 0; row < table->nrows; row++)
		missing += !strcmp("missing", lq_cell(table, row, "state"));
	EXPECT_EQ(missing, count_log(log, "cannot hook"));
	lq_free(table);
}

/* One that is optional costs a line, and what hooks says of it. */
TEST_F(load, an_optional_function_that_cannot_be_probed)
{
	static const char * const symbols[] = { "__sys_listen", NULL };
	int error, lines, fd;

	if (!lq_module_path())
		SKIP(return, "no module file: set LISTENQ_KO");
	ASSERT_EQ(0, lq_unload());
	lq_set_somaxconn(100);
	error = load_copy(_metadata, symbols, NO_SYMBOL, &lines);
	if (error == EKEYREJECTED)
		SKIP(return, "only signed modules may be loaded");
	ASSERT_EQ(0, error);
	EXPECT_EQ(1, lines);
	EXPECT_EQ(LQ_NONE, lq_hook(NO_SYMBOL, "hits"));

	/*
	 * What the clamp has cut off isn't known; what it left is. But where
	 * the compiler didn't inline the next function, that one knows, and where
	 * it inlined both, the system call.
	 */
	fd = lq_listener(AF_INET, 5000);
	EXPECT_STREQ(lq_hook("__sys_listen_socket", "hits") > 0 ||
		     lq_is_inlined("__sys_listen") ? "5000" : "-",
		     lq_str(fd, "asked"));
	EXPECT_EQ(100, lq_num(fd, "granted"));
	EXPECT_EQ(getpid(), lq_num(fd, "pid"));
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
}

/*
 * A function that a compiler has made a part of its callers can be hooked and is
 * never seen called: another one stands for it, which nobody calls here.
 */
#define NEVER_CALLED	"tcp_abort"

FIXTURE(unseen)
{
	const char *symbol;
};

FIXTURE_VARIANT(unseen)
{
	const char *symbol;
	const char *instead;	/* where it is not hooked */
	const char *serves[3];
	bool again;
};

/* Where inet_listen is hooked it sees those that start too. */
FIXTURE_VARIANT_ADD(unseen, start)
{
	.symbol = "inet_csk_listen_start",
	.serves = { "asked", "pid" },
};

FIXTURE_VARIANT_ADD(unseen, repeated)
{
	.symbol = "inet_listen",
	.instead = "__inet_listen_sk",
	.serves = { "asked", "pid" },
	.again = true,
};

FIXTURE_VARIANT_ADD(unseen, stop)
{
	.symbol = "inet_csk_listen_stop",
};

FIXTURE_VARIANT_ADD(unseen, syn)
{
	.symbol = "tcp_conn_request",
	.serves = { "syns", "overflows" },
};

FIXTURE_VARIANT_ADD(unseen, accept)
{
	.symbol = "__inet_accept",
	.serves = { "accepts" },
};

static bool is_on(const char *symbol)
{
	return symbol && !strcmp("on", lq_hook_str(symbol, "state"));
}

FIXTURE_SETUP(unseen)
{
	LQ_SETUP();
	self->symbol = is_on(variant->symbol) ? variant->symbol :
		       is_on(variant->instead) ? variant->instead : NULL;
	if (!self->symbol)
		SKIP(longjmp(_metadata->env, 1), "the kernel has no %s",
		     variant->symbol);
	if (!strcmp(self->symbol, "inet_csk_listen_start") &&
	    is_on("inet_listen"))
		SKIP(longjmp(_metadata->env, 1), "inet_listen stands in for it");
	if (!lq_module_path())
		SKIP(longjmp(_metadata->env, 1),
		     "no module file: set LISTENQ_KO");
}

/* Leaves the whole module, not the copy. */
FIXTURE_TEARDOWN(unseen)
{
	EXPECT_EQ(0, lq_unload());
	EXPECT_EQ(0, lq_restore(true));
}

TEST_F(unseen, is_admitted)
{
	const char *const symbols[] = { self->symbol, NULL };
	int error, lines, log, fd, gone, clients[3];

	ASSERT_EQ(0, lq_unload());
	error = load_copy(_metadata, symbols, NEVER_CALLED, &lines);
	if (error == EKEYREJECTED)
		SKIP(return, "only signed modules may be loaded");
	ASSERT_EQ(0, error);
	EXPECT_EQ(0, lines);
	EXPECT_STREQ("on", lq_hook_str(NEVER_CALLED, "state"));

	log = lq_open_log();
	fd = lq_listener(AF_INET, 5);
	for (int i = 0; i < 3; i++)
		clients[i] = lq_connect(fd);
	ASSERT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == 3));
	lq_accept(fd);
	lq_accept(fd);
	if (variant->again)
		lq_listen(fd, 6);
	gone = lq_listener(AF_INET, 5);
	EXPECT_TRUE(lq_listed(gone));
	close(gone);
	/* Each write makes the module look around. */
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, lq_clamp("flush\n"));

	EXPECT_STREQ("silenced", lq_hook_str(NEVER_CALLED, "state"));
	EXPECT_EQ(1, count_log(log, NEVER_CALLED));
	for (int i = 0; variant->serves[i]; i++) {
		EXPECT_STREQ("-", lq_str(fd, variant->serves[i])) {
			TH_LOG("%s", variant->serves[i]);
		}
	}
	EXPECT_EQ(variant->again ? 6 : 5, lq_num(fd, "limit"));
	lq_close_all(clients, 3);
	close(fd);
}

TEST_HARNESS_MAIN
