/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/index.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/digest.h"

#define INDEX_MAGIC "MOBIDX\r\n"
#define INDEX_VERSION 1
#define PIECE_ENTRIES 256u /* read or written at a time */

struct index_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t entry_bytes;
	uint64_t epoch, segments, bytes, count;
	uint8_t disk[UUID_BYTES];
};
static_assert(sizeof(struct index_header) == 64, "index_header");

void index_clear(struct index *ix)
{
	free(ix->entries);
	*ix = (struct index){0};
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

static void entry_swap(struct index_entry *n)
{
	n->offset = htole64(n->offset);
	n->length = htole64(n->length);
	n->at = htole64(n->at);
	n->stored_len = htole32(n->stored_len);
}

static void header_fill(const struct index_of *of, uint64_t count, struct index_header *h)
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

/* --- writing -------------------------------------------------------------------------------- */

struct writer {
	const struct index_of *of;
	struct store_object *object; /* NULL: nothing came yet */
	struct digest *digest;
	uint64_t at;
};

/* Two processes may do this at once: they write the same bytes, and what is right is never cut off. */
static int write_bytes(struct writer *w, const void *bytes, size_t len, struct err *e)
{
	int rc = store_write(w->object, bytes, len, w->at, e);

	w->at += len;
	return rc;
}

static int write_digested(struct writer *w, const void *bytes, size_t len, struct err *e)
{
	digest_update(w->digest, bytes, len);
	return write_bytes(w, bytes, len, e);
}

static int write_begin(struct writer *w, uint64_t count, struct err *e)
{
	const struct index_of *of = w->of;
	struct index_header h;
	char name[STORE_NAME_MAX];
	int rc = 0;

	w->digest = digest_new();
	if (!w->digest)
		rc = err_set(e, -ENOMEM, "out of memory for the index of an epoch");
	if (rc == 0)
		rc = store_open(of->store, name_index(name, of->machine, of->disk, of->epoch),
				STORE_WRITE | STORE_CREATE, &w->object, e);
	if (rc < 0)
		return rc;
	header_fill(of, count, &h);
	return write_digested(w, &h, sizeof(h), e);
}

static int write_entries(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
			 struct err *e)
{
	struct index_entry piece[PIECE_ENTRIES];
	struct writer *w = arg;
	int rc = 0;

	if (!entries)
		return write_begin(w, count, e);
	while (rc == 0 && n) {
		size_t now = n < PIECE_ENTRIES ? n : PIECE_ENTRIES;

		memcpy(piece, entries, now * sizeof(*piece));
		for (size_t i = 0; i < now; i++)
			entry_swap(&piece[i]);
		rc = write_digested(w, piece, now * sizeof(*piece), e);
		entries += now;
		n -= now;
	}
	return rc;
}

/* rc: of what was to be written. */
static int write_end(struct writer *w, int rc, struct err *e)
{
	uint8_t digest[DIGEST_BYTES];

	if (rc == 0) {
		digest_final(w->digest, digest);
		rc = write_bytes(w, digest, sizeof(digest), e);
	}
	if (rc == 0)
		rc = store_truncate(w->object, w->at, e);
	store_close(w->object);
	digest_free(w->digest);
	return rc;
}

int index_make(const struct index_of *of, bool check, struct err *e)
{
	struct writer w = {.of = of};

	return write_end(&w, index_merge(of, check, write_entries, &w, e), e);
}

int index_save(const struct index_of *of, const struct index *ix, struct err *e)
{
	struct writer w = {.of = of};
	int rc = write_entries(&w, ix->count, NULL, 0, e);

	if (rc == 0)
		rc = write_entries(&w, ix->count, ix->entries, ix->count, e);
	return write_end(&w, rc, e);
}

/* --- reading -------------------------------------------------------------------------------- */

/* How many entries the file has, going by its size. */
static int entry_count(const struct index_of *of, struct store_object *o, uint64_t *count,
		       struct err *e)
{
	const uint64_t least = sizeof(struct index_header) + DIGEST_BYTES;
	uint64_t size;
	int rc = store_size(o, &size, e);

	if (rc < 0)
		return rc;
	/* Every extent takes 64 bytes of the journal too, which bounds what is allocated. */
	if (size < least || (size - least) % sizeof(struct index_entry) || size > of->bytes + least)
		return err_set(e, -EBADMSG, "the index is damaged");
	*count = (size - least) / sizeof(struct index_entry);
	return 0;
}

static int read_header(const struct index_of *of, struct store_object *o, struct digest *d,
		       uint64_t count, struct err *e)
{
	struct index_header want, h;
	int rc = store_read(o, &h, sizeof(h), 0, e);

	if (rc < 0)
		return rc;
	header_fill(of, count, &want);
	if (memcmp(&h, &want, sizeof(h)))
		return err_set(e, -EBADMSG, "the index is damaged");
	digest_update(d, &h, sizeof(h));
	return 0;
}

static int read_entries(struct store_object *o, struct digest *d, uint64_t count, index_fn fn,
			void *arg, struct err *e)
{
	struct index_entry piece[PIECE_ENTRIES];
	uint64_t at = sizeof(struct index_header), left = count;
	int rc = fn(arg, count, NULL, 0, e);

	while (rc == 0 && left) {
		size_t now = left < PIECE_ENTRIES ? (size_t)left : PIECE_ENTRIES;

		rc = store_read(o, piece, now * sizeof(*piece), at, e);
		if (rc < 0)
			return rc;
		digest_update(d, piece, now * sizeof(*piece));
		for (size_t i = 0; i < now; i++)
			entry_swap(&piece[i]);
		rc = fn(arg, count, piece, now, e);
		at += now * sizeof(*piece);
		left -= now;
	}
	return rc;
}

static int read_digest(struct store_object *o, struct digest *d, uint64_t count, struct err *e)
{
	uint8_t own[DIGEST_BYTES], digest[DIGEST_BYTES];
	uint64_t at = sizeof(struct index_header) + count * sizeof(struct index_entry);
	int rc = store_read(o, digest, sizeof(digest), at, e);

	if (rc < 0)
		return rc;
	digest_final(d, own);
	if (memcmp(own, digest, DIGEST_BYTES))
		return err_set(e, -EBADMSG, "the index is damaged");
	return 0;
}

int index_read(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	_cleanup_(digest_freep) struct digest *d = digest_new();
	char name[STORE_NAME_MAX];
	uint64_t count = 0;
	int rc = d ? 0 : err_set(e, -ENOMEM, "out of memory for the index of an epoch");

	if (rc == 0)
		rc = store_open(of->store, name_index(name, of->machine, of->disk, of->epoch),
				STORE_READ, &o, e);
	if (rc == 0)
		rc = entry_count(of, o, &count, e);
	if (rc == 0)
		rc = read_header(of, o, d, count, e);
	if (rc == 0)
		rc = read_entries(o, d, count, fn, arg, e);
	if (rc == 0)
		rc = read_digest(o, d, count, e);
	return rc;
}

struct tee {
	struct writer writer;
	index_fn fn;
	void *arg;
};

static int write_and_pass(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
			  struct err *e)
{
	struct tee *t = arg;
	int rc = write_entries(&t->writer, count, entries, n, e);

	return rc == 0 ? t->fn(t->arg, count, entries, n, e) : rc;
}

/* What is made again does not depend on being read: a file may be where the disk has a bad sector. */
int index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	struct tee t = {.writer.of = of, .fn = fn, .arg = arg};
	struct err why;

	if (index_read(of, fn, arg, &why) == 0)
		return 0;
	return write_end(&t.writer, index_merge(of, true, write_and_pass, &t, e), e);
}

