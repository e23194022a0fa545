// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq(8), run by root, against those whom it looks at: what they have named,
 * where they may write, and when they do that. Terminals of any size, and failures
 * of any kind, are here too. Documentation/security.rst has a row for each.
 */

#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "tool.h"

#define OTHER_UID	12361

/* Files alone: the module may be there or not. */
FIXTURE(hostile)
{
};

FIXTURE_SETUP(hostile)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	write_sample();
}

FIXTURE_TEARDOWN(hostile)
{
	run("rm -rf %s", folder);
}

/* Real listeners, of somebody else. */
FIXTURE(contained)
{
};

FIXTURE_SETUP(contained)
{
	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder());
}

FIXTURE_TEARDOWN(contained)
{
	run("rm -rf %s", folder);
}

/* ---- the tool, call by call ---- */

/*
 * Runs the tool with @arguments; each time that it has left a system call, @step
 * gets that call, which number it has, and @data. What the tool prints is in output
 * afterwards. Its exit code.
 */
static int step_through(const char * const arguments[],
			void (*step)(const struct __ptrace_syscall_info *call,
				     int number, void *data), void *data)
{
	struct __ptrace_syscall_info call = { }, now;
	int number = 0, status, signal = 0;
	const char *argv[16] = { "listenq" };
	pid_t pid;

	for (int i = 0; arguments[i]; i++)
		argv[i + 1] = arguments[i];
	pid = lq_fork();
	if (!pid) {
		int fd = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			err(1, "PTRACE_TRACEME");
		raise(SIGSTOP);
		/* Sanitizers don't look for leaks in who is traced. */
		execvp(plain_path(), (char **)argv);
		err(1, "%s", plain_path());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		err(1, "the tool can't be traced");
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, signal) ||
		    waitpid(pid, &status, 0) != pid)
			err(1, "the traced tool");
		if (!WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status);
		if (signal == SIGTRAP)
			signal = 0;	/* exec */
		if (signal != (SIGTRAP | 0x80))
			continue;
		signal = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(now), &now) < 0)
			err(1, "PTRACE_GET_SYSCALL_INFO");
		if (now.op == PTRACE_SYSCALL_INFO_ENTRY)
			call = now;
		else
			step(&call, number++, data);
	}
	run("cat said");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* What is to be done once, after which call. */
struct interruption {
	void (*act)(void);
	int at;
	int calls;
};

static void interrupt(const struct __ptrace_syscall_info *call, int number,
		      void *data)
{
	struct interruption *interruption = data;

	interruption->calls = number + 1;
	if (number == interruption->at)
		interruption->act();
}

/* All that matters here is among its last calls. */
enum { LAST_CALLS = 48 };

/* ---- 1: terminals of any size ---- */

/**
 * struct pty - the tool in a terminal of its own
 * @master: the other end of the terminal
 * @slave: its own end, which the test holds too
 * @pid: the tool
 * @before: how the terminal was
 */
struct pty {
	int master;
	int slave;
	pid_t pid;
	struct termios before;
};

static void resize(const struct pty *pty, int rows, int columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (ioctl(pty->master, TIOCSWINSZ, &size))
		err(1, "TIOCSWINSZ");
}

static struct pty open_live(int rows, int columns)
{
	struct rlimit none = { };
	struct pty pty;

