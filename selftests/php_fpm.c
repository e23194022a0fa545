// SPDX-License-Identifier: GPL-2.0-only
/*
 * nginx before php-fpm, as Debian has them: the Unix socket between them overflows under
 * load, which nginx' own log counts, too, and a rule mends it while both run. They
 * belong to the machine: this is for a VM.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "explanation.h"
#include "servers.h"

#define PORT		8083
#define SOCKET		"/run/php/listenq.sock"
#define PAGE		"/run/php/listenq.php"
#define BACKLOG		3
#define LOG		"/run/listenq-nginx.log"

/* php8.4-fpm, and its folder. */
static char unit[32], pool[64];

static void clean_up(void)
{
	run("systemctl stop nginx %s 2>&1; systemctl reset-failed 2>&1", unit);
	run("rm -f " NGINX_CONF " " PAGE " " LOG " %s", pool);
	lq_clamp("flush");
}

static const char *set_up(void)
{
	const char *why = lq_setup_units() ?: lacks("nginx") ?: lacks("wrk") ?:
			  lacks("listenq");

	if (why)
		return why;
	if (run("ls /etc/php 2>&1"))
		return "no php-fpm";
	output[strcspn(output, "\n")] = '\0';
	snprintf(unit, sizeof(unit), "php%.8s-fpm", output);
	snprintf(pool, sizeof(pool), "/etc/php/%.8s/fpm/pool.d/listenq.conf",
		 output);
	return NULL;
}

/* Of the socket's row. */
static long long of_socket(const char *col)
{
	struct lq_table *table = lq_read(LQ_UNIX);
	int row = lq_find(table, "path", SOCKET);
	long long value = row < 0 ? LQ_NONE : lq_cell_num(table, row, col);

	lq_free(table);
	return value;
}

/* How often nginx says that it got EAGAIN. */
static long long told_by_nginx(void)
{
	return number("grep -c 'connect() to unix:" SOCKET
		      " failed (11: Resource temporarily unavailable)' " LOG " || :");
}

/* As often as the row says, when those under way have come to an end. */
static bool agrees_with_nginx(void)
{
	return of_socket("eagains") == told_by_nginx();
}

FIXTURE(php_fpm)
{
};

FIXTURE_SETUP(php_fpm)
{
	char text[512];

	LQ_SKIP_FOR(set_up());
	write_text(PAGE, "<?php usleep(2000); echo \"seen\\n\";\n");
	snprintf(text, sizeof(text),
		 "[listenq]\n"
		 "user = www-data\n"
		 "group = www-data\n"
		 "listen = " SOCKET "\n"
		 "listen.owner = www-data\n"
		 "listen.backlog = %d\n"
		 "pm = static\n"
		 "pm.max_children = 2\n", BACKLOG);
	write_text(pool, text);
	write_text(NGINX_CONF,
		   "server {\n"
		   "	listen 127.0.0.1:8083;\n"
		   "	error_log " LOG ";\n"
		   "	location / {\n"
		   "		include fastcgi_params;\n"
		   "		fastcgi_param SCRIPT_FILENAME " PAGE ";\n"
		   "		fastcgi_pass unix:" SOCKET ";\n"
		   "	}\n"
		   "}\n");
	must("systemctl start %s nginx", unit);
}

FIXTURE_TEARDOWN(php_fpm)
{
	clean_up();
}

TEST_F_TIMEOUT(php_fpm, overflows_and_is_mended, SLOW_TIMEOUT)
{
	long long eagains, connects;
	pid_t wrk;

	EXPECT_EQ(BACKLOG, of_socket("asked"));
	EXPECT_EQ(BACKLOG, of_socket("limit"));
	EXPECT_EQ(main_pid(unit), of_socket("pid"));
	must("curl -fsS http://127.0.0.1:%d/", PORT);
	EXPECT_TRUE(says("seen"));
	EXPECT_EQ(0, of_socket("eagains"));
	EXPECT_EQ(1, of_socket("accepts"));

	wrk = load(PORT, 40);
	ASSERT_TRUE(lq_wait_until(of_socket("eagains") > 100));
	/* Who is told what is wrong is told the command that mends it. */
	EXPECT_EQ(1, run("listenq explain -A " SOCKET " -j"));
	EXPECT_TRUE(strstr(found(), "slow") || strstr(found(), "burst-asked")) {
		TH_LOG("%s", output);
	}
	lq_kill(wrk);
	ASSERT_TRUE(lq_wait_until(!of_socket("acceptq")));
	EXPECT_TRUE(lq_wait_until(agrees_with_nginx())) {
		TH_LOG("%lld, and nginx says %lld", of_socket("eagains"),
		       told_by_nginx());
	}
	/* Documentation/proc-net-listenq.rst says when it is 1 high. */
	EXPECT_LE(BACKLOG + 1, of_socket("acceptq_peak"));
	EXPECT_GE(BACKLOG + 2, of_socket("acceptq_peak"));
	EXPECT_TRUE(lq_wait_until(of_socket("connects") == of_socket("accepts")));
	EXPECT_EQ(1, run("listenq --check --unix -A " SOCKET));
	EXPECT_TRUE(says(SOCKET));

	/* The same load does no harm with the rule, and nobody was restarted. */
	must("listenq clamp unix:" SOCKET " floor 1024");
	EXPECT_EQ(1024, of_socket("limit"));
	eagains = of_socket("eagains");
	connects = of_socket("connects");
	wrk = load(PORT, 40);
	ASSERT_TRUE(lq_wait_until(of_socket("connects") > connects + 200));
	EXPECT_LT(BACKLOG + 1, of_socket("acceptq_peak"));
	lq_kill(wrk);
	EXPECT_EQ(eagains, of_socket("eagains"));
	EXPECT_EQ(eagains, told_by_nginx());
	EXPECT_EQ(main_pid(unit), of_socket("pid"));
}

TEST_HARNESS_MAIN
