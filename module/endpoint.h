/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses and ports of listeners and clients. */
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
 * @address: the address, by @family
 * @family: AF_INET or AF_INET6; 0: not known
 * @port: in host byte order
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
 * listener_endpoint() - get the address and port that a socket listens on
 * @sk: the socket
 * @local: where to write them, padding included, so that memcmp() works; of AF_UNIX,
 *	which has no port, the family alone
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
 * client_endpoint() - get a client's address and port
 * @sk: a connection, or req_to_sk() of a request: both have these fields
 * @client: where to write them. For an IPv4 client of an IPv6 socket the kernel
 *	keeps the mapped address as well (include/net/inet_hashtables.h,
 *	sk_daddr_set()).
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
 * sender_endpoint() - get the address and port of a segment's sender
 * @sk: the listener that gets the segment
 * @skb: the segment
 * @client: where to write them, as client_endpoint() does
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
 * endpoint_address() - make a socket address, for printing
 * @endpoint: an address and a port
 * @address: where to write it; a struct sockaddr_in for IPv4
 *
 * Context: any.
 */
static inline void endpoint_address(const struct endpoint *endpoint,
				    struct sockaddr_in6 *address)
{
	struct sockaddr_in *address4 = (struct sockaddr_in *)address;

	memset(address, 0, sizeof(*address));
	address->sin6_family = endpoint->family;
	address->sin6_port = htons(endpoint->port);	/* same offset as sin_port */
	if (endpoint->family == AF_INET6)
		address->sin6_addr = endpoint->address.ip6;
	else
		address4->sin_addr.s_addr = endpoint->address.ip;
}

/**
 * endpoint_mapped() - get an address in IPv6 form, whatever its family
 * @endpoint: an address and a port
 * @address: where to write it; ::ffff:0.0.0.0 if it is not known
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
 * listener_local() - get the socket address that a socket listens on
 * @sk: the socket
 * @local: where to write it; a struct sockaddr_in for IPv4
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
