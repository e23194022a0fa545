// SPDX-License-Identifier: GPL-2.0-only
/* listenq(8): what the queues of TCP listeners hold, for people. */

#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "listenq.h"

enum { CHECK_OPTION = 256, MAX_OPTION, PROC_OPTION };

/* So many sets of labels has a machine that has nothing unusual. */
#define LABEL_SETS_MAX	1000

static const struct option options[] = {
	{ "all",	no_argument,		NULL, 'a' },
	{ "netns",	required_argument,	NULL, 'N' },
	{ "port",	required_argument,	NULL, 'p' },
	{ "address",	required_argument,	NULL, 'A' },
	{ "process",	required_argument,	NULL, 'P' },
	{ "sort",	required_argument,	NULL, 's' },
	{ "reverse",	no_argument,		NULL, 'r' },
	{ "watch",	no_argument,		NULL, 'w' },
	{ "json",	no_argument,		NULL, 'j' },
	{ "metrics",	optional_argument,	NULL, 'm' },
	{ "output",	required_argument,	NULL, 'o' },
	{ "max",	required_argument,	NULL, MAX_OPTION },
	{ "check",	no_argument,		NULL, CHECK_OPTION },
	{ "proc",	required_argument,	NULL, PROC_OPTION },
	{ "help",	no_argument,		NULL, 'h' },
	{ "version",	no_argument,		NULL, 'V' },
	{ }
};

static const char usage[] =
"usage: listenq [-a | -N NETNS] [FILTER] [-s KEY] [-r] [-j | -w [SECONDS]]\n"
"       listenq [-a | -N NETNS] [FILTER] -m [-o FILE] [--max COUNT]\n"
"       listenq [-a | -N NETNS] [FILTER] --check [PERCENT]\n"
"       listenq [-N NETNS] clamp [-f FILE | RULE[, RULE]...]\n"
"\n"
"Shows the accept queue and the SYN queue of each TCP listener, fullest first.\n"
"\n"
"  -w, --watch [SECONDS]  live, every second or as often as said; ? for keys\n"
"  -j, --json             JSON: every column by name, null where unknown\n"
"  -m, --metrics[=FORMAT] for Prometheus; FORMAT: prometheus or openmetrics\n"
"  -o, --output FILE      with -m: into a file, whole or not at all\n"
"      --max COUNT        with -m: of so many different listeners (1000)\n"
"      --check [PERCENT]  for monitoring: exit code 1 if a queue is fuller than\n"
"                         that (80), 0 if none is, 2 on trouble\n"
"  -N, --netns NETNS      of a namespace: name in /run/netns, path, or process\n"
"  -a, --all              of all named namespaces and of those of all processes\n"
"  -p, --port PORT        FILTER: port, or range of ports such as 8000-8099\n"
"  -A, --address ADDRESS  FILTER: address, or prefix such as 10.0.0.0/8\n"
"  -P, --process PROCESS  FILTER: number of a process, or part of its name\n"
"  -s, --sort KEY         fill, overflows, oldest, synq, syns, local, process\n"
"  -r, --reverse          the other way round\n"
"      --proc DIR         read DIR/net/listenq instead of /proc/net/listenq\n"
"  -h, --help             this text\n"
"  -V, --version          the version\n"
"\n"
"clamp prints the rules that override net.core.somaxconn, or writes some:\n"
"  listenq clamp 8080 floor 1024\n"
"  listenq clamp 8080 clear\n"
"listenq(8) has the details.\n";

enum output { TABLE, LIVE, JSON, METRICS, CHECK };

static enum sort_key sort_key(const char *name)
{
	for (int i = 0; i < SORT_KEYS; i++)
		if (!strcmp(sort_names[i], name))
			return i;
	die("-s %s: the keys are fill, overflows, oldest, synq, syns, local and process",
	    name);
}

