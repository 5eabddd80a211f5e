/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/conf.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define BLANKS " \t\n\v\f\r"

struct reading {
	FILE *file;
	const char *name; /* of the file, for errors */
	const struct conf_key *keys;
	void *target;
	conf_check *check;
	unsigned int line; /* inih's handler does not tell it: counted by the reader */
	unsigned int *seen; /* the line of each key, 0: not yet */
	char *buf; /* getline's */
	size_t buf_size;
	struct err *e;
	int result;
};

static int fail(struct reading *rd, int code, const char *what, const char *name,
		const char *expected)
{
	rd->result = err_set(rd->e, code, "%s:%u: %s \"%s\"%s%s", rd->name, rd->line, what, name,
			     expected ? "; expected " : "", expected ? expected : "");
	return rd->result;
}

static void *member(void *target, const struct conf_key *k)
{
	return (char *)target + k->offset;
}

static bool in_range(const struct conf_key *k, uint64_t v)
{
	return v >= k->min && (k->max == 0 || v <= k->max);
}

static int set_string(const struct conf_key *k, void *target, const char *value)
{
	char **s = member(target, k);
	char *copy = NULL;

	if (!in_range(k, strlen(value)))
		return -EINVAL;
	if (k->type == CONF_PATH && *value && *value != '/')
		return -EINVAL;
	if (*value) {
		copy = strdup(value);
		if (!copy)
			return -ENOMEM;
	}
	free(*s);
	*s = copy;
	return 0;
}

