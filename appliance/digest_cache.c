/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/digest_cache.h"
#include "appliance/names.h"

#define CHECK_BYTES 8

struct digest_cache {
	struct store_object *object; /* NULL: there is none */
	bool write;
	uint8_t disk[UUID_BYTES];
};

/* As in the object, at 48 times the block's number; little-endian. */
struct entry {
	uint64_t epoch;
	uint8_t check[CHECK_BYTES]; /* of the two others, the disk, the block and its length */
	uint8_t digest[DIGEST_BYTES];
};
static_assert(sizeof(struct entry) == 48, "entry");

static void check_of(const struct digest_cache *c, struct digest_of of, const struct entry *n,
		     uint8_t out[CHECK_BYTES])
{
	struct {
		uint8_t disk[UUID_BYTES];
		uint64_t block, len, epoch;
		uint8_t digest[DIGEST_BYTES];
	} all = {.block = htole64(of.block), .len = htole64(of.len), .epoch = n->epoch};
	uint8_t digest[DIGEST_BYTES];

	memcpy(all.disk, c->disk, UUID_BYTES);
	memcpy(all.digest, n->digest, DIGEST_BYTES);
	digest_sha256(&all, sizeof(all), digest);
	memcpy(out, digest, CHECK_BYTES);
}

int digest_cache_open(struct store *s, const char *machine, const char *disk, bool write,
		      struct digest_cache **out, struct err *e)
{
	struct digest_cache *c = calloc(1, sizeof(*c));
	char name[STORE_NAME_MAX];
	int rc;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->write = write;
	uuid_parse_text(disk, c->disk);
	rc = store_open(s, name_digest_cache(name, machine, disk),
			write ? STORE_WRITE | STORE_CREATE : STORE_READ, &c->object, e);
	if (rc == -ENOENT && !write)
		rc = 0;
	if (rc < 0)
		digest_cache_close(c);
	else
		*out = c;
	return rc;
}

void digest_cache_close(struct digest_cache *c)
{
	if (!c)
		return;
	store_close(c->object);
	free(c);
}

int digest_cache_get(struct digest_cache *c, struct digest_of of, uint64_t newest, uint64_t now,
		     uint8_t out[DIGEST_BYTES], struct err *e)
{
	uint8_t check[CHECK_BYTES];
	struct entry n;
	int rc;

	if (!c->object)
		return 0;
	rc = store_read(c->object, &n, sizeof(n), of.block * sizeof(n), e);
	if (rc == -ENODATA)
		return 0;
	if (rc < 0)
		return rc;
	check_of(c, of, &n, check);
	if (memcmp(check, n.check, CHECK_BYTES) || le64toh(n.epoch) < newest ||
	    le64toh(n.epoch) > now)
		return 0;
	memcpy(out, n.digest, DIGEST_BYTES);
	return 1;
}

int digest_cache_put(struct digest_cache *c, struct digest_of of, uint64_t epoch,
		     const uint8_t digest[DIGEST_BYTES], struct err *e)
{
	struct entry n = {.epoch = htole64(epoch)};

	if (!c->write)
		return 0;
	memcpy(n.digest, digest, DIGEST_BYTES);
	check_of(c, of, &n, n.check);
	return store_write(c->object, &n, sizeof(n), of.block * sizeof(n), e);
}
