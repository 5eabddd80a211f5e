// SPDX-License-Identifier: Apache-2.0
#include "agent/tuner.h"

#include "lib/codec.h"

static const int zstd_levels[TUNER_STEPS] = {CODEC_ZSTD_WEAKEST, -1, 1, 3, 6, 9};
static const int zlib_levels[TUNER_STEPS] = {1, 1, 1, 3, 6, 9};

/* The first copy of a disk moves most, and on a fast network waits for the processor. */
#define STEP_FIRST 0
#define MOST (TUNER_WINDOW * 3 / 4) /* so many of a window decide */

void tuner_init(struct tuner *t)
{
	*t = (struct tuner){.step = STEP_FIRST};
}

/* Did the requests since the last decision spend more time on the way than at the appliance? */
static bool network_slower(const struct tuner *t, const struct tuner_segment *s)
{
	return s->send_ns - t->send_ns > 2 * (s->appliance_ns - t->appliance_ns);
}

void tuner_segment(struct tuner *t, const struct tuner_segment *s)
{
	t->seen++;
	t->behind += s->behind;
	t->starved += s->starved && !s->behind;
	if (t->seen < TUNER_WINDOW)
		return;
	if (t->behind >= MOST && t->step < TUNER_STEPS - 1 && network_slower(t, s))
		t->step++;
	else if (t->starved >= MOST && t->step > 0)
		t->step--;
	*t = (struct tuner){.step = t->step,
			    .send_ns = s->send_ns,
			    .appliance_ns = s->appliance_ns};
}

int tuner_level(const struct tuner *t, enum wire_codec codec)
{
	return codec == WIRE_CODEC_ZLIB ? zlib_levels[t->step] : zstd_levels[t->step];
}
