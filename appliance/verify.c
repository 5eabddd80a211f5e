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
	const struct journal_row *journal; /* NULL: it is the base's turn */
	struct codec *codec;
	uint8_t *out; /* WIRE_EXTENT_DATA_MAX */
	char name[STORE_NAME_MAX];
	struct damage run; /* not yet told */
	/* of the journal */
	struct index_file *index; /* NULL: it is not there, or is none */
	bool index_bad; /* the file is there, and no index */
	bool unknown; /* told: it cannot be said what it wrote */
	bool failed; /* verify_segment did, which is no damage */
};

static bool is_damage(int rc)
{
	return rc == -EILSEQ || rc == -EBADMSG || rc == -ENODATA || rc == -EIO;
}

/* Tell the neighbours that were damaged so far, if any. */
static int flush_run(struct pass *p, struct err *e)
{
	int rc = 0;

	if (p->run.length)
		rc = p->v->found(p->v->arg, &p->run, e);
	p->run.length = 0;
	return rc;
}

static int damaged(struct pass *p, uint64_t offset, uint64_t length, const char *what,
		   struct err *e)
{
	int rc;

	if (p->run.length && p->run.offset + p->run.length == offset) {
		p->run.length += length;
		return 0;
	}
	rc = flush_run(p, e);
	p->run.epoch = p->journal ? p->journal->epoch : 0;
	p->run.offset = offset;
	p->run.length = length;
	snprintf(p->run.text, sizeof(p->run.text), "%.250s: %.240s", p->name, what);
	return rc;
}

/* Once for a journal, which says all. The text names it. */
static int tell_unknown(struct pass *p, const char *text, struct err *e)
{
	struct damage d = {.epoch = p->journal->epoch};

	if (p->unknown)
		return 0;
	p->unknown = true;
	snprintf(d.text, sizeof(d.text), "%s", text);
	return p->v->found(p->v->arg, &d, e);
}

static int unknown_from(struct pass *p, uint64_t at, const char *what, struct err *e)
{
	char text[sizeof(((struct damage *)0)->text)];

	snprintf(text, sizeof(text), "%.250s: at %llu: %.220s", p->name, (unsigned long long)at,
		 what);
	return tell_unknown(p, text, e);
}

/* Does the index, which has a digest of its own, say the same as the segment's extents? */
static bool index_says_so(const struct pass *p, uint64_t at, const struct frame *f)
{
	uint64_t payload = at + WIRE_HEADER_BYTES + (uint64_t)f->extent_count * WIRE_EXTENT_BYTES;
	struct frame_extent x;
	struct err why;

	if (!p->index)
		return false;
	for (uint32_t i = 0; i < f->extent_count; i++) {
		struct index_entry want, entry;

		frame_get(f, i, &x);
		want = index_entry_of(&x, payload);
		if (index_find(p->index, x.offset, &entry, &why) <= 0 ||
		    memcmp(&entry, &want, sizeof(want)))
			return false;
		payload += x.stored_len;
	}
	return true;
}

/* Each extent by itself; *harmed: some are damaged. */
static int verify_extents(struct pass *p, const struct frame *f, bool *harmed, struct err *e)
{
	struct frame_extent x;
	struct err why;
	int rc = 0;

	*harmed = false;
	for (uint32_t i = 0; rc == 0 && i < f->extent_count; i++) {
		int content;

		frame_get(f, i, &x);
		content = x.type == WIRE_DATA ? frame_extract(p->codec, &x, p->out, &why) : 0;
		if (content == 0)
			continue;
		if (content == -ENOMEM)
			return err_set(e, content, "%s", why.text);
		*harmed = true;
		rc = damaged(p, x.offset, x.length, why.text, e);
	}
	return rc;
}

/*
 * The trailer of version 1 is over the content as well: where it is wrong, and the extents are those of the index, damaged content accounts for that.
 */
