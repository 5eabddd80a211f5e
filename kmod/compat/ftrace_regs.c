// SPDX-License-Identifier: GPL-2.0
/* 5.11: ftrace callbacks get struct ftrace_regs */
#include <linux/ftrace.h>

int probe(struct ftrace_ops *ops);

static void probe_callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			   struct ftrace_regs *fregs)
{
}

int probe(struct ftrace_ops *ops)
{
	ops->func = probe_callback;
	return 0;
}
