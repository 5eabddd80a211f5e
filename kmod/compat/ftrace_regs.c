// SPDX-License-Identifier: GPL-2.0
/* 5.11: ftrace callbacks get struct ftrace_regs */
#include <linux/ftrace.h>

void probe(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
	   struct ftrace_regs *fregs);
extern struct ftrace_ops probe_ops;

struct ftrace_ops probe_ops = {
	.func = probe,
};
