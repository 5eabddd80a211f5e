/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/enrol.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/pki.h"

#define LIFE_MAX (3650 * 24 * 3600 * NSEC_PER_SEC)

static int print_token(const char *token, const char *fingerprint, uint64_t expires, bool json)
{
	char when[32];

	if (json) {
		_cleanup_json_ json_t *o =
			json_pack("{s:s, s:s, s:I}", "token", token, "fingerprint", fingerprint,
				  "expires", (json_int_t)expires);
		_cleanup_free_ char *text = o ? json_text(o) : NULL;

		if (!text)
			return command_error(EXIT_FAILED, "out of memory");
		puts(text);
		return EXIT_DONE;
	}
	printf("token:       %s\nfingerprint: %s\nexpires:     %s\n", token, fingerprint,
	       clock_format_utc(expires, when));
	return EXIT_DONE;
}

int command_token(const char *dir, int argc, char **argv)
{
	bool json = command_json(&argc, argv);
	uint64_t life = 3600 * NSEC_PER_SEC, expires;
	char token[TOKEN_TEXT_BYTES], fingerprint[PKI_FINGERPRINT_BYTES];
	_cleanup_free_ char *ca = NULL;
	struct home h;
	struct err e;
	int rc;

	if (argc == 2 && !strcmp(argv[0], "--expires")) {
		if (duration_parse(argv[1], &life) < 0 || life == 0 || life > LIFE_MAX)
			return command_error(EXIT_USAGE,
					     "--expires needs a duration such as 1h, of at most "
					     "3650d, not %s",
					     argv[1]);
	} else if (argc) {
		return command_error(EXIT_USAGE, "token takes --expires DURATION and --json");
	}
	rc = home_open(&h, dir, &e);
	if (rc < 0)
		return command_failed(&e);
	expires = clock_realtime_ns() + life;
	ca = home_read(h.dir, HOME_CA, &e);
	rc = ca ? pki_fingerprint(ca, fingerprint, &e) : e.code;
	if (rc == 0)
		rc = enrol_token(&h, expires, token, &e);
	home_close(&h);
	return rc < 0 ? command_failed(&e) : print_token(token, fingerprint, expires, json);
}
