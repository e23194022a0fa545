// SPDX-License-Identifier: GPL-2.0-only
/*
 * Documentation/recipes.rst: for each recipe, the situation that it is for, and then its
 * commands one after the other as they stand there. Each must print what the page shows
 * of it. LISTENQ_RECIPES is where the page is, else it is looked for nearby.
 *
 * It starts and stops what belongs to the machine, and sets its clock: for a VM.
 */

#define _GNU_SOURCE
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "kselftest_harness.h"
#include "prometheus.h"
#include "servers.h"

/* Go's programs, and podman, start slowly where the processor is emulated. */
#undef SLOW_TIMEOUT
#define SLOW_TIMEOUT	400

#define FOLDER		"/run/listenq-recipes"
#define PORT		8080
/* What nginx asks for there. */
#define BACKLOG		16

/* A pod's cgroup, as the kubelet and containerd call it. */
#define UID	"0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"
#define UID_	"0d1e2f30_4152_6374_8596_a7b8c9d0e1f2"
#define ID	"3f2a1b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708"
#define SLICE	"/sys/fs/cgroup/kubepods.slice/kubepods-pod" UID_ ".slice"
#define SCOPE	SLICE "/cri-containerd-" ID ".scope"
#define ROOT	FOLDER "/root"
/* Where podman is told to store. */
#define STORAGE	"/etc/containers/storage.conf"

/* ---- the page ---- */

static struct {
	FILE *file;
	/* The next command, and what the page shows of its output. */
	char command[1024], shown[8192];
	/* What stands there for a number that nobody knows beforehand. */
	char pid[16];
} page;

static FILE *open_file(void)
{
	static const char * const places[] = {
		"recipes.rst", "../Documentation/recipes.rst",
	};
	const char *name = getenv("LISTENQ_RECIPES");
	FILE *file = name ? fopen(name, "r") : NULL;

	for (size_t i = 0; !file && i < ARRAY_SIZE(places); i++)
		file = fopen(places[i], "r");
	if (!file)
		err(1, "recipes.rst");
	return file;
}

/* At the recipe of that label. */
static void open_recipe(const char *label)
{
	char wanted[64], line[256];

	snprintf(wanted, sizeof(wanted), ".. _%s:\n", label);
	rewind(page.file);
	page.pid[0] = '\0';
	while (fgets(line, sizeof(line), page.file))
		if (!strcmp(line, wanted))
			return;
	errx(1, "recipes.rst: no label '%s'", label);
}

static bool is_prompt(const char *line)
{
	return !strncmp(line, "    # ", 6) || !strncmp(line, "    $ ", 6);
}

/* Of a block of code; one ends where a line of text begins. */
static bool is_code(const char *line)
{
	return *line == '\n' || !strncmp(line, "    ", 4);
}

static void add(char *text, size_t size, const char *line)
{
	if (strlen(text) + strlen(line) >= size)
		errx(1, "recipes.rst: too long: %s", line);
	strcat(text, line);
}

#define ADD(text, line)	add(text, sizeof(text), line)

/* PID in a command stands for a number. */
static void fill_in(void)
{
	char *at = page.pid[0] ? strstr(page.command, "PID") : NULL, rest[256];

	if (!at)
		return;
	snprintf(rest, sizeof(rest), "%s", at + 3);
	*at = '\0';
	ADD(page.command, page.pid);
	ADD(page.command, rest);
}

/* False where the recipe has no more. */
static bool next_command(void)
{
	char line[1024];
	bool more = false;
	long at;

	page.command[0] = '\0';
	page.shown[0] = '\0';
	while (at = ftell(page.file), fgets(line, sizeof(line), page.file)) {
		if (!strncmp(line, ".. _", 4) ||
		    (page.command[0] && !more &&
		     (is_prompt(line) || !is_code(line)))) {
			fseek(page.file, at, SEEK_SET);
			break;
		}
		if (is_prompt(line) || more) {
			ADD(page.command, line + (more ? 4 : 6));
			more = !!strstr(line, "\\\n");
		} else if (page.command[0]) {
			ADD(page.shown, line);
		}
	}
	page.command[strcspn(page.command, "\n")] =
		strstr(page.command, "\\\n") ? '\n' : '\0';
	fill_in();
	return page.command[0];
}

