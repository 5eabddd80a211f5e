// SPDX-License-Identifier: Apache-2.0
/* A disk whose protection has ended does not stay attached to the module, whether or not an agent had it open then. */
/* wraps: source_kmod_find */
#include <errno.h>
#include <string.h>

#include "agent/session.h"
#include "tests/unit/agent/support.h"

static struct agent agent;
static struct session session = {.a = &agent};
static unsigned int detached;
static bool tracked = true; /* at /nowhere */

static int fake_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)e;
	*out = (struct source_status){.size_now = 4096};
	return 0;
}

static int fake_detach(struct source *s, struct err *e)
{
	(void)s, (void)e;
	detached++;
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {.name = "fake",
					   .tracks = true,
					   .status = fake_status,
					   .detach = fake_detach,
					   .close = fake_close};
static struct source source = {
	.ops = &fake_ops, .size = 4096, .shift = 12, .poll_fd = -1, .attach_id = "a"};

int __wrap_source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e);

int __wrap_source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e)
{
	(void)k;
	if (!tracked || strcmp(path, "/nowhere") != 0)
		return err_set(e, -ENODEV, "the kernel module does not track %s", path);
	*out = &source;
	return 0;
}

static int edit_add(struct state *st, void *arg, struct err *e)
{
	struct state_disk *d = state_add(st);

	(void)e;
	*d = *(const struct state_disk *)arg;
	return 0;
}

static void add(const struct state_disk *d)
{
	struct err e;

	ck_assert_int_eq(store_update(agent.store, true, edit_add, (void *)d, &e), 0);
	ck_assert_msg(!session_local(&session, &e), "%s", e.text);
}

static struct state_disk disk(bool removing, const char *attach_id)
{
	struct state_disk d = {.key = "serial:x",
			       .name = "x",
			       .path = "/nowhere",
			       .source = SOURCE_AUTO,
			       .removing = removing};

	strcpy(d.attach_id, attach_id);
	return d;
}

static int edit_removing(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	st->disk[0].removing = true;
	return 0;
}

static void end(void)
{
	struct err e;

	ck_assert_int_eq(store_update(agent.store, true, edit_removing, NULL, &e), 0);
	ck_assert_msg(!session_local(&session, &e), "%s", e.text);
	ck_assert_uint_eq(agent.disks->count, 0);
}

static void set_up(void)
{
	agent_make(&agent);
	agent.kmod = (struct kmod *)&agent;
}

static void tear_down(void)
{
	agent.kmod = NULL;
	agent_remove(&agent);
}

/* As session_sync.c leaves it. */
static struct disk *refuse(void)
{
	struct state_disk from = disk(false, "");
	struct disk *d;

	tracked = false;
	add(&from);
	d = agent.disks->disk[0];
	disk_set_source(d, &source);
	disk_set_source(d, NULL);
	tracked = true;
	return d;
}

START_TEST(one_that_is_open)
{
	disk_set_source(refuse(), &source);
	end();
	ck_assert_uint_eq(detached, 1);
}
END_TEST

/* No command could detach it any more. */
START_TEST(one_that_was_refused)
{
	refuse();
	end();
	ck_assert_uint_eq(detached, 1);
}
END_TEST

START_TEST(what_another_attached_there_stays)
{
	refuse();
	strcpy(source.attach_id, "b");
	end();
	ck_assert_uint_eq(detached, 0);
}
END_TEST

START_TEST(one_that_ended_in_the_life_of_another_agent)
{
	struct state_disk before = disk(true, "a");

	add(&before);
	ck_assert_uint_eq(detached, 1);
}
END_TEST

START_TEST(of_another_agent_only_what_it_recorded)
{
	struct state_disk before = disk(true, "b");

	add(&before);
	/* Without an attachment the key has to be that of the disk. */
	before = disk(true, "");
	strcpy(before.key, "serial:y");
	add(&before);
	ck_assert_uint_eq(detached, 0);
}
END_TEST

START_TEST(a_file_or_a_scan_is_not_asked_for)
{
	struct state_disk before = disk(true, "a");

	before.file = true;
	before.source = SOURCE_SCAN;
	add(&before);
	before.file = false;
	strcpy(before.key, "serial:y");
	add(&before);
	ck_assert_uint_eq(detached, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("session end");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, one_that_is_open);
	tcase_add_test(tc, one_that_was_refused);
	tcase_add_test(tc, what_another_attached_there_stays);
	tcase_add_test(tc, one_that_ended_in_the_life_of_another_agent);
	tcase_add_test(tc, of_another_agent_only_what_it_recorded);
	tcase_add_test(tc, a_file_or_a_scan_is_not_asked_for);
	return run_tcase("session end", tc);
}
