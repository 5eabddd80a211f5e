/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "appliance/base.h"
#include "appliance/names.h"

const uint8_t base_damaged[DIGEST_BYTES] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static int open_one(struct store *s, const char *name, bool write, struct store_object **o,
		    uint64_t *size, struct err *e)
{
	int rc = store_open(s, name, write ? STORE_WRITE | STORE_CREATE : STORE_READ, o, e);

	if (rc == -ENOENT) {
		*o = NULL;
		*size = 0;
		return 0;
	}
	return rc < 0 ? rc : store_size(*o, size, e);
}

int base_open(struct store *s, const char *machine, const char *disk, bool write, struct base *b,
	      struct err *e)
{
	char name[STORE_NAME_MAX];
	int rc;

	*b = (struct base){0};
	rc = open_one(s, name_base(name, machine, disk), write, &b->image, &b->image_size, e);
	if (rc == 0)
		rc = open_one(s, name_base_digests(name, machine, disk), write, &b->digests,
			      &b->digests_size, e);
	if (rc < 0)
		base_close(b);
	return rc;
}

void base_close(struct base *b)
{
	store_close(b->image);
	store_close(b->digests);
	*b = (struct base){0};
}

int base_digest(struct base *b, uint64_t block, uint8_t out[DIGEST_BYTES], struct err *e)
{
	uint64_t at = block * DIGEST_BYTES;

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

int base_read(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e)
{
	uint8_t want[DIGEST_BYTES], have[DIGEST_BYTES];
	int rc = base_digest(b, block, want, e);

	if (rc < 0)
		return rc;
	if (base_digest_is_zero(want)) {
		memset(out, 0, BASE_BLOCK);
		return 0;
	}
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
