// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "agent/epoch.h"
#include "lib/clock.h"
#include "lib/log.h"

#define BUSY_TRIES 100 /* the module gives back an epoch's bits within moments */
#define BUSY_WAIT_NS (NSEC_PER_SEC / 20)
#define BUSY_TRIES_HELD 4 /* while applications are held */

static int try_boundary(struct epoch *ep, int tries, struct err *e)
{
	int r = -EAGAIN;

	ep->info.realtime_ns = clock_realtime_ns();
	ep->s->boundary_ns = clock_monotonic_ns();
	if (!epoch_tracks(ep))
		return 0;
	for (int i = 0; r == -EAGAIN && i < tries; i++) {
		r = boundary_take(ep->s->a->kmod, &ep->boundary, &ep->info, e);
		session_beat(ep->s);
		if (r == -EAGAIN && backoff_sleep(BUSY_WAIT_NS, &ep->s->a->cancel))
			return err_set(e, -ECANCELED, "canceled");
	}
	return r;
}

static int take_boundary(struct epoch *ep, struct err *e)
{
	int r = -EAGAIN;

	application_freeze(ep);
	if (application_holds(ep)) {
		r = try_boundary(ep, BUSY_TRIES_HELD, e);
		application_thaw(ep, !r);
	}
	if (r == -EAGAIN)
		r = try_boundary(ep, BUSY_TRIES, e);
	/* Of an appliance it would mean patience; this has to be told. */
	return r == -EAGAIN
		       ? err_set(e, -EBUSY,
				 "writes before an abandoned epoch's boundary have not completed "
				 "yet, so that the kernel module takes no other")
		       : r;
}

/* A disk that does not answer may keep its writes in flight for long: nobody is held for that, and the status tells of it. */
static int wait_sealed(struct epoch *ep, struct err *e)
{
	struct agent *a = ep->s->a;
	uint64_t in_flight = 0;
	bool told = false;
	int r = 0;

	atomic_store(&a->sealing_since, clock_monotonic_ns());
	while (!r) {
		session_beat(ep->s);
		if (__atomic_load_n(&a->cancel, __ATOMIC_RELAXED)) {
			r = err_set(e, -ECANCELED, "canceled");
			break;
		}
		r = boundary_sealed(ep->boundary, &in_flight, e);
		atomic_store(&a->in_flight, in_flight);
		if (!r && !told && agent_sealing_ns(a) >= OVERDUE_NS) {
			log_warning(
				"writes before the last boundary have not completed yet (%llu are "
				"in flight); replication waits for them",
				(unsigned long long)in_flight);
			told = true;
		}
	}
	atomic_store(&a->sealing_since, 0);
	return r < 0 ? r : 0;
}

int epoch_boundary(struct epoch *ep, struct err *e)
{
	int r = take_boundary(ep, e);

	return r || !ep->boundary ? r : wait_sealed(ep, e);
}
