/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the selftests of listenq share: the module, a network namespace of
 * one's own, listeners and their peers, and the readers of listenq's files
 * and of the programs and files that those are held against.
 *
 * A helper that can't do its part says why and ends the process, so that
 * callers hold no error paths: with a failure, or, where it is the kernel that
 * was configured without something, as kselftest's SKIP does.
 */
#ifndef LISTENQ_SELFTEST_H
#define LISTENQ_SELFTEST_H

/* What nearly every test needs; it includes itself what it needs beyond that. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

/* Emulated processors under KASAN take longer than the harness' 30 s. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

#define LQ_SOCKETS	"/proc/net/listenq/sockets"
#define LQ_HOOKS	"/proc/net/listenq/hooks"
#define LQ_CLAMP	"/proc/net/listenq/clamp"
#define LQ_TOTALS	"/proc/net/listenq/totals"
#define LQ_WAITS	"/proc/net/listenq/waits"
#define LQ_HANDSHAKES	"/proc/net/listenq/handshakes"
#define LQ_REFUSED	"/proc/net/listenq/refused"
#define LQ_DROPS	"/proc/net/listenq/drops"
#define LQ_UNIX		"/proc/net/listenq/unix"

/* What lq_num() gives for "-", and for a listener that isn't listed. */
#define LQ_NONE		LLONG_MIN

/* Clocks are read apart from each other, and jiffies are up to 10 ms long. */
#define LQ_SLACK_MS	20

/*
 * Poll until @cond holds, the more rarely the longer it takes: to look takes its time
 * too where processors are emulated. False after 60 s, half of a test's own limit.
 */
#define lq_wait_until(cond)						\
({									\
	long long __start = lq_now_ms(), __waited = 0;			\
	bool __held;							\
									\
	while (!(__held = (cond)) && __waited < 60000) {		\
		lq_pause_after(__waited);				\
		__waited = lq_now_ms() - __start;			\
	}								\
	__held;								\
})

struct __test_metadata;
typedef void lq_skip_t(struct __test_metadata *_metadata, const char *why);
void lq_skip_by(struct __test_metadata *_metadata, lq_skip_t *skip);
/*
 * Skips the test that called LQ_SETUP() from anywhere below it, for what this
 * kernel was configured without. A child that calls this ends, as kselftest's
 * SKIP does.
 */
void lq_skip(const char *why);

/*
 * Only a test knows its harness. That of Linux 6.1 runs a test though its
 * set-up said SKIP(), so leave the way a failed assertion does.
 */
#ifdef __KSELFTEST_HARNESS_H
static inline void lq_skip_test(struct __test_metadata *_metadata,
				const char *why)
{
	SKIP(longjmp(_metadata->env, 1), "%s", why);
}
#endif

/* For FIXTURE_SETUP(): @why is NULL or the reason to skip the test. */
#define LQ_SKIP_FOR(why)						\
do {									\
	const char *__why;						\
									\
	lq_skip_by(_metadata, lq_skip_test);				\
	__why = (why);							\
	if (__why)							\
		lq_skip(__why);						\
} while (0)

#define LQ_SETUP()	LQ_SKIP_FOR(lq_setup())
/* The same for tests that also have something to say without the module. */
#define LQ_SETUP_PLAIN()	LQ_SKIP_FOR(lq_setup_plain())

/*
 * A fixture that is a namespace with the module, and what @... does there.
 * (What begins with a struct is a declaration to checkpatch.)
 */
#define LQ_FIXTURE(type, ...)						\
struct __test_metadata;							\
FIXTURE(type) { };							\
FIXTURE_SETUP(type) { LQ_SETUP(); __VA_ARGS__; }			\
FIXTURE_TEARDOWN(type) { }

/* The same for tests that take the module out and in: it is left as it was. */
#define LQ_FIXTURE_RELOADS(type, ...)					\
struct __test_metadata;							\
FIXTURE(type) { bool loaded; };						\
FIXTURE_SETUP(type)							\
{									\
	self->loaded = lq_loaded();					\
	LQ_SETUP();							\
	__VA_ARGS__;							\
}									\
FIXTURE_TEARDOWN(type) { EXPECT_EQ(0, lq_restore(self->loaded)); }

/* The variants of a fixture whose tests are run once for each family. */
#define LQ_FAMILIES(type)						\
struct __test_metadata;							\
FIXTURE_VARIANT(type) { int family; };					\
FIXTURE_VARIANT_ADD(type, ipv4) { .family = AF_INET };			\
FIXTURE_VARIANT_ADD(type, ipv6) { .family = AF_INET6 }

