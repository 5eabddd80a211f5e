// SPDX-License-Identifier: Apache-2.0
/* What is wrong and what to do about it, and the screen that a person sees. */
#include <errno.h>
#include <string.h>

#include "agent/ctl/text.h"
#include "agent/status.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "tests/unit/agent/support.h"

#define NOW (1800000000ull * NSEC_PER_SEC)
#define DAY (86400 * NSEC_PER_SEC)

static struct disk_view disk;

static struct status_view healthy(void)
{
	struct status_view v = {.now_ns = NOW, .enrolled = true, .disk = &disk, .disk_count = 1};

	disk = (struct disk_view){.name = "vda",
				  .path = "/dev/vda",
				  .reachable = true,
				  .tracks = true,
				  .state = DISK_PROTECTED,
				  .size = 1 << 30,
				  .replicated = 1 << 30};
	v.link.connected = true;
	v.kmod.mode = KMOD_HOOK;
	v.facts.has_point = true;
	v.facts.point.time = NOW - NSEC_PER_SEC;
	v.cert_begin_ns = NOW - 50 * DAY;
	v.cert_expiry_ns = NOW + 40 * DAY;
	return v;
}

/* Exactly one problem, which says this, with a remedy. */
static void expect_one(const struct status_view *v, const char *severity, const char *says)
{
	_cleanup_json_ json_t *list = status_problems(v);
	const json_t *p = json_array_get(list, 0);

	ck_assert_msg(json_array_size(list) == 1, "%zu problems, not one: %s",
		      json_array_size(list), says);
	ck_assert_str_eq(json_string_value(json_object_get(p, "severity")), severity);
	ck_assert_msg(strstr(json_string_value(json_object_get(p, "what")), says) != NULL,
		      "'%s' does not say '%s'", json_string_value(json_object_get(p, "what")),
		      says);
	ck_assert_uint_gt(strlen(json_string_value(json_object_get(p, "remedy"))), 10);
}

static void expect_remedy(const struct status_view *v, const char *says)
{
	_cleanup_json_ json_t *list = status_problems(v);
	const char *remedy = json_string_value(json_object_get(json_array_get(list, 0), "remedy"));

	ck_assert_msg(strstr(remedy, says) != NULL, "'%s' does not say '%s'", remedy, says);
}

START_TEST(nothing_is_wrong)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *list = status_problems(&v);

	ck_assert_uint_eq(json_array_size(list), 0);
	/* Initial replication is no problem. */
	disk.state = DISK_INITIAL;
	v.facts.has_point = false;
	json_decref(list);
	list = status_problems(&v);
	ck_assert_uint_eq(json_array_size(list), 0);
}
END_TEST

START_TEST(each_problem_by_itself)
{
	static const int codes[] = {-EHOSTDOWN, -EAGAIN, -ENOSPC,      -EACCES,
				    -EPROTO,	-ESTALE, -EKEYREJECTED};
	struct status_view v = healthy();

	v.enrolled = false;
	expect_one(&v, "error", "not enrolled");
	v = healthy();
	disk.reading_ns = 90 * NSEC_PER_SEC;
	v.facts.point.time = NOW - 3600 * NSEC_PER_SEC;
	expect_one(&v, "error", "vda does not answer: a read of it has taken 1 min 30 s");
	v = healthy();
	v.sealing_ns = 90 * NSEC_PER_SEC;
	v.in_flight = 3;
	/* It is why there has been no point. */
	v.facts.point.time = NOW - 3600 * NSEC_PER_SEC;
	expect_one(&v, "error", "have not completed for 1 min 30 s (3 are in flight)");
	v = healthy();
	strcpy(v.facts.application, "writer 20-postgresql failed: late");
	expect_one(&v, "warning", "only crash-consistent: writer 20-postgresql failed: late");
	expect_remedy(&v, "try again");
	disk.tracks = false;
	expect_remedy(&v, "Protect only disks");
	v.disk_count = 0;
	expect_one(&v, "error", "No disk");
	v = healthy();
	v.app_interval_ns = 3600 * NSEC_PER_SEC;
	v.facts.retention_s = 3600;
	expect_one(&v, "error", "are taken every");
	v = healthy();
	v.disk_count = 0;
	expect_one(&v, "error", "No disk");
	v = healthy();
	v.paused = true;
	v.facts.point.time = 1;
	expect_one(&v, "warning", "paused");
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		v = healthy();
		v.link.code = codes[i];
		strcpy(v.link.error, "something failed");
		expect_one(&v, "error", "something failed");
	}
	v = healthy();
	v.link.code = -ENOKEY;
	strcpy(v.link.error, "could not load PEM client certificate from /cert.pem");
	strcpy(v.appliance, "[fe80::1]:443");
	expect_one(&v, "error", "not asked: could not load PEM client certificate from /cert.pem");
	expect_remedy(&v, "mobilityctl enroll [fe80::1]:443 --fingerprint");
	v = healthy();
	v.cert_expiry_ns = NOW - 1;
	expect_one(&v, "error", "expired");
	v = healthy();
	v.kmod.mode = KMOD_TRACK_ONLY;
	strcpy(v.kmod.reason, "livepatch owns the function");
	expect_one(&v, "warning", "livepatch owns");
	v.kmod.mode = KMOD_ABSENT;
	expect_one(&v, "warning", "does not work");
	v = healthy();
	v.facts.point.time = NOW - 3600 * NSEC_PER_SEC;
	expect_one(&v, "warning", "no recovery point for 1 h");
	v = healthy();
	strcpy(v.facts.fuzzy, "the pool was full");
	expect_one(&v, "warning", "the pool was full");
}
END_TEST

