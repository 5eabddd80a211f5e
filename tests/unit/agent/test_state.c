// SPDX-License-Identifier: Apache-2.0
/* wraps: clock_monotonic_ns */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/state.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

static uint64_t now = NSEC_PER_SEC;

uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	return now;
}

static void fill(struct state *s)
{
	struct state_disk *d;

	memset(s, 0, sizeof(*s));
	strcpy(s->host, "fe80::1");
	s->control_port = 443;
	s->data_port = 9443;
	strcpy(s->machine, "6f1c9a5e-0b7e-4b1e-9a57-0123456789ab");
	s->paused = true;
	d = state_add(s);
	strcpy(d->key, "serial:x\"y");
	strcpy(d->name, "vda");
	strcpy(d->path, "/dev/vda");
	strcpy(d->path_boot_id, "5d7a5a2e-5b0e-4a0c-9a55-0123456789ab");
	d->source = SOURCE_KMOD;
	d->last_state = DISK_PROTECTED;
	strcpy(d->attach_id, "00112233445566778899aabbccddeeff");
	strcpy(d->resync_cause, "the machine was restarted");
	d->resync_requested = true;
	d->resync_scheduled = d->resync_now = true;
	d->proven_ns = 1795392000000000000;
	d->proven_epoch = 12;
	left_out_add(&d->left_out, 4096, 65536 * 3);
	left_out_add(&d->left_out, 1ull << 40, (1ull << 40) + 4096);
	d = state_add(s);
	strcpy(d->key, "path:/x");
	d->file = true;
	d->removing = true;
	d->source = SOURCE_SCAN;
}

static void assert_same(const struct state *a, const struct state *b)
{
	ck_assert_str_eq(a->host, b->host);
	ck_assert_str_eq(a->machine, b->machine);
	ck_assert_uint_eq(a->control_port, b->control_port);
	ck_assert_uint_eq(a->data_port, b->data_port);
	ck_assert_int_eq(a->paused, b->paused);
	ck_assert_uint_eq(a->disk_count, b->disk_count);
	for (size_t i = 0; i < a->disk_count; i++) {
		const struct state_disk *x = &a->disk[i], *y = &b->disk[i];

		ck_assert_str_eq(x->key, y->key);
		ck_assert_str_eq(x->name, y->name);
		ck_assert_str_eq(x->path, y->path);
		ck_assert_str_eq(x->path_boot_id, y->path_boot_id);
		ck_assert_str_eq(x->attach_id, y->attach_id);
		ck_assert_str_eq(x->module_id, y->module_id);
		ck_assert_str_eq(x->boot_id, y->boot_id);
		ck_assert_str_eq(x->resync_cause, y->resync_cause);
		ck_assert_int_eq(x->file, y->file);
		ck_assert_int_eq(x->removing, y->removing);
		ck_assert_int_eq(x->source, y->source);
		ck_assert_int_eq(x->last_state, y->last_state);
		ck_assert_int_eq(x->resync_requested, y->resync_requested);
		ck_assert_int_eq(x->resync_scheduled, y->resync_scheduled);
		ck_assert_int_eq(x->resync_now, y->resync_now);
		ck_assert_uint_eq(x->proven_ns, y->proven_ns);
		ck_assert_uint_eq(x->proven_epoch, y->proven_epoch);
		ck_assert_mem_eq(&x->left_out, &y->left_out, sizeof(x->left_out));
	}
}

START_TEST(text_and_back)
{
	_cleanup_free_ char *text = NULL;
	struct state s, t;
	struct err e = {0};

	fill(&s);
	text = state_to_text(&s);
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(!state_from_text(text, strlen(text), &t, &e), "%s", e.text);
	assert_same(&s, &t);
	state_remove(&t, "serial:x\"y");
	state_remove(&t, "none");
	ck_assert_uint_eq(t.disk_count, 1);
	ck_assert_ptr_nonnull(state_find(&t, "path:/x"));
	ck_assert_ptr_null(state_find(&t, "serial:x\"y"));
	state_clear(&s);
	state_clear(&t);
}
END_TEST

/* Whatever is missing or of another type is an error with the name of the member, never a guess. */
START_TEST(damaged_text_is_refused)
{
	static const char *const members[] = {"schema",	  "host",      "control_port",
					      "machine",  "paused",    "disks",
					      "key",	  "source",    "last_state",
					      "removing", "attach_id", "resync_requested"};
	_cleanup_free_ char *text = NULL;
	struct state s, t;
	struct err e;

	fill(&s);
	text = state_to_text(&s);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		_cleanup_free_ char *bad = strdup(text);
		char quoted[32];

		snprintf(quoted, sizeof(quoted), "\"%s\"", members[i]);
		ck_assert_ptr_nonnull(strstr(bad, quoted));
		strstr(bad, quoted)[1] = '_';
		ck_assert_int_lt(state_from_text(bad, strlen(bad), &t, &e), 0);
		ck_assert_ptr_nonnull(strstr(e.text, members[i]));
		ck_assert_uint_eq(t.disk_count, 0);
	}
	ck_assert_int_lt(state_from_text(text, strlen(text) - 3, &t, &e), 0);
	ck_assert_int_lt(state_from_text("", 0, &t, &e), 0);
	*strstr(text, "\"kmod\"") = ' ';
	ck_assert_int_lt(state_from_text(text, strlen(text), &t, &e), 0);
	state_clear(&s);
}
END_TEST

static int edit_fill(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	state_clear(st);
	fill(st);
	return 0;
}