/* LQ_FIXTURE() with these variants. */
#define LQ_FIXTURE_FAMILIES(type, ...)					\
struct __test_metadata;							\
FIXTURE(type) { };							\
LQ_FAMILIES(type);							\
FIXTURE_SETUP(type)							\
{									\
	LQ_SETUP();							\
	lq_need_family(variant->family);				\
	__VA_ARGS__;							\
}									\
FIXTURE_TEARDOWN(type) { }

/*
 * The clock as of the latest tick. The kernel's times are in jiffies, which a VM that
 * has waited for a processor brings up to date later than the clock itself, and at the
 * same moment as this one.
 */
long long lq_now_ms(void);
void lq_pause(void);
/* A sixteenth of what has been waited for, from 2 ms to 50. */
void lq_pause_after(long long waited_ms);
/*
 * For turn @i of who keeps a processor busy: a pause every 16 turns. Before a
 * probe's memory is freed each task has to sleep, or be seen in user space
 * (RCU-tasks), which takes seconds where processors are emulated.
 */
void lq_breathe(int i);

/*
 * With LISTENQ_SLOW a tenth: a kernel with all checkers on is tenfold slower,
 * and is there to check.
 */
int lq_scaled(int count);

/*
 * Chance that LISTENQ_SEED repeats: the seed, and from then on numbers from 0
 * to @count - 1. Each of several processes has a @stream of its own.
 */
unsigned long long lq_seed(int stream);
unsigned int lq_chance(unsigned int count);

/* Root, the module and a namespace; the reason if they can't be had. */
const char *lq_setup(void);
/* Root and a namespace, with the module or without it. */
const char *lq_setup_plain(void);
/* The same for tests that start and stop the units of a VM: no namespace. */
const char *lq_setup_units(void);
void lq_new_netns(void);
void lq_set_lo(bool up);
/* This network namespace as a descriptor, and the way back there. */
int lq_netns(void);
/* The number that it goes by in /proc/self/ns and in the kernel log. */
unsigned long lq_netns_inode(void);
void lq_enter_netns(int netns);
/* The module is loaded, or could be loaded just now. */
bool lq_have_module(void);

/* The module itself. All return 0 or an errno, as the system call does. */
bool lq_loaded(void);
int lq_load(void);
int lq_load_file(const char *path);
/* By its file, where lq_module_path() has one. */
int lq_load_with(const char *parameters);
int lq_unload(void);
/* In or out again, as lq_loaded() said that it was. */
int lq_restore(bool loaded);
const char *lq_module_path(void);

void lq_write_file(const char *path, const char *text);
void lq_write_number(const char *path, int value);
/* The number that a file begins with. */
int lq_read_number(const char *path);
/* A file's first line, until the next call. */
const char *lq_first_line(const char *path);

/* One write(); 0 or an errno. The next one: to the rules of this namespace. */
int lq_write(int fd, const void *bytes, size_t len);
int lq_clamp(const char *text);
/* The same of a text that is put together as printf() does. */
#define LQ_PRINTF	format(printf, 1, 2)
int lq_clampf(const char *format, ...) __attribute__((LQ_PRINTF));
/* The whole file, for the caller to free. */
char *lq_clamp_text(void);

int lq_run(const char *command);
pid_t lq_fork(void);
int lq_reap(pid_t pid);
/*
 * A child that others look at: in the parent this returns when the child has
 * called lq_stay(), which does not return. -1: it ended as kselftest's SKIP
 * does; if it ends otherwise, that is a failure.
 */
pid_t lq_fork_ready(void);
/*
 * The same of the first process in a PID namespace of its own, with which all of
 * them end.
 */
pid_t lq_fork_first(void);
void lq_stay(void);
/*
 * A network namespace whose first process has gone through @enter, which gets @uid;
 * it lasts as the descriptor. Skips the test where users may make none.
 */
int lq_made_by(void (*enter)(int uid), int uid);
/* A descriptor of another process'; -1 where that may not be had. */
int lq_take_fd(pid_t pid, int fd);
/* Puts @fd into a message, where it stays as long as the socket @to. */
void lq_send_away(int to, int fd);
/* Kills a child; its status. */
int lq_kill(pid_t pid);
/* The letter that /proc has for what a process or thread is doing. */
char lq_state(pid_t tid);
/*
 * A child in a namespace of its own, which has done @begin there and stays
 * until it is killed. @device, one end of a pair whose other end is in that
 * namespace, goes with it. -1 where the kernel has no veth.
 */
pid_t lq_elsewhere(const char *device, void (*begin)(void));
void *lq_shared(size_t size);
/*
 * A page that comes when somebody wants it to, behind one that is there: a
 * userfaultfd, and such a page of it. Skips the test where there is none; as a
 * rule, root alone may have one.
 */
int lq_open_faults(void);
void *lq_faulting_page(int faults);

