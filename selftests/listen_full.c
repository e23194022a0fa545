// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the documents say of full queues, and what Linux does: one test for
 * each claim of Documentation/listen.rst, `full-1` is `full_1`. What a client
 * gets, after how many retransmissions, and under which setting; and what the
 * two queues hold, each for itself.
 *
 * Without the module the tests look from outside alone.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "listen.h"

/* What is unanswered is sent again after a second, by either side. */
#define SECOND_MS	1000

/* The second one is to be what bounds a queue, and not the first. */
#define LARGE		40
#define MAX_SYN_BACKLOG	16

static const char linear[] = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts";

FIXTURE(listen)
{
	struct queue q;
	bool module;
};

FIXTURE_VARIANT(listen)
{
	struct lq_kind kind;
};

FIXTURE_VARIANT_ADD(listen, ipv4)
{
	.kind = { AF_INET, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(listen, ipv6)
{
	.kind = { AF_INET6, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(listen, mptcp)
{
	.kind = { AF_INET, SOCK_STREAM, IPPROTO_MPTCP },
};

FIXTURE_SETUP(listen)
{
	const char *why;

	LQ_SETUP_PLAIN();
	why = no_such_queue(&variant->kind);
	if (why)
		SKIP(longjmp(_metadata->env, 1), "%s", why);
	lq_pin();
	self->module = lq_have_module();
	if (self->module)
		missed_before = lq_missed();
}

FIXTURE_TEARDOWN(listen)
{
}

/*
 * A client of a full queue gives up with ETIMEDOUT when it has sent @syns
 * SYNs, of which none was answered, and has waited for @seconds.
 */
static void check_timeout(struct __test_metadata *_metadata, struct queue *q,
			  int syns, int seconds)
{
	long long before = overflows(q), start = lq_now_ms();
	int client = new_client(q->kind, 0);

	EXPECT_EQ(ETIMEDOUT, lq_try_connect(client, q->fd));
	EXPECT_LE(seconds * SECOND_MS - LQ_SLACK_MS, lq_now_ms() - start);
	EXPECT_EQ(syns, overflows(q) - before);
	close(client);
}

/* "A request that meets a full queue gets ECONNREFUSED": none does. */
TEST_F(listen, full_1)
{
	struct queue *q = &self->q;
	long long resets, before;
	int client, closed;

	lq_set_sysctl("ipv4/tcp_syn_retries", 1);
	/* Not even where the setting asks for resets: that is for ACKs. */
	lq_set_sysctl("ipv4/tcp_abort_on_overflow", 1);
	queue_open(q, &variant->kind, 2);
	hold(q);
	ASSERT_EQ(IN_QUEUE, one_more_held(q));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(IN_QUEUE, one_more(q));

	/* Its final ACK meets the full queue: connected, and then reset. */
	client = q->clients[0];
	if (!held_by_clients(q)) {
		ASSERT_TRUE(finished(client, 0));
		EXPECT_EQ(0, client_error(client));
	}
	EXPECT_EQ(0, overflows(q));
	resets = lq_netstat("EmbryonicRsts");
	release(q);
	if (!held_by_clients(q))
		send_byte(client);
	EXPECT_TRUE(lq_wait_until(half_open(q) == 0));
	EXPECT_EQ(resets + 1, lq_netstat("EmbryonicRsts"));
	EXPECT_EQ(1, overflows(q));
	EXPECT_TRUE(lq_wait_until(client_info(client).tcpi_state == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, client_error(client));
	EXPECT_EQ(3, queue_waiting(q));

	/*
	 * SYNs are ignored. A second after the first the only other one, and
	 * two more seconds for its answer.
	 */
	if (!access(linear, F_OK))
		lq_write_file(linear, "0");
	check_timeout(_metadata, q, 2, 3);
	/*
	 * Since 6.5 there are as many retransmissions more as the setting says,
	 * a second after one another: 1, 2, and two seconds.
	 */
	EXPECT_EQ(lq_kernel_before(6, 5), !!access(linear, F_OK));
	before = 3;
	if (!access(linear, F_OK)) {
		lq_write_file(linear, "1");
		check_timeout(_metadata, q, 3, 4);
		before += 3;
	}
	EXPECT_EQ(before, overflows(q));
	EXPECT_EQ(0, full_drops(q));
	if (self->module) {
		EXPECT_EQ(3, lq_num_at(q->fd, "acceptq"));
		check_counted(_metadata, before, q, "overflows");
		EXPECT_EQ(0, lq_num_at(q->fd, "synq"));
	}

	/* Who is refused finds nobody listening, and hears so at once. */
	closed = lq_kind_bound(&variant->kind, 0);
	client = new_client(q->kind, 0);
	EXPECT_EQ(ECONNREFUSED, lq_try_connect(client, closed));
	close(client);
	close(closed);
	queue_close(q);
}

/* A SYN that is ignored is sent again after a second, and gets in then. */
static void syn_again(struct __test_metadata *_metadata, struct queue *q,
		      const struct lq_kind *kind, bool module)
{
	int client;

	queue_open(q, kind, 0);
	/* Where an empty SYN queue is full, a cookie lets the first one in. */
	ASSERT_EQ(1, fill(q));
	client = q->late;
	EXPECT_TRUE(lq_wait_until(overflows(q) == syns_sent(client)));
	lq_accept(q->fd);
	EXPECT_TRUE(finished(client, 60 * SECOND_MS));
	EXPECT_EQ(0, client_error(client));
	EXPECT_TRUE(lq_wait_until(queue_waiting(q) == 1));
	/* All but the last were ignored: one, where nothing is slow. */
	EXPECT_LE(1, overflows(q));
	EXPECT_EQ(syns_sent(client) - 1, overflows(q));
	if (module) {
		check_counted(_metadata, overflows(q), q, "overflows");
		check_counted(_metadata, 1 + syns_sent(client), q, "syns");
	}
	lq_accept(q->fd);
	queue_close(q);
}

/*
 * So is a final ACK: the client believes that it is connected, its request
 * stays, and each of its segments tries again.
 */
static void ack_again(struct __test_metadata *_metadata, struct queue *q,
		      const struct lq_kind *kind, bool module)
{
	int client, child = -1;
	char byte = 0;

	queue_open(q, kind, 2);
	hold(q);
	ASSERT_EQ(IN_QUEUE, one_more_held(q));
	client = q->clients[0];
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(IN_QUEUE, one_more(q));
	EXPECT_EQ(1, half_open(q));
	release(q);
	ASSERT_TRUE(finished(client, 60 * SECOND_MS));
	EXPECT_EQ(0, client_error(client));
	send_byte(client);
	EXPECT_TRUE(lq_wait_until(overflows(q) >= 3));
	EXPECT_EQ(TCP_ESTABLISHED, client_info(client).tcpi_state);
	EXPECT_EQ(1, client_info(client).tcpi_unacked);
	EXPECT_EQ(1, half_open(q));
	EXPECT_EQ(3, queue_waiting(q));

	/* With room for it, it is the last of the queue, byte and all. */
	lq_accept(q->fd);
	EXPECT_TRUE(lq_wait_until(queue_waiting(q) == 3));
	EXPECT_EQ(0, half_open(q));
	if (module)
		check_counted(_metadata, overflows(q), q, "overflows");
	lq_accept(q->fd);
	lq_accept(q->fd);
	child = accept4(q->fd, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_LE(0, child);
	EXPECT_EQ(1, read(child, &byte, 1));
	EXPECT_EQ('x', byte);
	close(child);
	queue_close(q);
}

/*
 * A request waits for its ACK as long as the SYN-ACK is sent again: once here,
 * after a second, and two seconds more. Then the server has forgotten it, and
 * what the client sends is answered with a reset.
 */
static void forgotten(struct __test_metadata *_metadata, struct queue *q,
		      const struct lq_kind *kind, bool module)
{
	long long again = lq_netstat("TCPSynRetrans"), start = lq_now_ms();
	int client;

	lq_set_sysctl("ipv4/tcp_synack_retries", 1);
	queue_open(q, kind, 2);
	hold(q);
	ASSERT_EQ(IN_QUEUE, one_more_held(q));
	client = q->clients[0];
	EXPECT_TRUE(finished(client, 0));
	EXPECT_EQ(0, client_error(client));
	if (module)
		EXPECT_EQ(1, lq_num_at(q->fd, "synq"));
	EXPECT_TRUE(lq_wait_until(half_open(q) == 0));
	EXPECT_LE(3 * SECOND_MS - LQ_SLACK_MS, lq_now_ms() - start);
	EXPECT_EQ(again + 1, lq_netstat("TCPSynRetrans"));
	EXPECT_EQ(TCP_ESTABLISHED, client_info(client).tcpi_state);
	release(q);
	send_byte(client);
	EXPECT_TRUE(lq_wait_until(client_info(client).tcpi_state == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, client_error(client));
	EXPECT_EQ(0, queue_waiting(q));
	EXPECT_EQ(0, overflows(q));
	queue_close(q);
}

/* "Or it is ignored, and a later attempt succeeds": that is what TCP does. */
TEST_F(listen, full_2)
{
	syn_again(_metadata, &self->q, &variant->kind, self->module);
	ack_again(_metadata, &self->q, &variant->kind, self->module);
	/* An MPTCP listener's clients can't be held and connected at once. */
	if (!held_by_clients(&self->q))
		forgotten(_metadata, &self->q, &variant->kind, self->module);
}

/* @complete connections, and then requests until one is turned away. */
static int fill_both(struct __test_metadata *_metadata, struct queue *q,
		     int complete)
{
	hold(q);
	for (int i = 0; i < complete; i++)
		EXPECT_EQ(IN_QUEUE, one_more(q));
	return fill_held(q);
}

static void check_queues(struct __test_metadata *_metadata, struct queue *q,
			 bool module, int acceptq, int synq)
{
	EXPECT_EQ(acceptq, queue_waiting(q));
	/*
	 * A child is queued before it is no longer in SYN_RECV, and requests
	 * outlive their listener, whose port this one may have got.
	 */
	lq_wait_until(half_open(q) == synq);
	EXPECT_EQ(synq, half_open(q));
	if (!module)
		return;
	EXPECT_EQ(acceptq, lq_num_at(q->fd, "acceptq"));
	EXPECT_EQ(synq, lq_num_at(q->fd, "synq"));
}

/*
 * "The queue may hold incomplete connections, and the limits may differ":
 * there are two queues, with one number for both.
 */
TEST_F(listen, two_1)
{
	struct queue *q = &self->q;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	queue_open(q, &variant->kind, 3);
	EXPECT_EQ(synq_room(3), fill_both(_metadata, q, 3));
	check_queues(_metadata, q, self->module, 3, synq_room(3));
	EXPECT_TRUE(lq_wait_until(full_drops(q) == syns_sent(q->late)));
	EXPECT_EQ(0, overflows(q));
	drop_late(q);
	if (self->module) {
		check_counted(_metadata, full_drops(q), q, "synq_drops");
		check_counted(_metadata, synq_room(3), q, "synq_peak");
		check_counted(_metadata, 3, q, "acceptq_peak");
		EXPECT_EQ(0, lq_num_at(q->fd, "overflows"));
	}
	queue_close(q);

	/* A full accept queue keeps requests out of the other one as well. */
	queue_open(q, &variant->kind, 3);
	EXPECT_EQ(0, fill_both(_metadata, q, 4));
	check_queues(_metadata, q, self->module, 4, 0);
	EXPECT_TRUE(lq_wait_until(overflows(q) == syns_sent(q->late)));
	EXPECT_EQ(0, full_drops(q));
	drop_late(q);
	if (self->module)
		check_counted(_metadata, overflows(q), q, "overflows");
	queue_close(q);
}

/*
 * Who was held says so once it is connected: of a cookie whose ACK found the
 * accept queue full the server would never hear again.
 */
static void speak(struct queue *q)
{
	for (int i = 0; i < q->count; i++) {
		if (!q->held[i] || !finished(q->clients[i], 0))
			continue;
		send_byte(q->clients[i]);
		q->held[i] = false;
	}
}

/* Takes connections until @count have come, however often they try. */
static int accept_some(struct queue *q, int count)
{
	long long deadline = lq_now_ms() + 60 * SECOND_MS;
	int taken = 0, child;

	while (taken < count && lq_now_ms() < deadline) {
		struct pollfd poll_in = { .fd = q->fd, .events = POLLIN };

		speak(q);
		if (poll(&poll_in, 1, 100) != 1)
			continue;
		child = accept4(q->fd, NULL, NULL, SOCK_CLOEXEC);
		if (child < 0)
			err(1, "accept");
		close(child);
		taken++;
	}
	return taken;
}

/* "One queue, bounded by backlog, for finished and under way": two. */
TEST_F(listen, two_2)
{
	int both = 3 + synq_room(3);
	struct queue *q = &self->q;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	queue_open(q, &variant->kind, 3);
	EXPECT_EQ(both - 3, fill_both(_metadata, q, 3));
	drop_late(q);
	check_queues(_metadata, q, self->module, 3, both - 3);
	/* More than the one queue has room for. */
	EXPECT_LT(3 + 1, both);
	/* None of them is lost. */
	release(q);
	EXPECT_EQ(both, accept_some(q, both));
	check_queues(_metadata, q, self->module, 0, 0);
	queue_close(q);
}

/* "Since 2.2 backlog counts complete connections only": both, each alone. */
TEST_F(listen, two_3)
{
	struct queue *q = &self->q;

	/* Those under way take no room from those that are finished ... */
	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	queue_open(q, &variant->kind, 4);
	hold(q);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(IN_QUEUE, one_more_held(q));
	check_queues(_metadata, q, self->module, 0, 3);
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(IN_QUEUE, one_more(q));
	EXPECT_EQ(TURNED_AWAY, one_more(q));
	EXPECT_TRUE(lq_wait_until(overflows(q) == syns_sent(q->late)));
	EXPECT_EQ(0, full_drops(q));
	check_queues(_metadata, q, self->module, 5, 3);
	queue_close(q);

	/* ... but backlog bounds them too, and nothing else does here. */
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 4096);
	queue_open(q, &variant->kind, 4);
	hold(q);
	EXPECT_EQ(synq_room(4), fill_held(q));
	check_queues(_metadata, q, self->module, 0, synq_room(4));
	EXPECT_TRUE(lq_wait_until(full_drops(q) == syns_sent(q->late)));
	EXPECT_EQ(0, overflows(q));
	queue_close(q);
}

/* A connection from here that has come and gone, and proves this peer. */
static void prove_peer(struct __test_metadata *_metadata,
		       const struct lq_kind *kind)
{
	struct queue q;

	queue_open(&q, kind, 1);
	ASSERT_EQ(IN_QUEUE, one_more(&q));
	lq_accept(q.fd);
	/* The server has closed its end; with the client's it is over. */
	close(q.clients[0]);
	close(q.fd);
}

/*
 * "tcp_max_syn_backlog bounds the incomplete ones": only without cookies, and
 * only three quarters of it for peers that have never been here.
 */
TEST_F(listen, two_4)
{
	struct queue *q = &self->q;
	long long drops;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", MAX_SYN_BACKLOG);
	queue_open(q, &variant->kind, LARGE);
	hold(q);
	drops = lq_netstat("ListenDrops");
	/* Who finds less than a quarter free is turned away: the 14th. */
	EXPECT_EQ(MAX_SYN_BACKLOG * 3 / 4 + 1, fill_held(q));
	check_queues(_metadata, q, self->module, 0,
		     MAX_SYN_BACKLOG * 3 / 4 + 1);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenDrops") - drops ==
				  syns_sent(q->late)));
	/* Neither queue was full. */
	EXPECT_EQ(0, full_drops(q));
	EXPECT_EQ(0, overflows(q));
	if (self->module) {
		EXPECT_EQ(0, lq_num_at(q->fd, "synq_drops"));
		EXPECT_EQ(LARGE, lq_num_at(q->fd, "limit"));
	}
	queue_close(q);

	/* A smaller backlog bounds them before. */
	queue_open(q, &variant->kind, 4);
	hold(q);
	EXPECT_EQ(synq_room(4), fill_held(q));
	EXPECT_TRUE(lq_wait_until(full_drops(q) == syns_sent(q->late)));
	queue_close(q);

	/* With cookies it is ignored: as many as backlog has room for. */
	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	queue_open(q, &variant->kind, LARGE);
	hold(q);
	EXPECT_EQ(synq_room(LARGE), fill_held(q));
	EXPECT_EQ(0, full_drops(q));
	queue_close(q);

	/* And so it is for a peer that has once been connected. */
	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	prove_peer(_metadata, &variant->kind);
	queue_open(q, &variant->kind, LARGE);
	hold(q);
	EXPECT_EQ(synq_room(LARGE), fill_held(q));
	EXPECT_TRUE(lq_wait_until(full_drops(q) == syns_sent(q->late)));
	check_queues(_metadata, q, self->module, 0, synq_room(LARGE));
	queue_close(q);
}

/*
 * "With SYN cookies there is no such bound, and the setting is ignored": it
 * is, but the queue has its bound, and who gets a cookie isn't in it.
 */
TEST_F(listen, two_5)
{
	int room = synq_room(8), cookies_for = 5;
	struct queue *q = &self->q;

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 1);
	queue_open(q, &variant->kind, 8);
	hold(q);
	for (int i = 0; i < room + cookies_for; i++)
		EXPECT_EQ(i < room ? IN_QUEUE : COOKIE, one_more_held(q));
	check_queues(_metadata, q, self->module, 0, room);
	EXPECT_TRUE(lq_wait_until(cookies(q) == all_syns(q, room)));
	EXPECT_EQ(0, full_drops(q));
	EXPECT_EQ(0, overflows(q));
	if (self->module) {
		check_counted(_metadata, cookies(q), q, "syncookies");
		check_counted(_metadata, room, q, "synq_peak");
		EXPECT_EQ(0, lq_num_at(q->fd, "synq_drops"));
	}
	/* They are as connected as the others, and come as far. */
	for (int i = 0; i < q->count && !held_by_clients(q); i++) {
		EXPECT_TRUE(finished(q->clients[i], 0));
		EXPECT_EQ(0, client_error(q->clients[i]));
	}
	release(q);
	EXPECT_EQ(room + cookies_for, accept_some(q, room + cookies_for));
	check_queues(_metadata, q, self->module, 0, 0);
	queue_close(q);

	/* Where the accept queue is full, nobody gets a cookie either. */
	lq_set_sysctl("ipv4/tcp_syncookies", 2);
	queue_open(q, &variant->kind, 2);
	EXPECT_EQ(3, fill(q));
	EXPECT_TRUE(lq_wait_until(overflows(q) == syns_sent(q->late)));
	drop_late(q);
	/* With 2 each of those who did come in has had one. */
	EXPECT_EQ(3, cookies(q));
	check_queues(_metadata, q, self->module, 3, 0);
	if (self->module) {
		check_counted(_metadata, 3, q, "syncookies");
		check_counted(_metadata, overflows(q), q, "overflows");
	}
	queue_close(q);
}

/* AF_UNIX has no retransmissions, and makes who has time wait. */
FIXTURE(local)
{
	struct queue q;
};

FIXTURE_VARIANT(local)
{
	struct lq_kind kind;
};

FIXTURE_VARIANT_ADD(local, unix_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, 0 },
};

FIXTURE_VARIANT_ADD(local, unix_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, 0 },
};

FIXTURE_SETUP(local)
{
	LQ_SETUP_PLAIN();
}

FIXTURE_TEARDOWN(local)
{
}

/* EAGAIN: at once where it doesn't wait, or when its time is over. */
TEST_F(local, full_1)
{
	const struct timeval tenth = { .tv_usec = 100000 };
	struct queue *q = &self->q;
	long long start;
	int client;

	queue_open(q, &variant->kind, 2);
	EXPECT_EQ(3, fill(q));
	client = new_client(q->kind, SOCK_NONBLOCK);
	EXPECT_EQ(EAGAIN, lq_try_connect(client, q->fd));
	close(client);

	client = new_client(q->kind, 0);
	ASSERT_EQ(0, setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &tenth,
				sizeof(tenth)));
	start = lq_now_ms();
	EXPECT_EQ(EAGAIN, lq_try_connect(client, q->fd));
	EXPECT_LE(100 - LQ_SLACK_MS, lq_now_ms() - start);
	EXPECT_EQ(3, accept_all(q));
	/* The same socket may try again. */
	EXPECT_EQ(0, lq_try_connect(client, q->fd));
	close(client);

	/* Refused is, as with TCP, who finds nobody listening. */
	client = new_client(q->kind, 0);
	ASSERT_EQ(0, shutdown(q->fd, SHUT_RD));
	EXPECT_EQ(ECONNREFUSED, lq_try_connect(client, q->fd));
	close(client);
	queue_close(q);
}

/* The state of a process: S sleeps. */
static char state_of(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		err(1, "%s", path);
	fclose(file);
	return state;
}

/* A connect() that waits gets in as soon as accept() has made room. */
TEST_F(local, full_2)
{
	atomic_int *trying = lq_shared(sizeof(*trying));
	struct queue *q = &self->q;
	pid_t pid;

	queue_open(q, &variant->kind, 2);
	EXPECT_EQ(3, fill(q));
	drop_late(q);
	pid = lq_fork();
	if (!pid) {
		int client = new_client(q->kind, 0);

		*trying = 1;
		_exit(lq_try_connect(client, q->fd));
	}
	EXPECT_TRUE(lq_wait_until(*trying && state_of(pid) == 'S'));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	lq_accept(q->fd);
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(3, accept_all(q));
	queue_close(q);
}

TEST_HARNESS_MAIN
