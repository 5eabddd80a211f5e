// SPDX-License-Identifier: Apache-2.0
/*
 * Does verify find what it is there to find, and nothing else? A simulated run, in memory, is stopped
 * at random moments, with writes in flight: such images must pass. Then each kind of fault is put into a copy of
 * the image: it must be found, as what it is.
 */
#include "oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { IDLE, IN_STEP, STEP_DONE, IN_BLOCK };

struct sim {
	struct orc_layout l;
	struct orc_image images[ORC_MAX_DISKS];
	struct orc_progress progress;
	enum phase phase[ORC_MAX_THREADS];
	uint64_t seen[ORC_MAX_THREADS][ORC_MAX_THREADS]; /* by the block in flight */
	uint64_t random;
	uint8_t scratch[ORC_SCRATCH_SIZE];
};

struct fault {
	const char *name;
	int kind; /* the violation that must be found, or -1: any */
	/* Puts the fault into the images; false if this moment has no place for it. */
	bool (*put)(struct sim *s, const struct orc_report *clean);
};

static uint64_t roll(struct sim *s, uint64_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % below;
}

static void copy_sectors(struct sim *s, uint8_t *to, const uint8_t *from, uint32_t size, bool all)
{
	for (uint32_t at = 0; at < size; at += ORC_SECTOR)
		if (all || roll(s, 2))
			memcpy(to + at, from + at, ORC_SECTOR);
}

static uint8_t *slot_data(struct sim *s, uint32_t t, uint32_t slot)
{
	uint64_t offset;
	uint32_t disk = orc_slot_at(&s->l, t, slot, &offset);

	return s->images[disk].data + offset;
}

static uint8_t *range_data(struct sim *s, uint32_t t, uint32_t range)
{
	uint64_t offset;
	uint32_t disk = orc_scratch_at(&s->l, t, range, &offset);

	return s->images[disk].data + offset;
}

static void apply_step(struct sim *s, uint32_t t, bool all)
{
	uint64_t step = s->progress.completed[t];

	memset(s->scratch, 0, ORC_SCRATCH_SIZE);
	if (orc_step_fills(step))
		orc_make_scratch(&s->l, t, step, s->scratch);
	copy_sectors(s, range_data(s, t, orc_step_range(step)), s->scratch, ORC_SCRATCH_SIZE, all);
}

static void apply_block(struct sim *s, uint32_t t, bool all)
{
	uint64_t seq = s->progress.completed[t] + 1;

	orc_make_block(&s->l, t, seq, s->seen[t], s->scratch);
	copy_sectors(s, slot_data(s, t, seq % s->l.ring), s->scratch, s->l.config.thread[t].size,
		     all);
}

/* One thread goes one phase on; in IN_STEP and IN_BLOCK a random part of the write has landed. */
static void advance(struct sim *s)
{
	uint32_t t = (uint32_t)roll(s, s->l.config.threads);

	switch (s->phase[t]) {
	case IDLE:
		s->phase[t] = STEP_DONE;
		if (s->l.scratcher[t] >= 0) {
			apply_step(s, t, false);
			s->phase[t] = IN_STEP;
		}
		break;
	case IN_STEP:
		apply_step(s, t, true);
		s->phase[t] = STEP_DONE;
		break;
	case STEP_DONE:
		memcpy(s->seen[t], s->progress.completed, sizeof(s->seen[t]));
		apply_block(s, t, false);
		s->phase[t] = IN_BLOCK;
		break;
	case IN_BLOCK:
		apply_block(s, t, true);
		s->progress.completed[t]++;
		s->phase[t] = IDLE;
		break;
	}
}

