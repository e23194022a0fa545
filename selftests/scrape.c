// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq -m --http: what a client of HTTP gets, and what one gets that is slow, rude, or
 * many; and, where systemd runs, listenq-http.socket with a real Prometheus.
 */

#define _GNU_SOURCE
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "samples.h"
#include "prometheus.h"
#include "servers.h"

#define PORT		9936
#define FOLDER		"/tmp/listenq-scrape"

/* ---- a request on standard input ---- */

FIXTURE(request)
{
};

FIXTURE_SETUP(request)
{
	LQ_SKIP_FOR(enter_folder());
	write_sample();
}

FIXTURE_TEARDOWN(request)
{
	run("rm -rf %s", folder);
}

/* What is asked, which is printf's format, and the line that the answer begins with. */
#define ask(request)							\
	run("printf '" request "' | LC_ALL=C %s -m --http --proc . 2>&1", tool_path())

static bool answers(const char *status)
{
	char line[128];

	snprintf(line, sizeof(line), "HTTP/1.1 %s\r\n", status);
	if (!strncmp(output, line, strlen(line)) &&
	    strstr(output, "\r\nConnection: close\r\n"))
		return true;
	printf("# not '%s': %.300s\n", status, output);
	return false;
}

/* The bytes behind the header; NULL where Content-Length says something else. */
static const char *content(void)
{
	const char *length = strstr(output, "\r\nContent-Length: ");
	const char *text = strstr(output, "\r\n\r\n");

	if (!length || !text || length > text ||
	    strlen(text + 4) != strtoul(length + 18, NULL, 10))
		return NULL;
	return text + 4;
}

/*
 * Take from @text the only figures that two reads of the same files need not have in
 * common: the file says how long ago an overflow was, the sample at which second.
 */
static void forget_times(char *text)
{
	char *at;

	while ((at = strstr(text, "\nlistenq_last_overflow_timestamp_seconds{"))) {
		size_t length = strcspn(at + 1, "\n") + 1;

		memmove(at, at + length, strlen(at + length) + 1);
	}
}

