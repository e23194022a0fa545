// SPDX-License-Identifier: GPL-2.0-only
/* What the selftests of listenq share; listenq.h says what each is for. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "kselftest.h"
#include "listenq.h"

#ifndef SO_COOKIE
#define SO_COOKIE	57
#endif

/* Newer than the oldest libc; the same on every architecture. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open	434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd	438
#endif

#define DUMMY		LQ_DUMMY
#define DUMMY_ADDR4	"10.9.255.254"
#define DUMMY_ADDR6	"fd09::ffff"

long long lq_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void sleep_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

void lq_pause(void)
{
	sleep_ms(2);
}

void lq_pause_after(long long waited_ms)
{
	long long ms = waited_ms / 16;

	sleep_ms(ms < 2 ? 2 : ms > 50 ? 50 : ms);
}

void lq_breathe(int i)
{
	if (i % 16 == 15)
		lq_pause();
}

int lq_scaled(int count)
{
	return getenv("LISTENQ_SLOW") ? count / 10 : count;
}

static unsigned long long chance_state;

unsigned long long lq_seed(int stream)
{
	static unsigned long long seed;
	const char *given = getenv("LISTENQ_SEED");

	if (given)
		seed = strtoull(given, NULL, 0);
	else if (!seed)
		seed = lq_now_ms() * 1000003ULL + getpid();
	chance_state = (seed + stream * 1000003ULL) * 2 + 1;
	return seed;
}

/* An xorshift. */
unsigned int lq_chance(unsigned int count)
{
	chance_state ^= chance_state >> 12;
	chance_state ^= chance_state << 25;
	chance_state ^= chance_state >> 27;
	return (chance_state * 0x2545f4914f6cdd1dULL >> 33) % count;
}

void lq_write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		err(1, "%s", path);
	if (write(fd, text, len) != (ssize_t)len)
		err(1, "write %s", path);
	close(fd);
}

void lq_write_number(const char *path, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", value);
	lq_write_file(path, text);
}

int lq_read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	int value;

	if (!file || fscanf(file, "%d", &value) != 1)
		err(1, "%s", path);
	fclose(file);
	return value;
}

const char *lq_first_line(const char *path)
{
	static char line[64];
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, sizeof(line), file))
		err(1, "%s", path);
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* The test under way, its process, and how to skip it. */
static struct __test_metadata *test;
static pid_t test_pid;
static lq_skip_t *skip_test;

void lq_skip_by(struct __test_metadata *_metadata, lq_skip_t *skip)
{
	test = _metadata;
	test_pid = getpid();
	skip_test = skip;
}

void lq_skip(const char *why)
{
	if (getpid() == test_pid)
		skip_test(test, why);
	warnx("%s", why);
	_exit(KSFT_SKIP);
}

/* Runs a command in a shell, silently; its exit status. */
int lq_run(const char *command)
{
	int status;

	fflush(NULL);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A child that doesn't outlive the test, however the test ends. */
pid_t lq_fork(void)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* 0: the parent is in another PID namespace. */
		if (getppid() != parent && getppid())
			_exit(1);
	}
	return pid;
}

int lq_reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return status;
}

/* Of a child of lq_fork_ready(): the pipe by which it says that it is. */
static int ready_fd;

pid_t lq_fork_ready(void)
{
	int ready[2], status;
	pid_t pid;
	char byte;

	if (pipe(ready))
		err(1, "pipe");
	pid = lq_fork();
	if (!pid) {
		close(ready[0]);
		ready_fd = ready[1];
		return 0;
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		status = lq_reap(pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != KSFT_SKIP)
			errx(1, "a child ended with %#x", status);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

pid_t lq_fork_first(void)
{
	pid_t pid = lq_fork_ready(), first;

	if (pid)
		return pid;
	if (unshare(CLONE_NEWPID))
		err(1, "unshare");
	first = lq_fork();
	if (first)
		_exit(lq_reap(first));
	return 0;
}

void lq_stay(void)
{
	if (write(ready_fd, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int lq_made_by(void (*enter)(int uid), int uid)
{
	pid_t pid = lq_fork_ready();
	char path[64];
	int fd;

	if (!pid) {
		enter(uid);
		lq_stay();
	}
	if (pid < 0)
		lq_skip("users may make no such namespaces here");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	lq_kill(pid);
	return fd;
}

void lq_send_away(int to, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { };
	struct iovec text = { "", 1 };
	struct msghdr message = {
		.msg_iov = &text, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(to, &message, 0) != 1)
		err(1, "sendmsg");
}

int lq_take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return taken;
}

int lq_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	return lq_reap(pid);
}

char lq_state(pid_t tid)
{
	char path[64], line[512], *end = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "r");
	/* It follows the name, which is in parentheses. */
	if (file && fgets(line, sizeof(line), file))
		end = strrchr(line, ')');
	if (!end)
		errx(1, "%s", path);
	fclose(file);
	return end[2];
}

pid_t lq_elsewhere(const char *device, void (*begin)(void))
{
	char command[128];
	pid_t pid = lq_fork_ready();

	if (!pid) {
		lq_new_netns();
		begin();
		lq_stay();
	}
	snprintf(command, sizeof(command),
		 "ip link add %s type veth peer name in netns %d 2>/dev/null",
		 device, pid);
	if (!lq_run(command) && if_nametoindex(device))
		return pid;
	lq_kill(pid);
	return -1;
}

void *lq_shared(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "mmap");
	return mem;
}

int lq_open_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (faults < 0)
		lq_skip(errno == EPERM ? "userfaultfd is not permitted" :
			"the kernel has no userfaultfd");
	if (ioctl(faults, UFFDIO_API, &api))
		err(1, "UFFDIO_API");
	return faults;
}

