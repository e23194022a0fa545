// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tools/monitoring has, with Debian's Prometheus and node_exporter, under
 * systemd: the units write what they should, also when there is nothing to
 * write; the rules do what their own tests say; each query of rules and
 * dashboard finds something, and a real overflow raises its alert.
 *
 * It starts and stops what belongs to the machine: this is for a VM.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "prometheus.h"
#include "tool.h"

/* Go's programs start slowly where the processor is emulated. */
#define SLOW_TIMEOUT	400

#define FOLDER		"/run/listenq-monitoring"
#define TEXTFILES	"/var/lib/prometheus/node-exporter"
#define TEXTFILE	TEXTFILES "/listenq.prom"
/* Where that one is while it isn't there, and another one. */
#define AWAY		TEXTFILES ".away"
#define OTHER		FOLDER "/textfiles"
#define DROP_INS	"/run/systemd/system/listenq-metrics.service.d"

/* Where make install puts them; another folder by LISTENQ_DATA. */
static const char *data(void)
{
	return getenv("LISTENQ_DATA") ?: "/usr/local/share/listenq";
}

/* As the machine had it. */
static int fastopen_before = -1;
#define FASTOPEN		"/proc/sys/net/ipv4/tcp_fastopen"
#define FASTOPEN_SERVER		2

/* What TEXTFILE has is in output afterwards. */
static bool written(const char *line)
{
	return !run("cat " TEXTFILE " 2>&1") && strstr(output, line);
}

static void end(pid_t pid)
{
	kill(pid, SIGTERM);
	lq_reap(pid);
}

static void clean_up(void)
{
	run("systemctl stop listenq-metrics.timer listenq-metrics.service 2>&1");
	run("systemctl stop prometheus-node-exporter 2>&1");
	run("rm -rf " DROP_INS " && systemctl daemon-reload");
	run("{ echo flush >" LQ_CLAMP "; } 2>/dev/null");
	if (fastopen_before >= 0)
		run("echo %d >" FASTOPEN, fastopen_before);
	run("[ ! -e " AWAY " ] || { rm -rf " TEXTFILES "; mv " AWAY " " TEXTFILES "; }");
	run("systemctl reset-failed 2>&1; rm -rf " FOLDER " " TEXTFILE);
}

static const char *set_up(void)
{
	static const char * const programs[] = {
		"promtool", "prometheus", "prometheus-node-exporter", "listenq",
	};
	const char *why = lq_setup_units();

	for (size_t i = 0; !why && i < ARRAY_SIZE(programs); i++)
		why = lacks(programs[i]);
	if (why)
		return why;
	if (access(data(), F_OK))
		return "tools/monitoring is not installed: make install, or set LISTENQ_DATA";
	clean_up();
	if (mkdir(FOLDER, 0755) || chdir(FOLDER))
		err(1, FOLDER);
	setenv("DATA", data(), 1);
	return NULL;
}

FIXTURE(monitoring)
{
};

FIXTURE_SETUP(monitoring)
{
	LQ_SKIP_FOR(set_up());
}

FIXTURE_TEARDOWN(monitoring)
{
	clean_up();
}

/* What is printed of a machine where something happens is what promtool likes. */
TEST_F_TIMEOUT(monitoring, text, SLOW_TIMEOUT)
{
	int port;
	pid_t child = listen_elsewhere("a\"b\\\n", 0, &port);

	full_listener(2);
	ASSERT_EQ(0, run("listenq -am >text"));
	EXPECT_RUN(0, run("promtool check metrics <text 2>&1"));
	EXPECT_STREQ("", output);
	/* It does say so where there is something to say. */
	ASSERT_EQ(0, run("sed -i 's/_total//' text"));
	EXPECT_NE(0, run("promtool check metrics <text 2>&1"));
	end(child);
}

TEST_F_TIMEOUT(monitoring, rules, SLOW_TIMEOUT)
{
	EXPECT_RUN(0, run("promtool check rules $DATA/listenq.rules.yml 2>&1"));
	EXPECT_RUN(0, run("promtool test rules $DATA/listenq.rules.test.yml 2>&1"));
	/* Each alert is among those that the tests have seen firing. */
	ASSERT_EQ(0, run("sed -n 's/^ *- alert: //p' $DATA/listenq.rules.yml | sort >alerts"));
	ASSERT_EQ(0, run("grep -B 4 exp_labels $DATA/listenq.rules.test.yml >fired"));
	ASSERT_EQ(0, run("sed -n 's/^ *- alertname: //p' fired | sort -u >tested"));
	EXPECT_RUN(0, run("test -s alerts && diff alerts tested"));
}

