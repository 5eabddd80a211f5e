/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tool for guests: snapshot sets of vss-shim, round after round, in which somebody is killed or
 * stopped at a random moment; whether everything is let go in time, and labelled truthfully.
 */
#ifndef FREEZEKILL_H
#define FREEZEKILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOCK_FILE "/run/freezekill.lock" /* held by the writer */
#define HOOK_FILE "/run/freezekill.hook" /* there while the hook's application is held */

uint64_t now_us(void);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* probe.c: a thread for each file writes to it without end. */
void probe_start(char **files, int count);
/* The longest time that a write took, or is taking, since the last call with reset. */
uint64_t probe_worst_us(bool reset);
/* How long a write is waiting now. */
uint64_t probe_waiting_us(void);

/* request.c: what the requester, a process of its own, reports. */
enum step { STEP_PREPARED, STEP_FROZEN, STEP_THAWED, STEP_DONE, STEP_ERROR };
struct step_report {
	enum step step;
	bool consistent;
	uint64_t at_us;
};
pid_t request_start(const char *socket, int window_ms, int hold_ms, int *reports);
bool request_healthy(const char *socket); /* does the shim answer? */

/* writer.c */
int writer_main(const char *mode);

#endif
