/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Points at which a test build (MOBILITY_TEST_DELAYS) widens a race window. In the
 * shipped build they are nothing. Any context: a delay spins, it never sleeps. And a held write
 * may have no patience with an open window, a kernel be taken for one that inlined what is
 * to be hooked, and all tasks for ones that one lane falls to.
 */
#ifndef MOB_TESTDELAY_H
#define MOB_TESTDELAY_H

enum mob_delay_point {
	MOB_DELAY_EPOCH_READ,		/* read the epoch, not marked yet */
	MOB_DELAY_MARKED,		/* marked, not issued yet */
	MOB_DELAY_PRESERVE_READ,	/* old content read, copy not visible yet */
	MOB_DELAY_PRESERVED,		/* copy visible, overwrite not issued yet */
	MOB_DELAY_DRAIN_READ,		/* drain read the disk, no look for a copy yet */
	MOB_DELAY_DRAIN_CHECKED,	/* looked for a copy, granules not drained yet */
	MOB_DELAY_COMPLETED,		/* completion seen, not counted yet */
	MOB_DELAY_WINDOW,		/* the next epoch published, the closing window open */
	MOB_DELAY_FOUND,		/* granule to preserve found, none behind it */
	MOB_DELAY_POINTS,
};

#ifdef MOBILITY_TEST_DELAYS
#include <linux/delay.h>
#include <linux/random.h>

/*
 * The longest delay at each point in microseconds; module parameter test_delay_us. One call in
 * eight is delayed: windows are long, and the others meanwhile quick.
 */
extern unsigned int mob_test_delay_us[MOB_DELAY_POINTS];

static inline void mob_test_delay(enum mob_delay_point point)
{
	unsigned int us = READ_ONCE(mob_test_delay_us[point]);
	u32 random = us ? get_random_u32() : 1;

	if (random % 8)
		return;
	us = random / 8 % (us + 1);
	/* udelay() alone is not for so many. */
	mdelay(us / 1000);
	udelay(us % 1000);
}

/* One call in so many gives none; module parameter test_impatient, 0: never. */
extern unsigned int mob_test_impatient;

static inline long mob_test_patience(long ticks)
{
	unsigned int n = READ_ONCE(mob_test_impatient);

	return n && get_random_u32() % n == 0 ? 0 : ticks;
}

/* Whose calls are looked at before the hook is set; module parameter test_caller. */
extern char *mob_test_caller_name;

static inline const char *mob_test_caller(const char *name)
{
	return mob_test_caller_name ? mob_test_caller_name : name;
}

/* The first lane that every task looks at; module parameter test_lane, below 0: its own. */
extern int mob_test_lane_home;

static inline unsigned int mob_test_lane(unsigned int lane)
{
	int home = READ_ONCE(mob_test_lane_home);

	return home < 0 ? lane : home;
}
#else
static inline void mob_test_delay(enum mob_delay_point point)
{
}

static inline long mob_test_patience(long ticks)
{
	return ticks;
}

static inline const char *mob_test_caller(const char *name)
{
	return name;
}

static inline unsigned int mob_test_lane(unsigned int lane)
{
	return lane;
}
#endif

#endif