/* Another user, without any capability; or capabilities as a bit mask. */
void lq_become_user(int uid);
void lq_set_capabilities(unsigned long long mask);
void lq_drop_net_admin(void);
/*
 * Root of a user namespace of its own, in which @uid, the caller, is the only
 * user. Ends the process as kselftest's SKIP does where that isn't allowed.
 */
void lq_enter_user_namespace(int uid);
/* Root of one, as @uid, and of a network namespace that belongs to it. */
void lq_enter_container(int uid);
/*
 * A file opened, and written once, by somebody who has gone through @become: 0,
 * an errno, or -1 where @become ended as kselftest's SKIP does.
 */
int lq_write_as(void (*become)(void), const char *path, const char *text);

/*
 * The kernel log from here on, -1 where it can't be read; and the text of its
 * next line, false where there is none yet.
 */
int lq_open_log(void);
bool lq_read_log(int log, char *text, size_t size);

/* A file of rows under a header line; cells are found by the column's name. */
#define LQ_MAX_COLS	48

struct lq_table {
	char *text;
	char *cols[LQ_MAX_COLS];
	char *(*cells)[LQ_MAX_COLS];
	int ncols;
	int nrows;
};

struct lq_table *lq_parse(char *text);
struct lq_table *lq_read(const char *path);
struct lq_table *lq_read_chunks(const char *path, size_t chunk);
void lq_free(struct lq_table *table);
int lq_col(const struct lq_table *table, const char *col);
const char *lq_cell(const struct lq_table *table, int row, const char *col);
/* LQ_NONE for "-". */
long long lq_cell_num(const struct lq_table *table, int row, const char *col);
int lq_find(const struct lq_table *table, const char *col, const char *value);
/* The row of the listener @fd, which must be there. */
int lq_row(const struct lq_table *table, int fd);
/* How many lines a file has under its header. */
int lq_rows(const char *path);

struct lq_addr;
/* One cell of a listener's row; "" where the listener isn't listed. */
unsigned long long lq_cookie(int fd);
const char *lq_cookie_str(int fd);
const char *lq_str(int fd, const char *col);
long long lq_num(int fd, const char *col);
/* As the column `local` has it: "127.0.0.1:80"; and of any address. */
const char *lq_local(int fd);
const char *lq_endpoint(const struct lq_addr *addr);
bool lq_listed(int fd);
long long lq_hook(const char *symbol, const char *col);
/* Its state, or how it is placed; "" where there is no such hook. */
const char *lq_hook_str(const char *symbol, const char *col);
/* The columns that only ever grow; all but the last are those of totals. */
#define LQ_COUNTERS	6
extern const char * const lq_counters[LQ_COUNTERS];
/* A cell of this namespace's totals; LQ_NONE for "-". */
long long lq_total(const char *col);
/* The hits that all hooks have skipped: while it stands, figures are exact. */
long long lq_missed(void);
/* One write() of @text to the listeners' file; 0 or an errno. */
int lq_write_sockets(const char *text);

/* Sockets. Port 0 leaves the choice to the kernel. */
struct lq_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_storage ss;
	};
	socklen_t len;
};

struct lq_addr lq_addr(int family, const char *host, int port);
const char *lq_loopback(int family);
/* Whether this kernel has such sockets; skips the test where it has none. */
bool lq_has_family(int family);
void lq_need_family(int family);
/* The families that it has, AF_INET first: how many, and one after the other. */
int lq_families(void);
int lq_family(int i);
int lq_bound(int family, const char *host, int port);
/* The same with SO_REUSEPORT. */
int lq_bound_shared(int family, const char *host, int port);
/* The same of MPTCP; skips the test where the kernel has none. */
int lq_bound_mptcp(int family, const char *host, int port);
int lq_bound_loopback(int family);
int lq_listener(int family, int backlog);
int lq_listener_any(int family, int backlog);
void lq_listen(int fd, int backlog);
/* By io_uring: 0, an errno, or -1 where the kernel has no io_uring. */
int lq_uring_listen(int fd, int backlog);
int lq_uring_connect(int fd, const struct lq_addr *addr);
/* The accepted connection, or -1 where the kernel has no io_uring. */
int lq_uring_accept(int fd);
int lq_port(int fd);
void lq_set_option(int fd, int level, int name, int value);
ino_t lq_inode(int fd);
int lq_connect(int fd);
/* @client begins to connect with Fast Open: its SYN has data. */
void lq_fast_open(int client, const struct lq_addr *to);
/*
 * As lq_connect(), in @fd's accept queue when this returns: connect() may return
 * before its final ACK has arrived. Nobody else may connect or accept.
 */
