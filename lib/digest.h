/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (OpenSSL), hex and UUID text. Pure functions for any thread; a struct digest belongs to
 * one thread at a time.
 */
#ifndef MOBILITY_DIGEST_H
#define MOBILITY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES 65 /* with the terminator */
#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37 /* with the terminator */

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_BYTES]);

struct digest; /* incremental */
struct digest *digest_new(void); /* NULL: out of memory */
void digest_update(struct digest *d, const void *data, size_t len);
void digest_final(struct digest *d, uint8_t out[DIGEST_BYTES]); /* d is ready for new data after */
void digest_free(struct digest *d); /* NULL is fine */
void digest_freep(struct digest **d);

/* out has 2 * len + 1 bytes */
void hex_encode(const void *data, size_t len, char *out);
/* exactly 2 * len lower-case digits; -EINVAL */
int hex_decode(const char *s, void *out, size_t len);

void uuid_random(
	uint8_t id[UUID_BYTES]); /* version 4, from the system's CSPRNG; aborts if it has none */
void uuid_format(const uint8_t id[UUID_BYTES], char out[UUID_TEXT_BYTES]);
int uuid_parse_text(const char *s, uint8_t id[UUID_BYTES]); /* lower case, 36 characters; -EINVAL */

bool mem_is_zero(const void *p, size_t len); /* fast on large buffers */

#endif
