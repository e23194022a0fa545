// SPDX-License-Identifier: GPL-2.0-only
/* Values to text: the functions that row.h need not inline. */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/netdevice.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <net/inet_sock.h>
#include <net/mptcp.h>
#include <net/sock.h>

#include "row.h"

/*
 * Where to write a row of up to @size bytes. If this returns NULL, the reader gets
 * what is in the buffer or, if it is empty, seq_read_iter() doubles it
 * (fs/seq_file.c).
 */
char *row_begin(struct seq_file *m, size_t size)
{
	char *at;

	if (seq_get_buf(m, &at) >= size)
		return at;
	seq_commit(m, -1);
	return NULL;
}

/* Hand the rows up to @at over to the file. */
void row_commit(struct seq_file *m, const char *at)
{
	char *row;

	seq_get_buf(m, &row);
	seq_commit(m, at - row);
}

/* A number below 100, as two digits. */
static __always_inline char *put_pair(char *at, unsigned int value)
{
	static const char pairs[][2] = {
		"00", "01", "02", "03", "04", "05", "06", "07", "08", "09",
		"10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
		"20", "21", "22", "23", "24", "25", "26", "27", "28", "29",
		"30", "31", "32", "33", "34", "35", "36", "37", "38", "39",
		"40", "41", "42", "43", "44", "45", "46", "47", "48", "49",
		"50", "51", "52", "53", "54", "55", "56", "57", "58", "59",
		"60", "61", "62", "63", "64", "65", "66", "67", "68", "69",
		"70", "71", "72", "73", "74", "75", "76", "77", "78", "79",
		"80", "81", "82", "83", "84", "85", "86", "87", "88", "89",
		"90", "91", "92", "93", "94", "95", "96", "97", "98", "99",
	};

	memcpy(at, pairs[value], 2);
	return at + 2;
}

/* A number from 10 up. */
noinline char *put_digits(char *at, u64 value)
{
	unsigned int low;
	u64 high;

	if (value >= 10000) {
		high = div_u64(value, 10000);
		low = value - 10000 * high;
		at = put_decimal(at, high);
		at = put_pair(at, low / 100);
		return put_pair(at, low % 100);
	}
	low = value;
	if (low >= 1000)
		at = put_pair(at, low / 100);
	else if (low >= 100)
		at = put_char(at, '0' + low / 100);
	return put_pair(at, low % 100);
}

char *put_signed(char *at, s64 value)
{
	if (value == VALUE_UNKNOWN)
		return put_char(at, '-');
	if (value < 0)
		at = put_char(at, '-');
	return put_decimal(at, abs(value));
}

static char *put_octal(char *at, char c)
{
	return at + sprintf(at, OCTAL_FORMAT, (unsigned char)c);
}

/* A word; a sole "-", which would read as "not known", is escaped too. */
static char *put_escaped(char *at, const char *word)
{
	if (word[0] == '-' && !word[1])
		return put_octal(at, *word);
	for (; *word; word++)
		if (likely(is_plain(*word)))
			at = put_char(at, *word);
		else
			at = put_octal(at, *word);
	return at;
}

char *put_word(char *at, const char *word)
{
	return *word ? put_escaped(at, word) : put_char(at, '-');
}

/* A rule's selector as in a rule; 0 to 65535 is "*". */
char *put_ports(char *at, u16 first, u16 last)
{
	if (!first)
		return put_char(at, '*');
	at = put_decimal(at, first);
	if (last != first)
		at = put_decimal(put_char(at, '-'), last);
	return at;
}

static char *put_ipv4(char *at, __be32 address)
{
	const u8 *bytes = (const u8 *)&address;
	unsigned int i;

	for (i = 0; i < sizeof(address); i++) {
		if (i)
			at = put_char(at, '.');
		at = put_decimal(at, bytes[i]);
	}
	return at;
}

/* An address in brackets, since the port follows. */
static char *put_ipv6(char *at, const struct in6_addr *address)
{
	return at + sprintf(at, "[%pI6c]", address);
}

char *put_endpoint(char *at, const struct endpoint *endpoint)
{
	if (!endpoint->family)
		return put_char(at, '-');
	if (endpoint->family == AF_INET6)
		at = put_ipv6(at, &endpoint->address.ip6);
	else
		at = put_ipv4(at, endpoint->address.ip);
	return put_decimal(put_char(at, ':'), endpoint->port);
}

/*
 * A name, with `@` before an abstract one. The first byte of a path is in octal if
 * the text would read as an abstract name, as "not known", or as a rule for all
 * names.
 */
char *put_name(char *at, struct unix_name name)
{
	bool is_abstract = unix_name_is_abstract(name);
	unsigned int i = 0;

	if (!name.length)
		return put_char(at, '-');
	if (is_abstract)
		at = put_char(at, '@');
	else if (*name.bytes == '@' ||
		 (name.length == 1 && (*name.bytes == '-' || *name.bytes == '*')))
		at = put_octal(at, *name.bytes);
	else
		i--;
	for (i++; i < name.length; i++)
		if (likely(is_plain(name.bytes[i])))
			at = put_char(at, name.bytes[i]);
		else
			at = put_octal(at, name.bytes[i]);
	return at;
}

/* The selector of an AF_UNIX rule, as in a rule. */
char *put_name_rule(char *at, struct unix_name name, struct selector rule)
{
	static const char prefix[] = "unix:";

	if (!selector_is_unix(rule))
		return put_char(at, '-');
	memcpy(at, prefix, strlen(prefix));
	at += strlen(prefix);
	return selector_is_every_name(rule) ? put_char(at, '*') :
					      put_name(at, name);
}

char *put_hex(char *at, u64 value)
{
	char *end = at + DIV_ROUND_UP(fls64(value | 1), 4);
	char *digit = end;

	do {
		digit--;
		*digit = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	return end;
}

/* Copies 8 bytes; the next value overwrites those beyond the name. */
char *put_proto(char *at, const struct sock *sk)
{
	static const char names[2][2][8] = {
		{ "tcp", "tcp6" }, { "mptcp", "mptcp6" },
	};
	bool mptcp = sk_is_mptcp(sk), ipv6 = sk->sk_family == AF_INET6;

	memcpy(at, names[mptcp][ipv6], 8);
	return at + strlen("tcp") + 2 * mptcp + ipv6;
}

static char *put_bound_device(char *at, const struct sock *sk)
{
	int index = READ_ONCE(sk->sk_bound_dev_if);
	const struct net_device *dev;

	if (!index)
		return at;
	at = put_char(at, '%');
	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), index);
	if (dev)
		at = put_escaped(at, dev->name);
	else
		at = put_decimal(at, index);
	rcu_read_unlock();
	return at;
}

char *put_local(char *at, const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		at = put_ipv6(at, &sk->sk_v6_rcv_saddr);
	else
#endif
		at = put_ipv4(at, sk->sk_rcv_saddr);
	at = put_bound_device(at, sk);
	return put_decimal(put_char(at, ':'), ntohs(inet_sk(sk)->inet_sport));
}

/* A column's name, for the header. */
char *put_title(char *at, const struct column *column)
{
	return pad(put_word(at, column->name), at, column);
}

void put_header(struct seq_file *m, size_t size, const struct column *column,
		unsigned int count)
{
	char *at = row_begin(m, size);

	if (!at)
		return;
	for (; count--; column++)
		at = put_title(at, column);
	row_commit(m, row_end(at));
}