/* What runs the tests, whose own namespace is the host's. */
#define UNIT	"unit=\"selftests.service\""

/* When the service was last started: what the timer counts from. */
static long long started_us(void)
{
	run("systemctl show --value -p InactiveExitTimestampMonotonic listenq-metrics.service");
	return atoll(output);
}

static int start_service(void)
{
	return run("systemctl start listenq-metrics.service 2>&1");
}

static bool journal_has(const char *text)
{
	return !run("journalctl -u listenq-metrics.service 2>&1 | grep -F '%s'",
		    text);
}

/* What systemctl edit does; a file for each part. */
static void drop_in(const char *name, const char *text)
{
	if (run("set -e; mkdir -p " DROP_INS "; cd " DROP_INS ";"
		" printf '[Service]\n%%s' '%s' >%s.conf; systemctl daemon-reload 2>&1",
		text, name))
		errx(1, "%s", output);
}

/* The service, by hand: what it may do is enough, and what it leaves is true. */
TEST_F_TIMEOUT(monitoring, service, SLOW_TIMEOUT)
{
	static const char * const units[] = {
		"listenq-metrics.service", "listenq-metrics.timer",
	};
	pid_t child, other;
	int before, port;
	char line[256];

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		EXPECT_EQ(0, run("systemd-analyze verify --man=no %s 2>&1",
				 units[i]));
		EXPECT_STREQ("", output);
	}

	/* One listener from before the load, of another user. */
	ASSERT_EQ(0, lq_unload());
	before = lq_listener(AF_INET, 5);
	child = lq_fork();
	if (!child) {
		prctl(PR_SET_NAME, "holder");
		lq_become_user(12345);
		pause();
	}
	close(before);
	ASSERT_EQ(0, lq_load());
	other = listen_elsewhere("elsewhere", 0, &port);

	EXPECT_RUN(0, start_service());
	EXPECT_TRUE(written("listenq_up 1\n"));
	snprintf(line, sizeof(line),
		 "{netns=\"%d\",proto=\"tcp\",address=\"127.0.0.1\",port=\"%d\"," UNIT "} 7\n",
		 other, port);
	EXPECT_TRUE(written(line)) {
		TH_LOG("no %s", line);
	}
	EXPECT_TRUE(written("process=\"holder\"," UNIT "} 5\n"));
	EXPECT_EQ(0, run("ls " TEXTFILES));
	EXPECT_STREQ("listenq.prom\n", output);
	end(other);

	/* The module goes: so it says, and so does the unit. */
	ASSERT_EQ(0, lq_unload());
	EXPECT_NE(0, start_service());
	EXPECT_TRUE(written("listenq_up 0\n"));
	EXPECT_EQ(3, lines(output));
	EXPECT_TRUE(lq_wait_until(journal_has("listenq: the module is not loaded:")));
	/* That all went well, as before, is not said each time. */
	EXPECT_FALSE(journal_has("Finished"));
	ASSERT_EQ(0, lq_load());
	EXPECT_EQ(0, start_service());
	EXPECT_TRUE(written("listenq_up 1\n"));
	end(child);
}

/*
 * Not Debian's folder, which isn't there then: Documentation/monitoring.rst says
 * what to do. The timer is what is started, as people do.
 */
TEST_F_TIMEOUT(monitoring, folder, SLOW_TIMEOUT)
{
	ASSERT_EQ(0, run("mv " TEXTFILES " " AWAY));
	ASSERT_EQ(0, run("systemctl start listenq-metrics.timer 2>&1"));
	EXPECT_TRUE(lq_wait_until(journal_has(TEXTFILE ": No such file or directory")));
	EXPECT_EQ(0, run("systemctl is-active listenq-metrics.timer"));
	ASSERT_EQ(0, run("systemctl stop listenq-metrics.timer 2>&1"));

	/* Somebody else's, as most have it. */
	ASSERT_EQ(0, mkdir(OTHER, 0755));
	ASSERT_EQ(0, chown(OTHER, 12345, 12345));
	drop_in("folder",
		"ExecStart=\n"
		"ExecStart=listenq --all --metrics --max 200 --output " OTHER "/listenq.prom\n"
		"ReadWritePaths=-" OTHER "\n");
	EXPECT_NE(0, start_service());
	EXPECT_TRUE(lq_wait_until(journal_has(OTHER "/listenq.prom: Permission denied")));
	drop_in("owner", "CapabilityBoundingSet=CAP_DAC_OVERRIDE\n");
	ASSERT_EQ(0, run("systemctl start listenq-metrics.timer 2>&1"));
	EXPECT_TRUE(lq_wait_until(!run("cat " OTHER "/listenq.prom 2>&1") &&
				  strstr(output, "\nlistenq_up 1\n")));
	EXPECT_EQ(0, run("ls " OTHER));
	EXPECT_STREQ("listenq.prom\n", output);
}

