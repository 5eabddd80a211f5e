/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what reads a segment from the network or a journal: frame_parse and frame_extract. Every accepted segment is
 * measured again with the rules of wire.h, written out plainly, and each extent is extracted into a
 * buffer of exactly its length. The mutations are in segment_mutator.c.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/frame.h"
#include "tests/fuzz/fuzz.h"

#define DISK_SIZE (1ull << 40)

static unsigned long long accepted, extracted, compressed;

static void report(void)
{
	fprintf(stderr,
		"reached: %llu segments accepted, %llu extents extracted, %llu of them compressed\n",
		accepted, extracted, compressed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(report);
	return 0;
}

static void check_extent(const struct frame *f, const struct frame_extent *x, uint64_t end,
			 uint64_t *stored)
{
	must(x->offset % 512 == 0 && x->length % 512 == 0 && x->length > 0);
	must(x->offset >= end && x->offset <= DISK_SIZE && x->length <= DISK_SIZE - x->offset);
	if (x->type == WIRE_ZERO) {
		must(!x->stored && x->stored_len == 0 && x->codec == WIRE_CODEC_NONE);
		return;
	}
	must(x->type == WIRE_DATA && x->length <= WIRE_EXTENT_DATA_MAX);
	must(x->stored == f->payload + *stored);
	if (x->codec == WIRE_CODEC_NONE)
		must(x->stored_len == x->length);
	else
		must(x->stored_len > 0 && x->stored_len < x->length);
	*stored += x->stored_len;
}

static void extract(struct codec *c, const struct frame_extent *x)
{
	uint8_t digest[DIGEST_BYTES];
	struct err e = {0};
	uint8_t *out;
	int r;

	if (x->type != WIRE_DATA)
		return;
	out = malloc(x->length);
	must(out);
	r = frame_extract(c, x, out, &e);
	must(r == 0 || (r == e.code && e.text[0]));
	if (r == 0) {
		digest_sha256(out, x->length, digest);
		must(memcmp(digest, x->digest, DIGEST_BYTES) == 0);
		extracted++;
		compressed += x->codec != WIRE_CODEC_NONE;
	}
	free(out);
}

static void check_accepted(struct codec *c, const struct frame *f, size_t size)
{
	uint64_t end = 0, stored = 0;

	must(f->total == size && size <= WIRE_SEGMENT_MAX);
	must(f->extent_count > 0 && f->extent_count <= WIRE_EXTENTS_MAX);
	for (uint32_t i = 0; i < f->extent_count; i++) {
		struct frame_extent x;

		frame_get(f, i, &x);
		check_extent(f, &x, end, &stored);
		extract(c, &x);
		end = x.offset + x.length;
	}
	must(f->payload + stored + WIRE_TRAILER_BYTES == f->extents - WIRE_HEADER_BYTES + size);
	accepted++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec *c;
	struct err e = {0};
	struct frame f;
	size_t total = 0;
	int r;

	if (!c)
		c = codec_new();
	must(c);
	if (size >= WIRE_HEADER_BYTES)
		total = frame_total(data, &e);
	r = frame_parse(&f, data, size, DISK_SIZE, true, &e);
	if (r == 0) {
		must(total == size);
		check_accepted(c, &f, size);
		return 0;
	}
	must(r == e.code && e.text[0]);
	/* what a reader of its own journal relies on: the same bounds without the trailer */
	if (frame_parse(&f, data, size, DISK_SIZE, false, NULL) == 0)
		check_accepted(c, &f, size);
	return 0;
}
