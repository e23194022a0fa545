// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real servers, as Debian has them, started by systemd with their own units and
 * configuration: what they ask listen() for, what becomes of their listeners
 * when they are reloaded, and what rules do to them while they run. They belong
 * to the machine, not to a namespace of the test's: this is for a VM.
 */

#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/un.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "servers.h"

#define MAX_ROWS	64

/* Reading the file takes less. */
#define READ_MS		1000

#define SOMAXCONN_HERE	1000

/* What --check says of a queue that is full. */
#define FULLEST		"fullest 127.0.0.1:8081 nginx: accept queue 1 of 0"

#define NODE_SERVER	"require(\"net\").createServer()"

/* What the tests write; in the servers' own folders, named so. */
#define FOLDER		"/run/listenq"
#define HAPROXY_CONF	FOLDER "/haproxy.cfg"
#define HAPROXY_CONFS	"/etc/haproxy/haproxy.cfg -f " HAPROXY_CONF
#define HAPROXY_SOCKET	"/run/haproxy/admin.sock"
#define HAPROXY_DROPIN	"/run/systemd/system/haproxy.service.d"

/* ---- listeners, by their port ---- */

#define MOST_TEXT	80

struct row {
	char cookie[MOST_TEXT];
	char local[MOST_TEXT];
	char comm[MOST_TEXT];
	char rule[MOST_TEXT];
	long long pid;
	long long asked;
	long long granted;
	long long limit;
	long long syns;
	long long accepts;
	long long overflows;
	/* When the record was begun, by our clock. */
	long long begun_ms;
};

static int port_of(const char *local)
{
	return atoi(strrchr(local, ':') + 1);
}

static void copy(char to[MOST_TEXT], const struct lq_table *table, int row,
		 const char *col)
{
	snprintf(to, MOST_TEXT, "%s", lq_cell(table, row, col));
}

/* Those of the namespace whose files are below @proc, in the file's order. */
static int rows_below(const char *proc, int port, struct row rows[MAX_ROWS])
{
	long long now = lq_now_ms();
	struct lq_table *table;
	char path[64];
	int count = 0;

	snprintf(path, sizeof(path), "%s/net/listenq/sockets", proc);
	table = lq_read(path);
	for (int i = 0; i < table->nrows; i++) {
		struct row *row = &rows[count];

		if (port_of(lq_cell(table, i, "local")) != port)
			continue;
		if (++count == MAX_ROWS)
			errx(1, "too many listeners");
		copy(row->cookie, table, i, "cookie");
		copy(row->local, table, i, "local");
		copy(row->comm, table, i, "comm");
		copy(row->rule, table, i, "rule");
		row->pid = lq_cell_num(table, i, "pid");
		row->asked = lq_cell_num(table, i, "asked");
		row->granted = lq_cell_num(table, i, "granted");
		row->limit = lq_cell_num(table, i, "limit");
		row->syns = lq_cell_num(table, i, "syns");
		row->accepts = lq_cell_num(table, i, "accepts");
		row->overflows = lq_cell_num(table, i, "overflows");
		row->begun_ms = now - lq_cell_num(table, i, "since_ms");
	}
	lq_free(table);
	return count;
}

static int rows_at(int port, struct row rows[MAX_ROWS])
{
	return rows_below("/proc", port, rows);
}

static int count_at(int port)
{
	struct row rows[MAX_ROWS];

	return rows_at(port, rows);
}

/* Over all listeners there. */
static long long sum_at(int port, const char *col)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	long long sum = 0;

	for (int i = 0; i < table->nrows; i++)
		if (port_of(lq_cell(table, i, "local")) == port)
			sum += lq_cell_num(table, i, col);
	lq_free(table);
	return sum;
}

