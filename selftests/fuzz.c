// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever is written to clamp, the rules are then as they were or as
 * written. What is right is what a parser of the test's own says of each
 * write, a slow and simple one. LISTENQ_SEED repeats a run.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "model.h"

#define WRITES		lq_scaled(100000)
#define CHECK_EVERY	64

#define MOST_ERROR	256

/* ---- the file against the reference ---- */

static bool is_error_line(const struct model *model, const char *line)
{
	static const char begin[] = "# last error: ";
	size_t length = strlen(line);
	char number[32];

	if (!model->refused)
		return !length;
	if (length >= MOST_ERROR || strncmp(line, begin, strlen(begin)))
		return false;
	/* One line, of nothing that a terminal could take for a command. */
	for (size_t i = 0; i + 1 < length; i++)
		if (line[i] < ' ' || line[i] > '~')
			return false;
	if (line[length - 1] != '\n')
		return false;

	line += strlen(begin);
	if (!model->error_line)
		return line[0] != '\n' && strncmp(line, "line ", 5);
	snprintf(number, sizeof(number), "line %d: ", model->error_line);
	return !strncmp(line, number, strlen(number)) &&
	       line[strlen(number)] != '\n';
}

static bool file_agrees(const struct model *model)
{
	char *text = lq_clamp_text(), *rules = model_text(model);
	bool right = !strncmp(text, rules, strlen(rules)) &&
		     is_error_line(model, text + strlen(rules));

	if (!right)
		printf("# the file is\n%s# and should be, with %s%d\n%s", text,
		       model->refused ? "an error of line " : "no error ",
		       model->error_line, rules);
	free(text);
	return right;
}

/* ---- what is written ---- */

static struct {
	char bytes[MOST_BYTES + 2];
	size_t length;
} text;

static void add(const char *format, ...)
{
	size_t left = sizeof(text.bytes) - text.length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text.bytes + text.length, left, format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= left)
		errx(1, "a text that is too long");
	text.length += length;
}

static void show_text(void)
{
	printf("# %zu bytes: ", text.length);
	for (size_t i = 0; i < text.length && i < 1000; i++) {
		unsigned char c = text.bytes[i];

		if (isprint(c) && c != '\\')
			putchar(c);
		else
			printf("\\%03o", c);
	}
	putchar('\n');
}

/* Ports up to 64 are wanted most, so that rules meet. */
#define PORTS	64

static void add_port(void)
{
	static const char * const wrong[] = {
		"0", "00", "65536", "99999999999999999999999999", "-1", "x",
		"80x", "+1", "0x10", "1.5", "4294967297",
	};

	if (!lq_chance(40))
		add("%s", wrong[lq_chance(ARRAY_SIZE(wrong))]);
	else if (!lq_chance(30))
		add("%0*d", 2 + lq_chance(9), 1 + lq_chance(PORTS));
	else if (!lq_chance(30))
		add("%d", 65535 - lq_chance(2));
	else
		add("%d", 1 + lq_chance(PORTS));
}

static void add_range(void)
{
	static const char * const odd[] = {
		"1-65535", "0-5", "5-0", "1-70000", "70000-x", "x-70000", "-",
		"80-", "-80", "1-2-3", "*-5", "5-*", "7-7", "1--2", "-1-2",
		"65535-65535", "**",
	};
	unsigned int size = 2 << lq_chance(5);
	unsigned int first = 1 + size * lq_chance(PORTS / size);

	switch (lq_chance(20)) {
	case 0:
		add("%s", odd[lq_chance(ARRAY_SIZE(odd))]);
		break;
	case 1:
		/* Reversed, overlapping or neither. */
		add_port();
		add("-");
		add_port();
		break;
	default:
		/* These are nested or apart. */
		add("%u-%u", first, first + size - 1);
	}
}

static void add_selector(void)
{
	unsigned int kind = lq_chance(10);

	if (!kind)
		add("*");
	else if (kind < 6)
		add_port();
	else
		add_range();
}

/* Of a rule that is there, mostly. */
static void add_known_selector(const struct model *model)
{
	char selector[16];

	if (!model->count || !lq_chance(12)) {
		add_selector();
		return;
	}
	print_selector(selector, sizeof(selector),
		       &model->rules[lq_chance(model->count)]);
	add("%s", selector);
}

