/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "appliance/base.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/log.h"

const uint8_t base_damaged[DIGEST_BYTES] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static int open_one(struct store *s, const char *name, unsigned int flags, struct store_object **o,
		    uint64_t *size, struct err *e)
{
	int rc = *o ? 0 : store_open(s, name, flags, o, e);

	if (rc == -ENOENT) {
		*o = NULL;
		*size = 0;
		return 0;
	}
	return rc < 0 ? rc : store_size(*o, size, e);
}

static int open_digests(const struct base_of *of, unsigned int flags, struct base *b, struct err *e)
{
	char name[STORE_NAME_MAX];

	return open_one(of->store, name_base_digests(name, of->machine, of->disk), flags,
			&b->digests, &b->digests_size, e);
}

static int open_both(const struct base_of *of, unsigned int flags, struct base *b, struct err *e)
{
	char name[STORE_NAME_MAX];
	int rc = open_digests(of, flags, b, e);

	if (rc == 0)
		rc = open_one(of->store, name_base(name, of->machine, of->disk), flags, &b->image,
			      &b->image_size, e);
	return rc;
}

/* All of the disk becomes known damage, durably before the objects are both there again and look like a base of zeros. */
static int mark_lost(const struct base_of *of, struct base *b, struct err *e)
{
	uint8_t digests[256 * DIGEST_BYTES];
	uint64_t end = (of->size + BASE_BLOCK - 1) / BASE_BLOCK * DIGEST_BYTES, n;
	int rc = open_digests(of, STORE_WRITE | STORE_CREATE, b, e);

	log_error("disk %s: the base is lost, base.img or base.sha is missing from the store",
		  of->disk);
	for (size_t i = 0; i < sizeof(digests); i += DIGEST_BYTES)
		memcpy(digests + i, base_damaged, DIGEST_BYTES);
	for (uint64_t at = 0; rc == 0 && at < end; at += n) {
		n = end - at < sizeof(digests) ? end - at : sizeof(digests);
		rc = store_write(b->digests, digests, (size_t)n, at, e);
	}
	if (rc == 0)
		rc = store_sync(b->digests, e);
	b->lost = rc < 0;
	return rc;
}

int base_open(const struct base_of *of, bool write, struct base *b, struct err *e)
{
	int rc;

	*b = (struct base){0};
	rc = open_both(of, write ? STORE_WRITE : STORE_READ, b, e);
	b->lost = rc == 0 && of->epoch && (!b->image || !b->digests);
	if (rc == 0 && write && b->lost)
		rc = mark_lost(of, b, e);
	if (rc == 0 && write)
		rc = open_both(of, STORE_WRITE | STORE_CREATE, b, e);
	if (rc < 0)
		base_close(b);
	return rc;
}

/* base.epoch, little-endian. Small enough to be written as a whole or not at all; where a disk does worse, the check tells. */
struct epoch_note {
	uint64_t epoch;
	uint8_t check[8]; /* the beginning of the SHA-256 of the disk's id and the epoch */
};

static struct epoch_note note_of(const struct base_of *of, uint64_t epoch)
{
	struct epoch_note n = {.epoch = htole64(epoch)};
	uint8_t bytes[UUID_TEXT_BYTES + sizeof(n.epoch)] = {0}, digest[DIGEST_BYTES];

	memcpy(bytes, of->disk, strnlen(of->disk, UUID_TEXT_BYTES));
	memcpy(bytes + UUID_TEXT_BYTES, &n.epoch, sizeof(n.epoch));
	digest_sha256(bytes, sizeof(bytes), digest);
	memcpy(n.check, digest, sizeof(n.check));
	return n;
}

int base_note_epoch(const struct base_of *of, uint64_t epoch, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	struct epoch_note n = note_of(of, epoch);
	char name[STORE_NAME_MAX];
	int rc = store_open(of->store, name_base_epoch(name, of->machine, of->disk),
			    STORE_WRITE | STORE_CREATE, &o, e);

	if (rc == 0)
		rc = store_write(o, &n, sizeof(n), 0, e);
	return rc == 0 ? store_sync(o, e) : rc;
}

int base_check_epoch(const struct base_of *of, uint64_t target, struct err *e)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	struct epoch_note n, right;
	char name[STORE_NAME_MAX];
	uint64_t epoch;
	int rc = store_open(of->store, name_base_epoch(name, of->machine, of->disk), STORE_READ, &o,
			    e);

	if (rc == 0)
		rc = store_read(o, &n, sizeof(n), 0, e);
	if (rc == -ENOENT || rc == -ENODATA || rc == -EIO)
		return 0;
	if (rc < 0)
		return rc;
	epoch = le64toh(n.epoch);
	right = note_of(of, epoch);
	if (memcmp(n.check, right.check, sizeof(n.check)) || epoch == of->epoch ||
	    (target && epoch == target))
		return 0;
	return err_set(e, -EUCLEAN,
		       "the store has disk %s of machine %s as of epoch %llu, and the catalog says "
		       "%llu: catalog.db and machines/ do not belong together; restore both from "
		       "one backup, or forget the machine with `mobility-appliance remove %s`",
		       of->disk, of->machine, (unsigned long long)epoch,
		       (unsigned long long)of->epoch, of->machine);
}

