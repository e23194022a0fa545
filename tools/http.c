// SPDX-License-Identifier: GPL-2.0-only
/*
 * Take one HTTP/1.1 request from standard input, and answer it on standard output:
 * Prometheus' scrape, on a connection that systemd accepted (listenq-http.socket).
 * Nothing here listens, and nothing is kept from one request to the next.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"

/* Prometheus sends some 400 bytes. */
#define REQUEST_MAX	8192
/* The time for the request, and then for the answer. */
#define REQUEST_MS	5000
#define ANSWER_MS	20000

static bool wait_for(int fd, short events, long long until_ms)
{
	struct pollfd poll_for = { .fd = fd, .events = events };
	long long left = until_ms - now_ms();

	return left > 0 && poll(&poll_for, 1, left) > 0;
}

/* Send as much as the client takes in time: a slow one gets less. */
static bool send_all(const char *text, size_t size, long long until_ms)
{
	ssize_t sent;

	for (; size; text += sent, size -= sent) {
		sent = write(STDOUT_FILENO, text, size);
		if (sent >= 0)
			continue;
		sent = 0;
		if (errno != EAGAIN && errno != EINTR)
			return false;
		if (!wait_for(STDOUT_FILENO, POLLOUT, until_ms))
			return false;
	}
	return true;
}

static bool send_answer(const char *status, const char *type, const char *more,
			const char *text, size_t size, bool head)
{
	long long until_ms = now_ms() + ANSWER_MS;
	char header[512];
	int length;

	length = snprintf(header, sizeof(header),
			  "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
			  status, type, size, more);
	return send_all(header, length, until_ms) &&
	       (head || send_all(text, size, until_ms));
}

static void refuse(const char *status, const char *more)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "%s\n", status);

	send_answer(status, "text/plain; charset=utf-8", more, text, size, false);
}

/* Read up to the empty line; false if that was refused here, or the client has gone. */
static bool read_request(char request[REQUEST_MAX])
{
	long long until_ms = now_ms() + REQUEST_MS;
	size_t length = 0;
	ssize_t got;

	for (;;) {
		if (!wait_for(STDIN_FILENO, POLLIN, until_ms)) {
			refuse("408 Request Timeout", "");
			return false;
		}
		got = read(STDIN_FILENO, request + length,
			   REQUEST_MAX - 1 - length);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return false;
		/* No request has a NUL, and it would end the text here. */
		if (memchr(request + length, '\0', got)) {
			refuse("400 Bad Request", "");
			return false;
		}
		length += got;
		request[length] = '\0';
		if (strstr(request, "\r\n\r\n") || strstr(request, "\n\n"))
			return true;
		if (length == REQUEST_MAX - 1) {
			refuse("431 Request Header Fields Too Large", "");
			return false;
		}
	}
}

/*
 * Reading other users' namespaces may take half of the time that Prometheus waits,
 * 10 s by default: if they used up all of it, there would be no samples of the host
 * either.
 */
static void bound_others(const char *request)
{
	static const char name[] = "\nX-Prometheus-Scrape-Timeout-Seconds:";
	const char *timeout = strcasestr(request, name);
	double seconds = timeout ? strtod(timeout + strlen(name), NULL) : 0;

	if (!(seconds > 0))
		seconds = 8;
	else if (seconds > 20)
		seconds = 20;
	others_bounds.until_ms = seconds * 1000 / 2;
}

/* Whether metrics are asked for; if not, answer. @head: without the text. */
static bool is_for_metrics(char *request, bool *head)
{
	char *method = request, *path, *version, *end;

	request[strcspn(request, "\r\n")] = '\0';
	path = strchr(method, ' ');
	version = path ? strchr(path + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", strlen(" HTTP/1."))) {
		refuse("400 Bad Request", "");
		return false;
	}
	*path++ = '\0';
	*version = '\0';
	end = strchr(path, '?');
	if (end)
		*end = '\0';
	if (strcmp(path, "/metrics")) {
		refuse("404 Not Found", "");
		return false;
	}
	*head = !strcmp(method, "HEAD");
	if (!*head && strcmp(method, "GET")) {
		refuse("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
		return false;
	}
	return true;
}

/**
 * http_receive() - receive a request
 * @http: filled
 *
 * Takes at most REQUEST_MS, whatever the client does.
 *
 * Return: whether metrics are asked for; any other request was answered.
 */
bool http_receive(struct http *http)
{
	static char request[REQUEST_MAX];
	struct stat stat;

	/*
	 * Never wait for the client. A terminal is left alone: other programs use
	 * it, too.
	 */
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
		if (!fstat(fd, &stat) && S_ISSOCK(stat.st_mode))
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	/* A client that has gone is not an error. */
	signal(SIGPIPE, SIG_IGN);
	if (!read_request(request))
		return false;
	bound_others(request);
	return is_for_metrics(request, &http->head);
}

/**
 * http_send() - answer the request that http_receive() received
 * @http: the request
 * @openmetrics: in the format OpenMetrics, not in Prometheus' own
 * @text: the metrics
 * @size: their length
 *
 * A client that is too slow gets a part, and notices by the length.
 */
void http_send(const struct http *http, bool openmetrics, const char *text,
	       size_t size)
{
	send_answer("200 OK", openmetrics ?
		    "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		    "text/plain; version=0.0.4; charset=utf-8", "", text, size,
		    http->head);
}
