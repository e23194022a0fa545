// SPDX-License-Identifier: GPL-2.0-only
/*
 * AF_UNIX listeners: what their queues hold, who had to wait and who would not, against
 * what the test did, ss(8) and /proc/net/unix.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "unix.h"

#define USER_UID	12361
#define SOMAXCONN_HERE	100
#define MANY		lq_scaled(3000)
/* A debug kernel checks each of them a hundred times. */
#define CONNECTS	lq_scaled(lq_scaled(50000))
#define RACES		100

FIXTURE(local)
{
	char dir[32];
	int clients[64];
};

FIXTURE_VARIANT(local)
{
	int type;
	const char *name;
};

FIXTURE_VARIANT_ADD(local, stream) { SOCK_STREAM, "stream" };
FIXTURE_VARIANT_ADD(local, seqpacket) { SOCK_SEQPACKET, "seqpacket" };

FIXTURE_SETUP(local)
{
	LQ_SETUP();
	lq_set_somaxconn(SOMAXCONN_HERE);
	unix_enter_dir(self->dir);
}

FIXTURE_TEARDOWN(local)
{
	unix_leave_dir(self->dir);
}

/* ---- what ss knows ---- */

struct ss_unix {
	long long recvq;
	long long sendq;
};

/* False where ss does not list the inode, or the kernel tells it nothing of queues. */
static bool ss_of(int fd, struct ss_unix *ss)
{
	static bool loaded;
	unsigned long inode = lq_inode(fd);
	bool found = false;
	char line[1024], tail[64];
	FILE *pipe;

	if (!loaded)
		lq_run("modprobe -q unix_diag 2>/dev/null");
	loaded = true;
	if (access("/sys/module/unix_diag", F_OK))
		return false;
	fflush(NULL);
	pipe = popen("ss -Hnlx", "r");
	if (!pipe)
		err(1, "ss");
	snprintf(tail, sizeof(tail), " %lu ", inode);
	while (fgets(line, sizeof(line), pipe))
		if (strstr(line, tail) &&
		    sscanf(line, "%*s LISTEN %lld %lld", &ss->recvq,
			   &ss->sendq) == 2)
			found = true;
	if (pclose(pipe))
		errx(1, "ss failed");
	return found;
}

static void check_queue(struct __test_metadata *_metadata, int fd,
			int acceptq, int limit)
{
	struct ss_unix ss;

	EXPECT_EQ(acceptq, unix_num(fd, "acceptq"));
	EXPECT_EQ(limit, unix_num(fd, "limit"));
	if (!ss_of(fd, &ss))
		return;
	EXPECT_EQ(acceptq, ss.recvq);
	EXPECT_EQ(limit, ss.sendq);
}

/* How many listeners /proc/net/unix has, of which @fd is one. */
static int listeners_of_kernel(int fd, bool *has)
{
	FILE *file = fopen("/proc/net/unix", "r");
	unsigned long inode, flags, own = lq_inode(fd);
	char line[1024];
	int count = 0;

	if (!file)
		err(1, "/proc/net/unix");
	*has = false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %*x %*x %lx %*x %*x %lu", &flags,
			   &inode) != 2 || !(flags & 0x10000))
			continue;
		count++;
		*has |= inode == own;
	}
	fclose(file);
	return count;
}

/* ---- occupancy ---- */

/* From nothing to one more than the limit, which is how many there is room for. */
TEST_F(local, occupancy)
{
	static const int backlogs[] = { 0, 1, 5 };
	int client;

	for (int i = 0; i < 3; i++) {
		int fd = unix_listener(variant->type, backlogs[i]);
		int n = backlogs[i] + 1;

		check_queue(_metadata, fd, 0, backlogs[i]);
		for (int j = 0; j < n; j++) {
			ASSERT_EQ(0, unix_dial(fd, variant->type,
					       &self->clients[j]));
			check_queue(_metadata, fd, j + 1, backlogs[i]);
			EXPECT_EQ(j + 1, unix_num(fd, "acceptq_peak"));
		}
		ASSERT_EQ(EAGAIN, unix_dial(fd, variant->type, &client));
		check_queue(_metadata, fd, n, backlogs[i]);
		CHECK_UNIX(fd, n, 0, 0, 1);
		for (int j = 0; j < n; j++) {
			unix_accept(fd);
			check_queue(_metadata, fd, n - j - 1, backlogs[i]);
		}
		CHECK_UNIX(fd, n, n, 0, 1);
		EXPECT_EQ(n, unix_num(fd, "acceptq_peak"));
		EXPECT_EQ(n, unix_num(fd, "acceptq_peak_1m"));
		lq_close_all(self->clients, n);
		close(fd);
	}
}