void *lq_faulting_page(int faults)
{
	struct uffdio_register range = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	size_t size = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		err(1, "mmap");
	memset(pages, 0, size);
	range.range.start = (unsigned long)pages + size;
	range.range.len = size;
	if (ioctl(faults, UFFDIO_REGISTER, &range))
		err(1, "UFFDIO_REGISTER");
	return pages + size;
}

void lq_become_user(int uid)
{
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		err(1, "setresuid(%d)", uid);
	/* So that /proc/self stays one's own; and die with the test again. */
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void lq_set_capabilities(unsigned long long mask)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = mask, .permitted = mask },
		{ .effective = mask >> 32, .permitted = mask >> 32 },
	};

	if (syscall(SYS_capset, &header, data))
		err(1, "capset");
}

void lq_drop_net_admin(void)
{
	lq_set_capabilities(~0ULL >> (63 - CAP_LAST_CAP) &
			    ~(1ULL << CAP_NET_ADMIN));
}

void lq_enter_user_namespace(int uid)
{
	char map[32];

	if (unshare(CLONE_NEWUSER))
		_exit(KSFT_SKIP);
	snprintf(map, sizeof(map), "0 %d 1", uid);
	lq_write_file("/proc/self/setgroups", "deny");
	lq_write_file("/proc/self/uid_map", map);
	if (setresuid(0, 0, 0))
		err(1, "setresuid(0)");
	/* Which a change of credentials may have ended. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void lq_enter_container(int uid)
{
	lq_become_user(uid);
	lq_enter_user_namespace(uid);
	lq_new_netns();
}

int lq_write_as(void (*become)(void), const char *path, const char *text)
{
	int *error = lq_shared(sizeof(*error));
	pid_t pid = lq_fork();
	int fd, status;

	if (!pid) {
		become();
		fd = open(path, O_WRONLY | O_CLOEXEC);
		*error = fd < 0 ? errno : lq_write(fd, text, strlen(text));
		_exit(0);
	}
	status = lq_reap(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		return -1;
	if (status)
		errx(1, "a writer failed");
	return *error;
}

int lq_open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool lq_read_log(int log, char *text, size_t size)
{
	char record[8192], *start;
	ssize_t len;

	/* EPIPE: the oldest lines were overwritten, the next read goes on. */
	do
		len = read(log, record, sizeof(record) - 1);
	while (len < 0 && errno == EPIPE);
	if (len <= 0)
		return false;

	/* Before the text stands a prefix, below it what belongs to it. */
	record[len] = '\0';
	start = strchr(record, ';');
	if (!start)
		errx(1, "a line of the log without a text");
	start[strcspn(start, "\n")] = '\0';
	snprintf(text, size, "%s", start + 1);
	return true;
}

bool lq_loaded(void)
{
	return !access("/sys/module/listenq", F_OK);
}

/* NULL where it is modprobe that knows. */
const char *lq_module_path(void)
{
	static char path[PATH_MAX];
	FILE *pipe;

	if (getenv("LISTENQ_KO"))
		return getenv("LISTENQ_KO");

	pipe = popen("modinfo -n listenq 2>/dev/null", "r");
	if (!pipe)
		err(1, "modinfo");
	if (!fgets(path, sizeof(path), pipe))
		path[0] = '\0';
	pclose(pipe);
	path[strcspn(path, "\n")] = '\0';
	return path[0] == '/' ? path : NULL;
}

static int load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return errno;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	return ret;
}

int lq_load_file(const char *path)
{
	return load(path, "");
}

int lq_load_with(const char *parameters)
{
	return load(lq_module_path(), parameters);
}

int lq_load(void)
{
	if (getenv("LISTENQ_KO"))
		return lq_load_file(getenv("LISTENQ_KO"));
	return lq_run("modprobe -q listenq 2>/dev/null") ? ENOENT : 0;
}

int lq_unload(void)
{
	return syscall(SYS_delete_module, "listenq", O_NONBLOCK) ? errno : 0;
}

int lq_restore(bool loaded)
{
	if (loaded == lq_loaded())
		return 0;
	return loaded ? lq_load() : lq_unload();
}

void lq_set_lo(bool up)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		err(1, "lo %s", up ? "up" : "down");
	close(fd);
}

void lq_new_netns(void)
{
	if (unshare(CLONE_NEWNET)) {
		if (errno == EINVAL)
			lq_skip("the kernel has no network namespaces");
		err(1, "unshare(CLONE_NEWNET)");
	}
	lq_set_lo(true);
}

int lq_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "/proc/self/ns/net");
	return fd;
}

unsigned long lq_netns_inode(void)
{
	int fd = lq_netns();
	unsigned long inode = lq_inode(fd);

	close(fd);
	return inode;
}

void lq_enter_netns(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		err(1, "setns");
}

bool lq_have_module(void)
{
	int error;

	if (lq_loaded())
		return true;
	error = lq_load();
	/* A module that is there and can't be loaded is a failure. */
	if (error && getenv("LISTENQ_KO"))
		errx(1, "%s: %s", getenv("LISTENQ_KO"), strerror(error));
	return !error;
}

