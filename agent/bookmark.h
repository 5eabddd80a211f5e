/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for a recovery point: a control thread asks and waits, the session takes the oldest
 * request along with the next boundary and answers it. Any thread; the owner of the queue frees
 * it when no thread uses it any more.
 */
#ifndef MOBILITY_AGENT_BOOKMARK_H
#define MOBILITY_AGENT_BOOKMARK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define BOOKMARK_NAME_BYTES 128

struct bookmarks;
struct bookmarks *bookmarks_new(void);
void bookmarks_free(struct bookmarks *q);

struct bookmark_result {
	uint64_t id, time_ns;
	char consistency[16];
	char reason[512]; /* why it is not application-consistent, if that was asked for; "" */
};

/*
 * Control thread: ask for a point ("" lets it have no name; app: an application-consistent one, if it
 * can be had) and wait at most timeout_ns.
 * -ETIMEDOUT (with the last reason why an epoch was none), -ECANCELED (the agent ends), or what
 * bookmarks_refuse said.
 */
int bookmarks_ask(struct bookmarks *q, const char *name, bool app, uint64_t timeout_ns,
		  void (*asked)(void *arg), void *arg, struct bookmark_result *out, struct err *e);

struct bookmark; /* taken: the session's until it is answered */
bool bookmarks_waiting(struct bookmarks *q); /* one that is not put off */
/* NULL: nobody waits. *name is borrowed until the answer. */
struct bookmark *bookmarks_take(struct bookmarks *q, const char **name);
bool bookmark_is_app(const struct bookmark *b);
void bookmarks_done(struct bookmarks *q, struct bookmark *b, const struct bookmark_result *r);
void bookmarks_refuse(struct bookmarks *q, struct bookmark *b, int code, const char *why);
/* Back into the queue, to go with the next epoch; why is told if time runs out before. */
void bookmarks_retry(struct bookmarks *q, struct bookmark *b, const char *why);
/*
 * The same after a pause, which is 30 s the first time and twice as long each time after: applications were
 * held for it in vain.
 */
void bookmarks_put_off(struct bookmarks *q, struct bookmark *b, const char *why);
/* Refuse all that wait and all that come. */
void bookmarks_end(struct bookmarks *q);

#endif