	pty.master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (pty.master < 0 || grantpt(pty.master) || unlockpt(pty.master))
		err(1, "a terminal");
	pty.slave = open(ptsname(pty.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty.slave < 0 || tcgetattr(pty.slave, &pty.before))
		err(1, "%s", ptsname(pty.master));
	resize(&pty, rows, columns);
	*output = '\0';
	pty.pid = lq_fork();
	if (!pty.pid) {
		setsid();
		ioctl(pty.slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(pty.slave, fd);
		unsetenv("LINES");
		unsetenv("COLUMNS");
		setenv("TERM", "vt100", 1);
		setenv("LC_ALL", "C", 1);
		setrlimit(RLIMIT_CORE, &none);
		execlp(tool_path(), "listenq", "--proc", ".", "-w", "0.1", NULL);
		err(1, "%s", tool_path());
	}
	return pty;
}

/* Adds what is on its way to output, as far as that has room. */
static void drain(const struct pty *pty)
{
	size_t length = strlen(output);
	ssize_t got;

	while ((got = read(pty->master, output + length,
			   sizeof(output) - 1 - length)) > 0) {
		length += got;
		output[length] = '\0';
		if (length > sizeof(output) / 2)
			length = 0;
	}
}

static bool has_shown(const struct pty *pty, const char *text)
{
	drain(pty);
	return strstr(output, text);
}

/* The tool has ended: how is in *@status. */
static bool has_ended(const struct pty *pty, int *status)
{
	drain(pty);
	return waitpid(pty->pid, status, WNOHANG) == pty->pid;
}

static void type(const struct pty *pty, const char *keys)
{
	if (lq_write(pty->master, keys, strlen(keys)))
		err(1, "a terminal");
}

static void close_live(struct pty *pty)
{
	close(pty->master);
	close(pty->slave);
}

/*
 * 64 listeners with 64 ranges of waits each. The row of the one that is marked comes
 * last in its file: behind it is nothing that could be read.
 */
enum { MANY = 64 };

static void write_many(void)
{
	FILE *file = fopen("net/listenq/waits", "w");

	change_sample("sockets",
		      "NR < 3; NR == 2 { while (++i < 64) { $3 = \"d\" i; print } }");
	if (!file)
		err(1, "waits");
	fprintf(file, "cookie count sum_ms");
	for (int bound = 1; bound < MANY; bound++)
		fprintf(file, " %dms", bound);
	fprintf(file, " more\n");
	for (int row = 1; row <= MANY; row++) {
		if (row < MANY)
			fprintf(file, "d%d 64 999", row);
		else
			fprintf(file, "a1 64 999");
		for (int range = 0; range < MANY; range++)
			fprintf(file, " 1");
		fprintf(file, "\n");
	}
	if (fclose(file))
		err(1, "waits");
}

/* Every view, with the keys that lead there and back. */
#define ALL_KEYS	"\r\033jjG k\r\033?\033/70\r\rq"

TEST_F(hostile, a_terminal_of_any_size)
{
	static const int sizes[][2] = {
		{ 1, 1 }, { 2, 80 }, { 1, 200 }, { 40, 1 }, { 2, 2 }, { 3, 3 },
		{ 4, 20 }, { 8, 79 }, { 9, 80 }, { 14, 500 },
	};
	struct pty pty;
	int status;

	write_many();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		pty = open_live(sizes[i][0], sizes[i][1]);
		ASSERT_TRUE(lq_wait_until(has_shown(&pty, "\033")));
		type(&pty, ALL_KEYS);
		ASSERT_TRUE(lq_wait_until(has_ended(&pty, &status)));
		EXPECT_EQ(0, status) {
			TH_LOG("%d rows of %d", sizes[i][0], sizes[i][1]);
		}
		close_live(&pty);
	}
}

TEST_F(hostile, a_terminal_that_changes_its_size)
{
	static const char keys[] = "\r\r\r\r?hjGgsS/7\r\033rfow";
	struct pty pty;
	int status = 0;
	bool ended = false;

	lq_seed(0);
	write_many();
	pty = open_live(24, 80);
	ASSERT_TRUE(lq_wait_until(has_shown(&pty, "sort:")));
	/* Smaller and smaller, where all about a listener is shown. */
	type(&pty, "\r");
	ASSERT_TRUE(lq_wait_until(has_shown(&pty, "observed")));
	for (int rows = 23; rows && !ended; rows--) {
		*output = '\0';
		resize(&pty, rows, 80);
		ASSERT_TRUE(lq_wait_until((ended = has_ended(&pty, &status)) ||
					  has_shown(&pty, "\033")));
	}
	/* Anything at all. */
	for (int i = 0; i < 1000 && !ended; i++) {
		resize(&pty, 1 + lq_chance(i % 3 ? 12 : 200),
		       1 + lq_chance(i % 5 ? 100 : 1000));
		write(pty.master, &keys[lq_chance(sizeof(keys) - 1)], 1);
		ended = has_ended(&pty, &status);
		usleep(lq_chance(2000));
	}
	ASSERT_FALSE(ended) {
		TH_LOG("it has ended with %#x", status);
	}
	/* Whatever was being done: out of the filter first. */
	type(&pty, "\r\033\033");
	ASSERT_TRUE(lq_wait_until(({ write(pty.master, "q", 1);
				     has_ended(&pty, &status); })));
	EXPECT_EQ(0, status);
	close_live(&pty);
}

/* ---- 3: a text can't say anything but itself ---- */

static int count_of(const char *text, char c)
{
	int count = 0;

	for (; *text; text++)
		count += *text == c;
	return count;
}

/* Whoever has a name can't write figures, nor anything for a shell. */
static const char * const figures[] = {
	"a|above=0;0;0", "|'above'=0", "`id>x`", "$(id>x)", "a;b&c<d>e",
};

TEST_F(hostile, figures_of_its_own)
{
	char program[128];

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		FILE *file = fopen("name", "w");

		ASSERT_NE(NULL, file);
		fputs(figures[i], file);
		fclose(file);
		write_sample();
		snprintf(program, sizeof(program),
			 "NR > 1 { getline $7 <\"../../name\"; close(\"../../name\") } 1");
		change_sample("sockets", program);
		EXPECT_RUN(WARNING, tool("--proc . --check"));
		EXPECT_EQ(1, lines(output));
		EXPECT_EQ(1, count_of(output, '|'));
		EXPECT_TRUE(says(" | above=1;0;;0;3 fullest=112%;80;;0 "));
		EXPECT_EQ('|', output[strcspn(output, "|`$&'\"<>")]);
		/* A row that lacks a figure is told of, too. */
		change_sample("sockets", "NR > 1 { $2 = \"127.0.0.1%a|b=0:80\"; $12 = \"-\" } 1");
		EXPECT_RUN(NOT_KNOWN, tool("--proc . --check"));
		EXPECT_EQ(0, count_of(output, '|'));
	}
}