/* ---- all of it together ---- */

/* Somebody who accepts, and many who come. */
static pid_t start_load(void)
{
	pid_t pid = lq_fork();
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "busy");
	fd = lq_listener(AF_INET, 100);
	for (;;) {
		struct lq_addr addr = lq_name(fd);
		int client = socket(AF_INET, SOCK_STREAM, 0), server;

		if (client < 0 || connect(client, &addr.sa, addr.len))
			_exit(1);
		lq_pause();
		server = accept(fd, NULL, NULL);
		/* Closed first there: no port is kept here. */
		close(client);
		close(server);
	}
}

/* Of node_exporter's collectors, one is asked: the others take long. */
static pid_t start_with_rules(void)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "global: {scrape_interval: 4s, evaluation_interval: 4s}\n"
		 "rule_files: [%s/listenq.rules.yml]\n"
		 "scrape_configs:\n- job_name: node\n"
		 "  params: {'collect[]': [textfile]}\n"
		 "  static_configs: [{targets: ['127.0.0.1:9100']}]\n", data());
	return start_prometheus(FOLDER, text);
}

static bool has_alert(const char *name, const char *state, int fd)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "ALERTS{alertname=\"%s\",alertstate=\"%s\",port=\"%d\"}",
		 name, state, lq_port(fd));
	return has_data(text);
}

/* What of @expression is about the listeners of @port. */
static const char *of_port(const char *expression, int port)
{
	static char text[2048];

	snprintf(text, sizeof(text), "(%.1000s) and listenq_sockets{port=\"%d\"}",
		 expression, port);
	return text;
}

/* @text with all @what in it replaced by @with; @text has room for it. */
static void replace(char *text, const char *what, const char *with)
{
	char rest[2048], *at = text;

	while ((at = strstr(at, what))) {
		snprintf(rest, sizeof(rest), "%s", at + strlen(what));
		at = stpcpy(at, with);
		strcpy(at, rest);
	}
}

/*
 * The queries of a file of tools/monitoring, one a line of it, as they are after
 * Grafana has filled in its variables and JSON's quotes are off.
 */
static int read_queries(const char *file, const char *script,
			char expressions[][2048], int max)
{
	static const char * const filled[][2] = {
		{ "\\\"", "\"" }, { "$__rate_interval", "30s" },
		{ "$__range", "5m" }, { "$instance", ".*" },
		{ "$netns", ".*" }, { "$process", ".*" },
		/* Which would give something where there is nothing to ask. */
		{ " or vector(0)", "" }, { " > 1)", ")" }, { " == 0)", ")" },
	};
	int count = 0;

	if (run("sed -n '%s' $DATA/%s", script, file))
		errx(1, "%s", output);
	for (char *at = strtok(output, "\n"); at; at = strtok(NULL, "\n")) {
		if (count == max)
			errx(1, "%s: more than %d", file, max);
		snprintf(expressions[count], sizeof(expressions[0]), "%.1000s",
			 at);
		for (size_t i = 0; i < ARRAY_SIZE(filled); i++)
			replace(expressions[count], filled[i][0], filled[i][1]);
		if (strchr(expressions[count], '$'))
			errx(1, "%s: can't ask %s", file, expressions[count]);
		count++;
	}
	return count;
}

#define LOST	"ALERTS{alertname=\"ListenqConnectionsLost\",alertstate=\"firing\"}"

