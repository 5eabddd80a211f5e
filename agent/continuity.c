// SPDX-License-Identifier: Apache-2.0
#include "agent/continuity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CURSOR_ALIGN (1ull << 20) /* a multiple of what is compared */

static const char *const state_names[] = {"initial", "resync", "protected"};

const char *disk_state_name(enum disk_state s)
{
	return state_names[s];
}

int disk_state_parse(const char *name)
{
	for (int i = 0; i < 3; i++) {
		if (!strcmp(name, state_names[i]))
			return i;
	}
	return -EINVAL;
}

void continuity_format(char out[CONTINUITY_SOURCE_BYTES], const char *attach_id, uint64_t epoch)
{
	snprintf(out, CONTINUITY_SOURCE_BYTES, "kmod:%s:%" PRIu64, attach_id, epoch);
}

int continuity_parse(const char *source, char attach_id[33], uint64_t *epoch)
{
	const char *digits;
	char *end;

	if (strncmp(source, "kmod:", 5) || strspn(source + 5, "0123456789abcdef") != 32 ||
	    source[37] != ':')
		return -EINVAL;
	digits = source + 38;
	if (!*digits || strspn(digits, "0123456789") != strlen(digits))
		return -EINVAL;
	errno = 0;
	*epoch = strtoull(digits, &end, 10);
	if (errno || *end)
		return -EINVAL;
	memcpy(attach_id, source + 5, 32);
	attach_id[32] = '\0';
	return 0;
}

/* Why this attachment is not the one that the appliance knows. */
static const char *why_attached_anew(const struct continuity_in *in)
{
	if (in->old_boot_id[0] && strcmp(in->old_boot_id, in->boot_id) != 0)
		return "the machine was restarted";
	if (in->old_module_id[0] && strcmp(in->old_module_id, in->module_id) != 0)
		return "the kernel module was reloaded";
	if (in->cause[0])
		return in->cause;
	return "the disk was attached to the kernel module anew";
}

static const char restored[] = "the appliance was restored from an older state";

/* NULL: every change since the appliance's last commit is in the module's bitmaps. */
static const char *why_not_tracked(const struct continuity_in *in)
{
	char attach_id[33];
	uint64_t epoch;

	if (continuity_parse(in->source, attach_id, &epoch))
		return "the disk was replicated by scanning until now";
	if (strcmp(attach_id, in->attach_id) != 0)
		return why_attached_anew(in);
	if (epoch < in->committed_epoch)
		return "the appliance has it as of an older epoch than the kernel module: it was restored from "
		       "an older state, or replicated others without it";
	if (epoch >= in->module_epoch)
		return "the appliance knows an epoch that the kernel module does not";
	return NULL;
}

static void resync(struct continuity_out *out, const char *cause)
{
	*out = (struct continuity_out){.state = DISK_RESYNC, .restart = true};
	snprintf(out->cause, sizeof(out->cause), "%s", cause);
}

/*
 * Of a disk that grew only what was added is left to do. Until a commit follows, the appliance tells its
 * old size, in the middle of a granule: whoever began there would read a part of one.
 */
static uint64_t cursor(const struct continuity_in *in)
{
	uint64_t align = in->granule > CURSOR_ALIGN ? in->granule : CURSOR_ALIGN;

	return in->state == DISK_PROTECTED ? in->size : in->replicated & ~(align - 1);
}

void continuity_decide(const struct continuity_in *in, struct continuity_out *out)
{
	const char *why = NULL;

	if (in->state == DISK_INITIAL && (in->remote_epoch == 0 || in->replicated == 0)) {
		/* Nothing is on the appliance that could be wrong. */
		*out = (struct continuity_out){.state = DISK_INITIAL};
		return;
	}
	if (in->requested)
		why = in->cause[0] ? in->cause : "requested";
	else if (in->older)
		why = restored;
	else if (in->tracked)
		why = why_not_tracked(in);
	if (why) {
		resync(out, why);
		return;
	}
	*out = (struct continuity_out){.state = in->state, .replicated = cursor(in)};
	if (in->state != DISK_RESYNC)
		return;
	if (in->cause[0])
		snprintf(out->cause, sizeof(out->cause), "%s", in->cause);
	else
		snprintf(out->cause, sizeof(out->cause), "%s",
			 in->grown ? "the disk grew" : "the appliance has an older state of it");
}
