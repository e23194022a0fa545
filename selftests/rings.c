// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the file refused is kept in: under a flood from all processors, with readers
 * in it; when the module goes, and when a namespace does; and how many an owner of
 * namespaces can have.
 */

#define _GNU_SOURCE
#include <net/if.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "refusal.h"
#include "strangers.h"

#define FLOOD		lq_scaled(100000)
#define FLOODERS	2
#define READERS		4
#define CHUNK		500

#define USER		12380
#define OTHER_USER	12381
/* What an owner has, as module/owner.c has it. */
#define RINGS		64

/* A listener whose accept queue is full, and what is known of it. */
struct full {
	int fd;
	int family;
	char local[64];
	char cookie[20];
};

static struct full listeners[FLOODERS];
static atomic_int *stop;

static int full(int family)
{
	int fd = lq_listener_any(family, 0);

	close(lq_enqueue(fd));
	return fd;
}

static void fill_listeners(void)
{
	for (int i = 0; i < FLOODERS; i++) {
		struct full *to = &listeners[i];

		to->family = lq_family(i);
		to->fd = full(to->family);
		strcpy(to->local, lq_local(to->fd));
		strcpy(to->cookie, lq_cookie_str(to->fd));
	}
	stop = lq_shared(sizeof(*stop));
}

/* ---- floods ---- */

static void pin_to(int cpu)
{
	lq_pin_to(cpu % sysconf(_SC_NPROCESSORS_ONLN));
}

/* Each listener's on a processor of its own; -1: until it is stopped. */
static pid_t start_flood(int i, int count)
{
	const struct full *to = &listeners[i];
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	pin_to(i);
	for (int n = 0; !*stop && (count < 0 || n < count); n += CHUNK) {
		lq_send_syns(to->family, lq_port(to->fd), n % FLOOD, CHUNK);
		lq_breathe(n / CHUNK);
	}
	_exit(0);
}

static void start_floods(pid_t *pids)
{
	for (int i = 0; i < FLOODERS; i++)
		pids[i] = start_flood(i, -1);
}

static int stop_all(const pid_t *pids, int count)
{
	int faults = 0;

	*stop = 1;
	for (int i = 0; i < count; i++)
		faults += !!lq_reap(pids[i]);
	*stop = 0;
	return faults;
}

/* Which source a name is that of; -1: of none. */
static int source_of(const char *remote, int family)
{
	int high, low, port, i;

	if (family == AF_INET) {
		if (sscanf(remote, "10.9.%d.%d:%d", &high, &low, &port) != 3)
			return -1;
		i = high * 250 + low - 1;
	} else {
		if (sscanf(remote, "[fd09::%x:%x]:%d", &high, &low, &port) != 3)
			return -1;
		i = (high - 1) * 250 + low - 1;
	}
	/* Addresses of IPv4 come round, and ports tell which is meant. */
	while (family == AF_INET && i < FLOOD && 20000 + i % 20000 != port)
		i += 250 * 250;
	return i;
}

/* Each part of a row is of the same refusal. */
static bool is_whole(const struct refusal *row)
{
	for (int i = 0; i < FLOODERS; i++) {
		const struct full *to = &listeners[i];
		int source;

		if (strcmp(row->local, to->local))
			continue;
		source = source_of(row->remote, to->family);
		return source >= 0 && source < FLOOD &&
		       !strcmp(row->remote, stranger_name(to->family, to->family,
							  source)) &&
		       !strcmp(row->cookie, to->cookie) &&
		       !strcmp(row->why, "acceptq-syn") && !row->limit &&
		       row->acceptq == 1 && !row->synq &&
		       !strcmp(row->comm, "rings");
	}
	return false;
}

static int half_rows(const struct refusals *refusals)
{
	int count = 0;

	for (int i = 0; i < refusals->count; i++)
		count += !is_whole(&refusals->of[i]);
	return count;
}

/* Reads until it is stopped: what is there is whole, and never older than before. */
static pid_t start_reader(void)
{
	long long newest = 0;
	pid_t pid = lq_fork();
	int fd;

	if (pid)
		return pid;
	fd = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);
	while (!*stop) {
		struct refusals *refusals = refusals_of(fd);

		if (!refusals)
			err(1, "read " LQ_REFUSED);
		if (half_rows(refusals))
			errx(1, "%d rows of two", half_rows(refusals));
		if (refusals_newest(refusals) < newest)
			errx(1, "the newest is older than before");
		newest = refusals_newest(refusals);
		free(refusals);
		lq_pause();
	}
	_exit(0);
}

