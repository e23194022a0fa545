// SPDX-License-Identifier: GPL-2.0-only
/* What "?" shows in the live view: its keys, and all columns of the table. */

#include <string.h>

#include "live.h"

static const char * const lines[] = {
	"Up Down PgUp PgDn Home End   mark a listener; here, the rest of this",
	"Enter                        all about it: what became of its SYNs, requests and",
	"                             connections, whom it has turned away last, how many",
	"                             per second, and histograms of times",
	"Esc                          back to the table; the filter off",
	"/                            filter by address, process, unit, protocol, netns",
	"s S                          sort by the next key, by the one before",
	"f o w y n l p                sort by fill, overflows, oldest wait, SYN queue,",
	"                             SYNs, address, process",
	"r                            the other way round",
	"g                            a line for each SO_REUSEPORT group; Enter unfolds",
	"space                        pause, and go on",
	"q                            quit",
	"",
	"NETNS      its network namespace, as -N takes it",
	"PROTO      tcp, tcp6; mptcp, mptcp6; unix",
	"LOCAL      where it listens; of a Unix socket, the path, or @ and a name",
	"PROCESS    who can accept from it, workers before their master",
	"PID        its number, and how many more can",
	"UNIT       the systemd unit that it belongs to, or its container or pod",
	"SOCKET     its cookie, where rows of a group would look alike",
	"GROUP      how many sockets its SO_REUSEPORT group has",
	"ACCEPTQ    connections that wait for accept(); the bar is full when it is",
	"FULLEST    of a group: the fullest queue of its sockets",
	"BUSIEST    the share of its connections that the busiest has accepted",
	"LAZIEST    the same of the laziest",
	"PEAK       the most there were, since listen() or since somebody reset that",
	"1MIN       the most there were in the last minute",
	"OLDEST     for how long the first of them has been waiting",
	"ACC/S      connections accepted, per second",
	"ACCEPTS    the same in all",
	"OVF/S      overflows: refused because the accept queue was full, per second",
	"OVF        the same in all; of a Unix socket, EAGAINs of connect()",
	"LAST       time since the last overflow",
	"WAITED     of a Unix socket: connect() calls that had to wait for room",
	"SYNQ       requests whose handshake is not finished",
	"SYNPEAK    the most there were, as PEAK",
	"SYN1MIN    the most there were in the last minute",
	"SYN/S      SYNs that came, per second",
	"SYNS       the same in all",
	"SYNDROPS   SYNs dropped because the SYN queue was full",
	"RESERVED   SYNs dropped since a reserved quarter was left alone, cookies off",
	"COOKIES    SYNs answered with a SYN cookie",
	"SKDROPS    the kernel's count for the socket; healthy segments move it, too",
	"LIMIT      of both queues; before it, what was asked for where that is different",
	"             !  somaxconn has clamped it    r  a rule acts on it",
	"SET BY     the same in words",
};

/* NULL after the last one. */
const char *help_line(size_t line)
{
	return line < ARRAY_SIZE(lines) ? lines[line] : NULL;
}

size_t help_lines(void)
{
	return ARRAY_SIZE(lines);
}

/* A line from @length on, without leading blanks. */
static const char *behind(const char *line, size_t length)
{
	return line + length + strspn(line + length, " ");
}

/**
 * help_column() - describe a column of the table
 * @title: the column's title
 * @text: filled
 *
 * Return: false if there is no description.
 */
bool help_column(const char *title, char text[TEXT_SIZE])
{
	size_t length = strlen(title), used, i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strncmp(lines[i], title, length) && lines[i][length] == ' ')
			break;
	if (i == ARRAY_SIZE(lines))
		return false;
	used = snprintf(text, TEXT_SIZE, "%s", behind(lines[i], length));
	while (++i < ARRAY_SIZE(lines) && *lines[i] == ' ')
		used += snprintf(text + used, TEXT_SIZE - used, "; %s",
				 behind(lines[i], 0));
	return true;
}
