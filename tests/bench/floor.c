// SPDX-License-Identifier: Apache-2.0
/*
 * floor FILE: the processor time of what replication of a file's contents cannot do without, whoever reads, sends and stores
 * them: per block of WIRE_BLOCK that is not zero a digest at each end, and the weakest compression and its reversal. Prints
 * "digests SECONDS codec SECONDS". Reading the file is not counted.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "include/mobility/wire.h"
#include "lib/cleanup.h"
#include "lib/codec.h"
#include "lib/digest.h"

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double digest_twice(const uint8_t *block, size_t len)
{
	uint8_t source[DIGEST_BYTES], target[DIGEST_BYTES];
	double began = cpu();

	digest_sha256(block, len, source);
	digest_sha256(block, len, target);
	return cpu() - began;
}

static double there_and_back(struct codec *c, const uint8_t *block, size_t len)
{
	static uint8_t packed[WIRE_BLOCK], out[WIRE_BLOCK];
	double began = cpu();
	size_t n = codec_compress(c, WIRE_CODEC_ZSTD, CODEC_ZSTD_WEAKEST, block, len, packed, len);

	if (n && codec_decompress(c, WIRE_CODEC_ZSTD, packed, n, out, len))
		errx(1, "what was compressed does not decompress");
	began = cpu() - began;
	if (n && memcmp(block, out, len))
		errx(1, "what was compressed comes back as something else");
	return began;
}

int main(int argc, char **argv)
{
	static uint8_t block[WIRE_BLOCK];
	_cleanup_(codec_freep) struct codec *c = codec_new();
	double digests = 0, codec = 0;
	size_t len;
	FILE *f;

	if (argc != 2 || !c)
		errx(2, "usage: floor FILE");
	f = fopen(argv[1], "r");
	if (!f) {
		warn("%s", argv[1]);
		return 1;
	}
	while ((len = fread(block, 1, sizeof(block), f)) > 0) {
		if (mem_is_zero(block, len))
			continue;
		digests += digest_twice(block, len);
		codec += there_and_back(c, block, len);
	}
	if (ferror(f))
		err(1, "%s", argv[1]);
	fclose(f);
	printf("digests %.3f codec %.3f\n", digests, codec);
	return 0;
}
