// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that sleeps: suspended as far as the firmware's last step, and hibernated
 * to a disk from which it is then resumed. Connections and requests that were under
 * way, and the module's hooks, rules and figures, are what they were.
 */

#define _GNU_SOURCE
#include <sys/swap.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "bustle.h"
#include "ledger.h"

#define POWER		"/sys/power/"
#define TEST_DELAY	"/sys/module/suspend/parameters/pm_test_delay"
/* What VMs have for it. Nothing is written to a disk that is not swap already. */
#define SWAP		"/dev/vda"
#define SWAP_SIGNATURE	"SWAPSPACE2"

/* How the machine is put to sleep, and how far. */
struct kind {
	const char *state;
	const char *file;	/* of POWER */
	const char *test;	/* what is written to it */
	const char *otherwise;	/* where the machine can't do that */
};

static const struct kind kinds[] = {
	/* All but the firmware's step, from which only an alarm would wake it. */
	{ "mem", "pm_test", "core", "platform" },
	/* The image is written, and read back at once. */
	{ "disk", "disk", "test_resume", NULL },
};

static int power(const char *file, const char *text)
{
	char path[64];
	int fd, error;

	snprintf(path, sizeof(path), POWER "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	error = lq_write(fd, text, strlen(text));
	close(fd);
	return error;
}

static bool is_swap(void)
{
	char signature[sizeof(SWAP_SIGNATURE)] = "";
	int fd = open(SWAP, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (pread(fd, signature, sizeof(signature) - 1,
		  sysconf(_SC_PAGESIZE) - (sizeof(signature) - 1)) < 0)
		err(1, SWAP);
	close(fd);
	return !strcmp(signature, SWAP_SIGNATURE);
}

/* Why this machine can't sleep that way; NULL: it can, and is ready for it. */
static const char *prepare(const struct kind *kind)
{
	/* Nobody expects that of a test. */
	if (!getenv("LISTENQ_VM"))
		return "puts the machine to sleep: only in a VM (LISTENQ_VM)";
	if (!strcmp(kind->state, "disk")) {
		/* Some refuse to read from a disk that is swap, namely their own. */
		if (lq_kernel_before(6, 3))
			return "kernels before 6.3 can't read their own image back";
		lq_run("modprobe -qa virtio_pci virtio_blk");
		if (!lq_wait_until(!access(SWAP, F_OK)) || !is_swap())
			return "no " SWAP " that is swap, for the image";
		if (swapon(SWAP, 0))
			return "the kernel has no swap";
		lq_write_file(POWER "image_size", "0");
	} else {
		/* Where the firmware knows no sleep, processors stay on. */
		power("mem_sleep", "deep");
		if (!access(TEST_DELAY, W_OK))
			lq_write_number(TEST_DELAY, 1);
	}
	if (power(kind->file, kind->test) &&
	    (!kind->otherwise || power(kind->file, kind->otherwise)))
		return "the kernel can't sleep, or only for good";
	return NULL;
}

FIXTURE(asleep)
{
	bool loaded;
};

FIXTURE_VARIANT(asleep) { int kind; };
FIXTURE_VARIANT_ADD(asleep, suspended) { 0 };
FIXTURE_VARIANT_ADD(asleep, hibernated) { 1 };

FIXTURE_SETUP(asleep)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	LQ_SKIP_FOR(prepare(&kinds[variant->kind]));
	lq_dummy_up();
	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0));
}

FIXTURE_TEARDOWN(asleep)
{
	power("pm_test", "none");
	swapoff(SWAP);
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static int fall_asleep(const struct kind *kind)
{
	return power("state", kind->state);
}

/* While tasks are at it. */
TEST_F_TIMEOUT(asleep, under_load, 300)
{
	int naps = variant->kind ? 1 : 3;

	bustle_begin();
	for (int i = 0; i < naps; i++) {
		ASSERT_TRUE(bustle_goes_on(1));
		ASSERT_EQ(0, fall_asleep(&kinds[variant->kind]));
	}
	ASSERT_TRUE(bustle_goes_on(1));
	EXPECT_EQ(0, bustle_end());
	EXPECT_EQ(0, lq_unload());
	EXPECT_EQ(0, lq_load());
}

static const char * const kept[] = {
	"asked", "limit", "rule", "acceptq", "acceptq_peak", "synq", "synq_peak", "syns",
	"accepts", "overflows", "pid", "comm",
};

/* The columns of @fd that sleep doesn't change. */
static void note(int fd, char values[ARRAY_SIZE(kept)][32])
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		snprintf(values[i], sizeof(values[i]), "%s", lq_str(fd, kept[i]));
}

static void compare(struct __test_metadata *_metadata, int fd,
		    char before[ARRAY_SIZE(kept)][32])
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		EXPECT_STREQ(before[i], lq_str(fd, kept[i])) {
			TH_LOG("%s", kept[i]);
		}
	}
}

TEST_F_TIMEOUT(asleep, what_was_there, 300)
{
	int ruled = lq_listener(AF_INET, 3), full = lq_full_any(1);
	int half = lq_listener_any(AF_INET, 5), again;
	char of_ruled[ARRAY_SIZE(kept)][32], of_full[ARRAY_SIZE(kept)][32];
	char of_half[ARRAY_SIZE(kept)][32];
	int waiting, limit;
	long long hits, since, now;

	/* Requests outlive this test. */
	lq_set_sysctl("ipv4/tcp_synack_retries", 10);
	ASSERT_EQ(0, lq_clampf("%d floor 7", lq_port(ruled)));
	lq_fill(ruled, 5);
	lq_turn_away(full);
	lq_send_syns(AF_INET, lq_port(half), 0, 2);
	note(ruled, of_ruled);
	note(full, of_full);
	note(half, of_half);
	EXPECT_STREQ("7", of_ruled[1]);
	EXPECT_STREQ("2", of_half[5]);
	hits = lq_hook("__sys_listen", "hits");
	since = lq_num(full, "since_overflow_ms");
	now = lq_now_ms();

	ASSERT_EQ(0, fall_asleep(&kinds[variant->kind]));

	compare(_metadata, ruled, of_ruled);
	compare(_metadata, full, of_full);
	compare(_metadata, half, of_half);
	EXPECT_EQ(hits, lq_hook("__sys_listen", "hits"));
	/* The time asleep is in no figure, as in none of CLOCK_MONOTONIC. */
	since = lq_num(full, "since_overflow_ms") - since;
	now = lq_now_ms() - now;
	EXPECT_GE(now + 20, since);
	EXPECT_LE(now - 1000, since);

	/* Each hook is there; each processor counts. */
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		lq_pin_to(cpu);
		lq_turn_away(full);
		again = lq_listener(AF_INET, 10 + cpu);
		EXPECT_EQ(10 + cpu, lq_num(again, "asked"));
		close(again);
		lq_unpin();
		EXPECT_EQ(2 + cpu, lq_num(full, "overflows"));
	}
	lq_accept_many(ruled, 5);
	EXPECT_EQ(5, lq_num(ruled, "accepts"));
	EXPECT_EQ(0, ledger_check(0));
	ASSERT_EQ(0, lq_unload());
	ASSERT_TRUE(lq_tcp_queue(ruled, &waiting, &limit));
	EXPECT_EQ(3, limit);
	ASSERT_EQ(0, lq_load());
	close(ruled);
	close(full);
	close(half);
}

TEST_HARNESS_MAIN
