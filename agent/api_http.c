// SPDX-License-Identifier: Apache-2.0
#include "agent/api_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (16u << 20)

struct api *api_new(const char *host, unsigned int control_port, unsigned int data_port,
		    const struct http_config *http, struct err *e)
{
	struct api *a = calloc(1, sizeof(*a));
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";

	if (!a) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	snprintf(a->control, sizeof(a->control), "https://%s%s%s:%u", open, host, close,
		 control_port);
	snprintf(a->data, sizeof(a->data), "https://%s%s%s:%u", open, host, close, data_port);
	a->http = http_new(http, e);
	if (!a->http) {
		free(a);
		return NULL;
	}
	return a;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	http_free(a->http);
	free(a);
}

void api_freep(struct api **a)
{
	api_free(*a);
}

uint64_t api_retry_after(const struct api *a)
{
	return a->retry_after;
}

bool api_final(int error)
{
	return error != -EAGAIN && error != -EHOSTDOWN && error != -ENOSPC && error != -EILSEQ;
}

static int status_to_errno(long status)
{
	switch (status) {
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		return -ESTALE;
	case 422:
		return -EILSEQ;
	case 507:
		return -ENOSPC;
	case 408:
	case 429:
		return -EAGAIN;
	default:
		return status >= 500 ? -EAGAIN : -EPROTO;
	}
}

/* The appliance's own sentence, or what can be said without one (a proxy may have answered). */
static int refused(const struct http_response *r, const char *url, struct err *e)
{
	struct err ignored;
	_cleanup_json_ json_t *o = json_parse_object(r->body, r->body_len, ANSWER_MAX, &ignored);
	const char *message = NULL;
	int code = status_to_errno(r->status);

	if (o && !json_get_str(o, "message", 1, 400, &message, &ignored))
		return err_set(e, code, "the appliance refused: %s", message);
	return err_set(e, code, "the appliance answered %ld to %s", r->status, url);
}

int api_request(struct api *a, const struct api_call *c, struct http_response *r, struct err *e)
{
	char url[1024];
	int x;

	memset(r, 0, sizeof(*r));
	a->retry_after = 0;
	snprintf(url, sizeof(url), "%s%s", c->data ? a->data : a->control, c->path);
	x = http_request(a->http, c->method, url, c->type, c->body, c->len, c->max_answer, r, e);
	if (x == -ECANCELED || x == -EKEYREJECTED || x == -ENOKEY || x == -ENOMEM)
		return x;
	if (x) {
		if (e)
			e->code = -EHOSTDOWN;
		return -EHOSTDOWN;
	}
	a->retry_after = r->retry_after_s;
	if (r->status >= 200 && r->status < 300)
		return 0;
	return refused(r, url, e);
}

int api_json(struct api *a, const char *method, bool data, const char *path, const json_t *body,
	     json_t **answer, struct err *e)
{
	_cleanup_free_ char *text = body ? json_text(body) : NULL;
	struct api_call c = {.method = method,
			     .data = data,
			     .path = path,
			     .type = body ? "application/json" : NULL,
			     .body = text,
			     .len = text ? strlen(text) : 0,
			     .max_answer = ANSWER_MAX};
	struct http_response r;
	int x;

	if (body && !text)
		return err_set(e, -ENOMEM, "out of memory");
	x = api_request(a, &c, &r, e);
	if (!x && answer) {
		*answer = json_parse_object(r.body, r.body_len, ANSWER_MAX, e);
		if (!*answer) {
			err_prefix(e, "the answer to %s %s cannot be understood", method, path);
			x = -EPROTO;
		}
	}
	http_response_clear(&r);
	return x;
}