/* ss lists the same listeners at that port, with the same limits. */
static bool ss_agrees(int port)
{
	struct row rows[MAX_ROWS];
	int count = rows_at(port, rows), same = 0, listed = 0;
	struct lq_ss ss[256];
	int nss = lq_ss_listeners(ss, 256);

	for (int i = 0; i < nss; i++) {
		if (port_of(ss[i].local) != port)
			continue;
		listed++;
		for (int j = 0; j < count; j++)
			same += strtoull(rows[j].cookie, NULL, 16) ==
				ss[i].cookie && rows[j].limit == ss[i].sendq;
	}
	return same == count && listed == count;
}

static bool is_alive(long long pid)
{
	return !kill(pid, 0);
}

/* The children of a process, oldest first, as a string. */
static const char *workers_of(long long pid)
{
	static char text[4][256];
	static int next;
	char *to = text[next++ % 4];

	run("cat /proc/%lld/task/%lld/children 2>/dev/null", pid, pid);
	snprintf(to, sizeof(text[0]), "%.255s", output);
	return to;
}

/* What a server says to a question at its Unix socket. */
static const char *ask(const char *path, const char *question)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t length = 0;
	ssize_t got;

	strcpy(addr.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    write(fd, question, strlen(question)) < 0)
		err(1, "%s", path);
	while ((got = read(fd, output + length,
			   sizeof(output) - 1 - length)) > 0)
		length += got;
	output[length] = '\0';
	close(fd);
	return output;
}

static long long haproxy_maxconn(void)
{
	const char *at = strstr(ask(HAPROXY_SOCKET, "show info\n"),
				"\nMaxconn: ");

	if (!at)
		errx(1, "haproxy: no Maxconn");
	return atoll(at + 10);
}

/* ---- the machine before and after ---- */

#define UNITS	"nginx redis-server haproxy nfs-server rpcbind.socket " \
		"rpcbind lqjava lqnode lqinherits.socket lqinherits"

static int somaxconn;

static void clean_up(void)
{
	run("systemctl stop " UNITS " 2>&1; systemctl reset-failed 2>&1");
	run("rm -rf " FOLDER " " NGINX_CONF " " HAPROXY_DROPIN
	    " /run/systemd/system/lqinherits.*");
	lq_clamp("flush");
	lq_set_somaxconn(somaxconn);
}

/* Why a test can't run here. */
static const char *set_up(void)
{
	const char *why = lq_setup_units();

	if (why)
		return why;
	somaxconn = lq_read_number("/proc/sys/net/core/somaxconn");
	if (mkdir(FOLDER, 0755) && errno != EEXIST)
		err(1, FOLDER);
	return NULL;
}

/* ---- what they ask for ---- */

static void haproxy_conf(int backlog)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "frontend plain\n"
		 "	bind 127.0.0.1:8091\n"
		 "	http-request return status 200\n"
		 "frontend told\n"
		 "	bind 127.0.0.1:8092\n"
		 "	backlog %d\n"
		 "	http-request return status 200\n", backlog);
	write_text(HAPROXY_CONF, text);
}

/* Debian's configuration has defaults, and no frontend. */
static void start_haproxy(void)
{
	if (mkdir(HAPROXY_DROPIN, 0755) && errno != EEXIST)
		err(1, HAPROXY_DROPIN);
	write_text(HAPROXY_DROPIN "/listenq.conf",
		   "[Service]\n"
		   "Environment=\"CONFIG=" HAPROXY_CONFS "\"\n");
	haproxy_conf(300);
	must("systemctl daemon-reload");
	must("systemctl start haproxy");
}

static void start_java(void)
{
	must("systemd-run --quiet --unit=lqjava java -m jdk.httpserver -d / -p 7050");
}

static void start_node(void)
{
	must("systemd-run --quiet --unit=lqnode node -e '%s.listen(7511)'",
	     NODE_SERVER);
}

static long long redis_says(void)
{
	return number("redis-cli config get tcp-backlog | tail -n 1");
}

FIXTURE(asked)
{
};

