/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/listen.h"
#include "appliance/refusals.h"
#include "appliance/router.h"
#include "appliance/server.h"
#include "appliance/tls.h"
#include "appliance/upload.h"
#include "include/mobility/wire.h"
#include "lib/clock.h"
#include "lib/log.h"

#define CONNECTION_MEMORY (128u << 10) /* buffers of a connection: headers and a piece of body */
#define ADMISSION_WAIT_NS (10 * NSEC_PER_SEC) /* for memory for a body */
#define THREAD_STACK (1u << 20) /* of each connection */

struct port {
	struct server *server;
	enum listener listener;
	struct MHD_Daemon *daemon;
};

struct server {
	struct appliance *app;
	struct admission admission;
	struct admission_flow nobody; /* requests without a machine */
	char *ca; /* PEM */
	struct port control, data;
};

/* A request while it arrives. */
struct exchange {
	struct request request;
	const struct route *route;
	struct upload upload;
	bool discard; /* refused: what still comes of the body is read and dropped */
};

/* --- what the first look at a request decides ---------------------------------------------- */

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool check_peer(struct MHD_Connection *c, struct request *r)
{
	/* The answers of the library share their memory: each is used before the next. */
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	gnutls_session_t session = i ? (gnutls_session_t)i->tls_session : NULL;
	struct tls_known *known = NULL;
	struct machine_row m;
	struct err e;

	i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (i)
		known = i->socket_context;
	if (!session || !known) {
		reply_error(r, API_INTERNAL, "there is no TLS session, or no memory for it");
		return false;
	}
	if (tls_peer(session, known, r->machine, &e) < 0) {
		reply_error(r, API_NO_CERTIFICATE, "%s", e.text);
		return false;
	}
	return request_machine(r, &m);
}

/* The announced length of the body; false with the reply made. */
static bool check_length(struct MHD_Connection *c, struct exchange *x, uint64_t *length)
{
	const char *text = header(c, "Content-Length");
	char *end;

	*length = 0;
	if (!x->route->body_max && !text && !header(c, "Transfer-Encoding"))
		return true;
	if (!text || header(c, "Transfer-Encoding")) {
		reply_error(&x->request, API_LENGTH_REQUIRED,
			    "a request with a body gives its length in Content-Length");
		return false;
	}
	errno = 0;
	*length = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9') {
		reply_error(&x->request, API_MALFORMED, "Content-Length is not a number");
		return false;
	}
	if (*length > x->route->body_max) {
		reply_error(&x->request, API_TOO_LARGE,
			    "the body has %llu bytes, and %zu are allowed here",
			    (unsigned long long)*length, x->route->body_max);
		return false;
	}
	return true;
}

static struct admission_flow *flow_of(struct server *s, struct exchange *x)
{
	struct live_machine *m =
		x->route->open ? NULL : live_machine(s->app->live, x->request.machine);

	return m ? &m->flow : &s->nobody;
}

/* Long enough for every machine's turn on a busy day, short enough that neither side takes the connection to be dead. */
static uint64_t admission_wait(const struct server *s)
{
	uint64_t idle = s->app->home.config.idle_timeout_ns;

	return idle / 3 < ADMISSION_WAIT_NS ? idle / 3 : ADMISSION_WAIT_NS;
}

/* True: the body may come. False: the reply is made. */
static bool admit(struct server *s, struct MHD_Connection *c, struct exchange *x)
{
	uint64_t length;

	x->route = router_find(&x->request);
	if (!x->route || (!x->route->open && !check_peer(c, &x->request)))
		return false;
	if (!check_length(c, x, &length))
		return false;
	if (upload_begin(&x->upload, &s->admission, flow_of(s, x), (size_t)length,
			 admission_wait(s)) < 0) {
		reply_error(&x->request, API_BUSY,
			    "the appliance has no memory for the body now; try again");
		return false;
	}
	return true;
}

/*
 * Is it worth reading the refused body to its end? An answer on a connection that is closed with bytes unread can be lost to the peer; but nobody may make us
 * read without bounds.
 */
static bool drain_worthwhile(struct MHD_Connection *c, uint64_t *length)
{
	const char *text = header(c, "Content-Length");

	*length = text ? strtoull(text, NULL, 10) : 0;
	return text && !header(c, "Expect") && *length <= WIRE_SEGMENT_MAX;
}

/* --- the answer ---------------------------------------------------------------------------- */

static void log_answer(const struct exchange *x)
{
	const struct request *r = &x->request;
	char what[256];

	if (r->reply.code == API_OK) {
		log_debug("%s: %s %s %u", r->peer, r->method, r->path, r->reply.status);
		return;
	}
	snprintf(what, sizeof(what), "%.10s %.160s with %u %s", r->method, r->path, r->reply.status,
		 api_code_name(r->reply.code));
	refusal_log(r->peer, what, x->route && x->route->secret ? NULL : r->reply.message);
}

static enum MHD_Result answer(struct MHD_Connection *c, struct exchange *x)
{
	struct reply *p = &x->request.reply;
	struct MHD_Response *response;
	enum MHD_Result rc;
	char seconds[16], timing[96];

