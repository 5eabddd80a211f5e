#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# While a boundary is taken every write is held, for microseconds: whoever takes it is not made to wait for another
# task meanwhile, in a kernel that preempts wherever it may. A build with test delays keeps the windows open for up to a millisecond.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

MOBILITY_MODULE=$(build_kmod ${MOBILITY_MUTATION:+--patch "$MOBILITY_MUTATION"} --define MOBILITY_TEST_DELAYS 2>"$vm_build/kmod.log") ||
	fail "the kernel module does not build with its test delays: $(tail -n 1 "$vm_build/kmod.log")"
disks=()
test_images 4M data1 replica0
# Time in the guest is a count of instructions: a busy host makes no window longer.
case_guest "${disks[@]}" --timeout 600 --smp 1 --qemu -icount --qemu shift=0,sleep=off --append preempt=full \
	--command /guest/window.sh
figures="$(test_value boundaries) boundaries, $(test_value preempted) times preempted, the longest window $(test_value window_us) us"
pass
