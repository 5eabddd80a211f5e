// SPDX-License-Identifier: Apache-2.0
#include "agent/enroll.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/pki.h"

#define PEM_MAX 65536
#define DEFAULT_PORT 443
#define RENEW_LOOK_MAX_NS (3600 * NSEC_PER_SEC)

int enroll_parse_address(const char *text, char host[256], unsigned int *port, struct err *e)
{
	const char *start = text, *end, *rest;
	char *tail;
	long n;

	/* Before it is split at what may be the colon of https:// */
	if (text[strcspn(text, " /\\@?#%\"'\t\r\n")])
		return err_set(e, -EINVAL,
			       "'%s' is no address: give the host alone, without https://", text);
	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		rest = end ? end + 1 : NULL;
	} else {
		end = text + strcspn(text, ":");
		/* More than one colon without brackets is an IPv6 address without a port. */
		if (*end && strchr(end + 1, ':'))
			end = text + strlen(text);
		rest = end;
	}
	if (!end || end == start || end - start > 255 || (*rest && *rest != ':'))
		return err_set(e, -EINVAL,
			       "'%s' is no address: expected HOST, HOST:PORT or [ADDRESS]:PORT",
			       text);
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	*port = DEFAULT_PORT;
	if (!*rest)
		return 0;
	errno = 0;
	n = strtol(rest + 1, &tail, 10);
	if (errno || *tail || tail == rest + 1 || n < 1 || n > 65535)
		return err_set(e, -EINVAL, "'%s' is no port: expected a number from 1 to 65535",
			       rest + 1);
	*port = (unsigned int)n;
	return 0;
}

static struct api *unenrolled_api(struct agent *a, const struct enroll_request *q,
				  const char *ca_file, struct err *e)
{
	struct http_config c;

	agent_http(a, &c);
	c.ca_file = ca_file;
	c.cancel = (const volatile bool *)&a->stop;
	return api_new(q->host, q->port, q->port, &c, e);
}

/* The CA certificate, if it is the one that the operator means. */
static int fetch_ca(struct agent *a, const struct enroll_request *q, char **ca, struct err *e)
{
	_cleanup_(api_freep) struct api *api = unenrolled_api(a, q, NULL, e);
	_cleanup_free_ char *answer = NULL;
	char fingerprint[PKI_FINGERPRINT_BYTES];
	int r;

	if (!api)
		return e->code;
	r = api_ca(api, &answer, e);
	/* Anybody may have answered: a second certificate behind the right one would be trusted, too. */
	if (!r)
		r = pki_first_cert(answer, ca, e);
	if (!r)
		r = pki_fingerprint(*ca, fingerprint, e);
	if (!r && strcmp(fingerprint, q->fingerprint) != 0)
		r = err_set(
			e, -EKEYREJECTED,
			"%s is not the appliance that was meant: its CA has the fingerprint %s. "
			"Compare it with what 'mobility-appliance token' printed",
			q->host, fingerprint);
	return r;
}

/*
 * The key of this enrolment. It is kept from one try to the next: the appliance gives the same
 * answer again to the same token with the same key, when its first answer was lost.
 */
static int make_request(struct agent *a, const char *hostname, char **csr, struct err *e)
{
	const char *file = store_new_key_file(a->store);
	_cleanup_free_ char *key = NULL;
	size_t len;
	int r = io_read_file(file, PEM_MAX, &key, &len, e);

	if (!r && !pki_csr(key, hostname, csr, e))
		return 0;
	free(cleanup_steal_ptr(&key));
	r = pki_new_csr(hostname, &key, csr, e);
	if (!r)
		r = io_write_file_atomic(file, key, strlen(key), 0600, e);
	return r;
}

/* The identity: its files, their part of the state, and its number, as one. */
static pthread_mutex_t identity_lock = PTHREAD_MUTEX_INITIALIZER;

struct adoption {
	const struct enroll_request *q;
	const struct enrolment *en;
	char before[40];
};

static int edit_enrolled(struct state *st, void *arg, struct err *e)
{
	struct adoption *ad = arg;

	(void)e;
	strcpy(ad->before, st->machine);
	snprintf(st->host, sizeof(st->host), "%s", ad->q->host);
	st->control_port = ad->q->port;
	st->data_port = ad->en->data_port;
	strcpy(st->machine, ad->en->machine);
	return 0;
}

/* identity_lock is held. */
static int take_identity(struct agent *a, struct adoption *ad, const char *ca, struct err *e)
{
	const struct enrolment *en = ad->en;
	int r;

	if ((r = pki_verify(en->certificate, ca, e)) ||
	    (r = io_write_file_atomic(store_ca_file(a->store), ca, strlen(ca), 0644, e)) ||
	    (r = io_write_file_atomic(store_cert_file(a->store), en->certificate,
				      strlen(en->certificate), 0644, e)))
		return r;
	if (rename(store_new_key_file(a->store), store_key_file(a->store)))
		return err_errno(e, -errno, "cannot put %s in place", store_key_file(a->store));
	r = store_update(a->store, true, edit_enrolled, ad, e);
	if (!r)
		atomic_fetch_add(&a->identity, 1);
	return r;
}

