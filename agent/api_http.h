/* SPDX-License-Identifier: Apache-2.0 */
/* Inside api*.c alone: one request and what its answer means. The rules of api.h hold. */
#ifndef MOBILITY_AGENT_API_HTTP_H
#define MOBILITY_AGENT_API_HTTP_H

#include "agent/api.h"

struct api {
	struct http *http;
	char control[320], data[320]; /* "https://host:port" */
	uint64_t retry_after;
};

struct api_call {
	const char *method;
	bool data; /* on the data port */
	const char *path;
	const char *type; /* of the body; NULL: none */
	const void *body;
	size_t len;
	size_t max_answer;
};

/* The answer of a success; http_response_clear it always. */
int api_request(struct api *a, const struct api_call *c, struct http_response *r, struct err *e);
/* JSON both ways; body may be NULL. *answer (may be NULL) is owned by the caller. */
int api_json(struct api *a, const char *method, bool data, const char *path, const json_t *body,
	     json_t **answer, struct err *e);

#endif
