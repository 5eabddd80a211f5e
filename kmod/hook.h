/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the module meets the block layer: bios at submission and at completion,
 * passthrough requests. Process context.
 */
#ifndef MOB_HOOK_H
#define MOB_HOOK_H

/* Sets mob_track_only. Negative errno if not even tracking is possible. */
int mob_hook_init(void);
/* When it returns nothing calls into the module any more, but completions. */
void mob_hook_exit(void);

/* Why the mode is not MOB_MODE_HOOK; "" if it is. */
const char *mob_hook_reason(void);

#endif
