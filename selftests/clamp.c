// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of rules: what it takes and how it prints it, what it refuses and
 * who may write; which of many rules decides, against a reference that looks
 * at all of them; and the rule that the module is loaded with.
 */

#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "model.h"

/* Unlike any kernel's default, so that no other figure can be mistaken. */
#define SOMAXCONN_HERE	137

/* A user that needs no entry anywhere. */
#define OTHER_UID	12350

#define LAST_ERROR	"# last error: "

LQ_FIXTURE(clamp, lq_set_somaxconn(SOMAXCONN_HERE));

static int open_clamp(int flags)
{
	int fd = open(LQ_CLAMP, flags | O_CLOEXEC);

	if (fd < 0)
		err(1, LQ_CLAMP);
	return fd;
}

static int write_text(int fd, const char *text)
{
	return lq_write(fd, text, strlen(text));
}

static int clamp_bytes(const void *bytes, size_t len)
{
	int fd = open_clamp(O_WRONLY);
	int error = lq_write(fd, bytes, len);

	close(fd);
	return error;
}

/* The file holds @rules and nothing else: no error either. */
static void check_text(struct __test_metadata *_metadata, const char *rules)
{
	char *text = lq_clamp_text();

	EXPECT_STREQ(rules, text);
	free(text);
}

/*
 * The file holds @rules and one line about what was refused, which goes on
 * with @where, names @word and says more than that.
 */
static void check_refused(struct __test_metadata *_metadata, const char *rules,
			  const char *where, const char *word)
{
	char *text = lq_clamp_text();
	size_t len = strlen(rules);
	char start[64];
	char *last;

	snprintf(start, sizeof(start), LAST_ERROR "%s", where);
	ASSERT_EQ(0, strncmp(text, rules, len)) {
		TH_LOG("'%s' instead of '%s'", text, rules);
	}
	last = text + len;
	EXPECT_EQ(0, strncmp(last, start, strlen(start))) {
		TH_LOG("'%s' doesn't begin with '%s'", last, start);
	}
	ASSERT_LT(strlen(start) + strlen(word) + 8, strlen(last));
	EXPECT_NE(NULL, strstr(last + strlen(start), word)) {
		TH_LOG("'%s' doesn't name '%s'", last, word);
	}
	/* One line, that no terminal takes for anything but text. */
	len = strlen(last) - 1;
	EXPECT_EQ('\n', last[len]);
	for (size_t i = 0; i < len; i++)
		EXPECT_TRUE(last[i] >= ' ' && last[i] <= '~');
	free(text);
}

/* At 127.0.0.1. */
static int listener_at(int port, int backlog)
{
	int fd = lq_bound(AF_INET, "127.0.0.1", port);

	lq_listen(fd, backlog);
	return fd;
}

static void check_listener(struct __test_metadata *_metadata, int fd,
			   const char *rule, long long limit)
{
	EXPECT_STREQ(rule, lq_str(fd, "rule"));
	EXPECT_EQ(limit, lq_num(fd, "limit"));
}

TEST_F(clamp, mode_of_the_file)
{
	struct stat st;

	ASSERT_EQ(0, stat(LQ_CLAMP, &st));
	EXPECT_EQ(S_IFREG | 0644, (int)st.st_mode);
	EXPECT_EQ(0, (int)st.st_uid);
	check_text(_metadata, "");
}

