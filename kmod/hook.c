// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/tracepoint.h>

#include <mobility/uapi.h>

#include "caller.h"
#include "compat.h"
#include "hook.h"
#include "passthrough.h"
#include "testdelay.h"
#include "track.h"

static char *mode = "auto";
module_param(mode, charp, 0444);
MODULE_PARM_DESC(mode, "auto, hook (refuse to load without it) or track-only");

static char mob_reason[MOB_REASON_BYTES];

const char *mob_hook_reason(void)
{
	return mob_reason;
}

/*
 * The function returns to the submitter in place of the block layer's when a bio
 * is held: the bio belongs to the preserver by then. Until 5.15 what is returned is
 * where to poll for the bio: nowhere.
 */
static noinline unsigned int mob_hook_swallow(struct bio *bio)
{
	return MOB_POLL_NOWHERE;
}

/*
 * Runs at the entry of the block layer's own function, in the submitter's context.
 * Bios that we submit ourselves come through here like all others and are let pass: held
 * writes because they are counted already, reads because they are reads. So nothing
 * depends on who the caller is.
 */
static void notrace mob_hook_submit(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *ops, struct mob_ftrace_regs *fregs)
{
	if (unlikely(mob_track_submit((struct bio *)mob_ftrace_arg(fregs, 0))))
		mob_ftrace_redirect(fregs, mob_hook_swallow);
}

static struct ftrace_ops mob_submit_ops = {
	.func	= mob_hook_submit,
	.flags	= FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT | MOB_FTRACE_RECURSION |
		  MOB_FTRACE_REGS,
};

static void notrace mob_hook_execute(unsigned long ip, unsigned long parent_ip,
				     struct ftrace_ops *ops, struct mob_ftrace_regs *fregs)
{
	struct request *rq = (struct request *)mob_ftrace_arg(fregs, MOB_EXECUTE_RQ_ARG);

	mob_passthrough(rq, mob_execute_rq_disk(rq, fregs));
}

/* Request-based device mapper hands requests, not bios, to the disk below it. */
static void notrace mob_hook_cloned(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *ops, struct mob_ftrace_regs *fregs)
{
	mob_passthrough_cloned((struct request *)mob_ftrace_arg(fregs, MOB_INSERT_CLONED_ARG));
}

static struct ftrace_ops mob_execute_ops = {
	.func	= mob_hook_execute,
	.flags	= FTRACE_OPS_FL_PERMANENT | MOB_FTRACE_RECURSION | MOB_FTRACE_REGS,
};

static struct ftrace_ops mob_cloned_ops = {
	.func	= mob_hook_cloned,
	.flags	= FTRACE_OPS_FL_PERMANENT | MOB_FTRACE_RECURSION | MOB_FTRACE_REGS,
};

static bool mob_cloned_watched;

/* 0 if the kernel has no such function that can be probed. */
static unsigned long mob_symbol(const char *name)
{
	struct kprobe probe = {
		.symbol_name	= name,
		.flags		= KPROBE_FLAG_DISABLED,
	};
	unsigned long addr;

	if (register_kprobe(&probe))
		return 0;
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return addr;
}

static int mob_filter(struct ftrace_ops *ops, const char *name)
{
	unsigned long addr = mob_symbol(name);

	return addr ? ftrace_set_filter_ip(ops, addr, 0, 0) : -ENOENT;
}

/* Of ops that are not registered. */
static void mob_unfilter(struct ftrace_ops *ops)
{
	ftrace_set_filter(ops, NULL, 0, 1);
}

/* Does not return where ftrace keeps leading the kernel into our code: that must stay, then. */
static void mob_unregister(struct ftrace_ops *ops)
{
	int ret = unregister_ftrace_function(ops);

	if (!ret) {
		mob_unfilter(ops);
		return;
	}
	pr_emerg("ftrace broke down (%d) and keeps the module until the machine restarts\n", ret);
	for (;;)
		ssleep(60);
}