FIXTURE_VARIANT(asked)
{
	const char *program;
	const char *unit;
	/* How, where it takes more than that. */
	void (*start)(void);
	int port;
	/* By its documentation; 0 where @says alone knows. */
	long long asked;
	/* What the server itself says. */
	long long (*says)(void);
	const char *comm;
	/* It forks after listen(), and the one that called it ends. */
	bool forks;
};

FIXTURE_VARIANT_ADD(asked, nginx)
{
	.program = "nginx", .unit = "nginx", .port = 80, .asked = 511,
	.comm = "nginx", .forks = true,
};

FIXTURE_VARIANT_ADD(asked, redis)
{
	.program = "redis-server", .unit = "redis-server", .port = 6379,
	.asked = 511, .says = redis_says, .comm = "redis-server",
};

FIXTURE_VARIANT_ADD(asked, haproxy)
{
	.program = "haproxy", .unit = "haproxy", .start = start_haproxy,
	.port = 8091, .says = haproxy_maxconn, .comm = "haproxy",
};

FIXTURE_VARIANT_ADD(asked, haproxy_backlog)
{
	.program = "haproxy", .unit = "haproxy", .start = start_haproxy,
	.port = 8092, .asked = 300, .comm = "haproxy",
};

FIXTURE_VARIANT_ADD(asked, nfsd)
{
	.program = "rpc.nfsd", .unit = "nfs-server", .port = 2049,
	.asked = SOMAXCONN, .comm = "rpc.nfsd", .forks = true,
};

FIXTURE_VARIANT_ADD(asked, java)
{
	.program = "java", .unit = "lqjava", .start = start_java,
	.port = 7050, .asked = 50, .comm = "java",
};

FIXTURE_VARIANT_ADD(asked, node)
{
	.program = "node", .unit = "lqnode", .start = start_node,
	.port = 7511, .asked = 511, .comm = "node",
};

FIXTURE_SETUP(asked)
{
	LQ_SKIP_FOR(set_up());
	LQ_SKIP_FOR(lacks(variant->program));
}

FIXTURE_TEARDOWN(asked)
{
	clean_up();
}

TEST_F_TIMEOUT(asked, for, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	long long asked, pid;
	int count;

	/* Below what some ask for. */
	lq_set_somaxconn(SOMAXCONN_HERE);
	if (variant->start)
		variant->start();
	else
		must("systemctl start %s", variant->unit);
	ASSERT_TRUE(lq_wait_until(count_at(variant->port) > 0) ||
		    lq_wait_until(count_at(variant->port) > 0));
	pid = main_pid(variant->unit);
	asked = variant->says ? variant->says() : variant->asked;
	EXPECT_TRUE(!variant->asked || variant->asked == asked);
	count = rows_at(variant->port, rows);
	for (int i = 0; i < count; i++) {
		TH_LOG("%s asked %lld granted %lld limit %lld pid %lld (main %lld) comm %s",
		       rows[i].local, rows[i].asked, rows[i].granted,
		       rows[i].limit, rows[i].pid, pid, rows[i].comm);
		EXPECT_EQ(asked, rows[i].asked);
		EXPECT_EQ(asked < SOMAXCONN_HERE ? asked : SOMAXCONN_HERE,
			  rows[i].granted);
		EXPECT_EQ(rows[i].granted, rows[i].limit);
		EXPECT_STREQ("-", rows[i].rule);
		EXPECT_STREQ(variant->comm, rows[i].comm);
		EXPECT_TRUE(variant->forks ? !is_alive(rows[i].pid) :
					     rows[i].pid == pid);
	}
	EXPECT_TRUE(ss_agrees(variant->port));
	must("systemctl stop %s", variant->unit);
	EXPECT_EQ(0, count_at(variant->port));
}

/* ---- while they run ---- */

FIXTURE(servers)
{
	/* While neither grows, figures are exact and no record is missing. */
	long long missed;
	long long unrecorded;
};

FIXTURE_SETUP(servers)
{
	LQ_SKIP_FOR(set_up());
	self->missed = lq_missed();
	self->unrecorded = lq_hook("unrecorded", "hits");
}