static void tell(const char *what, const char *text)
{
	printf("# %s", what);
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n' && text[1])
			printf("#   ");
	}
	printf("\n");
}

/*
 * Runs the recipe's next command, which begins with @begin, and must end with @status;
 * each of the other strings is in what it prints, and in what the page shows of it.
 */
static void step(struct __test_metadata *_metadata, int status,
		 const char *begin, ...)
{
	const char *text;
	va_list args;
	int ended;

	ASSERT_TRUE(next_command()) {
		TH_LOG("the page has no more commands, and should have %s",
		       begin);
	}
	ASSERT_EQ(0, strncmp(page.command, begin, strlen(begin))) {
		TH_LOG("the page has '%s', not %s", page.command, begin);
	}
	ended = run("{ %s\n} 2>&1", page.command);
	tell("runs: ", page.command);
	tell("      ", output);
	EXPECT_EQ(status, ended) {
		TH_LOG("%s: %d\n%.2000s", page.command, ended, output);
	}
	va_start(args, begin);
	while ((text = va_arg(args, const char *))) {
		EXPECT_NE(NULL, strstr(output, text)) {
			TH_LOG("%s: no '%s' in\n%.2000s", page.command, text,
			       output);
		}
		EXPECT_NE(NULL, strstr(page.shown, text)) {
			TH_LOG("%s: the page does not show '%s'", page.command,
			       text);
		}
	}
	va_end(args);
}

#define STEP(...)	step(_metadata, __VA_ARGS__, NULL)

/* All of them were run; if not, the next one is shown. */
static bool is_done(void)
{
	if (!next_command())
		return true;
	printf("# nobody has run '%s'\n", page.command);
	return false;
}

/* ---- what the recipes are for ---- */

/* php8.4-fpm, its socket, and what is added to its pool. */
static char unit[32], pool[64], path[64];

static long long clock_ahead;

static void set_clock(long long seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += seconds;
	clock_ahead += seconds;
	if (clock_settime(CLOCK_REALTIME, &now))
		err(1, "clock_settime");
}

static void clean_up(void)
{
	run("pkill -CONT -x nginx; systemctl stop nginx %s listenq-http.socket 2>&1", unit);
	run("systemctl reset-failed 2>&1");
	run("[ ! -e " STORAGE " ] || podman pod rm -f -t 0 shop 2>&1");
	run("rmdir " SCOPE " " SLICE " 2>&1");
	run("rm -rf " NGINX_CONF " %s " FOLDER " /root/0314* " STORAGE, pool);
	run("{ for ip in 192.0.2.1 203.0.113.7 198.51.100.9; do\n"
	    "ip address delete $ip/32 dev lo; done; } 2>&1");
	run("sysctl -q net.ipv4.tcp_migrate_req=0");
	lq_clamp("flush");
	if (clock_ahead)
		set_clock(-clock_ahead);
}

static const char *set_up(void)
{
	static const char * const programs[] = {
		"listenq", "nginx", "wrk", "curl", "busybox", "podman",
		"prometheus", "promtool",
	};
	const char *why = lq_setup_units();

	for (size_t i = 0; !why && i < ARRAY_SIZE(programs); i++)
		why = lacks(programs[i]);
	if (why)
		return why;
	if (run("ls /etc/php 2>&1"))
		return "no php-fpm";
	output[strcspn(output, "\n")] = '\0';
	snprintf(unit, sizeof(unit), "php%.8s-fpm", output);
	snprintf(pool, sizeof(pool), "/etc/php/%.8s/fpm/pool.d/zz-listenq.conf",
		 output);
	snprintf(path, sizeof(path), "/run/php/php%.8s-fpm.sock", output);
	clean_up();
	if (mkdir(FOLDER, 0755))
		err(1, FOLDER);
	page.file = open_file();
	/* As the page shows it. */
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("COLUMNS", "88", 1);
	return NULL;
}

