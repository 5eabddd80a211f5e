// SPDX-License-Identifier: Apache-2.0
#include "agent/request.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "agent/enroll.h"
#include "lib/clock.h"
#include "lib/json.h"

#define TIMEOUT_MAX_NS (86400 * NSEC_PER_SEC)

static int parse_enroll(const json_t *o, struct request *q, struct err *e)
{
	const char *address, *fingerprint, *token;
	int r;

	if ((r = json_get_str(o, "address", 1, 300, &address, e)) ||
	    (r = json_get_str(o, "fingerprint", 1, sizeof(q->fingerprint) - 1, &fingerprint, e)) ||
	    (r = json_get_str(o, "token", 1, REQUEST_TOKEN_MAX, &token, e)))
		return r;
	strcpy(q->fingerprint, fingerprint);
	/* As other tools print it; it is compared as a text. */
	for (char *c = q->fingerprint; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	strcpy(q->token, token);
	return enroll_parse_address(address, q->host, &q->port, e);
}

static int add_disk(struct request *q, const json_t *item, struct err *e)
{
	const char *text = json_string_value(item);

	if (!text || !*text || strlen(text) >= PATH_MAX)
		return err_set(e, -EBADMSG, "'disks' must hold paths");
	q->disk[q->disk_count] = strdup(text);
	if (!q->disk[q->disk_count])
		return err_set(e, -ENOMEM, "out of memory");
	q->disk_count++;
	return 0;
}

static int parse_list(const json_t *o, struct request *q, struct err *e)
{
	json_t *disks, *item;
	const char *source;
	size_t i;
	int r = json_get_array(o, "disks", REQUEST_DISKS_MAX, &disks, e);

	if (!r)
		r = json_get_opt_str(o, "source", 16, &source, e);
	if (r)
		return r;
	q->source = -1;
	if (source && (q->source = source_choice_parse(source)) < 0)
		return err_set(e, -EINVAL, "the source is one of auto, kmod and scan");
	json_array_foreach (disks, i, item) {
		r = add_disk(q, item, e);
		if (r)
			return r;
	}
	return 0;
}

static int parse_disks(const json_t *o, struct request *q, struct err *e)
{
	int r = parse_list(o, q, e);

	return r || q->disk_count ? r : err_set(e, -EINVAL, "no disk was named");
}

static int parse_resync(const json_t *o, struct request *q, struct err *e)
{
	int r = json_object_get(o, "now") ? json_get_bool(o, "now", &q->now, e) : 0;

	return r ? r : parse_disks(o, q, e);
}

/* A name ends up in lists and file names of the appliance. */
static int check_name(const char *name, struct err *e)
{
	if (strlen(name) >= BOOKMARK_NAME_BYTES)
		return err_set(e, -EINVAL, "a bookmark's name has at most %d characters",
			       BOOKMARK_NAME_BYTES - 1);
	for (const char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("._:+@=-", *c))
			return err_set(
				e, -EINVAL,
				"a bookmark's name is made of letters, digits and . _ : + @ = -");
	}
	return 0;
}

static int parse_bookmark(const json_t *o, struct request *q, struct err *e)
{
	const char *name;
	int r;

	if ((r = json_get_opt_str(o, "name", REQUEST_MAX, &name, e)) ||
	    (r = json_get_u64(o, "timeout_ns", INT64_MAX, &q->timeout_ns, e)))
		return r;
	if (q->timeout_ns > TIMEOUT_MAX_NS)
		return err_set(e, -EINVAL, "a bookmark is waited for at most 24h");
	if (json_object_get(o, "app") && (r = json_get_bool(o, "app", &q->app, e)))
		return r;
	r = name ? check_name(name, e) : 0;
	if (!r && name)
		strcpy(q->name, name);
	return r;
}

static int parse_nothing(const json_t *o, struct request *q, struct err *e)
{
	(void)o, (void)q, (void)e;
	return 0;
}

static const struct {
	const char *name;
	enum command command;
	int (*parse)(const json_t *o, struct request *q, struct err *e);
	const char *keys[5];
} commands[] = {
	{"enroll", COMMAND_ENROLL, parse_enroll, {"command", "address", "fingerprint", "token"}},
	{"protect", COMMAND_PROTECT, parse_disks, {"command", "disks", "source"}},
	{"unprotect", COMMAND_UNPROTECT, parse_disks, {"command", "disks"}},
	{"status", COMMAND_STATUS, parse_nothing, {"command"}},
	{"bookmark", COMMAND_BOOKMARK, parse_bookmark, {"command", "name", "timeout_ns", "app"}},
	{"resync", COMMAND_RESYNC, parse_resync, {"command", "disks", "now"}},
	{"verify", COMMAND_VERIFY, parse_list, {"command", "disks"}},
	{"pause", COMMAND_PAUSE, parse_nothing, {"command"}},
	{"resume", COMMAND_RESUME, parse_nothing, {"command"}},
	{"explain", COMMAND_EXPLAIN, parse_nothing, {"command"}},
	{"writers", COMMAND_WRITERS, parse_nothing, {"command"}},
};

static int parse_object(const json_t *o, struct request *q, struct err *e)
{
	const char *name;
	int r = json_get_str(o, "command", 1, 32, &name, e);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		q->command = commands[i].command;
		r = json_only_keys(o, commands[i].keys, e);
		return r ? r : commands[i].parse(o, q, e);
	}
	return err_set(e, -EINVAL, "unknown command '%s'", name);
}

int request_parse(const void *data, size_t len, struct request *out, struct err *e)
{
	_cleanup_json_ json_t *o = json_parse_object(data, len, REQUEST_MAX, e);
	int r;

	memset(out, 0, sizeof(*out));
	if (!o)
		return e ? e->code : -EBADMSG;
	r = parse_object(o, out, e);
	if (r)
		request_clear(out);
	return r;
}

void request_clear(struct request *q)
{
	for (size_t i = 0; i < q->disk_count; i++)
		free(q->disk[i]);
	explicit_bzero(q, sizeof(*q));
}