FIXTURE_TEARDOWN(servers)
{
	clean_up();
}

/*
 * Every listener of before is there, in the same order, and nobody else; its
 * record is the same one, and has counted on. The next call compares with this.
 */
static bool same_rows(struct row *before, int count, int port)
{
	struct row now[MAX_ROWS];

	if (rows_at(port, now) != count)
		return false;
	for (int i = 0; i < count; i++)
		if (strcmp(before[i].cookie, now[i].cookie) ||
		    strcmp(before[i].comm, now[i].comm) ||
		    strcmp(before[i].rule, now[i].rule) ||
		    before[i].pid != now[i].pid ||
		    before[i].asked != now[i].asked ||
		    before[i].granted != now[i].granted ||
		    before[i].limit != now[i].limit ||
		    before[i].syns > now[i].syns ||
		    before[i].accepts > now[i].accepts ||
		    before[i].overflows > now[i].overflows ||
		    llabs(before[i].begun_ms - now[i].begun_ms) > READ_MS)
			return false;
	memcpy(before, now, count * sizeof(*now));
	return true;
}

/* None of the processes whose numbers @text has. */
static bool none_alive(const char *text)
{
	char *end;

	for (;; text = end) {
		long pid = strtol(text, &end, 10);

		if (end == text)
			return true;
		if (is_alive(pid))
			return false;
	}
}

static bool accepts_grow(int port)
{
	long long before = sum_at(port, "accepts");

	return lq_wait_until(sum_at(port, "accepts") > before);
}

/* Nothing has changed; it is what ss says, and is served. */
static void check_goes_on(struct __test_metadata *_metadata, struct row *row,
			  int port)
{
	EXPECT_TRUE(same_rows(row, 1, port));
	EXPECT_TRUE(ss_agrees(port));
	EXPECT_TRUE(accepts_grow(port));
}

#define ANY	(-2)

/* Of each listener at @port; how many there are. */
static int check_at(struct __test_metadata *_metadata, int port,
		    long long asked, long long granted, long long limit)
{
	struct row rows[MAX_ROWS];
	int count = rows_at(port, rows);

	EXPECT_LT(0, count);
	for (int i = 0; i < count; i++) {
		if (asked != ANY)
			EXPECT_EQ(asked, rows[i].asked);
		EXPECT_EQ(granted, rows[i].granted);
		EXPECT_EQ(limit, rows[i].limit);
	}
	EXPECT_TRUE(ss_agrees(port));
	return count;
}

static int connect_to(int port)
{
	struct lq_addr addr = lq_addr(AF_INET, "127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, &addr.sa, addr.len))
		err(1, "connect to port %d", port);
	return fd;
}

static void nginx_conf(const char *parameters, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "server {\n"
		 "	listen 127.0.0.1:8081%s;\n"
		 "	%s\n"
		 "	return 200;\n"
		 "}\n", parameters, more);
	write_text(NGINX_CONF, text);
}

/* Reloads it and waits until only new workers are left. */
static bool reload_unit(const char *unit)
{
	const char *workers = workers_of(main_pid(unit));

	must("systemctl reload %s", unit);
	return *workers && lq_wait_until(none_alive(workers));
}

/* The only listener at @port, under @rule and under load. */
static pid_t begin_load(struct __test_metadata *_metadata, const char *rule,
			int port, int connections, struct row *row)
{
	pid_t wrk;

	ASSERT_EQ(0, lq_clamp(rule));
	wrk = load(port, connections);
	ASSERT_TRUE(accepts_grow(port));
	ASSERT_EQ(1, rows_at(port, row));
	return wrk;
}

/* It is gone with @unit, and there was a record of each all the time. */
static void finish(struct __test_metadata *_metadata, pid_t wrk,
		   const char *unit, int port, long long unrecorded)
{
	lq_kill(wrk);
	must("systemctl stop %s", unit);
	EXPECT_EQ(0, count_at(port));
	EXPECT_EQ(unrecorded, lq_hook("unrecorded", "hits"));
}