static int adopt(struct agent *a, const struct enroll_request *q, const struct enrolment *en,
		 const char *ca, struct err *e)
{
	struct adoption ad = {.q = q, .en = en};
	int r;

	pthread_mutex_lock(&identity_lock);
	r = take_identity(a, &ad, ca, e);
	pthread_mutex_unlock(&identity_lock);
	if (r)
		return r;
	if (ad.before[0] && strcmp(ad.before, en->machine) != 0)
		log_warning("this machine was %s before: its disks begin anew on the appliance",
			    ad.before);
	log_info("enrolled with %s as machine %s", q->host, en->machine);
	return 0;
}

static int ask(struct agent *a, const struct enroll_request *q, const char *hostname,
	       const char *csr, struct enrolment *en, struct err *e)
{
	char ca_file[PATH_MAX];
	_cleanup_(api_freep) struct api *api = NULL;
	int r;

	snprintf(ca_file, sizeof(ca_file), "%s/ca.new.pem", a->config.state_dir);
	api = unenrolled_api(a, q, ca_file, e);
	r = api ? api_enroll(api, q->token, hostname, csr, en, e) : e->code;
	unlink(ca_file);
	return r;
}

static int enroll_alone(struct agent *a, const struct enroll_request *q,
			char machine[UUID_TEXT_BYTES], struct err *e)
{
	_cleanup_free_ char *ca = NULL, *csr = NULL;
	char hostname[256] = "", ca_file[PATH_MAX];
	struct enrolment en = {0};
	int r;

	if (!pki_fingerprint_valid(q->fingerprint))
		return err_set(e, -EINVAL,
			       "'%s' is no fingerprint: expected sha256: and 64 hex digits",
			       q->fingerprint);
	if (gethostname(hostname, sizeof(hostname) - 1) || !hostname[0])
		return err_set(e, -EINVAL, "this machine has no host name");
	snprintf(ca_file, sizeof(ca_file), "%s/ca.new.pem", a->config.state_dir);
	r = fetch_ca(a, q, &ca, e);
	if (!r)
		r = make_request(a, hostname, &csr, e);
	/* A file, because the TLS library wants one; only what was checked is trusted. */
	if (!r)
		r = io_write_file_atomic(ca_file, ca, strlen(ca), 0644, e);
	if (!r)
		r = ask(a, q, hostname, csr, &en, e);
	if (!r)
		r = adopt(a, q, &en, ca, e);
	if (!r)
		strcpy(machine, en.machine);
	api_enrolment_clear(&en);
	return r;
}

/* The key and the CA of an enrolment under way are in files of one name. */
int enroll(struct agent *a, const struct enroll_request *q, char machine[UUID_TEXT_BYTES],
	   struct err *e)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	int r;

	if (pthread_mutex_trylock(&one))
		return err_set(e, -EBUSY,
			       "another enrolment is under way: wait until it has ended");
	r = enroll_alone(a, q, machine, e);
	pthread_mutex_unlock(&one);
	return r;
}

int enroll_life(struct agent *a, uint64_t *not_before, uint64_t *not_after, struct err *e)
{
	_cleanup_free_ char *cert = NULL;
	size_t len;
	int r = io_read_file(store_cert_file(a->store), PEM_MAX, &cert, &len, e);

	return r ? r : pki_cert_life(cert, not_before, not_after, e);
}

/*
 * Several looks before the end of what is left; not rarer than hourly, for clocks jump. What has
 * expired cannot be renewed: that needs an enrolment, after which it is looked at anyway.
 */
static uint64_t look_again(struct agent *a)
{
	uint64_t before, after, now = clock_realtime_ns(), ns;

	if (enroll_life(a, &before, &after, NULL))
		return RENEW_LOOK_MAX_NS;
	ns = after > now ? (after - now) / 4 : RENEW_LOOK_MAX_NS;
	if (ns > RENEW_LOOK_MAX_NS)
		return RENEW_LOOK_MAX_NS;
	return ns < NSEC_PER_SEC / 2 ? NSEC_PER_SEC / 2 : ns;
}

/* Not beside the key of another identity, which was taken meanwhile. */
static int keep_renewed(struct agent *a, uint64_t identity, const char *cert, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&identity_lock);
	if (atomic_load(&a->identity) == identity) {
		r = io_write_file_atomic(store_cert_file(a->store), cert, strlen(cert), 0644, e);
		if (!r) {
			log_info("the certificate was renewed");
			atomic_fetch_add(&a->identity, 1);
		}
	}
	pthread_mutex_unlock(&identity_lock);
	return r;
}

int enroll_renew(struct agent *a, struct api *api, uint64_t *again_ns, struct err *e)
{
	_cleanup_free_ char *key = NULL, *csr = NULL, *cert = NULL;
	uint64_t identity = atomic_load(&a->identity);
	uint64_t before, after, now = clock_realtime_ns();
	char hostname[256] = "";
	size_t len;
	int r = enroll_life(a, &before, &after, e);

	*again_ns = look_again(a);
	if (r)
		return r;
	if (after > before && now < after && after - now > (after - before) / 3)
		return 0;
	gethostname(hostname, sizeof(hostname) - 1);
	if ((r = io_read_file(store_key_file(a->store), PEM_MAX, &key, &len, e)) ||
	    (r = pki_csr(key, hostname, &csr, e)) || (r = api_renew(api, csr, &cert, e)) ||
	    (r = keep_renewed(a, identity, cert, e)))
		return r;
	*again_ns = look_again(a);
	return 0;
}