static int edit_and_fail(struct state *st, void *arg, struct err *e)
{
	(void)arg;
	st->paused = !st->paused;
	state_remove(st, "path:/x");
	return err_set(e, -EBUSY, "no");
}

START_TEST(the_store_survives_and_excludes)
{
	struct store *s, *other;
	struct state want, got;
	struct stat st;
	struct err e;

	fill(&want);
	ck_assert_int_eq(store_open(test_path("state"), &s, &e), 0);
	ck_assert_int_eq(store_open(test_path("state"), &other, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "another mobilityd"));
	ck_assert_ptr_nonnull(strstr(e.text, "mobilityd"));
	ck_assert_uint_eq(store_generation(s), 1);
	ck_assert_int_eq(store_update(s, false, edit_fill, NULL, &e), 0);
	ck_assert_uint_eq(store_generation(s), 1);
	ck_assert_int_eq(store_update(s, true, edit_fill, NULL, &e), 0);
	ck_assert_uint_eq(store_generation(s), 2);
	/* An edit that fails changes nothing. */
	ck_assert_int_eq(store_update(s, true, edit_and_fail, NULL, &e), -EBUSY);
	ck_assert_uint_eq(store_generation(s), 2);
	store_close(s);
	ck_assert_int_eq(stat(test_path("state/state.json"), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(store_open(test_path("state"), &s, &e), 0);
	ck_assert_int_eq(store_copy(s, &got, &e), 0);
	assert_same(&want, &got);
	state_clear(&want);
	state_clear(&got);
	store_close(s);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_tried_again)
{
	const char *here = test_path("state"), *away = test_path("away");
	struct store *s;
	struct state st;
	struct err e;

	ck_assert_int_eq(store_open(here, &s, &e), 0);
	ck_assert_int_eq(store_update(s, true, edit_fill, NULL, &e), 0);
	ck_assert(!store_failing(s, &e));
	ck_assert_int_eq(e.code, 0);
	/* What an edit refuses is not the file's fault. */
	ck_assert_int_eq(store_update(s, true, edit_and_fail, NULL, &e), -EBUSY);
	ck_assert(!store_failing(s, NULL));
	ck_assert_int_eq(rename(here, away), 0);
	ck_assert_int_eq(store_update(s, true, edit_fill, NULL, &e), -ENOENT);
	ck_assert(store_failing(s, &e));
	ck_assert_int_eq(e.code, -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "state/state.json cannot be written: "));
	ck_assert_uint_eq(store_generation(s), 2);
	ck_assert_int_eq(rename(away, here), 0);
	store_retry(s);
	ck_assert(store_failing(s, NULL));
	now += 10 * NSEC_PER_SEC;
	store_retry(s);
	ck_assert(!store_failing(s, NULL));
	ck_assert_uint_eq(store_generation(s), 3);
	store_retry(s);
	ck_assert_uint_eq(store_generation(s), 3);
	ck_assert_int_eq(store_copy(s, &st, &e), 0);
	ck_assert_uint_eq(st.disk_count, 2);
	state_clear(&st);
	store_close(s);
}
END_TEST

static int edit_spoil(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	strcpy(st->disk[0].path, "/b\xe9.img");
	return 0;
}

/* It would not be protected any more after the next start. */
START_TEST(no_disk_is_left_out)
{
	struct store *s;
	struct state st;
	struct err e;

	ck_assert_int_eq(store_open(test_path("state"), &s, &e), 0);
	ck_assert_int_eq(store_update(s, true, edit_fill, NULL, &e), 0);
	ck_assert_int_ne(store_update(s, true, edit_spoil, NULL, &e), 0);
	ck_assert_int_eq(store_copy(s, &st, &e), 0);
	ck_assert_str_eq(st.disk[0].path, "/dev/vda");
	state_clear(&st);
	store_close(s);
	ck_assert_int_eq(store_open(test_path("state"), &s, &e), 0);
	ck_assert_int_eq(store_copy(s, &st, &e), 0);
	ck_assert_uint_eq(st.disk_count, 2);
	state_clear(&st);
	store_close(s);
}
END_TEST

START_TEST(a_lock_that_cannot_be_taken_is_nobody_else)
{
	struct store *s;
	struct err e;

	ck_assert_int_eq(mkdir(test_path("state"), 0700), 0);
	ck_assert_int_eq(mkdir(test_path("state/lock"), 0700), 0);
	ck_assert_int_eq(store_open(test_path("state"), &s, &e), -EISDIR);
	ck_assert_ptr_null(strstr(e.text, "another mobilityd"));
}
END_TEST

START_TEST(a_damaged_file_stops_the_start)
{
	struct store *s;
	struct err e;

	ck_assert_int_eq(store_open(test_path("state"), &s, &e), 0);
	store_close(s);
	test_write(test_path("state/state.json"), "{\"schema\": 1");
	ck_assert_int_lt(store_open(test_path("state"), &s, &e), 0);
	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(strstr(e.text, "state.json"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("state");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, text_and_back);
	tcase_add_test(tc, damaged_text_is_refused);
	tcase_add_test(tc, the_store_survives_and_excludes);
	tcase_add_test(tc, a_file_that_cannot_be_written_is_tried_again);
	tcase_add_test(tc, no_disk_is_left_out);
	tcase_add_test(tc, a_lock_that_cannot_be_taken_is_nobody_else);
	tcase_add_test(tc, a_damaged_file_stops_the_start);
	return run_tcase("state", tc);
}
