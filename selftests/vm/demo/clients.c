// SPDX-License-Identifier: GPL-2.0-only
/* clients PORT NUMBER: that many connections to 127.0.0.1, held until killed. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, i;

	if (argc != 3)
		errx(1, "usage: clients PORT NUMBER");
	addr.sin_port = htons(atoi(argv[1]));
	for (i = 0; i < atoi(argv[2]); i++) {
		/* Not blocking: some of them won't get in. */
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fd < 0)
			err(1, "socket");
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
		    errno != EINPROGRESS)
			err(1, "connect");
	}
	for (;;)
		pause();
}
