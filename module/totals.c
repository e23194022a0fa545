// SPDX-License-Identifier: GPL-2.0-only
/* Totals: the counts of a network namespace. */
#include <linux/percpu.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "totals.h"

unsigned int totals_net_id;
DEFINE_PER_CPU(struct totals, totals_of_none);

static unsigned long total_of(const struct totals_net *totals,
			      enum traffic_count what)
{
	unsigned long total = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		total += READ_ONCE(per_cpu_ptr(totals->totals,
					       cpu)->counts[what]);
	return total;
}

/**
 * totals_read() - get a total of a namespace
 * @net: the namespace
 * @what: which one
 *
 * Context: process context.
 * Return: the count since the module was loaded or the namespace was made.
 */
unsigned long totals_read(struct net *net, enum traffic_count what)
{
	const struct totals_net *totals = net_generic(net, totals_net_id);
	unsigned long syns = 0;
	unsigned int i;

	switch (what) {
	case TRAFFIC_SYNS:
		for (i = 0; i < TRAFFIC_SYN_ENDS; i++)
			syns += total_of(totals, i);
		return syns;
	case TRAFFIC_OVERFLOWS:
		return total_of(totals, TRAFFIC_OVERFLOWS_SYN) +
		       total_of(totals, TRAFFIC_OVERFLOWS_ACK);
	default:
		return total_of(totals, what);
	}
}

/* ---- init and exit ---- */

static int totals_net_init(struct net *net)
{
	struct totals_net *totals = net_generic(net, totals_net_id);

	totals->totals = alloc_percpu(struct totals);
	return totals->totals ? 0 : -ENOMEM;
}

static void totals_net_exit(struct net *net)
{
	struct totals_net *totals = net_generic(net, totals_net_id);

	free_percpu(totals->totals);
}

static struct pernet_operations totals_namespaces = {
	.init		= totals_net_init,
	.exit		= totals_net_exit,
	.id		= &totals_net_id,
	.size		= sizeof(struct totals_net),
};

/**
 * totals_init() - make room for totals
 *
 * Context: process context, before the first hook is placed.
 * Return: 0 or -ENOMEM.
 */
int totals_init(void)
{
	return register_pernet_subsys(&totals_namespaces);
}

/**
 * totals_exit() - free what totals_init() has made
 *
 * Context: process context, after all hooks and files are gone.
 */
void totals_exit(void)
{
	unregister_pernet_subsys(&totals_namespaces);
}