TEST_F(local, four_in_and_six_out)
{
	int fd = unix_listener(variant->type, 3);

	ASSERT_EQ(4, unix_fill(fd, variant->type, self->clients, 10));
	CHECK_UNIX(fd, 4, 0, 0, 6);
	EXPECT_EQ(4, unix_num(fd, "acceptq_peak"));
	/* A client that is gone stays in the queue. */
	lq_close_all(self->clients, 4);
	EXPECT_EQ(4, unix_num(fd, "acceptq"));
	unix_accept(fd);
	CHECK_UNIX(fd, 4, 1, 0, 6);
}

/* ---- who waits ---- */

TEST_F(local, a_waiting_client_is_let_in)
{
	int fd = unix_listener(variant->type, 1);
	pid_t pid;

	ASSERT_EQ(2, unix_fill(fd, variant->type, self->clients, 2));
	pid = unix_waiter(fd, variant->type, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 1));
	CHECK_UNIX(fd, 2, 0, 1, 0);
	unix_accept(fd);
	EXPECT_EQ(0, unix_waited(pid));
	CHECK_UNIX(fd, 3, 1, 1, 0);
}

/* It waited, and in the end it got EAGAIN as well. */
TEST_F(local, a_waiting_client_gives_up)
{
	int fd = unix_listener(variant->type, 1);

	ASSERT_EQ(2, unix_fill(fd, variant->type, self->clients, 2));
	EXPECT_EQ(EAGAIN, unix_waited(unix_waiter(fd, variant->type, 100)));
	CHECK_UNIX(fd, 2, 0, 1, 1);
}

TEST_F(local, a_waiting_client_gets_a_signal)
{
	int fd = unix_listener(variant->type, 1);
	pid_t pid;

	ASSERT_EQ(2, unix_fill(fd, variant->type, self->clients, 2));
	pid = unix_waiter(fd, variant->type, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 1));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, unix_waited(pid));
	CHECK_UNIX(fd, 2, 0, 1, 0);
}

/* All are woken, one finds room: the others wait again, and are counted once. */
TEST_F(local, a_call_waits_once)
{
	int fd = unix_listener(variant->type, 0);
	pid_t pids[20];

	ASSERT_EQ(1, unix_fill(fd, variant->type, self->clients, 1));
	for (int i = 0; i < 20; i++)
		pids[i] = unix_waiter(fd, variant->type, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 20));
	lq_listen(fd, 1);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "connects") == 2));
	CHECK_UNIX(fd, 2, 0, 20, 0);
	lq_listen(fd, 5);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "connects") == 6));
	for (int i = 0; i < 21; i++) {
		unix_accept(fd);
		EXPECT_EQ(20, unix_num(fd, "waits"));
	}
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(0, unix_waited(pids[i]));
	CHECK_UNIX(fd, 21, 21, 20, 0);
}

/* The listener ends: who waits is told so, and it counts nowhere. */
TEST_F(local, a_listener_ends_with_clients_that_wait)
{
	int fd = unix_listener(variant->type, 0);
	pid_t pid;

	ASSERT_EQ(1, unix_fill(fd, variant->type, self->clients, 1));
	/* The child has the descriptor as well. */
	pid = unix_waiter(fd, variant->type, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 1));
	ASSERT_EQ(0, shutdown(fd, SHUT_RD));
	kill(pid, SIGUSR1);
	unix_waited(pid);
	CHECK_UNIX(fd, 1, 0, 1, 0);
	close(fd);
	EXPECT_EQ(0, lq_rows(LQ_UNIX));
}

