// SPDX-License-Identifier: GPL-2.0-only
/* listenq(8): show people what is in the queues of TCP listeners. */

#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "http.h"
#include "output.h"
#include "sink.h"

enum {
	CHECK_OPTION = 256, MAX_OPTION, PROC_OPTION, TOP_OPTION,
	NAMES_OPTION, WITHIN_OPTION, ALLOW_NONE_OPTION,
	TCP_OPTION, UNIX_OPTION, NO_HISTOGRAM_OPTION, HTTP_OPTION,
};

/* A host has no more sets of labels unless it is unusual. */
#define LABEL_SETS_MAX	1000

static const struct option options[] = {
	{ "all",	no_argument,		NULL, 'a' },
	{ "netns",	required_argument,	NULL, 'N' },
	{ "tcp",	no_argument,		NULL, TCP_OPTION },
	{ "unix",	no_argument,		NULL, UNIX_OPTION },
	{ "port",	required_argument,	NULL, 'p' },
	{ "address",	required_argument,	NULL, 'A' },
	{ "process",	required_argument,	NULL, 'P' },
	{ "unit",	required_argument,	NULL, 'U' },
	{ "sort",	required_argument,	NULL, 's' },
	{ "reverse",	no_argument,		NULL, 'r' },
	{ "watch",	no_argument,		NULL, 'w' },
	{ "groups",	no_argument,		NULL, 'g' },
	{ "json",	no_argument,		NULL, 'j' },
	{ "totals",	no_argument,		NULL, 't' },
	{ "metrics",	optional_argument,	NULL, 'm' },
	{ "output",	required_argument,	NULL, 'o' },
	{ "max",	required_argument,	NULL, MAX_OPTION },
	{ "names",	required_argument,	NULL, NAMES_OPTION },
	{ "no-histogram", no_argument,		NULL, NO_HISTOGRAM_OPTION },
	{ "http",	no_argument,		NULL, HTTP_OPTION },
	{ "check",	no_argument,		NULL, CHECK_OPTION },
	{ "within",	required_argument,	NULL, WITHIN_OPTION },
	{ "allow-none",	no_argument,		NULL, ALLOW_NONE_OPTION },
	{ "proc",	required_argument,	NULL, PROC_OPTION },
	{ "follow",	no_argument,		NULL, 'f' },
	{ "top",	no_argument,		NULL, TOP_OPTION },
	{ "interval",	required_argument,	NULL, 'i' },
	{ "verbose",	no_argument,		NULL, 'v' },
	{ "help",	no_argument,		NULL, 'h' },
	{ "version",	no_argument,		NULL, 'V' },
	{ }
};

enum output { TABLE, LIVE, JSON, METRICS, CHECK };

static enum sort_key sort_key(const char *name)
{
	for (int i = 0; i < SORT_KEYS; i++)
		if (!strcmp(sort_names[i], name))
			return i;
	die("-s %s: the keys are fill, overflows, oldest, synq, syns, local and process",
	    name);
}

/* The number that may follow an option as a separate word. */
static const char *optional_number(int argc, char **argv)
{
	if (optind < argc && *argv[optind] >= '0' && *argv[optind] <= '9')
		return argv[optind++];
	return NULL;
}

static void set_output(enum output *output, enum output to)
{
	if (*output != TABLE && *output != to)
		die("-w, -j, -m and --check exclude each other");
	*output = to;
}

static void show_groups(struct listener *const chosen[], size_t count,
			enum sort_key key, bool reverse, enum output output,
			unsigned int flags)
{
	struct folds folds;

	fold(&folds, chosen, count, key, reverse);
	if (output == JSON)
		json_print(folds.row, folds.count);
	else
		table_print(folds.row, folds.count, flags | TABLE_GROUPS);
	folds_free(&folds);
}

