// SPDX-License-Identifier: GPL-2.0-only
/* Traffic of every kernel, by both families; cases.h says what for. */

#define _GNU_SOURCE
#include <netinet/tcp.h>

#include "kselftest.h"
#include "cases.h"
#include "strangers.h"

static const char *healthy(struct world *w)
{
	int fd = world_listener(w, 20);

	world_clients(w, fd, 20);
	lq_accept_many(fd, 10);
	did_requests(w, 20);
	did(w, FINISHED, 20);
	did(w, ACCEPTS, 10);
	world_expects(w, fd, ACCEPTQ, 10);
	world_expects(w, fd, RESENT, 0);
	return NULL;
}

/* By the setting that is all there is, and by what a program may set. */
static const char *expired(struct world *w)
{
	int brief = world_listener(w, 50), once = world_listener(w, 50);
	long long timers = lq_hook("reqsk_timer_handler", "hits");

	lq_set_sysctl("ipv4/tcp_synack_retries", 0);
	lq_set_option(once, IPPROTO_TCP, TCP_SYNCNT, 1);
	world_syns(w, brief, 7);
	world_syns(w, once, 5);
	must_come(lq_num(brief, "syns") == 7 && lq_num(once, "syns") == 5);
	must_come(lq_num(brief, "synq") == 0);
	must_come(lq_num(once, "synq") == 0);
	/* One for each request, and another one for each that is sent again. */
	must(lq_hook("reqsk_timer_handler", "hits") >= timers + 7 + 2 * 5);
	did_requests(w, 12);
	did(w, EXPIRED, 12);
	world_expects(w, brief, EXPIRED, 7);
	world_expects(w, brief, RESENT, 0);
	world_expects(w, once, RESENT, 5);
	return NULL;
}

/* The SYN-ACK's way is gone: what could not be sent was not resent. */
static const char *expired_unsent(struct world *w)
{
	int fd = world_listener(w, 50);
	long long resent;

	world_syns(w, fd, 6);
	must_come(lq_num(fd, "synq") == 6);
	lq_dummy_routes(false);
	resent = lq_netstat("TCPSynRetrans");
	must_come(lq_num(fd, "synq") == 0);
	lq_dummy_routes(true);
	did_requests(w, 6);
	did(w, EXPIRED, 6);
	must(lq_netstat("TCPSynRetrans") == resent);
	return NULL;
}

static const char *same_syn_again(struct world *w)
{
	int fd = world_listener(w, 20), first;
	long long resent = lq_netstat("TCPSynRetrans");

	lq_set_sysctl("ipv4/tcp_invalid_ratelimit", 0);
	first = world_syns(w, fd, 3);
	must_come(lq_num(fd, "synq") == 3);
	for (int i = 0; i < 4; i++)
		lq_send_syns(w->client, lq_port(fd), first, 3);
	must_come(lq_netstat("TCPSynRetrans") >= resent + 12);
	did_requests(w, 3);
	world_expects(w, fd, SYNS, 3);
	world_expects(w, fd, SYNQ, 3);
	return NULL;
}

/* A client's RST, and a SYN where there should be none. */
static const char *reset_by_client(struct world *w)
{
	int fd = world_listener(w, 20), first = world_syns(w, fd, 5);

	must_come(lq_num(fd, "synq") == 5);
	for (int i = first; i < first + 3; i++)
		stranger_resets(w->client, lq_port(fd), i);
	lq_send_segment(w->client, lq_port(fd), first + 3, LQ_SYN, first + 50, 0);
	must_come(lq_num(fd, "synq") == 1);
	did_requests(w, 5);
	did(w, RESET, 4);
	world_expects(w, fd, RESET, 4);
	return NULL;
}

/* One error of each family ends a request, the other one changes nothing. */
static const char *reset_by_icmp(struct world *w)
{
	enum unreachable fatal = w->client == AF_INET ? HOST : PORT;
	unsigned int isns[6];
	int fd, first;

	if (w->wire < 0)
		return NO_WIRE;
	fd = world_listener(w, 20);
	first = world_strangers(w, fd, 6, isns);
	for (int i = 0; i < 4; i++)
		stranger_unreachable(w->client, lq_port(fd), first + i, isns[i],
				     i < 2 ? HOST + PORT - fatal : fatal);
	/* Of a segment that was never sent. */
	stranger_unreachable(w->client, lq_port(fd), first + 4, isns[4] + 1,
			     fatal);
	must_come(lq_num(fd, "synq") == 4);
	did_requests(w, 6);
	did(w, RESET, 2);
	w->other_resets += 2;
	world_expects(w, fd, RESET, 2);
	return NULL;
}

