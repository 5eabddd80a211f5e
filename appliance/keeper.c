/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/enrol.h"
#include "appliance/policy.h"
#include "appliance/tls.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/cond.h"
#include "lib/log.h"

struct keeper {
	struct appliance *app;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static bool stopping(void *arg)
{
	struct keeper *k = arg;
	bool stop;

	pthread_mutex_lock(&k->lock);
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return stop;
}

static void renew_certificate(struct appliance *app)
{
	_cleanup_free_ char *pem = NULL;
	struct err e;
	int rc;

	if (!enrol_server_due(&app->home, clock_realtime_ns()))
		return;
	rc = enrol_server(&app->home, &e);
	if (rc == 0) {
		pem = home_read(app->home.dir, HOME_SERVER, &e);
		rc = pem ? tls_load(pem, &e) : e.code;
	}
	if (pem)
		explicit_bzero(pem, strlen(pem));
	if (rc < 0)
		log_error("the server certificate cannot be renewed: %s", e.text);
	else
		log_info("the server certificate was renewed");
}

/* Wait for the interval; true when it is time to end. */
static bool wait_round(struct keeper *k)
{
	uint64_t until = clock_monotonic_ns() + k->app->home.config.policy_interval_ns;
	bool stop;

	pthread_mutex_lock(&k->lock);
	while (!k->stop && cond_wait_until(&k->wake, &k->lock, until) != ETIMEDOUT)
		;
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return stop;
}

static void *keep(void *arg)
{
	struct keeper *k = arg;

	while (!wait_round(k)) {
		renew_certificate(k->app);
		policy_round(k->app, stopping, k);
	}
	return NULL;
}

int keeper_start(struct appliance *app, struct keeper **out, struct err *e)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	k->app = app;
	pthread_mutex_init(&k->lock, NULL);
	cond_init(&k->wake);
	rc = pthread_create(&k->thread, NULL, keep, k);
	if (rc) {
		free(k);
		return err_errno(e, -rc, "cannot start the thread that applies the policy");
	}
	*out = k;
	return 0;
}

void keeper_stop(struct keeper *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
