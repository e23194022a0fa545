/* SPDX-License-Identifier: GPL-2.0-only */
/* A request for metrics on standard input, and its answer: http.c. */
#ifndef LISTENQ_TOOL_HTTP_H
#define LISTENQ_TOOL_HTTP_H

#include "listenq.h"

/**
 * struct http - a request
 * @head: the client wants only the header of the answer
 */
struct http {
	bool head;
};

bool http_receive(struct http *http);
void http_send(const struct http *http, bool openmetrics, const char *text,
	       size_t size);

#endif /* LISTENQ_TOOL_HTTP_H */
