// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the documents say of full queues, and what Linux does: one test for
 * each claim of Documentation/listen.rst, `full-1` is `full_1`. What a client
 * gets, after how many retransmissions, and under which setting; and what the
 * two queues hold, each for itself.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

/* Those of AF_UNIX are another fixture's, below. */
#define LISTEN_TCP_ONLY
#include "listen.h"

/* What is unanswered is sent again after a second, by either side. */
#define SECOND_MS	1000

/* The second one is to be what bounds a queue, and not the first. */
#define LARGE		40
#define MAX_SYN_BACKLOG	16

static const char linear[] = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts";

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
	struct queue *q = queue_open(_metadata, &variant->kind, 2);
	long long resets, before;
	int client, closed;

	lq_set_sysctl("ipv4/tcp_syn_retries", 1);
	/* Not even where the setting asks for resets: that is for ACKs. */
	lq_set_sysctl("ipv4/tcp_abort_on_overflow", 1);
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
		say(client, 'x');
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
	check_shown(_metadata, 3, q, "acceptq");
	check_counted(_metadata, before, q, "overflows");
	check_shown(_metadata, 0, q, "synq");

	/* Who is refused finds nobody listening, and hears so at once. */
	closed = lq_kind_bound(&variant->kind, 0);
	client = new_client(q->kind, 0);
	EXPECT_EQ(ECONNREFUSED, lq_try_connect(client, closed));
}

/* A SYN that is ignored is sent again after a second, and gets in then. */
static void syn_again(struct __test_metadata *_metadata,
		      const struct lq_kind *kind)
{
	struct queue *q = queue_open(_metadata, kind, 0);
	int client;

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
	check_counted(_metadata, overflows(q), q, "overflows");
	check_counted(_metadata, 1 + syns_sent(client), q, "syns");
	lq_accept(q->fd);
	queue_close(q);
}

/*
 * So is a final ACK: the client believes that it is connected, its request
 * stays, and each of its segments tries again.
 */
static void ack_again(struct __test_metadata *_metadata,
		      const struct lq_kind *kind)
{
	struct queue *q = queue_open(_metadata, kind, 2);
	int client;

	hold(q);
	ASSERT_EQ(IN_QUEUE, one_more_held(q));
	client = q->clients[0];
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(IN_QUEUE, one_more(q));
	EXPECT_EQ(1, half_open(q));
	release(q);
	ASSERT_TRUE(finished(client, 60 * SECOND_MS));
	EXPECT_EQ(0, client_error(client));
	say(client, 'x');
	EXPECT_TRUE(lq_wait_until(overflows(q) >= 3));
	EXPECT_EQ(TCP_ESTABLISHED, client_info(client).tcpi_state);
	EXPECT_EQ(1, client_info(client).tcpi_unacked);
	EXPECT_EQ(1, half_open(q));
	EXPECT_EQ(3, queue_waiting(q));

	/* With room for it, it is the last of the queue, byte and all. */
	lq_accept(q->fd);
	EXPECT_TRUE(lq_wait_until(queue_waiting(q) == 3));
	EXPECT_EQ(0, half_open(q));
	check_counted(_metadata, overflows(q), q, "overflows");
	lq_accept(q->fd);
	lq_accept(q->fd);
	close(check_next(_metadata, q->fd, 'x'));
	queue_close(q);
}

/*
 * A request waits for its ACK as long as the SYN-ACK is sent again: once here,
 * after a second, and two seconds more. Then the server has forgotten it, and
 * what the client sends is answered with a reset.
 */
static void forgotten(struct __test_metadata *_metadata,
		      const struct lq_kind *kind)
{
	long long again = lq_netstat("TCPSynRetrans"), start = lq_now_ms();
	struct queue *q = queue_open(_metadata, kind, 2);
	int client;

	lq_set_sysctl("ipv4/tcp_synack_retries", 1);
	hold(q);
	ASSERT_EQ(IN_QUEUE, one_more_held(q));
	client = q->clients[0];
	EXPECT_TRUE(finished(client, 0));
	EXPECT_EQ(0, client_error(client));
	check_shown(_metadata, 1, q, "synq");
	EXPECT_TRUE(lq_wait_until(half_open(q) == 0));
	EXPECT_LE(3 * SECOND_MS - LQ_SLACK_MS, lq_now_ms() - start);
	EXPECT_EQ(again + 1, lq_netstat("TCPSynRetrans"));
	EXPECT_EQ(TCP_ESTABLISHED, client_info(client).tcpi_state);
	release(q);
	say(client, 'x');
	EXPECT_TRUE(lq_wait_until(client_info(client).tcpi_state == TCP_CLOSE));
	EXPECT_EQ(ECONNRESET, client_error(client));
	EXPECT_EQ(0, queue_waiting(q));
	EXPECT_EQ(0, overflows(q));
}