/* The sockets stay, and so does all that is known of them. */
TEST_F_TIMEOUT(servers, nginx_reloads, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS], group[MAX_ROWS];
	int workers = number("nproc");
	pid_t wrk;

	LQ_SKIP_FOR(lacks("nginx") ?: lacks("wrk"));
	nginx_conf("", "listen 127.0.0.1:8082 reuseport;");
	must("systemctl start nginx");
	wrk = begin_load(_metadata, "8081-8082 floor 2000", 8081, 16, rows);
	EXPECT_EQ(511, rows[0].asked);
	EXPECT_EQ(2000, rows[0].limit);
	EXPECT_STREQ("8081-8082", rows[0].rule);
	/* A listener for each worker. */
	ASSERT_EQ(workers, rows_at(8082, group));

	for (int i = 0; i < 2; i++) {
		ASSERT_TRUE(reload_unit("nginx"));
		check_goes_on(_metadata, rows, 8081);
		EXPECT_TRUE(same_rows(group, workers, 8082));
		EXPECT_TRUE(ss_agrees(8082));
	}

	/* Another backlog: it listens again, on the same socket. */
	nginx_conf(" backlog=100", "");
	ASSERT_TRUE(reload_unit("nginx"));
	EXPECT_EQ(0, count_at(8082));
	rows[0].asked = 100;
	rows[0].granted = 100;
	rows[0].pid = main_pid("nginx");
	check_goes_on(_metadata, rows, 8081);
	ASSERT_EQ(0, lq_clamp("flush"));
	EXPECT_TRUE(ss_agrees(8081));
	ASSERT_EQ(1, rows_at(8081, rows));
	EXPECT_EQ(100, rows[0].limit);

	finish(_metadata, wrk, "nginx", 8081, self->unrecorded);
}

/* Another program takes the sockets over: SIGUSR2, then SIGQUIT to the old. */
TEST_F_TIMEOUT(servers, nginx_is_upgraded, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	long long old;
	pid_t wrk;

	LQ_SKIP_FOR(lacks("nginx") ?: lacks("wrk"));
	nginx_conf("", "");
	must("systemctl start nginx");
	wrk = begin_load(_metadata, "8081 floor 2000", 8081, 16, rows);

	old = main_pid("nginx");
	kill(old, SIGUSR2);
	ASSERT_TRUE(lq_wait_until(!access("/run/nginx.pid.oldbin", F_OK) &&
				  !run("test -s /run/nginx.pid")));
	EXPECT_NE(old, lq_read_number("/run/nginx.pid"));
	EXPECT_TRUE(same_rows(rows, 1, 8081));
	kill(old, SIGQUIT);
	ASSERT_TRUE(lq_wait_until(!is_alive(old)));
	check_goes_on(_metadata, rows, 8081);

	finish(_metadata, wrk, "nginx", 8081, self->unrecorded);
}

/* The new worker gets the old one's sockets. */
TEST_F_TIMEOUT(servers, haproxy_reloads, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	long long master;
	pid_t wrk;

	LQ_SKIP_FOR(lacks("haproxy") ?: lacks("wrk"));
	start_haproxy();
	master = main_pid("haproxy");
	wrk = begin_load(_metadata, "8092 force 1000", 8092, 4, rows);
	EXPECT_EQ(300, rows[0].asked);
	EXPECT_EQ(1000, rows[0].limit);

	/* Not even another backlog makes it listen again. */
	for (int i = 0; i < 2; i++) {
		haproxy_conf(300 + i);
		ASSERT_TRUE(reload_unit("haproxy"));
		EXPECT_EQ(master, main_pid("haproxy"));
		check_goes_on(_metadata, rows, 8092);
	}

	finish(_metadata, wrk, "haproxy", 8092, self->unrecorded);
}

