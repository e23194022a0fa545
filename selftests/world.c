// SPDX-License-Identifier: GPL-2.0-only
/* What cases of traffic are made of; world.h says what each is for. */

#define _GNU_SOURCE
#include "kselftest.h"
#include "strangers.h"
#include "world.h"

bool has_sysctl(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	return !access(path, F_OK);
}

void try_sysctl(const char *name, int value)
{
	if (has_sysctl(name))
		lq_set_sysctl(name, value);
}

void did(struct world *w, enum term what, long long count)
{
	w->did[what] += count;
}

void did_requests(struct world *w, long long count)
{
	did(w, SYNS, count);
	did(w, REQUESTS, count);
}

int world_keeps(struct world *w, int fd)
{
	must(w->listener_count < WORLD_FDS);
	w->listeners[w->listener_count++] = fd;
	return fd;
}

int world_listener(struct world *w, int backlog)
{
	return world_keeps(w, lq_listener_any(w->server, backlog));
}

struct lq_addr world_addr(struct world *w, int fd)
{
	return lq_addr(w->client, lq_loopback(w->client), lq_port(fd));
}

int world_socket(struct world *w, int flags)
{
	int client = socket(w->client, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	must(client >= 0 && w->client_count < WORLD_FDS);
	w->clients[w->client_count++] = client;
	return client;
}

int world_client(struct world *w, int fd)
{
	struct lq_addr addr = world_addr(w, fd);
	int client = world_socket(w, 0);

	if (connect(client, &addr.sa, addr.len))
		err(1, "connect");
	return client;
}

void world_clients(struct world *w, int fd, int count)
{
	long long before = lq_num_at(fd, "acceptq");

	for (int i = 0; i < count; i++)
		world_client(w, fd);
	must_come(lq_num_at(fd, "acceptq") == before + count);
}

int world_syns(struct world *w, int fd, int count)
{
	int first = w->stranger;

	lq_send_syns(w->client, lq_port(fd), first, count);
	w->stranger += count;
	return first;
}

int world_strangers(struct world *w, int fd, int count, unsigned int *isns)
{
	int first = world_syns(w, fd, count);

	wire_synacks(w->wire, first, count, isns);
	return first;
}

void world_expects(struct world *w, int fd, enum term what, long long value)
{
	struct ledger *ledger = ledger_read();
	const struct ledger_row *row = ledger_row(ledger, fd);

	w->faults += !ledger_agrees(row->local, term_names[what], value,
				    row->of[what], lq_missed() - w->missed);
	ledger_free(ledger);
}

static const struct {
	const char *name;
	int value;
} settings[] = {
	{ "ipv4/tcp_syncookies", 1 },
	{ "ipv4/tcp_abort_on_overflow", 0 },
	{ "ipv4/tcp_synack_retries", 5 },
	{ "ipv4/tcp_max_syn_backlog", 4096 },
	{ "ipv4/tcp_invalid_ratelimit", 500 },
	{ "ipv4/tcp_fastopen", 0 },
	{ "ipv4/tcp_migrate_req", 0 },
};

void world_settle(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		try_sysctl(settings[i].name, settings[i].value);
}

void world_begin(struct world *w, int server, int client)
{
	memset(w, 0, sizeof(*w));
	w->server = server;
	w->client = client;
	w->missed = lq_missed();
	lq_dummy_up();
	w->wire = wire_open();
}
