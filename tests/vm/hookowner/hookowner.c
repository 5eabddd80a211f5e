// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the submission function as another vendor's driver or a livepatch would: an ftrace hook that
 * may change where the function goes, and never does.
 */
#include <linux/ftrace.h>
#include <linux/module.h>

static void notrace hookowner_callback(unsigned long ip, unsigned long parent_ip,
				       struct ftrace_ops *ops, void *regs)
{
}

/* What the last argument points to differs between kernels; it is not looked at. */
static struct ftrace_ops hookowner_ops = {
	.func = (ftrace_func_t)hookowner_callback,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS,
};

static char *function = "submit_bio_noacct_nocheck";
module_param(function, charp, 0444);

static int __init hookowner_init(void)
{
	int ret = ftrace_set_filter(&hookowner_ops, function, strlen(function), 0);

	return ret ?: register_ftrace_function(&hookowner_ops);
}

static void __exit hookowner_exit(void)
{
	unregister_ftrace_function(&hookowner_ops);
	ftrace_set_filter(&hookowner_ops, NULL, 0, 1);
}

module_init(hookowner_init);
module_exit(hookowner_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Owns a function in place of the module under test");
