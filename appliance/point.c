/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/names.h"
#include "appliance/point.h"
#include "lib/cleanup.h"
#include "lib/frame.h"
#include "lib/log.h"

#define READER_JOURNALS 16 /* open at once */
#define NO_BLOCK UINT64_MAX

struct source {
	uint64_t epoch; /* 0: free */
	uint64_t used;
	struct store_object *journal, *index;
};

struct reader {
	const struct image *image;
	struct base base;
	struct codec *codec;
	struct source sources[READER_JOURNALS];
	uint64_t clock;
	/* the extent and the block that were read last, for requests smaller than they are */
	uint64_t extent_epoch;
	uint32_t extent_entry;
	struct index_entry extent;
	uint8_t *extent_data, *stored; /* WIRE_EXTENT_DATA_MAX each */
	uint64_t block;
	uint8_t *block_data; /* BASE_BLOCK */
};

int image_open(struct store *s, const struct disk_row *d, const struct journal_row *journals,
	       size_t n, struct image *im, struct err *e)
{
	int rc = 0;

	*im = (struct image){.store = s, .size = d->size, .base_epoch = d->base_epoch};
	strcpy(im->machine, d->machine);
	strcpy(im->disk, d->id);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = image_add(im, &journals[i], e);
	if (rc < 0)
		image_clear(im);
	return rc;
}

void image_clear(struct image *im)
{
	map_clear(&im->map);
}

struct pieces {
	uint64_t epoch;
	struct piece *piece;
	size_t count;
};

static int add_pieces(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
		      struct err *e)
{
	struct pieces *p = arg;

	for (size_t i = 0; i < n; i++, p->count++)
		p->piece[p->count] = map_piece(p->epoch, &entries[i], p->count);
	if (entries)
		return 0;
	free(p->piece);
	p->count = 0;
	p->piece = reallocarray(NULL, count + 1, sizeof(*p->piece));
	return p->piece ? 0 : err_set(e, -ENOMEM, "out of memory for the map of a disk");
}

int image_add(struct image *im, const struct journal_row *j, struct err *e)
{
	struct index_of of = {im->store, im->machine, im->disk, j->epoch, j->segments, j->bytes};
	struct pieces p = {.epoch = j->epoch};
	struct err why;
	int rc = index_walk(&of, add_pieces, &p, &why);

	if (rc == 0) {
		rc = map_add_pieces(&im->map, p.piece, p.count);
	} else if (rc == -EBADMSG || rc == -ENOENT) {
		free(p.piece);
		log_error("%s", why.text);
		rc = map_add_unknown(&im->map, j->epoch, im->size,
				     rc == -ENOENT ? PIECE_MISSING : PIECE_DAMAGED);
	} else {
		free(p.piece);
		*e = why;
		return rc;
	}
	return rc < 0 ? err_errno(e, rc, "cannot put epoch %llu into the map of the disk",
				  (unsigned long long)j->epoch)
		      : 0;
}

int reader_open(const struct image *im, struct reader **out, struct err *e)
{
	const struct base_of of = {im->store, im->machine, im->disk, im->size, im->base_epoch};
	struct reader *r = calloc(1, sizeof(*r));
	int rc = 0;

	if (r) {
		r->image = im;
		r->block = NO_BLOCK;
		r->codec = codec_new();
		r->extent_data = malloc(WIRE_EXTENT_DATA_MAX);
		r->stored = malloc(WIRE_EXTENT_DATA_MAX);
		r->block_data = malloc(BASE_BLOCK);
	}
	if (!r || !r->codec || !r->extent_data || !r->stored || !r->block_data)
		rc = err_set(e, -ENOMEM, "out of memory");
	else
		rc = base_open(&of, false, &r->base, e);
	if (rc < 0)
		reader_close(r);
	else
		*out = r;
	return rc;
}

static void source_close(struct source *s)
{
	store_close(s->journal);
	store_close(s->index);
	*s = (struct source){0};
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < READER_JOURNALS; i++)
		source_close(&r->sources[i]);
	base_close(&r->base);
	codec_free(r->codec);
	free(r->extent_data);
	free(r->stored);
	free(r->block_data);
	free(r);
}

void reader_closep(struct reader **r)
{
	reader_close(*r);
}

static int source_get(struct reader *r, uint64_t epoch, struct source **out, struct err *e)
{
	const struct image *im = r->image;
	struct source *s = &r->sources[0];
	char name[STORE_NAME_MAX];
	int rc;

	for (size_t i = 0; i < READER_JOURNALS; i++) {
		if (r->sources[i].epoch == epoch) {
			s = &r->sources[i];
			break;
		}
		if (r->sources[i].used < s->used)
			s = &r->sources[i];
	}
	if (s->epoch != epoch) {
		source_close(s);
		rc = store_open(im->store, name_journal(name, im->machine, im->disk, epoch),
				STORE_READ, &s->journal, e);
		if (rc == 0)
			rc = store_open(im->store, name_index(name, im->machine, im->disk, epoch),
					STORE_READ, &s->index, e);
		if (rc < 0) {
			source_close(s);
			return rc;
		}
		s->epoch = epoch;
	}
	s->used = ++r->clock;
	*out = s;
	return 0;
}

