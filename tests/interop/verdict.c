/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict FILE…: does the library take the segment, with all that is in it? A line "1 FILE" or "0 FILE"
 * each, for verdicts.py to compare with what the decoder says that knows the document alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/frame.h"
#include "lib/io.h"

static int extract_all(const struct frame *f, struct codec *c, struct err *e)
{
	static uint8_t out[WIRE_EXTENT_DATA_MAX];
	struct frame_extent x;
	int r = 0;

	for (uint32_t i = 0; i < f->extent_count && !r; i++) {
		frame_get(f, i, &x);
		if (x.type == WIRE_DATA)
			r = frame_extract(c, &x, out, e);
	}
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();
	struct err e = {0};

	for (int i = 1; c && i < argc; i++) {
		_cleanup_free_ char *data = NULL;
		struct frame f;
		size_t len;
		int r;

		if (io_read_file(argv[i], 2 * WIRE_SEGMENT_MAX, &data, &len, &e)) {
			fprintf(stderr, "verdict: %s\n", e.text);
			return EXIT_FAILURE;
		}
		r = frame_parse(&f, data, len, UINT64_MAX, true, &e);
		if (!r)
			r = extract_all(&f, c, &e);
		printf("%d %s\n", r == 0, argv[i]);
	}
	return c ? EXIT_SUCCESS : EXIT_FAILURE;
}
