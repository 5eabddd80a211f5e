// SPDX-License-Identifier: Apache-2.0
#include "agent/slice.h"

uint64_t slice_next(uint64_t length, uint64_t elapsed_ns)
{
	double next;
	uint64_t bytes;

	if (length < SLICE_MIN)
		length = SLICE_MIN;
	if (!elapsed_ns)
		elapsed_ns = 1;
	next = (double)length * (double)SLICE_TARGET_NS / (double)elapsed_ns;
	if (next > 4.0 * (double)length)
		next = 4.0 * (double)length;
	if (next > (double)SLICE_MAX)
		next = (double)SLICE_MAX;
	bytes = (uint64_t)next & ~(SLICE_ALIGN - 1);
	return bytes < SLICE_MIN ? SLICE_MIN : bytes;
}

uint64_t slice_end(uint64_t from, uint64_t length, uint64_t size)
{
	if (from >= size)
		return size;
	/* The end is aligned even where an earlier end of a smaller disk was not. */
	if (length >= size - from || from + length > UINT64_MAX - SLICE_ALIGN)
		return size;
	from = (from + length + SLICE_ALIGN - 1) & ~(SLICE_ALIGN - 1);
	return from < size ? from : size;
}
