// SPDX-License-Identifier: Apache-2.0
/* Which disk a person means, where what is at a path has changed. */
/* wraps: identify_is */
#include <errno.h>
#include <string.h>

#include "agent/chosen.h"
#include "tests/unit/agent/support.h"

static struct agent agent;
static char place[PATH_MAX]; /* of a disk */
static const char *there, *also_there; /* keys of what is at that place now */

bool __wrap_identify_is(const char *path, const char *key);

bool __wrap_identify_is(const char *path, const char *key)
{
	return !strcmp(path, place) &&
	       ((there && !strcmp(key, there)) || (also_there && !strcmp(key, also_there)));
}

/* --- the machine ------------------------------------------------------------------------------ */

/* A was at the place, and is away; so was B, which was protected when it came there. */
static int edit_disks(struct state *st, void *arg, struct err *e)
{
	static const char *const names[] = {"sdb", "sdb-2"}, *const keys[] = {"serial:A",
									      "serial:B"};

	(void)arg, (void)e;
	strcpy(st->machine, "6f1c9a5e-0b7e-4b1e-9a57-000000000000");
	for (int i = 0; i < 2; i++) {
		struct state_disk *d = state_add(st);

		strcpy(d->key, keys[i]);
		strcpy(d->name, names[i]);
		strcpy(d->path, place);
	}
	return 0;
}

static int edit_removing(struct state *st, void *arg, struct err *e)
{
	(void)e;
	state_find(st, arg)->removing = true;
	return 0;
}

static void removing(const char *key)
{
	struct err e;

	ck_assert_int_eq(store_update(agent.store, false, edit_removing, (char *)key, &e), 0);
}

static void set_up(void)
{
	struct err e;

	agent_make(&agent);
	test_write(test_path("disk"), "");
	ck_assert_ptr_nonnull(realpath(test_path("disk"), place));
	ck_assert_int_eq(store_update(agent.store, true, edit_disks, NULL, &e), 0);
}

static void tear_down(void)
{
	agent_remove(&agent);
}

static struct err e;

/* The key that is chosen, or the errno. */
static int choose(const char *text, char key[STATE_TEXT])
{
	struct request q = {.disk = {(char *)text}, .disk_count = 1};
	struct chosen c;
	int r = chosen_disks(&agent, &q, &c, &e);

	if (!r) {
		strcpy(key, c.key[0]);
		ck_assert_str_eq(json_string_value(
					 json_object_get(json_array_get(c.answer, 0), "key")),
				 key);
	}
	chosen_clear(&c);
	return r;
}

static void chooses(const char *text, const char *want)
{
	char key[STATE_TEXT];

	ck_assert_msg(!choose(text, key), "%s", e.text);
	ck_assert_str_eq(key, want);
}

static void refuses(const char *text, int code, const char *says)
{
	char key[STATE_TEXT];

	ck_assert_int_eq(choose(text, key), code);
	ck_assert_msg(strstr(e.text, says) != NULL, "%s", e.text);
}

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(names_and_keys)
{
	chooses("sdb", "serial:A");
	chooses("sdb-2", "serial:B");
	chooses("serial:B", "serial:B");
	refuses("sdc", -ENOENT, "sdc is not protected");
	removing("serial:B");
	refuses("sdb-2", -ENOENT, "sdb-2 is not protected");
}
END_TEST

START_TEST(a_path_is_what_is_there_now)
{
	there = "serial:B";
	chooses(place, "serial:B");
	removing("serial:A");
	chooses(place, "serial:B");
	there = "serial:A";
	refuses(place, -ENOENT, "was the disk sdb-2 when");
	removing("serial:B");
	refuses(place, -ENOENT, "is not protected");
}
END_TEST

START_TEST(what_cannot_be_told_is_refused)
{
	there = "serial:C";
	refuses(place, -ENOENT, "is not known to be it now: if you mean it, say sdb");
	there = "serial:A";
	also_there = "serial:B";
	refuses(place, -ENOTUNIQ, "may be the disk sdb or the disk sdb-2");
}
END_TEST

START_TEST(a_path_where_nothing_is)
{
	ck_assert_int_eq(remove(place), 0);
	refuses(place, -ENOTUNIQ, "may be the disk sdb or the disk sdb-2");
	removing("serial:A");
	chooses(place, "serial:B");
}
END_TEST

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {.name = "fake", .close = fake_close};
static struct source fake = {.ops = &fake_ops, .size = 4096};

/* The agent's table with this disk alone, which it has not opened. */
static struct disk_table *table_of(const char *key)
{
	struct disk_table *t = calloc(1, sizeof(*t) + sizeof(t->disk[0]));
	struct state st;

	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	t->disk[t->count++] = disk_new(state_find(&st, key));
	state_clear(&st);
	return t;
}

/* Whatever is written on it now. */
START_TEST(what_the_agent_has_open_there_is_it)
{
	struct disk_table *old = agent.disks, *t = table_of("serial:B");

	agent.disks = t;
	disk_set_source(t->disk[0], &fake);
	chooses(place, "serial:B");
	disk_free(t->disk[0]);
	free(t);
	agent.disks = old;
}
END_TEST

/* A copy of it, or another namespace of its controller: the wrong disk would be acted upon. */
START_TEST(what_the_agent_has_open_elsewhere_is_not_it)
{
	struct disk_table *old = agent.disks, *t = table_of("serial:B");

	agent.disks = t;
	strcpy(t->disk[0]->path, "/dev/elsewhere");
	there = "serial:B";
	chooses(place, "serial:B");
	disk_set_source(t->disk[0], &fake);
	refuses(place, -ENOENT, "is not known to be it now");
	disk_free(t->disk[0]);
	free(t);
	agent.disks = old;
}
END_TEST

/* The key of an earlier version was that of all namespaces of a controller. */
START_TEST(one_that_has_an_older_key)
{
	struct identity id = {.key = "serial:new", .old_key = "serial:B"};
	struct state st;

	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	strcpy(id.path, place);
	ck_assert_ptr_eq(chosen_identity(&st, &id), state_find(&st, "serial:B"));
	strcpy(id.path, "/dev/elsewhere");
	ck_assert_ptr_null(chosen_identity(&st, &id));
	strcpy(id.key, "serial:A");
	ck_assert_ptr_eq(chosen_identity(&st, &id), state_find(&st, "serial:A"));
	state_clear(&st);
}
END_TEST

START_TEST(none_named_is_all)
{
	struct request q = {0};
	struct chosen c;

	removing("serial:A");
	ck_assert_msg(!chosen_disks(&agent, &q, &c, &e), "%s", e.text);
	ck_assert_uint_eq(json_array_size(c.answer), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(c.answer, 0), "key")),
			 "serial:B");
	chosen_clear(&c);
	removing("serial:B");
	ck_assert_int_eq(chosen_disks(&agent, &q, &c, &e), -ENODEV);
	ck_assert_ptr_nonnull(strstr(e.text, "no disk is protected"));
	chosen_clear(&c);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("chosen");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, names_and_keys);
	tcase_add_test(tc, a_path_is_what_is_there_now);
	tcase_add_test(tc, what_cannot_be_told_is_refused);
	tcase_add_test(tc, a_path_where_nothing_is);
	tcase_add_test(tc, what_the_agent_has_open_there_is_it);
	tcase_add_test(tc, what_the_agent_has_open_elsewhere_is_not_it);
	tcase_add_test(tc, one_that_has_an_older_key);
	tcase_add_test(tc, none_named_is_all);
	return run_tcase("chosen", tc);
}
