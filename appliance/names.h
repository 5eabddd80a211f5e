/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the objects in the store (docs/store.md). Pure functions for any thread; out has STORE_NAME_MAX bytes
 * and is returned. Machine and disk are ids in their text form.
 */
#ifndef APPLIANCE_NAMES_H
#define APPLIANCE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/store/store.h"

char *name_machine(char *out, const char *machine);
/* Made, looked at and removed again at once. */
char *name_scratch(char *out, const char *machine);
char *name_disk(char *out, const char *machine, const char *disk);
char *name_journals(char *out, const char *machine, const char *disk);
char *name_journal(char *out, const char *machine, const char *disk, uint64_t epoch);
char *name_index(char *out, const char *machine, const char *disk, uint64_t epoch);
char *name_base(char *out, const char *machine, const char *disk);
char *name_base_digests(char *out, const char *machine, const char *disk);
char *name_base_epoch(char *out, const char *machine, const char *disk);
char *name_digest_cache(char *out, const char *machine, const char *disk);
/* The epoch of a file in the journal folder; false if the file is neither journal nor index. */
bool name_epoch(const char *element, uint64_t *epoch);

#endif
