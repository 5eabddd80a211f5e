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
	enum journal_check check;
	uint8_t *buf; /* room for the largest segment that can be there */
	struct codec *codec; /* once it is needed, with room to unpack an extent in out */
	uint8_t *out;
};

static int check_content(struct walk *w, const struct frame *f, struct err *e)
{
	if (!w->codec)
		w->codec = codec_new();
	if (!w->out)
		w->out = malloc(WIRE_EXTENT_DATA_MAX);
	if (!w->codec || !w->out)
		return err_set(e, -ENOMEM, "out of memory");
	return frame_check(w->codec, f, w->out, e);
}

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
	if (w->check == JOURNAL_HEADS) {
		uint32_t count = (uint32_t)w->buf[28] | (uint32_t)w->buf[29] << 8 |
				 (uint32_t)w->buf[30] << 16 | (uint32_t)w->buf[31] << 24;

		need = WIRE_HEADER_BYTES + (size_t)count * WIRE_EXTENT_BYTES;
	}
	rc = store_read(w->object, w->buf + WIRE_HEADER_BYTES, need - WIRE_HEADER_BYTES,
			at + WIRE_HEADER_BYTES, e);
	if (rc == 0)
		rc = frame_parse(f, w->buf, total, UINT64_MAX, w->check >= JOURNAL_TRAILERS, e);
	/* The trailer of version 1 has covered the payload. */
	if (rc == 0 && w->check == JOURNAL_CONTENT && f->version != WIRE_VERSION_OLD)
		rc = check_content(w, f, e);
	if (rc == -EILSEQ || rc == -EMSGSIZE || rc == -EPROTONOSUPPORT)
		rc = -EBADMSG;
	return rc;
}

static int walk(struct walk *w, journal_fn fn, void *arg, uint64_t *at, struct err *e)
{
	struct frame f;
	int rc = 0;

	while (rc == 0 && *at < w->end) {
		rc = read_segment(w, *at, &f, e);
		if (rc == 0)
			rc = fn(arg, *at, &f, w->check == JOURNAL_HEADS ? NULL : w->buf, e);
		if (rc == 0)
			*at += f.total;
	}
	return rc;
}

int journal_walk(struct store_object *o, uint64_t bytes, enum journal_check check, journal_fn fn,
		 void *arg, uint64_t *at, struct err *e)
{
	struct walk w = {.object = o, .check = check};
	int rc = store_size(o, &w.end, e);

	*at = 0;
	if (rc < 0)
		return rc;
	if (bytes != UINT64_MAX && bytes > w.end)
		return err_set(e, -EBADMSG, "the journal has %llu bytes, and must have %llu",
			       (unsigned long long)w.end, (unsigned long long)bytes);
	if (bytes < w.end)
		w.end = bytes;
	w.buf = malloc(w.end < WIRE_SEGMENT_MAX ? w.end + 1 : WIRE_SEGMENT_MAX);
	if (w.buf)
		rc = walk(&w, fn, arg, at, e);
	else
		rc = err_set(e, -ENOMEM, "out of memory");
	free(w.buf);
	free(w.out);
	codec_free(w.codec);
	return rc;
}
