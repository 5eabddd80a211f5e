/* SPDX-License-Identifier: Apache-2.0 */
/* Condition variables that wait by the monotonic clock: one that is set meanwhile makes nobody wait longer, or shorter. Any thread. */
#ifndef MOBILITY_COND_H
#define MOBILITY_COND_H

#include <pthread.h>
#include <stdint.h>

void cond_init(pthread_cond_t *c); /* pthread_cond_destroy() ends it */
/* pthread_cond_timedwait() until that time of clock_monotonic_ns(): 0, also for no reason, or ETIMEDOUT. */
int cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t until_ns);

#endif