TEST_F(clamp, grammar)
{
	static const struct {
		const char *written;
		const char *printed;
	} accepted[] = {
		{ "* somaxconn 5\n", "* somaxconn 5\n" },
		{ "80 somaxconn 4096 floor 100\n",
		  "80 somaxconn 4096 floor 100\n" },
		{ "80-90 floor 7\n", "80-90 floor 7\n" },
		{ "80 force 9\n", "80 force 9\n" },
		/* The ends of what a number can be. */
		{ "1 force 0\n", "1 force 0\n" },
		{ "65535 floor 0\n", "65535 floor 0\n" },
		{ "* somaxconn 0 floor 0\n", "* somaxconn 0 floor 0\n" },
		{ "* force 2147483647\n", "* force 2147483647\n" },
		{ "* somaxconn 2147483647 floor 2147483647\n",
		  "* somaxconn 2147483647 floor 2147483647\n" },
		/* Blanks, tabs and leading zeros; no end of the last line. */
		{ "\t 80  \tsomaxconn\t5   floor\t\t6 \t\n",
		  "80 somaxconn 5 floor 6\n" },
		{ "00080-0090 force 000010\n", "80-90 force 10\n" },
		{ "80 force 9", "80 force 9\n" },
		{ "80 force 9\n90 force 10", "80 force 9\n90 force 10\n" },
		/* What holds no rule. */
		{ "\n", "" },
		{ " \t\n\n", "" },
		{ "#\n", "" },
		{ "# 80 force 9\n\t # 90 force 9\n\n\n80 force 1\n\n",
		  "80 force 1\n" },
		{ "flush\n", "" },
		{ " flush", "" },
		/* One port is one port, and all of them aren't "*". */
		{ "80-80 force 9\n", "80 force 9\n" },
		{ "80-80 force 9\n80 force 8\n", "80 force 8\n" },
		{ "* force 1\n1-65535 force 2\n",
		  "1-65535 force 2\n* force 1\n" },
		/* A selector's new rule takes the old one's place whole. */
		{ "80 somaxconn 5 floor 3\n80 somaxconn 6\n",
		  "80 somaxconn 6\n" },
		{ "80 somaxconn 5\n80 floor 3\n", "80 floor 3\n" },
		{ "80 force 5\n80 somaxconn 6\n", "80 somaxconn 6\n" },
		/* Line by line: cleared and flushed are what stood above. */
		{ "80 force 1\n90 force 2\n80 clear\n", "90 force 2\n" },
		{ "80 force 1\n80-80 clear\n80 force 3\n", "80 force 3\n" },
		{ "80 force 1\n* force 2\nflush\n90 force 3\n",
		  "90 force 3\n" },
		{ "80-90 force 1\nflush\n85-95 force 2\n",
		  "85-95 force 2\n" },
		/* By precedence; equally wide ones by their ports. */
		{ "* force 1\n70-99 force 2\n1-65535 force 3\n80-90 force 4\n"
		  "80 force 5\n", "80 force 5\n80-90 force 4\n70-99 force 2\n"
		  "1-65535 force 3\n* force 1\n" },
		{ "9000 force 1\n80 force 2\n443 force 3\n",
		  "80 force 2\n443 force 3\n9000 force 1\n" },
		{ "100-109 force 1\n20-29 force 2\n1000-1009 force 3\n",
		  "20-29 force 2\n100-109 force 1\n1000-1009 force 3\n" },
		/* Nested ranges may begin or end together. */
		{ "80-90 force 1\n80-85 force 2\n86-90 force 3\n",
		  "86-90 force 3\n80-85 force 2\n80-90 force 1\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		ASSERT_EQ(0, lq_clamp("flush"));
		EXPECT_EQ(0, lq_clamp(accepted[i].written)) {
			TH_LOG("'%s' was refused", accepted[i].written);
		}
		check_text(_metadata, accepted[i].printed);
	}
}

/* A write adds to what is there, unless it begins with flush. */
TEST_F(clamp, writes_add_and_flush_replaces)
{
	int fd = open_clamp(O_WRONLY);

	/* A program that keeps the file open makes one write a change. */
	ASSERT_EQ(0, write_text(fd, "80 force 1\n"));
	ASSERT_EQ(0, write_text(fd, "* somaxconn 2\n"));
	check_text(_metadata, "80 force 1\n* somaxconn 2\n");
	ASSERT_EQ(0, write_text(fd, "80 force 3\n"));
	check_text(_metadata, "80 force 3\n* somaxconn 2\n");
	ASSERT_EQ(0, write_text(fd, "80 clear\n90 floor 4\n"));
	check_text(_metadata, "90 floor 4\n* somaxconn 2\n");
	ASSERT_EQ(0, write_text(fd, "# new\nflush\n7 force 5\n"));
	check_text(_metadata, "7 force 5\n");
	ASSERT_EQ(0, write_text(fd, "flush"));
	check_text(_metadata, "");
	close(fd);
}

/* What a shell's redirection does to a file: O_TRUNC, and O_APPEND. */
TEST_F(clamp, by_a_shell)
{
	ASSERT_EQ(0, lq_run("echo '80 force 1' >" LQ_CLAMP));
	ASSERT_EQ(0, lq_run("echo '90 force 2' >>" LQ_CLAMP));
	check_text(_metadata, "80 force 1\n90 force 2\n");
	ASSERT_EQ(0, lq_run("cat >" LQ_CLAMP " <<-END\n"
			    "# two\nflush\n81 force 1\n82 force 2\nEND"));
	check_text(_metadata, "81 force 1\n82 force 2\n");
	EXPECT_NE(0, lq_run("(echo '80 farce 1' >" LQ_CLAMP ") 2>/dev/null"));
	check_refused(_metadata, "81 force 1\n82 force 2\n", "line 1: ",
		      "farce");
}

/* What is read can be written, and changes nothing. */
TEST_F(clamp, round_trip)
{
	static const char rules[] =
		"80 force 3\n8080 somaxconn 10 floor 6\n80-90 floor 5\n"
		"1-65535 somaxconn 2147483647\n* somaxconn 7\n";
	char path[] = "/tmp/listenq-test-XXXXXX";
	char command[256], *text;
	int fd = listener_at(8080, 4);

	ASSERT_EQ(0, lq_clamp(rules));
	check_listener(_metadata, fd, "8080", 6);
	/* The last time with the line about an error, which is a comment. */
	for (int i = 0; i < 3; i++) {
		if (i == 2) {
			ASSERT_EQ(EINVAL, lq_clamp("8080 foorce 9\n"));
			check_refused(_metadata, rules, "line 1: ", "foorce");
		}
		text = lq_clamp_text();
		ASSERT_EQ(0, lq_clamp(text));
		free(text);
		check_text(_metadata, rules);
		check_listener(_metadata, fd, "8080", 6);
	}

	/* As people do it. */
	close(mkstemp(path));
	snprintf(command, sizeof(command),
		 "cat " LQ_CLAMP " >%s && cat %s >" LQ_CLAMP, path, path);
	EXPECT_EQ(0, lq_run(command));
	unlink(path);
	check_text(_metadata, rules);
	check_listener(_metadata, fd, "8080", 6);
}

#define RULES	"8080 force 3\n80-90 somaxconn 4 floor 2\n* floor 1\n"

struct refused {
	const char *line;
	int error;
	const char *word;
};

/* The word is "" where it is one that isn't there. */
static const struct refused refused[] = {
	{ "80", EINVAL, "" },
	{ "80 somaxconn", EINVAL, "" },
	{ "80 floor", EINVAL, "" },
	{ "80 force", EINVAL, "" },
	{ "80 somaxconn 5 floor", EINVAL, "" },
	{ "80 backlog 5", EINVAL, "backlog" },
	{ "80 FORCE 5", EINVAL, "FORCE" },
	{ "80 forces 5", EINVAL, "forces" },
	{ "80 clear 54321", EINVAL, "54321" },
	{ "80 force 5 54321", EINVAL, "54321" },
	{ "80 force 5 floor 6", EINVAL, "floor" },
	{ "80 floor 5 somaxconn 6", EINVAL, "somaxconn" },
	{ "80 floor 5 54321", EINVAL, "54321" },
	{ "80 somaxconn 5 roof 6", EINVAL, "roof" },
	{ "80 somaxconn 5 floor 6 54321", EINVAL, "54321" },
	{ "80 force 5 # a comment", EINVAL, "#" },
	{ "80 force five", EINVAL, "five" },
	{ "80 force 0x54", EINVAL, "0x54" },
	{ "80 force +54", EINVAL, "+54" },
	{ "80 force 54k", EINVAL, "54k" },
	{ "80 force 5.4", EINVAL, "5.4" },
	{ "80 force 54\r", EINVAL, "54" },
	{ "80 somaxconn five", EINVAL, "five" },
	{ "80 somaxconn 5 floor six", EINVAL, "six" },
	{ "80 floor six", EINVAL, "six" },
	{ "flush now", EINVAL, "now" },
	{ "flushed", EINVAL, "flushed" },
	{ "clear", EINVAL, "clear" },
	{ "eighty force 5", EINVAL, "eighty" },
	{ "80- force 5", EINVAL, "80-" },
	{ "80-90-99 force 5", EINVAL, "80-90-99" },
	{ "80 - 90 force 5", EINVAL, "-" },
	{ "80,90 force 5", EINVAL, "80,90" },
	{ "** force 5", EINVAL, "**" },
	{ "*-90 force 5", EINVAL, "*-90" },
	{ "90-80 force 5", EINVAL, "90-80" },
	{ "90-80 clear", EINVAL, "90-80" },
	{ "0 force 5", ERANGE, "0" },
	{ "0-54 force 5", ERANGE, "0" },
	{ "54-65536 force 5", ERANGE, "65536" },
	{ "65536 force 5", ERANGE, "65536" },
	{ "65536 clear", ERANGE, "65536" },
	/* 2^16 + 80, 2^32 + 80 and 2^64 + 80 aren't 80. */
	{ "65616 force 5", ERANGE, "65616" },
	{ "4294967376 force 5", ERANGE, "4294967376" },
	{ "18446744073709551696 force 5", ERANGE, "18446744073709551696" },
	{ "80 force 2147483648", ERANGE, "2147483648" },
	{ "80 floor 2147483648", ERANGE, "2147483648" },
	{ "80 somaxconn 2147483648", ERANGE, "2147483648" },
	{ "80 somaxconn 5 floor 2147483648", ERANGE, "2147483648" },
	{ "80 force 4294967301", ERANGE, "4294967301" },
	{ "80 force 18446744073709551621", ERANGE, "18446744073709551621" },
	{ "80 force -1", ERANGE, "-1" },
	{ "80 floor -1", ERANGE, "-1" },
	{ "80 somaxconn -1", ERANGE, "-1" },
	{ "80 somaxconn 5 floor -1", ERANGE, "-1" },
	{ "85-95 force 5", EEXIST, "85-95" },
	{ "70-80 force 5", EEXIST, "70-80" },
	{ "90-91 somaxconn 5", EEXIST, "90-91" },
	{ "81 clear", ENOENT, "81" },
	{ "80 clear", ENOENT, "80" },
	{ "80-91 clear", ENOENT, "80-91" },
	{ "1-65535 clear", ENOENT, "1-65535" },
};

/*
 * Each has its errno, is told by line and word, and takes the good lines
 * around it along: the rules, and what they do, stay as they are.
 */
TEST_F(clamp, errors)
{
	int fd = listener_at(8080, 4);

	ASSERT_EQ(0, lq_clamp(RULES));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "8080 force 7\n\n \t# fine\n%s\n9 force 9\n",
			 refused[i].line);
		EXPECT_EQ(refused[i].error, lq_clamp(text)) {
			TH_LOG("'%s'", refused[i].line);
		}
		check_refused(_metadata, RULES, "line 4: ", refused[i].word);
	}
	check_listener(_metadata, fd, "8080", 3);
	ASSERT_EQ(0, lq_clamp("8080 force 8"));
	check_listener(_metadata, fd, "8080", 8);
	check_text(_metadata,
		   "8080 force 8\n80-90 somaxconn 4 floor 2\n* floor 1\n");
}