/* "Or it is ignored, and a later attempt succeeds": that is what TCP does. */
TEST_F(listen, full_2)
{
	syn_again(_metadata, &variant->kind);
	ack_again(_metadata, &variant->kind);
	/* An MPTCP listener's clients can't be held and connected at once. */
	if (variant->kind.protocol != IPPROTO_MPTCP)
		forgotten(_metadata, &variant->kind);
}

/*
 * "The queue may hold incomplete connections, and the limits may differ":
 * there are two queues, with one number for both.
 */
TEST_F(listen, two_1)
{
	struct queue *q = queue_open(_metadata, &variant->kind, 3);

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	EXPECT_EQ(synq_room(3), fill_both(_metadata, q, 3));
	check_queues(_metadata, q, 3, synq_room(3));
	check_met(_metadata, q, SYN_QUEUE);
	drop_late(q);
	check_counted(_metadata, full_drops(q), q, "synq_drops");
	check_counted(_metadata, synq_room(3), q, "synq_peak");
	check_counted(_metadata, 3, q, "acceptq_peak");
	check_shown(_metadata, 0, q, "overflows");
	queue_close(q);

	/* A full accept queue keeps requests out of the other one as well. */
	q = queue_open(_metadata, &variant->kind, 3);
	EXPECT_EQ(0, fill_both(_metadata, q, 4));
	check_queues(_metadata, q, 4, 0);
	check_met(_metadata, q, ACCEPT_QUEUE);
	drop_late(q);
	check_counted(_metadata, overflows(q), q, "overflows");
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
		say(q->clients[i], 'x');
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
	struct queue *q = queue_open(_metadata, &variant->kind, 3);
	int room = 3 + synq_room(3);

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	EXPECT_EQ(room - 3, fill_both(_metadata, q, 3));
	drop_late(q);
	check_queues(_metadata, q, 3, room - 3);
	/* More than the one queue has room for. */
	EXPECT_LT(3 + 1, room);
	/* None of them is lost. */
	release(q);
	EXPECT_EQ(room, accept_some(q, room));
	check_queues(_metadata, q, 0, 0);
}

/* A SYN queue alone, which @backlog bounds and nothing else. */
static void check_synq(struct __test_metadata *_metadata,
		       const struct lq_kind *kind, int backlog)
{
	struct queue *q = queue_open(_metadata, kind, backlog);

	EXPECT_EQ(synq_room(backlog), fill_both(_metadata, q, 0));
	check_queues(_metadata, q, 0, synq_room(backlog));
	check_met(_metadata, q, SYN_QUEUE);
	queue_close(q);
}

/* "Since 2.2 backlog counts complete connections only": both, each alone. */
TEST_F(listen, two_3)
{
	struct queue *q = queue_open(_metadata, &variant->kind, 4);

	/* Those under way take no room from those that are finished ... */
	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	hold(q);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(IN_QUEUE, one_more_held(q));
	check_queues(_metadata, q, 0, 3);
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(IN_QUEUE, one_more(q));
	EXPECT_EQ(TURNED_AWAY, one_more(q));
	check_met(_metadata, q, ACCEPT_QUEUE);
	check_queues(_metadata, q, 5, 3);
	queue_close(q);

	/* ... but backlog bounds them too, and nothing else does here. */
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 4096);
	check_synq(_metadata, &variant->kind, 4);
}

/* A connection from here that has come and gone, and proves this peer. */
static void prove_peer(struct __test_metadata *_metadata,
		       const struct lq_kind *kind)
{
	struct queue *q = queue_open(_metadata, kind, 1);

	ASSERT_EQ(IN_QUEUE, one_more(q));
	/* The server closes its end; with the client's it is over. */
	lq_accept(q->fd);
	queue_close(q);
}

/*
 * "tcp_max_syn_backlog bounds the incomplete ones": only without cookies, and
 * only three quarters of it for peers that have never been here.
 */
