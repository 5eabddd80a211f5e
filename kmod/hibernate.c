// SPDX-License-Identifier: GPL-2.0
#include <linux/irqflags.h>
#include <linux/notifier.h>
#include <linux/suspend.h>

#include "disk.h"
#include "hibernate.h"
#include "track.h"

static const char mob_reason_hibernation[] = "the machine hibernated";

static void mob_suspect_all(void)
{
	struct mob_disk *disk;
	unsigned long flags;

	mutex_lock(&mob_mutex);
	mob_disk_for_each(disk)
		if (disk->hooked)
			mob_disk_raise(disk, MOB_EVENT_SUSPECT);
	local_irq_save(flags);
	mob_epoch_tear_all(&mob_epochs, mob_reason_hibernation);
	local_irq_restore(flags);
	mutex_unlock(&mob_mutex);
}

/*
 * Said twice: before the memory is taken, so that nobody who goes on with it makes a point
 * before we run again, and afterwards, for whoever acknowledged the first event at once.
 * A hibernation that failed cannot be told from one that did not.
 */
static int mob_hibernate_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	if (event == PM_HIBERNATION_PREPARE || event == PM_POST_HIBERNATION)
		mob_suspect_all();
	return NOTIFY_OK;
}

static struct notifier_block mob_hibernate_nb = {
	.notifier_call	= mob_hibernate_notify,
};

int mob_hibernate_init(void)
{
	return register_pm_notifier(&mob_hibernate_nb);
}

void mob_hibernate_exit(void)
{
	unregister_pm_notifier(&mob_hibernate_nb);
}
