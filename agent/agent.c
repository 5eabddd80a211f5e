// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/rcu.h"
#include "lib/clock.h"
#include "lib/log.h"

#ifdef AGENT_TSAN
char agent_rcu_tag;
#endif

int agent_init(struct agent *a, struct err *e)
{
	int r;

	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->explain.lock, NULL);
	rate_init(&a->rate, &a->config.bandwidth);
	a->http_link.rate = &a->rate;
	snprintf(a->kmod_absent, sizeof(a->kmod_absent), "it has not been looked for yet");
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake_fd < 0)
		return err_errno(e, -errno, "cannot create an event descriptor");
	a->bookmarks = bookmarks_new();
	a->disks = calloc(1, sizeof(*a->disks));
	if (!a->bookmarks || !a->disks)
		return err_set(e, -ENOMEM, "out of memory");
	r = store_open(a->config.state_dir, &a->store, e);
	atomic_store(&a->session_alive_ns, clock_monotonic_ns());
	return r;
}

void agent_destroy(struct agent *a)
{
	for (size_t i = 0; a->disks && i < a->disks->count; i++)
		disk_free(a->disks->disk[i]);
	free(a->disks);
	kmod_close(a->kmod);
	bookmarks_free(a->bookmarks);
	store_close(a->store);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	pthread_mutex_destroy(&a->explain.lock);
	rate_destroy(&a->rate);
	pthread_mutex_destroy(&a->lock);
}

bool agent_stopping(struct agent *a)
{
	return __atomic_load_n(&a->stop, __ATOMIC_ACQUIRE);
}

void agent_stop(struct agent *a)
{
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
	agent_cancel_epoch(a);
	bookmarks_end(a->bookmarks);
}

void agent_wake(struct agent *a)
{
	uint64_t one = 1;

	/* A full counter wakes as well: nothing can fail that matters. */
	if (write(a->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("cannot wake the session: %s", strerror(errno));
}

void agent_cancel_epoch(struct agent *a)
{
	__atomic_store_n(&a->cancel, true, __ATOMIC_RELEASE);
	agent_wake(a);
}

uint64_t agent_silent_ns(struct agent *a)
{
	uint64_t alive = atomic_load(&a->session_alive_ns), now = clock_monotonic_ns();

	return now > alive ? now - alive : 0;
}

uint64_t agent_silence_limit(const struct agent *a)
{
	return 60 * NSEC_PER_SEC + 4 * (a->config.connect_timeout + a->config.stall_timeout);
}

uint64_t agent_sealing_ns(struct agent *a)
{
	uint64_t since = atomic_load(&a->sealing_since);

	return since ? clock_monotonic_ns() - since : 0;
}

void agent_link(struct agent *a, int code, const struct err *e)
{
	/*
	 * Whatever the appliance says, it is there; only a request without an answer tells of a
	 * lost connection.
	 */
	bool connected = code != -EHOSTDOWN && code != -EKEYREJECTED && code != -ENOKEY;
	bool changed, news = false;

	if (code == -ECANCELED)
		return;
	pthread_mutex_lock(&a->lock);
	changed = a->link.connected != connected || !a->link.since_ns;
	if (changed) {
		a->link.connected = connected;
		a->link.since_ns = clock_realtime_ns();
	}
	if (a->link.code != code)
		news = true;
	a->link.code = code;
	snprintf(a->link.error, sizeof(a->link.error), "%s", code && e ? e->text : "");
	pthread_mutex_unlock(&a->lock);
	if (changed && connected)
		log_info("connected to the appliance");
	if (news && code)
		log_warning("%s", e ? e->text : strerror(-code));
}

struct link agent_link_get(struct agent *a)
{
	struct link l;

	pthread_mutex_lock(&a->lock);
	l = a->link;
	pthread_mutex_unlock(&a->lock);
	return l;
}

void agent_setback(struct agent *a, const struct err *e)
{
	pthread_mutex_lock(&a->lock);
	a->setback.count = e ? a->setback.count + 1 : 0;
	if (e)
		a->setback.last = *e;
	pthread_mutex_unlock(&a->lock);
}

struct setback agent_setback_get(struct agent *a)
{
	struct setback s;

	pthread_mutex_lock(&a->lock);
	s = a->setback;
	pthread_mutex_unlock(&a->lock);
	return s;
}

void agent_renewal(struct agent *a, const struct err *e)
{
	pthread_mutex_lock(&a->lock);
	a->renewal = e ? *e : (struct err){0};
	pthread_mutex_unlock(&a->lock);
}

struct err agent_renewal_get(struct agent *a)
{
	struct err e;

	pthread_mutex_lock(&a->lock);
	e = a->renewal;
	pthread_mutex_unlock(&a->lock);
	return e;
}

void agent_facts_set(struct agent *a, const struct facts *f)
{
	pthread_mutex_lock(&a->lock);
	a->facts = *f;
	pthread_mutex_unlock(&a->lock);
}

struct facts agent_facts_get(struct agent *a)
{
	struct facts f;

	pthread_mutex_lock(&a->lock);
	f = a->facts;
	pthread_mutex_unlock(&a->lock);
	return f;
}

void agent_kmod_set(struct agent *a, struct kmod *k, const char *absent)
{
	struct kmod *old;

	pthread_mutex_lock(&a->lock);
	old = a->kmod;
	a->kmod = k;
	snprintf(a->kmod_absent, sizeof(a->kmod_absent), "%s", absent);
	pthread_mutex_unlock(&a->lock);
	if (old != k)
		kmod_close(old);
}

void agent_kmod_view(struct agent *a, struct kmod_view *out)
{
	struct err e;

	pthread_mutex_lock(&a->lock);
	memset(out, 0, sizeof(*out));
	if (!a->kmod)
		snprintf(out->reason, sizeof(out->reason), "%.159s", a->kmod_absent);
	else if (kmod_view(a->kmod, out, &e))
		snprintf(out->reason, sizeof(out->reason), "%.159s", e.text);
	pthread_mutex_unlock(&a->lock);
}

void agent_http(struct agent *a, struct http_config *c)
{
	*c = (struct http_config){
		.proxy = a->config.proxy && a->config.proxy[0] ? a->config.proxy : NULL,
		.no_proxy = a->config.no_proxy,
		.link = &a->http_link,
		.connect_timeout_ns = a->config.connect_timeout,
		.stall_timeout_ns = a->config.stall_timeout,
	};
}

struct api *agent_api_until(struct agent *a, const struct state *st, const volatile bool *cancel,
			    struct err *e)
{
	struct http_config c;

	agent_http(a, &c);
	c.ca_file = store_ca_file(a->store);
	c.cert_file = store_cert_file(a->store);
	c.key_file = store_key_file(a->store);
	c.cancel = cancel;
	return api_new(st->host, st->control_port, st->data_port, &c, e);
}

struct api *agent_api(struct agent *a, const struct state *st, struct err *e)
{
	return agent_api_until(a, st, &a->cancel, e);
}
