// SPDX-License-Identifier: Apache-2.0
#include "agent/tuner.h"

/* The weakest has to keep half of what it could save; below it lies only sending as it is. */
static const int zstd_levels[TUNER_STEPS] = {-3, -1, 1, 3, 6, 9};
static const int zlib_levels[TUNER_STEPS] = {1, 1, 1, 3, 6, 9};

#define STEP_FIRST 2
#define MOST (TUNER_WINDOW * 3 / 4) /* so many of a window decide */

void tuner_init(struct tuner *t)
{
	*t = (struct tuner){.step = STEP_FIRST};
}

void tuner_segment(struct tuner *t, bool behind, bool starved)
{
	t->seen++;
	t->behind += behind;
	t->starved += starved && !behind;
	if (t->seen < TUNER_WINDOW)
		return;
	if (t->behind >= MOST && t->step < TUNER_STEPS - 1)
		t->step++;
	else if (t->starved >= MOST && t->step > 0)
		t->step--;
	*t = (struct tuner){.step = t->step};
}

int tuner_level(const struct tuner *t, enum wire_codec codec)
{
	return codec == WIRE_CODEC_ZLIB ? zlib_levels[t->step] : zstd_levels[t->step];
}
