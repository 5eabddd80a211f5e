/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS side of the server: the certificate that it shows, which can be replaced while it serves, and who the peer is. tls_load() from one
 * thread at a time; the rest from any.
 */
#ifndef APPLIANCE_TLS_H
#define APPLIANCE_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <time.h>

#include "lib/digest.h"
#include "lib/err.h"

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3"

/* Show this key and certificate (PEM, both in one text) from the next connection on. */
int tls_load(const char *pem, struct err *e);
/* After the last connection has ended. */
void tls_unload(void);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK. */
int tls_certificate(gnutls_session_t session, const gnutls_datum_t *request, int nreqs,
		    const gnutls_pk_algorithm_t *algorithms, int algorithms_length,
		    gnutls_pcert_st **pcert, unsigned int *pcert_length, gnutls_privkey_t *key);

/* What is known of a connection's peer; zeros at first. The thread that serves the connection has it alone. */
struct tls_known {
	time_t since, until; /* the certificate was checked, and need not be again */
	char machine[UUID_TEXT_BYTES];
};

/*
 * The machine id of the peer's certificate, if it is one of our CA, for clients, and in force now; -EKEYREJECTED otherwise. The
 * certificate is in force to the second, the CA to the minute.
 */
int tls_peer(gnutls_session_t session, struct tls_known *known, char machine[UUID_TEXT_BYTES],
	     struct err *e);

#endif
