/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutations that know what a segment is. Random bytes fail at the first count or digest; so most inputs are taken apart into
 * header, extents and each extent's bytes, changed there, and put together with right counts, places
 * and digests. Some are then damaged in one place, with only the trailer put right, and some are left to chance.
 */
#include <endian.h>
#include <string.h>

#include "lib/codec.h"
#include "lib/digest.h"
#include "tests/fuzz/fuzz.h"

#define ITEMS_MAX 64
#define BYTES_MAX 4096 /* of one extent; lengths on the disk may say more */

struct item {
	struct wire_extent x;
	size_t len;
	uint8_t bytes[BYTES_MAX];
};

struct model {
	struct wire_header h;
	size_t count;
	struct item items[ITEMS_MAX];
};

static uint64_t state;

static uint64_t chance(uint64_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static void model_read(struct model *m, const uint8_t *data, size_t size)
{
	size_t at, table;

	memset(m, 0, offsetof(struct model, items));
	memcpy(&m->h, data, size < sizeof(m->h) ? size : sizeof(m->h));
	if (size < WIRE_HEADER_BYTES + WIRE_TRAILER_BYTES)
		return;
	table = le32toh(m->h.extent_count);
	if (table > (size - WIRE_HEADER_BYTES - WIRE_TRAILER_BYTES) / WIRE_EXTENT_BYTES)
		table = (size - WIRE_HEADER_BYTES - WIRE_TRAILER_BYTES) / WIRE_EXTENT_BYTES;
	at = WIRE_HEADER_BYTES + table * WIRE_EXTENT_BYTES;
	for (size_t i = 0; i < table && i < ITEMS_MAX; i++) {
		struct item *item = &m->items[m->count++];
		size_t left = size - WIRE_TRAILER_BYTES - at;

		memcpy(&item->x, data + WIRE_HEADER_BYTES + i * WIRE_EXTENT_BYTES, sizeof(item->x));
		item->len = le32toh(item->x.stored_len);
		if (item->len > left)
			item->len = left;
		if (item->len > BYTES_MAX)
			item->len = BYTES_MAX;
		memcpy(item->bytes, data + at, item->len);
		at += item->len;
	}
}

static void fix_trailer(uint8_t *data, size_t size)
{
	size_t covered = size - WIRE_TRAILER_BYTES;
	struct wire_header h;

	if (size < WIRE_HEADER_BYTES + WIRE_TRAILER_BYTES)
		return;
	memcpy(&h, data, sizeof(h));
	if (le16toh(h.version) != WIRE_VERSION_OLD &&
	    le32toh(h.extent_count) <= (covered - WIRE_HEADER_BYTES) / WIRE_EXTENT_BYTES)
		covered = WIRE_HEADER_BYTES + le32toh(h.extent_count) * WIRE_EXTENT_BYTES;
	digest_sha256(data, covered, data + size - WIRE_TRAILER_BYTES);
}

/* With right counts and places, in at most max bytes. */
static size_t model_write(struct model *m, uint8_t *data, size_t max)
{
	size_t payload = 0, size = WIRE_HEADER_BYTES + WIRE_TRAILER_BYTES, at;

	if (max < size)
		return 0;
	for (size_t i = 0; i < m->count; i++) {
		size += WIRE_EXTENT_BYTES + m->items[i].len;
		if (size > max) {
			size -= WIRE_EXTENT_BYTES + m->items[i].len;
			m->count = i;
			break;
		}
		m->items[i].x.payload_off = htole64(payload);
		m->items[i].x.stored_len = htole32((uint32_t)m->items[i].len);
		payload += m->items[i].len;
	}
	m->h.extent_count = htole32((uint32_t)m->count);
	m->h.payload_bytes = htole64(payload);
	memcpy(data, &m->h, sizeof(m->h));
	at = WIRE_HEADER_BYTES + m->count * WIRE_EXTENT_BYTES;
	for (size_t i = 0; i < m->count; i++) {
		memcpy(data + WIRE_HEADER_BYTES + i * WIRE_EXTENT_BYTES, &m->items[i].x,
		       sizeof(m->items[i].x));
		memcpy(data + at, m->items[i].bytes, m->items[i].len);
		at += m->items[i].len;
	}
	fix_trailer(data, size);
	return size;
}

/* Data that is right in every respect, in a codec of chance. */
static void renew_item(struct item *item)
{
	static uint8_t data[8 * BYTES_MAX];
	static struct codec *c;
	enum wire_codec codec = (enum wire_codec)chance(3);
	size_t len = 512 * (1 + chance(8));

	if (!c)
		c = codec_new();
	if (codec != WIRE_CODEC_NONE && chance(4) == 0)
		len = 512 * (1 + chance(sizeof(data) / 512));
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)("abcdefgh"[chance(8)] * !!chance(9));
	item->len = codec_compress(c, codec, 1 + (int)chance(9), data, len, item->bytes, BYTES_MAX);
	if (item->len == 0) {
		codec = WIRE_CODEC_NONE;
		len = len < BYTES_MAX ? len : BYTES_MAX;
		item->len = len;
		memcpy(item->bytes, data, len);
	}
	item->x.length = htole64(len);
	item->x.type = WIRE_DATA;
	item->x.codec = (uint8_t)codec;
	digest_sha256(data, len, item->x.digest);
}

