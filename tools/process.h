/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files that deal with the processes that have sockets open: process.c
 * finds them, and holders.c puts them in order.
 */
#ifndef LISTENQ_TOOL_PROCESS_H
#define LISTENQ_TOOL_PROCESS_H

#include "cgroup.h"
#include "procdir.h"

/**
 * struct process - a process to look at
 * @pid: its number
 * @rank: processes of a lower rank are looked at first
 * @at: the position in its directory of descriptors where the search goes on
 * @done: all of its descriptors were looked at
 * @comm: its name, escaped as in the kernel's files; empty until it is found to hold
 *	a wanted socket
 * @parent: its parent's number, set with @comm
 * @membership: its unit, pod or container, set with @comm
 */
struct process {
	int pid;
	int rank;
	long at;
	bool done;
	char comm[64];
	int parent;
	struct membership *membership;
};

/**
 * struct hold - a process that has a socket open
 * @listener: the index of the listener
 * @process: the process
 * @follows: a child of the process has the socket open, too
 * @generation: how many of its ancestors have the socket open
 */
struct hold {
	size_t listener;
	struct process *process;
	bool follows;
	int generation;
};

void name_holders(struct listener *const listener[], struct hold *hold,
		  size_t holds, bool others);

#endif /* LISTENQ_TOOL_PROCESS_H */
