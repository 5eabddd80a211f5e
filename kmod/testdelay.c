// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

#include "testdelay.h"

unsigned int mob_test_delay_us[MOB_DELAY_POINTS];
module_param_array_named(test_delay_us, mob_test_delay_us, uint, NULL, 0644);
MODULE_PARM_DESC(test_delay_us, "longest delay at each point of testdelay.h, in microseconds");