/* What hinders the module is told with what helps against that. */
static const struct {
	const char *reason, *remedy;
} hindrances[] = {
	{"another module or livepatch owns the submission function", "Unload what else hooks"},
	{"asked for by the module parameter", "Take mode=track-only out"},
	{"the kernel has no submission function that ftrace can hook (-22)", "This kernel allows"},
	{"submit_bio() of this kernel does not call submit_bio_noacct(): it was inlined",
	 "This kernel allows"},
};

START_TEST(track_only_is_told_with_its_remedy)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *list = NULL;
	const char *remedy;

	v.kmod.mode = KMOD_TRACK_ONLY;
	strcpy(v.kmod.reason, hindrances[_i].reason);
	list = status_problems(&v);
	remedy = json_string_value(json_object_get(json_array_get(list, 0), "remedy"));
	ck_assert_msg(strstr(remedy, hindrances[_i].remedy) == remedy, "%s", remedy);
}
END_TEST

static const struct {
	enum loss loss;
	const char *fuzzy, *remedy;
	bool pool;
} losses[] = {
	{LOSS_POOL_FULL, "the epoch was torn: the pool of preserved copies is full (pool_bytes)",
	 "pool_bytes", true},
	{LOSS_OTHER, "the epoch was torn: overwritten before it was read (track-only mode)",
	 "quieter disks", false},
	{LOSS_SCANNED, "pool.img changed while it was scanned (near offset 0)", "the next scan",
	 false},
};

/* A larger pool is the remedy of nothing but a pool that is full. */
START_TEST(a_lost_point_is_told_with_its_remedy)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *list = NULL;
	const char *remedy;

	v.facts.loss = losses[_i].loss;
	strcpy(v.facts.fuzzy, losses[_i].fuzzy);
	list = status_problems(&v);
	remedy = json_string_value(json_object_get(json_array_get(list, 0), "remedy"));
	ck_assert_msg(strstr(remedy, losses[_i].remedy) != NULL, "%s", remedy);
	ck_assert_int_eq(strstr(remedy, "pool_bytes") != NULL, losses[_i].pool);
}
END_TEST

/* In time for something to be done about it. */
START_TEST(a_certificate_that_cannot_be_renewed)
{
	struct status_view v = healthy();

	err_set(&v.renewal, -EAGAIN, "the appliance refused: its CA key cannot be read");
	v.cert_expiry_ns = NOW + 25 * DAY;
	expect_one(&v, "warning", "could not be renewed: the appliance refused: its CA key");
	expect_one(&v, "warning", "expires at 2027-02-09T");
	v.link.code = -EHOSTDOWN;
	strcpy(v.link.error, "nobody answers");
	expect_one(&v, "error", "nobody answers");
	v.link = (struct link){.connected = true};
	v.cert_expiry_ns = NOW + 10 * DAY;
	expect_one(&v, "error", "could not be renewed");
	v.cert_begin_ns = v.cert_expiry_ns = 0; /* its file cannot be read */
	expect_one(&v, "error", "could not be renewed");
	v.cert_expiry_ns = NOW - 1;
	expect_one(&v, "error", "has expired");
}
END_TEST

