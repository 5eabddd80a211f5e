// SPDX-License-Identifier: Apache-2.0
#include "agent/scan_digests.h"

#include <stdlib.h>
#include <string.h>

/* A byte for each block and chunk, not a bit: neighbours belong to different workers. */
struct scan_digests {
	uint64_t blocks, chunks;
	uint8_t (*known)[DIGEST_BYTES];
	uint8_t *is_known;
	uint8_t (*seen)[DIGEST_BYTES];
	uint8_t *is_seen;
};

struct scan_digests *scan_digests_new(uint64_t size)
{
	struct scan_digests *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->blocks = ((size < SCAN_KNOWN_MAX ? size : SCAN_KNOWN_MAX) + WIRE_BLOCK - 1) / WIRE_BLOCK;
	s->chunks = (size + SCAN_CHUNK - 1) / SCAN_CHUNK;
	s->known = calloc(s->blocks, DIGEST_BYTES);
	s->is_known = calloc(s->blocks, 1);
	s->seen = calloc(s->chunks, DIGEST_BYTES);
	s->is_seen = calloc(s->chunks, 1);
	if (!s->known || !s->is_known || !s->seen || !s->is_seen) {
		scan_digests_free(s);
		return NULL;
	}
	return s;
}

void scan_digests_free(struct scan_digests *s)
{
	if (!s)
		return;
	free(s->known);
	free(s->is_known);
	free(s->seen);
	free(s->is_seen);
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
		memset(s->is_seen, 0, s->chunks);
}

void scan_digests_saw(struct scan_digests *s, uint64_t offset, const uint8_t *digests, size_t bytes)
{
	uint64_t chunk = offset / SCAN_CHUNK;

	if (!s || chunk >= s->chunks)
		return;
	digest_sha256(digests, bytes, s->seen[chunk]);
	s->is_seen[chunk] = 1;
}

bool scan_digests_same(const struct scan_digests *s, uint64_t offset, const uint8_t *digests,
		       size_t bytes)
{
	uint64_t chunk = offset / SCAN_CHUNK;
	uint8_t now[DIGEST_BYTES];

	if (!s || chunk >= s->chunks || !s->is_seen[chunk])
		return false;
	digest_sha256(digests, bytes, now);
	return !memcmp(now, s->seen[chunk], DIGEST_BYTES);
}

void scan_block_digest(const void *data, size_t len, uint8_t out[DIGEST_BYTES], bool *zero)
{
	*zero = mem_is_zero(data, len);
	if (*zero)
		memset(out, 0, DIGEST_BYTES);
	else
		digest_sha256(data, len, out);
}