LQ_FIXTURE_RELOADS(rings, lq_dummy_up());

/*
 * A number whose place another one holds is lost: a processor is writing there what
 * was turned away a whole round before, when it was kept from going on. It does that
 * once in a round, so the last ones lack one for each other processor, at most. The
 * place is not empty then: the older one stays.
 */
TEST_F_TIMEOUT(rings, a_flood_from_two_processors, 600)
{
	long processors = sysconf(_SC_NPROCESSORS_CONF);
	pid_t floods[FLOODERS], readers[READERS];
	struct refusals *refusals;
	int last;

	fill_listeners();
	for (int i = 0; i < READERS; i++)
		readers[i] = start_reader();
	for (int i = 0; i < FLOODERS; i++)
		floods[i] = start_flood(i, FLOOD / FLOODERS);
	for (int i = 0; i < FLOODERS; i++)
		EXPECT_EQ(0, lq_reap(floods[i]));
	EXPECT_EQ(0, stop_all(readers, READERS));

	ASSERT_TRUE(lq_wait_until(lq_netstat("ListenOverflows") == FLOOD));
	EXPECT_TRUE(lq_wait_until(lq_total("overflows") == FLOOD));
	refusals = refusals_read();
	EXPECT_EQ(REFUSALS, refusals->count);
	EXPECT_EQ(0, half_rows(refusals));
	EXPECT_EQ(FLOOD, refusals_newest(refusals));
	last = refusals_since(refusals, FLOOD - REFUSALS);
	EXPECT_GE(REFUSALS, last);
	EXPECT_LE(REFUSALS - processors, last);
	EXPECT_LE(REFUSALS - refusals->unkept, last);
	EXPECT_FALSE(refusals->silenced);
	if (refusals->unkept)
		TH_LOG("no room for %lld", refusals->unkept);
	free(refusals);
}

/* ---- the module goes ---- */

static bool is_gone(int fd)
{
	char byte;

	return read(fd, &byte, 1) < 0 && errno == EIO;
}

TEST_F_TIMEOUT(rings, unload_in_a_flood, 240)
{
	pid_t floods[FLOODERS];
	int fds[2];

	fill_listeners();
	start_floods(floods);
	for (int round = 0; round < 3; round++) {
		long long before;

		for (int i = 0; i < 2; i++) {
			fds[i] = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);
			ASSERT_LE(0, fds[i]);
		}
		EXPECT_TRUE(lq_wait_until(refused_newest() > 100));
		ASSERT_EQ(0, lq_unload());
		EXPECT_NE(0, access(LQ_REFUSED, F_OK));
		before = lq_netstat("ListenOverflows");
		ASSERT_EQ(0, lq_load());
		EXPECT_TRUE(is_gone(fds[0]));
		EXPECT_TRUE(is_gone(fds[1]));
		lq_close_all(fds, 2);
		/* It begins anew: what came before the load has no number. */
		EXPECT_TRUE(lq_wait_until(refused_newest() > 0));
		EXPECT_LE(refused_newest(),
			  lq_netstat("ListenOverflows") - before);
	}
	EXPECT_EQ(0, stop_all(floods, FLOODERS));

	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	for (int i = 0; i < 3; i++)
		lq_turn_away(listeners[0].fd);
	EXPECT_TRUE(lq_wait_until(refused_newest() == 3));
	EXPECT_EQ(3, refused_since(0));
}

/* ---- a namespace goes ---- */

static void flood_there(void)
{
	pid_t floods[FLOODERS];

	lq_dummy_up();
	fill_listeners();
	start_floods(floods);
}