/* A refused write didn't flush either, nor clear. */
TEST_F(clamp, all_or_nothing)
{
	int fd;

	ASSERT_EQ(0, lq_clamp(RULES));
	fd = listener_at(85, 100);
	check_listener(_metadata, fd, "80-90", 4);
	EXPECT_EQ(EINVAL, lq_clamp("flush\n85 force 1\n85 farce 2\n"));
	check_refused(_metadata, RULES, "line 3: ", "farce");
	EXPECT_EQ(ENOENT, lq_clamp("80-90 clear\n* clear\n80-90 clear\n"));
	check_refused(_metadata, RULES, "line 3: ", "80-90");
	/* It is the first error that counts, and the latest that is shown. */
	EXPECT_EQ(ERANGE, lq_clamp("0 force 1\n85 farce 2\n"));
	check_refused(_metadata, RULES, "line 1: ", "0");
	/* Against what the write itself has made of the rules. */
	EXPECT_EQ(EEXIST, lq_clamp("flush\n100-200 force 1\n"
				   "150-250 force 2\n"));
	check_refused(_metadata, RULES, "line 3: ", "150-250");
	EXPECT_EQ(ENOENT, lq_clamp("flush\n* clear\n"));
	check_refused(_metadata, RULES, "line 2: ", "*");
	check_listener(_metadata, fd, "80-90", 4);

	EXPECT_EQ(0, lq_clamp("80-90 clear\n85-95 force 6\n"));
	check_listener(_metadata, fd, "85-95", 6);
	check_text(_metadata, "8080 force 3\n85-95 force 6\n* floor 1\n");
}

