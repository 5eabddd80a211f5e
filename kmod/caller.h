/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether the kernel's own code calls a function that is to be hooked. Where the compiler made a
 * copy of it inside of its caller, the hook would never hear of what goes through the copy.
 * Process context, when the module is loaded.
 */
#ifndef MOB_CALLER_H
#define MOB_CALLER_H

#include <linux/types.h>

/*
 * Does the function that @from lies in call the one that @to lies in, directly? True also where
 * it cannot be told: on a processor whose calls are not known (compat.h).
 */
bool mob_calls(unsigned long from, unsigned long to);

#endif
