// SPDX-License-Identifier: GPL-2.0-only
/*
 * A memory cgroup that is full, as a container's is before the OOM killer comes: what
 * its tasks do is counted like anybody's, and their reads are whole or fail.
 */

#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "bustle.h"

#define CGROUPS		"/sys/fs/cgroup/"
/* A container, where its tasks are, and where those who take more than there is. */
#define CGROUP		CGROUPS "listenq-tight/"
#define TASKS		CGROUP "tasks/"
#define DOOMED		CGROUP "doomed/"
#define VICTIM		(8 << 20)
#define VICTIMS		lq_scaled(20)
#define LISTENERS	lq_scaled(2000)
/* What a reader takes, at least. */
#define READER		(1024 * 1024)

static const char * const cgroups[] = { CGROUP, TASKS, DOOMED };

/* Why there are no such cgroups; NULL: there are, and this process is in neither. */
static const char *make_cgroups(void)
{
	const char *controllers = lq_first_line(CGROUPS "cgroup.controllers");

	if (!controllers || !strstr(controllers, "memory"))
		return "no cgroup v2 at " CGROUPS " with a memory controller";
	lq_write_file(CGROUPS "cgroup.subtree_control", "+memory");
	for (size_t i = 0; i < ARRAY_SIZE(cgroups); i++)
		if (mkdir(cgroups[i], 0755) && errno != EEXIST)
			err(1, "%s", cgroups[i]);
	lq_write_file(CGROUP "cgroup.subtree_control", "+memory");
	lq_write_file(CGROUP "memory.max", "max");
	lq_write_number(DOOMED "memory.max", VICTIM);
	return NULL;
}

/* Its last task may still be on its way out. */
static bool remove_cgroups(void)
{
	for (int i = ARRAY_SIZE(cgroups) - 1; i >= 0; i--)
		if (rmdir(cgroups[i]) && errno != ENOENT)
			return false;
	return true;
}

static void enter(const char *cgroup)
{
	char path[64];

	snprintf(path, sizeof(path), "%scgroup.procs", cgroup);
	lq_write_file(path, "0");
}

/* From now on there is so much left. */
static void leave_room(int room)
{
	lq_write_number(CGROUP "memory.max", lq_read_number(CGROUP "memory.current") + room);
}

FIXTURE(tight)
{
};

FIXTURE_SETUP(tight)
{
	LQ_SETUP();
	/* The kernel logs each victim. */
	if (!getenv("LISTENQ_VM"))
		LQ_SKIP_FOR("has the OOM killer kill a few processes: only in a VM (LISTENQ_VM)");
	LQ_SKIP_FOR(make_cgroups());
	lq_dummy_up();
	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
}

FIXTURE_TEARDOWN(tight)
{
	EXPECT_TRUE(lq_wait_until(remove_cgroups()));
}

/* How many the OOM killer has killed. */
static long long killed(void)
{
	long long value, found = -1;
	char key[32];
	FILE *lines;

	lines = fopen(DOOMED "memory.events", "r");
	if (!lines)
		err(1, DOOMED "memory.events");
	while (fscanf(lines, "%31s %lld", key, &value) == 2)
		if (!strcmp(key, "oom_kill"))
			found = value;
	fclose(lines);
	return found;
}

/* A process that takes more than there is, and is killed for it. */
static pid_t start_victim(void)
{
	pid_t pid = lq_fork();
	char *memory;

	if (pid)
		return pid;
	enter(DOOMED);
	memory = mmap(NULL, 2 * VICTIM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	memset(memory, 1, 2 * VICTIM);
	_exit(*memory);
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* One victim after the other takes most of what the tasks leave. */
TEST_F_TIMEOUT(tight, under_load, 300)
{
	long long before = killed();

	enter(TASKS);
	bustle_begin();
	enter(CGROUPS);
	ASSERT_TRUE(bustle_goes_on(2));
	leave_room(VICTIM + (4 << 20));
	for (int i = 0; i < VICTIMS; i++) {
		ASSERT_TRUE(is_killed(lq_reap(start_victim())));
		if (!(i % 4))
			ASSERT_TRUE(bustle_goes_on(1));
	}
	ASSERT_TRUE(bustle_goes_on(1));
	EXPECT_EQ(0, bustle_end());
	EXPECT_EQ(before + VICTIMS, killed());
}

/* Listens until it may have no more, and then waits for its end. */
static pid_t start_listeners(int *count)
{
	const struct rlimit files = { LISTENERS + 100, LISTENERS + 100 };
	pid_t pid = lq_fork_ready();
	int fd;

	if (pid)
		return pid;
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "setrlimit");
	enter(TASKS);
	for (*count = 0; *count < LISTENERS; ++*count) {
		fd = lq_bound(AF_INET, "127.0.0.1", 0);
		if (lq_try_listen(fd, 1 + *count % 100))
			break;
	}
	lq_stay();
	return 0;
}

/* Rows that read as they should: their backlog is known, and the limit is the same. */
static int good_rows(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int good = 0;

	for (int row = 0; row < table->nrows; row++)
		good += lq_cell_num(table, row, "asked") > 0 &&
			lq_cell_num(table, row, "asked") == lq_cell_num(table, row, "limit");
	lq_free(table);
	return good;
}

/* How a read inside the cgroup ended, where it had @room bytes. */
static int read_inside(int room, int expected)
{
	int fd, lines = -1;
	ssize_t length;
	char *text;
	pid_t pid;

	leave_room(room);
	pid = lq_fork();
	if (pid)
		return lq_reap(pid);
	lq_write_file("/proc/self/oom_score_adj", "1000");
	enter(TASKS);
	fd = open(LQ_SOCKETS, O_RDONLY | O_CLOEXEC);
	text = malloc(READER);
	if (fd < 0 || !text)
		_exit(errno);
	memset(text, 0, READER);
	while ((length = read(fd, text, READER)) > 0)
		for (ssize_t i = 0; i < length; i++)
			lines += text[i] == '\n';
	_exit(length ? errno : lines == expected ? 0 : 1);
}

/* With less and less room, a reader gets all of the file, or ENOMEM, or its end. */
TEST_F_TIMEOUT(tight, records_of_many_listeners, 120)
{
	long long unrecorded = lq_hook("unrecorded", "hits");
	int *count = lq_shared(sizeof(*count));
	pid_t pid = start_listeners(count);
	int whole = 0, status;

	EXPECT_EQ(LISTENERS, *count);
	EXPECT_EQ(*count, good_rows());
	EXPECT_EQ(unrecorded, lq_hook("unrecorded", "hits"));
	for (int room = 4 * READER; room >= 0; room -= READER / 8) {
		status = read_inside(room, *count);
		if (!status)
			whole++;
		else if (!is_killed(status))
			EXPECT_EQ(ENOMEM, WEXITSTATUS(status));
	}
	TH_LOG("%d of 33 reads had room enough", whole);
	EXPECT_LT(0, whole);
	EXPECT_GT(33 - 4, whole);
	EXPECT_EQ(*count, good_rows());
	EXPECT_TRUE(is_killed(lq_kill(pid)));
	EXPECT_EQ(0, good_rows());
}

TEST_HARNESS_MAIN
