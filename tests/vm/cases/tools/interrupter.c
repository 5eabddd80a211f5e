// SPDX-License-Identifier: Apache-2.0
/*
 * Takes the CPU from everybody else (SCHED_FIFO), again and again, at irregular moments.
 *
 * usage: interrupter SECONDS MICROSECONDS: for so many seconds in all, so many microseconds each time. Prints the number of times.
 */
#include <err.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	struct sched_param first = {.sched_priority = 50};
	unsigned int times = 0;
	uint64_t end, turn;

	if (argc != 3)
		errx(2, "usage: interrupter SECONDS MICROSECONDS");
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		err(1, "SCHED_FIFO");
	end = now_us() + strtoull(argv[1], NULL, 10) * 1000000;
	turn = strtoull(argv[2], NULL, 10);
	for (; now_us() < end; times++) {
		usleep(200 + (useconds_t)(rand() % 2000));
		for (uint64_t until = now_us() + turn; now_us() < until;)
			;
	}
	printf("%u\n", times);
	return 0;
}
