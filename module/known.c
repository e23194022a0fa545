// SPDX-License-Identifier: GPL-2.0-only
/* Which hooks each figure needs. */
#include <linux/bits.h>
#include <linux/kconfig.h>
#include <linux/socket.h>

#include "closing.h"
#include "compat.h"
#include "hook.h"
#include "known.h"
#include "record.h"
#include "traffic.h"

#define NEEDS(hook)	BIT(HOOK_##hook)
#define NEEDS_BOTH(hook)	(BIT(HOOK_##hook##4) | BIT(HOOK_##hook##6))
#define ONLY_IPV6	(NEEDS(SYNACK6) | NEEDS(ACK6) | NEEDS(COOKIE6))

#define SYN_HOOKS	(NEEDS(SYN) | NEEDS_BOTH(SYNACK))
#define REQUEST_HOOKS	(SYN_HOOKS | NEEDS(FINISHED) | NEEDS(RESET) | \
			 NEEDS(JOINED) | NEEDS(MIGRATE))
#define ACCEPTQ_HOOKS	(NEEDS_BOTH(SYNACK) | NEEDS(FINISHED) | NEEDS(QUEUED))

#define REFUSED_HOOKS	(SYN_HOOKS | NEEDS_BOTH(ACK) | NEEDS(RESERVED) | \
			 NEEDS(MIGRATE) | NEEDS(FORGOTTEN))

/* The hooks that each count needs. */
static const unsigned long needs[TRAFFIC_COUNTS] = {
	[TRAFFIC_REQUESTS]		= NEEDS_BOTH(SYNACK),
	[TRAFFIC_SYNCOOKIES]		= SYN_HOOKS,
	[TRAFFIC_FASTOPENS]		= NEEDS_BOTH(SYNACK),
	[TRAFFIC_SYNQ_DROPS]		= SYN_HOOKS,
	[TRAFFIC_SYNQ_RESERVED]		= SYN_HOOKS | NEEDS(RESERVED),
	[TRAFFIC_FAILED]		= SYN_HOOKS | NEEDS(RESERVED),
	[TRAFFIC_OVERFLOWS_ACK]		= SYN_HOOKS | NEEDS_BOTH(ACK),
	[TRAFFIC_RESET]			= NEEDS(RESET),
	[TRAFFIC_JOINED]		= NEEDS(JOINED),
	[TRAFFIC_EXPIRED]		= REQUEST_HOOKS,
	[TRAFFIC_RESENT]		= NEEDS_BOTH(SYNACK),
	[TRAFFIC_COOKIES_FINISHED]	= NEEDS(QUEUED),
	[TRAFFIC_COOKIES_FAILED]	= NEEDS_BOTH(COOKIE),
	[TRAFFIC_FASTOPEN_OVERFLOWS]	= SYN_HOOKS,
	[TRAFFIC_CARRIED_REQUESTS]	= NEEDS(MIGRATE),
	[TRAFFIC_CARRIED_CONNECTIONS]	= ACCEPTQ_HOOKS | NEEDS(MIGRATE),
	[TRAFFIC_ACCEPTS]		= NEEDS(ACCEPTED),
	[TRAFFIC_FINISHED]		= NEEDS(FINISHED),
	[TRAFFIC_UNACCEPTED]		= ACCEPTQ_HOOKS | NEEDS(MIGRATE) |
					  NEEDS(ACCEPTED),
	[TRAFFIC_ABANDONED]		= REQUEST_HOOKS,
	[TRAFFIC_SYNS]			= SYN_HOOKS,
	[TRAFFIC_OVERFLOWS]		= SYN_HOOKS | NEEDS_BOTH(ACK),
};

static const struct hook *hook_of(enum traffic_hook hook)
{
	return hook < CLOSING_HOOKS ? &traffic_hooks[hook] :
				      &closing_hooks[hook - CLOSING_HOOKS];
}

static struct known known_by(bool (*by)(const char *symbol), int family,
			     bool returns_doubted)
{
	struct known known = { };
	const struct hook *hook;
	unsigned long on = 0;
	unsigned int i;

	for (i = 0; i < TRAFFIC_HOOKS; i++) {
		hook = hook_of(i);
		if (hook->absent || (by(hook->symbol) &&
				     !(hook->end && returns_doubted)))
			on |= BIT(i);
	}
	if (family == AF_INET)
		on |= ONLY_IPV6;
	for (i = 0; i < TRAFFIC_COUNTS; i++)
		known.counts[i] = !(needs[i] & ~on);
	known.waits = KERNEL_HAS(__inet_accept) && on & NEEDS(ACCEPTED);
	known.derived_accepts = !(ACCEPTQ_HOOKS & ~on);
	/* AF_UNSPEC covers MPTCP listeners, whose accepts are derived. */
	if (!KERNEL_HAS(__inet_accept) || family == AF_UNSPEC)
		known.counts[TRAFFIC_ACCEPTS] &= known.derived_accepts;
	known.acceptq_peak = known.derived_accepts;
	known.synq_peak = known.counts[TRAFFIC_REQUESTS];
	known.drops = DROPS_ARE_SEEN && on & NEEDS(DROPPED);
	known.refusals = !(REFUSED_HOOKS & ~on);
	return known;
}

/**
 * known_now() - find out which figures are known
 * @family: AF_INET or AF_INET6: figures of a listener; AF_UNSPEC: totals, which need
 *	hooks that have seen all since the module was loaded
 *
 * Context: any, before hook_free(): takes no lock.
 * Return: what is known.
 */
struct known known_now(int family)
{
	return known_by(family == AF_UNSPEC ? hook_saw_all : hook_is_on, family,
			false);
}

/**
 * known_without_returns() - find out which figures are known of a listener for which
 *	return probes may have missed something
 * @family: AF_INET or AF_INET6
 *
 * Context: any, before hook_free(): takes no lock.
 * Return: what is known.
 */
struct known known_without_returns(int family)
{
	return known_by(hook_is_on, family, true);
}
