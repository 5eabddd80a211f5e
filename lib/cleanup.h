/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-based cleanup: _cleanup_(f) runs f on the variable's address when it goes out of
 * scope. For use in any thread. The steal helper hands a resource on to somebody else.
 */
#ifndef MOBILITY_CLEANUP_H
#define MOBILITY_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_fclose_ _cleanup_(cleanup_fclosep)

static inline void *cleanup_steal_ptr(void *p)
{
	void **pp = p, *v = *pp;

	*pp = NULL;
	return v;
}

static inline int cleanup_steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