static bool sim_init(struct sim *s, uint64_t seed)
{
	static const struct orc_config config = {.disks = 3,
						 .threads = 6,
						 .rows = 3,
						 .thread = {{ORC_DIRECT, 512},
							    {ORC_DIRECT, 4096},
							    {ORC_BUFFERED, 8192},
							    {ORC_VECTOR, 10240},
							    {ORC_ZERO, 512},
							    {ORC_DISCARD, 1536}}};

	memset(s, 0, sizeof(*s));
	s->random = seed * 2 + 1;
	if (!orc_layout_init(&s->l, &config, seed))
		return false;
	for (uint32_t i = 0; i < config.disks; i++) {
		snprintf(s->images[i].name, sizeof(s->images[i].name), "disk%u", i);
		s->images[i].data = malloc(s->l.area);
		if (!s->images[i].data)
			return false;
		orc_format_image(&s->l, i, s->images[i].data);
	}
	return true;
}

static void sim_free(struct sim *s)
{
	for (uint32_t i = 0; i < ORC_MAX_DISKS; i++)
		free(s->images[i].data);
}

static bool sim_copy(struct sim *to, const struct sim *from)
{
	*to = *from;
	for (uint32_t i = 0; i < from->l.config.disks; i++) {
		to->images[i].data = malloc(from->l.area);
		if (!to->images[i].data)
			return false;
		memcpy(to->images[i].data, from->images[i].data, from->l.area);
	}
	return true;
}

typedef bool fits_fn(const struct sim *s, const struct orc_report *clean, uint32_t t);

/* A thread that fits, tried from a random one on; -1 if none does. */
static int pick(struct sim *s, const struct orc_report *clean, fits_fn *fits)
{
	uint32_t start = (uint32_t)roll(s, s->l.config.threads);

	for (uint32_t i = 0; i < s->l.config.threads; i++) {
		uint32_t t = (start + i) % s->l.config.threads;

		if (fits(s, clean, t))
			return (int)t;
	}
	return -1;
}

static uint32_t size_of(const struct sim *s, uint32_t t)
{
	return s->l.config.thread[t].size;
}

static bool at_rest(const struct orc_report *clean, uint32_t t)
{
	return clean->state[t].newest == clean->state[t].prefix;
}

static bool fits_old(const struct sim *s, const struct orc_report *clean, uint32_t t)
{
	(void)s;
	return clean->state[t].prefix >= 2;
}

static bool fits_old_long(const struct sim *s, const struct orc_report *clean, uint32_t t)
{
	return clean->state[t].prefix >= 2 && size_of(s, t) > ORC_SECTOR;
}

static bool fits_rest_long(const struct sim *s, const struct orc_report *clean, uint32_t t)
{
	return at_rest(clean, t) && size_of(s, t) > ORC_SECTOR && s->l.scratcher[t] < 0;
}

static bool fits_cause(const struct sim *s, const struct orc_report *clean, uint32_t u)
{
	const struct orc_state *state = clean->state;

	if (s->l.scratcher[u] >= 0 || !state[u].prefix || !at_rest(clean, u))
		return false;
	for (uint32_t t = 0; t < s->l.config.threads; t++)
		if (t != u && state[t].seen[u] == state[u].prefix)
			return true;
	return false;
}

/* An odd block in flight: the last step filled a range, and the next has not begun. */
static bool fits_filled(const struct sim *s, const struct orc_report *clean, uint32_t t)
{
	return s->l.scratcher[t] >= 0 && clean->state[t].newest % 2 && !at_rest(clean, t);
}

static bool fits_zeroed(const struct sim *s, const struct orc_report *clean, uint32_t t)
{
	return s->l.scratcher[t] >= 0 && clean->state[t].newest && clean->state[t].newest % 2 == 0;
}

/* A completed block that is neither the newest nor next to be overwritten; 0 if there is none. */
static uint64_t older_block(struct sim *s, const struct orc_report *clean, uint32_t t)
{
	uint64_t prefix = clean->state[t].prefix;
	uint64_t span = prefix - 1 < s->l.ring - 2 ? prefix - 1 : s->l.ring - 2;

	return prefix < 2 ? 0 : prefix - 1 - roll(s, span);
}

static void make_predecessor(struct sim *s, uint32_t t, uint64_t seq) /* what it overwrote */
{
	orc_make_slot(&s->l, t, (uint32_t)(seq % s->l.ring), seq > s->l.ring ? seq - s->l.ring : 0,
		      NULL, s->scratch);
}

