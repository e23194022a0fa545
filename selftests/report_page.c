// SPDX-License-Identifier: GPL-2.0-only
/*
 * listenq report: a page that says what the table, explain, the histograms and log say,
 * that is HTML and XML whatever it is about, and that is written whole or not at all.
 * Of saved files, which need no module, and of two namespaces that are there.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "explanation.h"
#include "listenq.h"
#include "tool.h"

#define PAGE	"page.html"
#define REFUSED	"ago_ms local remote why limit acceptq synq cookie comm number\n"

/* What the pages that are drawn here have of each kind at most. */
#define CHARTS_MAX	24
#define REFUSALS_MAX	200

FIXTURE(page) { };

/* A listener with findings, one with none, and one of which little is known. */
FIXTURE_SETUP(page)
{
	LQ_SETUP_PLAIN();
	LQ_SKIP_FOR(enter_folder());
	write_sample();
	run("mkdir -p sys/kernel");
	write_text("sys/kernel/hostname", "web-03\n");
	write_text("version",
		   "Linux version 6.1.0-49-amd64 (who@where) (cc) #1 SMP Debian 6.1.174-1\n");
	write_text("net/listenq/refused", REFUSED
		   "60000 127.0.0.1:7001 203.0.113.7:40122 acceptq-syn 8 9 3 a1 all 15\n"
		   "1500 127.0.0.1:7001 203.0.113.250:9 acceptq-syn 8 9 4 a1 all 17\n"
		   "881 127.0.0.1:7002 [2001:db8::7]:1999 acceptq-ack 8 9 5 b2 idle 16\n");
}

FIXTURE_TEARDOWN(page)
{
	run("rm -rf %s", folder);
}

/* ---- the page as it is ---- */

/* The word behind which the tag or the attribute at @at ends. */
static size_t word_at(const char *at)
{
	size_t length = 0;

	while (isalnum((unsigned char)at[length]) || at[length] == '-')
		length++;
	return length;
}

/* A reference to a character, which are numbers here; its length, or 0. */
static size_t reference_at(const char *at)
{
	size_t digits = strncmp(at, "&#", 2) ? 0 : strspn(at + 2, "0123456789");

	return digits && at[2 + digits] == ';' ? 3 + digits : 0;
}

/* Text up to @end, which is none of what acts on a terminal or is markup. */
static const char *skip_text(const char *at, const char *end)
{
	static const char arrow[] = "→";

	while (*at && !strchr(end, *at))
		if (*at == '&' && reference_at(at))
			at += reference_at(at);
		else if (!strncmp(at, arrow, strlen(arrow)))
			at += strlen(arrow);
		else if ((*at >= ' ' && *at <= '~' && !strchr("&<", *at)) ||
			 strchr("\t\n", *at))
			at++;
		else
			return NULL;
	return at;
}

/* Attributes, each with a value in quotation marks, up to the end of a tag. */
static const char *skip_attributes(const char *at)
{
	while (at && *at == ' ') {
		at++;
		if (!word_at(at) || strncmp(at + word_at(at), "=\"", 2))
			return NULL;
		at = skip_text(at + word_at(at) + 2, "\"<\n");
		at = at && *at == '"' ? at + 1 : NULL;
	}
	return at;
}

/*
 * Whether the output is a page that an XML parser takes, too: from where it is not, or
 * NULL. All elements but those without content are ended, in order.
 */
static const char *malformed(void)
{
	static const char doctype[] = "<!DOCTYPE html>\n";
	const char *open[32], *at = output, *tag;
	size_t depth = 0, length;

	if (strncmp(at, doctype, strlen(doctype)))
		return at;
	at += strlen(doctype);
	while (at && *at) {
		if (*at != '<') {
			tag = at;
			at = skip_text(at, "<");
			if (!at)
				return tag;
			continue;
		}
		tag = at++;
		if (*at == '/') {
			length = word_at(++at);
			if (!depth || strncmp(open[--depth], at, length) ||
			    word_at(open[depth]) != length || at[length] != '>')
				return tag;
			at += length + 1;
			continue;
		}
		length = word_at(at);
		if (!length || depth == ARRAY_SIZE(open))
			return tag;
		open[depth++] = at;
		at = skip_attributes(at + length);
		if (!at)
			return tag;
		if (*at == '/') {
			depth--;
			at++;
		}
		if (*at++ != '>')
			return tag;
	}
	return depth ? open[depth - 1] : NULL;
}

