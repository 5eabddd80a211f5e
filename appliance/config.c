/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "appliance/config.h"
#include "appliance/enrol.h"
#include "appliance/listen.h"
#include "lib/cleanup.h"
#include "lib/conf.h"

#define MIB (1ull << 20)
#define SEC 1000000000ull
#define DAY (86400 * SEC)

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const stores[] = {"dir", NULL};

#define AT(member) offsetof(struct config, member)
#define LISTEN_EXPECTED "ADDR:PORT with a numeric address, as 0.0.0.0:443 or [::]:443"

static const struct conf_key keys[] = {
	{"appliance", "names", CONF_STRING, AT(names), 1, 4096, NULL, NULL,
	 "DNS names or IP addresses, separated by commas"},
	{"appliance", "log_level", CONF_CHOICE, AT(log_level), 0, 0, levels, "info",
	 "error, warning, info or debug"},
	{"listen", "control", CONF_STRING, AT(control), 1, 255, NULL, "0.0.0.0:443",
	 LISTEN_EXPECTED},
	{"listen", "data", CONF_STRING, AT(data), 1, 255, NULL, "0.0.0.0:9443", LISTEN_EXPECTED},
	{"listen", "connections", CONF_U64, AT(connections), 1, 65536, NULL, "512",
	 "a number from 1 to 65536"},
	{"listen", "connections_per_address", CONF_U64, AT(connections_per_address), 1, 65536, NULL,
	 "64", "a number from 1 to 65536"},
	{"listen", "idle_timeout", CONF_DURATION, AT(idle_timeout_ns), SEC, 3600 * SEC, NULL, "30s",
	 "a duration from 1s to 1h"},
	{"listen", "body_memory", CONF_SIZE, AT(body_memory), 32 * MIB, 1024 * 1024 * MIB, NULL,
	 "96M", "a size from 32M to 1T"},
	{"identity", "client_certificate_life", CONF_DURATION, AT(client_life_ns), SEC, 3650 * DAY,
	 NULL, "90d", "a duration from 1s to 3650d"},
	{"identity", "server_certificate_life", CONF_DURATION, AT(server_life_ns), SEC, 3650 * DAY,
	 NULL, "397d", "a duration from 1s to 3650d"},
	{"store", "type", CONF_CHOICE, AT(store_type), 0, 0, stores, "dir", "dir"},
	{"store", "map_memory", CONF_SIZE, AT(map_memory), MIB, 1024 * 1024 * MIB, NULL, "64M",
	 "a size from 1M to 1T"},
	{"store", "reserve", CONF_SIZE, AT(reserve), MIB, 1024 * 1024 * MIB, NULL, "256M",
	 "a size from 1M to 1T"},
	{"policy", "retention", CONF_DURATION, AT(retention_ns), SEC, 3650 * DAY, NULL, "24h",
	 "a duration from 1s to 3650d"},
	{"policy", "point_interval", CONF_DURATION, AT(point_interval_ns), SEC, 365 * DAY, NULL,
	 "5m", "a duration from 1s to 365d"},
	{"policy", "all_points_for", CONF_DURATION, AT(all_points_for_ns), 0, 3650 * DAY, NULL,
	 "1h", "a duration from 0s to 3650d"},
	{"policy", "policy_interval", CONF_DURATION, AT(policy_interval_ns), SEC / 10, DAY, NULL,
	 "1m", "a duration from 100ms to 1d"},
	{.section = NULL},
};

static int check(const struct conf_key *k, void *target, struct err *why)
{
	struct config *c = target;
	struct sockaddr_storage address;
	socklen_t len;

	switch (k->offset) {
	case AT(names):
		return enrol_check_names(c->names, why);
	case AT(control):
		return listen_parse(c->control, &address, &len, NULL);
	case AT(data):
		return listen_parse(c->data, &address, &len, NULL);
	default:
		return 0;
	}
}

static int check_names(const char *path, struct config *c, int rc, struct err *e)
{
	if (rc == 0 && !c->names)
		rc = err_set(e, -EINVAL,
			     "%s: [appliance] names is missing: give the names or addresses by "
			     "which agents reach this appliance",
			     path);
	if (rc < 0)
		config_clear(c);
	return rc;
}

int config_load(const char *path, struct config *c, struct err *e)
{
	*c = (struct config){0};
	return check_names(path, c, conf_load_checked(path, true, keys, check, c, e), e);
}

int config_parse(const char *text, struct config *c, struct err *e)
{
	_cleanup_fclose_ FILE *file = fmemopen((char *)text, strlen(text), "r");

	*c = (struct config){0};
	if (!file)
		return err_set(e, -ENOMEM, "out of memory");
	return check_names("appliance.conf", c,
			   conf_read_checked(file, "appliance.conf", keys, check, c, e), e);
}

void config_clear(struct config *c)
{
	conf_clear(keys, c);
}

char *config_text(const char *names, const char *control, const char *data)
{
	char *text;

	if (asprintf(&text,
		     "# Configuration of mobility-appliance; see appliance.conf(5).\n"
		     "[appliance]\n"
		     "names = %s\n"
		     "\n"
		     "[listen]\n"
		     "control = %s\n"
		     "data = %s\n"
		     "\n"
		     "[policy]\n"
		     "retention = 24h\n"
		     "point_interval = 5m\n"
		     "all_points_for = 1h\n",
		     names, control, data) < 0)
		return NULL;
	return text;
}
