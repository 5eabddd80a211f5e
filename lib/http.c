/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/http_error.h"
#include "lib/http_exchange.h"
#include "lib/http_proxy.h"

#define CONNECT_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define STALL_TIMEOUT_NS (30 * NSEC_PER_SEC)
#define UPLOAD_BUFFER (512l << 10)
#define KEEPALIVE_IDLE_S 30l
#define KEEPALIVE_STEP_S 10l

struct http {
	CURL *curl;
	char *no_proxy;
	uint64_t stall_timeout_ns, connect_timeout_ns;
	const volatile bool *cancel;
	struct http_link *link; /* NULL: nothing shared */
	bool small; /* the connection made last has small segments */
	char reason[CURL_ERROR_SIZE];
};

int http_global_init(struct err *e)
{
	/*
	 * TLS writes to a socket that the peer has closed; curl does not mask the signal with
	 * NOSIGNAL
	 */
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(e, -ENOMEM, "cannot start libcurl");
	return 0;
}

static int on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
	struct http *h = user;
	uint64_t patience = h->stall_timeout_ns;

	(void)purpose;
	if (patience < h->connect_timeout_ns)
		patience = h->connect_timeout_ns;
	h->small = http_link_small(h->link, clock_monotonic_ns());
	http_link_prepare(fd, h->small, patience);
	return CURL_SOCKOPT_OK;
}

static void set_tls(CURL *c, const struct http_config *config, CURLcode *r)
{
	bool verify = config->ca_file;

#define SET(option, value) (*r = *r ? *r : curl_easy_setopt(c, option, value))
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	SET(CURLOPT_CAPATH, NULL); /* the system's CAs are not trusted */
	SET(CURLOPT_CAINFO, config->ca_file);
	SET(CURLOPT_SSL_VERIFYPEER, verify ? 1l : 0l);
	SET(CURLOPT_SSL_VERIFYHOST, verify ? 2l : 0l);
	if (config->cert_file) {
		SET(CURLOPT_SSLCERT, config->cert_file);
		SET(CURLOPT_SSLKEY, config->key_file);
	}
}

static void set_network(CURL *c, const struct http_config *config, uint64_t connect, CURLcode *r)
{
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0l);
	/* what the environment says about proxies does not count */
	SET(CURLOPT_PROXY, config->proxy ? config->proxy : "");
	SET(CURLOPT_HTTPPROXYTUNNEL, config->proxy ? 1l : 0l);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1l);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect / 1000000 ? connect / 1000000 : 1));
	SET(CURLOPT_TCP_KEEPALIVE, 1l);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_STEP_S);
	SET(CURLOPT_NOSIGNAL, 1l);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
}

static CURLcode set_up(struct http *h, const struct http_config *config)
{
	CURL *c = h->curl;
	CURLcode code = CURLE_OK, *r = &code;

	set_tls(c, config, r);
	set_network(c, config, h->connect_timeout_ns, r);
	SET(CURLOPT_ERRORBUFFER, h->reason);
	SET(CURLOPT_NOPROGRESS, 0l);
	SET(CURLOPT_XFERINFOFUNCTION, exchange_on_progress);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(CURLOPT_SOCKOPTDATA, h);
	SET(CURLOPT_READFUNCTION, exchange_on_read);
	SET(CURLOPT_SEEKFUNCTION, exchange_on_seek);
	SET(CURLOPT_WRITEFUNCTION, exchange_on_body);
	SET(CURLOPT_HEADERFUNCTION, exchange_on_header);
	SET(CURLOPT_USERAGENT, "mobility");
	return code;
}

struct http *http_new(const struct http_config *config, struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h) {
		err_errno(e, -ENOMEM, "cannot make an HTTPS client");
		return NULL;
	}
	h->stall_timeout_ns = config->stall_timeout_ns;
	if (!h->stall_timeout_ns)
		h->stall_timeout_ns = STALL_TIMEOUT_NS;
	h->connect_timeout_ns = config->connect_timeout_ns;
	if (!h->connect_timeout_ns)
		h->connect_timeout_ns = CONNECT_TIMEOUT_NS;
	h->cancel = config->cancel;
	h->link = config->link;
	h->curl = curl_easy_init();
	h->no_proxy = strdup(config->no_proxy ? config->no_proxy : "");

	CURLcode code = h->curl && h->no_proxy ? set_up(h, config) : CURLE_OUT_OF_MEMORY;

	if (code) {
		err_set(e, -EINVAL, "cannot make an HTTPS client: %s", curl_easy_strerror(code));
		http_free(h);
		return NULL;
	}
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	free(h->no_proxy);
	free(h);
}

void http_freep(struct http **h)
{
	http_free(*h);
}

void http_response_clear(struct http_response *r)
{
	free(r->body);
	memset(r, 0, sizeof(*r));
}

static void slist_freep(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return false;
	*list = longer;
	return true;
}

static struct curl_slist *make_headers(const char *content_type)
{
	_cleanup_free_ char *type = NULL;
	struct curl_slist *list = NULL;