/* Entry i of an index file, whose digest was checked when the map was made. */
static int entry_read(struct source *s, uint32_t i, struct index_entry *n, struct err *e)
{
	int rc = store_read(s->index, n, sizeof(*n), 64 + (uint64_t)i * sizeof(*n), e);

	n->offset = le64toh(n->offset);
	n->length = le64toh(n->length);
	n->at = le64toh(n->at);
	n->stored_len = le32toh(n->stored_len);
	return rc;
}

static int load_entry(struct reader *r, const struct piece *p, struct source **s,
		      struct index_entry *n, struct err *e)
{
	int rc = source_get(r, p->epoch, s, e);

	if (rc == 0)
		rc = entry_read(*s, p->entry, n, e);
	if (rc == 0 && (n->type != WIRE_DATA || n->length > WIRE_EXTENT_DATA_MAX ||
			n->stored_len > n->length || p->offset < n->offset ||
			p->offset + p->length > n->offset + n->length))
		rc = err_set(e, -EBADMSG, "the index of epoch %llu changed while it was in use",
			     (unsigned long long)p->epoch);
	return rc;
}

/* The content of the extent n of that epoch, checked, to data. */
static int extract(struct reader *r, struct source *s, const struct index_entry *n, uint64_t epoch,
		   uint8_t *data, struct err *e)
{
	struct frame_extent x = {
		.type = WIRE_DATA,
		.offset = n->offset,
		.length = n->length,
		.stored = r->stored,
		.stored_len = n->stored_len,
		.codec = (enum wire_codec)n->codec,
	};
	int rc = store_read(s->journal, r->stored, n->stored_len, n->at, e);

	if (rc < 0)
		return rc == -ENODATA ? -EBADMSG : rc;
	memcpy(x.digest, n->digest, DIGEST_BYTES);
	rc = frame_extract(r->codec, &x, data, e);
	return rc < 0 ? err_prefix(e, "the journal of epoch %llu is damaged",
				   (unsigned long long)epoch)
		      : 0;
}

/* A whole extent goes to where it is wanted; of one that is wanted in parts the content is kept for the next of them. */
static int read_extent(struct reader *r, const struct piece *p, uint8_t *buf, size_t len,
		       struct err *e)
{
	bool loaded = r->extent_epoch == p->epoch && r->extent_entry == p->entry;
	struct index_entry n;
	struct source *s;
	int rc;

	if (!loaded) {
		rc = load_entry(r, p, &s, &n, e);
		if (rc < 0)
			return rc;
		if (p->offset == n.offset && len == n.length)
			return extract(r, s, &n, p->epoch, buf, e);
		r->extent_epoch = 0;
		rc = extract(r, s, &n, p->epoch, r->extent_data, e);
		if (rc < 0)
			return rc;
		r->extent = n;
		r->extent_epoch = p->epoch;
		r->extent_entry = p->entry;
	}
	memcpy(buf, r->extent_data + (p->offset - r->extent.offset), len);
	return 0;
}

static int read_piece(struct reader *r, const struct piece *p, uint8_t *buf, size_t len,
		      struct err *e)
{
	if (p->kind == PIECE_ZERO) {
		memset(buf, 0, len);
		return 0;
	}
	if (p->kind == PIECE_DAMAGED)
		return err_set(e, -EILSEQ, "the journal of epoch %llu is damaged",
			       (unsigned long long)p->epoch);
	if (p->kind == PIECE_MISSING)
		return err_set(e, -ENOENT, "the journal of epoch %llu is missing from the store",
			       (unsigned long long)p->epoch);
	return read_extent(r, p, buf, len, e);
}

/* Make the block the loaded one. */
static int load_block(struct reader *r, uint64_t block, struct err *e)
{
	int rc;

	if (r->block == block)
		return 0;
	r->block = NO_BLOCK;
	rc = base_read(&r->base, block, r->block_data, e);
	if (rc == 0)
		r->block = block;
	return rc;
}

static int read_base(struct reader *r, uint64_t offset, uint8_t *buf, size_t len, struct err *e)
{
	int rc = 0;

	while (rc == 0 && len) {
		uint64_t block = offset / BASE_BLOCK;
		size_t in = offset % BASE_BLOCK;
		size_t n = len < BASE_BLOCK - in ? len : BASE_BLOCK - in;

		if (n == BASE_BLOCK) {
			rc = base_read(&r->base, block, buf, e);
		} else {
			rc = load_block(r, block, e);
			if (rc == 0)
				memcpy(buf, r->block_data + in, n);
		}
		buf += n;
		offset += n;
		len -= n;
	}
	return rc;
}

