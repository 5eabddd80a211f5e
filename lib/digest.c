/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct digest {
	EVP_MD_CTX *ctx;
};

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void sha256_drop(void)
{
	EVP_MD_free(sha256);
}

/* Fetched once: an implicit fetch in every call costs more than hashing a small block. */
static void sha256_fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort(); /* an OpenSSL without SHA-256 cannot run any part of this program */
	atexit(sha256_drop);
}

static const EVP_MD *sha256_get(void)
{
	pthread_once(&sha256_once, sha256_fetch);
	return sha256;
}

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_BYTES])
{
	/* fails only when out of memory; a digest that is silently wrong must never be used */
	if (!EVP_Digest(data, len, out, NULL, sha256_get(), NULL))
		abort();
}

struct digest *digest_new(void)
{
	struct digest *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx || !EVP_DigestInit_ex2(d->ctx, sha256_get(), NULL)) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	if (!EVP_DigestUpdate(d->ctx, data, len))
		abort();
}

void digest_final(struct digest *d, uint8_t out[DIGEST_BYTES])
{
	if (!EVP_DigestFinal_ex(d->ctx, out, NULL) ||
	    !EVP_DigestInit_ex2(d->ctx, sha256_get(), NULL))
		abort();
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_freep(struct digest **d)
{
	digest_free(*d);
}

void hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Two digits; a 0 byte is not one, so this never reads past a string's end. */
static int hex_byte(const char *s)
{
	int high = hex_value(s[0]);
	int low = high < 0 ? -1 : hex_value(s[1]);

	return low < 0 ? -1 : high << 4 | low;
}

int hex_decode(const char *s, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++) {
		int v = hex_byte(s + 2 * i);

		if (v < 0)
			return -EINVAL;
		p[i] = (uint8_t)v;
	}
	return s[2 * len] ? -EINVAL : 0;
}

void uuid_random(uint8_t id[UUID_BYTES])
{
	ssize_t n;

	do
		n = getrandom(id, UUID_BYTES, 0);
	while (n < 0 && errno == EINTR);
	if (n != UUID_BYTES)
		abort();
	id[6] = (id[6] & 0x0f) | 0x40;
	id[8] = (id[8] & 0x3f) | 0x80;
}

/* A dash goes before these bytes. */
static bool uuid_dash(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(const uint8_t id[UUID_BYTES], char out[UUID_TEXT_BYTES])
{
	char *p = out;

	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (uuid_dash(i))
			*p++ = '-';
		hex_encode(id + i, 1, p);
		p += 2;
	}
}

int uuid_parse_text(const char *s, uint8_t id[UUID_BYTES])
{
	uint8_t parsed[UUID_BYTES];

	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (uuid_dash(i) && *s++ != '-')
			return -EINVAL;

		int v = hex_byte(s);

		if (v < 0)
			return -EINVAL;
		parsed[i] = (uint8_t)v;
		s += 2;
	}
	if (*s)
		return -EINVAL;
	memcpy(id, parsed, UUID_BYTES);
	return 0;
}

bool mem_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t head = len < 16 ? len : 16;

	for (size_t i = 0; i < head; i++) {
		if (b[i])
			return false;
	}
	/* 16 zero bytes, and every byte equal to the one 16 before it; memcmp is vectorised */
	return len == head || memcmp(b, b + 16, len - 16) == 0;
}
