// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tool gets in place of libc's and curses' (see replaced.h), and of
 * other network namespaces, which are folders. A run ends with its input at the
 * latest.
 */

#include <curses.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../tools/listenq.h"
#include "fuzzer.h"

/* How far the clock goes while the tool waits, in ms. */
#define WAIT_MS		1100

static struct {
	struct input *input;
	size_t step;		/* of the files */
	size_t sizes;		/* that the terminal had */
	const char *key;	/* the next one */
	long long ms;		/* since the run began */
	sigjmp_buf end;
	int status;
	SCREEN *screen;
} run;

/* ---- memory: what a run that ended early has left ---- */

/* Beyond these it is lost. */
static const volatile void *left[1 << 16];
static size_t lefts;
static bool noting;

static void note(const volatile void *memory, size_t size)
{
	(void)size;
	if (noting && memory && lefts < ARRAY_SIZE(left))
		left[lefts++] = memory;
}

static void strike(const volatile void *memory)
{
	/* Mostly the latest is freed first. */
	for (size_t i = lefts; noting && i--;)
		if (left[i] == memory) {
			left[i] = left[--lefts];
			break;
		}
}

static void free_left(void)
{
	noting = false;
	while (lefts)
		free((void *)left[--lefts]);
}

/* ---- descriptors ---- */

static int next_descriptor(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

/* A run that ended early may leave some, as a process may that exits. */
static void close_left(int first, bool early)
{
	if (next_descriptor() == first)
		return;
	if (!early) {
		fprintf(stderr, "== a descriptor is still open\n");
		abort();
	}
	close_range(first, ~0U, 0);
}

/* ---- libc ---- */

__attribute__((noreturn))
void tool_exit(int status)
{
	run.status = status;
	siglongjmp(run.end, 1);
}

/* None comes: the fuzzer would end by it. */
int tool_raise(int signal)
{
	(void)signal;
	return 0;
}

int tool_isatty(int fd)
{
	(void)fd;
	return run.input->tty;
}

/* It also goes on by itself. */
int tool_clock_gettime(clockid_t clock, struct timespec *now)
{
	run.ms++;
	*now = (struct timespec) {
		.tv_sec = (clock == CLOCK_REALTIME ? 1700000000 : 100000) +
			  run.ms / 1000,
		.tv_nsec = run.ms % 1000 * 1000000,
	};
	return 0;
}

/* What it keeps is not the run's, and nothing of the one before counts. */
char *tool_setlocale(int category, const char *locale)
{
	bool before = noting;
	char *is;

	noting = false;
	setlocale(category, "C");
	is = setlocale(category, locale);
	noting = before;
	return is;
}

/* While the tool waits its files change; false when they don't any more. */
static bool step_on(void)
{
	run.ms += WAIT_MS;
	if (run.step == run.input->steps)
		return false;
	folder_write(run.input, ++run.step);
	return true;
}

int tool_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time;
	(void)left;
	step_on();
	return 0;
}

/* At their end the tool has to go. */
int tool_poll(struct pollfd *fd, nfds_t count, int timeout)
{
	(void)count;
	(void)timeout;
	if (step_on())
		return 0;
	fd->revents = POLLHUP;
	return 1;
}

int tool_ppoll(struct pollfd *fd, nfds_t count, const struct timespec *timeout,
	       const sigset_t *signals)
{
	(void)timeout;
	(void)signals;
	return tool_poll(fd, count, 0);
}

/* ---- curses ---- */

static void use_size(bool first)
{
	const int *size = run.input->size[run.sizes];
	int height = 24, width = 80;

	if (run.sizes < run.input->sizes) {
		height = size[0] < 100 ? size[0] : 100;
		width = size[1] < 300 ? size[1] : 300;
		run.sizes++;
	}
	if (first)
		resize_term(height, width);
	else
		resizeterm(height, width);
}

/* It has memory of its own, which outlives a run. */
SCREEN *tool_newterm(const char *type, FILE *to, FILE *from)
{
	noting = false;
	__lsan_disable();
	run.screen = newterm(type, to, from);
	__lsan_enable();
	if (run.screen)
		use_size(true);
	return run.screen;
}

