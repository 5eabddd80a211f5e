/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of http.c, as curl's callbacks see it: where its body comes from and its answer goes to, at what pace, and why it was
 * given up. For http.c alone; all of it is called from the thread that performs the request.
 */
#ifndef MOBILITY_HTTP_EXCHANGE_H
#define MOBILITY_HTTP_EXCHANGE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/http.h"
#include "lib/http_error.h"

struct exchange {
	CURL *curl;
	struct http_link *link; /* NULL: nothing shared, no pace */
	const volatile bool *cancel; /* NULL: never */
	uint64_t stall_timeout_ns;
	struct http_response *response;
	const char *body; /* what is sent */
	size_t body_len, body_sent;
	size_t max_answer, capacity, header_bytes;
	curl_off_t moved; /* bytes in both directions when last looked */
	uint64_t moved_at; /* monotonic */
	uint64_t counted_at; /* until when the link knows of this exchange; monotonic */
	enum http_abort abort;
};

/* Does anybody want the request to end? */
bool exchange_cancelled(const struct exchange *x);

/* An upload may last for minutes: what it takes is counted as it goes, up to now (monotonic, ns). */
void exchange_count(struct exchange *x, uint64_t now);

/* curl's callbacks; user is the struct exchange. */
size_t exchange_on_body(char *data, size_t size, size_t n, void *user);
size_t exchange_on_header(char *data, size_t size, size_t n, void *user);
size_t exchange_on_read(char *out, size_t size, size_t n, void *user);
int exchange_on_seek(void *user, curl_off_t offset, int origin);
int exchange_on_progress(void *user, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
			 curl_off_t ulnow);

#endif