	if (asprintf(&type, "Content-Type:%s%s", content_type ? " " : "",
		     content_type ? content_type : "") < 0) {
		type = NULL;
		return NULL;
	}
	if (!add_header(&list, "Expect:") || !add_header(&list, type)) {
		curl_slist_free_all(list);
		return NULL;
	}
	return list;
}

static CURLcode set_request(struct http *h, const char *method, const char *url,
			    struct curl_slist *headers, bool body, size_t len)
{
	bool has_body = body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
	CURLcode code = CURLE_OK, *r = &code;
	CURL *c = h->curl;

	SET(CURLOPT_URL, url);
	/* never what the environment says */
	SET(CURLOPT_NOPROXY, http_proxy_spared(h->no_proxy, url) ? "*" : h->no_proxy);
	SET(CURLOPT_HTTPHEADER, headers);
	if (has_body) {
		SET(CURLOPT_POST, 1l);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	} else {
		SET(CURLOPT_HTTPGET, 1l);
	}
	SET(CURLOPT_CUSTOMREQUEST, method);
	return code;
}

/* After the connection was made (a peer that is not there is another thing) nothing moved. */
static bool stood_still(CURL *c, CURLcode code, enum http_abort abort)
{
	curl_off_t connected = 0;

	curl_easy_getinfo(c, CURLINFO_CONNECT_TIME_T, &connected);
	if (abort == HTTP_ABORT_STALLED)
		return true;
	return connected > 0 && code == CURLE_OPERATION_TIMEDOUT;
}

static CURLcode perform(struct http *h, struct exchange *x)
{
	CURLcode code = CURLE_OK, *r = &code;
	CURL *c = h->curl;

	SET(CURLOPT_XFERINFODATA, x);
	SET(CURLOPT_READDATA, x);
	SET(CURLOPT_SEEKDATA, x);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_HEADERDATA, x);
	h->reason[0] = 0;
	if (!code)
		code = curl_easy_perform(c);
	exchange_count(x, clock_monotonic_ns());
	if (stood_still(c, code, x->abort))
		http_link_stalled(h->link, h->small, clock_monotonic_ns());
	return code;
}

/* No pointer of one request outlives it in the handle. */
static void forget_request(CURL *c)
{
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c, CURLOPT_READDATA, NULL);
	curl_easy_setopt(c, CURLOPT_SEEKDATA, NULL);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, NULL);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, NULL);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, NULL);
}

static void fill_response(CURL *c, struct http_response *r)
{
	curl_off_t retry = 0, sent = 0;
	struct curl_header *timing;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
	curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &retry);
	curl_easy_getinfo(c, CURLINFO_SIZE_UPLOAD_T, &sent);
	r->retry_after_s = retry > 0 ? (uint64_t)retry : 0;
	r->sent_bytes = sent > 0 ? (uint64_t)sent : 0;
	if (!curl_easy_header(c, "Server-Timing", 0, CURLH_HEADER, -1, &timing))
		snprintf(r->server_timing, sizeof(r->server_timing), "%s", timing->value);
}

static struct exchange begin_exchange(const struct http *h, const void *body, size_t len,
				      size_t max_answer, struct http_response *r)
{
	return (struct exchange){
		.curl = h->curl,
		.link = h->link,
		.cancel = h->cancel,
		.stall_timeout_ns = h->stall_timeout_ns,
		.response = r,
		.body = body,
		.body_len = len,
		.max_answer = max_answer,
		.moved_at = clock_monotonic_ns(),
		.counted_at = clock_monotonic_ns(),
	};
}

/* Gives the answer a body that can be read as a string even when it is empty. */
static int end_body(struct http_response *r)
{
	if (!r->body)
		r->body = calloc(1, 1);
	return r->body ? 0 : -ENOMEM;
}

int http_request(struct http *h, const char *method, const char *url, const char *content_type,
		 const void *body, size_t len, size_t max_answer, struct http_response *r,
		 struct err *e)
{
	struct exchange x = begin_exchange(h, body, len, max_answer, r);

	memset(r, 0, sizeof(*r));
	if (exchange_cancelled(&x))
		return http_error(h->curl, method, url, CURLE_ABORTED_BY_CALLBACK,
				  HTTP_ABORT_CANCELLED, h->reason, e);

	_cleanup_(slist_freep) struct curl_slist *headers = make_headers(content_type);
	CURLcode code =
		headers ? set_request(h, method, url, headers, body, len) : CURLE_OUT_OF_MEMORY;

	if (!code)
		code = perform(h, &x);

	int result = code ? http_error(h->curl, method, url, code, x.abort, h->reason, e) : 0;

	fill_response(h->curl, r);
	forget_request(h->curl);
	if (!result && end_body(r))
		result = err_errno(e, -ENOMEM, "cannot read the answer");
	if (result) {
		uint64_t sent = r->sent_bytes;

		http_response_clear(r);
		r->sent_bytes = sent;
	}
	return result;
}
