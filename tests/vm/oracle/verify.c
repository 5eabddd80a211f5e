// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 20 /* violations printed; the rest is counted */

struct check {
	const struct orc_layout *l;
	const struct orc_image *images;
	struct orc_report *report;
	uint32_t thread;
};

__attribute__((format(printf, 3, 4))) static void violation(const struct check *c,
							    enum orc_violation kind,
							    const char *format, ...)
{
	va_list args;

	c->report->count[kind]++;
	if (c->report->total++ >= SHOWN_MAX || c->report->quiet)
		return;
	printf("VIOLATION %s: thread %u: ", orc_violation_names[kind], c->thread);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

bool orc_read_config(const void *first_sector, struct orc_layout *l, uint32_t *disk)
{
	struct orc_sector s;

	memcpy(&s, first_sector, sizeof(s));
	if (!orc_sector_ok(&s) || s.type != ORC_CONFIG || s.disk >= s.config.disks)
		return false;
	*disk = s.disk;
	return orc_layout_init(l, &s.config, s.run);
}

/* The sectors of a slot, copied for alignment; returns how many. */
static uint32_t read_slot(const struct check *c, uint32_t slot, struct orc_sector *sectors)
{
	uint32_t size = c->l->config.thread[c->thread].size;
	uint64_t offset;
	uint32_t disk = orc_slot_at(c->l, c->thread, slot, &offset);

	memcpy(sectors, c->images[disk].data + offset, size);
	return size / ORC_SECTOR;
}

static bool ring_sector_ok(const struct check *c, const struct orc_sector *s, uint32_t slot,
			   uint32_t index)
{
	return orc_sector_ok(s) && s->run == c->l->run && s->type == ORC_RING &&
	       s->thread == c->thread && s->slot == slot && s->index == index &&
	       (!s->seq || s->seq % c->l->ring == slot);
}

/* The newest block of which anything is there, and whether all of it is. */
static void find_newest(const struct check *c, struct orc_state *state)
{
	struct orc_sector sectors[ORC_MAX_SIZE / ORC_SECTOR];
	uint32_t count;

	memset(state, 0, sizeof(*state));
	for (uint32_t slot = 0; slot < c->l->ring; slot++) {
		uint64_t newest = 0, oldest = UINT64_MAX;

		count = read_slot(c, slot, sectors);
		for (uint32_t i = 0; i < count; i++) {
			if (!ring_sector_ok(c, &sectors[i], slot, i))
				continue;
			if (sectors[i].seq < oldest)
				oldest = sectors[i].seq;
			if (sectors[i].seq < newest)
				continue;
			newest = sectors[i].seq;
			if (newest > state->newest)
				memcpy(state->seen, sectors[i].seen, sizeof(state->seen));
		}
		if (newest <= state->newest)
			continue;
		state->newest = newest;
		state->prefix = oldest == newest ? newest : newest - 1;
	}
}

/* The block that a slot holds when `prefix` blocks have been written; 0: as formatted. */
static uint64_t expected_in(const struct check *c, uint32_t slot, uint64_t prefix)
{
	uint64_t ring = c->l->ring;
	uint64_t back = (prefix % ring + ring - slot) % ring;

	return prefix > back ? prefix - back : 0;
}

static void check_slot(const struct check *c, const struct orc_state *state, uint32_t slot)
{
	struct orc_sector sectors[ORC_MAX_SIZE / ORC_SECTOR];
	uint32_t count = read_slot(c, slot, sectors);
	uint64_t expected = expected_in(c, slot, state->prefix), offset;
	bool in_flight = state->newest > state->prefix && slot == state->newest % c->l->ring;
	const char *name = c->images[orc_slot_at(c->l, c->thread, slot, &offset)].name;
	uint32_t older = 0, bad = 0;
	uint64_t other = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!ring_sector_ok(c, &sectors[i], slot, i)) {
			bad++;
		} else if (sectors[i].seq != expected &&
			   !(in_flight && sectors[i].seq == state->newest)) {
			/* never newer: that would make it the newest, or one of another slot */
			other = sectors[i].seq;
			older++;
		}
	}
	if (bad)
		violation(c, ORC_V_CORRUPT,
			  "%u of %u sectors of slot %u (%s, offset %" PRIu64
			  ") are not what was written",
			  bad, count, slot, name, offset);
	if (older == count)
		violation(c, ORC_V_LOST,
			  "slot %u (%s, offset %" PRIu64 ") holds block %" PRIu64
			  ", should hold %" PRIu64,
			  slot, name, offset, other, expected);
	else if (older)
		violation(c, ORC_V_TORN,
			  "%u of %u sectors of slot %u (%s, offset %" PRIu64 ") hold block %" PRIu64
			  ", all should hold %" PRIu64,
			  older, count, slot, name, offset, other, expected);
}

