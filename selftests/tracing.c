// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands that Documentation/traffic.rst has for bpftrace and trace-cmd, one
 * after the other as they stand there: each prints what it is there for. LISTENQ_RST
 * is where the page is, else it is looked for nearby.
 */

#define _GNU_SOURCE
#include "kselftest_harness.h"
#include "listenq.h"

/* bpftrace takes its time to compile where processors are emulated. */
#define SLOW_TIMEOUT	600

/* What the page's filters look for. */
#define PORT		8080
#define LIMIT		1

#define SAID		"/tmp/listenq-tracing"

static int server;

static void listen_again(void)
{
	lq_listen(server, 5000);
	lq_listen(server, LIMIT);
}

static void refuse(void)
{
	lq_send_syns(AF_INET, PORT, 0, 1);
}

/* One that has waited for longer than the page's filter says. */
static void accept_one(void)
{
	int client;

	if (!lq_wait_until(lq_num(server, "acceptq_oldest_ms") > 100))
		errx(1, "nobody waits");
	lq_accept(server);
	client = lq_enqueue(server);
	close(client);
}

static void close_on_a_client(void)
{
	int fd = lq_listener(AF_INET, 5);
	int client = lq_enqueue(fd);

	close(fd);
	close(client);
}

static void begin(void)
{
	if (!getenv("LISTENQ_VM"))
		lq_skip("these tools look at the whole machine: only in a VM (LISTENQ_VM)");
	lq_dummy_up();
	server = lq_bound(AF_INET, "0.0.0.0", PORT);
	lq_listen(server, LIMIT);
	for (int i = 0; i <= LIMIT; i++)
		lq_enqueue(server);
}

static const struct event {
	const char *name;
	void (*make)(void);
	/* What each tool prints of it. */
	const char *bpftrace, *trace_cmd;
} events[] = {
	{ "listenq_listen", listen_again,
	  "tracing asked 5000, got 4096", "asked=5000 granted=4096" },
	{ "listenq_overflow", refuse,
	  "@[::ffff:10.9.0.1]", "client=10.9.0.1:20000 limit=1 on=SYN" },
	{ "listenq_accept", accept_one,
	  "@[tracing, 8080]", "listenq_accept: net:[" },
	{ "listenq_close", close_on_a_client,
	  "tracing closes port", "acceptq=1 synq=0" },
};

LQ_FIXTURE(tracing, begin());

static FILE *open_page(void)
{
	static const char * const places[] = {
		"traffic.rst", "../Documentation/traffic.rst",
	};
	const char *page = getenv("LISTENQ_RST");
	FILE *file = page ? fopen(page, "r") : NULL;

	for (size_t i = 0; !file && i < ARRAY_SIZE(places); i++)
		file = fopen(places[i], "r");
	if (!file)
		err(1, "traffic.rst");
	return file;
}

/* The next command that begins with @program; its further lines are indented. */
static bool next_command(FILE *page, const char *program, char *command,
			 size_t size)
{
	static const char prompt[] = "    # ", further[] = "      ";
	char line[256];
	bool found = false;
	long at;

	command[0] = '\0';
	while (at = ftell(page), fgets(line, sizeof(line), page)) {
		if (found && strncmp(line, further, strlen(further))) {
			/* It may begin the next one. */
			fseek(page, at, SEEK_SET);
			break;
		}
		if (!strncmp(line, prompt, strlen(prompt)) &&
		    !strncmp(line + strlen(prompt), program, strlen(program)))
			found = true;
		if (found && strlen(command) + strlen(line) < size)
			strcat(command, line + strlen(prompt));
	}
	return found;
}

/* It reads the event by perf, which holds the module, or by tracefs. */
static bool is_on(const char *event, int references)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/events/listenq/%s/enable",
		 lq_tracefs("events/listenq/enable"), event);
	return lq_read_number("/sys/module/listenq/refcnt") > references ||
	       lq_read_number(path) == 1;
}

static pid_t start(const char *command)
{
	pid_t pid = lq_fork();

	if (!pid) {
		int said = open(SAID, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (said < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0)
			err(1, SAID);
		setpgid(0, 0);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	setpgid(pid, pid);
	return pid;
}

/* Ends it as Ctrl-C does, at most a minute later otherwise. */
static void interrupt(pid_t pid)
{
	int status;

	kill(-pid, SIGINT);
	if (!lq_wait_until(waitpid(pid, &status, WNOHANG))) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
}

static const char *said(void)
{
	static char text[1 << 16];
	FILE *file = fopen(SAID, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[len] = '\0';
	if (file)
		fclose(file);
	return text;
}

/* trace-cmd's command ends at once, and what came is to be asked for. */
static void show_trace(void)
{
	if (lq_run("trace-cmd show >" SAID) ||
	    lq_run("trace-cmd reset >/dev/null 2>&1"))
		errx(1, "trace-cmd");
}

static void check(struct __test_metadata *_metadata, const struct event *event,
		  const char *command, bool by_bpf)
{
	const char *expected = by_bpf ? event->bpftrace : event->trace_cmd;
	int references = lq_read_number("/sys/module/listenq/refcnt");
	pid_t pid = start(command);
	long long begin;

	EXPECT_TRUE(lq_wait_until(is_on(event->name, references)));
	/* Some print what comes, some add it up until they are interrupted. */
	begin = lq_now_ms();
	do {
		event->make();
		lq_pause();
	} while (lq_now_ms() < begin + 1000);
	interrupt(pid);
	if (!by_bpf)
		show_trace();
	EXPECT_NE(NULL, strstr(said(), expected))
		TH_LOG("%s\nsays:\n%s", command, said());
}

static void check_all(struct __test_metadata *_metadata, const char *program)
{
	bool by_bpf = !strcmp(program, "bpftrace");
	FILE *page = open_page();
	char command[1024];
	int count[ARRAY_SIZE(events)] = { 0 };

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (lq_run(command))
		SKIP(return, "no %s", program);
	if (!lq_tracefs("events/listenq/enable"))
		SKIP(return, "no tracefs");
	while (next_command(page, program, command, sizeof(command))) {
		for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
			const struct event *event = &events[i];

			if (!strstr(command, event->name))
				continue;
			count[i]++;
			check(_metadata, event, command, by_bpf);
		}
	}
	fclose(page);
	unlink(SAID);
	/* The page has each. */
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		EXPECT_LE(1, count[i]);
}

TEST_F_TIMEOUT(tracing, by_bpftrace, SLOW_TIMEOUT)
{
	check_all(_metadata, "bpftrace");
}

TEST_F_TIMEOUT(tracing, by_trace_cmd, SLOW_TIMEOUT)
{
	check_all(_metadata, "trace-cmd");
}

TEST_HARNESS_MAIN
