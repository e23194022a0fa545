// SPDX-License-Identifier: GPL-2.0-only
/* What a thread waits for, by the kernel function in which it sleeps. */

#include <string.h>

#include "explain.h"

/* Functions without an entry have names that say as much. */
static const struct {
	const char *start;
	const char *meaning;
} meanings[] = {
	{ "futex_", "a lock or condition of the program's own (futex)" },
	{ "ep_poll", "events of other descriptors (epoll)" },
	{ "do_epoll_wait", "events of other descriptors (epoll)" },
	{ "do_sys_poll", "events of other descriptors (poll)" },
	{ "poll_schedule_timeout", "events of other descriptors (poll or select)" },
	{ "do_select", "events of other descriptors (select)" },
	{ "hrtimer_nanosleep", "the time to pass (it sleeps)" },
	{ "do_nanosleep", "the time to pass (it sleeps)" },
	{ "common_nsleep", "the time to pass (it sleeps)" },
	{ "do_wait", "one of its children to end (wait)" },
	{ "kernel_wait4", "one of its children to end (wait)" },
	{ "pipe_read", "something to read from a pipe" },
	{ "pipe_write", "room in a pipe: nobody reads it" },
	{ "anon_pipe_read", "something to read from a pipe" },
	{ "anon_pipe_write", "room in a pipe: nobody reads it" },
	{ "sk_wait_data", "data from a connection" },
	{ "wait_woken", "a connection: data, or room to send" },
	{ "sk_stream_wait_memory", "room to send to a connection" },
	{ "inet_wait_for_connect", "a connection of its own to be made" },
	{ "inet_stream_connect", "a connection of its own to be made" },
	{ "__inet_stream_connect", "a connection of its own to be made" },
	{ "inet_csk_accept", "a connection: in accept() of another listener" },
	{ "unix_stream_read_generic", "data from a Unix socket" },
	{ "unix_wait_for_peer", "a full Unix socket to get room" },
	{ "sock_alloc_send_pskb", "room to send to a Unix socket" },
	{ "do_sys_pause", "a signal (pause)" },
	{ "__do_sys_pause", "a signal (pause)" },
	{ "sigsuspend", "a signal (sigsuspend)" },
	{ "do_sigtimedwait", "a signal (sigwait)" },
	{ "n_tty_read", "somebody to type at its terminal" },
	{ "fcntl_setlk", "a lock on a file" },
	{ "locks_lock_inode_wait", "a lock on a file" },
	{ "flock_lock_inode_wait", "a lock on a file" },
	{ "do_semtimedop", "a semaphore (System V)" },
	{ "do_msgrcv", "a message (System V)" },
	{ "fuse_", "a FUSE file system: the program that serves it" },
	{ "request_wait_answer", "a FUSE file system: the program that serves it" },
	{ "nfs", "an NFS server" },
	{ "rpc_wait_bit_killable", "an NFS server" },
	{ "io_schedule", "a disk" },
	{ "folio_wait_bit", "a disk" },
	{ "wait_on_page_bit", "a disk" },
	{ "jbd2_", "a disk (the journal of ext4)" },
	{ "io_cqring_wait", "an io_uring to complete something" },
};

/* What a thread in that function waits for; NULL if this program doesn't know. */
const char *wchan_meaning(const char *wchan)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (!strncmp(wchan, meanings[i].start,
			     strlen(meanings[i].start)))
			return meanings[i].meaning;
	return NULL;
}
