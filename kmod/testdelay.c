// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

#include "testdelay.h"

unsigned int mob_test_delay_us[MOB_DELAY_POINTS];
module_param_array_named(test_delay_us, mob_test_delay_us, uint, NULL, 0644);
MODULE_PARM_DESC(test_delay_us, "longest delay at each point of testdelay.h, in microseconds");

unsigned int mob_test_impatient;
module_param_named(test_impatient, mob_test_impatient, uint, 0644);
MODULE_PARM_DESC(test_impatient, "one held write in so many does not wait for the closing window");

char *mob_test_caller_name;
module_param_named(test_caller, mob_test_caller_name, charp, 0444);
MODULE_PARM_DESC(test_caller, "the function that has to call the one that is hooked");

int mob_test_lane_home = -1;
module_param_named(test_lane, mob_test_lane_home, int, 0644);
MODULE_PARM_DESC(test_lane, "the lane that every task looks at first");
