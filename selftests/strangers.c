// SPDX-License-Identifier: GPL-2.0-only
/* Clients that are nobody's sockets; strangers.h says what for. */

#define _GNU_SOURCE
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>

#include "listenq.h"
#include "strangers.h"

int wire_open(void)
{
	struct sockaddr_ll dummy = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(LQ_DUMMY),
	};
	/* Without the frame's header; nothing comes before it is bound. */
	int wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int room = 8 << 20;

	if (wire < 0) {
		if (errno == EAFNOSUPPORT)
			return -1;
		err(1, "a packet socket");
	}
	if (bind(wire, (void *)&dummy, sizeof(dummy)) ||
	    setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		err(1, "a packet socket at " LQ_DUMMY);
	return wire;
}

/* The TCP header of a packet that long; NULL where it has none. */
static const struct tcphdr *header_of(const char *packet, ssize_t len)
{
	const struct iphdr *ip = (const void *)packet;
	const struct ip6_hdr *ip6 = (const void *)packet;
	ssize_t size = sizeof(*ip);
	int protocol = ip->protocol;

	if (len > 0 && ip->version == 6) {
		size = sizeof(*ip6);
		protocol = ip6->ip6_nxt;
	}
	if (len < size + (ssize_t)sizeof(struct tcphdr) ||
	    protocol != IPPROTO_TCP)
		return NULL;
	return (const void *)(packet + size);
}

/* Who has sent which SYN is told by its number, which the answer repeats. */
bool wire_synack(int wire, int ms, struct synack *synack)
{
	struct pollfd more = { .fd = wire, .events = POLLIN };
	const struct tcphdr *th;
	char packet[256];
	ssize_t len;

	while (poll(&more, 1, ms) == 1) {
		len = recv(wire, packet, sizeof(packet), 0);
		if (len < 0)
			err(1, "what leaves by " LQ_DUMMY);
		th = header_of(packet, len);
		if (!th || !th->syn || !th->ack)
			continue;
		synack->port = ntohs(th->source);
		synack->source = ntohl(th->ack_seq) - 1;
		synack->isn = ntohl(th->seq);
		return true;
	}
	return false;
}

void wire_synacks(int wire, int first, int count, unsigned int *isns)
{
	bool *seen = calloc(count, sizeof(*seen));
	struct synack synack;
	int left = count;

	while (left) {
		int i;

		if (!wire_synack(wire, 60000, &synack))
			errx(1, "%d of %d SYN-ACKs don't come", left, count);
		i = synack.source - first;
		if (i < 0 || i >= count || seen[i])
			continue;
		isns[i] = synack.isn;
		seen[i] = true;
		left--;
	}
	free(seen);
}

const char *stranger_name(int server, int client, int i)
{
	struct lq_addr addr = lq_dummy_source(client, i);
	const char *name = lq_endpoint(&addr);
	const char *port = strrchr(name, ':');
	static char mapped[80];

	if (server == client)
		return name;
	snprintf(mapped, sizeof(mapped), "[::ffff:%.*s]%s",
		 (int)(port - name), name, port);
	return mapped;
}

static char last_name[80];

void turn_away_strangers(int fd, int family, int count)
{
	static int first;
	long long overflows = lq_num(fd, "overflows");

	lq_send_syns(family, lq_port(fd), first, count);
	first += count;
	strcpy(last_name, stranger_name(lq_name(fd).ss.ss_family, family,
					first - 1));
	lq_wait_until(lq_num(fd, "overflows") >= overflows + count);
	overflows = lq_num(fd, "overflows") - overflows;
	if (overflows != count)
		errx(1, "%lld overflows of %d SYNs", overflows, count);
}

const char *last_turned_away(void)
{
	return last_name;
}

void stranger_acks(int family, int port, int i, unsigned int isn)
{
	lq_send_segment(family, port, i, LQ_ACK, i + 1, isn + 1);
}

void stranger_resets(int family, int port, int i)
{
	lq_send_segment(family, port, i, LQ_RST, i + 1, 0);
}

static unsigned short icmp_check(const void *data, size_t len)
{
	const unsigned short *p = data;
	unsigned int sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What an error quotes of the SYN-ACK behind its IP header. */
struct quote {
	in_port_t from;
	in_port_t to;
	unsigned int seq;
};

static void send_error(int family, int protocol, const void *error, size_t len)
{
	struct lq_addr here = lq_dummy_addr(family);
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0 ||
	    sendto(fd, error, len, 0, &here.sa, here.len) != (ssize_t)len)
		err(1, "an ICMP error");
	close(fd);
}

static void unreachable4(struct quote quote, int i, int code)
{
	struct lq_addr to = lq_dummy_source(AF_INET, i);
	struct lq_addr here = lq_dummy_addr(AF_INET);
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct quote quote;
	} error = {
		.icmp = { .type = ICMP_DEST_UNREACH, .code = code },
		.ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = IPPROTO_TCP,
			.saddr = ((struct sockaddr_in *)&here.ss)->sin_addr.s_addr,
			.daddr = ((struct sockaddr_in *)&to.ss)->sin_addr.s_addr,
		},
		.quote = quote,
	};

	error.icmp.checksum = icmp_check(&error, sizeof(error));
	send_error(AF_INET, IPPROTO_ICMP, &error, sizeof(error));
}

/* The kernel makes the checksum. */
static void unreachable6(struct quote quote, int i, int code)
{
	struct lq_addr to = lq_dummy_source(AF_INET6, i);
	struct lq_addr here = lq_dummy_addr(AF_INET6);
	struct {
		struct icmp6_hdr icmp;
		struct ip6_hdr ip6;
		struct quote quote;
	} error = {
		.icmp = { .icmp6_type = ICMP6_DST_UNREACH, .icmp6_code = code },
		.ip6 = {
			.ip6_plen = htons(sizeof(struct tcphdr)),
			.ip6_nxt = IPPROTO_TCP, .ip6_hlim = 64,
			.ip6_src = ((struct sockaddr_in6 *)&here.ss)->sin6_addr,
			.ip6_dst = ((struct sockaddr_in6 *)&to.ss)->sin6_addr,
		},
		.quote = quote,
	};

	error.ip6.ip6_vfc = 6 << 4;
	send_error(AF_INET6, IPPROTO_ICMPV6, &error, sizeof(error));
}

void stranger_unreachable(int family, int port, int i, unsigned int isn,
			  enum unreachable what)
{
	struct lq_addr to = lq_dummy_source(family, i);
	struct quote quote = {
		.from = htons(port), .seq = htonl(isn),
		.to = ((struct sockaddr_in *)&to.ss)->sin_port,
	};

	if (family == AF_INET)
		unreachable4(quote, i, what == HOST ? ICMP_HOST_UNREACH :
						      ICMP_PORT_UNREACH);
	else
		unreachable6(quote, i, what == HOST ? ICMP6_DST_UNREACH_ADDR :
						      ICMP6_DST_UNREACH_NOPORT);
}
