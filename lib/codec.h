/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of one extent, by zlib or zstd. A struct codec keeps the libraries' contexts for one
 * thread.
 */
#ifndef MOBILITY_CODEC_H
#define MOBILITY_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "include/mobility/wire.h"

/*
 * Levels: zlib's are 1 to 9. zstd's own from 1 on; below 1 are two that look for matches by a table
 * small enough for the processor's first cache: -1, and -2, which leaves literals as they are.
 */
#define CODEC_ZSTD_WEAKEST (-2)

struct codec;
struct codec *codec_new(void); /* NULL: out of memory */
void codec_free(struct codec *c);
void codec_freep(struct codec **c);

/*
 * Compress len bytes (<= WIRE_EXTENT_DATA_MAX) into out, of which cap bytes may be used. Returns
 * the stored length (> 0 and < len), or 0 when it does not become smaller than len by at least 1/16
 * or does not fit: the caller then stores the bytes as they are.
 */
size_t codec_compress(struct codec *c, enum wire_codec codec, int level, const void *in, size_t len,
		      void *out, size_t cap);

/*
 * Decompress to exactly out_len bytes, else -EBADMSG. WIRE_CODEC_NONE copies. -EPROTONOSUPPORT:
 * unknown codec.
 */
int codec_decompress(struct codec *c, enum wire_codec codec, const void *in, size_t in_len,
		     void *out, size_t out_len);

const char *codec_name(enum wire_codec codec); /* "none" "zlib" "zstd" */
int codec_parse(const char *name); /* enum wire_codec or -EINVAL */

#endif
