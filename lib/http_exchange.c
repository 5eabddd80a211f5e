/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http_exchange.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"

#define HEADERS_MAX (64u << 10)
#define UPLOAD_MIN 4096 /* a longer body is data that was on a disk */
#define PACE_STEP_NS (NSEC_PER_SEC / 20) /* a sender that waits for its share looks up so often */

bool exchange_cancelled(const struct exchange *x)
{
	return x->cancel && __atomic_load_n(x->cancel, __ATOMIC_RELAXED);
}

size_t exchange_on_body(char *data, size_t size, size_t n, void *user)
{
	struct exchange *x = user;
	struct http_response *r = x->response;
	size_t len = size * n;

	if (len > x->max_answer - r->body_len) {
		x->abort = HTTP_ABORT_TOO_LONG;
		return CURL_WRITEFUNC_ERROR;
	}
	if (r->body_len + len + 1 > x->capacity) {
		size_t capacity = 2 * (r->body_len + len) + 1;
		char *body = realloc(r->body, capacity);

		if (!body) {
			x->abort = HTTP_ABORT_MEMORY;
			return CURL_WRITEFUNC_ERROR;
		}
		r->body = body;
		x->capacity = capacity;
	}
	memcpy(r->body + r->body_len, data, len);
	r->body_len += len;
	r->body[r->body_len] = 0;
	return len;
}

size_t exchange_on_header(char *data, size_t size, size_t n, void *user)
{
	struct exchange *x = user;

	(void)data;
	x->header_bytes += size * n;
	if (x->header_bytes > HEADERS_MAX) {
		x->abort = HTTP_ABORT_TOO_LONG;
		return CURL_WRITEFUNC_ERROR;
	}
	return size * n;
}

/* How much of the body may go now. Waits for the share; 0: cancelled. */
static size_t pace(struct exchange *x, size_t want)
{
	struct http_link *link = x->link;
	uint64_t began = clock_monotonic_ns(), wait;
	struct timespec step = {0};
	size_t n = 0;

	if (!link || !link->rate)
		return want;
	while (!exchange_cancelled(x)) {
		n = rate_take(link->rate, want, clock_monotonic_ns(), clock_realtime_ns(), &wait);
		if (n)
			break;
		step.tv_nsec = (long)(wait < PACE_STEP_NS ? wait : PACE_STEP_NS);
		nanosleep(&step, NULL);
	}
	/* Time that we wait ourselves is none in which the connection stands still. */
	x->moved_at = clock_monotonic_ns();
	atomic_fetch_add(&link->paced_ns, x->moved_at - began);
	return n;
}

size_t exchange_on_read(char *out, size_t size, size_t n, void *user)
{
	struct exchange *x = user;
	size_t left = x->body_len - x->body_sent, len = size * n < left ? size * n : left;

	if (!len)
		return 0;
	len = pace(x, len);
	if (!len) {
		x->abort = HTTP_ABORT_CANCELLED;
		return CURL_READFUNC_ABORT;
	}
	memcpy(out, x->body + x->body_sent, len);
	x->body_sent += len;
	return len;
}

/* A kept connection turned out to be closed: curl sends the body again on a new one. */
int exchange_on_seek(void *user, curl_off_t offset, int origin)
{
	struct exchange *x = user;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->body_len)
		return CURL_SEEKFUNC_FAIL;
	x->body_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

void exchange_count(struct exchange *x, uint64_t now)
{
	if (x->link && x->body_len >= UPLOAD_MIN)
		atomic_fetch_add(&x->link->upload_ns, now - x->counted_at);
	x->counted_at = now;
}

/* A connection that is being made has a time limit of its own. */
static bool connecting(const struct exchange *x)
{
	curl_off_t up = 0;

	curl_easy_getinfo(x->curl, CURLINFO_PRETRANSFER_TIME_T, &up);
	return up == 0;
}

/*
 * Called about once a second and whenever something moves. curl's own low-speed limit averages over
 * some seconds first; this one is exact.
 */
int exchange_on_progress(void *user, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
			 curl_off_t ulnow)
{
	struct exchange *x = user;
	uint64_t now = clock_monotonic_ns();

	(void)dltotal;
	(void)ultotal;
	exchange_count(x, now);
	if (exchange_cancelled(x)) {
		x->abort = HTTP_ABORT_CANCELLED;
		return 1;
	}
	if (dlnow + ulnow != x->moved || connecting(x)) {
		x->moved = dlnow + ulnow;
		x->moved_at = now;
	} else if (now - x->moved_at >= x->stall_timeout_ns) {
		x->abort = HTTP_ABORT_STALLED;
		return 1;
	}
	return 0;
}
