/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where the main thread waits: for writers, the requester, the watchdog, signals and
 * one thing more. What came is put where it belongs; the callers look at that.
 */
#ifndef VSS_SHIM_PUMP_H
#define VSS_SHIM_PUMP_H

#include "vss-shim/writer.h"

enum cause { /* why a set is given up; several may be true */
	     CAUSE_REQUESTER = 1, /* gone, or it speaks another language */
	     CAUSE_WATCHDOG = 2, /* ended */
	     CAUSE_SIGNAL = 4, /* we are to end */
};

struct pump {
	struct writer *writer;
	size_t count;
	int requester; /* -1: none */
	struct lines *from; /* what the requester said */
	int watchdog; /* -1: none */
	int signals; /* signalfd; -1: none */
	int other; /* -1: none */
	bool other_ready;
	unsigned int causes;
};

/* Until something happened or until_ns; also heeds the writers' deadlines. */
void pump_once(struct pump *p, uint64_t until_ns);
/* Until all writers have answered phase, or one of the causes is there, or until_ns. */
void pump_answers(struct pump *p, enum phase phase, unsigned int causes, uint64_t until_ns);

#endif