/* What fails on this machine again and again is told, but not twice. */
START_TEST(replication_that_keeps_failing)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *none = NULL;

	v.setback = (struct setback){.count = 2};
	err_set(&v.setback.last, -ENODEV, "the kernel module refuses");
	none = status_problems(&v);
	ck_assert_uint_eq(json_array_size(none), 0);
	v.setback.count = 3;
	expect_one(&v, "error", "failed 3 times in a row: the kernel module refuses");
	/* It is why there has been no point. */
	v.facts.point.time = NOW - 3600 * NSEC_PER_SEC;
	expect_one(&v, "error", "the kernel module refuses");
	disk.state = DISK_INITIAL;
	expect_one(&v, "error", "the kernel module refuses");
	disk.state = DISK_RESYNC;
	disk.failures = 3;
	strcpy(disk.failure, "the kernel module refuses");
	expect_one(&v, "error", "The resynchronisation of vda");
	v = healthy();
	v.setback.count = 3;
	v.link.code = -EACCES;
	strcpy(v.link.error, "this machine is not enrolled");
	expect_one(&v, "error", "this machine is not enrolled");
}
END_TEST

/* The state file is this machine's: nobody is sent to the appliance for it. */
START_TEST(the_state_file_has_a_problem_of_its_own)
{
	static const struct {
		int code;
		const char *remedy;
	} cases[] = {{-ENOSPC, "Make room in the filesystem of that file"},
		     {-EDQUOT, "Make room in the filesystem of that file"},
		     {-EROFS, "mount it writable"},
		     {-EACCES, "Look after that file"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct status_view v = healthy();
		_cleanup_json_ json_t *list = NULL;
		const char *remedy;

		err_errno(&v.store, cases[i].code, "/x/state.json cannot be written");
		expect_one(&v, "error", v.store.text);
		list = status_problems(&v);
		remedy = json_string_value(json_object_get(json_array_get(list, 0), "remedy"));
		ck_assert_ptr_nonnull(strstr(remedy, cases[i].remedy));
		ck_assert_ptr_null(strstr(remedy, "appliance"));
	}
}
END_TEST

START_TEST(problems_of_a_disk)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *list = NULL;

	disk.reachable = false;
	strcpy(disk.error, "it is gone");
	expect_one(&v, "error", "vda cannot be reached: it is gone");
	v = healthy();
	strcpy(disk.error, "4096 bytes cannot be read");
	strcpy(disk.remedy, "Replace the disk.");
	expect_one(&v, "error", "4096 bytes");
	v = healthy();
	disk.state = DISK_RESYNC;
	strcpy(disk.resync_cause, "the machine was restarted");
	strcpy(v.facts.fuzzy, "explained by the resync");
	expect_one(&v, "warning", "the machine was restarted");
	disk.failures = 2;
	strcpy(disk.failure, "the segment is refused");
	expect_one(&v, "warning", "the machine was restarted");
	disk.failures = 3;
	expect_one(&v, "error", "failed 3 times: the segment is refused");
	disk.failures = 0;
	disk.waiting = true;
	disk.starts_ns = NOW + 60 * NSEC_PER_SEC;
	expect_one(&v, "error", "waits for the resync_window");
	disk.starts_ns = UINT64_MAX;
	expect_one(&v, "error", "resync_window is never");
	/* What the operator wants later takes nothing away now. */
	v = healthy();
	disk.scheduled = true;
	list = status_problems(&v);
	ck_assert_uint_eq(json_array_size(list), 0);
	json_decref(list);
	/* Without the module a file that is scanned anyway lacks nothing. */
	v = healthy();
	disk.file = true;
	disk.choice = SOURCE_SCAN;
	v.kmod.mode = KMOD_ABSENT;
	list = status_problems(&v);
	ck_assert_uint_eq(json_array_size(list), 0);
}
END_TEST

/* --- the session waits ------------------------------------------------------------------------- */

static struct status_view waiting_for(enum waiting_for what, uint64_t seconds)
{
	struct status_view v = healthy();

	v.waiting.what = what;
	v.waiting_ns = seconds * NSEC_PER_SEC;
	strcpy(v.waiting.name, "vda");
	/* It explains that, which is not told as well. */
	v.facts.point.time = NOW - 3600 * NSEC_PER_SEC;
	return v;
}