/* Reads the page; and where there are others that judge it, these do, too. */
#define EXPECT_WELL_FORMED()						\
do {									\
	if (have("xmllint"))						\
		EXPECT_RUN(0, run("xmllint --noout " PAGE " 2>&1"));	\
	if (have("tidy"))						\
		EXPECT_OUTPUT("", run("tidy -e -q " PAGE " 2>&1"));	\
	EXPECT_EQ(0, run("cat " PAGE));					\
	EXPECT_EQ(NULL, malformed()) {					\
		TH_LOG("%.200s", malformed());				\
	}								\
} while (0)

#define EXPECT_PAGE(options)						\
do {									\
	EXPECT_RUN(DONE, tool("--proc . " options " report " PAGE));	\
	EXPECT_EQ(1, lines(output));					\
	EXPECT_WELL_FORMED();						\
} while (0)

/* The page without markup, as it is read, each run of blanks and line breaks as one. */
static const char *text_of_page(void)
{
	static char text[sizeof(output)];
	char *to = text;

	for (const char *at = strstr(output, "<body>"); at && *at; at++) {
		char c = *at;

		if (c == '<') {
			at = strchr(at, '>');
			c = ' ';
		} else if (reference_at(at)) {
			c = atoi(at + 2);
			at += reference_at(at) - 1;
		}
		if (isspace((unsigned char)c) && to > text && to[-1] == ' ')
			continue;
		*to++ = c == '\n' ? ' ' : c;
	}
	*to = '\0';
	return text;
}