#define NO_MODULE	"no listenq module: install it or set LISTENQ_KO"

const char *lq_setup_plain(void)
{
	if (geteuid())
		return "needs root";
	lq_new_netns();
	return NULL;
}

const char *lq_setup_units(void)
{
	if (geteuid())
		return "needs root";
	if (!getenv("LISTENQ_VM"))
		return "starts and stops this machine's units: only in a VM (LISTENQ_VM)";
	if (access("/run/systemd/system", F_OK))
		return "no systemd";
	if (!lq_have_module())
		return NO_MODULE;
	return NULL;
}

const char *lq_setup(void)
{
	if (!geteuid() && !lq_have_module())
		return NO_MODULE;
	return lq_setup_plain();
}

static char *slurp(const char *path, size_t chunk)
{
	size_t size = 1 << 16, len = 0;
	char *text = malloc(size);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		err(1, "%s", path);
	for (;;) {
		if (!text)
			err(1, "malloc");
		n = read(fd, text + len,
			 chunk < size - len ? chunk : size - len - 1);
		if (n < 0)
			err(1, "read %s", path);
		if (!n)
			break;
		len += n;
		if (size - len < 4096) {
			size *= 2;
			text = realloc(text, size);
		}
	}
	close(fd);
	text[len] = '\0';
	return text;
}

char *lq_clamp_text(void)
{
	return slurp(LQ_CLAMP, SIZE_MAX);
}

int lq_write(int fd, const void *bytes, size_t len)
{
	ssize_t done = write(fd, bytes, len);

	if (done < 0)
		return errno;
	/* All of it or nothing. */
	if (done != (ssize_t)len)
		errx(1, "%zd of %zu bytes written", done, len);
	return 0;
}

static int write_once(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		err(1, "%s", path);
	error = lq_write(fd, text, strlen(text));
	close(fd);
	return error;
}

int lq_clamp(const char *text)
{
	return write_once(LQ_CLAMP, text);
}

int lq_clampf(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) >= (int)sizeof(text))
		errx(1, "too long: %s", text);
	va_end(args);
	return lq_clamp(text);
}

int lq_write_sockets(const char *text)
{
	return write_once(LQ_SOCKETS, text);
}

static int split(char *line, char **cells)
{
	char *save;
	int n = 0;

	for (char *word = strtok_r(line, " ", &save); word && n < LQ_MAX_COLS;
	     word = strtok_r(NULL, " ", &save))
		cells[n++] = word;
	return n;
}

/* Takes over @text. Words past the last column (free text) are cut off. */
struct lq_table *lq_parse(char *text)
{
	struct lq_table *table = calloc(1, sizeof(*table));
	int lines = 0;
	char *save;

	if (!table)
		err(1, "calloc");
	table->text = text;
	for (char *p = text; *p; p++)
		lines += *p == '\n';
	table->cells = calloc(lines + 1, sizeof(*table->cells));
	if (!table->cells)
		err(1, "calloc");

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *words[LQ_MAX_COLS] = { NULL };
		int n;

		/* A note, for humans. */
		if (*line == '#')
			continue;
		n = split(line, words);
		if (!table->ncols) {
			memcpy(table->cols, words, sizeof(words));
			table->ncols = n;
			continue;
		}
		if (n < table->ncols)
			errx(1, "a line of %d words under %d columns", n,
			     table->ncols);
		memcpy(table->cells[table->nrows++], words, sizeof(words));
	}
	return table;
}

struct lq_table *lq_read_chunks(const char *path, size_t chunk)
{
	return lq_parse(slurp(path, chunk));
}

struct lq_table *lq_read(const char *path)
{
	return lq_read_chunks(path, SIZE_MAX);
}

void lq_free(struct lq_table *table)
{
	free(table->cells);
	free(table->text);
	free(table);
}

int lq_col(const struct lq_table *table, const char *col)
{
	for (int i = 0; i < table->ncols; i++)
		if (!strcmp(table->cols[i], col))
			return i;
	errx(1, "no column %s", col);
}

const char *lq_cell(const struct lq_table *table, int row, const char *col)
{
	return table->cells[row][lq_col(table, col)];
}

/* The only row with @value in @col; -1 if there is none. */
int lq_find(const struct lq_table *table, const char *col, const char *value)
{
	int i = lq_col(table, col);
	int found = -1;

	for (int row = 0; row < table->nrows; row++) {
		if (strcmp(table->cells[row][i], value))
			continue;
		if (found >= 0)
			errx(1, "two rows with %s %s", col, value);
		found = row;
	}
	return found;
}

int lq_row(const struct lq_table *table, int fd)
{
	int row = lq_find(table, "cookie", lq_cookie_str(fd));

	if (row < 0)
		errx(1, "a listener that isn't listed");
	return row;
}

int lq_rows(const char *path)
{
	struct lq_table *table = lq_read(path);
	int count = table->nrows;

	lq_free(table);
	return count;
}

unsigned long long lq_cookie(int fd)
{
	unsigned long long cookie;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len))
		err(1, "SO_COOKIE");
	return cookie;
}

const char *lq_cookie_str(int fd)
{
	static char text[20];

	snprintf(text, sizeof(text), "%llx", lq_cookie(fd));
	return text;
}

