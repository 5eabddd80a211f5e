// SPDX-License-Identifier: Apache-2.0
#include "lib/cond.h"

#include <time.h>

#include "lib/clock.h"

void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

int cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t until_ns)
{
	struct timespec t = {.tv_sec = (time_t)(until_ns / NSEC_PER_SEC),
			     .tv_nsec = (long)(until_ns % NSEC_PER_SEC)};

	return pthread_cond_timedwait(c, m, &t);
}
