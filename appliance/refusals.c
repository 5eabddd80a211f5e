/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "appliance/refusals.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PEERS 256
#define BURST 20
#define WINDOW_NS (60 * NSEC_PER_SEC)

static struct {
	char peer[64];
	uint64_t window; /* when it began */
	uint64_t logged, skipped;
} table[PEERS];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

int refusal_allowed(const char *peer, uint64_t now_ns, uint64_t *skipped)
{
	unsigned int hash = 2166136261u, i;
	int allowed = 0;

	for (const char *p = peer; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	i = hash % PEERS;
	pthread_mutex_lock(&table_lock);
	*skipped = 0;
	if (strcmp(table[i].peer, peer) || now_ns - table[i].window >= WINDOW_NS) {
		/* A peer that lands on another's place takes it over: at worst a few lines more. */
		if (!strcmp(table[i].peer, peer))
			*skipped = table[i].skipped;
		snprintf(table[i].peer, sizeof(table[i].peer), "%s", peer);
		table[i].window = now_ns;
		table[i].logged = table[i].skipped = 0;
	}
	if (table[i].logged < BURST) {
		table[i].logged++;
		allowed = 1;
	} else {
		table[i].skipped++;
	}
	pthread_mutex_unlock(&table_lock);
	return allowed;
}

void refusal_log(const char *peer, const char *what, const char *why)
{
	uint64_t skipped;

	if (!refusal_allowed(peer, clock_monotonic_ns(), &skipped))
		return;
	if (skipped)
		log_info("%s: %llu more refused requests were not logged", peer,
			 (unsigned long long)skipped);
	log_info("%s: refused %s%s%s", peer, what, why ? ": " : "", why ? why : "");
}
