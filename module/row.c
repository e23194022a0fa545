// SPDX-License-Identifier: GPL-2.0-only
/* Values to text: what row.h has no reason to inline. */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "listenq.h"
#include "row.h"

/*
 * Where to write a row, if there are @size bytes for it. With NULL the reader
 * has to take what there is, or, where that is nothing, the file gets twice
 * the room (fs/seq_file.c, seq_read_iter()).
 */
char *row_begin(struct seq_file *m, size_t size)
{
	char *at;

	if (seq_get_buf(m, &at) >= size)
		return at;
	seq_commit(m, -1);
	return NULL;
}

/* Rows that are written, up to @at, are the file's. */
void row_commit(struct seq_file *m, const char *at)
{
	char *row;

	seq_get_buf(m, &row);
	seq_commit(m, at - row);
}

/* A number below 100, with both digits. */
static __always_inline char *put_pair(char *at, unsigned int value)
{
	static const char pairs[][2] = {
		"00", "01", "02", "03", "04", "05", "06", "07", "08", "09",
		"10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
		"20", "21", "22", "23", "24", "25", "26", "27", "28", "29",
		"30", "31", "32", "33", "34", "35", "36", "37", "38", "39",
		"40", "41", "42", "43", "44", "45", "46", "47", "48", "49",
		"50", "51", "52", "53", "54", "55", "56", "57", "58", "59",
		"60", "61", "62", "63", "64", "65", "66", "67", "68", "69",
		"70", "71", "72", "73", "74", "75", "76", "77", "78", "79",
		"80", "81", "82", "83", "84", "85", "86", "87", "88", "89",
		"90", "91", "92", "93", "94", "95", "96", "97", "98", "99",
	};

	memcpy(at, pairs[value], 2);
	return at + 2;
}

/* A number from 10 on. */
noinline char *put_digits(char *at, u64 value)
{
	unsigned int low;
	u64 high;

	if (value >= 10000) {
		high = div_u64(value, 10000);
		low = value - 10000 * high;
		at = put_decimal(at, high);
		at = put_pair(at, low / 100);
		return put_pair(at, low % 100);
	}
	low = value;
	if (low >= 1000)
		at = put_pair(at, low / 100);
	else if (low >= 100)
		at = put_char(at, '0' + low / 100);
	return put_pair(at, low % 100);
}

char *put_signed(char *at, const struct column *column, s64 value)
{
	char *start = at;

	if (value < 0)
		at = put_char(at, '-');
	return pad(put_decimal(at, abs(value)), start, column);
}

static char *put_octal(char *at, char c)
{
	return at + sprintf(at, OCTAL_FORMAT, (unsigned char)c);
}

/* A word; one that would read as "not known" is escaped as well. */
char *put_escaped(char *at, const char *word)
{
	if (word[0] == '-' && !word[1])
		return put_octal(at, *word);
	for (; *word; word++)
		if (likely(is_plain(*word)))
			at = put_char(at, *word);
		else
			at = put_octal(at, *word);
	return at;
}

char *put_word(char *at, const struct column *column, const char *word)
{
	if (!*word)
		return put_unknown(at, column);
	return pad(put_escaped(at, word), at, column);
}

/* A word that needs no look. */
char *put_plain(char *at, const struct column *column, const char *word)
{
	char *start = at;

	while (*word)
		at = put_char(at, *word++);
	return pad(at, start, column);
}

char *put_ipv4(char *at, __be32 address)
{
	const u8 *bytes = (const u8 *)&address;
	unsigned int i;

	for (i = 0; i < sizeof(address); i++) {
		if (i)
			at = put_char(at, '.');
		at = put_decimal(at, bytes[i]);
	}
	return at;
}

char *put_cookie(char *at, const struct column *column, u64 cookie)
{
	char *end = at + DIV_ROUND_UP(fls64(cookie | 1), 4);
	char *digit = end;

	do {
		digit--;
		*digit = "0123456789abcdef"[cookie & 15];
		cookie >>= 4;
	} while (cookie);
	return pad(end, at, column);
}

void put_header(struct seq_file *m, size_t size,
		       const struct column *column, unsigned int count)
{
	char *at = row_begin(m, size);

	if (!at)
		return;
	for (; count--; column++)
		at = put_plain(at, column, column->name);
	row_commit(m, row_end(at));
}
