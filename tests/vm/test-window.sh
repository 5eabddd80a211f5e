#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# While a boundary is taken every write is held, for microseconds. Whoever takes it is not made to wait for another task
# meanwhile, in a kernel that preempts wherever it may; and where a CPU does not answer, as a hypervisor may not let it run,
# writes wait for a few ticks and no longer. A build with test delays keeps windows open.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

test_build_module delays
module=$built
disks=()
test_images 4M data1 replica0
# Time in the guest is a count of instructions: a busy host makes no window longer.
case_guest "${disks[@]}" --timeout 600 --smp 1 --qemu -icount --qemu shift=0,sleep=off --append preempt=full \
	--command "/guest/window.sh preempted"
figures="$(test_value boundaries) boundaries, $(test_value preempted) times preempted, the longest window $(test_value window_us) us; "
case_guest "${disks[@]}" --tcg multi --bin "$(command -v fio)" --command "/guest/window.sh slow"
figures+="with one of $(test_value window_ms) ms a write was held for $(test_value held_ms) ms"
case_compare data1 replica0
pass
