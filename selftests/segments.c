// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sk_drops counts: segments that go no further, whatever became of their
 * sender. tcp_v4_rcv() adds one for each that ends at tcp_check_req(),
 * tcp_filter() or its like, tcp_drop() one for each that tcp_rcv_state_process()
 * has no use for, tcp_listendrop() one more for what ListenDrops counts too. And
 * whom tcp_abort_on_overflow resets. All of it is alike from 5.10 to 7.3.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "strangers.h"
#include "ledger.h"

#define NO_WIRE		"the kernel has no packet sockets"
#define COOKIES		"ipv4/tcp_syncookies"

/* The hits that had been skipped when the test began. */
static long long missed_before;

LQ_FIXTURE_FAMILIES(segments, lq_dummy_up(); missed_before = lq_missed());

/* What a listener's figures should be, and what the namespace's. */
struct figures {
	long long sk_drops;
	long long listen_drops;
	long long of[TERMS];
};

static void check(struct __test_metadata *_metadata, int fd,
		  struct figures expected)
{
	const struct ledger_row *row;
	struct ledger *ledger;
	long long slack;
	struct lq_ss ss;

	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") >=
				  expected.sk_drops));
	ledger = ledger_read();
	row = ledger_row(ledger, fd);
	slack = lq_missed() - missed_before;
	for (int t = 0; t < TERMS; t++) {
		/* The timer's are among these. */
		if (t == RESENT)
			continue;
		EXPECT_TRUE(ledger_agrees(row->local, term_names[t],
					  expected.of[t], row->of[t], slack));
	}
	EXPECT_EQ(0, ledger_faults(ledger, slack));
	ledger_free(ledger);
	EXPECT_EQ(expected.sk_drops, lq_num(fd, "sk_drops"));
	ASSERT_TRUE(lq_ss(fd, &ss));
	EXPECT_EQ(expected.sk_drops, ss.drops);
	EXPECT_EQ(expected.listen_drops, lq_netstat("ListenDrops"));
}

#define CHECK(fd, ...) check(_metadata, fd, (struct figures){ __VA_ARGS__ })

/* ---- where nothing is lost ---- */

/* Its request answers each: tcp_check_req(). */
TEST_F(segments, the_same_syn_again)
{
	int fd = lq_listener_any(variant->family, 20);

	for (int i = 0; i < 5; i++)
		lq_send_syns(variant->family, lq_port(fd), 0, 1);
	CHECK(fd, .sk_drops = 4,
	      .of = { [SYNS] = 1, [REQUESTS] = 1, [SYNQ] = 1 });
}

/* A segment that a listener has no use for: tcp_rcv_state_process(). */
static void check_strays(struct __test_metadata *_metadata, int family,
			 int count, int flags)
{
	int fd = lq_listener_any(family, 20);

	for (int i = 0; i < count; i++)
		lq_send_segment(family, lq_port(fd), i, flags, i, 0);
	CHECK(fd, .sk_drops = count);
}

TEST_F(segments, a_stray_rst)
{
	check_strays(_metadata, variant->family, 7, LQ_RST);
}

TEST_F(segments, a_syn_with_fin)
{
	check_strays(_metadata, variant->family, 9, LQ_SYN | LQ_FIN);
}

TEST_F(segments, no_flags)
{
	check_strays(_metadata, variant->family, 11, 0);
}

/* One that is answered, by a RST, is not counted. */
TEST_F(segments, not_a_stray_ack)
{
	int fd = lq_listener_any(variant->family, 20);

	for (int i = 0; i < 5; i++)
		stranger_acks(variant->family, lq_port(fd), i, i);
	EXPECT_TRUE(lq_wait_until(lq_netstat("OutRsts") == 5));
	CHECK(fd, .sk_drops = 0);
}

/* The bare ACK of a healthy client, which the kernel is told to ignore. */
TEST_F(segments, tcp_defer_accept)
{
	const int count = 20, seconds = 60;
	int fd = lq_listener_any(variant->family, count);

	lq_set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds);
	for (int i = 0; i < count; i++) {
		int client = lq_connect(fd);

		lq_send_byte(client);
		EXPECT_TRUE(lq_wait_until(lq_num(fd, "acceptq") == i + 1));
	}
	lq_accept_many(fd, count);
	CHECK(fd, .sk_drops = count,
	      .of = { [SYNS] = count, [REQUESTS] = count, [FINISHED] = count,
		      [ACCEPTS] = count });
}

/* A client that thinks better of it. */
TEST_F(segments, the_rst_of_a_request)
{
	int fd = lq_listener_any(variant->family, 20);

	lq_send_syns(variant->family, lq_port(fd), 0, 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == 3));
	for (int i = 0; i < 3; i++)
		stranger_resets(variant->family, lq_port(fd), i);
	CHECK(fd, .sk_drops = 3,
	      .of = { [SYNS] = 3, [REQUESTS] = 3, [RESET] = 3 });
}

/* An ICMP error is no segment, and yet tcp_req_err() counts it in both. */
TEST_F(segments, an_icmp_error)
{
	enum unreachable fatal = variant->family == AF_INET ? HOST : PORT;
	int fd = lq_listener_any(variant->family, 20);
	int wire = wire_open();
	unsigned int isn;

	if (wire < 0)
		SKIP(return, NO_WIRE);
	lq_send_syns(variant->family, lq_port(fd), 0, 1);
	wire_synacks(wire, 0, 1, &isn);
	stranger_unreachable(variant->family, lq_port(fd), 0, isn, fatal);
	CHECK(fd, .sk_drops = 1, .listen_drops = 1,
	      .of = { [SYNS] = 1, [REQUESTS] = 1, [RESET] = 1 });
	close(wire);
}