FIXTURE(recipes)
{
};

FIXTURE_SETUP(recipes)
{
	LQ_SKIP_FOR(set_up());
}

FIXTURE_TEARDOWN(recipes)
{
	clean_up();
}

/* nginx on PORT with a queue that somebody has made short. */
static void start_nginx(int backlog)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "server {\n"
		 "	listen %d backlog=%d;\n"
		 "	location / { return 200 \"ok\\n\"; }\n"
		 "}\n", PORT, backlog);
	write_text(NGINX_CONF, text);
	must("systemctl start nginx || { journalctl -n 20 -u nginx; false; }");
}

/* Of the listener of PORT. */
static long long of_port(const char *col)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "local", "0.0.0.0:8080");
	long long value = row < 0 ? LQ_NONE : lq_cell_num(table, row, col);

	lq_free(table);
	return value;
}

/* The same of php-fpm's socket. */
static long long of_socket(const char *col)
{
	struct lq_table *table = lq_read(LQ_UNIX);
	int row = lq_find(table, "path", path);
	long long value = row < 0 ? LQ_NONE : lq_cell_num(table, row, col);

	lq_free(table);
	return value;
}

TEST_F_TIMEOUT(recipes, php_fpm, SLOW_TIMEOUT)
{
	long long eagains;
	pid_t wrk;

	write_text(FOLDER "/slow.php", "<?php usleep(200000); echo \"seen\\n\";\n");
	write_text(pool,
		   "[www]\n"
		   "listen.backlog = 16\n"
		   "pm = static\n"
		   "pm.max_children = 2\n");
	write_text(FOLDER "/conf",
		   "server {\n"
		   "	listen 127.0.0.1:8080;\n"
		   "	location / {\n"
		   "		include fastcgi_params;\n"
		   "		fastcgi_param SCRIPT_FILENAME " FOLDER "/slow.php;\n"
		   "		fastcgi_pass unix:SOCKET;\n"
		   "	}\n"
		   "}\n");
	must("sed 's|SOCKET|%s|' " FOLDER "/conf >" NGINX_CONF, path);
	must("rm -f /var/log/nginx/error.log; systemctl start %s nginx", unit);
	wrk = load(PORT, 60);
	ASSERT_TRUE(lq_wait_until(of_socket("eagains") > 100));
	EXPECT_TRUE(lq_wait_until(!run("curl -s -m 20 -o /dev/null -w '%%{http_code}' http://127.0.0.1:8080/") &&
				  !strcmp(output, "502")));

	open_recipe("recipe-502");
	STEP(0, "grep -c");
	EXPECT_LT(100, atoll(output));
	STEP(0, "listenq --unix", "php-fpm8.4", path);
	STEP(1, "listenq explain", "[slow]", path, "calls of connect() got EAGAIN");
	lq_kill(wrk);
	ASSERT_TRUE(lq_wait_until(!of_socket("acceptq")));

	/* More children, as the page says; the rule is for what bursts are left. */
	must("sed -i 's/max_children = 2/max_children = 20/' %s; systemctl reload %s", pool, unit);
	STEP(0, "listenq clamp unix:");
	STEP(0, "listenq --unix", "1024r", path);
	eagains = of_socket("eagains");
	wrk = load(PORT, 60);
	EXPECT_TRUE(lq_wait_until(of_socket("acceptq_peak") > BACKLOG + 1));
	lq_kill(wrk);
	EXPECT_EQ(eagains, of_socket("eagains"));
	EXPECT_TRUE(is_done());
}

/* A client from @address, until it has got its page. */
static pid_t client_from(const char *address)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	execlp("curl", "curl", "-s", "-o", "/dev/null", "--interface", address,
	       "-m", "60", "http://192.0.2.1:8080/", NULL);
	err(1, "curl");
}

