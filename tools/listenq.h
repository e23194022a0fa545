/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations that the source files of listenq(8) share.
 *
 * How figures travel: procfile.c reads a file of /proc/net/listenq into rows under
 * named columns; listener.c turns rows into listeners, and sockets.c turns these
 * into a snapshot of all namespaces asked for; an output (table.c, live.c, json.c,
 * check.c, metrics.c) shows a snapshot and reads nothing itself.
 *
 * A function that may fail returns NULL on success, or one line that gives the
 * reason. The line is valid until the next failure, and has no byte that acts on a
 * terminal.
 */
#ifndef LISTENQ_TOOL_H
#define LISTENQ_TOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* "-" in a file, or a column that the module does not have. */
#define UNKNOWN		LLONG_MIN

/* Exit codes. Only explain returns WRONG; --check returns those of monitoring plugins. */
enum { DONE, WRONG, TROUBLE };
enum { CHECK_OK, CHECK_WARNING, CHECK_CRITICAL, CHECK_UNKNOWN };

/* ---- text.c: for people ---- */

/* The meaning of a piece of text; each output decides how it looks. */
enum style {
	PLAIN, DIM, TITLE, GOOD, WARN, BAD, NOTE,
	STYLES,
};

/* Holds any figure, and the longest bar. */
#define TEXT_SIZE	160

extern bool utf8;
/* To do before a message can be read; NULL: nothing. */
extern void (*before_message)(void);
/* To do in place of die()'s message; returns the exit code. NULL: nothing. */
extern int (*instead_of_message)(const char *why);