static bool put_lost(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_old);
	uint64_t seq = t < 0 ? 0 : older_block(s, clean, (uint32_t)t);

	if (!seq)
		return false;
	make_predecessor(s, (uint32_t)t, seq);
	memcpy(slot_data(s, (uint32_t)t, seq % s->l.ring), s->scratch, size_of(s, (uint32_t)t));
	return true;
}

static bool put_torn(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_old_long);
	uint64_t seq = t < 0 ? 0 : older_block(s, clean, (uint32_t)t);

	if (!seq)
		return false;
	make_predecessor(s, (uint32_t)t, seq);
	memcpy(slot_data(s, (uint32_t)t, seq % s->l.ring), s->scratch, ORC_SECTOR);
	return true;
}

static bool put_two_in_flight(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_rest_long);
	uint64_t next;

	if (t < 0)
		return false;
	next = clean->state[t].prefix + 1;
	for (uint64_t seq = next; seq <= next + 1; seq++) {
		orc_make_block(&s->l, (uint32_t)t, seq, s->progress.completed, s->scratch);
		memcpy(slot_data(s, (uint32_t)t, seq % s->l.ring), s->scratch, ORC_SECTOR);
	}
	return true;
}

/* The image before u's newest block is itself a prefix of u's history, but t has seen that block. */
static bool put_effect_without_cause(struct sim *s, const struct orc_report *clean)
{
	int u = pick(s, clean, fits_cause);
	uint64_t seq;

	if (u < 0)
		return false;
	seq = clean->state[u].prefix;
	make_predecessor(s, (uint32_t)u, seq);
	memcpy(slot_data(s, (uint32_t)u, seq % s->l.ring), s->scratch, size_of(s, (uint32_t)u));
	return true;
}

static bool put_bit_flip(struct sim *s, const struct orc_report *clean)
{
	uint32_t t = (uint32_t)roll(s, s->l.config.threads);
	uint8_t *data = slot_data(s, t, (uint32_t)roll(s, s->l.ring));

	(void)clean;
	data[roll(s, size_of(s, t))] ^= (uint8_t)(1u << roll(s, 8));
	return true;
}

static bool put_zeroed_slot(struct sim *s, const struct orc_report *clean)
{
	uint32_t t = (uint32_t)roll(s, s->l.config.threads);

	(void)clean;
	memset(slot_data(s, t, (uint32_t)roll(s, s->l.ring)), 0, size_of(s, t));
	return true;
}

static bool put_misplaced(struct sim *s, const struct orc_report *clean)
{
	uint32_t t = (uint32_t)roll(s, s->l.config.threads);
	uint32_t slot = (uint32_t)roll(s, s->l.ring - 1);

	(void)clean;
	memcpy(slot_data(s, t, slot), slot_data(s, t, slot + 1), size_of(s, t));
	return true;
}

static bool put_half_sector(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_old);
	uint64_t seq = t < 0 ? 0 : older_block(s, clean, (uint32_t)t);

	if (!seq)
		return false;
	make_predecessor(s, (uint32_t)t, seq);
	memcpy(slot_data(s, (uint32_t)t, seq % s->l.ring), s->scratch, ORC_SECTOR / 2);
	return true;
}

static bool put_missed_fill(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_filled);

	if (t < 0)
		return false;
	memset(range_data(s, (uint32_t)t, orc_step_range(clean->state[t].newest - 1)), 0,
	       ORC_SECTOR);
	return true;
}

static bool put_missed_discard(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_zeroed);
	uint64_t filled;

	if (t < 0)
		return false;
	filled = clean->state[t].newest - 2;
	orc_make_scratch(&s->l, (uint32_t)t, filled, s->scratch);
	memcpy(range_data(s, (uint32_t)t, orc_step_range(filled)), s->scratch, ORC_SCRATCH_SIZE);
	return true;
}

static bool put_too_old(struct sim *s, const struct orc_report *clean)
{
	uint32_t t = (uint32_t)roll(s, s->l.config.threads);

	s->progress.completed[t] = clean->state[t].prefix + 1;
	return true;
}

