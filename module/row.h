/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values to text, in columns.
 *
 * A row is written where the file keeps its text, value by value: each
 * function writes at @at and returns where the next one goes on. Formats that
 * are parsed for each value would be most of what a reader pays for. For
 * files of /proc, in process context; nothing here takes a lock.
 */
#ifndef LISTENQ_ROW_H
#define LISTENQ_ROW_H

#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/types.h>

/* What a column's values are set apart by, and padded to. */
struct column {
	const char *name;
	unsigned int width;
};

/*
 * No row is longer, with what pads it: an address with a device's name, both
 * that and the process' in octal, and all numbers at their longest make 531.
 */
#define ROW_SIZE 640

char *row_begin(struct seq_file *m, size_t size);
void row_commit(struct seq_file *m, const char *at);
void put_header(struct seq_file *m, size_t size, const struct column *column,
		unsigned int count);

char *put_digits(char *at, u64 value);
char *put_signed(char *at, const struct column *column, s64 value);
char *put_escaped(char *at, const char *word);
char *put_word(char *at, const struct column *column, const char *word);
char *put_plain(char *at, const struct column *column, const char *word);
char *put_ipv4(char *at, __be32 address);
char *put_cookie(char *at, const struct column *column, u64 cookie);

static __always_inline char *put_char(char *at, char c)
{
	*at = c;
	return at + 1;
}

/* The end of a row; a blank is behind each value. */
static __always_inline char *row_end(char *at)
{
	at[-1] = '\n';
	return at;
}

/*
 * A blank, and what is missing to the width of the column, behind a value
 * from @start to @at. Eight blanks at a time: those that are too many are
 * written over.
 */
static __always_inline char *pad(char *at, const char *start,
				 const struct column *column)
{
	int missing = max_t(int, column->width - (at - start), 1);
	int i;

	for (i = 0; i < missing; i += 8)
		memset(at + i, ' ', 8);
	return at + missing;
}

static __always_inline char *put_decimal(char *at, u64 value)
{
	if (value < 10)
		return put_char(at, '0' + value);
	return put_digits(at, value);
}

/* A figure, or that it is not known. Most have one digit. */
static __always_inline char *put_if(char *at, const struct column *column,
				    bool known, u64 value)
{
	if (likely(!known || value < 10))
		return pad(put_char(at, known ? '0' + value : '-'), at, column);
	return pad(put_digits(at, value), at, column);
}

static __always_inline char *put_unsigned(char *at, const struct column *column,
					  u64 value)
{
	return put_if(at, column, true, value);
}

static __always_inline char *put_unknown(char *at, const struct column *column)
{
	return put_if(at, column, false, 0);
}

#endif /* LISTENQ_ROW_H */