static void add_number(void)
{
	static const char * const wrong[] = {
		"2147483648", "4294967296", "18446744073709551616",
		"99999999999999999999999999", "-1", "-0", "-", "--1", "1k",
		"0x7f", "+1", "1e3", "1,000",
	};
	static const char * const edges[] = {
		"0", "1", "5", "128", "4096", "2147483647", "00000000000000",
		"0000000000000000000000000000000128", "2147483646",
	};

	if (!lq_chance(50))
		add("%s", wrong[lq_chance(ARRAY_SIZE(wrong))]);
	else if (!lq_chance(3))
		add("%s", edges[lq_chance(ARRAY_SIZE(edges))]);
	else
		add("%d", lq_chance(5000));
}

static void add_blank(void)
{
	static const char * const blanks[] = { "\t", "  ", " \t ", "\t\t " };

	if (lq_chance(10))
		add(" ");
	else
		add("%s", blanks[lq_chance(ARRAY_SIZE(blanks))]);
}

static void add_verb(void)
{
	unsigned int kind = lq_chance(4);

	add("%s", kind == 0 ? "force" : kind == 1 ? "floor" : "somaxconn");
	add_blank();
	add_number();
	if (kind < 3)
		return;
	add_blank();
	add("floor");
	add_blank();
	add_number();
}

static void add_token(void)
{
	static const char * const tokens[] = {
		"somaxconn", "floor", "force", "clear", "flush", "*", "-", "#",
		"80", "1-10", "8-12", "0", "-1", "2147483647", "2147483648",
		"Force", "somaxcon", "# last error: line 1:", "\r", "\v", "\f",
	};

	add("%s", tokens[lq_chance(ARRAY_SIZE(tokens))]);
}

static void add_line(const struct model *model)
{
	unsigned int kind = lq_chance(100);

	if (!lq_chance(12))
		add_blank();
	if (kind < 2) {
		add("flush");
	} else if (kind < 6) {
		add("#%s80 force 1", lq_chance(2) ? " " : "");
	} else if (kind < 9) {
		add("%s", "");
	} else if (kind < 12) {
		for (int i = 1 + lq_chance(5); i; i--) {
			add_token();
			add_blank();
		}
	} else if (kind < 36) {
		add_known_selector(model);
		add_blank();
		add("clear");
	} else {
		add_selector();
		add_blank();
		add_verb();
	}
	if (!lq_chance(12))
		add_blank();
	if (!lq_chance(100))
		add(" # 1");
}

static void make_lines(const struct model *model)
{
	int count = 1;

	if (!lq_chance(3))
		count = 2 + lq_chance(3);
	else if (!lq_chance(30))
		count = 5 + lq_chance(16);
	for (int i = 0; i < count; i++) {
		add_line(model);
		/* The last one can do without. */
		if (i + 1 < count || lq_chance(8))
			add("\n");
	}
}

/* A few of its bytes are replaced, left out or put in. */
static void spoil(void)
{
	static const char likely[] = "0123456789-*# \t\n\n\0fo";

	for (int i = 1 + lq_chance(3); i && text.length; i--) {
		size_t at = lq_chance(text.length);
		char byte = lq_chance(4) ? likely[lq_chance(sizeof(likely))] :
					(char)lq_chance(256);

		switch (lq_chance(3)) {
		case 0:
			text.bytes[at] = byte;
			break;
		case 1:
			memmove(text.bytes + at, text.bytes + at + 1,
				text.length - at - 1);
			text.length--;
			break;
		default:
			memmove(text.bytes + at + 1, text.bytes + at,
				text.length - at);
			text.bytes[at] = byte;
			text.length++;
		}
	}
}

static void make_bytes(void)
{
	static const char few[] = "019-*# \t\n";
	bool any = lq_chance(2);

	for (int i = lq_chance(48); i; i--)
		text.bytes[text.length++] =
			any ? (char)lq_chance(256) : few[lq_chance(strlen(few))];
}

static void make_soup(void)
{
	for (int i = 1 + lq_chance(8); i; i--) {
		add_token();
		add("%s", lq_chance(3) ? " " : "\n");
	}
}

/* At the limit of bytes, or one above it. */
static void make_large(size_t length)
{
	add("7 force 7\n");
	memset(text.bytes + text.length, lq_chance(2) ? '\n' : ' ',
	       length - text.length);
	text.length = length;
}

/* Large ones are slow to read, and take their turns. */
#define LARGE_EVERY	4000