TEST_F(listen, two_4)
{
	struct queue *q;
	long long drops;

	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", MAX_SYN_BACKLOG);
	q = queue_open(_metadata, &variant->kind, LARGE);
	drops = lq_netstat("ListenDrops");
	/* Who finds less than a quarter free is turned away: the 14th. */
	EXPECT_EQ(MAX_SYN_BACKLOG * 3 / 4 + 1, fill_both(_metadata, q, 0));
	check_queues(_metadata, q, 0, MAX_SYN_BACKLOG * 3 / 4 + 1);
	EXPECT_TRUE(lq_wait_until(lq_netstat("ListenDrops") - drops ==
				  syns_sent(q->late)));
	/* Neither queue was full. */
	EXPECT_EQ(0, full_drops(q));
	EXPECT_EQ(0, overflows(q));
	check_shown(_metadata, 0, q, "synq_drops");
	check_shown(_metadata, LARGE, q, "limit");
	queue_close(q);

	/* A smaller backlog bounds them before. */
	check_synq(_metadata, &variant->kind, 4);

	/* With cookies it is ignored: as many as backlog has room for. */
	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	q = queue_open(_metadata, &variant->kind, LARGE);
	EXPECT_EQ(synq_room(LARGE), fill_both(_metadata, q, 0));
	EXPECT_EQ(0, full_drops(q));
	queue_close(q);

	/* And so it is for a peer that has once been connected. */
	lq_set_sysctl("ipv4/tcp_syncookies", 0);
	prove_peer(_metadata, &variant->kind);
	check_synq(_metadata, &variant->kind, LARGE);
}

/*
 * "With SYN cookies there is no such bound, and the setting is ignored": it
 * is, but the queue has its bound, and who gets a cookie isn't in it.
 */
TEST_F(listen, two_5)
{
	struct queue *q = queue_open(_metadata, &variant->kind, 8);
	int room = synq_room(8), cookies_for = 5;

	lq_set_sysctl("ipv4/tcp_syncookies", 1);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 1);
	hold(q);
	for (int i = 0; i < room + cookies_for; i++)
		EXPECT_EQ(i < room ? IN_QUEUE : COOKIE, one_more_held(q));
	check_queues(_metadata, q, 0, room);
	EXPECT_TRUE(lq_wait_until(cookies(q) == all_syns(q, room)));
	EXPECT_EQ(0, full_drops(q));
	EXPECT_EQ(0, overflows(q));
	check_counted(_metadata, cookies(q), q, "syncookies");
	check_counted(_metadata, room, q, "synq_peak");
	check_shown(_metadata, 0, q, "synq_drops");
	/* They are as connected as the others, and come as far. */
	for (int i = 0; i < q->count && !held_by_clients(q); i++) {
		EXPECT_TRUE(finished(q->clients[i], 0));
		EXPECT_EQ(0, client_error(q->clients[i]));
	}
	release(q);
	EXPECT_EQ(room + cookies_for, accept_some(q, room + cookies_for));
	check_queues(_metadata, q, 0, 0);
	queue_close(q);

	/* Where the accept queue is full, nobody gets a cookie either. */
	lq_set_sysctl("ipv4/tcp_syncookies", 2);
	q = queue_open(_metadata, &variant->kind, 2);
	EXPECT_EQ(3, fill(q));
	check_met(_metadata, q, ACCEPT_QUEUE);
	drop_late(q);
	/* With 2 each of those who did come in has had one. */
	EXPECT_EQ(3, cookies(q));
	check_queues(_metadata, q, 3, 0);
	check_counted(_metadata, 3, q, "syncookies");
	check_counted(_metadata, overflows(q), q, "overflows");
}

/* AF_UNIX has no retransmissions, and makes who has time wait. */
FIXTURE(local) { };

FIXTURE_VARIANT(local)
{
	struct lq_kind kind;
};

FIXTURE_VARIANT_ADD(local, unix_stream) { { AF_UNIX, SOCK_STREAM, 0 } };
FIXTURE_VARIANT_ADD(local, unix_seqpacket) { { AF_UNIX, SOCK_SEQPACKET, 0 } };

FIXTURE_SETUP(local)
{
	LQ_SETUP_PLAIN();
}

FIXTURE_TEARDOWN(local) { }

/* EAGAIN: at once where it doesn't wait, or when its time is over. */
TEST_F(local, full_1)
{
	const struct timeval tenth = { .tv_usec = 100000 };
	struct queue *q = queue_open(_metadata, &variant->kind, 2);
	long long start;
	int client;

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
}

/* A connect() that waits gets in as soon as accept() has made room. */
TEST_F(local, full_2)
{
	struct queue *q = queue_open(_metadata, &variant->kind, 2);
	atomic_int *trying = lq_shared(sizeof(*trying));
	pid_t pid;

	EXPECT_EQ(3, fill(q));
	drop_late(q);
	pid = lq_fork();
	if (!pid) {
		int client = new_client(q->kind, 0);

		*trying = 1;
		_exit(lq_try_connect(client, q->fd));
	}
	EXPECT_TRUE(lq_wait_until(*trying && lq_state(pid) == 'S'));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	lq_accept(q->fd);
	EXPECT_EQ(0, lq_reap(pid));
	EXPECT_EQ(3, accept_all(q));
}

TEST_HARNESS_MAIN
