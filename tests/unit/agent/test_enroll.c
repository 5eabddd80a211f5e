// SPDX-License-Identifier: Apache-2.0
/* The files of an identity when two things are done to it at once. */
/* wraps: api_renew api_ca */
#include "agent/enroll.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/io.h"
#include "lib/pki.h"
#include "tests/unit/agent/support.h"

static struct agent agent;
static bool enrolled_meanwhile;
static sem_t asked, go_on;

int __wrap_api_renew(struct api *a, const char *csr, char **certificate, struct err *e);
int __wrap_api_ca(struct api *a, char **ca, struct err *e);

int __wrap_api_renew(struct api *a, const char *csr, char **certificate, struct err *e)
{
	(void)a, (void)csr, (void)e;
	if (enrolled_meanwhile)
		atomic_fetch_add(&agent.identity, 1);
	*certificate = strdup("renewed");
	return 0;
}

int __wrap_api_ca(struct api *a, char **ca, struct err *e)
{
	(void)a;
	*ca = NULL;
	sem_post(&asked);
	sem_wait(&go_on);
	return err_set(e, -EHOSTDOWN, "nobody is there");
}

static void put(const char *path, const char *text)
{
	struct err e;

	ck_assert_msg(!io_write_file_atomic(path, text, strlen(text), 0600, &e), "%s", e.text);
}

/* A key and its certificate, which ends soon. */
static void make_identity(void)
{
	const struct pki_issue what = {.common_name = "a-machine", .valid_s = 1};
	_cleanup_free_ char *ca_key = NULL, *ca = NULL, *key = NULL, *csr = NULL, *cert = NULL;
	struct err e;

	ck_assert(!pki_new_ca("CA", 3, &ca_key, &ca, &e));
	ck_assert(!pki_new_csr("a-machine", &key, &csr, &e));
	ck_assert(!pki_issue(ca_key, ca, csr, &what, &cert, NULL, &e));
	put(store_key_file(agent.store), key);
	put(store_cert_file(agent.store), cert);
}

static void set_up(void)
{
	agent_make(&agent);
	make_identity();
	enrolled_meanwhile = false;
	sem_init(&asked, 0, 0);
	sem_init(&go_on, 0, 0);
}

static void tear_down(void)
{
	agent_remove(&agent);
}

static bool is_renewed(void)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	struct err e;

	ck_assert(!io_read_file(store_cert_file(agent.store), 65536, &text, &len, &e));
	return !strcmp(text, "renewed");
}

START_TEST(a_renewal_stays_beside_its_key)
{
	uint64_t before = atomic_load(&agent.identity), again;
	struct err e;

	enrolled_meanwhile = true;
	ck_assert_msg(!enroll_renew(&agent, NULL, &again, &e), "%s", e.text);
	ck_assert(!is_renewed());
	ck_assert_uint_eq(atomic_load(&agent.identity), before + 1);
	enrolled_meanwhile = false;
	ck_assert_msg(!enroll_renew(&agent, NULL, &again, &e), "%s", e.text);
	ck_assert(is_renewed());
	ck_assert_uint_eq(atomic_load(&agent.identity), before + 2);
}
END_TEST

static struct enroll_request request = {.host = "127.0.0.1", .port = 443, .token = "token"};

static void *enroll_first(void *arg)
{
	char machine[UUID_TEXT_BYTES];
	struct err e;

	(void)arg;
	ck_assert_int_eq(enroll(&agent, &request, machine, &e), -EHOSTDOWN);
	return NULL;
}

START_TEST(one_enrolment_at_a_time)
{
	char fingerprint[PKI_FINGERPRINT_BYTES], machine[UUID_TEXT_BYTES];
	pthread_t thread;
	struct err e;

	snprintf(fingerprint, sizeof(fingerprint), "sha256:%064d", 0);
	request.fingerprint = fingerprint;
	ck_assert_int_eq(pthread_create(&thread, NULL, enroll_first, NULL), 0);
	sem_wait(&asked);
	ck_assert_int_eq(enroll(&agent, &request, machine, &e), -EBUSY);
	sem_post(&go_on);
	pthread_join(thread, NULL);
	sem_post(&go_on);
	ck_assert_int_eq(enroll(&agent, &request, machine, &e), -EHOSTDOWN);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("enroll");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_renewal_stays_beside_its_key);
	tcase_add_test(t, one_enrolment_at_a_time);
	return run_tcase("enroll", t);
}
