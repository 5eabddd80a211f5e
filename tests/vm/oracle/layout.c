// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct orc_sector) == ORC_SECTOR, "a sector is 512 bytes");
_Static_assert(offsetof(struct orc_sector, pattern) % 8 == 0, "the pattern is of whole words");
_Static_assert(sizeof(struct orc_config) >= sizeof(uint64_t) * ORC_MAX_THREADS, "union");

const char *const orc_kind_names[ORC_KINDS] = {
	[ORC_DIRECT] = "direct", [ORC_DSYNC] = "dsync",	  [ORC_BUFFERED] = "buffered",
	[ORC_VECTOR] = "vector", [ORC_NOWAIT] = "nowait", [ORC_HIPRI] = "hipri",
	[ORC_AIO] = "aio",	 [ORC_ZERO] = "zero",	  [ORC_DISCARD] = "discard",
};

const char *const orc_violation_names[ORC_VIOLATIONS] = {
	[ORC_V_CORRUPT] = "corrupt", [ORC_V_LOST] = "lost",	  [ORC_V_TORN] = "torn",
	[ORC_V_CAUSE] = "cause",     [ORC_V_SCRATCH] = "scratch", [ORC_V_AT_LEAST] = "at-least",
	[ORC_V_AT_MOST] = "at-most",
};

static bool config_ok(const struct orc_config *c)
{
	if (c->disks < 1 || c->disks > ORC_MAX_DISKS || c->threads < 1 ||
	    c->threads > ORC_MAX_THREADS || c->rows < 2 || c->rows > 4096) {
		fprintf(stderr, "oracle: %u disks, %u threads, %u rows: need 1-%u, 1-%u, 2-4096\n",
			c->disks, c->threads, c->rows, ORC_MAX_DISKS, ORC_MAX_THREADS);
		return false;
	}
	for (uint32_t t = 0; t < c->threads; t++) {
		const struct orc_thread *thread = &c->thread[t];
		uint32_t unit = thread->kind == ORC_BUFFERED ? ORC_PAGE : ORC_SECTOR;

		if (thread->kind >= ORC_KINDS || !thread->size || thread->size > ORC_MAX_SIZE ||
		    thread->size % unit) {
			fprintf(stderr,
				"oracle: thread %u: %u bytes is not a multiple of %u up to %u\n", t,
				thread->size, unit, ORC_MAX_SIZE);
			return false;
		}
	}
	return true;
}

static uint64_t round_up(uint64_t n, uint32_t unit)
{
	return (n + unit - 1) / unit * unit;
}

bool orc_layout_init(struct orc_layout *l, const struct orc_config *config, uint64_t run)
{
	uint32_t per_disk =
		(ORC_SCRATCHES + config->disks - 1) / (config->disks ? config->disks : 1);
	uint64_t at = 0;

	if (!config_ok(config))
		return false;
	memset(l, 0, sizeof(*l));
	l->config = *config;
	l->run = run;
	l->ring = config->rows * config->disks;
	for (uint32_t t = 0; t < config->threads; t++) {
		uint32_t kind = config->thread[t].kind;

		/* pages of the cache must hold nothing of another thread */
		if (kind == ORC_BUFFERED)
			at = round_up(at, ORC_PAGE);
		l->at[t] = at;
		at += config->thread[t].size;
		l->scratcher[t] =
			kind == ORC_ZERO || kind == ORC_DISCARD ? (int)l->scratchers++ : -1;
	}
	l->pitch = round_up(at, ORC_PAGE);
	/* an odd sector more, so that no scratch range begins or ends with a page */
	l->scratch_at = ORC_PAGE + (uint64_t)l->pitch * config->rows + ORC_SECTOR;
	l->area = round_up(l->scratch_at + (uint64_t)l->scratchers * per_disk * ORC_SCRATCH_SIZE,
			   ORC_PAGE);
	return true;
}

uint32_t orc_slot_at(const struct orc_layout *l, uint32_t thread, uint32_t slot, uint64_t *offset)
{
	*offset = ORC_PAGE + (uint64_t)(slot / l->config.disks) * l->pitch + l->at[thread];
	return slot % l->config.disks;
}

