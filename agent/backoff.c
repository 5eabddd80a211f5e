// SPDX-License-Identifier: Apache-2.0
#include "agent/backoff.h"

#include <sys/random.h>
#include <time.h>

#include "lib/clock.h"

#define FIRST_NS (NSEC_PER_SEC / 4)
#define MOST_NS (15 * NSEC_PER_SEC)
#define RETRY_AFTER_MAX_S 120
#define STEP_NS (NSEC_PER_SEC / 10)

uint64_t backoff_next(struct backoff *b, uint64_t retry_after_s)
{
	uint64_t bound = FIRST_NS << (b->tries < 6 ? b->tries : 6), random = 0, ns;

	if (bound > MOST_NS)
		bound = MOST_NS;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = clock_monotonic_ns();
	b->tries++;
	/* Never nothing: a refused connection comes back at once. */
	ns = bound / 4 + random % (bound - bound / 4);
	if (retry_after_s > RETRY_AFTER_MAX_S)
		retry_after_s = RETRY_AFTER_MAX_S;
	return ns < retry_after_s * NSEC_PER_SEC ? retry_after_s * NSEC_PER_SEC : ns;
}

bool backoff_sleep(uint64_t ns, const volatile bool *cancel)
{
	uint64_t until = clock_monotonic_ns() + ns, now;
	struct timespec step = {0};

	while (!__atomic_load_n(cancel, __ATOMIC_RELAXED)) {
		now = clock_monotonic_ns();
		if (now >= until)
			return false;
		step.tv_nsec = (long)(until - now < STEP_NS ? until - now : STEP_NS);
		nanosleep(&step, NULL);
	}
	return true;
}