/* The line goes with the next write that is taken, whatever that holds. */
TEST_F(clamp, success_takes_the_last_error_away)
{
	static const char * const taken[] = {
		"80 force 1\n", "# nothing\n", "\n", "80 clear\n", "flush\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		char *text = lq_clamp_text();

		ASSERT_EQ(EINVAL, lq_clamp("80 farce 1\n"));
		check_refused(_metadata, text, "line 1: ", "farce");
		free(text);
		ASSERT_EQ(0, lq_clamp(taken[i]));
		text = lq_clamp_text();
		EXPECT_EQ(NULL, strchr(text, '#'));
		free(text);
	}
}

/* A write of no bytes is no write; the error is one namespace's. */
TEST_F(clamp, nothing_to_write)
{
	ASSERT_EQ(0, lq_clamp("80 force 1\n"));
	ASSERT_EQ(0, lq_clamp(""));
	check_text(_metadata, "80 force 1\n");
	/* Nor one that was taken, which would take the error away. */
	ASSERT_EQ(EINVAL, lq_clamp("80 farce 1\n"));
	ASSERT_EQ(0, lq_clamp(""));
	check_refused(_metadata, "80 force 1\n", "line 1: ", "farce");
	lq_new_netns();
	check_text(_metadata, "");
}

/* Memory that isn't there is the caller's own error. */
TEST_F(clamp, unreadable_memory)
{
	void *mem = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, lq_clamp("80 force 1\n"));
	EXPECT_EQ(EFAULT, clamp_bytes(mem, 10));
	check_text(_metadata, "80 force 1\n");
}

/* @len bytes in comments, and @rule as the last line. */
static char *long_text(size_t len, size_t line, const char *rule)
{
	char *text = malloc(len + 1);

	if (!text)
		err(1, "malloc");
	memset(text, 'x', len);
	for (size_t i = 0; i < len; i += line) {
		if (i)
			text[i - 1] = '\n';
		text[i] = '#';
	}
	text[len] = '\0';
	text[len - strlen(rule) - 1] = '\n';
	memcpy(text + len - strlen(rule), rule, strlen(rule));
	return text;
}

/* Refused for its length: no line is to blame, and none was taken. */
static void check_too_long(struct __test_metadata *_metadata, char *text,
			   const char *rules)
{
	EXPECT_EQ(E2BIG, lq_clamp(text));
	free(text);
	check_refused(_metadata, rules, "", "");
	text = lq_clamp_text();
	EXPECT_EQ(NULL, strstr(text, LAST_ERROR "line"));
	free(text);
}

TEST_F(clamp, length)
{
	static const size_t lines[] = { 2 * MOST_BYTES, 64 };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char *text = long_text(MOST_BYTES, lines[i], "80 force 1\n");

		ASSERT_EQ(MOST_BYTES, strlen(text));
		ASSERT_EQ(0, lq_clamp("flush"));
		EXPECT_EQ(0, lq_clamp(text));
		free(text);
		check_text(_metadata, "80 force 1\n");
		check_too_long(_metadata,
			       long_text(MOST_BYTES + 1, lines[i],
					 "80 force 2\n"),
			       "80 force 1\n");
	}
	/* Far more than could be taken in by mistake. */
	check_too_long(_metadata,
		       long_text(64 * MOST_BYTES, 64, "80 force 2\n"),
		       "80 force 1\n");
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_text(_metadata, "");
}

/* A NUL is no end of anything. */
TEST_F(clamp, nul_bytes)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *where;
	} nuls[] = {
		{ "\0", 1, "line 1: " },
		{ "80 force 2\0", 11, "line 1: " },
		{ "80 force 2\n\0", 12, "line 2: " },
		{ "80 force 2\0\n", 12, "line 1: " },
		{ "80 force\0 2\n", 12, "line 1: " },
		{ "80\0force 2\n", 11, "line 1: " },
		{ "\00080 force 2\n", 12, "line 1: " },
	};

	ASSERT_EQ(0, lq_clamp("80 force 1\n"));
	for (size_t i = 0; i < ARRAY_SIZE(nuls); i++) {
		EXPECT_EQ(EINVAL, clamp_bytes(nuls[i].bytes, nuls[i].len));
		check_refused(_metadata, "80 force 1\n", nuls[i].where, "");
	}
}

