/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/journal.h"
#include "appliance/names.h"
#include "appliance/verify.h"
#include "lib/cleanup.h"

struct pass {
	struct verify *v;
	const struct journal_row *journal;
	struct codec *codec;
	uint8_t *out; /* WIRE_EXTENT_DATA_MAX */
	char name[STORE_NAME_MAX];
	struct damage run; /* of the base, not yet told */
};

static bool is_damage(int rc)
{
	return rc == -EILSEQ || rc == -EBADMSG || rc == -ENODATA || rc == -EIO;
}

static int tell(struct pass *p, uint64_t offset, uint64_t length, const char *what, struct err *e)
{
	struct damage d = {
		.epoch = p->journal->epoch,
		.offset = offset,
		.length = length,
	};

	snprintf(d.text, sizeof(d.text), "%.250s: %.240s", p->name, what);
	return p->v->found(p->v->arg, &d, e);
}

static int verify_segment(void *arg, uint64_t at, const struct frame *f, const void *data,
			  struct err *e)
{
	struct pass *p = arg;
	struct frame_extent x;
	struct err why;
	int rc = lease_keep(p->v->lease, false, e);

	(void)at;
	(void)data;
	p->v->checked += f->total;
	for (uint32_t i = 0; rc == 0 && i < f->extent_count; i++) {
		frame_get(f, i, &x);
		if (x.type == WIRE_DATA && frame_extract(p->codec, &x, p->out, &why) < 0)
			rc = tell(p, x.offset, x.length, why.text, e);
	}
	return rc;
}

/* What the journal's content says against what the index says. */
static int verify_index(struct pass *p, const struct index_of *of, struct err *e)
{
	struct index file = {0}, built = {0};
	struct err why;
	int rc = index_load_file(of, &file, &why);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = index_build(of, false, &built, &why);
	if (rc == 0 && (file.count != built.count ||
			memcmp(file.entries, built.entries, built.count * sizeof(*built.entries))))
		rc = err_set(&why, -EBADMSG, "the index is not that of its journal");
	index_clear(&file);
	index_clear(&built);
	if (rc == 0)
		return 0;
	if (!is_damage(rc)) {
		*e = why;
		return rc;
	}
	/* The index only repeats what the journal has; it is made again from it. */
	return store_remove(of->store, name_index(p->name, of->machine, of->disk, of->epoch), e);
}

static int verify_journal(struct pass *p, struct err *e)
{
	const struct disk_row *d = p->v->disk;
	struct index_of of = {p->v->home->store, d->machine,	       d->id,
			      p->journal->epoch, p->journal->segments, p->journal->bytes};
	_cleanup_(store_closep) struct store_object *o = NULL;
	struct err why;
	uint64_t at = 0;
	int rc;

	name_journal(p->name, d->machine, d->id, p->journal->epoch);
	rc = store_open(of.store, p->name, STORE_READ, &o, &why);
	if (rc == -ENOENT)
		return tell(p, 0, 0, "it is missing", e);
	if (rc == 0)
		rc = journal_walk(o, p->journal->bytes, true, verify_segment, p, &at, &why);
	if (rc == 0)
		return verify_index(p, &of, e);
	if (is_damage(rc)) {
		char what[sizeof(why.text) + 64];

		snprintf(what, sizeof(what), "at %llu: %s", (unsigned long long)at, why.text);
		return tell(p, 0, 0, what, e);
	}
	*e = why;
	return rc;
}

/* Tell the damaged blocks so far, if any. */
static int flush_run(struct pass *p, struct err *e)
{
	int rc = 0;

	if (p->run.length)
		rc = p->v->found(p->v->arg, &p->run, e);
	p->run.length = 0;
	return rc;
}

static int damaged_block(struct pass *p, uint64_t block, const char *what, struct err *e)
{
	uint64_t at = block * BASE_BLOCK;
	int rc = 0;

	if (p->run.length && p->run.offset + p->run.length == at) {
		p->run.length += BASE_BLOCK;
		return 0;
	}
	rc = flush_run(p, e);
	p->run.offset = at;
	p->run.length = BASE_BLOCK;
	snprintf(p->run.text, sizeof(p->run.text), "%.250s: %.240s", p->name, what);
	return rc;
}

static int verify_block(struct pass *p, struct base *b, uint64_t block, uint8_t *data,
			struct err *e)
{
	struct err why;
	int rc = lease_keep(p->v->lease, false, e);

	if (rc < 0)
		return rc;
	p->v->checked += BASE_BLOCK;
	rc = base_read(b, block, data, &why);
	if (is_damage(rc))
		return damaged_block(p, block,
				     b->lost ? "it or its base.sha is missing"
					     : "SHA-256 does not match its bytes",
				     e);
	if (rc < 0)
		*e = why;
	return rc;
}

/* Where the base ends. It may have data without digests, which are lost then, and digests without data. */
static uint64_t base_end(const struct base *b, uint64_t size)
{
	uint64_t known = b->digests_size / DIGEST_BYTES * BASE_BLOCK;

	if (b->lost)
		return size;
	return known > b->image_size ? known : b->image_size;
}

static int verify_base(struct pass *p, struct err *e)
{
	const struct disk_row *d = p->v->disk;
	const struct base_of of = {p->v->home->store, d->machine, d->id, d->size, d->base_epoch};
	_cleanup_(base_close) struct base b = {0};
	_cleanup_free_ uint8_t *data = malloc(BASE_BLOCK);
	uint64_t end = 0, length;
	struct err why;
	int rc = data ? 0 : err_set(e, -ENOMEM, "out of memory");

	name_base(p->name, d->machine, d->id);
	if (rc == 0)
		rc = base_open(&of, false, &b, e);
	if (rc == 0)
		end = base_end(&b, d->size);
	for (uint64_t at = 0; rc == 0 && at < end; at += length) {
		length = end - at;
		if (base_hole(&b, at, &length, &why) <= 0)
			rc = verify_block(p, &b, at / BASE_BLOCK, data, e);
	}
	return rc == 0 ? flush_run(p, e) : rc;
}

int verify_disk(struct verify *v, uint64_t epoch, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	_cleanup_(codec_freep) struct codec *codec = codec_new();
	_cleanup_free_ uint8_t *out = malloc(WIRE_EXTENT_DATA_MAX);
	struct pass p = {.v = v, .codec = codec, .out = out};
	int n, rc;

	if (!codec || !out)
		return err_set(e, -ENOMEM, "out of memory");
	n = catalog_journals(v->home->catalog, v->disk->id, epoch, &journals, e);
	if (n < 0)
		return n;
	rc = verify_base(&p, e);
	for (int i = 0; rc == 0 && i < n; i++) {
		p.journal = &journals[i];
		rc = verify_journal(&p, e);
	}
	return rc == 0 ? lease_keep(v->lease, true, e) : rc;
}
