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
 * @bytes: the path as the program passed it, or an abstract name, which begins with
 *	a NUL; not NUL-terminated
 * @length: number of @bytes; 0: not bound
 */
struct unix_name {
	const char *bytes;
	unsigned int length;
};

/* The longest path; an abstract name may have as many bytes, its NUL included. */
#define UNIX_NAME_MAX	UNIX_PATH_MAX

/**
 * unix_name_of() - get the name that a socket is bound to
 * @sk: the socket
 *
 * A socket gets at most one name and keeps it.
 *
 * Context: any. The name is valid as long as the socket is.
 * Return: the name.
 */
static inline struct unix_name unix_name_of(const struct sock *sk)
{
	const struct unix_sock *u = (const struct unix_sock *)sk;
	const struct unix_address *addr;
	struct unix_name name = { };
	int length;

	/* Pairs with bind(), which stores what @addr points to first. */
	addr = smp_load_acquire(&u->addr);
	if (!addr)
		return name;
	length = addr->len - (int)offsetof(struct sockaddr_un, sun_path);
	if (length <= 0)
		return name;
	name.bytes = addr->name->sun_path;
	/*
	 * The kernel's length includes one NUL after a path. Don't look for it: the
	 * longest path fills sun_path, and CONFIG_FORTIFY_SOURCE takes a read beyond
	 * that for a bug (net/unix/af_unix.c, unix_mkname_bsd()).
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