/* A word is shown so that it does nothing to a terminal, and not at length. */
TEST_F(clamp, strange_words)
{
	static const char * const words[] = {
		"\033[2J", "caf\303\251", "\177", "a\vb", "\377\376",
	};
	char text[MOST_BYTES / 2];

	ASSERT_EQ(0, lq_clamp("80 force 1\n"));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(text, sizeof(text), "80 %s 2\n", words[i]);
		EXPECT_EQ(EINVAL, lq_clamp(text));
		check_refused(_metadata, "80 force 1\n", "line 1: ", "");
		snprintf(text, sizeof(text), "%s force 2\n", words[i]);
		EXPECT_EQ(EINVAL, lq_clamp(text));
		check_refused(_metadata, "80 force 1\n", "line 1: ", "");
	}

	for (int digits = 0; digits < 2; digits++) {
		char *shown;

		memset(text, digits ? '9' : 'z', sizeof(text) - 1);
		memcpy(text, "80 force ", 9);
		text[sizeof(text) - 1] = '\0';
		EXPECT_EQ(digits ? ERANGE : EINVAL, lq_clamp(text));
		check_refused(_metadata, "80 force 1\n", "line 1: ",
			      digits ? "9999" : "zzzz");
		shown = lq_clamp_text();
		EXPECT_GT(512, strlen(shown));
		free(shown);
	}
	/* Zeros before a number are none of its size. */
	memset(text, '0', sizeof(text) - 1);
	memcpy(text, "80 force ", 9);
	text[sizeof(text) - 2] = '5';
	EXPECT_EQ(0, lq_clamp(text));
	check_text(_metadata, "80 force 5\n");
}

/* How many new lines of the log are about rules; the last of them. */
static int read_clamp_log(int log, char *last, size_t size)
{
	char text[1024];
	int count = 0;

	while (lq_read_log(log, text, sizeof(text))) {
		if (strncmp(text, "listenq: clamp", 14))
			continue;
		snprintf(last, size, "%s", text);
		count++;
	}
	return count;
}

static void become_other_user(void)
{
	lq_become_user(OTHER_UID);
}

static int clamp_as(void (*become)(void), const char *text)
{
	return lq_write_as(become, LQ_CLAMP, text);
}

/*
 * One line in the kernel's log, of this namespace. The log takes a few lines
 * in some seconds only, so what isn't there is tried again.
 */
TEST_F(clamp, kernel_log)
{
	static const struct {
		const char *text;
		int error;
		const char *where;
		const char *word;
	} logged[] = {
		{ "80 force 1\n80 farce 2\n", EINVAL, "line 2", "farce" },
		{ "80-90 force 1\n\n85-95 force 2", EEXIST, "line 3", "85-95" },
		{ NULL, E2BIG, "", "" },
	};
	char *text = long_text(MOST_BYTES + 1, 64, "80 force 1\n");
	int log = lq_open_log(), most = 0, of_denied = 0;
	char net[64], last[1024] = "";

	if (log < 0)
		SKIP(return, "the kernel log can't be read");
	snprintf(net, sizeof(net), "net:[%lu]", lq_netns_inode());

	for (size_t i = 0; i < ARRAY_SIZE(logged); i++) {
		const char *written = logged[i].text ?: text;
		int error = 0, count;

		EXPECT_TRUE(lq_wait_until(({
			error = lq_clamp(written);
			count = read_clamp_log(log, last, sizeof(last));
			most = count > most ? count : most;
			count == 1;
		})));
		EXPECT_EQ(logged[i].error, error);
		EXPECT_NE(NULL, strstr(last, net));
		EXPECT_NE(NULL, strstr(last, logged[i].where));
		EXPECT_NE(NULL, strstr(last, logged[i].word));
	}
	/* Never more than one; and none where nothing was refused. */
	EXPECT_EQ(1, most);
	EXPECT_EQ(0, lq_clamp("80 force 1\n"));
	EXPECT_EQ(0, lq_clamp(""));
	EXPECT_EQ(0, read_clamp_log(log, last, sizeof(last)));

	/* Nor for those who may not write, while there is room in the log. */
	EXPECT_TRUE(lq_wait_until(({
		EXPECT_EQ(EPERM, clamp_as(lq_drop_net_admin, "80 farce 2\n"));
		of_denied += read_clamp_log(log, last, sizeof(last));
		EXPECT_EQ(EINVAL, lq_clamp("80 farce 2\n"));
		read_clamp_log(log, last, sizeof(last)) == 1;
	})));
	EXPECT_EQ(0, of_denied);
	free(text);
	close(log);
}

/* Root of this namespace or not: it takes CAP_NET_ADMIN over the host. */
TEST_F(clamp, without_the_capability)
{
	ASSERT_EQ(0, lq_clamp("80 force 1\n"));
	EXPECT_EQ(EPERM, clamp_as(lq_drop_net_admin, "80 force 2\n"));
	check_text(_metadata, "80 force 1\n");
	/* That comes before the grammar, and leaves no line. */
	EXPECT_EQ(EPERM, clamp_as(lq_drop_net_admin, "80 farce 2\n"));
	check_text(_metadata, "80 force 1\n");
	/* The file's mode keeps everybody else away. */
	EXPECT_EQ(EACCES, clamp_as(become_other_user, "80 force 2\n"));
	check_text(_metadata, "80 force 1\n");
	/* And an error that is there stays, as what was refused last. */
	EXPECT_EQ(EINVAL, lq_clamp("80 farce 1\n"));
	EXPECT_EQ(EPERM, clamp_as(lq_drop_net_admin, "flush\n"));
	check_refused(_metadata, "80 force 1\n", "line 1: ", "farce");
}

