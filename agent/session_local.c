// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rcu.h"
#include "agent/session.h"
#include "lib/clock.h"
#include "lib/log.h"

#define LOOK_AGAIN_NS (10 * NSEC_PER_SEC)
#define ANSWER_AGAIN_NS NSEC_PER_SEC /* a search is under way */
#define SETTLE_AGAIN_NS (60 * NSEC_PER_SEC)

/* --- the table -------------------------------------------------------------------------------- */

/* The disks that the state wants: those there are, and new ones. NULL: out of memory. */
static struct disk_table *wanted_table(const struct disk_table *old, const struct state *st)
{
	struct disk_table *t = calloc(1, sizeof(*t) + st->disk_count * sizeof(t->disk[0]));

	for (size_t i = 0; t && i < st->disk_count; i++) {
		struct disk *d;

		if (st->disk[i].removing)
			continue;
		d = disk_table_find(old, st->disk[i].key);
		if (!d)
			d = disk_new(&st->disk[i]);
		/* Out of memory: the next round tries again. */
		if (d)
			t->disk[t->count++] = d;
	}
	return t;
}

/*
 * The module may track a disk that nobody here has open: the appliance refused it, or the agent ended before it came to
 * this. Where no attachment was recorded it is known by its key, unless the disk would have to be read for that.
 */
static void detach_at(struct session *s, const char *path, const char *key, const char *attach_id)
{
	struct source *src;
	struct err e;
	bool is;

	if (!s->a->kmod || source_kmod_find(s->a->kmod, path, &src, NULL))
		return;
	is = attach_id[0] ? !strcmp(src->attach_id, attach_id)
			  : !identify_reads(key) && identify_is(path, key);
	if (is && src->ops->detach(src, &e))
		log_error("%s", e.text);
	src->ops->close(src);
}

static void drop_disk(struct session *s, struct disk *d, const struct state_disk *known)
{
	const char *attach_id = known && !d->attach_id[0] ? known->attach_id : d->attach_id;
	struct err e;

	if (!d->source && !d->file && d->choice != SOURCE_SCAN)
		detach_at(s, d->path, d->key, attach_id);
	else if (d->source && d->source->ops->detach(d->source, &e))
		log_error("%s", e.text);
	log_info("%s is not protected any more", d->name);
	disk_free(d);
}

/* Their protection ended while an agent ran that did not come to it. */
static void drop_unknown(struct session *s, const struct disk_table *t, const struct state *st)
{
	for (size_t i = 0; i < st->disk_count; i++) {
		const struct state_disk *d = &st->disk[i];

		if (d->removing && !d->file && d->source != SOURCE_SCAN &&
		    !disk_table_find(t, d->key))
			detach_at(s, d->path, d->key, d->attach_id);
	}
}

static int apply_state(struct session *s, const struct state *st, struct err *e)
{
	struct disk_table *old = s->a->disks, *new = wanted_table(old, st);

	if (!new)
		return err_set(e, -ENOMEM, "out of memory");
	agent_rcu_publish(s->a->disks, new);
	agent_rcu_wait();
	drop_unknown(s, old, st);
	for (size_t i = 0; i < old->count; i++) {
		struct disk *d = old->disk[i];

		if (!disk_table_find(new, d->key))
			drop_disk(s, d, state_find((struct state *)st, d->key));
	}
	free(old);
	return 0;
}

/* --- finding and attaching -------------------------------------------------------------------- */

/* It is looked for again at look_ns, and opened anew. */
static void let_go(struct session *s, struct disk *d, uint64_t look_ns)
{
	disk_set_source(d, NULL);
	d->look_ns = look_ns;
	s->synced = false;
}

static void look_for_module(struct session *s)
{
	uint64_t now = clock_monotonic_ns();
	struct kmod_view view;
	struct kmod *k;
	struct err e;

	if (s->a->kmod || (s->kmod_looked_ns && now - s->kmod_looked_ns < LOOK_AGAIN_NS))
		return;
	s->kmod_looked_ns = now;
	if (kmod_open(&k, &e)) {
		agent_kmod_set(s->a, NULL, e.text);
		return;
	}
	agent_kmod_set(s->a, k, "");
	agent_kmod_view(s->a, &view);
	snprintf(s->module_id, sizeof(s->module_id), "%s", view.module_id);
	log_info("the kernel module is there, mode %s%s%s", kmod_mode_name(view.mode),
		 view.reason[0] ? ": " : "", view.reason);
	for (size_t i = 0; i < s->a->disks->count; i++) {
		struct disk *d = s->a->disks->disk[i];

		if (d->choice == SOURCE_AUTO && !d->file && d->source && !d->source->ops->tracks)
			let_go(s, d, 0);
	}
}