TEST_F(request, metrics)
{
	const char *at;
	char *text;

	EXPECT_RUN(DONE, ask("GET /metrics HTTP/1.1\\r\\nHost: a\\r\\nAccept: */*\\r\\n\\r\\n"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_TRUE(says("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	at = content();
	ASSERT_NE(NULL, at);
	/* The same as without a client. */
	text = strdup(at);
	EXPECT_RUN(DONE, tool("-m --proc ."));
	EXPECT_EQ(1, samples("listenq_last_overflow_timestamp_seconds"));
	forget_times(text);
	forget_times(output);
	EXPECT_STREQ(text, output);
	EXPECT_TRUE(says("listenq_up 1\n"));

	/* What else is a request for them. */
	EXPECT_RUN(DONE, ask("GET /metrics HTTP/1.0\\r\\n\\r\\n"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_RUN(DONE, ask("GET /metrics?collect=a HTTP/1.1\\r\\n\\r\\n"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_RUN(DONE, ask("GET /metrics HTTP/1.1\\n\\n"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_RUN(DONE, ask("HEAD /metrics HTTP/1.1\\r\\n\\r\\n"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_EQ(0, strcmp(strstr(output, "\r\n\r\n"), "\r\n\r\n"));
	EXPECT_EQ(NULL, strstr(output, "\r\nContent-Length: 0\r\n"));

	EXPECT_RUN(DONE, run("printf 'GET /metrics HTTP/1.1\\r\\n\\r\\n' |\n"
			     "%s --metrics=openmetrics --http --proc .", tool_path()));
	EXPECT_TRUE(says("\r\nContent-Type: application/openmetrics-text; version=1.0.0;"));
	EXPECT_TRUE(says("\n# EOF\n"));
	EXPECT_NE(NULL, content());
}

TEST_F(request, refused)
{
	static const struct {
		const char *request, *status;
	} requests[] = {
		{ "GET / HTTP/1.1\\r\\n\\r\\n", "404 Not Found" },
		{ "GET /metrics/ HTTP/1.1\\r\\n\\r\\n", "404 Not Found" },
		{ "GET /../metrics HTTP/1.1\\r\\n\\r\\n", "404 Not Found" },
		{ "POST / HTTP/1.1\\r\\n\\r\\n", "404 Not Found" },
		{ "POST /metrics HTTP/1.1\\r\\nContent-Length: 1\\r\\n\\r\\nx",
		  "405 Method Not Allowed" },
		{ "get /metrics HTTP/1.1\\r\\n\\r\\n", "405 Method Not Allowed" },
		{ "GET /metrics\\r\\n\\r\\n", "400 Bad Request" },
		{ "GET /metrics HTTP/2\\r\\n\\r\\n", "400 Bad Request" },
		{ "\\r\\n\\r\\n", "400 Bad Request" },
		{ "GET /met\\0rics HTTP/1.1\\r\\n\\r\\n", "400 Bad Request" },
		{ "\\026\\003\\001\\002\\000\\001", "400 Bad Request" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		EXPECT_RUN(DONE, run("printf '%s' | %s -m --http --proc . 2>&1",
				     requests[i].request, tool_path()));
		EXPECT_TRUE(answers(requests[i].status)) {
			TH_LOG("%s", requests[i].request);
		}
		EXPECT_NE(NULL, content());
	}
	EXPECT_RUN(DONE, ask("POST /metrics HTTP/1.1\\r\\n\\r\\n"));
	EXPECT_TRUE(says("\r\nAllow: GET, HEAD\r\n"));
	EXPECT_RUN(DONE, run("{ echo GET / HTTP/1.1; head -c 9000 /dev/zero | tr '\\0' a; } |\n"
			     "%s -m --http --proc . 2>&1", tool_path()));
	EXPECT_TRUE(answers("431 Request Header Fields Too Large"));
	/* Nobody is there any more: no answer. */
	EXPECT_OUTPUT("", ask("GET /metrics HTTP/1.1\\r\\n"));
	EXPECT_OUTPUT("", run("%s -m --http --proc . </dev/null 2>&1", tool_path()));
}

/* It does not wait for ever; nor is a client that has gone a failure. */
TEST_F(request, slow)
{
	long long start = lq_now_ms();

	EXPECT_RUN(DONE, run("{ printf 'GET /met'; sleep 60; } |\n"
			     "{ %s -m --http --proc . 2>&1; kill $(pidof sleep); }",
			     tool_path()));
	EXPECT_TRUE(answers("408 Request Timeout"));
	EXPECT_GT(20000, lq_now_ms() - start);
	EXPECT_RUN(DONE, run("{ printf 'GET /metrics HTTP/1.1\\r\\n\\r\\n'; } |\n"
			     "{ %s -m --http --proc . 2>&1; echo $? >status; } | true; cat status",
			     tool_path()));
	EXPECT_STREQ("0\n", output);
}

/* That there is nothing to be read is told as in the file. */
TEST_F(request, no_module)
{
	EXPECT_RUN(TROUBLE, run("printf 'GET /metrics HTTP/1.1\\r\\n\\r\\n' |\n"
				"%s -m --http --proc /nowhere 2>/dev/null", tool_path()));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_TRUE(says("\nlistenq_up 0\n"));

	EXPECT_TROUBLE(tool("--http </dev/null"));
	EXPECT_TROUBLE(tool("-m --http -o file </dev/null"));
}

/* ---- the socket of systemd ---- */

FIXTURE(scraped)
{
};

FIXTURE_SETUP(scraped)
{
	LQ_SKIP_FOR(lq_setup_units() ?: lacks("prometheus") ?: lacks("curl"));
	must("rm -rf " FOLDER "; mkdir " FOLDER "; systemctl start listenq-http.socket 2>&1");
}

FIXTURE_TEARDOWN(scraped)
{
	run("systemctl stop listenq-http.socket 'listenq-http@*.service' 2>&1; rm -rf " FOLDER);
}

static int connect_there(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&addr, sizeof(addr)))
		err(1, "port %d", PORT);
	return fd;
}

static int fetch(const char *path)
{
	return run("curl -s -S -m 30 -D - http://127.0.0.1:%d%s 2>&1", PORT, path);
}

static long long instances(void)
{
	return number("systemctl show --value -p NConnections listenq-http.socket");
}

/* What the unit may do is enough, and no process is there afterwards. */
TEST_F_TIMEOUT(scraped, by_curl, SLOW_TIMEOUT)
{
	int fd = lq_listener(AF_INET, 5);
	char line[128];

	EXPECT_RUN(0, fetch("/metrics"));
	EXPECT_TRUE(answers("200 OK"));
	EXPECT_TRUE(says("\nlistenq_up 1\n"));
	snprintf(line, sizeof(line), ",address=\"127.0.0.1\",port=\"%d\"", lq_port(fd));
	EXPECT_EQ(5, sample("listenq_backlog_limit", line));
	EXPECT_FALSE(isnan(sample("listenq_backlog_limit",
				  ",address=\"127.0.0.1\",port=\"9936\"")));
	EXPECT_RUN(0, fetch("/"));
	EXPECT_TRUE(answers("404 Not Found"));
	EXPECT_TRUE(lq_wait_until(!instances()));
	EXPECT_EQ(1, run("systemctl --failed --no-legend | grep listenq"));
	EXPECT_STREQ("", output);
}

/*
 * Clients that send nothing, or take nothing, are let go; while they are there, others
 * are served, until there are as many as the unit allows, and after that again.
 */
TEST_F_TIMEOUT(scraped, slow_clients, SLOW_TIMEOUT)
{
	int fds[12], accepted;

	for (int i = 0; i < 3; i++)
		fds[i] = connect_there();
	EXPECT_RUN(0, fetch("/metrics"));
	EXPECT_TRUE(says("\nlistenq_up 1\n"));
	for (int i = 3; i < 12; i++)
		fds[i] = connect_there();
	/* Eight of one source: the others were refused, as is one more. */
	EXPECT_NE(0, fetch("/metrics"));
	accepted = instances();
	EXPECT_GE(8, accepted);
	EXPECT_LT(0, accepted);
	EXPECT_EQ(0, run("systemctl is-active listenq-http.socket"));
	EXPECT_TRUE(lq_wait_until(!instances()));
	EXPECT_RUN(0, fetch("/metrics"));
	EXPECT_TRUE(says("\nlistenq_up 1\n"));
	for (int i = 0; i < 12; i++)
		close(fds[i]);
}

/* Prometheus scrapes it, and has what happens. */
TEST_F_TIMEOUT(scraped, by_prometheus, SLOW_TIMEOUT)
{
	pid_t prometheus;

	full_listener(2);
	prometheus = start_prometheus(FOLDER, SCRAPE_EVERY(5));
	EXPECT_TRUE(lq_wait_until(has_data("up{job=\"listenq\"} == 1"))) {
		run("tail -n 5 " FOLDER "/prometheus.log");
		TH_LOG("%s", output);
	}
	EXPECT_TRUE(lq_wait_until(has_data("listenq_overflows_total > 0"))) {
		TH_LOG("%s", output);
	}
	lq_kill(prometheus);
}

TEST_HARNESS_MAIN
