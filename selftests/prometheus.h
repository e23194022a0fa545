/* SPDX-License-Identifier: GPL-2.0-only */
/* A real Prometheus: started with a configuration, and asked. */
#ifndef LISTENQ_SELFTEST_PROMETHEUS_H
#define LISTENQ_SELFTEST_PROMETHEUS_H

#include "listenq.h"
#include "tool.h"

#define PROMETHEUS	"127.0.0.1:9090"

/* The configuration that scrapes listenq-http.socket every so many seconds. */
#define SCRAPE_EVERY(seconds)						\
	"global: {scrape_interval: " #seconds "s, scrape_timeout: " #seconds "s}\n" \
	"scrape_configs:\n"						\
	"- job_name: listenq\n"						\
	"  static_configs: [{targets: ['127.0.0.1:9936']}]\n"

/* It keeps what it has, and says what it does in prometheus.log, in @folder. */
static inline pid_t start_prometheus(const char *folder, const char *configuration)
{
	char file[128], config[160], data[160];
	pid_t pid;

	snprintf(file, sizeof(file), "%s/prometheus.yml", folder);
	write_text(file, configuration);
	pid = lq_fork();
	if (pid)
		return pid;
	snprintf(config, sizeof(config), "--config.file=%s", file);
	snprintf(data, sizeof(data), "--storage.tsdb.path=%s/tsdb", folder);
	snprintf(file, sizeof(file), "%s/prometheus.log", folder);
	if (!freopen(file, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		err(1, "%s", file);
	execlp("prometheus", "prometheus", config, data,
	       "--web.listen-address=" PROMETHEUS, NULL);
	err(1, "prometheus");
}

/* Prometheus' answer is in output: JSON. It refuses what it can't read. */
static inline bool ask_prometheus(const char *expression)
{
	char query[6000], *to = query;

	for (; *expression && to < query + sizeof(query) - 4; expression++)
		to += sprintf(to, "%%%02x", (unsigned char)*expression);
	return !run("busybox wget -q -O - --post-data 'query=%s' http://" PROMETHEUS
		    "/api/v1/query 2>&1", query);
}

static inline bool has_data(const char *expression)
{
	return ask_prometheus(expression) && strstr(output, "\"value\":[") &&
	       !strstr(output, "\"NaN\"");
}

#endif