/* ---- other reasons to fail ---- */

TEST_F(local, other_errors_count_nowhere)
{
	int fd = unix_listener_at(variant->type, unix_path("here"), 1);
	int idle = unix_bound(variant->type, unix_path("idle"));
	int other = variant->type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM;
	int client;

	ASSERT_EQ(0, unix_dial(fd, variant->type, &client));
	EXPECT_EQ(ENOENT, unix_try_path(variant->type, "nowhere"));
	EXPECT_EQ(ECONNREFUSED, unix_try_path(variant->type, "idle"));
	EXPECT_EQ(EPROTOTYPE, unix_try_path(other, "here"));
	/* A client that is connected already, while there is room. */
	EXPECT_EQ(EISCONN, lq_try_connect(client, fd));
	CHECK_UNIX(fd, 1, 0, 0, 0);
	/* The kernel looks for room first. */
	ASSERT_EQ(1, unix_fill(fd, variant->type, self->clients, 1));
	EXPECT_EQ(EAGAIN, lq_try_connect(client, fd));
	CHECK_UNIX(fd, 2, 0, 0, 1);
	ASSERT_EQ(0, shutdown(fd, SHUT_RD));
	EXPECT_EQ(ECONNREFUSED, unix_try_path(variant->type, "here"));
	CHECK_UNIX(fd, 2, 0, 0, 1);
	EXPECT_FALSE(unix_listed(idle));
}

/* Datagrams wait at the same place of the kernel's. */
TEST_F(local, datagrams_count_nowhere)
{
	int fd = unix_listener(variant->type, 1), pair[2];
	int to = unix_bound(SOCK_DGRAM, unix_path("datagrams"));
	int from = unix_socket(SOCK_DGRAM | SOCK_NONBLOCK);
	char byte = 0;

	ASSERT_EQ(0, lq_try_connect(from, to));
	while (send(from, &byte, 1, 0) == 1)
		;
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(1, recv(to, &byte, 1, 0));
	ASSERT_EQ(0, socketpair(AF_UNIX, variant->type | SOCK_CLOEXEC, 0, pair));
	EXPECT_FALSE(unix_listed(to));
	EXPECT_FALSE(unix_listed(pair[0]));
	CHECK_UNIX(fd, 0, 0, 0, 0);
	EXPECT_EQ(1, lq_rows(LQ_UNIX));
}

/* ---- names ---- */

static void check_name(struct __test_metadata *_metadata, int type,
		       const char *bytes, size_t length, const char *shown)
{
	int fd = unix_listener_at(type, unix_addr(bytes, length), 1);

	EXPECT_STREQ(shown, unix_str(fd, "path"));
	close(fd);
	if (*bytes)
		lq_run("rm -f -- ./* ./.h*");
}

TEST_F(local, names)
{
	char longest[109], shown[512], *at = shown;

#define CHECK_NAME(bytes, shown)					\
	check_name(_metadata, variant->type, bytes, sizeof(bytes) - 1, shown)
	CHECK_NAME("plain", "plain");
	CHECK_NAME("with a blank", "with\\040a\\040blank");
	CHECK_NAME("two\nlines", "two\\012lines");
	CHECK_NAME("back\\slash", "back\\134slash");
	CHECK_NAME("\x1b[2J", "\\033[2J");
	CHECK_NAME("\xc3\xa4", "\\303\\244");
	/* What would read as something else. */
	CHECK_NAME("@like", "\\100like");
	CHECK_NAME("-", "\\055");
	CHECK_NAME("*", "\\052");
	CHECK_NAME("-x", "-x");
	/* What follows a path's NUL is no part of it. */
	CHECK_NAME("ends\0here", "ends");
	CHECK_NAME("\0abstract", "@abstract");
	CHECK_NAME("\0", "@");
	CHECK_NAME("\0@", "@@");
	CHECK_NAME("\0nul\0in it\0", "@nul\\000in\\040it\\000");

	/* As long as there can be, without a NUL behind it. */
	memset(longest, 'x', 108);
	longest[108] = '\0';
	check_name(_metadata, variant->type, longest, 108, longest);
	memset(longest, '\xff', 108);
	longest[0] = '\0';
	*at++ = '@';
	for (int i = 1; i < 108; i++)
		at += sprintf(at, "\\377");
	check_name(_metadata, variant->type, longest, 108, shown);
}

