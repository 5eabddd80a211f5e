// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/enroll.h"
#include "agent/session.h"
#include "lib/clock.h"
#include "lib/log.h"

#define LOOK_AGAIN_NS (60 * NSEC_PER_SEC)

static struct remote_disk *remote_find(const struct remote_machine *m, const char *key)
{
	for (size_t i = 0; i < m->disk_count; i++) {
		if (!strcmp(m->disk[i].key, key))
			return &m->disk[i];
	}
	return NULL;
}

static int edit_remove(struct state *st, void *arg, struct err *e)
{
	(void)e;
	state_remove(st, arg);
	return 0;
}

/*
 * End on the appliance the protection of what is not protected here. Its recovery points stay
 * there.
 */
static int unregister_rest(struct session *s, const struct state *st, struct remote_machine *m,
			   struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < m->disk_count; i++) {
		const struct state_disk *known = state_find((struct state *)st, m->disk[i].key);

		if (known && !known->removing)
			continue;
		log_info("telling the appliance that %s is not protected any more", m->disk[i].key);
		r = api_unregister(s->uplink.api, m->disk[i].id, e);
		if (r == -ENOENT || r == -EACCES)
			r = 0;
	}
	for (size_t i = 0; !r && i < st->disk_count; i++) {
		/* Else it is told once more. */
		if (st->disk[i].removing &&
		    store_update(s->a->store, false, edit_remove, st->disk[i].key, e))
			log_debug("%s is not removed yet: %s", st->disk[i].key, e->text);
	}
	return r;
}

static const char *refusal_remedy(int code, bool smaller)
{
	if (smaller)
		return "A disk that became smaller is another disk: mobilityctl unprotect, then "
		       "protect it again.";
	if (code == -ESTALE)
		return "End the protection of a disk that does not need it with mobilityctl "
		       "unprotect; this one is tried again every minute.";
	return "Mend what it says of the disk, or end its protection with mobilityctl unprotect; if it "
	       "says nothing of it, install the same release on this machine and on the appliance.";
}

/*
 * The appliance does not take the disk as it is: that is this disk's error, and all others go on. It
 * stays tracked only where replication may go on from what the appliance has of it.
 */
static void refuse(struct disk *d, const struct remote_disk *known, const struct err *why)
{
	bool smaller = known && known->size > d->size;
	struct err e;

	log_error("%s: %s", d->name, why->text);
	if ((smaller || !known) && d->source->ops->detach(d->source, &e))
		log_error("%s", e.text);
	disk_set_source(d, NULL);
	d->look_ns = clock_monotonic_ns() + LOOK_AGAIN_NS;
	disk_set_error(d, refusal_remedy(why->code, smaller), "%s", why->text);
}

/* 0: *out is what the appliance has, or d lost its source, since it was refused. */
static int register_disk(struct session *s, struct disk *d, const struct remote_disk *known,
			 struct remote_disk *out, struct err *e)
{
	uint64_t granule = 1ull << d->source->shift;
	int r;

	if (known && known->size == d->size && known->granule == granule) {
		*out = *known;
		return 0;
	}
	r = api_register(s->uplink.api, d->key, d->name, d->size, granule, out, e);
	if (r != -ESTALE && r != -EPROTO && r != -EINVAL)
		return r;
	refuse(d, known, e);
	return 0;
}

static void adopt(struct disk *d, const struct remote_disk *remote)
{
	pthread_mutex_lock(&d->lock);
	strcpy(d->id, remote->id);
	pthread_mutex_unlock(&d->lock);
	uuid_parse_text(remote->id, d->id_bytes);
	strcpy(d->remote_source, remote->source);
}

/* An unreachable disk stands where the appliance has it. */
static void adopt_unreachable(struct disk *d, const struct remote_disk *remote)
{
	adopt(d, remote);
	pthread_mutex_lock(&d->lock);
	d->size = remote->size;
	pthread_mutex_unlock(&d->lock);
	disk_set_state(d, remote->state, remote->replicated, d->resync_cause);
}

/* The appliance does not have it, and a commit must not name it. */
static void adopt_nothing(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->id[0] = '\0';
	pthread_mutex_unlock(&d->lock);
	memset(d->id_bytes, 0, sizeof(d->id_bytes));
	d->remote_source[0] = '\0';
}

/* The appliance was put back to before the proof, or is another one; its next epochs have numbers that others had. */
static void forget_proof(struct session *s, struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->verify.proven_ns = 0;
	d->verify.proven_epoch = 0;
	pthread_mutex_unlock(&d->lock);
	session_remember(s, d, RECORD_KEEP);
}

