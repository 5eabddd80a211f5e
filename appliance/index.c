/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/index.h"
#include "appliance/journal.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/digest.h"

#define INDEX_MAGIC "MOBIDX\r\n"
#define INDEX_VERSION 1

struct index_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t entry_bytes;
	uint64_t epoch, segments, bytes, count;
	uint8_t disk[UUID_BYTES];
};
static_assert(sizeof(struct index_header) == 64, "index_header");

struct build {
	struct index *ix;
	size_t room;
	uint64_t segments;
	uint8_t disk[UUID_BYTES];
};

void index_clear(struct index *ix)
{
	free(ix->entries);
	*ix = (struct index){0};
}

static int build_room(struct build *b, size_t more, struct err *e)
{
	struct index_entry *entries;

	while (b->ix->count + more > b->room) {
		size_t room = b->room ? b->room * 2 : 256;

		entries = reallocarray(b->ix->entries, room, sizeof(*entries));
		if (!entries)
			return err_set(e, -ENOMEM, "out of memory for the index of an epoch");
		b->ix->entries = entries;
		b->room = room;
	}
	return 0;
}

struct index_entry index_entry_of(const struct frame_extent *x, uint64_t at)
{
	struct index_entry n = {
		.offset = x->offset,
		.length = x->length,
		.at = at,
		.stored_len = x->stored_len,
		.type = (uint8_t)x->type,
		.codec = (uint8_t)x->codec,
	};

	memcpy(n.digest, x->digest, WIRE_DIGEST_BYTES);
	return n;
}

static int build_segment(void *arg, uint64_t at, const struct frame *f, const void *data,
			 struct err *e)
{
	struct build *b = arg;
	struct frame_extent x;
	uint64_t payload = at + WIRE_HEADER_BYTES + (uint64_t)f->extent_count * WIRE_EXTENT_BYTES;
	int rc = build_room(b, f->extent_count, e);

	(void)data;
	if (rc < 0)
		return rc;
	if (memcmp(f->disk, b->disk, UUID_BYTES) || f->epoch != b->ix->epoch)
		return err_set(e, -EBADMSG, "a segment of another disk or epoch is in the journal");
	b->segments++;
	for (uint32_t i = 0; i < f->extent_count; i++) {
		frame_get(f, i, &x);
		b->ix->entries[b->ix->count++] = index_entry_of(&x, payload);
		payload += x.stored_len;
	}
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int build_finish(struct build *b, struct err *e)
{
	struct index *ix = b->ix;

	if (b->segments != ix->segments)
		return err_set(e, -EBADMSG, "the journal has %llu segments, and must have %llu",
			       (unsigned long long)b->segments, (unsigned long long)ix->segments);
	if (ix->count)
		qsort(ix->entries, ix->count, sizeof(*ix->entries), by_offset);
	for (size_t i = 1; i < ix->count; i++) {
		if (ix->entries[i - 1].offset + ix->entries[i - 1].length > ix->entries[i].offset)
			return err_set(e, -EBADMSG, "segments of the journal overlap");
	}
	return 0;
}

int index_build(const struct index_of *of, bool check, struct index *ix, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	struct build b = {.ix = ix};
	char name[STORE_NAME_MAX];
	uint64_t at;
	int rc;

	*ix = (struct index){.epoch = of->epoch, .segments = of->segments, .bytes = of->bytes};
	name_journal(name, of->machine, of->disk, of->epoch);
	if (uuid_parse_text(of->disk, b.disk) < 0)
		return err_set(e, -EINVAL, "%s is not a disk id", of->disk);
	rc = store_open(of->store, name, STORE_READ, &o, e);
	if (rc == -ENOENT)
		return err_set(e, -EBADMSG, "%s is missing from the store", name);
	if (rc == 0)
		rc = journal_walk(o, of->bytes, check ? JOURNAL_TRAILERS : JOURNAL_HEADS,
				  build_segment, &b, &at, e);
	if (rc == 0)
		rc = build_finish(&b, e);
	if (rc < 0) {
		err_prefix(e, "%s", name);
		index_clear(ix);
	}
	return rc;
}

static void entry_swap(struct index_entry *n)
{
	n->offset = htole64(n->offset);
	n->length = htole64(n->length);
	n->at = htole64(n->at);
	n->stored_len = htole32(n->stored_len);
}

static void header_fill(const struct index_of *of, size_t count, struct index_header *h)
{
	*h = (struct index_header){
		.version = htole32(INDEX_VERSION),
		.entry_bytes = htole32(sizeof(struct index_entry)),
		.epoch = htole64(of->epoch),
		.segments = htole64(of->segments),
		.bytes = htole64(of->bytes),
		.count = htole64(count),
	};
	memcpy(h->magic, INDEX_MAGIC, sizeof(h->magic));
	uuid_parse_text(of->disk, h->disk);
}

int index_save(const struct index_of *of, const struct index *ix, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	size_t body = sizeof(struct index_header) + ix->count * sizeof(struct index_entry);
	_cleanup_free_ uint8_t *buf = malloc(body + DIGEST_BYTES);
	struct index_header h;
	char name[STORE_NAME_MAX];
	int rc;

	if (!buf)
		return err_set(e, -ENOMEM, "out of memory for the index of an epoch");
	header_fill(of, ix->count, &h);
	memcpy(buf, &h, sizeof(h));
	for (size_t i = 0; i < ix->count; i++) {
		struct index_entry n = ix->entries[i];

		entry_swap(&n);
		memcpy(buf + sizeof(h) + i * sizeof(n), &n, sizeof(n));
	}
	digest_sha256(buf, body, buf + body);
	rc = store_open(of->store, name_index(name, of->machine, of->disk, of->epoch),
			STORE_WRITE | STORE_CREATE, &o, e);
	/* Two processes may do this at once: they write the same bytes, and what is right is never cut off. */
	if (rc == 0)
		rc = store_write(o, buf, body + DIGEST_BYTES, 0, e);
	if (rc == 0)
		rc = store_truncate(o, body + DIGEST_BYTES, e);
	return rc;
}

static int read_entries(const uint8_t *buf, size_t body, const struct index_of *of,
			struct index *ix, struct err *e)
{
	struct index_header want, h;
	uint8_t digest[DIGEST_BYTES];
	size_t count = (body - sizeof(h)) / sizeof(struct index_entry);