uint32_t orc_scratch_at(const struct orc_layout *l, uint32_t thread, uint32_t range,
			uint64_t *offset)
{
	uint32_t row = range / l->config.disks;

	*offset = l->scratch_at + (uint64_t)(row * l->scratchers + (uint32_t)l->scratcher[thread]) *
					  ORC_SCRATCH_SIZE;
	return range % l->config.disks;
}

uint32_t orc_step_range(uint64_t step)
{
	return step / 2 % ORC_SCRATCHES;
}

bool orc_step_fills(uint64_t step)
{
	return step % 2 == 0;
}

static uint64_t mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* The start of a sector's pattern: depends on every word before the pattern. */
static uint64_t pattern_seed(const struct orc_sector *s)
{
	const char *words = (const char *)s;
	uint64_t x = 0, word;

	for (size_t i = 0; i < offsetof(struct orc_sector, pattern); i += 8) {
		memcpy(&word, words + i, 8);
		x = mix(x ^ word);
	}
	return x;
}

static void seal(struct orc_sector *s)
{
	uint64_t x = pattern_seed(s);

	for (size_t i = 0; i < sizeof(s->pattern) / 8; i++)
		s->pattern[i] = x = mix(x);
}

bool orc_sector_ok(const struct orc_sector *s)
{
	uint64_t x;

	if (s->magic != ORC_MAGIC)
		return false;
	x = pattern_seed(s);
	for (size_t i = 0; i < sizeof(s->pattern) / 8; i++) {
		x = mix(x);
		if (s->pattern[i] != x)
			return false;
	}
	return true;
}

static void make_sectors(struct orc_sector template, uint32_t size, uint8_t *buf)
{
	for (uint32_t i = 0; i < size / ORC_SECTOR; i++) {
		template.index = i;
		seal(&template);
		memcpy(buf + (size_t)i * ORC_SECTOR, &template, ORC_SECTOR);
	}
}

void orc_make_slot(const struct orc_layout *l, uint32_t thread, uint32_t slot, uint64_t seq,
		   const uint64_t *seen, void *buf)
{
	struct orc_sector s = {.magic = ORC_MAGIC,
			       .run = l->run,
			       .type = ORC_RING,
			       .thread = thread,
			       .slot = slot,
			       .seq = seq};

	s.disk = slot % l->config.disks;
	if (seen)
		memcpy(s.seen, seen, sizeof(s.seen));
	make_sectors(s, l->config.thread[thread].size, buf);
}

void orc_make_block(const struct orc_layout *l, uint32_t thread, uint64_t seq, const uint64_t *seen,
		    void *buf)
{
	orc_make_slot(l, thread, seq % l->ring, seq, seen, buf);
}

void orc_make_scratch(const struct orc_layout *l, uint32_t thread, uint64_t step, void *buf)
{
	uint32_t range = orc_step_range(step);
	struct orc_sector s = {.magic = ORC_MAGIC,
			       .run = l->run,
			       .type = ORC_SCRATCH,
			       .thread = thread,
			       .slot = range,
			       .seq = step};

	s.disk = range % l->config.disks;
	make_sectors(s, ORC_SCRATCH_SIZE, buf);
}

void orc_make_config(const struct orc_layout *l, uint32_t disk, void *buf)
{
	struct orc_sector s = {.magic = ORC_MAGIC, .run = l->run, .type = ORC_CONFIG};

	s.disk = disk;
	s.config = l->config;
	make_sectors(s, ORC_SECTOR, buf);
}

void orc_format_image(const struct orc_layout *l, uint32_t disk, uint8_t *data)
{
	uint64_t offset;

	memset(data, 0, l->area);
	orc_make_config(l, disk, data);
	for (uint32_t t = 0; t < l->config.threads; t++)
		for (uint32_t slot = disk; slot < l->ring; slot += l->config.disks) {
			orc_slot_at(l, t, slot, &offset);
			orc_make_slot(l, t, slot, 0, NULL, data + offset);
		}
}
