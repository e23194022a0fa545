/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of listenq(8) share.
 *
 * The way of the figures: procfile.c reads a file of /proc/net/listenq into
 * rows under named columns; listener.c makes listeners of these, and sockets.c
 * a snapshot of all namespaces that are asked for; an output (table.c, live.c, json.c,
 * check.c, metrics.c) shows a snapshot and reads nothing itself.
 *
 * A function that may fail returns NULL, or one line that says why: text of
 * its own until the next failure. The text holds no byte that acts on a
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

/* "-" in a file; a column that the module does not have. */
#define UNKNOWN		LLONG_MIN

/*
 * Exit codes. WRONG is explain's alone; --check has those that plugins of monitoring
 * systems have.
 */
enum { DONE, WRONG, TROUBLE };
enum { CHECK_OK, CHECK_WARNING, CHECK_CRITICAL, CHECK_UNKNOWN };

/* ---- text.c: for people ---- */

/* What a piece of text means; an output decides what it looks like. */
enum style {
	PLAIN, DIM, TITLE, GOOD, WARN, BAD, NOTE,
	STYLES,
};

/* Holds any figure, and the largest bar. */
#define TEXT_SIZE	160

extern bool utf8;
/* What has to be done before a message can be read; NULL: nothing. */
extern void (*before_message)(void);
/* What die() does in place of its message, and the exit code; NULL: nothing. */
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

/* Columns of a file: more than there will be. */
#define MAX_COLUMNS	256
/* Notes that are passed on. */
#define MAX_NOTES	4

/**
 * struct rows - the rows of a file, under the names of their columns
 * @text: the file, each value of which is ended by a NUL
 * @note: what it says to people besides
 * @notes: how many lines of that
 * @column: where in @text the columns' names are
 * @columns: how many columns
 * @cell: where in @text the values are, row by row
 * @count: how many rows, the header not among them
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
 * struct read_bounds - what may still be read of the files
 * @bytes: so much
 * @until_ms: so long, by now_ms()
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

/* Where ip-netns(8) keeps names. */
#define NETNS_NAMES	"/run/netns"

/**
 * struct netns - a network namespace
 * @name: what -N takes for it: its name, or else the number of a process in it;
 *	NULL for the one that the tool was started in, where no other is asked
 *	for
 * @path: to enter it by; NULL to stay
 * @fd: the same, opened; -1 where that is done when it is entered: with -a there
 *	may be more than there are descriptors
 * @dev: with @ino, what tells it from all others
 * @ino: see @dev
 * @own: the tool was started there
 * @named: it has a name in /run/netns
 * @owner: who has made it, as far as that took no privileges; 0: that did
 * @turn: how many of @owner's come before it
 * @label: of metrics: a name that lasts where there is one; NULL where @name is it
 * @membership: what its first process belongs to, where that matters for metrics
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
	char *label;
	struct membership *membership;
};

/**
 * struct netns_list - some of them
 * @netns: these
 * @count: how many
 * @hidden: so many processes there are whose namespace the caller may not know
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

/* The columns of sockets that are numbers, then those of the other files. */
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
 * struct file_kind - one of them
 * @name: what it is called
 * @optional: an older module doesn't have it
 * @shares: it has figures of the others, under the same names
 */
struct file_kind {
	const char *name;
	bool optional;
	bool shares;
};

extern const struct file_kind files[FILES];

/* Those that are words; of unix, LOCAL is the path. */
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
 * struct holder - who has a socket open, and so can accept from it now
 * @pid: the number of the first of them, workers before their master; 0 where
 *	none was found
 * @comm: its name
 * @others: how many more have the same socket open
 * @other: these, in the same order
 * @found_ms: when that was; 0 where nobody has looked
 * @searched: all processes were looked at, so nobody else has
 * @unsearched: there was not the time to find one, so there may be one
 * @membership: the unit or container of the first of them; NULL where none is known
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

/* What stands for a name, where no process has the socket open. */
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

/* A row of a file; none where @rows is NULL. */
struct place {
	const struct rows *rows;
	size_t row;
};

/**
 * struct listener - a row of sockets, or of another file that is about one
 * @netns: which namespace, see &struct netns.name
 * @in: the same
 * @place: its row in each file, as far as that was read and has one
 * @word: its words, "-" where unknown; text of the file
 * @figure: its numbers, UNKNOWN where they are
 * @local: @word[LOCAL]
 * @holder: who has it open, as far as process_find() has searched for it
 * @before: the same in the snapshot before, for as long as that is there; NULL
 *	where it was not listening yet, or there is none
 * @rate: per second since then, by figure; negative where unknown
 * @fold: what it stands for, where it is a row for several; else NULL
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

/* Where the columns of a file are that this program knows. */
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

/* Before the name of one of AF_UNIX, where it could be something else. */
#define UNIX_PREFIX	"unix:"

/* Of AF_UNIX, whose calls that get EAGAIN are its overflows. */
static inline bool is_unix(const struct listener *listener)
{
	return listener->place[UNIX].rows;
}

/* ---- sockets.c: what there is at one moment ---- */

/**
 * struct unread - a namespace that could not be read, where others could
 * @netns: which
 * @why: why that failed
 */
struct unread {
	struct netns netns;
	char *why;
};

/**
 * struct snapshot - all listeners of some namespaces, at about one moment
 * @list: the namespaces
 * @unread: with -a, those which are there, too
 * @unreads: how many of them
 * @rows: the files read, by namespace
 * @hooks: the file, which is the same in all of them
 * @version: the module's; "" where unknown
 * @listener: the listeners
 * @count: how many
 * @refusal: who was turned away, namespace by namespace
 * @refusals: how many of them
 * @taken_ms: when it was taken; a clock that only goes forward
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
 * Whether it is read who was turned away: as far as the caller may; or else
 * that is trouble; or the same, and no listeners are read.
 */
enum with_refused { REFUSED_NO, REFUSED_ALLOWED, REFUSED_NEEDED, REFUSED_ALONE };

/**
 * struct scope - which listeners are asked for
 * @netns: in this namespace; NULL for the tool's own
 * @all: in all of them
 * @histograms: with their waits and handshakes
 * @totals: with their namespaces' totals
 * @module: with the hooks, and the version
 * @refused: with who was turned away
 * @unix_too: with those of AF_UNIX
 * @no_tcp: and with no others
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

/* ---- visit.c: from one namespace to the next ---- */

extern struct read_bounds others_bounds;

const char *visit(struct snapshot *snapshot, const struct scope *scope);

/* ---- histogram.c: times ---- */

struct bucket {
	const char *name;
	long long bound;	/* LLONG_MAX in the last */
	long long count;
};

/**
 * struct histogram - how long something has taken, how often
 * @second: in how many units of time a second is: those of bounds and sum
 * @sum: of all times
 * @count: of all of them
 * @buckets: how many
 * @bucket: the counts, each without the one before
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

/* ---- process.c: who has a socket open ---- */

void process_find(struct listener *const listener[], size_t count, bool others);
void holder_free(struct holder *holder);
size_t process_unsearched(const struct snapshot *snapshot);
void process_tell(const struct snapshot *snapshot);

#endif /* LISTENQ_TOOL_H */
