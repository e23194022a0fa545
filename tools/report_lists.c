// SPDX-License-Identifier: GPL-2.0-only
/* The lists of a report: listeners, and refused clients. */

#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "live.h"

/* The most rows of each list. */
#define LISTENERS_MAX	5000
#define SUMS_MAX	50
#define REFUSALS_MAX	200

static void begin_table(FILE *to, const char *class, const char *label)
{
	/* A part that scrolls has to be reachable by keyboard, too. */
	fprintf(to, "<div class=\"scroll %s\" tabindex=\"0\" role=\"region\"",
		class);
	fprintf(to, " aria-label=\"%s\"><table>\n<thead><tr>", label);
}

static void end_table(FILE *to)
{
	fputs("</tbody></table></div>\n", to);
}

/* Put the tag of a cell; most cells look alike and have no class. */
static void put_tag(FILE *to, bool left, enum style style)
{
	const char *class = html_class(style);

	if (left || *class)
		fprintf(to, "<td class=\"%s%s%s\">", left ? "left" : "",
			left && *class ? " " : "", class);
	else
		fputs("<td>", to);
}

/* ---- listeners ---- */

/* Put a listener's name, with a link to its first finding. */
static void put_name(const struct page *page, const struct listener *listener)
{
	size_t finding = page_finding(page, listener);
	FILE *to = page->to;

	fputs("<th scope=\"row\" class=\"left name\">", to);
	if (finding)
		fprintf(to, "<a href=\"#finding-%zu\">", finding);
	html_text(to, "%s", listener->word[LOCAL]);
	fputs(finding ? "</a></th>" : "</th>", to);
}

static void put_cell(const struct page *page, const struct listener *listener,
		     const struct cell *cell)
{
	FILE *to = page->to;

	if (cell->names) {
		put_name(page, listener);
		return;
	}
	/* The figure is in the next column. */
	if (cell->filled > 0)
		fprintf(to, "<td class=\"fill %s\" style=\"--fill:%.2f\">",
			html_class(cell->style),
			cell->filled < 1 ? cell->filled : 1);
	else
		put_tag(to, cell->left, cell->style);
	html_text(to, "%s", cell->text);
	fputs("</td>", to);
}

static void put_header(FILE *to, const struct table *table)
{
	struct cell cell;

	for (size_t i = 0; i < TABLE_COLUMNS; i++)
		if (table_title(table, i, &cell))
			html_element(to, cell.spans ?
				     "th scope=\"colgroup\" colspan=\"2\"" :
				     cell.names ? "th scope=\"col\" class=\"left name\"" :
				     cell.left ? "th scope=\"col\" class=\"left\"" :
				     "th scope=\"col\"", "%s", cell.text);
	fputs("</tr></thead>\n<tbody>\n", to);
}

static void put_legend(FILE *to, const struct table *table)
{
	char text[TEXT_SIZE];
	struct cell cell;

	fputs("<details><summary>What the columns are</summary><dl class=\"legend\">\n",
	      to);
	for (size_t i = 0; i < TABLE_COLUMNS; i++) {
		if (!table_title(table, i, &cell) ||
		    !help_column(cell.text, text))
			continue;
		html_element(to, "dt", "%s", cell.text);
		html_element(to, "dd", "%s", text);
	}
	fputs("</dl></details>\n", to);
}

/* All listeners that were asked for, the fullest first. */
void page_listeners(const struct page *page)
{
	const struct outcome *outcome = page->outcome;
	size_t shown = at_most(outcome->count, LISTENERS_MAX), i, j;
	FILE *to = page->to;
	struct table table;
	struct cell cell;

	fputs("<section id=\"listeners\"><h2>Listeners</h2>\n", to);
	if (!shown) {
		html_element(to, "p class=\"dim\"", "no listeners");
		fputs("</section>\n", to);
		return;
	}
	table_layout(&table, outcome->chosen, outcome->count, 0,
		     TABLE_BRIEF | TABLE_RATES |
		     (page->scope->all ? TABLE_NETNS : 0));
	if (shown < outcome->count)
		html_element(to, "p class=\"dim\"",
			     "The fullest %zu of %zu; %zu are left out.", shown,
			     outcome->count, outcome->count - shown);
	begin_table(to, "listeners", "Listeners");
	put_header(to, &table);
	for (i = 0; i < shown; i++) {
		fputs("<tr>", to);
		for (j = 0; j < TABLE_COLUMNS; j++)
			if (table_cell(&table, j, outcome->chosen[i], &cell))
				put_cell(page, outcome->chosen[i], &cell);
		fputs("</tr>\n", to);
	}
	end_table(to);
	put_legend(to, &table);
	fputs("</section>\n", to);
}

/* ---- refused clients ---- */