START_TEST(what_is_waited_for_is_told)
{
	struct status_view v = waiting_for(WAIT_DISK, 90);

	v.silent_ns = 90 * NSEC_PER_SEC;
	expect_one(&v, "error", "vda has not answered for 1 min 30 s");
	expect_remedy(&v, "mobilityctl unprotect vda, then restart mobilityd");
	v = waiting_for(WAIT_PREPARE, 90);
	expect_one(&v, "warning",
		   "Replication has waited 1 min 30 s for vss-shim, which is to make");
	v.waiting.what = WAIT_FREEZE;
	expect_one(&v, "warning", "vss-shim, which is to hold");
	v.waiting.what = WAIT_REPORT;
	expect_one(&v, "warning", "vss-shim, which is to report");
	v = waiting_for(WAIT_NONE, 0);
	v.silent_ns = 90 * NSEC_PER_SEC;
	expect_one(&v, "error", "stood still for 1 min 30 s");
	v = waiting_for(WAIT_NONE, 0);
	v.unheard_ns = 90 * NSEC_PER_SEC;
	expect_one(&v, "error", "not been reached since the start, 1 min 30 s ago");
}
END_TEST

START_TEST(a_moment_is_no_problem)
{
	static const enum waiting_for what[] = {WAIT_DISK, WAIT_PREPARE, WAIT_FREEZE, WAIT_NONE};

	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		struct status_view v = waiting_for(what[i], 29);
		_cleanup_json_ json_t *list = NULL;

		v.facts.point.time = NOW;
		v.silent_ns = v.unheard_ns = 29 * NSEC_PER_SEC;
		list = status_problems(&v);
		ck_assert_uint_eq(json_array_size(list), 0);
	}
}
END_TEST

/* A request to an appliance that is away takes its time; longer than that may take the session hangs. */
START_TEST(silence_while_the_appliance_is_away)
{
	struct status_view v = healthy();
	_cleanup_json_ json_t *list = NULL;

	v.link.code = -EHOSTDOWN;
	strcpy(v.link.error, "no answer");
	v.silent_ns = v.unheard_ns = 90 * NSEC_PER_SEC;
	expect_one(&v, "error", "no answer");
	v.hangs = true;
	list = status_problems(&v);
	ck_assert_uint_eq(json_array_size(list), 2);
}
END_TEST

static int edit_add(struct state *st, void *arg, struct err *e)
{
	(void)e;
	*state_add(st) = *(const struct state_disk *)arg;
	return 0;
}

static int never(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)out, (void)e;
	ck_abort_msg("a scan's file was asked, which may not answer");
	return 0;
}

static void never_closes(struct source *s)
{
	(void)s;
}

/* The main thread feeds the watchdog and takes commands: it must not be kept. */
START_TEST(no_file_of_a_scan_is_asked)
{
	static const struct source_ops ops = {.name = "scan",
					      .status = never,
					      .close = never_closes};
	static struct source source = {.ops = &ops, .size = 4096, .shift = 16, .poll_fd = -1};
	static struct agent agent;
	struct state_disk from = {.key = "path:/a", .name = "a", .path = "/a", .file = true};
	struct disk_table *t = calloc(1, sizeof(*t) + sizeof(t->disk[0]));
	_cleanup_json_ json_t *o = NULL;
	struct err e;

	agent_make(&agent);
	t->disk[t->count++] = disk_new(&from);
	disk_set_source(t->disk[0], &source);
	disk_set_state(t->disk[0], DISK_PROTECTED, 4096, "");
	free(agent.disks);
	agent.disks = t;
	ck_assert_int_eq(store_update(agent.store, true, edit_add, &from, &e), 0);
	status_tick(&agent);
	o = status_json(&agent, &e);
	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "disks")), 1);
	agent_remove(&agent);
}
END_TEST

static const char status_text[] =
	"{\"schema\":1,\"time\":1,\"machine\":{\"id\":\"m-1\",\"hostname\":\"web1\"},"
	"\"appliance\":{\"url\":\"https://a:443\",\"connected\":true,\"since\":1800000000000000000,\"error\":null},"
	"\"module\":{\"mode\":\"hook\",\"reason\":\"\",\"pool_limit\":67108864,\"pool_used\":4096,\"held_writes\":3,"
	"\"held_max_ns\":1500000,\"held_total_ns\":2000000,\"torn_epochs\":0,\"boundaries\":12},"
	"\"paused\":false,\"epoch\":12,\"last_point\":{\"id\":11,\"time\":1800000000000000000,"
	"\"consistency\":\"crash\",\"name\":\"before-upgrade\"},\"rpo_ns\":2000000000,\"backlog_bytes\":1048576,"
	"\"churn_bytes_per_s\":2048,\"totals\":{\"read_bytes\":1,\"data_bytes\":2,\"sent_bytes\":3,\"zero_bytes\":4,"
	"\"unchanged_bytes\":5,\"epochs\":6,\"retries\":7},\"disks\":["
	"{\"name\":\"vda\",\"path\":\"/dev/vda\",\"size\":1073741824,\"state\":\"initial\",\"source\":\"kmod\","
	"\"replicated\":268435456,\"rate_bytes_per_s\":104857600,\"eta_ns\":8000000000,\"backlog_bytes\":805306368,"
	"\"churn_bytes_per_s\":0},"
	"{\"name\":\"vdb\",\"path\":\"/dev/vdb\",\"size\":1073741824,\"state\":\"protected\",\"source\":\"scan\","
	"\"replicated\":1073741824,\"rate_bytes_per_s\":0,\"eta_ns\":0,\"backlog_bytes\":0,\"churn_bytes_per_s\":10}],"
	"\"problems\":[{\"severity\":\"warning\",\"what\":\"Something.\",\"remedy\":\"Do this.\"}]}";