const char *lq_str(int fd, const char *col)
{
	static char text[256];
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int row = lq_find(table, "cookie", lq_cookie_str(fd));

	snprintf(text, sizeof(text), "%s",
		 row < 0 ? "" : lq_cell(table, row, col));
	lq_free(table);
	return text;
}

static long long number(const char *text)
{
	long long value;
	char *end;

	if (!*text || !strcmp(text, "-"))
		return LQ_NONE;
	value = strtoll(text, &end, 10);
	if (*end)
		errx(1, "neither figure nor dash: %s", text);
	return value;
}

long long lq_cell_num(const struct lq_table *table, int row, const char *col)
{
	return number(lq_cell(table, row, col));
}

long long lq_num(int fd, const char *col)
{
	return number(lq_str(fd, col));
}

bool lq_listed(int fd)
{
	return *lq_str(fd, "cookie");
}

/* A cell of the row that has @value in @key; LQ_NONE where there is no row. */
static long long number_at(const char *path, const char *key,
			   const char *value, const char *col)
{
	struct lq_table *table = lq_read(path);
	int row = lq_find(table, key, value);
	long long found = row < 0 ? LQ_NONE : lq_cell_num(table, row, col);

	lq_free(table);
	return found;
}

long long lq_hook(const char *symbol, const char *col)
{
	return number_at(LQ_HOOKS, "symbol", symbol, col);
}

const char *lq_hook_str(const char *symbol, const char *col)
{
	static char text[64];
	struct lq_table *table = lq_read(LQ_HOOKS);
	int row = lq_find(table, "symbol", symbol);

	snprintf(text, sizeof(text), "%s",
		 row < 0 ? "" : lq_cell(table, row, col));
	lq_free(table);
	return text;
}

const char * const lq_counters[LQ_COUNTERS] = {
	"syns", "accepts", "overflows", "synq_drops", "syncookies", "sk_drops",
};

long long lq_total(const char *col)
{
	struct lq_table *table = lq_read(LQ_TOTALS);
	long long value;

	if (table->nrows != 1)
		errx(1, LQ_TOTALS ": %d lines", table->nrows);
	value = lq_cell_num(table, 0, col);
	lq_free(table);
	return value;
}

/* The "-" of a hook that isn't on counts nothing. */
long long lq_missed(void)
{
	struct lq_table *table = lq_read(LQ_HOOKS);
	long long sum = 0;

	for (int i = 0; i < table->nrows; i++)
		sum += atoll(lq_cell(table, i, "nmissed"));
	lq_free(table);
	return sum;
}

struct lq_addr lq_addr(int family, const char *host, int port)
{
	struct lq_addr addr = { .len = 0 };

	addr.ss.ss_family = family;
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&addr.ss;

		in->sin_port = htons(port);
		addr.len = sizeof(*in);
		if (inet_pton(family, host, &in->sin_addr) != 1)
			errx(1, "%s", host);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr.ss;

		in6->sin6_port = htons(port);
		addr.len = sizeof(*in6);
		if (inet_pton(family, host, &in6->sin6_addr) != 1)
			errx(1, "%s", host);
	}
	return addr;
}

const char *lq_loopback(int family)
{
	return family == AF_INET ? "127.0.0.1" : "::1";
}

/* -1 where there is no such kind. */
static int new_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0 && errno == EAFNOSUPPORT)
		lq_need_family(family);
	if (fd < 0 && protocol == IPPROTO_MPTCP && errno == EPROTONOSUPPORT &&
	    (type & 0xf) == SOCK_STREAM)
		lq_skip("the kernel has no MPTCP");
	return fd;
}

int lq_families(void)
{
	static int families;
	int fd;

	if (families)
		return families;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno != EAFNOSUPPORT)
		err(1, "a socket of IPv6");
	families = fd < 0 ? 1 : 2;
	close(fd);
	return families;
}

bool lq_has_family(int family)
{
	return family != AF_INET6 || lq_families() == 2;
}

void lq_need_family(int family)
{
	if (!lq_has_family(family))
		lq_skip("the kernel has no IPv6");
}

int lq_family(int i)
{
	return i % lq_families() ? AF_INET6 : AF_INET;
}

static int bound(int family, const char *host, int port, int protocol)
{
	struct lq_addr addr = lq_addr(family, host, port);
	int fd = new_socket(family, SOCK_STREAM, protocol);

	if (fd < 0 || bind(fd, &addr.sa, addr.len))
		err(1, "a socket at %s:%d", host, port);
	return fd;
}

int lq_bound(int family, const char *host, int port)
{
	return bound(family, host, port, 0);
}

int lq_bound_mptcp(int family, const char *host, int port)
{
	return bound(family, host, port, IPPROTO_MPTCP);
}

int lq_bound_loopback(int family)
{
	return lq_bound(family, lq_loopback(family), 0);
}

int lq_bound_shared(int family, const char *host, int port)
{
	struct lq_addr addr = lq_addr(family, host, port);
	int fd = new_socket(family, SOCK_STREAM, 0);
	const int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, &addr.sa, addr.len))
		err(1, "a socket that shares %s:%d", host, port);
	return fd;
}

void lq_listen(int fd, int backlog)
{
	if (listen(fd, backlog))
		err(1, "listen(%d)", backlog);
}

/* By the numbers: the headers of older releases don't know all of these. */
#define URING_OP_ACCEPT	13
#define URING_OP_CONNECT	16
#define URING_OP_LISTEN	57

