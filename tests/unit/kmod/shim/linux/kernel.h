/* SPDX-License-Identifier: GPL-2.0 */
/* Userspace has a header of this name too, which the C library may include. */
#if __has_include_next(<linux/kernel.h>)
#include_next <linux/kernel.h>
#endif
#include "kshim.h"
