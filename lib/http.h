/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of HTTPS, over libcurl: TLS 1.3 only, one CA, optional client certificate, kept
 * connections. A struct http belongs to one thread at a time; make one for each thread that talks.
 * http_global_init() once before threads start; it also makes the program ignore SIGPIPE. Redirects
 * are never followed, and nothing of the environment (proxies, CAs) counts.
 */
#ifndef MOBILITY_HTTP_H
#define MOBILITY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/http_link.h"

struct http_config {
	const char *ca_file; /* NULL: the peer is not authenticated (GET /v1/ca only) */
	const char *cert_file, *key_file; /* NULL: no client certificate */
	const char *proxy; /* "http://[user:pass@]host:port", NULL: none; also CONNECT */
	const char
		*no_proxy; /* hosts, .domains and networks reached without it, "a,.b,10.0.0.0/8" */
	struct http_link *link; /* shared with other clients; outlives them; NULL: none */
	uint64_t connect_timeout_ns; /* 0: 10 s */
	uint64_t stall_timeout_ns; /* less than 1 byte/s for this long ends the request; 0: 30 s */
	/*
	 * Checked about once a second and between; NULL: never. Another thread sets it with
	 * __atomic_store_n(), any memory order.
	 */
	const volatile bool *cancel;
};

struct http;
int http_global_init(struct err *e);
struct http *http_new(const struct http_config *c, struct err *e); /* strings are copied */
void http_free(struct http *h);
void http_freep(struct http **h);

/*
 * -EINVAL: it is not http://[user:password@]host:port as libcurl takes it (without a port libcurl would
 * take 1080), or goes on after that, as after a / in a password, the rest of which would then be no
 * secret. Any thread, also before http_global_init().
 */
int http_check_proxy(const char *proxy);

struct http_response {
	long status; /* 0: no whole answer */
	char *body; /* owned; always followed by a 0 byte */
	size_t body_len;
	uint64_t retry_after_s; /* 0: none given */
	uint64_t sent_bytes; /* body bytes put on the wire, for accounting */
	char server_timing[128]; /* the header of that name; "" if there is none */
};
void http_response_clear(struct http_response *r);

/*
 * One request; body may be NULL (len 0). Answers longer than max_answer are an error. Returns 0
 * when a whole answer came, of whatever status; else a negative errno (-ECONNREFUSED, -ETIMEDOUT,
 * -ECONNRESET, -EKEYREJECTED for TLS trust, -ENOKEY for files of ours, -ECANCELED, -EHOSTUNREACH …) with a sentence that names
 * the URL.
 */
int http_request(struct http *h, const char *method, const char *url, const char *content_type,
		 const void *body, size_t len, size_t max_answer, struct http_response *r,
		 struct err *e);

#endif