/* One operation on a ring of its own; false where there is no io_uring. */
static bool uring_do(const struct io_uring_sqe *sqe, int *result)
{
	struct io_uring_params params = { };
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqe;
	unsigned int *tail, *array;
	char *sq, *cq;
	int ring;

	ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		return false;
	sq = mmap(NULL, params.sq_off.array + sizeof(*array),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + 2 * sizeof(*cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		err(1, "io_uring");
	tail = (void *)(sq + params.sq_off.tail);
	array = (void *)(sq + params.sq_off.array);
	cqe = (void *)(cq + params.cq_off.cqes);

	*sqes = *sqe;
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		err(1, "io_uring_enter");
	*result = cqe->res;
	close(ring);
	return true;
}

int lq_uring_listen(int fd, int backlog)
{
	const struct io_uring_sqe sqe = {
		.opcode = URING_OP_LISTEN, .fd = fd, .len = backlog,
	};
	int result;

	return uring_do(&sqe, &result) ? -result : -1;
}

int lq_uring_accept(int fd)
{
	const struct io_uring_sqe sqe = { .opcode = URING_OP_ACCEPT, .fd = fd };
	int result;

	if (!uring_do(&sqe, &result))
		return -1;
	if (result < 0)
		errx(1, "accept by io_uring: %s", strerror(-result));
	return result;
}

int lq_uring_connect(int fd, const struct lq_addr *addr)
{
	const struct io_uring_sqe sqe = {
		.opcode = URING_OP_CONNECT, .fd = fd,
		.addr = (uintptr_t)&addr->sa, .off = addr->len,
	};
	int result;

	return uring_do(&sqe, &result) ? -result : -1;
}

int lq_listener(int family, int backlog)
{
	int fd = lq_bound_loopback(family);

	lq_listen(fd, backlog);
	return fd;
}

int lq_listener_any(int family, int backlog)
{
	int fd = lq_bound(family, family == AF_INET ? "0.0.0.0" : "::", 0);

	lq_listen(fd, backlog);
	return fd;
}

struct lq_addr lq_name(int fd)
{
	struct lq_addr addr = { .len = sizeof(addr.ss) };

	if (getsockname(fd, &addr.sa, &addr.len))
		err(1, "getsockname");
	return addr;
}

int lq_port(int fd)
{
	struct lq_addr addr = lq_name(fd);

	return ntohs(addr.ss.ss_family == AF_INET ?
		     ((struct sockaddr_in *)&addr.ss)->sin_port :
		     ((struct sockaddr_in6 *)&addr.ss)->sin6_port);
}

ino_t lq_inode(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		err(1, "fstat");
	return st.st_ino;
}

void lq_set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		err(1, "setsockopt(%d, %d, %d)", level, name, value);
}

/* The client's end of a connection that waits to be accepted at @fd. */
int lq_connect(int fd)
{
	struct lq_addr addr = lq_name(fd);
	int client = socket(addr.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (client < 0 || connect(client, &addr.sa, addr.len))
		err(1, "connect");
	return client;
}

void lq_fast_open(int client, const struct lq_addr *to)
{
	if (sendto(client, "data", 4, MSG_FASTOPEN, &to->sa, to->len) != 4 &&
	    errno != EINPROGRESS)
		err(1, "MSG_FASTOPEN");
}

int lq_enqueue(int fd)
{
	int before, waiting, limit, client;

	lq_tcp_queue(fd, &before, &limit);
	client = lq_connect(fd);
	if (!lq_wait_until(lq_tcp_queue(fd, &waiting, &limit) &&
			   waiting == before + 1))
		errx(1, "%d wait, after %d", waiting, before);
	return client;
}

void lq_fill(int fd, int count)
{
	/* A FIN beside an ACK that is still on its way would be an overflow. */
	for (int i = 0; i < count; i++)
		close(lq_enqueue(fd));
}

int lq_full(int family, const char *host, int backlog)
{
	int fd = lq_bound(family, host, 0);

	lq_listen(fd, backlog);
	lq_fill(fd, backlog + 1);
	return fd;
}

int lq_full_any(int backlog)
{
	return lq_full(AF_INET, "0.0.0.0", backlog);
}

void lq_turn_away(int fd)
{
	struct lq_addr addr = lq_name(fd);
	int client = socket(addr.ss.ss_family,
			    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (client < 0 || !connect(client, &addr.sa, addr.len) ||
	    errno != EINPROGRESS)
		err(1, "a connection to a full queue");
	close(client);
}

/* Takes the head of the accept queue, and ends that connection. */
void lq_accept(int fd)
{
	int child = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (child < 0)
		err(1, "accept");
	close(child);
}

void lq_connect_many(int fd, int *clients, int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = lq_connect(fd);
}

void lq_accept_many(int fd, int count)
{
	for (int i = 0; i < count; i++)
		lq_accept(fd);
}

void lq_close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

/* Drops what has none of these flags. */
static void let_in(int fd, int flags)
{
	/* A filter of TCP begins at its header: these are the flags. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {
		.len = ARRAY_SIZE(code), .filter = code,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)))
		err(1, "SO_ATTACH_FILTER");
}

void lq_hold_acks(int fd)
{
	let_in(fd, LQ_SYN);
}

void lq_hold_all(int fd)
{
	let_in(fd, 0);
}

void lq_pass_acks(int fd)
{
	const int unused = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
		       sizeof(unused)))
		err(1, "SO_DETACH_FILTER");
}

/* Who is refused may have got the reset already. */
void lq_send_byte(int client)
{
	if (send(client, "x", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE &&
	    errno != ECONNRESET)
		err(1, "send");
}

void lq_abort(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		err(1, "SO_LINGER");
	close(fd);
}

static void by_shutdown(int fd)
{
	if (shutdown(fd, SHUT_RD))
		err(1, "shutdown");
}

/* What haproxy does to a listener that it suspends. */
void lq_end_listening(int fd)
{
	struct sockaddr addr = { .sa_family = AF_UNSPEC };

	if (connect(fd, &addr, sizeof(addr)))
		err(1, "connect(AF_UNSPEC)");
}

void (*const lq_stops[LQ_STOPS])(int fd) = { by_shutdown, lq_end_listening };

int lq_kind_socket(const struct lq_kind *kind, int flags)
{
	return new_socket(kind->family, kind->type | flags, kind->protocol);
}

struct lq_addr lq_kind_addr(const struct lq_kind *kind, int port)
{
	struct lq_addr addr = { .len = sizeof(sa_family_t) };

	if (kind->family != AF_UNIX)
		return lq_addr(kind->family, lq_loopback(kind->family), port);
	addr.ss.ss_family = AF_UNIX;
	return addr;
}

int lq_kind_bound(const struct lq_kind *kind, int port)
{
	struct lq_addr addr = lq_kind_addr(kind, port);
	int fd = lq_kind_socket(kind, 0);

	if (fd < 0 || lq_try_bind(fd, &addr))
		err(1, "a socket of family %d, type %d, protocol %d",
		    kind->family, kind->type, kind->protocol);
	return fd;
}

int lq_kind_listener(const struct lq_kind *kind, int backlog)
{
	int fd = lq_kind_bound(kind, 0);

	lq_listen(fd, backlog);
	return fd;
}

struct lq_addr lq_reach(int fd)
{
	struct lq_addr addr = lq_name(fd);
	int family = addr.ss.ss_family;

	if (family == AF_UNIX)
		return addr;
	return lq_addr(family, lq_loopback(family), lq_port(fd));
}

int lq_try_bind(int fd, const struct lq_addr *addr)
{
	return bind(fd, &addr->sa, addr->len) ? errno : 0;
}

int lq_try_listen(int fd, int backlog)
{
	return listen(fd, backlog) ? errno : 0;
}

int lq_try_connect(int client, int fd)
{
	struct lq_addr addr = lq_reach(fd);

	return connect(client, &addr.sa, addr.len) ? errno : 0;
}

bool lq_tcp_queue(int fd, int *waiting, int *limit)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len)) {
		if (errno == EOPNOTSUPP && lq_kernel_before(5, 13))
			return false;
		err(1, "TCP_INFO");
	}
	if (info.tcpi_state != TCP_LISTEN)
		errx(1, "TCP_INFO of a socket that doesn't listen");
	*waiting = info.tcpi_unacked;
	*limit = info.tcpi_sacked;
	return true;
}

const char *lq_endpoint(const struct lq_addr *addr)
{
	static char text[4][64];
	static int next;
	char *to = text[next++ % 4];
	bool v4 = addr->ss.ss_family == AF_INET;
	const struct sockaddr_in *in = (const void *)&addr->ss;
	const struct sockaddr_in6 *in6 = (const void *)&addr->ss;
	char host[INET6_ADDRSTRLEN];

	inet_ntop(addr->ss.ss_family,
		  v4 ? (const void *)&in->sin_addr : &in6->sin6_addr, host,
		  sizeof(host));
	snprintf(to, sizeof(text[0]), v4 ? "%s:%d" : "[%s]:%d", host,
		 ntohs(v4 ? in->sin_port : in6->sin6_port));
	return to;
}

const char *lq_local(int fd)
{
	struct lq_addr addr = lq_name(fd);

	return lq_endpoint(&addr);
}

long long lq_num_at(int fd, const char *col)
{
	return number_at(LQ_SOCKETS, "local", lq_local(fd), col);
}

int lq_listed_at(int fd)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	const char *local = lq_local(fd);
	int count = 0;

	for (int row = 0; row < table->nrows; row++)
		count += !strcmp(lq_cell(table, row, "local"), local);
	lq_free(table);
	return count;
}

bool lq_is_inlined(const char *symbol)
{
	static const char * const symbols[] = { "__sys_listen", "__inet_listen_sk" };
	char version[512] = "";
	FILE *file = fopen("/proc/version", "r");

	if (!file || !fgets(version, sizeof(version), file))
		err(1, "/proc/version");
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		if (!strcmp(symbol, symbols[i]))
			return strstr(version, "clang version");
	return false;
}

bool lq_kernel_before(int major, int minor)
{
	struct utsname name;
	int version[2];

	if (uname(&name) ||
	    sscanf(name.release, "%d.%d", &version[0], &version[1]) != 2)
		errx(1, "which kernel is this?");
	return version[0] < major ||
	       (version[0] == major && version[1] < minor);
}

void lq_set_sysctl(const char *name, int value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	if (!strcmp(name, "ipv4/tcp_syncookies") && access(path, F_OK))
		lq_skip("the kernel has no SYN cookies");
	lq_write_number(path, value);
}

void lq_set_somaxconn(int value)
{
	lq_set_sysctl("core/somaxconn", value);
}

void lq_pin_to(int cpu)
{
	cpu_set_t there;

	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	if (sched_setaffinity(0, sizeof(there), &there))
		err(1, "sched_setaffinity");
}

void lq_pin(void)
{
	lq_pin_to(sched_getcpu());
}

void lq_unpin(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	if (sched_setaffinity(0, sizeof(all), &all))
		err(1, "sched_setaffinity");
}

const char *lq_tracefs(const char *file)
{
	static const char * const dirs[] = {
		"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], file);
		if (!access(path, W_OK))
			return dirs[i];
	}
	return NULL;
}

void lq_dummy_up(void)
{
	static const char have_route6[] =
		"ip -6 route show table local | grep -q " DUMMY_ADDR6;

	if (lq_run("ip link add " DUMMY " type dummy"))
		lq_skip("the kernel has no dummy devices");
	if (lq_run("ip -batch - <<end\n"
		   "link set " DUMMY " up\n"
		   "addr add " DUMMY_ADDR4 "/16 dev " DUMMY "\n"
		   "end"))
		errx(1, "no address at " DUMMY);
	if (lq_has_family(AF_INET6)) {
		if (lq_run("ip addr add " DUMMY_ADDR6 "/64 dev " DUMMY " nodad"))
			errx(1, "no IPv6 address at " DUMMY);
		/* A work item of the kernel's adds the route to it. */
		if (!lq_wait_until(!lq_run(have_route6)))
			errx(1, "no route to " DUMMY_ADDR6);
	}
	/* The SYNs come in by lo, their sources are behind the dummy. */
	lq_write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	lq_write_file("/proc/sys/net/ipv4/conf/lo/rp_filter", "0");
}

void lq_dummy_routes(bool there)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ip route %1$s 10.9.0.0/16 dev " DUMMY " &&\n"
		 "if [ %2$d = 2 ]; then ip -6 route %1$s fd09::/64 dev " DUMMY "; fi",
		 there ? "add" : "del", lq_families());
	if (lq_run(command))
		errx(1, "the routes to " DUMMY " are left as they are");
}

