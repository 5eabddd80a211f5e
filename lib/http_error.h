/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong in an HTTPS request, as an errno and a sentence. For http.c alone; belongs to the
 * thread of the handle.
 */
#ifndef MOBILITY_HTTP_ERROR_H
#define MOBILITY_HTTP_ERROR_H

#include <curl/curl.h>

#include "lib/err.h"

/* Why our own callbacks ended the request. */
enum http_abort {
	HTTP_ABORT_NO,
	HTTP_ABORT_CANCELLED,
	HTTP_ABORT_STALLED,
	HTTP_ABORT_TOO_LONG,
	HTTP_ABORT_MEMORY,
};

/* reason: curl's own text, may be empty. Credentials in url or of a proxy never get into the sentence. */
int http_error(CURL *curl, const char *method, const char *url, CURLcode code, enum http_abort why,
	       const char *reason, struct err *e);

#endif