static void make_text(const struct model *model, int turn)
{
	unsigned int kind = lq_chance(1000);

	text.length = 0;
	if (turn % LARGE_EVERY == 0) {
		make_large(MOST_BYTES + turn / LARGE_EVERY % 2);
	} else if (kind < 80) {
		make_bytes();
	} else if (kind < 150) {
		make_soup();
	} else {
		make_lines(model);
		if (kind < 350)
			spoil();
	}
}

/* ---- the tests ---- */

/* For a set-up. */
#define SHOW_SEED()	TH_LOG("LISTENQ_SEED=%llu", lq_seed(0))

/* What went wrong with write @number. */
static void show_write(int number)
{
	show_text();
	printf("# up to write %d of LISTENQ_SEED=%llu\n", number, lq_seed(0));
}

FIXTURE(fuzz)
{
	struct model *model;	/* no rules yet */
	int clamp;
};

FIXTURE_SETUP(fuzz)
{
	LQ_SETUP();
	SHOW_SEED();
	self->model = calloc(1, sizeof(*self->model));
	self->clamp = open(LQ_CLAMP, O_WRONLY | O_CLOEXEC);
	if (!self->model || self->clamp < 0)
		err(1, "%s", LQ_CLAMP);
}

FIXTURE_TEARDOWN(fuzz)
{
	close(self->clamp);
	free(self->model);
}

/* Writes the text, to the file and to the model. */
static bool write_agrees(int fd, struct model *model, int *result)
{
	int expected = model_write(model, text.bytes, text.length);

	*result = lq_write(fd, text.bytes, text.length);
	if (*result == expected)
		return true;
	printf("# %s instead of %s\n", strerror(*result), strerror(expected));
	show_text();
	return false;
}

/* Listeners in between: a rule that is right in the file acts right as well. */
static const struct {
	int port;
	int asked;
	int granted;
} listeners[] = {
	{ 1, 5, 5 },
	{ 8, 0, 0 },
	{ 17, -1, 300 },
	{ 40, 128, 128 },
	{ PORTS, 5000, 300 },
	{ 30000, INT_MAX, 300 },
};

static int wrong_listeners(const struct model *model, const int *fds)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++)
		wrong += !model_row_agrees(model, table, fds[i],
					   listeners[i].asked,
					   listeners[i].granted);
	lq_free(table);
	return wrong;
}

TEST_F_TIMEOUT(fuzz, as_they_were_or_as_written, 600)
{
	static const int errors[] = { 0, EINVAL, ERANGE, EEXIST, ENOENT };
	struct model *model = self->model;
	int fds[ARRAY_SIZE(listeners)];
	int results[256] = { 0 };

	lq_set_somaxconn(300);
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
		fds[i] = lq_bound(AF_INET, "127.0.0.1", listeners[i].port);
		lq_listen(fds[i], listeners[i].asked);
	}

	for (int i = 1; i <= WRITES; i++) {
		int result;

		make_text(model, i);
		ASSERT_TRUE(write_agrees(self->clamp, model, &result)) {
			file_agrees(model);
			show_write(i);
		}
		results[result]++;
		if (i % CHECK_EVERY && i > CHECK_EVERY)
			continue;
		ASSERT_TRUE(file_agrees(model) &&
			    !wrong_listeners(model, fds)) {
			show_write(i);
		}
	}

	/* Each of them was met, and most often none at all. */
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		TH_LOG("%d times %s", results[errors[i]],
		       errors[i] ? strerror(errors[i]) : "no error");
		EXPECT_LT(WRITES / 500, results[errors[i]]);
	}
	EXPECT_LT(WRITES / 3, results[0]);
	EXPECT_LT(0, results[E2BIG]);
}

