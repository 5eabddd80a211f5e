/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and sizes as people read them. Pure functions for any thread.
 */
#ifndef MOBILITY_CLOCK_H
#define MOBILITY_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_SEC 1000000000ull

uint64_t clock_realtime_ns(void);
uint64_t clock_monotonic_ns(void);
/* The same, but it goes on while the machine is suspended. */
uint64_t clock_boottime_ns(void);
/* "2026-01-31T10:20:30Z"; out has 32 bytes; returns out */
char *clock_format_utc(uint64_t realtime_ns, char out[32]);
/* "412 B", "1.5 KiB", "3.2 GiB" */
char *size_format(uint64_t bytes, char out[32]);
/* "850 ms", "12 s", "3 min 20 s", "5 h 12 min" */
char *duration_format(uint64_t ns, char out[32]);
/* "64M", "4KiB", "1G", "512": bytes, powers of 1024; -EINVAL, -ERANGE */
int size_parse(const char *s, uint64_t *bytes);
/* "500ms", "10s", "5m", "24h", "7d"; ns */
int duration_parse(const char *s, uint64_t *ns);

#endif
