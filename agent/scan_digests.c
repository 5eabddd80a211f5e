// SPDX-License-Identifier: Apache-2.0
#include "agent/scan_digests.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The chunks of a group, and what two readings of them added up to. */
struct seen {
	uint64_t sum[DIGEST_BYTES / 8]; /* of the first reading less that of the second */
	uint32_t first, second; /* chunks read */
};

/* A byte for each block, not a bit: neighbours belong to different workers. */
struct scan_digests {
	uint64_t blocks, chunks, per_group, groups;
	uint8_t (*known)[DIGEST_BYTES];
	uint8_t *is_known;
	pthread_mutex_t lock; /* guards seen */
	struct seen *seen;
};

struct scan_digests *scan_digests_new(uint64_t size)
{
	struct scan_digests *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->blocks = ((size < SCAN_KNOWN_MAX ? size : SCAN_KNOWN_MAX) + WIRE_BLOCK - 1) / WIRE_BLOCK;
	s->chunks = (size + SCAN_CHUNK - 1) / SCAN_CHUNK;
	s->per_group = (s->chunks + SCAN_GROUPS_MAX - 1) / SCAN_GROUPS_MAX;
	s->groups = (s->chunks + s->per_group - 1) / s->per_group;
	s->known = calloc(s->blocks, DIGEST_BYTES);
	s->is_known = calloc(s->blocks, 1);
	s->seen = calloc(s->groups, sizeof(*s->seen));
	if (!s->known || !s->is_known || !s->seen) {
		scan_digests_free(s);
		return NULL;
	}
	return s;
}

void scan_digests_free(struct scan_digests *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->known);
	free(s->is_known);
	free(s->seen);
	free(s);
}

bool scan_digests_known(const struct scan_digests *s, uint64_t offset, uint64_t length,
			uint8_t *out)
{
	uint64_t first = offset / WIRE_BLOCK, end = (offset + length + WIRE_BLOCK - 1) / WIRE_BLOCK;

	if (!s || end > s->blocks || memchr(s->is_known + first, 0, end - first))
		return false;
	memcpy(out, s->known[first], (end - first) * DIGEST_BYTES);
	return true;
}

void scan_digests_learn(struct scan_digests *s, uint64_t offset, const uint8_t digest[DIGEST_BYTES])
{
	uint64_t block = offset / WIRE_BLOCK;

	if (!s || block >= s->blocks)
		return;
	memcpy(s->known[block], digest, DIGEST_BYTES);
	s->is_known[block] = 1;
}

void scan_digests_forget(struct scan_digests *s)
{
	if (s)
		memset(s->is_known, 0, s->blocks);
}

void scan_digests_begin(struct scan_digests *s)
{
	if (s)
		memset(s->seen, 0, s->groups * sizeof(*s->seen));
}

/*
 * What a chunk adds to its group: order does not matter, place does. A group that two readings saw
 * alike has the same sum, and by chance alone no other has.
 */
static void chunk_sum(uint64_t offset, const uint8_t *digests, size_t bytes,
		      uint64_t sum[DIGEST_BYTES / 8])
{
	uint8_t both[sizeof(offset) + DIGEST_BYTES], digest[DIGEST_BYTES];

	memcpy(both, &offset, sizeof(offset));
	digest_sha256(digests, bytes, both + sizeof(offset));
	digest_sha256(both, sizeof(both), digest);
	memcpy(sum, digest, DIGEST_BYTES);
}

void scan_digests_saw(struct scan_digests *s, uint64_t offset, const uint8_t *digests, size_t bytes)
{
	uint64_t chunk = offset / SCAN_CHUNK, sum[DIGEST_BYTES / 8];
	struct seen *g;

	if (!s || chunk >= s->chunks)
		return;
	chunk_sum(offset, digests, bytes, sum);
	g = &s->seen[chunk / s->per_group];
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < DIGEST_BYTES / 8; i++)
		g->sum[i] += sum[i];
	g->first++;
	pthread_mutex_unlock(&s->lock);
}

/* With the lock held: the last chunk of the group decides. */
static bool group_same(const struct scan_digests *s, uint64_t group)
{
	const struct seen *g = &s->seen[group];
	uint64_t first = group * s->per_group, all = s->chunks - first;

	if (all > s->per_group)
		all = s->per_group;
	if (g->second < all)
		return true;
	return g->first == all && mem_is_zero(g->sum, sizeof(g->sum));
}

bool scan_digests_same(struct scan_digests *s, uint64_t offset, const uint8_t *digests,
		       size_t bytes)
{
	uint64_t chunk = offset / SCAN_CHUNK, sum[DIGEST_BYTES / 8];
	struct seen *g;
	bool same;

	if (!s || chunk >= s->chunks)
		return false;
	chunk_sum(offset, digests, bytes, sum);
	g = &s->seen[chunk / s->per_group];
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < DIGEST_BYTES / 8; i++)
		g->sum[i] -= sum[i];
	g->second++;
	same = group_same(s, chunk / s->per_group);
	pthread_mutex_unlock(&s->lock);
	return same;
}

void scan_block_digest(const void *data, size_t len, uint8_t out[DIGEST_BYTES], bool *zero)
{
	*zero = mem_is_zero(data, len);
	if (*zero)
		memset(out, 0, DIGEST_BYTES);
	else
		digest_sha256(data, len, out);
}