TEST_F_TIMEOUT(recipes, client, SLOW_TIMEOUT)
{
	pid_t clients[BACKLOG + 3];
	int i;

	must("set -e; for ip in 192.0.2.1 203.0.113.7 198.51.100.9; do\n"
	     "ip address add $ip/32 dev lo; done");
	start_nginx(BACKLOG);
	/* The program hangs; its queue fills up, and two more find it full. */
	must("pkill -STOP -x nginx");
	for (i = 0; i <= BACKLOG; i++) {
		clients[i] = client_from("198.51.100.9");
		ASSERT_TRUE(lq_wait_until(of_port("acceptq") == i + 1));
	}
	clients[i++] = client_from("198.51.100.9");
	clients[i++] = client_from("203.0.113.7");
	/* Each again after a second. */
	ASSERT_TRUE(lq_wait_until(of_port("overflows") >= 4));
	must("pkill -CONT -x nginx");
	/* Who was turned away has only waited. */
	while (i)
		EXPECT_EQ(0, lq_reap(clients[--i]));

	open_recipe("recipe-client");
	STEP(0, "listenq log | grep", "0.0.0.0:8080 203.0.113.7:", "acceptq-syn", "nginx");
	EXPECT_LE(2, lines(output));
	STEP(0, "listenq -p 8080 log --top", "203.0.113.0/24", "198.51.100.0/24", "acceptq-syn");
	STEP(1, "listenq explain -p 8080", "[burst-asked]");
	STEP(0, "cat /proc/net/listenq/drops");
	EXPECT_TRUE(is_done());
}

#define WORKERS		8
/* Where connections that they have closed keep nobody else from listening. */
#define WORKERS_PORT	8081
#define CLIENTS	(10 * WORKERS)

/* A worker that answers, or that hangs after its first client. */
static pid_t worker(bool hangs)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nok\n";
	pid_t pid = lq_fork();
	int fd, client;

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "worker");
	fd = lq_bound_shared(AF_INET, "0.0.0.0", WORKERS_PORT);
	lq_listen(fd, 511);
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		if (hangs)
			pause();
		if (write(client, answer, strlen(answer)) < 0)
			break;
		close(client);
	}
	_exit(1);
}

static int listeners(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int count = 0;

	for (int i = 0; i < table->nrows; i++)
		count += !strcmp("0.0.0.0:8081", lq_cell(table, i, "local"));
	lq_free(table);
	return count;
}

