/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files below the proc directory, read whole: procdir.c. */
#ifndef LISTENQ_TOOL_PROCDIR_H
#define LISTENQ_TOOL_PROCDIR_H

#include "listenq.h"

/* The directory of an earlier moment in saved files. */
#define BEFORE	"before"

/* Of what stat has behind the name (proc_pid_stat(5)), in that order. */
enum stat_value {
	STAT_STATE, STAT_PARENT, STAT_UTIME = 11, STAT_STIME, STAT_STARTTIME = 19, STAT_VALUES
};

char *proc_bytes(const char *name, size_t max, size_t *length);
char *proc_text(size_t max, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool proc_has(int pid);
void proc_comm(int pid, char *comm, size_t size);
bool proc_link(char target[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
long long proc_number(const char *name);
void split_stat(char *text, const char *value[STAT_VALUES]);
long long proc_uptime_ms(void);
long long proc_started_ms(int pid);
bool proc_is_live(void);
long long proc_age_ms(const char *name);
bool proc_before(char dir[PATH_MAX]);

#endif /* LISTENQ_TOOL_PROCDIR_H */