TEST_F(local, autobind)
{
	int fd = unix_listener(variant->type, 1);
	struct lq_addr addr = lq_name(fd);
	const struct sockaddr_un *un = (struct sockaddr_un *)&addr.ss;
	char name[8];

	snprintf(name, sizeof(name), "@%.5s", un->sun_path + 1);
	EXPECT_STREQ(name, unix_str(fd, "path"));
	EXPECT_STREQ(variant->name, unix_str(fd, "type"));
}

/* The name is the one that it was bound to, whatever became of the file. */
TEST_F(local, files_that_go_and_come)
{
	int fd = unix_listener_at(variant->type, unix_path("here"), 3);
	int other;

	ASSERT_EQ(0, rename("here", "there"));
	EXPECT_STREQ("here", unix_str(fd, "path"));
	EXPECT_EQ(0, unix_try_path(variant->type, "there"));
	CHECK_UNIX(fd, 1, 0, 0, 0);
	ASSERT_EQ(0, unlink("there"));
	EXPECT_STREQ("here", unix_str(fd, "path"));
	/* Another one at the same place. */
	other = unix_listener_at(variant->type, unix_path("here"), 3);
	EXPECT_EQ(0, unix_try_path(variant->type, "here"));
	EXPECT_EQ(0, unix_try_path(variant->type, "./here"));
	CHECK_UNIX(fd, 1, 0, 0, 0);
	CHECK_UNIX(other, 2, 0, 0, 0);
	EXPECT_EQ(2, lq_rows(LQ_UNIX));
	/* By a link, which is another name. */
	ASSERT_EQ(0, symlink("here", "link"));
	EXPECT_EQ(0, unix_try_path(variant->type, "link"));
	CHECK_UNIX(other, 3, 0, 0, 0);
}

/* ---- listen() ---- */

TEST_F(local, asked_and_granted)
{
	static const struct { int asked, granted; } calls[] = {
		{ 5, 5 }, { 500, SOMAXCONN_HERE }, { -1, SOMAXCONN_HERE },
		{ SOMAXCONN_HERE, SOMAXCONN_HERE }, { 0, 0 }, { INT_MIN, SOMAXCONN_HERE },
	};
	int fd = unix_listener(variant->type, 7), client;

	EXPECT_EQ(7, unix_num(fd, "asked"));
	ASSERT_EQ(0, unix_dial(fd, variant->type, &client));
	for (int i = 0; i < 6; i++) {
		lq_listen(fd, calls[i].asked);
		EXPECT_EQ(calls[i].asked, unix_num(fd, "asked"));
		EXPECT_EQ(calls[i].granted, unix_num(fd, "granted"));
		EXPECT_EQ(calls[i].granted, unix_num(fd, "limit"));
	}
	/* It is the same listener. */
	CHECK_UNIX(fd, 1, 0, 0, 0);
	EXPECT_STREQ("-", unix_str(fd, "rule"));
	EXPECT_EQ(getpid(), unix_num(fd, "pid"));
	EXPECT_EQ(lq_inode(fd), unix_num(fd, "inode"));
	EXPECT_EQ(0, unix_num(fd, "uid"));
	EXPECT_LE(0, unix_num(fd, "since_ms"));
}