static int show(const struct scope *scope, const struct filter *filter,
		enum sort_key key, bool reverse, bool groups,
		enum output output, const struct check *check,
		const struct metrics *metrics)
{
	struct listener **chosen;
	struct snapshot snapshot;
	int status = DONE;
	const char *why;
	size_t count;

	why = snapshot_take(scope, &snapshot);
	if (why && output == METRICS && (metrics->file || metrics->http))
		why = metrics_print(metrics, NULL, NULL, 0) ?: why;
	if (why)
		die("%s", why);
	chosen = choose(&snapshot, filter, key, reverse, &count);
	if (output == CHECK) {
		status = check_print(check, &snapshot, filter, chosen, count);
	} else {
		/* Metrics name few processes, and search for these themselves. */
		if (output != METRICS)
			process_find(chosen, count, true);
		if (groups)
			show_groups(chosen, count, key, reverse, output,
				    scope->all ? TABLE_NETNS : 0);
		else if (output == JSON)
			json_print(chosen, count);
		else if (output == METRICS)
			why = metrics_print(metrics, &snapshot, chosen, count);
		else
			table_print(chosen, count,
				    scope->all ? TABLE_NETNS : 0);
	}
	if (why)
		die("%s", why);
	/* With an unreadable container, the metrics of others are still valid. */
	if (snapshot_tell(&snapshot) && output != METRICS && output != CHECK)
		status = TROUBLE;
	process_tell(&snapshot);
	free(chosen);
	snapshot_free(&snapshot);
	return status;
}

static int show_totals(const struct scope *scope, enum output output)
{
	struct snapshot snapshot;
	const char *why;
	int status;

	why = snapshot_take(scope, &snapshot);
	if (!why)
		why = output == JSON ? json_totals(&snapshot) :
		      totals_print(&snapshot);
	if (why)
		die("%s", why);
	status = snapshot_tell(&snapshot) ? TROUBLE : DONE;
	snapshot_free(&snapshot);
	return status;
}

/*
 * Explain an option that getopt_long() refused, by its return value. getopt's own
 * messages would print the word unescaped.
 */
static void die_of_option(int option, char **argv)
{
	const char *word = argv[optind - 1];
	size_t i;

	if (option == ':')
		die("%s needs an argument: -h lists the options", word);
	/* The letter may be one of several in a word. */
	for (i = 0; options[i].name; i++)
		if (options[i].val == optopt)
			break;
	if (optopt && !options[i].name)
		die("-%c is not an option: -h lists them", optopt);
	die("%s is not an option, or takes no argument: -h lists them", word);
}

/* Commands that may have options before and after them. */
static bool takes_options(const char *word)
{
	return !strcmp(word, "log") || !strcmp(word, "explain") ||
	       !strcmp(word, "report");
}

/* Get the next option; takes the command, and the file that report writes, on the way. */
static int next_option(int argc, char **argv, const char **command,
		       const char **page)
{
	static const char letters[] = "+:aN:p:A:P:U:s:rgwjtmo:fi:vhV";
	int option;

	while ((option = getopt_long(argc, argv, letters, options,
				     NULL)) == -1 && optind < argc)
		if (!*command && takes_options(argv[optind]))
			*command = argv[optind++];
		else if (*command && !strcmp(*command, "report") && !*page)
			*page = argv[optind++];
		else
			break;
	return option;
}

/* The whole command line, for readers of a report; to free(). */
static char *command_line(int argc, char **argv)
{
	size_t size;
	char *text;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		die("not enough memory");
	fputs("listenq", to);
	for (int i = 1; i < argc; i++)
		fprintf(to, " %s", argv[i]);
	if (fclose(to))
		die("not enough memory");
	return text;
}

/*
 * Needed before options are read, since an error in one has to be printed on
 * standard output as well. The word may still turn out to mean something else.
 */
static bool is_asked_to_check(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--check", strlen("--check")))
			return true;
	return false;
}

static bool is_openmetrics(const char *format)
{
	if (!format || !strcmp(format, "prometheus"))
		return false;
	if (strcmp(format, "openmetrics"))
		die("--metrics=%s: the formats are prometheus and openmetrics",
		    format);
	return true;
}