const char *trouble(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void tell(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void *allocate(void *old, size_t count, size_t size);
long long now_ms(void);
void pause_for(double seconds);

static inline size_t at_most(size_t count, long long max)
{
	return count < (size_t)max ? count : (size_t)max;
}

size_t text_width(const char *text);
void text_cut(char *text, size_t width);
long long add_figures(long long sum, long long more);
void text_count(char text[TEXT_SIZE], long long count);
void text_time(char text[TEXT_SIZE], long long ms);
void text_us(char text[TEXT_SIZE], long long us);
void text_seconds(char text[TEXT_SIZE], long long count, long long second);
void text_clock(char text[TEXT_SIZE], long long ms, bool rfc3339);
void text_rate(char text[TEXT_SIZE], double rate);
void text_bar(char text[TEXT_SIZE], double filled, unsigned int width);
void text_level(char text[TEXT_SIZE], double level);
bool parse_number(const char *text, long long min, long long max,
		  long long *number);
bool parse_seconds(const char *text, double *seconds);

/* ---- quote.c: text from outside ---- */

const char *escape(char *to, size_t size, const char *from);
const char *quote_line(char *to, size_t size, const char *from);
const char *quote_plugin(char *to, size_t size, const char *from);
void quote_label(FILE *to, const char *value);
void quote_html(FILE *to, const char *value);
void quote_json(FILE *to, const char *value);

/* ---- procfile.c: a file of /proc/net/listenq ---- */

/* Columns of a file: more than there will ever be. */
#define MAX_COLUMNS	256
/* Notes that are kept. */
#define MAX_NOTES	4

/**
 * struct rows - the rows of a file, under the names of their columns
 * @text: the file's text, in which a NUL ends each value
 * @note: the file's notes for people
 * @notes: how many lines of notes
 * @column: offset in @text of each column's name
 * @columns: how many columns
 * @cell: offset in @text of each value, row by row
 * @count: how many rows, without the header
 */
struct rows {
	char *text;
	const char *note[MAX_NOTES];
	size_t notes;
	uint32_t column[MAX_COLUMNS];
	size_t columns;
	uint32_t *cell;
	size_t count;
};

extern const char *proc_dir;

/**
 * struct read_bounds - how much may still be read from the files
 * @bytes: so many bytes
 * @until_ms: and only until then, on the clock of now_ms()
 */
extern struct read_bounds {
	long long bytes;
	long long until_ms;
} read_bounds;

const char *procfile_path(const char *name);
const char *procfile_trouble(const char *path, int error);
const char *procfile_text(const char *name, char **text, size_t *length);
const char *rows_read(const char *name, struct rows **rows);
const char *rows_read_text(const char *name, struct rows **rows);
int procfile_error(const char *name);
void rows_free(struct rows *rows);
void module_version(char *version, size_t size);
int rows_column(const struct rows *rows, const char *name);
const char *rows_cell(const struct rows *rows, size_t row, int column);
long long rows_count(const struct rows *rows, size_t row, int column);

/* ---- netns.c: network namespaces ---- */

/* Where ip-netns(8) keeps its names. */
#define NETNS_NAMES	"/run/netns"

/**
 * struct netns - a network namespace
 * @name: what -N accepts for it: its name, or else the number of a process in it;
 *	NULL for the tool's own namespace when no other is asked for
 * @path: the file to enter it by; NULL to stay
 * @fd: the same file, opened; -1 if it is opened only when entered: with -a there
 *	may be more namespaces than descriptors
 * @dev: identifies the namespace, with @ino
 * @ino: see @dev
 * @own: it is the namespace that the tool was started in
 * @named: it has a name in /run/netns
 * @owner: a number for the user, container or unit that made it; 0 if making it took
 *	privileges
 * @turn: how many namespaces of @owner come before it
 * @read_ms: when its files were read, by now_ms()
 * @label: its name in metrics, which stays the same where possible; NULL where @name
 *	serves
 * @membership: the unit, pod or container of its first process, where metrics need
 *	it
 */
struct netns {
	char *name;
	char *path;
	int fd;
	dev_t dev;
	ino_t ino;
	bool own;
	bool named;
	unsigned long long owner;
	size_t turn;
	long long read_ms;
	char *label;
	struct membership *membership;
};

/**
 * struct netns_list - a list of network namespaces
 * @netns: the namespaces
 * @count: how many
 * @hidden: how many processes have a namespace that the caller may not know
 */
struct netns_list {
	struct netns *netns;
	size_t count;
	size_t hidden;
};

static inline const char *netns_label(const struct netns *netns)
{
	return netns->label ?: netns->name;
}

int open_namespace(const char *path);
const char *netns_open(const char *name, struct netns_list *list);
bool netns_self(struct netns *own);
void netns_append(struct netns_list *list, const struct netns *netns,
		  const char *path, const char *name);
void netns_free(struct netns *netns);
void netns_close(struct netns_list *list);
const char *netns_reach(struct netns *netns, bool *gone);
void netns_let_go(struct netns *netns);
const char *netns_enter(const struct netns *netns);
const char *netns_leave(void);

/* ---- namespaces.c: all of them ---- */

const char *netns_open_all(struct netns_list *list);

/* ---- listener.c: rows and their figures ---- */

/* The files of a namespace that have rows. */
enum file { SOCKETS, WAITS, HANDSHAKES, TOTALS, REFUSED, UNIX, FILES };

/* The numeric columns of sockets, then those of the other files. */
enum figure {
	INODE, UID, PID, ASKED, GRANTED, LIMIT,
	ACCEPTQ, ACCEPTQ_PEAK, ACCEPTQ_OLDEST_MS, SYNQ, SYNQ_YOUNG, SYNQ_PEAK,
	SINCE_MS, SYNS, ACCEPTS, OVERFLOWS, SYNQ_DROPS, SYNCOOKIES, SK_DROPS,
	SINCE_OVERFLOW_MS, OVERFLOWS_ACK, SYNQ_RESERVED,
	ACCEPTQ_PEAK_1M, SYNQ_PEAK_1M, GROUP, FASTOPENQ, FASTOPENQ_LIMIT,
	/* handshakes */
	REQUESTS, FINISHED, EXPIRED, RESET, RESENT,
	COOKIES_FINISHED, COOKIES_FAILED, FASTOPENS, FASTOPEN_OVERFLOWS,
	FAILED, CARRIED_REQUESTS, CARRIED_CONNECTIONS, JOINED,
	/* totals */
	UNACCEPTED, ABANDONED,
	/* refused */
	AGO_MS, REFUSAL_NUMBER,
	/* unix */
	CONNECTS, WAITED, EAGAINS,
	FIGURES,
};

/**
 * struct file_kind - one of the files
 * @name: its name
 * @optional: an older module doesn't have it
 * @shares: it has columns that other files have too, under the same names
 */
struct file_kind {
	const char *name;
	bool optional;
	bool shares;
};

extern const struct file_kind files[FILES];

/* The columns that are words. A Unix socket's LOCAL is its path. */
enum word {
	PROTO, LOCAL, COOKIE, COMM, RULE,
	/* refused */
	REMOTE, WHY,
	WORDS,
};

/**
 * struct process_name - a process, for people
 * @pid: its number
 * @comm: its name, escaped as the kernel's files are
 */
struct process_name {
	int pid;
	char comm[64];
};

/**
 * struct holder - the processes that have a socket open, and so can accept from it
 * @pid: the number of the first process, workers before their master; 0 where none
 *	was found
 * @comm: that process's name
 * @others: how many more have the same socket open
 * @other: those other processes, in the same order
 * @found_ms: when they were found; 0 if no search was made
 * @searched: all processes were looked at, so no other has the socket open
 * @unsearched: the search ran out of time before it found a process, so there may be
 *	one
 * @membership: the unit, pod or container of the first process; NULL where none is
 *	known
 */
struct holder {
	int pid;
	char comm[64];
	unsigned int others;
	struct process_name *other;
	long long found_ms;
	bool searched;
	bool unsearched;
	struct membership *membership;
};

/* Stands for a process's name where no process has the socket open. */
#define NOBODY		"nobody"
#define NOT_SEARCHED	"not searched"

/**
 * struct endpoint - an address and a port
 * @family: AF_INET or AF_INET6; 0 where it is not known
 * @port: the port
 * @address: the address, in network order
 */
struct endpoint {
	int family;
	int port;
	unsigned char address[16];
};

/* A row of a file; no row where @rows is NULL. */
struct place {
	const struct rows *rows;
	size_t row;
};

/**
 * struct listener - a row of sockets, or a row about a listener in another file
 * @netns: its namespace, see &struct netns.name
 * @in: its namespace
 * @place: its row in each file; none where the file was not read or has no row for
 *	it
 * @word: its words, text of the file; "-" where unknown
 * @figure: its numbers; UNKNOWN where unknown
 * @local: @word[LOCAL]
 * @holder: the processes that have it open, if process_find() has searched
 * @before: the same listener in the previous snapshot, valid as long as that is
 *	kept; NULL if it was not listening then, or there is no previous snapshot
 * @rate: change per second since @before, by figure; negative where unknown
 * @fold: the listeners that this row stands for, if it is a row for several; else
 *	NULL
 * @member: it is shown below such a row
 */
struct listener {
	const char *netns;
	const struct netns *in;
	struct place place[FILES];
	const char *word[WORDS];
	long long figure[FIGURES];
	struct endpoint local;
	struct holder holder;
	const struct listener *before;
	double rate[FIGURES];
	const struct fold *fold;
	bool member;
};

/* Where in a file the columns are that this program knows. */
struct columns {
	enum file file;
	int word[WORDS];
	int figure[FIGURES];
};

bool parse_endpoint(const char *text, struct endpoint *endpoint);
void endpoint_network(struct endpoint *network);
void find_columns(struct columns *columns, const struct rows *rows,
		  enum file file);
void know_nothing(struct listener *listener);
const char *parse_figures(const struct place *place,
			  const struct columns *columns,
			  long long figure[FIGURES]);
const char *parse_listener(struct listener *listener,
			   const struct columns *columns);
bool is_counter(enum figure figure);
bool is_sum(enum figure figure);
const char *figure_name(enum figure figure);
bool is_word_column(const char *name);
double listener_fill(const struct listener *listener, enum figure queue);
bool listener_is_full(const struct listener *listener, enum figure queue);
bool listener_is_clamped(const struct listener *listener);
const char *listener_comm(const struct listener *listener);
const char *listener_caller(const struct listener *listener);
long long listener_pid(const struct listener *listener);
bool is_nobodys(const struct listener *listener);

/* Put before a Unix socket's name where the name could be taken for something else. */
#define UNIX_PREFIX	"unix:"

/* An AF_UNIX socket: connect() calls that fail with EAGAIN are its overflows. */
static inline bool is_unix(const struct listener *listener)
{
	return listener->place[UNIX].rows;
}

/* ---- sockets.c: all listeners at one moment ---- */

/**
 * struct unread - a namespace that could not be read, though others could
 * @netns: the namespace
 * @why: the reason
 */
struct unread {
	struct netns netns;
	char *why;
};

/**
 * struct snapshot - all listeners of some namespaces, at about one moment
 * @list: the namespaces that were read
 * @unread: with -a: namespaces that exist and could not be read
 * @unreads: how many of these
 * @rows: the files read, by namespace
 * @hooks: the file hooks, which is the same in all namespaces
 * @version: the module's version; "" where unknown
 * @listener: the listeners
 * @count: how many
 * @refusal: clients that were refused, namespace by namespace
 * @refusals: how many of them
 * @taken_ms: when it was taken, on a clock that only goes forward
 */
struct snapshot {
	struct netns_list list;
	struct unread *unread;
	size_t unreads;
	struct rows *(*rows)[FILES];
	struct rows *hooks;
	char version[64];
	struct listener *listener;
	size_t count;
	struct refusal *refusal;
	size_t refusals;
	long long taken_ms;
};

/*
 * Whether the file refused is read: no; where the caller may read it; always, and a
 * failure is an error; the same, and no listeners are read.
 */
enum with_refused { REFUSED_NO, REFUSED_ALLOWED, REFUSED_NEEDED, REFUSED_ALONE };

/**
 * struct scope - what is read
 * @netns: this namespace; NULL for the tool's own
 * @all: all namespaces
 * @histograms: with the listeners' waits and handshakes
 * @totals: with the namespaces' totals
 * @module: with the hooks, and the module's version
 * @refused: with the clients that were refused
 * @unix_too: with Unix sockets
 * @no_tcp: without TCP
 */
struct scope {
	const char *netns;
	bool all;
	bool histograms;
	bool totals;
	bool module;
	enum with_refused refused;
	bool unix_too;
	bool no_tcp;
};

const char *snapshot_take(const struct scope *scope,
			  struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
bool snapshot_lacks(const struct snapshot *snapshot);
bool snapshot_tell(const struct snapshot *snapshot);
const char *snapshot_totals(const struct snapshot *snapshot, size_t index,
			    struct listener *all);
void snapshot_rates(struct snapshot *snapshot, struct snapshot *before);
void snapshot_callers(struct snapshot *snapshot);

const char *read_netns(struct snapshot *snapshot, size_t index,
		       const struct scope *scope);

/* ---- visit.c: namespaces, one after another ---- */

extern struct read_bounds others_bounds;

const char *visit(struct snapshot *snapshot, const struct scope *scope);

/* ---- histogram.c: times ---- */

struct bucket {
	const char *name;
	long long bound;	/* LLONG_MAX in the last */
	long long count;
};

/**
 * struct histogram - how often something took how long
 * @second: how many units of @sum, and of the bounds, make a second
 * @sum: of all times
 * @count: how many times there are
 * @buckets: how many
 * @bucket: the buckets; the count of one does not include those below it
 */
struct histogram {
	long long second;
	long long sum;
	long long count;
	size_t buckets;
	struct bucket bucket[MAX_COLUMNS];
};

bool histogram_add(struct histogram *histogram, enum file file,
		   const struct listener *listener);
long long histogram_mean_us(const struct histogram *histogram);

/* ---- process.c: the processes that have a socket open ---- */

void process_find(struct listener *const listener[], size_t count, bool others);
void holder_free(struct holder *holder);
size_t process_unsearched(const struct snapshot *snapshot);
void process_tell(const struct snapshot *snapshot);

#endif /* LISTENQ_TOOL_H */
