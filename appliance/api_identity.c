/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "appliance/api.h"
#include "appliance/body.h"
#include "appliance/enrol.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

void api_ca(struct request *r)
{
	struct err e;
	_cleanup_free_ char *ca = home_read(r->app->home.dir, HOME_CA, &e);

	if (!ca)
		reply_failed(r, -EIO, &e);
	else
		reply_json(r, 200, json_pack("{s:s}", "ca", ca));
}

static void enrol_refused(struct request *r, int rc, const struct err *e)
{
	switch (rc) {
	case -EKEYREJECTED:
		reply_error(r, API_BAD_TOKEN, "%s", e->text);
		break;
	case -EKEYEXPIRED:
		reply_error(r, API_EXPIRED_TOKEN, "%s", e->text);
		break;
	case -EKEYREVOKED:
		reply_error(r, API_USED_TOKEN, "%s", e->text);
		break;
	default:
		reply_failed(r, rc, e);
	}
}

void api_enroll(struct request *r)
{
	_cleanup_(body_enroll_clear) struct body_enroll b;
	_cleanup_(enrolment_clear) struct enrolment m = {0};
	_cleanup_free_ char *ca = NULL;
	struct err e;
	int rc = body_enroll(r->body, r->len, &b, &e);

	if (rc == 0)
		rc = enrol_machine(&r->app->home, b.token, b.hostname, b.csr, clock_realtime_ns(),
				   &m, &e);
	if (rc < 0) {
		enrol_refused(r, rc, &e);
		return;
	}
	ca = home_read(r->app->home.dir, HOME_CA, &e);
	if (!ca) {
		reply_failed(r, -EIO, &e);
		return;
	}
	log_info("machine %s (%s) enrolled from %s", m.machine, b.hostname, r->peer);
	reply_json(r, 201,
		   json_pack("{s:s, s:s, s:s, s:i, s:I}", "machine", m.machine, "certificate",
			     m.certificate, "ca", ca, "data_port", (int)r->app->data_port,
			     "expires", (json_int_t)m.expires));
}

void api_renew(struct request *r)
{
	_cleanup_(body_renew_clear) struct body_renew b;
	_cleanup_(enrolment_clear) struct enrolment m = {0};
	struct err e;
	int rc = body_renew(r->body, r->len, &b, &e);

	if (rc == 0)
		rc = enrol_renew(&r->app->home, r->machine, b.csr, &m, &e);
	if (rc < 0) {
		reply_failed(r, rc, &e);
		return;
	}
	log_info("machine %s has a new certificate", r->machine);
	reply_json(r, 200,
		   json_pack("{s:s, s:I}", "certificate", m.certificate, "expires",
			     (json_int_t)m.expires));
}