/* Nor anything to a terminal, whichever way it gets into a message. */
TEST_F(hostile, messages)
{
	static const char * const arguments[] = {
		"-p %s", "-A %s", "-s %s", "-N %s", "-N ./%s", "--proc %s",
		"--proc . -m -o %s/x", "--proc . -m -o /tmp/../%s/y", "-w %s%s",
		"--%s", "--max %s", "-m --max %s", "%s",
		"--metrics=%s", "clamp -%s", "clamp -f %s", "-\\\\033x",
		"--proc %s clamp", "--proc %s clamp 80 floor 1", "--proc %s -t",
		"--proc %s log", "-P", "--proc %s explain", "explain -i %s",
		"--within %s", "--proc %s record x", "--proc . record %s/x",
	};
	static const char bad[] = "\"$(printf '\\033]0;x\\007\\033[2J\\n\\302\\233y')\"";
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		snprintf(text, sizeof(text), arguments[i], bad, bad);
		EXPECT_TROUBLE(run("{ \"$LISTENQ\" %s; } 2>&1 </dev/null", text));
	}
	static const char * const checks[] = {
		"--proc %s --check", "--check=%s", "--check -p %s", "--check %s",
	};
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		snprintf(text, sizeof(text), checks[i], bad);
		EXPECT_RUN(NOT_KNOWN, run("$LISTENQ %s", text));
		EXPECT_EQ(1, lines(output));
		EXPECT_EQ(NULL, strchr(output, '\033'));
	}
}

TEST_F(contained, figures_of_its_own)
{
	int port;
	pid_t there = listen_elsewhere("a|above=0;0;0", 8, &port);

	EXPECT_RUN(WARNING, tool("-N %d --check", there));
	EXPECT_EQ(1, count_of(output, '|'));
	EXPECT_TRUE(says("a\\174above=0;0;0: accept queue 8 of 7 | above=1;0;;0;1 "));
	EXPECT_RUN(WARNING, tool("-a -p %d --check", port));
	EXPECT_EQ(1, count_of(output, '|'));
	lq_kill(there);
}

/* ---- 4: completion ---- */