TEST_F_TIMEOUT(monitoring, prometheus, SLOW_TIMEOUT)
{
	static char expressions[64][2048];
	long long first, second;
	int full, cut, ruled, all, fast, doomed, somaxconn, count, limit = 5;
	pid_t load, prometheus;
	char *names;

	load = start_load();
	ASSERT_EQ(0, run("systemctl start prometheus-node-exporter 2>&1"));
	ASSERT_EQ(0, run("systemctl start listenq-metrics.timer 2>&1"));
	prometheus = start_with_rules();

	/* The timer, by itself, more than once. */
	ASSERT_TRUE(lq_wait_until(written("listenq_up 1\n")));
	first = started_us();
	ASSERT_TRUE(lq_wait_until((second = started_us()) > first));
	EXPECT_LE(15 * 1000000, second - first);

	/* What node_exporter makes of the file. */
	ASSERT_TRUE(lq_wait_until(!run("busybox wget -q -O - http://127.0.0.1:9100/metrics") &&
				  strstr(output, "\nlistenq_up 1\n")));
	EXPECT_TRUE(says("\nnode_textfile_scrape_error 0\n"));
	EXPECT_TRUE(says("node_textfile_mtime_seconds{file=\"" TEXTFILE "\"}"));
	EXPECT_TRUE(says("\nlistenq_accept_wait_seconds_bucket{"));

	/* Nothing has happened yet; then it does. */
	ASSERT_TRUE(lq_wait_until(has_data("listenq_up == 1"))) {
		run("tail -n 5 " FOLDER "/prometheus.log; promtool query instant http://" PROMETHEUS " up 2>&1");
		TH_LOG("%s", output);
	}
	EXPECT_FALSE(has_data("ALERTS{alertname=\"ListenqOverflows\"}"));
	somaxconn = lq_read_number("/proc/sys/net/core/somaxconn");
	cut = lq_port(lq_listener(AF_INET, somaxconn + 1));
	ruled = lq_port(lq_listener(AF_INET, somaxconn + 1));
	all = lq_port(lq_listener(AF_INET, INT_MAX));
	ASSERT_EQ(0, lq_clampf("%d force 3", ruled));
	full = full_listener(2);
	fastopen_before = lq_read_number(FASTOPEN);
	ASSERT_EQ(0, run("echo %d >" FASTOPEN, fastopen_before | FASTOPEN_SERVER));
	fast = lq_listener(AF_INET, 5);
	ASSERT_EQ(0, setsockopt(fast, IPPROTO_TCP, TCP_FASTOPEN, &limit,
				sizeof(limit)));
	doomed = lq_listener(AF_INET, 5);
	lq_enqueue(doomed);
	lq_enqueue(doomed);
	ASSERT_EQ(0, start_service());
	EXPECT_TRUE(lq_wait_until(has_alert("ListenqOverflows", "firing",
					    full))) {
		TH_LOG("%s", output);
	}
	/* These have to last, and so are not raised yet. */
	EXPECT_TRUE(has_alert("ListenqAcceptQueueFilling", "pending", full)) {
		TH_LOG("%s", output);
	}

	/* Two that nobody has accepted go with their listener. */
	EXPECT_TRUE(lq_wait_until(has_data(of_port("listenq_sockets",
						   lq_port(doomed)))));
	EXPECT_FALSE(has_data(LOST));
	close(doomed);
	EXPECT_TRUE(lq_wait_until(has_data(LOST))) {
		TH_LOG("%s", output);
	}

	/* Who is cut is told so, who has a rule or asks for all there is not. */
	ASSERT_EQ(1, read_queries("listenq.rules.yml",
				  "/alert: ListenqClamped/,/expr:/s/^ *expr: //p",
				  expressions, 64));
	EXPECT_TRUE(lq_wait_until(has_data(of_port("listenq_sockets", all))));
	EXPECT_TRUE(has_data(of_port(expressions[0], cut))) {
		TH_LOG("%s", output);
	}
	EXPECT_FALSE(has_data(of_port(expressions[0], ruled)));
	EXPECT_FALSE(has_data(of_port(expressions[0], all)));

	/* All that anybody asks is answered: alerts by nothing, too. */
	count = read_queries("listenq.rules.yml", "s/^ *expr: //p", expressions, 64);
	EXPECT_LE(9, count);
	for (int i = 0; i < count; i++) {
		EXPECT_TRUE(ask_prometheus(expressions[i])) {
			TH_LOG("%s: %s", expressions[i], output);
		}
	}
	/* All names in them are those of metrics that are there. */
	ASSERT_EQ(0, run("cd $DATA; grep -ho 'listenq_[a-z0-9_]*' *.rules.yml *.json | sort -u"));
	names = strdup(output);
	count = 0;
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n")) {
		EXPECT_TRUE(lq_wait_until(has_data(name))) {
			TH_LOG("%s: %s", name, output);
		}
		count++;
	}
	EXPECT_LE(30, count);
	free(names);
	count = read_queries("listenq.dashboard.json",
			     "s/^ *\"expr\": \"\\(.*\\)\",\\{0,1\\}$/\\1/p",
			     expressions, 64);
	EXPECT_LE(25, count);
	ASSERT_EQ(0, run("grep -c '\"expr\"' $DATA/listenq.dashboard.json"));
	EXPECT_EQ(count, atoi(output));
	/* By now there are several samples to make a rate of. */
	for (int i = 0; i < count; i++) {
		EXPECT_TRUE(lq_wait_until(has_data(expressions[i]))) {
			TH_LOG("%s: %s", expressions[i], output);
		}
	}
	end(prometheus);
	end(load);
}

TEST_HARNESS_MAIN
