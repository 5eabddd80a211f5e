/* SPDX-License-Identifier: Apache-2.0 */
/* The end of main of a unit test that is one test case. */
#ifndef TESTS_UNIT_RUN_TCASE_H
#define TESTS_UNIT_RUN_TCASE_H

#include <check.h>
#include <stdlib.h>

/* Run the test case and return main's exit status; that no test ran is a failure. Frees tc. */
static inline int run_tcase(const char *name, TCase *tc)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner) || !srunner_ntests_run(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