static const char *reset_by_ss(struct world *w)
{
	int fd = world_listener(w, 20);
	char command[128];
	long long left;

	world_syns(w, fd, 5);
	must_come(lq_num(fd, "synq") == 5);
	snprintf(command, sizeof(command),
		 "ss -K state syn-recv sport = :%d >/dev/null 2>&1", lq_port(fd));
	lq_run(command);
	left = lq_ss_syn_recv(lq_port(fd));
	did_requests(w, 5);
	did(w, RESET, 5 - left);
	w->other_resets += 5 - left;
	world_expects(w, fd, SYNQ, left);
	return left ? "the kernel lets nobody end a request" : NULL;
}

/* Clients whose final ACKs come when there is room for one of them. */
static int held_clients(struct world *w, int count)
{
	int fd = world_listener(w, 20);

	lq_hold_acks(fd);
	for (int i = 0; i < count; i++)
		world_client(w, fd);
	must(lq_num(fd, "acceptq") == 0);
	did_requests(w, count);
	lq_listen(fd, 0);
	lq_pass_acks(fd);
	for (int i = w->client_count - count; i < w->client_count; i++)
		lq_send_byte(w->clients[i]);
	return fd;
}

static const char *reset_by_overflow(struct world *w)
{
	int fd;

	lq_set_sysctl("ipv4/tcp_abort_on_overflow", 1);
	fd = held_clients(w, 4);
	must_come(lq_num(fd, "acceptq") == 1 && lq_num(fd, "synq") == 0);
	did(w, FINISHED, 1);
	did(w, RESET, 3);
	did(w, OVERFLOWS, 3);
	did(w, OVERFLOWS_ACK, 3);
	world_expects(w, fd, RESET, 3);
	return NULL;
}

/* Each goes on trying, and is counted each time, until there is room. */
static const char *overflow_on_ack(struct world *w)
{
	long long before = lq_netstat("ListenOverflows"), overflows;
	int fd = held_clients(w, 4);

	must_come(lq_netstat("ListenOverflows") >= before + 4);
	lq_listen(fd, 20);
	must_come(lq_num(fd, "acceptq") == 4);
	overflows = lq_netstat("ListenOverflows") - before;
	did(w, FINISHED, 4);
	did(w, OVERFLOWS, overflows);
	did(w, OVERFLOWS_ACK, overflows);
	world_expects(w, fd, OVERFLOWS_ACK, overflows);
	return NULL;
}

/* What a stranger sends once is counted once. */
static const char *overflow_on_one_ack(struct world *w)
{
	unsigned int isns[5];
	int fd, first;

	if (w->wire < 0)
		return NO_WIRE;
	fd = world_listener(w, 1);
	world_clients(w, fd, 1);
	first = world_strangers(w, fd, 2, isns);
	stranger_acks(w->client, lq_port(fd), first, isns[0]);
	must_come(lq_num(fd, "acceptq") == 2);
	stranger_acks(w->client, lq_port(fd), first + 1, isns[1]);
	must_come(lq_num(fd, "overflows") == 1);
	did_requests(w, 3);
	did(w, FINISHED, 2);
	did(w, OVERFLOWS, 1);
	did(w, OVERFLOWS_ACK, 1);
	world_expects(w, fd, SYNQ, 1);
	return NULL;
}

static const char *overflow_on_syn(struct world *w)
{
	int fd = world_listener(w, 1);

	world_clients(w, fd, 2);
	world_syns(w, fd, 9);
	must_come(lq_num(fd, "sk_drops") == 9);
	did_requests(w, 2);
	did(w, FINISHED, 2);
	did(w, SYNS, 9);
	did(w, OVERFLOWS, 9);
	world_expects(w, fd, OVERFLOWS, 9);
	world_expects(w, fd, OVERFLOWS_ACK, 0);
	return NULL;
}

/* More than the SYN queue holds, which kernels differ by one in. */
static void synq_full(struct world *w, int cookies, enum term rest)
{
	int fd = world_listener(w, 3), inside;

	try_sysctl("ipv4/tcp_syncookies", cookies);
	world_syns(w, fd, 10);
	must_come(lq_num(fd, "syns") == 10);
	inside = lq_ss_syn_recv(lq_port(fd));
	did_requests(w, inside);
	did(w, SYNS, 10 - inside);
	did(w, rest, 10 - inside);
	world_expects(w, fd, SYNQ, inside);
	world_expects(w, fd, rest, 10 - inside);
}

