/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses and ports: where somebody listens, and who comes. */
#ifndef LISTENQ_ENDPOINT_H
#define LISTENQ_ENDPOINT_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <net/ipv6.h>
#include <net/sock.h>

/**
 * struct endpoint - an address and a port
 * @address: the address of its family
 * @family: AF_INET or AF_INET6; 0: it is not known
 * @port: in host order
 */
struct endpoint {
	union {
		__be32 ip;
		struct in6_addr ip6;
	} address;
	u16 family;
	u16 port;
};

/**
 * listener_endpoint() - where a socket listens
 * @sk: the socket
 * @local: where to write it, all of it, so that two can be compared as bytes; of
 *	AF_UNIX, which has no port, the family alone
 *
 * Context: any.
 */
static inline void listener_endpoint(const struct sock *sk,
				     struct endpoint *local)
{
	memset(local, 0, sizeof(*local));
	local->family = sk->sk_family;
	if (sk->sk_family == AF_UNIX)
		return;
	local->port = sk->sk_num;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		local->address.ip6 = sk->sk_v6_rcv_saddr;
		return;
	}
#endif
	local->address.ip = sk->sk_rcv_saddr;
}

/**
 * client_endpoint() - who is at the other end
 * @sk: a connection, or req_to_sk() of a request: they have this in common
 * @client: where to write it. Of IPv4 at a socket of IPv6 the kernel keeps the
 *	mapped address as well (include/net/inet_hashtables.h, sk_daddr_set()).
 *
 * Context: any.
 */
static inline void client_endpoint(const struct sock *sk,
				   struct endpoint *client)
{
	client->family = sk->sk_family;
	client->port = ntohs(sk->sk_dport);
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		client->address.ip6 = sk->sk_v6_daddr;
		return;
	}
#endif
	client->address.ip = sk->sk_daddr;
}

/**
 * sender_endpoint() - who has sent a segment
 * @sk: the listener that gets it
 * @skb: the segment
 * @client: where to write it, as client_endpoint() does
 *
 * Context: any.
 */
static inline void sender_endpoint(const struct sock *sk,
				   const struct sk_buff *skb,
				   struct endpoint *client)
{
	client->family = sk->sk_family;
	client->port = ntohs(tcp_hdr(skb)->source);
#if IS_ENABLED(CONFIG_IPV6)
	if (skb->protocol == htons(ETH_P_IPV6))
		client->address.ip6 = ipv6_hdr(skb)->saddr;
	else if (sk->sk_family == AF_INET6)
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr,
				       &client->address.ip6);
	else
#endif
		client->address.ip = ip_hdr(skb)->saddr;
}

/**
 * endpoint_address() - the same as a socket address, as it is printed
 * @endpoint: an address and a port
 * @address: where to write it; in case of IPv4 a struct sockaddr_in
 *
 * Context: any.
 */
static inline void endpoint_address(const struct endpoint *endpoint,
				    struct sockaddr_in6 *address)
{
	struct sockaddr_in *address4 = (struct sockaddr_in *)address;

	memset(address, 0, sizeof(*address));
	address->sin6_family = endpoint->family;
	address->sin6_port = htons(endpoint->port);	/* sin_port is there too */
	if (endpoint->family == AF_INET6)
		address->sin6_addr = endpoint->address.ip6;
	else
		address4->sin_addr.s_addr = endpoint->address.ip;
}

/**
 * endpoint_mapped() - the address in the form of IPv6, whatever its family
 * @endpoint: an address and a port
 * @address: where to write it; one that is not known is ::ffff:0.0.0.0
 *
 * Context: any.
 */
static inline void endpoint_mapped(const struct endpoint *endpoint,
				   struct in6_addr *address)
{
	if (endpoint->family == AF_INET6)
		*address = endpoint->address.ip6;
	else
		ipv6_addr_set_v4mapped(endpoint->address.ip, address);
}

/**
 * listener_local() - where a socket listens, as a socket address
 * @sk: the socket
 * @local: where to write it; in case of IPv4 a struct sockaddr_in
 *
 * Context: any.
 */
static inline void listener_local(const struct sock *sk,
				  struct sockaddr_in6 *local)
{
	struct endpoint place;

	listener_endpoint(sk, &place);
	endpoint_address(&place, local);
}

#endif /* LISTENQ_ENDPOINT_H */
