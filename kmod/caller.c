// SPDX-License-Identifier: GPL-2.0
#include <linux/kallsyms.h>
#include <linux/kernel.h>

#include "caller.h"
#include "compat.h"

/*
 * Kernels change their calls when they start: to what lies before a function, which counts how
 * deep the calls are, or past the mark that is for indirect calls alone.
 */
#define MOB_CALL_BEFORE		64
#define MOB_CALL_AFTER		16

struct mob_function {
	unsigned long start, size;
};

static bool mob_function_at(unsigned long addr, struct mob_function *f)
{
	char text[KSYM_SYMBOL_LEN];
	unsigned long offset;
	const char *plus;

	/* The only thing that tells modules of both: NAME+0xOFFSET/0xSIZE */
	sprint_symbol(text, addr);
	plus = strchr(text, '+');
	if (!plus || sscanf(plus, "+0x%lx/0x%lx", &offset, &f->size) != 2)
		return false;
	f->start = addr - offset;
	return true;
}

bool mob_calls(unsigned long from, unsigned long to)
{
	struct mob_function caller, callee;
	unsigned long at;

	if (!MOB_CALLS_ARE_KNOWN)
		return true;
	if (!mob_function_at(from, &caller) || !mob_function_at(to, &callee))
		return false;
	for (at = caller.start; at + MOB_CALL_BYTES <= caller.start + caller.size; at++)
		if (mob_call_target(at) + MOB_CALL_BEFORE - callee.start <=
		    MOB_CALL_BEFORE + MOB_CALL_AFTER)
			return true;
	return false;
}