static unsigned int sum(const void *data, size_t len, unsigned int total)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i += 2)
		total += p[i] << 8 | p[i + 1];
	return total;
}

static in_port_t tcp_check(const void *saddr, const void *daddr, size_t len,
			   const struct tcphdr *th)
{
	unsigned int total = IPPROTO_TCP + sizeof(*th);

	total = sum(saddr, len, total);
	total = sum(daddr, len, total);
	total = sum(th, sizeof(*th), total);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

/* Where the dummy device's listeners are reached. */
struct lq_addr lq_dummy_addr(int family)
{
	return lq_addr(family, family == AF_INET ? DUMMY_ADDR4 : DUMMY_ADDR6, 0);
}

struct lq_addr lq_dummy_source(int family, int i)
{
	char host[INET6_ADDRSTRLEN];

	if (family == AF_INET)
		snprintf(host, sizeof(host), "10.9.%d.%d", i / 250 % 250,
			 1 + i % 250);
	else
		snprintf(host, sizeof(host), "fd09::%x:%x", i / 250 + 1,
			 1 + i % 250);
	return lq_addr(family, host, 20000 + i % 20000);
}

/* A segment to @port, from the source number @i. Returns its length. */
static size_t make_segment(int family, int port, int i, struct tcphdr *th,
			   char packet[LQ_SYN_SIZE])
{
	struct lq_addr from = lq_dummy_source(family, i);
	struct lq_addr to = lq_dummy_addr(family);
	size_t len;

	th->source = htons(20000 + i % 20000);
	th->dest = htons(port);
	th->doff = sizeof(*th) / 4;
	th->window = htons(64240);
	if (family == AF_INET) {
		struct iphdr ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = IPPROTO_TCP,
		};

		ip.saddr = ((struct sockaddr_in *)&from.ss)->sin_addr.s_addr;
		ip.daddr = ((struct sockaddr_in *)&to.ss)->sin_addr.s_addr;
		th->check = tcp_check(&ip.saddr, &ip.daddr, sizeof(ip.saddr),
				      th);
		len = sizeof(ip);
		memcpy(packet, &ip, len);
	} else {
		struct ip6_hdr ip6 = {
			.ip6_plen = htons(sizeof(*th)),
			.ip6_nxt = IPPROTO_TCP, .ip6_hlim = 64,
		};

		ip6.ip6_vfc = 6 << 4;
		ip6.ip6_src = ((struct sockaddr_in6 *)&from.ss)->sin6_addr;
		ip6.ip6_dst = ((struct sockaddr_in6 *)&to.ss)->sin6_addr;
		th->check = tcp_check(&ip6.ip6_src, &ip6.ip6_dst,
				      sizeof(ip6.ip6_src), th);
		len = sizeof(ip6);
		memcpy(packet, &ip6, len);
	}
	memcpy(packet + len, th, sizeof(*th));
	return len + sizeof(*th);
}