/* What the module tracks there under the recorded id is the disk, whatever is written on it now. */
static bool tracked_at(struct session *s, const char *path, const struct state_disk *known)
{
	struct source *src;
	bool same;

	if (!s->a->kmod || !known->attach_id[0] || source_kmod_find(s->a->kmod, path, &src, NULL))
		return false;
	same = !strcmp(src->attach_id, known->attach_id);
	src->ops->close(src);
	return same;
}

/* Where the disk is now. No disk is read by the session itself: one may not answer. */
static int locate(struct session *s, struct disk *d, const struct state_disk *known,
		  char path[PATH_MAX], struct err *e)
{
	struct identity id;
	bool same_life;
	int r;

	strcpy(path, d->path);
	if (d->file) {
		r = identify(d->path, &id, e);
		if (!r && !id.file)
			r = err_set(e, -EINVAL, "%s is not a plain file any more", d->path);
		return r;
	}
	if (tracked_at(s, path, known))
		return 0;
	/* After a restart of the machine a copy of the disk may have the name that it had. */
	same_life = s->boot_id[0] && !strcmp(known->path_boot_id, s->boot_id);
	if (!identify_reads(d->key))
		return identify_find(d->key, d->path, same_life, d->size, path, e);
	if (!s->finder)
		s->finder = finder_new();
	if (!s->finder)
		return err_set(e, -ENOMEM, "out of memory");
	return finder_find(s->finder, d->key, d->path, same_life, path, e);
}

static int open_source(struct session *s, struct disk *d, const char *path, struct source **src,
		       struct err *e)
{
	int r;

	if (d->file || d->choice == SOURCE_SCAN)
		return source_scan_open(path, src, e);
	if (!s->a->kmod) {
		if (d->choice == SOURCE_KMOD)
			return err_set(e, -ENODEV, "%s", s->a->kmod_absent);
		return source_scan_open(path, src, e);
	}
	r = source_kmod_open(s->a->kmod, path, src, e);
	if (r == -EOPNOTSUPP && d->choice == SOURCE_AUTO) {
		log_warning("%s; it is scanned instead", e->text);
		r = source_scan_open(path, src, e);
	}
	return r;
}

static const char *remedy_for(int code, const char *key)
{
	switch (code) {
	case -ENODEV:
		return "Bring the disk back or load the module (modprobe mobility), or end its "
		       "protection with mobilityctl unprotect.";
	case -EOPNOTSUPP:
		return "End its protection with mobilityctl unprotect; protect it again with "
		       "--source scan.";
	case -ENOSPC:
		return "End its protection with mobilityctl unprotect and protect it again with "
		       "--source scan, or load the module with a larger bitmap_bytes. It tracks 64 "
		       "disks.";
	case -EAGAIN:
	case -EINPROGRESS:
		return "Look in the kernel's log for the disk that does not answer; all others are "
		       "replicated.";
	case -ENOTUNIQ:
		if (identify_by_serial(key))
			return "Detach the others that have its serial number (namespaces of one NVMe controller, paths to one "
			       "disk); or end its protection with mobilityctl unprotect and protect it again: it gets a name of its "
			       "own.";
		return "Give the disks different UUIDs, or detach the copy.";
	default:
		return "Remove the cause, or end its protection with mobilityctl unprotect.";
	}
}

static void reach(struct session *s, struct disk *d, const struct state_disk *known)
{
	char path[PATH_MAX];
	struct source *src;
	struct err e;
	int r;

	d->look_ns = clock_monotonic_ns() + LOOK_AGAIN_NS;
	waiting_begin(s->a, WAIT_DISK, d->name);
	r = locate(s, d, known, path, &e);
	if (!r)
		r = open_source(s, d, path, &src, &e);
	waiting_end(s->a);
	if (r == -EINPROGRESS)
		d->look_ns = clock_monotonic_ns() + ANSWER_AGAIN_NS;
	/* It was waited for, and the other disks wait meanwhile. */
	if (r == -EAGAIN)
		d->look_ns = clock_monotonic_ns() + SETTLE_AGAIN_NS;
	if (r) {
		if (!d->error[0])
			log_error("%s cannot be protected now: %s", d->name, e.text);
		disk_set_error(d, remedy_for(r, d->key), "%s", e.text);
		return;
	}
	pthread_mutex_lock(&d->lock);
	strcpy(d->path, path);
	pthread_mutex_unlock(&d->lock);
	disk_set_source(d, src);
	disk_clear_error(d);
	s->synced = false;
	log_info("%s: %s, source %s", d->name, path, src->ops->name);
}