/* Where every bio passes that comes from submit_bio(), and on what way. */
static const struct mob_submission {
	const char *function, *way;
} mob_submissions[] = {
	{ "submit_bio_noacct_nocheck", "submit_bio_noacct" },
	/* Before 5.18 */
	{ "submit_bio_noacct", "submit_bio" },
};

static bool mob_calls_by_name(const char *caller, const char *function)
{
	return mob_calls(mob_symbol(mob_test_caller(caller)), mob_symbol(function));
}

/* Is the function called, or did the compiler put a copy of it into its caller? */
static bool mob_is_passed(const struct mob_submission *to)
{
	return mob_calls_by_name(to->way, to->function) &&
	       (mob_calls_by_name("submit_bio", to->way) ||
		mob_calls_by_name("submit_bio", to->function));
}

static int mob_filter_submission(const struct mob_submission *to)
{
	int ret = mob_filter(&mob_submit_ops, to->function);

	if (ret || mob_is_passed(to))
		return ret;
	mob_unfilter(&mob_submit_ops);
	snprintf(mob_reason, sizeof(mob_reason),
		 "%s() of this kernel does not call %s(): it was inlined", to->way, to->function);
	return -EOPNOTSUPP;
}

static int mob_submit_hook(void)
{
	int ret = mob_filter_submission(&mob_submissions[0]);

	if (ret == -ENOENT)
		ret = mob_filter_submission(&mob_submissions[1]);
	if (ret == -EOPNOTSUPP)
		return ret;
	if (ret) {
		snprintf(mob_reason, sizeof(mob_reason),
			 "the kernel has no submission function that ftrace can hook (%d)", ret);
		return ret;
	}
	ret = register_ftrace_function(&mob_submit_ops);
	if (ret == -EBUSY)
		strscpy(mob_reason, "another module or livepatch owns the submission function",
			sizeof(mob_reason));
	else if (ret)
		snprintf(mob_reason, sizeof(mob_reason),
			 "ftrace refused the submission function (%d)", ret);
	if (ret)
		mob_unfilter(&mob_submit_ops);
	return ret;
}

static void mob_trace_complete(void *data, struct request_queue *q, struct bio *bio)
{
	mob_track_complete(bio, true);
}

/*
 * What block_bio_complete does not tell of: the bios of a request, which are not advanced
 * yet. Those from before an attachment matter, all others are tracked.
 */
static void mob_trace_rq_complete(void *data, struct request *rq, blk_status_t error,
				  unsigned int bytes)
{
	struct bio *bio;

	if (blk_rq_is_passthrough(rq)) {
		/* What was read of the disk since it began may lack what it wrote. */
		mob_passthrough(rq, mob_rq_disk(rq));
		return;
	}
	if (!op_is_write(req_op(rq)))
		return;
	for (bio = rq->bio; bio; bio = bio->bi_next)
		mob_track_complete(bio, false);
}

static void mob_trace_queue(void *data, MOB_TRACE_QUEUE_ARG struct bio *bio)
{
	mob_track_submit(bio);
}

/* A driver remaps a bio to a disk below: block_bio_queue does not tell of it again (md raid0). */
static void mob_trace_remap(void *data, MOB_TRACE_QUEUE_ARG struct bio *bio, dev_t dev,
			    sector_t from)
{
	mob_bio_note_remap(bio, dev);
	mob_track_submit(bio);
}

struct mob_trace {
	const char *name;
	void *probe;
	bool track_only;
	struct tracepoint *tp;
	bool registered;
};

static struct mob_trace mob_traces[] = {
	{ .name = "block_bio_complete", .probe = mob_trace_complete },
	{ .name = "block_rq_complete", .probe = mob_trace_rq_complete },
	{ .name = "block_bio_queue", .probe = mob_trace_queue, .track_only = true },
	{ .name = "block_bio_remap", .probe = mob_trace_remap, .track_only = true },
};

static void mob_trace_match(struct tracepoint *tp, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mob_traces); i++)
		if (!strcmp(tp->name, mob_traces[i].name))
			mob_traces[i].tp = tp;
}