/* Who has the file open and who writes may be two: the opener counts. */
TEST_F(clamp, the_opener_counts)
{
	int *error = lq_shared(sizeof(*error));
	int fd = open_clamp(O_WRONLY);
	pid_t pid;

	pid = lq_fork();
	if (!pid) {
		become_other_user();
		*error = write_text(fd, "80 force 2\n") ?: -1;
		_exit(0);
	}
	ASSERT_EQ(0, lq_reap(pid));
	EXPECT_EQ(-1, *error);
	check_text(_metadata, "80 force 2\n");
}

/* What an open file has, from its beginning. */
static void check_open(struct __test_metadata *_metadata, int fd,
		       const char *rules)
{
	char text[4096];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	ASSERT_LE(0, len);
	text[len] = '\0';
	EXPECT_STREQ(rules, text);
}

/*
 * A container's root has the file for its own and can open it; what it may
 * not, nobody can do for it by what it has opened. The host's root can.
 */
TEST_F(clamp, root_of_a_user_namespace)
{
	struct {
		int fd;
		int error;
	} *root = lq_shared(sizeof(*root));
	int fd, theirs, net;
	char path[64];
	pid_t pid = lq_fork_ready();

	if (!pid) {
		/* Whose network namespace's files belong to that root. */
		lq_enter_container(OTHER_UID);
		root->fd = open_clamp(O_RDWR);
		root->error = write_text(root->fd, "* somaxconn 1\n");
		lq_stay();
	}
	if (pid < 0)
		SKIP(return, "users may make no user namespaces here");
	theirs = lq_take_fd(pid, root->fd);
	ASSERT_LE(0, theirs);
	EXPECT_EQ(EPERM, root->error);
	EXPECT_EQ(EPERM, write_text(theirs, "* somaxconn 2\n"));
	EXPECT_EQ(EPERM, write_text(theirs, "* farce 2\n"));
	check_open(_metadata, theirs, "");

	/* The way into a container from outside. */
	snprintf(path, sizeof(path), "/proc/%d/net/listenq/clamp", pid);
	fd = open(path, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, write_text(fd, "* somaxconn 3\n"));
	close(fd);
	check_open(_metadata, theirs, "* somaxconn 3\n");
	check_text(_metadata, "");
	EXPECT_EQ(EPERM, write_text(theirs, "flush\n"));

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	net = open(path, O_RDONLY);
	ASSERT_LE(0, net);
	lq_enter_netns(net);
	check_text(_metadata, "* somaxconn 3\n");
	check_listener(_metadata, lq_listener(AF_INET, 50), "*", 3);
	lq_kill(pid);
}

/* Each namespace has rules of its own, for its own listeners alone. */
TEST_F(clamp, namespaces)
{
	int clamp_here = open_clamp(O_RDWR), clamp_there;
	int net_here = lq_netns(), net_there, here, there, late;

	here = listener_at(8080, 100);
	late = lq_bound(AF_INET, "127.0.0.1", 8081);
	ASSERT_EQ(0, lq_clamp("8080 force 3\n* somaxconn 20\n"));
	check_listener(_metadata, here, "8080", 3);

	lq_new_netns();
	lq_set_somaxconn(SOMAXCONN_HERE);
	net_there = lq_netns();
	clamp_there = open_clamp(O_RDWR);
	check_text(_metadata, "");
	there = listener_at(8080, 100);
	check_listener(_metadata, there, "-", 100);
	ASSERT_EQ(0, lq_clamp("8080 force 4\n"));
	check_listener(_metadata, there, "8080", 4);
	check_text(_metadata, "8080 force 4\n");

	/* By a file that is open, the rules are those it was opened for. */
	check_open(_metadata, clamp_here, "8080 force 3\n* somaxconn 20\n");
	ASSERT_EQ(0, write_text(clamp_here, "8080 force 5\n"));
	EXPECT_EQ(EINVAL, write_text(clamp_here, "8080 farce 5\n"));
	check_text(_metadata, "8080 force 4\n");
	check_listener(_metadata, there, "8080", 4);
	/* It is the socket's namespace that counts, not its program's. */
	lq_listen(late, 100);
	lq_listen(here, 90);

	lq_enter_netns(net_here);
	check_refused(_metadata, "8080 force 5\n* somaxconn 20\n", "line 1: ",
		      "farce");
	check_listener(_metadata, here, "8080", 5);
	check_listener(_metadata, late, "*", 20);
	ASSERT_EQ(0, write_text(clamp_there, "flush\n"));
	check_listener(_metadata, here, "8080", 5);
	ASSERT_EQ(0, lq_clamp("flush\n"));
	check_listener(_metadata, here, "-", 90);
	check_listener(_metadata, late, "-", 100);

	lq_enter_netns(net_there);
	check_text(_metadata, "");
	check_listener(_metadata, there, "-", 100);
}

#define LISTENERS	60

struct listener {
	int fd;
	int asked;
};

/* Rules drawn by chance, and what they are together. */
struct reference {
	unsigned int seed;
	int count;
	struct rule drawn[MOST_RULES];
	struct model model;
	struct listener listeners[LISTENERS];
};

static int below(struct reference *ref, int bound)
{
	return rand_r(&ref->seed) % bound;
}

static void draw_verb(struct reference *ref, struct rule *rule)
{
	int verb = below(ref, 4);

	rule->somaxconn = verb <= 1 ? below(ref, 300) : -1;
	rule->floor = verb == 1 || verb == 2 ? below(ref, 300) : -1;
	rule->force = verb == 3 ? below(ref, 300) : -1;
}

