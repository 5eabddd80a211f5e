/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the shim (/etc/mobility/vss-shim.conf). Loaded at the start, constant then.
 */
#ifndef VSS_SHIM_SETTINGS_H
#define VSS_SHIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define SETTINGS_PATH "/etc/mobility/vss-shim.conf"

struct settings {
	char *socket;
	int log_level; /* enum log_level */
	bool filesystems; /* freeze them */
	uint64_t window, identify, prepare, post; /* ns */
	char *vendor_dir, *local_dir; /* of writers */
	char *disable; /* names, separated by commas; may be NULL */
	bool qemu_ga, vmware, azure; /* hooks that are run */
	char *qemu_ga_dir, *vmware_freeze, *vmware_thaw, *vmware_dir, *azure_script;
};

/* path NULL: SETTINGS_PATH, which may be absent. */
int settings_load(const char *path, struct settings *s, struct err *e);
void settings_clear(struct settings *s);
/* Is the writer of that name disabled? */
bool settings_disabled(const struct settings *s, const char *name);

#endif