static void mob_traces_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mob_traces); i++) {
		struct mob_trace *trace = &mob_traces[i];

		if (trace->registered)
			tracepoint_probe_unregister(trace->tp, trace->probe, NULL);
		trace->registered = false;
	}
	tracepoint_synchronize_unregister();
}

static int mob_traces_init(void)
{
	unsigned int i;
	int ret = 0;

	for_each_kernel_tracepoint(mob_trace_match, NULL);
	for (i = 0; i < ARRAY_SIZE(mob_traces) && !ret; i++) {
		struct mob_trace *trace = &mob_traces[i];

		if (trace->track_only && !mob_track_only)
			continue;
		ret = -ENOENT;
		if (trace->tp)
			ret = tracepoint_probe_register(trace->tp, trace->probe, NULL);
		if (ret)
			pr_err("cannot use the tracepoint %s (%d)\n", trace->name, ret);
		else
			trace->registered = true;
	}
	if (ret)
		mob_traces_exit();
	return ret;
}

static int mob_watch_requests(void)
{
	int ret = mob_filter(&mob_execute_ops, "blk_execute_rq");

	if (!ret)
		ret = mob_filter(&mob_execute_ops, "blk_execute_rq_nowait");
	if (!ret)
		ret = register_ftrace_function(&mob_execute_ops);
	if (ret)
		mob_unfilter(&mob_execute_ops);
	return ret;
}

/* Kernels without device mapper have no such function, and nothing that would call it. */
static int mob_watch_cloned(void)
{
	int ret = mob_filter(&mob_cloned_ops, "blk_insert_cloned_request");

	if (ret == -ENOENT)
		return 0;
	if (!ret)
		ret = register_ftrace_function(&mob_cloned_ops);
	if (ret)
		mob_unfilter(&mob_cloned_ops);
	mob_cloned_watched = !ret;
	return ret;
}

/* What goes past the bios. */
static int mob_bypass_init(void)
{
	int ret = mob_watch_requests();

	if (!ret) {
		ret = mob_watch_cloned();
		if (ret)
			mob_unregister(&mob_execute_ops);
	}
	/* These share the functions with whoever else is there: only ftrace itself is ever busy. */
	if (ret == -EBUSY)
		pr_err("ftrace is switched off: set the sysctl kernel.ftrace_enabled to 1\n");
	else if (ret)
		pr_err("cannot watch for passthrough requests (%d)\n", ret);
	return ret;
}

static void mob_bypass_exit(void)
{
	if (mob_cloned_watched)
		mob_unregister(&mob_cloned_ops);
	mob_unregister(&mob_execute_ops);
}

static int mob_choose_mode(void)
{
	if (!strcmp(mode, "track-only")) {
		strscpy(mob_reason, "asked for by the module parameter", sizeof(mob_reason));
		mob_track_only = true;
		return 0;
	}
	if (strcmp(mode, "auto") && strcmp(mode, "hook")) {
		pr_err("mode=%s is not known: use auto, hook or track-only\n", mode);
		return -EINVAL;
	}
	mob_track_only = mob_submit_hook() != 0;
	if (mob_track_only && !strcmp(mode, "hook")) {
		pr_err("mode=hook is not possible: %s\n", mob_reason);
		pr_err("mode=auto would track only: writes are not held\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

int mob_hook_init(void)
{
	int ret;

	/* Needed in every mode. Before the mode is chosen: it tells why ftrace may be busy. */
	ret = mob_bypass_init();
	if (ret)
		return ret;
	ret = mob_choose_mode();
	if (ret)
		goto exit_bypass;
	ret = mob_traces_init();
	if (ret)
		goto unhook;
	return 0;

unhook:
	if (!mob_track_only)
		mob_unregister(&mob_submit_ops);
exit_bypass:
	mob_bypass_exit();
	return ret;
}

void mob_hook_exit(void)
{
	mob_traces_exit();
	if (!mob_track_only)
		mob_unregister(&mob_submit_ops);
	mob_bypass_exit();
}
