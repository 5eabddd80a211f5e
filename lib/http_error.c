/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http_error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/http_url.h"

/* The URL without user and password; NULL when it is none. Freed by curl_free. */
static char *public_url(const char *url)
{
	_cleanup_(url_freep) CURLU *u = curl_url();
	char *text = NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) ||
	    curl_url_set(u, CURLUPART_USER, NULL, 0) ||
	    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) ||
	    curl_url_set(u, CURLUPART_OPTIONS, NULL, 0) || curl_url_get(u, CURLUPART_URL, &text, 0))
		return NULL;
	return text;
}

static int connect_errno(CURL *curl)
{
	long os = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os);
	return os > 0 ? -(int)os : -ECONNREFUSED;
}

/*
 * With TLS 1.3 a server refuses our certificate after the handshake, in the place of its first
 * answer. When it closes the connection with data unread, its alert may be lost on the way: then
 * this looks like any broken connection.
 */
static bool certificate_refused(const char *reason)
{
	return strstr(reason, "alert") &&
	       (strstr(reason, "certificate") || strstr(reason, "unknown ca"));
}

static int broken_errno(CURL *curl, const char *reason)
{
	long proxy = 0;

	curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &proxy);
	if (proxy == 401 || proxy == 403 || proxy == 407)
		return -EACCES;
	if (proxy >= 400)
		return -EHOSTUNREACH;
	return certificate_refused(reason) ? -EKEYREJECTED : -ECONNRESET;
}

static int abort_errno(enum http_abort why)
{
	switch (why) {
	case HTTP_ABORT_CANCELLED:
		return -ECANCELED;
	case HTTP_ABORT_STALLED:
		return -ETIMEDOUT;
	case HTTP_ABORT_TOO_LONG:
		return -EMSGSIZE;
	case HTTP_ABORT_MEMORY:
		return -ENOMEM;
	case HTTP_ABORT_NO:
		break;
	}
	return -EIO;
}

static int code_errno(CURL *curl, CURLcode code, const char *reason)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return connect_errno(curl);
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
		return -EKEYREJECTED;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return -ENOKEY;
	case CURLE_SSL_CONNECT_ERROR:
		return certificate_refused(reason) ? -EKEYREJECTED : -EPROTO;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return broken_errno(curl, reason);
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

static const char *abort_text(enum http_abort why)
{
	switch (why) {
	case HTTP_ABORT_CANCELLED:
		return "cancelled";
	case HTTP_ABORT_STALLED:
		return "nothing moved for too long; look at the network and at the other side";
	case HTTP_ABORT_TOO_LONG:
		return "the answer is longer than is allowed";
	case HTTP_ABORT_MEMORY:
		return "out of memory";
	case HTTP_ABORT_NO:
		break;
	}
	return NULL;
}

/* curl quotes a proxy that it cannot use as it was written, with its password. */
static bool quotes_proxy(CURLcode code, const char *reason)
{
	return code == CURLE_COULDNT_RESOLVE_PROXY || strstr(reason, "Unsupported proxy");
}

int http_error(CURL *curl, const char *method, const char *url, CURLcode code, enum http_abort why,
	       const char *reason, struct err *e)
{
	_cleanup_(curl_freep) char *shown = public_url(url);
	const char *text = abort_text(why);
	int result = why ? abort_errno(why) : code_errno(curl, code, reason);

	if (!text)
		text = *reason && !quotes_proxy(code, reason) ? reason : curl_easy_strerror(code);
	return err_set(e, result, "%s %s failed: %s%s", method, shown ? shown : "(an invalid URL)",
		       result == -ECONNRESET ? "the connection broke off: " : "", text);
}