static enum names names_of(const char *whose)
{
	static const char * const words[] = {
		[NAMES_OWN] = "own", [NAMES_ALL] = "all",
		[NAMES_NONE] = "none",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i], whose))
			return i;
	die("--names %s: own, all or none", whose);
}

int main(int argc, char **argv)
{
	struct metrics metrics = { .max = LABEL_SETS_MAX };
	const struct filter all = { };
	struct filter filter = all;
	enum sort_key key = BY_FILL;
	enum output output = TABLE;
	struct scope scope = { };
	const char *why = NULL, *number;
	struct check check = { .percent = 80, .within = 300 };
	bool reverse = false, max = false, totals = false, log, explains, report;
	struct explain_form explanation = { };
	struct http http = { };
	bool groups = false, lately = false, tcp = false;
	struct log_form form = { };
	const char *command = NULL, *page = NULL;
	char *typed;
	double seconds = 1;
	int option, status;

	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");

	instead_of_message = is_asked_to_check(argc, argv) ? check_trouble :
							     NULL;
	while ((option = next_option(argc, argv, &command, &page)) != -1) {
		switch (option) {
		case 'a':
			scope.all = true;
			break;
		case 'N':
			scope.netns = optarg;
			break;
		case 'p':
			why = filter_port(&filter, optarg);
			break;
		case 'A':
			why = filter_address(&filter, optarg);
			break;
		case 'P':
			filter.process = optarg;
			break;
		case 'U':
			filter.unit = optarg;
			break;
		case 's':
			key = sort_key(optarg);
			break;
		case 'r':
			reverse = true;
			break;
		case 'g':
			groups = true;
			break;
		case 'w':
			set_output(&output, LIVE);
			number = optional_number(argc, argv);
			if (number && !parse_seconds(number, &seconds))
				why = trouble("-w %s: seconds from 0.1 to 3600",
					      number);
			break;
		case 'j':
			set_output(&output, JSON);
			scope.histograms = true;
			break;
		case 't':
			totals = true;
			break;
		case 'm':
			set_output(&output, METRICS);
			metrics.openmetrics = is_openmetrics(optarg);
			scope.histograms = true;
			scope.totals = true;
			scope.module = true;
			break;
		case 'o':
			metrics.file = optarg;
			break;
		case MAX_OPTION:
			if (!parse_number(optarg, 0, INT_MAX, &metrics.max))
				why = trouble("--max %s: a number from 0",
					      optarg);
			max = true;
			break;
		case NAMES_OPTION:
			metrics.names = names_of(optarg);
			max = true;
			break;
		case NO_HISTOGRAM_OPTION:
			metrics.no_histograms = true;
			max = true;
			break;
		case HTTP_OPTION:
			metrics.http = &http;
			max = true;
			break;
		case TCP_OPTION:
			tcp = true;
			break;
		case UNIX_OPTION:
			scope.unix_too = true;
			break;
		case CHECK_OPTION:
			set_output(&output, CHECK);
			scope.refused = REFUSED_ALLOWED;
			number = optional_number(argc, argv);
			if (number &&
			    !parse_number(number, 0, 1000, &check.percent))
				why = trouble("--check %s: percents from 0 to 1000",
					      number);
			break;
		case WITHIN_OPTION:
			if (!parse_number(optarg, 1, INT_MAX, &check.within))
				why = trouble("--within %s: seconds from 1",
					      optarg);
			lately = true;
			break;
		case ALLOW_NONE_OPTION:
			check.allow_none = true;
			break;
		case PROC_OPTION:
			proc_dir = optarg;
			break;
		case 'f':
			form.follow = true;
			break;
		case TOP_OPTION:
			form.top = true;
			break;
		case 'i':
			if (!parse_seconds(optarg, &explanation.seconds))
				why = trouble("-i %s: seconds from 0.1 to 3600",
					      optarg);
			break;
		case 'v':
			explanation.verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return DONE;
		case 'V':
			puts("listenq " LISTENQ_VERSION);
			return DONE;
		default:
			die_of_option(option, argv);
		}
		if (why)
			die("%s", why);
	}
	log = command && !strcmp(command, "log");
	report = command && !strcmp(command, "report");
	explains = command && !log;
	if (output != CHECK)
		instead_of_message = NULL;
	if (scope.all && scope.netns)
		die("-a and -N exclude each other");
	if ((scope.all || scope.netns) && strcmp(proc_dir, "/proc"))
		die("--proc reads one namespace's files: leave out -a and -N");
	if ((metrics.file || max) && output != METRICS)
		die("-o, --http, --max, --names and --no-histogram need -m");
	if (metrics.file && metrics.http)
		die("-o and --http exclude each other");
	if (groups && (output == METRICS || output == CHECK || totals ||
		       command))
		die("-g works with the table, -w and -j alone");
	if ((lately || check.allow_none) && output != CHECK)
		die("--within and --allow-none need --check");
	if (totals && ((output != TABLE && output != JSON) ||
		       memcmp(&filter, &all, sizeof(filter))))
		die("-t is about whole namespaces: only -j, -a and -N go with it");
	if ((tcp || scope.unix_too) && (totals || log))
		die("--tcp and --unix work with the table, -w, -j, -m, --check and explain alone");
	if (filter.name) {
		if (log || tcp)
			die("-A: a Unix socket is not among %s",
			    log ? "those who were turned away" : "TCP listeners");
		scope.unix_too = true;
	}
	scope.no_tcp = scope.unix_too && !tcp && output != METRICS;
	filter.unix_alone = scope.no_tcp;
	if ((output == LIVE || explains) && !tcp)
		scope.unix_too = true;
	if (log && ((output != TABLE && output != JSON) || totals || reverse ||
		    key != BY_FILL))
		die("log: -f, --top, -j, -a, -N, --proc and filters go with it");
	if ((form.follow || form.top) && !log)
		die("-f and --top: they go with log");
	if (form.follow && form.top)
		die("-f and --top: name one of them");
	if (report && (!page || output != TABLE || explanation.verbose ||
		       totals || reverse || key != BY_FILL))
		die("report: a file, which it writes; -i, -a, -N, --proc and filters go with it");
	if (explains && ((output != TABLE && output != JSON) || totals ||
			 reverse || key != BY_FILL))
		die("explain: -v, -i, -j, -a, -N, --proc and filters go with it");
	if ((explanation.seconds || explanation.verbose) && !explains)
		die("-v and -i: they go with explain, -i with report, too");

	if (optind < argc && !command && !strcmp(argv[optind], "clamp")) {
		status = clamp_main(argc - optind, argv + optind, &scope);
	} else if (optind < argc && !command &&
		   !strcmp(argv[optind], "record")) {
		if (optind + 2 != argc || scope.all || output != TABLE ||
		    totals || groups || memcmp(&filter, &all, sizeof(filter)))
			die("record: a directory, which it makes; -N and --proc go with it");
		record_main(argv[optind + 1], &scope);
		status = DONE;
	} else if (optind < argc) {
		die("'%s' is not understood: -h lists the options",
		    argv[optind]);
	} else if (explains) {
		typed = command_line(argc, argv);
		explanation.json = output == JSON;
		explanation.page = page;
		explanation.command = typed;
		status = explain(&scope, &filter, &explanation);
		free(typed);
	} else if (log) {
		form.json = output == JSON;
		log_print(&scope, &filter, &form);
		status = DONE;
	} else if (totals) {
		scope.totals = true;
		status = show_totals(&scope, output);
	} else if (output == LIVE) {
		live(&scope, &filter, key, reverse, groups, seconds);
		status = DONE;
	} else if (metrics.http && !http_receive(&http)) {
		status = DONE;
	} else {
		status = show(&scope, &filter, key, reverse, groups, output,
			      &check, &metrics);
	}

	/* The disk is full, or the reader has gone. */
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %m");
	return status;
}
