/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the threads of mobilityd share. Threads: main (signals, control socket, watchdog, meters),
 * one for each control connection, the session (all decisions and everything about epochs), its
 * workers.
 *
 *	member			who may touch it
 *	config			constant after start
 *	store, bookmarks	any thread (they lock)
 *	disks			the session publishes; others read under agent_rcu_lock()
 *	link, setback, renewal,	any thread, through the functions below (they lock)
 *	facts
 *	totals			any thread (atomics)
 *	rate, http_link, stages	any thread (they lock, or are atomics)
 *	explain			explain.h
 *	waiting			waiting.h
 *	stop, cancel		any thread, by __atomic
 *	kmod			the session opens and closes it; others call agent_kmod_view()
 */
#ifndef MOBILITY_AGENT_AGENT_H
#define MOBILITY_AGENT_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/api.h"
#include "agent/bookmark.h"
#include "agent/config.h"
#include "agent/disk.h"
#include "agent/explain.h"
#include "agent/stages.h"
#include "agent/state.h"
#include "agent/waiting.h"
#include "lib/http.h"
#include "lib/rate.h"

struct totals {
	_Atomic uint64_t read_bytes, data_bytes, sent_bytes, zero_bytes, unchanged_bytes;
	_Atomic uint64_t epochs, retries;
	_Atomic uint64_t skipped_bytes[SKIP_KINDS]; /* sent as zeros, unread */
};

struct link {
	bool connected; /* the last request got an answer */
	uint64_t since_ns; /* real time of the last change of connected */
	int code; /* of error; 0 none */
	char error[512]; /* "" if the last request succeeded */
};

/*
 * Attempts to replicate that failed in a row though the appliance answers: for a reason of this
 * machine, or because the appliance refuses.
 */
struct setback {
	unsigned int count; /* 0: the last attempt did not fail */
	struct err last;
};

/* No read, and no write before a boundary, takes so long: something is wrong. */
#define OVERDUE_NS (10 * NSEC_PER_SEC)

/* Why an epoch is no recovery point: what would help depends on it. */
enum loss { LOSS_OTHER, LOSS_POOL_FULL, LOSS_SCANNED };

/* What is known of the machine's points and epochs. */
struct facts {
	uint64_t epoch; /* the appliance's last committed */
	bool has_point;
	struct remote_point point;
	char fuzzy[512]; /* why the last epoch that was meant to be one is none; "" if it is one */
	enum loss loss; /* of fuzzy */
	char application[512]; /* why the last application-consistent one is none; "" */
	uint64_t retention_s; /* the appliance's, 0: not known */
};

struct agent {
	struct config config;
	struct store *store;
	struct bookmarks *bookmarks;
	struct disk_table *disks; /* never NULL */
	struct totals totals;
	struct rate rate; /* of all connections together */
	struct http_link http_link;
	struct stages stages;
	struct explain explain;
	pthread_mutex_t lock; /* guards the next five and kmod's life */
	struct link link;
	struct setback setback;
	struct err renewal; /* of the certificate: why the last failed; code 0: it did not */
	struct facts facts;
	struct waiting waiting;
	struct kmod *kmod; /* NULL: absent */
	char kmod_absent[512]; /* why */
	bool stop; /* the program ends */
	volatile bool cancel; /* the epoch under way is to be abandoned */
	_Atomic uint64_t session_alive_ns; /* monotonic: the session was seen alive */
	_Atomic uint64_t
		running_since; /* monotonic: replication may run; 0: it is paused, or there is nothing to do */
	_Atomic uint64_t
		sealing_since; /* monotonic: writes before a boundary are waited for; 0: none are */
	_Atomic uint64_t in_flight; /* so many, when last looked */
	_Atomic uint32_t segment_version, codecs; /* struct dialect of the appliance */
	_Atomic uint64_t identity; /* grows when the certificate files change */
	int wake_fd; /* eventfd: the session has something to do */
};

int agent_init(struct agent *a, struct err *e); /* config is loaded already */
void agent_destroy(struct agent *a); /* no other thread is left */

bool agent_stopping(struct agent *a);
void agent_stop(struct agent *a);
void agent_wake(struct agent *a);
void agent_cancel_epoch(struct agent *a);
/* How long the session has shown no life, and how long that may last: a few requests. One that is silent longer hangs. */
uint64_t agent_silent_ns(struct agent *a);
uint64_t agent_silence_limit(const struct agent *a);
/* How long writes before a boundary have been waited for; 0: none are. */
uint64_t agent_sealing_ns(struct agent *a);

/* The outcome of a request to the appliance: code 0, or e of an api_* call. */
void agent_link(struct agent *a, int code, const struct err *e);
struct link agent_link_get(struct agent *a);
void agent_setback(struct agent *a, const struct err *e); /* NULL: it is overcome */
struct setback agent_setback_get(struct agent *a);
void agent_renewal(struct agent *a, const struct err *e); /* NULL: it did not fail */
struct err agent_renewal_get(struct agent *a);
void agent_facts_set(struct agent *a, const struct facts *f);
struct facts agent_facts_get(struct agent *a);

void agent_kmod_set(struct agent *a, struct kmod *k, const char *absent);
/* The module as it is now; mode KMOD_ABSENT with the reason if there is none. */
void agent_kmod_view(struct agent *a, struct kmod_view *out);

/* What every connection to the appliance has in common: proxy, time-outs, limits. */
void agent_http(struct agent *a, struct http_config *c);
/* A connection under the identity in the store, for one thread. st tells the address. */
struct api *agent_api(struct agent *a, const struct state *st, struct err *e);
/* The same; its calls end when *cancel becomes true. */
struct api *agent_api_until(struct agent *a, const struct state *st, const volatile bool *cancel,
			    struct err *e);

#endif