/* One more rule, often inside another one. */
static void draw_rule(struct reference *ref)
{
	struct rule rule;
	int wide, room;

	draw_verb(ref, &rule);
	do {
		const struct rule *around =
			&ref->drawn[below(ref, 3) ? below(ref, ref->count) : 0];

		rule.first = around->first ?: 1;
		room = around->last - rule.first + 1;
		wide = 1 + below(ref, (room >> below(ref, 10)) + 1);
		if (wide > room)
			wide = room;
		rule.first += below(ref, room - wide + 1);
		rule.last = rule.first + wide - 1;
	} while (model_find(&ref->model, &rule) >= 0 ||
		 model_set(&ref->model, &rule));
	ref->drawn[ref->count++] = rule;
}

/* @count rules, of which "*" is the first. */
static struct reference *draw_rules(int seed, int count)
{
	struct reference *ref = lq_shared(sizeof(*ref));

	ref->seed = seed;
	ref->drawn[0] = (struct rule){ .first = 0, .last = 65535 };
	draw_verb(ref, &ref->drawn[0]);
	model_set(&ref->model, &ref->drawn[0]);
	ref->count = 1;
	while (ref->count < count)
		draw_rule(ref);
	return ref;
}

/* Inside of a rule, or anywhere. */
static void draw_listener(struct reference *ref, int number)
{
	static const int asked[] = { -1, 0, 5, 100, 250, INT_MAX };
	struct listener *listener = &ref->listeners[number];
	int port;
	bool taken;

	do {
		const struct rule *rule =
			&ref->drawn[number % 3 ? below(ref, ref->count) : 0];
		int first = rule->first ?: 1;

		port = first + below(ref, rule->last - first + 1);
		taken = false;
		for (int i = 0; i < number; i++)
			taken |= lq_port(ref->listeners[i].fd) == port;
	} while (taken);
	listener->asked = asked[number % ARRAY_SIZE(asked)];
	listener->fd = lq_bound(AF_INET, "127.0.0.1", port);
}

/* The file's text; and of the first @count listeners, rule, limit, Send-Q. */
static void check_against(struct __test_metadata *_metadata,
			  const struct reference *ref, int count)
{
	struct lq_table *table = lq_read(LQ_SOCKETS);
	struct lq_ss shown[LISTENERS];

	check_text(_metadata, model_text(&ref->model));
	ASSERT_EQ(count, table->nrows);
	ASSERT_EQ(count, lq_ss_listeners(shown, LISTENERS));
	for (int i = 0; i < count; i++) {
		int fd = ref->listeners[i].fd, asked = ref->listeners[i].asked;
		unsigned int most = SOMAXCONN_HERE;
		int granted = (unsigned int)asked < most ? asked : most;
		const struct lq_ss *ss = lq_ss_find(shown, count,
						    lq_cookie(fd));

		EXPECT_TRUE(model_row_agrees(&ref->model, table, fd, asked,
					     granted));
		ASSERT_NE(NULL, ss);
		EXPECT_EQ(model_limit(&ref->model, lq_port(fd), asked, granted),
			  ss->sendq);
	}
	lq_free(table);
}

static int write_rules(const struct rule *rules, int count)
{
	return lq_clamp(print_rules(rules, count));
}

/* A port without a rule of its own. */
static int free_port(const struct reference *ref)
{
	struct rule rule = { };

	do
		rule.last = ++rule.first;
	while (model_find(&ref->model, &rule) >= 0);
	return rule.first;
}

TEST_F(clamp, precedence_among_as_many_as_there_can_be)
{
	struct reference *ref = draw_rules(1, MOST_RULES);
	int half = MOST_RULES / 2, port = free_port(ref);
	struct rule *later = &ref->drawn[half];
	static char clear[MOST_BYTES];
	char *to = clear, *text;

	for (int i = 0; i < LISTENERS; i++)
		draw_listener(ref, i);

	/* Some listen before there are rules, some after. */
	for (int i = 0; i < LISTENERS / 2; i++)
		lq_listen(ref->listeners[i].fd, ref->listeners[i].asked);
	ASSERT_EQ(0, write_rules(ref->drawn, ref->count));
	check_against(_metadata, ref, LISTENERS / 2);
	for (int i = LISTENERS / 2; i < LISTENERS; i++)
		lq_listen(ref->listeners[i].fd, ref->listeners[i].asked);
	check_against(_metadata, ref, LISTENERS);

	/* What is read is what was written, and can be written again. */
	text = lq_clamp_text();
	ASSERT_EQ(0, lq_clamp(text));
	check_text(_metadata, text);

	/* Not one more; but another one in the place of one. */
	EXPECT_EQ(ENOSPC, lq_clampf("%d force 9\n", port));
	check_refused(_metadata, text, "line 1: ", "");
	free(text);
	draw_verb(ref, later);
	model_set(&ref->model, later);
	ASSERT_EQ(0, write_rules(later, 1));
	check_against(_metadata, ref, LISTENERS);

	/* The later half goes, comes back with one too many, comes back. */
	for (int i = 0; i < half; i++) {
		to += print_selector(to, 16, &later[i]);
		to += sprintf(to, " clear\n");
		model_clear(&ref->model, &later[i]);
	}
	ASSERT_EQ(0, lq_clamp(clear));
	check_against(_metadata, ref, LISTENERS);
	text = print_rules(later, half);
	sprintf(text + strlen(text), "%d force 9\n", port);
	EXPECT_EQ(ENOSPC, lq_clamp(text));
	check_refused(_metadata, model_text(&ref->model), "line 513: ", "");
	ASSERT_EQ(0, write_rules(later, half));
	for (int i = 0; i < half; i++)
		model_set(&ref->model, &later[i]);
	check_against(_metadata, ref, LISTENERS);

	ASSERT_EQ(0, lq_clamp("flush"));
	ref->model.count = 0;
	check_against(_metadata, ref, LISTENERS);
}

