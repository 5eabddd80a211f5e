/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/fold.h"
#include "appliance/fold_batch.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SPARE (512u << 10) /* of the store, for the catalog */
#define BATCH_LOOKS 65536 /* for blocks to write, before somebody who waits has a turn */

static void no_hook(void *arg)
{
	(void)arg;
}

static void no_folded(void *arg, uint64_t target)
{
	(void)arg;
	(void)target;
}

static bool no_stop(void *arg)
{
	(void)arg;
	return false;
}

static const struct fold_hooks no_hooks = {no_hook, no_hook, no_folded, no_stop, NULL, 0};

static int set_full(const struct fold *f, uint64_t space, struct err *e)
{
	return err_set(
		e, -ENOSPC,
		"the store has %llu KiB free, which is too little for folding the epochs up to "
		"%llu: make space there",
		(unsigned long long)space >> 10, (unsigned long long)f->target);
}

/*
 * A fold gives space back when it is done, and not before: it begins when the store has what it takes, and goes on then. Uploads may take some meanwhile, so
 * one of several journals, which can be made smaller, begins with a quarter.
 */
static int check_need(struct fold *f, uint64_t block, struct err *e)
{
	uint64_t space, most, need;
	int rc = store_space(f->store, &space, e);

	if (rc < 0)
		return rc;
	most = space > SPARE ? space - SPARE : 0;
	if (f->journal_count > 1 && !block)
		most /= 4;
	rc = fold_need(f, block, most, &need, e);
	return rc == 0 && need > most ? set_full(f, space, e) : rc;
}

/* A batch is begun only when all of it fits: one that stops half-way keeps readers out. Some stores take space for what they write over, too. */
static int fit_batch(struct fold *f, struct err *e)
{
	uint64_t space, fit;
	int rc = store_space(f->store, &space, e);

	if (rc < 0)
		return rc;
	fit = space > SPARE ? (space - SPARE) / BATCH_BLOCK_SPACE : 0;
	if (!fit)
		return set_full(f, space, e);
	if (f->count > fit) {
		f->count = f->max = (size_t)fit;
		f->next = f->block[fit];
		f->done = false;
	}
	return fold_allocate(f, e);
}

static int put_batch(struct fold *f, const struct fold_hooks *hooks, struct err *e)
{
	int rc;

	hooks->exclude(hooks->arg);
	rc = fold_write(f, e);
	hooks->admit(hooks->arg);
	return rc;
}

/* Batches from `block` on, until all is written (0) or somebody wants to read (-EAGAIN). */
static int fold_batches(struct fold *f, uint64_t block, const struct fold_hooks *hooks,
			struct err *e)
{
	const struct disk_row *d = f->disk;
	int rc;

	f->looks = BATCH_LOOKS;
	for (;;) {
		rc = catalog_leased(f->catalog, d->machine, clock_monotonic_ns(), e);
		if (rc < 0)
			return rc;
		if (rc > 0 || hooks->stop(hooks->arg)) {
			rc = catalog_fold_progress(f->catalog, d->id, block, false, e);
			return rc < 0 ? rc : err_set(e, -EAGAIN, "folding waits for readers");
		}
		rc = fold_fill(f, block, e);
		if (rc == 0 && f->count)
			rc = fit_batch(f, e);
		/* Nothing of the batch is written: nobody has to wait for that. */
		if (rc < 0)
			catalog_fold_progress(f->catalog, d->id, block, false, NULL);
		if (rc == 0 && f->count)
			rc = put_batch(f, hooks, e);
		if (rc < 0 || f->done)
			return rc;
		block = f->next;
		rc = catalog_fold_progress(f->catalog, d->id, block, true, e);
		if (rc < 0)
			return rc;
	}
}

static void remove_journals(struct fold *f)
{
	char name[STORE_NAME_MAX];
	struct err e;

	/* What cannot be removed now is found again when the appliance starts. */
	for (int i = 0; i < f->journal_count; i++) {
		uint64_t epoch = f->journals[i].epoch;

		name_index(name, f->disk->machine, f->disk->id, epoch);
		if (store_remove(f->store, name, &e) < 0)
			log_warning("%s", e.text);
		name_journal(name, f->disk->machine, f->disk->id, epoch);
		if (store_remove(f->store, name, &e) < 0)
			log_warning("%s", e.text);
	}
}

static int fold_to(struct catalog *c, struct store *s, const struct disk_row *d, uint64_t target,
		   const struct fold_hooks *hooks, struct err *e)
{
	const struct base_of of = base_of_disk(s, d);
	uint64_t block = d->fold_target == target ? d->fold_block : 0;
	struct fold f;
	int rc = 0;

	/* The one that gives way may have come as far as to note its end. */
	if (d->fold_target && d->fold_target != target)
		rc = base_note_epoch(&of, d->base_epoch, e);
	if (rc == 0)
		rc = catalog_fold_begin(c, d->id, target, clock_monotonic_ns(), e);
	if (rc < 0)
		return rc;
	rc = fold_open(&f, c, s, d, target, hooks->batch, e);
	if (rc < 0) {
		catalog_fold_progress(c, d->id, block, false, NULL);
		return rc;
	}
	rc = check_need(&f, block, e);
	if (rc < 0)
		catalog_fold_progress(c, d->id, block, false, NULL);
	else
		rc = fold_batches(&f, block, hooks, e);
	if (rc == 0) {
		rc = base_note_epoch(&of, target, e);
		if (rc < 0)
			catalog_fold_progress(c, d->id, f.next, false, NULL);
	}
	if (rc == 0) {
		hooks->exclude(hooks->arg);
		rc = catalog_fold_done(c, d->id, target, e);
		if (rc == 0)
			hooks->folded(hooks->arg, target);
		hooks->admit(hooks->arg);
	}
	if (rc == 0)
		remove_journals(&f);
	fold_close(&f);
	return rc;
}