static const char *synq_full_without_cookies(struct world *w)
{
	synq_full(w, 0, SYNQ_DROPS);
	return NULL;
}

static const char *synq_full_with_cookies(struct world *w)
{
	if (!has_sysctl("ipv4/tcp_syncookies"))
		return "the kernel has no SYN cookies";
	synq_full(w, 1, SYNCOOKIES);
	return NULL;
}

/* Without cookies the last quarter is kept for who is known. */
static const char *reserved_quarter(struct world *w)
{
	int fd = world_listener(w, 256), inside;

	try_sysctl("ipv4/tcp_syncookies", 0);
	lq_set_sysctl("ipv4/tcp_max_syn_backlog", 64);
	world_syns(w, fd, 200);
	must_come(lq_num(fd, "syns") == 200);
	inside = lq_ss_syn_recv(lq_port(fd));
	must(inside == 49);
	did_requests(w, inside);
	did(w, SYNS, 200 - inside);
	did(w, SYNQ_RESERVED, 200 - inside);
	world_expects(w, fd, SYNQ_RESERVED, 151);
	world_expects(w, fd, SYNQ_DROPS, 0);
	return NULL;
}

/* Some are right, some are not, and for some there is no room. */
static const char *cookies_right_and_wrong(struct world *w)
{
	unsigned int isns[8];
	int fd, first;

	if (!has_sysctl("ipv4/tcp_syncookies"))
		return "the kernel has no SYN cookies";
	if (w->wire < 0)
		return NO_WIRE;
	lq_set_sysctl("ipv4/tcp_syncookies", 2);
	fd = world_listener(w, 3);
	first = world_strangers(w, fd, 8, isns);
	for (int i = 0; i < 4; i++)
		stranger_acks(w->client, lq_port(fd), first + i, isns[i]);
	must_come(lq_num(fd, "acceptq") == 4);
	for (int i = 4; i < 6; i++)
		stranger_acks(w->client, lq_port(fd), first + i, isns[i]);
	for (int i = 6; i < 8; i++)
		stranger_acks(w->client, lq_port(fd), first + i,
			      isns[i] + 0x12345678);
	must_come(lq_num(fd, "overflows") == 2);
	did(w, SYNS, 8);
	did(w, SYNCOOKIES, 8);
	did(w, COOKIES_FINISHED, 4);
	did(w, COOKIES_FAILED, 2);
	did(w, OVERFLOWS, 2);
	did(w, OVERFLOWS_ACK, 2);
	w->cookies_refused += 2;
	world_expects(w, fd, COOKIES_FINISHED, 4);
	world_expects(w, fd, COOKIES_FAILED, 2);
	world_expects(w, fd, FINISHED, 0);
	return NULL;
}

static const char *clients_with_cookies(struct world *w)
{
	int fd = world_listener(w, 20);

	if (!has_sysctl("ipv4/tcp_syncookies"))
		return "the kernel has no SYN cookies";
	lq_set_sysctl("ipv4/tcp_syncookies", 2);
	world_clients(w, fd, 6);
	lq_accept_many(fd, 2);
	did(w, SYNS, 6);
	did(w, SYNCOOKIES, 6);
	did(w, COOKIES_FINISHED, 6);
	did(w, ACCEPTS, 2);
	return NULL;
}

/* A bare ACK leaves a request where it is; the first data ends it. */
static const char *deferred(struct world *w)
{
	int fd = world_listener(w, 20);
	long long before = lq_netstat("TCPDeferAcceptDrop");

	lq_set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
	for (int i = 0; i < 4; i++)
		world_client(w, fd);
	must_come(lq_netstat("TCPDeferAcceptDrop") >= before + 4);
	did_requests(w, 4);
	world_expects(w, fd, SYNQ, 4);
	world_expects(w, fd, FINISHED, 0);
	for (int i = w->client_count - 4; i < w->client_count - 1; i++)
		lq_send_byte(w->clients[i]);
	must_come(lq_num(fd, "acceptq") == 3);
	did(w, FINISHED, 3);
	return NULL;
}

static const char *without_a_route(struct world *w)
{
	int fd = world_listener(w, 20);

	/* A request that is given a cookie would be counted as that. */
	lq_dummy_routes(false);
	world_syns(w, fd, 6);
	must_come(lq_num(fd, "sk_drops") == 6);
	lq_dummy_routes(true);
	did(w, SYNS, 6);
	did(w, FAILED, 6);
	world_expects(w, fd, FAILED, 6);
	return NULL;
}