/* A reader that takes a few bytes at a time gets what a single read gives. */
TEST_F(clamp, read_in_chunks)
{
	struct reference *ref = draw_rules(2, MOST_RULES / 2);
	char *text, *parts;
	size_t len = 0;
	ssize_t n;
	int fd;

	ASSERT_EQ(0, write_rules(ref->drawn, ref->count));
	ASSERT_EQ(EINVAL, lq_clamp("80 farce 1\n"));

	text = lq_clamp_text();
	check_refused(_metadata, model_text(&ref->model), "line 1: ", "farce");
	parts = calloc(1, strlen(text) + 8);
	ASSERT_NE(NULL, parts);
	fd = open_clamp(O_RDONLY);
	while ((n = read(fd, parts + len, 7)) > 0) {
		len += n;
		ASSERT_LE(len, strlen(text));
	}
	EXPECT_EQ(0, n);
	EXPECT_STREQ(text, parts);
	close(fd);
	free(parts);
	free(text);
}

/*
 * The rule that the module is loaded with: taken out and in again, and in the
 * kernel afterwards if it was before.
 */
FIXTURE(parameter)
{
	bool loaded;
	int outside;
};

FIXTURE_SETUP(parameter)
{
	self->loaded = lq_loaded();
	self->outside = lq_netns();
	LQ_SETUP();
	LQ_SKIP_FOR(lq_module_path() ? NULL : "no module file: set LISTENQ_KO");
	lq_set_somaxconn(SOMAXCONN_HERE);
}

FIXTURE_TEARDOWN(parameter)
{
	/* As it was: without a rule that a test has loaded it with, too. */
	EXPECT_EQ(0, lq_restore(false));
	EXPECT_EQ(0, lq_restore(self->loaded));
}

/*
 * For all namespaces that there are, and will be. More than anybody's limit,
 * since it acts on the listeners of the machine too.
 */
TEST_F(parameter, a_rule_in_every_namespace)
{
	static const char rule[] = "* somaxconn 70000\n";
	int net = lq_netns(), fd, before;

	ASSERT_EQ(0, lq_unload());
	before = lq_listener(AF_INET, 5);
	ASSERT_EQ(0, lq_load_with("somaxconn=70000"));
	check_text(_metadata, rule);
	check_listener(_metadata, before, "*", 5);
	check_listener(_metadata, lq_listener(AF_INET, INT_MAX), "*", 70000);
	check_listener(_metadata, lq_listener(AF_INET, 6), "*", 6);
	lq_enter_netns(self->outside);
	check_text(_metadata, rule);

	lq_new_netns();
	lq_set_somaxconn(SOMAXCONN_HERE);
	check_text(_metadata, rule);
	fd = lq_listener(AF_INET, INT_MAX);
	check_listener(_metadata, fd, "*", 70000);
	EXPECT_EQ(SOMAXCONN_HERE, lq_num(fd, "granted"));

	/* It is a rule like any other: replaced, cleared, of one namespace. */
	ASSERT_EQ(0, lq_clamp("* somaxconn 20\n"));
	check_listener(_metadata, fd, "*", 20);
	ASSERT_EQ(0, lq_clamp("* clear\n"));
	check_text(_metadata, "");
	check_listener(_metadata, fd, "-", SOMAXCONN_HERE);
	EXPECT_EQ(ENOENT, lq_clamp("* clear\n"));
	lq_enter_netns(net);
	check_text(_metadata, rule);

	/* And gone with the module. */
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load());
	check_text(_metadata, "");
	check_listener(_metadata, before, "-", 5);
	lq_enter_netns(self->outside);
	check_text(_metadata, "");
	lq_new_netns();
	check_text(_metadata, "");
}

TEST_F(parameter, least_and_most)
{
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("somaxconn=0"));
	check_text(_metadata, "");
	lq_new_netns();
	check_text(_metadata, "");
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, lq_load_with("somaxconn=2147483647"));
	check_text(_metadata, "* somaxconn 2147483647\n");
	check_listener(_metadata, lq_listener(AF_INET, -1), "*", INT_MAX);
}

TEST_F(parameter, out_of_range)
{
	static const char * const parameters[] = {
		"somaxconn=2147483648", "somaxconn=4294967295",
		"somaxconn=4294967296", "somaxconn=18446744073709551623",
		"somaxconn=-1", "somaxconn=seven", "somaxconn=",
	};

	ASSERT_EQ(0, lq_unload());
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		int error = lq_load_with(parameters[i]);

		EXPECT_TRUE(error == ERANGE || error == EINVAL) {
			TH_LOG("%s: %s", parameters[i], strerror(error));
		}
		EXPECT_FALSE(lq_loaded());
		EXPECT_NE(0, access(LQ_CLAMP, F_OK));
	}
	/* None of them left anything behind. */
	ASSERT_EQ(0, lq_load());
	check_text(_metadata, "");
	check_listener(_metadata, lq_listener(AF_INET, 4), "-", 4);
}

TEST_HARNESS_MAIN
