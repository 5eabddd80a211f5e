#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes that a slow disk is given before it is attached, and that land after the first epoch has been read: the
# next epoch has them. A request says nothing of its bios' ends but by block_rq_complete.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

guest_disk "$vm_build/slow.img" 4M
case_guest --timeout 120 --disk "$vm_build/slow.img:raw:serial=slow,throttling.iops-write=1" \
	--command /guest/attach-inflight.sh
figures="$(test_value late) writes landed after the first epoch"
pass