/* --- what happened to attached disks ---------------------------------------------------------- */

/*
 * It begins anew, attached in its new size. That the attachment is another one calls for the resync
 * already; a request adds the cause.
 */
static int attach_again(struct session *s, struct disk *d, struct err *e)
{
	int r;

	if (session_request_resync(s, d, "the size of the disk changed", e))
		log_debug("%s: %s", d->name, e->text);
	r = d->source->ops->detach(d->source, e);
	if (!r)
		disk_set_source(d, NULL);
	d->look_ns = 0;
	return r;
}

/*
 * A larger disk is taken up where it stands: the appliance, told of its size, asks for what was
 * added. Acknowledged first: whatever changes from here on is an event of its own.
 */
static int heed_resized(struct session *s, struct disk *d, unsigned int events, struct err *e)
{
	uint64_t before = d->size;
	int r;

	if (!(events & SOURCE_SUSPECT)) {
		r = d->source->ops->ack(d->source, events, e);
		if (r)
			return r;
		pthread_mutex_lock(&d->lock);
		r = d->source->ops->grow(d->source, e);
		d->size = d->source->size;
		pthread_mutex_unlock(&d->lock);
		if (r == -EAGAIN)
			return 0; /* the module tells of the size again */
		if (!r) {
			log_info("%s grew from %llu to %llu bytes", d->name,
				 (unsigned long long)before, (unsigned long long)d->size);
			s->synced = false;
			return 0;
		}
		log_warning("%s", e->text);
	}
	return attach_again(s, d, e);
}

/*
 * A filesystem that is away (NFS, FUSE) never answers for a file that was opened before: the disk is
 * unreachable, and opened again when that works. A module cannot go while a disk of it is open: where
 * it refuses, it refuses for all disks, and to let go of one would cost its continuity.
 */
static int status_failed(struct session *s, struct disk *d, const struct err *e)
{
	if (d->source->ops->tracks)
		return e->code;
	log_error("%s cannot be read now: %s", d->name, e->text);
	disk_set_error(d, remedy_for(e->code, d->key), "%s", e->text);
	let_go(s, d, clock_monotonic_ns() + LOOK_AGAIN_NS);
	return 0;
}

int session_ask(struct session *s, struct disk *d, struct source_status *out, struct err *e)
{
	int r;

	if (d->source->ops->tracks)
		return d->source->ops->status(d->source, out, e);
	waiting_begin(s->a, WAIT_DISK, d->name);
	r = d->source->ops->status(d->source, out, e);
	waiting_end(s->a);
	return r;
}

static int heed_events(struct session *s, struct disk *d, struct err *e)
{
	struct source_status st;

	if (session_ask(s, d, &st, e))
		return status_failed(s, d, e);
	if (!st.events)
		return 0;
	if (st.events & SOURCE_GONE) {
		log_error("%s was removed or detached", d->name);
		disk_set_error(d, remedy_for(-ENODEV, d->key), "%s was removed or detached",
			       d->path);
		let_go(s, d, 0);
		return 0;
	}
	if (st.events & SOURCE_RESIZED && !d->source->ops->tracks) {
		/* A scan misses nothing: it reads all of it again in any case. */
		let_go(s, d, 0);
		return 0;
	}
	if (st.events & SOURCE_RESIZED)
		return heed_resized(s, d, st.events, e);
	/*
	 * Recorded first, acknowledged then: whatever happens between, the disk is
	 * resynchronised. Until it can be recorded the event stays, no epoch becomes a recovery point
	 * for it (epoch.c), and all else goes on.
	 */
	if (session_request_resync(
		    s, d,
		    "writes of unknown range (pass-through commands, hibernation, or memory ran out)",
		    e))
		return 0;
	return d->source->ops->ack(d->source, st.events, e);
}

int session_local(struct session *s, struct err *e)
{
	uint64_t generation, now = clock_monotonic_ns();
	struct state st;
	int r;

	store_retry(s->a->store);
	generation = store_generation(s->a->store);
	r = store_copy(s->a->store, &st, e);
	if (r)
		return r;
	look_for_module(s);
	if (generation != s->generation) {
		r = apply_state(s, &st, e);
		if (!r)
			s->generation = generation;
		s->synced = false;
	}
	for (size_t i = 0; !r && i < s->a->disks->count; i++) {
		struct disk *d = s->a->disks->disk[i];
		struct state_disk *known = state_find(&st, d->key);

		if (d->source)
			r = heed_events(s, d, e);
		if (known && !d->source && now >= d->look_ns)
			reach(s, d, known);
	}
	state_clear(&st);
	return r;
}
