/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rooms share that are about who has sockets open: process.c searches,
 * and holders.c says who of those that were found comes first.
 */
#ifndef LISTENQ_TOOL_PROCESS_H
#define LISTENQ_TOOL_PROCESS_H

#include "cgroup.h"
#include "procdir.h"

/**
 * struct process - one to look at
 * @pid: its number
 * @rank: those of a lower one come first
 * @at: where in its descriptors the search goes on
 * @done: all of them were looked at
 * @comm: its name, escaped as the kernel's files are; empty until it is seen to
 *	hold something
 * @parent: the number of its parent, from then on
 * @membership: the unit or container that it belongs to, from then on
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
 * struct hold - a process has a socket open
 * @listener: which, among those that are wanted
 * @process: the process
 * @follows: it has a child that has the socket open, too
 * @generation: how many of its ancestors have
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