/* An open file keeps it, and can be read; then it goes with what it was kept in. */
TEST_F_TIMEOUT(rings, a_namespace_goes_in_a_flood, 240)
{
	for (int round = 0; round < 3; round++) {
		pid_t pid = lq_elsewhere("lq0", flood_there);
		struct refusals *refusals = NULL;
		char path[64];
		int fd;

		if (pid < 0)
			SKIP(return, "no veth devices");
		snprintf(path, sizeof(path), "/proc/%d/net/listenq/refused", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		do {
			free(refusals);
			refusals = refusals_of(fd);
			ASSERT_NE(NULL, refusals);
		} while (refusals_newest(refusals) < 2 * REFUSALS);
		free(refusals);
		/* What floods goes with it. */
		lq_kill(pid);
		if (round) {
			refusals = refusals_of(fd);
			ASSERT_NE(NULL, refusals);
			EXPECT_LE(REFUSALS - 2 * FLOODERS, refusals->count);
			free(refusals);
			EXPECT_NE(0, if_nametoindex("lq0"));
		}
		close(fd);
		EXPECT_TRUE(lq_wait_until(!if_nametoindex("lq0")));
	}
}

/* ---- how many there are ---- */

/* Namespaces with a full listener each. */
struct owned {
	int netns;
	int fd;
};

static void network(int unused)
{
	lq_new_netns();
}

static struct owned owned_by(void (*enter)(int uid), int uid)
{
	struct owned owned = { .netns = lq_made_by(enter, uid) };

	lq_enter_netns(owned.netns);
	owned.fd = full(AF_INET);
	return owned;
}

static void give_up(struct owned *owned)
{
	close(owned->fd);
	close(owned->netns);
}

/* How many rows there are, and how many were turned away by what the file says. */
static int rows_and_more(long long *told)
{
	struct refusals *refusals = refusals_read();
	int rows = refusals->count;

	*told = rows + refusals->unkept;
	free(refusals);
	return rows;
}

/*
 * Turns some away there. The one ring that is ready may have been claimed by the
 * namespace before: then there is no room for the first of them. And who has claimed
 * one is asked a moment later whose it is.
 */
static bool has_ring(struct owned owned)
{
	long long told = 0;
	int rows = 0;

	lq_enter_netns(owned.netns);
	for (int turned = 1; turned <= 10; turned++) {
		lq_turn_away(owned.fd);
		lq_wait_until(({
			rows = rows_and_more(&told);
			told == turned;
		}));
		if (told != turned)
			errx(1, "%d turned away, not %lld", turned, told);
		lq_pause();
	}
	return rows;
}

TEST_F_TIMEOUT(rings, an_owner_has_64, 600)
{
	static struct owned mine[RINGS + 1];
	struct refusals *refusals;
	struct owned others[4];

	for (int i = 0; i < RINGS; i++) {
		mine[i] = owned_by(lq_enter_container, USER);
		EXPECT_TRUE(has_ring(mine[i])) {
			TH_LOG("namespace %d", i);
		}
	}
	mine[RINGS] = owned_by(lq_enter_container, USER);
	EXPECT_FALSE(has_ring(mine[RINGS]));
	refusals = refusals_read();
	EXPECT_EQ(0, refusals->count);
	EXPECT_EQ(lq_netstat("ListenOverflows"), refusals->unkept);
	free(refusals);

	/* Nobody else has less for that. */
	others[0] = owned_by(lq_enter_container, OTHER_USER);
	others[1] = owned_by(lq_enter_container, 0);
	others[2] = owned_by(lq_enter_container, 0);
	others[3] = owned_by(network, 0);
	for (int i = 0; i < 4; i++) {
		EXPECT_TRUE(has_ring(others[i])) {
			TH_LOG("other %d", i);
		}
		give_up(&others[i]);
	}
	/* What there was stays. */
	for (int i = 0; i < RINGS; i++) {
		lq_enter_netns(mine[i].netns);
		EXPECT_LE(1, refused_since(0));
	}

	/* What is given up can be had again, by another namespace. */
	for (int i = 0; i < 3; i++)
		give_up(&mine[i]);
	EXPECT_TRUE(lq_wait_until(({
		bool has;

		mine[0] = owned_by(lq_enter_container, USER);
		has = has_ring(mine[0]);
		if (!has)
			give_up(&mine[0]);
		has;
	})));
	lq_enter_netns(mine[RINGS].netns);
	EXPECT_EQ(0, refused_since(0));
}

TEST_HARNESS_MAIN
