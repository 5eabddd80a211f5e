/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of mobilityd as a person reads it, in one screen. Pure: works on the JSON of `status
 * --json` alone, so that what is shown is what programs get.
 */
#ifndef MOBILITY_CTL_TEXT_H
#define MOBILITY_CTL_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/* The caller frees; NULL when out of memory or when status is not a status. */
char *text_status(const json_t *status);
char *text_explain(const json_t *explain); /* the same of `explain --json` */
char *text_plan(const json_t *plan); /* the same of `plan --json` (text_plan.c) */
bool text_healthy(const json_t *status); /* no problems */

#endif