/* Where there is hardly room for a rule. */
TEST_F_TIMEOUT(fuzz, near_the_most_rules, 240)
{
	struct model *model = self->model;
	int count = lq_scaled(2000), result, full = 0, taken = 0;

	text.length = 0;
	for (int i = 0; i < MOST_RULES - 4; i++)
		add("%d force %d\n", 1000 + i, i);
	ASSERT_TRUE(write_agrees(self->clamp, model, &result));
	ASSERT_EQ(0, result);
	ASSERT_TRUE(file_agrees(model));

	for (int i = 1; i <= count; i++) {
		text.length = 0;
		for (int n = 1 + lq_chance(4); n; n--) {
			int port = 1000 + lq_chance(4000);

			switch (lq_chance(6)) {
			case 0:
				add_known_selector(model);
				add(" clear\n");
				break;
			case 1:
				add_known_selector(model);
				add(" floor %d\n", lq_chance(99));
				break;
			case 2:
				add("%d-%d force 1\n", port,
				    port + lq_chance(40));
				break;
			default:
				add("%d somaxconn 2\n", port);
			}
		}
		ASSERT_TRUE(write_agrees(self->clamp, model, &result) &&
			    (i % CHECK_EVERY || file_agrees(model))) {
			show_write(i);
		}
		full += result == ENOSPC;
		taken += !result;
	}
	EXPECT_TRUE(file_agrees(model));
	EXPECT_LT(count / 100, full);
	EXPECT_LT(count / 20, taken);
}

/* What is read can be written, and changes nothing. */
TEST_F(fuzz, round_trip)
{
	struct model *model = self->model;
	int result;

	for (int i = 0; i < 200; i++) {
		char *before, *after;

		make_text(model, i + 1);
		ASSERT_TRUE(write_agrees(self->clamp, model, &result));
		before = lq_clamp_text();
		EXPECT_EQ(0, lq_clamp(i % 2 ? "flush\n" : "# nothing\n"));
		if (i % 2 && *before)
			EXPECT_EQ(0, lq_clamp(before));
		after = lq_clamp_text();
		/* The error is gone, since a write was taken. */
		if (model->refused)
			*strchr(before, '#') = '\0';
		model->refused = false;
		EXPECT_STREQ(before, after);
		free(before);
		free(after);
	}
}

/* ---- the other files ---- */

#define SHORT_WRITES	lq_scaled(20000)
#define INTERVAL_FILE	"/sys/module/listenq/parameters/log_interval"

/* @base, changed here and there. */
static void make_short_text(const char *base)
{
	text.length = strlen(base);
	memcpy(text.bytes, base, text.length);
	for (unsigned int n = lq_chance(4); n; n--) {
		size_t at = lq_chance(text.length + 1);

		switch (lq_chance(4)) {
		case 0:		/* one byte more */
			memmove(text.bytes + at + 1, text.bytes + at,
				text.length - at);
			text.length++;
			text.bytes[at] = lq_chance(2) ? lq_chance(256) :
					 "\n 0x-+reset9"[lq_chance(12)];
			break;
		case 1:		/* one less */
			if (at < text.length)
				memmove(text.bytes + at, text.bytes + at + 1,
					--text.length - at);
			break;
		case 2:		/* another */
			if (at < text.length)
				text.bytes[at] ^= 1 << lq_chance(8);
			break;
		case 3:		/* the same again, rarely very often */
			for (unsigned int i = lq_chance(8) ? 1 : lq_chance(12);
			     i && 2 * text.length <= 8192; i--) {
				memcpy(text.bytes + text.length, text.bytes,
				       text.length);
				text.length *= 2;
			}
			break;
		}
	}
}

/* One line end may stand behind the word. */
static int model_reset(void)
{
	size_t length = text.length;

	if (length && text.bytes[length - 1] == '\n')
		length--;
	return length == 5 && !memcmp(text.bytes, "reset", 5) ? 0 : EINVAL;
}

/* The word and nothing else begins the peaks anew. */
TEST_F(fuzz, resets)
{
	int sockets = open(LQ_SOCKETS, O_WRONLY | O_CLOEXEC);
	int fd = lq_listener(AF_INET, 7), client, taken = 0;

	ASSERT_LE(0, sockets);
	client = lq_connect(fd);
	ASSERT_TRUE(lq_wait_until(lq_num(fd, "acceptq_peak") == 1));
	lq_accept(fd);
	for (int i = 0; i < SHORT_WRITES; i++) {
		int expected, result;

		make_short_text(lq_chance(2) ? "reset\n" : "reset");
		expected = model_reset();
		result = lq_write(sockets, text.bytes, text.length);
		ASSERT_EQ(expected, result) {
			show_write(i);
		}
		taken += !result;
		if (taken < 10)
			ASSERT_EQ(!taken, lq_num(fd, "acceptq_peak"));
	}
	EXPECT_LT(SHORT_WRITES / 100, taken);
	EXPECT_GT(SHORT_WRITES, taken);
	close(client);
	close(fd);
	close(sockets);
}

