/* SPDX-License-Identifier: Apache-2.0 */
/* Which points are kept, as a table of ages; and that what is kept does not depend on how often the policy is applied. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/fold.h"
#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define MIN (60 * NSEC_PER_SEC)
#define NOW (1000000 * MIN) /* a multiple of five minutes */
#define DISK_BYTES (8 * 65536)

static const struct config conf = {
	.retention_ns = 24 * 60 * MIN,
	.point_interval_ns = 5 * MIN,
	.all_points_for_ns = 60 * MIN,
};

/* Ages in minutes, newest first; a minus marks the dropped, a star a named point. */
static const char *const tables[] = {
	"0",
	"9999", /* the newest is kept, however old */
	"9999 -10000",
	"0 1 2 3 59 60", /* all of the last hour */
	"0 -61 -62 -63 -64 65", /* then the first of each five minutes */
	"0 -61 *62 -63 -64 65",
	"0 65 70 75",
	"0 *61 *62 *63 *64 *65", /* names are kept the whole retention */
	"0 1439 -1441 -*1442",
	"0 1440 -1441",
	"0 60 -61 -62 65 -66 70", /* 60 begins an interval of its own */
	"",
};

static size_t parse(const char *table, struct point_row *points, bool *want)
{
	size_t n = 0;

	while (*table) {
		char *end;

		points[n] = (struct point_row){.epoch = 1000 - n};
		want[n] = *table == '-';
		table += *table == '-';
		if (*table == '*')
			strcpy(points[n].name, "name");
		table += *table == '*';
		points[n].committed_at = NOW - strtoull(table, &end, 10) * MIN;
		table = *end ? end + 1 : end;
		n++;
	}
	return n;
}

START_TEST(table)
{
	struct point_row points[16] = {0};
	bool want[16], drop[16];
	size_t n = parse(tables[_i], points, want);

	policy_thin(&conf, points, n, NOW, drop);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(drop[i] == want[i], "%s: number %zu", tables[_i], i);
}
END_TEST

/* A point that comes from the future (the clock was set back) is not old. */
START_TEST(clock_set_back)
{
	struct point_row points[2] = {{.committed_at = NOW + MIN}, {.committed_at = NOW + MIN}};
	bool drop[2];

	policy_thin(&conf, points, 2, NOW, drop);
	ck_assert(!drop[0] && !drop[1]);
}
END_TEST

#define POINTS 2000

static size_t apply(struct point_row *points, size_t n, uint64_t now)
{
	static bool drop[POINTS];
	size_t kept = 0;

	policy_thin(&conf, points, n, now, drop);
	for (size_t i = 0; i < n; i++) {
		if (!drop[i])
			points[kept++] = points[i];
	}
	return kept;
}

START_TEST(often_or_once)
{
	static struct point_row all[POINTS], often[POINTS];
	uint64_t seed = (uint64_t)_i, at = NOW;
	size_t n = 0, kept;

	/* Points at random times of a day, the policy applied after each; newest first. */
	for (size_t i = 0; i < POINTS; i++) {
		struct point_row p = {.epoch = i + 1, .committed_at = at};

		if (random_next(&seed) % 50 == 0)
			strcpy(p.name, "name");
		all[POINTS - 1 - i] = p;
		memmove(often + 1, often, n * sizeof(*often));
		often[0] = p;
		n = apply(often, n + 1, at);
		at += random_next(&seed) % 120 * NSEC_PER_SEC;
	}
	at += 70 * MIN;
	n = apply(often, n, at);
	kept = apply(all, POINTS, at);
	ck_assert_uint_eq(n, kept);
	ck_assert_uint_lt(n, 600);
	ck_assert_uint_gt(n, 200);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(often[i].epoch, all[i].epoch);
}
END_TEST

