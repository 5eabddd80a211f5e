/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict configuration files over inih: a table says which keys there are; an unknown section or
 * key, a key given twice, or a bad value is an error that names file, line and what was expected.
 * For start-up and reload, one thread.
 */
#ifndef MOBILITY_CONF_H
#define MOBILITY_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

enum conf_type {
	CONF_STRING, /* char *, owned by the target (conf_clear); an empty value gives NULL */
	CONF_SECRET, /* the same, shown by no error */
	CONF_PATH, /* CONF_STRING, must begin with / */
	CONF_LIST, /* CONF_STRING in which ';' separates; " ;", which begins a comment, is refused */
	CONF_U64, /* uint64_t, min..max */
	CONF_SIZE, /* uint64_t bytes, size_parse() */
	CONF_DURATION, /* uint64_t ns, duration_parse() */
	CONF_BOOL, /* bool: yes no true false on off */
	CONF_CHOICE, /* int: index in the NULL-terminated list choices */
};

struct conf_key {
	const char *section, *key;
	enum conf_type type;
	size_t offset; /* of the member in the target */
	uint64_t min, max; /* numbers; for strings the length in bytes; max 0: no upper bound */
	const char *const *choices;
	const char *fallback; /* parsed like a value; NULL: the member stays 0/NULL */
	const char *expected; /* for the error: "a size from 16M to 4G" */
};

/*
 * Sets the fallbacks, then reads path (which may be absent when must_exist is false) into target,
 * which the caller has zeroed. keys end with section == NULL. After a failure the target owns
 * nothing.
 */
int conf_load(const char *path, bool must_exist, const struct conf_key *keys, void *target,
	      struct err *e);
/* The same from an open file (NULL: fallbacks only); name is for the errors. */
int conf_read(FILE *file, const char *name, const struct conf_key *keys, void *target,
	      struct err *e);

/*
 * What the table cannot say of a value: called with a key that was just set, a fallback too. 0, or a
 * negative errno; why is "" and may get a sentence, which is shown with the value.
 */
typedef int conf_check(const struct conf_key *k, void *target, struct err *why);
int conf_load_checked(const char *path, bool must_exist, const struct conf_key *keys,
		      conf_check *check, void *target, struct err *e);
int conf_read_checked(FILE *file, const char *name, const struct conf_key *keys, conf_check *check,
		      void *target, struct err *e);
void conf_clear(const struct conf_key *keys, void *target);

#endif