/* A number as the kernel's parameters have them; NUL ends it. */
static int model_interval(unsigned int *interval)
{
	const char *at = text.bytes;
	unsigned long long value = 0;
	bool too_large = false;
	int base = 10, digits = 0;

	text.bytes[text.length] = '\0';
	if (*at == '+')
		at++;
	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X') &&
	    isxdigit((unsigned char)at[2])) {
		base = 16;
		at += 2;
	} else if (at[0] == '0') {
		base = 8;
	}
	for (;; at++, digits++) {
		char c = isascii(*at) ? tolower(*at) : 0;
		int digit = isdigit(c) ? c - '0' :
			    isxdigit(c) ? c - 'a' + 10 : base;

		if (digit >= base)
			break;
		if (value > (ULLONG_MAX - digit) / base)
			too_large = true;
		value = value * base + digit;
	}
	if (too_large)
		return -ERANGE;
	if (!digits)
		return -EINVAL;
	if (*at == '\n')
		at++;
	if (*at)
		return -EINVAL;
	if (value > UINT_MAX)
		return -ERANGE;
	*interval = value;
	return 0;
}

/* The parameter is as it was or as written. */
TEST_F(fuzz, intervals)
{
	static const char * const bases[] = {
		"60\n", "0", "4294967295\n", "0x3c", "+017\n", "3600",
	};
	int fd = open(INTERVAL_FILE, O_RDWR | O_CLOEXEC), taken = 0;
	unsigned int expected, before;
	char now[16] = "";

	ASSERT_LE(0, fd);
	ASSERT_LT(0, pread(fd, now, sizeof(now) - 1, 0));
	before = strtoul(now, NULL, 10);
	expected = before;
	for (int i = 0; i < SHORT_WRITES; i++) {
		int error, result;

		make_short_text(bases[lq_chance(ARRAY_SIZE(bases))]);
		/* Of more than a page, or of nothing, it is told nothing. */
		if (!text.length || text.length > 4000)
			continue;
		error = -model_interval(&expected);
		result = pwrite(fd, text.bytes, text.length, 0) < 0 ? errno : 0;
		memset(now, 0, sizeof(now));
		ASSERT_LT(0, pread(fd, now, sizeof(now) - 1, 0));
		ASSERT_EQ(error, result) {
			show_write(i);
		}
		ASSERT_EQ(expected, strtoul(now, NULL, 10)) {
			show_write(i);
		}
		taken += !result;
	}
	EXPECT_LT(SHORT_WRITES / 20, taken);
	snprintf(now, sizeof(now), "%u", before);
	EXPECT_LT(0, pwrite(fd, now, strlen(now), 0));
	close(fd);
}

/* ---- reads ---- */

#define MOST_TEXT	32768

struct whole {
	char text[MOST_TEXT];
	size_t length;
	size_t time_from;	/* columns that differ from read to read */
	size_t time_to;
};

static void read_to_the_end(int fd, struct whole *whole)
{
	ssize_t n;

	whole->length = 0;
	if (lseek(fd, 0, SEEK_SET))
		err(1, "lseek");
	while ((n = read(fd, whole->text + whole->length,
			 MOST_TEXT - whole->length)) > 0)
		whole->length += n;
	if (n < 0 || whole->length == MOST_TEXT)
		err(1, "a whole read");
}

/* The bytes from @offset on are those of the whole, but for the time. */
static bool is_part(const struct whole *whole, const char *bytes,
		    size_t offset, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const char *line = memrchr(whole->text, '\n', offset + i);
		size_t column = whole->text + offset + i -
				(line ? line + 1 : whole->text);

		if (column >= whole->time_from && column < whole->time_to)
			continue;
		if (offset + i >= whole->length ||
		    bytes[i] != whole->text[offset + i])
			return false;
	}
	return true;
}

