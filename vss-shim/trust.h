/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a program be run as root? Only if nobody else can change it. Any thread.
 */
#ifndef VSS_SHIM_TRUST_H
#define VSS_SHIM_TRUST_H

#include "lib/err.h"

/*
 * path is absolute. The file behind it, which is to be executable, its folder, the folder of path
 * and all above these belong to root (or to the user that we are) and can be written by nobody else;
 * further up a folder with the sticky bit is fine, since there nobody replaces what is ours. *real
 * (allocated) is the path to run.
 */
int trust_program(const char *path, char **real, struct err *e);

#endif