static const char * const names[] = {
	"$(id>x)", "`id>x`", "a b", "it's", "q\"uote", "back\\slash",
	"co:lon=", "*", "plain",
};

static const char *completion_file(void)
{
	static const char * const places[] = {
		"/usr/share/bash-completion/completions/listenq",
		"/usr/local/share/bash-completion/completions/listenq",
	};
	const char *own = getenv("LISTENQ_COMPLETION");

	for (size_t i = 0; !own && i < ARRAY_SIZE(places); i++)
		if (!access(places[i], R_OK))
			own = places[i];
	return own;
}

/* Runs bash as if Tab were pressed behind @typed: each is one word, and itself. */
static int press_tab(const char *typed)
{
	FILE *file = fopen("typed", "w");

	if (!file)
		err(1, "typed");
	fputs(typed, file);
	fclose(file);
	return run("bash ./complete \"$(cat typed)\" 2>&1");
}

TEST_F(hostile, names_that_are_completed)
{
	char text[64];
	FILE *file;

	if (!completion_file())
		SKIP(return, "no completion: set LISTENQ_COMPLETION");
	if (!have("bash"))
		SKIP(return, "no bash");
	file = fopen("complete", "w");
	ASSERT_NE(NULL, file);
	fprintf(file, ". %s\n"
		"COMP_WORDS=(listenq -N \"$1\") COMP_CWORD=2\n"
		"_listenq listenq \"$1\" -N\n"
		"for word in \"${COMPREPLY[@]}\"; do\n"
		"	[[ $1 != [\\'\\\"]* ]] || word=${1:0:1}$word${1:0:1}\n"
		"	eval \"printf '<%%s>\\\\n' $word\"\n"
		"done\n", completion_file());
	fclose(file);
	/* As root of a machine may be led to by whoever names namespaces. */
	unshare(CLONE_NEWNS);
	ASSERT_EQ(0, run("mount --make-rprivate / && mkdir -p /run/netns"));
	ASSERT_EQ(0, run("mount -t tmpfs none /run/netns"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(text, sizeof(text), "/run/netns/%s", names[i]);
		close(open(text, O_WRONLY | O_CREAT, 0600));
	}

	EXPECT_EQ(0, press_tab(""));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(text, sizeof(text), "<%s>\n", names[i]);
		EXPECT_TRUE(says(text));
	}
	EXPECT_EQ((int)ARRAY_SIZE(names), lines(output));
	EXPECT_EQ(0, press_tab("a"));
	EXPECT_STREQ("<a b>\n", output);
	EXPECT_EQ(0, press_tab("\\$\\(i"));
	EXPECT_STREQ("<$(id>x)>\n", output);
	EXPECT_EQ(0, press_tab("'it"));
	EXPECT_STREQ("<it's>\n", output);
	EXPECT_EQ(0, press_tab("\"q"));
	EXPECT_STREQ("<q\"uote>\n", output);
	EXPECT_EQ(0, press_tab("$(id>x)"));
	EXPECT_EQ(0, press_tab("'$(id>x)"));
	EXPECT_EQ(-1, access("x", F_OK));
	run("umount /run/netns");
}

/* ---- 5: files that others could lead elsewhere ---- */

#define WRITE_OUT	"--proc . -m -o"

/* Nothing was written there. */
static bool is_empty(const char *directory)
{
	return !run("ls -A %s", directory) && !*output;
}

