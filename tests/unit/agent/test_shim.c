// SPDX-License-Identifier: Apache-2.0
/* wraps: clock_monotonic_ns */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/shim.h"
#include "lib/clock.h"
#include "support.h"

static _Atomic uint64_t passed_ns;

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + atomic_load(&passed_ns);
}

/* A shim that answers each order with the next line of its script. */
struct server {
	const char *const *script; /* ends with NULL: the connection is closed */
	char path[108];
	int listener;
	pthread_t thread;
	char orders[512];
};

static void *serve(void *arg)
{
	struct server *v = arg;
	int fd = accept(v->listener, NULL, NULL);
	char buf[256];

	for (size_t i = 0; v->script[i]; i++) {
		ssize_t n = 0;

		/* What begins with + comes without being asked for. */
		if (v->script[i][0] != '+')
			n = read(fd, buf, sizeof(buf) - 1);
		if (n < 0)
			break;
		buf[n] = '\0';
		strncat(v->orders, buf, sizeof(v->orders) - strlen(v->orders) - 1);
		n = (ssize_t)strlen(v->script[i] + (v->script[i][0] == '+'));
		/* The other side may be gone already. */
		if (send(fd, v->script[i] + (v->script[i][0] == '+'), (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(fd);
	return NULL;
}

static void start(struct server *v, const char *const *script)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memset(v, 0, sizeof(*v));
	v->script = script;
	snprintf(v->path, sizeof(v->path), "%s", test_path("socket"));
	strcpy(addr.sun_path, v->path);
	unlink(v->path);
	v->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(v->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(v->listener, 1), 0);
	ck_assert_int_eq(pthread_create(&v->thread, NULL, serve, v), 0);
}

static void stop(struct server *v)
{
	pthread_join(v->thread, NULL);
	close(v->listener);
	unlink(v->path);
}

START_TEST(whole_course)
{
	static const char *const script[] = {"prepared {}\n", "frozen {\"consistent\":true}\n",
					     "thawed {\"consistent\":true}\ndone {}\n", NULL};
	struct server v;
	struct shim *s;
	json_t *report;
	struct err e;

	start(&v, script);
	ck_assert_int_eq(shim_open(v.path, &s, &e), 0);
	ck_assert_int_eq(shim_prepare(s, "8:0,8:16", &e), 0);
	ck_assert_int_eq(shim_freeze(s, &e), 0);
	ck_assert_int_eq(shim_thaw(s, &e), 0);
	report = shim_report(s, &e);
	ck_assert(json_is_true(json_object_get(report, "consistent")));
	json_decref(report);
	shim_close(s);
	stop(&v);
	ck_assert_str_eq(v.orders, "set disks=8:0,8:16\nfreeze\nthaw\n");
}
END_TEST

static const struct {
	const char *script[3];
	int code;
	const char *says;
} failures[] = {
	{{"error {\"error\":\"no memory\"}\n"}, -EIO, "no memory"},
	{{"frozen {}\n"}, -EPROTO, "out of turn"},
	{{"prepared nonsense\n"}, 0, "cannot be understood"},
	{{"error nonsense\n"}, 0, ""},
	{{NULL}, 0, "vss-shim"},
	{{"prep", NULL}, 0, "vss-shim has ended"},
};

START_TEST(failure)
{
	struct server v;
	struct shim *s;
	struct err e;
	int r;

	start(&v, failures[_i].script);
	ck_assert_int_eq(shim_open(v.path, &s, &e), 0);
	r = shim_prepare(s, "", &e);
	ck_assert_int_lt(r, 0);
	if (failures[_i].code)
		ck_assert_int_eq(r, failures[_i].code);
	ck_assert_msg(strstr(e.text, failures[_i].says), "%s", e.text);
	shim_close(s);
	stop(&v);
}
END_TEST

START_TEST(nobody_listens)
{
	struct shim *s;
	struct err e;

	ck_assert_int_eq(shim_open("/tmp/no-such-shim", &s, &e), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(e.text, "systemctl start"));
	ck_assert_ptr_null(shim_writers("/tmp/no-such-shim", NULL, &e));
}
END_TEST

/* A shim that is stopped, or waits for a device: those who gave up are still before us in its queue. */
START_TEST(hangs)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;
	struct shim *s;
	struct err e;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", test_path("socket"));
	unlink(addr.sun_path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	alarm(20);
	for (int i = 0; !r && i < 3; i++) {
		r = shim_open(addr.sun_path, &s, &e);
		if (!r)
			shim_close(s);
	}
	alarm(0);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_ptr_nonnull(strstr(e.text, "does not answer"));
	close(listener);
}
END_TEST

START_TEST(canceled)
{
	static const char *const script[] = {"prepared {}\n", "+", NULL};
	const volatile bool cancel = true;
	struct server v;
	struct shim *s;
	struct err e;

	start(&v, script);
	ck_assert_int_eq(shim_open(v.path, &s, &e), 0);
	shim_attend(s, NULL, NULL, &cancel);
	ck_assert_int_eq(shim_prepare(s, "", &e), -ECANCELED);
	shim_close(s);
	stop(&v);
}
END_TEST

/* --- one that is stopped, and one that is slow ------------------------------------------------ */

static int listener = -1, served = -1;
static unsigned int beats;
static bool takes; /* the order, at the first beat; it answers at the tenth */

/* Half a minute goes by with each. */
static void beat(void *arg)
{
	char line[64];

	(void)arg;
	atomic_fetch_add(&passed_ns, 30 * NSEC_PER_SEC);
	beats++;
	if (!takes)
		return;
	if (beats == 1) {
		served = accept(listener, NULL, NULL);
		ck_assert_int_gt((int)read(served, line, sizeof(line)), 0);
	}
	if (beats == 10)
		ck_assert_int_eq((int)write(served, "prepared {}\n", 12), 12);
}

static int prepare(struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct shim *s;
	int r;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", test_path("socket"));
	unlink(addr.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	ck_assert_int_eq(shim_open(addr.sun_path, &s, e), 0);
	shim_attend(s, beat, NULL, NULL);
	r = shim_prepare(s, "8:0", e);
	shim_close(s);
	close(listener);
	return r;
}

START_TEST(one_that_does_not_take_the_order_is_given_up)
{
	struct err e;

	ck_assert_int_eq(prepare(&e), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(e.text, "did not take the order"));
	ck_assert_uint_le(beats, 5);
}
END_TEST

START_TEST(one_that_took_it_may_be_slow)
{
	struct err e;

	takes = true;
	ck_assert_msg(!prepare(&e), "%s", e.text);
	ck_assert_uint_ge(beats, 10);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("shim");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, whole_course);
	tcase_add_loop_test(tc, failure, 0, ARRAY_SIZE(failures));
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, hangs);
	tcase_add_test(tc, canceled);
	tcase_add_test(tc, one_that_does_not_take_the_order_is_given_up);
	tcase_add_test(tc, one_that_took_it_may_be_slow);
	return run_tcase("shim", tc);
}
