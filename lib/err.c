/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	/* fmt's arguments may point into e->text, so the new sentence is made beside it */
	char text[sizeof(e->text)];

	va_start(ap, fmt);
	text_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(e->text, text, sizeof(text));
	e->code = code;
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(((struct err *)0)->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	char reason[128];

	return err_set(e, code, "%s: %s", text, strerror_r(-code, reason, sizeof(reason)));
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	if (!e)
		return 0;

	char text[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, e->code, "%s: %s", text, e->text);
}