/*
 * Port 2049 is rpc.nfsd's, which hands it to the kernel: somaxconn clamps it. The
 * lock manager's is made by the kernel, and nothing clamps that.
 */
TEST_F_TIMEOUT(servers, nfsd, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	int lockd, count;

	LQ_SKIP_FOR(lacks("rpc.nfsd"));
	lq_set_somaxconn(50);
	must("systemctl start nfs-server");
	lockd = number("rpcinfo -p | awk '$5 == \"nlockmgr\" && $3 == \"tcp\" { print $4; exit }'");
	count = check_at(_metadata, lockd, 64, 64, 64);
	ASSERT_EQ(count, rows_at(lockd, rows));
	for (int i = 0; i < count; i++)
		EXPECT_STREQ("rpc.nfsd", rows[i].comm);

	ASSERT_EQ(0, lq_clamp("2049 floor 1024"));
	check_at(_metadata, 2049, ANY, 50, 1024);
	must("systemctl stop nfs-server");
	EXPECT_EQ(0, count_at(2049));
	EXPECT_EQ(0, count_at(lockd));
}

/* As the warning says; then without a restart. */
TEST_F_TIMEOUT(servers, redis_backlog_is_enforced, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	char id[64];
	int count;

	LQ_SKIP_FOR(lacks("redis-server"));
	lq_set_somaxconn(128);
	run("truncate -s 0 /var/log/redis/redis-server.log");
	must("systemctl start redis-server");
	must("cat /var/log/redis/redis-server.log");
	EXPECT_TRUE(says("The TCP backlog setting of 511 cannot be enforced"));
	EXPECT_TRUE(says("is set to the lower value of 128."));
	count = check_at(_metadata, 6379, 511, 128, 128);
	must("redis-cli info server | grep run_id");
	snprintf(id, sizeof(id), "%.63s", output);

	ASSERT_EQ(0, lq_clamp("6379 somaxconn 511"));
	ASSERT_EQ(count, check_at(_metadata, 6379, 511, 128, 511));
	ASSERT_EQ(count, rows_at(6379, rows));
	for (int i = 0; i < count; i++)
		EXPECT_STREQ("6379", rows[i].rule);

	/* More than 129 wait while it is held, and are all served after. */
	must("systemctl freeze redis-server");
	for (int i = 0; i < 300; i++)
		connect_to(6379);
	must("ss -Hltn src 127.0.0.1:6379");
	EXPECT_TRUE(says(" 300 ") && says(" 511 "));
	must("systemctl thaw redis-server");
	EXPECT_LE(301, number("redis-cli info clients | sed -n 's/^connected_clients://p'"));
	EXPECT_EQ(0, sum_at(6379, "overflows"));
	EXPECT_EQ(0, run("redis-cli info server | grep -F '%s'",
			 strtok(id, "\r\n")));
}

