/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a server says that it took: the header "Server-Timing: total;dur=12.3, disk;dur=4" (W3C;
 * milliseconds). Pure; the bytes are not trusted.
 */
#ifndef MOBILITY_HTTP_TIMING_H
#define MOBILITY_HTTP_TIMING_H

#include <stddef.h>
#include <stdint.h>

/*
 * One header line, which need not end with a 0 byte. What is not that header, or not understood,
 * changes nothing.
 */
void http_timing(const char *line, size_t len, uint64_t *total_ns, uint64_t *disk_ns);

#endif
