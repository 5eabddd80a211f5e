/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "appliance/enrol.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/pki.h"

#define NAMES_MAX 64

int enrol_token(struct home *h, uint64_t expires, char out[TOKEN_TEXT_BYTES], struct err *e)
{
	uint8_t random[(TOKEN_TEXT_BYTES - 1) / 2], digest[DIGEST_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(e, -EIO, "cannot get random bytes for a token");
	hex_encode(random, sizeof(random), out);
	digest_sha256(out, strlen(out), digest);
	return catalog_token_add(h->catalog, digest, expires, e);
}

void enrolment_clear(struct enrolment *m)
{
	free(m->certificate);
	*m = (struct enrolment){0};
}

static int issue(const struct home *h, const char *csr, const struct pki_issue *what,
		 char **certificate, uint64_t *expires, struct err *e)
{
	_cleanup_free_ char *ca = home_read(h->dir, HOME_CA, e);
	_cleanup_free_ char *key = ca ? home_read(h->dir, HOME_CA_KEY, e) : NULL;
	int rc;

	if (!key)
		return e->code;
	rc = pki_issue(key, ca, csr, what, certificate, expires, e);
	explicit_bzero(key, strlen(key));
	return rc;
}

static int issue_client(const struct home *h, const char *csr, struct enrolment *m, struct err *e)
{
	struct pki_issue what = {
		.common_name = m->machine,
		.valid_s = h->config.client_life_ns / NSEC_PER_SEC,
	};

	return issue(h, csr, &what, &m->certificate, &m->expires, e);
}

/* The token was used: the same key gets the same answer again, for an answer may be lost. */
static int repeat(struct token_row *t, const uint8_t key[DIGEST_BYTES], struct enrolment *m,
		  struct err *e)
{
	if (memcmp(t->key_digest, key, DIGEST_BYTES) || !t->certificate)
		return err_set(e, -EKEYREVOKED,
			       "the token was used already; ask the operator for another one");
	strcpy(m->machine, t->machine);
	m->certificate = cleanup_steal_ptr(&t->certificate);
	m->expires = t->certificate_expires;
	return 0;
}

/* -EEXIST: the token was used meanwhile. */
static int use_token(struct home *h, struct token_row *t, const char *hostname, const char *csr,
		     uint64_t now, struct enrolment *m, struct err *e)
{
	uint8_t id[UUID_BYTES];
	int rc;

	uuid_random(id);
	uuid_format(id, m->machine);
	rc = issue_client(h, csr, m, e);
	if (rc < 0)
		return rc;
	strcpy(t->machine, m->machine);
	t->certificate = m->certificate;
	t->certificate_expires = m->expires;
	rc = catalog_enrol(h->catalog, t, hostname, now, e);
	t->certificate = NULL;
	return rc;
}

int enrol_machine(struct home *h, const char *token, const char *hostname, const char *csr,
		  uint64_t now, struct enrolment *m, struct err *e)
{
	uint8_t digest[DIGEST_BYTES], key[DIGEST_BYTES];
	struct token_row t;
	int rc;

	*m = (struct enrolment){0};
	digest_sha256(token, strlen(token), digest);
	rc = catalog_token(h->catalog, digest, &t, e);
	if (rc == -ENOENT)
		return err_set(e, -EKEYREJECTED, "the token is not one of this appliance");
	if (rc == 0 && t.expires <= now)
		rc = err_set(e, -EKEYEXPIRED,
			     "the token has expired; ask the operator for another one");
	if (rc == 0 && pki_csr_key_digest(csr, key, e) < 0)
		rc = err_set(e, -EBADMSG, "csr is not a valid certificate request");
	if (rc == 0 && t.used) {
		rc = repeat(&t, key, m, e);
	} else if (rc == 0) {
		memcpy(t.key_digest, key, DIGEST_BYTES);
		rc = use_token(h, &t, hostname, csr, now, m, e);
	}
	if (rc == -EEXIST) {
		/* Perhaps the same request, sent twice: it has one answer. */
		enrolment_clear(m);
		rc = catalog_token(h->catalog, digest, &t, e);
		if (rc == 0)
			rc = repeat(&t, key, m, e);
	}
	free(t.certificate);
	if (rc < 0)
		enrolment_clear(m);
	return rc;
}

int enrol_renew(struct home *h, const char *machine, const char *csr, struct enrolment *m,
		struct err *e)
{
	uint8_t key[DIGEST_BYTES];

	*m = (struct enrolment){0};
	strcpy(m->machine, machine);
	if (pki_csr_key_digest(csr, key, e) < 0)
		return err_set(e, -EBADMSG, "csr is not a valid certificate request");
	return issue_client(h, csr, m, e);
}

/* Split the configured names in place; names has NAMES_MAX + 1 pointers. */
static int split_names(char *text, const char **names, struct err *e)
{
	char *save = NULL;
	size_t n = 0;

	for (char *s = strtok_r(text, ", ", &save); s; s = strtok_r(NULL, ", ", &save)) {
		if (n == NAMES_MAX)
			return err_set(e, -E2BIG, "names has more than %d names", NAMES_MAX);
		names[n++] = s;
	}
	names[n] = NULL;
	return n ? 0 : err_set(e, -EINVAL, "names has no name");
}

int enrol_check_names(const char *names, struct err *e)
{
	_cleanup_free_ char *text = strdup(names);
	const char *list[NAMES_MAX + 1];
	int rc = text ? split_names(text, list, e) : err_set(e, -ENOMEM, "out of memory");

	for (size_t i = 0; rc == 0 && list[i]; i++) {
		if (!pki_name_valid(list[i]))
			rc = err_set(e, -EINVAL, "\"%.300s\" is neither", list[i]);
	}
	return rc;
}

/* For people alone: agents look at the names, which may be longer than a subject has room for. */
static const char *subject(const char *name)
{
	return strlen(name) <= PKI_COMMON_NAME_MAX ? name : "mobility-appliance";
}

static int write_pem(const struct home *h, const char *name, const char *pem, struct err *e)
{
	_cleanup_free_ char *path = home_path(h->dir, name);

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	return io_write_file_atomic(path, pem, strlen(pem), 0600, e);
}

int enrol_issue_server(const struct config *c, const char *ca_key, const char *ca, char **pem,
		       struct err *e)
{
	_cleanup_free_ char *text = strdup(c->names), *key = NULL, *csr = NULL;
	_cleanup_free_ char *certificate = NULL;
	const char *names[NAMES_MAX + 1];
	struct pki_issue what = {
		.names = names,
		.server = true,
		.valid_s = c->server_life_ns / NSEC_PER_SEC,
	};
	int rc;

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	rc = split_names(text, names, e);
	if (rc == 0)
		what.common_name = subject(names[0]);
	if (rc == 0)
		rc = pki_new_csr(what.common_name, &key, &csr, e);
	if (rc == 0)
		rc = pki_issue(ca_key, ca, csr, &what, &certificate, NULL, e);
	/* One file, so that a crash cannot leave the key of one certificate beside another. */
	if (rc == 0 && asprintf(pem, "%s%s", key, certificate) < 0) {
		*pem = NULL;
		rc = err_set(e, -ENOMEM, "out of memory");
	}
	if (key)
		explicit_bzero(key, strlen(key));
	return rc;
}

int enrol_server(const struct home *h, struct err *e)
{
	_cleanup_free_ char *ca = home_read(h->dir, HOME_CA, e), *both = NULL;
	_cleanup_free_ char *key = ca ? home_read(h->dir, HOME_CA_KEY, e) : NULL;
	int rc;

	if (!key)
		return e->code;
	rc = enrol_issue_server(&h->config, key, ca, &both, e);
	if (rc == 0)
		rc = write_pem(h, HOME_SERVER, both, e);
	if (both)
		explicit_bzero(both, strlen(both));
	explicit_bzero(key, strlen(key));
	return rc;
}

bool enrol_server_due(const struct home *h, uint64_t now)
{
	struct err e;
	_cleanup_free_ char *pem = home_read(h->dir, HOME_SERVER, &e);
	uint64_t begin, end;

	if (!pem || pki_cert_life(pem, &begin, &end, &e) < 0)
		return true;
	return now >= end || end - now < (end - begin) / 3;
}