/* How many of the clients have something to read; -1: one was reset. */
static int answered(const int *clients)
{
	int count = 0;
	char byte;

	for (int i = 0; i < CLIENTS; i++) {
		ssize_t got = recv(clients[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (got < 0 && errno != EAGAIN)
			return -1;
		count += got == 1;
	}
	return count;
}

TEST_F_TIMEOUT(recipes, worker, SLOW_TIMEOUT)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", WORKERS_PORT);
	int clients[CLIENTS], waiting;
	pid_t workers[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		workers[i] = worker(!i);
	ASSERT_TRUE(lq_wait_until(listeners() == WORKERS));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_EQ(0, connect(clients[i], &addr.sa, addr.len));
	}
	sleep(2);
	waiting = CLIENTS - answered(clients);
	ASSERT_LT(2, waiting);

	open_recipe("recipe-worker");
	snprintf(page.pid, sizeof(page.pid), "%d", workers[0]);
	STEP(0, "listenq -g -p 8081", "0.0.0.0:8081", "FULLEST", "worker", "     8");
	STEP(0, "listenq -p 8081", "0.0.0.0:8081", "worker", "OLDEST");
	EXPECT_EQ(1 + WORKERS, lines(output));
	STEP(1, "listenq explain -p 8081", "[group-starved]", "worker");
	EXPECT_TRUE(says(page.pid));
	STEP(0, "sysctl net.ipv4.tcp_migrate_req=1", "net.ipv4.tcp_migrate_req = 1");
	STEP(0, "kill");
	lq_reap(workers[0]);
	/* All but the one that it had accepted, or none where it is reset. */
	for (int i = 0; i < CLIENTS; i++) {
		struct pollfd wait = { .fd = clients[i], .events = POLLIN };

		EXPECT_EQ(1, poll(&wait, 1, 60000));
	}
	STEP(0, "listenq -g -p 8081", "0.0.0.0:8081", "     7");
	EXPECT_TRUE(is_done());
	EXPECT_EQ(0, run("listenq log | grep closed | wc -l"));
	EXPECT_STREQ("0\n", output);
	for (int i = 1; i < WORKERS; i++)
		lq_kill(workers[i]);
}

/* A server in a cgroup, and a network, that are a pod's by their names. */
static pid_t kubernetes_pod(void)
{
	pid_t pid;

	must("mkdir -p " SCOPE " " FOLDER "/bin");
	write_text(FOLDER "/bin/kubectl",
		   "#!/bin/sh\n"
		   "[ \"$*\" = 'get pod web -o jsonpath={.metadata.uid}' ] || exit\n"
		   "printf %s " UID "\n");
	must("chmod +x " FOLDER "/bin/kubectl");
	setenv("PATH", FOLDER "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", 1);
	pid = lq_fork();
	if (pid)
		return pid;
	execl("/bin/sh", "sh", "-c", "echo $$ >" SCOPE "/cgroup.procs\n"
	      "exec unshare --net busybox httpd -f -p 8080", NULL);
	err(1, "sh");
}

/* A real pod, of podman: two containers with one network. */
static void podman_pod(void)
{
	/* The VM's disk is an overlay already. */
	write_text(STORAGE,
		   "[storage]\n"
		   "driver = \"vfs\"\n"
		   "runroot = \"/run/containers/storage\"\n"
		   "graphroot = \"" FOLDER "/storage\"\n");
	must("mkdir -p " ROOT "/bin; cp $(command -v busybox) " ROOT "/bin/busybox");
	must("tar -C " ROOT " -c bin | podman import -q - localhost/pause 2>&1");
	must("podman pod create --name shop --network none \\\n"
	     "--infra-image localhost/pause --infra-command '/bin/busybox sleep 100000' 2>&1");
	must("podman run -d --pod shop --name cart --read-only \\\n"
	     "--rootfs " ROOT " /bin/busybox httpd -f -p 7072 2>&1");
}

TEST_F_TIMEOUT(recipes, pod, SLOW_TIMEOUT)
{
	pid_t pid = kubernetes_pod();

	podman_pod();
	ASSERT_TRUE(lq_wait_until(!run("listenq -a -p 7072 | grep 7072")));
	ASSERT_TRUE(lq_wait_until(!run("listenq -N %d -p 8080 | grep 8080", pid)));

	open_recipe("recipe-pod");
	STEP(0, "listenq -N $(kubectl get pod web", ":8080", "busybox");
	STEP(0, "listenq -a -U $(kubectl get pod web", ":8080", "busybox");
	STEP(0, "listenq -N 3f2a1b4c5d6e explain", ":8080");
	STEP(0, "listenq -N $(kubectl get pod web", "8080 floor 1024");
	STEP(0, "listenq -N $(podman ps", ":7072");
	EXPECT_TRUE(is_done());
	/* Its other container leads to the same place, and has no listener. */
	must("podman pod inspect -f '{{.InfraContainerID}}' shop");
	output[12] = '\0';
	strcpy(page.pid, output);
	must("listenq -N %s", page.pid);
	EXPECT_TRUE(says(":7072"));
	must("podman pod rm -f -t 0 shop 2>&1");
	lq_kill(pid);
}

/* So few that nginx can't accept in time whatever it does. */
#define FEW	4

TEST_F_TIMEOUT(recipes, load_test, SLOW_TIMEOUT)
{
	long long overflows;

	start_nginx(FEW);
	open_recipe("recipe-load");
	STEP(0, "sysctl net.core", "net.core.somaxconn = 4096", "net.ipv4.tcp_syncookies = 1");
	STEP(0, "listenq -p 8080", "0.0.0.0:8080", "nginx");
	STEP(0, "listenq clamp --dry-run 8080 floor 1024", "1024", "8080 floor 1024");
	EXPECT_EQ(FEW, of_port("limit"));
	must("curl -fsS http://127.0.0.1:8080/");
	EXPECT_EQ(1, of_port("acceptq_peak"));
	STEP(0, "echo reset");
	EXPECT_EQ(0, of_port("acceptq_peak"));
	STEP(0, "wrk", "Requests/sec");
	EXPECT_EQ(NULL, strstr(output, "Non-2xx"));
	overflows = of_port("overflows");
	EXPECT_LT(0, overflows);
	STEP(0, "listenq -p 8080", "OVF", "PEAK", "nginx");
	STEP(1, "listenq -p 8080 --check", "LISTENQ WARNING", "0.0.0.0:8080");
	STEP(0, "listenq -t", "SYNs ", "accept queue full");
	STEP(0, "listenq clamp 8080 floor 1024");
	/* One more where a request failed after it was let in. */
	EXPECT_LE(FEW + 1, of_port("acceptq_peak"));
	EXPECT_GE(FEW + 2, of_port("acceptq_peak"));
	must("wrk -t1 -c200 -d10s -H 'Connection: close' http://127.0.0.1:8080/");
	EXPECT_LT(FEW + 2, of_port("acceptq_peak"));
	EXPECT_EQ(overflows, of_port("overflows"));
	EXPECT_TRUE(is_done());
}

/*
 * Long enough before 3:14 for Prometheus to start. Never back: journalctl looks for a
 * time as if later entries were later.
 */
static void before_the_outage(void)
{
	time_t now = time(NULL);
	struct tm tm = *localtime(&now);

	tm.tm_hour = 3;
	tm.tm_min = 12;
	tm.tm_sec = 0;
	if (mktime(&tm) < now)
		tm.tm_mday++;
	set_clock(mktime(&tm) - now);
}

static bool is_three_fourteen(void)
{
	return !run("[ $(date +%%H%%M) -ge 0314 ]");
}

#define SAMPLES	"count_over_time(listenq_overflows_total{port=\"8080\"}[5m]) >= 2"
#define GREW	"increase(listenq_overflows_total{port=\"8080\"}[1m]) > 0"

TEST_F_TIMEOUT(recipes, outage, SLOW_TIMEOUT)
{
	pid_t prometheus, wrk;

	before_the_outage();
	start_nginx(BACKLOG);
	must("systemctl start listenq-http.socket");
	prometheus = start_prometheus(FOLDER, SCRAPE_EVERY(8));
	ASSERT_TRUE(lq_wait_until(has_data(SAMPLES)) ||
		    lq_wait_until(has_data(SAMPLES))) {
		run("tail -n 5 " FOLDER "/prometheus.log");
		TH_LOG("%s", output);
	}
	ASSERT_TRUE(lq_wait_until(is_three_fourteen()) ||
		    lq_wait_until(is_three_fourteen()));
	must("pkill -STOP -x nginx");
	wrk = load(PORT, 60);
	ASSERT_TRUE(lq_wait_until(of_port("overflows") > 100));
	must("pkill -CONT -x nginx");
	EXPECT_TRUE(lq_wait_until(of_port("accepts") > 100));
	lq_kill(wrk);
	ASSERT_TRUE(lq_wait_until(!of_port("acceptq")));
	ASSERT_TRUE(lq_wait_until(has_data(GREW)));

	open_recipe("recipe-outage");
	STEP(0, "listenq record /root/0314", "/root/0314");
	STEP(0, "listenq log >/root/0314.log");
	EXPECT_RUN(0, run("grep -c ' 03:1.*0.0.0.0:8080 .* acceptq-syn' /root/0314.log"));
	STEP(0, "journalctl -k", "0.0.0.0:8080 nginx[", "queue full, limit 16");
	STEP(0, "listenq log --top", "127.0.0.0/24", "acceptq-syn", "0.0.0.0:8080", " 03:1");
	STEP(0, "promtool query range", "port=\"8080\"", "process=\"nginx\"");
	STEP(1, "listenq --proc /root/0314 explain", "[burst-asked]");
	EXPECT_TRUE(is_done());
	kill(prometheus, SIGTERM);
	lq_reap(prometheus);
}

TEST_HARNESS_MAIN