/* What the machine counts is this listener's, and the tool names it. */
TEST_F_TIMEOUT(servers, nginx_overflows, SLOW_TIMEOUT)
{
	long long before, grown, overflows;
	pid_t wrk;
	int tries;

	LQ_SKIP_FOR(lacks("nginx") ?: lacks("wrk") ?: lacks("listenq"));
	nginx_conf("", "");
	must("systemctl start nginx");
	/* Between a handler's look at a queue and the kernel's, no accept(). */
	lq_pin();
	must("xargs -n 1 taskset -cp %d <%s", sched_getcpu(),
	     "/sys/fs/cgroup/system.slice/nginx.service/cgroup.procs");
	ASSERT_EQ(0, lq_clamp("8081 force 0"));
	before = lq_netstat("ListenOverflows");
	wrk = load(8081, 64);
	ASSERT_TRUE(lq_wait_until(sum_at(8081, "overflows") > 20));

	/* Held, it has a queue that is full. */
	must("systemctl freeze nginx");
	ASSERT_TRUE(lq_wait_until(run("listenq --check 100") == 1 &&
				  strstr(output, FULLEST))) {
		TH_LOG("%s", output);
	}
	lq_kill(wrk);
	must("systemctl thaw nginx");
	ASSERT_TRUE(lq_wait_until(!sum_at(8081, "acceptq")));
	/* It was, in the last minute, and has refused clients. */
	EXPECT_EQ(1, run("listenq --check 1000"));
	EXPECT_TRUE(says("127.0.0.1:8081 nginx"));
	for (tries = 0; tries < 100; tries++) {
		grown = lq_netstat("ListenOverflows") - before;
		overflows = sum_at(8081, "overflows");
		if (grown == overflows)
			break;
	}
	EXPECT_GE(grown, overflows);
	EXPECT_TRUE(grown == overflows || lq_missed() > self->missed);
	must("LC_ALL=C COLUMNS=80 listenq -s overflows");
	EXPECT_TRUE(says("\n127.0.0.1:8081 nginx"));
	EXPECT_TRUE(says("511->0r"));
	EXPECT_GT(strstr(output, ":80 "), strstr(output, "127.0.0.1:8081"));

	/* The rule is what was wrong: the same load does no harm now. */
	ASSERT_EQ(0, lq_clamp("8081 clear"));
	overflows = sum_at(8081, "overflows");
	wrk = load(8081, 64);
	ASSERT_TRUE(accepts_grow(8081));
	ASSERT_TRUE(accepts_grow(8081));
	lq_kill(wrk);
	EXPECT_EQ(overflows, sum_at(8081, "overflows"));
}

/* ---- systemd listens, somebody else accepts ---- */

FIXTURE(activation)
{
};

FIXTURE_VARIANT(activation)
{
	const char *backlog;	/* a line of the unit */
	const char *program;
	const char *command;
	/* What the service asks for itself; 0 where it takes what it gets. */
	int again;
};

#define PROXY	"/usr/lib/systemd/systemd-socket-proxyd"

FIXTURE_VARIANT_ADD(activation, backlog)
{
	.backlog = "Backlog=77", .program = PROXY,
	.command = PROXY " /run/nobody",
};

FIXTURE_VARIANT_ADD(activation, by_default)
{
	.backlog = "", .program = PROXY, .command = PROXY " /run/nobody",
};

FIXTURE_VARIANT_ADD(activation, listens_again)
{
	.backlog = "Backlog=77", .program = "node",
	.command = "/usr/bin/node -e '" NODE_SERVER ".listen({ fd: 3 })'",
	.again = 511,
};

FIXTURE_SETUP(activation)
{
	LQ_SKIP_FOR(set_up());
	LQ_SKIP_FOR(lacks(variant->program));
}

FIXTURE_TEARDOWN(activation)
{
	clean_up();
}

TEST_F_TIMEOUT(activation, systemd, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	char text[512];
	int client;

	snprintf(text, sizeof(text),
		 "[Socket]\nListenStream=127.0.0.1:7100\n%s\n",
		 variant->backlog);
	write_text("/run/systemd/system/lqinherits.socket", text);
	snprintf(text, sizeof(text), "[Service]\nExecStart=%s\n",
		 variant->command);
	write_text("/run/systemd/system/lqinherits.service", text);
	must("systemctl daemon-reload");
	must("systemctl start lqinherits.socket");

	ASSERT_EQ(1, rows_at(7100, rows));
	TH_LOG("asked %lld", rows[0].asked);
	EXPECT_EQ(number("systemctl show --property Backlog --value lqinherits.socket"),
		  rows[0].asked);
	/* A process of systemd's, in the unit's cgroup, which is gone. */
	EXPECT_FALSE(is_alive(rows[0].pid));
	EXPECT_STREQ("(sd-listen)", rows[0].comm);
	EXPECT_TRUE(ss_agrees(7100));

	ASSERT_EQ(0, lq_clamp("7100 floor 6000"));
	ASSERT_EQ(1, rows_at(7100, rows));
	EXPECT_EQ(6000, rows[0].limit);

	/* The first client brings the service up. */
	client = connect_to(7100);
	ASSERT_TRUE(sum_at(7100, "accepts") || accepts_grow(7100));
	if (variant->again) {
		rows[0].asked = variant->again;
		rows[0].granted = variant->again;
		rows[0].pid = main_pid("lqinherits");
		strcpy(rows[0].comm, variant->program);
	}
	EXPECT_TRUE(same_rows(rows, 1, 7100));
	EXPECT_TRUE(ss_agrees(7100));
	close(client);

	/* The service ends, systemd still has the socket. */
	must("systemctl stop lqinherits.service 2>/dev/null");
	EXPECT_TRUE(same_rows(rows, 1, 7100));
	must("systemctl stop lqinherits.socket");
	EXPECT_EQ(0, count_at(7100));
}