/* From every place and of every size, whatever was read before. */
TEST_F_TIMEOUT(fuzz, reads, 240)
{
	static const char * const files[] = {
		LQ_SOCKETS, LQ_WAITS, LQ_TOTALS, LQ_HOOKS, LQ_CLAMP, LQ_DROPS,
		LQ_UNIX, LQ_REFUSED,
	};
	const int stride = getenv("LISTENQ_SLOW") ? 7 : 1;
	static struct whole whole;
	static char part[MOST_TEXT];
	int fds[20];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = lq_listener(lq_family(i), i);
	/* The length of a line does not depend on the time. */
	ASSERT_EQ(0, lq_clamp("80 force 1\n* somaxconn 3000\n"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		bool is_refused = !strcmp(files[i], LQ_REFUSED);
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);
		const char *column;

		ASSERT_LE(0, fd);
		/* The last file: in sockets that would change with the time. */
		if (is_refused) {
			close(lq_enqueue(fds[0]));
			for (int n = 0; n < 5; n++)
				lq_turn_away(fds[0]);
			ASSERT_TRUE(lq_wait_until(lq_rows(LQ_REFUSED) == 5));
		}
		read_to_the_end(fd, &whole);
		column = strstr(whole.text, is_refused ? "ago_ms" : "since_ms");
		whole.time_from = column ? column - whole.text : 0;
		whole.time_to = column ? whole.time_from + 8 : 0;

		for (size_t n = 0; n < 2 * whole.length; n += stride) {
			size_t offset = n < whole.length ? n : lq_chance(whole.length);
			size_t size = n < whole.length ? 1 + lq_chance(300) :
				      n - whole.length + 1;
			ssize_t length = pread(fd, part, size, offset);

			/* A read may end early, but not before it began. */
			ASSERT_TRUE(length > 0 && (size_t)length <= size &&
				    is_part(&whole, part, offset, length)) {
				TH_LOG("%s: %zu bytes at %zu: %zd", files[i],
				       size, offset, length);
			}
		}
		/* At the end, and behind it. */
		EXPECT_EQ(0, pread(fd, part, 100, whole.length));
		EXPECT_EQ(0, pread(fd, part, 1, whole.length + 5000));
		EXPECT_EQ(0, pread(fd, part, 0, 0));
		EXPECT_EQ(-1, pread(fd, part, 1, -1));
		EXPECT_EQ(EINVAL, errno);
		/* By read() and lseek(), in steps of every size. */
		for (size_t step = 1; step < 200; step += stride) {
			size_t at = lq_chance(whole.length);
			ssize_t length;

			ASSERT_EQ((off_t)at, lseek(fd, at, SEEK_SET));
			while ((length = read(fd, part, step)) > 0) {
				ASSERT_TRUE(is_part(&whole, part, at, length));
				at += length;
			}
			EXPECT_EQ(whole.length, at);
		}
		close(fd);
	}
	lq_close_all(fds, ARRAY_SIZE(fds));
}

LQ_FIXTURE(together, SHOW_SEED());

#define WRITERS		4
#define LISTENERS	2
#define READERS		2
#define TASKS		(WRITERS + LISTENERS + READERS)
#define REMAINING	40
#define DURATION_MS	5000
#define BLOCK(writer)	(10000 + 1000 * (writer))

static struct shared {
	atomic_int stop;
	atomic_int turns[TASKS];
} *shared;

/* Whether the file has just the model's rules among those of its block. */
static bool block_agrees(const struct model *model, int first)
{
	static struct model all, own;
	char *file = lq_clamp_text();

	all.count = 0;
	if (model_write(&all, file, strlen(file)))
		errx(1, "the file can't be written back: %s", file);
	own.count = 0;
	for (int i = 0; i < all.count; i++)
		if (all.rules[i].first >= first &&
		    all.rules[i].first < first + 1000)
			own.rules[own.count++] = all.rules[i];
	free(file);
	return own.count == model->count &&
	       !memcmp(own.rules, model->rules,
		       own.count * sizeof(own.rules[0]));
}

/* Rules for a block of ports that no other writer has. */
static void write_turn(int writer, int turn)
{
	static struct model model;
	int first = BLOCK(writer), error;

	text.length = 0;
	for (int n = 1 + lq_chance(3); n; n--) {
		int size = 1 << lq_chance(6);
		int port = first + size * lq_chance(PORTS / size);

		if (size == 1)
			add("%d force %d\n", port, lq_chance(100));
		else
			add("%d-%d somaxconn %d floor %d\n", port,
			    port + size - 1, lq_chance(100), lq_chance(100));
	}
	if (model.count && lq_chance(2)) {
		text.length = 0;
		add_known_selector(&model);
		/* Rarely one that it made up: another's, or none at all. */
		add(" clear\n");
		if (strtol(text.bytes, NULL, 10) < first ||
		    strtol(text.bytes, NULL, 10) >= first + 1000)
			return;
	}
	error = lq_clamp(text.bytes);
	if (error != model_write(&model, text.bytes, text.length))
		errx(1, "%s for %s", strerror(error), text.bytes);
	if (turn % 8 == 0 && !block_agrees(&model, first))
		errx(1, "not the rules of ports %d and up", first);
}