/* Nobody's name and number but one's own. */
TEST_F(local, callers)
{
	int fd = unix_listener_at(variant->type, unix_path("roots"), 1);
	pid_t pid = lq_fork();
	int own;

	if (!pid) {
		lq_become_user(USER_UID);
		if (strcmp(unix_str(fd, "pid"), "-") ||
		    strcmp(unix_str(fd, "comm"), "-") ||
		    strcmp(unix_str(fd, "path"), "roots"))
			_exit(1);
		own = unix_listener(variant->type, 1);
		if (unix_num(own, "pid") != getpid() ||
		    unix_num(own, "uid") != USER_UID)
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(getpid(), unix_num(fd, "pid"));
}

/* ---- all there are, and no others ---- */

/* AF_UNIX sockets of this namespace that are not freed. */
static int sockets_of_kernel(void)
{
	FILE *file = fopen("/proc/net/protocols", "r");
	char line[256], name[16];
	int sum = 0, count;

	if (!file)
		err(1, "/proc/net/protocols");
	/* "UNIX", and "UNIX-STREAM" since 5.15 */
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%15s %*d %d", name, &count) == 2 &&
		    !strncmp(name, "UNIX", 4))
			sum += count;
	fclose(file);
	return sum;
}

TEST_F(local, all_of_a_namespace)
{
	int here = lq_netns(), fd = -1, *fds = calloc(MANY, sizeof(*fds));
	int sockets = sockets_of_kernel();
	const struct rlimit files = { 2 * MANY, 2 * MANY };
	struct lq_table *table;
	bool has;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (int i = 0; i < MANY; i++)
		fds[i] = unix_listener(variant->type, i % 50);
	EXPECT_EQ(MANY, listeners_of_kernel(fds[0], &has));
	EXPECT_TRUE(has);
	table = lq_read_chunks(LQ_UNIX, 777);
	EXPECT_EQ(MANY, table->nrows);
	for (int i = 0; i < MANY; i++) {
		int row = lq_find(table, "cookie", lq_cookie_str(fds[i]));

		ASSERT_LE(0, row);
		EXPECT_EQ(i % 50, lq_cell_num(table, row, "limit"));
	}
	lq_free(table);
	lq_new_netns();
	EXPECT_EQ(0, lq_rows(LQ_UNIX));
	fd = unix_listener(variant->type, 1);
	EXPECT_EQ(1, lq_rows(LQ_UNIX));
	lq_enter_netns(here);
	EXPECT_EQ(MANY, lq_rows(LQ_UNIX));
	EXPECT_FALSE(unix_listed(fd));
	EXPECT_LE(sockets + MANY, sockets_of_kernel());
	lq_close_all(fds, MANY);
	EXPECT_EQ(0, lq_rows(LQ_UNIX));
	/* Nor does the module keep one that it has shown. */
	EXPECT_TRUE(lq_wait_until(sockets_of_kernel() == sockets));
	free(fds);
}

/* A path leads to a listener of another namespace, which counts what comes. */
TEST_F(local, a_client_of_another_namespace)
{
	int fd = unix_listener_at(variant->type, unix_path("shared"), 0);
	int here = lq_netns();

	lq_new_netns();
	EXPECT_EQ(0, unix_try_path(variant->type, "shared"));
	EXPECT_EQ(EAGAIN, unix_try_path(variant->type, "shared"));
	lq_enter_netns(here);
	CHECK_UNIX(fd, 1, 0, 0, 1);
}

/* What a client sends before it is accepted is no connection. */
TEST_F(local, descriptors_in_flight)
{
	int fd = unix_listener(variant->type, 3), client;
	char control[CMSG_SPACE(sizeof(int))] = { }, byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	ASSERT_EQ(0, unix_dial(fd, variant->type, &client));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	/* The listener itself, to be looked after by the kernel's collector. */
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	ASSERT_EQ(1, sendmsg(client, &message, 0));
	lq_set_option(client, SOL_SOCKET, SO_PASSCRED, 1);
	CHECK_UNIX(fd, 1, 0, 0, 0);
	EXPECT_EQ(1, unix_num(fd, "acceptq"));
	unix_accept(fd);
	CHECK_UNIX(fd, 1, 1, 0, 0);
	EXPECT_EQ(0, unix_num(fd, "acceptq"));
}

