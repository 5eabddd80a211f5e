/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/codec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/cleanup.h"

#define SAMPLE_BYTES 2048

struct codec {
	ZSTD_CCtx *zstd_out;
	int zstd_level; /* that zstd_out is set to, when zstd_set */
	bool zstd_set;
	ZSTD_DCtx *zstd_in;
	z_stream deflate, inflate;
	bool deflate_ready, inflate_ready;
	int deflate_level;
};

static const char *const names[] = {
	[WIRE_CODEC_NONE] = "none",
	[WIRE_CODEC_ZLIB] = "zlib",
	[WIRE_CODEC_ZSTD] = "zstd",
};

/*
 * zlib's contexts (256 KiB) are made at first use: most threads need only one direction of one
 * codec.
 */
struct codec *codec_new(void)
{
	struct codec *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->zstd_out = ZSTD_createCCtx();
	c->zstd_in = ZSTD_createDCtx();
	if (!c->zstd_out || !c->zstd_in) {
		codec_free(c);
		return NULL;
	}
	return c;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	if (c->deflate_ready)
		deflateEnd(&c->deflate);
	if (c->inflate_ready)
		inflateEnd(&c->inflate);
	ZSTD_freeCCtx(c->zstd_out);
	ZSTD_freeDCtx(c->zstd_in);
	free(c);
}

void codec_freep(struct codec **c)
{
	codec_free(*c);
}

static int clamp(int v, int min, int max)
{
	return v < min ? min : v > max ? max : v;
}

static bool deflate_prepare(struct codec *c, int level)
{
	if (c->deflate_ready && c->deflate_level == level)
		return deflateReset(&c->deflate) == Z_OK;
	if (c->deflate_ready)
		deflateEnd(&c->deflate);
	memset(&c->deflate, 0, sizeof(c->deflate));
	c->deflate_ready = deflateInit(&c->deflate, level) == Z_OK;
	c->deflate_level = level;
	return c->deflate_ready;
}

/*
 * zlib works long on what cannot be compressed (80 MB/s); zstd sees it at once. Two samples decide.
 */
static bool worthwhile(struct codec *c, const uint8_t *in, size_t len)
{
	uint8_t out[2 * SAMPLE_BYTES], sample[2 * SAMPLE_BYTES];
	size_t n;

	if (len < 4 * SAMPLE_BYTES)
		return true;
	memcpy(sample, in, SAMPLE_BYTES);
	memcpy(sample + SAMPLE_BYTES, in + len / 2, SAMPLE_BYTES);
	n = ZSTD_compressCCtx(c->zstd_out, out, sizeof(out), sample, sizeof(sample), 1);
	return !ZSTD_isError(n) && n < sizeof(sample) - sizeof(sample) / 32;
}

static size_t compress_zlib(struct codec *c, int level, const void *in, size_t len, void *out,
			    size_t cap)
{
	if (!worthwhile(c, in, len) || !deflate_prepare(c, clamp(level, 1, 9)))
		return 0;
	c->deflate.next_in = (Bytef *)in; /* zlib's interface has no const here; it only reads */
	c->deflate.avail_in = (uInt)len;
	c->deflate.next_out = out;
	c->deflate.avail_out = (uInt)cap;
	if (deflate(&c->deflate, Z_FINISH) != Z_STREAM_END)
		return 0;
	return cap - c->deflate.avail_out;
}

/*
 * Of extents of 64 KiB a table of 2^11 entries and matches of at least 7 bytes find nearly all that
 * larger tables find, in three quarters of the time (docs/design.md has the figures).
 */
static size_t set_weak(ZSTD_CCtx *z, int level)
{
	size_t n = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 1);

	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, ZSTD_fast);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, 11);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, 7);
	/* With the fast strategy a length other than 0 says that literals are not coded. */
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(z, ZSTD_c_targetLength, level < -1 ? 1 : 0);
	return n;
}

