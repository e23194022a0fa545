// SPDX-License-Identifier: GPL-2.0-only
/*
 * slow-server PORT BACKLOG MILLISECONDS: a server that takes that long over
 * each customer before it accepts the next. SIGUSR1 makes it hurry.
 */
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int listener, conn, one = 1;
	struct timespec pace;
	sigset_t hurry;

	if (argc != 4)
		errx(1, "usage: slow-server PORT BACKLOG MILLISECONDS");
	addr.sin_port = htons(atoi(argv[1]));
	pace.tv_sec = atoi(argv[3]) / 1000;
	pace.tv_nsec = atoi(argv[3]) % 1000 * 1000000L;

	/* Blocked, so that it waits to be asked for. */
	sigemptyset(&hurry);
	sigaddset(&hurry, SIGUSR1);
	sigprocmask(SIG_BLOCK, &hurry, NULL);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0)
		err(1, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "bind");
	if (listen(listener, atoi(argv[2])))
		err(1, "listen");

	while ((conn = accept(listener, NULL, NULL)) >= 0) {
		if (sigtimedwait(&hurry, NULL, &pace) == SIGUSR1)
			pace = (struct timespec){ 0 };
		close(conn);
	}
	err(1, "accept");
}
