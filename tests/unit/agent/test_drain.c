// SPDX-License-Identifier: Apache-2.0
/* The pool of workers where memory runs out. */
/* wraps: codec_new */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "agent/drain.h"
#include "lib/codec.h"
#include "tests/unit/agent/support.h"

static atomic_uint refusals = 2;

struct codec *__real_codec_new(void);
struct codec *__wrap_codec_new(void);

struct codec *__wrap_codec_new(void)
{
	unsigned int left = atomic_load(&refusals);

	if (left)
		atomic_store(&refusals, left - 1);
	return left ? NULL : __real_codec_new();
}

static void ignore(void *arg)
{
	(void)arg;
}

START_TEST(a_worker_without_memory_tries_again)
{
	static struct agent agent = {.config = {.workers = 1, .connections = 1}};
	struct drain d = {.epoch = 1};
	struct drain_pool *p;
	struct err e;

	ck_assert_msg(!drain_pool_new(&agent, &p, &e), "%s", e.text);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(drain_run(p, &d, ignore, NULL, &e), -ENOMEM);
	ck_assert_msg(!drain_run(p, &d, ignore, NULL, &e), "%s", e.text);
	ck_assert_msg(!drain_run(p, &d, ignore, NULL, &e), "%s", e.text);
	drain_pool_free(p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("drain");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_worker_without_memory_tries_again);
	return run_tcase("drain", tc);
}
