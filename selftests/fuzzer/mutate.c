// SPDX-License-Identifier: GPL-2.0-only
/*
 * How one input becomes another. A file of which a row has one value too many is
 * refused as a whole, so most changes are of a value, a row or a column; bytes at
 * random are libFuzzer's own affair.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzzer.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static const char * const values[] = {
	"-", "0", "1", "-1", "7", "999", "1000", "99999", "100000", "2147483647",
	"2147483648", "4294967295", "4294967296", "36028797018963967",
	"9223372036854775807", "-9223372036854775808", "18446744073709551616",
	"127.0.0.1:80", "0.0.0.0:65535", "[::1]:80", "[::ffff:10.0.0.7]:1999",
	"[fe80::1%eth0]:443", "1.2.3.4%eth0:80", "tcp", "tcp6", "mptcp", "a1",
	"b2", "c3", "*", "8000-8099", "a|b=0;0;0", "it's", "\"\\", "\\033[2J",
	"{a=\"b\"}", "%s%n", "$(id)", "on", "silenced", "missing", "unneeded",
	"acceptq-syn", "acceptq-ack", "synq", "reserved", "closed",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"-a", "-N", "-p", "-A", "-P", "-s", "-r", "-w", "-j", "-t", "-m", "-o",
	"--metrics=openmetrics", "--max", "--names", "own", "all",
	"none", "--check", "--within", "--allow-none", "--dry-run", "-f", "--top",
	"log", "explain", "report", "-g", "-v", "-i", "--unix", "--tcp", "unix", "stream",
	"seqpacket", "/run/a", "@a\\040b", "@a,b", "unix:/run/a", "unix:*",
	"clamp", "fill", "overflows", "oldest", "syns", "process", "0.1",
	"1x1", "2x80", "3x20", "24x80", "60x200", "xterm", "vt100", "dumb",
	"C.UTF-8", "$", "$~~", "/a$", "?^", "ZZZ", "sSr",
};

static const char * const columns[] = {
	"proto", "local", "cookie", "inode", "uid", "pid", "comm", "asked",
	"granted", "limit", "rule", "acceptq", "acceptq_peak",
	"acceptq_oldest_ms", "synq", "synq_young", "synq_peak", "since_ms",
	"syns", "accepts", "overflows", "synq_drops", "syncookies", "sk_drops",
	"since_overflow_ms", "overflows_ack", "synq_reserved",
	"acceptq_peak_1m", "synq_peak_1m", "group", "fastopenq",
	"fastopenq_limit", "count", "sum_ms", "4ms", "8ms", "65536ms", "more",
	"requests", "finished", "expired", "reset", "resent",
	"cookies_finished", "cookies_failed", "fastopens",
	"fastopen_overflows", "failed", "carried_requests",
	"carried_connections", "sum_us", "256us", "512us", "4194304us",
	"joined", "unaccepted", "abandoned", "symbol", "how", "serves",
	"state", "hits", "nmissed", "missing", "ago_ms", "remote", "why",
	"type", "path", "connects",
	"waits", "eagains", "number", "sl", "st", "tx_queue", "rx_queue", "0A", "03", "08",
	"0100007F:1B59", "Max", "open", "files", "TracerPid:",
};

/* What is changed, and where its room ends. */
struct text {
	char *at;
	size_t size;
	size_t max;
};

static size_t any(size_t count)
{
	return count ? rand() % count : 0;
}

/* Puts @length bytes in place of the @old ones at @from; false: no room. */
static bool put(struct text *text, size_t from, size_t old, const char *bytes,
		size_t length)
{
	if (text->size - old + length > text->max)
		return false;
	memmove(text->at + from + length, text->at + from + old,
		text->size - from - old);
	memcpy(text->at + from, bytes, length);
	text->size += length - old;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n';
}

/* The value around @at: where it begins, and where it ends. */
static size_t value_start(const struct text *text, size_t at)
{
	while (at && !is_blank(text->at[at - 1]))
		at--;
	return at;
}

static size_t value_end(const struct text *text, size_t at)
{
	while (at < text->size && !is_blank(text->at[at]))
		at++;
	return at;
}

/* The same of a line; the end is behind its line break. */
static size_t line_start(const struct text *text, size_t at)
{
	while (at && text->at[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_end(const struct text *text, size_t at)
{
	while (at < text->size && text->at[at] != '\n')
		at++;
	return at < text->size ? at + 1 : at;
}

static bool change_value(struct text *text, size_t at)
{
	const char *value = any(8) ? values[any(ARRAY_SIZE(values))] :
			    columns[any(ARRAY_SIZE(columns))];
	size_t start = value_start(text, at);

	return put(text, start, value_end(text, at) - start, value,
		   strlen(value));
}

/* One value in place of another. */
static bool copy_value(struct text *text, size_t at)
{
	size_t from = any(text->size), start = value_start(text, at), length;
	char value[256];

	length = value_end(text, from) - value_start(text, from);
	if (length > sizeof(value))
		return false;
	memcpy(value, text->at + value_start(text, from), length);
	return put(text, start, value_end(text, at) - start, value, length);
}

static bool double_line(struct text *text, size_t at)
{
	size_t start = line_start(text, at), length = line_end(text, at) - start;

	if (text->size + length > text->max)
		return false;
	memmove(text->at + start + length, text->at + start,
		text->size - start);
	text->size += length;
	return true;
}

static bool remove_line(struct text *text, size_t at)
{
	size_t start = line_start(text, at);

	return put(text, start, line_end(text, at) - start, "", 0);
}

/* The first line of the file that @at is in; the end of the text if in none. */
static size_t file_start(const struct text *text, size_t at)
{
	for (at = line_start(text, at); text->at[at] != '@'; )
		if (at)
			at = line_start(text, at - 1);
		else
			return text->size;
	return strncmp(text->at + at, "@file", 5) ? text->size :
						    line_end(text, at);
}

/* Of each row, the value in this column goes, or one more stands before it. */
static bool change_column(struct text *text, size_t at, bool remove)
{
	const char *value = columns[any(ARRAY_SIZE(columns))];
	size_t row = file_start(text, at), number = any(32), i;

	for (; row < text->size && text->at[row] != '@';
	     row = line_end(text, row)) {
		size_t from = row, end;

		for (i = 0; i < number; i++) {
			end = value_end(text, from);
			if (end >= text->size || text->at[end] == '\n')
				break;
			from = end + 1;
		}
		if (remove) {
			end = value_end(text, from);
			end += end < text->size && text->at[end] == ' ';
			put(text, from, end - from, "", 0);
		} else if (!put(text, from, 0, " ", 1) ||
			   !put(text, from, 0, value, strlen(value))) {
			return false;
		}
		value = values[any(ARRAY_SIZE(values))];
	}
	return true;
}

static bool change(struct text *text)
{
	size_t at = any(text->size);

	switch (any(12)) {
	case 0:
		return double_line(text, at);
	case 1:
		return remove_line(text, at);
	case 2:
		return change_column(text, at, false);
	case 3:
		return change_column(text, at, true);
	case 4:
	case 5:
	case 6:
		return copy_value(text, at);
	default:
		return change_value(text, at);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	struct text text = { (char *)data, size, max };
	int changes;

	srand(seed);
	if (!size || !any(4))
		return LLVMFuzzerMutate(data, size, max);
	for (changes = 1 + any(3); changes && text.size; changes--)
		if (!change(&text))
			break;
	return text.size;
}
