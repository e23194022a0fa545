/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms of listenq(8) share.
 *
 * The way of the figures: procfile.c reads a file of /proc/net/listenq into
 * rows under named columns; sockets.c makes listeners of them, one snapshot of
 * all namespaces that are asked for; an output (table.c, live.c, json.c,
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

/* Exit codes. ABOVE is --check's alone. */
enum { DONE, ABOVE, TROUBLE };

/* ---- text.c: for people ---- */

/* What a piece of text means; an output decides what it looks like. */
enum style {
	PLAIN, DIM, TITLE, GOOD, WARN, BAD, NOTE,
	STYLES,
};

/* Holds any figure, and the largest bar. */
#define TEXT_SIZE	160

extern bool utf8;

const char *trouble(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void *allocate(void *old, size_t count, size_t size);
long long now_ms(void);

const char *escape(char *to, size_t size, const char *from);
size_t text_width(const char *text);
void text_cut(char *text, size_t width);
void text_count(char text[TEXT_SIZE], long long count);
void text_time(char text[TEXT_SIZE], long long ms);
void text_rate(char text[TEXT_SIZE], double rate);
void text_bar(char text[TEXT_SIZE], double filled, unsigned int width);
bool parse_number(const char *text, long long min, long long max,
		  long long *number);
bool parse_seconds(const char *text, double *seconds);

/* ---- procfile.c: a file of /proc/net/listenq ---- */

/**
 * struct rows - the rows of a file, under the names of their columns
 * @text: the file, each value of which is ended by a NUL
 * @column: where in @text the columns' names are
 * @columns: how many columns
 * @cell: where in @text the values are, row by row
 * @count: how many rows, the header not among them
 */
struct rows {
	char *text;
	uint32_t column[256];
	size_t columns;
	uint32_t *cell;
	size_t count;
};

extern const char *proc_dir;

const char *procfile_path(const char *name);
const char *procfile_text(const char *name, char **text, size_t *length);
const char *rows_read(const char *name, struct rows **rows);
const char *rows_read_text(const char *name, struct rows **rows);
void rows_free(struct rows *rows);
void module_version(char *version, size_t size);
int rows_column(const struct rows *rows, const char *name);
const char *rows_cell(const struct rows *rows, size_t row, int column);
long long rows_count(const struct rows *rows, size_t row, int column);

/* ---- netns.c: network namespaces ---- */

/**
 * struct netns - a network namespace
 * @name: what -N takes for it: its name, or the number of a process in it;
 *	NULL for the one that the tool was started in, where no other is asked
 *	for
 * @fd: to enter it by; -1 to stay
 * @dev: with @ino, what tells it from all others
 * @ino: see @dev
 */
struct netns {
	char *name;
	int fd;
	dev_t dev;
	ino_t ino;
};

/**
 * struct netns_list - some of them
 * @netns: these
 * @count: how many
 * @unnamed: how many of them, the last ones, were found by a process alone
 */
struct netns_list {
	struct netns *netns;
	size_t count;
	size_t unnamed;
};

const char *netns_open(const char *name, struct netns_list *list);
const char *netns_open_all(struct netns_list *list);
void netns_close(struct netns_list *list);
const char *netns_enter(const struct netns *netns);
const char *netns_leave(void);

/* ---- sockets.c: listeners ---- */

/* The columns of sockets that are numbers. */
enum figure {
	INODE, UID, PID, ASKED, GRANTED, LIMIT,
	ACCEPTQ, ACCEPTQ_PEAK, ACCEPTQ_OLDEST_MS, SYNQ, SYNQ_YOUNG, SYNQ_PEAK,
	SINCE_MS, SYNS, ACCEPTS, OVERFLOWS, SYNQ_DROPS, SYNCOOKIES, SK_DROPS,
	SINCE_OVERFLOW_MS,
	FIGURES,
};

/* Those that are words. */
enum word {
	PROTO, LOCAL, COOKIE, COMM, RULE,
	WORDS,
};

/**
 * struct holder - a process that has a socket open
 * @pid: its number; 0 where none was found
 * @comm: its name, escaped as the kernel's files are
 * @others: how many more have the same socket open
 * @found_ms: when that was; 0 where nobody has looked
 */
struct holder {
	int pid;
	char comm[64];
	unsigned int others;
	long long found_ms;
};

/**
 * struct listener - a row of sockets
 * @netns: which namespace, see &struct netns.name
 * @rows: the file it stands in
 * @row: its row there
 * @word: its words, "-" where unknown; text of @rows
 * @figure: its numbers, UNKNOWN where they are
 * @port: the port of @word[LOCAL]
 * @family: AF_INET or AF_INET6
 * @address: the address of @word[LOCAL], in network order
 * @waits: the file of its histogram; NULL where that was not read
 * @waits_row: its row there; valid with @waits
 * @holder: who has it open; searched for where @figure[PID] is unknown
 * @rate: per second since the snapshot before, by figure; negative where
 *	unknown
 */
struct listener {
	const char *netns;
	const struct rows *rows;
	size_t row;
	const char *word[WORDS];
	long long figure[FIGURES];
	int port;
	int family;
	unsigned char address[16];
	const struct rows *waits;
	size_t waits_row;
	struct holder holder;
	double rate[FIGURES];
};

/**
 * struct snapshot - all listeners of some namespaces, at about one moment
 * @list: the namespaces
 * @sockets: the files read, by namespace
 * @waits: the same
 * @totals: the same
 * @hooks: the file, which is the same in all of them
 * @version: the module's; "" where unknown
 * @listener: the listeners
 * @count: how many
 * @taken_ms: when it was taken; a clock that only goes forward
 */
struct snapshot {
	struct netns_list list;
	struct rows **sockets;
	struct rows **waits;
	struct rows **totals;
	struct rows *hooks;
	char version[64];
	struct listener *listener;
	size_t count;
	long long taken_ms;
};

/**
 * struct scope - which listeners are asked for
 * @netns: in this namespace; NULL for the tool's own
 * @all: in all of them
 * @waits: with their histograms
 * @totals: with their namespaces' totals, and the hooks
 */
struct scope {
	const char *netns;
	bool all;
	bool waits;
	bool totals;
};

const char *snapshot_take(const struct scope *scope,
			  struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
void snapshot_rates(struct snapshot *snapshot, const struct snapshot *before);
bool is_word_column(const char *name);
double listener_fill(const struct listener *listener, enum figure queue);
bool listener_is_full(const struct listener *listener, enum figure queue);
bool listener_is_clamped(const struct listener *listener);
const char *listener_comm(const struct listener *listener);
long long listener_pid(const struct listener *listener);

/* ---- process.c: who has a socket open ---- */

void process_find(struct listener *const listener[], size_t count);

/* ---- choose.c: which listeners, in which order ---- */

struct filter {
	int first_port, last_port;	/* 0 and 65535 without -p */
	int family;			/* 0 without -A */
	unsigned char address[16];
	unsigned int bits;
	const char *process;		/* NULL without -P */
	const char *text;		/* NULL, or what / was given */
};

enum sort_key {
	BY_FILL, BY_OVERFLOWS, BY_OLDEST, BY_SYNQ, BY_SYNS, BY_LOCAL,
	BY_PROCESS,
	SORT_KEYS,
};

extern const char * const sort_names[SORT_KEYS];

const char *filter_port(struct filter *filter, const char *text);
const char *filter_address(struct filter *filter, const char *text);
struct listener **choose(struct snapshot *snapshot,
			 const struct filter *filter, enum sort_key key,
			 bool reverse, size_t *count);

/* ---- table.c: rows for people ---- */

/* A table's columns are table.c's affair. */
#define TABLE_COLUMNS	25

/**
 * struct table - which columns are shown, and how wide
 * @width: of each column; 0 where it is left out
 */
struct table {
	unsigned int width[TABLE_COLUMNS];
};

/* Where text goes: a stream, or a window. A line is ended by "\n" alone. */
struct sink {
	void (*put)(const struct sink *sink, enum style style,
		    const char *text);
	void *to;
};

/* What a table shows besides what every table does. */
enum { TABLE_NETNS = 1, TABLE_RATES = 2 };

void table_layout(struct table *table, struct listener *const listener[],
		  size_t count, unsigned int width, unsigned int flags);
void table_header(const struct table *table, enum sort_key key,
		  const struct sink *sink);
void table_row(const struct table *table, const struct listener *listener,
	       const struct sink *sink);
void table_print(struct listener *const listener[], size_t count,
		 unsigned int flags);

/* ---- samples.c: the formats of metrics ---- */

enum family_type { GAUGE, COUNTER, INFO, HISTOGRAM };

/**
 * struct family - a metric
 * @name: without the ending that the type gives it
 * @help: what it is
 * @unit: which its name ends with, too; NULL where it is a number of things
 * @type: what may be done with it
 */
struct family {
	const char *name;
	const char *help;
	const char *unit;
	enum family_type type;
};

/**
 * struct samples - a text in Prometheus' own format, or in that of OpenMetrics
 * @to: where it goes
 * @file: the file that it becomes; NULL for standard output
 * @text: the text so far, for a file; valid once @to is closed
 * @size: its length
 * @openmetrics: in this format
 * @family: of the latest sample; those of a family stand together
 * @labels: how many the sample under way has
 */
struct samples {
	FILE *to;
	const char *file;
	char *text;
	size_t size;
	bool openmetrics;
	const struct family *family;
	unsigned int labels;
};

const char *samples_open(struct samples *samples);
const char *samples_close(struct samples *samples);
void sample_begin(struct samples *samples, const struct family *family,
		  const char *ending);
void sample_label(struct samples *samples, const char *name,
		  const char *value);
void sample_labels(struct samples *samples, const char *labels);
void sample_count(struct samples *samples, long long count);
void sample_ms(struct samples *samples, long long ms);
void sample_ratio(struct samples *samples, double ratio);
void sample_gauge(struct samples *samples, const char *name, const char *help,
		  long long count);

/* ---- the other outputs ---- */

/**
 * struct metrics - how they are wanted
 * @openmetrics: in this format, not in Prometheus' own
 * @max: for at most so many sets of labels
 * @file: here; NULL for standard output
 */
struct metrics {
	bool openmetrics;
	long long max;
	const char *file;
};

static inline size_t at_most(size_t count, long long max)
{
	return count < (size_t)max ? count : (size_t)max;
}

void live(const struct scope *scope, struct filter *filter, enum sort_key key,
	  bool reverse, double seconds);
void json_print(struct listener *const listener[], size_t count);
const char *metrics_print(const struct metrics *metrics,
			  const struct snapshot *snapshot,
			  struct listener *listener[], size_t count);
void metrics_of_module(struct samples *samples, const struct snapshot *snapshot,
		       long long max);
int check_print(struct listener *const listener[], size_t count,
		long long percent);
void detail_print(const struct listener *listener, unsigned int width,
		  unsigned int height, const struct sink *sink);

/* ---- clamp.c: rules ---- */

int clamp_main(int argc, char **argv, const struct scope *scope);

#endif /* LISTENQ_TOOL_H */