/*
 * Can `other` compute the blocks of the batch from `block` on that `now` stops at? None of them may come out as damaged: when that batch is half-written, a
 * block has the digest that it gets from now's journals, and with those of another fold over it nothing shows any more that its bytes are good.
 */
static bool batch_can_wait(struct fold *now, struct fold *other, uint64_t block)
{
	struct err e;

	now->max = 1;
	for (size_t n = 0; n < BATCH_BLOCKS; n++) {
		int rc = fold_fill(now, block, &e);

		if (!now->count)
			return rc == 0;
		block = now->block[0];
		if (fold_compute(other, block, other->data, other->digest[0], &e) != 0)
			return false;
		block++;
	}
	return true;
}

/*
 * A fold cannot go on: may the one to another target take its place? A later one where it cannot read what it needs, an earlier one where it has not the
 * space. What it has written are blocks as of its own target, with digests that match. In the image of the later target they are the same whether that fold
 * finds them like this or as of its beginning. With an earlier target they have bytes from after it; but only those of journals that stay, from which every
 * reader takes them: all points that are kept are from after both targets. Only the batch in which it stopped has to be looked at.
 */
static bool can_give_way(struct catalog *c, struct store *s, const struct disk_row *d,
			 uint64_t target)
{
	struct fold now, other;
	struct disk_row row;
	struct err e;
	bool can;

	if (catalog_disk(c, d->id, &row, &e) < 0 || row.fold_active ||
	    fold_open(&now, c, s, &row, row.fold_target, 0, &e) < 0)
		return false;
	can = fold_open(&other, c, s, &row, target, 0, &e) == 0;
	if (can) {
		can = check_need(&other, 0, &e) == 0 &&
		      batch_can_wait(&now, &other, row.fold_block);
		fold_close(&other);
	}
	fold_close(&now);
	return can;
}

static bool may_give_way(int rc, uint64_t begun, uint64_t target)
{
	return (content_unreadable(rc) && target > begun) || (fold_no_space(rc) && target < begun);
}

/* A first fold whose base is gone, or half of it, has nothing to go on with; but the journals have everything still. */
static int begin_anew(struct catalog *c, struct store *s, struct disk_row *d, struct err *e)
{
	const struct base_of of = base_of_disk(s, d);
	int rc = d->fold_target && !d->base_epoch ? base_whole_or_gone(&of, e) : 1;

	if (rc)
		return rc < 0 ? rc : 0;
	if (d->fold_block)
		log_error("disk %s: base.img or base.sha is missing from the store: the first fold "
			  "begins anew",
			  d->id);
	d->fold_block = 0;
	d->fold_active = false;
	return catalog_fold_progress(c, d->id, 0, false, e);
}

/* fold_recover(), which the row follows where the fold begins anew. */
static int recover_row(struct catalog *c, struct store *s, struct disk_row *d, struct err *e)
{
	bool tried = false;
	struct fold f;
	int rc = begin_anew(c, s, d, e);

	if (rc < 0 || !d->fold_target || !d->fold_active)
		return rc;
	rc = fold_open(&f, c, s, d, d->fold_target, 0, e);
	if (rc == 0) {
		f.mend = true;
		rc = fold_fill(&f, d->fold_block, e);
		tried = rc == 0 && f.count;
		if (tried)
			rc = fold_write(&f, e);
		fold_close(&f);
	}
	if (rc == 0)
		return catalog_fold_progress(c, d->id, d->fold_block, false, e);
	/* It will not be whole soon. Readers find what is not by its digest, and need not wait for what is. */
	if (tried || content_unreadable(rc))
		catalog_fold_progress(c, d->id, d->fold_block, false, NULL);
	return rc;
}

int fold_disk(struct catalog *c, struct store *s, const struct disk_row *d, uint64_t target,
	      const struct fold_hooks *hooks, struct err *e)
{
	struct disk_row row = *d;
	int rc;

	if (!hooks)
		hooks = &no_hooks;
	if (row.fold_active || (row.fold_target && !row.base_epoch)) {
		hooks->exclude(hooks->arg);
		rc = recover_row(c, s, &row, e);
		hooks->admit(hooks->arg);
		if (rc < 0)
			return rc;
	}
	if (row.fold_target) {
		rc = fold_to(c, s, &row, row.fold_target, hooks, e);
		if (may_give_way(rc, row.fold_target, target) && can_give_way(c, s, d, target))
			rc = 0;
		if (rc == 0)
			rc = catalog_disk(c, d->id, &row, e);
		if (rc < 0)
			return rc;
	}
	return target > row.base_epoch ? fold_to(c, s, &row, target, hooks, e) : 0;
}

int fold_recover(struct catalog *c, struct store *s, const struct disk_row *d, struct err *e)
{
	struct disk_row row = *d;

	return recover_row(c, s, &row, e);
}
