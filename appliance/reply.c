/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/request.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/text.h"

#define RETRY_BUSY_S 2
#define RETRY_NO_SPACE_S 30

static const struct {
	unsigned int status;
	const char *name;
} codes[] = {
	[API_OK] = {200, "ok"},
	[API_MALFORMED] = {400, "malformed"},
	[API_NO_CERTIFICATE] = {401, "no-certificate"},
	[API_BAD_TOKEN] = {401, "bad-token"},
	[API_EXPIRED_TOKEN] = {401, "expired-token"},
	[API_USED_TOKEN] = {401, "used-token"},
	[API_NOT_YOURS] = {403, "not-yours"},
	[API_NOT_FOUND] = {404, "not-found"},
	[API_METHOD] = {405, "method"},
	[API_CONFLICT] = {409, "conflict"},
	[API_LENGTH_REQUIRED] = {411, "length-required"},
	[API_TOO_LARGE] = {413, "too-large"},
	[API_DIGEST] = {422, "digest"},
	[API_VERSION] = {426, "version"},
	[API_BUSY] = {503, "busy"},
	[API_NO_SPACE] = {507, "no-space"},
	[API_INTERNAL] = {500, "internal"},
};

const char *api_code_name(enum api_code code)
{
	return codes[code].name;
}

void reply_clear(struct reply *p)
{
	free(p->body);
	*p = (struct reply){0};
}

void reply_text(struct request *r, unsigned int status, char *json)
{
	reply_clear(&r->reply);
	r->reply.status = json ? status : 500;
	r->reply.code = json ? API_OK : API_INTERNAL;
	r->reply.body = json;
	r->reply.len = json ? strlen(json) : 0;
	r->reply.type = "application/json";
}

void reply_json(struct request *r, unsigned int status, json_t *object)
{
	reply_text(r, status, object ? json_text(object) : NULL);
	json_decref(object);
}

void reply_bytes(struct request *r, void *bytes, size_t len)
{
	reply_clear(&r->reply);
	r->reply.status = 200;
	r->reply.body = bytes;
	r->reply.len = len;
	r->reply.type = "application/octet-stream";
}

/* A request's path may be anything, and JSON takes only UTF-8. */
static json_t *message_json(char *message)
{
	json_t *text = json_string(message);

	if (text)
		return text;
	for (char *p = message; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	return json_string(message);
}

void reply_error(struct request *r, enum api_code code, const char *fmt, ...)
{
	char message[sizeof(r->reply.message)];
	va_list ap;

	va_start(ap, fmt);
	text_vformat(message, sizeof(message), fmt, ap);
	va_end(ap);
	reply_json(r, codes[code].status,
		   json_pack("{s:s, s:o}", "error", codes[code].name, "message",
			     message_json(message)));
	r->reply.code = code;
	strcpy(r->reply.message, message);
	if (code == API_BUSY)
		r->reply.retry_after = RETRY_BUSY_S;
	else if (code == API_NO_SPACE)
		r->reply.retry_after = RETRY_NO_SPACE_S;
}

void reply_failed(struct request *r, int rc, const struct err *e)
{
	switch (rc) {
	case -EBADMSG:
		reply_error(r, API_MALFORMED, "%s", e->text);
		break;
	case -EILSEQ:
		reply_error(r, API_DIGEST, "%s", e->text);
		break;
	case -EPROTONOSUPPORT:
		reply_error(r, API_VERSION, "%s", e->text);
		break;
	case -EMSGSIZE:
		reply_error(r, API_TOO_LARGE, "%s", e->text);
		break;
	case -EEXIST:
		reply_error(r, API_CONFLICT, "%s", e->text);
		break;
	case -ENOSPC:
	case -EDQUOT:
		log_warning("%s", e->text);
		reply_error(r, API_NO_SPACE, "the appliance's store is full: nothing was stored");
		break;
	case -EBUSY:
	case -ENOMEM:
		log_warning("%s %s: %s", r->method, r->path, e->text);
		reply_error(r, API_BUSY, "the appliance is busy; try again");
		break;
	default:
		log_error("%s %s: %s", r->method, r->path, e->text);
		reply_error(r, API_INTERNAL, "the appliance failed; its log has the reason");
		break;
	}
}

bool request_disk(struct request *r, struct disk_row *d)
{
	struct err e;
	int rc = catalog_disk(r->app->home.catalog, r->disk, d, &e);

	if (rc == 0 && !strcmp(d->machine, r->machine))
		return true;
	/* The same answer for what is another's and what is nobody's: ids cannot be probed. */
	if (rc == 0 || rc == -ENOENT)
		reply_error(r, API_NOT_YOURS, "the disk %s is not one of this machine", r->disk);
	else
		reply_failed(r, rc, &e);
	return false;
}

void reply_unknown_machine(struct request *r)
{
	reply_error(r, API_NO_CERTIFICATE,
		    "the machine of this certificate is not known here; enrol it again");
}

bool request_machine(struct request *r, struct machine_row *m)
{
	struct err e;
	int rc = catalog_machine(r->app->home.catalog, r->machine, m, &e);

	if (rc == 0)
		return true;
	if (rc == -ENOENT)
		reply_unknown_machine(r);
	else
		reply_failed(r, rc, &e);
	return false;
}
