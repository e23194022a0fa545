// SPDX-License-Identifier: GPL-2.0-only
/* What the file refused holds; refusal.h says what each is for. */

#define _GNU_SOURCE
#include "refusal.h"

static const char * const header[] = {
	"ago_ms", "local", "remote", "why", "limit", "acceptq", "synq", "cookie",
	"comm", "number",
};

#define COLUMNS		((int)(sizeof(header) / sizeof(*header)))

/* From here to the end of the line, which has to be there. */
static const char *line_end(const char *text)
{
	const char *end = strchr(text, '\n');

	if (!end)
		errx(1, "half a line: %s", text);
	return end;
}

static const char *parse_header(const char *text)
{
	char word[32];
	int len;

	for (int i = 0; i < COLUMNS; i++, text += len)
		if (sscanf(text, "%31s%n", word, &len) != 1 ||
		    strcmp(word, header[i]))
			errx(1, "no column %s, but: %s", header[i], text);
	if (*text != '\n')
		errx(1, "behind the header: %s", text);
	return text + 1;
}

static long long figure_of(const char *word)
{
	long long value;
	char *end;

	if (!strcmp(word, "-"))
		return LQ_NONE;
	value = strtoll(word, &end, 10);
	if (*end || value < 0)
		errx(1, "neither figure nor dash: %s", word);
	return value;
}

static void parse_row(const char *line, struct refusal *row)
{
	char figures[3][16];
	int len = 0;

	if (sscanf(line, "%lld %63s %63s %15s %15s %15s %15s %19s %63s %lld%n",
		   &row->ago_ms, row->local, row->remote, row->why, figures[0],
		   figures[1], figures[2], row->cookie, row->comm, &row->number,
		   &len) != COLUMNS || line[len] != '\n')
		errx(1, "no row: %s", line);
	row->limit = figure_of(figures[0]);
	row->acceptq = figure_of(figures[1]);
	row->synq = figure_of(figures[2]);
}

static void parse_note(const char *line, struct refusals *refusals)
{
	static const char silenced[] =
		"# incomplete: a hook is silenced or missing, see hooks\n";
	int len = 0;

	if (!strncmp(line, silenced, strlen(silenced)))
		refusals->silenced = true;
	else if (sscanf(line, "# incomplete: there was no room for %lld%n",
			&refusals->unkept, &len) != 1 || line[len] != '\n')
		errx(1, "no note: %s", line);
}

static int by_number(const void *one, const void *other)
{
	long long a = *(const long long *)one, b = *(const long long *)other;

	return (a > b) - (a < b);
}

static void check_rows(const struct refusals *refusals)
{
	long long numbers[REFUSALS];

	for (int i = 0; i < refusals->count; i++) {
		numbers[i] = refusals->of[i].number;
		if (i && refusals->of[i].ago_ms > refusals->of[i - 1].ago_ms)
			errx(1, "row %d was earlier than the one before", i);
	}
	qsort(numbers, refusals->count, sizeof(*numbers), by_number);
	for (int i = 0; i < refusals->count; i++)
		if (numbers[i] <= (i ? numbers[i - 1] : 0))
			errx(1, "number %lld, twice or none", numbers[i]);
}

struct refusals *refusals_parse(const char *text)
{
	struct refusals *refusals = calloc(1, sizeof(*refusals));
	bool noted = false;

	if (!refusals)
		err(1, "calloc");
	for (text = parse_header(text); *text; text = line_end(text) + 1) {
		if (*text == '#') {
			parse_note(text, refusals);
			noted = true;
		} else if (noted || refusals->count == REFUSALS) {
			errx(1, "one row too many: %s", text);
		} else {
			parse_row(text, &refusals->of[refusals->count++]);
		}
	}
	check_rows(refusals);
	return refusals;
}

struct refusals *refusals_of(int fd)
{
	static char text[REFUSALS * 512];
	size_t length = 0;
	ssize_t len = 0;

	if (lseek(fd, 0, SEEK_SET))
		return NULL;
	do {
		length += len;
		len = read(fd, text + length, sizeof(text) - 1 - length);
	} while (len > 0);
	if (len < 0)
		return NULL;
	text[length] = '\0';
	return refusals_parse(text);
}

struct refusals *refusals_read(void)
{
	int fd = open(LQ_REFUSED, O_RDONLY | O_CLOEXEC);
	struct refusals *refusals;

	if (fd < 0)
		err(1, LQ_REFUSED);
	refusals = refusals_of(fd);
	if (!refusals)
		err(1, "read " LQ_REFUSED);
	close(fd);
	return refusals;
}

long long refusals_newest(const struct refusals *refusals)
{
	long long newest = 0;

	for (int i = 0; i < refusals->count; i++)
		if (refusals->of[i].number > newest)
			newest = refusals->of[i].number;
	return newest;
}

int refusals_since(const struct refusals *refusals, long long number)
{
	int count = 0;

	for (int i = 0; i < refusals->count; i++)
		count += refusals->of[i].number > number;
	return count;
}

int refusals_for(const struct refusals *refusals, const char *why)
{
	int count = 0;

	for (int i = 0; i < refusals->count; i++)
		count += !strcmp(refusals->of[i].why, why);
	return count;
}

long long refused_newest(void)
{
	struct refusals *refusals = refusals_read();
	long long newest = refusals_newest(refusals);

	free(refusals);
	return newest;
}

int refused_since(long long number)
{
	struct refusals *refusals = refusals_read();
	int count = refusals_since(refusals, number);

	free(refusals);
	return count;
}

bool refused_agrees(long long count, long long slack)
{
	struct refusals *refusals = refusals_read();
	long long newest = refusals_newest(refusals);
	long long most = newest + refusals->unkept;

	free(refusals);
	if (newest <= count && count <= most + slack)
		return true;
	printf("# refused: %lld to %lld were turned away, not %lld\n", newest, most,
	       count);
	return false;
}
