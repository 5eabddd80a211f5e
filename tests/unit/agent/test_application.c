// SPDX-License-Identifier: Apache-2.0
/* For which epochs applications are held, and when again for a bookmark that got no point. */
/* wraps: shim_open shim_prepare shim_freeze shim_report shim_close shim_attend uplink_until */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "agent/backoff.h"
#include "agent/epoch.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

static struct agent agent;
static unsigned int holds;
static char committed[4096];

int __wrap_shim_open(const char *socket, struct shim **out, struct err *e);
int __wrap_shim_prepare(struct shim *s, const char *disks, struct err *e);
int __wrap_shim_freeze(struct shim *s, struct err *e);
json_t *__wrap_shim_report(struct shim *s, struct err *e);
void __wrap_shim_close(struct shim *s);
void __wrap_shim_attend(struct shim *s, void (*beat)(void *arg), void *arg,
			const volatile bool *cancel);
int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e);

int __wrap_shim_open(const char *socket, struct shim **out, struct err *e)
{
	(void)socket, (void)e;
	*out = (struct shim *)&holds;
	return 0;
}

int __wrap_shim_prepare(struct shim *s, const char *disks, struct err *e)
{
	(void)s, (void)disks, (void)e;
	ck_assert_int_eq(waiting_get(&agent).what, WAIT_PREPARE);
	return 0;
}

int __wrap_shim_freeze(struct shim *s, struct err *e)
{
	(void)s, (void)e;
	ck_assert_int_eq(waiting_get(&agent).what, WAIT_FREEZE);
	holds++;
	return 0;
}

static json_t *reported;

json_t *__wrap_shim_report(struct shim *s, struct err *e)
{
	(void)s, (void)e;
	ck_assert_int_eq(waiting_get(&agent).what, WAIT_REPORT);
	return json_incref(reported);
}

void __wrap_shim_close(struct shim *s)
{
	(void)s;
	ck_assert_int_eq(waiting_get(&agent).what, WAIT_NONE);
}

void __wrap_shim_attend(struct shim *s, void (*beat)(void *arg), void *arg,
			const volatile bool *cancel)
{
	(void)s, (void)beat, (void)arg, (void)cancel;
}

struct commit {
	uint64_t epoch;
	const json_t *body;
	struct commit_answer *answer;
};

int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e)
{
	struct commit *c = request;
	char *text = json_dumps(c->body, JSON_SORT_KEYS);

	(void)u, (void)once, (void)e;
	snprintf(committed, sizeof(committed), "%s", text);
	free(text);
	*c->answer = (struct commit_answer){0};
	return 0;
}

/* --- an epoch for a bookmark ------------------------------------------------------------------ */

static struct session session = {.a = &agent};
static struct {
	struct disk_table table;
	struct disk *disk[1];
} disks;
static struct epoch ep;
static pthread_t asker;
static struct err answer;

static void ignore(void *arg)
{
	(void)arg;
}

static void *ask(void *arg)
{
	struct bookmark_result r;

	(void)arg;
	bookmarks_ask(agent.bookmarks, "b", true, 60 * NSEC_PER_SEC, ignore, NULL, &r, &answer);
	return NULL;
}

static void begin(void)
{
	ep = (struct epoch){.s = &session, .table = &disks.table};
	ep.bookmark = bookmarks_take(agent.bookmarks, &ep.bookmark_name);
	ep.app.wanted = ep.bookmark != NULL;
}

static void commit(void)
{
	struct err e;

	ck_assert_int_eq(epoch_commit(&ep, &e), 0);
	application_end(&ep, true);
}

static void set_up(void)
{
	static const struct state_disk from = {.key = "k",
					       .name = "vda",
					       .last_state = DISK_PROTECTED};
	const volatile bool never = false;

	pthread_mutex_init(&agent.lock, NULL);
	agent.bookmarks = bookmarks_new();
	disks.disk[0] = disk_new(&from);
	disks.table.count = 0;
	ck_assert_int_eq(pthread_create(&asker, NULL, ask, NULL), 0);
	while (!bookmarks_waiting(agent.bookmarks))
		backoff_sleep(NSEC_PER_SEC / 1000, &never);
	begin();
	ck_assert_ptr_nonnull(ep.bookmark);
}

static void tear_down(void)
{
	bookmarks_end(agent.bookmarks);
	pthread_join(asker, NULL);
	ck_assert_int_eq(answer.code, -ECANCELED);
	bookmarks_free(agent.bookmarks);
	disk_free(disks.disk[0]);
}