/* A client that wants credentials is bound by the kernel, in connect(). */
TEST_F(local, a_client_with_credentials)
{
	int fd = unix_listener(variant->type, 0);
	int client = unix_socket(variant->type | SOCK_NONBLOCK);

	lq_set_option(client, SOL_SOCKET, SO_PASSCRED, 1);
	EXPECT_EQ(0, lq_try_connect(client, fd));
	EXPECT_EQ(EAGAIN, unix_dial(fd, variant->type, self->clients));
	CHECK_UNIX(fd, 1, 0, 0, 1);
}

/* ---- sums ---- */

struct storm {
	atomic_llong in;
	atomic_llong out;
	atomic_int done;
};

static void storm(int fd, int type, struct storm *sums)
{
	lq_unpin();
	for (int i = 0; i < CONNECTS; i++) {
		unix_try(fd, type, &sums->in, &sums->out);
		lq_breathe(i);
	}
	sums->done++;
	_exit(0);
}

/* Exact, whoever has come between whom. Both take their time where they are emulated. */
TEST_F_TIMEOUT(local, two_processors, 300)
{
	struct storm *sums = lq_shared(sizeof(*sums));
	int fd = unix_listener(variant->type, 2);
	long long accepts = 0, missed = lq_missed();
	pid_t pids[2];
	int child;

	for (int i = 0; i < 2; i++) {
		pids[i] = lq_fork();
		if (!pids[i])
			storm(fd, variant->type, sums);
	}
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	while (sums->done < 2 || unix_num(fd, "acceptq")) {
		child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (child >= 0) {
			accepts++;
			close(child);
		} else if (sums->done < 2) {
			usleep(accepts % 7 * 100);
		}
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, lq_reap(pids[i]));
	TH_LOG("%lld in, %lld out", (long long)sums->in, (long long)sums->out);
	EXPECT_EQ(2 * CONNECTS, sums->in + sums->out);
	EXPECT_EQ(accepts, sums->in);
	CHECK_UNIX(fd, sums->in, accepts, 0, sums->out);
	/* One more, where one was accepted in the moment in which another came. */
	EXPECT_LE(unix_num(fd, "acceptq_peak"), 4);
	EXPECT_EQ(missed, lq_missed());
}

/* ---- rules ---- */

TEST_F(local, a_rule_for_a_name)
{
	int fd = unix_listener_at(variant->type, unix_path("a b"), 3);
	int abstract = unix_listener_at(variant->type, unix_addr("\0n", 2), 3);
	int other = unix_listener_at(variant->type, unix_path("*"), 3);
	char *text;

	ASSERT_EQ(0, lq_clamp("unix:a\\040b floor 20\n"
			      "unix:* floor 9\n"
			      "unix:@n force 5\n"
			      "* floor 77\n"));
	EXPECT_EQ(20, unix_num(fd, "limit"));
	EXPECT_STREQ("unix:a\\040b", unix_str(fd, "rule"));
	EXPECT_EQ(3, unix_num(fd, "granted"));
	EXPECT_EQ(5, unix_num(abstract, "limit"));
	EXPECT_STREQ("unix:@n", unix_str(abstract, "rule"));
	EXPECT_EQ(9, unix_num(other, "limit"));
	EXPECT_STREQ("unix:*", unix_str(other, "rule"));
	check_queue(_metadata, fd, 0, 20);

	text = lq_clamp_text();
	EXPECT_STREQ("* floor 77\nunix:a\\040b floor 20\nunix:@n force 5\n"
		     "unix:* floor 9\n", text);
	free(text);

	/* A listen() later, and a socket that is new. */
	lq_listen(fd, 4);
	EXPECT_EQ(20, unix_num(fd, "limit"));
	EXPECT_EQ(4, unix_num(fd, "granted"));
	close(abstract);
	abstract = unix_listener_at(variant->type, unix_addr("\0n", 2), 30);
	EXPECT_EQ(5, unix_num(abstract, "limit"));

	/* The path "*" is not all paths. */
	ASSERT_EQ(0, lq_clamp("unix:\\052 force 2"));
	EXPECT_EQ(2, unix_num(other, "limit"));
	EXPECT_STREQ("unix:\\052", unix_str(other, "rule"));
	EXPECT_EQ(20, unix_num(fd, "limit"));

	ASSERT_EQ(0, lq_clamp("unix:a\\040b clear"));
	EXPECT_EQ(9, unix_num(fd, "limit"));
	ASSERT_EQ(0, lq_clamp("flush"));
	EXPECT_EQ(4, unix_num(fd, "limit"));
	EXPECT_EQ(30, unix_num(abstract, "limit"));
	EXPECT_STREQ("-", unix_str(fd, "rule"));
	check_queue(_metadata, other, 0, 3);
}

