// SPDX-License-Identifier: Apache-2.0
#include "agent/doubt.h"

#include <errno.h>

#include "agent/session.h"
#include "lib/log.h"

struct telling {
	const char *disk;
	struct doubt doubt;
	uint64_t points;
};

static int tell_once(struct api *api, void *request, struct err *e)
{
	struct telling *t = request;

	return api_doubt(api, t->disk, &t->doubt, &t->points, e);
}

/* What was not told yet; bytes is 0 when there is nothing. */
static struct doubt untold(struct disk *d)
{
	struct doubt doubt;

	pthread_mutex_lock(&d->verify.lock);
	doubt = d->verify.untold;
	pthread_mutex_unlock(&d->verify.lock);
	doubt.after = d->verify.proven_epoch;
	return doubt;
}

static void told(struct disk *d, const struct doubt *doubt)
{
	pthread_mutex_lock(&d->verify.lock);
	d->verify.untold.bytes -= doubt->bytes;
	pthread_mutex_unlock(&d->verify.lock);
}

int doubt_tell(struct session *s, struct disk *d, struct err *e)
{
	struct telling t = {.disk = d->id, .doubt = untold(d)};
	int r;

	if (!t.doubt.bytes)
		return 0;
	r = uplink_until(&s->uplink, tell_once, &t, e);
	if (r == -ENOENT || r == -EPROTO) {
		log_warning("the appliance cannot mark the recovery points that may lack what %s "
			    "has: %s; upgrade it",
			    d->name, e->text);
		r = 0;
	} else if (!r && t.points) {
		log_warning("%llu recovery points are in doubt, since %s differed",
			    (unsigned long long)t.points, d->name);
	}
	if (!r)
		told(d, &t.doubt);
	return r;
}
