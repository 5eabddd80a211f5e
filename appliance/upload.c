/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "appliance/upload.h"

static void expect(struct upload *u, struct admission *a, size_t want)
{
	*u = (struct upload){.admission = a, .want = want};
	u->until = a->now() + UPLOAD_GRACE_NS + want * NSEC_PER_SEC / UPLOAD_RATE;
}

int upload_begin(struct upload *u, struct admission *a, struct admission_flow *flow, size_t want,
		 uint64_t wait_ns)
{
	int rc = admission_enter(a, flow, want, wait_ns);

	if (rc < 0)
		return rc;
	/* Only now: the time in which it waited was not the sender's. */
	expect(u, a, want);
	/* One byte more, so that an empty body has a pointer as well. */
	u->data = buffers_take(&a->buffers, want + 1);
	if (!u->data) {
		admission_leave(a, flow, want);
		return -ENOMEM;
	}
	u->flow = flow;
	return 0;
}

void upload_drop(struct upload *u, struct admission *a, size_t want)
{
	expect(u, a, want);
}

int upload_add(struct upload *u, const void *data, size_t len)
{
	if (len > u->want - u->len)
		return -EOVERFLOW;
	if (u->admission->now() > u->until)
		return -ETIMEDOUT;
	if (u->data)
		memcpy(u->data + u->len, data, len);
	u->len += len;
	return 0;
}

bool upload_whole(const struct upload *u)
{
	return u->len == u->want;
}

void upload_end(struct upload *u)
{
	if (!u->data)
		return;
	buffers_give(&u->admission->buffers, u->data);
	admission_leave(u->admission, u->flow, u->want);
	*u = (struct upload){0};
}
