// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hosts that allow less than others: no user namespaces, or a kernel that is locked
 * down, by which even root may not change it.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/mount.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "ledger.h"

#define USER		12345

/* ---- no user namespaces ---- */

/* What switches them off, for all and for users without privileges (Debian's). */
static const char * const switches[] = {
	"/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone",
};

#define SWITCHES	ARRAY_SIZE(switches)

FIXTURE(unshared)
{
	bool loaded;
	int values[SWITCHES];	/* -1: this kernel has none */
};

FIXTURE_VARIANT(unshared) { int which; };
FIXTURE_VARIANT_ADD(unshared, by_nobody) { 0 };
FIXTURE_VARIANT_ADD(unshared, by_root_alone) { 1 };

FIXTURE_SETUP(unshared)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	/* A test that is killed leaves them off. */
	if (!getenv("LISTENQ_VM"))
		LQ_SKIP_FOR("switches user namespaces off: only in a VM (LISTENQ_VM)");
	if (access(switches[variant->which], W_OK))
		LQ_SKIP_FOR("the kernel has no such sysctl");
	for (size_t i = 0; i < SWITCHES; i++)
		self->values[i] = access(switches[i], R_OK) ? -1 :
				  lq_read_number(switches[i]);
}

static void restore(const int *values)
{
	for (size_t i = 0; i < SWITCHES; i++)
		if (values[i] >= 0)
			lq_write_number(switches[i], values[i]);
}