int base_whole_or_gone(const struct base_of *of, struct err *e)
{
	char name[STORE_NAME_MAX];
	struct base b = {0};
	bool whole;
	int rc = open_both(of, STORE_READ, &b, e);

	whole = b.image && b.digests;
	base_close(&b);
	if (rc < 0 || whole)
		return rc < 0 ? rc : 1;
	rc = store_remove(of->store, name_base(name, of->machine, of->disk), e);
	if (rc == 0)
		rc = store_remove(of->store, name_base_digests(name, of->machine, of->disk), e);
	return rc;
}

void base_close(struct base *b)
{
	store_close(b->image);
	store_close(b->digests);
	*b = (struct base){0};
}

int base_refresh(struct base *b, struct err *e)
{
	int rc = store_size(b->image, &b->image_size, e);

	b->hole = b->hole_end = 0;
	return rc < 0 ? rc : store_size(b->digests, &b->digests_size, e);
}

int base_digest(struct base *b, uint64_t block, uint8_t out[DIGEST_BYTES], struct err *e)
{
	uint64_t at = block * DIGEST_BYTES;

	if (b->lost) {
		memcpy(out, base_damaged, DIGEST_BYTES);
		return 0;
	}
	if (at + DIGEST_BYTES <= b->digests_size)
		return store_read(b->digests, out, DIGEST_BYTES, at, e);
	memset(out, 0, DIGEST_BYTES);
	return 0;
}

int base_read_raw(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e)
{
	uint64_t at = block * BASE_BLOCK;
	size_t len = 0;

	if (at < b->image_size)
		len = b->image_size - at < BASE_BLOCK ? (size_t)(b->image_size - at) : BASE_BLOCK;
	memset(out + len, 0, BASE_BLOCK - len);
	return len ? store_read(b->image, out, len, at, e) : 0;
}

bool base_digest_is_zero(const uint8_t digest[DIGEST_BYTES])
{
	return mem_is_zero(digest, DIGEST_BYTES);
}

bool base_digest_is_damaged(const uint8_t digest[DIGEST_BYTES])
{
	return !memcmp(digest, base_damaged, DIGEST_BYTES);
}

void base_digest_of(const uint8_t block[BASE_BLOCK], uint8_t out[DIGEST_BYTES])
{
	if (mem_is_zero(block, BASE_BLOCK))
		memset(out, 0, DIGEST_BYTES);
	else
		digest_sha256(block, BASE_BLOCK, out);
}

/* Where the image has data at or after `at`; UINT64_MAX: nowhere. */
static int next_data(struct base *b, uint64_t at, uint64_t *data, struct err *e)
{
	uint64_t next = UINT64_MAX;
	int rc;

	if (at < b->hole || at >= b->hole_end) {
		rc = at < b->image_size ? store_next_data(b->image, at, &next, e) : 0;
		if (rc < 0)
			return rc;
		b->hole = at;
		b->hole_end = next < b->image_size ? next : UINT64_MAX;
	}
	*data = b->hole_end;
	return 0;
}

int base_block_empty(struct base *b, uint64_t block, struct err *e)
{
	uint64_t data;
	int rc = next_data(b, block * BASE_BLOCK, &data, e);

	return rc < 0 ? rc : data >= (block + 1) * BASE_BLOCK;
}

int base_hole(struct base *b, uint64_t offset, uint64_t *length, struct err *e)
{
	uint64_t block = offset / BASE_BLOCK, end = (block + 1) * BASE_BLOCK;
	uint8_t digest[DIGEST_BYTES];
	int rc = base_digest(b, block, digest, e);

	if (rc == 0 && base_digest_is_zero(digest))
		rc = base_block_empty(b, block, e);
	/* Behind the last digest nothing but data ends the hole. */
	if (rc > 0 && block >= b->digests_size / DIGEST_BYTES)
		end = b->hole_end / BASE_BLOCK * BASE_BLOCK;
	if (end - offset < *length)
		*length = end - offset;
	return rc;
}

/* A digest that was lost reads as that of zeros. It is one only where the image agrees. */
static int read_zeros(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e)
{
	int rc = base_block_empty(b, block, e);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		memset(out, 0, BASE_BLOCK);
		return 0;
	}
	rc = base_read_raw(b, block, out, e);
	if (rc < 0 || mem_is_zero(out, BASE_BLOCK))
		return rc;
	return err_set(e, -EILSEQ, "the base is damaged at %llu: its SHA-256 is lost",
		       (unsigned long long)block * BASE_BLOCK);
}

int base_read(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e)
{
	uint8_t want[DIGEST_BYTES], have[DIGEST_BYTES];
	int rc = base_digest(b, block, want, e);

	if (rc < 0)
		return rc;
	if (b->lost)
		return err_set(e, -EILSEQ,
			       "the base is lost: base.img or base.sha is missing from the store");
	if (base_digest_is_zero(want))
		return read_zeros(b, block, out, e);
	rc = base_read_raw(b, block, out, e);
	if (rc < 0)
		return rc;
	digest_sha256(out, BASE_BLOCK, have);
	if (memcmp(have, want, DIGEST_BYTES))
		return err_set(e, -EILSEQ,
			       "the base is damaged at %llu: its SHA-256 does not match",
			       (unsigned long long)block * BASE_BLOCK);
	return 0;
}
