// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/settings.h"

#include <stddef.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/conf.h"

/* In the order of enum log_level. */
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};

#define AT(member) offsetof(struct settings, member)
#define S NSEC_PER_SEC
#define PATH_KEY(section, key, member, fallback)                                                   \
	{                                                                                          \
		section, key, CONF_PATH, AT(member), 1, 255, NULL, fallback, "an absolute path"    \
	}
#define BOOL_KEY(section, key, member)                                                             \
	{                                                                                          \
		section, key, CONF_BOOL, AT(member), 0, 0, NULL, "yes", "yes or no"                \
	}

static const struct conf_key keys[] = {
	/* A unix socket's address has room for 107 characters. */
	{"shim", "socket", CONF_PATH, AT(socket), 1, 107, NULL, "/run/mobility-shim/vss-shim.sock",
	 "an absolute path of at most 107 characters"},
	{"shim", "log_level", CONF_CHOICE, AT(log_level), 0, 0, levels, "info",
	 "error, warning, info or debug"},
	{"freeze", "window", CONF_DURATION, AT(window), S / 10, 60 * S, NULL, "10s",
	 "a time from 100ms to 1m"},
	{"freeze", "identify", CONF_DURATION, AT(identify), S, 100 * S, NULL, "30s",
	 "a time from 1s to 100s"},
	{"freeze", "prepare", CONF_DURATION, AT(prepare), S, 600 * S, NULL, "60s",
	 "a time from 1s to 10m"},
	{"freeze", "post", CONF_DURATION, AT(post), S, 600 * S, NULL, "30s",
	 "a time from 1s to 10m"},
	BOOL_KEY("freeze", "filesystems", filesystems),
	PATH_KEY("writers", "vendor_dir", vendor_dir, "/usr/lib/mobility/writers.d"),
	PATH_KEY("writers", "local_dir", local_dir, "/etc/mobility/writers.d"),
	{"writers", "disable", CONF_STRING, AT(disable), 0, 4096, NULL, NULL,
	 "names of writers, separated by commas"},
	BOOL_KEY("hooks", "qemu_ga", qemu_ga),
	PATH_KEY("hooks", "qemu_ga_dir", qemu_ga_dir, "/etc/qemu/fsfreeze-hook.d"),
	BOOL_KEY("hooks", "vmware", vmware),
	PATH_KEY("hooks", "vmware_freeze", vmware_freeze, "/usr/sbin/pre-freeze-script"),
	PATH_KEY("hooks", "vmware_thaw", vmware_thaw, "/usr/sbin/post-thaw-script"),
	PATH_KEY("hooks", "vmware_dir", vmware_dir, "/etc/vmware-tools/backupScripts.d"),
	BOOL_KEY("hooks", "azure", azure),
	PATH_KEY("hooks", "azure_script", azure_script,
		 "/usr/local/ASR/Vx/scripts/customscript.sh"),
	{.section = NULL},
};

int settings_load(const char *path, struct settings *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	return conf_load(path ? path : SETTINGS_PATH, path != NULL, keys, s, e);
}

void settings_clear(struct settings *s)
{
	conf_clear(keys, s);
}

bool settings_disabled(const struct settings *s, const char *name)
{
	static const char separators[] = ", \t";
	size_t len = strlen(name);

	for (const char *at = s->disable; at && *at;) {
		size_t n;

		at += strspn(at, separators);
		n = strcspn(at, separators);
		if (n == len && !memcmp(at, name, n))
			return true;
		at += n;
	}
	return false;
}