START_TEST(a_jump_of_the_clock_takes_nothing)
{
	struct policy_clock c = {0};
	uint64_t day = 86400000000000ull, second = 1000000000ull, real = 1000 * day, boot = 5;
	uint64_t keep = 3 * day;

	ck_assert_uint_eq(policy_clock(&c, real, boot, keep), real);
	ck_assert_uint_eq(policy_clock(&c, real + 60 * second, boot + 60 * second, keep),
			  real + 60 * second);
	/* forward, and right again */
	ck_assert_uint_eq(policy_clock(&c, real + day, boot + 120 * second, keep),
			  real + 180 * second);
	ck_assert_uint_eq(policy_clock(&c, real + 180 * second, boot + 180 * second, keep),
			  real + 180 * second);
	/* back: at once, as that makes everything younger */
	ck_assert_uint_eq(policy_clock(&c, real - day, boot + 240 * second, keep), real - day);
	ck_assert_uint_le(policy_clock(&c, real + 300 * second, boot + 300 * second, keep),
			  real - day + 120 * second);
}
END_TEST

/* A clock that was years behind at the start, and is set: what lags behind it is over with the retention. */
START_TEST(a_clock_that_was_set_is_followed)
{
	struct policy_clock c = {0};
	uint64_t day = 86400000000000ull, hour = day / 24, keep = 3 * day, year = 365 * day;
	uint64_t real = 20 * year, boot = 7, set = 26 * year;
	unsigned int i;

	policy_clock(&c, real, boot, keep);
	for (i = 1; i <= 3 * 24; i++)
		ck_assert_uint_eq(policy_clock(&c, real + set + i * hour, boot + i * hour, keep),
				  real + 2 * i * hour);
	/* since the first look after it */
	ck_assert_uint_eq(policy_clock(&c, real + set + i * hour, boot + i * hour, keep),
			  real + set + i * hour);
	/* set once more in between: from there on; what is slewed is not set */
	policy_clock(&c, real + 2 * set + i * hour, boot + i * hour, keep);
	ck_assert_uint_lt(policy_clock(&c, real + 2 * set + (i + 70) * hour + hour / 10,
				       boot + (i + 70) * hour, keep),
			  real + 2 * set);
	ck_assert_uint_gt(policy_clock(&c, real + 2 * set + (i + 73) * hour, boot + (i + 73) * hour,
				       keep),
			  real + 2 * set);
}
END_TEST

START_TEST(a_point_that_came_while_the_clock_was_back)
{
	struct point_row points[3] = {0};
	bool drop[3];

	/* newest first: by the right clock, by one a day behind, by the right one */
	points[0].committed_at = NOW;
	points[1].committed_at = NOW - conf.retention_ns - 1;
	points[2].committed_at = NOW - 2;
	policy_thin(&conf, points, 3, NOW, drop);
	ck_assert(!drop[0] && !drop[1] && !drop[2]);
}
END_TEST

/* Ages in minutes by the clock of the moment, newest first; a minus: the point came from the future. */
struct clock_case {
	const char *ages, *want; /* K kept, D dropped */
};

static const struct clock_case clocks[] = {
	/* ahead for one commit: it goes when the point after it is too old, and keeps nothing else */
	{"0 10 -9000 20", "KKKK"},
	{"0 1000 1400 -9000 1439", "KKKKK"},
	{"0 1000 1441 -9000 1442", "KKDDD"},
	{"0 1441 1450 -9000", "KDDD"},
	/* the newest one is: nothing tells its age, and the others do not need it */
	{"-9000 0 1441", "KKD"},
	/* ahead for a while, right again */
	{"1441 -9000 -9010 -9020", "KDDD"},
	{"0 5 -9000 -9010 -9020", "KKKKK"},
	/* ahead still: all are new */
	{"-10 -20 -9000", "KKK"},
	/* stepped back: what came before is as old as the first one since */
	{"0 10 20 -5000 -5010", "KKKKK"},
	{"0 1000 1439 -5000 -5010", "KKKKK"},
	{"0 1000 1441 -5000 -5010", "KKDDD"},
	/* right again: what came in between is as old as the last one before */
	{"0 9000 9010 30 40", "KKKKK"},
	{"0 9000 9010 1441 1442", "KDDDD"},
	{"0 1441", "KD"},
	/* thinned, all of an interval from the future */
	{"0 100 -9001 -9002 -9003", "KKDDK"},
	{"0 50 -9001 -9002 -9003", "KKKKK"},
};

