/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appliance's folder: configuration, catalog, store and keys, as every command needs them. Opened once by the main thread; its members may be used
 * from any thread as their own headers say.
 */
#ifndef APPLIANCE_HOME_H
#define APPLIANCE_HOME_H

#include "appliance/catalog.h"
#include "appliance/config.h"
#include "appliance/store/store.h"

struct home {
	char *dir;
	struct config config;
	struct catalog *catalog;
	struct store *store;
};

int home_open(struct home *h, const char *dir, struct err *e);
void home_close(struct home *h);

/* dir "/" name; the caller frees. NULL: out of memory. */
char *home_path(const char *dir, const char *name);
/* A PEM file of the folder; the caller frees. NULL with *e. */
char *home_read(const char *dir, const char *name, struct err *e);
/* Files of keys and certificates, below the folder. */
#define HOME_CA_KEY "pki/ca.key"
#define HOME_CA "pki/ca.pem"
#define HOME_SERVER "pki/server.pem" /* private key and certificate */

/*
 * Take the lock that one process holds: `serve`, or a command that changes what only serve may change. -EBUSY. Returns a descriptor; closing it
 * gives the lock back.
 */
int home_lock(const struct home *h, struct err *e);

#endif
