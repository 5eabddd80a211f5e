/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/upload.h"

static bool take(struct upload_budget *b, uint64_t bytes)
{
	uint64_t left = atomic_load(&b->left);

	do {
		if (left < bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&b->left, &left, left - bytes));
	return true;
}

int upload_begin(struct upload *u, struct upload_budget *budget, size_t want)
{
	if (!take(budget, want))
		return -ENOMEM;
	/* One byte more, so that an empty body has a pointer as well. */
	u->data = malloc(want + 1);
	if (!u->data) {
		atomic_fetch_add(&budget->left, want);
		return -ENOMEM;
	}
	u->budget = budget;
	u->want = want;
	u->len = 0;
	return 0;
}

int upload_add(struct upload *u, const void *data, size_t len)
{
	if (len > u->want - u->len)
		return -EOVERFLOW;
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
	atomic_fetch_add(&u->budget->left, u->want);
	free(u->data);
	*u = (struct upload){0};
}