START_TEST(clock_wrong_for_a_while)
{
	const struct clock_case *cc = &clocks[_i];
	struct point_row points[8] = {0};
	const char *p = cc->ages;
	bool drop[8];
	size_t n = 0;

	for (char *end; *p; p = *end ? end + 1 : end, n++)
		points[n].committed_at = NOW - (uint64_t)strtoll(p, &end, 10) * MIN;
	ck_assert_uint_eq(n, strlen(cc->want));
	policy_thin(&conf, points, n, NOW, drop);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(drop[i] == (cc->want[i] == 'D'), "%s: number %zu", cc->ages, i);
}
END_TEST

/* An appliance with a disk, whose keeper runs when the test says so. */
static char *dir;
static struct appliance app;
static struct disk_row disk;

static void setup(void)
{
	dir = appliance_make(&app);
	disk_make(&app.home, DISK, DISK_BYTES, &disk);
}

static void teardown(void)
{
	appliance_remove(&app, dir);
}

static bool exists(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* The policy asks whether to stop for the first time before it looks at a machine, and then between its steps. */
static bool take_lease_in_the_round(void *arg)
{
	unsigned int *calls = arg;
	uint64_t lease;
	struct err e;

	if (++*calls == 2)
		ck_assert_int_eq(catalog_lease_take(app.home.catalog, MACHINE,
						    clock_monotonic_ns() + MIN, &lease, &e),
				 0);
	return false;
}

START_TEST(a_lease_taken_in_the_round_keeps_the_disk)
{
	char name[STORE_NAME_MAX];
	unsigned int calls = 0;
	struct part part = {0, 4096, NULL};
	struct err e;

	epoch_make(&app.home, &disk, 1, &part, 1, false);
	policy_round(&app, never, NULL);
	ck_assert(exists(name_base(name, MACHINE, DISK)));
	ck_assert_int_eq(catalog_disk(app.home.catalog, DISK, &disk, &e), 0);
	disk.active = false;
	ck_assert_int_eq(catalog_disk_put(app.home.catalog, &disk, &e), 0);
	policy_round(&app, take_lease_in_the_round, &calls);
	ck_assert_uint_ge(calls, 2);
	ck_assert(exists(name_base(name, MACHINE, DISK)));
	ck_assert_int_eq(catalog_disk(app.home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(catalog_leases_expire(app.home.catalog, UINT64_MAX / 2, UINT64_MAX / 2,
					       &e),
			 0);
	policy_round(&app, never, NULL);
	ck_assert(!exists(name_base(name, MACHINE, DISK)));
}
END_TEST

START_TEST(steps_of_a_fold)
{
	struct journal_row j[4] = {{1, 10, 600 << 20},
				   {2, 10, 600 << 20},
				   {3, 5000000, 1 << 29},
				   {4, 1, 100}};

	ck_assert_uint_eq(policy_step(j, 0, 0), 0);
	ck_assert_uint_eq(policy_step(j, 1, 0), 1);
	ck_assert_uint_eq(policy_step(j, 4, 0), 2);
	ck_assert_uint_eq(policy_step(j, 4, 2), 3);
	ck_assert_uint_eq(policy_step(j, 4, 3), 4);
	ck_assert_uint_eq(policy_step(j, 4, 4), 4);
	/* One that is larger than a step is one all the same. */
	j[0].bytes = 1ull << 40;
	ck_assert_uint_eq(policy_step(j, 4, 0), 1);
}
END_TEST

/* The index of one extent says that the journal has so many bytes. */
static void claim_bytes(uint64_t epoch, uint64_t bytes)
{
	uint8_t file[64 + sizeof(struct index_entry) + DIGEST_BYTES];
	const size_t end = sizeof(file) - DIGEST_BYTES;
	struct store_object *o;
	char name[STORE_NAME_MAX];
	struct err e;

	name_index(name, MACHINE, DISK, epoch);
	ck_assert_int_eq(store_open(app.home.store, name, STORE_WRITE, &o, &e), 0);
	ck_assert_int_eq(store_read(o, file, sizeof(file), 0, &e), 0);
	memcpy(file + 32, &bytes, sizeof(bytes));
	digest_sha256(file, end, file + end);
	ck_assert_int_eq(store_write(o, file, sizeof(file), 0, &e), 0);
	store_close(o);
}

/* An epoch whose journal the catalog takes for one of 1 GiB: a step of its own. */
static void large_epoch(uint64_t epoch, const struct part *part)
{
	struct journal_row *journals;
	struct err e;
	sqlite3 *db;
	char path[512];
	int n;

	epoch_make(&app.home, &disk, epoch, part, 1, false);
	n = catalog_journals(app.home.catalog, DISK, epoch, &journals, &e);
	ck_assert_int_ge(n, 1);
	free(journals);
	claim_bytes(epoch, 1 << 30);
	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "UPDATE journal SET bytes = 1 << 30", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
}

static bool stop_without_the_first_journal(void *arg)
{
	char name[STORE_NAME_MAX];

	(void)arg;
	return !exists(name_journal(name, MACHINE, DISK, 1));
}

/* Of epochs 1 to last. */
static void check_base(uint64_t epoch, uint64_t last)
{
	char name[STORE_NAME_MAX];
	struct err e;

	ck_assert_int_eq(catalog_disk(app.home.catalog, DISK, &disk, &e), 0);
	ck_assert_uint_eq(disk.base_epoch, epoch);
	for (uint64_t i = 1; i <= last; i++)
		ck_assert(exists(name_journal(name, MACHINE, DISK, i)) == (i > epoch));
}

/* Journals go as soon as they are in the base, not when all are. */
START_TEST(a_fold_in_steps)
{
	static uint8_t data[3 * 65536];
	struct part parts[3] = {{0, 4096, data}, {4096, 65536, data}, {512, 512, data}};
	uint64_t seed = 1;

	random_fill(&seed, data, sizeof(data));
	for (uint64_t i = 1; i <= 3; i++)
		large_epoch(i, &parts[i - 1]);
	policy_round(&app, stop_without_the_first_journal, NULL);
	check_base(1, 3);
	policy_round(&app, never, NULL);
	check_base(3, 3);
}
END_TEST

/* A step that cannot be read ends in the one that has the block again. */
START_TEST(a_step_that_cannot_be_read)
{
	static uint8_t data[2 * 65536];
	struct part parts[3] = {{0, 4096, data}, {65536, 65536, data}, {0, 65536, data}};
	char name[STORE_NAME_MAX];
	uint64_t seed = 2;

	random_fill(&seed, data, sizeof(data));
	app.home.store = fault_store_new(app.home.store, 0, FAULT_FAIL, 0, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		large_epoch(i, &parts[i - 1]);
		fault_store_deny(app.home.store, name_journal(name, MACHINE, DISK, 1), 0, 65536);
		policy_round(&app, never, NULL);
		check_base(i == 3 ? 3 : 0, i);
	}
}
END_TEST

/* Three journals of two blocks each, all of them new to the base. */
static struct store *make_scattered(uint8_t *data)
{
	struct store *s = fault_store_new(app.home.store, 0, FAULT_FAIL, 0, 0);
	uint64_t seed = 3;

	random_fill(&seed, data, 4096);
	app.home.store = s;
	for (uint64_t i = 1; i <= 3; i++) {
		struct part parts[2] = {{2 * i * 65536, 4096, data},
					{(2 * i + 1) * 65536, 4096, data}};

		epoch_make(&app.home, &disk, i, parts, 2, false);
	}
	return s;
}

/* Where there is little space a step is one journal, and gives back its space before the next begins. */
START_TEST(a_step_as_large_as_the_space)
{
	static uint8_t data[4096];
	struct store *s = make_scattered(data);

	fault_store_space(s, 800 << 10);
	policy_round(&app, stop_without_the_first_journal, NULL);
	check_base(1, 3);
	policy_round(&app, never, NULL);
	check_base(3, 3);
}
END_TEST

/* Not even one journal fits: nothing is begun, and it goes on when there is space. */
START_TEST(a_step_without_space)
{
	static uint8_t data[4096];
	struct store *s = make_scattered(data);
	struct base_of of = {s, MACHINE, DISK, DISK_BYTES, 0};
	struct base b;
	struct err e;

	fault_store_space(s, 640 << 10);
	policy_round(&app, never, NULL);
	check_base(0, 3);
	ck_assert(!disk.fold_active);
	ck_assert_int_eq(base_open(&of, false, &b, &e), 0);
	ck_assert_uint_eq(b.image_size, 0);
	ck_assert_uint_eq(b.digests_size, 0);
	base_close(&b);
	fault_store_space(s, 0);
	policy_round(&app, never, NULL);
	check_base(3, 3);
}
END_TEST

/* Stops before the second batch, and for good. */
static bool second_batch(void *arg)
{
	return ++*(int *)arg > 1;
}

static void no_fold_hook(void *arg)
{
	(void)arg;
}

static void no_folded_hook(void *arg, uint64_t target)
{
	(void)arg;
	ck_assert_uint_gt(target, 0);
}

/* A fold to epoch 3 that has no space for its end: what it has written serves one to epoch 1. */
START_TEST(a_fold_that_is_begun_ends_earlier)
{
	static uint8_t data[4096];
	struct store *s = make_scattered(data);
	int asked = 0;
	struct fold_hooks hooks = {no_fold_hook, no_fold_hook, no_folded_hook,
				   second_batch, &asked,       1};
	struct err e;

	ck_assert_int_eq(fold_disk(app.home.catalog, s, &disk, 3, &hooks, &e), -EAGAIN);
	ck_assert_int_eq(catalog_disk(app.home.catalog, DISK, &disk, &e), 0);
	ck_assert_uint_eq(disk.fold_target, 3);
	ck_assert_uint_gt(disk.fold_block, 0);
	fault_store_space(s, 800 << 10);
	policy_round(&app, stop_without_the_first_journal, NULL);
	check_base(1, 3);
	policy_round(&app, never, NULL);
	check_base(3, 3);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, clock_wrong_for_a_while, 0,
			    (int)(sizeof(clocks) / sizeof(clocks[0])));
	tcase_add_test(t, steps_of_a_fold);
	tcase_add_test(t, a_fold_in_steps);
	tcase_add_test(t, a_step_that_cannot_be_read);
	tcase_add_test(t, a_step_as_large_as_the_space);
	tcase_add_test(t, a_step_without_space);
	tcase_add_test(t, a_fold_that_is_begun_ends_earlier);
	tcase_add_test(t, a_lease_taken_in_the_round_keeps_the_disk);

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, table, 0, (int)(sizeof(tables) / sizeof(tables[0])));
	tcase_add_test(t, clock_set_back);
	tcase_add_loop_test(t, often_or_once, 0, 5);
	tcase_add_test(t, a_jump_of_the_clock_takes_nothing);
	tcase_add_test(t, a_clock_that_was_set_is_followed);
	tcase_add_test(t, a_point_that_came_while_the_clock_was_back);
	return run_tcase("policy", t);
}
