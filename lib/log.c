/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/text.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priorities[] = {3, 4, 6, 7}; /* as syslog(3) numbers them */

static const char *log_ident = "mobility";
static bool log_journal;
static atomic_int log_level = LOG_LEVEL_INFO;

/* Does stderr lead to journald, and not elsewhere by a redirection inside the unit? */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *ident, enum log_level level)
{
	log_ident = ident;
	log_journal = stderr_is_journal();
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

int log_level_parse(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

static size_t put_head(char *line, size_t size, enum log_level level)
{
	char time[32];
	int n;

	if (log_journal)
		n = snprintf(line, size, "<%d>", level_priorities[level]);
	else
		n = snprintf(line, size, "%s %s %s: ", clock_format_utc(clock_realtime_ns(), time),
			     log_ident, level_names[level]);
	return n < 0 ? 0 : (size_t)n;
}

/* Whatever a message quotes, it stays one line and cannot steer a terminal. */
static void blunt_controls(char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		memset(s + i, ' ', text_control(s + i, len - i));
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char cut[] = " [cut]";
	char line[2048];
	va_list ap;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;

	int saved = errno;
	size_t head = put_head(line, sizeof(line) / 4, level);

	if (head >= sizeof(line) / 4)
		head = sizeof(line) / 4 - 1;

	size_t room = sizeof(line) - head - 1; /* and one byte for the newline */

	errno = saved; /* for %m */
	va_start(ap, fmt);
	int n = vsnprintf(line + head, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room)
		memcpy(line + head + room - sizeof(cut), cut, sizeof(cut));
	blunt_controls(line);

	size_t len = strlen(line);

	line[len++] = '\n';
	/* One write for one line. When stderr itself fails there is nobody left to tell. */
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}
