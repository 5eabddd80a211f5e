// SPDX-License-Identifier: GPL-2.0
/* 5.11: FTRACE_OPS_FL_RECURSION_SAFE became FTRACE_OPS_FL_RECURSION, reversed */
#include <linux/ftrace.h>

int probe(void);

int probe(void)
{
	return FTRACE_OPS_FL_RECURSION;
}