void tool_delscreen(SCREEN *screen)
{
	delscreen(screen);
	run.screen = NULL;
}

/* A letter is a key; those that have no letter have one that means nothing else. */
static int key_of(char letter)
{
	switch (letter) {
	case 'U': return KEY_UP;
	case 'D': return KEY_DOWN;
	case 'L': return KEY_LEFT;
	case 'R': return KEY_RIGHT;
	case 'P': return KEY_PPAGE;
	case 'N': return KEY_NPAGE;
	case 'H': return KEY_HOME;
	case 'E': return KEY_END;
	case 'B': return KEY_BACKSPACE;
	case '$': return '\n';
	case '^': return 27;
	case '~': return ERR;
	default: return (unsigned char)letter;
	}
}

int tool_wgetch(WINDOW *window)
{
	char letter = *run.key;

	wrefresh(window);
	if (!letter)
		return ERR;
	run.key++;
	if (letter != 'Z')
		return key_of(letter);
	use_size(false);
	return KEY_RESIZE;
}

/* ---- namespaces and the folder: the linker gives these to who asks the tool's ---- */

const char *__real_netns_open(const char *name, struct netns_list *list);
const char *__wrap_netns_open(const char *name, struct netns_list *list);
const char *__wrap_netns_open_all(struct netns_list *list);
const char *__wrap_netns_enter(const struct netns *netns);
const char *__wrap_netns_leave(void);

static void add(struct netns_list *list, size_t index)
{
	char escaped[1024];

	escape(escaped, sizeof(escaped), run.input->netns[index]);
	list->netns = allocate(list->netns, list->count + 1,
			       sizeof(*list->netns));
	list->netns[list->count++] = (struct netns) {
		.name = strdup(escaped), .fd = -1, .dev = 1, .ino = index,
	};
}

const char *__wrap_netns_open(const char *name, struct netns_list *list)
{
	if (!name)
		return __real_netns_open(name, list);
	*list = (struct netns_list) { };
	for (size_t i = 1; i < run.input->namespaces; i++)
		if (!strcmp(run.input->netns[i], name)) {
			add(list, i);
			return NULL;
		}
	return trouble("network namespace: no such name");
}

const char *__wrap_netns_open_all(struct netns_list *list)
{
	*list = (struct netns_list) { };
	for (size_t i = 1; i < run.input->namespaces; i++)
		add(list, i);
	return NULL;
}

/* The tool's own has an inode of the machine's. */
const char *__wrap_netns_enter(const struct netns *netns)
{
	proc_dir = folder_path(netns->ino < run.input->namespaces ?
			       netns->ino : 0);
	return NULL;
}

const char *__wrap_netns_leave(void)
{
	proc_dir = folder_path(0);
	return NULL;
}

bool __wrap_proc_is_live(void)
{
	return run.input->live;
}

/* ---- a run ---- */

static void use_surroundings(struct input *input)
{
	static bool hooked;

	if (!hooked) {
		tzset();
		__sanitizer_install_malloc_and_free_hooks(note, strike);
		hooked = true;
	}
	run.input = input;
	run.step = 0;
	run.sizes = 0;
	run.key = input->key;
	run.ms = 0;
	run.screen = NULL;
	folder_write(input, 0);
	/* To which the tool itself gives no other folder. */
	proc_dir = input->all ? "/proc" : folder_path(0);
	optind = 0;
}

int tool_run(struct input *input)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction before[ARRAY_SIZE(signals)];
	int first = next_descriptor();
	volatile bool early = true;
	size_t i;

	use_surroundings(input);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], NULL, &before[i]);
	output_begin();
	lefts = 0;
	noting = true;
	if (!sigsetjmp(run.end, 1)) {
		run.status = tool_main(input->words, input->word);
		lefts = 0;
		noting = false;
		early = false;
	} else {
		free_left();
	}
	if (run.screen) {
		endwin();
		tool_delscreen(run.screen);
	}
	output_end();
	close_left(first, early);
	input->utf8 = utf8;
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &before[i], NULL);
	return run.status;
}