static int count(const char *text)
{
	int count = 0;

	for (const char *at = output; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* The same in the section that is called @id, which has no other in it. */
static int count_in(const char *id, const char *text)
{
	char start[32];
	char *at, *end;
	int found;

	snprintf(start, sizeof(start), "<section id=\"%s\"", id);
	at = strstr(output, start);
	end = at ? strstr(at, "</section>") : NULL;
	if (!end)
		return -1;
	*end = '\0';
	for (found = 0; (at = strstr(at, text)); at++)
		found++;
	*end = '<';
	return found;
}

/* ---- what it says ---- */

TEST_F(page, listeners)
{
	EXPECT_PAGE("");
	EXPECT_EQ(3, count("<th scope=\"row\""));
	EXPECT_TRUE(says(">127.0.0.1:7001</a></th>"));
	EXPECT_TRUE(says(">127.0.0.1:7002</th>"));
	EXPECT_TRUE(says(">127.0.0.1:7003</th>"));
	/* Each column has a title, over one cell or two. */
	EXPECT_EQ(3 * (count_in("listeners", "<th scope=\"col\"") +
		       2 * count_in("listeners", "<th scope=\"colgroup\"")),
		  count_in("listeners", "<td") + 3);
	EXPECT_TRUE(strstr(text_of_page(), " web-03 "));
	EXPECT_TRUE(strstr(text_of_page(),
			   " 6.1.0-49-amd64 #1 SMP Debian 6.1.174-1 "));
	EXPECT_TRUE(strstr(text_of_page(), " Tool listenq "));
	EXPECT_EQ(1, count("<th scope=\"col\">SYNPEAK</th>"));
	/* Nothing is loaded, and nothing is run. */
	EXPECT_EQ(0, count("http://") + count("https://") + count("<script") +
		     count("src=") + count("url(") + count("@import"));
	EXPECT_TRUE(says("default-src 'none'"));
}

/* The value of the next key or string of JSON's at @*at, which is moved behind it. */
static char *next_string(const char **at)
{
	static char string[4096];
	char *to = string;

	*at = strchr(*at, '"');
	if (!*at)
		return NULL;
	for (++*at; **at != '"' && to < string + sizeof(string) - 1; ++*at) {
		*at += **at == '\\';
		*to++ = **at;
	}
	*to = '\0';
	++*at;
	return string;
}

/* The texts of explain -j, set apart by line breaks: all that people read. */
static char *texts_of_explain(void)
{
	static const char * const not[] = {
		"harm", "netns", "local", "cookie", "comm",
	};
	static char texts[1 << 16];
	char key[64] = "", *string;
	size_t length = 0, i;

	for (const char *at = output; (string = next_string(&at)); ) {
		if (*at == ':') {
			snprintf(key, sizeof(key), "%s", string);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(not); i++)
			if (!strcmp(not[i], key))
				break;
		if (i == ARRAY_SIZE(not))
			length += snprintf(texts + length,
					   sizeof(texts) - length, "%s\n",
					   string);
	}
	return texts;
}

/* Whatever explain says, the page says, and in that order. */
TEST_F(page, findings)
{
	char names[1024], in_page[1024] = "", *texts, *line;
	const char *text, *at;
	size_t length = 0;

	/* Two listeners have findings, one of them two. */
	change_sample("sockets", "NR == 3 { $12 = 9; $14 = 5000 } 1");
	EXPECT_RUN(WRONG, tool("--proc . explain -j"));
	strcpy(names, found());
	EXPECT_TRUE(strchr(names, ' '));
	texts = texts_of_explain();
	EXPECT_LT(12, lines(texts));

	EXPECT_PAGE("");
	text = text_of_page();
	for (line = strtok(texts, "\n"); line; line = strtok(NULL, "\n"))
		EXPECT_NE(NULL, strstr(text, line)) {
			TH_LOG("%s", line);
		}
	for (at = strstr(output, "id=\"findings\""); at;) {
		at = strstr(at, "<code>[");
		if (!at)
			break;
		at += strlen("<code>[");
		length += snprintf(in_page + length, sizeof(in_page) - length,
				   "%s%.*s", length ? " " : "",
				   (int)strcspn(at, "]"), at);
	}
	EXPECT_STREQ(names, in_page);
	/* They stand before all else, and their listeners lead to them. */
	EXPECT_LT(strstr(output, "id=\"findings\""),
		  strstr(output, "id=\"listeners\""));
	EXPECT_LT(strstr(output, "id=\"listeners\""),
		  strstr(output, "id=\"times\""));
	EXPECT_LT(strstr(output, "id=\"times\""),
		  strstr(output, "id=\"refused\""));
	EXPECT_EQ(2, count("<a href=\"#finding-"));
	EXPECT_TRUE(says("id=\"finding-1\""));
}

/* Nothing that is wrong is nothing to be shown; nobody has to be there. */
TEST_F(page, nothing)
{
	change_sample("sockets", "NR == 3 { $8 = 511 } NR == 1 || NR == 3");
	write_text("net/listenq/refused", REFUSED);
	EXPECT_PAGE("");
	EXPECT_TRUE(says("<p class=\"verdict good\">Nothing is wrong with 1 listener</p>"));
	EXPECT_EQ(0, count("id=\"findings\"") + count("<svg"));
	EXPECT_TRUE(says(">Nobody, as far as that is known.<"));
	/* In whatever locale. */
	EXPECT_TRUE(says(">511→8!<"));
	EXPECT_EQ(0, count("is for root alone"));
	/* Nor are columns there that say nothing. */
	EXPECT_EQ(0, count("SYNPEAK"));

	/* What can't be read is not taken for nothing. */
	unlink("net/listenq/refused");
	EXPECT_PAGE("");
	EXPECT_TRUE(says("Not known in 1 namespace: "));

	change_sample("sockets", "NR == 1");
	EXPECT_PAGE("");
	EXPECT_TRUE(says(">no listeners<"));
}

/* ---- histograms ---- */

/* What a chart has, from 1 on: its counts, in order, set apart by blanks. */
static const char *drawn(int chart)
{
	static char counts[1024];
	const char *at = output, *end;
	size_t length = 0;

	while (chart-- && at)
		at = strstr(at + 1, "<desc>");
	end = at ? strstr(at, "</desc>") : NULL;
	*counts = '\0';
	for (; end && (at = strstr(at, ": ")) && at < end; at += 2)
		length += snprintf(counts + length, sizeof(counts) - length,
				   "%d ", atoi(at + 2));
	return counts;
}

/* The same of an object in -j. */
static const char *counted(const char *name)
{
	static char counts[1024];
	const char *at = strstr(output, name), *end = strchr(at, '}');
	size_t length = 0;
	char *key;

	while ((key = next_string(&at)) && at < end)
		if (*at == ':' &&
		    (isdigit((unsigned char)*key) || !strcmp(key, "more")))
			length += snprintf(counts + length,
					   sizeof(counts) - length, "%d ",
					   atoi(at + 2));
	return counts;
}

TEST_F(page, histograms)
{
	char waits[1024], handshakes[1024];

	ASSERT_EQ(DONE, tool("--proc . -j -p 7001"));
	strcpy(waits, counted("\"waits\": "));
	strcpy(handshakes, counted("\"handshakes\": "));
	EXPECT_STREQ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 ", waits);
	EXPECT_PAGE("");
	EXPECT_STREQ(waits, drawn(1));
	EXPECT_STREQ(handshakes, drawn(2));
	/* Those that have nothing to show have none. */
	EXPECT_EQ(2, count("<svg "));
	EXPECT_EQ(2, count(" role=\"img\""));
	EXPECT_EQ(32, count("<rect "));
	EXPECT_TRUE(says("136 connections, mean 2.0s"));
	EXPECT_TRUE(says("up to 4.0ms: 1, "));
	EXPECT_TRUE(says(", longer than 65s: 16."));
	/* 4096 ms and more, and what is between one second and that. */
	EXPECT_TRUE(says(" 91 longer than 1.0s"));

	/* From the first range that has something to the last, and one more. */
	change_sample("waits",
		      "NR == 2 { for (i = 5; i <= NF; i++) $i = 0; $7 = 5; $9 = 1 } 1");
	EXPECT_PAGE("");
	EXPECT_STREQ("0 5 0 1 0 ", drawn(1));
	EXPECT_TRUE(says("up to 8.0ms: 0, up to 16ms: 5, up to 32ms: 0, "));
	EXPECT_TRUE(says(", up to 64ms: 1, up to 128ms: 0."));
	EXPECT_TRUE(says(", 9 of 10 within 64ms"));

	/* A file that lacks a bound, and one that is not known at all. */
	change_sample("waits", "NR == 2 { $7 = \"-\" } 1");
	EXPECT_PAGE("");
	EXPECT_EQ(1, count("<svg "));
	unlink("net/listenq/handshakes");
	EXPECT_PAGE("");
	EXPECT_EQ(0, count("<svg "));
}

/* A group is drawn as one, with the sum of its members. */
TEST_F(page, group)
{
	change_sample("sockets", "NR > 1 { $2 = \"0.0.0.0:80\"; $30 = 3 } 1");
	change_sample("waits",
		      "NR > 1 { $3 = $4 = 0; for (i = 5; i <= NF; i++) $i = NR } 1");
	EXPECT_PAGE("");
	EXPECT_EQ(3, count("<th scope=\"row\""));
	/* 2 and 3 and 4 of each; of handshakes one member's are not known. */
	EXPECT_EQ(1, count("<svg "));
	EXPECT_STREQ("9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 ", drawn(1));
	EXPECT_TRUE(says(", a group of 3 sockets"));
}

/* ---- who was turned away ---- */

/* 250 of them, the oldest first. */
static void write_many_refusals(void)
{
	static char rows[1 << 16] = REFUSED "# two were missed\n";
	size_t length = strlen(rows);

	for (int i = 1; i <= 250; i++)
		length += sprintf(rows + length,
				  "%d 0.0.0.0:80 10.0.0.%d:%d synq 8 9 3 a1 all %d\n",
				  9000 - i, i, i, i);
	write_text("net/listenq/refused", rows);
}

TEST_F(page, refusals)
{
	const char *text;

	EXPECT_PAGE("");
	text = text_of_page();
	EXPECT_NE(NULL, strstr(text, " 2 203.0.113.0/24 acceptq-syn 127.0.0.1:7001 all "));
	EXPECT_NE(NULL, strstr(text, " 1 2001:db8::/64 acceptq-ack 127.0.0.1:7002 idle "));
	EXPECT_NE(NULL, strstr(text, "Z 127.0.0.1:7001 203.0.113.7:40122 acceptq-syn 8 9 3 all "));
	EXPECT_NE(NULL, strstr(text,
			       "Z 127.0.0.1:7002 [2001:db8::7]:1999 acceptq-ack 8 9 5 idle "));
	/* The reasons that there are, and no others. */
	EXPECT_NE(NULL, strstr(text, "the client believes it is connected"));
	EXPECT_EQ(0, count_in("refused", "<dt>synq</dt>"));

	/* It is by the listeners that were asked for. */
	EXPECT_PAGE("-p 7002");
	EXPECT_NE(NULL, strstr(text_of_page(), "[2001:db8::7]:1999"));
	EXPECT_EQ(NULL, strstr(text_of_page(), "203.0.113"));

	/* Saved files were read when they were saved. */
	date_sample("net/listenq/sockets");
	date_sample("net/listenq/refused");
	EXPECT_PAGE("");
	EXPECT_NE(NULL, strstr(text_of_page(), " Saved 2020-02-03T04:05:0"));
	EXPECT_NE(NULL, strstr(text_of_page(),
			       " 2020-02-03T04:05:04.") ?:
			strstr(text_of_page(), " 2020-02-03T04:05:05."));
	EXPECT_NE(NULL, strstr(text_of_page(), " 2020-02-03T04:04:0"));

	/* What the module says of them; and the latest, where there are too many. */
	write_many_refusals();
	EXPECT_PAGE("");
	EXPECT_EQ(REFUSALS_MAX + 1, count("<td class=\"left warn\">synq</td>"));
	EXPECT_TRUE(says("The latest 200 of 250, oldest first; 50 are left out."));
	EXPECT_TRUE(says("10.0.0.250:250<") && !strstr(output, "10.0.0.50:50<"));
	EXPECT_TRUE(says("two were missed"));
}

/* ---- text from outside ---- */

/* A Unix socket whose name is as long as it can be, none of it printable. */
static void write_unix_name(void)
{
	char name[107 * 4 + 1] = "", row[1024];

	for (int i = 0; i < 107; i++)
		strcat(name, "\\007");
	snprintf(row, sizeof(row),
		 "type path cookie inode uid asked granted limit rule acceptq since_ms\n"
		 "stream @%s d4 200 33 5 5 5 - 0 40\n", name);
	write_text("net/listenq/unix", row);
}

/* Whoever chooses a name can say nothing but that name. */
TEST_F(page, escapes)
{
	static const char name[] =
		"&#60;script&#62;&#34;a&#34;&#38;&#39;&#60;/th&#62;";
	const char *at;

	change_sample("sockets",
		      "NR == 2 { $7 = \"<script>\\\"a\\\"&\\047</th>\"; $11 = \"<b>\" } 1");
	ASSERT_EQ(0, run("sed -i 's/ all / <script> /; s/acceptq-syn/<i>/' net/listenq/refused"));
	write_text("sys/kernel/hostname", "\033]0;x\007</title><script>\xe2\x80\xae\n");
	write_text("version", "Linux version <b>6 #1 \033[2J&amp;\n");
	EXPECT_RUN(DONE, run("LC_ALL=C %s --proc . -P '<script>\"a\"&' report " PAGE " 2>&1",
			     tool_path()));
	EXPECT_WELL_FORMED();
	EXPECT_LE(3, count(name));
	EXPECT_EQ(0, count("<script") + count("<b>6") + count("<i>"));
	EXPECT_TRUE(says("<title>\\033]0;x\\007&#60;/title&#62;&#60;script&#62;\\342"));
	EXPECT_TRUE(says("&#60;b&#62;6 #1 \\033[2J&#38;amp;<"));
	EXPECT_TRUE(says("-P &#60;script&#62;&#34;a&#34;&#38; report "));
	EXPECT_EQ(1, count("<th scope=\"row\""));

	/* A Unix socket has the longest name, which is there in full. */
	write_unix_name();
	EXPECT_PAGE("");
	EXPECT_EQ(4, count("<th scope=\"row\""));
	at = strstr(output, ">@\\007");
	ASSERT_NE(NULL, at);
	EXPECT_EQ(1 + 107 * 4, strcspn(at + 1, "<"));
}

/* ---- the file ---- */

TEST_F(page, whole_or_not_at_all)
{
	struct stat stat_;

	EXPECT_SAYS("page.html: 3 listeners, ", tool("--proc . report " PAGE));
	EXPECT_TRUE(says("only its owner may read it"));
	ASSERT_EQ(0, stat(PAGE, &stat_));
	EXPECT_EQ(0600, stat_.st_mode & 07777);

	/* One that all could read is nobody's to read any more. */
	write_text(PAGE, "before\n");
	chmod(PAGE, 0644);
	EXPECT_RUN(DONE, tool("--proc . report " PAGE));
	ASSERT_EQ(0, stat(PAGE, &stat_));
	EXPECT_EQ(0600, stat_.st_mode & 07777);

	/* A full disk leaves the former, and nothing beside it. */
	write_text("full", "set -e; mount -t tmpfs -o size=8k none small\n"
		   "cd small; echo before >x\n"
		   "$LISTENQ --proc .. report x 2>&1 || echo $?\n"
		   "ls; cat x\n");
	EXPECT_RUN(0, run("mkdir small && unshare -m sh full >said"));
	EXPECT_OUTPUT("listenq: x: No space left on device\n2\nx\nbefore\n",
		      run("cat said"));

	/* So does what can't be read. */
	write_text(PAGE, "before\n");
	change_sample("waits", "{ print \"\\033\" $0 }");
	EXPECT_TROUBLE(tool("--proc . report " PAGE));
	EXPECT_OUTPUT("before\n", run("cat " PAGE));
	write_sample();

	EXPECT_TROUBLE(tool("--proc . report missing/" PAGE));
	EXPECT_TROUBLE(tool("--proc . report small"));
	EXPECT_TROUBLE(tool("--proc . report /dev/null"));
	EXPECT_TROUBLE(tool("--proc . report ''"));
	EXPECT_OUTPUT("", run("ls -a | grep tmp || :"));
	/* Nothing is taken through a link: it is the link that goes. */
	ASSERT_EQ(0, run("ln -sf /etc/passwd link"));
	EXPECT_TROUBLE(tool("--proc . report link"));
}

TEST_F(page, options)
{
	static const char * const bad[] = {
		"report", "report x y", "report x -j", "report -v x", "-w report x",
		"report x --top", "-g report x", "-t report x", "report -i 0 x",
		"-s fill -r report x", "-m report x", "report x log", "-a report x",
		"--check report x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_LT(DONE, tool("--proc . %s", bad[i])) {
			TH_LOG("%s", bad[i]);
		}
		EXPECT_NE(0, access("x", F_OK));
	}
	/* On both sides of the word, and of the file. */
	EXPECT_RUN(DONE, tool("--proc . report -p 7002 " PAGE " -i 0.1"));
	EXPECT_TRUE(says(PAGE ": 1 listener, 0 findings;"));
	EXPECT_RUN(DONE, tool("report " PAGE " --proc . -P idle --tcp"));
	EXPECT_TRUE(says(PAGE ": 1 listener, 0 findings;"));
	EXPECT_RUN(DONE, tool("-A 127.0.0.1 report --proc . " PAGE));
	EXPECT_TRUE(says(PAGE ": 3 listeners, "));
	EXPECT_RUN(DONE, run("cat " PAGE));
	EXPECT_TRUE(says("<dd>listenq -A 127.0.0.1 report --proc . " PAGE "</dd>"));
}

/* Two looks have rates. */
TEST_F(page, before)
{
	ASSERT_EQ(0, run("mkdir before && cp -r net before/"));
	change_sample("sockets", "NR == 2 { $18 += 1000; $20 += 77 } 1");
	EXPECT_PAGE("");
	EXPECT_TRUE(says(">ACC/S<"));
	EXPECT_TRUE(says("<td>77</td>"));
	EXPECT_EQ(0, count("[one-look]"));
	EXPECT_EQ(0, run("rm -rf before"));
	EXPECT_PAGE("");
	EXPECT_EQ(0, count(">ACC/S<"));
	EXPECT_TRUE(says("<code>[one-look]</code>"));
}

/* ---- many ---- */

/* Rows of the three files for 2,000 listeners, each with histograms and a full queue. */
static void write_many(void)
{
	static const char * const names[] = { "sockets", "waits", "handshakes" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		change_sample(names[i],
			      "NR == 1 { print }\n"
			      "NR == 2 { for (n = 1; n <= 2000; n++) {\n"
			      "	for (i = 1; i <= NF; i++) {\n"
			      "		if ($i ~ /^(127|10)[.]/) $i = \"10.0.0.1:\" n;\n"
			      "		if ($i ~ /^a[1-9]/) $i = \"a\" n }\n"
			      "	print } }\n");
}

TEST_F(page, two_thousand)
{
	long long began, explained, written;
	struct stat stat_;

	write_many();
	began = lq_now_ms();
	EXPECT_RUN(WRONG, run("%s --proc . explain >/dev/null", plain_path()));
	explained = lq_now_ms() - began;
	EXPECT_RUN(DONE, run("%s --proc . report " PAGE, plain_path()));
	written = lq_now_ms() - began - explained;
	EXPECT_WELL_FORMED();
	EXPECT_EQ(2000, count("<th scope=\"row\""));
	EXPECT_EQ(2 * CHARTS_MAX, count("<svg "));
	EXPECT_TRUE(says("1976 are left out."));
	/* The worst are read, the others are counted. */
	EXPECT_EQ(10, count(" open=\"open\""));
	EXPECT_EQ(500, count("<details class=\"finding"));
	EXPECT_TRUE(says("The worst 500 of "));
	ASSERT_EQ(0, stat(PAGE, &stat_));
	TH_LOG("2,000 listeners: %lld kB, %lld ms, explain %lld ms",
	       (long long)stat_.st_size >> 10, written, explained);
	EXPECT_GT(3 << 20, stat_.st_size);
	/* It takes some time more to set out than what there is to say. */
	EXPECT_GT(4 * explained + 1000, written);
}

TEST_F_TIMEOUT(page, valgrind, 400)
{
	const char *why = hurry() ?: lacks("valgrind");

	if (why)
		SKIP(return, "%s", why);
	EXPECT_RUN(DONE, run(VALGRIND " %s --proc . report " PAGE " 2>&1",
			     plain_path()));
	EXPECT_EQ(1, lines(output));
}

/* ---- real ones ---- */

LQ_FIXTURE(there, LQ_SKIP_FOR(enter_folder()));

TEST_F(there, of_all_namespaces)
{
	int fd = full_listener(1), port;
	pid_t pid = listen_elsewhere("a<b", 3, &port);
	char text[64];

	EXPECT_RUN(DONE, tool("-a report -i 0.1 " PAGE));
	EXPECT_WELL_FORMED();
	snprintf(text, sizeof(text), "127.0.0.1:%d<", lq_port(fd));
	EXPECT_TRUE(says(text));
	snprintf(text, sizeof(text), "127.0.0.1:%d<", port);
	EXPECT_TRUE(says(text));
	EXPECT_TRUE(says(">a&#60;b<") && says(">NETNS<"));
	snprintf(text, sizeof(text), ">%d</td>", pid);
	EXPECT_TRUE(says(text));
	EXPECT_NE(NULL, strstr(text_of_page(), " Namespaces all: "));
	EXPECT_NE(NULL, strstr(text_of_page(), " Time 2"));
	EXPECT_EQ(NULL, strstr(text_of_page(), " not known "));
	/* Whoever was turned away by a full queue. */
	EXPECT_TRUE(says(">acceptq-syn</td>"));

	EXPECT_RUN(DONE, tool("-N %d report -i 0.1 " PAGE, pid));
	EXPECT_EQ(0, run("cat " PAGE));
	EXPECT_EQ(1, count("<th scope=\"row\""));
	EXPECT_TRUE(says(text));
	EXPECT_TRUE(says(">Nobody, as far as that is known.<"));
	kill(pid, SIGKILL);
}

TEST_HARNESS_MAIN