size_t lq_make_syn(int family, int port, int i, char packet[LQ_SYN_SIZE])
{
	struct tcphdr th = { .seq = htonl(i), .syn = 1 };

	return make_segment(family, port, i, &th, packet);
}

static int raw_socket(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		err(1, "raw socket");
	return fd;
}

void lq_send_segment(int family, int port, int i, int flags, unsigned int seq,
		     unsigned int ack)
{
	struct tcphdr th = { .seq = htonl(seq), .ack_seq = htonl(ack) };
	struct lq_addr to = lq_dummy_addr(family);
	int fd = raw_socket(family);
	char packet[LQ_SYN_SIZE];
	size_t len;

	((unsigned char *)&th)[13] = flags;
	len = make_segment(family, port, i, &th, packet);
	if (sendto(fd, packet, len, 0, &to.sa, to.len) != (ssize_t)len)
		err(1, "a segment of source %d", i);
	close(fd);
}

/* @count SYNs to @port, from the sources number @first and up. */
void lq_send_syns(int family, int port, int first, int count)
{
	struct lq_addr to = lq_dummy_addr(family);
	int fd = raw_socket(family);

	for (int i = first; i < first + count; i++) {
		char packet[LQ_SYN_SIZE];
		size_t len = lq_make_syn(family, port, i, packet);

		if (sendto(fd, packet, len, 0, &to.sa, to.len) != (ssize_t)len)
			err(1, "SYN number %d", i);
	}
	close(fd);
}