static int parse_u64(const char *value, uint64_t *v)
{
	char *end;

	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	errno = 0;
	*v = strtoull(value, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

static int set_number(const struct conf_key *k, void *target, const char *value)
{
	uint64_t v = 0;
	int r;

	switch (k->type) {
	case CONF_SIZE:
		r = size_parse(value, &v);
		break;
	case CONF_DURATION:
		r = duration_parse(value, &v);
		break;
	default:
		r = parse_u64(value, &v);
		break;
	}
	if (r || !in_range(k, v))
		return -EINVAL;
	*(uint64_t *)member(target, k) = v;
	return 0;
}

static int set_bool(const struct conf_key *k, void *target, const char *value)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(value, words[i]) == 0) {
			*(bool *)member(target, k) = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_choice(const struct conf_key *k, void *target, const char *value)
{
	for (int i = 0; k->choices[i]; i++) {
		if (strcmp(value, k->choices[i]) == 0) {
			*(int *)member(target, k) = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_any(const struct conf_key *k, void *target, const char *value)
{
	switch (k->type) {
	case CONF_STRING:
	case CONF_SECRET:
	case CONF_LIST:
	case CONF_PATH:
		return set_string(k, target, value);
	case CONF_U64:
	case CONF_SIZE:
	case CONF_DURATION:
		return set_number(k, target, value);
	case CONF_BOOL:
		return set_bool(k, target, value);
	case CONF_CHOICE:
		return set_choice(k, target, value);
	}
	return -EINVAL;
}

/* why: set if the caller's check has more to say than what was expected. */
static int set_value(const struct conf_key *k, void *target, const char *value, conf_check *check,
		     struct err *why)
{
	int r = set_any(k, target, value);

	why->text[0] = '\0';
	return r || !check ? r : check(k, target, why);
}

static bool section_known(const struct conf_key *keys, const char *section, size_t len)
{
	for (const struct conf_key *k = keys; k->section; k++) {
		if (strlen(k->section) == len && memcmp(k->section, section, len) == 0)
			return true;
	}
	return false;
}

static const struct conf_key *find_key(const struct conf_key *keys, const char *section,
				       const char *name)
{
	for (const struct conf_key *k = keys; k->section; k++) {
		if (strcmp(k->section, section) == 0 && strcmp(k->key, name) == 0)
			return k;
	}
	return NULL;
}

/*
 * inih has cut off what follows a blank and a ';'. In a list that would be half of the value, not a
 * comment.
 */
static bool list_cut(const struct reading *rd, const struct conf_key *k)
{
	return k->type == CONF_LIST && rd->buf && (strstr(rd->buf, " ;") || strstr(rd->buf, "\t;"));
}

/*
 * What the line gives the key, in place and by inih's rules: inih itself has room for 199 characters
 * of a line, which a list of names soon exceeds.
 */
static char *whole_value(char *line)
{
	char *value = line + strcspn(line, "=:"), *end;

	value += *value != 0;
	value += strspn(value, BLANKS);
	end = value;
	while (*end && (*end != ';' || !strchr(BLANKS, end[-1])))
		end++;
	while (end > value && strchr(BLANKS, end[-1]))
		end--;
	*end = 0;
	return value;
}

static int assign(struct reading *rd, const struct conf_key *k)
{
	unsigned int *seen = &rd->seen[k - rd->keys];
	const char *value;
	char before[64];
	struct err why;

	if (list_cut(rd, k))
		return fail(rd, -EINVAL, "a blank before the ';' in the value of", k->key,
			    "the ';' right after what it ends");
	value = whole_value(rd->buf);

	if (*seen) {
		snprintf(before, sizeof(before), "it once, and line %u has it", *seen);
		return fail(rd, -EEXIST, "repeated key", k->key, before);
	}
	*seen = rd->line;

	int r = set_value(k, rd->target, value, rd->check, &why);

	if (r == -ENOMEM)
		return rd->result = err_errno(rd->e, r, "cannot read %s", rd->name);
	if (r && k->type == CONF_SECRET)
		return fail(rd, -EINVAL, "bad value for", k->key, k->expected);
	if (r)
		return rd->result =
			       err_set(rd->e, -EINVAL, "%s:%u: bad value \"%s\" for \"%s\"%s%s%s%s",
				       rd->name, rd->line, value, k->key,
				       k->expected ? "; expected " : "",
				       k->expected ? k->expected : "", why.text[0] ? ": " : "",
				       why.text);
	return 0;
}

/* inih's handler: 0 is its sign of an error. The value that it has may be cut off. */
static int on_key(void *user, const char *section, const char *name, const char *cut)
{
	struct reading *rd = user;

	(void)cut;
	if (rd->result)
		return 0;

	const struct conf_key *k = find_key(rd->keys, section, name);

	if (k)
		return assign(rd, k) == 0;
	if (!section_known(rd->keys, section, strlen(section)))
		fail(rd, -EINVAL, *section ? "unknown section" : "key before any section",
		     *section ? section : name, NULL);
	else
		fail(rd, -EINVAL, "unknown key", name, NULL);
	return 0;
}

/* inih tells of a section only with a key in it; a mistyped one must not pass for being empty. */
static void check_section_line(struct reading *rd, const char *line)
{
	const char *end = strchr(line, ']');

	if (*line != '[' || !end || section_known(rd->keys, line + 1, (size_t)(end - line - 1)))
		return;

	_cleanup_free_ char *name = strndup(line + 1, (size_t)(end - line - 1));

	fail(rd, -EINVAL, "unknown section", name ? name : "?", NULL);
}

/*
 * inih's reader, one line a call. Indentation is removed, because inih takes an indented line for a
 * continuation of the value before; 0 bytes, which inih would not see, are refused. Of a long line
 * inih gets the beginning, from which it tells what it is: whole_value() has the rest.
 */
static char *next_line(char *str, int size, void *stream)
{
	struct reading *rd = stream;

	if (rd->result)
		return NULL;

	ssize_t n = getline(&rd->buf, &rd->buf_size, rd->file);

	if (n < 0) {
		if (ferror(rd->file))
			rd->result = err_errno(rd->e, -errno, "cannot read %s", rd->name);
		return NULL;
	}
	rd->line++;

	const char *line = rd->buf + strspn(rd->buf, " \t");

	if (strlen(rd->buf) != (size_t)n)
		fail(rd, -EINVAL, "a line with a 0 byte:", "", NULL);
	else
		check_section_line(rd, line);
	if (rd->result)
		return NULL;
	snprintf(str, (size_t)size, "%s", line);
	return str;
}

static int set_fallbacks(const struct conf_key *keys, void *target, conf_check *check,
			 struct err *e)
{
	struct err why;

	for (const struct conf_key *k = keys; k->section; k++) {
		int r = k->fallback ? set_value(k, target, k->fallback, check, &why) : 0;

		if (r)
			return err_errno(e, r, "the default \"%s\" of key \"%s\" cannot be used",
					 k->fallback, k->key);
	}
	return 0;
}

static size_t count_keys(const struct conf_key *keys)
{
	size_t n = 0;

	while (keys[n].section)
		n++;
	return n;
}

static int read_all(struct reading *rd)
{
	rd->seen = calloc(count_keys(rd->keys) + 1, sizeof(*rd->seen));
	if (!rd->seen)
		return err_errno(rd->e, -ENOMEM, "cannot read %s", rd->name);

	int r = ini_parse_stream(next_line, rd, on_key, rd);

	/*
	 * inih goes on after a line that it cannot read, so a later error may be in result already
	 */
	if (r > 0 && (!rd->result || (unsigned int)r < rd->line))
		rd->result = err_set(rd->e, -EINVAL,
				     "%s:%d: neither a [section], nor a key = value, nor a comment",
				     rd->name, r);
	else if (!rd->result && r < 0)
		rd->result = err_errno(rd->e, -ENOMEM, "cannot read %s", rd->name);
	free(rd->seen);
	free(rd->buf);
	return rd->result;
}

int conf_read_checked(FILE *file, const char *name, const struct conf_key *keys, conf_check *check,
		      void *target, struct err *e)
{
	struct reading rd = {
		.file = file, .name = name, .keys = keys, .check = check, .target = target, .e = e};
	int r = set_fallbacks(keys, target, check, e);

	if (!r && file)
		r = read_all(&rd);
	if (r)
		conf_clear(keys, target);
	return r;
}

int conf_read(FILE *file, const char *name, const struct conf_key *keys, void *target,
	      struct err *e)
{
	return conf_read_checked(file, name, keys, NULL, target, e);
}

int conf_load_checked(const char *path, bool must_exist, const struct conf_key *keys,
		      conf_check *check, void *target, struct err *e)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	if (!file && (errno != ENOENT || must_exist))
		return err_errno(e, -errno, "cannot open %s", path);
	return conf_read_checked(file, path, keys, check, target, e);
}

int conf_load(const char *path, bool must_exist, const struct conf_key *keys, void *target,
	      struct err *e)
{
	return conf_load_checked(path, must_exist, keys, NULL, target, e);
}

void conf_clear(const struct conf_key *keys, void *target)
{
	for (const struct conf_key *k = keys; k->section; k++) {
		if (k->type != CONF_STRING && k->type != CONF_SECRET && k->type != CONF_PATH &&
		    k->type != CONF_LIST)
			continue;

		char **s = member(target, k);

		free(*s);
		*s = NULL;
	}
}
