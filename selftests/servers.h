/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of real servers share: commands that must succeed, files, load. */
#ifndef LISTENQ_SELFTEST_SERVERS_H
#define LISTENQ_SELFTEST_SERVERS_H

#include "listenq.h"
#include "tool.h"

/* A JVM starts slowly where the processor is emulated. */
#define SLOW_TIMEOUT	240

#define NGINX_CONF	"/etc/nginx/conf.d/listenq.conf"

/* A command that must succeed; the number that it prints. */
#define must(...)							\
do {									\
	if (run(__VA_ARGS__))						\
		errx(1, "%s: %s", command, output);			\
} while (0)
#define number(...)	({ must(__VA_ARGS__); atoll(output); })

static inline long long main_pid(const char *unit)
{
	return number("systemctl show --property MainPID --value %s", unit);
}

/* Connections to @port, a request on each, until it is killed. */
static inline pid_t load(int port, int connections)
{
	char clients[8], url[64];
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	snprintf(clients, sizeof(clients), "-c%d", connections);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	if (!freopen("/dev/null", "w", stdout))
		err(1, "/dev/null");
	execlp("wrk", "wrk", "-t1", clients, "-d600s",
	       "-H", "Connection: close", url, NULL);
	err(1, "wrk");
}

#endif
