// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_http.h"

#define PEM_MAX 65536

static int take_text(const json_t *o, const char *key, char **out, struct err *e)
{
	const char *s;
	int r = json_get_str(o, key, 1, PEM_MAX, &s, e);

	if (r) {
		if (e)
			e->code = -EPROTO;
		return err_prefix(e, "the answer of the appliance cannot be understood");
	}
	*out = strdup(s);
	return *out ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int api_ca(struct api *a, char **ca_pem, struct err *e)
{
	_cleanup_json_ json_t *o = NULL;
	int r = api_json(a, "GET", false, "/v1/ca", NULL, &o, e);

	return r ? r : take_text(o, "ca", ca_pem, e);
}

int api_enroll(struct api *a, const char *token, const char *hostname, const char *csr,
	       struct enrolment *out, struct err *e)
{
	_cleanup_json_ json_t *o = NULL, *body = NULL;
	uint8_t id[UUID_BYTES];
	const char *machine;
	uint64_t port;
	int r;

	memset(out, 0, sizeof(*out));
	body = json_pack("{s:s, s:s, s:s}", "token", token, "hostname", hostname, "csr", csr);
	if (!body)
		return err_set(e, -EINVAL, "the token or the host name is not UTF-8 text");
	r = api_json(a, "POST", false, "/v1/enroll", body, &o, e);
	if (r)
		return r;
	if (json_get_str(o, "machine", UUID_TEXT_BYTES - 1, UUID_TEXT_BYTES - 1, &machine, e) ||
	    uuid_parse_text(machine, id) || json_get_u64(o, "data_port", 65535, &port, e) || !port)
		return err_set(e, -EPROTO,
			       "the answer of the appliance cannot be understood: "
			       "no machine id or data port in it");
	strcpy(out->machine, machine);
	out->data_port = (unsigned int)port;
	return take_text(o, "certificate", &out->certificate, e);
}

void api_enrolment_clear(struct enrolment *en)
{
	free(en->certificate);
	memset(en, 0, sizeof(*en));
}

int api_renew(struct api *a, const char *csr, char **certificate, struct err *e)
{
	_cleanup_json_ json_t *o = NULL, *body = json_pack("{s:s}", "csr", csr);
	int r = api_json(a, "POST", false, "/v1/renew", body, &o, e);

	return r ? r : take_text(o, "certificate", certificate, e);
}
