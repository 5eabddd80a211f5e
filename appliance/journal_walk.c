/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the segments of a journal one after another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/journal.h"
#include "lib/cleanup.h"

struct walk {
	struct store_object *object;
	uint64_t end;
	bool check;
	uint8_t *buf; /* WIRE_SEGMENT_MAX bytes */
	struct codec *codec; /* with check, and room to unpack an extent */
	uint8_t *out;
};

/* Read what is needed of the segment at `at` into w->buf and describe it in f. */
static int read_segment(struct walk *w, uint64_t at, struct frame *f, struct err *e)
{
	size_t total, need;
	int rc;

	if (w->end - at < WIRE_HEADER_BYTES)
		return err_set(e, -EBADMSG, "a part of a segment's header is at the end");
	rc = store_read(w->object, w->buf, WIRE_HEADER_BYTES, at, e);
	if (rc < 0)
		return rc;
	total = frame_total(w->buf, e);
	if (!total)
		return -EBADMSG;
	if (total > w->end - at)
		return err_set(e, -EBADMSG, "a part of a segment is at the end");
	need = total;
	if (!w->check) {
		uint32_t count = (uint32_t)w->buf[28] | (uint32_t)w->buf[29] << 8 |
				 (uint32_t)w->buf[30] << 16 | (uint32_t)w->buf[31] << 24;

		need = WIRE_HEADER_BYTES + (size_t)count * WIRE_EXTENT_BYTES;
	}
	rc = store_read(w->object, w->buf + WIRE_HEADER_BYTES, need - WIRE_HEADER_BYTES,
			at + WIRE_HEADER_BYTES, e);
	if (rc == 0)
		rc = frame_parse(f, w->buf, total, UINT64_MAX, w->check, e);
	/* The trailer of version 1 has covered the payload. */
	if (rc == 0 && w->check && f->version != WIRE_VERSION_OLD)
		rc = frame_check(w->codec, f, w->out, e);
	if (rc == -EILSEQ || rc == -EMSGSIZE || rc == -EPROTONOSUPPORT)
		rc = -EBADMSG;
	return rc;
}

int journal_walk(struct store_object *o, uint64_t bytes, bool check, journal_fn fn, void *arg,
		 uint64_t *at, struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(WIRE_SEGMENT_MAX);
	_cleanup_(codec_freep) struct codec *codec = check ? codec_new() : NULL;
	_cleanup_free_ uint8_t *out = check ? malloc(WIRE_EXTENT_DATA_MAX) : NULL;
	struct walk w = {.object = o, .check = check, .buf = buf, .codec = codec, .out = out};
	struct frame f;
	int rc;

	*at = 0;
	if (!buf || (check && (!codec || !out)))
		return err_set(e, -ENOMEM, "out of memory");
	rc = store_size(o, &w.end, e);
	if (rc < 0)
		return rc;
	if (bytes != UINT64_MAX && bytes > w.end)
		return err_set(e, -EBADMSG, "the journal has %llu bytes, and must have %llu",
			       (unsigned long long)w.end, (unsigned long long)bytes);
	if (bytes < w.end)
		w.end = bytes;
	while (rc == 0 && *at < w.end) {
		rc = read_segment(&w, *at, &f, e);
		if (rc == 0)
			rc = fn(arg, *at, &f, check ? buf : NULL, e);
		if (rc == 0)
			*at += f.total;
	}
	return rc;
}