/* ---- a container ---- */

#define REDIS		"redis-server --port 7200 --bind 127.0.0.1 --save ''"
#define CONTAINER	"ip link set lo up; exec " REDIS " >/dev/null"

/* Namespaces of its own for all that matters here, and a server as PID 1. */
static pid_t container(void)
{
	pid_t pid = lq_fork();

	if (pid)
		return pid;
	execlp("unshare", "unshare", "--user", "--map-root-user", "--net",
	       "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
	       "sh", "-c", CONTAINER, NULL);
	err(1, "unshare");
}

TEST_F_TIMEOUT(servers, container, SLOW_TIMEOUT)
{
	struct row rows[MAX_ROWS];
	char proc[32], *rules;
	pid_t outer, inner;

	LQ_SKIP_FOR(lacks("redis-server") ?: lacks("listenq") ?: lacks("nginx"));
	must("systemctl start nginx");
	outer = container();
	ASSERT_TRUE(lq_wait_until((inner = atoi(workers_of(outer))) > 0));
	snprintf(proc, sizeof(proc), "/proc/%d", inner);
	ASSERT_TRUE(lq_wait_until(rows_below(proc, 7200, rows) == 1));

	/* From outside: it is not ours, but can be looked at. */
	EXPECT_EQ(0, count_at(7200));
	EXPECT_EQ(inner, rows[0].pid);
	EXPECT_STREQ("redis-server", rows[0].comm);
	EXPECT_EQ(511, rows[0].asked);
	must("LC_ALL=C listenq -a -p 7200");
	EXPECT_TRUE(says("127.0.0.1:7200 redis-server"));
	must("LC_ALL=C listenq -N %d -p 7200", inner);
	EXPECT_TRUE(says("127.0.0.1:7200 redis-server"));

	/* And ruled, without anything else. */
	must("listenq -N %d clamp 7200 floor 2000 2>&1", inner);
	ASSERT_EQ(1, rows_below(proc, 7200, rows));
	EXPECT_EQ(2000, rows[0].limit);
	must("nsenter --target %d --net ss -Hltn sport = :7200", inner);
	EXPECT_TRUE(says(" 2000 "));
	rules = lq_clamp_text();
	EXPECT_STREQ("", rules);
	free(rules);

	/* From inside: its own listeners, its own numbers, no rules. */
	must("LC_ALL=C nsenter --target %d --all listenq -P 1 2>&1", inner);
	EXPECT_TRUE(says("127.0.0.1:7200 redis-server"));
	must("LC_ALL=C nsenter --target %d --all listenq 2>&1", inner);
	EXPECT_EQ(NULL, strstr(output, "nginx"));
	EXPECT_EQ(2, run("nsenter --target %d --all listenq clamp 7200 force 5 2>&1",
			 inner));
	EXPECT_TRUE(says("only root of the host may write rules"));
	ASSERT_EQ(1, rows_below(proc, 7200, rows));
	EXPECT_EQ(2000, rows[0].limit);

	lq_kill(outer);
	EXPECT_TRUE(lq_wait_until(access(proc, F_OK)));
}

TEST_HARNESS_MAIN
