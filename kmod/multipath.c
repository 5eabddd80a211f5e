// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>
#include <linux/kernel.h>

#include "compat.h"
#include "multipath.h"

bool mob_is_namespace(const struct gendisk *gd)
{
	int system, namespace;

	return sscanf(gd->disk_name, "nvme%dn%d", &system, &namespace) == 2;
}

bool mob_is_path_of(const struct gendisk *path, const struct gendisk *head)
{
	int system, controller, namespace, head_system, head_namespace;

	return sscanf(path->disk_name, "nvme%dc%dn%d", &system, &controller, &namespace) == 3 &&
	       sscanf(head->disk_name, "nvme%dn%d", &head_system, &head_namespace) == 2 &&
	       system == head_system && namespace == head_namespace;
}