static int verify_segment(void *arg, uint64_t at, const struct frame *f, const void *data,
			  struct err *e)
{
	struct pass *p = arg;
	struct frame whole;
	struct err why;
	bool proven = frame_parse(&whole, data, f->total, UINT64_MAX, true, &why) == 0;
	bool harmed = false;
	int rc = lease_keep(p->v->lease, false, e);

	p->v->checked += f->total;
	if (rc == 0 && (proven || index_says_so(p, at, f)))
		rc = verify_extents(p, f, &harmed, e);
	if (rc == 0 && !proven && (f->version != WIRE_VERSION_OLD || !harmed))
		rc = unknown_from(p, at, why.text, e);
	p->failed = rc < 0;
	return rc;
}

static int open_index(struct pass *p, const struct index_of *of, struct err *e)
{
	struct err why;
	int rc = index_open(of, &p->index, &why);

	p->index_bad = is_damage(rc);
	if (rc == 0 || rc == -ENOENT || p->index_bad)
		return 0;
	*e = why;
	return rc;
}

/* The segments, which are right one by one, as the journal that the catalog knows, and against what the index says. */
static int verify_index(struct pass *p, const struct index_of *of, struct err *e)
{
	char name[STORE_NAME_MAX];
	struct err why;
	int rc = index_matches(p->index, of, &why);

	if (rc < 0) {
		if (is_damage(rc))
			return tell_unknown(p, why.text, e);
		*e = why;
		return rc;
	}
	if (p->index && !rc)
		p->index_bad = true;
	/* The index only repeats what the journal has; it is made again from it. */
	name_index(name, of->machine, of->disk, of->epoch);
	return p->index_bad ? store_remove(of->store, name, e) : 0;
}

static int verify_segments(struct pass *p, const struct index_of *of, struct store_object *o,
			   struct err *e)
{
	struct err why;
	uint64_t at = 0;
	int rc = open_index(p, of, e);

	if (rc < 0)
		return rc;
	rc = journal_walk(o, of->bytes, JOURNAL_SEGMENTS, verify_segment, p, &at, &why);
	if (rc < 0 && (p->failed || !is_damage(rc))) {
		*e = why;
		return rc;
	}
	if (rc < 0)
		rc = unknown_from(p, at, why.text, e);
	if (rc == 0)
		rc = flush_run(p, e);
	return rc == 0 && !p->unknown ? verify_index(p, of, e) : rc;
}

static int verify_journal(struct pass *p, const struct journal_row *j, struct err *e)
{
	const struct disk_row *d = p->v->disk;
	struct index_of of = {p->v->home->store, d->machine,  d->id,
			      j->epoch,		 j->segments, j->bytes};
	_cleanup_(store_closep) struct store_object *o = NULL;
	struct err why;
	int rc;

	p->journal = j;
	p->unknown = p->failed = false;
	name_journal(p->name, d->machine, d->id, j->epoch);
	rc = store_open(of.store, p->name, STORE_READ, &o, &why);
	if (rc == 0) {
		rc = verify_segments(p, &of, o, e);
		index_close(p->index);
		p->index = NULL;
		return rc;
	}
	if (rc == -ENOENT) {
		err_set(&why, rc, "%s is missing", p->name);
		return tell_unknown(p, why.text, e);
	}
	if (is_damage(rc))
		return unknown_from(p, 0, why.text, e);
	*e = why;
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
		return damaged(p, block * BASE_BLOCK, BASE_BLOCK,
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
	const struct base_of of = base_of_disk(p->v->home->store, d);
	_cleanup_(base_close) struct base b = {0};
	_cleanup_free_ uint8_t *data = malloc(BASE_BLOCK);
	uint64_t end = 0, length;
	struct err why;
	int rc = data ? 0 : err_set(e, -ENOMEM, "out of memory");

	name_base(p->name, d->machine, d->id);
	if (rc == 0)
		rc = base_check_epoch(&of, d->fold_target, e);
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
	for (int i = 0; rc == 0 && i < n; i++)
		rc = verify_journal(&p, &journals[i], e);
	return rc == 0 ? lease_keep(v->lease, true, e) : rc;
}