START_TEST(the_screen_tells_it_all)
{
	static const char *const says[] = {
		"web1",
		"https://a:443",
		"connected since",
		"hook",
		"1.5 ms",
		"RPO         2 s",
		"crash-consistent",
		"before-upgrade",
		"1.0 MiB",
		"2.0 KiB/s",
		"vda",
		"initial",
		"25 %",
		"100.0 MiB/s",
		", 8 s left",
		"vdb",
		"scan",
		"protected",
		"warning: Something.",
		"remedy: Do this.",
	};
	_cleanup_json_ json_t *o = json_loads(status_text, 0, NULL);
	_cleanup_free_ char *text = NULL;
	unsigned int lines = 0;

	ck_assert_ptr_nonnull(o);
	text = text_status(o);
	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		ck_assert_msg(strstr(text, says[i]) != NULL, "no '%s' in\n%s", says[i], text);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	ck_assert_uint_le(lines, 24);
	ck_assert(!text_healthy(o));
	json_array_clear(json_object_get(o, "problems"));
	ck_assert(text_healthy(o));
}
END_TEST

/* Members may be null or missing: before enrolment, or from another version. */
START_TEST(the_screen_bears_gaps)
{
	_cleanup_json_ json_t *o = json_loads(status_text, 0, NULL);
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(o, next, key, value)
	{
		_cleanup_json_ json_t *without = json_copy(o), *null = json_copy(o);
		char *text;

		if (!strcmp(key, "schema"))
			continue;
		json_object_del(without, key);
		json_object_set_new(null, key, json_null());
		text = text_status(without);
		ck_assert_ptr_nonnull(text);
		free(text);
		text = text_status(null);
		ck_assert_ptr_nonnull(text);
		free(text);
	}
	json_object_del(o, "schema");
	ck_assert_ptr_null(text_status(o));
	ck_assert_ptr_null(text_status(NULL));
}
END_TEST

/* A moment after enrolment, and after a start. */
START_TEST(who_was_not_asked_is_not_away)
{
	_cleanup_json_ json_t *o = json_loads(status_text, 0, NULL);
	json_t *appliance = json_object_get(o, "appliance");
	char *text;

	json_object_set_new(appliance, "connected", json_false());
	text = text_status(o);
	ck_assert_ptr_nonnull(strstr(text, "NOT CONNECTED since"));
	free(text);
	json_object_set_new(appliance, "since", json_integer(0));
	text = text_status(o);
	ck_assert_ptr_nonnull(strstr(text, "not asked for anything yet"));
	ck_assert_ptr_null(strstr(text, "NOT CONNECTED"));
	free(text);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("status");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, track_only_is_told_with_its_remedy, 0, ARRAY_SIZE(hindrances));
	tcase_add_loop_test(tc, a_lost_point_is_told_with_its_remedy, 0, ARRAY_SIZE(losses));
	tcase_add_test(tc, nothing_is_wrong);
	tcase_add_test(tc, what_is_waited_for_is_told);
	tcase_add_test(tc, a_moment_is_no_problem);
	tcase_add_test(tc, silence_while_the_appliance_is_away);
	tcase_add_test(tc, no_file_of_a_scan_is_asked);
	tcase_add_test(tc, each_problem_by_itself);
	tcase_add_test(tc, a_certificate_that_cannot_be_renewed);
	tcase_add_test(tc, replication_that_keeps_failing);
	tcase_add_test(tc, the_state_file_has_a_problem_of_its_own);
	tcase_add_test(tc, problems_of_a_disk);
	tcase_add_test(tc, the_screen_tells_it_all);
	tcase_add_test(tc, the_screen_bears_gaps);
	tcase_add_test(tc, who_was_not_asked_is_not_away);
	return run_tcase("status", tc);
}