TEST_F(local, somaxconn_of_a_rule)
{
	int fd = unix_listener(variant->type, 5000);

	EXPECT_EQ(SOMAXCONN_HERE, unix_num(fd, "limit"));
	ASSERT_EQ(0, lq_clamp("unix:* somaxconn 2000"));
	EXPECT_EQ(2000, unix_num(fd, "limit"));
	ASSERT_EQ(0, lq_clamp("unix:* somaxconn 10 floor 20"));
	EXPECT_EQ(20, unix_num(fd, "limit"));
	ASSERT_EQ(0, lq_clamp("unix:* clear"));
	EXPECT_EQ(SOMAXCONN_HERE, unix_num(fd, "limit"));
}

/* A raised limit lets in who waits. A lowered one harms nobody who is in. */
TEST_F(local, a_rule_lets_in_who_waits)
{
	int fd = unix_listener_at(variant->type, unix_path("s"), 0);
	pid_t pids[3];

	ASSERT_EQ(1, unix_fill(fd, variant->type, self->clients, 1));
	for (int i = 0; i < 3; i++)
		pids[i] = unix_waiter(fd, variant->type, 0);
	EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == 3));
	ASSERT_EQ(0, lq_clamp("unix:s floor 10"));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, unix_waited(pids[i]));
	CHECK_UNIX(fd, 4, 0, 3, 0);
	ASSERT_EQ(0, lq_clamp("unix:s force 1"));
	EXPECT_EQ(4, unix_num(fd, "acceptq"));
	EXPECT_EQ(EAGAIN, unix_dial(fd, variant->type, self->clients + 1));
	for (int i = 0; i < 4; i++)
		unix_accept(fd);
	CHECK_UNIX(fd, 4, 4, 3, 1);
}

/*
 * The kernel wakes who waits when listen() stores more than there was. Here it stores as
 * much again, and a rule makes more of that. A sweep, each 30 s, would find out too.
 */
TEST_F(local, a_listen_lets_in_who_waits)
{
	int fd = unix_listener_at(variant->type, unix_path("s"), 0);
	long long start;
	pid_t pid;

	lq_set_somaxconn(0);
	ASSERT_EQ(0, lq_clamp("unix:s somaxconn 10"));
	for (int i = 1; i <= 3; i++) {
		ASSERT_LE(1, unix_fill(fd, variant->type, self->clients, 5));
		pid = unix_waiter(fd, variant->type, 0);
		EXPECT_TRUE(lq_wait_until(unix_num(fd, "waits") == i));
		start = lq_now_ms();
		lq_listen(fd, 2 * i);
		EXPECT_EQ(0, unix_waited(pid));
		EXPECT_GT(12000, lq_now_ms() - start);
	}
}

/* Two call listen() first, at the same time: neither takes the rule's limit for its own. */
TEST_F(local, two_first_calls)
{
	atomic_int *go = lq_shared(sizeof(*go));
	int fds[RACES];
	pid_t pid;

	ASSERT_EQ(0, lq_clamp("unix:* floor 50"));
	for (int i = 0; i < RACES; i++)
		fds[i] = unix_autobound(variant->type);
	pid = lq_fork();
	lq_unpin();
	for (int i = 0; i < RACES; i++) {
		if (pid)
			atomic_store(go, i + 1);
		while (atomic_load(go) <= i)
			sched_yield();
		lq_listen(fds[i], pid ? 5 : 7);
	}
	if (!pid)
		_exit(0);
	ASSERT_EQ(0, lq_reap(pid));
	for (int i = 0; i < RACES; i++)
		EXPECT_EQ(50, unix_num(fds[i], "limit"));
	ASSERT_EQ(0, lq_clamp("flush"));
	for (int i = 0; i < RACES; i++) {
		/* Of 5 and 7, either. */
		EXPECT_EQ(5, unix_num(fds[i], "limit") & ~2);
	}
	lq_close_all(fds, RACES);
}