	memcpy(&h, buf, sizeof(h));
	header_fill(of, count, &want);
	digest_sha256(buf, body, digest);
	if (memcmp(&h, &want, sizeof(h)) || memcmp(digest, buf + body, DIGEST_BYTES))
		return err_set(e, -EBADMSG, "the index is damaged");
	*ix = (struct index){.epoch = of->epoch, .segments = of->segments, .bytes = of->bytes};
	ix->entries = malloc(count * sizeof(*ix->entries) + 1);
	if (!ix->entries)
		return err_set(e, -ENOMEM, "out of memory for the index of an epoch");
	ix->count = count;
	for (size_t i = 0; i < count; i++) {
		memcpy(&ix->entries[i], buf + sizeof(h) + i * sizeof(*ix->entries),
		       sizeof(*ix->entries));
		entry_swap(&ix->entries[i]);
	}
	return 0;
}

int index_load_file(const struct index_of *of, struct index *ix, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	_cleanup_free_ uint8_t *buf = NULL;
	char name[STORE_NAME_MAX];
	uint64_t size;
	int rc = store_open(of->store, name_index(name, of->machine, of->disk, of->epoch),
			    STORE_READ, &o, e);

	*ix = (struct index){0};
	if (rc == 0)
		rc = store_size(o, &size, e);
	if (rc < 0)
		return rc;
	/* Every extent takes 64 bytes of the journal too, which bounds what is allocated. */
	if (size < sizeof(struct index_header) + DIGEST_BYTES ||
	    (size - sizeof(struct index_header) - DIGEST_BYTES) % sizeof(struct index_entry) ||
	    size > of->bytes + sizeof(struct index_header) + DIGEST_BYTES)
		return err_set(e, -EBADMSG, "the index %s is damaged", name);
	buf = malloc(size);
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory for the index of an epoch");
	rc = store_read(o, buf, size, 0, e);
	return rc < 0 ? rc : read_entries(buf, size - DIGEST_BYTES, of, ix, e);
}

int index_load(const struct index_of *of, struct index *ix, struct err *e)
{
	struct err why;
	int rc = index_load_file(of, ix, &why);

	if (rc == 0)
		return 0;
	rc = index_build(of, true, ix, e);
	if (rc == 0)
		rc = index_save(of, ix, e);
	if (rc < 0)
		index_clear(ix);
	return rc;
}
