// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel drops that has reached a listener, by its own reasons.
 *
 * Held against the socket's own count of drops, which has all of it.
 */

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/tcp.h>

#include "kselftest_harness.h"
#include "listenq.h"

LQ_FIXTURE_FAMILIES(drops, lq_dummy_up());

/* Since 6.11 the kernel tells which socket it drops something of. */
static bool told(void)
{
	return !lq_kernel_before(6, 11);
}

/* How often a listener has dropped something for a reason; -1: no such row. */
static long long drops_of(int fd, const char *reason)
{
	struct lq_table *table = lq_read(LQ_DROPS);
	const char *cookie = lq_cookie_str(fd);
	long long count = -1;

	for (int i = 0; i < table->nrows; i++)
		if (!strcmp(lq_cell(table, i, "cookie"), cookie) &&
		    !strcmp(lq_cell(table, i, "reason"), reason))
			count = lq_cell_num(table, i, "count");
	lq_free(table);
	return count;
}

/* All of a listener's rows. */
static int reasons_of(int fd)
{
	struct lq_table *table = lq_read(LQ_DROPS);
	const char *cookie = lq_cookie_str(fd);
	int rows = 0;

	for (int i = 0; i < table->nrows; i++)
		rows += !strcmp(lq_cell(table, i, "cookie"), cookie);
	lq_free(table);
	return rows;
}

/* That @count segments were dropped for @reason, the only ones. */
static void check(struct __test_metadata *_metadata, int fd,
		  const char *reason, int count)
{
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") >= count));
	EXPECT_EQ(count, lq_num(fd, "sk_drops"));
	EXPECT_EQ(0, lq_num(fd, "syns"));
	EXPECT_EQ(1, reasons_of(fd));
	EXPECT_EQ(count, drops_of(fd, reason)) {
		TH_LOG("%s", reason);
	}
}

#define CHECK(fd, reason, count)	check(_metadata, fd, reason, count)

static void need_reasons(void)
{
	if (!told())
		lq_skip("the kernel does not tell whose a drop is");
}

/* A filter that wants nothing. */
TEST_F(drops, socket_filter)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { 1, &nothing };
	int fd = lq_listener_any(variant->family, 20);

	need_reasons();
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
		       sizeof(filter)))
		err(1, "a filter");
	lq_send_syns(variant->family, lq_port(fd), 0, 20);
	CHECK(fd, "SOCKET_FILTER", 20);
}

/* What has come from too far. */
TEST_F(drops, minimum_ttl)
{
	int fd = lq_listener_any(variant->family, 20);

	need_reasons();
	if (variant->family == AF_INET)
		lq_set_option(fd, IPPROTO_IP, IP_MINTTL, 255);
	else
		lq_set_option(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, 255);
	lq_send_syns(variant->family, lq_port(fd), 0, 7);
	CHECK(fd, "TCP_MINTTL", 7);
}

/* A peer that has to sign what it sends, and doesn't. */
TEST_F(drops, no_signature)
{
	int fd = lq_listener_any(variant->family, 20);
	struct tcp_md5sig key = {
		.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX,
		.tcpm_keylen = 3, .tcpm_key = "key",
	};

	need_reasons();
	key.tcpm_addr.ss_family = variant->family;
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &key, sizeof(key)))
		lq_skip("no TCP-MD5");
	lq_send_syns(variant->family, lq_port(fd), 0, 5);
	CHECK(fd, "TCP_MD5NOTFOUND", 5);
}

/* Nobody has lost anything by these, and the reason tells. */
TEST_F(drops, no_syn)
{
	int fd = lq_listener_any(variant->family, 20);

	need_reasons();
	for (int i = 0; i < 9; i++)
		lq_send_segment(variant->family, lq_port(fd), i,
				LQ_SYN | LQ_FIN, i, 0);
	CHECK(fd, "TCP_FLAGS", 9);
}

/* What anybody can send takes no other reason's count. */
TEST_F(drops, noise_comes_first)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { 1, &nothing };
	int fd = lq_listener_any(AF_INET, 20), port = lq_port(fd);
	struct tcp_md5sig key = {
		.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX,
		.tcpm_keylen = 3, .tcpm_key = "key",
		.tcpm_addr.ss_family = AF_INET,
	};

	need_reasons();
	lq_send_syns(AF_INET, port, 9, 1);
	lq_send_syns(AF_INET, port, 9, 1);
	lq_send_segment(AF_INET, port, 0, LQ_SYN | LQ_FIN, 0, 0);
	lq_send_segment(AF_INET, port, 0, LQ_RST, 0, 0);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 3));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
		       sizeof(filter)))
		err(1, "a filter");
	lq_send_syns(AF_INET, port, 0, 3);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 6));
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &key, sizeof(key)))
		lq_skip("no TCP-MD5");
	lq_send_syns(AF_INET, port, 0, 4);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 10));
	lq_set_option(fd, IPPROTO_IP, IP_MINTTL, 255);
	lq_send_syns(AF_INET, port, 0, 5);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 15));
	EXPECT_EQ(1, drops_of(fd, "NOT_SPECIFIED"));
	EXPECT_EQ(1, drops_of(fd, "TCP_FLAGS"));
	EXPECT_EQ(1, drops_of(fd, "TCP_RESET"));
	EXPECT_EQ(3, drops_of(fd, "SOCKET_FILTER"));
	EXPECT_EQ(4, drops_of(fd, "TCP_MD5NOTFOUND"));
	EXPECT_EQ(5, drops_of(fd, "TCP_MINTTL"));
	EXPECT_EQ(6, reasons_of(fd));
}

/* Neither of healthy connections nor of what is turned away. */
TEST_F(drops, none_of_syns)
{
	int fd = lq_listener(variant->family, 0), client = lq_enqueue(fd);

	need_reasons();
	lq_send_syns(variant->family, lq_port(fd), 0, 3);
	lq_accept(fd);
	close(client);
	EXPECT_EQ(0, reasons_of(fd));
}

/* A listener that begins anew has none, and nobody has another's. */
TEST_F(drops, each_listener_has_its_own)
{
	int fd = lq_listener_any(variant->family, 20);
	int other = lq_listener_any(variant->family, 20);

	need_reasons();
	lq_send_segment(variant->family, lq_port(fd), 0, LQ_SYN | LQ_FIN, 0, 0);
	EXPECT_TRUE(lq_wait_until(drops_of(fd, "TCP_FLAGS") == 1));
	EXPECT_EQ(0, reasons_of(other));
	lq_end_listening(fd);
	lq_listen(fd, 20);
	EXPECT_EQ(0, reasons_of(fd));
}

/* A listener, and that nothing is known of it. */
TEST_F(drops, not_told)
{
	int fd = lq_listener_any(variant->family, 20);

	if (told())
		lq_skip("the kernel tells whose a drop is");
	lq_send_segment(variant->family, lq_port(fd), 0, LQ_SYN | LQ_FIN, 0, 0);
	EXPECT_TRUE(lq_wait_until(lq_num(fd, "sk_drops") == 1));
	EXPECT_EQ(1, reasons_of(fd));
	EXPECT_EQ(-1, drops_of(fd, "TCP_FLAGS"));
}

TEST_HARNESS_MAIN