static void put_grid(FILE *to, const struct grid *grid, const char *label,
		     const char *rows, size_t size, size_t count)
{
	const struct grid_column *column = grid->column;
	char text[TEXT_SIZE];
	size_t i, j;

	begin_table(to, "refusals", label);
	for (j = 0; j < grid->columns; j++)
		if (grid_shows(grid, j))
			html_element(to, column[j].left ?
				     "th scope=\"col\" class=\"left\"" :
				     "th scope=\"col\"", "%s", column[j].title);
	fputs("</tr></thead>\n<tbody>\n", to);
	for (i = 0; i < count; i++) {
		fputs("<tr>", to);
		for (j = 0; j < grid->columns; j++) {
			if (!grid_shows(grid, j))
				continue;
			grid->cell(text, grid, j, rows + i * size);
			put_tag(to, column[j].left, column[j].style);
			html_text(to, "%s", text);
			fputs("</td>", to);
		}
		fputs("</tr>\n", to);
	}
	end_table(to);
}

/* Explain those reasons that a refusal in the list has. */
static void put_reasons(FILE *to, struct refusal *const refusal[], size_t count)
{
	static const struct {
		const char *name;
		const char *text;
	} reasons[] = {
		{ "acceptq-syn",
		  "the accept queue was full when the client's SYN came" },
		{ "acceptq-ack",
		  "it was full when the final ACK came: the client believes it is connected" },
		{ "synq", "the SYN queue was full, and SYN cookies are off" },
		{ "reserved",
		  "SYN cookies are off, and only the reserved quarter was left" },
		{ "closed",
		  "its listener was closed while it waited for accept(): the kernel reset it" },
	};
	size_t i, j;

	fputs("<dl class=\"legend\">\n", to);
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		for (j = 0; j < count; j++)
			if (!strcmp(refusal[j]->listener.word[WHY],
				    reasons[i].name))
				break;
		if (j == count)
			continue;
		html_element(to, "dt", "%s", reasons[i].name);
		html_element(to, "dd", "%s", reasons[i].text);
	}
	fputs("</dl>\n", to);
}

static void put_sums(const struct page *page, struct refusal *const refusal[],
		     size_t count)
{
	struct refusal **copy = allocate(NULL, count, sizeof(*copy));
	struct grid grid = top_grid(page->scope->all);
	size_t sums, shown;
	struct sum *sum;

	grid.rfc3339 = true;
	/* sum_up() changes the order. */
	memcpy(copy, refusal, count * sizeof(*copy));
	sum = sum_up(copy, count, false, &sums);
	shown = at_most(sums, SUMS_MAX);
	fputs("<h3>From where</h3>\n", page->to);
	if (shown < sums)
		html_element(page->to, "p class=\"dim\"",
			     "The largest %zu of %zu; %zu are left out.", shown,
			     sums, sums - shown);
	put_grid(page->to, &grid, "From where", (char *)sum, sizeof(*sum),
		 shown);
	free(sum);
	free(copy);
}

static void put_refusals(const struct page *page, struct refusal **refusal,
			 size_t count)
{
	struct grid grid = log_grid(page->scope->all);
	size_t shown = at_most(count, REFUSALS_MAX);

	grid.rfc3339 = true;
	fputs("<h3>One by one</h3>\n", page->to);
	if (shown < count)
		html_element(page->to, "p class=\"dim\"",
			     "The latest %zu of %zu, oldest first; %zu are left out.",
			     shown, count, count - shown);
	put_grid(page->to, &grid, "One by one",
		 (char *)(refusal + count - shown), sizeof(*refusal), shown);
}

/* What the module says it does not see, and which files can't be read. */
static void put_notes(FILE *to, const struct snapshot *snapshot)
{
	const char *told = "";
	size_t unread = 0;

	/* Most namespaces have the same notes. */
	for (size_t i = 0; i < snapshot->list.count; i++) {
		const struct rows *rows = snapshot->rows[i][REFUSED];

		unread += !rows;
		for (size_t j = 0; rows && j < rows->notes; j++) {
			if (strcmp(rows->note[j], told))
				html_element(to, "p class=\"warn\"", "%s",
					     rows->note[j]);
			told = rows->note[j];
		}
	}
	if (unread)
		html_element(to, "p class=\"warn\"",
			     "Not known in %s: the file refused is for root alone, or not there.",
			     count_of(unread, "namespace", "namespaces"));
}

/* The latest refusals that the module keeps, by network and reason, and one by one. */
void page_refusals(const struct page *page)
{
	struct snapshot *snapshot = page->outcome->snapshot;
	struct refusal **refusal = allocate(NULL, snapshot->refusals,
					    sizeof(*refusal));
	size_t count = snapshot->refusals, i;
	FILE *to = page->to;

	for (i = 0; i < count; i++)
		refusal[i] = &snapshot->refusal[i];
	count = choose_refusals(snapshot, page->filter, refusal, count);
	fputs("<section id=\"refused\"><h2>Who was turned away</h2>\n", to);
	put_notes(to, snapshot);
	if (count) {
		html_element(to, "p", "%s; the module keeps the last %d of a namespace.",
			     count_of(count, "refusal", "refusals"),
			     REFUSALS_KEPT);
		put_reasons(to, refusal, count);
		put_sums(page, refusal, count);
		put_refusals(page, refusal, count);
	} else {
		html_element(to, "p class=\"dim\"",
			     "Nobody, as far as that is known.");
	}
	fputs("</section>\n", to);
	free(refusal);
}
