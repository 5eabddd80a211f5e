// SPDX-License-Identifier: Apache-2.0
/* What the agent makes of the module's answers; the module is made up. */
/* wraps: ioctl kmod_fd */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "agent/source_kmod.h"
#include "include/mobility/uapi.h"
#include "tests/unit/agent/support.h"

#define SIZE (1ull << 30)

static struct mob_disk_status answer;

int __wrap_kmod_fd(const struct kmod *k);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_kmod_fd(const struct kmod *k)
{
	(void)k;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct mob_open *o;
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case MOB_IOC_OPEN:
		o = arg;
		o->granule_shift = 16;
		o->size = SIZE;
		return 0;
	case MOB_DISK_IOC_STATUS:
		memcpy(arg, &answer, sizeof(answer));
		return 0;
	case MOB_DISK_IOC_THRESHOLD:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

START_TEST(a_disk_that_somebody_detached_is_gone)
{
	struct source_status st;
	struct source *s;
	struct err e;

	test_write(test_path("disk"), "");
	ck_assert_msg(!source_kmod_find(NULL, test_path("disk"), &s, &e), "%s", e.text);
	answer = (struct mob_disk_status){.granule_shift = 16,
					  .size = SIZE,
					  .size_now = SIZE,
					  .dirty_granules = 3};
	ck_assert_int_eq(s->ops->status(s, &st, &e), 0);
	ck_assert_uint_eq(st.events, 0);
	ck_assert_uint_eq(st.dirty_bytes, 3 << 16);
	answer.events = MOB_EVENT_SUSPECT;
	answer.size_now = 0;
	ck_assert_int_eq(s->ops->status(s, &st, &e), 0);
	ck_assert_uint_eq(st.events, SOURCE_SUSPECT | SOURCE_GONE);
	s->ops->close(s);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("source_kmod");

	tcase_add_test(tc, a_disk_that_somebody_detached_is_gone);
	return run_tcase("source_kmod", tc);
}
