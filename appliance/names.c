/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "appliance/names.h"
#include "lib/digest.h"

char *name_machine(char *out, const char *machine)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s", machine);
	return out;
}

char *name_scratch(char *out, const char *machine)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/scratch", machine);
	return out;
}

char *name_disk(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s", machine, disk);
	return out;
}

char *name_journals(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/journal", machine, disk);
	return out;
}

char *name_journal(char *out, const char *machine, const char *disk, uint64_t epoch)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/journal/%016" PRIx64 ".mj", machine,
		 disk, epoch);
	return out;
}

char *name_index(char *out, const char *machine, const char *disk, uint64_t epoch)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/journal/%016" PRIx64 ".mji", machine,
		 disk, epoch);
	return out;
}

char *name_base(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/base.img", machine, disk);
	return out;
}

char *name_base_digests(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/base.sha", machine, disk);
	return out;
}

char *name_base_epoch(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/base.epoch", machine, disk);
	return out;
}

char *name_digest_cache(char *out, const char *machine, const char *disk)
{
	snprintf(out, STORE_NAME_MAX, "machines/%s/disks/%s/digests.cache", machine, disk);
	return out;
}

bool name_epoch(const char *element, uint64_t *epoch)
{
	uint8_t bytes[8];
	char hex[17];

	if (strlen(element) < 19 || (strcmp(element + 16, ".mj") && strcmp(element + 16, ".mji")))
		return false;
	memcpy(hex, element, 16);
	hex[16] = 0;
	if (hex_decode(hex, bytes, sizeof(bytes)) < 0)
		return false;
	*epoch = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*epoch = *epoch << 8 | bytes[i];
	return true;
}
