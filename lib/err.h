/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error on its way from where it happened to the person who reads it: a negative errno for the
 * program and one clear sentence (what failed, on what, what to do) for people. Owned by the
 * caller, usually on the stack; never shared between threads. Functions that take a struct err
 * return 0 or a negative errno and fill *e exactly when they fail; e may be NULL where nobody reads
 * the sentence.
 */
#ifndef MOBILITY_ERR_H
#define MOBILITY_ERR_H

struct err {
	int code; /* negative errno, 0 if none */
	char text[512]; /* one sentence without a final newline */
};

/* Fill e (may be NULL) and return code, which is a negative errno. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": " and the text of the errno after the sentence. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "what: " before the sentence that e has; returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