TEST_F(hostile, links_of_others)
{
	static const struct {
		const char *what;
		int status;
	} rows[] = {
		/* Root's link in a directory of root's, and one behind it. */
		{ "ln -s /$PWD/there own/link", DONE },
		{ "ln -s second own/link; ln -s ../there own/second", DONE },
		/* Somebody else's, or where somebody else may put one. */
		{ "ln -s $PWD/there own/link; chown -h $OTHER own/link", TROUBLE },
		{ "ln -s $PWD/there own/link; chown $OTHER own", TROUBLE },
		{ "ln -s $PWD/there own/link; chgrp $OTHER own; chmod g+w own", TROUBLE },
		{ "ln -s $PWD/there own/link; chmod o+w own", TROUBLE },
		/* As in /tmp. */
		{ "ln -s $PWD/there own/link; chmod 1777 own", DONE },
		{ "ln -s $PWD/there own/link; chmod 1777 own; chown -h $OTHER own/link", TROUBLE },
		{ "ln -s link own/link", TROUBLE },
		{ "ln -s nowhere own/link", TROUBLE },
		/* No links at all. */
		{ "mkdir own/link; chown -R $OTHER own", DONE },
		{ "touch own/link", TROUBLE },
		{ "mkdir -p own/link; ln -s $PWD/there/y.prom own/link/x.prom", TROUBLE },
	};
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, run("rm -rf own there; mkdir own there; OTHER=%d; %s",
				 OTHER_UID, rows[i].what));
		status = tool(WRITE_OUT " own/link/x.prom");
		EXPECT_EQ(rows[i].status, status) {
			TH_LOG("%s: %s", rows[i].what, output);
		}
		EXPECT_TRUE(status == DONE || is_complaint());
		EXPECT_EQ(status == DONE, !run("test -s own/link/x.prom"));
		EXPECT_TRUE(status == DONE || is_empty("there"));
		EXPECT_OUTPUT("", run("find . -name '*.tmp'"));
	}
}

/* The directory gives way to a link whose owner has put it there. */
static void replace_directory(void)
{
	if (rename("own/out", "own/was") || symlink("../there", "own/out") ||
	    lchown("own/out", OTHER_UID, OTHER_UID))
		err(1, "own/out");
}

TEST_F(hostile, a_directory_that_is_replaced)
{
	static const char * const arguments[] = {
		"--proc", ".", "-m", "-o", "own/out/x.prom", NULL
	};
	struct interruption replacement = {
		.act = replace_directory, .at = -1
	};
	int status, written = 0, calls;

	ASSERT_EQ(0, run("mkdir -p own/out there; chown -R %d own", OTHER_UID));
	ASSERT_EQ(DONE, step_through(arguments, interrupt, &replacement));
	calls = replacement.calls;
	for (int at = calls > LAST_CALLS ? calls - LAST_CALLS : 0; at < calls;
	     at++) {
		ASSERT_EQ(0, run("rm -rf own there; mkdir -p own/out there; chown -R %d own",
				 OTHER_UID));
		replacement.at = at;
		status = step_through(arguments, interrupt, &replacement);
		EXPECT_TRUE(is_empty("there")) {
			TH_LOG("at call %d of %d: %s", at, calls, output);
		}
		written += !run("test -s own/was/x.prom");
		EXPECT_TRUE(status == DONE || status == TROUBLE);
	}
	/* It may be too late for the link, and is not for all of them. */
	EXPECT_LT(0, written);
}

/* ---- 7: the terminal is given back ---- */

static bool is_as_before(const struct pty *pty)
{
	struct termios now;

	return !tcgetattr(pty->slave, &now) &&
	       now.c_lflag == pty->before.c_lflag &&
	       now.c_iflag == pty->before.c_iflag &&
	       now.c_oflag == pty->before.c_oflag;
}

/* vt100's end of what curses does with a keyboard; @text comes behind it. */
#define KEYS_AS_BEFORE	"\033[?1l\033>"

static bool comes_last(const char *text)
{
	const char *end = output, *at;

	while ((at = strstr(end, KEYS_AS_BEFORE)))
		end = at + 1;
	return end > output && strstr(end, text);
}

TEST_F(hostile, memory_runs_out)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	struct pty pty;
	int status;

	/* Sanitizers have address space of their own. */
	setenv("LISTENQ_TOOL", plain_path(), 1);
	pty = open_live(24, 80);
	ASSERT_TRUE(lq_wait_until(has_shown(&pty, "sort:")));
	EXPECT_FALSE(is_as_before(&pty));
	ASSERT_EQ(0, prlimit(pty.pid, RLIMIT_AS, &limit, NULL));
	change_sample("sockets", "1; NR == 2 { while (++i < 20000) print }");
	ASSERT_TRUE(lq_wait_until(has_ended(&pty, &status)));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == TROUBLE);
	EXPECT_TRUE(is_as_before(&pty));
	EXPECT_TRUE(comes_last("listenq: not enough memory"));
	close_live(&pty);
}

