/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hibernation: the memory that comes back knows nothing of what was written after it was
 * taken, the image itself at least. Process context.
 */
#ifndef MOB_HIBERNATE_H
#define MOB_HIBERNATE_H

int mob_hibernate_init(void);
void mob_hibernate_exit(void);

#endif