static void decide(struct session *s, struct disk *d, const struct state_disk *known,
		   const struct remote_disk *remote, bool grown, struct continuity_out *out)
{
	struct kmod_view view;
	struct continuity_in in = {
		.tracked = d->source->ops->tracks,
		.attach_id = d->source->attach_id,
		.module_id = s->module_id,
		.boot_id = s->boot_id,
		.size = d->size,
		.granule = 1ull << d->source->shift,
		.old_attach_id = known->attach_id,
		.old_module_id = known->module_id,
		.old_boot_id = known->boot_id,
		.cause = known->resync_cause,
		.older = s->older,
		.grown = grown,
		.requested = known->resync_requested,
		.state = remote->state,
		.replicated = remote->replicated,
		.remote_size = remote->size,
		.remote_epoch = remote->epoch,
		.source = remote->source,
	};

	agent_kmod_view(s->a, &view);
	in.module_epoch = view.epoch;
	in.committed_epoch = view.committed_epoch;
	continuity_decide(&in, out);
}

/* What a scan remembers of the appliance holds when it stands where this agent left it. */
static bool as_left(const struct disk *d, const struct remote_disk *remote,
		    const struct continuity_out *out)
{
	return !strcmp(d->id, remote->id) && d->size == remote->size && !out->restart &&
	       d->state == out->state && d->replicated == out->replicated;
}

static void sync_disk(struct session *s, struct disk *d, const struct state_disk *known,
		      const struct remote_disk *remote, bool grown)
{
	struct continuity_out out;
	bool left;

	decide(s, d, known, remote, grown, &out);
	left = s->left_so && as_left(d, remote, &out);
	adopt(d, remote);
	if (out.restart)
		log_warning("%s is resynchronised by checksum: %s", d->name, out.cause);
	else if (out.state != DISK_PROTECTED && d->state != out.state)
		log_info("%s: %s from %llu of %llu bytes on", d->name,
			 out.state == DISK_INITIAL ? "initial replication" : "resynchronisation",
			 (unsigned long long)out.replicated, (unsigned long long)d->size);
	disk_set_state(d, out.state, out.replicated, out.cause);
	if (!left) {
		scan_digests_forget(d->digests);
		d->scanned_ns = 0;
	}
	d->restart = out.restart;
	d->resync_now = known->resync_now;
	/* Nothing is on the appliance yet that a request could mean. */
	session_remember(s, d,
			 known->resync_requested && !out.restart ? RECORD_CLEAR : RECORD_KEEP);
}

static int sync_disks(struct session *s, const struct state *st, struct remote_machine *m,
		      struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < s->a->disks->count; i++) {
		struct disk *d = s->a->disks->disk[i];
		struct remote_disk *known = remote_find(m, d->key), remote;
		struct state_disk *mine = state_find((struct state *)st, d->key);
		bool grown = false;

		if (!mine)
			continue;
		if (d->verify.proven_epoch > m->epoch)
			forget_proof(s, d);
		if (d->source) {
			grown = known && known->size < d->size;
			r = register_disk(s, d, known, &remote, e);
			if (r)
				break;
		}
		if (d->source)
			sync_disk(s, d, mine, &remote, grown);
		else if (known)
			adopt_unreachable(d, known);
		else
			adopt_nothing(d);
	}
	return r;
}

static void learn_facts(struct session *s, const struct remote_machine *m)
{
	struct facts f = agent_facts_get(s->a);

	s->left_so = m->epoch && m->epoch == f.epoch;
	/* Until a commit follows it stays so, however often the session begins anew. */
	if (m->epoch != f.epoch)
		s->older = m->epoch < f.epoch;
	f.epoch = m->epoch;
	f.has_point = m->has_point;
	f.retention_s = m->retention_s;
	f.point = m->point;
	agent_facts_set(s->a, &f);
}

int session_sync(struct session *s, const struct state *st, struct err *e)
{
	struct remote_machine m;
	int r = api_machine(s->uplink.api, &m, e);

	agent_link(s->a, r, e);
	if (r)
		return r;
	learn_facts(s, &m);
	atomic_store(&s->a->segment_version, m.dialect.segment_version);
	atomic_store(&s->a->codecs, m.dialect.codecs);
	r = unregister_rest(s, st, &m, e);
	if (!r)
		r = sync_disks(s, st, &m, e);
	api_machine_clear(&m);
	if (r)
		agent_link(s->a, r, e);
	else
		s->synced = true;
	return r;
}