/* ---- where something is ---- */

/* The kernel sees no SYN: tcp_filter(). */
TEST_F(segments, by_a_socket_filter)
{
	int fd = lq_listener_any(variant->family, 20);

	lq_hold_all(fd);
	lq_send_syns(variant->family, lq_port(fd), 0, 6);
	CHECK(fd, .sk_drops = 6);
}

/*
 * Two strangers have a SYN-ACK when the limit falls to 0; the first one's final
 * ACK is let in, the second one's ignored. -1: they can't be seen.
 */
static int refuse_final_ack(int family)
{
	int fd = lq_listener_any(family, 5), wire = wire_open();
	unsigned int isns[2];

	if (wire < 0)
		return -1;
	lq_send_syns(family, lq_port(fd), 0, 2);
	wire_synacks(wire, 0, 2, isns);
	close(wire);
	lq_listen(fd, 0);
	stranger_acks(family, lq_port(fd), 0, isns[0]);
	if (!lq_wait_until(lq_num(fd, "acceptq") == 1))
		errx(1, "no connection");
	stranger_acks(family, lq_port(fd), 1, isns[1]);
	return fd;
}

/* By tcp_v4_syn_recv_sock(), and again by its caller's caller. */
TEST_F(segments, a_final_ack_counts_twice)
{
	int fd = refuse_final_ack(variant->family);

	if (fd < 0)
		SKIP(return, NO_WIRE);
	CHECK(fd, .sk_drops = 2, .listen_drops = 1,
	      .of = { [SYNS] = 2, [REQUESTS] = 2, [FINISHED] = 1,
		      [OVERFLOWS] = 1, [OVERFLOWS_ACK] = 1, [SYNQ] = 1,
		      [ACCEPTQ] = 1 });
}

TEST_F(segments, that_of_a_cookie_once)
{
	int fd;

	lq_set_sysctl(COOKIES, 2);
	fd = refuse_final_ack(variant->family);
	if (fd < 0)
		SKIP(return, NO_WIRE);
	CHECK(fd, .sk_drops = 1, .listen_drops = 1,
	      .of = { [SYNS] = 2, [SYNCOOKIES] = 2, [COOKIES_FINISHED] = 1,
		      [OVERFLOWS] = 1, [OVERFLOWS_ACK] = 1, [ACCEPTQ] = 1 });
}

/* ---- tcp_abort_on_overflow ---- */

#define LIMIT		8
#define CLIENTS		12
#define REFUSED		(CLIENTS - (LIMIT + 1))

static int state_of(int client)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &len))
		err(1, "TCP_INFO");
	return info.tcpi_state;
}

static int error_of(int client)
{
	socklen_t len = sizeof(int);
	int error;

	if (getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len))
		err(1, "SO_ERROR");
	return error;
}

/*
 * Clients at once, who believe that they are connected when their SYNs were
 * answered: the first ones by the SYN queue, which has room for LIMIT or one
 * more, those after them by a cookie. None is in the accept queue yet.
 */
static int connect_at_once(struct __test_metadata *_metadata, int family,
			   int *clients)
{
	int fd = lq_listener_any(family, LIMIT);

	lq_set_sysctl("ipv4/tcp_abort_on_overflow", 1);
	lq_set_sysctl(COOKIES, 1);
	lq_hold_acks(fd);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = lq_connect(fd);
	lq_pass_acks(fd);
	EXPECT_LE(LIMIT, lq_num(fd, "synq"));
	EXPECT_EQ(CLIENTS, lq_num(fd, "synq") + lq_num(fd, "syncookies"));
	EXPECT_LE(REFUSED, lq_num(fd, "syncookies"));
	return fd;
}

/* Those with a cookie come last: nobody tells them that there is no room. */
TEST_F(segments, a_refused_cookie_is_not_reset)
{
	int clients[CLIENTS];
	int fd = connect_at_once(_metadata, variant->family, clients);

	for (int i = 0; i < CLIENTS; i++)
		lq_send_byte(clients[i]);
	/* Each has tried again and again. */
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "overflows_ack") >= 3 * REFUSED));
	EXPECT_EQ(LIMIT + 1, lq_num(fd, "acceptq"));
	EXPECT_EQ(0, lq_num(fd, "synq"));
	for (int i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(TCP_ESTABLISHED, state_of(clients[i]));
		EXPECT_EQ(0, error_of(clients[i]));
	}
	EXPECT_EQ(0, lq_netstat("EmbryonicRsts"));
	EXPECT_EQ(0, lq_netstat("OutRsts"));
	lq_close_all(clients, CLIENTS);
}

/* They come first, and who has a request is told. */
TEST_F(segments, a_refused_request_is_reset)
{
	int clients[CLIENTS];
	int fd = connect_at_once(_metadata, variant->family, clients);

	for (int i = CLIENTS - 1; i >= 0; i--)
		lq_send_byte(clients[i]);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "synq") == 0));
	EXPECT_EQ(LIMIT + 1, lq_num(fd, "acceptq"));
	EXPECT_EQ(REFUSED, lq_num(fd, "overflows_ack"));
	EXPECT_EQ(REFUSED, lq_netstat("EmbryonicRsts"));
	for (int i = 0; i < CLIENTS; i++) {
		bool refused = i < REFUSED;

		EXPECT_EQ(refused ? TCP_CLOSE : TCP_ESTABLISHED,
			  state_of(clients[i]));
		EXPECT_EQ(refused ? ECONNRESET : 0, error_of(clients[i]));
	}
	EXPECT_EQ(0, ledger_check(lq_missed() - missed_before));
	lq_close_all(clients, CLIENTS);
}

TEST_HARNESS_MAIN
