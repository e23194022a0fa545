/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of AF_UNIX sockets. */
#ifndef LISTENQ_NAME_H
#define LISTENQ_NAME_H

#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/un.h>
#include <net/af_unix.h>
#include <net/sock.h>

/**
 * struct unix_name - what an AF_UNIX socket is bound to
 * @bytes: a path as the program has passed it, or an abstract name, which begins with
 *	a NUL; not terminated
 * @length: how many; 0: nothing
 */
struct unix_name {
	const char *bytes;
	unsigned int length;
};

/* The longest path; an abstract name with its NUL has as many bytes. */
#define UNIX_NAME_MAX	UNIX_PATH_MAX

/**
 * unix_name_of() - what a socket is bound to
 * @sk: the socket
 *
 * A socket gets one name in its life, and keeps it.
 *
 * Context: any in which the socket is there; so long is the name.
 * Return: the name.
 */
static inline struct unix_name unix_name_of(const struct sock *sk)
{
	const struct unix_sock *u = (const struct unix_sock *)sk;
	const struct unix_address *addr;
	struct unix_name name = { };
	int length;

	/* And what is in it: bind() has stored that before. */
	addr = smp_load_acquire(&u->addr);
	if (!addr)
		return name;
	length = addr->len - (int)offsetof(struct sockaddr_un, sun_path);
	if (length <= 0)
		return name;
	name.bytes = addr->name->sun_path;
	/*
	 * The kernel counts the one NUL behind a path. It is not looked for: the longest
	 * path fills sun_path, and to read the NUL behind that is a bug by
	 * CONFIG_FORTIFY_SOURCE (net/unix/af_unix.c, unix_mkname_bsd()).
	 */
	if (*name.bytes)
		length--;
	name.length = min_t(unsigned int, length, UNIX_NAME_MAX);
	return name;
}

static inline bool unix_name_is_abstract(struct unix_name name)
{
	return name.length && !*name.bytes;
}

#endif /* LISTENQ_NAME_H */