static bool zstd_prepare(struct codec *c, int level)
{
	size_t n;

	if (c->zstd_set && c->zstd_level == level)
		return true;
	n = ZSTD_CCtx_reset(c->zstd_out, ZSTD_reset_session_and_parameters);
	if (!ZSTD_isError(n))
		n = level < 0 ? set_weak(c->zstd_out, level)
			      : ZSTD_CCtx_setParameter(c->zstd_out, ZSTD_c_compressionLevel, level);
	c->zstd_level = level;
	c->zstd_set = !ZSTD_isError(n);
	return c->zstd_set;
}

static size_t compress_zstd(struct codec *c, int level, const void *in, size_t len, void *out,
			    size_t cap)
{
	size_t n;

	if (!zstd_prepare(c, clamp(level, CODEC_ZSTD_WEAKEST, 19)))
		return 0;
	n = ZSTD_compress2(c->zstd_out, out, cap, in, len);
	return ZSTD_isError(n) ? 0 : n;
}

size_t codec_compress(struct codec *c, enum wire_codec codec, int level, const void *in, size_t len,
		      void *out, size_t cap)
{
	size_t gain = len / 16 ? (len + 15) / 16 : 1;

	if (len <= gain || len > WIRE_EXTENT_DATA_MAX)
		return 0;
	if (cap > len - gain)
		cap = len - gain;
	switch (codec) {
	case WIRE_CODEC_ZLIB:
		return compress_zlib(c, level, in, len, out, cap);
	case WIRE_CODEC_ZSTD:
		return compress_zstd(c, level, in, len, out, cap);
	case WIRE_CODEC_NONE:
		break;
	}
	return 0;
}

static bool inflate_prepare(struct codec *c)
{
	if (c->inflate_ready)
		return inflateReset(&c->inflate) == Z_OK;
	memset(&c->inflate, 0, sizeof(c->inflate));
	c->inflate_ready = inflateInit(&c->inflate) == Z_OK;
	return c->inflate_ready;
}

/* One whole stream with nothing after it. */
static int decompress_zlib(struct codec *c, const void *in, size_t in_len, void *out,
			   size_t out_len)
{
	if (!inflate_prepare(c))
		return -ENOMEM;
	c->inflate.next_in = (Bytef *)in;
	c->inflate.avail_in = (uInt)in_len;
	c->inflate.next_out = out;
	c->inflate.avail_out = (uInt)out_len;
	if (inflate(&c->inflate, Z_FINISH) != Z_STREAM_END)
		return -EBADMSG;
	return c->inflate.avail_in || c->inflate.avail_out ? -EBADMSG : 0;
}

/* One whole frame with nothing after it; the decoder alone would take several, and empty ones. */
static int decompress_zstd(struct codec *c, const void *in, size_t in_len, void *out,
			   size_t out_len)
{
	if (ZSTD_findFrameCompressedSize(in, in_len) != in_len)
		return -EBADMSG;
	return ZSTD_decompressDCtx(c->zstd_in, out, out_len, in, in_len) == out_len ? 0 : -EBADMSG;
}

int codec_decompress(struct codec *c, enum wire_codec codec, const void *in, size_t in_len,
		     void *out, size_t out_len)
{
	if (in_len > UINT32_MAX || out_len > UINT32_MAX)
		return -EBADMSG;
	switch (codec) {
	case WIRE_CODEC_NONE:
		if (in_len != out_len)
			return -EBADMSG;
		if (out_len)
			memcpy(out, in, out_len);
		return 0;
	case WIRE_CODEC_ZLIB:
		return decompress_zlib(c, in, in_len, out, out_len);
	case WIRE_CODEC_ZSTD:
		return decompress_zstd(c, in, in_len, out, out_len);
	}
	return -EPROTONOSUPPORT;
}

const char *codec_name(enum wire_codec codec)
{
	return (size_t)codec < ARRAY_SIZE(names) ? names[codec] : "unknown";
}

int codec_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}