START_TEST(nobody_is_held_for_what_is_fuzzy_already)
{
	for (int i = 0; i < 3; i++) {
		epoch_fuzzy(&ep, LOSS_OTHER, "vda cannot be reached");
		application_freeze(&ep);
		ck_assert(!application_holds(&ep));
		commit();
		/* It cost nobody anything: at once again. */
		begin();
		ck_assert_ptr_nonnull(ep.bookmark);
	}
	ck_assert_uint_eq(holds, 0);
	application_freeze(&ep);
	ck_assert_uint_eq(holds, 1);
	commit();
}
END_TEST

START_TEST(nor_where_the_last_epoch_could_not_read)
{
	disks.table.count = 1;
	disks.disk[0]->unread_told.bytes = 4096;
	application_freeze(&ep);
	ck_assert_uint_eq(holds, 0);
	/* It could be read this time: an ordinary epoch, and the bookmark goes with the next. */
	commit();
	ck_assert_ptr_nonnull(strstr(committed, "\"bookmark\": null"));
	ck_assert_ptr_nonnull(strstr(committed, "\"reason\": \"\""));
	disk_clear_error(disks.disk[0]);
	disks.table.count = 0;
	begin();
	ck_assert_ptr_nonnull(ep.bookmark);
	application_freeze(&ep);
	ck_assert_uint_eq(holds, 1);
	commit();
}
END_TEST

START_TEST(who_was_held_in_vain_is_left_alone)
{
	application_freeze(&ep);
	ck_assert_uint_eq(holds, 1);
	epoch_fuzzy(&ep, LOSS_OTHER, "the epoch was torn");
	commit();
	ck_assert(!bookmarks_waiting(agent.bookmarks));
	/* Epochs go on meanwhile. */
	begin();
	ck_assert_ptr_null(ep.bookmark);
	application_freeze(&ep);
	ck_assert_uint_eq(holds, 1);
	commit();
}
END_TEST

/* Cut between two characters: JSON has no place for half of one. */
START_TEST(a_failure_of_many_words)
{
	char mount[256], why[512] = "";
	const char *text;

	memset(mount, 'a', 149);
	strcpy(mount + 149, "\xc3\xa4\xc3\xa4");
	for (int i = 0; i < 200; i++)
		strcat(why, "\xc3\xb6");
	reported = json_pack("{s:b, s:[], s:[{s:s, s:s, s:s, s:i}], s:s}", "consistent", 0,
			     "writers", "filesystems", "mount", mount, "result", "failed", "text",
			     why, "freeze_us", 1, "reason", why);
	ck_assert_ptr_nonnull(reported);
	application_freeze(&ep);
	ep.app.thawed = true;
	application_judge(&ep);
	text = json_string_value(json_object_get(json_array_get(ep.app.writers, 0), "text"));
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(strncmp(text + 149, ": \xc3\xb6", 4), 0);
	commit();
	json_decref(reported);
}
END_TEST

/* Else an epoch would be due again and again that nothing can come of. */
START_TEST(none_is_due_while_a_disk_is_incomplete)
{
	struct disk *d = disks.disk[0];

	commit();
	disks.table.count = 1;
	agent.disks = &disks.table;
	agent.config.app_consistent_interval = NSEC_PER_SEC;
	session.application_ns = 0;
	ck_assert_uint_eq(application_due(&session, NSEC_PER_SEC / 4), NSEC_PER_SEC * 3 / 4);
	ck_assert_uint_eq(application_due(&session, 5 * NSEC_PER_SEC), 0);
	disk_set_state(d, DISK_RESYNC, 0, "");
	ck_assert_uint_eq(application_due(&session, 5 * NSEC_PER_SEC), UINT64_MAX);
	disk_set_state(d, DISK_PROTECTED, d->size, "");
	ck_assert_uint_eq(application_due(&session, 5 * NSEC_PER_SEC), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("application");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, nobody_is_held_for_what_is_fuzzy_already);
	tcase_add_test(tc, nor_where_the_last_epoch_could_not_read);
	tcase_add_test(tc, none_is_due_while_a_disk_is_incomplete);
	tcase_add_test(tc, who_was_held_in_vain_is_left_alone);
	tcase_add_test(tc, a_failure_of_many_words);
	return run_tcase("application", tc);
}