FIXTURE_TEARDOWN(unshared)
{
	restore(self->values);
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static const char * const for_all[] = {
	LQ_SOCKETS, LQ_HANDSHAKES, LQ_WAITS, LQ_TOTALS, LQ_HOOKS, LQ_CLAMP, LQ_DROPS, LQ_UNIX,
};

/* A user who has entered nothing: what all may read, and no more. */
static int as_a_user(void)
{
	pid_t pid = lq_fork();

	if (pid)
		return lq_reap(pid);
	lq_become_user(USER);
	for (size_t i = 0; i < ARRAY_SIZE(for_all); i++)
		if (access(for_all[i], R_OK))
			err(1, "%s", for_all[i]);
	if (!access(LQ_REFUSED, R_OK) || !access(LQ_CLAMP, W_OK))
		errx(1, "a user may read who was refused, or write rules");
	if (!unshare(CLONE_NEWUSER))
		errx(1, "users may make user namespaces");
	_exit(0);
}

/* Loads, and does all it did before. */
TEST_F(unshared, module_is_loaded)
{
	int fd;

	lq_write_number(switches[variant->which], 0);
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(0, as_a_user());

	/* Root needs no user namespace for a network namespace. */
	lq_new_netns();
	ASSERT_EQ(0, lq_clamp("* somaxconn 7\n"));
	fd = lq_listener_any(AF_INET, 30);
	EXPECT_EQ(30, lq_num(fd, "asked"));
	EXPECT_EQ(7, lq_num(fd, "limit"));
	lq_fill(fd, 8);
	lq_turn_away(fd);
	EXPECT_EQ(1, lq_num(fd, "overflows"));
	EXPECT_EQ(1, lq_rows(LQ_REFUSED));
}

/* What a container was asked to do, and what it says of that. */
static struct inside {
	atomic_int ready;
	atomic_int go_on;
	atomic_int done;
	int port;
	int rows;
	int refused;
	int rule_error;
	int reset_error;
	long long limit;
	long long overflows;
} *inside;

static void container(void)
{
	int fd, file;

	lq_enter_container(USER);
	fd = lq_listener_any(AF_INET, 30);
	inside->port = lq_port(fd);
	inside->ready = 1;
	if (!lq_wait_until(inside->go_on))
		errx(1, "nobody goes on");
	lq_fill(fd, 8);
	lq_turn_away(fd);
	inside->limit = lq_num(fd, "limit");
	inside->overflows = lq_num(fd, "overflows");
	inside->rows = lq_rows(LQ_SOCKETS);
	lq_wait_until(lq_rows(LQ_REFUSED) == 1);
	inside->refused = lq_rows(LQ_REFUSED);
	file = open(LQ_CLAMP, O_WRONLY);
	inside->rule_error = file < 0 ? errno : lq_write(file, "* floor 9\n", 10);
	inside->reset_error = lq_write_sockets("reset");
	inside->done = 1;
	pause();
}

/* One that is there already goes on, and the host's rules for it with it. */
TEST_F(unshared, a_container_from_before)
{
	char path[64];
	int netns, status = 0;
	pid_t pid;

	inside = lq_shared(sizeof(*inside));
	pid = lq_fork();
	if (!pid)
		container();
	ASSERT_TRUE(lq_wait_until(inside->ready || waitpid(pid, &status, WNOHANG)));
	ASSERT_TRUE(inside->ready) {
		TH_LOG("the container has ended: %#x", status);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, netns);

	lq_write_number(switches[variant->which], 0);
	lq_enter_netns(netns);
	ASSERT_EQ(0, lq_clampf("%d somaxconn 7\n", inside->port));
	inside->go_on = 1;
	ASSERT_TRUE(lq_wait_until(inside->done));
	EXPECT_EQ(7, inside->limit);
	EXPECT_EQ(1, inside->overflows);
	EXPECT_EQ(lq_netstat("ListenOverflows"), inside->overflows);
	EXPECT_EQ(1, inside->rows);
	EXPECT_EQ(1, inside->refused);
	EXPECT_EQ(EPERM, inside->rule_error);
	EXPECT_EQ(0, inside->reset_error);

	/* And over a load. */
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(1, lq_rows(LQ_SOCKETS));
	EXPECT_EQ(0, ledger_check(0));
	lq_kill(pid);
}

/* ---- lockdown ---- */

#define SECURITY	"/sys/kernel/security"
#define LOCKDOWN	SECURITY "/lockdown"
#define UNLOCKED	"[none]"

static const char *why_not_locked(void)
{
	if (access(LOCKDOWN, F_OK) && mount("securityfs", SECURITY, "securityfs", 0, NULL))
		return "the kernel has no securityfs";
	if (access(LOCKDOWN, F_OK))
		return "the kernel can't be locked down";
	return strstr(lq_first_line(LOCKDOWN), UNLOCKED) ?
	       "the kernel is not locked down: only in selftests/vm/package.sh" : NULL;
}

LQ_FIXTURE(lockdown, LQ_SKIP_FOR(why_not_locked()));

/* Hooks are on; nothing that the module needs is forbidden. */
TEST_F(lockdown, files_and_rules)
{
	struct lq_table *hooks;
	int fd = lq_listener_any(AF_INET, 30);

	TH_LOG("%s", lq_first_line(LOCKDOWN));
	EXPECT_EQ(30, lq_num(fd, "asked"));
	ASSERT_EQ(0, lq_clamp("* somaxconn 7\n"));
	EXPECT_EQ(7, lq_num(fd, "limit"));
	lq_fill(fd, 8);
	lq_turn_away(fd);
	EXPECT_EQ(8, lq_num(fd, "acceptq"));
	EXPECT_EQ(lq_netstat("ListenOverflows"), lq_num(fd, "overflows"));
	EXPECT_EQ(1, lq_rows(LQ_REFUSED));
	EXPECT_EQ(0, ledger_check(0));
	for (size_t i = 0; i < ARRAY_SIZE(for_all); i++)
		EXPECT_EQ(0, access(for_all[i], R_OK));

	hooks = lq_read(LQ_HOOKS);
	for (int row = 0; row < hooks->nrows; row++) {
		EXPECT_STRNE("missing", lq_cell(hooks, row, "state"));
		EXPECT_STRNE("silenced", lq_cell(hooks, row, "state"));
	}
	lq_free(hooks);
	ASSERT_EQ(0, lq_clamp("flush\n"));
	EXPECT_EQ(30, lq_num(fd, "limit"));
}

/* Root can't silence hooks by debugfs, which lockdown keeps closed. */
TEST_F(lockdown, debugfs_is_closed)
{
	static const char *file = "/sys/kernel/debug/kprobes/enabled";

	if (access(file, F_OK))
		SKIP(return, "no debugfs");
	EXPECT_EQ(-1, open(file, O_WRONLY));
	EXPECT_EQ(EPERM, errno);
}

/* A module without a signature has no business there, this one neither. */
TEST_F(lockdown, module_goes_and_comes_signed)
{
	int error;

	ASSERT_EQ(0, lq_unload());
	error = lq_load();
	if (error)
		TH_LOG("the module is not signed: it stays away");
	EXPECT_TRUE(!error || error == EPERM);
}

TEST_HARNESS_MAIN