static bool put_too_new(struct sim *s, const struct orc_report *clean)
{
	int t = pick(s, clean, fits_old);

	if (t >= 0)
		s->progress.completed[t] = clean->state[t].newest - 2;
	return t >= 0;
}

static bool put_disk_behind(struct sim *s, const struct orc_report *clean)
{
	uint32_t disk = (uint32_t)roll(s, s->l.config.disks);
	uint8_t *old = malloc(s->l.area);

	(void)clean;
	if (!old)
		return false;
	memcpy(old, s->images[disk].data, s->l.area);
	for (int i = 0; i < 400; i++)
		advance(s);
	free(s->images[disk].data);
	s->images[disk].data = old;
	return true;
}

static const struct fault faults[] = {
	{"a lost write", ORC_V_LOST, put_lost},
	{"a torn block", ORC_V_TORN, put_torn},
	{"two blocks in flight", ORC_V_TORN, put_two_in_flight},
	{"B without its cause A", ORC_V_CAUSE, put_effect_without_cause},
	{"a flipped bit", ORC_V_CORRUPT, put_bit_flip},
	{"a zeroed slot", ORC_V_CORRUPT, put_zeroed_slot},
	{"a misplaced block", ORC_V_CORRUPT, put_misplaced},
	{"half a sector", ORC_V_CORRUPT, put_half_sector},
	{"a missed discard", ORC_V_SCRATCH, put_missed_discard},
	{"a missed filling", ORC_V_SCRATCH, put_missed_fill},
	{"an image too old", ORC_V_AT_LEAST, put_too_old},
	{"an image too new", ORC_V_AT_MOST, put_too_new},
	{"a disk behind the others", -1, put_disk_behind},
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

static bool check_fault(const struct sim *good, const struct orc_report *clean, size_t n,
			unsigned int found[])
{
	const struct fault *fault = &faults[n];
	bool least = fault->kind == ORC_V_AT_LEAST, most = fault->kind == ORC_V_AT_MOST;
	struct orc_report report = {.quiet = true};
	struct sim bad;
	bool ok = sim_copy(&bad, good);

	if (ok && fault->put(&bad, clean)) {
		orc_verify(&bad.l, bad.images, least ? &bad.progress : NULL,
			   most ? &bad.progress : NULL, &report);
		ok = fault->kind < 0 ? report.total > 0 : report.count[fault->kind] > 0;
		/* these three leave every thread with a prefix, so they must be seen by their own rule */
		if (fault->kind == ORC_V_CAUSE || least || most)
			ok = ok && report.total == report.count[fault->kind];
		found[n] += ok;
		if (!ok)
			printf("FAIL oracle-selftest: %s was not found\n", fault->name);
	}
	sim_free(&bad);
	return ok;
}

static bool check_moment(struct sim *s, unsigned int found[])
{
	struct orc_report clean = {0};
	bool ok = true;

	if (orc_verify(&s->l, s->images, &s->progress, &s->progress, &clean)) {
		printf("FAIL oracle-selftest: a consistent image was refused\n");
		return false;
	}
	for (size_t n = 0; n < FAULTS; n++)
		ok = check_fault(s, &clean, n, found) && ok;
	return ok;
}

int orc_selftest(unsigned int rounds, uint64_t seed)
{
	unsigned int found[FAULTS] = {0};
	static struct sim s;
	bool ok = sim_init(&s, seed);

	for (unsigned int round = 0; ok && round < rounds; round++) {
		for (uint64_t steps = roll(&s, 300); steps; steps--)
			advance(&s);
		ok = check_moment(&s, found);
	}
	for (size_t n = 0; ok && n < FAULTS; n++) {
		printf("%s: found %u times\n", faults[n].name, found[n]);
		if (!found[n]) {
			printf("FAIL oracle-selftest: %s never occurred in %u rounds\n",
			       faults[n].name, rounds);
			ok = false;
		}
	}
	sim_free(&s);
	if (ok)
		printf("PASS oracle-selftest\n");
	return ok ? 0 : 1;
}
