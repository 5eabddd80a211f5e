/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line a message, to stderr (a terminal or a file: with time and level; under systemd: with the
 * <N> priority prefix that journald reads). Any thread; lines are never mixed. Never give it a
 * token, key or password.
 */
#ifndef MOBILITY_LOG_H
#define MOBILITY_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Once, before threads start. ident is not copied. */
void log_init(const char *ident, enum log_level level);
void log_set_level(enum log_level level);
int log_level_parse(const char *s); /* "error" "warning" "info" "debug"; -EINVAL */

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