/* The number that may follow an option as a word of its own. */
static const char *optional_number(int argc, char **argv)
{
	if (optind < argc && *argv[optind] >= '0' && *argv[optind] <= '9')
		return argv[optind++];
	return NULL;
}

static void set_output(enum output *output, enum output to)
{
	if (*output != TABLE && *output != to)
		die("-w, -j, -m and --check: name one of them");
	*output = to;
}

static int show(const struct scope *scope, const struct filter *filter,
		enum sort_key key, bool reverse, enum output output,
		long long percent, const struct metrics *metrics)
{
	struct listener **chosen;
	struct snapshot snapshot;
	int status = DONE;
	const char *why;
	size_t count;

	why = snapshot_take(scope, &snapshot);
	if (why && output == CHECK) {
		printf("LISTENQ UNKNOWN - %s\n", why);
		return TROUBLE;
	}
	if (why && output == METRICS && metrics->file)
		why = metrics_print(metrics, NULL, NULL, 0) ?: why;
	if (why)
		die("%s", why);
	chosen = choose(&snapshot, filter, key, reverse, &count);
	if (output == CHECK) {
		status = check_print(chosen, count, percent);
	} else {
		process_find(chosen, count);
		if (output == JSON)
			json_print(chosen, count);
		else if (output == METRICS)
			why = metrics_print(metrics, &snapshot, chosen, count);
		else
			table_print(chosen, count,
				    scope->all ? TABLE_NETNS : 0);
	}
	if (why)
		die("%s", why);
	free(chosen);
	snapshot_free(&snapshot);
	return status;
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

int main(int argc, char **argv)
{
	struct metrics metrics = { .max = LABEL_SETS_MAX };
	struct filter filter = { .last_port = 65535 };
	enum sort_key key = BY_FILL;
	enum output output = TABLE;
	struct scope scope = { };
	const char *why = NULL, *number;
	long long percent = 80;
	bool reverse = false, max = false;
	struct rlimit limit;
	double seconds = 1;
	int option, status;

	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");

	while ((option = getopt_long(argc, argv, "+aN:p:A:P:s:rwjmo:hV",
				     options, NULL)) != -1) {
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
		case 's':
			key = sort_key(optarg);
			break;
		case 'r':
			reverse = true;
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
			scope.waits = true;
			break;
		case 'm':
			set_output(&output, METRICS);
			metrics.openmetrics = is_openmetrics(optarg);
			scope.waits = true;
			scope.totals = true;
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
		case CHECK_OPTION:
			set_output(&output, CHECK);
			number = optional_number(argc, argv);
			if (number && !parse_number(number, 0, 1000, &percent))
				why = trouble("--check %s: percents from 0 to 1000",
					      number);
			break;
		case PROC_OPTION:
			proc_dir = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return DONE;
		case 'V':
			puts("listenq " LISTENQ_VERSION);
			return DONE;
		default:
			fputs("listenq -h lists the options\n", stderr);
			return TROUBLE;
		}
		if (why)
			die("%s", why);
	}
	if (scope.all && scope.netns)
		die("-a and -N: name one of them");
	if ((scope.all || scope.netns) && strcmp(proc_dir, "/proc"))
		die("--proc reads one namespace's files: leave out -a and -N");
	if ((metrics.file || max) && output != METRICS)
		die("-o and --max: they go with -m");
	if (scope.all && !getrlimit(RLIMIT_NOFILE, &limit)) {
		/* A descriptor for each namespace. */
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}

	if (optind < argc && !strcmp(argv[optind], "clamp")) {
		status = clamp_main(argc - optind, argv + optind, &scope);
	} else if (optind < argc) {
		die("'%s' is not understood: -h lists the options",
		    argv[optind]);
	} else if (output == LIVE) {
		live(&scope, &filter, key, reverse, seconds);
		status = DONE;
	} else {
		status = show(&scope, &filter, key, reverse, output, percent,
			      &metrics);
	}

	/* A full disk, or a reader that has gone. */
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %m");
	return status;
}
