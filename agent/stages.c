// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.h"

void stage_add(struct stages *s, enum stage st, uint64_t ns, uint64_t bytes)
{
	atomic_fetch_add_explicit(&s->ns[st], ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->bytes[st], bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->count[st], 1, memory_order_relaxed);
}
