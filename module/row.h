/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values to text, in columns.
 *
 * A row is written into the file's buffer value by value: each function writes at
 * @at and returns where to go on. Format strings would be most of the cost of a
 * read. For /proc files, in process context; takes no lock.
 */
#ifndef LISTENQ_ROW_H
#define LISTENQ_ROW_H

#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/types.h>
#include <net/sock.h>

#include "compat.h"
#include "endpoint.h"
#include "name.h"
#include "record.h"

/**
 * enum column_kind - how a column's values are printed
 * @COLUMN_FIGURE: decimal; VALUE_UNKNOWN is `-`
 * @COLUMN_SIGNED: decimal, with a sign if negative
 * @COLUMN_HEX: hexadecimal
 * @COLUMN_WORD: a word of any bytes; `-` if it is empty
 * @COLUMN_PORTS: a range of ports; `*` for all, `-` for none
 * @COLUMN_PROTO: a socket's protocol
 * @COLUMN_LOCAL: where a socket listens
 * @COLUMN_ENDPOINT: an address and a port; `-` if they are not known
 * @COLUMN_NAME: the name that an AF_UNIX socket is bound to
 * @COLUMN_NAME_RULE: the rule that acts on an AF_UNIX socket
 */
enum column_kind {
	COLUMN_FIGURE,
	COLUMN_SIGNED,
	COLUMN_HEX,
	COLUMN_WORD,
	COLUMN_PORTS,
	COLUMN_PROTO,
	COLUMN_LOCAL,
	COLUMN_ENDPOINT,
	COLUMN_NAME,
	COLUMN_NAME_RULE,
};

/**
 * struct column - a column of a file
 * @name: its name in the header
 * @width: pad values to this; they may be wider
 * @kind: how values are printed
 */
struct column {
	const char *name;
	unsigned int width;
	enum column_kind kind;
};

/**
 * union value - a value, by its column's kind
 * @figure: COLUMN_FIGURE, COLUMN_SIGNED, COLUMN_HEX
 * @word: COLUMN_WORD
 * @ports: COLUMN_PORTS
 * @sk: COLUMN_PROTO, COLUMN_LOCAL
 * @endpoint: COLUMN_ENDPOINT
 * @name: COLUMN_NAME
 * @name_rule: COLUMN_NAME_RULE: the rule, and the name to print if it is not for all
 */
union value {
	s64 figure;
	const char *word;
	struct {
		u16 first;
		u16 last;
	} ports;
	const struct sock *sk;
	const struct endpoint *endpoint;
	struct unix_name name;
	struct {
		struct unix_name name;
		struct selector rule;
	} name_rule;
};

#define VALUE_UNKNOWN S64_MAX

static inline s64 if_known(bool known, s64 figure)
{
	return known ? figure : VALUE_UNKNOWN;
}

/*
 * A word may hold anything: a process can name itself with an escape sequence or a
 * newline. Print as octal whatever is not printable ASCII, and blanks and
 * backslashes.
 */
static inline bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '\\';
}

#define OCTAL_FORMAT "\\%03o"

static inline const char *word_format(char c)
{
	return is_plain(c) ? "%c" : OCTAL_FORMAT;
}

/*
 * No row is longer, padding included: an address with a device's name in octal, and
 * 33 numbers of up to 20 digits, take about 800 bytes.
 */
#define ROW_SIZE 1024

char *row_begin(struct seq_file *m, size_t size);
void row_commit(struct seq_file *m, const char *at);
char *put_title(char *at, const struct column *column);
void put_header(struct seq_file *m, size_t size, const struct column *column,
		unsigned int count);

char *put_digits(char *at, u64 value);
char *put_signed(char *at, s64 value);
char *put_hex(char *at, u64 value);
char *put_word(char *at, const char *word);
char *put_ports(char *at, u16 first, u16 last);
char *put_proto(char *at, const struct sock *sk);
char *put_local(char *at, const struct sock *sk);
char *put_endpoint(char *at, const struct endpoint *endpoint);
char *put_name(char *at, struct unix_name name);
char *put_name_rule(char *at, struct unix_name name, struct selector rule);

static __always_inline char *put_char(char *at, char c)
{
	*at = c;
	return at + 1;
}

/* End a row, in place of the blank after the last value. */
static __always_inline char *row_end(char *at)
{
	at[-1] = '\n';
	return at;
}

/*
 * Pad a value that was written from @start to @at to the column's width, with at
 * least one blank. Writes 8 blanks at a time; the next value overwrites those too
 * many.
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

/*
 * Figures are half of the cost of a read. Most have one digit, whose padding is a
 * constant.
 */
static __always_inline char *put_figure(char *at, const struct column *column,
					u64 value)
{
	if (likely(value < 10 || value == VALUE_UNKNOWN))
		return pad(put_char(at, value < 10 ? '0' + value : '-'), at,
			   column);
	return pad(put_digits(at, value), at, column);
}

static __always_inline char *put_value(char *at, const struct column *column,
				       union value value)
{
	switch (column->kind) {
	case COLUMN_FIGURE:
		return put_figure(at, column, value.figure);
	case COLUMN_SIGNED:
		return pad(put_signed(at, value.figure), at, column);
	case COLUMN_HEX:
		return pad(put_hex(at, value.figure), at, column);
	case COLUMN_WORD:
		return pad(put_word(at, value.word), at, column);
	case COLUMN_PORTS:
		if (!value.ports.last)
			return pad(put_char(at, '-'), at, column);
		return pad(put_ports(at, value.ports.first, value.ports.last),
			   at, column);
	case COLUMN_PROTO:
		return pad(put_proto(at, value.sk), at, column);
	case COLUMN_LOCAL:
		return pad(put_local(at, value.sk), at, column);
	case COLUMN_ENDPOINT:
		return pad(put_endpoint(at, value.endpoint), at, column);
	case COLUMN_NAME:
		return pad(put_name(at, value.name), at, column);
	case COLUMN_NAME_RULE:
		return pad(put_name_rule(at, value.name_rule.name,
					 value.name_rule.rule), at, column);
	}
	return at;
}

/*
 * A row. @columns is a constant where this is inlined, so that the compiler leaves
 * nothing but the code for each value.
 */
static __always_inline char *put_row(char *at, const struct column *columns,
				     const union value *values,
				     unsigned int count)
{
	unsigned int i;

	unroll_loop(64)
	for (i = 0; i < count; i++)
		at = put_value(at, &columns[i], values[i]);
	return row_end(at);
}

#endif /* LISTENQ_ROW_H */
