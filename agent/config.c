// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "include/mobility/wire.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/http.h"

/* Each list is in the order of the enum that its index is stored as. */
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const sources[] = {"auto", "kmod", "scan", NULL};
static const char *const codecs[] = {"none", "zlib", "zstd", NULL};

#define AT(member) offsetof(struct config, member)
#define S NSEC_PER_SEC

#define PROXY_EXPECTED                                                                             \
	"http://[user:password@]host:port, or nothing; in user and password / is written %2F, "    \
	"# %23, ? %3F, @ %40, : %3A and % %25"

/* At less than that no slice (verify.c) would ever be due. */
#define VERIFY_RATE_LEAST (8u << 10)
#define VERIFY_RATE_EXPECTED "bytes a second, 8K to 1T, or 0"

static const struct conf_key keys[] = {
	{"agent", "state_dir", CONF_PATH, AT(state_dir), 1, 200, NULL, "/var/lib/mobility",
	 "an absolute path"},
	/* A unix socket's address has room for 107 characters. */
	{"agent", "socket", CONF_PATH, AT(socket), 1, 107, NULL, "/run/mobility/mobilityd.sock",
	 "an absolute path of at most 107 characters"},
	{"agent", "shim_socket", CONF_PATH, AT(shim_socket), 1, 107, NULL,
	 "/run/mobility-shim/vss-shim.sock", "an absolute path of at most 107 characters"},
	{"agent", "log_level", CONF_CHOICE, AT(log_level), 0, 0, levels, "info",
	 "error, warning, info or debug"},
	{"replication", "source", CONF_CHOICE, AT(source), 0, 0, sources, "auto",
	 "auto, kmod or scan"},
	{"replication", "workers", CONF_U64, AT(workers), 1, 16, NULL, "2",
	 "a number from 1 to 16"},
	{"replication", "connections", CONF_U64, AT(connections), 1, 16, NULL, "4",
	 "a number from 1 to 16"},
	{"replication", "memory_limit", CONF_SIZE, AT(memory_limit), 16u << 20, 16ull << 30, NULL,
	 "64M", "a size from 16M to 16G"},
	{"replication", "compression", CONF_CHOICE, AT(compression), 0, 0, codecs, "zstd",
	 "zstd, zlib or none"},
	{"replication", "compression_level", CONF_U64, AT(compression_level), 0, 9, NULL, "0",
	 "a number from 0 to 9"},
	{"replication", "min_epoch_interval", CONF_DURATION, AT(min_epoch_interval), S / 10,
	 3600 * S, NULL, "1s", "a time from 100ms to 1h"},
	{"replication", "scan_interval", CONF_DURATION, AT(scan_interval), S, 7 * 86400 * S, NULL,
	 "1m", "a time from 1s to 7d"},
	{"replication", "skip_swap", CONF_BOOL, AT(skip_swap), 0, 0, NULL, "yes", "yes or no"},
	{"replication", "skip_free", CONF_BOOL, AT(skip_free), 0, 0, NULL, "no", "yes or no"},
	{"replication", "app_consistent_interval", CONF_DURATION, AT(app_consistent_interval),
	 60 * S, 7 * 86400 * S, NULL, NULL, "a time from 1m to 7d"},
	{"replication", "resync_window", CONF_STRING, AT(resync_window_text), 1, 500, NULL,
	 "19:00-07:00, Sat, Sun", "always, never, or times, as Mon-Fri 19:00-07:00, Sat, Sun"},
	{"replication", "verify_rate", CONF_SIZE, AT(verify_rate), 0, 1ull << 40, NULL, "0",
	 VERIFY_RATE_EXPECTED},
	{"network", "connect_timeout", CONF_DURATION, AT(connect_timeout), S, 600 * S, NULL, "10s",
	 "a time from 1s to 10m"},
	{"network", "stall_timeout", CONF_DURATION, AT(stall_timeout), S, 600 * S, NULL, "30s",
	 "a time from 1s to 10m"},
	{"network", "proxy", CONF_SECRET, AT(proxy), 0, 512, NULL, NULL, PROXY_EXPECTED},
	{"network", "no_proxy", CONF_STRING, AT(no_proxy), 0, 1024, NULL, NULL,
	 "hosts, .domains, addresses and networks separated by commas"},
	{"network", "bandwidth_limit", CONF_LIST, AT(bandwidth_limit), 0, 1024, NULL, NULL,
	 "a rate and a timetable, as 10M;Mon-Fri 08:00-18:00 2M"},
	{.section = NULL},
};

static int check(const struct conf_key *k, void *target, struct err *why)
{
	struct config *c = target;

	switch (k->offset) {
	case AT(proxy):
		return c->proxy ? http_check_proxy(c->proxy) : 0;
	case AT(verify_rate):
		return c->verify_rate && c->verify_rate < VERIFY_RATE_LEAST ? -EINVAL : 0;
	case AT(bandwidth_limit):
		return c->bandwidth_limit ? timetable_parse(c->bandwidth_limit, &c->bandwidth, why)
					  : 0;
	case AT(resync_window_text):
		return window_parse(c->resync_window_text, &c->resync_window, why);
	default:
		return 0;
	}
}

int config_load(const char *path, struct config *c, struct err *e)
{
	memset(c, 0, sizeof(*c));
	return conf_load_checked(path ? path : CONFIG_PATH, path != NULL, keys, check, c, e);
}

void config_clear(struct config *c)
{
	conf_clear(keys, c);
}

const char *source_choice_name(enum source_choice s)
{
	return sources[s];
}

int source_choice_parse(const char *name)
{
	for (int i = 0; sources[i]; i++) {
		if (!strcmp(sources[i], name))
			return i;
	}
	return -EINVAL;
}
