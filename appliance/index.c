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
	bool dry; /* only the digest is wanted */
	struct store_object *object; /* NULL: nothing came yet, or dry */
	struct digest *digest;
	uint64_t at;
};

/* Two processes may do this at once: they write the same bytes, and what is right is never cut off. */
static int write_bytes(struct writer *w, const void *bytes, size_t len, struct err *e)
{
	int rc = w->dry ? 0 : store_write(w->object, bytes, len, w->at, e);

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
	if (rc == 0 && !w->dry)
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

/* Entries from number `first` on; d takes them as they are in the file, if there is one. */
static int read_piece(struct store_object *o, struct digest *d, uint64_t first,
		      struct index_entry *piece, size_t n, struct err *e)
{
	uint64_t at = sizeof(struct index_header) + first * sizeof(*piece);
	int rc = store_read(o, piece, n * sizeof(*piece), at, e);

	if (rc < 0)
		return rc;
	if (d)
		digest_update(d, piece, n * sizeof(*piece));
	for (size_t i = 0; i < n; i++)
		entry_swap(&piece[i]);
	return 0;
}

/* How many there are of those from number `first` on that are read at a time. */
static size_t piece_size(uint64_t count, uint64_t first)
{
	return count - first < PIECE_ENTRIES ? (size_t)(count - first) : PIECE_ENTRIES;
}

static int read_digest(struct store_object *o, struct digest *d, uint64_t count,
		       uint8_t digest[DIGEST_BYTES], struct err *e)
{
	uint64_t at = sizeof(struct index_header) + count * sizeof(struct index_entry);
	uint8_t own[DIGEST_BYTES];
	int rc = store_read(o, digest, DIGEST_BYTES, at, e);

	if (rc < 0)
		return rc;
	digest_final(d, own);
	if (memcmp(own, digest, DIGEST_BYTES))
		return err_set(e, -EBADMSG, "the index is damaged");
	return 0;
}

struct index_file {
	struct store_object *object;
	uint64_t count;
	uint8_t digest[DIGEST_BYTES]; /* of all before it */
	struct index_entry piece[PIECE_ENTRIES]; /* the last that were looked at */
	size_t loaded; /* of these, for index_find() */
};

static int read_entries(struct index_file *f, struct digest *d, index_fn fn, void *arg,
			struct err *e)
{
	int rc = fn(arg, f->count, NULL, 0, e);

	for (uint64_t at = 0; rc == 0 && at < f->count; at += PIECE_ENTRIES) {
		size_t now = piece_size(f->count, at);

		rc = read_piece(f->object, d, at, f->piece, now, e);
		if (rc == 0)
			rc = fn(arg, f->count, f->piece, now, e);
	}
	return rc;
}

/* f->object is the caller's, whatever comes back. */
static int read_file(const struct index_of *of, struct index_file *f, index_fn fn, void *arg,
		     struct err *e)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	char name[STORE_NAME_MAX];
	int rc = d ? 0 : err_set(e, -ENOMEM, "out of memory for the index of an epoch");

	if (rc == 0)
		rc = store_open(of->store, name_index(name, of->machine, of->disk, of->epoch),
				STORE_READ, &f->object, e);
	if (rc == 0)
		rc = entry_count(of, f->object, &f->count, e);
	if (rc == 0)
		rc = read_header(of, f->object, d, f->count, e);
	if (rc == 0)
		rc = read_entries(f, d, fn, arg, e);
	if (rc == 0)
		rc = read_digest(f->object, d, f->count, f->digest, e);
	return rc;
}

int index_read(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	struct index_file f = {0};
	int rc = read_file(of, &f, fn, arg, e);

	store_close(f.object);
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

/* --- entry by entry ------------------------------------------------------------------------- */

static int pass_over(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
		     struct err *e)
{
	(void)arg;
	(void)count;
	(void)entries;
	(void)n;
	(void)e;
	return 0;
}

int index_open(const struct index_of *of, struct index_file **out, struct err *e)
{
	struct index_file *f = calloc(1, sizeof(*f));
	int rc = f ? read_file(of, f, pass_over, NULL, e)
		   : err_set(e, -ENOMEM, "out of memory for the index of an epoch");

	if (rc < 0)
		index_close(f);
	else
		*out = f;
	return rc;
}

void index_close(struct index_file *f)
{
	if (f)
		store_close(f->object);
	free(f);
}

/* Load the entries among which one of this offset has to be. */
static int load_piece(struct index_file *f, uint64_t offset, struct err *e)
{
	uint64_t low = 0, high = (f->count + PIECE_ENTRIES - 1) / PIECE_ENTRIES;
	int rc;

	if (f->loaded && f->piece[0].offset <= offset && f->piece[f->loaded - 1].offset >= offset)
		return 0;
	f->loaded = 0;
	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		rc = read_piece(f->object, NULL, mid * PIECE_ENTRIES, f->piece, 1, e);
		if (rc < 0)
			return rc;
		if (f->piece[0].offset <= offset)
			low = mid;
		else
			high = mid;
	}
	rc = read_piece(f->object, NULL, low * PIECE_ENTRIES, f->piece,
			piece_size(f->count, low * PIECE_ENTRIES), e);
	if (rc == 0)
		f->loaded = piece_size(f->count, low * PIECE_ENTRIES);
	return rc;
}

static int by_offset(const void *key, const void *entry)
{
	uint64_t offset = *(const uint64_t *)key, own = ((const struct index_entry *)entry)->offset;

	return offset < own ? -1 : offset > own;
}

int index_find(struct index_file *f, uint64_t offset, struct index_entry *n, struct err *e)
{
	const struct index_entry *found;
	int rc = f->count ? load_piece(f, offset, e) : 0;

	if (rc < 0 || !f->count)
		return rc;
	found = bsearch(&offset, f->piece, f->loaded, sizeof(*found), by_offset);
	if (!found)
		return 0;
	*n = *found;
	return 1;
}

int index_matches(const struct index_file *f, const struct index_of *of, struct err *e)
{
	struct writer w = {.of = of, .dry = true};
	uint8_t digest[DIGEST_BYTES];
	int rc = index_merge(of, false, write_entries, &w, e);

	if (rc == 0)
		digest_final(w.digest, digest);
	digest_free(w.digest);
	if (rc < 0)
		return rc;
	return f && !memcmp(f->digest, digest, DIGEST_BYTES);
}