	log_answer(x);
	response = MHD_create_response_from_buffer(p->len, p->body ? p->body : (void *)"",
						   MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	if (p->type)
		MHD_add_response_header(response, "Content-Type", p->type);
	if (p->retry_after) {
		snprintf(seconds, sizeof(seconds), "%u", p->retry_after);
		MHD_add_response_header(response, "Retry-After", seconds);
	}
	if (p->verify_ns) {
		snprintf(timing, sizeof(timing), "verify;dur=%.3f, disk;dur=%.3f",
			 (double)p->verify_ns / 1e6, (double)p->disk_ns / 1e6);
		MHD_add_response_header(response, "Server-Timing", timing);
	}
	rc = MHD_queue_response(c, p->status, response);
	MHD_destroy_response(response);
	return rc;
}

/* --- libmicrohttpd's callbacks -------------------------------------------------------------- */

static struct exchange *exchange_new(struct port *port, struct MHD_Connection *c, const char *url,
				     const char *method)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->request.app = port->server->app;
	x->request.listener = port->listener;
	x->request.method = method;
	x->request.path = url;
	listen_peer(i ? i->client_addr : NULL, x->request.peer, sizeof(x->request.peer));
	return x;
}

static enum MHD_Result first_look(struct server *s, struct MHD_Connection *c, struct exchange *x)
{
	uint64_t length;

	if (admit(s, c, x))
		return MHD_YES;
	x->discard = true;
	if (!drain_worthwhile(c, &length))
		return answer(c, x);
	upload_drop(&x->upload, &s->admission, (size_t)length);
	return MHD_YES;
}

/* No answer: the connection ends, and what still comes on it is not read. */
static enum MHD_Result take(struct exchange *x, const char *data, size_t len)
{
	int rc = upload_add(&x->upload, data, len);

	if (rc == -ETIMEDOUT)
		refusal_log(x->request.peer, "a body that came too slowly", NULL);
	return rc < 0 ? MHD_NO : MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **state)
{
	struct port *port = arg;
	struct exchange *x = *state;

	(void)version;
	if (!x) {
		x = exchange_new(port, c, url, method);
		if (!x)
			return MHD_NO;
		*state = x;
		return first_look(port->server, c, x);
	}
	if (*size) {
		size_t len = *size;

		*size = 0;
		return take(x, data, len);
	}
	if (!x->discard) {
		if (!upload_whole(&x->upload))
			return MHD_NO;
		x->request.body = x->upload.data;
		x->request.len = x->upload.len;
		x->route->handler(&x->request);
		upload_end(&x->upload);
	}
	return answer(c, x);
}

static void completed(void *arg, struct MHD_Connection *c, void **state,
		      enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *state;

	(void)arg;
	(void)c;
	if (!x)
		return;
	if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		refusal_log(x->request.peer, "a request that stalled", NULL);
	upload_end(&x->upload);
	reply_clear(&x->request.reply);
	free(x);
	*state = NULL;
}

/* Without memory for it its requests are refused. */
static void connected(void *arg, struct MHD_Connection *c, void **known,
		      enum MHD_ConnectionNotificationCode what)
{
	(void)arg;
	(void)c;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*known = calloc(1, sizeof(struct tls_known));
		return;
	}
	free(*known);
	*known = NULL;
}

static void mhd_log(void *arg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void mhd_log(void *arg, const char *fmt, va_list ap)
{
	char text[512];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

/* Path elements are never percent-encoded: what looks so is left as it is, and is no path of ours. */
static size_t no_unescape(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return strlen(s);
}

/* --- starting and stopping ------------------------------------------------------------------ */

static int port_start(struct server *s, struct port *p, enum listener listener, const char *where,
		      unsigned int *number, struct err *e)
{
	const struct config *conf = &s->app->home.config;
	int fd = listen_open(where, number, e);

	if (fd < 0)
		return fd;
	p->server = s;
	p->listener = listener;
	p->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
			MHD_USE_TLS | MHD_USE_ITC | MHD_USE_ERROR_LOG,
		0, NULL, NULL, handle, p, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, connected, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
		no_unescape, NULL, MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,
		MHD_OPTION_HTTPS_MEM_TRUST, s->ca, MHD_OPTION_HTTPS_CERT_CALLBACK, tls_certificate,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)conf->connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int)conf->connections_per_address,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)(conf->idle_timeout_ns / NSEC_PER_SEC),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
	if (p->daemon)
		return 0;
	close(fd);
	return err_set(e, -EIO, "cannot serve on %s: libmicrohttpd refuses to start", where);
}

int server_start(struct appliance *app, struct server **out, struct err *e)
{
	const struct config *conf = &app->home.config;
	struct server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->app = app;
	admission_init(&s->admission, conf->body_memory);
	checkers_init(&app->checkers);
	s->ca = home_read(app->home.dir, HOME_CA, e);
	rc = s->ca ? 0 : e->code;
	/* The data port first: enrolment, on the control port, tells it. */
	if (rc == 0)
		rc = port_start(s, &s->data, LISTENER_DATA, conf->data, &app->data_port, e);
	if (rc == 0)
		rc = port_start(s, &s->control, LISTENER_CONTROL, conf->control, &app->control_port,
				e);
	if (rc < 0) {
		server_stop(s);
		return rc;
	}
	*out = s;
	return 0;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	if (s->control.daemon)
		MHD_stop_daemon(s->control.daemon);
	if (s->data.daemon)
		MHD_stop_daemon(s->data.daemon);
	admission_clear(&s->admission);
	checkers_clear(&s->app->checkers);
	free(s->ca);
	free(s);
}