/* With what says so, and where that is ignored. */
TEST_F(hostile, a_terminal_that_goes)
{
	struct pty pty;
	int status;

	for (int ignored = 0; ignored < 2; ignored++) {
		signal(SIGHUP, ignored ? SIG_IGN : SIG_DFL);
		pty = open_live(24, 80);
		ASSERT_TRUE(lq_wait_until(has_shown(&pty, "sort:")));
		close_live(&pty);
		ASSERT_TRUE(lq_wait_until(has_ended(&pty, &status)));
		EXPECT_TRUE(ignored ? WIFEXITED(status) && WEXITSTATUS(status) == DONE :
				      WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
	}
}

TEST_F(hostile, signals)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct pty pty;
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		pty = open_live(24, 80);
		ASSERT_TRUE(lq_wait_until(has_shown(&pty, "sort:")));
		EXPECT_FALSE(is_as_before(&pty));
		kill(pty.pid, signals[i]);
		ASSERT_TRUE(lq_wait_until(has_ended(&pty, &status)));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		EXPECT_TRUE(is_as_before(&pty));
		EXPECT_TRUE(comes_last(""));
		close_live(&pty);
	}
}

/* ---- 9: what is opened, and what is lost ---- */

/* None of them is opened as a namespace would be: a pipe has no end. */
TEST_F(hostile, no_namespace)
{
	static const char * const others[] = {
		"mkfifo", "mkdir", "touch", "ln -s /dev/zero", "ln -s /dev/tty",
		"ln -s /proc/self/ns/uts", "ln -s nowhere", "ln -s other",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		ASSERT_EQ(0, run("rm -rf other; %s other", others[i]));
		EXPECT_TROUBLE(run("timeout 20 $LISTENQ -N ./other 2>&1"));
		EXPECT_TROUBLE(run("timeout 20 $LISTENQ -N ./other clamp 80 floor 1 2>&1"));
	}
}

/* The file comes while it is looked for, as when the module is loaded. */
static void make_rules(void)
{
	close(open("net/listenq/clamp", O_WRONLY | O_CREAT, 0644));
}

TEST_F(hostile, rules_beside_a_load)
{
	static const char * const arguments[] = {
		"--proc", ".", "clamp", "80", "floor", "3", NULL
	};
	struct interruption load = { .act = make_rules, .at = -1 };
	int status, calls, written = 0, there;

	ASSERT_EQ(TROUBLE, step_through(arguments, interrupt, &load));
	calls = load.calls;
	for (int at = calls > LAST_CALLS ? calls - LAST_CALLS : 0; at < calls;
	     at++) {
		unlink("net/listenq/clamp");
		load.at = at;
		status = step_through(arguments, interrupt, &load);
		there = !run("grep -x '80 floor 3' net/listenq/clamp");
		EXPECT_EQ(status == DONE, there) {
			TH_LOG("at call %d of %d: exit code %d", at, calls,
			       status);
		}
		written += there;
	}
	EXPECT_LT(0, written);
}

/* Another module comes just after the rules were written to the one before. */
static void reload(const struct __ptrace_syscall_info *call, int number,
		   void *data)
{
	bool *reloaded = data;

	if (*reloaded || call->entry.nr != SYS_write || call->entry.args[0] < 3)
		return;
	*reloaded = true;
	if (lq_unload() || lq_load())
		errx(1, "the module can't be loaded anew");
}

TEST_F(contained, rules_beside_a_reload)
{
	static const char * const arguments[] = {
		"clamp", "80", "floor", "3", NULL
	};
	bool reloaded = false;

	EXPECT_EQ(TROUBLE, step_through(arguments, reload, &reloaded));
	EXPECT_TRUE(reloaded);
	EXPECT_TRUE(says("write the rules again"));
	EXPECT_OUTPUT("", tool("clamp"));
	EXPECT_RUN(DONE, step_through(arguments, reload, &reloaded));
	EXPECT_OUTPUT("80 floor 3\n", tool("clamp"));
}

TEST_HARNESS_MAIN
