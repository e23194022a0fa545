// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics of listening Unix sockets. They are families of their own: a path is not
 * an address, other things happen to these sockets than to TCP's, and a sum over a
 * family has to mean something (Prometheus' "Metric and label naming").
 */

#include "metrics.h"

static const struct {
	struct family family;
	enum figure figure;
	bool most;
} families[] = {
	{ { "listenq_unix_accept_queue_length",
	    "Connections that wait for accept().", NULL, GAUGE },
	  .figure = ACCEPTQ },
	{ { "listenq_unix_accept_queue_peak",
	    "The most connections that have waited in the queue of one of the sockets.",
	    NULL, GAUGE }, .figure = ACCEPTQ_PEAK, .most = true },
	{ { "listenq_unix_accept_queue_peak_1m",
	    "The most connections that have waited in the last minute, in one of the sockets.",
	    NULL, GAUGE }, .figure = ACCEPTQ_PEAK_1M, .most = true },
	{ { "listenq_unix_backlog_asked",
	    "The backlog that listen() was called with, without a sign.", NULL,
	    GAUGE }, .figure = ASKED },
	{ { "listenq_unix_backlog_granted",
	    "What net.core.somaxconn has left of it.", NULL, GAUGE },
	  .figure = GRANTED },
	{ { "listenq_unix_backlog_limit",
	    "The limit in force: the queue holds one connection more.", NULL,
	    GAUGE }, .figure = LIMIT },
	{ { "listenq_unix_connects",
	    "Connections that have entered the queue.", NULL, COUNTER },
	  .figure = CONNECTS },
	{ { "listenq_unix_accepts",
	    "Connections that accept() has returned.", NULL, COUNTER },
	  .figure = ACCEPTS },
	{ { "listenq_unix_waits",
	    "Calls of connect() that had to wait for room.", NULL, COUNTER },
	  .figure = WAITED },
	{ { "listenq_unix_eagains",
	    "Calls of connect() that got EAGAIN because there was no room.",
	    NULL, COUNTER }, .figure = EAGAINS },
};

static const struct family fill_ratio = {
	"listenq_unix_accept_queue_fill_ratio",
	"The queue against its limit, of the fullest socket; above 1 it is full.",
	"ratio", GAUGE,
};

static const struct family rule_active = {
	"listenq_unix_rule_active", "Whether a rule sets the limit.", NULL,
	GAUGE,
};

/**
 * metrics_of_unix() - write the samples of Unix sockets
 * @samples: written to
 * @group: groups of sockets with the same labels
 * @groups: how many
 */
void metrics_of_unix(struct samples *samples, const struct group *group,
		     size_t groups)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (size_t j = 0; j < groups; j++)
			put_count(samples, &families[i].family, &group[j],
				  families[i].most ?
				  group_most(&group[j], families[i].figure) :
				  group_sum(&group[j], families[i].figure));
	for (size_t j = 0; j < groups; j++)
		put_fill(samples, &fill_ratio, &group[j], ACCEPTQ);
	for (size_t j = 0; j < groups; j++)
		put_rule(samples, &rule_active, &group[j]);
}