int lq_enqueue(int fd);
/* @count clients that have left wait in the accept queue when this returns. */
void lq_fill(int fd, int count);
/* A listener whose accept queue they fill. */
int lq_full(int family, const char *host, int backlog);
int lq_full_any(int backlog);
/* A client whom the full queue of @fd turns away: its SYN, and no other follows. */
void lq_turn_away(int fd);
void lq_accept(int fd);
void lq_connect_many(int fd, int *clients, int count);
void lq_accept_many(int fd, int count);
void lq_close_all(const int *fds, int count);
/*
 * Lets SYNs to the listener @fd pass and drops all else, as if lost; then no
 * more: the client's ACK comes again with the byte that lq_send_byte() sends.
 */
void lq_hold_acks(int fd);
/* The same, and no SYN passes either. */
void lq_hold_all(int fd);
void lq_pass_acks(int fd);
void lq_send_byte(int client);
/* Ends a connection by a reset. */
void lq_abort(int fd);
void lq_end_listening(int fd);
/* Each way to end a listener whose socket stays. */
#define LQ_STOPS	2
extern void (*const lq_stops[LQ_STOPS])(int fd);

/* One of the kinds of sockets that can listen; @type without flags. */
struct lq_kind {
	int family;
	int type;
	int protocol;
};

/* -1 where there is no such kind. */
int lq_kind_socket(const struct lq_kind *kind, int flags);
/* The loopback address; of AF_UNIX, a name that the kernel chooses. */
struct lq_addr lq_kind_addr(const struct lq_kind *kind, int port);
/* Bound there. */
int lq_kind_bound(const struct lq_kind *kind, int port);
int lq_kind_listener(const struct lq_kind *kind, int backlog);
/* Where @fd is bound to; where to reach it if that is no address. */
struct lq_addr lq_name(int fd);
struct lq_addr lq_reach(int fd);
/* 0 or an errno. */
int lq_try_bind(int fd, const struct lq_addr *addr);
int lq_try_listen(int fd, int backlog);
int lq_try_connect(int client, int fd);

/*
 * What TCP_INFO says of a listener, module or not: how many wait in its
 * accept queue, and the limit. False where the kernel's MPTCP doesn't tell.
 */
bool lq_tcp_queue(int fd, int *waiting, int *limit);
/* A figure of the only listener at @fd's address: MPTCP's has its own cookie. */
long long lq_num_at(int fd, const char *col);
/* How many listeners the file has at @fd's address. */
int lq_listed_at(int fd);

/* The running kernel is older than that. */
bool lq_kernel_before(int major, int minor);

/*
 * The compiler of the running kernel, clang, has made @symbol a part of those of its
 * callers that matter here, and no hook sees their calls.
 */
bool lq_is_inlined(const char *symbol);

/* A device behind which nobody answers, and SYNs that come from there. */
void lq_dummy_up(void);
/* The routes back to them, which are there at first. */
void lq_dummy_routes(bool there);
void lq_send_syns(int family, int port, int first, int count);
/* One such SYN, to be sent to lq_dummy_addr() by a raw socket. */
#define LQ_SYN_SIZE	60
size_t lq_make_syn(int family, int port, int i, char packet[LQ_SYN_SIZE]);
struct lq_addr lq_dummy_addr(int family);
/* The source number @i, whose SYN has the sequence number @i. */
struct lq_addr lq_dummy_source(int family, int i);
/* One more segment from there; @flags as in the header's 14th byte. */
#define LQ_FIN		0x01
#define LQ_SYN		0x02
#define LQ_RST		0x04
#define LQ_ACK		0x10
void lq_send_segment(int family, int port, int i, int flags, unsigned int seq,
		     unsigned int ack);
/* The device's name. */
#define LQ_DUMMY	"lqdummy0"

/* Somebody else's figures. */
struct lq_ss {
	unsigned long long cookie;
	long long recvq;
	long long sendq;
	long long inode;
	long long drops;
	char local[128];
};

bool lq_ss(int fd, struct lq_ss *ss);
int lq_ss_listeners(struct lq_ss *rows, int max);
/* Of such rows the one of that cookie; NULL if there is none. */
const struct lq_ss *lq_ss_find(const struct lq_ss *rows, int count,
			       unsigned long long cookie);
int lq_ss_syn_recv(int port);
/* Counters of this namespace's /proc/net/netstat and /proc/net/snmp. */
long long lq_netstat(const char *name);
void lq_netstats(const char * const *names, long long *values, int count);
void lq_set_somaxconn(int value);
/* @name as below /proc/sys/net/, with slashes. */
void lq_set_sysctl(const char *name, int value);
/* This process, and what it forks, stays on one processor from here on. */
void lq_pin_to(int cpu);
void lq_pin(void);
void lq_unpin(void);
/* Where tracefs has @file, which may be written; NULL: nowhere. */
const char *lq_tracefs(const char *file);

#endif
