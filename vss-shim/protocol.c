// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "lib/json.h"
#include "lib/text.h"

/* Text for people: UTF-8 without control characters. */
static bool printable(const char *s, size_t len)
{
	json_t *valid = json_stringn(s, len);

	if (!valid)
		return false;
	json_decref(valid);
	return text_printable(s, len);
}

int answer_parse(const char *line, size_t len, struct answer *out)
{
	static const char *const words[] = {"ok", "skip", "fail"};

	if (len > ANSWER_MAX || !printable(line, len))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i]);

		if (len < n || memcmp(line, words[i], n) != 0 || (len > n && line[n] != ' '))
			continue;
		out->kind = (enum answer_kind)i;
		n += len > n;
		memcpy(out->text, line + n, len - n);
		out->text[len - n] = '\0';
		/* Who skips or fails says why. */
		return out->kind == ANSWER_OK || out->text[0] ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

/* Decimal digits, at most max. */
static int number(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!len || len > 18)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	*out = n;
	return n <= max ? 0 : -ERANGE;
}

static int take_text(const char *value, size_t len, char *out, size_t size)
{
	if (len >= size)
		return -ERANGE;
	memcpy(out, value, len);
	out[len] = '\0';
	return 0;
}

static int take_range(const char *value, size_t len, uint64_t min, uint64_t max, uint64_t *out)
{
	int r = number(value, len, max, out);

	return !r && *out < min ? -ERANGE : r;
}

static int identity_key(const char *key, size_t key_len, const char *value, size_t len,
			struct identity *id)
{
#define IS(name) (key_len == sizeof(name) - 1 && !memcmp(key, name, key_len))
	if (IS("name"))
		return take_text(value, len, id->title, sizeof(id->title));
	if (IS("promise"))
		return take_text(value, len, id->promise, sizeof(id->promise));
	if (IS("instances"))
		return number(value, len, 1000000, &id->instances);
	if (IS("prepare"))
		return take_range(value, len, 100, 600000, &id->prepare_ms);
	if (IS("deadline"))
		return take_range(value, len, 10, 60000, &id->freeze_ms);
	return 0;
#undef IS
}

static int identity_line(const char *line, size_t len, struct identity *id, struct err *e)
{
	const char *colon = memchr(line, ':', len), *value;
	size_t key_len;

	if (!len)
		return 0;
	if (!printable(line, len) || !colon || colon == line)
		return err_set(e, -EBADMSG, "identify printed garbage, not lines of 'key: value'");
	key_len = (size_t)(colon - line);
	value = colon + 1;
	while (value < line + len && *value == ' ')
		value++;
	if (identity_key(line, key_len, value, (size_t)(line + len - value), id))
		return err_set(e, -ERANGE, "identify printed a bad value: %.*s",
			       len > 200 ? 200 : (int)len, line);
	return 0;
}

int identity_parse(const char *text, size_t len, struct identity *out, struct err *e)
{
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (len > IDENTIFY_MAX)
		return err_set(e, -EMSGSIZE, "identify printed more than %d bytes", IDENTIFY_MAX);
	while (!r && len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len;

		r = identity_line(text, line, out, e);
		line += end != NULL;
		text += line;
		len -= line;
	}
	if (r)
		memset(out, 0, sizeof(*out));
	return r;
}

static int order_disks(const char *s, size_t len, struct order *o, struct err *e)
{
	o->named = true;
	while (len) {
		const char *comma = memchr(s, ',', len);
		size_t n = comma ? (size_t)(comma - s) : len;
		const char *colon = memchr(s, ':', n);
		uint64_t major, minor;

		if (!colon || number(s, (size_t)(colon - s), 4095, &major) ||
		    number(colon + 1, (size_t)(s + n - colon - 1), 1048575, &minor))
			return err_set(e, -EBADMSG, "disks are written as MAJOR:MINOR,…");
		if (o->disk_count == ORDER_DISKS_MAX)
			return err_set(e, -E2BIG, "more than %d disks", ORDER_DISKS_MAX);
		o->disk[o->disk_count++] = makedev((unsigned int)major, (unsigned int)minor);
		n += comma != NULL;
		s += n;
		len -= n;
		if (comma && !len)
			return err_set(e, -EBADMSG, "disks ends with a comma");
	}
	return 0;
}

static int order_option(const char *s, size_t len, struct order *o, struct err *e)
{
	static const char window[] = "window_ms=", disks[] = "disks=";

	if (len > sizeof(window) - 1 && !memcmp(s, window, sizeof(window) - 1)) {
		if (take_range(s + sizeof(window) - 1, len - (sizeof(window) - 1), WINDOW_MIN_MS,
			       WINDOW_MAX_MS, &o->window_ms))
			return err_set(e, -ERANGE, "window_ms is a number from %d to %d",
				       WINDOW_MIN_MS, WINDOW_MAX_MS);
		return 0;
	}
	if (len >= sizeof(disks) - 1 && !memcmp(s, disks, sizeof(disks) - 1) && !o->named)
		return order_disks(s + sizeof(disks) - 1, len - (sizeof(disks) - 1), o, e);
	return err_set(e, -EBADMSG, "an order has an unknown option");
}

int order_parse(const char *line, size_t len, struct order *out, struct err *e)
{
	static const char *const words[] = {"set", "freeze", "thaw", "abort", "writers"};
	const char *space = memchr(line, ' ', len);
	size_t word = space ? (size_t)(space - line) : len, kind = 0;
	int r = 0;

	memset(out, 0, sizeof(*out));
	while (kind < ARRAY_SIZE(words) &&
	       (strlen(words[kind]) != word || memcmp(words[kind], line, word) != 0))
		kind++;
	if (kind == ARRAY_SIZE(words))
		return err_set(e, -EINVAL, "an order is one of set, freeze, thaw, abort, writers");
	out->kind = (enum order_kind)kind;
	if (space && out->kind != ORDER_SET)
		return err_set(e, -EINVAL, "%s has no options", words[kind]);
	for (len -= word, line += word; !r && len;) {
		const char *next;
		size_t n;

		line++; /* the space */
		len--;
		next = memchr(line, ' ', len);
		n = next ? (size_t)(next - line) : len;
		r = order_option(line, n, out, e);
		line += n;
		len -= n;
	}
	return r;
}
