// SPDX-License-Identifier: Apache-2.0
/* However a plan ends, the disks that it attached are detached. */
/* wraps: churn_open churn_sample churn_close kmod_open owner_is_agent */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/churn.h"
#include "agent/ctl/owner.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

static int signal_sent; /* in the first interval; 0: none */
static unsigned int samples, detached;
static uint64_t bytes[8];
static char *args[] = {"/dev/vdb"};
static struct ctl ctl = {.args = args,
			 .arg_count = 1,
			 .duration_ns = 3 * NSEC_PER_SEC / 100,
			 .interval_ns = NSEC_PER_SEC / 100,
			 .retention_ns = NSEC_PER_SEC};

int __wrap_kmod_open(struct kmod **out, struct err *e);
int __wrap_churn_open(struct watched *w, const char *path, struct kmod *module, struct err *e);
int __wrap_churn_sample(struct watched *w, struct err *e);
void __wrap_churn_close(struct watched *w, bool detach);
bool __wrap_owner_is_agent(const struct ctl *c, const struct watched *w);

int __wrap_kmod_open(struct kmod **out, struct err *e)
{
	(void)out;
	return err_set(e, -ENODEV, "there is no module");
}

int __wrap_churn_open(struct watched *w, const char *path, struct kmod *module, struct err *e)
{
	(void)module, (void)e;
	*w = (struct watched){.bytes = bytes, .attached = true};
	strcpy(w->path, path);
	strcpy(w->name, "vdb");
	return 0;
}

int __wrap_churn_sample(struct watched *w, struct err *e)
{
	(void)e;
	w->count++;
	if (!samples++ && signal_sent)
		raise(signal_sent);
	return 0;
}

void __wrap_churn_close(struct watched *w, bool detach)
{
	(void)w;
	detached += detach;
}

bool __wrap_owner_is_agent(const struct ctl *c, const struct watched *w)
{
	(void)c, (void)w;
	return false;
}

START_TEST(signals_end_it_early)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	signal_sent = signals[_i];
	ck_assert_int_eq(ctl_plan(&ctl), CTL_OK);
	ck_assert_uint_eq(samples, 1);
	ck_assert_uint_eq(detached, 1);
}
END_TEST

START_TEST(nohup_goes_on)
{
	signal(SIGHUP, SIG_IGN);
	signal_sent = SIGHUP;
	ck_assert_int_eq(ctl_plan(&ctl), CTL_OK);
	ck_assert_uint_eq(samples, 3);
	ck_assert_uint_eq(detached, 1);
}
END_TEST

START_TEST(nobody_reads_it)
{
	int ends[2];

	ck_assert(!pipe(ends));
	ck_assert_int_ge(dup2(ends[1], STDOUT_FILENO), 0);
	close(ends[0]);
	ck_assert_int_eq(ctl_plan(&ctl), CTL_FAILED);
	ck_assert_uint_eq(detached, 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_loop_test(tc, signals_end_it_early, 0, 3);
	tcase_add_test(tc, nohup_goes_on);
	tcase_add_test(tc, nobody_reads_it);
	return run_tcase("plan", tc);
}
