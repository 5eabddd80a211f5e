/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: one requester at a time on a unix socket, root only. Main thread.
 */
#ifndef VSS_SHIM_SERVER_H
#define VSS_SHIM_SERVER_H

#include "vss-shim/settings.h"

/* Serves until a signal that signals (signalfd) has; 0 or a negative errno. */
int serve(const struct settings *s, int signals, struct err *e);

#endif