/* The digest of what the bytes decompress to, if they do: so that a changed stream can be accepted too. */
static void fix_digest(struct item *item)
{
	static uint8_t out[WIRE_EXTENT_DATA_MAX];
	static struct codec *c;
	uint64_t length = le64toh(item->x.length);

	if (!c)
		c = codec_new();
	if (item->x.type == WIRE_DATA && length <= sizeof(out) &&
	    codec_decompress(c, (enum wire_codec)item->x.codec, item->bytes, item->len, out,
			     length) == 0)
		digest_sha256(out, length, item->x.digest);
}

static void make_zero(struct item *item)
{
	uint64_t offset = item->x.offset;

	memset(&item->x, 0, sizeof(item->x));
	item->x.offset = offset;
	item->x.length = htole64(512ull << chance(30));
	item->x.type = WIRE_ZERO;
	item->len = 0;
}

/* Places them one after another with gaps, as a real drain does. */
static void spread(struct model *m)
{
	uint64_t at = 512 * chance(1000);

	for (size_t i = 0; i < m->count; i++) {
		m->items[i].x.offset = htole64(at);
		at += le64toh(m->items[i].x.length) + 512 * chance(3);
	}
}

static void insert_item(struct model *m)
{
	size_t i = chance(m->count + 1);

	if (m->count == ITEMS_MAX)
		return;
	memmove(&m->items[i + 1], &m->items[i], (m->count - i) * sizeof(m->items[0]));
	m->count++;
	memset(&m->items[i].x, 0, sizeof(m->items[i].x));
	renew_item(&m->items[i]);
	if (chance(4) == 0)
		make_zero(&m->items[i]);
}

static void remove_item(struct model *m, size_t i)
{
	m->count--;
	memmove(&m->items[i], &m->items[i + 1], (m->count - i) * sizeof(m->items[0]));
}

static void mutate_item(struct item *item)
{
	switch (chance(5)) {
	case 0:
		renew_item(item);
		break;
	case 1:
		make_zero(item);
		break;
	case 2:
		LLVMFuzzerMutate((uint8_t *)&item->x, sizeof(item->x), sizeof(item->x));
		break;
	default:
		item->len = LLVMFuzzerMutate(item->bytes, item->len, BYTES_MAX);
		if (chance(2))
			fix_digest(item);
		break;
	}
}

static void mutate_model(struct model *m)
{
	uint64_t what = chance(8);

	if (m->count == 0 || what == 0)
		insert_item(m);
	else if (what == 1)
		remove_item(m, chance(m->count));
	else if (what == 2)
		LLVMFuzzerMutate((uint8_t *)&m->h, sizeof(m->h), sizeof(m->h));
	else
		mutate_item(&m->items[chance(m->count)]);
	if (chance(2))
		spread(m);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	static struct model m;
	size_t head;

	state = seed;
	chance(1);
	if (chance(16) == 0)
		return LLVMFuzzerMutate(data, size, max);
	model_read(&m, data, size);
	mutate_model(&m);
	size = model_write(&m, data, max);
	if (size && chance(4) == 0) {
		head = WIRE_HEADER_BYTES + m.count * WIRE_EXTENT_BYTES;
		LLVMFuzzerMutate(data + chance(head), 1, 1);
		fix_trailer(data, size);
	}
	return size;
}