/*
 * ss asks the kernel's own sock_diag, but falls back to /proc/net/tcp (and
 * to a Send-Q of 0) in silence where that isn't loaded.
 */
static FILE *ss_open(const char *args)
{
	static bool loaded;
	char command[256];
	FILE *pipe;

	if (!loaded && access("/sys/module/tcp_diag", F_OK))
		lq_run("modprobe -q -a inet_diag tcp_diag 2>/dev/null");
	loaded = true;
	snprintf(command, sizeof(command), "ss -Hnt %s", args);
	fflush(NULL);
	pipe = popen(command, "r");
	if (!pipe)
		err(1, "ss");
	return pipe;
}

static void ss_close(FILE *pipe)
{
	if (pclose(pipe))
		errx(1, "ss failed");
}

/* The next listener that ss lists; false at the end. */
static bool ss_next(FILE *pipe, struct lq_ss *ss)
{
	char *sk, *ino, *drops;
	char line[1024];

	if (!fgets(line, sizeof(line), pipe))
		return false;
	sk = strstr(line, " sk:");
	ino = strstr(line, " ino:");
	drops = strstr(line, ",d");
	if (!sk || sscanf(line, "%*s %lld %lld %127s", &ss->recvq, &ss->sendq,
			  ss->local) != 3)
		errx(1, "ss: %s", line);
	ss->cookie = strtoull(sk + 4, NULL, 16);
	ss->inode = ino ? atoll(ino + 5) : LQ_NONE;
	ss->drops = drops ? atoll(drops + 2) : LQ_NONE;
	return true;
}

/* What ss knows of the listener @fd; false if it lists none. */
bool lq_ss(int fd, struct lq_ss *ss)
{
	unsigned long long cookie = lq_cookie(fd);
	FILE *pipe = ss_open("-l -e -m -O");
	struct lq_ss next;
	bool found = false;

	while (ss_next(pipe, &next)) {
		if (next.cookie != cookie)
			continue;
		*ss = next;
		found = true;
	}
	ss_close(pipe);
	return found;
}

const struct lq_ss *lq_ss_find(const struct lq_ss *rows, int count,
			       unsigned long long cookie)
{
	for (int i = 0; i < count; i++)
		if (rows[i].cookie == cookie)
			return &rows[i];
	return NULL;
}

/* All that ss lists; how many. */
int lq_ss_listeners(struct lq_ss *rows, int max)
{
	FILE *pipe = ss_open("-l -e -m -O");
	struct lq_ss next;
	int count = 0;

	while (ss_next(pipe, &next)) {
		if (count == max)
			errx(1, "more than %d listeners", max);
		rows[count++] = next;
	}
	ss_close(pipe);
	return count;
}

/* How many half-open requests to @port ss finds. */
int lq_ss_syn_recv(int port)
{
	char args[64], line[1024];
	int count = 0;
	FILE *pipe;

	snprintf(args, sizeof(args), "state syn-recv sport = :%d", port);
	pipe = ss_open(args);
	while (fgets(line, sizeof(line), pipe))
		count++;
	ss_close(pipe);
	return count;
}

/* Those of @names that the file has. */
static void counters_in(const char *path, const char * const *names,
			long long *values, int count)
{
	char *text = slurp(path, SIZE_MAX);
	char *save, *line;

	/* Pairs of lines: the names, then the values. */
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *next = strtok_r(NULL, "\n", &save);
		char *n, *v, *nsave, *vsave;

		if (!next)
			break;
		n = strtok_r(line, " ", &nsave);
		v = strtok_r(next, " ", &vsave);
		while (n && v) {
			for (int i = 0; i < count; i++)
				if (!strcmp(n, names[i]))
					values[i] = atoll(v);
			n = strtok_r(NULL, " ", &nsave);
			v = strtok_r(NULL, " ", &vsave);
		}
	}
	free(text);
}

void lq_netstats(const char * const *names, long long *values, int count)
{
	for (int i = 0; i < count; i++)
		values[i] = LQ_NONE;
	counters_in("/proc/net/snmp", names, values, count);
	counters_in("/proc/net/netstat", names, values, count);
	for (int i = 0; i < count; i++)
		if (values[i] == LQ_NONE)
			errx(1, "no counter %s", names[i]);
}

long long lq_netstat(const char *name)
{
	long long value;

	lq_netstats(&name, &value, 1);
	return value;
}