/* What a socket's own filter drops, the listener never saw. */
static const char *filtered(struct world *w)
{
	int fd = world_listener(w, 20);

	lq_hold_all(fd);
	world_syns(w, fd, 5);
	must_come(lq_num(fd, "sk_drops") >= 5);
	lq_pass_acks(fd);
	world_syns(w, fd, 2);
	must_come(lq_num(fd, "synq") == 2);
	did_requests(w, 2);
	world_expects(w, fd, SYNS, 2);
	return NULL;
}

/* What the kernel counts of a client's own SYNs as it does of SYN-ACKs. */
static long long resent_by(int client)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(client, SOL_TCP, TCP_INFO, &info, &len))
		err(1, "TCP_INFO");
	return info.tcpi_total_retrans;
}

/* The socket that it takes over is no reason to count it otherwise. */
static const char *time_wait(struct world *w)
{
	struct lq_addr any = lq_addr(w->client, lq_loopback(w->client), 0);
	int fd = world_listener(w, 20), old, new;
	struct lq_addr here, addr = world_addr(w, fd);
	char byte;

	old = world_socket(w, 0);
	lq_set_option(old, SOL_SOCKET, SO_REUSEADDR, 1);
	must(!bind(old, &any.sa, any.len));
	here = lq_name(old);
	must(!connect(old, &addr.sa, addr.len));
	lq_accept(fd);
	must(!read(old, &byte, 1));
	close(old);
	w->client_count--;

	new = world_socket(w, 0);
	lq_set_option(new, SOL_SOCKET, SO_REUSEADDR, 1);
	must(!bind(new, &here.sa, here.len));
	must(!connect(new, &addr.sa, addr.len));
	must_come(lq_num(fd, "acceptq") == 1);
	w->clients_resent += resent_by(new);
	did_requests(w, 2);
	did(w, FINISHED, 2);
	did(w, ACCEPTS, 1);
	return NULL;
}

/* Who leaves before it was accepted is accepted all the same. */
static const char *left_while_waiting(struct world *w)
{
	int fd = world_listener(w, 20);

	world_clients(w, fd, 5);
	lq_abort(w->clients[--w->client_count]);
	close(w->clients[--w->client_count]);
	lq_accept_many(fd, 5);
	did_requests(w, 5);
	did(w, FINISHED, 5);
	did(w, ACCEPTS, 5);
	return NULL;
}

/* The first life's requests are in the SYN queue of the second. */
static const char *listening_again(struct world *w)
{
	int fd = world_listener(w, 20);

	world_clients(w, fd, 3);
	world_syns(w, fd, 4);
	must_come(lq_num(fd, "synq") == 4);
	lq_end_listening(fd);
	lq_listen(fd, 20);
	did_requests(w, 7);
	did(w, FINISHED, 3);
	did(w, UNACCEPTED, 3);
	did(w, ABANDONED, 4);
	did(w, CARRIED_REQUESTS, lq_num(fd, "synq"));
	world_clients(w, fd, 1);
	did_requests(w, 1);
	did(w, FINISHED, 1);
	world_expects(w, fd, FINISHED, 1);
	return NULL;
}

const struct books_case plain_cases[] = {
	{ "healthy", healthy },
	{ "expired", expired },
	{ "expired_unsent", expired_unsent },
	{ "same_syn_again", same_syn_again },
	{ "reset_by_client", reset_by_client },
	{ "reset_by_icmp", reset_by_icmp },
	{ "reset_by_ss", reset_by_ss },
	{ "reset_by_overflow", reset_by_overflow },
	{ "overflow_on_ack", overflow_on_ack },
	{ "overflow_on_one_ack", overflow_on_one_ack },
	{ "overflow_on_syn", overflow_on_syn },
	{ "synq_full_without_cookies", synq_full_without_cookies },
	{ "synq_full_with_cookies", synq_full_with_cookies },
	{ "reserved_quarter", reserved_quarter },
	{ "cookies_right_and_wrong", cookies_right_and_wrong },
	{ "clients_with_cookies", clients_with_cookies },
	{ "deferred", deferred },
	{ "without_a_route", without_a_route },
	{ "filtered", filtered },
	{ "time_wait", time_wait },
	{ "left_while_waiting", left_while_waiting },
	{ "listening_again", listening_again },
};

const int plain_count = ARRAY_SIZE(plain_cases);
