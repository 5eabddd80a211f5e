// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink.h"

#include <errno.h>

#include "agent/backoff.h"
#include "lib/log.h"

/* A digest that is wrong this often in a row is not the network's fault. */
#define DIGEST_TRIES 5

int uplink_connect(struct uplink *u, struct err *e)
{
	uint64_t identity = atomic_load(&u->agent->identity);
	struct state st;
	int r;

	if (u->api && u->identity == identity)
		return 0;
	api_free(u->api);
	u->api = NULL;
	r = store_copy(u->agent->store, &st, e);
	if (r)
		return r;
	u->api = agent_api(u->agent, &st, e);
	u->identity = identity;
	state_clear(&st);
	return u->api ? 0 : e->code;
}

int uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e)
{
	struct backoff backoff = {0};
	unsigned int wrong = 0;
	uint64_t wait;
	int r;

	for (;;) {
		if (u->given_up(u->arg))
			return err_set(e, -ECANCELED, "canceled");
		r = uplink_connect(u, e);
		if (!r)
			r = once(u->api, request, e);
		agent_link(u->agent, r, e);
		if (!r || api_final(r))
			return r;
		if (r == -EILSEQ && ++wrong >= DIGEST_TRIES)
			return r;
		atomic_fetch_add(&u->agent->totals.retries, 1);
		log_debug("sending again: %s", e->text);
		wait = backoff_next(&backoff, u->api ? api_retry_after(u->api) : 0);
		if (u->beat)
			u->beat(u->arg);
		backoff_sleep(wait, &u->agent->cancel);
	}
}

void uplink_clear(struct uplink *u)
{
	api_free(u->api);
	u->api = NULL;
}