int reader_read(struct reader *r, void *buf, size_t len, uint64_t offset, struct err *e)
{
	uint8_t *to = buf;
	int rc = 0;

	while (rc == 0 && len) {
		struct piece p;
		uint64_t n;

		if (map_find(&r->image->map, offset, len, &p, &n))
			rc = read_piece(r, &p, to, (size_t)n, e);
		else
			rc = read_base(r, offset, to, (size_t)n, e);
		to += n;
		offset += n;
		len -= (size_t)n;
	}
	return rc;
}

bool reader_is_hole(struct reader *r, uint64_t offset, uint64_t limit, uint64_t *length, int *rc,
		    struct err *e)
{
	struct piece p;
	int hole;

	*rc = 0;
	if (map_find(&r->image->map, offset, limit, &p, length))
		return p.kind == PIECE_ZERO;
	hole = base_hole(&r->base, offset, length, e);
	if (hole < 0)
		*rc = hole;
	return hole > 0;
}

/* The digest of a block of zeros, which another agent may have sent as data. */
static bool is_digest_of_zeros(const uint8_t digest[DIGEST_BYTES])
{
	static const uint8_t of_zeros[DIGEST_BYTES] = {
		0xde, 0x2f, 0x25, 0x60, 0x64, 0xa0, 0xaf, 0x79, 0x77, 0x47, 0xc2,
		0xb9, 0x75, 0x05, 0xdc, 0x0b, 0x9f, 0x3d, 0xf0, 0xde, 0x4f, 0x48,
		0x9e, 0xac, 0x73, 0x1c, 0x23, 0xae, 0x9c, 0xa9, 0xcc, 0x31,
	};

	return !memcmp(digest, of_zeros, DIGEST_BYTES);
}

/* 1 and the digest that the base has for the block, 0 if it is that of zeros and the image does not say the same. */
static int base_stored(struct reader *r, uint64_t offset, uint8_t out[DIGEST_BYTES], struct err *e)
{
	int rc = base_digest(&r->base, offset / BASE_BLOCK, out, e);

	if (rc < 0)
		return rc;
	return base_digest_is_zero(out) ? base_block_empty(&r->base, offset / BASE_BLOCK, e) : 1;
}

/* 1 and the digest if one is stored for exactly this whole block. */
static int stored_digest(struct reader *r, uint64_t offset, uint8_t out[DIGEST_BYTES],
			 struct err *e)
{
	struct index_entry n;
	struct source *s;
	struct piece p;
	uint64_t length;
	int rc;

	if (!map_find(&r->image->map, offset, BASE_BLOCK, &p, &length))
		return length < BASE_BLOCK ? 0 : base_stored(r, offset, out, e);
	if (length < BASE_BLOCK || !piece_is_known(&p))
		return 0;
	memset(out, 0, DIGEST_BYTES);
	if (p.kind == PIECE_ZERO)
		return 1;
	rc = load_entry(r, &p, &s, &n, e);
	if (rc < 0)
		return rc;
	if (n.offset != offset || n.length != BASE_BLOCK)
		return 0;
	if (!is_digest_of_zeros(n.digest))
		memcpy(out, n.digest, DIGEST_BYTES);
	return 1;
}

int reader_digest_stored(struct reader *r, uint64_t offset, uint64_t size,
			 uint8_t out[DIGEST_BYTES], struct err *e)
{
	return size - offset < BASE_BLOCK ? 0 : stored_digest(r, offset, out, e);
}

int reader_base_sound(struct reader *r, uint64_t offset, struct err *e)
{
	uint8_t digest[DIGEST_BYTES];
	int rc = base_stored(r, offset, digest, e);

	return rc <= 0 ? rc : !base_digest_is_damaged(digest);
}

int reader_digest(struct reader *r, uint64_t offset, uint64_t size, bool reread,
		  uint8_t out[DIGEST_BYTES], struct err *e)
{
	size_t len = size - offset < BASE_BLOCK ? (size_t)(size - offset) : BASE_BLOCK;
	uint8_t block[BASE_BLOCK];
	int rc = reread ? 0 : reader_digest_stored(r, offset, size, out, e);

	if (rc > 0)
		return 0;
	if (rc == 0)
		rc = reader_read(r, block, len, offset, e);
	if (content_lost(rc)) {
		memcpy(out, base_damaged, DIGEST_BYTES);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (mem_is_zero(block, len))
		memset(out, 0, DIGEST_BYTES);
	else
		digest_sha256(block, len, out);
	return 0;
}
