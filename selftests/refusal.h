/* SPDX-License-Identifier: GPL-2.0-only */
/* What the file refused holds: who was turned away last, and what it lacks. */
#ifndef LISTENQ_SELFTEST_REFUSAL_H
#define LISTENQ_SELFTEST_REFUSAL_H

#include "listenq.h"

/* The file has no more rows. */
#define REFUSALS	1024

struct refusal {
	long long ago_ms;
	char local[64];
	char remote[64];
	char why[16];
	/* LQ_NONE for "-". */
	long long limit;
	long long acceptq;
	long long synq;
	char cookie[20];
	char comm[64];
	long long number;
};

struct refusals {
	int count;
	/* What the notes behind the rows say. */
	bool silenced;
	long long unkept;
	struct refusal of[REFUSALS];
};

/*
 * What @text says, to be freed; it ends the program where that is not what the file
 * may hold: a header, whole lines in the order of time, numbers none of which comes
 * twice, and notes.
 */
struct refusals *refusals_parse(const char *text);
/* Of a file that is open, from its beginning; NULL with an errno. */
struct refusals *refusals_of(int fd);
/* Of this network namespace. */
struct refusals *refusals_read(void);

/* The highest number; 0 where there is none. */
long long refusals_newest(const struct refusals *refusals);
/* How many rows have a number above @number; and those give @why as the reason. */
int refusals_since(const struct refusals *refusals, long long number);
int refusals_for(const struct refusals *refusals, const char *why);

/* The same of this network namespace, by now. */
long long refused_newest(void);
int refused_since(long long number);
/*
 * Whether @count were turned away there, but for @slack: each has a number, or there
 * was no room for it, or both. Said, if not.
 */
bool refused_agrees(long long count, long long slack);

#endif
