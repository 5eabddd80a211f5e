/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/tls.h"

#define CHECK_EVERY 60 /* seconds; a check takes a millisecond */

/* A handshake may still use the one before, so none is freed while serving; there is one more every few months. */
struct shown {
	struct shown *before;
	gnutls_pcert_st certificate;
	gnutls_privkey_t key;
};

static struct shown *current;
static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;

int tls_load(const char *pem, struct err *e)
{
	gnutls_datum_t text = {(unsigned char *)pem, (unsigned int)strlen(pem)};
	struct shown *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	rc = gnutls_pcert_import_x509_raw(&s->certificate, &text, GNUTLS_X509_FMT_PEM, 0);
	if (rc >= 0)
		rc = gnutls_privkey_init(&s->key);
	if (rc >= 0)
		rc = gnutls_privkey_import_x509_raw(s->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc < 0) {
		if (s->key)
			gnutls_privkey_deinit(s->key);
		gnutls_pcert_deinit(&s->certificate);
		free(s);
		return err_set(e, -EINVAL, "cannot use the server certificate: %s",
			       gnutls_strerror(rc));
	}
	pthread_mutex_lock(&current_lock);
	s->before = current;
	current = s;
	pthread_mutex_unlock(&current_lock);
	return 0;
}

void tls_unload(void)
{
	while (current) {
		struct shown *s = current;

		current = s->before;
		gnutls_privkey_deinit(s->key);
		gnutls_pcert_deinit(&s->certificate);
		free(s);
	}
}

int tls_certificate(gnutls_session_t session, const gnutls_datum_t *request, int nreqs,
		    const gnutls_pk_algorithm_t *algorithms, int algorithms_length,
		    gnutls_pcert_st **pcert, unsigned int *pcert_length, gnutls_privkey_t *key)
{
	(void)session;
	(void)request;
	(void)nreqs;
	(void)algorithms;
	(void)algorithms_length;
	pthread_mutex_lock(&current_lock);
	*pcert = current ? &current->certificate : NULL;
	*pcert_length = current ? 1 : 0;
	*key = current ? current->key : NULL;
	pthread_mutex_unlock(&current_lock);
	return *pcert ? 0 : -1;
}

/* Who the certificate names, and until when it is in force. */
static int read_certificate(const gnutls_datum_t *der, char machine[UUID_TEXT_BYTES],
			    time_t *expires, struct err *e)
{
	uint8_t id[UUID_BYTES];
	size_t len = UUID_TEXT_BYTES;
	gnutls_x509_crt_t crt;
	int rc = gnutls_x509_crt_init(&crt);

	if (rc < 0)
		return err_set(e, -ENOMEM, "out of memory");
	rc = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER);
	if (rc >= 0)
		rc = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, machine,
						   &len);
	*expires = rc < 0 ? -1 : gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	if (rc < 0 || uuid_parse_text(machine, id) < 0)
		return err_set(e, -EKEYREJECTED, "the client certificate does not name a machine");
	return 0;
}

static int check_certificate(gnutls_session_t session, char machine[UUID_TEXT_BYTES],
			     time_t *expires, struct err *e)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	unsigned int count = 0, status = 0;
	const gnutls_datum_t *der = gnutls_certificate_get_peers(session, &count);
	gnutls_datum_t why;
	int rc;

	if (!der || !count)
		return err_set(e, -EKEYREJECTED,
			       "this needs the client certificate that enrolment gives");
	rc = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
	if (rc < 0)
		return err_set(e, -EKEYREJECTED, "the client certificate cannot be checked: %s",
			       gnutls_strerror(rc));
	if (status == 0)
		return read_certificate(&der[0], machine, expires, e);
	rc = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0);
	err_set(e, -EKEYREJECTED, "the client certificate is refused: %s",
		rc < 0 ? "it does not verify" : (const char *)why.data);
	if (rc >= 0)
		gnutls_free(why.data);
	return -EKEYREJECTED;
}

int tls_peer(gnutls_session_t session, struct tls_known *known, char machine[UUID_TEXT_BYTES],
	     struct err *e)
{
	time_t now = time(NULL), expires = 0;
	int rc;

	if (!known->until || now < known->since || now > known->until) {
		known->until = 0;
		rc = check_certificate(session, known->machine, &expires, e);
		if (rc < 0)
			return rc;
		known->since = now;
		known->until = expires < now + CHECK_EVERY ? expires : now + CHECK_EVERY;
	}
	memcpy(machine, known->machine, UUID_TEXT_BYTES);
	return 0;
}
