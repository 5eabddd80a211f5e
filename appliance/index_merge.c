/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extents of a journal in ascending order. Those of a segment ascend, so the segments are merged: memory is taken for each segment, and none for each
 * extent. Of the segments whose turn it is some extents are read ahead, as long as these are not too many.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/index.h"
#include "appliance/journal.h"
#include "appliance/names.h"
#include "lib/cleanup.h"

#define AHEAD_SLOTS 256u
#define AHEAD_EXTENTS 32u
#define OUT_ENTRIES 1024u

/* What is left of a segment. */
struct rest {
	uint64_t offset; /* of its next extent on the disk */
	uint64_t at; /* of that in the journal */
	uint64_t payload; /* of its bytes in the journal */
	uint32_t left; /* extents */
	uint32_t number; /* by which it has its slot */
};

struct ahead {
	uint64_t at;
	uint32_t count;
	struct wire_extent extent[AHEAD_EXTENTS];
};

struct merge {
	struct store_object *object;
	const struct index_of *of;
	uint8_t disk[UUID_BYTES];
	struct rest *rest; /* a heap: the lowest offset first */
	size_t count;
	uint64_t extents, end; /* of all; on the disk, of the last that was put */
	struct ahead *ahead; /* AHEAD_SLOTS */
	index_fn fn;
	void *arg;
	struct index_entry *out; /* OUT_ENTRIES */
	size_t out_count;
};

static int note_segment(void *arg, uint64_t at, const struct frame *f, const void *data,
			struct err *e)
{
	struct merge *m = arg;
	struct frame_extent first;

	(void)data;
	if (memcmp(f->disk, m->disk, UUID_BYTES) || f->epoch != m->of->epoch)
		return err_set(e, -EBADMSG, "a segment of another disk or epoch is in the journal");
	if (m->count == m->of->segments)
		return err_set(e, -EBADMSG, "the journal has more than its %llu segments",
			       (unsigned long long)m->of->segments);
	frame_get(f, 0, &first);
	at += WIRE_HEADER_BYTES;
	m->rest[m->count] = (struct rest){
		.offset = first.offset,
		.at = at,
		.payload = at + (uint64_t)f->extent_count * WIRE_EXTENT_BYTES,
		.left = f->extent_count,
		.number = (uint32_t)m->count,
	};
	m->count++;
	m->extents += f->extent_count;
	return 0;
}

/* Back to a heap, of which only what is at i may be too large for its place. */
static void sift(struct rest *heap, size_t count, size_t i)
{
	struct rest moved = heap[i];
	size_t child;

	while ((child = 2 * i + 1) < count) {
		if (child + 1 < count && heap[child + 1].offset < heap[child].offset)
			child++;
		if (heap[child].offset >= moved.offset)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

/* The next extent of r, which has one. */
static int next_extent(struct merge *m, const struct rest *r, const struct wire_extent **x,
		       struct err *e)
{
	struct ahead *a = &m->ahead[r->number % AHEAD_SLOTS];
	int rc;

	if (r->at < a->at || r->at >= a->at + a->count * sizeof(**x)) {
		uint32_t n = r->left < AHEAD_EXTENTS ? r->left : AHEAD_EXTENTS;

		a->count = 0;
		rc = store_read(m->object, a->extent, n * sizeof(**x), r->at, e);
		if (rc < 0)
			return rc == -ENODATA ? -EBADMSG : rc;
		a->at = r->at;
		a->count = n;
	}
	*x = &a->extent[(r->at - a->at) / sizeof(**x)];
	return 0;
}

static int flush(struct merge *m, struct err *e)
{
	size_t n = m->out_count;

	m->out_count = 0;
	return n ? m->fn(m->arg, m->extents, m->out, n, e) : 0;
}

static int put(struct merge *m, const struct wire_extent *x, uint64_t payload, struct err *e)
{
	struct index_entry *n = &m->out[m->out_count++];

	*n = (struct index_entry){
		.offset = le64toh(x->offset),
		.length = le64toh(x->length),
		.at = payload,
		.stored_len = le32toh(x->stored_len),
		.type = x->type,
		.codec = x->codec,
	};
	memcpy(n->digest, x->digest, WIRE_DIGEST_BYTES);
	if (n->offset < m->end)
		return err_set(e, -EBADMSG, "segments of the journal overlap");
	m->end = n->offset + n->length;
	return m->out_count == OUT_ENTRIES ? flush(m, e) : 0;
}

/* One extent of the segment at the top of the heap. */
static int step(struct merge *m, struct err *e)
{
	struct rest *r = &m->rest[0];
	const struct wire_extent *x;
	int rc = next_extent(m, r, &x, e);

	if (rc == 0)
		rc = put(m, x, r->payload, e);
	if (rc < 0)
		return rc;
	r->payload += le32toh(x->stored_len);
	r->at += sizeof(*x);
	if (--r->left) {
		rc = next_extent(m, r, &x, e);
		if (rc < 0)
			return rc;
		r->offset = le64toh(x->offset);
	} else {
		m->rest[0] = m->rest[--m->count];
	}
	if (m->count)
		sift(m->rest, m->count, 0);
	return 0;
}

static int merge(struct merge *m, struct err *e)
{
	int rc = m->fn(m->arg, m->extents, NULL, 0, e);

	for (size_t i = m->count / 2; i > 0; i--)
		sift(m->rest, m->count, i - 1);
	while (rc == 0 && m->count)
		rc = step(m, e);
	return rc == 0 ? flush(m, e) : rc;
}

static int open_journal(struct merge *m, char name[STORE_NAME_MAX], struct err *e)
{
	const struct index_of *of = m->of;
	int rc;

	name_journal(name, of->machine, of->disk, of->epoch);
	if (uuid_parse_text(of->disk, m->disk) < 0)
		return err_set(e, -EINVAL, "%s is not a disk id", of->disk);
	if (of->segments > of->bytes / (WIRE_HEADER_BYTES + WIRE_EXTENT_BYTES))
		return err_set(e, -EBADMSG, "%llu segments do not fit into the journal",
			       (unsigned long long)of->segments);
	m->rest = reallocarray(NULL, of->segments + 1, sizeof(*m->rest));
	m->ahead = calloc(AHEAD_SLOTS, sizeof(*m->ahead));
	m->out = reallocarray(NULL, OUT_ENTRIES, sizeof(*m->out));
	if (!m->rest || !m->ahead || !m->out)
		return err_set(e, -ENOMEM, "out of memory for the index of an epoch");
	rc = store_open(of->store, name, STORE_READ, &m->object, e);
	return rc == -ENOENT ? err_set(e, rc, "it is missing from the store") : rc;
}

int index_merge(const struct index_of *of, bool check, index_fn fn, void *arg, struct err *e)
{
	struct merge m = {.of = of, .fn = fn, .arg = arg};
	char name[STORE_NAME_MAX];
	uint64_t at;
	int rc = open_journal(&m, name, e);

	if (rc == 0)
		rc = journal_walk(m.object, of->bytes, check ? JOURNAL_TRAILERS : JOURNAL_HEADS,
				  note_segment, &m, &at, e);
	if (rc == 0 && m.count != of->segments)
		rc = err_set(e, -EBADMSG, "the journal has %zu segments, and must have %llu",
			     m.count, (unsigned long long)of->segments);
	if (rc == 0)
		rc = merge(&m, e);
	if (rc < 0)
		err_prefix(e, "%s", name);
	store_close(m.object);
	free(m.rest);
	free(m.ahead);
	free(m.out);
	return rc;
}