/* --- as a whole ----------------------------------------------------------------------------- */

static int collect(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
		   struct err *e)
{
	struct index *ix = arg;

	if (entries) {
		memcpy(ix->entries + ix->count, entries, n * sizeof(*entries));
		ix->count += n;
		return 0;
	}
	free(ix->entries);
	ix->count = 0;
	ix->entries = reallocarray(NULL, count + 1, sizeof(*entries));
	return ix->entries ? 0 : err_set(e, -ENOMEM, "out of memory for the index of an epoch");
}

static void begin(const struct index_of *of, struct index *ix)
{
	*ix = (struct index){.epoch = of->epoch, .segments = of->segments, .bytes = of->bytes};
}

static int end(struct index *ix, int rc)
{
	if (rc < 0)
		index_clear(ix);
	return rc;
}

int index_build(const struct index_of *of, bool check, struct index *ix, struct err *e)
{
	begin(of, ix);
	return end(ix, index_merge(of, check, collect, ix, e));
}

int index_load(const struct index_of *of, struct index *ix, struct err *e)
{
	begin(of, ix);
	return end(ix, index_walk(of, collect, ix, e));
}

int index_load_file(const struct index_of *of, struct index *ix, struct err *e)
{
	begin(of, ix);
	return end(ix, index_read(of, collect, ix, e));
}