/* Does a scratch sector hold what it does after `step` (-1: as formatted)? */
static bool scratch_sector_is(const struct check *c, const struct orc_sector *s, int64_t step,
			      uint32_t range, uint32_t index)
{
	static const struct orc_sector zeros;

	if (step < 0 || !orc_step_fills(step))
		return memcmp(s, &zeros, sizeof(zeros)) == 0;
	return orc_sector_ok(s) && s->run == c->l->run && s->type == ORC_SCRATCH &&
	       s->thread == c->thread && s->slot == range && s->index == index &&
	       s->seq == (uint64_t)step;
}

static int64_t last_step_on(uint32_t range, int64_t end) /* before step `end` */
{
	for (int64_t step = end - 1; step >= 0; step--)
		if (orc_step_range(step) == range)
			return step;
	return -1;
}

/*
 * Block n is written after step n-1 has completed. So all steps before `newest` are done, and step
 * `newest` may have begun only if the newest block had completed.
 */
static void check_scratch(const struct check *c, const struct orc_state *state, uint32_t range)
{
	int64_t newest = state->newest, done = last_step_on(range, newest), next = -1;
	uint64_t offset;
	const struct orc_image *image = &c->images[orc_scratch_at(c->l, c->thread, range, &offset)];
	uint32_t bad = 0, count = ORC_SCRATCH_SIZE / ORC_SECTOR;
	struct orc_sector s;

	if (state->newest == state->prefix && orc_step_range(newest) == range)
		next = newest;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&s, image->data + offset + (size_t)i * ORC_SECTOR, sizeof(s));
		if (!scratch_sector_is(c, &s, done, range, i) &&
		    !(next >= 0 && scratch_sector_is(c, &s, next, range, i)))
			bad++;
	}
	if (bad)
		violation(c, ORC_V_SCRATCH,
			  "%u of %u sectors of scratch range %u (%s, offset %" PRIu64
			  ") are not what step %" PRId64 " left (%s)",
			  bad, count, range, image->name, offset, done,
			  done >= 0 && orc_step_fills(done) ? "data" : "zeros");
}

static void check_thread(struct check *c)
{
	struct orc_state *state = &c->report->state[c->thread];

	find_newest(c, state);
	for (uint32_t slot = 0; slot < c->l->ring; slot++)
		check_slot(c, state, slot);
	if (c->l->scratcher[c->thread] >= 0)
		for (uint32_t range = 0; range < ORC_SCRATCHES; range++)
			check_scratch(c, state, range);
}

static void check_causes(struct check *c)
{
	const struct orc_state *state = c->report->state;

	for (uint32_t t = 0; t < c->l->config.threads; t++) {
		c->thread = t;
		for (uint32_t u = 0; u < c->l->config.threads; u++)
			if (u != t && state[t].seen[u] > state[u].prefix)
				violation(c, ORC_V_CAUSE,
					  "block %" PRIu64 " was written after block %" PRIu64
					  " of thread %u had completed, of which the image holds"
					  " only up to %" PRIu64,
					  state[t].newest, state[t].seen[u], u, state[u].prefix);
	}
}

static void check_bounds(struct check *c, const struct orc_progress *least,
			 const struct orc_progress *most)
{
	for (uint32_t t = 0; t < c->l->config.threads; t++) {
		const struct orc_state *state = &c->report->state[t];

		c->thread = t;
		if (least && state->prefix < least->completed[t])
			violation(c, ORC_V_AT_LEAST,
				  "block %" PRIu64 " had completed before the boundary,"
				  " the image holds only up to %" PRIu64,
				  least->completed[t], state->prefix);
		if (most && state->newest > most->completed[t] + 1)
			violation(c, ORC_V_AT_MOST,
				  "the image holds block %" PRIu64 ", but after the"
				  " boundary only %" PRIu64 " had completed",
				  state->newest, most->completed[t]);
	}
}

unsigned int orc_verify(const struct orc_layout *l, const struct orc_image *images,
			const struct orc_progress *at_least, const struct orc_progress *at_most,
			struct orc_report *report)
{
	struct check c = {.l = l, .images = images, .report = report};
	bool quiet = report->quiet;

	memset(report, 0, sizeof(*report));
	report->quiet = quiet;
	for (c.thread = 0; c.thread < l->config.threads; c.thread++)
		check_thread(&c);
	check_causes(&c);
	check_bounds(&c, at_least, at_most);
	return report->total;
}
