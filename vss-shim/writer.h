/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer in a snapshot set: what is known of it, its session, and how it did. For the main
 * thread alone. Nothing here waits: writer_io and writer_tick are called by the pump
 * (vss-shim/pump.h), which knows when there is something to do.
 */
#ifndef VSS_SHIM_WRITER_H
#define VSS_SHIM_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/digest.h"
#include "vss-shim/child.h"
#include "vss-shim/lines.h"
#include "vss-shim/protocol.h"
#include "vss-shim/settings.h"

#define WRITER_NAME_BYTES 80
#define WRITER_ARGS 8

enum phase { PHASE_IDENTIFY, PHASE_PREPARE, PHASE_FREEZE, PHASE_THAW, PHASE_POST, PHASE_ABORT };

enum result {
	RESULT_READY, /* found, nothing was asked yet */
	RESULT_DISABLED,
	RESULT_REFUSED, /* must not be run */
	RESULT_ABSENT, /* nothing of its kind is here */
	RESULT_SKIPPED, /* it said so in prepare */
	RESULT_OK, /* it takes part, and all was well so far */
	RESULT_FAILED,
};

const char *result_name(enum result r);
const char *phase_name(enum phase p);

struct writer {
	char name[WRITER_NAME_BYTES];
	char *path; /* the program, for people */
	char *args[WRITER_ARGS]; /* of its run, before "identify" or "session"; args[0] is run */
	bool hook; /* let go by a signal, not by being killed */
	struct identity id;
	enum result result;
	char text[ANSWER_MAX + 1]; /* of the last ok, or the reason of the result */
	struct child child;
	struct lines lines;
	char output[IDENTIFY_MAX + 1]; /* of identify */
	size_t output_used;
	bool asked; /* an answer is due */
	enum phase phase; /* asked last */
	uint64_t asked_ns, until_ns; /* when, and until when the answer is due */
	uint64_t end_ns; /* standard input was closed: it ends until then; 0: not yet */
	bool holds; /* it said ok to freeze, and was not asked to let go */
	uint64_t frozen_ns; /* when it was told to freeze */
	uint64_t prepare_us, freeze_us, held_us, thaw_us;
};

void writer_init(struct writer *w);
void writer_clear(struct writer *w); /* kills what still runs */

/* Deadlines of its own phases. */
uint64_t writer_prepare_ns(const struct writer *w, const struct settings *s);
uint64_t writer_freeze_ns(const struct writer *w, uint64_t window_ns);

/* A run of identify or a session; set is the id, "" for identify. A failure becomes its result. */
void writer_start(struct writer *w, enum phase first, const char *set, const struct settings *s,
		  uint64_t window_ns);
/* Ask for a phase; the answer is due until until_ns. */
void writer_ask(struct writer *w, enum phase phase, uint64_t until_ns);
/* It takes part and can be asked. */
bool writer_live(const struct writer *w);
bool writer_runs(const struct writer *w);
/* The first failure stays. */
void writer_fail(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Make it let go at once, whatever it does. */
void writer_kill(struct writer *w);

/* Something can be read, or it has ended. */
void writer_io(struct writer *w);
/* Heeds its deadlines; returns the next one (UINT64_MAX: none). */
uint64_t writer_tick(struct writer *w, uint64_t now);

#endif