TEST_F(local, rules_that_are_refused)
{
	static const struct { int error; const char *text; } lines[] = {
		{ EINVAL, "unix: floor 1" }, { EINVAL, "unix:\\40 floor 1" },
		{ EINVAL, "unix:\\400 floor 1" }, { EINVAL, "unix:\\000 floor 1" },
		{ EINVAL, "unix:a\\ floor 1" }, { EINVAL, "unix:a" },
		{ EINVAL, "unix:a floor" }, { EINVAL, "unix floor 1" },
		{ ERANGE, "unix:a floor -1" }, { ENOENT, "unix:a clear" },
		{ ENOENT, "unix:* clear" }, { EINVAL, "UNIX:* floor 1" },
	};
	char text[256];

	ASSERT_EQ(0, lq_clamp("unix:kept floor 1"));
	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++)
		EXPECT_EQ(lines[i].error, lq_clamp(lines[i].text));
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:", 5);
	strcpy(text + 5 + 109, " floor 1");
	EXPECT_EQ(EINVAL, lq_clamp(text));
	strcpy(text + 5 + 108, " floor 1");
	EXPECT_EQ(0, lq_clamp(text));
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:@", 6);
	strcpy(text + 5 + 109, " floor 1");
	EXPECT_EQ(EINVAL, lq_clamp(text));
	EXPECT_EQ(0, lq_clamp("unix:@ floor 1"));
	EXPECT_EQ(0, lq_clamp("unix:@\\000 floor 1"));
	EXPECT_EQ(0, lq_clamp("unix:kept clear"));
}

/* As long as they can be, and what is read of them can be written in one piece. */
TEST_F(local, the_longest_rules)
{
	char *text = malloc(524288), *at = text, *shown;

	for (int i = 0; i < 1024; i++) {
		at += sprintf(at, "unix:%04d", i);
		for (int j = 4; j < 108; j++)
			at += sprintf(at, "\\377");
		at += sprintf(at, " somaxconn 2147483647 floor 2147483647\n");
	}
	ASSERT_EQ(0, lq_clamp(text));
	shown = lq_clamp_text();
	EXPECT_STREQ(text, shown);
	memmove(shown + 6, shown, strlen(shown) + 1);
	memcpy(shown, "flush\n", 6);
	EXPECT_EQ(0, lq_clamp(shown));
	free(shown);
	shown = lq_clamp_text();
	EXPECT_STREQ(text, shown);
	free(shown);
	free(text);
}

/* As many as there may be, with those for ports. */
TEST_F(local, a_thousand_rules)
{
	char *text = malloc(65536), *at = text;
	int fd = unix_listener_at(variant->type, unix_path("name777"), 1);

	for (int i = 0; i < 1023; i++)
		at += sprintf(at, "unix:name%d floor %d\n", i, i + 1000);
	ASSERT_EQ(0, lq_clamp(text));
	EXPECT_EQ(1777, unix_num(fd, "limit"));
	EXPECT_EQ(0, lq_clamp("80 floor 1"));
	EXPECT_EQ(ENOSPC, lq_clamp("81 floor 1"));
	EXPECT_EQ(ENOSPC, lq_clamp("unix:* floor 1"));
	EXPECT_EQ(0, lq_clamp("unix:name5 floor 1"));
	EXPECT_EQ(0, lq_clamp("flush\nunix:* floor 3"));
	EXPECT_EQ(3, unix_num(fd, "limit"));
	free(text);
}

TEST_HARNESS_MAIN