static void listen_turn(int task, int turn)
{
	int port = BLOCK(lq_chance(WRITERS)) + lq_chance(PORTS);
	char host[32];
	int fd;

	snprintf(host, sizeof(host), "127.0.1.%d", task);
	fd = lq_bound(AF_INET, host, port);
	lq_listen(fd, turn % 100);
	lq_listen(fd, turn % 99);
	close(fd);
}

/* One state of the rules, as it would be printed again. */
static void read_rules(void)
{
	static struct model model;
	char *file = lq_clamp_text();

	model.count = 0;
	if (model_write(&model, file, strlen(file)))
		errx(1, "line %d is torn: %s", model.error_line, file);
	if (strcmp(file, model_text(&model)))
		errx(1, "other rules when written back: %s", file);
	free(file);
}

static void read_sockets(void)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);

	for (int row = 0; row < table->nrows; row++) {
		const char *limit = lq_cell(table, row, "limit");
		char *word = (char *)lq_cell(table, row, "rule");
		struct rule rule;

		if (strspn(limit, "0123456789") != strlen(limit))
			errx(1, "a limit of %s", limit);
		if (strcmp(word, "-") && parse_selector(word, &rule))
			errx(1, "a rule called %s", word);
	}
	lq_free(table);
}

static void take_turns(int task)
{
	for (int turn = 0; !shared->stop; turn++) {
		if (task < WRITERS)
			write_turn(task, turn);
		else if (task < WRITERS + LISTENERS)
			listen_turn(task, turn);
		else if (turn % 2)
			read_rules();
		else
			read_sockets();
		shared->turns[task]++;
	}
}

/* How many listeners have another limit than @model gives them. */
static int wrong_limits(const struct model *model, const int *fds)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	int wrong = 0;

	for (int i = 0; i < REMAINING; i++)
		wrong += !model_row_agrees(model, table, fds[i], i, i);
	lq_free(table);
	return wrong;
}

TEST_F_TIMEOUT(together, writers_listeners_and_readers, 240)
{
	struct model *model = calloc(1, sizeof(*model));
	long long deadline;
	int fds[REMAINING];
	pid_t pids[TASKS];
	struct lq_ss ss;
	char *file;

	ASSERT_NE(NULL, model);
	shared = lq_shared(sizeof(*shared));
	for (int i = 0; i < REMAINING; i++) {
		fds[i] = lq_bound(AF_INET, "127.0.0.1", BLOCK(i % WRITERS) + i);
		lq_listen(fds[i], i);
	}
	for (int task = 0; task < TASKS; task++) {
		pids[task] = lq_fork();
		if (pids[task])
			continue;
		/* To each its own luck. */
		lq_seed(1 + task);
		take_turns(task);
		_exit(0);
	}
	deadline = lq_now_ms() + DURATION_MS;
	ASSERT_TRUE(lq_wait_until(lq_now_ms() >= deadline));
	/* However slow the machine, each has done something. */
	for (int task = 0; task < TASKS; task++)
		EXPECT_TRUE(lq_wait_until(shared->turns[task] >= 20));
	shared->stop = 1;
	for (int task = 0; task < TASKS; task++) {
		EXPECT_EQ(0, lq_reap(pids[task]));
		TH_LOG("%s %d: %d turns", task < WRITERS ? "writer" :
		       task < WRITERS + LISTENERS ? "listener" : "reader",
		       task, shared->turns[task]);
	}

	/* What they left acts on those that were there all the time. */
	file = lq_clamp_text();
	ASSERT_EQ(0, model_write(model, file, strlen(file)));
	free(file);
	EXPECT_LT(WRITERS, model->count);
	EXPECT_EQ(0, wrong_limits(model, fds));

	ASSERT_EQ(0, lq_clamp("flush\n"));
	model->count = 0;
	EXPECT_EQ(0, wrong_limits(model, fds));
	for (int i = 0; i < REMAINING; i += REMAINING / 4) {
		ASSERT_TRUE(lq_ss(fds[i], &ss));
		EXPECT_EQ(i, ss.sendq);
	}
	file = lq_clamp_text();
	EXPECT_STREQ("", file);
	free(file);
	free(model);
}

TEST_HARNESS_MAIN
