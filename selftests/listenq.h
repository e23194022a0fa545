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

#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Emulated processors under KASAN take longer than the harness' 30 s. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

#define LQ_SOCKETS	"/proc/net/listenq/sockets"
#define LQ_HOOKS	"/proc/net/listenq/hooks"
#define LQ_CLAMP	"/proc/net/listenq/clamp"
#define LQ_TOTALS	"/proc/net/listenq/totals"
#define LQ_WAITS	"/proc/net/listenq/waits"

/* What lq_num() gives for "-", and for a listener that isn't listed. */
#define LQ_NONE		LLONG_MIN

/* Clocks are read apart from each other, and jiffies are up to 10 ms long. */
#define LQ_SLACK_MS	20

/* Poll until @cond holds; false after 60 s, half of a test's own limit. */
#define lq_wait_until(cond)						\
({									\
	long long __deadline = lq_now_ms() + 60000;			\
	bool __held;							\
									\
	while (!(__held = (cond)) && lq_now_ms() < __deadline)		\
		lq_pause();						\
	__held;								\
})

/*
 * For FIXTURE_SETUP(): the harness of Linux 6.1 runs a test though its
 * set-up said SKIP(), so leave the way a failed assertion does.
 */
#define LQ_SETUP()							\
do {									\
	const char *__why;						\
									\
	lq_skip_by(_metadata, lq_skip_test);				\
	__why = lq_setup();						\
	if (__why)							\
		SKIP(longjmp(_metadata->env, 1), "%s", __why);		\
} while (0)

/* The same for tests that also have something to say without the module. */
#define LQ_SETUP_PLAIN()						\
do {									\
	const char *__why;						\
									\
	lq_skip_by(_metadata, lq_skip_test);				\
	__why = lq_setup_plain();					\
	if (__why)							\
		SKIP(longjmp(_metadata->env, 1), "%s", __why);		\
} while (0)

struct __test_metadata;
typedef void lq_skip_t(struct __test_metadata *_metadata, const char *why);
void lq_skip_by(struct __test_metadata *_metadata, lq_skip_t *skip);

/* Only a test knows its harness. */
#ifdef __KSELFTEST_HARNESS_H
static inline void lq_skip_test(struct __test_metadata *_metadata,
				const char *why)
{
	SKIP(longjmp(_metadata->env, 1), "%s", why);
}
#endif

long long lq_now_ms(void);
void lq_pause(void);

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

/*
 * Skips the test that called LQ_SETUP() from anywhere below it, for what this
 * kernel was configured without. A child that calls this ends, as kselftest's
 * SKIP does.
 */
void lq_skip(const char *why);

/* Root, the module and a namespace; the reason if they can't be had. */
const char *lq_setup(void);
/* Root and a namespace, with the module or without it. */
const char *lq_setup_plain(void);
/* The same for tests that start and stop the units of a VM: no namespace. */
const char *lq_setup_units(void);
void lq_new_netns(void);
/* The module is loaded, or could be loaded just now. */
bool lq_have_module(void);

/* The module itself. All return 0 or an errno, as the system call does. */
bool lq_loaded(void);
int lq_load(void);
int lq_load_file(const char *path);
/* By its file, where lq_module_path() has one. */
int lq_load_with(const char *parameters);
int lq_unload(void);
const char *lq_module_path(void);

void lq_write_file(const char *path, const char *text);
/* The number that a file begins with. */
int lq_read_number(const char *path);

/* One write() of @text to the rules of this namespace; 0 or an errno. */
int lq_clamp(const char *text);
/* The whole file, for the caller to free. */
char *lq_clamp_text(void);

int lq_run(const char *command);
pid_t lq_fork(void);
int lq_reap(pid_t pid);
/*
 * A child in a namespace of its own, which has done @begin there and stays
 * until it is killed. @device, one end of a pair whose other end is in that
 * namespace, goes with it. -1 where the kernel has no veth.
 */
pid_t lq_elsewhere(const char *device, void (*begin)(void));
void *lq_shared(size_t size);

/* Another user, without any capability; or capabilities as a bit mask. */
void lq_become_user(int uid);
void lq_set_capabilities(unsigned long long mask);
/*
 * Root of a user namespace of its own, in which @uid, the caller, is the only
 * user. Ends the process as kselftest's SKIP does where that isn't allowed.
 */
void lq_enter_user_namespace(int uid);

/*
 * The kernel log from here on, -1 where it can't be read; and the text of its
 * next line, false where there is none yet.
 */
int lq_open_log(void);
bool lq_read_log(int log, char *text, size_t size);

/* A file of rows under a header line; cells are found by the column's name. */
#define LQ_MAX_COLS	32

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

/* One cell of a listener's row; "" where the listener isn't listed. */
unsigned long long lq_cookie(int fd);
const char *lq_cookie_str(int fd);
const char *lq_str(int fd, const char *col);
long long lq_num(int fd, const char *col);
bool lq_listed(int fd);
long long lq_hook(const char *symbol, const char *col);
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
int lq_listener(int family, int backlog);
int lq_listener_any(int family, int backlog);
void lq_listen(int fd, int backlog);
/* By io_uring: 0, an errno, or -1 where the kernel has no io_uring. */
int lq_uring_listen(int fd, int backlog);
/* The accepted connection, or -1 where the kernel has no io_uring. */
int lq_uring_accept(int fd);
int lq_port(int fd);
ino_t lq_inode(int fd);
int lq_connect(int fd);
/*
 * The same, in @fd's accept queue when this returns: connect() may return
 * before its final ACK has arrived. Nobody else may connect or accept.
 */
int lq_enqueue(int fd);
void lq_accept(int fd);
void lq_end_listening(int fd);

/* One of the kinds of sockets that can listen; @type without flags. */
struct lq_kind {
	int family;
	int type;
	int protocol;
};

/* -1 where there is no such kind. */
int lq_kind_socket(const struct lq_kind *kind, int flags);
/* At the loopback address; of AF_UNIX, at a name that the kernel chooses. */
int lq_kind_bound(const struct lq_kind *kind, int port);
int lq_kind_listener(const struct lq_kind *kind, int backlog);
/* Where @fd is bound to; where to reach it if that is no address. */
struct lq_addr lq_name(int fd);
struct lq_addr lq_reach(int fd);
/* 0 or an errno. */
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

/* A device behind which nobody answers, and SYNs that come from there. */
void lq_dummy_up(void);
void lq_send_syns(int family, int port, int first, int count);
/* One such SYN, to be sent to lq_dummy_addr() by a raw socket. */
#define LQ_SYN_SIZE	60
size_t lq_make_syn(int family, int port, int i, char packet[LQ_SYN_SIZE]);
struct lq_addr lq_dummy_addr(int family);

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
int lq_ss_syn_recv(int port);
long long lq_netstat(const char *name);
void lq_set_somaxconn(int value);
/* @name as below /proc/sys/net/, with slashes. */
void lq_set_sysctl(const char *name, int value);
/* This process, and what it forks, stays on one processor from here on. */
void lq_pin(void);

#endif
